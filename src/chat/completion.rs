//! The whole answer: the fold of its events.
//!
//! Because answers in one piece are read as events too, a stream and its non-stream twin fold to the same value.

use serde_json::Value;

use super::{
    event::{Delta, Event, FinishReason},
    reasoning::ReasoningDetail,
    usage::Usage,
};
use crate::error::Error;

/// A finished tool call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolCall {
    /// The call's id.
    pub id: String,
    /// Tool name.
    pub name: String,
    /// Arguments as JSON text.
    pub arguments: String,
}

/// One of the `n` answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Choice {
    /// Text; `None` where the model wrote none (P73).
    pub content: Option<String>,
    /// Refusal in words.
    pub refusal: Option<String>,
    /// Reasoning blocks in order.
    pub reasoning: Vec<ReasoningDetail>,
    /// Tool calls in order.
    pub tool_calls: Vec<ToolCall>,
    /// Image URLs in order.
    pub images: Vec<String>,
    /// Sound.
    pub audio: Option<Value>,
    /// Annotations in order.
    pub annotations: Vec<Value>,
    /// Log probabilities.
    pub logprobs: Option<Value>,
    /// Why it ended.
    pub finish: Option<FinishReason>,
    /// Why it ended, in the provider's word.
    pub native_finish: Option<String>,
    /// The stop sequence that was met.
    pub stop_sequence: Option<String>,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Completion {
    /// The provider's id of the answer.
    pub upstream_id: Option<String>,
    /// The model that the provider named.
    pub upstream_model: Option<String>,
    /// The service tier that served.
    pub service_tier: Option<String>,
    /// The provider's fingerprint.
    pub system_fingerprint: Option<String>,
    /// The answers, by choice index.
    pub choices: Vec<Choice>,
    /// Last reported token counts; `None` where the provider reported none (P21, P31).
    pub usage: Option<Usage>,
    /// The provider failed after it had begun.
    pub error: Option<Error>,
    /// The dialect's own end mark was seen.
    pub done: bool,
}

impl Completion {
    /// The most answers, or tool calls in one answer; a higher index from an upstream is ignored.
    pub const MAX_INDEX: u32 = 128;

    /// Folds a list of events.
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Self {
        let mut completion = Self::default();
        for event in events {
            completion.push(event);
        }
        completion
    }

    /// Has anything worth paying for arrived?
    pub fn has_content(&self) -> bool {
        self.choices.iter().any(|choice| {
            choice
                .content
                .as_deref()
                .is_some_and(|text| !text.is_empty())
                || choice.refusal.is_some()
                || !choice.reasoning.is_empty()
                || !choice.tool_calls.is_empty()
                || !choice.images.is_empty()
                || choice.audio.is_some()
        })
    }

    /// Adds one event.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Start {
                id,
                model,
                service_tier,
                system_fingerprint,
            } => {
                self.upstream_id = id.or(self.upstream_id.take());
                self.upstream_model = model.or(self.upstream_model.take());
                self.service_tier = service_tier.or(self.service_tier.take());
                self.system_fingerprint = system_fingerprint.or(self.system_fingerprint.take());
            }
            Event::Delta { choice, delta } => {
                if let Some(choice) = slot(&mut self.choices, choice) {
                    choice.push(delta);
                }
            }
            Event::Finish {
                choice,
                reason,
                native,
                stop_sequence,
            } => {
                if let Some(choice) = slot(&mut self.choices, choice) {
                    choice.finish = Some(reason);
                    choice.native_finish = Some(native);
                    choice.stop_sequence = stop_sequence;
                }
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Error(error) => self.error = Some(error),
            Event::Done => self.done = true,
        }
    }
}

impl Choice {
    fn push(&mut self, delta: Delta) {
        match delta {
            Delta::Text(text) => self.content.get_or_insert_default().push_str(&text),
            Delta::Refusal(text) => self.refusal.get_or_insert_default().push_str(&text),
            Delta::Reasoning(detail) => {
                let rest = match self.reasoning.last_mut() {
                    Some(last) => last.absorb(detail),
                    None => Some(detail),
                };
                self.reasoning.extend(rest);
            }
            Delta::ToolCallStart { index, id, name } => {
                if let Some(call) = slot(&mut self.tool_calls, index) {
                    call.id = id;
                    call.name = name;
                }
            }
            Delta::ToolCallArguments { index, json } => {
                if let Some(call) = slot(&mut self.tool_calls, index) {
                    call.arguments.push_str(&json);
                }
            }
            Delta::Image { url } => self.images.push(url),
            Delta::Audio(audio) => {
                merge(self.audio.get_or_insert(Value::Null), audio);
            }
            Delta::Annotation(annotation) => self.annotations.push(annotation),
            Delta::Logprobs(logprobs) => {
                merge(self.logprobs.get_or_insert(Value::Null), logprobs);
            }
        }
    }
}

/// The item at `index`, made with its predecessors where missing.
fn slot<T: Default + Clone>(items: &mut Vec<T>, index: u32) -> Option<&mut T> {
    if index >= Completion::MAX_INDEX {
        return None;
    }
    let index = usize::try_from(index).ok()?;
    if items.len() <= index {
        items.resize(index + 1, T::default());
    }
    items.get_mut(index)
}

/// Deltas of sound repeat the object with pieces of `data` and `transcript` to append; deltas of log probabilities carry
/// lists to append; any other field replaces the earlier one.
fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else {
        return;
    };
    let Value::Object(into) = into else {
        *into = Value::Object(from);
        return;
    };
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::String(old)), Value::String(more))
                if key == "data" || key == "transcript" =>
            {
                old.push_str(&more);
            }
            (Some(Value::Array(old)), Value::Array(more)) => old.extend(more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{ReasoningFormat, ReasoningKind};

    #[test]
    fn pieces_of_text_and_calls_fold_into_one_message() {
        let start = |index, id: &str, name: &str| {
            Event::delta(
                0,
                Delta::ToolCallStart {
                    index,
                    id: id.into(),
                    name: name.into(),
                },
            )
        };
        let piece = |index, json: &str| {
            Event::delta(
                0,
                Delta::ToolCallArguments {
                    index,
                    json: json.into(),
                },
            )
        };
        let completion = Completion::from_events([
            Event::text("Hel"),
            Event::text("lo"),
            start(1, "b", "two"),
            start(0, "a", "one"),
            piece(1, "{\"x\":"),
            piece(1, "1}"),
            Event::Done,
        ]);
        let choice = &completion.choices[0];
        assert_eq!(choice.content.as_deref(), Some("Hello"));
        assert_eq!(choice.tool_calls[1].arguments, "{\"x\":1}");
        assert_eq!(choice.tool_calls[0].name, "one");
        assert!(completion.done);
    }

    #[test]
    fn a_signature_in_its_own_delta_joins_its_block() {
        let text = |index, text: &str| {
            let detail = ReasoningDetail::text(ReasoningFormat::AnthropicClaude, index, text);
            Event::delta(0, Delta::Reasoning(detail))
        };
        let signature = ReasoningDetail {
            kind: ReasoningKind::Text {
                text: None,
                signature: Some("sig".into()),
            },
            format: ReasoningFormat::AnthropicClaude,
            id: None,
            index: Some(0),
        };
        let completion = Completion::from_events([
            text(0, "a"),
            text(0, "b"),
            Event::delta(0, Delta::Reasoning(signature)),
            text(1, "c"),
        ]);
        let blocks = &completion.choices[0].reasoning;
        assert_eq!(blocks.len(), 2);
        assert_eq!(
            blocks[0].kind,
            ReasoningKind::Text {
                text: Some("ab".into()),
                signature: Some("sig".into())
            }
        );
    }

    #[test]
    fn an_absurd_index_costs_no_memory() {
        let completion = Completion::from_events([Event::delta(u32::MAX, Delta::Text("x".into()))]);
        assert!(completion.choices.is_empty());
    }
}
