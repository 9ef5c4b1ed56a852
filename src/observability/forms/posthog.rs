//! PostHog's capture API: a batch of `$ai_generation` events.
//!
//! An event's `uuid` follows from the generation, so that PostHog drops what it has already. Spec:
//! <https://posthog.com/docs/api/capture>, <https://posthog.com/docs/llm-analytics/generations>; how the client's `trace` is
//! passed on is OpenRouter's page for PostHog.

use serde_json::{Map, Value, json};

use super::Target;
use crate::{
    identity::keys::hex,
    observability::{
        ids::digest,
        otlp::Any,
        port::Outgoing,
        trace::{Record, attributes},
    },
    time::rfc3339,
};

/// How deep values of the client's may nest.
const MAX_DEPTH: u32 = 3;

pub(super) fn request(target: &Target<'_>, records: &[&Record]) -> Outgoing {
    let (kind, config) = (target.kind, target.config);
    let events: Vec<Value> = records.iter().map(|record| event(record, target)).collect();
    let body = json!({"api_key": config.word(kind, "apiKey"), "batch": events});
    Outgoing {
        method: "POST",
        url: format!("{}/batch/", config.word(kind, "endpoint")),
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.to_string().into_bytes(),
        gzip: false,
    }
}

fn event(record: &Record, target: &Target<'_>) -> Value {
    let generation = &record.generation;
    let (row, usage) = (&generation.row, &generation.row.usage);
    let (began, ended) = record.times();
    let mut of = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            of.insert(name.to_owned(), value);
        }
    };
    let trace_id = hex(&record.trace_id());
    // Without a user the event belongs to nobody: no profile is made for it.
    let person = row.origin.external_user.as_deref();
    put("distinct_id", person.unwrap_or(&trace_id).into());
    if person.is_none() {
        put("$process_person_profile", false.into());
    }
    put(
        "$ai_trace_id",
        record
            .named("trace_id")
            .map_or(trace_id.clone(), safe)
            .into(),
    );
    put("$ai_session_id", row.origin.session_id.clone().into());
    put("$ai_span_id", hex(&record.span_id()).into());
    put(
        "$ai_span_name",
        record.named("generation_name").unwrap_or(&row.model).into(),
    );
    put("$ai_parent_id", record.named("parent_span_id").into());
    put("trace_name", record.named("trace_name").into());
    put("$ai_model", row.model.as_str().into());
    put("$ai_provider", record.provider().into());
    put("$ai_input_tokens", usage.prompt.into());
    put("$ai_output_tokens", usage.completion.into());
    put("$ai_cache_read_input_tokens", usage.cache_read.into());
    put(
        "$ai_cache_creation_input_tokens",
        usage.cache_write().into(),
    );
    put("$ai_reasoning_tokens", usage.reasoning.into());
    put("$ai_total_cost_usd", number(record));
    put("$ai_latency", seconds(ended - began));
    put(
        "$ai_time_to_first_token",
        row.latency_ms.map(seconds).into(),
    );
    put("$ai_stream", row.streamed.into());
    put("$ai_is_error", record.error().is_some().into());
    put("$ai_error", record.error().into());
    put("$ai_stop_reason", row.finish_reason.clone().into());
    let status = row
        .attempts
        .last()
        .map(|attempt| attempt.status)
        .filter(|status| *status > 0);
    put("$ai_http_status", status.into());
    put("$ai_input", record.content.input.clone().into());
    let choices = record.content.output.clone().map(|output| match output {
        Value::Array(_) => output,
        one => Value::Array(vec![one]),
    });
    put("$ai_output_choices", choices.into());
    for (name, value) in attributes(record, None, target.switches) {
        if name.starts_with("patchbay.") {
            put(&name.replace('.', "_"), value.into_json());
        }
    }
    for (key, value) in record.metadata() {
        put(&format!("metadata_{key}"), flattened(value, 1));
    }
    json!({
        "event": "$ai_generation",
        "uuid": uuid(&generation.id),
        "timestamp": rfc3339(ended),
        "properties": of,
    })
}

/// The cost as a JSON number, read from its exact text.
fn number(record: &Record) -> Value {
    Any::dollars(record.cost()).into_json()
}

fn seconds(ms: i64) -> Value {
    let text = format!("{}.{:03}", ms.max(0) / 1_000, ms.max(0) % 1_000);
    text.parse::<f64>().unwrap_or_default().into()
}

/// Only characters that PostHog takes in a trace's id.
fn safe(id: &str) -> String {
    id.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_~.@()!':|".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

fn flattened(value: &Value, depth: u32) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) if depth > MAX_DEPTH => "[truncated]".into(),
        Value::Array(items) => items
            .iter()
            .map(|item| flattened(item, depth + 1))
            .collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), flattened(value, depth + 1)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// The event's id.
fn uuid(generation: &str) -> String {
    super::uuid(digest(&["event", generation]))
}
