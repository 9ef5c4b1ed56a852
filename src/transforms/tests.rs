//! An endpoint, a provider and what a client asks for, for tests of transforms.

use serde_json::json;

use super::{Plugins, Setting};
use crate::{
    catalog::{Endpoint, Provider},
    chat::ChatRequest,
};

/// Rows that a test changes as it needs.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) endpoint: Endpoint,
    pub(crate) provider: Provider,
    pub(crate) plugins: Plugins,
}

impl Default for Rows {
    fn default() -> Self {
        let endpoint = json!({
            "model": "m/m", "provider": "p", "tag": "p", "upstream_model_id": "m", "context_length": 100_000,
            "prices": {"prompt": 1, "completion": 1}, "supported_parameters": [],
            "input_modalities": ["text"], "output_modalities": ["text"],
        });
        let provider = json!({
            "slug": "p", "name": "P", "dialect": "openai_chat", "base_url": "https://example.invalid",
            "auth": {"kind": "bearer"}, "secret": "P",
        });
        Self {
            endpoint: serde_json::from_value(endpoint).unwrap(),
            provider: serde_json::from_value(provider).unwrap(),
            plugins: Plugins::default(),
        }
    }
}

/// Does something with this request at these rows.
pub(crate) fn setting_of<T>(
    request: &ChatRequest,
    rows: &Rows,
    act: impl FnOnce(&Setting<'_>) -> T,
) -> T {
    act(&Setting {
        request,
        plugins: &rows.plugins,
        endpoint: &rows.endpoint,
        provider: &rows.provider,
        prompt_tokens: crate::chat::estimate::prompt_tokens(request, ""),
        generation: "gen-1700000000-abcdefghij",
        is_rest: false,
    })
}

/// The same at plain rows.
pub(crate) fn setting<T>(request: &ChatRequest, act: impl FnOnce(&Setting<'_>) -> T) -> T {
    setting_of(request, &Rows::default(), act)
}
