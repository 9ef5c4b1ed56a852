//! Canonical events → chat-completion chunks.
//!
//! The text is written straight into the caller's buffer: a chunk costs no tree and no allocation of its own. Every call
//! writes whole SSE events, so whatever is written later begins on a fresh line (P115).

use super::{error::put_error, whole::put_usage};
use crate::{
    chat::{Completion, Delta, Event, FinishReason, ReasoningDetail, ReasoningKind},
    dialects::{
        report::{Meta, UsageReport, WriterOptions},
        splice::{ObjectWriter, put, put_array},
    },
    error::Error,
};

/// The end of every stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// How a choice ended.
#[derive(Debug, Clone)]
struct Ended {
    choice: u32,
    reason: FinishReason,
    native: String,
}

/// Writes one streamed answer.
#[derive(Debug)]
pub struct ChunkWriter {
    meta: Meta,
    /// Everything of a chunk before its choices; the same for all chunks.
    head: Vec<u8>,
    /// Everything after the choices, from what the upstream said of itself.
    tail: Vec<u8>,
    options: WriterOptions,
    /// One bit per choice that already has its role.
    started: u128,
    ended: Vec<Ended>,
}

impl ChunkWriter {
    /// A writer for one answer.
    pub fn new(meta: &Meta, options: WriterOptions) -> Self {
        let created = meta.created.to_string();
        Self {
            head: head(meta, &created),
            meta: meta.clone(),
            tail: Vec::new(),
            options,
            started: 0,
            ended: Vec::new(),
        }
    }

    /// Appends what the client sees of one event: one chunk, or nothing.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start {
                service_tier,
                system_fingerprint,
                ..
            } => self.describe(service_tier.as_deref(), system_fingerprint.as_deref()),
            Event::Delta {
                delta: Delta::Reasoning(_),
                ..
            } if self.options.exclude_reasoning => {}
            Event::Delta { choice, delta } if *choice < Completion::MAX_INDEX => {
                let is_first = self.start(*choice);
                self.chunk(
                    *choice,
                    out,
                    |out| put_delta(out, delta, is_first),
                    |out| {
                        let logprobs = match delta {
                            Delta::Logprobs(value) => Some(value),
                            _ => None,
                        };
                        out.extend_from_slice(
                            b",\"finish_reason\":null,\"native_finish_reason\":null,\"logprobs\":",
                        );
                        put(out, &logprobs);
                    },
                );
            }
            Event::Finish {
                choice,
                reason,
                native,
                ..
                // Some hosts repeat the end with a corrected usage.
            } if *choice < Completion::MAX_INDEX && !self.has_ended(*choice) => {
                let ended = Ended {
                    choice: *choice,
                    reason: *reason,
                    native: native.clone(),
                };
                let is_first = self.start(*choice);
                let delta: &[u8] = if is_first {
                    b"{\"role\":\"assistant\",\"content\":\"\"}"
                } else {
                    b"{}"
                };
                self.chunk(
                    *choice,
                    out,
                    |out| out.extend_from_slice(delta),
                    |out| put_ended(out, Some(&ended)),
                );
                self.ended.push(ended);
            }
            Event::Delta { .. }
            | Event::Finish { .. }
            | Event::Usage(_)
            | Event::Error(_)
            | Event::Done => {}
        }
    }

    /// Appends the chunk with the usage, and the end of the stream.
    ///
    /// The chunk has one choice that repeats how the answer ended; its delta has no `role`, which SDKs that add up deltas
    /// would append to the first one (P72).
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        let ended = self.ended.first().cloned();
        let choice = ended.as_ref().map_or(0, |ended| ended.choice);
        self.open(choice, out);
        out.extend_from_slice(b"{\"content\":\"\"}");
        put_ended(out, ended.as_ref());
        out.extend_from_slice(b"}]");
        out.extend_from_slice(&self.tail);
        out.extend_from_slice(b",\"usage\":");
        put_usage(out, report);
        put_routing(out, report);
        out.extend_from_slice(b"}\n\n");
        out.extend_from_slice(DONE);
    }

    /// Appends the failure of an answer that had begun, what was used until then, and the end of the stream.
    pub fn error(&mut self, error: &Error, report: Option<&UsageReport>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"error\":");
        put_error(out, error);
        out.extend_from_slice(
            b",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\",\"native_finish_reason\":null,\"logprobs\":null}]",
        );
        if let Some(report) = report {
            out.extend_from_slice(b",\"usage\":");
            put_usage(out, report);
            put_routing(out, report);
        }
        out.extend_from_slice(b"}\n\n");
        out.extend_from_slice(DONE);
    }

    /// Goes on where another writer stopped: the first answer has its role already.
    pub fn resume(&mut self) {
        self.start(0);
    }

    /// Notes that a choice has its role; true for the first time.
    pub(in crate::dialects::openai_chat) fn start(&mut self, choice: u32) -> bool {
        let bit = 1_u128.checked_shl(choice).unwrap_or_default();
        let is_first = self.started & bit == 0;
        self.started |= bit;
        is_first
    }

    fn has_ended(&self, choice: u32) -> bool {
        self.ended.iter().any(|ended| ended.choice == choice)
    }

    /// Notes how a choice ended whose last chunk somebody else wrote.
    pub(in crate::dialects::openai_chat) fn note_end(
        &mut self,
        choice: u32,
        reason: FinishReason,
        native: &str,
    ) {
        self.ended.push(Ended {
            choice,
            reason,
            native: native.to_owned(),
        });
    }

    /// Takes over the upstream's time of creation, as JSON text.
    pub(in crate::dialects::openai_chat) fn set_created(&mut self, created: &str) {
        self.head = head(&self.meta, created);
    }

    /// `data: {` and the gateway's own fields, without a comma at the end.
    pub(in crate::dialects::openai_chat) fn head(&self) -> &[u8] {
        &self.head
    }

    fn describe(&mut self, service_tier: Option<&str>, system_fingerprint: Option<&str>) {
        self.tail.clear();
        for (key, value) in [
            (&b",\"system_fingerprint\":"[..], system_fingerprint),
            (b",\"service_tier\":", service_tier),
        ] {
            if let Some(value) = value {
                self.tail.extend_from_slice(key);
                put(&mut self.tail, value);
            }
        }
    }

    /// Everything up to the value of `delta`.
    fn open(&self, choice: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[{\"index\":");
        put(out, &choice);
        out.extend_from_slice(b",\"delta\":");
    }

    fn chunk(
        &self,
        choice: u32,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Vec<u8>),
        rest: impl FnOnce(&mut Vec<u8>),
    ) {
        self.open(choice, out);
        delta(out);
        rest(out);
        out.extend_from_slice(b"}]");
        out.extend_from_slice(&self.tail);
        out.extend_from_slice(b"}\n\n");
    }
}

fn head(meta: &Meta, created: &str) -> Vec<u8> {
    let mut head = b"data: ".to_vec();
    let mut object = ObjectWriter::new(&mut head);
    object.field("id", &meta.id);
    object.field("object", "chat.completion.chunk");
    object.raw("created", created);
    object.field("model", &meta.model);
    object.field("provider", &meta.provider);
    head
}

/// How the request was routed, for a client that wants to be told.
fn put_routing(out: &mut Vec<u8>, report: &UsageReport) {
    if let Some(routing) = &report.routing {
        out.extend_from_slice(b",\"openrouter_metadata\":");
        put(out, routing);
    }
}

fn put_ended(out: &mut Vec<u8>, ended: Option<&Ended>) {
    out.extend_from_slice(b",\"finish_reason\":");
    put(out, &ended.map(|ended| ended.reason.as_str()));
    out.extend_from_slice(b",\"native_finish_reason\":");
    put(out, &ended.map(|ended| &ended.native));
    out.extend_from_slice(b",\"logprobs\":null");
}

/// One delta; absent fields are left out (P71).
fn put_delta(out: &mut Vec<u8>, delta: &Delta, is_first: bool) {
    let mut object = ObjectWriter::new(out);
    if is_first {
        object.field("role", "assistant");
    }
    match delta {
        Delta::Text(text) => object.field("content", text),
        Delta::Refusal(text) => object.field("refusal", text),
        Delta::Reasoning(detail) => {
            object.optional("reasoning", detail.readable());
            put_array(object.key("reasoning_details"), [detail], put_reasoning);
        }
        Delta::ToolCallStart { index, id, name } => {
            put_array(object.key("tool_calls"), [()], |out, ()| {
                let mut call = ObjectWriter::new(out);
                call.field("index", index);
                put_call(&mut call, id, name, "");
                call.end();
            });
        }
        Delta::ToolCallArguments { index, json } => {
            put_array(object.key("tool_calls"), [()], |out, ()| {
                let mut call = ObjectWriter::new(out);
                call.field("index", index);
                let mut function = ObjectWriter::new(call.key("function"));
                function.field("arguments", json);
                function.end();
                call.end();
            });
        }
        Delta::Image { url } => put_array(object.key("images"), [url], put_image),
        Delta::Audio(audio) => object.field("audio", audio),
        Delta::Annotation(annotation) => {
            put_array(object.key("annotations"), [annotation], |out, value| {
                put(out, value)
            });
        }
        Delta::Logprobs(_) => {}
    }
    object.end();
}

pub(super) fn put_call(call: &mut ObjectWriter<'_>, id: &str, name: &str, arguments: &str) {
    call.field("id", id);
    call.field("type", "function");
    let mut function = ObjectWriter::new(call.key("function"));
    function.field("name", name);
    function.field("arguments", arguments);
    function.end();
}

pub(super) fn put_image(out: &mut Vec<u8>, url: &String) {
    let mut image = ObjectWriter::new(out);
    image.field("type", "image_url");
    let mut inner = ObjectWriter::new(image.key("image_url"));
    inner.field("url", url);
    inner.end();
    image.end();
}

/// Appends a block of `reasoning_details`.
pub fn put_reasoning(out: &mut Vec<u8>, detail: &ReasoningDetail) {
    let mut object = ObjectWriter::new(out);
    match &detail.kind {
        ReasoningKind::Text { text, signature } => {
            object.field("type", "reasoning.text");
            object.optional("text", text.as_deref());
            object.optional("signature", signature.as_deref());
        }
        ReasoningKind::Summary { summary } => {
            object.field("type", "reasoning.summary");
            object.field("summary", summary);
        }
        ReasoningKind::Encrypted { data } => {
            object.field("type", "reasoning.encrypted");
            object.field("data", data);
        }
        ReasoningKind::ServerToolCall {
            tool_name,
            arguments,
            result,
        } => {
            object.field("type", "reasoning.server_tool_call");
            object.field("tool_name", tool_name);
            object.field("arguments", arguments);
            object.field("result", result);
        }
    }
    object.field("format", &detail.format);
    object.optional("id", detail.id.as_deref());
    object.optional("index", detail.index.as_ref());
    object.end();
}
