//! `POST /route`: the plan for a chat completion, without running or charging it.

use super::{
    World,
    http::{Request, Response},
    prepare::prepare,
    principal,
};
use crate::{dialects::Surface, error::Result};

/// Answers with the plan, also where nothing can serve.
pub async fn explain<W: World>(world: &W, request: Request, generation: &str) -> Result<Response> {
    let key = principal(world, &request).await?;
    let prepared = prepare(world, request, Surface::ChatCompletions, &key, generation).await?;
    Ok(Response::json(200, &prepared.explain(world)?))
}
