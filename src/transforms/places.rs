//! What stands where the endpoint's wire has no place for it: images and files in a tool's result, images in an answer, and
//! the word that a result is a failure.
//!
//! Media move into the user's turn behind the results, each under words that say whose they are; a failure is said in words.
//! Out of scope: kinds of media that the endpoint cannot read at all (`routing::needs`).

use std::{borrow::Cow, collections::BTreeMap};

use super::Setting;
use crate::{
    catalog::{Dialect, ReasoningFields},
    chat::{ChatRequest, Message, Part, Role},
};

/// What is left of a result that was nothing but media.
const BELOW: &str = "(The output follows below.)";
/// How a failure begins.
const FAILED: &str = "Error: ";
/// So far into a result, its own words may say that it is a failure.
const BEGINNING: usize = 40;

/// What a wire has no place for.
#[derive(Debug, Clone, Copy)]
struct Lacks {
    media_in_results: bool,
    images_in_answers: bool,
    failures: bool,
}

impl Lacks {
    fn of(setting: &Setting<'_>) -> Self {
        let dialect = setting.dialect();
        let reasoning = setting.endpoint.reasoning.as_ref();
        let is_claude = reasoning.and_then(|can| can.fields) == Some(ReasoningFields::Thinking);
        Self {
            media_in_results: matches!(dialect, Dialect::OpenaiChat | Dialect::CohereV2),
            // Responses has items for them, which its dialect writes.
            images_in_answers: !matches!(dialect, Dialect::Gemini | Dialect::OpenaiResponses),
            failures: match dialect {
                Dialect::AnthropicMessages | Dialect::Gemini => false,
                Dialect::BedrockConverse => !is_claude,
                Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::CohereV2 => true,
            },
        }
    }
}

/// Finds another place for what the endpoint's wire has none for.
pub(super) fn find(setting: &Setting<'_>, request: &mut Cow<'_, ChatRequest>) {
    let lacks = Lacks::of(setting);
    let last = request.messages.len().saturating_sub(1);
    let mut messages = request.messages.iter().enumerate();
    let is_concerned = messages.any(|(at, message)| {
        message.parts.iter().any(|part| match part {
            Part::ToolResult {
                content, is_error, ..
            } => {
                (lacks.failures && *is_error)
                    || (lacks.media_in_results && content.iter().any(is_media))
            }
            Part::Image { .. } => {
                lacks.images_in_answers && message.role == Role::Assistant && at < last
            }
            _ => false,
        })
    });
    if is_concerned {
        arrange(&mut request.to_mut().messages, lacks);
    }
}

fn arrange(messages: &mut Vec<Message>, lacks: Lacks) {
    let last = messages.len().saturating_sub(1);
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut moved: Vec<Part> = Vec::new();
    let mut out = Vec::with_capacity(messages.len() + 1);
    for (at, mut message) in std::mem::take(messages).into_iter().enumerate() {
        if message.role != Role::Tool {
            put(&mut out, &mut message, &mut moved);
        }
        if message.role == Role::Assistant && lacks.images_in_answers && at < last {
            take(
                &mut message.parts,
                &mut moved,
                "Shown with the answer above:",
            );
        }
        for part in &mut message.parts {
            match part {
                Part::ToolCall { id, name, .. } => {
                    names.insert(id.clone(), name.clone());
                }
                Part::ToolResult {
                    call_id,
                    content,
                    is_error,
                    ..
                } => {
                    if lacks.media_in_results {
                        let name = names.get(call_id.as_str()).map_or("a tool", String::as_str);
                        let had = !content.is_empty();
                        take(content, &mut moved, &format!("Output of {name}:"));
                        if had && content.is_empty() {
                            content.push(Part::text(BELOW));
                        }
                    }
                    if lacks.failures && *is_error {
                        tell_failure(content);
                    }
                }
                _ => {}
            }
        }
        // What was nothing but images is told by them alone.
        if !message.parts.is_empty() {
            out.push(message);
        }
    }
    if !moved.is_empty() {
        out.push(turn(&mut moved));
    }
    *messages = out;
}

/// Puts what was moved before the next message: into it, if it is the user's.
fn put(out: &mut Vec<Message>, next: &mut Message, moved: &mut Vec<Part>) {
    if moved.is_empty() {
        return;
    }
    if next.role == Role::User && next.name.is_none() {
        moved.append(&mut next.parts);
        next.parts = std::mem::take(moved);
    } else {
        out.push(turn(moved));
    }
}

fn turn(moved: &mut Vec<Part>) -> Message {
    Message {
        role: Role::User,
        name: None,
        parts: std::mem::take(moved),
    }
}

/// Takes the media out of `parts`.
fn take(parts: &mut Vec<Part>, moved: &mut Vec<Part>, label: &str) {
    if !parts.iter().any(is_media) {
        return;
    }
    let (media, rest): (Vec<Part>, Vec<Part>) = parts.drain(..).partition(is_media);
    moved.push(Part::text(label));
    moved.extend(media);
    *parts = rest;
}

fn is_media(part: &Part) -> bool {
    matches!(
        part,
        Part::Image { .. } | Part::File { .. } | Part::Audio { .. } | Part::Video { .. }
    )
}

fn tell_failure(content: &mut Vec<Part>) {
    let words = content.iter_mut().find_map(|part| match part {
        Part::Text { text, .. } => Some(text),
        _ => None,
    });
    match words {
        Some(text) => {
            let beginning: String = text.chars().take(BEGINNING).collect();
            if !beginning.to_ascii_lowercase().contains("error") {
                text.insert_str(0, FAILED);
            }
        }
        None => content.insert(0, Part::text(FAILED.trim_end_matches([':', ' ']))),
    }
}
