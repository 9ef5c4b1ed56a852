//! A streamed answer: server-sent events → canonical events.

use super::decoder::{Decoder, unreadable};
use crate::{
    catalog::Quirk,
    chat::Event,
    dialects::{
        splice::Fields,
        sse::{Frame, SseParser},
    },
    error::Result,
};

/// The end mark of the dialect.
pub(super) const DONE: &[u8] = b"[DONE]";

/// Reads one stream.
#[derive(Debug)]
pub struct Stream {
    sse: SseParser,
    decoder: Decoder,
    is_done: bool,
}

impl Stream {
    /// A reader for a host with these quirks.
    pub fn new(quirks: &[Quirk]) -> Self {
        Self {
            sse: SseParser::default(),
            decoder: Decoder::new(quirks, false),
            is_done: false,
        }
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// When an event is not JSON, or not a chunk.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let (decoder, is_done) = (&mut self.decoder, &mut self.is_done);
        self.sse
            .feed(bytes, |frame| read(decoder, is_done, &frame, events))
    }

    /// The host closed the stream.
    ///
    /// # Errors
    /// As [`feed`](Self::feed), for an event without its final blank line.
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let (decoder, is_done) = (&mut self.decoder, &mut self.is_done);
        self.sse
            .finish(|frame| read(decoder, is_done, &frame, events))?;
        if !self.is_done {
            self.is_done = true;
            self.decoder.flush(events);
            // P122: not every host sends the end mark.
            if self.decoder.has_ended() {
                events.push(Event::Done);
            }
        }
        Ok(())
    }
}

fn read(
    decoder: &mut Decoder,
    is_done: &mut bool,
    frame: &Frame<'_>,
    events: &mut Vec<Event>,
) -> Result<()> {
    if *is_done {
        return Ok(());
    }
    if frame.data == DONE {
        *is_done = true;
        decoder.flush(events);
        events.push(Event::Done);
        return Ok(());
    }
    // Some hosts end keep-alives with an empty `data:` line.
    if frame.data.is_empty() {
        return Ok(());
    }
    decoder.frame(&Fields::parse(frame.data).map_err(unreadable)?, events)
}
