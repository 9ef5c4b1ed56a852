//! JSON Schema as clients write it → the JSON Schema that Gemini takes (`parametersJsonSchema`, `responseJsonSchema`).
//!
//! Gemini reads a subset: references beside other keywords, unresolved references and conditional keywords are refused with
//! 400 for the whole request, so local references are inlined (P74) and what has no counterpart is left out. Constraints it
//! ignores (`pattern`, `minLength` …) stay. The keywords it knows: <https://ai.google.dev/api/generate-content#GenerationConfig>

use serde_json::{Map, Value, json};

/// The most nodes that one converted schema may have; references beyond it are cut off, because nested references can grow
/// exponentially.
const MAX_NODES: usize = 10_000;

/// Keywords without a counterpart at Gemini. Identifiers and definitions are not needed once references are inlined.
const LEFT_OUT: &[&str] = &[
    "$schema",
    "$id",
    "id",
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$recursiveRef",
    "$vocabulary",
    "$comment",
    "$defs",
    "definitions",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "patternProperties",
    "propertyNames",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
    "contentSchema",
    "discriminator",
    "xml",
    "externalDocs",
];

/// Converts the schema of a tool's arguments; always an object, because that is what arguments are (P68).
pub(crate) fn parameters(schema: Option<&Value>) -> Value {
    let mut converted = match schema {
        Some(schema @ Value::Object(_)) => convert(schema),
        _ => Value::Object(Map::new()),
    };
    if let Some(object) = converted.as_object_mut() {
        let is_object = object.get("type").and_then(Value::as_str) == Some("object");
        if !is_object && !object.contains_key("anyOf") {
            object.insert("type".to_owned(), "object".into());
        }
        if object.get("type").is_some() && !object.contains_key("properties") {
            object.insert("properties".to_owned(), json!({}));
        }
    }
    converted
}

/// Converts any schema.
pub(super) fn convert(schema: &Value) -> Value {
    let mut converter = Converter {
        root: schema,
        open: Vec::new(),
        nodes: 0,
    };
    converter.schema(schema)
}

struct Converter<'a> {
    root: &'a Value,
    /// The references that are being inlined: one of them again is a recursion.
    open: Vec<&'a str>,
    nodes: usize,
}

impl<'a> Converter<'a> {
    fn schema(&mut self, schema: &'a Value) -> Value {
        self.nodes += 1;
        let Value::Object(object) = schema else {
            // `true` and `false` say that anything or nothing goes; neither can be said.
            return Value::Object(Map::new());
        };
        let mut out = Map::new();
        if let Some(reference) = object.get("$ref").and_then(Value::as_str)
            && let Value::Object(target) = self.reference(reference)
        {
            out = target;
        }
        for (key, value) in object {
            self.keyword(key, value, &mut out);
        }
        tidy(&mut out, object);
        Value::Object(out)
    }

    /// The schema behind a reference, converted; a stub where it refers to itself, nothing where it leads nowhere.
    fn reference(&mut self, reference: &'a str) -> Value {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else {
            return Value::Null;
        };
        if self.open.contains(&reference) || self.nodes > MAX_NODES {
            return stub(target);
        }
        self.open.push(reference);
        let converted = self.schema(target);
        self.open.pop();
        converted
    }

    fn keyword(&mut self, key: &str, value: &'a Value, out: &mut Map<String, Value>) {
        match (key, value) {
            ("$ref" | "nullable", _) => {}
            (key, _) if LEFT_OUT.contains(&key) => {}
            // Draft 4 wrote these as switches beside `minimum` and `maximum`.
            ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(_)) => {}
            ("const", value) => {
                out.insert("enum".to_owned(), json!([value]));
            }
            ("properties", Value::Object(properties)) => {
                let converted = properties
                    .iter()
                    .map(|(name, schema)| (name.clone(), self.schema(schema)));
                let converted: Map<String, Value> = converted.collect();
                merge_object(out, "properties", converted);
            }
            ("items", Value::Array(tuple)) => {
                let tuple = self.list(tuple);
                out.insert("prefixItems".to_owned(), tuple);
            }
            ("items", schema) | ("additionalProperties", schema @ Value::Object(_)) => {
                let schema = self.schema(schema);
                out.insert(key.to_owned(), schema);
            }
            // Read by Gemini as `anyOf`.
            ("anyOf" | "oneOf", Value::Array(list)) => {
                let mut list = self.list(list);
                if let (Some(Value::Array(old)), Value::Array(new)) =
                    (out.get_mut("anyOf"), &mut list)
                {
                    old.append(new);
                } else {
                    out.insert("anyOf".to_owned(), list);
                }
            }
            ("allOf", Value::Array(list)) => {
                for schema in list {
                    if let Value::Object(schema) = self.schema(schema) {
                        absorb(out, schema);
                    }
                }
            }
            ("prefixItems", Value::Array(list)) => {
                let list = self.list(list);
                out.insert(key.to_owned(), list);
            }
            ("required", Value::Array(names)) => add_required(out, names),
            (key, value) => {
                out.insert(key.to_owned(), value.clone());
            }
        }
    }

    fn list(&mut self, list: &'a [Value]) -> Value {
        list.iter().map(|schema| self.schema(schema)).collect()
    }
}

/// What is left of a schema that contains itself.
fn stub(target: &Value) -> Value {
    let keep = |key: &str| Some((key.to_owned(), target.get(key)?.clone()));
    ["type", "description"]
        .into_iter()
        .filter_map(keep)
        .collect()
}

/// Merges a member of `allOf`: properties and required names add up, of anything else the first stays.
fn absorb(out: &mut Map<String, Value>, member: Map<String, Value>) {
    for (key, value) in member {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                merge_object(out, "properties", properties)
            }
            ("required", Value::Array(names)) => add_required(out, &names),
            (_, value) => {
                out.entry(key).or_insert(value);
            }
        }
    }
}

fn merge_object(out: &mut Map<String, Value>, key: &str, more: Map<String, Value>) {
    match out.get_mut(key) {
        Some(Value::Object(old)) => old.extend(more),
        _ => {
            out.insert(key.to_owned(), Value::Object(more));
        }
    }
}

fn add_required(out: &mut Map<String, Value>, names: &[Value]) {
    match out.get_mut("required") {
        Some(Value::Array(old)) => {
            for name in names {
                if !old.contains(name) {
                    old.push(name.clone());
                }
            }
        }
        _ => {
            out.insert("required".to_owned(), Value::Array(names.to_vec()));
        }
    }
}

/// Rules between keywords: `nullable` of OpenAPI becomes a type, and only known properties can be required.
fn tidy(out: &mut Map<String, Value>, source: &Map<String, Value>) {
    if source.get("nullable") == Some(&Value::Bool(true)) {
        let with_null = match out.get("type") {
            Some(Value::String(word)) if word != "null" => Some(json!([word, "null"])),
            Some(Value::Array(words)) if !words.contains(&"null".into()) => {
                let null = Value::from("null");
                Some(words.iter().cloned().chain([null]).collect())
            }
            _ => None,
        };
        if let Some(types) = with_null {
            out.insert("type".to_owned(), types);
        }
    }
    let Some(Value::Array(mut names)) = out.remove("required") else {
        return;
    };
    if let Some(Value::Object(properties)) = out.get("properties") {
        names.retain(|name| {
            name.as_str()
                .is_some_and(|name| properties.contains_key(name))
        });
    }
    if !names.is_empty() {
        out.insert("required".to_owned(), Value::Array(names));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_inlined_with_what_stands_beside_them() {
        // P74
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "task": {"$ref": "#/$defs/Task", "description": "What to do"},
                "other": {"$ref": "#/properties/task"},
                "lost": {"$ref": "#/$defs/Nowhere", "type": "string"},
                "definitions": {"type": "string"}
            },
            "required": ["task", "ghost"],
            "$defs": {"Task": {"type": "object", "description": "A task", "properties": {"tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}}}},
                      "Tag": {"type": "string"}}
        });
        let task = json!({"type": "object", "description": "What to do",
                          "properties": {"tags": {"type": "array", "items": {"type": "string"}}}});
        assert_eq!(
            convert(&schema),
            json!({"type": "object",
                   "properties": {"task": task, "other": task, "lost": {"type": "string"}, "definitions": {"type": "string"}},
                   "required": ["task"]})
        );
    }

    #[test]
    fn a_schema_that_contains_itself_is_cut_off() {
        // P74
        let schema = json!({"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object", "description": "A node",
            "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}}});
        let node = json!({"type": "object", "description": "A node"});
        assert_eq!(
            convert(&schema),
            json!({"type": "object", "description": "A node", "properties": {"children": {"type": "array", "items": node}}})
        );
        let itself = json!({"type": "object", "properties": {"again": {"$ref": "#"}}});
        assert_eq!(
            convert(&itself)["properties"]["again"]["properties"]["again"],
            json!({"type": "object"})
        );
    }

    #[test]
    fn references_that_multiply_do_not_grow_without_bound() {
        let mut defs = Map::new();
        for level in 0..40 {
            let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
            defs.insert(
                format!("L{level}"),
                json!({"type": "object", "properties": {"a": next, "b": next}}),
            );
        }
        let schema = json!({"$ref": "#/$defs/L0", "$defs": defs});
        assert!(convert(&schema).to_string().len() < 4_000_000);
    }

    #[test]
    fn unions_constants_and_null_are_said_in_geminis_words() {
        let schema = json!({"type": "object", "properties": {
            "kind": {"const": "a"},
            "either": {"oneOf": [{"type": "string"}, {"type": "null"}]},
            "maybe": {"type": "string", "nullable": true},
            "both": {"type": ["string", "null"], "format": "date-time"},
            "any": true,
            "pair": {"type": "array", "items": [{"type": "string"}, {"type": "number"}], "additionalItems": false},
            "n": {"type": "integer", "minimum": 1, "exclusiveMinimum": true}
        }, "additionalProperties": false, "if": {"properties": {}}, "then": {}});
        assert_eq!(
            convert(&schema),
            json!({"type": "object", "properties": {
                "kind": {"enum": ["a"]},
                "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "maybe": {"type": ["string", "null"]},
                "both": {"type": ["string", "null"], "format": "date-time"},
                "any": {},
                "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]},
                "n": {"type": "integer", "minimum": 1}
            }, "additionalProperties": false})
        );
    }

    #[test]
    fn all_of_becomes_one_schema() {
        let schema = json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "number"}}, "required": ["b"]}]});
        assert_eq!(
            convert(&schema),
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}, "required": ["a", "b"]})
        );
    }

    #[test]
    fn a_tool_without_parameters_takes_an_empty_object() {
        // P68
        let empty = json!({"type": "object", "properties": {}});
        assert_eq!(parameters(None), empty);
        assert_eq!(parameters(Some(&json!({}))), empty);
        assert_eq!(parameters(Some(&json!({"type": "object"}))), empty);
        assert_eq!(parameters(Some(&Value::Null)), empty);
    }
}
