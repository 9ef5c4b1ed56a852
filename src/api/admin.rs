//! The operator's routes: accounts, grants, keys, the catalog. Every change is written to the audit log.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    World,
    account::{KeyBody, json_data},
    http::{Request, Response},
    word,
};
use crate::{
    catalog::{
        Snapshot,
        publish::{POINTER, model_key, names_key, providers_key},
    },
    credits::{
        money::{Nanos, dollars},
        ops,
        periods::Reset,
        sql::SqlValue,
    },
    database::Row,
    error::{Error, ErrorType, Next, Result, Source},
    identity::{KeyRecord, MintedKey, operator},
    time::{parse_rfc3339, rfc3339},
};

/// KV key of a key's copy.
pub fn kv_key(hash: &str) -> String {
    format!("key:{hash}")
}

/// Reads a key's record by its hash, unless it was deleted.
pub const SELECT_KEY: &str = "SELECT hash, account, name, label, disabled, limit_nanos, limit_reset, created_at, expires_at FROM api_keys WHERE hash = ?1 AND deleted = 0";
const INSERT_KEY: &str = "INSERT INTO api_keys (hash, account, name, label, disabled, limit_nanos, limit_reset, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// The statement that reads a published text from D1 where KV is out.
pub fn select_catalog(key: &str) -> (&'static str, Vec<SqlValue>) {
    if key == POINTER {
        let newest = "SELECT version AS json FROM catalog_versions WHERE published_at IS NOT NULL ORDER BY published_at DESC LIMIT 1";
        (newest, Vec::new())
    } else {
        (
            "SELECT json FROM catalog_models WHERE slug = ?1",
            vec![key.into()],
        )
    }
}
/// The most rows of D1 that one statement of a publication writes.
const CATALOG_BATCH_BYTES: usize = 60_000;
/// KV writes are made in parallel by so many at a time.
const KV_BATCH: usize = 100;

/// Answers one of the operator's routes; `path` is what follows `/admin`.
pub async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let header = request.header("authorization");
    operator::authorize(header.as_deref(), world.var("OPERATOR_TOKEN").as_deref())?;
    match (method, path) {
        ("POST", ["accounts"]) => create_account(world, request.json().await?).await,
        ("GET", ["accounts"]) => list_accounts(world).await,
        ("GET", ["accounts", id]) => show_account(world, id).await,
        ("POST", ["accounts", id, "grants"]) => grant(world, id, request.json().await?).await,
        ("POST", ["accounts", id, "keys"]) => create_key(world, id, request.json().await?).await,
        ("GET", ["accounts", id, "keys"]) => list_keys(world, id).await,
        ("GET", ["keys", hash]) => show_key(world, hash).await,
        ("PATCH", ["keys", hash]) => change_key(world, hash, request.json().await?).await,
        ("DELETE", ["keys", hash]) => delete_key(world, hash).await,
        ("GET", ["catalog"]) => show_catalog(world).await,
        ("POST", ["catalog"]) => publish(world, request.body.await?).await,
        _ => Err(Error::internal("an admin route without a handler")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    name: String,
}

async fn create_account<W: World>(world: &W, new: NewAccount) -> Result<Response> {
    let name = named(&new.name)?;
    let id = format!("acc_{}", word(&world.random()?));
    let open = ops::Open {
        account: id.clone(),
    };
    let opened = world.call(&id, &open).await?;
    let sql = "INSERT INTO accounts (id, name, created_at) VALUES (?1, ?2, ?3)";
    let params = [id.as_str().into(), name.into(), opened.created_at.into()];
    world.query(sql, &params).await?;
    audit(world, "account.create", Some(&id), &id, name).await?;
    let created_at = rfc3339(opened.created_at);
    Ok(Response::json(
        201,
        &json!({"data": {"id": id, "name": name, "created_at": created_at}}),
    ))
}

async fn list_accounts<W: World>(world: &W) -> Result<Response> {
    let sql = "SELECT id, name, created_at FROM accounts ORDER BY created_at, id";
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGrant {
    /// Chosen by the caller: repeating a grant with the same id changes nothing.
    id: String,
    amount_usd: Value,
    #[serde(default)]
    note: String,
}

async fn grant<W: World>(world: &W, account: &str, new: NewGrant) -> Result<Response> {
    let amount = amount("amount_usd", &new.amount_usd)?;
    let call = ops::Grant {
        id: new.id.clone(),
        amount,
        note: new.note.clone(),
    };
    let granted = world.call(account, &call).await?;
    audit(
        world,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    #[serde(default)]
    limit: Option<Value>,
    #[serde(default)]
    limit_reset: Option<Reset>,
    #[serde(default)]
    expires_at: Option<String>,
}

async fn create_key<W: World>(world: &W, account: &str, new: NewKey) -> Result<Response> {
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

async fn list_keys<W: World>(world: &W, account: &str) -> Result<Response> {
    let keys = world.call(account, &ops::Keys {}).await?;
    let keys: Vec<KeyBody> = keys.into_iter().map(KeyBody::from).collect();
    Ok(Response::json(200, &json_data(&keys)))
}

async fn show_key<W: World>(world: &W, hash: &str) -> Result<Response> {
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
struct KeyChange {
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

async fn change_key<W: World>(world: &W, hash: &str, change: KeyChange) -> Result<Response> {
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
    forget(world, hash).await?;
    audit(
        world,
        "key.change",
        Some(&record.account),
        hash,
        &record.name,
    )
    .await?;
    Ok(Response::json(200, &json_data(&KeyBody::from(view))))
}

async fn delete_key<W: World>(world: &W, hash: &str) -> Result<Response> {
    let record = stored(world, hash).await?;
    let call = ops::KeyDelete {
        hash: hash.to_owned(),
    };
    world.call(&record.account, &call).await?;
    let sql = "UPDATE api_keys SET deleted = 1, updated_at = ?2 WHERE hash = ?1";
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    world.query(sql, &[hash.into(), now.into()]).await?;
    forget(world, hash).await?;
    audit(
        world,
        "key.delete",
        Some(&record.account),
        hash,
        &record.name,
    )
    .await?;
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

async fn show_catalog<W: World>(world: &W) -> Result<Response> {
    let version = world.catalog_text(POINTER).await?;
    Ok(Response::json(200, &json!({"data": {"version": version}})))
}

/// Publishes a snapshot, less the providers that this deployment cannot call. Readers see the old version or the new one,
/// whole: the pointer is written last. D1 keeps what requests need, for the case that KV is out.
async fn publish<W: World>(world: &W, body: Vec<u8>) -> Result<Response> {
    let text =
        String::from_utf8(body).map_err(|error| Error::invalid("body", error.to_string()))?;
    let snapshot = Snapshot::parse(&text)
        .map_err(|error| Error::invalid("body", error.to_string()))?
        .restricted(|provider| world.can_call(provider))
        .map_err(|error| Error::internal(error.to_string()))?;
    let version = snapshot.version.clone();
    let writes = snapshot
        .writes()
        .map_err(|error| Error::internal(error.to_string()))?;
    let (pointer, entries) = writes
        .split_last()
        .ok_or_else(|| Error::internal("a publication without a pointer"))?;
    let kept: Vec<(String, String)> = [names_key(&version), providers_key(&version)]
        .into_iter()
        .chain(
            snapshot
                .models
                .iter()
                .map(|model| model_key(&version, &model.slug)),
        )
        .filter_map(|key| entries.iter().find(|(own, _)| *own == key).cloned())
        .collect();
    for batch in entries.chunks(KV_BATCH) {
        world.put_kv(batch).await?;
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    write_d1(world, &version, &kept).await?;
    let switch = "INSERT INTO catalog_versions (version, published_at) VALUES (?1, ?2) ON CONFLICT (version) DO UPDATE SET published_at = excluded.published_at";
    world
        .query(switch, &[version.as_str().into(), now.into()])
        .await?;
    world.put_kv(std::slice::from_ref(pointer)).await?;
    prune(world).await?;
    world.memory().catalog.forget();
    let counts = format!(
        "{} models, {} endpoints",
        snapshot.models.len(),
        snapshot.endpoints.len()
    );
    audit(world, "catalog.publish", None, &version, &counts).await?;
    Ok(Response::json(
        200,
        &json!({"data": {
            "version": version,
            "models": snapshot.models.len(),
            "endpoints": snapshot.endpoints.len(),
            "providers": snapshot.providers.len(),
        }}),
    ))
}

/// Rows of one parameter each statement: D1 carries about 100 kB in one.
async fn write_d1<W: World>(world: &W, version: &str, entries: &[(String, String)]) -> Result<()> {
    let sql = "INSERT INTO catalog_models (version, slug, json) SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING";
    let mut batch: Vec<&(String, String)> = Vec::new();
    let mut size = 0;
    for entry in entries {
        if size + entry.1.len() > CATALOG_BATCH_BYTES && !batch.is_empty() {
            let text = json!(batch).to_string();
            world
                .query(sql, &[version.into(), text.as_str().into()])
                .await?;
            batch.clear();
            size = 0;
        }
        size += entry.1.len();
        batch.push(entry);
    }
    let text = json!(batch).to_string();
    world
        .query(sql, &[version.into(), text.as_str().into()])
        .await?;
    Ok(())
}

/// Keeps the version in force and the one before it.
async fn prune<W: World>(world: &W) -> Result<()> {
    let old = "DELETE FROM catalog_models WHERE version NOT IN (SELECT version FROM catalog_versions ORDER BY published_at DESC LIMIT 2)";
    world.query(old, &[]).await?;
    Ok(())
}

async fn audit<W: World>(
    world: &W,
    action: &str,
    account: Option<&str>,
    target: &str,
    detail: &str,
) -> Result<()> {
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO audit_log (at, actor, action, account, target, detail) VALUES (?1, 'operator', ?2, ?3, ?4, ?5)";
    let params = [
        now.into(),
        action.into(),
        account.into(),
        target.into(),
        detail.into(),
    ];
    world.query(sql, &params).await?;
    Ok(())
}

fn amount(field: &str, value: &Value) -> Result<Nanos> {
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

fn instant(text: &str) -> Result<i64> {
    parse_rfc3339(text)
        .ok_or_else(|| Error::invalid("expires_at", "Send a UTC time such as 2027-01-31T00:00:00Z"))
}

fn named(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.len() > 128 {
        return Err(Error::invalid("name", "A name has 1 to 128 bytes"));
    }
    Ok(name)
}

fn missing(what: &str, id: &str) -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::NotFound,
        format!("There is no {what} {id}"),
    )
}
