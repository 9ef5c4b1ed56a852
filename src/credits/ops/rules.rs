//! Calls about rules of spending: budgets, limits of pace, a key's whole state, the end of a replaced secret.
//!
//! In scope: the types on the wire. Out of scope: what decides by them (`ledger::hold`), and who may set them (`api`).

use serde::{Deserialize, Serialize};

use super::KeyView;
use crate::credits::{
    money::{MoneyError, Nanos},
    periods::Reset,
};

/// Whose spending a budget bounds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The account's as a whole.
    Account,
    /// Each key's by itself.
    EachKey,
    /// Each member's by themselves, over all their keys.
    EachMember,
    /// This key's: SHA-256 of its first secret, in hex.
    Key(String),
    /// This member's, over all their keys.
    Member(String),
}

impl Scope {
    /// The words in the store: kind and target.
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Account => ("account", ""),
            Self::EachKey => ("each_key", ""),
            Self::EachMember => ("each_member", ""),
            Self::Key(hash) => ("key", hash),
            Self::Member(id) => ("member", id),
        }
    }

    /// The scope of these words.
    pub fn parse(kind: &str, target: String) -> Option<Self> {
        Some(match kind {
            "account" => Self::Account,
            "each_key" => Self::EachKey,
            "each_member" => Self::EachMember,
            "key" => Self::Key(target),
            "member" => Self::Member(target),
            _ => return None,
        })
    }
}

/// The most that somebody may spend per period, or ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Its own name, unique within the account.
    pub id: String,
    /// Whose spending.
    pub scope: Scope,
    /// The period; absent for a lifetime.
    #[serde(default)]
    pub reset: Option<Reset>,
    /// The most.
    pub amount: Nanos,
    /// What provider keys of the account's own are used for counts too, at list price.
    #[serde(default)]
    pub include_byok: bool,
}

/// Replaces all budgets of one origin: those left out are gone, an empty list deletes them all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BudgetsPut {
    /// Who set them: a guardrail's id, or [`ACCOUNT_BUDGETS`] and a period.
    pub origin: String,
    /// What counts from now on. What was spent before in the period counts too.
    pub budgets: Vec<Budget>,
}

/// What the origins of the budgets begin with that an account gave itself (`/budgets`).
pub const ACCOUNT_BUDGETS: &str = "account:";

/// Asks for budgets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BudgetsGet {
    /// Those of one origin; all of them where absent.
    #[serde(default)]
    pub origin: Option<String>,
}

/// A budget and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetBudget {
    /// Who set it.
    pub origin: String,
    /// What it bounds.
    pub budget: Budget,
}

/// How far a budget is used up, for one key and its member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetState {
    /// Who set it.
    pub origin: String,
    /// What it bounds.
    pub budget: Budget,
    /// Settled in the running period.
    pub spent: Nanos,
    /// Held by requests in flight.
    pub held: Nanos,
    /// What is left, holds taken off; below zero when a settlement went beyond it.
    pub remaining: Nanos,
    /// When it starts again.
    pub resets_at: Option<i64>,
}

/// Limits of pace. Absent: what the deployment says. Zero: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Requests in any 60 seconds.
    pub requests: Option<i64>,
    /// Tokens, prompt and answer, in any 60 seconds: estimated at the hold, exact from the settlement on.
    pub tokens: Option<i64>,
    /// Requests at the same time.
    pub concurrent: Option<i64>,
}

impl Limits {
    /// What is in force where `default` is what the deployment says; zero is no limit any more.
    #[must_use]
    pub fn over(self, default: Self) -> Self {
        let set = |own: Option<i64>, usual: Option<i64>| own.or(usual).filter(|n| *n > 0);
        Self {
            requests: set(self.requests, default.requests),
            tokens: set(self.tokens, default.tokens),
            concurrent: set(self.concurrent, default.concurrent),
        }
    }
}

/// Sets the account's limits of pace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LimitsPut {
    /// The limits; they replace what was set before.
    pub limits: Limits,
}

/// Asks for the account's limits of pace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LimitsGet {}

/// The account's limits of pace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsView {
    /// As set.
    pub limits: Limits,
    /// As in force, the deployment's for what is not set.
    pub in_force: Limits,
}

/// Why a request comes too soon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooSoon {
    /// Whether the limit is the key's own; else it is the account's.
    pub of_key: bool,
    /// What is limited.
    pub what: Pace,
    /// The limit.
    pub limit: i64,
    /// What is left of it right now.
    pub remaining: i64,
    /// What the request needs of it.
    pub needed: i64,
    /// When it fits; absent where it never does, or where that depends on other requests' ends.
    pub fits_at: Option<i64>,
    /// Seconds from now until it may fit; absent where it never does.
    pub retry_after_s: Option<u32>,
}

/// What a limit of pace counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Requests at the same time.
    Concurrent,
    /// Requests to free models per minute.
    FreePerMinute,
    /// Requests to free models per UTC day.
    FreePerDay,
    /// The same for an account that has bought enough.
    FreePerDayPaid,
}

/// Asks what an account or one of its members spent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SpendGet {
    /// The member; the account where absent.
    #[serde(default)]
    pub member: Option<String>,
}

/// What was spent, and what own provider keys were used for, at list price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpendView {
    /// Ever.
    pub ever: [Nanos; 2],
    /// This UTC day.
    pub daily: [Nanos; 2],
    /// This UTC week.
    pub weekly: [Nanos; 2],
    /// This UTC month.
    pub monthly: [Nanos; 2],
}

impl SpendView {
    /// What a budget of this period counts.
    ///
    /// # Errors
    /// When the sum leaves the range.
    pub fn of(&self, reset: Option<Reset>, include_byok: bool) -> Result<Nanos, MoneyError> {
        let [charged, byok] = match reset {
            None => self.ever,
            Some(Reset::Daily) => self.daily,
            Some(Reset::Weekly) => self.weekly,
            Some(Reset::Monthly) => self.monthly,
        };
        if include_byok {
            charged.checked_add(byok)
        } else {
            Ok(charged)
        }
    }
}

/// Asks for everything that bounds a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyStateGet {
    /// The key.
    pub hash: String,
    /// Whose key it is.
    #[serde(default)]
    pub member: Option<String>,
}

/// Everything that bounds a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    /// Its settings and counters.
    pub key: KeyView,
    /// Every budget that it is under, the one with the least left first.
    pub budgets: Vec<BudgetState>,
    /// The key's limits of pace in force.
    pub limits: Limits,
    /// Requests to free models of the account today.
    pub free_used: i64,
    /// The most of them; absent for no limit.
    pub free_limit: Option<i64>,
    /// Everything that was ever bought or granted.
    pub granted: Nanos,
}

/// Ends secrets of a key that were replaced.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretsEnd {
    /// SHA-256 of the secrets, in hex. One that ends earlier already stays as it is.
    pub secrets: Vec<String>,
    /// From then on they are refused.
    pub ends_at: i64,
}

/// How many secrets are ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsEnded {
    /// Of the call.
    pub secrets: usize,
}
