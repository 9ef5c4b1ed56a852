//! Recorded counts of tokens: what a provider was asked, written again by our own question, and what it answered.

use patchbay::{
    catalog::{Endpoint, Parameter, Provider},
    dialects::{Inbound, Surface, Target, count, error},
};
use serde_json::{Value, json};

use crate::common::{self, Case};

/// An API, the dialect of its provider, and the path of the question.
pub const TABLE: [(&str, &str, &str); 4] = [
    (
        "anthropic.count_tokens",
        "anthropic_messages",
        "/v1/messages/count_tokens",
    ),
    ("google.countTokens", "gemini", "/models/m1:countTokens"),
    (
        "openai.responses_input_tokens",
        "openai_responses",
        "/responses/input_tokens",
    ),
    ("vertex.countTokens", "gemini", "/models/m1:countTokens"),
];

fn place(dialect: &str) -> (Endpoint, Provider) {
    let mut endpoint: Endpoint = serde_json::from_value(json!({
        "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "m1", "context_length": 100_000, "max_completion_tokens": 64_000,
        "prices": {"prompt": 0, "completion": 0}, "supported_parameters": [], "reasoning": {"toggle": true, "budget": {"min": 1024, "max": 60_000}},
        "input_modalities": ["text"], "output_modalities": ["text"],
    }))
    .unwrap();
    endpoint.supported_parameters = Parameter::ALL.to_vec();
    let provider = serde_json::from_value(json!({
        "slug": "p", "name": "P", "dialect": dialect, "base_url": "https://a.example", "auth": {"kind": "bearer"}, "secret": "KEY",
    }));
    (endpoint, provider.unwrap())
}

/// The question for the request of a client of the same format.
fn asked(case: &Case, surface: Surface, dialect: &str) -> Option<(String, Value, Value)> {
    let raw = case.request.as_deref()?;
    let request = surface.parse(raw).unwrap();
    let (endpoint, provider) = place(dialect);
    let inbound = Inbound {
        request: &request,
        surface,
        raw: Some(raw),
    };
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let native = count::request(&inbound, &target).unwrap().unwrap();
    let mut sent: Value = serde_json::from_slice(raw).unwrap();
    sent["model"] = "m1".into();
    Some((
        native.path,
        sent,
        serde_json::from_slice(&native.body).unwrap(),
    ))
}

#[test]
fn recorded_counts_are_asked_for_and_read() {
    let mut read = Vec::new();
    for (api, dialect, path) in TABLE {
        for case in common::recorded(api).unwrap_or_default() {
            if case.status != 200 {
                let provider = place(dialect).1;
                let told = error(provider.dialect, case.status, &case.response);
                assert!(told.status >= 400, "{}: {told}", case.name);
                continue;
            }
            let Some(count) = count::answer(&case.response) else {
                panic!("{}: no count", case.name);
            };
            assert!(count > 0, "{}", case.name);
            read.push(count);
            let surface = match dialect {
                "anthropic_messages" => Surface::Messages,
                "openai_responses" => Surface::Responses,
                _ => continue,
            };
            let Some((to, sent, told)) = asked(&case, surface, dialect) else {
                continue;
            };
            assert_eq!(to, path);
            for (key, value) in sent.as_object().unwrap() {
                // Tools and forms are put as the host takes them; what was said is there word for word.
                if matches!(
                    key.as_str(),
                    "messages" | "input" | "system" | "instructions" | "model"
                ) {
                    assert_eq!(told[key], *value, "{}: {key}", case.name);
                } else {
                    assert!(
                        told.get(key).is_some(),
                        "{}: {key} is not asked about",
                        case.name
                    );
                }
            }
        }
    }
    if common::shared().is_some() {
        assert!(read.len() >= 9, "{read:?}");
    }
}
