//! Provider keys that accounts bring: `/byok` under an account's routes, their use by a request, and the renewal of their seals.
//!
//! Spec: OpenRouter's BYOK resources. No answer holds a secret; every change is written to the audit log.

mod fields;
mod rotate;

use std::rc::Rc;

use futures::FutureExt;
use serde_json::{Map, Value, json};

use super::{
    World,
    admin::{audit, missing},
    caller::manager,
    http::{Request, Response},
    sources,
};
use crate::{
    access::key::KeyForm,
    catalog::Provider,
    credits::share::Share,
    error::{Error, ErrorType, Next, Result, Source},
    identity::{
        Actor, KeyRecord, Role,
        keys::kv_key,
        own_keys::{self, MAX_KEYS, OwnKeyRecord, OwnKeys, d1, label, seal::Keyring},
    },
    routing::{OwnCandidate, Plan},
    time::rfc3339,
    tools::catalog::{AuthKind, ToolProvider},
};
use fields::Change;
pub(super) use rotate::rotate;

/// Copies are deleted once more after so long: a reader that had read the old rows may have written its copy in between.
const SECOND_DELETE_MS: u64 = 3_000;

/// The keys of its account that a request with this API key may use. An account without any costs no look-up.
///
/// # Errors
/// 503 where the account's keys cannot be looked up.
pub(super) async fn usable<W: World>(world: &W, key: &KeyRecord) -> Result<Vec<OwnCandidate>> {
    if !key.own_keys {
        return Ok(Vec::new());
    }
    let memory = world.memory();
    let now_ms = world.now_ms();
    if let Some(keys) = memory.own_keys.get(&key.account, now_ms) {
        return Ok(keys.of(&key.hash));
    }
    let found = own_keys::find(world, &key.account).await?;
    let ring = if found.records.is_empty() {
        None
    } else {
        keyring(world).unwrap_or_else(|problem| {
            world.report(&problem);
            None
        })
    };
    let keys = OwnKeys::open(&key.account, found.records, ring.as_ref(), |problem| {
        world.report(problem);
    });
    let keys = Rc::new(keys);
    memory.own_keys.put(&key.account, Rc::clone(&keys), now_ms);
    if let Some(copy) = found.copy {
        let (later, account) = (world.clone(), key.account.clone());
        let write = async move {
            if let Err(error) = later.copy_own_keys_to_kv(&account, &copy).await {
                later.report(&format!("KV could not be written: {error}"));
            }
        };
        world.spawn(write.boxed_local());
    }
    Ok(keys.of(&key.hash))
}

/// The operator's share of the list price where an account's own key serves (`BYOK_FEE_PERCENT`).
pub(super) fn fee<W: World>(world: &W, plan: &Plan) -> Share {
    if !plan.attempts.iter().any(|step| step.credential.is_own()) {
        return Share::NONE;
    }
    let percent = world.var("BYOK_FEE_PERCENT");
    let share = percent.as_deref().map(Share::from_percent).transpose();
    share.map_or_else(
        |_| {
            world.report("the variable BYOK_FEE_PERCENT is ignored: it is no percentage from 0 to 100 with at most 6 decimals");
            Share::NONE
        },
        Option::unwrap_or_default,
    )
}

/// The deployment's master keys, if it has any. The error is for the operator.
pub(super) fn keyring<W: World>(world: &W) -> Result<Option<Keyring>, String> {
    let former = world.var("BYOK_MASTER_KEY_PREVIOUS");
    let current = world.var("BYOK_MASTER_KEY");
    current
        .map(|current| Keyring::read(&current, former.as_deref()))
        .transpose()
}

/// As [`keyring`], for what cannot go on without.
pub(super) fn required_keyring<W: World>(world: &W) -> Result<Keyring> {
    let refuse = |message: String| {
        let mut error = Error::new(
            Source::Client,
            Next::Final,
            ErrorType::InvalidRequest,
            message,
        );
        error.status = 501;
        error
    };
    keyring(world).map_err(refuse)?.ok_or_else(|| {
        refuse("This deployment keeps no secrets of accounts: set the secret BYOK_MASTER_KEY (openssl rand -base64 32)".into())
    })
}

/// Answers `/byok` and `/byok/{id}` for who administers the account; `path` is what follows `byok`.
pub(super) async fn managed<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let manager = manager(world, &request, Role::Admin).await?;
    let (actor, id) = (&manager.actor, path.first().copied());
    handle(world, actor, &manager.account, method, id, request).await
}

/// Answers one of an account's routes; `id` is what follows `byok`.
pub(super) async fn handle<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    method: &str,
    id: Option<&str>,
    request: Request,
) -> Result<Response> {
    let known = "SELECT 1 AS known FROM accounts WHERE id = ?1";
    if world.query(known, &[account.into()]).await?.is_empty() {
        return Err(missing("account", account));
    }
    match (method, id) {
        ("POST", None) => create(world, actor, account, request.json().await?).await,
        ("PATCH", Some(id)) => change(world, actor, account, id, request.json().await?).await,
        ("DELETE", Some(id)) => delete(world, actor, account, id).await,
        (_, Some(id)) => {
            let record = stored(world, account, id).await?;
            Ok(Response::json(200, &json!({"data": rendered(&record)})))
        }
        (_, None) => list(world, account, &request).await,
    }
}

async fn list<W: World>(world: &W, account: &str, request: &Request) -> Result<Response> {
    let number = |name: &str, otherwise: usize| {
        let otherwise = i64::try_from(otherwise).unwrap_or(i64::MAX);
        let number = request.whole(name, 0, otherwise)?;
        Ok::<_, Error>(usize::try_from(number).unwrap_or(usize::MAX))
    };
    let (offset, limit) = (number("offset", 0)?, number("limit", MAX_KEYS)?);
    let records = d1::list(world, account).await?;
    let page = records.iter().skip(offset).take(limit).map(rendered);
    let body = json!({"data": page.collect::<Vec<_>>(), "total_count": records.len()});
    Ok(Response::json(200, &body))
}

async fn create<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    body: Map<String, Value>,
) -> Result<Response> {
    let ring = required_keyring(world)?;
    let (named, mut change) = fields::read_new(body)?;
    let provider = provider(world, account, &named).await?;
    check(world, account, &provider, &mut change).await?;
    let others = d1::list(world, account).await?;
    if others.len() >= MAX_KEYS {
        let message = format!("An account keeps at most {MAX_KEYS} provider keys");
        return Err(Error::invalid("key", message));
    }
    let last = others.iter().map(|other| other.sort_order).max();
    let mut record = OwnKeyRecord {
        id: uuid(&world.random()?),
        provider: provider.family().to_owned(),
        name: None,
        label: String::new(),
        sealed: String::new(),
        disabled: false,
        is_fallback: false,
        is_required: false,
        allowed_models: None,
        allowed_api_key_hashes: None,
        sort_order: last.map_or(0, |last| last + 1),
        created_at: now(world),
        updated_at: None,
    };
    apply(world, account, Some(&ring), &mut record, change)?;
    d1::insert(world, account, &record, ring.current()).await?;
    forget(world, account, others.is_empty()).await?;
    note(world, actor, "byok.create", account, &record).await?;
    Ok(Response::json(201, &json!({"data": rendered(&record)})))
}

/// Keeps an account's key for tools that it imports.
///
/// # Errors
/// As the route's own.
pub(super) async fn add_tool_key<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    provider: &str,
    key: &str,
) -> Result<()> {
    let body = json!({"provider": provider, "key": key});
    let body = body.as_object().cloned().unwrap_or_default();
    create(world, actor, account, body).await.map(drop)
}

/// The first of an account's keys for tools that it imported, whichever API keys it is for: its owner asks for it.
///
/// # Errors
/// Where it cannot be looked up or opened.
pub(super) async fn tool_key<W: World>(
    world: &W,
    account: &str,
    provider: &str,
) -> Result<Option<String>> {
    let all = d1::list(world, account).await?;
    let found = all
        .into_iter()
        .find(|record| record.provider == provider && !record.disabled);
    let Some(record) = found else {
        return Ok(None);
    };
    let ring = required_keyring(world)?;
    let opened = ring.open(&record.binding(account), &record.sealed);
    opened
        .map(Some)
        .map_err(|error| Error::internal(error.to_string()))
}

async fn change<W: World>(
    world: &W,
    actor: &Actor,
    account: &str,
    id: &str,
    body: Map<String, Value>,
) -> Result<Response> {
    let mut record = stored(world, account, id).await?;
    let mut change = fields::read_change(body)?;
    let provider = if change.key.is_some() || change.allowed_models.is_some() {
        Some(provider(world, account, &record.provider).await?)
    } else {
        None
    };
    let ring = match &change.key {
        Some(_) => Some(required_keyring(world)?),
        None => None,
    };
    if let Some(provider) = &provider {
        check(world, account, provider, &mut change).await?;
    } else {
        check_hashes(world, account, &change).await?;
    }
    apply(world, account, ring.as_ref(), &mut record, change)?;
    record.updated_at = Some(now(world));
    d1::update(world, account, &record).await?;
    forget(world, account, false).await?;
    note(world, actor, "byok.change", account, &record).await?;
    Ok(Response::json(200, &json!({"data": rendered(&record)})))
}

async fn delete<W: World>(world: &W, actor: &Actor, account: &str, id: &str) -> Result<Response> {
    let record = stored(world, account, id).await?;
    d1::delete(world, account, id).await?;
    let is_last = d1::list(world, account).await?.is_empty();
    forget(world, account, is_last).await?;
    note(world, actor, "byok.delete", account, &record).await?;
    Ok(Response::json(200, &json!({"deleted": true})))
}

/// Copies in KV of these accounts' provider keys.
async fn forget_copies<W: World>(world: &W, accounts: &[String]) -> Result<()> {
    let copies: Vec<String> = accounts
        .iter()
        .map(|account| own_keys::kv_key(account))
        .collect();
    world.delete_kv(&copies).await
}

async fn stored<W: World>(world: &W, account: &str, id: &str) -> Result<OwnKeyRecord> {
    let record = d1::get(world, account, id).await?;
    record.ok_or_else(|| missing("provider key", id))
}

/// Whom a key is for.
enum Keyed {
    /// A provider of models; of tools too, where one has the same slug.
    Models(Box<Provider>),
    /// A provider of tools.
    Tools(Rc<ToolProvider>),
}

impl Keyed {
    /// The name under which its keys are kept.
    fn family(&self) -> &str {
        match self {
            Self::Models(provider) => provider.family(),
            Self::Tools(provider) => &provider.slug,
        }
    }
}

/// The provider of this name, if a published catalog has it and it can be reached.
async fn provider<W: World>(world: &W, account: &str, named: &str) -> Result<Keyed> {
    let memory = world.memory();
    let providers = memory.catalog.providers(world, world.now_ms()).await?;
    let found = providers.iter().find(|one| one.answers_to(named));
    if let Some(provider) = found.filter(|provider| world.can_reach(provider)) {
        return Ok(Keyed::Models(Box::new(provider.clone())));
    }
    let tools = sources::catalog(world, Some(account)).await?;
    let found = tools.provider(named);
    let takes_keys = |provider: &&Rc<ToolProvider>| provider.auth.kind != AuthKind::None;
    match found.filter(takes_keys) {
        Some(provider) => Ok(Keyed::Tools(Rc::clone(provider))),
        None => {
            let message = format!(
                "This deployment's catalog has no provider {named}: see GET /api/v1/providers and GET /api/v1/tools"
            );
            Err(Error::invalid("provider", message))
        }
    }
}

/// Refuses a key of tools that lacks parts, and what has no meaning for tools.
fn check_tools(provider: &ToolProvider, change: &Change) -> Result<()> {
    let parts = provider.key_fields.len();
    if let Some(key) = &change.key
        && key
            .splitn(parts.max(1), ':')
            .filter(|part| !part.trim().is_empty())
            .count()
            < parts
    {
        let form = provider.key_fields.join(":");
        let message = format!("A key for {} has the form {form}", provider.name);
        return Err(Error::invalid("key", message));
    }
    if change.allowed_models.as_ref().is_some_and(Option::is_some) {
        let message = format!("{} has tools, and no models", provider.name);
        return Err(Error::invalid("allowed_models", message));
    }
    Ok(())
}

/// Checks what the stores know: the form of the key that the provider takes, models, API keys.
async fn check<W: World>(
    world: &W,
    account: &str,
    provider: &Keyed,
    change: &mut Change,
) -> Result<()> {
    let provider = match provider {
        Keyed::Models(provider) => provider,
        Keyed::Tools(provider) => {
            check_tools(provider, change)?;
            return check_hashes(world, account, change).await;
        }
    };
    if let Some(key) = &change.key {
        fields::check_secret(key, provider)?;
    }
    if let Some(Some(models)) = &mut change.allowed_models {
        let memory = world.memory();
        let names = memory.catalog.names(world, world.now_ms()).await?;
        for (at, model) in models.iter_mut().enumerate() {
            let slug = names.resolve(model).map(str::to_owned);
            *model = slug.ok_or_else(|| {
                let message = format!("{model} is not a valid model ID");
                Error::invalid(format!("allowed_models[{at}]"), message)
            })?;
        }
    }
    check_hashes(world, account, change).await
}

async fn check_hashes<W: World>(world: &W, account: &str, change: &Change) -> Result<()> {
    let Some(Some(hashes)) = &change.allowed_api_key_hashes else {
        return Ok(());
    };
    let sql = "SELECT hash FROM api_keys WHERE account = ?1 AND deleted = 0";
    let rows = world.query(sql, &[account.into()]).await?;
    let known = |hash: &String| rows.iter().any(|row| row.get("hash") == Some(&json!(hash)));
    match hashes.iter().position(|hash| !known(hash)) {
        Some(at) => Err(Error::invalid(
            format!("allowed_api_key_hashes[{at}]"),
            "The account has no API key with this hash",
        )),
        None => Ok(()),
    }
}

/// Puts a checked change into a record.
fn apply<W: World>(
    world: &W,
    account: &str,
    ring: Option<&Keyring>,
    record: &mut OwnKeyRecord,
    change: Change,
) -> Result<()> {
    if let (Some(secret), Some(ring)) = (&change.key, ring) {
        let sealed = ring.seal(&world.random()?, &record.binding(account), secret);
        record.sealed = sealed.map_err(|error| Error::internal(error.to_string()))?;
        record.label = label(KeyForm::of(secret).tail(secret));
    }
    if let Some(name) = change.name {
        record.name = name;
    }
    if let Some(models) = change.allowed_models {
        record.allowed_models = models;
    }
    if let Some(hashes) = change.allowed_api_key_hashes {
        record.allowed_api_key_hashes = hashes;
    }
    record.disabled = change.disabled.unwrap_or(record.disabled);
    record.is_fallback = change.is_fallback.unwrap_or(record.is_fallback);
    record.is_required = change.is_required.unwrap_or(record.is_required);
    record.sort_order = change.sort_order.unwrap_or(record.sort_order);
    if record.is_fallback && record.is_required {
        let message = "A key that is required has nothing to come after: is_fallback and is_required exclude each other";
        return Err(Error::invalid("is_required", message));
    }
    Ok(())
}

/// Makes every isolate look again: the account's list, and where its API keys' records change with it, those too.
pub(super) async fn forget<W: World>(world: &W, account: &str, with_api_keys: bool) -> Result<()> {
    let memory = world.memory();
    memory.own_keys.forget(account);
    let mut copies = vec![own_keys::kv_key(account)];
    if with_api_keys {
        let sql = "SELECT hash FROM api_keys WHERE account = ?1 AND deleted = 0";
        for row in world.query(sql, &[account.into()]).await? {
            if let Some(hash) = row.get("hash").and_then(Value::as_str) {
                memory.keys.forget(hash);
                copies.push(kv_key(hash));
            }
        }
    }
    world.delete_kv(&copies).await?;
    let later = world.clone();
    let again = async move {
        later.sleep(SECOND_DELETE_MS).await;
        if let Err(error) = later.delete_kv(&copies).await {
            later.report(&format!("copies of own keys could not be deleted: {error}"));
        }
    };
    world.spawn(again.boxed_local());
    Ok(())
}

async fn note<W: World>(
    world: &W,
    actor: &Actor,
    action: &str,
    account: &str,
    record: &OwnKeyRecord,
) -> Result<()> {
    let detail = format!("{} {}", record.provider, record.label);
    audit(world, actor, action, Some(account), &record.id, &detail).await
}

fn rendered(record: &OwnKeyRecord) -> Value {
    json!({
        "id": record.id,
        "provider": record.provider,
        "name": record.name,
        "label": record.label,
        "disabled": record.disabled,
        "is_fallback": record.is_fallback,
        "is_required": record.is_required,
        "is_byok_only": false,
        "allowed_models": record.allowed_models,
        "allowed_api_key_hashes": record.allowed_api_key_hashes,
        "allowed_user_ids": null,
        "declared_region": null,
        "declared_zdr": null,
        "workspace_id": null,
        "sort_order": record.sort_order,
        "created_at": rfc3339(record.created_at),
        "updated_at": record.updated_at.map(rfc3339),
    })
}

fn now<W: World>(world: &W) -> i64 {
    i64::try_from(world.now_ms()).unwrap_or(i64::MAX)
}

/// A random UUID (version 4).
pub(super) fn uuid(random: &[u8; 32]) -> String {
    let digits = crate::identity::keys::hex(random);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let variant = random.get(8).map_or('8', |byte| match byte & 3 {
        0 => '8',
        1 => '9',
        2 => 'a',
        _ => 'b',
    });
    format!(
        "{}-{}-4{}-{variant}{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}
