//! What was asked and answered: recorded where the account wants it, sealed, and kept for a while.
//!
//! ```text
//! KeyRecord.captures ─▶ relay: `Recorder` folds the events of each call ─▶ `Captured`, when the request has ended
//!   ─▶ behind the response: the account's wish (`Wish`), seal, one row in `contents` ─▶ /generation/content, log destinations
//! ```
//! - Nothing is recorded unless the account asked for it, and nothing is ever kept in the clear: AES-256-GCM under the
//!   deployment's master key, bound to the account and the generation's id.
//! - Media are told by their type and size. Texts beyond [`MAX_INPUT`] and [`MAX_OUTPUT`] are cut, and the record says so:
//!   of the input, the newest messages are kept.
//! - Sampling is by session, so that conversations are kept whole or not at all.
//! - Keeping is best effort: a Worker that dies between the answer and the write loses the record, never the usage row.
//!
//! Out of scope: routes (`api`), who delivers records elsewhere (`observability`).

pub mod d1;
mod input;
mod output;

use std::{fmt, rc::Rc};

use futures::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use input::{media_of_chat, media_of_operation, of_chat, of_operation};
pub use output::{Recorder, tell};

/// Bytes of text that are kept of an input.
pub const MAX_INPUT: usize = 384 * 1024;
/// Bytes of text that are kept of an output.
pub const MAX_OUTPUT: usize = 128 * 1024;
/// Days that records are kept where the account says nothing else.
pub const DEFAULT_DAYS: i64 = 90;
/// The longest that records are kept, in days.
pub const MAX_DAYS: i64 = 400;
/// A sampling rate is in parts of this.
pub const WHOLE: i64 = 1_000_000;

/// A side of a record, and whether some of it was left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Side {
    /// What is kept.
    pub json: Value,
    /// Text was cut, or messages were left out.
    pub is_cut: bool,
}

/// What a request asked and was answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Content {
    /// `{"messages": [...]}` of a conversation; an operation's own fields otherwise.
    pub input: Value,
    /// `{"completion", "reasoning", ...}` of a conversation; an operation's own fields otherwise.
    pub output: Value,
    /// `{"message", "status", "provider_name", "previous_errors"}` of a request that failed.
    pub error: Option<Value>,
    /// Some of the input was left out.
    #[serde(default)]
    pub input_truncated: bool,
    /// Some of the output was left out.
    #[serde(default)]
    pub output_truncated: bool,
}

/// A record with what decides whether it is kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Captured {
    /// The generation's id.
    pub id: String,
    /// The conversation's id, where the client names one.
    pub session: Option<String>,
    /// The record.
    pub content: Content,
}

/// Called once with the record of a request that has ended, behind the response.
#[derive(Clone)]
pub struct Keeper(pub Rc<dyn Fn(Captured) -> LocalBoxFuture<'static, ()>>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

/// What an account wants kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether input and output are kept.
    pub is_on: bool,
    /// Of [`WHOLE`] sessions, so many.
    pub parts: i64,
    /// Only requests of these keys; of all where there is no list.
    pub keys: Option<Vec<String>>,
    /// For so many days.
    pub days: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            is_on: false,
            parts: WHOLE,
            keys: None,
            days: DEFAULT_DAYS,
        }
    }
}

impl Settings {
    /// Whether they want this request of this key.
    pub fn want(&self, key_hash: &str, captured: &Captured) -> bool {
        let keys = self.keys.as_ref();
        self.is_on
            && keys.is_none_or(|keys| keys.iter().any(|key| key == key_hash))
            && is_sampled(self.parts, captured.session.as_deref(), &captured.id)
    }
}

/// Whether a request is among so many of [`WHOLE`]: all requests of a session are, or none; without one, each for itself.
pub fn is_sampled(parts: i64, session: Option<&str>, id: &str) -> bool {
    let digest = Sha256::digest(session.unwrap_or(id).as_bytes());
    let (head, _) = digest.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
    // Evenly over the whole but for a part in four thousand.
    i64::from(u32::from_be_bytes(*head)) % WHOLE < parts
}

/// At most `room` bytes of a text, cut between characters; the room shrinks. Whether it was cut is noted.
fn take(text: &str, room: &mut usize, is_cut: &mut bool) -> String {
    let end = text.floor_char_boundary(*room);
    *is_cut |= end < text.len();
    *room -= end;
    text.get(..end).unwrap_or_default().to_owned()
}

/// Bytes behind base64 text.
fn decoded_bytes(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests;
