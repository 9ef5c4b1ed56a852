//! What a request needs of an endpoint: limits, kinds of input, parameters, price caps and data policies.

use serde_json::Value;

use super::{
    plan::Exclusion,
    preferences::{DataCollection, MaxPrice, ProviderPreferences},
};
use crate::{
    catalog::{Endpoint, Modality, Parameter, Provider, Quantization, ServedModel},
    chat::{ChatRequest, Part, ResponseFormat},
    credits::{
        money::{MoneyError, Nanos},
        pricing::{OutputBounds, Price, PriceTable},
    },
    error::{Error, Result},
};

/// What the request needs of an endpoint.
pub(super) struct Needs<'a> {
    preferences: &'a ProviderPreferences,
    prompt_tokens: u64,
    max_tokens: Option<u64>,
    modalities: Vec<Modality>,
    parameters: Vec<Parameter>,
    max_prompt: Option<Price>,
    max_completion: Option<Price>,
    max_audio: Option<Price>,
    max_request: Option<Nanos>,
}

impl<'a> Needs<'a> {
    pub(super) fn of(
        request: &ChatRequest,
        prompt_tokens: u64,
        preferences: &'a ProviderPreferences,
    ) -> Result<Self> {
        let caps = preferences.max_price.as_ref();
        let cap = |of: fn(&MaxPrice) -> &Option<Value>| caps.and_then(|caps| of(caps).as_ref());
        Ok(Self {
            preferences,
            prompt_tokens,
            max_tokens: request.max_tokens,
            modalities: input_modalities(request),
            parameters: parameters(request),
            max_prompt: price_cap("prompt", cap(|c| &c.prompt), per_million)?,
            max_completion: price_cap("completion", cap(|c| &c.completion), per_million)?,
            max_audio: price_cap("audio", cap(|c| &c.audio), per_million)?,
            max_request: price_cap("request", cap(|c| &c.request), Nanos::from_dollars)?,
        })
    }

    /// Parameters that decide among a model's endpoints without being required: where some endpoints support one and
    /// others do not, only the supporting ones are used; where none does, it is ignored.
    pub(super) fn soft_parameters(&self, model: &ServedModel) -> Vec<Parameter> {
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

    pub(super) fn exclusion(
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
        if wants.data_collection == Some(DataCollection::Deny)
            && provider.data_policy.collects_data()
        {
            return Some(Exclusion::DataPolicyTraining);
        }
        if let Some(wanted) = &wants.quantizations
            && !wanted.iter().any(|word| is_precision(word, endpoint))
        {
            return Some(Exclusion::Quantization);
        }
        if self.is_too_dear(&endpoint.prices) {
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

    fn is_too_dear(&self, prices: &PriceTable) -> bool {
        let over = |cap: Option<Price>, price: Price| cap.is_some_and(|cap| price > cap);
        let audio = prices.audio_in.max(prices.audio_out);
        let request = prices.request.unwrap_or_default();
        over(self.max_prompt, prices.prompt)
            || over(self.max_completion, prices.completion)
            || over(self.max_audio, audio.unwrap_or_default())
            || self.max_request.is_some_and(|cap| request > cap)
    }

    /// Position in `provider.order`; everything not named comes after.
    pub(super) fn rank(&self, endpoint: &Endpoint, provider: &Provider) -> usize {
        let Some(order) = &self.preferences.order else {
            return 0;
        };
        order
            .iter()
            .position(|name| endpoint.answers_to(name) || provider.answers_to(name))
            .unwrap_or(order.len())
    }

    /// What this request would cost here, in nano-dollars; an amount beyond the range sorts last.
    pub(super) fn price(&self, endpoint: &Endpoint) -> i64 {
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

fn per_million(text: &str) -> Result<Price, MoneyError> {
    Price::from_dollars_per_million(text)
}

/// A cap: a number or its text.
fn price_cap<T>(
    key: &str,
    value: Option<&Value>,
    read: impl Fn(&str) -> Result<T, MoneyError>,
) -> Result<Option<T>> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    read(&text)
        .map(Some)
        .map_err(|error| Error::invalid(format!("provider.max_price.{key}"), error.to_string()))
}
