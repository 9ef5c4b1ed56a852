//! Conversations: one handler for every format that clients speak.

use std::rc::Rc;

use futures::{StreamExt, future::ready};
use serde_json::Value;

use super::{
    Ids, World, byok, content, conversation,
    http::{Body, Request, Response},
    prepare::prepare,
    presets::Applied,
    principal,
    response_cache::{self, Asked as Cached, Filling, Form, Headers, Lookup, event_stream},
};
use crate::{
    error::{Error, Result},
    guardrails::Outcome,
    identity::KeyRecord,
    relay::{self, Head, Job, Origin, Output},
    routing::explain::Strategy,
};

/// Answers a request for an answer, in one piece or as a stream.
pub async fn answer<W: World>(world: &W, request: Request, ids: &Ids) -> Result<Response> {
    let key = principal(world, &request).await?;
    converse(world, request, ids, key).await
}

/// Answers a request of a key's.
pub(super) async fn converse<W: World>(
    world: &W,
    request: Request,
    ids: &Ids,
    key: KeyRecord,
) -> Result<Response> {
    let (generation, surface) = (ids.generation.as_str(), ids.surface);
    let mut origin = origin(&request, &key, &ids.request);
    origin.account.clone_from(&key.account);
    let headers = Headers::of(&request);
    let mut prepared = prepare(world, request, surface, &key, generation).await?;
    origin.guardrails = prepared.screened.acted();
    let mut filling = None;
    let preset = prepared.preset.take();
    let by_preset = preset.as_ref().map(|applied| &*applied.preset);
    origin.preset = by_preset.map(|preset| preset.id.clone());
    let router = prepared.choice.as_ref().map(|choice| choice.router);
    origin.router = router.map(|router| Strategy::from(router).as_str().to_owned());
    if let Some(wish) = headers.wish(by_preset) {
        let asked = Cached {
            wish,
            form: Form::Talk(surface),
            id: generation,
            key: &key,
            origin: &origin,
            request: &prepared,
        };
        match response_cache::look_up(world, asked).await? {
            Lookup::Off => {}
            Lookup::Hit(mut response) => {
                tell_screened(&mut response, &prepared.screened);
                tell_dropped(&mut response, preset.as_ref());
                return Ok(response);
            }
            Lookup::Miss(miss) => filling = Some(miss),
        }
    }
    let screened = prepared.screened.clone();
    let mut plan = prepared.plan(world)?;
    let kit = prepared.equip(world, &mut plan)?;
    let native = prepared.chat.native_search.as_ref();
    let is_rewritten = native.is_some_and(|search| !search.is_own);
    let wishes = prepared.wishes(world, &plan)?;
    let remember = conversation::remember(world, &prepared.affinity);
    let witness = filling.as_ref().map(Filling::witness);
    let router = prepared.choice.as_ref().map(|choice| {
        let strategy = Strategy::from(choice.router).as_str();
        format!("{strategy}; {}", choice.summary())
    });
    let job = Job {
        id: generation.to_owned(),
        started_ms: prepared.started_ms,
        surface,
        request: prepared.chat,
        raw: prepared.raw,
        prompt_tokens: prepared.prompt_tokens,
        own_key_fee: byok::fee(world, &plan),
        plan,
        origin,
        on_served: Some(Rc::new(move |served| {
            remember(served);
            if let Some(witness) = &witness {
                witness(served);
            }
        })),
        affinity: prepared.affinity,
        wishes,
        filters: key
            .policy
            .as_ref()
            .and_then(|policy| policy.filters(&world.memory().patterns)),
        trusted_hosts: Rc::default(),
        is_rewritten,
        left_out: prepared.left_out,
        kit,
        ask: None,
        keeper: content::keeper(world, &key),
    };
    let mut response = relayed(world, job, filling).await?;
    tell_screened(&mut response, &screened);
    if let Some(router) = router {
        response.header("x-patchbay-router", router);
    }
    tell_dropped(&mut response, preset.as_ref());
    Ok(response)
}

/// Says what content filters found.
pub(super) fn tell_screened(response: &mut Response, screened: &Outcome) {
    if !screened.is_empty() {
        response.header("x-patchbay-guardrails", screened.header());
    }
}

/// Says what of the preset means nothing to clients of the surface.
fn tell_dropped(response: &mut Response, preset: Option<&Applied>) {
    if let Some(Applied { meaningless, .. }) = preset
        && !meaningless.is_empty()
    {
        response.header("x-patchbay-preset-dropped", meaningless.join(", "));
    }
}

async fn relayed<W: World>(world: &W, job: Job, mut filling: Option<Filling>) -> Result<Response> {
    let started_ms = job.started_ms;
    let mut outputs = relay::run(world.clone(), job);
    match outputs.next().await {
        Some(Output::Answer { head, body, tokens }) => {
            if let Some(filling) = &mut filling {
                filling.take(world, &body);
            }
            let mut response = Response::json_bytes(200, body);
            if let Some(filling) = &filling {
                filling.describe(&mut response);
            }
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
            let mut response = event_stream(Body::Empty);
            if let Some(filling) = &filling {
                filling.describe(&mut response);
            }
            let behind = world.clone();
            let chunks = outputs.filter_map(move |output| {
                let chunk = match output {
                    Output::Chunk(bytes) => Some(bytes),
                    _ => None,
                };
                if let (Some(filling), Some(bytes)) = (&mut filling, &chunk) {
                    filling.take(&behind, bytes);
                }
                ready(chunk)
            });
            response.body = Body::Stream(chunks.boxed_local());
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
pub(super) fn describe(response: &mut Response, head: &Head, total_ms: u64) {
    if let Some(provider) = &head.provider {
        response.header("x-patchbay-provider", provider.clone());
    }
    if let Some(model) = &head.model {
        response.header("x-patchbay-model", model.clone());
    }
    response.header("x-patchbay-attempts", head.attempts.to_string());
    if !head.pipeline.is_empty() {
        response.header("x-patchbay-pipeline", head.pipeline.join(", "));
    }
    if let Some(cost) = head.hedge_cost {
        response.header("x-patchbay-hedge-cost", cost.to_string());
    }
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

pub(super) fn origin(request: &Request, key: &KeyRecord, request_id: &str) -> Origin {
    Origin {
        account: key.account.clone(),
        key_hash: key.hash.clone(),
        secret: key.secret.clone(),
        member: key.member.clone(),
        request_id: request_id.to_owned(),
        referer: request
            .header("http-referer")
            .or_else(|| request.header("referer")),
        title: request
            .header("x-openrouter-title")
            .or_else(|| request.header("x-title")),
        user_agent: request.header("user-agent"),
        end_user: key.external_user.clone(),
        preset: None,
        router: None,
        guardrails: Value::Null,
    }
}
