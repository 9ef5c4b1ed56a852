//! The table of failures: every class, at which endpoint the request goes on, and what the client reads when nobody answers.

use serde_json::{Value, json};

use patchbay::catalog::Route;
use patchbay::error::{Error, ErrorType};
use patchbay::relay::fallback::{Fallback, class};

use crate::client::{in_one_piece, job, play, route};
use crate::upstream::{Script, answer, json as whole, mute, refuses, sse};

const TOO_LONG: &str =
    r#"{"error":{"message":"maximum context length is 8","code":"context_length_exceeded"}}"#;
const MODERATED: &str = r#"{"error":{"message":"no","code":"content_filter"}}"#;

/// An endpoint of this model with this context.
fn at(slug: &str, model: &str, context: u64) -> Route {
    route(slug, "openai_chat", |_, endpoint| {
        endpoint["model"] = model.into();
        endpoint["context_length"] = context.into();
    })
}

/// Two endpoints of `m/m` with the same context, one with a longer one, and one of another model.
fn four() -> Vec<Route> {
    vec![
        at("a", "m/m", 1_000),
        at("b", "m/m", 1_000),
        at("long", "m/m", 9_000),
        at("other", "m/other", 1_000),
    ]
}

#[test]
fn who_is_asked_next_follows_from_the_class_of_the_failure() {
    let rows: Vec<(&str, Script, &str)> = vec![
        ("no connection", refuses(), "B"),
        ("time-out", mute(), "B"),
        ("empty body", sse([]), "B"),
        ("empty answer", answer("", 1, 0), "B"),
        ("invalid answer", whole(200, "nonsense"), "B"),
        ("400: may be its own limitation", whole(400, "{}"), "B"),
        ("401: the operator's key", whole(401, "{}"), "B"),
        ("402: the operator's balance", whole(402, "{}"), "B"),
        ("403: the operator's rights", whole(403, "{}"), "B"),
        ("404: the operator's catalog", whole(404, "{}"), "B"),
        ("408", whole(408, "{}"), "B"),
        ("413", whole(413, "{}"), "B"),
        ("422", whole(422, "{}"), "B"),
        ("429", whole(429, "{}"), "B"),
        ("500", whole(500, "{}"), "B"),
        ("502", whole(502, "{}"), "B"),
        ("503", whole(503, "{}"), "B"),
        ("529", whole(529, "{}"), "B"),
        ("the prompt is too long", whole(400, TOO_LONG), "LONG"),
        ("moderation", whole(400, MODERATED), "OTHER"),
        ("moderation as 403", whole(403, MODERATED), "OTHER"),
    ];
    for (name, failure, expected) in rows {
        for stream in [false, true] {
            let asks = job(json!({"stream": stream}), four());
            let (world, client) = play(asks, [failure.clone(), answer("Hi", 1, 2)]);
            assert!(client.ended.get(), "{name}");
            assert_eq!(world.row().provider.as_deref(), Some(expected), "{name}");
            // Charged and reported for the model that answered only.
            let model = if expected == "OTHER" {
                "m/other"
            } else {
                "m/m"
            };
            assert_eq!(world.row().model, model, "{name}");
            assert_eq!(world.row().attempts.len(), 2, "{name}");
        }
    }
}

#[test]
fn the_header_of_a_refusal_says_what_its_status_does_not() {
    let refused = |kind| whole(400, r#"{"message":"Too many"}"#).error_kind(kind);
    let bedrock = || vec![route("aws", "bedrock_converse", |_, _| {})];
    for (kind, status, told) in [
        (
            "ServiceQuotaExceededException:http://internal.amazon.com/",
            429,
            "rate_limit_exceeded",
        ),
        (
            "ValidationException:http://internal.amazon.com/",
            400,
            "invalid_request",
        ),
        ("RequestExpired", 502, "provider_unavailable"),
    ] {
        let (_, client) = play(job(json!({}), bedrock()), [refused(kind)]);
        let error = client.failure();
        assert_eq!(
            (error.status, error.error_type.as_str()),
            (status, told),
            "{kind}"
        );
        assert_eq!(error.provider_code.as_deref(), kind.split(':').next());
    }
}

#[test]
fn a_model_is_exhausted_before_the_next_is_asked() {
    let mut routes = four();
    routes.remove(2);
    let limited = || whole(429, "{}");
    let (_, client) = play(
        job(json!({}), routes),
        [limited(), limited(), answer("Hi", 1, 2)],
    );
    assert_eq!(client.body()["model"], "m/other");
    // A prompt too long for both is not sent to the second.
    let mut routes = four();
    routes.remove(2);
    let (world, client) = play(
        job(json!({}), routes),
        [whole(400, TOO_LONG), answer("Hi", 1, 2)],
    );
    assert_eq!(client.body()["model"], "m/other");
    assert_eq!(world.calls.borrow().len(), 2);
}

#[test]
fn what_the_client_reads_when_nobody_answers() {
    let limited = |wait| whole(429, "{}").retry_after(wait);
    let bad = || whole(400, r#"{"error":{"message":"not so"}}"#);
    let broken = || whole(500, "{}");
    let availability = |code: &str| Some(code.to_owned());
    // What each says, the status and type that are told, and whether it may pass.
    let rows: Vec<(Vec<Script>, u16, &str, Option<String>)> = vec![
        // `allow_fallbacks: false` leaves one endpoint: its own error.
        (
            vec![whole(503, "{}")],
            503,
            "provider_overloaded",
            availability("temporarily_unavailable"),
        ),
        (
            vec![whole(529, "{}")],
            529,
            "provider_overloaded",
            availability("temporarily_unavailable"),
        ),
        (
            vec![broken()],
            502,
            "provider_unavailable",
            availability("temporarily_unavailable"),
        ),
        (vec![bad()], 400, "invalid_request", None),
        // All out of capacity, all broken for now.
        (
            vec![limited(9), limited(4)],
            429,
            "rate_limit_exceeded",
            availability("capacity_exhausted"),
        ),
        (
            vec![broken(), refuses()],
            503,
            "provider_overloaded",
            availability("temporarily_unavailable"),
        ),
        (
            vec![broken(), sse([])],
            503,
            "provider_overloaded",
            availability("temporarily_unavailable"),
        ),
        // Mixed: the last one's.
        (vec![broken(), limited(3)], 429, "rate_limit_exceeded", None),
        (
            vec![limited(3), broken()],
            502,
            "provider_unavailable",
            None,
        ),
        // All say the same of the request.
        (vec![bad(), bad()], 400, "invalid_request", None),
        // One would perhaps have taken it.
        (vec![limited(4), bad()], 429, "rate_limit_exceeded", None),
        (vec![bad(), limited(4)], 429, "rate_limit_exceeded", None),
        (
            vec![whole(400, MODERATED)],
            400,
            "content_policy_violation",
            None,
        ),
    ];
    for (scripts, status, kind, code) in rows {
        let told = format!("{scripts:?}");
        let count = scripts.len();
        let (world, client) = play(in_one_piece(count), scripts);
        let error = client.failure();
        assert_eq!(
            (error.status, error.error_type.as_str()),
            (status, kind),
            "{told}"
        );
        let availability = error.availability.unwrap_or_default();
        assert_eq!(availability["code"].as_str(), code.as_deref(), "{told}");
        if code.is_some() {
            assert_eq!(availability["requested_models"], json!(["m/m"]), "{told}");
            assert_eq!(availability["retryable"], true, "{told}");
            let affected = availability["affected_providers"].as_array().map(Vec::len);
            assert_eq!(affected, Some(count), "{told}");
        }
        assert_eq!(world.ends(), ["void 0"], "{told}");
        assert_eq!(world.row().attempts.len(), count, "{told}");
    }
}

#[test]
fn all_out_of_capacity_say_when_to_come_back() {
    let limited = |wait| whole(429, "{}").retry_after(wait);
    let (_, client) = play(in_one_piece(2), [limited(9), limited(4)]);
    let error = client.failure();
    assert_eq!(error.retry_after, Some(4));
    assert_eq!(error.availability.unwrap()["retry_after"], 4);
    assert_eq!(error.metadata["provider_name"], "B");
    assert_eq!(
        error.metadata["previous_errors"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn the_last_model_speaks_for_all() {
    // OpenRouter: if the last model fails, its error is returned.
    let routes = || vec![at("a", "m/m", 1_000), at("other", "m/other", 1_000)];
    let limited = || whole(429, "{}");
    let (_, client) = play(job(json!({}), routes()), [limited(), whole(400, TOO_LONG)]);
    assert_eq!(
        client.failure().error_type,
        ErrorType::ContextLengthExceeded
    );
    let (_, client) = play(job(json!({}), routes()), [whole(400, TOO_LONG), limited()]);
    let error = client.failure();
    assert_eq!(error.status, 429);
    let told: Box<Value> = error.availability.unwrap();
    assert_eq!(told["code"], "capacity_exhausted");
}

#[test]
fn every_type_of_a_providers_failure_has_its_class() {
    for kind in ErrorType::ALL {
        let error = Error::upstream(*kind, "oops");
        let class = class(&error);
        let expected = match kind {
            ErrorType::ContextLengthExceeded => (Fallback::LongerContext, false),
            ErrorType::ContentPolicyViolation | ErrorType::Refusal => (Fallback::NextModel, false),
            ErrorType::InvalidRequest
            | ErrorType::InvalidPrompt
            | ErrorType::InvalidImage
            | ErrorType::MaxTokensExceeded
            | ErrorType::PayloadTooLarge
            | ErrorType::Unprocessable => (Fallback::NextEndpoint, false),
            _ => (Fallback::NextEndpoint, true),
        };
        assert_eq!(
            (class.before_commit, class.is_passing),
            expected,
            "{kind:?}"
        );
        let own = Error::invalid("messages", "no");
        assert_eq!(
            patchbay::relay::fallback::class(&own).before_commit,
            Fallback::Final
        );
    }
}
