//! What was seen of one operation, by everybody or by one account, and how an observation changes it. Pure.
//!
//! - Counts decay slowly, by [`DECAY`] with each observation of this operation and never by the clock: what nobody calls keeps what is
//!   known of it.
//! - A run of faults that the belief has for less likely than [`OUTAGE_CHANCE`] is an outage: its faults are held apart. They are forgotten once
//!   [`PROOF_OF_RECOVERY`] good answers in a row prove that it is over, and counted where a fault comes before that.
//! - Where the rate itself has changed, a cumulative sum of log-likelihoods (Page, 1954) tells: then only what was seen since the change began is
//!   kept, worth [`KEPT_AFTER_CHANGE`] observations at the most.
//!
//! The constants are chosen by the simulation (`npm run simulate:tools`). Out of scope: priors and accounts (`book`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::posterior::Beta;
use crate::usage::{measured::Verdict, observed::Observed, statistics::Histogram};

/// What an observation leaves of the earlier ones.
pub const DECAY: f64 = 0.999;
/// Faults in a row from which on it can be an outage.
pub const OUTAGE_RUN: u32 = 3;
/// The chance below which a run of faults is no chance.
pub const OUTAGE_CHANCE: f64 = 1e-3;
/// How long an operation rests when an outage begins, in milliseconds; each further fault makes it four times as long.
pub const FIRST_REST_MS: i64 = 10_000;
/// The longest rest between two tries during an outage, in milliseconds.
pub const LONGEST_REST_MS: i64 = 120_000;
/// Good answers in a row that prove an outage to be over.
pub const PROOF_OF_RECOVERY: u32 = 10;
/// The cumulative sum from which on the rate has changed.
pub const CHANGE: f64 = 4.0;
/// The change looked for: so many times the faults.
pub const CHANGE_RATIO: f64 = 3.0;
/// What observations are worth after a change, at the most.
pub const KEPT_AFTER_CHANGE: f64 = 10.0;
/// Latencies after which the older half is forgotten.
pub const LATENCIES: u64 = 500;
/// The most classes of errors that are told apart.
const CLASSES: usize = 16;

/// What was seen of one operation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The tool's category.
    pub category: String,
    /// Successes, decayed.
    #[serde(rename = "g")]
    good: f64,
    /// Faults, decayed.
    #[serde(rename = "b")]
    bad: f64,
    /// Faults in a row.
    #[serde(rename = "r", skip_serializing_if = "is_default")]
    run: u32,
    /// An outage that is not proven to be over.
    #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
    outage: Option<Outage>,
    #[serde(rename = "d", skip_serializing_if = "is_default")]
    drift: Drift,
    /// All that counted, undecayed.
    pub totals: Totals,
    /// How often each class of error came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, u64>,
    /// From sending to the answer, milliseconds; time-outs count with what was waited.
    #[serde(rename = "l")]
    latency: Latency,
    /// What successes cost, nano-dollars.
    pub cost: i64,
    /// When it was seen last, unix milliseconds.
    pub last_seen: i64,
}

/// Counts that only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Successes.
    pub succeeded: u64,
    /// Faults of the provider.
    pub failed: u64,
    /// Answers that it has no room.
    pub rate_limited: u64,
    /// Neither for nor against it: the caller's mistakes, own keys, refusals.
    pub neither: u64,
    /// Beyond an account's share, so not counted here.
    #[serde(skip_serializing_if = "is_default")]
    pub beyond_share: u64,
    /// Reports of users: it was as it should be.
    #[serde(skip_serializing_if = "is_default")]
    pub reported_good: u64,
    /// Reports of users: it was not.
    #[serde(skip_serializing_if = "is_default")]
    pub reported_bad: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Outage {
    /// Its faults, held apart.
    faults: f64,
    /// Good answers since.
    good: u32,
    /// Until when it rests, unix milliseconds.
    until: i64,
}

/// A cumulative sum, and what was seen since it last was 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Drift(f64, f64, f64);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Latency {
    now: Histogram,
    before: Histogram,
    #[serde(skip_serializing_if = "is_default")]
    gave_up: Histogram,
}

/// A latency that a share of the answers does not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentile {
    /// Milliseconds.
    pub ms: f64,
    /// Some were not awaited to their end: it may be more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Record {
    /// Successes and faults as they weigh now; those of an outage that may be over are not among them.
    pub fn counts(&self) -> (f64, f64) {
        (self.good, self.bad)
    }

    /// What is believed with these observations on top of a prior.
    pub fn posterior(&self, prior: Beta) -> Beta {
        Beta::new(prior.alpha + self.good, prior.beta + self.bad)
    }

    /// Until when it rests after the last fault of an outage that is not proven to be over, unix milliseconds.
    pub fn rests_until(&self) -> Option<i64> {
        self.outage.map(|outage| outage.until)
    }

    /// How many observations it has.
    pub fn seen(&self) -> u64 {
        let Totals {
            succeeded,
            failed,
            rate_limited,
            ..
        } = self.totals;
        succeeded + failed + rate_limited
    }

    /// The mean cost of a success, nano-dollars.
    pub fn mean_cost(&self) -> Option<i64> {
        let successes = i64::try_from(self.totals.succeeded).ok()?;
        self.cost.checked_div(successes)
    }

    /// The latency that `percent` of the answers do not exceed.
    pub fn latency(&self, percent: u64) -> Option<Percentile> {
        let mut all = self.latency.now.clone();
        all.merge(&self.latency.before);
        let ms = all.at_most(percent)?;
        let first_given_up = self.latency.gave_up.at_most(0);
        Some(Percentile {
            ms,
            at_least: first_given_up.is_some_and(|first| ms >= first),
        })
    }

    /// Takes in an observation. `counts`: within the account's share; `prior` is what was believed before anything was known.
    pub fn observe(&mut self, seen: &Observed, counts: bool, prior: Beta) {
        if self.category.is_empty() {
            self.category.clone_from(&seen.category);
        }
        self.last_seen = self.last_seen.max(seen.ended_at);
        if let Some(class) = &seen.class
            && (self.classes.len() < CLASSES || self.classes.contains_key(class))
        {
            *self.classes.entry(class.clone()).or_default() += 1;
        }
        match seen.verdict {
            Verdict::Unknown => self.totals.neither += 1,
            _ if !counts => self.totals.beyond_share += 1,
            Verdict::Ok => {
                self.totals.succeeded += 1;
                self.cost = self.cost.saturating_add(seen.cost);
                self.latency.add(seen.latency_ms, false);
                self.learn(true, seen.ended_at, prior);
            }
            Verdict::Fault => {
                self.totals.failed += 1;
                if seen.timed_out {
                    self.latency.add(seen.latency_ms, true);
                }
                self.learn(false, seen.ended_at, prior);
            }
            Verdict::RateLimited => {
                self.totals.rate_limited += 1;
                self.learn(false, seen.ended_at, prior);
            }
        }
    }

    /// Takes in what a user says of an execution that the provider itself had for `before`: the vote takes that one's place.
    pub fn report(&mut self, good: bool, before: Verdict, prior: Beta) {
        let counter = if good {
            &mut self.totals.reported_good
        } else {
            &mut self.totals.reported_bad
        };
        *counter += 1;
        match (before, good) {
            // It is counted as what the vote says already.
            (Verdict::Ok, true) | (Verdict::Fault | Verdict::RateLimited, false) => {}
            (Verdict::Ok, false) => {
                self.good = (self.good - 1.0).max(0.0);
                self.bad += 1.0;
            }
            (Verdict::Fault | Verdict::RateLimited, true) => {
                self.bad = (self.bad - 1.0).max(0.0);
                self.good += 1.0;
            }
            (Verdict::Unknown, good) => self.learn(good, self.last_seen, prior),
        }
    }

    /// One more success or fault.
    fn learn(&mut self, good: bool, at: i64, prior: Beta) {
        let mean = self.posterior(prior).mean();
        if self.outage.is_none() {
            self.drift.add(good, mean);
        }
        if good {
            self.run = 0;
            self.count(1.0, 0.0);
            if let Some(outage) = &mut self.outage {
                outage.good += 1;
                outage.until = at;
                if outage.good >= PROOF_OF_RECOVERY {
                    self.outage = None;
                }
            }
        } else {
            self.run = self.run.saturating_add(1);
            self.fault(at, mean);
        }
        if let Some((good, bad)) = self.drift.changed() {
            (self.good, self.bad) = (good, bad);
        }
    }

    fn fault(&mut self, at: i64, mean: f64) {
        match self.outage {
            Some(Outage {
                faults, good: 0, ..
            }) => {
                let doublings = self.run.saturating_sub(OUTAGE_RUN).min(8) * 2;
                let rest = (FIRST_REST_MS << doublings).min(LONGEST_REST_MS);
                self.outage = Some(Outage {
                    faults: faults + 1.0,
                    good: 0,
                    until: at.saturating_add(rest),
                });
            }
            // It came back as something else: what it was held for was no outage.
            Some(Outage { faults, .. }) => {
                self.outage = None;
                self.run = 1;
                self.count(0.0, faults + 1.0);
            }
            None => {
                self.count(0.0, 1.0);
                let chance = (1.0 - mean).powi(i32::try_from(self.run).unwrap_or(i32::MAX));
                if self.run >= OUTAGE_RUN && chance < OUTAGE_CHANCE {
                    let faults = f64::from(self.run).min(self.bad);
                    self.bad -= faults;
                    self.outage = Some(Outage {
                        faults,
                        good: 0,
                        until: at.saturating_add(FIRST_REST_MS),
                    });
                    self.drift = Drift::default();
                }
            }
        }
    }

    fn count(&mut self, good: f64, bad: f64) {
        self.good = self.good * DECAY + good;
        self.bad = self.bad * DECAY + bad;
    }
}

impl Drift {
    fn add(&mut self, good: bool, mean: f64) {
        let Self(sum, since_good, since_bad) = self;
        let usual = 1.0 - mean;
        let looked_for = (usual * CHANGE_RATIO)
            .min(f64::midpoint(1.0, usual))
            .max(usual + 0.01);
        if *sum <= 0.0 {
            (*since_good, *since_bad) = (0.0, 0.0);
        }
        let (step, counter) = if good {
            ((1.0 - looked_for) / mean, since_good)
        } else {
            (looked_for / usual, since_bad)
        };
        *sum = (*sum + step.ln()).max(0.0);
        *counter += 1.0;
    }

    /// What has been seen since the rate changed, if it has; the sum begins anew.
    fn changed(&mut self) -> Option<(f64, f64)> {
        let Self(sum, good, bad) = *self;
        if sum <= CHANGE {
            return None;
        }
        *self = Self::default();
        let kept = (KEPT_AFTER_CHANGE / (good + bad)).min(1.0);
        Some((good * kept, bad * kept))
    }
}

impl Latency {
    fn add(&mut self, ms: u64, gave_up: bool) {
        if self.now.count() >= LATENCIES {
            self.before = std::mem::take(&mut self.now);
            self.gave_up = Histogram::default();
        }
        self.now.add(ms);
        if gave_up {
            self.gave_up.add(ms);
        }
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
