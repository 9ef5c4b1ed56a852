//! `/tools/guards`: what tools may do for an account and for each of its keys, and what has to be confirmed.

use serde::Serialize;
use serde_json::json;

use crate::{
    api::{
        World,
        account::json_data,
        admin::audit,
        caller::manager,
        http::{Request, Response},
    },
    credits::ops::{Confirm, GuardRule, GuardSet, KeyGet, ToolGuardsGet, ToolGuardsPut},
    error::Result,
    identity::Role,
};

#[derive(Serialize)]
struct Told {
    key_hash: Option<String>,
    confirm: Option<Confirm>,
    rules: Vec<GuardRule>,
}

/// Answers `GET` and `PUT /tools/guards`; the query's `key_hash` names a key.
pub(in crate::api) async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
) -> Result<Response> {
    let least = if method == "GET" {
        Role::Member
    } else {
        Role::Admin
    };
    let manager = manager(world, &request, least).await?;
    let account = manager.account.as_str();
    let key_hash = request.query("key_hash").map(str::to_owned);
    if let Some(hash) = &key_hash {
        // There must be such a key.
        world.call(account, &KeyGet { hash: hash.clone() }).await?;
    }
    let guards = if method == "PUT" {
        let guards: GuardSet = request.json().await?;
        let put = ToolGuardsPut {
            key_hash: key_hash.clone(),
            guards,
        };
        let kept = world.call(account, &put).await?;
        let target = key_hash.as_deref().unwrap_or(account);
        let detail = json!({"confirm": kept.confirm, "rules": kept.rules.len()}).to_string();
        audit(
            world,
            &manager.actor,
            "tool_guards.put",
            Some(account),
            target,
            &detail,
        )
        .await?;
        kept
    } else {
        let get = ToolGuardsGet {
            key_hash: key_hash.clone(),
        };
        world.call(account, &get).await?
    };
    let told = Told {
        key_hash,
        confirm: guards.confirm,
        rules: guards.rules,
    };
    Ok(Response::json(200, &json_data(&told)))
}
