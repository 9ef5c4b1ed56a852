//! The cron over a real SQLite with the product's migrations.

use std::cell::{Cell, RefCell};

use futures::executor::block_on;

use super::*;
use crate::{
    database::{Database, Statement, sqlite::Sqlite},
    tools::beliefs::cache::BeliefCache,
    usage::d1::FLUSH,
};

const NOW: i64 = 1_800_000_000_000;
const TOOL: &str = "tavily/search";

struct Store {
    sqlite: Sqlite,
    kv: RefCell<Option<String>>,
    rows: Cell<u32>,
}

impl Store {
    fn new() -> Self {
        Self {
            sqlite: Sqlite::new(),
            kv: RefCell::default(),
            rows: Cell::new(0),
        }
    }

    /// Usage rows as an account's object writes them, one execution each.
    fn executions(&self, account: &str, observed: &[Observed]) {
        let row = |observed: &Observed| {
            self.rows.set(self.rows.get() + 1);
            json!({
                "id": format!("exec-{}", self.rows.get()), "account": account, "key_hash": "k", "status": "settled", "cost": 0, "finished_at": 0,
                "row": {"created_at": observed.ended_at, "api_type": "tool", "attempts": [{"provider": "tavily", "observed": observed}]},
            })
        };
        let rows: Vec<Value> = observed.iter().map(row).collect();
        self.sqlite.run(FLUSH, &[list(rows)]);
    }

    fn gather(&self) -> Result<Gathered> {
        block_on(gather(self, NOW))
    }

    fn record(&self, account: &str) -> Record {
        block_on(of_account(self, account))
            .unwrap()
            .remove(TOOL)
            .unwrap_or_default()
    }
}

impl Database for Store {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        self.sqlite.query(sql, params).await
    }
}

impl Transactions for Store {
    async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        self.sqlite.transaction(statements).await
    }
}

impl BeliefStore for Store {
    async fn beliefs_text(&self) -> Result<Option<String>> {
        Ok(self.kv.borrow().clone())
    }

    async fn keep_beliefs(&self, text: &str) -> Result<()> {
        *self.kv.borrow_mut() = Some(text.to_owned());
        Ok(())
    }
}

fn good(at: i64) -> Observed {
    Observed::succeeded(TOOL, "search", at, 300, 8_000_000)
}

fn bad(at: i64) -> Observed {
    Observed::failed(TOOL, "search", at, 30_000, "timeout", false)
}

#[test]
fn each_execution_counts_once_for_its_account_and_for_everybody() {
    let store = Store::new();
    store.executions("acc_1", &[good(NOW - 3), bad(NOW - 2), good(NOW - 1)]);
    store.executions("acc_2", &[good(NOW - 4)]);
    assert_eq!(store.gather().unwrap().taken, 4);
    // Nothing new: nothing is counted again, nothing is published.
    assert!(store.gather().unwrap().book.is_none());
    let of = |account| store.record(account).totals;
    assert_eq!((of("acc_1").succeeded, of("acc_1").failed), (2, 1));
    assert_eq!((of("acc_2").succeeded, of("acc_2").failed), (1, 0));
    assert_eq!((of(EVERYBODY).succeeded, of(EVERYBODY).failed), (3, 1));
    assert_eq!(store.record("acc_1").mean_cost(), Some(8_000_000));
    let book: Book = serde_json::from_str(store.kv.borrow().as_deref().unwrap()).unwrap();
    assert_eq!(book.records.get(TOOL), Some(&store.record(EVERYBODY)));
}

#[test]
fn an_account_tells_everybody_only_so_much_in_an_hour() {
    let store = Store::new();
    let storm: Vec<Observed> = (0..200).map(|n| bad(NOW - 200 + n)).collect();
    store.executions("acc_bad", &storm[..100]);
    store.gather().unwrap();
    store.executions("acc_bad", &storm[100..]);
    store.executions("acc_good", &[good(NOW)]);
    store.gather().unwrap();
    let everybody = store.record(EVERYBODY).totals;
    assert_eq!(
        (everybody.failed, everybody.succeeded),
        (u64::from(SHARE_PER_HOUR), 1)
    );
    assert_eq!(everybody.beyond_share, 200 - u64::from(SHARE_PER_HOUR));
    // Itself it tells everything.
    assert_eq!(store.record("acc_bad").totals.failed, 200);
}

#[test]
fn an_outage_at_any_statement_loses_nothing_and_counts_nothing_twice() {
    for fails_at in 0..20 {
        let store = Store::new();
        store.executions("acc_1", &[good(NOW - 2), bad(NOW - 1)]);
        store.sqlite.left.set(Some(fails_at));
        let failed = store.gather().is_err();
        store.sqlite.left.set(None);
        store.gather().unwrap();
        let totals = store.record(EVERYBODY).totals;
        assert_eq!(
            (totals.succeeded, totals.failed),
            (1, 1),
            "fails at {fails_at}: {failed}"
        );
    }
}

#[test]
fn a_report_takes_the_place_of_what_the_execution_said() {
    let store = Store::new();
    store.executions("acc_1", &[good(NOW - 2), good(NOW - 1)]);
    store.gather().unwrap();
    let insert = "INSERT INTO tool_reports (execution, account, key_hash, tool, category, outcome, before, created_at)
        VALUES (?1, 'acc_1', 'k', 'tavily/search', 'search', 'failure', 'ok', 5)";
    store.sqlite.run(insert, &["exec-1".into()]);
    assert_eq!(store.gather().unwrap().taken, 1);
    for account in ["acc_1", EVERYBODY] {
        let record = store.record(account);
        let (good, bad) = record.counts();
        assert!(
            (good - 1.0).abs() < 0.01 && (bad - 1.0).abs() < 0.01,
            "{account}: {good} {bad}"
        );
        assert_eq!(
            (record.totals.succeeded, record.totals.reported_bad),
            (2, 1)
        );
    }
}

#[test]
fn an_isolate_knows_at_once_what_it_saw_itself_and_forgets_it_for_the_snapshot() {
    let store = Store::new();
    let cache = BeliefCache::default();
    let now = u64::try_from(NOW).unwrap();
    block_on(cache.refresh(&store, "acc_1", now)).unwrap();
    cache.note("acc_1", &good(NOW - 1));
    cache.note("acc_1", &bad(NOW + 5));
    let seen = |cache: &BeliefCache| {
        let view = cache.view("acc_1");
        let of = |record: Option<&Record>| {
            record.map_or((0, 0), |record| {
                (record.totals.succeeded, record.totals.failed)
            })
        };
        (of(view.shared.records.get(TOOL)), of(view.own.get(TOOL)))
    };
    assert_eq!(seen(&cache), ((1, 1), (1, 1)));
    // Another account sees what counts for everybody.
    assert_eq!(cache.view("acc_2").shared.records.len(), 1);
    store.executions("acc_1", &[good(NOW - 1)]);
    store.gather().unwrap();
    block_on(cache.refresh(&store, "acc_1", now)).unwrap();
    // The first is in the snapshot now, the second is not yet.
    assert_eq!(seen(&cache), ((1, 1), (1, 1)));
}
