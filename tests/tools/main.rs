//! Executions of tools from the call to the envelope: a real ledger, a provider that is scripted, a clock that is moved.
//!
//! `world` is what an execution sees of the world, `rows` the tools.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

mod answers;
mod jobs;
mod money;
mod names;
mod remote;
mod rows;
#[path = "../ledger/store.rs"]
#[expect(dead_code, reason = "the tests of the ledger use the rest of it")]
mod store;
mod world;
