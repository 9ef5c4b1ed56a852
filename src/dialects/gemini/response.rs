//! An answer in one piece.

use super::{answer::Answer, stream::invalid, wire::Chunk};
use crate::{chat::Event, error::Result};

/// Reads an answer in one piece.
///
/// # Errors
/// When the body is not the JSON of an answer.
pub fn response(body: &[u8]) -> Result<Vec<Event>> {
    let chunk: Chunk = serde_json::from_slice(body).map_err(|error| invalid(&error))?;
    let mut events = Vec::new();
    let mut answer = Answer::whole();
    answer.read(chunk, &mut events);
    answer.end(&mut events);
    Ok(events)
}
