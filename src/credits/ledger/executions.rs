//! Executions of tools: whether one may be sent, how it ended, and what a repetition is answered.
//!
//! The state machine is `sent → (running →) succeeded | failed | failed_clean | unknown | cancelled`. One call before the provider is
//! asked ([`Ledger::tool_begin`]) and one after it ([`Ledger::tool_end`]), each one transaction, and money in the same: the hold, its
//! settlement or its end without a charge.
//!
//! # What always holds
//!
//! 1. **One name, one deed.** What an idempotency key stands for is sent again only where nothing can come of it twice: it certainly was not
//!    done (`failed_clean`), it changes nothing, or the provider is sent the same key again (`resend`), by the same tool.
//! 2. **One name, one charge.** The first success under a key is charged. Another one of the same key is not: for the provider they are one.
//! 3. **No end is not a failure.** What was admitted and has told no end by its deadline is unknown. Its hold goes then, and an end that
//!    still comes is charged and recorded.
//! 4. **A confirmation is used once**, by the key it was given to, for the same tool and arguments, at no higher price, in its time. It comes
//!    back where the execution certainly did nothing.
//!
//! Out of scope: what is counted and refused before ([`super::guards`]), the sending (`tools::execute`).

use serde_json::value::RawValue;

use super::hold::Decision;
use super::{Ledger, LedgerError, time, word};
use crate::credits::money::Nanos;
use crate::credits::ops::{
    Effect, ExecutionState, ExecutionView, Finished, HoldReply, JOB_ASK_MS, Settle, ToolBegin,
    ToolBegun, ToolEnd, ToolEnded, ToolGet, ToolList, ToolPruned, ToolsDue, Void,
};
use crate::credits::sql::{Columns, Row, Sql, SqlValue};

/// How long an execution is kept, and what its idempotency key stands for.
pub const EXECUTION_LIFE_MS: i64 = 86_400_000;
/// How long executions wait for others to be forgotten together.
pub(super) const PRUNE_DELAY_MS: i64 = 600_000;
/// How long a confirmation may be used.
pub const CONFIRMATION_LIFE_MS: i64 = 600_000;
/// The longest answer that is kept.
pub const MAX_ANSWER_BYTES: usize = 524_288;
/// The most recipients of one execution.
const MAX_RECIPIENTS: usize = 10_000;
/// The most executions in one list.
const MAX_LIST: i64 = 500;
/// Executions forgotten by one call: bounds its transaction.
const PRUNE_BATCH: i64 = 500;
/// Jobs told of by one call.
const MAX_DUE: i64 = 20;
/// The longest that somebody is told to wait for an execution under way.
const MAX_WAIT_S: u32 = 5;

macro_rules! columns {
    () => {
        "id, key_hash, tool, effect, state, began, deadline, ended, charged, resend, ceiling, idempotency_key, fingerprint, parent, surface"
    };
}

/// An execution as it is kept.
pub(super) struct Kept {
    view: ExecutionView,
    resend: bool,
    /// The price up to which it was confirmed.
    ceiling: Option<Nanos>,
}

impl Kept {
    fn read(row: Row, now_ms: i64) -> Result<Self, LedgerError> {
        let mut row = Columns::of(row);
        let (id, key_hash, tool) = (row.take()?, row.take()?, row.take()?);
        let odd = || LedgerError::Store("an execution has an unknown word".to_owned());
        let effect = Effect::parse(&row.take::<String>()?).ok_or_else(odd)?;
        let told = ExecutionState::parse(&row.take::<String>()?).ok_or_else(odd)?;
        let (began, deadline, ended) = (row.take()?, row.take()?, row.take()?);
        let is_late = !told.has_ended() && now_ms >= deadline;
        let (charged, resend, ceiling) = (row.take()?, row.take()?, row.take()?);
        Ok(Self {
            view: ExecutionView {
                id,
                key_hash,
                tool,
                effect,
                state: if is_late {
                    ExecutionState::Unknown
                } else {
                    told
                },
                began,
                deadline,
                ended,
                charged,
                idempotency_key: row.take()?,
                fingerprint: row.take()?,
                parent: row.take()?,
                surface: row.take()?,
                answer: None,
            },
            resend,
            ceiling,
        })
    }

    fn is_of(&self, request: &ToolBegin) -> bool {
        self.view.fingerprint == request.fingerprint
    }
}

/// What an earlier execution of the same name means for this one.
enum Before {
    /// There was none, or it certainly did nothing.
    Clear {
        /// The price up to which it was confirmed.
        confirmed: Option<Nanos>,
    },
    /// Nobody knows, and sending it again does it once.
    Again { confirmed: Option<Nanos> },
    /// This is the answer.
    Answer(ToolBegun),
}

/// What a token is good for.
enum Yes {
    Given,
    Pinned(String),
    Not(&'static str),
}

impl<S: Sql> Ledger<S> {
    /// Whether an execution may be sent: what its name stands for, guards, confirmation, then the hold. Nothing is written unless it is
    /// granted, but the offer of a confirmation.
    ///
    /// # Errors
    /// When the request is malformed, the id stands for something else, or the store fails.
    pub fn tool_begin(&self, request: &ToolBegin, now_ms: i64) -> Result<ToolBegun, LedgerError> {
        check(request, now_ms)?;
        if let (Some(parent), Some(holder)) = (&request.parent, &request.holder)
            && !self.holds(parent, holder)?
        {
            // Somebody else carries the chain on.
            return Ok(ToolBegun::InProgress {
                id: parent.clone(),
                retry_after_s: MAX_WAIT_S,
            });
        }
        let (again, confirmed) = match self.before(request, now_ms)? {
            Before::Answer(answer) => return Ok(answer),
            Before::Clear { confirmed } => (false, confirmed),
            Before::Again { confirmed } => (true, confirmed),
        };
        let guarded = self.guarded(request, now_ms)?;
        if let Some(hit) = guarded.hit {
            return Ok(ToolBegun::Guarded(Box::new(hit)));
        }
        let confirmed = confirmed.filter(|ceiling| request.hold.amount <= *ceiling);
        let wanted = guarded.wants_confirmation.filter(|_| confirmed.is_none());
        let token = match (wanted, &request.confirmation) {
            (None, _) => None,
            (Some(reason), None) => return self.offer(request, reason, None, now_ms),
            (Some(reason), Some(token)) => match self.yes(request, token, now_ms)? {
                Yes::Given => Some(token.as_str()),
                Yes::Pinned(tool) => return Ok(ToolBegun::Pinned { tool }),
                Yes::Not(why) => return self.offer(request, reason, Some(why), now_ms),
            },
        };
        let ceiling = confirmed.or(token.map(|_| request.hold.amount));
        let granted = |available| ToolBegun::Granted {
            available,
            repeats: guarded.repeats,
            again,
        };
        if request.dry_run {
            return self.would_hold(request, granted, now_ms);
        }
        let also = || self.open_execution(request, token, ceiling, now_ms);
        Ok(match self.hold_and(&request.hold, Some(&also), now_ms)? {
            HoldReply::Granted { available } => granted(available),
            HoldReply::Refused(refusal) => ToolBegun::Refused(refusal),
        })
    }

    /// What the hold would be answered.
    fn would_hold(
        &self,
        request: &ToolBegin,
        granted: impl Fn(Nanos) -> ToolBegun,
        now_ms: i64,
    ) -> Result<ToolBegun, LedgerError> {
        let mut memory = self.memory.take().unwrap_or_default();
        let decision = self.decide(&request.hold, &mut memory, now_ms)?;
        self.memory.set(Some(memory));
        Ok(match decision {
            Decision::Admit { available, .. }
            | Decision::Answer(HoldReply::Granted { available }) => granted(available),
            Decision::Answer(HoldReply::Refused(refusal)) => ToolBegun::Refused(refusal),
        })
    }

    fn before(&self, request: &ToolBegin, now_ms: i64) -> Result<Before, LedgerError> {
        let clear = Before::Clear { confirmed: None };
        if let Some(own) = self.execution(&request.hold.id, now_ms)? {
            // The answer to the first asking was lost.
            return self.asked_again(request, own, now_ms).map(Before::Answer);
        }
        let Some(name) = request.idempotency_key.as_deref() else {
            return Ok(clear);
        };
        let named = concat!(
            "SELECT ",
            columns!(),
            " FROM executions WHERE id = (SELECT COALESCE(charged, execution) FROM idempotency WHERE name = ?)"
        );
        let found = self.rows(named, &[name.into()])?.into_iter().next();
        let Some(first) = found.map(|row| Kept::read(row, now_ms)).transpose()? else {
            return Ok(clear);
        };
        if !first.is_of(request) {
            return Ok(Before::Answer(ToolBegun::Mismatch { id: first.view.id }));
        }
        Ok(match first.view.state {
            ExecutionState::Sent => Before::Answer(ToolBegun::InProgress {
                retry_after_s: wait_s(first.view.deadline, now_ms),
                id: first.view.id,
            }),
            ExecutionState::FailedClean => Before::Clear {
                confirmed: first.ceiling,
            },
            ExecutionState::Unknown
                if first.resend
                    && (first.view.effect == Effect::Read || first.view.tool == request.tool) =>
            {
                Before::Again {
                    confirmed: first.ceiling,
                }
            }
            ExecutionState::Unknown if first.resend => Before::Answer(ToolBegun::Pinned {
                tool: first.view.tool,
            }),
            ExecutionState::Unknown
            | ExecutionState::Running
            | ExecutionState::Succeeded
            | ExecutionState::Failed
            | ExecutionState::Cancelled => Before::Answer(self.replay(first.view)?),
        })
    }

    fn asked_again(
        &self,
        request: &ToolBegin,
        own: Kept,
        now_ms: i64,
    ) -> Result<ToolBegun, LedgerError> {
        if !own.is_of(request) || own.view.key_hash != request.hold.key_hash {
            return Err(LedgerError::IdReused);
        }
        match own.view.state {
            ExecutionState::Sent => match self.hold(&request.hold, now_ms)? {
                HoldReply::Granted { available } => Ok(ToolBegun::Granted {
                    available,
                    repeats: 0,
                    again: false,
                }),
                HoldReply::Refused(refusal) => Ok(ToolBegun::Refused(refusal)),
            },
            _ => self.replay(own.view),
        }
    }

    fn replay(&self, mut view: ExecutionView) -> Result<ToolBegun, LedgerError> {
        view.answer = self.answer_of(&view.id)?;
        Ok(ToolBegun::Replay(Box::new(view)))
    }

    fn open_execution(
        &self,
        request: &ToolBegin,
        token: Option<&str>,
        ceiling: Option<Nanos>,
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        let id = request.hold.id.as_str();
        self.rows(
            "INSERT INTO executions (id, key_hash, tool, effect, state, began, deadline, held, resend, ceiling, idempotency_key,
                fingerprint, parent, surface)
             VALUES (?, ?, ?, ?, 'sent', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                id.into(),
                request.hold.key_hash.as_str().into(),
                request.tool.as_str().into(),
                request.effect.as_str().into(),
                now_ms.into(),
                (now_ms + request.hold.ttl_ms).into(),
                request.hold.amount.into(),
                request.resend.into(),
                ceiling.into(),
                request.idempotency_key.as_deref().into(),
                request.fingerprint.as_str().into(),
                request.parent.as_deref().into(),
                request.surface.as_str().into(),
            ],
        )?;
        if let Some(parent) = request.parent.as_deref() {
            self.hold_task(parent, now_ms + request.hold.ttl_ms + super::tasks::GAP_MS)?;
        }
        if let Some(name) = request.idempotency_key.as_deref() {
            self.rows(
                "INSERT INTO idempotency (name, execution) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET execution = excluded.execution",
                &[name.into(), id.into()],
            )?;
        }
        if let Some(token) = token {
            self.rows(
                "UPDATE confirmations SET used_by = ? WHERE token = ?",
                &[id.into(), token.into()],
            )?;
        }
        if !request.recipients.is_empty() {
            let digests = serde_json::to_string(&request.recipients)
                .map_err(|error| LedgerError::Invalid(error.to_string()))?;
            self.rows(
                "INSERT OR IGNORE INTO execution_recipients (at, execution, digest)
                 SELECT CAST(?1 AS INTEGER), ?2, value FROM json_each(?3)",
                &[now_ms.into(), id.into(), digests.as_str().into()],
            )?;
        }
        Ok(())
    }

    /// What a confirmation's token is good for.
    fn yes(&self, request: &ToolBegin, token: &str, now_ms: i64) -> Result<Yes, LedgerError> {
        let row = self.row(
            "SELECT key_hash, tool, fingerprint, ceiling, expires_at, used_by FROM confirmations WHERE token = ?",
            &[token.into()],
        )?;
        let Some(mut row) = row else {
            return Ok(Yes::Not("unknown"));
        };
        let (key_hash, tool, fingerprint): (String, String, String) =
            (row.take()?, row.take()?, row.take()?);
        let (ceiling, expires_at): (Nanos, i64) = (row.take()?, row.take()?);
        let used_by: Option<String> = row.take()?;
        Ok(if key_hash != request.hold.key_hash {
            Yes::Not("unknown")
        } else if used_by.is_some() {
            Yes::Not("used")
        } else if expires_at <= now_ms {
            Yes::Not("expired")
        } else if fingerprint != request.fingerprint {
            Yes::Not("other_arguments")
        } else if tool != request.tool {
            Yes::Pinned(tool)
        } else if ceiling < request.hold.amount {
            Yes::Not("price")
        } else {
            Yes::Given
        })
    }

    fn offer(
        &self,
        request: &ToolBegin,
        reason: &str,
        problem: Option<&str>,
        now_ms: i64,
    ) -> Result<ToolBegun, LedgerError> {
        let expires_at = now_ms + CONFIRMATION_LIFE_MS;
        if !request.dry_run {
            word("offer", &request.offer)?;
            self.transaction(|| {
                self.rows(
                    "DELETE FROM confirmations WHERE expires_at <= ?",
                    &[now_ms.into()],
                )?;
                self.rows(
                    "INSERT INTO confirmations (token, key_hash, tool, fingerprint, ceiling, expires_at) VALUES (?, ?, ?, ?, ?, ?)
                     ON CONFLICT DO NOTHING",
                    &[
                        request.offer.as_str().into(),
                        request.hold.key_hash.as_str().into(),
                        request.tool.as_str().into(),
                        request.fingerprint.as_str().into(),
                        request.hold.amount.into(),
                        expires_at.into(),
                    ],
                )?;
                Ok(())
            })?;
        }
        Ok(ToolBegun::Confirm {
            expires_at,
            reason: reason.to_owned(),
            problem: problem.map(str::to_owned),
        })
    }

    /// Records how an execution ended, and settles or ends its hold. The first end that was told stands.
    ///
    /// # Errors
    /// When there was no such execution, the key is another, or the store fails.
    pub fn tool_end(&self, request: &ToolEnd, now_ms: i64) -> Result<ToolEnded, LedgerError> {
        word("id", &request.id)?;
        time("now", now_ms)?;
        let kept = self.execution(&request.id, now_ms)?;
        if let Some(kept) = &kept {
            if kept.view.key_hash != request.key_hash {
                return Err(LedgerError::IdReused);
            }
            if kept.view.ended.is_some() {
                return Ok(ToolEnded {
                    state: kept.view.state,
                    charged: kept.view.charged,
                    balance: self.balance()?,
                });
            }
        }
        let name = kept
            .as_ref()
            .and_then(|kept| kept.view.idempotency_key.as_deref());
        match request.state {
            ExecutionState::Sent => Err(LedgerError::Invalid("that is no end".to_owned())),
            ExecutionState::Running => self.runs_on(request, now_ms),
            ExecutionState::Succeeded if !self.was_charged(name, &request.id)? => {
                let settle = Settle {
                    id: request.id.clone(),
                    amount: request.charge,
                    row: request.row.clone(),
                    byok: request.byok,
                    ..Settle::default()
                };
                let also =
                    |finished: &Finished| self.close_execution(request, name, finished, now_ms);
                let finished = self.settle_and(&settle, &also, now_ms)?;
                Ok(ended(request, &finished))
            }
            state => {
                let free_row = request.free_row.as_ref();
                let free_row = free_row.filter(|_| state == ExecutionState::Succeeded);
                let void = Void {
                    id: request.id.clone(),
                    key_hash: request.key_hash.clone(),
                    reason: request.reason.clone(),
                    row: free_row.unwrap_or(&request.row).clone(),
                };
                let also =
                    |finished: &Finished| self.close_execution(request, name, finished, now_ms);
                let finished = self.void_and(&void, &also, now_ms)?;
                Ok(ended(request, &finished))
            }
        }
    }

    /// Whether another execution of this name was charged.
    fn was_charged(&self, name: Option<&str>, id: &str) -> Result<bool, LedgerError> {
        let Some(name) = name else { return Ok(false) };
        let row = self.row(
            "SELECT charged FROM idempotency WHERE name = ?",
            &[name.into()],
        )?;
        let by: Option<String> = row.map_or(Ok(None), |mut row| row.take())?;
        Ok(by.is_some_and(|by| by != id))
    }

    fn runs_on(&self, request: &ToolEnd, now_ms: i64) -> Result<ToolEnded, LedgerError> {
        let until = now_ms + request.ttl_ms.clamp(1, super::MAX_HOLD_TTL_MS);
        self.transaction(|| {
            self.rows(
                "UPDATE executions SET state = 'running', deadline = ? WHERE id = ? AND ended IS NULL",
                &[until.into(), request.id.as_str().into()],
            )?;
            self.rows(
                "UPDATE holds SET release_at = ? WHERE id = ?",
                &[until.into(), request.id.as_str().into()],
            )?;
            self.keep_answer(request)?;
            self.step_ended(&request.id, now_ms)?;
            Ok(ToolEnded {
                state: ExecutionState::Running,
                charged: Nanos::ZERO,
                balance: self.balance()?,
            })
        })
    }

    fn close_execution(
        &self,
        request: &ToolEnd,
        name: Option<&str>,
        finished: &Finished,
        now_ms: i64,
    ) -> Result<(), LedgerError> {
        let id = request.id.as_str();
        self.rows(
            "UPDATE executions SET state = ?, ended = ?, charged = ? WHERE id = ? AND ended IS NULL",
            &[
                request.state.as_str().into(),
                now_ms.into(),
                finished.charged.into(),
                id.into(),
            ],
        )?;
        self.keep_answer(request)?;
        self.step_ended(id, now_ms)?;
        match request.state {
            ExecutionState::Succeeded => {
                if let Some(name) = name {
                    self.rows(
                        "UPDATE idempotency SET charged = ? WHERE name = ? AND charged IS NULL",
                        &[id.into(), name.into()],
                    )?;
                }
            }
            ExecutionState::Failed | ExecutionState::FailedClean => {
                // Nobody was reached.
                self.rows(
                    "DELETE FROM execution_recipients WHERE at = (SELECT began FROM executions WHERE id = ?1) AND execution = ?1",
                    &[id.into()],
                )?;
                if request.state == ExecutionState::FailedClean {
                    self.rows(
                        "UPDATE confirmations SET used_by = NULL WHERE used_by = ?",
                        &[id.into()],
                    )?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn keep_answer(&self, request: &ToolEnd) -> Result<(), LedgerError> {
        let Some(answer) = request.answer.as_ref().map(|answer| answer.get()) else {
            return Ok(());
        };
        if answer.len() > MAX_ANSWER_BYTES {
            return Err(LedgerError::Invalid(format!(
                "an answer has at most {MAX_ANSWER_BYTES} bytes"
            )));
        }
        self.rows(
            "INSERT INTO execution_answers (id, answer) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET answer = excluded.answer",
            &[request.id.as_str().into(), answer.into()],
        )?;
        Ok(())
    }

    fn answer_of(&self, id: &str) -> Result<Option<Box<RawValue>>, LedgerError> {
        let row = self.row(
            "SELECT answer FROM execution_answers WHERE id = ?",
            &[id.into()],
        )?;
        let Some(mut row) = row else { return Ok(None) };
        RawValue::from_string(row.take()?)
            .map(Some)
            .map_err(|error| LedgerError::Store(error.to_string()))
    }

    fn execution(&self, id: &str, now_ms: i64) -> Result<Option<Kept>, LedgerError> {
        let sql = concat!("SELECT ", columns!(), " FROM executions WHERE id = ?");
        let row = self.rows(sql, &[id.into()])?.into_iter().next();
        row.map(|row| Kept::read(row, now_ms)).transpose()
    }

    /// One execution with its answer.
    ///
    /// # Errors
    /// When the store fails.
    pub fn tool_get(
        &self,
        request: &ToolGet,
        now_ms: i64,
    ) -> Result<Option<ExecutionView>, LedgerError> {
        let Some(Kept { mut view, .. }) = self.execution(&request.id, now_ms)? else {
            return Ok(None);
        };
        view.answer = self.answer_of(&view.id)?;
        Ok(Some(view))
    }

    /// Executions, the newest first, without their answers.
    ///
    /// # Errors
    /// When the store fails.
    pub fn tool_list(
        &self,
        request: &ToolList,
        now_ms: i64,
    ) -> Result<Vec<ExecutionView>, LedgerError> {
        let mut sql = concat!("SELECT ", columns!(), " FROM executions WHERE 1").to_owned();
        let mut params: Vec<SqlValue> = Vec::new();
        if let Some(before) = request.before.as_deref() {
            sql.push_str(" AND (began, id) < (SELECT began, id FROM executions WHERE id = ?)");
            params.push(before.into());
        }
        if let Some(key_hash) = request.key_hash.as_deref() {
            sql.push_str(" AND key_hash = ?");
            params.push(key_hash.into());
        }
        if let Some(parent) = request.parent.as_deref() {
            sql.push_str(" AND parent = ?");
            params.push(parent.into());
        }
        match request.state {
            Some(state @ (ExecutionState::Sent | ExecutionState::Running)) => {
                sql.push_str(" AND state = ? AND deadline > ?");
                params.extend([state.as_str().into(), now_ms.into()]);
            }
            Some(ExecutionState::Unknown) => {
                sql.push_str(
                    " AND (state = 'unknown' OR (state IN ('sent', 'running') AND deadline <= ?))",
                );
                params.push(now_ms.into());
            }
            Some(state) => {
                sql.push_str(" AND state = ?");
                params.push(state.as_str().into());
            }
            None => {}
        }
        sql.push_str(" ORDER BY began DESC, id DESC LIMIT ?");
        params.push(request.max.clamp(0, MAX_LIST).into());
        let rows = self.rows(&sql, &params)?.into_iter();
        rows.map(|row| Kept::read(row, now_ms).map(|kept| kept.view))
            .collect()
    }

    /// Jobs whose time to be asked about has come, and chains whose holder is gone; each is told of once, until its time comes again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn tool_due(&self, now_ms: i64) -> Result<ToolsDue, LedgerError> {
        let due = concat!(
            "SELECT ",
            columns!(),
            " FROM executions WHERE state = 'running' AND deadline <= ? ORDER BY deadline LIMIT ?"
        );
        self.transaction(|| {
            let rows = self.rows(due, &[now_ms.into(), MAX_DUE.into()])?;
            let mut told = Vec::with_capacity(rows.len());
            for row in rows {
                let Kept { view, .. } = Kept::read(row, now_ms)?;
                self.rows(
                    "UPDATE executions SET deadline = ? WHERE id = ?",
                    &[(now_ms + JOB_ASK_MS).into(), view.id.as_str().into()],
                )?;
                told.push(view);
            }
            Ok(ToolsDue {
                jobs: told,
                chains: self.tasks_left(now_ms)?,
            })
        })
    }

    /// Forgets what is older than a day: executions, their answers and names, recipients, confirmations.
    ///
    /// # Errors
    /// When the store fails.
    pub fn tool_prune(&self, now_ms: i64) -> Result<ToolPruned, LedgerError> {
        let old = now_ms - EXECUTION_LIFE_MS;
        self.transaction(|| {
            let due = self.rows(
                "SELECT id, idempotency_key FROM executions WHERE began <= ? ORDER BY began LIMIT ?",
                &[old.into(), PRUNE_BATCH.into()],
            )?;
            let forgotten = i64::try_from(due.len()).unwrap_or(PRUNE_BATCH);
            for row in due {
                let mut row = Columns::of(row);
                let (id, name): (String, Option<String>) = (row.take()?, row.take()?);
                let id = id.as_str();
                self.rows("DELETE FROM executions WHERE id = ?", &[id.into()])?;
                self.rows("DELETE FROM execution_answers WHERE id = ?", &[id.into()])?;
                if let Some(name) = name {
                    self.rows(
                        "DELETE FROM idempotency WHERE name = ?1 AND ?2 IN (execution, charged)",
                        &[name.as_str().into(), id.into()],
                    )?;
                }
            }
            self.rows(
                "DELETE FROM execution_recipients WHERE at <= ?",
                &[(now_ms - super::guards::HOUR_MS).into()],
            )?;
            self.rows(
                "DELETE FROM confirmations WHERE expires_at <= ?",
                &[now_ms.into()],
            )?;
            Ok(ToolPruned {
                forgotten,
                more: forgotten == PRUNE_BATCH,
            })
        })
    }
}

fn ended(request: &ToolEnd, finished: &Finished) -> ToolEnded {
    ToolEnded {
        state: request.state,
        charged: finished.charged,
        balance: finished.balance,
    }
}

fn wait_s(deadline: i64, now_ms: i64) -> u32 {
    let left_s = (deadline - now_ms).max(1).saturating_add(999) / 1_000;
    u32::try_from(left_s).unwrap_or(MAX_WAIT_S).min(MAX_WAIT_S)
}

fn check(request: &ToolBegin, now_ms: i64) -> Result<(), LedgerError> {
    time("now", now_ms)?;
    word("tool", &request.tool)?;
    word("fingerprint", &request.fingerprint)?;
    if let Some(name) = &request.idempotency_key
        && (name.is_empty() || name.len() > 2 * super::MAX_WORD)
    {
        return Err(LedgerError::Invalid(
            "an idempotency key is of odd length".to_owned(),
        ));
    }
    if request.recipients.len() > MAX_RECIPIENTS {
        return Err(LedgerError::Invalid(format!(
            "an execution has at most {MAX_RECIPIENTS} recipients"
        )));
    }
    Ok(())
}
