//! The conversation: canonical messages → `system` and turns that alternate.
//!
//! Leading instructions become `system`; later ones keep their place, as marked text of the user's turn, so that the cached
//! prefix before them stays what it was. Turns of one speaker are joined, tool results first and in the order of the calls.

use std::borrow::Cow;

use super::{
    media::{self, Names, unsupported},
    native::{Block, Content, Reasoning, Speaker, ToolResult, ToolUse, Turn},
};
use crate::{
    chat::{CacheMark, Message, Part, ReasoningDetail, ReasoningFormat, ReasoningKind, Role},
    dialects::anthropic_messages::messages::{Ids, input},
    error::{Error, Result},
};

/// The longest id of a call.
const LONGEST_ID: usize = 64;
/// A result has to hold something.
const NOTHING: &str = "(no output)";

/// What the conversation comes to.
#[derive(Debug)]
pub(super) struct Prompt<'a> {
    pub system: Content<Block<'a>>,
    pub turns: Vec<Turn<'a>>,
}

impl<'a> Prompt<'a> {
    /// Does the model continue an answer that is already begun?
    pub fn is_prefill(&self) -> bool {
        let last = self.turns.last();
        last.is_some_and(|turn| turn.role == Speaker::Assistant)
    }

    /// Do results wait at the end for calls that were made without thinking?
    pub fn is_bare_tool_loop(&self) -> bool {
        match self.turns.as_slice() {
            [.., call, results] => {
                results
                    .content
                    .items()
                    .any(|block| matches!(block, Block::ToolResult(_)))
                    && !call.content.items().next().is_some_and(Block::is_reasoning)
            }
            _ => false,
        }
    }

    /// The tools that were called, each once; an empty name for results without their call.
    pub fn called(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        for block in self.turns.iter().flat_map(|turn| turn.content.items()) {
            let name = match block {
                Block::ToolUse(call) => call.name,
                _ => continue,
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Another instruction.
    pub fn instruct(&mut self, text: impl Into<Cow<'a, str>>) {
        self.system.push(Block::Text(text.into()), None);
    }
}

/// Reads the conversation. Claude alone takes its signed reasoning back, and is told which results are failures.
///
/// # Errors
/// 400 with the path of a part that has no native form.
pub(super) fn prompt(messages: &[Message], is_claude: bool) -> Result<Prompt<'_>> {
    let mut writer = Writer {
        is_claude,
        ids: Ids::default(),
        names: Names::default(),
    };
    let mut system = Content::default();
    let mut turns: Vec<Turn<'_>> = Vec::new();
    let mut instructing = true;
    for (at, message) in messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        instructing &= matches!(message.role, Role::System | Role::Developer);
        if instructing {
            instructions(message, &path, &mut system)?;
            continue;
        }
        let (role, content) = writer.turn(message, &path)?;
        join(&mut turns, role, content);
    }
    if turns.is_empty() {
        // Instructions alone are a question too.
        join(&mut turns, Speaker::User, std::mem::take(&mut system));
    }
    let Some(first) = turns.first() else {
        let message = "expected at least one message with content";
        return Err(Error::invalid("messages", message));
    };
    if first.role == Speaker::Assistant {
        let mut content = Content::default();
        content.push(Block::Text("Continue.".into()), None);
        let role = Speaker::User;
        turns.insert(0, Turn { role, content });
    }
    order_results(&mut turns);
    turns.iter_mut().for_each(name_documents);
    trim_prefill(&mut turns);
    Ok(Prompt { system, turns })
}

/// Appends a turn, or more of the last one.
fn join<'a>(turns: &mut Vec<Turn<'a>>, role: Speaker, content: Content<Block<'a>>) {
    if content.is_empty() {
        return;
    }
    match turns.last_mut() {
        Some(last) if last.role == role => last.content.0.extend(content.0),
        _ => turns.push(Turn { role, content }),
    }
}

/// P64: results stand first in their turn, in the order of the calls.
fn order_results(turns: &mut [Turn<'_>]) {
    let mut calls: Vec<String> = Vec::new();
    for turn in turns {
        if turn.role == Speaker::User {
            turn.content.0.sort_by_key(|block| match &block.item {
                Block::ToolResult(result) => calls
                    .iter()
                    .position(|id| *id == result.tool_use_id)
                    .unwrap_or(calls.len()),
                _ => usize::MAX,
            });
        }
        calls.clear();
        calls.extend(turn.content.items().filter_map(|block| match block {
            Block::ToolUse(call) => Some(call.tool_use_id.clone()),
            _ => None,
        }));
    }
}

/// A turn with a document has to have text.
fn name_documents(turn: &mut Turn<'_>) {
    let has_text = turn
        .content
        .items()
        .any(|block| matches!(block, Block::Text(_)));
    let names: Vec<&str> = turn
        .content
        .items()
        .filter_map(|block| match block {
            Block::Document(document) => Some(document.name.as_str()),
            _ => None,
        })
        .collect();
    if !names.is_empty() && !has_text {
        let text = format!("Attached: {}", names.join(", "));
        turn.content.push(Block::Text(text.into()), None);
    }
}

/// The beginning of an answer must not end in white space.
fn trim_prefill(turns: &mut [Turn<'_>]) {
    if let Some(Turn {
        role: Speaker::Assistant,
        content,
    }) = turns.last_mut()
        && let Some(last) = content.0.last_mut()
        && let Block::Text(text) = &mut last.item
    {
        let trimmed = text.trim_end().len();
        if trimmed < text.len() {
            text.to_mut().truncate(trimmed);
        }
    }
}

/// Adds text. Blank text is left out, because the API refuses it (P96), and its cache mark moves to the block before.
fn add_text<'a>(
    content: &mut Content<Block<'a>>,
    text: impl Into<Cow<'a, str>>,
    mark: Option<CacheMark>,
) {
    let text = text.into();
    if !text.trim().is_empty() {
        content.push(Block::Text(text), mark);
    } else if let (Some(mark), Some(last)) = (mark, content.0.last_mut()) {
        last.mark.get_or_insert(mark);
    }
}

fn instructions<'a>(message: &'a Message, path: &str, out: &mut Content<Block<'a>>) -> Result<()> {
    for (at, part) in message.parts.iter().enumerate() {
        let Part::Text { text, cache } = part else {
            let path = format!("{path}.content[{at}]");
            return Err(unsupported(path, "instructions take text parts only"));
        };
        add_text(out, text.as_str(), *cache);
    }
    Ok(())
}

/// The state of writing one conversation.
#[derive(Debug)]
struct Writer<'a> {
    is_claude: bool,
    ids: Ids<'a>,
    names: Names,
}

impl<'a> Writer<'a> {
    fn turn(&mut self, message: &'a Message, path: &str) -> Result<(Speaker, Content<Block<'a>>)> {
        match message.role {
            Role::Assistant => Ok((Speaker::Assistant, self.assistant(message, path)?)),
            Role::User | Role::Tool => Ok((Speaker::User, self.user(message, path)?)),
            Role::System | Role::Developer => {
                let mut content = Content::default();
                instructions(message, path, &mut content)?;
                for block in &mut content.0 {
                    if let Block::Text(text) = &mut block.item {
                        *text = format!("<system>\n{text}\n</system>").into();
                    }
                }
                Ok((Speaker::User, content))
            }
        }
    }

    fn user(&mut self, message: &'a Message, path: &str) -> Result<Content<Block<'a>>> {
        let mut content = Content::default();
        // There is no field for the speaker's name: it goes before the first words.
        let mut name = message
            .name
            .as_deref()
            .filter(|name| message.role == Role::User && !name.is_empty());
        for (at, part) in message.parts.iter().enumerate() {
            let here = format!("{path}.content[{at}]");
            match part {
                Part::Text { text, cache } => {
                    let text = match name.take_if(|_| !text.trim().is_empty()) {
                        Some(name) => Cow::Owned(format!("{name}: {text}")),
                        None => Cow::Borrowed(text.as_str()),
                    };
                    add_text(&mut content, text, *cache);
                }
                Part::ToolResult {
                    call_id,
                    content: parts,
                    is_error,
                    cache,
                } => {
                    let tool_use_id = short(self.ids.answered(call_id));
                    let (result, mark) = self.result(parts, *cache, path)?;
                    let result = ToolResult {
                        tool_use_id,
                        content: result,
                        status: (*is_error && self.is_claude).then_some("error"),
                    };
                    content.push(Block::ToolResult(result), mark);
                }
                Part::ToolCall { .. } | Part::Reasoning(_) | Part::Refusal(_) => {
                    return Err(Error::invalid(here, "only an assistant message holds this"));
                }
                part => content.push(self.block(part, &here)?, part.cache()),
            }
        }
        Ok(content)
    }

    /// What a call gave, as text (P76), and the mark on it: marks inside a result are marks on the result.
    fn result(
        &mut self,
        parts: &'a [Part],
        mut mark: Option<CacheMark>,
        path: &str,
    ) -> Result<(Vec<Block<'a>>, Option<CacheMark>)> {
        let mut content = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            mark = mark.or(part.cache());
            if !matches!(part, Part::Text { text, .. } if text.trim().is_empty()) {
                content.push(self.block(part, &format!("{path}.content[{at}]"))?);
            }
        }
        if content.is_empty() {
            content.push(Block::Text(NOTHING.into()));
        }
        Ok((content, mark))
    }

    /// A part with a native form of its own.
    fn block(&mut self, part: &'a Part, path: &str) -> Result<Block<'a>> {
        match part {
            Part::Text { text, .. } => Ok(Block::Text(text.into())),
            Part::Image { media, .. } => media::image(media, path),
            Part::File {
                filename, media, ..
            } => media::document(media, self.names.name(filename.as_deref()), path),
            Part::Audio { data, format } => media::audio(data, format, path),
            Part::Video { media } => media::video(media, path),
            Part::ToolCall { .. }
            | Part::ToolResult { .. }
            | Part::Reasoning(_)
            | Part::Refusal(_) => Err(Error::invalid(path, "this part has no place here")),
        }
    }

    fn assistant(&mut self, message: &'a Message, path: &str) -> Result<Content<Block<'a>>> {
        let mut content = Content::default();
        let mut calls = 0_usize;
        let mut contents = 0_usize;
        for part in &message.parts {
            match part {
                Part::Reasoning(detail) => {
                    if let Some(block) = reasoning(detail).filter(|_| self.is_claude) {
                        content.push(Block::ReasoningContent(block), None);
                    }
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
                    let tool_use_id = short(self.ids.called(id));
                    let call = ToolUse {
                        tool_use_id,
                        name,
                        input,
                    };
                    content.push(Block::ToolUse(call), None);
                    continue;
                }
                Part::Text { text, cache } => add_text(&mut content, text.as_str(), *cache),
                Part::Refusal(text) => add_text(&mut content, text.as_str(), None),
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
        while content
            .0
            .last()
            .is_some_and(|block| block.item.is_reasoning())
        {
            content.0.pop();
        }
        Ok(content)
    }
}

/// Reasoning of Claude's own form goes back as it came (P81–P83); the rest stays here (P86, P87).
fn reasoning(detail: &ReasoningDetail) -> Option<Reasoning<'_>> {
    if detail.format != ReasoningFormat::AnthropicClaude {
        return None;
    }
    match &detail.kind {
        ReasoningKind::Text { text, signature } => {
            let signature = signature.as_deref().filter(|text| !text.is_empty())?;
            let text = text.as_deref().unwrap_or_default();
            Some(Reasoning::ReasoningText { text, signature })
        }
        ReasoningKind::Encrypted { data } => Some(Reasoning::RedactedContent(data)),
        ReasoningKind::Summary { .. } | ReasoningKind::ServerToolCall { .. } => None,
    }
}

/// An id within the limit: a long one keeps its beginning and is told apart by a digest.
fn short(id: String) -> String {
    if id.len() <= LONGEST_ID {
        return id;
    }
    let digest = crate::dialects::anthropic_messages::ids::digest(&id, 12);
    let kept = LONGEST_ID - digest.len() - 1;
    format!("{}_{digest}", id.get(..kept).unwrap_or_default())
}
