//! `/tools`: the catalog for clients, and functions that models called, run for them.
//!
//! | file | what |
//! |---|---|
//! | `list` | `/tools`, `/tools/categories`, one tool; functions for the APIs of models |
//! | `answer` | one call of a function: a tool, or one of the functions that stand for the catalog |
//! | `run` | `POST /tools/run`: all calls of a model's answer |
//! | `usage` | what was run, a row each |
//! | `hosted` | tools inside a conversation: the relay's loop runs them |
//!
//! Out of scope: one execution over REST (`executions`), the catalog (`crate::tools`).

mod answer;
mod hosted;
mod list;
mod run;
mod usage;

pub(super) use hosted::hosted;
pub(super) use list::{categories, list, one};
pub(super) use run::run;
pub(super) use usage::usage;
