//! The Durable Object shell of an account: one RPC door, operation and JSON in, JSON out; the alarm; the outbox's way to D1.
//!
//! The door is called through `entry.mjs`, because the class that `#[durable_object]` generates cannot do RPC. What the
//! operations mean is the ledger's business. A call never awaits between its reads and its writes, and every change of more
//! than one statement runs in `transactionSync`, which undoes it on an error or a panic.

use std::{
    cell::{Cell, RefCell},
    panic::AssertUnwindSafe,
    rc::Rc,
};

use wasm_bindgen::{
    JsValue,
    prelude::{ScopedClosure, wasm_bindgen},
};
use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

use super::{
    fault::Faults,
    js,
    world::{Edge, Tasks},
};
use serde_json::Value;

use crate::{
    api::{ask_about_job, carry_on, keep_notices, run_billing},
    credits::{
        ledger::{FLUSH_DELAY_MS, Ledger, MAX_FLUSH_ROWS},
        ops::{
            Call, Expire, GetSnapshot, Hold, LapseCredits, NoticesTaken, OutboxAck, OutboxFailed,
            OutboxPeek, Settle, ToolDue, ToolPrune, Void, Watch,
        },
        sql::{Row, Sql, SqlError, SqlValue},
        terms::Terms,
    },
    dialects::splice::put,
    usage::d1::{FLUSH, flush_param},
};

/// How many statements of D1 one alarm runs at the most; a longer backlog goes on in the next alarm.
const FLUSHES_PER_ALARM: usize = 8;

/// One account's object.
#[durable_object]
pub struct Account {
    state: State,
    env: Env,
    ledger: AssertUnwindSafe<RefCell<Option<Rc<Ledger<Storage>>>>>,
    /// When the alarm is known to be set; absent when that is not known. Both cells hold whole values at every await and
    /// every panic, so unwinding past them is safe.
    alarm_at: AssertUnwindSafe<Cell<Option<i64>>>,
}

impl DurableObject for Account {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            ledger: AssertUnwindSafe(RefCell::new(None)),
            alarm_at: AssertUnwindSafe(Cell::new(None)),
        }
    }

    async fn fetch(&self, _request: Request) -> Result<Response> {
        Response::error("this object speaks RPC", 404)
    }

    async fn alarm(&self) -> Result<Response> {
        self.alarm_at.set(None);
        let ledger = self.ledger()?;
        loop {
            let expired = self.ask(&ledger, &Expire {})?;
            if !expired.more {
                break;
            }
        }
        for _ in 0..FLUSHES_PER_ALARM {
            if !self.flush(&ledger).await? {
                break;
            }
        }
        self.ask(&ledger, &LapseCredits {})?;
        while self.ask(&ledger, &ToolPrune {})?.more {}
        self.hand_over(&ledger).await?;
        self.ask_about_jobs(&ledger)?;
        self.arm(&ledger)?;
        Response::empty()
    }
}

#[wasm_bindgen]
impl Account {
    /// Runs one operation.
    pub fn call(&self, op: String, json: String) -> std::result::Result<String, JsValue> {
        self.run(&op, &json).map_err(JsValue::from)
    }
}

impl Account {
    fn run(&self, op: &str, json: &str) -> Result<String> {
        super::fault::in_object(&self.env, op);
        let ledger = self.ledger()?;
        let answer = ledger.call(op, json, now());
        // The end of a request wants its row sent after the flush's delay, and nothing earlier. A hold wants its release, for
        // which an alarm that comes sooner sets the next one.
        let wants_later = matches!(op, Hold::OP | Settle::OP | Void::OP);
        if !(wants_later && self.wakes_within(FLUSH_DELAY_MS)) {
            self.arm(&ledger)?;
        }
        Ok(answer)
    }

    /// The ledger, its tables made on first use. A store that failed is asked again at the next call.
    fn ledger(&self) -> Result<Rc<Ledger<Storage>>> {
        if let Some(ledger) = &*self.ledger.borrow() {
            return Ok(Rc::clone(ledger));
        }
        let storage = self.state.storage();
        let sql = js_sys::Reflect::get(storage.as_raw(), &"sql".into())?;
        let storage = Storage { sql, storage };
        let ledger = Ledger::new(storage).map_err(|error| Error::RustError(error.to_string()))?;
        let terms = Terms::of(&|name| js::text(&self.env, name), &|problem| {
            worker::console_error!("{problem}");
        });
        let ledger = Rc::new(ledger.under(terms));
        *self.ledger.borrow_mut() = Some(Rc::clone(&ledger));
        Ok(ledger)
    }

    fn ask<C: Call>(&self, ledger: &Ledger<Storage>, call: &C) -> Result<C::Reply> {
        let failed = |error: crate::credits::ops::LedgerError| Error::RustError(error.to_string());
        let json = call.encode().map_err(failed)?;
        C::decode(&ledger.call(C::OP, &json, now())).map_err(failed)
    }

    fn wakes_within(&self, ms: i64) -> bool {
        let now = now();
        let alarm = self.alarm_at.get();
        alarm.is_some_and(|at| at > now && at <= now + ms)
    }

    /// Sets the alarm where the ledger needs an earlier one than is set.
    fn arm(&self, ledger: &Ledger<Storage>) -> Result<()> {
        let due = ledger
            .next_alarm()
            .map_err(|error| Error::RustError(error.to_string()))?;
        let Some(due) = due else {
            return Ok(());
        };
        if self
            .alarm_at
            .get()
            .is_some_and(|at| at <= due && at > now())
        {
            return Ok(());
        }
        // The write is part of this event: the runtime holds the answer back until it is durable.
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds stay far below 2^53"
        )]
        js::set_alarm(self.state.storage().as_raw(), due as f64)?;
        self.alarm_at.set(Some(due));
        Ok(())
    }

    /// Sends the oldest usage rows to D1. Answers whether there may be more.
    async fn flush(&self, ledger: &Ledger<Storage>) -> Result<bool> {
        let peek = OutboxPeek {
            max: MAX_FLUSH_ROWS,
        };
        let rows = self.ask(ledger, &peek)?;
        if rows.is_empty() {
            return Ok(false);
        }
        let param = flush_param(&rows).map_err(|error| Error::RustError(error.to_string()))?;
        match self.write_usage(&param).await {
            Ok(()) => {
                let seqs = rows.iter().map(|row| row.seq).collect();
                Ok(self.ask(ledger, &OutboxAck { seqs })?.more)
            }
            Err(error) => {
                worker::console_error!("usage rows wait in the outbox, D1 failed: {error}");
                self.ask(ledger, &OutboxFailed {})?;
                Ok(false)
            }
        }
    }

    /// Hands over what has to be told or bought because credits run low. D1 keeps it; then it is begun here, and nobody waits for it.
    async fn hand_over(&self, ledger: &Ledger<Storage>) -> Result<()> {
        let notices = self.ask(ledger, &Watch {})?;
        let Some(account) = notices.first().map(|notice| notice.account.clone()) else {
            return Ok(());
        };
        let faults = Faults::of(&self.env, None);
        let edge = Edge::new(self.env.clone(), Tasks::Alarm, faults, Rc::default());
        if let Err(error) = keep_notices(&edge, &notices).await {
            worker::console_error!("notices wait in the object, D1 failed: {error}");
            self.ask(ledger, &OutboxFailed {})?;
            return Ok(());
        }
        let ids = notices.into_iter().map(|notice| notice.id).collect();
        self.ask(ledger, &NoticesTaken { ids })?;
        wasm_bindgen_futures::spawn_local(async move {
            if let Err(error) = run_billing(&edge, Some(&account)).await {
                worker::console_error!("jobs of billing wait for the cron: {error}");
            }
        });
        Ok(())
    }

    /// Jobs of tools that nobody asked about are asked about here, chains that nobody carries on are carried on, and nobody waits for it.
    fn ask_about_jobs(&self, ledger: &Ledger<Storage>) -> Result<()> {
        let due = self.ask(ledger, &ToolDue {})?;
        if due.jobs.is_empty() && due.chains.is_empty() {
            return Ok(());
        }
        let account = self.ask(ledger, &GetSnapshot {})?.account;
        let faults = Faults::of(&self.env, None);
        let edge = Edge::new(self.env.clone(), Tasks::Alarm, faults, Rc::default());
        wasm_bindgen_futures::spawn_local(async move {
            for job in due.jobs {
                if let Err(error) = ask_about_job(&edge, &account, &job).await {
                    worker::console_error!("a job is asked about later: {error}");
                }
            }
            for chain in due.chains {
                if let Err(error) = carry_on(&edge, &account, &chain).await {
                    worker::console_error!("a chain is carried on later: {error}");
                }
            }
        });
        Ok(())
    }

    async fn write_usage(&self, param: &str) -> Result<()> {
        let database = self.env.d1("DB")?;
        let statement = database.prepare(FLUSH).bind(&[param.into()])?;
        let result = statement.run().await?;
        match result.error() {
            Some(error) => Err(Error::RustError(error)),
            None => Ok(()),
        }
    }
}

fn now() -> i64 {
    i64::try_from(js::now_ms()).unwrap_or(i64::MAX)
}

/// The object's SQL as the ledger's store.
struct Storage {
    /// A `SqlStorage`. The crate's own cursor leaves errors uncaught and crosses the border for each value.
    sql: JsValue,
    storage: worker::Storage,
}

impl Sql for Storage {
    fn exec(&self, sql: &str, params: &[SqlValue]) -> std::result::Result<Vec<Row>, SqlError> {
        let rows = js::rows(&self.sql, sql, &list(params)?).map_err(thrown)?;
        let rows: Vec<Vec<Value>> =
            crate::json::from_str(&rows).map_err(|error| SqlError(error.to_string()))?;
        let read = |row: Vec<Value>| row.into_iter().map(value).collect();
        rows.into_iter().map(read).collect()
    }

    fn transaction(&self, body: &mut dyn FnMut() -> bool) -> std::result::Result<(), SqlError> {
        let undone = Cell::new(false);
        let outcome = {
            let mut run = || {
                if body() {
                    Ok(JsValue::UNDEFINED)
                } else {
                    undone.set(true);
                    Err(JsValue::from_str("undo"))
                }
            };
            let closure = ScopedClosure::borrow_mut_assert_unwind_safe(&mut run);
            js::transaction_sync(self.storage.as_raw(), &closure)
        };
        match outcome {
            Err(error) if !undone.get() => Err(thrown(error)),
            _ => Ok(()),
        }
    }
}

/// Parameters as one list in JSON: a call across the border costs more than what it carries.
fn list(params: &[SqlValue]) -> std::result::Result<String, SqlError> {
    let mut list = Vec::with_capacity(64);
    list.push(b'[');
    for (at, param) in params.iter().enumerate() {
        if !param.in_range() {
            return Err(SqlError(
                "an integer beyond 2^53 was to be bound".to_owned(),
            ));
        }
        if at > 0 {
            list.push(b',');
        }
        match param {
            SqlValue::Int(value) => put(&mut list, value),
            SqlValue::Text(text) => put(&mut list, text),
            SqlValue::Null => put(&mut list, &()),
        }
    }
    list.push(b']');
    String::from_utf8(list).map_err(|error| SqlError(error.to_string()))
}

fn value(value: Value) -> std::result::Result<SqlValue, SqlError> {
    let whole = value.as_i64().map(SqlValue::Int);
    match value {
        Value::Null => Ok(SqlValue::Null),
        Value::String(text) => Ok(SqlValue::Text(text)),
        _ => whole
            .filter(SqlValue::in_range)
            .ok_or_else(|| SqlError("the store returned a value of another type".to_owned())),
    }
}

fn thrown(error: JsValue) -> SqlError {
    SqlError(Error::from(error).to_string())
}
