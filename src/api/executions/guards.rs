//! `/tools/guards`: what tools may do for an account and for each of its keys, and what has to be confirmed.
//!
//! The account's object holds the guards, and they hold at once. What they switch off altogether is copied into the records of the keys
//! concerned, so that lists leave it out: within a minute.

use serde::Serialize;
use serde_json::json;

use crate::{
    api::{
        World,
        account::json_data,
        admin::audit,
        byok,
        caller::manager,
        http::{Request, Response},
    },
    credits::ops::{
        Confirm, GuardRule, GuardSet, KeyGet, SwitchedOff, ToolGuardsGet, ToolGuardsPut,
    },
    error::{Error, Result},
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
        let kept = copied(
            world,
            account,
            world.call(account, &put).await?,
            key_hash.as_deref(),
        )
        .await?;
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

/// Copies what guards switch off to where the records of keys are read. The guards that hold are answered: another change may have come in
/// between, and then its copy is made once more, so that the last one stands.
async fn copied<W: World>(
    world: &W,
    account: &str,
    mut kept: GuardSet,
    key_hash: Option<&str>,
) -> Result<GuardSet> {
    loop {
        let of = if key_hash.is_some() { "key" } else { "account" };
        let off = kept.rules.iter().filter(|rule| rule.is_off());
        let off = off.map(|rule| SwitchedOff {
            of: of.to_owned(),
            tool: rule.tool.clone(),
            effects: rule.effects.clone(),
        });
        let rules = serde_json::to_string(&off.collect::<Vec<_>>());
        let rules = rules.map_err(|error| Error::internal(error.to_string()))?;
        let sql = "INSERT INTO tool_switches (account, key_hash, rules) VALUES (?1, ?2, ?3) \
             ON CONFLICT (account, key_hash) DO UPDATE SET rules = excluded.rules";
        let hash = key_hash.unwrap_or_default();
        let params = [account.into(), hash.into(), rules.as_str().into()];
        world.query(sql, &params).await?;
        byok::forget(world, account, true).await?;
        let get = ToolGuardsGet {
            key_hash: key_hash.map(str::to_owned),
        };
        let now = world.call(account, &get).await?;
        if now == kept {
            return Ok(kept);
        }
        kept = now;
    }
}
