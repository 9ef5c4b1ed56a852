//! Who should serve this request, and who next? Preferences and the plan of attempts.
//!
//! The planner is pure: the same request, models and [`Situation`] give the same plan.
//! Out of scope: running the plan (`relay`), gathering what a situation holds.

pub mod auto;
pub mod breaker;
mod credential;
pub mod explain;
pub mod health;
pub mod hedging;
pub mod naming;
mod needs;
pub mod order;
mod own;
mod plan;
mod preferences;
mod situation;
mod sorting;
pub mod statistics;
pub mod sticky;
mod tiers;

pub use credential::{Credential, OwnKey};
pub use needs::expected_cost;
pub use own::OwnCandidate;
pub use plan::{Exclusion, MAX_ATTEMPTS, Plan, Step, attempts, plan};
pub use preferences::{
    Cutoffs, DataCollection, Hedge, MaxPrice, ProviderPreferences, Sort, SortBy,
};
pub use situation::{Asked, Situation, Suffix, Wanted, seed};

#[cfg(test)]
mod planner_tests;
