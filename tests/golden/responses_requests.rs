//! Recorded Responses requests: the client surface reads them, the dialect writes them again.
//!
//! Once from the client's own bytes and once from the canonical form alone; what comes out must be what was recorded, once
//! both are in one spelling. Requests that the gateway refuses or cannot say are listed with the reason.

use std::collections::BTreeMap;

use patchbay::{
    catalog::{Endpoint, Parameter, Provider, Quirk, Reasoning, ReasoningHistory},
    chat::Effort,
    dialects::{self, Inbound, Surface, Target},
};
use serde_json::{Value, json};

use super::table::{Api, RESPONSES};
use crate::common::{self, Case};

/// What is refused, and a sign of it in the error. A sign that no recording shows any more fails the test.
const OUT_OF_SCOPE: [(&str, &str); 6] = [
    ("answers that the provider stores", "previous_response_id"),
    (
        "conversations that the provider stores",
        "refused: conversation",
    ),
    ("prompts that the provider stores", "refused: prompt "),
    (
        "tools that run at the provider",
        "is not supported: expected \"function\"",
    ),
    (
        "web search, which the gateway lifts to its own",
        "server tools",
    ),
    (
        "items that only hosts of Responses read, in the canonical form",
        "this is for providers that speak the client's own format",
    ),
];

fn host(api: &Api) -> (Provider, Endpoint) {
    let mut endpoint: Endpoint = serde_json::from_value(json!({
        "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "native",
        "context_length": 1_000_000, "prices": {"prompt": 0, "completion": 0},
        "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"]
    }))
    .unwrap();
    endpoint.supported_parameters = Parameter::ALL.to_vec();
    endpoint.reasoning = Some(Reasoning {
        efforts: vec![
            Effort::Max,
            Effort::Xhigh,
            Effort::High,
            Effort::Medium,
            Effort::Low,
            Effort::Minimal,
            Effort::None,
        ],
        history: Some(ReasoningHistory::ReasoningContent),
        ..Reasoning::default()
    });
    let mut provider: Provider = serde_json::from_value(json!({
        "slug": "p", "name": "P", "dialect": "openai_responses", "base_url": "https://example.com/v1",
        "auth": {"kind": "bearer"}, "secret": "P_API_KEY"
    }))
    .unwrap();
    provider.quirks = vec![Quirk::DeveloperRole, Quirk::PromptCacheKey];
    // Recorded items have no label of the gateway's: they are OpenAI's for it.
    provider.quirks.extend(
        api.quirks
            .iter()
            .filter(|quirk| !matches!(quirk, Quirk::XaiReasoning | Quirk::AzureReasoning)),
    );
    (provider, endpoint)
}

/// One spelling for what means the same.
fn normalise(body: &mut Value, is_raw: bool) {
    /// The gateway's own, or nobody's business upstream.
    const OWN: [&str; 12] = [
        "model",
        "stream",
        "store",
        "include",
        "user",
        "safety_identifier",
        "metadata",
        "provider",
        "prompt_cache_key",
        "prompt_cache_options",
        "service_tier",
        "background",
    ];
    let object = body.as_object_mut().unwrap();
    object.retain(|key, value| !value.is_null() && !OWN.contains(&key.as_str()));
    object.retain(|key, value| !(key == "tools" && *value == json!([])));
    if !object.contains_key("tools") {
        object.remove("tool_choice");
        object.remove("parallel_tool_calls");
    }
    if let Some(tokens) = object
        .get_mut("max_output_tokens")
        .filter(|tokens| tokens.as_u64() < Some(16))
    {
        *tokens = json!(16);
    }
    if let Some(text) = object.get_mut("text").and_then(Value::as_object_mut) {
        text.retain(|_, value| !value.is_null() && *value != json!({"type": "text"}));
    }
    object.retain(|key, value| {
        !(matches!(key.as_str(), "text" | "reasoning")
            && value
                .as_object()
                .is_some_and(|map| map.values().all(Value::is_null)))
    });
    for tool in object
        .get_mut("tools")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let tool = tool.as_object_mut().unwrap();
        tool.retain(|_, value| !value.is_null());
        if !is_raw {
            tool.entry("strict").or_insert(json!(false));
            tool.entry("parameters")
                .or_insert(json!({"type": "object", "properties": {}}));
        }
    }
    if let Some(text @ Value::String(_)) = object.get("input").cloned() {
        object.insert("input".into(), json!([{"role": "user", "content": text}]));
    }
    let instructions = object.remove("instructions").filter(|text| *text != "");
    let items = object
        .get_mut("input")
        .and_then(Value::as_array_mut)
        .unwrap();
    if let Some(text) = instructions {
        items.insert(0, json!({"role": "system", "content": text}));
    }
    items.retain(|item| {
        // Nobody sealed it, so nobody takes it back; tools that ran elsewhere mean nothing in the canonical form.
        let is_lost = item["type"] == "reasoning"
            && item["encrypted_content"].is_null()
            && item["content"].as_array().is_none_or(Vec::is_empty);
        let ran = [
            "web_search_call",
            "file_search_call",
            "code_interpreter_call",
        ]
        .iter()
        .any(|kind| item["type"] == *kind);
        !is_lost && (is_raw || !ran)
    });
    if !is_raw {
        for item in items.iter_mut() {
            normalise_item(item);
        }
    }
}

fn normalise_item(item: &mut Value) {
    let item = item.as_object_mut().unwrap();
    let is_reasoning = item.get("type") == Some(&json!("reasoning"));
    item.retain(|key, value| {
        !value.is_null()
            && !matches!(key.as_str(), "status" | "phase")
            && (is_reasoning || key != "id")
    });
    if item.get("type") == Some(&json!("message")) {
        item.remove("type");
    }
    if is_reasoning && item.get("content") == Some(&json!([])) {
        item.remove("content");
    }
    // The canonical form knows functions alone.
    if item.get("type") == Some(&json!("custom_tool_call")) {
        let input = item.remove("input").unwrap();
        item.insert("type".into(), json!("function_call"));
        item.insert(
            "arguments".into(),
            json!(json!({"input": input}).to_string()),
        );
    }
    if item.get("type") == Some(&json!("custom_tool_call_output")) {
        item.insert("type".into(), json!("function_call_output"));
    }
    if item.get("type") == Some(&json!("function_call")) && item["arguments"] == "" {
        item.insert("arguments".into(), json!("{}"));
    }
    for key in ["content", "output"] {
        let Some(parts) = item.get_mut(key).and_then(Value::as_array_mut) else {
            continue;
        };
        for part in parts.iter_mut() {
            let part = part.as_object_mut().unwrap();
            part.retain(|key, value| {
                !value.is_null()
                    && !matches!(
                        key.as_str(),
                        "annotations" | "logprobs" | "prompt_cache_breakpoint"
                    )
            });
            if part["type"] == "input_image" {
                part.entry("detail").or_insert(json!("auto"));
            }
            if part.contains_key("file_data") {
                part.entry("filename").or_insert(json!("document.pdf"));
            }
        }
        if let [part] = parts.as_slice()
            && (part["type"] == "input_text" || part["type"] == "output_text")
        {
            let text = part["text"].clone();
            item.insert(key.into(), text);
        }
    }
}

fn send(api: &Api, request: &[u8], with_raw: bool) -> Result<Value, String> {
    let told = |error: patchbay::error::Error| {
        format!(
            "refused: {} {}",
            error.param.unwrap_or_default(),
            error.message
        )
    };
    let parsed = Surface::Responses.parse(request).map_err(told)?;
    if !parsed.server_tools.is_empty() {
        return Err("server tools".to_owned());
    }
    let (provider, endpoint) = host(api);
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let inbound = Inbound {
        request: &parsed,
        surface: Surface::Responses,
        raw: with_raw.then_some(request),
    };
    let native = dialects::request(&inbound, &target).map_err(told)?;
    Ok(serde_json::from_slice(&native.body).unwrap())
}

fn compare(api: &Api, case: &Case) -> Option<String> {
    let mut request: Value = serde_json::from_slice(case.request.as_deref()?).unwrap();
    // Where the host finds the model in the path, the gateway does not.
    if request["model"].is_null() {
        request["model"] = json!("from-the-path");
    }
    // What a client without a store sends.
    if request["store"] == true {
        request["store"] = json!(false);
    }
    let request = request.to_string();
    for with_raw in [true, false] {
        let mut recorded: Value = serde_json::from_str(&request).unwrap();
        let mut sent = match send(api, request.as_bytes(), with_raw) {
            Ok(sent) => sent,
            Err(error) => return Some(error),
        };
        if !with_raw
            && recorded["tools"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|tool| tool["type"] == "custom")
        {
            continue;
        }
        assert_eq!(sent["store"], false);
        normalise(&mut recorded, with_raw);
        normalise(&mut sent, with_raw);
        if recorded != sent {
            return Some(format!(
                "raw {with_raw}: {}",
                difference(&recorded, &sent, "")
            ));
        }
    }
    None
}

/// The first place where two values differ.
fn difference(a: &Value, b: &Value, path: &str) -> String {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys = x.keys().chain(y.keys().filter(|key| !x.contains_key(*key)));
            keys.filter(|key| x.get(*key) != y.get(*key))
                .map(|key| difference(&a[key], &b[key], &format!("{path}.{key}")))
                .next()
                .unwrap_or_default()
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            let at = x.iter().zip(y).position(|(x, y)| x != y).unwrap();
            difference(&x[at], &y[at], &format!("{path}[{at}]"))
        }
        _ => {
            let short = |value: &Value| value.to_string().chars().take(300).collect::<String>();
            format!("{path}: {} became {}", short(a), short(b))
        }
    }
}

#[test]
fn recorded_requests_survive_the_gateway() {
    let has_recordings = common::shared().is_some();
    let mut wrong = BTreeMap::new();
    let mut excused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut compared = 0;
    for api in &RESPONSES {
        for case in common::recorded(api.name).unwrap_or_default() {
            compared += usize::from(case.request.is_some());
            let Some(problem) = compare(api, &case) else {
                continue;
            };
            match OUT_OF_SCOPE.iter().find(|(_, sign)| problem.contains(sign)) {
                Some((reason, _)) => *excused.entry(reason).or_default() += 1,
                None => drop(wrong.insert(format!("{}/{}", api.name, case.name), problem)),
            }
        }
    }
    println!("{compared} requests, out of scope: {excused:?}");
    let told: Vec<String> = wrong
        .iter()
        .map(|(case, problem)| format!("{case}\n    {problem}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {compared}:\n{}",
        wrong.len(),
        told.join("\n")
    );
    for (reason, _) in OUT_OF_SCOPE.iter().filter(|_| has_recordings) {
        assert!(
            excused.contains_key(reason),
            "nothing is out of scope for: {reason}"
        );
    }
}
