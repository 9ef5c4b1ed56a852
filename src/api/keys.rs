//! An account's keys: `/keys` for who administers the account, `/admin/…/keys` for the operator.
//!
//! The object is told first: from then on the key's next request obeys, whatever the copies say. D1 holds the truth of who a
//! key is, KV a copy, which goes last. A change that failed half-way, as in an outage of KV, is ended by sending it again.
//! Management keys spend nothing, so that the object does not know them. Spec: OpenRouter's key management.

pub(super) mod body;
mod rotate;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    World,
    account::json_data,
    admin::{amount, audit, missing, named},
    caller::manager,
    external_users,
    http::{Request, Response},
};
pub(super) use body::KeyBody;
pub(super) use rotate::rotate;

use crate::{
    credits::{ledger::MAX_PACE, money::Nanos, ops, ops::Limits, periods::Reset, sql::SqlValue},
    error::{Error, Result},
    identity::{
        Actor, KeyRecord, Manager, MintedKey, Role,
        keys::{SELECT_ALL, kv_key},
        people::members,
    },
    time::parse_rfc3339,
};

/// The most keys that one page lists.
const PAGE: usize = 100;

const SELECT_OWNER: &str = "SELECT hash, account, name, deleted, management, member FROM api_keys WHERE hash = coalesce((SELECT key FROM key_secrets WHERE key_secrets.hash = ?1), ?1)";
const INSERT: &str = "INSERT INTO api_keys (hash, account, name, label, disabled, limit_nanos, limit_reset, created_at, expires_at, management, member, include_byok, max_requests, max_tokens, max_concurrent, external_user, external_key) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17 WHERE ?11 IS NULL OR EXISTS (SELECT 1 FROM members WHERE account = ?2 AND user = ?11) RETURNING hash";
const UPDATE: &str = "UPDATE api_keys SET name = ?2, disabled = ?3, limit_nanos = ?4, limit_reset = ?5, updated_at = ?6, include_byok = ?7, max_requests = ?8, max_tokens = ?9, max_concurrent = ?10 WHERE hash = ?1";

/// Whose keys may be touched, and by whom.
pub(super) struct Scope<'a> {
    /// Who acts.
    pub actor: &'a Actor,
    /// The one account; all of them for the operator. Keys of others are not there (404).
    pub account: Option<&'a str>,
    /// The one person, where it is somebody who sees no other's keys.
    pub member: Option<&'a str>,
}

impl Scope<'_> {
    fn covers(&self, account: &str, member: Option<&str>) -> bool {
        self.account.is_none_or(|own| own == account)
            && (self.member.is_none() || self.member == member)
    }
}

/// Answers `/keys` and `/keys/{hash}`; `path` is what follows `keys`.
pub(super) async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let manager = manager(world, &request, Role::Member).await?;
    let scope = Scope {
        actor: &manager.actor,
        account: Some(&manager.account),
        member: manager.person().filter(|_| manager.role < Role::Admin),
    };
    match (method, path.first()) {
        (_, Some(hash)) if path.len() > 1 => {
            let rotation = request.json_or_default().await?;
            rotate(world, &scope, Some(&manager), hash, rotation).await
        }
        (_, Some(hash)) => one(world, &scope, method, hash, request).await,
        ("POST", None) => {
            let mut new: NewKey = request.json().await?;
            new.creator_user_id = owner(world, &manager, new.creator_user_id).await?;
            if new.is_management_key {
                // Else a key that leaked would outlive its end.
                manager.require(Role::Owner)?;
            }
            create(world, &scope, &manager.account, new).await
        }
        _ => list(world, &scope, &manager.account, &request).await,
    }
}

/// Whose a new key is: the person's who makes it, unless somebody who administers the account names another member or, by
/// `null`, nobody.
async fn owner<W: World>(
    world: &W,
    manager: &Manager,
    asked: Option<Option<String>>,
) -> Result<Option<Option<String>>> {
    let invalid = |message: &str| Error::invalid("creator_user_id", message);
    let own = manager.person();
    match asked {
        None => Ok(Some(own.map(str::to_owned))),
        Some(asked) if manager.role < Role::Admin && asked.as_deref() != own => {
            Err(invalid("Members make keys of their own only"))
        }
        Some(Some(user)) => match members::role(world, &manager.account, &user).await? {
            Some(_) => Ok(Some(Some(user))),
            None => Err(invalid("There is no such member in the account")),
        },
        Some(None) => Ok(Some(None)),
    }
}

/// A key as it is asked for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    pub name: String,
    #[serde(default)]
    pub limit: Option<Value>,
    #[serde(default)]
    pub limit_reset: Option<Reset>,
    #[serde(default)]
    pub expires_at: Option<String>,
    #[serde(default)]
    pub is_management_key: bool,
    #[serde(default)]
    pub include_byok_in_limit: Option<bool>,
    #[serde(default)]
    pub workspace_id: Option<String>,
    #[serde(default)]
    pub external: Option<External>,
    #[serde(default)]
    pub requests_per_minute: Option<Value>,
    #[serde(default)]
    pub tokens_per_minute: Option<Value>,
    #[serde(default)]
    pub concurrent_requests: Option<Value>,
    /// `null` is nobody's.
    #[serde(default, deserialize_with = "named_or_null")]
    pub creator_user_id: Option<Option<String>>,
}

/// For whom outside of the account a key is made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct External {
    user: String,
    #[serde(default)]
    api_key: Option<String>,
}

/// An account has one workspace: naming another is a mistake.
fn check_workspace(id: Option<&str>, account: &str) -> Result<()> {
    match id {
        Some(id) if id != body::WORKSPACE && id != account => Err(Error::invalid(
            "workspace_id",
            format!("There is no workspace {id}: an account has one, named default"),
        )),
        _ => Ok(()),
    }
}

/// Dollars as a client sends them, not below zero.
pub(super) fn dollars_from(field: &str, value: &Value) -> Result<Nanos> {
    let amount = amount(field, value)?;
    if amount.is_negative() {
        return Err(Error::invalid(field, format!("{field} is not below zero")));
    }
    Ok(amount)
}

/// A limit of pace as a client sends it: a number, `"unlimited"`, or `null` for what the deployment says.
pub(super) fn pace(field: &str, value: Option<&Value>) -> Result<Option<i64>> {
    let limit = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(word)) if word == "unlimited" => Some(0),
        Some(value) => value.as_i64().filter(|n| (1..=MAX_PACE).contains(n)),
    };
    limit.map(Some).ok_or_else(|| {
        let message =
            format!("{field} is a whole number from 1 to {MAX_PACE}, \"unlimited\" or null");
        Error::invalid(field, message)
    })
}

fn outsider(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 256 {
        return Err(Error::invalid(field, format!("{field} has 1 to 256 bytes")));
    }
    Ok(text.to_owned())
}

fn named_or_null<'de, D: serde::Deserializer<'de>>(
    value: D,
) -> std::result::Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Makes a key; its text is in this answer only.
pub(super) async fn create<W: World>(
    world: &W,
    scope: &Scope<'_>,
    account: &str,
    new: NewKey,
) -> Result<Response> {
    let minted = MintedKey::new(&world.random()?);
    let key = minted.secret.clone();
    let data = make(world, scope, account, new, minted).await?;
    #[derive(Serialize)]
    struct Created {
        data: KeyBody,
        key: String,
    }
    Ok(Response::json(201, &Created { data, key }))
}

/// Makes a key whose text is known already.
pub(super) async fn make<W: World>(
    world: &W,
    scope: &Scope<'_>,
    account: &str,
    new: NewKey,
    minted: MintedKey,
) -> Result<KeyBody> {
    let limit = new
        .limit
        .as_ref()
        .filter(|limit| !limit.is_null())
        .map(|limit| dollars_from("limit", limit))
        .transpose()?;
    check_workspace(new.workspace_id.as_deref(), account)?;
    let limits = Limits {
        requests: pace("requests_per_minute", new.requests_per_minute.as_ref())?,
        tokens: pace("tokens_per_minute", new.tokens_per_minute.as_ref())?,
        concurrent: pace("concurrent_requests", new.concurrent_requests.as_ref())?,
    };
    let external = new.external.as_ref();
    let external_user =
        external.map(|one| external_users::checked("external.user", one.user.trim()));
    let external_user = external_user.transpose()?;
    let external_key = external.and_then(|one| one.api_key.as_deref());
    if new.is_management_key && limit.is_some() {
        let message = "A management key spends nothing: it takes no limit";
        return Err(Error::invalid("limit", message));
    }
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
        own_tools: false,
        captures: false,
        management: new.is_management_key,
        // Only the look-up in D1 tells.
        policy: None,
        switched_off: Vec::new(),
        member: new.creator_user_id.flatten(),
        owner_off: false,
        secret: None,
        secret_ends_at: None,
        include_byok: new.include_byok_in_limit.unwrap_or_default(),
        limits,
        external_user: external_user.map(str::to_owned),
        external_key: external_key
            .map(|key| outsider("external.api_key", key))
            .transpose()?,
        updated_at: None,
        last_used_at: None,
    };
    let body = told(world, &record).await?;
    let rows = world.query(INSERT, &params(&record)).await?;
    if rows.is_empty() {
        // Whose key it would be left the account in this moment.
        let hash = record.hash;
        if !record.management {
            world.call(account, &ops::KeyDelete { hash }).await?;
        }
        let message = "There is no such member in the account";
        return Err(Error::invalid("creator_user_id", message));
    }
    if let Some(user) = external_user {
        external_users::meet(world, account, user, record.created_at).await?;
    }
    let (hash, name) = (record.hash.as_str(), record.name.as_str());
    audit(world, scope.actor, "key.create", Some(account), hash, name).await?;
    Ok(body)
}

/// Tells the object of a key's settings, and answers what is told of the key.
async fn told<W: World>(world: &W, record: &KeyRecord) -> Result<KeyBody> {
    if record.management {
        return Ok(KeyBody::of_manager(record));
    }
    let put = ops::KeyPut {
        hash: record.hash.clone(),
        name: record.name.clone(),
        label: record.label.clone(),
        disabled: record.disabled || record.owner_off,
        limit: record.limit,
        limit_reset: record.limit_reset,
        created_at: record.created_at,
        expires_at: record.expires_at,
        include_byok: record.include_byok,
        limits: record.limits,
    };
    let view = world.call(&record.account, &put).await?;
    Ok(KeyBody::of(view, record))
}

/// The account's keys, the oldest first: `offset`, `include_disabled` and `include_expired` choose among them.
pub(super) async fn list<W: World>(
    world: &W,
    scope: &Scope<'_>,
    account: &str,
    request: &Request,
) -> Result<Response> {
    let offset = usize::try_from(request.whole("offset", 0, 0)?).unwrap_or(usize::MAX);
    let (disabled, expired) = (
        flag(request, "include_disabled")?,
        flag(request, "include_expired")?,
    );
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let mut views = world.call(account, &ops::Keys {}).await?;
    let rows = world.query(SELECT_ALL, &[account.into()]).await?;
    let mut bodies = Vec::with_capacity(rows.len());
    for row in &rows {
        let record = KeyRecord::from_row(row)?;
        let is_expired = record.expires_at.is_some_and(|end| end <= now);
        let is_seen = scope.covers(&record.account, record.member.as_deref());
        if !is_seen || (record.disabled && !disabled) || (is_expired && !expired) {
            continue;
        }
        let view = views.iter().position(|view| view.hash == record.hash);
        match view.map(|at| views.swap_remove(at)) {
            Some(view) => bodies.push(KeyBody::of(view, &record)),
            None if record.management => bodies.push(KeyBody::of_manager(&record)),
            // Deleted in the object a moment ago.
            None => {}
        }
    }
    let page: Vec<KeyBody> = bodies.into_iter().skip(offset).take(PAGE).collect();
    Ok(Response::json(200, &json_data(&page)))
}

/// A switch in the query; what is not there is on.
fn flag(request: &Request, name: &str) -> Result<bool> {
    match request.query(name) {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(_) => Err(Error::invalid(name, format!("{name} is true or false"))),
    }
}

/// Shows, changes or deletes one key.
pub(super) async fn one<W: World>(
    world: &W,
    scope: &Scope<'_>,
    method: &str,
    hash: &str,
    request: Request,
) -> Result<Response> {
    match method {
        "PATCH" => change(world, scope, hash, request.json().await?).await,
        "DELETE" => delete(world, scope, hash).await,
        _ => show(world, scope, hash).await,
    }
}

async fn show<W: World>(world: &W, scope: &Scope<'_>, hash: &str) -> Result<Response> {
    let record = stored(world, scope, hash).await?;
    if record.management {
        let body = KeyBody::of_manager(&record);
        return Ok(Response::json(200, &json_data(&body)));
    }
    let hash = record.hash.clone();
    let view = world.call(&record.account, &ops::KeyGet { hash }).await?;
    let body = KeyBody::of(view, &record);
    Ok(Response::json(200, &json_data(&body)))
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
    include_byok_in_limit: Option<bool>,
    workspace_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    requests_per_minute: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    tokens_per_minute: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    concurrent_requests: Option<Value>,
}

impl KeyChange {
    /// The limits of pace after the change.
    fn limits(&self, before: Limits) -> Result<Limits> {
        let of = |field, change: &Option<Value>, before| match change {
            None => Ok(before),
            change => pace(field, change.as_ref()),
        };
        Ok(Limits {
            requests: of(
                "requests_per_minute",
                &self.requests_per_minute,
                before.requests,
            )?,
            tokens: of("tokens_per_minute", &self.tokens_per_minute, before.tokens)?,
            concurrent: of(
                "concurrent_requests",
                &self.concurrent_requests,
                before.concurrent,
            )?,
        })
    }
}

/// Tells `null` (present) from absent.
fn present<'de, D: serde::Deserializer<'de>>(
    value: D,
) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

async fn change<W: World>(
    world: &W,
    scope: &Scope<'_>,
    hash: &str,
    change: KeyChange,
) -> Result<Response> {
    let mut record = stored(world, scope, hash).await?;
    if let Some(name) = &change.name {
        record.name = named(name)?.to_owned();
    }
    record.disabled = change.disabled.unwrap_or(record.disabled);
    match &change.limit {
        Some(Value::Null) => record.limit = None,
        Some(_) if record.management => {
            let message = "A management key spends nothing: it takes no limit";
            return Err(Error::invalid("limit", message));
        }
        Some(limit) => record.limit = Some(dollars_from("limit", limit)?),
        None => {}
    }
    check_workspace(change.workspace_id.as_deref(), &record.account)?;
    record.include_byok = change.include_byok_in_limit.unwrap_or(record.include_byok);
    record.limits = change.limits(record.limits)?;
    match change.limit_reset {
        Some(Value::Null) => record.limit_reset = None,
        Some(reset) => {
            record.limit_reset = crate::json::from_value(&reset).map_err(|_| {
                Error::invalid(
                    "limit_reset",
                    "limit_reset is daily, weekly, monthly or null",
                )
            })?;
        }
        None => {}
    }
    let body = told(world, &record).await?;
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let params = [
        record.hash.as_str().into(),
        record.name.as_str().into(),
        record.disabled.into(),
        record.limit.into(),
        record.limit_reset.map(Reset::as_str).into(),
        now.into(),
        record.include_byok.into(),
        record.limits.requests.into(),
        record.limits.tokens.into(),
        record.limits.concurrent.into(),
    ];
    world.query(UPDATE, &params).await?;
    let (account, name) = (Some(record.account.as_str()), record.name.as_str());
    audit(
        world,
        scope.actor,
        "key.change",
        account,
        &record.hash,
        name,
    )
    .await?;
    forget(world, &record.hash).await?;
    Ok(Response::json(200, &json_data(&body)))
}

pub(super) async fn delete<W: World>(world: &W, scope: &Scope<'_>, hash: &str) -> Result<Response> {
    let rows = world.query(SELECT_OWNER, &[hash.into()]).await?;
    let text = |name: &str| rows.first().and_then(|row| row.get(name)?.as_str());
    let is = |name: &str| rows.first().and_then(|row| row.get(name)?.as_i64()) == Some(1);
    let account = text("account")
        .filter(|owner| scope.covers(owner, text("member")))
        .ok_or_else(|| missing("key", hash))?;
    let hash = text("hash").unwrap_or(hash);
    if !is("management") {
        let hash = hash.to_owned();
        world.call(account, &ops::KeyDelete { hash }).await?;
    }
    // Deleted already, but perhaps with a copy left in KV.
    if !is("deleted") {
        let name = text("name").unwrap_or_default();
        let of = Some(account);
        audit(world, scope.actor, "key.delete", of, hash, name).await?;
        let sql = "UPDATE api_keys SET deleted = 1, updated_at = ?2 WHERE hash = ?1";
        let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
        world.query(sql, &[hash.into(), now.into()]).await?;
    }
    forget(world, hash).await?;
    Ok(Response::json(200, &json!({"deleted": true})))
}

/// The key of this hash, where it is one of the scope's.
async fn stored<W: World>(world: &W, scope: &Scope<'_>, hash: &str) -> Result<KeyRecord> {
    let record = world.key_in_d1(hash).await?;
    record
        .filter(|record| scope.covers(&record.account, record.member.as_deref()))
        .ok_or_else(|| missing("key", hash))
}

/// Tells of a person's keys that their owner was switched off, or on again: each stays as it was set.
pub(super) async fn owner_switched<W: World>(world: &W, user: &str) -> Result<()> {
    let sql = "SELECT hash FROM api_keys WHERE member = ?1 AND deleted = 0";
    let rows = world.query(sql, &[user.into()]).await?;
    for hash in rows.iter().filter_map(|row| row.get("hash")?.as_str()) {
        if let Some(record) = world.key_in_d1(hash).await? {
            told(world, &record).await?;
            forget(world, hash).await?;
        }
    }
    Ok(())
}

async fn forget<W: World>(world: &W, hash: &str) -> Result<()> {
    let sql = "SELECT hash FROM key_secrets WHERE key = ?1";
    let rows = world.query(sql, &[hash.into()]).await?;
    let secrets = rows.iter().filter_map(|row| row.get("hash")?.as_str());
    let all: Vec<&str> = std::iter::once(hash).chain(secrets).collect();
    all.iter().for_each(|hash| world.memory().keys.forget(hash));
    let copies: Vec<String> = all.into_iter().map(kv_key).collect();
    world.delete_kv(&copies).await
}

fn params(record: &KeyRecord) -> [SqlValue; 17] {
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
        record.management.into(),
        record.member.as_deref().into(),
        record.include_byok.into(),
        record.limits.requests.into(),
        record.limits.tokens.into(),
        record.limits.concurrent.into(),
        record.external_user.as_deref().into(),
        record.external_key.as_deref().into(),
    ]
}

pub(super) fn instant(text: &str) -> Result<i64> {
    parse_rfc3339(text)
        .ok_or_else(|| Error::invalid("expires_at", "Send a UTC time such as 2027-01-31T00:00:00Z"))
}
