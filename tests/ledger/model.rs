//! The ledger as one would explain it on paper: sums over lists, no statement, no cached total.

use std::collections::BTreeMap;

use patchbay::credits::ledger::LAPSE_RETRY_MS;
use patchbay::credits::ops::{
    AddCredits, Corrected, Finished, Fund, Granted, HoldReply, KeyPut, LedgerError, OutboxRow,
    Outcome, RefundCredits, Refusal, Reversal, Reverse, Reversed,
};
use patchbay::credits::periods::Reset;

use crate::store::nanos;

#[derive(Debug, Clone)]
pub struct OpenHold {
    key: String,
    amount: i64,
    release_at: i64,
}

#[derive(Debug, Clone)]
pub struct End {
    key: String,
    held: Option<i64>,
    pub result: Finished,
}

#[derive(Debug)]
struct Key {
    put: KeyPut,
    deleted: bool,
}

#[derive(Debug)]
struct Spend {
    id: String,
    key: String,
    at: i64,
    amount: i64,
}

/// Credits with an end, each charge taken off at once.
#[derive(Debug)]
struct Lot {
    kind: Fund,
    id: String,
    expires_at: i64,
    due_at: i64,
    left: i64,
    taken: i64,
    lapsed: i64,
}

/// A refund or dispute.
#[derive(Debug)]
struct Fact {
    purchase: String,
    amount: i64,
    undone: bool,
    at: i64,
}

/// Everything that ever happened.
#[derive(Debug, Default)]
pub struct Model {
    credits: BTreeMap<(Fund, String), Granted>,
    facts: BTreeMap<(Reversal, String), Fact>,
    lots: Vec<Lot>,
    keys: BTreeMap<String, Key>,
    spends: Vec<Spend>,
    pub open: BTreeMap<String, OpenHold>,
    pub ended: BTreeMap<String, End>,
    /// By generation and reason.
    pub corrections: BTreeMap<(String, String), Corrected>,
    /// Rows that were not acknowledged, by id.
    pub unsent: BTreeMap<String, (Outcome, i64)>,
}

impl Model {
    pub fn balance(&self) -> i64 {
        let credits = self.credits.iter().map(|((kind, id), each)| match kind {
            Fund::Purchase => each.amount.get() - self.taken(id),
            Fund::Grant | Fund::Coupon => each.amount.get(),
        });
        let lapsed: i64 = self.lots.iter().map(|lot| lot.lapsed).sum();
        credits.sum::<i64>() - lapsed - self.spends.iter().map(|spend| spend.amount).sum::<i64>()
    }

    /// What the live refunds and disputes of a purchase take, once its credits have come.
    fn taken(&self, purchase: &str) -> i64 {
        let Some(credits) = self.credits.get(&(Fund::Purchase, purchase.to_owned())) else {
            return 0;
        };
        let lot = self
            .lots
            .iter()
            .find(|lot| lot.kind == Fund::Purchase && lot.id == purchase);
        let live = self
            .facts
            .values()
            .filter(|fact| fact.purchase == purchase && !fact.undone);
        live.map(|fact| fact.amount)
            .sum::<i64>()
            .min(credits.amount.get() - lot.map_or(0, |lot| lot.lapsed))
    }

    pub fn add(&mut self, credits: &AddCredits, now: i64) -> Result<Granted, LedgerError> {
        let name = (credits.kind, credits.id.clone());
        let amount = credits.amount.get();
        if let Some(first) = self.credits.get(&name) {
            return if first.amount.get() == amount {
                Ok(first.clone())
            } else {
                Err(LedgerError::IdReused)
            };
        }
        let before = self.balance();
        let granted = Granted {
            amount: nanos(amount),
            balance: nanos(before + amount),
            at: now,
        };
        self.credits.insert(name, granted.clone());
        if let Some(expires_at) = credits.expires_at {
            self.lots.push(Lot {
                kind: credits.kind,
                id: credits.id.clone(),
                expires_at,
                due_at: expires_at,
                left: amount.min((before + amount).max(0)),
                taken: 0,
                lapsed: 0,
            });
        }
        if credits.kind == Fund::Purchase {
            let mut live: Vec<_> = self
                .facts
                .iter()
                .filter(|(_, fact)| fact.purchase == credits.id && !fact.undone)
                .map(|((kind, id), fact)| (fact.at, kind.as_str(), id.clone(), fact.amount))
                .collect();
            live.sort();
            let (mut left, mut balance) = (amount, before + amount);
            for (.., money) in live {
                let share = money.min(left);
                (left, balance) = (left - share, balance - share);
                self.reverse_lot(&credits.id, -share, now);
                self.clip(balance);
            }
        }
        self.clip(self.balance());
        Ok(granted)
    }

    pub fn reverse(&mut self, request: &Reverse, now: i64) -> Result<Reversed, LedgerError> {
        let name = (request.kind, request.id.clone());
        let amount = request.amount.get();
        let before = self.balance();
        match self.facts.get_mut(&name) {
            Some(fact) if fact.amount != amount || fact.purchase != request.purchase => {
                return Err(LedgerError::IdReused);
            }
            Some(fact) => fact.undone |= request.undone,
            None => {
                let fact = Fact {
                    purchase: request.purchase.clone(),
                    amount,
                    undone: request.undone,
                    at: now,
                };
                self.facts.insert(name, fact);
            }
        }
        self.reverse_lot(&request.purchase, self.balance() - before, now);
        self.clip(self.balance());
        Ok(self.reversed(&request.purchase, amount))
    }

    pub fn refund(&mut self, request: &RefundCredits, now: i64) -> Result<Reversed, LedgerError> {
        let name = (Reversal::Refund, request.id.clone());
        if let Some(fact) = self.facts.get(&name) {
            return if fact.purchase == request.purchase {
                Ok(self.reversed(&request.purchase, fact.amount))
            } else {
                Err(LedgerError::IdReused)
            };
        }
        let purchase = (Fund::Purchase, request.purchase.clone());
        let credits = self
            .credits
            .get(&purchase)
            .ok_or(LedgerError::UnknownPurchase)?;
        let lot = self
            .lots
            .iter()
            .find(|lot| (lot.kind, &lot.id) == (Fund::Purchase, &request.purchase));
        let left =
            credits.amount.get() - self.taken(&request.purchase) - lot.map_or(0, |lot| lot.lapsed);
        let spendable = if request.even_if_used {
            left
        } else {
            self.available()
        };
        let most = left.min(spendable);
        let amount = most - most.rem_euclid(request.unit.get());
        if amount <= 0 {
            return Err(LedgerError::Invalid(
                "nothing of this purchase can be given back: its credits are used".to_owned(),
            ));
        }
        let fact = Reverse {
            kind: Reversal::Refund,
            id: request.id.clone(),
            purchase: request.purchase.clone(),
            amount: nanos(amount),
            undone: false,
        };
        self.reverse(&fact, now)
    }

    fn reversed(&self, purchase: &str, amount: i64) -> Reversed {
        Reversed {
            amount: nanos(amount),
            taken: nanos(self.taken(purchase)),
            balance: nanos(self.balance()),
        }
    }

    pub fn lapse(&mut self, now: i64) {
        self.sort_lots();
        let mut available = self.available();
        for lot in &mut self.lots {
            if lot.left > 0 && lot.due_at <= now {
                let goes = lot.left.min(available.max(0));
                available -= goes;
                lot.left -= goes;
                lot.lapsed += goes;
                lot.due_at = now + LAPSE_RETRY_MS;
            }
        }
        self.clip(self.balance());
    }

    fn reverse_lot(&mut self, purchase: &str, change: i64, now: i64) {
        let mut lots = self.lots.iter_mut();
        let own = lots.find(|lot| lot.kind == Fund::Purchase && lot.id == purchase);
        let Some(lot) = own else { return };
        if change < 0 {
            let part = lot.left.min(-change);
            (lot.left, lot.taken) = (lot.left - part, lot.taken + part);
        } else if lot.expires_at > now {
            let part = lot.taken.min(change);
            (lot.left, lot.taken) = (lot.left + part, lot.taken - part);
        }
    }

    fn sort_lots(&mut self) {
        self.lots.sort_by(|a, b| {
            (a.expires_at, a.kind.as_str(), &a.id).cmp(&(b.expires_at, b.kind.as_str(), &b.id))
        });
    }

    /// The lots that end first are used first.
    fn drain(&mut self, amount: i64) {
        self.sort_lots();
        let mut amount = amount.max(0);
        for lot in &mut self.lots {
            let used = lot.left.min(amount);
            (lot.left, amount) = (lot.left - used, amount - used);
        }
    }

    fn clip(&mut self, balance: i64) {
        let left: i64 = self.lots.iter().map(|lot| lot.left).sum();
        self.drain(left - balance.max(0));
    }

    /// What is left of each lot, in order of their ends.
    pub fn lots_left(&mut self) -> Vec<(String, i64)> {
        self.sort_lots();
        let lots = self.lots.iter().filter(|lot| lot.left > 0);
        lots.map(|lot| (lot.id.clone(), lot.left)).collect()
    }

    pub fn held(&self) -> i64 {
        self.open.values().map(|hold| hold.amount).sum()
    }

    pub fn available(&self) -> i64 {
        self.balance() - self.held()
    }

    pub fn key_hashes(&self) -> Vec<String> {
        self.keys.keys().cloned().collect()
    }

    pub fn grant(&mut self, id: &str, amount: i64, now: i64) -> Result<Granted, LedgerError> {
        let credits = AddCredits {
            kind: Fund::Grant,
            id: id.to_owned(),
            amount: nanos(amount),
            expires_at: None,
            note: String::new(),
        };
        self.add(&credits, now)
    }

    pub fn key_put(&mut self, put: KeyPut) -> Result<(), LedgerError> {
        if self.keys.get(&put.hash).is_some_and(|key| key.deleted) {
            return Err(LedgerError::KeyDeleted);
        }
        self.keys.insert(
            put.hash.clone(),
            Key {
                put,
                deleted: false,
            },
        );
        Ok(())
    }

    pub fn key_delete(&mut self, hash: &str) -> Result<(), LedgerError> {
        self.keys
            .get_mut(hash)
            .ok_or(LedgerError::KeyUnknown)?
            .deleted = true;
        Ok(())
    }

    pub fn hold(
        &mut self,
        id: &str,
        hash: &str,
        amount: i64,
        ttl: i64,
        now: i64,
    ) -> Result<HoldReply, LedgerError> {
        let refused = |refusal| Ok(HoldReply::Refused(refusal));
        let Some(key) = self.keys.get(hash) else {
            return refused(Refusal::KeyUnknown);
        };
        if let Some(open) = self.open.get(id) {
            let same = open.key == hash && open.amount == amount;
            return if same {
                Ok(HoldReply::Granted {
                    available: nanos(self.available()),
                })
            } else {
                Err(LedgerError::IdReused)
            };
        }
        if let Some(end) = self.ended.get(id) {
            let same = end.key == hash && end.held.is_none_or(|held| held == amount);
            return if same {
                refused(Refusal::Finished {
                    outcome: end.result.outcome,
                })
            } else {
                Err(LedgerError::IdReused)
            };
        }
        if key.deleted {
            return refused(Refusal::KeyDeleted);
        }
        if key.put.disabled {
            return refused(Refusal::KeyDisabled);
        }
        if key.put.expires_at.is_some_and(|at| at <= now) {
            return refused(Refusal::KeyExpired);
        }
        if self.money_refusal(hash, amount, now).is_some() {
            self.expire(now);
        }
        if let Some(refusal) = self.money_refusal(hash, amount, now) {
            return refused(refusal);
        }
        self.open.insert(
            id.to_owned(),
            OpenHold {
                key: hash.to_owned(),
                amount,
                release_at: now + ttl,
            },
        );
        Ok(HoldReply::Granted {
            available: nanos(self.available()),
        })
    }

    fn money_refusal(&self, hash: &str, amount: i64, now: i64) -> Option<Refusal> {
        let credits = (amount > self.available()).then(|| Refusal::InsufficientCredits {
            available: nanos(self.available()),
            in_flight: amount <= self.balance(),
        });
        let put = &self.keys.get(hash)?.put;
        let Some(limit) = put.limit else {
            return credits;
        };
        let held: i64 = self
            .open
            .values()
            .filter(|hold| hold.key == hash)
            .map(|hold| hold.amount)
            .sum();
        let remaining = limit.get() - self.spent(hash, put.limit_reset, now) - held;
        let resets_at = put.limit_reset.map(|reset| reset.next(now));
        if amount > remaining && remaining < self.available() {
            return Some(Refusal::KeyLimit {
                remaining: nanos(remaining),
                resets_at,
            });
        }
        credits
    }

    /// What the key spent in the current period. Periods never go back: a spend counts in the newest period seen so far.
    pub fn spent(&self, hash: &str, reset: Option<Reset>, now: i64) -> i64 {
        let spends = self.spends.iter().filter(|spend| spend.key == hash);
        let Some(reset) = reset else {
            return spends.map(|spend| spend.amount).sum();
        };
        let mut newest = 0;
        let mut periods: BTreeMap<i64, i64> = BTreeMap::new();
        for spend in spends {
            newest = newest.max(reset.start(spend.at));
            *periods.entry(newest).or_default() += spend.amount;
        }
        periods
            .get(&newest.max(reset.start(now)))
            .copied()
            .unwrap_or(0)
    }

    pub fn settle(&mut self, id: &str, amount: i64, now: i64) -> Result<Finished, LedgerError> {
        if let Some(hold) = self.open.get(id).cloned() {
            return Ok(self.end(
                id,
                &hold.key,
                Some(hold.amount),
                Outcome::Settled,
                amount,
                now,
            ));
        }
        let end = self
            .ended
            .get(id)
            .cloned()
            .ok_or(LedgerError::UnknownHold)?;
        match end.result.outcome {
            Outcome::Expired => Ok(self.end(id, &end.key, end.held, Outcome::Settled, amount, now)),
            Outcome::Settled if end.result.charged.get() != amount => Err(LedgerError::IdReused),
            Outcome::Settled | Outcome::Voided => Ok(end.result),
        }
    }

    pub fn void(&mut self, id: &str, hash: &str, now: i64) -> Result<Finished, LedgerError> {
        if let Some(hold) = self.open.get(id).cloned() {
            if hold.key != hash {
                return Err(LedgerError::IdReused);
            }
            return Ok(self.end(id, hash, Some(hold.amount), Outcome::Voided, 0, now));
        }
        if let Some(end) = self.ended.get(id) {
            return Ok(end.result.clone());
        }
        if !self.keys.contains_key(hash) {
            return Err(LedgerError::KeyUnknown);
        }
        Ok(self.end(id, hash, None, Outcome::Voided, 0, now))
    }

    pub fn expire(&mut self, now: i64) -> usize {
        let due: Vec<String> = self
            .open
            .iter()
            .filter(|(_, hold)| hold.release_at <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &due {
            if let Some(hold) = self.open.get(id).cloned() {
                self.end(id, &hold.key, Some(hold.amount), Outcome::Expired, 0, now);
            }
        }
        due.len()
    }

    fn end(
        &mut self,
        id: &str,
        key: &str,
        held: Option<i64>,
        outcome: Outcome,
        charged: i64,
        now: i64,
    ) -> Finished {
        self.open.remove(id);
        if outcome == Outcome::Settled {
            self.spends.push(Spend {
                id: id.to_owned(),
                key: key.to_owned(),
                at: now,
                amount: charged,
            });
            self.drain(charged);
        }
        let result = Finished {
            outcome,
            charged: nanos(charged),
            balance: nanos(self.balance()),
            at: now,
        };
        self.unsent.insert(id.to_owned(), (outcome, charged));
        self.ended.insert(
            id.to_owned(),
            End {
                key: key.to_owned(),
                held,
                result: result.clone(),
            },
        );
        result
    }

    /// On paper a correction is simply another price from the start.
    pub fn correct(
        &mut self,
        id: &str,
        cost: i64,
        reason: &str,
        now: i64,
    ) -> Result<Corrected, LedgerError> {
        let name = (id.to_owned(), reason.to_owned());
        if let Some(first) = self.corrections.get(&name) {
            return if first.cost.get() == cost {
                Ok(first.clone())
            } else {
                Err(LedgerError::IdReused)
            };
        }
        let spend = self
            .spends
            .iter_mut()
            .find(|spend| spend.id == id)
            .ok_or(LedgerError::NotSettled)?;
        let before = std::mem::replace(&mut spend.amount, cost);
        if before == cost {
            return Err(LedgerError::Invalid(
                "the request costs that much already".to_owned(),
            ));
        }
        self.drain(cost - before);
        let corrected = Corrected {
            before: nanos(before),
            cost: nanos(cost),
            balance: nanos(self.balance()),
            at: now,
        };
        self.corrections.insert(name, corrected.clone());
        Ok(corrected)
    }

    pub fn ack(&mut self, rows: &[OutboxRow]) {
        for row in rows {
            if self.unsent.get(&row.id) == Some(&(row.status, row.cost.get())) {
                self.unsent.remove(&row.id);
            }
        }
    }
}
