//! Why an execution was not admitted, in words: the account's and its keys' limits, guards, a catalog that has no such tool.

use serde_json::json;

use crate::{
    credits::{
        money::Nanos,
        ops::{GuardHit, Refusal},
    },
    time::rfc3339,
    tools::{catalog::Refused, envelope::ToolError},
};

/// A refused hold.
pub(super) fn of_hold(refusal: &Refusal) -> ToolError {
    let error = |code: &str, message: String| ToolError::new(code, "client", message);
    match refusal {
        Refusal::InsufficientCredits {
            available,
            in_flight,
        } => {
            let rest = if *in_flight {
                "requests in flight hold the rest of the balance"
            } else {
                "add credits"
            };
            let message = format!("The account can pay ${available} of it: {rest}");
            error("insufficient_balance", message)
        }
        Refusal::InFlightBudget { budget, .. } => ToolError {
            retry_after: Some(5),
            ..error(
                "insufficient_balance",
                format!("Requests in flight may hold ${budget} together: wait for some to end"),
            )
        },
        Refusal::Budget(state) => ToolError {
            details: Some(
                json!({"budget": state.budget.id, "remaining": dollars(state.remaining)}),
            ),
            ..error(
                "budget_exceeded",
                format!("A budget of this account has ${} left", state.remaining),
            )
        },
        Refusal::KeyLimit {
            remaining,
            resets_at,
        } => ToolError {
            details: Some(json!({"remaining": dollars(*remaining), "resets_at": resets_at})),
            ..error(
                "budget_exceeded",
                format!("The limit of this API key has ${remaining} left"),
            )
        },
        Refusal::TooSoon(soon) => ToolError {
            retry_after: soon.retry_after_s,
            details: Some(json!({"limit": soon.limit, "of_key": soon.of_key})),
            ..error(
                "rate_limit_exceeded",
                "A limit of pace is reached: wait before the next execution".to_owned(),
            )
        },
        Refusal::SecretReplaced => error(
            "invalid_api_key",
            "This API key was replaced by another: send the new one".to_owned(),
        ),
        Refusal::KeyUnknown | Refusal::KeyDeleted => {
            error("invalid_api_key", "No such API key".to_owned())
        }
        Refusal::KeyDisabled => error("invalid_api_key", "This API key is disabled".to_owned()),
        Refusal::KeyExpired => error("invalid_api_key", "This API key has expired".to_owned()),
        Refusal::Finished { outcome } => error(
            "conflict",
            format!("This execution has already ended ({})", outcome.as_str()),
        ),
    }
}

/// A guard that refuses.
pub(super) fn of_guard(hit: &GuardHit, now_ms: u64) -> ToolError {
    let whose = match hit.of.as_str() {
        "key" => "This key's guard",
        "account" => "The account's guard",
        _ => "The usual guard",
    };
    let until = hit.until.map(rfc3339);
    let amount = |number: i64| match (hit.guard.as_str(), Nanos::new(number)) {
        ("spend_per_day", Ok(nanos)) => format!("${nanos}"),
        _ => number.to_string(),
    };
    let message = if hit.guard == "disabled" {
        format!("{whose} has switched {} off", of_rule(&hit.rule))
    } else {
        let when = until
            .as_ref()
            .map_or(String::new(), |at| format!("; again from {at}"));
        format!(
            "{whose} {} over {} allows {}: {} used, {} needed{when}",
            hit.guard,
            of_rule(&hit.rule),
            amount(hit.limit),
            amount(hit.used),
            amount(hit.needed),
        )
    };
    let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let wait_s = |at: i64| u32::try_from((at - now).max(1_000).saturating_add(999) / 1_000).ok();
    let code = match (hit.guard.as_str(), hit.until) {
        ("disabled", _) => "tool_disabled",
        (_, Some(_)) => "rate_limit_exceeded",
        (_, None) => "guard_exceeded",
    };
    ToolError {
        retry_after: hit.until.and_then(wait_s),
        details: Some(json!({
            "guard": hit.guard, "of": hit.of, "tool": hit.rule,
            "limit": hit.limit, "used": hit.used, "needed": hit.needed, "until": until,
        })),
        ..ToolError::new(code, "guard", message)
    }
}

fn of_rule(rule: &str) -> &str {
    if rule == "*" { "all tools" } else { rule }
}

/// A tool that cannot be called.
pub(super) fn of_catalog(refused: &Refused) -> ToolError {
    let (code, class) = match refused {
        Refused::Unknown(_) => ("tool_not_found", "client"),
        Refused::Denied(denied) => (denied.by.code, "guard"),
        Refused::ByokRequired(_) => ("byok_required", "client"),
        Refused::Unavailable => ("tool_not_found", "gateway"),
    };
    ToolError {
        details: match refused {
            Refused::Denied(denied) => Some(denied.by.details.clone()),
            _ => None,
        },
        ..ToolError::new(code, class, refused.to_string())
    }
}

fn dollars(amount: Nanos) -> serde_json::Value {
    serde_json::to_value(amount.to_json_number()).unwrap_or_default()
}
