//! How endpoints have served lately, as the planner reads it.
//!
//! Out of scope: how it is gathered. Times are milliseconds, speeds are tokens per second.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Endpoint;

/// Four points of a distribution: p90 is what nine of ten requests did at least as well as. So latencies rise from p50 to
/// p99, and speeds fall.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are the wire's own")]
pub struct Percentiles {
    pub p50: f32,
    pub p75: f32,
    pub p90: f32,
    pub p99: f32,
}

/// What one endpoint did within one stretch of time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// Attempts that ended well or by a fault of the provider's. What a client got wrong does not count, nor does 429.
    pub attempts: u64,
    /// Of these, faults: no connection, time-outs, server errors, broken or empty answers.
    pub failed: u64,
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
    /// From dispatch to the first content.
    pub first_token_ms: Option<Percentiles>,
    /// Completion tokens over the time from dispatch to the last of them.
    pub tokens_per_second: Option<Percentiles>,
}

/// What is known of one endpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointStatistics {
    /// The last 5 minutes.
    pub five_minutes: Window,
    /// The last 30 minutes.
    pub half_hour: Window,
    /// The last day.
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
