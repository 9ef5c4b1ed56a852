//! What happened? The record of each generation, and its way into D1.

pub mod d1;
mod row;

pub use row::{Attempt, Generation, Origin, Part, UsageRow};
