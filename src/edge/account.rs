//! The Durable Object shell of an account: one RPC door, operation and JSON in, JSON out.
//!
//! The door is called by `entry.mjs`, because the class that `#[durable_object]` generates cannot do RPC. Out of scope:
//! what the operations mean, which is the ledger's.

use serde_json::json;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

/// One account's object.
#[durable_object]
pub struct Account {
    state: State,
}

impl DurableObject for Account {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, _request: Request) -> Result<Response> {
        Response::error("this object speaks RPC", 404)
    }
}

#[wasm_bindgen]
impl Account {
    /// Runs one operation.
    pub fn call(&self, op: String, _json: String) -> std::result::Result<String, JsValue> {
        self.run(&op).map_err(JsValue::from)
    }
}

impl Account {
    fn run(&self, op: &str) -> Result<String> {
        match op {
            "ping" => Ok(json!({ "id": self.state.id().to_string() }).to_string()),
            _ => Err(Error::RustError(format!("no operation named {op}"))),
        }
    }
}
