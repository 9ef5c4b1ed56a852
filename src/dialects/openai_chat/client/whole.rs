//! The whole answer as one chat completion, and the `usage` object that ends streams and answers alike.

use super::{
    error::put_error,
    writer::{put_call, put_image, put_reasoning},
};
use crate::{
    chat::{Choice, Completion, FinishReason, ReasoningDetail, ToolCall},
    credits::money::Nanos,
    dialects::{
        report::{Meta, UsageReport, WriterOptions},
        splice::{ObjectWriter, put_array},
    },
    error::Error,
};

/// The whole answer as one `chat.completion`.
pub fn completion(
    meta: &Meta,
    completion: &Completion,
    report: &UsageReport,
    options: WriterOptions,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    let mut object = ObjectWriter::new(&mut body);
    object.field("id", &meta.id);
    object.field("object", "chat.completion");
    object.field("created", &meta.created);
    object.field("model", &meta.model);
    object.field("provider", &meta.provider);
    object.field("system_fingerprint", &completion.system_fingerprint);
    object.field("service_tier", &completion.service_tier);
    put_array(
        object.key("choices"),
        completion.choices.iter().enumerate(),
        |out, (index, choice)| {
            // Nobody can tell which of several answers a failure cut: the first one carries it.
            let error = completion.error.as_ref().filter(|_| index == 0);
            put_choice(out, index, choice, error, options);
        },
    );
    put_usage(object.key("usage"), report);
    object.optional("openrouter_metadata", report.routing.as_ref());
    object.end();
    body
}

fn put_choice(
    out: &mut Vec<u8>,
    index: usize,
    choice: &Choice,
    error: Option<&Error>,
    options: WriterOptions,
) {
    let mut object = ObjectWriter::new(out);
    object.field("index", &index);
    object.field("logprobs", &choice.logprobs);
    let reason = error.map_or(choice.finish, |_| Some(FinishReason::Error));
    object.field("finish_reason", &reason.map(FinishReason::as_str));
    object.field("native_finish_reason", &choice.native_finish);
    put_message(object.key("message"), choice, options);
    if let Some(error) = error {
        put_error(object.key("error"), error);
    }
    object.end();
}

fn put_message(out: &mut Vec<u8>, choice: &Choice, options: WriterOptions) {
    let mut message = ObjectWriter::new(out);
    message.field("role", "assistant");
    message.field("content", &choice.content);
    message.field("refusal", &choice.refusal);
    let reasoning: &[ReasoningDetail] = if options.exclude_reasoning {
        &[]
    } else {
        &choice.reasoning
    };
    let words: Vec<&str> = reasoning
        .iter()
        .filter_map(ReasoningDetail::readable)
        .collect();
    let words = (!words.is_empty()).then(|| words.concat());
    message.field("reasoning", &words);
    if !reasoning.is_empty() {
        put_array(message.key("reasoning_details"), reasoning, put_reasoning);
    }
    if !choice.tool_calls.is_empty() {
        put_array(
            message.key("tool_calls"),
            &choice.tool_calls,
            |out,
             ToolCall {
                 id,
                 name,
                 arguments,
             }| {
                let mut call = ObjectWriter::new(out);
                put_call(&mut call, id, name, arguments);
                call.end();
            },
        );
    }
    if !choice.images.is_empty() {
        put_array(message.key("images"), &choice.images, put_image);
    }
    message.optional("audio", choice.audio.as_ref());
    if !choice.annotations.is_empty() {
        message.field("annotations", &choice.annotations);
    }
    message.end();
}

/// Appends the `usage` object.
pub fn put_usage(out: &mut Vec<u8>, report: &UsageReport) {
    let usage = &report.usage;
    let mut object = ObjectWriter::new(out);
    object.field("prompt_tokens", &usage.prompt);
    object.field("completion_tokens", &usage.completion);
    object.field("total_tokens", &usage.total());
    put_dollars(object.key("cost"), report.cost);
    object.field("is_byok", &report.is_byok);
    let mut prompt = ObjectWriter::new(object.key("prompt_tokens_details"));
    prompt.field("cached_tokens", &usage.cache_read);
    prompt.field("cache_write_tokens", &usage.cache_write());
    prompt.field("audio_tokens", &usage.audio_in);
    prompt.end();
    put_cost_details(object.key("cost_details"), report);
    let mut completion = ObjectWriter::new(object.key("completion_tokens_details"));
    completion.field("reasoning_tokens", &usage.reasoning);
    completion.field("image_tokens", &usage.image_out);
    completion.field("audio_tokens", &usage.audio_out);
    completion.end();
    // The documentation and the SDKs of the API call the same object by two names.
    for key in ["server_tool_use", "server_tool_use_details"] {
        put_server_tools(&mut object, key, report);
    }
    put_parts(&mut object, report);
    object.end();
}

/// Tools that the gateway ran, where it ran any.
pub(in crate::dialects) fn put_server_tools(
    object: &mut ObjectWriter<'_>,
    key: &str,
    report: &UsageReport,
) {
    if let Some(tools) = &report.server_tools {
        let mut counts = ObjectWriter::new(object.key(key));
        counts.field("web_search_requests", &tools.web_search_requests);
        counts.field("web_fetch_requests", &tools.web_fetch_requests);
        counts.field("tool_calls_requested", &tools.calls_requested);
        counts.field("tool_calls_executed", &tools.calls_executed);
        counts.end();
    }
}

/// Who wrote which part, where several providers wrote the answer.
pub(in crate::dialects) fn put_parts(object: &mut ObjectWriter<'_>, report: &UsageReport) {
    if !report.parts.is_empty() {
        put_array(object.key("parts"), &report.parts, |out, part| {
            let mut object = ObjectWriter::new(out);
            object.field("provider", &part.provider);
            object.field("prompt_tokens", &part.usage.prompt);
            object.field("completion_tokens", &part.usage.completion);
            put_dollars(object.key("cost"), part.cost);
            object.end();
        });
    }
}

/// Appends what the cost consists of.
pub(in crate::dialects) fn put_cost_details(out: &mut Vec<u8>, report: &UsageReport) {
    let mut cost = ObjectWriter::new(out);
    put_dollars(cost.key("upstream_inference_cost"), report.list_cost);
    put_dollars(
        cost.key("upstream_inference_prompt_cost"),
        report.prompt_cost,
    );
    put_dollars(
        cost.key("upstream_inference_completions_cost"),
        report.completion_cost,
    );
    if let Some(saved) = report.cache_discount {
        put_dollars(cost.key("cache_discount"), saved);
    }
    if let Some(hedge) = report.hedge_cost {
        put_dollars(cost.key("hedge_cost"), hedge);
    }
    if let Some(tools) = &report.server_tools {
        put_dollars(cost.key("server_tool_cost"), tools.cost);
        if tools.executions > Nanos::ZERO {
            put_dollars(cost.key("tool_executions_cost"), tools.executions);
        }
    }
    cost.end();
}

/// An amount as an exact decimal JSON number.
pub(in crate::dialects) fn put_dollars(out: &mut Vec<u8>, amount: Nanos) {
    out.extend_from_slice(amount.to_string().as_bytes());
}
