//! Schemas of strangers in the form that every client takes: references resolved, parts merged, closed objects, few keywords.
//!
//! Rules: no `allOf`, `oneOf`, `not`, `default`, conditions or pattern properties; names of properties are `[A-Za-z0-9_]{1,64}`;
//! an object with properties is closed unless it says otherwise. Reads OpenAPI 3.0's schemas, 3.1's, and JSON Schema 2020-12.
//! What is too deep, refers to itself or cannot be said is left open, so that nothing that the API takes is refused here for it.

use serde_json::{Map, Value, json};

use super::text::{MAX_NOTE, MAX_TITLE, clean};
use crate::regex::Regex;

/// The deepest nesting of objects and lists that is kept.
pub const MAX_DEPTH: usize = 8;
/// The most bytes of one schema.
pub const MAX_SCHEMA_BYTES: usize = 24 * 1024;
/// The most references that lead from one to the next.
const MAX_HOPS: usize = 16;
/// The most schemas that one is made of.
const MAX_STEPS: usize = 4_000;
/// The most parts of an `allOf`, with those inside.
const MAX_PARTS: usize = 40;
/// The most alternatives.
const MAX_OPTIONS: usize = 16;
/// The most allowed values.
const MAX_VALUES: usize = 250;
/// The longest pattern.
const MAX_PATTERN: usize = 300;
/// The longest default that is told in words.
const MAX_DEFAULT: usize = 60;

/// The place that a reference within a document leads to, and whatever that refers to in turn.
pub fn resolve<'d>(document: &'d Value, mut value: &'d Value) -> Option<&'d Value> {
    for _ in 0..MAX_HOPS {
        let Some(to) = reference(value) else {
            return Some(value);
        };
        value = target(document, to)?;
    }
    None
}

fn reference(value: &Value) -> Option<&str> {
    value.get("$ref").and_then(Value::as_str)
}

fn target<'d>(document: &'d Value, to: &str) -> Option<&'d Value> {
    let pointer = to.strip_prefix('#')?;
    let pointer = pointer.replace("%7B", "{").replace("%7D", "}");
    document.pointer(&pointer)
}

/// A schema in the portable form, as deep as its size allows; nothing where even its outermost level is too large. What was given
/// up on the way is noted in `lost`. Of an outermost object whose fields can be given other names all names are kept.
pub fn portable(
    document: &Value,
    schema: &Value,
    keeps_names: bool,
    lost: &mut Vec<&'static str>,
) -> Option<Value> {
    for depth in [MAX_DEPTH, 4, 2, 1] {
        let mut shaper = Shaper {
            document,
            stack: Vec::new(),
            steps: 0,
            deepest: depth,
            keeps_names,
            lost: Vec::new(),
        };
        let made = shaper.schema(schema, 0);
        let fits = shaper.steps < MAX_STEPS && made.to_string().len() <= MAX_SCHEMA_BYTES;
        if fits {
            for what in shaper.lost {
                if !lost.contains(&what) {
                    lost.push(what);
                }
            }
            return Some(made);
        }
    }
    None
}

/// Whether a name of a property is fit for every client.
pub fn is_portable(name: &str) -> bool {
    (1..=super::name::MAX_PROPERTY).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

struct Shaper<'d> {
    document: &'d Value,
    /// References that led to this schema.
    stack: Vec<&'d str>,
    steps: usize,
    deepest: usize,
    keeps_names: bool,
    lost: Vec<&'static str>,
}

/// A schema with its references followed and its `allOf` taken apart: the keywords of all parts.
#[derive(Default)]
struct Whole<'d> {
    keywords: Map<String, Value>,
    properties: Vec<(&'d str, &'d Value)>,
    required: Vec<&'d str>,
    items: Option<&'d Value>,
    rest: Option<&'d Value>,
    options: Vec<&'d Value>,
    is_nullable: bool,
    has_patterns: bool,
}

/// The way that the parts of one schema are found by.
struct Path<'d> {
    /// References that lead here.
    followed: Vec<&'d str>,
    /// All that were followed.
    seen: Vec<&'d str>,
    /// How many more parts are read.
    left: usize,
}

impl<'d> Shaper<'d> {
    fn lose(&mut self, what: &'static str) {
        if !self.lost.contains(&what) {
            self.lost.push(what);
        }
    }

    fn schema(&mut self, schema: &'d Value, depth: usize) -> Value {
        self.steps += 1;
        if self.steps >= MAX_STEPS {
            return json!({});
        }
        let before = self.stack.len();
        let mut whole = Whole::default();
        let mut path = Path {
            followed: Vec::new(),
            seen: Vec::new(),
            left: MAX_PARTS,
        };
        let is_whole = self.collect(schema, &mut whole, &mut path);
        self.stack.append(&mut path.seen);
        let made = if is_whole {
            self.write(&whole, depth)
        } else {
            json!({})
        };
        self.stack.truncate(before);
        made
    }

    /// Follows references and takes `allOf` apart. Not where a reference leads nowhere, or back to itself.
    fn collect(&mut self, schema: &'d Value, whole: &mut Whole<'d>, path: &mut Path<'d>) -> bool {
        let Some(left) = path.left.checked_sub(1) else {
            self.lose("too many parts");
            return true;
        };
        path.left = left;
        let Some(fields) = schema.as_object() else {
            return true;
        };
        if let Some(to) = reference(schema) {
            let hops = path.followed.len();
            if self.stack.contains(&to) || path.followed.contains(&to) || hops >= MAX_HOPS {
                self.lose("a schema that refers to itself");
                return false;
            }
            let Some(found) = target(self.document, to) else {
                self.lose("a reference that leads nowhere in the document");
                return false;
            };
            path.followed.push(to);
            path.seen.push(to);
            let is_whole = self.collect(found, whole, path);
            path.followed.pop();
            if !is_whole {
                return false;
            }
        }
        for (key, value) in fields {
            self.keyword(key, value, whole, path);
        }
        true
    }

    fn keyword(&mut self, key: &str, value: &'d Value, whole: &mut Whole<'d>, path: &mut Path<'d>) {
        match key {
            "allOf" => {
                for part in value.as_array().into_iter().flatten() {
                    self.collect(part, whole, path);
                }
            }
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                for (name, schema) in fields {
                    let known = whole.properties.iter_mut().find(|(own, _)| own == name);
                    match known {
                        Some(known) => known.1 = schema,
                        None => whole.properties.push((name, schema)),
                    }
                }
            }
            "required" => {
                let names = value.as_array().into_iter().flatten();
                whole.required.extend(names.filter_map(Value::as_str));
            }
            "items" => whole.items = Some(value),
            "prefixItems" => self.lose("items that differ by their place"),
            "additionalProperties" => whole.rest = Some(value),
            "patternProperties" => whole.has_patterns = true,
            "anyOf" | "oneOf" => match value.as_array() {
                Some(options) if whole.options.is_empty() => whole.options.extend(options),
                _ => self.lose("alternatives inside of alternatives"),
            },
            "nullable" => whole.is_nullable |= value == &Value::Bool(true),
            "not"
            | "if"
            | "then"
            | "else"
            | "dependentRequired"
            | "dependentSchemas"
            | "contains"
            | "unevaluatedProperties"
            | "propertyNames" => self.lose("conditions"),
            "type" | "enum" | "const" | "description" | "title" | "format" | "pattern"
            | "default" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum"
            | "multipleOf" | "minLength" | "maxLength" | "minItems" | "maxItems"
            | "uniqueItems" => {
                whole.keywords.insert(key.to_owned(), value.clone());
            }
            _ => {}
        }
    }

    fn write(&mut self, whole: &Whole<'d>, depth: usize) -> Value {
        let mut out = Map::new();
        let (mut types, mut is_nullable) = (types(whole), whole.is_nullable);
        if types.iter().any(|one| one == "null") && types.len() > 1 {
            types.retain(|one| one != "null");
            is_nullable = true;
        }
        self.plain(whole, &types, &mut out);
        let is_object = types.iter().any(|one| one == "object");
        let is_array = types.iter().any(|one| one == "array");
        if !whole.options.is_empty() && !is_object {
            self.options(whole, depth, &mut is_nullable, &mut out);
        } else if !whole.options.is_empty() {
            self.lose("alternatives among properties");
        }
        if is_object {
            self.object(whole, depth, &mut out);
        }
        if is_array {
            let items = match whole.items {
                Some(items) if depth < self.deepest => self.schema(items, depth + 1),
                _ => json!({}),
            };
            out.insert("items".to_owned(), items);
        }
        if out.contains_key("anyOf") {
            return out.into();
        }
        if is_nullable && !types.is_empty() {
            types.push("null".to_owned());
            if let Some(values) = out.get_mut("enum").and_then(Value::as_array_mut)
                && !values.contains(&Value::Null)
            {
                values.push(Value::Null);
            }
        }
        match types.as_slice() {
            [] => None,
            [one] => out.insert("type".to_owned(), one.as_str().into()),
            all => out.insert("type".to_owned(), json!(all)),
        };
        out.into()
    }

    /// What says something of a value by itself.
    fn plain(&mut self, whole: &Whole<'d>, types: &[String], out: &mut Map<String, Value>) {
        let is = |name: &str| types.iter().any(|one| one == name);
        let mut told = String::new();
        for (key, value) in &whole.keywords {
            match (key.as_str(), value) {
                ("description", Value::String(text)) => told.insert_str(0, &clean(text, MAX_NOTE)),
                ("title", Value::String(text)) => {
                    let title = clean(text, MAX_TITLE);
                    if !title.is_empty() {
                        out.insert(key.clone(), title.into());
                    }
                }
                ("default", value) => {
                    let text = clean(&value.to_string(), MAX_DEFAULT + 1);
                    let is_said = !value.is_object() && !value.is_array() && !value.is_null();
                    if is_said && text.chars().count() <= MAX_DEFAULT {
                        told.push_str(&format!(" Default: {text}."));
                    }
                }
                ("enum", Value::Array(values)) => {
                    let is_scalar = |one: &Value| !one.is_object() && !one.is_array();
                    let is_kept = (1..=MAX_VALUES).contains(&values.len());
                    if is_kept && values.iter().all(is_scalar) {
                        out.insert(key.clone(), value.clone());
                    } else {
                        self.lose("a list of allowed values");
                    }
                }
                ("const", value) if !value.is_object() && !value.is_array() => {
                    out.insert("enum".to_owned(), json!([value]));
                }
                ("format", Value::String(word)) if is("string") => {
                    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
                    if word.len() <= 32 && word.chars().all(is_word) {
                        out.insert(key.clone(), value.clone());
                    }
                }
                ("pattern", Value::String(pattern)) if is("string") => {
                    let fits =
                        pattern.len() <= MAX_PATTERN && clean(pattern, MAX_PATTERN) == *pattern;
                    if fits && Regex::new(pattern).is_ok() {
                        out.insert(key.clone(), value.clone());
                    } else {
                        self.lose("a pattern");
                    }
                }
                ("minLength" | "maxLength", Value::Number(_)) if is("string") => {
                    out.insert(key.clone(), value.clone());
                }
                ("minItems" | "maxItems", Value::Number(_))
                | ("uniqueItems", Value::Bool(true))
                    if is("array") =>
                {
                    out.insert(key.clone(), value.clone());
                }
                _ => {}
            }
        }
        if is("integer") || is("number") {
            bounds(&whole.keywords, out);
        }
        let told = told.trim();
        if !told.is_empty() {
            out.insert("description".to_owned(), told.into());
        }
    }

    fn options(
        &mut self,
        whole: &Whole<'d>,
        depth: usize,
        is_nullable: &mut bool,
        out: &mut Map<String, Value>,
    ) {
        if whole.options.len() > MAX_OPTIONS || depth >= self.deepest {
            self.lose("alternatives");
            return;
        }
        let mut made: Vec<Value> = Vec::new();
        for option in &whole.options {
            let option = self.schema(option, depth + 1);
            if option.get("type") == Some(&"null".into()) {
                *is_nullable = true;
            } else if !made.contains(&option) {
                made.push(option);
            }
        }
        if *is_nullable {
            made.push(json!({"type": "null"}));
        }
        // One that takes anything makes the others idle.
        if !made
            .iter()
            .any(|one| one.as_object().is_some_and(Map::is_empty))
            && !made.is_empty()
        {
            out.insert("anyOf".to_owned(), made.into());
        }
    }

    fn object(&mut self, whole: &Whole<'d>, depth: usize, out: &mut Map<String, Value>) {
        if depth >= self.deepest {
            self.lose("what is nested deeply");
            return;
        }
        let mut properties = Map::new();
        let mut is_open = false;
        for (name, schema) in &whole.properties {
            // What only answers have.
            let found = resolve(self.document, schema).unwrap_or(schema);
            if found.get("readOnly") == Some(&Value::Bool(true)) {
                continue;
            }
            let is_required = whole.required.contains(name);
            // Inside of an object nothing could give names back.
            let is_kept = is_portable(name) || (depth == 0 && self.keeps_names);
            if !is_kept {
                self.lose("a field whose name not every client takes");
                is_open |= is_required;
                continue;
            }
            let made = self.schema(schema, depth + 1);
            properties.insert((*name).to_owned(), made);
        }
        if is_open {
            return;
        }
        let required: Vec<&str> = whole
            .required
            .iter()
            .copied()
            .filter(|name| properties.contains_key(*name))
            .collect();
        let rest = match whole.rest {
            Some(Value::Object(_)) if depth < self.deepest => {
                whole.rest.map(|rest| self.schema(rest, depth + 1))
            }
            Some(Value::Bool(true) | Value::Object(_)) => Some(json!({})),
            _ if whole.has_patterns => Some(json!({})),
            Some(_) => Some(false.into()),
            None => None,
        };
        if properties.is_empty() && !whole.properties.is_empty() && rest.is_none() {
            return;
        }
        if !properties.is_empty() {
            out.insert("properties".to_owned(), properties.into());
            if !required.is_empty() {
                let mut unique: Vec<&str> = Vec::new();
                for name in required {
                    if !unique.contains(&name) {
                        unique.push(name);
                    }
                }
                out.insert("required".to_owned(), json!(unique));
            }
            out.insert(
                "additionalProperties".to_owned(),
                rest.unwrap_or(Value::Bool(false)),
            );
        } else if let Some(rest) = rest {
            out.insert("additionalProperties".to_owned(), rest);
        }
    }
}

/// The types of a schema, as they are said or meant.
fn types(whole: &Whole<'_>) -> Vec<String> {
    const KNOWN: [&str; 7] = [
        "string", "number", "integer", "boolean", "object", "array", "null",
    ];
    let said = match whole.keywords.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all
            .iter()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    let mut types: Vec<String> = Vec::new();
    for one in said {
        if KNOWN.contains(&one.as_str()) && !types.contains(&one) {
            types.push(one);
        }
    }
    if types.is_empty() {
        if !whole.properties.is_empty() || whole.rest.is_some() || whole.has_patterns {
            types.push("object".to_owned());
        } else if whole.items.is_some() {
            types.push("array".to_owned());
        } else if let Some(Value::Array(values)) = whole.keywords.get("enum")
            && !values.is_empty()
            && values.iter().all(Value::is_string)
        {
            types.push("string".to_owned());
        }
    }
    types
}

/// Bounds of numbers; those of OpenAPI 3.0 are exclusive by a flag beside them.
fn bounds(keywords: &Map<String, Value>, out: &mut Map<String, Value>) {
    for (bound, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        let value = keywords.get(bound).filter(|value| value.is_number());
        match (value, keywords.get(exclusive)) {
            (Some(value), Some(Value::Bool(true))) => {
                out.insert(exclusive.to_owned(), value.clone());
            }
            (value, other) => {
                if let Some(value) = value {
                    out.insert(bound.to_owned(), value.clone());
                }
                if let Some(other) = other.filter(|other| other.is_number()) {
                    out.insert(exclusive.to_owned(), other.clone());
                }
            }
        }
    }
    let step = keywords.get("multipleOf").filter(|step| {
        let step = step.as_f64();
        step.is_some_and(|step| step > 0.0)
    });
    if let Some(step) = step {
        out.insert("multipleOf".to_owned(), step.clone());
    }
}
