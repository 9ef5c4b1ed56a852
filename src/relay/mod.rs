//! Run the attempts of a plan: dispatch, time-outs, commit point, abort, settle. The one place where the parts meet.
//!
//! ```text
//! hold ──────────────┐ (beside the upstream call; no byte leaves before it is granted)
//! attempt 1 ─ fails ─┤ before its first content: nothing has left, the next attempt starts
//! attempt 2 ─ content┴─ commit ─ chunks … ─ settle ─ usage and end mark
//! ```
//!
//! **Settlement.** A request is settled before its end mark is sent, so an answer that the client has seen to its end is
//! charged and on record, whatever happens next. Every other way out (client gone, panic, time-out) drops the
//! [`guard`], which hands the tab to a task that outlives the response. What neither reaches, the object's
//! alarm releases.
//!
//! Out of scope: who may call (`identity`), which endpoints (`routing`), the platform (`edge`, through [`ports`]).

pub mod generator;
pub mod limits;
pub mod ports;

mod attempt;
mod bill;
mod guard;
mod job;
mod pipe;
mod refusal;
mod run;
mod tab;
mod watch;

pub use job::{Head, Job, OnServed, Origin, Output};
pub use ports::{Bill, Hold, Platform, UpstreamCall, UpstreamResponse};
pub use refusal::explain as explain_refusal;
pub use run::{KEEP_ALIVE, run};
