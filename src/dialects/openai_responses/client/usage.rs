//! The `usage` of an answer in OpenAI's words, with its cost.

use crate::dialects::{
    openai_chat::client::{put_cost_details, put_dollars, put_parts, put_server_tools},
    report::UsageReport,
    splice::ObjectWriter,
};

/// Appends the `usage` object.
pub(in crate::dialects::openai_responses) fn put_usage(out: &mut Vec<u8>, report: &UsageReport) {
    let usage = &report.usage;
    let mut object = ObjectWriter::new(out);
    object.field("input_tokens", &usage.prompt);
    let mut input = ObjectWriter::new(object.key("input_tokens_details"));
    input.field("cached_tokens", &usage.cache_read);
    input.field("cache_write_tokens", &usage.cache_write());
    input.end();
    object.field("output_tokens", &usage.completion);
    let mut output = ObjectWriter::new(object.key("output_tokens_details"));
    output.field("reasoning_tokens", &usage.reasoning);
    output.end();
    object.field("total_tokens", &usage.total());
    put_dollars(object.key("cost"), report.cost);
    object.field("is_byok", &report.is_byok);
    put_cost_details(object.key("cost_details"), report);
    for key in ["server_tool_use", "server_tool_use_details"] {
        put_server_tools(&mut object, key, report);
    }
    put_parts(&mut object, report);
    object.end();
}
