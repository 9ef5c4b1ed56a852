//! Do the books agree? Every balance, counter, hold and lot against the entries that make it, every purchase, coupon and refund
//! against what D1 says of it, every settlement against its usage row, every charge against its own arithmetic and against what the
//! provider says it cost.
//!
//! ```text
//! object ─ pages of entries, the oldest first ─▶ Audit (pure) ◀─ their usage rows ─ D1
//!                                                  │ findings
//! cron, operator ─ step: some pages ─▶ walk ───────┴▶ reconcile_findings, open until a whole walk no longer finds them
//! ```
//! A walk over one account has three parts: *entries* (each one, with its row, purchase, coupon or refund), *funds* (each paid purchase,
//! redeemed coupon and refund must have its entries), *rows* (each one must have an entry). It keeps its place in D1, so a run may
//! end anywhere. The object and D1 are two stores, read one after the other: what differs is read once more, and only what differs
//! both times is a finding. What is still on its way (rows in the outbox, what is written right after an entry) is no difference.
//!
//! Nothing is mended here: a difference is told, and a person decides.

mod audit;
mod d1;
mod finding;
mod schedule;
mod walk;

pub use audit::{Audit, Drift, KeptRow};
pub use d1::{FINDINGS, WALKS, text};
pub use finding::{Finding, Kind};
pub use schedule::{EVERY_MS, STEPS_PER_RUN, reconcile_some, rows_since};
pub use walk::{PAGE, Progress, step};
