//! JSON objects taken apart and put together one level at a time: values that nobody has to change stay the bytes they were.
//!
//! In scope: an object's fields as raw text, and a writer that mixes raw and new fields. Out of scope: what the fields mean.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Serialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::json::skip_string;

/// The fields of one JSON object in their order, each value as its own text. Unknown fields are thereby kept.
#[derive(Debug, Default)]
pub struct Fields<'a>(pub Vec<(Cow<'a, str>, Raw<'a>)>);

/// The text of one JSON value.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The text.
    pub fn get(self) -> &'a str {
        self.0
    }
}

impl<'a> Fields<'a> {
    /// The fields of the object in `json`, which has to be one whole JSON object.
    ///
    /// # Errors
    /// When it is not.
    pub fn parse(json: &'a [u8]) -> serde_json::Result<Self> {
        crate::json::from_slice(json)
    }

    /// The fields of an object that was read before: values are passed over and not read again.
    ///
    /// # Errors
    /// When it is no object.
    pub fn of_read(json: &'a [u8]) -> serde_json::Result<Self> {
        let text = crate::json::text(json)?;
        outline(text).ok_or_else(|| serde::de::Error::custom("not an object"))
    }

    /// The text of a field's value; nothing where the field is missing or `null`.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(name, _)| name == key)?;
        Some(value.get()).filter(|text| *text != "null")
    }
}

/// The fields of the object in text that is JSON.
fn outline(text: &str) -> Option<Fields<'_>> {
    let mut fields = Vec::with_capacity(16);
    let mut rest = text.trim_start().strip_prefix('{')?.trim_start();
    while !rest.starts_with('}') {
        let (key, after) = rest.split_at_checked(end_of_key(rest))?;
        let inner = key.strip_prefix('"')?.strip_suffix('"')?;
        let key = if inner.contains('\\') {
            Cow::Owned(crate::json::from_str(key).ok()?)
        } else {
            Cow::Borrowed(inner)
        };
        let after = after.trim_start().strip_prefix(':')?;
        let (value, after) = after.split_at_checked(end_of_value(after))?;
        fields.push((key, Raw(value.trim())));
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        if rest.is_empty() {
            return None;
        }
    }
    Some(Fields(fields))
}

/// The length of the string at the beginning.
fn end_of_key(text: &str) -> usize {
    let mut bytes = text.as_bytes().iter();
    if bytes.next() == Some(&b'"') {
        skip_string(&mut bytes);
    }
    text.len() - bytes.len()
}

/// The length up to the comma or brace behind the value at the beginning.
fn end_of_value(text: &str) -> usize {
    let (mut bytes, mut depth) = (text.as_bytes().iter(), 0usize);
    loop {
        let at = text.len() - bytes.len();
        match bytes.next() {
            Some(b'"') => skip_string(&mut bytes),
            Some(b'{' | b'[') => depth += 1,
            Some(b',' | b'}' | b']') if depth == 0 => return at,
            Some(b'}' | b']') => depth -= 1,
            Some(_) => {}
            None => return at,
        }
    }
}

/// A key that is borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    fields.push((key, Raw(value.get())));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Appends a value as JSON text.
///
/// The values written here are strings, numbers and trees of them, whose serialisation into memory cannot fail; should one
/// ever do so, the text stays valid JSON.
pub fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Appends the comma-separated items of an array, each written by `each`, with its brackets.
pub fn put_array<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}

/// Writes one JSON object field by field. Call [`end`](Self::end) after the last field.
#[derive(Debug)]
pub struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Opens the object.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a key; the caller appends the value to what is returned. The key needs no escaping.
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A field whose value is serialised.
    pub fn field(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        put(self.key(key), value);
    }

    /// The same where there is a value.
    pub fn optional(&mut self, key: &str, value: Option<&(impl Serialize + ?Sized)>) {
        if let Some(value) = value {
            self.field(key, value);
        }
    }

    /// A field of somebody else's object: any key, and a value that is JSON text already.
    pub fn raw(&mut self, key: &str, json: &str) {
        self.comma();
        put(self.out, key);
        self.out.push(b':');
        self.out.extend_from_slice(json.as_bytes());
    }

    /// Closes the object.
    pub fn end(self) {
        self.out.push(b'}');
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_what_was_read_before_are_the_same() {
        for json in [
            "{}",
            " { } ",
            r#"{"a":1}"#,
            r#" {"a" : [1, {"b": "}],\"\\"}] , "ü\n": "x,y" , "n":null }"#,
            r#"{"a":{"b":{"c":[[],[{}]]}},"a":-1.5e3,"":""}"#,
            "{\n\t\"text\": \"ß {[\\u0022\",\n\t\"last\": true\n}",
        ] {
            let told = |fields: Fields<'_>| -> Vec<(String, String)> {
                let owned = fields.0.iter();
                owned
                    .map(|(key, value)| (key.to_string(), value.get().to_owned()))
                    .collect()
            };
            let read = told(Fields::parse(json.as_bytes()).unwrap());
            assert_eq!(
                told(Fields::of_read(json.as_bytes()).unwrap()),
                read,
                "{json}"
            );
        }
        for json in ["", "[1]", "7", "{\"a\"", "{\"a\":1"] {
            assert!(Fields::of_read(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn fields_keep_their_order_and_their_text() {
        let json = br#" {"b": 1.50, "a\u0062" : {"x":[1, 2]}, "n":null} "#;
        let fields = Fields::parse(json).unwrap();
        let seen: Vec<_> = fields
            .0
            .iter()
            .map(|(k, v)| (k.as_ref(), v.get()))
            .collect();
        assert_eq!(
            seen,
            [("b", "1.50"), ("ab", "{\"x\":[1, 2]}"), ("n", "null")]
        );
        assert_eq!(fields.get("b"), Some("1.50"));
        assert_eq!(fields.get("n"), None);
        assert!(Fields::parse(b"[1]").is_err());
        assert!(Fields::parse(b"{\"a\":1} x").is_err());
    }

    #[test]
    fn raw_and_new_fields_mix_in_one_object() {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.field("a", "é\"");
        object.raw("k\"y", "{\"x\": 1}");
        object.optional("no", None::<&str>);
        put_array(object.key("l"), [1, 2], |out, n| put(out, &n));
        object.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"a\":\"é\\\"\",\"k\\\"y\":{\"x\": 1},\"l\":[1,2]}"
        );
    }
}
