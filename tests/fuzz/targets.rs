//! What is tried, and how a round is run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use patchbay::catalog::{Dialect, Quirk};

use crate::{
    common::{self, Case},
    mutate::Dice,
};

/// A dialect with the quirks that change how it is read, and the APIs whose exchanges are mutated.
pub struct Target {
    pub dialect: Dialect,
    pub quirks: &'static [Quirk],
    pub apis: &'static [&'static str],
}

/// Every dialect of upstreams.
pub const TARGETS: [Target; 7] = [
    Target {
        dialect: Dialect::OpenaiChat,
        quirks: &[],
        apis: &[
            "openai.chat",
            "deepseek.chat",
            "mistral.chat",
            "groq.chat",
            "openrouter.chat",
        ],
    },
    Target {
        dialect: Dialect::OpenaiChat,
        quirks: &[Quirk::ThinkTags, Quirk::ReasoningOutsideCompletion],
        apis: &["minimax.chat", "novita.chat", "xai.chat", "perplexity.chat"],
    },
    Target {
        dialect: Dialect::AnthropicMessages,
        quirks: &[],
        apis: &["anthropic.messages"],
    },
    Target {
        dialect: Dialect::Gemini,
        quirks: &[],
        apis: &["google.generateContent"],
    },
    Target {
        dialect: Dialect::OpenaiResponses,
        quirks: &[],
        apis: &["openai.responses", "xai.responses"],
    },
    Target {
        dialect: Dialect::CohereV2,
        quirks: &[],
        apis: &["cohere.v2_chat"],
    },
    Target {
        dialect: Dialect::BedrockConverse,
        quirks: &[],
        apis: &["bedrock.converse"],
    },
];

/// Longer exchanges are left out: they cost time and show nothing that shorter ones do not.
const MOST_BYTES: usize = 32 * 1024;
/// The most exchanges of one API.
const MOST_CASES: usize = 40;

impl Target {
    /// The exchanges to begin with.
    pub fn cases(&self) -> Vec<Case> {
        let mut all = Vec::new();
        for api in self.apis {
            all.extend(common::synthetic(api));
            let recorded = common::recorded(api).unwrap_or_default();
            let short = recorded
                .into_iter()
                .filter(|case| case.response.len() <= MOST_BYTES);
            all.extend(short.take(MOST_CASES));
        }
        all
    }
}

/// Rounds for each target and kind of input.
pub fn rounds() -> u64 {
    let wanted = std::env::var("FUZZ_ROUNDS").ok();
    wanted.map_or(800, |rounds| rounds.parse().unwrap())
}

/// Runs one round; a failure tells how to see it again.
pub fn round(name: &str, seed: u64, input: &[u8], check: impl FnOnce(&mut Dice)) {
    let mut dice = Dice::new(seed ^ 0x5eed);
    if catch_unwind(AssertUnwindSafe(|| check(&mut dice))).is_err() {
        let file = format!("{}/fuzz-{name}-{seed}", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&file, input).unwrap();
        panic!("{name}, round {seed}; its input is in {file}");
    }
}
