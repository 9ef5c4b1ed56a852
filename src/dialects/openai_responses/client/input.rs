//! Input items → canonical messages. What the model said in a row, reasoning, words and calls, is one message.
//!
//! Paths of errors are the client's own (`input[2].content[0].image_url`).

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{
    sealed, web_search,
    wire::{self, Item, TextOr},
};
use crate::{
    chat::{
        CacheMark, Media, Message, Part, ReasoningDetail, ReasoningFormat, ReasoningKind, Role,
    },
    dialects::cache_control::cache_mark,
    dialects::openai_chat::client::{media_url, under},
    dialects::openai_responses::namespace,
    error::{Error, Result},
};

/// Tools that ran at a provider: their items mean something to nobody else, and nothing is lost without them.
const RAN_ELSEWHERE: [&str; 5] = [
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "mcp_call",
    "mcp_list_tools",
];
/// Items without which the conversation is another one, and that only hosts of Responses read.
const ONLY_NATIVE: [&str; 5] = [
    "compaction",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "mcp_approval_request",
];

/// A conversation.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) messages: Vec<Message>,
    /// It has what hosts of Responses do not take.
    pub(super) has_extensions: bool,
    pub(super) only_native: Option<String>,
}

/// Reads the input and the instructions before it.
pub(super) fn read(
    input: Option<TextOr<Item>>,
    instructions: Option<String>,
) -> Result<Conversation> {
    let mut conversation = Conversation::default();
    if let Some(text) = instructions.filter(|text| !text.is_empty()) {
        conversation
            .messages
            .push(Message::text(Role::System, text));
    }
    match input {
        None => {
            return Err(Error::invalid(
                "input",
                "expected a string or a list of items",
            ));
        }
        Some(TextOr::Text(text)) => conversation.messages.push(Message::text(Role::User, text)),
        Some(TextOr::List(items)) if items.is_empty() => {
            return Err(Error::invalid("input", "expected at least one item"));
        }
        Some(TextOr::List(items)) => {
            for (at, item) in items.into_iter().enumerate() {
                let path = format!("input[{at}]");
                conversation
                    .item(item, &path)
                    .map_err(|error| under(error, &path))?;
            }
        }
    }
    Ok(conversation)
}

impl Conversation {
    fn item(&mut self, item: Item, path: &str) -> Result<()> {
        self.has_extensions |= item.cache_control.is_some();
        let kind = item.r#type.clone().unwrap_or_else(|| "message".to_owned());
        match kind.as_str() {
            "message" => self.message(item),
            "reasoning" => self.reasoning(item),
            "function_call" => self.call(item),
            "custom_tool_call" => {
                let input = item.input.ok_or_else(|| missing("input"))?;
                let arguments = json!({"input": input}).to_string();
                let name = item.name.ok_or_else(|| missing("name"))?;
                self.push(Part::ToolCall {
                    id: item.call_id.ok_or_else(|| missing("call_id"))?,
                    name: namespace::joined(item.namespace.as_deref(), &name),
                    arguments,
                });
                Ok(())
            }
            "function_call_output" | "custom_tool_call_output" => self.result(item),
            "image_generation_call" => {
                if let Some(Value::String(data)) = item.result {
                    let mime = format!("image/{}", item.output_format.as_deref().unwrap_or("png"));
                    let media = Media::Inline { mime, data };
                    self.push(Part::Image {
                        media,
                        detail: None,
                        cache: None,
                    });
                }
                Ok(())
            }
            kind if RAN_ELSEWHERE.contains(&kind) => {
                // No host knows what it did not run.
                self.has_extensions |= item.id.as_deref().is_some_and(web_search::is_own);
                Ok(())
            }
            // The gateway's own tools ran and are told again for their reader's sake alone.
            kind if kind.starts_with("openrouter:") => {
                self.has_extensions = true;
                Ok(())
            }
            kind if ONLY_NATIVE.contains(&kind) => {
                self.only_native.get_or_insert_with(|| path.to_owned());
                Ok(())
            }
            "item_reference" => Err(Error::invalid(
                "type",
                "nothing is stored here: send the item itself",
            )),
            kind => Err(Error::invalid(
                "type",
                format!("items of type {kind:?} are not supported"),
            )),
        }
    }

    fn message(&mut self, item: Item) -> Result<()> {
        let role = match item.role.ok_or_else(|| missing("role"))? {
            wire::Role::System => Role::System,
            wire::Role::Developer => Role::Developer,
            wire::Role::User => Role::User,
            wire::Role::Assistant => Role::Assistant,
        };
        let content = item.content.ok_or_else(|| missing("content"))?;
        let mut parts = self.parts(content, "content")?;
        let is_text = |part: &Part| matches!(part, Part::Text { .. });
        if matches!(role, Role::System | Role::Developer)
            && let Some(at) = parts.iter().position(|part| !is_text(part))
        {
            return Err(Error::invalid(
                format!("content[{at}].type"),
                "instructions take text parts only",
            ));
        }
        if let (Some(mark), Some(Part::Text { cache, .. })) =
            (cache_mark(item.cache_control), parts.last_mut())
        {
            *cache = Some(mark);
        }
        if role == Role::Assistant {
            for part in parts {
                self.push(part);
            }
        } else {
            self.messages.push(Message {
                role,
                name: None,
                parts,
            });
        }
        Ok(())
    }

    fn call(&mut self, item: Item) -> Result<()> {
        let arguments = match item.arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(_) => {
                return Err(Error::invalid(
                    "arguments",
                    "expected arguments as JSON text",
                ));
            }
        };
        // P56: models call functions without parameters with no text at all.
        if !arguments.trim().is_empty() && crate::json::from_str::<IgnoredAny>(&arguments).is_err()
        {
            return Err(Error::invalid(
                "arguments",
                "expected arguments as JSON text",
            ));
        }
        let name = item
            .name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| missing("name"))?;
        let name = namespace::joined(item.namespace.as_deref(), &name);
        let id = item.call_id.ok_or_else(|| missing("call_id"))?;
        self.push(Part::ToolCall {
            id,
            name,
            arguments,
        });
        Ok(())
    }

    fn result(&mut self, item: Item) -> Result<()> {
        let call_id = item.call_id.ok_or_else(|| missing("call_id"))?;
        let output = item.output.ok_or_else(|| missing("output"))?;
        let content = self.parts(output, "output")?;
        let cache = cache_mark(item.cache_control);
        let result = Part::ToolResult {
            call_id,
            content,
            is_error: false,
            cache,
        };
        self.messages.push(Message {
            role: Role::Tool,
            name: None,
            parts: vec![result],
        });
        Ok(())
    }

    fn reasoning(&mut self, item: Item) -> Result<()> {
        let Item {
            id,
            format,
            encrypted_content,
            summary,
            content,
            ..
        } = item;
        if let Some(field) = encrypted_content
            .as_deref()
            .filter(|field| sealed::is_sealed(field))
        {
            self.has_extensions = true;
            let told = "this was not sealed by this gateway, or it is damaged";
            let blocks =
                sealed::open(field).ok_or_else(|| Error::invalid("encrypted_content", told))?;
            for block in blocks {
                self.push(Part::Reasoning(block));
            }
            return Ok(());
        }
        let format = match format.as_deref() {
            None => ReasoningFormat::OpenaiResponses,
            Some(name) => crate::json::from_value(&name.into()).unwrap_or_default(),
        };
        let mut block = |kind, format: &ReasoningFormat| {
            let (format, id) = (format.clone(), id.clone());
            let index = None;
            self.push(Part::Reasoning(ReasoningDetail {
                kind,
                format,
                id,
                index,
            }));
        };
        for summary in summary.into_iter().flatten().filter_map(|part| part.text) {
            block(ReasoningKind::Summary { summary }, &format);
        }
        let thoughts = match content {
            Some(TextOr::List(parts)) => parts,
            _ => Vec::new(),
        };
        for text in thoughts.into_iter().filter_map(|part| part.text) {
            let kind = ReasoningKind::Text {
                text: Some(text),
                signature: None,
            };
            block(kind, &ReasoningFormat::Unknown);
        }
        if let Some(data) = encrypted_content.filter(|data| !data.is_empty()) {
            block(ReasoningKind::Encrypted { data }, &format);
        }
        Ok(())
    }

    /// Adds to what the model is saying.
    fn push(&mut self, part: Part) {
        match self.messages.last_mut() {
            Some(message) if message.role == Role::Assistant => message.parts.push(part),
            _ => self.messages.push(Message {
                role: Role::Assistant,
                name: None,
                parts: vec![part],
            }),
        }
    }

    fn parts(&mut self, content: TextOr<wire::Part>, field: &str) -> Result<Vec<Part>> {
        let parts = match content {
            TextOr::Text(text) => return Ok(vec![Part::text(text)]),
            TextOr::List(parts) => parts,
        };
        let mut read = Vec::with_capacity(parts.len());
        for (at, wire) in parts.into_iter().enumerate() {
            self.has_extensions |=
                wire.cache_control.is_some() || wire.video_url.is_some() || wire.r#type == "text";
            read.push(part(wire).map_err(|error| under(error, &format!("{field}[{at}]")))?);
        }
        Ok(read)
    }
}

fn part(wire: wire::Part) -> Result<Part> {
    let breakpoint = wire
        .prompt_cache_breakpoint
        .map(|_| CacheMark { ttl: None });
    let cache = cache_mark(wire.cache_control).or(breakpoint);
    Ok(match wire.r#type.as_str() {
        "input_text" | "output_text" | "text" => Part::Text {
            text: wire.text.ok_or_else(|| missing("text"))?,
            cache,
        },
        "refusal" => Part::Refusal(wire.refusal.ok_or_else(|| missing("refusal"))?),
        "input_image" => Part::Image {
            media: media(wire.image_url, wire.file_id, "image_url")?,
            detail: wire.detail,
            cache,
        },
        "input_file" => {
            let url = wire.file_data.map(|data| (data, "file_data"));
            let url = url.or(wire.file_url.map(|url| (url, "file_url")));
            let field = url.as_ref().map_or("file_data", |(_, field)| field);
            Part::File {
                filename: wire.filename,
                media: media(url.map(|(url, _)| url), wire.file_id, field)?,
                cache,
            }
        }
        "input_audio" => {
            let audio = wire.input_audio.ok_or_else(|| missing("input_audio"))?;
            Part::Audio {
                data: audio.data,
                format: audio.format,
            }
        }
        "input_video" => Part::Video {
            media: media(wire.video_url, None, "video_url")?,
        },
        kind => {
            return Err(Error::invalid(
                "type",
                format!("parts of type {kind:?} are not supported"),
            ));
        }
    })
}

fn media(url: Option<String>, file_id: Option<String>, field: &str) -> Result<Media> {
    match (url, file_id) {
        (Some(url), _) => media_url(&url).map_err(|told| Error::invalid(field, told)),
        (None, Some(id)) => Ok(Media::FileId(id)),
        (None, None) => Err(missing(field)),
    }
}

fn missing(field: &str) -> Error {
    Error::invalid(field, format!("an item of this type needs {field}"))
}
