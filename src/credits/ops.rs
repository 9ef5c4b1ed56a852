//! The calls that an Account object answers: one request and one reply type per operation, shared by both ends.
//!
//! In scope: the wire between the Worker and the object (`call(op, json) -> json`).
//! Out of scope: what an operation does ([`super::ledger`]) and how the call travels (`edge`).
//! Times are unix milliseconds on the object's own clock; amounts are integers of nano-dollars.

mod books;
mod executions;
mod funds;
mod notes;
mod rules;
mod tasks;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::money::{MoneyError, Nanos};
use super::periods::Reset;
use super::sql::SqlError;

pub use books::{
    BookEnd, BookEntry, BookFund, BookHold, BookLot, BookPage, Emptied, Empty, Ended, FreeCount,
    KeyCounters, MonthSum, ReadBooks, ReadFunds, ReadTable, SumUp, SumsUp, TableRow,
};
pub use executions::{
    Confirm, Effect, ExecutionState, ExecutionView, GuardHit, GuardRule, GuardSet, JOB_ASK_MS,
    OnRepeat, Repeats, SwitchedOff, ToolBegin, ToolBegun, ToolDue, ToolEnd, ToolEnded, ToolGet,
    ToolGuardsGet, ToolGuardsPut, ToolList, ToolPrune, ToolPruned, ToolsDue,
};
pub use funds::{
    AddCredits, AutoTopUp, Fund, Funding, FundingGet, FundingPut, LapseCredits, Lapsed, Notice,
    NoticeKind, NoticesLeft, NoticesTaken, RefundCredits, Reversal, Reverse, Reversed, TopUpFailed,
    Watch,
};
pub use notes::{NotePut, NoteTake};
pub use rules::{
    ACCOUNT_BUDGETS, Budget, BudgetState, BudgetsGet, BudgetsPut, KeyState, KeyStateGet, Limits,
    LimitsGet, LimitsPut, LimitsView, Pace, Scope, SecretsEnd, SecretsEnded, SetBudget, SpendGet,
    SpendView, TooSoon,
};
pub use tasks::{Lease, TaskGet, TaskKept, TaskLeft, TaskList, TaskPage, TaskPut};

/// An operation: its name on the wire, its request (the implementing type) and its reply.
pub trait Call: Serialize + DeserializeOwned {
    /// The name.
    const OP: &'static str;
    /// What it answers.
    type Reply: Serialize + DeserializeOwned;

    /// The JSON to pass with [`Call::OP`].
    ///
    /// # Errors
    /// Never for the types of this module; serde's signature.
    fn encode(&self) -> Result<String, LedgerError> {
        serde_json::to_string(self).map_err(|error| LedgerError::Invalid(error.to_string()))
    }

    /// Reads the object's answer.
    ///
    /// # Errors
    /// The ledger's own error, or [`LedgerError::Invalid`] for text that is no answer.
    fn decode(json: &str) -> Result<Self::Reply, LedgerError> {
        match crate::json::from_str(json) {
            Ok(Envelope::Ok(reply)) => Ok(reply),
            Ok(Envelope::Error(error)) => Err(error),
            Err(error) => Err(LedgerError::Invalid(format!(
                "unreadable answer of {}: {error}",
                Self::OP
            ))),
        }
    }
}

/// An answer on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Envelope<T> {
    Ok(T),
    Error(LedgerError),
}

/// Why an operation failed. A refused hold is not a failure: see [`HoldReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", content = "message", rename_all = "snake_case")]
pub enum LedgerError {
    /// The request is malformed: the caller's mistake.
    Invalid(String),
    /// No such operation.
    UnknownOp(String),
    /// The account was never opened.
    NotOpen,
    /// The id was used before with another amount or key.
    IdReused,
    /// Nothing was ever held under this id.
    UnknownHold,
    /// No request was settled under this id.
    NotSettled,
    /// No such purchase, or its credits have not come.
    UnknownPurchase,
    /// No such key.
    KeyUnknown,
    /// The key was deleted; deletion is final.
    KeyDeleted,
    /// An amount or a total would leave ±2^53 nano-dollars.
    OutOfRange,
    /// The store failed; nothing was changed and repeating is safe.
    Store(String),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "invalid ledger request: {why}"),
            Self::UnknownOp(op) => write!(f, "no ledger operation is named {op}"),
            Self::NotOpen => f.write_str("the account is not open"),
            Self::IdReused => f.write_str("the id was used before with another amount or key"),
            Self::UnknownHold => f.write_str("nothing was held under this id"),
            Self::NotSettled => f.write_str("no request was settled under this id"),
            Self::UnknownPurchase => f.write_str("no such purchase, or it is not paid"),
            Self::KeyUnknown => f.write_str("no such key"),
            Self::KeyDeleted => f.write_str("the key was deleted"),
            Self::OutOfRange => f.write_str("amount out of range"),
            Self::Store(why) => write!(f, "the ledger's store failed: {why}"),
        }
    }
}

impl std::error::Error for LedgerError {}

impl From<SqlError> for LedgerError {
    fn from(error: SqlError) -> Self {
        Self::Store(error.0)
    }
}

impl From<MoneyError> for LedgerError {
    fn from(_: MoneyError) -> Self {
        Self::OutOfRange
    }
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Charged.
    Settled,
    /// Released by the caller, free.
    Voided,
    /// Released by time, free so far: a settlement that comes late is still charged.
    Expired,
}

impl Outcome {
    /// The word on the wire and in the outbox.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Voided => "voided",
            Self::Expired => "expired",
        }
    }

    /// The outcome of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Settled, Self::Voided, Self::Expired]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

macro_rules! calls {
    ($($op:literal: $request:ty => $reply:ty;)*) => {
        $(impl Call for $request {
            const OP: &'static str = $op;
            type Reply = $reply;
        })*
    };
}

calls! {
    "open": Open => Snapshot;
    "snapshot": GetSnapshot => Snapshot;
    "grant": Grant => Granted;
    "hold": Hold => HoldReply;
    "settle": Settle => Finished;
    "void": Void => Finished;
    "correct": Correct => Corrected;
    "entries": Entries => Vec<EntryView>;
    "expire": Expire => Expired;
    "key_put": KeyPut => KeyView;
    "key_get": KeyGet => KeyView;
    "keys": Keys => Vec<KeyView>;
    "key_delete": KeyDelete => KeyDeleted;
    "key_state": KeyStateGet => KeyState;
    "secrets_end": SecretsEnd => SecretsEnded;
    "budgets_put": BudgetsPut => Vec<SetBudget>;
    "budgets": BudgetsGet => Vec<SetBudget>;
    "spend": SpendGet => SpendView;
    "limits_put": LimitsPut => LimitsView;
    "limits": LimitsGet => LimitsView;
    "outbox_peek": OutboxPeek => Vec<OutboxRow>;
    "outbox_ack": OutboxAck => OutboxLeft;
    "outbox_failed": OutboxFailed => OutboxLeft;
    "read_books": ReadBooks => BookPage;
    "read_funds": ReadFunds => Vec<BookFund>;
    "ended": Ended => Vec<String>;
    "sum_up": SumUp => SumsUp;
    "empty": Empty => Emptied;
    "read_table": ReadTable => Vec<TableRow>;
    "note_put": NotePut => ();
    "note_take": NoteTake => Option<String>;
    "task_put": TaskPut => TaskKept;
    "task_get": TaskGet => Option<String>;
    "task_list": TaskList => TaskPage;
    "next_alarm": NextAlarm => Option<i64>;
    "tool_begin": ToolBegin => ToolBegun;
    "tool_end": ToolEnd => ToolEnded;
    "tool_get": ToolGet => Option<ExecutionView>;
    "tool_list": ToolList => Vec<ExecutionView>;
    "tool_guards_put": ToolGuardsPut => GuardSet;
    "tool_guards": ToolGuardsGet => GuardSet;
    "tool_due": ToolDue => ToolsDue;
    "tool_prune": ToolPrune => ToolPruned;
}

/// Opens the account, or does nothing when it is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open {
    /// The account's id: the object's name.
    pub account: String,
}

/// Asks for the account's totals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetSnapshot {}

/// The account's totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The account's id.
    pub account: String,
    /// When it was opened.
    pub created_at: i64,
    /// Sum of all entries.
    pub balance: Nanos,
    /// Sum of the open holds.
    pub held: Nanos,
    /// `balance − held`: what a new hold may take.
    pub available: Nanos,
    /// All credits that ever came: grants, purchases and coupons, less what was refunded, is disputed or expired.
    pub granted: Nanos,
    /// The purchases of them.
    pub purchased: Nanos,
    /// Everything ever charged: `granted − balance`.
    pub charged: Nanos,
    /// Number of open holds.
    pub open_holds: i64,
    /// Usage rows that D1 has not confirmed yet.
    pub unsent_rows: i64,
}

/// Adds credits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// Chosen by the caller; a repeat changes nothing.
    pub id: String,
    /// Above zero.
    pub amount: Nanos,
    /// Why, for the operator.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A grant as entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The amount.
    pub amount: Nanos,
    /// The balance right after it.
    pub balance: Nanos,
    /// When.
    pub at: i64,
}

/// Reserves an amount for one client request, whatever the number of upstream attempts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Hold {
    /// The generation id.
    pub id: String,
    /// SHA-256 of the key, in hex.
    pub key_hash: String,
    /// What to reserve; zero for free models, which still need a usable key and no debt.
    pub amount: Nanos,
    /// After this time the hold is released by itself.
    pub ttl_ms: i64,
    /// What is known of the usage row so far, for the case that nobody ever settles.
    pub row: Box<RawValue>,
    /// SHA-256 of the secret that was sent, in hex, where the key has had more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Whose key it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Estimated tokens, prompt and answer.
    #[serde(default)]
    pub tokens: i64,
    /// What provider keys of the account's own may be used for, at list price.
    #[serde(default)]
    pub byok: Nanos,
    /// The part of the amount that is the operator's fee for that, which an allowance may cover.
    #[serde(default)]
    pub byok_fee: Nanos,
    /// Only free models may serve.
    #[serde(default)]
    pub free: bool,
}

/// The answer to a [`Hold`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReply {
    /// The amount is reserved.
    Granted {
        /// What is left for other holds.
        available: Nanos,
    },
    /// Nothing is reserved, and nothing was written.
    Refused(Refusal),
}

/// Why a hold was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// The account cannot cover the amount.
    InsufficientCredits {
        /// What it can cover; below zero when the account is in debt.
        available: Nanos,
        /// It could if requests in flight did not hold the rest.
        in_flight: bool,
    },
    /// The balance covers the amount, but requests in flight may hold only a part of it at a time.
    InFlightBudget {
        /// The most that they may hold together.
        budget: Nanos,
        /// What they hold.
        held: Nanos,
        /// The amount alone is beyond the budget.
        too_heavy: bool,
    },
    /// A budget cannot cover the amount.
    Budget(Box<BudgetState>),
    /// A limit of pace is reached.
    TooSoon(TooSoon),
    /// The secret was replaced by another, and its time is over.
    SecretReplaced,
    /// The key's own limit cannot cover the amount.
    KeyLimit {
        /// What it can cover, open holds taken off.
        remaining: Nanos,
        /// When the limit starts again, if it does.
        resets_at: Option<i64>,
    },
    /// No such key in this account.
    KeyUnknown,
    /// The key is disabled.
    KeyDisabled,
    /// The key was deleted.
    KeyDeleted,
    /// The key's time is over.
    KeyExpired,
    /// The id's request has already ended: going on would be unpaid work.
    Finished {
        /// How it ended.
        outcome: Outcome,
    },
}

/// Charges what a request really cost and releases its hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Settle {
    /// The hold's id.
    pub id: String,
    /// The real cost, also where it exceeds the hold.
    pub amount: Nanos,
    /// The usage row.
    pub row: Box<RawValue>,
    /// Tokens used, prompt and answer.
    #[serde(default)]
    pub tokens: i64,
    /// What a provider key of the account's own was used for, at list price.
    #[serde(default)]
    pub byok: Nanos,
    /// The part of the amount that is the operator's fee for that: what the month's allowance covers of it is not charged.
    #[serde(default)]
    pub byok_fee: Nanos,
}

/// Releases a hold without a charge.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Void {
    /// The hold's id.
    pub id: String,
    /// The key that the hold names, for a void that overtakes its hold.
    pub key_hash: String,
    /// Why, for the operator.
    pub reason: String,
    /// The usage row.
    pub row: Box<RawValue>,
}

/// How a request ended in the ledger: the first result, however often it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
    /// The amount taken off the balance.
    pub charged: Nanos,
    /// The balance right after it.
    pub balance: Nanos,
    /// When.
    pub at: i64,
}

/// Says what a settled request should have cost: the price was wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Correct {
    /// The generation id.
    pub id: String,
    /// What it should cost; not below zero.
    pub cost: Nanos,
    /// Why; with the id it names the correction, and a repeat changes nothing.
    pub reason: String,
}

/// A correction as entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// What the request cost before it.
    pub before: Nanos,
    /// What it cost right after it.
    pub cost: Nanos,
    /// The balance right after it.
    pub balance: Nanos,
    /// When.
    pub at: i64,
}

/// Asks for the account's entries, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entries {
    /// Only those before this place.
    #[serde(default)]
    pub before: Option<i64>,
    /// At most so many.
    pub max: i64,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryView {
    /// Its place.
    pub seq: i64,
    /// The id of the generation, or of the credits that came or went.
    pub id: String,
    /// `settle`, `void`, `expire`, `late_settle` or `correction`; `grant`, `purchase`, `coupon`, `refund`, `refund_undone`, `dispute`,
    /// `dispute_won` or `lapse`.
    pub kind: String,
    /// What it adds to the balance.
    pub amount: Nanos,
    /// The balance right after it.
    pub balance: Nanos,
    /// What was held.
    pub held: Option<Nanos>,
    /// The key that paid.
    pub key_hash: Option<String>,
    /// When.
    pub at: i64,
    /// Why, where somebody said.
    pub note: Option<String>,
}

/// Releases the holds whose time is over (the alarm).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expire {}

/// What [`Expire`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Holds released.
    pub released: usize,
    /// Whether more are due: call again.
    pub more: bool,
}

/// Creates a key or replaces its settings; its counters stay.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KeyPut {
    /// SHA-256 of the secret, in hex.
    pub hash: String,
    /// The owner's name for it.
    pub name: String,
    /// The masked secret.
    pub label: String,
    /// Whether holds are refused.
    #[serde(default)]
    pub disabled: bool,
    /// The most it may spend per period (or ever).
    #[serde(default)]
    pub limit: Option<Nanos>,
    /// The period; absent for a lifetime limit.
    #[serde(default)]
    pub limit_reset: Option<Reset>,
    /// When it was made.
    pub created_at: i64,
    /// When it ends.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// What provider keys of the account's own are used for counts towards the limit too, at list price.
    #[serde(default)]
    pub include_byok: bool,
    /// Its limits of pace.
    #[serde(default)]
    pub limits: Limits,
}

/// Asks for one key, deleted ones included.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyGet {
    /// SHA-256 of the secret, in hex.
    pub hash: String,
}

/// Asks for all keys but the deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Keys {}

/// Deletes a key for good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyDelete {
    /// SHA-256 of the secret, in hex.
    pub hash: String,
}

/// The key is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDeleted {
    /// Its hash.
    pub hash: String,
}

/// A key with what it spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// SHA-256 of the secret, in hex.
    pub hash: String,
    /// The owner's name for it.
    pub name: String,
    /// The masked secret.
    pub label: String,
    /// Whether holds are refused.
    pub disabled: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The most it may spend per period (or ever).
    pub limit: Option<Nanos>,
    /// What is left of the limit, settled spend taken off, never below zero.
    pub limit_remaining: Option<Nanos>,
    /// The limit's period.
    pub limit_reset: Option<Reset>,
    /// Spent ever.
    pub usage: Nanos,
    /// Spent this UTC day.
    pub usage_daily: Nanos,
    /// Spent this UTC week.
    pub usage_weekly: Nanos,
    /// Spent this UTC month.
    pub usage_monthly: Nanos,
    /// What provider keys of the account's own were used for ever, at list price.
    pub byok_usage: Nanos,
    /// The same this UTC day.
    pub byok_usage_daily: Nanos,
    /// The same this UTC week.
    pub byok_usage_weekly: Nanos,
    /// The same this UTC month.
    pub byok_usage_monthly: Nanos,
    /// Whether that counts towards the limit too.
    pub include_byok: bool,
    /// Limits of pace, as set.
    pub limits: Limits,
    /// When it was made.
    pub created_at: i64,
    /// When its settings last changed.
    pub updated_at: i64,
    /// When it last paid.
    pub last_used_at: Option<i64>,
    /// When it ends.
    pub expires_at: Option<i64>,
}

/// Asks for the oldest usage rows that D1 has not confirmed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutboxPeek {
    /// At most so many (and never more than one D1 statement carries).
    pub max: i64,
}

/// A usage row on its way to D1: what the ledger knows, around what the relay wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Its place, for [`OutboxAck`].
    pub seq: i64,
    /// The generation id.
    pub id: String,
    /// The account.
    pub account: String,
    /// The key that paid.
    pub key_hash: String,
    /// How the request ended.
    pub status: Outcome,
    /// What it cost.
    pub cost: Nanos,
    /// When it ended.
    pub finished_at: i64,
    /// The row as the relay wrote it.
    pub row: Box<RawValue>,
}

/// D1 has these rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutboxAck {
    /// Their [`OutboxRow::seq`].
    pub seqs: Vec<i64>,
}

/// D1 refused or did not answer: wait longer before the next try.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutboxFailed {}

/// What is left in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxLeft {
    /// Whether rows are waiting.
    pub more: bool,
}

/// Asks when the object has to wake up by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NextAlarm {}
