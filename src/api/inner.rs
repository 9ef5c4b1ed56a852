//! What the gateway itself asks of models for a key: planned, charged and recorded as what the key's owner asks for.

use serde_json::Value;

use super::{
    Ids, World, chat,
    http::{Body, Request, Response},
    operations,
};
use crate::{
    catalog::Operation,
    error::{Error, Result},
    identity::KeyRecord,
    json,
};

/// Where conversations go.
const CHAT: &str = "/api/v1/chat/completions";
/// Where texts become vectors.
const EMBEDDINGS: &str = "/api/v1/embeddings";
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
    let ids = Ids::new(world, None, CHAT)?;
    let request = request(CHAT, body);
    let response = Box::pin(chat::converse(world, request, &ids, key.clone())).await?;
    let answer = read(&response)?;
    let text = answer
        .pointer("/choices/0/message/content")
        .and_then(Value::as_str);
    Ok(Said {
        text: text.unwrap_or_default().to_owned(),
        cost: answer.pointer("/usage/cost").cloned(),
        generation: ids.generation,
    })
}

/// Asks for vectors in the words of `/embeddings`: the answer, and the id of the generation. The same texts within ten minutes cost nothing
/// more.
///
/// # Errors
/// Those of the operation.
pub(super) async fn embed<W: World>(
    world: &W,
    key: &KeyRecord,
    body: &Value,
) -> Result<(Value, String)> {
    let ids = Ids::new(world, None, EMBEDDINGS)?;
    let request = request(EMBEDDINGS, body);
    let served = operations::serve(world, request, &ids, Operation::Embeddings, key);
    let response = Box::pin(served).await?;
    Ok((read(&response)?, ids.generation))
}

fn request(path: &str, body: &Value) -> Request {
    let bytes = body.to_string().into_bytes();
    Request {
        method: "POST".to_owned(),
        origin: String::new(),
        path: path.to_owned(),
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
    }
}

fn read(response: &Response) -> Result<Value> {
    let bytes = match &response.body {
        Body::Bytes(bytes) => bytes.as_slice(),
        Body::Shared(text) => text.as_bytes(),
        Body::Empty | Body::Stream(_) => {
            return Err(Error::internal("a model's answer came in pieces"));
        }
    };
    json::from_slice(bytes).map_err(|error| Error::internal(error.to_string()))
}
