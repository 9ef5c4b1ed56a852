//! Prompts in, texts out.

use serde_json::{Value, json};

use super::{TextWriter, completion, parse_request};
use crate::{
    chat::{
        ChatRequest, Completion, Delta, Event, FinishReason, Message, ReasoningDetail,
        ReasoningFormat, Role,
    },
    dialects::report::{Meta, UsageReport, WriterOptions},
    error::{Error, ErrorType},
};

fn parse(body: Value) -> crate::error::Result<ChatRequest> {
    parse_request(body.to_string().as_bytes())
}

fn meta() -> Meta {
    Meta {
        id: "gen-1".into(),
        created: 7,
        model: "a/b".into(),
        provider: "P".into(),
    }
}

#[test]
fn a_prompt_is_what_the_user_says() {
    for prompt in [json!("Once"), json!(["Once"])] {
        let request = parse(json!({"model": "m", "prompt": prompt, "max_tokens": 5, "n": 2, "best_of": 2, "stop": ".", "seed": 3,
            "logprobs": 3, "user": "u", "echo": true, "tools": [{"type": "function"}], "provider": {"only": ["p"]}}))
        .unwrap();
        assert_eq!(request.messages, [Message::text(Role::User, "Once")]);
        assert_eq!(
            (request.max_tokens, request.n, request.sampling.seed),
            (Some(5), Some(2), Some(3))
        );
        assert_eq!(
            (request.logprobs, request.top_logprobs),
            (Some(true), Some(3))
        );
        assert!(request.tools.is_empty() && request.provider.is_some());
        assert!(!request.extra.contains_key("echo"), "{:?}", request.extra);
    }
    let none = parse(json!({"model": "m", "prompt": "x", "logprobs": 0})).unwrap();
    assert_eq!((none.logprobs, none.top_logprobs), (Some(true), None));
}

#[test]
fn a_suffix_is_what_the_text_leads_up_to() {
    let request = parse(json!({"model": "m", "prompt": "def f():", "suffix": "return x"})).unwrap();
    assert_eq!(request.messages.len(), 2);
    let expected = Message::text(Role::User, "def f():");
    assert_eq!(request.messages[1], expected);
    assert_eq!(request.messages[0].role, Role::System);
    assert!(format!("{:?}", request.messages[0]).contains("return x"));
}

#[test]
fn wrong_fields_are_named() {
    for (body, path) in [
        (json!({"model": "m"}), "prompt"),
        (json!({"model": "m", "prompt": ["a", "b"]}), "prompt"),
        (json!({"model": "m", "prompt": [1, 2]}), "prompt"),
        (
            json!({"model": "m", "prompt": "a", "logprobs": 21}),
            "logprobs",
        ),
        (
            json!({"model": "m", "prompt": "a", "logprobs": "x"}),
            "logprobs",
        ),
        (
            json!({"model": "m", "prompt": "a", "best_of": 3}),
            "best_of",
        ),
        (json!({"model": "m", "prompt": "a", "suffix": 1}), "suffix"),
        (
            json!({"model": "m", "prompt": "", "max_tokens": -1}),
            "max_tokens",
        ),
        (
            json!({"model": "m", "prompt": "", "temperature": 3}),
            "temperature",
        ),
        (json!({"prompt": "a"}), "model"),
    ] {
        let error = parse(body.clone()).unwrap_err();
        assert_eq!(
            (error.status, error.param.as_deref()),
            (400, Some(path)),
            "{body}: {error}"
        );
    }
    assert_eq!(parse_request(b"nonsense").unwrap_err().status, 400);
}

fn probable(token: &str) -> Event {
    let each = json!({"token": token, "logprob": -0.5, "bytes": null, "top_logprobs": [{"token": token, "logprob": -0.5}]});
    Event::delta(0, Delta::Logprobs(json!({"content": [each]})))
}

fn events() -> Vec<Event> {
    let thought = ReasoningDetail::text(ReasoningFormat::Unknown, 0, "hm");
    let finish = |choice| Event::Finish {
        choice,
        reason: FinishReason::Length,
        native: "max_tokens".into(),
        stop_sequence: None,
    };
    vec![
        Event::delta(0, Delta::Reasoning(thought)),
        Event::text(" upon"),
        probable(" upon"),
        Event::delta(1, Delta::Text(" more".into())),
        Event::text(" é"),
        probable(" é"),
        finish(0),
        finish(0),
        finish(1),
    ]
}

/// The chunks of a stream, and each choice's text.
fn streamed(raw: &Value) -> (Vec<Value>, [String; 2]) {
    let mut writer = TextWriter::new(
        &meta(),
        WriterOptions::default(),
        raw.to_string().as_bytes(),
    );
    let mut out = Vec::new();
    for event in events() {
        writer.write(&event, &mut out);
    }
    writer.finish(&UsageReport::default(), &mut out);
    let text = String::from_utf8(out).unwrap();
    let mut frames: Vec<&str> = text.split_terminator("\n\n").collect();
    assert_eq!(frames.pop(), Some("data: [DONE]"));
    let chunks: Vec<Value> = frames
        .iter()
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    let mut texts = [String::new(), String::new()];
    for chunk in &chunks {
        assert_eq!(chunk["object"], "text_completion");
        let choice = &chunk["choices"][0];
        texts[choice["index"].as_u64().unwrap() as usize]
            .push_str(choice["text"].as_str().unwrap());
    }
    (chunks, texts)
}

#[test]
fn a_stream_says_what_the_answer_in_one_piece_says() {
    for echo in [false, true] {
        let raw = json!({"prompt": "Once", "echo": echo});
        let (chunks, texts) = streamed(&raw);
        let folded = Completion::from_events(events());
        let whole = completion(
            &meta(),
            &folded,
            &UsageReport::default(),
            WriterOptions::default(),
            raw.to_string().as_bytes(),
        );
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        let head = if echo { "Once" } else { "" };
        assert_eq!(texts, [format!("{head} upon é"), format!("{head} more")]);
        for (at, text) in texts.iter().enumerate() {
            let choice = &whole["choices"][at];
            assert_eq!(
                (&choice["text"], &choice["index"]),
                (&json!(text), &json!(at))
            );
            assert_eq!(choice["finish_reason"], "length");
        }
        let logprobs = &whole["choices"][0]["logprobs"];
        assert_eq!(logprobs["tokens"], json!([" upon", " é"]));
        assert_eq!(logprobs["text_offset"], json!([4, 9]));
        assert_eq!(logprobs["top_logprobs"][1], json!({" é": -0.5}));
        let told: Vec<&Value> = chunks
            .iter()
            .flat_map(|chunk| chunk["choices"][0]["logprobs"]["text_offset"].as_array())
            .flatten()
            .collect();
        assert_eq!(told, [&json!(4), &json!(9)]);
        assert_eq!(whole["choices"][0]["reasoning"], "hm");
        assert!(
            chunks.last().unwrap()["usage"]["cost"].is_number()
                && whole["usage"]["cost"].is_number()
        );
        let ends = chunks.iter().filter(|chunk| {
            chunk["usage"].is_null() && !chunk["choices"][0]["finish_reason"].is_null()
        });
        assert_eq!(ends.count(), 2);
    }
}

#[test]
fn a_failure_ends_the_stream() {
    let mut writer = TextWriter::new(&meta(), WriterOptions::default(), b"{}");
    let mut out = Vec::new();
    let error = Error::upstream(ErrorType::ProviderOverloaded, "busy");
    writer.error(&error, Some(&UsageReport::default()), &mut out);
    let text = String::from_utf8(out).unwrap();
    let (chunk, done) = text.trim_end().split_once("\n\n").unwrap();
    assert_eq!(done, "data: [DONE]");
    let chunk: Value = serde_json::from_str(chunk.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        chunk["error"]["metadata"]["error_type"],
        "provider_overloaded"
    );
    assert_eq!(chunk["choices"][0]["finish_reason"], "error");
}
