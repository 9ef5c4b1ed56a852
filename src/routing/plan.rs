//! The plan: which endpoints may serve a request, in which order, and why the others may not.

use serde_json::Value;

use super::{
    credential::Credential,
    needs::Needs,
    order::{self, Aim, Candidate, OrderContext},
    situation::{Asked, Situation},
};
use crate::{
    catalog::Route,
    chat::ChatRequest,
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

/// One attempt of a plan: whom to call, and with whose key.
#[derive(Debug, Clone)]
pub struct Step {
    /// The endpoint and its provider.
    pub route: Route,
    /// Whose key.
    pub credential: Credential,
}

impl From<Route> for Step {
    /// With the operator's key.
    fn from(route: Route) -> Self {
        Self {
            route,
            credential: Credential::Operator,
        }
    }
}

/// The ordered attempts of a request, and the endpoints left out.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// To try in this order: 1 to [`MAX_ATTEMPTS`].
    pub attempts: Vec<Step>,
    /// What was left out, with the reason.
    pub excluded: Vec<(Route, Exclusion)>,
}

/// Plans a request over the models it names, in their order. A model leaves room for an attempt with each that follows.
///
/// # Errors
/// 404 with the reasons when nothing is left.
pub fn plan(request: &ChatRequest, models: &[Asked], situation: &Situation<'_>) -> Result<Plan> {
    let preferences = situation.preferences;
    let needs = Needs::of(request, situation.prompt_tokens, preferences)?;
    let mut plan = Plan::default();
    for (asked, following) in models.iter().zip((0..models.len()).rev()) {
        let model = &asked.model;
        let soft = needs.soft_parameters(model);
        let mut eligible: Vec<Candidate<'_>> = Vec::new();
        for route in &model.routes {
            let Route { endpoint, provider } = route;
            let exclusion = if (situation.has_credentials)(provider) {
                needs.exclusion(endpoint, provider, &soft)
            } else {
                Some(Exclusion::NoCredentials)
            };
            match exclusion {
                Some(reason) => plan.excluded.push((route.clone(), reason)),
                None => eligible.push(Candidate {
                    route,
                    cost: needs.price(endpoint),
                    standing: situation.health.standing(endpoint, situation.now_ms),
                    statistics: situation.statistics.of(endpoint),
                }),
            }
        }
        let context = OrderContext {
            request,
            prompt_tokens: situation.prompt_tokens,
            aim: Aim::Balance,
            no_exploration: preferences.order.is_some() || preferences.only.is_some(),
            statistics: situation.statistics,
            seed: situation.seed,
            now_ms: situation.now_ms,
        };
        let mut kept: Vec<Ranked<'_>> = order::order(&eligible, &context)
            .into_iter()
            .filter_map(|at| eligible.get(at))
            .map(|candidate| {
                let Route { endpoint, provider } = candidate.route;
                (needs.rank(endpoint, provider), candidate.route)
            })
            .collect();
        kept.sort_by_key(|(rank, _)| *rank);
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
            .extend(kept.into_iter().map(|(_, route)| route.clone().into()));
    }
    if plan.attempts.is_empty() {
        return Err(nothing_left(request, &plan.excluded));
    }
    Ok(plan)
}

/// An endpoint with its place in `provider.order`.
type Ranked<'a> = (usize, &'a Route);

impl Plan {
    /// Leaves out all but the first `keep` of `kept`.
    fn exclude(&mut self, kept: &mut Vec<Ranked<'_>>, keep: usize, reason: Exclusion) {
        let others = kept.drain(keep.min(kept.len())..);
        self.excluded
            .extend(others.map(|(_, route)| (route.clone(), reason)));
    }
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
