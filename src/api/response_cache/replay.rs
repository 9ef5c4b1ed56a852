//! An answer as it is kept, and as it is given again: under a new id and time, with a usage of nothing.

use serde::{Deserialize, Serialize};

use super::Facts;
use crate::dialects::{
    openai_chat::client::put_usage,
    report::UsageReport,
    splice::{Fields, ObjectWriter},
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

/// What is read of a choice.
#[derive(Deserialize)]
struct Ending {
    finish_reason: Option<String>,
    native_finish_reason: Option<String>,
}

impl Entry {
    /// The entry of an answer that has just ended. `time` is now in unix milliseconds, and the lifetime in seconds.
    pub(super) fn new(
        source: &str,
        time: (u64, u64),
        stream: bool,
        facts: Facts,
        body: String,
    ) -> Self {
        let ending = if stream {
            // The chunk with the usage, the last one, repeats how the answer ended.
            events(&body).filter_map(ending).last()
        } else {
            ending(&body)
        };
        let (finish, native_finish) = ending.map_or((None, None), |it| {
            (it.finish_reason, it.native_finish_reason)
        });
        let (at_ms, ttl_s) = time;
        Self {
            source: source.to_owned(),
            at_ms,
            until_ms: at_ms.saturating_add(ttl_s.saturating_mul(1_000)),
            model: facts.model,
            provider: facts.provider,
            endpoint: facts.endpoint,
            finish,
            native_finish,
            body,
        }
    }

    /// Reads the text of the store.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (facts, body) = text.split_once('\n')?;
        let entry: Self = serde_json::from_str(facts).ok()?;
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

    /// The answer as a stream: the same chunks, without the comments between them.
    pub(super) fn stream(&self, id: &str, created: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len());
        for event in events(&self.body) {
            out.extend_from_slice(b"data: ");
            again(&mut out, event, id, created);
            out.extend_from_slice(b"\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        out
    }
}

/// The JSON texts of a stream.
fn events(stream: &str) -> impl Iterator<Item = &str> {
    let data = stream
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
}

fn ending(json: &str) -> Option<Ending> {
    let fields = Fields::parse(json.as_bytes()).ok()?;
    let choices: Vec<Ending> = serde_json::from_str(fields.get("choices")?).ok()?;
    choices
        .into_iter()
        .next()
        .filter(|choice| choice.finish_reason.is_some())
}

/// An answer or a chunk with what is new of it; what the gateway told of the first run is left out.
fn again(out: &mut Vec<u8>, json: &str, id: &str, created: u64) {
    let Ok(fields) = Fields::parse(json.as_bytes()) else {
        // The gateway wrote it: it is an object.
        return out.extend_from_slice(json.as_bytes());
    };
    let mut object = ObjectWriter::new(out);
    for (name, value) in &fields.0 {
        match name.as_ref() {
            "id" => object.field("id", id),
            "created" => object.field("created", &created),
            "usage" if value.get() != "null" => {
                put_usage(object.key("usage"), &UsageReport::default())
            }
            "openrouter_metadata" => {}
            name => object.raw(name, value.get()),
        }
    }
    object.end();
}
