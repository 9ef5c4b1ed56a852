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
        Value::String(text) => crate::json::from_str(text).ok().map(Some),
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
