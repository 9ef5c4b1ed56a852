//! A messages request as it comes off the wire: types checked, meaning not yet.
//!
//! One flat struct serves every block type, so that a type to come is one that nobody looks into.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Number, Value, value::RawValue};

use crate::dialects::cache_control::CacheControl;

/// The body. Fields without a name here stay in `extra`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) model: Option<String>,
    pub(super) models: Option<Vec<String>>,
    pub(super) fallbacks: Option<Vec<Map<String, Value>>>,
    pub(super) messages: Option<Vec<Message>>,
    pub(super) system: Option<Content>,
    pub(super) max_tokens: Option<u64>,
    pub(super) stream: Option<bool>,
    pub(super) temperature: Option<Number>,
    pub(super) top_p: Option<Number>,
    pub(super) top_k: Option<u64>,
    pub(super) stop_sequences: Option<Vec<String>>,
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) thinking: Option<Thinking>,
    pub(super) output_config: Option<OutputConfig>,
    pub(super) output_format: Option<OutputFormat>,
    pub(super) metadata: Option<Metadata>,
    pub(super) service_tier: Option<String>,
    pub(super) cache_control: Option<CacheControl>,
    pub(super) container: Option<Value>,
    pub(super) mcp_servers: Option<Vec<Value>>,
    pub(super) inference_geo: Option<String>,
    pub(super) thread: Option<Value>,
    pub(super) user: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) provider: Option<Box<RawValue>>,
    pub(super) max_cost: Option<Box<RawValue>>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    User,
    Assistant,
    System,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) role: Role,
    pub(super) content: Content,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(untagged))]
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

/// One content block: the type says which of the other fields has to be there.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Block {
    pub(super) r#type: String,
    pub(super) text: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) title: Option<String>,
    pub(super) context: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) input: Option<Box<RawValue>>,
    pub(super) tool_use_id: Option<String>,
    /// Of a result (text or blocks), or whatever a server tool found.
    pub(super) content: Option<Box<RawValue>>,
    pub(super) is_error: Option<bool>,
    pub(super) thinking: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) data: Option<String>,
    pub(super) citations: Option<Value>,
    pub(super) cache_control: Option<CacheControl>,
}

/// Where bytes are, or (of a search result) what page was found.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(untagged))]
#[derive(Debug)]
pub(super) enum Source {
    Address(String),
    Media(SourceObject),
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct SourceObject {
    pub(super) r#type: String,
    pub(super) media_type: Option<String>,
    pub(super) data: Option<String>,
    pub(super) url: Option<String>,
    pub(super) file_id: Option<String>,
    pub(super) content: Option<Box<Content>>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    pub(super) r#type: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) input_schema: Option<Map<String, Value>>,
    pub(super) strict: Option<bool>,
    pub(super) cache_control: Option<CacheControl>,
    /// A function as chat completions spell it: presets are written so.
    pub(super) function: Option<Function>,
    #[serde(flatten)]
    pub(super) options: Map<String, Value>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) parameters: Option<Map<String, Value>>,
    pub(super) strict: Option<bool>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct ToolChoice {
    pub(super) r#type: String,
    pub(super) name: Option<String>,
    pub(super) disable_parallel_tool_use: Option<bool>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Thinking {
    pub(super) r#type: String,
    pub(super) budget_tokens: Option<u64>,
    pub(super) display: Option<String>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Default, Deserialize)]
pub(super) struct OutputConfig {
    pub(super) effort: Option<crate::chat::Effort>,
    pub(super) format: Option<OutputFormat>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct OutputFormat {
    pub(super) r#type: String,
    pub(super) schema: Option<Map<String, Value>>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) user_id: Option<String>,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of content blocks")
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Content, A::Error> {
                let blocks = serde::de::value::SeqAccessDeserializer::new(seq);
                Deserialize::deserialize(blocks).map(Content::Blocks)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Source;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a source object, or an address")
            }
            fn visit_str<E>(self, text: &str) -> Result<Source, E> {
                Ok(Source::Address(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Source::Media)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
