//! Anthropic messages: as an upstream (`POST {base_url}/v1/messages`), and as a surface for clients (`client`).
//!
//! In scope: canonical request → native request, native answer, stream or error → canonical events. Out of scope:
//! credentials, retries, and Anthropic's own server tools (they are never declared; what
//! they did is told when an answer holds it).
//! Spec: <https://docs.anthropic.com/en/api/messages>, <https://docs.anthropic.com/en/docs/build-with-claude/streaming>

pub(super) mod answer;
mod cache;
pub mod client;
mod error;
pub(super) mod ids;
mod media;
pub(super) mod messages;
pub(super) mod native;
mod passthrough;
#[cfg(test)]
mod passthrough_tests;
#[cfg(test)]
mod properties;
pub(super) mod request;
#[cfg(test)]
mod request_tests;
mod response;
pub(super) mod schema;
mod splice;
mod stream;
pub(super) mod thinking;
mod usage;
mod wire;

pub use answer::stop_reason;
pub use error::error;
pub use passthrough::{Passthrough, WholeMessage};
pub use request::request;
pub use response::response;
pub use stream::Stream;
