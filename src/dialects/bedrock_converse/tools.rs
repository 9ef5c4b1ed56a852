//! Tools and the choice among them.
//!
//! The API refuses calls in the history where no tools are declared (P60), a list of none (P61), and has no word for "call
//! nothing" (P62): there the tools are withheld, or, where the history holds calls, asked for in words not to be called.

use super::{
    messages::Prompt,
    native::{Content, InputSchema, Tool, ToolChoice, ToolConfig, ToolSpec},
};
use crate::{
    catalog::{Endpoint, Parameter},
    chat::{self, ChatRequest},
    dialects::anthropic_messages::schema,
    error::{Error, Result},
};

const CALL_NOTHING: &str = "Answer without calling a tool.";

/// The tools of a request; nothing where there are none to tell of.
///
/// # Errors
/// 400 where the parameters of a tool are no schema of an object.
pub(super) fn tools<'a>(
    request: &'a ChatRequest,
    endpoint: &Endpoint,
    prompt: &mut Prompt<'a>,
    dropped: &mut Vec<&'static str>,
) -> Result<Option<ToolConfig<'a>>> {
    let called = prompt.called();
    let calls_nothing = request.tool_choice == Some(chat::ToolChoice::None);
    if calls_nothing && called.is_empty() {
        return Ok(None);
    }
    let mut tools = Content::default();
    for (at, tool) in request.tools.iter().enumerate() {
        if calls_nothing && !called.contains(&tool.name.as_str()) {
            continue;
        }
        tools.push(declared(tool, at, endpoint, dropped)?, tool.cache);
    }
    for name in called {
        if !request.tools.iter().any(|tool| tool.name == name) {
            tools.push(bare(name), None);
        }
    }
    if calls_nothing {
        prompt.instruct(CALL_NOTHING);
    }
    dropped.dedup();
    if tools.is_empty() {
        return Ok(None);
    }
    Ok(Some(ToolConfig {
        tools,
        tool_choice: choice(request, endpoint, dropped),
    }))
}

fn declared<'a>(
    tool: &'a chat::Tool,
    at: usize,
    endpoint: &Endpoint,
    dropped: &mut Vec<&'static str>,
) -> Result<Tool<'a>> {
    let json = schema::tool_input(tool.parameters.as_ref()).ok_or_else(|| {
        Error::invalid(
            format!("tools[{at}].function.parameters"),
            "expected a JSON Schema object",
        )
    })?;
    // P78
    let wants_strict = tool.strict == Some(true);
    let strict = wants_strict && endpoint.supports(Parameter::StructuredOutputs);
    if wants_strict && !strict {
        dropped.push("tools.function.strict");
    }
    let json = if strict {
        schema::enforceable(json)
    } else {
        json
    };
    Ok(Tool::ToolSpec(ToolSpec {
        name: &tool.name,
        description: tool.description.as_deref().filter(|text| !text.is_empty()),
        input_schema: InputSchema { json },
        strict,
    }))
}

/// A tool of which only its calls are known.
fn bare(name: &str) -> Tool<'_> {
    Tool::ToolSpec(ToolSpec {
        name,
        description: None,
        input_schema: InputSchema {
            json: schema::tool_input(None).unwrap_or_default(),
        },
        strict: false,
    })
}

fn choice<'a>(
    request: &'a ChatRequest,
    endpoint: &Endpoint,
    dropped: &mut Vec<&'static str>,
) -> Option<ToolChoice<'a>> {
    if request.parallel_tool_calls == Some(false) {
        dropped.push("parallel_tool_calls");
    }
    // Without declared tools there is nothing to choose from.
    let choice = request
        .tool_choice
        .as_ref()
        .filter(|_| !request.tools.is_empty())?;
    let native = match choice {
        chat::ToolChoice::None => return None,
        chat::ToolChoice::Auto => ToolChoice::Auto {},
        chat::ToolChoice::Required => ToolChoice::Any {},
        chat::ToolChoice::Function(name) => ToolChoice::Tool { name },
    };
    if native != (ToolChoice::Auto {}) && !endpoint.supports(Parameter::ToolChoice) {
        dropped.push("tool_choice");
        return None;
    }
    Some(native)
}
