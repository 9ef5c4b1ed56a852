//! Upstream bytes in, client bytes out: passed on where both speak the same dialect, translated otherwise.

use super::run::Job;
use crate::{
    catalog::{Dialect, Quirk},
    chat::{Completion, Event},
    dialects::{
        self, StreamReader, Target,
        openai_chat::{Passthrough, WholeAnswer, client},
    },
    error::{Error, Result},
};

/// What the job's client wants left out.
fn options(job: &Job) -> client::WriterOptions {
    client::WriterOptions {
        exclude_reasoning: job.request.reasoning.as_ref().is_some_and(|r| r.exclude),
    }
}

/// Whether answers pass through: the only client surface speaks chat completions.
fn passes(dialect: Dialect) -> bool {
    dialect == Dialect::OpenaiChat
}

/// The way of one stream.
pub enum Pipe {
    /// Both ends speak the same dialect.
    Same(Box<Passthrough>),
    /// The upstream's events are written anew.
    Translated(Box<Translation>),
}

/// A reader of the upstream's dialect and a writer of the client's.
pub struct Translation {
    reader: StreamReader,
    writer: client::ChunkWriter,
}

impl Pipe {
    /// The way from this target to the job's client.
    pub fn new(job: &Job, target: &Target<'_>, meta: &client::Meta) -> Self {
        let provider = target.provider;
        if passes(provider.dialect) {
            let same = Passthrough::new(meta, options(job), &provider.quirks);
            Self::Same(Box::new(same))
        } else {
            Self::Translated(Box::new(Translation {
                reader: StreamReader::new(provider.dialect, &provider.quirks),
                writer: client::ChunkWriter::new(meta, options(job)),
            }))
        }
    }

    /// Reads upstream bytes; appends client bytes to `out` and what was seen to `events`.
    ///
    /// # Errors
    /// When the upstream's bytes are not its dialect. What came before is in `out` and `events`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        match self {
            Self::Same(same) => same.feed(bytes, out, events),
            Self::Translated(translation) => {
                let read = translation.reader.feed(bytes, events);
                translation.write(events, out);
                read
            }
        }
    }

    /// The upstream's body ended: reads what is left.
    ///
    /// # Errors
    /// As [`Pipe::feed`].
    pub fn end(&mut self, out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        match self {
            Self::Same(same) => same.end(out, events),
            Self::Translated(translation) => {
                let read = translation.reader.finish(events);
                translation.write(events, out);
                read
            }
        }
    }

    /// Ends a complete stream with its usage and end mark.
    pub fn finish(&mut self, report: &client::UsageReport, out: &mut Vec<u8>) {
        match self {
            Self::Same(same) => same.finish(report, out),
            Self::Translated(translation) => translation.writer.finish(report, out),
        }
    }

    /// Ends a broken stream with an error and the end mark.
    pub fn error(&mut self, error: &Error, report: &client::UsageReport, out: &mut Vec<u8>) {
        match self {
            Self::Same(same) => same.error(error, Some(report), out),
            Self::Translated(translation) => translation.writer.error(error, Some(report), out),
        }
    }
}

impl Translation {
    fn write(&mut self, events: &[Event], out: &mut Vec<u8>) {
        for event in events {
            self.writer.write(event, out);
        }
    }
}

/// An answer in one piece: read once, written for the client when its cost is known.
pub enum Whole<'a> {
    /// Both ends speak the same dialect.
    Same(Box<WholeAnswer<'a>>),
    /// The events are written anew.
    Translated(Vec<Event>),
}

impl<'a> Whole<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// When the body is no answer of the dialect.
    pub fn read(body: &'a [u8], dialect: Dialect, quirks: &[Quirk]) -> Result<Self> {
        if passes(dialect) {
            WholeAnswer::read(body, quirks).map(|answer| Self::Same(Box::new(answer)))
        } else {
            dialects::response(dialect, body, quirks).map(Self::Translated)
        }
    }

    /// What the answer means.
    pub fn events(&self) -> &[Event] {
        match self {
            Self::Same(answer) => &answer.events,
            Self::Translated(events) => events,
        }
    }

    /// The body for a client that asked for one piece.
    pub fn write(self, job: &Job, meta: &client::Meta, report: &client::UsageReport) -> Vec<u8> {
        match self {
            Self::Same(answer) => answer.write(meta, report, options(job)),
            Self::Translated(events) => {
                let completion = Completion::from_events(events);
                client::completion(meta, &completion, report, options(job))
            }
        }
    }

    /// The stream for a client that asked for one.
    pub fn write_chunks(
        &self,
        job: &Job,
        meta: &client::Meta,
        report: &client::UsageReport,
    ) -> Vec<u8> {
        let mut writer = client::ChunkWriter::new(meta, options(job));
        let mut out = Vec::new();
        for event in self.events() {
            writer.write(event, &mut out);
        }
        writer.finish(report, &mut out);
        out
    }
}
