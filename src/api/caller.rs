//! Who sends a request? Keys that call models, people who are signed in, and whoever administers an account.
//!
//! A browser sends its cookie with whatever a page makes it ask, so a request by cookie that changes something also bears the
//! session's token in [`CSRF_HEADER`], which no other site can read. Where a key is sent the cookie does not count.

use super::{World, http::Request};
use crate::{
    credits::sql::SqlValue,
    error::{Error, ErrorType, Next, Result, Source},
    identity::{
        Actor, KeyRecord, Manager, Role, authenticate,
        keys::{self, is_well_formed},
        operator,
        people::{
            cookie::Site,
            members,
            sessions::{self, CSRF_HEADER, Session},
            signer::{Signer, same},
        },
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

/// What signs cookies, and the site that they are for.
///
/// # Errors
/// 403 where the deployment has no secret, or is asked without TLS.
pub(super) fn desk<W: World>(world: &W, request: &Request) -> Result<(Signer, Site)> {
    let secret = world.var("SESSION_SECRET");
    let signer = secret.as_deref().and_then(Signer::new).ok_or_else(|| {
        denied("Nobody can sign in here: set the secret SESSION_SECRET (32 characters or more)")
    })?;
    let site = Site::of(world.var("PUBLIC_URL").as_deref(), &request.origin)?;
    Ok((signer, site))
}

/// Who is signed in by the cookie of a page.
///
/// # Errors
/// Where D1 cannot be asked.
pub(super) async fn visitor<W: World>(world: &W, request: &Request) -> Result<Option<Session>> {
    let Some(header) = request.header("cookie") else {
        return Ok(None);
    };
    let Ok((signer, site)) = desk(world, request) else {
        return Ok(None);
    };
    let cookie = site.cookie(&header, sessions::COOKIE);
    let Some((hash, csrf)) = cookie.and_then(|cookie| sessions::read(cookie, &signer)) else {
        return Ok(None);
    };
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    sessions::find(world, hash, csrf, now).await
}

/// Whether a request comes from this site's own pages, as far as the browser says.
pub(super) fn is_from_here(request: &Request, site: &Site) -> bool {
    let origin = request.header("origin");
    let fetched = request.header("sec-fetch-site");
    origin.is_none_or(|origin| origin == site.origin)
        && fetched.is_none_or(|from| from == "same-origin" || from == "none")
}

/// Who is signed in, where no key is sent.
///
/// # Errors
/// 403 where a request that changes something does not bear the session's token, or comes from another site.
pub(super) async fn session<W: World>(world: &W, request: &Request) -> Result<Option<Session>> {
    if sent(request) != (None, None) {
        return Ok(None);
    }
    let found = visitor(world, request).await?;
    if let Some(session) = &found
        && !matches!(request.method.as_str(), "GET" | "HEAD")
    {
        let (_, site) = desk(world, request)?;
        let token = request.header(CSRF_HEADER).unwrap_or_default();
        if !same(&token, &session.csrf) || !is_from_here(request, &site) {
            return Err(denied(
                "A change by cookie takes the header x-csrf-token, with csrf_token of GET /me",
            ));
        }
    }
    Ok(found)
}

/// The account that a key spends, or that a person works in.
///
/// # Errors
/// 401 where there is neither, 403 where the person is in no account.
pub(super) async fn payer<W: World>(world: &W, request: &Request) -> Result<String> {
    match session(world, request).await? {
        Some(session) => session
            .account
            .map(|(account, _)| account)
            .ok_or_else(nowhere),
        None => any_key(world, request).await.map(|key| key.account),
    }
}

/// The person who is signed in.
///
/// # Errors
/// 401 where nobody is.
pub(super) async fn person<W: World>(world: &W, request: &Request) -> Result<Session> {
    session(world, request).await?.ok_or_else(|| {
        Error::new(
            Source::Client,
            Next::Final,
            ErrorType::Authentication,
            "Sign in first: this is for people, not for keys",
        )
    })
}

/// The operator: by the deployment's token, or a person who is the operator.
///
/// # Errors
/// 401 or 403 for anybody else.
pub(super) async fn operator<W: World>(world: &W, request: &Request) -> Result<Actor> {
    if let Some(session) = session(world, request).await? {
        if session
            .user
            .is_operator(world.var("OPERATOR_EMAILS").as_deref())
        {
            return Ok(Actor::Person(session.user.id));
        }
        return Err(denied("This is for the operator"));
    }
    let header = request.header("authorization");
    operator::authorize(header.as_deref(), world.var("OPERATOR_TOKEN").as_deref())?;
    Ok(Actor::Operator)
}

/// Who administers an account, with at least this role there: a management key, or a person. The truth is asked each time: administration is rare, and a key
/// that was disabled a moment ago must not mint another.
///
/// # Errors
/// 401 where nobody is named, 403 where the role does not suffice.
pub(super) async fn manager<W: World>(
    world: &W,
    request: &Request,
    least: Role,
) -> Result<Manager> {
    if let Some(session) = session(world, request).await? {
        let (account, role) = session.account.ok_or_else(nowhere)?;
        let manager = Manager {
            account,
            actor: Actor::Person(session.user.id),
            role,
        };
        manager.require(least)?;
        return Ok(manager);
    }
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
            "Send a management key of the account as Authorization: Bearer <key>, or sign in",
        )
    })?;
    key.check(world.now_ms())?;
    if !key.management {
        return Err(denied(
            "This takes a management key: the one sent calls models",
        ));
    }
    note_use(world, &key).await?;
    // A person's key may do no more than they may.
    let role = match &key.member {
        Some(user) => members::role(world, &key.account, user).await?,
        None => Some(Role::Admin),
    };
    let manager = Manager {
        account: key.account,
        actor: Actor::Key(key.hash),
        role: role.unwrap_or(Role::Member).min(Role::Admin),
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

fn nowhere() -> Error {
    denied("You are in no account: open one, or ask for an invitation")
}

fn denied(message: &str) -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::PermissionDenied,
        message,
    )
}
