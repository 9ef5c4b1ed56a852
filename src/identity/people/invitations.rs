//! Invitations into an account: for one person each, for a while, perhaps for one address alone.

use serde_json::Value;

use crate::{
    database::{Database, Row, Transactions},
    error::Result,
    identity::Role,
};

use super::{broken, digest};

/// How long an invitation may be accepted unless it says otherwise, in milliseconds: a week.
pub const LIFETIME_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// The longest that one may say, in milliseconds: 30 days.
pub const MAX_LIFETIME_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// The most that may be open at a time in one account.
pub const MAX_OPEN: i64 = 200;

/// An invitation, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id, which opens nothing.
    pub id: String,
    /// Where to.
    pub account: String,
    /// That account's name.
    pub account_name: String,
    /// Who alone may accept it.
    pub email: Option<String>,
    /// As what.
    pub role: Role,
    /// Who asked, as the audit log names them.
    pub invited_by: String,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub expires_at: i64,
}

impl Invitation {
    fn from_row(row: &Row) -> Result<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let number = |name: &str| row.get(name).and_then(Value::as_i64);
        let invitation = || {
            Some(Self {
                id: text("id")?.to_owned(),
                account: text("account")?.to_owned(),
                account_name: text("account_name")?.to_owned(),
                email: text("email").map(str::to_owned),
                role: Role::parse(text("role")?)?,
                invited_by: text("invited_by")?.to_owned(),
                created_at: number("created_at")?,
                expires_at: number("expires_at")?,
            })
        };
        invitation().ok_or_else(|| broken("invitations"))
    }

    /// Whether a person with this verified address may accept it.
    pub fn is_for(&self, email: Option<&str>) -> bool {
        self.email.is_none() || self.email.as_deref() == email
    }
}

macro_rules! select {
    ($of:literal) => {
        concat!(
            "SELECT invitations.id AS id, account, accounts.name AS account_name, email, role, invited_by, ",
            "invitations.created_at AS created_at, expires_at FROM invitations JOIN accounts ON accounts.id = account ",
            "WHERE accepted_at IS NULL AND ",
            $of
        )
    };
}

/// Keeps an invitation; false where too many are open.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn insert(database: &impl Database, invitation: &Invitation, hash: &str) -> Result<bool> {
    let sql = "INSERT INTO invitations (id, hash, account, email, role, invited_by, created_at, expires_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE (SELECT count(*) FROM invitations WHERE account = ?3 AND accepted_at IS NULL AND expires_at > ?7) < ?9 RETURNING id";
    let params = [
        invitation.id.as_str().into(),
        hash.into(),
        invitation.account.as_str().into(),
        invitation.email.as_deref().into(),
        invitation.role.as_str().into(),
        invitation.invited_by.as_str().into(),
        invitation.created_at.into(),
        invitation.expires_at.into(),
        MAX_OPEN.into(),
    ];
    Ok(!database.query(sql, &params).await?.is_empty())
}

/// The open invitations into an account, the newest first.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn list(database: &impl Database, account: &str, now: i64) -> Result<Vec<Invitation>> {
    let sql = select!(
        "account = ?1 AND expires_at > ?2 ORDER BY invitations.created_at DESC, invitations.id"
    );
    let rows = database.query(sql, &[account.into(), now.into()]).await?;
    rows.iter().map(Invitation::from_row).collect()
}

/// Takes an invitation back; what it was, where it was there.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn revoke(
    database: &impl Database,
    account: &str,
    id: &str,
) -> Result<Option<Option<String>>> {
    let sql = "DELETE FROM invitations WHERE account = ?1 AND id = ?2 AND accepted_at IS NULL RETURNING email";
    let rows = database.query(sql, &[account.into(), id.into()]).await?;
    let email = |row: &Row| row.get("email").and_then(Value::as_str).map(str::to_owned);
    Ok(rows.first().map(email))
}

/// The invitation of this secret, while it can be accepted.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn open(database: &impl Database, secret: &str, now: i64) -> Result<Option<Invitation>> {
    let Some(hash) = digest(secret) else {
        return Ok(None);
    };
    let sql = select!("hash = ?1 AND expires_at > ?2");
    let rows = database
        .query(sql, &[hash.as_str().into(), now.into()])
        .await?;
    rows.first().map(Invitation::from_row).transpose()
}

/// Whether somebody was invited by this verified address.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn is_invited(database: &impl Database, email: &str, now: i64) -> Result<bool> {
    let sql = "SELECT 1 AS found FROM invitations WHERE email = ?1 AND accepted_at IS NULL AND expires_at > ?2 LIMIT 1";
    Ok(!database
        .query(sql, &[email.into(), now.into()])
        .await?
        .is_empty())
}

/// Accepts: of all who try at once with one secret, one person joins. False where it is not open any more, for somebody else,
/// or the person is in the account already.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn accept(
    database: &impl Transactions,
    secret: &str,
    user: &str,
    now: i64,
) -> Result<bool> {
    let Some(hash) = digest(secret) else {
        return Ok(false);
    };
    let hash = hash.as_str();
    let claim = "UPDATE invitations SET accepted_by = ?2, accepted_at = ?3 WHERE hash = ?1 AND accepted_at IS NULL AND expires_at > ?3 AND (email IS NULL OR email = (SELECT users.email FROM users WHERE users.id = ?2)) AND NOT EXISTS (SELECT 1 FROM members WHERE members.account = invitations.account AND members.user = ?2) RETURNING id";
    let join = "INSERT OR IGNORE INTO members (account, user, role, created_at) SELECT account, ?2, role, ?3 FROM invitations WHERE hash = ?1 AND accepted_by = ?2 AND accepted_at = ?3";
    let params = || vec![hash.into(), user.into(), now.into()];
    let rows = database
        .transaction(&[(claim, params()), (join, params())])
        .await?;
    Ok(rows.first().is_some_and(|claimed| !claimed.is_empty()))
}
