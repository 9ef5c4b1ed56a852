//! An answer as it is kept, and as it is given again: under a new id and time, with a usage of nothing.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Facts, Form};
use crate::{
    chat::FinishReason,
    dialects::{
        Surface, anthropic_messages, openai_responses,
        splice::{Fields, ObjectWriter, put},
    },
};

/// An answer that was kept. In the store: the facts as one line of JSON, then the client's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The generation that filled the cache.
    pub(super) source: String,
    /// When, unix milliseconds.
    at_ms: u64,
    /// Until when, unix milliseconds: KV keeps nothing for less than a minute, so the entry itself knows.
    until_ms: u64,
    /// The model that served.
    pub(super) model: String,
    /// Display name of the provider.
    pub(super) provider: String,
    /// The endpoint's tag.
    pub(super) endpoint: String,
    /// How the answer ended.
    pub(super) finish: Option<String>,
    /// The same in the provider's word.
    pub(super) native_finish: Option<String>,
    /// What the client got.
    #[serde(skip)]
    body: String,
}

/// How an answer ended: in the canonical word and the provider's.
#[derive(Default, Deserialize)]
struct Ending {
    finish_reason: Option<String>,
    native_finish_reason: Option<String>,
}

impl Entry {
    /// The entry of an answer that has just ended. `time` is now in unix milliseconds, and the lifetime in seconds.
    pub(super) fn new(
        source: &str,
        time: (u64, u64),
        (form, stream): (Form, bool),
        facts: Facts,
        body: String,
    ) -> Self {
        let ending = if stream {
            // In every format it is told at the end, in chat completions twice.
            let told = events(&body).filter_map(|event| ending(form, &event.data));
            told.last().unwrap_or_default()
        } else {
            ending(form, &body).unwrap_or_default()
        };
        let (at_ms, ttl_s) = time;
        Self {
            source: source.to_owned(),
            at_ms,
            until_ms: at_ms.saturating_add(ttl_s.saturating_mul(1_000)),
            model: facts.model,
            provider: facts.provider,
            endpoint: facts.endpoint,
            finish: ending.finish_reason,
            native_finish: ending.native_finish_reason,
            body,
        }
    }

    /// Reads the text of the store.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (facts, body) = text.split_once('\n')?;
        let entry: Self = crate::json::from_str(facts).ok()?;
        Some(Self {
            body: body.to_owned(),
            ..entry
        })
    }

    /// The text for the store.
    pub(super) fn text(&self) -> String {
        // Plain data: writing it cannot fail.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text.push_str(&self.body);
        text
    }

    /// Whether it may still be given.
    pub(super) fn is_alive(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }

    /// Seconds since it was filled.
    pub(super) fn age_s(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.at_ms) / 1_000
    }

    /// Seconds that are left, begun ones included.
    pub(super) fn ttl_s(&self, now_ms: u64) -> u64 {
        self.until_ms.saturating_sub(now_ms).div_ceil(1_000)
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.body.len() + size_of::<Self>()
    }

    /// The answer in one piece.
    pub(super) fn whole(&self, id: &str, created: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len());
        again(&mut out, &self.body, id, created);
        out
    }

    /// The answer as a stream: the same events, without what only kept the connection open.
    pub(super) fn stream(&self, id: &str, created: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len());
        for event in events(&self.body) {
            if event.name == Some("ping") {
                continue;
            }
            if let Some(name) = event.name {
                out.extend_from_slice(b"event: ");
                out.extend_from_slice(name.as_bytes());
                out.push(b'\n');
            }
            out.extend_from_slice(b"data: ");
            match event.data.as_ref() {
                DONE => out.extend_from_slice(DONE.as_bytes()),
                data => again(&mut out, data, id, created),
            }
            out.extend_from_slice(b"\n\n");
        }
        out
    }
}

/// The end mark of OpenAI's formats.
const DONE: &str = "[DONE]";

/// An event of a stream that the gateway wrote.
struct Event<'a> {
    name: Option<&'a str>,
    data: Cow<'a, str>,
}

/// The events of a stream; comments are none.
fn events(stream: &str) -> impl Iterator<Item = Event<'_>> {
    stream.split("\n\n").filter_map(|text| {
        let (mut name, mut data) = (None, None::<Cow<'_, str>>);
        for line in text.split('\n') {
            if let Some(word) = line.strip_prefix("event: ") {
                name = Some(word);
            } else if let Some(more) = line.strip_prefix("data: ") {
                // White space within JSON, where a provider put it.
                data =
                    Some(data.map_or(Cow::Borrowed(more), |data| format!("{data} {more}").into()));
            }
        }
        Some(Event { name, data: data? })
    })
}

/// How an answer, or an event that tells it, ends.
fn ending(form: Form, json: &str) -> Option<Ending> {
    let fields = Fields::parse(json.as_bytes()).ok()?;
    let inner = |key: &str| {
        fields
            .get(key)
            .and_then(|json| Fields::parse(json.as_bytes()).ok())
    };
    let word = |fields: &Fields<'_>, key: &str| {
        let json = fields.get(key)?;
        crate::json::from_str::<String>(json).ok()
    };
    let told = |native: String, reason: FinishReason| Ending {
        finish_reason: Some(reason.as_str().to_owned()),
        native_finish_reason: Some(native),
    };
    match form {
        Form::Embeddings => None,
        Form::Talk(Surface::ChatCompletions | Surface::Completions) => {
            let choices: Vec<Ending> = crate::json::from_str(fields.get("choices")?).ok()?;
            let first = choices.into_iter().next();
            first.filter(|choice| choice.finish_reason.is_some())
        }
        Form::Talk(Surface::Messages) => {
            let native =
                word(&fields, "stop_reason").or_else(|| word(&inner("delta")?, "stop_reason"))?;
            let reason = anthropic_messages::stop_reason(&native);
            Some(told(native, reason))
        }
        Form::Talk(Surface::Responses) => {
            let nested = inner("response");
            let answer = nested.as_ref().unwrap_or(&fields);
            let details = answer.get("incomplete_details");
            let details = details.and_then(|json| Fields::parse(json.as_bytes()).ok());
            let native = details.and_then(|details| word(&details, "reason"));
            let native = native.or_else(|| word(answer, "status"))?;
            #[derive(Deserialize)]
            struct Item {
                r#type: Option<String>,
            }
            let items: Vec<Item> = crate::json::from_str(answer.get("output")?).ok()?;
            let is_call = |item: &Item| {
                let kind = item.r#type.as_deref();
                matches!(kind, Some("function_call" | "custom_tool_call"))
            };
            let has_calls = items.iter().any(is_call);
            let reason = openai_responses::stop_reason(&native).with_calls(has_calls);
            Some(told(native, reason))
        }
    }
}

/// An answer or an event with what is new of it; what the gateway told of the first run is left out. The answer itself stands within
/// some events.
fn again(out: &mut Vec<u8>, json: &str, id: &str, created: u64) {
    let Ok(fields) = Fields::parse(json.as_bytes()) else {
        // The gateway wrote it: it is an object.
        return out.extend_from_slice(json.as_bytes());
    };
    let mut object = ObjectWriter::new(out);
    for (name, value) in &fields.0 {
        match name.as_ref() {
            "id" => object.field("id", id),
            "created" | "created_at" | "completed_at" if value.get() != "null" => {
                object.field(name, &created);
            }
            "message" | "response" if value.get().starts_with('{') => {
                again(object.key(name), value.get(), id, created);
            }
            "usage" if value.get() != "null" => {
                let usage = crate::json::from_str(value.get()).unwrap_or_default();
                put(object.key("usage"), &nothing(usage));
            }
            "openrouter_metadata" => {}
            name => object.raw(name, value.get()),
        }
    }
    object.end();
}

/// The same counts, of nothing.
fn nothing(usage: Value) -> Value {
    match usage {
        Value::Number(_) => 0.into(),
        Value::Bool(_) => false.into(),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            Value::Object(fields.map(|(key, value)| (key, nothing(value))).collect())
        }
        other => other,
    }
}
