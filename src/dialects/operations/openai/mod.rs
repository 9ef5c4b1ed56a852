//! OpenAI's operations, and the hosts that copy them.
//!
//! Spec: <https://platform.openai.com/docs/api-reference>.

pub mod embeddings;
pub mod images;
pub mod rerank;
pub mod speech;
pub mod transcription;

use serde::Deserialize;
use serde_json::{Number, value::RawValue};

use crate::{chat::Usage, credits::money::Nanos, operations::transcription::milliseconds};

/// Counts as OpenAI and its copies spell them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts<'a> {
    prompt_tokens: Option<u64>,
    input_tokens: Option<u64>,
    total_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    output_tokens: Option<u64>,
    /// Sound, in seconds.
    seconds: Option<Number>,
    prompt_audio_seconds: Option<Number>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    cost_in_usd_ticks: Option<i64>,
}

/// Ticks of xAI's own counting of money in a nano-dollar.
const TICKS_PER_NANO: i64 = 10;

impl Counts<'_> {
    /// The counts, inclusive.
    pub(super) fn usage(&self) -> Usage {
        let prompt = self.prompt_tokens.or(self.input_tokens);
        let completion = self.completion_tokens.or(self.output_tokens).unwrap_or(0);
        let prompt = prompt.or(self.total_tokens);
        let seconds = self.seconds.as_ref().or(self.prompt_audio_seconds.as_ref());
        let mut usage = Usage {
            prompt: prompt.unwrap_or(0),
            prompt_unknown: prompt.is_none(),
            completion,
            upstream_cost: self.upstream_cost(),
            ..Usage::default()
        };
        usage.units.audio_in_ms = seconds.and_then(milliseconds).unwrap_or(0);
        usage
    }

    fn upstream_cost(&self) -> Option<i64> {
        #[derive(Deserialize)]
        struct Total<'a> {
            #[serde(borrow)]
            total_cost: &'a RawValue,
        }
        if let Some(ticks) = self.cost_in_usd_ticks {
            return Some(ticks / TICKS_PER_NANO + i64::from(ticks % TICKS_PER_NANO > 0));
        }
        let text = self.cost?.get();
        let number = match crate::json::from_str::<Total<'_>>(text) {
            Ok(total) => total.total_cost.get(),
            Err(_) => text.trim_matches('"'),
        };
        let amount = Nanos::from_dollars_rounded_up(number).ok()?;
        Some(amount.get())
    }
}
