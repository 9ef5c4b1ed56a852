//! The canonical chat request. Field names follow chat completions where both mean the same.
//!
//! Order is meaning: messages, parts and tools keep the order in which the client sent them, so that the bytes sent
//! upstream are stable and provider prompt caches keep hitting.

use std::borrow::Cow;

use serde_json::{Map, Number, Value, value::RawValue};

use super::{
    reasoning::{ReasoningDetail, ReasoningRequest},
    server_tool::{NativeSearch, ServerTool},
};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// Instructions of the application, in OpenAI's newer word.
    Developer,
    /// The person.
    #[default]
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

/// How long a cached prefix should live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheTtl {
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    OneHour,
}

/// A prompt-cache breakpoint: everything up to and including the marked block may be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheMark {
    /// The lifetime asked for; `None` is the provider's default.
    pub ttl: Option<CacheTtl>,
}

/// Bytes of an image, document, sound or film, or where to find them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    /// Base64 data (as the client sent it) with its MIME type.
    Inline {
        /// MIME type such as `image/png`.
        mime: String,
        /// Base64 text.
        data: String,
    },
    /// An `https:` (or provider-specific `gs:`) address.
    Url(String),
    /// A file id at the provider.
    FileId(String),
}

/// One part of a message's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text.
    Text {
        /// The text itself; may be empty.
        text: String,
        /// Cache breakpoint after this part.
        cache: Option<CacheMark>,
    },
    /// An image.
    Image {
        /// Where the bytes are.
        media: Media,
        /// `auto`, `low` or `high`.
        detail: Option<String>,
        /// Cache breakpoint after this part.
        cache: Option<CacheMark>,
    },
    /// A document, usually PDF.
    File {
        /// File name.
        filename: Option<String>,
        /// Where the bytes are.
        media: Media,
        /// Cache breakpoint after this part.
        cache: Option<CacheMark>,
    },
    /// Sound; `format` is the client's word (`wav`, `mp3` …).
    Audio {
        /// Base64 data.
        data: String,
        /// File format.
        format: String,
    },
    /// A film.
    Video {
        /// Where the bytes are.
        media: Media,
    },
    /// The model's call of a tool (assistant messages only).
    ToolCall {
        /// The call's id, answered by a [`Part::ToolResult`].
        id: String,
        /// Tool name.
        name: String,
        /// Arguments as JSON text; an empty string means `{}` (P56).
        arguments: String,
    },
    /// A tool's answer (tool messages only, one per message).
    ToolResult {
        /// The id of the call.
        call_id: String,
        /// Text and images.
        content: Vec<Part>,
        /// The tool failed.
        is_error: bool,
        /// Cache breakpoint after this part.
        cache: Option<CacheMark>,
    },
    /// Earlier reasoning with its signatures, sent back unmodified (assistant messages only, before text and calls).
    Reasoning(ReasoningDetail),
    /// The model's refusal (assistant messages only).
    Refusal(String),
}

/// One message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The speaker's name where the client gave one.
    pub name: Option<String>,
    /// The content in order.
    pub parts: Vec<Part>,
}

/// A function tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Function name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of the arguments; `None` means a function without parameters.
    pub parameters: Option<Value>,
    /// Ask the provider to enforce the schema.
    pub strict: Option<bool>,
    /// Cache breakpoint after this tool.
    pub cache: Option<CacheMark>,
}

/// Which tools the model may, must or must not call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// At least one tool.
    Required,
    /// This function.
    Function(String),
}

/// A JSON Schema that the answer must satisfy.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonSchema {
    /// Name of the schema.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The schema.
    pub schema: Value,
    /// Ask the provider to enforce it.
    pub strict: Option<bool>,
}

/// The form of the answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that satisfies a schema.
    JsonSchema(JsonSchema),
    /// Anything else (`grammar`, `python` …), kept as sent.
    Other(Value),
}

/// Sampling parameters; absent ones are never sent upstream. Numbers keep the client's own form.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    /// 0–2.
    pub temperature: Option<Number>,
    /// (0,1].
    pub top_p: Option<Number>,
    /// ≥ 0.
    pub top_k: Option<u64>,
    /// 0–1.
    pub min_p: Option<Number>,
    /// 0–1.
    pub top_a: Option<Number>,
    /// −2–2.
    pub frequency_penalty: Option<Number>,
    /// −2–2.
    pub presence_penalty: Option<Number>,
    /// (0,2].
    pub repetition_penalty: Option<Number>,
    /// Seed.
    pub seed: Option<i64>,
}

/// A chat request as every dialect understands it.
#[derive(Debug, Clone, Default)]
pub struct ChatRequest {
    /// The model as asked for (slug with variants); the upstream's own id is in the target.
    pub model: String,
    /// Fallback models in order, without `model` itself.
    pub models: Vec<String>,
    /// The conversation.
    pub messages: Vec<Message>,
    /// The client's own messages hold what only some upstreams of its dialect take, so its bytes cannot go to all of them.
    pub has_extensions: bool,
    /// Path of the first thing in the client's body that only an upstream of the client's own dialect can be told.
    pub only_native: Option<String>,
    /// The client wants a stream.
    pub stream: bool,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// Most tokens to write (`max_completion_tokens`, else `max_tokens`).
    pub max_tokens: Option<u64>,
    /// Stop sequences.
    pub stop: Vec<String>,
    /// Function tools in order.
    pub tools: Vec<Tool>,
    /// Tools that the gateway runs, in order.
    pub server_tools: Vec<ServerTool>,
    /// Which of them.
    pub tool_choice: Option<ToolChoice>,
    /// May several be called in one turn?
    pub parallel_tool_calls: Option<bool>,
    /// Form of the answer.
    pub response_format: Option<ResponseFormat>,
    /// Thinking.
    pub reasoning: Option<ReasoningRequest>,
    /// Cache the last cacheable block (a mark on the request as a whole).
    pub cache_control: Option<CacheMark>,
    /// Number of answers.
    pub n: Option<u32>,
    /// Return log probabilities.
    pub logprobs: Option<bool>,
    /// How many alternatives.
    pub top_logprobs: Option<u32>,
    /// Token biases.
    pub logit_bias: Option<Map<String, Value>>,
    /// Predicted output.
    pub prediction: Option<Value>,
    /// Output modalities.
    pub modalities: Vec<String>,
    /// Output audio options.
    pub audio: Option<Value>,
    /// Native web-search options, as the client sent them.
    pub web_search_options: Option<Value>,
    /// A search that the gateway asks of the provider.
    pub native_search: Option<NativeSearch>,
    /// Service tier.
    pub service_tier: Option<String>,
    /// `low`, `medium`, `high` …
    pub verbosity: Option<String>,
    /// The client's end user.
    pub user: Option<String>,
    /// The conversation's id.
    pub session_id: Option<String>,
    /// OpenAI's cache key.
    pub prompt_cache_key: Option<String>,
    /// Key-value metadata.
    pub metadata: Option<Map<String, Value>>,
    /// Routing preferences, parsed by `routing`.
    pub provider: Option<Box<RawValue>>,
    /// The most that the request may cost, parsed by `relay::max_cost`.
    pub max_cost: Option<Box<RawValue>>,
    /// Top-level fields that the canonical request has no name for; they travel only where client and upstream speak
    /// the same dialect.
    pub extra: Map<String, Value>,
}

impl ChatRequest {
    /// What the client says of its trace (`trace`), as JSON text.
    pub fn trace(&self) -> Option<String> {
        let trace = self.extra.get("trace")?;
        trace.is_object().then(|| trace.to_string())
    }
}

impl Message {
    /// A message of one text part.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            name: None,
            parts: vec![Part::text(text)],
        }
    }

    /// The parts for wires without a field for the speaker's name: it goes before a user's first words.
    pub fn named_parts(&self) -> Cow<'_, [Part]> {
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        let Some(name) = name.filter(|_| self.role == Role::User) else {
            return Cow::Borrowed(&self.parts);
        };
        let mut parts = self.parts.clone();
        let words = parts.iter_mut().find_map(|part| match part {
            Part::Text { text, .. } if !text.trim().is_empty() => Some(text),
            _ => None,
        });
        if let Some(text) = words {
            text.insert_str(0, &format!("{name}: "));
        }
        Cow::Owned(parts)
    }
}

impl Part {
    /// Text without a cache mark.
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text {
            text: text.into(),
            cache: None,
        }
    }

    /// The cache mark on this part.
    pub fn cache(&self) -> Option<CacheMark> {
        match self {
            Part::Text { cache, .. }
            | Part::Image { cache, .. }
            | Part::File { cache, .. }
            | Part::ToolResult { cache, .. } => *cache,
            _ => None,
        }
    }
}
