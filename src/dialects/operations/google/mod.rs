//! Google: AI Studio's embeddings and images, and Vertex' `:predict`.
//!
//! Spec: <https://ai.google.dev/api/embeddings>, <https://ai.google.dev/api/generate-content>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>.

pub mod embeddings;
pub mod images;
