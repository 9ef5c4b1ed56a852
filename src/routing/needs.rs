//! What a request needs of an endpoint: limits, kinds of input and output, parameters, price caps and data policies.
//!
//! Out of scope: tiers of service (`tiers`), keys (`plan`), what is only preferred (`sorting`).

use super::{
    plan::Exclusion,
    preferences::{DataCollection, ProviderPreferences},
    situation::{Situation, Wanted},
};
use crate::{
    catalog::{
        Endpoint, Modality, Model, Operation, Parameter, Provider, Quantization, Route, ServedModel,
    },
    chat::{ChatRequest, Part, ResponseFormat, estimate},
    credits::{
        money::Nanos,
        pricing::{OutputBounds, Price, PriceTable, UNITS_PER_PRICE},
    },
    guardrails::{Applied, Candidate, Policy},
    transforms::{PdfEngine, Plugins, compress, files},
};

/// What the request needs of an endpoint.
pub(super) struct Needs<'a> {
    preferences: &'a ProviderPreferences,
    policy: Option<&'a Policy>,
    operation: Operation,
    prompt_tokens: u64,
    max_tokens: Option<u64>,
    inputs: Vec<Modality>,
    outputs: Vec<Modality>,
    parameters: Vec<Parameter>,
    plugins: Plugins,
    /// The gateway can read the request's files itself.
    reads_files: bool,
}

/// What a request needs of the endpoints of one model, given what all of them can do.
pub(super) struct OfModel {
    parameters: Vec<Parameter>,
    /// Files are left to the model.
    wants_files: bool,
    /// The least window: the whole prompt where some endpoint takes it, else what the prompt may be cut to.
    window: u64,
}

impl<'a> Needs<'a> {
    pub(super) fn of(request: &ChatRequest, situation: &Situation<'a>) -> Self {
        let wanted = situation.wanted.as_ref();
        let operation = wanted.map_or(Operation::Chat, |wanted| wanted.operation);
        let mut plugins = Plugins::parse(&request.extra).unwrap_or_default();
        if operation != Operation::Chat {
            // There is no conversation to cut.
            plugins.compression = Some(false);
        }
        Self {
            plugins,
            reads_files: plugins.pdf != PdfEngine::Native && files::are_readable(request),
            preferences: situation.preferences,
            policy: situation.policy,
            operation,
            prompt_tokens: situation.prompt_tokens,
            max_tokens: request.max_tokens,
            inputs: wanted
                .map_or_else(|| input_modalities(request), |wanted| wanted.inputs.clone()),
            outputs: request
                .modalities
                .iter()
                .filter_map(|word| Modality::parse(word))
                .collect(),
            parameters: parameters(request),
        }
    }

    /// What decides among a model's endpoints without being required: where some endpoints can do it and others cannot, only
    /// those that can are used; where none can, the gateway does it, or it is ignored.
    pub(super) fn of_model(&self, model: &ServedModel) -> OfModel {
        let soft = [
            Parameter::Tools,
            Parameter::ResponseFormat,
            Parameter::StructuredOutputs,
            Parameter::Verbosity,
        ];
        let any = |can: &dyn Fn(&Endpoint) -> bool| model.routes.iter().any(|r| can(&r.endpoint));
        let asks_native = self.plugins.pdf != PdfEngine::Text;
        let need = self.prompt_tokens;
        // Tiers that nobody named do not count.
        let is_usual = |route: &Route| {
            route.endpoint.service_tier().is_none() || self.preferences.only.is_some()
        };
        let is_wanted = |route: &&Route| is_usual(route) && self.by_name(route, false).is_none();
        let windows = || {
            model
                .routes
                .iter()
                .filter(is_wanted)
                .map(|r| window(&r.endpoint))
        };
        let takes = |tokens: u64| windows().any(|window| window >= tokens);
        OfModel {
            parameters: soft
                .into_iter()
                .filter(|parameter| self.parameters.contains(parameter))
                .filter(|parameter| any(&|endpoint| endpoint.supports(*parameter)))
                .collect(),
            wants_files: !self.reads_files
                || (asks_native && any(&|endpoint| endpoint.reads(Modality::File))),
            window: match need {
                need if takes(need) => need,
                need if takes(need / 2) => need / 2,
                _ => 0,
            },
        }
    }

    /// Whether the endpoint does something else than what is asked for.
    pub(super) fn is_of_another_operation(&self, endpoint: &Endpoint) -> bool {
        endpoint.operation != self.operation
    }

    /// Why the endpoint may not serve, if it may not. `is_tier_admitted`: something else than its own name admits the tier
    /// of its service, so that its provider's name means it too.
    pub(super) fn exclusion(
        &self,
        model: &Model,
        route: &Route,
        of_model: &OfModel,
        is_tier_admitted: bool,
    ) -> Option<Exclusion> {
        let Route { endpoint, provider } = route;
        let wants = self.preferences;
        if let Some((denial, _)) = self
            .policy
            .and_then(|policy| policy.denial(&candidate(route)))
        {
            return Some(denial.into());
        }
        if let Some(reason) = self.by_name(route, is_tier_admitted) {
            return Some(reason);
        }
        if let Some(reason) = self.data_policy(model, provider) {
            return Some(reason);
        }
        if let Some(wanted) = &wants.quantizations
            && !wanted.iter().any(|word| is_precision(word, endpoint))
        {
            return Some(Exclusion::Quantization);
        }
        if self.is_too_dear(&endpoint.prices) {
            return Some(Exclusion::MaxPrice);
        }
        let is_read = |kind: &Modality| {
            let by_gateway = *kind == Modality::File && !of_model.wants_files;
            by_gateway || endpoint.reads(*kind)
        };
        if !self.inputs.iter().all(is_read) {
            return Some(Exclusion::InputModality);
        }
        let writes = &endpoint.output_modalities;
        if !self.outputs.iter().all(|kind| writes.contains(kind)) {
            return Some(Exclusion::OutputModality);
        }
        self.limits(endpoint, of_model.window).or_else(|| {
            let required: &[Parameter] = if wants.require_parameters == Some(true) {
                &self.parameters
            } else {
                &of_model.parameters
            };
            let supports = |parameter: &Parameter| endpoint.supports(*parameter);
            (!required.iter().all(supports)).then_some(Exclusion::RequireParameters)
        })
    }

    /// What `provider.only` and `provider.ignore` say.
    fn by_name(
        &self,
        Route { endpoint, provider }: &Route,
        is_tier_admitted: bool,
    ) -> Option<Exclusion> {
        let among = |names: &Option<Vec<String>>, is_tier_admitted| {
            let mut names = names.iter().flatten();
            names.any(|name| is_named(name, endpoint, provider, is_tier_admitted))
        };
        let wants = self.preferences;
        if wants.only.is_some() && !among(&wants.only, is_tier_admitted) {
            return Some(Exclusion::AllowedProviders);
        }
        // Who refuses a provider refuses all its tiers.
        among(&wants.ignore, true).then_some(Exclusion::IgnoredProviders)
    }

    fn data_policy(&self, model: &Model, provider: &Provider) -> Option<Exclusion> {
        let wants = self.preferences;
        let policy = &provider.data_policy;
        if wants.zdr == Some(true) && !policy.is_zdr() {
            return Some(Exclusion::DataPolicyZdr);
        }
        if wants.data_collection == Some(DataCollection::Deny) && policy.collects_data() {
            return Some(Exclusion::DataPolicyTraining);
        }
        let must_distil = wants.enforce_distillable_text == Some(true);
        (must_distil && !model.distillable).then_some(Exclusion::Distillable)
    }

    fn limits(&self, endpoint: &Endpoint, least: u64) -> Option<Exclusion> {
        let need = self.prompt_tokens;
        let least = match self.plugins.compression {
            wanted if !compress::applies(wanted, endpoint) => need,
            Some(_) => least,
            // Nobody asked for so much to be left out.
            None => least.max(need / 2),
        };
        if window(endpoint) < least {
            return Some(Exclusion::ContextLength);
        }
        let cap = endpoint.max_completion_tokens.unwrap_or(u64::MAX);
        let is_longer = self.max_tokens.is_some_and(|wanted| wanted > cap);
        is_longer.then_some(Exclusion::MaxTokens)
    }

    fn is_too_dear(&self, prices: &PriceTable) -> bool {
        let caps = &self.preferences.max_price;
        let over = |cap: Option<Price>, price| cap.is_some_and(|cap| prices.net(price) > cap);
        let audio = prices.audio_in.max(prices.audio_out);
        let request = prices.request.unwrap_or_default();
        over(caps.prompt, prices.prompt)
            || over(caps.completion, prices.completion)
            || over(caps.audio, audio.unwrap_or_default())
            || caps
                .request
                .is_some_and(|cap| prices.net_amount(request) > cap)
            || caps.image.is_some_and(|cap| {
                self.inputs.contains(&Modality::Image) && image_price(prices) > cap.get()
            })
    }

    /// Position in `provider.order`; everything not named comes after.
    pub(super) fn rank(
        &self,
        Route { endpoint, provider }: &Route,
        is_tier_admitted: bool,
    ) -> usize {
        let Some(order) = &self.preferences.order else {
            return 0;
        };
        order
            .iter()
            .position(|name| is_named(name, endpoint, provider, is_tier_admitted))
            .unwrap_or(order.len())
    }
}

/// An endpoint as guardrails see it.
fn candidate(Route { endpoint, provider }: &Route) -> Candidate<'_> {
    Candidate {
        model: &endpoint.model,
        is_free: endpoint.prices.is_free(),
        provider,
        endpoint: Some(endpoint),
    }
}

/// The guardrail that keeps an endpoint out, if one does.
pub(super) fn guardrail<'p>(policy: Option<&'p Policy>, route: &Route) -> Option<&'p Applied> {
    policy?.denial(&candidate(route)).map(|(_, by)| by)
}

/// Tokens of a prompt that an endpoint takes.
fn window(endpoint: &Endpoint) -> u64 {
    match endpoint
        .max_prompt_tokens
        .unwrap_or(endpoint.context_length)
    {
        // Not known.
        0 => u64::MAX,
        window => window,
    }
}

/// Whether a name out of `order`, `only` or `ignore` means this endpoint. A provider's name means its tier endpoints only
/// where their tier is admitted.
pub(super) fn is_named(
    name: &str,
    endpoint: &Endpoint,
    provider: &Provider,
    is_tier_admitted: bool,
) -> bool {
    endpoint.answers_to(name)
        || ((is_tier_admitted || endpoint.service_tier().is_none()) && provider.answers_to(name))
}

/// What a request probably costs at an endpoint's list prices; `None` beyond any price.
pub fn expected_cost(
    request: &ChatRequest,
    situation: &Situation<'_>,
    endpoint: &Endpoint,
) -> Option<Nanos> {
    if let Some(Wanted { expected, .. }) = &situation.wanted {
        return endpoint
            .prices
            .cost(expected)
            .ok()
            .map(|charge| charge.total);
    }
    let output = output_bounds(request, endpoint);
    let prompt_tokens = situation.prompt_tokens;
    endpoint.prices.estimate_hold(prompt_tokens, output).ok()
}

/// What is known about the length of the output.
pub(super) fn output_bounds(request: &ChatRequest, endpoint: &Endpoint) -> OutputBounds {
    let answers = u64::from(request.n.unwrap_or(1).max(1));
    let times = |limit: u64| limit.saturating_mul(answers);
    OutputBounds {
        max_tokens: request.max_tokens.map(times),
        model_cap: endpoint.max_completion_tokens.map(times),
        typical: None,
    }
}

/// An image is charged as the prompt tokens that it makes.
fn image_price(prices: &PriceTable) -> i64 {
    let tokens = i128::from(estimate::IMAGE_TOKENS);
    let prompt = prices.net(prices.prompt);
    let nanos = i128::from(prompt.get()) * tokens / i128::from(UNITS_PER_PRICE);
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

pub(super) fn input_modalities(request: &ChatRequest) -> Vec<Modality> {
    let mut found = vec![Modality::Text];
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    // What a tool shows has to be seen as well.
    let shown = parts.clone().flat_map(|part| match part {
        Part::ToolResult { content, .. } => content.as_slice(),
        _ => &[],
    });
    // Its files may be text, or become it here.
    let shown = shown.filter(|part| !matches!(part, Part::File { .. }));
    for part in parts.chain(shown) {
        let kind = match part {
            Part::Image { .. } => Modality::Image,
            Part::Audio { .. } => Modality::Audio,
            Part::Video { .. } => Modality::Video,
            Part::File { .. } => Modality::File,
            _ => continue,
        };
        if !found.contains(&kind) {
            found.push(kind);
        }
    }
    found
}

pub(super) fn parameters(request: &ChatRequest) -> Vec<Parameter> {
    let sampling = &request.sampling;
    let structured = matches!(request.response_format, Some(ResponseFormat::JsonSchema(_)));
    let formatted = matches!(
        request.response_format,
        Some(ResponseFormat::JsonObject | ResponseFormat::Other(_))
    );
    [
        (sampling.temperature.is_some(), Parameter::Temperature),
        (sampling.top_p.is_some(), Parameter::TopP),
        (sampling.top_k.is_some(), Parameter::TopK),
        (sampling.min_p.is_some(), Parameter::MinP),
        (sampling.top_a.is_some(), Parameter::TopA),
        (
            sampling.frequency_penalty.is_some(),
            Parameter::FrequencyPenalty,
        ),
        (
            sampling.presence_penalty.is_some(),
            Parameter::PresencePenalty,
        ),
        (
            sampling.repetition_penalty.is_some(),
            Parameter::RepetitionPenalty,
        ),
        (sampling.seed.is_some(), Parameter::Seed),
        (request.max_tokens.is_some(), Parameter::MaxTokens),
        (!request.stop.is_empty(), Parameter::Stop),
        (!request.tools.is_empty(), Parameter::Tools),
        (request.tool_choice.is_some(), Parameter::ToolChoice),
        (
            request.parallel_tool_calls.is_some(),
            Parameter::ParallelToolCalls,
        ),
        (structured, Parameter::StructuredOutputs),
        (formatted, Parameter::ResponseFormat),
        (request.reasoning.is_some(), Parameter::Reasoning),
        (request.logprobs == Some(true), Parameter::Logprobs),
        (request.top_logprobs.is_some(), Parameter::TopLogprobs),
        (request.logit_bias.is_some(), Parameter::LogitBias),
        (request.prediction.is_some(), Parameter::Prediction),
        (request.verbosity.is_some(), Parameter::Verbosity),
        (
            request.web_search_options.is_some(),
            Parameter::WebSearchOptions,
        ),
    ]
    .into_iter()
    .filter_map(|(sent, parameter)| sent.then_some(parameter))
    .collect()
}

/// Whether a word of `provider.quantizations` means the precision of this endpoint.
fn is_precision(word: &str, endpoint: &Endpoint) -> bool {
    let Some(own) = endpoint.quantization else {
        return word == "unknown";
    };
    match own {
        Quantization::Mxfp4 | Quantization::Nvfp4 => word == "fp4" || word == own.as_str(),
        Quantization::Mxfp8 => word == "fp8" || word == own.as_str(),
        own => word == own.as_str(),
    }
}
