//! The ledger as one would explain it on paper: sums over lists, no statement, no cached total.

use std::collections::BTreeMap;

use patchbay::credits::ops::{
    Corrected, Finished, Granted, HoldReply, KeyPut, LedgerError, OutboxRow, Outcome, Refusal,
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

/// Everything that ever happened.
#[derive(Debug, Default)]
pub struct Model {
    grants: BTreeMap<String, Granted>,
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
        let granted: i64 = self.grants.values().map(|grant| grant.amount.get()).sum();
        granted - self.spends.iter().map(|spend| spend.amount).sum::<i64>()
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
        if let Some(first) = self.grants.get(id) {
            return if first.amount.get() == amount {
                Ok(first.clone())
            } else {
                Err(LedgerError::IdReused)
            };
        }
        let granted = Granted {
            amount: nanos(amount),
            balance: nanos(self.balance() + amount),
            at: now,
        };
        self.grants.insert(id.to_owned(), granted.clone());
        Ok(granted)
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
