//! The account's keys: who may spend, how much per period, and how much they did.
//!
//! In scope: the copy of a key that decides. Out of scope: secrets and how a request finds its account (`identity`).

use super::{Ledger, LedgerError, time, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{KeyDelete, KeyDeleted, KeyGet, KeyPut, KeyView, Refusal};
use crate::credits::periods::Reset;
use crate::credits::sql::{Columns, Sql, SqlError};

/// The columns of [`KeyRecord`], in its order.
macro_rules! key_columns {
    () => {
        "hash, name, label, disabled, deleted, spend_limit, limit_reset, keys.created_at, updated_at, last_used_at, \
         expires_at, used, day, used_day, week, used_week, month, used_month"
    };
}
pub(super) use key_columns;

/// What was spent in the period that started at `start`.
#[derive(Clone, Copy)]
struct Spent {
    start: i64,
    amount: Nanos,
}

impl Spent {
    /// What of it falls in the period of `now_ms`. A clock that steps back stays in the newer period.
    fn at(self, period: Reset, now_ms: i64) -> Self {
        let start = period.start(now_ms);
        if start > self.start {
            Self {
                start,
                amount: Nanos::ZERO,
            }
        } else {
            self
        }
    }

    fn add(&mut self, period: Reset, amount: Nanos, now_ms: i64) -> Result<(), LedgerError> {
        let current = self.at(period, now_ms);
        *self = Self {
            amount: current.amount.checked_add(amount)?,
            ..current
        };
        Ok(())
    }

    /// Changes what was counted at `counted_at`, if that is the period kept here: an older one is over and kept nowhere.
    fn mend(&mut self, period: Reset, change: Nanos, counted_at: i64) -> Result<(), LedgerError> {
        if period.start(counted_at) == self.start {
            self.amount = self.amount.checked_add(change)?;
        }
        Ok(())
    }
}

/// A row of `keys`.
pub(super) struct KeyRecord {
    pub(super) hash: String,
    name: String,
    label: String,
    disabled: bool,
    deleted: bool,
    limit: Option<Nanos>,
    limit_reset: Option<Reset>,
    created_at: i64,
    updated_at: i64,
    last_used_at: Option<i64>,
    expires_at: Option<i64>,
    used: Nanos,
    day: Spent,
    week: Spent,
    month: Spent,
}

impl KeyRecord {
    pub(super) fn read(row: &mut Columns) -> Result<Self, SqlError> {
        Ok(Self {
            hash: row.take()?,
            name: row.take()?,
            label: row.take()?,
            disabled: row.take()?,
            deleted: row.take()?,
            limit: row.take()?,
            limit_reset: row
                .take::<Option<String>>()?
                .and_then(|word| Reset::parse(&word)),
            created_at: row.take()?,
            updated_at: row.take()?,
            last_used_at: row.take()?,
            expires_at: row.take()?,
            used: row.take()?,
            day: Spent {
                start: row.take()?,
                amount: row.take()?,
            },
            week: Spent {
                start: row.take()?,
                amount: row.take()?,
            },
            month: Spent {
                start: row.take()?,
                amount: row.take()?,
            },
        })
    }

    /// Why no request may use the key now, whatever it costs.
    pub(super) fn unusable(&self, now_ms: i64) -> Option<Refusal> {
        if self.deleted {
            return Some(Refusal::KeyDeleted);
        }
        if self.disabled {
            return Some(Refusal::KeyDisabled);
        }
        self.expires_at
            .filter(|expires_at| *expires_at <= now_ms)
            .map(|_| Refusal::KeyExpired)
    }

    /// What settled spend leaves of the limit; below zero when a settlement went beyond it.
    pub(super) fn unspent(&self, now_ms: i64) -> Result<Option<Nanos>, LedgerError> {
        let Some(limit) = self.limit else {
            return Ok(None);
        };
        let spent = match self.limit_reset {
            None => self.used,
            Some(Reset::Daily) => self.day.at(Reset::Daily, now_ms).amount,
            Some(Reset::Weekly) => self.week.at(Reset::Weekly, now_ms).amount,
            Some(Reset::Monthly) => self.month.at(Reset::Monthly, now_ms).amount,
        };
        Ok(Some(limit.checked_sub(spent)?))
    }

    pub(super) fn resets_at(&self, now_ms: i64) -> Option<i64> {
        self.limit_reset.map(|reset| reset.next(now_ms))
    }

    /// Counts a settlement in every period.
    pub(super) fn count(&mut self, amount: Nanos, now_ms: i64) -> Result<(), LedgerError> {
        self.used = self.used.checked_add(amount)?;
        self.day.add(Reset::Daily, amount, now_ms)?;
        self.week.add(Reset::Weekly, amount, now_ms)?;
        self.month.add(Reset::Monthly, amount, now_ms)?;
        self.last_used_at = self.last_used_at.max(Some(now_ms));
        Ok(())
    }

    /// Counts the correction of a settlement that was counted at `counted_at`, in the periods that still run or ended last.
    pub(super) fn recount(&mut self, change: Nanos, counted_at: i64) -> Result<(), LedgerError> {
        self.used = self.used.checked_add(change)?;
        self.day.mend(Reset::Daily, change, counted_at)?;
        self.week.mend(Reset::Weekly, change, counted_at)?;
        self.month.mend(Reset::Monthly, change, counted_at)
    }

    fn view(self, now_ms: i64) -> Result<KeyView, LedgerError> {
        Ok(KeyView {
            limit_remaining: self
                .unspent(now_ms)?
                .map(|unspent| unspent.max(Nanos::ZERO)),
            usage: self.used,
            usage_daily: self.day.at(Reset::Daily, now_ms).amount,
            usage_weekly: self.week.at(Reset::Weekly, now_ms).amount,
            usage_monthly: self.month.at(Reset::Monthly, now_ms).amount,
            hash: self.hash,
            name: self.name,
            label: self.label,
            disabled: self.disabled,
            deleted: self.deleted,
            limit: self.limit,
            limit_reset: self.limit_reset,
            created_at: self.created_at,
            updated_at: self.updated_at,
            last_used_at: self.last_used_at,
            expires_at: self.expires_at,
        })
    }
}

impl<S: Sql> Ledger<S> {
    /// Creates the key or replaces its settings: the next hold sees them.
    ///
    /// # Errors
    /// When the key was deleted, a setting is malformed, the account is not open, or the store fails.
    pub fn key_put(&self, request: &KeyPut, now_ms: i64) -> Result<KeyView, LedgerError> {
        word("hash", &request.hash)?;
        time("now", now_ms)?;
        time("created_at", request.created_at)?;
        request
            .expires_at
            .map_or(Ok(()), |at| time("expires_at", at))?;
        if request.name.len() > super::MAX_WORD || request.label.len() > super::MAX_WORD {
            return Err(LedgerError::Invalid(
                "the name or label is too long".to_owned(),
            ));
        }
        if request.limit.is_some_and(Nanos::is_negative) {
            return Err(LedgerError::Invalid("a limit is not below zero".to_owned()));
        }
        self.transaction(|| {
            self.row("SELECT 1 FROM account", &[])?.ok_or(LedgerError::NotOpen)?;
            if self.key_record(&request.hash)?.is_some_and(|key| key.deleted) {
                return Err(LedgerError::KeyDeleted);
            }
            self.rows(
                "INSERT INTO keys (hash, name, label, disabled, deleted, spend_limit, limit_reset, created_at, updated_at, expires_at)
                 VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?)
                 ON CONFLICT (hash) DO UPDATE SET name = excluded.name, label = excluded.label, disabled = excluded.disabled,
                    spend_limit = excluded.spend_limit, limit_reset = excluded.limit_reset, created_at = excluded.created_at,
                    updated_at = excluded.updated_at, expires_at = excluded.expires_at",
                &[
                    request.hash.as_str().into(),
                    request.name.as_str().into(),
                    request.label.as_str().into(),
                    request.disabled.into(),
                    request.limit.into(),
                    request.limit_reset.map(Reset::as_str).into(),
                    request.created_at.into(),
                    now_ms.into(),
                    request.expires_at.into(),
                ],
            )?;
            self.key_record(&request.hash)?.ok_or(LedgerError::KeyUnknown)?.view(now_ms)
        })
    }

    /// One key, also when it was deleted.
    ///
    /// # Errors
    /// When there is no such key or the store fails.
    pub fn key_get(&self, request: &KeyGet, now_ms: i64) -> Result<KeyView, LedgerError> {
        self.key_record(&request.hash)?
            .ok_or(LedgerError::KeyUnknown)?
            .view(now_ms)
    }

    /// All keys but the deleted, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keys(&self, now_ms: i64) -> Result<Vec<KeyView>, LedgerError> {
        self.rows(
            concat!(
                "SELECT ",
                key_columns!(),
                " FROM keys WHERE deleted = 0 ORDER BY created_at, hash"
            ),
            &[],
        )?
        .into_iter()
        .map(|row| KeyRecord::read(&mut Columns::of(row))?.view(now_ms))
        .collect()
    }

    /// Deletes a key for good: its next hold is refused, its open ones end as they would.
    ///
    /// # Errors
    /// When there is no such key or the store fails.
    pub fn key_delete(&self, request: &KeyDelete, now_ms: i64) -> Result<KeyDeleted, LedgerError> {
        let row = self.row(
            "UPDATE keys SET deleted = 1, updated_at = IIF(deleted = 1, updated_at, ?) WHERE hash = ? RETURNING hash",
            &[now_ms.into(), request.hash.as_str().into()],
        )?;
        Ok(KeyDeleted {
            hash: row.ok_or(LedgerError::KeyUnknown)?.take()?,
        })
    }

    pub(super) fn key_record(&self, hash: &str) -> Result<Option<KeyRecord>, LedgerError> {
        let row = self.row(
            concat!("SELECT ", key_columns!(), " FROM keys WHERE hash = ?"),
            &[hash.into()],
        )?;
        Ok(row.map(|mut row| KeyRecord::read(&mut row)).transpose()?)
    }

    pub(super) fn write_counters(&self, key: &KeyRecord) -> Result<(), LedgerError> {
        self.rows(
            "UPDATE keys SET last_used_at = ?, used = ?, day = ?, used_day = ?, week = ?, used_week = ?, month = ?, used_month = ?
             WHERE hash = ?",
            &[
                key.last_used_at.into(),
                key.used.into(),
                key.day.start.into(),
                key.day.amount.into(),
                key.week.start.into(),
                key.week.amount.into(),
                key.month.start.into(),
                key.month.amount.into(),
                key.hash.as_str().into(),
            ],
        )?;
        Ok(())
    }
}
