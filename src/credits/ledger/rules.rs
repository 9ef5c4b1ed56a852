//! Budgets, the account's limits of pace, secrets that were replaced: how they are set, and what the object remembers of them.
//!
//! Out of scope: the decision by them ([`super::hold`]), whose they are and who may set them (`api`).

use std::collections::HashMap;

use super::pace::Paces;
use super::tally::{Spend, Tally};
use super::{Ledger, LedgerError, time, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{
    Budget, BudgetState, BudgetsGet, BudgetsPut, KeyState, KeyStateGet, Limits, LimitsGet,
    LimitsPut, LimitsView, Scope, SecretsEnd, SecretsEnded, SetBudget,
};
use crate::credits::periods::Reset;
use crate::credits::sql::{Columns, Sql, SqlError};

/// The most budgets of one origin.
pub const MAX_BUDGETS: usize = 2_000;
/// The highest limit of pace.
pub const MAX_PACE: i64 = 1_000_000_000_000;
/// The most secrets ended by one call.
const MAX_SECRETS: usize = 100;

/// What the object remembers between calls. It can be read again at any time; a call that fails forgets it.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) rules: Option<Rules>,
    pub(super) paces: Option<Paces>,
    /// What was spent by the account (no name) and by members.
    pub(super) tallies: HashMap<Option<String>, Tally>,
}

/// The rules of the account.
pub(super) struct Rules {
    pub(super) budgets: Vec<SetBudget>,
    /// In force.
    pub(super) limits: Limits,
}

/// What open holds hold: of all, of a key, of its member.
#[derive(Default, Clone, Copy)]
pub(super) struct Open {
    pub(super) count: i64,
    pub(super) count_of_key: i64,
    pub(super) all: Spend,
    pub(super) key: Spend,
    pub(super) member: Spend,
}

impl Rules {
    /// The budgets that a request of this key and member is under.
    pub(super) fn of<'r>(
        &'r self,
        key_hash: &'r str,
        member: Option<&'r str>,
    ) -> impl Iterator<Item = &'r SetBudget> {
        self.budgets
            .iter()
            .filter(move |set| match &set.budget.scope {
                Scope::Account | Scope::EachKey => true,
                Scope::EachMember => member.is_some(),
                Scope::Key(hash) => hash == key_hash,
                Scope::Member(id) => member == Some(id.as_str()),
            })
    }
}

impl SetBudget {
    /// Whose spending decides: the key's own, or that of whom the name says.
    fn whose<'a>(&self, member: Option<&'a str>) -> Whose<'a> {
        match self.budget.scope {
            Scope::Key(_) | Scope::EachKey => Whose::Key,
            Scope::Account => Whose::Sum(None),
            Scope::Member(_) | Scope::EachMember => Whose::Sum(member),
        }
    }
}

enum Whose<'a> {
    Key,
    Sum(Option<&'a str>),
}

/// For whom budgets are looked at.
pub(super) struct Spender<'a> {
    pub(super) key: &'a Tally,
    pub(super) member: Option<&'a str>,
    pub(super) open: Open,
}

impl<S: Sql> Ledger<S> {
    /// The rules: those remembered, or read.
    pub(super) fn rules<'m>(&self, known: &'m mut Option<Rules>) -> Result<&'m Rules, LedgerError> {
        let rules = match known.take() {
            Some(rules) => rules,
            None => Rules {
                budgets: self.read_budgets(None)?,
                limits: self.own_limits()?.over(self.terms.account),
            },
        };
        Ok(known.insert(rules))
    }

    /// How far a budget is used up.
    pub(super) fn budget_state(
        &self,
        set: &SetBudget,
        spender: &Spender<'_>,
        tallies: &mut HashMap<Option<String>, Tally>,
        now_ms: i64,
    ) -> Result<BudgetState, LedgerError> {
        let budget = &set.budget;
        let (tally, held) = match set.whose(spender.member) {
            Whose::Key => (*spender.key, spender.open.key),
            Whose::Sum(member) => {
                let held = match member {
                    None => spender.open.all,
                    Some(_) => spender.open.member,
                };
                (self.known_tally(tallies, member, now_ms)?, held)
            }
        };
        let spent = tally.of(budget.reset, now_ms).total(budget.include_byok)?;
        let held = held.total(budget.include_byok)?;
        Ok(BudgetState {
            remaining: budget.amount.checked_sub(spent)?.checked_sub(held)?,
            origin: set.origin.clone(),
            budget: budget.clone(),
            spent,
            held,
            resets_at: budget.reset.map(|reset| reset.next(now_ms)),
        })
    }

    /// What the account (no name) or a member spent: as remembered, or read.
    pub(super) fn known_tally(
        &self,
        tallies: &mut HashMap<Option<String>, Tally>,
        member: Option<&str>,
        now_ms: i64,
    ) -> Result<Tally, LedgerError> {
        let name = member.map(str::to_owned);
        if let Some(tally) = tallies.get(&name) {
            return Ok(*tally);
        }
        let tally = self.tally_of(member, now_ms)?;
        tallies.insert(name, tally);
        Ok(tally)
    }

    /// What open holds hold, in one look at them.
    pub(super) fn open_holds(
        &self,
        key_hash: &str,
        member: Option<&str>,
    ) -> Result<Open, LedgerError> {
        let row = self.row(
            "SELECT COUNT(*), COALESCE(SUM(key_hash = ?1), 0), COALESCE(SUM(amount), 0), COALESCE(SUM(byok), 0),
                COALESCE(SUM(IIF(key_hash = ?1, amount, 0)), 0), COALESCE(SUM(IIF(key_hash = ?1, byok, 0)), 0),
                COALESCE(SUM(IIF(member = ?2, amount, 0)), 0), COALESCE(SUM(IIF(member = ?2, byok, 0)), 0) FROM holds",
            &[key_hash.into(), member.into()],
        )?;
        let Some(mut row) = row else {
            return Ok(Open::default());
        };
        let (count, count_of_key) = (row.take()?, row.take()?);
        let mut spend = || {
            Ok::<_, SqlError>(Spend {
                charged: row.take()?,
                byok: row.take()?,
            })
        };
        Ok(Open {
            count,
            count_of_key,
            all: spend()?,
            key: spend()?,
            member: spend()?,
        })
    }

    /// Replaces the budgets of one origin: the next hold sees them.
    ///
    /// # Errors
    /// When a budget is malformed or names one of another origin, the account is not open, or the store fails.
    pub fn budgets_put(&self, request: &BudgetsPut) -> Result<Vec<SetBudget>, LedgerError> {
        word("origin", &request.origin)?;
        if request.budgets.len() > MAX_BUDGETS {
            return Err(LedgerError::Invalid(format!(
                "an origin has at most {MAX_BUDGETS} budgets"
            )));
        }
        for budget in &request.budgets {
            word("id", &budget.id)?;
            if let Scope::Key(target) | Scope::Member(target) = &budget.scope {
                word("target", target)?;
            }
            if budget.amount.is_negative() {
                return Err(LedgerError::Invalid(
                    "a budget is not below zero".to_owned(),
                ));
            }
        }
        self.memory.set(None);
        self.transaction(|| {
            self.row("SELECT 1 FROM account", &[])?
                .ok_or(LedgerError::NotOpen)?;
            self.rows(
                "DELETE FROM budgets WHERE origin = ?",
                &[request.origin.as_str().into()],
            )?;
            for budget in &request.budgets {
                let taken = self.row(
                    "SELECT 1 FROM budgets WHERE id = ?",
                    &[budget.id.as_str().into()],
                )?;
                if taken.is_some() {
                    return Err(LedgerError::IdReused);
                }
                let (kind, target) = budget.scope.words();
                self.rows(
                    "INSERT INTO budgets (id, origin, scope, target, reset, amount, include_byok) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    &[
                        budget.id.as_str().into(),
                        request.origin.as_str().into(),
                        kind.into(),
                        target.into(),
                        budget.reset.map(Reset::as_str).into(),
                        budget.amount.into(),
                        budget.include_byok.into(),
                    ],
                )?;
            }
            self.read_budgets(Some(&request.origin))
        })
    }

    /// The budgets, those of one origin or all.
    ///
    /// # Errors
    /// When the store fails.
    pub fn budgets(&self, request: &BudgetsGet) -> Result<Vec<SetBudget>, LedgerError> {
        self.read_budgets(request.origin.as_deref())
    }

    fn read_budgets(&self, origin: Option<&str>) -> Result<Vec<SetBudget>, LedgerError> {
        self.rows(
            "SELECT id, origin, scope, target, reset, amount, include_byok FROM budgets WHERE ?1 IS NULL OR origin = ?1 ORDER BY id",
            &[origin.into()],
        )?
        .into_iter()
        .map(|row| {
            let mut row = Columns::of(row);
            let (id, origin) = (row.take()?, row.take()?);
            let (kind, target): (String, String) = (row.take()?, row.take()?);
            let scope = Scope::parse(&kind, target)
                .ok_or_else(|| LedgerError::Store(format!("a budget of scope {kind}")))?;
            let reset = row.take::<Option<String>>()?.and_then(|word| Reset::parse(&word));
            let (amount, include_byok) = (row.take()?, row.take()?);
            Ok(SetBudget { origin, budget: Budget { id, scope, reset, amount, include_byok } })
        })
        .collect()
    }

    /// Sets the account's limits of pace: the next hold sees them.
    ///
    /// # Errors
    /// When a limit is malformed, the account is not open, or the store fails.
    pub fn limits_put(&self, request: &LimitsPut) -> Result<LimitsView, LedgerError> {
        check_limits(&request.limits)?;
        self.memory.set(None);
        self.row(
            "UPDATE account SET max_requests = ?, max_tokens = ?, max_concurrent = ? RETURNING id",
            &[
                request.limits.requests.into(),
                request.limits.tokens.into(),
                request.limits.concurrent.into(),
            ],
        )?
        .ok_or(LedgerError::NotOpen)?;
        self.limits(&LimitsGet {})
    }

    /// The account's limits of pace.
    ///
    /// # Errors
    /// When the account is not open or the store fails.
    pub fn limits(&self, _request: &LimitsGet) -> Result<LimitsView, LedgerError> {
        let limits = self.own_limits()?;
        Ok(LimitsView {
            limits,
            in_force: limits.over(self.terms.account),
        })
    }

    fn own_limits(&self) -> Result<Limits, LedgerError> {
        let row = self.row(
            "SELECT max_requests, max_tokens, max_concurrent FROM account",
            &[],
        )?;
        let mut row = row.ok_or(LedgerError::NotOpen)?;
        Ok(Limits {
            requests: row.take()?,
            tokens: row.take()?,
            concurrent: row.take()?,
        })
    }

    /// Everything that bounds a key.
    ///
    /// # Errors
    /// When there is no such key or the store fails.
    pub fn key_state(&self, request: &KeyStateGet, now_ms: i64) -> Result<KeyState, LedgerError> {
        let key = self
            .key_record(&request.hash)?
            .ok_or(LedgerError::KeyUnknown)?;
        let member = request.member.as_deref();
        let mut memory = self.memory.take().unwrap_or_default();
        let rules = self.rules(&mut memory.rules)?;
        let spender = Spender {
            key: &key.spent,
            member,
            open: self.open_holds(&request.hash, member)?,
        };
        let mut budgets = Vec::new();
        for set in rules.of(&request.hash, member) {
            budgets.push(self.budget_state(set, &spender, &mut memory.tallies, now_ms)?);
        }
        budgets.sort_by_key(|state| state.remaining);
        self.memory.set(Some(memory));
        let free = self.free_models(now_ms)?;
        Ok(KeyState {
            limits: key.limits.over(self.terms.key),
            key: key.view(now_ms)?,
            budgets,
            free_used: free.used,
            free_limit: Some(free.limit).filter(|limit| *limit > 0),
            granted: free.granted,
        })
    }

    /// Ends secrets: a hold that names one of them is refused from then on.
    ///
    /// # Errors
    /// When the request is malformed or the store fails.
    pub fn secrets_end(&self, request: &SecretsEnd) -> Result<SecretsEnded, LedgerError> {
        time("ends_at", request.ends_at)?;
        if request.secrets.len() > MAX_SECRETS {
            return Err(LedgerError::Invalid(format!(
                "a call ends at most {MAX_SECRETS} secrets"
            )));
        }
        self.transaction(|| {
            for secret in &request.secrets {
                word("secret", secret)?;
                self.rows(
                    "INSERT INTO ended_secrets (hash, ends_at) VALUES (?, ?)
                     ON CONFLICT (hash) DO UPDATE SET ends_at = MIN(ends_at, excluded.ends_at)",
                    &[secret.as_str().into(), request.ends_at.into()],
                )?;
            }
            Ok(SecretsEnded {
                secrets: request.secrets.len(),
            })
        })
    }

    /// What was asked of free models today, and how much may be.
    pub(super) fn free_models(&self, now_ms: i64) -> Result<Free, LedgerError> {
        let row = self.row(
            "SELECT free_day, free_used, (SELECT COALESCE(SUM(amount), 0) FROM entries WHERE kind = 'grant') +
                (SELECT COALESCE(SUM(amount), 0) FROM entries WHERE kind = 'purchase') FROM account",
            &[],
        )?;
        let mut row = row.ok_or(LedgerError::NotOpen)?;
        let (day, used): (i64, i64) = (row.take()?, row.take()?);
        let granted: Nanos = row.take()?;
        let today = Reset::Daily.start(now_ms);
        let terms = &self.terms.free;
        let is_paid = granted >= terms.paid_from;
        Ok(Free {
            // A clock that steps back stays in the newer day.
            day: today.max(day),
            used: if today > day { 0 } else { used },
            limit: if is_paid {
                terms.per_day_paid
            } else {
                terms.per_day
            },
            is_paid,
            granted,
        })
    }
}

/// Requests to free models.
pub(super) struct Free {
    pub(super) day: i64,
    pub(super) used: i64,
    pub(super) limit: i64,
    pub(super) is_paid: bool,
    pub(super) granted: Nanos,
}

/// Refuses limits that are none.
pub(super) fn check_limits(limits: &Limits) -> Result<(), LedgerError> {
    let all = [limits.requests, limits.tokens, limits.concurrent];
    if all
        .into_iter()
        .flatten()
        .all(|n| (0..=MAX_PACE).contains(&n))
    {
        return Ok(());
    }
    Err(LedgerError::Invalid(format!(
        "a limit of pace is a whole number from 0 to {MAX_PACE}"
    )))
}
