//! How a request ends: settle, void, expire, and the settlement that comes late.
//!
//! The argument for each case is at the top of [`super`].

use super::keys::{KeyRecord, key_columns};
use super::{Entry, Ledger, LedgerError, time, usage_row, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{Expired, Finished, Outcome, Settle, Void};
use crate::credits::sql::Sql;

/// Holds released by one call of `expire`: bounds its transaction.
pub const EXPIRE_BATCH: usize = 200;

/// A hold that is still open.
struct OpenHold {
    id: String,
    key_hash: String,
    amount: Nanos,
    draft: String,
}

/// The entry that ended a request.
pub(super) struct Finish {
    pub(super) result: Finished,
    pub(super) key_hash: String,
    /// What was held; nothing for a void that overtook its hold.
    pub(super) held: Option<Nanos>,
    pub(super) seq: i64,
}

impl<S: Sql> Ledger<S> {
    /// Charges the real cost: entry, key counters, outbox row and the end of the hold in one transaction.
    ///
    /// # Errors
    /// When nothing was held under the id, it was settled with another amount, or the store fails.
    pub fn settle(&self, request: &Settle, now_ms: i64) -> Result<Finished, LedgerError> {
        word("id", &request.id)?;
        time("now", now_ms)?;
        let draft = usage_row(&request.row)?;
        if request.amount.is_negative() {
            return Err(LedgerError::Invalid(
                "a settlement is not below zero".to_owned(),
            ));
        }
        self.transaction(|| {
            if let Some((held, balance, key)) = self.paying_hold(&request.id)? {
                let key_hash = key.hash.clone();
                let entry = Closing {
                    id: &request.id,
                    kind: "settle",
                    held: Some(held),
                    key_hash: &key_hash,
                    note: None,
                };
                return self.charge(&entry, (balance, key), request.amount, draft, now_ms);
            }
            let first = self
                .finish_of(&request.id)?
                .ok_or(LedgerError::UnknownHold)?;
            match first.result.outcome {
                Outcome::Expired => {
                    let key = self
                        .key_record(&first.key_hash)?
                        .ok_or(LedgerError::KeyUnknown)?;
                    // Gone already if the flush was quicker: then D1 lets the late row win.
                    self.rows("DELETE FROM outbox WHERE seq = ?", &[first.seq.into()])?;
                    let entry = Closing {
                        id: &request.id,
                        kind: "late_settle",
                        held: None,
                        key_hash: &first.key_hash,
                        note: None,
                    };
                    let payer = (self.balance()?, key);
                    self.charge(&entry, payer, request.amount, draft, now_ms)
                }
                Outcome::Settled if first.result.charged != request.amount => {
                    Err(LedgerError::IdReused)
                }
                Outcome::Settled | Outcome::Voided => Ok(first.result),
            }
        })
    }

    /// Releases the hold without a charge. What has ended already stays as it ended.
    ///
    /// # Errors
    /// When the hold belongs to another key, the account is not open, or the store fails.
    pub fn void(&self, request: &Void, now_ms: i64) -> Result<Finished, LedgerError> {
        word("id", &request.id)?;
        word("key_hash", &request.key_hash)?;
        time("now", now_ms)?;
        let draft = usage_row(&request.row)?;
        self.transaction(|| {
            let held = match self.open_hold(&request.id)? {
                Some(hold) if hold.key_hash != request.key_hash => {
                    return Err(LedgerError::IdReused);
                }
                Some(hold) => Some(hold.amount),
                None => {
                    if let Some(first) = self.finish_of(&request.id)? {
                        return Ok(first.result);
                    }
                    // Overtook its hold: recorded, so that the hold is refused when it comes.
                    self.key_record(&request.key_hash)?
                        .ok_or(LedgerError::KeyUnknown)?;
                    None
                }
            };
            let note = Some(request.reason.as_str()).filter(|reason| !reason.is_empty());
            let entry = Closing {
                id: &request.id,
                kind: "void",
                held,
                key_hash: &request.key_hash,
                note,
            };
            self.close(&entry, (self.balance()?, Nanos::ZERO), draft, now_ms)
        })
    }

    /// Releases the holds whose time is over, the oldest first, at most [`EXPIRE_BATCH`] of them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn expire(&self, now_ms: i64) -> Result<Expired, LedgerError> {
        time("now", now_ms)?;
        let due = self.due_holds(now_ms)?;
        if due.is_empty() {
            return Ok(Expired {
                released: 0,
                more: false,
            });
        }
        self.transaction(|| {
            for hold in due.iter().take(EXPIRE_BATCH) {
                let entry = Closing {
                    id: &hold.id,
                    kind: "expire",
                    held: Some(hold.amount),
                    key_hash: &hold.key_hash,
                    note: None,
                };
                let before = (self.balance()?, Nanos::ZERO);
                self.close(&entry, before, &hold.draft, now_ms)?;
            }
            Ok(())
        })?;
        Ok(Expired {
            released: due.len().min(EXPIRE_BATCH),
            more: due.len() > EXPIRE_BATCH,
        })
    }

    /// How the request under this id ended, if it has.
    pub(super) fn finish_of(&self, id: &str) -> Result<Option<Finish>, LedgerError> {
        let late = "SELECT seq, kind, amount, balance, held, key_hash, at FROM entries WHERE id = ? AND kind = 'late_settle'";
        let first = "SELECT seq, kind, amount, balance, held, key_hash, at FROM entries WHERE id = ? AND kind IN ('settle', 'void', 'expire')";
        let Some(mut finish) = self.read_finish(first, id)? else {
            return Ok(None);
        };
        if finish.result.outcome == Outcome::Expired
            && let Some(late) = self.read_finish(late, id)?
        {
            finish = Finish {
                held: finish.held,
                ..late
            };
        }
        Ok(Some(finish))
    }

    fn read_finish(&self, sql: &str, id: &str) -> Result<Option<Finish>, LedgerError> {
        let Some(mut row) = self.row(sql, &[id.into()])? else {
            return Ok(None);
        };
        let seq = row.take()?;
        let outcome = outcome_of(&row.take::<String>()?);
        let amount: Nanos = row.take()?;
        let balance = row.take()?;
        let (held, key_hash, at) = (row.take()?, row.take()?, row.take()?);
        Ok(Some(Finish {
            result: Finished {
                outcome,
                charged: amount.negated(),
                balance,
                at,
            },
            key_hash,
            held,
            seq,
        }))
    }

    /// Closes the request with a charge and counts it against the key.
    fn charge(
        &self,
        entry: &Closing<'_>,
        (balance, mut key): (Nanos, KeyRecord),
        amount: Nanos,
        draft: &str,
        now_ms: i64,
    ) -> Result<Finished, LedgerError> {
        key.count(amount, now_ms)?;
        self.write_counters(&key)?;
        self.close(entry, (balance, amount), draft, now_ms)
    }

    /// The end of a request: its hold goes, its entry and its outbox row come. Runs inside the transaction that read the balance
    /// `before`.
    fn close(
        &self,
        closing: &Closing<'_>,
        (before, charged): (Nanos, Nanos),
        draft: &str,
        now_ms: i64,
    ) -> Result<Finished, LedgerError> {
        self.rows("DELETE FROM holds WHERE id = ?", &[closing.id.into()])?;
        let balance = before.checked_sub(charged)?;
        let seq = self.enter(&Entry {
            id: closing.id,
            kind: closing.kind,
            amount: charged.negated(),
            balance,
            held: closing.held,
            key_hash: Some(closing.key_hash),
            at: now_ms,
            note: closing.note,
        })?;
        self.rows(
            "INSERT INTO outbox (seq, draft) VALUES (?, ?)",
            &[seq.into(), draft.into()],
        )?;
        Ok(Finished {
            outcome: outcome_of(closing.kind),
            charged,
            balance,
            at: now_ms,
        })
    }

    fn open_hold(&self, id: &str) -> Result<Option<OpenHold>, LedgerError> {
        self.row(
            "SELECT id, key_hash, amount, draft FROM holds WHERE id = ?",
            &[id.into()],
        )?
        .map(|mut row| {
            Ok(OpenHold {
                id: row.take()?,
                key_hash: row.take()?,
                amount: row.take()?,
                draft: row.take()?,
            })
        })
        .transpose()
    }

    /// What an open hold holds, the balance, and the key that pays.
    fn paying_hold(&self, id: &str) -> Result<Option<(Nanos, Nanos, KeyRecord)>, LedgerError> {
        // Not a join: SQLite would plan it anew at each run.
        let row = self.row(
            concat!(
                "SELECT (SELECT amount FROM holds WHERE id = ?1),
                    (SELECT balance FROM entries ORDER BY seq DESC LIMIT 1), ",
                key_columns!(),
                " FROM keys WHERE hash = (SELECT key_hash FROM holds WHERE id = ?1)"
            ),
            &[id.into()],
        )?;
        row.map(|mut row| {
            let held = row.take()?;
            let balance = row.take::<Option<Nanos>>()?.unwrap_or_default();
            Ok((held, balance, KeyRecord::read(&mut row)?))
        })
        .transpose()
    }

    /// One more than a batch, so that the caller knows whether more are due.
    fn due_holds(&self, now_ms: i64) -> Result<Vec<OpenHold>, LedgerError> {
        let limit = i64::try_from(EXPIRE_BATCH + 1).map_err(|_| LedgerError::OutOfRange)?;
        self.rows(
            "SELECT id, key_hash, amount, draft FROM holds WHERE release_at <= ? ORDER BY release_at, id LIMIT ?",
            &[now_ms.into(), limit.into()],
        )?
        .into_iter()
        .map(|row| {
            let mut row = crate::credits::sql::Columns::of(row);
            Ok(OpenHold { id: row.take()?, key_hash: row.take()?, amount: row.take()?, draft: row.take()? })
        })
        .collect()
    }
}

/// The entry that closes a request, before its amount is known.
struct Closing<'a> {
    id: &'a str,
    kind: &'static str,
    held: Option<Nanos>,
    key_hash: &'a str,
    note: Option<&'a str>,
}

/// What an entry of this kind tells the caller.
pub(super) fn outcome_of(kind: &str) -> Outcome {
    match kind {
        "void" => Outcome::Voided,
        "expire" => Outcome::Expired,
        _ => Outcome::Settled,
    }
}
