//! What a model said comes back to it unchanged, through the chat completions that the client saw: text, calls, signatures.

use std::{fs, path::Path};

use patchbay::{
    chat::Completion,
    dialects::{
        gemini,
        openai_chat::client::{completion, parse_request},
        report::{Meta, UsageReport, WriterOptions},
    },
};
use serde_json::{Value, json};

use crate::{
    fixtures::{case, fixtures, rows},
    reader::camel,
    requests::send,
};

/// The message that the client gets for a native answer.
fn message(answer: &[u8], stream: bool) -> Value {
    let events = if stream {
        let mut reader = gemini::Stream::default();
        let mut events = Vec::new();
        reader.feed(answer, &mut events).unwrap();
        reader.finish(&mut events).unwrap();
        events
    } else {
        gemini::response(answer).unwrap()
    };
    let body = completion(
        &Meta::default(),
        &Completion::from_events(events),
        &UsageReport::default(),
        WriterOptions::default(),
    );
    let body: Value = serde_json::from_slice(&body).unwrap();
    body["choices"][0]["message"].clone()
}

/// The parts of the model's turn when the client sends its message back, with a result for each call.
fn sent_back(message: &Value, model: &str) -> Vec<Value> {
    let mut messages = vec![json!({"role": "user", "content": "go"}), message.clone()];
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"}));
    }
    messages.push(json!({"role": "user", "content": "and now?"}));
    let body = json!({"model": "google/gemini", "messages": messages}).to_string();
    let request = parse_request(body.as_bytes()).unwrap();
    let native = send(&request, model, &Value::Null);
    native["contents"][1]["parts"].as_array().unwrap().clone()
}

fn synthetic(case: &str, file: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = root.join("tests/golden/synthetic/google.generateContent");
    fs::read(dir.join(case).join(file)).unwrap()
}

#[test]
fn calls_come_back_with_the_signature_of_the_first() {
    // P24, P84
    let answer = synthetic("parallel-calls-then-empty-stop", "response.sse");
    let parts = sent_back(&message(&answer, true), "gemini-3-flash");
    let ids = ["call_Syn-1_0", "call_Syn-1_1", "call_Syn-1_2"];
    assert_eq!(
        parts,
        [
            json!({"thought": true, "text": "Ich prüfe beide Städte …"}),
            json!({"functionCall": {"id": ids[0], "name": "weather", "args": {"city": "Köln"}},
                   "thoughtSignature": "Zmlyc3QgY2FsbCBvbmx5"}),
            json!({"functionCall": {"id": ids[1], "name": "weather", "args": {"city": "東京"}}}),
            json!({"functionCall": {"id": ids[2], "name": "now", "args": {}}}),
        ]
    );
}

#[test]
fn text_and_images_come_back_with_their_signatures() {
    // P85
    let answer = synthetic("signature-after-text", "response.sse");
    let parts = sent_back(&message(&answer, true), "gemini-3-flash");
    assert_eq!(
        parts[1],
        json!({"text": "The answer is 42. 🎉", "thoughtSignature": "d2hvbGUgYW5zd2Vy"})
    );
    let answer = synthetic("images-with-signatures", "response.json");
    let parts = sent_back(&message(&answer, false), "gemini-3-flash");
    assert_eq!(
        parts[1],
        json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}, "thoughtSignature": "aW1hZ2U="})
    );
}

/// Recorded conversations: the next turn's request holds the turn of calls as a native client sent it back.
#[test]
fn recorded_turns_come_back_as_a_native_client_sends_them() {
    let Some(fixtures) = fixtures() else {
        return;
    };
    let rows = rows(&fixtures);
    let mut checked = 0;
    // Where one request was recorded in both forms, the conversation goes on from the answer in one piece.
    let goes_on = |row: &&Value| {
        !row["case"]
            .as_str()
            .unwrap()
            .ends_with("response-streaming")
    };
    for row in rows.iter().filter(goes_on) {
        let dir = case(&fixtures, row);
        let Some(next) = rows.iter().find(|next| {
            let (here, there) = (&row["conversation"], &next["conversation"]);
            here["id"].is_string()
                && here["id"] == there["id"]
                && there["turn"].as_u64() == here["turn"].as_u64().map(|turn| turn + 1)
        }) else {
            continue;
        };
        let next_dir = case(&fixtures, next);
        let request: Value =
            serde_json::from_slice(&fs::read(next_dir.join("request.json")).unwrap()).unwrap();
        let turns = camel(&request)["contents"].as_array().unwrap().clone();
        let calls = |turn: &&Value| turn["parts"][0].get("functionCall").is_some();
        let Some(turn) = turns.iter().rev().find(calls) else {
            continue;
        };
        let file = row["response_file"].as_str().unwrap();
        let said = message(&fs::read(dir.join(file)).unwrap(), row["stream"] == true);
        if said["tool_calls"].is_null() {
            continue;
        }
        let ours = sent_back(&said, row["model"].as_str().unwrap());
        let theirs = turn["parts"].as_array().unwrap();
        assert_eq!(
            ours.iter().filter_map(essence).collect::<Vec<_>>(),
            theirs.iter().filter_map(essence).collect::<Vec<_>>(),
            "{}",
            row["case"]
        );
        checked += 1;
    }
    assert!(checked >= 8, "{checked}");
}

/// A call with its signature, without its id; both alphabets of base64 are one.
fn essence(part: &Value) -> Option<Value> {
    let call = part.get("functionCall")?;
    let signature = part["thoughtSignature"]
        .as_str()
        .map(|text| text.replace('-', "+").replace('_', "/"));
    Some(json!([call["name"], call["args"], signature]))
}
