//! Keys by the operator: made, listed, changed, deleted.
//!
//! The object is told first: from then on the key's next request obeys, whatever the copies say. D1 holds the truth of who a
//! key is, KV a copy, which goes last. A change that failed half-way, as in an outage of KV, is ended by sending it again.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{amount, audit, missing, named};
use crate::{
    api::{
        World,
        account::{KeyBody, json_data},
        http::Response,
    },
    credits::{ops, periods::Reset, sql::SqlValue},
    error::{Error, Result},
    identity::{KeyRecord, MintedKey},
    time::parse_rfc3339,
};

/// KV key of a key's copy.
pub fn kv_key(hash: &str) -> String {
    format!("key:{hash}")
}

/// Reads a key's record by its hash, unless it was deleted.
pub const SELECT_KEY: &str = "SELECT hash, account, name, label, disabled, limit_nanos, limit_reset, created_at, expires_at, EXISTS (SELECT 1 FROM byok_keys WHERE byok_keys.account = api_keys.account) AS own_keys FROM api_keys WHERE hash = ?1 AND deleted = 0";
/// Reads whose a key is or was.
const SELECT_OWNER: &str = "SELECT account, name, deleted FROM api_keys WHERE hash = ?1";
const INSERT_KEY: &str = "INSERT INTO api_keys (hash, account, name, label, disabled, limit_nanos, limit_reset, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    name: String,
    #[serde(default)]
    limit: Option<Value>,
    #[serde(default)]
    limit_reset: Option<Reset>,
    #[serde(default)]
    expires_at: Option<String>,
}

pub(super) async fn create_key<W: World>(
    world: &W,
    account: &str,
    new: NewKey,
) -> Result<Response> {
    let minted = MintedKey::new(&world.random()?);
    let limit = new
        .limit
        .as_ref()
        .map(|limit| amount("limit", limit))
        .transpose()?;
    let record = KeyRecord {
        hash: minted.hash,
        account: account.to_owned(),
        name: named(&new.name)?.to_owned(),
        label: minted.label,
        disabled: false,
        limit,
        limit_reset: new.limit_reset,
        created_at: i64::try_from(world.now_ms()).unwrap_or(i64::MAX),
        expires_at: new.expires_at.as_deref().map(instant).transpose()?,
        // Only the look-up in D1 tells.
        own_keys: false,
    };
    let view = world.call(account, &put(&record)).await?;
    world.query(INSERT_KEY, &params(&record)).await?;
    audit(
        world,
        "key.create",
        Some(account),
        &record.hash,
        &record.name,
    )
    .await?;
    #[derive(serde::Serialize)]
    struct Created {
        data: KeyBody,
        key: String,
    }
    let created = Created {
        data: KeyBody::from(view),
        key: minted.secret,
    };
    Ok(Response::json(201, &created))
}

pub(super) async fn list_keys<W: World>(world: &W, account: &str) -> Result<Response> {
    let keys = world.call(account, &ops::Keys {}).await?;
    let keys: Vec<KeyBody> = keys.into_iter().map(KeyBody::from).collect();
    Ok(Response::json(200, &json_data(&keys)))
}

pub(super) async fn show_key<W: World>(world: &W, hash: &str) -> Result<Response> {
    let record = stored(world, hash).await?;
    let call = ops::KeyGet {
        hash: hash.to_owned(),
    };
    let view = world.call(&record.account, &call).await?;
    Ok(Response::json(200, &json_data(&KeyBody::from(view))))
}

/// What may change; an absent field stays, `null` clears.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyChange {
    name: Option<String>,
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    limit: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    limit_reset: Option<Value>,
}

/// Tells `null` (present) from absent.
fn present<'de, D: serde::Deserializer<'de>>(
    value: D,
) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

pub(super) async fn change_key<W: World>(
    world: &W,
    hash: &str,
    change: KeyChange,
) -> Result<Response> {
    let mut record = stored(world, hash).await?;
    if let Some(name) = &change.name {
        record.name = named(name)?.to_owned();
    }
    record.disabled = change.disabled.unwrap_or(record.disabled);
    match &change.limit {
        Some(Value::Null) => record.limit = None,
        Some(limit) => record.limit = Some(amount("limit", limit)?),
        None => {}
    }
    match change.limit_reset {
        Some(Value::Null) => record.limit_reset = None,
        Some(reset) => {
            record.limit_reset = serde_json::from_value(reset).map_err(|_| {
                Error::invalid(
                    "limit_reset",
                    "limit_reset is daily, weekly, monthly or null",
                )
            })?;
        }
        None => {}
    }
    // The object first: from here on the key's next request obeys, whatever the copies say.
    let view = world.call(&record.account, &put(&record)).await?;
    let sql = "UPDATE api_keys SET name = ?2, disabled = ?3, limit_nanos = ?4, limit_reset = ?5, updated_at = ?6 WHERE hash = ?1";
    let params = [
        record.hash.as_str().into(),
        record.name.as_str().into(),
        record.disabled.into(),
        record.limit.into(),
        record.limit_reset.map(Reset::as_str).into(),
        view.updated_at.into(),
    ];
    world.query(sql, &params).await?;
    audit(
        world,
        "key.change",
        Some(&record.account),
        hash,
        &record.name,
    )
    .await?;
    forget(world, hash).await?;
    Ok(Response::json(200, &json_data(&KeyBody::from(view))))
}

pub(super) async fn delete_key<W: World>(world: &W, hash: &str) -> Result<Response> {
    let rows = world.query(SELECT_OWNER, &[hash.into()]).await?;
    let owner = rows
        .into_iter()
        .next()
        .ok_or_else(|| missing("key", hash))?;
    let text = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default();
    let account = text("account");
    let call = ops::KeyDelete {
        hash: hash.to_owned(),
    };
    world.call(account, &call).await?;
    // Deleted already, but perhaps with a copy left in KV.
    if owner.get("deleted").and_then(Value::as_i64) != Some(1) {
        audit(world, "key.delete", Some(account), hash, text("name")).await?;
        let sql = "UPDATE api_keys SET deleted = 1, updated_at = ?2 WHERE hash = ?1";
        let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
        world.query(sql, &[hash.into(), now.into()]).await?;
    }
    forget(world, hash).await?;
    Ok(Response::json(200, &json!({"deleted": true})))
}

async fn stored<W: World>(world: &W, hash: &str) -> Result<KeyRecord> {
    let record = world.key_in_d1(hash).await?;
    record.ok_or_else(|| missing("key", hash))
}

async fn forget<W: World>(world: &W, hash: &str) -> Result<()> {
    world.memory().keys.forget(hash);
    world.delete_kv(&[kv_key(hash)]).await
}

fn put(record: &KeyRecord) -> ops::KeyPut {
    ops::KeyPut {
        hash: record.hash.clone(),
        name: record.name.clone(),
        label: record.label.clone(),
        disabled: record.disabled,
        limit: record.limit,
        limit_reset: record.limit_reset,
        created_at: record.created_at,
        expires_at: record.expires_at,
    }
}

fn params(record: &KeyRecord) -> [SqlValue; 9] {
    [
        record.hash.as_str().into(),
        record.account.as_str().into(),
        record.name.as_str().into(),
        record.label.as_str().into(),
        record.disabled.into(),
        record.limit.into(),
        record.limit_reset.map(Reset::as_str).into(),
        record.created_at.into(),
        record.expires_at.into(),
    ]
}

fn instant(text: &str) -> Result<i64> {
    parse_rfc3339(text)
        .ok_or_else(|| Error::invalid("expires_at", "Send a UTC time such as 2027-01-31T00:00:00Z"))
}
