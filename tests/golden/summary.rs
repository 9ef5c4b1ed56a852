//! What is kept of an answer: its structure, counts, usage, and digests of its texts.

use std::fmt::Write;

use patchbay::{
    chat::{Completion, Delta, Event},
    dialects::{
        openai_chat::client::completion,
        report::{Meta, UsageReport, WriterOptions},
    },
    error::Error,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Length and beginning of the SHA-256 of a text.
fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let mut digest = format!("{} chars ", text.chars().count());
    for byte in hash.iter().take(6) {
        write!(digest, "{byte:02x}").unwrap();
    }
    digest
}

fn digest_value(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) => Value::String(digest(text)),
        value => Value::String(digest(&value.to_string())),
    }
}

/// The kinds of events and how often each came.
fn counts(events: &[Event]) -> Value {
    let mut counts = Map::new();
    for event in events {
        let kind = match event {
            Event::Start { .. } => "start",
            Event::Delta { delta, .. } => match delta {
                Delta::Text(_) => "text",
                Delta::Refusal(_) => "refusal",
                Delta::Reasoning(_) => "reasoning",
                Delta::ToolCallStart { .. } => "call_start",
                Delta::ToolCallArguments { .. } => "call_arguments",
                Delta::Image { .. } => "image",
                Delta::Audio(_) => "audio",
                Delta::Annotation(_) => "annotation",
                Delta::Logprobs(_) => "logprobs",
            },
            Event::Finish { .. } => "finish",
            Event::Usage(_) => "usage",
            Event::Error(_) => "error",
            Event::Done => "done",
        };
        let count = counts.entry(kind).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap() + 1);
    }
    Value::Object(counts)
}

/// An error without its words.
pub fn of_error(error: &Error) -> Value {
    json!({
        "error": {
            "type": error.error_type.as_str(),
            "status": error.status,
            "next": format!("{:?}", error.next),
            "provider_code": error.provider_code,
            "message": digest(&error.message),
            "raw": error.raw.is_some(),
        }
    })
}

/// An answer, as the client reads it.
pub fn of_events(events: &[Event]) -> Value {
    let folded = Completion::from_events(events.iter().cloned());
    let body = completion(
        &Meta::default(),
        &folded,
        &UsageReport::default(),
        WriterOptions::default(),
    );
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mut summary = json!({
        "events": counts(events),
        "model": folded.upstream_model,
        "has_id": folded.upstream_id.is_some(),
        "service_tier": folded.service_tier,
        "choices": body["choices"].as_array().unwrap().iter().zip(&folded.choices)
            .map(|(choice, canonical)| {
                let mut summary = of_choice(choice);
                if let Some(sequence) = &canonical.stop_sequence {
                    summary["stop_sequence"] = digest_value(&json!(sequence));
                }
                summary
            })
            .collect::<Value>(),
        "usage": folded.usage.map(|usage| nonzero(&serde_json::to_value(usage).unwrap())),
    });
    if let Some(error) = &folded.error {
        summary["error"] = of_error(error)["error"].take();
    }
    summary
}

/// Counts that are not zero.
fn nonzero(usage: &Value) -> Value {
    let fields = usage.as_object().unwrap().iter();
    fields
        .filter(|(_, value)| {
            !matches!(value, Value::Null | Value::Bool(false)) && **value != json!(0)
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn of_choice(choice: &Value) -> Value {
    let message = &choice["message"];
    let list = |key: &str| message[key].as_array().cloned().unwrap_or_default();
    let mut summary = json!({
        "finish": choice["finish_reason"],
        "native_finish": choice["native_finish_reason"],
        "content": digest_value(&message["content"]),
    });
    for key in ["refusal", "reasoning"] {
        if !message[key].is_null() {
            summary[key] = digest_value(&message[key]);
        }
    }
    let blocks: Vec<Value> = list("reasoning_details").iter().map(of_block).collect();
    let calls: Vec<Value> = list("tool_calls").iter().map(of_call).collect();
    for (key, items) in [("reasoning_details", blocks), ("tool_calls", calls)] {
        if !items.is_empty() {
            summary[key] = json!(items);
        }
    }
    for key in ["images", "annotations"] {
        let items = list(key);
        if !items.is_empty() {
            summary[key] = json!({"count": items.len(), "digest": digest_value(&json!(items))});
        }
    }
    if let Some(audio) = message["audio"].as_object() {
        summary["audio"] = audio
            .iter()
            .map(|(key, value)| (key.clone(), digest_value(value)))
            .collect();
    }
    if let Some(logprobs) = choice["logprobs"]["content"].as_array() {
        summary["logprobs"] = json!(logprobs.len());
    }
    if !choice["error"].is_null() {
        summary["error"] = json!(true);
    }
    summary
}

fn of_block(block: &Value) -> Value {
    let fields = block.as_object().unwrap().iter();
    fields
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| {
            let is_text = [
                "text",
                "summary",
                "data",
                "signature",
                "arguments",
                "result",
            ]
            .contains(&key.as_str());
            let kept = if is_text {
                digest_value(value)
            } else {
                value.clone()
            };
            (key.clone(), kept)
        })
        .collect()
}

fn of_call(call: &Value) -> Value {
    let arguments = call["function"]["arguments"].as_str().unwrap();
    json!({
        "name": call["function"]["name"],
        "arguments": digest(arguments),
        "is_json": serde_json::from_str::<Value>(arguments).is_ok(),
        "has_id": call["id"].as_str().is_some_and(|id| !id.is_empty()),
    })
}
