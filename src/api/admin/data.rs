//! Everything that is kept about an account: shown page by page, and deleted step by step.
//!
//! # Export
//! A walk over the tables of [`tables`], the ledger's entries, its keys and what else the account's object keeps, one page of one of them
//! in each answer. Secrets are not shown, kept content is shown opened.
//!
//! # Deletion
//! Each call does some of the work and says what is left; calling again goes on, and again after the end changes nothing. In order: the
//! keys end (in the ledger, in D1 and their copies in KV), so that nothing begins; the ledger comes to rest (holds end, rows reach D1),
//! its sums are kept in `closed_books`, and it is emptied; then rows go, people who belong to no other account among them. What stays is
//! the account's id and the time of its end, sums of entries by month and kind, payments without a name, and that the operator's audit log had lines.

mod tables;

use serde_json::{Map, Value, json};
use tables::{End, Key, OF_PEOPLE, TABLES, Table};

use super::{World, audit, json_data, missing};
use crate::{
    api::{
        byok::required_keyring,
        http::{Request, Response},
    },
    books::text,
    credits::{
        ledger::{MAX_TABLE_PAGE, OBJECT_TABLES},
        ops::{Empty, KeyDelete, Keys, LedgerError, ReadBooks, ReadTable, SumUp},
        sql::SqlValue,
    },
    database::Row,
    error::{Error, ErrorType, Result},
    identity::{Actor, keys::kv_key, own_keys},
    usage::content,
};

/// Rows in one page of an export.
const PAGE: i64 = 500;
/// Rows that one statement deletes.
const DELETE_ROWS: i64 = 2_000;
/// Statements that delete, in one call.
const DELETES_PER_CALL: usize = 20;
/// Keys that end in one call.
const KEYS_PER_CALL: i64 = 200;
/// What of the export is in the account's object. Its other tables follow, with the same beginning.
const LEDGER: &[&str] = &["ledger_entries", "ledger_keys"];
/// How names of the object's tables begin.
const OF_OBJECT: &str = "ledger_";

/// `GET /admin/accounts/{id}/export?after=`: one page. `next` is what to send as `after`; null at the end.
pub async fn export<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    request: &Request,
) -> Result<Response> {
    exists(world, account).await?;
    let after = request.query("after").unwrap_or_default();
    if after.is_empty() {
        audit(world, actor, "account.export", Some(account), account, "").await?;
    }
    let here = present(world).await?;
    let tables: Vec<&Table> = TABLES
        .iter()
        .filter(|table| here.iter().any(|name| name == table.name))
        .collect();
    let of_object = OBJECT_TABLES.iter();
    let of_object = of_object.map(|table| format!("{OF_OBJECT}{}", table.name));
    let names = tables.iter().map(|table| table.name);
    let names = names.chain(LEDGER.iter().copied()).map(str::to_owned);
    let names: Vec<String> = names.chain(of_object).collect();
    let first = names.first().map_or("", String::as_str);
    let (name, place) = after.split_once(':').unwrap_or((first, ""));
    let at = names.iter().position(|known| known == name);
    let at = at.ok_or_else(|| Error::invalid("after", "Send what the last answer called next"))?;
    let (rows, last) = match tables.get(at) {
        Some(table) => page_of(world, account, table, place).await?,
        None => ledger_page(world, account, name, place).await?,
    };
    let next = match last {
        Some(place) => Some(format!("{name}:{place}")),
        None => names.get(at + 1).map(|name| format!("{name}:")),
    };
    let data: Vec<Value> = rows
        .into_iter()
        .map(|row| json!({"table": name, "row": row}))
        .collect();
    Ok(Response::json(200, &json!({"data": data, "next": next})))
}

/// A page of a table's rows, and where it ended if more may follow.
async fn page_of<W: World>(
    world: &W,
    account: &str,
    table: &Table,
    place: &str,
) -> Result<(Vec<Value>, Option<String>)> {
    let (key, after) = match table.key {
        Key::Number(key) => (key, SqlValue::Int(place.parse().unwrap_or(i64::MIN >> 11))),
        Key::Text(key) => (key, place.into()),
    };
    let sql = format!(
        "SELECT {key} AS place_of_row, * FROM {} WHERE {} AND {key} > ?2 ORDER BY {key} LIMIT ?3",
        table.name, table.of
    );
    let rows = world
        .query(&sql, &[account.into(), after, PAGE.into()])
        .await?;
    let is_full = rows.len() as i64 >= PAGE;
    let mut last = None;
    let mut shown = Vec::with_capacity(rows.len());
    for mut row in rows {
        last = row.remove("place_of_row").map(|place| match place {
            Value::String(text) => text,
            other => other.to_string(),
        });
        for column in table.hidden {
            row.remove(*column);
        }
        shown.push(row);
    }
    if table.name == "contents" {
        opened(world, account, &mut shown).await?;
    }
    let shown = shown.into_iter().map(Value::Object).collect();
    Ok((shown, last.filter(|_| is_full)))
}

/// Puts beside each record of content what it holds.
async fn opened<W: World>(world: &W, account: &str, rows: &mut [Row]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let ring = required_keyring(world)?;
    let ids: Vec<String> = rows
        .iter()
        .map(|row| text(row, "generation"))
        .collect::<Result<_>>()?;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let kept = content::d1::read_some(world, &ring, account, &ids).await?;
    for row in rows {
        let own = kept.iter().find(|kept| {
            row.get("generation").and_then(Value::as_str) == Some(kept.generation.as_str())
        });
        let content = own.map(|kept| serde_json::to_value(&kept.content));
        let content = content
            .transpose()
            .map_err(|error| Error::internal(error.to_string()))?;
        row.insert("content".into(), content.unwrap_or_default());
    }
    Ok(())
}

async fn ledger_page<W: World>(
    world: &W,
    account: &str,
    name: &str,
    place: &str,
) -> Result<(Vec<Value>, Option<String>)> {
    let value = |result: serde_json::Result<Value>| {
        result.map_err(|error| Error::internal(error.to_string()))
    };
    if name == "ledger_keys" {
        let keys = unless_gone(world.call(account, &Keys {}).await)?.unwrap_or_default();
        let rows: Result<Vec<_>> = keys
            .iter()
            .map(|key| value(serde_json::to_value(key)))
            .collect();
        return Ok((rows?, None));
    }
    if name != "ledger_entries" {
        let call = ReadTable {
            table: name.strip_prefix(OF_OBJECT).unwrap_or(name).to_owned(),
            after: place.to_owned(),
        };
        let rows = unless_gone(world.call(account, &call).await)?.unwrap_or_default();
        let is_full = rows.len() >= MAX_TABLE_PAGE;
        let last = rows.last().map(|row| row.place.clone());
        let rows = rows.into_iter().map(|row| row.row).collect();
        return Ok((rows, last.filter(|_| is_full)));
    }
    let call = ReadBooks {
        after: place.parse().unwrap_or(0),
        max: PAGE,
    };
    let Some(page) = unless_gone(world.call(account, &call).await)? else {
        return Ok((Vec::new(), None));
    };
    let last = page.entries.last().map(|entry| entry.seq.to_string());
    let rows: Result<Vec<_>> = page
        .entries
        .iter()
        .map(|entry| value(serde_json::to_value(entry)))
        .collect();
    Ok((rows?, last.filter(|_| page.end.is_none())))
}

/// `DELETE /admin/accounts/{id}`: some of the work; call again until it is done.
pub async fn delete<W: World>(world: &W, actor: &Actor, account: &str) -> Result<Response> {
    let row = exists(world, account).await?;
    if row.get("deleted_at").is_none_or(Value::is_null) {
        audit(world, actor, "account.delete", Some(account), account, "").await?;
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let mark = "UPDATE accounts SET deleted_at = COALESCE(deleted_at, ?2) WHERE id = ?1";
    world.query(mark, &[account.into(), now.into()]).await?;
    let waits = |why: &str| {
        let answer = json!({"id": account, "done": false, "waits_for": why, "deleted": {}});
        Ok(Response::json(200, &json_data(&answer)))
    };
    if end_keys(world, account).await? {
        return waits("more keys to end");
    }
    if !close_books(world, account, now).await? {
        return waits("requests that are under way, and usage rows on their way");
    }
    let (deleted, done) = erase(world, account).await?;
    let answer = json!({"id": account, "done": done, "waits_for": null, "deleted": deleted});
    Ok(Response::json(200, &json_data(&answer)))
}

/// Ends keys: no request begins any more. Whether more are left.
async fn end_keys<W: World>(world: &W, account: &str) -> Result<bool> {
    let sql = "SELECT hash FROM api_keys WHERE account = ?1 AND deleted = 0 ORDER BY hash LIMIT ?2";
    let rows = world
        .query(sql, &[account.into(), KEYS_PER_CALL.into()])
        .await?;
    let memory = world.memory();
    let mut copies = vec![own_keys::kv_key(account)];
    memory.own_keys.forget(account);
    for row in &rows {
        let hash = text(row, "hash")?;
        memory.keys.forget(&hash);
        copies.push(kv_key(&hash));
        // A management key is not in the ledger.
        let call = KeyDelete { hash: hash.clone() };
        match world.call(account, &call).await {
            Ok(_) => {}
            Err(error) if error.error_type == ErrorType::NotFound => {}
            Err(error) => return Err(error),
        }
        let end = "UPDATE api_keys SET deleted = 1, disabled = 1 WHERE hash = ?1 AND account = ?2";
        world
            .query(end, &[hash.as_str().into(), account.into()])
            .await?;
    }
    let replaced =
        "SELECT hash FROM key_secrets WHERE key IN (SELECT hash FROM api_keys WHERE account = ?1)";
    for row in world.query(replaced, &[account.into()]).await? {
        let hash = text(&row, "hash")?;
        memory.keys.forget(&hash);
        copies.push(kv_key(&hash));
    }
    world.delete_kv(&copies).await?;
    Ok(rows.len() as i64 >= KEYS_PER_CALL)
}

/// Keeps the ledger's sums and empties it. Whether it came to rest.
async fn close_books<W: World>(world: &W, account: &str, now: i64) -> Result<bool> {
    let Some(sums) = unless_gone(world.call(account, &SumUp {}).await)? else {
        return Ok(true);
    };
    if sums.unfinished > 0 {
        return Ok(false);
    }
    let months =
        serde_json::to_string(&sums.months).map_err(|error| Error::internal(error.to_string()))?;
    let keep = "INSERT INTO closed_books (account, closed_at, balance, months) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (account) DO UPDATE SET closed_at = excluded.closed_at, balance = excluded.balance, months = excluded.months";
    let params = [
        account.into(),
        now.into(),
        sums.balance.into(),
        months.as_str().into(),
    ];
    world.query(keep, &params).await?;
    world.call(account, &Empty {}).await?;
    Ok(true)
}

/// Deletes and changes rows, table by table. How many of each, and whether all are done.
async fn erase<W: World>(world: &W, account: &str) -> Result<(Map<String, Value>, bool)> {
    let here = present(world).await?;
    let mut deleted = Map::new();
    let mut left = DELETES_PER_CALL;
    if !erase_people(world, account, &here, &mut deleted).await? {
        return Ok((deleted, false));
    }
    for table in TABLES
        .iter()
        .filter(|table| here.iter().any(|name| name == table.name))
    {
        let (Key::Number(key) | Key::Text(key)) = table.key;
        let Table { name, of, .. } = table;
        let sql = match table.end {
            End::Keep => continue,
            End::Delete => format!(
                "DELETE FROM {name} WHERE {of} AND {key} IN (SELECT {key} FROM {name} WHERE {of} LIMIT ?2) RETURNING 1 AS one"
            ),
            End::Change(set, as_it_was) => format!(
                "UPDATE {name} SET {set} WHERE {of} AND ({as_it_was}) AND {key} IN
                    (SELECT {key} FROM {name} WHERE {of} AND ({as_it_was}) LIMIT ?2) RETURNING 1 AS one"
            ),
        };
        loop {
            if left == 0 {
                return Ok((deleted, false));
            }
            let rows = world
                .query(&sql, &[account.into(), DELETE_ROWS.into()])
                .await?
                .len() as i64;
            if rows > 0 {
                let before = deleted.get(*name).and_then(Value::as_i64).unwrap_or(0);
                deleted.insert((*name).to_owned(), (before + rows).into());
                left -= 1;
            }
            if rows < DELETE_ROWS {
                break;
            }
        }
    }
    Ok((deleted, true))
}

/// Deletes the people who belong to this account alone, some at a time. Whether all are gone.
async fn erase_people<W: World>(
    world: &W,
    account: &str,
    here: &[String],
    deleted: &mut Map<String, Value>,
) -> Result<bool> {
    const SOME: i64 = 50;
    let theirs = "SELECT user FROM members JOIN users ON users.id = members.user
        WHERE account = ?1 AND users.operator = 0
            AND NOT EXISTS (SELECT 1 FROM members AS other WHERE other.user = members.user AND other.account <> ?1)
        LIMIT ?2";
    let rows = world.query(theirs, &[account.into(), SOME.into()]).await?;
    if rows.is_empty() {
        return Ok(true);
    }
    let people: Result<Vec<String>> = rows.iter().map(|row| text(row, "user")).collect();
    let people = Value::from(people?).to_string();
    let statements: Vec<(String, &str)> = OF_PEOPLE
        .iter()
        .filter(|(table, _)| here.iter().any(|name| name == table))
        .map(|(table, column)| {
            (
                format!("DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?1))"),
                *table,
            )
        })
        .collect();
    let bound: Vec<_> = statements
        .iter()
        .map(|(sql, _)| (sql.as_str(), vec![SqlValue::from(people.as_str())]))
        .collect();
    world.transaction(&bound).await?;
    deleted.insert("users".into(), rows.len().into());
    Ok((rows.len() as i64) < SOME)
}

/// The tables that the database has: a deployment may not have migrated yet.
async fn present<W: World>(world: &W) -> Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let rows = world.query(sql, &[]).await?;
    rows.iter().map(|row| text(row, "name")).collect()
}

async fn exists<W: World>(world: &W, account: &str) -> Result<Row> {
    let sql = "SELECT deleted_at FROM accounts WHERE id = ?1";
    let rows = world.query(sql, &[account.into()]).await?;
    rows.into_iter()
        .next()
        .ok_or_else(|| missing("account", account))
}

/// What an object answers, or nothing where its ledger was emptied.
fn unless_gone<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if error.message == LedgerError::NotOpen.to_string() => Ok(None),
        answer => answer.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rusqlite::Connection;

    use super::{tables::OF_NOBODY, *};
    use crate::database::sqlite::Sqlite;

    fn database() -> Connection {
        Sqlite::new().connection
    }

    fn texts(database: &Connection, sql: &str) -> BTreeSet<String> {
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn every_table_is_in_the_export_and_in_the_deletion_or_is_about_nobody() {
        let all = texts(
            &database(),
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        );
        let listed: BTreeSet<&str> = TABLES.iter().map(|table| table.name).collect();
        let of_people: BTreeSet<&str> = OF_PEOPLE.iter().map(|(name, _)| *name).collect();
        for name in &all {
            let name = name.as_str();
            let known =
                listed.contains(name) || of_people.contains(name) || OF_NOBODY.contains(&name);
            assert!(
                known,
                "the table {name} is in none of the lists of src/api/admin/data/tables.rs: say there how an account's rows are \
                 found, what of them is secret, and what becomes of them when the account is deleted"
            );
        }
        let with_account = texts(
            &database(),
            "SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
             WHERE m.type = 'table' AND c.name IN ('account', 'account_id')",
        );
        for name in with_account
            .iter()
            .filter(|name| *name != "reconcile_progress")
        {
            assert!(
                listed.contains(name.as_str()),
                "{name} names accounts: it belongs into TABLES"
            );
        }
    }

    #[test]
    fn every_statement_runs_on_the_schema_and_what_is_secret_is_a_column() {
        let database = database();
        let all = texts(
            &database,
            "SELECT name FROM sqlite_master WHERE type = 'table'",
        );
        for table in TABLES.iter().filter(|table| all.contains(table.name)) {
            let (Key::Number(key) | Key::Text(key)) = table.key;
            let Table { name, of, .. } = table;
            let sql = format!(
                "SELECT {key} AS place_of_row, * FROM {name} WHERE {of} AND {key} > 1 ORDER BY {key}"
            );
            let statement = database
                .prepare(&sql)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let columns: Vec<&str> = statement.column_names();
            for hidden in table.hidden {
                assert!(columns.contains(hidden), "{name}.{hidden}");
            }
            for column in ["sealed", "notice_secret", "secret"] {
                assert!(
                    !columns.contains(&column) || table.hidden.contains(&column),
                    "{name}.{column} would be shown"
                );
            }
            if let End::Change(set, as_it_was) = table.end {
                database
                    .prepare(&format!(
                        "UPDATE {name} SET {set} WHERE {of} AND ({as_it_was})"
                    ))
                    .unwrap();
            }
        }
        for (name, column) in OF_PEOPLE.iter().filter(|(name, _)| all.contains(*name)) {
            database
                .prepare(&format!("DELETE FROM {name} WHERE {column} = ?1"))
                .unwrap();
        }
    }
}
