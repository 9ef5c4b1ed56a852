//! Credits that come in (grants, purchases, coupons) and go back (refunds, disputes).
//!
//! # Any order, any repetition
//!
//! A payment provider's events come late, twice and in any order. So a refund or dispute is kept as a fact (`reversals`), not as a
//! change: its money, and whether it came to nothing, which is final. What a purchase of credits `C` has lost is always
//! `min(C, Σ money of its live reversals)`, and nothing before its credits have come. Each call enters the difference that its fact
//! makes. The balance is therefore a function of the set of facts, and no order or repetition can change it. Money beyond `C`
//! was fee or tax, which never became credits.
//!
//! Out of scope: which credits expire ([`super::lots`]), who may ask (`api::billing`).

use super::{Entry, Facts, Ledger, LedgerError, time, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{
    AddCredits, Fund, Grant, Granted, RefundCredits, Reversal, Reverse, Reversed,
};
use crate::credits::sql::Sql;

/// The credits of a purchase.
struct Purchase {
    amount: Nanos,
    at: i64,
    /// What expired of it: it cannot be taken once more.
    lapsed: Nanos,
}

/// A refund or dispute.
struct Fact {
    amount: Nanos,
    purchase: String,
    undone: bool,
}

impl<S: Sql> Ledger<S> {
    /// Adds credits that the operator gives. A repeat answers what the first did.
    ///
    /// # Errors
    /// As [`Ledger::add_credits`].
    pub fn grant(&self, request: &Grant, now_ms: i64) -> Result<Granted, LedgerError> {
        let credits = AddCredits {
            kind: Fund::Grant,
            id: request.id.clone(),
            amount: request.amount,
            expires_at: None,
            note: request.note.clone(),
        };
        self.add_credits(&credits, now_ms)
    }

    /// Adds credits. A repeat answers what the first did; it need not name the same expiry.
    ///
    /// # Errors
    /// When the amount is not positive, the id stands for another amount, or all credits together would leave the range.
    pub fn add_credits(&self, request: &AddCredits, now_ms: i64) -> Result<Granted, LedgerError> {
        word("id", &request.id)?;
        time("now", now_ms)?;
        request
            .expires_at
            .map_or(Ok(()), |at| time("expires_at", at))?;
        if request.amount <= Nanos::ZERO {
            return Err(LedgerError::Invalid("a grant is above zero".to_owned()));
        }
        self.transaction(|| {
            if let Some(first) = self.credited(request.kind, &request.id)? {
                return if first.amount == request.amount {
                    Ok(first)
                } else {
                    Err(LedgerError::IdReused)
                };
            }
            let totals = self.snapshot()?;
            // Bounds the sum of all credits, and with it every total derived from them.
            totals.granted.checked_add(request.amount)?;
            self.use_lots(totals.balance)?;
            let balance = totals.balance.checked_add(request.amount)?;
            self.enter(&Entry {
                id: &request.id,
                kind: request.kind.as_str(),
                amount: request.amount,
                balance,
                held: None,
                key_hash: None,
                at: now_ms,
                note: Some(request.note.as_str()).filter(|note| !note.is_empty()),
                facts: Facts::default(),
            })?;
            if let Some(expires_at) = request.expires_at {
                self.open_lot(request, expires_at, balance)?;
            }
            if request.kind == Fund::Purchase {
                self.top_up_paid(&request.id)?;
                self.take_what_went_back(&request.id, request.amount, now_ms)?;
            }
            self.lots_used(self.balance()?)?;
            self.wants_watching(now_ms)?;
            Ok(Granted {
                amount: request.amount,
                balance,
                at: now_ms,
            })
        })
    }

    /// Keeps the fact that money of a purchase went back, or that this came to nothing, and enters the difference that it makes.
    ///
    /// # Errors
    /// When the amount is not positive, or the id stands for another amount or purchase.
    pub fn reverse(&self, request: &Reverse, now_ms: i64) -> Result<Reversed, LedgerError> {
        word("id", &request.id)?;
        word("purchase", &request.purchase)?;
        time("now", now_ms)?;
        if request.amount <= Nanos::ZERO {
            return Err(LedgerError::Invalid(
                "what goes back is above zero".to_owned(),
            ));
        }
        self.transaction(|| self.keep_fact(request, now_ms))
    }

    /// Gives back what is unused of a purchase, or what was asked for: the amount is decided and taken off in one step.
    ///
    /// # Errors
    /// When there is no such purchase, its time is over, or nothing can be given back.
    pub fn refund_credits(
        &self,
        request: &RefundCredits,
        now_ms: i64,
    ) -> Result<Reversed, LedgerError> {
        word("id", &request.id)?;
        word("purchase", &request.purchase)?;
        time("now", now_ms)?;
        if request.unit <= Nanos::ZERO {
            return Err(LedgerError::Invalid("the unit is above zero".to_owned()));
        }
        self.transaction(|| {
            if let Some(first) = self.fact(Reversal::Refund, &request.id)? {
                return if first.purchase == request.purchase {
                    self.reversed(&request.purchase, first.amount)
                } else {
                    Err(LedgerError::IdReused)
                };
            }
            let purchase = self
                .purchase(&request.purchase)?
                .ok_or(LedgerError::UnknownPurchase)?;
            if request
                .within_ms
                .is_some_and(|within| now_ms.saturating_sub(purchase.at) > within)
            {
                return Err(LedgerError::Invalid(
                    "the time in which this purchase is refunded is over".to_owned(),
                ));
            }
            let left = purchase
                .amount
                .checked_sub(purchase.lapsed)?
                .checked_sub(self.taken(&request.purchase, &purchase)?)?;
            let totals = self.snapshot()?;
            let most = request.most.unwrap_or(left).min(left);
            let most = if request.even_if_used {
                most
            } else {
                most.min(totals.available)
            };
            let units = most.get().div_euclid(request.unit.get());
            let amount = Nanos::new(units * request.unit.get())?;
            if amount <= Nanos::ZERO {
                return Err(LedgerError::Invalid(
                    "nothing of this purchase can be given back: its credits are used".to_owned(),
                ));
            }
            let fact = Reverse {
                kind: Reversal::Refund,
                id: request.id.clone(),
                purchase: request.purchase.clone(),
                amount,
                undone: false,
            };
            self.keep_fact(&fact, now_ms)
        })
    }

    fn keep_fact(&self, fact: &Reverse, now_ms: i64) -> Result<Reversed, LedgerError> {
        let known = self.fact(fact.kind, &fact.id)?;
        if let Some(known) = &known {
            if known.amount != fact.amount || known.purchase != fact.purchase {
                return Err(LedgerError::IdReused);
            }
            // It stays undone once it is, and says nothing new when it was said before.
            if known.undone || !fact.undone {
                return self.reversed(&fact.purchase, fact.amount);
            }
        }
        let purchase = self.purchase(&fact.purchase)?;
        let before = match &purchase {
            Some(purchase) => self.taken(&fact.purchase, purchase)?,
            None => Nanos::ZERO,
        };
        self.rows(
            "INSERT INTO reversals (kind, id, purchase, amount, undone, at) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (kind, id) DO UPDATE SET undone = excluded.undone",
            &[
                fact.kind.as_str().into(),
                fact.id.as_str().into(),
                fact.purchase.as_str().into(),
                fact.amount.into(),
                fact.undone.into(),
                now_ms.into(),
            ],
        )?;
        if let Some(purchase) = purchase {
            let after = self.taken(&fact.purchase, &purchase)?;
            // A fact that was undone before its beginning was heard of changed nothing and is no entry.
            if !(fact.undone && known.is_none()) {
                let kind = if fact.undone {
                    fact.kind.undone()
                } else {
                    fact.kind.as_str()
                };
                let change = before.checked_sub(after)?;
                self.enter_reversal(kind, &fact.id, &fact.purchase, change, now_ms)?;
            }
        }
        self.reversed(&fact.purchase, fact.amount)
    }

    /// A purchase's credits came after news of its refunds: what these took is taken now, each by an entry of its own.
    fn take_what_went_back(
        &self,
        purchase: &str,
        credits: Nanos,
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        let facts = self.rows(
            "SELECT kind, id, amount FROM reversals WHERE purchase = ? AND undone = 0 ORDER BY at, kind, id",
            &[purchase.into()],
        )?;
        let mut left = credits;
        for fact in facts {
            let mut fact = crate::credits::sql::Columns::of(fact);
            let (kind, id): (String, String) = (fact.take()?, fact.take()?);
            let share = fact.take::<Nanos>()?.min(left);
            left = left.checked_sub(share)?;
            self.enter_reversal(&kind, &id, purchase, share.negated(), now_ms)?;
        }
        Ok(())
    }

    fn enter_reversal(
        &self,
        kind: &str,
        id: &str,
        purchase: &str,
        change: Nanos,
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        let before = self.balance()?;
        self.use_lots(before)?;
        let balance = before.checked_add(change)?;
        self.enter(&Entry {
            id,
            kind,
            amount: change,
            balance,
            held: None,
            key_hash: None,
            at: now_ms,
            note: Some(purchase),
            facts: Facts::default(),
        })?;
        self.reverse_lot(purchase, change, now_ms)?;
        self.lots_used(balance)?;
        self.wants_watching(now_ms)
    }

    fn reversed(&self, purchase: &str, amount: Nanos) -> Result<Reversed, LedgerError> {
        let taken = match self.purchase(purchase)? {
            Some(credits) => self.taken(purchase, &credits)?,
            None => Nanos::ZERO,
        };
        Ok(Reversed {
            amount,
            taken,
            balance: self.balance()?,
        })
    }

    /// The credits that all live refunds and disputes of a purchase take.
    fn taken(&self, id: &str, purchase: &Purchase) -> Result<Nanos, LedgerError> {
        let sum = self.row(
            "SELECT COALESCE(SUM(amount), 0) FROM reversals WHERE purchase = ? AND undone = 0",
            &[id.into()],
        )?;
        let sum: Nanos = sum.map_or(Ok(Nanos::ZERO), |mut row| row.take())?;
        Ok(sum.min(purchase.amount.checked_sub(purchase.lapsed)?))
    }

    fn fact(&self, kind: Reversal, id: &str) -> Result<Option<Fact>, LedgerError> {
        let row = self.row(
            "SELECT amount, purchase, undone FROM reversals WHERE kind = ? AND id = ?",
            &[kind.as_str().into(), id.into()],
        )?;
        row.map(|mut row| {
            Ok(Fact {
                amount: row.take()?,
                purchase: row.take()?,
                undone: row.take()?,
            })
        })
        .transpose()
    }

    fn purchase(&self, id: &str) -> Result<Option<Purchase>, LedgerError> {
        let row = self.row(
            "SELECT amount, at, COALESCE((SELECT lapsed FROM lots WHERE lots.kind = 'purchase' AND lots.id = entries.id), 0)
             FROM entries WHERE id = ? AND kind = 'purchase'",
            &[id.into()],
        )?;
        row.map(|mut row| {
            Ok(Purchase {
                amount: row.take()?,
                at: row.take()?,
                lapsed: row.take()?,
            })
        })
        .transpose()
    }

    fn credited(&self, kind: Fund, id: &str) -> Result<Option<Granted>, LedgerError> {
        // A kind that stands in the statement lets SQLite use the index of that kind.
        let sql = match kind {
            Fund::Grant => {
                "SELECT amount, balance, at FROM entries WHERE id = ? AND kind = 'grant'"
            }
            Fund::Purchase => {
                "SELECT amount, balance, at FROM entries WHERE id = ? AND kind = 'purchase'"
            }
            Fund::Coupon => {
                "SELECT amount, balance, at FROM entries WHERE id = ? AND kind = 'coupon'"
            }
        };
        let row = self.row(sql, &[id.into()])?;
        row.map(|mut row| {
            Ok(Granted {
                amount: row.take()?,
                balance: row.take()?,
                at: row.take()?,
            })
        })
        .transpose()
    }
}
