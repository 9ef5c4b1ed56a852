//! Gemini as an upstream: `generateContent` of the Gemini API (AI Studio, `v1beta`).
//!
//! In scope: canonical request → native request, native answers (in one piece, streamed, failed) → canonical events.
//! Out of scope: Gemini as a client surface, Vertex AI's addresses and credentials, uploading files, creating cached contents.
//! Spec: <https://ai.google.dev/api/generate-content>

mod answer;
#[cfg(test)]
mod answer_tests;
mod body;
mod contents;
mod error;
mod grounding;
mod media;
mod parts;
mod request;
#[cfg(test)]
mod request_tests;
mod response;
mod results;
mod schema;
mod stop;
mod stream;
mod thinking;
mod usage;
mod wire;

pub use error::error;
pub use request::request;
pub use response::response;
pub(crate) use schema::parameters;
pub use stop::stop_reason;
pub use stream::Stream;
