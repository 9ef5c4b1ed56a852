//! Guardrails in the planner: what they leave out, with which reason, and that nothing gets around them.

use super::*;
use crate::{
    guardrails::{Applied, Fields, Policy, Scope, Settings, read},
    routing::needs,
};

/// Guardrails of every kind, as bodies and as policies.
pub(super) fn policies() -> Vec<(Value, Policy)> {
    let bodies = [
        json!({"allowed_models": ["a/two"]}),
        json!({"ignored_models": ["*/one"]}),
        json!({"allowed_providers": ["gamma", "delta"]}),
        json!({"ignored_providers": ["alpha", "delta/turbo"]}),
        json!({"enforce_zdr": true}),
        json!({"enforce_zdr": true, "allow_safety_retention_other": true}),
        json!({"enable_paid_model_training": false, "enable_free_model_training": false}),
        json!({"enable_free_model_publication": false}),
        json!({"allowed_data_regions": ["europe"]}),
    ];
    let policy = |body: Value| {
        let mut settings = Settings::default();
        read(&mut settings, body.as_object().unwrap(), Fields::Guardrail).unwrap();
        let applied = Applied {
            id: "g".into(),
            name: "House rules".into(),
            scope: Scope::Default,
            settings,
        };
        (body, Policy::of(vec![applied]))
    };
    bodies.map(policy).into()
}

#[test]
fn guardrails_leave_out_what_they_say_with_its_reason() {
    let no = |codes: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pair = |(name, code): &(&str, &str)| ((*name).to_owned(), (*code).to_owned());
        codes.iter().map(pair).collect()
    };
    let one = [
        "alpha",
        "alpha/flex",
        "alpha/priority",
        "beta",
        "delta/turbo",
        "gamma",
    ];
    let all = |code: &'static str| one.map(|tag| (tag, code));
    let expected = [
        no(&all("allowed_models")),
        no(&all("ignored_models")),
        no(&[
            ("alpha", "allowed_providers"),
            ("alpha/flex", "allowed_providers"),
            ("alpha/priority", "allowed_providers"),
            ("beta", "allowed_providers"),
            ("two:beta", "allowed_providers"),
        ]),
        no(&[
            ("alpha", "ignored_providers"),
            ("alpha/flex", "ignored_providers"),
            ("alpha/priority", "ignored_providers"),
            ("delta/turbo", "ignored_providers"),
        ]),
        no(&[
            ("beta", "data_policy:zdr"),
            ("delta/turbo", "data_policy:zdr"),
            ("gamma", "data_policy:zdr"),
            ("two:beta", "data_policy:zdr"),
            ("two:gamma", "data_policy:zdr"),
        ]),
        no(&[
            ("beta", "data_policy:zdr"),
            ("delta/turbo", "data_policy:zdr"),
            ("two:beta", "data_policy:zdr"),
        ]),
        no(&[
            ("beta", "data_policy:training"),
            ("delta/turbo", "data_policy:training"),
            ("two:beta", "data_policy:training"),
        ]),
        no(&[]),
        no(&[
            ("alpha", "data_region"),
            ("alpha/flex", "data_region"),
            ("alpha/priority", "data_region"),
            ("beta", "data_region"),
            ("delta/turbo", "data_region"),
            ("gamma", "data_region"),
            ("two:beta", "data_region"),
            ("two:gamma", "data_region"),
        ]),
    ];
    for ((body, policy), expected) in policies().into_iter().zip(expected) {
        let names = ["a/one", "a/two"];
        let world = World::default();
        let plan = world.plan_under(Some(&policy), &names, &request(json!({})), &json!({}));
        let guarded = plan
            .excluded
            .iter()
            .filter(|(_, reason)| reason.is_guarded());
        let guarded = guarded.map(|(route, reason)| {
            let model = if route.endpoint.model == "a/one" {
                ""
            } else {
                "two:"
            };
            let name = format!("{model}{}", route.endpoint.tag);
            // Tiers that nobody asked for are left out before.
            (name, reason.as_str().to_owned())
        });
        let found: BTreeMap<String, String> = guarded.collect();
        let expected = expected
            .into_iter()
            .filter(|(name, _)| !name.starts_with("alpha/"));
        assert_eq!(found, expected.collect::<BTreeMap<_, _>>(), "{body}");
    }
}

#[test]
fn own_keys_open_nothing_that_a_guardrail_keeps_out() {
    for (body, policy) in policies() {
        let own = ["beta", "gamma", "omega"].map(|provider| OwnCandidate {
            key: Rc::new(own_key()),
            provider: provider.into(),
            is_fallback: false,
            is_required: false,
            models: None,
        });
        let names = ["a/one", "a/two"];
        let world = World::owning(own.into());
        let policy = Some(&policy);
        let plan = world.plan_under(policy, &names, &request(json!({})), &json!({}));
        for step in &plan.attempts {
            let by = needs::guardrail(policy, &step.route);
            assert!(by.is_none(), "{} under {body}", step.route.endpoint.tag);
        }
    }
}
