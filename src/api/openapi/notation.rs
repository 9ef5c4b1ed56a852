//! Schemas in few words: a notation like TypeScript's, read into JSON Schema.
//!
//! `{name: string(1..128), limit?: money | null, tags: 'a' | 'b'[1..4], [other]: any}`. A comment before a field is its
//! description. Words in capitals name other types of the document. An object takes no other fields where it ends in `!`.

#![expect(
    clippy::string_slice,
    reason = "positions were found in the same text: they are borders of characters"
)]

use serde_json::{Map, Value, json};

/// Reads a file of `Name = type` lines, each type perhaps with a comment before it that describes it.
pub fn types(text: &str) -> Vec<(String, Value)> {
    let mut reader = Reader::new(text);
    let mut found = Vec::new();
    loop {
        let description = reader.comment();
        if reader.rest().is_empty() {
            return found;
        }
        let name = reader.word();
        reader.expect('=');
        let mut schema = reader.union();
        describe(&mut schema, description);
        found.push((name, schema));
    }
}

/// Reads one type.
pub fn schema(text: &str) -> Value {
    let mut reader = Reader::new(text);
    let schema = reader.union();
    assert!(reader.rest().is_empty(), "left over: {}", reader.rest());
    schema
}

fn describe(schema: &mut Value, description: String) {
    if !description.is_empty() {
        let object = schema.as_object_mut().unwrap();
        object.insert("description".into(), description.into());
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        &self.text[self.at..]
    }

    /// Comments that stand here, as one text.
    fn comment(&mut self) -> String {
        let mut lines = Vec::new();
        while let Some(rest) = self.rest().strip_prefix("//") {
            let line = rest.lines().next().unwrap_or_default();
            self.at += 2 + line.len();
            lines.push(line.trim());
        }
        lines.join(" ")
    }

    fn take(&mut self, what: char) -> bool {
        let is_here = self.rest().starts_with(what);
        self.at += if is_here { what.len_utf8() } else { 0 };
        is_here
    }

    fn expect(&mut self, what: char) {
        let is_here = self.take(what);
        assert!(is_here, "expected {what} before: {:.80}", self.rest());
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || "_-$@.:".contains(c);
        // A colon ends a field's name unless a letter follows it at once, as in `openrouter:web_search`.
        let mut end = 0;
        for (at, c) in rest.char_indices() {
            let next = rest[at + c.len_utf8()..].chars().next().unwrap_or(' ');
            if !is_part(c) || (c == ':' && !next.is_alphanumeric()) {
                break;
            }
            end = at + c.len_utf8();
        }
        assert!(end > 0, "expected a word: {rest:.80}");
        self.at += end;
        rest[..end].to_owned()
    }

    fn quoted(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find('\'').expect("a closing quote");
        self.at += end + 1;
        rest[..end].to_owned()
    }

    /// `(1..9)`: both ends, as they are written.
    fn range(&mut self, open: char, close: char) -> Option<(String, String)> {
        if !self.take(open) {
            return None;
        }
        let rest = self.rest();
        let end = rest.find(close).expect("the end of a range");
        self.at += end + close.len_utf8();
        let (low, high) = rest[..end].split_once("..").unwrap_or((&rest[..end], ""));
        Some((low.trim().to_owned(), high.trim().to_owned()))
    }

    fn union(&mut self) -> Value {
        // A comment in front of one of several is for who reads the source.
        self.comment();
        self.take('|');
        let mut each = vec![self.postfix()];
        loop {
            let before = self.at;
            self.comment();
            if !self.take('|') {
                self.at = before;
                break;
            }
            each.push(self.postfix());
        }
        join(each)
    }

    fn postfix(&mut self) -> Value {
        let mut schema = self.primary();
        while let Some((low, high)) = self.range('[', ']') {
            let mut list = json!({"type": "array", "items": schema});
            for (key, bound) in [("minItems", low), ("maxItems", high)] {
                if !bound.is_empty() {
                    list[key] = number(&bound);
                }
            }
            schema = list;
        }
        schema
    }

    fn primary(&mut self) -> Value {
        if self.take('{') {
            return self.object();
        }
        if self.take('(') {
            let inner = self.union();
            self.expect(')');
            return inner;
        }
        if self.take('\'') {
            return json!({"type": "string", "enum": [self.quoted()]});
        }
        if self.take('/') {
            let rest = self.rest();
            let end = rest.find('/').expect("the end of a pattern");
            self.at += end + 1;
            return json!({"type": "string", "pattern": &rest[..end]});
        }
        let word = self.word();
        let range = self.range('(', ')');
        named(&word, range)
    }

    fn object(&mut self) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let mut others = None;
        loop {
            let description = self.comment();
            if self.take('}') {
                break;
            }
            if self.take('[') {
                self.word();
                self.expect(']');
                self.expect(':');
                others = Some(self.union());
            } else {
                let name = self.word();
                let is_optional = self.take('?');
                self.expect(':');
                let mut schema = self.union();
                // A reference takes a description beside it.
                describe(&mut schema, description);
                if !is_optional {
                    required.push(Value::from(name.clone()));
                }
                properties.insert(name, schema);
            }
            if !self.take(',') {
                self.comment();
                self.expect('}');
                break;
            }
        }
        let mut schema = json!({"type": "object"});
        if !properties.is_empty() {
            schema["properties"] = properties.into();
        }
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if self.take('!') {
            others = Some(json!(false));
        }
        if let Some(others) = others {
            schema["additionalProperties"] = others;
        }
        schema
    }
}

fn number(text: &str) -> Value {
    crate::json::from_str(text).unwrap_or_else(|_| panic!("no number: {text}"))
}

/// What a word means, within a range.
fn named(word: &str, range: Option<(String, String)>) -> Value {
    let (low, high) = range.unwrap_or_default();
    let mut schema = match word {
        "any" => json!({}),
        "null" => json!({"type": "null"}),
        "string" => json!({"type": "string"}),
        "boolean" => json!({"type": "boolean"}),
        "object" => json!({"type": "object"}),
        "int" => json!({"type": "integer"}),
        "number" => json!({"type": "number"}),
        // Exact decimal dollars.
        "money" => json!({"type": "number"}),
        "time" => json!({"type": "string", "format": "date-time"}),
        "date" => json!({"type": "string", "format": "date"}),
        "uri" => json!({"type": "string", "format": "uri"}),
        "hash" => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
        "base64" => json!({"type": "string", "contentEncoding": "base64"}),
        "json" => json!({"type": "string", "contentMediaType": "application/json"}),
        "media" => {
            json!({"type": "string", "pattern": "^(https?://|gs://|data:[^,]*/[^,]*;base64,)"})
        }
        "https" => json!({"type": "string", "format": "uri", "pattern": "^https://"}),
        // The same as text.
        "dollars" => json!({"type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,9})?$"}),
        "true" => json!({"const": true}),
        "false" => json!({"const": false}),
        name if name.starts_with(char::is_uppercase) => {
            json!({"$ref": format!("#/components/schemas/{name}")})
        }
        _ => panic!("there is no type {word}"),
    };
    let (least, most) = match word {
        "string" => ("minLength", "maxLength"),
        _ => ("minimum", "maximum"),
    };
    if let Some(above) = low.strip_prefix('>') {
        schema["exclusiveMinimum"] = number(above);
    } else if !low.is_empty() {
        schema[least] = number(&low);
    }
    if !high.is_empty() {
        schema[most] = number(&high);
    }
    schema
}

/// Several types as one: words as one list of words, `null` beside one type as a second type.
fn join(mut each: Vec<Value>) -> Value {
    if each.len() == 1 {
        return each.remove(0);
    }
    let is_word = |schema: &Value| schema.get("enum").is_some();
    let is_null = |schema: &Value| schema["type"] == "null";
    if each.iter().all(|one| is_word(one) || is_null(one)) && each.iter().any(is_word) {
        let words = each.iter().map(|one| one["enum"][0].clone());
        let has_null = each.iter().any(is_null);
        let kind = if has_null {
            json!(["string", "null"])
        } else {
            json!("string")
        };
        return json!({"type": kind, "enum": words.collect::<Vec<_>>()});
    }
    if let [one, null] = each.as_mut_slice()
        && is_null(null)
        && one["type"].is_string()
    {
        one["type"] = json!([one["type"], "null"]);
        return each.remove(0);
    }
    // Words among other types become one member.
    let (words, mut others): (Vec<Value>, Vec<Value>) = each.into_iter().partition(is_word);
    if words.len() > 1 {
        others.insert(0, join(words));
    } else {
        others.splice(0..0, words);
    }
    json!({"anyOf": others})
}

#[test]
fn the_notation_says_what_json_schema_says() {
    for (text, expected) in [
        (
            "string(1..9)",
            json!({"type": "string", "minLength": 1, "maxLength": 9}),
        ),
        (
            "number(>0..2)",
            json!({"type": "number", "exclusiveMinimum": 0, "maximum": 2}),
        ),
        ("int | null", json!({"type": ["integer", "null"]})),
        ("'a' | 'b'", json!({"type": "string", "enum": ["a", "b"]})),
        (
            "'a' | null",
            json!({"type": ["string", "null"], "enum": ["a", null]}),
        ),
        (
            "Key[1..2] | null",
            json!({"type": ["array", "null"], "items": {"$ref": "#/components/schemas/Key"}, "minItems": 1, "maxItems": 2}),
        ),
        (
            "{// The name.\n a: int, b?: ('x' | int)[], [k]: any}",
            json!({
                "type": "object",
                "properties": {
                    "a": {"type": "integer", "description": "The name."},
                    "b": {"type": "array", "items": {"anyOf": [{"type": "string", "enum": ["x"]}, {"type": "integer"}]}},
                },
                "required": ["a"],
                "additionalProperties": {},
            }),
        ),
        (
            "{}!",
            json!({"type": "object", "additionalProperties": false}),
        ),
    ] {
        assert_eq!(schema(text), expected, "{text}");
    }
}
