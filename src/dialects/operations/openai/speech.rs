//! Speech: `POST /audio/speech`. The answer is the sound itself, or, at Mistral, JSON with the sound in it.
//!
//! Spec of the latter: <https://docs.mistral.ai/api/#tag/audio.speech>.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Map;

use super::super::{post, put, read, unsayable, unusable};
use crate::{
    catalog::{OperationQuirk, OperationWire},
    chat::Usage,
    dialects::NativeRequest,
    error::Result,
    operations::{
        Answer, Answered,
        speech::{Format, Speech},
    },
};

/// The voice of those who name none: the field is required.
const USUAL_VOICE: &str = "alloy";

/// Writes the request.
pub fn request(ask: &Speech, wire: &OperationWire, id: &str) -> Result<NativeRequest> {
    let mut body = Map::new();
    body.insert("model".into(), id.into());
    body.insert("input".into(), ask.text.as_str().into());
    body.insert("response_format".into(), ask.format.as_str().into());
    let mut dropped = Vec::new();
    if wire.has(OperationQuirk::VoiceId) {
        if matches!(ask.format, Format::Pcm | Format::Aac) {
            return Err(unsayable(
                "response_format",
                "This provider's samples are of another kind: ask for mp3, wav, opus or flac",
            ));
        }
        // The recording says who speaks: a name beside it is refused.
        match &ask.reference {
            Some(recording) => put(&mut body, "ref_audio", Some(recording.as_str())),
            None => put(&mut body, "voice_id", ask.voice.as_deref()),
        }
        let fields = [
            ("speed", ask.speed.is_some()),
            ("instructions", ask.instructions.is_some()),
        ];
        let unknown = fields.into_iter().filter(|(_, is_sent)| *is_sent);
        dropped.extend(unknown.map(|(name, _)| name));
    } else if ask.reference.is_some() {
        return Err(unsayable(
            "input_references",
            "This provider takes no voice from a recording",
        ));
    } else {
        let voice = ask.voice.as_deref().unwrap_or(USUAL_VOICE);
        body.insert("voice".into(), voice.into());
        put(&mut body, "speed", ask.speed.clone());
        put(&mut body, "instructions", ask.instructions.clone());
    }
    let mut request = post("/audio/speech", body);
    request.dropped = dropped;
    Ok(request)
}

/// Reads an answer that is JSON.
pub fn answer(body: &[u8], ask: &Speech) -> Result<Answered> {
    #[derive(Deserialize)]
    struct Body {
        audio_data: Option<String>,
    }
    let Body { audio_data } = read(body)?;
    let sound = audio_data.and_then(|data| STANDARD.decode(data.trim()).ok());
    let sound = sound
        .filter(|sound| !sound.is_empty())
        .ok_or_else(|| unusable("The provider answered with JSON where sound was asked for"))?;
    let bytes = u64::try_from(sound.len()).unwrap_or(u64::MAX);
    Ok(Answered {
        answer: Answer::Sound(sound),
        usage: Usage {
            estimated: false,
            ..ask.used(bytes)
        },
        upstream_id: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ask(format: Format, reference: Option<&str>) -> Speech {
        Speech {
            text: "Hello".into(),
            voice: Some("anna".into()),
            format,
            reference: reference.map(str::to_owned),
            ..Speech::default()
        }
    }

    fn wire(quirks: Value) -> OperationWire {
        serde_json::from_value(json!({"dialect": "openai", "quirks": quirks})).unwrap()
    }

    #[test]
    fn a_voice_may_be_a_recording_where_the_provider_takes_one() {
        let mistral = wire(json!(["voice_id"]));
        for (reference, field, value) in [
            (None, "voice_id", "anna"),
            (Some("AAAA"), "ref_audio", "AAAA"),
        ] {
            let call = request(&ask(Format::Mp3, reference), &mistral, "m").unwrap();
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            assert_eq!(body[field], value);
            assert_eq!(body.as_object().unwrap().len(), 4, "{body}");
        }
        assert!(request(&ask(Format::Mp3, Some("AAAA")), &wire(json!([])), "m").is_err());
        assert!(request(&ask(Format::Pcm, None), &mistral, "m").is_err());
    }

    #[test]
    fn sound_may_come_in_json() {
        let spoken = ask(Format::Mp3, None);
        let read = answer(br#"{"audio_data":"AQID"}"#, &spoken).unwrap();
        let Answer::Sound(sound) = read.answer else {
            panic!("sound was asked for");
        };
        assert_eq!((sound, read.usage.units.characters), (vec![1, 2, 3], 5));
        for body in [r#"{"message":"no"}"#, r#"{"audio_data":"%"}"#] {
            assert!(answer(body.as_bytes(), &spoken).is_err());
        }
    }
}
