//! `POST /chat/completions`.

use futures::StreamExt;

use super::{
    World, conversation,
    http::{Body, Request, Response},
    prepare::prepare,
    principal,
};
use crate::{
    error::{Error, Result},
    identity::KeyRecord,
    relay::{self, Head, Job, Origin, Output},
};

/// Answers with a completion or a stream of chunks.
pub async fn completions<W: World>(
    world: &W,
    request: Request,
    generation: &str,
    request_id: &str,
) -> Result<Response> {
    let key = principal(world, &request).await?;
    let mut origin = origin(&request, &key, request_id);
    let prepared = prepare(world, request, &key, generation).await?;
    let plan = prepared.plan(world)?;
    origin.account = key.account;
    let job = Job {
        id: generation.to_owned(),
        started_ms: prepared.started_ms,
        request: prepared.chat,
        raw: prepared.raw,
        prompt_tokens: prepared.prompt_tokens,
        plan,
        origin,
        on_served: Some(conversation::remember(world, &prepared.affinity)),
        affinity: prepared.affinity,
    };
    answer(world, job).await
}

async fn answer<W: World>(world: &W, job: Job) -> Result<Response> {
    let started_ms = job.started_ms;
    let mut outputs = relay::run(world.clone(), job);
    match outputs.next().await {
        Some(Output::Answer { head, body, tokens }) => {
            let mut response = Response::json_bytes(200, body);
            describe(
                &mut response,
                &head,
                world.now_ms().saturating_sub(started_ms),
            );
            response.header("x-patchbay-prompt-tokens", tokens.0.to_string());
            response.header("x-patchbay-completion-tokens", tokens.1.to_string());
            Ok(response)
        }
        Some(Output::Begin(head)) => {
            let chunks = outputs.filter_map(|output| async {
                match output {
                    Output::Chunk(bytes) => Some(bytes),
                    _ => None,
                }
            });
            let mut response = Response {
                status: 200,
                headers: vec![
                    ("content-type".into(), "text/event-stream".into()),
                    ("cache-control".into(), "no-cache".into()),
                ],
                body: Body::Stream(chunks.boxed_local()),
            };
            describe(
                &mut response,
                &head,
                world.now_ms().saturating_sub(started_ms),
            );
            Ok(response)
        }
        Some(Output::Failed(error)) => Err(*error),
        Some(Output::Chunk(_)) | None => Err(Error::internal("the relay sent no head")),
    }
}

/// Who served, after how many attempts, and where the time went: the gateway's own is what is left after waiting upstream.
fn describe(response: &mut Response, head: &Head, total_ms: u64) {
    if let Some(provider) = &head.provider {
        response.header("x-patchbay-provider", provider.clone());
    }
    if let Some(model) = &head.model {
        response.header("x-patchbay-model", model.clone());
    }
    response.header("x-patchbay-attempts", head.attempts.to_string());
    if let Some(sticky) = head.sticky {
        response.header("x-patchbay-sticky", sticky);
    }
    let own = total_ms.saturating_sub(head.upstream_ms);
    response.header(
        "server-timing",
        format!(
            "gateway;dur={own}, upstream;dur={}, total;dur={total_ms}",
            head.upstream_ms
        ),
    );
}

fn origin(request: &Request, key: &KeyRecord, request_id: &str) -> Origin {
    Origin {
        account: key.account.clone(),
        key_hash: key.hash.clone(),
        request_id: request_id.to_owned(),
        referer: request
            .header("http-referer")
            .or_else(|| request.header("referer")),
        title: request
            .header("x-openrouter-title")
            .or_else(|| request.header("x-title")),
        user_agent: request.header("user-agent"),
    }
}
