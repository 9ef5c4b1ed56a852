//! OpenAI chat completions, and everything that is compatible with them: as upstream, and as a surface for clients.
//!
//! Spec: <https://platform.openai.com/docs/api-reference/chat>, with OpenRouter's extensions
//! (<https://openrouter.ai/docs/api-reference/overview>).

pub mod client;
