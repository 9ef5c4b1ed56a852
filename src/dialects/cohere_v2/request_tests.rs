//! Requests: what goes upstream for what the client asked.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use serde_json::{Number, Value, json};

use crate::{
    catalog::{Budget, Endpoint, Parameter, Provider, Reasoning},
    chat::{
        ChatRequest, Effort, JsonSchema, Media, Message, Part, ReasoningDetail, ReasoningFormat,
        ReasoningRequest, ResponseFormat, Role, Sampling, Tool, ToolChoice,
    },
    dialects::{Inbound, NativeRequest, Surface, Target},
    error::{Next, Result},
};

fn endpoint() -> Endpoint {
    let mut endpoint: Endpoint = serde_json::from_value(json!({
        "model": "cohere/command-a", "provider": "cohere", "tag": "cohere", "upstream_model_id": "command-a",
        "context_length": 128_000, "max_completion_tokens": 8_000, "prices": {"prompt": 0, "completion": 0},
        "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"]
    }))
    .unwrap();
    endpoint.supported_parameters = Parameter::ALL.to_vec();
    endpoint.reasoning = Some(Reasoning {
        toggle: true,
        budget: Some(Budget {
            min: Some(1),
            max: None,
        }),
        ..Reasoning::default()
    });
    endpoint
}

fn native(request: &ChatRequest, endpoint: &Endpoint) -> Result<NativeRequest> {
    let provider: Provider = serde_json::from_value(json!({
        "slug": "cohere", "name": "Cohere", "dialect": "cohere_v2", "base_url": "https://example.com",
        "auth": {"kind": "bearer"}, "secret": "COHERE_API_KEY"
    }))
    .unwrap();
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

fn written(request: &ChatRequest) -> (Value, Vec<&'static str>) {
    let native = native(request, &endpoint()).unwrap();
    (
        serde_json::from_slice(&native.body).unwrap(),
        native.dropped,
    )
}

fn chat(messages: Vec<Message>) -> ChatRequest {
    ChatRequest {
        messages,
        ..ChatRequest::default()
    }
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message {
        role,
        name: None,
        parts,
    }
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.into(),
        description: None,
        parameters: None,
        strict: Some(true),
        cache: None,
    }
}

fn text_file(name: &str, text: &str) -> Part {
    Part::File {
        filename: Some(name.into()),
        media: Media::Inline {
            mime: "text/plain".into(),
            data: BASE64.encode(text),
        },
        cache: None,
    }
}

#[test]
fn a_conversation_with_tools_keeps_plan_calls_results_and_thinking() {
    let call = Part::ToolCall {
        id: "c".into(),
        name: "look".into(),
        arguments: String::new(),
    };
    let thought = ReasoningDetail::text(ReasoningFormat::Unknown, 0, "hm");
    let foreign = ReasoningDetail::text(ReasoningFormat::AnthropicClaude, 0, "no");
    let result = Part::ToolResult {
        call_id: "c".into(),
        content: vec![Part::text("a"), Part::text("b")],
        is_error: false,
        cache: None,
    };
    let request = chat(vec![
        Message::text(Role::Developer, "Be brief."),
        Message::text(Role::User, "Where?"),
        message(
            Role::Assistant,
            vec![
                Part::Reasoning(thought),
                Part::Reasoning(foreign),
                Part::text("I look."),
                call,
            ],
        ),
        message(Role::Tool, vec![result]),
        // P97: nothing is said by nothing.
        message(Role::Assistant, vec![Part::text("")]),
        Message::text(Role::Assistant, "There."),
    ]);
    let (body, dropped) = written(&request);
    let function = json!({"name": "look", "arguments": "{}"});
    let expected = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}], "tool_plan": "I look.",
         "tool_calls": [{"id": "c", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c", "content": "a\nb"},
        {"role": "assistant", "content": "There."},
    ]);
    assert_eq!(body["messages"], expected);
    assert!(dropped.is_empty());
}

#[test]
fn text_files_become_documents_that_can_be_cited() {
    let ask = message(
        Role::User,
        vec![Part::text("Who?"), text_file("a.txt", "facts")],
    );
    let (body, _) = written(&chat(vec![ask.clone()]));
    let document = json!({"id": "doc:0", "data": {"title": "a.txt", "text": "facts"}});
    assert_eq!(body["documents"], json!([document]));
    assert_eq!(body["messages"][0]["content"], "Who?");

    // Beside tools, or alone, they are text.
    let with_tools = ChatRequest {
        tools: vec![tool("look")],
        ..chat(vec![ask])
    };
    let (body, _) = written(&with_tools);
    assert!(body.get("documents").is_none());
    assert_eq!(body["messages"][0]["content"][1]["text"], "facts");
    let (body, _) = written(&chat(vec![message(
        Role::User,
        vec![text_file("a", "facts")],
    )]));
    assert_eq!(body["messages"][0]["content"], "facts");
}

#[test]
fn what_the_api_cannot_read_names_its_place() {
    let pdf = Part::File {
        filename: None,
        media: Media::Inline {
            mime: "application/pdf".into(),
            data: "JVBERg==".into(),
        },
        cache: None,
    };
    let request = chat(vec![
        Message::text(Role::User, "a"),
        message(Role::User, vec![Part::text("b"), pdf]),
    ]);
    let error = native(&request, &endpoint()).unwrap_err();
    assert_eq!(
        error.param.as_deref(),
        Some("messages[1].content[1].file.file_data")
    );
    assert_eq!(error.next, Next::NextAttempt);
}

#[test]
fn one_function_that_must_be_called_is_the_only_tool() {
    // P63
    let mut request = ChatRequest {
        tools: vec![tool("a"), tool("b")],
        tool_choice: Some(ToolChoice::Function("b".into())),
        parallel_tool_calls: Some(false),
        response_format: Some(ResponseFormat::JsonObject),
        ..chat(vec![Message::text(Role::User, "hi")])
    };
    let (body, dropped) = written(&request);
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["tools"][0]["function"]["name"], "b");
    assert_eq!(body["tool_choice"], "REQUIRED");
    assert_eq!(body["strict_tools"], true);
    assert_eq!(dropped, ["parallel_tool_calls", "response_format"]);

    request.tool_choice = Some(ToolChoice::None);
    request.tools[0].strict = None;
    let (body, dropped) = written(&request);
    assert_eq!(
        (&body["tool_choice"], body.get("strict_tools")),
        (&json!("NONE"), None)
    );
    assert!(dropped.contains(&"tools.function.strict"));
}

#[test]
fn sampling_stays_within_what_the_api_takes() {
    let number = |value: f64| Number::from_f64(value);
    let request = ChatRequest {
        sampling: Sampling {
            temperature: number(1.5),
            top_p: number(1.0),
            top_k: Some(0),
            frequency_penalty: number(-0.5),
            presence_penalty: number(0.5),
            seed: Some(7),
            ..Sampling::default()
        },
        max_tokens: Some(100_000),
        stop: ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec(),
        ..chat(vec![Message::text(Role::User, "hi")])
    };
    let (body, dropped) = written(&request);
    assert_eq!(body["temperature"], 1.0);
    assert!(body.get("p").is_none() && body.get("k").is_none());
    assert_eq!(
        (&body["frequency_penalty"], &body["presence_penalty"]),
        (&json!(0.0), &json!(0.5))
    );
    assert_eq!(
        (&body["seed"], &body["max_tokens"]),
        (&json!(7), &json!(8_000))
    );
    assert_eq!(body["stop_sequences"].as_array().unwrap().len(), 5);
    assert_eq!(dropped, ["stop", "temperature", "frequency_penalty"]);
}

#[test]
fn a_schema_goes_beside_the_json_form() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let request = ChatRequest {
        response_format: Some(ResponseFormat::JsonSchema(JsonSchema {
            name: "n".into(),
            description: None,
            schema: schema.clone(),
            strict: None,
        })),
        ..chat(vec![Message::text(Role::User, "hi")])
    };
    let (body, _) = written(&request);
    assert_eq!(
        body["response_format"],
        json!({"type": "json_object", "json_schema": schema})
    );
}

#[test]
fn thinking_is_switched_and_limited() {
    // P89
    let ask = |reasoning: ReasoningRequest| ChatRequest {
        reasoning: Some(reasoning),
        max_tokens: Some(4_000),
        ..chat(vec![Message::text(Role::User, "hi")])
    };
    let effort = |effort| ReasoningRequest {
        effort: Some(effort),
        ..ReasoningRequest::default()
    };
    let budget = |tokens| ReasoningRequest {
        max_tokens: Some(tokens),
        ..ReasoningRequest::default()
    };
    for (wanted, thinking) in [
        (effort(Effort::None), json!({"type": "disabled"})),
        (
            effort(Effort::Medium),
            json!({"type": "enabled", "token_budget": 2_000}),
        ),
        (
            budget(9_000),
            json!({"type": "enabled", "token_budget": 3_999}),
        ),
        (ReasoningRequest::default(), Value::Null),
    ] {
        assert_eq!(written(&ask(wanted)).0["thinking"], thinking);
    }
    let mut plain = endpoint();
    plain.reasoning = None;
    let native = native(&ask(effort(Effort::High)), &plain).unwrap();
    assert_eq!(native.dropped, ["reasoning"]);
}
