//! How a wish for reasoning is spelt for an endpoint, and when it has to give way.
//!
//! Endpoints that take a budget get one; endpoints that take efforts alone think adaptively. Sampling, forced tools, a
//! prefilled answer and a tool loop without its thinking blocks each exclude thinking at the API.
//! Spec: <https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>,
//! <https://docs.anthropic.com/en/docs/build-with-claude/adaptive-thinking>

pub(in crate::dialects) use super::native::Thinking;
use crate::{
    catalog::{Budget, Endpoint, Reasoning},
    chat::{ChatRequest, Effort, ReasoningWish},
    error::{Error, Result},
};

/// The least thinking budget.
const LEAST_BUDGET: u64 = 1024;
/// The limit of an answer where the request names none: more than most answers need, and small enough for every model.
const USUAL_LIMIT: u64 = 32_000;
/// The limit of an answer where not even the model's own is known.
const UNKNOWN_LIMIT: u64 = 8_192;

/// What the rest of the request means for thinking.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::dialects) struct Surroundings {
    /// A tool has to be called.
    pub forced_tool: bool,
    /// The last turn is the beginning of the answer.
    pub prefill: bool,
    /// The last turn holds tool results, and the calls were made without thinking.
    pub bare_tool_loop: bool,
}

/// How to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::dialects) struct Plan {
    pub thinking: Option<Thinking>,
    pub effort: Option<&'static str>,
    /// The wish could not be met.
    pub dropped: bool,
}

impl Plan {
    /// Will it think, as far as the request says?
    pub fn thinks(&self) -> bool {
        matches!(
            self.thinking,
            Some(Thinking::Enabled { .. } | Thinking::Adaptive { .. })
        )
    }
}

/// `max_tokens`, which the API insists on.
pub(in crate::dialects) fn max_tokens(request: &ChatRequest, endpoint: &Endpoint) -> u64 {
    let most = endpoint.max_completion_tokens;
    let wanted = request.max_tokens.unwrap_or_else(|| {
        let usual = most.unwrap_or(UNKNOWN_LIMIT).min(USUAL_LIMIT);
        match wish(request) {
            ReasoningWish::Budget(budget) => usual.max(budget.saturating_add(UNKNOWN_LIMIT)),
            _ => usual,
        }
    });
    wanted.min(most.unwrap_or(u64::MAX)).max(1)
}

/// Decides.
///
/// # Errors
/// When reasoning is switched off that cannot be.
pub(in crate::dialects) fn plan(
    request: &ChatRequest,
    endpoint: &Endpoint,
    around: Surroundings,
    max_tokens: u64,
) -> Result<Plan> {
    let wish = wish(request);
    let Some(reasoning) = &endpoint.reasoning else {
        let dropped = matches!(wish, ReasoningWish::Effort(_) | ReasoningWish::Budget(_));
        return Ok(Plan {
            dropped,
            ..Plan::default()
        });
    };
    let exclude = request
        .reasoning
        .as_ref()
        .is_some_and(|asked| asked.exclude);
    match wish {
        ReasoningWish::Default => Ok(Plan::default()),
        ReasoningWish::Off => off(reasoning),
        ReasoningWish::Effort(effort) => {
            let budget = effort.budget(max_tokens).unwrap_or(LEAST_BUDGET);
            Ok(on(reasoning, around, (budget, effort), max_tokens, exclude))
        }
        ReasoningWish::Budget(budget) => {
            let effort = Effort::of_budget(budget, max_tokens);
            Ok(on(reasoning, around, (budget, effort), max_tokens, exclude))
        }
    }
}

fn wish(request: &ChatRequest) -> ReasoningWish {
    let asked = request.reasoning.as_ref();
    asked.map_or(ReasoningWish::Default, |asked| asked.wish())
}

fn off(reasoning: &Reasoning) -> Result<Plan> {
    if reasoning.mandatory {
        return Err(Error::invalid(
            "reasoning",
            "Reasoning is mandatory for this endpoint and cannot be disabled.",
        ));
    }
    Ok(Plan {
        thinking: reasoning.toggle.then_some(Thinking::Disabled),
        ..Plan::default()
    })
}

fn on(
    reasoning: &Reasoning,
    around: Surroundings,
    (budget, effort): (u64, Effort),
    max_tokens: u64,
    exclude: bool,
) -> Plan {
    let dropped = Plan {
        dropped: true,
        ..Plan::default()
    };
    if around.forced_tool || around.prefill {
        return dropped;
    }
    if let (None, Some(effort)) = (reasoning.budget, reasoning.nearest_effort(effort)) {
        return Plan {
            // Newer models leave the thoughts out unless they are asked for.
            thinking: Some(Thinking::Adaptive {
                display: if exclude { "omitted" } else { "summarized" },
            }),
            effort: word(effort),
            dropped: false,
        };
    }
    if reasoning.budget.is_none() && !reasoning.toggle {
        return dropped;
    }
    let budget = fit(budget, reasoning.budget.unwrap_or_default(), max_tokens);
    match budget {
        Some(budget_tokens) if !around.bare_tool_loop => Plan {
            thinking: Some(Thinking::Enabled { budget_tokens }),
            ..Plan::default()
        },
        _ => dropped,
    }
}

/// The budget within the endpoint's bounds and below `max_tokens`; nothing when not even the least fits (P89).
fn fit(budget: u64, bounds: Budget, max_tokens: u64) -> Option<u64> {
    let least = bounds.min.map_or(LEAST_BUDGET, u64::from).max(LEAST_BUDGET);
    let most = bounds.max.map_or(u64::MAX, u64::from);
    let budget = budget
        .max(least)
        .min(most)
        .min(max_tokens.saturating_sub(1));
    (budget >= least).then_some(budget)
}

/// The effort in the API's word. `minimal` is not one: the nearest effort of an endpoint is among those it lists.
pub(in crate::dialects) fn word(effort: Effort) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Minimal | Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High => Some("high"),
        Effort::Xhigh => Some("xhigh"),
        Effort::Max => Some("max"),
    }
}
