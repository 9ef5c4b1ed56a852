//! An answer in one piece.

use super::{answer::Answer, error::from_object, stream::invalid, wire::Chunk};
use crate::{
    chat::Event,
    error::{Error, ErrorType, Result},
};

/// Reads an answer in one piece.
///
/// # Errors
/// When the body is not the JSON of an answer, is an error, or answers nothing.
pub fn response(body: &[u8]) -> Result<Vec<Event>> {
    let chunk: Chunk = crate::json::from_slice(body).map_err(|error| invalid(&error))?;
    if let Some(object) = &chunk.error {
        return Err(from_object(None, object));
    }
    let blocked = chunk
        .prompt_feedback
        .as_ref()
        .is_some_and(|feedback| feedback.block_reason.is_some());
    if chunk.candidates.is_empty() && !blocked {
        let message = "The provider sent an answer without candidates";
        return Err(Error::upstream(ErrorType::ProviderUnavailable, message));
    }
    let mut events = Vec::new();
    let mut answer = Answer::whole();
    answer.read(chunk, &mut events);
    answer.end(&mut events);
    Ok(events)
}
