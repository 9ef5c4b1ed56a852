//! The SQL store under the ledger: what the object's storage offers, small enough to be SQLite in a test.
//!
//! In scope: the trait, its values, reading rows. Out of scope: statements (`ledger`), the platform (`edge`).
//! The object's storage sets the rules: numbers travel as JavaScript floats (nothing beyond 2^53, and a parameter is REAL
//! until an INTEGER column or a CAST makes it whole), at most 100 parameters per statement, no `BEGIN` in SQL.

use std::fmt;
use std::rc::Rc;

use super::money::{MAX_NANOS, Nanos};

/// A value in or out of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlValue {
    /// An integer within ±2^53.
    Int(i64),
    /// Text.
    Text(String),
    /// NULL.
    Null,
}

/// One row of a result.
pub type Row = Vec<SqlValue>;

/// The store failed; what it says. Repeating the operation is safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError(pub String);

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SqlError {}

/// A synchronous SQL store.
pub trait Sql {
    /// Runs one statement and reads its rows to the end.
    ///
    /// # Errors
    /// Whatever the store refuses or fails at.
    fn exec(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>, SqlError>;

    /// Runs `body` so that its statements all happen or none does: `body` returning false, or the store failing, undoes them.
    ///
    /// # Errors
    /// When the store cannot begin, commit or undo.
    fn transaction(&self, body: &mut dyn FnMut() -> bool) -> Result<(), SqlError>;
}

impl<S: Sql + ?Sized> Sql for Rc<S> {
    fn exec(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        (**self).exec(sql, params)
    }

    fn transaction(&self, body: &mut dyn FnMut() -> bool) -> Result<(), SqlError> {
        (**self).transaction(body)
    }
}

impl SqlValue {
    /// Whether the value survives the platform's float.
    pub fn in_range(&self) -> bool {
        !matches!(self, Self::Int(n) if *n > MAX_NANOS || *n < -MAX_NANOS)
    }
}

impl From<i64> for SqlValue {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<bool> for SqlValue {
    fn from(flag: bool) -> Self {
        Self::Int(i64::from(flag))
    }
}

impl From<Nanos> for SqlValue {
    fn from(amount: Nanos) -> Self {
        Self::Int(amount.get())
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A type that a column is read as.
pub trait Column: Sized {
    /// The value as this type, if it is one.
    fn read(value: SqlValue) -> Option<Self>;
}

impl Column for i64 {
    fn read(value: SqlValue) -> Option<Self> {
        match value {
            SqlValue::Int(n) => Some(n),
            SqlValue::Text(_) | SqlValue::Null => None,
        }
    }
}

impl Column for bool {
    fn read(value: SqlValue) -> Option<Self> {
        i64::read(value).map(|n| n != 0)
    }
}

impl Column for Nanos {
    fn read(value: SqlValue) -> Option<Self> {
        i64::read(value).and_then(|n| Self::new(n).ok())
    }
}

impl Column for String {
    fn read(value: SqlValue) -> Option<Self> {
        match value {
            SqlValue::Text(text) => Some(text),
            SqlValue::Int(_) | SqlValue::Null => None,
        }
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: SqlValue) -> Option<Self> {
        match value {
            SqlValue::Null => Some(None),
            value => T::read(value).map(Some),
        }
    }
}

/// Reads the columns of one row from left to right.
pub struct Columns(std::vec::IntoIter<SqlValue>);

impl Columns {
    /// The columns of `row`.
    pub fn of(row: Row) -> Self {
        Self(row.into_iter())
    }

    /// The next column.
    ///
    /// # Errors
    /// When there is none, or it is of another type: the store is not what the schema says.
    pub fn take<T: Column>(&mut self) -> Result<T, SqlError> {
        self.0
            .next()
            .and_then(T::read)
            .ok_or_else(|| SqlError("a row does not have the columns of the schema".to_owned()))
    }
}
