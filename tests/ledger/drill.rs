//! The reconciliation's drill: in a clean world it finds nothing, and each fault that is seeded is found, by its name and to the
//! nano-dollar.

use std::cell::Cell;

use futures::executor::block_on;
use patchbay::books::{Kind, Progress, reconcile_some, step};
use patchbay::chat::Usage;
use patchbay::credits::accounts::{Accounts, explain};
use patchbay::credits::ops::{
    Call, Correct, Expire, HoldReply, KeyDelete, OutboxAck, OutboxPeek, Settle,
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
        books
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
        assert_eq!(progress.matched + progress.pending, 3_100, "{progress:?}");
        assert_eq!(progress.pending > 100, pages == 1, "{progress:?}");
        assert!(
            progress.entries > 3_200 && progress.rows >= progress.matched,
            "{progress:?}"
        );
        assert!(progress.drift.rows > 100 && progress.drift.provider != progress.drift.catalog);
        books.flush(300);
    }
}

/// What is done, and what is found: kind, a part of its subject, the difference in nano-dollars.
type Fault = (
    &'static str,
    fn(&Books),
    &'static [(Kind, &'static str, Option<i64>)],
);

const FAULTS: &[Fault] = &[
    (
        "an amount changed in D1",
        |books| books.break_d1("UPDATE usage SET cost = cost + 1 WHERE id = 'gen-8'"),
        &[
            (Kind::ChargeTotal, "gen-8", Some(1)),
            (Kind::RowCost, "gen-8", Some(1)),
        ],
    ),
    (
        "a usage row is missing",
        |books| books.break_d1("DELETE FROM usage WHERE id = 'gen-9'"),
        &[(Kind::MissingRow, "gen-9", None)],
    ),
    (
        "a usage row is there twice",
        |books| {
            books.break_d1(
                "INSERT INTO usage (id, account, key_hash, status, cost, finished_at, request_id, created_at, api_type, model,
                    streamed, cancelled, prompt_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
                    completion_tokens, reasoning_tokens, audio_in_tokens, audio_out_tokens, image_out_tokens, estimated, charge)
                 SELECT id || '-copy', account, key_hash, status, cost, finished_at, request_id, created_at, api_type, model,
                    streamed, cancelled, prompt_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
                    completion_tokens, reasoning_tokens, audio_in_tokens, audio_out_tokens, image_out_tokens, estimated, charge
                 FROM usage WHERE id = 'gen-8'",
            );
        },
        &[(Kind::OrphanRow, "gen-8-copy", None)],
    ),
    (
        "a usage row of another account",
        |books| books.break_d1("UPDATE usage SET account = 'evil' WHERE id = 'gen-8'"),
        &[(Kind::RowAccount, "gen-8", None)],
    ),
    (
        "a usage row of another key",
        |books| books.break_d1("UPDATE usage SET key_hash = 'other' WHERE id = 'gen-8'"),
        &[(Kind::RowKey, "gen-8", None)],
    ),
    (
        "a usage row that tells of another end",
        |books| books.break_d1("UPDATE usage SET status = 'voided' WHERE id = 'gen-8'"),
        &[(Kind::RowStatus, "gen-8", None)],
    ),
    (
        "a running balance is wrong",
        |books| {
            books.break_object("UPDATE entries SET balance = balance - 5 WHERE id = 'gen-8'");
        },
        &[
            (Kind::RunningBalance, "(gen-8)", Some(-5)),
            (Kind::RunningBalance, "entry", Some(5)),
        ],
    ),
    (
        "the last balance is wrong",
        |books| {
            books.break_object(
                "UPDATE entries SET balance = balance + 1 WHERE seq = (SELECT MAX(seq) FROM entries)",
            );
        },
        &[
            (Kind::Balance, "balance", Some(1)),
            (Kind::RunningBalance, "entry", Some(1)),
        ],
    ),
    (
        "a key's counter is wrong",
        |books| books.break_object("UPDATE keys SET used = used + 1 WHERE hash = 'k'"),
        &[(Kind::KeyCounter, "k ever", Some(1))],
    ),
    (
        "a deleted key's counter of a period is wrong",
        |books| books.break_object("UPDATE keys SET used_month = used_month - 7 WHERE hash = 'k2'"),
        &[(Kind::KeyCounter, "k2 monthly", Some(-7))],
    ),
    (
        "a period that never was",
        |books| books.break_object("UPDATE keys SET day = day + 86400000 WHERE hash = 'k'"),
        &[(Kind::KeyCounter, "k daily", None)],
    ),
    (
        "a settlement was lost",
        |books| books.break_object("DELETE FROM entries WHERE id = 'gen-8'"),
        &[
            (Kind::KeyCounter, "k ever", None),
            (Kind::MissingEntry, "entry", None),
            (Kind::OrphanRow, "gen-8", None),
            (Kind::RunningBalance, "entry", None),
            (Kind::Balance, "balance", None),
        ],
    ),
    (
        "a settlement's amount was changed",
        |books| books.break_object("UPDATE entries SET amount = amount - 3 WHERE id = 'gen-8'"),
        &[
            (Kind::RowCost, "gen-8", Some(-3)),
            (Kind::RunningBalance, "(gen-8)", Some(3)),
            (Kind::KeyCounter, "k ever", Some(-3)),
            (Kind::Balance, "balance", Some(3)),
        ],
    ),
    (
        "a void that charges",
        |books| books.break_object("UPDATE entries SET amount = -2 WHERE id = 'gen-9'"),
        &[
            (Kind::EntryAmount, "(gen-9)", None),
            (Kind::RowCost, "gen-9", Some(-2)),
            (Kind::RunningBalance, "(gen-9)", Some(2)),
            (Kind::Balance, "balance", Some(2)),
        ],
    ),
    (
        "a cost unlike the provider's, which is the price",
        |books| {
            books.break_d1("UPDATE usage SET upstream_cost = upstream_cost - 1 WHERE id = 'gen-3'")
        },
        &[(Kind::ProviderCost, "gen-3", Some(1))],
    ),
    (
        "a charge whose lines do not make its total",
        |books| {
            books.break_d1(
                "UPDATE usage SET charge = json_set(charge, '$.lines[0].price', (charge ->> '$.lines[0].price') + 1000000)
                 WHERE id = 'gen-8'",
            );
        },
        &[(Kind::ChargeSum, "gen-8", Some(-584))],
    ),
    (
        "a charge that counts other tokens",
        |books| {
            books.break_d1(
                "UPDATE usage SET completion_tokens = completion_tokens + 1 WHERE id = 'gen-8'",
            )
        },
        &[(Kind::ChargeTokens, "gen-8", None)],
    ),
    (
        "a charge that is not there",
        |books| books.break_d1("UPDATE usage SET charge = NULL WHERE id = 'gen-8'"),
        &[(Kind::ChargeMissing, "gen-8", None)],
    ),
    (
        "a row without any entry",
        |books| {
            books.break_d1("UPDATE usage SET id = 'gen-nobody' WHERE id = 'gen-8'");
        },
        &[
            (Kind::MissingRow, "gen-8", None),
            (Kind::OrphanRow, "gen-nobody", None),
        ],
    ),
    (
        "a correction that D1 does not know",
        |books| {
            books.break_d1(
                "DELETE FROM corrections WHERE generation = 'gen-1' AND reason = 'wrong price'",
            )
        },
        &[(Kind::Correction, "gen-1: wrong price", None)],
    ),
    (
        "a correction of another amount",
        |books| {
            books.break_d1(
                "UPDATE corrections SET change = change + 4 WHERE generation = 'gen-1' AND reason = 'and again'",
            );
        },
        &[(Kind::Correction, "gen-1: and again", Some(4))],
    ),
    (
        "a hold that nobody released",
        |books| {
            books.break_object(
                "INSERT INTO holds (id, key_hash, amount, release_at, began, tokens, byok, free, draft)
                 VALUES ('gen-stale', 'k', 5, 1, 0, 0, 0, 0, '{}')",
            );
        },
        &[(Kind::StaleHold, "gen-stale", None)],
    ),
    (
        "a hold of a request that has ended",
        |books| {
            books.break_object(
                "INSERT INTO holds (id, key_hash, amount, release_at, began, tokens, byok, free, draft)
                 VALUES ('gen-8', 'k', 5, 9000000000000, 0, 0, 0, 0, '{}')",
            );
        },
        &[(Kind::HoldAfterEnd, "gen-8", None)],
    ),
    (
        "entries of a key that is gone",
        |books| books.break_object("DELETE FROM keys WHERE hash = 'k2'"),
        &[(Kind::UnknownKey, "k2", None)],
    ),
];

#[test]
fn each_seeded_fault_is_found_to_the_nano_dollar() {
    for (name, seed, expected) in FAULTS {
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
    books.break_d1("DELETE FROM usage WHERE id = 'gen-8'");
    let now = books.account.now.get();
    let progress = block_on(step(&books, "acme", (100, now), true, now)).unwrap();
    assert_eq!((progress.beyond_retention, progress.matched), (1, 29));
    assert_eq!(books.open(), []);
}
