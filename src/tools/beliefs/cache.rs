//! The beliefs as this isolate knows them: the last snapshot, what accounts saw for themselves, and what the isolate saw since.
//!
//! Everybody's snapshot comes from KV and an account's own records from D1, both asked for again when they are older than [`MAX_AGE_MS`],
//! behind the answer; only who knows nothing waits. Own observations count at once, under the same caps as the cron's.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use super::{
    book::{Book, HOUR_MS, View},
    gather::{BeliefStore, own_records, take_share},
    record::Record,
};
use crate::{error::Result, usage::observed::Observed};

/// The age from which on beliefs are asked for again, in milliseconds.
pub const MAX_AGE_MS: u64 = 60_000;
/// Observations that an isolate remembers until they are in a snapshot.
pub const OWN_CAPACITY: usize = 1_024;
/// Accounts whose own beliefs an isolate remembers.
pub const ACCOUNTS: usize = 256;

/// Whether beliefs have to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// No.
    Fresh,
    /// Behind the answer.
    Stale,
    /// First: nothing is known.
    Cold,
}

/// The beliefs of one isolate.
#[derive(Default)]
pub struct BeliefCache(RefCell<Known>);

#[derive(Default)]
struct Known {
    asked_ms: Option<u64>,
    /// As it came, and with what was seen since.
    snapshot: Rc<Book>,
    shared: Rc<Book>,
    accounts: HashMap<Rc<str>, Own>,
    /// What was seen since the snapshot, oldest first, and by which account.
    seen: VecDeque<(Rc<str>, Observed)>,
    /// By hour, account and operation: what was counted for everybody.
    shares: HashMap<(i64, Rc<str>, String), u32>,
}

#[derive(Default)]
struct Own {
    asked_ms: u64,
    /// As they came, and with what was seen since.
    kept: Rc<HashMap<String, Record>>,
    records: Rc<HashMap<String, Record>>,
}

impl BeliefCache {
    /// How old the knowledge for an account is.
    pub fn freshness(&self, account: &str, now_ms: u64) -> Freshness {
        let known = self.0.borrow();
        let own = known.accounts.get(account).map(|own| own.asked_ms);
        match known.asked_ms.zip(own) {
            None => Freshness::Cold,
            Some((shared, own)) if now_ms.saturating_sub(shared.min(own)) < MAX_AGE_MS => {
                Freshness::Fresh
            }
            Some(_) => Freshness::Stale,
        }
    }

    /// What is known now. Must not be held over an await: a change meanwhile would copy it.
    pub fn view(&self, account: &str) -> View {
        let known = self.0.borrow();
        let own = known.accounts.get(account);
        View {
            shared: Rc::clone(&known.shared),
            own: own.map(|own| Rc::clone(&own.records)).unwrap_or_default(),
        }
    }

    /// Somebody is about to ask: the next need not.
    pub fn asks(&self, account: &str, now_ms: u64) {
        let mut known = self.0.borrow_mut();
        known.asked_ms = Some(now_ms);
        known.account(account).asked_ms = now_ms;
    }

    /// Asks for everybody's snapshot and an account's own records.
    ///
    /// # Errors
    /// When a store fails: what was known stays in force.
    pub async fn refresh<S: BeliefStore>(
        &self,
        store: &S,
        account: &str,
        now_ms: u64,
    ) -> Result<()> {
        self.asks(account, now_ms);
        let (text, own) = futures::join!(store.beliefs_text(), own_records(store, account));
        // What cannot be read is of another version: the next snapshot comes within a minute.
        let book = text?.and_then(|text| crate::json::from_str::<Book>(&text).ok());
        self.adopt(book.unwrap_or_default(), Some((account, own?)), now_ms);
        Ok(())
    }

    /// Takes over a snapshot, and an account's own records as of the same time.
    pub fn adopt(&self, book: Book, own: Option<(&str, HashMap<String, Record>)>, now_ms: u64) {
        let mut known = self.0.borrow_mut();
        known.asked_ms = Some(now_ms);
        if book.gathered_at >= known.snapshot.gathered_at {
            known.snapshot = Rc::new(book);
        }
        if let Some((account, records)) = own {
            let own = known.account(account);
            own.asked_ms = now_ms;
            own.kept = Rc::new(records);
        }
        // What the cron has counted is in the records; the rest is counted again. Usage rows are in D1 within seconds.
        let counted = known.snapshot.gathered_at;
        known.shared = Rc::clone(&known.snapshot);
        for own in known.accounts.values_mut() {
            own.records = Rc::clone(&own.kept);
        }
        let seen = std::mem::take(&mut known.seen);
        known.shares.clear();
        for (account, observed) in seen {
            if u64::try_from(observed.ended_at).is_ok_and(|at| at > counted) {
                known.add(account, observed);
            }
        }
    }

    /// Notes what an attempt of this isolate says.
    pub fn note(&self, account: &str, observed: &Observed) {
        self.0.borrow_mut().add(account.into(), observed.clone());
    }

    /// Forgets everything.
    pub fn forget(&self) {
        *self.0.borrow_mut() = Known::default();
    }
}

impl Known {
    fn account(&mut self, account: &str) -> &mut Own {
        if self.accounts.len() >= ACCOUNTS && !self.accounts.contains_key(account) {
            let oldest = self.accounts.iter().min_by_key(|(_, own)| own.asked_ms);
            if let Some(oldest) = oldest.map(|(account, _)| Rc::clone(account)) {
                self.accounts.remove(&oldest);
            }
        }
        self.accounts.entry(account.into()).or_default()
    }

    fn add(&mut self, account: Rc<str>, observed: Observed) {
        let prior = self.shared.prior(&observed.category);
        let hour = observed.ended_at.div_euclid(HOUR_MS);
        let share = self
            .shares
            .entry((hour, Rc::clone(&account), observed.tool.clone()))
            .or_default();
        let counts = take_share(share, observed.verdict);
        let shared = Rc::make_mut(&mut self.shared);
        shared
            .records
            .entry(observed.tool.clone())
            .or_default()
            .observe(&observed, counts, prior);
        let own = Rc::make_mut(&mut self.account(&account).records);
        own.entry(observed.tool.clone())
            .or_default()
            .observe(&observed, true, prior);
        self.seen.push_back((account, observed));
        if self.seen.len() > OWN_CAPACITY {
            self.seen.pop_front();
        }
    }
}
