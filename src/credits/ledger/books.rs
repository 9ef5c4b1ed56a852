//! The books as an audit reads them: entries in their order, and beside the last of them the counters and holds.
//!
//! Out of scope: judging them (`books`). What is read here is never what the ledger decides by.

use super::{Ledger, LedgerError, time};
use crate::credits::ops::{
    BookEnd, BookEntry, BookFund, BookHold, BookLot, BookPage, Ended, FreeCount, KeyCounters,
    ReadBooks, ReadFunds,
};
use crate::credits::periods::Reset;
use crate::credits::sql::{Columns, Sql};

/// The most entries in one page.
pub const MAX_BOOK_PAGE: i64 = 1_000;
/// How far a clock may step back, so that a request counts to the day after its own.
const STEP_BACK_MS: i64 = 60_000;

/// Entries of credits, in the words of the index over them.
macro_rules! credits {
    () => {
        "kind IN ('grant', 'purchase', 'coupon', 'refund', 'refund_undone', 'dispute', 'dispute_won', 'lapse')"
    };
}

/// Refunds and disputes, in the words of the index over them.
macro_rules! reversals {
    () => {
        "kind IN ('refund', 'refund_undone', 'dispute', 'dispute_won')"
    };
}

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

    /// What is known of these ids of credits, in their order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read_funds(&self, request: &ReadFunds) -> Result<Vec<BookFund>, LedgerError> {
        let ids = serde_json::to_string(&request.ids)
            .map_err(|error| LedgerError::Invalid(error.to_string()))?;
        let rows = self.rows(
            concat!(
                "WITH back AS MATERIALIZED (SELECT note, -SUM(amount) AS taken, MAX(at) AS changed FROM entries WHERE ",
                credits!(),
                " AND ",
                reversals!(),
                " GROUP BY note)
                SELECT value,
                    (SELECT amount FROM entries WHERE id = value AND kind = 'purchase'),
                    (SELECT amount FROM entries WHERE id = value AND kind = 'coupon'),
                    COALESCE((SELECT taken FROM back WHERE note = value), 0),
                    (SELECT -SUM(amount) FROM entries WHERE ",
                reversals!(),
                " AND kind IN ('refund', 'refund_undone') AND id = value),
                    MAX(COALESCE((SELECT changed FROM back WHERE note = value), 0),
                        COALESCE((SELECT MAX(at) FROM entries WHERE ",
                reversals!(),
                " AND kind IN ('refund', 'refund_undone') AND id = value), 0))
                FROM json_each(?)"
            ),
            &[ids.as_str().into()],
        )?;
        let fund = |row| {
            let mut row = Columns::of(row);
            Ok(BookFund {
                id: row.take()?,
                purchase: row.take()?,
                coupon: row.take()?,
                taken: row.take()?,
                refund: row.take()?,
                changed_at: row.take()?,
            })
        };
        rows.into_iter().map(fund).collect()
    }

    /// Lots that hold other than what their entries say.
    fn wrong_lots(&self) -> Result<Vec<BookLot>, LedgerError> {
        let rows = self.rows(
            concat!(
                "WITH lapses AS MATERIALIZED (SELECT note, id, -SUM(amount) AS amount FROM entries WHERE ",
                credits!(),
                " AND kind = 'lapse' GROUP BY note, id),
                each AS (SELECT kind, id, remains + lapsed + taken AS accounted, lapsed,
                    CASE kind
                        WHEN 'grant' THEN (SELECT amount FROM entries WHERE id = lots.id AND kind = 'grant')
                        WHEN 'purchase' THEN (SELECT amount FROM entries WHERE id = lots.id AND kind = 'purchase')
                        ELSE (SELECT amount FROM entries WHERE id = lots.id AND kind = 'coupon')
                    END AS credits,
                    COALESCE((SELECT amount FROM lapses WHERE lapses.note = lots.kind AND lapses.id = lots.id), 0) AS lapses
                    FROM lots)
                SELECT kind, id, credits, accounted, lapsed, lapses FROM each
                WHERE credits IS NULL OR accounted > credits OR lapsed <> lapses ORDER BY kind, id LIMIT ?"
            ),
            &[BookEnd::MAX_HOLDS.into()],
        )?;
        let lot = |row| {
            let mut row = Columns::of(row);
            Ok(BookLot {
                kind: row.take()?,
                id: row.take()?,
                credits: row.take()?,
                accounted: row.take()?,
                lapsed: row.take()?,
                lapses: row.take()?,
            })
        };
        rows.into_iter().map(lot).collect()
    }

    /// The counter of free models, where it is today's.
    fn free_count(&self, now: i64) -> Result<Option<FreeCount>, LedgerError> {
        let today = Reset::Daily.start(now);
        let row = self.row(
            "SELECT free_day, free_used FROM account WHERE free_day >= ?",
            &[today.into()],
        )?;
        let Some(mut row) = row else { return Ok(None) };
        let (day, counted): (i64, i64) = (row.take()?, row.take()?);
        // A request ends after it began: only entries of the day are looked at.
        let row = self.row(
            "SELECT COUNT(*) FILTER (WHERE began >= ?1 AND kind <> 'void'),
                COUNT(*) FILTER (WHERE began < ?1 OR kind <> 'void') FROM (
                SELECT began, 'hold' AS kind FROM holds WHERE free = 1 AND began >= ?1 - ?2
                UNION ALL
                SELECT began, kind FROM entries WHERE free = 1 AND began >= ?1 - ?2 AND kind IN ('settle', 'void', 'expire')
                    AND seq > COALESCE((SELECT seq FROM entries WHERE at < ?1 - ?2 ORDER BY seq DESC LIMIT 1), 0))",
            &[day.into(), STEP_BACK_MS.into()],
        )?;
        let mut row = row.ok_or(LedgerError::NotOpen)?;
        Ok(Some(FreeCount {
            counted,
            least: row.take()?,
            most: row.take()?,
        }))
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
        let lots = self.row(
            "SELECT (SELECT COALESCE(SUM(remains), 0) FROM lots), lots_balance FROM account",
            &[],
        )?;
        let mut lots = lots.ok_or(LedgerError::NotOpen)?;
        Ok(BookEnd {
            keys: keys?,
            holds: holds?,
            now,
            lots: lots.take()?,
            lots_balance: lots.take()?,
            wrong_lots: self.wrong_lots()?,
            free: self.free_count(now)?,
        })
    }
}
