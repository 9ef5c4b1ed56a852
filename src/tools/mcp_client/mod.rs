//! MCP as a client: the tools of somebody else's server, listed and called over Streamable HTTP, in both eras.
//!
//! | file | what |
//! |---|---|
//! | `request` | messages to the server, with their headers |
//! | `reading` | its answer: one JSON text, or events among which one is the answer |
//! | `client` | which era it speaks, sessions, one request after the other |
//! | `list` | all pages of its tools |
//! | `result` | what a call came to |
//! | `headers` | which arguments a tool wants repeated in headers |
//!
//! **Eras.** A server whose era is not known is asked `server/discover` (2026-07-28). A recognised error of that era names the
//! versions to go on with; a refusal of our key or pace is one; anything else means the legacy era, which begins with
//! `initialize`. The version that was agreed on is kept with the source, and where it no longer holds the other era is tried,
//! which is safe: a server that answers a message with 4xx because of its era has carried nothing out.
//!
//! **Sessions** of the legacy era last for one call: `initialize`, `notifications/initialized`, the call, and `DELETE` behind the
//! answer. A session that an isolate remembered would be there for one call and gone for the next, would have to be kept apart by
//! account and key, and would stay behind at the server when the isolate goes. Three short requests are the price, and servers of
//! the modern era do not ask it.
//!
//! **What is not offered**: sampling, elicitation, roots, tasks. None is declared; who asks all the same on a stream is told so, so
//! that the call goes on.
//!
//! **Nothing here trusts the server.** Pages, tools, events, bytes and time are bounded; ids, types and texts are checked. What its
//! tools may do is the catalog's word (`tools::imports`), never its own alone.
//!
//! Pure but for [`Wire`]. Out of scope: holds, keys, repeats (`tools::execute`), keeping what was listed (`tools::imports`).
//! Spec: <https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http>, and 2025-11-25 of the same.

mod client;
mod headers;
mod list;
mod reading;
mod request;
mod result;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;

pub use client::{Client, Trouble};
pub use headers::headers;
pub use list::list;
pub use request::Called;

use futures::future::LocalBoxFuture;

use super::{
    connector::{Answer, Outgoing},
    execute::{SendError, ToolPort},
};

/// The most pages of tools that are read.
pub const MAX_PAGES: usize = 40;
/// The most tools that are read.
pub const MAX_TOOLS: usize = 1_000;
/// The most bytes of one answer while tools are listed, and of all of them together.
pub const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;
/// The most bytes of an answer to anything but a call or a list.
pub const MAX_GREETING_BYTES: usize = 256 * 1024;
/// How long listing may take altogether.
pub const LIST_MS: u64 = 20_000;
/// The most events of a stream before its answer.
pub const MAX_EVENTS: usize = 10_000;
/// The most requests of a server on one stream that are answered.
pub const MAX_ASKED: usize = 16;
/// The most blocks of a result.
pub const MAX_BLOCKS: usize = 256;
/// The longest session id.
pub const MAX_SESSION: usize = 1_024;
/// How long the end of a session, and a refusal on a stream, may take.
pub const BEHIND_MS: u64 = 5_000;

/// What talking to a server needs of the world.
pub trait Wire: Clone + 'static {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// Sends a request, following no redirect.
    fn send(&self, request: Outgoing) -> LocalBoxFuture<'static, Result<Answer, SendError>>;

    /// Runs a task that outlives the answer.
    fn spawn(&self, task: LocalBoxFuture<'static, ()>);
}

impl<P: ToolPort> Wire for P {
    fn now_ms(&self) -> u64 {
        ToolPort::now_ms(self)
    }

    fn send(&self, request: Outgoing) -> LocalBoxFuture<'static, Result<Answer, SendError>> {
        ToolPort::send(self, request)
    }

    fn spawn(&self, task: LocalBoxFuture<'static, ()>) {
        ToolPort::spawn(self, task);
    }
}
