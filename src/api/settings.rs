//! What an account wants of its usage: `/workspaces/default`, which every account has one of, and `/account/settings`, the same.
//!
//! Out of scope: several workspaces in one account. Spec: OpenRouter's workspaces, as far as they are about logging.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    World,
    account::json_data,
    admin::{audit, missing},
    caller::manager,
    http::{Request, Response},
};
use crate::{
    credits::decimal::{self, Excess},
    error::{Error, Result},
    identity::{Role, keys::kv_key},
    usage::content::{MAX_DAYS, Settings, WHOLE, d1},
};

/// The one workspace of an account.
const DEFAULT: &str = "default";
/// Decimals of a sampling rate.
const DECIMALS: u32 = 6;
/// The most keys of a list.
const MAX_KEYS: usize = 100;

/// What the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// `/account/settings`.
    Settings,
    /// `/workspaces`.
    All,
    /// `/workspaces/{id}`.
    One(&'a str),
}

/// Answers `/account/settings` and `/workspaces…`.
pub(super) async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
    named: Named<'_>,
) -> Result<Response> {
    let manager = manager(world, &request, Role::Admin).await?;
    let account = manager.account.as_str();
    if let Named::One(id) = named
        && id != DEFAULT
    {
        return Err(missing("workspace", id));
    }
    let mut settings = d1::settings(world, account).await?;
    if method == "PATCH" {
        let change: Change = request.json().await?;
        change.apply(&mut settings)?;
        know_keys(world, account, settings.keys.as_deref()).await?;
        let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
        d1::save_settings(world, account, &settings, now).await?;
        forget_keys(world, account).await?;
        let detail = format!(
            "io_logging {} parts {} days {}",
            settings.is_on, settings.parts, settings.days
        );
        let (actor, action) = (&manager.actor, "settings.change");
        audit(world, actor, action, Some(account), account, &detail).await?;
    }
    let shown = Workspace::of(settings)?;
    Ok(match named {
        Named::All => Response::json(
            200,
            &List {
                data: [shown],
                total_count: 1,
            },
        ),
        Named::Settings | Named::One(_) => Response::json(200, &json_data(&shown)),
    })
}

#[derive(Serialize)]
struct List {
    data: [Workspace; 1],
    total_count: usize,
}

/// The workspace as it is told.
#[derive(Serialize)]
struct Workspace {
    id: &'static str,
    slug: &'static str,
    name: &'static str,
    is_observability_io_logging_enabled: bool,
    io_logging_sampling_rate: Box<RawValue>,
    io_logging_api_key_ids: Option<Vec<String>>,
    io_logging_retention_days: i64,
}

impl Workspace {
    fn of(settings: Settings) -> Result<Self> {
        let rate = decimal::format(i128::from(settings.parts), DECIMALS);
        let rate = RawValue::from_string(rate)
            .map_err(|error| Error::internal(format!("a sampling rate: {error}")))?;
        Ok(Self {
            id: DEFAULT,
            slug: DEFAULT,
            name: "Default",
            is_observability_io_logging_enabled: settings.is_on,
            io_logging_sampling_rate: rate,
            io_logging_api_key_ids: settings.keys,
            io_logging_retention_days: settings.days,
        })
    }
}

/// What may change; an absent field stays, `null` goes back to what holds for who says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    is_observability_io_logging_enabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    io_logging_sampling_rate: Option<Option<Box<RawValue>>>,
    #[serde(default, deserialize_with = "present")]
    io_logging_api_key_ids: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    io_logging_retention_days: Option<Option<i64>>,
}

/// Tells `null` (present) from absent.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Change {
    fn apply(self, settings: &mut Settings) -> Result<()> {
        let otherwise = Settings::default();
        if let Some(is_on) = self.is_observability_io_logging_enabled {
            settings.is_on = is_on;
        }
        if let Some(rate) = self.io_logging_sampling_rate {
            settings.parts = rate.map_or(Ok(otherwise.parts), |rate| parts(&rate))?;
        }
        if let Some(keys) = self.io_logging_api_key_ids {
            settings.keys = keys;
        }
        if let Some(days) = self.io_logging_retention_days {
            settings.days = days.unwrap_or(otherwise.days);
            if !(1..=MAX_DAYS).contains(&settings.days) {
                let message = format!("io_logging_retention_days is 1 to {MAX_DAYS}");
                return Err(Error::invalid("io_logging_retention_days", message));
            }
        }
        Ok(())
    }
}

/// A rate from 0 to 1 in parts of the whole.
fn parts(rate: &RawValue) -> Result<i64> {
    let parts = decimal::parse(rate.get(), DECIMALS, Excess::Refuse).ok();
    let parts = parts.and_then(|parts| i64::try_from(parts).ok());
    let parts = parts.filter(|parts| (0..=WHOLE).contains(parts));
    parts.ok_or_else(|| {
        let message =
            format!("io_logging_sampling_rate is 0 to 1, with at most {DECIMALS} decimals");
        Error::invalid("io_logging_sampling_rate", message)
    })
}

/// Keys that a list names are the account's own.
async fn know_keys<W: World>(world: &W, account: &str, keys: Option<&[String]>) -> Result<()> {
    let Some(keys) = keys else {
        return Ok(());
    };
    let field = "io_logging_api_key_ids";
    if keys.is_empty() || keys.len() > MAX_KEYS {
        let message = format!("{field} names 1 to {MAX_KEYS} keys; null means every key");
        return Err(Error::invalid(field, message));
    }
    let known = keys_of(world, account).await?;
    match keys.iter().position(|key| !known.contains(key)) {
        None => Ok(()),
        Some(at) => {
            let message = "No key of this account has this hash";
            Err(Error::invalid(format!("{field}.{at}"), message))
        }
    }
}

async fn keys_of<W: World>(world: &W, account: &str) -> Result<Vec<String>> {
    let sql = "SELECT hash FROM api_keys WHERE account = ?1 AND deleted = 0";
    let rows = world.query(sql, &[account.into()]).await?;
    let hashes = rows.iter().filter_map(|row| row.get("hash")?.as_str());
    Ok(hashes.map(str::to_owned).collect())
}

/// Copies of the account's keys say what was wanted before.
pub(super) async fn forget_keys<W: World>(world: &W, account: &str) -> Result<()> {
    let hashes = keys_of(world, account).await?;
    let memory = world.memory();
    hashes.iter().for_each(|hash| memory.keys.forget(hash));
    let copies: Vec<String> = hashes.iter().map(|hash| kv_key(hash)).collect();
    world.delete_kv(&copies).await
}
