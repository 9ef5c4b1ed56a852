//! Gemini as an upstream: `generateContent` of the Gemini API (AI Studio, `v1beta`).
//!
//! In scope: canonical request → native request, native answers (in one piece, streamed, failed) → canonical events.
//! Out of scope: Gemini as a client surface, Vertex AI's addresses and credentials, uploading files, creating cached contents.
//! Spec: <https://ai.google.dev/api/generate-content>

mod answer;
#[cfg(test)]
mod answer_tests;
mod error;
mod grounding;
mod response;
mod stop;
mod stream;
mod usage;
mod wire;

pub use error::error;
pub use response::response;
pub use stop::stop_reason;
pub use stream::Stream;
