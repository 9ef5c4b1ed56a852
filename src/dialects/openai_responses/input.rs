//! The conversation as input items.
//!
//! A message of the model's is several items: reasoning, words and calls, in their order. Reasoning goes back only where it can
//! be verified: sealed for this very host, or in plain words where the endpoint takes those (P87, P88).

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::{
    catalog::{Quirk, ReasoningHistory},
    chat::{
        ChatRequest, Media, Message, Part, ReasoningDetail, ReasoningFormat, ReasoningKind, Role,
    },
    dialects::{
        Target,
        cache_control::Marks,
        splice::{ObjectWriter, put, put_array},
    },
    error::{Error, Next, Result},
};

/// The most characters of a call's id.
const MAX_CALL_ID: usize = 64;
/// What is said of an image that an earlier answer showed.
const SHOWN: &str = "Shown with the answer above:";

/// What a target wants of items.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    developer_role: bool,
    /// Whose sealed reasoning it opens.
    format: ReasoningFormat,
    /// It takes reasoning in plain words.
    takes_words: bool,
    marks: Marks,
}

impl Rules {
    /// For a target.
    pub(super) fn of(target: &Target<'_>) -> Self {
        let history = target
            .endpoint
            .reasoning
            .as_ref()
            .and_then(|reasoning| reasoning.history);
        Self {
            developer_role: target.provider.has(Quirk::DeveloperRole),
            format: Quirk::reasoning_items(&target.provider.quirks),
            takes_words: history == Some(ReasoningHistory::ReasoningContent),
            marks: Marks::of(target),
        }
    }

    /// Does it take reasoning in plain words?
    pub(super) fn takes_words(&self) -> bool {
        self.takes_words
    }

    /// Does sealed reasoning of this form go back to the target?
    pub(super) fn opens(&self, format: &ReasoningFormat) -> bool {
        *format == self.format
    }
}

/// Appends the list of items.
///
/// # Errors
/// When a message cannot be said to this target, with its path.
pub(super) fn put_input(
    out: &mut Vec<u8>,
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<()> {
    let rules = Rules::of(target);
    let mut items = Items {
        out,
        is_empty: true,
    };
    items.out.push(b'[');
    for (at, message) in request.messages.iter().enumerate() {
        put_message(&mut items, message, &rules).map_err(|error| {
            let inner = error.param.unwrap_or_default();
            let mut error = Error::invalid(format!("messages[{at}].{inner}"), error.message);
            // Another host of the model may take it.
            error.next = Next::NextAttempt;
            error
        })?;
    }
    items.out.push(b']');
    Ok(())
}

/// A list that is written item by item.
struct Items<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl Items<'_> {
    fn item(&mut self) -> ObjectWriter<'_> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        ObjectWriter::new(self.out)
    }
}

fn put_message(items: &mut Items<'_>, message: &Message, rules: &Rules) -> Result<()> {
    let role = match message.role {
        Role::Developer if rules.developer_role => "developer",
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => return put_assistant(items, message, rules),
        Role::Tool => return put_result(items, message, rules.marks),
    };
    let mut item = items.item();
    item.field("role", role);
    let parts = message.named_parts();
    let result = match parts.as_ref() {
        [Part::Text { text, cache }] if !rules.marks.say(*cache) => {
            item.field("content", text);
            Ok(())
        }
        parts => put_parts(item.key("content"), parts, "content", rules.marks),
    };
    item.end();
    result
}

/// Content parts of somebody else's than the model.
fn put_parts(out: &mut Vec<u8>, parts: &[Part], path: &str, marks: Marks) -> Result<()> {
    let mut failure = None;
    put_array(out, parts.iter().enumerate(), |out, (at, part)| {
        if let Err(error) = put_part(out, part, marks) {
            let inner = error.param.clone().unwrap_or_default();
            failure.get_or_insert(Error::invalid(
                format!("{path}[{at}].{inner}"),
                error.message,
            ));
        }
    });
    failure.map_or(Ok(()), Err)
}

fn put_part(out: &mut Vec<u8>, part: &Part, marks: Marks) -> Result<()> {
    let mut object = ObjectWriter::new(out);
    let mut result = Ok(());
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => {
            object.field("type", "input_text");
            object.field("text", text);
        }
        Part::Image { media, detail, .. } => {
            object.field("type", "input_image");
            match media {
                Media::FileId(id) => object.field("file_id", id),
                media => put_url(object.key("image_url"), media),
            }
            object.field("detail", detail.as_deref().unwrap_or("auto"));
        }
        Part::File {
            filename, media, ..
        } => {
            object.field("type", "input_file");
            match media {
                Media::FileId(id) => object.field("file_id", id),
                Media::Url(url) => object.field("file_url", url),
                media @ Media::Inline { .. } => {
                    // OpenAI wants a name beside data.
                    object.field("filename", filename.as_deref().unwrap_or("document.pdf"));
                    put_url(object.key("file_data"), media);
                }
            }
        }
        Part::Audio { data, format } => {
            object.field("type", "input_audio");
            let mut audio = ObjectWriter::new(object.key("input_audio"));
            audio.field("data", data);
            audio.field("format", format);
            audio.end();
        }
        Part::Video { .. } => result = Err(Error::invalid("type", "this model takes no video")),
        // These are items of their own, never parts.
        Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Reasoning(_) => {
            object.field("type", "input_text");
            object.field("text", "");
        }
    }
    if let Some(mark) = part.cache() {
        marks.put(&mut object, mark);
    }
    object.end();
    result
}

fn put_url(out: &mut Vec<u8>, media: &Media) {
    match media {
        Media::Inline { mime, data } => put(out, &format!("data:{mime};base64,{data}")),
        Media::Url(url) | Media::FileId(url) => put(out, url),
    }
}

fn put_result(items: &mut Items<'_>, message: &Message, marks: Marks) -> Result<()> {
    let Some(Part::ToolResult {
        call_id, content, ..
    }) = message.parts.first()
    else {
        return Err(Error::invalid("content", "expected the result of a tool"));
    };
    let mut item = items.item();
    item.field("type", "function_call_output");
    item.field("call_id", &id_for(call_id));
    let result = match content.as_slice() {
        [] => {
            item.field("output", "");
            Ok(())
        }
        [Part::Text { text, cache }] if !marks.say(*cache) => {
            item.field("output", text);
            Ok(())
        }
        parts => put_parts(item.key("output"), parts, "content", marks),
    };
    item.end();
    result
}

fn put_assistant(items: &mut Items<'_>, message: &Message, rules: &Rules) -> Result<()> {
    let mut at = 0;
    let parts = &message.parts;
    while let Some(part) = parts.get(at) {
        let rest = parts.get(at..).unwrap_or_default();
        let run =
            |fits: fn(&Part) -> bool| rest.iter().take_while(|part| fits(part)).count().max(1);
        let length = match part {
            Part::Reasoning(detail) => {
                let same = |part: &&Part| matches!(part, Part::Reasoning(other) if is_same_item(detail, other));
                let length = rest.iter().take_while(same).count().max(1);
                let details = rest.iter().take(length).filter_map(|part| match part {
                    Part::Reasoning(detail) => Some(detail),
                    _ => None,
                });
                let details: Vec<&ReasoningDetail> = details.collect();
                put_reasoning(items, &details, rules);
                length
            }
            Part::Text { .. } | Part::Refusal(_) => {
                let length = run(|part| matches!(part, Part::Text { .. } | Part::Refusal(_)));
                put_words(items, rest.get(..length).unwrap_or_default());
                length
            }
            Part::ToolCall {
                id,
                name,
                arguments,
            } => {
                let mut item = items.item();
                item.field("type", "function_call");
                item.field("call_id", &id_for(id));
                item.field("name", name);
                // P56
                let is_empty = arguments.trim().is_empty();
                item.field("arguments", if is_empty { "{}" } else { arguments });
                item.end();
                1
            }
            // An image that another model made: these hosts know only those that they made themselves.
            Part::Image { .. } => {
                let mut item = items.item();
                item.field("role", "user");
                let shown = [Part::text(SHOWN), part.clone()];
                let result = put_parts(item.key("content"), &shown, "content", Marks::None);
                item.end();
                result?;
                1
            }
            _ => 1,
        };
        at += length;
    }
    Ok(())
}

/// One message of the model's words; empty text is none (P96).
fn put_words(items: &mut Items<'_>, parts: &[Part]) {
    let is_said = |part: &&Part| match part {
        Part::Text { text, .. } | Part::Refusal(text) => !text.is_empty(),
        _ => false,
    };
    let said: Vec<&Part> = parts.iter().filter(is_said).collect();
    if said.is_empty() {
        return;
    }
    let mut item = items.item();
    item.field("role", "assistant");
    if let [Part::Text { text, .. }] = said.as_slice() {
        item.field("content", text);
    } else {
        put_array(item.key("content"), said, |out, part| {
            let mut object = ObjectWriter::new(out);
            match part {
                Part::Refusal(refusal) => {
                    object.field("type", "refusal");
                    object.field("refusal", refusal);
                }
                Part::Text { text, .. } => {
                    object.field("type", "output_text");
                    object.field("text", text);
                }
                _ => {}
            }
            object.end();
        });
    }
    item.end();
}

/// Blocks of one reasoning item: those that share an id, or follow each other without one.
fn is_same_item(first: &ReasoningDetail, other: &ReasoningDetail) -> bool {
    first.id == other.id
}

fn put_reasoning(items: &mut Items<'_>, details: &[&ReasoningDetail], rules: &Rules) {
    let sealed = details.iter().find_map(|detail| match &detail.kind {
        ReasoningKind::Encrypted { data } if rules.opens(&detail.format) => Some(data),
        _ => None,
    });
    let words = details.iter().filter_map(|detail| match &detail.kind {
        ReasoningKind::Text {
            text: Some(text),
            signature: None,
        } if detail.format == ReasoningFormat::Unknown && !text.is_empty() => Some(text),
        _ => None,
    });
    let words: Vec<&String> = words.filter(|_| rules.takes_words).collect();
    if sealed.is_none() && words.is_empty() {
        return;
    }
    let summaries = details.iter().filter_map(|detail| match &detail.kind {
        ReasoningKind::Summary { summary } if rules.opens(&detail.format) => Some(summary),
        _ => None,
    });
    let mut item = items.item();
    item.field("type", "reasoning");
    let id = details.iter().find_map(|detail| detail.id.as_ref());
    item.optional("id", id);
    put_array(item.key("summary"), summaries, |out, text| {
        put_typed(out, "summary_text", text)
    });
    if !words.is_empty() {
        put_array(item.key("content"), words, |out, text| {
            put_typed(out, "reasoning_text", text)
        });
    }
    item.optional("encrypted_content", sealed);
    item.end();
}

fn put_typed(out: &mut Vec<u8>, kind: &str, text: &str) {
    let mut object = ObjectWriter::new(out);
    object.field("type", kind);
    object.field("text", text);
    object.end();
}

/// A call's id as these hosts take it: a long one becomes a short one, always the same (P69).
fn id_for(id: &str) -> Cow<'_, str> {
    if id.len() <= MAX_CALL_ID {
        return id.into();
    }
    let hash = Sha256::digest(id.as_bytes());
    let digits: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("call_{digits}").into()
}
