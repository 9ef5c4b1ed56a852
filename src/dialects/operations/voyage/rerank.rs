//! Rerank: `POST /rerank`.

use serde_json::Map;

use super::super::{documents, post, put};
use crate::{dialects::NativeRequest, error::Result, operations::rerank::Rerank};

/// Writes the request.
pub fn request(ask: &Rerank, id: &str) -> Result<NativeRequest> {
    let mut body = Map::new();
    body.insert("model".into(), id.into());
    body.insert("query".into(), ask.query.as_str().into());
    body.insert("documents".into(), documents(ask)?.into());
    put(&mut body, "top_k", ask.top_n);
    body.insert("truncation".into(), true.into());
    Ok(post("/rerank", body))
}
