//! Which of several equivalent providers is asked? What is believed of each, and the order that follows.
//!
//! ```text
//! execution ─ attempt ends ─▶ this isolate's memory (`cache`) ─────────────────────────┐
//!     └─ usage row ─▶ outbox ─▶ D1 ─ cron, each minute (`gather`) ─▶ D1, KV snapshot ──┴▶ `book` ─▶ `choice`
//! ```
//! `record` is what was seen of one operation, `posterior` the arithmetic. Out of scope: which *kind* of tool is wanted (`intent`): how
//! well a tool fits comes first, belief only breaks ties among those that do the same.

pub mod book;
pub mod cache;
pub mod choice;
pub mod gather;
pub mod posterior;
pub mod record;
