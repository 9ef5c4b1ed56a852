//! Everybody's beliefs in one place, and how they combine with what an account saw itself.
//!
//! ```text
//! category ─ pooled mean, worth PRIOR_WEIGHT calls ─▶ everybody's record ─ fades as own experience grows ─▶ the account's record
//! ```
//! Out of scope: how a record learns (`record`), which candidate is chosen (`choice`).

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use serde::{Deserialize, Serialize};

use super::{posterior::Beta, record::Record};

/// How many calls the category's pooled mean is worth before anything is known of an operation.
pub const PRIOR_WEIGHT: f64 = 10.0;
/// What is believed of a category of which nothing is known …
pub const FIRST_MEAN: f64 = 0.9;
/// … and how many calls that is worth.
pub const FIRST_WEIGHT: f64 = 20.0;
/// No operation counts for more calls than this in its category's mean.
pub const POOLED_MOST: f64 = 50.0;
/// Own calls after which everybody's record weighs half as much.
pub const OWN_HALF: f64 = 30.0;
/// Observations of one account and operation that count for everybody within an hour: more are the account's own affair.
pub const SHARE_PER_HOUR: u32 = 30;
/// An hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// Everybody's records.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    /// When it was gathered, unix milliseconds.
    pub gathered_at: u64,
    /// By `provider/operation`.
    pub records: HashMap<String, Record>,
}

impl Book {
    /// What is believed of an operation of this category before anything is known of it.
    pub fn prior(&self, category: &str) -> Beta {
        let of_category = self
            .records
            .values()
            .filter(|record| record.category == category);
        prior(of_category)
    }

    /// The categories of which something is known, in order.
    pub fn categories(&self) -> BTreeMap<&str, Vec<(&str, &Record)>> {
        let mut categories: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (tool, record) in &self.records {
            let members = categories.entry(record.category.as_str()).or_default();
            members.push((tool.as_str(), record));
        }
        for members in categories.values_mut() {
            members.sort_unstable_by_key(|(tool, _)| *tool);
        }
        categories
    }
}

/// The pooled mean of these records, worth [`PRIOR_WEIGHT`] calls.
pub fn prior<'a>(records: impl Iterator<Item = &'a Record>) -> Beta {
    let (mut good, mut all) = (FIRST_MEAN * FIRST_WEIGHT, FIRST_WEIGHT);
    for record in records {
        let (own_good, own_bad) = record.counts();
        let own = own_good + own_bad;
        let kept = if own > POOLED_MOST {
            POOLED_MOST / own
        } else {
            1.0
        };
        good += own_good * kept;
        all += own * kept;
    }
    let mean = good / all;
    Beta::new(mean * PRIOR_WEIGHT, (1.0 - mean) * PRIOR_WEIGHT)
}

/// What one account goes by.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Everybody's.
    pub shared: Rc<Book>,
    /// What the account saw itself, by operation.
    pub own: Rc<HashMap<String, Record>>,
}

impl View {
    /// What this account believes of an operation's success.
    pub fn success(&self, tool: &str, category: &str) -> Beta {
        let prior = self.shared.prior(category);
        let shared = match self.shared.records.get(tool) {
            Some(record) => record.posterior(prior),
            None => prior,
        };
        let Some(own) = self.own.get(tool) else {
            return shared;
        };
        let (good, bad) = own.counts();
        // All that it ever saw, not what that weighs now: after a change of the rate little does, and what everybody knows of the time
        // before must not come back for it.
        let kept = OWN_HALF / (OWN_HALF + to_f64(own.seen()));
        Beta::new(shared.alpha * kept + good, shared.beta * kept + bad)
    }

    /// Until when an operation rests, unix milliseconds: after an outage that the account saw itself, or that the record saw which tells most.
    pub fn rests_until(&self, tool: &str) -> Option<i64> {
        let records = [self.own.get(tool), self.told_by(tool)];
        let rests = records
            .into_iter()
            .flatten()
            .filter_map(Record::rests_until);
        rests.max()
    }

    /// The record that tells most of an operation: the account's own where it saw more than everybody's tells.
    pub fn told_by(&self, tool: &str) -> Option<&Record> {
        let (own, shared) = (self.own.get(tool), self.shared.records.get(tool));
        match (own, shared) {
            (Some(own), Some(shared)) if own.seen() < shared.seen() => Some(shared),
            (Some(own), _) => Some(own),
            (None, shared) => shared,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
