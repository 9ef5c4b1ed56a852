//! Run the attempts of a plan: dispatch, time-outs, commit point, abort, settle. The one place where the parts meet.
//!
//! ```text
//! hold ──────────────┐ (beside the upstream call; no byte leaves before it is granted)
//! attempt 1 ─ fails ─┤ before its first content: nothing has left, the next attempt starts
//! attempt 2 ─ content┴─ commit ─ chunks … ─ settle ─ usage and end mark
//! ```
//!
//! Two attempts run side by side where the client asked for it (`race`), and a stream that breaks after its commit may go on
//! elsewhere (`resume`). What a failure leads to is a table ([`fallback`]).
//!
//! **Settlement.** A request is settled before its end mark is sent, so an answer that the client has seen to its end is
//! charged and on record, whatever happens next. Every other way out (client gone, panic, time-out) drops the
//! [`guard`], which hands the tab to a task that outlives the response. What neither reaches, the object's
//! alarm releases.
//!
//! Out of scope: who may call (`identity`), which endpoints (`routing`), the platform (`edge`, through [`ports`]).

pub mod caution;
pub mod fallback;
pub mod generator;
pub mod limits;
pub mod max_cost;
pub mod ports;

mod agent;
mod attempt;
mod bill;
mod flow;
mod guard;
mod images;
mod job;
mod measure;
mod operation;
mod own_key;
mod pipe;
mod race;
mod refusal;
mod resume;
mod run;
mod tab;
mod tools;
mod turn;
mod watch;

pub use job::{Head, Job, OnServed, Origin, Output, Wishes};
pub use ports::{AttemptEnd, Bill, Hold, Platform, UpstreamCall, UpstreamResponse, WebResponse};
pub use refusal::explain as explain_refusal;
pub use run::run;
pub use tools::ask;
