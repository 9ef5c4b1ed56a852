//! What happens when credits run low: the owners are told, or credits are bought.
//!
//! A charge only lowers the balance; the object's alarm, which follows each charge within a second, looks whether that crossed a
//! threshold. What is to be told or bought becomes a notice in the same transaction that remembers the crossing, so that each
//! crossing leads to one notice, whatever crashes. Whoever takes a notice keeps it (`api::billing`), then it goes from here.
//!
//! At most one automatic purchase is under way. It ends when its credits come (`funds`) or when it fails, which stops further
//! ones until the owners set them anew.

use super::{Ledger, LedgerError, time, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{
    AutoTopUp, Funding, FundingPut, Notice, NoticeKind, NoticesLeft, NoticesTaken, TopUpFailed,
};
use crate::credits::periods::Reset;
use crate::credits::sql::{Columns, Sql};

/// The most notices handed over at once.
const MAX_NOTICES: i64 = 20;

/// The row of `funding`.
struct State {
    low_balance: Option<Nanos>,
    low_told: bool,
    auto: Option<AutoTopUp>,
    stopped: Option<String>,
    capped_month: Option<i64>,
}

impl<S: Sql> Ledger<S> {
    /// Sets the thresholds. A stop of automatic purchases ends.
    ///
    /// # Errors
    /// When an amount is not above zero.
    pub fn funding_put(&self, request: &FundingPut, now_ms: i64) -> Result<Funding, LedgerError> {
        time("now", now_ms)?;
        let auto = request.auto_top_up.as_ref();
        let amounts = [
            request.low_balance,
            auto.map(|auto| auto.threshold),
            auto.map(|auto| auto.amount),
            auto.and_then(|auto| auto.monthly_cap),
        ];
        if amounts
            .into_iter()
            .flatten()
            .any(|amount| amount <= Nanos::ZERO)
        {
            return Err(LedgerError::Invalid(
                "thresholds and amounts are above zero".to_owned(),
            ));
        }
        self.transaction(|| {
            self.row("SELECT 1 FROM account", &[])?.ok_or(LedgerError::NotOpen)?;
            self.rows(
                "INSERT INTO funding (one, low_balance, auto_threshold, auto_amount, auto_cap, watch_at) VALUES (1, ?, ?, ?, ?, ?)
                 ON CONFLICT (one) DO UPDATE SET
                    low_told = low_told AND low_balance IS excluded.low_balance, low_balance = excluded.low_balance,
                    auto_threshold = excluded.auto_threshold, auto_amount = excluded.auto_amount, auto_cap = excluded.auto_cap,
                    stopped = NULL, capped_month = NULL, watch_at = excluded.watch_at",
                &[
                    request.low_balance.into(),
                    auto.map(|auto| auto.threshold).into(),
                    auto.map(|auto| auto.amount).into(),
                    auto.and_then(|auto| auto.monthly_cap).into(),
                    now_ms.into(),
                ],
            )?;
            self.funding_get(now_ms)
        })
    }

    /// The thresholds and the state of automatic purchases.
    ///
    /// # Errors
    /// When the store fails.
    pub fn funding_get(&self, now_ms: i64) -> Result<Funding, LedgerError> {
        let state = self.funding()?;
        let month = self.bought_since(Reset::Monthly.start(now_ms))?;
        let pending = self.row("SELECT id FROM top_ups WHERE state = 'pending'", &[])?;
        let pending = pending.map(|mut row| row.take()).transpose()?;
        Ok(match state {
            Some(state) => Funding {
                low_balance: state.low_balance,
                auto_top_up: state.auto,
                stopped: state.stopped,
                pending,
                month,
            },
            None => Funding {
                pending,
                month,
                ..Funding::default()
            },
        })
    }

    /// An automatic purchase failed: further ones stop, and the owners are told. One that was paid after all stays paid.
    ///
    /// # Errors
    /// When there was no such purchase.
    pub fn top_up_failed(
        &self,
        request: &TopUpFailed,
        now_ms: i64,
    ) -> Result<Funding, LedgerError> {
        word("reason", &request.reason)?;
        time("now", now_ms)?;
        self.transaction(|| {
            let row = self.row(
                "SELECT amount, state FROM top_ups WHERE id = ?",
                &[request.id.as_str().into()],
            )?;
            let mut row = row.ok_or(LedgerError::UnknownPurchase)?;
            let (amount, state): (Nanos, String) = (row.take()?, row.take()?);
            if state == "pending" {
                self.rows(
                    "UPDATE top_ups SET state = 'failed' WHERE id = ?",
                    &[request.id.as_str().into()],
                )?;
                self.rows(
                    "UPDATE funding SET stopped = ?",
                    &[request.reason.as_str().into()],
                )?;
                let id = format!("{}-failed", request.id);
                let notice = (
                    NoticeKind::AutoTopUpFailed,
                    amount,
                    Some(request.reason.as_str()),
                );
                self.notice(&id, notice, now_ms)?;
            }
            self.funding_get(now_ms)
        })
    }

    /// Looks at the balance, and answers the notices that wait, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn watch(&self, now_ms: i64) -> Result<Vec<Notice>, LedgerError> {
        time("now", now_ms)?;
        if let Some(state) = self.funding()? {
            let balance = self.balance()?;
            let low = state.low_balance.is_some_and(|low| balance < low);
            // A month that is known to be full is not looked at again.
            let full = state.capped_month == Some(Reset::Monthly.start(now_ms));
            let buys = state
                .auto
                .as_ref()
                .is_some_and(|auto| state.stopped.is_none() && !full && balance < auto.threshold);
            let due = self.row("SELECT 1 FROM funding WHERE watch_at IS NOT NULL", &[])?;
            if low != state.low_told || buys || due.is_some() {
                self.transaction(|| self.crossed(&state, (low, buys), now_ms))?;
            }
        }
        self.rows(
            "SELECT notices.id, kind, account.id, amount, balance, reason, at FROM notices CROSS JOIN account
             ORDER BY at, notices.id LIMIT ?",
            &[MAX_NOTICES.into()],
        )?
        .into_iter()
        .map(read_notice)
        .collect()
    }

    fn crossed(
        &self,
        state: &State,
        (low, buys): (bool, bool),
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        if let Some(threshold) = state.low_balance.filter(|_| low && !state.low_told) {
            let last = self.row("SELECT COALESCE(MAX(seq), 0) FROM entries", &[])?;
            let last: i64 = last.map_or(Ok(0), |mut row| row.take())?;
            let notice = (NoticeKind::LowBalance, threshold, None);
            // The entry that crossed it names the notice; it does not tell a further change of the threshold apart, nor need it.
            self.notice(&format!("low-{last}-{}", threshold.get()), notice, now_ms)?;
        }
        self.rows(
            "UPDATE funding SET low_told = ?, watch_at = NULL",
            &[low.into()],
        )?;
        let pending = self.row("SELECT 1 FROM top_ups WHERE state = 'pending'", &[])?;
        let Some(auto) = state.auto.as_ref().filter(|_| buys && pending.is_none()) else {
            return Ok(());
        };
        let month = Reset::Monthly.start(now_ms);
        let would_be = self.bought_since(month)?.checked_add(auto.amount)?;
        if let Some(cap) = auto.monthly_cap.filter(|cap| would_be > *cap) {
            self.rows("UPDATE funding SET capped_month = ?", &[month.into()])?;
            let notice = (NoticeKind::AutoTopUpCapped, cap, None);
            return self.notice(&format!("capped-{now_ms}"), notice, now_ms);
        }
        let id = self.row(
            "SELECT 'topup_' || account.id || '_' || (1 + (SELECT COUNT(*) FROM top_ups)) FROM account",
            &[],
        )?;
        let id: String = id.ok_or(LedgerError::NotOpen)?.take()?;
        self.rows(
            "INSERT INTO top_ups (id, amount, state, at) VALUES (?, ?, 'pending', ?)",
            &[id.as_str().into(), auto.amount.into(), now_ms.into()],
        )?;
        self.notice(&id, (NoticeKind::AutoTopUp, auto.amount, None), now_ms)
    }

    /// Forgets notices that somebody else keeps now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notices_taken(&self, request: &NoticesTaken) -> Result<NoticesLeft, LedgerError> {
        let ids = serde_json::to_string(&request.ids)
            .map_err(|error| LedgerError::Invalid(error.to_string()))?;
        self.rows(
            "DELETE FROM notices WHERE id IN (SELECT value FROM json_each(?))",
            &[ids.as_str().into()],
        )?;
        Ok(NoticesLeft {
            more: self.row("SELECT 1 FROM notices LIMIT 1", &[])?.is_some(),
        })
    }

    /// The credits of an automatic purchase have come.
    pub(super) fn top_up_paid(&self, id: &str) -> Result<(), LedgerError> {
        self.rows(
            "UPDATE top_ups SET state = 'paid' WHERE id = ?",
            &[id.into()],
        )?;
        Ok(())
    }

    /// The balance changed by something else than a charge: the alarm has to look.
    pub(super) fn wants_watching(&self, now_ms: i64) -> Result<(), LedgerError> {
        self.rows("UPDATE funding SET watch_at = ?", &[now_ms.into()])?;
        Ok(())
    }

    fn notice(
        &self,
        id: &str,
        (kind, amount, reason): (NoticeKind, Nanos, Option<&str>),
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        let balance = self.balance()?;
        self.rows(
            "INSERT INTO notices (id, kind, amount, balance, reason, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            &[
                id.into(),
                kind_word(kind).into(),
                amount.into(),
                balance.into(),
                reason.into(),
                now_ms.into(),
            ],
        )?;
        Ok(())
    }

    fn bought_since(&self, start: i64) -> Result<Nanos, LedgerError> {
        let sum = self.row(
            "SELECT COALESCE(SUM(amount), 0) FROM top_ups WHERE state <> 'failed' AND at >= ?",
            &[start.into()],
        )?;
        Ok(sum.map_or(Ok(Nanos::ZERO), |mut row| row.take())?)
    }

    fn funding(&self) -> Result<Option<State>, LedgerError> {
        let row = self.row(
            "SELECT low_balance, low_told, auto_threshold, auto_amount, auto_cap, stopped, capped_month FROM funding",
            &[],
        )?;
        let Some(mut row) = row else { return Ok(None) };
        let (low_balance, low_told) = (row.take()?, row.take()?);
        let threshold: Option<Nanos> = row.take()?;
        let amount: Option<Nanos> = row.take()?;
        let monthly_cap = row.take()?;
        Ok(Some(State {
            low_balance,
            low_told,
            auto: threshold.zip(amount).map(|(threshold, amount)| AutoTopUp {
                threshold,
                amount,
                monthly_cap,
            }),
            stopped: row.take()?,
            capped_month: row.take()?,
        }))
    }
}

const KINDS: [(NoticeKind, &str); 4] = [
    (NoticeKind::LowBalance, "low_balance"),
    (NoticeKind::AutoTopUp, "auto_top_up"),
    (NoticeKind::AutoTopUpFailed, "auto_top_up_failed"),
    (NoticeKind::AutoTopUpCapped, "auto_top_up_capped"),
];

fn kind_word(kind: NoticeKind) -> &'static str {
    let found = KINDS.iter().find(|(own, _)| *own == kind);
    found.map_or("low_balance", |(_, word)| word)
}

fn read_notice(row: Vec<crate::credits::sql::SqlValue>) -> Result<Notice, LedgerError> {
    let mut row = Columns::of(row);
    let id = row.take()?;
    let word: String = row.take()?;
    let kind = KINDS.iter().find(|(_, own)| *own == word);
    let unknown = || LedgerError::Store(format!("a notice of the kind {word}"));
    Ok(Notice {
        id,
        kind: kind.ok_or_else(unknown)?.0,
        account: row.take()?,
        amount: row.take()?,
        balance: row.take()?,
        reason: row.take()?,
        at: row.take()?,
    })
}
