//! The record of one generation: everything that `/generation` tells, except what the ledger knows better.
//!
//! In scope: the row that the relay writes ([`UsageRow`]) and the record that is read back ([`Generation`]).
//! Out of scope: storing it ([`super::d1`]), rendering it for clients (`api`).
//! A row never carries prompts, answers or secrets.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{measured::Measured, observed::Observed};
use crate::chat::Usage;
use crate::credits::ledger::MAX_ROW_BYTES;
use crate::credits::money::{MAX_NANOS, Nanos};
use crate::credits::ops::Outcome;
use crate::credits::pricing::Charge;

/// Longest text field in bytes: a client chooses its own user agent, and D1 takes a row of limited size.
const MAX_TEXT: usize = 256;
/// Longest `trace` in bytes; a longer one is left out.
pub const MAX_TRACE: usize = 4_096;
/// Longest error text in bytes.
const MAX_ERROR: usize = 1_024;
/// Attempts kept; a plan has fewer.
const MAX_ATTEMPTS: usize = 16;

/// One upstream attempt of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// Provider slug.
    pub provider: String,
    /// Endpoint tag.
    pub endpoint: String,
    /// The model as the provider calls it.
    pub model: String,
    /// HTTP status; 0 when no response came.
    pub status: u16,
    /// From dispatch to the attempt's decision.
    pub latency_ms: i64,
    /// The upstream's own id of its answer.
    pub upstream_id: Option<String>,
    /// The tier of service that served, as the provider told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// The id of the account's own provider key, where one was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_key: Option<String>,
    /// It lost a race and was aborted: what it may have cost the operator, nano-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge_cost: Option<Nanos>,
    /// What it delivered, where several attempts wrote the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The endpoint's name among all (`routing::statistics::key`).
    pub route: String,
    /// What it says of the endpoint; absent where it did not end.
    pub measured: Option<Measured>,
    /// What it says of a tool's provider, where it was an execution's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
}

/// One attempt's share of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// Token counts.
    pub usage: Usage,
    /// Its share of the charge, rounded by itself.
    pub cost: Nanos,
}

/// Where the request came from, in the client's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// `HTTP-Referer`.
    pub http_referer: Option<String>,
    /// `X-Title`.
    pub app_title: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `session_id`.
    pub session_id: Option<String>,
    /// `user`.
    pub external_user: Option<String>,
    /// `trace`: JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// How much of what is no text went in and came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaCounts {
    /// Images, files and films of the input.
    pub prompt: u32,
    /// Sounds of the input.
    pub audio_prompt: u32,
    /// Images of the output.
    pub completion: u32,
}

impl MediaCounts {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What the relay knows about a generation. The ledger adds id, account, key, status, cost and time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageRow {
    /// The request's id (`X-Request-Id`).
    pub request_id: String,
    /// When the request arrived, unix milliseconds.
    pub created_at: i64,
    /// Surface: `completions`, `embeddings` and so on.
    pub api_type: String,
    /// The model that answered, as the catalog names it (before an answer: the one asked for).
    pub model: String,
    /// The provider that answered.
    pub provider: Option<String>,
    /// Its endpoint tag.
    pub endpoint: Option<String>,
    /// Whether the client asked for a stream.
    pub streamed: bool,
    /// Whether the client left before the end.
    pub cancelled: bool,
    /// The upstream's own id of its answer.
    pub upstream_id: Option<String>,
    /// Finish reason in the client's vocabulary.
    pub finish_reason: Option<String>,
    /// Finish reason as the upstream spelled it.
    pub native_finish_reason: Option<String>,
    /// Token counts.
    pub usage: Usage,
    /// From arrival to the first content.
    pub latency_ms: Option<i64>,
    /// From the first content to the last.
    pub generation_ms: Option<i64>,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// Every upstream attempt, in order.
    pub attempts: Vec<Attempt>,
    /// The generation whose answer was given again out of the response cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_cache_source_id: Option<String>,
    /// The id of the account's own provider key, where one served.
    pub own_key: Option<String>,
    /// What the request would have cost at list prices, where an own key served.
    pub list_cost: Option<Nanos>,
    /// How the cost came about.
    pub charge: Option<Charge>,
    /// Whose key it is, where it is a person's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The app that sent it (`usage::app`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The id of the preset that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The router that chose the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router: Option<String>,
    /// The tier of service that served, as the provider told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Where its data stayed, where it had to stay somewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_region: Option<String>,
    /// The format of the API that the client speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surface: Option<String>,
    /// How much of it was no text.
    #[serde(skip_serializing_if = "MediaCounts::is_none")]
    pub media: MediaCounts,
    /// Who searched the web for it: `native`, or an engine's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search_engine: Option<String>,
    /// What guardrails did to the request: by the id of each, how often it flagged and redacted.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub guardrails: Value,
}

impl UsageRow {
    /// The row as the ledger takes it. Texts are cut and counts bounded, so that one odd row can never keep D1 from taking
    /// the others in its statement.
    ///
    /// # Errors
    /// Never for this type; serde's signature.
    pub fn into_raw(mut self) -> serde_json::Result<Box<RawValue>> {
        self.bound();
        let raw = serde_json::value::to_raw_value(&self)?;
        if raw.get().len() <= MAX_ROW_BYTES || self.origin.trace.take().is_none() {
            return Ok(raw);
        }
        serde_json::value::to_raw_value(&self)
    }

    fn bound(&mut self) {
        for text in [&mut self.request_id, &mut self.api_type, &mut self.model] {
            cut(text, MAX_TEXT);
        }
        let origin = &mut self.origin;
        for text in [
            &mut self.provider,
            &mut self.endpoint,
            &mut self.upstream_id,
            &mut self.finish_reason,
            &mut self.native_finish_reason,
            &mut self.response_cache_source_id,
            &mut self.member,
            &mut self.app,
            &mut self.preset,
            &mut self.router,
            &mut self.service_tier,
            &mut self.data_region,
            &mut self.surface,
            &mut self.web_search_engine,
            &mut origin.http_referer,
            &mut origin.app_title,
            &mut origin.user_agent,
            &mut origin.session_id,
            &mut origin.external_user,
        ]
        .into_iter()
        .flatten()
        {
            cut(text, MAX_TEXT);
        }
        if let Some(error) = &mut self.error {
            cut(error, MAX_ERROR);
        }
        self.origin.trace.take_if(|trace| trace.len() > MAX_TRACE);
        self.attempts.truncate(MAX_ATTEMPTS);
        for attempt in &mut self.attempts {
            for text in [
                &mut attempt.provider,
                &mut attempt.endpoint,
                &mut attempt.model,
                &mut attempt.route,
            ] {
                cut(text, MAX_TEXT);
            }
            for text in [&mut attempt.upstream_id, &mut attempt.error]
                .into_iter()
                .flatten()
            {
                cut(text, MAX_TEXT);
            }
        }
        let usage = &mut self.usage;
        for count in [
            &mut usage.prompt,
            &mut usage.cache_read,
            &mut usage.cache_write_5m,
            &mut usage.cache_write_1h,
            &mut usage.completion,
            &mut usage.reasoning,
            &mut usage.audio_in,
            &mut usage.audio_out,
            &mut usage.image_out,
        ] {
            *count = (*count).min(MAX_NANOS.unsigned_abs());
        }
        usage.upstream_cost = usage
            .upstream_cost
            .map(|cost| cost.clamp(-MAX_NANOS, MAX_NANOS));
    }
}

/// Drops control characters (six bytes each in JSON) and cuts at a character boundary.
fn cut(text: &mut String, max: usize) {
    if text.contains(|c: char| c.is_control()) {
        text.retain(|c| !c.is_control());
    }
    text.truncate(text.floor_char_boundary(max));
}

/// A generation as D1 keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The generation id.
    pub id: String,
    /// The account that paid.
    pub account: String,
    /// The key that paid: SHA-256 of its secret, in hex.
    pub key_hash: String,
    /// How the request ended in the ledger.
    pub status: Outcome,
    /// What was charged.
    pub cost: Nanos,
    /// When the request ended in the ledger, unix milliseconds.
    pub finished_at: i64,
    /// The rest, as the relay wrote it.
    pub row: UsageRow,
    /// What the operator corrected since.
    #[serde(default)]
    pub corrections: Vec<Correction>,
}

/// A correction of what a generation costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// What it adds to the cost; below zero when credits were given back.
    pub change: Nanos,
    /// Why.
    pub reason: String,
    /// When, unix milliseconds.
    pub at: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_row_a_client_can_cause_fits_the_ledger() {
        // Quotes double in JSON, control characters would take six bytes.
        let text = || "\"\u{1}".repeat(100_000);
        let attempt = Attempt {
            provider: text(),
            endpoint: text(),
            model: text(),
            route: text(),
            upstream_id: Some(text()),
            error: Some(text()),
            latency_ms: i64::MIN,
            measured: Some(Measured {
                ended_at: i64::MIN,
                first_token_ms: Some(u64::MAX),
                duration_ms: Some(u64::MAX),
                prompt: u64::MAX,
                cache_read: u64::MAX,
                completion: u64::MAX,
                cost: i64::MIN,
                tools_valid: Some(false),
                ..Measured::default()
            }),
            ..Attempt::default()
        };
        let row = UsageRow {
            request_id: text(),
            api_type: text(),
            model: text(),
            provider: Some(text()),
            endpoint: Some(text()),
            upstream_id: Some(text()),
            finish_reason: Some(text()),
            native_finish_reason: Some(text()),
            error: Some(text()),
            origin: Origin {
                http_referer: Some(text()),
                app_title: Some(text()),
                user_agent: Some(text()),
                session_id: Some(text()),
                external_user: Some(text()),
                trace: Some("\"".repeat(MAX_TRACE)),
            },
            attempts: vec![attempt; 1_000],
            usage: Usage {
                prompt: u64::MAX,
                upstream_cost: Some(i64::MIN),
                ..Usage::default()
            },
            ..UsageRow::default()
        };
        let raw = row.into_raw().unwrap();
        assert!(raw.get().len() <= MAX_ROW_BYTES, "{}", raw.get().len());
        assert!(raw.get().contains("9007199254740991"));
    }

    #[test]
    fn what_the_client_says_of_its_trace_is_kept_unless_it_is_too_long() {
        let kept = |trace: String| {
            let origin = Origin {
                trace: Some(trace),
                ..Origin::default()
            };
            let row = UsageRow {
                origin,
                ..UsageRow::default()
            };
            let raw = row.into_raw().unwrap();
            let row: UsageRow = serde_json::from_str(raw.get()).unwrap();
            row.origin.trace
        };
        let trace = "{\"trace_name\":\"T\"}".to_owned();
        assert_eq!(kept(trace.clone()), Some(trace));
        assert_eq!(kept("x".repeat(MAX_TRACE + 1)), None);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let mut text = "é".repeat(200);
        cut(&mut text, 255);
        assert_eq!(text.len(), 254);
    }
}
