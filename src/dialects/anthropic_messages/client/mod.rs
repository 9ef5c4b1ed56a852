//! The surface for clients of Anthropic's messages: their request in, messages, events and errors out, whoever serves.
//!
//! Out of scope: the upstream side of the dialect (the folder above). Spec: <https://docs.anthropic.com/en/api/messages>, with
//! OpenRouter's extensions (<https://openrouter.ai/docs/api-reference/overview>).

mod blocks;
mod content;
mod error;
mod foreign;
#[cfg(test)]
pub(in crate::dialects::anthropic_messages) mod grammar;
#[cfg(test)]
mod recorded_tests;
mod request;
#[cfg(test)]
mod request_tests;
mod server_tools;
mod tools;
mod usage;
mod whole;
mod wire;
mod writer;
#[cfg(test)]
mod writer_tests;

pub use error::error_body;
pub use request::parse_request;
pub(in crate::dialects::anthropic_messages) use usage::put_usage;
pub use whole::message;
pub use writer::MessageWriter;
pub(in crate::dialects::anthropic_messages) use writer::{event, put_head, stopped};

/// The fields that the reader knows, as a JSON Schema: the API's document has to name the same.
#[cfg(test)]
pub fn known_fields() -> serde_json::Value {
    schemars::schema_for!(wire::Request).to_value()
}
