//! The benchmark's yardstick: a Rust Worker that passes a request on and its answer back, untouched.
#![cfg(target_arch = "wasm32")]

use worker::{Context, Env, Fetch, Request, RequestInit, Response, Result, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    let url = format!("{}{}", env.var("UPSTREAM")?, request.path());
    let mut init = RequestInit::new();
    init.with_method(request.method())
        .with_headers(request.headers().clone());
    init.with_body(request.inner().body().map(Into::into));
    Fetch::Request(Request::new_with_init(&url, &init)?)
        .send()
        .await
}
