//! How a request ends: settle, void, expire, and the settlement that comes late.
//!
//! The argument for each case is at the top of [`super`].

use std::borrow::Cow;

use super::hold::MAX_TOKENS;
use super::keys::{KeyRecord, key_columns};
use super::rules::Memory;
use super::tally::Spend;
use super::{Entry, Facts, Ledger, LedgerError, time, usage_row, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{Expired, Finished, Outcome, Settle, Void};
use crate::credits::periods::Reset;
use crate::credits::sql::{Columns, Sql, SqlError};

/// Holds released by one call of `expire`: bounds its transaction.
pub const EXPIRE_BATCH: usize = 200;

/// A hold that is still open.
struct OpenHold {
    id: String,
    key_hash: String,
    amount: Nanos,
    admitted: Admitted,
    member: Option<String>,
    draft: String,
}

/// When a request was admitted, the tokens it was taken for, whether it asked free models.
#[derive(Clone, Copy)]
struct Admitted {
    began: i64,
    tokens: i64,
    free: bool,
}

impl Admitted {
    fn read(row: &mut Columns) -> Result<Self, SqlError> {
        Ok(Self {
            began: row.take()?,
            tokens: row.take()?,
            free: row.take()?,
        })
    }

    /// For the entry that ends the request, which took so many tokens.
    fn facts(self, tokens: i64) -> Facts {
        Facts {
            began: Some(self.began),
            tokens: Some(tokens),
            free: self.free.then_some(true),
            ..Facts::default()
        }
    }
}

/// An open hold about to be settled, and who pays.
struct Paying {
    held: Nanos,
    balance: Nanos,
    admitted: Admitted,
    member: Option<String>,
    key: KeyRecord,
}

/// What a request's end means for what the object remembers.
struct Change {
    key_hash: String,
    member: Option<String>,
    spend: Spend,
    /// When the request was admitted, and by how much its tokens differ from the estimate.
    tokens: Option<(i64, i64)>,
}

/// The entry that ended a request.
pub(super) struct Finish {
    pub(super) result: Finished,
    pub(super) key_hash: String,
    /// What was held; nothing for a void that overtook its hold.
    pub(super) held: Option<Nanos>,
    pub(super) seq: i64,
    /// The part of what was asked that was not charged.
    waived: Nanos,
}

impl Finish {
    /// What the settlement asked for.
    fn asked(&self) -> Result<Nanos, LedgerError> {
        Ok(self.result.charged.checked_add(self.waived)?)
    }
}

impl<S: Sql> Ledger<S> {
    /// Charges the real cost: entry, key counters, outbox row and the end of the hold in one transaction.
    ///
    /// # Errors
    /// When nothing was held under the id, it was settled with another amount, or the store fails.
    pub fn settle(&self, request: &Settle, now_ms: i64) -> Result<Finished, LedgerError> {
        self.settle_and(request, &|_| Ok(()), now_ms)
    }

    /// The same, and `also` is written with it in one transaction, at a repetition too.
    pub(super) fn settle_and(
        &self,
        request: &Settle,
        also: &dyn Fn(&Finished) -> Result<(), LedgerError>,
        now_ms: i64,
    ) -> Result<Finished, LedgerError> {
        word("id", &request.id)?;
        time("now", now_ms)?;
        let draft = usage_row(&request.row)?;
        if request.amount.is_negative() {
            return Err(LedgerError::Invalid(
                "a settlement is not below zero".to_owned(),
            ));
        }
        if request.byok.is_negative()
            || request.byok_fee.is_negative()
            || request.byok_fee > request.amount
        {
            return Err(LedgerError::Invalid(
                "a fee is a part of its settlement".to_owned(),
            ));
        }
        let mut memory = self.memory.take().unwrap_or_default();
        let waived = self.waived(request, &mut memory, now_ms)?;
        let (finished, change) = self.transaction(|| {
            if let Some(paying) = self.paying_hold(&request.id)? {
                let tokens = request.tokens.clamp(0, MAX_TOKENS);
                let admitted = paying.admitted;
                let key_hash = paying.key.hash.clone();
                let entry = Closing {
                    id: &request.id,
                    kind: "settle",
                    held: Some(paying.held),
                    key_hash: &key_hash,
                    note: None,
                    facts: admitted.facts(tokens),
                };
                let member = paying.member;
                let payer = (paying.balance, paying.key, member.as_deref());
                let (finished, spend) =
                    self.charge(entry, payer, (request, waived), draft, now_ms)?;
                let change = Change {
                    spend,
                    member,
                    tokens: Some((admitted.began, tokens - admitted.tokens)),
                    key_hash,
                };
                also(&finished)?;
                return Ok((finished, Some(change)));
            }
            let (finished, change) = self.settle_ended(request, waived, draft, now_ms)?;
            also(&finished)?;
            Ok((finished, change))
        })?;
        if let Some(change) = change {
            remember(&mut memory, change, now_ms)?;
        }
        self.memory.set(Some(memory));
        Ok(finished)
    }

    /// Settles a request that has ended already: its hold expired, or this is a repetition.
    fn settle_ended(
        &self,
        request: &Settle,
        waived: Nanos,
        draft: &str,
        now_ms: i64,
    ) -> Result<(Finished, Option<Change>), LedgerError> {
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
                    facts: Facts::default(),
                };
                let payer = (self.balance()?, key, None);
                let (finished, spend) =
                    self.charge(entry, payer, (request, waived), draft, now_ms)?;
                let member = self.member_of(&first.key_hash)?;
                let change = Change {
                    key_hash: first.key_hash,
                    member,
                    spend,
                    tokens: None,
                };
                Ok((finished, Some(change)))
            }
            Outcome::Settled if first.asked()? != request.amount => Err(LedgerError::IdReused),
            Outcome::Settled | Outcome::Voided => Ok((first.result, None)),
        }
    }

    /// What the month's allowance covers of the fee for the account's own provider keys.
    fn waived(
        &self,
        request: &Settle,
        memory: &mut Memory,
        now_ms: i64,
    ) -> Result<Nanos, LedgerError> {
        if request.byok_fee == Nanos::ZERO || request.byok == Nanos::ZERO {
            return Ok(Nanos::ZERO);
        }
        let left = self.allowance(memory, now_ms)?.max(Nanos::ZERO);
        if left >= request.byok {
            return Ok(request.byok_fee);
        }
        let part = i128::from(request.byok_fee.get()) * i128::from(left.get());
        Ok(Nanos::from_wide(part / i128::from(request.byok.get()))?)
    }

    fn member_of(&self, key_hash: &str) -> Result<Option<String>, LedgerError> {
        let row = self.row("SELECT member FROM keys WHERE hash = ?", &[key_hash.into()])?;
        Ok(row.map_or(Ok(None), |mut row| row.take())?)
    }

    /// Releases the hold without a charge. What has ended already stays as it ended.
    ///
    /// # Errors
    /// When the hold belongs to another key, the account is not open, or the store fails.
    pub fn void(&self, request: &Void, now_ms: i64) -> Result<Finished, LedgerError> {
        self.void_and(request, &|_| Ok(()), now_ms)
    }

    /// The same, and `also` is written with it in one transaction, at a repetition too.
    pub(super) fn void_and(
        &self,
        request: &Void,
        also: &dyn Fn(&Finished) -> Result<(), LedgerError>,
        now_ms: i64,
    ) -> Result<Finished, LedgerError> {
        word("id", &request.id)?;
        word("key_hash", &request.key_hash)?;
        time("now", now_ms)?;
        let draft = usage_row(&request.row)?;
        let mut memory = self.memory.take().unwrap_or_default();
        let (finished, admitted) = self.transaction(|| {
            let (held, admitted) = match self.open_hold(&request.id)? {
                Some(hold) if hold.key_hash != request.key_hash => {
                    return Err(LedgerError::IdReused);
                }
                Some(hold) => (Some(hold.amount), Some(hold.admitted)),
                None => {
                    if let Some(first) = self.finish_of(&request.id)? {
                        also(&first.result)?;
                        return Ok((first.result, None));
                    }
                    // Overtook its hold: recorded, so that the hold is refused when it comes.
                    self.key_record(&request.key_hash)?
                        .ok_or(LedgerError::KeyUnknown)?;
                    (None, None)
                }
            };
            if let Some(Admitted { began, .. }) = admitted.filter(|admitted| admitted.free) {
                // Nobody answered: that takes none of the day's requests.
                self.rows(
                    "UPDATE account SET free_used = MAX(free_used - 1, 0) WHERE free_day = ?",
                    &[Reset::Daily.start(began).into()],
                )?;
            }
            let note = Some(request.reason.as_str()).filter(|reason| !reason.is_empty());
            let entry = Closing {
                id: &request.id,
                kind: "void",
                held,
                key_hash: &request.key_hash,
                note,
                facts: admitted.map(|one| one.facts(0)).unwrap_or_default(),
            };
            let closed = self.close(&entry, (self.balance()?, Nanos::ZERO), draft, now_ms)?;
            also(&closed)?;
            Ok((closed, admitted))
        })?;
        if let (Some(paces), Some(admitted)) = (&mut memory.paces, admitted) {
            paces.correct(&request.key_hash, admitted.began, -admitted.tokens);
        }
        self.memory.set(Some(memory));
        Ok(finished)
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
                    facts: hold.admitted.facts(hold.admitted.tokens),
                };
                if let Some(member) = &hold.member {
                    // For a settlement that comes late: the hold, which knew whose the key is, is gone then.
                    self.rows(
                        "UPDATE keys SET member = ? WHERE hash = ? AND member IS NULL",
                        &[member.as_str().into(), hold.key_hash.as_str().into()],
                    )?;
                }
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
        let late = "SELECT seq, kind, amount, balance, held, key_hash, at, waived FROM entries WHERE id = ? AND kind = 'late_settle'";
        let first = "SELECT seq, kind, amount, balance, held, key_hash, at, waived FROM entries WHERE id = ? AND kind IN ('settle', 'void', 'expire')";
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
        let waived: Option<Nanos> = row.take()?;
        Ok(Some(Finish {
            waived: waived.unwrap_or_default(),
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

    /// Closes the request with a charge, less what is waived, and counts it against the key.
    fn charge(
        &self,
        mut entry: Closing<'_>,
        (balance, mut key, member): (Nanos, KeyRecord, Option<&str>),
        (request, waived): (&Settle, Nanos),
        draft: &str,
        now_ms: i64,
    ) -> Result<(Finished, Spend), LedgerError> {
        let spend = Spend {
            charged: request.amount.checked_sub(waived)?,
            byok: request.byok,
        };
        key.count(spend, now_ms)?;
        self.write_counters(&key, member)?;
        entry.facts.byok = Some(request.byok).filter(|byok| *byok > Nanos::ZERO);
        entry.facts.waived = Some(waived).filter(|waived| *waived > Nanos::ZERO);
        let draft = match entry.facts.waived {
            Some(waived) => Cow::Owned(with_waiver(draft, waived)),
            None => Cow::Borrowed(draft),
        };
        let finished = self.close(&entry, (balance, spend.charged), &draft, now_ms)?;
        Ok((finished, spend))
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
            facts: closing.facts,
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
            "SELECT id, key_hash, amount, began, tokens, free, member, draft FROM holds WHERE id = ?",
            &[id.into()],
        )?
        .map(|mut row| Ok(OpenHold::read(&mut row)?))
        .transpose()
    }

    /// What an open hold holds, the balance, and the key that pays.
    fn paying_hold(&self, id: &str) -> Result<Option<Paying>, LedgerError> {
        // Not a join: SQLite would plan it anew at each run.
        let row = self.row(
            concat!(
                "SELECT (SELECT amount FROM holds WHERE id = ?1), (SELECT balance FROM entries ORDER BY seq DESC LIMIT 1),
                    (SELECT began FROM holds WHERE id = ?1), (SELECT tokens FROM holds WHERE id = ?1),
                    (SELECT free FROM holds WHERE id = ?1), COALESCE((SELECT holds.member FROM holds WHERE id = ?1), keys.member), ",
                key_columns!(),
                " FROM keys WHERE hash = (SELECT key_hash FROM holds WHERE id = ?1)"
            ),
            &[id.into()],
        )?;
        row.map(|mut row| {
            let held = row.take()?;
            let balance = row.take::<Option<Nanos>>()?.unwrap_or_default();
            Ok(Paying {
                held,
                balance,
                admitted: Admitted::read(&mut row)?,
                member: row.take()?,
                key: KeyRecord::read(&mut row)?,
            })
        })
        .transpose()
    }

    /// One more than a batch, so that the caller knows whether more are due.
    fn due_holds(&self, now_ms: i64) -> Result<Vec<OpenHold>, LedgerError> {
        let limit = i64::try_from(EXPIRE_BATCH + 1).map_err(|_| LedgerError::OutOfRange)?;
        self.rows(
            "SELECT id, key_hash, amount, began, tokens, free, member, draft FROM holds WHERE release_at <= ? ORDER BY release_at, id LIMIT ?",
            &[now_ms.into(), limit.into()],
        )?
        .into_iter()
        .map(|row| Ok(OpenHold::read(&mut Columns::of(row))?))
        .collect()
    }
}

impl OpenHold {
    fn read(row: &mut Columns) -> Result<Self, SqlError> {
        Ok(Self {
            id: row.take()?,
            key_hash: row.take()?,
            amount: row.take()?,
            admitted: Admitted::read(row)?,
            member: row.take()?,
            draft: row.take()?,
        })
    }
}

/// Brings what the object remembers up to date with a settlement.
fn remember(memory: &mut Memory, change: Change, now_ms: i64) -> Result<(), LedgerError> {
    if let (Some(paces), Some((began, tokens))) = (&mut memory.paces, change.tokens) {
        paces.correct(&change.key_hash, began, tokens);
    }
    let account = None;
    let of = [Some(account), change.member.map(Some)];
    for name in of.into_iter().flatten() {
        if let Some(tally) = memory.tallies.get_mut(&name) {
            tally.count(change.spend, now_ms)?;
        }
    }
    Ok(())
}

/// The usage row with the fee that was not charged: its charge says what was asked.
fn with_waiver(draft: &str, waived: Nanos) -> String {
    let rest = draft.strip_prefix('{').unwrap_or(draft).trim_start();
    let comma = if rest.starts_with('}') { "" } else { "," };
    format!("{{\"byok_fee_waived\":{}{comma}{rest}", waived.get())
}

/// The entry that closes a request, before its amount is known.
struct Closing<'a> {
    id: &'a str,
    kind: &'static str,
    held: Option<Nanos>,
    key_hash: &'a str,
    note: Option<&'a str>,
    facts: Facts,
}

/// What an entry of this kind tells the caller.
pub(super) fn outcome_of(kind: &str) -> Outcome {
    match kind {
        "void" => Outcome::Voided,
        "expire" => Outcome::Expired,
        _ => Outcome::Settled,
    }
}
