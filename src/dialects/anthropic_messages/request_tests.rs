//! The request as the API would see it, from a chat-completions client's body.

use serde_json::{Value, json};

use crate::{
    catalog::{Endpoint, Provider},
    dialects::{Inbound, NativeRequest, Surface, Target, openai_chat::client::parse_request},
    error::{Error, Next, Source},
};

fn provider(quirks: Value) -> Provider {
    serde_json::from_value(json!({
        "slug": "anthropic", "name": "Anthropic", "dialect": "anthropic_messages", "base_url": "https://a.example",
        "auth": {"kind": "header", "name": "x-api-key"}, "secret": "KEY", "quirks": quirks,
    }))
    .unwrap()
}

fn endpoint(changes: Value) -> Endpoint {
    let mut endpoint = json!({
        "model": "anthropic/claude", "provider": "anthropic", "tag": "anthropic", "upstream_model_id": "claude-native",
        "context_length": 200_000, "max_completion_tokens": 64_000,
        "prices": serde_json::to_value(crate::credits::pricing::PriceTable::default()).unwrap(),
        "supported_parameters": ["temperature", "top_p", "top_k", "stop", "tools", "tool_choice", "structured_outputs"],
        "input_modalities": ["text", "image", "file"], "output_modalities": ["text"],
        "reasoning": {"budget": {"min": 1024}},
    });
    for (key, value) in changes.as_object().unwrap() {
        endpoint[key] = value.clone();
    }
    serde_json::from_value(endpoint).unwrap()
}

fn write_for(client: Value, endpoint: &Endpoint, quirks: Value) -> Result<NativeRequest, Error> {
    let mut body = json!({"model": "anthropic/claude"});
    for (key, value) in client.as_object().unwrap() {
        body[key] = value.clone();
    }
    let request = parse_request(body.to_string().as_bytes())?;
    let inbound = Inbound {
        request: &request,
        surface: Surface::ChatCompletions,
        raw: None,
    };
    let provider = provider(quirks);
    super::request(
        &inbound,
        &Target {
            endpoint,
            provider: &provider,
        },
    )
}

fn body(native: &NativeRequest) -> Value {
    serde_json::from_slice(&native.body).unwrap()
}

/// The native body of a client's body at the usual endpoint.
fn written(client: Value) -> Value {
    body(&write_for(client, &endpoint(json!({})), json!([])).unwrap())
}

fn refused(client: Value) -> Error {
    write_for(client, &endpoint(json!({})), json!([])).unwrap_err()
}

fn ask(client: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
    for (key, value) in client.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn call(id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}})
}

fn look() -> Value {
    json!([{"type": "function", "function": {"name": "look", "description": "Looks", "parameters": {"type": "object", "properties": {}}}}])
}

#[test]
fn a_plain_question() {
    let native = write_for(
        ask(json!({"stream": true})),
        &endpoint(json!({})),
        json!([]),
    )
    .unwrap();
    assert_eq!(native.path, "/v1/messages");
    assert_eq!(
        native.headers,
        [("anthropic-version", "2023-06-01".to_owned())]
    );
    assert!(native.dropped.is_empty());
    assert_eq!(
        String::from_utf8(native.body).unwrap(),
        r#"{"model":"claude-native","max_tokens":32000,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"stream":true}"#
    );
}

#[test]
fn leading_instructions_are_system_and_later_ones_keep_their_place() {
    let body = written(json!({"messages": [
        {"role": "system", "content": "One"},
        {"role": "developer", "content": [{"type": "text", "text": "Two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ho"},
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "More"},
    ]}));
    assert_eq!(
        body["system"],
        json!([{"type": "text", "text": "One"}, {"type": "text", "text": "Two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}])
    );
    assert_eq!(
        body["messages"][2],
        json!({"role": "user", "content": [{"type": "text", "text": "<system>\nBe brief\n</system>"}, {"type": "text", "text": "More"}]})
    );
}

#[test]
fn instructions_alone_are_the_question_and_nothing_at_all_is_refused() {
    let body = written(json!({"messages": [{"role": "system", "content": "Tell a joke"}]}));
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": [{"type": "text", "text": "Tell a joke"}]}])
    );
    assert_eq!(body.get("system"), None);
    let error = refused(json!({"messages": [{"role": "user", "content": "  "}]}));
    assert_eq!(error.param.as_deref(), Some("messages"));
}

#[test]
fn the_first_turn_is_the_users() {
    let body = written(
        json!({"messages": [{"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Hi"}]}),
    );
    assert_eq!(body["messages"][0]["role"], "user");
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]})
    );
}

#[test]
fn parallel_results_are_one_turn_in_the_order_of_the_calls() {
    // P64, P65, P96
    let body = written(json!({"tools": look(), "messages": [
        {"role": "user", "content": "Look twice"},
        {"role": "assistant", "content": "", "tool_calls": [call("a", "{\"n\": 1}"), call("b", "")]},
        {"role": "tool", "tool_call_id": "b", "content": "second"},
        {"role": "user", "content": "and?"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "first"}, {"type": "text", "text": ""}]},
    ]}));
    assert_eq!(
        body["messages"].as_array().unwrap()[1..],
        *json!([
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "a", "name": "look", "input": {"n": 1}},
                {"type": "tool_use", "id": "b", "name": "look", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "first"}]},
                {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "second"}]},
                {"type": "text", "text": "and?"},
            ]},
        ])
        .as_array()
        .unwrap()
    );
}

#[test]
fn arguments_have_to_be_an_object() {
    // P56
    let with = |arguments: &str| {
        json!({"tools": look(), "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "tool_calls": [call("a", "{}"), call("b", arguments)]},
            {"role": "tool", "tool_call_id": "a", "content": "x"}, {"role": "tool", "tool_call_id": "b", "content": "y"},
        ]})
    };
    for empty in ["", " ", "null", "{}"] {
        assert_eq!(
            written(with(empty))["messages"][1]["content"][1]["input"],
            json!({})
        );
    }
    for broken in ["{\"a\":", "[1]", "\"text\"", "7"] {
        let error = refused(with(broken));
        assert_eq!(
            (error.status, error.source),
            (400, Source::Client),
            "{broken}"
        );
        assert_eq!(
            error.param.as_deref(),
            Some("messages[1].tool_calls[1].function.arguments")
        );
    }
    // The exact digits of a number survive.
    let native = write_for(
        with("{\"n\": 12345678901234567890.50}"),
        &endpoint(json!({})),
        json!([]),
    )
    .unwrap();
    assert!(
        String::from_utf8(native.body)
            .unwrap()
            .contains("12345678901234567890.50")
    );
}

#[test]
fn foreign_call_ids_are_made_plain_alike_in_call_and_result_and_never_repeat() {
    // P69
    let body = written(json!({"tools": look(), "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": null, "tool_calls": [call("functions.look:0", "{}")]},
        {"role": "tool", "tool_call_id": "functions.look:0", "content": "x"},
        {"role": "assistant", "content": null, "tool_calls": [call("call_0", "{}")]},
        {"role": "tool", "tool_call_id": "call_0", "content": "x"},
        {"role": "assistant", "content": null, "tool_calls": [call("call_0", "{}")]},
        {"role": "tool", "tool_call_id": "call_0", "content": "y"},
    ]}));
    let ids: Vec<_> = (1..=5)
        .step_by(2)
        .map(|at| {
            let id = &body["messages"][at]["content"][0]["id"];
            assert_eq!(id, &body["messages"][at + 1]["content"][0]["tool_use_id"]);
            id.as_str().unwrap()
        })
        .collect();
    assert!(
        ids[0].starts_with("functions_look_0_")
            && ids[0]
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_')
    );
    assert_eq!(ids[1], "call_0");
    assert!(ids[2].starts_with("call_0_"));
}

#[test]
fn tool_choice_in_all_its_forms() {
    // P63
    let choice = |client: Value| {
        let mut client = ask(client);
        client["tools"] = look();
        written(client).get("tool_choice").cloned()
    };
    assert_eq!(choice(json!({})), None);
    assert_eq!(choice(json!({"parallel_tool_calls": true})), None);
    assert_eq!(
        choice(json!({"parallel_tool_calls": false})),
        Some(json!({"type": "auto", "disable_parallel_tool_use": true}))
    );
    assert_eq!(
        choice(json!({"tool_choice": "auto"})),
        Some(json!({"type": "auto"}))
    );
    assert_eq!(
        choice(json!({"tool_choice": "none", "parallel_tool_calls": false})),
        Some(json!({"type": "none"}))
    );
    assert_eq!(
        choice(json!({"tool_choice": "required", "parallel_tool_calls": false})),
        Some(json!({"type": "any", "disable_parallel_tool_use": true}))
    );
    assert_eq!(
        choice(json!({"tool_choice": {"type": "function", "function": {"name": "look"}}})),
        Some(json!({"type": "tool", "name": "look"}))
    );
    // Without tools there is nothing to choose.
    assert_eq!(
        written(ask(json!({"tool_choice": "none"}))).get("tool_choice"),
        None
    );
}

#[test]
fn calls_in_the_history_stand_without_declared_tools() {
    // P60
    let body = written(json!({"tool_choice": "none", "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": null, "tool_calls": [call("a", "{}")]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]}));
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    assert_eq!((body.get("tools"), body.get("tool_choice")), (None, None));
}

#[test]
fn strict_tools_are_sent_where_they_are_enforced() {
    // P78
    let client = ask(
        json!({"tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}}}]}),
    );
    let tool = &written(client.clone())["tools"][0];
    assert_eq!(tool["strict"], true);
    assert_eq!(tool["input_schema"]["additionalProperties"], false);
    let loose = write_for(
        client,
        &endpoint(json!({"supported_parameters": ["tools"]})),
        json!([]),
    )
    .unwrap();
    assert_eq!(
        body(&loose)["tools"][0],
        json!({"name": "f", "input_schema": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}})
    );
    assert_eq!(loose.dropped, ["tools.function.strict"]);
}

#[test]
fn thinking_goes_back_signed_in_order_and_foreign_reasoning_stays_here() {
    // P81, P82, P83, P86, P87
    let details = json!([
        {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "opaque", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.text", "signature": "bare", "format": "anthropic-claude-v1", "index": 2},
        {"type": "reasoning.text", "text": "unsigned", "format": "anthropic-claude-v1", "index": 3},
        {"type": "reasoning.encrypted", "data": "gemini", "format": "google-gemini-v1", "id": "a", "index": 4},
        {"type": "reasoning.text", "text": "open", "format": "unknown", "index": 5},
        {"type": "reasoning.summary", "summary": "s", "format": "openai-responses-v1", "index": 6},
    ]);
    let client = json!({"tools": look(), "reasoning": {"max_tokens": 2000}, "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Let me look.", "reasoning_details": details, "tool_calls": [call("a", "{}")]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]});
    let blocks = |body: &Value| body["messages"][1]["content"].clone();
    let signed = json!([
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "opaque"},
        {"type": "thinking", "thinking": "", "signature": "bare"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "a", "name": "look", "input": {}},
    ]);
    let native = written(client.clone());
    assert_eq!(blocks(&native), signed);
    assert_eq!(
        native["thinking"],
        json!({"type": "enabled", "budget_tokens": 2000})
    );
    let lax = write_for(client, &endpoint(json!({})), json!(["unsigned_thinking"])).unwrap();
    assert_eq!(
        blocks(&body(&lax))[3],
        json!({"type": "thinking", "thinking": "unsigned"})
    );
}

#[test]
fn a_turn_of_thinking_alone_is_left_out() {
    let body = written(json!({"messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}]},
        {"role": "user", "content": "Well?"},
    ]}));
    assert_eq!(body["messages"].as_array().unwrap().len(), 1);
}

fn thinking_of(client: Value, changes: Value) -> (Value, Value, Vec<&'static str>) {
    let native = write_for(ask(client), &endpoint(changes), json!([])).unwrap();
    let body = body(&native);
    (
        body["thinking"].clone(),
        body["output_config"]["effort"].clone(),
        native.dropped,
    )
}

#[test]
fn an_endpoint_with_a_budget_gets_one() {
    // P89, P90
    let budget = |client: Value| thinking_of(client, json!({})).0["budget_tokens"].clone();
    assert_eq!(
        budget(json!({"reasoning": {"effort": "high"}, "max_tokens": 10_000})),
        8_000
    );
    assert_eq!(
        budget(json!({"reasoning": {"enabled": true}, "max_tokens": 10_000})),
        5_000
    );
    assert_eq!(
        budget(json!({"reasoning_effort": "minimal", "max_tokens": 2_000})),
        1_024
    );
    assert_eq!(
        budget(json!({"reasoning": {"max_tokens": 9_000}, "max_tokens": 4_000})),
        3_999
    );
    assert_eq!(
        budget(json!({"reasoning": {"max_tokens": 10}, "max_tokens": 4_000})),
        1_024
    );
    assert_eq!(budget(json!({"reasoning": {}})), Value::Null);
    let (thinking, _, dropped) = thinking_of(
        json!({"reasoning": {"effort": "high"}, "max_tokens": 1_024}),
        json!({}),
    );
    assert_eq!((thinking, dropped), (Value::Null, vec!["reasoning"]));
    // Without a limit of its own a request gets room for the budget and an answer.
    let native = written(ask(json!({"reasoning": {"max_tokens": 40_000}})));
    assert_eq!(
        (&native["max_tokens"], &native["thinking"]["budget_tokens"]),
        (&json!(48_192), &json!(40_000))
    );
    let (thinking, _, dropped) = thinking_of(
        json!({"reasoning": {"effort": "high"}}),
        json!({"reasoning": null}),
    );
    assert_eq!((thinking, dropped), (Value::Null, vec!["reasoning"]));
}

#[test]
fn an_endpoint_with_efforts_alone_thinks_adaptively() {
    // P90
    let changes = json!({"reasoning": {"efforts": ["max", "high", "medium", "low"]}});
    let plan = |client: Value| {
        let (thinking, effort, dropped) = thinking_of(client, changes.clone());
        assert!(dropped.is_empty());
        (thinking, effort)
    };
    let shown = json!({"type": "adaptive", "display": "summarized"});
    assert_eq!(
        plan(json!({"reasoning": {"effort": "max"}})),
        (shown.clone(), json!("max"))
    );
    assert_eq!(
        plan(json!({"reasoning": {"effort": "minimal"}})),
        (shown.clone(), json!("low"))
    );
    assert_eq!(
        plan(json!({"reasoning": {"max_tokens": 16_000}, "max_tokens": 20_000})),
        (shown, json!("high"))
    );
    assert_eq!(
        plan(json!({"reasoning": {"enabled": true, "exclude": true}})).0["display"],
        "omitted"
    );
    assert_eq!(
        plan(json!({"verbosity": "low"})),
        (Value::Null, json!("low"))
    );
    assert_eq!(
        plan(json!({"reasoning": {"effort": "none"}})),
        (Value::Null, Value::Null)
    );
}

#[test]
fn thinking_is_switched_off_where_it_can_be() {
    let off = json!({"reasoning": {"enabled": false}});
    let (thinking, _, _) = thinking_of(
        off.clone(),
        json!({"reasoning": {"toggle": true, "efforts": ["high"]}}),
    );
    assert_eq!(thinking, json!({"type": "disabled"}));
    assert_eq!(thinking_of(off.clone(), json!({})).0, Value::Null);
    let error = write_for(
        ask(off),
        &endpoint(json!({"reasoning": {"mandatory": true, "efforts": ["high"]}})),
        json!([]),
    )
    .unwrap_err();
    assert_eq!(
        (error.status, error.param.as_deref()),
        (400, Some("reasoning"))
    );
}

#[test]
fn thinking_gives_way_to_what_excludes_it() {
    let dropped = |client: Value| {
        let native = write_for(client, &endpoint(json!({})), json!([])).unwrap();
        assert_eq!(body(&native).get("thinking"), None);
        native.dropped
    };
    let thinking = json!({"effort": "high"});
    assert_eq!(
        dropped(ask(
            json!({"reasoning": thinking, "tools": look(), "tool_choice": "required"})
        )),
        ["reasoning"]
    );
    assert_eq!(
        dropped(
            json!({"reasoning": thinking, "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Sure: "}]})
        ),
        ["reasoning"]
    );
    // P81: the calls were made without thinking, or its blocks were of another provider.
    let bare = json!({"reasoning": thinking, "tools": look(), "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": null, "reasoning": "open", "tool_calls": [call("a", "{}")]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]});
    assert_eq!(dropped(bare), ["reasoning"]);
}

#[test]
fn sampling_as_the_api_takes_it() {
    let sampled = |client: Value, changes: Value| {
        let native = write_for(ask(client), &endpoint(changes), json!([])).unwrap();
        let body = body(&native);
        let field = |name: &str| body.get(name).cloned();
        (
            (field("temperature"), field("top_p"), field("top_k")),
            native.dropped,
        )
    };
    let none = (None, None, None);
    assert_eq!(sampled(json!({}), json!({})), (none.clone(), vec![]));
    assert_eq!(
        sampled(json!({"temperature": 0.70}), json!({})),
        ((Some(json!(0.7)), None, None), vec![])
    );
    assert_eq!(
        sampled(json!({"temperature": 1.5}), json!({})),
        ((Some(json!(1)), None, None), vec!["temperature"])
    );
    assert_eq!(
        sampled(json!({"temperature": 0.5, "top_p": 0.9}), json!({})),
        ((Some(json!(0.5)), None, None), vec!["top_p"])
    );
    assert_eq!(
        sampled(json!({"temperature": 0, "top_p": 1}), json!({})),
        ((Some(json!(0)), None, None), vec![])
    );
    assert_eq!(
        sampled(json!({"top_p": 0.9, "top_k": 5}), json!({})),
        ((None, Some(json!(0.9)), Some(json!(5))), vec![])
    );
    let thinking =
        json!({"reasoning": {"effort": "low"}, "temperature": 0.3, "top_p": 0.5, "top_k": 9});
    assert_eq!(
        sampled(thinking, json!({})),
        (none.clone(), vec!["temperature", "top_p", "top_k"])
    );
    let fixed = json!({"supported_parameters": []});
    assert_eq!(
        sampled(json!({"temperature": 0.3, "top_k": 9}), fixed),
        (none, vec!["temperature", "top_k"])
    );
}

#[test]
fn parameters_without_a_native_form_are_reported() {
    let native = write_for(
        ask(json!({"seed": 1, "n": 2, "frequency_penalty": 0.5, "presence_penalty": 0, "min_p": 0.1, "logit_bias": {"1": 2},
            "logprobs": true, "top_logprobs": 2, "service_tier": "flex", "verbosity": "high", "stop": ["\n", "END"],
            "response_format": {"type": "grammar", "grammar": "x"}})),
        &endpoint(json!({})),
        json!([]),
    )
    .unwrap();
    assert_eq!(
        native.dropped,
        [
            "min_p",
            "frequency_penalty",
            "presence_penalty",
            "seed",
            "n",
            "logprobs",
            "top_logprobs",
            "logit_bias",
            "response_format",
            "verbosity",
            "stop",
            "service_tier"
        ]
    );
    let body = body(&native);
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(body.as_object().unwrap().len(), 4, "{body}");
}

#[test]
fn the_limit_is_within_the_endpoints_own() {
    // P47
    assert_eq!(written(ask(json!({"max_tokens": 100})))["max_tokens"], 100);
    assert_eq!(
        written(ask(json!({"max_tokens": 100_000})))["max_tokens"],
        64_000
    );
    let small = write_for(
        ask(json!({})),
        &endpoint(json!({"max_completion_tokens": 4_096})),
        json!([]),
    )
    .unwrap();
    assert_eq!(body(&small)["max_tokens"], 4_096);
}

#[test]
fn a_schema_is_enforced_where_it_can_be_and_told_where_not() {
    let client = ask(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": true,
        "schema": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}}}}),
    );
    assert_eq!(
        written(client.clone())["output_config"],
        json!({"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"], "additionalProperties": false}}})
    );
    let told = body(
        &write_for(
            client,
            &endpoint(json!({"supported_parameters": []})),
            json!([]),
        )
        .unwrap(),
    );
    assert!(
        told["system"][0]["text"]
            .as_str()
            .unwrap()
            .ends_with(r#""required":["x"]}"#)
    );
    let object = written(ask(json!({"response_format": {"type": "json_object"}})));
    assert!(
        object["system"][0]["text"]
            .as_str()
            .unwrap()
            .contains("JSON object")
    );
    assert_eq!(object.get("output_config"), None);
}

#[test]
fn images_and_documents() {
    // P108
    let body = written(
        json!({"messages": [{"role": "user", "name": "Ada", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA"}},
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
            {"type": "file", "file": {"filename": "", "file_data": "https://a.example/a.pdf"}},
            {"type": "file", "file": {"filename": "n.txt", "file_data": "data:text/plain;base64,SGVsbG8"}},
            {"type": "text", "text": "Compare"},
        ]}]}),
    );
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}, "title": "a.pdf"},
            {"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hello"}, "title": "n.txt"},
            {"type": "text", "text": "Ada: Compare"},
        ])
    );
    let file = ask(
        json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}]}),
    );
    let native = write_for(file, &endpoint(json!({})), json!([])).unwrap();
    assert_eq!(
        native.headers[1],
        ("anthropic-beta", "files-api-2025-04-14".to_owned())
    );
}

#[test]
fn content_without_a_native_form_is_refused_with_its_path() {
    // P108
    for (part, path) in [
        (
            json!({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}}),
            "image_url.url",
        ),
        (
            json!({"type": "file", "file": {"filename": "a.docx", "file_data": "data:application/msword;base64,AAAA"}}),
            "file.file_data",
        ),
        (
            json!({"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,????"}}),
            "file.file_data",
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
            "input_audio",
        ),
        (
            json!({"type": "video_url", "video_url": {"url": "https://a.example/v.mp4"}}),
            "video_url",
        ),
    ] {
        let error = refused(
            json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "t"}, part]}]}),
        );
        assert_eq!(error.status, 400);
        assert_eq!(
            error.param.unwrap(),
            format!("messages[1].content[1].{path}")
        );
    }
    let sound = refused(
        json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]}),
    );
    assert_eq!(sound.next, Next::NextAttempt);
}

fn marks(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(mark) = object.get("cache_control") {
                let label = object
                    .get("text")
                    .or(object.get("name"))
                    .or(object.get("tool_use_id"))
                    .and_then(Value::as_str);
                let ttl = mark["ttl"].as_str().unwrap_or("-");
                found.push(format!("{} {ttl}", label.unwrap_or("?")));
            }
            object.values().for_each(|value| marks(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| marks(value, found)),
        _ => {}
    }
}

#[test]
fn of_more_than_four_cache_marks_the_last_are_kept() {
    // P99, P100
    let mark = json!({"type": "ephemeral"});
    let text = |text: &str| json!({"type": "text", "text": text, "cache_control": mark});
    let body = written(json!({
        "cache_control": {"type": "ephemeral", "ttl": "5m"},
        "tools": [{"type": "function", "function": {"name": "look"}, "cache_control": mark}],
        "messages": [
            {"role": "system", "content": [text("sys")]},
            {"role": "user", "content": [text("one"), text("")]},
            {"role": "assistant", "content": "two", "tool_calls": [call("a", "{}")]},
            {"role": "tool", "tool_call_id": "a", "content": [text("res")]},
            {"role": "user", "content": [text("three"), {"type": "text", "text": "last"}]},
        ],
    }));
    let mut found = Vec::new();
    marks(&body["system"], &mut found);
    marks(&body["tools"], &mut found);
    marks(&body["messages"], &mut found);
    assert_eq!(found, ["one -", "a -", "three -", "last 5m"]);
}

#[test]
fn an_hour_never_follows_five_minutes() {
    let text = |text: &str, ttl: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}});
    let body = written(json!({"messages": [
        {"role": "user", "content": [text("a", "1h"), text("b", "5m"), text("c", "1h")]},
    ]}));
    let mut found = Vec::new();
    marks(&body["messages"], &mut found);
    assert_eq!(found, ["a 1h", "b 5m", "c -"]);
}

#[test]
fn the_end_user_is_told_without_telling_who() {
    let body = written(ask(
        json!({"user": "ada@example.org", "service_tier": "default"}),
    ));
    let id = body["metadata"]["user_id"].as_str().unwrap();
    assert!(id.len() == 64 && !id.contains("ada"));
    assert_eq!(
        body,
        written(ask(
            json!({"user": "ada@example.org", "service_tier": "default"})
        ))
    );
    assert_eq!(body["service_tier"], "standard_only");
}

#[test]
fn a_prefill_ends_without_white_space() {
    let body = written(
        json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Sure: \n"}]}),
    );
    assert_eq!(body["messages"][1]["content"][0]["text"], "Sure:");
}

#[test]
fn a_refusal_in_the_history_is_what_the_model_said() {
    let body = written(json!({"messages": [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": null, "refusal": "No."}, {"role": "user", "content": "Why?"},
    ]}));
    assert_eq!(
        body["messages"][1]["content"],
        json!([{"type": "text", "text": "No."}])
    );
}
