//! Requests as clients write them, right and wrong.

use serde_json::{Value, json};

use super::parse_request;
use crate::chat::{
    CacheTtl, ChatRequest, Effort, Media, Part, ReasoningFormat, ReasoningKind, ResponseFormat,
    Role, ToolChoice,
};

fn parse(body: Value) -> ChatRequest {
    parse_request(body.to_string().as_bytes()).unwrap()
}

fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"model": "a/b", "messages": [{"role": "user", "content": "hi"}]});
    body[field] = value;
    body
}

fn message(message: Value) -> Value {
    with("messages", json!([message]))
}

/// The path that the error names.
fn refused(body: Value) -> String {
    let error = parse_request(body.to_string().as_bytes()).expect_err(&body.to_string());
    assert_eq!(error.status, 400);
    assert!(!error.message.contains(" at line "), "{}", error.message);
    assert!(error.message.len() < 1000, "{}", error.message);
    error.param.unwrap_or_default()
}

#[test]
fn every_wrong_field_is_named_by_its_path() {
    let cases = [
        (json!([1]), ""),
        (
            json!({"messages": [{"role": "user", "content": "hi"}]}),
            "model",
        ),
        (json!({"model": "a/b"}), "messages"),
        (with("messages", json!([])), "messages"),
        (with("prompt", json!("and a prompt")), "prompt"),
        (with("model", json!("a/b,,c/d")), "model"),
        (with("models", json!(["a/b", 1])), "models[1]"),
        (with("temperature", json!("hot")), "temperature"),
        (with("temperature", json!(2.01)), "temperature"),
        (with("top_p", json!(0)), "top_p"),
        (with("top_k", json!(-1)), "top_k"),
        (with("min_p", json!(1.1)), "min_p"),
        (with("frequency_penalty", json!(-2.5)), "frequency_penalty"),
        (with("repetition_penalty", json!(0)), "repetition_penalty"),
        (with("max_tokens", json!(0)), "max_tokens"),
        (with("stop", json!(["1", "2", "3", "4", "5"])), "stop"),
        (with("n", json!(0)), "n"),
        (with("top_logprobs", json!(3)), "top_logprobs"),
        (
            with("logit_bias", json!({"50256": 101})),
            "logit_bias.50256",
        ),
        (with("metadata", json!({"k": 1})), "metadata.k"),
        (with("session_id", json!("x".repeat(257))), "session_id"),
        (with("provider", json!(["openai"])), "provider"),
        (with("verbosity", json!("loud")), "verbosity"),
        (
            with("reasoning", json!({"effort": "hard"})),
            "reasoning.effort",
        ),
        (
            with("reasoning", json!({"effort": "low", "max_tokens": 5})),
            "reasoning.max_tokens",
        ),
        (with("tool_choice", json!("maybe")), "tool_choice"),
        (
            with("tool_choice", json!({"type": "function"})),
            "tool_choice.function",
        ),
        (
            with("tools", json!([{"type": "function"}])),
            "tools[0].function",
        ),
        (
            with("tools", json!([{"type": "function", "function": {}}])),
            "tools[0].function.name",
        ),
        (
            with("tools", json!([{"type": "openrouter:fusion"}])),
            "tools[0].type",
        ),
        (
            with(
                "response_format",
                json!({"type": "json_schema", "json_schema": {"schema": {}}}),
            ),
            "response_format.json_schema.name",
        ),
        (
            with("response_format", json!({"type": "json_schema"})),
            "response_format.json_schema",
        ),
        (message(json!({"content": "x"})), "messages[0].role"),
        (
            message(json!({"role": "robot", "content": "x"})),
            "messages[0].role",
        ),
        (message(json!({"role": "user"})), "messages[0].content"),
        (
            message(json!({"role": "user", "content": 5})),
            "messages[0].content",
        ),
        (
            message(json!({"role": "user", "content": [{"type": "text"}]})),
            "messages[0].content[0].text",
        ),
        (
            message(
                json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "smell"}]}),
            ),
            "messages[0].content[1].type",
        ),
        (
            message(
                json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "nowhere"}}]}),
            ),
            "messages[0].content[0].image_url.url",
        ),
        (
            message(
                json!({"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png,x"}]}),
            ),
            "messages[0].content[0].image_url",
        ),
        (
            message(
                json!({"role": "user", "content": [{"type": "file", "file": {"filename": "x"}}]}),
            ),
            "messages[0].content[0].file.file_data",
        ),
        (
            message(
                json!({"role": "system", "content": [{"type": "image_url", "image_url": "https://x/y"}]}),
            ),
            "messages[0].content[0].type",
        ),
        (
            message(json!({"role": "tool", "content": "x"})),
            "messages[0].tool_call_id",
        ),
        // P56
        (
            message(
                json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{"}}]}),
            ),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            message(
                json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": ""}}]}),
            ),
            "messages[0].tool_calls[0].id",
        ),
        (
            message(
                json!({"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "2h"}}]}),
            ),
            "messages[0].content[0].cache_control.ttl",
        ),
        (with("temperature", json!([1])), "temperature"),
        (with("model", json!([[1]])), "model"),
        (with("max_tokens", json!({"a": 1})), "max_tokens"),
        (
            message(json!({"role": "user", "content": {"type": "text"}})),
            "messages[0].content",
        ),
        (
            message(json!({"role": "user", "content": {}})),
            "messages[0].content",
        ),
        (
            message(
                json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": ["x"]}}]}),
            ),
            "messages[0].content[0].image_url.url",
        ),
        (
            message(
                json!({"role": "user", "content": [{"type": "image_url", "image_url": {"detail": "low"}}]}),
            ),
            "messages[0].content[0].image_url.url",
        ),
    ];
    for (body, path) in cases {
        assert_eq!(refused(body.clone()), path, "{body}");
        let spread = serde_json::to_vec_pretty(&body).unwrap();
        let error = parse_request(&spread).unwrap_err();
        assert_eq!(
            error.param.unwrap_or_default(),
            path,
            "{body}, on many lines"
        );
    }
    let mut both = with("reasoning_effort", json!("high"));
    both["reasoning"] = json!({"effort": "low"});
    assert_eq!(refused(both), "reasoning_effort");
}

#[test]
fn broken_and_too_deep_json_are_refused_without_a_path() {
    for body in [
        "",
        "{",
        "{\"model\": \"a\", }",
        &format!("{{\"x\":{}{}}}", "[".repeat(500), "]".repeat(500)),
    ] {
        let error = parse_request(body.as_bytes()).unwrap_err();
        assert_eq!((error.status, error.param), (400, None));
    }
    for body in [&b"\xff"[..], b"{\"model\": \"\xff\"}"] {
        let error = parse_request(body).unwrap_err();
        assert_eq!((error.status, error.param), (400, None));
        assert!(
            error.message.contains("not valid JSON"),
            "{}",
            error.message
        );
    }
}

#[test]
fn a_long_wrong_value_is_not_quoted_back_in_full() {
    let error = parse_request(
        with("temperature", json!("x".repeat(100_000)))
            .to_string()
            .as_bytes(),
    );
    assert!(error.unwrap_err().message.len() < 1000);
}

#[test]
fn the_model_may_list_its_fallbacks() {
    let mut body = with("models", json!(["c/d", "e/f", "a/b"]));
    body["model"] = json!("a/b, c/d");
    let request = parse(body);
    assert_eq!(request.model, "a/b");
    assert_eq!(request.models, ["c/d", "e/f"]);

    let request = parse(json!({"models": ["a/b", "c/d"], "prompt": "hi"}));
    assert_eq!((request.model.as_str(), request.models.len()), ("a/b", 1));
    assert_eq!(request.messages[0].parts, [Part::text("hi")]);
}

#[test]
fn parts_of_every_kind_are_read() {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let request = parse(message(json!({"role": "user", "name": "Ada", "content": [
        {"type": "text", "text": "look", "cache_control": mark},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": "https://example.com/x.png"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/x.mp4"}},
    ]})));
    let [message] = request.messages.as_slice() else {
        panic!("one message")
    };
    assert_eq!(message.name.as_deref(), Some("Ada"));
    let [text, image, link, file, id, audio, video] = message.parts.as_slice() else {
        panic!("seven parts")
    };
    assert_eq!(text.cache().unwrap().ttl, Some(CacheTtl::OneHour));
    let inline = |mime: &str, data: &str| Media::Inline {
        mime: mime.into(),
        data: data.into(),
    };
    assert_eq!(
        image,
        &Part::Image {
            media: inline("image/png", "AAAA"),
            detail: Some("low".into()),
            cache: None
        }
    );
    assert!(
        matches!(link, Part::Image { media: Media::Url(url), .. } if url == "https://example.com/x.png")
    );
    assert!(
        matches!(file, Part::File { media, .. } if *media == inline("application/pdf", "JVBE"))
    );
    assert!(matches!(id, Part::File { media: Media::FileId(id), .. } if id == "file-1"));
    assert!(matches!(audio, Part::Audio { format, .. } if format == "wav"));
    assert!(matches!(
        video,
        Part::Video {
            media: Media::Url(_)
        }
    ));
}

#[test]
fn an_assistant_turn_keeps_reasoning_then_text_then_calls() {
    let request = parse(message(
        json!({"role": "assistant", "content": "", "reasoning": "ignored beside details",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "AAAA", "format": "google-gemini-v1", "id": "c1"},
            {"type": "reasoning.from_the_future", "x": 1},
        ],
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{\"a\":1}"}},
        ]}),
    ));
    let parts = &request.messages[0].parts;
    // P96: no empty text part beside calls. P82: a signed block is kept though its text is empty.
    assert_eq!(parts.len(), 4, "{parts:?}");
    assert!(matches!(&parts[0], Part::Reasoning(detail)
        if matches!(&detail.kind, ReasoningKind::Text { signature: Some(s), .. } if s == "sig")));
    assert!(matches!(&parts[1], Part::Reasoning(detail) if detail.id.as_deref() == Some("c1")));
    assert!(matches!(&parts[3], Part::ToolCall { name, .. } if name == "g"));

    let request = parse(message(
        json!({"role": "assistant", "content": "x", "reasoning_content": "why"}),
    ));
    assert!(
        matches!(&request.messages[0].parts[0], Part::Reasoning(detail)
        if detail.format == ReasoningFormat::Unknown && detail.readable() == Some("why"))
    );
}

#[test]
fn a_tool_result_carries_its_mark() {
    let request = parse(message(
        json!({"role": "tool", "tool_call_id": "c1", "content": [
            {"type": "text", "text": "a"},
            {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}},
        ]}),
    ));
    assert!(matches!(request.messages[0].role, Role::Tool));
    let [
        Part::ToolResult {
            call_id,
            content,
            cache: Some(_),
            ..
        },
    ] = request.messages[0].parts.as_slice()
    else {
        panic!("one marked result")
    };
    assert_eq!(call_id, "c1");
    assert_eq!(content, &[Part::text("a"), Part::text("b")]);
}

#[test]
fn the_older_spellings_of_reasoning_mean_the_same() {
    let effort = parse(with("reasoning_effort", json!("xhigh")))
        .reasoning
        .unwrap();
    assert_eq!(effort.effort, Some(Effort::Xhigh));
    let hidden = parse(with("include_reasoning", json!(false)))
        .reasoning
        .unwrap();
    assert!(hidden.exclude);
    let shown = parse(with("include_reasoning", json!(true)))
        .reasoning
        .unwrap();
    assert_eq!(shown, Default::default());
    assert_eq!(parse(with("reasoning", json!(null))).reasoning, None);
}

#[test]
fn tools_formats_and_unknown_fields_are_kept() {
    let mut body = with(
        "response_format",
        json!({"type": "json_schema",
        "json_schema": {"name": "n", "strict": true, "schema": {"type": "object"}}}),
    );
    body["tools"] = json!([{"type": "function", "function": {"name": "f", "strict": true, "parameters": {"z": 1, "a": 2}}}]);
    body["tool_choice"] = json!({"type": "function", "function": {"name": "f"}});
    body["max_completion_tokens"] = json!(9);
    body["max_tokens"] = json!(5);
    body["stop"] = json!("END");
    body["temperature"] = json!(null);
    body["provider"] = json!({"order": ["x"]});
    body["safe_prompt"] = json!(true);
    body["cache_control"] = json!({"type": "ephemeral"});
    let request = parse(body);
    assert!(
        matches!(&request.response_format, Some(ResponseFormat::JsonSchema(schema)) if schema.strict == Some(true))
    );
    assert_eq!(request.tool_choice, Some(ToolChoice::Function("f".into())));
    // P78, P80: strict survives, and so does the order of a schema.
    assert_eq!(request.tools[0].strict, Some(true));
    assert_eq!(
        request.tools[0].parameters.as_ref().unwrap().to_string(),
        "{\"z\":1,\"a\":2}"
    );
    assert_eq!(request.max_tokens, Some(9));
    assert_eq!(request.stop, ["END"]);
    assert_eq!(request.sampling.temperature, None);
    assert_eq!(request.provider.unwrap().get(), "{\"order\":[\"x\"]}");
    assert_eq!(request.extra.keys().collect::<Vec<_>>(), ["safe_prompt"]);
    assert!(request.cache_control.is_some());
}
