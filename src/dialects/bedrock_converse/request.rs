//! The canonical request → `POST /model/{id}/converse` or `/converse-stream`.
//!
//! `temperature` above 1 becomes 1, the most that the API takes, and is reported as dropped. A form of the answer that the
//! endpoint does not enforce is asked for in words, at the end of the instructions.

use super::{
    cache,
    messages::{self, Prompt},
    native::{
        Body, Content, Effort, Fields, InferenceConfig, JsonSchema, OutputConfig, Structure,
        TextFormat,
    },
    reasoning::{self, Plan},
    tools,
};
use crate::{
    catalog::{Endpoint, Parameter, ReasoningFields},
    chat::{ChatRequest, ResponseFormat},
    dialects::{
        Inbound, NativeRequest, Target,
        anthropic_messages::{
            request::{
                JSON_ONLY, Sampling, is_tool_forced, sampling, stop_sequences, verbosity,
                without_native_form,
            },
            schema,
            thinking::Surroundings,
        },
    },
    error::{Error, ErrorType, Next, Result, Source},
    signing::sigv4::path_segment,
};

/// Writes the request.
///
/// # Errors
/// 400 with the path of a field that has no native form.
pub fn request(inbound: &Inbound<'_>, target: &Target<'_>) -> Result<NativeRequest> {
    let request = inbound.request;
    let endpoint = target.endpoint;
    let mut dropped = without_native_form(request);
    let fields = endpoint.reasoning.as_ref().and_then(|can| can.fields);
    let is_claude = fields == Some(ReasoningFields::Thinking);

    let mut prompt = messages::prompt(&request.messages, is_claude)?;
    let around = Surroundings {
        forced_tool: is_tool_forced(request),
        prefill: prompt.is_prefill(),
        bare_tool_loop: prompt.is_bare_tool_loop(),
    };
    let mut plan = reasoning::plan(request, endpoint, around)?;
    if plan.dropped {
        dropped.push("reasoning");
    }
    let mut tool_config = tools::tools(request, endpoint, &mut prompt, &mut dropped)?;
    let output_config = output_config(request, endpoint, &mut prompt, &mut dropped);
    if is_claude {
        if plan.fields.output_config.is_none() {
            let effort = verbosity(request, endpoint, &mut dropped);
            plan.fields.output_config = effort.map(|effort| Effort { effort });
        }
    } else if request.verbosity.is_some() {
        dropped.push("verbosity");
    }
    service_tier(request, &mut dropped);
    let inference_config = inference_config(request, endpoint, &mut plan, is_claude, &mut dropped);
    let mut no_tools = Content::default();
    cache::arrange(
        endpoint,
        tool_config
            .as_mut()
            .map_or(&mut no_tools, |config| &mut config.tools),
        &mut prompt.system,
        &mut prompt.turns,
        request.cache_control,
    );

    let body = Body {
        messages: prompt.turns,
        system: prompt.system,
        inference_config,
        tool_config,
        output_config,
        additional_model_request_fields: Some(plan.fields)
            .filter(|fields| *fields != Fields::default()),
    };
    let body = serde_json::to_vec(&body)
        .map_err(|error| Error::internal(format!("a request could not be written: {error}")))?;
    Ok(NativeRequest {
        path: path(&endpoint.upstream_model_id, request.stream)?,
        headers: vec![("content-type", "application/json".to_owned())],
        body,
        dropped,
    })
}

/// The operation's path. The id is one segment, so that none can lead to another operation (P107).
fn path(model: &str, stream: bool) -> Result<String> {
    if model.chars().all(|c| c == '.') {
        return Err(Error::new(
            Source::Gateway,
            Next::NextAttempt,
            ErrorType::Server,
            "The model id of this endpoint cannot stand in a path",
        ));
    }
    let operation = if stream {
        "converse-stream"
    } else {
        "converse"
    };
    Ok(format!("/model/{}/{operation}", path_segment(model)))
}

/// The native form of the answer, or words for it in the instructions.
fn output_config<'a>(
    request: &'a ChatRequest,
    endpoint: &Endpoint,
    prompt: &mut Prompt<'a>,
    dropped: &mut Vec<&'static str>,
) -> Option<OutputConfig<'a>> {
    match request.response_format.as_ref()? {
        ResponseFormat::Text => {}
        ResponseFormat::JsonObject => prompt.instruct(JSON_ONLY),
        ResponseFormat::JsonSchema(wanted) if endpoint.supports(Parameter::StructuredOutputs) => {
            let json_schema = JsonSchema {
                name: &wanted.name,
                description: wanted.description.as_deref(),
                schema: schema::enforceable(wanted.schema.clone()).to_string(),
            };
            return Some(OutputConfig {
                text_format: TextFormat {
                    kind: "json_schema",
                    structure: Structure { json_schema },
                },
            });
        }
        ResponseFormat::JsonSchema(wanted) => prompt.instruct(format!(
            "{JSON_ONLY} It has to satisfy this JSON Schema:\n{}",
            wanted.schema
        )),
        ResponseFormat::Other(_) => dropped.push("response_format"),
    }
    None
}

fn inference_config<'a>(
    request: &'a ChatRequest,
    endpoint: &Endpoint,
    plan: &mut Plan,
    is_claude: bool,
    dropped: &mut Vec<&'static str>,
) -> InferenceConfig<'a> {
    let most = endpoint.max_completion_tokens.unwrap_or(u64::MAX);
    let wanted = request.max_tokens.map(|limit| limit.min(most).max(1));
    let sampling = if is_claude {
        sampling(request, endpoint, plan.thinks, dropped)
    } else {
        plain_sampling(request, endpoint, plan.refuses_sampling, dropped)
    };
    plan.fields.top_k = sampling.top_k;
    InferenceConfig {
        max_tokens: wanted.or(plan.max_tokens),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        stop_sequences: stop_sequences(request, endpoint, dropped),
    }
}

/// Sampling as models take it that are not Claude.
fn plain_sampling(
    request: &ChatRequest,
    endpoint: &Endpoint,
    refused: bool,
    dropped: &mut Vec<&'static str>,
) -> Sampling {
    let wanted = &request.sampling;
    let mut out = Sampling::default();
    if let Some(temperature) = &wanted.temperature {
        let fits = temperature.as_f64().is_none_or(|value| value <= 1.0);
        if refused || !endpoint.supports(Parameter::Temperature) {
            dropped.push("temperature");
        } else if fits {
            out.temperature = Some(temperature.clone());
        } else {
            dropped.push("temperature");
            out.temperature = Some(1.into());
        }
    }
    if wanted.top_p.is_some() {
        if refused || !endpoint.supports(Parameter::TopP) {
            dropped.push("top_p");
        } else {
            out.top_p.clone_from(&wanted.top_p);
        }
    }
    if wanted.top_k.is_some_and(|top_k| top_k > 0) {
        dropped.push("top_k");
    }
    out
}

/// Other tiers have prices of their own, and endpoints of their own with them.
fn service_tier(request: &ChatRequest, dropped: &mut Vec<&'static str>) {
    let tier = request.service_tier.as_deref();
    if tier.is_some_and(|tier| !matches!(tier, "auto" | "default" | "standard")) {
        dropped.push("service_tier");
    }
}
