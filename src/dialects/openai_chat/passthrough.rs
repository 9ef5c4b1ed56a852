//! Client and upstream both speak chat completions: the upstream's bytes go on to the client.
//!
//! Of each chunk, and of a whole answer, only the top level is taken apart: `id`, `model`, `provider` and `usage` are the
//! gateway's, everything else stays what it was. A choice is opened only for what a client would miss: its role once, at the
//! beginning (P72), the canonical finish reason with the host's own beside it, reasoning under the one name that clients
//! know. Where a host's choice would mislead a client (calls without index, content in parts, think tags …) that frame is
//! written from its events instead. The relay sees the same events as of any other stream.

use super::{
    client::{ChunkWriter, completion, put_usage},
    decoder::{Decoder, Note, unreadable},
    stream::DONE,
};
use crate::{
    catalog::Quirk,
    chat::{Completion, Event},
    dialects::{
        report::{Meta, UsageReport, WriterOptions},
        splice::{Fields, ObjectWriter, put_array},
        sse::{Frame, SseParser},
    },
    error::{Error, Result},
};

use serde_json::value::RawValue;

/// Fields of a frame that the gateway writes itself.
const OWN: [&str; 7] = [
    "id", "object", "created", "model", "provider", "usage", "choices",
];

/// Passes one stream on.
#[derive(Debug)]
pub struct Passthrough {
    sse: SseParser,
    inner: Inner,
}

#[derive(Debug)]
struct Inner {
    decoder: Decoder,
    writer: ChunkWriter,
    options: WriterOptions,
    /// The upstream's time of creation was taken over.
    has_created: bool,
    is_done: bool,
}

impl Passthrough {
    /// For one answer of a host with these quirks.
    pub fn new(meta: &Meta, options: WriterOptions, quirks: &[Quirk]) -> Self {
        Self {
            sse: SseParser::default(),
            inner: Inner {
                decoder: Decoder::new(quirks, false),
                writer: ChunkWriter::new(meta, options),
                options,
                has_created: false,
                is_done: false,
            },
        }
    }

    /// Reads the upstream's next bytes: appends whole chunks for the client to `out` and what they mean to `events`.
    ///
    /// # Errors
    /// When an event is not JSON, or not a chunk. What was appended before stays valid.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        let inner = &mut self.inner;
        self.sse
            .feed(bytes, |frame| inner.read(&frame, out, events))
    }

    /// The upstream closed the stream.
    ///
    /// # Errors
    /// As [`feed`](Self::feed), for an event without its final blank line.
    pub fn end(&mut self, out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        let inner = &mut self.inner;
        self.sse.finish(|frame| inner.read(&frame, out, events))?;
        inner.close(false, out, events);
        Ok(())
    }

    /// Appends events of the gateway's own.
    pub fn write(&mut self, events: &[Event], out: &mut Vec<u8>) {
        for event in events {
            self.inner.writer.write(event, out);
        }
    }

    /// Appends the chunk with the usage and the end of the client's stream.
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        self.inner.writer.finish(report, out);
    }

    /// Appends the failure of an answer that had begun, and the end of the client's stream.
    pub fn error(&mut self, error: &Error, report: Option<&UsageReport>, out: &mut Vec<u8>) {
        self.inner.writer.error(error, report, out);
    }
}

impl Inner {
    fn read(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        if self.is_done || frame.data.is_empty() {
            return Ok(());
        }
        if frame.data == DONE {
            self.close(true, out, events);
            return Ok(());
        }
        let fields = Fields::parse(frame.data).map_err(unreadable)?;
        let first = events.len();
        self.decoder.frame(&fields, events)?;
        let new = events.get(first..).unwrap_or_default();
        self.pass(&fields, new, out)
    }

    /// Ends the reading; text that was held back still goes out.
    fn close(&mut self, saw_end_mark: bool, out: &mut Vec<u8>, events: &mut Vec<Event>) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        let first = events.len();
        self.decoder.flush(events);
        for event in events.get(first..).unwrap_or_default() {
            self.writer.write(event, out);
        }
        if saw_end_mark || self.decoder.has_ended() {
            events.push(Event::Done);
        }
    }

    fn pass(&mut self, fields: &Fields<'_>, events: &[Event], out: &mut Vec<u8>) -> Result<()> {
        if let Some(created) = fields.get("created").filter(|_| !self.has_created) {
            self.has_created = true;
            self.writer.set_created(created);
        }
        for event in events {
            if let Event::Start { .. } = event {
                self.writer.write(event, out);
            }
        }
        let Some(choices) = fields.get("choices") else {
            return Ok(());
        };
        let says_something = events
            .iter()
            .any(|event| matches!(event, Event::Delta { .. } | Event::Finish { .. }));
        // The chunk that only counts is the gateway's to write, and so is the end of a failed answer.
        let is_failed = events.iter().any(|event| matches!(event, Event::Error(_)));
        if !says_something && (is_failed || fields.get("usage").is_some()) {
            return Ok(());
        }
        let exclude = self.options.exclude_reasoning;
        let notes = self.decoder.notes();
        let must_rewrite = |note: &Note| note.is_irregular || (exclude && note.has_reasoning);
        if is_failed || notes.iter().any(must_rewrite) {
            for event in events {
                self.writer.write(event, out);
            }
            return Ok(());
        }
        let mut edits = Vec::with_capacity(notes.len());
        for note in notes {
            edits.push(Edit::of(note, self.writer.start(note.index)));
            if let Some((reason, native)) = &note.ended {
                self.writer.note_end(note.index, *reason, native);
            }
        }
        let start = out.len();
        out.extend_from_slice(self.writer.head());
        out.extend_from_slice(b",\"choices\":");
        if let Err(error) = put_choices(out, choices, &edits, "delta") {
            out.truncate(start);
            return Err(error);
        }
        put_others(out, fields);
        out.extend_from_slice(b"}\n\n");
        Ok(())
    }
}

/// The fields that nobody here knows.
fn put_others(out: &mut Vec<u8>, fields: &Fields<'_>) {
    for (key, value) in &fields.0 {
        if !OWN.contains(&key.as_ref()) {
            out.push(b',');
            crate::dialects::splice::put(out, key);
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
    }
}

/// What has to be changed in one choice.
#[derive(Debug)]
struct Edit<'a> {
    /// The role has to be written (`true`) or left out (`false`).
    role: Option<bool>,
    ended: Option<(&'static str, &'a str)>,
    reasoning: bool,
}

impl<'a> Edit<'a> {
    fn of(note: &'a Note, is_first: bool) -> Self {
        let ended = note.ended.as_ref();
        Self {
            role: (note.has_role != is_first).then_some(is_first),
            ended: ended.map(|(reason, native)| (reason.as_str(), native.as_str())),
            reasoning: note.has_plain_reasoning,
        }
    }

    fn is_needed(&self) -> bool {
        self.role.is_some() || self.ended.is_some() || self.reasoning
    }
}

/// Appends the choices, with their edits; `body` is what their content is called.
fn put_choices(out: &mut Vec<u8>, choices: &str, edits: &[Edit<'_>], body: &str) -> Result<()> {
    if !edits.iter().any(Edit::is_needed) {
        out.extend_from_slice(choices.as_bytes());
        return Ok(());
    }
    let choices: Vec<&RawValue> = crate::json::from_str(choices).map_err(unreadable)?;
    let mut failure = None;
    put_array(out, choices.iter().zip(edits), |out, (choice, edit)| {
        if !edit.is_needed() {
            out.extend_from_slice(choice.get().as_bytes());
        } else if let Err(error) = put_choice(out, choice.get(), edit, body) {
            failure = Some(error);
        }
    });
    failure.map_or(Ok(()), Err)
}

fn put_choice(out: &mut Vec<u8>, choice: &str, edit: &Edit<'_>, body: &str) -> Result<()> {
    let fields = Fields::parse(choice.as_bytes()).map_err(unreadable)?;
    let mut object = ObjectWriter::new(out);
    for (key, value) in &fields.0 {
        match (key.as_ref(), edit.ended) {
            ("finish_reason", Some((reason, _))) => object.field("finish_reason", reason),
            ("native_finish_reason", Some(_)) => {}
            (key, _) if key == body && value.get() != "null" => {
                put_body(object.key(body), value.get(), edit)?;
            }
            (key, _) => object.raw(key, value.get()),
        }
    }
    if let Some((_, native)) = edit.ended {
        object.field("native_finish_reason", native);
    }
    object.end();
    Ok(())
}

fn put_body(out: &mut Vec<u8>, body: &str, edit: &Edit<'_>) -> Result<()> {
    let fields = Fields::parse(body.as_bytes()).map_err(unreadable)?;
    let mut object = ObjectWriter::new(out);
    if edit.role == Some(true) {
        object.field("role", "assistant");
    }
    for (key, value) in &fields.0 {
        match key.as_ref() {
            "role" if edit.role == Some(false) => {}
            "reasoning" | "reasoning_content" | "reasoning_details" if edit.reasoning => {}
            key => object.raw(key, value.get()),
        }
    }
    if edit.reasoning {
        let is_words = |text: &&str| text.starts_with('"') && *text != "\"\"";
        let words = fields.get("reasoning_content").filter(is_words);
        let words = words.or_else(|| fields.get("reasoning").filter(is_words));
        object.raw("reasoning", words.unwrap_or("null"));
        put_array(object.key("reasoning_details"), words, |out, words| {
            let mut block = ObjectWriter::new(out);
            block.field("type", "reasoning.text");
            block.raw("text", words);
            block.field("format", "unknown");
            block.field("index", &0);
            block.end();
        });
    }
    object.end();
    Ok(())
}

/// A whole answer, read once: what it means, and the bytes that go on to the client.
#[derive(Debug)]
pub struct WholeAnswer<'a> {
    /// What it means; ends with [`Event::Done`].
    pub events: Vec<Event>,
    fields: Fields<'a>,
    decoder: Decoder,
}

impl<'a> WholeAnswer<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// When the body is no chat completion, or is an error under status 200.
    pub fn read(body: &'a [u8], quirks: &[Quirk]) -> Result<Self> {
        let (events, fields, decoder) = super::response::read(body, quirks)?;
        Ok(Self {
            events,
            fields,
            decoder,
        })
    }

    /// The answer for the client.
    pub fn write(&self, meta: &Meta, report: &UsageReport, options: WriterOptions) -> Vec<u8> {
        self.splice(meta, report, options).unwrap_or_else(|| {
            let folded = Completion::from_events(self.events.iter().cloned());
            completion(meta, &folded, report, options)
        })
    }

    /// The upstream's own bytes, where they will do.
    fn splice(&self, meta: &Meta, report: &UsageReport, options: WriterOptions) -> Option<Vec<u8>> {
        let notes = self.decoder.notes();
        let must_rewrite =
            |note: &Note| note.is_irregular || (options.exclude_reasoning && note.has_reasoning);
        let has_failed = self
            .events
            .iter()
            .any(|event| matches!(event, Event::Error(_)));
        if has_failed || notes.iter().any(must_rewrite) {
            return None;
        }
        let choices = self.fields.get("choices")?;
        let edits: Vec<Edit<'_>> = notes.iter().map(|note| Edit::of(note, true)).collect();
        let mut body = Vec::with_capacity(choices.len() + 1024);
        let mut object = ObjectWriter::new(&mut body);
        object.field("id", &meta.id);
        object.field("object", "chat.completion");
        match self.fields.get("created") {
            Some(created) => object.raw("created", created),
            None => object.field("created", &meta.created),
        }
        object.field("model", &meta.model);
        object.field("provider", &meta.provider);
        put_choices(object.key("choices"), choices, &edits, "message").ok()?;
        for (key, value) in &self.fields.0 {
            if !OWN.contains(&key.as_ref()) {
                object.raw(key, value.get());
            }
        }
        put_usage(object.key("usage"), report);
        object.optional("openrouter_metadata", report.routing.as_ref());
        object.end();
        Some(body)
    }
}
