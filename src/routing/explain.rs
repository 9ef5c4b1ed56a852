//! A plan told to the client: `POST /route`, and `openrouter_metadata` beside an answer or an error.
//!
//! Costs are exact nano-dollars, written as dollars in full. Times come from measurements and are null where there are none.
//! Spec of the metadata: OpenRouter's. Out of scope: making the plan (`plan`).

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::{
    auto::Router,
    health::Standing,
    naming::NameKind,
    needs::{self, expected_cost, output_bounds},
    plan::{Exclusion, Plan, Step},
    preferences::SortBy,
    situation::{Asked, Situation},
    sorting::latest,
    statistics::{EndpointStatistics, Percentiles, Window},
};
use crate::{
    catalog::{Endpoint, Provider, Route},
    chat::ChatRequest,
};

/// How the models of a request were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// By its slug.
    #[default]
    Direct,
    /// By another name of it.
    Alias,
    /// As the newest of a family.
    Latest,
    /// Several were named.
    Fallback,
    /// A free one was picked.
    Free,
    /// One was picked for the task.
    Auto,
}

impl From<Router> for Strategy {
    fn from(router: Router) -> Self {
        match router {
            Router::Auto => Self::Auto,
            Router::Free => Self::Free,
        }
    }
}

impl Strategy {
    /// The strategy of a request whose first model was named so, among so many.
    pub fn of(first: NameKind, models: usize) -> Self {
        match first {
            _ if models > 1 => Self::Fallback,
            NameKind::Slug => Self::Direct,
            NameKind::Alias => Self::Alias,
            NameKind::Latest => Self::Latest,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Alias => "alias",
            Self::Latest => "latest",
            Self::Fallback => "fallback",
            Self::Free => "free",
            Self::Auto => "auto",
        }
    }
}

/// What an endpoint can do for the most that the request may cost.
pub type Within<'a> = dyn Fn(&Endpoint) -> Value + 'a;

/// The answer of `POST /route`: the models in the order of the request, each with all its endpoints, kept ones first.
pub fn route(
    request: &ChatRequest,
    models: &[Asked],
    situation: &Situation<'_>,
    plan: &Plan,
    strategy: Strategy,
    within: Option<&Within<'_>>,
) -> Value {
    let teller = Teller {
        request,
        situation,
        within,
    };
    let model = |asked: &Asked| {
        let slug = &asked.model.model.slug;
        let kept = (1..)
            .zip(&plan.attempts)
            .filter(|(_, step)| step.route.endpoint.model == *slug)
            .map(|(rank, step)| teller.kept(rank, step));
        let excluded = plan.excluded.iter();
        let excluded = excluded
            .filter(|(route, _)| route.endpoint.model == *slug)
            .map(|(route, reason)| teller.excluded(route, *reason));
        json!({
            "requested": asked.name,
            "model": slug,
            "sort": asked.suffix.map(|suffix| suffix.sort().as_str()),
            "sticky_endpoint": situation.affinity.home(slug),
            "endpoints": kept.chain(excluded).collect::<Vec<_>>(),
        })
    };
    let sort = situation.preferences.sort.unwrap_or_default();
    let named =
        |step: &Step| json!({"model": step.route.endpoint.model, "tag": step.route.endpoint.tag});
    json!({"data": {
        "requested": request.model,
        "strategy": strategy.as_str(),
        "sort": sort.by.map(SortBy::as_str),
        "partition": if sort.across_models { "none" } else { "model" },
        "prompt_tokens": situation.prompt_tokens,
        "seed": seed_text(situation.seed),
        "attempts": plan.attempts.iter().map(named).collect::<Vec<_>>(),
        "models": models.iter().map(model).collect::<Vec<_>>(),
        "statistics_gathered_at": Some(situation.statistics.gathered_at).filter(|at| *at > 0),
    }})
}

/// The seed as clients read it: JavaScript's numbers do not hold it.
fn seed_text(seed: u64) -> String {
    format!("{seed:016x}")
}

struct Teller<'a> {
    request: &'a ChatRequest,
    situation: &'a Situation<'a>,
    within: Option<&'a Within<'a>>,
}

impl Teller<'_> {
    fn kept(&self, rank: usize, step: &Step) -> Value {
        let mut told = self.endpoint(&step.route);
        told.insert("rank".into(), rank.into());
        told.insert("is_byok".into(), step.credential.is_own().into());
        told.insert("demoted_by".into(), step.missed.into());
        told.into()
    }

    fn excluded(&self, route: &Route, reason: Exclusion) -> Value {
        let mut told = self.endpoint(route);
        told.insert("rank".into(), Value::Null);
        told.insert("excluded_by".into(), reason.as_str().into());
        let by = needs::guardrail(self.situation.policy, route).filter(|_| reason.is_guarded());
        if let Some(by) = by {
            let by = json!({"id": by.id, "name": by.name, "scope": by.scope.as_str()});
            told.insert("guardrail".into(), by);
        }
        told.into()
    }

    fn endpoint(&self, Route { endpoint, provider }: &Route) -> Map<String, Value> {
        let situation = self.situation;
        let cost = expected_cost(self.request, situation, endpoint);
        let seen = situation.statistics.of(endpoint);
        let standing = situation.health.standing(endpoint, situation.now_ms);
        let median = |of: fn(&Window) -> Option<Percentiles>| {
            let figures = seen.and_then(|seen| latest(seen, of));
            figures.map(|figures| f64::from(figures.p50))
        };
        let mut told = Map::new();
        told.insert("provider".into(), provider.name.clone().into());
        told.insert("tag".into(), endpoint.tag.clone().into());
        let tier = endpoint.service_tier().map(|tier| tier.as_str());
        told.insert("service_tier".into(), tier.into());
        told.insert(
            "expected_cost".into(),
            cost.map(|cost| cost.to_string()).into(),
        );
        let time = seen.and_then(|seen| expected_ms(self.request, endpoint, seen));
        told.insert("expected_time_ms".into(), time.into());
        told.insert("first_token_ms".into(), median(|w| w.first_token_ms).into());
        told.insert(
            "tokens_per_second".into(),
            median(|w| w.tokens_per_second).into(),
        );
        if let Some(within) = self.within {
            told.insert("max_cost".into(), within(endpoint));
        }
        if standing != Standing::Steady {
            told.insert("standing".into(), standing.as_str().into());
        }
        told
    }
}

/// How long the whole answer probably takes, milliseconds. Throughput is measured from the dispatch, so that it holds the
/// wait for the first token too.
fn expected_ms(
    request: &ChatRequest,
    endpoint: &Endpoint,
    seen: &EndpointStatistics,
) -> Option<u64> {
    let speed = latest(seen, |w| w.tokens_per_second)?.p50;
    if speed <= 0.0 {
        return None;
    }
    let tokens = output_bounds(request, endpoint).realistic();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate in milliseconds; the cast saturates"
    )]
    Some((tokens as f64 / f64::from(speed) * 1_000.0).round() as u64)
}

/// What `openrouter_metadata` says whatever becomes of the request.
#[derive(Debug, Clone)]
pub struct Told {
    requested: String,
    strategy: Strategy,
    region: Option<String>,
    seed: u64,
    available: Vec<(Rc<Endpoint>, Rc<Provider>)>,
    /// Endpoints whose first attempt is with the account's own key.
    own: Vec<Rc<Endpoint>>,
    total: usize,
    /// What was done to the request before it was planned, as the metadata's `pipeline` tells it.
    before: Vec<Value>,
}

/// An attempt, as the metadata tells it.
#[derive(Debug, Clone)]
pub struct Try<'a> {
    /// Display name of the provider.
    pub provider: &'a str,
    /// Slug of the model.
    pub model: &'a str,
    /// The endpoint's tag.
    pub tag: &'a str,
    /// HTTP status; 0 where the provider did not answer.
    pub status: u16,
    /// It answered.
    pub is_served: bool,
}

impl Told {
    /// What is known once the plan is made. `region` is where the gateway runs.
    pub fn of(
        request: &ChatRequest,
        plan: &Plan,
        strategy: Strategy,
        region: Option<String>,
        seed: u64,
    ) -> Self {
        let mut available: Vec<(Rc<Endpoint>, Rc<Provider>)> = Vec::new();
        for Route { endpoint, provider } in plan.attempts.iter().map(|step| &step.route) {
            if !available
                .iter()
                .any(|(known, _)| Rc::ptr_eq(known, endpoint))
            {
                available.push((Rc::clone(endpoint), Rc::clone(provider)));
            }
        }
        Self {
            requested: request.model.clone(),
            strategy,
            region,
            seed,
            own: plan
                .attempts
                .iter()
                .filter(|step| step.credential.is_own())
                .map(|step| Rc::clone(&step.route.endpoint))
                .collect(),
            total: available.len() + plan.excluded.len(),
            before: Vec::new(),
            available,
        }
    }

    /// With what was done to the request before it was planned.
    #[must_use]
    pub fn with(mut self, before: Vec<Value>) -> Self {
        self.before = before;
        self
    }

    /// What was done to the request before it was planned.
    pub fn before(&self) -> &[Value] {
        &self.before
    }

    fn is_byok(&self, attempt: &Try<'_>) -> bool {
        let is_same = |own: &&Rc<Endpoint>| own.tag == attempt.tag && own.model == attempt.model;
        self.own.iter().any(|own| is_same(&own))
    }

    /// The metadata after these attempts; `generation_ms` is how long the provider that served took.
    pub fn metadata(&self, tries: &[Try<'_>], generation_ms: Option<u64>) -> Value {
        let served = tries.iter().position(|attempt| attempt.is_served);
        let server = served.and_then(|at| tries.get(at));
        let endpoints = self.available.iter().map(|(endpoint, provider)| {
            let selected = server.is_some_and(|attempt| {
                attempt.tag == endpoint.tag && attempt.model == endpoint.model
            });
            json!({"provider": provider.name, "model": endpoint.model, "selected": selected})
        });
        let attempts = tries.iter().map(|attempt| {
            json!({"provider": attempt.provider, "model": attempt.model, "status": attempt.status})
        });
        let attempt = served.map_or(tries.len(), |at| at + 1);
        let summary = match server {
            Some(Try {
                provider, model, ..
            }) => {
                format!("{provider} served {model} at attempt {attempt}")
            }
            None if tries.is_empty() => "No provider was called".to_owned(),
            None => format!("No provider answered in {attempt} attempts"),
        };
        let possible = self.available.len();
        let mut told = json!({
            "requested": self.requested,
            "strategy": self.strategy.as_str(),
            "region": self.region,
            "summary": format!("{summary}; {possible} of {} endpoints were available", self.total),
            "attempt": attempt,
            "is_byok": server.or(tries.last()).is_some_and(|attempt| self.is_byok(attempt)),
            "endpoints": {"total": self.total, "available": endpoints.collect::<Vec<_>>()},
            "attempts": attempts.collect::<Vec<_>>(),
            "params": {"seed": seed_text(self.seed)},
            "generation_time": generation_ms,
        });
        if let Some(told) = told.as_object_mut().filter(|_| !self.before.is_empty()) {
            told.insert("pipeline".to_owned(), self.before.clone().into());
        }
        told
    }
}
