//! A request → a Responses host's own form.
//!
//! A client of the same dialect gets its own input through (`passthrough`); everybody else's request is written from its
//! canonical form, here. Functions that do not say whether they are strict are not: that is what chat completions mean, and
//! these hosts would assume the contrary.

use serde_json::{Value, json};

use super::{input, passthrough};
use crate::{
    catalog::{Parameter, Quirk, SearchSpelling},
    chat::{ChatRequest, Effort, NativeSearch, ReasoningWish, ResponseFormat, Tool, ToolChoice},
    dialects::{
        Inbound, NativeRequest, Target,
        openai_chat::hashed_user,
        patterns,
        splice::{Fields, ObjectWriter, put, put_array},
    },
    error::{Error, Next, Result},
};

/// The least limit that these hosts take.
const LEAST_OUTPUT_TOKENS: u64 = 16;

/// Reasoning that can be sent back, without anything being stored at the provider.
pub(super) const SEALED_REASONING: &str = "reasoning.encrypted_content";
/// Log probabilities of the answer.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

/// Writes a request.
///
/// # Errors
/// When the client's request cannot be said to this host, with the path of the field.
pub fn request(inbound: &Inbound<'_>, target: &Target<'_>) -> Result<NativeRequest> {
    let request = inbound.request;
    let own = passthrough::fields(inbound)?;
    let mut body = Vec::with_capacity(1024);
    let mut writer = Writer {
        request,
        target,
        own: own.as_ref(),
        dropped: without_native_form(request),
        object: ObjectWriter::new(&mut body),
    };
    writer
        .object
        .field("model", &target.endpoint.upstream_model_id);
    writer.input()?;
    writer.tools();
    writer.sampling();
    writer.text();
    writer.reasoning()?;
    writer.account();
    writer.ends();
    writer.others();
    let dropped = writer.dropped;
    writer.object.end();
    Ok(native(body, dropped))
}

/// A request with this body.
pub(super) fn native(body: Vec<u8>, dropped: Vec<&'static str>) -> NativeRequest {
    NativeRequest {
        path: "/responses".to_owned(),
        headers: vec![("content-type", "application/json".to_owned())],
        body,
        dropped,
    }
}

/// The parameters in the request that the API has no words for.
fn without_native_form(request: &ChatRequest) -> Vec<&'static str> {
    let sampling = &request.sampling;
    let modalities = &request.modalities;
    [
        ("top_k", sampling.top_k.is_some()),
        ("min_p", sampling.min_p.is_some()),
        ("top_a", sampling.top_a.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("stop", !request.stop.is_empty()),
        ("n", request.n.is_some_and(|n| n > 1)),
        ("logit_bias", request.logit_bias.is_some()),
        ("prediction", request.prediction.is_some()),
        ("modalities", modalities.iter().any(|word| word != "text")),
        ("audio", request.audio.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_sent)| is_sent.then_some(name))
    .collect()
}

struct Writer<'a, 'o> {
    request: &'a ChatRequest,
    target: &'a Target<'a>,
    /// The client's own fields, where it speaks as the host does.
    own: Option<&'a Fields<'a>>,
    dropped: Vec<&'static str>,
    object: ObjectWriter<'o>,
}

impl<'a> Writer<'a, '_> {
    fn input(&mut self) -> Result<()> {
        match self.own("input") {
            Some(input) => passthrough::put_input(self.object.key("input"), input, self.target),
            None => input::put_input(self.object.key("input"), self.request, self.target),
        }
    }

    /// The client's own fields that nobody here knows.
    fn others(&mut self) {
        let has_cache = self.has(Quirk::PromptCacheKey);
        for (key, value) in self.own.iter().flat_map(|own| &own.0) {
            let is_cache = passthrough::CACHE.contains(&key.as_ref());
            let is_unknown = passthrough::is_unknown(key) && !self.has(Quirk::RefusesUnknownFields);
            let goes_on = is_unknown || key == "instructions" || (is_cache && has_cache);
            if goes_on && value.get() != "null" {
                self.object.raw(key, value.get());
            }
        }
    }

    /// The client's own value of a field.
    fn own(&self, key: &str) -> Option<&'a str> {
        self.own.and_then(|own| own.get(key))
    }

    fn has(&self, quirk: Quirk) -> bool {
        self.target.provider.has(quirk)
    }

    fn tools(&mut self) {
        let request = self.request;
        let search = NativeSearch::of(request);
        let searches = search.is_some() && self.supports(Parameter::WebSearchOptions);
        if search.is_some() && !searches {
            self.drop(Parameter::WebSearchOptions);
        }
        let search = search.filter(|_| searches);
        // P61: an empty list is no list.
        if request.tools.is_empty() && search.is_none() {
            return;
        }
        let takes = self.supports(Parameter::Tools);
        if !takes && !request.tools.is_empty() {
            self.drop(Parameter::Tools);
        }
        let functions = if takes { &request.tools[..] } else { &[] };
        if functions.is_empty() && search.is_none() {
            return;
        }
        let plain = self.has(Quirk::PlainPatterns);
        match (self.own("tools").filter(|_| !plain), search.as_deref()) {
            (Some(tools), None) => {
                let tools = passthrough::without_search(tools);
                self.object.raw("tools", &tools);
            }
            (Some(tools), Some(search)) if search.is_own && !self.is_preview() => {
                self.object.raw("tools", tools);
            }
            (_, search) => {
                let mut list = Vec::new();
                put_tools(&mut list, functions, plain);
                if let Some(search) = search {
                    list.pop();
                    if !functions.is_empty() {
                        list.push(b',');
                    }
                    put(&mut list, &hosted_search(search, self.spelling()));
                    list.push(b']');
                }
                self.object.key("tools").extend_from_slice(&list);
            }
        }
        if functions.is_empty() {
            return;
        }
        if let Some(choice) = &request.tool_choice {
            if self.supports(Parameter::ToolChoice) {
                match self.own("tool_choice") {
                    Some(own) => self.object.raw("tool_choice", own),
                    None => put_choice(&mut self.object, choice),
                }
            } else {
                self.drop(Parameter::ToolChoice);
            }
        }
        if let Some(parallel) = request.parallel_tool_calls {
            if self.has(Quirk::NoParallelToolCalls) {
                self.drop(Parameter::ParallelToolCalls);
            } else {
                self.object.field("parallel_tool_calls", &parallel);
            }
        }
    }

    fn sampling(&mut self) {
        let sampling = &self.request.sampling;
        for (parameter, value) in [
            (Parameter::Temperature, &sampling.temperature),
            (Parameter::TopP, &sampling.top_p),
            (Parameter::FrequencyPenalty, &sampling.frequency_penalty),
            (Parameter::PresencePenalty, &sampling.presence_penalty),
        ] {
            let Some(value) = value else { continue };
            if self.supports(parameter) {
                self.object.field(parameter.as_str(), value);
            } else {
                self.drop(parameter);
            }
        }
        if let Some(tokens) = max_output_tokens(self.request, self.target) {
            if self
                .request
                .max_tokens
                .is_some_and(|wanted| wanted < tokens)
            {
                self.drop(Parameter::MaxTokens);
            }
            self.object.field("max_output_tokens", &tokens);
        }
    }

    fn text(&mut self) {
        let format = self.format();
        let verbosity = self.request.verbosity.as_deref();
        let verbosity = match verbosity {
            Some(_) if !self.supports(Parameter::Verbosity) => {
                self.drop(Parameter::Verbosity);
                None
            }
            // Words of other dialects: the most that these hosts know.
            Some("xhigh" | "max") => Some("high"),
            verbosity => verbosity,
        };
        if format.is_none() && verbosity.is_none() {
            return;
        }
        let mut text = ObjectWriter::new(self.object.key("text"));
        text.optional("format", format.as_ref());
        text.optional("verbosity", verbosity);
        text.end();
    }

    fn format(&mut self) -> Option<serde_json::Value> {
        match self.request.response_format.as_ref()? {
            ResponseFormat::Text => None,
            ResponseFormat::JsonSchema(_) if !self.supports(Parameter::StructuredOutputs) => {
                // JSON without the schema is nearer to what was asked than free text.
                self.drop(Parameter::StructuredOutputs);
                self.supports(Parameter::ResponseFormat)
                    .then(|| json!({"type": "json_object"}))
            }
            ResponseFormat::JsonSchema(asked) => {
                let mut format =
                    json!({"type": "json_schema", "name": asked.name, "schema": asked.schema});
                if self.target.provider.has(Quirk::PlainPatterns)
                    && let Some(plain) = patterns::plain_schema(&asked.schema)
                    && let Some(schema) = format.get_mut("schema")
                {
                    *schema = plain;
                }
                if let Some(fields) = format.as_object_mut() {
                    fields.extend(
                        asked
                            .description
                            .clone()
                            .map(|text| ("description".to_owned(), text.into())),
                    );
                    fields.extend(
                        asked
                            .strict
                            .map(|strict| ("strict".to_owned(), strict.into())),
                    );
                }
                Some(format)
            }
            _ if !self.supports(Parameter::ResponseFormat) => {
                self.drop(Parameter::ResponseFormat);
                None
            }
            ResponseFormat::JsonObject => Some(json!({"type": "json_object"})),
            ResponseFormat::Other(format) => Some(format.clone()),
        }
    }

    fn reasoning(&mut self) -> Result<()> {
        let asked = Asked::of(self.request, self.target)?;
        if asked.is_dropped {
            self.drop(Parameter::Reasoning);
        }
        let summary = summary(self.request, self.target, self.own.is_some());
        if asked.effort.is_some() || summary.is_some() {
            let mut reasoning = ObjectWriter::new(self.object.key("reasoning"));
            reasoning.optional("effort", asked.effort.as_ref());
            reasoning.optional("summary", summary);
            // What OpenAI knows beyond that.
            let own = self.own.and_then(|own| own.get("reasoning"));
            let own = own.and_then(|own| Fields::parse(own.as_bytes()).ok());
            for (key, value) in own.iter().flat_map(|own| &own.0) {
                if matches!(key.as_ref(), "context" | "mode") && value.get() != "null" {
                    reasoning.raw(key, value.get());
                }
            }
            reasoning.end();
        }
        Ok(())
    }

    /// Who asks, and how soon it is wanted.
    fn account(&mut self) {
        let request = self.request;
        if self.target.provider.has(Quirk::PromptCacheKey) {
            let user = request.user.as_deref().map(hashed_user);
            self.object.optional("safety_identifier", user.as_deref());
            self.object
                .optional("prompt_cache_key", request.prompt_cache_key.as_deref());
        }
        match (
            self.target.endpoint.service_tier(),
            request.service_tier.as_deref(),
        ) {
            (Some(tier), _) => self.object.field("service_tier", tier.as_str()),
            (None, Some("default")) => self.object.field("service_tier", "default"),
            // A dearer tier than the one whose price is known is not asked for.
            (None, Some(_)) => self.dropped.push("service_tier"),
            (None, None) => {}
        }
    }

    fn ends(&mut self) {
        let own = self
            .own("include")
            .map(crate::json::from_str::<Vec<String>>);
        let mut include = own.and_then(std::result::Result::ok).unwrap_or_default();
        include.retain(|word| word != SEALED_REASONING && word != LOGPROBS);
        if self.target.endpoint.reasoning.is_some() {
            include.push(SEALED_REASONING.to_owned());
        }
        if self.request.logprobs == Some(true) {
            if self.supports(Parameter::Logprobs) {
                include.push(LOGPROBS.to_owned());
                self.object
                    .optional("top_logprobs", self.request.top_logprobs.as_ref());
            } else {
                self.drop(Parameter::Logprobs);
            }
        }
        if !include.is_empty() {
            self.object.field("include", &include);
        }
        self.object.field("store", &false);
        if self.request.stream && !self.target.endpoint.answers_whole {
            self.object.field("stream", &true);
        }
    }

    /// How the host wants to be asked for a search.
    fn spelling(&self) -> Option<SearchSpelling> {
        self.target.endpoint.web_search.as_ref()?.spelling
    }

    fn is_preview(&self) -> bool {
        self.spelling() == Some(SearchSpelling::Preview)
    }

    fn supports(&self, parameter: Parameter) -> bool {
        self.target.endpoint.supports(parameter)
    }

    fn drop(&mut self, parameter: Parameter) {
        self.dropped.push(parameter.as_str());
    }
}

/// The search that these hosts run themselves.
fn hosted_search(search: &NativeSearch, spelling: Option<SearchSpelling>) -> Value {
    let name = match spelling {
        Some(SearchSpelling::Preview) => "web_search_preview",
        _ => "web_search",
    };
    let mut tool = json!({"type": name});
    let (allowed, blocked) = (&search.allowed_domains, &search.blocked_domains);
    let filters = match spelling {
        _ if !allowed.is_empty() => Some(json!({"allowed_domains": allowed})),
        Some(SearchSpelling::Xai) if !blocked.is_empty() => {
            Some(json!({"excluded_domains": blocked}))
        }
        _ => None,
    };
    if let Some(object) = tool.as_object_mut() {
        // xAI knows neither.
        let is_hinted = spelling != Some(SearchSpelling::Xai);
        let size = search.context_size.as_ref().filter(|_| is_hinted);
        let size = size.map(|size| json!(size));
        let location = search.user_location().filter(|_| is_hinted);
        let location = location.map(Value::Object);
        for (key, value) in [
            ("search_context_size", size),
            ("user_location", location),
            ("filters", filters),
        ] {
            object.extend(value.map(|value| (key.to_owned(), value)));
        }
    }
    tool
}

/// Appends the list of tools; with `plain` patterns where the host reads no others (P77).
pub(super) fn put_tools(out: &mut Vec<u8>, tools: &[Tool], plain: bool) {
    put_array(out, tools, |out, tool| {
        let mut object = ObjectWriter::new(out);
        object.field("type", "function");
        object.field("name", &tool.name);
        object.optional("description", tool.description.as_deref());
        let nothing = json!({"type": "object", "properties": {}});
        let parameters = tool.parameters.as_ref().unwrap_or(&nothing);
        let rewritten = plain.then(|| patterns::plain_schema(parameters)).flatten();
        object.field("parameters", rewritten.as_ref().unwrap_or(parameters));
        // P78
        object.field("strict", &tool.strict.unwrap_or(false));
        object.end();
    });
}

fn put_choice(object: &mut ObjectWriter<'_>, choice: &ToolChoice) {
    let word = match choice {
        ToolChoice::Auto => "auto",
        ToolChoice::None => "none",
        ToolChoice::Required => "required",
        ToolChoice::Function(name) => {
            return object.field("tool_choice", &json!({"type": "function", "name": name}));
        }
    };
    object.field("tool_choice", word);
}

/// No more than the endpoint can write, and no less than these hosts take.
pub(super) fn max_output_tokens(request: &ChatRequest, target: &Target<'_>) -> Option<u64> {
    let wanted = request.max_tokens?.max(LEAST_OUTPUT_TOKENS);
    let most = target.endpoint.max_completion_tokens;
    Some(most.map_or(wanted, |most| wanted.min(most)))
}

/// How hard the host is asked to think.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) effort: Option<Effort>,
    /// The client asked for what this endpoint cannot do.
    pub(super) is_dropped: bool,
}

impl Asked {
    /// P90: what the endpoint can be asked for decides.
    ///
    /// # Errors
    /// When reasoning is switched off where it cannot be.
    pub(super) fn of(request: &ChatRequest, target: &Target<'_>) -> Result<Self> {
        let wish = request.reasoning.as_ref().map(|asked| asked.wish());
        let wish = wish.unwrap_or(ReasoningWish::Default);
        if wish == ReasoningWish::Default {
            return Ok(Self::default());
        }
        let Some(able) = &target.endpoint.reasoning else {
            // An endpoint that never thinks does what it is asked when it is asked not to.
            let is_dropped = wish != ReasoningWish::Off;
            return Ok(Self {
                effort: None,
                is_dropped,
            });
        };
        let limit = request
            .max_tokens
            .or(target.endpoint.max_completion_tokens)
            .unwrap_or(target.endpoint.context_length);
        let wanted = match wish {
            ReasoningWish::Off if able.mandatory => {
                let told = "Reasoning is mandatory for this endpoint and cannot be disabled.";
                let mut error = Error::invalid("reasoning", told);
                error.next = Next::NextAttempt;
                return Err(error);
            }
            ReasoningWish::Off | ReasoningWish::Default => Effort::None,
            ReasoningWish::Effort(effort) => effort,
            ReasoningWish::Budget(tokens) => Effort::of_budget(tokens, limit),
        };
        let effort = able.nearest_effort(wanted);
        Ok(Self {
            is_dropped: effort.is_none(),
            effort,
        })
    }
}

/// The form in which thoughts are told: as the client said, else, where it wants to read them, as the host likes.
/// A client of Responses says it itself.
fn summary<'a>(request: &'a ChatRequest, target: &Target<'_>, is_own: bool) -> Option<&'a str> {
    let asked = request.reasoning.as_ref()?;
    let is_wanted =
        !asked.exclude && asked.wish() != ReasoningWish::Off && target.endpoint.reasoning.is_some();
    let is_usual = target.provider.has(Quirk::SummarizesReasoning) && !is_own;
    let usual = is_usual.then_some("auto");
    asked.summary.as_deref().or(usual).filter(|_| is_wanted)
}
