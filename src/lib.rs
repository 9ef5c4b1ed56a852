//! Patchbay: one API key for every model and every tool, at the edge.
//!
//! This file is a table of contents: the modules of the house and, in the wasm build, the events that wake the Worker.
//! See `ARCHITECTURE.md` for the map.

pub mod access;
pub mod api;
pub mod books;
pub mod catalog;
pub mod chat;
pub mod credits;
pub mod database;
pub mod dialects;
pub mod error;
pub mod guardrails;
pub mod identity;
pub mod json;
pub mod observability;
pub mod operations;
pub mod presets;
pub mod regex;
pub mod relay;
pub mod routing;
pub mod server_tools;
pub mod signing;
pub mod time;
pub mod tools;
pub mod transforms;
pub mod usage;

#[cfg(target_arch = "wasm32")]
mod edge;

#[cfg(target_arch = "wasm32")]
use web_sys::{Request, Response};
#[cfg(target_arch = "wasm32")]
use worker::{Context, Env, Result, ScheduleContext, ScheduledEvent, event};

/// The isolate starts: a panic is logged with its place before it unwinds.
#[cfg(target_arch = "wasm32")]
#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// A request arrives.
#[cfg(target_arch = "wasm32")]
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    edge::fetch(request, env, context).await
}

/// The cron.
#[cfg(target_arch = "wasm32")]
#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, context: ScheduleContext) {
    edge::scheduled(event, env, context).await;
}
