//! Recorded text completions of other hosts, for whom this is the format that clients speak: the surface reads what was asked, and writes an
//! answer of the same form.

use patchbay::{
    chat::{Delta, Event, FinishReason},
    dialects::{
        Surface,
        report::{Meta, UsageReport},
        surface::Recipient,
    },
};
use serde_json::Value;

use crate::common::{self, Case};

/// The APIs of the table.
pub const TABLE: [&str; 5] = [
    "azure.completions",
    "cerebras.completions",
    "fireworks.completions",
    "openai.completions",
    "together.completions",
];

/// The chunks of a recorded answer; one where it is whole.
fn chunks(case: &Case) -> Vec<Value> {
    let text = String::from_utf8_lossy(&case.response);
    if !case.stream {
        return vec![serde_json::from_str(&text).unwrap()];
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let data = data.filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// What the answer says, as events of any provider.
fn events(chunks: &[Value]) -> Vec<Event> {
    let mut events = Vec::new();
    for choice in chunks
        .iter()
        .flat_map(|chunk| chunk["choices"].as_array().unwrap())
    {
        let index = u32::try_from(choice["index"].as_u64().unwrap()).unwrap();
        let text = choice["text"].as_str().unwrap_or_default().to_owned();
        events.push(Event::delta(index, Delta::Text(text)));
        let reason = match choice["finish_reason"].as_str() {
            Some("length") => FinishReason::Length,
            Some(_) => FinishReason::Stop,
            None => continue,
        };
        events.push(Event::Finish {
            choice: index,
            reason,
            native: reason.as_str().to_owned(),
            stop_sequence: None,
        });
    }
    events.push(Event::Done);
    events
}

/// The texts of an answer by choice, and how each ended.
fn texts(chunks: &[Value]) -> Vec<(String, Option<String>)> {
    let mut texts: Vec<(String, Option<String>)> = Vec::new();
    for choice in chunks
        .iter()
        .flat_map(|chunk| chunk["choices"].as_array().unwrap())
    {
        let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
        texts.resize(texts.len().max(index + 1), Default::default());
        texts[index]
            .0
            .push_str(choice["text"].as_str().unwrap_or_default());
        let reason = choice["finish_reason"].as_str();
        // One host's word for an end of its own accord.
        let reason = reason.map(|reason| if reason == "eos" { "stop" } else { reason });
        texts[index].1 = reason.map(str::to_owned).or(texts[index].1.take());
    }
    texts
}

fn check_answer(case: &Case, raw: &[u8]) {
    let recorded = chunks(case);
    let events = events(&recorded);
    let request = Surface::Completions.parse(raw).unwrap();
    let meta = Meta::default();
    let recipient = Recipient {
        surface: Surface::Completions,
        request: &request,
        raw,
        meta: &meta,
    };
    let mut bytes = Vec::new();
    if case.stream {
        let mut writer = recipient.writer();
        events
            .iter()
            .for_each(|event| writer.write(event, &mut bytes));
        writer.finish(&UsageReport::default(), &mut bytes);
    } else {
        bytes = recipient.whole(&events, &UsageReport::default());
    }
    let own = Case {
        response: bytes,
        ..case.clone()
    };
    let own = chunks(&own);
    assert_eq!(texts(&own), texts(&recorded), "{}", case.name);
    let has = |chunks: &[Value], key: &str| chunks.iter().any(|chunk| chunk.get(key).is_some());
    for key in ["id", "object", "created", "model", "choices", "usage"] {
        assert!(has(&own, key), "{}: {key}", case.name);
    }
    assert!(own.iter().all(|chunk| chunk["object"] == "text_completion"));
}

#[test]
fn recorded_texts_are_asked_for_and_written_by_the_surface() {
    let (mut asked, mut answered) = (0, 0);
    for api in TABLE {
        for case in common::recorded(api).unwrap_or_default() {
            let Some(raw) = case.request.as_deref() else {
                continue;
            };
            match Surface::Completions.parse(raw) {
                Ok(_) => asked += 1,
                Err(error) => {
                    // The host refused it too.
                    assert_eq!(
                        (case.status, error.status),
                        (400, 400),
                        "{}: {error}",
                        case.name
                    );
                    continue;
                }
            }
            if case.status == 200 {
                answered += 1;
                check_answer(&case, raw);
            } else {
                let told: Value = serde_json::from_slice(&case.response).unwrap();
                assert!(told["error"]["message"].is_string(), "{}", case.name);
            }
        }
    }
    if common::shared().is_some() {
        assert!(
            asked >= 12 && answered >= 11,
            "{asked} asked, {answered} answered"
        );
    }
}
