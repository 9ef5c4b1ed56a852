//! How answers end, are measured and are told in each surface's own words.

use serde_json::{Value, json};

use patchbay::dialects::Surface;

use crate::wire::{DIALECTS, Sent, host, send};

fn ask(surface: Surface, dialect: &str, more: Value) -> Sent {
    let mut body = match surface {
        Surface::ChatCompletions => {
            json!({"model": "m/m", "messages": [{"role": "user", "content": "Hi"}]})
        }
        Surface::Completions => json!({"model": "m/m", "prompt": "Hi"}),
        Surface::Messages => {
            json!({"model": "m/m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]})
        }
        Surface::Responses => json!({"model": "m/m", "input": "Hi"}),
    };
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    send(surface, &body, &host(dialect, |_, _| {})).unwrap()
}

/// An answer with these words that was stopped because of what they are about.
fn refused(dialect: &str) -> Value {
    match dialect {
        "openai_chat" => {
            json!({"id": "1", "model": "m", "choices": [{"index": 0, "finish_reason": "content_filter",
            "message": {"role": "assistant", "content": "Well,"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
        }
        "anthropic_messages" => {
            json!({"id": "1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "refusal",
            "content": [{"type": "text", "text": "Well,"}], "usage": {"input_tokens": 1, "output_tokens": 1}})
        }
        "gemini" => {
            json!({"candidates": [{"index": 0, "finishReason": "SAFETY", "content": {"role": "model", "parts": [{"text": "Well,"}]}}],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}})
        }
        "openai_responses" => {
            json!({"id": "1", "object": "response", "status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "model": "m",
            "output": [{"type": "message", "id": "m1", "role": "assistant", "status": "incomplete", "content": [{"type": "output_text", "text": "Well,", "annotations": []}]}],
            "usage": {"input_tokens": 1, "output_tokens": 1}})
        }
        "cohere_v2" => {
            json!({"id": "1", "finish_reason": "ERROR_TOXIC", "message": {"role": "assistant", "content": [{"type": "text", "text": "Well,"}]},
            "usage": {"tokens": {"input_tokens": 1, "output_tokens": 1}}})
        }
        _ => {
            json!({"output": {"message": {"role": "assistant", "content": [{"text": "Well,"}]}}, "stopReason": "content_filtered",
            "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}})
        }
    }
}

#[test]
fn refused_content_is_told_in_each_surfaces_own_way() {
    for surface in Surface::ALL {
        for dialect in DIALECTS {
            let (whole, stream) = ask(surface, dialect, json!({})).answered(&refused(dialect));
            let told = format!("{} from {dialect}: {whole}\n{stream}", surface.as_str());
            assert!(
                whole.to_string().contains("Well,") && stream.contains("Well,"),
                "{told}"
            );
            let words = match surface {
                Surface::ChatCompletions | Surface::Completions => {
                    assert_eq!(
                        whole["choices"][0]["finish_reason"], "content_filter",
                        "{told}"
                    );
                    "\"finish_reason\":\"content_filter\""
                }
                Surface::Messages => {
                    assert_eq!(whole["stop_reason"], "refusal", "{told}");
                    "\"stop_reason\":\"refusal\""
                }
                Surface::Responses => {
                    assert_eq!(whole["status"], "incomplete", "{told}");
                    assert_eq!(
                        whole["incomplete_details"]["reason"], "content_filter",
                        "{told}"
                    );
                    "\"reason\":\"content_filter\""
                }
            };
            assert!(stream.contains(words), "{told}");
        }
    }
}

#[test]
fn a_refusal_in_words_reaches_every_surface() {
    let chat = json!({"id": "1", "model": "m", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": null, "refusal": "I will not."}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    for surface in Surface::ALL {
        let (whole, stream) = ask(surface, "openai_chat", json!({})).answered(&chat);
        let told = format!("{}: {whole}\n{stream}", surface.as_str());
        assert!(
            whole.to_string().contains("I will not.") && stream.contains("I will not."),
            "{told}"
        );
        if surface == Surface::Messages {
            assert_eq!(whole["stop_reason"], "refusal", "{told}");
        }
    }
}

/// Two answers with log probabilities.
fn two() -> Value {
    let logprobs = |token: &str| {
        json!({"content": [{"token": token, "logprob": -0.5, "bytes": null,
        "top_logprobs": [{"token": token, "logprob": -0.5, "bytes": null}]}], "refusal": null})
    };
    let choice = |at: usize, text: &str| {
        json!({"index": at, "finish_reason": "stop", "logprobs": logprobs(text),
        "message": {"role": "assistant", "content": text}})
    };
    json!({"id": "1", "model": "m", "choices": [choice(0, "Yes"), choice(1, "No")], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
}

#[test]
fn several_answers_and_their_probabilities_are_told_apart() {
    let asks = json!({"n": 2, "logprobs": true, "top_logprobs": 1});
    let (whole, stream) = ask(Surface::ChatCompletions, "openai_chat", asks).answered(&two());
    for (at, word) in ["Yes", "No"].into_iter().enumerate() {
        let choice = &whole["choices"][at];
        assert_eq!(choice["message"]["content"], word);
        assert_eq!(choice["logprobs"]["content"][0]["token"], word);
        assert!(stream.contains(&format!("\"index\":{at}")) && stream.contains(word));
    }
    let (whole, stream) = ask(
        Surface::Completions,
        "openai_chat",
        json!({"n": 2, "logprobs": 1}),
    )
    .answered(&two());
    for (at, word) in ["Yes", "No"].into_iter().enumerate() {
        let choice = &whole["choices"][at];
        assert_eq!(choice["text"], word, "{whole}");
        assert_eq!(choice["logprobs"]["tokens"], json!([word]), "{whole}");
        assert_eq!(choice["logprobs"]["token_logprobs"], json!([-0.5]));
    }
    assert!(stream.contains("token_logprobs"), "{stream}");
    let asks = json!({"include": ["message.output_text.logprobs"], "top_logprobs": 1});
    let (whole, stream) = ask(Surface::Responses, "openai_chat", asks).answered(&two());
    assert_eq!(
        whole["output"][0]["content"][0]["logprobs"][0]["token"], "Yes",
        "{whole}"
    );
    assert!(stream.contains("\"logprobs\":[{"), "{stream}");
}
