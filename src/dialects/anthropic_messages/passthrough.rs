//! Client and upstream both speak messages: the upstream's events go on to the client.
//!
//! The head of the message and its end are the gateway's to write (id, model, provider, usage with its cost), around what the
//! provider said there; every other event passes as it came, block types that nobody here knows among them. Hosts that
//! interleave blocks, or forget to end one, are written from their events instead, from the first such event on (P58). The relay
//! sees the same events as of any other stream.

use std::borrow::Cow;

use serde::Deserialize;

use super::{
    client::{self, MessageWriter, event, put_head, stopped},
    stream::Reader,
};
use crate::{
    chat::Event,
    dialects::{
        report::{Meta, UsageReport, WriterOptions},
        splice::{Fields, ObjectWriter},
        sse::{Frame, SseParser},
    },
    error::{Error, Result},
};

/// Fields of a message that the gateway writes itself.
const OWN: [&str; 7] = [
    "id",
    "type",
    "role",
    "model",
    "provider",
    "usage",
    "openrouter_metadata",
];

/// Passes one stream on.
#[derive(Debug)]
pub struct Passthrough {
    sse: SseParser,
    inner: Inner,
}

#[derive(Debug)]
struct Inner {
    meta: Meta,
    reader: Reader,
    writer: MessageWriter,
    /// The upstream's events are written anew from here on.
    is_rewriting: bool,
    is_started: bool,
    /// How many blocks have begun, and which of them is open.
    blocks: u32,
    open: Option<u32>,
    end: End,
}

/// What the upstream said of the answer as a whole, to be told at its end.
#[derive(Debug, Default)]
struct End {
    /// The delta of the message, as JSON text.
    delta: Option<String>,
    /// Its usage, later counts over earlier ones.
    usage: Vec<(String, String)>,
    /// Fields beside both.
    others: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    index: Option<u32>,
}

impl Passthrough {
    /// For one answer.
    pub fn new(meta: &Meta, options: WriterOptions) -> Self {
        Self {
            sse: SseParser::default(),
            inner: Inner {
                meta: meta.clone(),
                reader: Reader::default(),
                writer: MessageWriter::new(meta, options),
                is_rewriting: false,
                is_started: false,
                blocks: 0,
                open: None,
                end: End::default(),
            },
        }
    }

    /// Reads the upstream's next bytes: appends whole events for the client to `out` and what they mean to `events`.
    ///
    /// # Errors
    /// When an event is not what the dialect allows. What was appended before stays valid.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        let inner = &mut self.inner;
        self.sse.feed(bytes, |frame| inner.read(frame, out, events))
    }

    /// The upstream closed the stream.
    ///
    /// # Errors
    /// As [`feed`](Self::feed), for an event without its final blank line.
    pub fn end(&mut self, out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        let inner = &mut self.inner;
        self.sse.finish(|frame| inner.read(frame, out, events))
    }

    /// Appends events of the gateway's own.
    pub fn write(&mut self, events: &[Event], out: &mut Vec<u8>) {
        if !events.is_empty() {
            // What the upstream said of the end does not hold any more.
            self.inner.end.delta = None;
            self.inner.rewrite(out);
            for event in events {
                self.inner.writer.write(event, out);
            }
        }
    }

    /// Appends the end of the answer, with its usage.
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        let inner = &mut self.inner;
        if inner.is_rewriting || !inner.is_started {
            return inner.writer.finish(report, out);
        }
        inner.close(out);
        let End {
            delta,
            usage,
            others,
        } = &inner.end;
        event(out, "message_delta", |object| {
            match delta {
                Some(delta) => object.raw("delta", delta),
                None => {
                    let mut delta = ObjectWriter::new(object.key("delta"));
                    inner.writer.put_stop(&mut delta);
                    delta.end();
                }
            }
            client::put_usage(object.key("usage"), report, usage);
            for (key, value) in others {
                object.raw(key, value);
            }
        });
        stopped(report, out);
    }

    /// Appends the failure of an answer that had begun, which ends its stream.
    pub fn error(&mut self, error: &Error, report: Option<&UsageReport>, out: &mut Vec<u8>) {
        self.inner.writer.error(error, report, out);
    }
}

impl Inner {
    fn read(&mut self, frame: Frame<'_>, out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        let first = events.len();
        self.reader.frame(frame, events)?;
        let new = events.get(first..).unwrap_or_default();
        let Ok(head) = crate::json::from_slice::<Head<'_>>(frame.data) else {
            return Ok(());
        };
        let kind = match head.kind.as_ref() {
            "" => frame.event,
            kind => kind,
        };
        let keeps_order = match kind {
            "content_block_start" => self.open.is_none() && head.index == Some(self.blocks),
            "content_block_delta" | "content_block_stop" => {
                self.open.is_some() && head.index == self.open
            }
            _ => true,
        };
        if !keeps_order {
            self.rewrite(out);
        }
        if self.is_rewriting {
            for event in new {
                self.writer.write(event, out);
            }
        } else {
            for event in new {
                self.writer.follow(event);
            }
            self.pass(kind, frame.data, new, out);
        }
        if kind == "message_delta" {
            self.end.note(frame.data);
        }
        Ok(())
    }

    /// Passes one event on.
    fn pass(&mut self, kind: &str, data: &[u8], events: &[Event], out: &mut Vec<u8>) {
        match kind {
            "message_start" => return self.start(data, events, out),
            // The gateway's to write, or the relay's to judge.
            "message_delta" | "message_stop" | "error" | "" => return,
            _ if !self.is_started => return,
            "content_block_start" => {
                self.open = Some(self.blocks);
                self.blocks = self.blocks.saturating_add(1);
            }
            "content_block_stop" => {
                self.open = None;
                self.writer.note_close();
            }
            _ => {}
        }
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        for line in data.split(|byte| *byte == b'\n') {
            out.extend_from_slice(b"\ndata: ");
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\n\n");
    }

    fn start(&mut self, data: &[u8], events: &[Event], out: &mut Vec<u8>) {
        let fields = Fields::parse(data).unwrap_or_default();
        let message = fields.get("message").unwrap_or("{}");
        let message = Fields::parse(message.as_bytes()).unwrap_or_default();
        let is_empty = message.get("content").is_none_or(|content| content == "[]");
        if self.is_started || !is_empty {
            // A resumed answer holds whole blocks in its head.
            self.is_rewriting = true;
            for event in events {
                self.writer.write(event, out);
            }
            return;
        }
        self.is_started = true;
        self.writer.note_start();
        self.end.note_usage(message.get("usage"));
        event(out, "message_start", |object| {
            let mut head = ObjectWriter::new(object.key("message"));
            put_head(&mut head, &self.meta);
            put_others(&mut head, &message);
            head.raw(
                "usage",
                message
                    .get("usage")
                    .unwrap_or("{\"input_tokens\":0,\"output_tokens\":0}"),
            );
            head.end();
        });
    }

    /// From here on the events are written anew.
    fn rewrite(&mut self, out: &mut Vec<u8>) {
        if self.is_rewriting {
            return;
        }
        self.is_rewriting = true;
        if !self.writer.take_over(self.blocks) {
            self.close(out);
        }
    }

    /// Ends the block that is open.
    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(index) = self.open.take() {
            event(out, "content_block_stop", |object| {
                object.field("index", &index);
            });
        }
    }
}

impl End {
    /// Notes what `message_delta` said; hosts that repeat it correct their counts.
    fn note(&mut self, data: &[u8]) {
        let fields = Fields::parse(data).unwrap_or_default();
        for (key, value) in &fields.0 {
            match key.as_ref() {
                "type" => {}
                "usage" => self.note_usage(Some(value.get())),
                "delta" => {
                    let delta = Fields::parse(value.get().as_bytes()).unwrap_or_default();
                    if self.delta.is_none() || delta.get("stop_reason").is_some() {
                        self.delta = Some(value.get().to_owned());
                    }
                }
                key => set(&mut self.others, key, value.get()),
            }
        }
    }

    fn note_usage(&mut self, usage: Option<&str>) {
        let fields = Fields::parse(usage.unwrap_or("{}").as_bytes()).unwrap_or_default();
        for (key, value) in &fields.0 {
            if value.get() != "null" {
                set(&mut self.usage, key, value.get());
            }
        }
    }
}

fn set(fields: &mut Vec<(String, String)>, key: &str, value: &str) {
    match fields.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => value.clone_into(old),
        None => fields.push((key.to_owned(), value.to_owned())),
    }
}

/// The fields that are not the gateway's.
fn put_others(object: &mut ObjectWriter<'_>, fields: &Fields<'_>) {
    for (key, value) in &fields.0 {
        if !OWN.contains(&key.as_ref()) {
            object.raw(key, value.get());
        }
    }
}

/// A whole answer, read once: what it means, and the bytes that go on to the client.
#[derive(Debug)]
pub struct WholeMessage<'a> {
    /// What it means; ends with [`Event::Done`].
    pub events: Vec<Event>,
    fields: Fields<'a>,
}

impl<'a> WholeMessage<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// When the body is no message, or is an error under status 200.
    pub fn read(body: &'a [u8]) -> Result<Self> {
        Ok(Self {
            events: super::response(body)?,
            fields: Fields::parse(body).unwrap_or_default(),
        })
    }

    /// The answer for the client.
    pub fn write(&self, meta: &Meta, report: &UsageReport, options: WriterOptions) -> Vec<u8> {
        // The provider was asked to leave words out, not signatures; whoever forgets is written anew.
        if options.exclude_reasoning || self.fields.get("content").is_none() {
            return client::message(meta, &self.events, report, options);
        }
        let mut end = End::default();
        end.note_usage(self.fields.get("usage"));
        let mut body = Vec::with_capacity(1024);
        let mut object = ObjectWriter::new(&mut body);
        put_head(&mut object, meta);
        put_others(&mut object, &self.fields);
        client::put_usage(object.key("usage"), report, &end.usage);
        object.optional("openrouter_metadata", report.routing.as_ref());
        object.end();
        body
    }
}
