//! The tables `guardrails`, `guardrail_keys` and `guardrail_members` of D1.
//!
//! Each statement names the account, so that no id of another account's reaches anything.

use serde_json::Value;

use super::{Applied, Policy, Settings};
use crate::{
    credits::sql::SqlValue,
    database::{Database, Row, Transactions},
    error::{Error, Result},
};

/// As a column of a select over `api_keys`: the guardrails that hold for the key, as a JSON list of [`Applied`].
macro_rules! of_key {
    () => {
        "(SELECT json_group_array(json_object('id', g.id, 'name', g.name, 'scope', CASE \
         WHEN g.kind <> 'plain' THEN g.kind \
         WHEN EXISTS (SELECT 1 FROM guardrail_keys AS k WHERE k.key_hash = api_keys.hash AND k.guardrail = g.id) THEN 'api_key' \
         ELSE 'member' END, 'settings', json(g.settings))) FROM guardrails AS g WHERE g.account = api_keys.account \
         AND (g.kind <> 'plain' \
         OR g.id IN (SELECT guardrail FROM guardrail_keys AS k WHERE k.key_hash = api_keys.hash) \
         OR g.id IN (SELECT guardrail FROM guardrail_members AS m WHERE m.account = api_keys.account AND m.user = api_keys.member)))"
    };
}
pub(crate) use of_key;

/// The policy in the column of [`of_key`]; nothing where no guardrail holds.
///
/// # Errors
/// Where a guardrail is not of the schema: a request must not go on without it.
pub fn policy(column: Option<&Value>) -> Result<Option<Policy>> {
    let text = column.and_then(Value::as_str).unwrap_or("[]");
    let applied: Vec<Applied> = crate::json::from_str(text)
        .map_err(|error| Error::internal(format!("a key's guardrails in D1: {error}")))?;
    Ok((!applied.is_empty()).then(|| Policy::of(applied)))
}

/// What a guardrail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For those it is assigned to.
    Plain,
    /// For all requests of the account.
    Default,
    /// The account's privacy settings.
    Privacy,
}

impl Kind {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Default => "default",
            Self::Privacy => "privacy",
        }
    }
}

/// A row of `guardrails`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id, a UUID.
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// Its owner's name for it.
    pub name: String,
    /// What it is for, in words.
    pub description: Option<String>,
    /// What it says.
    pub settings: Settings,
    /// When it was made, unix milliseconds.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: Option<i64>,
}

macro_rules! columns {
    () => {
        "id, kind, name, description, settings, created_at, updated_at"
    };
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM guardrails WHERE account = ?1 AND kind <> 'privacy' ORDER BY created_at, id LIMIT ?2 OFFSET ?3"
);
const COUNT: &str =
    "SELECT count(*) AS total FROM guardrails WHERE account = ?1 AND kind <> 'privacy'";
const GET: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM guardrails WHERE account = ?1 AND id = ?2 AND kind <> 'privacy'"
);
const OF_ACCOUNT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM guardrails WHERE account = ?1 AND kind = ?2"
);
const PUT: &str = concat!(
    "INSERT INTO guardrails (account, ",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
     description = excluded.description, settings = excluded.settings, updated_at = excluded.updated_at \
     WHERE guardrails.account = excluded.account"
);

/// A page of an account's guardrails, the oldest first, and how many there are.
///
/// # Errors
/// When D1 fails or its rows are not of the schema.
pub async fn list(
    database: &impl Database,
    account: &str,
    (offset, limit): (i64, i64),
) -> Result<(Vec<Record>, i64)> {
    let params = [account.into(), limit.into(), offset.into()];
    let rows = database.query(LIST, &params).await?;
    let records = rows.iter().map(record).collect::<Result<_>>()?;
    Ok((records, count(database, COUNT, &[account.into()]).await?))
}

/// One guardrail of an account.
///
/// # Errors
/// As [`list`].
pub async fn get(database: &impl Database, account: &str, id: &str) -> Result<Option<Record>> {
    let rows = database.query(GET, &[account.into(), id.into()]).await?;
    rows.first().map(record).transpose()
}

/// An account's default guardrail or its privacy settings.
///
/// # Errors
/// As [`list`].
pub async fn of_account(
    database: &impl Database,
    account: &str,
    kind: Kind,
) -> Result<Option<Record>> {
    let params = [account.into(), kind.as_str().into()];
    let rows = database.query(OF_ACCOUNT, &params).await?;
    rows.first().map(record).transpose()
}

/// Keeps a guardrail: a new one, or one that is changed.
///
/// # Errors
/// When D1 fails.
pub async fn put(database: &impl Database, account: &str, record: &Record) -> Result<()> {
    let settings = serde_json::to_string(&record.settings);
    let settings = settings.map_err(|error| Error::internal(error.to_string()))?;
    let params: [SqlValue; 8] = [
        account.into(),
        record.id.as_str().into(),
        record.kind.as_str().into(),
        record.name.as_str().into(),
        record.description.as_deref().into(),
        settings.as_str().into(),
        record.created_at.into(),
        record.updated_at.into(),
    ];
    database.query(PUT, &params).await.map(drop)
}

/// Deletes a guardrail with its assignments.
///
/// # Errors
/// When D1 fails.
pub async fn delete(database: &impl Transactions, account: &str, id: &str) -> Result<()> {
    let of = || vec![account.into(), id.into()];
    let statements = [
        (
            "DELETE FROM guardrail_keys WHERE account = ?1 AND guardrail = ?2",
            of(),
        ),
        (
            "DELETE FROM guardrail_members WHERE account = ?1 AND guardrail = ?2",
            of(),
        ),
        (
            "DELETE FROM guardrails WHERE account = ?1 AND id = ?2",
            of(),
        ),
    ];
    database.transaction(&statements).await.map(drop)
}

/// Whom guardrails are assigned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// API keys, by their hashes.
    Keys,
    /// Members, by their user ids.
    Members,
}

/// Those of a list that are not the account's, in its order.
///
/// # Errors
/// When D1 fails.
pub async fn strangers(
    database: &impl Database,
    account: &str,
    whom: Whom,
    ids: &[String],
) -> Result<Vec<String>> {
    let sql = match whom {
        Whom::Keys => {
            "SELECT value FROM json_each(?2) WHERE NOT EXISTS (SELECT 1 FROM api_keys WHERE hash = value AND account = ?1 AND deleted = 0 AND management = 0)"
        }
        Whom::Members => {
            "SELECT value FROM json_each(?2) WHERE NOT EXISTS (SELECT 1 FROM members WHERE user = value AND account = ?1)"
        }
    };
    let rows = database.query(sql, &[account.into(), listed(ids)]).await?;
    Ok(rows.iter().filter_map(|row| text(row, "value")).collect())
}

/// Assigns a guardrail to all of these, in place of another that they may have. `new_ids` has an id for each assignment.
///
/// # Errors
/// When D1 fails.
pub async fn assign(
    database: &impl Database,
    whom: Whom,
    assignment: &Assignment<'_>,
) -> Result<()> {
    let sql = match whom {
        Whom::Keys => {
            "INSERT INTO guardrail_keys (key_hash, account, guardrail, id, assigned_by, created_at) \
             SELECT value, ?1, ?2, ?4 || '-' || key, ?5, ?6 FROM json_each(?3) WHERE true \
             ON CONFLICT (key_hash) DO UPDATE SET guardrail = excluded.guardrail, id = excluded.id, assigned_by = excluded.assigned_by, \
             created_at = excluded.created_at WHERE guardrail_keys.guardrail <> excluded.guardrail"
        }
        Whom::Members => {
            "INSERT INTO guardrail_members (user, account, guardrail, id, assigned_by, created_at) \
             SELECT value, ?1, ?2, ?4 || '-' || key, ?5, ?6 FROM json_each(?3) WHERE true \
             ON CONFLICT (account, user) DO UPDATE SET guardrail = excluded.guardrail, id = excluded.id, assigned_by = excluded.assigned_by, \
             created_at = excluded.created_at WHERE guardrail_members.guardrail <> excluded.guardrail"
        }
    };
    let params = [
        assignment.account.into(),
        assignment.guardrail.into(),
        listed(assignment.ids),
        assignment.id.into(),
        assignment.by.into(),
        assignment.at.into(),
    ];
    database.query(sql, &params).await.map(drop)
}

/// An assignment of one guardrail to several.
#[derive(Debug, Clone, Copy)]
pub struct Assignment<'a> {
    /// The account.
    pub account: &'a str,
    /// The guardrail.
    pub guardrail: &'a str,
    /// Whom.
    pub ids: &'a [String],
    /// How its own ids begin.
    pub id: &'a str,
    /// Who assigns.
    pub by: &'a str,
    /// When, unix milliseconds.
    pub at: i64,
}

/// Takes a guardrail from these: how many had it.
///
/// # Errors
/// When D1 fails.
pub async fn unassign(
    database: &impl Database,
    account: &str,
    guardrail: &str,
    (whom, ids): (Whom, &[String]),
) -> Result<usize> {
    let sql = match whom {
        Whom::Keys => {
            "DELETE FROM guardrail_keys WHERE account = ?1 AND guardrail = ?2 AND key_hash IN (SELECT value FROM json_each(?3)) RETURNING id"
        }
        Whom::Members => {
            "DELETE FROM guardrail_members WHERE account = ?1 AND guardrail = ?2 AND user IN (SELECT value FROM json_each(?3)) RETURNING id"
        }
    };
    let params = [account.into(), guardrail.into(), listed(ids)];
    Ok(database.query(sql, &params).await?.len())
}

/// A page of assignments, the oldest first, and how many there are: of one guardrail, or of all.
///
/// # Errors
/// When D1 fails.
pub async fn assignments(
    database: &impl Database,
    account: &str,
    guardrail: Option<&str>,
    whom: Whom,
    (offset, limit): (i64, i64),
) -> Result<(Vec<Row>, i64)> {
    let (list, total) = match whom {
        Whom::Keys => (
            "SELECT g.id, g.key_hash, g.guardrail, g.assigned_by, g.created_at, k.name AS key_name, k.label AS key_label \
             FROM guardrail_keys AS g JOIN api_keys AS k ON k.hash = g.key_hash AND k.deleted = 0 \
             WHERE g.account = ?1 AND (?2 IS NULL OR g.guardrail = ?2) ORDER BY g.created_at, g.key_hash LIMIT ?3 OFFSET ?4",
            "SELECT count(*) AS total FROM guardrail_keys AS g JOIN api_keys AS k ON k.hash = g.key_hash AND k.deleted = 0 \
             WHERE g.account = ?1 AND (?2 IS NULL OR g.guardrail = ?2)",
        ),
        Whom::Members => (
            "SELECT g.id, g.user, g.guardrail, g.assigned_by, g.created_at FROM guardrail_members AS g \
             JOIN members AS m ON m.account = g.account AND m.user = g.user \
             WHERE g.account = ?1 AND (?2 IS NULL OR g.guardrail = ?2) ORDER BY g.created_at, g.user LIMIT ?3 OFFSET ?4",
            "SELECT count(*) AS total FROM guardrail_members AS g JOIN members AS m ON m.account = g.account AND m.user = g.user \
             WHERE g.account = ?1 AND (?2 IS NULL OR g.guardrail = ?2)",
        ),
    };
    let of = [account.into(), guardrail.into()];
    let params = [
        account.into(),
        guardrail.into(),
        limit.into(),
        offset.into(),
    ];
    let rows = database.query(list, &params).await?;
    Ok((rows, count(database, total, &of).await?))
}

/// The keys and the members that a guardrail is assigned to, `most` of each.
///
/// # Errors
/// When D1 fails.
pub async fn holders(
    database: &impl Transactions,
    account: &str,
    guardrail: &str,
    most: usize,
) -> Result<(Vec<String>, Vec<String>)> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let of = || vec![account.into(), guardrail.into(), most.into()];
    let statements = [
        (
            "SELECT key_hash AS id FROM guardrail_keys WHERE account = ?1 AND guardrail = ?2 ORDER BY key_hash LIMIT ?3",
            of(),
        ),
        (
            "SELECT user AS id FROM guardrail_members WHERE account = ?1 AND guardrail = ?2 ORDER BY user LIMIT ?3",
            of(),
        ),
    ];
    let found = database.transaction(&statements).await?;
    let mut found = found
        .iter()
        .map(|rows| rows.iter().filter_map(|row| text(row, "id")).collect());
    Ok((
        found.next().unwrap_or_default(),
        found.next().unwrap_or_default(),
    ))
}

/// The guardrails that these keys or members have.
///
/// # Errors
/// When D1 fails or its rows are not of the schema.
pub async fn held_by(
    database: &impl Database,
    account: &str,
    whom: Whom,
    ids: &[String],
) -> Result<Vec<Record>> {
    let sql = match whom {
        Whom::Keys => concat!(
            "SELECT ",
            columns!(),
            " FROM guardrails WHERE account = ?1 AND id IN (SELECT guardrail FROM guardrail_keys WHERE key_hash IN (SELECT value FROM json_each(?2)))"
        ),
        Whom::Members => concat!(
            "SELECT ",
            columns!(),
            " FROM guardrails WHERE account = ?1 AND id IN (SELECT guardrail FROM guardrail_members WHERE account = ?1 AND user IN (SELECT value FROM json_each(?2)))"
        ),
    };
    let rows = database.query(sql, &[account.into(), listed(ids)]).await?;
    rows.iter().map(record).collect()
}

/// The keys whose policy a guardrail is part of.
///
/// # Errors
/// When D1 fails.
pub async fn keys_under(
    database: &impl Database,
    account: &str,
    record: &Record,
) -> Result<Vec<String>> {
    let sql = "SELECT hash FROM api_keys WHERE account = ?1 AND deleted = 0 AND (?3 <> 'plain' \
         OR hash IN (SELECT key_hash FROM guardrail_keys WHERE account = ?1 AND guardrail = ?2) \
         OR member IN (SELECT user FROM guardrail_members WHERE account = ?1 AND guardrail = ?2))";
    let params = [
        account.into(),
        record.id.as_str().into(),
        record.kind.as_str().into(),
    ];
    let rows = database.query(sql, &params).await?;
    Ok(rows.iter().filter_map(|row| text(row, "hash")).collect())
}

/// The keys of these members, or these keys themselves.
///
/// # Errors
/// When D1 fails.
pub async fn keys_of(
    database: &impl Database,
    account: &str,
    whom: Whom,
    ids: &[String],
) -> Result<Vec<String>> {
    if whom == Whom::Keys {
        return Ok(ids.to_vec());
    }
    let sql = "SELECT hash FROM api_keys WHERE account = ?1 AND deleted = 0 AND member IN (SELECT value FROM json_each(?2))";
    let rows = database.query(sql, &[account.into(), listed(ids)]).await?;
    Ok(rows.iter().filter_map(|row| text(row, "hash")).collect())
}

async fn count(database: &impl Database, sql: &str, params: &[SqlValue]) -> Result<i64> {
    let rows = database.query(sql, params).await?;
    let total = rows.first().and_then(|row| row.get("total")?.as_i64());
    total.ok_or_else(unexpected)
}

fn listed(ids: &[String]) -> SqlValue {
    Value::from(ids).to_string().as_str().into()
}

fn record(row: &Row) -> Result<Record> {
    let read = || {
        Some(Record {
            id: text(row, "id")?,
            kind: [Kind::Plain, Kind::Default, Kind::Privacy]
                .into_iter()
                .find(|kind| row.get("kind").and_then(Value::as_str) == Some(kind.as_str()))?,
            name: text(row, "name")?,
            description: text(row, "description"),
            settings: crate::json::from_str(row.get("settings")?.as_str()?).ok()?,
            created_at: row.get("created_at")?.as_i64()?,
            updated_at: row.get("updated_at").and_then(Value::as_i64),
        })
    };
    read().ok_or_else(unexpected)
}

fn text(row: &Row, name: &str) -> Option<String> {
    Some(row.get(name)?.as_str()?.to_owned())
}

fn unexpected() -> Error {
    Error::internal("a row of guardrails does not have the columns of the schema")
}
