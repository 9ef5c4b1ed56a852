//! What came of one call of a server tool.

use serde_json::{Value, json};

use super::{citation::Source, engine::SearchFee};
use crate::credits::money::Nanos;

/// What a call used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// A search.
    Search(SearchFee),
    /// A page, which is free.
    Fetch,
}

/// A call that was run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Called {
    /// What the model is told.
    pub told: String,
    /// It failed.
    pub is_error: bool,
    /// What the model was shown.
    pub sources: Vec<Source>,
    /// What the client is told, in short.
    pub result: Value,
    /// What it used up.
    pub spent: Option<Spent>,
    /// What it cost by itself, beside the request: an execution of the catalog's tools.
    pub fee: Nanos,
    /// It was not run: somebody has to confirm it first.
    pub is_pending: bool,
}

impl Called {
    /// A call that failed: the model is told why, and goes on.
    pub fn failed(told: impl Into<String>) -> Self {
        let told = told.into();
        Self {
            result: json!({"error": told}),
            told,
            is_error: true,
            ..Self::default()
        }
    }
}
