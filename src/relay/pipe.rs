//! Upstream bytes in, client bytes out: spliced where both speak the same dialect, translated otherwise.

use super::run::Job;
use crate::{
    chat::Event,
    dialects::{StreamReader, Target, openai_chat::client},
    error::{Error, Result},
};

/// The way of one stream.
pub struct Pipe {
    reader: StreamReader,
    writer: client::ChunkWriter,
}

/// What the job's client wants left out.
pub fn options(job: &Job) -> client::WriterOptions {
    client::WriterOptions {
        exclude_reasoning: job.request.reasoning.as_ref().is_some_and(|r| r.exclude),
    }
}

impl Pipe {
    /// The way from this target to the job's client.
    pub fn new(job: &Job, target: &Target<'_>, meta: &client::Meta) -> Self {
        Self {
            reader: StreamReader::new(target.provider.dialect, &target.provider.quirks),
            writer: client::ChunkWriter::new(meta, options(job)),
        }
    }

    /// Reads upstream bytes; appends client bytes to `out` and what was seen to `events`.
    ///
    /// # Errors
    /// When the upstream's bytes are not its dialect. What came before is in `out` and `events`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        let read = self.reader.feed(bytes, events);
        self.write(events, out);
        read
    }

    /// The upstream's body ended: reads what is left.
    ///
    /// # Errors
    /// As [`Pipe::feed`].
    pub fn end(&mut self, out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        let read = self.reader.finish(events);
        self.write(events, out);
        read
    }

    /// Writes events as chunks.
    pub fn write(&mut self, events: &[Event], out: &mut Vec<u8>) {
        for event in events {
            self.writer.write(event, out);
        }
    }

    /// Ends a complete stream with its usage and end mark.
    pub fn finish(&mut self, report: &client::UsageReport, out: &mut Vec<u8>) {
        self.writer.finish(report, out);
    }

    /// Ends a broken stream with an error and the end mark.
    pub fn error(&mut self, error: &Error, report: &client::UsageReport, out: &mut Vec<u8>) {
        self.writer.error(error, Some(report), out);
    }
}
