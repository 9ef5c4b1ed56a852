//! The relay under a clock that the tests move: scripted upstreams, the real ledger on SQLite, clients that read, wait or leave.
//!
//! `world` is the platform, `upstream` scripts the providers, `client` drives one request. The others are tests by subject.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

#[expect(dead_code, reason = "shared with the ledger's own tests")]
#[path = "../ledger/store.rs"]
mod store;

mod classes;
mod client;
mod commit;
mod content;
mod hedging;
mod holds;
mod hosted;
mod leaving;
mod limits;
mod max_cost;
mod measuring;
mod native_search;
mod operations;
mod own_keys;
mod refusals;
mod resuming;
mod server_tools;
mod settling;
mod shaping;
mod tiers;
mod upstream;
mod world;
