//! The canonical request → `generateContent` or `streamGenerateContent`.

use serde_json::{Map, Value, json};

use super::{
    body::{Body, Declaration, FunctionCalling, GenerationConfig, Tool, ToolConfig},
    contents::conversation,
    schema, thinking,
};
use crate::{
    catalog::{Endpoint, Parameter, ServiceTier},
    chat::{self, ChatRequest, ResponseFormat, ToolChoice},
    dialects::{Inbound, NativeRequest, Target},
    error::{Error, ErrorType, Next, Result, Source},
};

/// Writes a request.
///
/// # Errors
/// When the client's request cannot be said in this dialect (with the path of the field), or when the endpoint's model id
/// cannot stand in a path.
pub fn request(inbound: &Inbound<'_>, target: &Target<'_>) -> Result<NativeRequest> {
    let request = inbound.request;
    let endpoint = target.endpoint;
    let mut dropped = Dropped {
        endpoint,
        names: Vec::new(),
    };
    let (system_instruction, contents) = conversation(&request.messages, signs_calls(endpoint))?;
    let functions = functions(request, &mut dropped);
    let asks_for_tier = matches!(request.service_tier.as_deref(), Some(tier) if !matches!(tier, "auto" | "default" | "standard"));
    if asks_for_tier && endpoint.service_tier().is_none() {
        dropped.names.push("service_tier");
    }
    let body = Body {
        system_instruction,
        contents,
        tools: tools(request, functions, &mut dropped),
        tool_config: tool_config(request, functions, &mut dropped),
        generation_config: generation_config(request, &mut dropped)?,
        service_tier: endpoint.service_tier().map(ServiceTier::as_str),
    };
    let body = serde_json::to_vec(&body)
        .map_err(|error| Error::internal(format!("the request cannot be written: {error}")))?;
    Ok(NativeRequest {
        path: path(&endpoint.upstream_model_id, request.stream)?,
        headers: vec![("content-type", "application/json".to_owned())],
        body,
        dropped: dropped.names,
    })
}

/// Models that take a level of thinking, not a budget, sign their calls and refuse unsigned ones.
fn signs_calls(endpoint: &Endpoint) -> bool {
    endpoint
        .reasoning
        .as_ref()
        .is_some_and(|reasoning| reasoning.budget.is_none() && !reasoning.efforts.is_empty())
}

/// The operation's path. Each segment of the model id is checked, so that none can lead to another operation (P107).
fn path(model: &str, stream: bool) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fine = |segment: &str| {
        !segment.is_empty() && segment.chars().all(plain) && segment.chars().any(|c| c != '.')
    };
    let (kind, name) = model.split_once('/').unwrap_or(("models", model));
    if !matches!(kind, "models" | "tunedModels") || !fine(name) {
        return Err(Error::new(
            Source::Gateway,
            Next::NextAttempt,
            ErrorType::Server,
            "The model id of this endpoint cannot stand in a path",
        ));
    }
    let operation = if stream {
        "streamGenerateContent?alt=sse"
    } else {
        "generateContent"
    };
    Ok(format!("/{kind}/{name}:{operation}"))
}

/// Notes which of the client's parameters this target cannot take.
struct Dropped<'a> {
    endpoint: &'a Endpoint,
    names: Vec<&'static str>,
}

impl Dropped<'_> {
    /// The value, if the endpoint supports the parameter.
    fn keep<T>(&mut self, parameter: Parameter, value: Option<T>) -> Option<T> {
        let value = value?;
        if self.endpoint.supports(parameter) {
            return Some(value);
        }
        self.names.push(parameter.as_str());
        None
    }

    fn note(&mut self, parameter: Parameter, given: bool) {
        if given {
            self.names.push(parameter.as_str());
        }
    }
}

/// The client's functions, if the endpoint takes any.
fn functions<'a>(request: &'a ChatRequest, dropped: &mut Dropped<'_>) -> &'a [chat::Tool] {
    let given = (!request.tools.is_empty()).then_some(request.tools.as_slice());
    dropped.keep(Parameter::Tools, given).unwrap_or_default()
}

fn tools<'a>(
    request: &ChatRequest,
    functions: &'a [chat::Tool],
    dropped: &mut Dropped<'_>,
) -> Vec<Tool<'a>> {
    let search = dropped.keep(Parameter::WebSearchOptions, chat::NativeSearch::of(request));
    if functions.is_empty() {
        return search.map(|_| Tool::GoogleSearch {}).into_iter().collect();
    }
    // Search and functions exclude each other.
    dropped.note(Parameter::WebSearchOptions, search.is_some());
    let declarations = functions.iter().map(|tool| Declaration {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters_json_schema: schema::parameters(tool.parameters.as_ref()),
    });
    vec![Tool::FunctionDeclarations(declarations.collect())]
}

/// Without functions there is nothing to choose from (P61).
fn tool_config<'a>(
    request: &'a ChatRequest,
    functions: &[chat::Tool],
    dropped: &mut Dropped<'_>,
) -> Option<ToolConfig<'a>> {
    let choice = request
        .tool_choice
        .as_ref()
        .filter(|_| !functions.is_empty());
    let (mode, allowed_function_names) = match dropped.keep(Parameter::ToolChoice, choice)? {
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Function(name) => ("ANY", Some([name.as_str()])),
    };
    Some(ToolConfig {
        function_calling_config: FunctionCalling {
            mode,
            allowed_function_names,
        },
    })
}

/// The type and the schema of the answer. An endpoint that takes no schema may still promise JSON.
fn response_format(
    request: &ChatRequest,
    dropped: &mut Dropped<'_>,
) -> (Option<&'static str>, Option<Value>) {
    const JSON: Option<&str> = Some("application/json");
    match &request.response_format {
        None | Some(ResponseFormat::Text) => (None, None),
        Some(ResponseFormat::JsonSchema(format)) => {
            match dropped.keep(Parameter::StructuredOutputs, Some(format)) {
                Some(format) => (JSON, Some(schema::convert(&format.schema))),
                None if dropped.endpoint.supports(Parameter::ResponseFormat) => (JSON, None),
                None => (None, None),
            }
        }
        Some(ResponseFormat::JsonObject) => (dropped.keep(Parameter::ResponseFormat, JSON), None),
        Some(ResponseFormat::Other(_)) => {
            dropped.note(Parameter::ResponseFormat, true);
            (None, None)
        }
    }
}

fn generation_config<'a>(
    request: &'a ChatRequest,
    dropped: &mut Dropped<'_>,
) -> Result<GenerationConfig<'a>> {
    use Parameter as P;
    let sampling = &request.sampling;
    let thinking = thinking::config(request, dropped.endpoint)?;
    dropped.note(P::Reasoning, thinking == Some(None));
    let (response_mime_type, response_json_schema) = response_format(request, dropped);
    let config = GenerationConfig {
        temperature: dropped.keep(P::Temperature, sampling.temperature.as_ref()),
        top_p: dropped.keep(P::TopP, sampling.top_p.as_ref()),
        // 0 means "off" to clients and is refused upstream.
        top_k: dropped.keep(P::TopK, sampling.top_k.filter(|k| *k > 0)),
        // P104
        candidate_count: request.n.filter(|n| *n > 1),
        max_output_tokens: request.max_tokens,
        stop_sequences: dropped
            .keep(
                P::Stop,
                (!request.stop.is_empty()).then_some(request.stop.as_slice()),
            )
            .unwrap_or_default(),
        seed: dropped.keep(P::Seed, sampling.seed).map(fold_seed),
        presence_penalty: dropped.keep(P::PresencePenalty, sampling.presence_penalty.as_ref()),
        frequency_penalty: dropped.keep(P::FrequencyPenalty, sampling.frequency_penalty.as_ref()),
        response_logprobs: dropped.keep(P::Logprobs, request.logprobs.filter(|asked| *asked)),
        logprobs: dropped.keep(P::TopLogprobs, request.top_logprobs),
        response_mime_type,
        response_json_schema,
        response_modalities: request
            .modalities
            .iter()
            .map(|word| word.to_ascii_uppercase())
            .collect(),
        speech_config: speech_config(request),
        image_config: image_config(request),
        thinking_config: thinking.flatten(),
    };
    dropped.note(P::MinP, sampling.min_p.is_some());
    dropped.note(P::TopA, sampling.top_a.is_some());
    dropped.note(P::RepetitionPenalty, sampling.repetition_penalty.is_some());
    dropped.note(P::LogitBias, request.logit_bias.is_some());
    dropped.note(P::Prediction, request.prediction.is_some());
    dropped.note(P::Verbosity, request.verbosity.is_some());
    let parallel_off = request.parallel_tool_calls == Some(false) && !request.tools.is_empty();
    dropped.note(P::ParallelToolCalls, parallel_off);
    Ok(config)
}

/// Seeds are 32 bits wide here; equal seeds stay equal.
fn fold_seed(seed: i64) -> i32 {
    i32::try_from(seed).unwrap_or_else(|_| {
        let [a, b, c, d, ..] = seed.to_le_bytes();
        i32::from_le_bytes([a, b, c, d])
    })
}

/// The voice of the `audio` object.
fn speech_config(request: &ChatRequest) -> Option<Value> {
    let voice = request.audio.as_ref()?.get("voice")?.as_str()?;
    Some(json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}))
}

/// OpenRouter's `image_config`, in Gemini's spelling.
fn image_config(request: &ChatRequest) -> Map<String, Value> {
    let asked = request.extra.get("image_config").and_then(Value::as_object);
    let known = [("aspect_ratio", "aspectRatio"), ("image_size", "imageSize")];
    known
        .into_iter()
        .filter_map(|(from, to)| Some((to.to_owned(), asked?.get(from)?.clone())))
        .collect()
}
