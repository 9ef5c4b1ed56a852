//! How long a conversation is, asked of its provider.
//!
//! | dialect | call | answer |
//! |---|---|---|
//! | Anthropic messages | `POST /v1/messages/count_tokens` | `input_tokens` |
//! | Gemini | `POST /models/{model}:countTokens`, around the request itself | `totalTokens` |
//! | OpenAI, of both formats | `POST /responses/input_tokens` | `input_tokens` |
//!
//! The request is the one that would be sent for an answer, without what belongs to the answer. Out of scope: which providers have such a
//! call (`Provider::counts_tokens`), the gateway's own estimate (`chat::estimate`).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Inbound, NativeRequest, Target};
use crate::{
    catalog::{Dialect, Endpoint},
    chat::ChatRequest,
    error::{Error, Result},
};

/// What Anthropic's call takes.
const OF_MESSAGES: [&str; 8] = [
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
];
/// What OpenAI's call takes.
const OF_RESPONSES: [&str; 9] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "reasoning",
    "text",
    "parallel_tool_calls",
    "truncation",
];

/// Writes the question; nothing where the dialect has none.
///
/// # Errors
/// When the request cannot be said to this target.
pub fn request(inbound: &Inbound<'_>, target: &Target<'_>) -> Result<Option<NativeRequest>> {
    let dialect = target.dialect();
    let endpoint = Endpoint {
        // OpenAI counts in its newer format alone.
        dialect: match dialect {
            Dialect::OpenaiChat => Some(Dialect::OpenaiResponses),
            _ => target.endpoint.dialect,
        },
        ..target.endpoint.clone()
    };
    if matches!(dialect, Dialect::CohereV2 | Dialect::BedrockConverse) {
        return Ok(None);
    }
    let chat = ChatRequest {
        stream: false,
        ..inbound.request.clone()
    };
    let asked = Inbound {
        request: &chat,
        ..*inbound
    };
    let to = Target {
        endpoint: &endpoint,
        provider: target.provider,
    };
    let mut native = super::request(&asked, &to)?;
    let mut body: Map<String, Value> = crate::json::from_slice(&native.body)
        .map_err(|error| Error::internal(format!("a request cannot be read again: {error}")))?;
    let mut keep = |words: &[&str]| body.retain(|key, _| words.contains(&key.as_str()));
    match dialect {
        Dialect::AnthropicMessages => {
            keep(&OF_MESSAGES);
            native.path.push_str("/count_tokens");
        }
        Dialect::OpenaiChat | Dialect::OpenaiResponses => {
            keep(&OF_RESPONSES);
            native.path.push_str("/input_tokens");
        }
        _ => {
            let (model, _) = native.path.split_once(':').unwrap_or((&native.path, ""));
            body.insert("model".to_owned(), model.trim_start_matches('/').into());
            native.path = format!("{model}:countTokens");
            body = Map::from_iter([("generateContentRequest".to_owned(), json!(body))]);
        }
    }
    native.body = Value::Object(body).to_string().into_bytes();
    Ok(Some(native))
}

/// Reads the answer; nothing where it has no count.
pub fn answer(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(alias = "totalTokens")]
        input_tokens: u64,
    }
    let wire: Wire = crate::json::from_slice(body).ok()?;
    Some(wire.input_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::Provider, dialects::Surface};

    fn asked(dialect: &str, surface: Surface, body: &Value) -> Option<(String, Value)> {
        let provider: Provider = serde_json::from_value(json!({
            "slug": "p", "name": "P", "dialect": dialect, "base_url": "https://a.example", "auth": {"kind": "bearer"}, "secret": "KEY",
        }))
        .unwrap();
        let endpoint: Endpoint = serde_json::from_value(json!({
            "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "native", "context_length": 100_000,
            "prices": {"prompt": 0, "completion": 0}, "supported_parameters": ["tools", "temperature", "max_tokens"],
            "input_modalities": ["text"], "output_modalities": ["text"],
        }))
        .unwrap();
        let raw = body.to_string().into_bytes();
        let inbound = Inbound {
            request: &surface.parse(&raw).unwrap(),
            surface,
            raw: Some(&raw),
        };
        let target = Target {
            endpoint: &endpoint,
            provider: &provider,
        };
        let native = request(&inbound, &target).unwrap()?;
        Some((native.path, crate::json::from_slice(&native.body).unwrap()))
    }

    #[test]
    fn each_dialect_is_asked_in_its_own_words_about_the_request_alone() {
        let body = json!({"model": "a/b", "system": "Be brief.", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5,
            "temperature": 0.5, "stream": true, "user": "me", "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
        let (path, told) = asked("anthropic_messages", Surface::Messages, &body).unwrap();
        assert_eq!(path, "/v1/messages/count_tokens");
        let expected = json!({"model": "native", "system": "Be brief.", "messages": body["messages"], "tools": body["tools"]});
        assert_eq!(told, expected);
        for dialect in ["openai_chat", "openai_responses"] {
            let (path, told) = asked(dialect, Surface::Messages, &body).unwrap();
            assert_eq!(path, "/responses/input_tokens");
            let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
            assert!(
                keys.iter().all(|key| OF_RESPONSES.contains(&key.as_str())),
                "{keys:?}"
            );
            assert!(told["input"].to_string().contains("hi") && told["tools"][0]["name"] == "f");
        }
        let (path, told) = asked("gemini", Surface::Messages, &body).unwrap();
        assert_eq!(path, "/models/native:countTokens");
        let inner = &told["generateContentRequest"];
        assert_eq!(inner["model"], "models/native");
        assert!(
            inner["contents"].to_string().contains("hi")
                && inner["systemInstruction"].to_string().contains("brief")
        );
        for dialect in ["cohere_v2", "bedrock_converse"] {
            assert_eq!(asked(dialect, Surface::Messages, &body), None);
        }
    }

    #[test]
    fn counts_are_read_in_either_word_and_nothing_else_is_a_count() {
        assert_eq!(answer(br#"{"input_tokens":43}"#), Some(43));
        assert_eq!(
            answer(br#"{"totalTokens":7,"totalBillableCharacters":20}"#),
            Some(7)
        );
        for body in [
            &b"{}"[..],
            b"",
            b"<html>",
            br#"{"input_tokens":-1}"#,
            br#"{"error":{}}"#,
        ] {
            assert_eq!(answer(body), None);
        }
    }
}
