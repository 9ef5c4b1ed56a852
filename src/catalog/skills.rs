//! What models are good at: one estimate per skill, and the pool that a router chooses from.
//!
//! Estimates are made out of public benchmark figures when the catalog is compiled (`catalog/tool`). Out of scope: choosing
//! (`routing::auto`).

use serde::{Deserialize, Serialize};

use super::{
    Endpoint, ModelEntry, Status,
    model::{Modality, Parameter},
};
use crate::credits::pricing::Price;

macro_rules! skills {
    ($($(#[$doc:meta])* $variant:ident = $field:ident,)*) => {
        /// Something that models are good at.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Skill {
            $($(#[$doc])* $variant,)*
        }

        impl Skill {
            /// Every skill.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($field),)* }
            }
        }

        /// An estimate per skill, in hundredths of a logit: 100 more means odds of success 2.7 times as high on the same
        /// tasks. 0 is the average of the models with public figures.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "the skills document themselves")]
        pub struct Skills {
            $(pub $field: i32,)*
            /// Public figures of the model's own behind them; none where it counts as its predecessor.
            #[serde(default)]
            pub figures: u32,
        }

        impl Skills {
            /// The estimate for a skill.
            pub fn get(&self, skill: Skill) -> i32 {
                match skill { $(Skill::$variant => self.$field,)* }
            }

            /// Estimates by a function of the skill.
            pub fn of(mut estimate: impl FnMut(Skill) -> i32) -> Self {
                Self { $($field: estimate(Skill::$variant),)* figures: 0 }
            }
        }
    };
}

skills! {
    /// Programs.
    Code = code,
    /// Mathematics.
    Math = math,
    /// Science and reasoning in many steps.
    Reasoning = reasoning,
    /// Calling tools until a task is done.
    Agent = agent,
    /// Facts.
    Knowledge = knowledge,
    /// Pictures and documents.
    Vision = vision,
    /// Texts as instructed: writing, rewriting, extracting.
    Instruction = instruction,
    /// Languages other than English.
    Languages = languages,
}

/// A model as a router sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The slug.
    pub model: String,
    /// Price of the prompt at its cheapest endpoint.
    pub prompt: Price,
    /// Price of the answer there.
    pub completion: Price,
    /// Largest context, tokens.
    pub context_length: u64,
    /// What it reads.
    pub input_modalities: Vec<Modality>,
    /// What it writes.
    pub output_modalities: Vec<Modality>,
    /// Parameters that at least one endpoint supports.
    pub parameters: Vec<Parameter>,
    /// Slugs of the providers that serve it.
    pub providers: Vec<String>,
    /// Tags of its endpoints.
    pub tags: Vec<String>,
    /// What it is good at, where public figures exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skills: Option<Skills>,
}

impl Candidate {
    /// The model of an entry; `None` where all its endpoints are to be withdrawn.
    pub fn of(entry: &ModelEntry, skills: Option<Skills>) -> Option<Self> {
        let usable = || {
            let endpoints = entry.endpoints.iter();
            endpoints.filter(|endpoint| {
                endpoint.status != Status::Deprecated && endpoint.operation.is_chat()
            })
        };
        let cheapest = usable().next()?;
        let mut parameters: Vec<Parameter> = usable()
            .flat_map(|endpoint| &endpoint.supported_parameters)
            .copied()
            .collect();
        parameters.sort_unstable();
        parameters.dedup();
        let slugs = |of: fn(&Endpoint) -> &String| -> Vec<String> {
            let mut slugs: Vec<String> = usable().map(|endpoint| of(endpoint).clone()).collect();
            slugs.dedup();
            slugs
        };
        Some(Self {
            model: entry.model.slug.clone(),
            prompt: cheapest.prices.net(cheapest.prices.prompt),
            completion: cheapest.prices.net(cheapest.prices.completion),
            context_length: entry.model.context_length,
            input_modalities: entry.model.input_modalities.clone(),
            output_modalities: entry.model.output_modalities.clone(),
            parameters,
            providers: slugs(|endpoint| &endpoint.provider),
            tags: slugs(|endpoint| &endpoint.tag),
            skills,
        })
    }

    /// Whether it costs nothing.
    pub fn is_free(&self) -> bool {
        self.prompt.get() == 0 && self.completion.get() == 0
    }
}
