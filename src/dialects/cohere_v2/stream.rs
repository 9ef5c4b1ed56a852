//! The native event stream, in any chunking. `message-end` is the end mark; nothing after it is read.

use serde_json::Value;

use super::{
    answer::Answer,
    error::of_generation,
    wire::{Delta, Message, StreamEvent},
};
use crate::{
    chat::Event,
    dialects::sse::{Frame, SseParser},
    error::{Error, ErrorType, Result},
};

/// A stream being read.
#[derive(Debug, Default)]
pub struct Stream {
    sse: SseParser,
    reader: Reader,
}

impl Stream {
    /// Reads the next bytes.
    ///
    /// # Errors
    /// When an event is not what the dialect allows, or too large.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let Self { sse, reader } = self;
        sse.feed(bytes, |frame| reader.frame(&frame, events))
    }

    /// The connection ended.
    ///
    /// # Errors
    /// As [`Stream::feed`].
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let Self { sse, reader } = self;
        sse.finish(|frame| reader.frame(&frame, events))
    }
}

#[derive(Debug, Default)]
struct Reader {
    answer: Answer,
    ended: bool,
}

impl Reader {
    fn frame(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<()> {
        if self.ended || frame.data.is_empty() || frame.data == b"[DONE]" {
            return Ok(());
        }
        let event: StreamEvent = crate::json::from_slice(frame.data).map_err(|error| {
            Error::upstream(
                ErrorType::ProviderUnavailable,
                format!("The provider sent an event that cannot be read: {error}"),
            )
        })?;
        let kind = event.kind.as_deref().unwrap_or(frame.event);
        let delta = event.delta.unwrap_or_default();
        match kind {
            "message-start" => events.push(Event::Start {
                id: event.id,
                model: None,
                service_tier: None,
                system_fingerprint: None,
            }),
            "message-end" => self.end(&delta, events),
            _ => match event.message {
                // An event that is nothing but an error.
                Some(Value::String(message)) => {
                    self.ended = true;
                    let told = Value::String(message);
                    events.push(Event::Error(of_generation("ERROR", Some(&told))));
                }
                _ => self.piece(kind, event.index, delta.message.unwrap_or_default(), events),
            },
        }
        Ok(())
    }

    fn piece(&mut self, kind: &str, index: Option<u64>, message: Message, events: &mut Vec<Event>) {
        let answer = &mut self.answer;
        match kind {
            "content-start" | "content-delta" => {
                let content = message.content.map(|items| items.into_vec());
                for content in content.unwrap_or_default() {
                    answer.content(index, content, events);
                }
            }
            "tool-plan-delta" => answer.plan(message.tool_plan, events),
            "tool-call-start" | "tool-call-delta" => {
                let calls = message.tool_calls.map(|items| items.into_vec());
                for call in calls.unwrap_or_default() {
                    if kind == "tool-call-start" {
                        answer.call(index, call, events);
                    } else {
                        answer.call_piece(index, call, events);
                    }
                }
            }
            "citation-start" => {
                let citations = message.citations.map(|items| items.into_vec());
                for citation in citations.unwrap_or_default() {
                    answer.citation(citation, events);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, delta: &Delta, events: &mut Vec<Event>) {
        self.ended = true;
        let reason = delta.finish_reason.as_deref();
        self.answer
            .end(reason, delta.error.as_ref(), delta.usage.as_ref(), events);
    }
}
