//! A client's messages body → the same body for an upstream that speaks messages too.
//!
//! Only the top level is taken apart: what the gateway answers for is replaced (model, limits, sampling as the endpoint takes it,
//! thinking in a form that it knows), what is between client and gateway is left out, and everything else, the conversation and
//! fields that nobody here knows among it, stays the bytes it was. Bodies that this host would refuse (reasoning that another
//! provider signed, ids that another provider gave, a form of the answer that it does not enforce) are written anew.

use serde_json::Value;

use super::{
    cache,
    ids::user_id,
    native::Metadata,
    request::{
        VERTEX_VERSION, headers, is_tool_forced, sampling, service_tier, speed, stop_sequences,
        verbosity,
    },
    thinking::{self, Plan, Surroundings},
};
use crate::{
    catalog::{Parameter, PathStyle},
    chat::{ChatRequest, Part, Role},
    dialects::{
        NativeRequest, Target,
        splice::{Fields, ObjectWriter},
    },
    error::{Error, Result},
};

/// Fields between client and gateway; no host sees them. `speed` is what the endpoint's tier says.
const GATEWAY: [&str; 20] = [
    "models",
    "fallbacks",
    "provider",
    "plugins",
    "preset",
    "route",
    "transforms",
    "usage",
    "user",
    "session_id",
    "trace",
    "debug",
    "max_cost",
    "stop_server_tools_when",
    "deferred_tools",
    "safeguards",
    "speed",
    "inference_geo",
    "anthropic_version",
    "anthropic_beta",
];

/// Whether the client's own bytes will do for this host.
pub(super) fn will_do(request: &ChatRequest, target: &Target<'_>) -> bool {
    let enforces = target.endpoint.supports(Parameter::StructuredOutputs);
    let asks = request.response_format.is_some();
    let is_plain = !request.has_extensions
        && request.server_tools.is_empty()
        && breakpoints(request) <= cache::MOST;
    request.only_native.is_some() || (is_plain && (enforces || !asks))
}

/// Cache breakpoints that the client set.
fn breakpoints(request: &ChatRequest) -> usize {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let nested = |part: &Part| match part {
        Part::ToolResult { content, .. } => {
            content.iter().filter(|part| part.cache().is_some()).count()
        }
        _ => 0,
    };
    let marked = parts.map(|part| usize::from(part.cache().is_some()) + nested(part));
    let tools = request.tools.iter().filter(|tool| tool.cache.is_some());
    marked.sum::<usize>() + tools.count() + usize::from(request.cache_control.is_some())
}

/// Writes the request around the client's own conversation.
///
/// # Errors
/// When reasoning is switched off that cannot be.
pub(super) fn request(
    request: &ChatRequest,
    raw: &[u8],
    target: &Target<'_>,
) -> Result<NativeRequest> {
    let fields = Fields::of_read(raw).map_err(|error| {
        Error::internal(format!("the client's body cannot be read again: {error}"))
    })?;
    let endpoint = target.endpoint;
    let mut dropped = Vec::new();
    let max_tokens = thinking::max_tokens(request, endpoint);
    let thoughts = Thoughts::of(request, &fields, target, max_tokens)?;
    if thoughts.plan.dropped {
        dropped.push("reasoning");
    }
    let sampling = sampling(request, endpoint, thoughts.thinks, &mut dropped);
    let stops = stop_sequences(request, endpoint, &mut dropped);
    let tier = service_tier(request, endpoint, &mut dropped);
    let speed = speed(endpoint);
    let effort = thoughts
        .plan
        .effort
        .or_else(|| verbosity(request, endpoint, &mut dropped));
    let has_tools = fields.get("tools").is_some_and(|tools| tools != "[]");

    let mut body = Vec::with_capacity(raw.len() + 256);
    let mut object = ObjectWriter::new(&mut body);
    if target.provider.path_style == PathStyle::RawPredict {
        object.field("anthropic_version", VERTEX_VERSION);
    } else {
        object.field("model", &endpoint.upstream_model_id);
    }
    object.field("max_tokens", &max_tokens);
    for (key, value) in &fields.0 {
        match key.as_ref() {
            "model" | "anthropic_version" | "max_tokens" | "stream" | "temperature" | "top_p"
            | "top_k" | "stop_sequences" | "metadata" | "service_tier" => {}
            "speed" if value.get() != "null" && speed.is_none() => dropped.push("speed"),
            key if GATEWAY.contains(&key) || value.get() == "null" => {}
            "tools" | "tool_choice" if !has_tools => {}
            "thinking" if thoughts.is_own => object.raw("thinking", value.get()),
            "thinking" => object.optional("thinking", thoughts.plan.thinking.as_ref()),
            "output_config" => put_output(&mut object, value.get(), effort),
            key => object.raw(key, value.get()),
        }
    }
    if fields.get("output_config").is_none() && effort.is_some() {
        put_output(&mut object, "{}", effort);
    }
    object.optional("temperature", sampling.temperature.as_ref());
    object.optional("top_p", sampling.top_p.as_ref());
    object.optional("top_k", sampling.top_k.as_ref());
    if !stops.is_empty() {
        object.field("stop_sequences", &stops);
    }
    if let Some(user) = &request.user {
        let user_id = user_id(user);
        object.field("metadata", &Metadata { user_id });
    }
    object.optional("service_tier", tier);
    object.optional("speed", speed);
    if request.stream {
        object.field("stream", &true);
    }
    object.end();
    Ok(NativeRequest {
        path: "/v1/messages".to_owned(),
        headers: headers(request, endpoint),
        body,
        dropped,
    })
}

/// `output_config` with the effort that this endpoint takes.
fn put_output(object: &mut ObjectWriter<'_>, own: &str, effort: Option<&'static str>) {
    let Ok(fields) = Fields::parse(own.as_bytes()) else {
        return;
    };
    let mut config = Vec::new();
    let mut writer = ObjectWriter::new(&mut config);
    writer.optional("effort", effort);
    for (key, value) in &fields.0 {
        if key != "effort" && value.get() != "null" {
            writer.raw(key, value.get());
        }
    }
    writer.end();
    if config != b"{}" {
        object.raw("output_config", &String::from_utf8_lossy(&config));
    }
}

/// What becomes of the client's `thinking`.
struct Thoughts {
    /// It stays as it is.
    is_own: bool,
    thinks: bool,
    plan: Plan,
}

impl Thoughts {
    /// The client's own form where the endpoint knows it, else the endpoint's.
    fn of(
        request: &ChatRequest,
        fields: &Fields<'_>,
        target: &Target<'_>,
        max_tokens: u64,
    ) -> Result<Self> {
        let endpoint = target.endpoint;
        let own = fields.get("thinking");
        let own: Option<Value> = own.and_then(|json| crate::json::from_str(json).ok());
        let kind = own
            .as_ref()
            .and_then(|own| own.get("type"))
            .and_then(Value::as_str);
        let plan = thinking::plan(request, endpoint, surroundings(request), max_tokens)?;
        let is_own = match (kind, &endpoint.reasoning) {
            (Some("enabled"), Some(reasoning)) => {
                let asked = request.reasoning.as_ref();
                let budget = asked.and_then(|asked| asked.max_tokens);
                // P89
                reasoning.budget.is_some() && budget.is_some_and(|budget| budget < max_tokens)
            }
            (Some("adaptive"), Some(reasoning)) => !reasoning.efforts.is_empty(),
            (Some("disabled"), Some(reasoning)) => reasoning.toggle,
            (Some(_), Some(_)) => true,
            _ => false,
        };
        let asks = kind.is_some_and(|kind| kind != "disabled");
        let has_effort = (request.reasoning.as_ref()).is_some_and(|asked| asked.effort.is_some());
        Ok(Self {
            is_own,
            thinks: if is_own { asks } else { plan.thinks() },
            plan: if is_own {
                // Where the model decides how much to think, effort goes with it.
                let effort = plan.effort.filter(|_| has_effort);
                Plan {
                    effort,
                    ..Plan::default()
                }
            } else {
                plan
            },
        })
    }
}

fn surroundings(request: &ChatRequest) -> Surroundings {
    let last = request.messages.last();
    let is = |role| last.is_some_and(|message| message.role == role);
    let mut before = request.messages.iter().rev();
    let call = before.find(|message| message.role == Role::Assistant);
    let thought = |part: &Part| matches!(part, Part::Reasoning(_));
    let has_thought = call.is_some_and(|call| call.parts.first().is_some_and(thought));
    Surroundings {
        forced_tool: is_tool_forced(request),
        prefill: is(Role::Assistant),
        bare_tool_loop: is(Role::Tool) && !has_thought,
    }
}
