//! Tools that somebody brings: an OpenAPI document, or an MCP server, as a provider with operations like those of the catalog.
//!
//! What is read here was written by strangers. Names are made portable ([`name`]), texts lose what cannot be seen and are bounded
//! ([`text`]), schemas keep what every client understands ([`shape`]); what cannot be carried over is left out and told. Nothing of
//! a document reaches a template, a variable or a secret of the deployment. Pure: fetching, keeping and listing are another's
//! (`api::sources`).

pub mod auth;
pub mod cache;
pub mod mcp;
pub mod name;
pub mod openapi;
pub mod operation;
pub mod review;
pub mod settings;
pub mod shape;
pub mod store;
pub mod text;

#[cfg(test)]
mod openapi_tests;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::catalog::ToolProvider;

/// The most bytes of a document, and of the tools that an MCP server lists.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The most operations of one source.
pub const MAX_OPERATIONS: usize = 200;
/// The most bytes of the rows of one source.
pub const MAX_ROWS_BYTES: usize = 500_000;
/// The most sources of one account, and of the operator.
pub const MAX_SOURCES: usize = 20;
/// The category of imported tools where their owner names none.
pub const CATEGORY: &str = "imported";

/// Something that was not carried over as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What: an operation by its method and path, or a tool by its name; empty for the whole.
    pub what: String,
    /// Why, and what became of it.
    pub why: String,
}

impl Told {
    /// This of that.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
        }
    }
}

/// What a document or server came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Imported {
    /// The provider with its operations.
    pub provider: ToolProvider,
    /// What was left out.
    pub left_out: Vec<Told>,
    /// What was carried over with less than it said.
    pub weakened: Vec<Told>,
}
