//! Tools, the choice among them, and the form of the answer, of a client's request.
//!
//! A `custom` tool, whose input is plain text in a form of its own, is for all other models the function of one string; the
//! writer of answers gives its calls their own shape again (`echo`). So it is with the tools of a namespace.

use serde_json::{Map, Value, json};

use super::wire;
use crate::{
    chat::{JsonSchema, ResponseFormat, ServerTool, ServerToolKind, Tool, ToolChoice},
    dialects::cache_control::cache_mark,
    dialects::openai_responses::namespace,
    error::{Error, Result},
};

/// Reads the tools: functions and custom tools of the client's, and tools that the gateway runs.
pub(super) fn tools(tools: Option<Vec<wire::Tool>>) -> Result<(Vec<Tool>, Vec<ServerTool>)> {
    let (mut functions, mut server_tools) = (Vec::new(), Vec::new());
    for (at, mut tool) in tools.into_iter().flatten().enumerate() {
        let path = format!("tools[{at}]");
        match ServerToolKind::parse(&tool.r#type) {
            Some(ServerToolKind::WebSearch) if is_offline(&tool) => {}
            Some(ServerToolKind::Catalog) => {
                let name = tool.name.take();
                server_tools.push(ServerTool::named(name, tool.others, path)?);
            }
            Some(kind) => {
                let is_search = tool.r#type == "web_search";
                // Agents offer the API's own search wherever they work. Who names the gateway's means it.
                let may_lack = tool.r#type.starts_with("web_search");
                let tool = ServerTool {
                    may_lack,
                    ..ServerTool::of(kind, tool.others, path)?
                };
                server_tools.push(match is_search {
                    true => tool.own_with(&["search_context_size", "user_location", "filters"]),
                    false => tool,
                });
            }
            None if tool.r#type == "namespace" => of_namespace(tool, &path, &mut functions)?,
            None => functions.push(function(tool, &path)?),
        }
    }
    Ok((functions, server_tools))
}

/// A search that must not go to the web. Agents offer it wherever they work; nobody but its maker has such an index, so there
/// is nothing to offer, and a search on the web is what was ruled out.
fn is_offline(tool: &wire::Tool) -> bool {
    tool.others.get("external_web_access") == Some(&Value::Bool(false))
}

/// The tools of a namespace, each under both names.
fn of_namespace(mut tool: wire::Tool, path: &str, functions: &mut Vec<Tool>) -> Result<()> {
    let name = tool.name.filter(|name| !name.is_empty());
    let told = || Error::invalid(format!("{path}.name"), "expected the name of the namespace");
    let namespace = name.ok_or_else(told)?;
    let tools = tool.others.remove("tools").unwrap_or_default();
    let tools: Vec<wire::Tool> = crate::json::from_value(&tools)
        .map_err(|error| Error::invalid(format!("{path}.tools"), error.to_string()))?;
    for (at, tool) in tools.into_iter().enumerate() {
        let inner = function(tool, &format!("{path}.tools[{at}]"))?;
        functions.push(Tool {
            name: namespace::joined(Some(&namespace), &inner.name),
            ..inner
        });
    }
    Ok(())
}

fn function(mut tool: wire::Tool, path: &str) -> Result<Tool> {
    let is_custom = match tool.r#type.as_str() {
        "function" => false,
        "custom" => true,
        kind => {
            let kinds = ServerToolKind::ALL.map(ServerToolKind::as_str).join(", ");
            let told = format!(
                "{kind:?} is not supported: expected \"function\", \"custom\", \"namespace\" or one of {kinds}"
            );
            return Err(Error::invalid(format!("{path}.type"), told));
        }
    };
    let name = tool.name.filter(|name| !name.is_empty());
    let told = || Error::invalid(format!("{path}.name"), "expected the name of the tool");
    let name = name.ok_or_else(told)?;
    let parameters = match tool.others.remove("parameters") {
        _ if is_custom => Some(custom(tool.others.get("format"))),
        None | Some(Value::Null) => None,
        Some(schema @ Value::Object(_)) => Some(schema),
        Some(_) => {
            return Err(Error::invalid(
                format!("{path}.parameters"),
                "expected a JSON Schema",
            ));
        }
    };
    Ok(Tool {
        name,
        description: tool.description,
        parameters,
        strict: tool.strict,
        cache: cache_mark(tool.cache_control),
    })
}

/// The parameters of a custom tool as a function; a grammar can only be asked for in words.
fn custom(format: Option<&Value>) -> Value {
    let word = |key: &str| {
        format
            .and_then(|format| format.get(key))
            .and_then(Value::as_str)
    };
    let description = match (word("type"), word("definition")) {
        (Some("grammar"), Some(definition)) => {
            let syntax = word("syntax").unwrap_or("lark");
            format!(
                "The whole input as plain text, in the language of this {syntax} grammar:\n{definition}"
            )
        }
        _ => "The whole input as plain text.".to_owned(),
    };
    json!({
        "type": "object",
        "properties": {"input": {"type": "string", "description": description}},
        "required": ["input"],
        "additionalProperties": false,
    })
}

/// Reads the choice among the tools.
pub(super) fn tool_choice(choice: Option<Value>) -> Result<Option<ToolChoice>> {
    let told = "expected \"auto\", \"none\", \"required\" or {\"type\":\"function\",\"name\":…}";
    let wrong = || Error::invalid("tool_choice", told);
    Ok(match choice {
        None | Some(Value::Null) => None,
        Some(Value::String(word)) => Some(match word.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(wrong()),
        }),
        Some(choice) => {
            let kind = choice.get("type").and_then(Value::as_str);
            let name = choice.get("name").and_then(Value::as_str);
            match (kind, name) {
                (Some("function" | "custom"), Some(name)) => {
                    let namespace = choice.get("namespace").and_then(Value::as_str);
                    Some(ToolChoice::Function(namespace::joined(namespace, name)))
                }
                (Some("function" | "custom"), None) => {
                    return Err(Error::invalid(
                        "tool_choice.name",
                        "expected the name of the tool",
                    ));
                }
                _ => return Err(wrong()),
            }
        }
    })
}

/// Reads `text.format`.
pub(super) fn format(format: Option<Map<String, Value>>) -> Result<Option<ResponseFormat>> {
    let Some(mut format) = format else {
        return Ok(None);
    };
    let at = |field: &str| format!("text.format.{field}");
    Ok(Some(match format.get("type").and_then(Value::as_str) {
        None => return Err(Error::invalid(at("type"), "expected a string")),
        Some("text") => ResponseFormat::Text,
        Some("json_object") => ResponseFormat::JsonObject,
        Some("json_schema") => {
            let text = |value: Option<Value>| match value {
                Some(Value::String(text)) => Some(text),
                _ => None,
            };
            let name = text(format.remove("name")).filter(|name| !name.is_empty());
            let told = || Error::invalid(at("name"), "expected the name of the schema");
            let name = name.ok_or_else(told)?;
            let schema = format.remove("schema").filter(Value::is_object);
            let told = || Error::invalid(at("schema"), "expected a JSON Schema");
            ResponseFormat::JsonSchema(JsonSchema {
                name,
                description: text(format.remove("description")),
                schema: schema.ok_or_else(told)?,
                strict: format.get("strict").and_then(Value::as_bool),
            })
        }
        Some(_) => ResponseFormat::Other(Value::Object(format)),
    }))
}
