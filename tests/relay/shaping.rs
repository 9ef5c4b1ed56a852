//! What the gateway itself does to requests and answers, seen from the client and from the provider.

use serde_json::{Value, json as value};

use patchbay::catalog::Route;
use patchbay::relay::Job;

use crate::client::{Client, job, play, route};
use crate::upstream::{answer, chunk, done, finish, json, role, sse, stream, usage};

/// An endpoint that supports these parameters.
fn able(slug: &str, parameters: &[&str]) -> Route {
    route(slug, "openai_chat", |_, endpoint| {
        endpoint["supported_parameters"] = value!(parameters);
    })
}

/// A request for an object with an age.
fn asks(more: Value, routes: Vec<Route>) -> Job {
    let schema =
        value!({"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]});
    let mut body = value!({"response_format": {"type": "json_schema", "json_schema": {"name": "a person", "schema": schema}}});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    job(body, routes)
}

fn native(count: usize) -> Vec<Route> {
    let names = ["a", "b", "c"].into_iter().take(count);
    names
        .map(|name| able(name, &["structured_outputs"]))
        .collect()
}

fn content(client: &Client) -> String {
    let body = client.body();
    body["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

const GOOD: &str = r#"{\"age\": 3}"#;
const BAD: &str = r#"{\"age\": \"three\"}"#;

#[test]
fn an_answer_that_violates_its_schema_is_asked_for_elsewhere_once() {
    for (name, scripts, calls, age, warned) in [
        (
            "right at once",
            vec![answer(GOOD, 1, 2)],
            1,
            value!(3),
            false,
        ),
        (
            "right elsewhere",
            vec![answer(BAD, 1, 2), answer(GOOD, 1, 2)],
            2,
            value!(3),
            false,
        ),
        (
            "wrong twice",
            vec![answer(BAD, 1, 2), answer(BAD, 1, 2)],
            2,
            value!("three"),
            true,
        ),
        (
            "nobody else answers",
            vec![answer(BAD, 1, 2), json(500, "{}"), json(500, "{}")],
            3,
            value!("three"),
            true,
        ),
    ] {
        let (world, client) = play(asks(value!({}), native(3)), scripts);
        assert_eq!(world.calls.borrow().len(), calls, "{name}");
        let answer: Value = serde_json::from_str(&content(&client)).unwrap();
        assert_eq!(answer["age"], age, "{name}");
        let told = client.body()["openrouter_metadata"]["pipeline"].clone();
        assert_eq!(told[0]["data"]["valid"] == false, warned, "{name}: {told}");
        assert_eq!(world.row().usage.completion, 2, "{name}: one is charged");
    }
}

#[test]
fn a_whole_answer_is_mended_and_says_so() {
    let fenced = r#"```json\n{\"age\": 3,}\n```"#;
    let (_, client) = play(asks(value!({}), native(2)), [answer(fenced, 1, 2)]);
    assert_eq!(content(&client), r#"{"age":3}"#);
    assert_eq!(client.head().pipeline, ["response-healing"]);
    let off = value!({"plugins": [{"id": "response-healing", "enabled": false}]});
    let mut job = asks(off, native(1));
    job.wishes.plugins = patchbay::transforms::Plugins::parse(&job.request.extra).unwrap();
    let (_, client) = play(job, [answer(fenced, 1, 2)]);
    assert!(content(&client).starts_with("```"), "healing is off");
}

#[test]
fn parameters_that_an_endpoint_does_not_take_are_told() {
    let asks = job(
        value!({"seed": 5, "temperature": 1}),
        vec![able("a", &["temperature"])],
    );
    let (_, client) = play(asks, [answer("Hello", 1, 2)]);
    assert_eq!(client.head().pipeline, ["unsupported-parameters"]);
}

#[test]
fn a_stream_passes_as_it_is_and_is_told_at_its_end() {
    for (words, warned) in [(GOOD, false), (BAD, true)] {
        let (_, client) = play(
            asks(value!({"stream": true}), native(2)),
            [stream(&[words], 1, 2)],
        );
        assert_eq!(client.words(), words.replace('\\', ""));
        let chunks = client.chunks();
        let told = &chunks.last().unwrap()["openrouter_metadata"]["pipeline"];
        assert_eq!(told[0]["data"]["valid"] == false, warned, "{words}");
    }
}

#[test]
fn a_schema_is_asked_for_as_the_endpoint_can() {
    for (name, parameters, more, expected) in [
        (
            "native",
            vec!["structured_outputs", "tools", "tool_choice"],
            value!({}),
            "format",
        ),
        (
            "a tool",
            vec!["tools", "tool_choice", "response_format"],
            value!({}),
            "tool",
        ),
        (
            "no tool beside other tools",
            vec!["tools", "tool_choice"],
            value!({"tools": [{"type": "function", "function": {"name": "look"}}]}),
            "words",
        ),
        (
            "any JSON",
            vec!["response_format"],
            value!({}),
            "words and format",
        ),
        ("nothing", vec![], value!({}), "words"),
    ] {
        let (world, _) = play(
            asks(more, vec![able("a", &parameters)]),
            [answer(GOOD, 1, 2)],
        );
        let sent: Value = serde_json::from_slice(&world.call(0).body).unwrap();
        let has_format = sent["response_format"]["type"].as_str();
        let words = sent["messages"][0]["content"]
            .to_string()
            .contains("JSON Schema");
        let seen = match (has_format, &sent["tool_choice"]["function"]["name"], words) {
            (Some("json_schema"), Value::Null, false) => "format",
            (None, Value::String(name), false) if name == "a_person" => "tool",
            (Some("json_object"), Value::Null, true) => "words and format",
            (None, Value::Null, true) => "words",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(seen, expected, "{name}");
    }
}

#[test]
fn the_arguments_of_a_forced_tool_become_the_text() {
    let route = || vec![able("a", &["tools", "tool_choice"])];
    let call = |arguments: &str| {
        let call = value!({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "a_person", "arguments": arguments}}]});
        chunk(&call.to_string(), None)
    };
    let pieces = [
        role(),
        call("{\"age\""),
        call(": 3}"),
        finish("tool_calls"),
        usage(1, 2),
        done(),
    ];
    let (_, client) = play(asks(value!({"stream": true}), route()), [sse(pieces)]);
    assert_eq!(client.words(), "{\"age\": 3}");
    let chunks = client.chunks();
    assert!(
        !client.text().contains("\"tool_calls\":"),
        "{}",
        client.text()
    );
    assert_eq!(
        chunks[chunks.len() - 2]["choices"][0]["finish_reason"],
        "stop"
    );
    let whole = value!({"id": "u", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": null,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "a_person", "arguments": "{\"age\":3}"}}],
    }}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
    let (_, client) = play(asks(value!({}), route()), [json(200, &whole.to_string())]);
    assert_eq!(content(&client), "{\"age\":3}");
    assert_eq!(client.head().pipeline, ["structured-output"]);
}
