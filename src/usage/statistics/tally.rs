//! The attempts at one endpoint within one stretch of time, added up.

use serde::{Deserialize, Serialize};

use super::{histogram::Histogram, outages::Outages};
use crate::{
    routing::statistics::{Percentiles, Window},
    usage::measured::{Measured, Verdict},
};

/// A minute with fewer attempts says nothing about uptime.
pub const UPTIME_LEAST_ATTEMPTS: u64 = 10;
/// The share of good attempts from which on a minute counts as up, in percent.
pub const UPTIME_LEAST_PERCENT: u64 = 80;
/// An answer with fewer tokens says nothing about speed: its time is the wait for the first of them.
pub const LEAST_SPEED_TOKENS: u64 = 16;
/// Speeds are counted in hundredths of a token per second.
const SPEED_SCALE: u64 = 100;

/// Attempts added up. As JSON it is a list, to be small.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct Tally {
    attempts: u64,
    failed: u64,
    rate_limited: u64,
    tool_answers: u64,
    tool_errors: u64,
    prompt: u64,
    cache_read: u64,
    completion: u64,
    cost: i64,
    /// Minutes with attempts enough to tell, in a tally of more than one.
    minutes: u32,
    /// Of these, minutes that count as up.
    minutes_up: u32,
    first_token_ms: Histogram,
    speed: Histogram,
    outages: Outages,
}

/// [`Tally`] in the order of its fields.
#[derive(Serialize, Deserialize)]
struct Packed(
    [u64; 8],
    i64,
    [u32; 2],
    Histogram,
    Histogram,
    // Missing in what earlier versions kept.
    #[serde(default)] [u64; 6],
);

/// When an attempt ended, unix milliseconds.
fn ended(attempt: &Measured) -> u64 {
    u64::try_from(attempt.ended_at).unwrap_or(0)
}

impl Tally {
    /// Adds an attempt. One that says nothing of the endpoint changes nothing.
    pub fn add(&mut self, attempt: &Measured) {
        match attempt.verdict {
            Verdict::Unknown => {}
            Verdict::RateLimited => self.rate_limited += 1,
            Verdict::Fault => {
                self.attempts += 1;
                self.failed += 1;
                self.outages.fault(ended(attempt));
            }
            Verdict::Ok => self.add_answer(attempt),
        }
    }

    fn add_answer(&mut self, answer: &Measured) {
        self.attempts += 1;
        let took = answer.duration_ms.unwrap_or(0);
        self.outages.answer(ended(answer).saturating_sub(took));
        if let Some(valid) = answer.tools_valid {
            self.tool_answers += 1;
            self.tool_errors += u64::from(!valid);
        }
        self.prompt = self.prompt.saturating_add(answer.prompt);
        self.cache_read = self.cache_read.saturating_add(answer.cache_read);
        self.completion = self.completion.saturating_add(answer.completion);
        self.cost = self.cost.saturating_add(answer.cost);
        if let Some(first) = answer.first_token_ms {
            self.first_token_ms.add(first);
        }
        if let Some(duration) = answer.duration_ms
            && answer.completion >= LEAST_SPEED_TOKENS
        {
            let tokens = answer.completion.saturating_mul(1_000 * SPEED_SCALE);
            self.speed.add(tokens / duration.max(1));
        }
    }

    /// Adds all that another tally has, whose attempts came later.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in [
            (&mut self.attempts, other.attempts),
            (&mut self.failed, other.failed),
            (&mut self.rate_limited, other.rate_limited),
            (&mut self.tool_answers, other.tool_answers),
            (&mut self.tool_errors, other.tool_errors),
            (&mut self.prompt, other.prompt),
            (&mut self.cache_read, other.cache_read),
            (&mut self.completion, other.completion),
        ] {
            *own = own.saturating_add(more);
        }
        self.cost = self.cost.saturating_add(other.cost);
        self.minutes = self.minutes.saturating_add(other.minutes);
        self.minutes_up = self.minutes_up.saturating_add(other.minutes_up);
        self.first_token_ms.merge(&other.first_token_ms);
        self.speed.merge(&other.speed);
        self.outages = self.outages.followed_by(&other.outages);
    }

    /// Whether a tally of one minute counts as up; `None` with too few attempts to tell.
    pub fn is_up(&self) -> Option<bool> {
        let good = self.attempts.saturating_sub(self.failed);
        (self.attempts >= UPTIME_LEAST_ATTEMPTS)
            .then(|| good.saturating_mul(100) >= self.attempts.saturating_mul(UPTIME_LEAST_PERCENT))
    }

    /// Counts a minute for the uptime; `before` is what was counted for it until now.
    pub fn count_minute(&mut self, before: Option<bool>, now: Option<bool>) {
        let count = |verdict: Option<bool>| {
            (
                u32::from(verdict.is_some()),
                u32::from(verdict == Some(true)),
            )
        };
        let ((minutes, up), (old, old_up)) = (count(now), count(before));
        self.minutes = (self.minutes + minutes).saturating_sub(old);
        self.minutes_up = (self.minutes_up + up).saturating_sub(old_up);
    }

    /// Good answers.
    pub fn answers(&self) -> u64 {
        self.attempts.saturating_sub(self.failed)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.attempts == 0 && self.rate_limited == 0
    }

    /// Faults of outages and good answers since, where an outage went on as this tally began.
    pub fn told_in_an_outage(&self) -> (u64, u64) {
        self.outages.told_in_an_outage()
    }

    /// The tally as the planner reads it.
    pub fn window(&self) -> Window {
        Window {
            attempts: self.attempts,
            failed: self.failed,
            outage_failed: self.outages.faults(),
            good_since_outage: self.outages.good_since(),
            rate_limited: self.rate_limited,
            tool_answers: self.tool_answers,
            tool_errors: self.tool_errors,
            prompt_tokens: self.prompt,
            cache_read_tokens: self.cache_read,
            completion_tokens: self.completion,
            cost: self.cost,
            first_token_ms: percentiles(|percent| self.first_token_ms.at_most(percent), 1.0),
            tokens_per_second: percentiles(|percent| self.speed.at_least(percent), 100.0),
            minutes: self.minutes,
            minutes_up: self.minutes_up,
        }
    }
}

fn percentiles(at: impl Fn(u64) -> Option<f64>, scale: f64) -> Option<Percentiles> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seven digits are more than is known"
    )]
    let point = |percent| at(percent).map(|value| (value / scale) as f32);
    Some(Percentiles {
        p50: point(50)?,
        p75: point(75)?,
        p90: point(90)?,
        p95: point(95)?,
        p99: point(99)?,
    })
}

impl From<Packed> for Tally {
    fn from(Packed(counts, cost, minutes, first_token_ms, speed, outages): Packed) -> Self {
        let [
            attempts,
            failed,
            rate_limited,
            tool_answers,
            tool_errors,
            prompt,
            cache_read,
            completion,
        ] = counts;
        let [minutes, minutes_up] = minutes;
        Self {
            attempts,
            failed,
            rate_limited,
            tool_answers,
            tool_errors,
            prompt,
            cache_read,
            completion,
            cost,
            minutes,
            minutes_up,
            first_token_ms,
            speed,
            outages: Outages::unpacked(outages),
        }
    }
}

impl From<Tally> for Packed {
    fn from(tally: Tally) -> Self {
        Self(
            [
                tally.attempts,
                tally.failed,
                tally.rate_limited,
                tally.tool_answers,
                tally.tool_errors,
                tally.prompt,
                tally.cache_read,
                tally.completion,
            ],
            tally.cost,
            [tally.minutes, tally.minutes_up],
            tally.first_token_ms,
            tally.speed,
            tally.outages.packed(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(first: u64, duration: u64, completion: u64) -> Measured {
        Measured {
            verdict: Verdict::Ok,
            first_token_ms: Some(first),
            duration_ms: Some(duration),
            prompt: 100,
            cache_read: 40,
            completion,
            cost: 7,
            ..Measured::default()
        }
    }

    fn of(attempts: &[Measured]) -> Tally {
        let mut tally = Tally::default();
        attempts.iter().for_each(|attempt| tally.add(attempt));
        tally
    }

    fn ended(verdict: Verdict) -> Measured {
        Measured {
            verdict,
            prompt: 9,
            completion: 9,
            cost: 9,
            ..Measured::default()
        }
    }

    #[test]
    fn attempts_are_counted_by_what_they_say() {
        let mut called = answer(20, 500, 50);
        called.tools_valid = Some(false);
        let window = of(&[
            answer(10, 1_000, 25),
            called,
            ended(Verdict::Fault),
            ended(Verdict::RateLimited),
            ended(Verdict::Unknown),
        ])
        .window();
        let expected = Window {
            attempts: 3,
            failed: 1,
            rate_limited: 1,
            tool_answers: 1,
            tool_errors: 1,
            prompt_tokens: 200,
            cache_read_tokens: 80,
            completion_tokens: 75,
            cost: 14,
            ..window.clone()
        };
        assert_eq!(window, expected);
        let (first, speed) = (
            window.first_token_ms.unwrap(),
            window.tokens_per_second.unwrap(),
        );
        assert_eq!((first.p50, first.p99), (10.0, 20.0));
        // Half were as fast as the fast one, nearly all as the slow one.
        assert!(
            (speed.p50 - 100.0).abs() < 3.2 && (speed.p99 - 25.0).abs() < 0.8,
            "{speed:?}"
        );
    }

    #[test]
    fn short_answers_say_nothing_of_speed_and_whole_ones_nothing_of_the_first_token() {
        let mut short = answer(10, 100, LEAST_SPEED_TOKENS - 1);
        short.first_token_ms = None;
        let window = of(&[short]).window();
        assert_eq!(
            (window.first_token_ms, window.tokens_per_second),
            (None, None)
        );
        // The fastest answer of all takes less than a millisecond.
        assert!(
            of(&[answer(0, 0, 100)])
                .window()
                .tokens_per_second
                .is_some()
        );
    }

    #[test]
    fn a_minute_is_up_with_four_good_attempts_of_five() {
        for (good, bad, up) in [
            (9, 0, None),
            (8, 2, Some(true)),
            (7, 3, Some(false)),
            (0, 10, Some(false)),
        ] {
            let attempts = [
                vec![ended(Verdict::Ok); good],
                vec![ended(Verdict::Fault); bad],
            ]
            .concat();
            assert_eq!(of(&attempts).is_up(), up, "{good} good, {bad} bad");
        }
        // 429 is no downtime.
        assert_eq!(of(&vec![ended(Verdict::RateLimited); 50]).is_up(), None);
    }

    #[test]
    fn a_minute_counts_once_however_often_it_is_told() {
        let mut hour = Tally::default();
        let told = [
            None,
            Some(false),
            Some(true),
            Some(true),
            Some(false),
            Some(true),
        ];
        let mut before = None;
        for now in told {
            hour.count_minute(before, now);
            before = now;
        }
        hour.count_minute(None, Some(false));
        assert_eq!((hour.minutes, hour.minutes_up), (2, 1));
    }

    fn any_measured() -> impl Strategy<Value = Measured> {
        let verdict = prop_oneof![
            Just(Verdict::Ok),
            Just(Verdict::Fault),
            Just(Verdict::RateLimited),
            Just(Verdict::Unknown)
        ];
        let time = || proptest::option::of(0..100_000u64);
        (verdict, time(), time(), 0..5_000u64, any::<Option<bool>>()).prop_map(
            |(verdict, first_token_ms, duration_ms, completion, tools_valid)| Measured {
                verdict,
                first_token_ms,
                duration_ms,
                completion,
                tools_valid,
                ..ended(verdict)
            },
        )
    }

    proptest! {
        #[test]
        fn tallies_add_up_in_any_order_and_survive_their_json(
            left in prop::collection::vec(any_measured(), 0..30),
            right in prop::collection::vec(any_measured(), 0..30),
        ) {
            let whole = of(&[left.clone(), right.clone()].concat());
            let mut merged = of(&right);
            merged.merge(&of(&left));
            // All but outages, which are a matter of order.
            merged.outages = whole.outages;
            prop_assert_eq!(&merged, &whole);
            let text = serde_json::to_string(&whole).unwrap();
            prop_assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), whole);
        }
    }
}
