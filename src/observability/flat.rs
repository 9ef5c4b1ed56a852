//! A generation as one flat row, for receivers that keep tables: ClickHouse and Snowflake.
//!
//! The columns are OpenRouter's `OPENROUTER_TRACES` as its example queries use them. Variable parts are JSON.

use serde_json::{Map, Value};

use super::trace::{Record, Switches, attributes};
use crate::{identity::keys::hex, time::rfc3339};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Text.
    Text,
    /// A time.
    Time,
    /// A count.
    Count,
    /// Dollars.
    Dollars,
    /// JSON.
    Json,
}

/// The table's columns, in order.
pub const COLUMNS: [(&str, Column); 29] = [
    ("TRACE_ID", Column::Text),
    ("SPAN_ID", Column::Text),
    ("PARENT_SPAN_ID", Column::Text),
    ("GENERATION_ID", Column::Text),
    ("TIMESTAMP", Column::Time),
    ("END_TIMESTAMP", Column::Time),
    ("DURATION_MS", Column::Count),
    ("LATENCY_MS", Column::Count),
    ("SPAN_TYPE", Column::Text),
    ("NAME", Column::Text),
    ("STATUS", Column::Text),
    ("LEVEL", Column::Text),
    ("STATUS_MESSAGE", Column::Text),
    ("MODEL", Column::Text),
    ("PROVIDER_NAME", Column::Text),
    ("FINISH_REASON", Column::Text),
    ("USER_ID", Column::Text),
    ("SESSION_ID", Column::Text),
    ("API_KEY_NAME", Column::Text),
    ("PROMPT_TOKENS", Column::Count),
    ("COMPLETION_TOKENS", Column::Count),
    ("TOTAL_TOKENS", Column::Count),
    ("CACHED_TOKENS", Column::Count),
    ("REASONING_TOKENS", Column::Count),
    ("TOTAL_COST", Column::Dollars),
    ("ATTRIBUTES", Column::Json),
    ("METADATA", Column::Json),
    ("INPUT", Column::Json),
    ("OUTPUT", Column::Json),
];

/// A row: a value for each column; `None` where there is none. Dollars are exact decimal text.
pub fn row(record: &Record, switches: Switches) -> Vec<Option<Value>> {
    let generation = &record.generation;
    let (row, usage) = (&generation.row, &generation.row.usage);
    let (began, ended) = record.times();
    let text = |text: &str| Some(Value::from(text));
    let error = record.error();
    let told = attributes(record, None, switches);
    let told: Map<String, Value> = told
        .into_iter()
        .filter(|(name, _)| !name.ends_with(".messages"))
        .map(|(name, value)| (name, value.into_json()))
        .collect();
    let metadata: Map<String, Value> = record.trace.clone();
    COLUMNS
        .iter()
        .map(|(name, _)| match *name {
            "TRACE_ID" => text(&hex(&record.trace_id())),
            "SPAN_ID" => text(&hex(&record.span_id())),
            "PARENT_SPAN_ID" => text(record.named("parent_span_id")?),
            "GENERATION_ID" => text(&generation.id),
            "TIMESTAMP" => text(&rfc3339(began)),
            "END_TIMESTAMP" => text(&rfc3339(ended)),
            "DURATION_MS" => Some((ended - began).into()),
            "LATENCY_MS" => Some(row.latency_ms?.into()),
            "SPAN_TYPE" => text("GENERATION"),
            "NAME" => text(record.named("generation_name").unwrap_or(&row.model)),
            "STATUS" => text(if error.is_some() { "error" } else { "ok" }),
            "LEVEL" => text(if error.is_some() { "ERROR" } else { "DEFAULT" }),
            "STATUS_MESSAGE" => text(error?),
            "MODEL" => text(&row.model),
            "PROVIDER_NAME" => text(row.provider.as_deref()?),
            "FINISH_REASON" => text(row.finish_reason.as_deref()?),
            "USER_ID" => text(row.origin.external_user.as_deref()?),
            "SESSION_ID" => text(row.origin.session_id.as_deref()?),
            "API_KEY_NAME" => text(&record.key_name),
            "PROMPT_TOKENS" => Some(usage.prompt.into()),
            "COMPLETION_TOKENS" => Some(usage.completion.into()),
            "TOTAL_TOKENS" => Some(usage.total().into()),
            "CACHED_TOKENS" => Some(usage.cache_read.into()),
            "REASONING_TOKENS" => Some(usage.reasoning.into()),
            "TOTAL_COST" => text(&record.cost().to_string()),
            "ATTRIBUTES" => Some(Value::Object(told.clone())),
            "METADATA" => Some(Value::Object(metadata.clone())),
            "INPUT" => Some(record.content.input.clone()?),
            "OUTPUT" => Some(record.content.output.clone()?),
            _ => None,
        })
        .collect()
}
