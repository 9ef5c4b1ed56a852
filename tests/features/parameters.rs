//! No parameter disappears: it is in what the provider is sent, or the client is told that it is not.

use serde_json::{Value, json};

use patchbay::dialects::Surface;

use crate::wire::{DIALECTS, host, send};

/// A parameter of chat completions, its value, and how wires spell it.
fn table() -> Vec<(&'static str, Value, &'static [&'static str])> {
    vec![
        ("temperature", json!(0.5), &["temperature"]),
        ("top_p", json!(0.9), &["top_p", "topP", "p"]),
        ("top_k", json!(40), &["top_k", "topK", "k"]),
        ("min_p", json!(0.1), &["min_p"]),
        ("top_a", json!(0.1), &["top_a"]),
        (
            "frequency_penalty",
            json!(0.5),
            &["frequency_penalty", "frequencyPenalty"],
        ),
        (
            "presence_penalty",
            json!(0.5),
            &["presence_penalty", "presencePenalty"],
        ),
        ("repetition_penalty", json!(1.1), &["repetition_penalty"]),
        ("seed", json!(7), &["seed", "random_seed"]),
        (
            "max_tokens",
            json!(2_000),
            &[
                "max_tokens",
                "max_completion_tokens",
                "maxOutputTokens",
                "max_output_tokens",
                "maxTokens",
            ],
        ),
        (
            "stop",
            json!(["END"]),
            &["stop", "stop_sequences", "stopSequences"],
        ),
        ("n", json!(2), &["n", "candidateCount"]),
        (
            "logprobs",
            json!(true),
            &["logprobs", "responseLogprobs", "top_logprobs"],
        ),
        ("logit_bias", json!({"5": 1}), &["logit_bias"]),
        (
            "prediction",
            json!({"type": "content", "content": "x"}),
            &["prediction"],
        ),
        ("verbosity", json!("low"), &["verbosity", "effort"]),
        (
            "parallel_tool_calls",
            json!(false),
            &["parallel_tool_calls", "disable_parallel_tool_use"],
        ),
        (
            "tool_choice",
            json!("required"),
            &["tool_choice", "toolChoice", "toolConfig"],
        ),
        (
            "reasoning",
            json!({"effort": "high"}),
            &[
                "reasoning",
                "reasoning_effort",
                "thinking",
                "thinkingConfig",
            ],
        ),
        (
            "web_search_options",
            json!({"search_context_size": "low"}),
            &["web_search_options", "google_search", "googleSearch"],
        ),
        ("service_tier", json!("flex"), &["service_tier"]),
        (
            "modalities",
            json!(["text", "image"]),
            &["modalities", "responseModalities"],
        ),
    ]
}

fn asks(name: &str, value: &Value) -> Value {
    let mut body = json!({"model": "m/m", "messages": [{"role": "user", "content": "Hi"}]});
    body[name] = value.clone();
    if name == "logprobs" {
        body["top_logprobs"] = json!(2);
    }
    if matches!(name, "parallel_tool_calls" | "tool_choice") {
        body["tools"] = json!([{"type": "function", "function": {"name": "read", "parameters": {"type": "object", "properties": {}}}}]);
    }
    body
}

#[test]
fn a_parameter_is_carried_or_told_to_be_dropped() {
    let mut lines = vec![format!("{:<20} {}", "", DIALECTS.join("  "))];
    let mut silent = Vec::new();
    for (name, value, spellings) in table() {
        let mut line = format!("{name:<20}");
        for dialect in DIALECTS {
            let told = match send(
                Surface::ChatCompletions,
                &asks(name, &value),
                &host(dialect, |_, _| {}),
            ) {
                Err(error) => format!("refused {}", error.status),
                Ok(sent) if sent.dropped.contains(&name) => "dropped".to_owned(),
                Ok(sent) if sent.has_key(spellings) => "carried".to_owned(),
                Ok(sent) if name == "web_search_options" && sent.text.contains("web_search") => {
                    "carried".to_owned()
                }
                Ok(sent) => {
                    silent.push(format!(
                        "{name} to {dialect}: {:?} {}",
                        sent.dropped, sent.text
                    ));
                    "SILENT".to_owned()
                }
            };
            line.push_str(&format!(" {told:<width$}", width = dialect.len() + 1));
        }
        lines.push(line);
    }
    println!("{}", lines.join("\n"));
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn what_an_endpoint_does_not_support_is_never_sent() {
    let mut wrong = Vec::new();
    for (name, value, spellings) in table() {
        // These are no parameters that endpoints list, or every endpoint has to take.
        if matches!(name, "n" | "max_tokens" | "service_tier" | "modalities") {
            continue;
        }
        for dialect in DIALECTS {
            let host = host(dialect, |_, endpoint| {
                endpoint["supported_parameters"] = json!(["max_tokens", "tools"]);
                endpoint["reasoning"] = Value::Null;
            });
            let Ok(sent) = send(Surface::ChatCompletions, &asks(name, &value), &host) else {
                continue;
            };
            if sent.has_key(spellings)
                && name != "tool_choice"
                && !(name == "parallel_tool_calls" && dialect != "openai_chat")
            {
                wrong.push(format!("{name} sent to {dialect}: {}", sent.text));
            }
            let is_default = name == "tool_choice" && sent.text.contains("REQUIRED");
            if (!sent.dropped.contains(&name) && !sent.has_key(spellings)) || is_default {
                wrong.push(format!(
                    "{name} silent to {dialect}: {:?} {}",
                    sent.dropped, sent.text
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn completions_say_what_they_cannot() {
    let host = host("openai_chat", |_, _| {});
    let ask = |more: Value| {
        let mut body = json!({"model": "m/m", "prompt": "Once"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        send(Surface::Completions, &body, &host)
    };
    for (more, field) in [
        (json!({"prompt": ["a", "b"]}), "prompt"),
        (json!({"prompt": [1, 2]}), "prompt"),
        (json!({"best_of": 3}), "best_of"),
        (json!({"logprobs": 99}), "logprobs"),
    ] {
        let error = ask(more).err().unwrap();
        assert_eq!((error.status, error.param.as_deref()), (400, Some(field)));
    }
    let sent = ask(json!({"prompt": ["Once"], "echo": true, "suffix": null, "best_of": null, "logprobs": 3, "n": 2})).unwrap();
    assert_eq!(
        sent.body["messages"],
        json!([{"role": "user", "content": "Once"}])
    );
    assert_eq!(
        (
            &sent.body["logprobs"],
            &sent.body["top_logprobs"],
            &sent.body["n"]
        ),
        (&json!(true), &json!(3), &json!(2))
    );
    assert!(!sent.has_key(&["echo", "suffix", "best_of", "prompt"]));
    let sent = ask(json!({"suffix": "the end"})).unwrap();
    assert_eq!(sent.count("the end"), 1);
}

#[test]
fn responses_store_nothing_and_say_so() {
    for dialect in DIALECTS {
        let host = host(dialect, |_, _| {});
        for (field, value) in [
            ("store", json!(true)),
            ("previous_response_id", json!("resp_1")),
            ("background", json!(true)),
            ("conversation", json!("conv_1")),
        ] {
            let mut body = json!({"model": "m/m", "input": "Hi"});
            body[field] = value;
            let error = send(Surface::Responses, &body, &host).err().unwrap();
            assert_eq!(
                (error.status, error.param.as_deref()),
                (400, Some(field)),
                "{dialect}"
            );
        }
        let body =
            json!({"model": "m/m", "input": "Hi", "store": false, "previous_response_id": null});
        let sent = send(Surface::Responses, &body, &host).unwrap();
        assert_eq!(sent.has_key(&["store"]), dialect == "openai_responses");
    }
}

#[test]
fn what_only_anthropic_knows_goes_there_or_is_refused() {
    let asks = |more: Value| {
        let mut body = json!({"model": "m/m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    for (field, value, is_refused) in [
        ("container", json!("container_1"), true),
        (
            "mcp_servers",
            json!([{"type": "url", "url": "https://a.example", "name": "a"}]),
            true,
        ),
        (
            "context_management",
            json!({"edits": [{"type": "clear_tool_uses_20250919"}]}),
            false,
        ),
        (
            "thinking",
            json!({"type": "enabled", "budget_tokens": 1_024}),
            false,
        ),
    ] {
        let mut body = asks(json!({ field: value }));
        body["max_tokens"] = json!(4_000);
        for dialect in DIALECTS {
            let sent = send(Surface::Messages, &body, &host(dialect, |_, _| {}));
            match (dialect, sent) {
                ("anthropic_messages", sent) => assert!(sent.unwrap().has_key(&[field]), "{field}"),
                (_, Err(error)) => {
                    assert!(is_refused, "{field} to {dialect}: {error:?}");
                    assert_eq!(error.param.as_deref(), Some(field));
                }
                (_, Ok(_)) => assert!(!is_refused, "{field} to {dialect}"),
            }
        }
    }
}
