//! Responses: a stream says the same as the whole answer that its last event repeats.

use patchbay::{
    chat::{
        Choice, Completion, Event, FinishReason, ReasoningDetail, ReasoningFormat, ReasoningKind,
    },
    dialects::{
        self, StreamReader,
        openai_responses::{
            Stream,
            client::{ResponseWriter, whole},
            response,
        },
        report::{Meta, UsageReport, WriterOptions},
    },
};
use serde_json::{Value, json};

use super::event_order;
use super::table::{self, Api, RESPONSES};
use crate::common::{self, Case};

/// The `response` of the last event, where it repeats the output.
fn last_answer(case: &Case) -> Option<Value> {
    let text = String::from_utf8_lossy(&case.response);
    let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let events = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let ends = ["response.completed", "response.incomplete"];
    let mut last = events.filter(|event| ends.iter().any(|end| event["type"] == *end));
    let response = last.next()?["response"].take();
    let has_output = response["output"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    has_output.then_some(response)
}

/// The answer without what hosts make anew when they repeat it: sealed data, digits of probabilities, the order in which
/// built-in tools came back.
fn choice(completion: Completion) -> Choice {
    let mut choice = completion.choices.into_iter().next().unwrap_or_default();
    for detail in &mut choice.reasoning {
        (detail.id, detail.index) = (None, None);
        if let ReasoningKind::Encrypted { data } = &mut detail.kind {
            assert!(!data.is_empty());
            data.clear();
        }
    }
    let is_tool =
        |detail: &ReasoningDetail| matches!(detail.kind, ReasoningKind::ServerToolCall { .. });
    choice
        .reasoning
        .sort_by_key(|detail| is_tool(detail).then(|| format!("{detail:?}")));
    for token in choice
        .logprobs
        .iter_mut()
        .flat_map(|logprobs| logprobs["content"].as_array_mut().unwrap())
    {
        token["logprob"] = Value::Null;
    }
    choice
}

#[test]
fn a_stream_folds_to_the_answer_that_it_repeats() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for api in &RESPONSES {
        let recorded = common::recorded(api.name).unwrap_or_default();
        for case in recorded.into_iter().chain(common::synthetic(api.name)) {
            let Some(whole) = last_answer(&case).filter(|_| case.stream) else {
                continue;
            };
            compared += 1;
            let mut stream = Stream::new(api.quirks);
            let mut events = Vec::new();
            stream.feed(&case.response, &mut events).unwrap();
            stream.finish(&mut events).unwrap();
            let streamed = Completion::from_events(events);
            let whole = response(whole.to_string().as_bytes(), api.quirks).unwrap();
            let whole = Completion::from_events(whole);
            assert_eq!(streamed.usage, whole.usage, "{}", case.name);
            assert_eq!(streamed.service_tier, whole.service_tier, "{}", case.name);
            let (a, b) = (choice(streamed), choice(whole));
            if a != b {
                wrong.push(format!(
                    "{}/{}:\n  stream {a:?}\n  whole  {b:?}",
                    api.name, case.name
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {compared}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What a client of Responses reads of an answer.
fn told(events: &[Event]) -> Choice {
    let completion = Completion::from_events(events.iter().cloned());
    let mut choice = completion.choices.into_iter().next().unwrap_or_default();
    // The words of reasoning, whatever form they came in; what was signed comes back sealed.
    let words: String = choice
        .reasoning
        .iter()
        .filter_map(ReasoningDetail::readable)
        .collect();
    let words = ReasoningDetail::text(ReasoningFormat::Unknown, 0, words);
    choice.reasoning = vec![words];
    choice.content = choice.content.take().filter(|text| !text.is_empty());
    // These have no place in the format.
    (choice.native_finish, choice.stop_sequence, choice.audio) = (None, None, None);
    let has_calls = !choice.tool_calls.is_empty();
    choice.finish = choice.finish.map(|finish| match finish {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Error if has_calls => {
            FinishReason::ToolCalls
        }
        FinishReason::ToolCalls | FinishReason::Error => FinishReason::Stop,
        finish => finish,
    });
    let usual = if has_calls {
        FinishReason::ToolCalls
    } else {
        FinishReason::Stop
    };
    choice.finish = choice.finish.or(Some(usual));
    let is_empty = |logprobs: &Value| logprobs["content"].as_array().is_none_or(Vec::is_empty);
    if choice.logprobs.as_ref().is_some_and(is_empty) {
        choice.logprobs = None;
    }
    if let Some(logprobs) = &mut choice.logprobs {
        *logprobs = json!({"content": logprobs["content"]});
    }
    choice
}

#[test]
fn every_recorded_answer_is_told_to_clients_of_responses_in_legal_order() {
    let (meta, options) = (
        Meta {
            id: "gen-1".into(),
            ..Meta::default()
        },
        WriterOptions::default(),
    );
    let report = UsageReport::default();
    let mut compared = 0;
    for api in table::all() {
        let recorded = common::recorded(api.name).unwrap_or_default();
        for case in recorded.into_iter().chain(common::synthetic(api.name)) {
            let Ok(events) = read_case(api, &case) else {
                continue;
            };
            let failed = events.iter().any(|event| matches!(event, Event::Error(_)));
            // A stream that is cut ends in a failure, which the gateway adds.
            let is_cut = !events.contains(&Event::Done);
            if failed || is_cut || case.status >= 400 {
                continue;
            }
            compared += 1;
            let mut writer = ResponseWriter::new(&meta, b"{}", options);
            let mut bytes = Vec::new();
            for event in &events {
                writer.write(event, &mut bytes);
            }
            writer.finish(&report, &mut bytes);
            let (_, streamed) = event_order::read(&bytes);
            let body = whole(&meta, b"{}", &events, &report, options);
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                streamed, body,
                "{}: the stream repeats the whole answer",
                case.name
            );
            let mut stream = Stream::new(&[]);
            let mut again = Vec::new();
            stream.feed(&bytes, &mut again).unwrap();
            assert_eq!(told(&again), told(&events), "{}/{}", api.name, case.name);
            let again = response(body.to_string().as_bytes(), &[]).unwrap();
            assert_eq!(told(&again), told(&events), "{}/{}", api.name, case.name);
        }
    }
    println!("{compared} answers");
}

fn read_case(api: &Api, case: &Case) -> Result<Vec<Event>, patchbay::error::Error> {
    if !case.stream {
        return dialects::response(api.dialect, &case.response, api.quirks);
    }
    let mut reader = StreamReader::new(api.dialect, api.quirks);
    let mut events = Vec::new();
    reader.feed(&case.response, &mut events)?;
    reader.finish(&mut events)?;
    Ok(events)
}
