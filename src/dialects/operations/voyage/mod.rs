//! Voyage. Its answers have OpenAI's shape.
//!
//! Spec: <https://docs.voyageai.com/reference>.

pub mod embeddings;
pub mod rerank;
