//! Where in a JSON text a parser stopped: the path of a position, such as `messages[2].content[0].type`.
//!
//! A parser that tracks its path is compiled once more for every type that it reads, a tenth of this Worker; a position and one walk
//! over the text tell the same. Scope: text that the parser took as JSON up to the position. What its errors mean is the caller's.

use std::fmt::Write as _;

/// What a parser says about a value that it could not read, as far as its place depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A list where none was expected: the parser stands before it, or behind its opening.
    List,
    /// An object where none was expected, likewise.
    Object,
    /// Anything else: the parser stands behind it.
    Other,
}

/// The path of the value or key that ends at this position; else of the innermost container that is open there. Empty for the
/// whole text.
pub fn path_at(json: &[u8], position: usize, found: Found) -> String {
    let mut walk = Walk::default();
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        if byte.is_ascii_whitespace() || matches!(byte, b':' | b',') {
            if *byte == b',' {
                walk.next();
            }
            at += 1;
            continue;
        }
        if at >= position {
            return match (byte, found) {
                (b'[', Found::List) | (b'{', Found::Object) => walk.path(),
                _ => walk.container(),
            };
        }
        let end = end_of_token(json, at);
        let token = json.get(at..end).unwrap_or_default();
        let is_over = match byte {
            b'{' => walk.open(Step::Key(None)),
            b'[' => walk.open(Step::Index(0)),
            b'}' | b']' => walk.close(),
            _ => walk.scalar(token),
        };
        if is_over && end >= position {
            return walk.path();
        }
        at = end;
    }
    walk.container()
}

/// The position behind the token that begins here.
fn end_of_token(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    let length = match rest.first() {
        Some(b'"') => {
            let mut escaped = false;
            let close = rest.iter().skip(1).position(|byte| {
                let closes = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                closes
            });
            close.map_or(rest.len(), |close| close + 2)
        }
        Some(b'{' | b'}' | b'[' | b']') => 1,
        _ => rest
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || b",:{}[]\"".contains(byte))
            .unwrap_or(rest.len()),
    };
    at + length.max(1)
}

/// What of an open container is being read.
#[derive(Debug)]
enum Step {
    /// The value of this key; nothing before the key.
    Key(Option<String>),
    Index(usize),
}

/// The containers that are open.
#[derive(Debug, Default)]
struct Walk(Vec<Step>);

impl Walk {
    /// A comma.
    fn next(&mut self) {
        match self.0.last_mut() {
            Some(Step::Key(key)) => *key = None,
            Some(Step::Index(index)) => *index += 1,
            None => {}
        }
    }

    fn open(&mut self, step: Step) -> bool {
        self.0.push(step);
        false
    }

    fn close(&mut self) -> bool {
        self.0.pop();
        true
    }

    /// A key or a value.
    fn scalar(&mut self, token: &[u8]) -> bool {
        if let Some(Step::Key(key @ None)) = self.0.last_mut() {
            *key = Some(crate::json::from_slice(token).unwrap_or_default());
        }
        true
    }

    fn path(&self) -> String {
        joined(&self.0)
    }

    /// The path of the innermost container.
    fn container(&self) -> String {
        let outer = self.0.split_last().map(|(_, outer)| outer);
        joined(outer.unwrap_or_default())
    }
}

fn joined(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key.as_deref().unwrap_or_default());
            }
            Step::Index(index) => {
                // Writing to a string does not fail.
                let _ = write!(path, "[{index}]");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path where `|` stands.
    fn path(marked: &str, found: Found) -> String {
        let position = marked.find('|').unwrap();
        path_at(marked.replace('|', "").as_bytes(), position, found)
    }

    #[test]
    fn a_position_behind_a_value_is_its_path() {
        for (text, expected) in [
            (r#"{"a": 1|}"#, "a"),
            (r#"{"a": {"b": [true, null|]}}"#, "a.b[1]"),
            (r#"{"a": [{}, {"b": "x\"]\\"|}]}"#, "a[1].b"),
            (r#"{"a": [{"b": 1}|, 2]}"#, "a[0]"),
            (r#"{"x": [[1], [2]], "a": [3]|}"#, "a"),
            (r#"{"a\"b": 1, "c"|: 2}"#, "c"),
            (r#"{"a\"b": 1|}"#, "a\"b"),
            (r#"{"a": 1}|"#, ""),
            ("7|", ""),
            (r#"{"ü": "ß"|}"#, "ü"),
        ] {
            assert_eq!(path(text, Found::Other), expected, "{text}");
        }
    }

    #[test]
    fn a_container_that_was_not_expected_is_named_from_before_and_from_within() {
        for (text, found, expected) in [
            (r#"{"a": |[1]}"#, Found::List, "a"),
            (r#"{"a": [|1]}"#, Found::List, "a"),
            (r#"{"a": |{"b": 1}}"#, Found::Object, "a"),
            (r#"{"a": [{ |"b": 1}]}"#, Found::Object, "a[0]"),
            (r#"{"a": [|{"b": 1}]}"#, Found::List, "a"),
            (r#"{"a": [|]}"#, Found::List, "a"),
            (r#"{"a": []|}"#, Found::List, "a"),
        ] {
            assert_eq!(path(text, found), expected, "{text}");
        }
    }

    #[test]
    fn broken_text_ends_the_walk() {
        for (text, expected) in [
            ("{\"a\": [|", "a"),
            ("|", ""),
            ("]]}|", ""),
            ("{\"a\": \"x|", "a"),
        ] {
            assert_eq!(path(text, Found::Other), expected, "{text}");
        }
    }
}
