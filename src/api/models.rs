//! The public catalog: `/models`, `/models/count`, `/model/…`, `/models/…/endpoints`, `/providers`.

use futures::future::{join, join_all};
use serde_json::json;

use super::{
    World, any_key,
    http::{Request, Response},
    know_statistics, principal,
};
use crate::{
    catalog::{
        Modality, images as image_models,
        listing::{self, ListEntry},
        publish::{index_key, list_key},
        query::ListQuery,
        wire::{self, Figures},
    },
    error::{Error, ErrorType, Result},
    guardrails::Candidate,
    routing::statistics::{EndpointStatistics, Percentiles, Window},
    usage::statistics::LISTING_AGE_MS,
};

/// `GET /models`: pre-rendered where nothing is filtered. `output`: only models that write this.
pub async fn list<W: World>(
    world: &W,
    request: &Request,
    output: Option<Modality>,
) -> Result<Response> {
    let mut query = query(request)?;
    if let Some(output) = output {
        query.output = Some(vec![output]);
    }
    let memory = world.memory();
    let now_ms = world.now_ms();
    if query.is_plain() {
        let text = memory.catalog.text(world, list_key, now_ms).await?;
        return Ok(Response::json_shared(text));
    }
    let index = index(world).await?;
    let seconds = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
    let page = listing::page(&index, &query, seconds);
    let next = page.next_offset.map(|offset| next_page(request, offset));
    let body = page.body(next.as_deref());
    Ok(Response::json_bytes(200, body.into_bytes()))
}

/// `GET /models/user`: the models that the key's guardrails allow. The filters of `/models` hold here too.
pub async fn of_user<W: World>(world: &W, request: &Request) -> Result<Response> {
    let key = any_key(world, request).await?;
    let Some(policy) = &key.policy else {
        return list(world, request, None).await;
    };
    let query = query(request)?;
    let memory = world.memory();
    let now_ms = world.now_ms();
    let providers = memory.catalog.providers(world, now_ms).await?;
    let mut index = index(world).await?;
    index.retain(|entry| {
        let mut serving = providers
            .iter()
            .filter(|provider| entry.providers.contains(&provider.slug));
        serving.any(|provider| {
            let candidate = Candidate {
                model: &entry.slug,
                is_free: entry.prompt.get() == 0 && entry.completion.get() == 0,
                provider,
                endpoint: None,
            };
            policy.denial(&candidate).is_none()
        })
    });
    let seconds = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
    let page = listing::page(&index, &query, seconds);
    let next = page.next_offset.map(|offset| next_page(request, offset));
    let body = page.body(next.as_deref());
    Ok(Response::json_bytes(200, body.into_bytes()))
}

/// `GET /images/models`: what makes images, with what it takes. The filters of `/models` hold here too.
pub async fn images<W: World>(world: &W, request: &Request) -> Result<Response> {
    let mut query = query(request)?;
    query.output = Some(vec![Modality::Image]);
    let index = index(world).await?;
    let now_ms = world.now_ms();
    let seconds = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
    let page = listing::page(&index, &query, seconds);
    let memory = world.memory();
    let models = page.models.iter();
    let models = models.map(|row| memory.catalog.model(world, &row.slug, now_ms));
    let mut data = Vec::new();
    for model in join_all(models).await {
        data.extend(image_models::list_item(&model?.entry));
    }
    Ok(Response::json(200, &json!({ "data": data })))
}

/// `GET /images/models/{author}/{slug}/endpoints`.
pub async fn image_endpoints<W: World>(world: &W, author: &str, slug: &str) -> Result<Response> {
    let memory = world.memory();
    let name = format!("{author}/{slug}");
    let model = memory.catalog.model(world, &name, world.now_ms()).await;
    let model = model.map_err(missing)?;
    let body = image_models::endpoints_body(&model.entry);
    let body = body.ok_or_else(|| {
        let mut error = Error::invalid("model", format!("{name} makes no images by /images"));
        error.error_type = ErrorType::NotFound;
        error.status = 404;
        error.param = None;
        error
    })?;
    Ok(Response::json(200, &body))
}

/// `GET /models/count`.
pub async fn count<W: World>(world: &W, request: &Request) -> Result<Response> {
    let query = query(request)?;
    let index = index(world).await?;
    let seconds = i64::try_from(world.now_ms() / 1_000).unwrap_or(i64::MAX);
    let total = listing::page(&index, &query, seconds).total;
    Ok(Response::json(200, &json!({"data": {"count": total}})))
}

/// `GET /model/{author}/{slug}`.
pub async fn one<W: World>(world: &W, author: &str, slug: &str) -> Result<Response> {
    let memory = world.memory();
    let name = format!("{author}/{slug}");
    let model = memory.catalog.model(world, &name, world.now_ms()).await;
    let model = model.map_err(missing)?;
    Ok(Response::json(200, &wire::model_body(&model.entry)))
}

/// `GET /models/{author}/{slug}`: one model as OpenAI's SDKs retrieve it.
pub async fn retrieve<W: World>(world: &W, author: &str, slug: &str) -> Result<Response> {
    let memory = world.memory();
    let name = format!("{author}/{slug}");
    let model = memory.catalog.model(world, &name, world.now_ms()).await;
    let model = model.map_err(missing)?;
    Ok(Response::json(200, &wire::openai_model(&model.entry)))
}

/// `GET /models/{author}/{slug}/endpoints`. Speeds are shown to who has a key, as the API's documentation says.
pub async fn endpoints<W: World>(
    world: &W,
    request: &Request,
    author: &str,
    slug: &str,
) -> Result<Response> {
    let memory = world.memory();
    let known = know_statistics(world, LISTING_AGE_MS);
    let (key, ()) = join(principal(world, request), known).await;
    let name = format!("{author}/{slug}");
    let model = memory.catalog.model(world, &name, world.now_ms()).await;
    let model = model.map_err(missing)?;
    let statistics = memory.statistics.current();
    let body = wire::endpoints_body(&model.entry, |endpoint| {
        let known = statistics.of(endpoint);
        known.map_or_else(Figures::default, |known| figures(known, key.is_ok()))
    });
    Ok(Response::json(200, &body))
}

fn figures(known: &EndpointStatistics, with_speeds: bool) -> Figures {
    let points = |percentiles: Option<Percentiles>| {
        let points = percentiles.filter(|_| with_speeds)?;
        Some([points.p50, points.p75, points.p90, points.p99])
    };
    let windows = [&known.five_minutes, &known.half_hour, &known.day];
    Figures {
        uptime: windows.map(Window::uptime),
        latency: points(known.half_hour.first_token_ms),
        throughput: points(known.half_hour.tokens_per_second),
    }
}

/// `GET /providers`.
pub async fn providers<W: World>(world: &W) -> Result<Response> {
    let memory = world.memory();
    let providers = memory.catalog.providers(world, world.now_ms()).await?;
    Ok(Response::json(200, &wire::providers_body(&providers)))
}

fn query(request: &Request) -> Result<ListQuery> {
    let pairs = request
        .query
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    ListQuery::parse(pairs).map_err(|bad| Error::invalid(bad.parameter.clone(), bad.to_string()))
}

async fn index<W: World>(world: &W) -> Result<Vec<ListEntry>> {
    let memory = world.memory();
    let text = memory
        .catalog
        .text(world, index_key, world.now_ms())
        .await?;
    crate::json::from_str(&text)
        .map_err(|error| Error::internal(format!("published index: {error}")))
}

/// The same request with another offset.
fn next_page(request: &Request, offset: usize) -> String {
    let mut link = format!("{}?offset={offset}", request.path);
    for (key, value) in request.query.iter().filter(|(key, _)| key != "offset") {
        for text in ["&", key.as_str(), "="] {
            link.push_str(text);
        }
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' => {
                    link.push(char::from(byte));
                }
                byte => link.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    link
}

/// A path that names no model is 404, where a body that does is 400.
fn missing(mut error: Error) -> Error {
    if error.error_type == ErrorType::InvalidRequest {
        error.error_type = ErrorType::NotFound;
        error.status = 404;
        error.param = None;
    }
    error
}
