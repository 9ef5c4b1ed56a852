//! What somebody spent: ever, and in the running UTC day, week and month.
//!
//! A key's tally is written with each settlement. Those of the account and of a member are sums over keys, deleted ones included:
//! they cost no writes of their own, and the object remembers them while it lives.

use super::{Ledger, LedgerError};
use crate::credits::money::Nanos;
use crate::credits::ops::{SpendGet, SpendView};
use crate::credits::periods::Reset;
use crate::credits::sql::{Columns, Sql, SqlError};

/// An amount, and what the account's own provider keys were used for at list price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spend {
    pub(super) charged: Nanos,
    pub(super) byok: Nanos,
}

impl Spend {
    /// Both, or what was charged alone.
    pub(super) fn total(self, include_byok: bool) -> Result<Nanos, LedgerError> {
        if include_byok {
            Ok(self.charged.checked_add(self.byok)?)
        } else {
            Ok(self.charged)
        }
    }

    pub(super) fn plus(self, other: Self) -> Result<Self, LedgerError> {
        Ok(Self {
            charged: self.charged.checked_add(other.charged)?,
            byok: self.byok.checked_add(other.byok)?,
        })
    }

    fn read(row: &mut Columns) -> Result<Self, SqlError> {
        Ok(Self {
            charged: row.take()?,
            byok: row.take()?,
        })
    }
}

/// What was spent in the period that started at `start`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    pub(super) start: i64,
    pub(super) spend: Spend,
}

impl Spent {
    /// What of it falls in the period of `now_ms`. A clock that steps back stays in the newer period.
    fn at(self, period: Reset, now_ms: i64) -> Self {
        let start = period.start(now_ms);
        if start > self.start {
            Self {
                start,
                spend: Spend::default(),
            }
        } else {
            self
        }
    }

    fn add(&mut self, period: Reset, spend: Spend, now_ms: i64) -> Result<(), LedgerError> {
        let current = self.at(period, now_ms);
        *self = Self {
            spend: current.spend.plus(spend)?,
            ..current
        };
        Ok(())
    }

    /// Changes what was counted at `counted_at`, if that is the period kept here: an older one is over and kept nowhere.
    fn mend(&mut self, period: Reset, change: Nanos, counted_at: i64) -> Result<(), LedgerError> {
        if period.start(counted_at) == self.start {
            self.spend.charged = self.spend.charged.checked_add(change)?;
        }
        Ok(())
    }
}

/// What somebody spent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) ever: Spend,
    pub(super) day: Spent,
    pub(super) week: Spent,
    pub(super) month: Spent,
}

impl Tally {
    /// What was spent in the running period, or ever.
    pub(super) fn of(&self, reset: Option<Reset>, now_ms: i64) -> Spend {
        match reset {
            None => self.ever,
            Some(Reset::Daily) => self.day.at(Reset::Daily, now_ms).spend,
            Some(Reset::Weekly) => self.week.at(Reset::Weekly, now_ms).spend,
            Some(Reset::Monthly) => self.month.at(Reset::Monthly, now_ms).spend,
        }
    }

    /// Counts a settlement in every period.
    pub(super) fn count(&mut self, spend: Spend, now_ms: i64) -> Result<(), LedgerError> {
        self.ever = self.ever.plus(spend)?;
        self.day.add(Reset::Daily, spend, now_ms)?;
        self.week.add(Reset::Weekly, spend, now_ms)?;
        self.month.add(Reset::Monthly, spend, now_ms)
    }

    /// Counts the correction of a settlement that was counted at `counted_at`, in the periods that still run or ended last.
    pub(super) fn recount(&mut self, change: Nanos, counted_at: i64) -> Result<(), LedgerError> {
        self.ever.charged = self.ever.charged.checked_add(change)?;
        self.day.mend(Reset::Daily, change, counted_at)?;
        self.week.mend(Reset::Weekly, change, counted_at)?;
        self.month.mend(Reset::Monthly, change, counted_at)
    }
}

impl<S: Sql> Ledger<S> {
    /// What the account or a member spent.
    ///
    /// # Errors
    /// When the store fails.
    pub fn spend(&self, request: &SpendGet, now_ms: i64) -> Result<SpendView, LedgerError> {
        let tally = self.tally_of(request.member.as_deref(), now_ms)?;
        let of = |reset| {
            let Spend { charged, byok } = tally.of(reset, now_ms);
            [charged, byok]
        };
        Ok(SpendView {
            ever: of(None),
            daily: of(Some(Reset::Daily)),
            weekly: of(Some(Reset::Weekly)),
            monthly: of(Some(Reset::Monthly)),
        })
    }

    /// What all keys spent together, or those of one member.
    pub(super) fn tally_of(&self, member: Option<&str>, now_ms: i64) -> Result<Tally, LedgerError> {
        let [day, week, month] =
            [Reset::Daily, Reset::Weekly, Reset::Monthly].map(|reset| reset.start(now_ms));
        let sums = "SELECT COALESCE(SUM(used), 0), COALESCE(SUM(byok), 0),
                COALESCE(SUM(IIF(day >= ?1, used_day, 0)), 0), COALESCE(SUM(IIF(day >= ?1, byok_day, 0)), 0),
                COALESCE(SUM(IIF(week >= ?2, used_week, 0)), 0), COALESCE(SUM(IIF(week >= ?2, byok_week, 0)), 0),
                COALESCE(SUM(IIF(month >= ?3, used_month, 0)), 0), COALESCE(SUM(IIF(month >= ?3, byok_month, 0)), 0)
            FROM keys WHERE ?4 IS NULL OR member = ?4";
        let params = [day.into(), week.into(), month.into(), member.into()];
        let mut row = self
            .row(sums, &params)?
            .ok_or_else(|| LedgerError::Store("a sum returned nothing".to_owned()))?;
        let ever = Spend::read(&mut row)?;
        let mut spent = |start| {
            Ok::<_, SqlError>(Spent {
                start,
                spend: Spend::read(&mut row)?,
            })
        };
        Ok(Tally {
            ever,
            day: spent(day)?,
            week: spent(week)?,
            month: spent(month)?,
        })
    }
}
