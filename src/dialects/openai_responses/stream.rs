//! A streamed answer: server-sent events → canonical events.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    answer::{Answer, unreadable},
    decoder::{At, Decoder, Piece},
};
use crate::{
    catalog::Quirk,
    chat::Event,
    dialects::{
        openai_chat::in_band,
        sse::{Frame, SseParser},
    },
    error::Result,
};

/// Some hosts add the end mark of chat completions.
const DONE: &[u8] = b"[DONE]";

/// Reads one stream.
#[derive(Debug)]
pub struct Stream {
    sse: SseParser,
    reader: Reader,
}

/// Reads frames.
#[derive(Debug)]
pub(super) struct Reader {
    decoder: Decoder,
    is_done: bool,
}

/// One event. Most have a few of these fields.
#[derive(Debug, Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) sequence_number: Option<u64>,
    pub(super) output_index: Option<u64>,
    #[serde(borrow)]
    pub(super) item_id: Option<Cow<'a, str>>,
    pub(super) content_index: Option<u32>,
    pub(super) summary_index: Option<u32>,
    #[serde(borrow)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
}

impl Stream {
    /// A reader for a host with these quirks.
    pub fn new(quirks: &[Quirk]) -> Self {
        Self {
            sse: SseParser::default(),
            reader: Reader::new(quirks),
        }
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// When an event is not JSON.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let reader = &mut self.reader;
        self.sse
            .feed(bytes, |frame| reader.read(&frame, events).map(drop))
    }

    /// The host closed the stream: what ends without its own last event is cut, and has no [`Event::Done`].
    ///
    /// # Errors
    /// As [`feed`](Self::feed), for an event without its final blank line.
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let reader = &mut self.reader;
        self.sse
            .finish(|frame| reader.read(&frame, events).map(drop))
    }
}

impl Reader {
    /// For a host with these quirks.
    pub(super) fn new(quirks: &[Quirk]) -> Self {
        Self {
            decoder: Decoder::new(quirks),
            is_done: false,
        }
    }

    /// Reads one frame; nothing where it is no event of the answer.
    ///
    /// # Errors
    /// When it is not JSON.
    pub(super) fn read<'f>(
        &mut self,
        frame: &Frame<'f>,
        events: &mut Vec<Event>,
    ) -> Result<Option<Wire<'f>>> {
        if self.is_done || frame.data.is_empty() || frame.data == DONE {
            return Ok(None);
        }
        let text = std::str::from_utf8(frame.data).map_err(unreadable)?;
        let mut wire: Wire<'f> = crate::json::from_str(text).map_err(unreadable)?;
        let kind = wire.kind.get_or_insert(Cow::Borrowed(frame.event)).clone();
        match kind.as_ref() {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(answer) = answer(wire.response)? {
                    self.decoder.begin(&answer, events);
                }
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                self.is_done = true;
                if let Some(answer) = answer(wire.response)? {
                    self.decoder.end(&answer, events)?;
                }
            }
            "error" | "response.error" => {
                self.is_done = true;
                let value: Value = crate::json::from_str(text).map_err(unreadable)?;
                events.push(Event::Error(in_band(&value)));
            }
            kind => self.piece(kind, &wire, events)?,
        }
        Ok(Some(wire))
    }

    /// An event that adds to one item.
    fn piece(&mut self, kind: &str, wire: &Wire<'_>, events: &mut Vec<Event>) -> Result<()> {
        let decoder = &mut self.decoder;
        let at = At {
            output: wire.output_index,
            id: wire.item_id.as_deref(),
        };
        let content = wire.content_index.unwrap_or_default();
        let summary = wire.summary_index.unwrap_or_default();
        let delta = || string(wire.delta);
        match kind {
            "response.output_item.added" => {
                if let Some(item) = tree(wire.item)? {
                    decoder.item_begins(at, &item, events);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = tree(wire.item)? {
                    decoder.item_ends(at, &item, events);
                }
            }
            "response.output_text.delta" => {
                decoder.add(at, Piece::Text(content), &delta(), events);
                if let Some(logprobs) = tree(wire.logprobs)? {
                    decoder.logprobs(at, content, logprobs, events);
                }
            }
            "response.output_text.done" => {
                decoder.complete(at, Piece::Text(content), &string(wire.text), events);
            }
            "response.refusal.delta" => decoder.add(at, Piece::Refusal(content), &delta(), events),
            "response.refusal.done" => {
                decoder.complete(at, Piece::Refusal(content), &string(wire.refusal), events);
            }
            "response.content_part.done" => {
                if let Some(part) = tree(wire.part)? {
                    decoder.part_ends(at, content, &part, events);
                }
            }
            "response.output_text.annotation.added" => {
                if let Some(annotation) = tree(wire.annotation)? {
                    decoder.annotation(at, content, annotation, events);
                }
            }
            "response.function_call_arguments.delta" => {
                decoder.add(at, Piece::Arguments, &delta(), events);
            }
            "response.function_call_arguments.done" => {
                decoder.complete(at, Piece::Arguments, &string(wire.arguments), events);
            }
            "response.custom_tool_call_input.delta" => {
                decoder.add(at, Piece::Input, &delta(), events);
            }
            "response.custom_tool_call_input.done" => {
                decoder.complete(at, Piece::Input, &string(wire.input), events);
            }
            "response.reasoning_summary_text.delta" => {
                decoder.add(at, Piece::Summary(summary), &delta(), events);
            }
            "response.reasoning_summary_text.done" => {
                decoder.complete(at, Piece::Summary(summary), &string(wire.text), events);
            }
            "response.reasoning_text.delta" => {
                decoder.add(at, Piece::Thought(content), &delta(), events);
            }
            "response.reasoning_text.done" => {
                decoder.complete(at, Piece::Thought(content), &string(wire.text), events);
            }
            // Progress of built-in tools is in their items; what is not known here adds nothing that the last event would not repeat.
            _ => {}
        }
        Ok(())
    }
}

fn answer(json: Option<&RawValue>) -> Result<Option<Answer<'_>>> {
    json.map(|json| crate::json::from_str(json.get()).map_err(unreadable))
        .transpose()
}

fn tree(json: Option<&RawValue>) -> Result<Option<Value>> {
    json.filter(|json| !matches!(json.get(), "null" | "[]"))
        .map(|json| crate::json::from_str(json.get()).map_err(unreadable))
        .transpose()
}

/// A field that is a string; anything else is an empty one.
pub(super) fn string(json: Option<&RawValue>) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    json.and_then(|json| crate::json::from_str::<Text<'_>>(json.get()).ok())
        .map_or(Cow::Borrowed(""), |text| text.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_does_not_depend_on_sequence_numbers() {
        // P22
        let read = |numbers: [&str; 2]| {
            let stream = format!(
                "data: {{\"type\":\"response.output_text.delta\"{},\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hi\"}}\n\n\
                 data: {{\"type\":\"response.completed\"{},\"response\":{{\"status\":\"completed\",\"output\":[],\"usage\":{{\"input_tokens\":5,\"output_tokens\":2}}}}}}\n\n",
                numbers[0], numbers[1]
            );
            let (mut reader, mut events) = (Stream::new(&[]), Vec::new());
            reader.feed(stream.as_bytes(), &mut events).unwrap();
            reader.finish(&mut events).unwrap();
            events
        };
        let ordered = read([",\"sequence_number\":1", ",\"sequence_number\":2"]);
        assert!(ordered.iter().any(|event| {
            matches!(event, Event::Usage(usage) if (usage.prompt, usage.completion) == (5, 2))
        }));
        assert_eq!(read(["", ""]), ordered);
        let repeated = [",\"sequence_number\":7", ",\"sequence_number\":7"];
        assert_eq!(read(repeated), ordered);
    }
}
