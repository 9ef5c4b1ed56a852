//! What happened? The record of each generation, and its way into D1.

pub mod d1;
pub mod measured;
mod row;
pub mod statistics;

pub use row::{Attempt, Correction, Generation, Origin, Part, UsageRow};
