//! Embeddings: `:batchEmbedContents`, or `:predict` at Vertex. The older models count no tokens.

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::super::{post, put, read, unsayable, unusable};
use crate::{
    catalog::{OperationQuirk, OperationWire},
    chat::{Media, Part, Usage},
    dialects::NativeRequest,
    error::Result,
    operations::{
        Answer, Answered,
        embeddings::{Embeddings, Input, Vector},
    },
};

/// Writes the request for some of the inputs.
pub fn request(
    ask: &Embeddings,
    inputs: &[Input],
    wire: &OperationWire,
    id: &str,
) -> Result<NativeRequest> {
    let task = ask.input_type.as_deref().map(task);
    if wire.has(OperationQuirk::Predict) {
        return predict(ask, inputs, task, id);
    }
    let one = |input: &Input| {
        let mut request = Map::new();
        request.insert("model".into(), format!("models/{id}").into());
        request.insert("content".into(), json!({"parts": parts(input)?}));
        put(&mut request, "taskType", task.clone());
        put(&mut request, "outputDimensionality", ask.dimensions);
        Ok(Value::Object(request))
    };
    let requests = inputs.iter().map(one).collect::<Result<Vec<_>>>()?;
    let mut body = Map::new();
    body.insert("requests".into(), requests.into());
    Ok(post(format!("/models/{id}:batchEmbedContents"), body))
}

fn predict(
    ask: &Embeddings,
    inputs: &[Input],
    task: Option<String>,
    id: &str,
) -> Result<NativeRequest> {
    let one = |input: &Input| {
        let Input::Text(text) = input else {
            return Err(unsayable("input", "This provider embeds texts only"));
        };
        let mut instance = Map::new();
        instance.insert("content".into(), text.as_str().into());
        put(&mut instance, "task_type", task.clone());
        Ok(Value::Object(instance))
    };
    let instances = inputs.iter().map(one).collect::<Result<Vec<_>>>()?;
    let mut body = Map::new();
    body.insert("instances".into(), instances.into());
    if let Some(dimensions) = ask.dimensions {
        body.insert(
            "parameters".into(),
            json!({"outputDimensionality": dimensions}),
        );
    }
    Ok(post(format!("/models/{id}:predict"), body))
}

/// What vectors are for, in Google's words.
fn task(word: &str) -> String {
    match word {
        "query" | "search_query" => "RETRIEVAL_QUERY".to_owned(),
        "document" | "search_document" | "passage" => "RETRIEVAL_DOCUMENT".to_owned(),
        word => word.to_ascii_uppercase(),
    }
}

fn parts(input: &Input) -> Result<Vec<Value>> {
    let parts = match input {
        Input::Text(text) => return Ok(vec![json!({"text": text})]),
        Input::Tokens(_) => return Err(unsayable("input", "Google embeds no tokens")),
        Input::Parts(parts) => parts,
    };
    let inline = |mime: &str, data: &str| json!({"inlineData": {"mimeType": mime, "data": data}});
    let part = |part: &Part| match part {
        Part::Text { text, .. } => Ok(json!({"text": text})),
        Part::Audio { data, format } => Ok(inline(&format!("audio/{format}"), data)),
        Part::Image { media, .. } | Part::File { media, .. } | Part::Video { media } => match media
        {
            Media::Inline { mime, data } => Ok(inline(mime, data)),
            Media::Url(url) => Ok(json!({"fileData": {"fileUri": url}})),
            Media::FileId(_) => Err(unsayable("input", "Google knows no such file")),
        },
        _ => Err(unsayable("input", "Google cannot embed such a part")),
    };
    parts.iter().map(part).collect()
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    embeddings: Option<Vec<Values<'a>>>,
    #[serde(borrow)]
    embedding: Option<Values<'a>>,
    #[serde(borrow)]
    predictions: Option<Vec<Prediction<'a>>>,
    #[serde(rename = "usageMetadata")]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Prediction<'a> {
    #[serde(borrow)]
    embeddings: Values<'a>,
}

#[derive(Deserialize)]
struct Statistics {
    token_count: Option<u64>,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(rename = "promptTokenCount")]
    prompt: Option<u64>,
}

/// Reads the answer.
pub fn answer(body: &[u8]) -> Result<Answered> {
    let body: Body<'_> = read(body)?;
    let predictions = body.predictions.map(|list| {
        let values = list.into_iter().map(|one| one.embeddings);
        values.collect::<Vec<_>>()
    });
    let found = body.embeddings.or(predictions);
    let found = found.or(body.embedding.map(|one| vec![one]));
    let found = found.ok_or_else(|| unusable("The provider's answer has no vectors in it"))?;
    let counted = found.iter().map(|one| one.statistics.as_ref()?.token_count);
    let counted: Option<u64> = counted.sum();
    let prompt = body.usage.and_then(|usage| usage.prompt).or(counted);
    let vectors = found
        .into_iter()
        .map(|one| Vector::Numbers(one.values.to_owned()));
    Ok(Answered {
        answer: Answer::Embeddings(vectors.collect()),
        usage: Usage {
            prompt: prompt.unwrap_or(0),
            prompt_unknown: prompt.is_none(),
            ..Usage::default()
        },
        upstream_id: None,
    })
}
