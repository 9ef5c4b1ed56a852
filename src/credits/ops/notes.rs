//! Calls about notes: what one request leaves for another of the same account, for a short time.
//!
//! In scope: the types on the wire. Out of scope: what the notes say (`api::mcp`).

use serde::{Deserialize, Serialize};

/// Leaves a note. One of the same name takes its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NotePut {
    /// Its name, unique within the account.
    pub name: String,
    /// What it says.
    pub text: String,
    /// How long it is kept, in milliseconds.
    pub ttl_ms: i64,
}

/// Takes a note away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NoteTake {
    /// Its name.
    pub name: String,
}
