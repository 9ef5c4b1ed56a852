//! The functions that stand for a large catalog: search for a tool, read its schema, run it; and one that confirms.
//!
//! Out of scope: what they answer (`api::tools`).

use std::borrow::Cow;

use serde_json::{Value, json};

use super::Function;

/// Finds tools.
pub const SEARCH: &str = "search_tools";
/// Reads how tools are called.
pub const SCHEMA: &str = "get_tool_schema";
/// Runs a tool.
pub const EXECUTE: &str = "execute_tool";
/// Confirms a call that waits for it.
pub const CONFIRM: &str = "confirm_tool";

/// Whether a function is one of these.
pub fn is_meta(name: &str) -> bool {
    [SEARCH, SCHEMA, EXECUTE, CONFIRM].contains(&name)
}

fn function(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    input: Value,
    is_read: bool,
) -> Function<'static> {
    Function {
        name: name.into(),
        title: title.into(),
        description: description.into(),
        input: Cow::Owned(input),
        is_read,
        is_destructive: !is_read,
        is_idempotent: is_read,
    }
}

/// The three functions that reach every tool.
pub fn functions() -> Vec<Function<'static>> {
    let search = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What the tool should do, in a few words"},
            "category": {"type": "string", "description": "Only tools of this category, such as search, email or weather"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 20, "description": "The most tools to tell of; 8 where nothing is said"},
        },
        "required": ["query"],
        "additionalProperties": false,
    });
    let schema = json!({
        "type": "object",
        "properties": {
            "tools": {
                "type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 10,
                "description": "Names of tools, as search_tools told them",
            },
        },
        "required": ["tools"],
        "additionalProperties": false,
    });
    let execute = json!({
        "type": "object",
        "properties": {
            "tool": {"type": "string", "description": "The name of the tool, as search_tools told it"},
            "input": {"type": "object", "description": "Its input, as get_tool_schema describes it"},
        },
        "required": ["tool", "input"],
        "additionalProperties": false,
    });
    vec![
        function(
            SEARCH,
            "Search for tools",
            "Finds tools that can do something: names, what they do, what they change and cost. Search before saying that something cannot be done.",
            search,
            true,
        ),
        function(
            SCHEMA,
            "Read how tools are called",
            "Tells the input that tools take, as JSON Schema. Read it before a tool is run for the first time.",
            schema,
            true,
        ),
        function(
            EXECUTE,
            "Run a tool",
            "Runs a tool with its input and tells what came of it. The tool auto/route takes {\"task\": what is wanted, in words}, chooses another and runs it.",
            execute,
            false,
        ),
    ]
}

/// The function that confirms a call.
pub fn confirm() -> Function<'static> {
    let input = json!({
        "type": "object",
        "properties": {
            "token": {"type": "string", "description": "The token of the confirmation that is wanted"},
            "tool": {"type": "string", "description": "The tool, as it was called"},
            "input": {"type": "object", "description": "The input, unchanged"},
        },
        "required": ["token", "tool", "input"],
        "additionalProperties": false,
    });
    function(
        CONFIRM,
        "Confirm a call",
        "Runs a call that asked for a confirmation. Only after the user has agreed to exactly this call.",
        input,
        false,
    )
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Format, write},
        *,
    };

    #[test]
    fn they_are_functions_that_every_api_takes() {
        for function in functions().iter().chain([&confirm()]) {
            assert!(is_meta(&function.name));
            for format in Format::ALL {
                let told = write(function, format, true).to_string();
                assert!(told.contains(function.name.as_ref()));
            }
        }
        assert!(!is_meta("tavily__search"));
    }
}
