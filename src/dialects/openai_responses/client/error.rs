//! The error envelope of the Responses surface, and the word that ends a broken stream.
//!
//! OpenAI's envelope, `{"error":{"message","type","param","code"}}`, with the gateway's own type beside it (`error_type`).

use crate::{
    dialects::{
        openai_chat::client::{INTERNAL, is_internal, put_metadata, put_told},
        splice::ObjectWriter,
    },
    error::{Error, ErrorType},
};

/// The status and body of a request that failed before its answer began.
pub fn error_body(error: &Error) -> (u16, Vec<u8>) {
    let internal = is_internal(error);
    let mut body = Vec::with_capacity(256);
    let mut envelope = ObjectWriter::new(&mut body);
    let mut object = ObjectWriter::new(envelope.key("error"));
    put_message(&mut object, error);
    object.field("type", kind(error));
    object.field("param", &error.param);
    object.field("code", error.error_type.as_str());
    put_metadata(object.key("metadata"), error, internal);
    object.optional("availability", error.availability.as_ref());
    object.end();
    envelope.field("error_type", error.error_type.as_str());
    if let Some(routing) = error.routing.as_ref().filter(|_| !internal) {
        envelope.field("openrouter_metadata", routing);
    }
    envelope.end();
    (error.status, body)
}

/// Appends the `error` of an answer that failed after it had begun; its codes are a closed list.
pub(in crate::dialects::openai_responses) fn put_failure(out: &mut Vec<u8>, error: &Error) {
    let mut object = ObjectWriter::new(out);
    object.field("code", code(error));
    put_message(&mut object, error);
    put_metadata(object.key("metadata"), error, is_internal(error));
    object.end();
}

fn put_message(object: &mut ObjectWriter<'_>, error: &Error) {
    let message = if is_internal(error) {
        INTERNAL
    } else {
        &error.message
    };
    put_told(object.key("message"), message);
}

fn code(error: &Error) -> &'static str {
    match error.error_type {
        ErrorType::RateLimitExceeded => "rate_limit_exceeded",
        ErrorType::ContextLengthExceeded | ErrorType::InvalidRequest | ErrorType::InvalidPrompt => {
            "invalid_prompt"
        }
        ErrorType::ContentPolicyViolation => "image_content_policy_violation",
        _ => "server_error",
    }
}

/// OpenAI's word for the kind of error.
fn kind(error: &Error) -> &'static str {
    match error.status {
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_envelope_is_openais_with_the_type_beside_it() {
        let (status, body) = error_body(&Error::invalid("store", "no"));
        let told: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({
            "error": {
                "message": "no", "type": "invalid_request_error", "param": "store", "code": "invalid_request",
                "metadata": {"error_type": "invalid_request"},
            },
            "error_type": "invalid_request",
        });
        assert_eq!((status, told), (400, expected));
    }

    #[test]
    fn a_failure_inside_tells_nothing_of_the_inside() {
        let (status, body) = error_body(&Error::internal("the table of secrets is gone"));
        let told: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (status, told["error"]["message"].as_str()),
            (500, Some("Internal Server Error"))
        );
        assert_eq!(told["error"]["type"], "server_error");
    }
}
