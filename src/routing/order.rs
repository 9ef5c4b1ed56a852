//! In which order eligible endpoints are tried: the shares of the default order, and the order of quality.
//!
//! Pure: the same candidates, context and seed give the same order, whatever the candidates' own order. Before anything is measured, endpoints
//! are drawn with weight 1/price². With measurements an endpoint's score is what it really costs (money after the cache's discount, time, likely
//! trouble); those near the best share the traffic, and what is beyond falls off fast but never to nothing. A retry goes to the next of the same
//! draw, so it samples again from what is left. The numbers are in [`constants`].
//!
//! Out of scope: which endpoints are eligible, `provider.order`, stickiness (`plan`); the other orders of `provider.sort` (`sorting`); who is
//! healthy (`health`).
//! Spec: OpenRouter's provider routing, the rule of autumn 2026.

pub mod chance;
pub mod constants;
mod estimate;

use self::{
    chance::SplitMix64,
    constants::{
        ATTEMPTS_TO_TRUST, COMPETITIVE_EDGE, EXPLORATION_SHARE, FALL_OFF, PRIOR_ATTEMPTS,
        TRIAL_WEIGHT,
    },
    estimate::{Peers, tool_errors_far_beyond},
};
use super::{health::Standing, statistics::EndpointStatistics};
use crate::catalog::Route;

pub use estimate::Estimate;

/// An eligible endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The endpoint and its provider.
    pub route: &'a Route,
    /// What this request would cost there at list prices, nano-dollars; `i64::MAX` where that is beyond any price.
    pub cost: i64,
    /// How it stands right now.
    pub standing: Standing,
    /// What was measured of it.
    pub statistics: Option<&'a EndpointStatistics>,
}

/// What the client wants more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aim {
    /// Nothing in particular: price, speed and reliability in balance.
    #[default]
    Balance,
    /// Answers of quality, tool calls above all (`sort: "exacto"`): an order without chance.
    Quality,
}

/// What an order depends on beside its candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderContext {
    /// Decides where chance decides.
    pub seed: u64,
    /// What the client wants more of.
    pub aim: Aim,
    /// The request has tools: endpoints whose tool calls are often malformed come after the others.
    pub with_tools: bool,
    /// Endpoints may be tried for the sake of learning about them. Not so when the client named providers or pays with its own key.
    pub explore: bool,
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// Completion tokens that the candidates' costs are for.
    pub output_tokens: u64,
    /// The request's own limit on them.
    pub max_tokens: Option<u64>,
}

/// Why an endpoint has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Drawn by its share.
    Share,
    /// Drawn to learn how it serves now.
    Exploration,
    /// `sort: "exacto"`.
    Quality,
    /// Its tool calls are malformed far more often than its peers'.
    ToolErrors,
    /// It failed just now.
    Shaky,
    /// Its breaker is open, or it asked for a pause.
    Resting,
}

impl Reason {
    /// The word told to clients.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Exploration => "exploration",
            Self::Quality => "quality",
            Self::ToolErrors => "tool_errors",
            Self::Shaky => "shaky",
            Self::Resting => "resting",
        }
    }
}

/// A candidate's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Its index among the candidates.
    pub index: usize,
    /// What it really costs, in nano-dollars; less is better.
    pub score: f64,
    /// The probability that a request like this tries it first.
    pub share: f64,
    /// What the request may expect of it.
    pub estimate: Estimate,
    /// Why it is here.
    pub reason: Reason,
}

/// All candidates, in the order in which they are tried.
pub fn order(candidates: &[Candidate<'_>], context: &OrderContext) -> Vec<Ranked> {
    let peers = Peers::of(candidates, context);
    let estimates: Vec<Estimate> = candidates
        .iter()
        .map(|candidate| peers.estimate(candidate, context))
        .collect();
    let poor_with_tools = tool_errors_far_beyond(&estimates);
    let with_tools = context.with_tools || context.aim == Aim::Quality;
    let mut placed: Vec<Placed<'_>> = candidates
        .iter()
        .zip(&estimates)
        .enumerate()
        .map(|(index, (candidate, estimate))| Placed {
            candidate,
            class: Class::of(candidate.standing, with_tools && poor_with_tools(estimate)),
            weight: 0.0,
            wait: 0.0,
            ranked: Ranked {
                index,
                score: peers.score(estimate, with_tools),
                share: 0.0,
                estimate: *estimate,
                reason: Reason::Share,
            },
        })
        .collect();
    match context.aim {
        Aim::Quality => arrange(&mut placed),
        Aim::Balance => draw(&mut placed, peers.attempts, context),
    }
    placed.into_iter().map(Placed::ranked).collect()
}

/// A candidate on its way to its place.
struct Placed<'a> {
    candidate: &'a Candidate<'a>,
    class: Class,
    /// Its weight among those of its class.
    weight: f64,
    /// What the draw gave it; the least comes first.
    wait: f64,
    ranked: Ranked,
}

/// Everything of an earlier class is tried before anything of a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Ready,
    PoorWithTools,
    Shaky,
    Resting,
}

impl Class {
    fn of(standing: Standing, poor_with_tools: bool) -> Self {
        match standing {
            Standing::Steady | Standing::Trial if poor_with_tools => Self::PoorWithTools,
            Standing::Steady | Standing::Trial => Self::Ready,
            Standing::Shaky => Self::Shaky,
            Standing::Resting => Self::Resting,
        }
    }

    /// What speaks against the endpoints of this class.
    fn objection(self) -> Option<Reason> {
        match self {
            Self::Ready => None,
            Self::PoorWithTools => Some(Reason::ToolErrors),
            Self::Shaky => Some(Reason::Shaky),
            Self::Resting => Some(Reason::Resting),
        }
    }
}

impl Placed<'_> {
    fn ranked(self) -> Ranked {
        Ranked {
            reason: match self.ranked.reason {
                Reason::Exploration => Reason::Exploration,
                reason => self.class.objection().unwrap_or(reason),
            },
            ..self.ranked
        }
    }

    /// What decides last, so that no order depends on the order of the rows.
    fn by_score(&self, other: &Self) -> std::cmp::Ordering {
        let name = |placed: &Self| {
            let endpoint = &placed.candidate.route.endpoint;
            (endpoint.tag.clone(), endpoint.model.clone())
        };
        f64::total_cmp(&self.ranked.score, &other.ranked.score)
            .then_with(|| name(self).cmp(&name(other)))
    }
}

/// Fewest malformed tool calls first, then fastest. No chance in it.
fn arrange(placed: &mut [Placed<'_>]) {
    let key = |placed: &Placed<'_>| {
        let estimate = &placed.ranked.estimate;
        // Differences below a percent are noise.
        let tool_errors = (estimate.tool_error_rate * 100.0).round();
        (
            tool_errors,
            estimate.seconds * (1.0 + estimate.failure_rate),
        )
    };
    placed.sort_by(|a, b| {
        let (first, second) = (key(a), key(b));
        (a.class.cmp(&b.class))
            .then_with(|| f64::total_cmp(&first.0, &second.0))
            .then_with(|| f64::total_cmp(&first.1, &second.1))
            .then_with(|| a.by_score(b))
    });
    for placed in placed.iter_mut() {
        placed.ranked.reason = Reason::Quality;
    }
    if let Some(first) = placed.first_mut() {
        first.ranked.share = 1.0;
    }
}

/// The default order: a draw without replacement, one class after the other, with an explored endpoint before all.
fn draw(placed: &mut [Placed<'_>], attempts: f64, context: &OrderContext) {
    let trust = 1.0 - (ATTEMPTS_TO_TRUST / (ATTEMPTS_TO_TRUST + attempts)).powi(2);
    let first_class = placed.iter().map(|p| p.class).min();
    let best = placed
        .iter()
        .filter(|p| Some(p.class) == first_class)
        .map(|p| p.ranked.score)
        .fold(f64::INFINITY, f64::min)
        .max(f64::MIN_POSITIVE);
    let of_price = normalized(placed, |p| inverse_square(p.candidate.cost as f64));
    let of_score = normalized(placed, |p| competitive(p.ranked.score / best));
    let explored = normalized(placed, |p| {
        let open_to_all = p.candidate.standing == Standing::Steady && context.explore;
        if open_to_all {
            // What was seldom tried of late has most to tell.
            inverse_square(p.ranked.score) / (PRIOR_ATTEMPTS + p.ranked.estimate.attempts)
        } else {
            0.0
        }
    });
    let exploration = if explored.iter().any(|weight| *weight > 0.0) {
        EXPLORATION_SHARE
    } else {
        0.0
    };
    let mut request = SplitMix64::new(context.seed);
    let explores = request.next_fraction() <= exploration;
    let mut chosen: Option<(f64, usize)> = None;
    for (at, (placed, ((price, score), explored))) in placed
        .iter_mut()
        .zip(of_price.into_iter().zip(of_score).zip(&explored))
        .enumerate()
    {
        let endpoint = &placed.candidate.route.endpoint;
        let mut chance = SplitMix64::for_name(context.seed, &[&endpoint.model, &endpoint.tag]);
        placed.weight = (1.0 - trust) * price + trust * score;
        if placed.candidate.standing == Standing::Trial {
            placed.weight *= TRIAL_WEIGHT;
        }
        placed.wait = chance.next_wait() / placed.weight;
        let wait = chance.next_wait() / explored;
        if explores && *explored > 0.0 && chosen.is_none_or(|(least, _)| wait < least) {
            chosen = Some((wait, at));
        }
    }
    let in_first = |p: &Placed<'_>| Some(p.class) == first_class;
    let total: f64 = placed
        .iter()
        .filter(|p| in_first(p))
        .map(|p| p.weight)
        .sum();
    for (placed, explored) in placed.iter_mut().zip(explored) {
        let own = if in_first(placed) {
            placed.weight / total
        } else {
            0.0
        };
        placed.ranked.share = (1.0 - exploration) * own + exploration * explored;
    }
    if let Some(explored) = chosen.and_then(|(_, at)| placed.get_mut(at)) {
        explored.ranked.reason = Reason::Exploration;
    }
    placed.sort_by(|a, b| {
        let waits_turn = |p: &Placed<'_>| p.ranked.reason != Reason::Exploration;
        (waits_turn(a).cmp(&waits_turn(b)))
            .then_with(|| a.class.cmp(&b.class))
            .then_with(|| f64::total_cmp(&a.wait, &b.wait))
            .then_with(|| a.by_score(b))
    });
}

/// Weights that sum to 1, or are all nothing.
fn normalized(placed: &[Placed<'_>], weight: impl Fn(&Placed<'_>) -> f64) -> Vec<f64> {
    let weights: Vec<f64> = placed.iter().map(weight).collect();
    let total = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    weights.into_iter().map(|weight| weight / total).collect()
}

fn inverse_square(nanos: f64) -> f64 {
    // A free endpoint weighs like one of a nano-dollar.
    nanos.max(1.0).powi(-2)
}

/// The weight of an endpoint whose score is `distance` times the best one's.
fn competitive(distance: f64) -> f64 {
    let beyond = (distance / COMPETITIVE_EDGE).max(1.0);
    distance.powi(-2) * beyond.powf(-FALL_OFF)
}

#[cfg(test)]
#[path = "order/tests.rs"]
mod tests;
