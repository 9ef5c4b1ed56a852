//! A client's messages body → the canonical request, or a 400 that names the field.
//!
//! The body is parsed once, into typed fields; only when that fails is it read again with the path tracked. Out of scope: blocks
//! (`content`), tools (`tools`), routing preferences (`provider` is kept raw).

use serde_json::{Map, Value, json};

use super::{content, tools, wire};
use crate::{
    chat::{ChatRequest, Effort, ReasoningRequest, Sampling},
    dialects::cache_control::cache_mark,
    dialects::openai_chat::client::{explain, positive, provider, session_id, within},
    error::{Error, Result},
};

/// The most fallback models in `fallbacks`.
const MAX_FALLBACKS: usize = 3;
/// The most characters of `user`.
const MAX_USER: usize = 256;

/// Reads a client's body.
///
/// # Errors
/// 400 with the path of the first field that is wrong, such as `messages[2].content[0].source`.
pub fn parse_request(raw: &[u8]) -> Result<ChatRequest> {
    let wire: wire::Request = crate::json::from_slice(raw).map_err(|error| explain(raw, &error))?;
    convert(wire)
}

fn convert(wire: wire::Request) -> Result<ChatRequest> {
    check_place(wire.inference_geo.as_deref())?;
    check_thread(wire.thread.as_ref())?;
    let has_container = wire.container.is_some_and(|container| !container.is_null());
    let has_servers = wire.mcp_servers.is_some_and(|servers| !servers.is_empty());
    let (model, models) = models(wire.model, wire.models, wire.fallbacks)?;
    let conversation = content::read(wire.system, wire.messages)?;
    let tools = tools::tools(wire.tools)?;
    let (tool_choice, parallel_tool_calls) = tools::tool_choice(wire.tool_choice)?;
    let config = wire.output_config.unwrap_or_default();
    let (reasoning, verbosity) = reasoning(wire.thinking, config.effort)?;
    let response_format = match config.format {
        Some(format) => tools::response_format(Some(format), "output_config.format")?,
        None => tools::response_format(wire.output_format, "output_format")?,
    };
    let only_native = [("container", has_container), ("mcp_servers", has_servers)]
        .into_iter()
        .find_map(|(field, is_sent)| is_sent.then(|| field.to_owned()));
    let is_fast = wire.extra.get("speed").and_then(Value::as_str) == Some("fast");
    Ok(ChatRequest {
        model,
        models,
        messages: conversation.messages,
        has_extensions: conversation.is_irregular || tools.is_irregular,
        only_native: only_native
            .or(tools.only_native)
            .or(conversation.only_native),
        stream: wire.stream.unwrap_or_default(),
        sampling: Sampling {
            temperature: within("temperature", wire.temperature, 0.0..=2.0)?,
            top_p: positive("top_p", wire.top_p, 1.0)?,
            top_k: wire.top_k,
            ..Sampling::default()
        },
        max_tokens: max_tokens(wire.max_tokens)?,
        stop: wire.stop_sequences.unwrap_or_default(),
        tools: tools.functions,
        server_tools: tools.server_tools,
        tool_choice,
        parallel_tool_calls,
        response_format,
        reasoning,
        verbosity,
        cache_control: cache_mark(wire.cache_control),
        service_tier: wire
            .service_tier
            .map(service_tier)
            .or(is_fast.then(|| "priority".to_owned())),
        user: user(
            wire.user,
            wire.metadata.and_then(|metadata| metadata.user_id),
        )?,
        session_id: session_id(wire.session_id)?,
        provider: provider(wire.provider)?,
        max_cost: wire.max_cost,
        extra: wire.extra,
        ..ChatRequest::default()
    })
}

/// Where the provider computes has a price of its own, which the catalog does not know.
fn check_place(geo: Option<&str>) -> Result<()> {
    match geo {
        None | Some("global") => Ok(()),
        Some(_) => Err(Error::invalid(
            "inference_geo",
            "regional inference is not offered: name an endpoint of the region in provider.only",
        )),
    }
}

/// Nothing is kept between requests. Anthropic's SDKs know this refusal, and send the whole conversation instead.
fn check_thread(thread: Option<&Value>) -> Result<()> {
    if thread.is_none_or(Value::is_null) {
        return Ok(());
    }
    let told = "conversations are not kept here: send all of the messages, without thread";
    let details = json!({"error_code": "thread_unsupported_request", "unsupported": ["thread"]});
    Err(Error::invalid("thread", told).with("details", details))
}

/// `fallbacks` are Anthropic's spelling of `models`.
fn models(
    model: Option<String>,
    models: Option<Vec<String>>,
    fallbacks: Option<Vec<Map<String, Value>>>,
) -> Result<(String, Vec<String>)> {
    let fallbacks = fallbacks.unwrap_or_default();
    if !fallbacks.is_empty() && models.is_some() {
        let told = "expected either models or fallbacks, not both";
        return Err(Error::invalid("fallbacks", told));
    }
    if fallbacks.len() > MAX_FALLBACKS {
        let told = format!("expected at most {MAX_FALLBACKS} models");
        return Err(Error::invalid("fallbacks", told));
    }
    let mut named = models.unwrap_or_default();
    for (at, fallback) in fallbacks.into_iter().enumerate() {
        match (fallback.len(), fallback.get("model")) {
            (1, Some(Value::String(model))) => named.push(model.clone()),
            _ => {
                let told = "expected {\"model\": …} and nothing else";
                return Err(Error::invalid(format!("fallbacks[{at}]"), told));
            }
        }
    }
    if let Some(at) = named.iter().position(|name| name.trim().is_empty()) {
        let told = "expected the name of a model";
        return Err(Error::invalid(format!("models[{at}]"), told));
    }
    let mut names = model
        .filter(|model| !model.trim().is_empty())
        .into_iter()
        .chain(named);
    let first = names
        .next()
        .ok_or_else(|| Error::invalid("model", "expected the name of a model"))?;
    let mut rest: Vec<String> = Vec::new();
    for name in names {
        if name != first && !rest.contains(&name) {
            rest.push(name);
        }
    }
    Ok((first, rest))
}

fn max_tokens(max_tokens: Option<u64>) -> Result<Option<u64>> {
    if max_tokens == Some(0) {
        return Err(Error::invalid("max_tokens", "expected at least 1"));
    }
    Ok(max_tokens)
}

/// Thinking, and the effort of everything else. Where the model decides how much to think, effort is how hard.
fn reasoning(
    thinking: Option<wire::Thinking>,
    effort: Option<Effort>,
) -> Result<(Option<ReasoningRequest>, Option<String>)> {
    let word = effort.and_then(|effort| {
        let word = serde_json::to_value(effort).ok()?;
        word.as_str().map(str::to_owned)
    });
    let Some(thinking) = thinking else {
        return Ok((None, word));
    };
    let mut request = ReasoningRequest {
        exclude: thinking.display.as_deref() == Some("omitted"),
        ..ReasoningRequest::default()
    };
    match thinking.r#type.as_str() {
        "disabled" => request.enabled = Some(false),
        "enabled" => {
            request.enabled = Some(true);
            request.max_tokens = thinking.budget_tokens;
        }
        "adaptive" | "between-tools" => {
            request.enabled = Some(true);
            request.effort = effort;
            return Ok((Some(request), None));
        }
        _ => {
            let told = "expected \"enabled\", \"disabled\" or \"adaptive\"";
            return Err(Error::invalid("thinking.type", told));
        }
    }
    Ok((Some(request), word))
}

/// `standard_only` is chat completions' `default`.
fn service_tier(tier: String) -> String {
    match tier.as_str() {
        "standard_only" => "default".to_owned(),
        _ => tier,
    }
}

fn user(user: Option<String>, user_id: Option<String>) -> Result<Option<String>> {
    if user
        .as_ref()
        .is_some_and(|user| user.chars().count() > MAX_USER)
    {
        let told = format!("expected at most {MAX_USER} characters");
        return Err(Error::invalid("user", told));
    }
    Ok(user.or(user_id))
}
