//! Tool calling where the endpoint has none, and where it leaks its model's own way of calling into the text.
//!
//! Without native tools the tools are described in the instructions, calls and results of the history are written as text
//! (`prompt`), and calls are read out of the answer's text as it comes ([`markup`]). The client sees real calls either way.

use std::borrow::Cow;

use crate::{
    catalog::{Parameter, Quirk},
    chat::{ChatRequest, Part, ToolChoice},
};

mod decode;
mod markup;
#[cfg(test)]
mod markup_tests;
mod prompt;

use super::{Note, Setting, Shape};
use markup::Markup;

/// Where the model would go on with a result of its own making.
const STOP: &str = "<tool_response";
/// The most stop sequences that hosts take.
const MAX_STOPS: usize = 4;

/// Arranges for tools that the endpoint does not have, or does not read back.
pub(super) fn arrange(
    setting: &Setting<'_>,
    request: &mut Cow<'_, ChatRequest>,
    shape: &mut Shape,
) {
    let offers = !request.tools.is_empty() && request.tool_choice != Some(ToolChoice::None);
    if setting.endpoint.supports(Parameter::Tools) {
        if offers && setting.has(Quirk::LeaksToolMarkup) {
            shape.filters.push(Markup::leaked(setting, request));
        }
        return;
    }
    if !offers && !has_calls(request) {
        return;
    }
    if offers {
        shape.filters.push(Markup::prompted(setting, request));
        let count = request.tools.len();
        let summary = format!(
            "The provider has no tools for this model: {count} were described in the instructions"
        );
        shape
            .notes
            .push(Note::new("plugin", "tool-prompting", summary));
    }
    let request = request.to_mut();
    prompt::write(request, offers);
    let can_stop = setting.endpoint.supports(Parameter::Stop);
    if offers && can_stop && request.stop.len() < MAX_STOPS {
        request.stop.push(STOP.to_owned());
    }
    request.tools.clear();
    request.tool_choice = None;
    request.parallel_tool_calls = None;
}

/// Whether the conversation has calls or results.
fn has_calls(request: &ChatRequest) -> bool {
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(part, Part::ToolCall { .. } | Part::ToolResult { .. }))
}
