//! Results and notifications on the wire.

use serde_json::{Map, Value, json};

use super::{Era, SERVER};

/// A line that keeps a silent stream open, and shows who has left.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Who answers.
pub fn server() -> Value {
    json!({"name": "patchbay", "title": "Patchbay", "version": env!("CARGO_PKG_VERSION")})
}

/// The message with a result. The modern era wants to know of what type it is, and who gives it.
pub fn result(era: Era, id: &Value, mut result: Value) -> Value {
    if let (Era::Modern, Some(fields)) = (era, result.as_object_mut()) {
        fields
            .entry("resultType")
            .or_insert_with(|| "complete".into());
        let meta = fields.entry("_meta").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert(SERVER.to_owned(), server());
        }
    }
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

/// How long a result may be kept, and by whom: for the modern era.
pub fn cached(era: Era, result: &mut Value, ttl_ms: u64, scope: &str) {
    if let (Era::Modern, Some(fields)) = (era, result.as_object_mut()) {
        fields.insert("ttlMs".to_owned(), ttl_ms.into());
        fields.insert("cacheScope".to_owned(), scope.into());
    }
}

/// A notification.
pub fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// How far a call is. `done` grows with each.
pub fn progress(token: &Value, done: f64, total: Option<f64>, message: &str) -> Value {
    let mut params = Map::new();
    params.insert("progressToken".to_owned(), token.clone());
    params.insert("progress".to_owned(), number(done));
    if let Some(total) = total {
        params.insert("total".to_owned(), number(total));
    }
    if !message.is_empty() {
        params.insert("message".to_owned(), message.into());
    }
    notification("notifications/progress", Value::Object(params))
}

/// Whole numbers without a point.
fn number(value: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "progress is small, and checked"
    )]
    let whole = value as i64;
    #[expect(clippy::cast_precision_loss, reason = "progress is small")]
    let is_whole = (whole as f64 - value).abs() < f64::EPSILON;
    if is_whole { whole.into() } else { value.into() }
}

/// A message as an event of a stream.
pub fn event(message: &Value) -> Vec<u8> {
    format!("event: message\ndata: {message}\n\n").into_bytes()
}
