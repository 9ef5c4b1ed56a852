//! The agent card: who we are, where and in which versions we are spoken to, what we can do.
//!
//! One card for both versions: clients of 1.0 read `supportedInterfaces`, those of 0.3 `url` and its neighbours; who names 1.0 gets its form alone. Anybody sees the public
//! one, whose skills are categories; the extended one lists what the key that asks may call.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::tools::catalog::{Tool, ToolCatalog, ToolView};

/// The most tools on the extended card.
const MAX_SKILLS: usize = 500;
/// The most examples of one skill.
const MAX_EXAMPLES: usize = 5;

/// The card that anybody sees; `at` is the address of the JSON-RPC binding.
pub fn public(catalog: &ToolCatalog, at: &str) -> Value {
    let mut categories: BTreeMap<&str, Vec<&Tool>> = BTreeMap::new();
    for tool in catalog.tools() {
        categories.entry(tool.category()).or_default().push(tool);
    }
    let skills = categories.into_iter().map(|(category, tools)| {
        let names: Vec<&str> = tools.iter().map(|tool| tool.id.as_str()).collect();
        let examples = tools.iter().flat_map(|tool| tool.operation.intents.first());
        json!({
            "id": category,
            "name": category,
            "description": format!("Tools: {}", names.join(", ")),
            "tags": [category],
            "examples": examples.take(MAX_EXAMPLES).collect::<Vec<_>>(),
        })
    });
    card(at, skills.collect())
}

/// The card for a key: the tools that it may call.
pub fn extended(view: &ToolView, at: &str) -> Value {
    let skills = view.tools().iter().take(MAX_SKILLS).map(|(tool, _)| {
        let operation = &tool.operation;
        let tags = [Some(tool.category()), operation.capability.as_deref()];
        let tags = tags.into_iter().flatten().chain([operation.effect.as_str()]);
        json!({
            "id": tool.id,
            "name": operation.title,
            "description": format!("{} Data: {{\"tool\": \"{}\", \"input\": …}}.", tool.description(), tool.id),
            "tags": tags.collect::<Vec<_>>(),
            "examples": operation.intents.iter().take(MAX_EXAMPLES).collect::<Vec<_>>(),
        })
    });
    card(at, skills.collect())
}

/// The card without what 0.3 alone reads, for those who say that they read 1.0.
#[must_use]
pub fn of_v1(mut card: Value) -> Value {
    for name in [
        "protocolVersion",
        "url",
        "preferredTransport",
        "supportsAuthenticatedExtendedCard",
        "security",
    ] {
        taken(&mut card, name);
    }
    if let Some(scheme) = card.pointer_mut("/securitySchemes/key") {
        taken(scheme, "type");
        taken(scheme, "scheme");
    }
    card
}

fn taken(object: &mut Value, name: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove(name);
    }
}

fn card(at: &str, skills: Vec<Value>) -> Value {
    let interface = |binding: &str, version: &str| json!({"url": at, "protocolBinding": binding, "protocolVersion": version});
    let modes = ["application/json", "text/plain"];
    json!({
        "name": "Patchbay",
        "description": "Tools of many providers behind one key. Send data with `tool` and `input`, or say in words what you want. \
            What changes the world may have to be confirmed; each message is carried out once.",
        "version": env!("CARGO_PKG_VERSION"),
        "supportedInterfaces": [
            interface("JSONRPC", "1.0"), interface("HTTP+JSON", "1.0"), interface("JSONRPC", "0.3"),
        ],
        "protocolVersion": "0.3.0",
        "url": at,
        "preferredTransport": "JSONRPC",
        "supportsAuthenticatedExtendedCard": true,
        "capabilities": {"streaming": true, "pushNotifications": false, "extendedAgentCard": true},
        "securitySchemes": {"key": {
            "httpAuthSecurityScheme": {"scheme": "Bearer", "description": "A key of this gateway"},
            // The same as 0.3 spells it.
            "type": "http", "scheme": "Bearer",
        }},
        "securityRequirements": [{"schemes": {"key": {"list": []}}}],
        "security": [{"key": []}],
        "defaultInputModes": modes,
        "defaultOutputModes": modes,
        "skills": skills,
    })
}
