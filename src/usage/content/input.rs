//! The side that was asked: conversations of every surface in one form, and operations' texts.

use serde_json::{Map, Value, json};

use super::{MAX_INPUT, Side, decoded_bytes, take};
use crate::{
    chat::{ChatRequest, Media, Message, Part, ReasoningKind, Role},
    operations::{Ask, embeddings::Input, transcription::Sound},
    usage::MediaCounts,
};

/// What a message or part without text takes of the room.
const OVERHEAD: usize = 64;
/// The part of the room that instructions at the beginning may take, before the newest messages have theirs.
const INSTRUCTIONS: usize = MAX_INPUT / 8;

/// The messages of a conversation, the newest first in line for the room.
pub fn of_chat(request: &ChatRequest) -> Side {
    let mut room = MAX_INPUT;
    let mut is_cut = false;
    let messages = &request.messages;
    let is_system = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let head = messages.first().filter(is_system);
    let head = head.map(|message| {
        let mut some = INSTRUCTIONS;
        let json = told(message, &mut some, &mut is_cut);
        room -= INSTRUCTIONS - some;
        json
    });
    let rest = messages.get(usize::from(head.is_some())..).unwrap_or(&[]);
    let mut kept = Vec::new();
    for message in rest.iter().rev() {
        if room < OVERHEAD {
            break;
        }
        kept.push(told(message, &mut room, &mut is_cut));
    }
    let omitted = rest.len() - kept.len();
    kept.extend(head);
    kept.reverse();
    let mut json = Map::new();
    json.insert("messages".to_owned(), Value::Array(kept));
    if omitted > 0 {
        json.insert("omitted_messages".to_owned(), omitted.into());
    }
    let tools: Vec<&str> = request
        .tools
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    if !tools.is_empty() {
        json.insert("tools".to_owned(), tools.into());
    }
    Side {
        json: Value::Object(json),
        is_cut: is_cut || omitted > 0,
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn told(message: &Message, room: &mut usize, is_cut: &mut bool) -> Value {
    *room = room.saturating_sub(OVERHEAD);
    let mut json = Map::new();
    json.insert("role".to_owned(), role(message.role).into());
    if let Some(name) = &message.name {
        json.insert("name".to_owned(), name.as_str().into());
    }
    let (mut content, mut calls, mut reasoning) = (Vec::new(), Vec::new(), String::new());
    for part in &message.parts {
        match part {
            Part::ToolCall {
                id,
                name,
                arguments,
            } => calls.push(json!({
                "id": id, "type": "function",
                "function": {"name": name, "arguments": take(arguments, room, is_cut)},
            })),
            Part::ToolResult {
                call_id,
                content: result,
                is_error,
                ..
            } => {
                json.insert("tool_call_id".to_owned(), call_id.as_str().into());
                if *is_error {
                    json.insert("is_error".to_owned(), true.into());
                }
                content.extend(result.iter().filter_map(|part| piece(part, room, is_cut)));
            }
            Part::Reasoning(detail) => {
                let readable = detail.readable().unwrap_or_default();
                reasoning.push_str(&take(readable, room, is_cut));
                if let ReasoningKind::ServerToolCall { tool_name, .. } = &detail.kind {
                    content.push(json!({"type": "server_tool_call", "name": tool_name}));
                }
            }
            part => content.extend(piece(part, room, is_cut)),
        }
    }
    json.insert("content".to_owned(), joined(content));
    if !reasoning.is_empty() {
        json.insert("reasoning".to_owned(), reasoning.into());
    }
    if !calls.is_empty() {
        json.insert("tool_calls".to_owned(), calls.into());
    }
    Value::Object(json)
}

/// One text is a string, several pieces are a list, nothing is null.
fn joined(mut pieces: Vec<Value>) -> Value {
    match pieces.as_mut_slice() {
        [] => Value::Null,
        [only] if only.get("type").and_then(Value::as_str) == Some("text") => {
            only.get_mut("text").map(Value::take).unwrap_or_default()
        }
        _ => Value::Array(pieces),
    }
}

/// A part of a message's content: text as it is, everything else by its type and size.
fn piece(part: &Part, room: &mut usize, is_cut: &mut bool) -> Option<Value> {
    let media = |kind: &str, media: &Media| {
        let mut json = of_media(media);
        if let Some(object) = json.as_object_mut() {
            object.insert("type".to_owned(), kind.into());
        }
        json
    };
    if !matches!(part, Part::Text { .. }) {
        *room = room.saturating_sub(OVERHEAD);
    }
    Some(match part {
        Part::Text { text, .. } => json!({"type": "text", "text": take(text, room, is_cut)}),
        Part::Refusal(text) => json!({"type": "refusal", "refusal": take(text, room, is_cut)}),
        Part::Image { media: of, .. } => media("image", of),
        Part::Video { media: of } => media("video", of),
        Part::File {
            filename,
            media: of,
            ..
        } => {
            let mut json = media("file", of);
            if let (Some(object), Some(name)) = (json.as_object_mut(), filename) {
                object.insert("filename".to_owned(), name.as_str().into());
            }
            json
        }
        Part::Audio { data, format } => {
            json!({"type": "audio", "media_type": format!("audio/{format}"), "bytes": decoded_bytes(data)})
        }
        Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Reasoning(_) => return None,
    })
}

fn of_media(media: &Media) -> Value {
    match media {
        Media::Inline { mime, data } => json!({"media_type": mime, "bytes": decoded_bytes(data)}),
        Media::Url(url) => of_url(url),
        Media::FileId(id) => json!({"file_id": id}),
    }
}

/// What is at an address: a `data:` URL by its type and size, any other by the address without its query, where signatures are.
pub(super) fn of_url(url: &str) -> Value {
    let Some(inline) = url.strip_prefix("data:") else {
        let plain = url.split(['?', '#']).next().unwrap_or_default();
        let end = plain.floor_char_boundary(2_048);
        return json!({"url": plain.get(..end)});
    };
    let (head, data) = inline.split_once(',').unwrap_or((inline, ""));
    let (mime, bytes) = match head.strip_suffix(";base64") {
        Some(mime) => (mime, decoded_bytes(data)),
        None => (head, data.len()),
    };
    let mime = mime.split(';').next().unwrap_or_default();
    json!({"media_type": mime, "bytes": bytes})
}

/// What an operation beside conversation asks.
pub fn of_operation(ask: &Ask) -> Side {
    let mut room = MAX_INPUT;
    let mut is_cut = false;
    let json = match ask {
        Ask::Embeddings(ask) => {
            let inputs = ask.inputs.iter().map(|input| match input {
                Input::Text(text) => take(text, &mut room, &mut is_cut).into(),
                Input::Tokens(tokens) => json!({"type": "tokens", "count": tokens.len()}),
                Input::Parts(parts) => {
                    let pieces = parts.iter();
                    let pieces = pieces.filter_map(|part| piece(part, &mut room, &mut is_cut));
                    Value::Array(pieces.collect())
                }
            });
            json!({"input": inputs.collect::<Vec<Value>>()})
        }
        Ask::Rerank(ask) => {
            let query = take(&ask.query, &mut room, &mut is_cut);
            let documents = ask.documents.iter().map(|document| {
                let text = document.text.as_deref();
                let text = text.map(|text| take(text, &mut room, &mut is_cut));
                match document.image.as_deref().map(of_url) {
                    Some(image) => json!({"text": text, "image": image}),
                    None => text.into(),
                }
            });
            json!({"query": query, "documents": documents.collect::<Vec<Value>>()})
        }
        Ask::Images(ask) => {
            let images: Vec<Value> = ask.references.iter().map(|url| of_url(url)).collect();
            let mut json = json!({"prompt": take(&ask.prompt, &mut room, &mut is_cut)});
            if let (Some(object), false) = (json.as_object_mut(), images.is_empty()) {
                object.insert("images".to_owned(), images.into());
            }
            json
        }
        Ask::Speech(ask) => {
            json!({"input": take(&ask.text, &mut room, &mut is_cut), "voice": ask.voice})
        }
        Ask::Transcription(ask) => match &ask.sound {
            Sound::Bytes { data, filename } => {
                json!({"audio": {"filename": filename, "bytes": data.len()}})
            }
            Sound::Url(url) => json!({"audio": of_url(url)}),
        },
    };
    Side { json, is_cut }
}

/// How much of a conversation's input is no text.
pub fn media_of_chat(request: &ChatRequest) -> MediaCounts {
    let mut counts = MediaCounts::default();
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.for_each(|part| count(part, &mut counts));
    counts
}

fn count(part: &Part, counts: &mut MediaCounts) {
    match part {
        Part::Image { .. } | Part::File { .. } | Part::Video { .. } => {
            counts.prompt = counts.prompt.saturating_add(1);
        }
        Part::Audio { .. } => counts.audio_prompt = counts.audio_prompt.saturating_add(1),
        Part::ToolResult { content, .. } => content.iter().for_each(|part| count(part, counts)),
        Part::Text { .. } | Part::ToolCall { .. } | Part::Reasoning(_) | Part::Refusal(_) => {}
    }
}

/// How much of an operation's input is no text.
pub fn media_of_operation(ask: &Ask) -> MediaCounts {
    let mut counts = MediaCounts::default();
    match ask {
        Ask::Embeddings(ask) => {
            let parts = ask.inputs.iter().filter_map(|input| match input {
                Input::Parts(parts) => Some(parts),
                Input::Text(_) | Input::Tokens(_) => None,
            });
            parts.flatten().for_each(|part| count(part, &mut counts));
        }
        Ask::Rerank(ask) => {
            let images = ask.documents.iter().filter(|one| one.image.is_some());
            counts.prompt = u32::try_from(images.count()).unwrap_or(u32::MAX);
        }
        Ask::Images(ask) => {
            counts.prompt = u32::try_from(ask.references.len()).unwrap_or(u32::MAX);
        }
        Ask::Speech(_) => {}
        Ask::Transcription(_) => counts.audio_prompt = 1,
    }
    counts
}
