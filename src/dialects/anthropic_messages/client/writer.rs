//! Canonical events → the event stream of messages.
//!
//! Every call writes whole SSE events, each with its name (P114). The counts and the end mark come from the gateway, so the
//! provider's own end is not written when it is read.

use serde_json::Value;

use super::{
    blocks::{Blocks, Opening, Piece, Sink},
    error::put_envelope,
    usage::put_first,
    whole::put_stop,
};
use crate::{
    chat::{Event, Usage},
    dialects::{
        report::{Meta, UsageReport, WriterOptions},
        splice::{ObjectWriter, put},
    },
    error::Error,
};

/// Writes one streamed answer.
#[derive(Debug)]
pub struct MessageWriter {
    meta: Meta,
    is_started: bool,
    usage: Usage,
    /// What the provider said of its service tier.
    tier: Vec<(String, String)>,
    blocks: Blocks,
}

impl MessageWriter {
    /// A writer for one answer.
    pub fn new(meta: &Meta, options: WriterOptions) -> Self {
        Self {
            meta: meta.clone(),
            is_started: false,
            usage: Usage::default(),
            tier: Vec::new(),
            blocks: Blocks::new(options.exclude_reasoning),
        }
    }

    /// Appends what the client sees of one event.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Usage(usage) => self.usage = *usage,
            Event::Delta { .. } | Event::Finish { .. } => {
                self.start(out);
                self.blocks.push(event, &mut Stream { out });
            }
            Event::Start { service_tier, .. } => self.tier = tier(service_tier.as_deref()),
            Event::Error(_) | Event::Done => {}
        }
    }

    /// Appends the end of the answer, with its usage.
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        self.start(out);
        self.blocks.end(&mut Stream { out });
        let stop = self.blocks.stop();
        event(out, "message_delta", |object| {
            let mut delta = ObjectWriter::new(object.key("delta"));
            put_stop(&mut delta, &stop);
            delta.end();
            // P10
            super::put_usage(object.key("usage"), report, &self.tier);
        });
        stopped(report, out);
    }

    /// Appends the failure of an answer that had begun, which ends its stream (P110, P114).
    pub fn error(&mut self, error: &Error, report: Option<&UsageReport>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        put_envelope(out, error, Some(&self.meta.id), report);
        out.extend_from_slice(b"\n\n");
    }

    /// Goes on where another writer stopped: the message has begun, and so has its text.
    pub fn resume(&mut self) {
        self.is_started = true;
        self.blocks.resume();
    }

    /// Takes in an event that somebody else wrote down.
    pub(in crate::dialects::anthropic_messages) fn follow(&mut self, event: &Event) {
        match event {
            Event::Usage(usage) => self.usage = *usage,
            event => self.blocks.push(event, &mut Nobody),
        }
    }

    /// Somebody else wrote the head of the message.
    pub(in crate::dialects::anthropic_messages) fn note_start(&mut self) {
        self.is_started = true;
    }

    /// Somebody else ended the open block.
    pub(in crate::dialects::anthropic_messages) fn note_close(&mut self) {
        self.blocks.end(&mut Nobody);
    }

    /// Goes on after blocks that somebody else wrote; true where the open one is a call that is not whole, and stays open.
    pub(in crate::dialects::anthropic_messages) fn take_over(&mut self, next: u32) -> bool {
        let is_calling = self.blocks.is_calling();
        if !is_calling {
            self.blocks.end(&mut Nobody);
        }
        self.blocks.renumber(next);
        is_calling
    }

    /// How the answer ended, as far as it was seen.
    pub(in crate::dialects::anthropic_messages) fn put_stop(&self, delta: &mut ObjectWriter<'_>) {
        put_stop(delta, &self.blocks.stop());
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        event(out, "message_start", |object| {
            let mut message = ObjectWriter::new(object.key("message"));
            put_head(&mut message, &self.meta);
            message.raw("content", "[]");
            message.raw("stop_reason", "null");
            message.raw("stop_sequence", "null");
            put_first(message.key("usage"), &self.usage);
            message.end();
        });
    }
}

/// The service tier as a field of `usage`; chat completions' `default` is `standard` here.
pub(super) fn tier(tier: Option<&str>) -> Vec<(String, String)> {
    let word = tier.map(|tier| match tier {
        "default" => "standard",
        tier => tier,
    });
    word.map(|word| {
        (
            "service_tier".to_owned(),
            serde_json::json!(word).to_string(),
        )
    })
    .into_iter()
    .collect()
}

/// The gateway's own fields of a message.
pub(in crate::dialects::anthropic_messages) fn put_head(
    object: &mut ObjectWriter<'_>,
    meta: &Meta,
) {
    object.field("id", &meta.id);
    object.field("type", "message");
    object.field("role", "assistant");
    object.field("model", &meta.model);
    object.field("provider", &meta.provider);
}

/// The last event of a stream.
pub(in crate::dialects::anthropic_messages) fn stopped(report: &UsageReport, out: &mut Vec<u8>) {
    event(out, "message_stop", |object| {
        object.optional("openrouter_metadata", report.routing.as_ref());
    });
}

/// One event: its name, and an object of that type.
pub(in crate::dialects::anthropic_messages) fn event(
    out: &mut Vec<u8>,
    kind: &str,
    fields: impl FnOnce(&mut ObjectWriter<'_>),
) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut object = ObjectWriter::new(out);
    object.field("type", kind);
    fields(&mut object);
    object.end();
    out.extend_from_slice(b"\n\n");
}

/// Blocks that are not written down.
struct Nobody;

impl Sink for Nobody {
    fn open(&mut self, _: u32, _: Opening<'_>) {}
    fn piece(&mut self, _: u32, _: Piece<'_>) {}
    fn close(&mut self, _: u32) {}
}

/// Blocks as events.
struct Stream<'o> {
    out: &'o mut Vec<u8>,
}

impl Sink for Stream<'_> {
    fn open(&mut self, index: u32, opening: Opening<'_>) {
        event(self.out, "content_block_start", |object| {
            object.field("index", &index);
            put_opening(object.key("content_block"), opening);
        });
    }

    fn piece(&mut self, index: u32, piece: Piece<'_>) {
        let (kind, field) = match piece {
            Piece::Text(_) => ("text_delta", "text"),
            Piece::Thinking(_) => ("thinking_delta", "thinking"),
            Piece::Signature(_) => ("signature_delta", "signature"),
            Piece::Json(_) => ("input_json_delta", "partial_json"),
            Piece::Citation(_) => ("citations_delta", "citation"),
        };
        event(self.out, "content_block_delta", |object| {
            object.field("index", &index);
            let mut delta = ObjectWriter::new(object.key("delta"));
            delta.field("type", kind);
            match piece {
                Piece::Text(text)
                | Piece::Thinking(text)
                | Piece::Signature(text)
                | Piece::Json(text) => put(delta.key(field), text),
                Piece::Citation(citation) => put(delta.key(field), citation),
            }
            delta.end();
        });
    }

    fn close(&mut self, index: u32) {
        event(self.out, "content_block_stop", |object| {
            object.field("index", &index);
        });
    }
}

fn put_opening(out: &mut Vec<u8>, opening: Opening<'_>) {
    let mut block = ObjectWriter::new(out);
    match opening {
        Opening::Text => {
            block.field("type", "text");
            block.field("text", "");
        }
        Opening::Thinking => {
            block.field("type", "thinking");
            block.field("thinking", "");
            block.field("signature", "");
        }
        Opening::Redacted { data } => {
            block.field("type", "redacted_thinking");
            block.field("data", data);
        }
        Opening::ToolUse { id, name } => {
            block.field("type", "tool_use");
            block.field("id", id);
            block.field("name", name);
            block.raw("input", "{}");
        }
        Opening::ServerToolUse { id, name } => {
            block.field("type", "server_tool_use");
            block.field("id", id);
            block.field("name", name);
            block.raw("input", "{}");
        }
        Opening::ServerToolResult { block: result } => put_fields(&mut block, result),
        Opening::Image { url } => put_image(&mut block, url),
    }
    block.end();
}

/// The fields of an object, in their order.
pub(super) fn put_fields(object: &mut ObjectWriter<'_>, fields: &Value) {
    for (key, value) in fields.as_object().into_iter().flatten() {
        object.field(key, value);
    }
}

/// An image as Anthropic's requests have them; its answers have none.
pub(super) fn put_image(block: &mut ObjectWriter<'_>, url: &str) {
    block.field("type", "image");
    let mut source = ObjectWriter::new(block.key("source"));
    let inline = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => {
            source.field("type", "base64");
            source.field("media_type", media_type);
            source.field("data", data);
        }
        None => {
            source.field("type", "url");
            source.field("url", url);
        }
    }
    source.end();
}
