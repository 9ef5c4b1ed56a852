//! How endpoints have served lately, as the planner reads it.
//!
//! Out of scope: how it is gathered (`usage::statistics`). Times are milliseconds, speeds are tokens per second.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Endpoint;

/// Five points of a distribution: p90 is what nine of ten requests did at least as well as. So latencies rise from p50 to
/// p99, and speeds fall.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are the wire's own")]
pub struct Percentiles {
    pub p50: f32,
    pub p75: f32,
    pub p90: f32,
    pub p95: f32,
    pub p99: f32,
}

/// What one endpoint did within one stretch of time. As JSON it is a list, to be small.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct Window {
    /// Attempts that ended well or by a fault of the provider's. What a client got wrong does not count, nor does 429.
    pub attempts: u64,
    /// Of these, faults: no connection, time-outs, server errors, broken or empty answers.
    pub failed: u64,
    /// Of these, faults of outages: at least [`FAULTS_IN_A_ROW`](super::breaker::FAULTS_IN_A_ROW) with no good answer between them.
    pub outage_failed: u64,
    /// Good answers after the last outage; all of them where there was none.
    pub good_since_outage: u64,
    /// Attempts answered with 429; they are in no other count.
    pub rate_limited: u64,
    /// Good answers that called tools.
    pub tool_answers: u64,
    /// Of these, with arguments that are no JSON, or a tool that the request does not have.
    pub tool_errors: u64,
    /// Prompt tokens of good answers.
    pub prompt_tokens: u64,
    /// Of these, read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Completion tokens of good answers.
    pub completion_tokens: u64,
    /// What the good answers cost, nano-dollars.
    pub cost: i64,
    /// From dispatch to the first content of a stream.
    pub first_token_ms: Option<Percentiles>,
    /// Completion tokens over the time from dispatch to the last of them.
    pub tokens_per_second: Option<Percentiles>,
    /// Minutes with attempts enough to tell whether the endpoint was up.
    pub minutes: u32,
    /// Of these, minutes in which it was.
    pub minutes_up: u32,
}

/// [`Window`] in the order of its fields: counts, cost, minutes, percentiles.
#[derive(Serialize, Deserialize)]
struct Packed(
    [u64; 8],
    i64,
    [u32; 2],
    Option<[f32; 5]>,
    Option<[f32; 5]>,
    // Missing in what earlier versions kept.
    #[serde(default)] [u64; 2],
);

impl Window {
    /// The share of minutes in which the endpoint was up, in percent; `None` where no minute tells.
    pub fn uptime(&self) -> Option<f64> {
        (self.minutes > 0).then(|| f64::from(self.minutes_up) * 100.0 / f64::from(self.minutes))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known of one endpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointStatistics {
    /// The last 5 minutes.
    #[serde(skip_serializing_if = "Window::is_empty")]
    pub five_minutes: Window,
    /// The last 30 minutes.
    #[serde(skip_serializing_if = "Window::is_empty")]
    pub half_hour: Window,
    /// The last day.
    #[serde(skip_serializing_if = "Window::is_empty")]
    pub day: Window,
}

/// What is known of all endpoints.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// When it was gathered, unix milliseconds.
    pub gathered_at: u64,
    /// By [`key`].
    pub endpoints: HashMap<String, EndpointStatistics>,
}

/// The name of an endpoint among all: `model|tag`.
pub fn key(endpoint: &Endpoint) -> String {
    format!("{}|{}", endpoint.model, endpoint.tag)
}

impl Statistics {
    /// What is known of this endpoint, if anything.
    pub fn of(&self, endpoint: &Endpoint) -> Option<&EndpointStatistics> {
        self.endpoints.get(&key(endpoint))
    }
}

impl From<Packed> for Window {
    fn from(
        Packed(counts, cost, [minutes, minutes_up], first_token, speed, outage): Packed,
    ) -> Self {
        let [
            attempts,
            failed,
            rate_limited,
            tool_answers,
            tool_errors,
            prompt_tokens,
            cache_read_tokens,
            completion_tokens,
        ] = counts;
        let [outage_failed, good_since_outage] = outage;
        let percentiles = |points: Option<[f32; 5]>| {
            points.map(|[p50, p75, p90, p95, p99]| Percentiles {
                p50,
                p75,
                p90,
                p95,
                p99,
            })
        };
        Self {
            attempts,
            failed,
            outage_failed,
            good_since_outage,
            rate_limited,
            tool_answers,
            tool_errors,
            prompt_tokens,
            cache_read_tokens,
            completion_tokens,
            cost,
            first_token_ms: percentiles(first_token),
            tokens_per_second: percentiles(speed),
            minutes,
            minutes_up,
        }
    }
}

impl From<Window> for Packed {
    fn from(window: Window) -> Self {
        let points = |it: Option<Percentiles>| {
            it.map(|points| [points.p50, points.p75, points.p90, points.p95, points.p99])
        };
        Self(
            [
                window.attempts,
                window.failed,
                window.rate_limited,
                window.tool_answers,
                window.tool_errors,
                window.prompt_tokens,
                window.cache_read_tokens,
                window.completion_tokens,
            ],
            window.cost,
            [window.minutes, window.minutes_up],
            points(window.first_token_ms),
            points(window.tokens_per_second),
            [window.outage_failed, window.good_since_outage],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_reads_as_it_was_written_and_is_small() {
        let window = Window {
            attempts: 12_345,
            failed: 12,
            outage_failed: 9,
            good_since_outage: 4_321,
            rate_limited: 34,
            tool_answers: 5_678,
            tool_errors: 9,
            prompt_tokens: 123_456_789,
            cache_read_tokens: 98_765_432,
            completion_tokens: 12_345_678,
            cost: 123_456_789_012,
            first_token_ms: Some(Percentiles {
                p50: 231.5,
                p75: 335.5,
                p90: 719.5,
                p95: 1_343.5,
                p99: 2_687.5,
            }),
            tokens_per_second: Some(Percentiles {
                p50: 87.675,
                p75: 71.675,
                p90: 51.195,
                p95: 31.535,
                p99: 11.835,
            }),
            minutes: 1_440,
            minutes_up: 1_438,
        };
        let figures = EndpointStatistics {
            five_minutes: window.clone(),
            half_hour: window.clone(),
            day: window,
        };
        let endpoints =
            (0..1_000).map(|n| (format!("author/model-{n}|provider-{n}"), figures.clone()));
        let statistics = Statistics {
            gathered_at: 1,
            endpoints: endpoints.collect(),
        };
        let text = serde_json::to_string(&statistics).unwrap();
        assert!(
            text.len() < 650_000,
            "{} bytes for 1,000 busy endpoints",
            text.len()
        );
        assert_eq!(
            serde_json::from_str::<Statistics>(&text).unwrap(),
            statistics
        );
    }

    #[test]
    fn what_is_unknown_takes_no_space() {
        let text = serde_json::to_string(&EndpointStatistics::default()).unwrap();
        assert_eq!(text, "{}");
        assert_eq!(Window::default().uptime(), None);
    }
}
