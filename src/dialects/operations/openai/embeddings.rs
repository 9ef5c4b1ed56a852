//! Embeddings: `POST /embeddings`. Ollama's `/api/embed` and `/api/embeddings` answer in shapes that are read too.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    super::{post, put, read, texts, unsayable, unusable, vector},
    Counts,
};
use crate::{
    catalog::{OperationQuirk, OperationWire},
    dialects::NativeRequest,
    error::Result,
    operations::{
        Answer, Answered,
        embeddings::{Embeddings, Encoding, Input},
    },
};

/// Writes the request for some of the inputs.
pub fn request(
    ask: &Embeddings,
    inputs: &[Input],
    wire: &OperationWire,
    id: &str,
) -> Result<NativeRequest> {
    let mut body = Map::new();
    body.insert("model".into(), id.into());
    let tokens = |input: &Input| match input {
        Input::Tokens(tokens) => Some(Value::from(tokens.clone())),
        _ => None,
    };
    let input = match texts(inputs) {
        Some(texts) => Some(Value::from(texts)),
        None => inputs
            .iter()
            .map(tokens)
            .collect::<Option<Vec<_>>>()
            .map(Value::from),
    };
    let input = input.ok_or_else(|| {
        unsayable(
            "input",
            "This provider embeds texts, or tokens, but not both and no media",
        )
    })?;
    body.insert("input".into(), input);
    let dimensions = if wire.has(OperationQuirk::OutputDimension) {
        "output_dimension"
    } else {
        "dimensions"
    };
    put(&mut body, dimensions, ask.dimensions);
    if ask.encoding == Encoding::Base64
        && !wire.has(OperationQuirk::NumbersOnly)
        && !wire.has(OperationQuirk::SignedBytes)
    {
        body.insert("encoding_format".into(), "base64".into());
    }
    Ok(post("/embeddings", body))
}

#[derive(Deserialize)]
struct Body<'a> {
    id: Option<String>,
    #[serde(borrow)]
    data: Option<Vec<Item<'a>>>,
    /// Ollama.
    #[serde(borrow)]
    embeddings: Option<Vec<&'a RawValue>>,
    /// Ollama, older.
    #[serde(borrow)]
    embedding: Option<&'a RawValue>,
    prompt_eval_count: Option<u64>,
    #[serde(borrow)]
    usage: Option<Counts<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// Reads the answer.
pub fn answer(body: &[u8], wire: &OperationWire) -> Result<Answered> {
    let body: Body<'_> = read(body)?;
    let mut data = match (body.data, body.embeddings, body.embedding) {
        (Some(data), _, _) => data,
        (None, Some(several), _) => several.into_iter().map(Item::first).collect(),
        (None, None, Some(one)) => vec![Item::first(one)],
        (None, None, None) => {
            return Err(unusable("The provider's answer has no vectors in it"));
        }
    };
    // Stable: vectors without an index keep their place.
    data.sort_by_key(|item| item.index);
    let is_bytes = wire.has(OperationQuirk::SignedBytes);
    let vectors = data.iter().map(|item| vector(item.embedding, is_bytes));
    let vectors = vectors.collect::<Result<_>>()?;
    let mut usage = body.usage.unwrap_or_default().usage();
    if let Some(count) = body.prompt_eval_count {
        usage.prompt = count;
        usage.prompt_unknown = false;
    }
    // Some hosts count words where there can be none.
    usage.completion = 0;
    Ok(Answered {
        answer: Answer::Embeddings(vectors),
        usage,
        upstream_id: body.id,
    })
}

impl<'a> Item<'a> {
    fn first(embedding: &'a RawValue) -> Self {
        Self {
            index: None,
            embedding,
        }
    }
}
