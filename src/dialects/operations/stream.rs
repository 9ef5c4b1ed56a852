//! Answers of providers that come as events: OpenAI's of images and transcripts, and Mistral's of transcripts.
//!
//! The reader hands on what a client may see before the end, and keeps what the answer is made of. An answer is whole with its last event
//! only: bytes that merely end are a failure. Out of scope: what the client is told (`client::stream`).
//! Spec: <https://platform.openai.com/docs/api-reference/images-streaming>, <https://docs.mistral.ai/api/#tag/audio.transcriptions>.

use serde_json::{Map, Value};

use super::{openai, unusable};
use crate::{
    catalog::Dialect,
    dialects::sse::{Frame, SseParser},
    error::{Error, Result},
    operations::{Answer, Answered, images::Image, transcription::Transcript},
};

/// The most bytes of a whole answer.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What a client may see before the end.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// An unfinished image.
    Partial {
        /// Its place among the unfinished ones.
        index: u32,
        /// How it looks so far.
        image: Image,
    },
    /// More of the text.
    Text(String),
}

/// The reader of one answer.
#[derive(Debug, Default)]
pub struct Reader {
    sse: SseParser,
    kept: Kept,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    text: String,
    language: Option<Value>,
    whole: Option<Answered>,
    pieces: Vec<Piece>,
}

impl Reader {
    /// Reads the next bytes; what a client may see of them.
    ///
    /// # Errors
    /// When they are no events, or tell of a failure.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Piece>> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_BYTES {
            return Err(unusable(format!(
                "The provider answered with more than {MAX_BYTES} bytes"
            )));
        }
        let Self { sse, kept, .. } = self;
        sse.feed(bytes, |frame| kept.take(frame))?;
        Ok(std::mem::take(&mut self.kept.pieces))
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.kept.text
    }

    /// Whether the answer is whole.
    pub fn is_done(&self) -> bool {
        self.kept.whole.is_some()
    }

    /// The answer, as the provider told it.
    ///
    /// # Errors
    /// When its last event has not come.
    pub fn whole(mut self) -> Result<Answered> {
        let Self { sse, kept, .. } = &mut self;
        sse.finish(|frame| kept.take(frame))?;
        let whole = self.kept.whole;
        whole.ok_or_else(|| unusable("The provider's answer broke off before its end"))
    }
}

impl Kept {
    fn take(&mut self, frame: Frame<'_>) -> Result<()> {
        if frame.data.trim_ascii() == b"[DONE]" || self.whole.is_some() {
            return Ok(());
        }
        let event: Map<String, Value> = crate::json::from_slice(frame.data).map_err(|error| {
            unusable(format!("The provider's event cannot be read: {error}")).with_raw(frame.data)
        })?;
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        let kind = text("type").unwrap_or(frame.event);
        if event.get("error").is_some_and(|error| !error.is_null()) || kind == "error" {
            return Err(told_error(frame.data, &event));
        }
        match kind {
            "image_generation.partial_image" | "image_edit.partial_image" => {
                let index = event.get("partial_image_index").and_then(Value::as_u64);
                let index = index.and_then(|index| u32::try_from(index).ok());
                if let Some(image) = text("b64_json").and_then(Image::decode) {
                    let index = index.unwrap_or(0);
                    self.pieces.push(Piece::Partial { index, image });
                }
            }
            "image_generation.completed" | "image_edit.completed" => {
                self.whole = Some(openai::images::completed(frame.data)?);
            }
            "transcript.text.delta" | "transcription.text.delta" => {
                if let Some(more) = text("delta").or_else(|| text("text")) {
                    self.text.push_str(more);
                    self.pieces.push(Piece::Text(more.to_owned()));
                }
            }
            "transcription.language" => self.language = event.get("audio_language").cloned(),
            "transcript.text.done" | "transcription.done" => {
                let mut whole = openai::transcription::answer(frame.data)?;
                if let Answer::Transcription(Transcript { details, .. }) = &mut whole.answer
                    && let Some(language) = self.language.take()
                {
                    details.entry("language").or_insert(language);
                }
                self.whole = Some(whole);
            }
            // Segments and whatever else comes is told once more at the end.
            _ => {}
        }
        Ok(())
    }
}

/// The error of an event; some hosts put its fields into the event itself.
fn told_error(data: &[u8], event: &Map<String, Value>) -> Error {
    if event.get("error").is_some_and(|error| !error.is_null()) {
        return crate::dialects::error(Dialect::OpenaiChat, 502, data);
    }
    let wrapped = serde_json::json!({ "error": event }).to_string();
    crate::dialects::error(Dialect::OpenaiChat, 502, wrapped.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &str = "iVBORw0KGgo=";

    fn read(events: &[&str], size: usize) -> Result<(Vec<Piece>, Answered)> {
        let bytes: String = events
            .iter()
            .map(|one| format!("data: {one}\n\n"))
            .collect();
        let mut reader = Reader::default();
        let mut pieces = Vec::new();
        for chunk in bytes.as_bytes().chunks(size) {
            pieces.extend(reader.feed(chunk)?);
        }
        Ok((pieces, reader.whole()?))
    }

    #[test]
    fn images_grow_and_the_last_event_has_the_whole_one_in_any_chunking() {
        let partial = format!(
            r#"{{"type":"image_generation.partial_image","partial_image_index":1,"b64_json":"{PNG}"}}"#
        );
        let done = format!(
            r#"{{"type":"image_edit.completed","b64_json":"{PNG}","usage":{{"input_tokens":3,"output_tokens":9}}}}"#
        );
        for size in [1, 7, 4_096] {
            let (pieces, whole) = read(&[&partial, &done, "[DONE]"], size).unwrap();
            let image = Image::decode(PNG).unwrap();
            assert_eq!(
                pieces,
                [Piece::Partial {
                    index: 1,
                    image: image.clone()
                }]
            );
            let Answer::Images(made) = whole.answer else {
                panic!("images were asked for");
            };
            assert_eq!(made, [image]);
            assert_eq!((whole.usage.prompt, whole.usage.completion), (3, 9));
        }
    }

    #[test]
    fn transcripts_are_read_in_two_spellings() {
        for events in [
            [
                r#"{"type":"transcript.text.delta","delta":"Good "}"#,
                r#"{"type":"transcript.text.delta","delta":"day"}"#,
                r#"{"type":"transcript.text.done","text":"Good day","usage":{"type":"duration","seconds":2}}"#,
            ],
            [
                r#"{"type":"transcription.text.delta","text":"Good "}"#,
                r#"{"type":"transcription.text.delta","text":"day"}"#,
                r#"{"type":"transcription.done","text":"Good day","usage":{"prompt_audio_seconds":2}}"#,
            ],
        ] {
            let (pieces, whole) = read(&events, 5).unwrap();
            assert_eq!(
                pieces,
                [Piece::Text("Good ".into()), Piece::Text("day".into())]
            );
            let Answer::Transcription(transcript) = whole.answer else {
                panic!("a transcript was asked for");
            };
            assert_eq!(transcript.text, "Good day");
            assert_eq!(whole.usage.units.audio_in_ms, 2_000);
        }
    }

    #[test]
    fn an_answer_without_its_end_and_one_that_tells_of_a_failure_are_none() {
        let delta = r#"{"type":"transcript.text.delta","delta":"Good "}"#;
        for (events, told) in [
            (vec![delta], "broke off"),
            (vec![], "broke off"),
            (
                vec![delta, r#"{"type":"error","message":"too loud"}"#],
                "too loud",
            ),
            (vec![r#"{"error":{"message":"too loud"}}"#], "too loud"),
            (vec!["<html>"], "cannot be read"),
        ] {
            let error = read(&events, 64).unwrap_err();
            assert!(error.message.contains(told), "{}", error.message);
        }
    }
}
