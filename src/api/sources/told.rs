//! Imported sources as answers show them: no secret, and every text marked by where it stands as somebody else's.

use serde_json::{Value, json};

use crate::{
    json::set,
    time::rfc3339,
    tools::imports::{review, store::Source},
};

/// One of a list.
pub(super) fn listed(source: &Source) -> Value {
    let live = source.live();
    let auth = &source.accepted.auth;
    json!({
        "id": source.id,
        "object": "tool_source",
        "kind": source.kind.as_str(),
        "slug": source.slug(),
        "name": live.name,
        "url": source.url,
        "server": source.accepted.base_url,
        "auth": {"kind": auth.kind.as_str(), "name": auth.name, "key_fields": live.key_fields},
        "has_headers": source.sealed.is_some(),
        "enabled": source.enabled,
        "state": state(source),
        "digest": source.digest,
        "operation_count": live.operation.len(),
        "created_at": rfc3339(source.created_at),
        "updated_at": source.updated_at.map(rfc3339),
        "refreshed_at": rfc3339(source.refreshed_at),
        "error": source.error,
    })
}

/// All of it: its operations with what each stands at, what waits to be accepted, what was left out.
pub(super) fn rendered(source: &Source) -> Value {
    let mut body = listed(source);
    let pending = source.pending.as_ref();
    let operations = source.accepted.operation.iter().map(|one| {
        let choice = source.settings.operations.get(&one.name);
        let called = choice.and_then(|choice| choice.name.as_ref());
        let effect = choice.and_then(|choice| choice.effect);
        let state = if !source.settings.admits(&one.name) {
            "excluded"
        } else if review::stands(&source.accepted, pending, &one.name) {
            "on"
        } else {
            "held_back"
        };
        json!({
            "id": format!("{}/{}", source.slug(), called.unwrap_or(&one.name)),
            "name": one.name,
            "title": one.title,
            "effect": effect.unwrap_or(one.effect).as_str(),
            "state": state,
        })
    });
    let operations: Vec<Value> = operations.collect();
    set(&mut body, "operations", operations);
    set(&mut body, "settings", json!(source.settings));
    let changes = pending.map(|pending| review::changes(&source.accepted, pending));
    set(&mut body, "changes", changes.unwrap_or_default());
    let [left_out, weakened] = &source.report;
    set(&mut body, "left_out", json!(left_out));
    set(&mut body, "weakened", json!(weakened));
    body
}

fn state(source: &Source) -> &'static str {
    match (source.enabled, &source.pending, &source.error) {
        (false, _, _) => "disabled",
        (_, Some(_), _) => "changes_held_back",
        (_, _, Some(_)) => "refresh_failed",
        _ => "ready",
    }
}
