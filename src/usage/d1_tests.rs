//! D1 with usage rows, for the tests of this folder.

use serde_json::Value;

use crate::credits::sql::SqlValue;
pub use crate::database::sqlite::Sqlite as Store;

impl Store {
    /// Writes usage rows as an account's object does.
    pub fn flush(&self, rows: &[Value]) {
        let rows = Value::from(rows.to_vec()).to_string();
        self.run(crate::usage::d1::FLUSH, &[SqlValue::Text(rows)]);
    }
}
