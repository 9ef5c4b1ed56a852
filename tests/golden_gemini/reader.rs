//! A native Gemini request → the canonical one, for tests: the gateway itself has no Gemini surface.

use patchbay::chat::{
    ChatRequest, Effort, JsonSchema, Media, Message, Part, ReasoningDetail, ReasoningFormat,
    ReasoningKind, ReasoningRequest, ResponseFormat, Role, Tool, ToolChoice,
};
use serde_json::{Map, Number, Value};

/// Keys below these are the caller's own.
const OPAQUE: [&str; 6] = [
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "args",
    "response",
];

/// The request in camel case: the wire takes both spellings of its own names.
pub fn camel(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| {
                let key = camel_word(key);
                let value = if OPAQUE.contains(&key.as_str()) {
                    value.clone()
                } else {
                    camel(value)
                };
                (key, value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(camel).collect(),
        other => other.clone(),
    }
}

fn camel_word(word: &str) -> String {
    let mut pieces = word.split('_');
    let mut camel = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (head, tail) = piece.split_at(piece.len().min(1));
        camel.push_str(&head.to_uppercase());
        camel.push_str(tail);
    }
    camel
}

/// Reads a request that [`camel`] has been through.
pub fn canonical(native: &Value) -> ChatRequest {
    let mut request = ChatRequest::default();
    for text in list(&native["systemInstruction"]["parts"]) {
        let text = text["text"].as_str().unwrap();
        request.messages.push(Message::text(Role::System, text));
    }
    let mut calls: Vec<(String, String)> = Vec::new();
    for content in native["contents"].as_array().unwrap() {
        messages(content, &mut calls, &mut request.messages);
    }
    tools(native, &mut request);
    config(&native["generationConfig"], &mut request);
    request
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        item => vec![item],
    }
}

/// One turn: a message, or one for each result. `calls` are the names and ids of calls that wait for a result.
fn messages(content: &Value, calls: &mut Vec<(String, String)>, out: &mut Vec<Message>) {
    let is_model = content["role"] == "model";
    let mut message = Message {
        role: if is_model {
            Role::Assistant
        } else {
            Role::User
        },
        ..Message::default()
    };
    for part in list(&content["parts"]) {
        if let Some(response) = part.get("functionResponse") {
            let name = response["name"].as_str().unwrap();
            let at = calls.iter().position(|(call, _)| call == name).unwrap();
            let (_, call_id) = calls.remove(at);
            out.push(Message {
                role: Role::Tool,
                name: None,
                parts: vec![Part::ToolResult {
                    call_id,
                    content: vec![Part::text(response["response"].to_string())],
                    is_error: false,
                    cache: None,
                }],
            });
            continue;
        }
        let mut owner = None;
        let mut signature = part.get("thoughtSignature");
        if let Some(call) = part.get("functionCall") {
            let name = call["name"].as_str().unwrap().to_owned();
            let made = format!("call_{}_{}", out.len(), message.parts.len());
            let id = call["id"].as_str().map_or(made, str::to_owned);
            calls.push((name.clone(), id.clone()));
            owner = Some(id.clone());
            message.parts.push(Part::ToolCall {
                id,
                name,
                arguments: call["args"].to_string(),
            });
        } else if part["thought"] == true {
            let text = part["text"].as_str().unwrap();
            let mut detail = ReasoningDetail::text(ReasoningFormat::GoogleGemini, 0, text);
            // The signature of a thought is a part of it.
            if let (
                Some(own),
                ReasoningKind::Text {
                    signature: kept, ..
                },
            ) = (signature.take(), &mut detail.kind)
            {
                *kept = own.as_str().map(str::to_owned);
            }
            message.parts.push(Part::Reasoning(detail));
        } else if let Some(text) = part.get("text") {
            message.parts.push(Part::text(text.as_str().unwrap()));
        } else {
            message.parts.push(media(part));
        }
        if let Some(data) = signature {
            message.parts.push(Part::Reasoning(ReasoningDetail {
                kind: ReasoningKind::Encrypted {
                    data: data.as_str().unwrap().to_owned(),
                },
                format: ReasoningFormat::GoogleGemini,
                id: owner,
                index: None,
            }));
        }
    }
    if !message.parts.is_empty() {
        out.push(message);
    }
}

fn media(part: &Value) -> Part {
    let (mime, media) = match (part.get("inlineData"), part.get("fileData")) {
        (Some(blob), _) => {
            let mime = blob["mimeType"].as_str().unwrap();
            let data = blob["data"].as_str().unwrap().to_owned();
            if let Some(format) = mime.strip_prefix("audio/") {
                return Part::Audio {
                    data,
                    format: format.to_owned(),
                };
            }
            let media = Media::Inline {
                mime: mime.to_owned(),
                data,
            };
            (mime, media)
        }
        (None, Some(file)) => {
            let uri = file["fileUri"].as_str().unwrap().to_owned();
            (file["mimeType"].as_str().unwrap(), Media::Url(uri))
        }
        _ => panic!("an unknown part: {part}"),
    };
    match mime.split('/').next().unwrap() {
        "image" => Part::Image {
            media,
            detail: None,
            cache: None,
        },
        "video" => Part::Video { media },
        _ => Part::File {
            filename: None,
            media,
            cache: None,
        },
    }
}

fn tools(native: &Value, request: &mut ChatRequest) {
    for tool in list(&native["tools"]) {
        if tool.get("googleSearch").is_some() {
            request.web_search_options = Some(Value::Object(Map::new()));
        }
        for function in list(&tool["functionDeclarations"]) {
            let schema = function
                .get("parametersJsonSchema")
                .or_else(|| function.get("parameters"));
            request.tools.push(Tool {
                name: function["name"].as_str().unwrap().to_owned(),
                description: function["description"]
                    .as_str()
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned),
                parameters: schema.map(lower),
                strict: None,
                cache: None,
            });
        }
    }
    let calling = &native["toolConfig"]["functionCallingConfig"];
    let named = calling["allowedFunctionNames"][0].as_str();
    request.tool_choice = match (calling["mode"].as_str(), named) {
        (Some("AUTO"), _) => Some(ToolChoice::Auto),
        (Some("NONE"), _) => Some(ToolChoice::None),
        (Some("ANY"), None) => Some(ToolChoice::Required),
        (Some("ANY"), Some(name)) => Some(ToolChoice::Function(name.to_owned())),
        _ => None,
    };
}

/// OpenAPI's types as clients of chat completions write them.
fn lower(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| match value {
                Value::String(word) if key == "type" => (key.clone(), word.to_lowercase().into()),
                // The wire's enums are numbers too.
                Value::Number(number) if key == "type" => (key.clone(), type_word(number).into()),
                value => (key.clone(), lower(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(lower).collect(),
        other => other.clone(),
    }
}

/// A type as the wire numbers them.
pub fn type_word(number: &Number) -> &'static str {
    let words = [
        "string", "number", "integer", "boolean", "array", "object", "null",
    ];
    words[usize::try_from(number.as_u64().unwrap()).unwrap() - 1]
}

fn config(config: &Value, request: &mut ChatRequest) {
    let number = |key: &str| -> Option<Number> { config[key].as_number().cloned() };
    request.sampling.temperature = number("temperature");
    request.sampling.top_p = number("topP");
    // Whole, however it is written.
    let top_k = config["topK"].as_f64();
    request.sampling.top_k = top_k.map(|k| format!("{k:.0}").parse().unwrap());
    request.sampling.frequency_penalty = number("frequencyPenalty");
    request.sampling.presence_penalty = number("presencePenalty");
    request.logprobs = config["responseLogprobs"].as_bool();
    request.top_logprobs = config["logprobs"].as_u64().map(|n| n.try_into().unwrap());
    request.sampling.seed = config["seed"].as_i64();
    request.max_tokens = config["maxOutputTokens"].as_u64();
    let stops = list(&config["stopSequences"]);
    request.stop = stops
        .iter()
        .map(|stop| stop.as_str().unwrap().to_owned())
        .collect();
    request.n = config["candidateCount"]
        .as_u64()
        .map(|n| n.try_into().unwrap());
    let modalities = list(&config["responseModalities"]);
    request.modalities = modalities
        .iter()
        .map(|word| word.as_str().unwrap().to_lowercase())
        .collect();
    let voice = config.pointer("/speechConfig/voiceConfig/prebuiltVoiceConfig/voiceName");
    request.audio = voice.map(|voice| serde_json::json!({"voice": voice}));
    let schema = config
        .get("responseJsonSchema")
        .or_else(|| config.get("responseSchema"));
    if config["responseMimeType"] == "application/json" {
        request.response_format = Some(match schema {
            None => ResponseFormat::JsonObject,
            Some(schema) => ResponseFormat::JsonSchema(JsonSchema {
                name: "answer".to_owned(),
                description: None,
                schema: lower(schema),
                strict: None,
            }),
        });
    }
    if let Some(thinking) = config.get("thinkingConfig") {
        request.reasoning = Some(ReasoningRequest {
            effort: thinking["thinkingLevel"].as_str().map(effort),
            max_tokens: thinking["thinkingBudget"].as_u64(),
            exclude: thinking["includeThoughts"] != true,
            ..ReasoningRequest::default()
        });
    }
}

fn effort(level: &str) -> Effort {
    match level.to_lowercase().as_str() {
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        _ => panic!("the unknown level {level}"),
    }
}
