//! Error answers: the `google.rpc.Status` envelope in the gateway's vocabulary.
//!
//! In scope: HTTP errors (object, array, SSE frame or no JSON at all) and errors inside a stream.
//! Spec: <https://cloud.google.com/apis/design/errors>, <https://ai.google.dev/gemini-api/docs/troubleshooting>

use serde_json::Value;

use crate::error::{Error, ErrorType};

/// Reads an error answer. Never fails: a body that is no JSON keeps its status.
pub fn error(status: u16, body: &[u8]) -> Error {
    let text = body.trim_ascii();
    let text = text.strip_prefix(b"data:").unwrap_or(text);
    match crate::json::from_slice::<Value>(text) {
        Ok(Value::Array(items)) => from_envelope(status, items.first(), body),
        Ok(value) => from_envelope(status, Some(&value), body),
        Err(_) => from_envelope(status, None, body),
    }
}

fn from_envelope(status: u16, envelope: Option<&Value>, body: &[u8]) -> Error {
    let Some(object) = envelope.and_then(|envelope| envelope.get("error")) else {
        let message = format!("The provider answered with HTTP status {status}");
        return Error::from_upstream_status(status, message, None).with_raw(body);
    };
    let error = from_object(Some(status), object);
    if error.provider_code.as_deref() == Some(KEY_INVALID) {
        return error;
    }
    error.with_raw(body)
}

/// The `reason` of an `ErrorInfo` about a wrong key.
const KEY_INVALID: &str = "API_KEY_INVALID";

/// Reads an `error` object; inside a stream it has no HTTP status, so its own code stands for it.
pub(super) fn from_object(http_status: Option<u16>, object: &Value) -> Error {
    let text = |key| object.get(key).and_then(Value::as_str);
    let own_code = object
        .get("code")
        .and_then(Value::as_u64)
        .and_then(|code| u16::try_from(code).ok());
    let status = http_status
        .filter(|status| *status >= 400)
        .or(own_code)
        .unwrap_or(500);
    let message = text("message").unwrap_or("The provider sent an error without a message");
    let rpc = text("status").map(str::to_owned);
    if is_credential_error(object, message) {
        // The key is the operator's: the client can do nothing about it, and learns nothing about it.
        let message = "The provider refused the gateway's credentials";
        return Error::from_upstream_status(401, message, Some(KEY_INVALID.to_owned()));
    }
    let mut error = match (status, rpc.as_deref()) {
        // A region or billing matter of our account: not the request's fault, and other endpoints may serve it.
        (400, Some("FAILED_PRECONDITION")) => Error::from_upstream_status(403, message, rpc),
        _ => Error::from_upstream_status(status, message, rpc),
    };
    if status == 400 {
        if is_context_length(message) {
            error.error_type = ErrorType::ContextLengthExceeded;
        } else if is_media(message) {
            error.error_type = ErrorType::InvalidImage;
        }
    }
    error.retry_after = retry_delay(object);
    error
}

fn details(object: &Value) -> impl Iterator<Item = &Value> {
    object
        .get("details")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn is_credential_error(object: &Value, message: &str) -> bool {
    details(object).any(|detail| detail.get("reason").and_then(Value::as_str) == Some(KEY_INVALID))
        || message.starts_with("API key not valid")
        || message.starts_with("API key expired")
}

fn is_context_length(message: &str) -> bool {
    message.contains("token count") && message.contains("exceeds the maximum number of tokens")
}

fn is_media(message: &str) -> bool {
    [
        "Cannot fetch content from the provided URL",
        "Unable to process input image",
        "Provided image is not valid",
        "Unsupported MIME type",
    ]
    .iter()
    .any(|known| message.contains(known))
}

/// Whole seconds of a `RetryInfo`, rounded up.
fn retry_delay(object: &Value) -> Option<u32> {
    let delay = details(object).find_map(|detail| detail.get("retryDelay")?.as_str())?;
    let (whole, fraction) = match delay.strip_suffix('s')?.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (delay.strip_suffix('s')?, ""),
    };
    let seconds: u32 = whole.parse().ok()?;
    let up = fraction.bytes().any(|digit| digit != b'0');
    Some(seconds.saturating_add(u32::from(up)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Next, Source};

    #[test]
    fn a_quota_error_says_when_to_come_back() {
        let body = br#"{"error":{"code":429,"message":"You exceeded your quota","status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.Help","links":[]},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"48.200s"}]}}"#;
        let error = error(429, body);
        assert_eq!(error.error_type, ErrorType::RateLimitExceeded);
        assert_eq!(error.retry_after, Some(49));
        assert_eq!(error.provider_code.as_deref(), Some("RESOURCE_EXHAUSTED"));
        assert_eq!(error.next, Next::NextAttempt);
        assert!(error.raw.is_some());
    }

    #[test]
    fn a_wrong_key_is_the_operators_fault() {
        let body = br#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT",
            "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#;
        let error = error(400, body);
        assert_eq!(
            (error.source, error.status, error.raw.clone()),
            (Source::Upstream, 502, None)
        );
        assert!(!error.message.contains("API key"));
    }

    #[test]
    fn a_prompt_that_is_too_long_is_named_so() {
        let body = br#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#;
        assert_eq!(
            error(400, body).error_type,
            ErrorType::ContextLengthExceeded
        );
    }

    #[test]
    fn an_address_that_the_provider_cannot_fetch_is_an_invalid_image() {
        // P108
        let body = br#"{"error":{"code":400,"message":"Cannot fetch content from the provided URL.","status":"INVALID_ARGUMENT"}}"#;
        let error = error(400, body);
        assert_eq!(
            (error.error_type, error.status),
            (ErrorType::InvalidImage, 400)
        );
    }

    #[test]
    fn our_region_or_billing_is_no_fault_of_the_request() {
        let body = br#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#;
        let error = error(400, body);
        assert_eq!(
            (error.error_type, error.status),
            (ErrorType::ProviderUnavailable, 502)
        );
    }

    #[test]
    fn an_error_in_stream_framing_and_a_page_of_html_are_read_too() {
        let framed = error(503, b"data: {\"error\":{\"code\":503,\"message\":\"The model is overloaded.\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n");
        assert_eq!(framed.error_type, ErrorType::ProviderOverloaded);
        let page = error(502, b"<html>Bad Gateway</html>");
        assert_eq!(page.status, 502);
        assert_eq!(page.raw.as_deref(), Some("<html>Bad Gateway</html>"));
        assert_eq!(error(500, b"").error_type, ErrorType::ProviderUnavailable);
    }
}
