//! Is the deployment well? Every store asked, and how old what should be young is.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::World;
use crate::{
    api::http::Response,
    catalog::{Provider, publish::POINTER},
    credits::ops::GetSnapshot,
    error::Result,
    time::rfc3339,
};

/// Usage rows among which the accounts are looked for that are asked for their backlog.
const RECENT_ROWS: i64 = 500;
/// The most accounts asked.
const MAX_ASKED: i64 = 10;
/// A cron that has not ended for so long is late.
const LATE_MS: i64 = 5 * 60_000;

/// `GET /admin/health`: 200 where all is well, 503 otherwise; the same body.
pub async fn show<W: World>(world: &W) -> Response {
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let mut parts = Map::new();
    let mut note = |name: &str, part: Result<Value>| {
        let part = match part {
            Ok(mut part) => {
                let ok = part.get("ok").and_then(Value::as_bool).unwrap_or(true);
                if let Some(part) = part.as_object_mut() {
                    part.insert("ok".into(), ok.into());
                }
                part
            }
            Err(error) => json!({"ok": false, "error": error.message}),
        };
        parts.insert(name.to_owned(), part);
    };
    note("d1", world.query("SELECT 1", &[]).await.map(|_| json!({})));
    note("kv", world.snapshot().await.map(|_| json!({})));
    note("accounts", objects(world).await);
    note("catalog", catalog(world, now).await);
    note("cron", cron(world, now).await);
    note("books", books(world).await);
    let well = parts
        .values()
        .all(|part| part.get("ok") == Some(&true.into()));
    let status = if well { 200 } else { 503 };
    Response::json(
        status,
        &json!({"data": {"ok": well, "at": rfc3339(now), "parts": parts}}),
    )
}

/// Accounts that were active last: can they be reached, and what waits in them?
async fn objects<W: World>(world: &W) -> Result<Value> {
    let sql = "SELECT DISTINCT account FROM (SELECT account FROM usage ORDER BY seq DESC LIMIT ?1)
        WHERE account IN (SELECT id FROM accounts WHERE deleted_at IS NULL) LIMIT ?2";
    let mut rows = world
        .query(sql, &[RECENT_ROWS.into(), MAX_ASKED.into()])
        .await?;
    if rows.is_empty() {
        let any = "SELECT id AS account FROM accounts WHERE deleted_at IS NULL ORDER BY created_at DESC LIMIT 1";
        rows = world.query(any, &[]).await?;
    }
    let (mut unsent, mut holds) = (0, 0);
    for row in &rows {
        let account = row
            .get("account")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let totals = world.call(account, &GetSnapshot {}).await?;
        unsent += totals.unsent_rows;
        holds += totals.open_holds;
    }
    Ok(json!({"asked": rows.len(), "unsent_usage_rows": unsent, "open_holds": holds}))
}

async fn catalog<W: World>(world: &W, now: i64) -> Result<Value> {
    let version = world.catalog_text(POINTER).await?;
    let sql = "SELECT published_at FROM catalog_versions WHERE version = ?1";
    let rows = world.query(sql, &[version.as_deref().into()]).await?;
    let published = rows
        .first()
        .and_then(|row| row.get("published_at")?.as_i64());
    Ok(json!({
        "ok": version.is_some(),
        "version": version,
        "published_at": published.map(rfc3339),
        "age_days": published.map(|at| (now - at) / 86_400_000),
    }))
}

async fn cron<W: World>(world: &W, now: i64) -> Result<Value> {
    let rows = world.query("SELECT ended_at FROM cron_runs", &[]).await?;
    let ended = rows.first().and_then(|row| row.get("ended_at")?.as_i64());
    let ended = ended.filter(|at| *at > 0);
    Ok(json!({
        "ok": ended.is_some_and(|at| now - at < LATE_MS),
        "last_ended_at": ended.map(rfc3339),
    }))
}

async fn books<W: World>(world: &W) -> Result<Value> {
    let sql =
        "SELECT (SELECT count(*) FROM reconcile_findings WHERE closed_at IS NULL) AS findings,
        (SELECT began_at FROM reconcile_progress) AS began_at";
    let rows = world.query(sql, &[]).await?;
    let number = |name: &str| rows.first().and_then(|row| row.get(name)?.as_i64());
    let findings = number("findings").unwrap_or(0);
    Ok(json!({
        "ok": findings == 0,
        "open_findings": findings,
        "round_began_at": number("began_at").filter(|at| *at > 0).map(rfc3339),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Providers {
    /// Rows of a catalog.
    providers: Vec<Provider>,
}

/// `POST /admin/providers`: which of these can be called with the deployment's own keys. The keys themselves are never shown.
pub fn providers<W: World>(world: &W, asked: &Providers) -> Response {
    let data: Vec<Value> = asked
        .providers
        .iter()
        .map(|provider| {
            json!({
                "slug": provider.slug,
                "name": provider.name,
                "reachable": world.can_reach(provider),
                "key": world.can_call(provider),
            })
        })
        .collect();
    Response::json(200, &json!({"data": data}))
}
