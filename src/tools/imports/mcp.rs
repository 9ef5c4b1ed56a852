//! What an MCP server lists as operations. Asking it, and calling its tools, is `tools::mcp_client`'s.
//!
//! Annotations are a stranger's hints: that a tool only reads is believed where its owner says so.

use serde_json::Value;

/// What an MCP server said of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// Its `serverInfo`.
    pub server: Value,
    /// The revision of the protocol that it speaks.
    pub protocol: String,
    /// Its tools as it lists them, all pages.
    pub tools: Vec<Value>,
    /// There were more than were read.
    pub is_cut: bool,
}
