//! A conversation that several models have had, with images, files, reasoning of three providers, calls and their results.

use serde_json::{Value, json};

use patchbay::dialects::Surface;

use crate::wire::{DIALECTS, Loop, Sent, host, send};

/// Images and a document that can be told apart.
const SEEN: &str = "iVBORw0KGgoSEENA";
const SHOT: &str = "iVBORw0KGgoSHOTA";
const MADE: &str = "iVBORw0KGgoMADEA";
const PAPER: &str = "JVBERi0xPAPERAAA";
/// A name that only some wires take.
const DOTTED: &str = "files.read";
/// Reasoning that providers signed.
const SIGNED: [(&str, &[&str]); 3] = [
    ("SIGA", &["anthropic_messages", "bedrock_converse"]),
    ("SIGG", &["gemini"]),
    ("SIGO", &["openai_responses"]),
];

fn long() -> String {
    format!("mcp__browser__{}", "navigate_".repeat(9))
}

fn png(data: &str) -> String {
    format!("data:image/png;base64,{data}")
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]})
}

fn chat() -> Value {
    json!({
        "model": "m/m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "Look."},
                {"type": "image_url", "image_url": {"url": png(SEEN)}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PAPER}")}}]},
            {"role": "assistant", "content": "Like this?", "images": [{"type": "image_url", "image_url": {"url": png(MADE)}}]},
            {"role": "user", "name": "Ada", "content": "Read both."},
            {"role": "assistant", "content": "Reading.",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "Hm.", "signature": "SIGA", "format": "anthropic-claude-v1", "index": 0},
                    {"type": "reasoning.encrypted", "data": "SIGG", "format": "google-gemini-v1", "id": "call:1", "index": 1},
                    {"type": "reasoning.encrypted", "data": "SIGO", "format": "openai-responses-v1", "id": "rs_1", "index": 2}],
                "tool_calls": [
                    {"id": "call:1", "type": "function", "function": {"name": DOTTED, "arguments": "{\"path\":\"a\"}"}},
                    {"id": "call:2", "type": "function", "function": {"name": long(), "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "call:2", "content": "two"},
            {"role": "tool", "tool_call_id": "call:1", "content": [
                {"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": png(SHOT)}}]},
            {"role": "user", "content": "And?"},
        ],
        "tools": [
            {"type": "function", "function": {"name": DOTTED, "description": "Reads.", "parameters": schema()}},
            {"type": "function", "function": {"name": long()}}],
        "tool_choice": {"type": "function", "function": {"name": DOTTED}},
        "max_tokens": 4_000,
    })
}

fn messages() -> Value {
    let image = |data: &str| json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}});
    json!({
        "model": "m/m", "max_tokens": 4_000,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look."}, image(SEEN),
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PAPER}, "title": "a.pdf"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Like this?"}, image(MADE)]},
            {"role": "user", "content": "Ada: Read both."},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "SIGA"},
                {"type": "text", "text": "Reading."},
                {"type": "tool_use", "id": "call:1", "name": DOTTED, "input": {"path": "a"}},
                {"type": "tool_use", "id": "call:2", "name": long(), "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call:2", "content": "two"},
                {"type": "tool_result", "tool_use_id": "call:1", "content": [{"type": "text", "text": "one"}, image(SHOT)]},
                {"type": "text", "text": "And?"}]},
        ],
        "tools": [
            {"name": DOTTED, "description": "Reads.", "input_schema": schema()},
            {"name": long(), "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "tool", "name": DOTTED},
    })
}

fn responses() -> Value {
    json!({
        "model": "m/m", "max_output_tokens": 4_000,
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "Look."},
                {"type": "input_image", "image_url": png(SEEN), "detail": "auto"},
                {"type": "input_file", "filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PAPER}")}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Like this?", "annotations": []}]},
            {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": MADE},
            {"role": "user", "content": "Ada: Read both."},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "SIGO"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Reading.", "annotations": []}]},
            {"type": "function_call", "call_id": "call:1", "name": DOTTED, "arguments": "{\"path\":\"a\"}"},
            {"type": "function_call", "call_id": "call:2", "name": long(), "arguments": ""},
            {"type": "function_call_output", "call_id": "call:2", "output": "two"},
            {"type": "function_call_output", "call_id": "call:1", "output": [
                {"type": "input_text", "text": "one"}, {"type": "input_image", "image_url": png(SHOT), "detail": "auto"}]},
            {"role": "user", "content": "And?"},
        ],
        "tools": [
            {"type": "function", "name": DOTTED, "description": "Reads.", "parameters": schema(), "strict": false},
            {"type": "function", "name": long(), "parameters": {"type": "object", "properties": {}}, "strict": false}],
        "tool_choice": {"type": "function", "name": DOTTED},
    })
}

fn surfaces() -> [(Surface, Value); 3] {
    [
        (Surface::ChatCompletions, chat()),
        (Surface::Messages, messages()),
        (Surface::Responses, responses()),
    ]
}

/// The host may read everything but what Cohere's wire has no words for.
fn sent(surface: Surface, mut body: Value, dialect: &str) -> Sent {
    if dialect == "cohere_v2" {
        // No documents but texts.
        let text = body.to_string();
        assert!(text.contains(PAPER));
        body = without_paper(body);
    }
    send(surface, &body, &host(dialect, |_, _| {}))
        .unwrap_or_else(|error| panic!("{} to {dialect}: {error:?}", surface.as_str()))
}

fn without_paper(value: Value) -> Value {
    match value {
        Value::Array(list) => {
            let kept = list.into_iter().filter(|value| {
                !matches!(
                    value["type"].as_str(),
                    Some("file" | "document" | "input_file")
                )
            });
            kept.map(without_paper).collect()
        }
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, without_paper(value)))
            .collect(),
        value => value,
    }
}

#[test]
fn a_conversation_of_several_models_reaches_every_wire_whole() {
    for (surface, body) in surfaces() {
        for dialect in DIALECTS {
            let sent = sent(surface, body.clone(), dialect);
            let told = format!("{} to {dialect}:\n{}", surface.as_str(), sent.text);
            for (what, count) in [
                (SEEN, 1),
                (SHOT, 1),
                (MADE, 1),
                (PAPER, usize::from(dialect != "cohere_v2")),
                ("Be brief.", 1),
                ("Look.", 1),
                ("Like this?", 1),
                ("Ada", 1),
                ("Reading.", 1),
                ("And?", 1),
            ] {
                assert_eq!(sent.count(what), count, "{what} from {told}");
            }
            check_loop(&sent, dialect, &told);
            for (signature, owners) in SIGNED {
                // P87: and nobody else gets to see it.
                let is_sent = String::from_utf8_lossy(&sent.raw).contains(signature);
                let goes = is_sent && owners.contains(&dialect);
                assert_eq!(
                    sent.count(signature),
                    usize::from(goes),
                    "{signature} from {told}"
                );
            }
        }
    }
}

/// Calls and results keep their pairs, in the order of the calls, under names and ids that the wire takes.
fn check_loop(sent: &Sent, dialect: &str, told: &str) {
    let found = Loop::of(&sent.body);
    let ids: Vec<&str> = found.calls.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(ids.len(), 2, "calls of {told}");
    assert_ne!(ids[0], ids[1], "{told}");
    assert_eq!(found.calls[0].2, json!({"path": "a"}), "{told}");
    assert_eq!(found.calls[1].2, json!({}), "P56: {told}");
    let results: Vec<&str> = found.results.iter().map(|(id, _)| id.as_str()).collect();
    let orders = matches!(
        dialect,
        "anthropic_messages" | "bedrock_converse" | "gemini"
    );
    let is_raw = sent
        .surface
        .is_dialect(sent.endpoint.dialect(&sent.provider))
        && dialect == "anthropic_messages";
    if orders && !is_raw {
        assert_eq!(results, ids, "P64, P67: {told}");
    } else {
        assert_eq!(results.len(), 2, "{told}");
        assert!(results.iter().all(|id| ids.contains(id)), "{told}");
    }
    let names: Vec<&str> = found
        .calls
        .iter()
        .map(|(_, name, _)| name.as_str())
        .collect();
    // Cohere forces a tool by offering nothing else.
    let offered = if dialect == "cohere_v2" { 1 } else { 2 };
    assert_eq!(found.declared, names[..offered], "{told}");
    let most = if dialect == "anthropic_messages" {
        128
    } else {
        64
    };
    let more = if dialect == "gemini" { ".:" } else { "" };
    for name in &names {
        let takes = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c) || more.contains(c);
        assert!(
            name.len() <= most && name.chars().all(takes),
            "{name} of {told}"
        );
    }
    assert!(
        matches!(dialect, "cohere_v2" | "openai_responses") || sent.count(names[0]) >= 3,
        "declared, called and chosen: {told}"
    );
    let takes_id = |id: &&str| match dialect {
        "anthropic_messages" | "bedrock_converse" => id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)),
        _ => !id.is_empty(),
    };
    assert!(ids.iter().all(takes_id), "P69: {told}");
    if matches!(dialect, "openai_chat" | "cohere_v2") {
        // These wires take text alone in results.
        assert!(
            found
                .results
                .iter()
                .all(|(_, content)| !content.to_string().contains("image")),
            "{told}"
        );
    }
}

#[test]
fn calls_come_back_under_the_clients_own_names() {
    let args = json!({"path": "b"});
    for (surface, body) in surfaces() {
        for dialect in DIALECTS {
            let mut sent = sent(surface, body.clone(), dialect);
            let name = Loop::of(&sent.body).calls[1].1.clone();
            let answer = match dialect {
                "openai_chat" => {
                    json!({"id": "1", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
                    "role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": name, "arguments": args.to_string()}}]}}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
                }
                "anthropic_messages" => {
                    json!({"id": "1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
                    "content": [{"type": "tool_use", "id": "c1", "name": name, "input": args}], "usage": {"input_tokens": 1, "output_tokens": 1}})
                }
                "gemini" => {
                    json!({"candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
                    {"functionCall": {"id": "c1", "name": name, "args": args}}]}}], "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}})
                }
                "openai_responses" => {
                    json!({"id": "1", "object": "response", "status": "completed", "model": "m", "output": [
                    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": name, "arguments": args.to_string(), "status": "completed"}],
                    "usage": {"input_tokens": 1, "output_tokens": 1}})
                }
                "cohere_v2" => {
                    json!({"id": "1", "finish_reason": "TOOL_CALL", "message": {"role": "assistant", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": name, "arguments": args.to_string()}}]}, "usage": {"tokens": {"input_tokens": 1, "output_tokens": 1}}})
                }
                _ => {
                    json!({"output": {"message": {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": name, "input": args}}]}},
                    "stopReason": "tool_use", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}})
                }
            };
            let (whole, stream) = sent.answered(&answer);
            let told = format!("{} from {dialect}: {whole}", surface.as_str());
            let found = Loop::of(&whole);
            let call = found.calls.last().unwrap_or_else(|| panic!("{told}"));
            assert_eq!(
                (call.1.as_str(), &call.2),
                (long().as_str(), &args),
                "{told}"
            );
            assert!(
                stream.contains(&format!("\"{}\"", long())),
                "{told}\n{stream}"
            );
        }
    }
}

#[test]
fn a_failed_call_is_a_failure_on_every_wire() {
    let body = json!({
        "model": "m/m", "max_tokens": 100,
        "messages": [
            {"role": "user", "content": "Read."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "read", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "is_error": true, "content": "No such file"}]}],
        "tools": [{"name": "read", "input_schema": {"type": "object"}}],
    });
    for dialect in DIALECTS {
        let sent = send(Surface::Messages, &body, &host(dialect, |_, _| {})).unwrap();
        let says = match dialect {
            "anthropic_messages" => "\"is_error\":true",
            "gemini" => "\"error\":\"No such file\"",
            "bedrock_converse" => "\"status\":\"error\"",
            _ => "Error: No such file",
        };
        assert_eq!(sent.count(says), 1, "{dialect}: {}", sent.text);
    }
}

#[test]
fn what_a_tool_shows_has_to_be_seen_by_the_model() {
    let mut body = chat();
    for at in [1, 2] {
        body["messages"][at] = json!({"role": "user", "content": "Look."});
    }
    let blind = host("openai_chat", |_, endpoint| {
        endpoint["input_modalities"] = json!(["text"]);
    });
    let refused = send(Surface::ChatCompletions, &body, &blind).err().unwrap();
    assert_eq!(refused.status, 404, "{refused:?}");
}

#[test]
fn breakpoints_reach_the_wires_that_have_them_and_no_more_than_they_take() {
    let mark = json!({"type": "ephemeral"});
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    let text =
        |words: &str, mark: &Value| json!([{"type": "text", "text": words, "cache_control": mark}]);
    let body = json!({
        "model": "m/m", "max_tokens": 100,
        "system": text("System.", &hour),
        "messages": [
            {"role": "user", "content": text("One.", &mark)},
            {"role": "assistant", "content": text("Two.", &mark)},
            {"role": "user", "content": text("Three.", &hour)},
            {"role": "assistant", "content": text("Four.", &mark)},
            {"role": "user", "content": text("Five.", &mark)}],
        "tools": [{"name": "read", "input_schema": {"type": "object"}, "cache_control": hour}],
    });
    for (dialect, words, count) in [
        ("anthropic_messages", "cache_control", 4..=4),
        ("bedrock_converse", "cachePoint", 4..=4),
        ("gemini", "cache", 0..=0),
        ("openai_chat", "cache_control", 0..=0),
        ("openai_responses", "cache_control", 0..=0),
        ("cohere_v2", "cache", 0..=0),
    ] {
        let sent = send(Surface::Messages, &body, &host(dialect, |_, _| {})).unwrap();
        assert!(
            count.contains(&sent.count(words)),
            "{dialect}: {}",
            sent.text
        );
    }
    // Chat hosts that know Anthropic's marks get them, also behind tools.
    let takes = host("openai_chat", |provider, _| {
        provider["quirks"] = json!(["cache_control_parts"]);
    });
    let sent = send(Surface::Messages, &body, &takes).unwrap();
    assert!(
        sent.body["tools"][0]["cache_control"].is_object(),
        "{}",
        sent.text
    );
    assert!(sent.body["messages"][1]["content"][0]["cache_control"].is_object());
    // In each spelling that chat completions have.
    for (surface, body) in [
        (
            Surface::ChatCompletions,
            json!({"model": "m/m", "cache_control": mark, "messages": [{"role": "user", "content": "Hi"}]}),
        ),
        (
            Surface::ChatCompletions,
            json!({"model": "m/m", "messages": [{"role": "user", "content": "Hi", "cache_control": mark}]}),
        ),
        (
            Surface::ChatCompletions,
            json!({"model": "m/m", "messages": [{"role": "user", "content": text("Hi", &mark)}]}),
        ),
        (
            Surface::ChatCompletions,
            json!({"model": "m/m", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}]}]}),
        ),
        (
            Surface::Responses,
            json!({"model": "m/m", "input": "Hi", "cache_control": mark}),
        ),
        (
            Surface::Responses,
            json!({"model": "m/m", "input": [{"role": "user", "content": [
            {"type": "input_text", "text": "Hi", "cache_control": mark}]}]}),
        ),
        (
            Surface::Messages,
            json!({"model": "m/m", "max_tokens": 9, "cache_control": mark, "messages": [{"role": "user", "content": "Hi"}]}),
        ),
        (
            Surface::Completions,
            json!({"model": "m/m", "prompt": "Hi", "cache_control": mark}),
        ),
    ] {
        for (dialect, words) in [
            ("anthropic_messages", "cache_control"),
            ("bedrock_converse", "cachePoint"),
        ] {
            let sent = send(surface, &body, &host(dialect, |_, _| {})).unwrap();
            assert_eq!(sent.count(words), 1, "{dialect} of {body}: {}", sent.text);
        }
    }
}

#[test]
fn ids_of_lax_providers_fit_the_hosts_that_count_them() {
    // P69
    let id = "functions.mcp__playwright__browser_navigate:12";
    let body = json!({"model": "m/m", "messages": [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": {"name": "go", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": id, "content": "gone"}]});
    let openai = host("openai_chat", |provider, _| {
        provider["quirks"] = json!(["developer_role"]);
    });
    let found = Loop::of(&send(Surface::ChatCompletions, &body, &openai).unwrap().body);
    assert!(found.calls[0].0.len() <= 40, "{found:?}");
    assert_eq!(found.calls[0].0, found.results[0].0);
    // Others get the id that was theirs.
    let sent = send(
        Surface::ChatCompletions,
        &body,
        &host("openai_chat", |_, _| {}),
    )
    .unwrap();
    assert_eq!(Loop::of(&sent.body).calls[0].0, id);
}
