//! The statistics as this isolate knows them: the last snapshot, and what it has seen itself since.
//!
//! The snapshot is asked for when it is older than [`MAX_AGE_MS`], behind the response; only an isolate that knows nothing yet
//! waits for it. What the isolate saw itself after the snapshot was gathered is added to all windows of the endpoint; percentiles
//! are the snapshot's unless the isolate alone has seen as many answers.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use super::{gather::SnapshotStore, tally::Tally};
use crate::{
    routing::statistics::{EndpointStatistics, Statistics, Window},
    usage::measured::{Measured, Verdict},
};

/// The age from which on the snapshot is asked for again, in milliseconds. KV's own copies are as old again at the most.
pub const MAX_AGE_MS: u64 = 30_000;
/// The same for the public figures of endpoints, which may wait for the answer.
pub const LISTING_AGE_MS: u64 = 5_000;
/// Attempts of its own that an isolate remembers until they are in a snapshot.
pub const OWN_CAPACITY: usize = 2_048;
/// How long it remembers them where no snapshot comes.
const OWN_AGE_MS: u64 = 300_000;
/// The lengths of the windows: an older snapshot does not know them.
const FIVE_MINUTES_MS: u64 = 300_000;
const HALF_HOUR_MS: u64 = 1_800_000;
const DAY_MS: u64 = 86_400_000;

/// What is known of the snapshot's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Young enough.
    Fresh,
    /// Usable, but to be asked for again.
    Stale,
    /// It was never asked for.
    Cold,
}

/// The statistics of one isolate.
#[derive(Default)]
pub struct StatisticsCache(RefCell<Known>);

#[derive(Default)]
struct Known {
    asked_ms: Option<u64>,
    merged: Rc<Statistics>,
    /// Own attempts since the snapshot, oldest first.
    own: VecDeque<(Rc<str>, Measured)>,
    /// By endpoint: the snapshot's figures, and what is added to them.
    added: HashMap<Rc<str>, (EndpointStatistics, Tally)>,
}

impl StatisticsCache {
    /// How old the knowledge is.
    pub fn freshness(&self, now_ms: u64, max_age_ms: u64) -> Freshness {
        match self.0.borrow().asked_ms {
            None => Freshness::Cold,
            Some(at) if now_ms.saturating_sub(at) < max_age_ms => Freshness::Fresh,
            Some(_) => Freshness::Stale,
        }
    }

    /// What is known now. Must not be held over an await: a change meanwhile would copy it.
    pub fn current(&self) -> Rc<Statistics> {
        Rc::clone(&self.0.borrow().merged)
    }

    /// Forgets everything.
    pub fn forget(&self) {
        *self.0.borrow_mut() = Known::default();
    }

    /// Somebody is about to ask for the snapshot.
    pub fn asks(&self, now_ms: u64) {
        self.0.borrow_mut().asked_ms = Some(now_ms);
    }

    /// Asks for the snapshot. An outage leaves the last one in force.
    pub async fn refresh<S: SnapshotStore>(&self, store: &S, now_ms: u64) {
        self.asks(now_ms);
        let read = store.snapshot().await;
        let parsed = read.map(|text| text.map(|text| crate::json::from_str::<Statistics>(&text)));
        match parsed {
            Ok(Some(Ok(snapshot))) => self.adopt(snapshot, now_ms),
            Ok(Some(Err(error))) => store.warn(&format!(
                "the snapshot of statistics is unreadable: {error}"
            )),
            Ok(None) => self.adopt(Statistics::default(), now_ms),
            Err(error) => store.warn(&format!("the statistics could not be read: {error}")),
        }
    }

    /// Takes over a snapshot, unless a later one is known.
    pub fn adopt(&self, mut snapshot: Statistics, now_ms: u64) {
        let mut known = self.0.borrow_mut();
        if snapshot.gathered_at < known.merged.gathered_at {
            snapshot = known.snapshot();
        }
        age(&mut snapshot, now_ms);
        known.asked_ms = Some(now_ms);
        let since = snapshot.gathered_at.max(now_ms.saturating_sub(OWN_AGE_MS));
        known.merged = Rc::new(snapshot);
        known.added.clear();
        let own = std::mem::take(&mut known.own);
        for (key, attempt) in own {
            if u64::try_from(attempt.ended_at).is_ok_and(|at| at > since) {
                known.add(key, attempt);
            }
        }
    }

    /// Notes an attempt of this isolate.
    pub fn note(&self, key: &str, attempt: &Measured) {
        if attempt.verdict != Verdict::Unknown {
            self.0.borrow_mut().add(key.into(), attempt.clone());
        }
    }
}

impl Known {
    fn add(&mut self, key: Rc<str>, attempt: Measured) {
        let merged = Rc::make_mut(&mut self.merged);
        let figures = merged.endpoints.entry(key.as_ref().to_owned()).or_default();
        let (base, tally) = self
            .added
            .entry(Rc::clone(&key))
            .or_insert_with(|| (figures.clone(), Tally::default()));
        tally.add(&attempt);
        *figures = EndpointStatistics {
            five_minutes: sum(&base.five_minutes, tally),
            half_hour: sum(&base.half_hour, tally),
            day: sum(&base.day, tally),
        };
        self.own.push_back((key, attempt));
        if self.own.len() > OWN_CAPACITY {
            self.own.pop_front();
        }
    }

    /// What is known without the own attempts.
    fn snapshot(&self) -> Statistics {
        let mut snapshot = Statistics::clone(&self.merged);
        for (key, (base, _)) in &self.added {
            snapshot
                .endpoints
                .insert(key.as_ref().to_owned(), base.clone());
        }
        snapshot
    }
}

/// A window with more attempts. What they say of a minute's uptime only the cron can tell.
fn sum(base: &Window, tally: &Tally) -> Window {
    let own = tally.window();
    let outweighed = base.attempts - base.failed.min(base.attempts) <= tally.answers();
    let pick = |base, own: Option<_>| match base {
        Some(base) if own.is_none() || !outweighed => Some(base),
        _ => own,
    };
    // The snapshot may end in the midst of an outage: then the next faults are no stray ones, however few.
    let goes_on = base.outage_failed > 0 && base.good_since_outage == 0;
    let (outage_failed, good_since_outage) = if goes_on {
        tally.told_in_an_outage()
    } else {
        (own.outage_failed, own.good_since_outage)
    };
    Window {
        attempts: base.attempts + own.attempts,
        failed: base.failed + own.failed,
        outage_failed: base.outage_failed + outage_failed,
        good_since_outage: if outage_failed > 0 {
            good_since_outage
        } else {
            base.good_since_outage + good_since_outage
        },
        rate_limited: base.rate_limited + own.rate_limited,
        tool_answers: base.tool_answers + own.tool_answers,
        tool_errors: base.tool_errors + own.tool_errors,
        prompt_tokens: base.prompt_tokens.saturating_add(own.prompt_tokens),
        cache_read_tokens: base.cache_read_tokens.saturating_add(own.cache_read_tokens),
        completion_tokens: base.completion_tokens.saturating_add(own.completion_tokens),
        cost: base.cost.saturating_add(own.cost),
        first_token_ms: pick(base.first_token_ms, own.first_token_ms),
        tokens_per_second: pick(base.tokens_per_second, own.tokens_per_second),
        minutes: base.minutes,
        minutes_up: base.minutes_up,
    }
}

/// Forgets the windows that a snapshot of this age cannot know.
fn age(snapshot: &mut Statistics, now_ms: u64) {
    let age = now_ms.saturating_sub(snapshot.gathered_at);
    if age >= DAY_MS {
        snapshot.endpoints.clear();
    }
    for figures in snapshot.endpoints.values_mut() {
        if age >= FIVE_MINUTES_MS {
            figures.five_minutes = Window::default();
        }
        if age >= HALF_HOUR_MS {
            figures.half_hour = Window::default();
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
