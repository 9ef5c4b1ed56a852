//! An answer in one piece, read as the events of its stream would be.

use super::{answer::Answer, error, wire::Message};
use crate::{
    chat::Event,
    error::{Error, ErrorType, Result},
};

/// Reads an answer in one piece.
///
/// # Errors
/// When the body is an error envelope in spite of its status, or no message at all.
pub fn response(body: &[u8]) -> Result<Vec<Event>> {
    let mut message: Message = crate::json::from_slice(body).map_err(|_| not_a_message(body))?;
    if message.kind == "error" {
        return Err(error::in_band(body));
    }
    if message.content.is_none() && message.stop_reason.is_none() {
        return Err(not_a_message(body));
    }
    let mut answer = Answer::default();
    let mut events = Vec::new();
    answer.start(&mut message, &mut events);
    answer.close(&mut events);
    if let Some(stop) = message.take_stop() {
        answer.stop(stop, &mut events);
    }
    events.extend(answer.usage(message.usage.as_ref()).map(Event::Usage));
    events.push(Event::Done);
    Ok(events)
}

fn not_a_message(body: &[u8]) -> Error {
    Error::upstream(
        ErrorType::ProviderUnavailable,
        "The provider's answer is not a message",
    )
    .with_raw(body)
}
