//! The error envelope of the chat-completions surface.
//!
//! `{"error":{"code","message","type","param"?,"metadata":{"error_type",…}}}`: OpenRouter's envelope, with `type` and `param`
//! where OpenAI's SDKs look for them.

use crate::{
    dialects::{
        redact,
        splice::{ObjectWriter, put},
    },
    error::{Error, ErrorType, Source},
};

/// What a client reads of a failure inside the gateway; the cause is in the log.
pub(in crate::dialects) const INTERNAL: &str = "Internal Server Error";

/// The status and body of a request that failed before its answer began.
pub fn error_body(error: &Error) -> (u16, Vec<u8>) {
    let mut body = Vec::with_capacity(256);
    let mut object = ObjectWriter::new(&mut body);
    put_error(object.key("error"), error);
    if let Some(routing) = error.routing.as_ref().filter(|_| !is_internal(error)) {
        object.field("openrouter_metadata", routing);
    }
    object.end();
    (error.status, body)
}

/// Appends the error object itself: the value of `error` in an envelope, in a chunk or in a choice.
pub fn put_error(out: &mut Vec<u8>, error: &Error) {
    let internal = is_internal(error);
    let mut object = ObjectWriter::new(out);
    object.field("code", &error.status);
    let message = if internal { INTERNAL } else { &error.message };
    put_told(object.key("message"), message);
    object.field("type", error.error_type.as_str());
    object.optional("param", error.param.as_deref());
    put_metadata(object.key("metadata"), error, internal);
    object.optional("availability", error.availability.as_ref());
    object.end();
}

/// Of a failure inside the gateway nothing is told.
pub(in crate::dialects) fn is_internal(error: &Error) -> bool {
    error.source == Source::Gateway && error.error_type == ErrorType::Server
}

/// What somebody else may have worded, without secrets: this is the last place before the client.
pub(in crate::dialects) fn put_told(out: &mut Vec<u8>, text: &str) {
    match redact::secrets(text) {
        Some(told) => put(out, &told),
        None => put(out, text),
    }
}

/// Appends `metadata`.
pub(in crate::dialects) fn put_metadata(out: &mut Vec<u8>, error: &Error, internal: bool) {
    let mut object = ObjectWriter::new(out);
    object.field("error_type", error.error_type.as_str());
    if !internal {
        object.optional("provider_code", error.provider_code.as_deref());
        if let Some(raw) = &error.raw {
            put_told(object.key("raw"), raw);
        }
        for (key, value) in &error.metadata {
            let mut text = Vec::new();
            put(&mut text, value);
            object.raw(key, &String::from_utf8_lossy(&text));
        }
    }
    object.end();
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(error: &Error) -> (u16, Value) {
        let (status, body) = error_body(error);
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn the_envelope_tells_type_path_and_provider() {
        let error = Error::invalid("messages[2].content[0].type", "no such part");
        let expected = json!({"error": {
            "code": 400, "message": "no such part", "type": "invalid_request",
            "param": "messages[2].content[0].type",
            "metadata": {"error_type": "invalid_request"},
        }});
        assert_eq!(body(&error), (400, expected));

        let error = Error::from_upstream_status(529, "Overloaded", Some("overloaded_error".into()))
            .with_raw(b"{\"x\":1}")
            .with("provider_name", "Anthropic");
        let expected = json!({"error": {
            "code": 529, "message": "Overloaded", "type": "provider_overloaded",
            "metadata": {
                "error_type": "provider_overloaded", "provider_code": "overloaded_error",
                "raw": "{\"x\":1}", "provider_name": "Anthropic",
            },
        }});
        assert_eq!(body(&error), (529, expected));
    }

    #[test]
    fn a_secret_in_somebodys_words_is_cut() {
        let error = Error::upstream(
            ErrorType::ProviderUnavailable,
            "no quota for org-0123456789ab",
        )
        .with_raw(b"{\"key\":\"sk-0123456789ab\"}");
        let (_, told) = body(&error);
        assert_eq!(told["error"]["message"], "no quota for org-…");
        assert_eq!(told["error"]["metadata"]["raw"], "{\"key\":\"sk-…\"}");
    }

    #[test]
    fn a_failure_inside_tells_nothing_of_the_inside() {
        let error = Error::internal("the table of secrets is gone").with("table", "secrets");
        let (status, told) = body(&error);
        assert_eq!(status, 500);
        let expected = json!({"error": {
            "code": 500, "message": "Internal Server Error", "type": "server",
            "metadata": {"error_type": "server"},
        }});
        assert_eq!(told, expected);
    }
}
