//! `POST /messages/count_tokens`: how long a conversation is, before it is sent.
//!
//! The first endpoint of the plan that counts is asked, for a short time; where none does, or it does not answer, the count is the
//! gateway's estimate. A header says which it is. Nothing is charged.

use futures::{
    StreamExt,
    future::{Either, select},
};
use serde_json::json;

use super::{
    Ids, World,
    http::{Request, Response},
    prepare::{Prepared, prepare},
    principal,
};
use crate::{
    dialects::{Inbound, Surface, Target, count},
    error::Result,
    relay::UpstreamCall,
    routing::Step,
};

/// Says how the tokens were counted: `provider` or `estimate`.
const HOW: &str = "x-patchbay-token-count";
/// The longest wait for a provider's count, in milliseconds.
const COUNT_MS: u64 = 3_000;
/// The longest answer that can be a count, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Answers with the number of tokens of instructions, messages and tools.
pub async fn count<W: World>(world: &W, request: Request, ids: &Ids) -> Result<Response> {
    let key = principal(world, &request).await?;
    let prepared = prepare(world, request, ids.surface, &key, &ids.generation).await?;
    // Who can be asked is the plan's to say, as for an answer. Where nobody may serve, an estimate does no harm.
    let steps = prepared.plan(world).map(|plan| plan.attempts);
    let mut steps = steps.unwrap_or_default().into_iter();
    let step = steps.find(|step| step.route.provider.counts_tokens);
    let counted = match &step {
        Some(step) => {
            let asking = std::pin::pin!(ask(world, &prepared, step, ids.surface));
            match select(asking, world.sleep(COUNT_MS)).await {
                Either::Left((counted, _)) => counted,
                Either::Right(_) => None,
            }
        }
        None => None,
    };
    let tokens = counted.unwrap_or(prepared.prompt_tokens);
    let mut response = Response::json(200, &json!({"input_tokens": tokens}));
    let how = if counted.is_some() {
        "provider"
    } else {
        "estimate"
    };
    response.header(HOW, how);
    if let Some(step) = step.filter(|_| counted.is_some()) {
        response.header("x-patchbay-provider", step.route.provider.name.as_str());
    }
    Ok(response)
}

/// The provider's own count; nothing where it does not tell one.
async fn ask<W: World>(
    world: &W,
    prepared: &Prepared,
    step: &Step,
    surface: Surface,
) -> Option<u64> {
    let (route, credential) = step.credential.localised(&step.route);
    // The client's bytes know nothing of tools that the gateway runs.
    let raw = Some(prepared.raw.as_slice()).filter(|_| prepared.tools.is_empty());
    let inbound = Inbound {
        request: &prepared.chat,
        surface,
        raw,
    };
    let target = Target {
        endpoint: &route.endpoint,
        provider: &route.provider,
    };
    let request = count::request(&inbound, &target).ok()??;
    let provider = std::rc::Rc::clone(&route.provider);
    let call = UpstreamCall {
        provider,
        credential,
        request,
    };
    let mut answer = world.send(call).await.ok()?;
    let mut body = Vec::new();
    while let Some(bytes) = answer.body.next().await {
        body.extend(bytes.ok()?);
        if body.len() > MAX_ANSWER {
            return None;
        }
    }
    world.release(answer.body);
    (answer.status == 200)
        .then(|| count::answer(&body))
        .flatten()
}
