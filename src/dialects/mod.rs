//! How does an upstream or a client spell it? One module per wire format, each with the same five functions.
//!
//! | function | reads | writes |
//! |---|---|---|
//! | `request` | canonical request (and the client's own bytes) | native request |
//! | `response` | native answer in one piece | events |
//! | `Stream::feed`, `Stream::finish` | native stream, any chunking | events |
//! | `error` | native error answer | [`Error`](crate::error::Error) |
//! | `stop_reason` | native word | [`FinishReason`](crate::chat::FinishReason) |
//!
//! Upstream dialects read *into* the canonical events, client surfaces write *from* them: N + M modules. Nothing here does
//! I/O or knows the time.

pub mod anthropic_messages;
pub mod gemini;
pub mod openai_chat;
pub mod splice;
pub mod sse;

use crate::{
    catalog::{Endpoint, Provider},
    chat::ChatRequest,
};

/// Whom a request is written for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The way to the model.
    pub endpoint: &'a Endpoint,
    /// Who serves it.
    pub provider: &'a Provider,
}

/// What the client asked for.
#[derive(Debug, Clone, Copy)]
pub struct Inbound<'a> {
    /// The request as every dialect understands it.
    pub request: &'a ChatRequest,
    /// The client's own bytes, where the client speaks chat completions: an upstream of the same dialect gets them back.
    pub raw: Option<&'a [u8]>,
}

/// A request as the upstream wants it, without its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeRequest {
    /// Appended to the provider's base URL; starts with `/`.
    pub path: String,
    /// Headers of the dialect, in lower case; authentication is the caller's.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Parameters that the client sent and this target cannot take.
    pub dropped: Vec<&'static str>,
}
