//! What clients send and what they get, field by field.

use serde_json::json;

use super::*;
use crate::{
    chat::{Units, Usage},
    operations::{
        embeddings::{Encoding, Input, Vector},
        images::Image,
        rerank::Ranked,
        transcription::{Sound, Transcript},
    },
};

fn read(operation: Operation, body: Value) -> Result<Parsed> {
    parse(operation, "application/json", body.to_string().as_bytes())
}

fn ask(operation: Operation, body: Value) -> Ask {
    read(operation, body).unwrap().ask
}

fn wrong(operation: Operation, body: Value) -> (u16, String) {
    let error = read(operation, body.clone()).expect_err(&body.to_string());
    (error.status, error.param.unwrap_or_default())
}

fn meta() -> Meta {
    Meta {
        id: "gen-1".into(),
        created: 7,
        model: "a/b".into(),
        provider: "P".into(),
    }
}

fn report(usage: Usage) -> UsageReport {
    UsageReport {
        usage,
        cost: Nanos::new(34).unwrap(),
        list_cost: Nanos::new(34).unwrap(),
        ..UsageReport::default()
    }
}

fn said(ask: &Ask, answer: Answer, usage: Usage) -> Value {
    let answered = Answered {
        answer,
        usage,
        upstream_id: None,
    };
    let body = write(ask, &answered, &meta(), &report(usage));
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn every_kind_of_input_is_read() {
    let inputs = |input: Value| {
        let Ask::Embeddings(ask) =
            ask(Operation::Embeddings, json!({"model": "m", "input": input}))
        else {
            panic!()
        };
        ask.inputs
    };
    assert_eq!(inputs(json!("a")), [Input::Text("a".into())]);
    assert_eq!(inputs(json!(["a", "b"])).len(), 2);
    assert_eq!(inputs(json!([1, 2])), [Input::Tokens(vec![1, 2])]);
    assert_eq!(inputs(json!([[1], [2, 3]])).len(), 2);
    let parts = json!([{"content": [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        {"type": "input_video", "input_video": {"url": "https://x.example/v.mp4"}},
        {"type": "input_file", "input_file": {"file_data": "data:application/pdf;base64,AA"}},
    ]}]);
    let found = inputs(parts);
    let [Input::Parts(parts)] = found.as_slice() else {
        panic!()
    };
    assert_eq!(parts.len(), 5);
}

#[test]
fn a_wrong_field_is_named_by_its_path() {
    for (operation, body, param) in [
        (Operation::Embeddings, json!({"input": "a"}), "model"),
        (
            Operation::Embeddings,
            json!({"model": "m", "input": []}),
            "input",
        ),
        (
            Operation::Embeddings,
            json!({"model": "m", "input": [["a"]]}),
            "input[0][0]",
        ),
        (
            Operation::Embeddings,
            json!({"model": "m", "input": ["a", 3]}),
            "input[1]",
        ),
        (
            Operation::Embeddings,
            json!({"model": "m", "input": [{"content": [{"type": "x"}]}]}),
            "input[0].content[0].type",
        ),
        (
            Operation::Embeddings,
            json!({"model": "m", "input": "a", "encoding_format": "int8"}),
            "encoding_format",
        ),
        (
            Operation::Embeddings,
            json!({"model": "m", "input": "a", "dimensions": "x"}),
            "dimensions",
        ),
        (
            Operation::Embeddings,
            json!({"model": "m", "input": "a", "user": "u".repeat(257)}),
            "user",
        ),
        (
            Operation::Rerank,
            json!({"model": "m", "query": "q", "documents": []}),
            "documents",
        ),
        (
            Operation::Rerank,
            json!({"model": "m", "query": "q", "documents": ["a", {}]}),
            "documents[1]",
        ),
        (
            Operation::Rerank,
            json!({"model": "m", "query": 3, "documents": ["a"]}),
            "query",
        ),
        (
            Operation::Images,
            json!({"model": "m", "prompt": "p", "n": 11}),
            "n",
        ),
        (
            Operation::Images,
            json!({"model": "m", "prompt": "p", "size": "big"}),
            "size",
        ),
        (
            Operation::Images,
            json!({"model": "m", "prompt": "p", "size": "1024x1024", "resolution": "2K"}),
            "size",
        ),
        (
            Operation::Images,
            json!({"model": "m", "prompt": "p", "size": "1024x1024", "aspect_ratio": "16:9"}),
            "size",
        ),
        (
            Operation::Images,
            json!({"model": "m", "prompt": "p", "aspect_ratio": "wide"}),
            "aspect_ratio",
        ),
        (
            Operation::Images,
            json!({"model": "m", "prompt": "p", "quality": "best"}),
            "quality",
        ),
        (
            Operation::Images,
            json!({"model": "m", "prompt": "p", "input_references": [{"type": "image_url"}]}),
            "input_references[0].image_url",
        ),
        (
            Operation::Speech,
            json!({"model": "m", "input": " "}),
            "input",
        ),
        (
            Operation::Speech,
            json!({"model": "m", "input": "a", "response_format": "midi"}),
            "response_format",
        ),
        (
            Operation::Speech,
            json!({"model": "m", "input": [{"text": "a", "voice": "x"}, {"text": "b", "voice": "y"}]}),
            "input[1].voice",
        ),
        (
            Operation::Transcription,
            json!({"model": "m"}),
            "input_audio",
        ),
        (
            Operation::Transcription,
            json!({"model": "m", "input_audio": {"data": "%", "format": "mp3"}}),
            "input_audio.data",
        ),
        (
            Operation::Transcription,
            json!({"model": "m", "input_audio": {"data": "AAAA"}}),
            "input_audio.format",
        ),
        (
            Operation::Transcription,
            json!({"model": "m", "input_audio": {"url": "file:///etc/passwd"}}),
            "input_audio.url",
        ),
        (
            Operation::Transcription,
            json!({"model": "m", "input_audio": {"data": "AAAA", "format": "mp3"}, "response_format": "srt"}),
            "response_format",
        ),
        (
            Operation::Transcription,
            json!({"model": "m", "input_audio": {"data": "AAAA", "format": "mp3"}, "diarize": true}),
            "diarize",
        ),
    ] {
        assert_eq!(wrong(operation, body), (400, param.to_owned()));
    }
    let broken = parse(Operation::Rerank, "", b"{").unwrap_err();
    assert_eq!((broken.status, broken.param), (400, None));
}

#[test]
fn what_an_image_looks_like_is_said_in_several_ways() {
    let size = |body: Value| {
        let mut whole = json!({"model": "m", "prompt": "p"});
        whole
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        let Ask::Images(ask) = ask(Operation::Images, whole) else {
            panic!()
        };
        (
            ask.size.map(|size| size.to_string()),
            ask.pixels().to_string(),
        )
    };
    let some = |text: &str| (Some(text.to_owned()), text.to_owned());
    assert_eq!(size(json!({"size": "1536x1024"})), some("1536x1024"));
    assert_eq!(
        size(json!({"size": "1536x1024", "aspect_ratio": "3:2"})),
        some("1536x1024")
    );
    assert_eq!(size(json!({"size": "2K"})), some("2048x2048"));
    assert_eq!(
        size(json!({"resolution": "1K", "aspect_ratio": "16:9"})),
        some("1360x768")
    );
    assert_eq!(
        size(json!({"size": "auto", "aspect_ratio": "auto"})),
        (None, "1024x1024".to_owned())
    );
    assert_eq!(
        size(json!({"aspect_ratio": "16:9"})),
        (None, "1360x768".to_owned())
    );
}

#[test]
fn models_preferences_and_names_are_the_same_everywhere() {
    let body = json!({"models": ["a/b", "c/d"], "input": "x", "provider": {"order": ["p"]}, "user": "u", "session_id": "s", "max_cost": 0.5});
    let envelope = read(Operation::Embeddings, body).unwrap().envelope;
    assert_eq!(
        (envelope.model.as_str(), envelope.models.as_slice()),
        ("a/b", &["c/d".to_owned()][..])
    );
    assert_eq!(envelope.provider.unwrap().get(), r#"{"order":["p"]}"#);
    assert_eq!(
        (envelope.user.as_deref(), envelope.session_id.as_deref()),
        (Some("u"), Some("s"))
    );
    assert_eq!(envelope.max_cost.unwrap().get(), "0.5");
}

#[test]
fn a_form_says_what_json_says() {
    let form = [
        ("model", "a/b"),
        ("language", "de"),
        ("temperature", "0.2"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("diarize", "true"),
        ("prompt", "taken and not used"),
        ("provider", r#"{"only":["p"]}"#),
    ];
    let mut writer = crate::dialects::operations::multipart::Writer::default();
    form.iter()
        .for_each(|(name, value)| writer.text(name, value));
    writer.file("file", "talk.mp3", b"sound");
    let request = writer.post("/x");
    let (_, content_type) = &request.headers[0];
    let parsed = parse(Operation::Transcription, content_type, &request.body).unwrap();
    let Ask::Transcription(ask) = parsed.ask else {
        panic!()
    };
    let sound = Sound::Bytes {
        data: b"sound".to_vec(),
        filename: "talk.mp3".into(),
    };
    assert_eq!(ask.sound, sound);
    assert_eq!(ask.granularities, ["word", "segment"]);
    assert!(ask.verbose && ask.diarize);
    assert_eq!(parsed.envelope.provider.unwrap().get(), r#"{"only":["p"]}"#);
    let mut empty = crate::dialects::operations::multipart::Writer::default();
    empty.text("model", "a/b");
    let request = empty.post("/x");
    let error = parse(
        Operation::Transcription,
        &request.headers[0].1,
        &request.body,
    )
    .unwrap_err();
    assert_eq!(error.param.as_deref(), Some("file"));
}

#[test]
fn answers_have_the_references_fields() {
    let embeddings = ask(
        Operation::Embeddings,
        json!({"model": "m", "input": ["a", "b"]}),
    );
    let vectors = vec![
        Vector::Numbers(RawValue::from_string("[1.50]".into()).unwrap()),
        Vector::Base64("AAAA".into()),
    ];
    let usage = Usage {
        prompt: 5,
        ..Usage::default()
    };
    assert_eq!(
        said(&embeddings, Answer::Embeddings(vectors), usage),
        json!({
            "id": "gen-1", "object": "list", "model": "a/b", "provider": "P",
            "data": [
                {"object": "embedding", "index": 0, "embedding": [1.5]},
                {"object": "embedding", "index": 1, "embedding": "AAAA"},
            ],
            "usage": {"prompt_tokens": 5, "total_tokens": 5, "cost": 0.000000034, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.000000034}},
        })
    );
    let rerank = ask(
        Operation::Rerank,
        json!({"model": "m", "query": "q", "documents": ["a", {"text": "b", "image": "i"}]}),
    );
    let ranked = vec![Ranked {
        index: 1,
        score: serde_json::from_str("0.25").unwrap(),
    }];
    let units = Units {
        searches: 1,
        ..Units::default()
    };
    let told = said(
        &rerank,
        Answer::Rerank(ranked),
        Usage {
            units,
            ..Usage::default()
        },
    );
    assert_eq!(
        told["results"],
        json!([{"index": 1, "relevance_score": 0.25, "document": {"text": "b", "image": "i"}}])
    );
    assert_eq!(
        (
            &told["usage"]["search_units"],
            told["usage"].get("total_tokens")
        ),
        (&json!(1), None)
    );
    for (format, field) in [("b64_json", "b64_json"), ("url", "url")] {
        let images = ask(
            Operation::Images,
            json!({"model": "m", "prompt": "p", "response_format": format}),
        );
        let image = Image::Inline {
            base64: "AAAA".into(),
            mime: "image/png",
        };
        let told = said(&images, Answer::Images(vec![image]), Usage::default());
        assert!(told["data"][0][field].as_str().unwrap().ends_with("AAAA"));
        assert_eq!(
            (&told["created"], &told["data"][0]["media_type"]),
            (&json!(7), &json!("image/png"))
        );
    }
}

#[test]
fn times_are_told_to_those_who_asked_for_them() {
    let details = json!({"language": "en", "duration": 1.5, "segments": [{"id": 0}]});
    let transcript = Transcript {
        text: "hi".into(),
        details: details.as_object().unwrap().clone(),
    };
    let units = Units {
        audio_in_ms: 1_500,
        ..Units::default()
    };
    for (format, keys) in [
        ("json", &["text", "usage"][..]),
        (
            "verbose_json",
            &["text", "language", "duration", "segments", "usage"],
        ),
    ] {
        let body = json!({"model": "m", "input_audio": {"data": "AAAA", "format": "mp3"}, "response_format": format});
        let ask = ask(Operation::Transcription, body);
        let told = said(
            &ask,
            Answer::Transcription(transcript.clone()),
            Usage {
                units,
                ..Usage::default()
            },
        );
        let found: Vec<&str> = told
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(found, keys);
        assert_eq!(told["usage"]["seconds"], json!(1.5));
    }
}

#[test]
fn base64_is_what_openais_sdk_asks_for() {
    let Ask::Embeddings(ask) = ask(
        Operation::Embeddings,
        json!({"model": "m", "input": "a", "encoding_format": "base64"}),
    ) else {
        panic!()
    };
    assert_eq!(ask.encoding, Encoding::Base64);
}

fn events(ask: &Ask, answer: Answer, was_told: bool) -> Vec<(String, Value)> {
    let answered = Answered {
        answer,
        usage: Usage::default(),
        upstream_id: None,
    };
    let usage = Usage {
        prompt: 3,
        completion: 4,
        ..Usage::default()
    };
    let text = stream::end(ask, &answered, &meta(), &report(usage), was_told);
    let text = String::from_utf8(text).unwrap();
    let text = text.strip_suffix("data: [DONE]\n\n").expect("an end mark");
    let event = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        assert_eq!(data["type"], name.as_str());
        (name, data)
    };
    text.split_terminator("\n\n").map(event).collect()
}

#[test]
fn an_answer_is_events_for_those_who_asked_for_a_stream() {
    let images = ask(
        Operation::Images,
        json!({"model": "m", "prompt": "p", "n": 2, "stream": true, "partial_images": 0}),
    );
    assert!(images.streams());
    let image = Image::Inline {
        base64: "AAAA".into(),
        mime: "image/png",
    };
    let told = events(&images, Answer::Images(vec![image.clone(), image]), false);
    assert_eq!(told.len(), 2);
    assert!(
        told.iter().all(
            |(name, event)| name == "image_generation.completed" && event["b64_json"] == "AAAA"
        )
    );
    assert_eq!(
        told[0].1["usage"],
        Value::Null,
        "what all used is told once"
    );
    let usage = &told[1].1["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["completion_tokens"]),
        (&json!(3), &json!(4))
    );
    assert!(usage["cost"].is_number());

    let words = ask(
        Operation::Transcription,
        json!({"model": "m", "input_audio": {"data": "AAAA", "format": "wav"}, "stream": true}),
    );
    let transcript = Transcript {
        text: "Good day".into(),
        ..Transcript::default()
    };
    for (was_told, names) in [
        (false, vec!["transcript.text.delta", "transcript.text.done"]),
        (true, vec!["transcript.text.done"]),
    ] {
        let told = events(&words, Answer::Transcription(transcript.clone()), was_told);
        let found: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, names);
        let (_, last) = told.last().unwrap();
        assert_eq!(
            (&last["text"], &last["usage"]["input_tokens"]),
            (&json!("Good day"), &json!(3))
        );
    }
}

#[test]
fn a_voice_is_taken_from_one_recording() {
    let body =
        |references: Value| json!({"model": "m", "input": "Hi", "input_references": references});
    let recording =
        json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let said = json!({"type": "text", "text": "What is said in it"});
    for references in [json!([recording]), json!([said, recording])] {
        let Ask::Speech(speech) = ask(Operation::Speech, body(references)) else {
            panic!("speech was asked for");
        };
        assert_eq!(speech.reference.as_deref(), Some("AAAA"));
    }
    for (references, path) in [
        (json!([said]), "input_references"),
        (json!([recording, recording]), "input_references[1]"),
        (
            json!([{"type": "image_url", "image_url": {"url": "https://a.example"}}]),
            "input_references[0].type",
        ),
        (
            json!([{"type": "input_audio", "input_audio": {"data": "%"}}]),
            "input_references[0].input_audio.data",
        ),
        (
            json!([{"type": "input_audio"}]),
            "input_references[0].input_audio.data",
        ),
    ] {
        assert_eq!(
            wrong(Operation::Speech, body(references)),
            (400, path.to_owned())
        );
    }
}
