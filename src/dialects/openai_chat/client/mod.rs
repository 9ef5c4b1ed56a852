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

pub(in crate::dialects) use error::{INTERNAL, is_internal, put_metadata, put_told};
pub use error::{error_body, put_error};
pub use request::parse_request;
pub(in crate::dialects) use request::{
    explain, metadata, models, positive, provider, session_id, under, within,
};
pub use whole::{completion, put_usage};
pub(in crate::dialects) use whole::{put_cost_details, put_dollars, put_parts, put_server_tools};
pub(in crate::dialects) use wire::media_url;
pub use writer::{ChunkWriter, put_reasoning};

/// The fields that the reader knows, as a JSON Schema: the API's document has to name the same.
#[cfg(test)]
pub fn known_fields() -> serde_json::Value {
    schemars::schema_for!(wire::Request).to_value()
}
