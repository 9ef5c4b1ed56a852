//! Recorded requests of Cohere's chat: said in chat completions, read by the client surface, written by the dialect again.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use patchbay::{
    catalog::{Endpoint, Parameter, Provider, Reasoning},
    dialects::{Inbound, Surface, Target, cohere_v2, openai_chat::client::parse_request},
};
use serde_json::{Map, Value, json};

use crate::common::{self, Case};

fn host() -> (Provider, Endpoint) {
    let mut endpoint: Endpoint = serde_json::from_value(json!({
        "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "native",
        "context_length": 1_000_000, "prices": {"prompt": 0, "completion": 0},
        "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"]
    }))
    .unwrap();
    endpoint.supported_parameters = Parameter::ALL.to_vec();
    endpoint.reasoning = Some(Reasoning {
        toggle: true,
        ..Reasoning::default()
    });
    let provider = serde_json::from_value(json!({
        "slug": "p", "name": "P", "dialect": "cohere_v2", "base_url": "https://example.com",
        "auth": {"kind": "bearer"}, "secret": "P_API_KEY"
    }))
    .unwrap();
    (provider, endpoint)
}

/// The same request in chat completions.
pub fn said_in_chat_completions(native: &Value) -> Value {
    let mut out = Map::new();
    for (key, value) in native.as_object().unwrap() {
        let (key, value) = match (key.as_str(), value) {
            (_, Value::Null) => continue,
            ("messages", Value::Array(messages)) => (
                "messages",
                messages.iter().map(message).collect::<Vec<_>>().into(),
            ),
            ("documents", _) => continue,
            ("stop_sequences", value) => ("stop", value.clone()),
            ("tool_choice", value) => {
                ("tool_choice", json!(value.as_str().unwrap().to_lowercase()))
            }
            ("thinking", value) => (
                "reasoning",
                json!({"enabled": value["type"] == json!("enabled")}),
            ),
            ("response_format", value) if value.get("json_schema").is_some() => (
                "response_format",
                json!({"type": "json_schema", "json_schema": {"name": "n", "schema": value["json_schema"]}}),
            ),
            (key, value) => (key, value.clone()),
        };
        out.insert(key.to_owned(), value);
    }
    for document in native["documents"].as_array().into_iter().flatten() {
        let text = document["data"]["text"].as_str().unwrap();
        let url = format!("data:text/plain;base64,{}", BASE64.encode(text));
        let file = json!({"filename": document["data"]["title"], "file_data": url});
        let last = out["messages"].as_array_mut().unwrap().last_mut().unwrap();
        let content = last["content"].as_array_mut().unwrap();
        content.push(json!({"type": "file", "file": file}));
    }
    Value::Object(out)
}

fn message(native: &Value) -> Value {
    let mut message = native.clone();
    let object = message.as_object_mut().unwrap();
    if let Some(plan) = object.remove("tool_plan") {
        object.insert("content".into(), plan);
    }
    if native["role"] == "tool" {
        object.insert("content".into(), result(&native["content"]));
    }
    message
}

/// A result as text: the output of a document where it is one.
fn result(content: &Value) -> Value {
    match &content[0]["document"]["data"] {
        Value::Null => content.clone(),
        data => json!(data["output"].as_str().unwrap()),
    }
}

fn normalise(body: &mut Value) {
    let object = body.as_object_mut().unwrap();
    object.remove("model");
    object.entry("stream").or_insert(json!(false));
    object.retain(|_, value| !value.is_null() && *value != json!([]));
    for message in object["messages"].as_array_mut().unwrap() {
        let is_result = message["role"] == "tool";
        let message = message.as_object_mut().unwrap();
        let content = message.remove("content").unwrap_or_default();
        let content = match content {
            content if is_result => result(&content),
            Value::String(text) => json!([{"type": "text", "text": text}]),
            content => content,
        };
        let is_nothing = [
            json!(null),
            json!([]),
            json!([{"type": "text", "text": ""}]),
        ];
        if !is_nothing.contains(&content) {
            message.insert("content".into(), content);
        }
        for call in message
            .get_mut("tool_calls")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            // The same arguments with other white space.
            let arguments = call["function"]["arguments"].as_str().unwrap();
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            call["function"]["arguments"] = arguments;
        }
    }
    for tool in object
        .get_mut("tools")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        tool["function"]["description"] = tool["function"]["description"].clone();
    }
}

fn compare(case: &Case) -> bool {
    let Some(request) = &case.request else {
        return false;
    };
    let mut recorded: Value = serde_json::from_slice(request).unwrap();
    let client = said_in_chat_completions(&recorded).to_string();
    let parsed = parse_request(client.as_bytes()).unwrap();
    let (provider, endpoint) = host();
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let inbound = Inbound {
        request: &parsed,
        surface: Surface::ChatCompletions,
        raw: Some(client.as_bytes()),
    };
    let native = cohere_v2::request(&inbound, &target).unwrap();
    let mut sent: Value = serde_json::from_slice(&native.body).unwrap();
    normalise(&mut recorded);
    normalise(&mut sent);
    assert_eq!(recorded, sent, "{}", case.name);
    true
}

#[test]
fn recorded_requests_of_cohere_survive_the_gateway() {
    if let Some(cases) = common::recorded("cohere.v2_chat") {
        let compared = cases.iter().filter(|case| compare(case)).count();
        println!("{compared} requests of cohere.v2_chat");
        assert!(compared > 20, "{compared}");
    }
}
