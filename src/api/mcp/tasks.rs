//! `tasks/get`, `tasks/update` and `tasks/cancel`: executions of this key, for clients that declare the extension.

use serde_json::json;

use super::{super::World, Ask, Reply, desk::Desk};
use crate::tools::{
    envelope::Status,
    mcp::{CAPABILITIES, Era, message::Fault, task},
};

/// The methods.
pub(super) const METHODS: [&str; 3] = ["tasks/get", "tasks/update", "tasks/cancel"];

/// Whether whoever asks takes tasks.
pub(super) fn are_taken(ask: &Ask) -> bool {
    ask.era == Era::Modern && task::declares(ask.request.meta(CAPABILITIES))
}

/// Answers one of [`METHODS`].
pub(super) async fn answer<W: World>(desk: &Desk<W>, ask: &Ask) -> Result<Reply, Fault> {
    let method = ask.request.method.as_str();
    if ask.era == Era::Legacy {
        return Err(Fault::method(method));
    }
    if !are_taken(ask) {
        return Err(task::missing());
    }
    let id = ask.request.text("taskId");
    let id = id.ok_or_else(|| Fault::params("taskId is missing"))?;
    let found = desk.look(id).await?;
    Ok(match method {
        "tasks/get" => ask.result(task::told(&found, desk.now())),
        "tasks/cancel" => {
            // What cannot be stopped goes on to its end; the client sees that by asking.
            if found.status == Status::Running {
                desk.stop(id).await;
            }
            ask.result(json!({}))
        }
        // No task waits for input.
        _ => ask.result(json!({})),
    })
}
