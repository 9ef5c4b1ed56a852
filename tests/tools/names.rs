//! Idempotency keys, confirmations, guards and steps of composites, as callers see them.

use patchbay::credits::ops::{GuardRule, GuardSet, ToolGuardsPut};
use patchbay::tools::envelope::Status;
use patchbay::tools::execute::{Call, Confirm, SendError, Step};
use serde_json::{Value, json};

use crate::store::{DAY, MINUTE};
use crate::world::{World, call, named, ok, status};

const DOLLAR: i64 = 1_000_000_000;

fn mail(tool: &str, key: &str) -> Call {
    named(tool, json!({"to": ["a@example.org"], "text": "Hi"}), key)
}

#[test]
fn the_same_key_is_answered_the_same_and_charged_once() {
    let world = World::with(DOLLAR);
    world.replies([ok(json!({"id": "m-1"}))]);
    let first = world.run(mail("mail/send", "k"));
    world.account().later(MINUTE);
    // The order of fields does not matter.
    let again = world.run(named(
        "mail/send",
        json!({"text": "Hi", "to": ["a@example.org"]}),
        "k",
    ));
    assert!(again.replayed && !first.replayed);
    assert_eq!(
        (again.id, again.data, again.usage.latency_ms),
        (first.id, first.data, 100)
    );
    assert_eq!((world.sent(), world.balance()), (1, DOLLAR - 1_000_000));
    for other in [
        named(
            "mail/send",
            json!({"to": ["b@example.org"], "text": "Hi"}),
            "k",
        ),
        mail("mail/send_keyed", "k"),
        Call {
            provider: patchbay::tools::execute::ProviderWish {
                max_latency_ms: Some(5),
                ..Default::default()
            },
            ..mail("mail/send", "k")
        },
    ] {
        let refused = world.run(other);
        assert_eq!(
            (refused.http_status(), refused.error.unwrap().code.as_str()),
            (422, "idempotency_mismatch")
        );
    }
    world.account().later(DAY);
    world.account().ok(&patchbay::credits::ops::ToolPrune {});
    world.replies([ok(json!({"id": "m-2"}))]);
    assert!(
        !world.run(mail("mail/send", "k")).replayed,
        "a day later it is a new one"
    );
}

#[test]
fn what_certainly_was_not_done_runs_again_and_what_was_refused_is_told_again() {
    for (reply, runs_again) in [
        (Err(SendError::NotSent("so".into())), true),
        (status(429, json!({})), true),
        (status(401, json!({})), true),
        (status(400, json!({"message": "no such domain"})), false),
        (status(409, json!({})), false),
    ] {
        let world = World::with(DOLLAR);
        world.replies([reply, ok(json!({"id": "m-1"}))]);
        let first = world.run(mail("mail/send", "k"));
        assert_eq!(first.status, Status::Failed);
        let second = world.run(mail("mail/send", "k"));
        assert_eq!(second.status == Status::Succeeded, runs_again, "{second:?}");
        assert_eq!(second.replayed, !runs_again);
        assert_eq!(world.sent(), if runs_again { 2 } else { 1 });
    }
}

#[test]
fn what_may_have_been_done_is_sent_again_only_with_the_same_key_at_the_provider() {
    let lost = || Err(SendError::Unknown("the line broke".into()));
    let world = World::with(DOLLAR);
    world.replies([lost()]);
    assert_eq!(world.run(mail("mail/send", "k")).status, Status::Unknown);
    let again = world.run(mail("mail/send", "k"));
    assert_eq!((again.status, again.replayed), (Status::Unknown, true));
    assert_eq!((world.sent(), world.balance()), (1, DOLLAR));
    // With a key that the provider knows: within the call, and by a later one.
    let world = World::with(DOLLAR);
    world.replies([lost(), lost(), ok(json!({"id": "m-1"}))]);
    let first = world.run(mail("mail/send_keyed", "k"));
    assert_eq!(first.status, Status::Unknown);
    assert_eq!(
        first.error.unwrap().details.unwrap()["may_send_again"],
        true
    );
    let again = world.run(mail("mail/send_keyed", "k"));
    assert_eq!(
        (again.status, again.usage.cost.get()),
        (Status::Succeeded, 1_000_000)
    );
    let keys: Vec<String> = (0..3)
        .map(|at| world.request(at).2["idempotency-key"].clone())
        .collect();
    assert!(
        keys.iter().all(|key| *key == keys[0] && key.len() == 64),
        "{keys:?}"
    );
    world.replies([ok(json!({"id": "m-2"}))]);
    world.run(mail("mail/send_keyed", "other"));
    assert_ne!(world.request(3).2["idempotency-key"], keys[0]);
}

#[test]
fn an_execution_whose_end_was_never_told_is_unknown() {
    let world = World::with(DOLLAR);
    world.replies([ok(json!({"id": "m-1"}))]);
    world.die_when_sent(mail("mail/send", "k"));
    let asked = world.run(mail("mail/send", "k"));
    assert_eq!(asked.error.unwrap().code, "idempotency_in_progress");
    world.account().later(5 * MINUTE);
    let asked = world.run(mail("mail/send", "k"));
    assert_eq!((asked.status, asked.replayed), (Status::Unknown, true));
    assert_eq!(world.sent(), 1);
}

#[test]
fn money_is_confirmed_with_what_was_shown_and_once() {
    let world = World::with(DOLLAR);
    let pay = |cents: i64, token: Option<String>| Call {
        confirmation: token,
        ..call("mail/pay", json!({"to": "Eve", "cents": cents}))
    };
    let asked = world.run(pay(500, None));
    assert_eq!(
        (asked.status, asked.http_status()),
        (Status::ConfirmationRequired, 202)
    );
    let shown = asked.confirmation.unwrap();
    assert!(
        shown
            .summary
            .starts_with("Pay somebody (Mail): to = “Eve”; cents = “500”"),
        "{}",
        shown.summary
    );
    assert_eq!(shown.effects, ["money", "cannot be undone"]);
    assert_eq!(
        (shown.cost_ceiling.get(), shown.reason.as_str()),
        (2_000_000, "policy")
    );
    assert_eq!((world.sent(), world.account().available()), (0, DOLLAR));
    let other = world.run(pay(5_000, Some(shown.token.clone())));
    assert_eq!(other.http_status(), 403);
    assert_eq!(
        other.error.unwrap().details.unwrap()["reason"],
        "other_arguments"
    );
    assert!(
        other
            .confirmation
            .is_some_and(|fresh| fresh.summary.contains("5000"))
    );
    world.replies([ok(json!({"id": "p-1"}))]);
    assert_eq!(
        world.run(pay(500, Some(shown.token.clone()))).status,
        Status::Succeeded
    );
    let used = world.run(pay(500, Some(shown.token)));
    assert_eq!(used.error.unwrap().details.unwrap()["reason"], "used");
    assert_eq!(world.sent(), 1);
}

#[test]
fn what_was_begun_or_confirmed_with_one_provider_is_not_done_with_another() {
    let prefer = |slug: &str, token: Option<String>| Call {
        confirm: Confirm::Writes,
        confirmation: token,
        ..call("send_email", json!({"to": ["a@example.org"], "text": slug}))
    };
    // The order is another by the time of the yes.
    let world = World::with(DOLLAR);
    world.prefers("mail/send_keyed");
    let asked = world.run(prefer("x", None));
    assert_eq!(asked.tool, "mail/send_keyed");
    world.prefers("mail/send");
    world.replies([
        Err(SendError::Unknown("lost".into())),
        Err(SendError::Unknown("lost".into())),
    ]);
    let token = asked.confirmation.map(|shown| shown.token);
    let done = world.run(Call {
        idempotency_key: Some("k".into()),
        ..prefer("x", token.clone())
    });
    assert_eq!(
        (done.tool.as_str(), done.status),
        ("mail/send_keyed", Status::Unknown)
    );
    world.replies([ok(json!({"id": "m-1"}))]);
    let again = world.run(Call {
        idempotency_key: Some("k".into()),
        ..prefer("x", token)
    });
    assert_eq!(
        (again.tool.as_str(), again.status),
        ("mail/send_keyed", Status::Succeeded)
    );
    let keys: Vec<String> = (0..3)
        .map(|at| world.request(at).2["idempotency-key"].clone())
        .collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[test]
fn a_caller_may_want_more_confirmed_and_never_less() {
    let world = World::with(DOLLAR);
    let strict = Call {
        confirm: Confirm::Writes,
        ..mail("mail/send", "k")
    };
    assert_eq!(world.run(strict).status, Status::ConfirmationRequired);
    let lax = Call {
        confirm: Confirm::Never,
        ..call("mail/pay", json!({"to": "Eve", "cents": 1}))
    };
    assert_eq!(world.run(lax.clone()).status, Status::ConfirmationRequired);
    world.set("TOOLS_CONFIRM", "never");
    world.replies([ok(json!({}))]);
    assert_eq!(world.run(lax).status, Status::Succeeded);
}

fn guard(world: &World, rule: Value) {
    let rule: GuardRule = serde_json::from_str(&rule.to_string()).unwrap();
    world.account().ok(&ToolGuardsPut {
        key_hash: None,
        guards: GuardSet {
            confirm: None,
            rules: vec![rule],
        },
    });
}

#[test]
fn a_guard_says_which_it_is_and_until_when() {
    let world = World::with(DOLLAR);
    guard(
        &world,
        json!({"tool": "mail", "calls_per_minute": 1, "recipients_per_call": 2}),
    );
    world.replies([ok(json!({"id": "m-1"}))]);
    world.run(mail("mail/send", "a"));
    let refused = world.run(mail("mail/send", "b"));
    assert_eq!(refused.http_status(), 429);
    let error = refused.error.unwrap();
    assert_eq!(error.retry_after, Some(60));
    let details = error.details.unwrap();
    assert_eq!(
        (details["guard"].as_str(), details["of"].as_str()),
        (Some("calls_per_minute"), Some("account"))
    );
    assert!(
        error.message.contains("again from 2026-"),
        "{}",
        error.message
    );
    world.account().later(MINUTE);
    let many = call("mail/send", json!({"to": ["a@b.c", "d@e.f", "G <g@h.i>"]}));
    let refused = world.run(many);
    assert_eq!(
        (refused.http_status(), refused.error.unwrap().code.as_str()),
        (403, "guard_exceeded")
    );
    guard(&world, json!({"tool": "*", "disabled": true}));
    assert_eq!(
        world.run(mail("mail/send", "c")).error.unwrap().code,
        "tool_disabled"
    );
    assert_eq!(world.sent(), 1);
}

#[test]
fn the_same_write_twice_in_a_minute_is_told() {
    let world = World::with(DOLLAR);
    world.replies([ok(json!({"id": "m-1"})), ok(json!({"id": "m-2"}))]);
    let send = || call("mail/send", json!({"to": ["a@example.org"]}));
    assert!(world.run(send()).warnings.is_empty());
    assert_eq!(world.run(send()).warnings[0].code, "repeated");
}

#[test]
fn a_step_of_a_composite_is_carried_out_once_however_often_it_is_resumed() {
    let world = World::with(DOLLAR);
    world.replies([ok(json!({"id": "m-1"})), ok(json!({"id": "m-2"}))]);
    let step = |index: &str| Call {
        step: Some(Step {
            parent: "exec-p".into(),
            index: index.into(),
            holder: None,
        }),
        ..call("mail/send", json!({"to": ["a@example.org"]}))
    };
    let first = world.run(step("1"));
    assert_eq!(world.run(step("1")).data, first.data);
    assert_ne!(world.run(step("2")).data, first.data);
    assert_eq!(world.sent(), 2);
}
