//! The export of what an object keeps: every table and column is in it, or is named here with the reason why not.

use std::collections::BTreeSet;

use patchbay::credits::ledger::{MAX_TABLE_PAGE, OBJECT_TABLES};
use patchbay::credits::ops::{ExecutionState, LedgerError, ReadTable, TableRow, TaskPut};
use serde_json::{Value, json};

use crate::executions::{begin, end, grants};
use crate::store::{Account, NOON, key};

/// Tables that are read otherwise (entries, keys), become usage rows within seconds (holds, outbox), are gone within the hour (notes,
/// confirmations), or hold digests alone.
const NOT_HERE: [&str; 9] = [
    "confirmations",
    "ended_secrets",
    "entries",
    "execution_recipients",
    "holds",
    "idempotency",
    "keys",
    "notes",
    "outbox",
];
/// Columns that are not shown: a digest of an execution's input, and the object's own bookkeeping.
const NOT_SHOWN: [&str; 10] = [
    "account.flush_after",
    "account.flush_failures",
    "account.one",
    "executions.fingerprint",
    "funding.one",
    "funding.watch_at",
    "lots.due_at",
    "tasks.held_until",
    "tasks.holder",
    "tasks.resumed",
];

fn read(account: &Account, table: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let page: Vec<TableRow> = account.ok(&ReadTable {
            table: table.to_owned(),
            after: after.clone(),
        });
        let is_full = page.len() == MAX_TABLE_PAGE;
        after = page.last().map_or(after, |row| row.place.clone());
        rows.extend(page.into_iter().map(|row| row.row));
        if !is_full {
            return rows;
        }
    }
}

#[test]
fn every_table_and_column_is_shown_or_left_out_for_a_reason() {
    let account = Account::with(1_000);
    let columns = account.store.texts(
        "SELECT m.name || '.' || c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name <> 'schema_version'",
    );
    let columns: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    let shown = OBJECT_TABLES.iter().flat_map(|table| {
        let name = |column: &&str| format!("{}.{column}", table.name);
        table.columns.iter().map(name)
    });
    let shown: BTreeSet<String> = shown.collect();
    let is_left_out = |column: &&str| {
        let table = column.split('.').next().unwrap();
        NOT_HERE.contains(&table) || NOT_SHOWN.contains(column)
    };
    let (left_out, expected): (BTreeSet<&str>, BTreeSet<&str>) =
        columns.iter().partition(|column| is_left_out(column));
    let shown: BTreeSet<&str> = shown.iter().map(String::as_str).collect();
    assert_eq!(shown, expected);
    for name in NOT_SHOWN {
        assert!(left_out.contains(name), "{name} is no column");
    }
    for name in NOT_HERE {
        let column = |column: &&str| column.starts_with(&format!("{name}."));
        assert!(left_out.iter().any(column), "{name} is no table");
    }
}

#[test]
fn what_an_execution_and_a_task_leave_is_exported_page_by_page() {
    let account = Account::with(100_000);
    account.ok(&key("k"));
    let count = 2 * MAX_TABLE_PAGE + 1;
    for at in 0..count {
        let id = format!("e{at:02}");
        grants(&account, &begin(&id, Some(&id)));
        account.ok(&end(&id, ExecutionState::Succeeded));
        account.ok(&TaskPut {
            lease: None,
            id: format!("t{at:02}"),
            key_hash: "k".to_owned(),
            context: "c".to_owned(),
            state: "completed".to_owned(),
            is_over: true,
            at: NOON,
            is_new: true,
            text: "What was said".to_owned(),
        });
    }
    let executions = read(&account, "executions");
    assert_eq!(executions.len(), count);
    assert_eq!(executions[0]["tool"], "resend/send_email");
    assert_eq!(executions[0]["idempotency_key"], "e00");
    assert_eq!(executions[0].get("fingerprint"), None);
    let answers = read(&account, "execution_answers");
    assert_eq!(answers[count - 1]["id"], format!("e{:02}", count - 1));
    assert_eq!(answers[0]["answer"], "{\"of\":\"e00\"}");
    let tasks = read(&account, "tasks");
    assert_eq!(tasks.len(), count);
    assert_eq!(tasks[3]["text"], "What was said");
    assert_eq!(read(&account, "account").len(), 1);
    assert_eq!(read(&account, "budgets"), Vec::<Value>::new());
    let other = ReadTable {
        table: "entries; DROP TABLE keys".to_owned(),
        after: String::new(),
    };
    assert!(matches!(account.call(&other), Err(LedgerError::Invalid(_))));
    assert_eq!(json!(executions[0]["charged"]), 100);
}
