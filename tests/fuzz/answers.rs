//! Answers: streams, bodies and errors of upstreams.

use patchbay::{
    catalog::Dialect,
    chat::{ChatRequest, Completion, Event},
    dialects::{
        self, StreamReader, Surface, anthropic_messages,
        openai_chat::{Passthrough, WholeAnswer},
        openai_responses,
        report::{Meta, UsageReport, WriterOptions},
        surface::Recipient,
    },
    error::Error,
};

// Grammar only: numbers out of range and halves of characters pass from host to client as they are.
use serde::de::IgnoredAny;

use crate::{
    mutate::{Dice, mutated},
    targets::{TARGETS, Target, round, rounds},
};

/// What came of a stream: its events, and its failure.
fn read(target: &Target, pieces: &[&[u8]]) -> (Vec<Event>, Option<Error>) {
    let mut reader = StreamReader::new(target.dialect, target.quirks);
    let mut events = Vec::new();
    for piece in pieces {
        if let Err(error) = reader.feed(piece, &mut events) {
            return (events, Some(error));
        }
    }
    let error = reader.finish(&mut events).err();
    (events, error)
}

pub fn pieces<'a>(dice: &mut Dice, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let most = 1 << dice.below(12);
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at((1 + dice.below(most)).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

fn check_error(error: &Error) {
    assert!(
        (400..600).contains(&error.status),
        "status {}",
        error.status
    );
    assert!(
        error
            .raw
            .as_ref()
            .is_none_or(|raw| raw.len() <= 4 * Error::RAW_LIMIT)
    );
}

/// What every surface makes of the events; nothing may panic, and what is JSON stays JSON.
fn check_writers(events: &[Event]) {
    let (request, meta, report) = (
        ChatRequest::default(),
        Meta::default(),
        UsageReport::default(),
    );
    for surface in Surface::ALL {
        let recipient = Recipient {
            surface,
            request: &request,
            raw: b"{}",
            meta: &meta,
        };
        let whole = recipient.whole(events, &report);
        serde_json::from_slice::<IgnoredAny>(&whole).unwrap();
        let mut writer = recipient.writer();
        let mut out = Vec::new();
        for event in events {
            writer.write(event, &mut out);
        }
        writer.finish(&report, &mut out);
        for line in out.split(|byte| *byte == b'\n') {
            if let Some(data) = line.strip_prefix(b"data: ")
                && data != b"[DONE]"
            {
                serde_json::from_slice::<IgnoredAny>(data).unwrap();
            }
        }
    }
}

fn check_stream(target: &Target, bytes: &[u8], dice: &mut Dice) {
    let (events, failed) = read(target, &[bytes]);
    // Memory is bounded by what arrived.
    assert!(
        events.len() <= 2 * bytes.len() + 16,
        "{} events",
        events.len()
    );
    let (again, failed_again) = read(target, &pieces(dice, bytes));
    assert!(again == events, "other events in pieces");
    assert_eq!(
        failed.as_ref().map(|error| error.error_type),
        failed_again.map(|error| error.error_type)
    );
    failed.iter().for_each(check_error);
    let done = events.iter().filter(|event| matches!(event, Event::Done));
    assert!(done.count() <= 1, "an answer ends once");
    Completion::from_events(events.iter().cloned());
    check_writers(&events);
}

fn check_body(target: &Target, bytes: &[u8]) {
    match dialects::response(target.dialect, bytes, target.quirks) {
        Ok(events) => check_writers(&events),
        Err(error) => check_error(&error),
    }
    for status in [400, 401, 404, 429, 500, 529] {
        check_error(&dialects::error(target.dialect, status, bytes));
    }
}

/// Bytes that pass from a chat-completions host to a client: the events are those of the reader.
fn check_pass(target: &Target, bytes: &[u8], dice: &mut Dice) {
    let (meta, options) = (Meta::default(), WriterOptions::default());
    let mut pass = Passthrough::new(&meta, options, target.quirks);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let fed = pieces(dice, bytes)
        .into_iter()
        .try_for_each(|piece| pass.feed(piece, &mut out, &mut events));
    let ended = fed.and_then(|()| pass.end(&mut out, &mut events));
    if ended.is_ok() {
        assert!(
            events == read(target, &[bytes]).0,
            "the relay sees other events"
        );
        pass.finish(&UsageReport::default(), &mut out);
    }
    if let Ok(answer) = WholeAnswer::read(bytes, target.quirks) {
        let body = answer.write(&meta, &UsageReport::default(), options);
        serde_json::from_slice::<IgnoredAny>(&body).unwrap();
    }
}

/// The same for messages and Responses, whose streams also end in order.
fn check_other_pass(target: &Target, bytes: &[u8], dice: &mut Dice) {
    let (meta, options, report) = (
        Meta::default(),
        WriterOptions::default(),
        UsageReport::default(),
    );
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let pieces = pieces(dice, bytes);
    let ended = if target.dialect == Dialect::AnthropicMessages {
        let mut pass = anthropic_messages::Passthrough::new(&meta, options);
        let fed = pieces
            .into_iter()
            .try_for_each(|piece| pass.feed(piece, &mut out, &mut events));
        let ended = fed.and_then(|()| pass.end(&mut out, &mut events));
        match &ended {
            Ok(()) => pass.finish(&report, &mut out),
            Err(error) => pass.error(error, Some(&report), &mut out),
        }
        ended
    } else {
        let mut pass = openai_responses::Passthrough::new(&meta, b"{}", options, target.quirks);
        let fed = pieces
            .into_iter()
            .try_for_each(|piece| pass.feed(piece, &mut out, &mut events));
        let ended = fed.and_then(|()| pass.end(&mut out, &mut events));
        match &ended {
            Ok(()) => pass.finish(&report, &mut out),
            Err(error) => pass.error(error, &report, &mut out),
        }
        assert!(out.ends_with(b"data: [DONE]\n\n"));
        ended
    };
    if ended.is_ok() {
        assert!(
            events == read(target, &[bytes]).0,
            "the relay sees other events"
        );
    }
    let whole = match target.dialect {
        Dialect::AnthropicMessages => anthropic_messages::WholeMessage::read(bytes)
            .map(|answer| answer.write(&meta, &report, options)),
        _ => openai_responses::WholeResponse::read(bytes, target.quirks)
            .map(|answer| answer.write(&meta, b"{}", &report, options)),
    };
    if let Ok(body) = whole {
        serde_json::from_slice::<IgnoredAny>(&body).unwrap();
    }
}

#[test]
fn answers_of_any_bytes_are_read_or_refused() {
    for (number, target) in (0_u64..).zip(&TARGETS) {
        let cases = target.cases();
        assert!(
            !cases.is_empty() || crate::common::shared().is_none(),
            "{:?}",
            target.apis
        );
        if cases.is_empty() {
            continue;
        }
        for count in 0..rounds() {
            let seed = number << 32 | count;
            let mut dice = Dice::new(seed);
            let (base, other) = (dice.pick(&cases), dice.pick(&cases));
            let bytes = mutated(&mut dice, &base.response, &other.response);
            round(target.apis[0], seed, &bytes, |dice| {
                check_body(target, &bytes);
                check_stream(target, &bytes, dice);
                match target.dialect {
                    Dialect::OpenaiChat => check_pass(target, &bytes, dice),
                    Dialect::AnthropicMessages | Dialect::OpenaiResponses => {
                        check_other_pass(target, &bytes, dice);
                    }
                    _ => {}
                }
            });
        }
    }
}
