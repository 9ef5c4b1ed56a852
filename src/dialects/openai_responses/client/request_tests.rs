//! What a client's body becomes, and what is wrong with one.

use serde_json::{Value, json};

use super::{parse_request, sealed};
use crate::chat::{
    ChatRequest, Media, Part, ReasoningDetail, ReasoningFormat, ReasoningKind, ResponseFormat,
    Role, ToolChoice,
};

fn parsed(body: Value) -> ChatRequest {
    parse_request(body.to_string().as_bytes()).unwrap()
}

fn input(items: Value) -> ChatRequest {
    parsed(json!({"model": "m", "input": items}))
}

#[test]
fn a_string_is_the_users_and_instructions_come_first() {
    let request = parsed(
        json!({"model": "a,b", "input": "Hi", "instructions": "Be brief.", "max_output_tokens": 9}),
    );
    let roles: Vec<Role> = request
        .messages
        .iter()
        .map(|message| message.role)
        .collect();
    assert_eq!(roles, [Role::System, Role::User]);
    assert_eq!(request.messages[1].parts, [Part::text("Hi")]);
    assert_eq!(
        (request.model.as_str(), request.models),
        ("a", vec!["b".to_owned()])
    );
    assert_eq!(request.max_tokens, Some(9));
}

#[test]
fn a_tool_of_the_gateways_has_its_parameters_beside_its_type_or_apart() {
    let tool = |tool: Value| {
        let body = json!({"model": "m", "input": "Hi", "tools": [tool]});
        parse_request(body.to_string().as_bytes()).map(|mut request| request.server_tools.remove(0))
    };
    let apart = tool(json!({"type": "openrouter:web_search", "parameters": {"max_results": 3}}));
    let beside = tool(json!({"type": "web_search", "max_results": 3}));
    let (apart, beside) = (apart.unwrap(), beside.unwrap());
    assert_eq!(apart.parameters, beside.parameters);
    assert_eq!(
        (apart.path.as_str(), beside.path.as_str()),
        ("tools[0].parameters", "tools[0]")
    );
    let wrong = tool(json!({"type": "openrouter:datetime", "parameters": 7})).unwrap_err();
    assert_eq!(wrong.param.as_deref(), Some("tools[0].parameters"));
}

#[test]
fn what_the_model_said_in_a_row_is_one_message() {
    let request = input(json!([
        {"role": "user", "content": [
            {"type": "input_text", "text": "a"},
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
            {"type": "input_file", "filename": "x.pdf", "file_data": "data:application/pdf;base64,AA=="},
            {"type": "input_file", "file_url": "https://e.org/x.pdf"},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "so"}], "encrypted_content": "gAA"},
        {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "b", "annotations": []}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "line \"1\""},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "r"}, {"type": "input_image", "file_id": "f1"}]},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        {"role": "assistant", "content": "c"},
    ]));
    let roles: Vec<Role> = request
        .messages
        .iter()
        .map(|message| message.role)
        .collect();
    assert_eq!(
        roles,
        [
            Role::User,
            Role::Assistant,
            Role::Tool,
            Role::Tool,
            Role::Assistant
        ]
    );
    assert_eq!(request.messages[0].parts.len(), 5);
    let said = &request.messages[1].parts;
    assert!(
        matches!(&said[0], Part::Reasoning(ReasoningDetail { id: Some(id), .. }) if id == "rs_1")
    );
    assert!(matches!(
        &said[1],
        Part::Reasoning(ReasoningDetail {
            kind: ReasoningKind::Encrypted { .. },
            format: ReasoningFormat::OpenaiResponses,
            ..
        })
    ));
    assert!(matches!(&said[3], Part::ToolCall { id, .. } if id == "c1"));
    let Part::ToolCall { arguments, .. } = &said[4] else {
        panic!("{said:?}")
    };
    assert_eq!(
        serde_json::from_str::<Value>(arguments).unwrap(),
        json!({"input": "line \"1\""})
    );
    let Part::ToolResult { content, .. } = &request.messages[2].parts[0] else {
        panic!()
    };
    assert!(matches!(&content[1], Part::Image { media: Media::FileId(id), .. } if id == "f1"));
    assert!(!request.has_extensions && request.only_native.is_none());
}

#[test]
fn reasoning_that_the_gateway_sealed_is_opened_again() {
    // P24, P83
    let block = ReasoningDetail {
        kind: ReasoningKind::Encrypted {
            data: "redacted".into(),
        },
        format: ReasoningFormat::AnthropicClaude,
        id: None,
        index: Some(0),
    };
    let field = sealed::seal(std::slice::from_ref(&block));
    let request = input(json!([
        {"role": "user", "content": "a"},
        {"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": field, "format": "anthropic-claude-v1"},
    ]));
    assert_eq!(request.messages[1].parts, [Part::Reasoning(block)]);
    assert!(request.has_extensions, "no host of Responses opens it");
}

#[test]
fn tools_of_a_namespace_are_tools_under_both_names() {
    let request = parsed(json!({
        "model": "m",
        "input": [
            {"role": "user", "content": "a"},
            {"type": "function_call", "call_id": "c", "namespace": "agents", "name": "close", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ],
        "tools": [
            {"type": "function", "name": "close"},
            {"type": "namespace", "name": "agents", "description": "d", "tools": [{"type": "function", "name": "close", "strict": false,
                "parameters": {"type": "object"}}]},
        ],
        "tool_choice": {"type": "function", "namespace": "agents", "name": "close"},
    }));
    let names: Vec<_> = request
        .tools
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    assert_eq!(names, ["close", "agents__close"]);
    assert_eq!(
        request.tool_choice,
        Some(ToolChoice::Function("agents__close".into()))
    );
    assert!(
        matches!(&request.messages[1].parts[..], [Part::ToolCall { name, .. }] if name == "agents__close")
    );
}

#[test]
fn a_search_that_must_not_go_to_the_web_is_not_one_of_the_gateways() {
    for (access, searches) in [(json!(false), 0), (json!(true), 1), (Value::Null, 1)] {
        let tool = json!({"type": "web_search", "external_web_access": access});
        let request = parsed(json!({"model": "m", "input": "a", "tools": [tool]}));
        assert_eq!(request.server_tools.len(), searches, "{access}");
        assert_eq!(request.tools, []);
    }
}

#[test]
fn fields_have_the_names_of_this_api() {
    let request = parsed(json!({
        "model": "m", "input": "a", "stream": true, "temperature": 0.5, "top_logprobs": 3,
        "tools": [
            {"type": "function", "name": "f", "parameters": null, "strict": true},
            {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"x\""}},
            {"type": "web_search", "search_context_size": "low"},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto"},
        "safety_identifier": "u", "service_tier": "auto", "store": false, "previous_response_id": null,
        "plugins": [],
    }));
    assert!(request.stream);
    assert_eq!(
        (request.logprobs, request.top_logprobs),
        (Some(true), Some(3))
    );
    assert_eq!(request.tools.len(), 2);
    assert_eq!(
        (request.tools[0].strict, &request.tools[0].parameters),
        (Some(true), &None)
    );
    let parameters = request.tools[1].parameters.as_ref().unwrap();
    assert_eq!(parameters["required"], json!(["input"]));
    assert!(
        parameters["properties"]["input"]["description"]
            .as_str()
            .unwrap()
            .contains("lark")
    );
    assert_eq!(
        request.server_tools[0].parameters["search_context_size"],
        "low"
    );
    assert_eq!(request.tool_choice, Some(ToolChoice::Function("f".into())));
    let Some(ResponseFormat::JsonSchema(schema)) = request.response_format else {
        panic!()
    };
    assert_eq!((schema.name.as_str(), schema.strict), ("s", Some(true)));
    assert_eq!(request.verbosity.as_deref(), Some("low"));
    assert_eq!(request.user.as_deref(), Some("u"));
    assert_eq!(request.service_tier, None);
    assert!(request.extra.contains_key("plugins"));
}

#[test]
fn what_is_wrong_is_named_by_its_path() {
    let item = |item: Value| json!({"model": "m", "input": [item]});
    for (body, param) in [
        (json!({"model": "m"}), "input"),
        (json!({"model": "m", "input": []}), "input"),
        (json!({"input": "a"}), "model"),
        (json!({"model": "m", "input": "a", "store": true}), "store"),
        (
            json!({"model": "m", "input": "a", "previous_response_id": "resp_1"}),
            "previous_response_id",
        ),
        (
            json!({"model": "m", "input": "a", "conversation": "conv_1"}),
            "conversation",
        ),
        (
            json!({"model": "m", "input": "a", "background": true}),
            "background",
        ),
        (
            json!({"model": "m", "input": "a", "prompt": {"id": "p"}}),
            "prompt",
        ),
        (
            json!({"model": "m", "input": "a", "max_output_tokens": 0}),
            "max_output_tokens",
        ),
        (
            json!({"model": "m", "input": "a", "tools": [{"type": "file_search"}]}),
            "tools[0].type",
        ),
        (
            json!({"model": "m", "input": "a", "tools": [{"type": "function"}]}),
            "tools[0].name",
        ),
        (
            json!({"model": "m", "input": "a", "tool_choice": {"type": "mcp"}}),
            "tool_choice",
        ),
        (
            json!({"model": "m", "input": "a", "text": {"format": {"type": "json_schema"}}}),
            "text.format.name",
        ),
        (
            json!({"model": "m", "input": "a", "text": {"verbosity": "loud"}}),
            "text.verbosity",
        ),
        (
            json!({"model": "m", "input": "a", "temperature": 3}),
            "temperature",
        ),
        (
            item(json!({"type": "item_reference", "id": "rs_1"})),
            "input[0].type",
        ),
        (item(json!({"type": "dream"})), "input[0].type"),
        (item(json!({"role": "user"})), "input[0].content"),
        (item(json!({"content": "a"})), "input[0].role"),
        (
            item(json!({"role": "wizard", "content": "a"})),
            "input[0].role",
        ),
        (
            item(json!({"role": "user", "content": [{"type": "input_text", "text": 5}]})),
            "input[0].content[0].text",
        ),
        (
            item(json!({"role": "user", "content": [{"type": "hologram"}]})),
            "input[0].content[0].type",
        ),
        (
            item(json!({"role": "user", "content": [{"type": "input_image", "image_url": "x"}]})),
            "input[0].content[0].image_url",
        ),
        (
            item(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{"})),
            "input[0].arguments",
        ),
        (
            item(json!({"type": "function_call_output", "output": "x"})),
            "input[0].call_id",
        ),
        (
            item(json!({"type": "reasoning", "summary": [], "encrypted_content": "pb1.damaged"})),
            "input[0].encrypted_content",
        ),
    ] {
        let error = parse_request(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(
            (error.status, error.param.as_deref()),
            (400, Some(param)),
            "{body}: {error}"
        );
    }
}

#[test]
fn items_that_only_hosts_of_responses_read_are_noted() {
    let request = input(json!([
        {"role": "user", "content": "a"},
        {"type": "compaction", "encrypted_content": "x"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
    ]));
    assert_eq!(request.only_native.as_deref(), Some("input[1]"));
    assert_eq!(request.messages.len(), 1);
}
