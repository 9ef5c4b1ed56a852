//! Reading JSON: bytes are checked once for UTF-8, then read as text; moving over text that was read before; setting fields.
//!
//! `serde_json` compiles the reading of every type once for bytes, once for text and once for a value. One of the three is enough, and
//! text is the one whose strings are not checked again one by one. So everything is read by the functions of this module.

mod reader;

use serde::{
    Deserialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::Value;

use reader::Reader;

/// Reads one JSON value. A struct is read from an object only, never from an array of its fields.
///
/// # Errors
/// Where it is none, or not of this type.
pub fn from_str<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<T> {
    let mut source = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Reader(&mut source))?;
    source.end()?;
    Ok(value)
}

/// Reads one JSON value.
///
/// # Errors
/// Where it is none, or not of this type. An error without a line says that the bytes are no UTF-8.
pub fn from_slice<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    from_str(text(json)?)
}

/// Reads a value as a type, through its text.
///
/// # Errors
/// Where it is not of this type; without a position, for nobody has seen the text.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> serde_json::Result<T> {
    from_str(&value.to_string()).map_err(|error| {
        let told = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        serde_json::Error::custom(told.strip_suffix(&position).unwrap_or(&told))
    })
}

/// The bytes as text.
///
/// # Errors
/// When they are no UTF-8.
pub fn text(json: &[u8]) -> serde_json::Result<&str> {
    std::str::from_utf8(json).map_err(serde_json::Error::custom)
}

/// Moves past a string whose opening quote was read.
pub fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    loop {
        let mut rest = bytes.as_slice();
        while let Some((word, after)) = rest.split_first_chunk::<8>() {
            if ends_or_escapes(u64::from_le_bytes(*word)) {
                break;
            }
            rest = after;
        }
        let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
            *bytes = [].iter();
            return;
        };
        let escaped = rest.get(at) == Some(&b'\\');
        let past = if escaped { at + 2 } else { at + 1 };
        *bytes = rest.get(past..).unwrap_or_default().iter();
        if !escaped {
            return;
        }
    }
}

/// Whether a quote or a backslash is among these eight bytes: images make strings of megabytes.
fn ends_or_escapes(word: u64) -> bool {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let zeroes = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let quotes = word ^ u64::from_ne_bytes([b'"'; 8]);
    let backslashes = word ^ u64::from_ne_bytes([b'\\'; 8]);
    zeroes(quotes) | zeroes(backslashes) != 0
}

/// Sets a field of an object; anything else has none.
pub fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json, value::RawValue};

    use super::{from_slice, from_str, from_value};

    #[derive(Debug, Deserialize, PartialEq)]
    struct Point {
        x: u8,
        #[serde(default)]
        name: Option<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Dot,
        At(Point),
        Box { low: Point, high: Point },
        Pair(u8, u8),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Wrapped(Vec<Point>);

    fn point(x: u8) -> Point {
        Point { x, name: None }
    }

    #[test]
    fn a_struct_is_read_from_an_object_and_never_from_an_array_wherever_it_stands() {
        assert_eq!(from_str::<Point>(r#"{"x":1}"#).unwrap(), point(1));
        for json in ["[1,null]", "[]"] {
            let told = from_str::<Point>(json).unwrap_err().to_string();
            assert_eq!(
                told,
                "invalid type: sequence, expected struct Point at line 1 column 0"
            );
        }
        assert!(from_str::<Vec<Point>>("[[1,null]]").is_err());
        assert!(from_str::<Option<Point>>("[1,null]").is_err());
        assert!(from_str::<Wrapped>("[[1,null]]").is_err());
        assert!(from_str::<Shape>(r#"{"at":[1,null]}"#).is_err());
        assert!(from_str::<Shape>(r#"{"box":[{"x":1},{"x":2}]}"#).is_err());
    }

    #[test]
    fn everything_else_is_read_as_serde_json_reads_it() {
        for json in [
            r#""dot""#,
            r#"{"at":{"x":1,"name":"a"}}"#,
            r#"{"box":{"low":{"x":1},"high":{"x":2,"name":null}}}"#,
            r#"{"pair":[1,2]}"#,
            r#"{"pair":[1]}"#,
            r#"{"at":{"x":256}}"#,
            r#"{"at":{}}"#,
            r#"{"none":1}"#,
            "{\n \"at\": {\"x\": true}}",
            r#""dot" 1"#,
        ] {
            match (from_str::<Shape>(json), serde_json::from_str::<Shape>(json)) {
                (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
                (Err(ours), Err(theirs)) => assert_eq!(ours.to_string(), theirs.to_string()),
                (ours, theirs) => panic!("{json}: {ours:?}, {theirs:?}"),
            }
        }
        let json = r#"{"b":[1,-2,3.5,1e400],"a":{"x":null,"y":"\u00fc"}}"#;
        assert!(from_str::<Value>(json).is_err(), "no number is that large");
        let json = r#"{"b":[1,-2,3.5,18446744073709551615],"a":{"x":null,"y":"\u00fc"}}"#;
        assert_eq!(
            from_str::<Value>(json).unwrap(),
            serde_json::from_str::<Value>(json).unwrap()
        );
        assert_eq!(
            from_str::<Vec<&RawValue>>("[ 1.50, {\"a\" :2}]").unwrap()[1].get(),
            "{\"a\" :2}"
        );
        assert!(
            from_str::<Value>(&"[".repeat(200))
                .unwrap_err()
                .to_string()
                .contains("recursion")
        );
    }

    #[test]
    fn a_value_is_read_without_a_position_in_what_is_told() {
        assert_eq!(from_value::<Point>(&json!({"x": 3})).unwrap(), point(3));
        assert_eq!(
            from_value::<Point>(&json!({"x": "3"}))
                .unwrap_err()
                .to_string(),
            r#"invalid type: string "3", expected u8"#
        );
    }

    #[test]
    fn only_text_is_json() {
        assert_eq!(
            from_slice::<Vec<&str>>("[\"ü\"]".as_bytes()).unwrap(),
            ["ü"]
        );
        let error = from_slice::<Vec<String>>(b"[\"\xff\"]").unwrap_err();
        assert_eq!(error.line(), 0);
        assert_eq!(from_slice::<Vec<String>>(b"[1]").unwrap_err().line(), 1);
    }
}
