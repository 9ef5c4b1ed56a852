//! Admission: the one place that decides whether a request may spend.
//!
//! There is no way around it: no trusted account, no free model and no repeated id skips it (P34, P43).

use super::{Ledger, LedgerError, time, usage_row, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{Hold, HoldReply, Refusal};
use crate::credits::sql::Sql;

use super::keys::{KeyRecord, key_columns};

/// The longest that a hold may last without being settled.
pub const MAX_HOLD_TTL_MS: i64 = 3_600_000;

/// What a decision needs, read in one statement.
struct Position {
    balance: Nanos,
    held: Nanos,
    held_by_key: Nanos,
    /// Amount and key of the hold that is already open under this id.
    open: Option<(Nanos, String)>,
    finished: bool,
    key: KeyRecord,
}

impl<S: Sql> Ledger<S> {
    /// Reserves the amount, or says why not.
    ///
    /// Two statements, of which one writes: atomic without a transaction.
    ///
    /// # Errors
    /// When the request is malformed, the id stands for another hold, or the store fails.
    pub fn hold(&self, request: &Hold, now_ms: i64) -> Result<HoldReply, LedgerError> {
        word("id", &request.id)?;
        word("key_hash", &request.key_hash)?;
        time("now", now_ms)?;
        let draft = usage_row(&request.row)?;
        if request.amount.is_negative() {
            return Err(LedgerError::Invalid("a hold is not below zero".to_owned()));
        }
        if request.ttl_ms < 1 || request.ttl_ms > MAX_HOLD_TTL_MS {
            return Err(LedgerError::Invalid(format!(
                "a hold lasts 1 to {MAX_HOLD_TTL_MS} ms"
            )));
        }
        let mut decision = self.decide(request, now_ms)?;
        if decision.wants_money() && self.expire(now_ms)?.released > 0 {
            // The alarm is late: what it should have released counts no longer.
            decision = self.decide(request, now_ms)?;
        }
        match decision {
            Decision::Answer(reply) => Ok(reply),
            Decision::Admit { available } => {
                self.rows(
                    "INSERT INTO holds (id, key_hash, amount, release_at, draft) VALUES (?, ?, ?, ?, ?)",
                    &[
                        request.id.as_str().into(),
                        request.key_hash.as_str().into(),
                        request.amount.into(),
                        (now_ms + request.ttl_ms).into(),
                        draft.into(),
                    ],
                )?;
                Ok(HoldReply::Granted { available })
            }
        }
    }

    fn decide(&self, request: &Hold, now_ms: i64) -> Result<Decision, LedgerError> {
        let Some(position) = self.position(request)? else {
            return Ok(Decision::refuse(Refusal::KeyUnknown));
        };
        let available = position.balance.checked_sub(position.held)?;
        if let Some((amount, key_hash)) = position.open {
            return if amount == request.amount && key_hash == request.key_hash {
                Ok(Decision::Answer(HoldReply::Granted { available }))
            } else {
                Err(LedgerError::IdReused)
            };
        }
        if position.finished {
            return self.finished_hold(request).map(Decision::refuse);
        }
        if let Some(refusal) = position.key.unusable(now_ms) {
            return Ok(Decision::refuse(refusal));
        }
        // The tighter of the two is told: a request that fits it is granted.
        if let Some(unspent) = position.key.unspent(now_ms)? {
            let remaining = unspent.checked_sub(position.held_by_key)?;
            if request.amount > remaining && remaining < available {
                return Ok(Decision::refuse(Refusal::KeyLimit {
                    remaining,
                    resets_at: position.key.resets_at(now_ms),
                }));
            }
        }
        if request.amount > available {
            return Ok(Decision::refuse(Refusal::InsufficientCredits { available }));
        }
        Ok(Decision::Admit {
            available: available.checked_sub(request.amount)?,
        })
    }

    fn position(&self, request: &Hold) -> Result<Option<Position>, LedgerError> {
        let row = self.row(
            concat!(
                "SELECT (SELECT balance FROM entries ORDER BY seq DESC LIMIT 1),
                    (SELECT COALESCE(SUM(amount), 0) FROM holds),
                    (SELECT COALESCE(SUM(amount), 0) FROM holds WHERE key_hash = ?1),
                    (SELECT amount FROM holds WHERE id = ?2),
                    (SELECT key_hash FROM holds WHERE id = ?2),
                    EXISTS (SELECT 1 FROM entries WHERE id = ?2 AND kind IN ('settle', 'void', 'expire')), ",
                key_columns!(),
                " FROM keys WHERE hash = ?1"
            ),
            &[request.key_hash.as_str().into(), request.id.as_str().into()],
        )?;
        let Some(mut row) = row else { return Ok(None) };
        let balance = row.take::<Option<Nanos>>()?.unwrap_or_default();
        let (held, held_by_key) = (row.take()?, row.take()?);
        let open_amount: Option<Nanos> = row.take()?;
        let open_key: Option<String> = row.take()?;
        Ok(Some(Position {
            balance,
            held,
            held_by_key,
            open: open_amount.zip(open_key),
            finished: row.take()?,
            key: KeyRecord::read(&mut row)?,
        }))
    }

    /// The refusal of an id whose request has ended.
    fn finished_hold(&self, request: &Hold) -> Result<Refusal, LedgerError> {
        let finish = self
            .finish_of(&request.id)?
            .ok_or(LedgerError::UnknownHold)?;
        let same = finish.key_hash == request.key_hash
            && finish.held.is_none_or(|held| held == request.amount);
        if same {
            Ok(Refusal::Finished {
                outcome: finish.result.outcome,
            })
        } else {
            Err(LedgerError::IdReused)
        }
    }
}

enum Decision {
    Answer(HoldReply),
    Admit { available: Nanos },
}

impl Decision {
    fn refuse(refusal: Refusal) -> Self {
        Self::Answer(HoldReply::Refused(refusal))
    }

    /// Whether other holds stand in the way.
    fn wants_money(&self) -> bool {
        matches!(
            self,
            Self::Answer(HoldReply::Refused(
                Refusal::InsufficientCredits { .. } | Refusal::KeyLimit { .. }
            ))
        )
    }
}
