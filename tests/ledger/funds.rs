//! Credits that are bought, given back, disputed and expire: orders, repetitions, and what happens when they run low.

use patchbay::credits::ops::{
    AddCredits, AutoTopUp, Fund, FundingGet, FundingPut, LapseCredits, LedgerError, NextAlarm,
    Notice, NoticeKind, NoticesTaken, RefundCredits, Reversal, Reverse, TopUpFailed, Watch,
};
use proptest::prelude::*;

use crate::properties::fund;
use crate::store::{Account, DAY, MINUTE, nanos};

fn credits(kind: Fund, id: &str, amount: i64, expires_at: Option<i64>) -> AddCredits {
    AddCredits {
        kind,
        id: id.to_owned(),
        amount: nanos(amount),
        expires_at,
        note: String::new(),
    }
}

fn back(kind: Reversal, id: &str, purchase: &str, amount: i64, undone: bool) -> Reverse {
    Reverse {
        kind,
        id: id.to_owned(),
        purchase: purchase.to_owned(),
        amount: nanos(amount),
        undone,
    }
}

fn refund(id: &str, purchase: &str) -> RefundCredits {
    RefundCredits {
        id: id.to_owned(),
        purchase: purchase.to_owned(),
        most: None,
        unit: nanos(10),
        within_ms: Some(DAY),
        even_if_used: false,
    }
}

fn kinds(account: &Account) -> Vec<String> {
    let sql = "SELECT kind || ' ' || id || ' ' || amount FROM entries ORDER BY seq";
    account.store.texts(sql)
}

/// What a payment provider may say, about two purchases.
#[derive(Debug, Clone)]
enum Event {
    Paid(Fund, u8, i64),
    Back(Reversal, u8, i64, bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let paid = (fund(), 0u8..2).prop_map(|(kind, id)| Event::Paid(kind, id, 100 + i64::from(id)));
    let kind = prop_oneof![Just(Reversal::Refund), Just(Reversal::Dispute)];
    // An id stands for one amount of one purchase: whatever says otherwise is refused, in any order the later one.
    let went_back = (kind, 0u8..6, any::<bool>())
        .prop_map(|(kind, id, undone)| Event::Back(kind, id, 30 + 17 * i64::from(id), undone));
    prop::collection::vec(prop_oneof![1 => paid, 3 => went_back], 1..24)
}

fn hear(account: &Account, event: &Event) {
    match event {
        Event::Paid(kind, id, amount) => {
            account.ok(&credits(*kind, &format!("p{id}"), *amount, None));
        }
        Event::Back(kind, id, amount, undone) => {
            let purchase = format!("p{}", id % 2);
            account.ok(&back(*kind, &format!("b{id}"), &purchase, *amount, *undone));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_in_any_order_and_number_give_the_same_balance(
        (heard, shuffled, repeats) in events().prop_flat_map(|events| {
            let count = events.len();
            (Just(events.clone()), Just(events).prop_shuffle(), prop::collection::vec(0..count, 0..12))
        }),
    ) {
        let (one, other) = (Account::with(0), Account::with(0));
        for event in &heard {
            hear(&one, event);
        }
        for (n, event) in shuffled.iter().enumerate() {
            hear(&other, event);
            for again in repeats.iter().filter(|again| **again <= n) {
                hear(&other, &shuffled[*again]);
            }
        }
        let (first, second) = (one.snapshot(), other.snapshot());
        prop_assert_eq!(first.balance, second.balance);
        prop_assert_eq!(first.purchased, second.purchased);
        // A purchase loses no more than its credits, and nothing is ever given back that was not taken.
        prop_assert!(first.balance.get() >= 0);
        let paid: i64 = one.store.int("SELECT COALESCE(SUM(amount), 0) FROM entries WHERE kind IN ('purchase', 'coupon', 'grant')");
        prop_assert!(first.balance.get() <= paid);
    }
}

#[test]
fn news_of_a_refund_that_overtakes_its_purchase_takes_nothing_until_the_credits_come() {
    let account = Account::with(0);
    let early = account.ok(&back(Reversal::Refund, "re_1", "p", 40, false));
    assert_eq!((early.taken.get(), early.balance.get()), (0, 0));
    let paid = account.ok(&credits(Fund::Purchase, "p", 100, None));
    assert_eq!(paid.balance.get(), 100, "the entry's own balance");
    assert_eq!(account.snapshot().balance.get(), 60);
    assert_eq!(kinds(&account), ["purchase p 100", "refund re_1 -40"]);
}

#[test]
fn a_dispute_locks_the_credits_that_were_bought_and_winning_it_brings_them_back_once() {
    let account = Account::with(0);
    account.ok(&credits(Fund::Purchase, "p", 100, None));
    account.hold("gen-1", 80);
    account.settle("gen-1", 80);
    // The bank takes the fee and tax along; credits lose what they were.
    let dispute = back(Reversal::Dispute, "dp_1", "p", 108, false);
    let lost = account.ok(&dispute);
    assert_eq!((lost.taken.get(), lost.balance.get()), (100, -80));
    assert!(
        !crate::store::granted(&account.hold("gen-2", 0)),
        "a debt refuses every hold"
    );
    let won = Reverse {
        undone: true,
        ..dispute.clone()
    };
    for _ in 0..3 {
        assert_eq!(account.ok(&won).balance.get(), 20);
        assert_eq!(account.ok(&dispute).balance.get(), 20, "old news");
    }
    let other = back(Reversal::Dispute, "dp_1", "p", 107, false);
    assert_eq!(account.call(&other), Err(LedgerError::IdReused));
    assert_eq!(
        kinds(&account),
        [
            "purchase p 100",
            "settle gen-1 -80",
            "dispute dp_1 -100",
            "dispute_won dp_1 100"
        ]
    );
}

#[test]
fn a_refund_gives_back_what_is_unused_in_whole_units_and_in_time() {
    let account = Account::with(0);
    assert_eq!(
        account.call(&refund("r0", "p")),
        Err(LedgerError::UnknownPurchase)
    );
    account.ok(&credits(Fund::Purchase, "p", 100, None));
    account.hold("gen-1", 25);
    account.settle("gen-1", 25);
    account.hold("gen-2", 20);
    let first = account.ok(&refund("r1", "p"));
    assert_eq!(first.amount.get(), 50, "55 are free, in units of ten");
    assert_eq!(
        account.ok(&refund("r1", "p")),
        first,
        "a repeat takes nothing"
    );
    assert!(account.call(&refund("r2", "p")).is_err(), "5 are no unit");
    let operators = RefundCredits {
        even_if_used: true,
        most: Some(nanos(30)),
        ..refund("r3", "p")
    };
    let second = account.ok(&operators);
    assert_eq!((second.amount.get(), second.taken.get()), (30, 80));
    assert_eq!(second.balance.get(), -5);
    account.later(DAY + 1);
    assert!(account.call(&refund("r4", "p")).is_err(), "too late");
    // The payment provider could not send it: the credits are back.
    let failed = back(Reversal::Refund, "r1", "p", 50, true);
    assert_eq!(account.ok(&failed).balance.get(), 45);
}

#[test]
fn credits_that_end_first_are_used_first_and_only_what_is_left_of_them_goes() {
    let account = Account::with(100);
    let now = account.now.get();
    account.ok(&credits(Fund::Coupon, "late", 50, Some(now + 2 * DAY)));
    account.ok(&credits(Fund::Coupon, "early", 50, Some(now + DAY)));
    assert_eq!(account.ok(&NextAlarm {}), Some(now + DAY));
    account.hold("gen-1", 70);
    account.settle("gen-1", 70);
    account.later(DAY);
    assert_eq!(account.ok(&LapseCredits {}).amount.get(), 0, "all used");
    account.hold("gen-2", 10);
    account.settle("gen-2", 10);
    account.later(DAY);
    assert_eq!(account.ok(&LapseCredits {}).amount.get(), 20);
    assert_eq!(
        account.snapshot().balance.get(),
        100,
        "what has no end stays"
    );
    assert_eq!(account.snapshot().granted.get(), 180);
    assert_eq!(kinds(&account).last().unwrap(), "lapse late -20");
}

#[test]
fn what_an_open_hold_counts_on_goes_when_the_hold_is_over() {
    let account = Account::with(0);
    account.ok(&credits(
        Fund::Coupon,
        "c",
        50,
        Some(account.now.get() + 10),
    ));
    account.hold("gen-1", 30);
    account.later(10);
    assert_eq!(account.ok(&LapseCredits {}).amount.get(), 20);
    assert_eq!(account.available(), 0);
    account.settle("gen-1", 12);
    account.later(MINUTE);
    assert_eq!(account.ok(&LapseCredits {}).amount.get(), 18);
    assert_eq!(account.snapshot().balance.get(), 0);
    assert!(account.ok(&NextAlarm {}).is_some(), "a row to send");
}

fn thresholds(low: Option<i64>, auto: Option<(i64, i64, Option<i64>)>) -> FundingPut {
    FundingPut {
        low_balance: low.map(nanos),
        auto_top_up: auto.map(|(threshold, amount, cap)| AutoTopUp {
            threshold: nanos(threshold),
            amount: nanos(amount),
            monthly_cap: cap.map(nanos),
        }),
    }
}

fn told(notices: &[Notice]) -> Vec<NoticeKind> {
    notices.iter().map(|notice| notice.kind).collect()
}

fn take(account: &Account) -> Vec<Notice> {
    let notices = account.ok(&Watch {});
    let ids = notices.iter().map(|notice| notice.id.clone()).collect();
    assert!(!account.ok(&NoticesTaken { ids }).more);
    notices
}

fn spend(account: &Account, id: &str, amount: i64) {
    account.hold(id, amount);
    account.settle(id, amount);
}

#[test]
fn a_low_balance_is_told_once_until_it_is_filled_up_again() {
    let account = Account::with(100);
    account.ok(&thresholds(Some(50), None));
    assert_eq!(account.ok(&NextAlarm {}), Some(account.now.get()));
    assert_eq!(take(&account), []);
    spend(&account, "gen-1", 60);
    let low = take(&account);
    assert_eq!(told(&low), [NoticeKind::LowBalance]);
    assert_eq!((low[0].amount.get(), low[0].balance.get()), (50, 40));
    spend(&account, "gen-2", 10);
    assert_eq!(take(&account), []);
    account.ok(&credits(Fund::Purchase, "p", 100, None));
    assert_eq!(take(&account), []);
    spend(&account, "gen-3", 90);
    assert_eq!(told(&take(&account)), [NoticeKind::LowBalance]);
}

#[test]
fn one_automatic_purchase_at_a_time_within_the_cap_and_none_after_a_failure() {
    let account = Account::with(100);
    account.ok(&thresholds(None, Some((50, 80, Some(200)))));
    spend(&account, "gen-1", 60);
    let due = take(&account);
    assert_eq!(told(&due), [NoticeKind::AutoTopUp]);
    spend(&account, "gen-2", 10);
    assert_eq!(take(&account), [], "one is under way");
    account.ok(&credits(Fund::Purchase, &due[0].id, 80, None));
    assert_eq!(account.ok(&FundingGet {}).pending, None);
    spend(&account, "gen-3", 70);
    let second = take(&account);
    assert_eq!(told(&second), [NoticeKind::AutoTopUp]);
    assert_ne!(second[0].id, due[0].id);
    account.ok(&credits(Fund::Purchase, &second[0].id, 80, None));
    spend(&account, "gen-4", 80);
    assert_eq!(told(&take(&account)), [NoticeKind::AutoTopUpCapped]);
    assert_eq!(take(&account), [], "told once a month");
    account.later(31 * DAY);
    let third = take(&account);
    assert_eq!(told(&third), [NoticeKind::AutoTopUp]);
    let failed = TopUpFailed {
        id: third[0].id.clone(),
        reason: "card_declined".to_owned(),
    };
    let state = account.ok(&failed);
    assert_eq!(state.stopped.as_deref(), Some("card_declined"));
    assert_eq!((state.pending, state.month.get()), (None, 0));
    account.ok(&failed);
    assert_eq!(told(&take(&account)), [NoticeKind::AutoTopUpFailed]);
    spend(&account, "gen-5", 5);
    assert_eq!(take(&account), []);
    account.ok(&thresholds(None, Some((50, 80, None))));
    assert_eq!(told(&take(&account)), [NoticeKind::AutoTopUp], "set anew");
}

#[test]
fn a_purchase_that_was_paid_after_all_stays_paid() {
    let account = Account::with(10);
    account.ok(&thresholds(None, Some((50, 80, None))));
    let due = take(&account);
    account.ok(&credits(Fund::Purchase, &due[0].id, 80, None));
    let failed = TopUpFailed {
        id: due[0].id.clone(),
        reason: "late news".to_owned(),
    };
    assert_eq!(account.ok(&failed).stopped, None);
    let unknown = TopUpFailed {
        id: "no such".to_owned(),
        reason: "x".to_owned(),
    };
    assert_eq!(account.call(&unknown), Err(LedgerError::UnknownPurchase));
}

// A crash between any two statements of the look leads to one purchase and one notice, and never to two.
#[test]
fn a_crash_while_thresholds_are_looked_at_buys_once_and_tells_once() {
    let mut crashed = 0;
    for nth in 0.. {
        let account = Account::with(10);
        account.ok(&thresholds(Some(20), Some((50, 80, None))));
        account.store.crash_at(nth);
        let first = account.call(&Watch {});
        let died = account.store.is_dead();
        if died {
            assert!(first.is_err());
            account.restart();
            crashed += 1;
        }
        account.store.disarm();
        let notices = account.ok(&Watch {});
        let mut kinds = told(&notices);
        kinds.sort();
        assert_eq!(kinds, [NoticeKind::LowBalance, NoticeKind::AutoTopUp]);
        assert_eq!(
            account.ok(&Watch {}),
            notices,
            "they wait until they are taken"
        );
        assert_eq!(account.store.int("SELECT COUNT(*) FROM top_ups"), 1);
        if !died {
            break;
        }
    }
    assert!(crashed > 8);
}
