//! The plan: which endpoints may serve a request, in which order, and why the others may not.
//!
//! Filters first (`needs`, `tiers`, keys), then an order: the client's own (`provider.order`, then `provider.sort` or the
//! suffix of the model's name), else the gateway's (`order`). Within it the account's own keys come first, then the endpoint that
//! holds the conversation's cache. Endpoints that miss the client's soft cutoffs go to the end of the whole plan.
//! Out of scope: telling the plan to clients (`explain`).

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::{
    credential::Credential,
    explain::Told,
    health::Standing,
    needs::{self, Needs},
    order::{self, Aim, Candidate, OrderContext},
    own::{Access, Class, is_alike},
    preferences::SortBy,
    situation::{Asked, Situation},
    sorting,
    sticky::Place,
    tiers::Tiers,
};
use crate::{
    catalog::Route,
    chat::ChatRequest,
    error::{Error, ErrorType, Next, Result, Source},
    guardrails::{Applied, Denial},
};

/// The most endpoints that one request tries.
pub const MAX_ATTEMPTS: usize = 8;

macro_rules! exclusions {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// Why an endpoint is not in the plan.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Exclusion {
            $($(#[$doc])* $variant,)*
        }

        impl Exclusion {
            /// The reason code told to clients (`error.availability.excluded_by`).
            pub fn as_str(self) -> &'static str {
                match self { $(Exclusion::$variant => $code,)* }
            }
        }
    };
}

exclusions! {
    /// It does something else than what is asked for.
    Operation = "operation",
    /// The operator has no key for the provider, nor has the account.
    NoCredentials = "no_credentials",
    /// The account wants the provider called with its own keys only, and none of them serves this model.
    OwnKeyRequired = "own_key_required",
    /// `provider.only`.
    AllowedProviders = "allowed_providers",
    /// `provider.ignore`.
    IgnoredProviders = "ignored_providers",
    /// A guardrail does not allow the model.
    GuardedModels = "allowed_models",
    /// A guardrail excludes the model.
    UnwantedModels = "ignored_models",
    /// A guardrail does not allow the provider.
    GuardedProviders = "allowed_providers",
    /// A guardrail excludes the provider.
    UnwantedProviders = "ignored_providers",
    /// A guardrail allows other regions.
    DataRegion = "data_region",
    /// A guardrail wants nothing kept.
    GuardedZdr = "data_policy:zdr",
    /// A guardrail wants nothing to be trained on.
    GuardedTraining = "data_policy:training",
    /// A guardrail wants nothing published.
    GuardedPublication = "data_policy:publication",
    /// `allow_fallbacks: false`.
    FallbacksOff = "allow_fallbacks",
    /// `provider.zdr`.
    DataPolicyZdr = "data_policy:zdr",
    /// `provider.data_collection: deny`.
    DataPolicyTraining = "data_policy:training",
    /// `provider.enforce_distillable_text`.
    Distillable = "distillable_text",
    /// `provider.max_price`.
    MaxPrice = "max_price",
    /// The prompt does not fit.
    ContextLength = "context_length",
    /// `max_tokens` is beyond the endpoint's cap.
    MaxTokens = "max_tokens",
    /// A needed parameter is not supported.
    RequireParameters = "require_parameters",
    /// A kind of input is not supported.
    InputModality = "input_modality",
    /// A kind of output is not supported.
    OutputModality = "output_modality",
    /// `provider.quantizations`.
    Quantization = "quantization",
    /// It sells another tier of service than the one asked for.
    ServiceTier = "service_tier",
    /// There are [`MAX_ATTEMPTS`] better ones.
    Attempts = "attempts",
}

impl From<Denial> for Exclusion {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::AllowedModels => Self::GuardedModels,
            Denial::IgnoredModels => Self::UnwantedModels,
            Denial::AllowedProviders => Self::GuardedProviders,
            Denial::IgnoredProviders => Self::UnwantedProviders,
            Denial::DataRegion => Self::DataRegion,
            Denial::Zdr => Self::GuardedZdr,
            Denial::Training => Self::GuardedTraining,
            Denial::Publication => Self::GuardedPublication,
        }
    }
}

impl Exclusion {
    /// Whether a guardrail is the reason.
    pub fn is_guarded(self) -> bool {
        (Self::GuardedModels..=Self::GuardedPublication).contains(&self)
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
    /// Fields that the client wants in this provider's own body (`provider.options`).
    pub options: Option<Rc<Map<String, Value>>>,
    /// The soft cutoff that the endpoint misses.
    pub missed: Option<&'static str>,
}

impl From<Route> for Step {
    /// With the operator's key.
    fn from(route: Route) -> Self {
        Self {
            route,
            credential: Credential::Operator,
            options: None,
            missed: None,
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
    /// What the client wants to be told of the routing beside its answer, if it does.
    pub told: Option<Rc<Told>>,
}

/// Plans a request over the models it names: in their order, or all together where `provider.sort` says so. A model leaves
/// room for an attempt with each that follows.
///
/// # Errors
/// 404 with the reasons when nothing is left.
pub fn plan(request: &ChatRequest, models: &[Asked], situation: &Situation<'_>) -> Result<Plan> {
    let plan = attempts(request, models, situation);
    if plan.attempts.is_empty() {
        return Err(nothing_left(models, situation, &plan.excluded));
    }
    Ok(plan)
}

/// As [`plan`], but a plan without attempts is no error.
pub fn attempts(request: &ChatRequest, models: &[Asked], situation: &Situation<'_>) -> Plan {
    let planner = Planner {
        request,
        situation,
        needs: Needs::of(request, situation),
    };
    let preferences = situation.preferences;
    let across = preferences.sort.is_some_and(|sort| sort.across_models);
    let groups: Vec<&[Asked]> = if across {
        vec![models]
    } else {
        models.chunks(1).collect()
    };
    let mut plan = Plan::default();
    for (group, following) in groups.iter().zip((0..groups.len()).rev()) {
        let mut eligible = Vec::new();
        for asked in *group {
            planner.filter(asked, &mut eligible, &mut plan.excluded);
        }
        let suffix = group.first().and_then(|asked| asked.suffix);
        let sort = suffix.map(|suffix| suffix.sort());
        let mut kept = planner.order(&eligible, sort);
        if !preferences.fallbacks_allowed() {
            planner.drop_fallbacks(&mut kept, &mut plan.excluded);
        }
        let left = MAX_ATTEMPTS.saturating_sub(plan.attempts.len());
        let room = left.saturating_sub(following).max(left.min(1));
        cut(&mut kept, room, Exclusion::Attempts, &mut plan.excluded);
        plan.attempts
            .extend(kept.into_iter().map(|ranked| ranked.step));
    }
    plan.attempts.sort_by_key(|step| step.missed.is_some());
    plan
}

/// An endpoint that may serve.
struct Eligible<'a> {
    candidate: Candidate<'a>,
    tiers: Tiers,
    access: Access<'a>,
}

/// An attempt with its place in `provider.order`.
struct Ranked {
    rank: usize,
    step: Step,
}

struct Planner<'a> {
    request: &'a ChatRequest,
    situation: &'a Situation<'a>,
    needs: Needs<'a>,
}

impl<'a> Planner<'a> {
    /// Adds the endpoints of a model that may serve, and those that may not with the reason.
    fn filter(
        &self,
        asked: &'a Asked,
        eligible: &mut Vec<Eligible<'a>>,
        excluded: &mut Vec<(Route, Exclusion)>,
    ) {
        let Situation {
            preferences,
            statistics,
            health,
            now_ms,
            ..
        } = *self.situation;
        let served = &*asked.model;
        let of_model = self.needs.of_model(served);
        let tiers = Tiers::of(self.request, served, asked.suffix, preferences);
        for route in &served.routes {
            let Route { endpoint, provider } = route;
            if self.needs.is_of_another_operation(endpoint) {
                excluded.push((route.clone(), Exclusion::Operation));
                continue;
            }
            let has_operators = || (self.situation.has_credentials)(provider);
            let slug = &served.model.slug;
            let access = Access::of(self.situation.own, slug, provider, has_operators);
            let is_admitted = tiers.admit(endpoint);
            let access = access.and_then(|access| {
                if tiers.exclude(endpoint, preferences) {
                    return Err(Exclusion::ServiceTier);
                }
                let model = &served.model;
                let reason = self.needs.exclusion(model, route, &of_model, is_admitted);
                reason.map_or(Ok(access), Err)
            });
            let access = match access {
                Ok(access) => access,
                Err(reason) => {
                    excluded.push((route.clone(), reason));
                    continue;
                }
            };
            let cost = needs::expected_cost(self.request, self.situation, endpoint);
            let candidate = Candidate {
                route,
                cost: cost.map_or(i64::MAX, |cost| cost.get()),
                standing: health.standing(endpoint, now_ms),
                statistics: statistics.of(endpoint),
            };
            eligible.push(Eligible {
                candidate,
                tiers,
                access,
            });
        }
    }

    /// Every attempt that the eligible endpoints allow, best first.
    fn order(&self, eligible: &[Eligible<'a>], sort: Option<SortBy>) -> Vec<Ranked> {
        let preferences = self.situation.preferences;
        let tiers = eligible.first().map(|item| item.tiers).unwrap_or_default();
        let sort = sort
            .or(preferences.sort.and_then(|sort| sort.by))
            .or(tiers.sort())
            .or(self.situation.default_sort);
        let candidates: Vec<Candidate<'_>> = eligible.iter().map(|item| item.candidate).collect();
        let order = match sort {
            Some(SortBy::Exacto) => self.gateway_order(eligible, &candidates, Aim::Quality),
            Some(by) => sorting::sorted(&candidates, by),
            None => self.gateway_order(eligible, &candidates, Aim::Balance),
        };
        let mut keyed = Vec::with_capacity(order.len());
        for item in order.into_iter().filter_map(|at| eligible.get(at)) {
            let route = item.candidate.route;
            let rank = self.needs.rank(route, item.tiers.admit(&route.endpoint));
            let tier = item.tiers.rank(&route.endpoint);
            let missed = sorting::missed(item.candidate.statistics, preferences);
            let place = self.place(&item.candidate, missed.is_some());
            let mut add = |(class, credential): (Class, Credential)| {
                let options = preferences
                    .options
                    .iter()
                    .find(|(name, _)| route.provider.answers_to(name))
                    .and_then(|(_, fields)| fields.as_object().cloned().map(Rc::new));
                let step = Step {
                    route: route.clone(),
                    credential,
                    options,
                    missed,
                };
                keyed.push(((rank, class, place, tier), Ranked { rank, step }));
            };
            item.access.keys().for_each(&mut add);
        }
        // Stable: what the key leaves open keeps the order found above.
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, ranked)| ranked).collect()
    }

    fn gateway_order(
        &self,
        eligible: &[Eligible<'a>],
        candidates: &[Candidate<'_>],
        aim: Aim,
    ) -> Vec<usize> {
        let pays_itself = eligible.iter().any(|item| item.access.pays_itself());
        let output = |item: &Eligible<'_>| {
            needs::output_bounds(self.request, &item.candidate.route.endpoint).realistic()
        };
        let context = OrderContext {
            seed: self.situation.seed,
            aim,
            with_tools: !self.request.tools.is_empty(),
            explore: !pays_itself && !self.situation.preferences.names_providers(),
            prompt_tokens: self.situation.prompt_tokens,
            output_tokens: eligible.iter().map(output).max().unwrap_or_default(),
            max_tokens: self.request.max_tokens,
        };
        let ranked = order::order(candidates, &context);
        ranked.into_iter().map(|ranked| ranked.index).collect()
    }

    /// How near the endpoint is to the conversation, unless something speaks against preferring it: the client's own order,
    /// a missed cutoff, or a provider that is out.
    fn place(&self, candidate: &Candidate<'_>, is_demoted: bool) -> Place {
        let Route { endpoint, provider } = candidate.route;
        let place = self.situation.affinity.place(endpoint, provider);
        let is_out = candidate.standing == Standing::Resting;
        if is_demoted || is_out || self.situation.preferences.order.is_some() {
            return place.max(Place::Fits);
        }
        place
    }

    /// `allow_fallbacks: false`: the endpoints of `provider.order` alone, or the first choice alone with the kind of key that is
    /// tried first.
    fn drop_fallbacks(&self, kept: &mut Vec<Ranked>, excluded: &mut Vec<(Route, Exclusion)>) {
        let keep = match &self.situation.preferences.order {
            Some(order) => kept
                .iter()
                .take_while(|item| item.rank < order.len())
                .count(),
            None => {
                let first = kept.first().map(|item| item.step.clone());
                let is_first =
                    |item: &&Ranked| first.as_ref().is_some_and(|it| is_alike(it, &item.step));
                kept.iter().take_while(is_first).count()
            }
        };
        cut(kept, keep, Exclusion::FallbacksOff, excluded);
    }
}

/// Leaves out all but the first `keep`; an endpoint that has an attempt left is not excluded.
fn cut(
    kept: &mut Vec<Ranked>,
    keep: usize,
    reason: Exclusion,
    excluded: &mut Vec<(Route, Exclusion)>,
) {
    let others: Vec<Ranked> = kept.drain(keep.min(kept.len())..).collect();
    for route in others.into_iter().map(|item| item.step.route) {
        let is_same = |other: &Route| Rc::ptr_eq(&other.endpoint, &route.endpoint);
        let is_known = kept.iter().any(|item| is_same(&item.step.route))
            || excluded.iter().any(|(known, _)| is_same(known));
        if !is_known {
            excluded.push((route, reason));
        }
    }
}

fn nothing_left(
    models: &[Asked],
    situation: &Situation<'_>,
    excluded: &[(Route, Exclusion)],
) -> Error {
    let names: Vec<&str> = models.iter().map(|asked| asked.name.as_str()).collect();
    let mut reasons: Vec<Exclusion> = excluded.iter().map(|(_, reason)| *reason).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let mut codes: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
    let mut told = Vec::new();
    codes.retain(|code| {
        !told.contains(code) && {
            told.push(*code);
            true
        }
    });
    let is_private = |reason: &Exclusion| {
        matches!(
            reason,
            Exclusion::DataPolicyZdr
                | Exclusion::DataPolicyTraining
                | Exclusion::GuardedZdr
                | Exclusion::GuardedTraining
                | Exclusion::GuardedPublication
        )
    };
    let code = match reasons.as_slice() {
        [Exclusion::Operation] => "wrong_endpoint",
        [] | [Exclusion::NoCredentials] => "no_endpoints",
        reasons if reasons.iter().all(is_private) => "privacy_restricted",
        _ => "constraint_filtered",
    };
    let availability = json!({
        "code": code,
        "retryable": false,
        "requested_models": names,
        "excluded_by": codes,
    });
    let message = message(&names.join(", "), situation, excluded, &reasons);
    let kind = match code {
        "wrong_endpoint" => ErrorType::InvalidRequest,
        _ => ErrorType::NotFound,
    };
    let mut error =
        Error::new(Source::Client, Next::Final, kind, message).with("excluded_by", codes);
    let by = excluded.iter().find(|(_, reason)| reason.is_guarded());
    if let Some(by) = by.and_then(|(route, _)| needs::guardrail(situation.policy, route)) {
        error = error
            .with("guardrail_id", by.id.as_str())
            .with("guardrail_scope", by.scope.as_str());
    }
    error.availability = Some(Box::new(availability));
    error
}

fn message(
    models: &str,
    situation: &Situation<'_>,
    excluded: &[(Route, Exclusion)],
    reasons: &[Exclusion],
) -> String {
    if !reasons.is_empty() && reasons.iter().all(|reason| reason.is_guarded()) {
        return guarded(models, situation, excluded);
    }
    match (reasons, &situation.preferences.only) {
        ([Exclusion::Operation], _) => {
            let mut paths: Vec<&str> = excluded
                .iter()
                .map(|(route, _)| route.endpoint.operation.path())
                .collect();
            paths.dedup();
            format!("{models} is served at {}, not here.", paths.join(", "))
        }
        ([Exclusion::NoCredentials], _) => format!(
            "No endpoints found for {models}: this deployment holds no key of a provider that serves it."
        ),
        ([Exclusion::AllowedProviders], Some(only)) => {
            let mut serving: Vec<&str> = excluded
                .iter()
                .map(|(route, _)| route.provider.slug.as_str())
                .collect();
            serving.dedup();
            format!(
                "No allowed providers are available for the selected model. Providers serving {models}: {}, but your request's provider.only preference permits only: {}.",
                serving.join(", "),
                only.join(", ")
            )
        }
        _ => {
            let listed: Vec<String> = excluded
                .iter()
                .map(|(route, reason)| {
                    let by =
                        needs::guardrail(situation.policy, route).filter(|_| reason.is_guarded());
                    let by = by.map_or_else(String::new, |by| format!(" by {}", by.title()));
                    format!("{} ({}{by})", route.endpoint.tag, reason.as_str())
                })
                .collect();
            format!(
                "No endpoints found for {models} that satisfy the request. Left out: {}.",
                listed.join(", ")
            )
        }
    }
}

/// Nothing is left because of guardrails alone.
fn guarded(models: &str, situation: &Situation<'_>, excluded: &[(Route, Exclusion)]) -> String {
    let mut by: Vec<String> = Vec::new();
    for (route, reason) in excluded {
        let title = needs::guardrail(situation.policy, route).map(Applied::title);
        let told = format!("{} ({})", title.unwrap_or_default(), reason.as_str());
        if !by.contains(&told) {
            by.push(told);
        }
    }
    format!(
        "No endpoints found for {models} that the account's guardrails allow. Left out by {}.",
        by.join(", ")
    )
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
