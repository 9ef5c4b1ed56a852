//! The catalog as clients see it: OpenRouter's model, endpoint and provider objects.
//!
//! In scope: one object or one body at a time, from rows. Out of scope: filtering and paging (`listing`), measuring live figures
//! (uptime, latency, throughput), which are null where nothing was measured.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::model::{Endpoint, Modality, Model, ModelEntry, Parameter};
use super::provider::{Provider, Quirk};
use crate::chat::{Effort, Quality};
use crate::credits::pricing::Price;
use crate::credits::units::UnitPrices;

/// The model object of `/models` and `/model/{author}/{slug}`.
///
/// Prices and limits are those of the first endpoint, the parameters those of any endpoint.
pub fn model(entry: &ModelEntry) -> Value {
    let model = &entry.model;
    let top = entry.endpoints.first();
    let mut object = json!({
        "id": model.slug,
        "canonical_slug": model.canonical_slug,
        "hugging_face_id": model.hugging_face_id,
        "name": model.name,
        "created": model.created,
        "description": model.description,
        "context_length": model.context_length,
        "architecture": architecture(model),
        "pricing": top.map(pricing),
        "top_provider": {
            "context_length": top.map(|e| e.context_length),
            "max_completion_tokens": top.and_then(|e| e.max_completion_tokens),
            "is_moderated": false,
        },
        "per_request_limits": null,
        "supported_parameters": supported_parameters(&entry.endpoints),
        "default_parameters": null,
        "supported_voices": null,
        "knowledge_cutoff": model.knowledge_cutoff,
        "expiration_date": null,
        "links": { "details": format!("/api/v1/models/{}/endpoints", model.slug) },
    });
    if let (Some(object), Some(reasoning)) = (object.as_object_mut(), reasoning(&entry.endpoints)) {
        object.insert("reasoning".to_owned(), reasoning);
    }
    object
}

/// The body of `/model/{author}/{slug}`.
pub fn model_body(entry: &ModelEntry) -> Value {
    json!({ "data": model(entry) })
}

/// The model object in OpenAI's place for it: without an envelope, with the two fields that their own has.
pub fn openai_model(entry: &ModelEntry) -> Value {
    let mut object = model(entry);
    let (author, _) = entry.model.slug.split_once('/').unwrap_or_default();
    if let Some(object) = object.as_object_mut() {
        object.insert("object".to_owned(), "model".into());
        object.insert("owned_by".to_owned(), author.into());
    }
    object
}

/// What is measured of an endpoint, as clients see it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Percent of the minutes in which it was up: of the last 5 minutes, 30 minutes, day.
    pub uptime: [Option<f64>; 3],
    /// Milliseconds to the first token in the last 30 minutes: p50, p75, p90, p99.
    pub latency: Option<[f32; 4]>,
    /// Tokens per second in the last 30 minutes: p50, p75, p90, p99.
    pub throughput: Option<[f32; 4]>,
}

fn points(percentiles: Option<[f32; 4]>) -> Value {
    // Two decimals: binary fractions of single precision are no better known than that.
    let rounded = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
    percentiles.map_or(Value::Null, |points| {
        let [p50, p75, p90, p99] = points.map(rounded);
        json!({"p50": p50, "p75": p75, "p90": p90, "p99": p99})
    })
}

/// The body of `/models/{author}/{slug}/endpoints`.
pub fn endpoints_body(entry: &ModelEntry, measured: impl Fn(&Endpoint) -> Figures) -> Value {
    let model = &entry.model;
    let endpoints: Vec<Value> = entry
        .routes()
        .map(|(e, provider)| endpoint(model, e, provider, &measured(e)))
        .collect();
    json!({ "data": {
        "id": model.slug,
        "name": model.name,
        "created": model.created,
        "description": model.description,
        "architecture": architecture(model),
        "endpoints": endpoints,
    }})
}

/// The body of `/providers`.
pub fn providers_body(providers: &[Provider]) -> Value {
    let rows: Vec<Value> = providers
        .iter()
        .map(|p| {
            json!({
                "name": p.name,
                "slug": p.slug,
                "privacy_policy_url": p.privacy_policy_url,
                "terms_of_service_url": p.terms_of_service_url,
                "status_page_url": p.status_page_url,
                "headquarters": p.headquarters,
                "datacenters": null,
            })
        })
        .collect();
    json!({ "data": rows })
}

/// The endpoint object.
pub fn endpoint(
    model: &Model,
    endpoint: &Endpoint,
    provider: &Provider,
    measured: &Figures,
) -> Value {
    let [uptime_5m, uptime_30m, uptime_1d] = measured.uptime;
    let chooses = endpoint.supports(Parameter::ToolChoice);
    let freely = chooses && !provider.has(Quirk::ToolChoiceAutoOnly);
    json!({
        "name": format!("{} | {}", provider.name, model.slug),
        "model_id": model.slug,
        "model_name": model.name,
        "provider_name": provider.name,
        "tag": endpoint.tag,
        "context_length": endpoint.context_length,
        "max_prompt_tokens": endpoint.max_prompt_tokens,
        "max_completion_tokens": endpoint.max_completion_tokens,
        "quantization": endpoint.quantization.map(|q| q.as_str()),
        "pricing": pricing(endpoint),
        "supported_parameters": words(&endpoint.supported_parameters),
        "supports_implicit_caching": endpoint.supports_implicit_caching,
        "supports_tool_choice": { "auto": chooses, "none": chooses, "required": freely, "function": freely },
        "native_tools": {},
        "service_tier": endpoint.service_tier().map(|tier| tier.as_str()),
        "status": 0,
        "uptime_last_5m": uptime_5m,
        "uptime_last_30m": uptime_30m,
        "uptime_last_1d": uptime_1d,
        "latency_last_30m": points(measured.latency),
        "throughput_last_30m": points(measured.throughput),
        "supports_diarization": false,
    })
}

/// The `pricing` object: dollars per token as exact decimal strings, before the `discount` that is taken off them.
pub fn pricing(endpoint: &Endpoint) -> Value {
    let prices = &endpoint.prices;
    let mut object = Map::new();
    put(&mut object, "prompt", Some(prices.prompt));
    put(&mut object, "completion", Some(prices.completion));
    if let Some(request) = prices.request {
        object.insert("request".to_owned(), request.to_string().into());
    }
    if let Some(search) = &endpoint.web_search {
        object.insert("web_search".to_owned(), search.price.to_string().into());
    }
    put(&mut object, "image_output", prices.image_out);
    put(&mut object, "audio", prices.audio_in);
    put(&mut object, "audio_output", prices.audio_out);
    put(&mut object, "internal_reasoning", prices.reasoning);
    put(&mut object, "input_cache_read", prices.cache_read);
    put(&mut object, "input_cache_write", prices.cache_write_5m);
    put(&mut object, "input_cache_write_1h", prices.cache_write_1h);
    let overrides: Vec<Value> = prices
        .tiers
        .iter()
        .map(|tier| {
            let mut row = Map::new();
            row.insert(
                "min_prompt_tokens".to_owned(),
                tier.min_prompt_tokens.into(),
            );
            put(&mut row, "prompt", tier.prompt);
            put(&mut row, "completion", tier.completion);
            put(&mut row, "audio", tier.audio_in);
            put(&mut row, "input_cache_read", tier.cache_read);
            put(&mut row, "input_cache_write", tier.cache_write_5m);
            put(&mut row, "input_cache_write_1h", tier.cache_write_1h);
            row.into()
        })
        .collect();
    if let Some(discount) = prices.discount_ppm {
        object.insert("discount".to_owned(), number(&discount.fraction()));
    }
    if !overrides.is_empty() {
        object.insert("overrides".to_owned(), overrides.into());
    }
    if let Some(units) = &prices.units {
        object.insert("units".to_owned(), unit_prices(units).into());
    }
    object.into()
}

/// Prices of what is not counted in tokens, in the form in which the reference lists those of image endpoints.
pub(super) fn unit_prices(prices: &UnitPrices) -> Vec<Value> {
    let mut rows: Vec<Value> = prices
        .images
        .iter()
        .map(|one| {
            let mut row = json!({
                "billable": "output_image", "unit": "image", "cost_usd": one.price.to_string(),
            });
            let size = one.max_pixels.map(|most| format!("up to {most} pixels"));
            let quality = one.quality.map(|quality| match quality {
                Quality::Low => "low".to_owned(),
                Quality::Medium => "medium".to_owned(),
                Quality::High => "high".to_owned(),
            });
            let words: Vec<String> = quality.into_iter().chain(size).collect();
            if let (Some(object), false) = (row.as_object_mut(), words.is_empty()) {
                object.insert("variant".to_owned(), words.join(", ").into());
            }
            row
        })
        .collect();
    let hours = [
        ("input_audio", "hour", prices.audio_in_hour),
        ("output_audio", "hour", prices.audio_out_hour),
        ("search", "search_unit", prices.search_unit),
    ];
    let hours = hours
        .into_iter()
        .map(|(billable, unit, price)| (billable, unit, price.map(|price| price.to_string())));
    let each = [
        (
            "output_image",
            "megapixel",
            prices.megapixel.map(|price| price.to_string()),
        ),
        (
            "input_text",
            "character",
            prices.characters.map(Price::dollars_per_unit),
        ),
    ];
    for (billable, unit, price) in hours.chain(each) {
        if let Some(price) = price {
            rows.push(json!({"billable": billable, "unit": unit, "cost_usd": price}));
        }
    }
    rows
}

/// A decimal as a JSON number.
pub(super) fn number(decimal: &str) -> Value {
    crate::json::from_str(decimal).unwrap_or_default()
}

fn put(object: &mut Map<String, Value>, key: &str, price: Option<Price>) {
    if let Some(price) = price {
        object.insert(key.to_owned(), price.dollars_per_unit().into());
    }
}

fn architecture(model: &Model) -> Value {
    let join = |modalities: &[Modality]| {
        modalities
            .iter()
            .map(|m| m.as_str())
            .collect::<Vec<_>>()
            .join("+")
    };
    json!({
        "modality": format!("{}->{}", join(&model.input_modalities), join(&model.output_modalities)),
        "input_modalities": model.input_modalities,
        "output_modalities": model.output_modalities,
        "tokenizer": model.tokenizer,
        "instruct_type": null,
    })
}

fn supported_parameters(endpoints: &[Endpoint]) -> Vec<&'static str> {
    let all: BTreeSet<Parameter> = endpoints
        .iter()
        .flat_map(|e| e.supported_parameters.iter().copied())
        .collect();
    words(&all.into_iter().collect::<Vec<_>>())
}

fn words(parameters: &[Parameter]) -> Vec<&'static str> {
    let mut words: Vec<_> = parameters.iter().map(|p| p.as_str()).collect();
    words.sort_unstable();
    words
}

/// What the model as a whole can be asked: mandatory where every endpoint says so, every effort of any endpoint.
fn reasoning(endpoints: &[Endpoint]) -> Option<Value> {
    let capable: Vec<_> = endpoints
        .iter()
        .filter_map(|e| e.reasoning.as_ref())
        .collect();
    if capable.is_empty() {
        return None;
    }
    let efforts: BTreeSet<Effort> = capable
        .iter()
        .flat_map(|r| r.efforts.iter().copied())
        .collect();
    Some(json!({
        "mandatory": capable.len() == endpoints.len() && capable.iter().all(|r| r.mandatory),
        "supported_efforts": efforts.into_iter().rev().collect::<Vec<_>>(),
        "supports_max_tokens": capable.iter().any(|r| r.budget.is_some()),
    }))
}
