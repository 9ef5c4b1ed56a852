//! JSON objects taken apart and put together one level at a time: values that nobody has to change stay the bytes they were.
//!
//! In scope: an object's fields as raw text, and a writer that mixes raw and new fields. Out of scope: what the fields mean.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Serialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The fields of one JSON object in their order, each value as its own text. Unknown fields are thereby kept.
#[derive(Debug, Default)]
pub struct Fields<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The fields of the object in `json`, which has to be one whole JSON object.
    ///
    /// # Errors
    /// When it is not.
    pub fn parse(json: &'a [u8]) -> serde_json::Result<Self> {
        // Checked once as a whole, text is not checked again field by field.
        let text = std::str::from_utf8(json).map_err(serde::de::Error::custom)?;
        serde_json::from_str(text)
    }

    /// The text of a field's value; nothing where the field is missing or `null`.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(name, _)| name == key)?;
        Some(value.get()).filter(|text| *text != "null")
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
                    fields.push((key, value));
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
