//! What happened? The record of each generation, and its way into D1.

pub mod content;
pub mod d1;
#[cfg(test)]
mod d1_tests;
pub mod measured;
mod row;
pub mod statistics;

pub use row::{Attempt, Correction, Generation, Origin, Part, UsageRow};
