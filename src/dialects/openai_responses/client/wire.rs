//! A Responses request as it comes off the wire: types checked, meaning not yet.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Number, Value, value::RawValue};

use crate::{chat::Effort, dialects::cache_control::CacheControl};

/// The body. Fields without a name here stay in `extra`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) model: Option<String>,
    pub(super) models: Option<Vec<String>>,
    pub(super) input: Option<TextOr<Item>>,
    pub(super) instructions: Option<String>,
    pub(super) stream: Option<bool>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) temperature: Option<Number>,
    pub(super) top_p: Option<Number>,
    pub(super) top_k: Option<u64>,
    pub(super) frequency_penalty: Option<Number>,
    pub(super) presence_penalty: Option<Number>,
    pub(super) top_logprobs: Option<u32>,
    pub(super) stop: Option<TextOr<String>>,
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) tool_choice: Option<Value>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) reasoning: Option<Reasoning>,
    pub(super) text: Option<Text>,
    pub(super) include: Option<Vec<String>>,
    pub(super) cache_control: Option<CacheControl>,
    pub(super) modalities: Option<Vec<String>>,
    pub(super) service_tier: Option<String>,
    pub(super) user: Option<String>,
    pub(super) safety_identifier: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) prompt_cache_key: Option<String>,
    pub(super) metadata: Option<Map<String, Value>>,
    pub(super) provider: Option<Box<RawValue>>,
    pub(super) max_cost: Option<Box<RawValue>>,
    pub(super) store: Option<bool>,
    pub(super) background: Option<bool>,
    pub(super) previous_response_id: Option<Value>,
    pub(super) conversation: Option<Value>,
    pub(super) prompt: Option<Value>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// One input item: the type says which of the other fields have to be there.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Item {
    pub(super) r#type: Option<String>,
    pub(super) role: Option<Role>,
    pub(super) content: Option<TextOr<Part>>,
    pub(super) id: Option<String>,
    pub(super) call_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) arguments: Option<Value>,
    pub(super) input: Option<String>,
    pub(super) output: Option<TextOr<Part>>,
    pub(super) summary: Option<Vec<Part>>,
    pub(super) encrypted_content: Option<String>,
    pub(super) format: Option<String>,
    pub(super) result: Option<Value>,
    pub(super) output_format: Option<String>,
    pub(super) cache_control: Option<CacheControl>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    System,
    Developer,
    User,
    Assistant,
}

/// One content part.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) r#type: String,
    pub(super) text: Option<String>,
    pub(super) refusal: Option<String>,
    pub(super) image_url: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) file_id: Option<String>,
    pub(super) file_url: Option<String>,
    pub(super) file_data: Option<String>,
    pub(super) filename: Option<String>,
    pub(super) input_audio: Option<Audio>,
    pub(super) video_url: Option<String>,
    pub(super) cache_control: Option<CacheControl>,
    pub(super) prompt_cache_breakpoint: Option<Map<String, Value>>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Audio {
    pub(super) data: String,
    pub(super) format: String,
}

/// A tool; what else it has belongs to a tool that the gateway runs.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    pub(super) r#type: String,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) strict: Option<bool>,
    pub(super) cache_control: Option<CacheControl>,
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Default, Deserialize)]
pub(super) struct Reasoning {
    pub(super) effort: Option<Effort>,
    pub(super) max_tokens: Option<u64>,
    pub(super) enabled: Option<bool>,
    pub(super) exclude: Option<bool>,
    pub(super) summary: Option<String>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Default, Deserialize)]
pub(super) struct Text {
    pub(super) format: Option<Map<String, Value>>,
    pub(super) verbosity: Option<String>,
}

/// A string, or a list.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(untagged))]
#[derive(Debug)]
pub(super) enum TextOr<T> {
    Text(String),
    List(Vec<T>),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(TextOr::List)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
