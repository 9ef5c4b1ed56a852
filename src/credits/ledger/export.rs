//! What an account's object keeps beside its entries and keys, table by table: for the export of an account's data.
//!
//! Out of scope: entries and keys, which have reads of their own ([`super::books`], [`super::keys`]); who may ask (`api::admin::data`).
//! A test holds the list against the schema.

use serde_json::Value;

use super::{Ledger, LedgerError};
use crate::credits::ops::{ReadTable, TableRow};
use crate::credits::sql::{Columns, Sql};

/// Rows in one page: the longest are tasks and answers, of less than a megabyte.
pub const MAX_TABLE_PAGE: usize = 8;

/// A table that is shown.
pub struct ObjectTable {
    /// Its name.
    pub name: &'static str,
    /// A unique text, by which it is walked through.
    pub key: &'static str,
    /// The columns that are shown. Left out are digests, which stand for what is secret or not kept.
    pub columns: &'static [&'static str],
}

/// Every table but entries and keys, and what is gone in minutes: holds and the outbox, which become usage rows; notes, confirmations and
/// digests (of ended secrets, of names of executions, of whom they reached).
pub const OBJECT_TABLES: &[ObjectTable] = &[
    ObjectTable {
        name: "account",
        key: "id",
        columns: &[
            "id",
            "created_at",
            "max_requests",
            "max_tokens",
            "max_concurrent",
            "free_day",
            "free_used",
            "lots_balance",
        ],
    },
    ObjectTable {
        name: "funding",
        key: "CAST(one AS TEXT)",
        columns: &[
            "low_balance",
            "low_told",
            "auto_threshold",
            "auto_amount",
            "auto_cap",
            "stopped",
            "capped_month",
        ],
    },
    ObjectTable {
        name: "lots",
        key: "kind || ':' || id",
        columns: &["kind", "id", "expires_at", "remains", "lapsed", "taken"],
    },
    ObjectTable {
        name: "reversals",
        key: "kind || ':' || id",
        columns: &["kind", "id", "purchase", "amount", "undone", "at"],
    },
    ObjectTable {
        name: "top_ups",
        key: "id",
        columns: &["id", "amount", "state", "at"],
    },
    ObjectTable {
        name: "notices",
        key: "id",
        columns: &["id", "kind", "amount", "balance", "reason", "at"],
    },
    ObjectTable {
        name: "budgets",
        key: "id",
        columns: &[
            "id",
            "origin",
            "scope",
            "target",
            "reset",
            "amount",
            "include_byok",
        ],
    },
    ObjectTable {
        name: "executions",
        key: "id",
        columns: &[
            "id",
            "key_hash",
            "tool",
            "effect",
            "state",
            "began",
            "deadline",
            "ended",
            "held",
            "charged",
            "resend",
            "ceiling",
            "idempotency_key",
            "parent",
            "surface",
        ],
    },
    ObjectTable {
        name: "execution_answers",
        key: "id",
        columns: &["id", "answer"],
    },
    ObjectTable {
        name: "tool_guards",
        key: "scope",
        columns: &["scope", "guards"],
    },
    ObjectTable {
        name: "tasks",
        key: "id",
        columns: &[
            "id", "key_hash", "context", "state", "is_over", "at", "text",
        ],
    },
];

impl<S: Sql> Ledger<S> {
    /// A page of a table, after a place; the last one is shorter than [`MAX_TABLE_PAGE`].
    ///
    /// # Errors
    /// When no such table is shown, or the store fails.
    pub fn read_table(&self, request: &ReadTable) -> Result<Vec<TableRow>, LedgerError> {
        let known = OBJECT_TABLES
            .iter()
            .find(|table| table.name == request.table);
        let ObjectTable { name, key, columns } =
            known.ok_or_else(|| LedgerError::Invalid("there is no such table".to_owned()))?;
        let pairs: Vec<String> = columns
            .iter()
            .map(|column| format!("'{column}', {column}"))
            .collect();
        let pairs = pairs.join(", ");
        let sql = format!(
            "SELECT {key}, json_object({pairs}) FROM {name} WHERE {key} > ? ORDER BY {key} LIMIT {MAX_TABLE_PAGE}"
        );
        let rows = self.rows(&sql, &[request.after.as_str().into()])?;
        let row = |row| {
            let mut row = Columns::of(row);
            let place = row.take()?;
            let text: String = row.take()?;
            let row: Value = crate::json::from_str(&text)
                .map_err(|error| LedgerError::Store(error.to_string()))?;
            Ok(TableRow { place, row })
        };
        rows.into_iter().map(row).collect()
    }
}
