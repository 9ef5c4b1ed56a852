//! How does an upstream or a client spell it? One module per wire format, each with the same five functions.
//!
//! | function | reads | writes |
//! |---|---|---|
//! | `request` | canonical request (and the client's own bytes) | native request |
//! | `response` | native answer in one piece | events |
//! | `Stream::feed`, `Stream::finish` | native stream, any chunking | events |
//! | `error` | native error answer | [`Error`](crate::error::Error) |
//! | `stop_reason` | native word | [`FinishReason`](crate::chat::FinishReason) |
//!
//! Upstream dialects read *into* the canonical events, client surfaces write *from* them: N + M modules. Nothing here does
//! I/O or knows the time.

pub mod anthropic_messages;
pub mod bedrock_converse;
mod cache_control;
pub mod cohere_v2;
pub mod count;
pub mod eventstream;
pub mod gemini;
mod json_path;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;
pub mod operations;
mod options;
pub mod paths;
mod patterns;
pub mod ran;
pub mod redact;
pub mod report;
pub mod splice;
pub mod sse;
pub mod surface;
pub mod workers_ai;

pub(crate) use gemini::parameters as gemini_parameters;
pub use surface::Surface;

use crate::{
    catalog::{Dialect, Endpoint, Provider, Quirk},
    chat::{ChatRequest, Event},
    error::{Error, ErrorType, Next, Result},
};

/// Whom a request is written for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The way to the model.
    pub endpoint: &'a Endpoint,
    /// Who serves it.
    pub provider: &'a Provider,
}

impl Target<'_> {
    /// The wire format to speak.
    pub fn dialect(&self) -> Dialect {
        self.endpoint.dialect(self.provider)
    }
}

/// What the client asked for.
#[derive(Debug, Clone, Copy)]
pub struct Inbound<'a> {
    /// The request as every dialect understands it.
    pub request: &'a ChatRequest,
    /// What the client speaks.
    pub surface: Surface,
    /// The client's own bytes.
    pub raw: Option<&'a [u8]>,
}

impl<'a> Inbound<'a> {
    /// The client's own bytes where it speaks this format: an upstream of the same one gets them back.
    pub fn raw_of(&self, surface: Surface) -> Option<&'a [u8]> {
        self.raw.filter(|_| self.surface == surface)
    }
}

/// A request as the upstream wants it, without its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeRequest {
    /// Appended to the provider's base URL; starts with `/`.
    pub path: String,
    /// Headers of the dialect, in lower case; authentication is the caller's.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Parameters that the client sent and this target cannot take.
    pub dropped: Vec<&'static str>,
}

/// Writes a request as this target wants it: a stream or not, as the client asked.
///
/// # Errors
/// When the request cannot be said to this target; the error names the field in the client's request.
pub fn request(inbound: &Inbound<'_>, target: &Target<'_>) -> Result<NativeRequest> {
    if let Some(path) = &inbound.request.only_native
        && (inbound.raw.is_none() || !inbound.surface.is_dialect(target.dialect()))
    {
        let told = "this is for providers that speak the client's own format";
        let mut error = Error::invalid(path.clone(), told);
        error.next = Next::NextAttempt;
        return Err(error);
    }
    let mut native = match target.dialect() {
        Dialect::OpenaiChat => openai_chat::request(inbound, target),
        Dialect::AnthropicMessages => anthropic_messages::request(inbound, target),
        Dialect::Gemini => gemini::request(inbound, target),
        Dialect::OpenaiResponses => openai_responses::request(inbound, target),
        Dialect::CohereV2 => cohere_v2::request(inbound, target),
        Dialect::BedrockConverse => bedrock_converse::request(inbound, target),
    }?;
    native.path = paths::styled(native.path, target, inbound.request.stream)?;
    Ok(native)
}

/// Reads an upstream's whole answer.
///
/// # Errors
/// When the body is no answer of this dialect, or is an error under status 200.
pub fn response(dialect: Dialect, body: &[u8], quirks: &[Quirk]) -> Result<Vec<Event>> {
    match dialect {
        Dialect::OpenaiChat => openai_chat::response(body, quirks),
        Dialect::AnthropicMessages => anthropic_messages::response(body),
        Dialect::Gemini => gemini::response(body),
        Dialect::OpenaiResponses => openai_responses::response(body, quirks),
        Dialect::CohereV2 => cohere_v2::response(body),
        Dialect::BedrockConverse => bedrock_converse::response(body),
    }
}

/// The header in which some upstreams name the kind of an error that their bodies do not tell (AWS).
pub const ERROR_KIND_HEADER: &str = "x-amzn-errortype";

/// Reads the body of an upstream's answer that is not 200. Never fails: plain text, HTML and nothing at all are read too.
pub fn error(dialect: Dialect, status: u16, body: &[u8]) -> Error {
    error_of_kind(dialect, status, None, body)
}

/// As [`error`], of the kind that [`ERROR_KIND_HEADER`] names.
pub fn error_of_kind(dialect: Dialect, status: u16, kind: Option<&str>, body: &[u8]) -> Error {
    let mut error = match dialect {
        Dialect::OpenaiChat => openai_chat::error(status, body),
        Dialect::AnthropicMessages => anthropic_messages::error(status, body),
        Dialect::Gemini => gemini::error(status, body),
        Dialect::OpenaiResponses => openai_responses::error(status, body),
        Dialect::CohereV2 => cohere_v2::error(status, body),
        Dialect::BedrockConverse => bedrock_converse::error(status, kind, body),
    };
    if matches!(status, 401 | 403) {
        // Providers quote the key that they refuse, or name its owner, and the key is the operator's.
        error.message = match error.error_type {
            ErrorType::ContentPolicyViolation => "The provider refused the content",
            _ => "The provider refused the gateway's credentials",
        }
        .to_owned();
        error.raw = None;
    }
    for text in [Some(&mut error.message), error.raw.as_mut()]
        .into_iter()
        .flatten()
    {
        if let Some(told) = redact::secrets(text) {
            *text = told;
        }
    }
    error
}

/// Reads an upstream's stream.
#[derive(Debug)]
pub enum StreamReader {
    /// Chat completions.
    OpenaiChat(openai_chat::Stream),
    /// Anthropic messages.
    AnthropicMessages(anthropic_messages::Stream),
    /// Gemini.
    Gemini(gemini::Stream),
    /// OpenAI Responses.
    OpenaiResponses(openai_responses::Stream),
    /// Cohere.
    CohereV2(cohere_v2::Stream),
    /// Bedrock's Converse.
    BedrockConverse(bedrock_converse::Stream),
}

impl StreamReader {
    /// A reader for an upstream with these quirks.
    pub fn new(dialect: Dialect, quirks: &[Quirk]) -> Self {
        match dialect {
            Dialect::OpenaiChat => Self::OpenaiChat(openai_chat::Stream::new(quirks)),
            Dialect::AnthropicMessages => {
                Self::AnthropicMessages(anthropic_messages::Stream::default())
            }
            Dialect::Gemini => Self::Gemini(gemini::Stream::default()),
            Dialect::OpenaiResponses => {
                Self::OpenaiResponses(openai_responses::Stream::new(quirks))
            }
            Dialect::CohereV2 => Self::CohereV2(cohere_v2::Stream::default()),
            Dialect::BedrockConverse => Self::BedrockConverse(bedrock_converse::Stream::default()),
        }
    }

    /// Appends the events of the next bytes.
    ///
    /// # Errors
    /// When the bytes are no stream of this dialect.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        match self {
            Self::OpenaiChat(stream) => stream.feed(bytes, events),
            Self::AnthropicMessages(stream) => stream.feed(bytes, events),
            Self::Gemini(stream) => stream.feed(bytes, events),
            Self::OpenaiResponses(stream) => stream.feed(bytes, events),
            Self::CohereV2(stream) => stream.feed(bytes, events),
            Self::BedrockConverse(stream) => stream.feed(bytes, events),
        }
    }

    /// Appends the events that were held back until the upstream closed the stream.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        match self {
            Self::OpenaiChat(stream) => stream.finish(events),
            Self::AnthropicMessages(stream) => stream.finish(events),
            Self::Gemini(stream) => stream.finish(events),
            Self::OpenaiResponses(stream) => stream.finish(events),
            Self::CohereV2(stream) => stream.finish(events),
            Self::BedrockConverse(stream) => stream.finish(events),
        }
    }
}
