//! The planner as a table, request and world → plan with reasons, and what holds for every plan.
//!
//! Rows that do not say otherwise are sorted by price, so that an order is one of theirs and not of measurements.

use std::{collections::BTreeMap, rc::Rc};

use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

use super::{
    Asked, Exclusion, MAX_ATTEMPTS, OwnCandidate, OwnKey, Plan, ProviderPreferences, Situation,
    Suffix, attempts,
    health::{Health, Standing},
    statistics::{EndpointStatistics, Percentiles, Statistics, Window},
};
use crate::{
    catalog::{Endpoint, ModelEntry, ServedModel},
    chat::ChatRequest,
    dialects::openai_chat::client,
    guardrails::Policy,
};

#[path = "guarded_tests.rs"]
mod guarded;

/// Providers by slug: data policy, and whether the deployment can call them.
const PROVIDERS: [(&str, Option<bool>, Option<u32>, bool); 5] = [
    ("alpha", Some(false), Some(0), true),
    ("beta", Some(true), Some(365), true),
    ("gamma", Some(false), Some(30), true),
    ("delta", None, None, true),
    ("omega", Some(false), Some(0), false),
];

/// `model`, `tag`, dollars per million tokens, further fields.
fn rows() -> Vec<(&'static str, &'static str, u64, Value)> {
    let all = json!([
        "temperature",
        "max_tokens",
        "tools",
        "response_format",
        "structured_outputs",
        "seed"
    ]);
    vec![
        (
            "a/one",
            "alpha",
            1,
            json!({"quantization": "fp8", "context_length": 1_000}),
        ),
        ("a/one", "alpha/flex", 0, json!({})),
        ("a/one", "alpha/priority", 9, json!({})),
        (
            "a/one",
            "beta",
            2,
            json!({"supported_parameters": all, "quantization": "bf16"}),
        ),
        (
            "a/one",
            "gamma",
            3,
            json!({
                "quantization": "nvfp4", "input_modalities": ["text", "image"], "output_modalities": ["text", "image"],
                "max_completion_tokens": 50_000,
            }),
        ),
        (
            "a/one",
            "delta/turbo",
            4,
            json!({"supported_parameters": all}),
        ),
        ("a/one", "omega", 1, json!({})),
        ("a/two", "beta", 1, json!({})),
        ("a/two", "gamma", 2, json!({})),
    ]
}

fn model(slug: &str) -> Rc<ServedModel> {
    let provider = |(slug, training, days, _): &(&str, Option<bool>, Option<u32>, bool)| {
        json!({
            "slug": slug, "name": format!("The {slug}"), "dialect": "openai_chat", "base_url": "https://example.invalid",
            "auth": {"kind": "bearer"}, "secret": slug, "data_policy": {"training": training, "retention_days": days},
        })
    };
    let endpoints: Vec<Value> = rows()
        .into_iter()
        .filter(|row| row.0 == slug)
        .map(|(model, tag, dollars, fields)| {
            let mut row = json!({
                "model": model, "provider": tag.split('/').next(), "tag": tag, "upstream_model_id": "m",
                "context_length": 100_000, "max_completion_tokens": 4_000,
                "prices": {"prompt": dollars * 1_000_000_000, "completion": dollars * 1_000_000_000},
                "supported_parameters": ["temperature", "max_tokens"],
                "input_modalities": ["text"], "output_modalities": ["text"],
            });
            let object = row.as_object_mut().unwrap();
            object.extend(fields.as_object().unwrap().clone());
            row
        })
        .collect();
    let entry: ModelEntry = serde_json::from_value(json!({
        "model": {
            "slug": slug, "canonical_slug": slug, "name": slug, "description": "", "created": 0, "context_length": 1000,
            "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
            "distillable": slug == "a/two",
        },
        "endpoints": endpoints,
        "providers": PROVIDERS.iter().map(provider).collect::<Vec<_>>(),
    }))
    .unwrap();
    Rc::new(ServedModel::from(entry))
}

/// `a/one:nitro` → the model with its suffix.
fn asked(name: &str) -> Asked {
    let (slug, suffix) = name.split_once(':').unwrap_or((name, ""));
    Asked {
        name: name.to_owned(),
        suffix: Suffix::parse(suffix),
        model: model(slug),
    }
}

fn request(fields: Value) -> ChatRequest {
    let mut body = json!({"model": "a/one", "messages": [{"role": "user", "content": "hi"}]});
    let object = body.as_object_mut().unwrap();
    object.extend(fields.as_object().unwrap().clone());
    client::parse_request(body.to_string().as_bytes()).unwrap()
}

/// One key for each, in this order.
fn own(
    provider: &str,
    is_fallback: bool,
    is_required: bool,
    models: Option<&[&str]>,
) -> OwnCandidate {
    OwnCandidate {
        provider: provider.to_owned(),
        key: Rc::new(OwnKey {
            id: format!("{provider}-key"),
            ..own_key()
        }),
        is_fallback,
        is_required,
        models: models.map(|models| models.iter().map(|slug| (*slug).to_owned()).collect()),
    }
}

fn own_key() -> OwnKey {
    OwnKey {
        id: String::new(),
        label: "...cret".into(),
        secret: "secret".into(),
        form: Default::default(),
    }
}

struct World {
    statistics: Statistics,
    resting: Vec<&'static str>,
    own: Vec<OwnCandidate>,
    prompt_tokens: u64,
    seed: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            statistics: Statistics::default(),
            resting: Vec::new(),
            own: Vec::new(),
            prompt_tokens: 100,
            seed: 7,
        }
    }
}

impl Health for World {
    fn standing(&self, endpoint: &Endpoint, _now_ms: u64) -> Standing {
        match self.resting.contains(&endpoint.tag.as_str()) {
            true => Standing::Resting,
            false => Standing::Steady,
        }
    }
}

impl World {
    /// The speeds (tokens per second) and latencies (seconds) of endpoints, the same at every percentile but p99, which is ten
    /// times worse.
    fn measured(figures: &[(&str, f32, f32)]) -> Self {
        let tailed = |at: f32, tail: f32| {
            Some(Percentiles {
                p50: at,
                p75: at,
                p90: at,
                p95: tail,
                p99: tail,
            })
        };
        let seen = |speed: f32, seconds: f32| EndpointStatistics {
            five_minutes: Window {
                attempts: 100,
                tokens_per_second: tailed(speed, speed / 10.0),
                first_token_ms: tailed(seconds * 1_000.0, seconds * 10_000.0),
                ..Window::default()
            },
            ..EndpointStatistics::default()
        };
        let endpoints = figures
            .iter()
            .map(|(name, speed, seconds)| ((*name).to_owned(), seen(*speed, *seconds)));
        Self {
            statistics: Statistics {
                gathered_at: 1,
                endpoints: endpoints.collect(),
            },
            ..Self::default()
        }
    }

    fn owning(own: Vec<OwnCandidate>) -> Self {
        Self {
            own,
            ..Self::default()
        }
    }

    fn plan(&self, names: &[&str], request: &ChatRequest, preferences: &Value) -> Plan {
        self.plan_under(None, names, request, preferences)
    }

    fn plan_under(
        &self,
        policy: Option<&Policy>,
        names: &[&str],
        request: &ChatRequest,
        preferences: &Value,
    ) -> Plan {
        let raw = RawValue::from_string(preferences.to_string()).unwrap();
        let preferences = ProviderPreferences::parse(Some(&raw)).unwrap();
        let models: Vec<Asked> = names.iter().map(|name| asked(name)).collect();
        let can_call = |slug: &str| PROVIDERS.iter().any(|row| row.0 == slug && row.3);
        let situation = Situation {
            seed: self.seed,
            default_sort: Some(crate::routing::SortBy::Price),
            prompt_tokens: self.prompt_tokens,
            preferences: &preferences,
            statistics: &self.statistics,
            health: self,
            own: &self.own,
            policy,
            has_credentials: &|provider| can_call(&provider.slug),
            ..Situation::default()
        };
        attempts(request, &models, &situation)
    }
}

/// `tag`, with the model before it where it is another than the first, and a star for the account's own key.
fn told(plan: &Plan) -> Vec<String> {
    let step = |step: &super::Step| {
        let endpoint = &step.route.endpoint;
        let model = if endpoint.model == "a/one" {
            ""
        } else {
            "two:"
        };
        let star = if step.credential.is_own() { "*" } else { "" };
        format!("{model}{}{star}", endpoint.tag)
    };
    plan.attempts.iter().map(step).collect()
}

fn excluded(plan: &Plan) -> BTreeMap<String, &'static str> {
    let rows = plan.excluded.iter();
    rows.map(|(route, reason)| {
        (
            format!("{}|{}", route.endpoint.model, route.endpoint.tag),
            reason.as_str(),
        )
    })
    .collect()
}

fn by_price(mut preferences: Value) -> Value {
    let object = preferences.as_object_mut().unwrap();
    object.entry("sort").or_insert("price".into());
    preferences
}

/// Tags of endpoints that are left out, with the reasons.
type Reasons = Vec<(&'static str, &'static str)>;

fn pdf(plugins: Value) -> Value {
    json!({"plugins": plugins, "messages": [{"role": "user", "content": [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}]}]})
}

#[test]
fn a_prompt_that_is_too_long_is_cut_where_that_is_wanted_and_nobody_takes_it_whole() {
    let on = json!({"plugins": [{"id": "context-compression"}]});
    for (fields, tokens, only, expected) in [
        (json!({}), 900, json!(["alpha"]), "alpha"),
        (json!({}), 1_500, json!(["alpha"]), "alpha"),
        (json!({}), 2_500, json!(["alpha"]), ""),
        // A window of up to 8,192 tokens is cut for without being asked, but not beside one that takes the whole prompt.
        (json!({}), 1_500, json!(["alpha", "gamma"]), "gamma"),
        (json!({}), 150_000, json!(["alpha", "gamma"]), ""),
        (on.clone(), 150_000, json!(["alpha", "gamma"]), "gamma"),
        (on, 900_000, json!(["alpha", "gamma"]), "alpha gamma"),
        (
            json!({"transforms": []}),
            900_000,
            json!(["alpha", "gamma"]),
            "",
        ),
    ] {
        let world = World {
            prompt_tokens: tokens,
            ..World::default()
        };
        let plan = world.plan(&["a/one"], &request(fields.clone()), &json!({"only": only}));
        assert_eq!(told(&plan).join(" "), expected, "{fields} {tokens}");
    }
}

#[test]
fn preferences_and_requests_decide_as_the_table_says() {
    let image = json!({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.invalid/x.png"}}]}]});
    let tool = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    let schema = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}});
    // What the request says, its `provider` object, the attempts, and who is left out for which reason.
    #[rustfmt::skip]
    let table: Vec<(Value, Value, &str, Reasons)> = vec![
        (json!({}), json!({}), "alpha beta gamma delta/turbo",
            vec![("omega", "no_credentials"), ("alpha/flex", "service_tier"), ("alpha/priority", "service_tier")]),
        (json!({}), json!({"order": ["gamma", "beta"]}), "gamma beta alpha delta/turbo", vec![]),
        (json!({}), json!({"order": ["The Gamma", "delta"]}), "gamma delta/turbo alpha beta", vec![]),
        (json!({}), json!({"order": ["nobody", "delta/turbo"], "allow_fallbacks": false}), "delta/turbo",
            vec![("alpha", "allow_fallbacks"), ("gamma", "allow_fallbacks")]),
        (json!({}), json!({"allow_fallbacks": false}), "alpha", vec![("beta", "allow_fallbacks")]),
        (json!({}), json!({"only": ["beta", "gamma"]}), "beta gamma",
            vec![("alpha", "allowed_providers"), ("delta/turbo", "allowed_providers"), ("omega", "no_credentials")]),
        (json!({}), json!({"only": ["omega"]}), "", vec![("omega", "no_credentials"), ("beta", "allowed_providers")]),
        (json!({}), json!({"only": ["alpha/priority"]}), "alpha/priority", vec![("alpha", "allowed_providers")]),
        (json!({}), json!({"only": ["alpha/fast"]}), "alpha/priority", vec![("alpha/flex", "service_tier")]),
        (json!({}), json!({"order": ["alpha/flex"]}), "alpha/flex alpha beta gamma delta/turbo", vec![]),
        (json!({}), json!({"ignore": ["alpha", "delta"]}), "beta gamma", vec![("alpha", "ignored_providers")]),
        (json!({"service_tier": "flex"}), json!({"ignore": ["alpha"]}), "", vec![("alpha/flex", "ignored_providers")]),
        (json!({}), json!({"zdr": true}), "alpha", vec![("gamma", "data_policy:zdr"), ("delta/turbo", "data_policy:zdr")]),
        (json!({}), json!({"zdr": false}), "alpha beta gamma delta/turbo", vec![]),
        (json!({}), json!({"data_collection": "deny"}), "alpha gamma",
            vec![("beta", "data_policy:training"), ("delta/turbo", "data_policy:training")]),
        (json!({}), json!({"enforce_distillable_text": true}), "", vec![("alpha", "distillable_text")]),
        (json!({}), json!({"quantizations": ["fp4", "unknown"]}), "gamma delta/turbo", vec![("alpha", "quantization")]),
        (json!({}), json!({"quantizations": ["nvfp4"]}), "gamma", vec![]),
        (json!({}), json!({"max_price": {"prompt": 2}}), "alpha beta", vec![("gamma", "max_price")]),
        (json!({}), json!({"max_price": {"completion": "2.999999999"}}), "alpha beta", vec![]),
        (image.clone(), json!({"max_price": {"image": "0.003"}}), "gamma", vec![("beta", "input_modality")]),
        (image.clone(), json!({"max_price": {"image": "0.0029"}}), "", vec![("gamma", "max_price")]),
        (image, json!({}), "gamma", vec![("alpha", "input_modality")]),
        (json!({"modalities": ["text", "image"]}), json!({}), "gamma", vec![("beta", "output_modality")]),
        (json!({"max_tokens": 4_001}), json!({}), "gamma", vec![("alpha", "max_tokens"), ("beta", "max_tokens")]),
        // The soft rule: some support tools, so the others are left out; nobody supports `top_k`, so it is ignored.
        (tool, json!({}), "beta delta/turbo", vec![("alpha", "require_parameters")]),
        (schema, json!({}), "beta delta/turbo", vec![("gamma", "require_parameters")]),
        (json!({"top_k": 5}), json!({}), "alpha beta gamma delta/turbo", vec![]),
        // Nobody reads files: the gateway reads the PDF, unless it is left to the model.
        (pdf(json!([])), json!({}), "alpha beta gamma delta/turbo", vec![]),
        (pdf(json!([{"id": "file-parser", "pdf": {"engine": "native"}}])), json!({}), "", vec![("beta", "input_modality")]),
        (json!({"top_k": 5}), json!({"require_parameters": true}), "", vec![("beta", "require_parameters")]),
        (json!({"seed": 5}), json!({"require_parameters": true}), "beta delta/turbo", vec![("alpha", "require_parameters")]),
        (json!({"service_tier": "flex"}), json!({}), "alpha/flex", vec![("alpha", "service_tier"), ("alpha/priority", "service_tier")]),
        (json!({"service_tier": "flex"}), json!({"only": ["alpha"]}), "alpha/flex", vec![("beta", "service_tier")]),
        (json!({"service_tier": "priority"}), json!({}), "alpha/priority alpha beta gamma delta/turbo", vec![("alpha/flex", "service_tier")]),
        (json!({"service_tier": "fast"}), json!({"only": ["alpha"]}), "alpha/priority alpha", vec![]),
        (json!({"service_tier": "default"}), json!({}), "alpha beta gamma delta/turbo", vec![]),
    ];
    for (fields, preferences, expected, reasons) in table {
        let case = format!("{fields} {preferences}");
        let plan = World::default().plan(&["a/one"], &request(fields), &by_price(preferences));
        assert_eq!(told(&plan).join(" "), expected, "{case}");
        let left_out = excluded(&plan);
        for (tag, reason) in reasons {
            let found = left_out.get(&format!("a/one|{tag}"));
            assert_eq!(found, Some(&reason), "{case} {tag}: {left_out:?}");
        }
        assert_eq!(plan.attempts.len() + plan.excluded.len(), 7, "{case}");
    }
}

#[test]
fn a_prompt_goes_where_it_fits() {
    let world = World {
        prompt_tokens: 1_001,
        ..World::default()
    };
    let plan = world.plan(&["a/one"], &request(json!({})), &json!({"sort": "price"}));
    assert_eq!(told(&plan), ["beta", "gamma", "delta/turbo"]);
    assert_eq!(excluded(&plan)["a/one|alpha"], "context_length");
}

#[test]
fn a_suffix_sorts_and_admits_its_tier() {
    let world = World::measured(&[
        ("a/one|alpha", 50.0, 0.5),
        ("a/one|alpha/priority", 300.0, 0.2),
        ("a/one|beta", 200.0, 2.0),
        ("a/one|gamma", 100.0, 0.1),
    ]);
    let plan = |name: &str, fields: Value, preferences: Value| {
        told(&world.plan(&[name], &request(fields), &preferences)).join(" ")
    };
    #[rustfmt::skip]
    let table = [
        ("a/one:nitro", json!({}), json!({}), "alpha/priority beta gamma alpha delta/turbo"),
        ("a/one:floor", json!({}), json!({}), "alpha/flex alpha beta gamma delta/turbo"),
        ("a/one", json!({}), json!({"sort": "throughput"}), "beta gamma alpha delta/turbo"),
        ("a/one", json!({}), json!({"sort": {"by": "latency"}}), "gamma alpha beta delta/turbo"),
        // The suffix is nearer to the model than the object beside it.
        ("a/one:floor", json!({}), json!({"sort": "latency"}), "alpha/flex alpha beta gamma delta/turbo"),
        // Neither admits a tier where providers are named or the tier is.
        ("a/one:nitro", json!({}), json!({"order": ["gamma"]}), "gamma beta alpha delta/turbo"),
        ("a/one:floor", json!({"service_tier": "default"}), json!({}), "alpha beta gamma delta/turbo"),
        // Priority is first by throughput, and the usual tier follows.
        ("a/one", json!({"service_tier": "priority"}), json!({}), "alpha/priority beta gamma alpha delta/turbo"),
    ];
    for (name, fields, preferences, expected) in table {
        let case = format!("{name} {fields} {preferences}");
        assert_eq!(plan(name, fields, preferences), expected, "{case}");
    }
}

#[test]
fn cutoffs_demote_and_may_promote_the_next_model() {
    let world = World::measured(&[
        ("a/one|alpha", 50.0, 0.5),
        ("a/one|beta", 200.0, 2.0),
        ("a/one|gamma", 100.0, 0.1),
        ("a/two|beta", 10.0, 9.0),
    ]);
    let plan = |preferences: Value| {
        let plan = world.plan(
            &["a/one", "a/two"],
            &request(json!({})),
            &by_price(preferences),
        );
        told(&plan).join(" ")
    };
    let all = "alpha beta gamma delta/turbo two:beta two:gamma";
    #[rustfmt::skip]
    let table = [
        (json!({"preferred_min_throughput": 5}), all),
        (json!({"preferred_min_throughput": 60}), "beta gamma delta/turbo two:gamma alpha two:beta"),
        (json!({"preferred_min_throughput": {"p50": 60, "p99": 15}}), "beta delta/turbo two:gamma alpha gamma two:beta"),
        (json!({"preferred_max_latency": 1}), "alpha gamma delta/turbo two:gamma beta two:beta"),
        (json!({"preferred_max_latency": {"p99": 1.5}}), "gamma delta/turbo two:gamma alpha beta two:beta"),
        (json!({"preferred_max_latency": 1, "preferred_min_throughput": 60}), "gamma delta/turbo two:gamma alpha beta two:beta"),
    ];
    for (preferences, expected) in table {
        let case = preferences.to_string();
        assert_eq!(plan(preferences), expected, "{case}");
    }
}

#[test]
fn models_are_tried_in_their_order_or_all_together() {
    let world = World::default();
    let plan = |preferences: Value| {
        told(&world.plan(&["a/two", "a/one"], &request(json!({})), &preferences)).join(" ")
    };
    assert_eq!(
        plan(json!({"sort": "price"})),
        "two:beta two:gamma alpha beta gamma delta/turbo"
    );
    let together = json!({"sort": {"by": "price", "partition": "none"}});
    assert_eq!(
        plan(together),
        "alpha two:beta beta two:gamma gamma delta/turbo"
    );
    let named = json!({"sort": {"by": "price", "partition": "none"}, "order": ["gamma"]});
    assert_eq!(
        plan(named),
        "two:gamma gamma alpha two:beta beta delta/turbo"
    );
    let distilled = json!({"sort": "price", "enforce_distillable_text": true});
    assert_eq!(plan(distilled), "two:beta two:gamma");
}

#[test]
fn endpoints_at_rest_come_last_in_an_order_by_figures_but_not_in_the_clients_own() {
    let world = World {
        resting: vec!["alpha"],
        ..World::default()
    };
    let plan = |preferences: Value| {
        told(&world.plan(&["a/one"], &request(json!({})), &preferences)).join(" ")
    };
    assert_eq!(
        plan(json!({"sort": "price"})),
        "beta gamma delta/turbo alpha"
    );
    assert_eq!(
        plan(json!({"sort": "price", "order": ["alpha"]})),
        "alpha beta gamma delta/turbo"
    );
}

#[test]
fn own_keys_come_first_unless_they_are_fallbacks_and_bypass_no_policy() {
    let plan = |own: Vec<OwnCandidate>, preferences: Value| {
        let world = World::owning(own);
        let plan = world.plan(&["a/one"], &request(json!({})), &by_price(preferences));
        let reasons = excluded(&plan);
        (told(&plan).join(" "), reasons)
    };
    let (order, _) = plan(vec![own("gamma", false, false, None)], json!({}));
    assert_eq!(order, "gamma* alpha beta gamma delta/turbo");
    let (order, _) = plan(vec![own("gamma", true, false, None)], json!({}));
    assert_eq!(order, "alpha beta gamma delta/turbo gamma*");
    let (order, _) = plan(vec![own("gamma", false, true, None)], json!({}));
    assert_eq!(order, "gamma* alpha beta delta/turbo");
    // A key makes a provider callable that the operator cannot call.
    let (order, _) = plan(vec![own("omega", false, false, None)], json!({}));
    assert_eq!(order, "omega* alpha beta gamma delta/turbo");
    let (order, reasons) = plan(vec![own("gamma", false, true, Some(&["a/two"]))], json!({}));
    assert_eq!(order, "alpha beta delta/turbo");
    assert_eq!(reasons["a/one|gamma"], "own_key_required");
    // Unlike the reference, `order` may put them anywhere.
    let (order, _) = plan(
        vec![own("gamma", false, false, None)],
        json!({"order": ["beta", "gamma"]}),
    );
    assert_eq!(order, "beta gamma* gamma alpha delta/turbo");
    let (order, reasons) = plan(vec![own("gamma", false, false, None)], json!({"zdr": true}));
    assert_eq!(
        (order.as_str(), reasons["a/one|gamma"]),
        ("alpha", "data_policy:zdr")
    );
    let (order, _) = plan(
        vec![own("alpha", false, false, None)],
        json!({"allow_fallbacks": false}),
    );
    // One endpoint, one payer.
    assert_eq!(order, "alpha*");
}

#[test]
fn options_go_to_the_provider_that_they_name() {
    let preferences = json!({"sort": "price", "options": {"beta": {"x": 1}, "The Gamma": {"y": 2}, "nobody": {"z": 3}}});
    let plan = World::default().plan(&["a/one"], &request(json!({})), &preferences);
    let options: Vec<Option<Value>> = plan
        .attempts
        .iter()
        .map(|step| step.options.as_deref().map(|fields| json!(fields)))
        .collect();
    assert_eq!(
        options,
        [None, Some(json!({"x": 1})), Some(json!({"y": 2})), None]
    );
}

/// One filter of the `provider` object, or none.
fn filters() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let names = || {
        prop::collection::vec(
            prop::sample::select(vec!["alpha", "beta", "The Gamma", "delta", "omega", "x"]),
            0..4,
        )
    };
    let filter = prop_oneof![
        names().prop_map(|names| ("only", json!(names))),
        names().prop_map(|names| ("ignore", json!(names))),
        Just(("zdr", json!(true))),
        Just(("data_collection", json!("deny"))),
        Just(("enforce_distillable_text", json!(true))),
        Just(("require_parameters", json!(true))),
        (0u8..5).prop_map(|dollars| ("max_price", json!({"prompt": dollars}))),
        prop::sample::subsequence(vec!["fp8", "fp4", "bf16", "unknown"], 0..4)
            .prop_map(|words| ("quantizations", json!(words))),
    ];
    prop::collection::vec(filter, 0..4)
}

fn preferring(filters: &[(&str, Value)], rest: &Value) -> Value {
    let mut object = rest.as_object().unwrap().clone();
    for (key, value) in filters {
        object.entry(*key).or_insert_with(|| value.clone());
    }
    object.into()
}

/// The endpoints that no filter leaves out.
fn eligible(plan: &Plan) -> Vec<String> {
    let kept = plan.attempts.iter().map(|step| &step.route);
    let cut = |reason: &Exclusion| matches!(reason, Exclusion::Attempts | Exclusion::FallbacksOff);
    let others = plan
        .excluded
        .iter()
        .filter(|(_, reason)| cut(reason))
        .map(|(route, _)| route);
    let mut names: Vec<String> = kept
        .chain(others)
        .map(|route| format!("{}|{}", route.endpoint.model, route.endpoint.tag))
        .collect();
    names.sort();
    names.dedup();
    names
}

proptest! {
    #[test]
    fn every_plan_is_sound(
        filters in filters(),
        more in filters(),
        order in prop::option::of(prop::sample::subsequence(vec!["gamma", "beta", "delta", "alpha"], 0..4)),
        fallbacks in any::<bool>(),
        across in any::<bool>(),
        sort in prop::sample::select(vec!["price", "throughput", "latency", "exacto", "none"]),
        tools in any::<bool>(),
        max_tokens in prop::option::of(1u64..6_000),
        prompt_tokens in prop::sample::select(vec![10u64, 5_000, 200_000]),
        resting in prop::sample::subsequence(vec!["alpha", "beta", "gamma"], 0..3),
        seed in any::<u64>(),
    ) {
        let mut fields = json!({});
        if tools {
            fields["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
        }
        if let Some(max_tokens) = max_tokens {
            fields["max_tokens"] = max_tokens.into();
        }
        let request = request(fields);
        let partition = if across { "none" } else { "model" };
        let by = if sort == "none" { Value::Null } else { sort.into() };
        let rest = json!({"order": order, "allow_fallbacks": fallbacks, "sort": {"by": by, "partition": partition}});
        let world = World {
            resting,
            prompt_tokens,
            seed,
            ..World::measured(&[("a/one|beta", 30.0, 1.0), ("a/one|gamma", 60.0, 3.0), ("a/two|gamma", 10.0, 0.2)])
        };
        let names = ["a/one", "a/two"];
        let plan = |preferences: &Value| world.plan(&names, &request, preferences);

        let preferences = preferring(&filters, &rest);
        let first = plan(&preferences);
        // Each endpoint is in the plan once, kept or left out, and never both.
        let kept: Vec<String> = told(&first);
        prop_assert!(kept.len() <= MAX_ATTEMPTS);
        prop_assert_eq!(first.attempts.len() + first.excluded.len(), rows().len());
        for step in &first.attempts {
            let is_out = first.excluded.iter().any(|(route, _)| Rc::ptr_eq(&route.endpoint, &step.route.endpoint));
            prop_assert!(!is_out, "{} is kept and left out", step.route.endpoint.tag);
        }
        // The order is total and reproducible.
        prop_assert_eq!(&kept, &told(&plan(&preferences)));
        // Another filter never adds an endpoint, and neither does a guardrail.
        for (body, policy) in guarded::policies() {
            let before = eligible(&first);
            let guarded = world.plan_under(Some(&policy), &names, &request, &preferences);
            for name in eligible(&guarded) {
                prop_assert!(before.contains(&name), "{} came with {}", name, body);
            }
        }
        let filtered = plan(&preferring(&more, &preferences));
        let before = eligible(&first);
        for name in eligible(&filtered) {
            prop_assert!(before.contains(&name), "{} came with a filter", name);
        }
    }
}
