//! How fast each dialect's stream is read, and its answer written for each client. `cargo bench --bench decode`.
//!
//! Run natively over synthetic streams of one long answer, cut as networks cut them; megabytes of upstream bytes per second.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, prints what it measured, and stops when its own streams are wrong"
)]

use std::{hint::black_box, time::Instant};

use patchbay::{
    catalog::Dialect,
    chat::{ChatRequest, Completion},
    dialects::{
        StreamReader, Surface, openai_responses,
        report::{Meta, UsageReport, WriterOptions},
        sse::{Frame, SseParser},
        surface::Recipient,
    },
};
use serde_json::{Value, json};

/// Pieces of text in the answer.
const PIECES: usize = 20_000;
/// Bytes of a network chunk.
const CHUNK: usize = 1_400;
const ROUNDS: usize = 7;

fn main() {
    let streams = streams();
    let framing = streams.iter().find(|(name, ..)| *name == "openai_chat");
    if let Some((_, _, bytes)) = framing {
        row("SSE framing alone", bytes.len(), || {
            let mut parser = SseParser::default();
            let mut frames = 0_usize;
            for chunk in bytes.chunks(CHUNK) {
                let count = |_: Frame<'_>| {
                    frames += 1;
                    Ok(())
                };
                parser.feed(chunk, count).unwrap();
            }
            assert!(frames > PIECES);
        });
    }
    for (name, dialect, bytes) in &streams {
        row(&format!("read {name}"), bytes.len(), || {
            let answer = Completion::from_events(events(*dialect, bytes));
            assert_eq!(text(&answer).len(), PIECES * PIECE.len());
        });
    }
    let (_, dialect, bytes) = streams.first().unwrap();
    let events = events(*dialect, bytes);
    for surface in Surface::ALL {
        let (meta, request) = (Meta::default(), ChatRequest::default());
        let recipient = Recipient {
            surface,
            request: &request,
            raw: b"{}",
            meta: &meta,
        };
        row(&format!("write {}", surface.as_str()), bytes.len(), || {
            let mut writer = recipient.writer();
            let mut out = Vec::new();
            for event in &events {
                out.clear();
                writer.write(event, &mut out);
                black_box(&out);
            }
            writer.finish(&UsageReport::default(), &mut out);
        });
    }
    responses_to_responses(&streams);
}

/// A client and a host that both speak Responses: from the host's bytes to the client's, passed on and written anew.
fn responses_to_responses(streams: &[(&str, Dialect, Vec<u8>)]) {
    let responses = streams
        .iter()
        .find(|(_, dialect, _)| *dialect == Dialect::OpenaiResponses);
    let (_, dialect, bytes) = responses.unwrap();
    let (meta, request) = (Meta::default(), ChatRequest::default());
    row("Responses written anew", bytes.len(), || {
        let recipient = Recipient {
            surface: Surface::Responses,
            request: &request,
            raw: b"{}",
            meta: &meta,
        };
        let mut reader = StreamReader::new(*dialect, &[]);
        let mut writer = recipient.writer();
        let (mut out, mut events) = (Vec::new(), Vec::new());
        for chunk in bytes.chunks(CHUNK) {
            out.clear();
            reader.feed(chunk, &mut events).unwrap();
            events
                .drain(..)
                .for_each(|event| writer.write(&event, &mut out));
            black_box(&out);
        }
        writer.finish(&UsageReport::default(), &mut out);
    });
    row("Responses passed on", bytes.len(), || {
        let options = WriterOptions::default();
        let mut pass = openai_responses::Passthrough::new(&meta, b"{}", options, &[]);
        let (mut out, mut events) = (Vec::new(), Vec::new());
        for chunk in bytes.chunks(CHUNK) {
            out.clear();
            events.clear();
            pass.feed(chunk, &mut out, &mut events).unwrap();
            black_box(&out);
        }
        pass.finish(&UsageReport::default(), &mut out);
    });
}

const PIECE: &str = " piece of";

fn text(answer: &Completion) -> &str {
    let choice = answer.choices.first();
    choice
        .and_then(|one| one.content.as_deref())
        .unwrap_or_default()
}

fn events(dialect: Dialect, bytes: &[u8]) -> Vec<patchbay::chat::Event> {
    let mut reader = StreamReader::new(dialect, &[]);
    let mut events = Vec::new();
    for chunk in bytes.chunks(CHUNK) {
        reader.feed(chunk, &mut events).unwrap();
    }
    reader.finish(&mut events).unwrap();
    events
}

fn row(name: &str, bytes: usize, mut work: impl FnMut()) {
    let round = |_| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    let mut each: Vec<_> = (0..ROUNDS).map(round).collect();
    each.sort();
    let median = each.get(ROUNDS / 2).unwrap();
    let nanos = u64::try_from(median.as_nanos()).unwrap().max(1);
    let megabytes = u64::try_from(bytes).unwrap() * 1_000 / nanos;
    let piece = nanos / u64::try_from(PIECES).unwrap();
    println!("{name:<28} {megabytes:>6} MB/s {piece:>6} ns a piece");
}

/// A long answer in each dialect's own framing.
fn streams() -> Vec<(&'static str, Dialect, Vec<u8>)> {
    let sse = |head: Vec<Value>, piece: Value, tail: Vec<Value>, named: bool| {
        let pieces = std::iter::repeat_n(piece, PIECES);
        let all = head.into_iter().chain(pieces).chain(tail);
        let mut bytes = Vec::new();
        for event in all {
            if let (true, Some(name)) = (named, event.get("type").and_then(Value::as_str)) {
                bytes.extend_from_slice(format!("event: {name}\n").as_bytes());
            }
            bytes.extend_from_slice(format!("data: {event}\n\n").as_bytes());
        }
        bytes
    };
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "system_fingerprint": "fp",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
    };
    let mut chat = sse(
        vec![chunk(
            json!({"role": "assistant", "content": ""}),
            Value::Null,
        )],
        chunk(json!({"content": PIECE}), Value::Null),
        vec![chunk(json!({}), json!("stop"))],
        false,
    );
    chat.extend_from_slice(b"data: [DONE]\n\n");
    let messages = sse(
        vec![
            json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [],
                "model": "m", "stop_reason": null, "usage": {"input_tokens": 5, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ],
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": PIECE}}),
        vec![
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ],
        true,
    );
    let candidate = |parts: Value, finish: Option<&str>| {
        let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
        if let (Some(finish), Some(object)) = (finish, candidate.as_object_mut()) {
            object.insert("finishReason".to_owned(), finish.into());
        }
        json!({"candidates": [candidate], "modelVersion": "m",
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 9, "totalTokenCount": 14}})
    };
    let one = candidate(json!([{"text": PIECE}]), None);
    let last = candidate(json!([]), Some("STOP"));
    let gemini = sse(vec![], one, vec![last], false);
    let item = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []});
    let response = |status: &str, output: Value| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "output": output,
            "usage": {"input_tokens": 5, "output_tokens": 9, "total_tokens": 14}})
    };
    let responses = sse(
        vec![
            json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress", json!([]))}),
            json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}),
            json!({"type": "response.content_part.added", "sequence_number": 2, "item_id": "msg_1", "output_index": 0,
                "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
        ],
        json!({"type": "response.output_text.delta", "sequence_number": 3, "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "delta": PIECE, "logprobs": [], "obfuscation": "abcdefgh"}),
        vec![
            json!({"type": "response.output_item.done", "sequence_number": 4, "output_index": 0, "item": item}),
            json!({"type": "response.completed", "sequence_number": 5, "response": response("completed", json!([]))}),
        ],
        true,
    );
    let cohere = sse(
        vec![
            json!({"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant", "content": []}}}),
            json!({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
        ],
        json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": PIECE}}}}),
        vec![
            json!({"type": "content-end", "index": 0}),
            json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 5, "output_tokens": 9}}}}),
        ],
        true,
    );
    vec![
        ("openai_chat", Dialect::OpenaiChat, chat),
        ("anthropic_messages", Dialect::AnthropicMessages, messages),
        ("gemini", Dialect::Gemini, gemini),
        ("openai_responses", Dialect::OpenaiResponses, responses),
        ("cohere_v2", Dialect::CohereV2, cohere),
        ("bedrock_converse", Dialect::BedrockConverse, converse()),
    ]
}

/// The same in Bedrock's binary frames.
fn converse() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut frame =
        |kind: &str, payload: Value| bytes.extend(event_stream_frame(kind, &payload.to_string()));
    frame("messageStart", json!({"role": "assistant"}));
    for _ in 0..PIECES {
        frame(
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"text": PIECE}, "p": "abcdefgh"}),
        );
    }
    frame("contentBlockStop", json!({"contentBlockIndex": 0}));
    frame("messageStop", json!({"stopReason": "end_turn"}));
    frame(
        "metadata",
        json!({"usage": {"inputTokens": 5, "outputTokens": 9, "totalTokens": 14}}),
    );
    bytes
}

/// A frame of `application/vnd.amazon.eventstream`: lengths, headers, payload, and a CRC over each half.
fn event_stream_frame(kind: &str, payload: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ] {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(16 + headers.len() + payload.len()).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}
