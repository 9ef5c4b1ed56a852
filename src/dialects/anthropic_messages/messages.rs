//! The conversation: canonical messages → `system` and turns that alternate.
//!
//! Leading instructions become `system`; later ones keep their place, as marked text of the user's turn, so that the cached
//! prefix before them stays what it was. Turns of one speaker are joined, tool results first and in the order of the calls.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use serde_json::value::RawValue;

use super::{
    cache::control,
    ids::native_id,
    media::{self, unsupported},
    native::{Block, CacheControl, Speaker, Turn},
};
use crate::{
    chat::{Message, Part, ReasoningDetail, ReasoningFormat, ReasoningKind, Role},
    error::{Error, Result},
};

/// What the conversation comes to.
#[derive(Debug)]
pub(super) struct Prompt<'a> {
    pub system: Vec<Block<'a>>,
    pub turns: Vec<Turn<'a>>,
}

impl Prompt<'_> {
    /// Does the model continue an answer that is already begun?
    pub fn is_prefill(&self) -> bool {
        self.turns
            .last()
            .is_some_and(|turn| turn.role == Speaker::Assistant)
    }

    /// Do results wait at the end for calls that were made without thinking?
    pub fn is_bare_tool_loop(&self) -> bool {
        match self.turns.as_slice() {
            [.., call, results] => {
                results
                    .content
                    .iter()
                    .any(|block| matches!(block, Block::ToolResult { .. }))
                    && !call.content.first().is_some_and(Block::is_thinking)
            }
            _ => false,
        }
    }
}

/// Reads the conversation. `unsigned_thinking`: the host takes thinking back without a signature.
///
/// # Errors
/// 400 with the path of a part that has no native form.
pub(super) fn prompt(messages: &[Message], unsigned_thinking: bool) -> Result<Prompt<'_>> {
    let mut writer = Writer {
        unsigned_thinking,
        ids: Ids::default(),
    };
    let mut system = Blocks::default();
    let mut turns: Vec<Turn<'_>> = Vec::new();
    let mut instructing = true;
    for (at, message) in messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        instructing &= matches!(message.role, Role::System | Role::Developer);
        if instructing {
            writer.instructions(message, &path, &mut system)?;
            continue;
        }
        let (role, content) = writer.turn(message, &path)?;
        join(&mut turns, role, content);
    }
    let mut system = system.0;
    if turns.is_empty() {
        // Instructions alone are a question too.
        join(&mut turns, Speaker::User, std::mem::take(&mut system));
    }
    if turns.is_empty() {
        return Err(Error::invalid(
            "messages",
            "expected at least one message with content",
        ));
    }
    if turns.first().map(|turn| turn.role) == Some(Speaker::Assistant) {
        let opening = Turn {
            role: Speaker::User,
            content: vec![Block::text("Continue.")],
        };
        turns.insert(0, opening);
    }
    order_results(&mut turns);
    trim_prefill(&mut turns);
    Ok(Prompt { system, turns })
}

/// Appends a turn, or more of the last one.
fn join<'a>(turns: &mut Vec<Turn<'a>>, role: Speaker, content: Vec<Block<'a>>) {
    if content.is_empty() {
        return;
    }
    match turns.last_mut() {
        Some(last) if last.role == role => last.content.extend(content),
        _ => turns.push(Turn { role, content }),
    }
}

/// P64: results stand first in their turn, in the order of the calls.
fn order_results(turns: &mut [Turn<'_>]) {
    let mut calls: Vec<String> = Vec::new();
    for turn in turns {
        if turn.role == Speaker::User {
            turn.content.sort_by_key(|block| match block {
                Block::ToolResult { tool_use_id, .. } => calls
                    .iter()
                    .position(|id| id == tool_use_id)
                    .unwrap_or(calls.len()),
                _ => usize::MAX,
            });
        }
        calls.clear();
        calls.extend(turn.content.iter().filter_map(|block| match block {
            Block::ToolUse { id, .. } => Some(id.clone()),
            _ => None,
        }));
    }
}

/// The beginning of an answer must not end in white space.
fn trim_prefill(turns: &mut [Turn<'_>]) {
    if let Some(Turn {
        role: Speaker::Assistant,
        content,
    }) = turns.last_mut()
        && let Some(Block::Text { text, .. }) = content.last_mut()
    {
        let trimmed = text.trim_end().len();
        if trimmed < text.len() {
            text.to_mut().truncate(trimmed);
        }
    }
}

/// Blocks being collected: blank text is left out, because the API refuses it (P96), and its cache mark moves to the block before.
#[derive(Debug, Default)]
struct Blocks<'a>(Vec<Block<'a>>);

impl<'a> Blocks<'a> {
    fn text(&mut self, text: impl Into<Cow<'a, str>>, cache_control: Option<CacheControl>) {
        let text = text.into();
        if !text.trim().is_empty() {
            self.0.push(Block::Text {
                text,
                cache_control,
            });
        } else if let (Some(mark), Some(slot)) =
            (cache_control, self.0.last_mut().and_then(Block::cache_slot))
        {
            slot.get_or_insert(mark);
        }
    }
}

/// The state of writing one conversation.
#[derive(Debug)]
struct Writer<'a> {
    unsigned_thinking: bool,
    ids: Ids<'a>,
}

impl<'a> Writer<'a> {
    fn instructions(
        &mut self,
        message: &'a Message,
        path: &str,
        out: &mut Blocks<'a>,
    ) -> Result<()> {
        for (at, part) in message.parts.iter().enumerate() {
            let Part::Text { text, cache } = part else {
                let path = format!("{path}.content[{at}]");
                return Err(unsupported(path, "instructions take text parts only"));
            };
            out.text(text.as_str(), cache.map(control));
        }
        Ok(())
    }

    fn turn(&mut self, message: &'a Message, path: &str) -> Result<(Speaker, Vec<Block<'a>>)> {
        match message.role {
            Role::Assistant => Ok((Speaker::Assistant, self.assistant(message, path)?)),
            Role::User | Role::Tool => Ok((Speaker::User, self.user(message, path)?)),
            Role::System | Role::Developer => {
                let mut blocks = Blocks::default();
                self.instructions(message, path, &mut blocks)?;
                for block in &mut blocks.0 {
                    if let Block::Text { text, .. } = block {
                        *text = format!("<system>\n{text}\n</system>").into();
                    }
                }
                Ok((Speaker::User, blocks.0))
            }
        }
    }

    fn user(&mut self, message: &'a Message, path: &str) -> Result<Vec<Block<'a>>> {
        let mut blocks = Blocks::default();
        // There is no field for the speaker's name: it goes before the first words.
        let mut name = message
            .name
            .as_deref()
            .filter(|name| message.role == Role::User && !name.is_empty());
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            match part {
                Part::Text { text, cache } => {
                    let text = match name.take_if(|_| !text.trim().is_empty()) {
                        Some(name) => Cow::Owned(format!("{name}: {text}")),
                        None => Cow::Borrowed(text.as_str()),
                    };
                    blocks.text(text, cache.map(control));
                }
                Part::ToolResult {
                    call_id,
                    content,
                    is_error,
                    cache,
                } => {
                    let id = self.ids.answered(call_id);
                    let mark = cache.map(control);
                    let parent = path.trim_end_matches(&format!(".content[{at}]"));
                    blocks
                        .0
                        .push(tool_result(id, content, *is_error, mark, parent)?);
                }
                Part::ToolCall { .. } | Part::Reasoning(_) | Part::Refusal(_) => {
                    return Err(Error::invalid(path, "only an assistant message holds this"));
                }
                part => blocks.0.push(content_block(part, &path)?),
            }
        }
        Ok(blocks.0)
    }

    fn assistant(&mut self, message: &'a Message, path: &str) -> Result<Vec<Block<'a>>> {
        let mut blocks = Blocks::default();
        let mut calls = 0_usize;
        let mut contents = 0_usize;
        for part in &message.parts {
            match part {
                Part::Reasoning(detail) => {
                    blocks.0.extend(thinking(detail, self.unsigned_thinking));
                    continue;
                }
                Part::ToolCall {
                    id,
                    name,
                    arguments,
                } => {
                    let input = input(arguments).ok_or_else(|| {
                        Error::invalid(
                            format!("{path}.tool_calls[{calls}].function.arguments"),
                            "expected a JSON object as text",
                        )
                    })?;
                    calls += 1;
                    blocks.0.push(Block::ToolUse {
                        id: self.ids.called(id),
                        name,
                        input,
                        cache_control: None,
                    });
                    continue;
                }
                Part::Text { text, cache } => blocks.text(text.as_str(), cache.map(control)),
                Part::Refusal(text) => blocks.text(text.as_str(), None),
                _ => {
                    return Err(unsupported(
                        format!("{path}.content[{contents}]"),
                        "only text is supported in assistant messages",
                    ));
                }
            }
            contents += 1;
        }
        // A turn must not end with thinking.
        while blocks.0.last().is_some_and(Block::is_thinking) {
            blocks.0.pop();
        }
        Ok(blocks.0)
    }
}

/// A part with a native form of its own.
fn content_block<'a>(part: &'a Part, path: &str) -> Result<Block<'a>> {
    match part {
        Part::Text { text, cache } => Ok(Block::Text {
            text: Cow::Borrowed(text),
            cache_control: cache.map(control),
        }),
        Part::Image { media, cache, .. } => media::image(media, cache.map(control), path),
        Part::File {
            filename,
            media,
            cache,
        } => media::document(media, filename.as_deref(), cache.map(control), path),
        Part::Audio { .. } => Err(unsupported(
            format!("{path}.input_audio"),
            "this endpoint does not take sound",
        )),
        Part::Video { .. } => Err(unsupported(
            format!("{path}.video_url"),
            "this endpoint does not take video",
        )),
        Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Reasoning(_) | Part::Refusal(_) => {
            Err(Error::invalid(path, "this part has no place here"))
        }
    }
}

fn tool_result<'a>(
    tool_use_id: String,
    parts: &'a [Part],
    is_error: bool,
    mut cache_control: Option<CacheControl>,
    path: &str,
) -> Result<Block<'a>> {
    let mut content = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        if matches!(part, Part::Text { text, .. } if text.trim().is_empty()) {
            continue;
        }
        let mut block = content_block(part, &format!("{path}.content[{at}]"))?;
        // Marks inside a result are marks on the result.
        if let Some(mark) = block.cache_slot().and_then(Option::take) {
            cache_control.get_or_insert(mark);
        }
        content.push(block);
    }
    Ok(Block::ToolResult {
        tool_use_id,
        content,
        is_error,
        cache_control,
    })
}

/// Reasoning of Claude's own form goes back as it came (P81–P83); the rest stays here (P86, P87).
fn thinking(detail: &ReasoningDetail, unsigned: bool) -> Option<Block<'_>> {
    if detail.format != ReasoningFormat::AnthropicClaude {
        return None;
    }
    match &detail.kind {
        ReasoningKind::Text { text, signature } => {
            let thinking = text.as_deref().unwrap_or_default();
            let signature = signature
                .as_deref()
                .filter(|signature| !signature.is_empty());
            let kept = signature.is_some() || (unsigned && !thinking.is_empty());
            kept.then_some(Block::Thinking {
                thinking,
                signature,
            })
        }
        ReasoningKind::Encrypted { data } => Some(Block::RedactedThinking { data }),
        ReasoningKind::Summary { .. } | ReasoningKind::ServerToolCall { .. } => None,
    }
}

/// A call's arguments, which have to be an object; nothing and `null` are an empty one (P56).
pub(in crate::dialects) fn input(arguments: &str) -> Option<&RawValue> {
    let arguments = match arguments.trim() {
        "" | "null" => "{}",
        arguments => arguments,
    };
    let input: &RawValue = crate::json::from_str(arguments).ok()?;
    input.get().starts_with('{').then_some(input)
}

/// The ids of calls: the API allows fewer characters, and no id twice in a conversation. Other providers' ids are unique
/// within an answer only.
#[derive(Debug, Default)]
pub(in crate::dialects) struct Ids<'a> {
    /// How often an id was called, and under which native ids the calls without a result wait.
    calls: BTreeMap<&'a str, (usize, VecDeque<String>)>,
}

impl<'a> Ids<'a> {
    pub fn called(&mut self, id: &'a str) -> String {
        let (count, waiting) = self.calls.entry(id).or_default();
        *count += 1;
        let native = native_id(id, *count);
        waiting.push_back(native.clone());
        native
    }

    pub fn answered(&mut self, id: &str) -> String {
        match self.calls.get_mut(id) {
            Some((count, waiting)) => waiting.pop_front().unwrap_or_else(|| native_id(id, *count)),
            None => native_id(id, 1),
        }
    }
}
