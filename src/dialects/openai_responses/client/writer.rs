//! Canonical events → the event stream of Responses, and the whole answer as one object.
//!
//! Every call writes whole SSE events, numbered from 0. A stream always ends with a terminal event (P113), whatever happened:
//! `response.completed`, `response.incomplete` or `response.failed`, with the whole answer in it.

use super::{
    echo::Echo,
    error::put_failure,
    output::{Field, Nobody, Output, Sink},
    usage::put_usage,
};
use crate::{
    chat::{Delta, Event, FinishReason},
    dialects::{
        ran::Ran,
        report::{Meta, UsageReport, WriterOptions},
        splice::{ObjectWriter, put},
    },
    error::{Error, ErrorType},
};

/// The end of every stream.
pub(in crate::dialects::openai_responses) const DONE: &[u8] = b"data: [DONE]\n\n";

/// How an answer ended.
#[derive(Debug, Clone, Copy)]
enum Ending<'a> {
    /// Not yet.
    Open,
    InOrder,
    Cut(&'static str),
    Failed(&'a Error),
}

/// What is known of an answer beside its items.
#[derive(Debug, Clone)]
struct Answer {
    meta: Meta,
    echo: Echo,
    output: Output,
    exclude_reasoning: bool,
    service_tier: Option<String>,
    reason: Option<FinishReason>,
}

/// Writes one streamed answer.
#[derive(Debug, Clone)]
pub struct ResponseWriter {
    answer: Answer,
    is_started: bool,
    /// The number of the next event.
    next: u64,
}

/// Writes events into a buffer.
struct Stream<'o> {
    next: &'o mut u64,
    out: &'o mut Vec<u8>,
}

impl Sink for Stream<'_> {
    fn event(&mut self, kind: &str, fields: &[(&str, Field<'_>)]) {
        event(self.next, self.out, kind, |object| {
            for (key, field) in fields {
                match field {
                    Field::Text(text) => object.field(key, text),
                    Field::Number(number) => object.field(key, number),
                    Field::Json(value) => object.field(key, value),
                }
            }
        });
    }
}

/// Appends one event under the next number.
pub(in crate::dialects::openai_responses) fn event(
    next: &mut u64,
    out: &mut Vec<u8>,
    kind: &str,
    fields: impl FnOnce(&mut ObjectWriter<'_>),
) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut object = ObjectWriter::new(out);
    object.field("type", kind);
    object.field("sequence_number", next);
    *next += 1;
    fields(&mut object);
    object.end();
    out.extend_from_slice(b"\n\n");
}

impl ResponseWriter {
    /// A writer for the answer to this body.
    pub fn new(meta: &Meta, raw: &[u8], options: WriterOptions) -> Self {
        Self {
            answer: Answer::new(meta, raw, options),
            is_started: false,
            next: 0,
        }
    }

    /// Appends what the client sees of one event.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if let Event::Delta { .. } = event {
            self.start(out);
        }
        let Self { answer, next, .. } = self;
        answer.take(event, &mut Stream { next, out });
    }

    /// Appends the end of the answer, with its usage.
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        self.start(out);
        let Self { answer, next, .. } = self;
        answer.output.end(&mut Stream { next, out });
        let ending = answer.ending();
        self.end(ending, report, out);
    }

    /// Appends the failure of an answer that had begun, which ends its stream. An answer that met a limit on the way is
    /// incomplete, not failed.
    pub fn error(&mut self, error: &Error, report: &UsageReport, out: &mut Vec<u8>) {
        self.start(out);
        let ending = match error.error_type {
            ErrorType::ContextLengthExceeded | ErrorType::MaxTokensExceeded => {
                Ending::Cut("max_output_tokens")
            }
            _ => Ending::Failed(error),
        };
        self.end(ending, report, out);
    }

    /// Another provider goes on: what it says of itself is not known yet, the answer so far stays.
    pub fn resume(&mut self, meta: &Meta) {
        self.answer.meta.provider.clone_from(&meta.provider);
        self.answer.reason = None;
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        for kind in ["response.created", "response.in_progress"] {
            event(&mut self.next, out, kind, |object| {
                self.answer.put(object.key("response"), Ending::Open, None);
            });
        }
    }

    fn end(&mut self, ending: Ending<'_>, report: &UsageReport, out: &mut Vec<u8>) {
        let kind = match ending {
            Ending::Open | Ending::InOrder => "response.completed",
            Ending::Cut(_) => "response.incomplete",
            Ending::Failed(_) => "response.failed",
        };
        event(&mut self.next, out, kind, |object| {
            self.answer
                .put(object.key("response"), ending, Some(report));
        });
        out.extend_from_slice(DONE);
    }
}

/// The whole answer to this body as one object.
pub fn whole(
    meta: &Meta,
    raw: &[u8],
    events: &[Event],
    report: &UsageReport,
    options: WriterOptions,
) -> Vec<u8> {
    let mut answer = Answer::new(meta, raw, options);
    let mut failure = None;
    for event in events {
        answer.take(event, &mut Nobody);
        if let Event::Error(error) = event {
            failure = Some(error);
        }
    }
    answer.output.end(&mut Nobody);
    let ending = failure.map_or_else(|| answer.ending(), Ending::Failed);
    let mut body = Vec::with_capacity(1024);
    answer.put(&mut body, ending, Some(report));
    body
}

impl Answer {
    fn new(meta: &Meta, raw: &[u8], options: WriterOptions) -> Self {
        Self {
            meta: meta.clone(),
            echo: Echo::of(raw),
            output: Output::new(&meta.id),
            exclude_reasoning: options.exclude_reasoning,
            service_tier: None,
            reason: None,
        }
    }

    fn take(&mut self, event: &Event, sink: &mut impl Sink) {
        match event {
            Event::Start { service_tier, .. } => {
                self.service_tier = service_tier.clone().or(self.service_tier.take());
            }
            Event::Delta {
                delta: Delta::Reasoning(detail),
                ..
            } if self.exclude_reasoning && Ran::of(detail).is_none() => {}
            // Responses have one answer.
            Event::Delta { choice: 0, delta } => self.output.push(delta, &self.echo, sink),
            Event::Finish {
                choice: 0, reason, ..
            } => self.reason = Some(*reason),
            _ => {}
        }
    }

    fn ending(&self) -> Ending<'static> {
        match self.reason {
            // P95
            Some(FinishReason::Length) => Ending::Cut("max_output_tokens"),
            Some(FinishReason::ContentFilter) => Ending::Cut("content_filter"),
            _ => Ending::InOrder,
        }
    }

    fn put(&self, out: &mut Vec<u8>, ending: Ending<'_>, report: Option<&UsageReport>) {
        let mut object = ObjectWriter::new(out);
        object.field("id", &self.meta.id);
        object.field("object", "response");
        object.field("created_at", &self.meta.created);
        let status = match ending {
            Ending::Open => "in_progress",
            Ending::InOrder => "completed",
            Ending::Cut(_) => "incomplete",
            Ending::Failed(_) => "failed",
        };
        object.field("status", status);
        object.field("model", &self.meta.model);
        object.field("provider", &self.meta.provider);
        match ending {
            Ending::Failed(error) => {
                put_failure(object.key("error"), error);
                object.field("error_type", error.error_type.as_str());
            }
            _ => object.raw("error", "null"),
        }
        match ending {
            Ending::Cut(reason) => {
                let mut details = ObjectWriter::new(object.key("incomplete_details"));
                details.field("reason", reason);
                details.end();
            }
            _ => object.raw("incomplete_details", "null"),
        }
        match ending {
            Ending::Open => object.raw("output", "[]"),
            Ending::InOrder => object.field("output", &self.output.items(false)),
            _ => object.field("output", &self.output.items(true)),
        }
        self.echo.put(&mut object);
        object.field(
            "service_tier",
            self.service_tier.as_deref().unwrap_or("default"),
        );
        match report {
            Some(report) => {
                put_usage(object.key("usage"), report);
                if let Some(routing) = &report.routing {
                    put(object.key("openrouter_metadata"), routing);
                }
            }
            None => object.raw("usage", "null"),
        }
        object.end();
    }
}
