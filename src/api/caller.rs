//! Who sends a request? Keys that call models, and whoever administers an account.

use super::{World, http::Request};
use crate::{
    credits::sql::SqlValue,
    error::{Error, ErrorType, Next, Result, Source},
    identity::{
        Actor, KeyRecord, Manager, Role, authenticate,
        keys::{self, is_well_formed},
    },
};

/// How often a management key's last use is noted, in milliseconds.
const NOTE_USE_MS: i64 = 60_000;

/// The key that pays for a request.
///
/// # Errors
/// 401 where there is none that is valid; 403 for a management key, which calls no model.
pub(super) async fn principal<W: World>(world: &W, request: &Request) -> Result<KeyRecord> {
    let key = any_key(world, request).await?;
    if key.management {
        return Err(denied(
            "This is a management key: it administers the account and calls no model. Send an API key.",
        ));
    }
    Ok(key)
}

/// The key that a request bears, whatever it is for.
pub(super) async fn any_key<W: World>(world: &W, request: &Request) -> Result<KeyRecord> {
    let memory = world.memory();
    let (header, plain) = sent(request);
    let key = keys::sent(header.as_deref(), plain.as_deref());
    authenticate(world, &memory.keys, key, world.now_ms()).await
}

/// Who administers an account, with at least this role there. The truth is asked each time: administration is rare, and a key
/// that was disabled a moment ago must not mint another.
///
/// # Errors
/// 401 where nobody is named, 403 where the role does not suffice.
pub(super) async fn manager<W: World>(
    world: &W,
    request: &Request,
    least: Role,
) -> Result<Manager> {
    let (header, plain) = sent(request);
    let secret = keys::sent(header.as_deref(), plain.as_deref());
    let known = match secret.filter(|secret| is_well_formed(secret)) {
        Some(secret) => world.key_in_d1(&keys::hash(secret)).await?,
        None => None,
    };
    let key = known.ok_or_else(|| {
        Error::new(
            Source::Client,
            Next::Final,
            ErrorType::Authentication,
            "Send a management key of the account as Authorization: Bearer <key>",
        )
    })?;
    key.check(world.now_ms())?;
    if !key.management {
        return Err(denied(
            "This takes a management key: the one sent calls models",
        ));
    }
    note_use(world, &key).await?;
    let manager = Manager {
        account: key.account,
        actor: Actor::Key(key.hash),
        role: Role::Admin,
    };
    manager.require(least)?;
    Ok(manager)
}

fn sent(request: &Request) -> (Option<String>, Option<String>) {
    (request.header("authorization"), request.header("x-api-key"))
}

async fn note_use<W: World>(world: &W, key: &KeyRecord) -> Result<()> {
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let sql =
        "UPDATE api_keys SET last_used_at = ?2 WHERE hash = ?1 AND coalesce(last_used_at, 0) < ?3";
    let params: [SqlValue; 3] = [
        key.hash.as_str().into(),
        now.into(),
        (now - NOTE_USE_MS).into(),
    ];
    world.query(sql, &params).await?;
    Ok(())
}

fn denied(message: &str) -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::PermissionDenied,
        message,
    )
}
