//! Errors, as an answer's body or inside a stream: `{"id","message"}`, sometimes with an `error_type`.
//!
//! What a proxy in between says is read as it is of chat-completions hosts.

use serde_json::Value;

use crate::{
    dialects::openai_chat,
    error::{Error, ErrorType},
};

/// The code of a prompt that is longer than the context.
const TOO_LONG: &str = "TOO_MANY_TOKENS";

/// Reads the body of an answer that is not 200.
pub fn error(status: u16, body: &[u8]) -> Error {
    let mut error = openai_chat::error(status, body);
    let told: Value = crate::json::from_slice(body).unwrap_or_default();
    if let Some(code) = told.get("error_type").and_then(Value::as_str) {
        error.provider_code = Some(code.to_owned());
    }
    let is_too_long = error.provider_code.as_deref() == Some(TOO_LONG)
        || error.message.starts_with("too many tokens");
    if matches!(status, 400 | 422) && is_too_long {
        error.error_type = ErrorType::ContextLengthExceeded;
        error.status = error.error_type.status();
    }
    error
}

/// A generation that failed after it had begun: its reason, and what the host says about it.
pub(super) fn of_generation(reason: &str, told: Option<&Value>) -> Error {
    let said = told.and_then(|told| told.as_str().or_else(|| told.get("message")?.as_str()));
    let kind = match reason {
        "TIMEOUT" => ErrorType::Timeout,
        _ => ErrorType::ProviderUnavailable,
    };
    let message = said.unwrap_or("The provider failed while it wrote the answer");
    let mut error = Error::upstream(kind, message);
    error.provider_code = Some(reason.to_owned());
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_understood() {
        for (status, body, kind, told, code) in [
            (
                400,
                r#"{"error_type":"TOO_MANY_TOKENS","id":"i","message":"too many tokens: size limit exceeded"}"#,
                ErrorType::ContextLengthExceeded,
                400,
                Some(TOO_LONG),
            ),
            (
                400,
                r#"{"id":"i","message":"too many tokens: total number of tokens cannot exceed 8"}"#,
                ErrorType::ContextLengthExceeded,
                400,
                None,
            ),
            (
                400,
                r#"{"message":"invalid request: k must be at most 500"}"#,
                ErrorType::InvalidRequest,
                400,
                None,
            ),
            (
                404,
                r#"{"id":"i","message":"model 'x' not found"}"#,
                ErrorType::ProviderUnavailable,
                502,
                None,
            ),
            (
                429,
                r#"{"message":"trial key"}"#,
                ErrorType::RateLimitExceeded,
                429,
                None,
            ),
            (
                503,
                "upstream connect error",
                ErrorType::ProviderOverloaded,
                503,
                None,
            ),
        ] {
            let error = error(status, body.as_bytes());
            assert_eq!((error.error_type, error.status), (kind, told), "{body}");
            assert_eq!(error.provider_code.as_deref(), code, "{body}");
        }
    }
}
