//! What a plan costs: a model with 20 measured endpoints, filtered, ordered and bounded. `cargo bench --bench planner`.
//!
//! Run natively, so that the figure is the planner's own. The goal is 100 µs.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, prints what it measured, and stops when its own rows are wrong"
)]

use std::{hint::black_box, rc::Rc, time::Instant};

use patchbay::{
    catalog::{ModelEntry, ServedModel},
    dialects::openai_chat::client,
    routing::{
        self, Asked, ProviderPreferences, Situation,
        statistics::{EndpointStatistics, Percentiles, Statistics, Window, key},
    },
};
use serde_json::{Value, json, value::RawValue};

const ENDPOINTS: u64 = 20;
const ROUNDS: usize = 15;
const PLANS: u64 = 2_000;

fn main() {
    let model = model();
    let statistics = statistics(&model);
    let body = json!({
        "model": "a/b", "messages": [{"role": "user", "content": "How are you?"}], "temperature": 0.5,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    });
    let request = client::parse_request(body.to_string().as_bytes()).unwrap();
    let models = [Asked::from(model)];
    for (name, object) in [
        ("the gateway's own order", json!({})),
        ("sort: throughput", json!({"sort": "throughput"})),
        (
            "filters, order and cutoffs",
            json!({"zdr": true, "max_price": {"prompt": 50}, "order": ["p7", "p3"], "preferred_max_latency": {"p90": 1}}),
        ),
    ] {
        let raw = RawValue::from_string(object.to_string()).unwrap();
        let preferences = ProviderPreferences::parse(Some(&raw)).unwrap();
        let round = |_| {
            let started = Instant::now();
            for seed in 0..PLANS {
                let situation = Situation {
                    seed,
                    prompt_tokens: 1_000,
                    preferences: &preferences,
                    statistics: &statistics,
                    ..Situation::default()
                };
                black_box(routing::plan(&request, &models, black_box(&situation)).unwrap());
            }
            started.elapsed() / u32::try_from(PLANS).unwrap()
        };
        let mut each: Vec<_> = (0..ROUNDS).map(round).collect();
        each.sort();
        let (best, median) = (each.first().unwrap(), each.get(ROUNDS / 2).unwrap());
        println!(
            "{name:<28} {ENDPOINTS} endpoints: {median:>9.1?} a plan (best of {ROUNDS} rounds {best:.1?})"
        );
    }
}

fn model() -> Rc<ServedModel> {
    let provider = |n: u64| {
        json!({
            "slug": format!("p{n}"), "name": format!("Provider {n}"), "dialect": "openai_chat",
            "base_url": "https://example.invalid", "auth": {"kind": "bearer"}, "secret": "S",
            "data_policy": {"training": false, "retention_days": 0},
        })
    };
    let endpoint = |n: u64| {
        json!({
            "model": "a/b", "provider": format!("p{n}"), "tag": format!("p{n}"), "upstream_model_id": "b",
            "context_length": 128_000, "max_completion_tokens": 16_000,
            "prices": {"prompt": 1_000_000_000 + n * 70_000_000, "completion": 4_000_000_000_u64 + n * 90_000_000},
            "supported_parameters": ["temperature", "top_p", "max_tokens", "tools", "tool_choice", "response_format"],
            "input_modalities": ["text", "image"], "output_modalities": ["text"],
        })
    };
    let rows = |row: &dyn Fn(u64) -> Value| (0..ENDPOINTS).map(row).collect::<Vec<_>>();
    let entry: ModelEntry = serde_json::from_value(json!({
        "model": {
            "slug": "a/b", "canonical_slug": "a/b", "name": "B", "description": "", "created": 0, "context_length": 128_000,
            "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
        },
        "endpoints": rows(&endpoint), "providers": rows(&provider),
    }))
    .unwrap();
    Rc::new(ServedModel::from(entry))
}

fn statistics(model: &ServedModel) -> Statistics {
    let figures = |at: f32| {
        Some(Percentiles {
            p50: at,
            p75: at * 1.5,
            p90: at * 2.0,
            p95: at * 3.0,
            p99: at * 4.0,
        })
    };
    let seen = (1u8..).zip(&model.routes).map(|(n, route)| {
        let window = Window {
            attempts: 1_000,
            failed: u64::from(n),
            tool_answers: 300,
            prompt_tokens: 1_000_000,
            completion_tokens: 300_000,
            cost: 2_000_000_000,
            first_token_ms: figures(300.0 + f32::from(n) * 20.0),
            tokens_per_second: figures(40.0 + f32::from(n)),
            ..Window::default()
        };
        let seen = EndpointStatistics {
            five_minutes: window.clone(),
            half_hour: window.clone(),
            day: window,
        };
        (key(&route.endpoint), seen)
    });
    Statistics {
        gathered_at: 1,
        endpoints: seen.collect(),
    }
}
