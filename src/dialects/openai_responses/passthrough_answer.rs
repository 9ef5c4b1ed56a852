//! Client and upstream both speak Responses: the upstream's events go on to the client.
//!
//! The gateway writes what it answers for within the `response` objects at the two ends of a stream (id, model, provider, usage with its
//! cost, what the client said of its user, and what its request said where a host does not repeat it); every other event passes as it came, items and events that nobody here knows among them. The
//! last event waits for the settlement. An answer that breaks off, or that the gateway ends, gets a last event of the gateway's own, with
//! all that was told. A host that tells nothing of its answer before the first item is written anew from its events.

use serde_json::{Value, json, value::RawValue};

use super::{
    client::{DONE, Echo, ResponseWriter, event, put_failure, put_usage, whole},
    stream::{Reader, Wire, string},
};
use crate::{
    catalog::Quirk,
    chat::{ChatRequest, Event, FinishReason, ReasoningFormat},
    dialects::{
        report::{Meta, UsageReport, WriterOptions},
        splice::{Fields, ObjectWriter, Raw, put, put_array},
        sse::{Frame, SseParser},
    },
    error::{Error, ErrorType, Result},
};

/// What the client said of itself, which hosts are told otherwise or not at all.
const OF_CLIENT: [&str; 4] = ["metadata", "user", "safety_identifier", "prompt_cache_key"];
/// Fields of `usage` that the gateway writes itself; what a host charges the operator is nobody's business.
const OF_USAGE: [&str; 12] = [
    "input_tokens",
    "input_tokens_details",
    "output_tokens",
    "output_tokens_details",
    "total_tokens",
    "cost",
    "is_byok",
    "cost_details",
    "server_tool_use",
    "server_tool_use_details",
    "parts",
    "cost_in_usd_ticks",
];

/// Whether answers to this body may pass: tools of plain text may have been put to the host as functions, and what the client wants
/// left out has to be taken out.
pub fn passes(request: &ChatRequest, raw: &[u8]) -> bool {
    let has_custom = || {
        let fields = Fields::parse(raw).unwrap_or_default();
        fields
            .get("tools")
            .is_some_and(|tools| tools.contains("\"custom\""))
    };
    !WriterOptions::of(request).exclude_reasoning && !has_custom()
}

/// What the gateway puts into an answer.
#[derive(Debug)]
struct Own {
    meta: Meta,
    echo: Echo,
    /// The label of the host's reasoning, where it is not OpenAI's: what it sealed is for nobody else.
    label: Option<String>,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy)]
enum Ending<'a> {
    /// As the host said.
    Told,
    Cut(&'static str),
    Failed(&'a Error),
}

impl Own {
    fn new(meta: &Meta, raw: &[u8], quirks: &[Quirk]) -> Self {
        let format = Quirk::reasoning_items(quirks);
        Self {
            meta: meta.clone(),
            echo: Echo::of(raw),
            label: match format {
                ReasoningFormat::Other(name) => Some(name),
                _ => None,
            },
        }
    }

    /// Appends a `response` object with what is the gateway's; `told` are the items of an answer that the host did not list.
    fn put(
        &self,
        out: &mut Vec<u8>,
        answer: &Fields<'_>,
        ending: Ending<'_>,
        told: Option<&[String]>,
        report: Option<&UsageReport>,
    ) {
        let mut object = ObjectWriter::new(out);
        let is_cut = !matches!(ending, Ending::Told);
        for (key, value) in &answer.0 {
            match key.as_ref() {
                "id" => object.field("id", &self.meta.id),
                "model" => {
                    object.field("model", &self.meta.model);
                    object.field("provider", &self.meta.provider);
                }
                "provider" | "openrouter_metadata" | "usage" => {}
                "status" | "error" | "error_type" | "incomplete_details" if is_cut => {}
                "output" => match told {
                    Some(items) if is_cut || value.get() == "[]" => {
                        put_array(object.key("output"), items, |out, item| {
                            out.extend_from_slice(item.as_bytes());
                        });
                    }
                    _ => self.put_output(object.key("output"), *value),
                },
                key => {
                    let own = self.echo.said(key).filter(|_| OF_CLIENT.contains(&key));
                    object.raw(key, own.unwrap_or(value.get()));
                }
            }
        }
        self.echo.put_missing(&mut object, answer);
        put_ending(&mut object, ending);
        match report {
            None => object.raw("usage", "null"),
            Some(report) => {
                put_all_usage(object.key("usage"), report, answer.get("usage"));
                object.optional("openrouter_metadata", report.routing.as_ref());
            }
        }
        object.end();
    }

    fn put_output(&self, out: &mut Vec<u8>, output: Raw<'_>) {
        let items = self.label.as_ref().map(|_| output.get());
        let items = items.and_then(|json| crate::json::from_str::<Vec<&RawValue>>(json).ok());
        match items {
            None => out.extend_from_slice(output.get().as_bytes()),
            Some(items) => put_array(out, items, |out, item| self.put_item(out, item.get())),
        }
    }

    /// Appends an item, labelled where it is somebody's sealed reasoning.
    fn put_item(&self, out: &mut Vec<u8>, item: &str) {
        let label = self.label.as_ref();
        let Some((label, fields)) = label.zip(Fields::parse(item.as_bytes()).ok()) else {
            return out.extend_from_slice(item.as_bytes());
        };
        if fields.get("type") != Some("\"reasoning\"") || fields.get("format").is_some() {
            return out.extend_from_slice(item.as_bytes());
        }
        let mut object = ObjectWriter::new(out);
        for (key, value) in fields.0.iter().filter(|(key, _)| key != "format") {
            object.raw(key, value.get());
        }
        object.field("format", label);
        object.end();
    }
}

fn put_ending(object: &mut ObjectWriter<'_>, ending: Ending<'_>) {
    match ending {
        Ending::Told => {}
        Ending::Cut(reason) => {
            object.field("status", "incomplete");
            object.raw("error", "null");
            object.field("incomplete_details", &json!({"reason": reason}));
        }
        Ending::Failed(error) => {
            object.field("status", "failed");
            put_failure(object.key("error"), error);
            object.field("error_type", error.error_type.as_str());
            object.raw("incomplete_details", "null");
        }
    }
}

/// The gateway's counts, and what the host said beside them.
fn put_all_usage(out: &mut Vec<u8>, report: &UsageReport, said: Option<&str>) {
    put_usage(out, report);
    let said = said.and_then(|json| Fields::parse(json.as_bytes()).ok());
    for (key, value) in said.iter().flat_map(|said| &said.0) {
        if !OF_USAGE.contains(&key.as_ref()) && out.pop() == Some(b'}') {
            out.push(b',');
            put(out, key);
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
            out.push(b'}');
        }
    }
}

/// An item that has begun: what was told of it, for an answer that breaks off.
#[derive(Debug)]
struct Open {
    at: u64,
    id: Option<String>,
    /// As it began, as JSON text.
    item: String,
    texts: Vec<Text>,
}

#[derive(Debug)]
struct Text {
    kind: &'static str,
    index: u32,
    words: String,
}

impl Open {
    fn add(&mut self, kind: &'static str, index: u32, more: &str) {
        let texts = &mut self.texts;
        // The one that grows is nearly always the last one.
        let known = texts
            .iter_mut()
            .rev()
            .find(|text| text.kind == kind && text.index == index);
        match known {
            Some(text) => text.words.push_str(more),
            None => texts.push(Text {
                kind,
                index,
                words: more.to_owned(),
            }),
        }
    }

    /// The item with all that was told of it.
    fn value(&self) -> Value {
        let mut item: Value = crate::json::from_str(&self.item).unwrap_or_default();
        let Some(fields) = item.as_object_mut() else {
            return item;
        };
        fields.insert("status".to_owned(), "incomplete".into());
        let (mut content, mut summary) = (Vec::new(), Vec::new());
        for Text { kind, words, .. } in &self.texts {
            match *kind {
                "arguments" | "input" => {
                    drop(fields.insert((*kind).to_owned(), words.as_str().into()))
                }
                "summary_text" => summary.push(part(kind, words)),
                kind => content.push(part(kind, words)),
            }
        }
        for (key, parts) in [("content", content), ("summary", summary)] {
            if !parts.is_empty() {
                fields.insert(key.to_owned(), parts.into());
            }
        }
        item
    }
}

fn part(kind: &str, words: &str) -> Value {
    match kind {
        "output_text" => json!({"type": kind, "text": words, "annotations": [], "logprobs": []}),
        "refusal" => json!({"type": kind, "refusal": words}),
        _ => json!({"type": kind, "text": words}),
    }
}

/// Passes one stream on.
#[derive(Debug)]
pub struct Passthrough {
    sse: SseParser,
    inner: Inner,
}

#[derive(Debug)]
struct Inner {
    own: Own,
    reader: Reader,
    /// Writes the answer of a host that says nothing of it before its first item.
    writer: ResponseWriter,
    is_rewriting: bool,
    /// The host's `response` as it began, as JSON text.
    head: Option<String>,
    /// The number of the next event.
    next: u64,
    open: Vec<Open>,
    /// Whole items by their place, as JSON text.
    done: Vec<(u64, String)>,
    /// The data of the host's last event.
    last: Option<(String, Vec<u8>)>,
    /// The gateway ends the answer.
    cut: Option<FinishReason>,
}

impl Passthrough {
    /// For one answer to this body, of a host with these quirks.
    pub fn new(meta: &Meta, raw: &[u8], options: WriterOptions, quirks: &[Quirk]) -> Self {
        Self {
            sse: SseParser::default(),
            inner: Inner {
                own: Own::new(meta, raw, quirks),
                reader: Reader::new(quirks),
                writer: ResponseWriter::new(meta, raw, options),
                is_rewriting: false,
                head: None,
                next: 0,
                open: Vec::new(),
                done: Vec::new(),
                last: None,
                cut: None,
            },
        }
    }

    /// Reads the upstream's next bytes: appends whole events for the client to `out` and what they mean to `events`.
    ///
    /// # Errors
    /// When an event is not what the dialect allows. What was appended before stays valid.
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
        self.sse.finish(|frame| inner.read(&frame, out, events))
    }

    /// Appends events of the gateway's own, which end the answer.
    pub fn write(&mut self, events: &[Event], out: &mut Vec<u8>) {
        let inner = &mut self.inner;
        for event in events {
            match event {
                _ if inner.is_told_anew() => inner.writer.write(event, out),
                Event::Finish { reason, .. } => inner.cut = Some(*reason),
                _ => {}
            }
        }
    }

    /// Appends the end of the answer, with its usage.
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        let inner = &mut self.inner;
        if inner.is_told_anew() {
            return inner.writer.finish(report, out);
        }
        match inner.last.take() {
            Some((kind, data)) if inner.cut.is_none() => {
                let told = inner.told();
                let fields = Fields::parse(&data).unwrap_or_default();
                inner.put_ends(&kind, &fields, Some(&told), Some(report), out);
                out.extend_from_slice(DONE);
            }
            _ => {
                inner.close(out);
                let reason = match inner.cut {
                    Some(FinishReason::ContentFilter) => "content_filter",
                    _ => "max_output_tokens",
                };
                inner.put_last("response.incomplete", Ending::Cut(reason), report, out);
            }
        }
    }

    /// Appends the failure of an answer that had begun, which ends its stream. An answer that met a limit on the way is incomplete.
    pub fn error(&mut self, error: &Error, report: &UsageReport, out: &mut Vec<u8>) {
        let inner = &mut self.inner;
        if inner.is_told_anew() {
            return inner.writer.error(error, report, out);
        }
        let (kind, ending) = match error.error_type {
            ErrorType::ContextLengthExceeded | ErrorType::MaxTokensExceeded => {
                ("response.incomplete", Ending::Cut("max_output_tokens"))
            }
            _ => ("response.failed", Ending::Failed(error)),
        };
        inner.put_last(kind, ending, report, out);
    }
}

impl Inner {
    /// Nothing of the host's own events has gone out.
    fn is_told_anew(&self) -> bool {
        self.is_rewriting || self.head.is_none()
    }

    fn read(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        let first = events.len();
        let Some(wire) = self.reader.read(frame, events)? else {
            return Ok(());
        };
        let new = events.get(first..).unwrap_or_default();
        if self.head.is_none() && !self.is_rewriting && !self.begins(&wire) {
            self.is_rewriting = !new.is_empty();
        }
        if self.is_rewriting {
            for event in new {
                self.writer.write(event, out);
            }
        } else if self.head.is_some() {
            self.pass(&wire, frame.data, out);
        }
        Ok(())
    }

    /// Whether this event tells of the answer as a whole; what it tells is kept.
    fn begins(&mut self, wire: &Wire<'_>) -> bool {
        let kind = wire.kind.as_deref().unwrap_or_default();
        let is_head = matches!(
            kind,
            "response.created" | "response.in_progress" | "response.queued"
        );
        if let Some(response) = wire.response.filter(|_| is_head) {
            self.head = Some(response.get().to_owned());
        }
        self.head.is_some()
    }

    fn pass(&mut self, wire: &Wire<'_>, data: &[u8], out: &mut Vec<u8>) {
        let kind = wire.kind.as_deref().unwrap_or_default();
        match kind {
            "response.completed" | "response.incomplete" => {
                self.last = Some((kind.to_owned(), data.to_owned()));
                return;
            }
            // The relay's to judge.
            "response.failed" | "response.cancelled" | "error" | "response.error" | "" => return,
            "response.output_item.added" => self.item_begins(wire),
            "response.output_item.done" => self.item_ends(wire),
            _ => self.note(kind, wire),
        }
        let is_item = wire.item.is_some() && self.own.label.is_some();
        if wire.response.is_some() || is_item || wire.sequence_number.is_none() {
            let fields = Fields::parse(data).unwrap_or_default();
            return self.put_ends(kind, &fields, None, None, out);
        }
        self.next = wire
            .sequence_number
            .map_or(0, |number| number.saturating_add(1));
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        for line in data.split(|byte| *byte == b'\n') {
            out.extend_from_slice(b"\ndata: ");
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\n\n");
    }

    /// Appends an event in which something is the gateway's.
    fn put_ends(
        &mut self,
        kind: &str,
        fields: &Fields<'_>,
        told: Option<&[String]>,
        report: Option<&UsageReport>,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let mut object = ObjectWriter::new(out);
        let number = fields
            .get("sequence_number")
            .and_then(|json| json.parse().ok());
        let number = number.unwrap_or(self.next);
        self.next = number.saturating_add(1);
        if fields.get("type").is_none() {
            object.field("type", kind);
        }
        if fields.get("sequence_number").is_none() {
            object.field("sequence_number", &number);
        }
        for (key, value) in &fields.0 {
            match key.as_ref() {
                "type" | "sequence_number" if value.get() == "null" => {}
                "response" => {
                    let answer = Fields::parse(value.get().as_bytes()).unwrap_or_default();
                    self.own
                        .put(object.key("response"), &answer, Ending::Told, told, report);
                }
                "item" => self.own.put_item(object.key("item"), value.get()),
                key => object.raw(key, value.get()),
            }
        }
        object.end();
        out.extend_from_slice(b"\n\n");
    }

    fn item_begins(&mut self, wire: &Wire<'_>) {
        let Some(item) = wire.item else { return };
        let fields = Fields::parse(item.get().as_bytes()).unwrap_or_default();
        let id = fields
            .get("id")
            .and_then(|json| crate::json::from_str(json).ok());
        self.open.push(Open {
            at: wire.output_index.unwrap_or_else(|| self.count()),
            id,
            item: item.get().to_owned(),
            texts: Vec::new(),
        });
    }

    fn count(&self) -> u64 {
        u64::try_from(self.open.len() + self.done.len()).unwrap_or(u64::MAX)
    }

    fn item_ends(&mut self, wire: &Wire<'_>) {
        let Some(item) = wire.item else { return };
        let known = self
            .find(wire)
            .and_then(|at| self.open.get(at).map(|open| (at, open.at)));
        let place = match known {
            Some((at, place)) => {
                self.open.remove(at);
                place
            }
            None => wire.output_index.unwrap_or_else(|| self.count()),
        };
        let mut json = Vec::with_capacity(item.get().len());
        self.own.put_item(&mut json, item.get());
        let json = String::from_utf8(json).unwrap_or_default();
        self.done.push((place, json));
    }

    /// The open item that an event is about; without a place, the last one.
    fn find(&self, wire: &Wire<'_>) -> Option<usize> {
        let id = wire.item_id.as_deref();
        let found = self.open.iter().rposition(|open| match wire.output_index {
            Some(at) => open.at == at,
            None => id.is_none() || open.id.as_deref() == id,
        });
        found.or_else(|| {
            self.open
                .len()
                .checked_sub(1)
                .filter(|_| wire.output_index.is_none())
        })
    }

    /// Takes note of a piece.
    fn note(&mut self, kind: &str, wire: &Wire<'_>) {
        let (content, summary) = (
            wire.content_index.unwrap_or_default(),
            wire.summary_index.unwrap_or_default(),
        );
        let (kind, index) = match kind {
            "response.output_text.delta" => ("output_text", content),
            "response.refusal.delta" => ("refusal", content),
            "response.reasoning_text.delta" => ("reasoning_text", content),
            "response.reasoning_summary_text.delta" => ("summary_text", summary),
            "response.function_call_arguments.delta" => ("arguments", 0),
            "response.custom_tool_call_input.delta" => ("input", 0),
            _ => return,
        };
        let at = self.find(wire);
        if let Some(open) = at.and_then(|at| self.open.get_mut(at)) {
            open.add(kind, index, &string(wire.delta));
        }
    }

    /// All items in order, those that have not ended as far as they were told.
    fn told(&self) -> Vec<String> {
        let mut items: Vec<(u64, String)> = self.done.clone();
        items.extend(
            self.open
                .iter()
                .map(|open| (open.at, open.value().to_string())),
        );
        items.sort_by_key(|(at, _)| *at);
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// Ends whatever is open, as an answer that was cut short ends.
    fn close(&mut self, out: &mut Vec<u8>) {
        for open in std::mem::take(&mut self.open) {
            let id = open.id.as_deref().unwrap_or_default();
            for Text { kind, index, words } in &open.texts {
                let (name, field) = match *kind {
                    "output_text" => ("response.output_text.done", "text"),
                    "refusal" => ("response.refusal.done", "refusal"),
                    "reasoning_text" => ("response.reasoning_text.done", "text"),
                    "summary_text" => ("response.reasoning_summary_text.done", "text"),
                    "arguments" => ("response.function_call_arguments.done", "arguments"),
                    _ => ("response.custom_tool_call_input.done", "input"),
                };
                let place = match *kind {
                    "summary_text" => Some("summary_index"),
                    "arguments" | "input" => None,
                    _ => Some("content_index"),
                };
                event(&mut self.next, out, name, |object| {
                    object.field("item_id", id);
                    object.field("output_index", &open.at);
                    if let Some(place) = place {
                        object.field(place, index);
                    }
                    object.field(field, words);
                });
                let (Some(place), true) = (place, *kind != "reasoning_text") else {
                    continue;
                };
                let name = match *kind {
                    "summary_text" => "response.reasoning_summary_part.done",
                    _ => "response.content_part.done",
                };
                event(&mut self.next, out, name, |object| {
                    object.field("item_id", id);
                    object.field("output_index", &open.at);
                    object.field(place, index);
                    object.field("part", &part(kind, words));
                });
            }
            let item = open.value();
            event(&mut self.next, out, "response.output_item.done", |object| {
                object.field("output_index", &open.at);
                object.field("item", &item);
            });
            self.done.push((open.at, item.to_string()));
        }
    }

    /// Appends a last event of the gateway's own.
    fn put_last(
        &mut self,
        kind: &str,
        ending: Ending<'_>,
        report: &UsageReport,
        out: &mut Vec<u8>,
    ) {
        let told = self.told();
        let head = self.head.as_deref().unwrap_or("{}");
        let answer = Fields::parse(head.as_bytes()).unwrap_or_default();
        let own = &self.own;
        event(&mut self.next, out, kind, |object| {
            own.put(
                object.key("response"),
                &answer,
                ending,
                Some(&told),
                Some(report),
            );
        });
        out.extend_from_slice(DONE);
    }
}

/// A whole answer, read once: what it means, and the bytes that go on to the client.
#[derive(Debug)]
pub struct WholeResponse<'a> {
    /// What it means; ends with [`Event::Done`].
    pub events: Vec<Event>,
    fields: Fields<'a>,
    quirks: Vec<Quirk>,
}

impl<'a> WholeResponse<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// When the body is no response, or is an error under status 200.
    pub fn read(body: &'a [u8], quirks: &[Quirk]) -> Result<Self> {
        Ok(Self {
            events: super::response(body, quirks)?,
            fields: Fields::parse(body).unwrap_or_default(),
            quirks: quirks.to_vec(),
        })
    }

    /// The answer for the client that sent this body.
    pub fn write(
        &self,
        meta: &Meta,
        raw: &[u8],
        report: &UsageReport,
        options: WriterOptions,
    ) -> Vec<u8> {
        if self.fields.get("output").is_none() {
            return whole(meta, raw, &self.events, report, options);
        }
        let mut body = Vec::with_capacity(2048);
        let own = Own::new(meta, raw, &self.quirks);
        own.put(&mut body, &self.fields, Ending::Told, None, Some(report));
        body
    }
}
