//! What an answer used besides tokens: images, sound, characters, searches.
//!
//! Out of scope: what they cost (`credits::units`).

use serde::{Deserialize, Serialize};

/// How much care a made image got, where providers sell it at several prices.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Little.
    Low,
    /// The usual.
    #[default]
    Medium,
    /// Much.
    High,
}

/// Counts of what is not counted in tokens. All images of one answer have one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Units {
    /// Images made.
    pub images: u64,
    /// Their width in pixels.
    pub width: u32,
    /// Their height in pixels.
    pub height: u32,
    /// Their quality.
    pub quality: Quality,
    /// Milliseconds of sound listened to.
    pub audio_in_ms: u64,
    /// Milliseconds of sound made.
    pub audio_out_ms: u64,
    /// Characters spoken.
    pub characters: u64,
    /// Search units of a rerank.
    pub searches: u64,
}

impl Units {
    /// Pixels of all images.
    pub fn pixels(&self) -> u64 {
        let one = u64::from(self.width) * u64::from(self.height);
        one.saturating_mul(self.images)
    }

    /// Both together; sizes and quality are those of the side that has images.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let shape = if self.images > 0 { self } else { other };
        Self {
            images: self.images.saturating_add(other.images),
            audio_in_ms: self.audio_in_ms.saturating_add(other.audio_in_ms),
            audio_out_ms: self.audio_out_ms.saturating_add(other.audio_out_ms),
            characters: self.characters.saturating_add(other.characters),
            searches: self.searches.saturating_add(other.searches),
            ..*shape
        }
    }
}
