//! The audit log: who changed what, when. The operator sees all of it, an account's administrators what concerns their account.

use serde_json::{Value, json};

use super::{
    World,
    admin::{dated, number},
    caller::manager,
    http::{Request, Response},
};
use crate::{
    credits::sql::SqlValue,
    error::{Error, Result},
    identity::Role,
    time::parse_rfc3339,
};

/// The most lines in one answer.
const MAX_LINES: i64 = 500;

/// `GET /audit`: what was done in the manager's account.
pub async fn managed<W: World>(world: &W, request: &Request) -> Result<Response> {
    let manager = manager(world, request, Role::Admin).await?;
    list(world, request, Some(&manager.account)).await
}

/// `GET /admin/audit?account=&since=&action=&before=&limit=`, the newest first. An action that ends in a dot stands for all that begin so.
pub async fn list<W: World>(
    world: &W,
    request: &Request,
    account: Option<&str>,
) -> Result<Response> {
    let mut sql =
        "SELECT seq, at, actor, action, account, target, detail FROM audit_log WHERE seq < ?1"
            .to_owned();
    let before = number(request, "before")?.unwrap_or(crate::credits::money::MAX_NANOS);
    let mut params: Vec<SqlValue> = vec![before.into()];
    let mut condition = |text: &str, param: SqlValue| {
        params.push(param);
        sql.push_str(&text.replace('#', &params.len().to_string()));
    };
    if let Some(account) = account {
        condition(" AND account = ?#", account.into());
    }
    if let Some(since) = request.query("since") {
        let at = parse_rfc3339(since)
            .or_else(|| parse_rfc3339(&format!("{since}T00:00:00Z")))
            .ok_or_else(|| {
                Error::invalid(
                    "since",
                    "Send a date (2026-01-31) or a time in UTC (RFC 3339)",
                )
            })?;
        condition(" AND at >= ?#", at.into());
    }
    if let Some(action) = request.query("action") {
        let exact = !action.ends_with('.');
        let text = if exact {
            " AND action = ?#"
        } else {
            " AND substr(action, 1, length(?#)) = ?#"
        };
        condition(text, action.into());
    }
    let limit = number(request, "limit")?.unwrap_or(100).min(MAX_LINES);
    condition(" ORDER BY seq DESC LIMIT ?#", limit.into());
    let rows = world.query(&sql, &params).await?;
    let data: Vec<Value> = rows
        .into_iter()
        .map(|mut row| {
            dated(&mut row, &["at"]);
            Value::Object(row)
        })
        .collect();
    Ok(Response::json(200, &json!({"data": data})))
}
