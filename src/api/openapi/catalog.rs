//! Operations that tell of models, endpoints and providers.

use super::document::{
    Operation,
    Who::{AnyKey, Anyone},
    operation,
};

/// Filters of a list of models.
const FILTERS: &str = "{
    // Models to skip.
    offset?: int(0..),
    limit?: int(1..1000),
    // Part of slug, name or description.
    q?: string,
    // Behind commas: all have to be supported.
    supported_parameters?: string,
    // Behind commas, any of them; `all` for every model.
    output_modalities?: string,
    // Behind commas, all of them.
    input_modalities?: string,
    sort?: 'newest' | 'pricing-low-to-high' | 'pricing-high-to-low' | 'context-high-to-low' | 'most-popular' | 'top-weekly' | 'throughput-high-to-low' | 'latency-low-to-high',
    // The smallest window.
    context?: int(0..),
    // Dollars per million tokens.
    min_price?: number(0..),
    max_price?: number(0..),
    min_output_price?: number(0..),
    max_output_price?: number(0..),
    model_authors?: string,
    providers?: string,
    zdr?: boolean,
    // Since the release, in days.
    min_age_days?: int(0..4294967295),
    max_age_days?: int(0..4294967295)
}";

pub fn operations() -> Vec<Operation> {
    let get = |path, summary| operation("GET", path, Anyone, "Catalog", summary);
    vec![
        get("/models", "List models")
            .says("The models that write text, unless output_modalities asks for others.")
            .query(FILTERS)
            .answers(200, "ModelList"),
        get("/embeddings/models", "List models that embed")
            .query(FILTERS)
            .answers(200, "ModelList"),
        get("/models/count", "Count models")
            .query(FILTERS)
            .answers(200, "{data: {count: int(0..)}}"),
        get("/images/models", "List models that make images")
            .query(FILTERS)
            .answers(200, "{data: ImageModel[]}"),
        get(
            "/images/models/{author}/{slug}/endpoints",
            "Show who makes images with a model",
        )
        .answers(200, "{id: string, endpoints: ImageEndpoint[]}"),
        get("/model/{author}/{slug}", "Show a model").answers(200, "{data: Model}"),
        get(
            "/models/{author}/{slug}",
            "Show a model, as OpenAI's SDKs retrieve it",
        )
        .answers(200, "Model"),
        get(
            "/models/{author}/{slug}/endpoints",
            "Show who serves a model",
        )
        .says("Speeds are told to whoever sends an API key.")
        .answers(200, "{data: ModelEndpoints}"),
        operation(
            "GET",
            "/models/user",
            AnyKey,
            "Catalog",
            "List the models that the key may call",
        )
        .query(FILTERS)
        .answers(200, "ModelList"),
        get("/providers", "List providers").answers(200, "{data: Provider[]}"),
    ]
}
