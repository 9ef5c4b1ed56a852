//! Tools, the choice among them, and the form of the answer, of a client's request.

use serde_json::Value;

use super::{request::under, wire};
use crate::{
    chat::{JsonSchema, ResponseFormat, ServerTool, ServerToolKind, Tool, ToolChoice},
    dialects::cache_control::cache_mark,
    error::{Error, Result},
};

/// Reads the tools: functions of the client's, and tools that the gateway runs.
pub(super) fn tools(tools: Option<Vec<wire::Tool>>) -> Result<(Vec<Tool>, Vec<ServerTool>)> {
    let (mut functions, mut server_tools) = (Vec::new(), Vec::new());
    for (at, tool) in tools.into_iter().flatten().enumerate() {
        match ServerToolKind::parse(&tool.r#type) {
            Some(kind) => {
                server_tools.push(ServerTool::of(kind, tool.others, format!("tools[{at}]"))?);
            }
            None => functions.push(function(tool, at)?),
        }
    }
    Ok((functions, server_tools))
}

fn function(tool: wire::Tool, at: usize) -> Result<Tool> {
    if tool.r#type != "function" {
        let kinds = ServerToolKind::ALL.map(ServerToolKind::as_str).join(", ");
        return Err(Error::invalid(
            format!("tools[{at}].type"),
            format!(
                "{:?} is not supported: expected \"function\" or one of {kinds}",
                tool.r#type
            ),
        ));
    }
    let function = tool
        .function
        .ok_or_else(|| Error::invalid(format!("tools[{at}].function"), "expected an object"))?;
    if function.name.is_empty() {
        return Err(Error::invalid(
            format!("tools[{at}].function.name"),
            "expected the name of the function",
        ));
    }
    Ok(Tool {
        name: function.name,
        description: function.description,
        parameters: function.parameters.map(Value::Object),
        strict: function.strict,
        cache: cache_mark(tool.cache_control),
    })
}

/// Reads the choice among the tools.
pub(super) fn tool_choice(choice: Option<wire::ToolChoice>) -> Result<Option<ToolChoice>> {
    let told = "expected \"auto\", \"none\", \"required\" or {\"type\":\"function\",\"function\":{\"name\":…}}";
    Ok(match choice {
        None => None,
        Some(wire::ToolChoice::Word(word)) => Some(match word.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            // P63: `any` is Anthropic's and Mistral's word.
            "required" | "any" => ToolChoice::Required,
            _ => return Err(Error::invalid("tool_choice", told)),
        }),
        Some(wire::ToolChoice::Object(object)) => match (object.r#type.as_str(), object.function) {
            ("function", Some(function)) => Some(ToolChoice::Function(function.name)),
            ("function", None) => {
                return Err(Error::invalid("tool_choice.function", "expected an object"));
            }
            (word, _) => match ServerToolKind::parse(word) {
                // Each of the catalog's tools is a function with a name of its own.
                Some(ServerToolKind::Catalog) | None => {
                    return Err(Error::invalid("tool_choice.type", told));
                }
                Some(kind) => Some(ToolChoice::Function(kind.function().to_owned())),
            },
        },
    })
}

/// Reads the form of the answer.
pub(super) fn response_format(format: Option<Value>) -> Result<Option<ResponseFormat>> {
    let mut format = match format {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(format)) => format,
        Some(_) => return Err(Error::invalid("response_format", "expected an object")),
    };
    Ok(Some(match format.get("type").and_then(Value::as_str) {
        None => {
            return Err(Error::invalid("response_format.type", "expected a string"));
        }
        Some("text") => ResponseFormat::Text,
        Some("json_object") => ResponseFormat::JsonObject,
        Some("json_schema") => {
            let schema = format.remove("json_schema").unwrap_or_default();
            ResponseFormat::JsonSchema(
                json_schema(schema).map_err(|error| under(error, "response_format.json_schema"))?,
            )
        }
        Some(_) => ResponseFormat::Other(Value::Object(format)),
    }))
}

fn json_schema(value: Value) -> Result<JsonSchema> {
    let Value::Object(mut object) = value else {
        return Err(Error::invalid("", "expected an object"));
    };
    let text = |value: Option<Value>, field: &str| match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(field, "expected a string")),
    };
    let name = text(object.remove("name"), "name")?
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Error::invalid("name", "expected the name of the schema"))?;
    let schema = match object.remove("schema") {
        Some(schema @ Value::Object(_)) => schema,
        _ => return Err(Error::invalid("schema", "expected a JSON Schema")),
    };
    let strict = match object.remove("strict") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(strict)) => Some(strict),
        Some(_) => return Err(Error::invalid("strict", "expected true or false")),
    };
    Ok(JsonSchema {
        name,
        description: text(object.remove("description"), "description")?,
        schema,
        strict,
    })
}
