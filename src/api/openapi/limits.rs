//! Operations of limits: rotation of keys, budgets, limits of pace.

use serde_json::json;

use super::document::{
    Operation,
    Who::{self, Manager, Operator},
    operation,
};

fn rotation(who: Who, tag: &'static str, path: &'static str) -> Operation {
    operation("POST", path, who, tag, "Give a key a new secret")
        .says("The old one serves on for the overlap, a day where nothing is said. The new one is in this answer only.")
        .takes("{overlap_seconds?: int(0..2592000) | null}!")
        .optional()
        .answers(201, "{data: Key, key: string, previous_ends_at: time}")
        .fails(&[409])
}

pub fn operations() -> Vec<Operation> {
    let pace =
        "{requests_per_minute?: Pace, tokens_per_minute?: Pace, concurrent_requests?: Pace}!";
    let mut all = vec![
        rotation(Manager, "Keys", "/keys/{hash}/rotate"),
        rotation(Operator, "Operator", "/admin/keys/{hash}/rotate"),
        operation(
            "GET",
            "/admin/accounts/{account}/limits",
            Operator,
            "Operator",
            "Show an account's limits of pace",
        )
        .answers(200, "{data: Limits}"),
        operation(
            "PUT",
            "/admin/accounts/{account}/limits",
            Operator,
            "Operator",
            "Set an account's limits of pace",
        )
        .says("They replace what was set.")
        .takes(pace)
        .example(json!({"requests_per_minute": 600, "concurrent_requests": "unlimited"}))
        .answers(200, "{data: Limits}"),
    ];
    for (list, one) in [
        ("/budgets", "/budgets/{period}"),
        (
            "/workspaces/{id}/budgets",
            "/workspaces/{id}/budgets/{period}",
        ),
    ] {
        let of = |method, path, summary| operation(method, path, Manager, "Budgets", summary);
        all.extend([
            of("GET", list, "List the account's budgets")
                .answers(200, "{data: Budget[], total_count: int(0..)}"),
            of("GET", one, "Show a budget").answers(200, "{data: Budget}"),
            of("PUT", one, "Set a budget")
                .says("Budgets get strictly smaller as their period gets shorter.")
                .takes("{limit_usd: Dollars, include_byok_in_budgets?: boolean | null}!")
                .example(json!({"limit_usd": 100}))
                .answers(200, "{data: Budget}"),
            of("DELETE", one, "Lift a budget").answers(200, "Deleted"),
        ]);
    }
    all
}
