//! What hosts of Responses are sent, by clients of other formats and of their own. Recorded requests are `tests/golden`'s matter.

use serde_json::{Value, json};

use super::request;
use crate::{
    catalog::{Endpoint, Parameter, Provider, Quirk},
    dialects::{Inbound, NativeRequest, Surface, Target},
    error::Result,
};

fn host(quirks: &[Quirk], changes: Value) -> (Provider, Endpoint) {
    let mut endpoint = json!({
        "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "native",
        "context_length": 100_000, "prices": {"prompt": 0, "completion": 0},
        "supported_parameters": Parameter::ALL, "input_modalities": ["text"], "output_modalities": ["text"],
        "reasoning": {"efforts": ["high", "low", "none"]},
    });
    endpoint
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().cloned().unwrap_or_default());
    let mut provider: Provider = serde_json::from_value(json!({
        "slug": "p", "name": "P", "dialect": "openai_responses", "base_url": "https://example.com/v1",
        "auth": {"kind": "bearer"}, "secret": "P_API_KEY",
    }))
    .unwrap();
    provider.quirks = quirks.to_vec();
    (provider, serde_json::from_value(endpoint).unwrap())
}

fn send(surface: Surface, raw: &str, quirks: &[Quirk], changes: Value) -> Result<NativeRequest> {
    let (provider, endpoint) = host(quirks, changes);
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let parsed = surface.parse(raw.as_bytes())?;
    request(
        &Inbound {
            request: &parsed,
            surface,
            raw: Some(raw.as_bytes()),
        },
        &target,
    )
}

fn sent(surface: Surface, body: Value, quirks: &[Quirk]) -> Value {
    let native = send(surface, &body.to_string(), quirks, json!({})).unwrap();
    assert_eq!(native.path, "/responses");
    serde_json::from_slice(&native.body).unwrap()
}

#[test]
fn a_chat_becomes_items() {
    let body = json!({
        "model": "m", "stream": true, "max_tokens": 5, "verbosity": "max",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://e.org/i.png"}},
            ]},
            {"role": "assistant", "content": "b", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": [
                {"type": "text", "text": "r"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            ]},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": true}},
        "reasoning": {"effort": "minimal"},
    });
    let expected = json!({
        "model": "native",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": "https://e.org/i.png", "detail": "auto"},
            ]},
            {"role": "assistant", "content": "b"},
            // P56
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": [
                {"type": "input_text", "text": "r"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
            ]},
        ],
        // P78: chat completions mean no enforcement where they say nothing.
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": false}],
        "tool_choice": {"type": "function", "name": "f"},
        "max_output_tokens": 16,
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": true}, "verbosity": "high"},
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
        "store": false,
        "stream": true,
    });
    assert_eq!(sent(Surface::ChatCompletions, body, &[]), expected);
}

#[test]
fn cache_marks_become_openais_where_its_models_take_any() {
    let mark = json!({"type": "ephemeral"});
    let body = json!({"model": "a/b", "max_tokens": 99, "system": [{"type": "text", "text": "long", "cache_control": mark}],
        "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "seen", "cache_control": mark}]}]}]})
    .to_string();
    let priced = json!({"prices": {"prompt": 100, "completion": 100, "cache_write_5m": 125}});
    let input = |changes: &Value| {
        let native = send(
            Surface::Messages,
            &body,
            &[Quirk::PromptCacheKey],
            changes.clone(),
        );
        let sent: Value = serde_json::from_slice(&native.unwrap().body).unwrap();
        [
            sent["input"][0]["content"].clone(),
            sent["input"][1]["output"].clone(),
        ]
    };
    assert_eq!(input(&json!({})), [json!("long"), json!("seen")]);
    let marked = |text: &str| json!([{"type": "input_text", "text": text, "prompt_cache_breakpoint": {"mode": "explicit"}}]);
    assert_eq!(input(&priced), [marked("long"), marked("seen")]);
}

#[test]
fn thoughts_are_asked_for_where_a_client_wants_to_read_them() {
    let ask = |reasoning: Value, quirks: &[Quirk]| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "a"}], "reasoning": reasoning});
        sent(Surface::ChatCompletions, body, quirks)["reasoning"].take()
    };
    let tells = [Quirk::SummarizesReasoning];
    assert_eq!(
        ask(json!({"effort": "high"}), &tells),
        json!({"effort": "high", "summary": "auto"})
    );
    assert_eq!(
        ask(json!({"effort": "high"}), &[]),
        json!({"effort": "high"})
    );
    assert_eq!(
        ask(json!({"summary": "detailed"}), &[]),
        json!({"summary": "detailed"})
    );
    assert_eq!(
        ask(json!({"effort": "high", "exclude": true}), &tells),
        json!({"effort": "high"})
    );
    assert_eq!(
        ask(json!({"effort": "none"}), &tells),
        json!({"effort": "none"})
    );
}

#[test]
fn sealed_reasoning_goes_back_to_whoever_sealed_it() {
    // P87
    let blocks = |format: &str| {
        json!([
            {"type": "reasoning.summary", "summary": "so", "format": format, "id": "rs_1", "index": 0},
            {"type": "reasoning.encrypted", "data": "gAA", "format": format, "id": "rs_1", "index": 1},
        ])
    };
    let ask = |format: &str, quirks: &[Quirk]| {
        let body = json!({"model": "m", "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "reasoning_details": blocks(format)},
        ]});
        sent(Surface::ChatCompletions, body, quirks)["input"].take()
    };
    let item = json!({
        "type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "so"}], "encrypted_content": "gAA",
    });
    assert_eq!(ask("openai-responses-v1", &[])[1], item);
    assert_eq!(ask("xai-responses-v1", &[Quirk::XaiReasoning])[1], item);
    for (format, quirks) in [
        ("openai-responses-v1", &[Quirk::XaiReasoning][..]),
        ("xai-responses-v1", &[]),
        ("anthropic-claude-v1", &[]),
    ] {
        assert_eq!(
            ask(format, quirks)[1],
            json!({"role": "assistant", "content": "b"}),
            "{format}"
        );
    }
}

#[test]
fn a_search_that_must_not_go_to_the_web_reaches_nobody_and_a_namespace_goes_on_as_it_came() {
    let raw = r#"{"model":"m","input":"a","tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]},{"type":"web_search","external_web_access":false}]}"#;
    let native = send(Surface::Responses, raw, &[], json!({})).unwrap();
    let body: Value = serde_json::from_slice(&native.body).unwrap();
    assert_eq!(
        body["tools"],
        json!([{"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]}])
    );
}

#[test]
fn a_client_of_the_same_format_keeps_its_bytes() {
    let raw = r#"{"model":"m", "input":[ {"role":"user","content":[{"type":"input_text","text":"a","odd": 1.50}]} , {"type":"custom_tool_call","call_id":"c","name":"p","input":"x"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAA","content":null}],"tools":[{"type":"custom","name":"p","format":{"type":"text"}}],"instructions":"I","truncation":"auto","future":{"a":1.0},"metadata":{"k":"v"},"store":false,"include":["message.input_image.image_url"],"user":"alice","provider":{"only":["p"]}}"#;
    let native = send(Surface::Responses, raw, &[Quirk::PromptCacheKey], json!({})).unwrap();
    let body = String::from_utf8(native.body).unwrap();
    let fields: Value = serde_json::from_str(&body).unwrap();
    for kept in [
        r#"{"role":"user","content":[{"type":"input_text","text":"a","odd": 1.50}]}"#,
        r#"{"type":"custom_tool_call","call_id":"c","name":"p","input":"x"}"#,
        r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAA","content":null}"#,
        r#""tools":[{"type":"custom","name":"p","format":{"type":"text"}}]"#,
        r#""instructions":"I""#,
        r#""truncation":"auto""#,
        r#""future":{"a":1.0}"#,
    ] {
        assert!(body.contains(kept), "{kept}\n{body}");
    }
    assert_eq!(fields["model"], "native");
    assert_eq!(
        fields["include"],
        json!([
            "message.input_image.image_url",
            "reasoning.encrypted_content"
        ])
    );
    assert!(
        fields["safety_identifier"]
            .as_str()
            .unwrap()
            .starts_with("user-")
    );
    for own in ["metadata", "provider", "user"] {
        assert!(fields[own].is_null(), "{own}");
    }
}

#[test]
fn reasoning_that_another_sealed_is_taken_out_of_the_clients_bytes() {
    // P87
    let raw = json!({"model": "m", "input": [
        {"role": "user", "content": "a"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x", "format": "xai-responses-v1"},
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "so"}]},
        {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "b"}]},
    ]});
    let input = |quirks: &[Quirk]| sent(Surface::Responses, raw.clone(), quirks)["input"].take();
    assert_eq!(input(&[]).as_array().unwrap().len(), 2);
    let own = input(&[Quirk::XaiReasoning]);
    let expected =
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"});
    assert_eq!(own[1], expected, "without the gateway's label");
    assert_eq!(own[2]["id"], "msg_1");
}

#[test]
fn what_a_host_cannot_take_is_told() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "a"}],
        "stop": ["x"], "seed": 1, "n": 2, "logit_bias": {"1": 1}, "service_tier": "priority",
    });
    let native = send(Surface::ChatCompletions, &body.to_string(), &[], json!({})).unwrap();
    assert_eq!(
        native.dropped,
        ["seed", "stop", "n", "logit_bias", "service_tier"]
    );
    let video = json!({"model": "m", "messages": [
        {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://e.org/v"}}]},
    ]});
    let error = send(Surface::ChatCompletions, &video.to_string(), &[], json!({})).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages[0].content[0].type"));
    let off = json!({"model": "m", "input": "a", "reasoning": {"effort": "none"}});
    let mandatory = json!({"reasoning": {"mandatory": true, "efforts": ["high"]}});
    assert!(send(Surface::Responses, &off.to_string(), &[], mandatory).is_err());
}

#[test]
fn an_endpoint_that_does_not_stream_is_not_asked_to() {
    let body = json!({"model": "m", "input": "a", "stream": true}).to_string();
    let native = send(
        Surface::Responses,
        &body,
        &[],
        json!({"answers_whole": true}),
    )
    .unwrap();
    let body: Value = serde_json::from_slice(&native.body).unwrap();
    assert!(body["stream"].is_null());
}

#[test]
fn a_long_id_of_a_call_becomes_a_short_one() {
    // P69
    let id = "c".repeat(80);
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": id, "content": "r"},
    ]});
    let input = sent(Surface::ChatCompletions, body, &[])["input"].take();
    let call_id = input[1]["call_id"].as_str().unwrap();
    assert!(call_id.len() <= 64);
    assert_eq!(input[2]["call_id"], call_id);
}
