//! From usage rows to what the planner knows of endpoints.
//!
//! ```text
//! relay ─ attempt ends ─▶ this isolate's memory (`cache`) ──────────────────────┐
//!    └─ usage row ─▶ outbox ─▶ D1 ─ cron, each minute (`gather`) ─▶ KV snapshot ─┴▶ `routing::statistics`
//! ```
//! The cron adds the attempts of new rows to tallies per endpoint and minute, and per endpoint and hour; windows are sums of
//! these. A tally is exact in its counts; its percentiles are off by at most 1/32 (`histogram`).
//!
//! Out of scope: what is done with it (`routing`).

mod cache;
mod gather;
mod histogram;
mod outages;
mod spans;
mod tally;

pub use cache::{Freshness, LISTING_AGE_MS, MAX_AGE_MS, OWN_CAPACITY, StatisticsCache};
pub use gather::{Gathered, MAX_BATCHES, MAX_ROWS, SNAPSHOT_KEY, SnapshotStore, gather};
pub use histogram::{Histogram, MAX_ERROR};
pub use spans::{DAY_HOURS, LATE_MS, Spans};
pub use tally::{LEAST_SPEED_TOKENS, Tally, UPTIME_LEAST_ATTEMPTS, UPTIME_LEAST_PERCENT};
