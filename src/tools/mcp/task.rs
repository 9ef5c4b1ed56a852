//! Calls that take long, as tasks: the extension of the modern era that a client has to declare.
//!
//! A task is an execution under its own id; nothing else is kept. A call that wants to be confirmed is answered before there is a task, so none
//! ever waits for input. Spec: <https://modelcontextprotocol.io/seps/2663-tasks-extension>.

use serde_json::{Value, json};

use super::{
    message::{Fault, MISSING_CAPABILITY},
    outcome,
};
use crate::{
    json::set,
    time::rfc3339,
    tools::envelope::{Envelope, Status},
};

/// The extension's name.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// For how long an execution is kept, in milliseconds.
const TTL_MS: i64 = 86_400_000;
/// How often it makes sense to ask, in milliseconds.
const POLL_MS: i64 = 2_000;

/// Whether a client takes tasks.
pub fn declares(capabilities: Option<&Value>) -> bool {
    let extensions = capabilities.and_then(|all| all.get("extensions"));
    extensions.is_some_and(|extensions| extensions.get(EXTENSION).is_some_and(Value::is_object))
}

/// What a client is told that asks for tasks and does not take them.
pub fn missing() -> Fault {
    let wanted = json!({"requiredCapabilities": {"extensions": {EXTENSION: {}}}});
    Fault::new(
        MISSING_CAPABILITY,
        format!("The client does not declare {EXTENSION}"),
    )
    .with(wanted)
}

/// The answer to a call that became a task.
pub fn created(id: &str, now_ms: i64) -> Value {
    let mut task = task(id, "working", 0, now_ms);
    set(&mut task, "resultType", "task");
    task
}

/// A task as it stands: one that ended with what the call would have answered, whether the tool succeeded or not.
pub fn told(envelope: &Envelope, now_ms: i64) -> Value {
    let status = match envelope.status {
        Status::Running => "working",
        Status::Cancelled => "cancelled",
        _ => "completed",
    };
    let took = i64::try_from(envelope.usage.latency_ms).unwrap_or(0);
    let mut task = task(&envelope.id, status, took, now_ms);
    if status == "completed" {
        set(&mut task, "result", outcome::result(envelope.to_value()));
    }
    task
}

fn task(id: &str, status: &str, took_ms: i64, now_ms: i64) -> Value {
    let began = began(id).unwrap_or(now_ms);
    json!({
        "taskId": id,
        "status": status,
        "createdAt": rfc3339(began),
        "lastUpdatedAt": rfc3339(began.saturating_add(took_ms)),
        "ttlMs": TTL_MS,
        "pollIntervalMs": POLL_MS,
    })
}

/// When an execution began: its id says so, to the second.
fn began(id: &str) -> Option<i64> {
    let seconds: i64 = id.strip_prefix("exec-")?.split('-').next()?.parse().ok()?;
    seconds.checked_mul(1_000)
}
