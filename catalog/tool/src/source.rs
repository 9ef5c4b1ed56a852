//! The models.dev document, read without ever turning a price into a float.
//!
//! In scope: its shape, and inheritance from `base_model`. Out of scope: what its rows mean for the catalog (`facts`, `naming`).
//! Spec: the schema of models.dev, as flattened in the snapshot's README.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The whole document.
#[derive(Debug, Deserialize)]
pub struct Document {
    /// Canonical models by `author/name`.
    pub models: BTreeMap<String, Facts>,
    /// Providers by id.
    pub providers: BTreeMap<String, SourceProvider>,
}

/// A provider as models.dev knows it.
#[derive(Debug, Deserialize)]
pub struct SourceProvider {
    /// Models by upstream id.
    pub models: BTreeMap<String, Facts>,
}

/// What is known of a model, canonical or at one provider.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Display name.
    pub name: Option<String>,
    /// Family.
    pub family: Option<String>,
    /// `YYYY-MM-DD`, or less of it.
    pub release_date: Option<String>,
    /// Knowledge cutoff: `YYYY-MM-DD`, or less of it.
    pub knowledge: Option<String>,
    /// Public weights.
    pub open_weights: Option<bool>,
    /// Reasons.
    pub reasoning: Option<bool>,
    /// Calls tools.
    pub tool_call: Option<bool>,
    /// Follows a JSON schema.
    pub structured_output: Option<bool>,
    /// Takes sampling parameters.
    pub temperature: Option<bool>,
    /// Kinds of content.
    pub modalities: Modalities,
    /// Limits.
    pub limit: Limits,
    /// Where the weights are.
    pub weights: Vec<Weights>,
    /// How its reasoning is asked for.
    pub reasoning_options: Option<Vec<ReasoningOption>>,
    /// The field of its reasoning: `true`, or `{field}`.
    pub interleaved: Option<Value>,
    /// Prices.
    pub cost: Option<Cost>,
    /// `alpha`, `beta`, `deprecated`.
    pub status: Option<String>,
    /// How this model differs from its provider's wire.
    pub provider: Option<Override>,
    /// The canonical model that it serves.
    pub base_model: Option<String>,
    /// Facts that are not inherited.
    pub base_model_omit: Vec<String>,
}

/// Kinds of content.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Modalities {
    /// What it reads.
    pub input: Option<Vec<String>>,
    /// What it writes.
    pub output: Option<Vec<String>>,
}

/// Limits in tokens.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Prompt and answer.
    pub context: Option<u64>,
    /// Prompt.
    pub input: Option<u64>,
    /// Answer.
    pub output: Option<u64>,
}

/// Public weights.
#[derive(Debug, Clone, Deserialize)]
pub struct Weights {
    /// Their address.
    pub url: String,
}

/// One way to ask for reasoning.
#[derive(Debug, Clone, Deserialize)]
pub struct ReasoningOption {
    /// `effort`, `budget_tokens`, `toggle`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Efforts; a null stands for the default.
    #[serde(default)]
    pub values: Vec<Option<String>>,
    /// Smallest budget; -1 stands for "the model decides".
    pub min: Option<i64>,
    /// Largest budget.
    pub max: Option<i64>,
}

/// A model whose wire differs from its provider's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Override {
    /// Another base URL.
    pub api: Option<String>,
    /// `responses`, `completions`.
    pub shape: Option<String>,
}

/// Prices in dollars per million tokens, as text. A kind of price that is not listed here is an error: it would be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cost {
    /// Prompt.
    pub input: Option<Box<RawValue>>,
    /// Completion.
    pub output: Option<Box<RawValue>>,
    /// Cache read.
    #[serde(alias = "cache_input", alias = "cached_input")]
    pub cache_read: Option<Box<RawValue>>,
    /// Cache write.
    #[serde(alias = "cached_write")]
    pub cache_write: Option<Box<RawValue>>,
    /// Reasoning.
    pub reasoning: Option<Box<RawValue>>,
    /// Audio prompt.
    pub input_audio: Option<Box<RawValue>>,
    /// Audio completion.
    pub output_audio: Option<Box<RawValue>>,
    /// Per request; its unit differs between providers.
    pub request: Option<Box<RawValue>>,
    /// Citation tokens.
    pub citation: Option<Box<RawValue>>,
    /// Long-context prices.
    pub tiers: Vec<TierCost>,
}

/// Prices above a prompt length.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierCost {
    /// Where the tier begins.
    pub tier: TierBound,
    /// Prompt.
    pub input: Option<Box<RawValue>>,
    /// Completion.
    pub output: Option<Box<RawValue>>,
    /// Cache read.
    pub cache_read: Option<Box<RawValue>>,
    /// Cache write.
    pub cache_write: Option<Box<RawValue>>,
}

/// Where a tier begins.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierBound {
    /// Prompt tokens that must be exceeded.
    pub size: u64,
    /// `context`, when said.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

impl Facts {
    /// These facts, with what they leave open taken from the canonical model.
    pub fn inherit(&self, base: &Self) -> Self {
        let omits = |field: &str| self.base_model_omit.iter().any(|omitted| omitted == field);
        let mut facts = self.clone();
        let base = base.clone();
        facts.name = facts.name.or(base.name);
        facts.family = facts.family.or(base.family);
        facts.release_date = facts.release_date.or(base.release_date);
        facts.knowledge = facts.knowledge.or(base.knowledge);
        facts.open_weights = facts.open_weights.or(base.open_weights);
        facts.reasoning = facts.reasoning.or(base.reasoning);
        facts.tool_call = facts.tool_call.or(base.tool_call);
        facts.temperature = facts.temperature.or(base.temperature);
        facts.modalities.input = facts.modalities.input.or(base.modalities.input);
        facts.modalities.output = facts.modalities.output.or(base.modalities.output);
        facts.limit.context = facts.limit.context.or(base.limit.context);
        facts.limit.output = facts.limit.output.or(base.limit.output);
        facts.reasoning_options = facts.reasoning_options.or(base.reasoning_options);
        if !omits("structured_output") {
            facts.structured_output = facts.structured_output.or(base.structured_output);
        }
        if !omits("limit.input") {
            facts.limit.input = facts.limit.input.or(base.limit.input);
        }
        if facts.weights.is_empty() {
            facts.weights = base.weights;
        }
        facts
    }
}
