//! Filter rules as tables.

use serde_json::json;

use super::*;
use crate::observability::trace::tests::record;

fn admits(rules: Value, record: &Record) -> bool {
    Rules::read(&rules).unwrap().0.admit(record)
}

fn one(field: &str, operator: &str, value: Value) -> Value {
    json!({"groups": [{"rules": [{"field": field, "operator": operator, "value": value}]}]})
}

#[test]
fn each_operator_on_fields_of_its_kind() {
    // 1,234 prompt and 56 completion tokens, 0.0012345 dollars, model test/openai, session s-1, no user.
    let record = record();
    for (field, operator, value, expected) in [
        ("model", "equals", json!("test/openai"), true),
        ("model", "equals", json!("test/open"), false),
        ("model", "not_equals", json!("test/openai"), false),
        ("model", "starts_with", json!("test/"), true),
        ("model", "ends_with", json!("ai"), true),
        ("model", "ends_with", json!("test"), false),
        ("model", "contains", json!("open"), true),
        ("model", "not_contains", json!("open"), false),
        ("model", "regex", json!("^test/(openai|gemini)$"), true),
        ("model", "regex", json!("^openai"), false),
        ("provider", "equals", json!("One"), true),
        ("session_id", "exists", json!(null), true),
        ("user_id", "exists", json!(null), false),
        ("user_id", "not_exists", json!(null), true),
        ("user_id", "equals", json!("u"), false),
        ("user_id", "not_equals", json!("u"), true),
        ("user_id", "not_contains", json!("u"), true),
        ("api_key_name", "equals", json!("prod"), true),
        ("finish_reason", "equals", json!("stop"), true),
        ("input", "contains", json!("Hello"), true),
        ("output", "contains", json!("secret"), false),
        ("total_tokens", "equals", json!(1290), true),
        ("total_tokens", "gt", json!(1290), false),
        ("total_tokens", "gte", json!("1290"), true),
        ("prompt_tokens", "lt", json!(1234.5), true),
        ("completion_tokens", "lte", json!(55), false),
        ("total_cost", "gt", json!(0.001), true),
        ("total_cost", "equals", json!(0.0012345), true),
        ("total_cost", "not_equals", json!("0.0012345"), false),
        ("total_cost", "lt", json!("0.001234501"), true),
    ] {
        let rules = one(field, operator, value.clone());
        assert_eq!(
            admits(rules, &record),
            expected,
            "{field} {operator} {value}"
        );
    }
}

#[test]
fn rules_join_within_groups_and_groups_are_alternatives() {
    let record = record();
    let yes = json!({"field": "model", "operator": "exists"});
    let no = json!({"field": "user_id", "operator": "exists"});
    for (rules, expected) in [
        (json!({"groups": []}), true),
        (json!({"groups": [{"rules": [yes, no]}]}), false),
        (
            json!({"groups": [{"logic": "or", "rules": [yes, no]}]}),
            true,
        ),
        (json!({"groups": [{"rules": [no]}, {"rules": [yes]}]}), true),
        (
            json!({"groups": [{"rules": [no]}, {"logic": "or", "rules": [no]}]}),
            false,
        ),
        (json!({"enabled": false, "groups": [{"rules": [no]}]}), true),
    ] {
        assert_eq!(admits(rules.clone(), &record), expected, "{rules}");
    }
}

#[test]
fn what_is_kept_reads_as_it_was_sent() {
    let sent =
        json!({"groups": [{"rules": [{"field": "total_cost", "operator": "gt", "value": 0.5}]}]});
    let (rules, kept) = Rules::read(&sent).unwrap();
    assert_eq!(
        kept,
        json!({"enabled": true, "groups": [{"logic": "and", "rules": sent["groups"][0]["rules"]}]})
    );
    assert_eq!(Rules::read(&kept).unwrap().1, kept);
    assert!(!rules.read_content());
    assert!(
        Rules::read(&one("input", "contains", json!("x")))
            .unwrap()
            .0
            .read_content()
    );
}

#[test]
fn a_wrong_rule_is_named_by_its_path() {
    let rule = "filter_rules.groups[0].rules[0]";
    for (sent, param) in [
        (json!([]), "filter_rules".to_owned()),
        (json!({}), "filter_rules.groups".into()),
        (json!({"groups": [], "x": 1}), "filter_rules.x".into()),
        (
            json!({"groups": [], "enabled": 1}),
            "filter_rules.enabled".into(),
        ),
        (
            json!({"groups": [{"rules": []}]}),
            "filter_rules.groups[0].rules".into(),
        ),
        (
            json!({"groups": [{"logic": "xor", "rules": [1]}]}),
            "filter_rules.groups[0].logic".into(),
        ),
        (one("colour", "equals", json!("x")), format!("{rule}.field")),
        (one("model", "like", json!("x")), format!("{rule}.operator")),
        (one("model", "gt", json!(1)), format!("{rule}.operator")),
        (one("model", "equals", json!(null)), format!("{rule}.value")),
        (
            one("model", "equals", json!(["x"])),
            format!("{rule}.value"),
        ),
        (
            one("total_cost", "gt", json!("much")),
            format!("{rule}.value"),
        ),
        (
            one("total_cost", "gt", json!("1e99")),
            format!("{rule}.value"),
        ),
        (
            one("model", "regex", json!("(?<=a)b")),
            format!("{rule}.value"),
        ),
        (one("model", "regex", json!("(a")), format!("{rule}.value")),
        (
            one("model", "equals", json!("x".repeat(2_000))),
            format!("{rule}.value"),
        ),
    ] {
        let error = Rules::read(&sent).unwrap_err();
        assert_eq!((error.status, error.param), (400, Some(param)), "{sent}");
    }
}

#[test]
fn a_pattern_that_would_explode_elsewhere_is_decided() {
    let mut record = record();
    for (end, holds) in [("", false), ("b", true)] {
        record.content.input = Some(format!("{}{end}", "a".repeat(60_000)).into());
        assert_eq!(
            admits(one("input", "regex", json!("(a+)+b")), &record),
            holds
        );
    }
}
