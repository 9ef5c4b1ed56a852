//! Everything else that strangers' bytes reach: framings, forms, operations, documents, pages, broken JSON, schemas and their patterns.

use miniz_oxide::deflate::compress_to_vec_zlib;
use patchbay::{
    catalog::{Endpoint, Operation, Provider},
    dialects::{
        Target, count,
        eventstream::{Message, MessageParser},
        operations::{answer, client, multipart, requests},
        report::{Meta, UsageReport},
        sse::{Frame, SseParser},
        workers_ai,
    },
    regex::{Budget, Regex},
    server_tools::html,
    transforms::{
        heal::{self, Expect, Outcome},
        pdf, schema,
    },
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::{
    answers::pieces,
    common,
    mutate::{Dice, mutated},
    targets::{round, rounds},
};

/// Runs a check over mutated inputs.
fn fuzz(name: &str, number: u64, bases: &[Vec<u8>], check: impl Fn(&[u8], &mut Dice)) {
    for count in 0..rounds() {
        let seed = number << 32 | count;
        let mut dice = Dice::new(seed);
        let (base, other) = (dice.pick(bases), dice.pick(bases));
        let bytes = mutated(&mut dice, base, other);
        round(name, seed, &bytes, |dice| check(&bytes, dice));
    }
}

/// The answers of an API: ours, and recorded ones where they are.
fn answers(api: &str) -> Vec<Vec<u8>> {
    let recorded = common::recorded(api).unwrap_or_default();
    let cases = common::synthetic(api).into_iter().chain(recorded);
    let bodies = cases.map(|case| case.response);
    bodies
        .filter(|body| body.len() < 32 * 1024)
        .take(40)
        .collect()
}

#[test]
fn a_framing_gives_the_same_events_in_any_pieces() {
    let mut streams = answers("openai.chat");
    streams
        .push(b"\xef\xbb\xbfevent: a\r\ndata: {\r\ndata: }\r\r: c\n\nid: 1\ndata:x\n\n".to_vec());
    fuzz("sse", 200, &streams, |bytes, dice| {
        let read = |pieces: &[&[u8]]| {
            let (mut parser, mut frames) = (SseParser::default(), Vec::new());
            let mut each = |frame: Frame<'_>| {
                frames.push((frame.event.to_owned(), frame.data.to_owned()));
                Ok(())
            };
            let fed = pieces
                .iter()
                .try_for_each(|piece| parser.feed(piece, &mut each));
            let ended = fed.and_then(|()| parser.finish(&mut each));
            (frames, ended.is_ok())
        };
        assert!(read(&[bytes]) == read(&pieces(dice, bytes)));
    });
    let mut streams = answers("bedrock.converse");
    streams.push(Vec::new());
    fuzz("eventstream", 201, &streams, |bytes, dice| {
        let read = |pieces: &[&[u8]]| {
            let (mut parser, mut messages) = (MessageParser::default(), Vec::new());
            let mut each = |message: &Message<'_>| {
                messages.push((
                    message.header(":event-type").to_owned(),
                    message.payload.to_owned(),
                ));
                Ok(())
            };
            let fed = pieces
                .iter()
                .try_for_each(|piece| parser.feed(piece, &mut each));
            (messages, fed.is_ok())
        };
        assert!(read(&[bytes]) == read(&pieces(dice, bytes)));
    });
}

#[test]
fn answers_of_a_binding_are_read_or_refused() {
    let bodies = answers("cloudflare.chat");
    let bodies = if bodies.is_empty() {
        answers("openai.chat")
    } else {
        bodies
    };
    for (number, kind) in [(202, "application/json"), (203, "text/event-stream")] {
        fuzz("workers-ai", number, &bodies, |bytes, dice| {
            let read = |pieces: &[&[u8]]| {
                let (mut answer, mut out) = (workers_ai::Answer::new(kind), Vec::new());
                for piece in pieces {
                    out.extend(answer.feed(piece).unwrap());
                }
                out.extend(answer.finish().unwrap());
                out
            };
            assert!(read(&[bytes]) == read(&pieces(dice, bytes)));
        });
    }
}

/// An operation, a wire that serves it, the API of its recordings, and a request of ours.
const OPERATIONS: [(Operation, &str, &str, &str); 11] = [
    (
        Operation::Embeddings,
        "openai",
        "openai.embeddings",
        EMBEDDINGS,
    ),
    (Operation::Embeddings, "cohere", "cohere.embed", EMBEDDINGS),
    (
        Operation::Embeddings,
        "google",
        "google.batchEmbedContents",
        EMBEDDINGS,
    ),
    (
        Operation::Embeddings,
        "voyage",
        "voyage.embeddings",
        EMBEDDINGS,
    ),
    (Operation::Rerank, "cohere", "cohere.rerank", RERANK),
    (Operation::Rerank, "openai", "together.rerank", RERANK),
    (Operation::Rerank, "voyage", "voyage.rerank", RERANK),
    (Operation::Images, "openai", "openai.images", IMAGES),
    (
        Operation::Images,
        "google",
        "google.generateContent",
        IMAGES,
    ),
    (
        Operation::Transcription,
        "openai",
        "openai.transcriptions",
        SOUND,
    ),
    (Operation::Speech, "openai", "openai.chat", SPEECH),
];
const EMBEDDINGS: &str =
    r#"{"model":"m/m","input":["a","b"],"dimensions":3,"encoding_format":"base64","user":"u"}"#;
const RERANK: &str = r#"{"model":"m/m","query":"q","documents":["a",{"text":"b"}],"top_n":1}"#;
const IMAGES: &str = r#"{"model":"m/m","prompt":"p","n":2,"size":"1024x1024","input_references":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}"#;
const SOUND: &str = r#"{"model":"m/m","input_audio":{"data":"AAAA","format":"wav"},"response_format":"verbose_json","timestamp_granularities":["word"]}"#;
const SPEECH: &str =
    r#"{"model":"m/m","input":"say","voice":"v","response_format":"mp3","speed":1.5}"#;

fn place(operation: Operation, wire: &str) -> (Endpoint, Provider) {
    let word = serde_json::to_value(operation).unwrap();
    let endpoint = json!({
        "model": "test/model", "provider": "test", "tag": "test", "upstream_model_id": "m1", "operation": word,
        "context_length": 8192, "prices": {"prompt": 1, "completion": 1}, "supported_parameters": ["response_format"],
        "input_modalities": ["text"], "output_modalities": [operation.output()],
    });
    let provider = json!({
        "slug": "test", "name": "Test", "dialect": "openai_chat", "base_url": "https://x.example/v1", "auth": {"kind": "bearer"},
        "secret": "TEST_KEY", "operations": {(word.as_str().unwrap()): {"dialect": wire}},
    });
    (
        serde_json::from_value(endpoint).unwrap(),
        serde_json::from_value(provider).unwrap(),
    )
}

#[test]
fn operations_of_any_bytes_are_read_or_refused() {
    for (number, (operation, wire, api, own)) in (210..).zip(OPERATIONS) {
        let (endpoint, provider) = place(operation, wire);
        let target = Target {
            endpoint: &endpoint,
            provider: &provider,
        };
        let ask = client::parse(operation, "application/json", own.as_bytes())
            .unwrap()
            .ask;
        fuzz(
            &format!("ask-{wire}"),
            number << 8,
            &[own.into()],
            |bytes, _| match client::parse(operation, "application/json", bytes) {
                Ok(parsed) => match requests(&parsed.ask, &target) {
                    Ok(calls) => assert!(calls.iter().all(|call| call.path.starts_with('/'))),
                    Err(error) => assert!((400..600).contains(&error.status), "{error}"),
                },
                Err(error) => assert!((400..500).contains(&error.status), "{error}"),
            },
        );
        let mut bodies = answers(api);
        bodies.push(b"{}".to_vec());
        fuzz(
            &format!("answer-{wire}"),
            number << 8 | 1,
            &bodies,
            |bytes, _| {
                match answer(&ask, &target, &[bytes.to_vec()]) {
                    Ok(read) => {
                        let body =
                            client::write(&ask, &read, &Meta::default(), &UsageReport::default());
                        serde_json::from_slice::<IgnoredAny>(&body).unwrap();
                    }
                    Err(error) => assert!((400..600).contains(&error.status), "{error}"),
                }
                count::answer(bytes);
            },
        );
    }
}

#[test]
fn forms_of_any_bytes_are_read_or_refused() {
    let kind = "multipart/form-data; boundary=XX";
    let form = b"--XX\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm/m\r\n--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\ncontent-type: audio/wav\r\n\r\nRIFF\r\n--XX--\r\n";
    fuzz("form", 230, &[form.to_vec()], |bytes, _| {
        if let Ok(parts) = multipart::parse(kind, bytes) {
            let length: usize = parts.iter().map(|part| part.data.len()).sum();
            assert!(length <= bytes.len(), "parts are pieces of the body");
        }
        let _ = multipart::parse(&String::from_utf8_lossy(bytes), form);
        let _ = client::parse(Operation::Transcription, kind, bytes);
    });
}

/// A document of one page, its text folded or not.
fn document(folds: bool) -> Vec<u8> {
    let text = b"BT /F1 12 Tf 72 720 Td (Hello \\(you\\)) Tj [(a) -300 (b)] TJ T* <48690041> Tj ET"
        .to_vec();
    let (filter, data) = match folds {
        true => ("/Filter /FlateDecode", compress_to_vec_zlib(&text, 6)),
        false => ("", text),
    };
    let mut bytes = format!(
        "%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n\
         3 0 obj\n<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>\nendobj\n\
         5 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Differences [65 /B /eacute] >> >>\nendobj\n\
         4 0 obj\n<< {filter} /Length {} >>\nstream\n",
        data.len()
    )
    .into_bytes();
    bytes.extend(data);
    bytes.extend(b"\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n");
    bytes
}

#[test]
fn documents_of_any_bytes_are_read_or_refused() {
    let documents = [document(false), document(true)];
    for document in &documents {
        assert!(pdf::text(document).unwrap()[0].contains("Hello (you)"));
    }
    fuzz("pdf", 231, &documents, |bytes, _| drop(pdf::text(bytes)));
}

#[test]
fn pages_of_any_bytes_are_read_within_their_limit() {
    let page = "<!doctype html><html><head><title>A &amp; B</title><script>if (a < b) {}</script></head><body><h1>T</h1><p>a&nbsp;b &#x1F600;<br>c\
        <ul><li>x<li>y</ul><table><tr><td>1</td></table><pre> k  l </pre><!-- no --><a href='/x?a=1&b=2'>go</a></body>";
    fuzz("html", 232, &[page.into()], |bytes, dice| {
        let text = String::from_utf8_lossy(bytes);
        let limit = dice.below(400);
        let page = html::read(&text, limit);
        assert!(page.text.len() <= limit, "{} of {limit}", page.text.len());
    });
}

#[test]
fn broken_json_is_mended_to_json_or_left() {
    let texts = [
        "Sure:\n```json\n{'a': [1, 2,], \"b\": True, c: \"x\ny\", // no\n \"d\": {\"e\": nul",
        "\"{\\\"a\\\": 1}\"",
        "[1, {\"a\": \"\\u00e9\\ud800\"}, -1e5,",
    ];
    let texts = texts.map(|text| text.as_bytes().to_vec());
    fuzz("heal", 233, &texts, |bytes, dice| {
        let text = String::from_utf8_lossy(bytes);
        let expect = *dice.pick(&[Expect::Object, Expect::Array, Expect::Any]);
        let value = match heal::heal(&text, expect) {
            Outcome::Healed(healed) => {
                assert!(!healed.repairs.is_empty());
                healed.json
            }
            Outcome::Valid => text.trim_start_matches('\u{feff}').trim().to_owned(),
            Outcome::Hopeless => return,
        };
        serde_json::from_str::<IgnoredAny>(&value).unwrap();
    });
}

#[test]
fn schemas_and_patterns_of_any_bytes_are_decided_or_left() {
    let schemas = [
        json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}, "additionalProperties": false}}}),
        json!({"type": ["object", "null"], "required": ["a"], "properties": {"a": {"anyOf": [{"type": "string", "pattern": "^(a|b+)*[c-f]{2,3}$"}, {"enum": [1, 2.5]}]}},
            "patternProperties": {"^x": {"type": "integer", "minimum": 1, "multipleOf": 0.5}}, "minProperties": 1}),
        json!({"type": "array", "items": {"not": {"const": 3}}, "uniqueItems": true, "contains": {"type": "number"}, "oneOf": [true, false]}),
    ];
    let schemas: Vec<Vec<u8>> = schemas.map(|schema| schema.to_string().into_bytes()).into();
    let value = json!({"a": "bbcd", "x1": 4, "next": {"next": {}}, "l": [1, 2, {"a": null}]});
    fuzz("schema", 234, &schemas, |bytes, _| {
        if let Ok(schema) = serde_json::from_slice::<Value>(bytes) {
            for value in [&value, &value["l"], &schema] {
                schema::check(&schema, value);
            }
        }
    });
    let patterns = [
        "^(a|b+)*[^c-f\\d]{2,3}?\\w\\.\\u00e9$",
        "(?:x{0,9}){0,9}[\\s\\S]*",
        "[\\]a-]|",
    ];
    let patterns = patterns.map(|text| text.as_bytes().to_vec());
    fuzz("pattern", 235, &patterns, |bytes, _| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(pattern) = Regex::new(&text) {
            for words in ["", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", &text] {
                // A pattern that needs more is told to, and left.
                let mut budget = Budget::new(100_000);
                let _ = pattern.is_match(words, &mut budget);
            }
        }
    });
}
