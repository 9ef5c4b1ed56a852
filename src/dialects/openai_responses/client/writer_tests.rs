//! What a client reads. That recorded answers are told in legal order is `tests/golden`'s matter.

use serde_json::{Value, json};

use super::{ResponseWriter, sealed, whole};
use crate::{
    chat::{Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat, ReasoningKind, Usage},
    credits::money::Nanos,
    dialects::report::{Meta, UsageReport, WriterOptions},
    error::{Error, ErrorType},
};

fn meta() -> Meta {
    Meta {
        id: "gen-7".into(),
        created: 5,
        model: "a/b".into(),
        provider: "Host".into(),
    }
}

fn report() -> UsageReport {
    UsageReport {
        usage: Usage {
            prompt: 10,
            cache_read: 4,
            completion: 6,
            reasoning: 2,
            ..Usage::default()
        },
        cost: Nanos::new(1_500).unwrap(),
        ..UsageReport::default()
    }
}

fn finish(reason: FinishReason) -> Event {
    Event::Finish {
        choice: 0,
        reason,
        native: "x".into(),
        stop_sequence: None,
    }
}

fn start(index: u32, name: &str) -> Event {
    Event::delta(
        0,
        Delta::ToolCallStart {
            index,
            id: format!("call_{index}"),
            name: name.into(),
        },
    )
}

fn arguments(index: u32, json: &str) -> Event {
    Event::delta(
        0,
        Delta::ToolCallArguments {
            index,
            json: json.into(),
        },
    )
}

/// The events of a stream as (type, data); numbers and the end are asserted.
fn read(bytes: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(bytes).unwrap();
    let events = text.strip_suffix("data: [DONE]\n\n").expect("the end mark");
    let events = events.split_terminator("\n\n").enumerate();
    events
        .map(|(at, event)| {
            let (name, data) = event.split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["sequence_number"], at);
            assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
            (data["type"].as_str().unwrap().to_owned(), data)
        })
        .collect()
}

fn stream(raw: &str, events: &[Event]) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    let mut writer = ResponseWriter::new(&meta(), raw.as_bytes(), WriterOptions::default());
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(&report(), &mut out);
    read(&out)
}

fn kinds(events: &[(String, Value)]) -> Vec<&str> {
    let kinds = events
        .iter()
        .map(|(kind, _)| kind.strip_prefix("response.").unwrap());
    kinds.collect()
}

#[test]
fn text_is_told_in_the_order_that_clients_expect() {
    let events = stream(
        "{}",
        &[
            Event::text("Hel"),
            Event::text("lo"),
            finish(FinishReason::Stop),
            Event::Done,
        ],
    );
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expected);
    let response = &events.last().unwrap().1["response"];
    assert_eq!(response["id"], "gen-7");
    assert_eq!(response["output"][0]["content"][0]["text"], "Hello");
    let usage = &response["usage"];
    assert_eq!(
        (
            &usage["input_tokens"],
            &usage["output_tokens"],
            &usage["total_tokens"]
        ),
        (&json!(10), &json!(6), &json!(16))
    );
    assert_eq!(usage["input_tokens_details"]["cached_tokens"], 4);
    assert_eq!(usage["output_tokens_details"]["reasoning_tokens"], 2);
    assert_eq!(usage["cost"], json!(0.0000015));
}

#[test]
fn the_request_is_repeated() {
    let raw = r#"{"model":"m","input":"a","instructions":"I","temperature":0.50,"tools":[{"type":"function","name":"f"}],"metadata":{"k":"v"},"text":null}"#;
    let body = whole(
        &meta(),
        raw.as_bytes(),
        &[Event::text("x")],
        &report(),
        WriterOptions::default(),
    );
    let text = String::from_utf8(body).unwrap();
    assert!(
        text.contains("\"temperature\":0.50"),
        "the client's own spelling"
    );
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&body["instructions"], &body["metadata"]["k"]),
        (&json!("I"), &json!("v"))
    );
    assert_eq!(body["tools"][0]["name"], "f");
    assert_eq!(body["text"], json!({"format": {"type": "text"}}));
    assert_eq!(
        (&body["store"], &body["previous_response_id"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        (&body["status"], &body["provider"]),
        (&json!("completed"), &json!("Host"))
    );
}

#[test]
fn an_answer_that_met_its_limit_is_incomplete() {
    // P95
    for (reason, told) in [
        (FinishReason::Length, "max_output_tokens"),
        (FinishReason::ContentFilter, "content_filter"),
    ] {
        let events = stream("{}", &[Event::text("x"), finish(reason)]);
        let (kind, data) = events.last().unwrap();
        assert_eq!(kind, "response.incomplete");
        assert_eq!(data["response"]["incomplete_details"]["reason"], told);
        assert_eq!(data["response"]["output"][0]["status"], "incomplete");
    }
}

#[test]
fn a_failure_ends_with_a_terminal_event_whenever_it_comes() {
    // P110, P113: also where nothing has been told yet.
    let overloaded = Error::upstream(ErrorType::ProviderOverloaded, "busy");
    for told in [&[][..], &[Event::text("x")]] {
        let mut out = Vec::new();
        let mut writer = ResponseWriter::new(&meta(), b"{}", WriterOptions::default());
        for event in told {
            writer.write(event, &mut out);
        }
        writer.error(&overloaded, &report(), &mut out);
        let events = read(&out);
        assert_eq!(kinds(&events)[..2], ["created", "in_progress"]);
        let (kind, data) = events.last().unwrap();
        assert_eq!(kind, "response.failed");
        let response = &data["response"];
        assert_eq!(response["error"]["code"], "server_error");
        assert_eq!(response["error_type"], "provider_overloaded");
        assert_eq!(response["output"].as_array().unwrap().len(), told.len());
        assert_eq!(response["usage"]["output_tokens"], 6);
        assert!(
            data["error"].is_null(),
            "SDKs raise what is at the top level"
        );
    }
    let mut out = Vec::new();
    let mut writer = ResponseWriter::new(&meta(), b"{}", WriterOptions::default());
    let too_long = Error::upstream(ErrorType::ContextLengthExceeded, "too long");
    writer.error(&too_long, &report(), &mut out);
    assert_eq!(read(&out).last().unwrap().0, "response.incomplete");
}

#[test]
fn calls_that_grow_side_by_side_each_end_whole() {
    // P49
    let events = stream(
        "{}",
        &[
            start(0, "f"),
            arguments(0, "{\"a\""),
            start(1, "g"),
            arguments(1, "{}"),
            arguments(0, ":1}"),
            start(2, "h"),
            finish(FinishReason::ToolCalls),
        ],
    );
    let done = events
        .iter()
        .filter(|(kind, _)| kind == "response.function_call_arguments.done");
    let done: Vec<_> = done
        .map(|(_, data)| {
            (
                data["output_index"].as_u64().unwrap(),
                data["arguments"].as_str().unwrap(),
            )
        })
        .collect();
    // P55
    assert_eq!(done, [(0, "{\"a\":1}"), (1, "{}"), (2, "{}")]);
    let output = &events.last().unwrap().1["response"]["output"];
    assert_eq!(
        (&output[0]["call_id"], &output[2]["name"]),
        (&json!("call_0"), &json!("h"))
    );
}

#[test]
fn calls_of_custom_tools_have_plain_text() {
    let raw = r#"{"tools":[{"type":"custom","name":"patch"},{"type":"function","name":"f"}]}"#;
    let events = stream(
        raw,
        &[
            start(0, "patch"),
            arguments(0, "{\"input\":\"a \\\""),
            arguments(0, "b\\\"\"}"),
            start(1, "f"),
        ],
    );
    let item = &events.last().unwrap().1["response"]["output"][0];
    assert_eq!(
        (&item["type"], &item["input"]),
        (&json!("custom_tool_call"), &json!("a \"b\""))
    );
    let deltas = events
        .iter()
        .filter(|(kind, _)| kind == "response.custom_tool_call_input.delta");
    assert_eq!(
        deltas
            .map(|(_, data)| data["delta"].as_str().unwrap())
            .collect::<String>(),
        "a \"b\""
    );
}

#[test]
fn calls_of_tools_in_a_namespace_name_both() {
    let raw = r#"{"tools":[{"type":"function","name":"f"},{"type":"namespace","name":"agents","tools":[
        {"type":"function","name":"f"},{"type":"custom","name":"say"}]}]}"#;
    let events = stream(
        raw,
        &[
            start(0, "agents__f"),
            arguments(0, "{}"),
            start(1, "f"),
            arguments(1, "{}"),
            start(2, "agents__say"),
            arguments(2, "{\"input\":\"hi\"}"),
        ],
    );
    let output = &events.last().unwrap().1["response"]["output"];
    let told: Vec<_> = output
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (&item["type"], &item["namespace"], &item["name"]))
        .collect();
    let (call, custom) = (json!("function_call"), json!("custom_tool_call"));
    assert_eq!(
        told,
        [
            (&call, &json!("agents"), &json!("f")),
            (&call, &Value::Null, &json!("f")),
            (&custom, &json!("agents"), &json!("say")),
        ]
    );
    let added = events
        .iter()
        .find(|(kind, _)| kind == "response.output_item.added");
    assert_eq!(added.unwrap().1["item"]["namespace"], "agents");
}

fn block(index: u32, id: Option<&str>, format: ReasoningFormat, kind: ReasoningKind) -> Event {
    let id = id.map(str::to_owned);
    Event::delta(
        0,
        Delta::Reasoning(ReasoningDetail {
            kind,
            format,
            id,
            index: Some(index),
        }),
    )
}

#[test]
fn searches_are_items_of_their_own_with_their_events() {
    let search = |format, arguments, result| {
        let kind = ReasoningKind::ServerToolCall {
            tool_name: "openrouter:web_search".to_owned(),
            arguments: Some(arguments),
            result,
        };
        block(0, Some("ws_7"), format, kind)
    };
    let pages = json!({"results": [{"url": "https://a.example/", "title": "A"}]});
    let native = json!({"action": {"type": "search", "query": "n", "odd": 1}});
    let events = stream(
        "{}",
        &[
            search(ReasoningFormat::Unknown, json!({"query": "q"}), Some(pages)),
            search(
                ReasoningFormat::Unknown,
                json!({"query": "r"}),
                Some(json!({"error": "no"})),
            ),
            search(ReasoningFormat::OpenaiResponses, native.clone(), None),
            Event::text("Found."),
            finish(FinishReason::Stop),
        ],
    );
    assert_eq!(
        kinds(&events)[2..7],
        [
            "output_item.added",
            "web_search_call.in_progress",
            "web_search_call.searching",
            "web_search_call.completed",
            "output_item.done",
        ]
    );
    let output = &events.last().unwrap().1["response"]["output"];
    assert_eq!(
        output[0]["action"],
        json!({"type": "search", "query": "q", "queries": ["q"], "sources": [{"type": "url", "url": "https://a.example/"}]})
    );
    let told: Vec<_> = (0..3)
        .map(|at| (&output[at]["type"], &output[at]["status"]))
        .collect();
    let is = |status: &str| (json!("web_search_call"), json!(status));
    let expected = [is("completed"), is("failed"), is("completed")];
    assert!(
        told.into_iter()
            .eq(expected.iter().map(|(kind, status)| (kind, status)))
    );
    // What a host of Responses ran goes back to it under its own id; nobody else's does.
    assert_eq!(
        (&output[2]["id"], &output[2]["action"]),
        (&json!("ws_7"), &native["action"])
    );
    for (at, is_rewritten) in [(0, true), (2, false)] {
        let body = json!({"model": "a/b", "input": [{"role": "user", "content": "x"}, output[at], {"role": "user", "content": "y"}]});
        let request = super::parse_request(body.to_string().as_bytes()).unwrap();
        assert_eq!(
            (request.has_extensions, request.messages.len()),
            (is_rewritten, 2)
        );
    }
}

#[test]
fn a_reasoning_item_of_openais_comes_back_as_it_was() {
    let native = ReasoningFormat::OpenaiResponses;
    let summary = |summary: &str| ReasoningKind::Summary {
        summary: summary.into(),
    };
    let events = stream(
        "{}",
        &[
            block(0, Some("rs_1"), native.clone(), summary("so")),
            block(0, Some("rs_1"), native.clone(), summary(" on")),
            block(1, Some("rs_1"), native.clone(), summary("and")),
            block(
                2,
                Some("rs_1"),
                native.clone(),
                ReasoningKind::Encrypted { data: "gAA".into() },
            ),
            Event::text("x"),
        ],
    );
    let item = &events.last().unwrap().1["response"]["output"][0];
    let expected = json!({
        "id": "rs_1", "status": "completed", "type": "reasoning", "encrypted_content": "gAA",
        "summary": [{"type": "summary_text", "text": "so on"}, {"type": "summary_text", "text": "and"}],
    });
    assert_eq!(*item, expected);
    let parts = events
        .iter()
        .filter(|(kind, _)| kind == "response.reasoning_summary_part.done");
    assert_eq!(parts.count(), 2);
}

#[test]
fn anothers_signed_thoughts_travel_sealed() {
    // P24, P81
    let claude = ReasoningFormat::AnthropicClaude;
    let text = |text: Option<&str>, signature: Option<&str>| ReasoningKind::Text {
        text: text.map(str::to_owned),
        signature: signature.map(str::to_owned),
    };
    let events = stream(
        "{}",
        &[
            block(0, None, claude.clone(), text(Some("th"), None)),
            block(0, None, claude.clone(), text(Some("ought"), None)),
            block(0, None, claude.clone(), text(None, Some("sig"))),
            block(
                1,
                None,
                claude.clone(),
                ReasoningKind::Encrypted {
                    data: "hidden".into(),
                },
            ),
            Event::text("x"),
        ],
    );
    let output = &events.last().unwrap().1["response"]["output"];
    assert_eq!(output[0]["content"][0]["text"], "thought");
    assert_eq!(output[0]["format"], "anthropic-claude-v1");
    let opened =
        |at: usize| sealed::open(output[at]["encrypted_content"].as_str().unwrap()).unwrap();
    assert_eq!(opened(0)[0].kind, text(Some("thought"), Some("sig")));
    assert_eq!(
        opened(1)[0].kind,
        ReasoningKind::Encrypted {
            data: "hidden".into()
        }
    );
}

#[test]
fn thoughts_that_are_not_wanted_are_not_told() {
    let options = WriterOptions {
        exclude_reasoning: true,
    };
    let thought = block(
        0,
        None,
        ReasoningFormat::Unknown,
        ReasoningKind::Summary {
            summary: "so".into(),
        },
    );
    let body = whole(
        &meta(),
        b"{}",
        &[thought, Event::text("x")],
        &report(),
        options,
    );
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["output"].as_array().unwrap().len(), 1);
}

#[test]
fn an_answer_goes_on_in_the_items_that_the_client_has() {
    let mut out = Vec::new();
    let mut first = ResponseWriter::new(&meta(), b"{}", WriterOptions::default());
    first.write(&Event::text("one "), &mut out);
    let mut second = first.clone();
    second.resume(&Meta {
        provider: "Other".into(),
        ..meta()
    });
    second.write(&Event::text("two"), &mut out);
    second.finish(&report(), &mut out);
    let events = read(&out);
    let response = &events.last().unwrap().1["response"];
    assert_eq!(response["output"][0]["content"][0]["text"], "one two");
    assert_eq!(
        (
            response["output"].as_array().unwrap().len(),
            &response["provider"]
        ),
        (1, &json!("Other"))
    );
}
