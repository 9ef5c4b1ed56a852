//! Operations of an account: its keys, credits, records, provider keys and presets.

use serde_json::json;

use super::document::{Operation, Who, operation};

const PAGE: &str = "{
    // How many to skip.
    offset?: int(0..9007199254740991),
    include_disabled?: boolean,
    include_expired?: boolean
}";

pub fn operations() -> Vec<Operation> {
    let preset = json!({"model": "openai/gpt-5-mini", "temperature": 0.2, "messages": [{"role": "system", "content": "Answer in one line."}]});
    let keep = |path, summary, takes: &str, example| {
        operation("POST", path, Who::Caller, "Presets", summary)
            .says("The configuration of the body becomes a preset, or the next version of one. Messages of the system are its prompt; others are left out.")
            .takes(takes)
            .example(example)
            .answers(201, "{data: Preset}")
    };
    let key = |path| {
        operation("GET", path, Who::AnyKey, "Keys", "Show the key that asks")
            .answers(200, "{data: KeyState}")
    };
    let external =
        |method, path, summary| operation(method, path, Who::Manager, "External users", summary);
    vec![
        key("/key"),
        key("/auth/key"),
        operation(
            "GET",
            "/credits",
            Who::AnyKey,
            "Credits",
            "Show what was bought and used",
        )
        .answers(200, "{data: Credits}"),
        operation(
            "GET",
            "/generation",
            Who::Caller,
            "Usage",
            "Show the record of a request",
        )
        .says("A record arrives a moment after its answer; until then it is 404.")
        .query("{id: string(1..)}")
        .answers(200, "{data: Generation}")
        .fails(&[404]),
        external("GET", "/external-users", "List external users")
            .query("{offset?: int(0..9007199254740991), limit?: int(1..9007199254740991), user?: string(1..512), include_inactive?: boolean}")
            .answers(200, "{data: ExternalUser[], total_count: int(0..)}"),
        external("POST", "/external-users", "Register an external user")
            .says("What clients send as `user`, and what keys are made for. Making a key for somebody registers them too.")
            .takes("{user: string(1..512)}!")
            .example(json!({"user": "employee_123"}))
            .answers(201, "{data: ExternalUser}")
            .fails(&[409]),
        external("GET", "/external-users/{user}", "Show an external user")
            .answers(200, "{data: ExternalUser}"),
        external("PATCH", "/external-users/{user}", "Switch an external user on or off")
            .says("It is listed or not; nobody is kept from calling models.")
            .takes("{is_active: boolean}!")
            .answers(200, "{data: ExternalUser}"),
        external("DELETE", "/external-users/{user}", "Switch an external user off").done(),
        operation("GET", "/keys", Who::Manager, "Keys", "List keys")
            .query(PAGE)
            .answers(200, "{data: Key[]}"),
        operation("POST", "/keys", Who::Manager, "Keys", "Make a key")
            .says("The key itself is in this answer only.")
            .takes("NewKey")
            .example(json!({"name": "ci", "limit": 5, "limit_reset": "monthly"}))
            .answers(201, "{data: Key, key: string}"),
        operation("GET", "/keys/{hash}", Who::Manager, "Keys", "Show a key")
            .answers(200, "{data: Key}"),
        operation(
            "PATCH",
            "/keys/{hash}",
            Who::Manager,
            "Keys",
            "Change a key",
        )
        .says("An absent field stays; null clears.")
        .takes("KeyChange")
        .answers(200, "{data: Key}"),
        operation(
            "DELETE",
            "/keys/{hash}",
            Who::Manager,
            "Keys",
            "Delete a key",
        )
        .answers(200, "Deleted"),
        operation(
            "GET",
            "/byok",
            Who::Manager,
            "Provider keys",
            "List provider keys",
        )
        .query("{offset?: int(0..9007199254740991), limit?: int(0..9007199254740991)}")
        .answers(200, "{data: OwnKey[], total_count: int(0..)}")
        .fails(&[404]),
        operation(
            "POST",
            "/byok",
            Who::Manager,
            "Provider keys",
            "Bring a provider key",
        )
        .takes("NewOwnKey")
        .example(json!({"provider": "openai", "key": "sk-…", "name": "ours"}))
        .answers(201, "{data: OwnKey}")
        .fails(&[404, 501]),
        operation(
            "GET",
            "/byok/{id}",
            Who::Manager,
            "Provider keys",
            "Show a provider key",
        )
        .answers(200, "{data: OwnKey}"),
        operation(
            "PATCH",
            "/byok/{id}",
            Who::Manager,
            "Provider keys",
            "Change a provider key",
        )
        .takes("OwnKeyChange")
        .answers(200, "{data: OwnKey}")
        .fails(&[501]),
        operation(
            "DELETE",
            "/byok/{id}",
            Who::Manager,
            "Provider keys",
            "Delete a provider key",
        )
        .answers(200, "Deleted"),
        operation("GET", "/presets", Who::Caller, "Presets", "List presets")
            .answers(200, "{data: Preset[], total_count: int(0..)}"),
        operation(
            "GET",
            "/presets/{slug}",
            Who::Caller,
            "Presets",
            "Show a preset",
        )
        .answers(200, "{data: Preset}"),
        operation(
            "GET",
            "/presets/{slug}/versions",
            Who::Caller,
            "Presets",
            "List the versions of a preset",
        )
        .answers(200, "{data: PresetVersion[], total_count: int(0..)}"),
        operation(
            "GET",
            "/presets/{slug}/versions/{version}",
            Who::Caller,
            "Presets",
            "Show a version of a preset",
        )
        .answers(200, "{data: PresetVersion}"),
        keep(
            "/presets/{slug}/chat/completions",
            "Keep a chat completion's configuration",
            "ChatRequest",
            preset.clone(),
        ),
        keep(
            "/presets/{slug}/messages",
            "Keep a message's configuration",
            "MessagesRequest",
            json!({"model": "anthropic/claude-sonnet-4.5", "messages": [{"role": "user", "content": "Hello!"}], "system": "Answer in one line."}),
        ),
        keep(
            "/presets/{slug}/responses",
            "Keep a response's configuration",
            "ResponsesRequest",
            json!({"model": "openai/gpt-5-mini", "instructions": "Answer in one line.", "input": "Hello!"}),
        ),
    ]
}
