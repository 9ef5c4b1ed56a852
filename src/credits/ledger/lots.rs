//! Credits that expire: which are used first, and how much of them goes.
//!
//! A **lot** is the credits of one grant, purchase or coupon that has an end; `left` is what is left of it. Credits without an
//! end are no lot: they are whatever the lots do not hold. The rules:
//!
//! 1. A charge uses the lots, the one that ends first before the others, and then the rest. What a correction gives back belongs
//!    to the rest.
//! 2. A refund or dispute of a lot's own purchase takes from that lot first, and gives back to it while it has not ended.
//! 3. Never do the lots hold more than the balance: who is in debt has nothing left.
//! 4. At its end a lot loses what is left of it, by an entry `lapse`; but nothing that an open hold counts on: that goes a minute
//!    later, unless it was charged.
//!
//! Charges are frequent and lots are rare, so a charge does not touch them. Between two changes of another kind only charges
//! happen, so that what they used is the difference of the balance (`lots_balance`): it is taken off the lots when the next
//! change comes. A test holds this against a model that does it at each charge.

use super::{Entry, Facts, Ledger, LedgerError, time};
use crate::credits::money::Nanos;
use crate::credits::ops::{AddCredits, Fund, LapseCredits, Lapsed};
use crate::credits::sql::{Columns, Sql};

/// How long credits that a hold counts on outlive their end, until it is looked again.
pub const LAPSE_RETRY_MS: i64 = 60_000;

/// A lot with something left.
struct Lot {
    kind: String,
    id: String,
    left: Nanos,
}

impl<S: Sql> Ledger<S> {
    /// Lets go what is left of the lots whose time is over.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lapse_credits(&self, _: &LapseCredits, now_ms: i64) -> Result<Lapsed, LedgerError> {
        time("now", now_ms)?;
        let due = "SELECT 1 FROM lots WHERE remains > 0 AND due_at <= ? LIMIT 1";
        if self.row(due, &[now_ms.into()])?.is_none() {
            return Ok(Lapsed {
                amount: Nanos::ZERO,
            });
        }
        self.transaction(|| {
            let mut amount = Nanos::ZERO;
            let mut balance = self.balance()?;
            self.use_lots(balance)?;
            let held = self.row("SELECT COALESCE(SUM(amount), 0) FROM holds", &[])?;
            let held: Nanos = held.map_or(Ok(Nanos::ZERO), |mut row| row.take())?;
            for lot in self.lots("AND due_at <= ?", Some(now_ms))? {
                let free = balance.checked_sub(held)?.max(Nanos::ZERO);
                let goes = lot.left.min(free);
                if goes > Nanos::ZERO {
                    balance = balance.checked_sub(goes)?;
                    amount = amount.checked_add(goes)?;
                    self.enter(&Entry {
                        id: &lot.id,
                        kind: "lapse",
                        amount: goes.negated(),
                        balance,
                        held: None,
                        key_hash: None,
                        at: now_ms,
                        note: Some(&lot.kind),
                        facts: Facts::default(),
                    })?;
                }
                self.rows(
                    "UPDATE lots SET remains = remains - ?1, lapsed = lapsed + ?1, due_at = ?2 WHERE kind = ?3 AND id = ?4",
                    &[
                        goes.into(),
                        (now_ms + LAPSE_RETRY_MS).into(),
                        lot.kind.as_str().into(),
                        lot.id.as_str().into(),
                    ],
                )?;
            }
            self.lots_used(balance)?;
            self.wants_watching(now_ms)?;
            Ok(Lapsed { amount })
        })
    }

    /// Takes off the lots what was charged since they were looked at last.
    pub(super) fn use_lots(&self, balance: Nanos) -> Result<(), LedgerError> {
        let lots = self.lots("", None)?;
        if lots.is_empty() {
            return Ok(());
        }
        let seen = self.row("SELECT lots_balance FROM account", &[])?;
        let seen: Nanos = seen.ok_or(LedgerError::NotOpen)?.take()?;
        self.drain(lots, seen.checked_sub(balance)?)?;
        self.note_balance(balance)
    }

    /// Ends a change: the lots hold no more than the balance, and charges count from here.
    pub(super) fn lots_used(&self, balance: Nanos) -> Result<(), LedgerError> {
        let lots = self.lots("", None)?;
        let held = lots
            .iter()
            .try_fold(Nanos::ZERO, |sum, lot| sum.checked_add(lot.left))?;
        if lots.is_empty() {
            return Ok(());
        }
        self.drain(lots, held.checked_sub(balance.max(Nanos::ZERO))?)?;
        self.note_balance(balance)
    }

    /// Opens the lot of credits that have just been entered. A debt takes its part of them at once.
    pub(super) fn open_lot(
        &self,
        credits: &AddCredits,
        expires_at: i64,
        balance: Nanos,
    ) -> Result<(), LedgerError> {
        let left = credits.amount.min(balance.max(Nanos::ZERO));
        self.rows(
            "INSERT INTO lots (kind, id, expires_at, due_at, remains) VALUES (?, ?, ?, ?, ?)",
            &[
                credits.kind.as_str().into(),
                credits.id.as_str().into(),
                expires_at.into(),
                expires_at.into(),
                left.into(),
            ],
        )?;
        self.note_balance(balance)
    }

    /// A refund or dispute took credits of a purchase (`change` below zero), or gave them back.
    pub(super) fn reverse_lot(
        &self,
        purchase: &str,
        change: Nanos,
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        let kind = Fund::Purchase.as_str();
        if change.is_negative() {
            self.rows(
                "UPDATE lots SET remains = remains - MIN(remains, ?1), taken = taken + MIN(remains, ?1) WHERE kind = ?2 AND id = ?3",
                &[change.negated().into(), kind.into(), purchase.into()],
            )?;
        } else {
            self.rows(
                "UPDATE lots SET remains = remains + MIN(taken, ?1), taken = taken - MIN(taken, ?1)
                 WHERE kind = ?2 AND id = ?3 AND expires_at > ?4",
                &[change.into(), kind.into(), purchase.into(), now_ms.into()],
            )?;
        }
        Ok(())
    }

    fn drain(&self, lots: Vec<Lot>, amount: Nanos) -> Result<(), LedgerError> {
        let mut amount = amount;
        for lot in lots {
            if amount <= Nanos::ZERO {
                break;
            }
            let used = lot.left.min(amount);
            amount = amount.checked_sub(used)?;
            self.rows(
                "UPDATE lots SET remains = remains - ? WHERE kind = ? AND id = ?",
                &[
                    used.into(),
                    lot.kind.as_str().into(),
                    lot.id.as_str().into(),
                ],
            )?;
        }
        Ok(())
    }

    /// The lots with something left, those that end first before the others.
    fn lots(&self, which: &str, bound: Option<i64>) -> Result<Vec<Lot>, LedgerError> {
        let sql = format!(
            "SELECT kind, id, remains FROM lots WHERE remains > 0 {which} ORDER BY expires_at, kind, id"
        );
        let params: Vec<_> = bound.into_iter().map(Into::into).collect();
        self.rows(&sql, &params)?
            .into_iter()
            .map(|row| {
                let mut row = Columns::of(row);
                Ok(Lot {
                    kind: row.take()?,
                    id: row.take()?,
                    left: row.take()?,
                })
            })
            .collect()
    }

    fn note_balance(&self, balance: Nanos) -> Result<(), LedgerError> {
        self.rows("UPDATE account SET lots_balance = ?", &[balance.into()])?;
        Ok(())
    }
}
