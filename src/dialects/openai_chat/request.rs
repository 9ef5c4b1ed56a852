//! A request → a chat-completions host's own form.
//!
//! The client's body is taken apart at its top level only. Each field is dropped (the gateway's own, and what this endpoint
//! does not support), replaced (model, limits, reasoning), or goes through as the bytes it was. Messages and tools are written
//! anew only where the client's own bytes would not do for this host. A request without such bytes is written out first, then
//! treated the same.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{messages, plain, thinking};
use crate::{
    catalog::{Parameter, Quirk, SearchSpelling},
    chat::{ChatRequest, NativeSearch, ResponseFormat, ToolChoice},
    dialects::{
        Inbound, NativeRequest, Surface, Target, patterns,
        splice::{Fields, ObjectWriter},
    },
    error::{Error, Result},
};

/// Fields between client and gateway; no host sees them.
const GATEWAY: [&str; 23] = [
    "max_cost",
    "models",
    "prompt",
    "provider",
    "route",
    "transforms",
    "plugins",
    "preset",
    "usage",
    "reasoning",
    "reasoning_effort",
    "include_reasoning",
    "session_id",
    "metadata",
    "trace",
    "debug",
    "cache_control",
    "max_tool_calls",
    "stop_server_tools_when",
    "deferred_tools",
    "structured_outputs",
    "image_config",
    "x_search_filter",
];

/// Fields that every host knows although no endpoint lists them as a parameter.
const COMMON: [&str; 4] = ["n", "modalities", "audio", "stream_options"];

/// Writes a request.
///
/// # Errors
/// When the client's request cannot be said to this host, with the path of the field.
pub fn request(inbound: &Inbound<'_>, target: &Target<'_>) -> Result<NativeRequest> {
    let written;
    let own = inbound.raw_of(Surface::ChatCompletions);
    let raw = match own {
        Some(raw) => raw,
        None => {
            let speaks_alike = inbound.surface == Surface::ChatCompletions;
            written = plain::body(inbound.request, speaks_alike);
            &written
        }
    };
    let fields = Fields::of_read(raw).map_err(|error| {
        Error::internal(format!("the client's body cannot be read again: {error}"))
    })?;
    let mut body = Vec::with_capacity(raw.len() + 256);
    let mut writer = Writer {
        request: inbound.request,
        target,
        has_raw: own.is_some(),
        asked: Map::new(),
        dropped: Vec::new(),
        object: ObjectWriter::new(&mut body),
    };
    match thinking::fields(inbound.request, target)? {
        Some(asked) => writer.asked = asked,
        None => writer.drop(Parameter::Reasoning),
    }
    writer
        .object
        .field("model", &target.endpoint.upstream_model_id);
    for (key, value) in &fields.0 {
        writer.field(key, value.get())?;
    }
    writer.rest(&fields)?;
    let dropped = writer.dropped;
    writer.object.end();
    Ok(NativeRequest {
        path: "/chat/completions".to_owned(),
        headers: vec![("content-type", "application/json".to_owned())],
        body,
        dropped,
    })
}

struct Writer<'a, 'o> {
    request: &'a ChatRequest,
    target: &'a Target<'a>,
    has_raw: bool,
    /// The fields that ask for reasoning.
    asked: Map<String, Value>,
    dropped: Vec<&'static str>,
    object: ObjectWriter<'o>,
}

impl Writer<'_, '_> {
    /// One field of the client's body.
    fn field(&mut self, key: &str, value: &str) -> Result<()> {
        let request = self.request;
        match key {
            "model" | "stream" | "stream_options" | "max_tokens" | "max_completion_tokens" => {}
            key if GATEWAY.contains(&key) || self.asked.contains_key(key) => {}
            "messages" => return self.messages(value),
            // `null` is how clients say nothing.
            _ if value == "null" => {}
            "tools" => self.tools(value),
            "tool_choice" if self.has_tools() => self.tool_choice(value),
            "parallel_tool_calls" if self.has_tools() => {
                if self.has(Quirk::NoParallelToolCalls) {
                    self.drop(Parameter::ParallelToolCalls);
                } else {
                    self.parameter(Parameter::ParallelToolCalls, key, value);
                }
            }
            "tool_choice" | "parallel_tool_calls" => {}
            "response_format" => self.response_format(value),
            "seed" if self.has(Quirk::RandomSeed) => {
                self.parameter(Parameter::Seed, "random_seed", value);
            }
            "user" if self.has(Quirk::PromptCacheKey) => {
                let hashed = request.user.as_deref().map(hashed_user);
                self.object.optional(key, hashed.as_deref());
            }
            "prompt_cache_key" | "prompt_cache_options" if self.has(Quirk::PromptCacheKey) => {
                self.object.raw(key, value);
            }
            "user" | "prompt_cache_key" | "prompt_cache_options" => {}
            // The endpoint's own tier is asked for below; a dearer one than the one whose price is known is not.
            "service_tier" if self.target.endpoint.service_tier().is_some() => {}
            "service_tier" if request.service_tier.as_deref() == Some("default") => {
                if !self.has(Quirk::RefusesUnknownFields) {
                    self.object.raw(key, value);
                }
            }
            "service_tier" => self.dropped.push("service_tier"),
            "web_search_options" if self.spells_as_perplexity() => self.perplexity_search(),
            // Words of other dialects: the most that these hosts know.
            "verbosity" if matches!(request.verbosity.as_deref(), Some("xhigh" | "max")) => {
                self.parameter(Parameter::Verbosity, key, "\"high\"");
            }
            key => match Parameter::parse(key) {
                Some(parameter) => self.parameter(parameter, key, value),
                None if self.has(Quirk::RefusesUnknownFields) && !COMMON.contains(&key) => {}
                None => self.object.raw(key, value),
            },
        }
        Ok(())
    }

    fn spells_as_perplexity(&self) -> bool {
        let search = self.target.endpoint.web_search.as_ref();
        search.is_some_and(|search| search.spelling == Some(SearchSpelling::Perplexity))
    }

    /// The search in Perplexity's own fields.
    fn perplexity_search(&mut self) {
        let Some(search) = NativeSearch::of(self.request) else {
            return;
        };
        let mut options = ObjectWriter::new(self.object.key("web_search_options"));
        options.optional("search_context_size", search.context_size.as_ref());
        if let Some(mut place) = search.location.clone() {
            place.remove("type");
            options.field("user_location", &place);
        }
        options.end();
        let blocked = search.blocked_domains.iter();
        let domains: Vec<String> = match search.allowed_domains.is_empty() {
            true => blocked.map(|domain| format!("-{domain}")).collect(),
            false => search.allowed_domains.clone(),
        };
        if !domains.is_empty() {
            self.object.field("search_domain_filter", &domains);
        }
    }

    /// The fields that come from more than one of the client's, or that the client need not send.
    fn rest(&mut self, fields: &Fields<'_>) -> Result<()> {
        if fields.get("messages").is_none() {
            self.messages("")?;
        }
        if let Some(tokens) = self.max_tokens() {
            let key = if self.has(Quirk::MaxCompletionTokens) {
                "max_completion_tokens"
            } else {
                "max_tokens"
            };
            self.object.field(key, &tokens);
        }
        if let Some(tier) = self.target.endpoint.service_tier() {
            self.object.field("service_tier", tier.as_str());
        }
        if self.request.stream {
            self.object.field("stream", &true);
            if !self.has(Quirk::NoStreamOptions) {
                self.stream_options(fields.get("stream_options"));
            }
        }
        for (key, value) in std::mem::take(&mut self.asked) {
            self.asked_field(&key, value, fields.get(&key));
        }
        Ok(())
    }

    /// A field that asks for reasoning; where it is an object, the client's own keys stay in it.
    fn asked_field(&mut self, key: &str, value: Value, own: Option<&str>) {
        let own = own.and_then(|own| crate::json::from_str::<Map<String, Value>>(own).ok());
        match (value, own) {
            (Value::Object(asked), Some(mut own)) if !GATEWAY.contains(&key) => {
                own.extend(asked);
                self.object.field(key, &own);
            }
            (value, _) => self.object.field(key, &value),
        }
    }

    fn messages(&mut self, raw: &str) -> Result<()> {
        if self.has_raw && !raw.is_empty() && messages::are_fit(self.request, raw, self.target) {
            self.object.raw("messages", raw);
            return Ok(());
        }
        messages::put_messages(self.object.key("messages"), self.request, self.target)
    }

    fn tools(&mut self, raw: &str) {
        let tools = &self.request.tools;
        // P61: an empty list is no list.
        if tools.is_empty() {
            return;
        }
        if !self.has_tools() {
            return self.drop(Parameter::Tools);
        }
        let has_marks = tools.iter().any(|tool| tool.cache.is_some());
        let strict_host = self.has(Quirk::RefusesUnknownFields);
        let mut own = Vec::new();
        let fit = if strict_host || (has_marks && !self.has(Quirk::CacheControlParts)) {
            messages::put_tools(&mut own, tools, false);
            own.as_slice()
        } else {
            raw.as_bytes()
        };
        match self.plain_patterns(fit, patterns::plain_tools) {
            Some(plain) => self.object.field("tools", &plain),
            None => self.object.key("tools").extend_from_slice(fit),
        }
    }

    /// P77: for hosts that read only plain patterns; `None` where the JSON can stay what it is.
    fn plain_patterns(
        &self,
        json: &[u8],
        rewrite: impl FnOnce(&[u8]) -> Option<Value>,
    ) -> Option<Value> {
        self.has(Quirk::PlainPatterns)
            .then(|| rewrite(json))
            .flatten()
    }

    fn tool_choice(&mut self, raw: &str) {
        let Some(choice) = &self.request.tool_choice else {
            return;
        };
        if !self.target.endpoint.supports(Parameter::ToolChoice) {
            return self.drop(Parameter::ToolChoice);
        }
        let is_simple = matches!(choice, ToolChoice::Auto | ToolChoice::None);
        if self.has(Quirk::ToolChoiceAutoOnly) && !is_simple {
            return self.drop(Parameter::ToolChoice);
        }
        match choice {
            // P63
            ToolChoice::Required if self.has(Quirk::ToolChoiceAny) => {
                self.object.field("tool_choice", "any");
            }
            ToolChoice::Required => self.object.field("tool_choice", "required"),
            _ => self.object.raw("tool_choice", raw),
        }
    }

    fn response_format(&mut self, raw: &str) {
        let endpoint = self.target.endpoint;
        match &self.request.response_format {
            Some(ResponseFormat::JsonSchema(_)) => {
                if endpoint.supports(Parameter::StructuredOutputs) && !self.has(Quirk::NoJsonSchema)
                {
                    match self.plain_patterns(raw.as_bytes(), patterns::plain_format) {
                        Some(plain) => self.object.field("response_format", &plain),
                        None => self.object.raw("response_format", raw),
                    }
                } else {
                    // JSON without the schema is nearer to what was asked than free text.
                    self.drop(Parameter::StructuredOutputs);
                    if endpoint.supports(Parameter::ResponseFormat) {
                        let format = serde_json::json!({"type": "json_object"});
                        self.object.field("response_format", &format);
                    }
                }
            }
            Some(ResponseFormat::Text) | None => {}
            Some(_) => self.parameter(Parameter::ResponseFormat, "response_format", raw),
        }
    }

    fn stream_options(&mut self, raw: Option<&str>) {
        let own = raw.and_then(|raw| Fields::parse(raw.as_bytes()).ok());
        let mut options = ObjectWriter::new(self.object.key("stream_options"));
        options.field("include_usage", &true);
        for (key, value) in own.iter().flat_map(|fields| &fields.0) {
            if key != "include_usage" {
                options.raw(key, value.get());
            }
        }
        options.end();
    }

    /// No more than the endpoint can write: more would be refused where less does.
    fn max_tokens(&self) -> Option<u64> {
        let most = self.target.endpoint.max_completion_tokens;
        let wanted = self.request.max_tokens?;
        Some(most.map_or(wanted, |most| wanted.min(most)))
    }

    fn has_tools(&self) -> bool {
        !self.request.tools.is_empty() && self.target.endpoint.supports(Parameter::Tools)
    }

    fn has(&self, quirk: Quirk) -> bool {
        self.target.provider.has(quirk)
    }

    fn parameter(&mut self, parameter: Parameter, key: &str, value: &str) {
        if self.target.endpoint.supports(parameter) {
            self.object.raw(key, value);
        } else {
            self.drop(parameter);
        }
    }

    fn drop(&mut self, parameter: Parameter) {
        self.dropped.push(parameter.as_str());
    }
}

/// The client's end user as a host sees them: recognisable again, but nobody's name.
pub(in crate::dialects) fn hashed_user(user: &str) -> String {
    let hash = Sha256::digest(user.as_bytes());
    let digits: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("user-{digits}")
}
