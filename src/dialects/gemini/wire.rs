//! The parts of a native `GenerateContentResponse` that the gateway reads.
//!
//! Out of scope: safety ratings, rendered search widgets and whatever else no canonical event can carry. Unknown fields are
//! ignored, so that a new field at the provider breaks nothing.
//! Spec: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// One answer, or one chunk of a streamed answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Chunk {
    pub candidates: Vec<Candidate>,
    pub prompt_feedback: Option<PromptFeedback>,
    pub usage_metadata: Option<UsageMetadata>,
    pub model_version: Option<String>,
    pub response_id: Option<String>,
    pub error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Candidate {
    pub index: Option<u32>,
    pub content: Option<Content>,
    pub finish_reason: Option<String>,
    pub finish_message: Option<String>,
    pub grounding_metadata: Option<GroundingMetadata>,
    pub citation_metadata: Option<CitationMetadata>,
    pub logprobs_result: Option<LogprobsResult>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content {
    pub parts: Vec<Part>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Part {
    pub text: Option<String>,
    pub thought: bool,
    pub thought_signature: Option<String>,
    pub function_call: Option<FunctionCall>,
    pub function_response: Option<FunctionResponse>,
    pub inline_data: Option<Blob>,
    pub file_data: Option<FileData>,
    pub executable_code: Option<Value>,
    pub code_execution_result: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionCall {
    pub id: Option<String>,
    pub name: String,
    pub args: Option<Box<RawValue>>,
}

/// Only its presence matters: the provider ran the call itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionResponse {}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Blob {
    pub mime_type: String,
    pub data: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FileData {
    pub mime_type: String,
    pub file_uri: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PromptFeedback {
    pub block_reason: Option<String>,
    pub block_reason_message: Option<String>,
}

/// Token counts; an absent count is not a zero (P21).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    pub prompt_token_count: Option<u64>,
    pub cached_content_token_count: Option<u64>,
    pub candidates_token_count: Option<u64>,
    pub thoughts_token_count: Option<u64>,
    pub tool_use_prompt_token_count: Option<u64>,
    pub total_token_count: Option<u64>,
    pub prompt_tokens_details: Option<Vec<ModalityCount>>,
    pub cache_tokens_details: Option<Vec<ModalityCount>>,
    pub candidates_tokens_details: Option<Vec<ModalityCount>>,
    pub tool_use_prompt_tokens_details: Option<Vec<ModalityCount>>,
    pub service_tier: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ModalityCount {
    pub modality: String,
    pub token_count: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GroundingMetadata {
    pub grounding_chunks: Vec<GroundingChunk>,
    pub grounding_supports: Vec<GroundingSupport>,
    pub web_search_queries: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GroundingChunk {
    pub web: Option<WebSource>,
    pub retrieved_context: Option<WebSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WebSource {
    pub uri: Option<String>,
    pub title: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GroundingSupport {
    pub segment: Segment,
    pub grounding_chunk_indices: Vec<usize>,
}

/// A stretch of the answer, measured in bytes of UTF-8.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Segment {
    pub part_index: usize,
    pub start_index: u64,
    pub end_index: u64,
    pub text: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CitationMetadata {
    #[serde(alias = "citations")]
    pub citation_sources: Vec<CitationSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CitationSource {
    pub uri: Option<String>,
    pub title: Option<String>,
    pub start_index: u64,
    pub end_index: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LogprobsResult {
    pub chosen_candidates: Vec<LogprobsToken>,
    pub top_candidates: Vec<TopCandidates>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TopCandidates {
    pub candidates: Vec<LogprobsToken>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LogprobsToken {
    pub token: String,
    pub log_probability: f64,
}
