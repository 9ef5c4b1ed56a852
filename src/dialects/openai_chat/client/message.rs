//! One message of a client's request → the canonical message.
//!
//! Paths of errors are relative to the message; the caller puts `messages[i]` before them.

use serde::de::IgnoredAny;

use super::{
    request::under,
    wire::{self, PartType},
};
use crate::{
    chat::{CacheMark, Media, Message, Part, ReasoningDetail, ReasoningFormat, Role},
    dialects::cache_control::cache_mark,
    dialects::openai_chat::answer::reasoning_detail,
    error::{Error, Result},
};

/// Reads one message.
pub(super) fn convert(wire: wire::Message) -> Result<Message> {
    let role = match wire.role {
        wire::Role::System => Role::System,
        wire::Role::Developer => Role::Developer,
        wire::Role::User => Role::User,
        wire::Role::Assistant => return assistant(wire),
        wire::Role::Tool => return tool(wire),
    };
    let content = wire
        .content
        .ok_or_else(|| Error::invalid("content", "expected a string or a list of content parts"))?;
    let mut parts = content_parts(content)?;
    // Instructions are text everywhere.
    if role != Role::User
        && let Some(at) = parts
            .iter()
            .position(|part| !matches!(part, Part::Text { .. }))
    {
        return Err(Error::invalid(
            format!("content[{at}].type"),
            "instructions take text parts only",
        ));
    }
    mark_last(&mut parts, cache_mark(wire.cache_control.flatten()));
    Ok(Message {
        role,
        name: wire.name,
        parts,
    })
}

/// Reasoning first, then content, then calls: the order in which the model wrote them.
fn assistant(wire: wire::Message) -> Result<Message> {
    let mut parts = Vec::new();
    match wire.reasoning_details.flatten() {
        Some(details) if !details.is_empty() => {
            // The list of kinds is open: blocks that this gateway cannot read have no place to go either.
            let known = details
                .into_iter()
                .filter_map(|detail| reasoning_detail(detail, ReasoningFormat::default()));
            parts.extend(known.map(Part::Reasoning));
        }
        _ => {
            let text = wire
                .reasoning
                .flatten()
                .or(wire.reasoning_content.flatten());
            parts.extend(text.filter(|text| !text.is_empty()).map(|text| {
                Part::Reasoning(ReasoningDetail::text(ReasoningFormat::Unknown, 0, text))
            }));
        }
    }
    let content_at = parts.len();
    if let Some(content) = wire.content {
        parts.extend(content_parts(content)?);
    }
    // P96: a turn of calls alone has no text part.
    let calls = wire.tool_calls.unwrap_or_default();
    if !calls.is_empty() {
        let mut at = 0;
        parts.retain(|part| {
            at += 1;
            at <= content_at || !matches!(part, Part::Text { text, .. } if text.is_empty())
        });
    }
    mark_last(&mut parts, cache_mark(wire.cache_control.flatten()));
    parts.extend(wire.refusal.map(Part::Refusal));
    for (at, image) in wire.images.flatten().into_iter().flatten().enumerate() {
        parts.push(part(image).map_err(|error| under(error, &format!("images[{at}]")))?);
    }
    for (at, call) in calls.into_iter().enumerate() {
        parts.push(tool_call(call).map_err(|error| under(error, &format!("tool_calls[{at}]")))?);
    }
    Ok(Message {
        role: Role::Assistant,
        name: wire.name,
        parts,
    })
}

fn tool_call(call: wire::ToolCall) -> Result<Part> {
    let wire::Function { name, arguments } = call.function;
    if name.is_empty() {
        return Err(Error::invalid(
            "function.name",
            "expected the name of the function",
        ));
    }
    // P56: models call functions without parameters with no text at all.
    if !arguments.trim().is_empty() && crate::json::from_str::<IgnoredAny>(&arguments).is_err() {
        return Err(Error::invalid(
            "function.arguments",
            "expected arguments as JSON text",
        ));
    }
    Ok(Part::ToolCall {
        id: call.id,
        name,
        arguments,
    })
}

fn tool(wire: wire::Message) -> Result<Message> {
    let call_id = wire
        .tool_call_id
        .ok_or_else(|| Error::invalid("tool_call_id", "expected the id of the call"))?;
    let content = wire
        .content
        .ok_or_else(|| Error::invalid("content", "expected a string or a list of content parts"))?;
    let mut content = content_parts(content)?;
    // A mark on the last part of a result is a mark on the result.
    let cache = cache_mark(wire.cache_control.flatten()).or_else(|| match content.last_mut() {
        Some(Part::Text { cache, .. } | Part::Image { cache, .. } | Part::File { cache, .. }) => {
            cache.take()
        }
        _ => None,
    });
    Ok(Message {
        role: Role::Tool,
        name: wire.name,
        parts: vec![Part::ToolResult {
            call_id,
            content,
            is_error: false,
            cache,
        }],
    })
}

fn content_parts(content: wire::Content) -> Result<Vec<Part>> {
    match content {
        wire::Content::Text(text) => Ok(vec![Part::text(text)]),
        wire::Content::Parts(parts) => parts
            .into_iter()
            .enumerate()
            .map(|(at, wire)| part(wire).map_err(|error| under(error, &format!("content[{at}]"))))
            .collect(),
    }
}

fn part(wire: wire::Part) -> Result<Part> {
    let breakpoint = wire
        .prompt_cache_breakpoint
        .map(|_| CacheMark { ttl: None });
    let cache = cache_mark(wire.cache_control).or(breakpoint);
    Ok(match wire.r#type {
        PartType::Text => Part::Text {
            text: present(wire.text, "text")?,
            cache,
        },
        PartType::ImageUrl => {
            let image = present(wire.image_url, "image_url")?;
            Part::Image {
                media: image.media,
                detail: image.detail,
                cache,
            }
        }
        PartType::File => file(present(wire.file, "file")?, cache)?,
        PartType::InputAudio => {
            let audio = present(wire.input_audio, "input_audio")?;
            Part::Audio {
                data: audio.data,
                format: audio.format,
            }
        }
        PartType::VideoUrl => Part::Video {
            media: present(wire.video_url, "video_url")?.media,
        },
        PartType::InputVideo => Part::Video {
            media: present(wire.input_video.or(wire.video_url), "input_video")?.media,
        },
        PartType::Refusal => Part::Refusal(present(wire.refusal, "refusal")?),
    })
}

fn file(file: wire::File, cache: Option<CacheMark>) -> Result<Part> {
    let media = match (file.file_data, file.file_id) {
        (Some(data), _) => data.0,
        (None, Some(id)) => Media::FileId(id),
        (None, None) => {
            return Err(Error::invalid(
                "file.file_data",
                "expected an https: URL or a data: URL in base64",
            ));
        }
    };
    Ok(Part::File {
        filename: file.filename,
        media,
        cache,
    })
}

fn present<T>(value: Option<T>, field: &str) -> Result<T> {
    value.ok_or_else(|| Error::invalid(field, format!("a part of this type needs {field}")))
}

/// A mark on a message is a mark on its last part.
fn mark_last(parts: &mut [Part], mark: Option<CacheMark>) {
    if let (
        Some(mark),
        Some(Part::Text { cache, .. } | Part::Image { cache, .. } | Part::File { cache, .. }),
    ) = (mark, parts.last_mut())
    {
        *cache = Some(mark);
    }
}
