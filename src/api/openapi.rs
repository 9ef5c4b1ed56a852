//! `GET /openapi.json`: what the API is, for programs (OpenAPI 3.1).
//!
//! The document is put together by the tests (`UPDATE_OPENAPI=1 cargo test --lib openapi`) and kept as `openapi.json`, so that
//! no code that makes it is in the Worker. Each route of `routes` has its operation here, or a test fails. Types of requests
//! are those that bodies are read into; where a body is read by hand, and of answers, they are written down
//! (`openapi/types`), and tests hold them to the readers and to real answers.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod analytics;
#[cfg(test)]
mod beliefs;
#[cfg(test)]
mod billing;
#[cfg(test)]
mod books;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod destinations;
#[cfg(test)]
mod document;
#[cfg(test)]
mod executions;
#[cfg(test)]
mod guardrails;
#[cfg(test)]
mod inference;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod notation;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod people;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod usage;

use super::http::Response;

const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The document.
pub(super) fn show() -> Response {
    let mut response = Response::json_bytes(200, DOCUMENT.into());
    response.header("cache-control", "public, max-age=300");
    response
}
