//! Which of the interchangeable operations of a capability is asked first, and which next. Pure: the same execution id, beliefs and
//! standings give the same order.
//!
//! 1. What is dearer than the caller wants is left out, and so is what is known to be slower; providers that it prefers come first, in its order.
//! 2. What rests after an outage or a 429 comes last.
//! 3. Then by quality per service cycle: `success ^ WORTH ÷ ((1 + seconds ÷ SECOND_CYCLE) × (1 + price ÷ PRICE_CYCLE))`. Quality and time are not
//!    added, or a fast provider that fails would win. Success is **drawn** from the belief where the operation only reads (Thompson
//!    sampling: what is little known is tried), and is the belief's **lower bound** where it writes: nobody's e-mail is an experiment.

use serde_json::{Value, json};

use super::{
    book::View,
    posterior::{Beta, Chance},
};
use crate::{credits::money::Nanos, routing::health::Standing, tools::catalog::Effect};

/// What a point of success is worth where an operation reads: the power of the success rate.
pub const WORTH_OF_READS: f64 = 10.0;
/// The same where it writes: there no other provider steps in.
pub const WORTH_OF_WRITES: f64 = 30.0;
/// The latency that doubles a service cycle, in milliseconds.
pub const SECOND_CYCLE: f64 = 5_000.0;
/// The price that doubles it, in nano-dollars: a cent.
pub const PRICE_CYCLE: f64 = 10_000_000.0;
/// The latency assumed where none was seen, in milliseconds.
pub const UNSEEN_LATENCY: f64 = 1_000.0;
/// How much surer a draw is than the belief: exploring as much as the belief itself would is more than a tie-break needs.
pub const SHARPNESS: f64 = 3.0;
/// The lower bound that writes go by, and the bounds of the interval that is told.
pub const LOWER: f64 = 0.05;
/// The upper bound of the interval.
pub const UPPER: f64 = 0.95;

/// An operation that could serve.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// `provider/operation`.
    pub tool: &'a str,
    /// The provider's slug.
    pub provider: &'a str,
    /// Its category.
    pub category: &'a str,
    /// What it would cost the account, as far as that is known before.
    pub price: Nanos,
    /// How it stands right now.
    pub standing: Standing,
}

/// The execution that is ordered for.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// Its id: the same id draws the same.
    pub seed: &'a str,
    /// What it does to the world.
    pub effect: Effect,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// What the caller wants.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'a> {
    /// These providers (or operations) first.
    pub prefer: &'a [String],
    /// The most that it may cost.
    pub max_price: Option<Nanos>,
    /// How long nineteen of twenty answers may take.
    pub max_latency_ms: Option<u64>,
}

/// A candidate with what is believed of it.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// `provider/operation`.
    pub tool: String,
    /// The belief in its success.
    pub success: Beta,
    /// The success rate that it was ranked by.
    pub by: f64,
    /// What it came to.
    pub score: f64,
    /// Median latency, where one was seen.
    pub latency_ms: Option<f64>,
    /// What it would cost.
    pub price: Nanos,
    /// How it stands.
    pub standing: Standing,
    /// What put it before or behind others, beside its score.
    pub because: Option<&'static str>,
    group: (usize, u8),
}

/// An order of candidates.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The best one first.
    pub order: Vec<Ranked>,
    /// Candidates that are not asked, and why.
    pub left_out: Vec<(String, &'static str)>,
    draws: bool,
    seed: String,
}

/// Orders the candidates of one execution.
pub fn order(
    candidates: &[Candidate<'_>],
    beliefs: &View,
    occasion: Occasion<'_>,
    wish: &Wish<'_>,
) -> Choice {
    let Occasion { seed, effect, .. } = occasion;
    let draws = effect == Effect::Read;
    let mut choice = Choice {
        order: Vec::new(),
        left_out: Vec::new(),
        draws,
        seed: seed.to_owned(),
    };
    for candidate in candidates {
        let is_slow = wish
            .max_latency_ms
            .is_some_and(|most| is_slower(candidate.tool, beliefs, most));
        let because = match wish.max_price {
            Some(most) if candidate.price > most => Some("max_price"),
            _ => is_slow.then_some("max_latency_ms"),
        };
        match because {
            Some(because) => choice.left_out.push((candidate.tool.to_owned(), because)),
            None => choice.order.push(rank(candidate, beliefs, occasion, wish)),
        }
    }
    // Stable: equals stay in the order of the catalog.
    choice
        .order
        .sort_by(|a, b| a.group.cmp(&b.group).then(b.score.total_cmp(&a.score)));
    choice
}

/// Whether more than one of twenty answers is known to take longer.
fn is_slower(tool: &str, beliefs: &View, most_ms: u64) -> bool {
    let slow = beliefs.told_by(tool).and_then(|told| told.latency(95));
    #[expect(clippy::cast_precision_loss, reason = "limits stay far below 2^53")]
    slow.is_some_and(|slow| slow.ms > most_ms as f64)
}

fn rank(
    candidate: &Candidate<'_>,
    beliefs: &View,
    Occasion {
        seed,
        effect,
        now_ms,
    }: Occasion<'_>,
    wish: &Wish<'_>,
) -> Ranked {
    let draws = effect == Effect::Read;
    let Candidate {
        tool,
        provider,
        category,
        price,
        standing,
    } = *candidate;
    let success = beliefs.success(tool, category);
    let told = beliefs.told_by(tool);
    let latency = told.and_then(|record| record.latency(50)).map(|it| it.ms);
    let (by, worth) = if draws {
        let sharper = Beta::new(success.alpha * SHARPNESS, success.beta * SHARPNESS);
        (sharper.draw(&mut Chance::new(seed, tool)), WORTH_OF_READS)
    } else {
        (success.quantile(LOWER), WORTH_OF_WRITES)
    };
    #[expect(clippy::cast_precision_loss, reason = "prices stay far below 2^53")]
    let dollars = price.get() as f64;
    let cycle = (1.0 + latency.unwrap_or(UNSEEN_LATENCY) / SECOND_CYCLE)
        * (1.0 + dollars.max(0.0) / PRICE_CYCLE);
    let preferred = wish
        .prefer
        .iter()
        .position(|name| name == provider || name == tool);
    let rests = |until| u64::try_from(until).is_ok_and(|until| now_ms < until);
    let is_out = beliefs.rests_until(tool).is_some_and(rests);
    let (behind, because) = match standing {
        Standing::Resting => (2, Some("resting")),
        _ if is_out => (2, Some("outage")),
        // Nobody's e-mail is a probe.
        Standing::Trial | Standing::Shaky if !draws => (1, Some("recovering")),
        _ => (0, None),
    };
    Ranked {
        tool: tool.to_owned(),
        success,
        by,
        score: by.powf(worth) / cycle,
        latency_ms: latency,
        price,
        standing,
        because: because.or(preferred.map(|_| "preferred")),
        group: (preferred.unwrap_or(usize::MAX), behind),
    }
}

impl Choice {
    /// The order as clients are told it, with all that it was made of.
    pub fn explain(&self) -> Value {
        let candidate = |one: &Ranked| {
            json!({
                "tool": one.tool,
                "success": {
                    "mean": rounded(one.success.mean()),
                    "interval": [rounded(one.success.quantile(LOWER)), rounded(one.success.quantile(UPPER))],
                    "effective_n": rounded(one.success.weight()),
                },
                "ranked_by": rounded(one.by),
                "score": rounded(one.score),
                "latency_p50_ms": one.latency_ms,
                "price": one.price.to_json_number(),
                "standing": one.standing.as_str(),
                "because": one.because,
            })
        };
        json!({
            "rule": if self.draws { "thompson_sampling" } else { "lower_bound" },
            "seed": self.seed,
            "candidates": self.order.iter().map(candidate).collect::<Vec<_>>(),
            "left_out": self.left_out.iter().map(|(tool, why)| json!({"tool": tool, "because": why})).collect::<Vec<_>>(),
        })
    }
}

/// Four digits are more than is known.
pub fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
