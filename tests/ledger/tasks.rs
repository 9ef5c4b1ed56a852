//! Tasks: kept for a day, seen by the key that began them, and as they ended once they ended.

use patchbay::credits::ledger::{MAX_TASK_BYTES, MAX_TASK_PAGE, MAX_TASKS, TASK_MS};
use patchbay::credits::ops::{
    Effect, ExecutionState, Hold, Lease, LedgerError, NextAlarm, TaskGet, TaskKept, TaskList,
    TaskPut, ToolBegin, ToolBegun, ToolDue, ToolEnd,
};

use crate::store::{Account, MINUTE, NOON};

fn task(id: &str, state: &str, at: i64) -> TaskPut {
    TaskPut {
        lease: None,
        id: id.to_owned(),
        key_hash: "k".to_owned(),
        context: "c".to_owned(),
        state: state.to_owned(),
        is_over: state == "completed",
        at,
        is_new: false,
        text: format!("{id} {state} {at}"),
    }
}

fn new(id: &str, at: i64) -> TaskPut {
    TaskPut {
        is_new: true,
        ..task(id, "working", at)
    }
}

fn get(account: &Account, id: &str) -> Option<String> {
    account.ok(&TaskGet {
        id: id.to_owned(),
        key_hash: "k".to_owned(),
    })
}

fn list(account: &Account, wanted: TaskList) -> (Vec<String>, i64, Option<(i64, String)>) {
    let page = account.ok(&TaskList {
        key_hash: "k".to_owned(),
        ..wanted
    });
    let ids = page
        .texts
        .iter()
        .map(|text| text.split(' ').next().unwrap().to_owned());
    (ids.collect(), page.total, page.last)
}

#[test]
fn a_task_begins_once_and_stays_as_it_ended() {
    let account = Account::empty();
    assert!(account.ok(&new("t", NOON)).is_put);
    let again = account.ok(&TaskPut {
        text: "another".into(),
        ..new("t", NOON + 1)
    });
    assert_eq!(
        again,
        TaskKept {
            is_put: false,
            text: format!("t working {NOON}"),
            ..TaskKept::default()
        }
    );

    assert!(account.ok(&task("t", "completed", NOON + 2)).is_put);
    let late = account.ok(&task("t", "canceled", NOON + 3));
    assert_eq!(
        late,
        TaskKept {
            is_put: false,
            text: format!("t completed {}", NOON + 2),
            ..TaskKept::default()
        }
    );
    assert_eq!(
        get(&account, "t"),
        Some(format!("t completed {}", NOON + 2))
    );
}

#[test]
fn another_key_of_the_account_finds_nothing_and_changes_nothing() {
    let account = Account::empty();
    account.ok(&new("t", NOON));
    let of_another = |put: TaskPut| TaskPut {
        key_hash: "other".into(),
        ..put
    };
    assert_eq!(
        account.ok(&TaskGet {
            id: "t".into(),
            key_hash: "other".into()
        }),
        None
    );
    assert_eq!(
        account.call(&of_another(task("t", "completed", NOON))),
        Err(LedgerError::IdReused)
    );
    assert_eq!(
        account.call(&of_another(new("t", NOON))),
        Err(LedgerError::IdReused)
    );
    assert_eq!(
        account
            .ok(&TaskList {
                key_hash: "other".into(),
                limit: 10,
                ..TaskList::default()
            })
            .total,
        0
    );
    assert_eq!(get(&account, "t"), Some(format!("t working {NOON}")));
}

#[test]
fn pages_lead_through_all_tasks_of_a_kind_the_latest_first() {
    let account = Account::empty();
    for (n, state) in [
        "working",
        "completed",
        "working",
        "input-required",
        "working",
    ]
    .iter()
    .enumerate()
    {
        let n = i64::try_from(n).unwrap();
        let context = if n == 4 { "d" } else { "c" };
        // Two at the same time are told apart by their ids.
        account.ok(&TaskPut {
            context: context.into(),
            ..task(&format!("t{n}"), state, NOON + n / 2)
        });
    }
    let mut seen = Vec::new();
    let mut behind = None;
    loop {
        let (ids, total, last) = list(
            &account,
            TaskList {
                behind,
                limit: 2,
                ..TaskList::default()
            },
        );
        assert_eq!(total, 5);
        seen.extend(ids);
        behind = last;
        if behind.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["t4", "t3", "t2", "t1", "t0"]);
    let working = TaskList {
        state: Some("working".into()),
        context: Some("c".into()),
        limit: 10,
        ..TaskList::default()
    };
    assert_eq!(
        list(&account, working),
        (vec!["t2".into(), "t0".into()], 2, None)
    );
    for (after, found) in [(NOON, 5), (NOON + 1, 3), (NOON + 3, 0)] {
        let late = TaskList {
            after: Some(after),
            limit: 10,
            ..TaskList::default()
        };
        assert_eq!(list(&account, late).0.len(), found, "{after}");
    }
}

#[test]
fn old_tasks_go_when_a_new_one_begins() {
    let account = Account::empty();
    account.ok(&new("old", NOON));
    account.later(TASK_MS);
    account.ok(&new("t", NOON + TASK_MS));
    assert!(get(&account, "old").is_some(), "kept for a day");
    account.later(MINUTE);
    account.ok(&new("u", NOON + TASK_MS + MINUTE));
    assert_eq!(get(&account, "old"), None);
    assert!(get(&account, "t").is_some());
}

#[test]
fn size_number_and_pages_are_limited() {
    let account = Account::empty();
    let long = |bytes: usize| TaskPut {
        text: "x".repeat(bytes),
        ..new("long", NOON)
    };
    assert!(matches!(
        account.call(&long(MAX_TASK_BYTES + 1)),
        Err(LedgerError::Invalid(_))
    ));
    assert!(account.ok(&long(MAX_TASK_BYTES)).is_put);
    for n in 0..MAX_TASKS {
        account.ok(&new(&format!("t{n:05}"), NOON + 1 + n));
    }
    assert_eq!(get(&account, "long"), None, "the oldest gives way");
    let (ids, total, _) = list(
        &account,
        TaskList {
            limit: 1_000_000,
            ..TaskList::default()
        },
    );
    assert_eq!(
        (ids.len(), total),
        (usize::try_from(MAX_TASK_PAGE).unwrap(), MAX_TASKS)
    );
}

fn held(id: &str, holder: &str, ms: i64) -> TaskPut {
    TaskPut {
        lease: Some(Lease {
            holder: holder.to_owned(),
            ms,
        }),
        ..task(id, "working", NOON)
    }
}

fn claim(id: &str, holder: &str) -> TaskPut {
    TaskPut {
        is_new: true,
        ..held(id, holder, 15_000)
    }
}

fn step(id: &str, holder: &str) -> ToolBegin {
    ToolBegin {
        hold: Hold {
            id: id.to_owned(),
            key_hash: "k".to_owned(),
            ttl_ms: 60_000,
            row: serde_json::value::RawValue::from_string("{}".to_owned()).unwrap(),
            ..Hold::default()
        },
        tool: "mail/send".to_owned(),
        fingerprint: "f".to_owned(),
        effect: Effect::Write,
        offer: "o".to_owned(),
        parent: Some("t".to_owned()),
        holder: Some(holder.to_owned()),
        surface: "composite".to_owned(),
        ..serde_json::from_value(serde_json::json!({
            "hold": {"id": "x", "key_hash": "k", "amount": 0, "ttl_ms": 1, "row": {}},
            "tool": "x", "fingerprint": "x", "effect": "read",
        }))
        .unwrap()
    }
}

#[test]
fn a_task_is_one_holders_at_a_time_and_its_steps_are_for_that_one_alone() {
    let account = Account::with(1_000);
    assert_eq!(account.ok(&claim("t", "one")).busy_ms, None);
    let refused = account.ok(&claim("t", "two"));
    assert_eq!((refused.is_put, refused.busy_ms), (false, Some(15_000)));
    assert!(
        matches!(account.ok(&step("e0", "two")), ToolBegun::InProgress { id, .. } if id == "t")
    );
    assert!(matches!(
        account.ok(&step("e1", "one")),
        ToolBegun::Granted { .. }
    ));

    // An execution under way holds it as long as it may take.
    account.later(30_000);
    assert!(account.ok(&claim("t", "two")).busy_ms.is_some());
    account.ok(&ToolEnd {
        id: "e1".into(),
        key_hash: "k".into(),
        state: ExecutionState::Succeeded,
        ..serde_json::from_value(serde_json::json!({"id": "x", "key_hash": "k", "state": "succeeded", "charge": 0, "row": {}})).unwrap()
    });
    assert_eq!(account.ok(&claim("t", "two")).busy_ms, Some(15_000));

    // Whoever is silent for longer than the gap loses it, and with it the right to say anything of it.
    account.later(15_000);
    assert_eq!(account.ok(&claim("t", "two")).busy_ms, None);
    assert!(account.ok(&held("t", "one", 15_000)).busy_ms.is_some());
    assert!(matches!(
        account.ok(&step("e2", "one")),
        ToolBegun::InProgress { .. }
    ));
    assert!(account.ok(&held("t", "two", 15_000)).is_put);

    // Given up, it is anybody's at once.
    assert!(account.ok(&held("t", "two", 0)).is_put);
    assert_eq!(account.ok(&claim("t", "three")).busy_ms, None);
    let over = TaskPut {
        is_over: true,
        ..held("t", "three", 15_000)
    };
    assert!(account.ok(&over).is_put);
    assert!(matches!(
        account.ok(&step("e3", "three")),
        ToolBegun::InProgress { .. }
    ));
    let late = account.ok(&claim("t", "four"));
    assert_eq!(
        (late.is_put, late.busy_ms),
        (false, None),
        "it is told as it ended"
    );
}

#[test]
fn the_alarm_tells_of_a_task_whose_holder_is_gone_and_not_for_ever() {
    let account = Account::with(1_000);
    account.ok(&claim("given-up", "one"));
    account.ok(&held("given-up", "one", 0));
    account.ok(&claim("left", "one"));
    assert!(account.ok(&ToolDue {}).chains.is_empty());
    let mut told = Vec::new();
    while let Some(wakes) = account.ok(&NextAlarm {}) {
        account.now.set(wakes);
        let due = account.ok(&ToolDue {}).chains;
        assert!(account.ok(&ToolDue {}).chains.is_empty(), "told once");
        for task in due {
            assert_eq!((task.id.as_str(), task.key_hash.as_str()), ("left", "k"));
            assert!(
                account.ok(&claim("left", "two")).busy_ms.is_some(),
                "it is the alarm's"
            );
            told.push(task.holder);
        }
    }
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(
        account.ok(&claim("left", &told[4])).busy_ms,
        None,
        "anybody's again"
    );
}
