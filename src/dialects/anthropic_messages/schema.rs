//! JSON Schemas in the subset that Anthropic enforces (strict tools, structured outputs).
//!
//! Objects have to be closed, and bounds on numbers, lengths and counts are refused, and so is lookaround in patterns; they go
//! into the description, so that the model at least reads them. A schema that is already within the subset comes out unchanged.
//! Spec: <https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs>

use serde_json::{Map, Value};

use crate::dialects::patterns;

/// Keywords that are refused.
const BOUNDS: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// The schema within the subset.
pub(in crate::dialects) fn enforceable(mut schema: Value) -> Value {
    restrict(&mut schema);
    patterns::simplify(&mut schema);
    schema
}

/// A tool's schema: always an object's, because the API insists on the type. `None` when it is something else.
pub(in crate::dialects) fn tool_input(parameters: Option<&Value>) -> Option<Value> {
    let mut schema = match parameters {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(schema)) => schema.clone(),
        Some(_) => return None,
    };
    if schema.is_empty() {
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), Value::Object(Map::new()));
    } else if schema.get("type").and_then(Value::as_str) != Some("object") {
        schema.insert("type".into(), "object".into());
    }
    Some(Value::Object(schema))
}

fn restrict(schema: &mut Value) {
    let Value::Object(object) = schema else {
        return;
    };
    if let Some(all) = object.remove("oneOf") {
        object.insert("anyOf".into(), all);
    }
    for name in ["properties", "$defs", "definitions"] {
        if let Some(Value::Object(schemas)) = object.get_mut(name) {
            schemas.values_mut().for_each(restrict);
        }
    }
    for name in ["anyOf", "allOf", "prefixItems"] {
        if let Some(Value::Array(schemas)) = object.get_mut(name) {
            schemas.iter_mut().for_each(restrict);
        }
    }
    if let Some(items) = object.get_mut("items") {
        restrict(items);
    }
    if is_object(object) {
        object.insert("additionalProperties".into(), false.into());
    }
    move_bounds(object);
}

fn is_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(word)) => word == "object",
        Some(Value::Array(words)) => words.iter().any(|word| word == "object"),
        _ => schema.contains_key("properties"),
    }
}

fn move_bounds(schema: &mut Map<String, Value>) {
    let mut told = Vec::new();
    for name in BOUNDS {
        if let Some(bound) = schema.shift_remove(*name) {
            told.push(format!("{name}: {bound}"));
        }
    }
    // Of the least number of items only 0 and 1 are enforced.
    let few = schema.get("minItems").and_then(Value::as_u64);
    if few.is_some_and(|few| few > 1)
        && let Some(bound) = schema.shift_remove("minItems")
    {
        told.push(format!("minItems: {bound}"));
    }
    if told.is_empty() {
        return;
    }
    let told = told.join(", ");
    let description = match schema.get("description").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => format!("{text} ({told})"),
        _ => told,
    };
    schema.insert("description".into(), description.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_closed_and_bounds_become_words() {
        let schema = json!({"type":"object","properties":{
            "n":{"type":"integer","description":"Count","minimum":1,"maximum":9},
            "mail":{"type":"string","pattern":"^(?!\\.)","maxLength":9},
            "list":{"type":"array","minItems":2,"items":{"oneOf":[{"type":"object","properties":{}},{"type":"null"}]}}
        },"required":["n"],"$defs":{"d":{"type":"object","additionalProperties":true}}});
        assert_eq!(
            enforceable(schema),
            json!({"type":"object","properties":{
                "n":{"type":"integer","description":"Count (minimum: 1, maximum: 9)"},
                "mail":{"type":"string","description":"maxLength: 9 (pattern: ^(?!\\.))"},
                "list":{"type":"array","items":{"anyOf":[{"type":"object","properties":{},"additionalProperties":false},{"type":"null"}]},"description":"minItems: 2"}
            },"required":["n"],"$defs":{"d":{"type":"object","additionalProperties":false}},"additionalProperties":false})
        );
    }

    #[test]
    fn a_schema_within_the_subset_is_left_alone() {
        let schema = json!({"type":"object","properties":{"minimum":{"type":"string","enum":["a"]}},"additionalProperties":false});
        assert_eq!(enforceable(schema.clone()), schema);
    }

    #[test]
    fn a_tool_without_parameters_takes_an_empty_object() {
        // P68
        let empty = json!({"type":"object","properties":{}});
        assert_eq!(tool_input(None), Some(empty.clone()));
        assert_eq!(tool_input(Some(&json!({}))), Some(empty));
        assert_eq!(
            tool_input(Some(&json!({"properties":{"a":{}}}))),
            Some(json!({"properties":{"a":{}},"type":"object"}))
        );
        assert_eq!(tool_input(Some(&json!([]))), None);
    }
}
