//! Canonical messages → native messages, and the text documents among them.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use serde_json::{Value, json};

use crate::{
    chat::{
        ChatRequest, Media, Message, Part, ReasoningDetail, ReasoningFormat, ReasoningKind, Role,
    },
    dialects::splice::{ObjectWriter, put, put_array},
    error::{Error, Next, Result},
};

/// A text that answers may cite.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    title: Option<String>,
    text: String,
}

impl Document {
    /// The native form; `at` is its place among the documents.
    pub(super) fn put(&self, out: &mut Vec<u8>, at: usize) {
        let mut object = ObjectWriter::new(out);
        object.field("id", &format!("doc:{at}"));
        let mut data = ObjectWriter::new(object.key("data"));
        data.optional("title", self.title.as_deref());
        data.field("text", &self.text);
        data.end();
        object.end();
    }
}

/// How messages are written for one endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Earlier thinking goes back.
    pub(super) thinks: bool,
    /// Text files become documents; elsewhere they are parts of the text.
    pub(super) documents: bool,
}

/// Appends the list of messages; the documents in them are added to `documents`.
///
/// # Errors
/// When a message cannot be said, with its path.
pub(super) fn put_messages(
    out: &mut Vec<u8>,
    request: &ChatRequest,
    rules: Rules,
    documents: &mut Vec<Document>,
) -> Result<()> {
    let mut failure = None;
    // P97: an answer of nothing is refused, and says nothing.
    let said = request.messages.iter().enumerate().filter(|(_, message)| {
        message.role != Role::Assistant || message.parts.iter().any(|part| !is_empty(part))
    });
    put_array(out, said, |out, (at, message)| {
        if let Err(mut error) = put_message(out, message, rules, documents) {
            let inner = error.param.take().unwrap_or_default();
            error.param = Some(format!("messages[{at}].{inner}"));
            // Another host of the model may take it.
            error.next = Next::NextAttempt;
            failure.get_or_insert(error);
        }
    });
    failure.map_or(Ok(()), Err)
}

fn is_empty(part: &Part) -> bool {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => text.is_empty(),
        Part::Reasoning(_) => true,
        _ => false,
    }
}

fn put_message(
    out: &mut Vec<u8>,
    message: &Message,
    rules: Rules,
    documents: &mut Vec<Document>,
) -> Result<()> {
    let mut object = ObjectWriter::new(out);
    match message.role {
        Role::System | Role::Developer => {
            object.field("role", "system");
            let content = contents(&message.parts, rules, &mut Vec::new())?;
            put_content(object.key("content"), &content);
        }
        Role::User => {
            object.field("role", "user");
            let mut own = Vec::new();
            let mut content = contents(&message.named_parts(), rules, &mut own)?;
            if content.is_empty() {
                // A message has to say something.
                content.extend(own.drain(..).map(|document| text_part(&document.text)));
            }
            put_content(object.key("content"), &content);
            documents.append(&mut own);
        }
        Role::Assistant => put_assistant(&mut object, message, rules),
        Role::Tool => put_result(&mut object, message)?,
    }
    object.end();
    Ok(())
}

fn put_content(out: &mut Vec<u8>, content: &[Value]) {
    match content {
        [] => put(out, ""),
        [one] if one.get("type") == Some(&json!("text")) => {
            put(out, one.get("text").unwrap_or(&Value::Null));
        }
        parts => put(out, parts),
    }
}

fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn contents(parts: &[Part], rules: Rules, documents: &mut Vec<Document>) -> Result<Vec<Value>> {
    let mut content = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => content.push(text_part(text)),
            Part::Image { media, detail, .. } => {
                content.push(image(media, detail.as_deref(), at)?);
            }
            Part::File {
                filename, media, ..
            } => file(
                filename.as_deref(),
                media,
                rules,
                at,
                &mut content,
                documents,
            )?,
            Part::Audio { .. } => return Err(refused(at, "input_audio", "sound")),
            Part::Video { .. } => return Err(refused(at, "video_url", "film")),
            Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Reasoning(_) => {}
        }
    }
    Ok(content)
}

fn refused(at: usize, field: &str, what: &str) -> Error {
    let path = format!("content[{at}].{field}");
    Error::invalid(path, format!("this model does not take {what}"))
}

fn image(media: &Media, detail: Option<&str>, at: usize) -> Result<Value> {
    let url = match media {
        Media::Inline { mime, data } => format!("data:{mime};base64,{data}"),
        Media::Url(url) => url.clone(),
        Media::FileId(_) => return Err(refused(at, "image_url.url", "references to files")),
    };
    let mut image = json!({"url": url});
    if let (Some(detail), Some(object)) = (detail, image.as_object_mut()) {
        object.insert("detail".into(), json!(detail));
    }
    Ok(json!({"type": "image_url", "image_url": image}))
}

/// A text file is a document or text, an image is an image; nothing else is read.
fn file(
    filename: Option<&str>,
    media: &Media,
    rules: Rules,
    at: usize,
    content: &mut Vec<Value>,
    documents: &mut Vec<Document>,
) -> Result<()> {
    let Media::Inline { mime, data } = media else {
        return Err(refused(at, "file.file_data", "references to documents"));
    };
    let essence = mime.split(';').next().unwrap_or_default().trim();
    if essence.starts_with("image/") {
        content.push(image(media, None, at)?);
        return Ok(());
    }
    if !essence.starts_with("text/") && essence != "application/json" {
        let what = format!("{essence} documents");
        return Err(refused(at, "file.file_data", &what));
    }
    let bytes = BASE64.decode(data.trim()).ok();
    let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        let path = format!("content[{at}].file.file_data");
        return Err(Error::invalid(path, "expected base64 of text in UTF-8"));
    };
    if rules.documents {
        documents.push(Document {
            title: filename.map(str::to_owned),
            text,
        });
    } else {
        content.push(text_part(&text));
    }
    Ok(())
}

fn put_assistant(object: &mut ObjectWriter<'_>, message: &Message, rules: Rules) {
    object.field("role", "assistant");
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    let mut content = Vec::new();
    for part in &message.parts {
        match part {
            Part::Reasoning(detail) if rules.thinks => {
                content.extend(
                    own_thinking(detail)
                        .map(|words| json!({"type": "thinking", "thinking": words})),
                );
            }
            Part::Text { text, .. } | Part::Refusal(text) if !text.is_empty() => {
                texts.push(text.as_str());
            }
            Part::ToolCall {
                id,
                name,
                arguments,
            } => calls.push((id, name, arguments)),
            _ => {}
        }
    }
    if calls.is_empty() {
        content.extend(texts.into_iter().map(text_part));
        put_content(object.key("content"), &content);
        return;
    }
    if !content.is_empty() {
        object.field("content", &content);
    }
    // Text beside calls is what the model meant to do with its tools.
    if !texts.is_empty() {
        object.field("tool_plan", &texts.join("\n"));
    }
    put_array(
        object.key("tool_calls"),
        calls,
        |out, (id, name, arguments)| {
            // P56
            let arguments = if arguments.trim().is_empty() {
                "{}"
            } else {
                arguments
            };
            let function = json!({"name": name, "arguments": arguments});
            put(
                out,
                &json!({"id": id, "type": "function", "function": function}),
            );
        },
    );
}

/// Thinking in plain words; what another vendor signed stays away (P87).
fn own_thinking(detail: &ReasoningDetail) -> Option<&str> {
    match &detail.kind {
        ReasoningKind::Text {
            text: Some(text),
            signature: None,
        } if detail.format == ReasoningFormat::Unknown && !text.is_empty() => Some(text),
        _ => None,
    }
}

fn put_result(object: &mut ObjectWriter<'_>, message: &Message) -> Result<()> {
    let Some(Part::ToolResult {
        call_id, content, ..
    }) = message.parts.first()
    else {
        return Err(Error::invalid("content", "expected the result of a tool"));
    };
    let mut texts = Vec::with_capacity(content.len());
    for (at, part) in content.iter().enumerate() {
        match part {
            Part::Text { text, .. } => texts.push(text.as_str()),
            _ => return Err(refused(at, "type", "results of tools other than text")),
        }
    }
    object.field("role", "tool");
    object.field("tool_call_id", call_id);
    object.field("content", &texts.join("\n"));
    Ok(())
}
