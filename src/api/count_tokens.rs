//! `POST /messages/count_tokens`: how long a conversation is, before it is sent.
//!
//! The count is the gateway's estimate for every model, and says so; nothing is charged, and no provider is asked.

use serde_json::json;

use super::{
    Ids, World,
    http::{Request, Response},
    prepare::prepare,
    principal,
};
use crate::error::Result;

/// Says how the tokens were counted.
const HOW: &str = "x-patchbay-token-count";

/// Answers with the number of tokens of instructions, messages and tools.
pub async fn count<W: World>(world: &W, request: Request, ids: &Ids) -> Result<Response> {
    let key = principal(world, &request).await?;
    let prepared = prepare(world, request, ids.surface, &key, &ids.generation).await?;
    let mut response = Response::json(200, &json!({"input_tokens": prepared.prompt_tokens}));
    response.header(HOW, "estimate");
    Ok(response)
}
