//! Plans over small made-up catalogs.

use serde_json::{json, value::RawValue};

use std::rc::Rc;

use super::*;
use crate::{
    catalog::{ModelEntry, ServedModel},
    routing::ProviderPreferences,
};

fn entry(endpoints: &[(&str, i64, serde_json::Value)]) -> Rc<ServedModel> {
    let provider = |slug: &str| {
        json!({
            "slug": slug, "name": slug.to_uppercase(), "dialect": "openai_chat",
            "base_url": "https://example.invalid", "auth": {"kind": "bearer"}, "secret": slug,
            "data_policy": {"training": false, "retention_days": if slug == "b" { 0 } else { 365 }},
        })
    };
    let endpoint = |(slug, price, extra): &(&str, i64, serde_json::Value)| {
        let mut row = json!({
            "model": "m/m", "provider": slug, "tag": slug, "upstream_model_id": "m",
            "context_length": 1000, "max_completion_tokens": 500,
            "prices": {"prompt": price, "completion": price},
            "supported_parameters": ["temperature", "max_tokens"],
            "input_modalities": ["text"], "output_modalities": ["text"],
        });
        row.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        row
    };
    let providers: Vec<_> = endpoints.iter().map(|(slug, ..)| provider(slug)).collect();
    let rows: Vec<_> = endpoints.iter().map(endpoint).collect();
    let entry: ModelEntry = serde_json::from_value(json!({
        "model": {
            "slug": "m/m", "canonical_slug": "m/m", "name": "M", "description": "", "created": 0,
            "context_length": 1000, "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
        },
        "endpoints": rows, "providers": providers,
    }))
    .unwrap();
    Rc::new(ServedModel::from(entry))
}

fn three() -> Rc<ServedModel> {
    entry(&[
        (
            "a",
            3_000_000_000,
            json!({"quantization": "int4", "prices": {
                "prompt": 3_000_000_000_u64, "completion": 3_000_000_000_u64, "request": 1}}),
        ),
        ("b", 1_000_000_000, json!({})),
        ("c", 2_000_000_000, json!({"quantization": "mxfp8"})),
    ])
}

fn tags(request: &ChatRequest, entry: Rc<ServedModel>, preferences: &str) -> Result<Vec<String>> {
    let raw = RawValue::from_string(preferences.to_owned()).unwrap();
    let preferences = ProviderPreferences::parse(Some(&raw)).unwrap();
    let situation = Situation {
        prompt_tokens: 100,
        preferences: &preferences,
        default_sort: Some(SortBy::Price),
        ..Situation::default()
    };
    let plan = plan(request, &[entry.into()], &situation)?;
    Ok(plan
        .attempts
        .into_iter()
        .map(|step| step.route.endpoint.tag.clone())
        .collect())
}

#[test]
fn an_operator_may_set_the_order_of_those_who_ask_for_none() {
    let request = ChatRequest::default();
    assert_eq!(tags(&request, three(), "{}").unwrap(), ["b", "c", "a"]);
}

#[test]
fn without_an_order_endpoints_take_turns_by_price_and_the_same_seed_gives_the_same_plan() {
    let first = |seed| {
        let situation = Situation {
            seed,
            ..Situation::default()
        };
        let plan = plan(&ChatRequest::default(), &[three().into()], &situation).unwrap();
        assert_eq!(plan.attempts.len(), 3);
        plan.attempts[0].route.endpoint.tag.clone()
    };
    let firsts: Vec<String> = (0..300).map(first).collect();
    let count = |tag: &str| firsts.iter().filter(|first| *first == tag).count();
    assert!(count("b") > count("c") && count("c") > count("a") && count("a") > 0);
    assert_eq!(firsts, (0..300).map(first).collect::<Vec<_>>());
}

#[test]
fn preferences_order_filter_and_cap() {
    let request = ChatRequest::default();
    let cases = [
        (r#"{"order":["C","a"]}"#, vec!["c", "a", "b"]),
        (r#"{"order":["c"],"allow_fallbacks":false}"#, vec!["c"]),
        (r#"{"allow_fallbacks":false}"#, vec!["b"]),
        (r#"{"only":["a","c"]}"#, vec!["c", "a"]),
        (r#"{"ignore":["b"]}"#, vec!["c", "a"]),
        (r#"{"zdr":true}"#, vec!["b"]),
        (r#"{"data_collection":"deny"}"#, vec!["b"]),
        (r#"{"max_price":{"prompt":"2"}}"#, vec!["b", "c"]),
        (r#"{"max_price":{"completion":1.5}}"#, vec!["b"]),
        (r#"{"max_price":{"request":0}}"#, vec!["b", "c"]),
        (r#"{"quantizations":["fp8"]}"#, vec!["c"]),
        (r#"{"quantizations":["unknown","mxfp8"]}"#, vec!["b", "c"]),
        (r#"{"quantizations":["int4"]}"#, vec!["a"]),
    ];
    for (preferences, expected) in cases {
        assert_eq!(
            tags(&request, three(), preferences).unwrap(),
            expected,
            "{preferences}"
        );
    }
}

#[test]
fn nothing_left_says_why() {
    let request = ChatRequest {
        model: "m/m".into(),
        ..ChatRequest::default()
    };
    let error = tags(&request, three(), r#"{"only":["zzz"]}"#).unwrap_err();
    assert_eq!(error.status, 404);
    assert_eq!(error.metadata["excluded_by"], json!(["allowed_providers"]));
    let situation = Situation {
        has_credentials: &|_| false,
        ..Situation::default()
    };
    let error = plan(&request, &[three().into()], &situation).unwrap_err();
    assert!(error.message.contains("holds no key"), "{}", error.message);
}

#[test]
fn a_soft_parameter_prefers_the_endpoints_that_have_it_and_is_ignored_where_none_does() {
    let tool = crate::chat::Tool {
        name: "t".into(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    };
    let request = ChatRequest {
        tools: vec![tool],
        ..ChatRequest::default()
    };
    let able = json!({"supported_parameters": ["tools"]});
    let some = entry(&[("a", 1, json!({})), ("b", 2, able)]);
    assert_eq!(tags(&request, some, "{}").unwrap(), ["b"]);
    assert_eq!(tags(&request, three(), "{}").unwrap().len(), 3);
    assert!(tags(&request, three(), r#"{"require_parameters":true}"#).is_err());
}

#[test]
fn limits_exclude_endpoints_that_are_too_small() {
    let request = ChatRequest {
        max_tokens: Some(400),
        ..ChatRequest::default()
    };
    let small = json!({"max_completion_tokens": 300});
    let short = json!({"context_length": 50});
    let entry = entry(&[("a", 1, small), ("b", 2, short), ("c", 3, json!({}))]);
    assert_eq!(tags(&request, entry, "{}").unwrap(), ["c"]);
}

#[test]
fn the_plan_is_bounded_and_leaves_room_for_each_model() {
    let names: Vec<String> = (0..20).map(|n| format!("p{n:02}")).collect();
    let many: Vec<_> = (1..)
        .zip(&names)
        .map(|(price, name)| (name.as_str(), price, json!({})))
        .collect();
    let model = || entry(&many);
    let plan = |models: usize| {
        let models: Vec<_> = (0..models).map(|_| model().into()).collect();
        let situation = Situation {
            default_sort: Some(SortBy::Price),
            ..Situation::default()
        };
        plan(&ChatRequest::default(), &models, &situation).unwrap()
    };
    let tags = |plan: &Plan| -> Vec<String> {
        let routes = plan.attempts.iter();
        routes.map(|step| step.route.endpoint.tag.clone()).collect()
    };
    assert_eq!(tags(&plan(1)), names[..MAX_ATTEMPTS]);
    let two = plan(2);
    assert_eq!(tags(&two)[..MAX_ATTEMPTS - 1], names[..MAX_ATTEMPTS - 1]);
    assert_eq!(tags(&two)[MAX_ATTEMPTS - 1], "p00");
    // Nothing is forgotten: what is not tried is listed.
    assert_eq!(two.attempts.len() + two.excluded.len(), 40);
    assert!(
        two.excluded
            .iter()
            .all(|(_, reason)| *reason == Exclusion::Attempts)
    );
    // More models than attempts: the first ones are tried, each at its cheapest.
    assert_eq!(tags(&plan(12)), vec!["p00"; MAX_ATTEMPTS]);
}

#[test]
fn a_model_without_endpoints_left_leaves_its_room_unused_and_stops_nobody() {
    let request = ChatRequest::default();
    let short = entry(&[("a", 1, json!({"context_length": 5}))]);
    let situation = Situation {
        prompt_tokens: 100,
        ..Situation::default()
    };
    let plan = plan(&request, &[short.into(), three().into()], &situation).unwrap();
    assert_eq!(plan.attempts.len(), 3);
    assert_eq!(plan.excluded[0].1, Exclusion::ContextLength);
}
