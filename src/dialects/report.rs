//! What the gateway itself says with an answer, whoever wrote it and whatever the client speaks.

use crate::{
    chat::{ChatRequest, Usage},
    credits::money::Nanos,
};

/// What the gateway says about an answer, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// The generation id (`gen-…`).
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    /// The slug that was served.
    pub model: String,
    /// Display name of the provider.
    pub provider: String,
}

/// What the client wants left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriterOptions {
    /// Reasoning is not returned (`reasoning.exclude`).
    pub exclude_reasoning: bool,
}

impl WriterOptions {
    /// What a request wants left out.
    pub fn of(request: &ChatRequest) -> Self {
        let reasoning = request.reasoning.as_ref();
        Self {
            exclude_reasoning: reasoning.is_some_and(|reasoning| reasoning.exclude),
        }
    }
}

/// What was used and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageReport {
    /// Token counts.
    pub usage: Usage,
    /// What the account pays.
    pub cost: Nanos,
    /// What it comes to at list prices: the same, unless the account's own provider key served.
    pub list_cost: Nanos,
    /// The prompt's share of the list price.
    pub prompt_cost: Nanos,
    /// The completion's share of the list price.
    pub completion_cost: Nanos,
    /// What the provider's prompt cache saved, where one was at work.
    pub cache_discount: Option<Nanos>,
    /// Whether the account's own provider key served.
    pub is_byok: bool,
    /// What an aborted attempt (`provider.hedge`) may have cost the operator. Not charged.
    pub hedge_cost: Option<Nanos>,
    /// Who wrote which part, where several providers wrote the answer (`provider.continue`).
    pub parts: Vec<PartReport>,
    /// Tools that the gateway ran, where it ran any.
    pub server_tools: Option<ServerToolUse>,
    /// How the request was routed, where the client wants to be told.
    pub routing: Option<Box<serde_json::Value>>,
}

/// Tools that the gateway ran inside a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerToolUse {
    /// Searches of the web that were answered.
    pub web_search_requests: u64,
    /// Pages of the web that were read.
    pub web_fetch_requests: u64,
    /// Calls that the model asked for.
    pub calls_requested: u64,
    /// Calls that were run.
    pub calls_executed: u64,
    /// What they cost.
    pub cost: Nanos,
    /// What executions of the catalog's tools cost: each is charged by itself, and is no part of this request's cost.
    pub executions: Nanos,
}

/// One provider's part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport {
    /// Display name.
    pub provider: String,
    /// Token counts.
    pub usage: Usage,
    /// Its share of the cost, rounded by itself.
    pub cost: Nanos,
}
