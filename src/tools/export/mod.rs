//! Tools as functions of the APIs that models are called by: OpenAI's two, Anthropic's, Gemini's, and MCP's list.
//!
//! In scope: names and schemas that each of them takes, the three functions that stand for a large catalog ([`meta`]), and the
//! subset of strict functions ([`strict`]). Out of scope: which tools a key sees, and running them ([`calls`](super::calls) reads
//! what a model answered).
//!
//! A name is `provider__operation`: letters, digits and underscores, at most [`MAX_NAME`] characters, which every client takes.

pub mod meta;
mod strict;

use std::borrow::Cow;

use serde_json::{Map, Value, json};

pub use strict::{Subset, strict, without_nulls};

use crate::dialects::gemini_parameters;

/// The longest name: some clients put their own name of a server before it and count both.
pub const MAX_NAME: usize = 60;
/// The longest description that every API takes, in characters.
pub const MAX_DESCRIPTION: usize = 1_024;
/// With more tools than this the functions of [`meta`] are exported in their place: long lists make models choose worse.
pub const MANY: usize = 40;
/// The most functions of one request at OpenAI.
pub const OPENAI_MOST: usize = 128;

/// Whose form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Chat completions.
    OpenAi,
    /// Responses.
    OpenAiResponses,
    /// Messages.
    Anthropic,
    /// `generateContent`.
    Gemini,
    /// `tools/list`.
    Mcp,
}

impl Format {
    /// Every form.
    pub const ALL: [Self; 5] = [
        Self::OpenAi,
        Self::OpenAiResponses,
        Self::Anthropic,
        Self::Gemini,
        Self::Mcp,
    ];

    /// The word in `format=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Mcp => "mcp",
        }
    }

    /// The form of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// The most functions of one request, where there is a limit.
    pub fn most(self) -> Option<usize> {
        matches!(self, Self::OpenAi | Self::OpenAiResponses | Self::Gemini).then_some(OPENAI_MOST)
    }
}

/// A tool, as all forms need to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Function<'a> {
    /// Its wire name.
    pub name: Cow<'a, str>,
    /// Its name for people.
    pub title: Cow<'a, str>,
    /// What it does.
    pub description: Cow<'a, str>,
    /// JSON Schema of its input.
    pub input: Cow<'a, Value>,
    /// It changes nothing.
    pub is_read: bool,
    /// What it changes may be lost.
    pub is_destructive: bool,
    /// Running it twice is like running it once.
    pub is_idempotent: bool,
}

/// One function in a form. Strict where that is wanted and its schema can be said so.
pub fn write(function: &Function<'_>, format: Format, wants_strict: bool) -> Value {
    let (name, description) = (function.name.as_ref(), shortened(&function.description));
    let subset = match format {
        Format::OpenAi | Format::OpenAiResponses => Some(Subset::OpenAi),
        Format::Anthropic => Some(Subset::Anthropic),
        Format::Gemini | Format::Mcp => None,
    };
    let strict = subset
        .filter(|_| wants_strict)
        .and_then(|subset| strict(&function.input, subset));
    let is_strict = strict.is_some();
    let schema = strict.unwrap_or_else(|| match format {
        Format::Gemini => gemini_parameters(Some(&function.input)),
        Format::Mcp => rooted(&function.input, false),
        _ => rooted(&function.input, true),
    });
    match format {
        Format::OpenAi => json!({
            "type": "function",
            "function": {"name": name, "description": description, "parameters": schema, "strict": is_strict},
        }),
        // Where nothing is said, a function is made strict there.
        Format::OpenAiResponses => json!({
            "type": "function", "name": name, "description": description, "parameters": schema, "strict": is_strict,
        }),
        Format::Anthropic => {
            let mut tool =
                json!({"name": name, "description": description, "input_schema": schema});
            if is_strict && let Some(tool) = tool.as_object_mut() {
                tool.insert("strict".to_owned(), true.into());
            }
            tool
        }
        Format::Gemini => {
            json!({"name": name, "description": description, "parametersJsonSchema": schema})
        }
        Format::Mcp => json!({
            "name": name, "title": function.title, "description": description, "inputSchema": schema,
            "annotations": {
                "title": function.title, "readOnlyHint": function.is_read, "destructiveHint": function.is_destructive,
                "idempotentHint": function.is_idempotent, "openWorldHint": true,
            },
        }),
    }
}

/// A list of functions as the request of a form takes it in `tools`.
pub fn list(functions: Vec<Value>, format: Format) -> Value {
    match format {
        Format::Gemini => json!([{"functionDeclarations": functions}]),
        _ => functions.into(),
    }
}

/// The schema of arguments: an object, and for models' APIs one without alternatives at its root, which they refuse.
fn rooted(schema: &Value, is_plain: bool) -> Value {
    let mut root = schema.as_object().cloned().unwrap_or_default();
    root.remove("$schema");
    root.remove("$id");
    if is_plain {
        flatten(&mut root);
    }
    let mut out = Map::new();
    out.insert("type".to_owned(), "object".into());
    out.extend(root.into_iter().filter(|(key, _)| key != "type"));
    out.entry("properties").or_insert_with(|| json!({}));
    out.into()
}

/// Takes the properties of alternatives into the object itself. What is required in some of them only is required no more.
fn flatten(root: &mut Map<String, Value>) {
    for key in ["anyOf", "oneOf", "allOf"] {
        let Some(Value::Array(parts)) = root.remove(key) else {
            continue;
        };
        for part in &parts {
            let properties = part.get("properties").and_then(Value::as_object);
            let known = root.entry("properties").or_insert_with(|| json!({}));
            if let Some(known) = known.as_object_mut() {
                for (name, schema) in properties.into_iter().flatten() {
                    known.entry(name.clone()).or_insert_with(|| schema.clone());
                }
            }
            let required = part.get("required").and_then(Value::as_array);
            if let (Some(required), true) = (required, key == "allOf") {
                let known = root.entry("required").or_insert_with(|| json!([]));
                if let Some(known) = known.as_array_mut() {
                    known.extend(required.iter().cloned());
                }
            }
        }
    }
    for key in ["not", "enum", "if", "then", "else"] {
        root.remove(key);
    }
}

fn shortened(description: &str) -> Cow<'_, str> {
    match description.char_indices().nth(MAX_DESCRIPTION) {
        None => description.into(),
        Some(_) => {
            let kept: String = description.chars().take(MAX_DESCRIPTION - 1).collect();
            format!("{kept}…").into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(input: Value) -> Function<'static> {
        Function {
            name: "weather__current".into(),
            title: "Current weather".into(),
            description: "Tells the weather at a place.".into(),
            input: Cow::Owned(input),
            is_read: true,
            is_destructive: false,
            is_idempotent: true,
        }
    }

    fn place() -> Value {
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 7}}, "required": ["city"]})
    }

    #[test]
    fn each_form_has_the_schema_where_its_api_wants_it() {
        for (format, path) in [
            (Format::OpenAi, "/function/parameters"),
            (Format::OpenAiResponses, "/parameters"),
            (Format::Anthropic, "/input_schema"),
            (Format::Gemini, "/parametersJsonSchema"),
            (Format::Mcp, "/inputSchema"),
        ] {
            let told = write(&function(place()), format, false);
            let schema = told.pointer(path).unwrap();
            assert_eq!(schema["type"], "object", "{format:?}");
            assert_eq!(schema["required"], json!(["city"]), "{format:?}");
            assert_eq!(schema.get("$schema"), None, "{format:?}");
            let name = told.pointer("/function/name").or(told.get("name"));
            assert_eq!(name.unwrap(), "weather__current");
            assert_eq!(Format::parse(format.as_str()), Some(format));
        }
        assert_eq!(Format::parse("grok"), None);
        let one = vec![json!(1)];
        assert_eq!(
            list(one.clone(), Format::Gemini),
            json!([{"functionDeclarations": [1]}])
        );
        assert_eq!(list(one, Format::OpenAi), json!([1]));
    }

    #[test]
    fn a_function_is_strict_where_it_is_asked_for_and_can_be() {
        let map = json!({"type": "object", "properties": {"x": {"type": "object", "additionalProperties": true}}});
        for (format, path) in [
            (Format::OpenAi, "/function/strict"),
            (Format::OpenAiResponses, "/strict"),
            (Format::Anthropic, "/strict"),
        ] {
            let is_strict = |input: Value, wants| {
                let told = write(&function(input), format, wants);
                told.pointer(path).and_then(Value::as_bool)
            };
            let otherwise = (format != Format::Anthropic).then_some(false);
            assert_eq!(is_strict(place(), true), Some(true), "{format:?}");
            assert_eq!(is_strict(place(), false), otherwise, "{format:?}");
            assert_eq!(is_strict(map.clone(), true), otherwise, "{format:?}");
        }
    }

    #[test]
    fn alternatives_at_the_root_become_properties() {
        let input = json!({
            "type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"],
            "anyOf": [{"properties": {"text": {"type": "string"}}, "required": ["text"]}, {"properties": {"html": {"type": "string"}}, "required": ["html"]}],
        });
        let told = write(&function(input.clone()), Format::Anthropic, false);
        let schema = &told["input_schema"];
        assert_eq!(schema.get("anyOf"), None);
        let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["to", "text", "html"]);
        assert_eq!(schema["required"], json!(["to"]));
        let mcp = write(&function(input), Format::Mcp, false);
        assert!(mcp["inputSchema"].get("anyOf").is_some());
        assert_eq!(
            write(&function(json!({})), Format::OpenAi, false)["function"]["parameters"],
            json!({"type": "object", "properties": {}})
        );
    }

    #[test]
    fn descriptions_are_as_long_as_every_api_takes_them() {
        let long = Function {
            description: "ü".repeat(2_000).into(),
            ..function(place())
        };
        let told = write(&long, Format::OpenAi, false);
        let description = told
            .pointer("/function/description")
            .and_then(Value::as_str)
            .unwrap();
        assert_eq!(description.chars().count(), MAX_DESCRIPTION);
        assert!(description.ends_with('…'));
    }
}
