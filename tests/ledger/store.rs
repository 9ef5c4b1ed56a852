//! SQLite in the shape of the platform: the object's SQL with a fuse that crashes it, and D1.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use patchbay::credits::ledger::Ledger;
use patchbay::credits::money::{MAX_NANOS, Nanos};
use patchbay::credits::ops::{
    Call, Finished, Hold, HoldReply, KeyGet, KeyPut, KeyView, LedgerError, OutboxRow, Settle, Void,
};
use patchbay::credits::sql::{Row, Sql, SqlError, SqlValue};
use patchbay::credits::terms::Terms;
use patchbay::usage::UsageRow;
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde_json::value::RawValue;

static STORES: AtomicU64 = AtomicU64::new(0);

/// The object's storage: a database file that outlives a crash.
pub struct Store {
    path: PathBuf,
    connection: RefCell<Option<Connection>>,
    /// Statements (and commits) left before the process dies.
    fuse: Cell<Option<u32>>,
    statements: Cell<u32>,
    crashes: Cell<u32>,
}

impl Store {
    pub fn new() -> Self {
        let name = format!(
            "patchbay-ledger-{}-{}.sqlite",
            std::process::id(),
            STORES.fetch_add(1, Ordering::Relaxed)
        );
        let store = Self {
            path: std::env::temp_dir().join(name),
            connection: RefCell::new(None),
            fuse: Cell::new(None),
            statements: Cell::new(0),
            crashes: Cell::new(0),
        };
        store.reopen();
        store
    }

    /// The process starts again on what the disk holds.
    pub fn reopen(&self) {
        let connection = Connection::open(&self.path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
            .unwrap();
        connection
            .set_limit(Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100)
            .unwrap();
        self.fuse.set(None);
        *self.connection.borrow_mut() = Some(connection);
    }

    /// The process dies at the n-th statement or commit from now (0: the next).
    pub fn crash_at(&self, nth: u32) {
        self.fuse.set(Some(nth));
    }

    pub fn is_dead(&self) -> bool {
        self.connection.borrow().is_none()
    }

    pub fn disarm(&self) {
        self.fuse.set(None);
    }

    pub fn crashes(&self) -> u32 {
        self.crashes.get()
    }

    /// Rows that statements have changed.
    pub fn changes(&self) -> i64 {
        self.int("SELECT total_changes()")
    }

    pub fn statements(&self) -> u32 {
        self.statements.get()
    }

    /// One integer, for checks behind the ledger's back.
    pub fn int(&self, sql: &str) -> i64 {
        let connection = self.connection.borrow();
        connection
            .as_ref()
            .unwrap()
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    /// One text, for checks behind the ledger's back.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let connection = self.connection.borrow();
        let mut statement = connection.as_ref().unwrap().prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// How SQLite would run a statement.
    pub fn plan(&self, sql: &str) -> String {
        let connection = self.connection.borrow();
        let mut statement = connection
            .as_ref()
            .unwrap()
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let params = vec![Value::Null; statement.parameter_count()];
        let lines = statement
            .query_map(params_from_iter(params), |row| row.get::<_, String>(3))
            .unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    fn burn(&self) -> Result<(), SqlError> {
        self.statements.set(self.statements.get() + 1);
        if let Some(left) = self.fuse.get() {
            if left == 0 {
                // Closing the file undoes the open transaction, as recovery does after a kill.
                *self.connection.borrow_mut() = None;
                self.crashes.set(self.crashes.get() + 1);
            } else {
                self.fuse.set(Some(left - 1));
            }
        }
        if self.is_dead() {
            Err(SqlError("the process died".to_owned()))
        } else {
            Ok(())
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        *self.connection.borrow_mut() = None;
        let _ = std::fs::remove_file(&self.path);
    }
}

fn fault(error: &rusqlite::Error) -> SqlError {
    SqlError(error.to_string())
}

/// A value as it arrives through JavaScript: every number is a float.
fn bind(value: &SqlValue) -> Value {
    match value {
        SqlValue::Int(n) => {
            assert!(n.abs() <= MAX_NANOS, "{n} would be rounded by the platform");
            #[expect(
                clippy::cast_precision_loss,
                reason = "this is what the platform does; the range was checked"
            )]
            Value::Real(*n as f64)
        }
        SqlValue::Text(text) => Value::Text(text.clone()),
        SqlValue::Null => Value::Null,
    }
}

fn read(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(n) => {
            assert!(n.abs() <= MAX_NANOS, "{n} would be rounded by the platform");
            SqlValue::Int(n)
        }
        ValueRef::Text(text) => SqlValue::Text(String::from_utf8(text.to_vec()).unwrap()),
        ValueRef::Real(x) => panic!("a float where money or time is kept: {x}"),
        ValueRef::Blob(_) => panic!("no blobs in the ledger"),
    }
}

impl Sql for Store {
    fn exec(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        self.burn()?;
        for word in [
            "BEGIN TRANSACTION",
            "BEGIN IMMEDIATE",
            "SAVEPOINT",
            "COMMIT",
            "ROLLBACK",
        ] {
            assert!(!sql.contains(word), "the platform refuses {word} in SQL");
        }
        let connection = self.connection.borrow();
        let connection = connection.as_ref().unwrap();
        let mut statement = connection.prepare_cached(sql).map_err(|e| fault(&e))?;
        let width = statement.column_count();
        let mut rows = statement
            .query(params_from_iter(params.iter().map(bind)))
            .map_err(|e| fault(&e))?;
        let mut out = Vec::new();
        while let Some(row) = rows.next().map_err(|e| fault(&e))? {
            out.push((0..width).map(|i| read(row.get_ref(i).unwrap())).collect());
        }
        Ok(out)
    }

    fn transaction(&self, body: &mut dyn FnMut() -> bool) -> Result<(), SqlError> {
        let run = |sql: &str| {
            let connection = self.connection.borrow();
            let connection = connection
                .as_ref()
                .ok_or_else(|| SqlError("dead".to_owned()))?;
            connection.execute_batch(sql).map_err(|e| fault(&e))
        };
        run("BEGIN IMMEDIATE")?;
        let commit = body();
        if self.is_dead() {
            return Err(SqlError("the process died".to_owned()));
        }
        if !commit {
            return run("ROLLBACK");
        }
        // Death before the commit loses the work; death after it loses only the answer.
        self.burn()?;
        run("COMMIT")?;
        self.burn()
    }
}

/// D1 with the product's migrations.
pub struct D1(pub Connection);

impl D1 {
    pub fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .set_limit(Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100)
            .unwrap();
        connection
            .set_limit(Limit::SQLITE_LIMIT_FUNCTION_ARG, 32)
            .unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let files = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let migration = std::fs::read_to_string(path).unwrap();
            connection.execute_batch(&migration).unwrap();
        }
        Self(connection)
    }

    /// Runs the flush as the object's alarm does.
    pub fn flush(&self, rows: &[OutboxRow]) -> usize {
        let param = patchbay::usage::d1::flush_param(rows).unwrap();
        self.0.execute(patchbay::usage::d1::FLUSH, [param]).unwrap()
    }

    /// `(id, status, cost)` of every row.
    pub fn rows(&self) -> Vec<(String, String, i64)> {
        let mut statement = self
            .0
            .prepare("SELECT id, status, cost FROM usage ORDER BY id")
            .unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    }
}

/// The account as the Worker sees it: every call goes through the JSON door, as over RPC.
pub struct Account {
    pub store: Rc<Store>,
    ledger: RefCell<Ledger<Rc<Store>>>,
    terms: Terms,
    pub now: Cell<i64>,
}

/// A Wednesday in the middle of a month: 2026-07-15 12:00 UTC.
pub const NOON: i64 = 1_784_116_800_000;
pub const MINUTE: i64 = 60_000;
pub const DAY: i64 = 86_400_000;

impl Account {
    /// An open account with one unlimited key `k` and this balance.
    pub fn with(balance: i64) -> Self {
        let account = Self::empty();
        account.ok(&patchbay::credits::ops::Open {
            account: "acme".to_owned(),
        });
        account.ok(&key("k"));
        if balance > 0 {
            account.ok(&grant("g0", balance));
        }
        account
    }

    pub fn empty() -> Self {
        Self::under(Terms::default())
    }

    /// The same in a deployment of these terms.
    pub fn under(terms: Terms) -> Self {
        let store = Rc::new(Store::new());
        let ledger = Ledger::new(Rc::clone(&store)).unwrap();
        Self {
            store,
            ledger: RefCell::new(ledger.under(terms.clone())),
            terms,
            now: Cell::new(NOON),
        }
    }

    /// The object wakes up again after a crash.
    pub fn restart(&self) {
        self.store.reopen();
        let ledger = Ledger::new(Rc::clone(&self.store)).unwrap();
        *self.ledger.borrow_mut() = ledger.under(self.terms.clone());
    }

    /// Calls an operation at the account's present time.
    pub fn call<C: Call>(&self, request: &C) -> Result<C::Reply, LedgerError> {
        let json = request.encode().unwrap();
        let answer = self.ledger.borrow().call(C::OP, &json, self.now.get());
        C::decode(&answer)
    }

    pub fn ok<C: Call>(&self, request: &C) -> C::Reply {
        match self.call(request) {
            Ok(reply) => reply,
            Err(error) => panic!("{}: {error}", C::OP),
        }
    }

    pub fn later(&self, ms: i64) {
        self.now.set(self.now.get() + ms);
    }

    pub fn snapshot(&self) -> patchbay::credits::ops::Snapshot {
        self.ok(&patchbay::credits::ops::GetSnapshot {})
    }

    pub fn available(&self) -> i64 {
        self.snapshot().available.get()
    }

    pub fn key(&self, hash: &str) -> KeyView {
        self.ok(&KeyGet {
            hash: hash.to_owned(),
        })
    }

    pub fn key_views(&self) -> Vec<KeyView> {
        self.ok(&patchbay::credits::ops::Keys {})
    }

    pub fn peek(&self) -> Vec<OutboxRow> {
        self.ok(&patchbay::credits::ops::OutboxPeek { max: 500 })
    }

    pub fn hold(&self, id: &str, amount: i64) -> HoldReply {
        self.ok(&hold(id, "k", amount))
    }

    pub fn settle(&self, id: &str, amount: i64) -> Finished {
        self.ok(&settle(id, amount))
    }
}

pub fn nanos(amount: i64) -> Nanos {
    Nanos::new(amount).unwrap()
}

pub fn usage_row(note: &str) -> Box<RawValue> {
    UsageRow {
        model: "m".to_owned(),
        request_id: note.to_owned(),
        ..UsageRow::default()
    }
    .into_raw()
    .unwrap()
}

pub fn grant(id: &str, amount: i64) -> patchbay::credits::ops::Grant {
    patchbay::credits::ops::Grant {
        id: id.to_owned(),
        amount: nanos(amount),
        note: String::new(),
    }
}

pub fn key(hash: &str) -> KeyPut {
    KeyPut {
        hash: hash.to_owned(),
        name: "laptop".to_owned(),
        label: "sk-pb-v1-abc…def".to_owned(),
        created_at: NOON,
        ..KeyPut::default()
    }
}

pub fn hold(id: &str, key_hash: &str, amount: i64) -> Hold {
    Hold {
        id: id.to_owned(),
        key_hash: key_hash.to_owned(),
        amount: nanos(amount),
        ttl_ms: 10 * MINUTE,
        row: usage_row("held"),
        ..Hold::default()
    }
}

pub fn settle(id: &str, amount: i64) -> Settle {
    Settle {
        id: id.to_owned(),
        amount: nanos(amount),
        row: usage_row("settled"),
        ..Settle::default()
    }
}

pub fn void(id: &str) -> Void {
    Void {
        id: id.to_owned(),
        key_hash: "k".to_owned(),
        reason: "upstream failed".to_owned(),
        row: usage_row("voided"),
    }
}

pub fn granted(reply: &HoldReply) -> bool {
    matches!(reply, HoldReply::Granted { .. })
}
