//! Instructions and turns of a client's request → canonical messages.
//!
//! Results come first and one message each, then the rest of their turn (P64, P65). What Anthropic's own server tools did in
//! earlier turns stays as a note that other providers do not see. Paths of errors are those of the client's body.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::{Value, value::RawValue};

use super::{
    super::ids::native_id,
    foreign, server_tools,
    wire::{self, Block, Content, Source},
};
use crate::{
    chat::{Media, Message, Part, ReasoningDetail, ReasoningFormat, ReasoningKind, Role},
    dialects::cache_control::cache_mark,
    dialects::openai_chat::client::under,
    error::{Error, Result},
};

/// Claude Code tells Anthropic's billing about itself in a block of instructions (P102).
const BILLING: &str = "x-anthropic-billing-header";

/// What the conversation comes to.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub messages: Vec<Message>,
    /// Anthropic would refuse the messages as they are: they hold what this gateway or another provider wrote.
    pub is_irregular: bool,
    /// Path of the first block that only Anthropic knows.
    pub only_native: Option<String>,
    /// Ids of calls so far.
    ids: BTreeSet<String>,
    /// Server tools that wait for their results.
    server_tools: Vec<(String, ReasoningKind)>,
}

/// Reads instructions and turns.
pub(super) fn read(
    system: Option<Content>,
    messages: Option<Vec<wire::Message>>,
) -> Result<Conversation> {
    let mut out = Conversation::default();
    if let Some(system) = system {
        out.instructions(system, "system")?;
    }
    let messages =
        messages.ok_or_else(|| Error::invalid("messages", "expected a list of messages"))?;
    if messages.is_empty() {
        return Err(Error::invalid("messages", "expected at least one message"));
    }
    for (at, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{at}].content");
        match message.role {
            wire::Role::System => {
                out.is_irregular = true;
                out.instructions(message.content, &path)?;
            }
            wire::Role::User => out.user(message.content, &path)?,
            wire::Role::Assistant => out.assistant(message.content, &path)?,
        }
    }
    Ok(out)
}

/// Blocks with their paths; a string is a block of text.
fn blocks(content: Content, path: &str) -> Vec<(String, Block)> {
    match content {
        Content::Text(text) => vec![(path.to_owned(), Block::of_text(text))],
        Content::Blocks(blocks) => {
            let paths = (0..).map(|at: usize| format!("{path}[{at}]"));
            paths.zip(blocks).collect()
        }
    }
}

impl Conversation {
    fn instructions(&mut self, content: Content, path: &str) -> Result<()> {
        let mut parts = Vec::new();
        for (path, block) in blocks(content, path) {
            if block.r#type != "text" {
                let told = "instructions take text blocks only";
                return Err(Error::invalid(format!("{path}.type"), told));
            }
            let part = block.text(&path)?;
            if !matches!(&part, Part::Text { text, .. } if text.trim_start().starts_with(BILLING)) {
                parts.push(part);
            }
        }
        self.push(Role::System, parts);
        Ok(())
    }

    fn user(&mut self, content: Content, path: &str) -> Result<()> {
        let mut parts = Vec::new();
        for (path, block) in blocks(content, path) {
            match block.r#type.as_str() {
                "tool_result" => self.tool_result(block, &path)?,
                "tool_use" | "thinking" | "redacted_thinking" | "server_tool_use" => {
                    let told = format!("{} belongs to the assistant", block.r#type);
                    return Err(Error::invalid(format!("{path}.type"), told));
                }
                _ => self.put(block, path, &mut parts)?,
            }
        }
        self.push(Role::User, parts);
        Ok(())
    }

    /// A block that people and tools send alike.
    fn put(&mut self, block: Block, path: String, parts: &mut Vec<Part>) -> Result<()> {
        match block.r#type.as_str() {
            "text" => {
                let part = block.text(&path)?;
                self.is_irregular |= matches!(&part, Part::Text { text, .. } if text.is_empty());
                parts.push(part);
            }
            "image" => parts.push(block.image(&path)?),
            "document" => block.document(&path, parts)?,
            "search_result" => parts.push(block.search_result(&path)?),
            // container_upload, tool_reference, and types to come
            _ => {
                self.only_native.get_or_insert(path);
            }
        }
        Ok(())
    }

    fn tool_result(&mut self, block: Block, path: &str) -> Result<()> {
        let call_id = present(block.tool_use_id, path, "tool_use_id")?;
        let inner = format!("{path}.content");
        let mut content = Vec::new();
        if let Some(raw) = block.content {
            for (path, block) in blocks(nested(&raw, &inner)?, &inner) {
                self.put(block, path, &mut content)?;
            }
        }
        let result = Part::ToolResult {
            call_id,
            content,
            is_error: block.is_error == Some(true),
            cache: cache_mark(block.cache_control),
        };
        self.push(Role::Tool, vec![result]);
        Ok(())
    }

    fn assistant(&mut self, content: Content, path: &str) -> Result<()> {
        let mut parts = Vec::new();
        for (path, block) in blocks(content, path) {
            match block.r#type.as_str() {
                "text" => {
                    self.is_irregular |= block.text.as_deref() == Some("") || block.cites_own();
                    parts.push(block.text(&path)?);
                }
                "thinking" => {
                    let text = present(block.thinking, &path, "thinking")?;
                    let (detail, is_native) = foreign::thinking(text, block.signature);
                    self.is_irregular |= !is_native;
                    parts.push(Part::Reasoning(detail));
                }
                "redacted_thinking" => {
                    let data = present(block.data, &path, "data")?;
                    let (detail, is_native) = foreign::redacted(data);
                    self.is_irregular |= !is_native;
                    parts.push(Part::Reasoning(detail));
                }
                "tool_use" => self.tool_use(block, &path, &mut parts)?,
                "server_tool_use" | "mcp_tool_use" => self.server_tool(block),
                kind if kind.ends_with("_tool_result") => {
                    let detail = self.server_tool_result(block);
                    parts.push(Part::Reasoning(detail));
                }
                "image" => {
                    // Only this gateway tells images in an answer.
                    self.is_irregular = true;
                    parts.push(block.image(&path)?);
                }
                _ => {
                    self.only_native.get_or_insert(path);
                }
            }
        }
        for (_, kind) in std::mem::take(&mut self.server_tools) {
            parts.push(Part::Reasoning(note(kind)));
        }
        self.push(Role::Assistant, parts);
        Ok(())
    }

    fn tool_use(&mut self, block: Block, path: &str, parts: &mut Vec<Part>) -> Result<()> {
        let id = present(block.id, path, "id")?;
        let name = present(block.name.filter(|name| !name.is_empty()), path, "name")?;
        let input = present(block.input, path, "input")?;
        if !input.get().starts_with('{') {
            let told = "expected the arguments as an object";
            return Err(Error::invalid(format!("{path}.input"), told));
        }
        // P69: providers whose ids are unique within an answer only, or have other characters.
        self.is_irregular |= native_id(&id, 1) != id || !self.ids.insert(id.clone());
        // A call has no mark of its own here: what comes before it is cached at least.
        if let (
            Some(mark),
            Some(Part::Text { cache, .. } | Part::Image { cache, .. } | Part::File { cache, .. }),
        ) = (cache_mark(block.cache_control), parts.last_mut())
        {
            cache.get_or_insert(mark);
        }
        parts.push(Part::ToolCall {
            id,
            name,
            arguments: input.get().to_owned(),
        });
        Ok(())
    }

    fn server_tool(&mut self, block: Block) {
        // Anthropic never sees what it did not run.
        self.is_irregular |= block.id.as_deref().is_some_and(server_tools::is_own);
        let arguments = block
            .input
            .and_then(|input| crate::json::from_str(input.get()).ok());
        let kind = ReasoningKind::ServerToolCall {
            tool_name: block.name.unwrap_or_default(),
            arguments,
            result: None,
        };
        self.server_tools.push((block.id.unwrap_or_default(), kind));
    }

    fn server_tool_result(&mut self, block: Block) -> ReasoningDetail {
        let found: Option<Value> = block
            .content
            .and_then(|content| crate::json::from_str(content.get()).ok());
        let of = block.tool_use_id.unwrap_or_default();
        let at = self.server_tools.iter().position(|(id, _)| *id == of);
        let call = at.map(|at| self.server_tools.remove(at).1);
        let (tool_name, arguments) = match call {
            Some(ReasoningKind::ServerToolCall {
                tool_name,
                arguments,
                ..
            }) => (tool_name, arguments),
            _ => (
                block.r#type.trim_end_matches("_tool_result").to_owned(),
                None,
            ),
        };
        note(ReasoningKind::ServerToolCall {
            tool_name,
            arguments,
            result: found,
        })
    }

    fn push(&mut self, role: Role, parts: Vec<Part>) {
        if !parts.is_empty() {
            self.messages.push(Message {
                role,
                name: None,
                parts,
            });
        }
    }
}

/// What a server tool did; no provider is told.
fn note(kind: ReasoningKind) -> ReasoningDetail {
    ReasoningDetail {
        kind,
        format: ReasoningFormat::AnthropicClaude,
        id: None,
        index: None,
    }
}

fn nested(raw: &RawValue, path: &str) -> Result<Content> {
    if raw.get() == "null" {
        return Ok(Content::Blocks(Vec::new()));
    }
    crate::json::from_str(raw.get()).map_err(|error| {
        let message = error.to_string();
        let told = message.split(" at line ").next().unwrap_or_default();
        Error::invalid(path, told)
    })
}

fn present<T>(value: Option<T>, path: &str, field: &str) -> Result<T> {
    value.ok_or_else(|| {
        Error::invalid(
            format!("{path}.{field}"),
            format!("a block of this type needs {field}"),
        )
    })
}

impl Block {
    fn of_text(text: String) -> Self {
        Self {
            r#type: "text".to_owned(),
            text: Some(text),
            source: None,
            title: None,
            context: None,
            id: None,
            name: None,
            input: None,
            tool_use_id: None,
            content: None,
            is_error: None,
            thinking: None,
            signature: None,
            data: None,
            citations: None,
            cache_control: None,
        }
    }

    fn text(self, path: &str) -> Result<Part> {
        Ok(Part::Text {
            text: present(self.text, path, "text")?,
            cache: cache_mark(self.cache_control),
        })
    }

    /// Whether it cites a source that the gateway found: Anthropic knows its own alone.
    fn cites_own(&self) -> bool {
        let citations = self.citations.as_ref().and_then(Value::as_array);
        citations
            .into_iter()
            .flatten()
            .any(|citation| citation.get("encrypted_index").and_then(Value::as_str) == Some(""))
    }

    fn image(self, path: &str) -> Result<Part> {
        let source = format!("{path}.source");
        let media = match present(self.source, path, "source")? {
            Source::Media(media) => media.media(&source, "image/png")?,
            Source::Address(_) => return Err(Error::invalid(source, "expected an object")),
        };
        Ok(Part::Image {
            media,
            detail: None,
            cache: cache_mark(self.cache_control),
        })
    }

    /// PDF stays a file; text goes into the conversation, where every model can read it.
    fn document(self, path: &str, parts: &mut Vec<Part>) -> Result<()> {
        let source_path = format!("{path}.source");
        let cache = cache_mark(self.cache_control);
        let Source::Media(mut source) = present(self.source, path, "source")? else {
            return Err(Error::invalid(source_path, "expected an object"));
        };
        let title = self.title.filter(|title| !title.is_empty());
        let context = self.context.as_deref();
        match source.r#type.as_str() {
            "text" => {
                let text = present(source.data.take(), &source_path, "data")?;
                let text = framed("document", title.as_deref(), None, context, &text);
                parts.push(Part::Text { text, cache });
            }
            "content" => {
                let path = format!("{source_path}.content");
                let content = present(source.content.take(), &source_path, "content")?;
                let mut words = String::new();
                let mut images = Vec::new();
                for (path, block) in blocks(*content, &path) {
                    match block.r#type.as_str() {
                        "image" => images.push(block.image(&path)?),
                        _ => {
                            words.push_str(&present(block.text, &path, "text")?);
                            words.push('\n');
                        }
                    }
                }
                let text = framed(
                    "document",
                    title.as_deref(),
                    None,
                    context,
                    words.trim_end(),
                );
                parts.push(Part::Text { text, cache });
                parts.extend(images);
            }
            _ => parts.push(Part::File {
                filename: title,
                media: source.media(&source_path, "application/pdf")?,
                cache,
            }),
        }
        Ok(())
    }

    fn search_result(self, path: &str) -> Result<Part> {
        let content = present(self.content, path, "content")?;
        let inner = format!("{path}.content");
        let mut words = String::new();
        for (path, block) in blocks(nested(&content, &inner)?, &inner) {
            words.push_str(&present(block.text, &path, "text")?);
            words.push('\n');
        }
        let source = match self.source {
            Some(Source::Address(source)) => Some(source),
            _ => None,
        };
        let (title, source) = (self.title.as_deref(), source.as_deref());
        Ok(Part::Text {
            text: framed("search_result", title, source, None, words.trim_end()),
            cache: cache_mark(self.cache_control),
        })
    }
}

/// Text with what it is around it.
fn framed(
    kind: &str,
    title: Option<&str>,
    source: Option<&str>,
    context: Option<&str>,
    text: &str,
) -> String {
    let attribute = |name: &str, value: Option<&str>| {
        let value = value.filter(|value| !value.is_empty());
        value.map_or(Cow::Borrowed(""), |value| {
            format!(" {name}=\"{}\"", value.replace('"', "'")).into()
        })
    };
    format!(
        "<{kind}{}{}{}>\n{text}\n</{kind}>",
        attribute("title", title),
        attribute("source", source),
        attribute("context", context),
    )
}

impl wire::SourceObject {
    fn media(self, path: &str, usual: &str) -> Result<Media> {
        let at = |error| under(error, path);
        match self.r#type.as_str() {
            "base64" => Ok(Media::Inline {
                mime: self.media_type.unwrap_or_else(|| usual.to_owned()),
                data: present(self.data, path, "data")?,
            }),
            "url" => {
                let url = present(self.url, path, "url")?;
                let is_address = ["https://", "http://", "gs://"]
                    .iter()
                    .any(|scheme| url.starts_with(scheme));
                if !is_address {
                    return Err(at(Error::invalid("url", "expected an https: address")));
                }
                Ok(Media::Url(url))
            }
            "file" => Ok(Media::FileId(present(self.file_id, path, "file_id")?)),
            other => {
                let told = format!("{other:?} is not a source of this block");
                Err(at(Error::invalid("type", told)))
            }
        }
    }
}
