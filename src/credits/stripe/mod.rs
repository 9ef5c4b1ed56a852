//! How Stripe is spoken to and heard: forms, objects, signatures. Pure: nothing is sent here.
//!
//! | module | what |
//! |---|---|
//! | [`form`] | request bodies: `application/x-www-form-urlencoded` with brackets |
//! | [`objects`] | the few fields of its objects, events and errors that matter |
//! | [`signature`] | the header that signs a webhook; our own notices are signed in the same way |
//!
//! Out of scope: what an event leads to (`api::billing`), the ledger. Spec: <https://docs.stripe.com/api>

pub mod form;
pub mod objects;
pub mod signature;

/// The version of the API that requests ask for, so that an upgrade of the account changes nothing here.
pub const VERSION: &str = "2026-10-28.endive";
/// Where the API is.
pub const URL: &str = "https://api.stripe.com";
/// The largest webhook body, in bytes.
pub const MAX_EVENT_BYTES: usize = 512 * 1024;
