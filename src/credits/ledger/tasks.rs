//! Tasks of protocols that have them: kept for a day, seen by the key that began them alone.
//!
//! In scope: keeping, finding and forgetting them, and who carries one on. Out of scope: what is in them, and the executions that they stand
//! for (`executions`). The next task that begins sweeps out the old ones.
//!
//! A task that is carried on in steps (a chain) is one holder's at a time. Its lease runs as long as an execution under way may take, and
//! [`GAP_MS`] between them; each step is admitted for the holder alone ([`super::executions`]). So whoever lost it begins nothing more. A lease
//! that ends without being given up is that of a holder who is gone: the alarm tells of it, [`MAX_RESUMED`] times.

use super::{Ledger, LedgerError, word};
use crate::credits::ops::{Lease, TaskGet, TaskKept, TaskLeft, TaskList, TaskPage, TaskPut};
use crate::credits::sql::{Columns, Sql, SqlValue};

/// The longest task, in bytes.
pub const MAX_TASK_BYTES: usize = 786_432;
/// How long a task is kept, in milliseconds.
pub const TASK_MS: i64 = 86_400_000;
/// The most tasks of an account; the oldest give way.
pub const MAX_TASKS: i64 = 10_000;
/// How long a holder may take between two steps, in milliseconds.
pub const GAP_MS: i64 = 15_000;
/// How often the alarm has a task carried on whose holder is gone.
pub const MAX_RESUMED: i64 = 5;
/// How long who carries it on for the alarm has to begin, in milliseconds.
const RESUME_MS: i64 = 60_000;
/// Tasks told of by one call.
const MAX_LEFT: i64 = 10;
/// The most tasks of one page.
pub const MAX_TASK_PAGE: i64 = 100;

impl<S: Sql> Ledger<S> {
    /// Keeps a task.
    ///
    /// # Errors
    /// When it is too long, another key's, or the store fails.
    pub fn task_put(&self, put: &TaskPut, now_ms: i64) -> Result<TaskKept, LedgerError> {
        word("id", &put.id)?;
        word("context", &put.context)?;
        if put.text.len() > MAX_TASK_BYTES {
            let message = format!("a task has at most {MAX_TASK_BYTES} bytes");
            return Err(LedgerError::Invalid(message));
        }
        self.transaction(|| {
            if put.is_new {
                self.sweep_tasks(now_ms)?;
            }
            if let Some(lease) = &put.lease
                && let Some(busy) = self.busy(put, lease, now_ms)?
            {
                return Ok(busy);
            }
            let change = if put.is_new {
                "DO NOTHING"
            } else {
                "DO UPDATE SET state = excluded.state, is_over = excluded.is_over, at = excluded.at, text = excluded.text
                 WHERE is_over = 0 AND key_hash = excluded.key_hash"
            };
            let row = self.row(
                &format!("INSERT INTO tasks (id, key_hash, context, state, is_over, at, text) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) {change} RETURNING text"),
                &[
                    put.id.as_str().into(),
                    put.key_hash.as_str().into(),
                    put.context.as_str().into(),
                    put.state.as_str().into(),
                    put.is_over.into(),
                    put.at.into(),
                    put.text.as_str().into(),
                ],
            )?;
            if let Some(lease) = &put.lease {
                self.rows(
                    "UPDATE tasks SET holder = ?, held_until = ? WHERE id = ? AND is_over = 0",
                    &[
                        lease.holder.as_str().into(),
                        (lease.ms > 0).then(|| now_ms + lease.ms).into(),
                        put.id.as_str().into(),
                    ],
                )?;
                self.rows(
                    "UPDATE tasks SET holder = NULL, held_until = NULL WHERE id = ? AND (is_over = 1 OR held_until IS NULL)",
                    &[put.id.as_str().into()],
                )?;
            }
            if row.is_some() {
                return Ok(TaskKept { is_put: true, text: put.text.clone(), ..TaskKept::default() });
            }
            let get = TaskGet { id: put.id.clone(), key_hash: put.key_hash.clone() };
            let text = self.task_get(&get)?.ok_or(LedgerError::IdReused)?;
            Ok(TaskKept { text, ..TaskKept::default() })
        })
    }

    /// What is answered to whom the task is not.
    fn busy(
        &self,
        put: &TaskPut,
        lease: &Lease,
        now_ms: i64,
    ) -> Result<Option<TaskKept>, LedgerError> {
        let row = self.row(
            "SELECT holder, held_until, text FROM tasks WHERE id = ? AND key_hash = ? AND is_over = 0",
            &[put.id.as_str().into(), put.key_hash.as_str().into()],
        )?;
        let Some(mut row) = row else { return Ok(None) };
        let holder: Option<String> = row.take()?;
        let until = row.take::<Option<i64>>()?.unwrap_or_default();
        let is_own = holder.as_deref() == Some(lease.holder.as_str());
        // Whoever begins anew takes what is free; a state is changed by its holder alone.
        if is_own || (put.is_new && until <= now_ms) {
            return Ok(None);
        }
        Ok(Some(TaskKept {
            busy_ms: Some((until - now_ms).max(0)),
            is_put: false,
            text: row.take()?,
        }))
    }

    /// Whether this is the holder of a task that is not over.
    pub(super) fn holds(&self, id: &str, holder: &str) -> Result<bool, LedgerError> {
        let row = self.row(
            "SELECT 1 FROM tasks WHERE id = ? AND holder = ? AND is_over = 0",
            &[id.into(), holder.into()],
        )?;
        Ok(row.is_some())
    }

    /// A step of a task may take until then.
    pub(super) fn hold_task(&self, id: &str, until: i64) -> Result<(), LedgerError> {
        self.rows(
            "UPDATE tasks SET held_until = MAX(held_until, ?) WHERE id = ? AND held_until IS NOT NULL",
            &[until.into(), id.into()],
        )?;
        Ok(())
    }

    /// A step has ended: its task is held as long as others are under way, else for the gap between two.
    pub(super) fn step_ended(&self, execution: &str, now_ms: i64) -> Result<(), LedgerError> {
        self.rows(
            "UPDATE tasks SET held_until = MAX(?1, COALESCE(
                (SELECT MAX(deadline) FROM executions WHERE parent = tasks.id AND state = 'sent' AND id <> ?2), 0))
             WHERE id = (SELECT parent FROM executions WHERE id = ?2) AND held_until IS NOT NULL",
            &[(now_ms + GAP_MS).into(), execution.into()],
        )?;
        Ok(())
    }

    /// Tasks whose holder is gone. Each is given to who asks.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn tasks_left(&self, now_ms: i64) -> Result<Vec<TaskLeft>, LedgerError> {
        self.rows(
            "UPDATE tasks SET holder = NULL, held_until = NULL WHERE held_until <= ? AND resumed >= ?",
            &[now_ms.into(), MAX_RESUMED.into()],
        )?;
        let rows = self.rows(
            "UPDATE tasks SET resumed = resumed + 1, holder = 'alarm-' || id || '-' || resumed, held_until = ?1
             WHERE id IN (SELECT id FROM tasks WHERE held_until <= ?2 AND is_over = 0 ORDER BY held_until LIMIT ?3)
             RETURNING id, key_hash, holder, text",
            &[(now_ms + RESUME_MS).into(), now_ms.into(), MAX_LEFT.into()],
        )?;
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            let mut row = Columns::of(row);
            left.push(TaskLeft {
                id: row.take()?,
                key_hash: row.take()?,
                holder: row.take()?,
                text: row.take()?,
            });
        }
        Ok(left)
    }

    /// A task of a key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn task_get(&self, get: &TaskGet) -> Result<Option<String>, LedgerError> {
        let row = self.row(
            "SELECT text FROM tasks WHERE id = ? AND key_hash = ?",
            &[get.id.as_str().into(), get.key_hash.as_str().into()],
        )?;
        row.map(|mut row| Ok(row.take()?)).transpose()
    }

    /// Tasks of a key, those that changed last first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn task_list(&self, list: &TaskList) -> Result<TaskPage, LedgerError> {
        let mut wanted = String::from(" FROM tasks WHERE key_hash = ?");
        let mut params: Vec<SqlValue> = vec![list.key_hash.as_str().into()];
        for (clause, value) in [
            (
                " AND context = ?",
                list.context.as_deref().map(SqlValue::from),
            ),
            (" AND state = ?", list.state.as_deref().map(SqlValue::from)),
            (" AND at >= ?", list.after.map(SqlValue::from)),
        ] {
            if let Some(value) = value {
                wanted.push_str(clause);
                params.push(value);
            }
        }
        let total = self.row(&format!("SELECT COUNT(*){wanted}"), &params)?;
        if let Some((at, id)) = &list.behind {
            wanted.push_str(" AND (at, id) < (?, ?)");
            params.extend([(*at).into(), id.as_str().into()]);
        }
        let limit = list.limit.clamp(1, MAX_TASK_PAGE);
        // One more than asked for says whether there are more.
        params.push((limit + 1).into());
        let sql = format!("SELECT at, id, text{wanted} ORDER BY at DESC, id DESC LIMIT ?");
        let mut page = TaskPage {
            total: total.map_or(Ok(0), |mut row| row.take())?,
            ..TaskPage::default()
        };
        let rows = self.rows(&sql, &params)?;
        let has_more = i64::try_from(rows.len()).is_ok_and(|found| found > limit);
        for row in rows.into_iter().take(usize::try_from(limit).unwrap_or(0)) {
            let mut row = Columns::of(row);
            page.last = Some((row.take()?, row.take()?));
            page.texts.push(row.take()?);
        }
        page.last = page.last.filter(|_| has_more);
        Ok(page)
    }

    fn sweep_tasks(&self, now_ms: i64) -> Result<(), LedgerError> {
        let too_old = now_ms.saturating_sub(TASK_MS);
        self.rows("DELETE FROM tasks WHERE at < ?", &[too_old.into()])?;
        self.rows(
            "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks ORDER BY at DESC LIMIT -1 OFFSET ?)",
            &[(MAX_TASKS - 1).into()],
        )?;
        Ok(())
    }
}
