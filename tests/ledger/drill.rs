//! The reconciliation's drill: in a clean world it finds nothing, and each fault that is seeded is found, by its name and to the
//! nano-dollar.

mod faults;

use std::cell::Cell;

use futures::executor::block_on;
use patchbay::books::{Progress, reconcile_some, step};
use patchbay::chat::Usage;
use patchbay::credits::accounts::{Accounts, explain};
use patchbay::credits::ops::{
    AddCredits, Call, Correct, Expire, Fund, Hold, HoldReply, KeyDelete, LapseCredits, OutboxAck,
    OutboxPeek, RefundCredits, Reversal, Reverse, Settle,
};
use patchbay::credits::pricing::{Charge, Price, PriceTable, Tier};
use patchbay::credits::sql::{Sql, SqlValue};
use patchbay::database::{Database, Row, Statement, Transactions};
use patchbay::error::Result;
use patchbay::usage::UsageRow;
use patchbay::usage::d1::SAVE_CORRECTION;
use rusqlite::types::{Null, ValueRef};
use serde_json::{Value, json};

use crate::store::{Account, D1, DAY, MINUTE, grant, hold, key, settle, void};

/// A deed, and after which call of the object it is done.
type Meanwhile = (u32, fn(&Books));

/// One account's object, and D1.
struct Books {
    account: Account,
    d1: D1,
    /// What happens in the object right after this many calls.
    meanwhile: Cell<Option<Meanwhile>>,
    calls: Cell<u32>,
}

impl Accounts for Books {
    async fn call<C: Call>(&self, account: &str, call: &C) -> Result<C::Reply> {
        assert_eq!(account, "acme");
        let answer = self.account.call(call).map_err(explain);
        self.calls.set(self.calls.get() + 1);
        if let Some((at, act)) = self.meanwhile.get()
            && at == self.calls.get()
        {
            self.meanwhile.set(None);
            act(self);
        }
        answer
    }
}

impl Database for Books {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        Ok(self.d1.query(sql, params))
    }
}

impl Transactions for Books {
    async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        let run = |(sql, params): &Statement<'_>| self.d1.query(sql, params);
        Ok(statements.iter().map(run).collect())
    }
}

impl D1 {
    /// Runs a statement as D1 does: rows by the names of their columns.
    pub fn query(&self, sql: &str, params: &[SqlValue]) -> Vec<Row> {
        let mut statement = self.0.prepare(sql).unwrap();
        for (at, param) in params.iter().enumerate() {
            match param {
                SqlValue::Int(value) => statement.raw_bind_parameter(at + 1, value),
                SqlValue::Text(text) => statement.raw_bind_parameter(at + 1, text),
                SqlValue::Null => statement.raw_bind_parameter(at + 1, Null),
            }
            .unwrap();
        }
        let names: Vec<String> = statement
            .column_names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let mut rows = statement.raw_query();
        let mut out = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let value = |at: usize| match row.get_ref(at).unwrap() {
                ValueRef::Integer(value) => json!(value),
                ValueRef::Text(text) => json!(std::str::from_utf8(text).unwrap()),
                _ => Value::Null,
            };
            let named = names
                .iter()
                .enumerate()
                .map(|(at, name)| (name.clone(), value(at)));
            out.push(named.collect());
        }
        out
    }
}

/// Prices of every kind that a row's tokens can have, odd to the last digit.
fn prices(stated: bool) -> PriceTable {
    let price = |nanos| Some(Price::new(nanos).unwrap());
    PriceTable {
        prompt: Price::new(1_234_567_891).unwrap(),
        completion: Price::new(5_000_000_003).unwrap(),
        cache_read: price(123_456_789),
        cache_write_5m: price(1_500_000_007),
        cache_write_1h: price(2_500_000_009),
        reasoning: price(6_000_000_001),
        stated,
        tiers: vec![Tier {
            min_prompt_tokens: 2_000,
            prompt: price(2_469_135_783),
            ..Tier::default()
        }],
        ..PriceTable::default()
    }
}

/// The usage of the n-th request, its charge, and its row.
fn request(n: i64) -> (Charge, UsageRow) {
    let count = |n: i64| u64::try_from(n).unwrap();
    let stated = n % 17 == 3;
    let usage = Usage {
        prompt: count(600 + n % 3_000),
        cache_read: count(n % 400),
        cache_write_5m: count(n % 90),
        cache_write_1h: count(n % 70),
        completion: count(1 + n % 700),
        reasoning: count(n % 2),
        upstream_cost: (stated || n % 19 == 4).then_some(1_000 + n),
        ..Usage::default()
    };
    let charge = prices(stated).cost(&usage).unwrap();
    let row = UsageRow {
        model: "acme/model".to_owned(),
        usage,
        charge: Some(charge.clone()),
        ..UsageRow::default()
    };
    (charge, row)
}

impl Books {
    fn empty() -> Self {
        let account = Account::with(9_000_000_000_000);
        account.ok(&key("k2"));
        let d1 = D1::new();
        d1.0.execute(
            "INSERT INTO accounts (id, name, created_at) VALUES ('acme', 'Acme', 1)",
            [],
        )
        .unwrap();
        Self {
            account,
            d1,
            meanwhile: Cell::new(None),
            calls: Cell::new(0),
        }
    }

    /// Requests of every fate; the last rows are still on their way.
    fn with(requests: i64) -> Self {
        let books = Self::empty();
        books.account.ok(&grant("g1", 77));
        books.credits();
        for n in 0..requests {
            books.one(n);
            books
                .account
                .later(if n % 97 == 0 { DAY / 3 } else { 1_000 });
            if n % 200 == 199 {
                books.account.ok(&Expire {});
                books.flush(i64::MAX);
            }
        }
        books.account.later(20 * MINUTE);
        books.account.ok(&Expire {});
        // What comes late finds its expired row in the outbox, or in D1.
        books.flush(requests / 2);
        for n in (0..requests).filter(|n| n % 22 == 5) {
            books.end(n);
        }
        for n in (0..requests).filter(|n| n % 31 == 1 && n % 11 != 5 && n % 7 != 2) {
            books.correct(n, "wrong price", n);
            books.correct(n, "and again", n + 1);
        }
        books.account.ok(&KeyDelete {
            hash: "k2".to_owned(),
        });
        books.account.ok(&LapseCredits {});
        // Of free models: one that is answered, one that nobody answers, one under way.
        for id in ["free-1", "free-2", "free-3"] {
            let free = Hold {
                free: true,
                ..hold(id, "k", 0)
            };
            let reply = books.account.ok(&free);
            assert!(matches!(reply, HoldReply::Granted { .. }));
        }
        books.account.ok(&settle("free-1", 0));
        books.account.ok(&void("free-2"));
        books
    }

    /// Credits that were bought, redeemed, given back and disputed, some of which expire.
    fn credits(&self) {
        let now = self.account.now.get();
        let dollars = |dollars: i64| crate::store::nanos(dollars * 1_000_000_000);
        let add = |kind, id: &str, amount, expires_at| {
            let id = id.to_owned();
            let note = String::new();
            self.account.ok(&AddCredits {
                kind,
                id,
                amount,
                expires_at,
                note,
            });
        };
        add(Fund::Purchase, "pur_1", dollars(50), None);
        add(Fund::Purchase, "pur_2", dollars(30), Some(now + 900 * DAY));
        add(Fund::Coupon, "c0ffee", dollars(20), Some(now + DAY / 2));
        let refund = RefundCredits {
            id: "ref_1".to_owned(),
            purchase: "pur_1".to_owned(),
            most: Some(dollars(5)),
            unit: crate::store::nanos(10_000_000),
            within_ms: None,
            even_if_used: false,
        };
        self.account.ok(&refund);
        for (id, cents, undone) in [("dp_1", 7, false), ("dp_2", 9, false), ("dp_2", 9, true)] {
            let fact = Reverse {
                kind: Reversal::Dispute,
                id: id.to_owned(),
                purchase: "pur_2".to_owned(),
                amount: dollars(cents),
                undone,
            };
            self.account.ok(&fact);
        }
        let rows = format!(
            "INSERT INTO purchases (id, account, kind, status, credits, fee_cents, charge_cents, taken, created_at, paid_at) VALUES
                ('pur_1', 'acme', 'checkout', 'paid', 50000000000, 0, 5000, 5000000000, {now}, {now}),
                ('pur_2', 'acme', 'auto', 'paid', 30000000000, 0, 3000, 7000000000, {now}, {now}),
                ('pur_3', 'acme', 'auto', 'failed', 30000000000, 0, 3000, 0, {now}, NULL);
             INSERT INTO refunds (id, purchase, account, cents, status, created_at) VALUES ('ref_1', 'pur_1', 'acme', 500, 'sent', {now});
             INSERT INTO coupons (hash, label, amount, max_uses, created_at) VALUES
                ('c0ffee', 'welcome', 20000000000, 9, {now}), ('decaf', 'later', 10000000000, 9, {now});
             INSERT INTO coupon_uses (coupon, account, at) VALUES ('c0ffee', 'acme', {now});"
        );
        self.d1.0.execute_batch(&rows).unwrap();
    }

    fn one(&self, n: i64) {
        let hash = if n % 5 == 0 { "k2" } else { "k" };
        let reply = self.account.ok(&hold(&format!("gen-{n}"), hash, 50));
        assert!(matches!(reply, HoldReply::Granted { .. }));
        match n {
            n if n % 11 == 5 => {}
            n if n % 7 == 2 => {
                let call = patchbay::credits::ops::Void {
                    key_hash: hash.to_owned(),
                    ..void(&format!("gen-{n}"))
                };
                self.account.ok(&call);
            }
            n => self.end(n),
        }
    }

    fn end(&self, n: i64) {
        let (charge, row) = request(n);
        self.account.ok(&Settle {
            amount: charge.total,
            row: row.into_raw().unwrap(),
            ..settle(&format!("gen-{n}"), 0)
        });
    }

    fn correct(&self, n: i64, reason: &str, nanos: i64) {
        let call = Correct {
            id: format!("gen-{n}"),
            cost: crate::store::nanos(nanos),
            reason: reason.to_owned(),
        };
        let corrected = self.account.ok(&call);
        let change = corrected.cost.get() - corrected.before.get();
        let params = ("acme", &call.id, reason, change, corrected.at);
        self.d1.0.execute(SAVE_CORRECTION, params).unwrap();
    }

    /// Sends rows to D1, the oldest first.
    fn flush(&self, most: i64) {
        let mut left = most;
        while left > 0 {
            let rows = self.account.ok(&OutboxPeek { max: left.min(500) });
            if rows.is_empty() {
                break;
            }
            left -= i64::try_from(rows.len()).unwrap();
            self.d1.flush(&rows);
            let seqs = rows.iter().map(|row| row.seq).collect();
            self.account.ok(&OutboxAck { seqs });
        }
    }

    /// A change behind the ledger's back.
    fn break_object(&self, sql: &str) {
        for trigger in ["entries_never_change", "entries_never_vanish"] {
            let drop = format!("DROP TRIGGER IF EXISTS {trigger}");
            self.account.store.exec(&drop, &[]).unwrap();
        }
        self.account.store.exec(sql, &[]).unwrap();
    }

    fn break_d1(&self, sql: &str) {
        let changed = self.d1.0.execute(sql, []).unwrap();
        assert_eq!(changed, 1, "{sql}");
    }

    /// A whole walk, `pages` pages in each step.
    fn walk(&self, pages: usize) -> Progress {
        let mut restart = true;
        for _ in 0..1_000 {
            let now = self.account.now.get();
            let progress = block_on(step(self, "acme", (pages, 0), restart, now)).unwrap();
            assert!(!progress.yielded);
            if progress.done {
                return progress;
            }
            restart = false;
        }
        panic!("a walk without an end");
    }

    /// Open findings: kind, subject, difference.
    fn open(&self) -> Vec<(String, String, Option<i64>)> {
        let sql = "SELECT kind, subject, difference FROM reconcile_findings WHERE closed_at IS NULL ORDER BY kind, subject";
        let text = |row: &Row, name: &str| row[name].as_str().unwrap().to_owned();
        let rows = self.d1.query(sql, &[]);
        rows.iter()
            .map(|row| {
                (
                    text(row, "kind"),
                    text(row, "subject"),
                    row["difference"].as_i64(),
                )
            })
            .collect()
    }
}

#[test]
fn a_clean_world_of_thousands_of_requests_shows_nothing() {
    let books = Books::with(3_100);
    for pages in [1, 3, 1_000] {
        let progress = books.walk(pages);
        assert_eq!(books.open(), []);
        assert_eq!(progress.differences, 0);
        assert_eq!(progress.matched + progress.pending, 3_102, "{progress:?}");
        assert_eq!(progress.pending > 100, pages == 1, "{progress:?}");
        assert!(
            progress.entries > 3_200 && progress.rows >= progress.matched,
            "{progress:?}"
        );
        assert!(progress.drift.rows > 100 && progress.drift.provider != progress.drift.catalog);
        books.flush(300);
    }
}

#[test]
fn each_seeded_fault_is_found_to_the_nano_dollar() {
    for (name, seed, expected) in faults::FAULTS {
        let books = Books::with(130);
        // So that every row has arrived, and no correction is too young to judge.
        books.flush(i64::MAX);
        books.account.later(2 * MINUTE);
        books.walk(100);
        assert_eq!(books.open(), [], "{name}: clean before");
        seed(&books);
        let progress = books.walk(1);
        let found = books.open();
        for (kind, subject, difference) in *expected {
            let is_it = |(k, s, d): &(String, String, Option<i64>)| {
                k == kind.as_str()
                    && s.contains(subject)
                    && (difference.is_none() || d == difference)
            };
            assert!(
                found.iter().any(is_it),
                "{name}: no {kind:?} of {subject} in {found:?}"
            );
        }
        let kinds = expected.iter().map(|(kind, ..)| kind.as_str());
        let kinds: std::collections::BTreeSet<_> = kinds.collect();
        let others = found
            .iter()
            .filter(|(kind, ..)| !kinds.contains(kind.as_str()));
        assert_eq!(
            others.collect::<Vec<_>>(),
            Vec::<&_>::new(),
            "{name}: and nothing else"
        );
        assert_eq!(progress.differences, found.len() as u64, "{name}");
    }
}

#[test]
fn a_difference_is_open_until_a_whole_walk_finds_it_no_longer() {
    let books = Books::with(50);
    books.flush(i64::MAX);
    books.break_d1("UPDATE usage SET key_hash = 'other' WHERE id = 'gen-8'");
    books.walk(1);
    assert_eq!(books.open().len(), 1);
    books.account.later(MINUTE);
    // Half a walk closes nothing.
    books.break_d1("UPDATE usage SET key_hash = 'k' WHERE id = 'gen-8'");
    let now = books.account.now.get();
    let progress = block_on(step(&books, "acme", (1, 0), true, now)).unwrap();
    assert!(!progress.done);
    assert_eq!(books.open().len(), 1);
    books.account.later(MINUTE);
    books.walk(1);
    assert_eq!(books.open(), []);
    books.account.later(MINUTE);
    books.break_d1("UPDATE usage SET key_hash = 'other' WHERE id = 'gen-8'");
    books.walk(1);
    let again = "SELECT first_seen_at FROM reconcile_findings";
    let rows = books.d1.query(again, &[]);
    assert_eq!((books.open().len(), rows.len()), (1, 1));
    assert_eq!(
        rows[0]["first_seen_at"],
        json!(books.account.now.get()),
        "it is news again"
    );
}

/// What is between the object and D1 while they are read is no difference.
#[test]
fn what_moves_while_it_is_read_is_no_difference() {
    let late = |books: &Books| {
        books.end(5);
        books.flush(i64::MAX);
    };
    let books = Books::empty();
    for n in 0..8 {
        books.one(n);
    }
    books.account.later(20 * MINUTE);
    books.account.ok(&Expire {});
    books.flush(i64::MAX);
    // The page said "expired"; then the settlement came, and D1 says "settled".
    books.calls.set(0);
    books.meanwhile.set(Some((1, late)));
    books.walk(10);
    assert_eq!(books.open(), []);
    assert!(books.meanwhile.get().is_none(), "it did happen in between");
}

#[test]
fn two_runs_at_once_do_not_disturb_each_other() {
    let books = Books::with(1_200);
    let now = books.account.now.get();
    let one = |restart| block_on(step(&books, "acme", (1, 0), restart, now)).unwrap();
    one(true);
    // Another run was faster between this one's reading and keeping.
    let act = |books: &Books| {
        books
            .d1
            .0
            .execute("UPDATE reconcile_walks SET revision = revision + 1", [])
            .unwrap();
    };
    books.calls.set(0);
    books.meanwhile.set(Some((1, act)));
    assert!(one(false).yielded);
    let mut steps = 0;
    while !one(false).done {
        steps += 1;
        assert!(steps < 20);
    }
    assert_eq!(books.open(), []);
}

#[test]
fn the_cron_walks_over_every_account_in_parts_and_again_the_next_day() {
    let books = Books::with(3_100);
    books.flush(i64::MAX);
    books.break_d1("UPDATE usage SET cost = cost + 1 WHERE id = 'gen-8'");
    let run = |later| {
        books.account.later(later);
        block_on(reconcile_some(&books, 0, books.account.now.get())).unwrap()
    };
    let finished = || {
        books
            .d1
            .query("SELECT finished_at FROM reconcile_walks", &[])
    };
    let mut runs = 0;
    let told = loop {
        let told = run(MINUTE);
        runs += 1;
        if !told.is_empty() {
            break told;
        }
        assert!(runs < 20, "the walk goes on in each run");
    };
    assert!(
        runs > 1,
        "thousands of requests are not walked over in one run"
    );
    assert!(told[0].contains("acme show 2 differences"), "{told:?}");
    let first = finished();
    assert_eq!(run(MINUTE), Vec::<String>::new());
    assert_eq!(finished(), first, "the round is over");
    for _ in 0..runs {
        run(DAY);
    }
    assert_ne!(finished(), first);
}

#[test]
fn a_row_that_was_cleared_away_in_its_time_is_not_missed() {
    let books = Books::with(30);
    books.flush(i64::MAX);
    books.account.later(DAY);
    books.account.ok(&Expire {});
    books.break_d1("DELETE FROM usage WHERE id = 'gen-8'");
    let now = books.account.now.get();
    let progress = block_on(step(&books, "acme", (100, now), true, now)).unwrap();
    assert_eq!((progress.beyond_retention, progress.matched), (1, 31));
    assert_eq!(books.open(), []);
}
