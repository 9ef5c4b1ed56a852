//! The request as the API would see it, from a chat-completions client's body.

use serde_json::{Value, json};

use crate::{
    catalog::{Endpoint, Provider},
    dialects::{Inbound, NativeRequest, Surface, Target, openai_chat::client::parse_request},
    error::{Error, Next},
};

fn provider() -> Provider {
    serde_json::from_value(json!({
        "slug": "amazon-bedrock", "name": "Amazon Bedrock", "dialect": "bedrock_converse",
        "base_url": "https://bedrock-runtime.${AWS_REGION}.amazonaws.com",
        "auth": {"kind": "sig_v4", "service": "bedrock", "region": "AWS_REGION"}, "secret": "KEY",
    }))
    .unwrap()
}

fn endpoint(changes: Value) -> Endpoint {
    let mut endpoint = json!({
        "model": "anthropic/claude", "provider": "amazon-bedrock", "tag": "amazon-bedrock",
        "upstream_model_id": "us.anthropic.claude-v1:0", "context_length": 200_000, "max_completion_tokens": 64_000,
        "prices": {"prompt": 1, "completion": 1, "cache_read": 1, "cache_write_5m": 1, "cache_write_1h": 1},
        "supported_parameters": ["temperature", "top_p", "top_k", "stop", "tools", "tool_choice", "structured_outputs"],
        "input_modalities": ["text", "image", "file"], "output_modalities": ["text"],
        "reasoning": {"budget": {"min": 1024}, "fields": "thinking"},
    });
    for (key, value) in changes.as_object().unwrap() {
        endpoint[key] = value.clone();
    }
    serde_json::from_value(endpoint).unwrap()
}

/// A model of another author, without a cache.
fn open_model(reasoning: Value) -> Endpoint {
    endpoint(json!({
        "upstream_model_id": "other.model", "prices": {"prompt": 1, "completion": 1}, "reasoning": reasoning,
        "supported_parameters": ["temperature", "top_p", "stop", "tools"],
    }))
}

fn write_for(client: Value, endpoint: &Endpoint) -> Result<NativeRequest, Error> {
    let mut body =
        json!({"model": "anthropic/claude", "messages": [{"role": "user", "content": "Hi"}]});
    for (key, value) in client.as_object().unwrap() {
        body[key] = value.clone();
    }
    let request = parse_request(body.to_string().as_bytes())?;
    let inbound = Inbound {
        request: &request,
        surface: Surface::ChatCompletions,
        raw: None,
    };
    let provider = provider();
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

fn written(client: Value) -> Value {
    body(&write_for(client, &endpoint(json!({}))).unwrap())
}

fn call(id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}})
}

fn look() -> Value {
    json!({"type": "function", "function": {"name": "look", "description": "Looks.", "parameters":
        {"type": "object", "properties": {"at": {"type": "string"}}}}})
}

#[test]
fn the_plainest_request_holds_nothing_that_was_not_asked_for() {
    let native = write_for(json!({}), &endpoint(json!({}))).unwrap();
    assert_eq!(native.path, "/model/us.anthropic.claude-v1%3A0/converse");
    assert_eq!(
        body(&native),
        json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {}})
    );
    let native = write_for(json!({"stream": true}), &endpoint(json!({}))).unwrap();
    assert_eq!(
        native.path,
        "/model/us.anthropic.claude-v1%3A0/converse-stream"
    );
}

#[test]
fn no_model_id_leads_to_another_operation() {
    // P107
    let path = |id: &str| {
        let endpoint = endpoint(json!({"upstream_model_id": id}));
        write_for(json!({}), &endpoint).map(|native| native.path)
    };
    assert_eq!(
        path("arn:aws:bedrock:us-east-1:1:inference-profile/a/../b?x#y").unwrap(),
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa%2F..%2Fb%3Fx%23y/converse"
    );
    assert!(path("..").is_err());
}

#[test]
fn a_conversation_becomes_system_and_turns_that_alternate() {
    // P64, P76, P96
    let native = written(json!({"messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One", "name": "Ada"},
        {"role": "user", "content": " "},
        {"role": "assistant", "content": "", "tool_calls": [call("a", "{\"at\":\"x\"}"), call("b", "")]},
        {"role": "tool", "tool_call_id": "b", "content": "{\"\":1}"},
        {"role": "tool", "tool_call_id": "a", "content": ""},
        {"role": "user", "content": "Go on."},
        {"role": "developer", "content": "In French."},
    ], "tools": [look()]}));
    assert_eq!(native["system"], json!([{"text": "Be brief."}]));
    assert_eq!(
        native["messages"],
        json!([
            {"role": "user", "content": [{"text": "Ada: One"}]},
            {"role": "assistant", "content": [
                {"toolUse": {"toolUseId": "a", "name": "look", "input": {"at": "x"}}},
                {"toolUse": {"toolUseId": "b", "name": "look", "input": {}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "a", "content": [{"text": "(no output)"}]}},
                {"toolResult": {"toolUseId": "b", "content": [{"text": "{\"\":1}"}]}},
                {"text": "Go on."},
                {"text": "<system>\nIn French.\n</system>"},
            ]},
        ])
    );
}

#[test]
fn ids_of_calls_fit_and_stay_apart() {
    // P69
    let long = "functions.look:".repeat(10);
    let native = written(json!({"messages": [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": null, "tool_calls": [call(&format!("{long}1"), "{}"), call(&format!("{long}2"), "{}")]},
        {"role": "tool", "tool_call_id": format!("{long}1"), "content": "1"},
        {"role": "tool", "tool_call_id": format!("{long}2"), "content": "2"},
    ], "tools": [look()]}));
    let id = |at: usize| {
        native["messages"][1]["content"][at]["toolUse"]["toolUseId"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(id(0), id(1));
    for at in [0, 1] {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        assert!(
            id(at).len() <= 64 && id(at).chars().all(plain),
            "{}",
            id(at)
        );
        let result = &native["messages"][2]["content"][at]["toolResult"];
        assert_eq!(result["toolUseId"], json!(id(at)));
    }
}

#[test]
fn tools_reach_the_model_with_their_choice() {
    // P59, P78
    let mut strict = look();
    strict["function"]["strict"] = json!(true);
    for (choice, native) in [
        (json!("auto"), json!({"auto": {}})),
        (json!("required"), json!({"any": {}})),
        (
            json!({"type": "function", "function": {"name": "look"}}),
            json!({"tool": {"name": "look"}}),
        ),
    ] {
        let config = &written(json!({"tools": [strict], "tool_choice": choice}))["toolConfig"];
        assert_eq!(config["toolChoice"], native);
        let spec = &config["tools"][0]["toolSpec"];
        assert_eq!(
            (&spec["name"], &spec["strict"]),
            (&json!("look"), &json!(true))
        );
        assert_eq!(
            spec["inputSchema"]["json"]["additionalProperties"],
            json!(false)
        );
    }
    let open = open_model(json!(null));
    let wish = json!({"tools": [strict], "tool_choice": "required", "parallel_tool_calls": false});
    let native = write_for(wish, &open).unwrap();
    assert_eq!(
        native.dropped,
        [
            "tools.function.strict",
            "parallel_tool_calls",
            "tool_choice"
        ]
    );
    assert_eq!(body(&native)["toolConfig"]["toolChoice"], json!(null));
}

#[test]
fn an_empty_list_of_tools_is_left_out() {
    // P61
    assert_eq!(written(json!({"tools": []}))["toolConfig"], json!(null));
}

#[test]
fn tools_are_declared_as_long_as_the_history_holds_calls() {
    // P60, P62
    let history = json!([
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": null, "tool_calls": [call("a", "{}")]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]);
    let bare = json!([{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]);
    let native = written(json!({"messages": history}));
    assert_eq!(native["toolConfig"], json!({"tools": bare}));

    let other = json!({"type": "function", "function": {"name": "other"}});
    let tools = json!([look(), other]);
    let native = written(json!({"messages": history, "tools": tools, "tool_choice": "none"}));
    let declared = &native["toolConfig"]["tools"];
    assert_eq!(declared.as_array().unwrap().len(), 1, "{declared}");
    assert_eq!(
        declared[0]["toolSpec"]["description"],
        json!("Looks."),
        "as the client declared it"
    );
    assert_eq!(native["toolConfig"]["toolChoice"], json!(null));
    assert_eq!(
        native["system"],
        json!([{"text": "Answer without calling a tool."}])
    );
    let native = written(json!({"tools": tools, "tool_choice": "none"}));
    assert_eq!(
        (&native["toolConfig"], &native["system"]),
        (&json!(null), &json!(null))
    );
}

#[test]
fn cache_marks_become_points_behind_what_they_mark() {
    // P98
    let mark = json!({"type": "ephemeral"});
    let client = json!({
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "One", "cache_control": mark},
                {"type": "text", "text": "two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "look"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    });
    let (plain, hour) = (
        json!({"cachePoint": {"type": "default"}}),
        json!({"cachePoint": {"type": "default", "ttl": "1h"}}),
    );
    let native = written(client.clone());
    assert_eq!(native["system"], json!([{"text": "Long."}, hour]));
    assert_eq!(
        native["messages"][0]["content"],
        json!([{"text": "One"}, plain, {"text": "two"}, plain]),
        "no hour after five minutes"
    );
    assert_eq!(native["toolConfig"]["tools"][1], hour);

    let nova = endpoint(
        json!({"prices": {"prompt": 1, "completion": 1, "cache_read": 1}, "reasoning": null}),
    );
    let native = body(&write_for(client.clone(), &nova).unwrap());
    assert_eq!(native["system"][1], plain, "an hour has no price there");
    assert_eq!(native["toolConfig"]["tools"].as_array().unwrap().len(), 1);

    let native = write_for(client, &open_model(json!(null))).unwrap();
    let text = String::from_utf8(native.body).unwrap();
    assert!(!text.contains("cachePoint"), "{text}");
}

#[test]
fn at_most_four_points_are_sent_and_one_on_the_whole_request_is_the_last() {
    let part = |n: u32| json!({"type": "text", "text": n.to_string(), "cache_control": {"type": "ephemeral"}});
    let parts: Vec<Value> = (0..6).map(part).collect();
    let native = written(json!({"messages": [{"role": "user", "content": parts}]}));
    let content = native["messages"][0]["content"].as_array().unwrap();
    assert_eq!(content.len(), 10);
    assert_eq!(content[2], json!({"text": "2"}));
    let native = written(json!({"cache_control": {"type": "ephemeral"}}));
    assert_eq!(
        native["messages"][0]["content"],
        json!([{"text": "Hi"}, {"cachePoint": {"type": "default"}}])
    );
}

#[test]
fn reasoning_is_asked_for_in_the_models_own_fields() {
    // P89, P90
    let ask = |reasoning: Value, can: Value| {
        let endpoint = open_model(can);
        let client = json!({"reasoning": reasoning, "max_tokens": 10_000, "temperature": 0.5});
        let native = write_for(client, &endpoint).unwrap();
        let dropped = native.dropped.clone();
        (
            body(&native)["additionalModelRequestFields"].clone(),
            dropped,
        )
    };
    let thinking = json!({"budget": {"min": 1024}, "fields": "thinking"});
    let adaptive = json!({"efforts": ["max", "high", "medium", "low"], "fields": "thinking"});
    let nova =
        json!({"efforts": ["high", "medium", "low"], "toggle": true, "fields": "reasoning_config"});
    let flat = json!({"efforts": ["high", "medium", "low"], "fields": "reasoning_effort"});
    for (wish, can, fields) in [
        (
            json!({"max_tokens": 2000}),
            thinking.clone(),
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ),
        (
            json!({"effort": "high"}),
            adaptive,
            json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}}),
        ),
        (
            json!({"effort": "low"}),
            nova.clone(),
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        ),
        (
            json!({"enabled": false}),
            nova,
            json!({"reasoningConfig": {"type": "disabled"}}),
        ),
        (
            json!({"effort": "xhigh"}),
            flat,
            json!({"reasoning_effort": "high"}),
        ),
    ] {
        let (written, dropped) = ask(wish.clone(), can);
        assert_eq!(written, fields, "{wish}");
        assert!(!dropped.contains(&"reasoning"), "{wish}");
    }
    let (fields, dropped) = ask(json!({"effort": "low"}), json!(null));
    assert_eq!((fields, dropped), (json!(null), vec!["reasoning"]));
    let (_, dropped) = ask(json!({"max_tokens": 2000}), thinking);
    assert_eq!(dropped, ["temperature"], "thinking leaves no room for it");
}

#[test]
fn the_highest_effort_of_nova_gives_way_to_a_limit_and_keeps_sampling_away() {
    let nova = endpoint(
        json!({"reasoning": {"efforts": ["high", "medium", "low"], "fields": "reasoning_config"}}),
    );
    let high = json!({"reasoning": {"effort": "high"}, "temperature": 0.5, "top_p": 0.9});
    let native = write_for(high.clone(), &nova).unwrap();
    assert_eq!(native.dropped, ["temperature", "top_p"]);
    assert_eq!(
        body(&native)["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"],
        "high"
    );
    let mut limited = high;
    limited["max_tokens"] = json!(50);
    let native = body(&write_for(limited, &nova).unwrap());
    assert_eq!(
        native["inferenceConfig"],
        json!({"maxTokens": 50, "temperature": 0.5, "topP": 0.9})
    );
    assert_eq!(
        native["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"],
        "medium"
    );
}

#[test]
fn a_budget_brings_its_limit() {
    let native = written(json!({"reasoning": {"max_tokens": 2000}}));
    assert_eq!(native["inferenceConfig"], json!({"maxTokens": 32_000}));
}

#[test]
fn signed_reasoning_goes_back_to_claude_alone() {
    // P81, P82, P83, P86, P87
    let details = json!([
        {"type": "reasoning.text", "text": "Hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "b3BhcXVl", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.text", "text": "unsigned", "format": "anthropic-claude-v1", "index": 2},
        {"type": "reasoning.text", "text": "foreign", "signature": "x", "format": "unknown", "index": 3},
    ]);
    let client = json!({"messages": [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two", "reasoning_details": details},
        {"role": "user", "content": "Three"},
    ]});
    assert_eq!(
        written(client.clone())["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": "b3BhcXVl"}},
            {"text": "Two"},
        ])
    );
    let open = open_model(json!({"efforts": ["low"], "fields": "reasoning_effort"}));
    assert_eq!(
        body(&write_for(client, &open).unwrap())["messages"][1]["content"],
        json!([{"text": "Two"}])
    );
}

#[test]
fn media_travel_as_bytes_and_a_document_never_comes_without_words() {
    let native = written(json!({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}},
        {"type": "file", "file": {"filename": "Q3_report.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
    ]}]}));
    assert_eq!(
        native["messages"][0]["content"],
        json!([
            {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
            {"document": {"format": "pdf", "name": "Q3 report", "source": {"bytes": "BBBB"}}},
            {"text": "Attached: Q3 report"},
        ])
    );
    let url = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]}]);
    let error = write_for(json!({"messages": url}), &endpoint(json!({}))).unwrap_err();
    assert_eq!(
        (error.param.as_deref(), error.next),
        (
            Some("messages[0].content[0].image_url.url"),
            Next::NextAttempt
        )
    );
}

#[test]
fn a_schema_is_enforced_where_it_can_be_and_asked_for_in_words_elsewhere() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
    let native = written(json!({"response_format": format}));
    let text_format = &native["outputConfig"]["textFormat"];
    assert_eq!(text_format["type"], "json_schema");
    let sent = &text_format["structure"]["jsonSchema"];
    assert_eq!(sent["name"], "answer");
    let sent: Value = serde_json::from_str(sent["schema"].as_str().unwrap()).unwrap();
    assert_eq!(sent["additionalProperties"], json!(false));
    let native =
        body(&write_for(json!({"response_format": format}), &open_model(json!(null))).unwrap());
    assert_eq!(native["outputConfig"], json!(null));
    let words = native["system"][0]["text"].as_str().unwrap();
    assert!(words.contains("JSON Schema") && words.contains("\"integer\""));
}

#[test]
fn parameters_without_a_native_form_are_named() {
    let native = write_for(
        json!({"seed": 1, "top_k": 5, "temperature": 1.5, "stop": ["END", " "], "verbosity": "low", "service_tier": "flex"}),
        &open_model(json!(null)),
    )
    .unwrap();
    assert_eq!(
        native.dropped,
        [
            "seed",
            "verbosity",
            "service_tier",
            "temperature",
            "top_k",
            "stop"
        ]
    );
    assert_eq!(
        body(&native)["inferenceConfig"],
        json!({"temperature": 1, "stopSequences": ["END"]})
    );
    let native = written(json!({"top_k": 5}));
    assert_eq!(native["additionalModelRequestFields"], json!({"top_k": 5}));
}
