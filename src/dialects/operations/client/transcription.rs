//! `POST /audio/transcriptions`, as JSON or as the form that OpenAI's SDKs send.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Number, value::RawValue};

use super::{Common, Parsed, envelope, json, put_cost, put_routing, stream::event};
use crate::{
    dialects::{
        operations::multipart,
        report::UsageReport,
        splice::{ObjectWriter, put},
    },
    error::{Error, Result},
    operations::{
        Ask,
        transcription::{Sound, Transcript, Transcription},
    },
};

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Default, Deserialize)]
pub(super) struct Options {
    language: Option<String>,
    temperature: Option<Number>,
    response_format: Option<String>,
    timestamp_granularities: Option<Vec<String>>,
    diarize: Option<bool>,
    keyterms: Option<Vec<String>>,
    stream: Option<bool>,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Body {
    input_audio: Audio,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Audio {
    data: Option<String>,
    url: Option<String>,
    format: Option<String>,
}

/// Whether a body of this type is a form.
pub fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// Reads a JSON body.
pub fn parse(raw: &[u8]) -> Result<Transcription> {
    let Body { input_audio } = json(raw)?;
    let sound = match (input_audio.data, input_audio.url) {
        (Some(data), None) => {
            let format = input_audio.format.as_deref().unwrap_or_default();
            let is_word = !format.is_empty() && format.bytes().all(|b| b.is_ascii_alphanumeric());
            if !is_word {
                let message = "expected the form of the file, such as mp3";
                return Err(Error::invalid("input_audio.format", message));
            }
            // SDKs differ in whether they send a `data:` URL.
            let base64 = data
                .split_once("base64,")
                .map_or(data.as_str(), |(_, data)| data);
            let data = STANDARD
                .decode(base64.trim())
                .map_err(|_| Error::invalid("input_audio.data", "expected base64"))?;
            Sound::Bytes {
                data,
                filename: format!("audio.{format}"),
            }
        }
        (None, Some(url)) => address("input_audio.url", url)?,
        _ => return Err(Error::invalid("input_audio", "expected either data or url")),
    };
    transcription(sound, json(raw)?)
}

/// Reads a form.
pub fn parse_form(content_type: &str, raw: &[u8]) -> Result<Parsed> {
    let mut common = Common::default();
    let mut options = Options::default();
    let mut sound = None;
    for part in multipart::parse(content_type, raw)? {
        let name = part.name.trim_end_matches("[]");
        if name == "file" {
            sound = Some(Sound::Bytes {
                data: part.data.to_vec(),
                filename: part.filename.unwrap_or_else(|| "audio".to_owned()),
            });
            continue;
        }
        let text = std::str::from_utf8(part.data)
            .map_err(|_| Error::invalid(name, "expected text"))?
            .trim();
        let raw_json = || {
            RawValue::from_string(text.to_owned())
                .map_err(|_| Error::invalid(name, "expected JSON as text"))
        };
        let word = || Some(text.to_owned());
        let flag = || match text {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" | "" => Ok(Some(false)),
            _ => Err(Error::invalid(name, "expected true or false")),
        };
        match name {
            "model" => common.model = word(),
            "user" => common.user = word(),
            "session_id" => common.session_id = word(),
            "provider" => common.provider = Some(raw_json()?),
            "max_cost" => common.max_cost = Some(raw_json()?),
            "source_url" => sound = Some(address("source_url", text.to_owned())?),
            "language" => options.language = word(),
            "response_format" => options.response_format = word(),
            "diarize" => options.diarize = flag()?,
            "stream" => options.stream = flag()?,
            "temperature" => {
                let number = crate::json::from_str(text);
                let number = number.map_err(|_| Error::invalid(name, "expected a number"))?;
                options.temperature = Some(number);
            }
            "timestamp_granularities" => {
                let list = options.timestamp_granularities.get_or_insert_default();
                list.push(text.to_owned());
            }
            "keyterms" => options
                .keyterms
                .get_or_insert_default()
                .push(text.to_owned()),
            // `prompt` and whatever else SDKs send is taken and not used, as at the reference.
            _ => {}
        }
    }
    let sound = sound.ok_or_else(|| Error::invalid("file", "missing field `file`"))?;
    Ok(Parsed {
        envelope: envelope(common)?,
        ask: Ask::Transcription(transcription(sound, options)?),
    })
}

fn address(path: &str, url: String) -> Result<Sound> {
    if url.starts_with("https://") {
        return Ok(Sound::Url(url));
    }
    Err(Error::invalid(path, "expected an https address"))
}

fn transcription(sound: Sound, options: Options) -> Result<Transcription> {
    if matches!(&sound, Sound::Bytes { data, .. } if data.is_empty()) {
        return Err(Error::invalid("file", "the file is empty"));
    }
    let verbose = match options.response_format.as_deref() {
        None | Some("json") => false,
        Some("verbose_json") => true,
        Some(_) => {
            let message = "expected \"json\" or \"verbose_json\"";
            return Err(Error::invalid("response_format", message));
        }
    };
    let diarize = options.diarize.unwrap_or(false);
    if diarize && !verbose {
        let message = "who speaks is told with response_format verbose_json only";
        return Err(Error::invalid("diarize", message));
    }
    let granularities = options.timestamp_granularities.unwrap_or_default();
    for (at, word) in granularities.iter().enumerate() {
        if !matches!(word.as_str(), "word" | "segment") {
            let path = format!("timestamp_granularities[{at}]");
            return Err(Error::invalid(path, "expected \"word\" or \"segment\""));
        }
    }
    Ok(Transcription {
        sound,
        language: options.language,
        temperature: options.temperature,
        verbose,
        granularities,
        diarize,
        keyterms: options.keyterms.unwrap_or_default(),
        stream: options.stream.unwrap_or(false),
    })
}

/// Writes the answer. Times were perhaps asked for by the gateway only: a client that did not want them gets the text.
pub fn write(ask: &Transcription, transcript: &Transcript, report: &UsageReport) -> Vec<u8> {
    let mut body = Vec::with_capacity(transcript.text.len() + 256);
    let mut object = ObjectWriter::new(&mut body);
    put_transcript(&mut object, ask, transcript, report);
    object.end();
    body
}

/// Appends the event of the next piece of the text.
pub fn put_delta(out: &mut Vec<u8>, text: &str) {
    event(out, "transcript.text.delta", |object| {
        object.field("delta", text);
    });
}

/// Appends the event of the whole text.
pub fn put_done(
    out: &mut Vec<u8>,
    ask: &Transcription,
    transcript: &Transcript,
    report: &UsageReport,
) {
    event(out, "transcript.text.done", |object| {
        put_transcript(object, ask, transcript, report);
        put_routing(object, report);
    });
}

fn put_transcript(
    object: &mut ObjectWriter<'_>,
    ask: &Transcription,
    transcript: &Transcript,
    report: &UsageReport,
) {
    object.field("text", &transcript.text);
    if ask.verbose {
        for (key, value) in &transcript.details {
            put(object.key(key), value);
        }
    }
    let usage = &report.usage;
    let mut counts = ObjectWriter::new(object.key("usage"));
    let ms = usage.units.audio_in_ms;
    // Whole seconds as a whole number, others to the millisecond.
    let (seconds, rest) = (ms / 1_000, ms % 1_000);
    let seconds = if rest == 0 {
        seconds.to_string()
    } else {
        format!("{seconds}.{rest:03}")
    };
    counts.raw("seconds", &seconds);
    if usage.total() > 0 {
        counts.field("input_tokens", &usage.prompt);
        counts.field("output_tokens", &usage.completion);
        counts.field("total_tokens", &usage.total());
    }
    put_cost(&mut counts, report);
    counts.end();
}
