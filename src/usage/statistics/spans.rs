//! Tallies per endpoint and minute, and per endpoint and hour: where new attempts go, and what the windows are made of.
//!
//! Windows consist of whole spans: the last 5 minutes are the running minute and the 5 before it, likewise 30 minutes; the last
//! day is the running hour and the 23 before it.

use std::collections::{BTreeMap, BTreeSet};

use super::tally::Tally;
use crate::{
    routing::statistics::{EndpointStatistics, Statistics},
    usage::measured::{Measured, Verdict},
};

/// A minute, in milliseconds.
pub const MINUTE_MS: i64 = 60_000;
/// An hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// Hours that make the last day.
pub const DAY_HOURS: i64 = 24;
/// Attempts that are told later than this are not counted any more, in milliseconds.
pub const LATE_MS: i64 = (DAY_HOURS - 1) * HOUR_MS;

/// The tallies of a span by endpoint.
pub type Endpoints = BTreeMap<String, Tally>;

/// A span's length and start, both in milliseconds.
pub type SpanKey = (i64, i64);

/// Spans as far as they were loaded, and which of them have changed.
#[derive(Debug, Default)]
pub struct Spans {
    spans: BTreeMap<SpanKey, Endpoints>,
    changed: BTreeSet<SpanKey>,
}

/// The start of the span that a time falls in.
fn start(length: i64, at: i64) -> i64 {
    at.div_euclid(length) * length
}

/// The first minute of the last 30 minutes.
pub fn first_minute(now_ms: i64) -> i64 {
    start(MINUTE_MS, now_ms) - 30 * MINUTE_MS
}

/// The first hour of the last day.
pub fn first_hour(now_ms: i64) -> i64 {
    start(HOUR_MS, now_ms) - (DAY_HOURS - 1) * HOUR_MS
}

/// The time to which an attempt counts; `None` when it comes too late. Clocks that are ahead are set right.
pub fn counted_at(attempt: &Measured, now_ms: i64) -> Option<i64> {
    let at = attempt.ended_at.min(now_ms);
    (attempt.verdict != Verdict::Unknown && at >= now_ms - LATE_MS).then_some(at)
}

/// The minute of a time.
pub fn minute(at: i64) -> i64 {
    start(MINUTE_MS, at)
}

impl Spans {
    /// Takes in a span, or a part of it, as it was kept.
    pub fn load(&mut self, key: SpanKey, endpoints: Endpoints) {
        self.spans.entry(key).or_default().extend(endpoints);
    }

    /// Counts an attempt at an endpoint. Its minute and hour must be loaded where they were kept.
    pub fn add(&mut self, endpoint: &str, attempt: &Measured, at: i64) {
        let minute_key = (MINUTE_MS, start(MINUTE_MS, at));
        let minute = self.tally(minute_key, endpoint);
        let before = minute.is_up();
        minute.add(attempt);
        let now = minute.is_up();
        let hour_key = (HOUR_MS, start(HOUR_MS, at));
        let hour = self.tally(hour_key, endpoint);
        hour.add(attempt);
        hour.count_minute(before, now);
    }

    fn tally(&mut self, key: SpanKey, endpoint: &str) -> &mut Tally {
        self.changed.insert(key);
        let span = self.spans.entry(key).or_default();
        span.entry(endpoint.to_owned()).or_default()
    }

    /// The spans that have changed since the last call.
    pub fn take_changed(&mut self) -> Vec<(SpanKey, &Endpoints)> {
        let changed = std::mem::take(&mut self.changed);
        let span = |key: SpanKey| Some((key, self.spans.get(&key)?));
        changed.into_iter().filter_map(span).collect()
    }

    /// Whether nothing happened in the last 30 minutes.
    pub fn is_quiet(&self, now_ms: i64) -> bool {
        let recent = (MINUTE_MS, first_minute(now_ms))..(MINUTE_MS + 1, 0);
        self.spans.range(recent).next().is_none()
    }

    /// What the planner is to know.
    pub fn statistics(&self, now_ms: i64) -> Statistics {
        let minutes_from = |first| self.sum(MINUTE_MS, first, true);
        let five = minutes_from(start(MINUTE_MS, now_ms) - 5 * MINUTE_MS);
        let half_hour = minutes_from(first_minute(now_ms));
        let day = self.sum(HOUR_MS, first_hour(now_ms), false);
        let mut statistics = Statistics {
            gathered_at: u64::try_from(now_ms).unwrap_or(0),
            ..Statistics::default()
        };
        let window = |tallies: &Endpoints, name: &str| {
            tallies.get(name).map(Tally::window).unwrap_or_default()
        };
        let names: BTreeSet<&String> = half_hour.keys().chain(day.keys()).collect();
        for name in names {
            let figures = EndpointStatistics {
                five_minutes: window(&five, name),
                half_hour: window(&half_hour, name),
                day: window(&day, name),
            };
            statistics.endpoints.insert(name.clone(), figures);
        }
        statistics
    }

    /// The sum of the spans of one length from `first` on. `judge`: each span counts as one for the uptime.
    fn sum(&self, length: i64, first: i64, judge: bool) -> Endpoints {
        let mut sums = Endpoints::new();
        let spans = self.spans.range((length, first)..(length + 1, i64::MIN));
        for (name, tally) in spans.flat_map(|(_, endpoints)| endpoints) {
            let sum = sums.entry(name.clone()).or_default();
            sum.merge(tally);
            if judge {
                sum.count_minute(None, tally.is_up());
            }
        }
        sums.retain(|_, tally| !tally.is_empty());
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000 + 30_000;

    fn ended(verdict: Verdict, ago_ms: i64) -> Measured {
        Measured {
            ended_at: NOW - ago_ms,
            verdict,
            ..Measured::default()
        }
    }

    fn after(attempts: impl IntoIterator<Item = Measured>) -> Spans {
        let mut spans = Spans::default();
        for attempt in attempts {
            if let Some(at) = counted_at(&attempt, NOW) {
                spans.add("m|a", &attempt, at);
            }
        }
        spans
    }

    #[test]
    fn an_attempt_is_in_every_window_that_reaches_back_to_it() {
        let minutes = |count: i64| count * MINUTE_MS;
        for (ago, counts) in [
            (0, [1, 1, 1]),
            (minutes(5), [1, 1, 1]),
            (minutes(6), [0, 1, 1]),
            (minutes(30), [0, 1, 1]),
            (minutes(31), [0, 0, 1]),
            (LATE_MS, [0, 0, 1]),
            (LATE_MS + 1, [0, 0, 0]),
            (-minutes(90), [1, 1, 1]),
        ] {
            let statistics = after([ended(Verdict::Ok, ago)]).statistics(NOW);
            let figures = statistics.endpoints.get("m|a").cloned().unwrap_or_default();
            let windows = [figures.five_minutes, figures.half_hour, figures.day];
            assert_eq!(
                windows.map(|window| window.attempts),
                counts,
                "{ago} ms ago"
            );
        }
    }

    #[test]
    fn uptime_is_the_share_of_minutes_that_were_up() {
        let minute = |ago: i64, good: usize, bad: usize| {
            let good = std::iter::repeat_n(ended(Verdict::Ok, ago * MINUTE_MS), good);
            good.chain(std::iter::repeat_n(
                ended(Verdict::Fault, ago * MINUTE_MS),
                bad,
            ))
        };
        // Up, down, too few to tell, up, and long ago one down.
        let all = minute(1, 9, 1)
            .chain(minute(2, 1, 9))
            .chain(minute(3, 0, 9));
        let spans = after(all.chain(minute(20, 10, 0)).chain(minute(120, 0, 20)));
        let figures = &spans.statistics(NOW).endpoints["m|a"];
        assert_eq!(figures.five_minutes.uptime(), Some(50.0));
        assert_eq!(
            (figures.half_hour.minutes_up, figures.half_hour.minutes),
            (2, 3)
        );
        assert_eq!((figures.day.minutes_up, figures.day.minutes), (2, 4));
        let few = after(minute(0, 3, 0)).statistics(NOW);
        assert_eq!(few.endpoints["m|a"].day.uptime(), None);
    }

    #[test]
    fn spans_that_were_kept_go_on_where_they_ended() {
        let attempts: Vec<_> = (0..40)
            .map(|n| {
                ended(
                    if n % 4 == 0 {
                        Verdict::Fault
                    } else {
                        Verdict::Ok
                    },
                    n * 7_000,
                )
            })
            .collect();
        let mut spans = Spans::default();
        for part in attempts.chunks(7) {
            // Each part meets what the last one left, out of its JSON.
            let kept = spans.take_changed();
            let kept: Vec<_> = kept
                .into_iter()
                .map(|(key, endpoints)| (key, serde_json::to_string(endpoints).unwrap()))
                .collect();
            for (key, text) in kept {
                spans.load(key, serde_json::from_str(&text).unwrap());
            }
            for attempt in part {
                spans.add("m|a", attempt, attempt.ended_at);
            }
        }
        assert_eq!(spans.statistics(NOW), after(attempts).statistics(NOW));
    }

    #[test]
    fn what_says_nothing_leaves_no_trace() {
        let spans = after([ended(Verdict::Unknown, 0)]);
        assert!(spans.is_quiet(NOW) && spans.statistics(NOW).endpoints.is_empty());
        assert!(!after([ended(Verdict::RateLimited, 30 * MINUTE_MS)]).is_quiet(NOW));
        assert!(after([ended(Verdict::Ok, 32 * MINUTE_MS)]).is_quiet(NOW));
    }
}
