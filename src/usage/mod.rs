//! What happened? The record of each generation, and its way into D1.

pub mod analytics;
pub mod app;
pub mod content;
pub mod d1;
#[cfg(test)]
mod d1_tests;
pub mod facts;
pub mod measured;
pub mod observed;
pub mod rankings;
pub mod rollup;
mod row;
#[cfg(test)]
mod scale_tests;
pub mod statistics;

pub use row::{Attempt, Correction, Generation, MediaCounts, Origin, Part, UsageRow};
