//! The surface for clients of chat completions: their request in, answers, chunks and errors out.
//!
//! Field names, defaults and the error envelope are OpenRouter's.

mod error;
mod message;
mod request;
#[cfg(test)]
mod tests;
mod wire;
mod writer;

pub use error::{error_body, put_error};
pub use request::parse_request;
pub use writer::{
    ChunkWriter, Meta, UsageReport, WriterOptions, completion, put_reasoning, put_usage,
};
