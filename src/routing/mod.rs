//! Who should serve this request, and who next? Preferences and the plan of attempts.
//!
//! The planner is pure: the same request, catalog and preferences give the same plan. The order of this planner is price.
//! Out of scope: running the plan (`relay`).

mod needs;
mod plan;
mod preferences;

pub use plan::{Exclusion, MAX_ATTEMPTS, Plan, plan};
pub use preferences::{DataCollection, MaxPrice, ProviderPreferences, Sort, SortBy};
