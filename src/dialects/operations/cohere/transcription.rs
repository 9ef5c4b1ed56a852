//! Transcription: `POST /v2/audio/transcriptions`, a form; the answer is the text alone.

use super::super::{multipart, unsayable};
use crate::{
    dialects::NativeRequest,
    error::Result,
    operations::transcription::{Sound, Transcription},
};

/// Writes the request.
pub fn request(ask: &Transcription, id: &str) -> Result<NativeRequest> {
    if ask.verbose {
        return Err(unsayable("response_format", "This provider tells no times"));
    }
    let Sound::Bytes { data, filename } = &ask.sound else {
        return Err(unsayable(
            "input_audio.url",
            "This provider fetches no addresses: send the sound itself",
        ));
    };
    let mut form = multipart::Writer::default();
    form.text("model", id);
    if let Some(language) = &ask.language {
        form.text("language", language);
    }
    if let Some(temperature) = &ask.temperature {
        form.text("temperature", &temperature.to_string());
    }
    form.file("file", filename, data);
    Ok(form.post("/v2/audio/transcriptions"))
}
