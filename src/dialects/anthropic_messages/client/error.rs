//! The error envelope of the messages surface.
//!
//! `{"type":"error","error":{"type","message","error_type",…},"request_id"}`: Anthropic's words (P109), with the gateway's own
//! beside them.

use crate::{
    dialects::{
        openai_chat::client::{INTERNAL, is_internal, put_metadata, put_told},
        report::UsageReport,
        splice::ObjectWriter,
    },
    error::{Error, ErrorType},
};

/// What clients look for in an error to shorten the conversation themselves.
const TOO_LONG: &str = "prompt is too long";

/// The status and body of a request that failed before its answer began.
pub fn error_body(error: &Error, request_id: Option<&str>) -> (u16, Vec<u8>) {
    let mut body = Vec::with_capacity(256);
    put_envelope(&mut body, error, request_id, None);
    (error.status, body)
}

/// Appends the envelope: of a failed request, or of a stream that broke and had cost something.
pub(super) fn put_envelope(
    out: &mut Vec<u8>,
    error: &Error,
    request_id: Option<&str>,
    report: Option<&UsageReport>,
) {
    let mut object = ObjectWriter::new(out);
    object.field("type", "error");
    put_error(object.key("error"), error);
    object.field("request_id", &request_id);
    if let Some(report) = report {
        super::put_usage(object.key("usage"), report, &[]);
    }
    let routing = error.routing.as_ref().filter(|_| !is_internal(error));
    let routing = routing.or(report.and_then(|report| report.routing.as_ref()));
    object.optional("openrouter_metadata", routing);
    object.end();
}

fn put_error(out: &mut Vec<u8>, error: &Error) {
    let internal = is_internal(error);
    let mut object = ObjectWriter::new(out);
    object.field("type", word(error.error_type));
    let message = if internal { INTERNAL } else { &error.message };
    let is_too_long = error.error_type == ErrorType::ContextLengthExceeded
        && !message.to_ascii_lowercase().contains(TOO_LONG);
    if is_too_long {
        put_told(object.key("message"), &format!("{TOO_LONG}: {message}"));
    } else {
        put_told(object.key("message"), message);
    }
    object.field("error_type", error.error_type.as_str());
    object.field("code", &error.status);
    object.optional("param", error.param.as_deref());
    object.optional("details", error.metadata.get("details"));
    put_metadata(object.key("metadata"), error, internal);
    object.optional("availability", error.availability.as_ref());
    object.end();
}

/// Anthropic's word for a type.
fn word(error_type: ErrorType) -> &'static str {
    match error_type {
        ErrorType::Authentication => "authentication_error",
        ErrorType::PermissionDenied => "permission_error",
        ErrorType::PaymentRequired => "billing_error",
        ErrorType::NotFound => "not_found_error",
        ErrorType::PayloadTooLarge => "request_too_large",
        ErrorType::RateLimitExceeded => "rate_limit_error",
        ErrorType::ProviderOverloaded => "overloaded_error",
        ErrorType::RequestTimeout | ErrorType::Timeout | ErrorType::ProviderStalled => {
            "timeout_error"
        }
        ErrorType::ContextLengthExceeded
        | ErrorType::MaxTokensExceeded
        | ErrorType::InvalidRequest
        | ErrorType::InvalidPrompt
        | ErrorType::ContentPolicyViolation
        | ErrorType::Refusal
        | ErrorType::InvalidImage
        | ErrorType::MethodNotAllowed
        | ErrorType::Conflict
        | ErrorType::Unprocessable => "invalid_request_error",
        ErrorType::ClientClosed | ErrorType::Server | ErrorType::ProviderUnavailable => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::{Next, Source};

    fn body(error: &Error) -> (u16, Value) {
        let (status, body) = error_body(error, Some("gen-1"));
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn the_envelope_is_anthropics_with_the_gateways_words_beside() {
        let error = Error::invalid("messages[0].content[1].source", "no such source");
        let expected = json!({"type": "error", "request_id": "gen-1", "error": {
            "type": "invalid_request_error", "message": "no such source", "error_type": "invalid_request", "code": 400,
            "param": "messages[0].content[1].source", "metadata": {"error_type": "invalid_request"},
        }});
        assert_eq!(body(&error), (400, expected));
    }

    #[test]
    fn every_type_has_a_word_of_anthropics() {
        // P109
        for (error_type, word) in [
            (ErrorType::Authentication, "authentication_error"),
            (ErrorType::PaymentRequired, "billing_error"),
            (ErrorType::RateLimitExceeded, "rate_limit_error"),
            (ErrorType::ProviderOverloaded, "overloaded_error"),
            (ErrorType::ProviderStalled, "timeout_error"),
            (ErrorType::ProviderUnavailable, "api_error"),
        ] {
            let error = Error::new(Source::Upstream, Next::Final, error_type, "x");
            assert_eq!(body(&error).1["error"]["type"], word);
        }
        for error_type in ErrorType::ALL {
            let (status, word) = (error_type.status(), word(*error_type));
            let faults = ["api_error", "overloaded_error", "timeout_error"];
            assert!(status < 500 || faults.contains(&word), "{error_type:?}");
        }
    }

    #[test]
    fn a_failure_inside_tells_nothing_and_a_long_prompt_is_told_in_the_words_that_clients_know() {
        let inside = body(&Error::internal("the table of secrets is gone"));
        assert_eq!(inside.1["error"]["message"], "Internal Server Error");
        let long = Error::upstream(ErrorType::ContextLengthExceeded, "maximum is 9 tokens");
        assert_eq!(
            body(&long).1["error"]["message"],
            "prompt is too long: maximum is 9 tokens"
        );
    }
}
