//! Who is asking, and what may they do? API keys, those who administer accounts, the operator, and the provider keys that
//! accounts bring; people and what they are members of.
//!
//! A key is looked up in memory, then KV, then D1; copies are at most [`keys::MAX_AGE_MS`] old. That is enough for *who* a
//! key is. *Whether* it may still spend is decided by the account's object at each hold, so a disabled or deleted key is
//! refused on its next request, whatever the copies say.

pub mod keys;
mod manager;
pub mod operator;
pub mod own_keys;
pub mod people;
mod store;

pub use keys::{KeyRecord, MintedKey};
pub use manager::{Actor, Manager, Role};
pub use store::{Directory, KeyCache, authenticate};
