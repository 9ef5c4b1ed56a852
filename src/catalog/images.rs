//! Models that make images, as `/images/models` lists them: what each endpoint takes, as typed descriptors, and what it charges.
//!
//! What an endpoint takes follows from its wire (`OperationWire`), so it cannot differ from what is sent. Fields that an endpoint has no word
//! for are not listed, also where it would ignore them. Spec: OpenRouter's image API.

use serde_json::{Map, Value, json};

use super::{
    Endpoint, Modality, ModelEntry, Operation, OperationDialect, OperationQuirk, OperationWire,
    Provider, wire,
};
use crate::credits::{
    decimal::{self, Excess},
    discount,
    pricing::Price,
};

/// Shapes for which every host has a size or a word.
const SHAPES: [&str; 10] = [
    "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9",
];
const RESOLUTIONS: [&str; 6] = ["512", "768", "1K", "1.5K", "2K", "4K"];
const QUALITIES: [&str; 4] = ["auto", "low", "medium", "high"];
const BACKGROUNDS: [&str; 3] = ["auto", "transparent", "opaque"];
const FORMATS: [&str; 3] = ["png", "jpeg", "webp"];
/// The most images of one request, and to start from.
const MOST: u32 = 10;

/// The row of a model in the list; `None` where no endpoint is asked by `/images`.
pub fn list_item(entry: &ModelEntry) -> Option<Value> {
    let model = &entry.model;
    let mut parameters = Map::new();
    let mut supports_streaming = false;
    let mut is_served = false;
    for (endpoint, wire, _) in places(entry) {
        is_served = true;
        supports_streaming |= wire.has(OperationQuirk::StreamedImages);
        for (name, descriptor) in descriptors(endpoint, &wire) {
            parameters.entry(name).or_insert(descriptor);
        }
    }
    is_served.then(|| {
        json!({
            "id": model.slug,
            "name": model.name,
            "created": model.created,
            "description": model.description,
            "architecture": {
                "input_modalities": words(&model.input_modalities),
                "output_modalities": words(&model.output_modalities),
            },
            "supported_parameters": parameters,
            "supports_streaming": supports_streaming,
            "endpoints": format!("/api/v1/images/models/{}/endpoints", model.slug),
        })
    })
}

/// The endpoints of a model; `None` where none is asked by `/images`.
pub fn endpoints_body(entry: &ModelEntry) -> Option<Value> {
    let endpoints: Vec<Value> = places(entry)
        .map(|(endpoint, wire, provider)| {
            json!({
                "provider_name": provider.name,
                "provider_slug": provider.slug,
                "provider_tag": endpoint.tag,
                "supported_parameters": descriptors(endpoint, &wire),
                // `provider.options` takes whatever the provider does; there is no list to hold it to.
                "allowed_passthrough_parameters": [],
                "supports_streaming": wire.has(OperationQuirk::StreamedImages),
                "pricing": pricing(endpoint),
            })
        })
        .collect();
    (!endpoints.is_empty()).then(|| json!({ "id": entry.model.slug, "endpoints": endpoints }))
}

fn places(entry: &ModelEntry) -> impl Iterator<Item = (&Endpoint, OperationWire, &Provider)> {
    entry.routes().filter_map(|(endpoint, provider)| {
        let is_asked = endpoint.operation == Operation::Images;
        let wire = provider.wire(Operation::Images).filter(|_| is_asked)?;
        Some((endpoint, wire.into_owned(), provider))
    })
}

fn words(modalities: &[Modality]) -> Vec<&'static str> {
    modalities.iter().map(|one| one.as_str()).collect()
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "enum", "values": words })
}

fn range(min: u32, max: u32) -> Value {
    json!({ "type": "range", "min": min, "max": max })
}

fn descriptors(endpoint: &Endpoint, wire: &OperationWire) -> Map<String, Value> {
    let is_google = wire.dialect == OperationDialect::Google;
    let has = |quirk| wire.has(quirk);
    let finish = has(OperationQuirk::ImageFinish);
    let tells_shape = is_google || has(OperationQuirk::AspectRatio);
    let starts_from = match is_google {
        true => !has(OperationQuirk::Predict),
        false => has(OperationQuirk::ImageEdits),
    };
    let mut found = Map::new();
    let mut put = |name: &str, is_taken: bool, descriptor: Value| {
        if is_taken {
            found.insert(name.to_owned(), descriptor);
        }
    };
    put("n", true, range(1, MOST));
    put("aspect_ratio", true, one_of(&SHAPES));
    put("resolution", !tells_shape, one_of(&RESOLUTIONS));
    put("size", !tells_shape, json!({ "type": "unknown" }));
    put("quality", finish, one_of(&QUALITIES));
    put("background", finish, one_of(&BACKGROUNDS));
    put("output_format", finish, one_of(&FORMATS));
    put("output_compression", finish, range(0, 100));
    let takes_seed = !finish && !has(OperationQuirk::Predict);
    put("seed", takes_seed, json!({ "type": "integer" }));
    let starts_from = starts_from && endpoint.reads(Modality::Image);
    put("input_references", starts_from, json!({ "type": "array" }));
    put(
        "stream",
        has(OperationQuirk::StreamedImages),
        json!({ "type": "boolean" }),
    );
    found
}

/// The price lines in dollars, a discount taken off: this form has no word for one.
fn pricing(endpoint: &Endpoint) -> Vec<Value> {
    let prices = &endpoint.prices;
    let net = |price: &str| {
        let kept = discount::kept(prices.discount_ppm);
        let exact = decimal::parse(price, 15, Excess::Refuse).map(|price| price * kept);
        exact.map_or(Value::Null, |price| {
            wire::number(&decimal::format(price, 21))
        })
    };
    let tokens = [
        ("input_text", prices.prompt),
        (
            "output_image",
            prices.image_out.unwrap_or(prices.completion),
        ),
    ];
    let tokens = tokens.into_iter().filter(|(_, price)| *price > Price::FREE);
    let line = |(billable, price): (&str, Price)| {
        let cost = net(&price.dollars_per_unit());
        json!({ "billable": billable, "unit": "token", "cost_usd": cost })
    };
    let mut lines: Vec<Value> = tokens.map(line).collect();
    let units = prices.units.as_deref().map(wire::unit_prices);
    lines.extend(units.unwrap_or_default().into_iter().map(|mut line| {
        if let Some(cost) = line.get_mut("cost_usd") {
            *cost = cost.as_str().map_or(Value::Null, net);
        }
        line
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(operation: &str, quirks: Value) -> ModelEntry {
        serde_json::from_value(json!({
            "model": {
                "slug": "a/b", "canonical_slug": "a/b", "name": "B", "description": "", "created": 1,
                "context_length": 1000, "input_modalities": ["text", "image"], "output_modalities": ["image"],
                "tokenizer": "Other",
            },
            "endpoints": [{
                "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "b", "operation": operation,
                "context_length": 1000, "supported_parameters": [],
                "prices": {"prompt": 5_000_000_000_u64, "completion": 0, "units": {"images": [{"price": 20_000_000}]}},
                "input_modalities": ["text", "image"], "output_modalities": ["image"],
            }],
            "providers": [{
                "slug": "p", "name": "P", "dialect": "openai_chat", "base_url": "https://p.example",
                "auth": {"kind": "bearer"}, "secret": "P",
                "operations": {"images": {"dialect": "openai", "quirks": quirks}},
            }],
        }))
        .unwrap()
    }

    #[test]
    fn what_an_endpoint_is_sent_is_what_it_is_said_to_take() {
        for (quirks, taken) in [
            (json!([]), "aspect_ratio n resolution seed size"),
            (
                json!(["aspect_ratio", "image_edits"]),
                "aspect_ratio input_references n seed",
            ),
            (
                json!(["always_base64", "image_finish", "streamed_images"]),
                "aspect_ratio background n output_compression output_format quality resolution size stream",
            ),
        ] {
            let item = list_item(&entry("images", quirks.clone())).unwrap();
            let parameters = item["supported_parameters"].as_object().unwrap();
            let mut names: Vec<&str> = parameters.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names.join(" "), taken, "{quirks}");
            assert!(parameters.values().all(|one| one["type"].is_string()));
            assert_eq!(item["supports_streaming"], taken.contains("stream"));
        }
    }

    #[test]
    fn endpoints_tell_their_prices_and_conversations_are_not_listed() {
        let body = endpoints_body(&entry("images", json!([]))).unwrap();
        assert_eq!(
            body["endpoints"][0]["pricing"],
            json!([
                {"billable": "input_text", "unit": "token", "cost_usd": 0.000005},
                {"billable": "output_image", "unit": "image", "cost_usd": 0.02},
            ])
        );
        let mut entry_at_a_discount = entry("images", json!([]));
        entry_at_a_discount.endpoints[0].prices.discount_ppm = Some(100_000.try_into().unwrap());
        let told = endpoints_body(&entry_at_a_discount).unwrap();
        let costs: Vec<&Value> = told["endpoints"][0]["pricing"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| &line["cost_usd"])
            .collect();
        assert_eq!(costs, [&json!(0.000_004_5), &json!(0.018)]);
        assert!(list_item(&entry("chat", json!([]))).is_none());
        assert!(endpoints_body(&entry("chat", json!([]))).is_none());
    }
}
