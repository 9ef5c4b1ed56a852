//! What can be called: models, the endpoints that serve them, and the entry that holds both.
//!
//! Out of scope: how they are shown to clients (`wire`), how they are stored (`publish`), who serves first (`routing`).
//! Names follow OpenRouter's model and endpoint objects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::operation::Operation;
use super::provider::{Dialect, Provider};
use super::search::WebSearch;
use crate::chat::{Effort, Usage};
use crate::credits::pricing::PriceTable;

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Documents (PDF).
    File,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Vectors (written only).
    Embeddings,
    /// An order of documents (written only).
    Rerank,
    /// A text spoken (written only).
    Speech,
    /// What was said (written only).
    Transcription,
}

impl Modality {
    /// Every modality, in the order in which they are listed.
    pub const ALL: [Self; 9] = [
        Self::Text,
        Self::Image,
        Self::File,
        Self::Audio,
        Self::Video,
        Self::Embeddings,
        Self::Rerank,
        Self::Speech,
        Self::Transcription,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::File => "file",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
        }
    }

    /// The modality of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == word)
    }
}

macro_rules! parameters {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// A request parameter that an endpoint may support; the words are those of `supported_parameters`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Parameter {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl Parameter {
            /// Every parameter.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

parameters! {
    /// Sampling temperature.
    Temperature = "temperature",
    /// Nucleus sampling.
    TopP = "top_p",
    /// Top-k sampling.
    TopK = "top_k",
    /// Minimum relative probability.
    MinP = "min_p",
    /// Top-a sampling.
    TopA = "top_a",
    /// Frequency penalty.
    FrequencyPenalty = "frequency_penalty",
    /// Presence penalty.
    PresencePenalty = "presence_penalty",
    /// Repetition penalty.
    RepetitionPenalty = "repetition_penalty",
    /// Limit on the answer, old name.
    MaxTokens = "max_tokens",
    /// Limit on the answer.
    MaxCompletionTokens = "max_completion_tokens",
    /// Token biases.
    LogitBias = "logit_bias",
    /// Log probabilities.
    Logprobs = "logprobs",
    /// Alternatives beside the log probabilities.
    TopLogprobs = "top_logprobs",
    /// Predicted output.
    Prediction = "prediction",
    /// Seed.
    Seed = "seed",
    /// `response_format` in general.
    ResponseFormat = "response_format",
    /// `response_format` of type `json_schema`.
    StructuredOutputs = "structured_outputs",
    /// Stop sequences.
    Stop = "stop",
    /// Tools.
    Tools = "tools",
    /// Choice among the tools.
    ToolChoice = "tool_choice",
    /// Several tool calls at once.
    ParallelToolCalls = "parallel_tool_calls",
    /// Reasoning in the answer.
    IncludeReasoning = "include_reasoning",
    /// The `reasoning` object.
    Reasoning = "reasoning",
    /// `reasoning_effort`.
    ReasoningEffort = "reasoning_effort",
    /// Native web search options.
    WebSearchOptions = "web_search_options",
    /// Verbosity.
    Verbosity = "verbosity",
}

impl Parameter {
    /// The parameter of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|p| p.as_str() == word)
    }
}

/// Bounds of a reasoning budget in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Smallest budget; 0 switches reasoning off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// Largest budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// In which field earlier reasoning goes back to an `openai_chat` upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningHistory {
    /// `reasoning_content`.
    ReasoningContent,
    /// `reasoning`.
    Reasoning,
    /// `reasoning_details`.
    ReasoningDetails,
}

/// In which fields of its author's own API a `bedrock_converse` model is asked to reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningFields {
    /// Claude's `thinking` and `output_config.effort`; its signed reasoning goes back.
    Thinking,
    /// Nova's `reasoningConfig`.
    ReasoningConfig,
    /// `reasoning_effort`.
    ReasoningEffort,
}

/// What can be asked of an endpoint that reasons.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasoning {
    /// It cannot be switched off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mandatory: bool,
    /// Efforts it knows, from most to least; empty when it takes none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub efforts: Vec<Effort>,
    /// The budget it takes, if it takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// It can be switched on and off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub toggle: bool,
    /// The field in which it wants its earlier reasoning back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<ReasoningHistory>,
    /// The fields in which it is asked, where the dialect leaves that to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<ReasoningFields>,
}

impl Reasoning {
    /// The supported effort nearest to the one asked for; between two equally near ones the lower. Reasoning that was asked for
    /// never becomes `none`. Nothing when the endpoint takes no efforts.
    pub fn nearest_effort(&self, wanted: Effort) -> Option<Effort> {
        let distance = |e: &Effort| (*e as i8).abs_diff(wanted as i8);
        let usable = |e: &Effort| wanted == Effort::None || *e != Effort::None;
        self.efforts
            .iter()
            .copied()
            .rev()
            .filter(usable)
            .min_by_key(distance)
    }
}

/// Precision of the weights; the words are those of `provider.quantizations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name is the format")]
pub enum Quantization {
    Int4,
    Int8,
    Fp4,
    Mxfp4,
    Nvfp4,
    Fp6,
    Fp8,
    Mxfp8,
    Fp16,
    Bf16,
    Fp32,
}

impl Quantization {
    /// Every quantization.
    pub const ALL: [Self; 11] = [
        Self::Int4,
        Self::Int8,
        Self::Fp4,
        Self::Mxfp4,
        Self::Nvfp4,
        Self::Fp6,
        Self::Fp8,
        Self::Mxfp8,
        Self::Fp16,
        Self::Bf16,
        Self::Fp32,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Fp4 => "fp4",
            Self::Mxfp4 => "mxfp4",
            Self::Nvfp4 => "nvfp4",
            Self::Fp6 => "fp6",
            Self::Fp8 => "fp8",
            Self::Mxfp8 => "mxfp8",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
            Self::Fp32 => "fp32",
        }
    }
}

/// A tier of service with a price of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceTier {
    /// Faster than priority.
    Ultrafast,
    /// Dearer and faster.
    Priority,
    /// Cheaper and slower, or not at all when it is busy.
    Flex,
}

impl ServiceTier {
    /// Every tier.
    pub const ALL: [Self; 3] = [Self::Ultrafast, Self::Priority, Self::Flex];

    /// The tier that a tag names, if it names one.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let (_, variant) = tag.split_once('/')?;
        Self::ALL.into_iter().find(|tier| tier.as_str() == variant)
    }

    /// The word on the wire, and in tags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Priority => "priority",
            Self::Flex => "flex",
        }
    }
}

/// How settled an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In ordinary service.
    #[default]
    Active,
    /// Early preview.
    Alpha,
    /// Preview.
    Beta,
    /// Served, but to be withdrawn.
    Deprecated,
}

impl Status {
    fn is_active(&self) -> bool {
        *self == Self::Active
    }
}

/// A model as clients name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// `author/name`, with a catalog suffix (`:free`) where there is one. Lower case.
    pub slug: String,
    /// The permanent slug, dated where the author dates it.
    pub canonical_slug: String,
    /// Display name: `OpenAI: GPT-5`.
    pub name: String,
    /// A sentence or two.
    pub description: String,
    /// Release, unix seconds.
    pub created: i64,
    /// Family (`claude-sonnet`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Largest context of its endpoints, tokens.
    pub context_length: u64,
    /// What it reads.
    pub input_modalities: Vec<Modality>,
    /// What it writes.
    pub output_modalities: Vec<Modality>,
    /// Whether the weights are public.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open_weights: bool,
    /// Repository of the weights on Hugging Face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugging_face_id: Option<String>,
    /// `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge_cutoff: Option<String>,
    /// Tokenizer family, in OpenRouter's words (`Claude`, `GPT`, `Qwen3`, `Other`).
    pub tokenizer: String,
    /// Its author permits the use of its answers for training other models. Absent where that is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub distillable: bool,
}

/// The name of a model that stands for every model of its author's: a provider takes whatever id is put in its place.
const ANY: &str = "*";

impl Model {
    /// Whether the row stands for models that the catalog does not list one by one: `author/*`.
    pub fn is_open(&self) -> bool {
        is_open(&self.slug)
    }

    /// The author part of the slug.
    pub fn author(&self) -> &str {
        self.slug.split_once('/').map_or("", |(author, _)| author)
    }
}

/// One way to reach a model: a provider, its own id of the model, limits, prices, abilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Slug of the model served.
    pub model: String,
    /// Slug of the provider.
    pub provider: String,
    /// `provider` or `provider/variant`; unique within the model.
    pub tag: String,
    /// The id that the provider wants in the request.
    pub upstream_model_id: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Operation::is_chat")]
    pub operation: Operation,
    /// The wire format of this model, where its provider serves it in another one than its others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// Tokens of prompt and answer together.
    pub context_length: u64,
    /// Limit on the prompt, where it is less than the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_prompt_tokens: Option<u64>,
    /// Limit on the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    /// Prices, exact.
    pub prices: PriceTable,
    /// Prices of the provider's other tiers of service, by the word with which it says that one of them served instead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tier_prices: BTreeMap<String, PriceTable>,
    /// Precision of the weights, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// Request parameters it supports, sorted.
    pub supported_parameters: Vec<Parameter>,
    /// What can be asked of its reasoning; absent when it does not reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// What it reads.
    pub input_modalities: Vec<Modality>,
    /// What it writes.
    pub output_modalities: Vec<Modality>,
    /// Caches prompts without being asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub supports_implicit_caching: bool,
    /// Refuses the beginning of an answer although its provider's other models take one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refuses_prefill: bool,
    /// Answers in one piece only: a client's stream is made of the whole answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers_whole: bool,
    /// The search of the web that its provider runs for it; absent where it runs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search: Option<WebSearch>,
    /// How settled it is.
    #[serde(default, skip_serializing_if = "Status::is_active")]
    pub status: Status,
    /// Where its prices were read, and on which day; absent for imported rows, whose record says it for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Endpoint {
    /// The wire format in which this provider serves the endpoint.
    pub fn dialect(&self, provider: &Provider) -> Dialect {
        self.dialect.unwrap_or(provider.dialect)
    }

    /// Whether the endpoint supports this parameter.
    pub fn supports(&self, parameter: Parameter) -> bool {
        self.supported_parameters.contains(&parameter)
    }

    /// Whether the endpoint reads this kind of content.
    pub fn reads(&self, modality: Modality) -> bool {
        self.input_modalities.contains(&modality)
    }

    /// The tier of service that is sold here, where it is not the usual one: the end of the tag says so.
    pub fn service_tier(&self) -> Option<ServiceTier> {
        ServiceTier::of_tag(&self.tag)
    }

    /// The prices of what was used at the tier that `served`. What serves instead of the tier that was asked for is charged at its own prices
    /// where they are lower; the request was planned, held and capped by the prices of this endpoint, so it never pays more.
    pub fn prices_as_served(&self, served: Option<&str>, usage: &Usage) -> &PriceTable {
        let own = &self.prices;
        let Some(other) = served.and_then(|tier| self.tier_prices.get(tier)) else {
            return own;
        };
        match (other.cost(usage), own.cost(usage)) {
            (Ok(less), Ok(asked)) if less.total < asked.total => other,
            _ => own,
        }
    }

    /// Whether a slug out of `order` or `only` names this endpoint: its tag, or its provider's slug alone. An endpoint of
    /// another tier than the usual one is named by its tag only, where `fast` is a second word for `priority`.
    pub fn answers_to(&self, slug: &str) -> bool {
        if self.tag == slug {
            return true;
        }
        match self.service_tier() {
            None => self.provider == slug,
            Some(ServiceTier::Priority) => {
                slug.strip_suffix("/fast") == self.tag.strip_suffix("/priority")
            }
            Some(_) => false,
        }
    }
}

/// A model with all that routing needs: what one stored entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The model.
    pub model: Model,
    /// Its endpoints, cheapest first as far as their prices compare.
    pub endpoints: Vec<Endpoint>,
    /// The providers of these endpoints.
    pub providers: Vec<Provider>,
}

/// Whether a slug stands for all models of an author.
pub fn is_open(slug: &str) -> bool {
    slug.split_once('/').is_some_and(|(_, name)| name == ANY)
}

impl ModelEntry {
    /// The model of this name, where the entry stands for all of its author's: the rest of the name is the provider's own id.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        let Some((_, id)) = name.split_once('/').filter(|_| self.model.is_open()) else {
            return self;
        };
        for endpoint in &mut self.endpoints {
            name.clone_into(&mut endpoint.model);
            id.clone_into(&mut endpoint.upstream_model_id);
        }
        name.clone_into(&mut self.model.slug);
        name.clone_into(&mut self.model.canonical_slug);
        self.model.name = format!("{}: {id}", self.model.name);
        self
    }

    /// The provider of this slug.
    pub fn provider(&self, slug: &str) -> Option<&Provider> {
        self.providers.iter().find(|p| p.slug == slug)
    }

    /// Each endpoint with its provider.
    pub fn routes(&self) -> impl Iterator<Item = (&Endpoint, &Provider)> {
        self.endpoints
            .iter()
            .filter_map(|e| Some((e, self.provider(&e.provider)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsupported_effort_becomes_the_nearest() {
        // P90: a table per endpoint, not one mapping for all.
        let gpt = Reasoning {
            efforts: vec![Effort::High, Effort::Medium, Effort::Low],
            ..Reasoning::default()
        };
        assert_eq!(gpt.nearest_effort(Effort::Max), Some(Effort::High));
        assert_eq!(gpt.nearest_effort(Effort::Minimal), Some(Effort::Low));
        assert_eq!(gpt.nearest_effort(Effort::Medium), Some(Effort::Medium));
        let two = Reasoning {
            efforts: vec![Effort::Max, Effort::High],
            ..Reasoning::default()
        };
        assert_eq!(
            two.nearest_effort(Effort::Xhigh),
            Some(Effort::High),
            "between two, the lower"
        );
        let switch = Reasoning {
            efforts: vec![Effort::High, Effort::None],
            ..Reasoning::default()
        };
        assert_eq!(switch.nearest_effort(Effort::Low), Some(Effort::High));
        assert_eq!(switch.nearest_effort(Effort::None), Some(Effort::None));
        assert_eq!(Reasoning::default().nearest_effort(Effort::High), None);
    }

    #[test]
    fn words_and_variants_agree_with_serde() {
        for p in Parameter::ALL {
            assert_eq!(serde_json::to_value(p).unwrap(), p.as_str());
            assert_eq!(Parameter::parse(p.as_str()), Some(*p));
        }
        for m in Modality::ALL {
            assert_eq!(serde_json::to_value(m).unwrap(), m.as_str());
        }
        for q in Quantization::ALL {
            assert_eq!(serde_json::to_value(q).unwrap(), q.as_str());
        }
    }
}
