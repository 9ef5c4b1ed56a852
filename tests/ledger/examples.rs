//! The rules of the ledger, one by one.

use patchbay::credits::ledger::{
    EXPIRE_BATCH, FLUSH_DELAY_MS, MAX_HOLD_TTL_MS, MAX_RETRY_DELAY_MS, MAX_ROW_BYTES,
};
use patchbay::credits::money::MAX_NANOS;
use patchbay::credits::ops::{
    Call, Expire, Expired, Finished, GetSnapshot, Granted, Hold, HoldReply, KeyDelete, KeyPut,
    Keys, LedgerError, NextAlarm, Open, OutboxAck, OutboxFailed, OutboxRow, Outcome, Refusal,
    Settle,
};
use patchbay::credits::periods::Reset;
use serde_json::value::RawValue;

use crate::store::{
    Account, D1, DAY, MINUTE, NOON, Store, grant, granted, hold, key, nanos, settle, void,
};

fn refused(reply: HoldReply) -> Refusal {
    match reply {
        HoldReply::Refused(refusal) => refusal,
        HoldReply::Granted { .. } => panic!("the hold was granted"),
    }
}

fn seqs(rows: &[OutboxRow]) -> Vec<i64> {
    rows.iter().map(|row| row.seq).collect()
}

#[test]
fn a_request_holds_settles_and_leaves_one_row() {
    let account = Account::with(1_000);
    assert_eq!(
        account.hold("gen-1", 300),
        HoldReply::Granted {
            available: nanos(700)
        }
    );
    let finished = account.settle("gen-1", 120);
    let expected = Finished {
        outcome: Outcome::Settled,
        charged: nanos(120),
        balance: nanos(880),
        at: NOON,
    };
    assert_eq!(finished, expected);

    let totals = account.snapshot();
    assert_eq!(
        (totals.balance, totals.held, totals.available),
        (nanos(880), nanos(0), nanos(880))
    );
    assert_eq!((totals.granted, totals.charged), (nanos(1_000), nanos(120)));
    assert_eq!((totals.open_holds, totals.unsent_rows), (0, 1));
    assert_eq!(account.key("k").usage, nanos(120));
    let rows = account.peek();
    let [row] = rows.as_slice() else {
        panic!("one row")
    };
    assert_eq!(
        (row.id.as_str(), row.account.as_str(), row.key_hash.as_str()),
        ("gen-1", "acme", "k")
    );
    assert_eq!(
        (row.status, row.cost, row.finished_at),
        (Outcome::Settled, nanos(120), NOON)
    );
    assert!(row.row.get().contains("settled"));
}

// P32
#[test]
fn of_many_requests_on_the_last_credits_only_those_that_fit_are_admitted() {
    let account = Account::with(1_000);
    let admitted = (0..20)
        .filter(|n| granted(&account.hold(&format!("gen-{n}"), 300)))
        .count();
    assert_eq!(admitted, 3);
    assert_eq!(account.available(), 100);
}

// P33: the first requests of an account that nobody has opened are refused, none slips through while it is being set up.
#[test]
fn nobody_spends_before_the_account_and_its_key_exist() {
    let account = Account::empty();
    assert_eq!(refused(account.hold("gen-1", 0)), Refusal::KeyUnknown);
    assert_eq!(account.call(&key("k")), Err(LedgerError::NotOpen));
    assert_eq!(account.call(&grant("g", 1)), Err(LedgerError::NotOpen));
    account.ok(&Open {
        account: "acme".to_owned(),
    });
    account.ok(&Open {
        account: "acme".to_owned(),
    });
    assert!(matches!(
        account.call(&Open {
            account: "other".to_owned()
        }),
        Err(LedgerError::Invalid(_))
    ));
    assert_eq!(refused(account.hold("gen-1", 0)), Refusal::KeyUnknown);
    account.ok(&key("k"));
    assert_eq!(
        refused(account.hold("gen-1", 1)),
        Refusal::InsufficientCredits {
            available: nanos(0),
            in_flight: false
        }
    );
}

// P35 P36
#[test]
fn a_repeated_hold_reserves_once_and_a_repeated_settlement_charges_once() {
    let account = Account::with(1_000);
    let first = account.hold("gen-1", 300);
    account.later(5);
    assert_eq!(account.hold("gen-1", 300), first);
    let settled = account.settle("gen-1", 120);
    account.later(5);
    assert_eq!(account.settle("gen-1", 120), settled);
    assert_eq!(account.ok(&void("gen-1")), settled);
    assert_eq!(account.snapshot().balance, nanos(880));
    assert_eq!(account.peek().len(), 1);
    assert_eq!(
        refused(account.hold("gen-1", 300)),
        Refusal::Finished {
            outcome: Outcome::Settled
        }
    );
}

#[test]
fn an_id_stands_for_one_amount_and_one_key() {
    let account = Account::with(1_000);
    account.ok(&key("k2"));
    account.hold("gen-1", 300);
    assert_eq!(
        account.call(&hold("gen-1", "k", 301)),
        Err(LedgerError::IdReused)
    );
    assert_eq!(
        account.call(&hold("gen-1", "k2", 300)),
        Err(LedgerError::IdReused)
    );
    let foreign = patchbay::credits::ops::Void {
        key_hash: "k2".to_owned(),
        ..void("gen-1")
    };
    assert_eq!(account.call(&foreign), Err(LedgerError::IdReused));
    account.settle("gen-1", 120);
    assert_eq!(
        account.call(&settle("gen-1", 121)),
        Err(LedgerError::IdReused)
    );
    assert_eq!(
        account.call(&hold("gen-1", "k", 301)),
        Err(LedgerError::IdReused)
    );
    assert_eq!(
        account.call(&hold("gen-1", "k2", 300)),
        Err(LedgerError::IdReused)
    );
    assert_eq!(account.call(&grant("g0", 999)), Err(LedgerError::IdReused));
    assert_eq!(
        account.call(&settle("never", 1)),
        Err(LedgerError::UnknownHold)
    );
}

#[test]
fn a_repeated_grant_answers_what_the_first_did() {
    let account = Account::with(1_000);
    let first = account.ok(&grant("g1", 5));
    assert_eq!(
        first,
        Granted {
            amount: nanos(5),
            balance: nanos(1_005),
            at: NOON
        }
    );
    account.ok(&grant("g2", 7));
    account.later(5);
    assert_eq!(account.ok(&grant("g1", 5)), first);
    assert_eq!(account.snapshot().balance, nanos(1_012));
}

// P41
#[test]
fn a_void_releases_the_whole_hold_and_is_free() {
    let account = Account::with(1_000);
    account.hold("gen-1", 300);
    let voided = account.ok(&void("gen-1"));
    assert_eq!(
        (voided.outcome, voided.charged),
        (Outcome::Voided, nanos(0))
    );
    assert_eq!(account.available(), 1_000);
    assert_eq!(account.ok(&void("gen-1")), voided);
    assert_eq!(account.settle("gen-1", 50), voided);
    assert_eq!(account.available(), 1_000);
    assert_eq!(account.peek().len(), 1);
    assert_eq!(account.key("k").usage, nanos(0));
}

#[test]
fn a_void_that_overtakes_its_hold_wins() {
    let account = Account::with(1_000);
    account.ok(&void("gen-1"));
    assert_eq!(
        refused(account.hold("gen-1", 300)),
        Refusal::Finished {
            outcome: Outcome::Voided
        }
    );
    assert_eq!(account.available(), 1_000);
    assert_eq!(account.peek().len(), 1);
    let unknown = patchbay::credits::ops::Void {
        key_hash: "nobody".to_owned(),
        ..void("gen-2")
    };
    assert_eq!(account.call(&unknown), Err(LedgerError::KeyUnknown));
}

// P42 P46: nothing lives in memory; a hold that nobody finishes ends by time.
#[test]
fn an_abandoned_hold_is_released_by_the_alarm_and_leaves_a_row() {
    let account = Account::with(1_000);
    account.hold("gen-1", 300);
    assert_eq!(account.ok(&NextAlarm {}), Some(NOON + 10 * MINUTE));
    account.restart();
    account.later(10 * MINUTE - 1);
    assert_eq!(
        account.ok(&Expire {}),
        Expired {
            released: 0,
            more: false
        }
    );
    assert_eq!(account.available(), 700);
    account.later(1);
    assert_eq!(
        account.ok(&Expire {}),
        Expired {
            released: 1,
            more: false
        }
    );
    assert_eq!(account.available(), 1_000);
    let rows = account.peek();
    let [row] = rows.as_slice() else {
        panic!("one row")
    };
    assert_eq!((row.status, row.cost), (Outcome::Expired, nanos(0)));
    // The row is the one that the hold brought along.
    assert!(row.row.get().contains("held"));
}

#[test]
fn many_abandoned_holds_are_released_in_batches() {
    let account = Account::with(1_000);
    for n in 0..EXPIRE_BATCH + 5 {
        account.hold(&format!("gen-{n}"), 1);
    }
    account.later(DAY);
    assert_eq!(
        account.ok(&Expire {}),
        Expired {
            released: EXPIRE_BATCH,
            more: true
        }
    );
    assert_eq!(
        account.ok(&Expire {}),
        Expired {
            released: 5,
            more: false
        }
    );
    assert_eq!(account.available(), 1_000);
}

#[test]
fn a_late_alarm_costs_nobody_an_admission() {
    let account = Account::with(1_000);
    account.hold("gen-1", 1_000);
    account.later(10 * MINUTE);
    assert!(granted(&account.hold("gen-2", 1_000)));
}

#[test]
fn a_settlement_after_expiry_is_charged_once_and_its_row_replaces_the_unsent_one() {
    let account = Account::with(1_000);
    account.hold("gen-1", 300);
    account.later(DAY);
    account.ok(&Expire {});
    let late = account.settle("gen-1", 120);
    assert_eq!(
        (late.outcome, late.charged, late.balance),
        (Outcome::Settled, nanos(120), nanos(880))
    );
    assert_eq!(account.settle("gen-1", 120), late);
    assert_eq!(
        account.call(&settle("gen-1", 121)),
        Err(LedgerError::IdReused)
    );
    assert_eq!(
        refused(account.hold("gen-1", 300)),
        Refusal::Finished {
            outcome: Outcome::Settled
        }
    );
    assert_eq!(account.snapshot().balance, nanos(880));
    assert_eq!(account.key("k").usage, nanos(120));
    let rows = account.peek();
    let [row] = rows.as_slice() else {
        panic!("one row")
    };
    assert_eq!((row.status, row.cost), (Outcome::Settled, nanos(120)));
}

#[test]
fn a_late_row_reaches_d1_once_in_either_order_and_is_not_acknowledged_by_mistake() {
    for late_first in [false, true] {
        let account = Account::with(1_000);
        let d1 = D1::new();
        account.hold("gen-1", 300);
        account.later(DAY);
        account.ok(&Expire {});
        let expired = account.peek();
        account.settle("gen-1", 120);
        // The acknowledgement of the expired row arrives only now.
        account.ok(&OutboxAck {
            seqs: seqs(&expired),
        });
        let late = account.peek();
        assert_eq!(late.len(), 1);
        let (first, second) = if late_first {
            (&late, &expired)
        } else {
            (&expired, &late)
        };
        for rows in [first, second, first, second] {
            d1.flush(rows);
        }
        assert_eq!(d1.rows(), [("gen-1".to_owned(), "settled".to_owned(), 120)]);
    }
}

// P34, P45
#[test]
fn a_settlement_may_exceed_its_hold_and_debt_refuses_even_free_requests() {
    let account = Account::with(1_000);
    account.hold("gen-1", 300);
    account.hold("gen-2", 700);
    account.settle("gen-1", 1_500);
    let totals = account.snapshot();
    assert_eq!(
        (totals.balance, totals.available),
        (nanos(-500), nanos(-1_200))
    );
    account.settle("gen-2", 0);
    assert_eq!(
        refused(account.hold("gen-3", 0)),
        Refusal::InsufficientCredits {
            available: nanos(-500),
            in_flight: false
        }
    );
    account.ok(&grant("g1", 500));
    assert!(granted(&account.hold("gen-3", 0)));
}

// P43
#[test]
fn a_rich_account_holds_like_any_other() {
    let account = Account::with(MAX_NANOS);
    account.hold("gen-1", MAX_NANOS - 1);
    assert_eq!(account.available(), 1);
    assert_eq!(
        refused(account.hold("gen-2", 2)),
        Refusal::InsufficientCredits {
            available: nanos(1),
            in_flight: true
        }
    );
}

// P130
#[test]
fn amounts_at_the_edge_of_the_platform_s_numbers_stay_exact() {
    let account = Account::with(MAX_NANOS);
    assert_eq!(account.call(&grant("g1", 1)), Err(LedgerError::OutOfRange));
    account.hold("gen-1", MAX_NANOS);
    account.settle("gen-1", MAX_NANOS - 1);
    assert_eq!(account.snapshot().balance, nanos(1));
    assert_eq!(account.key("k").usage, nanos(MAX_NANOS - 1));
    account.hold("gen-2", 1);
    // A counter that would leave the range refuses the settlement whole.
    assert_eq!(
        account.call(&settle("gen-2", 2)),
        Err(LedgerError::OutOfRange)
    );
    assert_eq!(account.snapshot().open_holds, 1);
    account.settle("gen-2", 1);
    assert_eq!(account.snapshot().balance, nanos(0));
}

#[test]
fn a_key_that_may_not_spend_is_refused_on_its_next_request_and_says_why() {
    let account = Account::with(1_000);
    account.hold("open", 100);
    account.ok(&KeyPut {
        disabled: true,
        ..key("k")
    });
    assert_eq!(refused(account.hold("gen-1", 0)), Refusal::KeyDisabled);
    account.ok(&KeyPut {
        expires_at: Some(NOON + 1),
        ..key("k")
    });
    assert!(granted(&account.hold("gen-2", 0)));
    account.later(1);
    assert_eq!(refused(account.hold("gen-3", 0)), Refusal::KeyExpired);
    account.ok(&KeyDelete {
        hash: "k".to_owned(),
    });
    account.ok(&KeyDelete {
        hash: "k".to_owned(),
    });
    assert_eq!(refused(account.hold("gen-4", 0)), Refusal::KeyDeleted);
    assert_eq!(account.call(&key("k")), Err(LedgerError::KeyDeleted));
    assert_eq!(
        account.call(&KeyDelete {
            hash: "never".to_owned()
        }),
        Err(LedgerError::KeyUnknown)
    );
    assert_eq!(account.ok(&Keys {}), []);
    // What it was admitted for before is still paid.
    assert_eq!(account.settle("open", 90).charged, nanos(90));
    assert_eq!(account.key("k").usage, nanos(90));
}

#[test]
fn a_key_limit_counts_what_is_held_and_what_is_spent() {
    let account = Account::with(10_000);
    account.ok(&KeyPut {
        limit: Some(nanos(1_000)),
        ..key("k")
    });
    account.ok(&key("free"));
    account.hold("gen-1", 600);
    let limit = |remaining| Refusal::KeyLimit {
        remaining: nanos(remaining),
        resets_at: None,
    };
    assert_eq!(refused(account.hold("gen-2", 401)), limit(400));
    assert!(granted(&account.ok(&hold("other-key", "free", 401))));
    account.settle("gen-1", 1_100);
    assert_eq!(refused(account.hold("gen-3", 0)), limit(-100));
    assert_eq!(account.key("k").limit_remaining, Some(nanos(0)));
    account.ok(&KeyPut {
        limit: Some(nanos(1_200)),
        ..key("k")
    });
    assert!(granted(&account.hold("gen-3", 100)));
    assert_eq!(account.key("k").limit_remaining, Some(nanos(100)));
}

#[test]
fn limits_start_again_with_their_period() {
    // From Wednesday 2026-07-15: next midnight, next Monday (the 20th), next first (1 August).
    let midnight = NOON + DAY / 2;
    for (reset, next) in [
        (Reset::Daily, midnight),
        (Reset::Weekly, midnight + 4 * DAY),
        (Reset::Monthly, midnight + 16 * DAY),
    ] {
        let account = Account::with(10_000);
        account.ok(&KeyPut {
            limit: Some(nanos(1_000)),
            limit_reset: Some(reset),
            ..key("k")
        });
        account.hold("gen-1", 900);
        account.settle("gen-1", 900);
        account.now.set(next - 1);
        let refusal = Refusal::KeyLimit {
            remaining: nanos(100),
            resets_at: Some(next),
        };
        assert_eq!(refused(account.hold("gen-2", 101)), refusal);
        account.now.set(next);
        assert_eq!(account.key("k").limit_remaining, Some(nanos(1_000)));
        assert!(granted(&account.hold("gen-2", 1_000)));
        account.settle("gen-2", 700);
        let view = account.key("k");
        assert_eq!(
            (view.usage, view.limit_remaining),
            (nanos(1_600), Some(nanos(300)))
        );
        assert_eq!(view.usage_daily, nanos(700));
        // A clock that steps back does not give the old period's spend away.
        account.now.set(next - 1);
        assert_eq!(account.key("k").limit_remaining, Some(nanos(300)));
    }
}

#[test]
fn counters_of_all_periods_are_kept_whatever_the_limit_s_period() {
    let account = Account::with(10_000);
    for (n, days) in [0, 1, 7, 40].into_iter().enumerate() {
        account.now.set(NOON + days * DAY);
        let id = format!("gen-{n}");
        account.hold(&id, 10);
        account.settle(&id, 10);
    }
    let view = account.key("k");
    assert_eq!(
        (
            view.usage,
            view.usage_daily,
            view.usage_weekly,
            view.usage_monthly
        ),
        (nanos(40), nanos(10), nanos(10), nanos(10))
    );
    assert_eq!(view.last_used_at, Some(NOON + 40 * DAY));
}

#[test]
fn settings_of_a_key_change_without_touching_its_counters() {
    let account = Account::with(1_000);
    account.hold("gen-1", 10);
    account.settle("gen-1", 10);
    account.later(7);
    let view = account.ok(&KeyPut {
        name: "server".to_owned(),
        ..key("k")
    });
    assert_eq!(
        (
            view.name.as_str(),
            view.usage,
            view.updated_at,
            view.created_at
        ),
        ("server", nanos(10), NOON + 7, NOON)
    );
    assert_eq!(account.ok(&Keys {}), [view]);
}

#[test]
fn an_acknowledged_row_never_comes_back() {
    let account = Account::with(1_000);
    for n in 0..3 {
        account.hold(&format!("gen-{n}"), 1);
        account.settle(&format!("gen-{n}"), 1);
    }
    let rows = account.peek();
    let two: Vec<i64> = seqs(&rows).into_iter().take(2).collect();
    assert!(account.ok(&OutboxAck { seqs: two.clone() }).more);
    assert_eq!(
        account
            .peek()
            .iter()
            .map(|row| row.id.as_str())
            .collect::<Vec<_>>(),
        ["gen-2"]
    );
    account.settle("gen-0", 1);
    assert!(account.ok(&OutboxAck { seqs: two }).more);
    assert!(!account.ok(&OutboxAck { seqs: seqs(&rows) }).more);
    assert_eq!(account.ok(&NextAlarm {}), None);
}

#[test]
fn the_flush_waits_longer_while_d1_fails_and_soon_again_when_it_works() {
    let account = Account::with(1_000);
    account.hold("gen-1", 1);
    account.settle("gen-1", 1);
    assert_eq!(account.ok(&NextAlarm {}), Some(NOON + FLUSH_DELAY_MS));
    account.later(FLUSH_DELAY_MS);
    for delay in [
        1_000,
        2_000,
        4_000,
        8_000,
        16_000,
        32_000,
        MAX_RETRY_DELAY_MS,
        MAX_RETRY_DELAY_MS,
    ] {
        assert!(account.ok(&OutboxFailed {}).more);
        assert_eq!(account.ok(&NextAlarm {}), Some(account.now.get() + delay));
        account.later(delay);
    }
    let rows = account.peek();
    account.ok(&OutboxAck { seqs: seqs(&rows) });
    account.hold("gen-2", 1);
    account.settle("gen-2", 1);
    assert_eq!(
        account.ok(&NextAlarm {}),
        Some(account.now.get() + FLUSH_DELAY_MS)
    );
}

#[test]
fn one_flush_carries_no_more_than_a_d1_parameter_holds() {
    let account = Account::with(1_000);
    let filler = format!(r#"{{"error":"{}"}}"#, "x".repeat(60_000));
    for n in 0..20 {
        let id = format!("gen-{n}");
        account.hold(&id, 1);
        account.ok(&Settle {
            row: RawValue::from_string(filler.clone()).unwrap(),
            ..settle(&id, 1)
        });
    }
    let d1 = D1::new();
    let mut batches = 0;
    loop {
        let rows = account.peek();
        if rows.is_empty() {
            break;
        }
        let json = patchbay::usage::d1::flush_param(&rows).unwrap();
        assert!(json.len() < 1_000_000);
        d1.flush(&rows);
        account.ok(&OutboxAck { seqs: seqs(&rows) });
        batches += 1;
    }
    assert_eq!((batches, d1.rows().len()), (2, 20));
}

#[test]
fn malformed_requests_change_nothing() {
    let account = Account::with(1_000);
    let row = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
    let long = row(&format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_ROW_BYTES)));
    let good = || hold("gen-1", "k", 10);
    for bad in [
        Hold {
            amount: nanos(-1),
            ..good()
        },
        Hold {
            ttl_ms: 0,
            ..good()
        },
        Hold {
            ttl_ms: MAX_HOLD_TTL_MS + 1,
            ..good()
        },
        Hold {
            id: String::new(),
            ..good()
        },
        Hold {
            id: "x".repeat(300),
            ..good()
        },
        Hold {
            row: row("[]"),
            ..good()
        },
        Hold {
            row: long,
            ..good()
        },
    ] {
        assert!(matches!(account.call(&bad), Err(LedgerError::Invalid(_))));
    }
    for bad in [grant("g", 0), grant("g", -1), grant("", 1)] {
        assert!(matches!(account.call(&bad), Err(LedgerError::Invalid(_))));
    }
    for bad in [
        KeyPut {
            limit: Some(nanos(-1)),
            ..key("k3")
        },
        KeyPut {
            created_at: -1,
            ..key("k3")
        },
        KeyPut {
            expires_at: Some(i64::MAX),
            ..key("k3")
        },
        KeyPut {
            name: "x".repeat(300),
            ..key("k3")
        },
    ] {
        assert!(matches!(account.call(&bad), Err(LedgerError::Invalid(_))));
    }
    account.hold("gen-2", 10);
    assert!(matches!(
        account.call(&settle("gen-2", -1)),
        Err(LedgerError::Invalid(_))
    ));
    assert_eq!(account.available(), 990);
    assert_eq!(account.ok(&Keys {}).len(), 1);
}

#[test]
fn the_door_answers_nonsense_with_an_error() {
    let ledger = patchbay::credits::ledger::Ledger::new(std::rc::Rc::new(Store::new())).unwrap();
    let unknown = ledger.call("mint", "{}", NOON);
    assert_eq!(
        GetSnapshot::decode(&unknown),
        Err(LedgerError::UnknownOp("mint".to_owned()))
    );
    let garbage = ledger.call("grant", r#"{"id":"g","amount":0.5}"#, NOON);
    assert!(matches!(
        GetSnapshot::decode(&garbage),
        Err(LedgerError::Invalid(_))
    ));
    let beyond = ledger.call("grant", r#"{"id":"g","amount":9007199254740992}"#, NOON);
    assert!(matches!(
        GetSnapshot::decode(&beyond),
        Err(LedgerError::Invalid(_))
    ));
    assert!(matches!(
        GetSnapshot::decode("oops"),
        Err(LedgerError::Invalid(_))
    ));
    assert_eq!(
        GetSnapshot::decode(&ledger.call("snapshot", "{}", NOON)),
        Err(LedgerError::NotOpen)
    );
}

#[test]
fn entries_can_neither_be_changed_nor_removed() {
    use patchbay::credits::sql::Sql;
    let account = Account::with(1_000);
    for statement in ["UPDATE entries SET amount = 2000", "DELETE FROM entries"] {
        let refusal = account.store.exec(statement, &[]).unwrap_err();
        assert!(refusal.0.contains("ledger entries are never"), "{refusal}");
    }
    let twice = "INSERT INTO entries (id, kind, amount, balance, at) VALUES ('x', 'settle', 0, 0, 0), ('x', 'void', 0, 0, 0)";
    assert!(
        account
            .store
            .exec(twice, &[])
            .unwrap_err()
            .0
            .contains("UNIQUE")
    );
}

// The hot path is a hold and a settlement: what they ask of the store stays small, and no lookup scans the history.
#[test]
fn a_hold_takes_two_statements_and_no_lookup_scans_the_entries() {
    let account = Account::with(1_000);
    // The object reads the account's rules once in its life.
    account.hold("gen-0", 10);
    let before = account.store.statements();
    account.hold("gen-1", 10);
    assert_eq!(account.store.statements() - before, 2);
    let before = account.store.statements();
    account.settle("gen-1", 10);
    // Five statements and the commit (counted on both sides).
    assert_eq!(account.store.statements() - before, 7);
    for lookup in [
        "SELECT amount FROM entries WHERE id = ? AND kind = 'grant'",
        "SELECT amount FROM entries WHERE id = ? AND kind IN ('settle', 'void', 'expire')",
        "SELECT amount FROM entries WHERE id = ? AND kind = 'late_settle'",
        "SELECT SUM(amount) FROM entries WHERE kind = 'grant'",
    ] {
        let plan = account.store.plan(lookup);
        assert!(plan.contains("INDEX one_"), "{lookup}: {plan}");
    }
}
