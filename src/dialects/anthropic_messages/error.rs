//! Error answers: `{"type": "error", "error": {"type", "message"}}`, and whatever else a proxy in front may send.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, ErrorType};

/// What an error body says, as far as it can be read.
#[derive(Debug, Default)]
struct Envelope {
    kind: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    error: Option<Value>,
    message: Option<Value>,
    detail: Option<Value>,
}

/// Reads an error answer. Never fails: a body that says nothing gives a general sentence.
pub fn error(status: u16, body: &[u8]) -> Error {
    build(status, read(body), body)
}

/// Reads an error that came without a status: in a stream, or in a body sent as a success.
pub(super) fn in_band(body: &[u8]) -> Error {
    let envelope = read(body);
    build(status_of(envelope.kind.as_deref()), envelope, body)
}

fn build(status: u16, envelope: Envelope, body: &[u8]) -> Error {
    let message = envelope
        .message
        .unwrap_or_else(|| format!("The provider answered with HTTP status {status}"));
    if is_about_the_account(status, envelope.kind.as_deref(), &message) {
        // The client must not take it for a word about its own credits.
        let mut error = Error::upstream(
            ErrorType::ProviderUnavailable,
            "The provider does not serve the gateway's account at the moment",
        );
        error.provider_code = envelope.kind;
        return error;
    }
    let known = special(status, &message);
    let mut error = Error::from_upstream_status(status, message, envelope.kind);
    if let Some(error_type) = known {
        error.error_type = error_type;
        error.status = error_type.status();
    }
    error.with_raw(body)
}

fn read(body: &[u8]) -> Envelope {
    let Ok(body) = crate::json::from_slice::<Body>(body) else {
        return Envelope::default();
    };
    let text = |value: Option<&Value>| {
        let text = value?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    match &body.error {
        Some(Value::Object(error)) => Envelope {
            kind: text(error.get("type")),
            message: text(error.get("message")),
        },
        other => Envelope {
            kind: None,
            message: text(other.as_ref())
                .or_else(|| text(body.message.as_ref()))
                .or_else(|| text(body.detail.as_ref())),
        },
    }
}

/// The status that goes with an error type.
fn status_of(kind: Option<&str>) -> u16 {
    match kind.unwrap_or_default() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

/// Is the gateway's own account empty or blocked?
fn is_about_the_account(status: u16, kind: Option<&str>, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let words = [
        "credit balance",
        "usage limits",
        "organization has been disabled",
    ];
    kind == Some("billing_error")
        || (status < 500 && words.iter().any(|word| message.contains(word)))
}

/// Failures that the status does not tell apart: Anthropic says "invalid request" to all of them.
fn special(status: u16, message: &str) -> Option<ErrorType> {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if status != 400 && status != 413 && status != 422 {
        return None;
    }
    if says(&[
        "prompt is too long",
        "input is too long",
        "context limit",
        "context window",
        "context length",
    ]) {
        Some(ErrorType::ContextLengthExceeded)
    } else if says(&["maximum allowed number of output tokens"]) {
        Some(ErrorType::MaxTokensExceeded)
    } else if says(&["content filtering policy", "usage policy"]) {
        Some(ErrorType::ContentPolicyViolation)
    } else if says(&[
        "could not process image",
        "image exceeds",
        "image dimensions",
    ]) {
        Some(ErrorType::InvalidImage)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Next, Source};

    fn envelope(kind: &str, message: &str) -> Vec<u8> {
        serde_json::to_vec(
            &serde_json::json!({"type": "error", "error": {"type": kind, "message": message}}),
        )
        .unwrap()
    }

    #[test]
    fn requests_too_large_are_told_apart() {
        for (message, expected) in [
            (
                "prompt is too long: 210000 tokens > 200000 maximum",
                ErrorType::ContextLengthExceeded,
            ),
            (
                "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000",
                ErrorType::ContextLengthExceeded,
            ),
            (
                "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude",
                ErrorType::MaxTokensExceeded,
            ),
            (
                "Output blocked by content filtering policy",
                ErrorType::ContentPolicyViolation,
            ),
            (
                "messages.0.content.0.image.source.base64: image exceeds 5 MB maximum",
                ErrorType::InvalidImage,
            ),
            (
                "messages.0: Input does not match the expected shape.",
                ErrorType::InvalidRequest,
            ),
        ] {
            let error = error(400, &envelope("invalid_request_error", message));
            assert_eq!(
                (error.error_type, error.status),
                (expected, 400),
                "{message}"
            );
            assert_eq!(error.message, message);
            assert_eq!(
                error.provider_code.as_deref(),
                Some("invalid_request_error")
            );
        }
    }

    #[test]
    fn an_empty_account_is_never_the_clients_fault() {
        let message = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.";
        for (status, kind) in [
            (400, "invalid_request_error"),
            (402, "billing_error"),
            (403, "permission_error"),
            (401, "authentication_error"),
            (404, "not_found_error"),
        ] {
            let error = error(status, &envelope(kind, message));
            assert_eq!(error.status, 502, "{status}");
            assert!(!error.message.contains("credit") && error.raw.is_none());
            assert_eq!(
                (error.source, error.next),
                (Source::Upstream, Next::NextAttempt)
            );
        }
    }

    #[test]
    fn overload_keeps_its_own_status() {
        let error = error(529, &envelope("overloaded_error", "Overloaded"));
        assert_eq!(
            (error.error_type, error.status),
            (ErrorType::ProviderOverloaded, 529)
        );
        assert_eq!(error.next, Next::NextAttempt);
    }

    #[test]
    fn a_body_of_any_kind_gives_an_error() {
        for body in [
            &b"<html>Bad gateway</html>"[..],
            b"",
            b"null",
            b"[]",
            b"{\"error\":7}",
            b"\xff",
        ] {
            let error = error(502, body);
            assert_eq!(error.status, 502);
            assert_eq!(error.message, "The provider answered with HTTP status 502");
        }
        assert_eq!(error(500, br#"{"error":"kaput"}"#).message, "kaput");
        assert_eq!(error(500, br#"{"detail":"kaput"}"#).message, "kaput");
    }
}
