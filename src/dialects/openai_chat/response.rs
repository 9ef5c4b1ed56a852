//! An answer in one piece → canonical events.

use super::decoder::{Decoder, unreadable};
use crate::{catalog::Quirk, chat::Event, dialects::splice::Fields, error::Result};

/// Reads a whole answer. White space before it (keep-alives of slow hosts) is no harm.
///
/// # Errors
/// When the body is not JSON or not a chat completion, or when it is an error under status 200.
pub fn response(body: &[u8], quirks: &[Quirk]) -> Result<Vec<Event>> {
    read(body, quirks).map(|(events, ..)| events)
}

/// The same, with what was found on the way.
pub(super) fn read<'a>(
    body: &'a [u8],
    quirks: &[Quirk],
) -> Result<(Vec<Event>, Fields<'a>, Decoder)> {
    let fields = Fields::parse(body).map_err(unreadable)?;
    let mut events = Vec::with_capacity(8);
    let mut decoder = Decoder::new(quirks, true);
    decoder.frame(&fields, &mut events)?;
    if !events.iter().any(Event::is_content) {
        // P112: nothing but an error is a failed request, not an empty answer.
        let failed = events
            .iter()
            .position(|event| matches!(event, Event::Error(_)));
        if let Some(Event::Error(error)) = failed.map(|at| events.swap_remove(at)) {
            return Err(error);
        }
    }
    decoder.flush(&mut events);
    events.push(Event::Done);
    Ok((events, fields, decoder))
}
