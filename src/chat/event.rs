//! The canonical events of an answer. A stream and an answer in one piece are the same list of events.

use serde_json::Value;

use super::{reasoning::ReasoningDetail, usage::Usage};
use crate::error::Error;

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done, or met a stop sequence.
    Stop,
    /// It met a token limit.
    Length,
    /// It wants tools to run.
    ToolCalls,
    /// It refused or was filtered.
    ContentFilter,
    /// It failed (P93).
    Error,
}

impl FinishReason {
    /// The same for an answer with tool calls: one that ended by itself wants them to run.
    pub fn with_calls(self, has_calls: bool) -> Self {
        match self {
            FinishReason::Stop if has_calls => FinishReason::ToolCalls,
            reason => reason,
        }
    }

    /// The word of chat completions.
    pub fn as_str(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::Error => "error",
        }
    }
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// Text.
    Text(String),
    /// A refusal in words.
    Refusal(String),
    /// Reasoning; pieces with the same `index` belong together.
    Reasoning(ReasoningDetail),
    /// A tool call begins. `index` counts tool calls only, from 0, per choice (P49, P50).
    ToolCallStart {
        /// Position among the tool calls of this choice.
        index: u32,
        /// The call's id.
        id: String,
        /// Tool name.
        name: String,
    },
    /// A piece of a call's arguments. The pieces of one call join to non-empty JSON text: a dialect sends `{}` for a
    /// call without arguments (P55).
    ToolCallArguments {
        /// Position among the tool calls of this choice.
        index: u32,
        /// Piece of JSON text.
        json: String,
    },
    /// An image, as a `data:` or `https:` URL.
    Image {
        /// Where the bytes are.
        url: String,
    },
    /// Sound, in the shape of chat completions' `message.audio`.
    Audio(Value),
    /// A citation or file annotation, in the shape of chat completions' `annotations[]`.
    Annotation(Value),
    /// Log probabilities, in the shape of chat completions' `logprobs`.
    Logprobs(Value),
}

impl Delta {
    /// Is it real content, after which a request is committed to this attempt? Empty text is not (P116).
    pub fn is_content(&self) -> bool {
        match self {
            Delta::Text(text) | Delta::Refusal(text) => !text.is_empty(),
            Delta::Reasoning(detail) => detail.readable() != Some(""),
            Delta::ToolCallArguments { .. } | Delta::Logprobs(_) => false,
            Delta::ToolCallStart { .. }
            | Delta::Image { .. }
            | Delta::Audio(_)
            | Delta::Annotation(_) => true,
        }
    }
}

/// One event of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The answer begins; every field is what the provider said, if anything.
    Start {
        /// The provider's id of the answer.
        id: Option<String>,
        /// The model that the provider named.
        model: Option<String>,
        /// The service tier that served.
        service_tier: Option<String>,
        /// The provider's fingerprint.
        system_fingerprint: Option<String>,
    },
    /// A piece of choice `choice`.
    Delta {
        /// Which of the `n` answers.
        choice: u32,
        /// The piece.
        delta: Delta,
    },
    /// Choice `choice` ended.
    Finish {
        /// Which of the `n` answers.
        choice: u32,
        /// Why, in the canonical word.
        reason: FinishReason,
        /// Why, in the provider's word (`native_finish_reason`).
        native: String,
        /// The stop sequence that was met (P92).
        stop_sequence: Option<String>,
    },
    /// Token counts so far; cumulative, so the last one counts (P06, P14).
    Usage(Usage),
    /// The provider failed after it had begun.
    Error(Error),
    /// The dialect's own end mark was seen (`[DONE]`, `message_stop`, or the end of an answer in one piece).
    Done,
}

impl Event {
    /// Text of choice 0.
    pub fn text(text: impl Into<String>) -> Self {
        Event::delta(0, Delta::Text(text.into()))
    }

    /// A delta of choice `choice`.
    pub fn delta(choice: u32, delta: Delta) -> Self {
        Event::Delta { choice, delta }
    }

    /// Is this the event at which a request commits to the attempt?
    pub fn is_content(&self) -> bool {
        matches!(self, Event::Delta { delta, .. } if delta.is_content())
    }
}
