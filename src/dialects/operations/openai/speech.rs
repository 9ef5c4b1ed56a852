//! Speech: `POST /audio/speech`. The answer is the sound itself.

use serde_json::Map;

use super::super::{post, put};
use crate::{dialects::NativeRequest, error::Result, operations::speech::Speech};

/// The voice of those who name none: the field is required.
const USUAL_VOICE: &str = "alloy";

/// Writes the request.
pub fn request(ask: &Speech, id: &str) -> Result<NativeRequest> {
    let mut body = Map::new();
    body.insert("model".into(), id.into());
    body.insert("input".into(), ask.text.as_str().into());
    let voice = ask.voice.as_deref().unwrap_or(USUAL_VOICE);
    body.insert("voice".into(), voice.into());
    body.insert("response_format".into(), ask.format.as_str().into());
    put(&mut body, "speed", ask.speed.clone());
    put(&mut body, "instructions", ask.instructions.clone());
    Ok(post("/audio/speech", body))
}
