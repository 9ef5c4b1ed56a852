//! The `tool_sources` table of D1: its statements, and rows as records.
//!
//! Each statement names the account, or that there is none: no id of another account's reaches anything. What runs stands in a column
//! of its own, so that requests read nothing else.

use std::rc::Rc;

use serde_json::Value;

use super::{Told, review, settings::Settings};
use crate::{
    credits::sql::SqlValue,
    database::{Database, Row},
    error::{Error, Result},
    identity::own_keys::seal::Binding,
    tools::catalog::{Source as Kind, ToolProvider},
};

/// What sealed headers are bound to, in the place of a provider.
pub const SEALED_AS: &str = "tool-source";

/// An imported source as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// Whose it is; the operator's where absent.
    pub account: Option<String>,
    /// What it is read from.
    pub kind: Kind,
    /// Where it is read from.
    pub url: Option<String>,
    /// What its owner chose.
    pub settings: Settings,
    /// Headers for fetching it, sealed.
    pub sealed: Option<String>,
    /// Of what was read last.
    pub digest: String,
    /// What its owner accepted.
    pub accepted: ToolProvider,
    /// What was read since.
    pub pending: Option<ToolProvider>,
    /// What was left out, and what lost something.
    pub report: [Vec<Told>; 2],
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it was imported, unix milliseconds.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: Option<i64>,
    /// When it was last read.
    pub refreshed_at: i64,
    /// Why it could not be read since.
    pub error: Option<String>,
}

impl Source {
    /// Its provider's slug.
    pub fn slug(&self) -> &str {
        &self.accepted.slug
    }

    /// What its sealed headers are bound to.
    pub fn binding(&self) -> Binding<'_> {
        Binding {
            account: self.account.as_deref().unwrap_or_default(),
            provider: SEALED_AS,
            id: &self.id,
        }
    }

    /// The provider that runs.
    pub fn live(&self) -> ToolProvider {
        let pending = self.pending.as_ref();
        review::live(
            &self.accepted,
            pending,
            &self.settings,
            self.account.as_deref(),
        )
    }
}

macro_rules! columns {
    () => {
        "id, account, kind, slug, url, settings, sealed, master, digest, rows, pending, live, report, enabled, created_at, updated_at, \
         refreshed_at, error"
    };
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM tool_sources WHERE coalesce(account, '') = ?1 ORDER BY created_at, id"
);
const GET: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM tool_sources WHERE coalesce(account, '') = ?1 AND id = ?2"
);
const INSERT: &str = concat!(
    "INSERT INTO tool_sources (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) ON CONFLICT DO NOTHING RETURNING 1 AS made"
);
const UPDATE: &str = "UPDATE tool_sources SET kind = ?3, slug = ?4, url = ?5, settings = ?6, sealed = ?7, master = ?8, digest = ?9, rows = ?10, \
     pending = ?11, live = ?12, report = ?13, enabled = ?14, created_at = ?15, updated_at = ?16, refreshed_at = ?17, error = ?18 \
     WHERE id = ?1 AND coalesce(account, '') = coalesce(?2, '')";
const DELETE: &str = "DELETE FROM tool_sources WHERE coalesce(account, '') = ?1 AND id = ?2";
const STAMP: &str = "SELECT group_concat(id || '.' || coalesce(updated_at, created_at), ',') AS stamp FROM \
     (SELECT id, created_at, updated_at FROM tool_sources WHERE coalesce(account, '') = ?1 AND enabled = 1 ORDER BY id)";
const LIVE: &str =
    "SELECT live FROM tool_sources WHERE coalesce(account, '') = ?1 AND enabled = 1 ORDER BY slug";

/// Whose sources, as statements name it.
fn owner(account: Option<&str>) -> SqlValue {
    account.unwrap_or_default().into()
}

/// The sources of an account, or the operator's, the oldest first.
///
/// # Errors
/// When D1 fails or its rows are not of the schema.
pub async fn list(database: &impl Database, account: Option<&str>) -> Result<Vec<Source>> {
    let rows = database.query(LIST, &[owner(account)]).await?;
    rows.iter().map(source).collect()
}

/// One of them.
///
/// # Errors
/// As [`list`].
pub async fn get(
    database: &impl Database,
    account: Option<&str>,
    id: &str,
) -> Result<Option<Source>> {
    let rows = database.query(GET, &[owner(account), id.into()]).await?;
    rows.first().map(source).transpose()
}

/// Keeps a new one. Not where the owner has one of its slug.
///
/// # Errors
/// When D1 fails.
pub async fn insert(database: &impl Database, source: &Source) -> Result<bool> {
    let rows = database.query(INSERT, &params(source)?).await?;
    Ok(!rows.is_empty())
}

/// Replaces one.
///
/// # Errors
/// When D1 fails.
pub async fn update(database: &impl Database, source: &Source) -> Result<()> {
    database.query(UPDATE, &params(source)?).await.map(drop)
}

/// Deletes one, sealed headers and all.
///
/// # Errors
/// When D1 fails.
pub async fn delete(database: &impl Database, account: Option<&str>, id: &str) -> Result<()> {
    let params = [owner(account), id.into()];
    database.query(DELETE, &params).await.map(drop)
}

/// Whether a slug is some account's: the operator takes none of these, whose keys would go elsewhere then.
///
/// # Errors
/// When D1 fails.
pub async fn is_taken(database: &impl Database, slug: &str) -> Result<bool> {
    let sql = "SELECT 1 AS taken FROM tool_sources WHERE slug = ?1 AND account IS NOT NULL LIMIT 1";
    Ok(!database.query(sql, &[slug.into()]).await?.is_empty())
}

/// What names the sources that run; empty where none does.
///
/// # Errors
/// When D1 fails.
pub async fn stamp(database: &impl Database, account: Option<&str>) -> Result<String> {
    let rows = database.query(STAMP, &[owner(account)]).await?;
    let stamp = rows.first().and_then(|row| row.get("stamp")?.as_str());
    Ok(stamp.unwrap_or_default().to_owned())
}

/// The providers that run.
///
/// # Errors
/// When D1 fails or a row cannot be read.
pub async fn live(
    database: &impl Database,
    account: Option<&str>,
) -> Result<Vec<Rc<ToolProvider>>> {
    let rows = database.query(LIVE, &[owner(account)]).await?;
    let read = |row: &Row| Ok(Rc::new(json(row, "live")?));
    rows.iter().map(read).collect()
}

fn params(source: &Source) -> Result<[SqlValue; 18]> {
    fn text<T: serde::Serialize>(value: &T) -> Result<String> {
        serde_json::to_string(value).map_err(|error| Error::internal(error.to_string()))
    }
    let master = source.sealed.as_deref();
    let master = master.and_then(|sealed| sealed.split('.').next());
    let pending = source.pending.as_ref().map(text).transpose()?;
    Ok([
        source.id.as_str().into(),
        source.account.as_deref().into(),
        source.kind.as_str().into(),
        source.slug().into(),
        source.url.as_deref().into(),
        text(&source.settings)?.as_str().into(),
        source.sealed.as_deref().into(),
        master.into(),
        source.digest.as_str().into(),
        text(&source.accepted)?.as_str().into(),
        pending.as_deref().into(),
        text(&source.live())?.as_str().into(),
        text(&source.report)?.as_str().into(),
        source.enabled.into(),
        source.created_at.into(),
        source.updated_at.into(),
        source.refreshed_at.into(),
        source.error.as_deref().into(),
    ])
}

fn wrong() -> Error {
    Error::internal("a row of tool_sources does not have the columns of the schema")
}

fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    let text = row.get(column).and_then(Value::as_str).ok_or_else(wrong)?;
    crate::json::from_str(text).map_err(|_| wrong())
}

fn source(row: &Row) -> Result<Source> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    let kind = text("kind").unwrap_or_default();
    let kind = Kind::ALL.iter().find(|one| one.as_str() == kind);
    Ok(Source {
        id: text("id").ok_or_else(wrong)?,
        account: text("account"),
        kind: *kind.ok_or_else(wrong)?,
        url: text("url"),
        settings: json(row, "settings")?,
        sealed: text("sealed"),
        digest: text("digest").ok_or_else(wrong)?,
        accepted: json(row, "rows")?,
        pending: text("pending").map(|_| json(row, "pending")).transpose()?,
        report: json(row, "report")?,
        enabled: number("enabled").ok_or_else(wrong)? != 0,
        created_at: number("created_at").ok_or_else(wrong)?,
        updated_at: number("updated_at"),
        refreshed_at: number("refreshed_at").ok_or_else(wrong)?,
        error: text("error"),
    })
}
