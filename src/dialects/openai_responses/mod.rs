//! OpenAI Responses, upstream and as a surface for clients.
//!
//! `POST {base_url}/responses`, always stateless (`store: false`): reasoning comes back encrypted and is sent back with the next turn.
//! Spec: <https://platform.openai.com/docs/api-reference/responses>, and the deviations of xAI, Azure, Bedrock, DeepSeek and others.

mod answer;
pub mod client;
mod decoder;
mod input;
mod namespace;
mod passthrough;
mod passthrough_answer;
#[cfg(test)]
mod passthrough_tests;
mod request;
#[cfg(test)]
mod request_tests;
mod response;
mod stop;
mod stream;
mod usage;

pub use passthrough_answer::{Passthrough, WholeResponse, passes};
pub use request::request;
pub use response::response;
pub use stop::stop_reason;
pub use stream::Stream;

/// Reads the body of an answer that is not 200: the envelope is that of chat completions.
pub use super::openai_chat::error;
