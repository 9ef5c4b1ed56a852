//! What programs look for at well-known places: where the API's document is, which protocols are spoken, how to get in.
//!
//! Facts about this deployment and nothing else. Out of scope: OAuth's metadata and the agent card, which are parts of their protocols.

use serde_json::{Value, json};

use super::{
    World,
    http::{Request, Response},
    openapi,
};

/// For how long a client may keep it, in seconds.
const MAX_AGE: &str = "public, max-age=3600";
const NAME: &str = "Patchbay";
const ABOUT: &str = "One API key for AI models and tools: OpenAI's, Anthropic's and OpenRouter's APIs, REST, MCP and A2A.";

/// The paths, each with what stands there.
const PLACES: [(&str, Kind); 5] = [
    ("/.well-known/openapi.json", Kind::OpenApi),
    ("/.well-known/mcp.json", Kind::Mcp),
    ("/.well-known/ai-plugin.json", Kind::Plugin),
    ("/.well-known/agents.json", Kind::Agents),
    ("/agents.json", Kind::Agents),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    OpenApi,
    Mcp,
    Plugin,
    Agents,
}

/// Whether something stands at a path.
pub(super) fn is_place(path: &str) -> bool {
    PLACES.iter().any(|(place, _)| *place == path)
}

/// What stands at a path.
pub(super) fn place<W: World>(world: &W, request: &Request, path: &str) -> Response {
    let found = PLACES.iter().find(|(place, _)| *place == path);
    let kind = found.map_or(Kind::Agents, |(_, kind)| *kind);
    if kind == Kind::OpenApi {
        return openapi::show();
    }
    let public = world.var("PUBLIC_URL");
    let base = public
        .as_deref()
        .unwrap_or(&request.origin)
        .trim_end_matches('/');
    told(match kind {
        Kind::Mcp => mcp(base),
        Kind::Plugin => plugin(base),
        Kind::OpenApi | Kind::Agents => manifest(base),
    })
}

/// `GET /agent/manifest`.
pub(super) fn show<W: World>(world: &W, request: &Request) -> Response {
    let public = world.var("PUBLIC_URL");
    told(manifest(
        public
            .as_deref()
            .unwrap_or(&request.origin)
            .trim_end_matches('/'),
    ))
}

fn told(value: Value) -> Response {
    let mut response = Response::json(200, &value);
    response.header("cache-control", MAX_AGE);
    response
}

fn mcp(base: &str) -> Value {
    json!({
        "name": NAME,
        "description": ABOUT,
        "version": env!("CARGO_PKG_VERSION"),
        "url": format!("{base}/mcp"),
        "transport": "streamable-http",
        "servers": [{"name": NAME, "url": format!("{base}/mcp"), "transport": "streamable-http"}],
        "authentication": bearer(),
    })
}

/// The manifest of an age before these protocols; some clients still ask for it.
fn plugin(base: &str) -> Value {
    json!({
        "schema_version": "v1",
        "name_for_human": NAME,
        "name_for_model": "patchbay",
        "description_for_human": ABOUT,
        "description_for_model": ABOUT,
        "auth": {"type": "user_http", "authorization_type": "bearer"},
        "api": {"type": "openapi", "url": format!("{base}/openapi.json")},
    })
}

fn bearer() -> Value {
    json!({"type": "bearer", "header": "Authorization", "format": "Bearer sk-pb-v1-…"})
}

fn manifest(base: &str) -> Value {
    let api = |path: &str| format!("{base}/api/v1{path}");
    json!({
        "name": NAME,
        "description": ABOUT,
        "version": env!("CARGO_PKG_VERSION"),
        "openapi": format!("{base}/openapi.json"),
        "authentication": bearer(),
        "endpoints": {
            "chat_completions": api("/chat/completions"),
            "responses": api("/responses"),
            "messages": api("/messages"),
            "models": api("/models"),
            "tools": api("/tools"),
            "execute": api("/tools/execute"),
            "run": api("/tools/run"),
            "key": api("/key"),
        },
        "protocols": {
            "rest": {"url": format!("{base}/api/v1")},
            "mcp": {"url": format!("{base}/mcp"), "transport": "streamable-http"},
            "a2a": {"url": format!("{base}/a2a"), "card": format!("{base}/.well-known/agent-card.json")},
            "openai": {"url": format!("{base}/api/v1"), "tools": api("/tools?format=openai")},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_names_this_deployment() {
        for (path, kind) in PLACES {
            assert!(is_place(path));
            let told = match kind {
                Kind::Mcp => mcp("https://gw.example"),
                Kind::Plugin => plugin("https://gw.example"),
                Kind::OpenApi | Kind::Agents => manifest("https://gw.example"),
            };
            assert!(told.to_string().contains("https://gw.example/"), "{path}");
        }
        assert!(!is_place("/.well-known/other.json"));
    }
}
