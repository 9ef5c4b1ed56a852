//! Usage rows on their way to D1, and when the object has to wake up for them.
//!
//! A row stays here until D1 has confirmed it, so a crash between D1's write and its confirmation sends it twice: D1 keeps one
//! per id (`usage::d1`).

use serde_json::value::RawValue;

use super::executions::{EXECUTION_LIFE_MS, PRUNE_DELAY_MS};
use super::finish::outcome_of;
use super::{Ledger, LedgerError, time};
use crate::credits::money::Nanos;
use crate::credits::ops::{OutboxAck, OutboxLeft, OutboxPeek, OutboxRow};
use crate::credits::sql::{Columns, Sql};

/// How long a row waits for others to share its D1 statement.
pub const FLUSH_DELAY_MS: i64 = 1_000;
/// The longest wait between two tries while D1 fails.
pub const MAX_RETRY_DELAY_MS: i64 = 60_000;
/// The most rows in one D1 statement.
pub const MAX_FLUSH_ROWS: i64 = 500;
/// The most JSON in one D1 parameter, under D1's limit of a million bytes per value.
pub const MAX_FLUSH_BYTES: usize = 800_000;

impl<S: Sql> Ledger<S> {
    /// The oldest unconfirmed rows that fit in one D1 statement. They stay until [`Ledger::outbox_ack`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_peek(&self, request: &OutboxPeek) -> Result<Vec<OutboxRow>, LedgerError> {
        let rows = self.rows(
            "SELECT outbox.seq, entries.id, account.id, key_hash, kind, amount, at, draft
             FROM outbox JOIN entries ON entries.seq = outbox.seq CROSS JOIN account ORDER BY outbox.seq LIMIT ?",
            &[request.max.clamp(0, MAX_FLUSH_ROWS).into()],
        )?;
        let mut bytes = 0;
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let row = read_row(row)?;
            bytes += row.row.get().len() + OVERHEAD_BYTES;
            if bytes > MAX_FLUSH_BYTES {
                break;
            }
            out.push(row);
        }
        Ok(out)
    }

    /// Forgets rows that D1 has. Unknown ones are ignored: they were forgotten before or replaced.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_ack(&self, request: &OutboxAck) -> Result<OutboxLeft, LedgerError> {
        let seqs = serde_json::to_string(&request.seqs)
            .map_err(|error| LedgerError::Invalid(error.to_string()))?;
        self.transaction(|| {
            self.rows(
                "DELETE FROM outbox WHERE seq IN (SELECT value FROM json_each(?))",
                &[seqs.as_str().into()],
            )?;
            self.rows(
                "UPDATE account SET flush_failures = 0, flush_after = 0 WHERE flush_failures > 0",
                &[],
            )?;
            self.outbox_left()
        })
    }

    /// Waits twice as long as before until the next try, at most [`MAX_RETRY_DELAY_MS`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn outbox_failed(&self, now_ms: i64) -> Result<OutboxLeft, LedgerError> {
        time("now", now_ms)?;
        self.transaction(|| {
            let failures: i64 = self
                .row("SELECT flush_failures FROM account", &[])?
                .ok_or(LedgerError::NotOpen)?
                .take()?;
            let delay = FLUSH_DELAY_MS
                .saturating_mul(1 << failures.clamp(0, 16))
                .min(MAX_RETRY_DELAY_MS);
            self.rows(
                "UPDATE account SET flush_failures = ?, flush_after = ?",
                &[failures.saturating_add(1).into(), (now_ms + delay).into()],
            )?;
            self.outbox_left()
        })
    }

    /// When the object has to wake up by itself: the first hold's end, the next flush, the end of
    /// credits, a threshold to look at, a notice to hand over, a job to ask about, a chain that nobody carries on or executions to forget. Ask after every change.
    ///
    /// # Errors
    /// When the store fails.
    pub fn next_alarm(&self) -> Result<Option<i64>, LedgerError> {
        let row = self.row(
            "SELECT (SELECT MIN(release_at) FROM holds),
                (SELECT at FROM outbox JOIN entries ON entries.seq = outbox.seq ORDER BY outbox.seq LIMIT 1),
                flush_after,
                (SELECT MIN(due_at) FROM lots WHERE remains > 0),
                (SELECT watch_at FROM funding),
                (SELECT MIN(at) FROM notices),
                (SELECT MIN(began) FROM executions),
                (SELECT MIN(deadline) FROM executions WHERE state = 'running'),
                (SELECT MIN(held_until) FROM tasks WHERE held_until IS NOT NULL)
             FROM account",
            &[],
        )?;
        let Some(mut row) = row else { return Ok(None) };
        let release: Option<i64> = row.take()?;
        let oldest: Option<i64> = row.take()?;
        let flush_after: i64 = row.take()?;
        let flush = oldest.map(|at| (at + FLUSH_DELAY_MS).max(flush_after));
        let lapse: Option<i64> = row.take()?;
        let watch: Option<i64> = row.take()?;
        let notice = row.take::<Option<i64>>()?.map(|at| at.max(flush_after));
        let prune = row
            .take::<Option<i64>>()?
            .map(|began| began + EXECUTION_LIFE_MS + PRUNE_DELAY_MS);
        let job: Option<i64> = row.take()?;
        let chain: Option<i64> = row.take()?;
        let due = [release, flush, lapse, watch, notice, prune, job, chain];
        Ok(due.into_iter().flatten().min())
    }

    fn outbox_left(&self) -> Result<OutboxLeft, LedgerError> {
        Ok(OutboxLeft {
            more: self.row("SELECT 1 FROM outbox LIMIT 1", &[])?.is_some(),
        })
    }
}

/// What the ledger's own fields add to a row's JSON, at most.
const OVERHEAD_BYTES: usize = 1_024;

fn read_row(row: Vec<crate::credits::sql::SqlValue>) -> Result<OutboxRow, LedgerError> {
    let mut row = Columns::of(row);
    let (seq, id, account, key_hash) = (row.take()?, row.take()?, row.take()?, row.take()?);
    let status = outcome_of(&row.take::<String>()?);
    let amount: Nanos = row.take()?;
    let finished_at = row.take()?;
    let draft = RawValue::from_string(row.take()?)
        .map_err(|error| LedgerError::Store(error.to_string()))?;
    Ok(OutboxRow {
        seq,
        id,
        account,
        key_hash,
        status,
        cost: amount.negated(),
        finished_at,
        row: draft,
    })
}
