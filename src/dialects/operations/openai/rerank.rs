//! Rerank: `POST /rerank` as Jina, Together, vLLM and llama.cpp share it. Its answers, Cohere's and Voyage's differ by names only.

use serde::Deserialize;
use serde_json::{Map, Number};

use super::{
    super::{documents, post, put, ranked, read, unusable},
    Counts,
};
use crate::{
    dialects::NativeRequest,
    error::Result,
    operations::{
        Answered,
        rerank::{Ranked, Rerank},
    },
};

/// Writes the request.
pub fn request(ask: &Rerank, id: &str) -> Result<NativeRequest> {
    let mut body = Map::new();
    body.insert("model".into(), id.into());
    body.insert("query".into(), ask.query.as_str().into());
    body.insert("documents".into(), documents(ask)?.into());
    put(&mut body, "top_n", ask.top_n);
    body.insert("return_documents".into(), false.into());
    Ok(post("/rerank", body))
}

#[derive(Deserialize)]
struct Body<'a> {
    id: Option<String>,
    results: Option<Vec<Item>>,
    data: Option<Vec<Item>>,
    #[serde(borrow)]
    usage: Option<Counts<'a>>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    #[serde(alias = "score")]
    relevance_score: Number,
}

#[derive(Deserialize)]
struct Meta {
    billed_units: Option<Billed>,
}

#[derive(Deserialize)]
struct Billed {
    search_units: Option<Number>,
}

/// Reads the answer.
pub fn answer(body: &[u8], ask: &Rerank) -> Result<Answered> {
    let body: Body<'_> = read(body)?;
    let items = body.results.or(body.data);
    let items = items.ok_or_else(|| unusable("The provider's answer has no order in it"))?;
    let items = items.into_iter().map(|item| Ranked {
        index: item.index,
        score: item.relevance_score,
    });
    let answer = ranked(ask, items.collect())?;
    let mut usage = body.usage.unwrap_or_default().usage();
    usage.completion = 0;
    let billed = body.meta.and_then(|meta| meta.billed_units?.search_units);
    if let Some(units) = billed.and_then(|units| units.as_u64()) {
        usage.units.searches = units;
    }
    Ok(Answered {
        answer,
        usage,
        upstream_id: body.id,
    })
}
