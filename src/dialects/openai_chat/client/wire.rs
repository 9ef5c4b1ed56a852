//! A chat-completions request as it comes off the wire: types checked, meaning not yet.
//!
//! Out of scope: ranges and rules between fields (`request`, `message`). Strings are copied once, straight into the field that
//! the canonical request will own; base64 data of `data:` URLs is split off its prefix on the way.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Number, Value, value::RawValue};

use crate::{
    chat::{Effort, Media},
    dialects::cache_control::CacheControl,
};

/// The body. Fields without a name here stay in `extra`.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) model: Option<String>,
    pub(super) models: Option<Vec<String>>,
    pub(super) messages: Option<Vec<Message>>,
    pub(super) prompt: Option<String>,
    pub(super) stream: Option<bool>,
    pub(super) temperature: Option<Number>,
    pub(super) top_p: Option<Number>,
    pub(super) top_k: Option<u64>,
    pub(super) min_p: Option<Number>,
    pub(super) top_a: Option<Number>,
    pub(super) frequency_penalty: Option<Number>,
    pub(super) presence_penalty: Option<Number>,
    pub(super) repetition_penalty: Option<Number>,
    pub(super) seed: Option<i64>,
    pub(super) max_tokens: Option<u64>,
    pub(super) max_completion_tokens: Option<u64>,
    pub(super) stop: Option<OneOrMany>,
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) response_format: Option<Value>,
    pub(super) reasoning: Option<Reasoning>,
    pub(super) reasoning_effort: Option<Effort>,
    pub(super) include_reasoning: Option<bool>,
    pub(super) cache_control: Option<CacheControl>,
    pub(super) n: Option<u32>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<u32>,
    pub(super) logit_bias: Option<Map<String, Value>>,
    pub(super) prediction: Option<Value>,
    pub(super) modalities: Option<Vec<Modality>>,
    pub(super) audio: Option<Map<String, Value>>,
    pub(super) web_search_options: Option<Map<String, Value>>,
    pub(super) service_tier: Option<String>,
    pub(super) verbosity: Option<Verbosity>,
    pub(super) user: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) prompt_cache_key: Option<String>,
    pub(super) metadata: Option<Map<String, Value>>,
    pub(super) provider: Option<Box<RawValue>>,
    pub(super) max_cost: Option<Box<RawValue>>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) role: Role,
    pub(super) content: Option<Content>,
    pub(super) name: Option<String>,
    pub(super) tool_calls: Option<Vec<ToolCall>>,
    pub(super) tool_call_id: Option<String>,
    pub(super) refusal: Option<String>,
    #[serde(default, deserialize_with = "sent")]
    pub(super) reasoning: Sent<String>,
    #[serde(default, deserialize_with = "sent")]
    pub(super) reasoning_content: Sent<String>,
    #[serde(default, deserialize_with = "sent")]
    pub(super) reasoning_details: Sent<Vec<Value>>,
    #[serde(default, deserialize_with = "sent")]
    pub(super) images: Sent<Vec<Part>>,
    #[serde(default, deserialize_with = "sent")]
    pub(super) cache_control: Sent<CacheControl>,
    #[serde(default, deserialize_with = "sent")]
    #[cfg_attr(test, schemars(with = "Option<Value>"))]
    configuration_update: Sent<IgnoredAny>,
}

impl Message {
    /// Does it use fields that OpenAI's own messages do not have? Strict hosts refuse them, even as `null`.
    pub(super) fn has_extensions(&self) -> bool {
        self.reasoning.is_some()
            || self.reasoning_content.is_some()
            || self.reasoning_details.is_some()
            || self.images.is_some()
            || self.cache_control.is_some()
            || self.configuration_update.is_some()
            || matches!(&self.content, Some(Content::Parts(parts)) if parts.iter().any(Part::has_extensions))
    }
}

/// A field that was sent, perhaps as `null`.
pub(super) type Sent<T> = Option<Option<T>>;

fn sent<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Sent<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(untagged))]
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PartType {
    Text,
    ImageUrl,
    File,
    InputAudio,
    VideoUrl,
    InputVideo,
    Refusal,
}

/// One content part: the tag says which of the other fields has to be there.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) r#type: PartType,
    pub(super) text: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<UrlObject>"))]
    pub(super) image_url: Option<UrlField>,
    pub(super) file: Option<File>,
    pub(super) input_audio: Option<InputAudio>,
    #[cfg_attr(test, schemars(with = "Option<UrlObject>"))]
    pub(super) video_url: Option<UrlField>,
    #[cfg_attr(test, schemars(with = "Option<UrlObject>"))]
    pub(super) input_video: Option<UrlField>,
    pub(super) refusal: Option<String>,
    pub(super) cache_control: Option<CacheControl>,
    pub(super) prompt_cache_breakpoint: Option<Map<String, Value>>,
}

impl Part {
    fn has_extensions(&self) -> bool {
        self.r#type == PartType::InputVideo
            || self.image_url.as_ref().is_some_and(|url| url.is_bare)
            || self.video_url.as_ref().is_some_and(|url| url.is_bare)
    }
}

/// `{url, detail}`, or the URL alone, which many clients send.
#[derive(Debug)]
pub(super) struct UrlField {
    /// The URL came alone.
    pub(super) is_bare: bool,
    pub(super) media: Media,
    pub(super) detail: Option<String>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) filename: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) file_data: Option<MediaUrl>,
    pub(super) file_id: Option<String>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct InputAudio {
    pub(super) data: String,
    pub(super) format: String,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) function: Function,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: String,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    pub(super) r#type: String,
    pub(super) function: Option<ToolFunction>,
    pub(super) cache_control: Option<CacheControl>,
    /// What a server tool says of itself.
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct ToolFunction {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) parameters: Option<Map<String, Value>>,
    pub(super) strict: Option<bool>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(untagged))]
#[derive(Debug)]
pub(super) enum ToolChoice {
    Word(String),
    Object(ToolChoiceObject),
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct ToolChoiceObject {
    pub(super) r#type: String,
    pub(super) function: Option<ToolChoiceFunction>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
pub(super) struct ToolChoiceFunction {
    pub(super) name: String,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Default, Deserialize)]
pub(super) struct Reasoning {
    pub(super) effort: Option<Effort>,
    pub(super) max_tokens: Option<u64>,
    pub(super) exclude: Option<bool>,
    pub(super) enabled: Option<bool>,
    pub(super) summary: Option<String>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Modality {
    Text,
    Image,
    Audio,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verbosity {
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug)]
pub(super) struct OneOrMany(pub(super) Vec<String>);

/// An address: `https:` and the like, or `data:` whose base64 text is split off.
#[derive(Debug)]
pub(super) struct MediaUrl(pub(super) Media);

/// Reads an address.
///
/// # Errors
/// With what is wrong.
pub(in crate::dialects) fn media_url(url: &str) -> Result<Media, &'static str> {
    MediaUrl::parse(url)
}

impl MediaUrl {
    fn parse(url: &str) -> Result<Media, &'static str> {
        if let Some(rest) = url.strip_prefix("data:") {
            let (head, data) = rest
                .split_once(',')
                .ok_or("a data: URL needs a comma before its data")?;
            let mime = head
                .strip_suffix(";base64")
                .ok_or("a data: URL has to be base64: data:<mime type>;base64,<data>")?;
            let mime = mime.split(';').next().unwrap_or_default();
            if !mime.contains('/') {
                return Err("a data: URL needs a MIME type: data:<mime type>;base64,<data>");
            }
            return Ok(Media::Inline {
                mime: mime.to_owned(),
                data: data.to_owned(),
            });
        }
        if ["https://", "http://", "gs://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Ok(Media::Url(url.to_owned()));
        }
        Err("expected an https: URL or a data: URL in base64")
    }
}

/// Deserialises a value that is either a string or something else, in one pass and without a buffered copy.
macro_rules! string_or {
    ($type:ty, $expecting:literal, $from_str:expr $(, seq $from_seq:expr)? $(, map $from_map:expr)?) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Either;
                impl<'de> Visitor<'de> for Either {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        ($from_str)(text).map_err(E::custom)
                    }
                    $(fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                        let items = Deserialize::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))?;
                        Ok(($from_seq)(items))
                    })?
                    $(fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                        let object = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                        Ok(($from_map)(object))
                    })?
                }
                deserializer.deserialize_any(Either)
            }
        }
    };
}

type Never = std::convert::Infallible;

string_or!(MediaUrl, "a URL", |url| MediaUrl::parse(url).map(MediaUrl));
string_or!(
    Content,
    "a string or a list of content parts",
    |text: &str| Ok::<_, Never>(Content::Text(text.to_owned())),
    seq Content::Parts
);
string_or!(
    OneOrMany,
    "a string or a list of strings",
    |text: &str| Ok::<_, Never>(OneOrMany(vec![text.to_owned()])),
    seq OneOrMany
);
string_or!(
    ToolChoice,
    "\"auto\", \"none\", \"required\" or an object",
    |text: &str| Ok::<_, Never>(ToolChoice::Word(text.to_owned())),
    map ToolChoice::Object
);

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
struct UrlObject {
    #[cfg_attr(test, schemars(with = "String"))]
    url: MediaUrl,
    detail: Option<String>,
}

string_or!(
    UrlField,
    "a URL or an object with a URL",
    |url| MediaUrl::parse(url).map(|media| UrlField {
        is_bare: true,
        media,
        detail: None
    }),
    map | UrlObject { url, detail }
        | UrlField {
            is_bare: false,
            media: url.0,
            detail
        }
);
