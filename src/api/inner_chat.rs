//! A conversation that the gateway itself holds for a key: planned, charged and recorded as one that the key's owner asks for.

use serde_json::Value;

use super::{
    Ids, World, chat,
    http::{Body, Request},
};
use crate::{
    error::{Error, Result},
    identity::KeyRecord,
    json,
};

/// Where such a request goes.
const PATH: &str = "/api/v1/chat/completions";
/// How long an answer to the same question is given again, in seconds.
const REMEMBERED_S: &str = "600";

/// What a model said.
pub(super) struct Said {
    /// Its words.
    pub text: String,
    /// What it cost, in dollars.
    pub cost: Option<Value>,
    /// The id of the generation.
    pub generation: String,
}

/// Asks in the words of chat completions. The same question within ten minutes costs nothing more.
///
/// # Errors
/// Those of the conversation.
pub(super) async fn ask<W: World>(world: &W, key: &KeyRecord, body: &Value) -> Result<Said> {
    let bytes = body.to_string().into_bytes();
    let request = Request {
        method: "POST".to_owned(),
        origin: String::new(),
        path: PATH.to_owned(),
        query: Vec::new(),
        header: Box::new(|name| {
            let value = match name {
                "content-type" => "application/json",
                "x-openrouter-cache" => "true",
                "x-openrouter-cache-ttl" => REMEMBERED_S,
                _ => return None,
            };
            Some(value.to_owned())
        }),
        body: Box::pin(async move { Ok(bytes) }),
    };
    let ids = Ids::new(world, None, PATH)?;
    let response = Box::pin(chat::converse(world, request, &ids, key.clone())).await?;
    let bytes = match &response.body {
        Body::Bytes(bytes) => bytes.as_slice(),
        Body::Shared(text) => text.as_bytes(),
        Body::Empty | Body::Stream(_) => {
            return Err(Error::internal("a model's answer came in pieces"));
        }
    };
    let answer: Value =
        json::from_slice(bytes).map_err(|error| Error::internal(error.to_string()))?;
    let text = answer
        .pointer("/choices/0/message/content")
        .and_then(Value::as_str);
    Ok(Said {
        text: text.unwrap_or_default().to_owned(),
        cost: answer.pointer("/usage/cost").cloned(),
        generation: ids.generation,
    })
}
