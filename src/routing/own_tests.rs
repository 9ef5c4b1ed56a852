//! Plans of a model at three providers, for accounts that brought keys.

use serde_json::{json, value::RawValue};

use super::*;
use crate::{
    catalog::{ModelEntry, ServedModel},
    chat::ChatRequest,
    error::Result,
    routing::{ProviderPreferences, Situation, SortBy, plan},
};

/// `m/m` at `a`, `b` and `c`, the cheapest first; only `b` retains nothing.
fn model() -> Rc<ServedModel> {
    let names = ["a", "b", "c"];
    let provider = |slug: &str| {
        json!({
            "slug": slug, "name": slug.to_uppercase(), "dialect": "openai_chat",
            "base_url": "https://example.invalid", "auth": {"kind": "bearer"}, "secret": slug,
            "data_policy": {"training": false, "retention_days": if slug == "b" { 0 } else { 365 }},
        })
    };
    let endpoint = |(price, slug): (usize, &str)| {
        json!({
            "model": "m/m", "provider": slug, "tag": slug, "upstream_model_id": "m", "context_length": 1000,
            "max_completion_tokens": 500, "prices": {"prompt": price * 10 + 10, "completion": price * 10 + 10},
            "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"],
        })
    };
    let entry: ModelEntry = serde_json::from_value(json!({
        "model": {
            "slug": "m/m", "canonical_slug": "m/m", "name": "M", "description": "", "created": 0,
            "context_length": 1000, "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
        },
        "endpoints": names.into_iter().enumerate().map(endpoint).collect::<Vec<_>>(),
        "providers": names.map(provider),
    }))
    .unwrap();
    Rc::new(ServedModel::from(entry))
}

/// A key in short: its provider, its number, and `~` for a fallback, `!` for a required one, `-` for another model's.
fn key(text: &str) -> OwnCandidate {
    let (provider, rest) = text.split_at(1);
    OwnCandidate {
        provider: provider.to_owned(),
        key: Rc::new(OwnKey {
            id: rest.trim_end_matches(['~', '!', '-']).to_owned(),
            label: String::new(),
            secret: String::new(),
            form: Default::default(),
        }),
        is_fallback: rest.contains('~'),
        is_required: rest.contains('!'),
        models: rest.contains('-').then(|| vec!["m/other".to_owned()]),
    }
}

/// The plan in short: `a1` is provider `a` with own key 1, `a` with the operator's. The operator has keys of those in `operators`.
fn planned(keys: &str, preferences: &str, operators: &str) -> Result<String> {
    let own: Vec<OwnCandidate> = keys.split_whitespace().map(key).collect();
    let raw = RawValue::from_string(preferences.to_owned()).unwrap();
    let preferences = ProviderPreferences::parse(Some(&raw)).unwrap();
    let situation = Situation {
        own: &own,
        preferences: &preferences,
        // Without an order of the client's or the operator's, chance would draw one.
        default_sort: Some(SortBy::Price),
        has_credentials: &|provider| operators.contains(&provider.slug),
        ..Situation::default()
    };
    let plan = plan(&ChatRequest::default(), &[model().into()], &situation)?;
    let short = plan.attempts.iter().map(|step| {
        let own = step.credential.own().map_or("", |key| &key.id);
        format!("{}{own}", step.route.endpoint.tag)
    });
    Ok(short.collect::<Vec<_>>().join(" "))
}

#[test]
fn own_keys_and_the_operators_come_in_the_order_of_the_rule() {
    let sorted = r#"{"sort":"price"}"#;
    for (keys, preferences, operators, expected) in [
        ("", sorted, "abc", "a b c"),
        // Prioritized, shared, fallback.
        ("c1", sorted, "abc", "c1 a b c"),
        ("c1 c2", sorted, "abc", "c1 c2 a b c"),
        ("c2 b1 c1", sorted, "abc", "b1 c2 c1 a b c"),
        ("a1~", sorted, "abc", "a b c a1"),
        ("c1 a1~ b1~", sorted, "abc", "c1 a b c a1 b1"),
        // A provider that the operator cannot call.
        ("c1", sorted, "ab", "c1 a b"),
        ("c1~", sorted, "ab", "a b c1"),
        ("c1", sorted, "", "c1"),
        // Required: never the operator's key, also not for another model.
        ("a1!", sorted, "abc", "a1 b c"),
        ("a1! a2", sorted, "abc", "a1 a2 b c"),
        ("a1!-", sorted, "abc", "b c"),
        ("a1!- a2~", sorted, "abc", "b c a2"),
        ("a1-", sorted, "abc", "a b c"),
        // `order` ranks both alike.
        (r"c1", r#"{"order":["a"]}"#, "abc", "a c1 b c"),
        (r"c1 a1", r#"{"order":["a","c"]}"#, "abc", "a1 a c1 c b"),
        (r"a1~", r#"{"order":["a"]}"#, "abc", "a a1 b c"),
        (
            r"c1 b1",
            r#"{"order":["b"],"allow_fallbacks":false}"#,
            "abc",
            "b1 b",
        ),
        // Without fallbacks: one endpoint, one payer.
        (
            "c1 c2 b1~",
            r#"{"sort":"price","allow_fallbacks":false}"#,
            "abc",
            "c1 c2",
        ),
        (
            "c1",
            r#"{"sort":"price","allow_fallbacks":false,"only":["c"]}"#,
            "abc",
            "c1",
        ),
        (
            "b1~",
            r#"{"sort":"price","allow_fallbacks":false}"#,
            "abc",
            "a",
        ),
        // Filters come first.
        ("c1 b1", r#"{"zdr":true}"#, "abc", "b1 b"),
        ("a1", r#"{"sort":"price","ignore":["a"]}"#, "abc", "b c"),
    ] {
        let plan = planned(keys, preferences, operators).unwrap();
        assert_eq!(plan, expected, "{keys} {preferences} {operators}");
    }
}

#[test]
fn nothing_left_says_whose_key_is_missing() {
    for (keys, preferences, operators, reasons) in [
        ("", "{}", "", json!(["no_credentials"])),
        (
            "a1!-",
            r#"{"only":["a"]}"#,
            "a",
            json!(["no_credentials", "own_key_required"]),
        ),
        (
            "a1",
            r#"{"zdr":true}"#,
            "",
            json!(["no_credentials", "data_policy:zdr"]),
        ),
    ] {
        let error = planned(keys, preferences, operators).unwrap_err();
        assert_eq!(error.status, 404);
        assert_eq!(error.metadata["excluded_by"], reasons, "{keys}");
    }
}

#[test]
fn a_plan_is_bounded_also_where_an_account_brings_many_keys() {
    let keys: Vec<String> = (0..20).map(|n| format!("a{n}")).collect();
    let plan = planned(&keys.join(" "), r#"{"sort":"price"}"#, "abc").unwrap();
    assert_eq!(plan.split(' ').count(), crate::routing::MAX_ATTEMPTS);
}
