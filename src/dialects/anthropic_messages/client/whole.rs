//! The whole answer as one message, out of the same steps as its stream.

use serde_json::value::RawValue;

use super::{
    blocks::{Blocks, Opening, Piece, Sink, Stop},
    writer::{put_fields, put_head, put_image, tier},
};
use crate::{
    chat::Event,
    dialects::{
        report::{Meta, UsageReport, WriterOptions},
        splice::{ObjectWriter, put, put_array},
    },
};

/// The whole answer as one message.
pub fn message(
    meta: &Meta,
    events: &[Event],
    report: &UsageReport,
    options: WriterOptions,
) -> Vec<u8> {
    let mut blocks = Blocks::new(options.exclude_reasoning);
    let mut content = Content::default();
    let mut told = Vec::new();
    for event in events {
        if let Event::Start { service_tier, .. } = event {
            told = tier(service_tier.as_deref());
        }
        blocks.push(event, &mut content);
    }
    blocks.end(&mut content);
    let mut body = Vec::with_capacity(1024);
    let mut object = ObjectWriter::new(&mut body);
    put_head(&mut object, meta);
    put_array(object.key("content"), &content.blocks, |out, block| {
        out.extend_from_slice(block);
    });
    put_stop(&mut object, &blocks.stop());
    super::put_usage(object.key("usage"), report, &told);
    object.optional("openrouter_metadata", report.routing.as_ref());
    object.end();
    body
}

/// How the answer ended: fields of a message, or of the delta that ends one.
pub(super) fn put_stop(object: &mut ObjectWriter<'_>, stop: &Stop<'_>) {
    object.field("stop_reason", stop.reason);
    object.field("stop_sequence", &stop.sequence);
    if let Some(explanation) = stop.explanation {
        let mut details = ObjectWriter::new(object.key("stop_details"));
        details.field("type", "refusal");
        details.raw("category", "null");
        details.field("explanation", explanation);
        details.end();
    }
}

/// Blocks as JSON, each written when it ends.
#[derive(Debug, Default)]
struct Content {
    blocks: Vec<Vec<u8>>,
    /// The beginning of the open block.
    head: Vec<u8>,
    kind: Kind,
    text: String,
    signature: String,
    citations: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Text,
    Thinking,
    ToolUse,
    /// Whole from the beginning.
    Closed,
}

impl Sink for Content {
    fn open(&mut self, _: u32, opening: Opening<'_>) {
        self.head.clear();
        self.text.clear();
        self.signature.clear();
        self.citations.clear();
        let mut head = ObjectWriter::new(&mut self.head);
        self.kind = match opening {
            Opening::Text => {
                head.field("type", "text");
                Kind::Text
            }
            Opening::Thinking => {
                head.field("type", "thinking");
                Kind::Thinking
            }
            Opening::Redacted { data } => {
                head.field("type", "redacted_thinking");
                head.field("data", data);
                Kind::Closed
            }
            Opening::ToolUse { id, name } => {
                head.field("type", "tool_use");
                head.field("id", id);
                head.field("name", name);
                Kind::ToolUse
            }
            Opening::ServerToolUse { id, name } => {
                head.field("type", "server_tool_use");
                head.field("id", id);
                head.field("name", name);
                Kind::ToolUse
            }
            Opening::ServerToolResult { block } => {
                put_fields(&mut head, block);
                Kind::Closed
            }
            Opening::Image { url } => {
                put_image(&mut head, url);
                Kind::Closed
            }
        };
    }

    fn piece(&mut self, _: u32, piece: Piece<'_>) {
        match piece {
            Piece::Text(more) | Piece::Thinking(more) | Piece::Json(more) => {
                self.text.push_str(more);
            }
            Piece::Signature(signature) => signature.clone_into(&mut self.signature),
            Piece::Citation(citation) => {
                let mut json = Vec::new();
                put(&mut json, citation);
                self.citations.push(json);
            }
        }
    }

    fn close(&mut self, _: u32) {
        let mut block = std::mem::take(&mut self.head);
        let mut field = |key: &str, value: &dyn Fn(&mut Vec<u8>)| {
            block.extend_from_slice(b",\"");
            block.extend_from_slice(key.as_bytes());
            block.extend_from_slice(b"\":");
            value(&mut block);
        };
        match self.kind {
            Kind::Text => {
                field("text", &|out| put(out, &self.text));
                if !self.citations.is_empty() {
                    field("citations", &|out| {
                        put_array(out, &self.citations, |out, citation| {
                            out.extend_from_slice(citation);
                        });
                    });
                }
            }
            Kind::Thinking => {
                field("thinking", &|out| put(out, &self.text));
                field("signature", &|out| put(out, &self.signature));
            }
            Kind::ToolUse => field("input", &|out| put_input(out, &self.text)),
            Kind::Closed => {}
        }
        block.push(b'}');
        self.blocks.push(block);
    }
}

/// A call's arguments; those that are no object stay readable in one.
fn put_input(out: &mut Vec<u8>, arguments: &str) {
    match crate::json::from_str::<&RawValue>(arguments) {
        Ok(input) if input.get().starts_with('{') => out.extend_from_slice(input.get().as_bytes()),
        _ => {
            let mut object = ObjectWriter::new(out);
            object.field("INVALID_JSON", arguments);
            object.end();
        }
    }
}
