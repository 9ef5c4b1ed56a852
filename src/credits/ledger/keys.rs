//! The account's keys: who may spend, how much per period, and how much they did.
//!
//! In scope: the copy of a key that decides. Out of scope: secrets and how a request finds its account (`identity`).

use super::rules::check_limits;
use super::tally::{Spend, Spent, Tally};
use super::{Ledger, LedgerError, time, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{KeyDelete, KeyDeleted, KeyGet, KeyPut, KeyView, Limits, Refusal};
use crate::credits::periods::Reset;
use crate::credits::sql::{Columns, Sql, SqlError};

/// The columns of [`KeyRecord`], in its order.
macro_rules! key_columns {
    () => {
        "hash, name, label, disabled, deleted, spend_limit, limit_reset, keys.created_at, updated_at, last_used_at, \
         expires_at, used, keys.byok, day, used_day, byok_day, week, used_week, byok_week, month, used_month, byok_month, \
         include_byok, max_requests, max_tokens, max_concurrent"
    };
}
pub(super) use key_columns;

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
    pub(super) spent: Tally,
    pub(super) include_byok: bool,
    pub(super) limits: Limits,
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
            spent: Tally {
                ever: spend(row)?,
                day: spent(row)?,
                week: spent(row)?,
                month: spent(row)?,
            },
            include_byok: row.take()?,
            limits: Limits {
                requests: row.take()?,
                tokens: row.take()?,
                concurrent: row.take()?,
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
        let spent = self.spent.of(self.limit_reset, now_ms);
        Ok(Some(limit.checked_sub(spent.total(self.include_byok)?)?))
    }

    pub(super) fn resets_at(&self, now_ms: i64) -> Option<i64> {
        self.limit_reset.map(|reset| reset.next(now_ms))
    }

    /// Counts a settlement in every period.
    pub(super) fn count(&mut self, spend: Spend, now_ms: i64) -> Result<(), LedgerError> {
        self.spent.count(spend, now_ms)?;
        self.last_used_at = self.last_used_at.max(Some(now_ms));
        Ok(())
    }

    pub(super) fn view(self, now_ms: i64) -> Result<KeyView, LedgerError> {
        let spent = |reset| self.spent.of(Some(reset), now_ms);
        Ok(KeyView {
            limit_remaining: self
                .unspent(now_ms)?
                .map(|unspent| unspent.max(Nanos::ZERO)),
            usage: self.spent.ever.charged,
            usage_daily: spent(Reset::Daily).charged,
            usage_weekly: spent(Reset::Weekly).charged,
            usage_monthly: spent(Reset::Monthly).charged,
            byok_usage: self.spent.ever.byok,
            byok_usage_daily: spent(Reset::Daily).byok,
            byok_usage_weekly: spent(Reset::Weekly).byok,
            byok_usage_monthly: spent(Reset::Monthly).byok,
            include_byok: self.include_byok,
            limits: self.limits,
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
        check_limits(&request.limits)?;
        self.transaction(|| {
            self.row("SELECT 1 FROM account", &[])?.ok_or(LedgerError::NotOpen)?;
            if self.key_record(&request.hash)?.is_some_and(|key| key.deleted) {
                return Err(LedgerError::KeyDeleted);
            }
            self.rows(
                "INSERT INTO keys (hash, name, label, disabled, deleted, spend_limit, limit_reset, created_at, updated_at, expires_at,
                    include_byok, max_requests, max_tokens, max_concurrent)
                 VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (hash) DO UPDATE SET name = excluded.name, label = excluded.label, disabled = excluded.disabled,
                    spend_limit = excluded.spend_limit, limit_reset = excluded.limit_reset, created_at = excluded.created_at,
                    updated_at = excluded.updated_at, expires_at = excluded.expires_at, include_byok = excluded.include_byok,
                    max_requests = excluded.max_requests, max_tokens = excluded.max_tokens, max_concurrent = excluded.max_concurrent",
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
                    request.include_byok.into(),
                    request.limits.requests.into(),
                    request.limits.tokens.into(),
                    request.limits.concurrent.into(),
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

    /// Writes what the key spent, and whose it is where the request said so.
    pub(super) fn write_counters(
        &self,
        key: &KeyRecord,
        member: Option<&str>,
    ) -> Result<(), LedgerError> {
        let Tally {
            ever,
            day,
            week,
            month,
        } = &key.spent;
        let mut params = vec![key.last_used_at.into()];
        params.extend([ever.charged.into(), ever.byok.into()]);
        for period in [day, week, month] {
            let Spend { charged, byok } = period.spend;
            params.extend([period.start.into(), charged.into(), byok.into()]);
        }
        params.extend([member.into(), key.hash.as_str().into()]);
        self.rows(
            "UPDATE keys SET last_used_at = ?, used = ?, byok = ?, day = ?, used_day = ?, byok_day = ?, week = ?, used_week = ?,
                byok_week = ?, month = ?, used_month = ?, byok_month = ?, member = COALESCE(?, member)
             WHERE hash = ?",
            &params,
        )?;
        Ok(())
    }
}

fn spend(row: &mut Columns) -> Result<Spend, SqlError> {
    Ok(Spend {
        charged: row.take()?,
        byok: row.take()?,
    })
}

fn spent(row: &mut Columns) -> Result<Spent, SqlError> {
    Ok(Spent {
        start: row.take()?,
        spend: spend(row)?,
    })
}
