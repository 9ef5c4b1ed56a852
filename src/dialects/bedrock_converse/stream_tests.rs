//! Streams, and that each folds to the same message as the answer in one piece.

use serde_json::{Value, json};

use super::Stream;
use crate::{
    chat::{Choice, Completion, Event, FinishReason, ReasoningKind},
    dialects::eventstream::tests::message,
    error::{ErrorType, Next},
};

fn event(kind: &str, payload: Value) -> Vec<u8> {
    let headers = [
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    message(&headers, payload.to_string().as_bytes())
}

fn exception(kind: &str, payload: &str) -> Vec<u8> {
    let headers = [(":exception-type", kind), (":message-type", "exception")];
    message(&headers, payload.as_bytes())
}

fn begin() -> Vec<u8> {
    event("messageStart", json!({"role": "assistant", "p": "abc"}))
}

fn start(at: u64, start: Value) -> Vec<u8> {
    event(
        "contentBlockStart",
        json!({"contentBlockIndex": at, "start": start}),
    )
}

fn delta(at: u64, delta: Value) -> Vec<u8> {
    event(
        "contentBlockDelta",
        json!({"contentBlockIndex": at, "delta": delta}),
    )
}

fn stop(at: u64) -> Vec<u8> {
    event("contentBlockStop", json!({"contentBlockIndex": at}))
}

fn end(reason: &str) -> Vec<u8> {
    let counts = json!({"usage": {"inputTokens": 9, "outputTokens": 15, "totalTokens": 24}, "metrics": {"latencyMs": 1}});
    [
        event("messageStop", json!({"stopReason": reason})),
        event("metadata", counts),
    ]
    .concat()
}

fn read(messages: &[Vec<u8>]) -> Vec<Event> {
    let mut stream = Stream::default();
    let mut events = Vec::new();
    stream.feed(&messages.concat(), &mut events).unwrap();
    stream.finish(&mut events).unwrap();
    events
}

/// The message of one stream, after checking that the answer in one piece folds to the same.
fn folded(messages: &[Vec<u8>], content: Value, reason: &str) -> Choice {
    let streamed = Completion::from_events(read(messages));
    let whole = json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason,
        "usage": {"inputTokens": 9, "outputTokens": 15, "totalTokens": 24}, "metrics": {"latencyMs": 1}});
    let whole = super::response(whole.to_string().as_bytes()).unwrap();
    let whole = Completion::from_events(whole);
    assert_eq!(streamed.choices, whole.choices);
    assert_eq!(streamed.usage, whole.usage);
    assert!(streamed.done && whole.done);
    streamed.choices.into_iter().next().unwrap()
}

#[test]
fn parallel_calls_stay_whole_and_an_empty_input_is_an_object() {
    // P49, P55, P58, P73
    let choice = folded(
        &[
            begin(),
            start(0, json!({"toolUse": {"toolUseId": "a", "name": "now"}})),
            start(1, json!({"toolUse": {"toolUseId": "b", "name": "add"}})),
            delta(1, json!({"toolUse": {"input": "{\"a\":"}})),
            delta(0, json!({"toolUse": {"input": ""}})),
            delta(1, json!({"toolUse": {"input": "1}"}})),
            stop(0),
            stop(1),
            end("tool_use"),
        ],
        json!([
            {"toolUse": {"toolUseId": "a", "name": "now", "input": {}}},
            {"toolUse": {"toolUseId": "b", "name": "add", "input": {"a": 1}, "type": "tool_use"}},
        ]),
        "tool_use",
    );
    let calls: Vec<_> = choice
        .tool_calls
        .iter()
        .map(|call| (call.id.as_str(), call.arguments.as_str()))
        .collect();
    assert_eq!(calls, [("a", "{}"), ("b", "{\"a\":1}")]);
    assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
    assert_eq!(choice.content, None);
}

#[test]
fn reasoning_keeps_its_signature_and_redacted_content_its_data() {
    // P24, P81, P82, P83
    let choice = folded(
        &[
            begin(),
            delta(0, json!({"reasoningContent": {"text": "Hm"}})),
            delta(0, json!({"reasoningContent": {"text": "m."}})),
            delta(0, json!({"reasoningContent": {"signature": "sig+/="}})),
            stop(0),
            delta(
                1,
                json!({"reasoningContent": {"redactedContent": "b3BhcXVl"}}),
            ),
            stop(1),
            delta(2, json!({"text": "42"})),
            stop(2),
            end("end_turn"),
        ],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "Hmm.", "signature": "sig+/="}}},
            {"reasoningContent": {"redactedContent": "b3BhcXVl"}},
            {"text": "42"},
        ]),
        "end_turn",
    );
    let kinds: Vec<_> = choice.reasoning.iter().map(|block| &block.kind).collect();
    let signed = ReasoningKind::Text {
        text: Some("Hmm.".into()),
        signature: Some("sig+/=".into()),
    };
    let redacted = ReasoningKind::Encrypted {
        data: "b3BhcXVl".into(),
    };
    assert_eq!(kinds, [&signed, &redacted]);
}

#[test]
fn what_the_services_own_tools_did_is_told_as_reasoning() {
    let choice = folded(
        &[
            begin(),
            start(
                0,
                json!({"toolUse": {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"}}),
            ),
            delta(0, json!({"toolUse": {"input": "{\"query\":\"x\"}"}})),
            stop(0),
            start(
                1,
                json!({"toolResult": {"toolUseId": "s", "status": "success", "type": "nova_grounding_result"}}),
            ),
            delta(1, json!({"toolResult": [{"text": "found"}]})),
            stop(1),
            delta(2, json!({"text": "It is "})),
            stop(2),
            delta(
                3,
                json!({"citation": {"location": {"web": {"url": "https://a.example/"}}}}),
            ),
            delta(3, json!({"text": "so."})),
            stop(3),
            end("end_turn"),
        ],
        json!([
            {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use", "input": {"query": "x"}}},
            {"toolResult": {"toolUseId": "s", "status": "success", "content": [{"text": "found"}]}},
            {"text": "It is "},
            {"citationsContent": {"content": [{"text": "so."}], "citations": [{"location": {"web": {"url": "https://a.example/"}}}]}},
        ]),
        "end_turn",
    );
    assert!(choice.tool_calls.is_empty());
    assert_eq!(choice.finish, Some(FinishReason::Stop));
    assert_eq!(
        choice.annotations,
        [
            json!({"type": "url_citation", "url_citation": {"url": "https://a.example/", "start_index": 6, "end_index": 9}})
        ]
    );
    assert_eq!(
        choice.reasoning[0].kind,
        ReasoningKind::ServerToolCall {
            tool_name: "nova_grounding".into(),
            arguments: Some(json!({"query": "x"})),
            result: Some(json!([{"text": "found"}])),
        }
    );
}

#[test]
fn an_exception_is_an_error_wherever_it_comes() {
    // P111, P120
    let slow = exception("throttlingException", r#"{"message":"slow down"}"#);
    let events = read(&[
        begin(),
        delta(0, json!({"text": "Hel"})),
        slow.clone(),
        end("end_turn"),
    ]);
    let [_, _, Event::Error(error)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(
        (error.error_type, error.status, error.next),
        (ErrorType::RateLimitExceeded, 429, Next::NextAttempt)
    );
    assert_eq!(error.message, "slow down");
    assert!(matches!(read(&[slow]).as_slice(), [Event::Error(_)]));
    let failed = message(
        &[
            (":message-type", "error"),
            (":error-code", "InternalError"),
            (":error-message", "oh"),
        ],
        b"",
    );
    let events = read(&[failed]);
    let [Event::Error(error)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((error.status, error.message.as_str()), (502, "oh"));
}

#[test]
fn only_an_answer_that_was_ended_is_done() {
    let text = [begin(), delta(0, json!({"text": "Hi"})), stop(0)];
    assert_ne!(read(&text).last(), Some(&Event::Done));
    let counts = event("metadata", json!({"usage": {"outputTokens": 1}}));
    let early = [&text[..], &[counts]].concat();
    assert!(
        !read(&early).contains(&Event::Done),
        "counts alone end nothing"
    );
    let stopped = event("messageStop", json!({"stopReason": "max_tokens"}));
    let ended = read(&[&text[..], &[stopped]].concat());
    assert_eq!(ended.last(), Some(&Event::Done), "the counts may be absent");
    // P95
    let finish = Completion::from_events(ended).choices[0].finish;
    assert_eq!(finish, Some(FinishReason::Length));
}

#[test]
fn every_native_reason_has_its_meaning() {
    // P93, P95
    for (native, reason) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("guardrail_intervened", FinishReason::ContentFilter),
        ("content_filtered", FinishReason::ContentFilter),
        ("malformed_tool_use", FinishReason::Error),
        ("malformed_model_output", FinishReason::Error),
        ("something_new", FinishReason::Stop),
    ] {
        assert_eq!(super::stop_reason(native), reason, "{native}");
    }
}

#[test]
fn a_turn_that_calls_tools_wants_them_to_run() {
    // P52
    let choice = folded(
        &[
            begin(),
            start(0, json!({"toolUse": {"toolUseId": "a", "name": "now"}})),
            end("end_turn"),
        ],
        json!([{"toolUse": {"toolUseId": "a", "name": "now", "input": {}}}]),
        "end_turn",
    );
    assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
}

#[test]
fn a_body_that_is_no_answer_is_an_error() {
    for body in [
        &b"{}"[..],
        b"[]",
        b"<html>",
        br#"{"message":"Too many requests"}"#,
        br#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#,
    ] {
        assert_eq!(super::response(body).unwrap_err().status, 502);
    }
    let mut stream = Stream::default();
    let broken = message(&[(":event-type", "messageStart")], b"{\"role\":");
    assert!(stream.feed(&broken, &mut Vec::new()).is_err());
}
