//! What an event stream of messages has to look like, and the message that a client makes of it. For tests.

use serde_json::{Value, json};

/// A stream taken apart: every rule that clients rely on is asserted on the way.
#[derive(Debug)]
pub(in crate::dialects::anthropic_messages) struct Seen {
    /// The message as a client accumulates it.
    pub message: Value,
    /// The error that ended it, if one did.
    pub error: Option<Value>,
    /// The types of the events in order.
    pub kinds: Vec<String>,
}

/// Reads a whole stream.
pub(in crate::dialects::anthropic_messages) fn read(bytes: &[u8]) -> Seen {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.ends_with("\n\n"), "whole events: {text:?}");
    let mut seen = Seen {
        message: Value::Null,
        error: None,
        kinds: Vec::new(),
    };
    let mut open: Option<(usize, String)> = None;
    let mut is_over = false;
    for event in text.split_terminator("\n\n") {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let kind = name.strip_prefix("event: ").unwrap();
        let data: Value = crate::json::from_str(&data.replace("\ndata: ", "\n")).unwrap();
        assert_eq!(data["type"], kind, "the name of the event is its type");
        assert!(!is_over, "nothing follows the end: {kind}");
        seen.kinds.push(kind.to_owned());
        is_over = take(kind, &data, &mut seen, &mut open);
    }
    assert!(is_over, "a terminal event: {text}");
    assert!(open.is_none() || seen.error.is_some(), "every block ends");
    seen
}

fn take(kind: &str, data: &Value, seen: &mut Seen, open: &mut Option<(usize, String)>) -> bool {
    match kind {
        "message_start" => {
            assert!(seen.message.is_null(), "one beginning");
            seen.message = data["message"].clone();
            assert_eq!(seen.message["content"], json!([]));
            for field in ["id", "model", "provider", "role", "usage"] {
                assert!(!seen.message[field].is_null(), "{field}");
            }
        }
        "content_block_start" => {
            assert!(open.is_none(), "one block at a time");
            let content = seen.message["content"].as_array_mut().unwrap();
            let index = data["index"].as_u64().unwrap() as usize;
            assert_eq!(index, content.len(), "blocks are counted");
            content.push(data["content_block"].clone());
            *open = Some((index, String::new()));
        }
        "content_block_delta" => {
            let (index, json) = open.as_mut().unwrap();
            assert_eq!(data["index"], json!(*index), "of the open block");
            let block = &mut seen.message["content"][*index];
            let kind = block["type"].as_str().unwrap();
            assert!(kind.ends_with(belongs(&data["delta"])), "{kind}: {data}");
            apply(block, &data["delta"], json);
        }
        "content_block_stop" => {
            let (index, json) = open.take().unwrap();
            assert_eq!(data["index"], json!(index));
            let block = &mut seen.message["content"][index];
            if is_call(&block["type"]) && !json.is_empty() {
                block["input"] = match crate::json::from_str::<Value>(&json) {
                    Ok(input) if input.is_object() => input,
                    _ => json!({"INVALID_JSON": json}),
                };
            }
        }
        "message_delta" => {
            assert!(open.is_none(), "blocks end before the message");
            let message = seen.message.as_object_mut().unwrap();
            assert!(message["stop_reason"].is_null(), "one end");
            assert!(data["delta"]["stop_reason"].is_string());
            message.extend(data["delta"].as_object().unwrap().clone());
            message.insert("usage".into(), data["usage"].clone());
        }
        "message_stop" => {
            assert!(seen.message["stop_reason"].is_string());
            return true;
        }
        "error" => {
            seen.error = Some(data.clone());
            return true;
        }
        "ping" => {}
        other => assert!(!seen.message.is_null(), "{other} within a message"),
    }
    false
}

fn is_call(kind: &Value) -> bool {
    kind.as_str().is_some_and(|kind| kind.ends_with("tool_use"))
}

fn belongs(delta: &Value) -> &'static str {
    match delta["type"].as_str().unwrap() {
        "text_delta" | "citations_delta" => "text",
        "thinking_delta" | "signature_delta" => "thinking",
        "input_json_delta" => "tool_use",
        other => panic!("{other}"),
    }
}

fn apply(block: &mut Value, delta: &Value, json: &mut String) {
    let append = |block: &mut Value, field: &str| {
        let text = format!(
            "{}{}",
            block[field].as_str().unwrap(),
            delta[field].as_str().unwrap()
        );
        block[field] = text.into();
    };
    match delta["type"].as_str().unwrap() {
        "text_delta" => append(block, "text"),
        "thinking_delta" => append(block, "thinking"),
        "signature_delta" => {
            assert_eq!(block["signature"], "", "clients keep the last signature");
            block["signature"] = delta["signature"].clone();
        }
        "input_json_delta" => json.push_str(delta["partial_json"].as_str().unwrap()),
        _ => {
            let citations = block.as_object_mut().unwrap().entry("citations");
            let citations = citations.or_insert(json!([]));
            citations
                .as_array_mut()
                .unwrap()
                .push(delta["citation"].clone());
        }
    }
}
