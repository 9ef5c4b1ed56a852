//! The conversation → `systemInstruction` and `contents`.
//!
//! Gemini wants turns of user and model, each turn of calls followed at once by one turn with its results in the order of the
//! calls (P67). So results are gathered first, each under the call that it answers, and written behind that call's turn
//! wherever they stood. Cache marks have no counterpart: Gemini caches repeated prefixes by itself (P100).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    body::{Content, Part, PartData, System},
    media,
    parts::image_id,
    results::{Call, gather, tool_response},
};
use crate::{
    chat::{self, Message, ReasoningFormat, ReasoningKind, Role},
    error::{Error, Result},
};

/// The signature that Google documents for calls that were made elsewhere: models that sign their calls refuse unsigned ones.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
const FOREIGN_CALL: &str = "skip_thought_signature_validator";

/// Converts the messages. `signed`: the model refuses a turn of calls without a signature.
///
/// # Errors
/// When a message cannot be said in this dialect, with its path in the client's request.
pub(super) fn conversation(
    messages: &[Message],
    signed: bool,
) -> Result<(Option<System<'_>>, Vec<Content<'_>>)> {
    let calls = gather(messages)?;
    let mut calls = calls.iter().peekable();
    let mut turns = Turns::default();
    let mut open = Vec::new();
    let mut system = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        match message.role {
            Role::System | Role::Developer => {
                system.extend(message.parts.iter().filter_map(text).map(Part::text));
            }
            Role::User => {
                turns.results(&mut open)?;
                turns.add("user", user(message, at)?);
            }
            Role::Tool => turns.results(&mut open)?,
            Role::Assistant => {
                turns.add("model", assistant(message, at, signed)?);
                while let Some(call) = calls.next_if(|call| call.message == at) {
                    open.push(call);
                }
            }
        }
    }
    turns.results(&mut open)?;
    let mut contents = turns.contents;
    if contents.is_empty() {
        // Instructions alone are a question.
        if system.is_empty() {
            let message = "expected at least one message with content";
            return Err(Error::invalid("messages", message));
        }
        contents.push(Content {
            role: "user",
            parts: std::mem::take(&mut system),
        });
    }
    let system = (!system.is_empty()).then_some(System { parts: system });
    Ok((system, contents))
}

/// The turns written so far.
#[derive(Default)]
struct Turns<'a> {
    contents: Vec<Content<'a>>,
    /// The last turn holds results: nothing joins it.
    closed: bool,
}

impl<'a> Turns<'a> {
    /// Adds to the last turn if it is of the same role, else begins one. An empty message makes no turn (P97).
    fn add(&mut self, role: &'static str, parts: Vec<Part<'a>>) {
        if parts.is_empty() {
            return;
        }
        match self.contents.last_mut() {
            Some(last) if last.role == role && !self.closed => last.parts.extend(parts),
            _ => self.contents.push(Content { role, parts }),
        }
        self.closed = false;
    }

    /// Writes the results of the open calls as one turn; what they hold beside text follows as a turn of the user.
    fn results(&mut self, open: &mut Vec<&Call<'a>>) -> Result<()> {
        let mut media = Vec::new();
        let mut results = Vec::new();
        for call in open.drain(..) {
            let Some(answer) = &call.answer else {
                continue;
            };
            results.push(Part::from(PartData::FunctionResponse {
                id: call.id,
                name: call.name,
                response: tool_response(answer.content, answer.is_error),
            }));
            let before = media.len();
            for (at, part) in answer.content.iter().enumerate() {
                let path = format!("messages[{}].content[{at}]", answer.message);
                media.extend(media::data(part, &path)?.map(Part::from));
            }
            if media.len() > before {
                let label = format!("Output of {}:", call.name);
                media.insert(before, Part::text(label));
            }
        }
        if !results.is_empty() {
            self.contents.push(Content {
                role: "user",
                parts: results,
            });
            self.closed = true;
        }
        self.add("user", media);
        Ok(())
    }
}

/// Text that is not empty.
fn text(part: &chat::Part) -> Option<&str> {
    match part {
        chat::Part::Text { text, .. } | chat::Part::Refusal(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn user(message: &Message, at: usize) -> Result<Vec<Part<'_>>> {
    let mut parts = Vec::with_capacity(message.parts.len());
    let mut name = message.name.as_deref();
    for (index, part) in message.parts.iter().enumerate() {
        if let Some(text) = text(part) {
            // The wire has no field for the speaker's name.
            parts.push(match name.take() {
                Some(name) => Part::text(format!("{name}: {text}")),
                None => Part::text(text),
            });
        } else {
            let path = format!("messages[{at}].content[{index}]");
            parts.extend(media::data(part, &path)?.map(Part::from));
        }
    }
    Ok(parts)
}

fn assistant(message: &Message, at: usize, signed: bool) -> Result<Vec<Part<'_>>> {
    let mut parts = Vec::with_capacity(message.parts.len());
    let (mut images, mut calls) = (0, 0);
    for (index, part) in message.parts.iter().enumerate() {
        if let Some(text) = text(part) {
            parts.push(Part::text(text));
            continue;
        }
        match part {
            chat::Part::Reasoning(detail) if detail.format == ReasoningFormat::GoogleGemini => {
                if let ReasoningKind::Text { text, signature } = &detail.kind {
                    let mut thought = Part::text(text.as_deref().unwrap_or_default());
                    thought.thought = true;
                    thought.thought_signature = signature.as_deref();
                    parts.push(thought);
                }
            }
            chat::Part::ToolCall {
                id,
                name,
                arguments,
            } => {
                let path = || format!("messages[{at}].tool_calls[{calls}].function.arguments");
                let args = arguments_object(arguments).ok_or_else(|| {
                    Error::invalid(path(), "expected arguments as the JSON text of an object")
                })?;
                let mut call = Part::from(PartData::FunctionCall { id, name, args });
                let foreign = (signed && calls == 0).then_some(FOREIGN_CALL);
                call.thought_signature = signature_of(message, id).or(foreign);
                parts.push(call);
                calls += 1;
            }
            part => {
                let path = format!("messages[{at}].content[{index}]");
                if let Some(data) = media::data(part, &path)? {
                    let mut image = Part::from(data);
                    image.thought_signature = signature_of(message, &image_id(images));
                    parts.push(image);
                    images += 1;
                }
            }
        }
    }
    place_loose_signatures(message, &mut parts);
    Ok(parts)
}

/// Signatures of Gemini in this message: the part they belong to, if it has a name, and their data. Those of other providers
/// mean nothing here (P87).
fn signatures(message: &Message) -> impl Iterator<Item = (Option<&str>, &str)> {
    message.parts.iter().filter_map(|part| match part {
        chat::Part::Reasoning(detail) if detail.format == ReasoningFormat::GoogleGemini => {
            match &detail.kind {
                ReasoningKind::Encrypted { data } => Some((detail.id.as_deref(), data.as_str())),
                _ => None,
            }
        }
        _ => None,
    })
}

/// The signature of the part with this name (P84).
fn signature_of<'a>(message: &'a Message, id: &str) -> Option<&'a str> {
    signatures(message).find_map(|(owner, data)| (owner == Some(id)).then_some(data))
}

/// Signatures without an owner belong to the text, or stand alone on an empty part (P85).
fn place_loose_signatures<'a>(message: &'a Message, parts: &mut Vec<Part<'a>>) {
    for (_, data) in signatures(message).filter(|(owner, _)| owner.is_none()) {
        let unsigned_text = parts.iter_mut().rev().find(|part| {
            matches!(part.data, PartData::Text(_))
                && !part.thought
                && part.thought_signature.is_none()
        });
        match unsigned_text {
            Some(part) => part.thought_signature = Some(data),
            None => {
                let mut alone = Part::text("");
                alone.thought_signature = Some(data);
                parts.push(alone);
            }
        }
    }
}

/// The arguments as the client wrote them, if they are an object; no text at all means none (P56).
fn arguments_object(arguments: &str) -> Option<Cow<'_, RawValue>> {
    let text = match arguments.trim() {
        "" => "{}",
        text => text,
    };
    let raw: &RawValue = crate::json::from_str(text).ok()?;
    raw.get().starts_with('{').then_some(Cow::Borrowed(raw))
}
