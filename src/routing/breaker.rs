//! What this isolate has seen of endpoints in the last seconds, so that it reacts at once: a breaker after faults, a back-off
//! after 429, and whether there was an outage just now.
//!
//! In scope: memory of one isolate, pure but for its cells; time comes in. Out of scope: measurements over minutes and of all
//! isolates (`statistics`), what counts as a fault (`relay`).
//!
//! ```text
//! closed ─ faults ─▶ open ─ pause over ─▶ on trial ─ PROOF_OF_RECOVERY good answers ─▶ closed
//!                     ▲                      │
//!                     └──── fault, the pause grows
//! ```
//! On trial one request may be under way, and one more for each good answer. Only attempts that began after the breaker opened can prove
//! that it is over: answers that were under way then end well long after. A 429 is no fault: the provider is alive and says when to come back.

use std::{cell::RefCell, collections::HashMap};

use super::{
    health::{Health, Standing},
    statistics::key,
};
use crate::catalog::Endpoint;

/// Faults in a row that open the breaker.
pub const FAULTS_IN_A_ROW: u32 = 3;
/// The stretch of time over which the share of faults is taken, in milliseconds.
pub const WINDOW_MS: u64 = 30_000;
/// Attempts within [`WINDOW_MS`] from which on their share of faults can open the breaker.
pub const MIN_ATTEMPTS: u32 = 10;
/// The share of faults within [`WINDOW_MS`] that opens the breaker, in percent.
pub const OPENING_PERCENT: u32 = 50;
/// How long the breaker stays open at first, in milliseconds.
pub const FIRST_PAUSE_MS: u64 = 5_000;
/// How many times as long it stays open after a probe that fails: what outlives the first pause lasts, and each probe is a client's attempt.
pub const PAUSE_GROWTH: u64 = 4;
/// The longest pause between two probes, in milliseconds.
pub const MAX_PAUSE_MS: u64 = 30_000;
/// How long one trial request holds its place, in milliseconds: one that has not ended by then proves nothing.
pub const PROBE_MS: u64 = 15_000;
/// Good answers without a fault between them that prove an outage to be over.
pub const PROOF_OF_RECOVERY: u32 = 10;
/// The back-off after a 429 that names no time, in milliseconds; each further one in a row doubles it.
pub const FIRST_BACK_OFF_MS: u64 = 1_000;
/// The longest back-off that we choose, in milliseconds.
pub const MAX_BACK_OFF_MS: u64 = 30_000;
/// The longest `Retry-After` that is honoured, in milliseconds.
pub const MAX_RETRY_AFTER_MS: u64 = 600_000;
/// Faults within [`WINDOW_MS`] from which on it was an outage …
pub const OUTAGE_FAULTS: u32 = 2;
/// … where they are at least this share of the attempts, in percent.
pub const OUTAGE_PERCENT: u32 = 25;
/// The most endpoints remembered; a newcomer takes the place of the one that was silent for longest.
pub const CAPACITY: usize = 4_096;

/// Slices of [`WINDOW_MS`]: the window moves on by one of them at a time.
const SLICES: usize = 6;
const SLICE_MS: u64 = WINDOW_MS / SLICES as u64;

/// How an attempt ended, as far as it tells something of the endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered as it should.
    Ok,
    /// It failed, by its own fault.
    Fault,
    /// It has no room now.
    RateLimited {
        /// Its `Retry-After`, in seconds.
        retry_after_s: Option<u32>,
    },
    /// The request was wrong or its client left: nothing is known of the endpoint.
    Unknown,
}

/// How much is to be expected of an endpoint right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing speaks against it.
    Good,
    /// It asked for a pause with a 429.
    BackingOff {
        /// Until when, unix milliseconds.
        until_ms: u64,
    },
    /// The breaker is open: only where nothing else is left.
    Open {
        /// When the next probe may go, unix milliseconds.
        until_ms: u64,
    },
    /// The outage may be over: the next request may find out, with others to fall back on.
    Probing,
    /// As many requests as may are finding out.
    Recovering,
}

/// What one endpoint did lately.
#[derive(Debug, Clone, Default)]
struct Record {
    seen_ms: u64,
    slices: [Slice; SLICES],
    faults_in_a_row: u32,
    open: Option<Open>,
    limits_in_a_row: u32,
    back_off_until_ms: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    number: u64,
    ok: u32,
    faults: u32,
}

/// An outage that is not proven to be over.
#[derive(Debug, Clone)]
struct Open {
    /// When the breaker opened last.
    since_ms: u64,
    pause_ms: u64,
    until_ms: u64,
    /// Good answers since.
    good: u32,
    /// When the trial requests that are under way began.
    under_way: Vec<u64>,
}

impl Open {
    fn new(now_ms: u64, pause_ms: u64) -> Self {
        Self {
            since_ms: now_ms,
            pause_ms,
            until_ms: now_ms.saturating_add(pause_ms),
            good: 0,
            under_way: Vec::new(),
        }
    }

    /// The trial requests that hold a place.
    fn under_way(&self, now_ms: u64) -> impl Iterator<Item = u64> {
        let recent = move |began: &u64| now_ms.saturating_sub(*began) < PROBE_MS;
        self.under_way.iter().copied().filter(recent)
    }

    fn begin(&mut self, now_ms: u64) {
        self.under_way = self.under_way(now_ms).collect();
        if now_ms >= self.until_ms && self.under_way.len() < PROOF_OF_RECOVERY as usize {
            self.under_way.push(now_ms);
        }
    }

    fn state(&self, now_ms: u64) -> State {
        let under_way = self.under_way(now_ms).count();
        if now_ms < self.until_ms {
            State::Open {
                until_ms: self.until_ms,
            }
        } else if under_way <= self.good as usize {
            State::Probing
        } else if self.good > 0 {
            State::Recovering
        } else {
            let first = self.under_way(now_ms).min().unwrap_or(now_ms);
            State::Open {
                until_ms: first.saturating_add(PROBE_MS),
            }
        }
    }
}

impl Record {
    /// Attempts and faults within the window.
    fn window(&self, now_ms: u64) -> (u32, u32) {
        let now = now_ms / SLICE_MS;
        let recent = self
            .slices
            .iter()
            .filter(|slice| slice.number <= now && now - slice.number < SLICES as u64);
        recent.fold((0, 0), |(all, faults), slice| {
            (all + slice.ok + slice.faults, faults + slice.faults)
        })
    }

    fn count(&mut self, now_ms: u64, fault: bool) {
        let number = now_ms / SLICE_MS;
        let place = usize::try_from(number % SLICES as u64).unwrap_or(0);
        let Some(slice) = self.slices.get_mut(place) else {
            return;
        };
        if slice.number != number {
            *slice = Slice {
                number,
                ..Slice::default()
            };
        }
        let counter = if fault {
            &mut slice.faults
        } else {
            &mut slice.ok
        };
        *counter = counter.saturating_add(1);
    }

    fn note(&mut self, outcome: Outcome, began_ms: u64, now_ms: u64) {
        self.seen_ms = now_ms;
        if let Some(open) = &mut self.open
            && began_ms >= open.until_ms
            && !open.under_way.is_empty()
        {
            // Whichever it was: its place is free.
            open.under_way.remove(0);
        }
        match outcome {
            Outcome::Ok => self.succeeded(began_ms, now_ms),
            Outcome::Fault => self.failed(began_ms, now_ms),
            Outcome::RateLimited { retry_after_s } => self.limited(retry_after_s, now_ms),
            Outcome::Unknown => {}
        }
    }

    fn succeeded(&mut self, began_ms: u64, now_ms: u64) {
        self.faults_in_a_row = 0;
        self.limits_in_a_row = 0;
        self.count(now_ms, false);
        let Some(open) = &mut self.open else { return };
        if began_ms < open.since_ms {
            return;
        }
        open.good = open.good.saturating_add(1);
        open.until_ms = open.until_ms.min(now_ms);
        if open.good >= PROOF_OF_RECOVERY {
            self.open = None;
            // What opened the breaker must not open it again at the next fault.
            self.slices = [Slice::default(); SLICES];
        }
    }

    fn failed(&mut self, began_ms: u64, now_ms: u64) {
        self.count(now_ms, true);
        self.faults_in_a_row = self.faults_in_a_row.saturating_add(1);
        if let Some(open) = &self.open {
            // An attempt that was under way when the breaker opened says nothing new.
            if began_ms >= open.until_ms {
                let pause_ms = open.pause_ms.saturating_mul(PAUSE_GROWTH).min(MAX_PAUSE_MS);
                self.open = Some(Open::new(now_ms, pause_ms));
            }
            return;
        }
        let (attempts, faults) = self.window(now_ms);
        let many = attempts >= MIN_ATTEMPTS && share(faults, attempts, OPENING_PERCENT);
        if many || self.faults_in_a_row >= FAULTS_IN_A_ROW {
            self.open = Some(Open::new(now_ms, FIRST_PAUSE_MS));
        }
    }

    fn limited(&mut self, retry_after_s: Option<u32>, now_ms: u64) {
        let pause = match retry_after_s {
            Some(seconds) => u64::from(seconds)
                .saturating_mul(1_000)
                .min(MAX_RETRY_AFTER_MS),
            // One of several that were under way together.
            None if now_ms < self.back_off_until_ms => return,
            None => {
                let pause = FIRST_BACK_OFF_MS << self.limits_in_a_row.min(16);
                self.limits_in_a_row = self.limits_in_a_row.saturating_add(1);
                pause.min(MAX_BACK_OFF_MS)
            }
        };
        let until = now_ms.saturating_add(pause);
        self.back_off_until_ms = self.back_off_until_ms.max(until);
    }

    fn state(&self, now_ms: u64) -> State {
        let trial = self.open.as_ref().map(|open| open.state(now_ms));
        match trial {
            Some(open @ State::Open { .. }) => open,
            _ if now_ms < self.back_off_until_ms => State::BackingOff {
                until_ms: self.back_off_until_ms,
            },
            Some(trial) => trial,
            None => State::Good,
        }
    }

    fn outage(&self, now_ms: u64) -> bool {
        let (attempts, faults) = self.window(now_ms);
        self.open.is_some() || (faults >= OUTAGE_FAULTS && share(faults, attempts, OUTAGE_PERCENT))
    }
}

/// Whether `part` is at least `percent` of `all`.
fn share(part: u32, all: u32, percent: u32) -> bool {
    u64::from(part) * 100 >= u64::from(all) * u64::from(percent)
}

/// A breaker for each endpoint that this isolate has called.
#[derive(Debug, Default)]
pub struct Breakers {
    records: RefCell<HashMap<String, Record>>,
}

impl Breakers {
    /// An attempt at this endpoint begins: where its outage may be over, this one finds out.
    pub fn begin(&self, endpoint: &Endpoint, now_ms: u64) {
        self.begin_at(&key(endpoint), now_ms);
    }

    /// The same of what has this name.
    pub fn begin_at(&self, name: &str, now_ms: u64) {
        let mut records = self.records.borrow_mut();
        if let Some(record) = records.get_mut(name)
            && let Some(open) = &mut record.open
        {
            open.begin(now_ms);
        }
    }

    /// An attempt at this endpoint ended, which began at `began_ms`.
    pub fn note(&self, endpoint: &Endpoint, outcome: Outcome, began_ms: u64, now_ms: u64) {
        self.note_at(&key(endpoint), outcome, began_ms, now_ms);
    }

    /// The same of what has this name.
    pub fn note_at(&self, name: &str, outcome: Outcome, began_ms: u64, now_ms: u64) {
        let mut records = self.records.borrow_mut();
        if let Some(record) = records.get_mut(name) {
            return record.note(outcome, began_ms, now_ms);
        }
        if records.len() >= CAPACITY {
            let oldest = records.iter().min_by_key(|(_, record)| record.seen_ms);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                records.remove(&oldest);
            }
        }
        records
            .entry(name.to_owned())
            .or_default()
            .note(outcome, began_ms, now_ms);
    }

    /// Forgets everything.
    pub fn forget(&self) {
        self.records.borrow_mut().clear();
    }

    /// What is to be expected of this endpoint. An unknown one is good.
    pub fn state(&self, endpoint: &Endpoint, now_ms: u64) -> State {
        self.state_at(&key(endpoint), now_ms)
    }

    fn state_at(&self, name: &str, now_ms: u64) -> State {
        let records = self.records.borrow();
        let record = records.get(name);
        record.map_or(State::Good, |record| record.state(now_ms))
    }

    /// Whether this endpoint had a significant outage within the last [`WINDOW_MS`] that is not proven to be over.
    pub fn had_outage(&self, endpoint: &Endpoint, now_ms: u64) -> bool {
        self.had_outage_at(&key(endpoint), now_ms)
    }

    fn had_outage_at(&self, name: &str, now_ms: u64) -> bool {
        let records = self.records.borrow();
        let record = records.get(name);
        record.is_some_and(|record| record.outage(now_ms))
    }

    /// How what has this name stands. Trial requests are due before the steady ones' own, or they would come late while others are steady.
    pub fn standing_at(&self, name: &str, now_ms: u64) -> Standing {
        match self.state_at(name, now_ms) {
            State::Open { .. } | State::BackingOff { .. } => Standing::Resting,
            State::Probing => Standing::Trial,
            State::Recovering => Standing::Shaky,
            State::Good if self.had_outage_at(name, now_ms) => Standing::Shaky,
            State::Good => Standing::Steady,
        }
    }
}

impl Health for Breakers {
    fn standing(&self, endpoint: &Endpoint, now_ms: u64) -> Standing {
        self.standing_at(&key(endpoint), now_ms)
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
