//! A client's own body, where it speaks Responses too: its items go on as the bytes they were.
//!
//! Only reasoning items are opened: what another provider sealed would be refused, and what nobody sealed means nothing to a
//! provider that stores nothing (P87).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{client::is_sealed, input::Rules};
use crate::{
    chat::{ChatRequest, ReasoningFormat, ServerToolKind},
    dialects::{
        Inbound, Surface, Target,
        splice::{Fields, ObjectWriter, put_array},
    },
    error::{Error, Result},
};

/// Fields that the gateway writes itself, or that no host sees.
const OWN: [&str; 43] = [
    "model",
    "input",
    "stream",
    "stream_options",
    "store",
    "background",
    "conversation",
    "previous_response_id",
    "prompt",
    "include",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "max_output_tokens",
    "stop",
    "text",
    "reasoning",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
    "top_logprobs",
    "models",
    "provider",
    "plugins",
    "route",
    "preset",
    "session_id",
    "metadata",
    "trace",
    "debug",
    "cache_control",
    "max_cost",
    "max_tool_calls",
    "stop_server_tools_when",
    "deferred_tools",
    "image_config",
    "modalities",
];
/// Fields for hosts that have OpenAI's cache.
pub(super) const CACHE: [&str; 2] = ["prompt_cache_options", "prompt_cache_retention"];

/// The client's own fields, where this target can be given them.
///
/// # Errors
/// When the client sent what only its own bytes say, together with what these hosts do not take.
pub(super) fn fields<'a>(inbound: &Inbound<'a>) -> Result<Option<Fields<'a>>> {
    let request: &ChatRequest = inbound.request;
    let is_fit = !request.has_extensions && request.server_tools.is_empty();
    let raw = inbound.raw_of(Surface::Responses).filter(|_| is_fit);
    if let (None, Some(path)) = (raw, &request.only_native) {
        let told = "this goes only to hosts of Responses, and the rest of the request does not";
        return Err(Error::invalid(path.clone(), told));
    }
    raw.map(|raw| {
        Fields::of_read(raw).map_err(|error| {
            Error::internal(format!("the client's body cannot be read again: {error}"))
        })
    })
    .transpose()
}

/// Is this field's meaning unknown to the gateway? Then it goes on.
pub(super) fn is_unknown(key: &str) -> bool {
    !OWN.contains(&key) && !CACHE.contains(&key)
}

/// The client's tools but a search, which was not asked of the host: what the gateway did not read, it cannot charge.
pub(super) fn without_search(tools: &str) -> Cow<'_, str> {
    let is_kept = |tool: &&RawValue| {
        let tool: Value = crate::json::from_str(tool.get()).unwrap_or_default();
        let kind = tool.get("type").and_then(Value::as_str);
        kind.and_then(ServerToolKind::parse) != Some(ServerToolKind::WebSearch)
    };
    let all: Vec<&RawValue> = match crate::json::from_str(tools) {
        Ok(all) if tools.contains("web_search") => all,
        _ => return Cow::Borrowed(tools),
    };
    let mut out = Vec::with_capacity(tools.len());
    put_array(&mut out, all.into_iter().filter(is_kept), |out, tool| {
        out.extend_from_slice(tool.get().as_bytes());
    });
    String::from_utf8(out).map_or(Cow::Borrowed(tools), Cow::Owned)
}

/// Appends the client's input.
pub(super) fn put_input(out: &mut Vec<u8>, input: &str, target: &Target<'_>) -> Result<()> {
    if !input.starts_with('[') || !input.contains("\"reasoning\"") {
        out.extend_from_slice(input.as_bytes());
        return Ok(());
    }
    let rules = Rules::of(target);
    let items: Vec<&RawValue> = crate::json::from_str(input)
        .map_err(|error| Error::internal(format!("items cannot be read again: {error}")))?;
    let items = items.into_iter().filter_map(|item| fit(item.get(), &rules));
    put_array(out, items, |out, item| {
        out.extend_from_slice(item.as_bytes())
    });
    Ok(())
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    encrypted_content: Option<Cow<'a, str>>,
    format: Option<ReasoningFormat>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// The item as this target takes it, if it does.
fn fit<'a>(json: &'a str, rules: &Rules) -> Option<Cow<'a, str>> {
    let whole = Some(Cow::Borrowed(json));
    let Ok(item) = crate::json::from_str::<Item<'a>>(json) else {
        return whole;
    };
    if item.kind.as_deref() != Some("reasoning") {
        return whole;
    }
    let sealed = item
        .encrypted_content
        .as_deref()
        .filter(|data| !data.is_empty());
    let format = item
        .format
        .clone()
        .unwrap_or(ReasoningFormat::OpenaiResponses);
    let goes_back = match sealed {
        Some(data) => !is_sealed(data) && rules.opens(&format),
        None => rules.takes_words() && item.content.is_some(),
    };
    if !goes_back {
        return None;
    }
    if item.format.is_none() {
        return whole;
    }
    // The gateway's own label.
    let fields = Fields::parse(json.as_bytes()).ok()?;
    let mut out = Vec::with_capacity(json.len());
    let mut object = ObjectWriter::new(&mut out);
    for (key, value) in fields.0.iter().filter(|(key, _)| key != "format") {
        object.raw(key, value.get());
    }
    object.end();
    String::from_utf8(out).ok().map(Cow::Owned)
}
