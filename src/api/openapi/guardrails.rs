//! Operations of guardrails.

use serde_json::json;

use super::document::{Operation, Types, Who::Manager, operation};
use crate::guardrails::Builtin;

pub fn types(types: &mut Types) {
    types.words("BuiltinSlug", Builtin::ALL.iter().map(|one| one.as_str()));
}

const PAGE: &str = "{offset?: int(0..9007199254740991), limit?: int(1..9007199254740991)}";

pub fn operations() -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, Manager, "Guardrails", summary);
    let mut all = vec![
        of("GET", "/guardrails", "List guardrails").query(PAGE).answers(200, "{data: Guardrail[], total_count: int(0..)}"),
        of("POST", "/guardrails", "Make a guardrail")
            .says("Its name has to be there.")
            .takes("GuardrailChange")
            .example(json!({"name": "Interns", "limit_usd": 10, "reset_interval": "daily", "content_filter_builtins": [{"slug": "email", "action": "redact"}]}))
            .answers(201, "{data: Guardrail}"),
        of("GET", "/guardrails/{id}", "Show a guardrail, or `default`").answers(200, "{data: Guardrail}"),
        of("PATCH", "/guardrails/{id}", "Change a guardrail, or `default`")
            .takes("GuardrailChange")
            .answers(200, "{data: Guardrail}"),
        of("DELETE", "/guardrails/{id}", "Delete a guardrail").answers(200, "Deleted"),
        of("GET", "/account/privacy", "Show what holds for all of the account").answers(200, "{data: Privacy}"),
        of("PATCH", "/account/privacy", "Change what holds for all of the account")
            .takes("PrivacyChange")
            .answers(200, "{data: Privacy}"),
    ];
    for (all_of, of_one, remove, what, body, row) in [
        (
            "/guardrails/assignments/keys",
            "/guardrails/{id}/assignments/keys",
            "/guardrails/{id}/assignments/keys/remove",
            "keys",
            "{key_hashes: string[1..100]}!",
            "{data: KeyAssignment[], total_count: int(0..)}",
        ),
        (
            "/guardrails/assignments/members",
            "/guardrails/{id}/assignments/members",
            "/guardrails/{id}/assignments/members/remove",
            "members",
            "{member_user_ids: string[1..100]}!",
            "{data: MemberAssignment[], total_count: int(0..)}",
        ),
    ] {
        let [list_all, list, assign, unassign] = match what {
            "keys" => [
                "List the assignments of keys",
                "List the keys of a guardrail",
                "Assign keys",
                "Take keys away",
            ],
            _ => [
                "List the assignments of members",
                "List the members of a guardrail",
                "Assign members",
                "Take members away",
            ],
        };
        all.extend([
            of("GET", all_of, list_all).query(PAGE).answers(200, row),
            of("GET", of_one, list).query(PAGE).answers(200, row),
            of("POST", of_one, assign)
                .takes(body)
                .answers(200, "{assigned_count: int(0..)}"),
            of("POST", remove, unassign)
                .takes(body)
                .answers(200, "{unassigned_count: int(0..)}"),
        ]);
    }
    all
}
