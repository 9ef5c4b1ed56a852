//! Requests: what goes upstream for what the client sent.

use serde_json::{Value, json};

use super::{client::parse_request, request};
use crate::{
    catalog::{
        Budget, Endpoint, Parameter, Provider, Quirk, Reasoning, ReasoningHistory, ReasoningStyle,
    },
    chat::Effort,
    dialects::{Inbound, NativeRequest, Surface, Target},
    error::{Next, Result},
};

/// A host without peculiarities, and one of its models, which supports everything.
struct Host {
    provider: Provider,
    endpoint: Endpoint,
}

fn host(quirks: &[Quirk]) -> Host {
    let mut endpoint: Endpoint = serde_json::from_value(json!({
        "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "native-b",
        "context_length": 100_000, "max_completion_tokens": 20_000, "prices": {"prompt": 0, "completion": 0},
        "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"]
    }))
    .unwrap();
    endpoint.supported_parameters = Parameter::ALL.to_vec();
    let mut provider: Provider = serde_json::from_value(json!({
        "slug": "p", "name": "P", "dialect": "openai_chat", "base_url": "https://example.com/v1",
        "auth": {"kind": "bearer"}, "secret": "P_API_KEY"
    }))
    .unwrap();
    provider.quirks = quirks.to_vec();
    Host { provider, endpoint }
}

impl Host {
    fn thinks(mut self, style: ReasoningStyle, able: Reasoning) -> Self {
        self.provider.reasoning_style = style;
        self.endpoint.reasoning = Some(able);
        self
    }

    fn native(&self, body: &Value, with_raw: bool) -> Result<NativeRequest> {
        let raw = body.to_string();
        let parsed = parse_request(raw.as_bytes()).unwrap();
        let inbound = Inbound {
            request: &parsed,
            surface: Surface::ChatCompletions,
            raw: with_raw.then_some(raw.as_bytes()),
        };
        let target = Target {
            endpoint: &self.endpoint,
            provider: &self.provider,
        };
        request(&inbound, &target)
    }

    fn sent(&self, body: &Value) -> Value {
        let native = self.native(body, true).unwrap();
        assert_eq!(native.path, "/chat/completions");
        serde_json::from_slice(&native.body).unwrap()
    }

    fn dropped(&self, body: &Value) -> Vec<&'static str> {
        self.native(body, true).unwrap().dropped
    }
}

fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"model": "a/b", "messages": [{"role": "user", "content": "hi"}]});
    body[field] = value;
    body
}

fn messages(messages: Value) -> Value {
    with("messages", messages)
}

fn tool() -> Value {
    json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "z": 1, "a": 2}}})
}

#[test]
fn the_gateways_own_fields_stay_with_it() {
    let mut body = with("provider", json!({"order": ["x"]}));
    for (field, value) in [
        ("models", json!(["c/d"])),
        ("plugins", json!([])),
        ("transforms", json!([])),
        ("session_id", json!("s")),
        ("metadata", json!({"k": "v"})),
        ("usage", json!({"include": true})),
        ("user", json!("ada@example.com")),
        ("prompt_cache_key", json!("k")),
        ("cache_control", json!({"type": "ephemeral"})),
        ("stream_options", json!({"include_usage": false})),
        ("temperature", json!(null)),
    ] {
        body[field] = value;
    }
    let expected = json!({"model": "native-b", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(host(&[]).sent(&body), expected);
    let hashed = host(&[Quirk::PromptCacheKey]).sent(&body);
    assert_eq!(hashed["prompt_cache_key"], "k");
    assert!(hashed["user"].as_str().unwrap().starts_with("user-"));
    assert!(!hashed.to_string().contains("ada"));
}

#[test]
fn messages_go_through_as_the_bytes_they_were() {
    let raw = r#"{"model":"a/b", "messages" : [ {"role":"user","content":"h\u0069","x":[1.0, 2]} ],"safe_prompt":true,"temperature":0.70}"#;
    let parsed = parse_request(raw.as_bytes()).unwrap();
    let host = host(&[]);
    let inbound = Inbound {
        request: &parsed,
        surface: Surface::ChatCompletions,
        raw: Some(raw.as_bytes()),
    };
    let target = Target {
        endpoint: &host.endpoint,
        provider: &host.provider,
    };
    let body = String::from_utf8(request(&inbound, &target).unwrap().body).unwrap();
    assert_eq!(
        body,
        r#"{"model":"native-b","messages":[ {"role":"user","content":"h\u0069","x":[1.0, 2]} ],"safe_prompt":true,"temperature":0.70}"#
    );
}

#[test]
fn a_stream_asks_for_usage() {
    let mut body = with("stream", json!(true));
    body["stream_options"] = json!({"include_usage": false, "include_obfuscation": false});
    let sent = host(&[]).sent(&body);
    assert_eq!(
        sent["stream_options"],
        json!({"include_usage": true, "include_obfuscation": false})
    );
    assert_eq!(sent["stream"], true);
    let sent = host(&[Quirk::NoStreamOptions]).sent(&body);
    assert!(sent.get("stream_options").is_none());
}

#[test]
fn the_limit_has_the_hosts_name_and_bound() {
    // P105
    let body = with("max_completion_tokens", json!(500));
    assert_eq!(host(&[]).sent(&body)["max_tokens"], 500);
    let sent = host(&[Quirk::MaxCompletionTokens]).sent(&with("max_tokens", json!(99_999)));
    assert_eq!(sent["max_completion_tokens"], 20_000);
    assert!(sent.get("max_tokens").is_none());
    let sent = host(&[]).sent(&with("top_p", json!(0.5)));
    assert!(sent.get("max_tokens").is_none(), "nothing is invented");
}

#[test]
fn what_the_endpoint_does_not_support_is_dropped_and_told() {
    let mut host = host(&[]);
    host.endpoint.supported_parameters = vec![Parameter::Temperature];
    let mut body = with("temperature", json!(1));
    body["seed"] = json!(7);
    body["tools"] = json!([tool()]);
    body["tool_choice"] = json!("auto");
    let sent = host.sent(&body);
    assert_eq!(sent["temperature"], 1);
    assert!(
        sent.get("seed").is_none()
            && sent.get("tools").is_none()
            && sent.get("tool_choice").is_none()
    );
    assert_eq!(host.dropped(&body), ["seed", "tools"]);
}

#[test]
fn a_strict_host_gets_nothing_unknown() {
    let mut body = with("safe_prompt", json!(true));
    body["seed"] = json!(7);
    body["n"] = json!(2);
    let sent = host(&[Quirk::RefusesUnknownFields, Quirk::RandomSeed]).sent(&body);
    assert!(sent.get("safe_prompt").is_none() && sent.get("seed").is_none());
    assert_eq!((&sent["random_seed"], &sent["n"]), (&json!(7), &json!(2)));
}

#[test]
fn tools_keep_their_order_and_go_without_what_the_host_lacks() {
    // P80
    let mut body = with("tools", json!([tool()]));
    body["parallel_tool_calls"] = json!(true);
    body["tool_choice"] = json!("required");
    let sent = host(&[]).sent(&body);
    assert_eq!(sent["tools"][0].to_string(), tool().to_string());
    assert_eq!(
        (&sent["tool_choice"], &sent["parallel_tool_calls"]),
        (&json!("required"), &json!(true))
    );
    // P63
    let sent = host(&[Quirk::ToolChoiceAny, Quirk::NoParallelToolCalls]).sent(&body);
    assert_eq!(sent["tool_choice"], "any");
    assert!(sent.get("parallel_tool_calls").is_none());
    let sent = host(&[Quirk::ToolChoiceAutoOnly]).sent(&body);
    assert!(sent.get("tool_choice").is_none());
    // P61: without tools their options are refused.
    body["tools"] = json!([]);
    let sent = host(&[]).sent(&body);
    assert!(
        sent.get("tools").is_none()
            && sent.get("tool_choice").is_none()
            && sent.get("parallel_tool_calls").is_none()
    );
}

#[test]
fn a_schema_becomes_plain_json_where_the_host_has_none() {
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"b": 1, "a": 2}}});
    let body = with("response_format", format.clone());
    assert_eq!(
        host(&[]).sent(&body)["response_format"].to_string(),
        format.to_string()
    );
    let plain = host(&[Quirk::NoJsonSchema]);
    assert_eq!(
        plain.sent(&body)["response_format"],
        json!({"type": "json_object"})
    );
    assert_eq!(plain.dropped(&body), ["structured_outputs"]);
}

#[test]
fn instructions_have_the_hosts_role() {
    let body = messages(
        json!([{"role": "developer", "content": "be brief", "x": 1}, {"role": "user", "content": "hi"}]),
    );
    assert_eq!(
        host(&[]).sent(&body)["messages"][0],
        json!({"role": "system", "content": "be brief"})
    );
    assert_eq!(
        host(&[Quirk::DeveloperRole]).sent(&body)["messages"][0]["x"],
        1
    );
}

#[test]
fn cache_marks_go_only_where_they_are_known() {
    // P98, P99, P101
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let mut body = messages(json!([
        {"role": "system", "content": [{"type": "text", "text": "long", "cache_control": mark}]},
        {"role": "user", "content": "hi"},
    ]));
    body["tools"] = json!([tool()]);
    body["tools"][0]["cache_control"] = json!({"type": "ephemeral"});
    let sent = host(&[]).sent(&body);
    assert!(!sent.to_string().contains("cache_control"), "{sent}");
    assert_eq!(sent["messages"][0]["content"], "long");
    let known = host(&[Quirk::CacheControlParts]);
    let sent = known.sent(&body);
    assert_eq!(
        (&sent["messages"], &sent["tools"]),
        (&body["messages"], &body["tools"])
    );
    // A mark on the request marks the last message.
    body["cache_control"] = json!({"type": "ephemeral"});
    let sent = known.sent(&body);
    assert_eq!(sent["messages"][0]["content"][0]["cache_control"], mark);
    assert_eq!(
        sent["messages"][1]["content"],
        json!([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}])
    );
}

#[test]
fn openais_own_cache_marks_reach_openai_alone() {
    let body = messages(json!([{"role": "user", "content": [
        {"type": "text", "text": "long", "prompt_cache_breakpoint": {"mode": "explicit"}}]}]));
    let sent = host(&[Quirk::PromptCacheKey]).sent(&body);
    assert_eq!(sent["messages"], body["messages"]);
    assert_eq!(host(&[]).sent(&body)["messages"][0]["content"], "long");
    let marked = host(&[Quirk::CacheControlParts]).sent(&body);
    let expected =
        json!([{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}]);
    assert_eq!(marked["messages"][0]["content"], expected);
}

#[test]
fn anthropics_cache_marks_become_openais_where_its_models_take_any() {
    let body = messages(json!([
        {"role": "system", "content": [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]}]));
    let mut openai = host(&[Quirk::PromptCacheKey]);
    assert_eq!(openai.sent(&body)["messages"][0]["content"], "long");
    // Its models take marks from the one on whose writes into the cache have a price.
    let price = json!({"prompt": 100, "completion": 100, "cache_write_5m": 125});
    openai.endpoint.prices = serde_json::from_value(price).unwrap();
    let sent = openai.sent(&body);
    let expected =
        json!([{"type": "text", "text": "long", "prompt_cache_breakpoint": {"mode": "explicit"}}]);
    assert_eq!(sent["messages"][0]["content"], expected);
    assert_eq!(sent["messages"][1]["content"], "hi");
}

fn conversation() -> Value {
    json!([
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": null, "reasoning": "why", "reasoning_details": [
            {"type": "reasoning.text", "text": "why", "format": "unknown", "index": 0},
            {"type": "reasoning.text", "text": "secret", "signature": "s", "format": "anthropic-claude-v1", "index": 1}],
         "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ])
}

#[test]
fn reasoning_goes_back_only_in_the_field_the_host_wants() {
    // P81, P87, P88
    let body = messages(conversation());
    let turn = |history| {
        let able = Reasoning {
            history,
            ..Reasoning::default()
        };
        let host = host(&[]).thinks(ReasoningStyle::None, able);
        host.sent(&body)["messages"][1].clone()
    };
    let plain = turn(None);
    // P56: a call without arguments has the empty object. P96: no empty text beside it.
    let expected = json!({"role": "assistant", "content": null,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    assert_eq!(plain, expected);
    assert_eq!(
        turn(Some(ReasoningHistory::ReasoningContent))["reasoning_content"],
        "why"
    );
    assert_eq!(turn(Some(ReasoningHistory::Reasoning))["reasoning"], "why");
    let blocks = &turn(Some(ReasoningHistory::ReasoningDetails))["reasoning_details"];
    assert_eq!(blocks[1]["signature"], "s");
}

#[test]
fn an_echoed_answer_with_empty_fields_is_cleaned_for_strict_hosts() {
    let body = messages(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello", "refusal": null, "reasoning": null},
        {"role": "user", "content": "more"},
    ]));
    let sent = host(&[]).sent(&body);
    assert_eq!(
        sent["messages"][1],
        json!({"role": "assistant", "content": "hello"})
    );
}

#[test]
fn short_ids_pair_calls_with_results() {
    // P69
    let sent = host(&[Quirk::ShortToolCallIds]).sent(&messages(conversation()));
    let id = sent["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(
        id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric()),
        "{id}"
    );
    assert_eq!(sent["messages"][2]["tool_call_id"], id);
    let again = host(&[Quirk::ShortToolCallIds]).sent(&messages(conversation()));
    assert_eq!(again["messages"][1]["tool_calls"][0]["id"], id);
}

#[test]
fn a_host_of_strings_gets_strings_or_a_refusal_with_its_path() {
    let plain = host(&[Quirk::StringContent]);
    assert_eq!(
        plain.sent(&messages(conversation()))["messages"][0]["content"],
        "a\nb"
    );
    let body = messages(json!([{"role": "user", "content": [
        {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]}]));
    let error = plain.native(&body, true).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages[0].content[1].type"));
    assert_eq!(error.next, Next::NextAttempt);
}

#[test]
fn media_survive_being_written_anew() {
    let parts = json!([
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/x.mp4"}},
    ]);
    // The developer role makes the host need its own spelling.
    let body = messages(
        json!([{"role": "developer", "content": "x"}, {"role": "user", "content": parts}]),
    );
    assert_eq!(host(&[]).sent(&body)["messages"][1]["content"], parts);
}

#[test]
fn a_request_without_the_clients_bytes_says_the_same() {
    let mut body = messages(json!([
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ]));
    for (field, value) in [
        (
            "tools",
            json!([{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}}]),
        ),
        (
            "tool_choice",
            json!({"type": "function", "function": {"name": "f"}}),
        ),
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}}),
        ),
        ("temperature", json!(0.5)),
        ("seed", json!(3)),
        ("stop", json!(["x"])),
        ("logit_bias", json!({"1": 2})),
        ("max_tokens", json!(9)),
        ("stream", json!(true)),
        ("n", json!(2)),
    ] {
        body[field] = value;
    }
    let host = host(&[]);
    let without: Value = serde_json::from_slice(&host.native(&body, false).unwrap().body).unwrap();
    assert_eq!(without, host.sent(&body));
}

#[test]
fn an_effort_is_asked_for_in_the_hosts_own_fields() {
    // P89, P90
    let efforts = || Reasoning {
        efforts: vec![Effort::High, Effort::Low],
        toggle: true,
        ..Reasoning::default()
    };
    let budget = || Reasoning {
        budget: Some(Budget {
            min: Some(128),
            max: Some(8_000),
        }),
        toggle: true,
        ..Reasoning::default()
    };
    let high = json!({"effort": "max"});
    let off = json!({"enabled": false});
    let tokens = json!({"max_tokens": 50_000});
    let cases = [
        (
            ReasoningStyle::Effort,
            efforts(),
            &high,
            json!({"reasoning_effort": "high"}),
        ),
        (
            ReasoningStyle::Effort,
            efforts(),
            &off,
            json!({"reasoning_effort": "low"}),
        ),
        (
            ReasoningStyle::Effort,
            efforts(),
            &tokens,
            json!({"reasoning_effort": "high"}),
        ),
        (
            ReasoningStyle::Object,
            efforts(),
            &high,
            json!({"reasoning": {"effort": "high"}}),
        ),
        (
            ReasoningStyle::Object,
            budget(),
            &high,
            json!({"reasoning": {"max_tokens": 8_000}}),
        ),
        (
            ReasoningStyle::Object,
            budget(),
            &off,
            json!({"reasoning": {"enabled": false}}),
        ),
        (
            ReasoningStyle::Thinking,
            efforts(),
            &high,
            json!({"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        ),
        (
            ReasoningStyle::Thinking,
            efforts(),
            &off,
            json!({"thinking": {"type": "disabled"}}),
        ),
        (
            ReasoningStyle::EnableThinking,
            budget(),
            &tokens,
            json!({"enable_thinking": true, "thinking_budget": 8_000}),
        ),
        (
            ReasoningStyle::EnableThinking,
            budget(),
            &off,
            json!({"enable_thinking": false}),
        ),
        (
            ReasoningStyle::TemplateKwargs,
            Reasoning {
                toggle: true,
                ..Reasoning::default()
            },
            &off,
            json!({"chat_template_kwargs": {"enable_thinking": false}}),
        ),
        (ReasoningStyle::None, efforts(), &high, json!({})),
    ];
    for (style, able, wanted, expected) in cases {
        let host = host(&[]).thinks(style, able);
        let sent = host.sent(&with("reasoning", wanted.clone()));
        let mut asked = sent.as_object().unwrap().clone();
        asked.retain(|key, _| key != "model" && key != "messages");
        assert_eq!(Value::Object(asked), expected, "{style:?} {wanted}");
    }
}

#[test]
fn mandatory_reasoning_cannot_be_switched_off_here_but_perhaps_elsewhere() {
    let able = Reasoning {
        mandatory: true,
        ..Reasoning::default()
    };
    let host = host(&[]).thinks(ReasoningStyle::Effort, able);
    let error = host
        .native(&with("reasoning_effort", json!("none")), true)
        .unwrap_err();
    assert_eq!((error.status, error.next), (400, Next::NextAttempt));
}

#[test]
fn a_model_that_cannot_think_is_not_asked_to() {
    let plain = host(&[]);
    let body = with("reasoning", json!({"effort": "high"}));
    assert!(plain.sent(&body).get("reasoning_effort").is_none());
    assert_eq!(plain.dropped(&body), ["reasoning"]);
    assert!(
        plain
            .dropped(&with("reasoning", json!({"enabled": false})))
            .is_empty()
    );
}

#[test]
fn the_clients_own_template_arguments_stay_beside_the_switch() {
    let able = Reasoning {
        toggle: true,
        ..Reasoning::default()
    };
    let host = host(&[]).thinks(ReasoningStyle::TemplateKwargs, able);
    let mut body = with("reasoning", json!({"enabled": true}));
    body["chat_template_kwargs"] = json!({"custom": 1});
    let sent = host.sent(&body);
    assert_eq!(
        sent["chat_template_kwargs"],
        json!({"custom": 1, "enable_thinking": true})
    );
}

#[test]
fn a_prompt_is_a_message() {
    let sent = host(&[]).sent(&json!({"model": "a/b", "prompt": "hi"}));
    assert_eq!(
        sent,
        json!({"model": "native-b", "messages": [{"role": "user", "content": "hi"}]})
    );
}

#[test]
fn schemas_are_respelt_only_for_hosts_that_read_plain_patterns() {
    // P77: one tool and the format hold patterns that such a host refuses; spacing tells bytes from a rewriting.
    let tools = r#"[ {"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string","pattern":"^(?!x)"}}}}},
        {"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{"b":{"type":"string","pattern":"^[a-z]+$"}}}}} ]"#;
    let format = r#"{"type":"json_schema", "json_schema":{"name":"n","schema":{"type":"string","pattern":"\\0"}}}"#;
    let sent = |host: &Host, tools: &str| {
        let raw = format!(
            r#"{{"model":"a/b","messages":[{{"role":"user","content":"hi"}}],"tools":{tools},"response_format":{format}}}"#
        );
        let parsed = parse_request(raw.as_bytes()).unwrap();
        let inbound = Inbound {
            request: &parsed,
            surface: Surface::ChatCompletions,
            raw: Some(raw.as_bytes()),
        };
        let target = Target {
            endpoint: &host.endpoint,
            provider: &host.provider,
        };
        String::from_utf8(request(&inbound, &target).unwrap().body).unwrap()
    };
    let plain = host(&[]);
    assert!(sent(&plain, tools).contains(tools) && sent(&plain, tools).contains(format));

    let kimi = host(&[Quirk::PlainPatterns]);
    let body: Value = serde_json::from_str(&sent(&kimi, tools)).unwrap();
    let schema = |at: usize| &body["tools"][at]["function"]["parameters"]["properties"];
    assert_eq!(
        schema(0)["a"],
        json!({"type": "string", "description": "pattern: ^(?!x)"})
    );
    assert_eq!(
        schema(1)["b"],
        json!({"type": "string", "pattern": "^[a-z]+$"})
    );
    let format = &body["response_format"]["json_schema"]["schema"];
    assert_eq!(format["pattern"], r"\x00");

    let harmless = tools.replace("(?!x)", "x");
    assert!(sent(&kimi, &harmless).contains(&harmless));
    let strict = host(&[Quirk::PlainPatterns, Quirk::RefusesUnknownFields]);
    assert!(!sent(&strict, tools).contains(r#""pattern":"^(?!x)""#));
}

#[test]
fn verbosity_goes_no_further_than_these_hosts_know() {
    for (word, expected) in [
        ("low", "low"),
        ("high", "high"),
        ("xhigh", "high"),
        ("max", "high"),
    ] {
        let sent = host(&[]).sent(&with("verbosity", json!(word)));
        assert_eq!(sent["verbosity"], expected, "{word}");
    }
    let mut older = host(&[]);
    older.endpoint.supported_parameters = vec![Parameter::Temperature];
    assert_eq!(
        older.dropped(&with("verbosity", json!("max"))),
        ["verbosity"]
    );
}

#[test]
fn the_beginning_of_an_answer_is_marked_where_the_host_wants_a_mark() {
    let begun = messages(json!([
        {"role": "user", "content": "Count."},
        {"role": "assistant", "content": "One, "},
    ]));
    let answered = messages(json!([
        {"role": "user", "content": "Count."},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": "On."},
    ]));
    for (quirk, flag) in [
        (Quirk::PrefixFlag, Some("prefix")),
        (Quirk::PartialFlag, Some("partial")),
        (Quirk::AcceptsPrefill, None),
    ] {
        let host = host(&[quirk]);
        assert!(host.provider.takes_prefill());
        let last = host.sent(&begun)["messages"][1].clone();
        for known in ["prefix", "partial"] {
            let expected = (flag == Some(known)).then_some(&Value::Bool(true));
            assert_eq!(last.get(known), expected, "{quirk:?}");
        }
        let sent = host.sent(&answered);
        assert_eq!(sent["messages"], answered["messages"], "{quirk:?}");
    }
}
