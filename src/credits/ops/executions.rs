//! Calls about executions of tools: their begin and end, what is kept of them, guards, confirmations.
//!
//! In scope: the types on the wire. Out of scope: the state machine (`ledger::executions`), and who may set guards (`api`).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Hold, Refusal, TaskLeft};
use crate::credits::money::{Nanos, dollars};

/// What an operation does to the world.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    #[default]
    Read,
    /// It adds or changes something.
    Write,
    /// It takes something away for good.
    Destructive,
    /// It moves money.
    Money,
}

impl Effect {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Read, Self::Write, Self::Destructive, Self::Money];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
            Self::Money => "money",
        }
    }

    /// The effect of this word.
    pub fn parse(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|effect| effect.as_str() == word)
    }
}

/// What has to be confirmed before it is done. The later, the stricter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// Nothing.
    #[default]
    Never,
    /// What destroys, and what moves money.
    Destructive,
    /// Whatever is no read.
    Writes,
    /// Everything.
    Always,
}

impl Confirm {
    /// The policy of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "never" => Self::Never,
            "destructive" => Self::Destructive,
            "writes" => Self::Writes,
            "always" => Self::Always,
            _ => return None,
        })
    }

    /// Whether what has this effect has to be confirmed.
    pub fn wants(self, effect: Effect) -> bool {
        match self {
            Self::Never => false,
            Self::Destructive => matches!(effect, Effect::Destructive | Effect::Money),
            Self::Writes => effect != Effect::Read,
            Self::Always => true,
        }
    }
}

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionState {
    /// It was admitted and is perhaps sent.
    Sent,
    /// The provider works on it.
    Running,
    /// It was done.
    Succeeded,
    /// It was refused for good: the same again would be refused again.
    Failed,
    /// It certainly was not done: the same may be tried again.
    FailedClean,
    /// Nobody knows.
    Unknown,
    /// It was stopped.
    Cancelled,
}

impl ExecutionState {
    const ALL: [Self; 7] = [
        Self::Sent,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::FailedClean,
        Self::Unknown,
        Self::Cancelled,
    ];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::FailedClean => "failed_clean",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing is under way any more.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Sent | Self::Running)
    }
}

/// Asks whether an execution may be sent. Whoever is granted it sends, and tells the end with [`ToolEnd`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ToolBegin {
    /// What it may cost, for how long, and who pays. Its id is the execution's.
    pub hold: Hold,
    /// `provider/operation`.
    pub tool: String,
    /// SHA-256 of what is asked, in hex: tool, input, what is wanted of providers.
    pub fingerprint: String,
    /// The client's name for the execution, unique in the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// Sending it twice does it once: it is a read, or the provider knows keys of its own.
    #[serde(default)]
    pub resend: bool,
    /// Digests of whom it reaches, without repetition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// What the caller wants confirmed at the least.
    #[serde(default)]
    pub confirm: Confirm,
    /// What is confirmed where neither key nor account says.
    #[serde(default)]
    pub default_confirm: Confirm,
    /// SHA-256 of the confirmation's token, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<String>,
    /// SHA-256 of the token that is offered where a confirmation is wanted.
    #[serde(default)]
    pub offer: String,
    /// The composite that it is a step of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Who carries that composite on: nothing is sent for anybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The protocol that asked.
    #[serde(default)]
    pub surface: String,
    /// Nothing is written: the answer says what it would be.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer to a [`ToolBegin`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolBegun {
    /// Send it. The amount is held.
    Granted {
        /// What is left for others.
        available: Nanos,
        /// How often the same was sent lately, where a guard wants that told.
        #[serde(default)]
        repeats: i64,
        /// It was sent before, and nobody knows what became of it: send it with the same key.
        #[serde(default)]
        again: bool,
    },
    /// It came to this end before.
    Replay(Box<ExecutionView>),
    /// It is under way.
    InProgress {
        /// The execution.
        id: String,
        /// Seconds after which to ask again.
        retry_after_s: u32,
    },
    /// The idempotency key stands for something else.
    Mismatch {
        /// The execution that it stands for.
        id: String,
    },
    /// What was sent, or confirmed, was this tool: ask again with it.
    Pinned {
        /// `provider/operation`.
        tool: String,
    },
    /// Nothing is held: it has to be confirmed.
    Confirm {
        /// When the offered token ends.
        expires_at: i64,
        /// The policy, or the guard that wants it.
        reason: String,
        /// Why the token that was sent does not do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// A guard refuses.
    Guarded(Box<GuardHit>),
    /// The account, the key or a limit refuses.
    Refused(Refusal),
}

/// Tells how an execution ended. A repetition changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToolEnd {
    /// The execution.
    pub id: String,
    /// The key that pays.
    pub key_hash: String,
    /// How it stands now.
    pub state: ExecutionState,
    /// What it costs; only what succeeded does.
    #[serde(default)]
    pub charge: Nanos,
    /// What a provider key of the account's own was used for, at list price.
    #[serde(default)]
    pub byok: Nanos,
    /// The usage row.
    pub row: Box<RawValue>,
    /// The usage row where it succeeded and is not charged, because another execution of its name was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_row: Option<Box<RawValue>>,
    /// What a repetition is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<RawValue>>,
    /// Why, where it failed.
    #[serde(default)]
    pub reason: String,
    /// For how long it may run on, where it does.
    #[serde(default)]
    pub ttl_ms: i64,
}

/// What came of a [`ToolEnd`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolEnded {
    /// How the execution stands.
    pub state: ExecutionState,
    /// What was charged.
    pub charged: Nanos,
    /// The balance right after it.
    pub balance: Nanos,
}

/// Asks for one execution.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToolGet {
    /// Its id.
    pub id: String,
}

/// Asks for executions, the newest first, without their answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ToolList {
    /// Only those that began before this one.
    #[serde(default)]
    pub before: Option<String>,
    /// Only those of this key.
    #[serde(default)]
    pub key_hash: Option<String>,
    /// Only steps of this composite.
    #[serde(default)]
    pub parent: Option<String>,
    /// Only those that stand so.
    #[serde(default)]
    pub state: Option<ExecutionState>,
    /// At most so many.
    pub max: i64,
}

/// What is kept of an execution.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExecutionView {
    /// Its id.
    pub id: String,
    /// The key that asked.
    pub key_hash: String,
    /// `provider/operation`.
    pub tool: String,
    /// What it does.
    pub effect: Effect,
    /// How it stands.
    pub state: ExecutionState,
    /// When it began, unix milliseconds.
    pub began: i64,
    /// Until when it is taken to be under way.
    pub deadline: i64,
    /// When its end was told.
    pub ended: Option<i64>,
    /// What was charged.
    pub charged: Nanos,
    /// The client's name for it.
    pub idempotency_key: Option<String>,
    /// SHA-256 of what was asked, in hex.
    pub fingerprint: String,
    /// The composite that it is a step of.
    pub parent: Option<String>,
    /// The protocol that asked.
    pub surface: String,
    /// What a repetition is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<RawValue>>,
}

/// What is done about a repetition of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRepeat {
    /// It is done, and told.
    #[default]
    Warn,
    /// It has to be confirmed.
    Confirm,
    /// It is refused.
    Refuse,
}

/// How often the same may be sent, the same tool with the same input under no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeats {
    /// So often is fine.
    #[serde(default = "once")]
    pub max: i64,
    /// In so many seconds.
    pub within_s: i64,
    /// What is done beyond it.
    #[serde(default)]
    pub action: OnRepeat,
}

fn once() -> i64 {
    1
}

/// A guard over tools.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardRule {
    /// `*`, a provider's slug or `provider/operation`.
    pub tool: String,
    /// Only what has one of these effects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effects: Option<Vec<Effect>>,
    /// Nothing runs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Executions in any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<i64>,
    /// Executions in any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_day: Option<i64>,
    /// Charges in any 24 hours.
    #[serde(with = "dollars::option", skip_serializing_if = "Option::is_none")]
    pub spend_per_day: Option<Nanos>,
    /// Recipients of one execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_per_call: Option<i64>,
    /// Different recipients in any hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_per_hour: Option<i64>,
    /// Repetitions of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeats>,
}

impl GuardRule {
    /// Whether it lets nothing run, whatever was run before.
    pub fn is_off(&self) -> bool {
        self.disabled || self.calls_per_minute == Some(0) || self.calls_per_day == Some(0)
    }
}

/// What a rule that lets nothing run is about, as it travels with the records of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchedOff {
    /// Whose rule: `key` or `account`.
    pub of: String,
    /// The rule's `tool`.
    pub tool: String,
    /// The rule's `effects`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effects: Option<Vec<Effect>>,
}

/// The guards of an account or of one of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardSet {
    /// What has to be confirmed; a key's word comes before its account's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Which guards. All that fit an execution hold.
    pub rules: Vec<GuardRule>,
}

/// Why a guard refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardHit {
    /// The guard: a field of [`GuardRule`].
    pub guard: String,
    /// Whose: `key`, `account`, or `default` for what holds where neither says.
    pub of: String,
    /// The rule's `tool`.
    pub rule: String,
    /// What it allows.
    pub limit: i64,
    /// What was used of it.
    pub used: i64,
    /// What this execution needs of it.
    pub needed: i64,
    /// When the first of it is free again, unix milliseconds; absent where waiting does not help.
    pub until: Option<i64>,
}

/// Sets the guards of the account, or of a key; replaces all that were there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToolGuardsPut {
    /// The key's hash; absent for the account.
    #[serde(default)]
    pub key_hash: Option<String>,
    /// The guards; empty to have none.
    pub guards: GuardSet,
}

/// Asks for the guards of the account, or of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToolGuardsGet {
    /// The key's hash; absent for the account.
    #[serde(default)]
    pub key_hash: Option<String>,
}

/// Asks for what nobody cares for any more (the alarm): jobs, told once per [`JOB_ASK_MS`], and chains whose holder left them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToolDue {}

/// What somebody should care for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ToolsDue {
    /// Jobs to be asked about.
    pub jobs: Vec<ExecutionView>,
    /// Chains to be carried on.
    pub chains: Vec<TaskLeft>,
}

/// How long a job runs on before it is asked about by itself.
pub const JOB_ASK_MS: i64 = 600_000;

/// Forgets executions whose time is over (the alarm).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToolPrune {}

/// What is left of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolPruned {
    /// Executions forgotten.
    pub forgotten: i64,
    /// Whether more are due: call again.
    pub more: bool,
}
