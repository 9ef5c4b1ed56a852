//! Reading JSON from bytes: checked once for UTF-8, then read as text; moving over text that was read before; setting fields.
//!
//! `serde_json` compiles the reading of every type once for bytes and once for text. One of the two is enough, and text is the one
//! whose strings are not checked again one by one.

use serde::{Deserialize, de::Error as _};
use serde_json::Value;

/// Reads one JSON value.
///
/// # Errors
/// Where it is none, or not of this type. An error without a line says that the bytes are no UTF-8.
pub fn from_slice<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    serde_json::from_str(text(json)?)
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
    use super::from_slice;

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
