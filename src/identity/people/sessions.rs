//! Who is signed in: a random id in a signed cookie, and a row under its SHA-256.
//!
//! The signature turns guesses away without asking D1; the row makes a session end when it is told to. The row is asked each
//! time, with the role that the person has at that moment. A new session at each sign-in, so none can be planted beforehand.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::Value;

use crate::{
    database::{Database, Row},
    error::Result,
    identity::Role,
};

use super::{
    broken, digest,
    signer::Signer,
    users::{self, User},
};

/// The cookie's name, before its prefix.
pub const COOKIE: &str = "session";
/// The header that a request by cookie which changes something bears.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// How long a session lives, in milliseconds: two weeks.
pub const LIFETIME_MS: i64 = 14 * 24 * 60 * 60 * 1_000;
/// How often its last use is noted, in milliseconds.
const NOTE_USE_MS: i64 = 5 * 60 * 1_000;
/// The longest name of a browser that is kept.
const MAX_AGENT: usize = 200;

/// A session, as a request shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The digest that is kept.
    pub hash: String,
    /// What every change has to bear.
    pub csrf: String,
    /// Who it is.
    pub user: User,
    /// Where they work, and what they may do there; nothing where they are in no account.
    pub account: Option<(String, Role)>,
    /// Unix milliseconds.
    pub expires_at: i64,
    last_used_at: i64,
}

/// A new session: the cookie's value, and the digest to keep.
pub fn mint(random: &[u8; 32], signer: &Signer) -> (String, String) {
    let id = BASE64_URL_SAFE_NO_PAD.encode(random);
    (signer.seal(COOKIE, &id), crate::identity::keys::hash(&id))
}

/// The digest and the CSRF token of the session that a cookie names, where we signed it.
pub fn read(cookie: &str, signer: &Signer) -> Option<(String, String)> {
    let id = signer.open(COOKIE, cookie)?;
    Some((digest(id)?, signer.mac("csrf", id)))
}

/// Keeps a session.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn insert(
    database: &impl Database,
    hash: &str,
    user: &str,
    agent: Option<&str>,
    now: i64,
) -> Result<()> {
    let agent = agent.map(|agent| agent.chars().take(MAX_AGENT).collect::<String>());
    let sql = "INSERT INTO sessions (hash, user, created_at, expires_at, last_used_at, user_agent) VALUES (?1, ?2, ?3, ?4, ?3, ?5)";
    let params = [
        hash.into(),
        user.into(),
        now.into(),
        (now + LIFETIME_MS).into(),
        agent.as_deref().into(),
    ];
    database.query(sql, &params).await?;
    let seen = "UPDATE users SET last_seen_at = ?2 WHERE id = ?1";
    database.query(seen, &[user.into(), now.into()]).await?;
    Ok(())
}

/// The session of this digest, while it lives. `account` asks for another account than the session's.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn find(
    database: &impl Database,
    hash: String,
    csrf: String,
    now: i64,
) -> Result<Option<Session>> {
    // The account that the session names where the person is in it, else the one that they have been in longest.
    let sql = format!(
        "SELECT {}, expires_at, last_used_at, member.account AS account, member.role AS role FROM sessions JOIN users ON users.id = sessions.user LEFT JOIN members AS member ON member.user = sessions.user AND member.account = coalesce((SELECT named.account FROM members AS named WHERE named.user = sessions.user AND named.account = sessions.account), (SELECT first.account FROM members AS first WHERE first.user = sessions.user ORDER BY first.created_at, first.account LIMIT 1)) WHERE hash = ?1 AND expires_at > ?2 AND disabled = 0",
        users::COLUMNS.replace("created_at", "users.created_at AS created_at")
    );
    let rows = database
        .query(&sql, &[hash.as_str().into(), now.into()])
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    let account = text("account").zip(text("role").and_then(Role::parse));
    let session = Session {
        csrf,
        user: User::from_row(row)?,
        account: account.map(|(account, role)| (account.to_owned(), role)),
        expires_at: number("expires_at").ok_or_else(|| broken("sessions"))?,
        last_used_at: number("last_used_at").ok_or_else(|| broken("sessions"))?,
        hash,
    };
    if session.last_used_at + NOTE_USE_MS < now {
        let sql = "UPDATE sessions SET last_used_at = ?2 WHERE hash = ?1";
        database
            .query(sql, &[session.hash.as_str().into(), now.into()])
            .await?;
    }
    Ok(Some(session))
}

/// Ends a session of this person's; whether it was there.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn end(database: &impl Database, user: &str, hash: &str) -> Result<bool> {
    let sql = "DELETE FROM sessions WHERE hash = ?1 AND user = ?2 RETURNING hash";
    Ok(!database
        .query(sql, &[hash.into(), user.into()])
        .await?
        .is_empty())
}

/// Ends whatever session this is.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn forget(database: &impl Database, hash: &str) -> Result<()> {
    database
        .query("DELETE FROM sessions WHERE hash = ?1", &[hash.into()])
        .await?;
    Ok(())
}

/// Ends all sessions of a person.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn end_all(database: &impl Database, user: &str) -> Result<()> {
    database
        .query("DELETE FROM sessions WHERE user = ?1", &[user.into()])
        .await?;
    Ok(())
}

/// The sessions of a person, the newest first: their digests, times and browsers.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn list(database: &impl Database, user: &str, now: i64) -> Result<Vec<Row>> {
    let sql = "SELECT hash AS id, created_at, expires_at, last_used_at, user_agent FROM sessions WHERE user = ?1 AND expires_at > ?2 ORDER BY created_at DESC, hash";
    database.query(sql, &[user.into(), now.into()]).await
}

/// From now on the session works in this account; whether the person is in it.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn switch(database: &impl Database, session: &Session, account: &str) -> Result<bool> {
    let sql = "UPDATE sessions SET account = ?2 WHERE hash = ?1 AND EXISTS (SELECT 1 FROM members WHERE members.account = ?2 AND members.user = sessions.user) RETURNING hash";
    Ok(!database
        .query(sql, &[session.hash.as_str().into(), account.into()])
        .await?
        .is_empty())
}

/// Deletes what has ended: sessions, links, invitations and codes, so many of each at most. Codes stay for a day, so that one
/// that is sent again still ends its key.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn sweep(database: &impl Database, now: i64, limit: i64) -> Result<()> {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    for (sql, before) in [
        (
            "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE expires_at < ?1 LIMIT CAST(?2 AS INTEGER))",
            now,
        ),
        (
            "DELETE FROM login_links WHERE hash IN (SELECT hash FROM login_links WHERE expires_at < ?1 LIMIT CAST(?2 AS INTEGER))",
            now,
        ),
        (
            "DELETE FROM invitations WHERE id IN (SELECT id FROM invitations WHERE expires_at < ?1 LIMIT CAST(?2 AS INTEGER))",
            now - 30 * DAY,
        ),
        (
            "DELETE FROM app_codes WHERE hash IN (SELECT hash FROM app_codes WHERE expires_at < ?1 LIMIT CAST(?2 AS INTEGER))",
            now - DAY,
        ),
    ] {
        database.query(sql, &[before.into(), limit.into()]).await?;
    }
    Ok(())
}
