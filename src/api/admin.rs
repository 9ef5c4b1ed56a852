//! The operator's routes: accounts, grants, entries, keys, provider keys, the catalog. Every change is written to the audit log.

mod books;
mod catalog;
mod data;
mod entries;
mod health;
mod limits;
mod tool_catalog;

pub(super) use books::{dated, number};
pub use catalog::select_catalog;
#[cfg(test)]
pub(super) use entries::NewCorrection;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    World,
    account::json_data,
    audit, billing, byok, caller,
    http::{Request, Response},
    keys::{self, Scope},
    people,
    presets::{self, NewPreset},
    sources, word,
};
use crate::{
    credits::{
        money::{Nanos, dollars},
        ops,
    },
    database::Row,
    error::{Error, ErrorType, Next, Result, Source},
    identity::Actor,
    time::rfc3339,
};

/// Answers one of the operator's routes; `path` is what follows `/admin`.
pub async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let actor = &caller::operator(world, &request).await?;
    let operators = Scope {
        actor,
        account: None,
        member: None,
    };
    match (method, path) {
        ("POST", ["accounts"]) => create_account(world, actor, request.json().await?).await,
        ("GET", ["accounts"]) => list_accounts(world).await,
        ("GET", ["accounts", id]) => show_account(world, id).await,
        ("POST", ["accounts", id, "grants"]) => {
            grant(world, actor, id, request.json().await?).await
        }
        ("POST", ["accounts", id, "corrections"]) => {
            entries::correct(world, actor, id, request.json().await?).await
        }
        ("GET", ["accounts", id, "entries"]) => entries::list(world, id, &request).await,
        ("POST", ["accounts", id, "keys"]) => {
            keys::create(world, &operators, id, request.json().await?).await
        }
        ("GET", ["accounts", id, "keys"]) => keys::list(world, &operators, id, &request).await,
        ("GET", ["accounts", id, "presets"]) => presets::list(world, id).await,
        ("POST", ["accounts", id, "presets"]) => {
            save_preset(world, actor, id, request.json().await?).await
        }
        ("GET", ["accounts", id, "presets", slug]) => presets::one(world, id, slug).await,
        ("DELETE", ["accounts", id, "presets", slug]) => {
            let deleted = presets::delete(world, id, slug).await?;
            audit(world, actor, "preset.delete", Some(id), slug, "").await?;
            Ok(deleted)
        }
        (_, ["accounts", id, "byok"]) => {
            byok::handle(world, actor, id, method, None, request).await
        }
        (_, ["accounts", id, "byok", key]) => {
            byok::handle(world, actor, id, method, Some(key), request).await
        }
        (method, ["accounts", id, "credits", rest @ ..]) => {
            billing::administer(world, actor, id, request, method, rest).await
        }
        (method, ["coupons", rest @ ..]) => {
            billing::administer_coupons(world, actor, request, method, rest.first().copied()).await
        }
        ("POST", ["byok", "rotate"]) => {
            let Rotate { after } = request.json().await?;
            byok::rotate(world, actor, &after).await
        }
        (method, ["accounts", id, "members" | "invitations", ..]) => {
            people::of_account(world, actor, id, request, method, path).await
        }
        (method, ["users" | "login-links", ..]) => {
            people::administer(world, actor, request, method, path).await
        }
        ("GET", ["accounts", id, "limits"]) => limits::show(world, id).await,
        ("PUT", ["accounts", id, "limits"]) => {
            limits::put(world, actor, id, request.json().await?).await
        }
        (_, ["keys", hash, "rotate"]) => {
            let rotation = request.json_or_default().await?;
            keys::rotate(world, &operators, None, hash, rotation).await
        }
        (_, ["keys", hash]) => keys::one(world, &operators, method, hash, request).await,
        ("DELETE", ["accounts", id]) => data::delete(world, actor, id).await,
        ("GET", ["accounts", id, "export"]) => data::export(world, actor, id, &request).await,
        ("GET", ["health"]) => Ok(health::show(world).await),
        ("GET", ["tools"]) => tool_catalog::show(world).await,
        (method, ["tools", "sources", rest @ ..]) => {
            sources::administer(world, actor, request, method, rest).await
        }
        ("POST", ["providers"]) => Ok(health::providers(world, &request.json().await?)),
        ("POST", ["reconcile"]) => books::go(world, actor, request.json().await?).await,
        ("GET", ["reconcile"]) => books::walks(world, &request).await,
        ("GET", ["reconcile", "findings"]) => books::findings(world, &request).await,
        ("GET", ["audit"]) => audit::list(world, &request, request.query("account")).await,
        ("GET", ["catalog"]) => catalog::show_catalog(world).await,
        ("POST", ["catalog"]) => catalog::publish(world, actor, request.body.await?).await,
        _ => Err(Error::internal("an admin route without a handler")),
    }
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    /// Where the call before this one ended.
    #[serde(default)]
    after: String,
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    name: String,
}

async fn create_account<W: World>(world: &W, actor: &Actor, new: NewAccount) -> Result<Response> {
    let name = named(&new.name)?;
    let id = format!("acc_{}", word(&world.random()?));
    let open = ops::Open {
        account: id.clone(),
    };
    let opened = world.call(&id, &open).await?;
    let sql = "INSERT INTO accounts (id, name, created_at) VALUES (?1, ?2, ?3)";
    let params = [id.as_str().into(), name.into(), opened.created_at.into()];
    world.query(sql, &params).await?;
    audit(world, actor, "account.create", Some(&id), &id, name).await?;
    let created_at = rfc3339(opened.created_at);
    Ok(Response::json(
        201,
        &json!({"data": {"id": id, "name": name, "created_at": created_at}}),
    ))
}

async fn list_accounts<W: World>(world: &W) -> Result<Response> {
    let sql = "SELECT id, name, created_at FROM accounts WHERE deleted_at IS NULL ORDER BY created_at, id";
    let rows = world.query(sql, &[]).await?;
    let data: Vec<Value> = rows.into_iter().map(account_row).collect();
    Ok(Response::json(200, &json!({"data": data})))
}

fn account_row(mut row: Row) -> Value {
    if let Some(at) = row.get("created_at").and_then(Value::as_i64) {
        row.insert("created_at".into(), rfc3339(at).into());
    }
    Value::Object(row)
}

async fn show_account<W: World>(world: &W, id: &str) -> Result<Response> {
    let rows = world
        .query(
            "SELECT id, name, created_at FROM accounts WHERE id = ?1",
            &[id.into()],
        )
        .await?;
    let row = rows
        .into_iter()
        .next()
        .ok_or_else(|| missing("account", id))?;
    let totals = world.call(id, &ops::GetSnapshot {}).await?;
    #[derive(serde::Serialize)]
    struct Account {
        #[serde(flatten)]
        row: Value,
        #[serde(with = "dollars")]
        balance: Nanos,
        #[serde(with = "dollars")]
        held: Nanos,
        #[serde(with = "dollars")]
        available: Nanos,
        #[serde(with = "dollars")]
        total_credits: Nanos,
        #[serde(with = "dollars")]
        total_usage: Nanos,
        open_holds: i64,
        unsent_usage_rows: i64,
    }
    let account = Account {
        row: account_row(row),
        balance: totals.balance,
        held: totals.held,
        available: totals.available,
        total_credits: totals.granted,
        total_usage: totals.charged,
        open_holds: totals.open_holds,
        unsent_usage_rows: totals.unsent_rows,
    };
    Ok(Response::json(200, &json_data(&account)))
}

#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGrant {
    /// Chosen by the caller: repeating a grant with the same id changes nothing.
    id: String,
    amount_usd: Value,
    /// When what is left of it goes.
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    note: String,
}

async fn grant<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    new: NewGrant,
) -> Result<Response> {
    let amount = amount("amount_usd", &new.amount_usd)?;
    let expires_at = new.expires_at.as_deref().map(keys::instant).transpose()?;
    let call = ops::AddCredits {
        kind: ops::Fund::Grant,
        id: new.id.clone(),
        amount,
        expires_at,
        note: new.note.clone(),
    };
    let granted = world.call(account, &call).await?;
    audit(
        world,
        actor,
        "grant",
        Some(account),
        &new.id,
        &format!("{amount} {}", new.note),
    )
    .await?;
    #[derive(serde::Serialize)]
    struct Granted<'a> {
        id: &'a str,
        #[serde(with = "dollars")]
        amount: Nanos,
        #[serde(with = "dollars")]
        balance: Nanos,
    }
    let granted = Granted {
        id: &new.id,
        amount: granted.amount,
        balance: granted.balance,
    };
    Ok(Response::json(201, &json_data(&granted)))
}

async fn save_preset<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    new: NewPreset,
) -> Result<Response> {
    let slug = new.slug().to_owned();
    let saved = presets::save(world, account, new).await?;
    audit(world, actor, "preset.save", Some(account), &slug, "").await?;
    Ok(saved)
}

/// Writes what was done, and by whom, to the audit log.
pub(super) async fn audit<W: World>(
    world: &W,
    actor: &Actor,
    action: &str,
    account: Option<&str>,
    target: &str,
    detail: &str,
) -> Result<()> {
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO audit_log (at, actor, action, account, target, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let params = [
        now.into(),
        actor.name().as_str().into(),
        action.into(),
        account.into(),
        target.into(),
        detail.into(),
    ];
    world.query(sql, &params).await?;
    Ok(())
}

/// Dollars as a client sends them.
pub(super) fn amount(field: &str, value: &Value) -> Result<Nanos> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => {
            return Err(Error::invalid(
                field,
                "Send dollars as a decimal string, such as \"5\"",
            ));
        }
    };
    Nanos::from_dollars(&text).map_err(|error| Error::invalid(field, error.to_string()))
}

/// A name of sane length.
pub(super) fn named(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.len() > 128 {
        return Err(Error::invalid("name", "A name has 1 to 128 bytes"));
    }
    Ok(name)
}

pub(super) fn missing(what: &str, id: &str) -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::NotFound,
        format!("There is no {what} {id}"),
    )
}
