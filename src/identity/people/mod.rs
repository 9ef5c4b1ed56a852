//! People: users, and the accounts that they are members of.
//!
//! | module | what |
//! |---|---|
//! | [`members`] | who is in an account, with which role |
//!
//! Out of scope: pages and routes (`api`).

pub mod members;
