//! The native forms that are read. Every field may be absent; a block or delta has one of its fields.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// An answer in one piece.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    pub output: Option<Output>,
    pub stop_reason: Option<String>,
    pub usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Output {
    pub message: Option<Message>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub content: Option<Vec<Block>>,
}

/// A block of an answer in one piece.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block {
    pub text: Option<String>,
    pub tool_use: Option<ToolUse>,
    pub tool_result: Option<ToolResult>,
    pub reasoning_content: Option<Reasoning>,
    pub citations_content: Option<Cited>,
}

/// A call of a tool, whole or as it begins.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse {
    pub tool_use_id: Option<String>,
    pub name: Option<String>,
    pub input: Option<Box<RawValue>>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// What a tool of the service gave, whole or as it begins.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult {
    pub tool_use_id: Option<String>,
    #[serde(default)]
    pub content: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reasoning {
    pub reasoning_text: Option<ReasoningText>,
    pub redacted_content: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReasoningText {
    pub text: Option<String>,
    pub signature: Option<String>,
}

/// Text with its sources.
#[derive(Debug, Deserialize)]
pub(super) struct Cited {
    #[serde(default)]
    pub content: Vec<Text>,
    #[serde(default)]
    pub citations: Vec<Citation>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Text {
    pub text: Option<String>,
}

/// A source of the text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Citation {
    pub title: Option<String>,
    pub source: Option<String>,
    #[serde(default)]
    pub source_content: Vec<Text>,
    pub location: Option<Value>,
}

/// The payload of any message of a stream; its type stands in a header.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload {
    #[serde(default)]
    pub content_block_index: u64,
    pub start: Option<Start>,
    pub delta: Option<Delta>,
    pub stop_reason: Option<String>,
    pub usage: Option<Usage>,
}

/// How a block begins.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Start {
    pub tool_use: Option<ToolUse>,
    pub tool_result: Option<ToolResult>,
}

/// More of a block.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delta {
    pub text: Option<String>,
    pub tool_use: Option<Input>,
    pub tool_result: Option<Vec<Value>>,
    pub reasoning_content: Option<ReasoningDelta>,
    pub citation: Option<Citation>,
}

/// More of a call's arguments.
#[derive(Debug, Deserialize)]
pub(super) struct Input {
    #[serde(default)]
    pub input: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReasoningDelta {
    pub text: Option<String>,
    pub signature: Option<String>,
    pub redacted_content: Option<String>,
}

/// Token counts: `input_tokens` leaves the cache out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usage {
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cache_read_input_tokens: Option<u64>,
    pub cache_write_input_tokens: Option<u64>,
    #[serde(default)]
    pub cache_details: Vec<CacheDetail>,
}

/// Cache writes of one lifetime.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CacheDetail {
    pub ttl: Option<String>,
    pub input_tokens: Option<u64>,
}
