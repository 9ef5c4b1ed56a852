//! Answers as clients read them: streamed and whole.

use serde_json::{Value, json};

use super::{ChunkWriter, completion, put_usage};
use crate::{
    chat::{Completion, Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat, Usage},
    credits::money::Nanos,
    dialects::report::{Meta, UsageReport, WriterOptions},
    error::Error,
};

fn meta() -> Meta {
    Meta {
        id: "gen-1".into(),
        created: 7,
        model: "a/b".into(),
        provider: "P\"q".into(),
    }
}

fn report() -> UsageReport {
    let nanos = |n: i64| Nanos::new(n).unwrap();
    UsageReport {
        usage: Usage {
            prompt: 135,
            cache_read: 100,
            completion: 5,
            ..Usage::default()
        },
        cost: nanos(158_400),
        list_cost: nanos(158_400),
        is_byok: false,
        prompt_cost: nanos(142_560),
        completion_cost: nanos(15_840),
        cache_discount: Some(nanos(-7)),
        ..UsageReport::default()
    }
}

/// The chunks of a stream; checks that it ends as it has to.
fn chunks(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    let mut events: Vec<&str> = text
        .strip_suffix("\n\n")
        .unwrap()
        .split("\n\n")
        .map(|event| event.strip_prefix("data: ").unwrap())
        .collect();
    assert_eq!(events.pop(), Some("[DONE]"));
    events
        .into_iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect()
}

fn finish(reason: FinishReason, native: &str) -> Event {
    Event::Finish {
        choice: 0,
        reason,
        native: native.into(),
        stop_sequence: None,
    }
}

fn write(events: &[Event], options: WriterOptions) -> Vec<Value> {
    let mut out = Vec::new();
    let mut writer = ChunkWriter::new(&meta(), options);
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(&report(), &mut out);
    chunks(&out)
}

fn call_events() -> Vec<Event> {
    let start = Delta::ToolCallStart {
        index: 0,
        id: "c1".into(),
        name: "f".into(),
    };
    let arguments = Delta::ToolCallArguments {
        index: 0,
        json: "{}".into(),
    };
    let thought = ReasoningDetail::text(ReasoningFormat::AnthropicClaude, 0, "hm");
    vec![
        Event::delta(0, Delta::Reasoning(thought)),
        Event::delta(0, start),
        Event::delta(0, arguments),
        finish(FinishReason::ToolCalls, "tool_use"),
    ]
}

#[test]
fn a_stream_has_its_role_once_and_ends_with_usage() {
    let seen = write(&call_events(), WriterOptions::default());
    let deltas: Vec<_> = seen
        .iter()
        .map(|chunk| chunk["choices"][0]["delta"].clone())
        .collect();
    let expected = [
        // P72: the role comes once, with the first delta.
        json!({"role": "assistant", "reasoning": "hm", "reasoning_details": [
            {"type": "reasoning.text", "text": "hm", "format": "anthropic-claude-v1", "index": 0}]}),
        json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function",
            "function": {"name": "f", "arguments": ""}}]}),
        // P71: a continuation names nothing again.
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        json!({}),
        json!({"content": ""}),
    ];
    assert_eq!(deltas, expected);
    for chunk in &seen {
        assert_eq!(chunk["id"], "gen-1");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["provider"], "P\"q");
    }
    for ended in &seen[3..] {
        assert_eq!(ended["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(ended["choices"][0]["native_finish_reason"], "tool_use");
    }
    assert_eq!(seen[4]["usage"]["total_tokens"], 140);
    assert!(seen[3].get("usage").is_none());
}

#[test]
fn a_choice_finishes_once_however_often_the_host_says_it() {
    let stop = finish(FinishReason::Stop, "end_turn");
    let events = [Event::delta(0, Delta::Text("a".into())), stop.clone(), stop];
    let chunks = write(&events, WriterOptions::default());
    let finishes = chunks.iter().filter(|chunk| chunk["usage"].is_null());
    let finishes = finishes.filter(|chunk| chunk["choices"][0]["finish_reason"] == "stop");
    assert_eq!(finishes.count(), 1);
}

#[test]
fn excluded_reasoning_leaves_no_trace() {
    let options = WriterOptions {
        exclude_reasoning: true,
    };
    let seen = write(&call_events(), options);
    assert_eq!(seen[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(seen.iter().all(|chunk| !chunk.to_string().contains("hm")));

    let folded = Completion::from_events(call_events());
    let body = completion(&meta(), &folded, &report(), options);
    assert!(!String::from_utf8(body).unwrap().contains("hm"));
}

#[test]
fn a_failure_after_the_beginning_is_told_in_band() {
    // P110, P111
    let mut out = Vec::new();
    let mut writer = ChunkWriter::new(&meta(), WriterOptions::default());
    writer.write(&Event::text("Hel"), &mut out);
    let error = Error::from_upstream_status(529, "Overloaded", None);
    writer.error(&error, Some(&report()), &mut out);
    let seen = chunks(&out);
    assert_eq!(seen[1]["error"]["code"], 529);
    assert_eq!(seen[1]["choices"][0]["finish_reason"], "error");
    assert_eq!(seen[1]["usage"]["completion_tokens"], 5);
}

#[test]
fn costs_are_exact_decimals() {
    let mut out = Vec::new();
    put_usage(&mut out, &report());
    let text = String::from_utf8(out).unwrap();
    let expected = "{\"prompt_tokens\":135,\"completion_tokens\":5,\"total_tokens\":140,\"cost\":0.0001584,\"is_byok\":false,\
        \"prompt_tokens_details\":{\"cached_tokens\":100,\"cache_write_tokens\":0,\"audio_tokens\":0},\
        \"cost_details\":{\"upstream_inference_cost\":0.0001584,\"upstream_inference_prompt_cost\":0.00014256,\"upstream_inference_completions_cost\":0.00001584,\"cache_discount\":-0.000000007},\
        \"completion_tokens_details\":{\"reasoning_tokens\":0,\"image_tokens\":0,\"audio_tokens\":0}}";
    assert_eq!(text, expected);
}

#[test]
fn a_whole_answer_has_every_field_in_order() {
    let folded = Completion::from_events(call_events());
    let body = completion(&meta(), &folded, &report(), WriterOptions::default());
    let text = String::from_utf8(body).unwrap();
    // P73: content is null beside calls.
    let expected = "{\"id\":\"gen-1\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"a/b\",\"provider\":\"P\\\"q\",\
        \"system_fingerprint\":null,\"service_tier\":null,\"choices\":[{\"index\":0,\"logprobs\":null,\
        \"finish_reason\":\"tool_calls\",\"native_finish_reason\":\"tool_use\",\"message\":{\"role\":\"assistant\",\"content\":null,\
        \"refusal\":null,\"reasoning\":\"hm\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"hm\",\
        \"format\":\"anthropic-claude-v1\",\"index\":0}],\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\
        \"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}],\"usage\":";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn a_whole_answer_that_broke_says_so_in_its_choice() {
    let error = Error::from_upstream_status(500, "boom", None);
    let folded = Completion::from_events([Event::text("Hel"), Event::Error(error)]);
    let body = completion(&meta(), &folded, &report(), WriterOptions::default());
    let body: Value = serde_json::from_slice(&body).unwrap();
    let choice = &body["choices"][0];
    assert_eq!(choice["message"]["content"], "Hel");
    assert_eq!(choice["finish_reason"], "error");
    assert_eq!(choice["error"]["code"], 502);
}

#[test]
fn fields_that_the_spec_requires_are_null_where_there_is_nothing() {
    // P103: every choice of an answer has these, and every choice of a chunk its finish reason.
    let folded = Completion::from_events([Event::text("hi")]);
    let body = completion(&meta(), &folded, &report(), WriterOptions::default());
    let body: Value = serde_json::from_slice(&body).unwrap();
    let choice = body["choices"][0].as_object().unwrap();
    let message = choice["message"].as_object().unwrap();
    let nulls = |object: &serde_json::Map<String, Value>, keys: &[&str]| {
        keys.iter()
            .all(|key| object.get(*key) == Some(&Value::Null))
    };
    assert!(nulls(choice, &["logprobs", "finish_reason"]), "{choice:?}");
    assert!(nulls(message, &["refusal"]), "{message:?}");
    let called = Completion::from_events(call_events());
    let body = completion(&meta(), &called, &report(), WriterOptions::default());
    let body: Value = serde_json::from_slice(&body).unwrap();
    let message = body["choices"][0]["message"].as_object().unwrap();
    assert!(nulls(message, &["content", "refusal"]), "{message:?}");
    let chunks = write(&[Event::text("hi")], WriterOptions::default());
    let choice = chunks[0]["choices"][0].as_object().unwrap();
    assert!(nulls(choice, &["finish_reason"]), "{choice:?}");
}
