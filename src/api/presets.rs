//! Presets: `/presets…` for a key's own account, `/admin/accounts/{id}/presets…` for the operator.
//!
//! `POST /presets/{slug}/chat/completions` takes an inference body and keeps its configuration: a new preset, or the next
//! version of one. Spec: OpenRouter's presets; older versions are not kept.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    World,
    http::{Request, Response, check_depth},
    principal, word,
};
use crate::{
    chat::ChatRequest,
    credits::sql::SqlValue,
    dialects::Surface,
    error::{Error, ErrorType, Next, Result, Source},
    presets::{self, Preset},
    routing::ProviderPreferences,
    time::rfc3339,
};

/// The most presets of one account.
const MAX_PRESETS: usize = 1_000;
/// The longest configuration, in bytes of JSON.
const MAX_CONFIG: usize = 64 * 1024;

const LIST: &str = "SELECT id, slug, name, description, status, version, config, system_prompt, created_at, updated_at FROM presets WHERE account = ?1 ORDER BY slug LIMIT ?2";
const UPSERT: &str = "INSERT INTO presets (account, slug, id, name, description, version, config, system_prompt, created_at, updated_at) VALUES (?1, ?2, ?3, coalesce(?4, ?2), ?5, 1, ?6, ?7, ?8, ?8) ON CONFLICT (account, slug) DO UPDATE SET name = coalesce(?4, name), description = coalesce(?5, description), status = 'active', version = version + 1, config = excluded.config, system_prompt = excluded.system_prompt, updated_at = excluded.updated_at";

/// A preset as it is sent: a new one, or the next version of one.
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

/// `POST /presets/{slug}/chat/completions`.
pub async fn keep<W: World>(world: &W, request: Request, slug: &str) -> Result<Response> {
    let key = principal(world, &request).await?;
    let raw = request.body.await?;
    check_depth(&raw)?;
    let body: Map<String, Value> =
        serde_json::from_slice(&raw).map_err(|error| Error::invalid("body", error.to_string()))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let new = NewPreset {
        slug: slug.to_owned(),
        name: None,
        description: None,
        system_prompt: text("system_prompt"),
        config: presets::config_of(body),
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
    world.query(UPSERT, &params).await?;
    forget(world, account, &new.slug).await?;
    let preset = stored(world, account, &new.slug).await?;
    Ok(Response::json(201, &json!({"data": body(&preset)})))
}

/// Deletes a preset.
pub async fn delete<W: World>(world: &W, account: &str, slug: &str) -> Result<Response> {
    stored(world, account, slug).await?;
    let sql = "DELETE FROM presets WHERE account = ?1 AND slug = ?2";
    world.query(sql, &[account.into(), slug.into()]).await?;
    forget(world, account, slug).await?;
    Ok(Response::json(200, &json!({"deleted": true})))
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
) -> Result<(ChatRequest, Vec<u8>)> {
    let parsed = surface.parse(&raw);
    // A body whose preset names its model has none of its own.
    let may_name_one = match &parsed {
        Ok(chat) => chat.model.contains("@preset/") || chat.extra.contains_key("preset"),
        Err(error) => error.param.as_deref() == Some("model"),
    };
    if !may_name_one {
        return Ok((parsed?, raw));
    }
    let Some(reference) = presets::reference(&raw)? else {
        return Ok((parsed?, raw));
    };
    let slug = &reference.slug;
    let memory = world.memory();
    let found = presets::find(world, &memory.presets, account, slug, world.now_ms()).await?;
    let missing = |message: String| {
        let mut error = Error::new(Source::Client, Next::Final, ErrorType::NotFound, message);
        error.param = Some(reference.param.to_owned());
        error
    };
    let preset = found.ok_or_else(|| missing(format!("There is no preset {slug}")))?;
    if preset.disabled {
        return Err(missing(format!("The preset {slug} is disabled")));
    }
    let raw = presets::apply(&raw, &reference, &preset)?;
    Ok((surface.parse(&raw)?, raw))
}

/// A configuration that no request could use is refused now, not then.
fn check(new: &NewPreset) -> Result<()> {
    if !presets::is_slug(&new.slug) {
        let message = "expected 1 to 64 letters, digits, - and _";
        return Err(Error::invalid("slug", message));
    }
    let mut body = new.config.clone();
    body.entry("model").or_insert_with(|| "a/b".into());
    body.insert("messages".into(), json!([{"role": "user", "content": ""}]));
    let text = Value::Object(body).to_string();
    if text.len() > MAX_CONFIG {
        let message = format!("A preset has at most {MAX_CONFIG} bytes");
        return Err(Error::invalid("config", message));
    }
    let chat = Surface::ChatCompletions.parse(text.as_bytes())?;
    if chat.model.contains("@preset/") || chat.extra.contains_key("preset") {
        return Err(Error::invalid("model", "A preset names no preset"));
    }
    ProviderPreferences::parse(chat.provider.as_deref())?;
    Ok(())
}

async fn stored<W: World>(world: &W, account: &str, slug: &str) -> Result<Preset> {
    let rows = world
        .query(presets::SELECT, &[account.into(), slug.into()])
        .await?;
    let row = rows.first().ok_or_else(|| {
        let message = format!("There is no preset {slug}");
        Error::new(Source::Client, Next::Final, ErrorType::NotFound, message)
    })?;
    Preset::from_row(row)
}

async fn forget<W: World>(world: &W, account: &str, slug: &str) -> Result<()> {
    world.memory().presets.forget(account, slug);
    world.delete_kv(&[presets::kv_key(account, slug)]).await
}

fn body(preset: &Preset) -> Value {
    let (created, updated) = (rfc3339(preset.created_at), rfc3339(preset.updated_at));
    let version = format!("{}-v{}", preset.id, preset.version);
    json!({
        "id": preset.id,
        "slug": preset.slug,
        "name": preset.name,
        "description": preset.description,
        "status": if preset.disabled { "disabled" } else { "active" },
        "status_updated_at": null,
        "creator_user_id": null,
        "workspace_id": null,
        "designated_version_id": version,
        "designated_version": {
            "id": version,
            "version": preset.version,
            "preset_id": preset.id,
            "system_prompt": preset.system_prompt,
            "config": preset.config,
            "created_at": updated,
            "updated_at": updated,
        },
        "created_at": created,
        "updated_at": updated,
    })
}
