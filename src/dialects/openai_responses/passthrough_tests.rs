//! Responses in and out: what must change changes, everything else survives.

use serde_json::{Value, json};

use super::{Passthrough, Stream, WholeResponse, passes};
use crate::{
    catalog::Quirk,
    chat::{Event, FinishReason, Usage},
    dialects::{
        Surface,
        report::{Meta, UsageReport, WriterOptions},
    },
    error::{Error, ErrorType},
};

fn meta() -> Meta {
    Meta {
        id: "gen-1".into(),
        created: 7,
        model: "openai/gpt".into(),
        provider: "OpenAI".into(),
    }
}

fn report() -> UsageReport {
    UsageReport {
        usage: Usage {
            prompt: 12,
            completion: 34,
            ..Usage::default()
        },
        ..UsageReport::default()
    }
}

const RAW: &[u8] = br#"{"model":"openai/gpt","input":"x","user":"me","metadata":{"a":"1"}}"#;

fn answer(status: &str, output: Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 3, "status": status, "model": "gpt-native", "output": output, "error": null,
        "incomplete_details": null, "user": null, "safety_identifier": "hash", "metadata": {}, "a_field_to_come": [1.50], "usage": null})
}

fn frames(events: &[Value]) -> String {
    let frame = |event: &Value| {
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap()
        )
    };
    events.iter().map(frame).collect()
}

fn numbered(mut events: Vec<Value>) -> Vec<Value> {
    for (at, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = at.into();
    }
    events
}

fn started() -> Vec<Value> {
    vec![
        json!({"type": "response.created", "response": answer("in_progress", json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "msg_9", "type": "message", "status": "in_progress", "role": "assistant", "content": [], "phase": "final"}}),
        json!({"type": "response.content_part.added", "item_id": "msg_9", "output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": ""}}),
        json!({"type": "response.output_text.delta", "item_id": "msg_9", "output_index": 0, "content_index": 0, "delta": "Hi \"you\"", "obfuscation": "xyz"}),
    ]
}

fn pass(text: &str, quirks: &[Quirk]) -> (Passthrough, Vec<u8>, Vec<Event>) {
    let mut pass = Passthrough::new(&meta(), RAW, WriterOptions::default(), quirks);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    pass.feed(text.as_bytes(), &mut out, &mut events).unwrap();
    pass.end(&mut out, &mut events).unwrap();
    let (mut stream, mut expected) = (Stream::new(quirks), Vec::new());
    stream.feed(text.as_bytes(), &mut expected).unwrap();
    stream.finish(&mut expected).unwrap();
    assert_eq!(
        events, expected,
        "the relay sees what it sees of any stream"
    );
    (pass, out, events)
}

/// The events of a stream that has to end as clients expect.
fn read(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    let text = text.strip_suffix("data: [DONE]\n\n").expect("the end mark");
    let events = text.trim_end().split("\n\n").map(|frame| {
        let (name, data) = frame.split_once('\n').unwrap();
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), event["type"].as_str());
        event
    });
    let events: Vec<Value> = events.collect();
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["sequence_number"].as_u64().unwrap())
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let is_last = |event: &Value| {
        matches!(
            event["type"].as_str(),
            Some("response.completed" | "response.incomplete" | "response.failed")
        )
    };
    // P113
    assert_eq!(events.iter().filter(|event| is_last(event)).count(), 1);
    assert!(is_last(events.last().unwrap()));
    events
}

#[test]
fn events_pass_as_they_came_between_the_gateways_ends() {
    let whole = json!({"id": "msg_9", "type": "message", "status": "completed", "role": "assistant", "phase": "final",
        "content": [{"type": "output_text", "text": "Hi \"you\""}]});
    let strange = json!({"id": "x_1", "type": "an_item_to_come", "field": {"n": 1.50}});
    let mut last = answer("completed", json!([whole, strange]));
    last["usage"] = json!({"input_tokens": 5, "output_tokens": 9, "num_sources_used": 3, "cost_in_usd_ticks": 1});
    let mut events = started();
    events.extend([
        json!({"type": "response.output_item.done", "output_index": 0, "item": whole}),
        json!({"type": "an.event.to_come", "x": 1}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": strange}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": strange}),
        json!({"type": "response.completed", "response": last}),
    ]);
    let events = numbered(events);
    let (mut pass, mut out, _) = pass(&frames(&events), &[]);
    pass.finish(&report(), &mut out);
    let text = String::from_utf8(out.clone()).unwrap();
    for event in &events[1..8] {
        assert!(
            text.contains(&frames(std::slice::from_ref(event))),
            "{event}"
        );
    }
    let seen = read(&out);
    assert_eq!(seen.len(), events.len());
    for (event, status) in [(&seen[0], "in_progress"), (&seen[8], "completed")] {
        let response = &event["response"];
        assert_eq!(response["id"], "gen-1");
        assert_eq!(
            (&response["model"], &response["provider"]),
            (&json!("openai/gpt"), &json!("OpenAI"))
        );
        assert_eq!(
            (&response["status"], &response["created_at"]),
            (&json!(status), &json!(3))
        );
        // What hosts are told of a client's user is not what the client said.
        assert_eq!(
            (&response["user"], &response["safety_identifier"]),
            (&json!("me"), &Value::Null)
        );
        assert_eq!(response["metadata"], json!({"a": "1"}));
        assert_eq!(response["a_field_to_come"], json!([1.5]));
    }
    let response = &seen[8]["response"];
    assert_eq!(response["output"], json!([whole, strange]));
    let usage = &response["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["output_tokens"]),
        (&json!(12), &json!(34))
    );
    assert_eq!(
        (&usage["num_sources_used"], usage.get("cost_in_usd_ticks")),
        (&json!(3), None)
    );
    assert!(usage["cost"].is_number());
}

#[test]
fn an_answer_that_breaks_off_ends_with_all_that_was_told() {
    // P113
    for (kind, end, status) in [
        (ErrorType::ProviderUnavailable, "response.failed", "failed"),
        (
            ErrorType::MaxTokensExceeded,
            "response.incomplete",
            "incomplete",
        ),
    ] {
        let (mut pass, mut out, _) = pass(&frames(&numbered(started())), &[]);
        pass.error(&Error::upstream(kind, "gone"), &report(), &mut out);
        let seen = read(&out);
        let last = seen.last().unwrap();
        assert_eq!(last["type"], end);
        let response = &last["response"];
        assert_eq!(
            (&response["status"], &response["id"]),
            (&json!(status), &json!("gen-1"))
        );
        assert_eq!(response["output"][0]["content"][0]["text"], "Hi \"you\"");
        assert_eq!(
            (
                &response["output"][0]["status"],
                &response["output"][0]["phase"]
            ),
            (&json!("incomplete"), &json!("final"))
        );
        assert_eq!(response["error"].is_null(), status == "incomplete");
        assert_eq!(response["usage"]["input_tokens"], 12);
    }
}

#[test]
fn the_gateway_can_end_what_the_provider_would_go_on_with() {
    let mut events = started();
    events.push(json!({"type": "response.output_item.added", "output_index": 1, "item": {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""}}));
    events.push(json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 1, "delta": "{\"a\":"}));
    let (mut pass, mut out, _) = pass(&frames(&numbered(events)), &[]);
    let cut = Event::Finish {
        choice: 0,
        reason: FinishReason::Length,
        native: "max_cost".into(),
        stop_sequence: None,
    };
    pass.write(&[cut, Event::Done], &mut out);
    pass.finish(&report(), &mut out);
    let seen = read(&out);
    let kinds: Vec<&str> = seen[6..]
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.incomplete",
        ]
    );
    let response = &seen.last().unwrap()["response"];
    assert_eq!(
        response["incomplete_details"]["reason"],
        "max_output_tokens"
    );
    assert_eq!(response["output"][1]["arguments"], "{\"a\":");
}

#[test]
fn what_a_host_leaves_out_is_added() {
    // Events without numbers, and a last event without the items that were told before.
    let mut events = started();
    let whole = json!({"id": "msg_9", "type": "message", "content": [{"type": "output_text", "text": "Hi"}]});
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": whole}));
    events.push(json!({"type": "response.completed", "response": answer("completed", json!([]))}));
    let (mut pass, mut out, _) = pass(&frames(&events), &[]);
    pass.finish(&report(), &mut out);
    let seen = read(&out);
    assert_eq!(seen.len(), events.len());
    let response = &seen.last().unwrap()["response"];
    assert_eq!(response["output"], json!([whole]));
    // What the request said, where the host does not repeat it.
    assert_eq!(
        (&response["instructions"], &response["tool_choice"]),
        (&Value::Null, &json!("auto"))
    );
    assert!(response.get("instructions").is_some());
}

#[test]
fn a_host_that_says_nothing_of_its_answer_first_is_written_anew() {
    let mut events = started()[1..].to_vec();
    events.push(json!({"type": "response.completed", "response": answer("completed", json!([]))}));
    let (mut pass, mut out, _) = pass(&frames(&numbered(events)), &[]);
    pass.finish(&report(), &mut out);
    let seen = read(&out);
    assert_eq!(seen[0]["type"], "response.created");
    assert_eq!(
        seen.last().unwrap()["response"]["output"][0]["content"][0]["text"],
        "Hi \"you\""
    );
}

#[test]
fn reasoning_that_another_host_sealed_says_whose_it_is() {
    // P87: it goes back to that host and to nobody else.
    let sealed =
        json!({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "E"});
    let events = numbered(vec![
        json!({"type": "response.created", "response": answer("in_progress", json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": sealed}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": sealed}),
        json!({"type": "response.completed", "response": answer("completed", json!([sealed]))}),
    ]);
    for (quirks, label) in [
        (&[][..], None),
        (&[Quirk::XaiReasoning][..], Some("xai-responses-v1")),
    ] {
        let (mut pass, mut out, _) = pass(&frames(&events), quirks);
        pass.finish(&report(), &mut out);
        let seen = read(&out);
        for item in [
            &seen[1]["item"],
            &seen[2]["item"],
            &seen[3]["response"]["output"][0],
        ] {
            assert_eq!(item["format"].as_str(), label);
        }
        let body = answer("completed", json!([sealed])).to_string();
        let whole = WholeResponse::read(body.as_bytes(), quirks).unwrap();
        let whole: Value =
            serde_json::from_slice(&whole.write(&meta(), RAW, &report(), WriterOptions::default()))
                .unwrap();
        assert_eq!(whole["output"][0]["format"].as_str(), label);
        assert_eq!(
            (&whole["id"], &whole["a_field_to_come"]),
            (&json!("gen-1"), &json!([1.5]))
        );
    }
}

#[test]
fn tools_of_plain_text_and_hidden_reasoning_are_written_anew() {
    let check = |body: Value| {
        let raw = body.to_string().into_bytes();
        passes(&Surface::Responses.parse(&raw).unwrap(), &raw)
    };
    assert!(check(
        json!({"model": "m", "input": "x", "tools": [{"type": "function", "name": "f"}]})
    ));
    assert!(!check(
        json!({"model": "m", "input": "x", "tools": [{"type": "custom", "name": "f"}]})
    ));
    assert!(!check(
        json!({"model": "m", "input": "x", "reasoning": {"exclude": true}})
    ));
}
