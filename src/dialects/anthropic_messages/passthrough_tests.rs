//! Messages in and out: what must change changes, everything else survives.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Passthrough, Stream, WholeMessage,
    client::{grammar, parse_request},
    request,
};
use crate::{
    catalog::{Endpoint, Provider},
    chat::{Delta, Event, FinishReason, Usage},
    dialects::{
        Inbound, NativeRequest, Surface, Target,
        report::{Meta, UsageReport, WriterOptions},
    },
    error::Error,
};

fn meta() -> Meta {
    Meta {
        id: "gen-1".into(),
        created: 7,
        model: "anthropic/claude".into(),
        provider: "Anthropic".into(),
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

fn frames(events: &[Value]) -> String {
    let frame = |event: &Value| {
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap()
        )
    };
    events.iter().map(frame).collect()
}

fn head() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [], "stop_reason": null, "stop_sequence": null, "container": null,
        "usage": {"input_tokens": 12, "output_tokens": 1, "service_tier": "standard", "inference_geo": "global"}}})
}

fn begin(index: u32, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn more(index: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn end(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn last(reason: &str) -> Vec<Value> {
    vec![
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null, "container": {"id": "c"}},
            "usage": {"output_tokens": 34, "server_tool_use": {"web_search_requests": 2}}, "context_management": {"applied_edits": []}}),
        json!({"type": "message_stop"}),
    ]
}

/// What the client gets of a stream, cut at `at`; the relay's events are checked against the reader's.
fn pass(text: &str, at: usize) -> (grammar::Seen, String) {
    let mut pass = Passthrough::new(&meta(), WriterOptions::default());
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let (one, two) = text.as_bytes().split_at(at.min(text.len()));
    pass.feed(one, &mut out, &mut events).unwrap();
    pass.feed(two, &mut out, &mut events).unwrap();
    pass.end(&mut out, &mut events).unwrap();
    let (mut stream, mut expected) = (Stream::new(), Vec::new());
    stream.feed(text.as_bytes(), &mut expected).unwrap();
    stream.finish(&mut expected).unwrap();
    assert_eq!(
        events, expected,
        "the relay sees what it sees of any stream"
    );
    pass.finish(&report(), &mut out);
    (grammar::read(&out), String::from_utf8(out).unwrap())
}

#[test]
fn events_pass_as_they_came_between_the_gateways_head_and_end() {
    let inner = [
        json!({"type": "ping"}),
        begin(
            0,
            json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
        ),
        end(0),
        begin(1, json!({"type": "a_block_to_come", "field": [1.50]})),
        end(1),
        begin(2, json!({"type": "text", "text": "", "citations": []})),
        more(2, json!({"type": "text_delta", "text": "Hi", "new": true})),
        more(
            2,
            json!({"type": "citations_delta", "citation": {"type": "web_search_result_location", "encrypted_index": "E"}}),
        ),
        end(2),
        json!({"type": "an_event_to_come", "x": 1}),
    ];
    let mut events = vec![head()];
    events.extend(inner.clone());
    events.extend(last("pause_turn"));
    let (seen, text) = pass(&frames(&events), 0);
    for event in inner {
        assert!(
            text.contains(&frames(std::slice::from_ref(&event))),
            "{event}"
        );
    }
    let message = seen.message;
    assert_eq!(
        (&message["id"], &message["model"], &message["provider"]),
        (
            &json!("gen-1"),
            &json!("anthropic/claude"),
            &json!("Anthropic")
        )
    );
    assert_eq!(message["stop_reason"], "pause_turn");
    assert_eq!(message["container"], json!({"id": "c"}));
    let usage = &message["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["output_tokens"]),
        (&json!(12), &json!(34))
    );
    assert_eq!(usage["server_tool_use"], json!({"web_search_requests": 2}));
    assert_eq!(usage["inference_geo"], "global");
    assert!(usage["cost"].is_number());
    assert!(text.contains("\"context_management\":{\"applied_edits\":[]}"));
}

#[test]
fn blocks_that_a_host_mixes_up_are_put_in_order() {
    // P58: a host that begins a block before it ended the last one, and one that never ends any.
    let call = |index: u32| {
        begin(
            index,
            json!({"type": "tool_use", "id": format!("toolu_{index}"), "name": "f", "input": {}}),
        )
    };
    let json = |index: u32, text: &str| {
        more(
            index,
            json!({"type": "input_json_delta", "partial_json": text}),
        )
    };
    let mut mixed = vec![
        head(),
        begin(0, json!({"type": "text", "text": ""})),
        more(0, json!({"type": "text_delta", "text": "Both."})),
        end(0),
        call(1),
        json(1, "{\"a\":"),
        call(2),
        json(2, "{\"b\":2}"),
        json(1, "1}"),
        end(1),
        end(2),
    ];
    mixed.extend(last("tool_use"));
    let (seen, _) = pass(&frames(&mixed), 0);
    let content = &seen.message["content"];
    assert_eq!(content[1]["input"], json!({"a": 1}));
    assert_eq!(content[2]["input"], json!({"b": 2}));
    let mut endless = vec![
        head(),
        begin(
            0,
            json!({"type": "thinking", "thinking": "", "signature": ""}),
        ),
        more(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        begin(1, json!({"type": "text", "text": ""})),
        more(1, json!({"type": "text_delta", "text": "Hi"})),
    ];
    endless.extend(last("end_turn"));
    let (seen, _) = pass(&frames(&endless), 0);
    assert_eq!(
        seen.message["content"][1],
        json!({"type": "text", "text": "Hi"})
    );
}

#[test]
fn the_gateway_can_end_what_the_provider_would_go_on_with() {
    let mut pass = Passthrough::new(&meta(), WriterOptions::default());
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let text = frames(&[
        head(),
        begin(0, json!({"type": "text", "text": ""})),
        more(0, json!({"type": "text_delta", "text": "Hi"})),
    ]);
    pass.feed(text.as_bytes(), &mut out, &mut events).unwrap();
    let cut = Event::Finish {
        choice: 0,
        reason: FinishReason::Length,
        native: "max_cost".into(),
        stop_sequence: None,
    };
    pass.write(&[cut], &mut out);
    pass.finish(&report(), &mut out);
    assert_eq!(grammar::read(&out).message["stop_reason"], "max_tokens");
}

#[test]
fn an_error_of_the_upstreams_is_the_relays_to_tell() {
    let mut pass = Passthrough::new(&meta(), WriterOptions::default());
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let error =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let text = frames(&[head(), begin(0, json!({"type": "text", "text": ""})), error]);
    pass.feed(text.as_bytes(), &mut out, &mut events).unwrap();
    let Some(Event::Error(error)) = events.last() else {
        panic!("{events:?}");
    };
    pass.error(error, Some(&report()), &mut out);
    let seen = grammar::read(&out);
    assert_eq!(
        seen.kinds,
        ["message_start", "content_block_start", "error"]
    );
    assert_eq!(seen.error.unwrap()["error"]["type"], "overloaded_error");
    let mut nothing = Vec::new();
    Passthrough::new(&meta(), WriterOptions::default()).error(
        &Error::internal("x"),
        None,
        &mut nothing,
    );
    assert_eq!(grammar::read(&nothing).kinds, ["error"]);
}

#[test]
fn a_whole_answer_keeps_its_content() {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn", "stop_sequence": null,
        "content": [{"type": "a_block_to_come", "n": 1.50}, {"type": "text", "text": "Hi", "citations": [{"encrypted_index": "E"}]}],
        "usage": {"input_tokens": 12, "output_tokens": 34, "iterations": []}, "context_management": {}});
    let text = body.to_string();
    let answer = WholeMessage::read(text.as_bytes()).unwrap();
    let written: Value =
        serde_json::from_slice(&answer.write(&meta(), &report(), WriterOptions::default()))
            .unwrap();
    assert_eq!(written["content"], body["content"]);
    assert_eq!(written["context_management"], json!({}));
    assert_eq!(
        (&written["id"], &written["model"]),
        (&json!("gen-1"), &json!("anthropic/claude"))
    );
    assert_eq!(
        (
            &written["usage"]["input_tokens"],
            &written["usage"]["iterations"]
        ),
        (&json!(12), &json!([]))
    );
    assert!(
        answer
            .events
            .contains(&Event::delta(0, Delta::Text("Hi".into())))
    );
}

fn endpoint(fields: Value) -> Endpoint {
    let mut row = json!({
        "model": "anthropic/claude", "provider": "anthropic", "tag": "anthropic", "upstream_model_id": "claude-x",
        "context_length": 200_000, "prices": crate::credits::pricing::PriceTable::default(),
        "supported_parameters": ["temperature", "top_p", "top_k", "stop", "tools", "tool_choice", "structured_outputs"],
        "input_modalities": ["text"], "output_modalities": ["text"], "reasoning": {"budget": {"min": 1024}, "toggle": true},
    });
    row.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

fn write(raw: &str, endpoint: &Endpoint) -> crate::error::Result<NativeRequest> {
    let provider: Provider = serde_json::from_value(json!({
        "slug": "anthropic", "name": "Anthropic", "dialect": "anthropic_messages", "base_url": "https://a.example",
        "auth": {"kind": "header", "name": "x-api-key"}, "secret": "KEY",
    }))
    .unwrap();
    let mut parsed = parse_request(raw.as_bytes()).unwrap();
    parsed.extra.insert(
        "anthropic_beta".into(),
        json!([
            "context-1m-2025-08-07",
            "oauth-2025-04-20",
            "bad name",
            "context-1m-2025-08-07"
        ]),
    );
    let inbound = Inbound {
        request: &parsed,
        surface: Surface::Messages,
        raw: Some(raw.as_bytes()),
    };
    let target = Target {
        endpoint,
        provider: &provider,
    };
    request(&inbound, &target)
}

fn body(raw: Value, fields: Value) -> Value {
    let written = write(&raw.to_string(), &endpoint(fields)).unwrap();
    serde_json::from_slice(&written.body).unwrap()
}

#[test]
fn the_conversation_and_unknown_fields_go_upstream_as_the_bytes_they_were() {
    // P102: what is meant for Anthropic's billing arrives there.
    let messages =
        r#"[ {"role":"user", "content":[{"type":"text","text":"\u0048i","field_to_come":1.50}]} ]"#;
    let system = r#"[{"type":"text","text":"x-anthropic-billing-header: v=1"},{"type":"text","text":"s","cache_control":{"type":"ephemeral","scope":"global"}}]"#;
    let tools =
        r#"[{"name":"f","input_schema":{"type":"object","x":1.0},"eager_input_streaming":true}]"#;
    let raw = format!(
        r#"{{"model":"anthropic/claude","max_tokens":50,"messages":{messages},"system":{system},"tools":{tools},
        "context_management":{{"edits":[ 1 ]}},"to_come":null,"also_to_come":{{"a": 1}},"provider":{{}},"models":["b/c"],
        "metadata":{{"user_id":"me"}},"speed":"fast","stream":true,"service_tier":"standard_only"}}"#
    );
    let written = write(&raw, &endpoint(json!({}))).unwrap();
    let text = String::from_utf8(written.body).unwrap();
    for kept in [
        messages,
        system,
        tools,
        r#"{"edits":[ 1 ]}"#,
        r#""also_to_come":{"a": 1}"#,
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["model"], "claude-x");
    assert_eq!(
        (&body["stream"], &body["service_tier"]),
        (&json!(true), &json!("standard_only"))
    );
    for gone in ["provider", "models", "speed", "to_come", "anthropic_beta"] {
        assert_eq!(body.get(gone), None, "{gone}");
    }
    assert_ne!(body["metadata"]["user_id"], "me", "who asks is not told");
    assert_eq!(written.dropped, ["speed"]);
    let betas: Vec<_> = written
        .headers
        .iter()
        .filter(|(name, _)| *name == "anthropic-beta")
        .collect();
    assert_eq!(
        betas,
        [&("anthropic-beta", "context-1m-2025-08-07".to_owned())]
    );
}

#[test]
fn the_tier_priority_is_asked_for_as_a_speed_however_the_client_says_it() {
    let ask = |field: Value| {
        let mut raw =
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
        raw.as_object_mut()
            .unwrap()
            .extend(field.as_object().unwrap().clone());
        raw.to_string()
    };
    let fast = endpoint(json!({"provider": "anthropic", "tag": "anthropic/priority"}));
    for field in [
        json!({"speed": "fast"}),
        json!({"service_tier": "priority"}),
        json!({}),
    ] {
        let written = write(&ask(field.clone()), &fast).unwrap();
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!(
            (&body["speed"], body.get("service_tier")),
            (&json!("fast"), None),
            "{field}"
        );
        assert!(written.dropped.is_empty(), "{field}: {:?}", written.dropped);
        let beta = written
            .headers
            .iter()
            .find(|(name, _)| *name == "anthropic-beta");
        assert!(
            beta.unwrap().1.ends_with("fast-mode-2026-02-01"),
            "{field}: {beta:?}"
        );
    }
    // Nobody is asked for what its price is not for.
    for (field, dropped) in [
        (json!({"speed": "fast"}), "speed"),
        (json!({"service_tier": "priority"}), "service_tier"),
    ] {
        let written = write(&ask(field), &endpoint(json!({}))).unwrap();
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!((body.get("speed"), body.get("service_tier")), (None, None));
        assert_eq!(written.dropped, [dropped]);
    }
}

#[test]
fn thinking_goes_in_the_clients_form_where_the_endpoint_knows_it() {
    let ask = |thinking: Value| json!({"model": "m", "max_tokens": 8000, "messages": [{"role": "user", "content": "x"}], "thinking": thinking});
    let budget = json!({"type": "enabled", "budget_tokens": 2000, "display": "summarized"});
    let adaptive = json!({"type": "adaptive", "display": "omitted"});
    let old = json!({});
    let new = json!({"reasoning": {"efforts": ["high", "low"]}});
    assert_eq!(body(ask(budget.clone()), old.clone())["thinking"], budget);
    assert_eq!(
        body(ask(adaptive.clone()), new.clone())["thinking"],
        adaptive
    );
    let translated = body(ask(adaptive), old);
    assert_eq!(
        translated["thinking"],
        json!({"type": "enabled", "budget_tokens": 4000})
    );
    let translated = body(ask(budget), new);
    assert_eq!(translated["thinking"]["type"], "adaptive");
    assert_eq!(translated["output_config"], json!({"effort": "low"}));
    // P89: a budget beyond the answer.
    let large = body(
        ask(json!({"type": "enabled", "budget_tokens": 9000})),
        json!({}),
    );
    assert_eq!(large["thinking"]["budget_tokens"], 7999);
    assert_eq!(
        body(
            ask(json!({"type": "enabled", "budget_tokens": 2000})),
            json!({"reasoning": null})
        )
        .get("thinking"),
        None
    );
    let must = endpoint(json!({"reasoning": {"efforts": ["low"], "mandatory": true}}));
    let off = ask(json!({"type": "disabled"}));
    assert_eq!(write(&off.to_string(), &must).unwrap_err().status, 400);
}

#[test]
fn effort_and_form_keep_what_else_is_in_their_object() {
    let format =
        json!({"type": "json_schema", "schema": {"type": "object", "properties": {}}, "x": 1});
    let ask = json!({"model": "m", "max_tokens": 80, "messages": [{"role": "user", "content": "x"}],
        "output_config": {"effort": "max", "format": format, "task_budget": {"total": 9}}});
    let fields = json!({"reasoning": {"efforts": ["high", "low"]}});
    let written = body(ask.clone(), fields);
    assert_eq!(
        written["output_config"],
        json!({"effort": "high", "format": format, "task_budget": {"total": 9}})
    );
    // An endpoint that does not enforce a form is asked in words.
    let worded = body(ask, json!({"supported_parameters": ["tools"]}));
    assert!(
        worded["system"][0]["text"]
            .as_str()
            .unwrap()
            .contains("JSON Schema")
    );
}

#[test]
fn what_anthropic_would_refuse_is_written_anew() {
    // P69, P87: another provider's signature and another provider's id.
    let raw = json!({"model": "m", "max_tokens": 80, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "tool_use", "id": "functions.f:0", "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions.f:0", "content": "y"}]},
    ]});
    let written = body(raw, json!({}));
    let call = &written["messages"][1]["content"];
    assert_eq!(call.as_array().unwrap().len(), 1);
    assert_eq!(
        call[0]["id"],
        written["messages"][2]["content"][0]["tool_use_id"]
    );
    assert!(
        call[0]["id"]
            .as_str()
            .unwrap()
            .starts_with("functions_f_0_")
    );
}

fn any_frame() -> impl Strategy<Value = Value> {
    let index = 0_u32..3;
    prop_oneof![
        (index.clone(), 0_u8..4).prop_map(|(index, kind)| begin(
            index,
            match kind {
                0 => json!({"type": "text", "text": ""}),
                1 => json!({"type": "thinking", "thinking": "", "signature": ""}),
                2 => json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
                _ => json!({"type": "redacted_thinking", "data": "d"}),
            }
        )),
        index.clone().prop_map(end),
        Just(json!({"type": "ping"})),
    ]
}

proptest! {
    /// Whatever order a host sends its blocks in, the client's stream is legal. Deltas are of their blocks' kinds.
    #[test]
    fn any_order_of_blocks_gives_a_legal_stream(frames_of in proptest::collection::vec(any_frame(), 0..12), at in 0_usize..2000) {
        let mut events = vec![head()];
        let mut kinds = std::collections::BTreeMap::new();
        for frame in frames_of {
            let index = frame["index"].as_u64().unwrap_or(9) as u32;
            if frame["type"] == "content_block_start" {
                kinds.insert(index, frame["content_block"]["type"].as_str().unwrap().to_owned());
            }
            events.push(frame);
            match kinds.get(&index).map(String::as_str) {
                Some("text") => events.push(more(index, json!({"type": "text_delta", "text": "a"}))),
                Some("thinking") => events.push(more(index, json!({"type": "thinking_delta", "thinking": "a"}))),
                Some("tool_use") => events.push(more(index, json!({"type": "input_json_delta", "partial_json": "{}"}))),
                _ => {}
            }
        }
        events.extend(last("end_turn"));
        pass(&frames(&events), at);
    }
}
