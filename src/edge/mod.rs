//! The platform: everything that names the `worker` crate, JavaScript or wasm-bindgen.
//!
//! Out of scope: any decision. This folder only carries bytes, bindings and time to the modules that decide.

mod account;

use serde_json::json;
use worker::{Context, Env, Method, Request, Response, Result};

/// Answers one request.
pub async fn fetch(request: Request, _env: Env, _context: Context) -> Result<Response> {
    match (request.method(), request.path().as_str()) {
        (Method::Get, "/health") => Response::from_json(&json!({ "status": "ok" })),
        _ => Ok(
            Response::from_json(&json!({ "error": { "code": 404, "message": "Not Found" } }))?
                .with_status(404),
        ),
    }
}
