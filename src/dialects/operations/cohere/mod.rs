//! Cohere v2. Rankings are read by the shared reader of `openai::rerank`.
//!
//! Spec: <https://docs.cohere.com/reference>.

pub mod embeddings;
pub mod rerank;
pub mod transcription;
