//! OpenAI's old completions, as a surface for clients: a prompt in, a text out. Upstreams are asked through chat.
//!
//! In scope: the request in the words of chat, texts and their stream, probabilities in the old form. Out of scope: hosts that
//! complete texts themselves. What a chat says beside its text (calls, images, sound) has no form here.
//! Spec: <https://platform.openai.com/docs/api-reference/completions>

mod logprobs;
mod request;
#[cfg(test)]
mod tests;
mod writer;

pub use request::parse_request;
pub use writer::{TextWriter, completion};
