//! Patchbay: one API key for every model and every tool, at the edge.
//!
//! This file is a table of contents: the modules of the house and, in the wasm build, the events that wake the Worker.
//! See `ARCHITECTURE.md` for the map.

pub mod catalog;
pub mod chat;
pub mod credits;
pub mod dialects;
pub mod error;
