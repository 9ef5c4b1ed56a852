//! How a model is asked to think: `thinking: {type, token_budget}`.

use serde_json::{Value, json};

use crate::{
    catalog::{Endpoint, Reasoning},
    chat::{ChatRequest, ReasoningWish},
    error::{Error, Next, Result},
};

/// What the request comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Nothing is said.
    Default,
    /// This is said.
    Say(Value),
    /// The endpoint cannot do what is asked.
    Dropped,
}

/// # Errors
/// When reasoning is switched off where it cannot be.
pub(super) fn plan(request: &ChatRequest, endpoint: &Endpoint) -> Result<Plan> {
    let wish = request.reasoning.as_ref().map(|wanted| wanted.wish());
    let wish = wish.unwrap_or(ReasoningWish::Default);
    let Some(able) = &endpoint.reasoning else {
        return Ok(match wish {
            // A model that never thinks does what it is asked when it is asked not to.
            ReasoningWish::Default | ReasoningWish::Off => Plan::Default,
            ReasoningWish::Effort(_) | ReasoningWish::Budget(_) => Plan::Dropped,
        });
    };
    let limit = request.max_tokens.or(endpoint.max_completion_tokens);
    let limit = limit.unwrap_or(endpoint.context_length);
    let budget = match wish {
        ReasoningWish::Default => return Ok(Plan::Default),
        ReasoningWish::Off if able.mandatory => {
            let mut error = Error::invalid(
                "reasoning",
                "Reasoning is mandatory for this endpoint and cannot be disabled.",
            );
            error.next = Next::NextAttempt;
            return Err(error);
        }
        ReasoningWish::Off => return Ok(Plan::Say(json!({"type": "disabled"}))),
        ReasoningWish::Effort(effort) => effort.budget(limit),
        ReasoningWish::Budget(tokens) => Some(tokens),
    };
    Ok(Plan::Say(
        match budget.and_then(|tokens| within(tokens, able, limit)) {
            Some(tokens) => json!({"type": "enabled", "token_budget": tokens}),
            None => json!({"type": "enabled"}),
        },
    ))
}

/// A budget within the endpoint's bounds and below the limit on the answer (P89); nothing where it takes none.
fn within(tokens: u64, able: &Reasoning, limit: u64) -> Option<u64> {
    let bounds = able.budget?;
    let least = bounds.min.map_or(1, u64::from).max(1);
    let most = bounds.max.map_or(u64::MAX, u64::from);
    let most = most.min(limit.saturating_sub(1));
    (least <= most).then(|| tokens.clamp(least, most))
}
