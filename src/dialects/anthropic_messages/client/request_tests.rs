//! What a client's body comes to, and which field a wrong one is told about.

use serde_json::{Value, json};

use super::parse_request;
use crate::chat::{
    CacheMark, CacheTtl, ChatRequest, Effort, Media, Message, Part, ReasoningFormat, ReasoningKind,
    ReasoningWish, ResponseFormat, Role, ToolChoice,
};

fn parse(body: Value) -> ChatRequest {
    parse_request(body.to_string().as_bytes()).unwrap()
}

/// A body with these fields beside its model and one message.
fn with(fields: Value) -> Value {
    let mut body =
        json!({"model": "a/b", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    body
}

fn turns(messages: Value) -> Vec<Message> {
    parse(json!({"model": "a/b", "messages": messages})).messages
}

fn text(text: &str, ttl: Option<Option<CacheTtl>>) -> Part {
    Part::Text {
        text: text.into(),
        cache: ttl.map(|ttl| CacheMark { ttl }),
    }
}

#[test]
fn a_turn_with_results_becomes_results_first_then_the_rest() {
    // P64, P65, P98
    let messages = turns(json!([
        {"role": "user", "content": [{"type": "text", "text": "look", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "assistant", "content": [
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1.50}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "text", "text": "Go on."},
            {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "cache_control": {"type": "ephemeral"}, "content": [
                {"type": "text", "text": "no"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}},
            ]},
            {"type": "tool_result", "tool_use_id": "toolu_2"},
        ]},
    ]));
    let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
    assert_eq!(
        roles,
        [
            Role::User,
            Role::Assistant,
            Role::Tool,
            Role::Tool,
            Role::User
        ]
    );
    assert_eq!(
        messages[0].parts,
        [text("look", Some(Some(CacheTtl::OneHour)))]
    );
    let Part::ToolCall { arguments, .. } = &messages[1].parts[1] else {
        panic!("{:?}", messages[1]);
    };
    assert_eq!(arguments, r#"{"at":1.5}"#);
    let image = Part::Image {
        media: Media::Inline {
            mime: "image/jpeg".into(),
            data: "AA==".into(),
        },
        detail: None,
        cache: None,
    };
    let result = Part::ToolResult {
        call_id: "toolu_1".into(),
        content: vec![text("no", None), image],
        is_error: true,
        cache: Some(CacheMark { ttl: None }),
    };
    assert_eq!(messages[2].parts, [result]);
    assert_eq!(messages[4].parts, [text("Go on.", None)]);
}

#[test]
fn instructions_are_a_message_without_what_is_meant_for_anthropics_billing() {
    // P102
    let request = parse(with(json!({"system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1"},
        {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}},
    ]})));
    assert_eq!(request.messages[0].role, Role::System);
    assert_eq!(
        request.messages[0].parts,
        [text("You are an agent.", Some(None))]
    );
    assert!(
        !request.has_extensions,
        "Anthropic itself gets all of it back"
    );
    let plain = parse(with(json!({"system": "Be brief."})));
    assert_eq!(plain.messages[0], Message::text(Role::System, "Be brief."));
}

#[test]
fn documents_and_search_results_are_readable_for_every_model() {
    let messages = turns(json!([{"role": "user", "content": [
        {"type": "document", "title": "A", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
        {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
        {"type": "document", "title": "N", "context": "c", "source": {"type": "text", "media_type": "text/plain", "data": "notes"},
            "citations": {"enabled": true}, "cache_control": {"type": "ephemeral"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}},
        {"type": "search_result", "source": "https://s.example", "title": "S", "content": [{"type": "text", "text": "found"}]},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    ]}]));
    let parts = &messages[0].parts;
    assert!(matches!(&parts[0], Part::File { filename: Some(name), .. } if name == "A"));
    assert!(
        matches!(&parts[1], Part::File { media: Media::Url(url), .. } if url.ends_with("b.pdf"))
    );
    let notes = "<document title=\"N\" context=\"c\">\nnotes\n</document>";
    assert_eq!(parts[2], text(notes, Some(None)));
    assert_eq!(parts[3], text("<document>\none\ntwo\n</document>", None));
    let found = "<search_result title=\"S\" source=\"https://s.example\">\nfound\n</search_result>";
    assert_eq!(parts[4], text(found, None));
    assert!(matches!(&parts[5], Part::Image { media: Media::FileId(id), .. } if id == "file_1"));
}

#[test]
fn reasoning_keeps_its_signatures() {
    // P81, P82, P83
    let request = parse(with(json!({"messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "", "signature": "sig"},
            {"type": "redacted_thinking", "data": "opaque"},
            {"type": "text", "text": "y"},
        ]},
    ]})));
    let details: Vec<_> = request.messages[1]
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Reasoning(detail) => Some(detail),
            _ => None,
        })
        .collect();
    assert!(
        details
            .iter()
            .all(|detail| detail.format == ReasoningFormat::AnthropicClaude)
    );
    let signed = ReasoningKind::Text {
        text: Some(String::new()),
        signature: Some("sig".into()),
    };
    assert_eq!(details[0].kind, signed);
    assert_eq!(
        details[1].kind,
        ReasoningKind::Encrypted {
            data: "opaque".into()
        }
    );
    assert!(!request.has_extensions);
}

#[test]
fn tools_choice_and_limits() {
    // P63, P70
    let request = parse(with(json!({
        "tools": [
            {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}},
            {"type": "custom", "name": "now", "input_schema": {"type": "object"}, "strict": true},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "stop_sequences": ["a", "b", "c", "d", "e"], "top_k": 5, "temperature": 1, "service_tier": "standard_only",
        "metadata": {"user_id": "u"}, "session_id": "s", "fallbacks": [{"model": "c/d"}, {"model": "a/b"}], "trace": {"x": 1},
    })));
    assert_eq!(request.tools[0].name, "look");
    assert!(request.tools[0].cache.is_some());
    assert_eq!(request.tools[1].strict, Some(true));
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert_eq!(
        (
            request.max_tokens,
            request.stop.len(),
            request.sampling.top_k
        ),
        (Some(9), 5, Some(5))
    );
    assert_eq!(request.service_tier.as_deref(), Some("default"));
    assert_eq!(
        (request.user.as_deref(), request.session_id.as_deref()),
        (Some("u"), Some("s"))
    );
    assert_eq!(request.models, ["c/d"]);
    assert_eq!(request.extra["trace"], json!({"x": 1}));
    let named = parse(with(
        json!({"tool_choice": {"type": "tool", "name": "look"}}),
    ));
    assert_eq!(named.tool_choice, Some(ToolChoice::Function("look".into())));
    assert_eq!(named.parallel_tool_calls, None);
}

#[test]
fn thinking_effort_and_the_form_of_the_answer() {
    for (fields, wish, exclude, verbosity) in [
        (json!({}), ReasoningWish::Default, false, None),
        (
            json!({"thinking": {"type": "disabled"}}),
            ReasoningWish::Off,
            false,
            None,
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}}),
            ReasoningWish::Budget(2000),
            true,
            None,
        ),
        (
            json!({"thinking": {"type": "adaptive"}}),
            ReasoningWish::Effort(Effort::Medium),
            false,
            None,
        ),
        (
            json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}}),
            ReasoningWish::Effort(Effort::Max),
            false,
            None,
        ),
        (
            json!({"output_config": {"effort": "low"}}),
            ReasoningWish::Default,
            false,
            Some("low"),
        ),
    ] {
        let request = parse(with(fields.clone()));
        let reasoning = request.reasoning.unwrap_or_default();
        assert_eq!(
            (reasoning.wish(), reasoning.exclude),
            (wish, exclude),
            "{fields}"
        );
        assert_eq!(request.verbosity.as_deref(), verbosity, "{fields}");
    }
    let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let open = json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    for (schema, strict) in [(closed, Some(true)), (open, None)] {
        let format = json!({"type": "json_schema", "schema": schema});
        for fields in [
            json!({"output_config": {"format": format}}),
            json!({"output_format": format}),
        ] {
            let Some(ResponseFormat::JsonSchema(wanted)) = parse(with(fields)).response_format
            else {
                panic!("a schema");
            };
            assert_eq!((&wanted.schema, wanted.strict), (&schema, strict));
        }
    }
}

#[test]
fn what_only_anthropic_knows_binds_the_request_to_its_dialect() {
    for (fields, path) in [
        (json!({"container": "c"}), "container"),
        (json!({"mcp_servers": [{"type": "url"}]}), "mcp_servers"),
        (
            json!({"tools": [{"type": "code_execution_20260120", "name": "x"}]}),
            "tools[0]",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "new_block"}, {"type": "text", "text": "x"}]}]}),
            "messages[0].content[0]",
        ),
    ] {
        assert_eq!(parse(with(fields)).only_native.as_deref(), Some(path));
    }
    let edits = json!({"context_management": {"edits": []}, "mcp_servers": [], "container": null});
    assert_eq!(
        parse(with(edits)).only_native,
        None,
        "nothing is lost elsewhere"
    );
    // What its own tools did in earlier turns is no reason.
    let searched = parse(with(json!({"messages": [{"role": "assistant", "content": [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result", "url": "u"}]},
        {"type": "text", "text": "found"},
    ]}]})));
    assert_eq!(searched.only_native, None);
    let Part::Reasoning(note) = &searched.messages[0].parts[0] else {
        panic!("a note");
    };
    assert!(
        matches!(&note.kind, ReasoningKind::ServerToolCall { tool_name, result: Some(_), .. } if tool_name == "web_search")
    );
}

#[test]
fn searching_and_fetching_are_the_gateways() {
    let request = parse(with(json!({"tools": [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "blocked_domains": ["b.example"]},
        {"type": "openrouter:web_fetch", "parameters": {"max_uses": 1}},
    ]})));
    let told: Vec<_> = (request.server_tools.iter())
        .map(|tool| {
            (
                tool.kind.as_str(),
                tool.path.as_str(),
                Value::from(tool.parameters.clone()),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "openrouter:web_search",
                "tools[0]",
                json!({"max_uses": 3, "blocked_domains": ["b.example"]})
            ),
            (
                "openrouter:web_fetch",
                "tools[1].parameters",
                json!({"max_uses": 1})
            ),
        ]
    );
    assert!(request.tools.is_empty());
}

#[test]
fn bodies_that_anthropic_would_refuse_are_known() {
    let assistant = |blocks: Value| json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": blocks}]);
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    for (messages, is_irregular) in [
        (assistant(json!([call("toolu_1"), call("toolu_2")])), false),
        // P69
        (assistant(json!([call("functions.f:0")])), true),
        (assistant(json!([call("a"), call("a")])), true),
        (
            assistant(json!([{"type": "thinking", "thinking": "hm", "signature": "EqQB"}])),
            false,
        ),
        (
            assistant(json!([{"type": "thinking", "thinking": "hm", "signature": ""}])),
            true,
        ),
        // P96
        (
            assistant(json!([{"type": "text", "text": ""}, call("a")])),
            true,
        ),
        (
            json!([{"role": "system", "content": "of a preset"}, {"role": "user", "content": "x"}]),
            true,
        ),
    ] {
        let request = parse(json!({"model": "m", "messages": messages}));
        assert_eq!(request.has_extensions, is_irregular, "{messages}");
    }
}

#[test]
fn wrong_fields_are_named() {
    for (body, path) in [
        (json!({"model": "m"}), "messages"),
        (
            json!({"messages": [{"role": "user", "content": "x"}]}),
            "model",
        ),
        (json!({"model": "m", "messages": []}), "messages"),
        (with(json!({"max_tokens": 0})), "max_tokens"),
        (with(json!({"max_tokens": "9"})), "max_tokens"),
        (with(json!({"temperature": 3})), "temperature"),
        (
            with(json!({"messages": [{"role": "tool", "content": "x"}]})),
            "messages[0].role",
        ),
        (
            with(json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]})),
            "messages[0].content[0].text",
        ),
        (
            with(json!({"messages": [{"role": "user", "content": [{"type": "image"}]}]})),
            "messages[0].content[0].source",
        ),
        (
            with(
                json!({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "ftp://x"}}]}]}),
            ),
            "messages[0].content[0].source.url",
        ),
        (
            with(
                json!({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]}),
            ),
            "messages[0].content[0].type",
        ),
        (
            with(
                json!({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": []}]}]}),
            ),
            "messages[0].content[0].input",
        ),
        (
            with(
                json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "2h"}}]}]}),
            ),
            "messages[0].content[0].cache_control.ttl",
        ),
        (
            with(json!({"system": [{"type": "image"}]})),
            "system[0].type",
        ),
        (
            with(json!({"tools": [{"name": "f"}]})),
            "tools[0].input_schema",
        ),
        (
            with(json!({"tools": [{"input_schema": {}}]})),
            "tools[0].name",
        ),
        (
            with(json!({"tool_choice": {"type": "tool"}})),
            "tool_choice.name",
        ),
        (
            with(json!({"tool_choice": {"type": "required"}})),
            "tool_choice.type",
        ),
        (with(json!({"thinking": {"type": "on"}})), "thinking.type"),
        (
            with(json!({"output_config": {"effort": "huge"}})),
            "output_config.effort",
        ),
        (
            with(json!({"output_config": {"format": {"type": "json_schema"}}})),
            "output_config.format.schema",
        ),
        (
            with(json!({"fallbacks": [{"model": "a"}], "models": ["b"]})),
            "fallbacks",
        ),
        (
            with(json!({"fallbacks": [{"model": "a", "max_tokens": 1}]})),
            "fallbacks[0]",
        ),
        (
            with(
                json!({"fallbacks": [{"model": "a"}, {"model": "b"}, {"model": "c"}, {"model": "d"}]}),
            ),
            "fallbacks",
        ),
        (with(json!({"inference_geo": "us"})), "inference_geo"),
        (with(json!({"thread": {"type": "create"}})), "thread"),
        (with(json!({"user": "u".repeat(257)})), "user"),
    ] {
        let error = parse_request(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(path), "{body}: {error}");
        assert_eq!(error.status, 400);
    }
    assert!(
        parse_request(b"{\"model\":")
            .unwrap_err()
            .message
            .contains("not valid JSON")
    );
}
