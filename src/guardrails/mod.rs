//! What may an account's requests say, and who may serve them? Guardrails: policies for the planner, filters for the text.
//!
//! A guardrail is a named set of [`Settings`]. It holds for the keys and members it is assigned to; an account's default guardrail and
//! its privacy settings hold for all its requests. What holds for a key is its [`Policy`], read with the key's record, so that a
//! request costs no look-up. Each guardrail is checked by itself: lists that allow intersect, everything else adds up.
//! Spec: OpenRouter's guardrails. Out of scope: budgets in force (the account's object keeps them), routes (`api::guardrails`).

mod body;
pub mod d1;
mod detect;
mod filters;
mod policy;
mod secrets;
mod settings;
mod words;

pub use body::{Voice, operation, rewrite};
pub use detect::Builtin;
pub use filters::{Filters, Outcome, PatternCache, Screening};
pub use policy::{Applied, Candidate, Denial, Policy, Scope};
pub use settings::{Action, BuiltinFilter, ContentFilter, DataRegion, ScanScope, Settings};
pub use words::{Fields, read, told};
