//! The shared SQL database (D1) as a port: statements in, rows out.
//!
//! In scope: the trait and its values. Out of scope: statements (each folder owns its own), the platform (`edge`).
//! Numbers travel as JavaScript floats: amounts beyond ±2^53 are refused by the implementation, never rounded (P129).

#[cfg(test)]
pub mod sqlite;

use serde_json::{Map, Value};

use crate::{credits::sql::SqlValue, error::Result};

/// A statement with its parameters.
pub type Statement<'a> = (&'a str, Vec<SqlValue>);

/// A row: column → value. Integers come as JSON integers.
pub type Row = Map<String, Value>;

/// D1.
pub trait Database {
    /// Runs one statement and returns its rows.
    fn query(&self, sql: &str, params: &[SqlValue]) -> impl Future<Output = Result<Vec<Row>>>;
}

/// D1 where several statements belong together.
pub trait Transactions: Database {
    /// Runs statements in order, all of them or none, and returns each one's rows.
    fn transaction(
        &self,
        statements: &[Statement<'_>],
    ) -> impl Future<Output = Result<Vec<Vec<Row>>>>;
}
