//! What is rewritten in an answer is what was meant: the field of the call of the choice, on every surface, however events of choices
//! and calls mingle (P127).

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Shape, shape, tests::Rows, tests::setting_of};
use crate::{
    catalog::Quirk,
    chat::{ChatRequest, Delta, Event, FinishReason, JsonSchema, ResponseFormat, Tool},
    dialects::{
        Surface,
        report::{Meta, UsageReport},
        surface::Recipient,
    },
};

/// One choice: its words, and its calls as name and arguments.
type Told = (String, Vec<(String, String)>);

fn told(text: &str, calls: &[(&str, &str)]) -> Told {
    let calls = calls.iter().map(|(name, json)| {
        let json = json.parse::<Value>().unwrap().to_string();
        ((*name).to_owned(), json)
    });
    (text.to_owned(), calls.collect())
}

/// Numbers that decide how events mingle and break into pieces.
struct Dice(Vec<u8>, usize);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.1 += 1;
        usize::from(self.0[self.1 % self.0.len()]) % most
    }

    /// A text in pieces, the last one first.
    fn pieces(&mut self, mut text: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        while !text.is_empty() {
            let (piece, rest) = text.split_at((1 + self.below(9)).min(text.len()));
            pieces.insert(0, piece.to_owned());
            text = rest;
        }
        pieces
    }
}

/// What a choice has yet to say: pieces of its words, then of the arguments of each call.
struct Left {
    threads: Vec<Vec<String>>,
    begun: usize,
}

/// The events of an answer: choices mingle, and so do the words and calls of each.
fn answer(choices: &[Told], dice: &mut Dice) -> Vec<Event> {
    let mut left: Vec<Left> = Vec::new();
    for (text, calls) in choices {
        let mut threads = vec![dice.pieces(text)];
        threads.extend(calls.iter().map(|(_, json)| dice.pieces(json)));
        left.push(Left { threads, begun: 0 });
    }
    let mut open: Vec<usize> = (0..choices.len()).collect();
    let mut events = Vec::new();
    while !open.is_empty() {
        let turn = dice.below(open.len());
        let at = open[turn];
        let (choice, calls) = (u32::try_from(at).unwrap(), &choices[at].1);
        let Left { threads, begun } = &mut left[at];
        let mut ready: Vec<usize> = (0..=*begun).filter(|n| !threads[*n].is_empty()).collect();
        if *begun < calls.len() {
            ready.push(*begun + 1);
        }
        if ready.is_empty() {
            open.remove(turn);
            let (reason, native) = match calls.is_empty() {
                true => (FinishReason::Stop, "stop"),
                false => (FinishReason::ToolCalls, "tool_calls"),
            };
            events.push(Event::Finish {
                choice,
                reason,
                native: native.to_owned(),
                stop_sequence: None,
            });
            continue;
        }
        let thread = ready[dice.below(ready.len())];
        if thread > *begun {
            *begun = thread;
            events.push(Event::delta(
                choice,
                Delta::ToolCallStart {
                    index: u32::try_from(thread - 1).unwrap(),
                    id: format!("own_{choice}_{thread}"),
                    name: calls[thread - 1].0.clone(),
                },
            ));
            continue;
        }
        let piece = threads[thread].pop().unwrap();
        let delta = match thread {
            0 => Delta::Text(piece),
            call => Delta::ToolCallArguments {
                index: u32::try_from(call - 1).unwrap(),
                json: piece,
            },
        };
        events.push(Event::delta(choice, delta));
    }
    events.push(Event::Done);
    events
}

/// The events after the shape's filters, a few at a time.
fn filtered(mut shape: Shape, events: &[Event], dice: &mut Dice) -> Vec<Event> {
    let (mut rest, mut out) = (events, Vec::new());
    while !rest.is_empty() {
        let (next, more) = rest.split_at((1 + dice.below(4)).min(rest.len()));
        let mut next = next.to_vec();
        shape.filters.filter(&mut next);
        out.append(&mut next);
        rest = more;
    }
    let mut last = Vec::new();
    shape.filters.end(&mut last);
    out.append(&mut last);
    out
}

/// What clients of a surface read, in one piece and streamed.
fn read(surface: Surface, events: &[Event]) -> [BTreeMap<u64, Told>; 2] {
    let (request, meta, report) = (
        ChatRequest::default(),
        Meta::default(),
        UsageReport::default(),
    );
    let recipient = Recipient {
        surface,
        request: &request,
        raw: b"{}",
        meta: &meta,
    };
    let whole = serde_json::from_slice(&recipient.whole(events, &report)).unwrap();
    let mut writer = recipient.writer();
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(&report, &mut out);
    let text = String::from_utf8(out).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let stream = data.filter(|data| *data != "[DONE]");
    let stream: Vec<Value> = stream.map(|data| data.parse().unwrap()).collect();
    [
        sorted(of_whole(surface, &whole)),
        sorted(of_stream(surface, &stream)),
    ]
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn of_whole(surface: Surface, whole: &Value) -> BTreeMap<u64, Told> {
    let mut read: BTreeMap<u64, Told> = BTreeMap::new();
    match surface {
        Surface::ChatCompletions | Surface::Completions => {
            for choice in list(&whole["choices"]) {
                let message = &choice["message"];
                let calls = list(&message["tool_calls"]).map(|call| &call["function"]);
                let calls = calls.map(|call| (text(&call["name"]), text(&call["arguments"])));
                let words = text(&message["content"]) + &text(&choice["text"]);
                let at = choice["index"].as_u64().unwrap();
                read.insert(at, (words, calls.collect()));
            }
        }
        Surface::Messages => {
            let (words, calls) = read.entry(0).or_default();
            for block in list(&whole["content"]) {
                match block["type"].as_str() {
                    Some("tool_use") => {
                        calls.push((text(&block["name"]), block["input"].to_string()));
                    }
                    _ => words.push_str(&text(&block["text"])),
                }
            }
        }
        Surface::Responses => {
            let (words, calls) = read.entry(0).or_default();
            for item in list(&whole["output"]) {
                match item["type"].as_str() {
                    Some("function_call") => {
                        calls.push((text(&item["name"]), text(&item["arguments"])));
                    }
                    _ => {
                        list(&item["content"]).for_each(|part| words.push_str(&text(&part["text"])))
                    }
                }
            }
        }
    }
    read
}

/// Folds pieces by the places that they name, as clients do.
fn of_stream(surface: Surface, stream: &[Value]) -> BTreeMap<u64, Told> {
    let mut words: BTreeMap<u64, String> = BTreeMap::new();
    let mut calls: BTreeMap<(u64, u64), (String, String)> = BTreeMap::new();
    let place = |value: &Value| value.as_u64().unwrap_or_default();
    for event in stream {
        match surface {
            Surface::ChatCompletions | Surface::Completions => {
                for choice in list(&event["choices"]) {
                    let at = place(&choice["index"]);
                    let said = text(&choice["delta"]["content"]) + &text(&choice["text"]);
                    words.entry(at).or_default().push_str(&said);
                    for call in list(&choice["delta"]["tool_calls"]) {
                        let own = calls.entry((at, place(&call["index"]))).or_default();
                        own.0.push_str(&text(&call["function"]["name"]));
                        own.1.push_str(&text(&call["function"]["arguments"]));
                    }
                }
            }
            Surface::Messages => {
                let at = (0, place(&event["index"]));
                let (block, delta) = (&event["content_block"], &event["delta"]);
                if block["type"] == "tool_use" {
                    calls.insert(at, (text(&block["name"]), String::new()));
                }
                words.entry(0).or_default().push_str(&text(&delta["text"]));
                if let Some(json) = delta["partial_json"].as_str() {
                    calls.get_mut(&at).unwrap().1.push_str(json);
                }
            }
            Surface::Responses => {
                let at = (0, place(&event["output_index"]));
                let delta = text(&event["delta"]);
                match event["type"].as_str().unwrap() {
                    "response.output_item.added" if event["item"]["type"] == "function_call" => {
                        calls.insert(at, (text(&event["item"]["name"]), String::new()));
                    }
                    "response.output_text.delta" => {
                        words.entry(0).or_default().push_str(&delta);
                    }
                    "response.function_call_arguments.delta" => {
                        calls.get_mut(&at).unwrap().1.push_str(&delta);
                    }
                    _ => {}
                }
            }
        }
    }
    let mut read: BTreeMap<u64, Told> = BTreeMap::new();
    for (at, words) in words {
        read.entry(at).or_default().0 = words;
    }
    for ((at, _), call) in calls {
        read.entry(at).or_default().1.push(call);
    }
    read
}

/// Calls that mingle may begin in any order.
fn sorted(mut read: BTreeMap<u64, Told>) -> BTreeMap<u64, Told> {
    for (_, calls) in read.values_mut() {
        for (_, json) in calls.iter_mut() {
            *json = json.parse::<Value>().unwrap_or_default().to_string();
        }
        calls.sort();
    }
    read
}

/// Every surface shows what is expected of each choice. Of several, only OpenAI's older formats tell.
fn check(events: &[Event], expected: &[Told]) {
    for surface in Surface::ALL {
        let several = matches!(surface, Surface::ChatCompletions | Surface::Completions);
        let rounds = if several { 1 } else { expected.len() };
        for round in 0..rounds {
            let own = u32::try_from(round).unwrap();
            let seen = events.iter().cloned().filter_map(|event| match event {
                event if several => Some(event),
                Event::Delta { choice, delta } => (choice == own).then(|| Event::delta(0, delta)),
                Event::Finish {
                    choice,
                    reason,
                    native,
                    stop_sequence,
                } => (choice == own).then_some(Event::Finish {
                    choice: 0,
                    reason,
                    native,
                    stop_sequence,
                }),
                event => Some(event),
            });
            let seen: Vec<Event> = seen.collect();
            let wanted: &[Told] = if several {
                expected
            } else {
                &expected[round..=round]
            };
            let wanted = wanted.iter().cloned().map(|(words, calls)| match surface {
                Surface::Completions => (words, Vec::new()),
                _ => (words, calls),
            });
            let wanted = sorted((0..).zip(wanted).collect());
            for read in read(surface, &seen) {
                assert_eq!(read, wanted, "{surface:?}, choice {round}");
            }
        }
    }
    let ids = events.iter().filter_map(|event| match event {
        Event::Delta {
            delta: Delta::ToolCallStart { id, .. },
            ..
        } => Some(id),
        _ => None,
    });
    let mut ids: Vec<&String> = ids.collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "calls have ids of their own");
}

fn rows(parameters: &[&str], quirks: &[Quirk]) -> Rows {
    let mut rows = Rows::default();
    rows.endpoint.supported_parameters = serde_json::from_value(json!(parameters)).unwrap();
    rows.provider.quirks = quirks.to_vec();
    rows
}

fn with_tools(names: &[&str]) -> ChatRequest {
    let tool = |name: &&str| Tool {
        name: (*name).to_owned(),
        description: None,
        parameters: Some(json!({"type": "object", "properties": {"path": {"type": "string"}}})),
        strict: None,
        cache: None,
    };
    ChatRequest {
        tools: names.iter().map(tool).collect(),
        ..ChatRequest::default()
    }
}

fn in_a_form() -> ChatRequest {
    let schema =
        json!({"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]});
    ChatRequest {
        response_format: Some(ResponseFormat::JsonSchema(JsonSchema {
            name: "person".to_owned(),
            description: None,
            schema,
            strict: None,
        })),
        ..ChatRequest::default()
    }
}

const TOOLS: [&str; 3] = ["files.read", "files_list", "files/drop"];
const LEAKED: &str =
    r#"<tool_call>{"name": "files_list", "arguments": {"path": "files_read"}}</tool_call>"#;

/// A request at rows, what comes from there, and what clients are to see.
fn cases() -> Vec<(ChatRequest, Rows, Vec<Told>, Vec<Told>)> {
    let reads = ("files_read", r#"{"path": "files_read"}"#);
    let lists = ("files_list", r#"{"path": "files_drop"}"#);
    let drops = ("files_drop", r#"{"path": "files.read"}"#);
    let restored = [
        ("files.read", reads.1),
        lists,
        ("files/drop", drops.1),
        ("files.read", lists.1),
    ];
    let native = [reads, lists, drops, ("files_read", lists.1)];
    let words = "I call files_read and files_drop.";
    let leaked = format!("Let me look.\n{LEAKED}");
    let own = ("files_list", r#"{"path": "files_read"}"#);
    let tools = ["tools", "tool_choice"];
    let (right, wrong) = (r#"{ "age":  3 }"#, "```json\n{\"age\": 4,}\n```");
    vec![
        (
            with_tools(&TOOLS),
            rows(&tools, &[]),
            vec![
                told(words, &native),
                told(words, &[]),
                told("", &native[..2]),
            ],
            vec![
                told(words, &restored),
                told(words, &[]),
                told("", &restored[..2]),
            ],
        ),
        (
            with_tools(&TOOLS),
            rows(&tools, &[Quirk::LeaksToolMarkup]),
            vec![
                told(words, &native),
                told(&leaked, &native[..2]),
                told(&leaked, &[]),
            ],
            vec![
                told(words, &restored),
                told("Let me look.", &[own, restored[0], restored[1]]),
                told("Let me look.", &[own]),
            ],
        ),
        (
            with_tools(&TOOLS),
            rows(&[], &[]),
            vec![
                told(words, &[]),
                told(&leaked, &[]),
                told(&format!("{leaked}\n{LEAKED}"), &[]),
            ],
            vec![
                told(words, &[]),
                told("Let me look.", &[own]),
                told("Let me look.", &[own, own]),
            ],
        ),
        (
            in_a_form(),
            rows(&tools, &[]),
            vec![
                told(
                    "I take it.",
                    &[("person", r#"{"age":1}"#), ("other", r#"{"age":9}"#)],
                ),
                told(r#"{"age":2}"#, &[]),
                told("", &[("other", r#"{"age":9}"#), ("person", r#"{"age":3}"#)]),
            ],
            vec![
                told(r#"{"age":1}"#, &[]),
                told(r#"{"age":2}"#, &[]),
                told(r#"{"age":3}"#, &[]),
            ],
        ),
        (
            in_a_form(),
            rows(&["structured_outputs", "response_format"], &[]),
            vec![
                told(right, &[]),
                told(wrong, &[]),
                told(wrong, &[("person", r#"{"age":5}"#)]),
            ],
            vec![
                told(right, &[]),
                told(r#"{"age":4}"#, &[]),
                told(wrong, &[("person", r#"{"age":5}"#)]),
            ],
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn only_the_field_that_is_meant_changes_however_choices_and_calls_mingle(
        seed in proptest::collection::vec(any::<u8>(), 16..200),
    ) {
        for (request, rows, comes, wanted) in cases() {
            let mut dice = Dice(seed.clone(), 0);
            let shaped = || setting_of(&request, &rows, |setting| shape(setting).unwrap().1);
            let events = answer(&comes, &mut dice);
            let mut events = filtered(shaped(), &events, &mut dice);
            // A form is mended in whole answers alone.
            if let Some(mended) = shaped().settle(&events) {
                events = mended;
            }
            check(&events, &wanted);
        }
    }
}

#[test]
fn a_hosts_own_call_has_its_place_behind_one_that_leaked_before_it() {
    let rows = rows(&["tools", "tool_choice"], &[Quirk::LeaksToolMarkup]);
    let mut shape = setting_of(&with_tools(&TOOLS), &rows, |setting| {
        shape(setting).unwrap().1
    });
    let mut events = vec![
        Event::text(LEAKED),
        Event::delta(
            0,
            Delta::ToolCallStart {
                index: 0,
                id: "own".to_owned(),
                name: "files_read".to_owned(),
            },
        ),
        Event::delta(
            0,
            Delta::ToolCallArguments {
                index: 0,
                json: "{}".to_owned(),
            },
        ),
    ];
    shape.filters.end(&mut events);
    let places: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            Event::Delta {
                delta: Delta::ToolCallStart { index, .. } | Delta::ToolCallArguments { index, .. },
                ..
            } => Some(*index),
            _ => None,
        })
        .collect();
    assert_eq!(places, [0, 0, 1, 1]);
}
