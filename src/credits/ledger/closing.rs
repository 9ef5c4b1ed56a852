//! The end of an account: what its ledger comes to, and the ledger's end.
//!
//! Entries are never deleted while an account lives. Here the account ends: its sums are read and kept elsewhere first, and nothing may
//! be under way. Out of scope: where the sums go, and everything else that is kept of an account (`api::admin::data`).

use super::{Ledger, LedgerError};
use crate::credits::money::Nanos;
use crate::credits::ops::{Emptied, MonthSum, SumsUp};
use crate::credits::sql::{Columns, Sql};

impl<S: Sql> Ledger<S> {
    /// What the ledger comes to, month by month.
    ///
    /// # Errors
    /// When the account is not open or the store fails.
    pub fn sum_up(&self) -> Result<SumsUp, LedgerError> {
        let totals = self.snapshot()?;
        let months = self.rows(
            "SELECT strftime('%Y-%m', at / 1000, 'unixepoch') AS month, kind, COUNT(*), SUM(amount) FROM entries
             GROUP BY month, kind ORDER BY month, kind",
            &[],
        )?;
        let month = |row| {
            let mut row = Columns::of(row);
            Ok(MonthSum {
                month: row.take()?,
                kind: row.take()?,
                count: row.take()?,
                amount: row.take::<Nanos>()?,
            })
        };
        let months: Result<Vec<_>, LedgerError> = months.into_iter().map(month).collect();
        Ok(SumsUp {
            balance: totals.balance,
            unfinished: totals.open_holds + totals.unsent_rows,
            months: months?,
        })
    }

    /// Empties every table: the account is not open any more. A repeat changes nothing.
    ///
    /// # Errors
    /// When something is under way, or the store fails.
    pub fn empty(&self) -> Result<Emptied, LedgerError> {
        self.memory.set(None);
        self.transaction(|| {
            match self.snapshot() {
                Ok(totals) if totals.open_holds + totals.unsent_rows > 0 => {
                    return Err(LedgerError::Invalid(
                        "requests are under way, or their usage rows are".to_owned(),
                    ));
                }
                Ok(_) | Err(LedgerError::NotOpen) => {}
                Err(error) => return Err(error),
            }
            // Outbox rows refer to entries; the platform's own tables begin with an underscore.
            let tables = self.rows(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('schema_version')
                    AND substr(name, 1, 1) <> '_' AND name NOT LIKE 'sqlite%' ORDER BY name = 'entries', name",
                &[],
            )?;
            let guard = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'entries_never_vanish'";
            let guard = self.row(guard, &[])?;
            self.rows("DROP TRIGGER IF EXISTS entries_never_vanish", &[])?;
            for table in tables {
                let name: String = Columns::of(table).take()?;
                self.rows(&format!("DELETE FROM {name}"), &[])?;
            }
            if let Some(mut guard) = guard {
                let sql: String = guard.take()?;
                self.rows(&sql, &[])?;
            }
            Ok(Emptied {})
        })
    }
}
