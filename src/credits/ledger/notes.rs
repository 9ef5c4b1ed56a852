//! Notes that one request leaves for another: the answer to a question that was asked on a stream, the end of a call that runs elsewhere.
//!
//! In scope: keeping them until they are taken or too old. Out of scope: what they say. No alarm wakes for them: the next note
//! sweeps out the old ones.

use super::{Ledger, LedgerError, word};
use crate::credits::ops::{NotePut, NoteTake};
use crate::credits::sql::Sql;

/// The longest note.
pub const MAX_NOTE_BYTES: usize = 65_536;
/// The longest time that a note is kept, in milliseconds.
const MAX_NOTE_MS: i64 = 3_600_000;
/// The most notes of an account.
const MAX_NOTES: i64 = 1_000;

impl<S: Sql> Ledger<S> {
    /// Leaves a note.
    ///
    /// # Errors
    /// When it is too long, there are too many, or the store fails.
    pub fn note_put(&self, note: &NotePut, now_ms: i64) -> Result<(), LedgerError> {
        word("name", &note.name)?;
        if note.text.len() > MAX_NOTE_BYTES {
            let message = format!("a note has at most {MAX_NOTE_BYTES} bytes");
            return Err(LedgerError::Invalid(message));
        }
        let ends_at = now_ms.saturating_add(note.ttl_ms.clamp(0, MAX_NOTE_MS));
        self.transaction(|| {
            self.rows("DELETE FROM notes WHERE ends_at <= ?", &[now_ms.into()])?;
            let kept = self.row(
                "INSERT INTO notes (name, text, ends_at) SELECT ?, ?, ? WHERE (SELECT COUNT(*) FROM notes) < ?
                 ON CONFLICT (name) DO UPDATE SET text = excluded.text, ends_at = excluded.ends_at RETURNING name",
                &[
                    note.name.as_str().into(),
                    note.text.as_str().into(),
                    ends_at.into(),
                    MAX_NOTES.into(),
                ],
            )?;
            kept.map(|_| ())
                .ok_or_else(|| LedgerError::Invalid("there are too many notes".to_owned()))
        })
    }

    /// Takes a note away; none where it is not there, or too old.
    ///
    /// # Errors
    /// When the store fails.
    pub fn note_take(&self, take: &NoteTake, now_ms: i64) -> Result<Option<String>, LedgerError> {
        let row = self.row(
            "DELETE FROM notes WHERE name = ? AND ends_at > ? RETURNING text",
            &[take.name.as_str().into(), now_ms.into()],
        )?;
        row.map(|mut row| Ok(row.take()?)).transpose()
    }
}
