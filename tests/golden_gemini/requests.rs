//! Each recorded native request is read into the canonical form by a reader of this test, written again by the product, and must
//! come out with the same shape: the same turns, parts, tools, limits and schemas.

use std::{collections::BTreeMap, fs};

use patchbay::{
    catalog::{Budget, Endpoint, Parameter, Provider, Reasoning},
    chat::{ChatRequest, Effort},
    dialects::{Inbound, Surface, Target, gemini},
};
use serde_json::{Value, json};

use crate::{
    fixtures::{case, fixtures, rows},
    reader::{camel, canonical},
    shape::{clean, difference, shape},
};

/// Recorded requests that cannot be asked through the gateway, by what they ask for.
const OUT_OF_SCOPE: [(&str, &str); 5] = [
    (
        "/modelArmorConfig",
        "a filter of the cloud's own, which no canonical request asks for",
    ),
    (
        "/tools/0/codeExecution",
        "a server tool that no canonical request asks for",
    ),
    (
        "/tools/0/urlContext",
        "a server tool that no canonical request asks for",
    ),
    (
        "/tools/0/mcpServers",
        "a server tool that no canonical request asks for",
    ),
    (
        "/cachedContent",
        "cached contents are made and named by the operator's own means",
    ),
];

#[test]
fn recorded_requests_come_out_with_the_same_shape() {
    let Some(fixtures) = fixtures() else {
        return;
    };
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows(&fixtures) {
        let name = row["case"].as_str().unwrap();
        let Ok(bytes) = fs::read(case(&fixtures, &row).join("request.json")) else {
            *seen.entry("no request was recorded").or_default() += 1;
            continue;
        };
        let native = clean(camel(&serde_json::from_slice(&bytes).unwrap()));
        let reason = OUT_OF_SCOPE
            .iter()
            .find(|(pointer, _)| native.pointer(pointer).is_some());
        if let Some((_, reason)) = reason {
            *seen.entry(reason).or_default() += 1;
            continue;
        }
        let model = row["model"].as_str().unwrap_or("gemini-2.5-flash");
        let (ours, theirs) = (shape(&write(&native, model)), shape(&native));
        match difference(&theirs, &ours) {
            None => *seen.entry("same shape").or_default() += 1,
            Some(path) => wrong.push(format!("{name}: {path}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen["same shape"], 118, "{seen:?}");
}

/// The product's own request for what a recorded one says.
fn write(native: &Value, model: &str) -> Value {
    send(&canonical(native), model, native)
}

/// The product's own request; `native` is asked only how much thinking the model takes.
pub fn send(request: &ChatRequest, model: &str, native: &Value) -> Value {
    let endpoint = endpoint(model.trim_start_matches("models/"), native);
    let provider: Provider = serde_json::from_value(json!({
        "slug": "google-ai-studio", "name": "Google AI Studio", "dialect": "gemini", "base_url": "https://example.com/v1beta",
        "auth": {"kind": "header", "name": "x-goog-api-key"}, "secret": "GEMINI_API_KEY"
    }))
    .unwrap();
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let inbound = Inbound {
        request,
        surface: Surface::ChatCompletions,
        raw: None,
    };
    let written = gemini::request(&inbound, &target).unwrap();
    assert_eq!(written.dropped, [""; 0]);
    let body: Value = serde_json::from_slice(&written.body).unwrap();
    check_ids(&body);
    body
}

fn endpoint(model: &str, native: &Value) -> Endpoint {
    let budgets = native
        .pointer("/generationConfig/thinkingConfig/thinkingBudget")
        .is_some();
    let mut endpoint: Endpoint = serde_json::from_value(json!({
        "model": "google/gemini", "provider": "google-ai-studio", "tag": "google-ai-studio", "upstream_model_id": model,
        "context_length": 1_048_576, "max_completion_tokens": 65_536, "prices": {"prompt": 0, "completion": 0},
        "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"]
    }))
    .unwrap();
    endpoint.supported_parameters = Parameter::ALL.to_vec();
    endpoint.reasoning = Some(if model.starts_with("gemini-3") && !budgets {
        Reasoning {
            efforts: vec![Effort::High, Effort::Medium, Effort::Low, Effort::Minimal],
            ..Reasoning::default()
        }
    } else {
        Reasoning {
            budget: Some(Budget {
                min: Some(0),
                max: Some(24_576),
            }),
            toggle: true,
            ..Reasoning::default()
        }
    });
    endpoint
}

/// Each result carries the id of the call at its position in the turn before.
fn check_ids(body: &Value) {
    let turns = body["contents"].as_array().unwrap();
    let ids = |turn: &Value, kind: &str| -> Vec<Value> {
        let parts = turn["parts"].as_array().unwrap().iter();
        parts
            .filter_map(|part| part.get(kind)?.get("id").cloned())
            .collect()
    };
    for pair in turns.windows(2) {
        let results = ids(&pair[1], "functionResponse");
        if !results.is_empty() {
            assert_eq!(ids(&pair[0], "functionCall"), results);
        }
    }
}
