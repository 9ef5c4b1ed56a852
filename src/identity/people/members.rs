//! Members of accounts: statements over the tables `users` and `members`.
//!
//! An account keeps an owner: the statements that take one away count those who stay, in the same statement.

use serde_json::Value;

use crate::{
    database::{Database, Row},
    error::Result,
    identity::Role,
};

use super::broken;

/// A person in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Their id.
    pub user: String,
    /// Verified.
    pub email: Option<String>,
    /// May be empty.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Since when, unix milliseconds.
    pub created_at: i64,
}

impl Member {
    fn from_row(row: &Row) -> Result<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let member = || {
            Some(Self {
                user: text("user")?.to_owned(),
                email: text("email").map(str::to_owned),
                name: text("name")?.to_owned(),
                role: Role::parse(text("role")?)?,
                created_at: row.get("created_at")?.as_i64()?,
            })
        };
        member().ok_or_else(|| broken("members"))
    }
}

/// An account that a person is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The account.
    pub account: String,
    /// Its name.
    pub name: String,
    /// What they may do there.
    pub role: Role,
    /// Since when, unix milliseconds.
    pub created_at: i64,
}

const OTHER_OWNERS: &str = "(SELECT count(*) FROM members AS others WHERE others.account = ?1 AND others.role = 'owner') > 1";

/// The role of a person in an account; nothing where they are no member of it.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn role(database: &impl Database, account: &str, user: &str) -> Result<Option<Role>> {
    let sql = "SELECT role FROM members WHERE account = ?1 AND user = ?2";
    let rows = database.query(sql, &[account.into(), user.into()]).await?;
    let word = rows
        .first()
        .and_then(|row| row.get("role"))
        .and_then(Value::as_str);
    Ok(word.and_then(Role::parse))
}

/// The members of an account, the oldest first, and how many there are.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn list(
    database: &impl Database,
    account: &str,
    offset: i64,
    limit: i64,
) -> Result<(Vec<Member>, i64)> {
    let sql = "SELECT user, email, name, role, members.created_at AS created_at, count(*) OVER () AS total FROM members JOIN users ON users.id = members.user WHERE account = ?1 ORDER BY members.created_at, user LIMIT CAST(?3 AS INTEGER) OFFSET CAST(?2 AS INTEGER)";
    let rows = database
        .query(sql, &[account.into(), offset.into(), limit.into()])
        .await?;
    let members = rows
        .iter()
        .map(Member::from_row)
        .collect::<Result<Vec<_>>>()?;
    // Behind the end no row tells the number.
    let total = match rows.first().and_then(|row| row.get("total")?.as_i64()) {
        Some(total) => total,
        None if offset == 0 => 0,
        None => count(database, account).await?,
    };
    Ok((members, total))
}

async fn count(database: &impl Database, account: &str) -> Result<i64> {
    let sql = "SELECT count(*) AS total FROM members WHERE account = ?1";
    let rows = database.query(sql, &[account.into()]).await?;
    Ok(rows
        .first()
        .and_then(|row| row.get("total")?.as_i64())
        .unwrap_or(0))
}

/// One member of an account.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn one(database: &impl Database, account: &str, user: &str) -> Result<Option<Member>> {
    let sql = "SELECT user, email, name, role, members.created_at AS created_at FROM members JOIN users ON users.id = members.user WHERE account = ?1 AND user = ?2";
    let rows = database.query(sql, &[account.into(), user.into()]).await?;
    rows.first().map(Member::from_row).transpose()
}

/// The accounts that a person is in, the oldest membership first.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn accounts(database: &impl Database, user: &str) -> Result<Vec<Membership>> {
    let sql = "SELECT account, accounts.name AS name, role, members.created_at AS created_at FROM members JOIN accounts ON accounts.id = members.account WHERE user = ?1 ORDER BY members.created_at, account";
    let rows = database.query(sql, &[user.into()]).await?;
    let membership = |row: &Row| {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let read = || {
            Some(Membership {
                account: text("account")?.to_owned(),
                name: text("name")?.to_owned(),
                role: Role::parse(text("role")?)?,
                created_at: row.get("created_at")?.as_i64()?,
            })
        };
        read().ok_or_else(|| broken("members"))
    };
    rows.iter().map(membership).collect()
}

/// Puts a person into an account. Whoever is in it already keeps their role.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn add(
    database: &impl Database,
    account: &str,
    user: &str,
    role: Role,
    now: i64,
) -> Result<bool> {
    let sql = "INSERT OR IGNORE INTO members (account, user, role, created_at) VALUES (?1, ?2, ?3, ?4) RETURNING user";
    let params = [
        account.into(),
        user.into(),
        role.as_str().into(),
        now.into(),
    ];
    Ok(!database.query(sql, &params).await?.is_empty())
}

/// Gives a member another role; false where they are no member, or the last owner.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn change_role(
    database: &impl Database,
    account: &str,
    user: &str,
    role: Role,
) -> Result<bool> {
    let sql = format!(
        "UPDATE members SET role = ?3 WHERE account = ?1 AND user = ?2 AND (role <> 'owner' OR ?3 = 'owner' OR {OTHER_OWNERS}) RETURNING user"
    );
    let params = [account.into(), user.into(), role.as_str().into()];
    Ok(!database.query(&sql, &params).await?.is_empty())
}

/// Takes a person out of an account; false where they are no member, or the last owner. From here on no key can be made for
/// them there.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn remove(database: &impl Database, account: &str, user: &str) -> Result<bool> {
    let sql = format!(
        "DELETE FROM members WHERE account = ?1 AND user = ?2 AND (role <> 'owner' OR {OTHER_OWNERS}) RETURNING user"
    );
    Ok(!database
        .query(&sql, &[account.into(), user.into()])
        .await?
        .is_empty())
}

/// A key whose owner left: account, hash, and whether it is a management key.
pub type LeftKey = (String, String, bool);

/// Keys that are still there of people who are no members any more: of one person, or of anybody.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn left_keys(
    database: &impl Database,
    of: Option<(&str, &str)>,
    limit: i64,
) -> Result<Vec<LeftKey>> {
    let sql = "SELECT account, hash, management FROM api_keys WHERE member IS NOT NULL AND deleted = 0 AND (?1 IS NULL OR (account = ?1 AND member = ?2)) AND NOT EXISTS (SELECT 1 FROM members WHERE members.account = api_keys.account AND members.user = api_keys.member) LIMIT CAST(?3 AS INTEGER)";
    let (account, user) = of.unzip();
    let rows = database
        .query(sql, &[account.into(), user.into(), limit.into()])
        .await?;
    let key = |row: &Row| {
        let text = |name: &str| row.get(name)?.as_str().map(str::to_owned);
        Some((
            text("account")?,
            text("hash")?,
            row.get("management")?.as_i64()? != 0,
        ))
    };
    rows.iter()
        .map(|row| key(row).ok_or_else(|| broken("api_keys")))
        .collect()
}
