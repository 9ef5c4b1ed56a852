//! A canonical request without a client's own bytes, written out as a chat-completions body.
//!
//! Messages, tools' places, limits and reasoning are the business of `request`, which reads this body like a client's.

use crate::{
    chat::{ChatRequest, NativeSearch, ResponseFormat, ToolChoice},
    dialects::splice::ObjectWriter,
};

use super::messages;

/// The fields of the body that `request` passes on. `speaks_alike`: also those without a name here, which the client wrote for
/// a host of this dialect.
pub(super) fn body(request: &ChatRequest, speaks_alike: bool) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    let mut object = ObjectWriter::new(&mut body);
    sampling(&mut object, request);
    if !request.stop.is_empty() {
        object.field("stop", &request.stop);
    }
    if !request.tools.is_empty() {
        messages::put_tools(object.key("tools"), &request.tools, true);
    }
    if let Some(choice) = &request.tool_choice {
        put_choice(&mut object, choice);
    }
    object.optional("parallel_tool_calls", request.parallel_tool_calls.as_ref());
    if let Some(format) = &request.response_format {
        put_format(&mut object, format);
    }
    object.optional("n", request.n.as_ref());
    object.optional("logprobs", request.logprobs.as_ref());
    object.optional("top_logprobs", request.top_logprobs.as_ref());
    object.optional("logit_bias", request.logit_bias.as_ref());
    object.optional("prediction", request.prediction.as_ref());
    if !request.modalities.is_empty() {
        object.field("modalities", &request.modalities);
    }
    object.optional("audio", request.audio.as_ref());
    match &request.native_search {
        Some(native) => put_search(&mut object, native),
        None => object.optional("web_search_options", request.web_search_options.as_ref()),
    }
    object.optional("service_tier", request.service_tier.as_ref());
    object.optional("verbosity", request.verbosity.as_ref());
    object.optional("user", request.user.as_ref());
    object.optional("prompt_cache_key", request.prompt_cache_key.as_ref());
    for (key, value) in request.extra.iter().filter(|_| speaks_alike) {
        object.field(key, value);
    }
    object.end();
    body
}

fn put_search(object: &mut ObjectWriter<'_>, native: &NativeSearch) {
    let mut options = ObjectWriter::new(object.key("web_search_options"));
    options.optional("search_context_size", native.context_size.as_ref());
    if let Some(location) = &native.location {
        let mut place = location.clone();
        place.remove("type");
        let location = serde_json::json!({"type": "approximate", "approximate": place});
        options.field("user_location", &location);
    }
    options.end();
}

fn sampling(object: &mut ObjectWriter<'_>, request: &ChatRequest) {
    let sampling = &request.sampling;
    object.optional("temperature", sampling.temperature.as_ref());
    object.optional("top_p", sampling.top_p.as_ref());
    object.optional("top_k", sampling.top_k.as_ref());
    object.optional("min_p", sampling.min_p.as_ref());
    object.optional("top_a", sampling.top_a.as_ref());
    object.optional("frequency_penalty", sampling.frequency_penalty.as_ref());
    object.optional("presence_penalty", sampling.presence_penalty.as_ref());
    object.optional("repetition_penalty", sampling.repetition_penalty.as_ref());
    object.optional("seed", sampling.seed.as_ref());
}

fn put_choice(object: &mut ObjectWriter<'_>, choice: &ToolChoice) {
    match choice {
        ToolChoice::Auto => object.field("tool_choice", "auto"),
        ToolChoice::None => object.field("tool_choice", "none"),
        ToolChoice::Required => object.field("tool_choice", "required"),
        ToolChoice::Function(name) => {
            let choice = serde_json::json!({"type": "function", "function": {"name": name}});
            object.field("tool_choice", &choice);
        }
    }
}

fn put_format(object: &mut ObjectWriter<'_>, format: &ResponseFormat) {
    let mut inner = ObjectWriter::new(object.key("response_format"));
    match format {
        ResponseFormat::Text => inner.field("type", "text"),
        ResponseFormat::JsonObject => inner.field("type", "json_object"),
        ResponseFormat::JsonSchema(schema) => {
            inner.field("type", "json_schema");
            let mut object = ObjectWriter::new(inner.key("json_schema"));
            object.field("name", &schema.name);
            object.optional("description", schema.description.as_ref());
            object.field("schema", &schema.schema);
            object.optional("strict", schema.strict.as_ref());
            object.end();
        }
        ResponseFormat::Other(value) => {
            for (key, value) in value.as_object().into_iter().flatten() {
                inner.field(key, value);
            }
        }
    }
    inner.end();
}
