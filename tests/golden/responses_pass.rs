//! Responses to Responses: of every recorded stream and answer, all that the gateway does not answer for stays the bytes it was, at any
//! chunking.

use patchbay::{
    chat::Event,
    dialects::{
        openai_responses::{Passthrough, Stream, WholeResponse},
        report::{Meta, UsageReport, WriterOptions},
        splice::Fields,
        sse::{Frame, SseParser},
    },
};

use super::table::{Api, RESPONSES};
use crate::common::{self, Case};

/// What the gateway answers for within a `response`.
const OWN: [&str; 9] = [
    "id",
    "model",
    "provider",
    "usage",
    "openrouter_metadata",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
];

fn meta() -> Meta {
    Meta {
        id: "gen-1".into(),
        created: 7,
        model: "a/b".into(),
        provider: "P".into(),
    }
}

/// The data of a stream's events.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut parser, mut frames) = (SseParser::default(), Vec::new());
    let mut each = |frame: Frame<'_>| {
        if !frame.data.is_empty() && frame.data != b"[DONE]" {
            frames.push(frame.data.to_owned());
        }
        Ok(())
    };
    parser.feed(bytes, &mut each).unwrap();
    parser.finish(&mut each).unwrap();
    frames
}

fn fields(json: &[u8]) -> Fields<'_> {
    Fields::parse(json).unwrap()
}

/// Fails unless both say the same beside what is the gateway's.
fn compare(name: &str, sent: &[u8], got: &[u8], is_labelled: bool) {
    let (sent, got) = (fields(sent), fields(got));
    for (key, value) in &sent.0 {
        let Some((_, other)) = got.0.iter().find(|(own, _)| own == key) else {
            panic!("{name}: {key} is lost");
        };
        match key.as_ref() {
            "response" => compare_answers(name, value.get(), other.get(), is_labelled),
            "item" if is_labelled => {}
            _ => assert_eq!(value.get(), other.get(), "{name}: {key}"),
        }
    }
}

fn compare_answers(name: &str, sent: &str, got: &str, is_labelled: bool) {
    let (sent, got) = (fields(sent.as_bytes()), fields(got.as_bytes()));
    assert_eq!(
        (got.get("id"), got.get("model"), got.get("provider")),
        (Some("\"gen-1\""), Some("\"a/b\""), Some("\"P\"")),
        "{name}"
    );
    for (key, value) in sent
        .0
        .iter()
        .filter(|(key, _)| !OWN.contains(&key.as_ref()))
    {
        let other = got.0.iter().find(|(own, _)| own == key);
        let other = other.map(|(_, other)| other.get());
        // Items that a host's last event does not repeat are added.
        let is_free = key == "output" && (is_labelled || value.get() == "[]");
        assert!(
            is_free || other == Some(value.get()),
            "{name}: {key} was {value:?}, is {other:?}"
        );
    }
}

fn passed(api: &Api, case: &Case, length: usize) -> (Vec<u8>, Vec<Event>) {
    let raw = case.request.as_deref().unwrap_or(b"{}");
    let mut pass = Passthrough::new(&meta(), raw, WriterOptions::default(), api.quirks);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    for chunk in case.response.chunks(length) {
        pass.feed(chunk, &mut out, &mut events).unwrap();
    }
    pass.end(&mut out, &mut events).unwrap();
    pass.finish(&UsageReport::default(), &mut out);
    (out, events)
}

fn check_stream(api: &Api, case: &Case) -> bool {
    let (mut stream, mut expected) = (Stream::new(api.quirks), Vec::new());
    stream.feed(&case.response, &mut expected).unwrap();
    stream.finish(&mut expected).unwrap();
    let is_whole = expected.contains(&Event::Done);
    let mut sent = frames(&case.response);
    // Some recordings hold a second answer behind the first.
    let ends = |frame: &Vec<u8>| {
        let kind = fields(frame).get("type").unwrap_or_default().to_owned();
        matches!(
            kind.as_str(),
            "\"response.completed\"" | "\"response.incomplete\""
        )
    };
    let last = sent.iter().position(ends).unwrap_or(sent.len());
    sent.truncate(last + 1);
    if !is_whole || !String::from_utf8_lossy(&sent[0]).contains("response.created") {
        return false;
    }
    let (out, events) = passed(api, case, case.response.len());
    assert_eq!(events, expected, "{}", case.name);
    for length in [1, 7, 100, 1_400] {
        let again = passed(api, case, length);
        assert!(
            again == (out.clone(), expected.clone()),
            "{}: in pieces of {length}",
            case.name
        );
    }
    let got = frames(&out);
    assert_eq!(got.len(), sent.len(), "{}", case.name);
    let is_labelled = !api.quirks.is_empty();
    for (sent, got) in sent.iter().zip(&got) {
        compare(&case.name, sent, got, is_labelled);
    }
    assert!(out.ends_with(b"data: [DONE]\n\n"));
    true
}

#[test]
fn what_the_gateway_does_not_answer_for_stays_the_bytes_it_was() {
    let (mut streams, mut answers) = (0, 0);
    for api in &RESPONSES {
        let recorded = common::recorded(api.name).unwrap_or_default();
        for case in recorded.into_iter().chain(common::synthetic(api.name)) {
            if case.status != 200 {
                continue;
            }
            if case.stream {
                streams += usize::from(check_stream(api, &case));
            } else if let Ok(answer) = WholeResponse::read(&case.response, api.quirks) {
                answers += 1;
                let raw = case.request.as_deref().unwrap_or(b"{}");
                let body = answer.write(
                    &meta(),
                    raw,
                    &UsageReport::default(),
                    WriterOptions::default(),
                );
                let (sent, got) = (
                    String::from_utf8_lossy(&case.response),
                    String::from_utf8(body).unwrap(),
                );
                compare_answers(&case.name, &sent, &got, !api.quirks.is_empty());
            }
        }
    }
    println!("{streams} streams, {answers} answers");
    if common::shared().is_some() {
        assert!(
            streams >= 50 && answers >= 50,
            "{streams} streams, {answers} answers"
        );
    }
}
