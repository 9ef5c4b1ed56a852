//! Native spellings: what is written for each wire, and what is read of recorded answers.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::{
    catalog::{Endpoint, Operation, OperationQuirk, Provider},
    operations::{
        embeddings::{Embeddings, Encoding},
        images::{Image, Images, Size},
        rerank::Document,
        speech::{Format, Speech},
        transcription::{Sound, Transcription},
    },
};

/// An endpoint of an operation at a provider of this wire.
pub(super) fn place(operation: Operation, wire: Value) -> (Endpoint, Provider) {
    let endpoint = json!({
        "model": "test/model", "provider": "test", "tag": "test", "upstream_model_id": "m1",
        "operation": operation, "context_length": 8192, "prices": {"prompt": 1, "completion": 1},
        "supported_parameters": ["response_format"],
        "input_modalities": ["text"], "output_modalities": [operation.output()],
    });
    let provider = json!({
        "slug": "test", "name": "Test", "dialect": "openai_chat", "base_url": "https://x.example/v1",
        "auth": {"kind": "bearer"}, "secret": "TEST_KEY", "operations": {(word(operation)): wire},
    });
    (
        serde_json::from_value(endpoint).unwrap(),
        serde_json::from_value(provider).unwrap(),
    )
}

fn word(operation: Operation) -> String {
    let word = serde_json::to_value(operation).unwrap();
    word.as_str().unwrap().to_owned()
}

fn written(ask: &Ask, wire: Value) -> Result<Vec<NativeRequest>> {
    let (endpoint, provider) = place(ask.operation(), wire);
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    requests(ask, &target)
}

fn one(ask: &Ask, wire: Value) -> (String, Value) {
    let mut calls = written(ask, wire).unwrap();
    assert_eq!(calls.len(), 1);
    let call = calls.remove(0);
    (call.path, serde_json::from_slice(&call.body).unwrap())
}

fn read_as(ask: &Ask, wire: Value, bodies: &[&[u8]]) -> Result<Answered> {
    let (endpoint, provider) = place(ask.operation(), wire);
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let bodies: Vec<Vec<u8>> = bodies.iter().map(|body| body.to_vec()).collect();
    answer(ask, &target, &bodies)
}

fn embed(texts: &[&str]) -> Embeddings {
    Embeddings {
        inputs: texts
            .iter()
            .map(|text| Input::Text((*text).into()))
            .collect(),
        ..Embeddings::default()
    }
}

fn fixtures() -> Option<PathBuf> {
    let shared = std::env::var_os("PATCHBAY_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let folder = shared.join("fixtures");
    if folder.exists() {
        return Some(folder);
    }
    // The recordings are not part of the repository.
    None
}

/// Every recorded answer of an API: its case, the request where one was kept, and the body.
fn recorded(api: &str) -> Vec<(String, Option<Value>, u16, Vec<u8>)> {
    let Some(folder) = fixtures() else {
        return Vec::new();
    };
    let index = fs::read_to_string(folder.join("index.jsonl")).unwrap();
    let mut found = Vec::new();
    for line in index.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        if row["api"] != api || row["response_file"] != "response.json" {
            continue;
        }
        let case = row["case"].as_str().unwrap().to_owned();
        let folder = folder.join(row["provider"].as_str().unwrap()).join(&case);
        let request = fs::read(folder.join("request.json")).ok();
        let request = request.map(|raw| serde_json::from_slice(&raw).unwrap());
        let status = row["http_status"].as_u64().unwrap_or(200);
        let body = fs::read(folder.join("response.json")).unwrap();
        found.push((case, request, u16::try_from(status).unwrap(), body));
    }
    assert!(!found.is_empty(), "no recordings of {api}");
    found
}

/// The inputs of a recorded request, whatever its dialect.
fn inputs_of(request: &Value) -> Vec<Input> {
    let list = [
        "input",
        "texts",
        "prompt",
        "requests",
        "instances",
        "content",
        "inputs",
    ]
    .iter()
    .find_map(|key| request.get(*key))
    .unwrap_or_else(|| panic!("no input in {request}"));
    let text = |value: &Value| Input::Text(value.to_string());
    match list {
        Value::Array(items) => items.iter().map(text).collect(),
        other => vec![text(other)],
    }
}

#[test]
fn recorded_embeddings_are_read_and_can_be_had_in_both_forms() {
    for (api, wire) in [
        ("openai.embeddings", json!({"dialect": "openai"})),
        ("azure.embeddings", json!({"dialect": "openai"})),
        (
            "mistral.embeddings",
            json!({"dialect": "openai", "quirks": ["numbers_only"]}),
        ),
        ("venice.embeddings", json!({"dialect": "openai"})),
        ("doubleword.embeddings", json!({"dialect": "openai"})),
        ("github-copilot.embeddings", json!({"dialect": "openai"})),
        ("sambanova.embeddings", json!({"dialect": "openai"})),
        ("llamacpp.embeddings", json!({"dialect": "openai"})),
        ("openrouter.embeddings", json!({"dialect": "openai"})),
        ("ollama.embed", json!({"dialect": "openai"})),
        ("ollama.embeddings", json!({"dialect": "openai"})),
        (
            "perplexity.embeddings",
            json!({"dialect": "openai", "quirks": ["signed_bytes"]}),
        ),
        ("cohere.embed", json!({"dialect": "cohere"})),
        ("voyage.embeddings", json!({"dialect": "voyage"})),
        ("google.batchEmbedContents", json!({"dialect": "google"})),
        ("vertex.embedContent", json!({"dialect": "google"})),
    ] {
        for (case, request, status, body) in recorded(api) {
            let Some(request) = request else { continue };
            if status != 200 {
                continue;
            }
            let mut forms = Vec::new();
            for encoding in [Encoding::Numbers, Encoding::Base64] {
                let ask = Ask::Embeddings(Embeddings {
                    inputs: inputs_of(&request),
                    encoding,
                    ..Embeddings::default()
                });
                let read = read_as(&ask, wire.clone(), &[&body]);
                let read = read.unwrap_or_else(|error| panic!("{api} {case}: {error}"));
                let Answer::Embeddings(vectors) = read.answer else {
                    panic!("{case}")
                };
                assert!(read.usage.prompt > 0, "{case}");
                forms.push(vectors);
            }
            for (numbers, base64) in forms[0].iter().zip(&forms[1]) {
                assert!(numbers.text().starts_with('['), "{case}");
                assert_eq!(numbers.floats(), base64.floats(), "{case}");
                assert!(numbers.floats().unwrap().len() > 1, "{case}");
            }
        }
    }
}

#[test]
fn recorded_errors_name_what_the_provider_said() {
    for api in [
        "openai.embeddings",
        "mistral.embeddings",
        "cohere.embed",
        "google.batchEmbedContents",
        "voyage.embeddings",
        "venice.embeddings",
        "doubleword.embeddings",
        "llamacpp.embeddings",
        "llamacpp.rerank",
        "openai.images",
        "openai.images_edit",
        "hyperbolic.images",
        "openai.transcriptions",
        "llamacpp.transcriptions",
    ] {
        let dialect = match api.split('.').next() {
            Some("google") => OperationDialect::Google,
            Some("cohere") => OperationDialect::Cohere,
            _ => OperationDialect::Openai,
        };
        let failed = recorded(api);
        let failed = failed.iter().filter(|(_, _, status, _)| *status >= 400);
        for (case, _, status, body) in failed {
            let error = crate::dialects::error(dialect.of_errors(), *status, body);
            assert!(
                !error.message.contains("HTTP status"),
                "{case}: {}",
                error.message
            );
            assert!(error.status >= 400, "{case}");
        }
    }
}

#[test]
fn recorded_rankings_are_read() {
    for (api, dialect) in [
        ("cohere.rerank", "cohere"),
        ("voyage.rerank", "voyage"),
        ("llamacpp.rerank", "openai"),
        ("together.rerank", "openai"),
        ("openrouter.rerank", "openai"),
    ] {
        for (case, request, status, body) in recorded(api) {
            if status != 200 {
                continue;
            }
            let count = request.as_ref().map_or(10, |request| {
                request["documents"].as_array().map_or(10, Vec::len)
            });
            let ask = Ask::Rerank(Rerank {
                query: "q".into(),
                documents: vec![
                    Document {
                        text: Some("d".into()),
                        image: None
                    };
                    count
                ],
                top_n: None,
            });
            let read = read_as(&ask, json!({"dialect": dialect}), &[&body]);
            let read = read.unwrap_or_else(|error| panic!("{case}: {error}"));
            let Answer::Rerank(ranked) = read.answer else {
                panic!("{case}")
            };
            assert!(!ranked.is_empty(), "{case}");
            let scores: Vec<f64> = ranked
                .iter()
                .map(|one| one.score.as_f64().unwrap())
                .collect();
            assert!(scores.is_sorted_by(|a, b| a >= b), "{case}: {scores:?}");
            assert!(
                read.usage.units.searches > 0 && read.usage.prompt > 0,
                "{case}"
            );
        }
    }
}

#[test]
fn recorded_images_are_images_or_addresses_of_them() {
    let ask = Ask::Images(Images {
        prompt: "a tortoise".into(),
        n: 1,
        ..Images::default()
    });
    for api in ["together.images", "nebius.images"] {
        for (case, _, _, body) in recorded(api) {
            let read = read_as(&ask, json!({"dialect": "openai"}), &[&body]);
            let read = read.unwrap_or_else(|error| panic!("{case}: {error}"));
            let Answer::Images(images) = read.answer else {
                panic!("{case}")
            };
            assert_eq!(read.usage.units.images, 1, "{case}");
            assert!(images[0].mime().is_some(), "{case}");
        }
    }
    for api in ["xai.images", "xai.images_edit"] {
        for (case, _, _, body) in recorded(api) {
            let read = read_as(&ask, json!({"dialect": "openai"}), &[&body]).unwrap();
            let Answer::Images(images) = read.answer else {
                panic!("{case}")
            };
            assert!(
                matches!(&images[..], [Image::Address(url)] if url.starts_with("https://")),
                "{case}"
            );
        }
    }
}

#[test]
fn recorded_transcripts_are_read_with_their_length() {
    let ask = listen(Sound::Url("https://x.example/a.mp3".into()));
    for (api, dialect) in [
        ("openai.transcriptions", "openai"),
        ("groq.transcriptions", "openai"),
        ("mistral.transcriptions", "openai"),
        ("venice.transcriptions", "openai"),
        ("openrouter.transcriptions", "openai"),
        ("cohere.transcriptions", "cohere"),
    ] {
        for (case, _, status, body) in recorded(api) {
            if status != 200 {
                continue;
            }
            let read = read_as(&ask, json!({"dialect": dialect}), &[&body]);
            let read = read.unwrap_or_else(|error| panic!("{case}: {error}"));
            let Answer::Transcription(transcript) = &read.answer else {
                panic!("{case}")
            };
            assert!(!transcript.text.is_empty(), "{case}");
            assert!(read.usage.units.audio_in_ms > 0, "{case}");
            if case.contains("venice") {
                assert_eq!(read.usage.units.audio_in_ms, 5_496);
            }
        }
    }
}

#[test]
fn recorded_predictions_count_their_tokens() {
    for (case, request, status, body) in recorded("vertex.predict") {
        let Some(request) = request else { continue };
        assert_eq!(status, 200);
        let inputs = inputs_of(&request);
        let ask = Ask::Embeddings(Embeddings {
            inputs,
            ..Embeddings::default()
        });
        let wire = json!({"dialect": "google", "quirks": ["predict"]});
        let read = read_as(&ask, wire, &[&body]).unwrap();
        assert!(read.usage.prompt > 0 && !read.usage.estimated, "{case}");
    }
}

#[test]
fn texts_are_embedded_in_each_wires_own_words() {
    let ask = Ask::Embeddings(Embeddings {
        dimensions: Some(256),
        encoding: Encoding::Base64,
        input_type: Some("search_query".into()),
        ..embed(&["a", "b"])
    });
    for (wire, path, body) in [
        (
            json!({"dialect": "openai"}),
            "/embeddings",
            json!({"model": "m1", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64"}),
        ),
        (
            json!({"dialect": "openai", "quirks": ["numbers_only", "output_dimension"]}),
            "/embeddings",
            json!({"model": "m1", "input": ["a", "b"], "output_dimension": 256}),
        ),
        (
            json!({"dialect": "cohere"}),
            "/v2/embed",
            json!({"model": "m1", "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 256, "texts": ["a", "b"]}),
        ),
        (
            json!({"dialect": "voyage"}),
            "/embeddings",
            json!({"model": "m1", "input_type": "query", "output_dimension": 256, "input": ["a", "b"], "truncation": true, "encoding_format": "base64"}),
        ),
        (
            json!({"dialect": "google"}),
            "/models/m1:batchEmbedContents",
            json!({"requests": [
                {"model": "models/m1", "content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256},
                {"model": "models/m1", "content": {"parts": [{"text": "b"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256},
            ]}),
        ),
        (
            json!({"dialect": "google", "quirks": ["predict"]}),
            "/models/m1:predict",
            json!({"instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}, {"content": "b", "task_type": "RETRIEVAL_QUERY"}], "parameters": {"outputDimensionality": 256}}),
        ),
    ] {
        assert_eq!(one(&ask, wire), (path.to_owned(), body));
    }
}

#[test]
fn tokens_and_media_go_only_where_they_are_understood() {
    use crate::chat::{Media, Part};
    let tokens = Ask::Embeddings(Embeddings {
        inputs: vec![Input::Tokens(vec![1, 2]), Input::Tokens(vec![3])],
        ..Embeddings::default()
    });
    let (_, body) = one(&tokens, json!({"dialect": "openai"}));
    assert_eq!(body["input"], json!([[1, 2], [3]]));
    let picture = Ask::Embeddings(Embeddings {
        inputs: vec![Input::Parts(vec![
            Part::text("a"),
            Part::Image {
                media: Media::Inline {
                    mime: "image/png".into(),
                    data: "AAAA".into(),
                },
                detail: None,
                cache: None,
            },
        ])],
        ..Embeddings::default()
    });
    for dialect in ["cohere", "google", "voyage"] {
        let refused = written(&tokens, json!({"dialect": dialect})).unwrap_err();
        assert_eq!((refused.next, refused.status), (Next::NextAttempt, 400));
        let (path, body) = one(&picture, json!({"dialect": dialect}));
        assert!(body.to_string().contains("AAAA"), "{path}");
    }
    assert!(written(&picture, json!({"dialect": "openai"})).is_err());
}

#[test]
fn more_inputs_than_a_provider_takes_are_sent_in_several_calls_and_joined_in_order() {
    let ask = Ask::Embeddings(embed(&["a", "b", "c", "d", "e"]));
    let wire = json!({"dialect": "openai", "max_inputs": 2});
    let calls = written(&ask, wire.clone()).unwrap();
    let sent: Vec<Value> = calls
        .iter()
        .map(|call| serde_json::from_slice::<Value>(&call.body).unwrap()["input"].clone())
        .collect();
    assert_eq!(sent, [json!(["a", "b"]), json!(["c", "d"]), json!(["e"])]);
    // Out of order within a call, as some hosts answer.
    let first = br#"{"data":[{"index":1,"embedding":[2.5]},{"index":0,"embedding":[1.5]}],"usage":{"prompt_tokens":2}}"#;
    let second = br#"{"data":[{"index":0,"embedding":[3.5]},{"index":1,"embedding":[4.5]}],"usage":{"prompt_tokens":3}}"#;
    let third = br#"{"data":[{"embedding":[5.5]}],"usage":{"total_tokens":4}}"#;
    let read = read_as(&ask, wire.clone(), &[first, second, third]).unwrap();
    let Answer::Embeddings(vectors) = read.answer else {
        panic!()
    };
    let numbers: Vec<&str> = vectors.iter().map(Vector::text).collect();
    assert_eq!(numbers, ["[1.5]", "[2.5]", "[3.5]", "[4.5]", "[5.5]"]);
    assert_eq!(read.usage.prompt, 9);
    let error = read_as(&ask, wire, &[first, second]).unwrap_err();
    assert_eq!(error.source, crate::error::Source::Upstream);
}

#[test]
fn what_a_provider_does_not_count_is_estimated_only_where_it_is_sold() {
    let body = br#"{"data":[{"embedding":[1.5]}]}"#;
    let ask = Ask::Embeddings(embed(&["12345678"]));
    let read = read_as(&ask, json!({"dialect": "openai"}), &[body]).unwrap();
    assert_eq!((read.usage.prompt, read.usage.estimated), (2, true));
    let ask = Ask::Rerank(Rerank {
        query: "q".into(),
        documents: vec![Document {
            text: Some("d".into()),
            image: None,
        }],
        top_n: None,
    });
    let (mut endpoint, provider) = place(Operation::Rerank, json!({"dialect": "cohere"}));
    endpoint.prices = serde_json::from_value(
        json!({"prompt": 0, "completion": 0, "units": {"search_unit": 2_000_000}}),
    )
    .unwrap();
    let target = Target {
        endpoint: &endpoint,
        provider: &provider,
    };
    let body = br#"{"id":"x","results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":3}}}"#;
    let read = answer(&ask, &target, &[body.to_vec()]).unwrap();
    assert_eq!(
        (read.usage.units.searches, read.usage.estimated),
        (3, false)
    );
    assert_eq!(read.upstream_id.as_deref(), Some("x"));
}

#[test]
fn documents_are_ranked_in_each_wires_own_words() {
    let mut ask = Rerank {
        query: "q".into(),
        documents: vec![
            Document {
                text: Some("a".into()),
                image: None,
            },
            Document {
                text: Some("b".into()),
                image: None,
            },
        ],
        top_n: Some(1),
    };
    let documents = json!(["a", "b"]);
    for (dialect, path, body) in [
        (
            "openai",
            "/rerank",
            json!({"model": "m1", "query": "q", "documents": documents, "top_n": 1, "return_documents": false}),
        ),
        (
            "cohere",
            "/v2/rerank",
            json!({"model": "m1", "query": "q", "documents": documents, "top_n": 1}),
        ),
        (
            "voyage",
            "/rerank",
            json!({"model": "m1", "query": "q", "documents": documents, "top_k": 1, "truncation": true}),
        ),
    ] {
        let wire = json!({"dialect": dialect});
        assert_eq!(
            one(&Ask::Rerank(ask.clone()), wire),
            (path.to_owned(), body)
        );
    }
    // The wish for the best one holds, whatever the provider sends back.
    let body = br#"{"results":[{"index":0,"score":-1},{"index":1,"score":2}]}"#;
    let read = read_as(
        &Ask::Rerank(ask.clone()),
        json!({"dialect": "openai"}),
        &[body],
    );
    let Answer::Rerank(ranked) = read.unwrap().answer else {
        panic!()
    };
    assert_eq!((ranked.len(), ranked[0].index), (1, 1));
    let strange = br#"{"results":[{"index":7,"score":1}]}"#;
    assert!(
        read_as(
            &Ask::Rerank(ask.clone()),
            json!({"dialect": "openai"}),
            &[strange]
        )
        .is_err()
    );
    ask.documents[1].image = Some("https://x.example/a.png".into());
    let refused = written(&Ask::Rerank(ask.clone()), json!({"dialect": "cohere"})).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("documents[1].image"));
    let wire = json!({"dialect": "openai", "max_inputs": 1});
    assert_eq!(
        written(&Ask::Rerank(ask), wire)
            .unwrap_err()
            .param
            .as_deref(),
        Some("documents")
    );
}

#[test]
fn images_are_asked_for_in_each_wires_own_words() {
    let ask = Images {
        prompt: "p".into(),
        n: 2,
        size: Size::parse("1536x1024"),
        quality: Some("hd".into()),
        ..Images::default()
    };
    for (wire, path, body) in [
        (
            json!({"dialect": "openai", "quirks": ["always_base64", "image_finish"]}),
            "/images/generations",
            json!({"model": "m1", "prompt": "p", "n": 2, "size": "1536x1024", "quality": "high"}),
        ),
        (
            json!({"dialect": "openai", "quirks": ["width_and_height", "base64_word"]}),
            "/images/generations",
            json!({"model": "m1", "prompt": "p", "n": 2, "width": 1536, "height": 1024, "response_format": "base64"}),
        ),
        (
            json!({"dialect": "openai", "quirks": ["aspect_ratio"]}),
            "/images/generations",
            json!({"model": "m1", "prompt": "p", "n": 2, "aspect_ratio": "3:2", "response_format": "b64_json"}),
        ),
        (
            json!({"dialect": "google", "quirks": ["predict"]}),
            "/models/m1:predict",
            json!({"instances": [{"prompt": "p"}], "parameters": {"sampleCount": 2, "aspectRatio": "3:2"}}),
        ),
    ] {
        assert_eq!(
            one(&Ask::Images(ask.clone()), wire),
            (path.to_owned(), body)
        );
    }
    let painted = written(&Ask::Images(ask.clone()), json!({"dialect": "google"})).unwrap();
    assert_eq!(painted.len(), 2, "one call an image");
    assert_eq!(painted[0].path, "/models/m1:generateContent");
    let several = json!({"dialect": "openai", "max_inputs": 1});
    assert_eq!(
        written(&Ask::Images(ask.clone()), several).unwrap().len(),
        2
    );
    let edited = Images {
        references: vec!["data:image/png;base64,AAAA".into()],
        ..ask
    };
    let (path, body) = one(
        &Ask::Images(edited.clone()),
        json!({"dialect": "openai", "quirks": ["image_edits", "always_base64"]}),
    );
    assert_eq!(path, "/images/edits");
    assert_eq!(
        body["images"],
        json!([{"image_url": "data:image/png;base64,AAAA"}])
    );
    let refused = written(&Ask::Images(edited), json!({"dialect": "openai"})).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("input_references"));
}

#[test]
fn images_that_were_withheld_are_a_matter_of_content() {
    let ask = Ask::Images(Images {
        prompt: "p".into(),
        n: 1,
        ..Images::default()
    });
    for body in [
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
        json!({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}),
        json!({"predictions": [{"raiFilteredReason": "Unable to show this"}]}),
    ] {
        let body = body.to_string();
        let error = read_as(&ask, json!({"dialect": "google"}), &[body.as_bytes()]).unwrap_err();
        assert_eq!(
            error.error_type,
            ErrorType::ContentPolicyViolation,
            "{body}"
        );
    }
    let nothing = read_as(
        &ask,
        json!({"dialect": "google"}),
        &[b"{\"candidates\":[]}"],
    );
    assert_eq!(
        nothing.unwrap_err().error_type,
        ErrorType::ProviderUnavailable
    );
    for (case, _, status, body) in recorded("vertex.predict") {
        if !case.contains("all-filtered") {
            continue;
        }
        assert_eq!(status, 200);
        let wire = json!({"dialect": "google", "quirks": ["predict"]});
        let error = read_as(&ask, wire, &[&body]).unwrap_err();
        assert_eq!(
            error.error_type,
            ErrorType::ContentPolicyViolation,
            "{case}"
        );
    }
}

#[test]
fn a_text_is_spoken_in_the_form_asked_for() {
    let ask = Ask::Speech(Speech {
        text: "Hello".into(),
        format: Format::Mp3,
        ..Speech::default()
    });
    let body = json!({"model": "m1", "input": "Hello", "voice": "alloy", "response_format": "mp3"});
    assert_eq!(
        one(&ask, json!({"dialect": "openai"})),
        ("/audio/speech".to_owned(), body)
    );
    assert!(written(&ask, json!({"dialect": "cohere"})).is_err());
}

fn listen(sound: Sound) -> Ask {
    Ask::Transcription(Transcription {
        sound,
        language: Some("en".into()),
        temperature: None,
        verbose: false,
        granularities: vec!["word".into()],
        diarize: false,
        keyterms: Vec::new(),
        stream: false,
    })
}

#[test]
fn sound_travels_as_a_form_and_times_are_asked_for_where_they_are_told() {
    let sound = Sound::Bytes {
        data: b"RIFFbytes".to_vec(),
        filename: "a.wav".into(),
    };
    let mut calls = written(&listen(sound.clone()), json!({"dialect": "openai"})).unwrap();
    let call = calls.remove(0);
    let (_, content_type) = &call.headers[0];
    let parts = multipart::parse(content_type, &call.body).unwrap();
    let fields: Vec<(&str, &[u8])> = parts
        .iter()
        .map(|part| (part.name.as_str(), part.data))
        .collect();
    assert_eq!(
        fields,
        [
            ("model", &b"m1"[..]),
            ("file", b"RIFFbytes"),
            ("response_format", b"verbose_json"),
            ("language", b"en"),
            ("timestamp_granularities[]", b"word"),
        ]
    );
    let (endpoint, provider) = place(Operation::Transcription, json!({"dialect": "openai"}));
    let plain = Endpoint {
        supported_parameters: Vec::new(),
        ..endpoint
    };
    let target = Target {
        endpoint: &plain,
        provider: &provider,
    };
    let calls = requests(&listen(sound.clone()), &target).unwrap();
    assert!(!String::from_utf8_lossy(&calls[0].body).contains("verbose_json"));
    let Ask::Transcription(ask) = listen(sound) else {
        panic!()
    };
    let verbose = Ask::Transcription(Transcription {
        verbose: true,
        ..ask
    });
    assert_eq!(
        requests(&verbose, &target).unwrap_err().next,
        Next::NextAttempt
    );
    let address = listen(Sound::Url("https://x.example/a.mp3".into()));
    assert!(written(&address, json!({"dialect": "openai"})).is_err());
    for (quirk, field) in [("url_field", "url"), ("file_url_field", "file_url")] {
        let wire = json!({"dialect": "openai", "quirks": [quirk]});
        let calls = written(&address, wire).unwrap();
        let text = String::from_utf8_lossy(&calls[0].body).into_owned();
        assert!(text.contains(&format!("name=\"{field}\"\r\n\r\nhttps://x.example/a.mp3")));
    }
}

#[test]
fn an_error_under_status_200_is_that_error() {
    let ask = Ask::Embeddings(embed(&["a"]));
    let body = br#"{"error":{"message":"boom","code":"server_error"}}"#;
    let error = read_as(&ask, json!({"dialect": "openai"}), &[body]).unwrap_err();
    assert_eq!(error.message, "boom");
    for garbage in [&b"<html>"[..], b"", b"[]", b"{\"data\":3}", b"{}"] {
        let error = read_as(&ask, json!({"dialect": "openai"}), &[garbage]).unwrap_err();
        assert_eq!(error.source, crate::error::Source::Upstream);
    }
}

#[test]
fn a_provider_of_another_dialect_has_no_operations_unless_its_row_says_how() {
    let (endpoint, provider) = place(Operation::Embeddings, json!({"dialect": "openai"}));
    let bare = Provider {
        dialect: Dialect::AnthropicMessages,
        operations: std::collections::BTreeMap::new(),
        ..provider
    };
    let target = Target {
        endpoint: &endpoint,
        provider: &bare,
    };
    assert!(requests(&Ask::Embeddings(embed(&["a"])), &target).is_err());
    assert!(
        OperationWire::plain(OperationDialect::Google)
            .quirks
            .is_empty()
    );
    let _ = OperationQuirk::Predict;
}
