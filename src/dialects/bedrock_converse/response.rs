//! An answer in one piece, read as the events of its stream would be.

use super::{answer::Answer, error, usage::usage, wire};
use crate::{
    chat::Event,
    error::{Error, ErrorType, Result},
};

/// Reads an answer in one piece.
///
/// # Errors
/// When the body is an error in spite of its status, or no answer at all.
pub fn response(body: &[u8]) -> Result<Vec<Event>> {
    let read: wire::Answer = crate::json::from_slice(body).map_err(|_| not_an_answer(body))?;
    let message = read.output.and_then(|output| output.message);
    if message.is_none() && read.stop_reason.is_none() {
        return Err(error::in_band(body).unwrap_or_else(|| not_an_answer(body)));
    }
    let mut events = vec![START];
    let mut answer = Answer::default();
    let content = message.and_then(|message| message.content);
    for (at, block) in (0..).zip(content.unwrap_or_default()) {
        answer.block(at, block, &mut events);
    }
    answer.close(&mut events);
    if let Some(reason) = read.stop_reason {
        answer.stop(reason, &mut events);
    }
    events.extend(read.usage.as_ref().and_then(usage).map(Event::Usage));
    events.push(Event::Done);
    Ok(events)
}

/// Converse names neither the answer nor the model that gave it.
pub(super) const START: Event = Event::Start {
    id: None,
    model: None,
    service_tier: None,
    system_fingerprint: None,
};

fn not_an_answer(body: &[u8]) -> Error {
    Error::upstream(
        ErrorType::ProviderUnavailable,
        "The provider's answer is not one of Converse",
    )
    .with_raw(body)
}
