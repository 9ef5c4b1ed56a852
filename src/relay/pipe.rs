//! Upstream bytes in, client bytes out: spliced where both speak the same dialect, translated otherwise.

use super::job::Job;
use crate::{
    catalog::Dialect,
    chat::{Completion, Event},
    dialects::{
        self, StreamReader, Target,
        openai_chat::{Passthrough, WholeAnswer, client},
    },
    error::{Error, Result},
};

/// What the job's client wants left out.
pub fn options(job: &Job) -> client::WriterOptions {
    client::WriterOptions {
        exclude_reasoning: job.request.reasoning.as_ref().is_some_and(|r| r.exclude),
    }
}

/// The way of one stream.
pub enum Pipe {
    /// Client and upstream both speak chat completions.
    Same(Box<Passthrough>),
    /// They do not.
    Translated {
        /// Reads the upstream's dialect.
        reader: Box<StreamReader>,
        /// Writes the client's.
        writer: client::ChunkWriter,
    },
}

impl Pipe {
    /// The way from this target to the job's client.
    pub fn new(job: &Job, target: &Target<'_>, meta: &client::Meta) -> Self {
        let (dialect, quirks) = (target.provider.dialect, &target.provider.quirks);
        match dialect {
            Dialect::OpenaiChat => {
                Self::Same(Box::new(Passthrough::new(meta, options(job), quirks)))
            }
            Dialect::AnthropicMessages | Dialect::Gemini => Self::Translated {
                reader: Box::new(StreamReader::new(dialect, quirks)),
                writer: client::ChunkWriter::new(meta, options(job)),
            },
        }
    }

    /// Reads upstream bytes; appends client bytes to `out` and what was seen to `events`.
    ///
    /// # Errors
    /// When the upstream's bytes are not its dialect. What came before is in `out` and `events`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        match self {
            Self::Same(pass) => pass.feed(bytes, out, events),
            Self::Translated { reader, writer } => {
                let read = reader.feed(bytes, events);
                write(writer, events, out);
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
            Self::Same(pass) => pass.end(out, events),
            Self::Translated { reader, writer } => {
                let read = reader.finish(events);
                write(writer, events, out);
                read
            }
        }
    }

    /// Ends a complete stream with its usage and end mark.
    pub fn finish(&mut self, report: &client::UsageReport, out: &mut Vec<u8>) {
        match self {
            Self::Same(pass) => pass.finish(report, out),
            Self::Translated { writer, .. } => writer.finish(report, out),
        }
    }

    /// Ends a broken stream with an error and the end mark.
    pub fn error(&mut self, error: &Error, report: &client::UsageReport, out: &mut Vec<u8>) {
        match self {
            Self::Same(pass) => pass.error(error, Some(report), out),
            Self::Translated { writer, .. } => writer.error(error, Some(report), out),
        }
    }
}

/// An answer in one piece, read once.
pub enum Whole<'a> {
    /// Client and upstream both speak chat completions.
    Same(Box<WholeAnswer<'a>>),
    /// They do not.
    Translated(Vec<Event>),
}

impl<'a> Whole<'a> {
    /// Reads the body of this target's answer.
    ///
    /// # Errors
    /// When the body is no answer of the target's dialect.
    pub fn read(target: &Target<'_>, body: &'a [u8]) -> Result<Self> {
        let (dialect, quirks) = (target.provider.dialect, &target.provider.quirks);
        Ok(match dialect {
            Dialect::OpenaiChat => Self::Same(Box::new(WholeAnswer::read(body, quirks)?)),
            Dialect::AnthropicMessages | Dialect::Gemini => {
                Self::Translated(dialects::response(dialect, body, quirks)?)
            }
        })
    }

    /// What the answer means.
    pub fn events(&self) -> &[Event] {
        match self {
            Self::Same(answer) => &answer.events,
            Self::Translated(events) => events,
        }
    }

    /// The answer as the job's client wants it: one body, or a stream with its end.
    pub fn write(&self, job: &Job, meta: &client::Meta, report: &client::UsageReport) -> Vec<u8> {
        let options = options(job);
        if job.request.stream {
            let mut bytes = Vec::new();
            let mut writer = client::ChunkWriter::new(meta, options);
            write(&mut writer, self.events(), &mut bytes);
            writer.finish(report, &mut bytes);
            return bytes;
        }
        match self {
            Self::Same(answer) => answer.write(meta, report, options),
            Self::Translated(events) => {
                let completion = Completion::from_events(events.iter().cloned());
                client::completion(meta, &completion, report, options)
            }
        }
    }
}

fn write(writer: &mut client::ChunkWriter, events: &[Event], out: &mut Vec<u8>) {
    for event in events {
        writer.write(event, out);
    }
}
