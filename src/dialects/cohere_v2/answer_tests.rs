//! Answers: what is read, whole and as a stream.

use serde_json::{Value, json};

use super::{Stream, response};
use crate::{
    chat::{Completion, Event, FinishReason},
    error::ErrorType,
};

fn stream(events: &[Value]) -> Vec<Event> {
    let mut reader = Stream::default();
    let mut read = Vec::new();
    for event in events {
        let kind = event["type"].as_str().unwrap_or_default();
        let frame = format!("event: {kind}\ndata: {event}\n\n");
        reader.feed(frame.as_bytes(), &mut read).unwrap();
    }
    reader.finish(&mut read).unwrap();
    read
}

fn delta(kind: &str, index: u64, message: Value) -> Value {
    json!({"type": kind, "index": index, "delta": {"message": message}})
}

fn end(reason: &str) -> Value {
    let usage = json!({"billed_units": {"input_tokens": 5, "output_tokens": 7}});
    json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}})
}

fn folded(events: &[Event]) -> Completion {
    Completion::from_events(events.iter().cloned())
}

#[test]
fn a_stream_and_the_answer_in_one_piece_say_the_same() {
    let calls = json!([
        {"id": "a_1", "type": "function", "function": {"name": "a", "arguments": "{\"x\":1}"}},
        {"id": "b_2", "type": "function", "function": {"name": "b", "arguments": ""}},
    ]);
    let whole = json!({
        "id": "i", "message": {"role": "assistant", "tool_plan": "I look.", "tool_calls": calls},
        "finish_reason": "TOOL_CALL", "usage": {"billed_units": {"input_tokens": 5, "output_tokens": 7}},
    });
    let start = |id: &str, name: &str| json!({"tool_calls": {"id": id, "type": "function", "function": {"name": name, "arguments": ""}}});
    let piece = |json: &str| json!({"tool_calls": {"function": {"arguments": json}}});
    let pieces = [
        json!({"type": "message-start", "id": "i", "delta": {"message": {"content": [], "tool_plan": ""}}}),
        json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I "}}}),
        json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "look."}}}),
        delta("tool-call-start", 0, start("a_1", "a")),
        delta("tool-call-start", 1, start("b_2", "b")),
        delta("tool-call-delta", 0, piece("{\"x\":")),
        delta("tool-call-delta", 0, piece("1}")),
        json!({"type": "tool-call-end", "index": 1}),
        end("TOOL_CALL"),
    ];
    let read = folded(&stream(&pieces));
    assert_eq!(
        read,
        folded(&response(whole.to_string().as_bytes()).unwrap())
    );
    let choice = &read.choices[0];
    assert_eq!(choice.content.as_deref(), Some("I look."));
    assert_eq!(choice.finish, Some(FinishReason::ToolCalls));
    // P55
    assert_eq!(choice.tool_calls[1].arguments, "{}");
    assert_eq!(read.usage.unwrap().total(), 12);
    assert!(read.done);
}

#[test]
fn citations_point_into_the_text_and_name_their_source() {
    let sources = json!([
        {"type": "document", "id": "doc:0", "document": {"title": "facts.txt", "text": "…"}},
        {"type": "tool", "id": "search_1:0", "tool_output": {"url": "https://example.com/a", "title": "A"}},
    ]);
    let citation = |index: u64, kind: &str| json!({"citations": {"start": 2, "end": 4, "text": "éb", "sources": sources, "type": kind, "content_index": index}});
    let text = |text: &str| json!({"content": {"text": text}});
    let read = folded(&stream(&[
        delta("content-delta", 0, json!({"content": {"thinking": "hm"}})),
        delta("content-delta", 1, text("ä😀")),
        delta("content-delta", 2, text("ééb")),
        delta("citation-start", 0, citation(2, "TEXT_CONTENT")),
        delta("citation-start", 1, citation(0, "THINKING_CONTENT")),
        end("COMPLETE"),
    ]));
    let expected = [
        json!({"type": "file_citation", "file_citation":
            {"filename": "facts.txt", "file_id": "doc:0", "start_index": 4, "end_index": 6}}),
        json!({"type": "url_citation", "url_citation":
            {"url": "https://example.com/a", "title": "A", "start_index": 4, "end_index": 6}}),
    ];
    assert_eq!(read.choices[0].annotations, expected);
    assert_eq!(read.choices[0].reasoning[0].readable(), Some("hm"));
}

#[test]
fn a_generation_that_failed_is_an_error_not_an_answer() {
    // P111, P112
    let failed = json!({"id": "i", "message": {"role": "assistant", "content": []}, "finish_reason": "ERROR"});
    let error = response(failed.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.error_type, ErrorType::ProviderUnavailable);
    let told = response(br#"{"id":"i","message":"no such model"}"#).unwrap_err();
    assert_eq!(told.message, "no such model");
    assert!(response(b"[]").is_err() && response(b"{}").is_err() && response(b"<html>").is_err());

    let ended =
        json!({"type": "message-end", "delta": {"finish_reason": "TIMEOUT", "error": "too slow"}});
    let events = stream(&[
        delta("content-delta", 0, json!({"content": {"text": "a"}})),
        ended,
    ]);
    let read = folded(&events);
    let error = read.error.unwrap();
    assert_eq!(
        (error.error_type, error.message.as_str()),
        (ErrorType::Timeout, "too slow")
    );
    assert!(!read.done && read.choices[0].finish.is_none());

    let alone = stream(&[json!({"message": "internal server error"})]);
    assert!(
        matches!(&alone[..], [Event::Error(error)] if error.message == "internal server error")
    );
}

#[test]
fn a_stream_without_its_end_mark_is_not_done() {
    // P110, P122
    let events = stream(&[delta("content-delta", 0, json!({"content": {"text": "a"}}))]);
    assert!(!folded(&events).done);
    let mut reader = Stream::default();
    assert!(
        reader
            .feed(b"data: {\"type\":\n\n", &mut Vec::new())
            .is_err()
    );
}
