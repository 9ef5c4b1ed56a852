//! Regular expressions in JSON Schemas, for hosts whose engine knows neither lookaround nor `\0` (P77).
//!
//! Such a host refuses the whole request, or answers with an empty stream. `\0` has a spelling that every engine reads; a
//! pattern with lookaround has none, so it moves into the description, where the model at least reads it. Schemas without
//! either are not touched. Patterns are read as ECMA-262 writes them, which is what JSON Schema asks for.

use serde_json::{Map, Value};

/// Keywords whose value is data, not a schema.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];

/// Keywords whose value maps names to schemas.
const NAMED: [&str; 5] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
];

/// The JSON array of tools with plain patterns; `None` where nothing had to change.
pub(super) fn plain_tools(tools: &[u8]) -> Option<Value> {
    rewritten(tools, |tools| {
        let mut has_changed = false;
        for tool in tools.as_array_mut().into_iter().flatten() {
            let schema = tool.pointer_mut("/function/parameters");
            has_changed |= schema.is_some_and(simplify);
        }
        has_changed
    })
}

/// A schema with plain patterns; `None` where it has no others.
pub(super) fn plain_schema(schema: &Value) -> Option<Value> {
    let mut plain = schema.clone();
    simplify(&mut plain).then_some(plain)
}

/// The `response_format` with plain patterns; `None` where nothing had to change.
pub(super) fn plain_format(format: &[u8]) -> Option<Value> {
    rewritten(format, |format| {
        format
            .pointer_mut("/json_schema/schema")
            .is_some_and(simplify)
    })
}

fn rewritten(json: &[u8], change: impl FnOnce(&mut Value) -> bool) -> Option<Value> {
    let mut value = crate::json::from_slice(json).ok()?;
    change(&mut value).then_some(value)
}

/// Makes the patterns of a schema plain; tells whether anything changed.
pub(super) fn simplify(schema: &mut Value) -> bool {
    match schema {
        Value::Object(object) => simplify_object(object),
        Value::Array(schemas) => schemas
            .iter_mut()
            .fold(false, |changed, schema| simplify(schema) | changed),
        _ => false,
    }
}

fn simplify_object(schema: &mut Map<String, Value>) -> bool {
    let mut has_changed = simplify_pattern(schema);
    let mut inverted = Vec::new();
    for (key, value) in schema.iter_mut() {
        match (key.as_str(), value) {
            (key, _) if DATA.contains(&key) => {}
            (key, Value::Object(named)) if NAMED.contains(&key) => {
                if key == "patternProperties" {
                    has_changed |= simplify_names(named);
                }
                for schema in named.values_mut() {
                    has_changed |= simplify(schema);
                }
            }
            (key, value) => {
                if simplify(value) {
                    has_changed = true;
                    if matches!(key, "not" | "if") {
                        inverted.push(key.to_owned());
                    }
                }
            }
        }
    }
    // A looser condition would refuse what the client allows.
    for key in inverted {
        schema.shift_remove(&key);
        if key == "if" {
            schema.shift_remove("then");
            schema.shift_remove("else");
        }
    }
    has_changed
}

fn simplify_pattern(schema: &mut Map<String, Value>) -> bool {
    let Some(Value::String(pattern)) = schema.get("pattern") else {
        return false;
    };
    match plain(pattern) {
        Plain::AsIs => return false,
        Plain::Respelt(pattern) => {
            schema.insert("pattern".into(), pattern.into());
        }
        Plain::Impossible => {
            let told = format!("pattern: {pattern}");
            schema.shift_remove("pattern");
            let description = match schema.get("description").and_then(Value::as_str) {
                Some(text) if !text.is_empty() => format!("{text} ({told})"),
                _ => told,
            };
            schema.insert("description".into(), description.into());
        }
    }
    true
}

/// Names given as patterns: what cannot be spelt otherwise is left out.
fn simplify_names(named: &mut Map<String, Value>) -> bool {
    if named.keys().all(|name| plain(name) == Plain::AsIs) {
        return false;
    }
    *named = std::mem::take(named)
        .into_iter()
        .filter_map(|(name, schema)| match plain(&name) {
            Plain::AsIs => Some((name, schema)),
            Plain::Respelt(name) => Some((name, schema)),
            Plain::Impossible => None,
        })
        .collect();
    true
}

/// What becomes of a pattern.
#[derive(Debug, PartialEq, Eq)]
enum Plain {
    AsIs,
    Respelt(String),
    Impossible,
}

fn plain(pattern: &str) -> Plain {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut is_in_class = false;
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let (taken, written) = match next {
            '\\' => match escape(rest) {
                Some(escape) => escape,
                None => return Plain::Impossible,
            },
            '\0' => ("\0", "\\x00"),
            '(' if !is_in_class && opens_lookaround(rest) => return Plain::Impossible,
            _ => {
                is_in_class = (is_in_class || next == '[') && next != ']';
                let (taken, _) = rest.split_at(next.len_utf8());
                (taken, taken)
            }
        };
        out.push_str(written);
        rest = rest.strip_prefix(taken).unwrap_or_default();
    }
    if out == pattern {
        Plain::AsIs
    } else {
        Plain::Respelt(out)
    }
}

/// The escape at the beginning, and how to write it. `\0` before a digit is an octal number, which only some engines read.
fn escape(text: &str) -> Option<(&str, &str)> {
    let mut chars = text.char_indices().skip(1);
    let Some((_, escaped)) = chars.next() else {
        return Some((text, text));
    };
    let after = chars.next();
    if escaped != '0' {
        let end = after.map_or(text.len(), |(at, _)| at);
        let (taken, _) = text.split_at(end);
        return Some((taken, taken));
    }
    let is_octal = after.is_some_and(|(_, digit)| digit.is_ascii_digit());
    (!is_octal).then_some(("\\0", "\\x00"))
}

fn opens_lookaround(text: &str) -> bool {
    ["(?=", "(?!", "(?<=", "(?<!"]
        .iter()
        .any(|opening| text.starts_with(opening))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_no_plain_engine_reads_changes() {
        // P77
        let respelt = |text: &str| Plain::Respelt(text.to_owned());
        for (pattern, expected) in [
            (r"^[a-z]+$", Plain::AsIs),
            (r"^(?:a|b)(?<name>c)\d\\0$", Plain::AsIs),
            (r"\(?=x", Plain::AsIs),
            (r"[(?=\]]+[(?!]", Plain::AsIs),
            ("é\\", Plain::AsIs),
            ("", Plain::AsIs),
            (r"^[^\0]*$", respelt(r"^[^\x00]*$")),
            (r"é\0é\é", respelt(r"é\x00é\é")),
            ("a\0", respelt(r"a\x00")),
            (r"^(?=.*@).+$", Plain::Impossible),
            (r"^(?!undefined$|null$)", Plain::Impossible),
            (r"[\]](?<=a)b", Plain::Impossible),
            (r"(?<!a)b", Plain::Impossible),
            (r"\012", Plain::Impossible),
        ] {
            assert_eq!(plain(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_becomes_words_wherever_a_schema_can_stand() {
        // P77
        let mut schema = json!({"type": "object", "properties": {
            "pattern": {"type": "string", "pattern": "(?=a)", "description": "Key"},
            "list": {"type": "array", "items": [{"anyOf": [{"pattern": "^(?!b)"}, {"pattern": "c"}]}]},
            "not": {"type": "string", "not": {"pattern": "(?=d)"}},
            "if": {"if": {"pattern": "(?=e)"}, "then": {"maxLength": 1}, "else": {"maxLength": 2}, "type": "string"}
        }, "patternProperties": {"^\\0": {"pattern": "\\0"}, "(?!x)": {}, "y": {}},
           "default": {"pattern": "(?=f)"}, "enum": [{"pattern": "(?=g)"}]});
        assert!(simplify(&mut schema));
        assert_eq!(
            schema,
            json!({"type": "object", "properties": {
                "pattern": {"type": "string", "description": "Key (pattern: (?=a))"},
                "list": {"type": "array", "items": [{"anyOf": [{"description": "pattern: ^(?!b)"}, {"pattern": "c"}]}]},
                "not": {"type": "string"},
                "if": {"type": "string"}
            }, "patternProperties": {"^\\x00": {"pattern": "\\x00"}, "y": {}},
               "default": {"pattern": "(?=f)"}, "enum": [{"pattern": "(?=g)"}]})
        );
        assert!(!simplify(&mut schema), "and then nothing is left to change");
    }
}
