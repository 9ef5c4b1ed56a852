//! Answers through the readers and the client writer.

use std::{collections::BTreeMap, path::PathBuf};

use patchbay::{
    catalog::Dialect,
    chat::{Choice, Completion, Event, FinishReason},
    dialects::{
        self, StreamReader,
        openai_chat::{Passthrough, WholeAnswer, client},
        report,
    },
    error::Error,
};
use serde_json::Value;

use super::{summary, table::Api};
use crate::common::{self, Case};

/// Holds every answer of the APIs against one snapshot. A case is found there under its API and name.
pub fn check_answers(snapshot: &str, apis: &[Api]) {
    let own = apis.iter().map(|api| (api, common::synthetic(api.name)));
    check_against(&format!("synthetic/{snapshot}"), own);
    if common::shared().is_some() {
        let recorded = apis
            .iter()
            .map(|api| (api, common::recorded(api.name).unwrap_or_default()));
        check_against(snapshot, recorded);
    }
}

fn check_against<'a>(name: &str, apis: impl Iterator<Item = (&'a Api, Vec<Case>)>) {
    let mut seen = BTreeMap::new();
    for (api, cases) in apis {
        for case in cases {
            let twice = seen.insert(format!("{}/{}", api.name, case.name), summarise(api, &case));
            assert!(twice.is_none(), "two cases {}", case.name);
        }
    }
    hold_against(name, &seen);
}

/// Holds what was read against the snapshot `<name>.json`, or writes it.
pub fn hold_against(name: &str, seen: &BTreeMap<String, Value>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&seen).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
        return;
    }
    let expected = std::fs::read(&path).unwrap_or_else(|_| {
        panic!(
            "no snapshot at {}: write it with UPDATE_GOLDEN=1",
            path.display()
        )
    });
    let expected: BTreeMap<String, Value> = serde_json::from_slice(&expected).unwrap();
    let mut wrong = Vec::new();
    for (case, summary) in seen {
        match expected.get(case) {
            Some(known) if known == summary => {}
            Some(known) => wrong.push(format!("{case}:\n  was {known}\n  is  {summary}")),
            None => wrong.push(format!("{case}: not in the snapshot")),
        }
    }
    let gone = expected.keys().filter(|case| !seen.contains_key(*case));
    wrong.extend(gone.map(|case| format!("{case}: only in the snapshot")));
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

fn summarise(api: &Api, case: &Case) -> Value {
    if case.status >= 400 {
        let error = dialects::error(api.dialect, case.status, &case.response);
        return summary::of_error(&error);
    }
    if !case.stream {
        return match dialects::response(api.dialect, &case.response, api.quirks) {
            Ok(events) => {
                check_chunks(case, &events);
                check_pass(api, case, &events);
                summary::of_events(&events)
            }
            Err(error) => summary::of_error(&error),
        };
    }
    let whole = match read(api, &[&case.response]) {
        Ok(events) => events,
        Err(error) => return summary::of_error(&error),
    };
    for pieces in splits(case) {
        let events = read(api, &pieces).unwrap();
        assert!(
            events == whole,
            "{}: {} pieces give other events",
            case.name,
            pieces.len()
        );
    }
    check_chunks(case, &whole);
    check_pass(api, case, &whole);
    summary::of_events(&whole)
}

fn read(api: &Api, pieces: &[&[u8]]) -> Result<Vec<Event>, Error> {
    let mut reader = StreamReader::new(api.dialect, api.quirks);
    let mut events = Vec::new();
    for piece in pieces {
        reader.feed(piece, &mut events)?;
    }
    reader.finish(&mut events)?;
    Ok(events)
}

/// Byte by byte, as it arrived when it was recorded, and at random (but always the same) places.
fn splits(case: &Case) -> Vec<Vec<&[u8]>> {
    let bytes = case.response.as_slice();
    let mut all = vec![bytes.chunks(1).collect()];
    if !case.chunk_lengths.is_empty() {
        all.push(cut(bytes, case.chunk_lengths.iter().copied()));
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..8_u32 {
        let most = 4_usize << round;
        let lengths = std::iter::from_fn(|| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            Some(1 + usize::try_from(seed >> 33).unwrap() % most)
        });
        all.push(cut(bytes, lengths));
    }
    all
}

fn cut(mut bytes: &[u8], lengths: impl Iterator<Item = usize>) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    pieces.push(bytes);
    pieces
}

/// What is passed on to a client of the same dialect means what the upstream said.
fn check_pass(api: &Api, case: &Case, events: &[Event]) {
    if api.dialect != Dialect::OpenaiChat {
        return;
    }
    let (meta, options) = (report::Meta::default(), report::WriterOptions::default());
    let report = report::UsageReport::default();
    let passed = if case.stream {
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        let mut pass = Passthrough::new(&meta, options, api.quirks);
        for piece in case.response.chunks(1000) {
            pass.feed(piece, &mut out, &mut seen).unwrap();
        }
        pass.end(&mut out, &mut seen).unwrap();
        assert!(seen == events, "{}: the relay sees other events", case.name);
        pass.finish(&report, &mut out);
        let mut reader = dialects::openai_chat::Stream::new(&[]);
        let mut read = Vec::new();
        reader.feed(&out, &mut read).unwrap();
        read
    } else {
        let answer = WholeAnswer::read(&case.response, api.quirks).unwrap();
        assert!(
            answer.events == events,
            "{}: the relay sees other events",
            case.name
        );
        let body = answer.write(&meta, &report, options);
        dialects::openai_chat::response(&body, &[]).unwrap()
    };
    assert_eq!(
        told(&passed),
        told(events),
        "{}: what is passed on",
        case.name
    );
}

/// The chunks that the client gets say the same as the answer in one piece.
fn check_chunks(case: &Case, events: &[Event]) {
    let mut out = Vec::new();
    let mut writer =
        client::ChunkWriter::new(&report::Meta::default(), report::WriterOptions::default());
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(&report::UsageReport::default(), &mut out);
    let mut reader = dialects::openai_chat::Stream::new(&[]);
    let mut read = Vec::new();
    reader.feed(&out, &mut read).unwrap();
    assert_eq!(
        told(&read),
        told(events),
        "{}: the client's chunks",
        case.name
    );
}

/// The choices that an answer comes to, in one spelling.
fn told(events: &[Event]) -> Vec<Choice> {
    let mut choices = Completion::from_events(events.iter().cloned()).choices;
    for choice in &mut choices {
        // The native word and the stop sequence have fields of their own, which hosts do not send.
        choice.native_finish = None;
        choice.stop_sequence = None;
        // An answer with calls that says `stop` is read as wanting its tools to run (P52).
        if !choice.tool_calls.is_empty() {
            choice.finish = choice.finish.map(|_| FinishReason::ToolCalls);
        }
        // Empty text is as good as none (P116).
        choice.content = choice.content.take().filter(|text| !text.is_empty());
        for block in &mut choice.reasoning {
            block.index = None;
        }
    }
    choices
}
