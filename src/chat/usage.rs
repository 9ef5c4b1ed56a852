//! Token counts of one answer, in one convention for every provider.
//!
//! The convention is *inclusive*: `prompt` counts cache reads and writes, `completion` counts reasoning. Dialects convert
//! (Anthropic reports exclusive counts, Gemini reports thoughts apart), so that `prompt + completion` is the total
//! (P03, P11, P13).

use serde::{Deserialize, Serialize};

use super::units::Units;

/// Token counts as the provider reported them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All prompt tokens, cache reads and writes included.
    pub prompt: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens written to the cache for five minutes (or the provider's default time).
    pub cache_write_5m: u64,
    /// Prompt tokens written to the cache for an hour.
    pub cache_write_1h: u64,
    /// All completion tokens, reasoning included.
    pub completion: u64,
    /// Completion tokens spent on reasoning.
    pub reasoning: u64,
    /// Prompt tokens that are sound.
    pub audio_in: u64,
    /// Completion tokens that are sound.
    pub audio_out: u64,
    /// Completion tokens that are images.
    pub image_out: u64,
    /// What the provider itself says it charged, in nano-dollars.
    pub upstream_cost: Option<i64>,
    /// The provider counted the answer but not the prompt: `prompt` is 0 because it is absent, not because it is nothing.
    #[serde(skip)]
    pub prompt_unknown: bool,
    /// Searches of the web that the provider says it ran; absent where its counts say nothing of them.
    #[serde(skip)]
    pub searches: Option<u64>,
    /// What was used besides tokens. The usage row keeps it as the lines of its charge.
    #[serde(skip)]
    pub units: Units,
    /// The counts are the gateway's estimate because the provider reported none (P31).
    pub estimated: bool,
}

impl Usage {
    /// `prompt + completion`.
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }

    /// Tokens written to the cache, whatever their lifetime.
    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h)
    }
}
