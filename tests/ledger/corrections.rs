//! A wrong price, mended: entries beside the settlement, in both directions (P38).

use patchbay::credits::ledger::{Ledger, MAX_ENTRIES};
use patchbay::credits::money::MAX_NANOS;
use patchbay::credits::ops::{Correct, Corrected, Entries, EntryView, HoldReply, LedgerError};
use patchbay::credits::sql::Sql;

use crate::store::{Account, DAY, MINUTE, NOON, Store, hold, key, nanos, settle, void};

fn correct(id: &str, cost: i64, reason: &str) -> Correct {
    Correct {
        id: id.to_owned(),
        cost: nanos(cost),
        reason: reason.to_owned(),
    }
}

fn spent(account: &Account, id: &str, cost: i64) {
    account.hold(id, cost);
    account.settle(id, cost);
}

fn entries(account: &Account) -> Vec<EntryView> {
    account.ok(&Entries {
        before: None,
        max: MAX_ENTRIES,
    })
}

#[test]
fn a_price_that_was_too_high_is_given_back_and_one_too_low_is_charged() {
    for (cost, balance) in [(0, 1_000), (1, 999), (499, 501), (501, 499), (1_700, -700)] {
        let account = Account::with(1_000);
        spent(&account, "gen-1", 500);
        account.later(MINUTE);
        let corrected = account.ok(&correct("gen-1", cost, "wrong price"));
        let expected = Corrected {
            before: nanos(500),
            cost: nanos(cost),
            balance: nanos(balance),
            at: NOON + MINUTE,
        };
        assert_eq!(corrected, expected);
        let totals = account.snapshot();
        assert_eq!(
            (totals.balance, totals.granted, totals.charged),
            (nanos(balance), nanos(1_000), nanos(cost))
        );
        assert_eq!(account.key("k").usage, nanos(cost));
        // Debt refuses, as it does after a settlement beyond its hold.
        let granted = matches!(account.hold("gen-2", 0), HoldReply::Granted { .. });
        assert_eq!(granted, balance >= 0);
    }
}

#[test]
fn a_correction_counts_once_per_generation_and_reason() {
    let account = Account::with(1_000);
    spent(&account, "gen-1", 500);
    let first = account.ok(&correct("gen-1", 300, "price"));
    let second = account.ok(&correct("gen-1", 350, "discount"));
    assert_eq!((second.before, second.cost), (nanos(300), nanos(350)));
    account.later(DAY);
    assert_eq!(account.ok(&correct("gen-1", 300, "price")), first);
    assert_eq!(account.ok(&correct("gen-1", 350, "discount")), second);
    let other = account.call(&correct("gen-1", 301, "price"));
    assert_eq!(other, Err(LedgerError::IdReused));
    assert_eq!(account.snapshot().balance, nanos(650));
    let told: Vec<_> = entries(&account)
        .into_iter()
        .map(|entry| {
            (
                entry.kind,
                entry.amount.get(),
                entry.balance.get(),
                entry.note,
            )
        })
        .collect();
    let entry = |kind: &str, amount, balance, note: Option<&str>| {
        (kind.to_owned(), amount, balance, note.map(str::to_owned))
    };
    let expected = [
        entry("correction", -50, 650, Some("discount")),
        entry("correction", 200, 700, Some("price")),
        entry("settle", -500, 500, None),
        entry("grant", 1_000, 1_000, None),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_settlement_that_is_repeated_after_its_correction_answers_what_it_did() {
    let account = Account::with(1_000);
    account.hold("gen-1", 500);
    let settled = account.settle("gen-1", 500);
    account.ok(&correct("gen-1", 100, "price"));
    assert_eq!(account.settle("gen-1", 500), settled);
    assert_eq!(account.snapshot().balance, nanos(900));
}

#[test]
fn only_what_was_settled_can_be_corrected() {
    let account = Account::with(1_000);
    account.hold("open", 10);
    account.hold("voided", 10);
    account.ok(&void("voided"));
    for id in ["unknown", "open", "voided", "g0"] {
        let refused = account.call(&correct(id, 5, "price"));
        assert_eq!(refused, Err(LedgerError::NotSettled), "{id}");
    }
    spent(&account, "gen-1", 500);
    for bad in [
        correct("gen-1", -1, "price"),
        correct("gen-1", 500, "price"),
        correct("gen-1", 5, ""),
    ] {
        let refused = account.call(&bad);
        assert!(matches!(refused, Err(LedgerError::Invalid(_))), "{bad:?}");
    }
    let far = account.call(&correct("gen-1", MAX_NANOS, "price"));
    assert_eq!(
        far,
        Ok(Corrected {
            before: nanos(500),
            cost: nanos(MAX_NANOS),
            balance: nanos(1_000 - MAX_NANOS),
            at: NOON
        })
    );
    spent_beyond_range_is_refused(&account);
}

/// Two such sums together leave what the platform can count.
fn spent_beyond_range_is_refused(account: &Account) {
    account.ok(&settle("open", 0));
    let beyond = account.call(&correct("open", MAX_NANOS, "price"));
    assert_eq!(beyond, Err(LedgerError::OutOfRange));
    assert_eq!(account.snapshot().balance, nanos(1_000 - MAX_NANOS));
}

#[test]
fn a_late_settlement_is_corrected_as_any_other() {
    let account = Account::with(1_000);
    account.ok(&hold("gen-1", "k", 500));
    account.later(DAY);
    account.ok(&patchbay::credits::ops::Expire {});
    let early = account.call(&correct("gen-1", 5, "price"));
    assert_eq!(early, Err(LedgerError::NotSettled));
    account.settle("gen-1", 400);
    assert_eq!(account.ok(&correct("gen-1", 5, "price")).before, nanos(400));
    assert_eq!(account.snapshot().balance, nanos(995));
}

#[test]
fn a_correction_counts_in_the_periods_that_its_settlement_counted_in() {
    let account = Account::with(10_000);
    spent(&account, "gen-1", 500);
    account.later(DAY);
    spent(&account, "gen-2", 70);
    account.ok(&correct("gen-1", 100, "price"));
    let view = account.key("k");
    assert_eq!(
        (
            view.usage,
            view.usage_daily,
            view.usage_weekly,
            view.usage_monthly
        ),
        (nanos(170), nanos(70), nanos(170), nanos(170))
    );
    account.ok(&correct("gen-2", 20, "price"));
    assert_eq!(account.key("k").usage_daily, nanos(20));
    // A key that is gone is counted all the same: what it spent is history.
    account.ok(&patchbay::credits::ops::KeyDelete {
        hash: "k".to_owned(),
    });
    account.ok(&correct("gen-2", 30, "again"));
    assert_eq!(account.key("k").usage, nanos(130));
}

#[test]
fn entries_are_read_page_by_page() {
    let account = Account::with(10_000);
    for n in 0..9 {
        spent(&account, &format!("gen-{n}"), n);
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = account.ok(&Entries { before, max: 4 });
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        before = Some(last.seq);
        seen.extend(page);
    }
    assert_eq!(seen, entries(&account));
    assert_eq!(seen.len(), 10);
}

/// An account of the version before, with entries and rows on their way, opens as this version and has lost nothing.
#[test]
fn the_tables_of_the_version_before_are_brought_up_to_date_whenever_they_die() {
    let tell = |store: &Store| {
        store.texts(
            "SELECT json_array(entries.seq, id, kind, amount, balance, held, key_hash, at, note, draft)
             FROM entries LEFT JOIN outbox USING (seq) ORDER BY entries.seq",
        )
    };
    let mut deaths = 0;
    for nth in 0.. {
        let account = Account::with(1_000);
        account.ok(&key("other"));
        spent(&account, "gen-1", 500);
        account.hold("gen-2", 100);
        account.ok(&void("gen-2"));
        let store = &account.store;
        // Back to the tables of version 1.
        for statement in [
            "CREATE TABLE kept AS SELECT * FROM entries",
            "CREATE TABLE kept_rows AS SELECT * FROM outbox",
            "DROP TABLE outbox",
            "DROP TABLE entries",
            "CREATE TABLE entries (seq INTEGER PRIMARY KEY, id TEXT NOT NULL,
                kind TEXT NOT NULL CHECK (kind IN ('grant', 'settle', 'void', 'expire', 'late_settle')), amount INTEGER NOT NULL,
                balance INTEGER NOT NULL, held INTEGER, key_hash TEXT, at INTEGER NOT NULL, note TEXT) STRICT",
            "CREATE TABLE outbox (seq INTEGER PRIMARY KEY REFERENCES entries (seq), draft TEXT NOT NULL) STRICT",
            "INSERT INTO entries SELECT seq, id, kind, amount, balance, held, key_hash, at, note FROM kept",
            "INSERT INTO outbox SELECT * FROM kept_rows",
            "DROP TABLE kept",
            "DROP TABLE kept_rows",
            "CREATE UNIQUE INDEX one_grant ON entries (id) WHERE kind = 'grant'",
            "CREATE UNIQUE INDEX one_finish ON entries (id) WHERE kind IN ('settle', 'void', 'expire')",
            "CREATE UNIQUE INDEX one_late_settle ON entries (id) WHERE kind = 'late_settle'",
            "CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'never'); END",
            "CREATE TRIGGER entries_never_vanish BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'never'); END",
            "DROP TABLE reversals",
            "DROP TABLE lots",
            "DROP TABLE funding",
            "DROP TABLE top_ups",
            "DROP TABLE notices",
            "ALTER TABLE account DROP COLUMN lots_balance",
            "DROP TABLE budgets",
            "DROP TABLE ended_secrets",
            "DROP TABLE executions",
            "DROP TABLE execution_answers",
            "DROP TABLE execution_recipients",
            "DROP TABLE idempotency",
            "DROP TABLE confirmations",
            "DROP TABLE tool_guards",
            "DROP TABLE notes",
            "DROP TABLE tasks",
            "DELETE FROM schema_version WHERE version > 1",
        ] {
            store.exec(statement, &[]).unwrap();
        }
        for (table, columns) in [
            (
                "keys",
                "byok byok_day byok_week byok_month include_byok member max_requests max_tokens max_concurrent",
            ),
            (
                "account",
                "max_requests max_tokens max_concurrent free_day free_used",
            ),
            ("holds", "member began tokens byok free"),
        ] {
            for column in columns.split(' ') {
                let drop = format!("ALTER TABLE {table} DROP COLUMN {column}");
                store.exec(&drop, &[]).unwrap();
            }
        }
        let before = tell(store);
        assert_eq!(before.len(), 3);
        store.crash_at(nth);
        let opened = Ledger::new(std::rc::Rc::clone(store));
        let died = store.is_dead();
        assert_eq!(opened.is_err(), died);
        if died {
            store.reopen();
        }
        store.disarm();
        account.restart();
        assert_eq!(tell(store), before);
        account.ok(&correct("gen-1", 200, "price"));
        assert_eq!(account.snapshot().balance, nanos(800));
        for change in ["UPDATE entries SET amount = 0", "DELETE FROM entries"] {
            let refused = store.exec(change, &[]);
            assert!(refused.unwrap_err().0.contains("never"), "{change}");
        }
        if !died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 10);
}
