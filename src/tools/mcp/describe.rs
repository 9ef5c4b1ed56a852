//! A tool as clients are told of it: as every export of it, and what its results look like.

use serde_json::{Value, json};

use crate::tools::{
    catalog::{Json, Tool},
    export::{self, Format},
    listing,
};

/// The tool as `tools/list` has it.
pub fn render(tool: &Tool) -> Value {
    let operation = &tool.operation;
    let mut told = export::write(&listing::function(tool), Format::Mcp, false);
    let schema = operation.output.as_ref().map(Json::value);
    let output = output(operation.response.kind.as_deref(), schema);
    if let Some(fields) = told.as_object_mut() {
        fields.insert("outputSchema".to_owned(), output);
    }
    told
}

/// What `structuredContent` looks like: the envelope of an execution.
fn output(kind: Option<&str>, schema: Option<&Value>) -> Value {
    let result = match (schema.filter(|schema| schema.is_object()), kind) {
        (Some(schema), _) => schema.clone(),
        (None, Some(kind)) => json!({
            "type": "object",
            "description": format!("What was found or done, in the form of {kind}"),
            "properties": {"kind": {"type": "string"}},
        }),
        (None, None) => json!({"type": "object", "description": "What was found or done"}),
    };
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "The execution"},
            "tool": {"type": "string"},
            "status": {"type": "string", "description": "succeeded, failed, outcome_unknown, running …"},
            "result": result,
            "usage": {"type": "object", "description": "What it cost, in dollars"},
        },
        "required": ["id", "tool", "status", "usage"],
    })
}
