//! The surface for clients of OpenAI Responses: their request in, answers, events and errors out.
//!
//! Stateless, as OpenRouter's: nothing is stored, so `store: true` and references to earlier answers are refused.

mod echo;
mod error;
mod input;
mod output;
mod request;
#[cfg(test)]
mod request_tests;
mod sealed;
mod thinking;
mod tools;
mod usage;
mod web_search;
mod wire;
mod writer;
#[cfg(test)]
mod writer_tests;

pub(super) use echo::Echo;
pub use error::error_body;
pub(super) use error::put_failure;
pub use request::parse_request;
pub(super) use sealed::is_sealed;
pub(super) use usage::put_usage;
pub(super) use writer::{DONE, event};
pub use writer::{ResponseWriter, whole};

/// The fields that the reader knows, as a JSON Schema: the API's document has to name the same.
#[cfg(test)]
pub fn known_fields() -> serde_json::Value {
    schemars::schema_for!(wire::Request).to_value()
}
