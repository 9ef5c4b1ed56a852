//! Where a conversation was served last.
//!
//! Out of scope: keeping and finding hints.

use crate::catalog::Endpoint;

/// The endpoint that holds a conversation's prompt cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The model's slug.
    pub model: String,
    /// The endpoint's tag.
    pub tag: String,
}

impl Hint {
    /// Whether the hint means this endpoint.
    pub fn means(&self, endpoint: &Endpoint) -> bool {
        self.tag == endpoint.tag && self.model == endpoint.model
    }
}
