//! What does an account want said with a request? Presets: named fields of a request body, kept per account.
//!
//! A preset is looked up in memory, then KV, then D1, like a key; copies are at most [`MAX_AGE_MS`] old, and KV's own a little
//! older. Spec: OpenRouter's presets; requests get the newest version, earlier ones can be read. Out of scope: the routes that make them (`api`).

mod merge;
mod store;
mod words;

pub use merge::{Reference, apply, config_of, reference};
pub use store::{PresetCache, PresetStore, SELECT, find, kv_key};
pub use words::{complete, meaningless};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    database::Row,
    error::{Error, Result},
};

/// How old what memory knows may be, in milliseconds.
pub const MAX_AGE_MS: u64 = 60_000;
/// The longest slug.
pub const MAX_SLUG: usize = 64;

/// What a configuration says to the gateway's response cache; no request has these fields.
pub const OF_PRESETS: [&str; 2] = ["cache_enabled", "cache_ttl_seconds"];

/// A preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    /// Its id.
    pub id: String,
    /// Its name within the account.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// It is refused.
    pub disabled: bool,
    /// How often it was changed.
    pub version: i64,
    /// Fields of a request body.
    pub config: Map<String, Value>,
    /// The instructions of a request that brings none.
    pub system_prompt: Option<String>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub updated_at: i64,
}

impl Preset {
    /// Whether the response cache is on, where the preset says so.
    pub fn cache_enabled(&self) -> Option<bool> {
        self.config.get("cache_enabled").and_then(Value::as_bool)
    }

    /// The lifetime of what the cache keeps, in seconds, where the preset says so.
    pub fn cache_ttl_s(&self) -> Option<u64> {
        self.config.get("cache_ttl_seconds").and_then(Value::as_u64)
    }

    /// Reads a row of D1.
    ///
    /// # Errors
    /// When it does not have the columns of the schema.
    pub fn from_row(row: &Row) -> Result<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| row.get(name).and_then(Value::as_i64);
        let preset = || {
            Some(Self {
                id: text("id")?,
                slug: text("slug")?,
                name: text("name")?,
                description: text("description"),
                disabled: text("status")? != "active",
                version: number("version")?,
                config: crate::json::from_str(&text("config")?).ok()?,
                system_prompt: text("system_prompt"),
                created_at: number("created_at")?,
                updated_at: number("updated_at")?,
            })
        };
        preset().ok_or_else(|| Error::internal("a preset's row in D1 is not of the schema"))
    }
}

/// Whether a text may be a preset's slug: letters, digits, `-` and `_`.
pub fn is_slug(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= MAX_SLUG && text.bytes().all(fits)
}
