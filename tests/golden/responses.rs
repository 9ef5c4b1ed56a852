//! Responses: a stream says the same as the whole answer that its last event repeats.

use patchbay::{
    chat::{Choice, Completion, ReasoningDetail, ReasoningKind},
    dialects::openai_responses::{Stream, response},
};
use serde_json::Value;

use super::table::RESPONSES;
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
