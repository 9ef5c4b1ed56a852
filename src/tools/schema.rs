//! Is an input what an operation takes? Checked before anything else is done with it; defaults are not filled in.
//!
//! Schemas are those of rows and of imported tools, checked by `transforms::schema`. Beside what a schema says, a field at the top that
//! it does not know is refused: a model that invents one means something by it.

use serde_json::Value;

use crate::{catalog::names, transforms::schema};

/// The deepest nesting of an input.
const MAX_DEPTH: usize = 48;
/// The most bytes of an input as JSON.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most names that an explanation lists.
const MAX_NAMES: usize = 12;

/// What is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// JSON Pointer to it; empty for the whole input.
    pub param: String,
    /// Why, for people and models.
    pub message: String,
}

impl Invalid {
    fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: param.into(),
            message: message.into(),
        }
    }
}

/// Holds an input against its schema.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate(schema: &Value, input: &Value) -> Result<(), Invalid> {
    let Some(fields) = input.as_object() else {
        return Err(Invalid::new("", "the input must be an object"));
    };
    if !is_bounded(input, MAX_DEPTH, &mut { MAX_BYTES }) {
        return Err(Invalid::new("", "the input is too large or too deep"));
    }
    let known = schema.get("properties").and_then(Value::as_object);
    let is_open = schema.get("patternProperties").is_some()
        || schema
            .get("additionalProperties")
            .is_some_and(|rest| rest != &Value::Bool(false));
    if let Some(known) = known.filter(|_| !is_open)
        && let Some(name) = fields.keys().find(|name| !known.contains_key(*name))
    {
        return Err(unknown(name, &known.keys().collect::<Vec<_>>()));
    }
    let Some(violation) = schema::check(schema, input) else {
        return Ok(());
    };
    let mut message = violation.message;
    let allowed = at(schema, &violation.path).and_then(|schema| schema.get("enum")?.as_array());
    if let Some(allowed) = allowed.filter(|_| message.contains("allowed values")) {
        let words: Vec<String> = allowed
            .iter()
            .take(MAX_NAMES)
            .map(Value::to_string)
            .collect();
        let more = if allowed.len() > MAX_NAMES {
            ", …"
        } else {
            ""
        };
        message = format!("expected one of {}{more}", words.join(", "));
    }
    Err(Invalid::new(violation.path, message))
}

fn unknown(name: &str, known: &[&String]) -> Invalid {
    let near = names::nearest(name, known);
    let hint = match near.first() {
        Some(near) => format!("did you mean {near}?"),
        None => {
            let names: Vec<&str> = known
                .iter()
                .take(MAX_NAMES)
                .map(|name| name.as_str())
                .collect();
            format!("it takes {}", names.join(", "))
        }
    };
    let param = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    Invalid::new(param, format!("there is no such field: {hint}"))
}

/// The schema of a place in the value, as far as properties and items lead there.
fn at<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    let mut here = schema;
    for step in path.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let named = here.get("properties").and_then(|known| known.get(&step));
        here = named.or_else(|| here.get("items"))?;
    }
    Some(here)
}

fn is_bounded(value: &Value, depth: usize, bytes: &mut usize) -> bool {
    let size = match value {
        Value::String(text) => text.len(),
        _ => 8,
    };
    let Some(left) = bytes.checked_sub(size).filter(|_| depth > 0) else {
        return false;
    };
    *bytes = left;
    match value {
        Value::Array(items) => items.iter().all(|item| is_bounded(item, depth - 1, bytes)),
        Value::Object(fields) => fields
            .values()
            .all(|value| is_bounded(value, depth - 1, bytes)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "query": {"type": "string", "minLength": 1},
                "depth": {"type": "string", "enum": ["basic", "advanced"]},
                "max_results": {"type": "integer", "minimum": 1, "maximum": 20},
                "to": {"type": "array", "items": {"type": "object", "properties": {"kind": {"enum": [1, 2]}}, "additionalProperties": false}},
            },
            "required": ["query"],
            "additionalProperties": false,
        })
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (input, param, message) in [
            (json!([]), "", "the input must be an object"),
            (json!({}), "", "\"query\" is missing"),
            (json!({"query": 1}), "/query", "expected string, got number"),
            (
                json!({"query": "x", "max_result": 3}),
                "/max_result",
                "there is no such field: did you mean max_results?",
            ),
            (
                json!({"query": "x", "zzz": 3}),
                "/zzz",
                "there is no such field: it takes query, depth, max_results, to",
            ),
            (
                json!({"query": "x", "depth": "deep"}),
                "/depth",
                r#"expected one of "basic", "advanced""#,
            ),
            (
                json!({"query": "x", "to": [{"kind": 1}, {"kind": 3}]}),
                "/to/1/kind",
                "expected one of 1, 2",
            ),
            (
                json!({"query": "x", "to": [{"other": 1}]}),
                "/to/0",
                "\"other\" is not allowed",
            ),
            (
                json!({"query": "x", "max_results": 21}),
                "/max_results",
                "21 is too great",
            ),
        ] {
            let found = validate(&schema(), &input).unwrap_err();
            assert_eq!(
                (found.param.as_str(), found.message.as_str()),
                (param, message)
            );
        }
        assert_eq!(
            validate(
                &schema(),
                &json!({"query": "x", "depth": "basic", "to": []})
            ),
            Ok(())
        );
    }

    #[test]
    fn defaults_are_not_filled_in_and_open_schemas_stay_open() {
        let open = json!({"properties": {"a": {"default": 1}}, "additionalProperties": {"type": "string"}});
        assert_eq!(validate(&open, &json!({"b": "x"})), Ok(()));
        assert!(validate(&open, &json!({"b": 1})).is_err());
        let silent = json!({"properties": {"a": {}}});
        assert!(validate(&silent, &json!({"b": "x"})).is_err());
        assert_eq!(validate(&json!({}), &json!({"b": "x"})), Ok(()));
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_refused_before_it_is_looked_at() {
        let deep = (0..60).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert!(validate(&json!({}), &deep).is_err());
        assert!(validate(&json!({}), &json!({"a": "x".repeat(MAX_BYTES)})).is_err());
    }
}
