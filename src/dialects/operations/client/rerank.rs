//! `POST /rerank`.

use serde::Deserialize;
use serde_json::Value;

use super::{json, put_cost, put_routing, text};
use crate::{
    dialects::{
        report::{Meta, UsageReport},
        splice::{ObjectWriter, put_array},
    },
    error::{Error, Result},
    operations::rerank::{Document, Ranked, Rerank},
};

/// The most documents of one request.
const MAX_DOCUMENTS: usize = 10_000;

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
pub(super) struct Body {
    query: String,
    documents: Vec<Value>,
    top_n: Option<u32>,
}

/// Reads the body.
pub fn parse(raw: &[u8]) -> Result<Rerank> {
    let body: Body = json(raw)?;
    if body.documents.is_empty() {
        return Err(Error::invalid("documents", "there are none"));
    }
    if body.documents.len() > MAX_DOCUMENTS {
        return Err(Error::invalid(
            "documents",
            format!("more than {MAX_DOCUMENTS}"),
        ));
    }
    if body.top_n == Some(0) {
        return Err(Error::invalid("top_n", "expected at least 1"));
    }
    let documents = body.documents.into_iter().enumerate();
    let documents = documents.map(|(at, value)| {
        let wrong = || {
            let path = format!("documents[{at}]");
            Error::invalid(path, "expected a string or an object with text or image")
        };
        let document = match value {
            Value::String(text) => Document {
                text: Some(text),
                image: None,
            },
            Value::Object(object) => Document {
                text: text(&object, "text").map(str::to_owned),
                image: text(&object, "image").map(str::to_owned),
            },
            _ => return Err(wrong()),
        };
        let is_empty = document == Document::default();
        if is_empty { Err(wrong()) } else { Ok(document) }
    });
    Ok(Rerank {
        query: body.query,
        documents: documents.collect::<Result<_>>()?,
        top_n: body.top_n,
    })
}

/// Writes the answer: the documents come back with their places.
pub fn write(ask: &Rerank, ranked: &[Ranked], meta: &Meta, report: &UsageReport) -> Vec<u8> {
    let mut body = Vec::with_capacity(1_024);
    let mut object = ObjectWriter::new(&mut body);
    object.field("id", &meta.id);
    object.field("model", &meta.model);
    object.field("provider", &meta.provider);
    put_array(object.key("results"), ranked, |out, one| {
        let mut item = ObjectWriter::new(out);
        item.field("index", &one.index);
        item.field("relevance_score", &one.score);
        let mut document = ObjectWriter::new(item.key("document"));
        if let Some(Document { text, image }) = ask.documents.get(one.index) {
            document.optional("text", text.as_ref());
            document.optional("image", image.as_ref());
        }
        document.end();
        item.end();
    });
    let mut usage = ObjectWriter::new(object.key("usage"));
    usage.field("search_units", &report.usage.units.searches);
    let tokens = Some(report.usage.prompt).filter(|tokens| *tokens > 0);
    usage.optional("total_tokens", tokens.as_ref());
    put_cost(&mut usage, report);
    usage.end();
    put_routing(&mut object, report);
    object.end();
    body
}
