//! Error answers: `{"message"}` under a status, with the exception's type in the header `x-amzn-errortype`; older ones say
//! `__type`. In a stream an exception is a message of its own, with its type and no status.
//!
//! The type decides where it and the status disagree: quotas are exceeded under 400, and so do expired signatures come.
//!
//! Spec: <https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>

use serde::Deserialize;

use crate::error::{Error, ErrorType};

/// What an error body says, as far as it can be read.
#[derive(Debug, Default, Deserialize)]
struct Envelope {
    #[serde(rename = "__type")]
    kind: Option<String>,
    #[serde(alias = "Message", alias = "errorMessage")]
    message: Option<String>,
    /// Some front ends answer an unknown operation with 200 and this.
    #[serde(rename = "Output")]
    output: Option<Box<Envelope>>,
}

/// Reads an error answer whose exception is of this `kind`, where a header says so. Never fails: a body that says nothing gives
/// a general sentence.
pub fn error(status: u16, kind: Option<&str>, body: &[u8]) -> Error {
    let envelope = read(body);
    let kind = kind.map(str::to_owned).or(envelope.kind);
    let status = kind.as_deref().and_then(known_status).unwrap_or(status);
    let error = told(status, kind, envelope.message);
    // What refuses credentials quotes them.
    if status == 403 {
        error
    } else {
        error.with_raw(body)
    }
}

/// An error in a body that was sent as a success.
pub(super) fn in_band(body: &[u8]) -> Option<Error> {
    let envelope = read(body);
    let envelope = envelope.output.map_or_else(
        || Envelope {
            kind: envelope.kind,
            message: envelope.message,
            output: None,
        },
        |inner| *inner,
    );
    if envelope.kind.is_none() && envelope.message.is_none() {
        return None;
    }
    let status = status_of(envelope.kind.as_deref().unwrap_or_default());
    Some(told(status, envelope.kind, envelope.message))
}

/// An exception inside a stream.
pub(super) fn exception(kind: &str, payload: &[u8]) -> Error {
    told(
        status_of(kind),
        Some(kind.to_owned()),
        read(payload).message,
    )
}

/// An error of the framing, whose code and words are headers.
pub(super) fn framed(code: &str, message: &str) -> Error {
    let message = Some(message.to_owned()).filter(|text| !text.is_empty());
    told(status_of(code), Some(code.to_owned()), message)
}

/// As [`build`], without what a refusal of credentials may quote.
fn told(status: u16, kind: Option<String>, message: Option<String>) -> Error {
    let message = match status {
        403 => Some("The provider refused the gateway's credentials".to_owned()),
        _ => message,
    };
    build(status, kind, message)
}

fn build(status: u16, kind: Option<String>, message: Option<String>) -> Error {
    let message =
        message.unwrap_or_else(|| format!("The provider answered with HTTP status {status}"));
    let kind = kind.map(|kind| plain(&kind).to_owned());
    let kind = kind.filter(|kind| !kind.is_empty());
    // The id of the row, or how it is called, is the gateway's own matter.
    let status = if status == 400 && is_about_the_route(&message) {
        404
    } else {
        status
    };
    let known = special(status, &message);
    let mut error = Error::from_upstream_status(status, message, kind);
    if let Some(error_type) = known {
        error.error_type = error_type;
        error.status = error_type.status();
    }
    error
}

fn read(body: &[u8]) -> Envelope {
    crate::json::from_slice(body).unwrap_or_default()
}

/// `com.amazon.coral.service#ThrottlingException:http://…` is a `ThrottlingException`.
fn plain(kind: &str) -> &str {
    let kind = kind.rsplit('#').next().unwrap_or_default();
    kind.split(':').next().unwrap_or_default()
}

/// The status that goes with an exception, which begins in lower case inside a stream.
fn status_of(kind: &str) -> u16 {
    known_status(kind).unwrap_or(500)
}

fn known_status(kind: &str) -> Option<u16> {
    let status = match plain(kind).to_ascii_lowercase().as_str() {
        "validationexception" => 400,
        "accessdeniedexception"
        | "expiredtokenexception"
        | "incompletesignature"
        | "incompletesignatureexception"
        | "invalidclienttokenid"
        | "invalidsignatureexception"
        | "missingauthenticationtokenexception"
        | "notauthorized"
        | "optinrequired"
        | "requestexpired"
        | "signaturedoesnotmatch"
        | "unrecognizedclientexception" => 403,
        "resourcenotfoundexception" | "unknownoperationexception" => 404,
        "modeltimeoutexception" => 408,
        "modelerrorexception" | "modelstreamerrorexception" => 424,
        "throttlingexception" | "modelnotreadyexception" | "servicequotaexceededexception" => 429,
        "internalfailure" | "internalserverexception" => 500,
        "serviceunavailable" | "serviceunavailableexception" => 503,
        _ => return None,
    };
    Some(status)
}

fn is_about_the_route(message: &str) -> bool {
    [
        "on-demand throughput isn",
        "model identifier is invalid",
        "model ID is invalid",
        "unsupported model",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// Failures that the status does not tell apart: a `ValidationException` is said to all of them.
fn special(status: u16, message: &str) -> Option<ErrorType> {
    if status != 400 && status != 413 {
        return None;
    }
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&[
        "prompt is too long",
        "input is too long",
        "too many input tokens",
        "context limit",
        "context window",
        "context length",
        "maximum context",
    ]) {
        Some(ErrorType::ContextLengthExceeded)
    } else if says(&[
        "maximum allowed number of output tokens",
        "maximum tokens you requested exceeds",
    ]) {
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

    #[test]
    fn validation_errors_are_told_apart() {
        for (message, error_type, status) in [
            (
                "Input is too long for requested model.",
                ErrorType::ContextLengthExceeded,
                400,
            ),
            (
                "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum",
                ErrorType::ContextLengthExceeded,
                400,
            ),
            (
                "The maximum tokens you requested exceeds the model limit of 8192.",
                ErrorType::MaxTokensExceeded,
                400,
            ),
            (
                "The model returned the following errors: messages.0.content.0.image.source.base64: image exceeds 5 MB maximum",
                ErrorType::InvalidImage,
                400,
            ),
            (
                "Invocation of model ID anthropic.claude-x with on-demand throughput isn\u{2019}t supported.",
                ErrorType::ProviderUnavailable,
                502,
            ),
            (
                "This model doesn't support the s3Uri field. Remove s3Uri and try again.",
                ErrorType::InvalidRequest,
                400,
            ),
        ] {
            let body = serde_json::json!({ "message": message }).to_string();
            let error = error(400, None, body.as_bytes());
            assert_eq!(
                (error.error_type, error.status),
                (error_type, status),
                "{message}"
            );
            assert_eq!(
                (error.source, error.next),
                (Source::Upstream, Next::NextAttempt)
            );
        }
    }

    #[test]
    fn a_body_of_any_kind_gives_an_error() {
        for body in [
            &b"<html>Bad gateway</html>"[..],
            b"",
            b"null",
            b"[]",
            b"{\"message\":7}",
            b"\xff",
        ] {
            let error = error(502, None, body);
            assert_eq!(error.message, "The provider answered with HTTP status 502");
        }
        let body = br#"{"__type":"com.amazon.coral.service#ThrottlingException:http://x","Message":"slow"}"#;
        let error = error(429, None, body);
        assert_eq!(error.provider_code.as_deref(), Some("ThrottlingException"));
        assert_eq!(error.message, "slow");
    }

    #[test]
    fn the_header_tells_what_the_status_does_not() {
        use ErrorType::{ProviderOverloaded, ProviderUnavailable, RateLimitExceeded};
        let coral = "http://internal.amazon.com/coral/com.amazon.bedrock/";
        for (status, kind, expected, shows_words) in [
            (
                400,
                "ServiceQuotaExceededException",
                (RateLimitExceeded, 429),
                true,
            ),
            (400, "RequestExpired", (ProviderUnavailable, 502), false),
            (
                403,
                "ExpiredTokenException",
                (ProviderUnavailable, 502),
                false,
            ),
            (
                404,
                "ResourceNotFoundException",
                (ProviderUnavailable, 502),
                true,
            ),
            (
                429,
                "ModelNotReadyException",
                (RateLimitExceeded, 429),
                true,
            ),
            (424, "ModelErrorException", (ProviderUnavailable, 502), true),
            (
                500,
                "ServiceUnavailableException",
                (ProviderOverloaded, 503),
                true,
            ),
            (
                418,
                "SomethingNewException",
                (ProviderUnavailable, 502),
                true,
            ),
        ] {
            let kind = format!("{kind}:{coral}");
            let error = error(status, Some(&kind), br#"{"message":"key AKIA"}"#);
            assert_eq!((error.error_type, error.status), expected, "{kind}");
            assert_eq!(error.provider_code.as_deref(), kind.split(':').next());
            assert_eq!(error.message.contains("AKIA"), shows_words, "{kind}");
            assert_eq!(error.raw.is_some(), shows_words, "{kind}");
        }
    }

    #[test]
    fn exceptions_have_the_status_of_their_type() {
        for (kind, error_type, status) in [
            ("throttlingException", ErrorType::RateLimitExceeded, 429),
            (
                "serviceUnavailableException",
                ErrorType::ProviderOverloaded,
                503,
            ),
            (
                "internalServerException",
                ErrorType::ProviderUnavailable,
                502,
            ),
            (
                "modelStreamErrorException",
                ErrorType::ProviderUnavailable,
                502,
            ),
            ("validationException", ErrorType::InvalidRequest, 400),
            ("somethingNewException", ErrorType::ProviderUnavailable, 502),
        ] {
            let error = exception(kind, br#"{"message":"no","originalStatusCode":429}"#);
            assert_eq!(
                (error.error_type, error.status),
                (error_type, status),
                "{kind}"
            );
            assert_eq!(error.message, "no");
            assert_eq!(error.provider_code.as_deref(), Some(kind));
        }
        let refused = exception("accessDeniedException", br#"{"message":"key AKIA"}"#);
        assert!(!refused.message.contains("AKIA"));
        assert_eq!(framed("InternalError", "").status, 502);
        let unknown = br#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
        assert_eq!(in_band(unknown).unwrap().status, 502);
        assert!(in_band(b"{}").is_none());
    }
}
