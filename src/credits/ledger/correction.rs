//! What a settled request costs after all: the price was wrong, and entries are never changed.
//!
//! In scope: the `correction` entry, its effect on the balance and on the key's counters, and the list of entries. Out of scope: who
//! may post one (`api::admin`), D1's copy (`usage::d1`).
//!
//! A correction names the request and the cost that it should have had; the ledger writes the difference to what it costs so far, so two
//! corrections under different reasons follow one another. Request and reason are the correction's id: a repeat answers what
//! the first did.

use super::finish::Finish;
use super::{Entry, Facts, Ledger, LedgerError, time, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{Correct, Corrected, Entries, EntryView, Outcome};
use crate::credits::sql::{Columns, Sql};

/// The most entries in one answer.
pub const MAX_ENTRIES: i64 = 200;

impl<S: Sql> Ledger<S> {
    /// Charges or gives back the difference between what a settled request costs so far and what it should cost.
    ///
    /// # Errors
    /// When no request was settled under the id, it costs that much already, the reason stands for another cost, or the store fails.
    pub fn correct(&self, request: &Correct, now_ms: i64) -> Result<Corrected, LedgerError> {
        word("id", &request.id)?;
        word("reason", &request.reason)?;
        time("now", now_ms)?;
        if request.cost.is_negative() {
            return Err(LedgerError::Invalid("a cost is not below zero".to_owned()));
        }
        self.transaction(|| {
            let settled = self
                .settlement_of(&request.id)?
                .ok_or(LedgerError::NotSettled)?;
            if let Some(first) = self.correction(request, settled.result.charged)? {
                return if first.cost == request.cost {
                    Ok(first)
                } else {
                    Err(LedgerError::IdReused)
                };
            }
            let before = self.cost(&request.id, settled.result.charged, i64::MAX)?;
            let change = request.cost.checked_sub(before)?;
            if change == Nanos::ZERO {
                return Err(LedgerError::Invalid(
                    "the request costs that much already".to_owned(),
                ));
            }
            let mut key = self
                .key_record(&settled.key_hash)?
                .ok_or(LedgerError::KeyUnknown)?;
            self.memory.set(None);
            key.spent
                .recount(change, self.counted_at(settled.seq, &settled.key_hash)?)?;
            self.write_counters(&key, None)?;
            let before_it = self.balance()?;
            self.use_lots(before_it)?;
            let balance = before_it.checked_sub(change)?;
            self.enter(&Entry {
                id: &request.id,
                kind: "correction",
                amount: change.negated(),
                balance,
                held: None,
                key_hash: Some(&settled.key_hash),
                at: now_ms,
                note: Some(&request.reason),
                facts: Facts::default(),
            })?;
            self.use_lots(balance)?;
            Ok(Corrected {
                before,
                cost: request.cost,
                balance,
                at: now_ms,
            })
        })
    }

    /// The account's entries, the newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn entries(&self, request: &Entries) -> Result<Vec<EntryView>, LedgerError> {
        self.rows(
            "SELECT seq, id, kind, amount, balance, held, key_hash, at, note FROM entries WHERE seq < ?
             ORDER BY seq DESC LIMIT ?",
            &[
                request.before.unwrap_or(crate::credits::money::MAX_NANOS).into(),
                request.max.clamp(0, MAX_ENTRIES).into(),
            ],
        )?
        .into_iter()
        .map(|row| {
            let mut row = Columns::of(row);
            Ok(EntryView {
                seq: row.take()?,
                id: row.take()?,
                kind: row.take()?,
                amount: row.take()?,
                balance: row.take()?,
                held: row.take()?,
                key_hash: row.take()?,
                at: row.take()?,
                note: row.take()?,
            })
        })
        .collect()
    }

    /// The settlement under this id, late ones included.
    pub(super) fn settlement_of(&self, id: &str) -> Result<Option<Finish>, LedgerError> {
        let finish = self.finish_of(id)?;
        Ok(finish.filter(|finish| finish.result.outcome == Outcome::Settled))
    }

    /// What was answered to this correction when it was first posted.
    fn correction(
        &self,
        request: &Correct,
        charged: Nanos,
    ) -> Result<Option<Corrected>, LedgerError> {
        let first = self.row(
            "SELECT seq, amount, balance, at FROM entries WHERE id = ? AND kind = 'correction' AND note = ?",
            &[request.id.as_str().into(), request.reason.as_str().into()],
        )?;
        let Some(mut row) = first else {
            return Ok(None);
        };
        let seq: i64 = row.take()?;
        let amount: Nanos = row.take()?;
        let before = self.cost(&request.id, charged, seq)?;
        Ok(Some(Corrected {
            before,
            cost: before.checked_sub(amount)?,
            balance: row.take()?,
            at: row.take()?,
        }))
    }

    /// What the request costs by the entries before `seq`.
    fn cost(&self, id: &str, charged: Nanos, seq: i64) -> Result<Nanos, LedgerError> {
        let corrected = self.row(
            "SELECT COALESCE(SUM(amount), 0) FROM entries WHERE id = ? AND kind = 'correction' AND seq < ?",
            &[id.into(), seq.min(crate::credits::money::MAX_NANOS).into()],
        )?;
        let corrected: Nanos = corrected.map_or(Ok(Nanos::ZERO), |mut row| row.take())?;
        Ok(charged.checked_sub(corrected)?)
    }

    /// The time whose periods a settlement was counted in: a clock that steps back stays in the newer period.
    pub(super) fn counted_at(&self, seq: i64, key_hash: &str) -> Result<i64, LedgerError> {
        let row = self.row(
            "SELECT MAX(at) FROM entries WHERE seq <= ? AND key_hash = ? AND kind IN ('settle', 'late_settle')",
            &[seq.into(), key_hash.into()],
        )?;
        Ok(row.ok_or(LedgerError::NotSettled)?.take()?)
    }
}
