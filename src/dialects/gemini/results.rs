//! Tool results: which call each one answers, and the object that the wire wants of it.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::body::ToolResponse;
use crate::{
    chat::{Message, Part},
    error::{Error, Result},
};

/// A tool call of the conversation.
pub(super) struct Call<'a> {
    /// Index of the message that made it.
    pub message: usize,
    pub id: &'a str,
    pub name: &'a str,
    pub answer: Option<Answer<'a>>,
}

/// A tool's answer.
pub(super) struct Answer<'a> {
    /// Index of the message that holds it.
    pub message: usize,
    pub content: &'a [Part],
    pub is_error: bool,
}

/// All calls in order, each with its answer. The name of the function comes from the call: the result need not have it (P66).
///
/// # Errors
/// When a result answers no earlier call, or one that has its answer.
pub(super) fn gather(messages: &[Message]) -> Result<Vec<Call<'_>>> {
    let mut calls: Vec<Call<'_>> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        for part in &message.parts {
            match part {
                Part::ToolCall { id, name, .. } => calls.push(Call {
                    message: at,
                    id,
                    name,
                    answer: None,
                }),
                Part::ToolResult {
                    call_id,
                    content,
                    is_error,
                    ..
                } => {
                    let call = find(&mut calls, call_id).ok_or_else(|| {
                        let path = format!("messages[{at}].tool_call_id");
                        Error::invalid(path, "no earlier tool call with this id waits for a result")
                    })?;
                    call.answer = Some(Answer {
                        message: at,
                        content,
                        is_error: *is_error,
                    });
                }
                _ => {}
            }
        }
    }
    Ok(calls)
}

/// The call that a result answers: ids may come again in later turns, so the latest turn counts, and in it the first call
/// without an answer.
fn find<'c, 'a>(calls: &'c mut [Call<'a>], id: &str) -> Option<&'c mut Call<'a>> {
    let waits = |call: &Call<'_>| call.id == id && call.answer.is_none();
    let turn = calls.iter().rev().find(|call| waits(call))?.message;
    calls
        .iter_mut()
        .find(|call| call.message == turn && waits(call))
}

/// The object that the wire wants: the tool's own, or its text under a name.
pub(super) fn tool_response(content: &[Part], is_error: bool) -> ToolResponse<'_> {
    let mut texts = content.iter().filter_map(|part| match part {
        Part::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let first = texts.next().unwrap_or_default();
    let rest: Vec<&str> = texts.collect();
    if rest.is_empty()
        && !is_error
        && let Some(object) = plain_object(first)
    {
        return ToolResponse::Object(object);
    }
    let text = if rest.is_empty() {
        Cow::Borrowed(first)
    } else {
        let all: Vec<&str> = std::iter::once(first).chain(rest).collect();
        Cow::Owned(all.join("\n"))
    };
    if is_error {
        ToolResponse::Error { error: text }
    } else {
        ToolResponse::Result { result: text }
    }
}

/// The text as an object, if it is one that arrives unchanged. A JSON Schema does not, because Gemini takes its `$ref` for a
/// reference of its own (P75); nor do integers beyond 2^53, because the wire carries numbers as doubles.
fn plain_object(text: &str) -> Option<&RawValue> {
    let text = text.trim();
    if !text.starts_with('{') {
        return None;
    }
    crate::json::from_str::<Plain>(text).ok()?;
    crate::json::from_str(text).ok()
}

/// Accepts a value without looking further into it than [`plain_object`] needs.
struct Plain;

/// The largest integer that a double holds exactly.
const MAX_SAFE: u64 = 1 << 53;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain JSON")
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> std::result::Result<Plain, E> {
        self.visit_u64(number.unsigned_abs())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> std::result::Result<Plain, E> {
        if number > MAX_SAFE {
            return Err(E::custom("an integer that a double cannot hold"));
        }
        Ok(Plain)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_unit<E>(self) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Plain, A::Error> {
        while seq.next_element::<Plain>()?.is_some() {}
        Ok(Plain)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Plain, A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if key.starts_with('$') {
                return Err(A::Error::custom("a key of JSON Schema"));
            }
            map.next_value::<Plain>()?;
        }
        Ok(Plain)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn response(text: &str) -> Value {
        serde_json::to_value(tool_response(&[Part::text(text)], false)).unwrap()
    }

    #[test]
    fn a_result_is_the_tools_own_object_or_text_under_a_name() {
        assert_eq!(
            response(" {\"a\": [1, null, 2.5]} "),
            json!({"a": [1, null, 2.5]})
        );
        for text in ["", "red", "[1,2]", "12", "{broken"] {
            assert_eq!(response(text), json!({"result": text}));
        }
    }

    #[test]
    fn a_json_schema_travels_as_text() {
        // P75
        for text in [
            r##"{"items": {"$ref": "#/$defs/a"}}"##,
            r#"{"list": [{"$defs": {}}]}"#,
            r#"{"id": 9007199254740993}"#,
        ] {
            assert_eq!(response(text), json!({"result": text}));
        }
    }

    #[test]
    fn a_failure_is_told_as_one() {
        let content = [Part::text("{\"a\":1}"), Part::text("b")];
        let error = tool_response(&content, true);
        assert_eq!(
            serde_json::to_value(error).unwrap(),
            json!({"error": "{\"a\":1}\nb"})
        );
    }
}
