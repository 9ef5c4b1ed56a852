//! The routes: each path of the API, and the methods that it takes.
//!
//! One table, for what answers 404, 405 and `OPTIONS`, and for the API's document, whose operations are held to it. Who
//! answers a route says `route` in the module above. Out of scope: `/health` and pages for people, which are not under `/v1`.

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const DELETE: &[&str] = &["DELETE"];
const LIST_AND_MAKE: &[&str] = &["GET", "POST"];
const SHOW_AND_CHANGE: &[&str] = &["GET", "PATCH"];
const SHOW_AND_PUT: &[&str] = &["GET", "PUT"];
const SHOW_AND_DELETE: &[&str] = &["GET", "DELETE"];
const ONE: &[&str] = &["GET", "PATCH", "DELETE"];

/// Paths under `/api/v1/` with their methods; `{…}` is any one segment. The first that fits counts.
pub const ROUTES: &[(&str, &[&str])] = &[
    // What calls models, or tells what would happen.
    ("chat/completions", POST),
    ("messages", POST),
    ("responses", POST),
    ("completions", POST),
    ("embeddings", POST),
    ("rerank", POST),
    ("images", POST),
    // OpenAI's SDKs know the longer path only.
    ("images/generations", POST),
    ("audio/speech", POST),
    ("audio/transcriptions", POST),
    ("messages/count_tokens", POST),
    ("route", POST),
    // Tools.
    ("tools", GET),
    ("tools/categories", GET),
    ("tools/run", POST),
    ("tools/execute", POST),
    // Where clients of others send the same.
    ("execute", POST),
    ("tools/executions", GET),
    ("tools/executions/{id}", SHOW_AND_DELETE),
    ("tools/guards", SHOW_AND_PUT),
    // Whatever is not one of those above.
    ("tools/sources", LIST_AND_MAKE),
    ("tools/sources/{id}", ONE),
    ("tools/sources/{id}/refresh", POST),
    ("tools/{provider}/{operation}", GET),
    ("usage", GET),
    ("agent/manifest", GET),
    // The catalog, and this table for programs.
    ("models", GET),
    ("models/count", GET),
    ("models/user", GET),
    ("models/{author}/{slug}", GET),
    ("models/{author}/{slug}/endpoints", GET),
    ("model/{author}/{slug}", GET),
    ("embeddings/models", GET),
    ("images/models", GET),
    ("images/models/{author}/{slug}/endpoints", GET),
    ("providers", GET),
    ("openapi.json", GET),
    // An account's keys, limits and settings.
    ("key", GET),
    ("auth/key", GET),
    ("keys", LIST_AND_MAKE),
    ("keys/{hash}", ONE),
    ("keys/{hash}/rotate", POST),
    ("external-users", LIST_AND_MAKE),
    ("external-users/{user}", ONE),
    ("byok", LIST_AND_MAKE),
    ("byok/{id}", ONE),
    ("presets", GET),
    ("presets/{slug}", GET),
    ("presets/{slug}/versions", GET),
    ("presets/{slug}/versions/{version}", GET),
    ("presets/{slug}/chat/completions", POST),
    ("presets/{slug}/messages", POST),
    ("presets/{slug}/responses", POST),
    ("account/settings", SHOW_AND_CHANGE),
    ("account/privacy", SHOW_AND_CHANGE),
    ("workspaces", GET),
    ("workspaces/{id}", SHOW_AND_CHANGE),
    ("workspaces/{id}/budgets", GET),
    (
        "workspaces/{id}/budgets/{period}",
        &["GET", "PUT", "DELETE"],
    ),
    ("budgets", GET),
    ("budgets/{period}", &["GET", "PUT", "DELETE"]),
    ("guardrails", LIST_AND_MAKE),
    ("guardrails/assignments/keys", GET),
    ("guardrails/assignments/members", GET),
    ("guardrails/{id}", ONE),
    ("guardrails/{id}/assignments/keys", LIST_AND_MAKE),
    ("guardrails/{id}/assignments/keys/remove", POST),
    ("guardrails/{id}/assignments/members", LIST_AND_MAKE),
    ("guardrails/{id}/assignments/members/remove", POST),
    ("audit", GET),
    // What happened.
    ("generation", GET),
    ("generation/content", GET),
    ("generation/feedback", POST),
    ("activity", GET),
    ("analytics/meta", GET),
    ("analytics/query", POST),
    ("rankings", GET),
    ("rankings/models", GET),
    ("rankings/apps", GET),
    ("datasets/rankings-daily", GET),
    ("datasets/app-rankings", GET),
    ("observability/destinations", LIST_AND_MAKE),
    ("observability/destinations/{id}", ONE),
    ("observability/destinations/{id}/test", POST),
    (
        "observability/destinations/{id}/dead-letters",
        SHOW_AND_DELETE,
    ),
    ("observability/destinations/{id}/dead-letters/retry", POST),
    (
        "observability/destinations/{id}/dead-letters/{generation}",
        DELETE,
    ),
    // What is believed of the providers of tools.
    ("beliefs", GET),
    ("tools/route", POST),
    ("tools/executions/{id}/report", POST),
    // Money.
    ("credits", GET),
    ("credits/coinbase", POST),
    ("credits/checkout", POST),
    ("credits/redeem", POST),
    ("credits/settings", SHOW_AND_PUT),
    ("credits/purchases", GET),
    ("credits/purchases/{id}", GET),
    ("credits/purchases/{id}/receipt", GET),
    ("credits/purchases/{id}/refund", POST),
    ("stripe/webhook", POST),
    // People.
    ("me", SHOW_AND_CHANGE),
    ("me/accounts", LIST_AND_MAKE),
    ("me/accounts/{account}", DELETE),
    ("me/sessions", SHOW_AND_DELETE),
    ("me/sessions/{id}", DELETE),
    ("organization/members", GET),
    ("organization/members/{user}", ONE),
    ("organization/invitations", LIST_AND_MAKE),
    ("organization/invitations/{id}", DELETE),
    ("invitations/accept", POST),
    ("auth/keys", POST),
    ("auth/keys/code", POST),
    // The operator.
    ("admin/accounts", LIST_AND_MAKE),
    ("admin/accounts/{account}", SHOW_AND_DELETE),
    ("admin/accounts/{account}/entries", GET),
    ("admin/accounts/{account}/export", GET),
    ("admin/accounts/{account}/grants", POST),
    ("admin/accounts/{account}/corrections", POST),
    ("admin/accounts/{account}/limits", SHOW_AND_PUT),
    ("admin/accounts/{account}/keys", LIST_AND_MAKE),
    ("admin/accounts/{account}/byok", LIST_AND_MAKE),
    ("admin/accounts/{account}/byok/{id}", ONE),
    ("admin/accounts/{account}/presets", LIST_AND_MAKE),
    ("admin/accounts/{account}/presets/{slug}", SHOW_AND_DELETE),
    ("admin/accounts/{account}/members", LIST_AND_MAKE),
    ("admin/accounts/{account}/members/{user}", ONE),
    ("admin/accounts/{account}/invitations", LIST_AND_MAKE),
    ("admin/accounts/{account}/invitations/{id}", DELETE),
    ("admin/accounts/{account}/credits/checkout", POST),
    ("admin/accounts/{account}/credits/redeem", POST),
    ("admin/accounts/{account}/credits/settings", SHOW_AND_PUT),
    ("admin/accounts/{account}/credits/purchases", GET),
    ("admin/accounts/{account}/credits/purchases/{id}", GET),
    (
        "admin/accounts/{account}/credits/purchases/{id}/receipt",
        GET,
    ),
    (
        "admin/accounts/{account}/credits/purchases/{id}/refund",
        POST,
    ),
    ("admin/keys/{hash}", ONE),
    ("admin/keys/{hash}/rotate", POST),
    ("admin/byok/rotate", POST),
    ("admin/users", GET),
    ("admin/users/{user}", SHOW_AND_CHANGE),
    ("admin/login-links", POST),
    ("admin/coupons", LIST_AND_MAKE),
    ("admin/coupons/{id}", DELETE),
    ("admin/catalog", LIST_AND_MAKE),
    ("admin/providers", POST),
    ("admin/tools", GET),
    ("admin/tools/sources", LIST_AND_MAKE),
    ("admin/tools/sources/{id}", ONE),
    ("admin/tools/sources/{id}/refresh", POST),
    ("admin/health", GET),
    ("admin/reconcile", LIST_AND_MAKE),
    ("admin/reconcile/findings", GET),
    ("admin/audit", GET),
];

/// The methods that a path takes; `None` where there is no such path.
pub fn methods(segments: &[&str]) -> Option<&'static [&'static str]> {
    let route = ROUTES.iter().find(|(path, _)| fits(path, segments));
    route.map(|(_, methods)| *methods)
}

fn fits(path: &str, segments: &[&str]) -> bool {
    let mut parts = path.split('/');
    let is_same = |segment: &&str| {
        parts
            .next()
            .is_some_and(|part| part.starts_with('{') || part == *segment)
    };
    segments.iter().all(is_same) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Option<&'static [&'static str]> {
        methods(&path.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn each_route_answers_with_its_own_methods() {
        for (path, methods) in ROUTES {
            assert_eq!(of(path), Some(*methods), "{path}");
            // Any word will do for a name, one that begins a path too.
            let named: Vec<&str> = path
                .split('/')
                .map(|part| {
                    if part.starts_with('{') {
                        "models"
                    } else {
                        part
                    }
                })
                .collect();
            assert_eq!(super::methods(&named), Some(*methods), "{named:?}");
        }
    }

    #[test]
    fn a_path_is_known_whole_or_not_at_all() {
        for path in [
            "",
            "chat",
            "chat/completions/x",
            "Models",
            "keys/a/b",
            "health",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
        // A word of the table goes before a name.
        let letters = "observability/destinations/d/dead-letters";
        assert_eq!(of(&format!("{letters}/retry")), Some(POST));
        assert_eq!(of(&format!("{letters}/gen-1")), Some(DELETE));
    }
}
