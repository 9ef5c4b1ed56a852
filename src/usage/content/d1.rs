//! Records and settings in D1: reading, sealing, keeping, forgetting.

use serde_json::Value;

use super::{Captured, Content, Settings};
use crate::{
    credits::sql::SqlValue,
    database::{Database, Row},
    error::{Error, Result},
    identity::own_keys::seal::{Bound, Keyring},
};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Bytes of a record: sealed and in base64 they stay below what D1 takes in one value.
const MAX_WRITTEN: usize = 700_000;
/// Records forgotten with one statement.
const PURGE_ROWS: i64 = 500;
/// How long a record waits for log destinations where the account itself keeps none.
const AWAITED_MS: i64 = 3 * DAY_MS;
/// Statements of one run.
const MAX_PURGES: usize = 20;

const SELECT_SETTINGS: &str = "
    SELECT io_logging, io_logging_parts, io_logging_keys, io_logging_days FROM account_settings WHERE account = ?1";
const SAVE_SETTINGS: &str = "
    INSERT INTO account_settings (account, io_logging, io_logging_parts, io_logging_keys, io_logging_days, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (account) DO UPDATE SET io_logging = excluded.io_logging, io_logging_parts = excluded.io_logging_parts,
        io_logging_keys = excluded.io_logging_keys, io_logging_days = excluded.io_logging_days, updated_at = excluded.updated_at";
/// Whether a log destination waits for what this key asks and is answered.
const SELECT_AWAITED: &str = "
    SELECT 1 AS awaited FROM destinations WHERE account = ?1 AND enabled = 1 AND wants_content = 1
        AND (api_key_hashes IS NULL OR EXISTS (SELECT 1 FROM json_each(api_key_hashes) WHERE value = ?2)) LIMIT 1";
/// A shorter time holds for what is kept already.
const SHORTEN: &str = "
    UPDATE contents SET expires_at = created_at + ?2 WHERE account = ?1 AND logged = 1 AND expires_at > created_at + ?2";
const INSERT: &str = "
    INSERT INTO contents (account, generation, key_hash, logged, created_at, expires_at, sealed)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
/// An answer out of the response cache is the one that filled it.
const SELECT_LOGGED: &str = "
    SELECT generation, key_hash, sealed FROM contents
    WHERE account = ?1 AND logged = 1 AND expires_at > ?3 AND (
        generation = ?2
        OR generation = (SELECT response_cache_source_id FROM usage WHERE id = ?2 AND account = ?1)
    )
    ORDER BY generation = ?2 DESC LIMIT 1";
const SELECT_SOME: &str = "
    SELECT generation, key_hash, sealed FROM contents
    WHERE account = ?1 AND generation IN (SELECT value FROM json_each(?2))";
const PURGE: &str = "
    DELETE FROM contents WHERE rowid IN (SELECT rowid FROM contents WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
    RETURNING 1 AS gone";

/// What an account wants kept.
///
/// # Errors
/// When D1 fails.
pub async fn settings(database: &impl Database, account: &str) -> Result<Settings> {
    let rows = database.query(SELECT_SETTINGS, &[account.into()]).await?;
    let Some(row) = rows.first() else {
        return Ok(Settings::default());
    };
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    let keys = row.get("io_logging_keys").and_then(Value::as_str);
    let otherwise = Settings::default();
    Ok(Settings {
        is_on: number("io_logging") == Some(1),
        parts: number("io_logging_parts").unwrap_or(otherwise.parts),
        keys: keys.and_then(|keys| crate::json::from_str(keys).ok()),
        days: number("io_logging_days").unwrap_or(otherwise.days),
    })
}

/// Changes what an account wants kept. A shorter time holds for what is kept already.
///
/// # Errors
/// When D1 fails.
pub async fn save_settings(
    database: &impl Database,
    account: &str,
    settings: &Settings,
    now_ms: i64,
) -> Result<()> {
    let keys = settings.keys.as_ref().map(|keys| Value::from(keys.clone()));
    let params = [
        account.into(),
        settings.is_on.into(),
        settings.parts.into(),
        keys.map(|keys| keys.to_string()).as_deref().into(),
        settings.days.into(),
        now_ms.into(),
    ];
    database.query(SAVE_SETTINGS, &params).await?;
    let lifetime = settings.days.saturating_mul(DAY_MS);
    let params = [account.into(), lifetime.into()];
    database.query(SHORTEN, &params).await?;
    Ok(())
}

/// Keeps a record where the account or one of its log destinations wants it. `random` must be fresh.
///
/// # Errors
/// When D1 fails.
pub async fn keep(
    database: &impl Database,
    ring: &Keyring,
    random: &[u8; 32],
    (account, key_hash): (&str, &str),
    captured: &Captured,
    now_ms: i64,
) -> Result<()> {
    let settings = settings(database, account).await?;
    let is_logged = settings.want(key_hash, captured);
    let lifetime = if is_logged {
        settings.days.saturating_mul(DAY_MS)
    } else {
        let params = [account.into(), key_hash.into()];
        if database.query(SELECT_AWAITED, &params).await?.is_empty() {
            return Ok(());
        }
        AWAITED_MS
    };
    let text = written(&captured.content)?;
    let sealed = ring
        .seal_bound(random, &bound(account, &captured.id), &text)
        .map_err(|error| Error::internal(format!("a record could not be sealed: {error}")))?;
    let params: [SqlValue; 7] = [
        account.into(),
        captured.id.as_str().into(),
        key_hash.into(),
        is_logged.into(),
        now_ms.into(),
        now_ms.saturating_add(lifetime).into(),
        sealed.as_str().into(),
    ];
    database.query(INSERT, &params).await?;
    Ok(())
}

/// A record as text that fits a value of D1: control characters take six bytes, and the caps count text.
fn written(content: &Content) -> Result<String> {
    let failed = |error| Error::internal(format!("a record of content: {error}"));
    let text = serde_json::to_string(content).map_err(failed)?;
    if text.len() <= MAX_WRITTEN {
        return Ok(text);
    }
    let mut cut = content.clone();
    let is_input = cut.input.to_string().len() > cut.output.to_string().len();
    let (side, mark) = if is_input {
        (&mut cut.input, &mut cut.input_truncated)
    } else {
        (&mut cut.output, &mut cut.output_truncated)
    };
    (*side, *mark) = (Value::Null, true);
    written(&cut)
}

/// A record out of D1.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The generation's id.
    pub generation: String,
    /// The key that sent the request: SHA-256 of its secret, in hex.
    pub key_hash: String,
    /// The record.
    pub content: Content,
}

/// The record of a generation that the account keeps, if there is one.
///
/// # Errors
/// When D1 fails, or the record does not open.
pub async fn read(
    database: &impl Database,
    ring: &Keyring,
    account: &str,
    generation: &str,
    now_ms: i64,
) -> Result<Option<Kept>> {
    let params = [account.into(), generation.into(), now_ms.into()];
    let rows = database.query(SELECT_LOGGED, &params).await?;
    rows.first().map(|row| open(ring, account, row)).transpose()
}

/// The records of these generations, kept for whomever. Some may not be there, or not open any more.
///
/// # Errors
/// When D1 fails.
pub async fn read_some(
    database: &impl Database,
    ring: &Keyring,
    account: &str,
    generations: &[&str],
) -> Result<Vec<Kept>> {
    let ids = Value::from(generations.to_vec()).to_string();
    let params = [account.into(), ids.as_str().into()];
    let rows = database.query(SELECT_SOME, &params).await?;
    let opened = rows.iter().filter_map(|row| open(ring, account, row).ok());
    Ok(opened.collect())
}

fn open(ring: &Keyring, account: &str, row: &Row) -> Result<Kept> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let generation = text("generation");
    let opened = ring
        .open_bound(&bound(account, generation), text("sealed"))
        .map_err(|error| Error::internal(format!("the record of {generation}: {error}")))?;
    let content = crate::json::from_str(&opened)
        .map_err(|error| Error::internal(format!("the record of {generation}: {error}")))?;
    Ok(Kept {
        generation: generation.to_owned(),
        key_hash: text("key_hash").to_owned(),
        content,
    })
}

/// What a record is sealed for.
pub(crate) fn bound<'a>(account: &'a str, generation: &'a str) -> Bound<'a> {
    Bound {
        kind: "patchbay content 1",
        parts: [account, generation, ""],
    }
}

/// Forgets records whose time is over, in bounded steps. How many.
///
/// # Errors
/// When D1 fails: the next run goes on.
pub async fn purge(database: &impl Database, now_ms: i64) -> Result<usize> {
    let mut gone = 0;
    for _ in 0..MAX_PURGES {
        let params = [SqlValue::Int(now_ms), SqlValue::Int(PURGE_ROWS)];
        let rows = database.query(PURGE, &params).await?.len();
        gone += rows;
        if (rows as i64) < PURGE_ROWS {
            break;
        }
    }
    Ok(gone)
}
