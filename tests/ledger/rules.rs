//! Budgets, limits of pace, free models, the allowance for own provider keys: rule by rule.

use patchbay::credits::ops::{
    Budget, BudgetState, BudgetsGet, BudgetsPut, Correct, Finished, Hold, HoldReply, KeyPut,
    KeyStateGet, LedgerError, Limits, LimitsPut, Open, Pace, Refusal, Scope, SecretsEnd, Settle,
    TooSoon,
};
use patchbay::credits::periods::Reset;
use patchbay::credits::share::Share;
use patchbay::credits::terms::Terms;

use crate::store::{Account, DAY, MINUTE, grant, granted, hold, key, nanos, settle, void};

pub fn budget(id: &str, scope: Scope, reset: Option<Reset>, amount: i64) -> Budget {
    Budget {
        id: id.to_owned(),
        scope,
        reset,
        amount: nanos(amount),
        include_byok: false,
    }
}

pub fn open(terms: Terms, balance: i64) -> Account {
    let account = Account::under(terms);
    account.ok(&Open {
        account: "acme".to_owned(),
    });
    account.ok(&key("k"));
    account.ok(&key("other"));
    if balance > 0 {
        account.ok(&grant("g0", balance));
    }
    account
}

fn put(account: &Account, origin: &str, budgets: Vec<Budget>) {
    account.ok(&BudgetsPut {
        origin: origin.to_owned(),
        budgets,
    });
}

fn of(id: &str, key: &str, member: Option<&str>, amount: i64) -> Hold {
    Hold {
        member: member.map(str::to_owned),
        ..hold(id, key, amount)
    }
}

fn spend(account: &Account, id: &str, key: &str, member: Option<&str>, amount: i64) {
    let reply = account.ok(&of(id, key, member, amount));
    assert!(granted(&reply), "{id}: {reply:?}");
    account.ok(&settle(id, amount));
}

fn beyond(reply: HoldReply) -> BudgetState {
    match reply {
        HoldReply::Refused(Refusal::Budget(state)) => *state,
        other => panic!("no budget refused: {other:?}"),
    }
}

fn soon(reply: HoldReply) -> TooSoon {
    match reply {
        HoldReply::Refused(Refusal::TooSoon(soon)) => soon,
        other => panic!("no limit of pace refused: {other:?}"),
    }
}

#[test]
fn a_budget_bounds_what_its_scope_spends_in_its_period() {
    let account = || open(Terms::default(), 10_000);
    let alice = Some("alice");
    // Scope, who spends 80, who is refused 30 afterwards, who is not.
    for (scope, spender, refused, admitted) in [
        (Scope::Account, ("k", None), ("other", None), None),
        (
            Scope::EachKey,
            ("k", None),
            ("k", None),
            Some(("other", None)),
        ),
        (
            Scope::Key("k".into()),
            ("k", None),
            ("k", None),
            Some(("other", None)),
        ),
        (
            Scope::EachMember,
            ("k", alice),
            ("other", alice),
            Some(("other", Some("bob"))),
        ),
        (
            Scope::Member("alice".into()),
            ("k", alice),
            ("other", alice),
            Some(("other", None)),
        ),
    ] {
        for reset in [
            None,
            Some(Reset::Daily),
            Some(Reset::Weekly),
            Some(Reset::Monthly),
        ] {
            let account = account();
            put(
                &account,
                "account",
                vec![budget("b", scope.clone(), reset, 100)],
            );
            spend(&account, "gen-1", spender.0, spender.1, 80);
            let state = beyond(account.ok(&of("gen-2", refused.0, refused.1, 30)));
            assert_eq!(
                (state.spent, state.remaining),
                (nanos(80), nanos(20)),
                "{scope:?}"
            );
            assert_eq!(
                state.resets_at,
                reset.map(|reset| reset.next(account.now.get()))
            );
            assert!(granted(&account.ok(&of("gen-3", refused.0, refused.1, 20))));
            if let Some((key, member)) = admitted {
                assert!(
                    granted(&account.ok(&of("gen-4", key, member, 90))),
                    "{scope:?}"
                );
            }
            // What is in flight counts as well.
            let state = beyond(account.ok(&of("gen-5", refused.0, refused.1, 1)));
            assert_eq!((state.held, state.remaining), (nanos(20), nanos(0)));
            account.later(40 * DAY);
            let later = account.ok(&of("gen-6", refused.0, refused.1, 30));
            assert_eq!(granted(&later), reset.is_some(), "{scope:?} {reset:?}");
        }
    }
}

#[test]
fn of_several_budgets_the_broadest_that_is_exceeded_is_named() {
    let account = open(Terms::default(), 10_000);
    let all = [
        (None, 500),
        (Some(Reset::Monthly), 100),
        (Some(Reset::Weekly), 90),
        (Some(Reset::Daily), 50),
    ];
    let budgets = all
        .iter()
        .enumerate()
        .map(|(n, (reset, amount))| budget(&format!("b{n}"), Scope::Account, *reset, *amount));
    put(&account, "account", budgets.collect());
    for (amount, named) in [
        (501, None),
        (101, Some(Reset::Monthly)),
        (95, Some(Reset::Weekly)),
        (51, Some(Reset::Daily)),
    ] {
        let state = beyond(account.hold("gen-1", amount));
        assert_eq!(state.budget.reset, named, "{amount}");
    }
    assert!(granted(&account.hold("gen-1", 50)));
}

#[test]
fn budgets_are_replaced_by_origin_and_count_what_was_spent_before() {
    let account = open(Terms::default(), 10_000);
    spend(&account, "gen-1", "k", None, 80);
    put(
        &account,
        "account",
        vec![budget("a", Scope::Account, None, 100)],
    );
    put(
        &account,
        "guard-1",
        vec![budget("g", Scope::Key("k".into()), None, 85)],
    );
    assert_eq!(beyond(account.hold("gen-2", 10)).origin, "guard-1");
    let taken = account.call(&BudgetsPut {
        origin: "guard-2".into(),
        budgets: vec![budget("g", Scope::Account, None, 1)],
    });
    assert_eq!(taken, Err(LedgerError::IdReused));
    put(&account, "guard-1", vec![]);
    assert!(granted(&account.hold("gen-2", 10)));
    assert_eq!(beyond(account.hold("gen-3", 20)).origin, "account");
    let left = account.ok(&BudgetsGet { origin: None });
    assert_eq!(left.len(), 1);
    let negative = BudgetsPut {
        origin: "account".into(),
        budgets: vec![budget("a", Scope::Account, None, -1)],
    };
    assert!(matches!(
        account.call(&negative),
        Err(LedgerError::Invalid(_))
    ));
}

#[test]
fn a_correction_counts_in_budgets_too() {
    let account = open(Terms::default(), 10_000);
    put(
        &account,
        "account",
        vec![budget("a", Scope::EachMember, Some(Reset::Daily), 100)],
    );
    spend(&account, "gen-1", "k", Some("alice"), 90);
    assert!(!granted(&account.ok(&of("gen-2", "k", Some("alice"), 20))));
    account.ok(&Correct {
        id: "gen-1".into(),
        cost: nanos(40),
        reason: "price".into(),
    });
    assert!(granted(&account.ok(&of("gen-2", "k", Some("alice"), 60))));
}

#[test]
fn own_provider_keys_count_where_a_budget_or_a_key_s_limit_says_so() {
    let use_of = |id: &str, byok: i64| Hold {
        byok: nanos(byok),
        ..hold(id, "k", 0)
    };
    for include_byok in [false, true] {
        let account = open(Terms::default(), 0);
        account.ok(&KeyPut {
            limit: Some(nanos(100)),
            include_byok,
            ..key("k")
        });
        put(
            &account,
            "account",
            vec![Budget {
                include_byok,
                ..budget("a", Scope::Account, Some(Reset::Monthly), 150)
            }],
        );
        assert!(granted(&account.ok(&use_of("gen-1", 80))));
        account.ok(&Settle {
            byok: nanos(90),
            ..settle("gen-1", 0)
        });
        let view = account.key("k");
        assert_eq!(
            (view.usage, view.byok_usage, view.byok_usage_monthly),
            (nanos(0), nanos(90), nanos(90))
        );
        assert_eq!(
            view.limit_remaining,
            Some(nanos(if include_byok { 10 } else { 100 }))
        );
        let second = account.ok(&use_of("gen-2", 20));
        assert_eq!(granted(&second), !include_byok);
        if include_byok {
            assert!(matches!(
                second,
                HoldReply::Refused(Refusal::KeyLimit { .. })
            ));
            account.ok(&KeyPut {
                include_byok: false,
                ..key("k")
            });
            assert_eq!(beyond(account.ok(&use_of("gen-3", 61))).spent, nanos(90));
        }
    }
}

#[test]
fn requests_and_tokens_per_minute_slide_and_a_refusal_says_when_to_come_again() {
    let limits = |requests, tokens| Limits {
        requests,
        tokens,
        concurrent: None,
    };
    let taking = |id: &str, key_hash: &str, tokens| Hold {
        tokens,
        ..hold(id, key_hash, 1)
    };
    let account = open(Terms::default(), 1_000);
    account.ok(&KeyPut {
        limits: limits(Some(2), Some(100)),
        ..key("k")
    });
    account.ok(&LimitsPut {
        limits: limits(Some(3), None),
    });
    let start = account.now.get();
    assert!(granted(&account.ok(&taking("gen-1", "k", 60))));
    account.later(10_000);
    let refused = soon(account.ok(&taking("gen-2", "k", 50)));
    assert_eq!(
        refused,
        TooSoon {
            of_key: true,
            what: Pace::Tokens,
            limit: 100,
            remaining: 40,
            needed: 50,
            fits_at: Some(start + MINUTE),
            retry_after_s: Some(50),
        }
    );
    // The settlement says what it took.
    account.ok(&Settle {
        tokens: 20,
        ..settle("gen-1", 1)
    });
    assert!(granted(&account.ok(&taking("gen-2", "k", 50))));
    assert_eq!(
        soon(account.ok(&taking("gen-3", "k", 1))).what,
        Pace::Requests
    );
    assert!(granted(&account.ok(&taking("gen-4", "other", 1))));
    let refused = soon(account.ok(&taking("gen-5", "other", 1)));
    assert_eq!(
        (refused.of_key, refused.limit, refused.remaining),
        (false, 3, 0)
    );
    let never = soon(account.ok(&taking("gen-6", "k", 101)));
    assert_eq!((never.what, never.retry_after_s), (Pace::Tokens, None));
    account.later(49_999);
    assert!(!granted(&account.ok(&taking("gen-7", "other", 1))));
    account.later(1);
    assert!(granted(&account.ok(&taking("gen-7", "other", 1))));
}

#[test]
fn requests_at_the_same_time_are_counted_until_they_end() {
    let account = open(
        Terms {
            account: Limits {
                concurrent: Some(2),
                ..Limits::default()
            },
            ..Terms::default()
        },
        1_000,
    );
    assert!(granted(&account.hold("gen-1", 1)) && granted(&account.hold("gen-2", 1)));
    let refused = soon(account.hold("gen-3", 1));
    assert_eq!(
        (refused.what, refused.limit, refused.retry_after_s),
        (Pace::Concurrent, 2, Some(1))
    );
    account.ok(&void("gen-1"));
    assert!(granted(&account.hold("gen-3", 1)));
    // An unsettled one gives its place back when its time is over.
    account.later(10 * MINUTE);
    assert!(granted(&account.hold("gen-4", 1)));
    // The account's own setting goes before the deployment's; zero is no limit.
    account.ok(&LimitsPut {
        limits: Limits {
            concurrent: Some(0),
            ..Limits::default()
        },
    });
    for n in 5..9 {
        assert!(granted(&account.hold(&format!("gen-{n}"), 1)));
    }
}

#[test]
fn a_new_life_of_the_object_lets_no_more_through() {
    let account = open(Terms::default(), 1_000);
    account.ok(&LimitsPut {
        limits: Limits {
            requests: Some(3),
            tokens: Some(100),
            concurrent: None,
        },
    });
    let taking = |id: &str, tokens| Hold {
        tokens,
        ..hold(id, "k", 1)
    };
    account.ok(&taking("gen-1", 30));
    account.ok(&taking("gen-2", 30));
    account.ok(&Settle {
        tokens: 10,
        ..settle("gen-1", 1)
    });
    for _ in 0..2 {
        account.restart();
        let refused = soon(account.ok(&taking("gen-3", 61)));
        assert_eq!((refused.what, refused.remaining), (Pace::Tokens, 60));
    }
    account.ok(&taking("gen-3", 60));
    account.restart();
    assert_eq!(soon(account.ok(&taking("gen-4", 0))).what, Pace::Requests);
}

#[test]
fn free_models_have_limits_per_minute_and_day_and_buying_lifts_the_day() {
    let mut terms = Terms::default();
    (
        terms.free.per_minute,
        terms.free.per_day,
        terms.free.per_day_paid,
    ) = (2, 3, 5);
    terms.free.paid_from = nanos(100);
    let account = open(terms, 1);
    let ask = |n: i64| {
        account.ok(&Hold {
            free: true,
            ..hold(&format!("gen-{n}"), "k", 0)
        })
    };
    assert!(granted(&ask(1)) && granted(&ask(2)));
    assert_eq!(soon(ask(3)).what, Pace::FreePerMinute);
    account.later(MINUTE);
    assert!(granted(&ask(4)));
    let refused = soon(ask(5));
    assert_eq!((refused.what, refused.limit), (Pace::FreePerDay, 3));
    assert_eq!(refused.fits_at, Some(Reset::Daily.next(account.now.get())));
    // Other models go on.
    assert!(granted(&account.hold("gen-6", 1)));
    // Nobody answered: the day gets its request back.
    account.ok(&void("gen-4"));
    let state = account.ok(&KeyStateGet {
        hash: "k".into(),
        member: None,
    });
    assert_eq!((state.free_used, state.free_limit), (2, Some(3)));
    account.ok(&grant("g1", 100));
    account.later(MINUTE);
    assert!(granted(&ask(7)) && granted(&ask(8)));
    account.later(MINUTE);
    assert!(granted(&ask(9)));
    account.later(MINUTE);
    let refused = soon(ask(10));
    assert_eq!((refused.what, refused.limit), (Pace::FreePerDayPaid, 5));
    account.later(DAY);
    assert!(granted(&ask(10)));
    // Debt stops free models too.
    account.ok(&settle("gen-6", 500));
    assert!(matches!(
        ask(11),
        HoldReply::Refused(Refusal::InsufficientCredits { .. })
    ));
}

#[test]
fn requests_in_flight_hold_no_more_than_their_part_of_the_balance() {
    let mut terms = Terms::default();
    terms.in_flight.share = Share::from_percent("50").unwrap();
    let account = open(terms, 1_000);
    let refused = |reply| match reply {
        HoldReply::Refused(Refusal::InFlightBudget {
            budget,
            held,
            too_heavy,
        }) => (budget.get(), held.get(), too_heavy),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(account.hold("gen-1", 501)), (500, 0, true));
    assert!(granted(&account.hold("gen-1", 400)));
    assert_eq!(refused(account.hold("gen-2", 101)), (500, 400, false));
    account.settle("gen-1", 0);
    assert!(granted(&account.hold("gen-2", 500)));
}

#[test]
fn the_month_s_allowance_covers_the_fee_exactly_once() {
    let account = open(
        Terms {
            byok_allowance: nanos(1_000),
            ..Terms::default()
        },
        50,
    );
    // Five percent of the list price.
    let ask = |id: &str, list: i64| {
        account.ok(&Hold {
            byok: nanos(list),
            byok_fee: nanos(list / 20),
            ..hold(id, "k", list / 20)
        })
    };
    let end = |id: &str, list: i64| -> Finished {
        account.ok(&Settle {
            byok: nanos(list),
            byok_fee: nanos(list / 20),
            ..settle(id, list / 20)
        })
    };
    // Within the allowance nothing is held, so that an account without credits can go on.
    assert!(granted(&ask("gen-1", 600)) && granted(&ask("gen-2", 400)));
    assert_eq!(account.snapshot().held, nanos(0));
    assert!(granted(&ask("gen-3", 600)));
    assert_eq!(account.snapshot().held, nanos(30));
    assert_eq!(end("gen-3", 600).charged, nanos(0));
    // Whoever settles first has it; the request that crosses the line pays for what is beyond it.
    let crossed = end("gen-1", 600);
    assert_eq!(crossed.charged, nanos(10));
    assert_eq!(end("gen-1", 600), crossed, "a repetition changes nothing");
    assert!(
        account
            .peek()
            .iter()
            .any(|row| row.row.get().contains("\"byok_fee_waived\":20"))
    );
    assert_eq!(end("gen-2", 400).charged, nanos(20));
    assert_eq!(account.snapshot().balance, nanos(20));
    account.later(31 * DAY);
    assert!(granted(&ask("gen-4", 1_000)));
    assert_eq!(end("gen-4", 1_000).charged, nanos(0));
}

#[test]
fn a_replaced_secret_ends_and_shares_everything_until_then() {
    let account = open(Terms::default(), 1_000);
    account.ok(&KeyPut {
        limits: Limits {
            requests: Some(2),
            ..Limits::default()
        },
        ..key("k")
    });
    let sent = |id: &str, secret: &str| {
        account.ok(&Hold {
            secret: Some(secret.to_owned()),
            ..hold(id, "k", 1)
        })
    };
    let ends_at = account.now.get() + 1_000;
    account.ok(&SecretsEnd {
        secrets: vec!["old".into()],
        ends_at,
    });
    // Another end does not lengthen it.
    account.ok(&SecretsEnd {
        secrets: vec!["old".into()],
        ends_at: ends_at + 5,
    });
    assert!(granted(&sent("gen-1", "old")) && granted(&sent("gen-2", "new")));
    assert_eq!(soon(sent("gen-3", "new")).what, Pace::Requests);
    account.later(1_000);
    assert_eq!(
        sent("gen-4", "old"),
        HoldReply::Refused(Refusal::SecretReplaced)
    );
    account.later(MINUTE);
    assert!(granted(&sent("gen-4", "new")));
}

// The hot path: what limits and budgets cost the store.
#[test]
fn limits_and_budgets_write_no_row_more() {
    let written = |account: &Account, limited: bool| {
        if limited {
            account.ok(&LimitsPut {
                limits: Limits {
                    requests: Some(100),
                    tokens: Some(1_000),
                    concurrent: Some(10),
                },
            });
            put(
                account,
                "account",
                vec![
                    budget("a", Scope::Account, Some(Reset::Daily), 1_000),
                    budget("m", Scope::EachMember, Some(Reset::Monthly), 1_000),
                ],
            );
        }
        account.ok(&of("gen-0", "k", Some("alice"), 5));
        let (rows, statements) = (account.store.changes(), account.store.statements());
        account.ok(&of("gen-1", "k", Some("alice"), 5));
        account.ok(&settle("gen-1", 5));
        (
            account.store.changes() - rows,
            account.store.statements() - statements,
        )
    };
    let plain = written(&open(Terms::default(), 1_000), false);
    let limited = written(&open(Terms::default(), 1_000), true);
    assert_eq!(plain, (5, 9));
    // One look more at what is in flight.
    assert_eq!(limited, (5, 10));
}

#[test]
fn a_settlement_that_comes_late_counts_for_the_member_too() {
    let account = open(Terms::default(), 1_000);
    put(
        &account,
        "guard-1",
        vec![budget("m", Scope::EachMember, None, 100)],
    );
    account.ok(&of("gen-1", "k", Some("alice"), 50));
    account.later(10 * MINUTE);
    account.ok(&patchbay::credits::ops::Expire {});
    account.ok(&settle("gen-1", 80));
    let state = beyond(account.ok(&of("gen-2", "other", Some("alice"), 30)));
    assert_eq!(state.spent, nanos(80));
}
