//! OpenAI chat completions, and everything that is compatible with them: as upstream, and as a surface for clients.
//!
//! Spec: <https://platform.openai.com/docs/api-reference/chat>, with OpenRouter's extensions
//! (<https://openrouter.ai/docs/api-reference/overview>).

mod answer;
#[cfg(test)]
mod answer_tests;
mod calls;
pub mod client;
mod decoder;
mod error;
mod ids;
mod messages;
mod parts;
mod passthrough;
#[cfg(test)]
mod passthrough_tests;
mod plain;
mod request;
#[cfg(test)]
mod request_tests;
mod response;
mod sources;
mod stop;
mod stream;
mod think;
mod thinking;
mod usage;

pub use error::error;
pub(super) use error::in_band;
pub use passthrough::{Passthrough, WholeAnswer};
pub(super) use request::hashed_user;
pub use request::request;
pub use response::response;
pub use stop::stop_reason;
pub use stream::Stream;
pub(super) use usage::cost as stated_cost;
