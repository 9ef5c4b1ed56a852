//! What a request may expect of an endpoint: cost, time and failures, out of what was measured and what its peers do.
//!
//! An endpoint that was seldom tried is taken for an average one: every rate starts with [`PRIOR_ATTEMPTS`] at the peers' average.

use super::{
    Candidate, OrderContext,
    constants::{
        FAILURE_PENALTY, PRIOR_ATTEMPTS, PRIOR_CACHE_HIT_RATE, PRIOR_CACHED_ANSWERS,
        PRIOR_FAILURE_RATE, PRIOR_SPEED, RATE_LIMIT_PENALTY, RATE_LIMIT_SECONDS, SAMPLES_FOR_SPEED,
        SECOND_AT_LEAST, SECOND_IN_TOKENS, TOOL_ERROR_DEVIATIONS, TOOL_ERROR_MARGIN,
        TOOL_ERROR_PENALTY, WEIGHT_OF_AGE,
    },
};
use crate::{
    chat::Usage,
    credits::pricing::{PriceTable, UNITS_PER_PRICE},
    routing::{
        breaker::PROOF_OF_RECOVERY,
        health::Standing,
        statistics::{EndpointStatistics, Window},
    },
};

/// What a request may expect of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// What it will cost in nano-dollars, with the prompt cache hit as often as lately.
    pub cost: f64,
    /// From dispatch to the first content.
    pub first_token_seconds: f64,
    /// Completion tokens per second from then on.
    pub tokens_per_second: f64,
    /// From dispatch to the last token.
    pub seconds: f64,
    /// The share of attempts that fail.
    pub failure_rate: f64,
    /// 429s among them and good answers. Faults are not in it, or each would make 429s look rarer.
    pub rate_limited: f64,
    /// The share of answers with tool calls of which one is malformed.
    pub tool_error_rate: f64,
    /// The share of prompt tokens read from the cache.
    pub cache_hit_rate: f64,
    /// How many recent attempts this rests on.
    pub attempts: f64,
    /// Answers with tool calls this rests on.
    tool_answers: f64,
}

/// Counts of one endpoint, recent ones in full.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    attempts: f64,
    good: f64,
    failed: f64,
    rate_limited: f64,
    tool_answers: f64,
    tool_errors: f64,
    prompt_tokens: f64,
    cache_read_tokens: f64,
    /// Good answers of the last half hour and their completion tokens.
    answers: f64,
    completion_tokens: f64,
}

/// Faults that do not count any more: those of outages, the more of them the more was answered since.
fn forgotten(window: &Window, is_on_trial: bool) -> f64 {
    let proof = window.good_since_outage as f64 / f64::from(PROOF_OF_RECOVERY);
    let part = if is_on_trial { 1.0 } else { proof.min(1.0) };
    part * window.outage_failed.min(window.failed) as f64
}

impl Counts {
    /// On trial an endpoint is asked by few requests at a time, so that its outage need not keep them away.
    fn of(candidate: &Candidate<'_>) -> Self {
        let Some(statistics) = candidate.statistics else {
            return Self::default();
        };
        let EndpointStatistics {
            five_minutes,
            half_hour,
            day,
        } = statistics;
        let recent = |of: &dyn Fn(&Window) -> f64| {
            let (newest, middle, all) = (of(five_minutes), of(half_hour), of(day));
            newest
                + WEIGHT_OF_AGE.0 * (middle - newest).max(0.0)
                + WEIGHT_OF_AGE.1 * (all - middle.max(newest)).max(0.0)
        };
        let is_on_trial = candidate.standing == Standing::Trial;
        let failed = recent(&|w| w.failed as f64 - forgotten(w, is_on_trial));
        let good = recent(&|w| w.attempts.saturating_sub(w.failed) as f64);
        Self {
            attempts: good + failed,
            good,
            failed,
            rate_limited: recent(&|w| w.rate_limited as f64),
            // Quality changes over days, and answers with tool calls are few: all count alike.
            tool_answers: day.tool_answers as f64,
            tool_errors: day.tool_errors as f64,
            prompt_tokens: half_hour.prompt_tokens as f64,
            cache_read_tokens: half_hour.cache_read_tokens as f64,
            answers: half_hour.attempts.saturating_sub(half_hour.failed) as f64,
            completion_tokens: half_hour.completion_tokens as f64,
        }
    }
}

/// Time to first token in seconds and tokens per second from there, with the number of answers they rest on: old ones count less, so what
/// was slow long ago is taken for an average endpoint again.
#[derive(Debug, Clone, Copy)]
struct Speed {
    first_token: f64,
    tokens_per_second: f64,
    samples: f64,
}

impl Speed {
    /// Out of the newest window that has enough answers.
    fn of(statistics: &EndpointStatistics) -> Option<Self> {
        let EndpointStatistics {
            five_minutes,
            half_hour,
            day,
        } = statistics;
        let windows = [five_minutes, half_hour, day];
        let good = |window: &Window| window.attempts.saturating_sub(window.failed);
        let ages = [1.0, WEIGHT_OF_AGE.0, WEIGHT_OF_AGE.1];
        let (window, age) = windows
            .into_iter()
            .zip(ages)
            .find(|(window, _)| good(window) >= SAMPLES_FOR_SPEED)
            .unwrap_or((day, WEIGHT_OF_AGE.1));
        let samples = good(window) as f64;
        let first_token = window.first_token_ms?;
        let overall = f64::from(window.tokens_per_second?.p50);
        // A distribution with a long tail is slower than its median says.
        let first_token = f64::from(first_token.p50 + first_token.p90) / 2_000.0;
        if samples < 1.0 || overall <= 0.0 {
            return None;
        }
        // The measured speed counts the wait for the first token; a long answer hides it, a short one does not.
        let length = window.completion_tokens as f64 / samples;
        let total = length / overall;
        let writing = (total - first_token).max(total / 10.0);
        let tokens_per_second = if length >= 1.0 {
            length / writing
        } else {
            overall
        };
        Some(Self {
            first_token,
            tokens_per_second,
            samples: samples * age,
        })
    }
}

/// The averages of all candidates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peers {
    failure_rate: f64,
    rate_limited: f64,
    tool_error_rate: f64,
    cache_hit_rate: f64,
    first_token: f64,
    tokens_per_second: f64,
    /// Completion tokens of this request.
    output_tokens: f64,
    /// What a second is worth, nano-dollars.
    second: f64,
    /// Attempts over all of them.
    pub attempts: f64,
}

/// How long the answer will be: as long as the peers' answers were, within the request's limit.
fn expected_output(peers: &Counts, context: &OrderContext) -> f64 {
    let listed = context.output_tokens as f64;
    let usual = shrunk(peers.completion_tokens, peers.answers, listed);
    usual.min(
        context
            .max_tokens
            .map_or(f64::INFINITY, |limit| limit as f64),
    )
}

/// Whether cached tokens are cheaper here.
fn has_cache(candidate: &Candidate<'_>) -> bool {
    let prices = &candidate.route.endpoint.prices;
    prices.cache_read.is_some_and(|read| read < prices.prompt)
}

/// A rate that starts at `prior`.
fn shrunk(part: f64, whole: f64, prior: f64) -> f64 {
    (part + PRIOR_ATTEMPTS * prior) / (whole + PRIOR_ATTEMPTS)
}

fn ratio(part: f64, whole: f64, otherwise: f64) -> f64 {
    if whole > 0.0 { part / whole } else { otherwise }
}

/// The middle of some numbers.
pub(super) fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

impl Peers {
    pub(super) fn of(candidates: &[Candidate<'_>], context: &OrderContext) -> Self {
        let known = || candidates.iter().filter_map(|c| c.statistics);
        let caching = candidates.iter().filter(|c| has_cache(c));
        let cached = caching
            .map(Counts::of)
            .fold((0.0, 0.0), |(read, all), counts| {
                (read + counts.cache_read_tokens, all + counts.prompt_tokens)
            });
        let mut sum = Counts::default();
        for counts in candidates.iter().map(Counts::of) {
            sum.attempts += counts.attempts;
            sum.good += counts.good;
            sum.failed += counts.failed;
            sum.rate_limited += counts.rate_limited;
            sum.tool_answers += counts.tool_answers;
            sum.tool_errors += counts.tool_errors;
            sum.prompt_tokens += counts.prompt_tokens;
            sum.answers += counts.answers;
            sum.completion_tokens += counts.completion_tokens;
        }
        let speeds: Vec<Speed> = known().filter_map(Speed::of).collect();
        let middle = |of: fn(&Speed) -> f64| median(speeds.iter().map(of).collect());
        let token = |c: &Candidate<'_>| {
            let prices = &c.route.endpoint.prices;
            prices.net(prices.completion).get() as f64 / UNITS_PER_PRICE as f64
        };
        let token = median(candidates.iter().map(token).collect()).unwrap_or_default();
        let mean_prompt = ratio(sum.prompt_tokens, sum.answers, 0.0).max(1.0);
        let failure_rate = ratio(sum.failed, sum.attempts, PRIOR_FAILURE_RATE.0);
        Self {
            failure_rate: failure_rate.min(PRIOR_FAILURE_RATE.1),
            rate_limited: ratio(sum.rate_limited, sum.good + sum.rate_limited, 0.0),
            tool_error_rate: ratio(sum.tool_errors, sum.tool_answers, 0.0),
            cache_hit_rate: shrunk(
                cached.0 / mean_prompt,
                cached.1 / mean_prompt,
                PRIOR_CACHE_HIT_RATE,
            ),
            first_token: middle(|s| s.first_token).unwrap_or(PRIOR_SPEED.0),
            tokens_per_second: middle(|s| s.tokens_per_second).unwrap_or(PRIOR_SPEED.1),
            output_tokens: expected_output(&sum, context),
            second: (SECOND_IN_TOKENS * token).max(SECOND_AT_LEAST),
            attempts: sum.attempts + sum.rate_limited,
        }
    }

    /// What this request may expect of one of them.
    pub(super) fn estimate(&self, candidate: &Candidate<'_>, context: &OrderContext) -> Estimate {
        let counts = Counts::of(candidate);
        let speed = candidate.statistics.and_then(Speed::of).unwrap_or(Speed {
            first_token: self.first_token,
            tokens_per_second: self.tokens_per_second,
            samples: 0.0,
        });
        let own = speed.samples / (speed.samples + PRIOR_ATTEMPTS);
        let mixed = |of_its_own: f64, of_peers: f64| own * of_its_own + (1.0 - own) * of_peers;
        let first_token_seconds = mixed(speed.first_token, self.first_token);
        // Seconds per token are what adds up, so they are what is averaged.
        let per_token = mixed(
            1.0 / speed.tokens_per_second.max(f64::MIN_POSITIVE),
            1.0 / self.tokens_per_second.max(f64::MIN_POSITIVE),
        );
        let tried = counts.attempts + counts.rate_limited;
        let typical_prompt = ratio(counts.prompt_tokens, counts.answers, 0.0).max(1.0);
        let answers = counts.prompt_tokens / typical_prompt;
        let cache_hit_rate = (counts.cache_read_tokens / typical_prompt
            + PRIOR_CACHED_ANSWERS * self.cache_hit_rate)
            / (answers + PRIOR_CACHED_ANSWERS);
        Estimate {
            cost: candidate.cost as f64
                * self.discount(&candidate.route.endpoint.prices, cache_hit_rate, context),
            first_token_seconds,
            tokens_per_second: 1.0 / per_token,
            seconds: first_token_seconds + self.output_tokens * per_token,
            failure_rate: shrunk(counts.failed, counts.attempts, self.failure_rate),
            rate_limited: shrunk(
                counts.rate_limited,
                counts.good + counts.rate_limited,
                self.rate_limited,
            ),
            tool_error_rate: shrunk(
                counts.tool_errors,
                counts.tool_answers,
                self.tool_error_rate,
            ),
            cache_hit_rate,
            attempts: tried,
            tool_answers: counts.tool_answers,
        }
    }

    /// What is left of the list price when the prompt cache is hit at this rate and the answer is as long as answers are.
    fn discount(&self, prices: &PriceTable, cache_hit_rate: f64, context: &OrderContext) -> f64 {
        let listed = Usage {
            prompt: context.prompt_tokens,
            completion: context.output_tokens,
            ..Usage::default()
        };
        let expected = Usage {
            cache_read: (context.prompt_tokens as f64 * cache_hit_rate) as u64,
            completion: self.output_tokens.round() as u64,
            ..listed
        };
        let cost = |usage| prices.cost(usage).map_or(0, |charge| charge.total.get());
        match (cost(&listed), cost(&expected)) {
            (listed, expected) if listed > 0 => expected as f64 / listed as f64,
            _ => 1.0,
        }
    }

    /// What an endpoint really costs, in nano-dollars: money, time, and the trouble it is likely to make. Less is better.
    pub(super) fn score(&self, estimate: &Estimate, with_tools: bool) -> f64 {
        let seconds = estimate.seconds + RATE_LIMIT_SECONDS * estimate.rate_limited;
        let tool_errors = if with_tools {
            estimate.tool_error_rate
        } else {
            0.0
        };
        let trouble = FAILURE_PENALTY * estimate.failure_rate
            + TOOL_ERROR_PENALTY * tool_errors
            + RATE_LIMIT_PENALTY * estimate.rate_limited;
        (estimate.cost + self.second * seconds) * (1.0 + trouble)
    }
}

/// The rate of malformed tool calls beyond which an endpoint serves requests with tools only after its peers.
pub(super) fn tool_errors_far_beyond(estimates: &[Estimate]) -> impl Fn(&Estimate) -> bool + use<> {
    let usual = median(estimates.iter().map(|e| e.tool_error_rate).collect()).unwrap_or_default();
    move |estimate| {
        let deviation = (usual * (1.0 - usual) / estimate.tool_answers.max(1.0)).sqrt();
        let margin = (TOOL_ERROR_DEVIATIONS * deviation).max(TOOL_ERROR_MARGIN);
        estimate.tool_error_rate > usual + margin
    }
}
