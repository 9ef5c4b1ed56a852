//! Errors of chat-completions hosts, as an answer's body or inside a stream.
//!
//! OpenAI's form is `{"error":{"message","type","param","code"}}`; compatible hosts answer with `{"message"}`, `{"detail"}`,
//! `{"error":"…"}`, lists, plain text or a proxy's HTML. Nothing here fails.

use serde_json::Value;

use crate::error::{Error, ErrorType};

/// The most characters of a plain-text body that are told.
const MAX_TEXT: usize = 300;

/// What a body says.
#[derive(Debug, Default)]
struct Told {
    message: Option<String>,
    /// The host's own code, else its type.
    code: Option<String>,
    /// An HTTP status inside the body.
    status: Option<u16>,
}

/// Reads the body of an answer that is not 200.
pub fn error(status: u16, body: &[u8]) -> Error {
    let told = match crate::json::from_slice::<Value>(body) {
        Ok(value) => read(&value),
        Err(_) => Told {
            message: plain_text(body),
            ..Told::default()
        },
    };
    classify(status, told).with_raw(body)
}

/// Reads an error object that came under status 200: in a stream, or as the whole answer.
pub(in crate::dialects) fn in_band(value: &Value) -> Error {
    let told = read(value);
    let status = told
        .status
        .or_else(|| told.code.as_deref().and_then(status_of_code))
        .unwrap_or(502);
    classify(status, told).with_raw(value.to_string().as_bytes())
}

/// The status that fits a code where the host gave no status.
fn status_of_code(code: &str) -> Option<u16> {
    Some(match code {
        "rate_limit_exceeded" | "rate_limit_error" | "RateLimitReached" | "insufficient_quota" => {
            429
        }
        "engine_overloaded" | "overloaded" | "overloaded_error" | "service_unavailable" => 503,
        "server_error" | "internal_error" | "internal_server_error" => 500,
        "timeout" => 504,
        code if is_about_the_request(code) => 400,
        _ => return None,
    })
}

fn is_about_the_request(code: &str) -> bool {
    code.starts_with("invalid_")
        || matches!(
            code,
            "context_length_exceeded"
                | "content_filter"
                | "content_policy_violation"
                | "tool_use_failed"
        )
}

fn classify(status: u16, told: Told) -> Error {
    let message = told
        .message
        .unwrap_or_else(|| format!("The provider answered with HTTP status {status}"));
    let kind = matches!(status, 400 | 403 | 413 | 422)
        .then(|| kind_of(told.code.as_deref().unwrap_or_default(), &message))
        .flatten();
    let mut error = Error::from_upstream_status(status, message, told.code);
    if let Some(kind) = kind {
        error.error_type = kind;
        error.status = kind.status();
    }
    error
}

/// The kinds of refused requests that clients act upon.
fn kind_of(code: &str, message: &str) -> Option<ErrorType> {
    let text = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if matches!(
        code,
        "context_length_exceeded" | "too_many_prompt_tokens" | "string_above_max_length"
    ) || says(&[
        "maximum context length",
        "max context length",
        "context window",
        "context length",
        "prompt is too long",
        "prompt too long",
        "token limit reached",
    ]) {
        return Some(ErrorType::ContextLengthExceeded);
    }
    if matches!(
        code,
        "content_filter" | "content_policy_violation" | "ResponsibleAIPolicyViolation"
    ) || says(&[
        "content policy",
        "content management policy",
        "usage guidelines",
    ]) {
        return Some(ErrorType::ContentPolicyViolation);
    }
    if code.starts_with("invalid_image") || code == "image_parse_error" {
        return Some(ErrorType::InvalidImage);
    }
    if says(&[
        "max_tokens is too large",
        "max_completion_tokens is too large",
    ]) {
        return Some(ErrorType::MaxTokensExceeded);
    }
    None
}

fn read(value: &Value) -> Told {
    let value = match value {
        Value::Array(list) => list.first().unwrap_or(&Value::Null),
        value => value,
    };
    let inner = match value.get("error") {
        Some(inner @ Value::Object(_)) => inner,
        _ => value,
    };
    let text = |value: &Value, key: &str| {
        let text = value.get(key).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let message = text(inner, "message")
        .or_else(|| text(inner, "error"))
        .or_else(|| text(inner, "detail"))
        .or_else(|| text(inner, "msg"))
        .or_else(|| text(inner.get("detail")?.get(0)?, "msg"))
        .or_else(|| inner.as_str().map(str::to_owned));
    let status = ["code", "status_code", "status"]
        .iter()
        .filter_map(|key| inner.get(*key)?.as_u64())
        .find_map(|status| u16::try_from(status).ok())
        .filter(|status| (400..600).contains(status));
    Told {
        message,
        code: text(inner, "code").or_else(|| text(inner, "type")),
        status,
    }
}

/// The first line of a body in plain text; nothing of HTML, which tells people little.
fn plain_text(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let line = text.trim().lines().next()?.trim();
    if line.is_empty() || line.starts_with('<') {
        return None;
    }
    Some(line.chars().take(MAX_TEXT).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::{Next, Source};

    #[test]
    fn bodies_of_every_form_are_understood() {
        let cases = [
            (
                400,
                r#"{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"x"}}"#,
                "m",
                Some("x"),
                400,
                ErrorType::InvalidRequest,
            ),
            (
                400,
                r#"{"error":{"message":"m","type":"t","code":null}}"#,
                "m",
                Some("t"),
                400,
                ErrorType::InvalidRequest,
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8 tokens","code":"context_length_exceeded"}}"#,
                "This model's maximum context length is 8 tokens",
                Some("context_length_exceeded"),
                400,
                ErrorType::ContextLengthExceeded,
            ),
            (
                400,
                r#"{"error":{"message":"m","code":"content_filter"}}"#,
                "m",
                Some("content_filter"),
                400,
                ErrorType::ContentPolicyViolation,
            ),
            (
                429,
                r#"{"message":"slow down","request_id":"r"}"#,
                "slow down",
                None,
                429,
                ErrorType::RateLimitExceeded,
            ),
            (
                422,
                r#"{"detail":[{"loc":["body"],"msg":"bad"}]}"#,
                "bad",
                None,
                422,
                ErrorType::Unprocessable,
            ),
            (
                404,
                r#"{"detail":"no model"}"#,
                "no model",
                None,
                502,
                ErrorType::ProviderUnavailable,
            ),
            (
                400,
                r#"{"code":"Client specified an invalid argument","error":"no"}"#,
                "no",
                Some("Client specified an invalid argument"),
                400,
                ErrorType::InvalidRequest,
            ),
            (
                500,
                r#"[{"error":{"message":"m"}}]"#,
                "m",
                None,
                502,
                ErrorType::ProviderUnavailable,
            ),
            (
                503,
                "upstream connect error",
                "upstream connect error",
                None,
                503,
                ErrorType::ProviderOverloaded,
            ),
            (
                502,
                "<html><body>Bad gateway</body></html>",
                "The provider answered with HTTP status 502",
                None,
                502,
                ErrorType::ProviderUnavailable,
            ),
            (
                500,
                "",
                "The provider answered with HTTP status 500",
                None,
                502,
                ErrorType::ProviderUnavailable,
            ),
        ];
        for (status, body, message, code, told, kind) in cases {
            let error = error(status, body.as_bytes());
            assert_eq!(error.message, message, "{body}");
            assert_eq!(error.provider_code.as_deref(), code, "{body}");
            assert_eq!((error.status, error.error_type), (told, kind), "{body}");
            assert_eq!(
                (error.source, error.next),
                (Source::Upstream, Next::NextAttempt)
            );
            assert_eq!(error.raw.as_deref(), Some(body));
        }
    }

    #[test]
    fn an_error_under_status_200_finds_its_status() {
        for (value, status) in [
            (json!({"message": "m", "code": 429}), 429),
            (json!({"message": "m", "code": "rate_limit_exceeded"}), 429),
            (json!({"message": "m", "code": "server_error"}), 502),
            (
                json!({"message": "m", "code": "tool_use_failed", "status_code": 400}),
                400,
            ),
            (json!({"message": "Token limit reached", "code": 400}), 400),
            (json!("just words"), 502),
            (json!(null), 502),
        ] {
            assert_eq!(in_band(&value).status, status, "{value}");
        }
    }
}
