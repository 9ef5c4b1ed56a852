//! The surface for clients of chat completions: their request in, answers, chunks and errors out.
//!
//! Field names, defaults and the error envelope are OpenRouter's.

mod error;
mod message;
mod request;
#[cfg(test)]
mod tests;
mod tools;
mod whole;
mod wire;
mod writer;
#[cfg(test)]
mod writer_tests;

pub use error::{error_body, put_error};
pub use request::parse_request;
pub use whole::{completion, put_usage};
pub use writer::{ChunkWriter, put_reasoning};
