//! One execution: validated, priced, guarded, confirmed, held, sent, settled and recorded, whatever protocol asked for it.

mod call;
mod port;
mod run;

pub use call::{Call, Confirm, OwnKey, Payer, ProviderWish, Step};
pub use port::{Answer, Attempt, Outgoing, Record, SendError, ToolPort};
pub use run::run;
