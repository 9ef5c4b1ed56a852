//! A client's chat-completions body → the canonical request, or a 400 that names the field.
//!
//! The body is parsed once, into typed fields. Only when that fails is it looked through a second time, for the path of the place
//! where the parser stopped (`json_path`): a right request pays nothing for good messages about wrong ones.
//! Out of scope: messages (`message`), routing preferences (`provider` is kept raw).

use serde_json::{Map, Number, Value, value::RawValue};

use super::{
    message,
    tools::{response_format, tool_choice, tools},
    wire,
};
use crate::{
    chat::{ChatRequest, Completion, Effort, Message, ReasoningRequest, Role, Sampling},
    dialects::{
        cache_control::cache_mark,
        json_path::{Found, path_at},
    },
    error::{Error, Result},
};

/// The most stop sequences.
const MAX_STOP: usize = 4;
/// The most characters of a session id.
const MAX_SESSION_ID: usize = 256;
/// The most pairs, and the most characters of a key and of a value, of `metadata`.
const MAX_METADATA: (usize, usize, usize) = (16, 64, 512);
/// The most characters of a parser's message: some quote the value that was wrong, however long it is.
const MAX_MESSAGE: usize = 300;

/// Reads a client's body.
///
/// # Errors
/// 400 with the path of the first field that is wrong, such as `messages[2].content[0].type`.
pub fn parse_request(raw: &[u8]) -> Result<ChatRequest> {
    let wire: wire::Request = crate::json::from_slice(raw).map_err(|error| explain(raw, &error))?;
    convert(wire)
}

/// Says where a body is wrong that could not be read.
pub(in crate::dialects) fn explain(raw: &[u8], error: &serde_json::Error) -> Error {
    if !error.is_data() || error.line() == 0 {
        let mut invalid = Error::invalid("", format!("The body is not valid JSON: {error}"));
        invalid.param = None;
        return invalid;
    }
    let mut message = error.to_string();
    // A position in the body helps nobody beside the path.
    if let Some(at) = message.rfind(" at line ") {
        message.truncate(at);
    }
    if let Some((start, _)) = message.char_indices().nth(MAX_MESSAGE) {
        message.truncate(start);
        message.push('…');
    }
    let found = match &message {
        text if text.starts_with("invalid type: sequence") => Found::List,
        text if text.starts_with("invalid type: map") => Found::Object,
        _ => Found::Other,
    };
    let mut path = path_at(raw, offset(raw, error), found);
    if let Some(field) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        let dot = if path.is_empty() { "" } else { "." };
        path = format!("{path}{dot}{field}");
    }
    if path.is_empty() {
        return Error::invalid("", format!("The body has to be a JSON object: {message}"));
    }
    Error::invalid(path, message)
}

/// Where the parser stopped.
fn offset(raw: &[u8], error: &serde_json::Error) -> usize {
    let before = raw.split_inclusive(|byte| *byte == b'\n');
    let lines = error.line().saturating_sub(1);
    before.take(lines).map(<[u8]>::len).sum::<usize>() + error.column()
}

/// Puts `prefix` before the path of an error found inside it.
pub(in crate::dialects) fn under(mut error: Error, prefix: &str) -> Error {
    error.param = Some(match error.param.as_deref() {
        None | Some("") => prefix.to_owned(),
        Some(inner) if inner.starts_with('[') => format!("{prefix}{inner}"),
        Some(inner) => format!("{prefix}.{inner}"),
    });
    error
}

fn convert(wire: wire::Request) -> Result<ChatRequest> {
    let (model, models) = models(wire.model, wire.models)?;
    let reasoning = reasoning(
        wire.reasoning,
        wire.reasoning_effort,
        wire.include_reasoning,
    )?;
    let sent = wire.messages.as_deref().unwrap_or_default();
    let has_extensions = sent.iter().any(wire::Message::has_extensions);
    let (tools, server_tools) = tools(wire.tools)?;
    Ok(ChatRequest {
        model,
        models,
        has_extensions,
        only_native: None,
        messages: messages(wire.messages, wire.prompt)?,
        stream: wire.stream.unwrap_or_default(),
        sampling: Sampling {
            temperature: within("temperature", wire.temperature, 0.0..=2.0)?,
            top_p: positive("top_p", wire.top_p, 1.0)?,
            top_k: wire.top_k,
            min_p: within("min_p", wire.min_p, 0.0..=1.0)?,
            top_a: within("top_a", wire.top_a, 0.0..=1.0)?,
            frequency_penalty: within("frequency_penalty", wire.frequency_penalty, -2.0..=2.0)?,
            presence_penalty: within("presence_penalty", wire.presence_penalty, -2.0..=2.0)?,
            repetition_penalty: positive("repetition_penalty", wire.repetition_penalty, 2.0)?,
            seed: wire.seed,
        },
        max_tokens: max_tokens(wire.max_completion_tokens, wire.max_tokens)?,
        stop: stop(wire.stop)?,
        tools,
        server_tools,
        tool_choice: tool_choice(wire.tool_choice)?,
        parallel_tool_calls: wire.parallel_tool_calls,
        response_format: response_format(wire.response_format)?,
        reasoning,
        cache_control: cache_mark(wire.cache_control),
        n: answers(wire.n)?,
        logprobs: wire.logprobs,
        top_logprobs: top_logprobs(wire.top_logprobs, wire.logprobs)?,
        logit_bias: logit_bias(wire.logit_bias)?,
        prediction: wire.prediction.filter(|value| !value.is_null()),
        modalities: modalities(wire.modalities),
        audio: wire.audio.map(Value::Object),
        web_search_options: wire.web_search_options.map(Value::Object),
        native_search: None,
        service_tier: wire.service_tier,
        verbosity: wire.verbosity.map(verbosity),
        user: wire.user,
        session_id: session_id(wire.session_id)?,
        prompt_cache_key: wire.prompt_cache_key,
        metadata: metadata(wire.metadata)?,
        provider: provider(wire.provider)?,
        max_cost: wire.max_cost,
        extra: wire.extra,
    })
}

/// `model` may list fallbacks behind commas; `models` adds to them.
pub(in crate::dialects) fn models(
    model: Option<String>,
    models: Option<Vec<String>>,
) -> Result<(String, Vec<String>)> {
    let mut names: Vec<String> = Vec::new();
    let listed = model.iter().flat_map(|model| model.split(','));
    for (at, name) in listed.enumerate() {
        if name.trim().is_empty() {
            return Err(Error::invalid(
                "model",
                format!("name {} of the list is empty", at + 1),
            ));
        }
        names.push(name.trim().to_owned());
    }
    for (at, name) in models.into_iter().flatten().enumerate() {
        if name.trim().is_empty() {
            return Err(Error::invalid(
                format!("models[{at}]"),
                "expected the name of a model",
            ));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut names = names.into_iter();
    let first = names
        .next()
        .ok_or_else(|| Error::invalid("model", "expected the name of a model"))?;
    Ok((first, names.collect()))
}

fn messages(messages: Option<Vec<wire::Message>>, prompt: Option<String>) -> Result<Vec<Message>> {
    match (messages, prompt) {
        (Some(messages), None) if messages.is_empty() => {
            Err(Error::invalid("messages", "expected at least one message"))
        }
        (Some(messages), None) => messages
            .into_iter()
            .enumerate()
            .map(|(at, message)| {
                message::convert(message).map_err(|error| under(error, &format!("messages[{at}]")))
            })
            .collect(),
        (None, Some(prompt)) => Ok(vec![Message::text(Role::User, prompt)]),
        (Some(_), Some(_)) => Err(Error::invalid(
            "prompt",
            "expected either messages or prompt, not both",
        )),
        (None, None) => Err(Error::invalid("messages", "expected a list of messages")),
    }
}

fn reasoning(
    object: Option<wire::Reasoning>,
    effort: Option<Effort>,
    include: Option<bool>,
) -> Result<Option<ReasoningRequest>> {
    if object.is_none() && effort.is_none() && include.is_none() {
        return Ok(None);
    }
    let object = object.unwrap_or_default();
    if let (Some(inner), Some(outer)) = (object.effort, effort)
        && inner != outer
    {
        return Err(Error::invalid(
            "reasoning_effort",
            "differs from reasoning.effort: send one of them",
        ));
    }
    if object.max_tokens.is_some() && (object.effort.or(effort)).is_some() {
        return Err(Error::invalid(
            "reasoning.max_tokens",
            "send either an effort or max_tokens",
        ));
    }
    Ok(Some(ReasoningRequest {
        effort: object.effort.or(effort),
        max_tokens: object.max_tokens,
        exclude: object.exclude.unwrap_or_default() || include == Some(false),
        enabled: object.enabled,
        summary: object.summary,
    }))
}

fn in_range(
    field: &str,
    value: Option<Number>,
    fits: impl Fn(f64) -> bool,
    range: &str,
) -> Result<Option<Number>> {
    match value {
        Some(number) if !number.as_f64().is_some_and(fits) => Err(Error::invalid(
            field,
            format!("expected a number {range}, got {number}"),
        )),
        value => Ok(value),
    }
}

/// A number in a closed range.
pub(in crate::dialects) fn within(
    field: &str,
    value: Option<Number>,
    range: std::ops::RangeInclusive<f64>,
) -> Result<Option<Number>> {
    let told = format!("from {} to {}", range.start(), range.end());
    in_range(field, value, |number| range.contains(&number), &told)
}

/// More than zero, at most `most`.
pub(in crate::dialects) fn positive(
    field: &str,
    value: Option<Number>,
    most: f64,
) -> Result<Option<Number>> {
    let told = format!("above 0 and at most {most}");
    in_range(field, value, |number| number > 0.0 && number <= most, &told)
}

fn max_tokens(new: Option<u64>, old: Option<u64>) -> Result<Option<u64>> {
    for (field, value) in [("max_completion_tokens", new), ("max_tokens", old)] {
        if value == Some(0) {
            return Err(Error::invalid(field, "expected at least 1"));
        }
    }
    Ok(new.or(old))
}

fn stop(stop: Option<wire::OneOrMany>) -> Result<Vec<String>> {
    let stop = stop.map(|stop| stop.0).unwrap_or_default();
    if stop.len() > MAX_STOP {
        return Err(Error::invalid(
            "stop",
            format!("expected at most {MAX_STOP} sequences"),
        ));
    }
    Ok(stop)
}

fn answers(n: Option<u32>) -> Result<Option<u32>> {
    if n.is_some_and(|n| !(1..=Completion::MAX_INDEX).contains(&n)) {
        let told = format!("expected 1 to {}", Completion::MAX_INDEX);
        return Err(Error::invalid("n", told));
    }
    Ok(n)
}

fn top_logprobs(top: Option<u32>, logprobs: Option<bool>) -> Result<Option<u32>> {
    match top {
        Some(top) if top > 20 => Err(Error::invalid("top_logprobs", "expected 0 to 20")),
        Some(_) if logprobs != Some(true) => {
            Err(Error::invalid("top_logprobs", "needs logprobs: true"))
        }
        top => Ok(top),
    }
}

fn logit_bias(bias: Option<Map<String, Value>>) -> Result<Option<Map<String, Value>>> {
    for (token, value) in bias.iter().flatten() {
        if !value
            .as_f64()
            .is_some_and(|bias| (-100.0..=100.0).contains(&bias))
        {
            return Err(Error::invalid(
                format!("logit_bias.{token}"),
                "expected a number from -100 to 100",
            ));
        }
    }
    Ok(bias)
}

/// A conversation's id of bearable length.
pub(in crate::dialects) fn session_id(id: Option<String>) -> Result<Option<String>> {
    if id
        .as_ref()
        .is_some_and(|id| id.chars().count() > MAX_SESSION_ID)
    {
        let told = format!("expected at most {MAX_SESSION_ID} characters");
        return Err(Error::invalid("session_id", told));
    }
    Ok(id)
}

/// Metadata of bearable length.
pub(in crate::dialects) fn metadata(
    metadata: Option<Map<String, Value>>,
) -> Result<Option<Map<String, Value>>> {
    let (pairs, key_length, value_length) = MAX_METADATA;
    if metadata.as_ref().is_some_and(|map| map.len() > pairs) {
        let told = format!("expected at most {pairs} pairs");
        return Err(Error::invalid("metadata", told));
    }
    for (key, value) in metadata.iter().flatten() {
        let fits = value
            .as_str()
            .is_some_and(|value| value.chars().count() <= value_length);
        if !fits || key.chars().count() > key_length {
            let told = format!(
                "expected a string of at most {value_length} characters under a key of at most {key_length}"
            );
            return Err(Error::invalid(format!("metadata.{key}"), told));
        }
    }
    Ok(metadata)
}

/// Kept as sent: `routing` reads it.
pub(in crate::dialects) fn provider(
    provider: Option<Box<RawValue>>,
) -> Result<Option<Box<RawValue>>> {
    match provider {
        Some(value) if value.get() == "null" => Ok(None),
        Some(value) if !value.get().starts_with('{') => {
            Err(Error::invalid("provider", "expected an object"))
        }
        value => Ok(value),
    }
}

fn modalities(words: Option<Vec<wire::Modality>>) -> Vec<String> {
    let word = |modality| match modality {
        wire::Modality::Text => "text".to_owned(),
        wire::Modality::Image => "image".to_owned(),
        wire::Modality::Audio => "audio".to_owned(),
    };
    words.into_iter().flatten().map(word).collect()
}

fn verbosity(verbosity: wire::Verbosity) -> String {
    let word = match verbosity {
        wire::Verbosity::Low => "low",
        wire::Verbosity::Medium => "medium",
        wire::Verbosity::High => "high",
        wire::Verbosity::Xhigh => "xhigh",
        wire::Verbosity::Max => "max",
    };
    word.to_owned()
}
