//! Running one execution from the call to its envelope.

use super::{Call, OwnKey, Payer, ToolPort};
use crate::tools::{
    catalog::ToolView,
    envelope::{Envelope, ToolError},
};

/// Executes a call for whoever pays, over what the key sees of the catalog and with the provider keys that its account brought. What a client
/// can cause is told in the envelope.
pub async fn run<P: ToolPort>(
    port: &P,
    view: &ToolView,
    _payer: &Payer,
    _own: &[OwnKey],
    call: Call,
) -> Envelope {
    let tool = match view.get(&call.tool) {
        Ok((tool, _)) => tool.id.clone(),
        Err(refused) => {
            let error = ToolError::new("tool_not_found", "client", refused.to_string());
            return Envelope::failed(&call.id, &call.tool, error);
        }
    };
    port.report("tools cannot be executed yet");
    let error = ToolError::new(
        "gateway_unavailable",
        "gateway",
        "Tools cannot be executed yet",
    );
    Envelope::failed(&call.id, &tool, error)
}
