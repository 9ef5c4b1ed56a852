//! The canonical request → `POST /v2/chat`.
//!
//! A choice of one function is said as the duty to call a tool and that one tool. Numbers beyond what the API takes become the
//! nearest that it does, and are reported as dropped.

use serde_json::{Number, Value, json};

use super::{
    messages::{self, Document, Rules},
    thinking::{self, Plan},
};
use crate::{
    catalog::{Endpoint, Parameter},
    chat::{ChatRequest, ResponseFormat, Tool, ToolChoice},
    dialects::{
        Inbound, NativeRequest, Target,
        splice::{ObjectWriter, put_array},
    },
    error::Result,
};

/// The most stop sequences.
const MOST_STOPS: usize = 5;
/// The most tokens to choose from.
const MOST_TOP_K: u64 = 500;

/// Writes the request.
///
/// # Errors
/// 400 with the path of a field that has no native form.
pub fn request(inbound: &Inbound<'_>, target: &Target<'_>) -> Result<NativeRequest> {
    let (request, endpoint) = (inbound.request, target.endpoint);
    let tools = tools(request, endpoint);
    let rules = Rules {
        thinks: endpoint.reasoning.is_some(),
        documents: tools.is_empty(),
    };
    let mut body = Vec::with_capacity(1024);
    let mut writer = Writer {
        request,
        endpoint,
        object: ObjectWriter::new(&mut body),
        dropped: without_native_form(request),
    };
    writer.object.field("model", &endpoint.upstream_model_id);
    writer.object.field("stream", &request.stream);
    let mut documents = Vec::new();
    messages::put_messages(
        writer.object.key("messages"),
        request,
        rules,
        &mut documents,
    )?;
    writer.documents(&documents);
    writer.tools(&tools);
    writer.response_format(!tools.is_empty() || !documents.is_empty());
    match thinking::plan(request, endpoint)? {
        Plan::Default => {}
        Plan::Say(thinking) => writer.object.field("thinking", &thinking),
        Plan::Dropped => writer.dropped.push("reasoning"),
    }
    writer.limits();
    writer.sampling();
    let dropped = writer.dropped;
    writer.object.end();
    Ok(NativeRequest {
        path: "/v2/chat".to_owned(),
        headers: vec![("content-type", "application/json".to_owned())],
        body,
        dropped,
    })
}

/// The parameters in the request that the API has no words for.
fn without_native_form(request: &ChatRequest) -> Vec<&'static str> {
    let sampling = &request.sampling;
    let tier = request.service_tier.as_deref();
    [
        ("min_p", sampling.min_p.is_some()),
        ("top_a", sampling.top_a.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        ("n", request.n.is_some_and(|n| n > 1)),
        ("logprobs", request.logprobs == Some(true)),
        ("top_logprobs", request.top_logprobs.is_some()),
        ("logit_bias", request.logit_bias.is_some()),
        ("prediction", request.prediction.is_some()),
        (
            "parallel_tool_calls",
            request.parallel_tool_calls == Some(false) && !request.tools.is_empty(),
        ),
        (
            "modalities",
            request.modalities.iter().any(|word| word != "text"),
        ),
        ("audio", request.audio.is_some()),
        ("web_search_options", request.web_search_options.is_some()),
        ("verbosity", request.verbosity.is_some()),
        (
            "service_tier",
            tier.is_some_and(|tier| !matches!(tier, "auto" | "default" | "standard")),
        ),
    ]
    .into_iter()
    .filter_map(|(name, is_sent)| is_sent.then_some(name))
    .collect()
}

/// The tools to offer: where one function has to be called, that one alone.
fn tools<'a>(request: &'a ChatRequest, endpoint: &Endpoint) -> Vec<&'a Tool> {
    if !endpoint.supports(Parameter::Tools) {
        return Vec::new();
    }
    let all = request.tools.iter();
    match &request.tool_choice {
        Some(ToolChoice::Function(name)) => all.filter(|tool| tool.name == *name).collect(),
        _ => all.collect(),
    }
}

struct Writer<'a, 'o> {
    request: &'a ChatRequest,
    endpoint: &'a Endpoint,
    object: ObjectWriter<'o>,
    dropped: Vec<&'static str>,
}

impl Writer<'_, '_> {
    fn documents(&mut self, documents: &[Document]) {
        if !documents.is_empty() {
            put_array(
                self.object.key("documents"),
                documents.iter().enumerate(),
                |out, (at, document)| document.put(out, at),
            );
        }
    }

    fn tools(&mut self, tools: &[&Tool]) {
        // P61: an empty list is no list.
        if tools.is_empty() {
            if !self.request.tools.is_empty() {
                self.dropped.push("tools");
            }
            return;
        }
        put_array(self.object.key("tools"), tools, |out, tool| {
            let mut object = ObjectWriter::new(out);
            object.field("type", "function");
            let mut function = ObjectWriter::new(object.key("function"));
            function.field("name", &tool.name);
            function.optional("description", tool.description.as_deref());
            let nothing = json!({"type": "object", "properties": {}});
            let parameters = tool.parameters.as_ref().filter(|schema| schema.is_object());
            function.field("parameters", parameters.unwrap_or(&nothing));
            function.end();
            object.end();
        });
        let choice = match &self.request.tool_choice {
            Some(ToolChoice::Required | ToolChoice::Function(_)) => Some("REQUIRED"),
            Some(ToolChoice::None) => Some("NONE"),
            Some(ToolChoice::Auto) | None => None,
        };
        if choice.is_some() && !self.endpoint.supports(Parameter::ToolChoice) {
            self.dropped.push("tool_choice");
        } else {
            self.object.optional("tool_choice", choice);
        }
        // P78: the API enforces the schemas of all tools or of none.
        let strict = tools
            .iter()
            .filter(|tool| tool.strict == Some(true))
            .count();
        if strict == tools.len() && self.endpoint.supports(Parameter::StructuredOutputs) {
            self.object.field("strict_tools", &true);
        } else if strict > 0 {
            self.dropped.push("tools.function.strict");
        }
    }

    /// The API takes a form of the answer neither beside tools nor beside documents.
    fn response_format(&mut self, has_sources: bool) {
        let format = match &self.request.response_format {
            None | Some(ResponseFormat::Text) => return,
            Some(_) if has_sources || !self.endpoint.supports(Parameter::ResponseFormat) => None,
            Some(ResponseFormat::JsonObject) => Some(json!({"type": "json_object"})),
            Some(ResponseFormat::JsonSchema(wanted)) => {
                if self.endpoint.supports(Parameter::StructuredOutputs) {
                    Some(json!({"type": "json_object", "json_schema": wanted.schema}))
                } else {
                    // JSON without the schema is nearer to what was asked than free text.
                    self.dropped.push("structured_outputs");
                    Some(json!({"type": "json_object"}))
                }
            }
            Some(ResponseFormat::Other(_)) => None,
        };
        match format {
            Some(format) => self.object.field("response_format", &format),
            None => self.dropped.push("response_format"),
        }
    }

    fn limits(&mut self) {
        let most = self.endpoint.max_completion_tokens;
        let wanted = self.request.max_tokens;
        let tokens = wanted.map(|wanted| most.map_or(wanted, |most| wanted.min(most)));
        self.object.optional("max_tokens", tokens.as_ref());
        let stop = &self.request.stop;
        if stop.is_empty() {
            return;
        }
        if !self.endpoint.supports(Parameter::Stop) {
            self.dropped.push("stop");
            return;
        }
        if stop.len() > MOST_STOPS {
            self.dropped.push("stop");
        }
        let stop: Vec<&String> = stop.iter().take(MOST_STOPS).collect();
        self.object.field("stop_sequences", &stop);
    }

    fn sampling(&mut self) {
        let sampling = &self.request.sampling;
        for (parameter, key, value, least, most) in [
            (
                Parameter::Temperature,
                "temperature",
                &sampling.temperature,
                0.0,
                1.0,
            ),
            (Parameter::TopP, "p", &sampling.top_p, 0.01, 0.99),
            (
                Parameter::FrequencyPenalty,
                "frequency_penalty",
                &sampling.frequency_penalty,
                0.0,
                1.0,
            ),
            (
                Parameter::PresencePenalty,
                "presence_penalty",
                &sampling.presence_penalty,
                0.0,
                1.0,
            ),
        ] {
            let Some(number) = value else { continue };
            // All of the probability is no limit, which is what nothing means.
            let value = number.as_f64().unwrap_or(least);
            if parameter == Parameter::TopP && value >= 1.0 {
                continue;
            }
            if !self.endpoint.supports(parameter) {
                self.dropped.push(parameter.as_str());
            } else if value < least || value > most {
                self.dropped.push(parameter.as_str());
                let nearest = Number::from_f64(value.clamp(least, most));
                self.object.optional(key, nearest.as_ref());
            } else {
                self.object.field(key, number);
            }
        }
        // 0 means no limit.
        if let Some(top_k) = sampling.top_k.filter(|top_k| *top_k > 0) {
            if self.endpoint.supports(Parameter::TopK) && top_k <= MOST_TOP_K {
                self.object.field("k", &top_k);
            } else {
                self.dropped.push("top_k");
            }
        }
        let seed = sampling.seed.filter(|seed| *seed >= 0);
        match seed {
            Some(seed) if self.endpoint.supports(Parameter::Seed) => {
                self.object.field("seed", &Value::from(seed));
            }
            _ if sampling.seed.is_some() => self.dropped.push("seed"),
            _ => {}
        }
    }
}
