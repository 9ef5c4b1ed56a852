//! Anthropic's `usage` object, with what it costs.
//!
//! Anthropic counts fresh input apart from what a cache gave or took (P03, P04); the sum is the prompt.

use crate::{
    chat::Usage,
    dialects::{
        openai_chat::client::{put_cost_details, put_dollars, put_parts, put_server_tools},
        report::UsageReport,
        splice::ObjectWriter,
    },
};

/// The counts that are known when an answer begins.
pub(super) fn put_first(out: &mut Vec<u8>, usage: &Usage) {
    let mut object = ObjectWriter::new(out);
    put_counts(&mut object, usage);
    object.end();
}

/// Appends the whole object; `others` are what the provider said beside it, as JSON text.
pub(in crate::dialects::anthropic_messages) fn put_usage(
    out: &mut Vec<u8>,
    report: &UsageReport,
    others: &[(String, String)],
) {
    let usage = &report.usage;
    let mut object = ObjectWriter::new(out);
    put_counts(&mut object, usage);
    let mut details = ObjectWriter::new(object.key("output_tokens_details"));
    details.field("thinking_tokens", &usage.reasoning);
    details.end();
    for (key, value) in others {
        if !OWN.contains(&key.as_str()) {
            object.raw(key, value);
        }
    }
    if !others.iter().any(|(key, _)| key == "service_tier") {
        object.field("service_tier", "standard");
    }
    put_dollars(object.key("cost"), report.cost);
    object.field("is_byok", &report.is_byok);
    put_cost_details(object.key("cost_details"), report);
    // What the provider itself ran is told in its own words.
    if !others.iter().any(|(key, _)| key == "server_tool_use") {
        put_server_tools(&mut object, "server_tool_use", report);
    }
    put_parts(&mut object, report);
    object.end();
}

/// What the gateway says itself.
const OWN: [&str; 10] = [
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation",
    "output_tokens",
    "output_tokens_details",
    "cost",
    "is_byok",
    "cost_details",
    "parts",
];

fn put_counts(object: &mut ObjectWriter<'_>, usage: &Usage) {
    let cached = usage.cache_read.saturating_add(usage.cache_write());
    object.field("input_tokens", &usage.prompt.saturating_sub(cached));
    object.field("cache_creation_input_tokens", &usage.cache_write());
    object.field("cache_read_input_tokens", &usage.cache_read);
    let mut written = ObjectWriter::new(object.key("cache_creation"));
    written.field("ephemeral_5m_input_tokens", &usage.cache_write_5m);
    written.field("ephemeral_1h_input_tokens", &usage.cache_write_1h);
    written.end();
    object.field("output_tokens", &usage.completion);
}
