//! Rotation: a key gets another secret, and the old one works for a while longer.
//!
//! The key stays what it is, under the hash of its first secret: settings, budgets, counters, limits and history are one, whichever
//! secret is sent. The object refuses a secret whose time is over, so that no copy of the key keeps it alive.

use serde::Deserialize;
use serde_json::Value;

use super::{KeyBody, Scope, forget, stored, told};
use crate::{
    api::{World, admin::audit, http::Response},
    credits::{ops, sql::SqlValue},
    error::{Error, ErrorType, Next, Result, Source},
    identity::{Manager, MintedKey, Role},
    time::rfc3339,
};

/// How long the old secret works where the request does not say, in seconds.
const OVERLAP_S: i64 = 86_400;
/// The longest overlap, in seconds.
const MAX_OVERLAP_S: i64 = 30 * 86_400;
/// The most secrets of a key that work at the same time.
const MAX_SECRETS: usize = 10;

const SELECT_SECRETS: &str =
    "SELECT hash FROM key_secrets WHERE key = ?1 AND (ends_at IS NULL OR ends_at > ?2)";
/// The first secret has no row until it is replaced.
const KEEP_FIRST: &str = "INSERT INTO key_secrets (hash, key, created_at) SELECT hash, hash, created_at FROM api_keys WHERE hash = ?1 ON CONFLICT DO NOTHING";
const END: &str = "UPDATE key_secrets SET ends_at = min(coalesce(ends_at, ?2), ?2) WHERE key = ?1";
const ADD: &str = "INSERT INTO key_secrets (hash, key, created_at) VALUES (?1, ?2, ?3)";
const RELABEL: &str = "UPDATE api_keys SET label = ?2, updated_at = ?3 WHERE hash = ?1";

/// What may be asked for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Rotation {
    #[serde(default)]
    overlap_seconds: Option<Value>,
}

impl Rotation {
    fn overlap_ms(&self) -> Result<i64> {
        let seconds = match &self.overlap_seconds {
            None | Some(Value::Null) => Some(OVERLAP_S),
            Some(value) => value.as_i64().filter(|n| (0..=MAX_OVERLAP_S).contains(n)),
        };
        let seconds = seconds.ok_or_else(|| {
            let message = format!("overlap_seconds is a whole number from 0 to {MAX_OVERLAP_S}");
            Error::invalid("overlap_seconds", message)
        })?;
        Ok(seconds * 1_000)
    }
}

/// Gives a key another secret; its text is in this answer only.
pub(in crate::api) async fn rotate<W: World>(
    world: &W,
    scope: &Scope<'_>,
    manager: Option<&Manager>,
    hash: &str,
    rotation: Rotation,
) -> Result<Response> {
    let overlap_ms = rotation.overlap_ms()?;
    let mut record = stored(world, scope, hash).await?;
    if let (true, Some(manager)) = (record.management, manager) {
        // Who has a leaked one must not get another out of it.
        manager.require(Role::Owner)?;
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let ends_at = now.saturating_add(overlap_ms);
    let key: SqlValue = record.hash.as_str().into();
    let rows = world
        .query(SELECT_SECRETS, &[key.clone(), now.into()])
        .await?;
    let known = rows.iter().filter_map(|row| row.get("hash")?.as_str());
    let mut secrets: Vec<String> = known.map(str::to_owned).collect();
    if secrets.is_empty() {
        secrets.push(record.hash.clone());
    }
    if secrets.len() >= MAX_SECRETS {
        let message = format!(
            "{MAX_SECRETS} secrets of this key work at the same time: wait until one of them ends"
        );
        return Err(Error::new(
            Source::Client,
            Next::Final,
            ErrorType::Conflict,
            message,
        ));
    }
    let minted = MintedKey::new(&world.random()?);
    record.label.clone_from(&minted.label);
    if !record.management {
        let end = ops::SecretsEnd { secrets, ends_at };
        world.call(&record.account, &end).await?;
    }
    let data = told(world, &record).await?;
    world
        .transaction(&[
            (KEEP_FIRST, vec![key.clone()]),
            (END, vec![key.clone(), ends_at.into()]),
            (
                ADD,
                vec![minted.hash.as_str().into(), key.clone(), now.into()],
            ),
            (RELABEL, vec![key, minted.label.as_str().into(), now.into()]),
        ])
        .await?;
    let account = Some(record.account.as_str());
    let detail = format!("{}: the old secret ends {}", record.name, rfc3339(ends_at));
    audit(
        world,
        scope.actor,
        "key.rotate",
        account,
        &record.hash,
        &detail,
    )
    .await?;
    forget(world, &record.hash).await?;
    #[derive(serde::Serialize)]
    struct Rotated {
        data: KeyBody,
        key: String,
        previous_ends_at: String,
    }
    let rotated = Rotated {
        data,
        key: minted.secret,
        previous_ends_at: rfc3339(ends_at),
    };
    Ok(Response::json(201, &rotated))
}
