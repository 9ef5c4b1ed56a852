//! How a host is asked to think: the `reasoning` of a request in the host's own fields.

use serde_json::{Map, Value, json};

use crate::{
    catalog::{Reasoning, ReasoningStyle},
    chat::{ChatRequest, Effort, ReasoningWish},
    dialects::Target,
    error::{Error, Next, Result},
};

/// What one host is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ask {
    on: Option<bool>,
    effort: Option<Effort>,
    budget: Option<u64>,
}

/// The fields to send; nothing where nothing was asked. `None` when something was asked that this endpoint cannot do.
///
/// # Errors
/// When reasoning is switched off where it cannot be.
pub(super) fn fields(
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<Option<Map<String, Value>>> {
    let wish = request.reasoning.as_ref().map(|wanted| wanted.wish());
    let wish = wish.unwrap_or(ReasoningWish::Default);
    if wish == ReasoningWish::Default {
        return Ok(Some(Map::new()));
    }
    let Some(able) = &target.endpoint.reasoning else {
        // An endpoint that never thinks does what it is asked when it is asked not to.
        return Ok((wish == ReasoningWish::Off).then(Map::new));
    };
    if wish == ReasoningWish::Off && able.mandatory {
        let mut error = Error::invalid(
            "reasoning",
            "Reasoning is mandatory for this endpoint and cannot be disabled.",
        );
        error.next = Next::NextAttempt;
        return Err(error);
    }
    let limit = request
        .max_tokens
        .or(target.endpoint.max_completion_tokens)
        .unwrap_or(target.endpoint.context_length);
    let fields = spell(
        target.provider.reasoning_style,
        &ask(wish, able, limit),
        able,
    );
    Ok((!fields.is_empty()).then_some(fields))
}

/// P90: what the endpoint can be asked for decides, not one table for all.
fn ask(wish: ReasoningWish, able: &Reasoning, limit: u64) -> Ask {
    let on = Some(true);
    match wish {
        ReasoningWish::Default => Ask::default(),
        ReasoningWish::Off => Ask {
            on: Some(false),
            effort: able.nearest_effort(Effort::None),
            budget: None,
        },
        ReasoningWish::Effort(effort) if able.efforts.is_empty() => Ask {
            on,
            effort: None,
            budget: able
                .budget
                .and_then(|_| within(effort.budget(limit)?, able, limit)),
        },
        ReasoningWish::Effort(effort) => Ask {
            on,
            effort: able.nearest_effort(effort),
            budget: None,
        },
        ReasoningWish::Budget(tokens) if able.budget.is_some() => Ask {
            on,
            effort: None,
            budget: within(tokens, able, limit),
        },
        ReasoningWish::Budget(tokens) => Ask {
            on,
            effort: able.nearest_effort(Effort::of_budget(tokens, limit)),
            budget: None,
        },
    }
}

/// A budget within the endpoint's bounds and below the limit on the answer (P89).
fn within(tokens: u64, able: &Reasoning, limit: u64) -> Option<u64> {
    let bounds = able.budget.unwrap_or_default();
    let least = bounds.min.map_or(1, u64::from).max(1);
    let most = bounds
        .max
        .map_or(u64::MAX, u64::from)
        .min(limit.saturating_sub(1));
    (least <= most).then(|| tokens.clamp(least, most))
}

fn spell(style: ReasoningStyle, ask: &Ask, able: &Reasoning) -> Map<String, Value> {
    let mut fields = Map::new();
    let effort = ask.effort.map(|effort| json!(effort));
    // A host with a switch is switched; one without is only asked for more or less.
    let switch = ask.on.filter(|on| able.toggle || !on);
    match style {
        ReasoningStyle::None => {}
        ReasoningStyle::Effort => {
            fields.extend(effort.map(|effort| ("reasoning_effort".into(), effort)))
        }
        ReasoningStyle::EffortOrNone => {
            let effort = match switch {
                Some(false) => Some(json!("none")),
                Some(true) => effort.or_else(|| Some(json!("medium"))),
                None => effort,
            };
            fields.extend(effort.map(|effort| ("reasoning_effort".into(), effort)));
        }
        ReasoningStyle::Enabled => {
            if let Some(on) = switch {
                fields.insert("reasoning".into(), json!({"enabled": on}));
            }
            if ask.on == Some(true) {
                fields.extend(effort.map(|effort| ("reasoning_effort".into(), effort)));
            }
        }
        ReasoningStyle::Object => {
            let object = match (ask.on, ask.budget, effort) {
                (Some(false), _, _) => json!({"enabled": false}),
                (_, Some(budget), _) => json!({"max_tokens": budget}),
                (_, None, Some(effort)) => json!({"effort": effort}),
                (_, None, None) => json!({"enabled": true}),
            };
            fields.insert("reasoning".into(), object);
        }
        ReasoningStyle::Thinking => {
            if let Some(on) = switch {
                let word = if on { "enabled" } else { "disabled" };
                fields.insert("thinking".into(), json!({"type": word}));
            }
            if ask.on == Some(true) {
                fields.extend(effort.map(|effort| ("reasoning_effort".into(), effort)));
            }
        }
        ReasoningStyle::EnableThinking => {
            if let Some(on) = ask.on {
                fields.insert("enable_thinking".into(), json!(on));
            }
            fields.extend(
                ask.budget
                    .map(|budget| ("thinking_budget".into(), json!(budget))),
            );
        }
        ReasoningStyle::TemplateKwargs => {
            if let Some(on) = switch {
                fields.insert(
                    "chat_template_kwargs".into(),
                    json!({"enable_thinking": on}),
                );
            }
            fields.extend(effort.map(|effort| ("reasoning_effort".into(), effort)));
        }
    }
    fields
}
