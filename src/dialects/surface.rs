//! What a client speaks: one arm per format, each with a reader of requests and writers of answers, streams and errors.
//!
//! Which path speaks which format is `api`'s matter.

use super::{
    anthropic_messages::client::{self as messages, MessageWriter},
    openai_chat::client::{self, ChunkWriter},
    openai_completions::{self, TextWriter},
    openai_responses::client::{self as responses, ResponseWriter},
    report::{Meta, UsageReport, WriterOptions},
};
use crate::{
    catalog::Dialect,
    chat::{ChatRequest, Completion, Event},
    error::{Error, Result},
};

/// A client's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Surface {
    /// `POST /chat/completions`, and every route that is not about conversations.
    #[default]
    ChatCompletions,
    /// `POST /messages`, Anthropic's format.
    Messages,
    /// `POST /completions`, OpenAI's old one.
    Completions,
    /// `POST /responses`, OpenAI's newer format.
    Responses,
}

impl Surface {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::ChatCompletions,
        Self::Messages,
        Self::Completions,
        Self::Responses,
    ];

    /// Its name in records and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat.completions",
            Self::Messages => "messages",
            Self::Completions => "completions",
            Self::Responses => "responses",
        }
    }

    /// Whether an upstream of this dialect speaks as the client does.
    pub fn is_dialect(self, dialect: Dialect) -> bool {
        match self {
            Self::ChatCompletions => dialect == Dialect::OpenaiChat,
            Self::Messages => dialect == Dialect::AnthropicMessages,
            Self::Completions => false,
            Self::Responses => dialect == Dialect::OpenaiResponses,
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// 400 with the path of the field.
    pub fn parse(self, raw: &[u8]) -> Result<ChatRequest> {
        match self {
            Self::ChatCompletions => client::parse_request(raw),
            Self::Messages => messages::parse_request(raw),
            Self::Completions => openai_completions::parse_request(raw),
            Self::Responses => responses::parse_request(raw),
        }
    }

    /// The status and body of a request that failed before its answer began; `id` names the request.
    pub fn error_body(self, error: &Error, id: Option<&str>) -> (u16, Vec<u8>) {
        match self {
            Self::ChatCompletions | Self::Completions => client::error_body(error),
            Self::Messages => messages::error_body(error, id),
            Self::Responses => responses::error_body(error),
        }
    }

    /// What keeps a silent stream open.
    pub fn keep_alive(self) -> &'static [u8] {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Responses => {
                b": PATCHBAY PROCESSING\n\n"
            }
            Self::Messages => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
        }
    }
}

/// Whom an answer is written for.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// What the client speaks.
    pub surface: Surface,
    /// What it asked for.
    pub request: &'a ChatRequest,
    /// Its own bytes.
    pub raw: &'a [u8],
    /// What the gateway says of the answer.
    pub meta: &'a Meta,
}

impl Recipient<'_> {
    /// The whole answer.
    pub fn whole(&self, events: &[Event], report: &UsageReport) -> Vec<u8> {
        let options = WriterOptions::of(self.request);
        match self.surface {
            Surface::ChatCompletions => {
                let completion = Completion::from_events(events.iter().cloned());
                client::completion(self.meta, &completion, report, options)
            }
            Surface::Messages => messages::message(self.meta, events, report, options),
            Surface::Completions => {
                let completion = Completion::from_events(events.iter().cloned());
                openai_completions::completion(self.meta, &completion, report, options, self.raw)
            }
            Surface::Responses => responses::whole(self.meta, self.raw, events, report, options),
        }
    }

    /// A writer of its stream.
    pub fn writer(&self) -> Writer {
        let options = WriterOptions::of(self.request);
        match self.surface {
            Surface::ChatCompletions => {
                Writer::ChatCompletions(ChunkWriter::new(self.meta, options))
            }
            Surface::Messages => Writer::Messages(Box::new(MessageWriter::new(self.meta, options))),
            Surface::Completions => {
                Writer::Completions(TextWriter::new(self.meta, options, self.raw))
            }
            Surface::Responses => {
                let writer = ResponseWriter::new(self.meta, self.raw, options);
                Writer::Responses(Box::new(writer))
            }
        }
    }
}

/// Writes one streamed answer.
#[derive(Debug)]
pub enum Writer {
    /// Chat completions.
    ChatCompletions(ChunkWriter),
    /// Anthropic's messages.
    Messages(Box<MessageWriter>),
    /// Completions.
    Completions(TextWriter),
    /// OpenAI Responses.
    Responses(Box<ResponseWriter>),
}

impl Writer {
    /// Appends what the client sees of one event, if anything.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match self {
            Self::ChatCompletions(writer) => writer.write(event, out),
            Self::Messages(writer) => writer.write(event, out),
            Self::Completions(writer) => writer.write(event, out),
            Self::Responses(writer) => writer.write(event, out),
        }
    }

    /// Appends the usage and the end of a stream in order.
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        match self {
            Self::ChatCompletions(writer) => writer.finish(report, out),
            Self::Messages(writer) => writer.finish(report, out),
            Self::Completions(writer) => writer.finish(report, out),
            Self::Responses(writer) => writer.finish(report, out),
        }
    }

    /// Appends the failure of an answer that had begun, what was used until then, and the end of the stream.
    pub fn error(&mut self, error: &Error, report: &UsageReport, out: &mut Vec<u8>) {
        match self {
            Self::ChatCompletions(writer) => writer.error(error, Some(report), out),
            Self::Messages(writer) => writer.error(error, Some(report), out),
            Self::Completions(writer) => writer.error(error, Some(report), out),
            Self::Responses(writer) => writer.error(error, report, out),
        }
    }

    /// Goes on where another writer of the same answer stopped; `meta` says who writes now.
    pub fn resume(&mut self, meta: &Meta) {
        match self {
            Self::ChatCompletions(writer) => writer.resume(),
            Self::Messages(writer) => writer.resume(),
            Self::Completions(writer) => writer.resume(),
            Self::Responses(writer) => writer.resume(meta),
        }
    }

    /// A writer that knows all that this one has written, where the format needs that for going on.
    pub fn fork(&self) -> Option<Self> {
        match self {
            Self::ChatCompletions(_) | Self::Messages(_) | Self::Completions(_) => None,
            Self::Responses(writer) => Some(Self::Responses(writer.clone())),
        }
    }
}
