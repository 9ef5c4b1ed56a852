//! Converse's recorded requests: native → canonical (a reader of this test alone) → native again.
//!
//! What comes out must be what was recorded, field by field, once both are in one spelling. Requests that ask for what the
//! canonical request cannot say are listed with the reason; a request that is missing from the list has to match.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use patchbay::{
    catalog::{Endpoint, Provider},
    chat::{
        CacheMark, CacheTtl, ChatRequest, Effort, JsonSchema, Media, Message, Part,
        ReasoningDetail, ReasoningFormat, ReasoningKind, ReasoningRequest, ResponseFormat, Role,
        Tool, ToolChoice,
    },
    dialects::{Inbound, Surface, Target, bedrock_converse},
};
use serde_json::{Value, json};

use crate::common::{self, Case};

/// Why a request is not compared.
type Reason = String;

/// The requests that cannot be said, by reason.
const OUT_OF_SCOPE: &[(&str, &[&str])] = &[
    (
        "a system tool",
        &["rubyllm-chat-web-search-with-bedrock-amazon-nova-2-lite-v1-0-streams-grounded-turns"],
    ),
    (
        "adaptive thinking without an effort",
        &[
            "lcaws-libs-aws-test-thinking-v0-t1-stream",
            "lcaws-libs-aws-test-thinking-v0-t2",
            "lcaws-libs-aws-test-thinking-v1-t1-stream",
            "lcaws-libs-aws-test-thinking-v1-t2",
        ],
    ),
    (
        "block guardContent",
        &[
            "openllmetry-bedrock-test-nova-test-nova-converse-stream",
            "openllmetry-bedrock-test-nova-test-nova-converse",
            "openllmetry-metrics-test-bedrock-guardrails-metrics-test-titan-converse-guardrail",
        ],
    ),
    (
        "citations of a document",
        &[
            "lcaws-libs-aws-test-citations-document0-t1-stream",
            "lcaws-libs-aws-test-citations-document0-t2",
            "lcaws-libs-aws-test-citations-v1-v0-t1-stream",
            "lcaws-libs-aws-test-citations-v1-v0-t2",
            "lcaws-libs-aws-test-citations-v1-v1-t1-stream",
            "lcaws-libs-aws-test-citations-v1-v1-t2",
            "lcaws-libs-aws-test-pdf-citations",
            "rubyllm-chat-citations-with-bedrock-claude-haiku-4-5-cites-pdf-documents-with-page-numbers",
        ],
    ),
    (
        "field guardrailConfig",
        &["rig-bedrock-raw-provider-data-guardrail-trace-survives-into-raw-completion"],
    ),
];

#[test]
fn requests_survive_the_way_through_the_canonical_form() {
    let (own, out_of_scope) = compare(&common::synthetic("bedrock.converse"));
    assert!(own > 0 && out_of_scope.is_empty(), "{out_of_scope:?}");
    let Some(recorded) = common::recorded("bedrock.converse") else {
        return;
    };
    let (_, out_of_scope) = compare(&recorded);
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
        let mut native: Value = serde_json::from_slice(request).unwrap();
        one_spelling(&mut native);
        match through(&native) {
            Err(reason) => {
                let cases = out_of_scope.entry(reason).or_default();
                cases.push(case.name.clone());
            }
            Ok(mut written) => {
                one_spelling(&mut written);
                if native == written {
                    same += 1;
                } else {
                    wrong.push(format!("{}\n  was {native}\n  is  {written}", case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    (same, out_of_scope)
}

/// The request, read and written again.
fn through(native: &Value) -> Result<Value, Reason> {
    let request = read(native)?;
    let endpoint = endpoint(native);
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
    let written = bedrock_converse::request(&inbound, &target)
        .map_err(|error| format!("refused: {error}"))?;
    if !written.dropped.is_empty() {
        return Err(format!("dropped: {}", written.dropped.join(", ")));
    }
    Ok(serde_json::from_slice(&written.body).unwrap())
}

/// Claude where it reasons, in the way that was asked for, else a model of another author.
fn endpoint(native: &Value) -> Endpoint {
    let text = native.to_string();
    let budget = text.contains("budget_tokens");
    let reasoning = if budget || text.contains("reasoningContent") && !text.contains("adaptive") {
        json!({"budget": {"min": 1024}, "fields": "thinking"})
    } else if text.contains("adaptive") {
        json!({"efforts": ["max", "high", "medium", "low"], "fields": "thinking"})
    } else {
        Value::Null
    };
    serde_json::from_value(json!({
        "model": "anthropic/claude", "provider": "amazon-bedrock", "tag": "amazon-bedrock", "upstream_model_id": "model",
        "context_length": 1_000_000,
        "prices": {"prompt": 1, "completion": 1, "cache_read": 1, "cache_write_5m": 1, "cache_write_1h": 1},
        "supported_parameters": ["temperature", "top_p", "top_k", "stop", "tools", "tool_choice", "structured_outputs"],
        "input_modalities": ["text", "image", "file"], "output_modalities": ["text"], "reasoning": reasoning,
    }))
    .unwrap()
}

fn provider() -> Provider {
    serde_json::from_value(json!({
        "slug": "amazon-bedrock", "name": "Amazon Bedrock", "dialect": "bedrock_converse", "base_url": "https://b.example",
        "auth": {"kind": "sig_v4", "service": "bedrock", "region": "AWS_REGION"}, "secret": "KEY",
    }))
    .unwrap()
}

fn read(native: &Value) -> Result<ChatRequest, Reason> {
    let mut request = ChatRequest::default();
    let mut system = Vec::new();
    for (field, value) in native.as_object().unwrap() {
        match field.as_str() {
            "system" => system = parts(value)?,
            "messages" => {
                for turn in list(value) {
                    read_turn(turn, &mut request.messages)?;
                }
            }
            "inferenceConfig" => {
                request.max_tokens = value["maxTokens"].as_u64();
                request.sampling.temperature = value["temperature"].as_number().cloned();
                request.sampling.top_p = value["topP"].as_number().cloned();
                let stops = value["stopSequences"].as_array();
                request.stop = stops.into_iter().flatten().map(text).collect();
            }
            "toolConfig" => {
                read_tools(&value["tools"], &mut request.tools)?;
                request.tool_choice = match &value["toolChoice"] {
                    Value::Null => None,
                    choice if choice.get("auto").is_some() => Some(ToolChoice::Auto),
                    choice if choice.get("any").is_some() => Some(ToolChoice::Required),
                    choice => Some(ToolChoice::Function(text(&choice["tool"]["name"]))),
                };
            }
            "outputConfig" => {
                let schema = &value["textFormat"]["structure"]["jsonSchema"];
                request.response_format = Some(ResponseFormat::JsonSchema(JsonSchema {
                    name: text(&schema["name"]),
                    description: schema["description"].as_str().map(str::to_owned),
                    schema: schema["schema"].clone(),
                    strict: None,
                }));
            }
            "additionalModelRequestFields" => read_fields(value, &mut request)?,
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

fn read_fields(fields: &Value, request: &mut ChatRequest) -> Result<(), Reason> {
    for (field, value) in fields.as_object().unwrap() {
        match field.as_str() {
            "thinking" if value["type"] == "adaptive" => {
                let effort = &fields["output_config"]["effort"];
                if effort.is_null() {
                    return Err("adaptive thinking without an effort".into());
                }
                let effort: Effort = serde_json::from_value(effort.clone()).unwrap();
                request.reasoning = Some(ReasoningRequest {
                    effort: Some(effort),
                    ..ReasoningRequest::default()
                });
            }
            "thinking" => {
                request.reasoning = Some(ReasoningRequest {
                    max_tokens: value["budget_tokens"].as_u64(),
                    ..ReasoningRequest::default()
                });
            }
            "output_config" => {}
            other => return Err(format!("field {other} of the model's own")),
        }
    }
    Ok(())
}

fn read_turn(turn: &Value, messages: &mut Vec<Message>) -> Result<(), Reason> {
    let role = if turn["role"] == "assistant" {
        Role::Assistant
    } else {
        Role::User
    };
    let mut rest = Vec::new();
    for part in parts(&turn["content"])? {
        if matches!(part, Part::ToolResult { .. }) {
            // Chat completions have a message for each result.
            messages.push(Message {
                role: Role::Tool,
                name: None,
                parts: vec![part],
            });
        } else {
            rest.push(part);
        }
    }
    if !rest.is_empty() {
        messages.push(Message {
            role,
            name: None,
            parts: rest,
        });
    }
    Ok(())
}

/// Blocks as parts; a cache point is a mark on the part before it.
fn parts(content: &Value) -> Result<Vec<Part>, Reason> {
    let mut parts: Vec<Part> = Vec::new();
    for block in list(content) {
        if let Some(point) = block.get("cachePoint") {
            let mark = CacheMark {
                ttl: point["ttl"].as_str().map(|ttl| match ttl {
                    "1h" => CacheTtl::OneHour,
                    _ => CacheTtl::FiveMinutes,
                }),
            };
            match parts.last_mut().unwrap() {
                Part::Text { cache, .. }
                | Part::Image { cache, .. }
                | Part::File { cache, .. }
                | Part::ToolResult { cache, .. } => *cache = Some(mark),
                _ => return Err("a cache point behind a call".into()),
            }
            continue;
        }
        parts.push(part(block)?);
    }
    Ok(parts)
}

fn part(block: &Value) -> Result<Part, Reason> {
    let (kind, value) = block.as_object().unwrap().iter().next().unwrap();
    let reasoning = |kind| {
        Part::Reasoning(ReasoningDetail {
            kind,
            format: ReasoningFormat::AnthropicClaude,
            id: None,
            index: None,
        })
    };
    Ok(match kind.as_str() {
        "text" => Part::text(text(value)),
        "image" => Part::Image {
            media: media("image", value),
            detail: None,
            cache: None,
        },
        "document" => {
            for field in ["citations", "context"] {
                if value.get(field).is_some() {
                    return Err(format!("{field} of a document"));
                }
            }
            Part::File {
                filename: Some(text(&value["name"])),
                media: media("application", value),
                cache: None,
            }
        }
        "video" => Part::Video {
            media: media("video", value),
        },
        "toolUse" => Part::ToolCall {
            id: text(&value["toolUseId"]),
            name: text(&value["name"]),
            arguments: value["input"].to_string(),
        },
        "toolResult" => Part::ToolResult {
            call_id: text(&value["toolUseId"]),
            content: parts(&value["content"])?,
            is_error: value["status"] == "error",
            cache: None,
        },
        "reasoningContent" => {
            let signed = &value["reasoningText"];
            reasoning(match value["redactedContent"].as_str() {
                Some(data) => ReasoningKind::Encrypted {
                    data: data.to_owned(),
                },
                None => ReasoningKind::Text {
                    text: signed["text"].as_str().map(str::to_owned),
                    signature: signed["signature"].as_str().map(str::to_owned),
                },
            })
        }
        other => return Err(format!("block {other}")),
    })
}

fn media(kind: &str, value: &Value) -> Media {
    let source = &value["source"];
    match source["s3Location"]["uri"].as_str() {
        Some(uri) => Media::Url(uri.to_owned()),
        None => Media::Inline {
            mime: match text(&value["format"]).as_str() {
                "txt" => "text/plain".to_owned(),
                format => format!("{kind}/{format}"),
            },
            data: text(&source["bytes"]),
        },
    }
}

fn read_tools(tools: &Value, out: &mut Vec<Tool>) -> Result<(), Reason> {
    for tool in list(tools) {
        let Some(spec) = tool.get("toolSpec") else {
            return Err("a system tool".into());
        };
        out.push(Tool {
            name: text(&spec["name"]),
            description: spec["description"].as_str().map(str::to_owned),
            parameters: Some(spec["inputSchema"]["json"].clone()),
            strict: spec["strict"].as_bool(),
            cache: None,
        });
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// One spelling for what means the same: no defaults, results as text, bytes as base64, schemas as values.
fn one_spelling(native: &mut Value) {
    let body = native.as_object_mut().unwrap();
    body.retain(|_, value| *value != json!({}) && *value != json!([]) && !value.is_null());
    if let Some(inference) = body
        .get_mut("inferenceConfig")
        .and_then(Value::as_object_mut)
    {
        inference.retain(|_, value| *value != json!([]));
    }
    if let Some(schema) = native.pointer_mut("/outputConfig/textFormat/structure/jsonSchema/schema")
        && let Some(text) = schema.as_str()
    {
        *schema = serde_json::from_str(text).unwrap();
        // Objects have to be closed.
        schema["additionalProperties"] = json!(false);
    }
    if let Some(thinking) = native
        .pointer_mut("/additionalModelRequestFields/thinking")
        .and_then(Value::as_object_mut)
    {
        thinking.shift_remove("display");
        // A budget brings its limit along.
        if thinking.contains_key("budget_tokens") {
            native
                .as_object_mut()
                .unwrap()
                .shift_remove("inferenceConfig");
        }
    }
    for turn in native["messages"].as_array_mut().unwrap() {
        let content = turn["content"].as_array_mut().unwrap();
        // Blank text says nothing (P96).
        content.retain(|block| {
            block["text"]
                .as_str()
                .is_none_or(|text| !text.trim().is_empty())
        });
        content.iter_mut().for_each(plain_block);
    }
}

fn plain_block(block: &mut Value) {
    let (kind, value) = block.as_object_mut().unwrap().iter_mut().next().unwrap();
    match kind.as_str() {
        "toolUse" => {
            value.as_object_mut().unwrap().shift_remove("type");
        }
        "toolResult" => {
            if value["status"] == "success" {
                value.as_object_mut().unwrap().shift_remove("status");
            }
            for part in value["content"].as_array_mut().unwrap() {
                if let Some(json) = part.get("json") {
                    *part = json!({"text": json.to_string()});
                }
                plain_block(part);
            }
        }
        "image" | "document" => {
            let source = &mut value["source"];
            if let Some(text) = source["text"].as_str() {
                *source = json!({"bytes": BASE64_STANDARD.encode(text)});
            }
            // An SDK's dump of its buffer.
            if let Some(bytes) = source["bytes"]["data"].as_array() {
                let bytes: Vec<u8> = bytes
                    .iter()
                    .map(|byte| byte.as_u64().unwrap().try_into().unwrap())
                    .collect();
                *source = json!({"bytes": BASE64_STANDARD.encode(bytes)});
            }
        }
        _ => {}
    }
}
