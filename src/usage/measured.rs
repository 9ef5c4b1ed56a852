//! What one attempt says of the endpoint that was called.
//!
//! In scope: the figures and the verdict over a failure. Out of scope: adding them up ([`super::statistics`]).

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorType, Source};

/// Statuses of a provider that say nothing of its health: the request is wrong, forbidden, or its client left.
const SAYS_NOTHING: [u16; 7] = [400, 403, 413, 415, 422, 451, 499];
/// Statuses that blame the key: with a key that the account brought they are the account's affair.
const BLAMES_KEY: [u16; 4] = [401, 402, 404, 405];

/// Whether an attempt speaks for or against its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It answered as it should.
    Ok,
    /// It failed by its own fault: server errors, time-outs, broken or empty answers, and set-up errors such as 401.
    Fault,
    /// 429.
    RateLimited,
    /// Neither: the request was wrong, or the client left.
    #[default]
    Unknown,
}

impl Verdict {
    /// What a failure says. `status` is the provider's own, 0 where none came; `own_key`: the account's key was sent.
    pub fn of(error: &Error, status: u16, own_key: bool) -> Self {
        let blames_key = own_key && (BLAMES_KEY.contains(&status) || status == 429);
        if error.source != Source::Upstream || SAYS_NOTHING.contains(&status) || blames_key {
            return Self::Unknown;
        }
        match error.error_type {
            ErrorType::RateLimitExceeded if own_key => Self::Unknown,
            ErrorType::RateLimitExceeded => Self::RateLimited,
            ErrorType::ContextLengthExceeded
            | ErrorType::MaxTokensExceeded
            | ErrorType::InvalidRequest
            | ErrorType::InvalidPrompt
            | ErrorType::ContentPolicyViolation
            | ErrorType::Refusal
            | ErrorType::InvalidImage
            | ErrorType::PayloadTooLarge
            | ErrorType::Unprocessable
            | ErrorType::ClientClosed => Self::Unknown,
            _ => Self::Fault,
        }
    }
}

/// The figures of one attempt. Tokens and cost are those of good answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// When it ended, unix milliseconds.
    pub ended_at: i64,
    /// For or against the endpoint.
    pub verdict: Verdict,
    /// From dispatch to the first content of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// From dispatch to the last content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Prompt tokens.
    pub prompt: u64,
    /// Of these, read from the provider's cache.
    pub cache_read: u64,
    /// Completion tokens.
    pub completion: u64,
    /// Nano-dollars at the endpoint's prices.
    pub cost: i64,
    /// Whether all tool calls were well formed; absent where there were none or the answer was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools_valid: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Next;

    #[test]
    fn what_counts_against_an_endpoint() {
        // The list of OpenRouter's reference §5.3; 0 is a connection that failed.
        let faults = [
            0, 401, 402, 404, 405, 408, 410, 421, 423, 424, 426, 498, 500, 502, 503, 504, 524, 529,
        ];
        let neutral = [400, 403, 413, 422, 451, 499];
        for (statuses, verdict) in [
            (faults.as_slice(), Verdict::Fault),
            (neutral.as_slice(), Verdict::Unknown),
            (&[429], Verdict::RateLimited),
        ] {
            for status in statuses {
                let error = Error::from_upstream_status(*status, "no", None);
                assert_eq!(Verdict::of(&error, *status, false), verdict, "{status}");
            }
        }
    }

    #[test]
    fn an_error_inside_a_success_counts_by_its_type() {
        for (error_type, verdict) in [
            (ErrorType::RateLimitExceeded, Verdict::RateLimited),
            (ErrorType::ProviderUnavailable, Verdict::Fault),
            (ErrorType::ProviderOverloaded, Verdict::Fault),
            (ErrorType::Timeout, Verdict::Fault),
            (ErrorType::ContextLengthExceeded, Verdict::Unknown),
            (ErrorType::ContentPolicyViolation, Verdict::Unknown),
        ] {
            let error = Error::upstream(error_type, "no");
            assert_eq!(Verdict::of(&error, 200, false), verdict, "{error_type:?}");
        }
    }

    #[test]
    fn the_clients_and_our_own_failures_say_nothing() {
        let own = Error::internal("oh");
        let clients = Error::new(
            Source::Client,
            Next::NextAttempt,
            ErrorType::InvalidRequest,
            "no",
        );
        assert_eq!(Verdict::of(&own, 200, false), Verdict::Unknown);
        assert_eq!(Verdict::of(&clients, 0, false), Verdict::Unknown);
    }

    #[test]
    fn what_becomes_of_an_accounts_own_key_is_not_held_against_the_endpoint() {
        for (status, verdict) in [
            (401, Verdict::Unknown),
            (402, Verdict::Unknown),
            (429, Verdict::Unknown),
            (500, Verdict::Fault),
            (0, Verdict::Fault),
        ] {
            let error = Error::from_upstream_status(status, "no", None);
            assert_eq!(Verdict::of(&error, status, true), verdict, "{status}");
        }
    }
}
