//! Anthropic's recorded requests: through the client surface into the canonical form, and native again.
//!
//! What comes out must be what was recorded, field by field, once both are in one spelling. Requests that ask for what the
//! canonical request cannot say are listed with the reason; a request that is missing from the list has to match.

use std::collections::BTreeMap;

use patchbay::{
    catalog::{Endpoint, Provider},
    chat::ChatRequest,
    dialects::{
        Inbound, NativeRequest, Surface, Target,
        anthropic_messages::{self, client},
        splice::Fields,
    },
    error::Result,
};
use serde_json::{Value, json};

use crate::common::{self, Case};

/// Why a request is not compared.
type Reason = String;

const APIS: [&str; 4] = [
    "anthropic.messages",
    "azure.anthropic_messages",
    "opencode-zen.messages",
    "vertex.anthropic_rawPredict",
];

/// The requests that are not compared, by reason: what only Anthropic knows reaches it as the client's own bytes.
const OUT_OF_SCOPE: &[(&str, &[&str])] = &[
    (
        "400 at messages[0]",
        &["ddtrace-anthropic-anthropic-completion-error"],
    ),
    (
        "a cache mark on a tool call",
        &["fantasy-testanthropicthinkingwithcachecontrol-claude-sonnet-4-thinking-streaming-t2"],
    ),
    (
        "only Anthropic knows container",
        &["pydantic-test-anthropic-test-anthropic-code-execution-tool-container-reuse-t2"],
    ),
    (
        "only Anthropic knows mcp_servers",
        &[
            "activeagent-common-format-mcp-test-test-agent-common-format-single-server",
            "activeagent-common-format-mcp-test-test-agent-common-format-sse-server-v2",
            "activeagent-common-format-mcp-test-test-agent-common-format-sse-server",
            "pydantic-test-anthropic-test-anthropic-mcp-servers-stream",
        ],
    ),
    (
        "only Anthropic knows tools[0]",
        &[
            "ddtrace-anthropic-anthropic-completion-beta-tools-stream",
            "ddtrace-anthropic-anthropic-completion-tools-server-tool-use",
            "pydantic-test-anthropic-test-anthropic-code-execution-tool-container-reuse-t1",
            "pydantic-test-anthropic-test-anthropic-code-execution-tool-stream",
            "pydantic-test-anthropic-test-anthropic-code-execution-tool-t1",
            "pydantic-test-anthropic-test-anthropic-code-execution-tool-t2",
            "rubyllm-chat-code-execution-with-anthropic-claud-erver-side-and-returns-the-result-blocks",
        ],
    ),
    (
        "the gateway runs openrouter:web_fetch",
        &[
            "ellmer-anthropic-web-fetch-t1",
            "ellmer-anthropic-web-fetch-t2",
            "ellmer-anthropic-web-fetch-t3",
            "ellmer-anthropic-web-fetch-t4",
        ],
    ),
    (
        "the gateway runs openrouter:web_search",
        &[
            "chatlas-test-echo-display-providers-test-anthropic-search-panel-t1-stream",
            "chatlas-test-echo-display-providers-test-anthropic-search-panel-t2-stream",
            "lingua-websearchtoolparam-anthropic-followup-response",
            "lingua-websearchtoolparam-anthropic",
            "llm-anthropic-test-anthropic-test-web-search-stream",
        ],
    ),
];

#[test]
fn requests_survive_the_way_through_the_canonical_form() {
    let (own, out_of_scope) = compare(&common::synthetic(APIS[0]));
    assert!(own > 0 && out_of_scope.is_empty(), "{out_of_scope:?}");
    let recorded = APIS.iter().map(|api| common::recorded(api));
    let Some(recorded) = recorded.collect::<Option<Vec<_>>>() else {
        return;
    };
    let (_, out_of_scope) = compare(&recorded.concat());
    let listed: BTreeMap<Reason, Vec<String>> = OUT_OF_SCOPE
        .iter()
        .map(|(reason, cases)| {
            let cases = cases.iter().map(|case| (*case).to_owned()).collect();
            ((*reason).to_owned(), cases)
        })
        .collect();
    assert_eq!(out_of_scope, listed);
}

/// How many requests came out as they went in, and which cannot be said.
fn compare(cases: &[Case]) -> (usize, BTreeMap<Reason, Vec<String>>) {
    let mut out_of_scope: BTreeMap<Reason, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut same = 0;
    for case in cases {
        let Some(request) = &case.request else {
            continue;
        };
        let native: Value = serde_json::from_slice(request).unwrap();
        match through(&native) {
            Err(reason) => {
                let cases = out_of_scope.entry(reason).or_default();
                cases.push(case.name.clone());
            }
            Ok(written) => match (one_spelling(native), one_spelling(written)) {
                (was, is) if was == is => same += 1,
                (was, is) => wrong.push(format!("{}\n  was {was}\n  is  {is}", case.name)),
            },
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    (same, out_of_scope)
}

/// The request, read and written again.
fn through(native: &Value) -> std::result::Result<Value, Reason> {
    let model = native["model"].as_str().unwrap_or("claude");
    let mut native = native.clone();
    native["model"] = model.into();
    let raw = native.to_string();
    let request = client::parse_request(raw.as_bytes())
        .map_err(|error| format!("400 at {}", error.param.unwrap_or_default()))?;
    passes(&native, &raw, &request);
    if let Some(path) = &request.only_native {
        return Err(format!("only Anthropic knows {path}"));
    }
    if let Some(tool) = request.server_tools.first() {
        return Err(format!("the gateway runs {}", tool.kind.as_str()));
    }
    if has_marked_call(&native) {
        return Err("a cache mark on a tool call".into());
    }
    let written = write(model, &request, None).map_err(|error| format!("refused: {error}"))?;
    if !written.dropped.is_empty() {
        return Err(format!("dropped: {}", written.dropped.join(", ")));
    }
    Ok(serde_json::from_slice(&written.body).unwrap())
}

fn has_marked_call(native: &Value) -> bool {
    let turns = native["messages"].as_array().into_iter().flatten();
    let mut blocks = turns.flat_map(|turn| turn["content"].as_array().into_iter().flatten());
    blocks.any(|block| block["type"] == "tool_use" && !block["cache_control"].is_null())
}

/// Between a client and an upstream of the same dialect the conversation stays what it was, to the letter.
fn passes(native: &Value, raw: &str, request: &ChatRequest) {
    let model = native["model"].as_str().unwrap();
    let written = write(model, request, Some(raw.as_bytes())).unwrap();
    let body = Fields::parse(&written.body).unwrap();
    let sent = Fields::parse(raw.as_bytes()).unwrap();
    if request.has_extensions || !request.server_tools.is_empty() {
        return;
    }
    for field in ["messages", "system", "tools", "mcp_servers", "container"] {
        let kept = sent.get(field).filter(|text| *text != "[]");
        assert_eq!(body.get(field), kept, "{field} of {raw}");
    }
}

fn write(model: &str, request: &ChatRequest, raw: Option<&[u8]>) -> Result<NativeRequest> {
    let (endpoint, provider) = (endpoint(model), provider());
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let inbound = Inbound {
        request,
        surface: Surface::Messages,
        raw,
    };
    anthropic_messages::request(&inbound, &target)
}

fn endpoint(model: &str) -> Endpoint {
    serde_json::from_value(json!({
        "model": "anthropic/claude", "provider": "anthropic", "tag": "anthropic", "upstream_model_id": model,
        "context_length": 1_000_000, "prices": patchbay::credits::pricing::PriceTable::default(),
        "supported_parameters": ["temperature", "top_p", "top_k", "stop", "tools", "tool_choice", "structured_outputs"],
        "input_modalities": ["text", "image", "file"], "output_modalities": ["text"],
        "reasoning": {"budget": {"min": 1024}, "toggle": true},
    }))
    .unwrap()
}

fn provider() -> Provider {
    serde_json::from_value(json!({
        "slug": "anthropic", "name": "Anthropic", "dialect": "anthropic_messages", "base_url": "https://a.example",
        "auth": {"kind": "header", "name": "x-api-key"}, "secret": "KEY",
    }))
    .unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// One spelling for what means the same: text as a list of blocks, no defaults, no nulls, turns joined.
fn one_spelling(native: Value) -> Value {
    let mut native = native;
    without_defaults(&mut native);
    let body = native.as_object_mut().unwrap();
    body.entry("model").or_insert(json!("claude"));
    body.remove("anthropic_version");
    if let Some(format) = body.remove("output_format") {
        body.insert("output_config".into(), json!({"format": format}));
    }
    if let Some(thinking) = body.get_mut("thinking").and_then(Value::as_object_mut) {
        thinking.remove("display");
    }
    if let Some(system) = body.get_mut("system") {
        as_blocks(system);
    }
    let mut turns: Vec<Value> = Vec::new();
    for mut turn in body.remove("messages").into_iter().flat_map(into_list) {
        as_blocks(&mut turn["content"]);
        for block in turn["content"].as_array_mut().unwrap() {
            as_words(block);
            if let Some(content) = block
                .as_object_mut()
                .and_then(|block| block.get_mut("content"))
            {
                as_blocks(content);
            }
        }
        // Blank text says nothing (P96).
        let blocks = turn["content"].as_array_mut().unwrap();
        blocks.retain(|block| block["type"] != "text" || !text(&block["text"]).trim().is_empty());
        match turns.last_mut() {
            Some(last) if last["role"] == turn["role"] => {
                let more = into_list(turn["content"].take());
                last["content"].as_array_mut().unwrap().extend(more);
            }
            _ => turns.push(turn),
        }
    }
    body.insert("messages".into(), Value::Array(turns));
    native
}

fn into_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => vec![other],
    }
}

fn as_blocks(content: &mut Value) {
    if let Value::String(text) = content {
        *content = json!([{"type": "text", "text": text}]);
    }
}

/// A document of text is written as text, which every model can read.
fn as_words(block: &mut Value) {
    if block["type"] == "document" && block["source"]["type"] == "text" {
        let title = block["title"]
            .as_str()
            .map(|title| format!(" title=\"{title}\""));
        let (title, words) = (title.unwrap_or_default(), text(&block["source"]["data"]));
        let said = format!("<document{title}>\n{words}\n</document>");
        let cache = block["cache_control"].take();
        *block = json!({"type": "text", "text": said});
        if !cache.is_null() {
            block["cache_control"] = cache;
        }
    }
}

/// Fields that say what their absence says too.
fn without_defaults(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|key, value| !is_default(key, value));
            object
                .iter_mut()
                .filter(|(key, _)| !["input", "input_schema", "schema"].contains(&key.as_str()))
                .for_each(|(_, value)| without_defaults(value));
        }
        Value::Array(items) => items.iter_mut().for_each(without_defaults),
        _ => {}
    }
}

fn is_default(key: &str, value: &Value) -> bool {
    match key {
        "stream" | "strict" | "disable_parallel_tool_use" | "is_error" => *value == json!(false),
        "caller" => value["type"] == "direct",
        "type" => value == "custom",
        "tools" => *value == json!([]),
        "description" => value == "",
        _ => value.is_null(),
    }
}
