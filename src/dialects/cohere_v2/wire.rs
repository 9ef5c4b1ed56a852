//! The parts of an answer as they come off the wire. Lenient: fields that an answer does not depend on may be missing.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::usage::Usage;

/// An answer in one piece.
#[derive(Debug, Deserialize)]
pub(super) struct Whole {
    pub(super) id: Option<String>,
    /// The message; an error under status 200 has a sentence in its place.
    pub(super) message: Option<Message>,
    pub(super) finish_reason: Option<String>,
    pub(super) usage: Option<Usage>,
}

/// The message, or what an event of the stream adds to it: lists of the one are single items in the other.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub(super) content: Option<Items<Content>>,
    pub(super) tool_plan: Option<String>,
    pub(super) tool_calls: Option<Items<Call>>,
    pub(super) citations: Option<Items<Citation>>,
}

/// One, several, or none (`null`, text or anything else that cannot be read).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Items<T> {
    Many(Vec<T>),
    One(T),
    Other(IgnoredAny),
}

impl<T> Items<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::Many(items) => items,
            Self::One(item) => vec![item],
            Self::Other(_) => Vec::new(),
        }
    }
}

/// A block of text or thinking, or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content {
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
}

/// A tool call, or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) function: Option<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

/// Where a span of the answer comes from.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Citation {
    pub(super) start: Option<u64>,
    pub(super) end: Option<u64>,
    pub(super) sources: Vec<Source>,
    /// `TEXT_CONTENT`, `PLAN` or `THINKING_CONTENT`.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) content_index: Option<u64>,
}

/// A document or the output of a tool.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Source {
    pub(super) id: Option<String>,
    pub(super) document: Option<Value>,
    pub(super) tool_output: Option<Value>,
}

/// An event of the stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamEvent {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) id: Option<String>,
    pub(super) index: Option<u64>,
    pub(super) delta: Option<Delta>,
    /// A sentence: an event that is nothing but an error.
    pub(super) message: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta {
    pub(super) message: Option<Message>,
    pub(super) finish_reason: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) error: Option<Value>,
}
