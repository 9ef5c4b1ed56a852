//! The cron over a real SQLite with the product's migrations.

use std::cell::{Cell, RefCell};

use futures::executor::block_on;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    database::{Database, Statement, sqlite::Sqlite},
    usage::measured::Verdict,
};

const NOW: i64 = 1_800_000_000_000 + 20 * MINUTE_MS + 30_000;

/// Id, status, and the attempts by endpoint.
type UsageRow<'a> = (String, &'a str, Vec<(&'a str, Measured)>);

struct Store {
    d1: Sqlite,
    snapshot: RefCell<Option<String>>,
    rows: Cell<u64>,
}

impl Store {
    fn new() -> Self {
        Self {
            d1: Sqlite::new(),
            snapshot: RefCell::default(),
            rows: Cell::new(0),
        }
    }

    /// Writes usage rows as an account's object does: id, status, attempts as endpoint and figures.
    fn flush(&self, rows: &[UsageRow<'_>]) {
        let row = |(id, status, attempts): &UsageRow<'_>| {
            let attempt = |(route, measured): &(&str, Measured)| json!({"route": route, "measured": measured});
            let attempts: Vec<Value> = attempts.iter().map(attempt).collect();
            json!({
                "id": id, "account": "acc", "key_hash": "k", "status": status, "cost": 0, "finished_at": 0,
                "row": {"created_at": self.rows.get(), "attempts": attempts},
            })
        };
        let rows: Vec<Value> = rows.iter().map(row).collect();
        self.d1.flush(&rows);
    }

    /// One row with these attempts.
    fn request(&self, attempts: &[(&str, Measured)]) {
        self.rows.set(self.rows.get() + 1);
        self.flush(&[(
            format!("gen-{}", self.rows.get()),
            "settled",
            attempts.to_vec(),
        )]);
    }

    fn gather(&self, now_ms: i64) -> Result<Gathered> {
        block_on(gather(self, now_ms))
    }

    /// What the isolates read.
    fn published(&self) -> Statistics {
        serde_json::from_str(self.snapshot.borrow().as_deref().unwrap()).unwrap()
    }

    /// Attempts of an endpoint in the last day, as published.
    fn attempts(&self, route: &str) -> u64 {
        let published = self.published();
        published
            .endpoints
            .get(route)
            .map_or(0, |figures| figures.day.attempts)
    }
}

impl Database for Store {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        self.d1.query(sql, params).await
    }
}

impl Transactions for Store {
    async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        let rows = self.d1.transaction(statements).await?;
        // The answer may be lost although all was done.
        self.d1.may_fail()?;
        Ok(rows)
    }
}

impl SnapshotStore for Store {
    async fn snapshot(&self) -> Result<Option<String>> {
        Ok(self.snapshot.borrow().clone())
    }

    async fn keep_snapshot(&self, text: &str) -> Result<()> {
        self.d1.may_fail()?;
        *self.snapshot.borrow_mut() = Some(text.to_owned());
        Ok(())
    }

    fn warn(&self, message: &str) {
        panic!("{message}");
    }
}

fn ended(verdict: Verdict, at: i64) -> Measured {
    Measured {
        ended_at: at,
        verdict,
        first_token_ms: Some(100),
        ..Measured::default()
    }
}

fn good(at: i64) -> Measured {
    ended(Verdict::Ok, at)
}

#[test]
fn nothing_is_published_on_an_empty_deployment_but_on_the_hour() {
    let store = Store::new();
    let gathered = store.gather(NOW).unwrap();
    assert_eq!((gathered.rows, gathered.statistics), (0, None));
    assert!(store.snapshot.borrow().is_none());
    let hour = NOW.div_euclid(HOUR_MS) * HOUR_MS;
    assert!(
        store
            .gather(hour + 10)
            .unwrap()
            .statistics
            .unwrap()
            .endpoints
            .is_empty()
    );
}

#[test]
fn each_row_counts_once_however_often_the_cron_runs() {
    let store = Store::new();
    store.request(&[("m|a", ended(Verdict::Fault, NOW)), ("m|b", good(NOW))]);
    store.request(&[("m|b", good(NOW - 1_000))]);
    for rows in [2, 0, 0] {
        assert_eq!(store.gather(NOW).unwrap().rows, rows);
        let published = store.published();
        assert_eq!(published.endpoints["m|a"].five_minutes.failed, 1);
        let window = &published.endpoints["m|b"].five_minutes;
        assert_eq!((window.attempts, window.failed), (2, 0));
        assert_eq!(window.first_token_ms.unwrap().p90, 101.5);
    }
    store.request(&[("m|b", good(NOW + 1))]);
    store.gather(NOW + 10).unwrap();
    assert_eq!(store.attempts("m|b"), 3);
}

#[test]
fn rows_that_arrive_late_count_to_their_own_minute() {
    let store = Store::new();
    let late = NOW - 2 * HOUR_MS;
    for n in 0..20 {
        // Two hours late in several runs; the row before it keeps the figures of that minute moving.
        store.request(&[("m|a", good(late + n))]);
        if n % 3 == 0 {
            store.gather(NOW).unwrap();
        }
    }
    store.request(&[("m|a", good(NOW - LATE_MS - 1))]);
    store.gather(NOW).unwrap();
    let figures = &store.published().endpoints["m|a"];
    assert_eq!((figures.half_hour.attempts, figures.day.attempts), (0, 20));
    assert_eq!((figures.day.minutes, figures.day.minutes_up), (1, 1));
}

#[test]
fn a_row_that_gives_way_to_a_late_settlement_is_read_again() {
    let store = Store::new();
    let row = |id: &str, status, attempts| [(id.to_owned(), status, attempts)];
    store.flush(&row("gen-x", "expired", vec![]));
    store.flush(&row("gen-y", "settled", vec![("m|a", good(NOW))]));
    store.gather(NOW).unwrap();
    for _ in 0..3 {
        store.flush(&row("gen-x", "settled", vec![("m|a", good(NOW))]));
        store.gather(NOW).unwrap();
        assert_eq!(store.attempts("m|a"), 2);
    }
    // Several in one statement, with others between them.
    let attempts = || vec![("m|b", good(NOW))];
    let rows = |status, attempts: &dyn Fn() -> _| {
        ["gen-1", "gen-2", "gen-3"].map(|id| (id.to_owned(), status, attempts()))
    };
    store.flush(&rows("expired", &Vec::new));
    store.gather(NOW).unwrap();
    let mut late = rows("settled", &attempts).to_vec();
    late.insert(1, ("gen-4".to_owned(), "settled", attempts()));
    late.push(("gen-5".to_owned(), "settled", attempts()));
    store.flush(&late);
    assert_eq!(store.gather(NOW).unwrap().rows, 5);
    assert_eq!(store.attempts("m|b"), 5);
    // New rows come after it.
    store.flush(&row("gen-z", "settled", vec![("m|a", good(NOW))]));
    store.gather(NOW).unwrap();
    assert_eq!(store.attempts("m|a"), 3);
}

#[test]
fn of_two_runs_at_once_one_counts() {
    let store = Store::new();
    store.request(&[("m|a", good(NOW))]);
    let rows = block_on(async {
        let mut slow = Run::begin(&store, NOW).await.unwrap();
        let rows = slow.read().await.unwrap();
        gather(&store, NOW).await.unwrap();
        slow.count(rows).await.unwrap()
    });
    assert_eq!(rows, None);
    store.gather(NOW).unwrap();
    assert_eq!(store.attempts("m|a"), 1);
}

#[test]
fn a_long_backlog_is_worked_off_in_several_runs() {
    let store = Store::new();
    let all = MAX_ROWS as usize * MAX_BATCHES + 10;
    let rows: Vec<_> = (0..all)
        .map(|n| {
            (
                format!("gen-{n}"),
                "settled",
                vec![("m|a", good(NOW - (n as i64 % 500) * MINUTE_MS))],
            )
        })
        .collect();
    for part in rows.chunks(500) {
        store.flush(part);
    }
    assert_eq!(store.gather(NOW).unwrap().rows, all as u64 - 10);
    assert_eq!(store.gather(NOW).unwrap().rows, 10);
    assert_eq!(store.attempts("m|a"), all as u64);
}

#[test]
fn what_no_window_reaches_is_forgotten() {
    let store = Store::new();
    store.request(&[("m|a", good(NOW))]);
    store.gather(NOW).unwrap();
    let spans = || {
        store
            .d1
            .run("SELECT count(*) AS n FROM endpoint_spans", &[])[0]["n"]
            .as_i64()
    };
    assert_eq!(spans(), Some(2));
    store.gather(NOW + 25 * HOUR_MS).unwrap();
    assert_eq!(spans(), Some(0));
    // Deleted usage rows give their numbers to nobody.
    store.d1.run("DELETE FROM usage", &[]);
    let later = NOW + 25 * HOUR_MS;
    store.request(&[("m|a", good(later))]);
    store.gather(later).unwrap();
    assert_eq!(store.attempts("m|a"), 1);
}

#[test]
fn rows_without_figures_are_passed_over() {
    let store = Store::new();
    let kept = ["[]", "[{\"provider\":\"p\",\"status\":200}]", "not json"];
    for (id, attempts) in ["gen-a", "gen-b", "gen-c"].into_iter().zip(kept) {
        store.flush(&[(id.to_owned(), "void", vec![])]);
        let sql = "UPDATE usage SET attempts = ?1 WHERE id = ?2";
        store.d1.run(
            sql,
            &[SqlValue::Text(attempts.into()), SqlValue::Text(id.into())],
        );
    }
    store.request(&[("m|a", good(NOW))]);
    let gathered = store.gather(NOW).unwrap();
    assert_eq!((gathered.rows, gathered.attempts), (4, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Outages anywhere, also after a write whose answer is lost.
    #[test]
    fn an_outage_in_the_cron_loses_nothing_and_counts_nothing_twice(
        steps in prop::collection::vec((0..4usize, 0..9u32, 0..3 * HOUR_MS), 1..25),
    ) {
        let store = Store::new();
        let mut told = 0;
        for (requests, outage, ago) in steps {
            for _ in 0..requests {
                store.request(&[("m|a", good(NOW - ago))]);
                told += 1;
            }
            store.d1.left.set(Some(outage));
            // It may fail or not.
            let _ = store.gather(NOW);
            store.d1.left.set(None);
        }
        store.request(&[("m|a", good(NOW))]);
        store.gather(NOW).unwrap();
        prop_assert_eq!(store.attempts("m|a"), told + 1);
    }
}
