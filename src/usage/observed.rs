//! What one attempt at a tool's operation says of its provider.
//!
//! In scope: the figures, and which classes of errors are the provider's own fault. Out of scope: adding them up (`tools::beliefs`), how
//! a provider's answer gets its class (`tools::connector`).

use serde::{Deserialize, Serialize};

use super::measured::Verdict;

/// Classes of errors that are the provider's fault, whoever asked.
const FAULTS: [&str; 3] = ["timeout", "unavailable", "provider"];
/// Classes that are its fault where the operator's key was sent; with a key that the account brought they are the account's affair.
const FAULTS_OF_OUR_KEY: [&str; 2] = ["auth", "quota"];

/// One attempt at an operation of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// `provider/operation`.
    pub tool: String,
    /// The tool's category: those of one category lend each other their first beliefs.
    pub category: String,
    /// When it ended, unix milliseconds.
    pub ended_at: i64,
    /// For or against the provider.
    pub verdict: Verdict,
    /// The class of its error; absent after a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// From sending to the whole answer; to giving up, where it was not awaited to its end.
    pub latency_ms: u64,
    /// It was given up at [`Observed::latency_ms`]: the answer would have taken longer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub timed_out: bool,
    /// What it cost the account, nano-dollars.
    pub cost: i64,
}

impl Observed {
    /// A success.
    pub fn succeeded(
        tool: &str,
        category: &str,
        ended_at: i64,
        latency_ms: u64,
        cost: i64,
    ) -> Self {
        Self {
            tool: tool.to_owned(),
            category: category.to_owned(),
            ended_at,
            verdict: Verdict::Ok,
            latency_ms,
            cost,
            ..Self::default()
        }
    }

    /// An attempt that failed with an error of this class; `own_key`: with a key that the account brought.
    pub fn failed(
        tool: &str,
        category: &str,
        ended_at: i64,
        latency_ms: u64,
        class: &str,
        own_key: bool,
    ) -> Self {
        Self {
            verdict: verdict(class, own_key),
            class: Some(class.to_owned()),
            timed_out: class == "timeout",
            ..Self::succeeded(tool, category, ended_at, latency_ms, 0)
        }
    }
}

/// What an error of this class says. Neither for nor against: what the caller got wrong (`invalid`, `not_found`, `conflict`,
/// `permission`), what the account's own key may not do, a refusal by moderation, a confirmation that was declined, a client that left.
pub fn verdict(class: &str, own_key: bool) -> Verdict {
    if FAULTS.contains(&class) || (!own_key && FAULTS_OF_OUR_KEY.contains(&class)) {
        Verdict::Fault
    } else if class == "rate_limited" && !own_key {
        Verdict::RateLimited
    } else {
        Verdict::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_providers_own_faults_speak_against_it() {
        let table = [
            ("timeout", Verdict::Fault, Verdict::Fault),
            ("unavailable", Verdict::Fault, Verdict::Fault),
            ("provider", Verdict::Fault, Verdict::Fault),
            ("quota", Verdict::Fault, Verdict::Unknown),
            ("auth", Verdict::Fault, Verdict::Unknown),
            ("rate_limited", Verdict::RateLimited, Verdict::Unknown),
            ("invalid", Verdict::Unknown, Verdict::Unknown),
            ("permission", Verdict::Unknown, Verdict::Unknown),
            ("not_found", Verdict::Unknown, Verdict::Unknown),
            ("conflict", Verdict::Unknown, Verdict::Unknown),
            ("refused", Verdict::Unknown, Verdict::Unknown),
            ("cancelled", Verdict::Unknown, Verdict::Unknown),
        ];
        for (class, ours, own) in table {
            assert_eq!(verdict(class, false), ours, "{class}");
            assert_eq!(verdict(class, true), own, "{class} with an own key");
        }
    }

    #[test]
    fn an_observation_reads_back_as_it_was_written() {
        let observed = Observed::failed("tavily/search", "search", 7, 30_000, "timeout", false);
        assert!(observed.timed_out);
        let text = serde_json::to_string(&observed).unwrap();
        assert_eq!(serde_json::from_str::<Observed>(&text).unwrap(), observed);
    }
}
