//! Same dialect in and out: what must change changes, everything else survives.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use super::{Passthrough, Stream, WholeAnswer, client::parse_request, request};
use crate::{
    catalog::{Endpoint, Parameter, Provider, Quirk},
    chat::{Completion, Event},
    dialects::{
        Inbound, Surface, Target,
        report::{Meta, UsageReport, WriterOptions},
    },
};

fn meta() -> Meta {
    Meta {
        id: "gen-1".into(),
        created: 7,
        model: "a/b".into(),
        provider: "P".into(),
    }
}

/// The client's chunks (without the last one, the gateway's) and the relay's events.
fn pass_with(
    chunks: &[Value],
    options: WriterOptions,
    quirks: &[Quirk],
) -> (Vec<Value>, Vec<Event>) {
    let mut text: String = chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    text.push_str("data: [DONE]\n\n");
    let mut pass = Passthrough::new(&meta(), options, quirks);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    pass.feed(text.as_bytes(), &mut out, &mut events).unwrap();
    pass.end(&mut out, &mut events).unwrap();
    let mut stream = Stream::new(quirks);
    let mut expected = Vec::new();
    stream.feed(text.as_bytes(), &mut expected).unwrap();
    stream.finish(&mut expected).unwrap();
    assert_eq!(
        events, expected,
        "the relay sees what it sees of any stream"
    );
    pass.finish(&UsageReport::default(), &mut out);
    let out = String::from_utf8(out).unwrap();
    let mut seen: Vec<&str> = out.split_terminator("\n\n").collect();
    assert_eq!(seen.pop(), Some("data: [DONE]"));
    let mut seen: Vec<Value> = seen
        .into_iter()
        .map(|chunk| serde_json::from_str(chunk.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    let last = seen.pop().unwrap();
    assert!(last["usage"].is_object());
    for chunk in &seen {
        assert_eq!(
            (&chunk["id"], &chunk["model"], &chunk["provider"]),
            (&json!("gen-1"), &json!("a/b"), &json!("P"))
        );
        assert!(chunk.get("usage").is_none());
    }
    (seen, events)
}

fn pass(chunks: &[Value]) -> Vec<Value> {
    pass_with(chunks, WriterOptions::default(), &[]).0
}

fn chunk(delta: Value, finish: Value) -> Value {
    json!({"id": "u", "object": "chat.completion.chunk", "created": 42, "model": "native", "provider": "theirs", "usage": null,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn deltas(chunks: &[Value]) -> Vec<&Value> {
    chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"])
        .collect()
}

#[test]
fn the_bytes_of_choices_are_the_upstreams() {
    let text = concat!(
        r#"data: {"id":"u","created":42,"choices":[ {"index":0, "delta":{"role":"assistant","content":"\u0068i","n":1.50}} ],"obfuscation":"x"}"#,
        "\n\n"
    );
    let mut pass = Passthrough::new(&meta(), WriterOptions::default(), &[]);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    pass.feed(text.as_bytes(), &mut out, &mut events).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            r#"data: {"id":"gen-1","object":"chat.completion.chunk","created":42,"model":"a/b","provider":"P","choices":"#,
            r#"[ {"index":0, "delta":{"role":"assistant","content":"\u0068i","n":1.50}} ],"obfuscation":"x"}"#,
            "\n\n"
        )
    );
}

#[test]
fn each_event_of_one_read_is_an_event_for_the_client() {
    // P123: the second of two frames in one read keeps its own `data:` and its own blank line.
    let frame = |text: &str| {
        let chunk = json!({"id": "u", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
        format!("data: {chunk}\n\n")
    };
    let read = [frame("a"), frame("b"), frame("c")].concat();
    let mut pass = Passthrough::new(&meta(), WriterOptions::default(), &[]);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    pass.feed(read.as_bytes(), &mut out, &mut events).unwrap();
    let out = String::from_utf8(out).unwrap();
    let frames: Vec<&str> = out.split_terminator("\n\n").collect();
    assert_eq!(frames.len(), 3, "{out}");
    for (frame, word) in frames.iter().zip(["a", "b", "c"]) {
        let chunk: Value = serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(chunk["choices"][0]["delta"]["content"], word);
    }
}

#[test]
fn the_role_comes_exactly_once() {
    // P72
    let late = pass(&[
        chunk(json!({"content": "a"}), Value::Null),
        chunk(json!({"content": "b"}), Value::Null),
    ]);
    assert_eq!(
        deltas(&late),
        [
            &json!({"role": "assistant", "content": "a"}),
            &json!({"content": "b"})
        ]
    );
    let repeated = chunk(json!({"role": "assistant", "content": "a"}), Value::Null);
    let once = pass(&[repeated.clone(), repeated]);
    assert_eq!(
        deltas(&once),
        [
            &json!({"role": "assistant", "content": "a"}),
            &json!({"content": "a"})
        ]
    );
}

#[test]
fn the_end_has_both_words() {
    let seen = pass(&[
        chunk(json!({"role": "assistant", "content": "a"}), Value::Null),
        chunk(json!({}), json!("model_length")),
        json!({"id": "u", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}),
    ]);
    assert_eq!(
        seen.len(),
        2,
        "the chunk that counts is the gateway's: {seen:?}"
    );
    let choice = &seen[1]["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["native_finish_reason"]),
        (&json!("length"), &json!("model_length"))
    );
}

#[test]
fn plain_reasoning_has_one_name_and_a_block() {
    // P88
    for field in ["reasoning_content", "reasoning"] {
        let seen = pass(&[chunk(
            json!({"role": "assistant", "content": null, field: "why \"so\""}),
            Value::Null,
        )]);
        let expected = json!({"role": "assistant", "content": null, "reasoning": "why \"so\"", "reasoning_details": [
            {"type": "reasoning.text", "text": "why \"so\"", "format": "unknown", "index": 0}]});
        assert_eq!(deltas(&seen), [&expected]);
    }
    let options = WriterOptions {
        exclude_reasoning: true,
    };
    let hidden = chunk(
        json!({"role": "assistant", "reasoning_content": "why"}),
        Value::Null,
    );
    let (seen, events) = pass_with(
        &[hidden, chunk(json!({"content": "x"}), Value::Null)],
        options,
        &[],
    );
    assert_eq!(
        deltas(&seen),
        [&json!({"role": "assistant", "content": "x"})]
    );
    assert!(events.iter().any(Event::is_content));
}

#[test]
fn what_would_mislead_a_client_is_written_anew() {
    // P49, P50, P55: no index, no id, no arguments.
    let seen = pass(&[
        chunk(
            json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": ""}}]}),
            Value::Null,
        ),
        chunk(json!({}), json!("stop")),
    ]);
    let call = &seen[0]["choices"][0]["delta"]["tool_calls"][0];
    assert_eq!(
        (&call["index"], &call["id"]),
        (&json!(0), &json!("call_0_f"))
    );
    let arguments = &seen[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(arguments, "{}");
    assert_eq!(seen[2]["choices"][0]["finish_reason"], "tool_calls");

    let tags = chunk(
        json!({"role": "assistant", "content": "<think>why</think>so"}),
        Value::Null,
    );
    let (seen, _) = pass_with(&[tags], WriterOptions::default(), &[Quirk::ThinkTags]);
    assert_eq!(deltas(&seen)[1], &json!({"content": "so"}));
}

#[test]
fn an_error_chunk_is_left_to_the_relay() {
    // P112
    let (seen, events) = pass_with(
        &[json!({"id": "u", "choices": [], "error": {"code": 429, "message": "slow down"}})],
        WriterOptions::default(),
        &[],
    );
    assert!(seen.is_empty());
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Error(error) if error.status == 429))
    );
}

#[test]
fn a_cut_stream_leaves_whole_chunks_only() {
    // P115
    let mut pass = Passthrough::new(&meta(), WriterOptions::default(), &[]);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    pass.feed(
        b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"cho",
        &mut out,
        &mut events,
    )
    .unwrap();
    assert!(out.ends_with(b"}\n\n"));
    assert!(pass.end(&mut out, &mut events).is_err());
    assert!(out.ends_with(b"}\n\n"));
    assert!(!events.contains(&Event::Done));
}

fn whole(body: &Value, options: WriterOptions) -> Value {
    let text = body.to_string();
    let answer = WholeAnswer::read(text.as_bytes(), &[]).unwrap();
    assert_eq!(
        answer.events,
        super::response(text.as_bytes(), &[]).unwrap()
    );
    serde_json::from_slice(&answer.write(&meta(), &UsageReport::default(), options)).unwrap()
}

#[test]
fn a_whole_answer_keeps_what_nobody_knows() {
    let body = json!({"id": "u", "object": "chat.completion", "created": 42, "model": "native", "x": {"y": [1]},
        "choices": [{"index": 0, "z": 1, "message": {"role": "assistant", "content": "so", "reasoning_content": "why", "w": true},
            "finish_reason": "eos"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "v": 1}});
    let told = whole(&body, WriterOptions::default());
    assert_eq!(
        (
            &told["id"],
            &told["model"],
            &told["provider"],
            &told["created"]
        ),
        (&json!("gen-1"), &json!("a/b"), &json!("P"), &json!(42))
    );
    assert_eq!(told["x"], body["x"]);
    let choice = &told["choices"][0];
    assert_eq!(
        (&choice["z"], &choice["message"]["w"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(
        (&choice["finish_reason"], &choice["native_finish_reason"]),
        (&json!("stop"), &json!("eos"))
    );
    assert_eq!(choice["message"]["reasoning"], "why");
    assert!(choice["message"].get("reasoning_content").is_none());
    assert_eq!(told["usage"]["cost"], 0);

    let hidden = whole(
        &body,
        WriterOptions {
            exclude_reasoning: true,
        },
    );
    assert_eq!(hidden["choices"][0]["message"]["reasoning"], Value::Null);
}

/// Any JSON value, small.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zé\"\\\\\n€😀]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-z\"é]{1,4}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Fields under names that nobody knows.
fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    vec(("x_[a-z\"é]{1,4}", any_json()), 0..3).prop_map(|pairs| pairs.into_iter().collect())
}

fn add(value: &mut Value, fields: Map<String, Value>) {
    value.as_object_mut().unwrap().extend(fields);
}

fn remove(value: &mut Value, keys: &[&str]) {
    value
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !keys.contains(&key.as_str()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn unknown_fields_of_a_stream_survive(
        chunks in vec((unknown(), unknown(), unknown(), "[a-zé\"\n]{0,5}", any::<bool>()), 1..5),
    ) {
        let mut sent: Vec<Value> = Vec::new();
        for (top, choice, delta, text, thinks) in chunks {
            let key = if thinks { "reasoning_content" } else { "content" };
            let mut next = chunk(json!({key: text}), Value::Null);
            add(&mut next["choices"][0]["delta"], delta);
            add(&mut next["choices"][0], choice);
            add(&mut next, top);
            sent.push(next);
        }
        let mut end = chunk(json!({}), json!("stop"));
        add(&mut end["choices"][0], Map::from_iter([("x_end".to_owned(), json!({"a": [1]}))]));
        sent.push(end);
        let mut seen = pass(&sent);
        prop_assert_eq!(seen.len(), sent.len());
        for (seen, sent) in seen.iter_mut().zip(&mut sent) {
            for chunk in [seen, sent] {
                remove(chunk, &["id", "model", "provider", "usage"]);
                remove(&mut chunk["choices"][0], &["finish_reason", "native_finish_reason"]);
                let delta = &mut chunk["choices"][0]["delta"];
                remove(delta, &["role", "reasoning", "reasoning_content", "reasoning_details"]);
            }
        }
        prop_assert_eq!(seen, sent);
    }

    #[test]
    fn unknown_fields_of_a_whole_answer_survive(
        top in unknown(), choice in unknown(), message in unknown(), call in unknown(), text in "[a-zé\"\n]{0,9}",
    ) {
        let mut body = json!({"id": "u", "object": "chat.completion", "created": 42, "model": "native",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
        add(&mut body["choices"][0]["message"]["tool_calls"][0], call);
        add(&mut body["choices"][0]["message"], message);
        add(&mut body["choices"][0], choice);
        add(&mut body, top);
        let mut told = whole(&body, WriterOptions::default());
        for value in [&mut told, &mut body] {
            remove(value, &["id", "model", "provider", "usage"]);
            remove(&mut value["choices"][0], &["native_finish_reason"]);
        }
        prop_assert_eq!(told, body);
    }

    #[test]
    fn unknown_fields_of_a_request_survive(
        top in unknown(), message in unknown(), part in unknown(), tool in unknown(), function in unknown(), format in unknown(),
    ) {
        let mut body = json!({"model": "a/b", "stream": true,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
            "response_format": {"type": "json_object"}});
        add(&mut body["messages"][0]["content"][0], part);
        add(&mut body["messages"][0], message);
        add(&mut body["tools"][0]["function"], function);
        add(&mut body["tools"][0], tool);
        add(&mut body["response_format"], format);
        add(&mut body, top);
        // `null` says nothing.
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let raw = body.to_string();
        let parsed = parse_request(raw.as_bytes()).unwrap();
        let mut endpoint: Endpoint = serde_json::from_value(json!({
            "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "native",
            "context_length": 1000, "prices": {"prompt": 0, "completion": 0},
            "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"]
        })).unwrap();
        endpoint.supported_parameters = Parameter::ALL.to_vec();
        let provider: Provider = serde_json::from_value(json!({
            "slug": "p", "name": "P", "dialect": "openai_chat", "base_url": "https://example.com/v1",
            "auth": {"kind": "bearer"}, "secret": "P_API_KEY"
        })).unwrap();
        let target = Target { endpoint: &endpoint, provider: &provider };
        let native = request(&Inbound { request: &parsed, surface: Surface::ChatCompletions, raw: Some(raw.as_bytes()) }, &target).unwrap();
        let mut sent: Value = serde_json::from_slice(&native.body).unwrap();
        prop_assert_eq!(&sent["model"], "native");
        for value in [&mut sent, &mut body] {
            remove(value, &["model", "stream_options"]);
        }
        prop_assert_eq!(sent, body);
    }

    #[test]
    fn no_answer_and_no_request_makes_anything_panic(
        places in vec((0_usize..9, any_json()), 1..4), quirk in any::<bool>(), cut in 0_usize..400,
    ) {
        let quirks: &[Quirk] = if quirk { &[Quirk::ThinkTags] } else { &[] };
        let mut odd = chunk(json!({"role": "assistant", "content": "a", "tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}), Value::Null);
        odd["choices"][0]["message"] = odd["choices"][0]["delta"].clone();
        for (place, value) in places {
            let pointer = [
                "/choices", "/choices/0", "/choices/0/delta", "/choices/0/delta/tool_calls", "/choices/0/delta/content",
                "/choices/0/finish_reason", "/usage", "/choices/0/message/tool_calls/0/function", "/choices/0/delta/tool_calls/0/index",
            ][place];
            if let Some(spot) = odd.pointer_mut(pointer) {
                *spot = value;
            }
        }
        let text = format!("data: {odd}\n\n");
        let mut pass = Passthrough::new(&meta(), WriterOptions::default(), quirks);
        let (mut out, mut events) = (Vec::new(), Vec::new());
        let fed = pass.feed(text.as_bytes(), &mut out, &mut events);
        let ended = pass.end(&mut out, &mut events);
        prop_assert!(out.is_empty() || out.ends_with(b"}\n\n"), "{fed:?} {ended:?}");
        if let Ok(answer) = WholeAnswer::read(odd.to_string().as_bytes(), quirks) {
            let written = answer.write(&meta(), &UsageReport::default(), WriterOptions::default());
            prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
        }
        let body = json!({"model": "m", "messages": odd["choices"], "tools": odd["usage"]}).to_string();
        for bytes in [body.as_bytes(), &body.as_bytes()[..cut.min(body.len())], text.as_bytes()] {
            let _either = parse_request(bytes);
            prop_assert!(super::error(400, bytes).status >= 400);
        }
    }

    #[test]
    fn a_passed_stream_reads_like_the_original(texts in vec("[a-zé\"\n]{1,5}", 1..6), size in 1_usize..20) {
        let chunks: Vec<Value> = texts.iter().map(|text| chunk(json!({"content": text}), Value::Null)).collect();
        let text: String = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
        let mut pass = Passthrough::new(&meta(), WriterOptions::default(), &[]);
        let (mut out, mut events) = (Vec::new(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            pass.feed(piece, &mut out, &mut events).unwrap();
        }
        let folded = Completion::from_events(events);
        prop_assert_eq!(folded.choices[0].content.clone(), Some(texts.concat()));
    }
}
