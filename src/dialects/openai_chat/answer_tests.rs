//! Answers of many hosts, in one piece and streamed, as canonical events.

use serde_json::{Value, json};

use super::{Stream, response};
use crate::{
    catalog::Quirk,
    chat::{Choice, Completion, Event, FinishReason, ReasoningKind},
    error::{ErrorType, Result},
};

fn sse(chunks: &[Value]) -> String {
    let chunk = |chunk: &Value| format!("data: {chunk}\n\n");
    chunks.iter().map(chunk).collect::<String>() + "data: [DONE]\n\n"
}

fn read_text(text: &str, quirks: &[Quirk]) -> Result<Vec<Event>> {
    let mut stream = Stream::new(quirks);
    let mut events = Vec::new();
    stream.feed(text.as_bytes(), &mut events)?;
    stream.finish(&mut events)?;
    Ok(events)
}

fn read(chunks: &[Value]) -> Vec<Event> {
    read_text(&sse(chunks), &[]).unwrap()
}

fn delta(delta: Value) -> Value {
    json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn end(reason: &str) -> Value {
    json!({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn fold(chunks: &[Value]) -> Choice {
    Completion::from_events(read(chunks)).choices.swap_remove(0)
}

fn whole(message: Value, finish: &str) -> Choice {
    let body =
        json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish}]});
    let events = response(body.to_string().as_bytes(), &[]).unwrap();
    Completion::from_events(events).choices.swap_remove(0)
}

fn call(index: Value, id: Value, name: Value, arguments: Value) -> Value {
    delta(
        json!({"tool_calls": [{"index": index, "id": id, "type": "function",
        "function": {"name": name, "arguments": arguments}}]}),
    )
}

fn calls(choice: &Choice) -> Vec<(&str, &str, &str)> {
    choice
        .tool_calls
        .iter()
        .map(|call| {
            (
                call.id.as_str(),
                call.name.as_str(),
                call.arguments.as_str(),
            )
        })
        .collect()
}

#[test]
fn a_usage_chunk_without_choices_counts_and_ends_nothing() {
    // P16
    let events = read(&[
        delta(json!({"role": "assistant", "content": "hi"})),
        end("stop"),
        json!({"id": "x", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}),
    ]);
    let completion = Completion::from_events(events);
    assert_eq!(completion.usage.unwrap().total(), 6);
    assert!(completion.done);
}

#[test]
fn an_empty_role_delta_commits_to_nothing() {
    // P116
    let events = read(&[delta(
        json!({"role": "assistant", "content": "", "refusal": null}),
    )]);
    assert!(!events.iter().any(Event::is_content));
}

#[test]
fn usage_on_every_chunk_is_cumulative() {
    // P14
    let with_usage = |n: u64| {
        let mut chunk = delta(json!({"content": "a"}));
        chunk["usage"] = json!({"prompt_tokens": 5, "completion_tokens": n});
        chunk
    };
    let events = read(&[with_usage(1), with_usage(1), with_usage(2), end("stop")]);
    let reports = events
        .iter()
        .filter(|event| matches!(event, Event::Usage(_)))
        .count();
    assert_eq!(reports, 2, "only changes are told");
    assert_eq!(Completion::from_events(events).usage.unwrap().completion, 2);
}

#[test]
fn usage_of_a_stream_in_groqs_own_field_is_found() {
    let mut last = end("stop");
    last["x_groq"] = json!({"id": "r", "usage": {"prompt_tokens": 5, "completion_tokens": 1}});
    let events = read(&[delta(json!({"content": "a"})), last]);
    assert_eq!(Completion::from_events(events).usage.unwrap().prompt, 5);
}

#[test]
fn an_error_chunk_without_choices_is_an_error() {
    // P30, P112
    let events =
        read(&[json!({"id": "x", "choices": [], "error": {"code": 429, "message": "slow down"}})]);
    let completion = Completion::from_events(events);
    assert!(!completion.has_content());
    assert_eq!(
        completion.error.unwrap().error_type,
        ErrorType::RateLimitExceeded
    );

    let body = b"\n\n {\"error\":{\"code\":429,\"message\":\"slow down\"}}";
    assert_eq!(response(body, &[]).unwrap_err().status, 429);
}

#[test]
fn parallel_calls_keep_apart_whatever_their_index_says() {
    let expected = [("a", "f", "{\"x\":1}"), ("b", "g", "{}")];
    // P49, P50: as specified; the index reused; no index; whole calls without an index; interleaved.
    let streams: [Vec<Value>; 5] = [
        vec![
            call(json!(0), json!("a"), json!("f"), json!("")),
            call(json!(0), Value::Null, Value::Null, json!("{\"x\":")),
            call(json!(0), Value::Null, Value::Null, json!("1}")),
            call(json!(1), json!("b"), json!("g"), json!("{}")),
        ],
        vec![
            call(json!(0), json!("a"), json!("f"), json!("{\"x\":1}")),
            call(json!(0), json!("b"), json!("g"), json!("{}")),
        ],
        vec![
            call(Value::Null, json!("a"), json!("f"), json!("")),
            call(Value::Null, Value::Null, Value::Null, json!("{\"x\":1}")),
            call(Value::Null, json!("b"), json!("g"), json!("{}")),
        ],
        vec![delta(json!({"tool_calls": [
            {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
            {"id": "b", "function": {"name": "g", "arguments": {}}},
        ]}))],
        vec![
            call(json!(3), json!("a"), json!("f"), json!("")),
            call(json!(5), json!("b"), json!("g"), json!("")),
            call(json!(3), json!("a"), json!("f"), json!("{\"x\":1}")),
            call(json!(5), json!(""), Value::Null, json!("{}")),
        ],
    ];
    for chunks in streams {
        assert_eq!(calls(&fold(&chunks)), expected, "{chunks:?}");
    }
}

#[test]
fn a_call_without_arguments_gets_the_empty_object() {
    // P55
    let streamed = fold(&[
        call(json!(0), json!("a"), json!("f"), json!("")),
        end("tool_calls"),
    ]);
    let at_once = whole(
        json!({"role": "assistant", "content": null,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
        "tool_calls",
    );
    assert_eq!(calls(&streamed), [("a", "f", "{}")]);
    assert_eq!(streamed, at_once);
    // P73
    assert_eq!(at_once.content, None);
}

#[test]
fn a_call_without_id_gets_the_same_one_in_stream_and_answer() {
    let streamed = fold(&[
        call(json!(0), Value::Null, json!("my tool"), json!("{}")),
        end("stop"),
    ]);
    let at_once = whole(
        json!({"tool_calls": [{"function": {"name": "my tool", "arguments": "{}"}}]}),
        "stop",
    );
    assert_eq!(streamed, at_once);
    assert_eq!(streamed.tool_calls[0].id, "call_0_my_tool");
    // P52: `stop` with calls wants tools to run; what the host said stays beside it.
    assert_eq!(streamed.finish, Some(FinishReason::ToolCalls));
    assert_eq!(streamed.native_finish.as_deref(), Some("stop"));
}

#[test]
fn the_form_before_tools_is_a_call_too() {
    let streamed = fold(&[
        delta(json!({"function_call": {"name": "f", "arguments": ""}})),
        delta(json!({"function_call": {"arguments": "{\"a\":"}})),
        delta(json!({"function_call": {"arguments": "1}"}})),
        end("function_call"),
    ]);
    assert_eq!(calls(&streamed), [("call_0_f", "f", "{\"a\":1}")]);
    assert_eq!(streamed.finish, Some(FinishReason::ToolCalls));
}

#[test]
fn reasoning_is_read_from_every_field() {
    for field in ["reasoning", "reasoning_content"] {
        let streamed = fold(&[
            delta(json!({field: "be"})),
            delta(json!({field: "cause", "content": ""})),
            delta(json!({field: null, "content": "so"})),
            end("stop"),
        ]);
        let at_once = whole(json!({field: "because", "content": "so"}), "stop");
        assert_eq!(streamed, at_once);
        assert_eq!(streamed.reasoning[0].readable(), Some("because"));
        assert_eq!(streamed.content.as_deref(), Some("so"));
    }
}

#[test]
fn blocks_win_over_the_same_words_beside_them_and_keep_their_signature() {
    // P24, P81
    let streamed = fold(&[
        delta(
            json!({"reasoning": "be", "reasoning_details": [{"type": "reasoning.text", "text": "be", "format": "anthropic-claude-v1", "index": 0}]}),
        ),
        delta(
            json!({"reasoning": "cause", "reasoning_details": [{"type": "reasoning.text", "text": "cause", "format": "anthropic-claude-v1", "index": 0}]}),
        ),
        delta(
            json!({"reasoning_details": [{"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}]}),
        ),
        delta(
            json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": "zz", "format": null, "id": "t"}]}),
        ),
        delta(json!({"content": "so"})),
        end("stop"),
    ]);
    assert_eq!(streamed.reasoning.len(), 2);
    let expected = ReasoningKind::Text {
        text: Some("because".into()),
        signature: Some("sig".into()),
    };
    assert_eq!(streamed.reasoning[0].kind, expected);
}

#[test]
fn mistrals_lists_of_parts_are_thinking_and_text() {
    let thinking = |text: &str| json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]});
    let streamed = fold(&[
        delta(thinking("be")),
        delta(thinking("cause")),
        delta(json!({"content": [{"type": "text", "text": "s"}]})),
        delta(json!({"content": "o"})),
        end("stop"),
    ]);
    let at_once = whole(
        json!({"content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "because"}], "closed": true},
            {"type": "text", "text": "so"},
        ]}),
        "stop",
    );
    assert_eq!(streamed, at_once);
}

#[test]
fn think_tags_are_content_unless_the_host_has_the_quirk() {
    let chunks = [
        delta(json!({"content": "<th"})),
        delta(json!({"content": "ink>why</think>\n\nso"})),
        end("stop"),
    ];
    assert_eq!(
        fold(&chunks).content.as_deref(),
        Some("<think>why</think>\n\nso")
    );
    let events = read_text(&sse(&chunks), &[Quirk::ThinkTags]).unwrap();
    let choice = Completion::from_events(events).choices.swap_remove(0);
    assert_eq!(choice.content.as_deref(), Some("so"));
    assert_eq!(choice.reasoning[0].readable(), Some("why"));
}

#[test]
fn a_stream_without_end_mark_is_whole_only_where_it_has_a_reason() {
    // P122
    let chunk = |value: Value| format!("data:{value}\n\n");
    let cut = chunk(delta(json!({"content": "hi"})));
    let events = read_text(&cut, &[]).unwrap();
    assert!(!Completion::from_events(events).done);
    let ended = cut + &chunk(end("stop"));
    assert!(Completion::from_events(read_text(&ended, &[]).unwrap()).done);
    // Heartbeats after the end are no harm.
    let late = ended.clone() + "data: [DONE]\n\ndata: nonsense\n\n: ping\n\n";
    assert!(Completion::from_events(read_text(&late, &[]).unwrap()).done);
    assert!(read_text("data: nonsense\n\n", &[]).is_err());
}

#[test]
fn refusals_logprobs_sound_images_and_several_choices_are_kept() {
    let chunks = [
        json!({"id": "x", "choices": [
            {"index": 1, "delta": {"content": "b"}, "logprobs": {"content": [{"token": "b"}]}},
            {"index": 0, "delta": {"refusal": "no"}},
        ]}),
        json!({"id": "x", "choices": [{"index": 1, "delta": {
            "audio": {"id": "a", "data": "AA"},
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
            "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}],
        }, "finish_reason": "stop", "stop_reason": "END", "logprobs": {"content": [{"token": "c"}]}}]}),
    ];
    let completion = Completion::from_events(read(&chunks));
    let [refused, rich] = completion.choices.as_slice() else {
        panic!("two choices")
    };
    assert_eq!(refused.refusal.as_deref(), Some("no"));
    assert_eq!(
        rich.logprobs.as_ref().unwrap()["content"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(rich.audio.as_ref().unwrap()["data"], "AA");
    assert_eq!((rich.images.len(), rich.annotations.len()), (1, 1));
    // P92
    assert_eq!(rich.stop_sequence.as_deref(), Some("END"));
}

#[test]
fn what_a_host_says_of_itself_is_told_once() {
    let chunk = |fingerprint: Value| {
        json!({"id": "x", "model": "m", "service_tier": "default", "system_fingerprint": fingerprint,
        "choices": [{"index": 0, "delta": {"content": "a"}}]})
    };
    let events = read(&[chunk(json!("fp")), chunk(json!("fp")), chunk(Value::Null)]);
    let starts: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event, Event::Start { .. }))
        .collect();
    let [
        Event::Start {
            id,
            model,
            service_tier,
            system_fingerprint,
        },
    ] = starts.as_slice()
    else {
        panic!("one start")
    };
    assert_eq!(
        [id, model, service_tier, system_fingerprint].map(|text| text.as_deref()),
        [Some("x"), Some("m"), Some("default"), Some("fp")]
    );
}

#[test]
fn odd_values_in_side_fields_do_not_fail_an_answer() {
    let choice = whole(
        json!({"role": 7, "content": {"a": 1}, "reasoning": {"x": []}, "refusal": false, "tool_calls": null, "images": null}),
        "stop",
    );
    assert_eq!(choice.content.as_deref(), Some("{\"a\":1}"));
    assert!(choice.reasoning.is_empty() && choice.refusal.is_none());
    assert!(response(b"{\"choices\":7}", &[]).is_err());
    assert!(response(b"<html>", &[]).is_err());
}

#[test]
fn sources_of_every_host_become_annotations() {
    let urls = |choice: &Choice| -> Vec<Value> {
        let annotations = choice.annotations.iter();
        annotations
            .map(|annotation| annotation["url_citation"].clone())
            .collect()
    };
    let named = json!({"url": "https://a.example", "title": "A"});
    let bare = json!({"url": "https://b.example", "title": "https://b.example"});
    let mut end = end("stop");
    end["citations"] = json!(["https://b.example"]);
    assert_eq!(
        urls(&fold(&[delta(json!({"content": "x"})), end.clone()])),
        [bare]
    );
    end["search_results"] = json!([named]);
    assert_eq!(
        urls(&fold(&[delta(json!({"content": "x"})), end])),
        std::slice::from_ref(&named)
    );
    let tools = json!([{"index": 0, "type": "search", "search_results": {"results": [named]}}]);
    let streamed = fold(&[
        delta(json!({"executed_tools": tools})),
        delta(json!({"content": "x"})),
    ]);
    assert_eq!(urls(&streamed), [named]);
    let message = json!({"role": "assistant", "content": "x", "executed_tools": tools});
    assert_eq!(urls(&whole(message, "stop")), urls(&streamed));
}

#[test]
fn fields_that_a_host_fills_with_nothing_are_nothing() {
    let message = json!({
        "role": "assistant", "content": "x", "refusal": "", "function_call": {"name": "", "arguments": ""},
        "audio": {"id": "", "data": "", "transcript": "", "expires_at": 0},
    });
    let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": "",
        "logprobs": {"content": null, "refusal": null}}]});
    let events = response(body.to_string().as_bytes(), &[]).unwrap();
    let choice = Completion::from_events(events).choices.swap_remove(0);
    let expected = Choice {
        content: Some("x".into()),
        finish: Some(FinishReason::Stop),
        native_finish: Some(String::new()),
        ..Choice::default()
    };
    assert_eq!(choice, expected);
}
