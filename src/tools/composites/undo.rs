//! Taking back what was done, where a later step failed: the last deed first, each by the tool that its row names.
//!
//! An undo is an execution too: it has its price, its guards and its confirmation, and happens once. What it says is exact: what was taken back,
//! what only in part, what cannot be, what should have been and was not, and of what nobody knows whether it was done.

use serde_json::{Value, json};

use super::run::{Runner, place};
use crate::tools::{
    envelope::{Envelope, Status},
    execute::Call,
};

/// How often an undo is tried.
const TRIES: u32 = 3;
/// The wait before it is tried again, in milliseconds.
const WAIT_MS: u64 = 500;

/// A deed of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The step's name, with the item's number where it ran over items.
    pub index: String,
    /// What it answered.
    pub envelope: Envelope,
    /// It changed something.
    pub changes: bool,
}

/// What became of the deeds.
#[derive(Debug, Default)]
pub struct Compensation {
    compensated: Vec<Value>,
    partially: Vec<Value>,
    impossible: Vec<Value>,
    failed: Vec<Value>,
    unknown: Vec<Value>,
    /// What undoing came to.
    pub envelopes: Vec<Envelope>,
    /// An undo that somebody else carries out, or that was being carried out when its isolate died: the rest waits for its end.
    pub waits: Option<Envelope>,
}

impl Compensation {
    /// The chain's status.
    pub fn status(&self) -> Status {
        let is_unknown = !self.unknown.is_empty();
        if !self.failed.is_empty() {
            Status::CompensationFailed
        } else if is_unknown && self.compensated.is_empty() && self.partially.is_empty() {
            Status::Unknown
        } else if is_unknown || !self.partially.is_empty() || !self.impossible.is_empty() {
            Status::PartiallyCompensated
        } else if self.compensated.is_empty() {
            Status::Failed
        } else {
            Status::Compensated
        }
    }

    /// What is told of it; nothing where nothing had been done.
    pub fn told(&self) -> Option<Value> {
        let lists = [
            ("compensated", &self.compensated),
            ("partially_compensated", &self.partially),
            ("not_compensatable", &self.impossible),
            ("compensation_failed", &self.failed),
            ("outcome_unknown", &self.unknown),
        ];
        let told = lists.into_iter().filter(|(_, list)| !list.is_empty());
        let told: serde_json::Map<String, Value> = told
            .map(|(name, list)| (name.to_owned(), list.clone().into()))
            .collect();
        (!told.is_empty()).then_some(Value::Object(told))
    }
}

/// Takes back deeds, the last one first.
pub async fn compensate<R: Runner>(runner: &R, chain: &Call, done: &[Done]) -> Compensation {
    let mut all = Compensation::default();
    for deed in done.iter().rev() {
        let envelope = &deed.envelope;
        let named = json!({"step": deed.index, "tool": envelope.tool, "execution": envelope.id});
        let with = |more: Value| {
            let mut told = named.clone();
            if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
                told.extend(more);
            }
            told
        };
        match (envelope.status, &envelope.undo) {
            (Status::Unknown, _) if deed.changes => all.unknown.push(named),
            (Status::Succeeded, None) if deed.changes => all.impossible.push(named),
            (Status::Succeeded, Some(undo)) => {
                let undone = carry_out(runner, chain, &deed.index, &undo.tool, &undo.input).await;
                let code = undone.error.as_ref().map(|error| error.code.as_str());
                if code == Some("idempotency_in_progress") {
                    all.waits = Some(undone);
                    return all;
                }
                let told = with(json!({"undo": undone.id, "note": undo.note}));
                match undone.status {
                    Status::Succeeded if undo.class == "clean" => all.compensated.push(told),
                    Status::Succeeded => all.partially.push(told),
                    _ => all.failed.push(with(json!({
                        "undo": {"tool": undo.tool, "input": undo.input},
                        "status": undone.status.as_str(),
                        "error": undone.error,
                        "confirmation": undone.confirmation,
                    }))),
                }
                all.envelopes.push(undone);
            }
            _ => {}
        }
    }
    all
}

async fn carry_out<R: Runner>(
    runner: &R,
    chain: &Call,
    index: &str,
    tool: &str,
    input: &Value,
) -> Envelope {
    let mut tried = 0;
    loop {
        let call = Call {
            id: runner
                .id()
                .unwrap_or_else(|_| format!("{}-undo-{index}-{tried}", chain.id)),
            tool: tool.to_owned(),
            input: input.clone(),
            surface: "composite",
            step: Some(place(chain, format!("undo.{index}"))),
            ..Call::default()
        };
        let envelope = runner.tool(call).await;
        tried += 1;
        let may_help = envelope.error.as_ref().is_some_and(|error| {
            matches!(
                error.class.as_str(),
                "provider" | "timeout" | "unavailable" | "rate_limited"
            )
        });
        if envelope.status != Status::Failed || !may_help || tried >= TRIES {
            return envelope;
        }
        runner.wait(WAIT_MS << tried).await;
    }
}
