//! One-time links by which the operator lets somebody in: 256 random bits, kept as their SHA-256, for a quarter of an hour.

use serde_json::Value;

use crate::{database::Database, error::Result};

use super::digest;

/// How long a link may be used, in milliseconds.
pub const LIFETIME_MS: i64 = 15 * 60 * 1_000;

/// Keeps a link.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn insert(database: &impl Database, hash: &str, user: &str, now: i64) -> Result<()> {
    let sql =
        "INSERT INTO login_links (hash, user, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)";
    let params = [
        hash.into(),
        user.into(),
        now.into(),
        (now + LIFETIME_MS).into(),
    ];
    database.query(sql, &params).await?;
    Ok(())
}

/// Whom a link would let in: their id and the words they are known by. Looking does not use it up: programs open links in
/// e-mails before people do.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn look(
    database: &impl Database,
    secret: &str,
    now: i64,
) -> Result<Option<(String, String)>> {
    let Some(hash) = digest(secret) else {
        return Ok(None);
    };
    let sql = "SELECT users.id AS id, coalesce(users.email, nullif(users.name, ''), users.id) AS words FROM login_links JOIN users ON users.id = login_links.user WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 AND users.disabled = 0";
    let rows = database
        .query(sql, &[hash.as_str().into(), now.into()])
        .await?;
    Ok(rows.first().and_then(|row| {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((text("id")?, text("words")?))
    }))
}

/// Uses a link up: whom it lets in, once.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn redeem(database: &impl Database, secret: &str, now: i64) -> Result<Option<String>> {
    let Some(hash) = digest(secret) else {
        return Ok(None);
    };
    let sql = "UPDATE login_links SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 AND EXISTS (SELECT 1 FROM users WHERE users.id = login_links.user AND users.disabled = 0) RETURNING user";
    let rows = database
        .query(sql, &[hash.as_str().into(), now.into()])
        .await?;
    Ok(rows
        .first()
        .and_then(|row| row.get("user")?.as_str().map(str::to_owned)))
}
