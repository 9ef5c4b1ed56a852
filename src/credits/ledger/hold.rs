//! Admission: the one place that decides whether a request may spend.
//!
//! There is no way around it: no trusted account, no free model and no repeated id skips it (P34, P43). The rules, in the order in which a
//! refusal is told: the key, limits of pace, budgets, the key's own limit and the balance, what requests in flight may hold.

use super::keys::{KeyRecord, key_columns};
use super::pace::{Admitted, Count, Window};
use super::rules::{Free, Memory, Open, Spender};
use super::tally::Spend;
use super::{Ledger, LedgerError, time, usage_row, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{BudgetState, Hold, HoldReply, Limits, Pace, Refusal, TooSoon};
use crate::credits::periods::Reset;
use crate::credits::sql::Sql;

/// The longest that a hold may last without being settled.
pub const MAX_HOLD_TTL_MS: i64 = 3_600_000;
/// The most tokens that one request is taken for.
pub const MAX_TOKENS: i64 = 1_000_000_000_000;
/// Seconds after which a place among the requests at the same time may be free.
const CONCURRENT_RETRY_S: u32 = 1;

/// What a decision needs, read in one statement.
struct Position {
    balance: Nanos,
    held: Nanos,
    held_by_key: Nanos,
    /// Amount and key of the hold that is already open under this id.
    open: Option<(Nanos, String)>,
    finished: bool,
    /// When the secret that was sent ends.
    secret_ends_at: Option<i64>,
    key: KeyRecord,
}

impl<S: Sql> Ledger<S> {
    /// Reserves the amount, or says why not.
    ///
    /// Two statements, of which one writes: atomic without a transaction. What the object has to read again, budgets and limits of
    /// requests at the same time cost a further look; a request of free models counts in the account's row.
    ///
    /// # Errors
    /// When the request is malformed, the id stands for another hold, or the store fails.
    pub fn hold(&self, request: &Hold, now_ms: i64) -> Result<HoldReply, LedgerError> {
        self.hold_and(request, None, now_ms)
    }

    /// The same, and where the amount is reserved now, `also` is written with it in one transaction.
    pub(super) fn hold_and(
        &self,
        request: &Hold,
        also: Option<&dyn Fn() -> Result<(), LedgerError>>,
        now_ms: i64,
    ) -> Result<HoldReply, LedgerError> {
        check(request, now_ms)?;
        let draft = usage_row(&request.row)?;
        let mut memory = self.memory.take().unwrap_or_default();
        let mut decision = self.decide(request, &mut memory, now_ms)?;
        if decision.wants_room() && self.expire(now_ms)?.released > 0 {
            // The alarm is late: what it should have released counts no longer.
            decision = self.decide(request, &mut memory, now_ms)?;
        }
        let reply = match decision {
            Decision::Answer(reply) => reply,
            Decision::Admit {
                amount,
                available,
                free,
            } => {
                match (&free, also) {
                    (None, None) => self.open_hold_of(request, amount, draft, now_ms)?,
                    _ => self.transaction(|| {
                        self.open_hold_of(request, amount, draft, now_ms)?;
                        if let Some(free) = &free {
                            self.rows(
                                "UPDATE account SET free_day = ?, free_used = ?",
                                &[free.day.into(), free.used.saturating_add(1).into()],
                            )?;
                        }
                        also.map_or(Ok(()), |also| also())
                    })?,
                }
                if let Some(paces) = &mut memory.paces {
                    paces.add(&Admitted {
                        key_hash: &request.key_hash,
                        began: now_ms,
                        tokens: request.tokens,
                        free: request.free,
                    });
                }
                HoldReply::Granted { available }
            }
        };
        self.memory.set(Some(memory));
        Ok(reply)
    }

    fn open_hold_of(
        &self,
        request: &Hold,
        amount: Nanos,
        draft: &str,
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        self.rows(
            "INSERT INTO holds (id, key_hash, amount, release_at, member, began, tokens, byok, free, draft)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                request.id.as_str().into(),
                request.key_hash.as_str().into(),
                amount.into(),
                (now_ms + request.ttl_ms).into(),
                request.member.as_deref().into(),
                now_ms.into(),
                request.tokens.into(),
                request.byok.into(),
                request.free.into(),
                draft.into(),
            ],
        )?;
        Ok(())
    }

    pub(super) fn decide(
        &self,
        request: &Hold,
        memory: &mut Memory,
        now_ms: i64,
    ) -> Result<Decision, LedgerError> {
        let Some(position) = self.position(request)? else {
            return Ok(Decision::refuse(Refusal::KeyUnknown));
        };
        let available = position.balance.checked_sub(position.held)?;
        if let Some((amount, key_hash)) = position.open {
            return if is_of(request, amount) && key_hash == request.key_hash {
                Ok(Decision::Answer(HoldReply::Granted { available }))
            } else {
                Err(LedgerError::IdReused)
            };
        }
        if position.finished {
            return self.finished_hold(request).map(Decision::refuse);
        }
        if position.secret_ends_at.is_some_and(|at| at <= now_ms) {
            return Ok(Decision::refuse(Refusal::SecretReplaced));
        }
        if let Some(refusal) = position.key.unusable(now_ms) {
            return Ok(Decision::refuse(refusal));
        }
        let free = match request.free {
            true => Some(self.free_models(now_ms)?),
            false => None,
        };
        let open = self.open_for(request, &position, memory)?;
        let in_flight = open.unwrap_or_default();
        if let Some(soon) = self.too_soon(request, &position, &in_flight, &free, memory, now_ms)? {
            return Ok(Decision::refuse(Refusal::TooSoon(soon)));
        }
        let amount = self.amount(request, &in_flight, memory, now_ms)?;
        if let Some(state) =
            self.beyond_budget(request, amount, &position, &in_flight, memory, now_ms)?
        {
            return Ok(Decision::refuse(Refusal::Budget(Box::new(state))));
        }
        if let Some(refusal) = self.beyond_money(request, amount, &position, available, now_ms)? {
            return Ok(Decision::refuse(refusal));
        }
        Ok(Decision::Admit {
            amount,
            available: available.checked_sub(amount)?,
            free,
        })
    }

    /// What open holds hold, where a rule asks for it.
    fn open_for(
        &self,
        request: &Hold,
        position: &Position,
        memory: &mut Memory,
    ) -> Result<Option<Open>, LedgerError> {
        let member = request.member.as_deref();
        let rules = self.rules(&mut memory.rules)?;
        let key = position.key.limits.over(self.terms.key);
        let wanted = key.concurrent.is_some()
            || rules.limits.concurrent.is_some()
            || rules.of(&request.key_hash, member).next().is_some()
            || (request.byok_fee > Nanos::ZERO && self.terms.byok_allowance > Nanos::ZERO);
        wanted
            .then(|| self.open_holds(&request.key_hash, member))
            .transpose()
    }

    /// The amount to reserve: without the fee for the account's own provider keys where the month's allowance covers it.
    fn amount(
        &self,
        request: &Hold,
        open: &Open,
        memory: &mut Memory,
        now_ms: i64,
    ) -> Result<Nanos, LedgerError> {
        if request.byok_fee == Nanos::ZERO {
            return Ok(request.amount);
        }
        let left = self.allowance(memory, now_ms)?.checked_sub(open.all.byok)?;
        if left < request.byok || self.terms.byok_allowance == Nanos::ZERO {
            return Ok(request.amount);
        }
        Ok(request.amount.checked_sub(request.byok_fee)?)
    }

    /// What is left of the month's inference without a fee; below zero when it is used up.
    pub(super) fn allowance(&self, memory: &mut Memory, now_ms: i64) -> Result<Nanos, LedgerError> {
        let allowance = self.terms.byok_allowance;
        if allowance == Nanos::ZERO {
            return Ok(Nanos::ZERO);
        }
        let tally = self.known_tally(&mut memory.tallies, None, now_ms)?;
        let used = tally.of(Some(Reset::Monthly), now_ms).byok;
        Ok(allowance.checked_sub(used)?)
    }

    /// The limit of pace that the request does not fit under: the one that takes longest.
    fn too_soon(
        &self,
        request: &Hold,
        position: &Position,
        open: &Open,
        free: &Option<Free>,
        memory: &mut Memory,
        now_ms: i64,
    ) -> Result<Option<TooSoon>, LedgerError> {
        let account = self.rules(&mut memory.rules)?.limits;
        let key = position.key.limits.over(self.terms.key);
        if let Some(free) = free
            && free.limit > 0
            && free.used >= free.limit
        {
            let what = match free.is_paid {
                true => Pace::FreePerDayPaid,
                false => Pace::FreePerDay,
            };
            let soon = Limit {
                of_key: false,
                what,
                limit: free.limit,
                needed: 1,
            };
            let at = Reset::Daily.next(free.day);
            return Ok(Some(soon.reached(free.used, Some(at), now_ms)));
        }
        let mut soon = Vec::new();
        for (of_key, limits, count) in [
            (true, &key, open.count_of_key),
            (false, &account, open.count),
        ] {
            if let Some(limit) = limits.concurrent.filter(|limit| count >= *limit) {
                let limit = Limit {
                    of_key,
                    what: Pace::Concurrent,
                    limit,
                    needed: 1,
                };
                soon.push(limit.reached(count, None, now_ms));
            }
        }
        let per_minute = free.as_ref().map_or(0, |_| self.terms.free.per_minute);
        let paced = |limits: &Limits| limits.requests.or(limits.tokens).is_some();
        if per_minute == 0 && !paced(&key) && !paced(&account) {
            return Ok(soon.pop());
        }
        let paces = self.paces(&mut memory.paces, &request.key_hash, now_ms)?;
        let free_limit = Some(per_minute).filter(|limit| *limit > 0);
        for (of_key, what, limit, count, window) in [
            (
                false,
                Pace::FreePerMinute,
                free_limit,
                Count::Requests,
                Some(paces.free()),
            ),
            (
                false,
                Pace::Requests,
                account.requests,
                Count::Requests,
                Some(paces.account()),
            ),
            (
                false,
                Pace::Tokens,
                account.tokens,
                Count::Tokens,
                Some(paces.account()),
            ),
            (
                true,
                Pace::Requests,
                key.requests,
                Count::Requests,
                paces.key(&request.key_hash),
            ),
            (
                true,
                Pace::Tokens,
                key.tokens,
                Count::Tokens,
                paces.key(&request.key_hash),
            ),
        ] {
            let needed = match count {
                Count::Requests => 1,
                Count::Tokens => request.tokens,
            };
            let used = window.map_or(0, |window| window.used(count));
            let Some(limit) = limit.filter(|limit| used.saturating_add(needed) > *limit) else {
                continue;
            };
            let at = window.and_then(|window: &Window| window.fits_at(count, needed, limit));
            let limit = Limit {
                of_key,
                what,
                limit,
                needed,
            };
            soon.push(limit.reached(used, at, now_ms));
        }
        // What never fits is told first, then what takes longest.
        Ok(soon
            .into_iter()
            .max_by_key(|one| (one.retry_after_s.is_none(), one.fits_at)))
    }

    /// The budget that cannot cover the request: the broadest period, and there the one with the least left.
    fn beyond_budget(
        &self,
        request: &Hold,
        amount: Nanos,
        position: &Position,
        open: &Open,
        memory: &mut Memory,
        now_ms: i64,
    ) -> Result<Option<BudgetState>, LedgerError> {
        let member = request.member.as_deref();
        let spender = Spender {
            key: &position.key.spent,
            member,
            open: *open,
        };
        let needed = Spend {
            charged: amount,
            byok: request.byok,
        };
        let Memory { rules, tallies, .. } = memory;
        let rules = self.rules(rules)?;
        let mut beyond: Option<BudgetState> = None;
        for set in rules.of(&request.key_hash, member) {
            let needed = needed.total(set.budget.include_byok)?;
            let state = self.budget_state(set, &spender, tallies, now_ms)?;
            let order = |one: &BudgetState| (breadth(one.budget.reset), one.remaining.negated());
            if needed > state.remaining
                && beyond
                    .as_ref()
                    .is_none_or(|told| order(&state) > order(told))
            {
                beyond = Some(state);
            }
        }
        Ok(beyond)
    }

    /// The key's own limit, the balance, and what requests in flight may hold of it. The tighter of the first two is told: a request
    /// that fits it is granted.
    fn beyond_money(
        &self,
        request: &Hold,
        amount: Nanos,
        position: &Position,
        available: Nanos,
        now_ms: i64,
    ) -> Result<Option<Refusal>, LedgerError> {
        if let Some(unspent) = position.key.unspent(now_ms)? {
            let remaining = unspent.checked_sub(position.held_by_key)?;
            let counted = Spend {
                charged: amount,
                byok: request.byok,
            };
            let counted = counted.total(position.key.include_byok)?;
            let is_tighter = remaining < available || amount <= available;
            if counted > remaining && is_tighter {
                return Ok(Some(Refusal::KeyLimit {
                    remaining,
                    resets_at: position.key.resets_at(now_ms),
                }));
            }
        }
        if amount > available {
            return Ok(Some(Refusal::InsufficientCredits {
                available,
                in_flight: amount <= position.balance,
            }));
        }
        let Some(budget) = self.terms.in_flight.budget(position.balance)? else {
            return Ok(None);
        };
        let after = position.held.checked_add(amount)?;
        Ok(
            (amount > Nanos::ZERO && after > budget).then_some(Refusal::InFlightBudget {
                budget,
                held: position.held,
                too_heavy: amount > budget,
            }),
        )
    }

    fn position(&self, request: &Hold) -> Result<Option<Position>, LedgerError> {
        let row = self.row(
            concat!(
                "SELECT (SELECT balance FROM entries ORDER BY seq DESC LIMIT 1),
                    (SELECT COALESCE(SUM(amount), 0) FROM holds),
                    (SELECT COALESCE(SUM(amount + holds.byok * include_byok), 0) FROM holds WHERE key_hash = ?1),
                    (SELECT amount FROM holds WHERE id = ?2),
                    (SELECT key_hash FROM holds WHERE id = ?2),
                    EXISTS (SELECT 1 FROM entries WHERE id = ?2 AND kind IN ('settle', 'void', 'expire')),
                    (SELECT ends_at FROM ended_secrets WHERE ended_secrets.hash = ?3), ",
                key_columns!(),
                " FROM keys WHERE hash = ?1"
            ),
            &[
                request.key_hash.as_str().into(),
                request.id.as_str().into(),
                request.secret.as_deref().into(),
            ],
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
            secret_ends_at: row.take()?,
            key: KeyRecord::read(&mut row)?,
        }))
    }

    /// The refusal of an id whose request has ended.
    fn finished_hold(&self, request: &Hold) -> Result<Refusal, LedgerError> {
        let finish = self
            .finish_of(&request.id)?
            .ok_or(LedgerError::UnknownHold)?;
        let same = finish.key_hash == request.key_hash
            && finish.held.is_none_or(|held| is_of(request, held));
        if same {
            Ok(Refusal::Finished {
                outcome: finish.result.outcome,
            })
        } else {
            Err(LedgerError::IdReused)
        }
    }
}

/// Refuses what is no hold.
fn check(request: &Hold, now_ms: i64) -> Result<(), LedgerError> {
    word("id", &request.id)?;
    word("key_hash", &request.key_hash)?;
    time("now", now_ms)?;
    let invalid = |why: &str| Err(LedgerError::Invalid(why.to_owned()));
    if request.amount.is_negative() || request.byok.is_negative() {
        return invalid("a hold is not below zero");
    }
    if request.byok_fee.is_negative() || request.byok_fee > request.amount {
        return invalid("a fee is a part of its hold");
    }
    if !(0..=MAX_TOKENS).contains(&request.tokens) {
        return invalid("a number of tokens is out of range");
    }
    if request.ttl_ms < 1 || request.ttl_ms > MAX_HOLD_TTL_MS {
        return Err(LedgerError::Invalid(format!(
            "a hold lasts 1 to {MAX_HOLD_TTL_MS} ms"
        )));
    }
    Ok(())
}

/// Whether the amount was held for this request: all of it, or all but the fee that the allowance covered.
fn is_of(request: &Hold, amount: Nanos) -> bool {
    let without_fee = request.amount.checked_sub(request.byok_fee);
    amount == request.amount || Ok(amount) == without_fee
}

fn breadth(reset: Option<Reset>) -> u8 {
    match reset {
        None => 3,
        Some(Reset::Monthly) => 2,
        Some(Reset::Weekly) => 1,
        Some(Reset::Daily) => 0,
    }
}

/// A limit of pace and what a request needs of it.
struct Limit {
    of_key: bool,
    what: Pace,
    limit: i64,
    needed: i64,
}

impl Limit {
    /// The refusal, where so much is used and the request fits at `fits_at`.
    fn reached(self, used: i64, fits_at: Option<i64>, now_ms: i64) -> TooSoon {
        let wait_s = |at: i64| {
            let seconds = (at - now_ms).max(1).saturating_add(999) / 1_000;
            u32::try_from(seconds).unwrap_or(u32::MAX)
        };
        let retry_after_s = match self.what {
            Pace::Concurrent => Some(CONCURRENT_RETRY_S),
            _ => fits_at.map(wait_s),
        };
        TooSoon {
            of_key: self.of_key,
            what: self.what,
            limit: self.limit,
            remaining: self.limit.saturating_sub(used).max(0),
            needed: self.needed,
            fits_at,
            retry_after_s,
        }
    }
}

/// What is decided of a request.
pub(super) enum Decision {
    Answer(HoldReply),
    Admit {
        /// What is reserved.
        amount: Nanos,
        available: Nanos,
        /// What was asked of free models so far, where this is one more.
        free: Option<Free>,
    },
}

impl Decision {
    fn refuse(refusal: Refusal) -> Self {
        Self::Answer(HoldReply::Refused(refusal))
    }

    /// Whether other holds stand in the way.
    fn wants_room(&self) -> bool {
        let Self::Answer(HoldReply::Refused(refusal)) = self else {
            return false;
        };
        match refusal {
            Refusal::InsufficientCredits { .. }
            | Refusal::KeyLimit { .. }
            | Refusal::InFlightBudget { .. }
            | Refusal::Budget(_) => true,
            Refusal::TooSoon(soon) => soon.what == Pace::Concurrent,
            _ => false,
        }
    }
}
