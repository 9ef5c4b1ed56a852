//! MCP, the Model Context Protocol, over Streamable HTTP: what a message means and how an answer is written.
//!
//! Two eras stand beside each other, chosen by each message for itself. In the modern one (2026-07-28) every request says all that is
//! needed to answer it; in the legacy one (2025-03-26 to 2025-11-25) a client says hello first. Neither needs memory here: what a
//! legacy client said is in its session id.
//!
//! | file | what |
//! |---|---|
//! | `message` | JSON-RPC: requests, notifications, answers, batches, errors |
//! | `era` | versions, headers, `_meta`: what a message has to say of itself |
//! | `session` | the session id of the legacy era |
//! | `describe` | a tool as clients are told of it |
//! | `select` | which tools a client sees, in pages |
//! | `meta` | the tools that stand for a large catalog |
//! | `outcome` | an envelope as the result of a call |
//! | `confirm` | asking a person, and what they answered |
//! | `task` | calls that take long, as tasks |
//! | `write` | results and notifications on the wire |
//! | `fixtures` | what the official conformance suite calls, out of a variable of a test deployment |
//!
//! Out of scope: I/O, keys, running tools (`api::mcp`). Spec: <https://modelcontextprotocol.io/specification/2026-07-28>.

pub mod confirm;
pub mod describe;
pub mod era;
pub mod fixtures;
pub mod message;
pub mod meta;
pub mod outcome;
pub mod select;
pub mod session;
pub mod task;
pub mod write;

#[cfg(test)]
mod fixtures_tests;
#[cfg(test)]
mod tests;

/// The version of the modern era.
pub const MODERN: &str = "2026-07-28";
/// The versions of the legacy era that are spoken, the newest first.
pub const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// The field of `_meta` that names a version.
pub const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The field of `_meta` that says what a client can do.
pub const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The field of `_meta` that asks for log messages.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The field of `_meta` that names the listening request.
pub const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// The field of `_meta` that says who answers.
pub const SERVER: &str = "io.modelcontextprotocol/serverInfo";
/// The field of `_meta` that makes a call happen once: our own.
pub const IDEMPOTENCY: &str = "io.patchbay/idempotencyKey";
/// The field of `_meta` with the token of a confirmation: our own.
pub const CONFIRMATION: &str = "io.patchbay/confirmation";

/// Which protocol a message speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2025-03-26 to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}
