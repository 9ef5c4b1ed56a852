//! Executions of tools, rule by rule: names, ends, money, confirmations, guards.

use patchbay::credits::ledger::{CONFIRMATION_LIFE_MS, EXECUTION_LIFE_MS, MAX_ANSWER_BYTES};
use patchbay::credits::ops::{
    Confirm, Effect, ExecutionState, GuardSet, Hold, LedgerError, Refusal, ToolBegin, ToolBegun,
    ToolDue, ToolEnd, ToolEnded, ToolGet, ToolGuardsPut, ToolList, ToolPrune,
};
use serde_json::value::RawValue;

use crate::store::{Account, DAY, MINUTE, NOON, hold, key, nanos, usage_row};

const PRICE: i64 = 100;

/// A write under this name, as a client would send it.
pub fn begin(id: &str, name: Option<&str>) -> ToolBegin {
    ToolBegin {
        hold: Hold {
            ttl_ms: MINUTE,
            ..hold(id, "k", PRICE)
        },
        tool: "resend/send_email".to_owned(),
        fingerprint: "f".to_owned(),
        idempotency_key: name.map(str::to_owned),
        effect: Effect::Write,
        ..ToolBegin::default()
    }
}

pub fn end(id: &str, state: ExecutionState) -> ToolEnd {
    ToolEnd {
        id: id.to_owned(),
        key_hash: "k".to_owned(),
        state,
        charge: nanos(PRICE),
        byok: nanos(0),
        row: usage_row("ended"),
        free_row: Some(usage_row("free")),
        answer: Some(RawValue::from_string(format!("{{\"of\":\"{id}\"}}")).unwrap()),
        reason: "so".to_owned(),
        ttl_ms: 10 * MINUTE,
    }
}

pub fn is_granted(reply: &ToolBegun) -> bool {
    matches!(reply, ToolBegun::Granted { .. })
}

pub fn grants(account: &Account, request: &ToolBegin) {
    let reply = account.ok(request);
    assert!(is_granted(&reply), "{reply:?}");
}

fn replayed(account: &Account, request: &ToolBegin) -> (String, ExecutionState, Option<String>) {
    match account.ok(request) {
        ToolBegun::Replay(view) => {
            let answer = view.answer.map(|answer| answer.get().to_owned());
            (view.id, view.state, answer)
        }
        other => panic!("no replay: {other:?}"),
    }
}

#[test]
fn an_execution_is_held_sent_and_charged_once() {
    let account = Account::with(1_000);
    let reply = account.ok(&begin("e1", Some("n")));
    let ToolBegun::Granted { available, .. } = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(available, nanos(900));
    let ended = account.ok(&end("e1", ExecutionState::Succeeded));
    let expected = ToolEnded {
        state: ExecutionState::Succeeded,
        charged: nanos(PRICE),
        balance: nanos(900),
    };
    assert_eq!(ended, expected);
    assert_eq!(account.ok(&end("e1", ExecutionState::Succeeded)), expected);
    // What is told later changes nothing.
    assert_eq!(account.ok(&end("e1", ExecutionState::Failed)), expected);
    let told = (
        "e1".to_owned(),
        ExecutionState::Succeeded,
        Some(r#"{"of":"e1"}"#.to_owned()),
    );
    assert_eq!(replayed(&account, &begin("e2", Some("n"))), told);
    assert_eq!(account.available(), 900);
    assert_eq!(account.peek().len(), 1, "one usage row");
}

#[test]
fn what_a_name_is_answered_depends_on_how_its_execution_stands() {
    for (state, resend, again) in [
        (ExecutionState::Succeeded, false, "replay"),
        (ExecutionState::Succeeded, true, "replay"),
        (ExecutionState::Failed, false, "replay"),
        (ExecutionState::Failed, true, "replay"),
        (ExecutionState::FailedClean, false, "granted"),
        (ExecutionState::FailedClean, true, "granted"),
        (ExecutionState::Unknown, false, "replay"),
        (ExecutionState::Unknown, true, "again"),
        (ExecutionState::Cancelled, true, "replay"),
    ] {
        let account = Account::with(1_000);
        let first = ToolBegin {
            resend,
            ..begin("e1", Some("n"))
        };
        grants(&account, &first);
        let second = ToolBegin {
            resend,
            ..begin("e2", Some("n"))
        };
        match account.ok(&second) {
            ToolBegun::InProgress { id, retry_after_s } => {
                assert_eq!((id.as_str(), retry_after_s), ("e1", 5));
            }
            other => panic!("{state:?}: {other:?}"),
        }
        let other = ToolBegin {
            fingerprint: "g".to_owned(),
            ..begin("e3", Some("n"))
        };
        let reply = account.ok(&other);
        assert!(matches!(reply, ToolBegun::Mismatch { .. }), "{reply:?}");
        account.ok(&end("e1", state));
        let reply = account.ok(&second);
        match again {
            "replay" => assert!(
                matches!(&reply, ToolBegun::Replay(view) if view.id == "e1" && view.state == state),
                "{state:?}: {reply:?}"
            ),
            "again" => assert!(
                matches!(reply, ToolBegun::Granted { again: true, .. }),
                "{state:?}: {reply:?}"
            ),
            _ => assert!(
                matches!(reply, ToolBegun::Granted { again: false, .. }),
                "{state:?}: {reply:?}"
            ),
        }
        let charged = if state == ExecutionState::Succeeded {
            PRICE
        } else {
            0
        };
        assert_eq!(
            account.snapshot().balance,
            nanos(1_000 - charged),
            "{state:?}"
        );
    }
}

#[test]
fn what_told_no_end_is_unknown_after_its_deadline_and_an_end_that_comes_late_is_charged() {
    let account = Account::with(1_000);
    grants(&account, &begin("e1", Some("n")));
    account.later(MINUTE);
    let told = replayed(&account, &begin("e2", Some("n")));
    assert_eq!(told, ("e1".to_owned(), ExecutionState::Unknown, None));
    // The hold is gone by then, or goes with the alarm.
    account.ok(&patchbay::credits::ops::Expire {});
    assert_eq!(account.available(), 1_000);
    account.ok(&end("e1", ExecutionState::Succeeded));
    assert_eq!(account.available(), 900);
    let told = replayed(&account, &begin("e3", Some("n")));
    assert_eq!(told.1, ExecutionState::Succeeded);
}

#[test]
fn two_successes_of_one_name_are_charged_once_in_either_order() {
    for late_first in [true, false] {
        let account = Account::with(1_000);
        let keyed = |id: &str| ToolBegin {
            resend: true,
            ..begin(id, Some("n"))
        };
        grants(&account, &keyed("e1"));
        account.later(MINUTE);
        account.ok(&patchbay::credits::ops::Expire {});
        grants(&account, &keyed("e2"));
        let order = if late_first {
            ["e1", "e2"]
        } else {
            ["e2", "e1"]
        };
        for id in order {
            account.ok(&end(id, ExecutionState::Succeeded));
        }
        assert_eq!(account.available(), 900);
        assert_eq!(
            replayed(&account, &keyed("e3")).1,
            ExecutionState::Succeeded
        );
    }
}

#[test]
fn a_write_is_sent_again_by_the_tool_that_sent_it_and_a_read_by_any() {
    for (effect, pinned) in [(Effect::Write, true), (Effect::Read, false)] {
        let account = Account::with(1_000);
        let by = |id: &str, tool: &str| ToolBegin {
            resend: true,
            effect,
            tool: tool.to_owned(),
            ..begin(id, Some("n"))
        };
        grants(&account, &by("e1", "a/send"));
        account.ok(&end("e1", ExecutionState::Unknown));
        match account.ok(&by("e2", "b/send")) {
            ToolBegun::Pinned { tool } => assert!(pinned && tool == "a/send"),
            other => assert!(!pinned && is_granted(&other), "{other:?}"),
        }
    }
}

#[test]
fn an_answer_to_a_begin_that_was_lost_is_given_again() {
    let account = Account::with(1_000);
    grants(&account, &begin("e1", Some("n")));
    grants(&account, &begin("e1", Some("n")));
    assert_eq!(account.available(), 900);
    let other = ToolBegin {
        fingerprint: "g".to_owned(),
        ..begin("e1", Some("n"))
    };
    assert_eq!(account.call(&other).err(), Some(LedgerError::IdReused));
    account.ok(&end("e1", ExecutionState::Succeeded));
    assert_eq!(replayed(&account, &begin("e1", Some("n"))).0, "e1");
}

#[test]
fn a_job_runs_on_past_its_first_deadline_and_is_charged_at_its_end() {
    let account = Account::with(1_000);
    grants(&account, &begin("e1", Some("n")));
    let running = account.ok(&end("e1", ExecutionState::Running));
    assert_eq!(running.state, ExecutionState::Running);
    account.later(5 * MINUTE);
    account.ok(&patchbay::credits::ops::Expire {});
    assert_eq!(account.available(), 900, "its hold lives on");
    assert_eq!(
        replayed(&account, &begin("e2", Some("n"))).1,
        ExecutionState::Running
    );
    account.ok(&end("e1", ExecutionState::Succeeded));
    assert_eq!(account.snapshot().balance, nanos(900));
    account.later(10 * MINUTE);
    assert_eq!(
        replayed(&account, &begin("e3", Some("n"))).1,
        ExecutionState::Succeeded
    );
}

#[test]
fn a_job_is_told_of_to_whoever_asks_about_it_until_it_ends() {
    let account = Account::with(1_000);
    grants(&account, &begin("e1", None));
    account.ok(&end("e1", ExecutionState::Running));
    assert!(account.ok(&ToolDue {}).jobs.is_empty());
    for _ in 0..3 {
        let wakes = account.ok(&patchbay::credits::ops::NextAlarm {}).unwrap();
        account.now.set(wakes);
        account.ok(&patchbay::credits::ops::Expire {});
        let due = account.ok(&ToolDue {});
        let due: Vec<&str> = due.jobs.iter().map(|view| view.id.as_str()).collect();
        assert!(due == ["e1"] || due.is_empty());
        assert!(account.ok(&ToolDue {}).jobs.is_empty(), "told once");
    }
    account.ok(&end("e1", ExecutionState::Succeeded));
    account.later(DAY);
    assert!(account.ok(&ToolDue {}).jobs.is_empty());
    assert_eq!(account.snapshot().balance, nanos(900));
}

#[test]
fn tools_share_the_limits_of_the_account_and_its_keys() {
    let account = Account::with(50);
    let reply = account.ok(&begin("e1", Some("n")));
    assert!(
        matches!(
            reply,
            ToolBegun::Refused(Refusal::InsufficientCredits { .. })
        ),
        "{reply:?}"
    );
    assert!(
        account
            .ok(&ToolGet {
                id: "e1".to_owned()
            })
            .is_none()
    );
    account.ok(&patchbay::credits::ops::KeyPut {
        limit: Some(nanos(150)),
        ..key("k")
    });
    account.ok(&crate::store::grant("more", 1_000));
    account.hold("gen-1", 100);
    let reply = account.ok(&begin("e1", Some("n")));
    assert!(
        matches!(reply, ToolBegun::Refused(Refusal::KeyLimit { .. })),
        "{reply:?}"
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let account = Account::with(1_000);
    let dry = ToolBegin {
        dry_run: true,
        ..begin("e1", Some("n"))
    };
    let before = account.store.changes();
    grants(&account, &dry);
    let always = ToolBegin {
        confirm: Confirm::Always,
        ..dry.clone()
    };
    let reply = account.ok(&always);
    assert!(matches!(reply, ToolBegun::Confirm { .. }), "{reply:?}");
    assert_eq!(account.store.changes(), before);
    grants(&account, &begin("e1", Some("n")));
}

fn money(id: &str, token: Option<&str>) -> ToolBegin {
    ToolBegin {
        effect: Effect::Money,
        tool: "stripe/refund".to_owned(),
        default_confirm: Confirm::Destructive,
        confirmation: token.map(str::to_owned),
        offer: format!("offer-{id}"),
        ..begin(id, None)
    }
}

fn problem(account: &Account, request: &ToolBegin) -> Option<String> {
    match account.ok(request) {
        ToolBegun::Confirm { problem, .. } => problem,
        other => panic!("no question: {other:?}"),
    }
}

#[test]
fn a_confirmation_is_used_once_for_what_was_shown() {
    let account = Account::with(10_000);
    match account.ok(&money("e1", None)) {
        ToolBegun::Confirm {
            expires_at,
            reason,
            problem,
        } => {
            assert_eq!(expires_at, NOON + CONFIRMATION_LIFE_MS);
            assert_eq!((reason.as_str(), problem), ("policy", None));
        }
        other => panic!("{other:?}"),
    }
    let token = Some("offer-e1");
    type Change = fn(&mut ToolBegin);
    let cases: [(&str, Change); 4] = [
        ("other_arguments", |it| it.fingerprint = "g".to_owned()),
        ("price", |it| it.hold.amount = nanos(PRICE + 1)),
        ("unknown", |it| it.confirmation = Some("made up".to_owned())),
        ("unknown", |it| it.hold.key_hash = "k2".to_owned()),
    ];
    account.ok(&key("k2"));
    for (at, (why, change)) in cases.into_iter().enumerate() {
        let mut request = money(&format!("x{at}"), token);
        change(&mut request);
        assert_eq!(problem(&account, &request).as_deref(), Some(why));
    }
    let other = ToolBegin {
        tool: "stripe/cancel".to_owned(),
        ..money("e2", token)
    };
    assert!(matches!(account.ok(&other), ToolBegun::Pinned { tool } if tool == "stripe/refund"));
    grants(&account, &money("e3", token));
    assert_eq!(
        problem(&account, &money("e4", token)).as_deref(),
        Some("used")
    );
    // Nothing was done: the yes still stands.
    account.ok(&end("e3", ExecutionState::FailedClean));
    account.later(CONFIRMATION_LIFE_MS - 1);
    grants(&account, &money("e5", token));
    account.later(1);
    account.ok(&end("e5", ExecutionState::FailedClean));
    assert_eq!(
        problem(&account, &money("e6", token)).as_deref(),
        Some("expired")
    );
}

#[test]
fn who_confirmed_a_named_execution_is_not_asked_again_for_its_repetition() {
    let account = Account::with(1_000);
    let named = |id: &str, token: Option<&str>| ToolBegin {
        idempotency_key: Some("n".to_owned()),
        resend: true,
        ..money(id, token)
    };
    assert_eq!(problem(&account, &named("e1", None)), None);
    grants(&account, &named("e2", Some("offer-e1")));
    account.ok(&end("e2", ExecutionState::Unknown));
    grants(&account, &named("e3", Some("offer-e1")));
}

#[test]
fn the_strictest_of_policy_and_caller_counts_and_a_key_goes_before_its_account() {
    let put = |account: &Account, key_hash: Option<&str>, confirm| {
        account.ok(&ToolGuardsPut {
            key_hash: key_hash.map(str::to_owned),
            guards: GuardSet {
                confirm: Some(confirm),
                rules: Vec::new(),
            },
        })
    };
    for (of_account, of_key, caller, effect, asks) in [
        (None, None, Confirm::Never, Effect::Write, false),
        (None, None, Confirm::Never, Effect::Destructive, true),
        (None, None, Confirm::Writes, Effect::Write, true),
        (None, None, Confirm::Always, Effect::Read, true),
        (
            Some(Confirm::Never),
            None,
            Confirm::Never,
            Effect::Money,
            false,
        ),
        (
            Some(Confirm::Always),
            None,
            Confirm::Never,
            Effect::Read,
            true,
        ),
        (
            Some(Confirm::Always),
            Some(Confirm::Never),
            Confirm::Never,
            Effect::Money,
            false,
        ),
        (
            Some(Confirm::Never),
            Some(Confirm::Writes),
            Confirm::Never,
            Effect::Write,
            true,
        ),
    ] {
        let account = Account::with(1_000);
        if let Some(confirm) = of_account {
            put(&account, None, confirm);
        }
        if let Some(confirm) = of_key {
            put(&account, Some("k"), confirm);
        }
        let request = ToolBegin {
            effect,
            confirm: caller,
            default_confirm: Confirm::Destructive,
            offer: "o".to_owned(),
            ..begin("e1", None)
        };
        let reply = account.ok(&request);
        assert_eq!(
            matches!(reply, ToolBegun::Confirm { .. }),
            asks,
            "{reply:?}"
        );
    }
}

pub fn run(account: &Account, id: &str) {
    grants(account, &begin(id, None));
    account.ok(&end(id, ExecutionState::Succeeded));
}

#[test]
fn executions_are_listed_and_forgotten_after_a_day() {
    let account = Account::with(10_000);
    for n in 0..5 {
        run(&account, &format!("e{n}"));
        account.later(MINUTE);
    }
    let page = |before: Option<&str>, max| {
        let list = account.ok(&ToolList {
            before: before.map(str::to_owned),
            max,
            ..ToolList::default()
        });
        list.into_iter().map(|view| view.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2), ["e4", "e3"]);
    assert_eq!(page(Some("e3"), 9), ["e2", "e1", "e0"]);
    let wakes = account.ok(&patchbay::credits::ops::NextAlarm {}).unwrap();
    assert!(wakes <= NOON + EXECUTION_LIFE_MS + DAY);
    account.later(EXECUTION_LIFE_MS - 4 * MINUTE);
    let pruned = account.ok(&ToolPrune {});
    assert_eq!((pruned.forgotten, pruned.more), (2, false));
    assert_eq!(page(None, 9), ["e4", "e3", "e2"]);
    assert_eq!(
        account.store.int("SELECT COUNT(*) FROM execution_answers"),
        3
    );
}

#[test]
fn an_answer_that_is_too_long_is_refused_and_nothing_is_written() {
    let account = Account::with(1_000);
    grants(&account, &begin("e1", Some("n")));
    let long = format!("\"{}\"", "x".repeat(MAX_ANSWER_BYTES));
    let refused = account.call(&ToolEnd {
        answer: Some(RawValue::from_string(long).unwrap()),
        ..end("e1", ExecutionState::Succeeded)
    });
    assert!(
        matches!(refused, Err(LedgerError::Invalid(_))),
        "{refused:?}"
    );
    assert_eq!(account.snapshot().balance, nanos(1_000));
    account.ok(&end("e1", ExecutionState::Succeeded));
    assert_eq!(account.snapshot().balance, nanos(900));
}
