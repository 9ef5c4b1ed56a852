//! `POST /audio/speech`. The answer is the sound, so there is nothing to write here.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Number, Value};

use super::{json, text};
use crate::{
    error::{Error, Result},
    operations::speech::{Format, Speech},
};

/// The most characters of a text.
const MAX_CHARACTERS: usize = 100_000;
/// The most bytes of a recording of a voice.
const MAX_REFERENCE: usize = 15 * 1024 * 1024;

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Body {
    input: Value,
    voice: Option<Value>,
    response_format: Option<String>,
    speed: Option<Number>,
    instructions: Option<String>,
    input_references: Option<Vec<Value>>,
    stream_format: Option<String>,
}

/// Reads the body.
pub fn parse(raw: &[u8]) -> Result<Speech> {
    let body: Body = json(raw)?;
    let reference = reference(&body.input_references.unwrap_or_default())?;
    if body.stream_format.is_some_and(|word| word != "audio") {
        return Err(Error::invalid(
            "stream_format",
            "only \"audio\": the bytes come as they are made",
        ));
    }
    let format = match body.response_format.as_deref() {
        None => Format::default(),
        Some(word) => Format::parse(word).ok_or_else(|| {
            let words: Vec<&str> = Format::ALL.iter().map(|one| one.as_str()).collect();
            let message = format!("expected one of {}", words.join(", "));
            Error::invalid("response_format", message)
        })?,
    };
    let voice = match body.voice {
        Some(Value::String(voice)) => Some(voice),
        Some(Value::Object(voice)) => text(&voice, "id").map(str::to_owned),
        _ => None,
    };
    let mut ask = Speech {
        text: String::new(),
        voice,
        format,
        speed: body.speed,
        instructions: body.instructions,
        reference,
    };
    match body.input {
        Value::String(text) => ask.text = text,
        Value::Array(pieces) => join(&mut ask, &pieces)?,
        _ => return Err(Error::invalid("input", "expected a string or an array")),
    }
    let length = ask.text.chars().count();
    if ask.text.trim().is_empty() || length > MAX_CHARACTERS {
        let message = format!("expected 1 to {MAX_CHARACTERS} characters");
        return Err(Error::invalid("input", message));
    }
    Ok(ask)
}

/// The recording of the voice to speak with. Its transcript is not needed by any provider that is called.
fn reference(items: &[Value]) -> Result<Option<String>> {
    let mut found = None;
    for (at, item) in items.iter().enumerate() {
        let wrong = |key: &str, message: &str| {
            Error::invalid(format!("input_references[{at}]{key}"), message)
        };
        let kind = item.get("type").and_then(Value::as_str);
        match kind {
            // What is said in the recording: the providers hear it themselves.
            Some("text") => continue,
            Some("input_audio") if found.is_none() => {}
            Some("input_audio") => return Err(wrong("", "a voice is taken from one recording")),
            _ => {
                return Err(wrong(
                    ".type",
                    "expected \"input_audio\": voices have no looks here",
                ));
            }
        }
        let data = item.get("input_audio").and_then(|audio| audio.get("data"));
        let data = data.and_then(Value::as_str);
        let data = data.ok_or_else(|| wrong(".input_audio.data", "expected base64"))?;
        let base64 = data.split_once("base64,").map_or(data, |(_, data)| data);
        let bytes = STANDARD.decode(base64.trim());
        let bytes = bytes.map_err(|_| wrong(".input_audio.data", "expected base64"))?;
        if bytes.is_empty() || bytes.len() > MAX_REFERENCE {
            return Err(wrong(".input_audio.data", "expected 1 byte to 15 MiB"));
        }
        found = Some(base64.trim().to_owned());
    }
    if found.is_none() && !items.is_empty() {
        let message = "expected a recording of the voice (input_audio)";
        return Err(Error::invalid("input_references", message));
    }
    Ok(found)
}

/// Pieces that one voice says in one manner are one text.
fn join(ask: &mut Speech, pieces: &[Value]) -> Result<()> {
    for (at, piece) in pieces.iter().enumerate() {
        let path = |key: &str| format!("input[{at}].{key}");
        let object = piece.as_object();
        let field = |key: &str| object.and_then(|object| text(object, key));
        let words = field("text").ok_or_else(|| Error::invalid(path("text"), "missing"))?;
        for (key, known) in [
            ("voice", &mut ask.voice),
            ("instructions", &mut ask.instructions),
        ] {
            let Some(word) = field(key) else { continue };
            if at > 0 && known.as_deref() != Some(word) {
                let message = "all pieces of a text are spoken by one voice in one manner here";
                return Err(Error::invalid(path(key), message));
            }
            *known = Some(word.to_owned());
        }
        if at > 0 {
            ask.text.push(' ');
        }
        ask.text.push_str(words);
    }
    Ok(())
}
