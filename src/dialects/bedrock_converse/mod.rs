//! Bedrock's Converse as an upstream: `POST {base_url}/model/{id}/converse` and `…/converse-stream`.
//!
//! One wire for the models of many authors; what differs between them (whether they cache, how they are asked to reason) is data
//! of the endpoint. In scope: canonical request → native request, native answer, stream or error → canonical events. Out of
//! scope: credentials (`signing`), guardrails, system tools (never declared; what they did is told when an answer holds it),
//! and the models' own bodies (`/invoke`).
//! Spec: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>

mod answer;
mod cache;
mod citation;
mod error;
mod media;
mod messages;
mod native;
mod reasoning;
mod request;
#[cfg(test)]
mod request_tests;
mod response;
mod stream;
#[cfg(test)]
mod stream_tests;
mod tools;
mod usage;
mod wire;

pub use answer::stop_reason;
pub use error::error;
pub use request::request;
pub use response::response;
pub use stream::Stream;
