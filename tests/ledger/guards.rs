//! Guards over tools: what is counted, for whom, and what the refusal tells.

use patchbay::credits::ops::{
    Effect, ExecutionState, GuardHit, GuardRule, GuardSet, LedgerError, OnRepeat, Repeats,
    ToolBegin, ToolBegun, ToolGuardsGet, ToolGuardsPut,
};

use crate::executions::{begin, end, grants, run};
use crate::store::{Account, DAY, MINUTE, NOON, key, nanos};

fn guarded(account: &Account, request: &ToolBegin) -> GuardHit {
    match account.ok(request) {
        ToolBegun::Guarded(hit) => *hit,
        other => panic!("no guard: {other:?}"),
    }
}

fn guard(account: &Account, key_hash: Option<&str>, rule: GuardRule) {
    account.ok(&ToolGuardsPut {
        key_hash: key_hash.map(str::to_owned),
        guards: GuardSet {
            confirm: None,
            rules: vec![rule],
        },
    });
}

fn rule(tool: &str) -> GuardRule {
    GuardRule {
        tool: tool.to_owned(),
        ..GuardRule::default()
    }
}

#[test]
fn calls_are_counted_in_a_window_that_slides() {
    for (limits, window) in [
        (
            GuardRule {
                calls_per_minute: Some(2),
                ..rule("resend")
            },
            MINUTE,
        ),
        (
            GuardRule {
                calls_per_day: Some(2),
                ..rule("resend/send_email")
            },
            DAY,
        ),
    ] {
        let account = Account::with(10_000);
        guard(&account, Some("k"), limits);
        run(&account, "e1");
        account.later(MINUTE / 2);
        run(&account, "e2");
        let hit = guarded(&account, &begin("e3", None));
        assert_eq!((hit.limit, hit.used, hit.of.as_str()), (2, 2, "key"));
        assert_eq!(hit.until, Some(NOON + window));
        let elsewhere = ToolBegin {
            tool: "twilio/send_sms".to_owned(),
            ..begin("e3", None)
        };
        grants(&account, &elsewhere);
        account.later(window - MINUTE / 2);
        grants(&account, &begin("e4", None));
    }
}

#[test]
fn an_accounts_guard_counts_all_keys_and_a_keys_guard_its_own() {
    for (of, stops) in [(None, true), (Some("k2"), false)] {
        let account = Account::with(10_000);
        account.ok(&key("k2"));
        guard(
            &account,
            of,
            GuardRule {
                calls_per_day: Some(1),
                ..rule("*")
            },
        );
        run(&account, "e1");
        let mut other = begin("e2", None);
        other.hold.key_hash = "k2".to_owned();
        let reply = account.ok(&other);
        assert_eq!(matches!(reply, ToolBegun::Guarded(_)), stops, "{reply:?}");
    }
}

#[test]
fn spend_counts_what_was_charged_and_what_may_be() {
    let account = Account::with(10_000);
    guard(
        &account,
        None,
        GuardRule {
            spend_per_day: Some(nanos(250)),
            ..rule("*")
        },
    );
    run(&account, "e1");
    grants(&account, &begin("e2", None));
    let hit = guarded(&account, &begin("e3", None));
    assert_eq!(
        (hit.guard.as_str(), hit.used, hit.needed),
        ("spend_per_day", 200, 100)
    );
    account.ok(&end("e2", ExecutionState::FailedClean));
    grants(&account, &begin("e4", None));
}

#[test]
fn recipients_are_counted_by_call_and_by_hour_and_nobody_twice() {
    let account = Account::with(10_000);
    guard(
        &account,
        Some("k"),
        GuardRule {
            recipients_per_call: Some(3),
            recipients_per_hour: Some(4),
            ..rule("*")
        },
    );
    let to = |id: &str, names: &[&str]| ToolBegin {
        recipients: names.iter().map(|name| (*name).to_owned()).collect(),
        ..begin(id, None)
    };
    let hit = guarded(&account, &to("e1", &["a", "b", "c", "d"]));
    assert_eq!(
        (hit.guard.as_str(), hit.until),
        ("recipients_per_call", None)
    );
    grants(&account, &to("e2", &["a", "b", "c"]));
    account.later(MINUTE);
    grants(&account, &to("e3", &["b", "c", "d"]));
    let hit = guarded(&account, &to("e4", &["d", "e"]));
    assert_eq!((hit.used, hit.needed), (4, 1));
    assert_eq!(hit.until, Some(NOON + 60 * MINUTE), "when a is free again");
    grants(&account, &to("e5", &["a", "d"]));
    // Whoever was certainly not reached does not count.
    account.ok(&end("e3", ExecutionState::Failed));
    account.ok(&end("e5", ExecutionState::Failed));
    grants(&account, &to("e6", &["e"]));
}

#[test]
fn the_same_again_is_told_asked_about_or_refused() {
    for (action, reads_as) in [
        (OnRepeat::Warn, "granted"),
        (OnRepeat::Confirm, "confirm"),
        (OnRepeat::Refuse, "guarded"),
    ] {
        let account = Account::with(10_000);
        let repeats = Repeats {
            max: 1,
            within_s: 60,
            action,
        };
        guard(
            &account,
            None,
            GuardRule {
                repeats: Some(repeats),
                ..rule("*")
            },
        );
        run(&account, "e1");
        let again = ToolBegin {
            offer: "o".to_owned(),
            ..begin("e2", None)
        };
        let reply = account.ok(&again);
        match reads_as {
            "granted" => assert!(
                matches!(reply, ToolBegun::Granted { repeats: 1, .. }),
                "{reply:?}"
            ),
            "confirm" => assert!(
                matches!(&reply, ToolBegun::Confirm { reason, .. } if reason == "repeats"),
                "{reply:?}"
            ),
            _ => assert!(
                matches!(&reply, ToolBegun::Guarded(hit) if hit.until == Some(NOON + MINUTE)),
                "{reply:?}"
            ),
        }
        let different = ToolBegin {
            fingerprint: "g".to_owned(),
            ..begin("e3", None)
        };
        assert!(
            matches!(
                account.ok(&different),
                ToolBegun::Granted { repeats: 0, .. }
            ),
            "{action:?}"
        );
        account.later(MINUTE);
        let reply = account.ok(&ToolBegin {
            offer: "p".to_owned(),
            ..begin("e4", None)
        });
        assert!(
            matches!(reply, ToolBegun::Granted { repeats: 0, .. }),
            "{reply:?}"
        );
    }
}

#[test]
fn a_loop_of_writes_ends_where_nobody_set_a_guard_and_reads_go_on() {
    let account = Account::with(1_000_000);
    for n in 0..60 {
        let request = ToolBegin {
            fingerprint: format!("f{n}"),
            ..begin(&format!("w{n}"), None)
        };
        grants(&account, &request);
        grants(
            &account,
            &ToolBegin {
                effect: Effect::Read,
                ..begin(&format!("r{n}"), None)
            },
        );
    }
    let hit = guarded(
        &account,
        &ToolBegin {
            fingerprint: "x".into(),
            ..begin("w", None)
        },
    );
    assert_eq!(
        (hit.of.as_str(), hit.guard.as_str()),
        ("default", "calls_per_minute")
    );
    grants(
        &account,
        &ToolBegin {
            effect: Effect::Read,
            ..begin("r", None)
        },
    );
    // A rule of one's own takes its place.
    guard(
        &account,
        Some("k"),
        GuardRule {
            calls_per_minute: Some(1_000),
            ..rule("*")
        },
    );
    grants(
        &account,
        &ToolBegin {
            fingerprint: "y".into(),
            ..begin("w", None)
        },
    );
}

#[test]
fn what_is_switched_off_does_not_run_and_rules_are_checked() {
    let account = Account::with(1_000);
    guard(
        &account,
        None,
        GuardRule {
            disabled: true,
            ..rule("resend")
        },
    );
    assert_eq!(guarded(&account, &begin("e1", None)).guard, "disabled");
    for wrong in [
        GuardRule {
            calls_per_day: Some(-1),
            ..rule("*")
        },
        rule(""),
        GuardRule {
            repeats: Some(Repeats {
                max: 1,
                within_s: 0,
                action: OnRepeat::Warn,
            }),
            ..rule("*")
        },
    ] {
        let put = ToolGuardsPut {
            key_hash: None,
            guards: GuardSet {
                confirm: None,
                rules: vec![wrong],
            },
        };
        let refused = account.call(&put);
        assert!(
            matches!(refused, Err(LedgerError::Invalid(_))),
            "{refused:?}"
        );
    }
    let kept = account.ok(&ToolGuardsGet { key_hash: None });
    assert_eq!(kept.rules.len(), 1);
}
