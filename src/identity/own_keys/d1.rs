//! The `byok_keys` table of D1: its statements, and rows as records.
//!
//! Each statement names the account, so that no id of another account's reaches anything.

use serde_json::Value;

use super::OwnKeyRecord;
use crate::{
    credits::sql::SqlValue,
    database::{Database, Row},
    error::{Error, Result},
};

macro_rules! columns {
    () => {
        "id, provider, name, label, sealed, disabled, is_fallback, is_required, allowed_models, \
         allowed_api_key_hashes, sort_order, created_at, updated_at"
    };
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM byok_keys WHERE account = ?1 ORDER BY sort_order, created_at, id"
);
const GET: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM byok_keys WHERE account = ?1 AND id = ?2"
);
const INSERT: &str = concat!(
    "INSERT INTO byok_keys (account, ",
    columns!(),
    ", master) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
);
const UPDATE: &str = "UPDATE byok_keys SET provider = ?3, name = ?4, label = ?5, sealed = ?6, disabled = ?7, is_fallback = ?8, \
     is_required = ?9, allowed_models = ?10, allowed_api_key_hashes = ?11, sort_order = ?12, created_at = ?13, \
     updated_at = ?14, master = ?15 WHERE account = ?1 AND id = ?2";
const DELETE: &str = "DELETE FROM byok_keys WHERE account = ?1 AND id = ?2";
/// Those sealed under another master key, after an id.
const STALE: &str = "SELECT account, id, provider, sealed FROM byok_keys WHERE master <> ?1 AND id > ?2 ORDER BY id LIMIT ?3";
const COUNT_STALE: &str = "SELECT count(*) AS left FROM byok_keys WHERE master <> ?1";
/// Only rows that nobody changed meanwhile.
const RESEAL: &str = "UPDATE byok_keys SET sealed = item.value ->> '$.new', master = ?2 \
     FROM json_each(?1) AS item WHERE byok_keys.id = item.value ->> '$.id' AND byok_keys.sealed = item.value ->> '$.old'";

/// An account's keys in its order.
///
/// # Errors
/// When D1 fails or its rows are not of the schema.
pub async fn list(database: &impl Database, account: &str) -> Result<Vec<OwnKeyRecord>> {
    let rows = database.query(LIST, &[account.into()]).await?;
    rows.iter().map(record).collect()
}

/// One key of an account.
///
/// # Errors
/// As [`list`].
pub async fn get(
    database: &impl Database,
    account: &str,
    id: &str,
) -> Result<Option<OwnKeyRecord>> {
    let rows = database.query(GET, &[account.into(), id.into()]).await?;
    rows.first().map(record).transpose()
}

/// Keeps a new key, sealed under `master`.
///
/// # Errors
/// When D1 fails.
pub async fn insert(
    database: &impl Database,
    account: &str,
    record: &OwnKeyRecord,
    master: &str,
) -> Result<()> {
    let params = params(account, record, master)?;
    database.query(INSERT, &params).await.map(drop)
}

/// Replaces a key's row.
///
/// # Errors
/// When D1 fails.
pub async fn update(database: &impl Database, account: &str, record: &OwnKeyRecord) -> Result<()> {
    let master = record.sealed.split('.').next().unwrap_or_default();
    let params = params(account, record, master)?;
    database.query(UPDATE, &params).await.map(drop)
}

/// Deletes a key, sealed secret and all.
///
/// # Errors
/// When D1 fails.
pub async fn delete(database: &impl Database, account: &str, id: &str) -> Result<()> {
    let params = [account.into(), id.into()];
    database.query(DELETE, &params).await.map(drop)
}

/// A row sealed under another master key than the one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The account.
    pub account: String,
    /// The key's id.
    pub id: String,
    /// The provider's slug.
    pub provider: String,
    /// The sealed secret.
    pub sealed: String,
}

/// At most `limit` rows not sealed under `master`, those after the id `after`.
///
/// # Errors
/// As [`list`].
pub async fn stale(
    database: &impl Database,
    master: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Stale>> {
    let params = [master.into(), after.into(), limit.into()];
    let rows = database.query(STALE, &params).await?;
    let read = |row: &Row| {
        Some(Stale {
            account: text(row, "account")?,
            id: text(row, "id")?,
            provider: text(row, "provider")?,
            sealed: text(row, "sealed")?,
        })
    };
    rows.iter()
        .map(|row| read(row).ok_or_else(unexpected))
        .collect()
}

/// How many rows are not sealed under `master`.
///
/// # Errors
/// When D1 fails.
pub async fn count_stale(database: &impl Database, master: &str) -> Result<i64> {
    let rows = database.query(COUNT_STALE, &[master.into()]).await?;
    let left = rows.first().and_then(|row| row.get("left")?.as_i64());
    left.ok_or_else(unexpected)
}

/// Replaces sealed secrets by what they are under `master`: each row with its new text.
///
/// # Errors
/// When D1 fails.
pub async fn reseal(
    database: &impl Database,
    master: &str,
    rows: &[(Stale, String)],
) -> Result<()> {
    let items = rows
        .iter()
        .map(|(row, new)| serde_json::json!({"id": row.id, "old": row.sealed, "new": new}));
    let items = Value::Array(items.collect()).to_string();
    let params = [items.as_str().into(), master.into()];
    database.query(RESEAL, &params).await.map(drop)
}

fn params(account: &str, record: &OwnKeyRecord, master: &str) -> Result<[SqlValue; 15]> {
    let list = |list: &Option<Vec<String>>| {
        let text = list.as_ref().map(serde_json::to_string).transpose();
        text.map_err(|error| Error::internal(error.to_string()))
    };
    Ok([
        account.into(),
        record.id.as_str().into(),
        record.provider.as_str().into(),
        record.name.as_deref().into(),
        record.label.as_str().into(),
        record.sealed.as_str().into(),
        record.disabled.into(),
        record.is_fallback.into(),
        record.is_required.into(),
        list(&record.allowed_models)?.as_deref().into(),
        list(&record.allowed_api_key_hashes)?.as_deref().into(),
        record.sort_order.into(),
        record.created_at.into(),
        record.updated_at.into(),
        master.into(),
    ])
}

fn record(row: &Row) -> Result<OwnKeyRecord> {
    let list = |name: &str| match row.get(name)? {
        Value::Null => Some(None),
        Value::String(text) => serde_json::from_str(text).ok().map(Some),
        _ => None,
    };
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    let read = || {
        Some(OwnKeyRecord {
            id: text(row, "id")?,
            provider: text(row, "provider")?,
            name: text(row, "name"),
            label: text(row, "label")?,
            sealed: text(row, "sealed")?,
            disabled: number("disabled")? != 0,
            is_fallback: number("is_fallback")? != 0,
            is_required: number("is_required")? != 0,
            allowed_models: list("allowed_models")?,
            allowed_api_key_hashes: list("allowed_api_key_hashes")?,
            sort_order: number("sort_order")?,
            created_at: number("created_at")?,
            updated_at: number("updated_at"),
        })
    };
    read().ok_or_else(unexpected)
}

fn text(row: &Row, name: &str) -> Option<String> {
    Some(row.get(name)?.as_str()?.to_owned())
}

fn unexpected() -> Error {
    Error::internal("a row of byok_keys does not have the columns of the schema")
}
