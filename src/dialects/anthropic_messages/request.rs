//! The canonical request → `POST /v1/messages`.
//!
//! `temperature` above 1 becomes 1, the most that the API takes, and is reported as dropped; of `temperature` and `top_p`
//! the first is sent, because newer models refuse both at once. A form of the answer that the endpoint does not enforce is
//! asked for in words, at the end of the instructions.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::{
    cache::{self, control},
    ids::user_id,
    messages::{self, Prompt},
    native::{
        AnyTool, Block, Body, Metadata, OutputConfig, OutputFormat, SearchTool, Tool, ToolChoice,
    },
    schema, splice,
    thinking::{self, Surroundings},
};
use crate::{
    catalog::{Endpoint, Parameter, PathStyle, Quirk, ServiceTier},
    chat::{self, ChatRequest, Effort, Media, NativeSearch, Part, ResponseFormat},
    dialects::{Inbound, NativeRequest, Surface, Target},
    error::{Error, Result},
};

/// The version of the API.
const VERSION: &str = "2023-06-01";
/// The same for Vertex, which wants it in the body.
pub(super) const VERTEX_VERSION: &str = "vertex-2023-10-16";
/// The feature under which the API takes references to uploaded files.
const FILES_BETA: &str = "files-api-2025-04-14";
/// The feature under which it takes `speed`.
const FAST_BETA: &str = "fast-mode-2026-02-01";
/// The most features that a client may switch on, and the longest name of one.
const MAX_BETAS: usize = 32;
const MAX_BETA: usize = 64;
/// How JSON is asked for where it is not enforced.
pub(in crate::dialects) const JSON_ONLY: &str =
    "Answer with one JSON object and nothing else: no words before or after it, no code fence.";
/// Below this, `top_p` does not go together with thinking.
const LEAST_TOP_P_WITH_THINKING: f64 = 0.95;

/// Writes the request.
///
/// # Errors
/// 400 with the path of a field that has no native form.
pub fn request(inbound: &Inbound<'_>, target: &Target<'_>) -> Result<NativeRequest> {
    let request = inbound.request;
    if let Some(raw) = inbound.raw_of(Surface::Messages)
        && splice::will_do(request, target)
    {
        return splice::request(request, raw, target);
    }
    let endpoint = target.endpoint;
    let mut dropped = without_native_form(request);

    let unsigned = target.provider.has(Quirk::UnsignedThinking);
    let mut prompt = messages::prompt(&request.messages, unsigned)?;
    let around = Surroundings {
        forced_tool: is_tool_forced(request),
        prefill: prompt.is_prefill(),
        bare_tool_loop: prompt.is_bare_tool_loop(),
    };
    let max_tokens = thinking::max_tokens(request, endpoint);
    let plan = thinking::plan(request, endpoint, around, max_tokens)?;
    if plan.dropped {
        dropped.push("reasoning");
    }
    let (mut tools, tool_choice) = tools(request, endpoint, &mut dropped)?;
    let format = response_format(request, endpoint, &mut prompt, &mut dropped);
    let effort = plan
        .effort
        .or_else(|| verbosity(request, endpoint, &mut dropped));
    let sampling = sampling(request, endpoint, plan.thinks(), &mut dropped);
    cache::arrange(
        &mut tools,
        &mut prompt.system,
        &mut prompt.turns,
        request.cache_control,
    );

    let mut tools: Vec<AnyTool<'_>> = tools.into_iter().map(AnyTool::Function).collect();
    let search =
        NativeSearch::of(request).filter(|_| endpoint.supports(Parameter::WebSearchOptions));
    if let Some(search) = search.as_deref() {
        dropped.retain(|name| *name != "web_search_options");
        tools.push(AnyTool::Search(search_tool(search)));
    }
    let in_path = target.provider.path_style == PathStyle::RawPredict;
    let body = Body {
        model: (!in_path).then_some(&endpoint.upstream_model_id),
        anthropic_version: in_path.then_some(VERTEX_VERSION),
        max_tokens,
        system: prompt.system,
        messages: prompt.turns,
        tools,
        tool_choice,
        thinking: plan.thinking,
        output_config: (effort.is_some() || format.is_some())
            .then_some(OutputConfig { effort, format }),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        stop_sequences: stop_sequences(request, endpoint, &mut dropped),
        metadata: request.user.as_deref().map(|user| Metadata {
            user_id: user_id(user),
        }),
        context_management: context_management(request),
        service_tier: service_tier(request, endpoint, &mut dropped),
        speed: speed(endpoint),
        stream: request.stream,
    };
    let body = serde_json::to_vec(&body)
        .map_err(|error| Error::internal(format!("a request could not be written: {error}")))?;
    Ok(NativeRequest {
        path: "/v1/messages".to_owned(),
        headers: headers(request, endpoint),
        body,
        dropped,
    })
}

pub(super) fn headers(request: &ChatRequest, endpoint: &Endpoint) -> Vec<(&'static str, String)> {
    let mut headers = vec![("anthropic-version", VERSION.to_owned())];
    let refers_to_file = |part: &Part| {
        matches!(
            part,
            Part::Image {
                media: Media::FileId(_),
                ..
            } | Part::File {
                media: Media::FileId(_),
                ..
            }
        )
    };
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    let mut betas = betas(request);
    if parts.any(refers_to_file) && !betas.contains(&FILES_BETA) {
        betas.push(FILES_BETA);
    }
    if speed(endpoint).is_some() && !betas.contains(&FAST_BETA) {
        betas.push(FAST_BETA);
    }
    if !betas.is_empty() {
        headers.push(("anthropic-beta", betas.join(",")));
    }
    headers
}

/// What the client wants done to its context, where it switched that on.
fn context_management(request: &ChatRequest) -> Option<&Value> {
    let wanted = request.extra.get("context_management")?;
    let is_on = betas(request)
        .iter()
        .any(|beta| beta.starts_with("context-management"));
    (is_on && !wanted.is_null()).then_some(wanted)
}

/// The features that the client switched on. What speaks of the client's own credentials stays here.
fn betas(request: &ChatRequest) -> Vec<&str> {
    let sent = request
        .extra
        .get("anthropic_beta")
        .and_then(Value::as_array);
    let names = sent.into_iter().flatten().filter_map(Value::as_str);
    let is_name = |name: &&str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !name.is_empty() && name.len() <= MAX_BETA && name.bytes().all(fits)
    };
    let mut betas: Vec<&str> = Vec::new();
    for name in names.filter(is_name).take(MAX_BETAS) {
        if !name.starts_with("oauth-") && !betas.contains(&name) {
            betas.push(name);
        }
    }
    betas
}

/// The parameters in the request that the API has no words for.
pub(in crate::dialects) fn without_native_form(request: &ChatRequest) -> Vec<&'static str> {
    let sampling = &request.sampling;
    let modalities = &request.modalities;
    [
        ("min_p", sampling.min_p.is_some()),
        ("top_a", sampling.top_a.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("n", request.n.is_some_and(|n| n > 1)),
        ("logprobs", request.logprobs == Some(true)),
        ("top_logprobs", request.top_logprobs.is_some()),
        ("logit_bias", request.logit_bias.is_some()),
        ("prediction", request.prediction.is_some()),
        ("modalities", modalities.iter().any(|word| word != "text")),
        ("audio", request.audio.is_some()),
        ("web_search_options", request.web_search_options.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_sent)| is_sent.then_some(name))
    .collect()
}

pub(in crate::dialects) fn is_tool_forced(request: &ChatRequest) -> bool {
    matches!(
        request.tool_choice,
        Some(chat::ToolChoice::Required | chat::ToolChoice::Function(_))
    ) && !request.tools.is_empty()
}

fn tools<'a>(
    request: &'a ChatRequest,
    endpoint: &Endpoint,
    dropped: &mut Vec<&'static str>,
) -> Result<(Vec<Tool<'a>>, Option<ToolChoice<'a>>)> {
    // P60: unlike Bedrock, the API takes calls in the history without declared tools; a choice among none it does not take.
    if request.tools.is_empty() {
        return Ok((Vec::new(), None));
    }
    let enforces = endpoint.supports(Parameter::StructuredOutputs);
    let mut tools = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        let input_schema = schema::tool_input(tool.parameters.as_ref()).ok_or_else(|| {
            Error::invalid(
                format!("tools[{at}].function.parameters"),
                "expected a JSON Schema object",
            )
        })?;
        // P78
        let wants_strict = tool.strict == Some(true);
        let strict = wants_strict && enforces;
        if wants_strict && !strict {
            dropped.push("tools.function.strict");
        }
        tools.push(Tool {
            name: &tool.name,
            description: tool.description.as_deref().filter(|text| !text.is_empty()),
            input_schema: Cow::Owned(if strict {
                schema::enforceable(input_schema)
            } else {
                input_schema
            }),
            strict,
            cache_control: tool.cache.map(control),
        });
    }
    dropped.dedup();
    Ok((tools, tool_choice(request)))
}

/// The search that the provider runs itself. Only one of the lists may be sent.
fn search_tool(search: &NativeSearch) -> SearchTool<'_> {
    let allows = !search.allowed_domains.is_empty();
    SearchTool {
        r#type: "web_search_20250305",
        name: "web_search",
        max_uses: search.max_uses,
        allowed_domains: &search.allowed_domains,
        blocked_domains: if allows { &[] } else { &search.blocked_domains },
        user_location: search.user_location(),
    }
}

fn tool_choice(request: &ChatRequest) -> Option<ToolChoice<'_>> {
    let disable_parallel_tool_use = request.parallel_tool_calls == Some(false);
    match &request.tool_choice {
        None if !disable_parallel_tool_use => None,
        None | Some(chat::ToolChoice::Auto) => Some(ToolChoice::Auto {
            disable_parallel_tool_use,
        }),
        Some(chat::ToolChoice::None) => Some(ToolChoice::None),
        Some(chat::ToolChoice::Required) => Some(ToolChoice::Any {
            disable_parallel_tool_use,
        }),
        Some(chat::ToolChoice::Function(name)) => Some(ToolChoice::Tool {
            name,
            disable_parallel_tool_use,
        }),
    }
}

/// The native form of the answer, or words for it in the instructions.
fn response_format(
    request: &ChatRequest,
    endpoint: &Endpoint,
    prompt: &mut Prompt<'_>,
    dropped: &mut Vec<&'static str>,
) -> Option<OutputFormat> {
    match request.response_format.as_ref()? {
        ResponseFormat::Text => {}
        ResponseFormat::JsonObject => prompt.system.push(Block::text(JSON_ONLY)),
        ResponseFormat::JsonSchema(wanted) if endpoint.supports(Parameter::StructuredOutputs) => {
            return Some(OutputFormat::JsonSchema {
                schema: schema::enforceable(wanted.schema.clone()),
            });
        }
        ResponseFormat::JsonSchema(wanted) => {
            let words = format!(
                "{JSON_ONLY} It has to satisfy this JSON Schema:\n{}",
                wanted.schema
            );
            prompt.system.push(Block::text(words));
        }
        ResponseFormat::Other(_) => dropped.push("response_format"),
    }
    None
}

/// Verbosity is the API's effort, on the endpoints that take one.
pub(in crate::dialects) fn verbosity(
    request: &ChatRequest,
    endpoint: &Endpoint,
    dropped: &mut Vec<&'static str>,
) -> Option<&'static str> {
    let wanted = request.verbosity.as_deref()?;
    let effort = crate::json::from_value::<Effort>(&Value::from(wanted)).ok();
    let reasoning = endpoint.reasoning.as_ref();
    let word = effort
        .and_then(|effort| reasoning?.nearest_effort(effort))
        .and_then(thinking::word);
    if word.is_none() {
        dropped.push("verbosity");
    }
    word
}

/// Sampling as the API takes it.
#[derive(Debug, Default)]
pub(in crate::dialects) struct Sampling {
    pub temperature: Option<Number>,
    pub top_p: Option<Number>,
    pub top_k: Option<u64>,
}

pub(in crate::dialects) fn sampling(
    request: &ChatRequest,
    endpoint: &Endpoint,
    thinks: bool,
    dropped: &mut Vec<&'static str>,
) -> Sampling {
    let mut out = Sampling::default();
    let wanted = &request.sampling;
    if let Some(temperature) = &wanted.temperature {
        let value = temperature.as_f64().unwrap_or(1.0);
        let supported = endpoint.supports(Parameter::Temperature);
        if supported && value <= 1.0 && (!thinks || value >= 1.0) {
            out.temperature = Some(temperature.clone());
        } else {
            dropped.push("temperature");
            out.temperature = (supported && !thinks).then(|| Number::from(1));
        }
    }
    if let Some(top_p) = &wanted.top_p {
        let value = top_p.as_f64().unwrap_or(1.0);
        let fits = !thinks || value >= LEAST_TOP_P_WITH_THINKING;
        if endpoint.supports(Parameter::TopP) && fits && out.temperature.is_none() {
            out.top_p = Some(top_p.clone());
        } else if value < 1.0 {
            dropped.push("top_p");
        }
    }
    if let Some(top_k) = wanted.top_k {
        // 0 means no limit, which is what an absent one means.
        let fits = endpoint.supports(Parameter::TopK) && !thinks;
        out.top_k = (fits && top_k > 0).then_some(top_k);
        if !fits {
            dropped.push("top_k");
        }
    }
    out
}

/// Sequences of white space alone are refused by the API.
pub(in crate::dialects) fn stop_sequences<'a>(
    request: &'a ChatRequest,
    endpoint: &Endpoint,
    dropped: &mut Vec<&'static str>,
) -> Vec<&'a str> {
    let takes = |stop: &&str| endpoint.supports(Parameter::Stop) && !stop.trim().is_empty();
    let all = request.stop.iter().map(String::as_str);
    let taken: Vec<_> = all.filter(takes).collect();
    if taken.len() < request.stop.len() {
        dropped.push("stop");
    }
    taken
}

/// The tier `priority` is what the API calls fast.
pub(super) fn speed(endpoint: &Endpoint) -> Option<&'static str> {
    (endpoint.service_tier() == Some(ServiceTier::Priority)).then_some("fast")
}

/// Only the ordinary tier can be asked for: the others have prices of their own, and endpoints of their own with them.
pub(super) fn service_tier(
    request: &ChatRequest,
    endpoint: &Endpoint,
    dropped: &mut Vec<&'static str>,
) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "default" | "standard" => Some("standard_only"),
        _ => {
            // Said as a speed it is dropped as one.
            if endpoint.service_tier().is_none() && !request.extra.contains_key("speed") {
                dropped.push("service_tier");
            }
            None
        }
    }
}
