//! Headers that repeat arguments, as a tool's schema asks for them by `x-mcp-header`.
//!
//! Only a property that is reached from the root over properties alone, and is text, a whole number or a truth value, can have one;
//! a tool that wants another has to be left out. Spec: 2026-07-28, Streamable HTTP, custom headers from tool parameters.

use serde_json::Value;

/// What can be sent so.
const TYPES: [&str; 3] = ["string", "integer", "boolean"];
/// The most headers of one tool.
const MAX_HEADERS: usize = 16;
/// The longest name of one.
const MAX_NAME: usize = 64;
/// The deepest schema that is looked into.
const MAX_DEPTH: usize = 64;

/// The headers that an input's schema wants arguments repeated in: names, and templates over the arguments.
///
/// # Errors
/// Where one cannot be sent: such a tool is not to be used.
pub fn headers(schema: &Value) -> Result<Vec<(String, String)>, &'static str> {
    let mut found = Vec::new();
    annotated(schema, "", true, 0, &mut found)?;
    Ok(found)
}

fn annotated(
    schema: &Value,
    pointer: &str,
    is_reached: bool,
    depth: usize,
    found: &mut Vec<(String, String)>,
) -> Result<(), &'static str> {
    const WRONG: &str = "it wants a header that cannot be sent";
    let Some(fields) = schema.as_object() else {
        return Ok(());
    };
    if depth > MAX_DEPTH {
        return Err("what it takes is nested too deeply");
    }
    if let Some(header) = fields.get("x-mcp-header") {
        let name = header.as_str().unwrap_or_default().to_ascii_lowercase();
        let is_token = !name.is_empty()
            && name.len() <= MAX_NAME
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        let is_type = |of: &Value| of.as_str().is_some_and(|of| TYPES.contains(&of));
        let is_typed = match fields.get("type") {
            Some(Value::Array(of)) => of.iter().all(|of| is_type(of) || of == "null"),
            Some(of) => is_type(of),
            None => false,
        };
        let name = format!("mcp-param-{name}");
        let is_new = found.iter().all(|(known, _)| *known != name);
        let is_place = is_reached && !pointer.is_empty() && !pointer.contains(['{', '}']);
        if !is_token || !is_typed || !is_new || !is_place || found.len() >= MAX_HEADERS {
            return Err(WRONG);
        }
        found.push((name, format!("{{{pointer}}}")));
    }
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    let step = name.replace('~', "~0").replace('/', "~1");
                    let pointer = format!("{pointer}/{step}");
                    annotated(property, &pointer, is_reached, depth + 1, found)?;
                }
            }
            (
                "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(all),
            ) => {
                for one in all.values() {
                    annotated(one, pointer, false, depth + 1, found)?;
                }
            }
            // Values, and no schemas.
            ("enum" | "const" | "default" | "examples" | "x-mcp-header", _) => {}
            (_, Value::Array(all)) => {
                for one in all {
                    annotated(one, pointer, false, depth + 1, found)?;
                }
            }
            (_, one) => annotated(one, pointer, false, depth + 1, found)?,
        }
    }
    Ok(())
}
