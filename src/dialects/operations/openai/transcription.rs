//! Transcription: `POST /audio/transcriptions`, a form with the file in it.
//!
//! Where the model tells times (`verbose_json`), they are asked for even if the client wants only the text: the length of the
//! sound is what most hosts charge for.

use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::{
    super::{multipart, read, unsayable, unusable},
    Counts,
};
use crate::{
    catalog::{Endpoint, OperationQuirk, OperationWire, Parameter},
    dialects::NativeRequest,
    error::Result,
    operations::{
        Answer, Answered,
        transcription::{Sound, Transcript, Transcription, milliseconds},
    },
};

/// Writes the request.
pub fn request(
    ask: &Transcription,
    wire: &OperationWire,
    endpoint: &Endpoint,
    id: &str,
) -> Result<NativeRequest> {
    let tells_times = endpoint.supports(Parameter::ResponseFormat);
    if ask.verbose && !tells_times {
        return Err(unsayable(
            "response_format",
            "verbose_json is not available here: this model does not tell times",
        ));
    }
    let mut form = multipart::Writer::default();
    form.text("model", id);
    match (&ask.sound, wire) {
        (Sound::Bytes { data, filename }, _) => form.file("file", filename, data),
        (Sound::Url(url), wire) if wire.has(OperationQuirk::UrlField) => form.text("url", url),
        (Sound::Url(url), wire) if wire.has(OperationQuirk::FileUrlField) => {
            form.text("file_url", url);
        }
        (Sound::Url(_), _) => {
            return Err(unsayable(
                "input_audio.url",
                "This provider fetches no addresses: send the sound itself",
            ));
        }
    }
    if tells_times {
        form.text("response_format", "verbose_json");
    }
    if let Some(language) = &ask.language {
        form.text("language", language);
    }
    if let Some(temperature) = &ask.temperature {
        form.text("temperature", &temperature.to_string());
    }
    if ask.stream && !tells_times && wire.has(OperationQuirk::StreamedTranscripts) {
        form.text("stream", "true");
    }
    for granularity in &ask.granularities {
        form.text("timestamp_granularities[]", granularity);
    }
    if ask.diarize {
        form.text("diarize", "true");
    }
    if !ask.keyterms.is_empty() {
        form.text("prompt", &ask.keyterms.join(", "));
    }
    Ok(form.post("/audio/transcriptions"))
}

/// Fields of an answer that are the client's too.
const DETAILS: [&str; 8] = [
    "task",
    "language",
    "language_confidence",
    "duration",
    "confidence",
    "segments",
    "words",
    "entities",
];

#[derive(Deserialize)]
struct Body {
    text: Option<String>,
    duration: Option<Number>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Reads the answer.
pub fn answer(body: &[u8]) -> Result<Answered> {
    #[derive(Deserialize)]
    struct Counted<'a> {
        #[serde(borrow)]
        usage: Option<Counts<'a>>,
    }
    let Body {
        text,
        duration,
        mut rest,
    } = read(body)?;
    let text = text.ok_or_else(|| unusable("The provider's answer has no text in it"))?;
    let counted = crate::json::from_slice::<Counted<'_>>(body).ok();
    let counts = counted
        .and_then(|counted| counted.usage)
        .unwrap_or_default();
    let mut usage = counts.usage();
    if usage.units.audio_in_ms == 0 {
        usage.units.audio_in_ms = duration.as_ref().and_then(milliseconds).unwrap_or(0);
    }
    usage.audio_in = usage.prompt;
    let id = rest.get("id").and_then(Value::as_str).map(str::to_owned);
    if let Some(duration) = duration {
        rest.insert("duration".into(), duration.into());
    }
    rest.retain(|key, value| DETAILS.contains(&key.as_str()) && !value.is_null());
    Ok(Answered {
        answer: Answer::Transcription(Transcript {
            text,
            details: rest,
        }),
        usage,
        upstream_id: id,
    })
}
