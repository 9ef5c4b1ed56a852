//! One execution: validated, priced, guarded, confirmed, held, sent, settled and recorded, whatever protocol asked for it.
//!
//! [`run`] plans which tool may do it with whose key (`plan`), asks the account's object once (`admit`), sends (`attempt`), and tells the
//! object once how it ended (`finish`). What it needs of the world is [`ToolPort`]. The state machine and the money are the object's
//! (`credits::ledger::executions`); requests and answers are the connector's.

mod admit;
mod attempt;
mod call;
mod digest;
mod finish;
mod kept;
mod look;
mod margin;
mod plan;
mod port;
mod refusal;
mod remote;
mod run;
mod summary;

pub use admit::CONFIRM;
pub use call::{Call, Confirm, OwnKey, Payer, ProviderWish, Step};
pub use digest::fingerprint;
pub use look::{cancel, look};
pub use margin::{MARGIN, Margin};
pub use port::{Attempt, Choosing, Chosen, Record, SendError, ToolPort, ToolWire};
pub use run::run;

pub use super::connector::{Answer, Outgoing};
