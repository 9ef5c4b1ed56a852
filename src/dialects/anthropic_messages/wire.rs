//! The native forms that are read. Every field may be absent or null: compatible hosts leave many out.
//!
//! One flat struct serves every block type, and one every event type, so that `RawValue` can be held and an unknown type is
//! simply one without the fields that anybody looks at.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// One event of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct StreamEvent<'a> {
    #[serde(rename = "type", borrow, default)]
    pub kind: Cow<'a, str>,
    pub index: Option<u64>,
    pub message: Option<Message>,
    pub content_block: Option<Block>,
    pub delta: Option<Delta>,
    pub usage: Option<Usage>,
    pub error: Option<Value>,
}

/// The delta of a block (`content_block_delta`) or of the message (`message_delta`).
#[derive(Debug, Deserialize)]
pub(super) struct Delta {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub text: Option<String>,
    pub partial_json: Option<String>,
    pub thinking: Option<String>,
    pub signature: Option<String>,
    pub citation: Option<Value>,
    pub stop_reason: Option<String>,
    pub stop_sequence: Option<String>,
    pub stop_details: Option<StopDetails>,
}

impl Delta {
    /// How the answer ended, taken out.
    pub fn take_stop(&mut self) -> Option<Stop> {
        Some(Stop {
            reason: self.stop_reason.take()?,
            sequence: self.stop_sequence.take(),
            details: self.stop_details.take(),
        })
    }
}

/// How an answer ended.
#[derive(Debug)]
pub(super) struct Stop {
    pub reason: String,
    pub sequence: Option<String>,
    pub details: Option<StopDetails>,
}

/// More about a refusal.
#[derive(Debug, Deserialize)]
pub(super) struct StopDetails {
    pub explanation: Option<String>,
}

/// An answer in one piece, or the head of a streamed one.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub id: Option<String>,
    pub model: Option<String>,
    pub content: Option<Vec<Block>>,
    pub stop_reason: Option<String>,
    pub stop_sequence: Option<String>,
    pub stop_details: Option<StopDetails>,
    pub usage: Option<Usage>,
}

impl Message {
    /// How it ended, taken out.
    pub fn take_stop(&mut self) -> Option<Stop> {
        Some(Stop {
            reason: self.stop_reason.take()?,
            sequence: self.stop_sequence.take(),
            details: self.stop_details.take(),
        })
    }
}

/// A content block of any type.
#[derive(Debug, Deserialize)]
pub(super) struct Block {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub text: Option<String>,
    pub citations: Option<Vec<Value>>,
    pub thinking: Option<String>,
    pub signature: Option<String>,
    pub data: Option<String>,
    pub id: Option<String>,
    pub name: Option<String>,
    pub input: Option<Box<RawValue>>,
    pub tool_use_id: Option<String>,
    pub content: Option<Value>,
}

/// Token counts, of the start of a stream, of its end, or of a whole answer.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Usage {
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cache_creation_input_tokens: Option<u64>,
    pub cache_read_input_tokens: Option<u64>,
    pub cache_creation: Option<CacheCreation>,
    pub output_tokens_details: Option<OutputDetails>,
    pub iterations: Option<Vec<Iteration>>,
    pub server_tool_use: Option<ServerToolUse>,
    pub service_tier: Option<String>,
    pub speed: Option<String>,
}

/// Cache writes by lifetime.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct CacheCreation {
    pub ephemeral_5m_input_tokens: Option<u64>,
    pub ephemeral_1h_input_tokens: Option<u64>,
}

/// Calls of tools that the provider ran.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ServerToolUse {
    pub web_search_requests: Option<u64>,
}

/// What the completion was spent on.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct OutputDetails {
    pub thinking_tokens: Option<u64>,
}

/// One pass of the model within an answer.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Iteration {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
}
