//! The ledger on SQLite: the statements that run in the Account object, under examples and random histories.
//!
//! `store` imitates the object's SQL (numbers as floats, few parameters, crashes on demand) and D1. `examples` names the rules
//! one by one; `properties` runs random histories against a model.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

mod corrections;
mod drill;
mod examples;
mod executions;
mod executions_properties;
mod export;
mod funds;
mod guards;
mod model;
mod notes;
mod properties;
mod rules;
mod rules_properties;
mod soak;
mod store;
mod tasks;
mod usage_rows;
