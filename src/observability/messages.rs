//! Chat messages in the form of the GenAI conventions: a role, and parts.
//!
//! Spec: <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>, `gen_ai.input.messages` and `gen_ai.output.messages`.

use serde_json::{Value, json};

/// Messages, or whatever else was asked or answered, said by `role` where they do not say.
pub fn convention(value: &Value, role: &str) -> Vec<Value> {
    match value {
        Value::Array(items) => items.iter().map(|item| message_of(item, role)).collect(),
        other => vec![message_of(other, role)],
    }
}

pub(super) fn message_of(message: &Value, otherwise: &str) -> Value {
    let field = |name: &str| message.get(name);
    let role = field("role").and_then(Value::as_str).unwrap_or(otherwise);
    if let (Some(id), "tool") = (field("tool_call_id"), role) {
        let response = field("content").cloned().unwrap_or_default();
        let part = json!({"type": "tool_call_response", "id": id, "response": response});
        return json!({"role": role, "parts": [part]});
    }
    let mut parts = Vec::new();
    if let Some(Value::String(thought)) = field("reasoning") {
        parts.push(json!({"type": "reasoning", "content": thought}));
    }
    match field("content") {
        Some(Value::String(text)) => parts.push(json!({"type": "text", "content": text})),
        Some(Value::Array(items)) => {
            parts.extend(items.iter().map(|item| match item.get("text") {
                Some(Value::String(text)) => json!({"type": "text", "content": text}),
                _ => item.clone(),
            }))
        }
        Some(Value::Null) => {}
        Some(other) => parts.push(json!({"type": "text", "content": other.to_string()})),
        // Not a message: an operation's input or answer.
        None if field("role").is_none() => {
            let text = message
                .as_str()
                .map_or_else(|| message.to_string(), str::to_owned);
            parts.push(json!({"type": "text", "content": text}));
        }
        None => {}
    }
    for call in field("tool_calls")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let function = call.get("function");
        let arguments = function.and_then(|function| function.get("arguments"));
        let arguments = match arguments {
            Some(Value::String(text)) => {
                crate::json::from_str(text).unwrap_or_else(|_| text.as_str().into())
            }
            other => other.cloned().unwrap_or_default(),
        };
        let name = function.and_then(|function| function.get("name"));
        parts.push(json!({"type": "tool_call", "id": call.get("id"), "name": name, "arguments": arguments}));
    }
    json!({"role": role, "parts": parts})
}
