//! Embeddings: `POST /v2/embed`. What the vectors are for is a required field here.

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::super::{post, put, read, texts, unsayable, unusable};
use crate::{
    chat::{Media, Part, Usage},
    dialects::NativeRequest,
    error::Result,
    operations::{
        Answer, Answered,
        embeddings::{Embeddings, Input, Vector},
    },
};

/// What vectors are for where the client does not say.
const USUAL_TYPE: &str = "search_document";

/// Writes the request for some of the inputs.
pub fn request(ask: &Embeddings, inputs: &[Input], id: &str) -> Result<NativeRequest> {
    let mut body = Map::new();
    body.insert("model".into(), id.into());
    let kind = match ask.input_type.as_deref() {
        None => USUAL_TYPE,
        Some("query") => "search_query",
        Some("document" | "passage") => "search_document",
        Some(word) => word,
    };
    body.insert("input_type".into(), kind.into());
    body.insert("embedding_types".into(), json!(["float"]));
    put(&mut body, "output_dimension", ask.dimensions);
    match texts(inputs) {
        Some(texts) => body.insert("texts".into(), texts.into()),
        None => {
            let inputs = inputs.iter().map(content).collect::<Result<Vec<_>>>()?;
            body.insert("inputs".into(), inputs.into())
        }
    };
    Ok(post("/v2/embed", body))
}

fn content(input: &Input) -> Result<Value> {
    let text = |text: &str| json!({"type": "text", "text": text});
    let parts = match input {
        Input::Text(one) => vec![text(one)],
        Input::Tokens(_) => return Err(unsayable("input", "This provider embeds no tokens")),
        Input::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text { text: one, .. } => Ok(text(one)),
                Part::Image { media, .. } => {
                    let url = image_url(media)?;
                    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
                }
                _ => Err(unsayable(
                    "input",
                    "This provider embeds texts and images only",
                )),
            })
            .collect::<Result<_>>()?,
    };
    Ok(json!({"content": parts}))
}

/// An image as an address, its bytes as a `data:` URL.
pub fn image_url(media: &Media) -> Result<String> {
    match media {
        Media::Inline { mime, data } => Ok(format!("data:{mime};base64,{data}")),
        Media::Url(url) => Ok(url.clone()),
        Media::FileId(_) => Err(unsayable("input", "This provider knows no such file")),
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    id: Option<String>,
    /// By type; the older API answers with the bare list.
    #[serde(borrow)]
    embeddings: &'a RawValue,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct ByType {
    float: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Meta {
    billed_units: Option<Billed>,
}

#[derive(Deserialize)]
struct Billed {
    input_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

/// Reads the answer.
pub fn answer(body: &[u8]) -> Result<Answered> {
    let body: Body<'_> = read(body)?;
    let text = body.embeddings.get();
    let vectors = match crate::json::from_str::<ByType>(text) {
        Ok(by_type) => by_type.float,
        Err(_) => crate::json::from_str(text)
            .map_err(|_| unusable("The provider's answer has no vectors in it"))?,
    };
    let billed = body.meta.and_then(|meta| meta.billed_units);
    let prompt = billed.map(|billed| {
        let images = billed.image_tokens.unwrap_or(0);
        billed.input_tokens.unwrap_or(0).saturating_add(images)
    });
    Ok(Answered {
        answer: Answer::Embeddings(vectors.into_iter().map(Vector::Numbers).collect()),
        usage: Usage {
            prompt: prompt.unwrap_or(0),
            prompt_unknown: prompt.is_none(),
            ..Usage::default()
        },
        upstream_id: body.id,
    })
}
