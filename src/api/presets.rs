//! Presets: `/presets…` for a key's own account, `/admin/accounts/{id}/presets…` for the operator.
//!
//! `POST /presets/{slug}/chat/completions` (`…/messages`, `…/responses`) takes an inference body and keeps its configuration: a new
//! preset, or the next version of one. Spec: OpenRouter's presets. The newest version is the one in force, earlier ones can be read.

use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    World,
    http::{Request, Response, check_depth},
    principal,
    response_cache::MAX_TTL_S,
    word,
};
use crate::{
    chat::ChatRequest,
    credits::sql::SqlValue,
    database::Row,
    dialects::Surface,
    error::{Error, ErrorType, Next, Result, Source},
    guardrails::{self, Screening, Voice},
    presets::{self, OF_PRESETS, Preset},
    routing::ProviderPreferences,
    time::rfc3339,
};

/// The most presets of one account.
const MAX_PRESETS: usize = 1_000;
/// The longest configuration, in bytes of JSON.
const MAX_CONFIG: usize = 64 * 1024;
/// How many versions of a preset are kept, the newest of them.
const MAX_VERSIONS: i64 = 1_000;

const LIST: &str = "SELECT id, slug, name, description, status, version, config, system_prompt, created_at, updated_at FROM presets WHERE account = ?1 ORDER BY slug LIMIT ?2";
const UPSERT: &str = "INSERT INTO presets (account, slug, id, name, description, version, config, system_prompt, created_at, updated_at) VALUES (?1, ?2, ?3, coalesce(?4, ?2), ?5, 1, ?6, ?7, ?8, ?8) ON CONFLICT (account, slug) DO UPDATE SET name = coalesce(?4, name), description = coalesce(?5, description), status = 'active', version = version + 1, config = excluded.config, system_prompt = excluded.system_prompt, updated_at = excluded.updated_at";

const KEEP_VERSION: &str = "INSERT INTO preset_versions (preset, version, config, system_prompt, created_at) SELECT id, version, config, system_prompt, updated_at FROM presets WHERE account = ?1 AND slug = ?2";
const DROP_OLD: &str = "DELETE FROM preset_versions WHERE preset = (SELECT id FROM presets WHERE account = ?1 AND slug = ?2) AND version <= (SELECT version FROM presets WHERE account = ?1 AND slug = ?2) - ?3";
const DROP_VERSIONS: &str = "DELETE FROM preset_versions WHERE preset = (SELECT id FROM presets WHERE account = ?1 AND slug = ?2)";
const DROP: &str = "DELETE FROM presets WHERE account = ?1 AND slug = ?2";
const VERSIONS: &str = "SELECT version, config, system_prompt, created_at FROM preset_versions WHERE preset = ?1 ORDER BY version DESC";
const VERSION: &str = "SELECT version, config, system_prompt, created_at FROM preset_versions WHERE preset = ?1 AND version = ?2";

/// A preset as it is sent: a new one, or the next version of one.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPreset {
    slug: String,
    name: Option<String>,
    description: Option<String>,
    system_prompt: Option<String>,
    #[serde(default)]
    config: Map<String, Value>,
}

impl NewPreset {
    /// Its name within the account.
    pub fn slug(&self) -> &str {
        &self.slug
    }
}

/// `GET /presets` and `GET /presets/{slug}`.
pub async fn show<W: World>(world: &W, request: &Request, slug: Option<&str>) -> Result<Response> {
    let key = principal(world, request).await?;
    match slug {
        Some(slug) => one(world, &key.account, slug).await,
        None => list(world, &key.account).await,
    }
}

/// `GET /presets/{slug}/versions` and `GET /presets/{slug}/versions/{version}`, by its number or its id.
pub async fn versions<W: World>(
    world: &W,
    request: &Request,
    slug: &str,
    version: Option<&str>,
) -> Result<Response> {
    let key = principal(world, request).await?;
    let preset = stored(world, &key.account, slug).await?;
    let Some(named) = version else {
        let rows = world.query(VERSIONS, &[preset.id.as_str().into()]).await?;
        let data = rows.iter().map(|row| version_of(&preset, row));
        let data = data.collect::<Result<Vec<_>>>()?;
        let body = json!({"total_count": data.len(), "data": data});
        return Ok(Response::json(200, &body));
    };
    let number = named.strip_prefix(&format!("{}-v", preset.id));
    let found = match number.unwrap_or(named).parse::<i64>() {
        Ok(number) => {
            let params = [preset.id.as_str().into(), number.into()];
            world.query(VERSION, &params).await?
        }
        Err(_) => Vec::new(),
    };
    let row = found.first();
    let row = row.ok_or_else(|| missing(format!("The preset {slug} has no version {named}")))?;
    let data = version_of(&preset, row)?;
    Ok(Response::json(200, &json!({ "data": data })))
}

/// `POST /presets/{slug}/…` with a body of this surface.
pub async fn keep<W: World>(
    world: &W,
    request: Request,
    slug: &str,
    surface: Surface,
) -> Result<Response> {
    let key = principal(world, &request).await?;
    let raw = request.body.await?;
    check_depth(&raw)?;
    let body: Map<String, Value> =
        crate::json::from_slice(&raw).map_err(|error| Error::invalid("body", error.to_string()))?;
    let (config, system_prompt) = presets::config_of(surface, body)?;
    let new = NewPreset {
        slug: slug.to_owned(),
        name: None,
        description: None,
        system_prompt,
        config,
    };
    save(world, &key.account, new).await
}

/// All presets of an account.
pub async fn list<W: World>(world: &W, account: &str) -> Result<Response> {
    let limit = i64::try_from(MAX_PRESETS).unwrap_or(i64::MAX);
    let rows = world.query(LIST, &[account.into(), limit.into()]).await?;
    let presets = rows.iter().map(Preset::from_row);
    let data = presets
        .map(|preset| preset.map(|preset| body(&preset)))
        .collect::<Result<Vec<_>>>()?;
    Ok(Response::json(
        200,
        &json!({"total_count": data.len(), "data": data}),
    ))
}

/// One preset of an account.
pub async fn one<W: World>(world: &W, account: &str, slug: &str) -> Result<Response> {
    let preset = stored(world, account, slug).await?;
    Ok(Response::json(200, &json!({"data": body(&preset)})))
}

/// Makes a preset, or the next version of one.
pub async fn save<W: World>(world: &W, account: &str, new: NewPreset) -> Result<Response> {
    check(&new)?;
    let optional = |text: &Option<String>| text.as_deref().into();
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let params: [SqlValue; 8] = [
        account.into(),
        new.slug.as_str().into(),
        format!("preset_{}", word(&world.random()?)).as_str().into(),
        optional(&new.name),
        optional(&new.description),
        Value::Object(new.config).to_string().as_str().into(),
        optional(&new.system_prompt),
        now.into(),
    ];
    let of = || vec![account.into(), new.slug.as_str().into()];
    let mut old = of();
    old.push(MAX_VERSIONS.into());
    let statements = [
        (UPSERT, params.to_vec()),
        (KEEP_VERSION, of()),
        (DROP_OLD, old),
    ];
    world.transaction(&statements).await?;
    forget(world, account, &new.slug).await?;
    let preset = stored(world, account, &new.slug).await?;
    Ok(Response::json(201, &json!({"data": body(&preset)})))
}

/// Deletes a preset.
pub async fn delete<W: World>(world: &W, account: &str, slug: &str) -> Result<Response> {
    stored(world, account, slug).await?;
    let of = || vec![account.into(), slug.into()];
    world
        .transaction(&[(DROP_VERSIONS, of()), (DROP, of())])
        .await?;
    forget(world, account, slug).await?;
    Ok(Response::json(200, &json!({"deleted": true})))
}

/// A preset as one request has it.
pub struct Applied {
    /// The preset.
    pub preset: Rc<Preset>,
    /// What of its configuration means nothing to clients of the request's surface.
    pub meaningless: Vec<&'static str>,
}

/// A request's body, read.
pub struct Read {
    /// What it asks.
    pub chat: ChatRequest,
    /// Its bytes, with the preset's fields among them.
    pub raw: Vec<u8>,
    /// The preset that it names.
    pub applied: Option<Applied>,
}

/// Reads the body of a conversation, with its preset under it where it names one.
///
/// # Errors
/// 400 with the path of what is wrong, 404 where there is no such preset.
pub async fn read<W: World>(
    world: &W,
    surface: Surface,
    account: &str,
    raw: Vec<u8>,
    screening: Option<&mut Screening>,
) -> Result<Read> {
    let parsed = surface.parse(&raw);
    let plain = |parsed: Result<ChatRequest>, raw, screening| {
        let applied = None;
        let (chat, raw) = screened(surface, parsed?, raw, screening)?;
        Ok(Read { chat, raw, applied })
    };
    // A body whose preset names its model has none of its own.
    let may_name_one = match &parsed {
        Ok(chat) => chat.model.contains("@preset/") || chat.extra.contains_key("preset"),
        Err(error) => error.param.as_deref() == Some("model"),
    };
    if !may_name_one {
        return plain(parsed, raw, screening);
    }
    let Some(reference) = presets::reference(&raw)? else {
        return plain(parsed, raw, screening);
    };
    let slug = &reference.slug;
    let memory = world.memory();
    let found = presets::find(world, &memory.presets, account, slug, world.now_ms()).await?;
    let refused = |message: String| {
        let mut error = missing(message);
        error.param = Some(reference.param.to_owned());
        error
    };
    let preset = found.ok_or_else(|| refused(format!("There is no preset {slug}")))?;
    if preset.disabled {
        return Err(refused(format!("The preset {slug} is disabled")));
    }
    let raw = presets::apply(surface, &raw, &reference, &preset)?;
    let mut screening = screening;
    let parsed = surface.parse(&raw)?;
    let (mut chat, raw) = screened(surface, parsed, raw, screening.as_deref_mut())?;
    let config = as_chat(preset.config.clone())?;
    // Where a surface has no words for instructions they are not among its bytes.
    let mut prompt = preset.system_prompt.clone();
    if let (Some(screening), Some(text)) = (screening, prompt.as_mut())
        && let Some(changed) = screening.text(Voice::Other, text)
    {
        *text = changed;
    }
    presets::complete(surface, &mut chat, config, prompt.as_deref());
    let meaningless = presets::meaningless(surface, &preset.config);
    Ok(Read {
        chat,
        raw,
        applied: Some(Applied {
            preset,
            meaningless,
        }),
    })
}

/// The request as content filters leave it, in its own bytes and read.
fn screened(
    surface: Surface,
    chat: ChatRequest,
    raw: Vec<u8>,
    screening: Option<&mut Screening>,
) -> Result<(ChatRequest, Vec<u8>)> {
    let changed = screening.and_then(|screening| guardrails::rewrite(surface, &raw, screening));
    match changed {
        Some(raw) => Ok((surface.parse(&raw)?, raw)),
        None => Ok((chat, raw)),
    }
}

/// A configuration as a request of chat completions.
fn as_chat(mut config: Map<String, Value>) -> Result<ChatRequest> {
    config.retain(|key, _| !OF_PRESETS.contains(&key.as_str()));
    config.entry("model").or_insert_with(|| "a/b".into());
    config.insert("messages".into(), json!([{"role": "user", "content": ""}]));
    Surface::ChatCompletions.parse(Value::Object(config).to_string().as_bytes())
}

/// A configuration that no request could use is refused now, not then.
fn check(new: &NewPreset) -> Result<()> {
    if !presets::is_slug(&new.slug) {
        let message = "expected 1 to 64 letters, digits, - and _";
        return Err(Error::invalid("slug", message));
    }
    if Value::Object(new.config.clone()).to_string().len() > MAX_CONFIG {
        let message = format!("A preset has at most {MAX_CONFIG} bytes");
        return Err(Error::invalid("config", message));
    }
    let [enabled, ttl] = OF_PRESETS.map(|key| new.config.get(key));
    if enabled.is_some_and(|enabled| !enabled.is_boolean()) {
        return Err(Error::invalid("cache_enabled", "expected true or false"));
    }
    let fits = |ttl: &Value| {
        ttl.as_u64()
            .is_some_and(|ttl| (1..=MAX_TTL_S).contains(&ttl))
    };
    if ttl.is_some_and(|ttl| !fits(ttl)) {
        let message = format!("expected 1 to {MAX_TTL_S}");
        return Err(Error::invalid("cache_ttl_seconds", message));
    }
    let chat = as_chat(new.config.clone())?;
    if chat.model.contains("@preset/") || chat.extra.contains_key("preset") {
        return Err(Error::invalid("model", "A preset names no preset"));
    }
    ProviderPreferences::parse(chat.provider.as_deref())?;
    Ok(())
}

fn missing(message: String) -> Error {
    Error::new(Source::Client, Next::Final, ErrorType::NotFound, message)
}

async fn stored<W: World>(world: &W, account: &str, slug: &str) -> Result<Preset> {
    let rows = world
        .query(presets::SELECT, &[account.into(), slug.into()])
        .await?;
    let row = rows.first();
    Preset::from_row(row.ok_or_else(|| missing(format!("There is no preset {slug}")))?)
}

async fn forget<W: World>(world: &W, account: &str, slug: &str) -> Result<()> {
    world.memory().presets.forget(account, slug);
    world.delete_kv(&[presets::kv_key(account, slug)]).await
}

/// A version out of its row.
fn version_of(preset: &Preset, row: &Row) -> Result<Value> {
    let read = || {
        let config = row.get("config").and_then(Value::as_str)?;
        let config: Value = crate::json::from_str(config).ok()?;
        let number = |key: &str| row.get(key).and_then(Value::as_i64);
        let at = (number("version")?, number("created_at")?);
        Some(version(preset, at, row.get("system_prompt"), &config))
    };
    read().ok_or_else(|| Error::internal("a preset's version in D1 is not of the schema"))
}

/// A version by its number, from when it was made: it never changes.
fn version(
    preset: &Preset,
    (number, at): (i64, i64),
    system_prompt: Option<&Value>,
    config: &Value,
) -> Value {
    let at = rfc3339(at);
    json!({
        "id": format!("{}-v{number}", preset.id),
        "version": number,
        "preset_id": preset.id,
        "creator_id": null,
        "system_prompt": system_prompt,
        "config": config,
        "created_at": at,
        "updated_at": at,
    })
}

fn body(preset: &Preset) -> Value {
    let (created, updated) = (rfc3339(preset.created_at), rfc3339(preset.updated_at));
    let prompt = preset.system_prompt.as_deref().map(Value::from);
    let config = Value::Object(preset.config.clone());
    let at = (preset.version, preset.updated_at);
    let newest = version(preset, at, prompt.as_ref(), &config);
    json!({
        "id": preset.id,
        "slug": preset.slug,
        "name": preset.name,
        "description": preset.description,
        "status": if preset.disabled { "disabled" } else { "active" },
        "status_updated_at": null,
        "creator_user_id": null,
        "workspace_id": null,
        "designated_version_id": newest.get("id"),
        "designated_version": newest,
        "created_at": created,
        "updated_at": updated,
    })
}
