//! The choices of an answer as they come off the wire; a chunk's `delta` and a whole `message` have one form.
//!
//! Lenient on purpose: compatible hosts send numbers for strings, objects for text and `null` for anything. What cannot be
//! read in a field that the answer does not depend on is left out, never a failure.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Value, value::RawValue};

use crate::chat::{ReasoningDetail, ReasoningFormat};

/// One of `choices`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) delta: Option<Body<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Body<'a>>,
    pub(super) finish_reason: Option<Text>,
    /// The stop sequence that was met (vLLM), or the number of a token.
    pub(super) stop_reason: Option<Text>,
    pub(super) logprobs: Option<Value>,
    pub(super) error: Option<Value>,
}

impl<'a> Choice<'a> {
    /// The content. Some hosts send both: an empty delta beside the whole message, or the message so far beside each delta.
    pub(super) fn body(&mut self, whole: bool) -> Body<'a> {
        let (first, second) = if whole {
            (self.message.take(), self.delta.take())
        } else {
            (self.delta.take(), self.message.take())
        };
        first.or(second).unwrap_or_default()
    }
}

/// A delta or a message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body<'a> {
    pub(super) role: Option<Text>,
    pub(super) content: Option<Content>,
    pub(super) refusal: Option<Text>,
    /// DeepSeek, and most hosts of open models.
    pub(super) reasoning_content: Option<Text>,
    /// Groq, Cerebras, newer vLLM.
    pub(super) reasoning: Option<Text>,
    pub(super) reasoning_details: Option<Vec<Value>>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<Call<'a>>>,
    /// The form before tools.
    #[serde(borrow)]
    pub(super) function_call: Option<Function<'a>>,
    pub(super) images: Option<Vec<Image>>,
    pub(super) audio: Option<Value>,
    pub(super) annotations: Option<Vec<Value>>,
    /// What the host's own tools did (Groq).
    pub(super) executed_tools: Option<Vec<Value>>,
}

/// A tool call or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'a> {
    pub(super) index: Option<u32>,
    pub(super) id: Option<Text>,
    #[serde(borrow)]
    pub(super) function: Option<Function<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function<'a> {
    pub(super) name: Option<Text>,
    /// JSON text in a string, or (against the specification) the object itself.
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

impl Function<'_> {
    /// Some hosts send the old form empty beside the new one.
    pub(super) fn is_empty(&self) -> bool {
        let is_named = self.name.as_ref().is_some_and(|name| !name.0.is_empty());
        !is_named && self.arguments().is_empty()
    }

    /// Are the arguments what the specification wants, a string or nothing?
    pub(super) fn is_regular(&self) -> bool {
        self.arguments
            .is_none_or(|arguments| arguments.get().starts_with('"'))
    }

    /// The arguments, or a piece of them, as JSON text.
    pub(super) fn arguments(&self) -> Cow<'_, str> {
        match self.arguments.map(RawValue::get) {
            None | Some("null") => Cow::Borrowed(""),
            Some(text) if text.starts_with('"') => {
                crate::json::from_str::<String>(text).map_or(Cow::Borrowed(""), Cow::Owned)
            }
            Some(text) => Cow::Borrowed(text),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Image {
    pub(super) image_url: Option<ImageUrl>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ImageUrl {
    pub(super) url: Option<Text>,
}

/// A string; anything else counts as absent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

/// The string in an optional [`Text`], if it is not empty.
pub(super) fn filled(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Content: a string, Mistral's list of parts, or (JSON mode of some hosts) the object that the text would spell.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
    Object(String),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of parts")
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Content, A::Error> {
                let value = Value::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Content::Object(value.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A part of a content list: `text`, `thinking` (whose own content is a list of text parts), `image_url`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    pub(super) text: Option<Text>,
    pub(super) thinking: Option<Thinking>,
    pub(super) image_url: Option<ImageUrl>,
}

/// The words of a `thinking` part.
#[derive(Debug)]
pub(super) struct Thinking(pub(super) String);

impl<'de> Deserialize<'de> for Thinking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = match Content::deserialize(deserializer)? {
            Content::Text(text) | Content::Object(text) => text,
            Content::Parts(parts) => parts
                .into_iter()
                .filter_map(|part| filled(part.text))
                .collect(),
        };
        Ok(Self(words))
    }
}

/// A block of `reasoning_details`; nothing where its kind is unknown. `absent` is the format of a block that names none.
pub(super) fn reasoning_detail(
    mut value: Value,
    absent: ReasoningFormat,
) -> Option<ReasoningDetail> {
    let object = value.as_object_mut()?;
    if object.get("format").is_none_or(Value::is_null) {
        object.insert("format".into(), serde_json::to_value(absent).ok()?);
    }
    crate::json::from_value(&value).ok()
}
