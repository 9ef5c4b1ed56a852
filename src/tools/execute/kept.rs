//! What is kept of an execution for a day: its envelope, and of a job what is needed to ask for it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    credits::{ledger::MAX_ANSWER_BYTES, money::Nanos},
    tools::{
        connector::JobState,
        envelope::{Envelope, Warning},
    },
};

/// An answer as the account's object keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub envelope: Envelope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<KeptJob>,
}

/// A job that runs on after its call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptJob {
    pub state: JobState,
    pub input: Value,
    /// The id of the account's own key that started it.
    #[serde(default)]
    pub own: Option<String>,
    /// The most that it may cost.
    pub list: Nanos,
    /// When the call arrived, unix milliseconds.
    pub began_ms: u64,
    pub surface: String,
}

impl Kept {
    pub fn read(text: &str) -> Option<Self> {
        crate::json::from_str(text).ok()
    }

    /// The text that is kept: without the data where they are too much.
    pub fn write(mut self) -> Option<Box<RawValue>> {
        let raw = serde_json::value::to_raw_value(&self).ok()?;
        if raw.get().len() <= MAX_ANSWER_BYTES {
            return Some(raw);
        }
        let envelope = &mut self.envelope;
        envelope.data = None;
        envelope.result = None;
        envelope.next = None;
        envelope.steps = None;
        envelope.warnings.truncate(10);
        envelope.warnings.push(Warning::new(
            "result_not_kept",
            "The result was too long to be kept for a repetition",
        ));
        let raw = serde_json::value::to_raw_value(&self).ok()?;
        (raw.get().len() <= MAX_ANSWER_BYTES).then_some(raw)
    }
}
