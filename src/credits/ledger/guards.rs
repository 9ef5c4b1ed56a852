//! Guards over tools: what an execution is refused for, or has to be confirmed for, whatever its account can pay.
//!
//! A key's rules count what the key did, the account's what all its keys did. All that fit an execution hold. Where neither says anything
//! of a guard, [`default_rule`] holds for whatever is no read, counted by key: a loop ends before it has done much. Counted is what was
//! admitted in the window, so that a refusal does not put off the next try.

use super::{Ledger, LedgerError};
use crate::credits::money::Nanos;
use crate::credits::ops::{
    Effect, GuardHit, GuardRule, GuardSet, OnRepeat, Repeats, ToolBegin, ToolGuardsGet,
    ToolGuardsPut,
};
use crate::credits::sql::{Columns, Sql, SqlValue};

const MINUTE_MS: i64 = 60_000;
/// The window of recipients.
pub(super) const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
/// The most rules of an account or of a key.
pub const MAX_GUARD_RULES: usize = 100;
/// The longest window of repetitions.
const MAX_REPEATS_S: i64 = 86_400;

/// What guards say of an execution.
pub(super) struct Guarded {
    pub(super) hit: Option<GuardHit>,
    /// Why it has to be confirmed.
    pub(super) wants_confirmation: Option<&'static str>,
    /// How often the same was sent, where that is to be told.
    pub(super) repeats: i64,
}

/// A rule and whose it is.
struct Bound {
    of: &'static str,
    rule: GuardRule,
}

/// What holds for whatever is no read, where neither key nor account says.
fn default_rule() -> GuardRule {
    GuardRule {
        tool: "*".to_owned(),
        effects: Some(vec![Effect::Write, Effect::Destructive, Effect::Money]),
        calls_per_minute: Some(60),
        recipients_per_call: Some(50),
        recipients_per_hour: Some(500),
        repeats: Some(Repeats {
            max: 1,
            within_s: 60,
            action: OnRepeat::Warn,
        }),
        ..GuardRule::default()
    }
}

impl GuardRule {
    fn fits(&self, tool: &str, effect: Effect) -> bool {
        let named = self.tool == "*"
            || self.tool == tool
            || tool
                .strip_prefix(self.tool.as_str())
                .is_some_and(|rest| rest.starts_with('/'));
        named
            && self
                .effects
                .as_ref()
                .is_none_or(|effects| effects.contains(&effect))
    }

    fn check(&self) -> Result<(), LedgerError> {
        super::word("tool", &self.tool)?;
        let counts = [
            self.calls_per_minute,
            self.calls_per_day,
            self.recipients_per_call,
            self.recipients_per_hour,
            self.spend_per_day.map(Nanos::get),
            self.repeats.map(|repeats| repeats.max),
        ];
        let odd_window = self
            .repeats
            .is_some_and(|repeats| !(1..=MAX_REPEATS_S).contains(&repeats.within_s));
        if counts.into_iter().flatten().any(|count| count < 0) || odd_window {
            return Err(LedgerError::Invalid(
                "a guard has an amount that is out of range".to_owned(),
            ));
        }
        Ok(())
    }
}

impl Bound {
    /// What of the executions in the table the rule counts, from `since` on.
    fn counted(&self, request: &ToolBegin, since: i64) -> (String, Vec<SqlValue>) {
        let mut sql = "executions.began > ?".to_owned();
        let mut params: Vec<SqlValue> = vec![since.into()];
        if self.of != "account" {
            sql.push_str(" AND executions.key_hash = ?");
            params.push(request.hold.key_hash.as_str().into());
        }
        if self.rule.tool.contains('/') {
            sql.push_str(" AND executions.tool = ?");
            params.push(self.rule.tool.as_str().into());
        } else if self.rule.tool != "*" {
            let start = format!("{}/", self.rule.tool);
            sql.push_str(" AND substr(executions.tool, 1, ?) = ?");
            let length = i64::try_from(start.chars().count()).unwrap_or(i64::MAX);
            params.extend([length.into(), start.as_str().into()]);
        }
        if let Some(effects) = &self.rule.effects {
            let words: Vec<String> = effects
                .iter()
                .map(|effect| format!("'{}'", effect.as_str()))
                .collect();
            sql.push_str(&format!(" AND executions.effect IN ({})", words.join(", ")));
        }
        (sql, params)
    }

    fn hit(&self, guard: &str, limit: i64, used: i64, needed: i64, until: Option<i64>) -> GuardHit {
        GuardHit {
            guard: guard.to_owned(),
            of: self.of.to_owned(),
            rule: self.rule.tool.clone(),
            limit,
            used,
            needed,
            until,
        }
    }
}

impl<S: Sql> Ledger<S> {
    /// Sets the guards of the account, or of a key.
    ///
    /// # Errors
    /// When a rule is malformed, or the store fails.
    pub fn tool_guards_put(&self, request: &ToolGuardsPut) -> Result<GuardSet, LedgerError> {
        if request.guards.rules.len() > MAX_GUARD_RULES {
            return Err(LedgerError::Invalid(format!(
                "there are at most {MAX_GUARD_RULES} rules"
            )));
        }
        for rule in &request.guards.rules {
            rule.check()?;
        }
        let text = serde_json::to_string(&request.guards)
            .map_err(|error| LedgerError::Invalid(error.to_string()))?;
        self.rows(
            "INSERT INTO tool_guards (scope, guards) VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET guards = excluded.guards",
            &[
                request.key_hash.as_deref().unwrap_or_default().into(),
                text.as_str().into(),
            ],
        )?;
        Ok(request.guards.clone())
    }

    /// The guards of the account, or of a key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn tool_guards(&self, request: &ToolGuardsGet) -> Result<GuardSet, LedgerError> {
        let scope = request.key_hash.as_deref().unwrap_or_default();
        let row = self.row(
            "SELECT guards FROM tool_guards WHERE scope = ?",
            &[scope.into()],
        )?;
        row.map_or(Ok(GuardSet::default()), |mut row| {
            crate::json::from_str(&row.take::<String>()?)
                .map_err(|error| LedgerError::Store(error.to_string()))
        })
    }

    /// What guards say of an execution.
    pub(super) fn guarded(&self, request: &ToolBegin, now_ms: i64) -> Result<Guarded, LedgerError> {
        let of_key = self.tool_guards(&ToolGuardsGet {
            key_hash: Some(request.hold.key_hash.clone()),
        })?;
        let of_account = self.tool_guards(&ToolGuardsGet { key_hash: None })?;
        let policy = of_key.confirm.or(of_account.confirm);
        let policy = policy
            .unwrap_or(request.default_confirm)
            .max(request.confirm);
        let mut guarded = Guarded {
            hit: None,
            wants_confirmation: policy.wants(request.effect).then_some("policy"),
            repeats: 0,
        };
        for bound in bounds(of_key, of_account, request) {
            if let Some(hit) = self.beyond(&bound, request, now_ms)? {
                guarded.hit = Some(hit);
                return Ok(guarded);
            }
            let Some(repeats) = bound.rule.repeats else {
                continue;
            };
            let (count, first) = self.repetitions(&bound, repeats, request, now_ms)?;
            if count < repeats.max {
                continue;
            }
            match repeats.action {
                OnRepeat::Warn => guarded.repeats = guarded.repeats.max(count),
                OnRepeat::Confirm => guarded.wants_confirmation = Some("repeats"),
                OnRepeat::Refuse => {
                    let until = first.map(|first| first + repeats.within_s * 1_000);
                    guarded.hit = Some(bound.hit("repeats", repeats.max, count, 1, until));
                    return Ok(guarded);
                }
            }
        }
        Ok(guarded)
    }

    fn beyond(
        &self,
        bound: &Bound,
        request: &ToolBegin,
        now_ms: i64,
    ) -> Result<Option<GuardHit>, LedgerError> {
        let rule = &bound.rule;
        if rule.disabled {
            return Ok(Some(bound.hit("disabled", 0, 0, 1, None)));
        }
        let recipients = i64::try_from(request.recipients.len()).unwrap_or(i64::MAX);
        if let Some(limit) = rule.recipients_per_call
            && recipients > limit
        {
            let hit = bound.hit("recipients_per_call", limit, 0, recipients, None);
            return Ok(Some(hit));
        }
        for (guard, limit, window) in [
            ("calls_per_minute", rule.calls_per_minute, MINUTE_MS),
            ("calls_per_day", rule.calls_per_day, DAY_MS),
        ] {
            let Some(limit) = limit else { continue };
            let used = self.calls(bound, request, now_ms - window)?;
            if used >= limit {
                let leaves = self.leaves(bound, request, now_ms - window, used - limit)?;
                let until = leaves.map(|began| began + window);
                return Ok(Some(bound.hit(guard, limit, used, 1, until)));
            }
        }
        if let Some(limit) = rule.spend_per_day {
            let used = self.spent_on_tools(bound, request, now_ms - DAY_MS)?;
            let needed = request.hold.amount;
            if needed > Nanos::ZERO && used.checked_add(needed)? > limit {
                let leaves = self.leaves(bound, request, now_ms - DAY_MS, 0)?;
                let until = leaves.map(|began| began + DAY_MS);
                let (limit, used) = (limit.get(), used.get());
                let hit = bound.hit("spend_per_day", limit, used, needed.get(), until);
                return Ok(Some(hit));
            }
        }
        match rule.recipients_per_hour {
            Some(limit) if recipients > 0 => {
                self.too_many_recipients(bound, limit, request, now_ms)
            }
            _ => Ok(None),
        }
    }

    fn calls(&self, bound: &Bound, request: &ToolBegin, since: i64) -> Result<i64, LedgerError> {
        let (counted, params) = bound.counted(request, since);
        let sql = format!("SELECT COUNT(*) FROM executions WHERE {counted}");
        Ok(self
            .row(&sql, &params)?
            .map_or(Ok(0), |mut row| row.take())?)
    }

    /// When the one before which `skip` others began, the oldest first.
    fn leaves(
        &self,
        bound: &Bound,
        request: &ToolBegin,
        since: i64,
        skip: i64,
    ) -> Result<Option<i64>, LedgerError> {
        let (counted, mut params) = bound.counted(request, since);
        let sql =
            format!("SELECT began FROM executions WHERE {counted} ORDER BY began LIMIT 1 OFFSET ?");
        params.push(skip.max(0).into());
        Ok(self
            .row(&sql, &params)?
            .map(|mut row| row.take())
            .transpose()?)
    }

    /// What was charged, and what those under way may cost.
    fn spent_on_tools(
        &self,
        bound: &Bound,
        request: &ToolBegin,
        since: i64,
    ) -> Result<Nanos, LedgerError> {
        let (counted, params) = bound.counted(request, since);
        let sql = format!(
            "SELECT COALESCE(SUM(CASE WHEN ended IS NULL THEN held ELSE charged END), 0) FROM executions WHERE {counted}"
        );
        Ok(self
            .row(&sql, &params)?
            .map_or(Ok(Nanos::ZERO), |mut row| row.take())?)
    }

    fn too_many_recipients(
        &self,
        bound: &Bound,
        limit: i64,
        request: &ToolBegin,
        now_ms: i64,
    ) -> Result<Option<GuardHit>, LedgerError> {
        let since = now_ms - HOUR_MS;
        let (counted, params) = bound.counted(request, since);
        let sql = format!(
            "SELECT digest, MAX(at) FROM execution_recipients JOIN executions ON executions.id = execution
             WHERE {counted} GROUP BY digest ORDER BY MAX(at)"
        );
        let mut known = Vec::new();
        for row in self.rows(&sql, &params)? {
            let mut row = Columns::of(row);
            known.push((row.take::<String>()?, row.take::<i64>()?));
        }
        let is_new = |digest: &&String| !known.iter().any(|(own, _)| own == *digest);
        let new = request.recipients.iter().filter(is_new).count();
        let (used, needed) = (known.len(), new);
        let beyond = i64::try_from(used + needed).unwrap_or(i64::MAX) - limit;
        if needed == 0 || beyond <= 0 {
            return Ok(None);
        }
        // So many of the oldest have to leave.
        let leaves = usize::try_from(beyond - 1)
            .ok()
            .and_then(|at| known.get(at));
        let until = leaves.map(|(_, at)| at + HOUR_MS);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Some(bound.hit(
            "recipients_per_hour",
            limit,
            count(used),
            count(needed),
            until,
        )))
    }

    /// How often the same was sent in the window, and when first.
    fn repetitions(
        &self,
        bound: &Bound,
        repeats: Repeats,
        request: &ToolBegin,
        now_ms: i64,
    ) -> Result<(i64, Option<i64>), LedgerError> {
        let (counted, mut params) = bound.counted(request, now_ms - repeats.within_s * 1_000);
        let sql = format!(
            "SELECT COUNT(*), MIN(began) FROM executions WHERE {counted} AND fingerprint = ?
                AND state NOT IN ('failed', 'failed_clean') AND (idempotency_key IS NULL OR idempotency_key IS NOT ?)"
        );
        params.extend([
            request.fingerprint.as_str().into(),
            request.idempotency_key.as_deref().into(),
        ]);
        let row = self.row(&sql, &params)?;
        row.map_or(Ok((0, None)), |mut row| Ok((row.take()?, row.take()?)))
    }
}

/// All rules that fit, the key's first; the default for what none of them says.
fn bounds(of_key: GuardSet, of_account: GuardSet, request: &ToolBegin) -> Vec<Bound> {
    let of = |of: &'static str, set: GuardSet| {
        let fitting = set.rules.into_iter();
        let fitting = fitting.filter(|rule| rule.fits(&request.tool, request.effect));
        fitting.map(move |rule| Bound { of, rule })
    };
    let mut bounds: Vec<Bound> = of("key", of_key).chain(of("account", of_account)).collect();
    let mut rule = default_rule();
    if !rule.fits(&request.tool, request.effect) {
        return bounds;
    }
    let said = |has: fn(&GuardRule) -> bool| bounds.iter().any(|bound| has(&bound.rule));
    if said(|rule| rule.calls_per_minute.is_some()) {
        rule.calls_per_minute = None;
    }
    if said(|rule| rule.recipients_per_call.is_some()) {
        rule.recipients_per_call = None;
    }
    if said(|rule| rule.recipients_per_hour.is_some()) {
        rule.recipients_per_hour = None;
    }
    if said(|rule| rule.repeats.is_some()) {
        rule.repeats = None;
    }
    bounds.push(Bound {
        of: "default",
        rule,
    });
    bounds
}
