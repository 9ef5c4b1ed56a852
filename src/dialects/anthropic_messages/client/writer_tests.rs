//! Any events give a legal stream, and the message that a client makes of it is the message in one piece.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{
    MessageWriter,
    grammar::{self, Seen},
    message, parse_request,
};
use crate::{
    chat::{
        Delta, Event, FinishReason, Part, ReasoningDetail, ReasoningFormat, ReasoningKind, Usage,
    },
    dialects::report::{Meta, UsageReport, WriterOptions},
    error::{Error, ErrorType},
};

fn meta() -> Meta {
    Meta {
        id: "gen-1".into(),
        created: 7,
        model: "a/b".into(),
        provider: "P".into(),
    }
}

fn report() -> UsageReport {
    UsageReport {
        usage: Usage {
            prompt: 100,
            cache_read: 60,
            cache_write_5m: 10,
            cache_write_1h: 5,
            completion: 9,
            reasoning: 4,
            ..Usage::default()
        },
        ..UsageReport::default()
    }
}

fn stream_with(events: &[Event], options: WriterOptions) -> Seen {
    let mut writer = MessageWriter::new(&meta(), options);
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(&report(), &mut out);
    grammar::read(&out)
}

/// The message, after checking that its stream says the same.
fn both_with(events: &[Event], options: WriterOptions) -> Value {
    let streamed = stream_with(events, options).message;
    let whole = message(&meta(), events, &report(), options);
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(streamed, whole);
    whole
}

fn both(events: &[Event]) -> Value {
    both_with(events, WriterOptions::default())
}

fn start(index: u32, id: &str, name: &str) -> Event {
    let (id, name) = (id.to_owned(), name.to_owned());
    Event::delta(0, Delta::ToolCallStart { index, id, name })
}

fn arguments(index: u32, json: &str) -> Event {
    let json = json.to_owned();
    Event::delta(0, Delta::ToolCallArguments { index, json })
}

fn finish(reason: FinishReason, native: &str) -> Event {
    Event::Finish {
        choice: 0,
        reason,
        native: native.into(),
        stop_sequence: None,
    }
}

fn thought(format: ReasoningFormat, text: &str, signature: Option<&str>) -> Event {
    let kind = ReasoningKind::Text {
        text: Some(text.into()),
        signature: signature.map(str::to_owned),
    };
    reasoning(kind, format, None)
}

fn reasoning(kind: ReasoningKind, format: ReasoningFormat, id: Option<&str>) -> Event {
    let detail = ReasoningDetail {
        kind,
        format,
        id: id.map(str::to_owned),
        index: Some(0),
    };
    Event::delta(0, Delta::Reasoning(detail))
}

#[test]
fn calls_that_providers_interleave_are_blocks_one_after_another() {
    // P49, P57, P58
    let answer = both(&[
        Event::text("Let me look."),
        start(0, "call.0", "look"),
        arguments(0, "{\"at\":\"{"),
        start(1, "call.1", "now"),
        Event::text(" Meanwhile."),
        arguments(1, "{}"),
        arguments(0, "\"}"),
        finish(FinishReason::ToolCalls, "tool_calls"),
    ]);
    let content = answer["content"].as_array().unwrap();
    let kinds: Vec<_> = content.iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["text", "tool_use", "tool_use", "text"]);
    assert_eq!(content[1]["input"], json!({"at": "{"}));
    assert_eq!(content[2]["input"], json!({}));
    assert_eq!(answer["stop_reason"], "tool_use");
    // P69: ids in the characters that the API takes.
    for call in &content[1..3] {
        let id = call["id"].as_str().unwrap();
        assert!(
            id.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        );
    }
}

#[test]
fn a_call_without_arguments_has_an_empty_object_and_a_broken_one_stays_readable() {
    // P55
    let answer = both(&[
        start(0, "a", "now"),
        start(1, "b", "look"),
        arguments(1, "{\"x\""),
    ]);
    assert_eq!(answer["content"][0]["input"], json!({}));
    assert_eq!(
        answer["content"][1]["input"],
        json!({"INVALID_JSON": "{\"x\""})
    );
}

#[test]
fn a_signature_comes_once_and_last_and_foreign_reasoning_comes_back_to_its_own_provider() {
    // P81, P82, P84
    let events = [
        thought(ReasoningFormat::GoogleGemini, "hm", None),
        thought(ReasoningFormat::GoogleGemini, "m", Some("si")),
        thought(ReasoningFormat::GoogleGemini, "", Some("g")),
        reasoning(
            ReasoningKind::Encrypted {
                data: "opaque".into(),
            },
            ReasoningFormat::GoogleGemini,
            Some("call_0"),
        ),
        start(0, "call_0", "look"),
        arguments(0, "{}"),
        finish(FinishReason::ToolCalls, "STOP"),
    ];
    let answer = both(&events);
    let turns = json!({"model": "m", "messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": "y"}]},
    ]});
    let request = parse_request(turns.to_string().as_bytes()).unwrap();
    assert!(
        request.has_extensions,
        "Anthropic would refuse Gemini's signature"
    );
    let [
        Part::Reasoning(words),
        Part::Reasoning(seal),
        Part::ToolCall { .. },
    ] = request.messages[1].parts.as_slice()
    else {
        panic!("{:?}", request.messages[1]);
    };
    assert_eq!(words.format, ReasoningFormat::GoogleGemini);
    let kind = ReasoningKind::Text {
        text: Some("hmm".into()),
        signature: Some("sig".into()),
    };
    assert_eq!(words.kind, kind);
    assert_eq!(
        seal.kind,
        ReasoningKind::Encrypted {
            data: "opaque".into()
        }
    );
    assert_eq!(seal.id.as_deref(), Some("call_0"));
}

#[test]
fn excluded_words_leave_their_signatures() {
    let options = WriterOptions {
        exclude_reasoning: true,
    };
    let claude = || ReasoningFormat::AnthropicClaude;
    let signed = [
        thought(claude(), "secret", None),
        thought(claude(), "", Some("sig")),
        Event::text("a"),
    ];
    let answer = both_with(&signed, options);
    let expected = json!([{"type": "thinking", "thinking": "", "signature": "sig"}, {"type": "text", "text": "a"}]);
    assert_eq!(answer["content"], expected);
    let unsigned = [
        thought(ReasoningFormat::Unknown, "secret", None),
        Event::text("a"),
    ];
    assert_eq!(
        both_with(&unsigned, options)["content"],
        json!([{"type": "text", "text": "a"}])
    );
}

#[test]
fn the_end_is_told_in_anthropics_words() {
    // P92, P94
    for (reason, native, expected) in [
        (FinishReason::Stop, "stop", "end_turn"),
        (FinishReason::Stop, "pause_turn", "pause_turn"),
        (FinishReason::Length, "length", "max_tokens"),
        (
            FinishReason::Length,
            "model_context_window_exceeded",
            "model_context_window_exceeded",
        ),
        (FinishReason::ContentFilter, "SAFETY", "refusal"),
        (FinishReason::ToolCalls, "tool_calls", "tool_use"),
        (FinishReason::Error, "error", "end_turn"),
    ] {
        assert_eq!(
            both(&[Event::text("x"), finish(reason, native)])["stop_reason"],
            expected
        );
    }
    let called = [
        start(0, "a", "f"),
        arguments(0, "{}"),
        finish(FinishReason::Stop, "stop"),
    ];
    assert_eq!(both(&called)["stop_reason"], "tool_use");
    let stopped = Event::Finish {
        choice: 0,
        reason: FinishReason::Stop,
        native: "stop_sequence".into(),
        stop_sequence: Some("END".into()),
    };
    let answer = both(&[Event::text("x"), stopped]);
    assert_eq!(
        (&answer["stop_reason"], &answer["stop_sequence"]),
        (&json!("stop_sequence"), &json!("END"))
    );
    let refused = both(&[
        Event::delta(0, Delta::Refusal("I won't.".into())),
        finish(FinishReason::Stop, "stop"),
    ]);
    assert_eq!(refused["stop_reason"], "refusal");
    assert_eq!(refused["stop_details"]["explanation"], "I won't.");
    assert_eq!(
        refused["content"],
        json!([{"type": "text", "text": "I won't."}])
    );
}

#[test]
fn usage_counts_fresh_input_apart_and_says_what_it_cost() {
    // P03, P04, P10
    let usage = &both(&[Event::text("x")])["usage"];
    assert_eq!(usage["input_tokens"], 25);
    assert_eq!(usage["cache_read_input_tokens"], 60);
    assert_eq!(usage["cache_creation_input_tokens"], 15);
    assert_eq!(
        usage["cache_creation"],
        json!({"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 5})
    );
    assert_eq!(usage["output_tokens"], 9);
    assert_eq!(
        usage["output_tokens_details"],
        json!({"thinking_tokens": 4})
    );
    assert_eq!(usage["is_byok"], false);
    assert!(usage["cost"].is_number() && usage["cost_details"].is_object());
}

#[test]
fn the_tier_that_served_is_told() {
    for (served, told) in [
        (None, "standard"),
        (Some("default"), "standard"),
        (Some("priority"), "priority"),
    ] {
        let start = Event::Start {
            id: None,
            model: None,
            service_tier: served.map(str::to_owned),
            system_fingerprint: None,
        };
        assert_eq!(
            both(&[start, Event::text("x")])["usage"]["service_tier"],
            told
        );
    }
}

#[test]
fn citations_and_images_are_blocks() {
    let cited = json!({"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", "content": "c"}});
    let answer = both(&[
        Event::text("As A says."),
        Event::delta(0, Delta::Annotation(cited)),
        Event::delta(
            0,
            Delta::Image {
                url: "data:image/png;base64,AA==".into(),
            },
        ),
    ]);
    assert_eq!(
        answer["content"][0]["citations"][0]["url"],
        "https://a.example"
    );
    assert_eq!(
        answer["content"][1]["source"],
        json!({"type": "base64", "media_type": "image/png", "data": "AA=="})
    );
    // Anthropic knows neither: the turn is written anew for it when it comes back.
    let turns =
        json!({"model": "m", "messages": [{"role": "assistant", "content": answer["content"]}]});
    assert!(
        parse_request(turns.to_string().as_bytes())
            .unwrap()
            .has_extensions
    );
}

fn ran(name: &str, arguments: Value, result: Value) -> Event {
    let kind = ReasoningKind::ServerToolCall {
        tool_name: name.to_owned(),
        arguments: Some(arguments),
        result: Some(result),
    };
    reasoning(kind, ReasoningFormat::Unknown, Some("call_1"))
}

#[test]
fn what_the_gateway_ran_is_told_in_anthropics_blocks_and_taken_back() {
    let page = json!({"url": "https://a.example/", "title": "A"});
    let events = [
        Event::text("Let me look."),
        ran(
            "openrouter:web_search",
            json!({"query": "q"}),
            json!({"engine": "exa", "results": [page]}),
        ),
        ran(
            "openrouter:web_search",
            json!({"query": "r"}),
            json!({"error": "no"}),
        ),
        ran(
            "openrouter:web_fetch",
            json!({"url": "https://a.example/"}),
            page.clone(),
        ),
        ran("openrouter:datetime", json!({}), json!({"datetime": "now"})),
        Event::text("Found."),
        finish(FinishReason::Stop, "stop"),
    ];
    // Thoughts may be left out, not what was done.
    for exclude_reasoning in [false, true] {
        let options = WriterOptions { exclude_reasoning };
        let message = both_with(&events, options);
        let content = message["content"].as_array().unwrap();
        let kinds: Vec<&str> = content
            .iter()
            .filter_map(|block| block["type"].as_str())
            .collect();
        assert_eq!(
            kinds,
            [
                "text",
                "server_tool_use",
                "web_search_tool_result",
                "server_tool_use",
                "web_search_tool_result",
                "server_tool_use",
                "web_fetch_tool_result",
                "text"
            ]
        );
        assert_eq!(content[1]["input"], json!({"query": "q"}));
        assert_eq!(content[2]["tool_use_id"], content[1]["id"]);
        assert_eq!(content[2]["content"][0]["url"], "https://a.example/");
        assert_eq!(content[4]["content"]["error_code"], "unavailable");
        assert_eq!(content[6]["content"]["url"], "https://a.example/");
        assert_eq!(message["stop_reason"], "end_turn");

        // The next turn: read again, and nothing that Anthropic gets byte for byte.
        let body = json!({"model": "a/b", "max_tokens": 9, "messages": [
            {"role": "user", "content": "x"}, {"role": "assistant", "content": content}, {"role": "user", "content": "y"},
        ]});
        let request = parse_request(body.to_string().as_bytes()).unwrap();
        assert!(request.has_extensions && request.only_native.is_none());
        let notes = request.messages[1].parts.iter();
        let notes = notes
            .filter(|part| matches!(part, Part::Reasoning(_)))
            .count();
        assert_eq!((notes, request.messages.len()), (3, 3));
    }
}

#[test]
fn a_failure_is_an_event_of_its_own_and_the_last_one() {
    // P110, P114
    let mut writer = MessageWriter::new(&meta(), WriterOptions::default());
    let mut out = Vec::new();
    writer.write(&Event::text("half"), &mut out);
    let error = Error::upstream(ErrorType::ProviderOverloaded, "too busy");
    writer.error(&error, Some(&report()), &mut out);
    let seen = grammar::read(&out);
    let error = seen.error.unwrap();
    assert_eq!(error["error"]["type"], "overloaded_error");
    assert_eq!(error["request_id"], "gen-1");
    assert_eq!(error["usage"]["output_tokens"], 9);
    let mut out = Vec::new();
    MessageWriter::new(&meta(), WriterOptions::default()).error(
        &Error::internal("x"),
        None,
        &mut out,
    );
    assert_eq!(grammar::read(&out).kinds, ["error"]);
}

#[test]
fn a_resumed_answer_goes_on_in_its_block() {
    let mut out = Vec::new();
    let mut first = MessageWriter::new(&meta(), WriterOptions::default());
    first.write(&Event::text("one"), &mut out);
    let mut second = MessageWriter::new(&meta(), WriterOptions::default());
    second.resume();
    for event in [Event::text(" two"), finish(FinishReason::Stop, "stop")] {
        second.write(&event, &mut out);
    }
    second.finish(&report(), &mut out);
    let seen = grammar::read(&out);
    assert_eq!(
        seen.message["content"],
        json!([{"type": "text", "text": "one two"}])
    );
}

fn any_event() -> impl Strategy<Value = Event> {
    let index = 0_u32..3;
    let json = prop_oneof![
        Just("{}"),
        Just("{\"a\":"),
        Just("1}"),
        Just("\"}\""),
        Just("\\"),
        Just("[1"),
        Just("]"),
        Just(" "),
        Just("null"),
        Just(""),
    ];
    let words = prop_oneof![Just(""), Just("a"), Just("é\n")];
    let format = prop_oneof![
        Just(ReasoningFormat::AnthropicClaude),
        Just(ReasoningFormat::GoogleGemini),
        Just(ReasoningFormat::Unknown),
    ];
    let kind =
        (words.clone(), any::<bool>(), 0_u8..4).prop_map(|(text, signed, kind)| match kind {
            0 | 1 => ReasoningKind::Text {
                text: (kind == 0).then(|| text.to_owned()),
                signature: signed.then(|| "s".to_owned()),
            },
            2 => ReasoningKind::Summary {
                summary: text.into(),
            },
            _ => ReasoningKind::Encrypted { data: text.into() },
        });
    let annotation = json!({"type": "url_citation", "url_citation": {"url": "https://a.example"}});
    let delta = prop_oneof![
        4 => words.prop_map(|text| Delta::Text(text.into())),
        3 => (index.clone(), json).prop_map(|(index, json)| Delta::ToolCallArguments { index, json: json.into() }),
        2 => index.clone().prop_map(|index| Delta::ToolCallStart { index, id: format!("c.{index}"), name: "f".into() }),
        3 => (kind, format, proptest::option::of(0_u32..2)).prop_map(|(kind, format, index)| {
            Delta::Reasoning(ReasoningDetail { kind, format, id: None, index })
        }),
        1 => Just(Delta::Refusal("no".into())),
        1 => Just(Delta::Image { url: "https://a.example/i.png".into() }),
        1 => Just(Delta::Annotation(annotation)),
        1 => Just(Delta::Logprobs(json!({}))),
    ];
    let reason = prop_oneof![
        Just(FinishReason::Stop),
        Just(FinishReason::Length),
        Just(FinishReason::ToolCalls),
        Just(FinishReason::ContentFilter),
    ];
    prop_oneof![
        12 => (0_u32..10, delta).prop_map(|(choice, delta)| Event::delta(choice / 9, delta)),
        1 => reason.prop_map(|reason| finish(reason, "native")),
        1 => Just(Event::Usage(Usage::default())),
        1 => Just(Event::Start { id: None, model: None, service_tier: None, system_fingerprint: None }),
    ]
}

proptest! {
    #[test]
    fn any_events_give_a_legal_stream_that_folds_to_the_message(events in vec(any_event(), 0..24), exclude_reasoning: bool) {
        both_with(&events, WriterOptions { exclude_reasoning });
    }

    #[test]
    fn no_words_are_lost(events in vec(any_event(), 0..24)) {
        let answer = both(&events);
        let content = answer["content"].as_array().unwrap();
        let told: String = content.iter().filter_map(|block| block["text"].as_str()).collect();
        let written: String = events.iter().filter_map(|event| match event {
            Event::Delta { choice: 0, delta: Delta::Text(text) | Delta::Refusal(text) } => Some(text.as_str()),
            _ => None,
        }).collect();
        prop_assert_eq!(told, written);
    }
}
