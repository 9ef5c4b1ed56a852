//! A client's Responses body → the canonical request, or a 400 that names the field.
//!
//! The body is parsed once, into typed fields; only when that fails is it read again with the path tracked. Out of scope:
//! items (`input`), tools (`tools`), routing preferences (`provider` is kept raw).

use serde_json::Value;

use super::{input, tools, wire};
use crate::{
    chat::{ChatRequest, ReasoningRequest, Sampling},
    dialects::cache_control::cache_mark,
    dialects::openai_chat::client::{
        explain, metadata, models, positive, provider, session_id, within,
    },
    error::{Error, Result},
};

/// The most stop sequences.
const MAX_STOP: usize = 4;
/// The most alternatives beside log probabilities.
const MAX_TOP_LOGPROBS: u32 = 20;
const VERBOSITY: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// Reads a client's body.
///
/// # Errors
/// 400 with the path of the first field that is wrong, such as `input[2].content[0].type`.
pub fn parse_request(raw: &[u8]) -> Result<ChatRequest> {
    let wire: wire::Request = crate::json::from_slice(raw).map_err(|error| explain(raw, &error))?;
    convert(wire)
}

fn convert(wire: wire::Request) -> Result<ChatRequest> {
    check_stateless(&wire)?;
    let (model, models) = models(wire.model, wire.models)?;
    let conversation = input::read(wire.input, wire.instructions)?;
    let has_marks = wire
        .tools
        .iter()
        .flatten()
        .any(|tool| tool.cache_control.is_some());
    let (tools, server_tools) = tools::tools(wire.tools)?;
    let text = wire.text.unwrap_or_default();
    let include = wire.include.unwrap_or_default();
    let top_logprobs = top_logprobs(wire.top_logprobs)?;
    let wants_logprobs = top_logprobs.is_some_and(|top| top > 0)
        || include
            .iter()
            .any(|word| word == super::super::request::LOGPROBS);
    Ok(ChatRequest {
        model,
        models,
        messages: conversation.messages,
        has_extensions: conversation.has_extensions || has_marks,
        only_native: conversation.only_native,
        stream: wire.stream.unwrap_or_default(),
        sampling: Sampling {
            temperature: within("temperature", wire.temperature, 0.0..=2.0)?,
            top_p: positive("top_p", wire.top_p, 1.0)?,
            top_k: wire.top_k,
            frequency_penalty: within("frequency_penalty", wire.frequency_penalty, -2.0..=2.0)?,
            presence_penalty: within("presence_penalty", wire.presence_penalty, -2.0..=2.0)?,
            ..Sampling::default()
        },
        max_tokens: max_tokens(wire.max_output_tokens)?,
        stop: stop(wire.stop)?,
        tools,
        server_tools,
        tool_choice: tools::tool_choice(wire.tool_choice)?,
        parallel_tool_calls: wire.parallel_tool_calls,
        response_format: tools::format(text.format)?,
        reasoning: reasoning(wire.reasoning)?,
        cache_control: cache_mark(wire.cache_control),
        logprobs: wants_logprobs.then_some(true),
        top_logprobs: top_logprobs.filter(|top| *top > 0),
        modalities: wire.modalities.unwrap_or_default(),
        service_tier: wire.service_tier.filter(|tier| tier != "auto"),
        verbosity: verbosity(text.verbosity)?,
        user: wire.user.or(wire.safety_identifier),
        session_id: session_id(wire.session_id)?,
        prompt_cache_key: wire.prompt_cache_key,
        metadata: metadata(wire.metadata)?,
        provider: provider(wire.provider)?,
        max_cost: wire.max_cost,
        extra: wire.extra,
        ..ChatRequest::default()
    })
}

/// Nothing is stored here, so nothing can be referred to.
fn check_stateless(wire: &wire::Request) -> Result<()> {
    let is_sent = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
    let stateless = "answers are not stored here: send the whole conversation as input";
    for (field, is_asked, told) in [
        (
            "store",
            wire.store == Some(true),
            "answers are not stored here: expected false",
        ),
        (
            "previous_response_id",
            is_sent(&wire.previous_response_id),
            stateless,
        ),
        ("conversation", is_sent(&wire.conversation), stateless),
        (
            "background",
            wire.background == Some(true),
            "answers in the background are not supported",
        ),
        (
            "prompt",
            is_sent(&wire.prompt),
            "prompts that a provider stores are not supported",
        ),
    ] {
        if is_asked {
            return Err(Error::invalid(field, told));
        }
    }
    Ok(())
}

fn max_tokens(tokens: Option<u64>) -> Result<Option<u64>> {
    match tokens {
        Some(0) => Err(Error::invalid("max_output_tokens", "expected at least 1")),
        tokens => Ok(tokens),
    }
}

fn stop(stop: Option<wire::TextOr<String>>) -> Result<Vec<String>> {
    let stop = match stop {
        None => Vec::new(),
        Some(wire::TextOr::Text(text)) => vec![text],
        Some(wire::TextOr::List(list)) => list,
    };
    if stop.len() > MAX_STOP {
        return Err(Error::invalid(
            "stop",
            format!("expected at most {MAX_STOP} sequences"),
        ));
    }
    Ok(stop)
}

fn top_logprobs(top: Option<u32>) -> Result<Option<u32>> {
    match top {
        Some(top) if top > MAX_TOP_LOGPROBS => {
            let told = format!("expected 0 to {MAX_TOP_LOGPROBS}");
            Err(Error::invalid("top_logprobs", told))
        }
        top => Ok(top),
    }
}

fn verbosity(word: Option<String>) -> Result<Option<String>> {
    match word {
        Some(word) if !VERBOSITY.contains(&word.as_str()) => {
            let told = format!("expected one of {}", VERBOSITY.join(", "));
            Err(Error::invalid("text.verbosity", told))
        }
        word => Ok(word),
    }
}

fn reasoning(object: Option<wire::Reasoning>) -> Result<Option<ReasoningRequest>> {
    let Some(object) = object else {
        return Ok(None);
    };
    if object.max_tokens.is_some() && object.effort.is_some() {
        return Err(Error::invalid(
            "reasoning.max_tokens",
            "send either an effort or max_tokens",
        ));
    }
    Ok(Some(ReasoningRequest {
        effort: object.effort,
        max_tokens: object.max_tokens,
        exclude: object.exclude.unwrap_or_default(),
        enabled: object.enabled,
        summary: object.summary,
    }))
}
