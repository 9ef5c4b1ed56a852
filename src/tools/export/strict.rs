//! A schema in the subset that a model's answer can be held to: OpenAI's strict functions, Anthropic's strict tools.
//!
//! Both want closed objects and know few keywords. What a schema says beyond them goes into its descriptions, so that the model
//! still reads it; what cannot be said at all (maps with free keys, anything goes) makes the function a loose one. OpenAI wants
//! every property to be required, so an optional one may be `null` there, and [`without_nulls`] takes these out of arguments again.

use serde_json::{Map, Value, json};

/// The most properties of one schema.
const MAX_PROPERTIES: usize = 5_000;
/// The deepest nesting of objects and lists.
const MAX_DEPTH: usize = 10;
/// The most values of all lists of allowed values together.
const MAX_VALUES: usize = 1_000;
/// The most characters of names and allowed values together.
const MAX_LETTERS: usize = 120_000;

/// Whose subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subset {
    /// OpenAI's: everything is required.
    OpenAi,
    /// Anthropic's: no bounds, no references.
    Anthropic,
}

impl Subset {
    fn knows(self, key: &str, value: &Value) -> bool {
        match (self, key) {
            (_, "description" | "title") => true,
            (_, "format") => {
                let word = value.as_str().unwrap_or_default();
                let is_shared = matches!(
                    word,
                    "date-time"
                        | "time"
                        | "date"
                        | "duration"
                        | "email"
                        | "hostname"
                        | "ipv4"
                        | "ipv6"
                        | "uuid"
                );
                is_shared || (self == Self::Anthropic && word == "uri")
            }
            (
                Self::OpenAi,
                "pattern" | "multipleOf" | "minimum" | "maximum" | "exclusiveMinimum"
                | "exclusiveMaximum" | "minItems" | "maxItems",
            ) => true,
            (Self::Anthropic, "minItems") => value.as_u64().is_some_and(|least| least < 2),
            _ => false,
        }
    }
}

/// A schema in the subset; nothing where it cannot be said there.
pub fn strict(schema: &Value, subset: Subset) -> Option<Value> {
    let mut writer = Writer {
        subset,
        properties: 0,
        values: 0,
        letters: 0,
    };
    let mut written = writer.schema(schema, 0)?;
    let is_object = written.get("type").and_then(Value::as_str) == Some("object");
    if !is_object || written.get("anyOf").is_some() {
        return None;
    }
    if let Some(definitions) = schema.get("$defs").and_then(Value::as_object) {
        if subset == Subset::Anthropic {
            return None;
        }
        let mut all = Map::new();
        for (name, definition) in definitions {
            all.insert(name.clone(), writer.schema(definition, 1)?);
        }
        written
            .as_object_mut()?
            .insert("$defs".to_owned(), all.into());
    }
    let fits = writer.properties <= MAX_PROPERTIES
        && writer.values <= MAX_VALUES
        && writer.letters <= MAX_LETTERS;
    fits.then_some(written)
}

struct Writer {
    subset: Subset,
    properties: usize,
    values: usize,
    letters: usize,
}

impl Writer {
    fn schema(&mut self, schema: &Value, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let object = merged(schema.as_object()?)?;
        if let Some(reference) = object.get("$ref") {
            let is_ours = self.subset == Subset::OpenAi
                && reference
                    .as_str()
                    .is_some_and(|to| to == "#" || to.starts_with("#/$defs/"));
            return is_ours.then(|| json!({"$ref": reference}));
        }
        let mut out = Map::new();
        let mut hints = Vec::new();
        for (key, value) in &object {
            match key.as_str() {
                _ if self.subset.knows(key, value) => {
                    out.insert(key.clone(), value.clone());
                }
                "patternProperties" | "prefixItems" | "dependentSchemas" | "if" | "not"
                | "contains" => return None,
                key => hints.extend(hint(key, value)),
            }
        }
        let one_of = object.get("anyOf").or_else(|| object.get("oneOf"));
        let kind = object.get("type").cloned().or_else(|| implied(&object));
        match (kind, one_of.and_then(Value::as_array)) {
            // Alternatives among the properties of one object are told in words by the catalog.
            (Some(kind), Some(_)) if is(&kind, "object") => {
                self.object(&object, kind, depth, &mut out)?
            }
            (_, Some(each)) => {
                let each: Option<Vec<Value>> =
                    each.iter().map(|one| self.schema(one, depth)).collect();
                out.insert("anyOf".to_owned(), each?.into());
            }
            (Some(kind), None) => self.typed(&object, kind, depth, &mut out)?,
            (None, None) => return None,
        }
        if !hints.is_empty() {
            let told = out
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .trim_end();
            let full_stop = if told.is_empty() || told.ends_with(['.', '!', '?']) {
                ""
            } else {
                "."
            };
            let told = format!("{told}{full_stop} {}", hints.join(" "));
            out.insert("description".to_owned(), told.trim().into());
        }
        Some(out.into())
    }

    fn typed(
        &mut self,
        object: &Map<String, Value>,
        kind: Value,
        depth: usize,
        out: &mut Map<String, Value>,
    ) -> Option<()> {
        if is(&kind, "object") {
            return self.object(object, kind, depth, out);
        }
        if is(&kind, "array") {
            let items = self.schema(object.get("items")?, depth + 1)?;
            out.insert("items".to_owned(), items);
        }
        let single = object.get("const").map(|value| vec![value.clone()]);
        let values = object.get("enum").and_then(Value::as_array).cloned();
        if let Some(values) = values.or(single) {
            if values
                .iter()
                .any(|value| value.is_object() || value.is_array())
            {
                return None;
            }
            self.values += values.len();
            self.letters += values
                .iter()
                .filter_map(Value::as_str)
                .map(str::len)
                .sum::<usize>();
            out.insert("enum".to_owned(), values.into());
        }
        out.insert("type".to_owned(), kind);
        Some(())
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        kind: Value,
        depth: usize,
        out: &mut Map<String, Value>,
    ) -> Option<()> {
        let none = Map::new();
        let properties = object
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        let is_open = match object.get("additionalProperties") {
            None => properties.is_empty() && depth > 0,
            Some(more) => *more != Value::Bool(false),
        };
        if is_open {
            return None;
        }
        let required: Vec<&str> = texts(object.get("required")).collect();
        let mut written = Map::new();
        for (name, schema) in properties {
            self.properties += 1;
            self.letters += name.len();
            let schema = self.schema(schema, depth + 1)?;
            let is_optional = self.subset == Subset::OpenAi && !required.contains(&name.as_str());
            written.insert(
                name.clone(),
                if is_optional { or_null(schema) } else { schema },
            );
        }
        let required: Vec<Value> = match self.subset {
            Subset::OpenAi => written.keys().map(|name| name.as_str().into()).collect(),
            Subset::Anthropic => {
                let known = required
                    .into_iter()
                    .filter(|name| written.contains_key(*name));
                known.map(Value::from).collect()
            }
        };
        out.insert("type".to_owned(), kind);
        out.insert("properties".to_owned(), written.into());
        out.insert("required".to_owned(), required.into());
        out.insert("additionalProperties".to_owned(), false.into());
        Some(())
    }
}

fn is(kind: &Value, word: &str) -> bool {
    match kind {
        Value::String(one) => one == word,
        Value::Array(all) => all.iter().any(|one| one == word),
        _ => false,
    }
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = list.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// The type of a schema that does not name it.
fn implied(object: &Map<String, Value>) -> Option<Value> {
    let has = |key: &str| object.contains_key(key);
    let of_values = || {
        let values = object.get("enum").and_then(Value::as_array);
        let mut values = values.into_iter().flatten().chain(object.get("const"));
        values.all(Value::is_string).then_some("string")
    };
    let kind = match () {
        () if has("properties") => Some("object"),
        () if has("items") => Some("array"),
        () if has("enum") || has("const") => of_values(),
        () => None,
    };
    kind.map(Value::from)
}

/// A schema with what stands in its `allOf`; nothing where two of them say different things.
fn merged(object: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut all = object.clone();
    let Some(parts) = all.remove("allOf") else {
        return Some(all);
    };
    for part in parts.as_array()? {
        for (key, value) in merged(part.as_object()?)? {
            match (key.as_str(), all.get_mut(&key)) {
                (_, None) => {
                    all.insert(key, value);
                }
                ("properties", Some(Value::Object(known))) => {
                    for (name, schema) in value.as_object()? {
                        let former = known.insert(name.clone(), schema.clone());
                        if former.is_some_and(|former| former != *schema) {
                            return None;
                        }
                    }
                }
                ("required", Some(Value::Array(known))) => {
                    known.extend(value.as_array()?.iter().cloned())
                }
                ("description" | "title", Some(_)) => {}
                (_, Some(known)) if *known == value => {}
                _ => return None,
            }
        }
    }
    Some(all)
}

/// A schema that admits `null` too.
fn or_null(schema: Value) -> Value {
    let Value::Object(mut object) = schema else {
        return schema;
    };
    if let Some(Value::Array(values)) = object.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match object.get_mut("type") {
        Some(Value::String(one)) => {
            let kinds = json!([one, "null"]);
            object.insert("type".to_owned(), kinds);
        }
        Some(Value::Array(kinds)) if !kinds.contains(&json!("null")) => kinds.push("null".into()),
        Some(_) => {}
        None => match object.get_mut("anyOf").and_then(Value::as_array_mut) {
            Some(each) if each.contains(&json!({"type": "null"})) => {}
            Some(each) => each.push(json!({"type": "null"})),
            None => return json!({"anyOf": [object, {"type": "null"}]}),
        },
    }
    object.into()
}

/// What a keyword says, in words.
fn hint(key: &str, value: &Value) -> Option<String> {
    Some(match key {
        "default" if !value.is_null() => format!("Default: {value}."),
        "minLength" => format!("At least {value} characters."),
        "maxLength" => format!("At most {value} characters."),
        "minimum" => format!("At least {value}."),
        "maximum" => format!("At most {value}."),
        "exclusiveMinimum" => format!("Above {value}."),
        "exclusiveMaximum" => format!("Below {value}."),
        "multipleOf" => format!("A multiple of {value}."),
        "minItems" => format!("At least {value} items."),
        "maxItems" => format!("At most {value} items."),
        "pattern" => format!("Matches {}.", value.as_str()?),
        "format" => format!("Format: {}.", value.as_str()?),
        "examples" => format!("Examples: {value}."),
        _ => return None,
    })
}

/// Takes `null` out of arguments where the schema does not admit it: a strict function says so of what it leaves out.
pub fn without_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(object) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                return;
            };
            object.retain(|name, value| {
                !value.is_null() || properties.get(name).is_none_or(admits_null)
            });
            for (name, value) in object {
                if let Some(schema) = properties.get(name) {
                    without_nulls(schema, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items
                    .iter_mut()
                    .for_each(|item| without_nulls(schema, item));
            }
        }
        _ => {}
    }
}

fn admits_null(schema: &Value) -> bool {
    let each = |key: &str| {
        let each = schema.get(key).and_then(Value::as_array);
        each.map(|each| each.iter().any(admits_null))
    };
    let values = schema.get("enum").and_then(Value::as_array);
    let by_kind = schema.get("type").map(|kind| is(kind, "null"));
    let by_value = values.map(|values| values.contains(&Value::Null));
    by_kind
        .or(by_value)
        .or_else(|| each("anyOf"))
        .or_else(|| each("oneOf"))
        .unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::schema::check;

    fn search() -> Value {
        json!({
            "type": "object",
            "properties": {
                "query": {"type": "string", "minLength": 1, "maxLength": 400, "description": "What to search for"},
                "topic": {"enum": ["news", "general"], "default": "general"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 20},
                "where": {
                    "type": "object", "additionalProperties": false, "required": ["city"],
                    "properties": {"city": {"type": "string"}, "zip": {"type": ["string", "null"]}},
                },
                "tags": {"type": "array", "items": {"type": "string", "format": "uri"}, "maxItems": 3},
            },
            "required": ["query"],
            "additionalProperties": false,
        })
    }

    /// Every object closed and every property required, no keyword beyond the list.
    fn is_strict(schema: &Value) -> bool {
        const KNOWN: [&str; 19] = [
            "type",
            "description",
            "title",
            "enum",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "anyOf",
            "$ref",
            "$defs",
            "pattern",
            "format",
            "multipleOf",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "minItems",
            "maxItems",
        ];
        let Some(object) = schema.as_object() else {
            return false;
        };
        let names = |key: &str| {
            object
                .get(key)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
        };
        let inner = names("properties")
            .chain(names("$defs"))
            .map(|(_, inner)| inner);
        let inner = inner.chain(object.get("items"));
        let inner = inner.chain(
            object
                .get("anyOf")
                .and_then(Value::as_array)
                .into_iter()
                .flatten(),
        );
        let is_object = object.get("type").is_some_and(|kind| is(kind, "object"));
        let required: Vec<&str> = texts(object.get("required")).collect();
        object.keys().all(|key| KNOWN.contains(&key.as_str()))
            && inner.into_iter().all(is_strict)
            && (!is_object
                || (object.get("additionalProperties") == Some(&json!(false))
                    && names("properties").all(|(name, _)| required.contains(&name.as_str()))))
    }

    #[test]
    fn openais_subset_requires_everything_and_optional_means_null() {
        let strict = strict(&search(), Subset::OpenAi).unwrap();
        assert!(is_strict(&strict), "{strict:#}");
        let at = |path: &str| strict.pointer(path).cloned().unwrap_or_default();
        assert_eq!(at("/properties/query/type"), "string");
        assert_eq!(
            at("/properties/query/description"),
            "What to search for. At least 1 characters. At most 400 characters."
        );
        assert_eq!(
            at("/properties/topic"),
            json!({"enum": ["news", "general", null], "type": ["string", "null"], "description": "Default: \"general\"."})
        );
        assert_eq!(at("/properties/limit/type"), json!(["integer", "null"]));
        assert_eq!(at("/properties/limit/maximum"), 20);
        assert_eq!(at("/properties/where/required"), json!(["city", "zip"]));
        assert_eq!(at("/properties/tags/items/description"), "Format: uri.");
    }

    #[test]
    fn anthropics_subset_keeps_what_is_optional_and_has_no_bounds() {
        let strict = strict(&search(), Subset::Anthropic).unwrap();
        let at = |path: &str| strict.pointer(path).cloned().unwrap_or_default();
        assert_eq!(at("/required"), json!(["query"]));
        assert_eq!(
            at("/properties/limit"),
            json!({"type": "integer", "description": "At least 1. At most 20."})
        );
        assert_eq!(at("/properties/tags/items/format"), "uri");
        assert_eq!(at("/properties/tags/description"), "At most 3 items.");
    }

    #[test]
    fn what_cannot_be_said_strictly_is_not() {
        for (case, property) in [
            (
                "a map",
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
            ),
            ("any object", json!({"type": "object"})),
            ("anything", json!({})),
            ("anything at all", json!(true)),
            ("a list of anything", json!({"type": "array"})),
            (
                "a tuple",
                json!({"type": "array", "prefixItems": [{"type": "string"}]}),
            ),
            ("not", json!({"type": "string", "not": {"enum": ["x"]}})),
            ("if", json!({"type": "string", "if": {}, "then": {}})),
            (
                "patterns of names",
                json!({"type": "object", "patternProperties": {"^x": {"type": "string"}}}),
            ),
            (
                "another document",
                json!({"$ref": "https://example.com/schema"}),
            ),
            ("values of any kind", json!({"enum": ["a", 1]})),
        ] {
            let schema = json!({"type": "object", "properties": {"x": property}});
            for subset in [Subset::OpenAi, Subset::Anthropic] {
                assert_eq!(strict(&schema, subset), None, "{case}");
            }
        }
        let mut deep = json!({"type": "string"});
        for _ in 0..11 {
            deep = json!({"type": "object", "properties": {"x": deep}});
        }
        assert_eq!(strict(&deep, Subset::OpenAi), None);
        let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
        assert_eq!(
            strict(
                &json!({"type": "object", "properties": {"x": {"enum": many}}}),
                Subset::OpenAi
            ),
            None
        );
        assert_eq!(strict(&json!({"type": "string"}), Subset::OpenAi), None);
    }

    #[test]
    fn alternatives_references_and_parts_are_kept() {
        let schema = json!({
            "type": "object",
            "properties": {
                "when": {"oneOf": [{"type": "string", "format": "date"}, {"type": "integer"}]},
                "tree": {"$ref": "#/$defs/Node"},
                "both": {"allOf": [{"type": "object", "properties": {"a": {"const": "x"}}, "required": ["a"]}, {"properties": {"b": {"type": "number"}}}]},
            },
            "required": ["tree", "when"],
            "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
        });
        let strict = strict(&schema, Subset::OpenAi).unwrap();
        assert!(is_strict(&strict), "{strict:#}");
        let at = |path: &str| strict.pointer(path).cloned().unwrap_or_default();
        assert_eq!(at("/properties/when/anyOf/1"), json!({"type": "integer"}));
        assert_eq!(at("/properties/tree"), json!({"$ref": "#/$defs/Node"}));
        assert_eq!(
            at("/$defs/Node/properties/next/anyOf/1"),
            json!({"type": "null"})
        );
        assert_eq!(at("/properties/both/type"), json!(["object", "null"]));
        assert_eq!(at("/properties/both/required"), json!(["a", "b"]));
        let apart = json!({"type": "object", "properties": {"x": {"allOf": [{"type": "string"}, {"type": "number"}]}}});
        assert_eq!(super::strict(&apart, Subset::OpenAi), None);
    }

    #[test]
    fn arguments_of_a_strict_function_fit_the_schema_that_it_was_made_of() {
        let schema = search();
        let mut arguments = json!({
            "query": "tea", "topic": null, "limit": null, "where": {"city": "Berlin", "zip": null}, "tags": null,
        });
        assert!(check(&schema, &arguments).is_some());
        assert!(check(&strict(&schema, Subset::OpenAi).unwrap(), &arguments).is_none());
        without_nulls(&schema, &mut arguments);
        assert_eq!(
            arguments,
            json!({"query": "tea", "where": {"city": "Berlin", "zip": null}})
        );
        assert!(check(&schema, &arguments).is_none());
    }
}
