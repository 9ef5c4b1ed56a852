//! The ledger of one account: credits, holds, keys and the outbox, in the Account object's SQL.
//!
//! In scope: every rule about who may spend what, and what is written down about it. Out of scope: prices
//! ([`super::pricing`]), the platform (`edge`), where the rows go (`usage`). The vocabulary is `TigerBeetle`'s: hold → settle |
//! void | expire (<https://docs.tigerbeetle.com/coding/two-phase-transfers/>).
//!
//! # What always holds
//!
//! 1. **Balance = Σ entries.** Entries are never updated or deleted (triggers refuse it); each carries the balance right
//!    after it, so the balance is that of the last entry and any prefix of the history can be checked by itself.
//! 2. **Available = balance − Σ open holds**, and a hold is granted only when it fits: *admission* never takes `available`
//!    below zero. A settlement may, because it charges the real cost even beyond its hold: the work was done. An account in
//!    debt is refused every further hold, one of amount zero included.
//! 3. **A request ends once.** Its hold is deleted in the transaction that writes exactly one of the entries `settle`, `void`,
//!    `expire` (amount zero for the last two) and exactly one outbox row. A unique index over these kinds refuses a second.
//! 4. **A usage row is its entry.** Id, key, status, cost and time of a row sent to D1 are read from the entry, not from what
//!    the relay wrote beside it.
//! 5. **A key's counters = Σ its settlements** of the period, each as corrected, written in the same transaction.
//! 6. **A wrong price is mended by a further entry** (`correction`), never by a change: what a request costs is its settlement and
//!    its corrections together. A correction counts in the key's period that its settlement counted in, not in today's.
//! 7. **What a purchase has lost is a function of the facts** about its refunds and disputes ([`funds`]), so that their order and
//!    repetition change nothing. What expires is never more than what is left ([`lots`]).
//! 8. **Repeats are harmless.** Ids are the caller's. A repeated grant or finish answers what the first did; the same id with
//!    another amount or key is [`LedgerError::IdReused`]. A repeated open hold is granted again without a second
//!    reservation; one whose request has ended is refused as `finished`, because going on would be unpaid work. A refusal
//!    writes nothing, so it is not remembered: asking again asks anew.
//!
//! # Why it is atomic
//!
//! The object runs one call at a time, and a call never awaits: no other request runs between what it reads and what it
//! writes. So N concurrent requests on the last cent are N calls in some order, and each sees the holds of those before it.
//! A crash, a panic or a failing store can still stop a call between two statements, so every operation that changes
//! anything is either a single statement or one transaction. A caller that got no answer repeats its call: either nothing
//! happened or rule 8 applies. The answer leaves the object only after its writes are durable (the platform's output gate).
//!
//! # A settlement after the hold expired
//!
//! An expired hold means that nobody reported in time, not that nothing was delivered: the Worker may have been cut off
//! with the answer half way. So `expire` frees the reservation with a zero entry, and a settlement that still arrives
//! charges the real cost once, as a `late_settle` entry beside the `expire` entry. There is no deadline: the cost is real.
//!
//! The usage row must stay one. If the expired row is still in the outbox, the late one takes its place. If it has left,
//! perhaps while D1 is writing it, a second row with the same id follows, and D1's rule decides (`usage::d1`): a row of status
//! expired yields to any other, nothing else is overwritten. That rule gives the same result in either order of arrival
//! and under any repetition. The late row has a `seq` of its own, so an acknowledgement of the expired row that was under way cannot
//! remove it.
//!
//! A `void` needs no such care: it changes no money, and the first result stands. A void for an id that was never
//! held is recorded, though: it overtook its hold, which is refused when it arrives instead of leaking.

mod books;
mod closing;
mod correction;
mod executions;
mod export;
mod finish;
mod funds;
mod guards;
mod hold;
mod keys;
mod lots;
mod notes;
mod outbox;
mod pace;
mod rules;
mod schema;
mod tally;
mod tasks;
mod watch;

use std::{cell::Cell, panic::AssertUnwindSafe};

use serde::Serialize;
use serde_json::value::RawValue;

use super::money::{MAX_NANOS, Nanos};
use super::ops::{
    AddCredits, BudgetsGet, BudgetsPut, Call, Correct, Empty, Ended, Entries, Envelope, Expire,
    FundingGet, FundingPut, GetSnapshot, Grant, Hold, KeyDelete, KeyGet, KeyPut, KeyStateGet, Keys,
    LapseCredits, LedgerError, LimitsGet, LimitsPut, NextAlarm, NoticesTaken, Open, OutboxAck,
    OutboxFailed, OutboxPeek, ReadBooks, ReadFunds, ReadTable, RefundCredits, Reverse, SecretsEnd,
    Settle, Snapshot, SpendGet, SumUp, TaskGet, TaskList, TaskPut, ToolBegin, ToolDue, ToolEnd,
    ToolGet, ToolGuardsGet, ToolGuardsPut, ToolList, ToolPrune, TopUpFailed, Void, Watch,
};
use super::ops::{NotePut, NoteTake};
use super::sql::{Columns, Row, Sql, SqlValue};
use super::terms::Terms;
use rules::Memory;

pub use books::MAX_BOOK_PAGE;
pub use correction::MAX_ENTRIES;
pub use executions::{CONFIRMATION_LIFE_MS, EXECUTION_LIFE_MS, MAX_ANSWER_BYTES};
pub use export::{MAX_TABLE_PAGE, OBJECT_TABLES};
pub use finish::EXPIRE_BATCH;
pub use hold::{MAX_HOLD_TTL_MS, MAX_TOKENS};
pub use lots::LAPSE_RETRY_MS;
pub use notes::MAX_NOTE_BYTES;
pub use outbox::{FLUSH_DELAY_MS, MAX_FLUSH_BYTES, MAX_FLUSH_ROWS, MAX_RETRY_DELAY_MS};
pub use pace::WINDOW_MS;
pub use rules::{MAX_BUDGETS, MAX_PACE};
pub use tasks::{MAX_TASK_BYTES, MAX_TASK_PAGE, MAX_TASKS, TASK_MS};

/// Longest id, hash or name.
const MAX_WORD: usize = 256;
/// Longest usage row. Beyond it one D1 statement would carry too few rows.
pub const MAX_ROW_BYTES: usize = 65_536;

/// The ledger over its store.
pub struct Ledger<S> {
    sql: S,
    terms: Terms,
    /// Taken while a call works on it: one that fails or panics leaves none behind, and what is not remembered is read again.
    memory: AssertUnwindSafe<Cell<Option<Box<Memory>>>>,
}

impl<S: Sql> Ledger<S> {
    /// The ledger of this store, its tables brought up to date.
    ///
    /// # Errors
    /// When the store fails.
    pub fn new(sql: S) -> Result<Self, LedgerError> {
        let ledger = Self {
            sql,
            terms: Terms::default(),
            memory: AssertUnwindSafe(Cell::new(None)),
        };
        ledger.migrate()?;
        Ok(ledger)
    }

    /// The ledger under the deployment's terms.
    #[must_use]
    pub fn under(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }

    /// The one door: runs the operation named `op` on its JSON request at `now_ms` (the object's clock) and answers in JSON.
    pub fn call(&self, op: &str, json: &str, now_ms: i64) -> String {
        match op {
            Open::OP => answer(json, |request: &Open| self.open(request, now_ms)),
            GetSnapshot::OP => answer(json, |_: &GetSnapshot| self.snapshot()),
            Grant::OP => answer(json, |request: &Grant| self.grant(request, now_ms)),
            Hold::OP => answer(json, |request: &Hold| self.hold(request, now_ms)),
            Settle::OP => answer(json, |request: &Settle| self.settle(request, now_ms)),
            Void::OP => answer(json, |request: &Void| self.void(request, now_ms)),
            Correct::OP => answer(json, |request: &Correct| self.correct(request, now_ms)),
            Entries::OP => answer(json, |request: &Entries| self.entries(request)),
            Expire::OP => answer(json, |_: &Expire| self.expire(now_ms)),
            KeyPut::OP => answer(json, |request: &KeyPut| self.key_put(request, now_ms)),
            KeyGet::OP => answer(json, |request: &KeyGet| self.key_get(request, now_ms)),
            Keys::OP => answer(json, |_: &Keys| self.keys(now_ms)),
            KeyDelete::OP => answer(json, |request: &KeyDelete| self.key_delete(request, now_ms)),
            KeyStateGet::OP => answer(json, |request: &KeyStateGet| {
                self.key_state(request, now_ms)
            }),
            SpendGet::OP => answer(json, |request: &SpendGet| self.spend(request, now_ms)),
            SecretsEnd::OP => answer(json, |request: &SecretsEnd| self.secrets_end(request)),
            BudgetsPut::OP => answer(json, |request: &BudgetsPut| self.budgets_put(request)),
            BudgetsGet::OP => answer(json, |request: &BudgetsGet| self.budgets(request)),
            LimitsPut::OP => answer(json, |request: &LimitsPut| self.limits_put(request)),
            LimitsGet::OP => answer(json, |request: &LimitsGet| self.limits(request)),
            OutboxPeek::OP => answer(json, |request: &OutboxPeek| self.outbox_peek(request)),
            OutboxAck::OP => answer(json, |request: &OutboxAck| self.outbox_ack(request)),
            OutboxFailed::OP => answer(json, |_: &OutboxFailed| self.outbox_failed(now_ms)),
            ReadBooks::OP => answer(json, |request: &ReadBooks| self.read_books(request, now_ms)),
            SumUp::OP => answer(json, |_: &SumUp| self.sum_up()),
            Empty::OP => answer(json, |_: &Empty| self.empty()),
            ReadTable::OP => answer(json, |request| self.read_table(request)),
            Ended::OP => answer(json, |request: &Ended| self.ended(request)),
            ReadFunds::OP => answer(json, |request: &ReadFunds| self.read_funds(request)),
            NotePut::OP => answer(json, |request| self.note_put(request, now_ms)),
            NoteTake::OP => answer(json, |request| self.note_take(request, now_ms)),
            NextAlarm::OP => answer(json, |_: &NextAlarm| self.next_alarm()),
            _ => self.call_funds(op, json, now_ms),
        }
    }

    /// The operations on credits that come and go.
    fn call_funds(&self, op: &str, json: &str, now_ms: i64) -> String {
        match op {
            AddCredits::OP => answer(json, |request| self.add_credits(request, now_ms)),
            Reverse::OP => answer(json, |request| self.reverse(request, now_ms)),
            RefundCredits::OP => answer(json, |request| self.refund_credits(request, now_ms)),
            LapseCredits::OP => answer(json, |request| self.lapse_credits(request, now_ms)),
            FundingPut::OP => answer(json, |request| self.funding_put(request, now_ms)),
            FundingGet::OP => answer(json, |_: &FundingGet| self.funding_get(now_ms)),
            TopUpFailed::OP => answer(json, |request| self.top_up_failed(request, now_ms)),
            Watch::OP => answer(json, |_: &Watch| self.watch(now_ms)),
            NoticesTaken::OP => answer(json, |request| self.notices_taken(request)),
            _ => self.call_tools(op, json, now_ms),
        }
    }

    /// The operations on executions of tools, and on tasks.
    fn call_tools(&self, op: &str, json: &str, now_ms: i64) -> String {
        match op {
            ToolBegin::OP => answer(json, |request| self.tool_begin(request, now_ms)),
            ToolEnd::OP => answer(json, |request| self.tool_end(request, now_ms)),
            ToolGet::OP => answer(json, |request| self.tool_get(request, now_ms)),
            ToolList::OP => answer(json, |request| self.tool_list(request, now_ms)),
            ToolGuardsPut::OP => answer(json, |request| self.tool_guards_put(request)),
            ToolGuardsGet::OP => answer(json, |request| self.tool_guards(request)),
            ToolDue::OP => answer(json, |_: &ToolDue| self.tool_due(now_ms)),
            ToolPrune::OP => answer(json, |_: &ToolPrune| self.tool_prune(now_ms)),
            TaskPut::OP => answer(json, |request| self.task_put(request, now_ms)),
            TaskGet::OP => answer(json, |request| self.task_get(request)),
            TaskList::OP => answer(json, |request| self.task_list(request)),
            _ => render::<()>(Err(LedgerError::UnknownOp(op.to_owned()))),
        }
    }

    /// Opens the account. A repeat changes nothing.
    ///
    /// # Errors
    /// When the object already belongs to another account.
    pub fn open(&self, request: &Open, now_ms: i64) -> Result<Snapshot, LedgerError> {
        word("account", &request.account)?;
        self.rows(
            "INSERT INTO account (one, id, created_at) VALUES (1, ?, ?) ON CONFLICT DO NOTHING",
            &[request.account.as_str().into(), now_ms.into()],
        )?;
        let snapshot = self.snapshot()?;
        if snapshot.account == request.account {
            Ok(snapshot)
        } else {
            Err(LedgerError::Invalid(
                "this object belongs to another account".to_owned(),
            ))
        }
    }

    /// The account's totals.
    ///
    /// # Errors
    /// When the account is not open or the store fails.
    pub fn snapshot(&self) -> Result<Snapshot, LedgerError> {
        let mut row = self
            .row(
                "SELECT id, created_at,
                    (SELECT balance FROM entries ORDER BY seq DESC LIMIT 1),
                    (SELECT COALESCE(SUM(amount), 0) FROM holds),
                    (SELECT COALESCE(SUM(amount), 0) FROM entries WHERE kind IN
                        ('grant', 'purchase', 'coupon', 'refund', 'refund_undone', 'dispute', 'dispute_won', 'lapse')),
                    (SELECT COALESCE(SUM(amount), 0) FROM entries WHERE kind = 'purchase'),
                    (SELECT COUNT(*) FROM holds),
                    (SELECT COUNT(*) FROM outbox)
                FROM account",
                &[],
            )?
            .ok_or(LedgerError::NotOpen)?;
        let (account, created_at) = (row.take()?, row.take()?);
        let balance = row.take::<Option<Nanos>>()?.unwrap_or_default();
        let (held, granted): (Nanos, Nanos) = (row.take()?, row.take()?);
        let purchased = row.take()?;
        Ok(Snapshot {
            account,
            created_at,
            balance,
            held,
            available: balance.checked_sub(held)?,
            granted,
            purchased,
            charged: granted.checked_sub(balance)?,
            open_holds: row.take()?,
            unsent_rows: row.take()?,
        })
    }

    /// Appends an entry and returns its place.
    fn enter(&self, entry: &Entry<'_>) -> Result<i64, LedgerError> {
        let row = self.row(
            "INSERT INTO entries (id, kind, amount, balance, held, key_hash, at, note, began, tokens, free, byok, waived)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
            &[
                entry.id.into(),
                entry.kind.into(),
                entry.amount.into(),
                entry.balance.into(),
                entry.held.into(),
                entry.key_hash.into(),
                entry.at.into(),
                entry.note.into(),
                entry.facts.began.into(),
                entry.facts.tokens.into(),
                entry.facts.free.into(),
                entry.facts.byok.into(),
                entry.facts.waived.into(),
            ],
        )?;
        Ok(row
            .ok_or_else(|| LedgerError::Store("an insert returned nothing".to_owned()))?
            .take()?)
    }

    fn balance(&self) -> Result<Nanos, LedgerError> {
        let row = self.row("SELECT balance FROM entries ORDER BY seq DESC LIMIT 1", &[])?;
        Ok(row.map_or(Ok(Nanos::ZERO), |mut row| row.take())?)
    }

    fn rows(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>, LedgerError> {
        // Beyond this the platform would round in silence.
        if !params.iter().all(SqlValue::in_range) {
            return Err(LedgerError::OutOfRange);
        }
        Ok(self.sql.exec(sql, params)?)
    }

    fn row(&self, sql: &str, params: &[SqlValue]) -> Result<Option<Columns>, LedgerError> {
        Ok(self.rows(sql, params)?.into_iter().next().map(Columns::of))
    }

    /// Runs `body` as one transaction: an error undoes it.
    fn transaction<T>(&self, body: impl Fn() -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let mut result = None;
        self.sql.transaction(&mut || {
            let outcome = body();
            let commit = outcome.is_ok();
            result = Some(outcome);
            commit
        })?;
        result.unwrap_or_else(|| Err(LedgerError::Store("a transaction did not run".to_owned())))
    }
}

/// A line of the ledger about to be written.
struct Entry<'a> {
    id: &'a str,
    kind: &'a str,
    amount: Nanos,
    balance: Nanos,
    held: Option<Nanos>,
    key_hash: Option<&'a str>,
    at: i64,
    note: Option<&'a str>,
    facts: Facts,
}

/// What an entry says of its request beside the money.
#[derive(Clone, Copy, Default)]
struct Facts {
    /// When it was admitted.
    began: Option<i64>,
    /// What it took; the estimate, where nobody said.
    tokens: Option<i64>,
    /// It asked free models.
    free: Option<bool>,
    /// What the account's own provider keys were used for.
    byok: Option<Nanos>,
    /// The fee for it that the month's allowance covered.
    waived: Option<Nanos>,
}

fn answer<C: Call>(json: &str, run: impl FnOnce(&C) -> Result<C::Reply, LedgerError>) -> String {
    let request = crate::json::from_str(json)
        .map_err(|error| LedgerError::Invalid(format!("{}: {error}", C::OP)));
    render(request.and_then(|request| run(&request)))
}

fn render<T: Serialize>(result: Result<T, LedgerError>) -> String {
    let envelope = match result {
        Ok(reply) => Envelope::Ok(reply),
        Err(error) => Envelope::Error(error),
    };
    // Replies are plain structs: writing them cannot fail, and a caller would read this as a failure it may repeat.
    serde_json::to_string(&envelope).unwrap_or_else(|_| {
        r#"{"error":{"code":"store","message":"unwritable answer"}}"#.to_owned()
    })
}

fn word(what: &str, text: &str) -> Result<(), LedgerError> {
    if text.is_empty() || text.len() > MAX_WORD {
        return Err(LedgerError::Invalid(format!(
            "{what} has 1 to {MAX_WORD} bytes"
        )));
    }
    Ok(())
}

fn time(what: &str, ms: i64) -> Result<(), LedgerError> {
    if (0..=MAX_NANOS).contains(&ms) {
        Ok(())
    } else {
        Err(LedgerError::Invalid(format!(
            "{what} is no time in unix milliseconds"
        )))
    }
}

fn usage_row(row: &RawValue) -> Result<&str, LedgerError> {
    let text = row.get();
    if !text.starts_with('{') || text.len() > MAX_ROW_BYTES {
        return Err(LedgerError::Invalid(format!(
            "a usage row is a JSON object of at most {MAX_ROW_BYTES} bytes"
        )));
    }
    Ok(text)
}
