//! Who should serve this request, and who next? Preferences and the plan of attempts.
//!
//! The planner is pure: the same request, catalog and preferences give the same plan. The order of this planner is price.
//! Out of scope: running the plan (`relay`).

mod credential;
mod needs;
mod plan;
mod preferences;
pub mod statistics;

pub use credential::{Credential, OwnKey};
pub use plan::{Exclusion, MAX_ATTEMPTS, Plan, Step, plan};
pub use preferences::{DataCollection, MaxPrice, ProviderPreferences, Sort, SortBy};
