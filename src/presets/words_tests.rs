//! A configuration said in the words of each surface, and heard again.

use serde_json::{Value, json};

use super::*;

fn object_of(value: &Value) -> Object {
    value.as_object().unwrap().clone()
}

fn said(surface: Surface, config: &Value) -> Value {
    Value::Object(spoken(surface, &object_of(config)))
}

/// A configuration with everything that has a word on every surface.
fn config() -> Value {
    json!({
        "model": "a/b", "models": ["c/d"], "provider": {"sort": "price"}, "temperature": 0.5, "top_p": 0.9, "top_k": 3,
        "max_completion_tokens": 77, "stop": "END", "seed": 7, "frequency_penalty": 0.25, "logit_bias": {"5": 1},
        "reasoning_effort": "high", "verbosity": "low", "parallel_tool_calls": false,
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
        "plugins": [{"id": "web"}],
    })
}

#[test]
fn messages_say_it_in_anthropics_words() {
    let expected = json!({
        "model": "a/b", "models": ["c/d"], "provider": {"sort": "price"}, "temperature": 0.5, "top_p": 0.9, "top_k": 3,
        "max_tokens": 77, "stop_sequences": ["END"], "plugins": [{"id": "web"}],
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    });
    assert_eq!(said(Surface::Messages, &config()), expected);
    for (reasoning, thinking, effort) in [
        (
            json!({"max_tokens": 2000, "exclude": true}),
            json!({"type": "enabled", "budget_tokens": 2000, "display": "omitted"}),
            None,
        ),
        (json!({"effort": "none"}), json!({"type": "disabled"}), None),
        (json!({"enabled": false}), json!({"type": "disabled"}), None),
        (json!({"enabled": true}), json!({"type": "adaptive"}), None),
        (
            json!({"effort": "low"}),
            json!({"type": "adaptive"}),
            Some("low"),
        ),
    ] {
        let told = said(Surface::Messages, &json!({"reasoning": reasoning}));
        assert_eq!(told["thinking"], thinking, "{reasoning}");
        assert_eq!(told["output_config"]["effort"].as_str(), effort);
    }
}

#[test]
fn responses_say_it_in_openais_newer_words() {
    let expected = json!({
        "model": "a/b", "models": ["c/d"], "provider": {"sort": "price"}, "temperature": 0.5, "top_p": 0.9, "top_k": 3,
        "max_output_tokens": 77, "stop": "END", "frequency_penalty": 0.25, "parallel_tool_calls": false, "plugins": [{"id": "web"}],
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "high"},
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
    });
    assert_eq!(said(Surface::Responses, &config()), expected);
}

#[test]
fn every_word_of_a_preset_reaches_the_request_of_every_surface() {
    let config = config();
    let mut whole = object_of(&config);
    whole.insert("messages".into(), json!([{"role": "user", "content": "x"}]));
    let chat = |body: &Object| {
        Surface::ChatCompletions
            .parse(Value::Object(body.clone()).to_string().as_bytes())
            .unwrap()
    };
    let meant = chat(&whole);
    for (surface, input) in [
        (
            Surface::Messages,
            ("messages", json!([{"role": "user", "content": "x"}])),
        ),
        (Surface::Responses, ("input", json!("x"))),
    ] {
        let mut body = spoken(surface, &object_of(&config));
        body.insert(input.0.into(), input.1);
        let mut read = surface
            .parse(Value::Object(body).to_string().as_bytes())
            .unwrap();
        complete(surface, &mut read, chat(&whole), None);
        assert_eq!(read.sampling, meant.sampling, "{surface:?}");
        assert_eq!(read.max_tokens, Some(77));
        assert_eq!(read.stop, meant.stop);
        assert_eq!(read.logit_bias, meant.logit_bias);
        assert_eq!(read.tools[0].name, "f");
        assert_eq!(read.tools[0].parameters, meant.tools[0].parameters);
        assert_eq!(read.tool_choice, meant.tool_choice);
        assert_eq!(read.parallel_tool_calls, Some(false));
        assert_eq!(
            read.reasoning.unwrap().effort,
            meant.reasoning.as_ref().unwrap().effort
        );
        assert_eq!(read.verbosity, meant.verbosity);
        assert!(read.response_format.is_some());
        assert_eq!(read.models, meant.models);
    }
}

#[test]
fn a_text_gets_the_instructions_before_its_prompt() {
    let mut read = Surface::Completions
        .parse(br#"{"model":"a/b","prompt":"x","echo":true}"#)
        .unwrap();
    complete(
        Surface::Completions,
        &mut read,
        ChatRequest::default(),
        Some("Be brief."),
    );
    let roles: Vec<Role> = read.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User]);
}

#[test]
fn what_means_nothing_to_a_surface_is_named() {
    let config = object_of(&json!({"tools": [], "n": 2, "audio": {}, "temperature": 1}));
    for (surface, words) in [
        (Surface::ChatCompletions, vec![]),
        (Surface::Messages, vec!["n", "audio"]),
        (Surface::Responses, vec!["n", "audio"]),
        (Surface::Completions, vec!["tools", "audio"]),
    ] {
        assert_eq!(meaningless(surface, &config), words, "{surface:?}");
    }
}

#[test]
fn a_body_of_any_surface_is_kept_in_the_words_of_chat() {
    let messages = json!({
        "model": "a/b", "system": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}], "max_tokens": 9, "stop_sequences": ["x"],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {}}},
        "fallbacks": [{"model": "c/d"}],
    });
    let (kept, prompt) = heard(Surface::Messages, object_of(&messages)).unwrap();
    assert_eq!(prompt.as_deref(), Some("Be\n\nbrief."));
    let expected = json!({
        "model": "a/b", "max_tokens": 9, "stop": ["x"], "models": ["c/d"], "tool_choice": "required", "parallel_tool_calls": false,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "reasoning": {"enabled": true, "effort": "high"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}, "strict": true}},
    });
    assert_eq!(Value::Object(kept), expected);
    let responses = json!({
        "model": "a/b", "instructions": "Be brief.", "max_output_tokens": 9, "store": false, "include": [], "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "f", "parameters": {}}], "tool_choice": {"type": "function", "name": "f"},
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}}},
    });
    let (kept, prompt) = heard(Surface::Responses, object_of(&responses)).unwrap();
    assert_eq!(prompt.as_deref(), Some("Be brief."));
    let expected = json!({
        "model": "a/b", "max_tokens": 9, "reasoning": {"effort": "low"}, "verbosity": "low",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    });
    assert_eq!(Value::Object(kept), expected);
}

#[test]
fn what_a_preset_cannot_keep_is_refused_by_name() {
    for (surface, body, path) in [
        (Surface::Messages, json!({"container": "c"}), "container"),
        (Surface::Messages, json!({"mcp_servers": []}), "mcp_servers"),
        (
            Surface::Messages,
            json!({"output_config": {"new": 1}}),
            "output_config.new",
        ),
        (
            Surface::Messages,
            json!({"thinking": {"type": "new"}}),
            "thinking.type",
        ),
        (Surface::Responses, json!({"text": {"new": 1}}), "text.new"),
    ] {
        let error = heard(surface, object_of(&body)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(path));
    }
}
