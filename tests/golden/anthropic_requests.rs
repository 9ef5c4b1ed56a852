//! Anthropic's recorded requests: native → canonical (a reader of this test alone) → native again.
//!
//! What comes out must be what was recorded, field by field, once both are in one spelling. Requests that ask for what the
//! canonical request cannot say are listed with the reason; a request that is missing from the list has to match.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use patchbay::{
    catalog::{Endpoint, Provider},
    chat::{
        CacheMark, CacheTtl, ChatRequest, JsonSchema, Media, Message, Part, ReasoningDetail,
        ReasoningFormat, ReasoningKind, ReasoningRequest, ResponseFormat, Role, Tool, ToolChoice,
    },
    dialects::{Inbound, Surface, Target, anthropic_messages},
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

/// The requests that cannot be said, by reason.
const OUT_OF_SCOPE: &[(&str, &[&str])] = &[
    (
        "a cache mark on a tool call",
        &["fantasy-testanthropicthinkingwithcachecontrol-claude-sonnet-4-thinking-streaming-t2"],
    ),
    (
        "a turn that is no object",
        &["ddtrace-anthropic-anthropic-completion-error"],
    ),
    (
        "block server_tool_use",
        &[
            "chatlas-test-echo-display-providers-test-anthropic-search-panel-t2-stream",
            "ellmer-anthropic-web-fetch-t2",
            "ellmer-anthropic-web-fetch-t3",
            "ellmer-anthropic-web-fetch-t4",
            "lingua-websearchtoolparam-anthropic-followup-response",
        ],
    ),
    (
        "field container",
        &["pydantic-test-anthropic-test-anthropic-code-execution-tool-container-reuse-t2"],
    ),
    (
        "field mcp_servers",
        &[
            "activeagent-common-format-mcp-test-test-agent-common-format-single-server",
            "activeagent-common-format-mcp-test-test-agent-common-format-sse-server-v2",
            "activeagent-common-format-mcp-test-test-agent-common-format-sse-server",
            "pydantic-test-anthropic-test-anthropic-mcp-servers-stream",
        ],
    ),
    (
        "server tool code_execution",
        &[
            "pydantic-test-anthropic-test-anthropic-code-execution-tool-container-reuse-t1",
            "pydantic-test-anthropic-test-anthropic-code-execution-tool-stream",
            "pydantic-test-anthropic-test-anthropic-code-execution-tool-t1",
            "pydantic-test-anthropic-test-anthropic-code-execution-tool-t2",
            "rubyllm-chat-code-execution-with-anthropic-claud-erver-side-and-returns-the-result-blocks",
        ],
    ),
    (
        "server tool tool_search_tool_regex",
        &[
            "ddtrace-anthropic-anthropic-completion-beta-tools-stream",
            "ddtrace-anthropic-anthropic-completion-tools-server-tool-use",
        ],
    ),
    ("server tool web_fetch", &["ellmer-anthropic-web-fetch-t1"]),
    (
        "server tool web_search",
        &[
            "chatlas-test-echo-display-providers-test-anthropic-search-panel-t1-stream",
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
fn through(native: &Value) -> Result<Value, Reason> {
    let request = read(native)?;
    let model = native["model"].as_str().unwrap_or("claude");
    let endpoint = endpoint(model);
    let provider = provider();
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let inbound = Inbound {
        request: &request,
        surface: Surface::ChatCompletions,
        raw: None,
    };
    let written = anthropic_messages::request(&inbound, &target)
        .map_err(|error| format!("refused: {error}"))?;
    if !written.dropped.is_empty() {
        return Err(format!("dropped: {}", written.dropped.join(", ")));
    }
    Ok(serde_json::from_slice(&written.body).unwrap())
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

fn read(native: &Value) -> Result<ChatRequest, Reason> {
    let mut request = ChatRequest::default();
    let mut system = Vec::new();
    for (field, value) in native.as_object().unwrap() {
        match field.as_str() {
            "model" | "anthropic_version" => {}
            "max_tokens" => request.max_tokens = value.as_u64(),
            "stream" => request.stream = value == true,
            "temperature" => request.sampling.temperature = value.as_number().cloned(),
            "top_p" => request.sampling.top_p = value.as_number().cloned(),
            "top_k" => request.sampling.top_k = value.as_u64(),
            "stop_sequences" => request.stop = list(value).iter().map(text).collect(),
            "system" => system = blocks(value)?,
            "messages" => {
                for turn in list(value) {
                    read_turn(turn, &mut request.messages)?;
                }
            }
            "tools" => request.tools = list(value).iter().map(tool).collect::<Result<_, _>>()?,
            "tool_choice" => {
                request.tool_choice = Some(match value["type"].as_str() {
                    Some("auto") => ToolChoice::Auto,
                    Some("any") => ToolChoice::Required,
                    Some("none") => ToolChoice::None,
                    _ => ToolChoice::Function(text(&value["name"])),
                });
                request.parallel_tool_calls =
                    (value["disable_parallel_tool_use"] == true).then_some(false);
            }
            "thinking" => {
                request.reasoning = Some(ReasoningRequest {
                    max_tokens: value["budget_tokens"].as_u64(),
                    enabled: Some(value["type"] != "disabled"),
                    ..ReasoningRequest::default()
                });
            }
            "output_config" => request.response_format = format(&value["format"]),
            "output_format" => request.response_format = format(value),
            other => return Err(format!("field {other}")),
        }
    }
    if !system.is_empty() {
        let system = Message {
            role: Role::System,
            name: None,
            parts: system,
        };
        request.messages.insert(0, system);
    }
    Ok(request)
}

fn read_turn(turn: &Value, messages: &mut Vec<Message>) -> Result<(), Reason> {
    if !turn.is_object() {
        return Err("a turn that is no object".into());
    }
    let mut role = if turn["role"] == "assistant" {
        Role::Assistant
    } else {
        Role::User
    };
    let mut parts = blocks(&turn["content"])?;
    if parts
        .iter()
        .any(|part| matches!(part, Part::ToolResult { .. }))
    {
        role = Role::Tool;
        // Chat completions have a message for each result, and one for the words after them.
        let rest = parts.split_off(
            parts
                .iter()
                .take_while(|part| matches!(part, Part::ToolResult { .. }))
                .count(),
        );
        for part in parts {
            messages.push(Message {
                role,
                name: None,
                parts: vec![part],
            });
        }
        if rest.is_empty() {
            return Ok(());
        }
        role = Role::User;
        parts = rest;
    }
    messages.push(Message {
        role,
        name: None,
        parts,
    });
    Ok(())
}

fn blocks(content: &Value) -> Result<Vec<Part>, Reason> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text)]),
        content => list(content).iter().map(block).collect(),
    }
}

fn block(block: &Value) -> Result<Part, Reason> {
    let cache = mark(block);
    let reasoning = |kind| {
        Part::Reasoning(ReasoningDetail {
            kind,
            format: ReasoningFormat::AnthropicClaude,
            id: None,
            index: None,
        })
    };
    Ok(match block["type"].as_str().unwrap() {
        "text" if block["citations"].is_array() => return Err("citations sent back".into()),
        "text" => Part::Text {
            text: text(&block["text"]),
            cache,
        },
        "image" => Part::Image {
            media: media(&block["source"]),
            detail: None,
            cache,
        },
        "document" => Part::File {
            filename: block["title"].as_str().map(str::to_owned),
            media: media(&block["source"]),
            cache,
        },
        "tool_use" if cache.is_some() => return Err("a cache mark on a tool call".into()),
        "tool_use" => Part::ToolCall {
            id: text(&block["id"]),
            name: text(&block["name"]),
            arguments: block["input"].to_string(),
        },
        "tool_result" => Part::ToolResult {
            call_id: text(&block["tool_use_id"]),
            content: blocks(&block["content"])?,
            is_error: block["is_error"] == true,
            cache,
        },
        "thinking" => reasoning(ReasoningKind::Text {
            text: Some(text(&block["thinking"])),
            signature: Some(text(&block["signature"])),
        }),
        "redacted_thinking" => reasoning(ReasoningKind::Encrypted {
            data: text(&block["data"]),
        }),
        other => return Err(format!("block {other}")),
    })
}

fn media(source: &Value) -> Media {
    match source["type"].as_str().unwrap() {
        "base64" => Media::Inline {
            mime: text(&source["media_type"]),
            data: text(&source["data"]),
        },
        "url" => Media::Url(text(&source["url"])),
        "text" => Media::Inline {
            mime: text(&source["media_type"]),
            data: BASE64_STANDARD.encode(text(&source["data"])),
        },
        "file" => Media::FileId(text(&source["file_id"])),
        other => panic!("source {other}"),
    }
}

fn tool(tool: &Value) -> Result<Tool, Reason> {
    if let Some(kind) = tool["type"].as_str().filter(|kind| *kind != "custom") {
        let family = kind.rsplit_once('_').map_or(kind, |(family, _)| family);
        return Err(format!("server tool {family}"));
    }
    Ok(Tool {
        name: text(&tool["name"]),
        description: tool["description"].as_str().map(str::to_owned),
        parameters: Some(tool["input_schema"].clone()),
        strict: tool["strict"].as_bool(),
        cache: mark(tool),
    })
}

fn format(format: &Value) -> Option<ResponseFormat> {
    let schema = format.get("schema")?.clone();
    Some(ResponseFormat::JsonSchema(JsonSchema {
        name: "answer".into(),
        description: None,
        schema,
        strict: Some(true),
    }))
}

fn mark(block: &Value) -> Option<CacheMark> {
    let mark = block.get("cache_control").filter(|mark| !mark.is_null())?;
    Some(CacheMark {
        ttl: mark["ttl"].as_str().map(|ttl| match ttl {
            "1h" => CacheTtl::OneHour,
            _ => CacheTtl::FiveMinutes,
        }),
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
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
