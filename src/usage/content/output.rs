//! The side that was answered: the fold of the events of each call, and what operations answer.

use serde_json::{Map, Value, json};

use super::{MAX_OUTPUT, Side, input::of_url, take};
use crate::{
    chat::{Completion, Delta, Event, ReasoningDetail, ReasoningKind},
    operations::{Answer, images::Image},
};

/// What an item without text takes of the room.
const OVERHEAD: usize = 64;
/// The most items of one kind: media, calls, annotations.
const MAX_ITEMS: usize = 256;

#[derive(Debug, Clone, Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

/// One of the answers of a call.
#[derive(Debug, Clone, Default)]
struct Choice {
    text: Option<String>,
    refusal: Option<String>,
    reasoning: Option<String>,
    calls: Vec<Call>,
    media: Vec<Value>,
    annotations: Vec<Value>,
    ran: Vec<Value>,
    finish: Option<&'static str>,
}

/// What one call of a provider answered, as far as it is kept.
#[derive(Debug)]
pub struct Recorder {
    room: usize,
    is_cut: bool,
    choices: Vec<Choice>,
    operation: Option<Value>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            room: MAX_OUTPUT,
            is_cut: false,
            choices: Vec::new(),
            operation: None,
        }
    }
}

impl Recorder {
    /// Notes an event.
    pub fn see(&mut self, event: &Event) {
        match event {
            Event::Delta { choice, delta } => self.add(*choice, delta),
            Event::Finish { choice, reason, .. } => {
                if let Some(choice) = slot(&mut self.choices, *choice) {
                    choice.finish = Some(reason.as_str());
                }
            }
            Event::Start { .. } | Event::Usage(_) | Event::Error(_) | Event::Done => {}
        }
    }

    fn add(&mut self, choice: u32, delta: &Delta) {
        let (room, is_cut) = (&mut self.room, &mut self.is_cut);
        let Some(choice) = slot(&mut self.choices, choice) else {
            return;
        };
        match delta {
            Delta::Text(text) => push(&mut choice.text, text, room, is_cut),
            Delta::Refusal(text) => push(&mut choice.refusal, text, room, is_cut),
            Delta::Reasoning(detail) => match ran(detail) {
                Some(item) => keep(&mut choice.ran, item, room, is_cut),
                None => {
                    if let Some(text) = detail.readable() {
                        push(&mut choice.reasoning, text, room, is_cut);
                    }
                }
            },
            Delta::ToolCallStart { index, id, name } => {
                if let Some(call) = slot(&mut choice.calls, *index) {
                    call.id.clone_from(id);
                    call.name.clone_from(name);
                }
            }
            Delta::ToolCallArguments { index, json } => {
                if let Some(call) = slot(&mut choice.calls, *index) {
                    call.arguments.push_str(&take(json, room, is_cut));
                }
            }
            Delta::Image { url } => {
                let mut item = of_url(url);
                if let Some(object) = item.as_object_mut() {
                    object.insert("type".to_owned(), "image".into());
                }
                keep(&mut choice.media, item, room, is_cut);
            }
            Delta::Audio(audio) => hear(choice, audio, room, is_cut),
            Delta::Annotation(one) => keep(&mut choice.annotations, one.clone(), room, is_cut),
            Delta::Logprobs(_) => {}
        }
    }

    /// Notes the answer of an operation.
    pub fn answered(&mut self, answer: &Answer) {
        let (room, is_cut) = (&mut self.room, &mut self.is_cut);
        self.operation = Some(match answer {
            Answer::Embeddings(vectors) => json!({"vectors": vectors.len()}),
            Answer::Rerank(ranked) => {
                let order = ranked
                    .iter()
                    .map(|one| json!({"index": one.index, "relevance_score": one.score}));
                json!({"results": order.take(MAX_ITEMS).collect::<Vec<Value>>()})
            }
            Answer::Images(images) => {
                let images = images.iter().map(|image| match image {
                    Image::Inline { base64, mime } => json!({
                        "type": "image", "media_type": mime, "bytes": super::decoded_bytes(base64),
                    }),
                    Image::Address(url) => of_url(url),
                });
                json!({"media": images.collect::<Vec<Value>>()})
            }
            Answer::Transcription(transcript) => {
                json!({"text": take(&transcript.text, room, is_cut)})
            }
            Answer::Sound(sound) => sound_of(sound.len()),
        });
    }

    /// Notes sound that was handed on as it came.
    pub fn heard(&mut self, bytes: u64) {
        self.operation = Some(sound_of(bytes));
    }

    /// Notes the text of a transcription that broke off.
    pub fn transcribed(&mut self, text: &str) {
        let text = take(text, &mut self.room, &mut self.is_cut);
        self.operation = Some(json!({"text": text}));
    }
}

fn sound_of(bytes: impl Into<serde_json::Value>) -> Value {
    let bytes: Value = bytes.into();
    json!({"media": [{"type": "audio", "bytes": bytes}]})
}

/// A tool that ran inside the answer.
fn ran(detail: &ReasoningDetail) -> Option<Value> {
    match &detail.kind {
        ReasoningKind::ServerToolCall {
            tool_name,
            arguments,
            ..
        } => Some(json!({"name": tool_name, "arguments": arguments})),
        _ => None,
    }
}

/// Pieces of sound: its bytes are counted, its transcript is kept.
fn hear(choice: &mut Choice, audio: &Value, room: &mut usize, is_cut: &mut bool) {
    let text = |name: &str| audio.get(name).and_then(Value::as_str);
    let bytes = text("data").map_or(0, super::decoded_bytes);
    let transcript = text("transcript").unwrap_or_default();
    let transcript = take(transcript, room, is_cut);
    let last = choice.media.iter_mut().find(|item| item["type"] == "audio");
    let Some(last) = last else {
        let item = json!({"type": "audio", "bytes": bytes, "transcript": transcript});
        return keep(&mut choice.media, item, room, is_cut);
    };
    let sum = last["bytes"].as_u64().unwrap_or(0) + bytes as u64;
    let whole = format!(
        "{}{transcript}",
        last["transcript"].as_str().unwrap_or_default()
    );
    *last = json!({"type": "audio", "bytes": sum, "transcript": whole});
}

fn push(into: &mut Option<String>, text: &str, room: &mut usize, is_cut: &mut bool) {
    into.get_or_insert_default()
        .push_str(&take(text, room, is_cut));
}

/// Keeps an item where there is room for it.
fn keep(into: &mut Vec<Value>, item: Value, room: &mut usize, is_cut: &mut bool) {
    let size = OVERHEAD + item.to_string().len();
    if into.len() >= MAX_ITEMS || size > *room {
        *is_cut = true;
        return;
    }
    *room -= size;
    into.push(item);
}

/// The item at `index`, made with its predecessors where missing.
fn slot<T: Default + Clone>(items: &mut Vec<T>, index: u32) -> Option<&mut T> {
    if index >= Completion::MAX_INDEX {
        return None;
    }
    let index = usize::try_from(index).ok()?;
    if items.len() <= index {
        items.resize(index + 1, T::default());
    }
    items.get_mut(index)
}

impl Choice {
    /// Goes on with what a later call answered.
    fn append(&mut self, next: &Self) {
        for (into, from) in [
            (&mut self.text, &next.text),
            (&mut self.refusal, &next.refusal),
            (&mut self.reasoning, &next.reasoning),
        ] {
            if let Some(from) = from {
                into.get_or_insert_default().push_str(from);
            }
        }
        self.calls.extend(next.calls.iter().cloned());
        self.media.extend(next.media.iter().cloned());
        self.annotations.extend(next.annotations.iter().cloned());
        self.ran.extend(next.ran.iter().cloned());
        self.finish = next.finish.or(self.finish);
    }

    fn told(&self) -> Map<String, Value> {
        let mut json = Map::new();
        json.insert("completion".to_owned(), self.text.clone().into());
        json.insert("reasoning".to_owned(), self.reasoning.clone().into());
        if let Some(refusal) = &self.refusal {
            json.insert("refusal".to_owned(), refusal.as_str().into());
        }
        let calls = self.calls.iter().map(|call| {
            json!({
                "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            })
        });
        for (name, items) in [
            ("tool_calls", calls.collect()),
            ("media", self.media.clone()),
            ("annotations", self.annotations.clone()),
            ("server_tool_calls", self.ran.clone()),
        ] {
            if !items.is_empty() {
                json.insert(name.to_owned(), Value::Array(items));
            }
        }
        json.insert("finish_reason".to_owned(), self.finish.into());
        json
    }
}

/// The answer that these calls made, one after the other.
pub fn tell<'a>(parts: impl Iterator<Item = &'a Recorder>) -> Side {
    let mut is_cut = false;
    let mut choices: Vec<Choice> = Vec::new();
    for part in parts {
        is_cut |= part.is_cut;
        if let Some(answer) = &part.operation {
            return Side {
                json: answer.clone(),
                is_cut,
            };
        }
        for (at, next) in part.choices.iter().enumerate() {
            match choices.get_mut(at) {
                Some(choice) => choice.append(next),
                None => choices.push(next.clone()),
            }
        }
    }
    let mut told = choices.first().cloned().unwrap_or_default().told();
    if choices.len() > 1 {
        let all = choices.iter().map(|choice| Value::Object(choice.told()));
        told.insert("choices".to_owned(), Value::Array(all.collect()));
    }
    Side {
        json: Value::Object(told),
        is_cut,
    }
}
