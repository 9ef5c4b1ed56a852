//! A real SQLite with the product's migrations, for the tests of this folder.

use std::cell::Cell;

use rusqlite::{Connection, types::ValueRef};
use serde_json::{Value, json};

use crate::{
    credits::sql::SqlValue,
    database::{Database, Row, Statement, Transactions},
    error::{Error, Result},
};

/// D1 as the tests have it.
pub struct Store {
    pub database: Connection,
    /// Calls until one fails, as in an outage; the failing one does nothing.
    pub left: Cell<Option<u32>>,
}

impl Store {
    pub fn new() -> Self {
        Self::on(Connection::open_in_memory().unwrap())
    }

    /// The migrations on a fresh database.
    pub fn on(database: Connection) -> Self {
        crate::database::migrate(&database);
        Self {
            database,
            left: Cell::new(None),
        }
    }

    /// An account that other tables may name.
    pub fn account(&self, id: &str) {
        let sql = "INSERT INTO accounts (id, name, created_at) VALUES (?1, ?1, 0)";
        self.run(sql, &[id.into()]);
    }

    /// Writes usage rows as an account's object does.
    pub fn flush(&self, rows: &[Value]) {
        let rows = Value::from(rows.to_vec()).to_string();
        self.run(crate::usage::d1::FLUSH, &[SqlValue::Text(rows)]);
    }

    pub fn run(&self, sql: &str, params: &[SqlValue]) -> Vec<Row> {
        let mut statement = self.database.prepare_cached(sql).unwrap();
        for (at, param) in params.iter().enumerate() {
            match param {
                SqlValue::Int(value) => statement.raw_bind_parameter(at + 1, value),
                SqlValue::Text(text) => statement.raw_bind_parameter(at + 1, text),
                SqlValue::Null => statement.raw_bind_parameter(at + 1, rusqlite::types::Null),
            }
            .unwrap();
        }
        let names: Vec<String> = statement
            .column_names()
            .iter()
            .map(|&name| name.to_owned())
            .collect();
        let mut rows = statement.raw_query();
        let mut out = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let value = |at: usize| match row.get_ref(at).unwrap() {
                ValueRef::Integer(value) => json!(value),
                ValueRef::Real(value) => json!(value),
                ValueRef::Text(text) => json!(std::str::from_utf8(text).unwrap()),
                _ => Value::Null,
            };
            let named = names.iter().enumerate();
            out.push(named.map(|(at, name)| (name.clone(), value(at))).collect());
        }
        out
    }

    fn may_fail(&self) -> Result<()> {
        match self.left.get() {
            Some(0) => Err(Error::internal("an outage")),
            left => {
                self.left.set(left.map(|left| left - 1));
                Ok(())
            }
        }
    }
}

impl Database for Store {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        self.may_fail()?;
        Ok(self.run(sql, params))
    }
}

impl Transactions for Store {
    /// Fails before it begins, or in the midst of it, which undoes what it did.
    async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        self.may_fail()?;
        self.database.execute_batch("BEGIN").unwrap();
        let mut results = Vec::new();
        for (sql, params) in statements {
            if let Err(error) = self.may_fail() {
                self.database.execute_batch("ROLLBACK").unwrap();
                return Err(error);
            }
            results.push(self.run(sql, params));
        }
        self.database.execute_batch("COMMIT").unwrap();
        Ok(results)
    }
}
