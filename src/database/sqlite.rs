//! D1 for tests: a real SQLite with the product's migrations, which may fail when told to.
//!
//! Integers are bound as D1 binds them, as floats, so that a statement which needs them whole fails here too.

use std::cell::Cell;

use rusqlite::{
    Connection, params_from_iter,
    types::{Value as Stored, ValueRef},
};
use serde_json::{Value, json};

use super::{Database, Row, Statement, Transactions};
use crate::{
    credits::sql::SqlValue,
    error::{Error, Result},
};

/// D1 as tests have it.
pub struct Sqlite {
    /// The database itself.
    pub connection: Connection,
    /// Calls until one fails, as in an outage; the failing one does nothing.
    pub left: Cell<Option<u32>>,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self::new()
    }
}

impl Sqlite {
    /// An empty database with the tables of the product.
    pub fn new() -> Self {
        Self::on(Connection::open_in_memory().unwrap())
    }

    /// The migrations on a fresh database.
    pub fn on(connection: Connection) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let files = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let migration = std::fs::read_to_string(path).unwrap();
            connection.execute_batch(&migration).unwrap();
        }
        Self {
            connection,
            left: Cell::new(None),
        }
    }

    /// An account that other tables may name.
    pub fn account(&self, id: &str) {
        let sql = "INSERT INTO accounts (id, name, created_at) VALUES (?1, ?1, 0)";
        self.run(sql, &[id.into()]);
    }

    /// Runs a statement that must succeed, whatever is to fail.
    pub fn run(&self, sql: &str, params: &[SqlValue]) -> Vec<Row> {
        self.rows(sql, params)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Fails where it is time to.
    pub fn may_fail(&self) -> Result<()> {
        match self.left.get() {
            Some(0) => Err(Error::internal("an outage")),
            left => {
                self.left.set(left.map(|left| left - 1));
                Ok(())
            }
        }
    }

    fn rows(&self, sql: &str, params: &[SqlValue]) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let names: Vec<String> = statement
            .column_names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let params = params.iter().map(|param| match param {
            SqlValue::Int(number) => Stored::Real(*number as f64),
            SqlValue::Text(text) => Stored::Text(text.clone()),
            SqlValue::Null => Stored::Null,
        });
        let mut rows = statement.query(params_from_iter(params))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cell = |at: usize| match row.get_ref(at).unwrap() {
                ValueRef::Integer(number) => json!(number),
                // JavaScript has one kind of number.
                ValueRef::Real(number) if number.fract() == 0.0 => json!(number as i64),
                ValueRef::Real(number) => json!(number),
                ValueRef::Text(text) => json!(std::str::from_utf8(text).unwrap()),
                _ => Value::Null,
            };
            let named = names.iter().enumerate();
            found.push(named.map(|(at, name)| (name.clone(), cell(at))).collect());
        }
        Ok(found)
    }
}

fn told(error: rusqlite::Error) -> Error {
    Error::internal(error.to_string())
}

impl Database for Sqlite {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        self.may_fail()?;
        self.rows(sql, params).map_err(told)
    }
}

impl Transactions for Sqlite {
    /// Fails before it begins, or in the midst of it, which undoes what it did.
    async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        self.may_fail()?;
        let transaction = self.connection.unchecked_transaction().map_err(told)?;
        let mut results = Vec::new();
        for (sql, params) in statements {
            self.may_fail()?;
            results.push(self.rows(sql, params).map_err(told)?);
        }
        transaction.commit().map_err(told)?;
        Ok(results)
    }
}
