//! Orders over small made-up worlds.

use std::rc::Rc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::routing::{
    breaker::PROOF_OF_RECOVERY,
    statistics::{Percentiles, Window},
};

/// What a made-up endpoint charges and how it serves.
#[derive(Debug, Clone)]
struct Made {
    /// Dollars per million tokens, in and out alike.
    price: f64,
    attempts: u64,
    failed: u64,
    /// Of these, in outages; and what was answered since.
    outage: (u64, u64),
    rate_limited: u64,
    tool_errors: u64,
    first_token_ms: f32,
    tokens_per_second: f32,
    cached: u64,
    standing: Standing,
}

impl Made {
    /// Unknown, at this price.
    fn at(price: f64) -> Self {
        Self {
            price,
            attempts: 0,
            failed: 0,
            outage: (0, 0),
            rate_limited: 0,
            tool_errors: 0,
            first_token_ms: 500.0,
            tokens_per_second: 50.0,
            cached: 0,
            standing: Standing::Steady,
        }
    }

    /// Well known, at this price.
    fn known(price: f64) -> Self {
        Self {
            attempts: 1_000,
            ..Self::at(price)
        }
    }

    fn statistics(&self) -> Option<EndpointStatistics> {
        if self.attempts + self.rate_limited == 0 {
            return None;
        }
        let all = |x: f32| Percentiles {
            p50: x,
            p75: x,
            p90: x,
            p95: x,
            p99: x,
        };
        let answers = self.attempts - self.failed;
        let window = Window {
            attempts: self.attempts,
            failed: self.failed,
            outage_failed: self.outage.0,
            good_since_outage: self.outage.1,
            rate_limited: self.rate_limited,
            tool_answers: answers,
            tool_errors: self.tool_errors,
            prompt_tokens: answers * 1_000,
            cache_read_tokens: answers * self.cached,
            completion_tokens: answers * 100,
            cost: 0,
            first_token_ms: (answers > 0).then(|| all(self.first_token_ms)),
            tokens_per_second: (answers > 0).then(|| all(self.tokens_per_second)),
            ..Window::default()
        };
        Some(EndpointStatistics {
            five_minutes: window.clone(),
            half_hour: window.clone(),
            day: window,
        })
    }
}

/// Endpoints called `a`, `b`, … with what was measured of them.
fn world(made: &[Made]) -> Vec<(Route, Option<EndpointStatistics>, Standing)> {
    let route = |at: usize, made: &Made| {
        let name = char::from(b'a' + at as u8).to_string();
        let price = (made.price * 1e9) as u64;
        let provider = json!({
            "slug": name, "name": name, "dialect": "openai_chat", "base_url": "https://example.invalid",
            "auth": {"kind": "bearer"}, "secret": name, "data_policy": {"training": false},
        });
        let endpoint = json!({
            "model": "m/m", "provider": name, "tag": name, "upstream_model_id": "m",
            "context_length": 100_000,
            "prices": {"prompt": price, "completion": price, "cache_read": price / 10},
            "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"],
        });
        Route {
            endpoint: Rc::new(serde_json::from_value(endpoint).unwrap()),
            provider: Rc::new(serde_json::from_value(provider).unwrap()),
        }
    };
    made.iter()
        .enumerate()
        .map(|(at, made)| (route(at, made), made.statistics(), made.standing))
        .collect()
}

/// The candidates of a world, for requests of as many tokens as [`CONTEXT`] says.
fn candidates(world: &[(Route, Option<EndpointStatistics>, Standing)]) -> Vec<Candidate<'_>> {
    world
        .iter()
        .map(|(route, statistics, standing)| Candidate {
            route,
            cost: route.endpoint.prices.prompt.get() * 1_100 / 1_000_000,
            statistics: statistics.as_ref(),
            standing: *standing,
        })
        .collect()
}

const CONTEXT: OrderContext = OrderContext {
    seed: 1,
    aim: Aim::Balance,
    with_tools: false,
    explore: true,
    prompt_tokens: 1_000,
    output_tokens: 100,
    max_tokens: None,
};

fn ordered(made: &[Made], context: &OrderContext) -> Vec<Ranked> {
    order(&candidates(&world(made)), context)
}

fn indices(made: &[Made], context: &OrderContext) -> Vec<usize> {
    ordered(made, context).iter().map(|r| r.index).collect()
}

/// How often each endpoint comes first over many seeds.
fn counted(made: &[Made], context: &OrderContext) -> Vec<f64> {
    let mut counts = vec![0.0; made.len()];
    for seed in 0..8_000 {
        let first = ordered(made, &OrderContext { seed, ..*context })[0].index;
        counts[first] += 1.0 / 8_000.0;
    }
    counts
}

/// The share of each endpoint, by index.
fn shares(made: &[Made], context: &OrderContext) -> Vec<f64> {
    let mut shares = vec![0.0; made.len()];
    for ranked in ordered(made, context) {
        shares[ranked.index] = ranked.share;
    }
    shares
}

#[test]
fn before_data_endpoints_are_drawn_by_the_inverse_square_of_price() {
    // The reference's example: $1 is nine times as likely as $3, and what failed just now comes last.
    let mut flaky = Made::at(2.0);
    flaky.standing = Standing::Shaky;
    let made = [Made::at(1.0), flaky, Made::at(3.0)];
    let context = OrderContext {
        explore: false,
        ..CONTEXT
    };
    let shares = shares(&made, &context);
    assert!((shares[0] / shares[2] - 9.0).abs() < 1e-9, "{shares:?}");
    assert_eq!(shares[1], 0.0);
    for seed in 0..100 {
        assert_eq!(indices(&made, &OrderContext { seed, ..context })[2], 1);
    }
}

#[test]
fn shares_are_what_is_drawn() {
    let mut made = vec![Made::known(1.0), Made::known(1.03), Made::known(1.2)];
    made.push(Made::at(0.9));
    let (told, drawn) = (shares(&made, &CONTEXT), counted(&made, &CONTEXT));
    assert!((told.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    for (told, drawn) in told.iter().zip(&drawn) {
        assert!((told - drawn).abs() < 0.02, "{told} told, {drawn} drawn");
    }
}

#[test]
fn a_second_choice_is_drawn_from_what_is_left() {
    let made = [Made::at(1.0), Made::at(2.0), Made::at(3.0)];
    let (mut after_a, mut b_after_a) = (0.0, 0.0);
    for seed in 0..8_000 {
        let order = indices(&made, &OrderContext { seed, ..CONTEXT });
        if order[0] == 0 {
            after_a += 1.0;
            b_after_a += f64::from(u8::from(order[1] == 1));
        }
    }
    // 1/4 against 1/9.
    let rate: f64 = b_after_a / after_a;
    assert!((rate - 9.0 / 13.0).abs() < 0.025, "{rate}");
}

#[test]
fn shares_fall_off_beyond_the_edge_but_never_to_nothing() {
    let made = [1.0, 1.04, 1.3, 3.0].map(Made::known);
    let with = shares(&made, &CONTEXT);
    assert!(with[0] + with[1] > 0.95, "{with:?}");
    assert!(with[3] > 1e-5 && with[3] < 0.01, "{with:?}");
    let without = shares(
        &made,
        &OrderContext {
            explore: false,
            ..CONTEXT
        },
    );
    assert!(without[3] < 1e-4, "{without:?}");
}

#[test]
fn what_is_measured_outweighs_a_lower_price() {
    let good = Made::known(1.1);
    let bad = [
        Made {
            failed: 100,
            ..Made::known(1.0)
        },
        Made {
            tokens_per_second: 2.0,
            ..Made::known(1.0)
        },
        Made {
            rate_limited: 4_000,
            ..Made::known(1.0)
        },
    ];
    for bad in bad {
        let shares = shares(&[good.clone(), bad.clone()], &CONTEXT);
        assert!(shares[0] > 0.85, "{bad:?}: {shares:?}");
    }
    // A cache that is hit is worth more than a lower list price.
    let cached = Made {
        cached: 800,
        ..Made::known(1.5)
    };
    assert!(shares(&[cached, Made::known(1.0)], &CONTEXT)[0] > 0.9);
}

#[test]
fn malformed_tool_calls_count_for_requests_with_tools_alone() {
    let bad = Made {
        tool_errors: 100,
        ..Made::known(1.0)
    };
    let made = [bad, Made::known(1.1), Made::known(1.2)];
    assert!(shares(&made, &CONTEXT)[0] > 0.5);
    let tools = OrderContext {
        with_tools: true,
        explore: false,
        ..CONTEXT
    };
    let ranked = ordered(&made, &tools);
    assert_eq!((ranked[2].index, ranked[2].reason), (0, Reason::ToolErrors));
}

#[test]
fn the_order_of_quality_has_fewest_malformed_tool_calls_first_then_the_fastest() {
    let made = [
        Made {
            tool_errors: 40,
            ..Made::known(1.0)
        },
        Made {
            tool_errors: 2,
            tokens_per_second: 20.0,
            ..Made::known(1.0)
        },
        Made {
            tool_errors: 4,
            tokens_per_second: 80.0,
            ..Made::known(9.0)
        },
        Made {
            standing: Standing::Resting,
            ..Made::known(0.5)
        },
    ];
    for seed in 0..50 {
        let context = OrderContext {
            seed,
            aim: Aim::Quality,
            ..CONTEXT
        };
        assert_eq!(indices(&made, &context), [2, 1, 0, 3]);
    }
}

#[test]
fn speed_does_not_depend_on_the_length_of_the_measured_answers() {
    // 100 tokens in 1 s of waiting and 1 s of writing.
    let made = Made {
        first_token_ms: 1_000.0,
        tokens_per_second: 50.0,
        ..Made::known(1.0)
    };
    // The answer is expected to be as long as the measured ones were, within its own limit.
    for (max_tokens, seconds) in [(None, 2.18), (Some(50), 1.5)] {
        let context = OrderContext {
            output_tokens: 1_000,
            max_tokens,
            ..CONTEXT
        };
        let estimate = ordered(std::slice::from_ref(&made), &context)[0].estimate;
        assert!((estimate.tokens_per_second - 100.0).abs() < 1.0);
        assert!((estimate.seconds - seconds).abs() < 0.02, "{estimate:?}");
    }
}

#[test]
fn an_outage_is_forgotten_by_the_answers_after_it_and_stray_faults_are_not() {
    let after = |outage: (u64, u64), standing| {
        let back = Made {
            failed: 60,
            outage,
            standing,
            ..Made::known(1.0)
        };
        shares(&[back, Made::known(1.0)], &CONTEXT)[0]
    };
    let proof = u64::from(PROOF_OF_RECOVERY);
    let told: Vec<f64> = (0..=proof)
        .map(|good| after((60, good), Standing::Steady))
        .collect();
    assert!(told[0] < 0.02, "{told:?}");
    assert!(told.is_sorted(), "{told:?}");
    assert!(told[proof as usize] > 0.4, "{told:?}");
    // On trial the outage keeps nobody away, the breaker does: the proof comes at once.
    let on_trial = after((60, 0), Standing::Trial);
    assert!(on_trial > 0.85, "{on_trial}");
    // As many faults that were none of an outage count whatever was answered since.
    assert!(after((0, 1_000), Standing::Steady) < 0.02);
    assert!(after((0, 1_000), Standing::Trial) < 0.02);
}

#[test]
fn free_endpoints_are_ordered_by_speed_and_trouble() {
    let slow = Made {
        tokens_per_second: 10.0,
        ..Made::known(0.0)
    };
    let shares = shares(&[slow, Made::known(0.0)], &CONTEXT);
    assert!(shares[1] > 0.9, "{shares:?}");
}

fn any_made() -> impl Strategy<Value = Made> {
    let standing = prop_oneof![
        5 => Just(Standing::Steady),
        1 => Just(Standing::Trial),
        1 => Just(Standing::Shaky),
        1 => Just(Standing::Resting)
    ];
    let counts = (0u64..500, 0.0..1.0f64, 0u64..200, 0.0..1.0f64, 0u64..1_000);
    (
        0.0..20.0f64,
        counts,
        1.0f32..5_000.0,
        1.0f32..300.0,
        standing,
    )
        .prop_map(
            |(price, (attempts, failed, rate_limited, tools, cached), first, speed, standing)| {
                let failed = (attempts as f64 * failed) as u64;
                Made {
                    price,
                    attempts,
                    failed,
                    outage: (failed / 2, attempts % 20),
                    rate_limited,
                    tool_errors: ((attempts - failed) as f64 * tools) as u64,
                    first_token_ms: first,
                    tokens_per_second: speed,
                    cached,
                    standing,
                }
            },
        )
}

fn any_context() -> impl Strategy<Value = OrderContext> {
    let aim = prop_oneof![4 => Just(Aim::Balance), 1 => Just(Aim::Quality)];
    let flags = (any::<bool>(), any::<bool>());
    (any::<u64>(), aim, flags, 0u64..100_000, 0u64..10_000).prop_map(
        |(seed, aim, (with_tools, explore), prompt_tokens, output_tokens)| OrderContext {
            seed,
            aim,
            with_tools,
            explore,
            prompt_tokens,
            output_tokens,
            max_tokens: None,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_order_has_each_candidate_once_and_shares_that_add_up(
        made in prop::collection::vec(any_made(), 1..20), context in any_context()
    ) {
        let ranked = ordered(&made, &context);
        let mut seen: Vec<usize> = ranked.iter().map(|r| r.index).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..made.len()).collect::<Vec<_>>());
        let total: f64 = ranked.iter().map(|r| r.share).sum();
        prop_assert!((total - 1.0).abs() < 1e-6, "shares sum to {}", total);
        prop_assert!(ranked.iter().all(|r| r.score.is_finite() && r.share >= 0.0));
        prop_assert_eq!(ordered(&made, &context), ranked);
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(
        made in prop::collection::vec(any_made(), 1..10), context in any_context()
    ) {
        let world = world(&made);
        let mut candidates = candidates(&world);
        let tags = |candidates: &[Candidate<'_>]| -> Vec<String> {
            order(candidates, &context).iter().map(|r| candidates[r.index].route.endpoint.tag.clone()).collect()
        };
        let forwards = tags(&candidates);
        candidates.reverse();
        prop_assert_eq!(tags(&candidates), forwards);
    }

    #[test]
    /// Of two endpoints with equally many good answers, the one that costs and waits at least as much, and has at least as many faults,
    /// 429s, malformed calls and misses of its cache, never has the larger share, whoever else takes part.
    fn what_is_worse_in_every_respect_never_has_the_larger_share(
        better in any_made(),
        (dearer, slower, later) in (1.0..3.0f64, 1.0..3.0f32, 1.0..3.0f32),
        (faults, outage, tools, limited, uncached) in
            (prop_oneof![Just(0u64), 1u64..500], 0.0..1.0f64, 0.0..1.0f64, prop_oneof![Just(0u64), 1u64..500], 0.0..1.0f64),
        others in prop::collection::vec(any_made(), 0..8),
        context in any_context(),
    ) {
        // Faults come on top of as many good answers: were they fewer, a slow endpoint would be taken for an average one again.
        let answers = better.attempts - better.failed;
        let more_errors = ((answers - better.tool_errors) as f64 * tools) as u64;
        let worse = Made {
            price: better.price * dearer,
            attempts: better.attempts + faults,
            failed: better.failed + faults,
            outage: (better.outage.0 + (faults as f64 * outage) as u64, better.outage.1),
            tool_errors: better.tool_errors + more_errors,
            rate_limited: better.rate_limited + limited,
            first_token_ms: better.first_token_ms * later,
            // The overall speed counts the wait: with the same, a longer wait would mean faster writing.
            tokens_per_second: better.tokens_per_second / slower.max(later),
            cached: (better.cached as f64 * uncached) as u64,
            ..better.clone()
        };
        let mut made = vec![better, worse];
        made.extend(others);
        let context = OrderContext { aim: Aim::Balance, ..context };
        let shares = shares(&made, &context);
        prop_assert!(shares[1] <= shares[0] * (1.0 + 1e-9), "{:?}", shares);
    }
}
