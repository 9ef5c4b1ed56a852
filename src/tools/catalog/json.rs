//! JSON in a row: kept as its text, read when it is first looked at. Most requests look at the JSON of one tool among hundreds.

use std::{cell::OnceCell, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, value::RawValue};

/// A JSON text and what it says.
pub struct Json {
    text: Box<str>,
    value: OnceCell<Value>,
}

impl Json {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says.
    pub fn value(&self) -> &Value {
        let read = || crate::json::from_str(&self.text).unwrap_or_default();
        self.value.get_or_init(read)
    }

    /// Whether it says nothing.
    pub fn is_null(&self) -> bool {
        &*self.text == "null"
    }
}

impl Default for Json {
    fn default() -> Self {
        Value::Null.into()
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self {
            text: value.to_string().into(),
            value: value.into(),
        }
    }
}

impl Clone for Json {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            value: OnceCell::new(),
        }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self {
            text: raw.get().into(),
            value: OnceCell::new(),
        })
    }
}
