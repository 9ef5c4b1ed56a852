//! Tools, the choice among them, and the form of the answer, of a client's request.
//!
//! Tools that the provider runs are lifted to the gateway's own where it has one (web search and fetch); those that only
//! Anthropic knows bind the request to its dialect.

use serde_json::Value;

use super::wire;
use crate::{
    chat::{JsonSchema, ResponseFormat, ServerTool, ServerToolKind, Tool, ToolChoice},
    dialects::cache_control::cache_mark,
    error::{Error, Result},
};

/// What Anthropic's own search can be told.
const OWN_SEARCH: [&str; 9] = [
    "name",
    "max_uses",
    "allowed_domains",
    "blocked_domains",
    "user_location",
    "cache_control",
    "allowed_callers",
    "defer_loading",
    "strict",
];

/// What the list of tools comes to.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// The client's own functions.
    pub functions: Vec<Tool>,
    /// Tools that the gateway runs.
    pub server_tools: Vec<ServerTool>,
    /// Path of the first tool that only Anthropic knows.
    pub only_native: Option<String>,
    /// A tool is not spelt as Anthropic does.
    pub is_irregular: bool,
}

/// Reads the tools.
pub(super) fn tools(tools: Option<Vec<wire::Tool>>) -> Result<Tools> {
    let mut out = Tools::default();
    for (at, mut tool) in tools.into_iter().flatten().enumerate() {
        let path = format!("tools[{at}]");
        let name = tool.name.clone();
        let word = tool.r#type.as_deref();
        match word {
            // P70: Claude Code sends no type.
            None | Some("custom") if tool.function.is_none() => {
                out.functions.push(custom(tool, &path)?);
            }
            None | Some("custom" | "function") => {
                out.is_irregular = true;
                out.functions.push(function(tool, &path)?);
            }
            Some(word) => match ServerToolKind::parse(word) {
                Some(ServerToolKind::Catalog) => {
                    let options = std::mem::take(&mut tool.options);
                    out.server_tools
                        .push(ServerTool::named(name, options, path)?);
                }
                Some(kind) => {
                    let is_dated = word.starts_with("web_search_2");
                    let tool = ServerTool::of(kind, tool.options, path)?;
                    out.server_tools.push(match is_dated {
                        true => tool.own_with(&OWN_SEARCH),
                        false => tool,
                    });
                }
                None => {
                    out.only_native.get_or_insert(path);
                }
            },
        }
    }
    if let (Some(path), Some(tool)) = (&out.only_native, out.server_tools.first()) {
        let told = format!(
            "a tool that only Anthropic runs does not go together with {}, which the gateway runs",
            tool.kind.as_str()
        );
        return Err(Error::invalid(path.clone(), told));
    }
    Ok(out)
}

fn custom(tool: wire::Tool, path: &str) -> Result<Tool> {
    let name = tool.name.filter(|name| !name.is_empty());
    let missing = |field: &str, what: &str| {
        Error::invalid(format!("{path}.{field}"), format!("expected {what}"))
    };
    Ok(Tool {
        name: name.ok_or_else(|| missing("name", "the name of the tool"))?,
        description: tool.description,
        parameters: Some(Value::Object(
            tool.input_schema
                .ok_or_else(|| missing("input_schema", "a JSON Schema"))?,
        )),
        strict: tool.strict,
        cache: cache_mark(tool.cache_control),
    })
}

fn function(tool: wire::Tool, path: &str) -> Result<Tool> {
    let function = tool
        .function
        .ok_or_else(|| Error::invalid(format!("{path}.function"), "expected an object"))?;
    Ok(Tool {
        name: function.name,
        description: function.description,
        parameters: function.parameters.map(Value::Object),
        strict: function.strict,
        cache: cache_mark(tool.cache_control),
    })
}

/// Reads the choice among the tools, and whether several may be called in one turn.
pub(super) fn tool_choice(
    choice: Option<wire::ToolChoice>,
) -> Result<(Option<ToolChoice>, Option<bool>)> {
    let Some(choice) = choice else {
        return Ok((None, None));
    };
    let parallel = (choice.disable_parallel_tool_use == Some(true)).then_some(false);
    let choice = match (choice.r#type.as_str(), choice.name) {
        ("auto", _) => ToolChoice::Auto,
        // P63
        ("any", _) => ToolChoice::Required,
        ("none", _) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Function(name),
        ("tool", None) => {
            return Err(Error::invalid(
                "tool_choice.name",
                "expected the name of a tool",
            ));
        }
        _ => {
            let told = "expected \"auto\", \"any\", \"tool\" or \"none\"";
            return Err(Error::invalid("tool_choice.type", told));
        }
    };
    Ok((Some(choice), parallel))
}

/// Reads the form of the answer; `path` is where it stands.
pub(super) fn response_format(
    format: Option<wire::OutputFormat>,
    path: &str,
) -> Result<Option<ResponseFormat>> {
    let Some(format) = format else {
        return Ok(None);
    };
    if format.r#type != "json_schema" {
        let told = "expected \"json_schema\"";
        return Err(Error::invalid(format!("{path}.type"), told));
    }
    let schema = format
        .schema
        .map(Value::Object)
        .ok_or_else(|| Error::invalid(format!("{path}.schema"), "expected a JSON Schema"))?;
    Ok(Some(ResponseFormat::JsonSchema(JsonSchema {
        name: "response".to_owned(),
        description: None,
        // Hosts of chat completions enforce closed schemas alone, and only where they are asked to.
        strict: is_closed(&schema).then_some(true),
        schema,
    })))
}

/// Whether every object in a schema names all of its properties as required and allows no others.
fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => {
            let is_object = object.get("type").and_then(Value::as_str) == Some("object")
                || object.get("properties").is_some_and(Value::is_object);
            let names = object.get("properties").and_then(Value::as_object);
            let required = object.get("required").and_then(Value::as_array);
            let is_required = |name: &String| {
                let mut required = required.into_iter().flatten();
                required.any(|each| each.as_str() == Some(name))
            };
            let closed = object.get("additionalProperties") == Some(&Value::Bool(false))
                && names
                    .into_iter()
                    .flatten()
                    .all(|(name, _)| is_required(name));
            (!is_object || closed) && object.values().all(is_closed)
        }
        Value::Array(items) => items.iter().all(is_closed),
        _ => true,
    }
}
