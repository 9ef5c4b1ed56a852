//! Recorded chat-completions requests: the client surface reads them, the dialect writes them again.
//!
//! Once from the client's own bytes and once from the canonical form alone; what comes out must be what was recorded, once
//! both are in one spelling. Requests that the gateway refuses or cannot say are listed with the reason.

use std::collections::BTreeMap;

use patchbay::{
    catalog::{Endpoint, Parameter, Provider, Quirk, Reasoning, ReasoningHistory, ReasoningStyle},
    chat::Effort,
    dialects::{
        Inbound, Surface, Target,
        openai_chat::{self, client::parse_request},
    },
};
use serde_json::{Value, json};

use super::table::{COMPATIBLE, OPENAI};
use crate::common::{self, Case};

/// What is refused, and a sign of it in the error. A sign that no recording shows any more fails the test.
const OUT_OF_SCOPE: [(&str, &str); 12] = [
    (
        "images in Ollama's own place for them",
        "messages[0].images[0]",
    ),
    ("a cache mark on a tool call", "tool_calls[1].cache_control"),
    (
        "reasoning blocks in a client library's own form",
        "{\"encrypted?\"",
    ),
    ("server tools", "openrouter:web_search"),
    (
        "Mistral's own part for documents",
        "unknown variant `document_url`",
    ),
    (
        "Mistral's own form of sound",
        "input_audio invalid type: string",
    ),
    (
        "Mistral's own part for thinking",
        "unknown variant `thinking`",
    ),
    ("Anthropic's own tool choice", "tool_choice.type expected"),
    ("no messages", "refused: messages expected"),
    ("a schema without a name", "json_schema.name"),
    ("a result that names no call", "tool_call_id expected"),
    (
        "a provider field that is no object",
        "provider expected an object",
    ),
];

/// APIs whose messages carry `reasoning_details`.
const WITH_BLOCKS: [&str; 4] = [
    "minimax.chat",
    "openrouter.chat",
    "snowflake.chat",
    "vercel-gateway.chat",
];

/// A host that takes everything, in OpenAI's spelling.
fn host(api: &str) -> (Provider, Endpoint) {
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
        history: Some(if WITH_BLOCKS.contains(&api) {
            ReasoningHistory::ReasoningDetails
        } else {
            ReasoningHistory::ReasoningContent
        }),
        ..Reasoning::default()
    });
    let mut provider: Provider = serde_json::from_value(json!({
        "slug": "p", "name": "P", "dialect": "openai_chat", "base_url": "https://example.com/v1",
        "auth": {"kind": "bearer"}, "secret": "P_API_KEY"
    }))
    .unwrap();
    provider.reasoning_style = ReasoningStyle::Effort;
    provider.quirks = vec![
        Quirk::MaxCompletionTokens,
        Quirk::DeveloperRole,
        Quirk::CacheControlParts,
        Quirk::PromptCacheKey,
    ];
    (provider, endpoint)
}

/// One spelling for what means the same. What the canonical request has no name for is kept only where `keep_unknown`.
fn normalise(body: &mut Value, keep_unknown: bool) {
    const KNOWN: [&str; 24] = [
        "messages",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "max_completion_tokens",
        "stop",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "n",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "prediction",
        "modalities",
        "audio",
        "web_search_options",
        "stream",
    ];
    /// The gateway's own.
    const OWN: [&str; 14] = [
        "model",
        "models",
        "provider",
        "plugins",
        "transforms",
        "route",
        "usage",
        "stream_options",
        "user",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "service_tier",
        "include_reasoning",
    ];
    let object = body.as_object_mut().unwrap();
    object.retain(|key, value| !value.is_null() && !OWN.contains(&key.as_str()));
    if let Some(tokens) = object.remove("max_tokens") {
        object.insert("max_completion_tokens".into(), tokens);
    }
    if let Some(reasoning) = object.remove("reasoning") {
        let effort = match reasoning["effort"].as_str() {
            Some(effort) => effort,
            None if reasoning["enabled"] == true => "medium",
            None => "",
        };
        if !effort.is_empty() {
            object.insert("reasoning_effort".into(), json!(effort));
        }
    }
    let nothing = [
        ("stream", json!(false)),
        ("tools", json!([])),
        ("response_format", json!({"type": "text"})),
    ];
    object.retain(|key, value| !nothing.contains(&(key.as_str(), value.clone())));
    object.retain(|key, _| keep_unknown || KNOWN.contains(&key.as_str()));
    if !object.contains_key("tools") {
        object.remove("tool_choice");
        object.remove("parallel_tool_calls");
    }
    if object.get("tool_choice") == Some(&json!("any")) {
        object.insert("tool_choice".into(), json!("required"));
    }
    if let Some(Value::String(stop)) = object.get("stop") {
        let stop = json!([stop]);
        object.insert("stop".into(), stop);
    }
    for message in body["messages"].as_array_mut().into_iter().flatten() {
        normalise_message(message, keep_unknown);
    }
}

fn normalise_message(message: &mut Value, keep_unknown: bool) {
    const KNOWN: [&str; 9] = [
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "refusal",
        "reasoning_content",
        "reasoning_details",
        "cache_control",
    ];
    let message = message.as_object_mut().unwrap();
    // Beside blocks the words are said twice.
    if message.contains_key("reasoning_details") {
        message.remove("reasoning");
        message.remove("reasoning_content");
    }
    if let Some(words) = message.remove("reasoning") {
        message.insert("reasoning_content".into(), words);
    }
    let extended =
        message.contains_key("reasoning_details") || message.contains_key("reasoning_content");
    message.retain(|key, value| {
        let is_nothing =
            value.is_null() || *value == json!([]) || (*value == json!("") && key != "content");
        let is_known = (keep_unknown && !extended) || KNOWN.contains(&key.as_str());
        !is_nothing && is_known
    });
    for call in message
        .get_mut("tool_calls")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        call.as_object_mut().unwrap().remove("index");
    }
    // An empty answer beside calls is none.
    if message.contains_key("tool_calls") && message.get("content") == Some(&json!("")) {
        message.remove("content");
    }
    let mark = message.remove("cache_control");
    let content = match message.remove("content") {
        Some(Value::String(text)) => json!([{"type": "text", "text": text}]),
        Some(content) => content,
        None => return,
    };
    let mut content = content.as_array().cloned().unwrap();
    for part in &mut content {
        let part = part.as_object_mut().unwrap();
        // Between OpenAI's mark and Anthropic's the canonical request makes no difference.
        if part.remove("prompt_cache_breakpoint").is_some() {
            part.insert("cache_control".into(), json!({"type": "ephemeral"}));
        }
        part.retain(|_, value| !value.is_null());
        // OpenAI wants a name beside data.
        if let Some(file) = part.get_mut("file").and_then(Value::as_object_mut) {
            file.entry("filename").or_insert(json!("document.pdf"));
        }
        if let Some(url @ Value::String(_)) = part.get("image_url").cloned() {
            part.insert("image_url".into(), json!({"url": url}));
        }
    }
    if let (Some(mark), Some(last)) = (mark, content.last_mut()) {
        last["cache_control"] = mark;
    }
    message.insert("content".into(), json!(content));
}

fn send(api: &str, request: &[u8], with_raw: bool) -> Result<Value, String> {
    let told = |error: patchbay::error::Error| {
        format!(
            "refused: {} {}",
            error.param.unwrap_or_default(),
            error.message
        )
    };
    let parsed = parse_request(request).map_err(told)?;
    let (provider, endpoint) = host(api);
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let inbound = Inbound {
        request: &parsed,
        surface: Surface::ChatCompletions,
        raw: with_raw.then_some(request),
    };
    let native = openai_chat::request(&inbound, &target).map_err(told)?;
    Ok(serde_json::from_slice(&native.body).unwrap())
}

/// What is wrong with a case, if anything.
fn compare(api: &str, case: &Case) -> Option<String> {
    let mut request: Value = serde_json::from_slice(case.request.as_deref()?).unwrap();
    // Where the host finds the model in the path, the gateway does not.
    if request["model"].is_null() {
        request["model"] = json!("from-the-path");
    }
    let request = request.to_string();
    for with_raw in [true, false] {
        let mut recorded: Value = serde_json::from_str(&request).unwrap();
        let mut sent = match send(api, request.as_bytes(), with_raw) {
            Ok(sent) => sent,
            Err(error) => return Some(error),
        };
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
            let short = |value: &Value| value.to_string().chars().take(120).collect::<String>();
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
    for api in std::iter::once(&OPENAI).chain(&COMPATIBLE) {
        let own = common::synthetic(api.name);
        for case in common::recorded(api.name)
            .unwrap_or_default()
            .into_iter()
            .chain(own)
        {
            compared += usize::from(case.request.is_some());
            let Some(problem) = compare(api.name, &case) else {
                continue;
            };
            match OUT_OF_SCOPE.iter().find(|(_, sign)| problem.contains(sign)) {
                Some((reason, _)) => *excused.entry(reason).or_default() += 1,
                None => {
                    wrong.insert(format!("{}/{}", api.name, case.name), problem);
                }
            }
        }
    }
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
