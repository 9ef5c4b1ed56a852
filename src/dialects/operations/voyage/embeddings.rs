//! Embeddings: `POST /embeddings`, and `/multimodalembeddings` where an input has images.

use serde_json::{Map, Value, json};

use super::super::{openai, post, put, texts, unsayable};
use crate::{
    catalog::{OperationDialect, OperationWire},
    chat::{Media, Part},
    dialects::NativeRequest,
    error::Result,
    operations::{
        Answered,
        embeddings::{Embeddings, Encoding, Input},
    },
};

/// Writes the request for some of the inputs.
pub fn request(ask: &Embeddings, inputs: &[Input], id: &str) -> Result<NativeRequest> {
    let mut body = Map::new();
    body.insert("model".into(), id.into());
    let kind = ask.input_type.as_deref().map(|word| match word {
        "search_query" => "query",
        "search_document" | "passage" => "document",
        word => word,
    });
    put(&mut body, "input_type", kind);
    put(&mut body, "output_dimension", ask.dimensions);
    if let Some(texts) = texts(inputs) {
        body.insert("input".into(), texts.into());
        body.insert("truncation".into(), true.into());
        if ask.encoding == Encoding::Base64 {
            body.insert("encoding_format".into(), "base64".into());
        }
        return Ok(post("/embeddings", body));
    }
    let inputs = inputs.iter().map(content).collect::<Result<Vec<_>>>()?;
    body.insert("inputs".into(), inputs.into());
    Ok(post("/multimodalembeddings", body))
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
                Part::Image {
                    media: Media::Url(url),
                    ..
                } => Ok(json!({"type": "image_url", "image_url": url})),
                Part::Image {
                    media: Media::Inline { mime, data },
                    ..
                } => {
                    let url = format!("data:{mime};base64,{data}");
                    Ok(json!({"type": "image_base64", "image_base64": url}))
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

/// Reads the answer.
pub fn answer(body: &[u8]) -> Result<Answered> {
    openai::embeddings::answer(body, &OperationWire::plain(OperationDialect::Voyage))
}
