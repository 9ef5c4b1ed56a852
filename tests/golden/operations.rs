//! Recorded embeddings, rankings, images and transcripts through the readers of their wires, and into our own form.
//!
//! Snapshots keep how many there are, their dimensions, order, length and usage. Requests that our own form can say are read by
//! its parser; the others stand for any request of their operation.

use std::collections::BTreeMap;

use patchbay::{
    catalog::{Dialect, Endpoint, Operation, Provider},
    dialects::{
        self, Target,
        operations::{answer, client, stream::Reader, streamed},
        report::{Meta, UsageReport},
    },
    operations::{Answer, Answered, Ask, embeddings::Encoding},
};
use serde_json::{Value, json};

use super::{answers::hold_against, summary};
use crate::common::{self, Case};

/// An API of the recordings and how it is read.
pub struct Row {
    /// Its name in the index.
    pub api: &'static str,
    operation: Operation,
    /// The wire's dialect.
    wire: &'static str,
    /// What its hosts do differently, if anything.
    quirk: &'static str,
}

const fn row(
    api: &'static str,
    operation: Operation,
    wire: &'static str,
    quirk: &'static str,
) -> Row {
    Row {
        api,
        operation,
        wire,
        quirk,
    }
}

/// The APIs of the table.
pub static TABLE: &[Row] = &[
    row("azure.embeddings", Operation::Embeddings, "openai", ""),
    row("cohere.embed", Operation::Embeddings, "cohere", ""),
    row("cohere.rerank", Operation::Rerank, "cohere", ""),
    row(
        "cohere.transcriptions",
        Operation::Transcription,
        "cohere",
        "",
    ),
    row("doubleword.embeddings", Operation::Embeddings, "openai", ""),
    row(
        "github-copilot.embeddings",
        Operation::Embeddings,
        "openai",
        "",
    ),
    row(
        "google.batchEmbedContents",
        Operation::Embeddings,
        "google",
        "",
    ),
    row("google.embedContent", Operation::Embeddings, "google", ""),
    row(
        "groq.transcriptions",
        Operation::Transcription,
        "openai",
        "",
    ),
    row("hyperbolic.images", Operation::Images, "openai", ""),
    row("llamacpp.embeddings", Operation::Embeddings, "openai", ""),
    row("llamacpp.rerank", Operation::Rerank, "openai", ""),
    row(
        "llamacpp.transcriptions",
        Operation::Transcription,
        "openai",
        "",
    ),
    row("mistral.embeddings", Operation::Embeddings, "openai", ""),
    row(
        "mistral.transcriptions",
        Operation::Transcription,
        "openai",
        "",
    ),
    row("nebius.images", Operation::Images, "openai", ""),
    row("ollama.embeddings", Operation::Embeddings, "openai", ""),
    row("openai.embeddings", Operation::Embeddings, "openai", ""),
    row("openai.images", Operation::Images, "openai", ""),
    row("openai.images_edit", Operation::Images, "openai", ""),
    row(
        "openai.transcriptions",
        Operation::Transcription,
        "openai",
        "",
    ),
    row("openrouter.embeddings", Operation::Embeddings, "openai", ""),
    row("openrouter.rerank", Operation::Rerank, "openai", ""),
    row(
        "openrouter.transcriptions",
        Operation::Transcription,
        "openai",
        "",
    ),
    row(
        "perplexity.embeddings",
        Operation::Embeddings,
        "openai",
        "signed_bytes",
    ),
    row("sambanova.embeddings", Operation::Embeddings, "openai", ""),
    row("together.images", Operation::Images, "openai", ""),
    row("together.rerank", Operation::Rerank, "openai", ""),
    row("venice.embeddings", Operation::Embeddings, "openai", ""),
    row(
        "venice.transcriptions",
        Operation::Transcription,
        "openai",
        "",
    ),
    row("vertex.embedContent", Operation::Embeddings, "google", ""),
    row("vertex.predict", Operation::Embeddings, "google", "predict"),
    row("voyage.embeddings", Operation::Embeddings, "voyage", ""),
    row("voyage.rerank", Operation::Rerank, "voyage", ""),
    row("xai.images", Operation::Images, "openai", ""),
    row("xai.images_edit", Operation::Images, "openai", ""),
];

impl Row {
    fn place(&self) -> (Endpoint, Provider) {
        let word = serde_json::to_value(self.operation).unwrap();
        let quirks: Vec<&str> = Some(self.quirk)
            .filter(|word| !word.is_empty())
            .into_iter()
            .collect();
        let endpoint = json!({
            "model": "test/model", "provider": "test", "tag": "test", "upstream_model_id": "m1", "operation": word,
            "context_length": 8192, "prices": {"prompt": 1, "completion": 1}, "supported_parameters": ["response_format"],
            "input_modalities": ["text"], "output_modalities": [self.operation.output()],
        });
        let provider = json!({
            "slug": "test", "name": "Test", "dialect": "openai_chat", "base_url": "https://x.example/v1",
            "auth": {"kind": "bearer"}, "secret": "TEST_KEY",
            "operations": {(word.as_str().unwrap()): {"dialect": self.wire, "quirks": quirks}},
        });
        (
            serde_json::from_value(endpoint).unwrap(),
            serde_json::from_value(provider).unwrap(),
        )
    }

    /// The request as our clients would send it; any request of its operation where it is not known or of another form.
    fn ask(&self, case: &Case) -> Ask {
        let parse = |raw: &[u8]| client::parse(self.operation, "application/json", raw);
        let own = case.request.as_deref().map(parse);
        if let Some(Ok(parsed)) = own {
            return parsed.ask;
        }
        let any = match self.operation {
            Operation::Embeddings => json!({"model": "m/m", "input": vec!["x"; inputs(case)]}),
            Operation::Rerank => {
                json!({"model": "m/m", "query": "x", "documents": ["a", "b", "c", "d", "e", "f", "g", "h"]})
            }
            Operation::Images => json!({"model": "m/m", "prompt": "x"}),
            _ => json!({"model": "m/m", "input_audio": {"data": "AAAA", "format": "wav"}}),
        };
        parse(any.to_string().as_bytes()).unwrap().ask
    }

    fn summarise(&self, case: &Case) -> Value {
        if case.status >= 400 {
            let dialect = match self.wire {
                "cohere" => Dialect::CohereV2,
                "google" => Dialect::Gemini,
                _ => Dialect::OpenaiChat,
            };
            return summary::of_error(&dialects::error(dialect, case.status, &case.response));
        }
        let (endpoint, provider) = self.place();
        let target = Target {
            endpoint: &endpoint,
            provider: &provider,
        };
        let ask = self.ask(case);
        let read = match case.response.starts_with(b"data:") {
            true => events(case).and_then(|reader| streamed(&ask, &target, reader)),
            false => answer(&ask, &target, std::slice::from_ref(&case.response)),
        };
        match read {
            Ok(read) => self.told(&ask, &read),
            Err(error) => summary::of_error(&error),
        }
    }

    /// What was read, and what our client gets of it, counted in the same way.
    fn told(&self, ask: &Ask, read: &Answered) -> Value {
        let written = client::write(ask, read, &Meta::default(), &UsageReport::default());
        let written: Value = serde_json::from_slice(&written).unwrap();
        let count = |path: &str| written[path].as_array().map_or(0, Vec::len);
        let answer = match &read.answer {
            Answer::Embeddings(vectors) => {
                assert_eq!(count("data"), vectors.len());
                let numbers = |vector: &patchbay::operations::embeddings::Vector| {
                    let told = vector.clone().encoded(Encoding::Numbers).unwrap();
                    let patchbay::operations::embeddings::Vector::Numbers(raw) = told else {
                        panic!("numbers were asked for");
                    };
                    serde_json::from_str::<Vec<f64>>(raw.get()).unwrap().len()
                };
                json!({"dimensions": vectors.iter().map(numbers).collect::<Vec<_>>()})
            }
            Answer::Rerank(ranked) => {
                assert_eq!(count("results"), ranked.len());
                json!({"order": ranked.iter().map(|one| one.index).collect::<Vec<_>>()})
            }
            Answer::Images(images) => {
                assert_eq!(count("data"), images.len());
                let of = |image: &patchbay::operations::images::Image| {
                    json!([image.mime(), image.base64().map(str::len)])
                };
                json!({"images": images.iter().map(of).collect::<Vec<_>>()})
            }
            Answer::Sound(sound) => json!({"bytes": sound.len()}),
            Answer::Transcription(transcript) => {
                assert_eq!(written["text"], json!(transcript.text));
                let known: Vec<&String> = transcript.details.keys().collect();
                json!({"chars": transcript.text.chars().count(), "details": known})
            }
        };
        json!({"answer": answer, "usage": read.usage})
    }
}

/// An answer that came as events: its pieces are the same in any chunking, and together its text.
fn events(case: &Case) -> patchbay::error::Result<Reader> {
    let mut told = Vec::new();
    let mut last = Reader::default();
    for size in [1, 13, case.response.len()] {
        let mut reader = Reader::default();
        let mut pieces = Vec::new();
        for chunk in case.response.chunks(size) {
            pieces.extend(reader.feed(chunk)?);
        }
        assert!(reader.is_done(), "{}", case.name);
        told.push((pieces, reader.text().to_owned()));
        last = reader;
    }
    assert!(told.windows(2).all(|two| two[0] == two[1]), "{}", case.name);
    assert!(!told[0].0.is_empty());
    Ok(last)
}

/// How many inputs a request of another form had, as it or its answer tells.
fn inputs(case: &Case) -> usize {
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let asked = case.request.as_deref().map(json).unwrap_or_default();
    let told = json(&case.response);
    let lists = [
        &asked["requests"],
        &asked["instances"],
        &asked["texts"],
        &told["embeddings"],
    ];
    let list = lists.into_iter().find_map(Value::as_array);
    list.map_or(1, Vec::len)
}

#[test]
fn answers_of_operations() {
    let mut seen = BTreeMap::new();
    for row in TABLE {
        let Some(cases) = common::recorded(row.api) else {
            return;
        };
        for case in cases.iter().filter(|case| !case.stream) {
            let twice = seen.insert(format!("{}/{}", row.api, case.name), row.summarise(case));
            assert!(twice.is_none(), "two cases {}", case.name);
        }
    }
    hold_against("operations", &seen);
}
