//! The plan: which endpoints may serve a request, in which order, and why the others may not.

use std::rc::Rc;

use serde_json::Value;

use super::preferences::{MaxPrice, ProviderPreferences};
use crate::{
    catalog::{Endpoint, Modality, Parameter, Provider, Route, ServedModel},
    chat::{ChatRequest, Part, ResponseFormat},
    credits::pricing::{OutputBounds, Price},
    error::{Error, ErrorType, Next, Result, Source},
};

/// The most endpoints that one request tries.
pub const MAX_ATTEMPTS: usize = 8;

/// Why an endpoint is not in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exclusion {
    /// The operator has no key for the provider.
    NoCredentials,
    /// `provider.only` or `provider.ignore`.
    AllowedProviders,
    /// `allow_fallbacks: false`.
    FallbacksOff,
    /// `provider.zdr`.
    DataPolicyZdr,
    /// `provider.data_collection: deny`.
    DataPolicyTraining,
    /// `provider.max_price`.
    MaxPrice,
    /// The prompt does not fit.
    ContextLength,
    /// `max_tokens` is beyond the endpoint's cap.
    MaxTokens,
    /// A needed parameter is not supported.
    RequireParameters,
    /// A kind of input is not supported.
    InputModality,
    /// `provider.quantizations`.
    Quantization,
    /// There are [`MAX_ATTEMPTS`] better ones.
    Attempts,
}

impl Exclusion {
    /// The reason code told to clients (`error.availability.excluded_by`).
    pub fn as_str(self) -> &'static str {
        match self {
            Exclusion::NoCredentials => "no_credentials",
            Exclusion::AllowedProviders => "allowed_providers",
            Exclusion::FallbacksOff => "allow_fallbacks",
            Exclusion::DataPolicyZdr => "data_policy:zdr",
            Exclusion::DataPolicyTraining => "data_policy:training",
            Exclusion::MaxPrice => "max_price",
            Exclusion::ContextLength => "context_length",
            Exclusion::MaxTokens => "max_tokens",
            Exclusion::RequireParameters => "require_parameters",
            Exclusion::InputModality => "input_modality",
            Exclusion::Quantization => "quantization",
            Exclusion::Attempts => "attempts",
        }
    }

    /// Whether the endpoint may be in the plan of the same request with a lower limit on its answer.
    pub fn depends_on_length(self) -> bool {
        matches!(
            self,
            Exclusion::MaxTokens | Exclusion::FallbacksOff | Exclusion::Attempts
        )
    }
}

/// The ordered attempts of a request, and the endpoints left out.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// To try in this order: 1 to [`MAX_ATTEMPTS`].
    pub attempts: Vec<Route>,
    /// What was left out, with the reason.
    pub excluded: Vec<(Route, Exclusion)>,
}

/// Plans a request over the models it names, in their order. A model leaves room for an attempt with each that follows.
///
/// `has_credentials` tells whether the operator can call a provider. Within a model endpoints are ordered by
/// `provider.order`, then by the price of this request, then by tag.
///
/// # Errors
/// 404 with the reasons when nothing is left.
pub fn plan(
    request: &ChatRequest,
    prompt_tokens: u64,
    models: &[Rc<ServedModel>],
    preferences: &ProviderPreferences,
    has_credentials: impl Fn(&Provider) -> bool,
) -> Result<Plan> {
    let needs = Needs::of(request, prompt_tokens, preferences)?;
    let mut plan = Plan::default();
    for (model, following) in models.iter().zip((0..models.len()).rev()) {
        let soft = needs.soft_parameters(model);
        let mut kept: Vec<Ranked<'_>> = Vec::new();
        for route in &model.routes {
            let Route { endpoint, provider } = route;
            let exclusion = if has_credentials(provider) {
                needs.exclusion(endpoint, provider, &soft)
            } else {
                Some(Exclusion::NoCredentials)
            };
            match exclusion {
                Some(reason) => plan.excluded.push((route.clone(), reason)),
                None => kept.push((needs.rank(endpoint, provider), needs.price(endpoint), route)),
            }
        }
        kept.sort_by(|a, b| (a.0, a.1, &a.2.endpoint.tag).cmp(&(b.0, b.1, &b.2.endpoint.tag)));
        if !preferences.fallbacks_allowed() {
            let keep = match &preferences.order {
                Some(order) => kept.iter().filter(|item| item.0 < order.len()).count(),
                None => 1,
            };
            plan.exclude(&mut kept, keep, Exclusion::FallbacksOff);
        }
        let left = MAX_ATTEMPTS.saturating_sub(plan.attempts.len());
        let room = left.saturating_sub(following).max(left.min(1));
        plan.exclude(&mut kept, room, Exclusion::Attempts);
        plan.attempts
            .extend(kept.into_iter().map(|(_, _, route)| route.clone()));
    }
    if plan.attempts.is_empty() {
        return Err(nothing_left(request, &plan.excluded));
    }
    Ok(plan)
}

/// An endpoint with its place in `provider.order` and the price of the request there.
type Ranked<'a> = (usize, i64, &'a Route);

impl Plan {
    /// Leaves out all but the first `keep` of `kept`.
    fn exclude(&mut self, kept: &mut Vec<Ranked<'_>>, keep: usize, reason: Exclusion) {
        let others = kept.drain(keep.min(kept.len())..);
        self.excluded
            .extend(others.map(|(_, _, route)| (route.clone(), reason)));
    }
}

/// What the request needs of an endpoint.
struct Needs<'a> {
    preferences: &'a ProviderPreferences,
    prompt_tokens: u64,
    max_tokens: Option<u64>,
    modalities: Vec<Modality>,
    parameters: Vec<Parameter>,
    max_prompt: Option<Price>,
    max_completion: Option<Price>,
}

impl<'a> Needs<'a> {
    fn of(
        request: &ChatRequest,
        prompt_tokens: u64,
        preferences: &'a ProviderPreferences,
    ) -> Result<Self> {
        let caps = preferences.max_price.clone().unwrap_or_default();
        let MaxPrice {
            prompt, completion, ..
        } = caps;
        Ok(Self {
            preferences,
            prompt_tokens,
            max_tokens: request.max_tokens,
            modalities: input_modalities(request),
            parameters: parameters(request),
            max_prompt: price_cap("prompt", prompt)?,
            max_completion: price_cap("completion", completion)?,
        })
    }

    /// Parameters that decide among a model's endpoints without being required: where some endpoints support one and
    /// others do not, only the supporting ones are used; where none does, it is ignored.
    fn soft_parameters(&self, model: &ServedModel) -> Vec<Parameter> {
        let soft = [
            Parameter::Tools,
            Parameter::ResponseFormat,
            Parameter::StructuredOutputs,
            Parameter::Verbosity,
        ];
        soft.into_iter()
            .filter(|parameter| self.parameters.contains(parameter))
            .filter(|parameter| model.routes.iter().any(|r| r.endpoint.supports(*parameter)))
            .collect()
    }

    fn exclusion(
        &self,
        endpoint: &Endpoint,
        provider: &Provider,
        soft: &[Parameter],
    ) -> Option<Exclusion> {
        let named = |names: &Option<Vec<String>>| {
            names.as_ref().map(|names| {
                names
                    .iter()
                    .any(|name| endpoint.answers_to(name) || provider.answers_to(name))
            })
        };
        let wants = self.preferences;
        if named(&wants.only) == Some(false) || named(&wants.ignore) == Some(true) {
            return Some(Exclusion::AllowedProviders);
        }
        if wants.zdr == Some(true) && !provider.data_policy.is_zdr() {
            return Some(Exclusion::DataPolicyZdr);
        }
        if wants.data_collection.as_deref() == Some("deny") && provider.data_policy.collects_data()
        {
            return Some(Exclusion::DataPolicyTraining);
        }
        if let Some(wanted) = &wants.quantizations {
            let own = endpoint.quantization.map_or("unknown", |q| q.as_str());
            if !wanted.iter().any(|word| word == own) {
                return Some(Exclusion::Quantization);
            }
        }
        let over = |cap: Option<Price>, price: Price| cap.is_some_and(|cap| price > cap);
        if over(self.max_prompt, endpoint.prices.prompt)
            || over(self.max_completion, endpoint.prices.completion)
        {
            return Some(Exclusion::MaxPrice);
        }
        if !self.modalities.iter().all(|kind| endpoint.reads(*kind)) {
            return Some(Exclusion::InputModality);
        }
        let window = endpoint
            .max_prompt_tokens
            .unwrap_or(endpoint.context_length);
        if window > 0 && self.prompt_tokens > window {
            return Some(Exclusion::ContextLength);
        }
        let cap = endpoint.max_completion_tokens.unwrap_or(u64::MAX);
        if self.max_tokens.is_some_and(|wanted| wanted > cap) {
            return Some(Exclusion::MaxTokens);
        }
        let required: &[Parameter] = if wants.require_parameters == Some(true) {
            &self.parameters
        } else {
            soft
        };
        if !required
            .iter()
            .all(|parameter| endpoint.supports(*parameter))
        {
            return Some(Exclusion::RequireParameters);
        }
        None
    }

    /// Position in `provider.order`; everything not named comes after.
    fn rank(&self, endpoint: &Endpoint, provider: &Provider) -> usize {
        let Some(order) = &self.preferences.order else {
            return 0;
        };
        order
            .iter()
            .position(|name| endpoint.answers_to(name) || provider.answers_to(name))
            .unwrap_or(order.len())
    }

    /// What this request would cost here, in nano-dollars; an amount beyond the range sorts last.
    fn price(&self, endpoint: &Endpoint) -> i64 {
        let output = OutputBounds {
            max_tokens: self.max_tokens,
            model_cap: endpoint.max_completion_tokens,
            typical: None,
        };
        endpoint
            .prices
            .estimate_hold(self.prompt_tokens, output)
            .map_or(i64::MAX, |amount| amount.get())
    }
}

fn input_modalities(request: &ChatRequest) -> Vec<Modality> {
    let mut found = vec![Modality::Text];
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    for part in parts {
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

fn parameters(request: &ChatRequest) -> Vec<Parameter> {
    let sampling = &request.sampling;
    let structured = matches!(request.response_format, Some(ResponseFormat::JsonSchema(_)));
    let formatted = matches!(request.response_format, Some(ResponseFormat::JsonObject));
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

fn price_cap(key: &str, value: Option<Value>) -> Result<Option<Price>> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    Price::from_dollars_per_million(&text)
        .map(Some)
        .map_err(|error| Error::invalid(format!("provider.max_price.{key}"), error.to_string()))
}

fn nothing_left(request: &ChatRequest, excluded: &[(Route, Exclusion)]) -> Error {
    let mut reasons: Vec<Exclusion> = excluded.iter().map(|(_, reason)| *reason).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let model = &request.model;
    let message = if reasons == [Exclusion::NoCredentials] {
        format!(
            "No endpoints found for {model}: this deployment holds no key of a provider that serves it."
        )
    } else {
        let listed: Vec<String> = excluded
            .iter()
            .map(|(route, reason)| format!("{} ({})", route.endpoint.tag, reason.as_str()))
            .collect();
        format!(
            "No endpoints found for {model} that satisfy the request. Left out: {}.",
            listed.join(", ")
        )
    };
    let codes: Vec<Value> = reasons
        .iter()
        .map(|reason| reason.as_str().into())
        .collect();
    Error::new(Source::Client, Next::Final, ErrorType::NotFound, message).with("excluded_by", codes)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
