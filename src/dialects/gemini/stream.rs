//! A streamed answer: server-sent events, each with one `GenerateContentResponse`.
//!
//! The stream has no end mark of its own: it is complete when each candidate that began has a finish reason. Framing is
//! `sse`'s; the `[{…}]` form without `alt=sse` is never asked for.

use super::{answer::Answer, wire::Chunk};
use crate::{
    chat::Event,
    dialects::sse::{Frame, SseParser},
    error::{Error, ErrorType, Result},
};

/// The state of a stream between two pieces of bytes.
#[derive(Debug, Default)]
pub struct Stream {
    sse: SseParser,
    answer: Answer,
}

impl Stream {
    /// Reads the next bytes and adds the events that are complete.
    ///
    /// # Errors
    /// When an event is not the JSON of an answer, or too large.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let answer = &mut self.answer;
        self.sse.feed(bytes, |frame| read(answer, frame, events))
    }

    /// The stream ended. A stream that was cut short gets no [`Event::Done`].
    ///
    /// # Errors
    /// When the last event is not the JSON of an answer.
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let answer = &mut self.answer;
        self.sse.finish(|frame| read(answer, frame, events))?;
        answer.end(events);
        Ok(())
    }
}

fn read(answer: &mut Answer, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<()> {
    let chunk: Chunk = crate::json::from_slice(frame.data).map_err(|error| invalid(&error))?;
    answer.read(chunk, events);
    Ok(())
}

/// The error for bytes that are not the JSON of an answer.
pub(super) fn invalid(error: &serde_json::Error) -> Error {
    let message = format!("The provider sent an answer that is not valid: {error}");
    Error::upstream(ErrorType::ProviderUnavailable, message)
}
