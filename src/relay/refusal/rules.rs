//! Refusals by rules of pace and budgets, in words.
//!
//! `metadata.headers` is what the response bears as headers too (`api::http`). Spec: OpenRouter's errors 402, 403 and 429.

use serde_json::json;

use super::refused;
use crate::{
    credits::{
        money::Nanos,
        ops::{ACCOUNT_BUDGETS, BudgetState, Pace, Scope, TooSoon},
        periods::Reset,
    },
    error::{Error, ErrorType},
    time::rfc3339,
};

/// Seconds after which requests in flight have probably given back what they hold.
pub const IN_FLIGHT_RETRY_S: u32 = 5;

/// A limit of pace is reached.
pub fn too_soon(soon: &TooSoon) -> Error {
    let whose = if soon.of_key {
        "this API key"
    } else {
        "this account"
    };
    let limit = soon.limit;
    let message = match soon.what {
        Pace::FreePerMinute => format!(
            "Rate limit exceeded: free-models-per-min. Free models take {limit} requests per minute from an account."
        ),
        Pace::FreePerDay => format!(
            "Rate limit exceeded: free-models-per-day. Free models take {limit} requests per UTC day from an account; add credits to be granted more."
        ),
        Pace::FreePerDayPaid => format!(
            "Rate limit exceeded: free-models-per-day-high-balance. Free models take {limit} requests per UTC day from an account."
        ),
        Pace::Requests => {
            format!("Rate limit exceeded: {whose} may send {limit} requests per minute.")
        }
        Pace::Tokens if soon.needed > limit => format!(
            "Request too large: it takes about {} tokens, and {whose} may use {limit} tokens per minute. Send a shorter prompt or fewer max_tokens.",
            soon.needed
        ),
        Pace::Tokens => format!(
            "Rate limit exceeded: {whose} may use {limit} tokens per minute, {} are left, and this request takes about {}.",
            soon.remaining, soon.needed
        ),
        Pace::Concurrent => format!(
            "Rate limit exceeded: {whose} may have {limit} requests in flight at the same time."
        ),
    };
    let mut headers = json!({
        "X-RateLimit-Limit": limit.to_string(),
        "X-RateLimit-Remaining": soon.remaining.to_string(),
    });
    if let (Some(at), Some(headers)) = (soon.fits_at, headers.as_object_mut()) {
        headers.insert("X-RateLimit-Reset".to_owned(), at.to_string().into());
    }
    let source = match soon.what {
        Pace::FreePerMinute | Pace::FreePerDay | Pace::FreePerDayPaid => "free_models",
        _ if soon.of_key => "key_rate_limit",
        _ => "account_rate_limit",
    };
    let mut error = refused(ErrorType::RateLimitExceeded, message)
        .with("limit_source", source)
        .with("headers", headers);
    error.retry_after = soon.retry_after_s;
    error
}

/// A budget cannot cover the request.
pub fn budget(state: &BudgetState) -> Error {
    let period = match state.budget.reset {
        None => "lifetime",
        Some(reset) => reset.as_str(),
    };
    let (whose, wire) = match &state.budget.scope {
        Scope::Account => ("Workspace", "workspace"),
        Scope::EachKey => ("API key", "workspace_default_key"),
        Scope::Key(_) => ("API key", "api_key"),
        Scope::EachMember => ("Member", "workspace_default_member"),
        Scope::Member(_) => ("Member", "member"),
    };
    let (amount, spent) = (state.budget.amount, state.spent);
    let verb = if state.remaining > Nanos::ZERO {
        "would be exceeded"
    } else {
        "exceeded"
    };
    let held = match state.held {
        Nanos::ZERO => String::new(),
        held => format!(" and ${held} held by requests in flight"),
    };
    let resets = match (state.resets_at, state.budget.reset) {
        (Some(at), Some(Reset::Daily | Reset::Weekly | Reset::Monthly)) => {
            format!(" It starts again at {}.", rfc3339(at))
        }
        _ => String::new(),
    };
    let message = format!(
        "{whose} {period} budget of ${amount} {verb}: ${spent} is spent{held}.{resets} Contact your org admin."
    );
    let error = refused(ErrorType::PermissionDenied, message)
        .with("limit_source", "budget")
        .with(
            "budget",
            json!({
                "budget_id": state.budget.id,
                "guardrail_id": (!state.origin.starts_with(ACCOUNT_BUDGETS)).then_some(&state.origin),
                "scope": wire,
                "limit_usd": amount.to_string(),
                "spend_usd": spent.to_string(),
                "held_usd": state.held.to_string(),
                "reset_interval": state.budget.reset.map(Reset::as_str),
                "resets_at": state.resets_at.map(rfc3339),
            }),
        );
    match state.resets_at {
        Some(at) => error.with("resets_at", at),
        None => error,
    }
}

/// Requests in flight may hold only a part of the balance.
pub fn in_flight(budget: Nanos, held: Nanos, too_heavy: bool) -> Error {
    if too_heavy {
        let message = format!(
            "This request may cost more than the ${budget} that requests in flight may hold of this account's balance. Send fewer max_tokens, or add credits."
        );
        return refused(ErrorType::PaymentRequired, message)
            .with("limit_source", "openrouter_credits")
            .with("reason", "weight_exceeds_budget");
    }
    let message = format!(
        "Requests in flight hold ${held} of the ${budget} that they may hold of this account's balance. Send this request again when some of them have ended."
    );
    exhausted(refused(ErrorType::PaymentRequired, message))
}

/// Requests in flight stand in the way: what is told of it.
pub fn exhausted(error: Error) -> Error {
    let mut error = error
        .with("limit_source", "openrouter_in_flight_budget")
        .with("reason", "in_flight_budget_exhausted");
    error.retry_after = Some(IN_FLIGHT_RETRY_S);
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credits::ops::Budget;

    fn soon(what: Pace, needed: i64) -> TooSoon {
        TooSoon {
            of_key: true,
            what,
            limit: 10,
            remaining: 2,
            needed,
            fits_at: (needed <= 10).then_some(1_700_000_000_000),
            retry_after_s: (needed <= 10).then_some(7),
        }
    }

    #[test]
    fn a_limit_of_pace_is_told_with_its_numbers_and_when_to_come_again() {
        for (what, needed, words) in [
            (Pace::Requests, 1, "10 requests per minute"),
            (Pace::Tokens, 5, "2 are left"),
            (Pace::FreePerMinute, 1, "free-models-per-min."),
            (Pace::FreePerDay, 1, "free-models-per-day."),
            (Pace::FreePerDayPaid, 1, "free-models-per-day-high-balance"),
        ] {
            let error = too_soon(&soon(what, needed));
            assert_eq!((error.status, error.retry_after), (429, Some(7)));
            assert!(error.message.contains(words), "{}", error.message);
            let headers = &error.metadata["headers"];
            assert_eq!(headers["X-RateLimit-Limit"], "10");
            assert_eq!(headers["X-RateLimit-Remaining"], "2");
            assert_eq!(headers["X-RateLimit-Reset"], "1700000000000");
        }
        let never = too_soon(&soon(Pace::Tokens, 11));
        assert_eq!((never.status, never.retry_after), (429, None));
        assert!(never.message.contains("Request too large"));
    }

    #[test]
    fn a_budget_is_named_with_what_is_spent_and_when_it_starts_again() {
        let dollars = |text: &str| Nanos::from_dollars(text).unwrap();
        let state = BudgetState {
            origin: "account:monthly".into(),
            budget: Budget {
                id: "b".into(),
                scope: Scope::Account,
                reset: Some(Reset::Monthly),
                amount: dollars("500"),
                include_byok: false,
            },
            spent: dollars("500.25"),
            held: Nanos::ZERO,
            remaining: dollars("-0.25"),
            resets_at: Some(1_785_542_400_000),
        };
        let error = budget(&state);
        assert_eq!(error.status, 403);
        assert!(
            error.message.starts_with("Workspace monthly budget of $500 exceeded: $500.25 is spent. It starts again at 2026-08-01T"),
            "{}",
            error.message
        );
        assert_eq!(error.metadata["budget"]["scope"], "workspace");
        assert_eq!(error.metadata["budget"]["guardrail_id"], json!(null));
    }

    #[test]
    fn what_requests_in_flight_hold_is_told_apart_from_what_is_too_heavy() {
        let some = Nanos::from_dollars("1").unwrap();
        let full = in_flight(some, some, false);
        assert_eq!(
            (full.status, full.retry_after),
            (402, Some(IN_FLIGHT_RETRY_S))
        );
        assert_eq!(full.metadata["reason"], "in_flight_budget_exhausted");
        let heavy = in_flight(some, some, true);
        assert_eq!((heavy.status, heavy.retry_after), (402, None));
        assert_eq!(heavy.metadata["reason"], "weight_exceeds_budget");
    }
}
