//! The books as an audit reads them: entries in their order, and beside the last of them the counters and holds.
//!
//! Out of scope: judging them (`books`). What is read here is never what the ledger decides by.

use super::{Ledger, LedgerError, time};
use crate::credits::ops::{BookEnd, BookEntry, BookHold, BookPage, Ended, KeyCounters, ReadBooks};
use crate::credits::sql::{Columns, Sql};

/// The most entries in one page.
pub const MAX_BOOK_PAGE: i64 = 1_000;

impl<S: Sql> Ledger<S> {
    /// A page of entries, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read_books(&self, request: &ReadBooks, now_ms: i64) -> Result<BookPage, LedgerError> {
        time("now", now_ms)?;
        let max = request.max.clamp(1, MAX_BOOK_PAGE);
        let rows = self.rows(
            "SELECT seq, id, kind, amount, balance, key_hash, at, note,
                COALESCE(byok, 0), COALESCE(waived, 0),
                EXISTS (SELECT 1 FROM outbox WHERE outbox.seq = entry.seq),
                CASE kind
                    WHEN 'expire' THEN EXISTS (SELECT 1 FROM entries AS late WHERE late.id = entry.id AND late.kind = 'late_settle')
                    WHEN 'late_settle' THEN EXISTS (
                        SELECT 1 FROM entries AS first
                        WHERE first.id = entry.id AND first.kind IN ('settle', 'void', 'expire') AND +first.kind = 'expire'
                    )
                    ELSE 0
                END
             FROM entries AS entry WHERE seq > ? ORDER BY seq LIMIT ?",
            &[request.after.into(), max.into()],
        )?;
        let is_end = i64::try_from(rows.len()).is_ok_and(|read| read < max);
        let entries: Result<Vec<_>, _> = rows
            .into_iter()
            .map(|row| self.book_entry(&mut Columns::of(row)))
            .collect();
        Ok(BookPage {
            entries: entries?,
            end: is_end.then(|| self.book_end(now_ms)).transpose()?,
        })
    }

    /// Those of these ids whose requests have ended.
    ///
    /// # Errors
    /// When the store fails.
    pub fn ended(&self, request: &Ended) -> Result<Vec<String>, LedgerError> {
        let ids = serde_json::to_string(&request.ids)
            .map_err(|error| LedgerError::Invalid(error.to_string()))?;
        self.rows(
            "SELECT value FROM json_each(?) WHERE EXISTS
                (SELECT 1 FROM entries WHERE id = value AND kind IN ('settle', 'void', 'expire'))",
            &[ids.as_str().into()],
        )?
        .into_iter()
        .map(|row| Ok(Columns::of(row).take()?))
        .collect()
    }

    fn book_entry(&self, row: &mut Columns) -> Result<BookEntry, LedgerError> {
        let mut entry = BookEntry {
            seq: row.take()?,
            id: row.take()?,
            kind: row.take()?,
            amount: row.take()?,
            balance: row.take()?,
            key_hash: row.take()?,
            at: row.take()?,
            note: row.take()?,
            byok: row.take()?,
            waived: row.take()?,
            unsent: row.take()?,
            twin: row.take()?,
            counted_at: None,
        };
        if entry.kind == "correction"
            && let Some(settled) = self.settlement_of(&entry.id)?
        {
            entry.twin = true;
            entry.counted_at = Some(self.counted_at(settled.seq, &settled.key_hash)?);
        }
        Ok(entry)
    }

    fn book_end(&self, now: i64) -> Result<BookEnd, LedgerError> {
        let keys = self.rows(
            "SELECT hash, used, day, used_day, week, used_week, month, used_month,
                byok, byok_day, byok_week, byok_month FROM keys ORDER BY hash",
            &[],
        )?;
        let holds = self.rows(
            "SELECT id, amount, release_at,
                EXISTS (SELECT 1 FROM entries WHERE entries.id = holds.id AND kind IN ('settle', 'void', 'expire')) AS ended
             FROM holds WHERE release_at <= ?1 OR EXISTS
                (SELECT 1 FROM entries WHERE entries.id = holds.id AND kind IN ('settle', 'void', 'expire'))
             ORDER BY release_at, id LIMIT ?2",
            &[
                (now - BookEnd::PATIENCE_MS).into(),
                BookEnd::MAX_HOLDS.into(),
            ],
        )?;
        let counters = |row| {
            let mut row = Columns::of(row);
            Ok(KeyCounters {
                hash: row.take()?,
                ever: row.take()?,
                periods: [
                    (row.take()?, row.take()?),
                    (row.take()?, row.take()?),
                    (row.take()?, row.take()?),
                ],
                byok: [row.take()?, row.take()?, row.take()?, row.take()?],
            })
        };
        let hold = |row| {
            let mut row = Columns::of(row);
            Ok(BookHold {
                id: row.take()?,
                amount: row.take()?,
                release_at: row.take()?,
                ended: row.take()?,
            })
        };
        let keys: Result<Vec<_>, LedgerError> = keys.into_iter().map(counters).collect();
        let holds: Result<Vec<_>, LedgerError> = holds.into_iter().map(hold).collect();
        Ok(BookEnd {
            keys: keys?,
            holds: holds?,
            now,
        })
    }
}
