//! What a key's owner may see: `/key`, `/credits`, `/generation`.

use serde::Serialize;
use serde_json::json;

use super::{
    World, any_key,
    caller::payer,
    http::{Request, Response},
    keys::body::StateBody,
    not_on_record, principal,
};
use crate::{
    catalog::ServiceTier,
    credits::{
        money::{Nanos, dollars},
        ops,
        pricing::Part,
    },
    error::{Error, ErrorType, Next, Result, Source},
    time::rfc3339,
    usage::{
        Generation,
        d1::{SELECT_GENERATION, read_generation},
    },
};

/// `GET /key`.
pub async fn key<W: World>(world: &W, request: &Request) -> Result<Response> {
    let key = any_key(world, request).await?;
    if key.management {
        return Ok(Response::json(
            200,
            &json_data(&StateBody::of_manager(&key)),
        ));
    }
    let get = ops::KeyStateGet {
        hash: key.hash.clone(),
        member: key.member.clone(),
    };
    let state = world.call(&key.account, &get).await?;
    if state.key.disabled || state.key.deleted {
        return Err(Error::new(
            Source::Client,
            Next::Final,
            ErrorType::Authentication,
            "This API key is disabled",
        ));
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let body = StateBody::of(state, &key, now);
    Ok(Response::json(200, &json_data(&body)))
}

/// `{"data": …}`.
pub fn json_data<T: Serialize>(data: &T) -> impl Serialize {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        data: &'a T,
    }
    Envelope { data }
}

/// `GET /credits`.
pub async fn credits<W: World>(world: &W, request: &Request) -> Result<Response> {
    let account = payer(world, request).await?;
    let totals = world.call(&account, &ops::GetSnapshot {}).await?;
    #[derive(Serialize)]
    struct Totals {
        #[serde(with = "dollars")]
        total_credits: Nanos,
        #[serde(with = "dollars")]
        total_usage: Nanos,
    }
    let data = Totals {
        total_credits: totals.granted,
        total_usage: totals.charged,
    };
    Ok(Response::json(200, &json_data(&data)))
}

/// `GET /generation?id=`. The row arrives a moment after its answer; until then it is 404.
pub async fn generation<W: World>(world: &W, request: &Request) -> Result<Response> {
    let key = principal(world, request).await?;
    let id = request
        .query("id")
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Error::invalid("id", "The query parameter id is missing"))?;
    let rows = world
        .query(SELECT_GENERATION, &[id.into(), key.account.as_str().into()])
        .await?;
    let text = rows.first().and_then(|row| row.get("generation")?.as_str());
    let text = text.ok_or_else(|| not_on_record("generation", id))?;
    let generation = read_generation(text)
        .map_err(|error| Error::internal(format!("usage row {id}: {error}")))?;
    Ok(Response::json(200, &json_data(&render(&generation)?)))
}

#[derive(Serialize)]
struct Record {
    #[serde(flatten)]
    facts: serde_json::Value,
    service_tier: Option<String>,
    #[serde(with = "dollars")]
    total_cost: Nanos,
    #[serde(with = "dollars")]
    usage: Nanos,
    #[serde(with = "dollars::option")]
    cache_discount: Option<Nanos>,
    /// With an own provider key: the list price.
    #[serde(with = "dollars::option")]
    upstream_inference_cost: Option<Nanos>,
}

fn render(generation: &Generation) -> Result<Record> {
    let row = &generation.row;
    let responses: Vec<_> = row
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "provider_name": attempt.provider, "endpoint_id": attempt.endpoint,
                "model_permaslug": attempt.model, "status": attempt.status,
                "latency": attempt.latency_ms, "id": attempt.upstream_id, "error": attempt.error,
                "is_byok": attempt.own_key.is_some(),
                "routed_service_tier": ServiceTier::of_tag(&attempt.endpoint).map(ServiceTier::as_str),
                "service_tier": attempt.service_tier,
                "hedge_cost": attempt.hedge_cost.map(|cost| cost.to_string()),
                "part": attempt.part.map(|part| json!({
                    "tokens_prompt": part.usage.prompt, "tokens_completion": part.usage.completion,
                    "cost": part.cost.to_string(),
                })),
            })
        })
        .collect();
    let count = |what| row.charge.as_ref().map(|charge| charge.count(what));
    let corrections: Vec<_> = generation
        .corrections
        .iter()
        .map(|each| json!({"change": each.change.to_string(), "reason": each.reason, "at": rfc3339(each.at)}))
        .collect();
    let facts = json!({
        "id": generation.id,
        "request_id": row.request_id,
        "upstream_id": row.upstream_id,
        "created_at": rfc3339(row.created_at),
        "model": row.model,
        "provider_name": row.provider,
        "router": null, "preset_id": null,
        "session_id": row.origin.session_id,
        "external_user": row.origin.external_user,
        "app_id": null,
        "origin": row.origin.http_referer.as_deref().unwrap_or_default(),
        "http_referer": row.origin.http_referer,
        "app_title": row.origin.app_title,
        "user_agent": row.origin.user_agent,
        "api_type": row.api_type,
        "streamed": row.streamed,
        "cancelled": row.cancelled,
        "status": generation.status,
        "finish_reason": row.finish_reason,
        "native_finish_reason": row.native_finish_reason,
        "tokens_prompt": row.usage.prompt,
        "tokens_completion": row.usage.completion,
        "native_tokens_prompt": row.usage.prompt,
        "native_tokens_completion": row.usage.completion,
        "native_tokens_reasoning": row.usage.reasoning,
        "native_tokens_cached": row.usage.cache_read,
        "native_tokens_cache_write": row.usage.cache_write(),
        "native_tokens_completion_images": row.usage.image_out,
        "usage_estimated": row.usage.estimated,
        "latency": row.latency_ms,
        "generation_time": row.generation_ms,
        "is_byok": row.own_key.is_some(),
        "error": row.error,
        "charge": row.charge,
        "corrections": corrections,
        "num_search_results": count(Part::WebSearchResult),
        "num_web_searches": count(Part::WebSearch),
        "num_fetches": count(Part::WebFetch),
        "response_cache_source_id": row.response_cache_source_id,
        "provider_responses": responses,
    });
    let cost = cost(generation)?;
    let serving = row.attempts.last();
    Ok(Record {
        service_tier: serving.and_then(|attempt| attempt.service_tier.clone()),
        facts,
        total_cost: cost,
        usage: cost,
        cache_discount: row.charge.as_ref().and_then(|charge| charge.cache_discount),
        upstream_inference_cost: row.list_cost,
    })
}

/// What was charged, with every correction since.
fn cost(generation: &Generation) -> Result<Nanos> {
    generation
        .corrections
        .iter()
        .try_fold(generation.cost, |sum, each| sum.checked_add(each.change))
        .map_err(|error| Error::internal(format!("corrections of {}: {error}", generation.id)))
}
