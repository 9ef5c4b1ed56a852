//! Operations beside conversation: `/embeddings`, `/rerank`, `/images`, `/audio/speech`, `/audio/transcriptions`.
//!
//! A request is planned, run and charged as a conversation in one piece is. `session_id`, `user` and `trace` are for the record only: they
//! never decide who serves. Out of scope: lists of models (`models`).

use std::rc::Rc;

use futures::{StreamExt, future::join, future::ready};

use super::{
    Ids, World, asked, byok,
    chat::{describe, origin, tell_screened},
    content, conversation,
    http::{Body, Request, Response, check_depth},
    know_statistics,
    prepare::{Prepared, metadata, screening},
    principal,
    response_cache::{self, Asked as Cached, Filling, Form, Headers, Lookup, event_stream},
};
use crate::{
    catalog::Operation,
    dialects::{
        Surface,
        operations::client::{self, Parsed},
    },
    error::{Error, Result},
    guardrails::{self, Screening},
    identity::KeyRecord,
    operations::Ask,
    relay::{self, Job, Output},
    routing::{self, ProviderPreferences, Wanted},
    server_tools::trusted_hosts,
    transforms::Plugins,
    usage::statistics,
};

/// Answers a request for an operation.
pub async fn answer<W: World>(
    world: &W,
    request: Request,
    ids: &Ids,
    operation: Operation,
) -> Result<Response> {
    let key = principal(world, &request).await?;
    serve(world, request, ids, operation, &key).await
}

/// The same for a key that is known.
///
/// # Errors
/// Those of the operation.
pub(super) async fn serve<W: World>(
    world: &W,
    request: Request,
    ids: &Ids,
    operation: Operation,
    key: &KeyRecord,
) -> Result<Response> {
    let mut origin = origin(&request, key, &ids.request);
    let headers = Headers::of(&request);
    // Vectors of the same words are the same vectors.
    let is_kept = operation == Operation::Embeddings && headers.ask();
    let (prepared, ask) = prepare(world, request, operation, key, &ids.generation, is_kept).await?;
    origin.guardrails = prepared.screened.acted();
    let mut filling = None;
    if let Some(wish) = headers.wish(None).filter(|_| is_kept) {
        let asked = Cached {
            wish,
            form: Form::Embeddings,
            id: &ids.generation,
            key,
            origin: &origin,
            request: &prepared,
        };
        match response_cache::look_up(world, asked).await? {
            Lookup::Off => {}
            Lookup::Hit(mut response) => {
                tell_screened(&mut response, &prepared.screened);
                return Ok(response);
            }
            Lookup::Miss(miss) => filling = Some(miss),
        }
    }
    let witness = filling.as_ref().map(Filling::witness);
    let screened = prepared.screened.clone();
    let plan = prepared.plan(world)?;
    let wishes = prepared.wishes(world, &plan)?;
    let ask = Rc::new(ask);
    let job = Job {
        id: ids.generation.clone(),
        started_ms: prepared.started_ms,
        surface: Surface::default(),
        request: prepared.chat,
        raw: Vec::new(),
        prompt_tokens: ask.expected().prompt,
        own_key_fee: byok::fee(world, &plan),
        plan,
        origin,
        on_served: witness.map(|witness| Rc::new(witness) as relay::OnServed),
        affinity: prepared.affinity,
        wishes,
        kit: None,
        is_rewritten: false,
        left_out: Vec::new(),
        filters: None,
        trusted_hosts: trusted_hosts(&|name| world.var(name)).into(),
        ask: Some(Rc::clone(&ask)),
        keeper: content::keeper(world, key),
    };
    let mut response = relayed(world, job, &ask, filling).await?;
    tell_screened(&mut response, &screened);
    Ok(response)
}

async fn prepare<W: World>(
    world: &W,
    request: Request,
    operation: Operation,
    key: &KeyRecord,
    generation: &str,
    keeps_raw: bool,
) -> Result<(Prepared, Ask)> {
    let started_ms = world.now_ms();
    let session = request.header("x-session-id");
    let header = request.header("x-provider");
    let content_type = request.header("content-type").unwrap_or_default();
    let metadata = metadata(&request);
    let known = know_statistics(world, statistics::MAX_AGE_MS);
    let (raw, ()) = join(request.body, known).await;
    let raw = raw?;
    if !content_type.starts_with("multipart/") {
        check_depth(&raw)?;
    }
    let Parsed {
        mut envelope,
        mut ask,
    } = client::parse(operation, &content_type, &raw)?;
    let mut screening = screening(world, key);
    if let Some(screening) = &mut screening {
        guardrails::operation(&mut ask, screening);
    }
    let screened = screening.map(Screening::finish).transpose()?;
    envelope.stream = ask.streams();
    // What was read is kept once, but for the key of the response cache.
    let raw = if keeps_raw { raw } else { Vec::new() };
    conversation::session_id(session, &mut envelope)?;
    let (models, strategy, online) = asked::models(world, &mut envelope, None, started_ms).await?;
    if let Some(path) = online {
        return Err(Error::invalid(
            path,
            "The web is searched for conversations only",
        ));
    }
    let preferences =
        ProviderPreferences::parse(envelope.provider.as_deref())?.with_header(header.as_deref())?;
    let prepared = Prepared {
        started_ms,
        seed: routing::seed(generation),
        chat: envelope,
        raw,
        preset: None,
        models,
        choice: None,
        plugins: Plugins::default(),
        tools: Default::default(),
        hosted: None,
        left_out: Vec::new(),
        strategy,
        preferences,
        prompt_tokens: ask.longest_input(),
        affinity: Rc::default(),
        own: byok::usable(world, key).await?,
        policy: key.policy.clone(),
        screened: screened.unwrap_or_default(),
        metadata,
        wanted: Some(Wanted {
            operation,
            inputs: ask.inputs(),
            expected: ask.expected(),
        }),
    };
    Ok((prepared, ask))
}

async fn relayed<W: World>(
    world: &W,
    job: Job,
    ask: &Ask,
    mut filling: Option<Filling>,
) -> Result<Response> {
    let started_ms = job.started_ms;
    let mut outputs = relay::run(world.clone(), job);
    let (mut response, head) = match outputs.next().await {
        Some(Output::Answer { head, body, .. }) => {
            if let Some(filling) = &mut filling {
                filling.take(world, &body);
            }
            let mut response = Response::json_bytes(200, body);
            if let Some(filling) = &filling {
                filling.describe(&mut response);
            }
            (response, head)
        }
        Some(Output::Begin(head)) => {
            let chunks = outputs.filter_map(|output| {
                ready(match output {
                    Output::Chunk(bytes) => Some(bytes),
                    _ => None,
                })
            });
            let body = Body::Stream(chunks.boxed_local());
            let mut response = match ask {
                Ask::Speech(_) => Response {
                    status: 200,
                    headers: Vec::new(),
                    body,
                },
                _ => event_stream(body),
            };
            if let Ask::Speech(speech) = ask {
                response.header("content-type", speech.format.mime());
            }
            (response, head)
        }
        Some(Output::Failed(error)) => return Err(*error),
        Some(Output::Chunk(_)) | None => return Err(Error::internal("the relay sent no head")),
    };
    let total_ms = world.now_ms().saturating_sub(started_ms);
    describe(&mut response, &head, total_ms);
    Ok(response)
}
