//! Cohere's own chat API, version 2, as upstream.
//!
//! In scope: text, images, text documents, function tools with their plan, citations, thinking, JSON answers. Out of scope:
//! version 1, connectors, log probabilities, embeddings and rerank.
//! Spec: <https://docs.cohere.com/reference/chat>.

mod answer;
#[cfg(test)]
mod answer_tests;
mod citations;
mod error;
mod messages;
mod request;
#[cfg(test)]
mod request_tests;
mod response;
mod stop;
mod stream;
mod thinking;
mod usage;
mod wire;

pub use error::error;
pub use request::request;
pub use response::response;
pub use stop::stop_reason;
pub use stream::Stream;
