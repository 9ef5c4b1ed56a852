//! The native event stream, in any chunking.
//!
//! `messageStop` ends the answer and `metadata` with the counts follows it: the end mark is the last of the two, and the end of
//! the stream where the counts are left out.

use super::{answer::Answer, error, response::START, usage::usage, wire::Payload};
use crate::{
    chat::Event,
    dialects::eventstream::{Message, MessageParser},
    error::{Error, ErrorType, Result},
};

/// A stream being read.
#[derive(Debug, Default)]
pub struct Stream {
    messages: MessageParser,
    reader: Reader,
}

impl Stream {
    /// Reads the next bytes.
    ///
    /// # Errors
    /// When the framing is damaged, or a payload is not what the dialect allows.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let Self { messages, reader } = self;
        messages.feed(bytes, |message| reader.message(message, events))
    }

    /// The connection ended.
    ///
    /// # Errors
    /// None: a message that is cut off is not read.
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        if self.reader.stopped && !self.reader.ended {
            self.reader.end(events);
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Reader {
    answer: Answer,
    stopped: bool,
    ended: bool,
}

impl Reader {
    fn message(&mut self, message: &Message<'_>, events: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        // P111: an error is never content nor a finish reason. P120: exceptions are messages of another type.
        match message.header(":message-type") {
            "exception" => {
                self.ended = true;
                let kind = message.header(":exception-type");
                events.push(Event::Error(error::exception(kind, message.payload)));
                return Ok(());
            }
            "error" => {
                self.ended = true;
                let (code, text) = (
                    message.header(":error-code"),
                    message.header(":error-message"),
                );
                events.push(Event::Error(error::framed(code, text)));
                return Ok(());
            }
            _ => {}
        }
        let event = message.header(":event-type");
        let payload: Payload =
            crate::json::from_slice(message.payload).map_err(|_| not_an_event(message.payload))?;
        self.event(event, payload, events);
        Ok(())
    }

    fn event(&mut self, event: &str, payload: Payload, events: &mut Vec<Event>) {
        let at = payload.content_block_index;
        match event {
            "messageStart" => events.push(START),
            "contentBlockStart" => {
                if let Some(start) = payload.start {
                    self.answer.start(at, start, events);
                }
            }
            "contentBlockDelta" => {
                if let Some(delta) = payload.delta {
                    self.answer.delta(at, delta, events);
                }
            }
            "contentBlockStop" => self.answer.close_block(at, events),
            "messageStop" => {
                self.stopped = true;
                self.answer
                    .stop(payload.stop_reason.unwrap_or_default(), events);
            }
            "metadata" => {
                events.extend(payload.usage.as_ref().and_then(usage).map(Event::Usage));
                if self.stopped {
                    self.end(events);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        self.ended = true;
        events.push(Event::Done);
    }
}

fn not_an_event(payload: &[u8]) -> Error {
    Error::upstream(
        ErrorType::ProviderUnavailable,
        "The provider's stream holds an event that cannot be read",
    )
    .with_raw(payload)
}
