//! Tasks of protocols that have them: kept for a day, seen by the key that began them alone.
//!
//! In scope: keeping, finding and forgetting them. Out of scope: what is in them, and the executions that they stand for (`executions`).
//! No alarm wakes for them: the next task that begins sweeps out the old ones.

use super::{Ledger, LedgerError, word};
use crate::credits::ops::{TaskGet, TaskKept, TaskList, TaskPage, TaskPut};
use crate::credits::sql::{Columns, Sql, SqlValue};

/// The longest task, in bytes.
pub const MAX_TASK_BYTES: usize = 786_432;
/// How long a task is kept, in milliseconds.
pub const TASK_MS: i64 = 86_400_000;
/// The most tasks of an account; the oldest give way.
pub const MAX_TASKS: i64 = 10_000;
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
            if row.is_some() {
                return Ok(TaskKept { is_put: true, text: put.text.clone() });
            }
            let get = TaskGet { id: put.id.clone(), key_hash: put.key_hash.clone() };
            let text = self.task_get(&get)?.ok_or(LedgerError::IdReused)?;
            Ok(TaskKept { is_put: false, text })
        })
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
