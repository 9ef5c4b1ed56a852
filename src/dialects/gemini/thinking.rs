//! What the client asks of reasoning → `thinkingConfig`.
//!
//! Models of 2.5 take a budget in tokens, later ones a level; which of them, and within what bounds, is data of the endpoint.
//! Spec: <https://ai.google.dev/gemini-api/docs/thinking>

use super::body::Thinking;
use crate::{
    catalog::{Endpoint, Reasoning},
    chat::{ChatRequest, Effort, ReasoningRequest, ReasoningWish},
    error::{Error, Result},
};

/// The configuration: `Ok(None)` where nothing was asked, `Ok(Some(None))` where something was, and this endpoint has nothing
/// to ask it with.
///
/// # Errors
/// When reasoning is to be off on an endpoint that always reasons.
pub(super) fn config(
    request: &ChatRequest,
    endpoint: &Endpoint,
) -> Result<Option<Option<Thinking>>> {
    let Some(wanted) = &request.reasoning else {
        return Ok(None);
    };
    let wish = wanted.wish();
    let Some(able) = &endpoint.reasoning else {
        // Nothing to switch off is nothing lost.
        return Ok((wish != ReasoningWish::Off).then_some(None));
    };
    if wish == ReasoningWish::Off {
        return switched_off(wanted, able).map(Some).map(Some);
    }
    if able.budget.is_none() && able.efforts.is_empty() {
        return Ok(Some(None));
    }
    let limit = request
        .max_tokens
        .or(endpoint.max_completion_tokens)
        .or(able.budget.and_then(|budget| budget.max).map(u64::from))
        .unwrap_or(endpoint.context_length);
    let mut thinking = match wish {
        ReasoningWish::Off | ReasoningWish::Default => Thinking::default(),
        // P90: the endpoint's own list of efforts decides.
        ReasoningWish::Effort(effort) if !able.efforts.is_empty() => level(able, effort),
        ReasoningWish::Effort(effort) => {
            // Thoughts count into the answer's limit: some of it must be left for the answer (P89).
            let below = request
                .max_tokens
                .map_or(u64::MAX, |most| most.saturating_sub(1));
            budget(able, effort.budget(limit).unwrap_or(0).min(below))
        }
        // Gemini takes a budget above the answer's limit, and the client has named it.
        ReasoningWish::Budget(tokens) if able.budget.is_some() => budget(able, tokens),
        ReasoningWish::Budget(tokens) => level(able, Effort::of_budget(tokens, limit)),
    };
    thinking.include_thoughts = (!wanted.exclude).then_some(true);
    Ok(Some(Some(thinking)))
}

fn switched_off(wanted: &ReasoningRequest, able: &Reasoning) -> Result<Thinking> {
    if able.mandatory {
        let param = match wanted.effort {
            Some(_) => "reasoning.effort",
            None => "reasoning",
        };
        let message = "Reasoning is mandatory for this endpoint and cannot be disabled.";
        return Err(Error::invalid(param, message));
    }
    if able.toggle || able.efforts.is_empty() {
        return Ok(Thinking {
            thinking_budget: Some(0),
            ..Thinking::default()
        });
    }
    Ok(level(able, Effort::Minimal))
}

/// A budget within the endpoint's bounds.
fn budget(able: &Reasoning, tokens: u64) -> Thinking {
    let bounds = able.budget.unwrap_or_default();
    let least = bounds.min.map_or(0, u64::from);
    let most = bounds.max.map_or(u64::MAX, u64::from);
    Thinking {
        thinking_budget: Some(tokens.max(least).min(most)),
        ..Thinking::default()
    }
}

/// The nearest level; the highest is `high`.
fn level(able: &Reasoning, effort: Effort) -> Thinking {
    let word = match able.nearest_effort(effort) {
        None => None,
        Some(Effort::None | Effort::Minimal) => Some("minimal"),
        Some(Effort::Low) => Some("low"),
        Some(Effort::Medium) => Some("medium"),
        Some(Effort::High | Effort::Xhigh | Effort::Max) => Some("high"),
    };
    Thinking {
        thinking_level: word,
        ..Thinking::default()
    }
}
