//! Every feature of a conversation, from every surface to every dialect: what is sent upstream, and what the client is told.
//!
//! Native and without I/O: reader, planner, transforms, upstream writer; then decoder, filters and surface. `tests/matrix` asks
//! the same of the real runtime, for fewer features.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

mod endings;
mod history;
mod parameters;
mod wire;
