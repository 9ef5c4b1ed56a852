//! The one envelope: what an execution answers over every protocol.
//!
//! Absent fields are left out. Amounts are dollars, as everywhere in this API. Out of scope: how a protocol wraps it (`api`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::credits::money::{Nanos, dollars};

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was done, or a part of it: `warnings` tells what was not.
    Succeeded,
    /// It was not done.
    #[default]
    Failed,
    /// It was sent, and nobody knows whether it was done.
    #[serde(rename = "outcome_unknown")]
    Unknown,
    /// The provider works on it.
    Running,
    /// Nothing was done: it wants a yes first.
    ConfirmationRequired,
    /// It was stopped before its end.
    Cancelled,
    /// Nothing was done: that was only asked about.
    DryRun,
    /// It failed, and all that was done before was undone.
    Compensated,
    /// It failed, and a part of what was done before was undone.
    PartiallyCompensated,
    /// It failed, and undoing failed too.
    CompensationFailed,
}

impl Status {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "outcome_unknown",
            Self::Running => "running",
            Self::ConfirmationRequired => "confirmation_required",
            Self::Cancelled => "cancelled",
            Self::DryRun => "dry_run",
            Self::Compensated => "compensated",
            Self::PartiallyCompensated => "partially_compensated",
            Self::CompensationFailed => "compensation_failed",
        }
    }
}

/// What a client should know beside the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// A word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The item that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Value>,
}

impl Warning {
    /// A warning about the execution as a whole.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            item: None,
        }
    }
}

/// What an execution took.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// What was charged.
    #[serde(with = "dollars")]
    pub cost: Nanos,
    /// The balance right after it.
    #[serde(with = "dollars::option", skip_serializing_if = "Option::is_none")]
    pub balance_remaining: Option<Nanos>,
    /// From the call's arrival to its answer.
    pub latency_ms: u64,
    /// How many units were charged, where the price is per unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// It ran on a provider key of the account's own.
    pub byok: bool,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolError {
    /// A word for programs.
    pub code: String,
    /// Who failed and how: `client`, `gateway`, `guard`, or a provider's class of errors.
    pub class: String,
    /// A sentence for people.
    pub message: String,
    /// The field of the input that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// The provider's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_status: Option<u16>,
    /// The provider's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_code: Option<String>,
    /// Seconds after which a further try makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// What else a program may want to know: which guard refused and until when, what would have to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl ToolError {
    /// An error of this code and class.
    pub fn new(code: &str, class: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            class: class.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// The client's mistake in a field of the input (a JSON Pointer, or a name; empty where it is about the whole).
    pub fn input(param: impl Into<String>, message: impl Into<String>) -> Self {
        let param: String = param.into();
        Self {
            param: Some(param).filter(|param| !param.is_empty()),
            ..Self::new("invalid_request", "client", message)
        }
    }

    /// The HTTP status that goes with the code.
    pub fn http_status(&self) -> u16 {
        let known = STATUSES.iter().find(|(code, _)| *code == self.code);
        known.map_or(500, |(_, status)| *status)
    }
}

/// Every code that an execution answers, with its HTTP status.
pub const STATUSES: &[(&str, u16)] = &[
    ("invalid_request", 400),
    ("invalid_json", 400),
    ("missing_tool", 400),
    ("missing_input", 400),
    ("refused", 400),
    ("invalid_idempotency_key", 400),
    ("authentication_required", 401),
    ("invalid_api_key", 401),
    ("insufficient_balance", 402),
    ("budget_exceeded", 402),
    ("byok_required", 402),
    ("price_exceeded", 402),
    ("latency_exceeded", 422),
    ("permission_denied", 403),
    ("byok_rejected", 403),
    ("tool_disabled", 403),
    ("guard_exceeded", 403),
    ("confirmation_invalid", 403),
    ("tool_not_found", 404),
    ("not_found", 404),
    ("execution_not_found", 404),
    ("conflict", 409),
    ("idempotency_in_progress", 409),
    ("not_cancellable", 409),
    ("idempotency_mismatch", 422),
    // No client library sends a request again on this status by itself.
    ("outcome_unknown", 424),
    ("rate_limit_exceeded", 429),
    ("adapter_error", 500),
    ("provider_error", 500),
    ("internal_error", 500),
    ("result_too_large", 502),
    ("provider_unavailable", 503),
    ("provider_quota_exhausted", 503),
    ("gateway_unavailable", 503),
    ("provider_timeout", 504),
];

/// What has to be confirmed, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Send the same request with this token.
    pub token: String,
    /// Until when: unix milliseconds.
    pub expires_at: i64,
    /// What would be done, in words that the gateway renders from the tool's row and the input.
    pub summary: String,
    /// `read`, `write`, `destructive`, `money`, with what is known of it.
    pub effects: Vec<String>,
    /// The most that it may cost.
    #[serde(with = "dollars")]
    pub cost_ceiling: Nanos,
    /// Why it has to be confirmed: the policy, or a guard.
    pub reason: String,
}

/// How what was done can be undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The tool to call.
    pub tool: String,
    /// Its input.
    pub input: Value,
    /// `clean` or `partial`.
    pub class: String,
    /// What remains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What an execution answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// `exec-…`.
    pub id: String,
    /// `provider/operation`; what was asked for, where nothing was chosen.
    pub tool: String,
    /// The provider's slug; empty where none was chosen.
    pub provider: String,
    /// How it stands.
    pub status: Status,
    /// What the provider answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// The same in the form of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What to know beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// What it took.
    pub usage: Usage,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ToolError>,
    /// It is the stored answer of an earlier request with the same idempotency key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// What has to be confirmed first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
    /// The input of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Value>,
    /// How it can be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// How the tool was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Value>,
    /// The steps of a composite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Value>>,
    /// The licence note of the data, where one is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
}

impl Envelope {
    /// An execution of this tool that failed for this reason.
    pub fn failed(id: &str, tool: &str, error: ToolError) -> Self {
        let provider = tool.split_once('/').map_or("", |(provider, _)| provider);
        Self {
            id: id.to_owned(),
            tool: tool.to_owned(),
            provider: provider.to_owned(),
            error: Some(error),
            ..Self::default()
        }
    }

    /// The HTTP status over protocols that have one.
    pub fn http_status(&self) -> u16 {
        match (&self.error, self.status) {
            (Some(error), _) => error.http_status(),
            (None, Status::Running | Status::ConfirmationRequired) => 202,
            (None, Status::Unknown) => 424,
            (None, _) => 200,
        }
    }

    /// The envelope on the wire.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self)
            .unwrap_or_else(|error| json!({"id": self.id, "error": {"message": error.to_string(), "code": "internal_error"}}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_reads_back_as_it_was_written() {
        let envelope = Envelope {
            id: "exec-1".into(),
            tool: "resend/send_email".into(),
            provider: "resend".into(),
            status: Status::Unknown,
            data: Some(json!({"id": 1})),
            warnings: vec![Warning::new("x", "y")],
            usage: Usage {
                cost: Nanos::new(1_000_000).unwrap(),
                latency_ms: 12,
                ..Usage::default()
            },
            replayed: true,
            ..Envelope::default()
        };
        let text = serde_json::to_string(&envelope).unwrap();
        assert!(text.contains(r#""status":"outcome_unknown""#), "{text}");
        assert!(text.contains(r#""cost":0.001"#), "{text}");
        assert!(!text.contains("steps"), "{text}");
        assert_eq!(serde_json::from_str::<Envelope>(&text).unwrap(), envelope);
    }

    #[test]
    fn every_way_to_end_has_its_http_status() {
        let failed = |code: &str| Envelope::failed("e", "a/b", ToolError::new(code, "client", "m"));
        assert_eq!(failed("byok_required").http_status(), 402);
        assert_eq!(failed("outcome_unknown").http_status(), 424);
        assert_eq!(failed("a code of tomorrow").http_status(), 500);
        for (status, http) in [
            (Status::Succeeded, 200),
            (Status::Running, 202),
            (Status::ConfirmationRequired, 202),
            (Status::Unknown, 424),
        ] {
            let envelope = Envelope {
                status,
                ..Envelope::default()
            };
            assert_eq!(envelope.http_status(), http);
        }
    }
}
