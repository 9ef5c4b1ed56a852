//! Canonical messages → chat-completion messages, for hosts to which the client's own bytes cannot go.

use super::{
    client::put_reasoning,
    ids::{is_short, short_id},
    parts::put_part,
};
use crate::{
    catalog::{Quirk, ReasoningHistory},
    chat::{
        CacheMark, ChatRequest, Message, Part, ReasoningDetail, ReasoningFormat, ReasoningKind,
        Role, Tool,
    },
    dialects::{
        Target,
        cache_control::Marks,
        splice::{ObjectWriter, put, put_array},
    },
    error::{Error, Next, Result},
};

/// A call's id as this target takes it.
fn id_for(id: &str, rules: Rules) -> std::borrow::Cow<'_, str> {
    if takes_id(id, rules) {
        id.into()
    } else if rules.short_ids {
        short_id(id).into()
    } else {
        format!("call_{}", short_id(id)).into()
    }
}

fn takes_id(id: &str, rules: Rules) -> bool {
    (!rules.short_ids || is_short(id)) && (!rules.bounded_ids || id.len() <= MAX_CALL_ID)
}

/// The most characters of a call's id at OpenAI.
const MAX_CALL_ID: usize = 40;

/// What a target wants of messages.
#[derive(Debug, Clone, Copy)]
struct Rules {
    developer_role: bool,
    names: bool,
    string_content: bool,
    short_ids: bool,
    /// Ids are no longer than OpenAI's own.
    bounded_ids: bool,
    marks: Marks,
    /// What marks an assistant message at the end as the beginning of the answer.
    prefill_flag: Option<&'static str>,
    history: Option<ReasoningHistory>,
}

impl Rules {
    fn of(target: &Target<'_>) -> Self {
        let has = |quirk| target.provider.has(quirk);
        Self {
            developer_role: has(Quirk::DeveloperRole),
            names: !has(Quirk::NoNames),
            string_content: has(Quirk::StringContent),
            short_ids: has(Quirk::ShortToolCallIds),
            // Who knows OpenAI's own role is OpenAI, or a cloud that serves its models.
            bounded_ids: has(Quirk::DeveloperRole),
            marks: Marks::of(target),
            prefill_flag: if has(Quirk::PrefixFlag) {
                Some("prefix")
            } else {
                has(Quirk::PartialFlag).then_some("partial")
            },
            history: target
                .endpoint
                .reasoning
                .as_ref()
                .and_then(|reasoning| reasoning.history),
        }
    }
}

/// Can the client's own messages go to this target, byte for byte?
pub(super) fn are_fit(request: &ChatRequest, raw: &str, target: &Target<'_>) -> bool {
    let rules = Rules::of(target);
    let has_marks = request
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .any(|part| part.cache().is_some());
    if has_marks {
        // OpenAI has a mark of its own, `prompt_cache_breakpoint`; neither form may reach the hosts of the other.
        let (takes_own, takes_anthropics) = (
            target.provider.has(Quirk::PromptCacheKey),
            rules.marks == Marks::CacheControl,
        );
        if (!takes_own && raw.contains("\"prompt_cache_breakpoint\""))
            || (!takes_anthropics && raw.contains("\"cache_control\""))
        {
            return false;
        }
    }
    // String content cannot be told from a list of one text part once it is read.
    if request.has_extensions || rules.string_content {
        return false;
    }
    if rules.marks == Marks::CacheControl && request.cache_control.is_some() {
        return false;
    }
    let begins = request
        .messages
        .last()
        .is_some_and(|message| message.role == Role::Assistant);
    if begins && rules.prefill_flag.is_some() {
        return false;
    }
    request.messages.iter().all(|message| {
        let role_fits = message.role != Role::Developer || rules.developer_role;
        let name_fits = message.name.is_none() || rules.names;
        role_fits && name_fits && message.parts.iter().all(|part| is_fit(part, rules))
    })
}

fn is_fit(part: &Part, rules: Rules) -> bool {
    match part {
        // P56
        Part::ToolCall { id, arguments, .. } => !arguments.trim().is_empty() && takes_id(id, rules),
        Part::ToolResult {
            call_id, content, ..
        } => takes_id(call_id, rules) && content.iter().all(|part| is_fit(part, rules)),
        Part::Reasoning(_) => false,
        _ => true,
    }
}

/// Appends the list of messages.
///
/// # Errors
/// When a message cannot be said to this target, with its path.
pub(super) fn put_messages(
    out: &mut Vec<u8>,
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<()> {
    let rules = Rules::of(target);
    // A mark on the request as a whole is a mark on the last message that can carry one.
    let marked = request
        .cache_control
        .filter(|_| rules.marks == Marks::CacheControl)
        .and_then(|mark| {
            let at = request.messages.iter().rposition(can_be_marked)?;
            Some((at, mark))
        });
    let last = request.messages.len().saturating_sub(1);
    let mut failure = None;
    put_array(
        out,
        request.messages.iter().enumerate(),
        |out, (at, message)| {
            let rules = Rules {
                prefill_flag: rules.prefill_flag.filter(|_| at == last),
                ..rules
            };
            let mark = marked.filter(|(last, _)| *last == at).map(|(_, mark)| mark);
            if let Err(error) = put_message(out, message, mark, rules) {
                let inner = error.param.clone().unwrap_or_default();
                let path = format!("messages[{at}].{inner}");
                let mut error = Error::invalid(path, error.message);
                // Another host of the model may take it.
                error.next = Next::NextAttempt;
                failure.get_or_insert(error);
            }
        },
    );
    failure.map_or(Ok(()), Err)
}

fn can_be_marked(message: &Message) -> bool {
    message.role != Role::Assistant
        && message.parts.iter().any(|part| {
            matches!(part, Part::ToolResult { .. })
                || matches!(part, Part::Text { text, .. } if !text.is_empty())
        })
}

fn put_message(
    out: &mut Vec<u8>,
    message: &Message,
    mark: Option<CacheMark>,
    rules: Rules,
) -> Result<()> {
    let role = match message.role {
        Role::Developer if rules.developer_role => "developer",
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut object = ObjectWriter::new(out);
    object.field("role", role);
    object.optional("name", message.name.as_deref().filter(|_| rules.names));
    let result = match message.role {
        Role::Assistant => put_assistant(&mut object, message, rules),
        Role::Tool => put_result(&mut object, message, mark, rules),
        _ => {
            let parts: Vec<&Part> = message.parts.iter().collect();
            put_content(object.key("content"), &parts, mark, rules)
        }
    };
    object.end();
    result
}

fn put_result(
    object: &mut ObjectWriter<'_>,
    message: &Message,
    mark: Option<CacheMark>,
    rules: Rules,
) -> Result<()> {
    let Some(Part::ToolResult {
        call_id,
        content,
        cache,
        ..
    }) = message.parts.first()
    else {
        return Err(Error::invalid("content", "expected the result of a tool"));
    };
    object.field("tool_call_id", &id_for(call_id, rules));
    let parts: Vec<&Part> = content.iter().collect();
    put_content(object.key("content"), &parts, cache.or(mark), rules)
}

fn put_assistant(object: &mut ObjectWriter<'_>, message: &Message, rules: Rules) -> Result<()> {
    let calls = message
        .parts
        .iter()
        .filter(|part| matches!(part, Part::ToolCall { .. }));
    let calls: Vec<&Part> = calls.collect();
    let texts = message
        .parts
        .iter()
        .filter(|part| matches!(part, Part::Text { .. }));
    let texts: Vec<&Part> = texts.collect();
    if texts.is_empty() {
        // P96, P97: calls stand alone, and nothing at all is empty text.
        let nothing = if calls.is_empty() { Some("") } else { None };
        object.field("content", &nothing);
    } else {
        put_content(object.key("content"), &texts, None, rules)?;
    }
    if let Some(flag) = rules.prefill_flag
        && calls.is_empty()
    {
        object.field(flag, &true);
    }
    put_history(object, message, rules);
    for part in &message.parts {
        if let Part::Refusal(refusal) = part {
            object.field("refusal", refusal);
        }
    }
    if !calls.is_empty() {
        put_array(object.key("tool_calls"), calls, |out, part| {
            if let Part::ToolCall {
                id,
                name,
                arguments,
            } = part
            {
                put_call(out, &id_for(id, rules), name, arguments);
            }
        });
    }
    Ok(())
}

fn put_call(out: &mut Vec<u8>, id: &str, name: &str, arguments: &str) {
    let mut call = ObjectWriter::new(out);
    call.field("id", id);
    call.field("type", "function");
    let mut function = ObjectWriter::new(call.key("function"));
    function.field("name", name);
    // P56
    let is_empty = arguments.trim().is_empty();
    function.field("arguments", if is_empty { "{}" } else { arguments });
    function.end();
    call.end();
}

/// Earlier reasoning, in the field in which this target wants it back; elsewhere it is left out. A field of plain words takes
/// only plain words: what another vendor signed stays away (P87, P88).
fn put_history(object: &mut ObjectWriter<'_>, message: &Message, rules: Rules) {
    let Some(history) = rules.history else { return };
    let blocks = message.parts.iter().filter_map(|part| match part {
        Part::Reasoning(detail) => Some(detail),
        _ => None,
    });
    let key = match history {
        ReasoningHistory::ReasoningContent => "reasoning_content",
        ReasoningHistory::Reasoning => "reasoning",
        ReasoningHistory::ReasoningDetails => {
            let blocks: Vec<&ReasoningDetail> = blocks.collect();
            if !blocks.is_empty() {
                put_array(object.key("reasoning_details"), blocks, put_reasoning);
            }
            return;
        }
    };
    let words: String = blocks.filter_map(plain_words).collect();
    if !words.is_empty() {
        object.field(key, &words);
    }
}

fn plain_words(detail: &ReasoningDetail) -> Option<&str> {
    match &detail.kind {
        ReasoningKind::Text {
            text,
            signature: None,
        } if detail.format == ReasoningFormat::Unknown => text.as_deref(),
        _ => None,
    }
}

/// A string where one will do, else a list of parts.
fn put_content(
    out: &mut Vec<u8>,
    parts: &[&Part],
    mark: Option<CacheMark>,
    rules: Rules,
) -> Result<()> {
    if rules.string_content {
        let mut lines = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            let Part::Text { text, .. } = part else {
                let path = format!("content[{at}].type");
                return Err(Error::invalid(path, "this model takes text only"));
            };
            lines.push(text.as_str());
        }
        put(out, &lines.join("\n"));
        return Ok(());
    }
    if let [Part::Text { text, cache }] = parts
        && !rules.marks.say(cache.or(mark))
    {
        put(out, text);
        return Ok(());
    }
    let last = parts.len().saturating_sub(1);
    put_array(out, parts.iter().enumerate(), |out, (at, part)| {
        let cache = part.cache().or(mark.filter(|_| at == last));
        put_part(out, part, cache, rules.marks);
    });
    Ok(())
}

/// Appends the list of tools; with cache marks for `marked` hosts.
pub(super) fn put_tools(out: &mut Vec<u8>, tools: &[Tool], marked: bool) {
    put_array(out, tools, |out, tool| {
        let mut object = ObjectWriter::new(out);
        object.field("type", "function");
        let mut function = ObjectWriter::new(object.key("function"));
        function.field("name", &tool.name);
        function.optional("description", tool.description.as_deref());
        function.optional("parameters", tool.parameters.as_ref());
        // P78
        function.optional("strict", tool.strict.as_ref());
        function.end();
        if let Some(mark) = tool.cache.filter(|_| marked) {
            Marks::CacheControl.put(&mut object, mark);
        }
        object.end();
    });
}
