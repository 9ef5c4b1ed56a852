//! Everything that a plan depends on beside the request and the models: preferences, measurements, hints, keys, time, chance.
//!
//! Out of scope: how any of it is found.

use std::{rc::Rc, sync::LazyLock};

use super::{
    health::{Health, Unknown},
    own::OwnCandidate,
    preferences::{ProviderPreferences, SortBy},
    statistics::Statistics,
    sticky::Affinity,
};
use crate::{
    catalog::{Modality, Operation, Provider, ServedModel},
    chat::Usage,
    guardrails::Policy,
};

/// The world as one request finds it.
pub struct Situation<'a> {
    /// The time, unix milliseconds.
    pub now_ms: u64,
    /// Decides where chance decides: [`seed`] of the generation id.
    pub seed: u64,
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// The request's `provider` object.
    pub preferences: &'a ProviderPreferences,
    /// The order of those who ask for none, where the operator names one.
    pub default_sort: Option<SortBy>,
    /// How endpoints served lately.
    pub statistics: &'a Statistics,
    /// How endpoints stand right now.
    pub health: &'a dyn Health,
    /// What the conversation's past speaks for.
    pub affinity: &'a Affinity,
    /// Provider keys that the account brought and that this request may use, in the account's order.
    pub own: &'a [OwnCandidate],
    /// The guardrails that hold for the request's key.
    pub policy: Option<&'a Policy>,
    /// Whether the operator can call a provider.
    pub has_credentials: &'a dyn Fn(&Provider) -> bool,
    /// What is asked for, where it is no conversation.
    pub wanted: Option<Wanted>,
}

/// What an operation beside conversation needs of an endpoint, and what it will probably use there.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The operation.
    pub operation: Operation,
    /// Kinds of content that are read.
    pub inputs: Vec<Modality>,
    /// What is charged for.
    pub expected: Usage,
}

/// A model that the request names.
#[derive(Debug, Clone)]
pub struct Asked {
    /// As the client wrote it.
    pub name: String,
    /// What it means.
    pub model: Rc<ServedModel>,
    /// The suffix of its name that says how endpoints are chosen.
    pub suffix: Option<Suffix>,
}

/// A suffix of a model's name that says how its endpoints are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suffix {
    /// `:nitro`: fastest first, and endpoints of the priority tier compete.
    Nitro,
    /// `:floor`: cheapest first, and endpoints of the flex tier compete.
    Floor,
    /// `:exacto`: best answers first, tool calls above all.
    Exacto,
}

impl Suffix {
    /// The suffix of this word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "nitro" => Some(Self::Nitro),
            "floor" => Some(Self::Floor),
            "exacto" => Some(Self::Exacto),
            _ => None,
        }
    }

    /// The order that it asks for.
    pub fn sort(self) -> SortBy {
        match self {
            Self::Nitro => SortBy::Throughput,
            Self::Floor => SortBy::Price,
            Self::Exacto => SortBy::Exacto,
        }
    }
}

impl From<Rc<ServedModel>> for Asked {
    /// By its slug.
    fn from(model: Rc<ServedModel>) -> Self {
        Self {
            name: model.model.slug.clone(),
            model,
            suffix: None,
        }
    }
}

static NO_PREFERENCES: LazyLock<ProviderPreferences> = LazyLock::new(Default::default);
static NOTHING_STICKS: LazyLock<Affinity> = LazyLock::new(Default::default);
static NO_STATISTICS: LazyLock<Statistics> = LazyLock::new(Default::default);

impl Default for Situation<'_> {
    /// Nothing is known, nothing preferred, and every provider can be called.
    fn default() -> Self {
        Self {
            now_ms: 0,
            seed: 0,
            prompt_tokens: 0,
            preferences: &NO_PREFERENCES,
            default_sort: None,
            statistics: &NO_STATISTICS,
            health: &Unknown,
            affinity: &NOTHING_STICKS,
            own: &[],
            policy: None,
            has_credentials: &|_| true,
            wanted: None,
        }
    }
}

/// The seed of a request: FNV-1a of its generation id.
pub fn seed(generation: &str) -> u64 {
    generation
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
