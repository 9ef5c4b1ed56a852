//! Composites: chains of tools as data, carried out as one call.
//!
//! | file | what |
//! |---|---|
//! | `row` | the form of a chain, and what may be wrong with one |
//! | `order` | which steps run beside each other, which one after another |
//! | `kept` | a chain's state, as it is kept |
//! | `run` | carrying it out, and going on after a crash |
//! | `undo` | taking back what was done, where a later step failed |
//!
//! Each step is an execution of its own: priced, guarded, confirmed and kept as any other, under a name made of the chain's and its own, so it
//! happens once however often the chain is begun again. Form of the rows: `catalog/tools/README.md`. Out of scope: the steps themselves
//! ([`super::execute`]), where a chain's state is kept (`credits::ledger::tasks`).

mod kept;
mod order;
mod row;
mod run;
mod undo;

pub use kept::{Asked, Holding, Kept};
pub use row::{Composite, Deed, MAX_CALLS, MAX_EACH, MAX_STEPS, StepRow};
pub use run::{Runner, run};

/// The provider's slug of the chains that are shipped.
pub const PROVIDER: &str = "composite";

#[cfg(test)]
mod tests;
