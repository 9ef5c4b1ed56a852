//! What an event stream of Responses has to look like, and the answer that a client makes of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Reads a whole stream, asserts every rule that clients rely on, and gives the response of the terminal event and its type.
pub fn read(bytes: &[u8]) -> (String, Value) {
    let text = std::str::from_utf8(bytes).unwrap();
    let body = text.strip_suffix("data: [DONE]\n\n").expect("the end mark");
    let mut stream = Reader::default();
    let mut last = None;
    for (at, event) in body.split_terminator("\n\n").enumerate() {
        if event.starts_with(':') {
            continue;
        }
        assert!(last.is_none(), "nothing follows the end");
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        let kind = data["type"].as_str().unwrap();
        assert_eq!(
            name.strip_prefix("event: "),
            Some(kind),
            "the event's name is its type"
        );
        assert_eq!(
            data["sequence_number"], stream.next,
            "numbers follow each other"
        );
        stream.next += 1;
        match (at, kind) {
            (0, "response.created") | (1, "response.in_progress") => {
                assert_eq!(data["response"]["status"], "in_progress");
                assert_eq!(data["response"]["output"], json!([]));
            }
            (0 | 1, kind) => panic!("begins with {kind}"),
            (_, "response.completed" | "response.incomplete" | "response.failed") => {
                let status = kind.strip_prefix("response.").unwrap();
                assert_eq!(data["response"]["status"], status);
                last = Some((kind.to_owned(), data["response"].clone()));
            }
            (_, kind) => stream.take(kind, &data),
        }
    }
    let (kind, response) = last.expect("a terminal event");
    if kind != "response.failed" {
        assert!(stream.open.is_empty(), "every item ends: {:?}", stream.open);
    }
    let output = response["output"].as_array().unwrap();
    assert_eq!(output.len(), stream.items, "the last event has every item");
    for (at, item) in &stream.done {
        let mut told = output[*at].clone();
        let mut item = item.clone();
        for value in [&mut told, &mut item] {
            value.as_object_mut().unwrap().remove("status");
            // A citation may come after its text.
            for part in value["content"].as_array_mut().into_iter().flatten() {
                part.as_object_mut().unwrap().remove("annotations");
            }
        }
        assert_eq!(told, item, "the last event repeats item {at}");
    }
    (kind, response)
}

#[derive(Default)]
struct Reader {
    next: u64,
    items: usize,
    /// Open items by their place, with the type.
    open: BTreeMap<usize, Value>,
    /// The open part of the item that is no call, with its text.
    part: Option<(Value, String)>,
    arguments: BTreeMap<usize, String>,
    done: Vec<(usize, Value)>,
}

impl Reader {
    fn take(&mut self, kind: &str, data: &Value) {
        let at = usize::try_from(data["output_index"].as_u64().unwrap()).unwrap();
        if kind == "response.output_item.added" {
            assert_eq!(at, self.items, "items are counted");
            let open = self.open.values().filter(|item| {
                item["type"] != "function_call" && item["type"] != "custom_tool_call"
            });
            assert_eq!(open.count(), 0, "one item after the other");
            self.items += 1;
            self.open.insert(at, data["item"].clone());
            return;
        }
        let item = self
            .open
            .get(&at)
            .unwrap_or_else(|| panic!("{kind} of no open item"));
        if kind == "response.output_item.done" {
            assert!(
                self.part.is_none() || item["type"] == "function_call",
                "a part was left open"
            );
            assert_eq!(data["item"]["id"], item["id"]);
            // A search may have failed; nothing else is told that did.
            let failed =
                data["item"]["type"] == "web_search_call" && data["item"]["status"] == "failed";
            assert!(failed || data["item"]["status"] == "completed", "{data}");
            if let Some(arguments) = self.arguments.get(&at) {
                let told = data["item"]
                    .get("arguments")
                    .or(data["item"].get("input"))
                    .unwrap();
                assert_eq!(told, arguments);
            }
            self.done.push((at, data["item"].clone()));
            self.open.remove(&at);
            return;
        }
        assert_eq!(data["item_id"], item["id"], "{kind}");
        let place = |data: &Value| json!([data["content_index"], data["summary_index"]]);
        match kind {
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                assert!(self.part.is_none(), "one part after the other");
                self.part = Some((place(data), String::new()));
            }
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary_text.delta" => {
                let (open, text) = self.part.as_mut().expect("an open part");
                assert_eq!(*open, place(data));
                text.push_str(data["delta"].as_str().unwrap());
            }
            "response.output_text.done"
            | "response.refusal.done"
            | "response.reasoning_text.done"
            | "response.reasoning_summary_text.done" => {
                let (_, text) = self.part.as_ref().expect("an open part");
                let told = data.get("text").or(data.get("refusal")).unwrap();
                assert_eq!(told, text.as_str());
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                let (open, text) = self.part.take().expect("an open part");
                assert_eq!(open, place(data));
                let part = &data["part"];
                assert_eq!(
                    part.get("text").or(part.get("refusal")).unwrap(),
                    text.as_str()
                );
            }
            "response.output_text.annotation.added" => assert!(self.part.is_some()),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let delta = data["delta"].as_str().unwrap();
                self.arguments.entry(at).or_default().push_str(delta);
            }
            "response.function_call_arguments.done" => {
                let told = data["arguments"].as_str().unwrap();
                let known = self.arguments.entry(at).or_insert_with(|| told.to_owned());
                assert_eq!(told, known);
            }
            "response.custom_tool_call_input.done" => {
                assert_eq!(
                    Some(&self.arguments[&at]),
                    data["input"].as_str().map(str::to_owned).as_ref()
                );
            }
            "response.image_generation_call.completed" => {}
            "response.web_search_call.in_progress"
            | "response.web_search_call.searching"
            | "response.web_search_call.completed" => {
                assert_eq!(item["type"], "web_search_call");
            }
            kind => panic!("the unknown event {kind}"),
        }
    }
}
