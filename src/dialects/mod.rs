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

pub mod sse;
