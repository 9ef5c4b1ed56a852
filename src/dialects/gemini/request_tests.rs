//! Requests: what goes upstream for what the client asked.

use serde_json::{Map, Number, Value, json};

use crate::{
    catalog::{Budget, Dialect, Endpoint, Parameter, Provider, Reasoning},
    chat::{
        CacheMark, ChatRequest, Effort, JsonSchema, Media, Message, Part, ReasoningDetail,
        ReasoningFormat, ReasoningKind, ReasoningRequest, ResponseFormat, Role, Tool, ToolChoice,
    },
    dialects::{Inbound, NativeRequest, Surface, Target},
    error::{Error, Result},
};

fn endpoint(reasoning: Option<Reasoning>) -> Endpoint {
    let mut endpoint: Endpoint = serde_json::from_value(json!({
        "model": "google/gemini", "provider": "google-ai-studio", "tag": "google-ai-studio", "upstream_model_id": "gemini-2.5-flash",
        "context_length": 1_048_576, "max_completion_tokens": 65_536, "prices": {"prompt": 0, "completion": 0},
        "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"]
    }))
    .unwrap();
    endpoint.supported_parameters = Parameter::ALL.to_vec();
    endpoint.reasoning = reasoning;
    endpoint
}

/// 2.5: a budget.
fn budget() -> Reasoning {
    Reasoning {
        budget: Some(Budget {
            min: Some(512),
            max: Some(24_576),
        }),
        toggle: true,
        ..Reasoning::default()
    }
}

/// 3: levels.
fn levels() -> Reasoning {
    Reasoning {
        efforts: vec![Effort::High, Effort::Low],
        mandatory: true,
        ..Reasoning::default()
    }
}

fn native(request: &ChatRequest, endpoint: &Endpoint) -> Result<NativeRequest> {
    let provider: Provider = serde_json::from_value(json!({
        "slug": "google-ai-studio", "name": "Google AI Studio", "dialect": "gemini", "base_url": "https://example.com/v1beta",
        "auth": {"kind": "header", "name": "x-goog-api-key"}, "secret": "GEMINI_API_KEY"
    }))
    .unwrap();
    assert_eq!(provider.dialect, Dialect::Gemini);
    let target = Target {
        endpoint,
        provider: &provider,
    };
    super::request(
        &Inbound {
            request,
            surface: Surface::ChatCompletions,
            raw: None,
        },
        &target,
    )
}

fn body_for(request: &ChatRequest, endpoint: &Endpoint) -> Value {
    serde_json::from_slice(&native(request, endpoint).unwrap().body).unwrap()
}

fn body(request: &ChatRequest) -> Value {
    body_for(request, &endpoint(None))
}

fn chat(messages: Vec<Message>) -> ChatRequest {
    ChatRequest {
        messages,
        ..ChatRequest::default()
    }
}

fn hi() -> ChatRequest {
    chat(vec![Message::text(Role::User, "hi")])
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message {
        role,
        name: None,
        parts,
    }
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    }
}

fn result(id: &str, content: Vec<Part>) -> Message {
    message(
        Role::Tool,
        vec![Part::ToolResult {
            call_id: id.into(),
            content,
            is_error: false,
            cache: None,
        }],
    )
}

fn encrypted(id: Option<&str>, data: &str) -> Part {
    Part::Reasoning(ReasoningDetail {
        kind: ReasoningKind::Encrypted { data: data.into() },
        format: ReasoningFormat::GoogleGemini,
        id: id.map(str::to_owned),
        index: None,
    })
}

fn tool(name: &str, parameters: Option<Value>) -> Tool {
    Tool {
        name: name.into(),
        description: None,
        parameters,
        strict: None,
        cache: None,
    }
}

fn param(error: Error) -> String {
    error.param.unwrap()
}

#[test]
fn the_smallest_request_holds_nothing_that_was_not_asked() {
    let native = native(&hi(), &endpoint(Some(budget()))).unwrap();
    assert_eq!(native.path, "/models/gemini-2.5-flash:generateContent");
    assert_eq!(
        native.body,
        br#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#
    );
    assert!(native.dropped.is_empty());
}

#[test]
fn a_stream_has_its_own_path() {
    let mut request = hi();
    request.stream = true;
    let native = native(&request, &endpoint(None)).unwrap();
    assert_eq!(
        native.path,
        "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    );
}

#[test]
fn a_model_id_cannot_lead_elsewhere() {
    // P107
    for id in [
        "",
        "..",
        "a/../b",
        "models/..",
        "models/a/b",
        "a?x",
        "a#x",
        "a%2f",
        "a:countTokens",
        "files/x",
    ] {
        let mut endpoint = endpoint(None);
        endpoint.upstream_model_id = id.into();
        assert!(native(&hi(), &endpoint).is_err(), "{id}");
    }
    for (id, path) in [
        ("models/gemini-3", "/models/gemini-3:generateContent"),
        ("tunedModels/mine-1", "/tunedModels/mine-1:generateContent"),
    ] {
        let mut endpoint = endpoint(None);
        endpoint.upstream_model_id = id.into();
        assert_eq!(native(&hi(), &endpoint).unwrap().path, path);
    }
}

#[test]
fn instructions_go_apart_and_turns_of_one_role_join() {
    let request = chat(vec![
        Message::text(Role::System, "Be kind."),
        Message::text(Role::User, "a"),
        Message {
            name: Some("Ann".into()),
            ..Message::text(Role::User, "b")
        },
        Message::text(Role::Assistant, "c"),
        Message::text(Role::Developer, "Be brief."),
        Message::text(Role::Assistant, ""),
        Message::text(Role::User, "d"),
    ]);
    assert_eq!(
        body(&request),
        json!({
            "systemInstruction": {"parts": [{"text": "Be kind."}, {"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "a"}, {"text": "Ann: b"}]},
                {"role": "model", "parts": [{"text": "c"}]},
                {"role": "user", "parts": [{"text": "d"}]}]
        })
    );
}

#[test]
fn instructions_alone_are_a_question() {
    let request = chat(vec![Message::text(Role::System, "Tell a joke.")]);
    assert_eq!(
        body(&request),
        json!({"contents": [{"role": "user", "parts": [{"text": "Tell a joke."}]}]})
    );
    assert_eq!(
        param(native(&chat(Vec::new()), &endpoint(None)).unwrap_err()),
        "messages"
    );
}

#[test]
fn results_follow_their_calls_in_order_and_take_their_names() {
    // P56, P66, P67: the client sent them the other way round, without names, with a remark between.
    let request = chat(vec![
        Message::text(Role::User, "go"),
        message(
            Role::Assistant,
            vec![call("1", "a", ""), call("2", "b", "{\"x\": 1}")],
        ),
        result("2", vec![Part::text("red")]),
        Message::text(Role::User, "and?"),
        result("1", vec![Part::text("{\"ok\":true}")]),
    ]);
    assert_eq!(
        body(&request)["contents"],
        json!([
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "1", "name": "a", "args": {}}},
                {"functionCall": {"id": "2", "name": "b", "args": {"x": 1}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "1", "name": "a", "response": {"ok": true}}},
                {"functionResponse": {"id": "2", "name": "b", "response": {"result": "red"}}}]},
            {"role": "user", "parts": [{"text": "and?"}]}
        ])
    );
}

#[test]
fn ids_that_come_again_answer_the_latest_turn() {
    let turn = |text: &str| {
        [
            message(Role::Assistant, vec![call("call_0", text, "{}")]),
            result("call_0", vec![Part::text(text)]),
        ]
    };
    let mut messages = vec![Message::text(Role::User, "go")];
    messages.extend(turn("one"));
    messages.extend(turn("two"));
    let contents = &body(&chat(messages))["contents"];
    assert_eq!(
        contents[2]["parts"][0]["functionResponse"]["response"]["result"],
        "one"
    );
    assert_eq!(contents[4]["parts"][0]["functionResponse"]["name"], "two");
}

#[test]
fn a_result_without_a_call_and_arguments_without_sense_are_told_with_their_path() {
    // P56
    let stray = chat(vec![
        Message::text(Role::User, "go"),
        result("9", vec![Part::text("x")]),
    ]);
    let error = native(&stray, &endpoint(None)).unwrap_err();
    assert_eq!(param(error), "messages[1].tool_call_id");
    let list = chat(vec![message(
        Role::Assistant,
        vec![call("1", "a", "{}"), call("2", "b", "[1]")],
    )]);
    let error = native(&list, &endpoint(None)).unwrap_err();
    assert_eq!(param(error), "messages[0].tool_calls[1].function.arguments");
}

#[test]
fn pictures_in_a_result_follow_as_a_turn_of_their_own() {
    let image = Part::Image {
        media: Media::Inline {
            mime: "image/png".into(),
            data: "QUJD".into(),
        },
        detail: None,
        cache: None,
    };
    let request = chat(vec![
        Message::text(Role::User, "go"),
        message(Role::Assistant, vec![call("1", "shot", "{}")]),
        result("1", vec![Part::text("done"), image]),
        Message::text(Role::User, "what is it?"),
    ]);
    let contents = &body(&request)["contents"];
    assert_eq!(contents[2]["parts"].as_array().unwrap().len(), 1);
    assert_eq!(
        contents[3]["parts"],
        json!([{"text": "Output of shot:"}, {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}, {"text": "what is it?"}])
    );
}

#[test]
fn signatures_return_to_the_parts_that_carried_them() {
    // P84, P85, P87
    let foreign = Part::Reasoning(ReasoningDetail {
        kind: ReasoningKind::Text {
            text: Some("hm".into()),
            signature: Some("claude".into()),
        },
        format: ReasoningFormat::AnthropicClaude,
        id: None,
        index: None,
    });
    let thought = Part::Reasoning(ReasoningDetail::text(
        ReasoningFormat::GoogleGemini,
        0,
        "I think",
    ));
    let request = chat(vec![
        Message::text(Role::User, "go"),
        message(
            Role::Assistant,
            vec![
                foreign,
                thought,
                encrypted(None, "T"),
                encrypted(Some("1"), "C+/="),
                encrypted(None, "S"),
                encrypted(Some("gone"), "X"),
                Part::text("Well"),
                call("1", "a", "{}"),
                call("2", "b", "{}"),
            ],
        ),
        result("1", vec![Part::text("x")]),
        result("2", vec![Part::text("y")]),
    ]);
    assert_eq!(
        body_for(&request, &endpoint(Some(levels())))["contents"][1]["parts"],
        json!([
            {"thought": true, "text": "I think"},
            {"text": "Well", "thoughtSignature": "T"},
            {"functionCall": {"id": "1", "name": "a", "args": {}}, "thoughtSignature": "C+/="},
            {"functionCall": {"id": "2", "name": "b", "args": {}}},
            {"text": "", "thoughtSignature": "S"}
        ])
    );
}

#[test]
fn calls_of_another_model_get_the_documented_signature_where_one_is_required() {
    // P87
    let request = chat(vec![
        Message::text(Role::User, "go"),
        message(
            Role::Assistant,
            vec![call("1", "a", "{}"), call("2", "b", "{}")],
        ),
    ]);
    let signature = |reasoning, at: usize| {
        body_for(&request, &endpoint(reasoning))["contents"][1]["parts"][at]["thoughtSignature"]
            .clone()
    };
    assert_eq!(
        signature(Some(levels()), 0),
        "skip_thought_signature_validator"
    );
    assert_eq!(signature(Some(levels()), 1), Value::Null);
    assert_eq!(signature(Some(budget()), 0), Value::Null);
}

#[test]
fn media_go_as_bytes_or_as_addresses() {
    // P108
    let url = |url: &str| Media::Url(url.into());
    let inline = |mime: &str| Media::Inline {
        mime: mime.into(),
        data: "QQ==".into(),
    };
    let image = |media| Part::Image {
        media,
        detail: None,
        cache: Some(CacheMark { ttl: None }),
    };
    let file = |media, name: &str| Part::File {
        filename: Some(name.into()),
        media,
        cache: None,
    };
    let request = chat(vec![message(
        Role::User,
        vec![
            image(inline("image/jpg")),
            image(url("https://example.com/a.PNG?x=1")),
            image(url("https://example.com/a")),
            image(url("gs://bucket/a.webp")),
            file(inline("application/pdf"), "a.pdf"),
            file(inline("application/json; charset=utf-8"), "a.json"),
            file(inline("application/octet-stream"), "a.csv"),
            file(Media::FileId("files/abc-1".into()), ""),
            Part::Audio {
                data: "QQ==".into(),
                format: "mp3".into(),
            },
            Part::Video {
                media: url("https://www.youtube.com/watch?v=x"),
            },
            Part::Video {
                media: inline("video/mp4"),
            },
        ],
    )]);
    assert_eq!(
        body(&request)["contents"][0]["parts"],
        json!([
            {"inlineData": {"mimeType": "image/jpeg", "data": "QQ=="}},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.PNG?x=1"}},
            {"fileData": {"fileUri": "https://example.com/a"}},
            {"fileData": {"mimeType": "image/webp", "fileUri": "gs://bucket/a.webp"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "QQ=="}},
            {"inlineData": {"mimeType": "text/plain", "data": "QQ=="}},
            {"inlineData": {"mimeType": "text/csv", "data": "QQ=="}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc-1"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "QQ=="}},
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://www.youtube.com/watch?v=x"}},
            {"inlineData": {"mimeType": "video/mp4", "data": "QQ=="}}
        ])
    );
    for (part, path) in [
        (image(inline("image/gif")), "image_url.url"),
        (image(url("http://example.com/a.png")), "image_url.url"),
        (
            file(inline("application/vnd.ms-excel"), "a.xls"),
            "file.file_data",
        ),
        (file(Media::FileId("file-123".into()), ""), "file.file_id"),
        (
            Part::Audio {
                data: String::new(),
                format: "midi".into(),
            },
            "input_audio.format",
        ),
        (
            Part::Video {
                media: url("ftp://x"),
            },
            "video_url.url",
        ),
    ] {
        let request = chat(vec![message(Role::User, vec![Part::text("see"), part])]);
        let error = native(&request, &endpoint(None)).unwrap_err();
        assert_eq!(param(error), format!("messages[0].content[1].{path}"));
    }
}

#[test]
fn tools_keep_their_order_and_their_json_schema() {
    // P68, P74, P80
    let mut request = hi();
    let schema = json!({"type": "object", "properties": {"n": {"type": ["integer", "null"]}}, "additionalProperties": false});
    request.tools = vec![tool("z", Some(schema.clone())), tool("a", None)];
    for (choice, config) in [
        (ToolChoice::Auto, json!({"mode": "AUTO"})),
        (ToolChoice::None, json!({"mode": "NONE"})),
        (ToolChoice::Required, json!({"mode": "ANY"})),
        (
            ToolChoice::Function("a".into()),
            json!({"mode": "ANY", "allowedFunctionNames": ["a"]}),
        ),
    ] {
        request.tool_choice = Some(choice);
        assert_eq!(
            body(&request)["toolConfig"],
            json!({"functionCallingConfig": config})
        );
    }
    assert_eq!(
        body(&request)["tools"],
        json!([{"functionDeclarations": [
            {"name": "z", "parametersJsonSchema": schema},
            {"name": "a", "parametersJsonSchema": {"type": "object", "properties": {}}}]}])
    );
    // P61
    request.tools.clear();
    let body = body(&request);
    assert_eq!(
        (&body["tools"], &body["toolConfig"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn search_is_used_only_if_asked_and_never_beside_functions() {
    let mut request = hi();
    request.web_search_options = Some(json!({"search_context_size": "low"}));
    assert_eq!(body(&request)["tools"], json!([{"googleSearch": {}}]));
    request.tools = vec![tool("a", None)];
    let native = native(&request, &endpoint(None)).unwrap();
    assert_eq!(native.dropped, ["web_search_options"]);
}

#[test]
fn sampling_limits_and_formats_take_geminis_names() {
    let number = |text: &str| text.parse::<Number>().ok();
    let mut request = hi();
    request.sampling.temperature = number("0.0");
    request.sampling.top_p = number("0.95");
    request.sampling.top_k = Some(40);
    request.sampling.seed = Some(7);
    request.sampling.presence_penalty = number("0.5");
    request.sampling.frequency_penalty = number("-1");
    request.max_tokens = Some(100);
    request.stop = vec!["END".into()];
    request.n = Some(3); // P104
    request.logprobs = Some(true);
    request.top_logprobs = Some(2);
    request.modalities = vec!["text".into(), "image".into()];
    request.audio = Some(json!({"voice": "Kore", "format": "pcm16"}));
    request.extra = Map::from_iter([(
        "image_config".to_owned(),
        json!({"aspect_ratio": "16:9", "other": 1}),
    )]);
    request.response_format = Some(ResponseFormat::JsonSchema(JsonSchema {
        name: "x".into(),
        description: None,
        schema: json!({"type": "object"}),
        strict: Some(true),
    }));
    assert_eq!(
        body(&request)["generationConfig"],
        json!({
            "temperature": 0.0, "topP": 0.95, "topK": 40, "candidateCount": 3, "maxOutputTokens": 100, "stopSequences": ["END"],
            "seed": 7, "presencePenalty": 0.5, "frequencyPenalty": -1, "responseLogprobs": true, "logprobs": 2,
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            "responseModalities": ["TEXT", "IMAGE"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
            "imageConfig": {"aspectRatio": "16:9"}
        })
    );
}

#[test]
fn an_endpoint_without_schemas_still_promises_json() {
    let mut request = hi();
    request.response_format = Some(ResponseFormat::JsonSchema(JsonSchema {
        name: "x".into(),
        description: None,
        schema: json!({"type": "object"}),
        strict: None,
    }));
    let mut plain = endpoint(None);
    plain.supported_parameters = vec![Parameter::ResponseFormat];
    let config = body_for(&request, &plain)["generationConfig"].clone();
    assert_eq!(config, json!({"responseMimeType": "application/json"}));
    let native = native(&request, &plain).unwrap();
    assert_eq!(native.dropped, ["structured_outputs"]);
}

#[test]
fn what_the_target_cannot_take_is_left_out_and_told() {
    let mut request = hi();
    request.sampling.min_p = "0.1".parse().ok();
    request.sampling.seed = Some(1);
    request.logit_bias = Some(Map::new());
    request.reasoning = Some(ReasoningRequest::default());
    request.tools = vec![tool("a", None)];
    request.tool_choice = Some(ToolChoice::Auto);
    request.stop = vec!["END".into()];
    request.response_format = Some(ResponseFormat::JsonObject);
    let mut plain = endpoint(None);
    plain.supported_parameters = vec![Parameter::Temperature];
    let native = native(&request, &plain).unwrap();
    assert_eq!(
        native.dropped,
        [
            "tools",
            "reasoning",
            "response_format",
            "stop",
            "seed",
            "min_p",
            "logit_bias"
        ]
    );
    assert_eq!(
        native.body,
        br#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#
    );
}

#[test]
fn effort_and_budget_become_what_the_endpoint_takes() {
    // P89, P90
    let effort = |effort| ReasoningRequest {
        effort: Some(effort),
        ..ReasoningRequest::default()
    };
    let tokens = |tokens| ReasoningRequest {
        max_tokens: Some(tokens),
        ..ReasoningRequest::default()
    };
    let on = ReasoningRequest {
        enabled: Some(true),
        ..ReasoningRequest::default()
    };
    let hidden = ReasoningRequest {
        exclude: true,
        ..effort(Effort::High)
    };
    let default = ReasoningRequest::default();
    for (reasoning, wanted, limit, expected) in [
        (
            budget(),
            effort(Effort::Low),
            Some(20_000),
            json!({"includeThoughts": true, "thinkingBudget": 4_000}),
        ),
        (
            budget(),
            effort(Effort::High),
            Some(1_000),
            json!({"includeThoughts": true, "thinkingBudget": 999}),
        ),
        (
            budget(),
            effort(Effort::Max),
            Some(60_000),
            json!({"includeThoughts": true, "thinkingBudget": 24_576}),
        ),
        (
            budget(),
            on.clone(),
            Some(8_000),
            json!({"includeThoughts": true, "thinkingBudget": 4_000}),
        ),
        (
            budget(),
            tokens(9_000),
            Some(1_000),
            json!({"includeThoughts": true, "thinkingBudget": 9_000}),
        ),
        (
            budget(),
            tokens(10),
            None,
            json!({"includeThoughts": true, "thinkingBudget": 512}),
        ),
        (
            budget(),
            hidden,
            Some(10_000),
            json!({"thinkingBudget": 8_000}),
        ),
        (
            budget(),
            default.clone(),
            None,
            json!({"includeThoughts": true}),
        ),
        (
            budget(),
            effort(Effort::None),
            None,
            json!({"thinkingBudget": 0}),
        ),
        (
            levels(),
            effort(Effort::Xhigh),
            None,
            json!({"includeThoughts": true, "thinkingLevel": "high"}),
        ),
        (
            levels(),
            effort(Effort::Minimal),
            None,
            json!({"includeThoughts": true, "thinkingLevel": "low"}),
        ),
        (
            levels(),
            tokens(60_000),
            None,
            json!({"includeThoughts": true, "thinkingLevel": "high"}),
        ),
        (levels(), default, None, json!({"includeThoughts": true})),
    ] {
        let mut request = hi();
        request.max_tokens = limit;
        let name = format!("{wanted:?}");
        request.reasoning = Some(wanted);
        let body = body_for(&request, &endpoint(Some(reasoning)));
        assert_eq!(
            body["generationConfig"]["thinkingConfig"], expected,
            "{name}"
        );
    }
    let mut request = hi();
    request.reasoning = Some(effort(Effort::None));
    let mandatory = Reasoning {
        mandatory: true,
        ..Reasoning::default()
    };
    for always in [levels(), mandatory] {
        let error = native(&request, &endpoint(Some(always))).unwrap_err();
        assert_eq!(param(error), "reasoning.effort");
    }
    let plain = native(&request, &endpoint(None)).unwrap();
    assert!(plain.dropped.is_empty(), "there is nothing to switch off");
}

#[test]
fn equal_requests_have_equal_bytes() {
    // P80
    let mut request = hi();
    request.tools = vec![tool(
        "a",
        Some(json!({"type": "object", "properties": {"z": {}, "b": {}, "m": {}}})),
    )];
    let bytes = || native(&request, &endpoint(None)).unwrap().body;
    assert_eq!(bytes(), bytes());
    assert!(
        String::from_utf8(bytes())
            .unwrap()
            .contains(r#""properties":{"z":{},"b":{},"m":{}}"#)
    );
}

#[test]
fn a_message_without_content_makes_no_turn() {
    // P97
    let silent = Message {
        role: Role::Assistant,
        ..Message::default()
    };
    let body = body(&chat(vec![
        Message::text(Role::User, "a"),
        silent,
        Message::text(Role::User, "b"),
    ]));
    assert_eq!(
        body["contents"],
        json!([{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}])
    );
}

#[test]
fn an_endpoint_of_another_tier_asks_for_it() {
    let mut endpoint = endpoint(None);
    let request = ChatRequest {
        service_tier: Some("flex".into()),
        messages: vec![Message::text(Role::User, "x")],
        ..ChatRequest::default()
    };
    for (tag, asked) in [
        ("google-ai-studio", None),
        ("google-ai-studio/flex", Some("flex")),
    ] {
        endpoint.tag = tag.into();
        let written = native(&request, &endpoint).unwrap();
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        let said = body.get("serviceTier").and_then(Value::as_str);
        assert_eq!(said, asked, "{tag}");
    }
}
