//! How a wish for reasoning is spelt for a model: in the fields of its author's own API.

use super::native::{Effort as NativeEffort, Fields, ReasoningConfig};
use crate::{
    catalog::{Endpoint, Reasoning, ReasoningFields},
    chat::{ChatRequest, Effort, ReasoningWish},
    dialects::anthropic_messages::thinking::{self, Surroundings},
    error::{Error, Result},
};

/// How to reason.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub fields: Fields,
    /// Claude thinks, which leaves little room for sampling.
    pub thinks: bool,
    /// The budget stands below this limit, which therefore has to be said.
    pub max_tokens: Option<u64>,
    /// The model takes no sampling parameters beside this effort.
    pub refuses_sampling: bool,
    /// The wish could not be met.
    pub dropped: bool,
}

/// Decides.
///
/// # Errors
/// When reasoning is switched off that cannot be.
pub(super) fn plan(
    request: &ChatRequest,
    endpoint: &Endpoint,
    around: Surroundings,
) -> Result<Plan> {
    let wish = request.reasoning.as_ref();
    let wish = wish.map_or(ReasoningWish::Default, |asked| asked.wish());
    let fields = endpoint.reasoning.as_ref().and_then(|can| can.fields);
    if fields == Some(ReasoningFields::Thinking) {
        return claude(request, endpoint, around);
    }
    let wants = matches!(wish, ReasoningWish::Effort(_) | ReasoningWish::Budget(_));
    let dropped = Plan {
        dropped: wants,
        ..Plan::default()
    };
    // What cannot be asked for cannot be switched off either.
    let (Some(reasoning), Some(fields)) = (&endpoint.reasoning, fields) else {
        return Ok(dropped);
    };
    let effort = match wish {
        ReasoningWish::Default => return Ok(Plan::default()),
        ReasoningWish::Off if reasoning.mandatory => {
            return Err(Error::invalid(
                "reasoning",
                "Reasoning is mandatory for this endpoint and cannot be disabled.",
            ));
        }
        ReasoningWish::Off => Effort::None,
        ReasoningWish::Effort(effort) => effort,
        ReasoningWish::Budget(budget) => {
            Effort::of_budget(budget, thinking::max_tokens(request, endpoint))
        }
    };
    Ok(match fields {
        ReasoningFields::ReasoningConfig => nova(request, reasoning, effort),
        ReasoningFields::ReasoningEffort => flat(reasoning, effort),
        ReasoningFields::Thinking => dropped,
    })
}

fn claude(request: &ChatRequest, endpoint: &Endpoint, around: Surroundings) -> Result<Plan> {
    let limit = thinking::max_tokens(request, endpoint);
    let plan = thinking::plan(request, endpoint, around, limit)?;
    let has_budget = matches!(plan.thinking, Some(thinking::Thinking::Enabled { .. }));
    Ok(Plan {
        thinks: plan.thinks(),
        fields: Fields {
            thinking: plan.thinking,
            output_config: plan.effort.map(|effort| NativeEffort { effort }),
            ..Fields::default()
        },
        max_tokens: has_budget.then_some(limit),
        refuses_sampling: false,
        dropped: plan.dropped,
    })
}

/// Nova takes no limit on the answer beside its highest effort: a limit that the client asked for goes before the effort.
fn nova(request: &ChatRequest, reasoning: &Reasoning, effort: Effort) -> Plan {
    let word = match (effort, reasoning.nearest_effort(effort)) {
        (Effort::None, _) | (_, None) => None,
        (_, Some(Effort::High)) if request.max_tokens.is_some() => Some("medium"),
        (_, Some(effort)) => thinking::word(effort),
    };
    let kind = if effort == Effort::None {
        "disabled"
    } else {
        "enabled"
    };
    Plan {
        fields: Fields {
            reasoning_config: Some(ReasoningConfig {
                kind,
                max_reasoning_effort: word,
            }),
            ..Fields::default()
        },
        refuses_sampling: word == Some("high"),
        ..Plan::default()
    }
}

fn flat(reasoning: &Reasoning, effort: Effort) -> Plan {
    let word = match reasoning.nearest_effort(effort) {
        Some(Effort::None) => Some("none"),
        Some(nearest) if effort != Effort::None => thinking::word(nearest),
        _ => None,
    };
    Plan {
        dropped: word.is_none(),
        fields: Fields {
            reasoning_effort: word,
            ..Fields::default()
        },
        ..Plan::default()
    }
}
