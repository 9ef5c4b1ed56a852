//! `GET /usage`: what tools were run for and what it cost, a row each, the newest first.
//!
//! The rows are those of every other request (`/generation`, analytics); this is the list that ToolRoute's clients know. Rows arrive a
//! moment after their answers.

use serde_json::{Value, json};

use super::super::{
    World, any_key,
    http::{Request, Response},
    toolbox::API_TYPE,
};
use crate::{
    credits::{money::Nanos, sql::SqlValue},
    database::Row,
    error::{Error, Result},
    time::{parse_rfc3339, rfc3339},
};

/// Rows where the client does not say.
const LIMIT: i64 = 50;
/// The most rows.
const MOST: i64 = 500;

/// Rows of an account: which key's (absent: all), which tool's (absent: all), since when.
const SELECT: &str = "SELECT id, key_hash, status, cost, model, provider, created_at, latency_ms, error, surface, list_cost, request_id FROM usage
    WHERE account = ?1 AND api_type = ?2 AND created_at >= ?3 AND (?4 IS NULL OR key_hash = ?4) AND (?5 IS NULL OR model = ?5)
    ORDER BY created_at DESC, id DESC LIMIT ?6 OFFSET ?7";

/// Answers the request.
pub(in crate::api) async fn usage<W: World>(world: &W, request: &Request) -> Result<Response> {
    let key = any_key(world, request).await?;
    let number = |name: &'static str, usual: i64, most: i64| match request.query(name) {
        None => Ok(usual),
        Some(text) => {
            let number = text
                .parse()
                .ok()
                .filter(|number| (0..=most).contains(number));
            number.ok_or_else(|| Error::invalid(name, format!("expected 0 to {most}")))
        }
    };
    let limit = number("limit", LIMIT, MOST)?.max(1);
    let offset = number("offset", 0, 1_000_000)?;
    let since = request.query("since").map_or(Ok(0), since)?;
    let tool = request.query("tool").filter(|tool| !tool.is_empty());
    let tool = tool.map(|tool| tool.replacen("__", "/", 1));
    let of_key = (!key.management).then_some(key.hash.as_str());
    let params: [SqlValue; 7] = [
        key.account.as_str().into(),
        API_TYPE.into(),
        since.into(),
        of_key.into(),
        tool.as_deref().into(),
        limit.into(),
        offset.into(),
    ];
    let rows = world.query(SELECT, &params).await?;
    let data: Vec<Value> = rows.iter().map(told).collect();
    let body = json!({"object": "list", "data": data, "limit": limit, "offset": offset});
    Ok(Response::json(200, &body))
}

/// A time in RFC 3339, a day, or unix milliseconds.
fn since(text: &str) -> Result<i64> {
    let day = || parse_rfc3339(&format!("{text}T00:00:00Z"));
    let found = text
        .parse()
        .ok()
        .or_else(|| parse_rfc3339(text))
        .or_else(day);
    found.ok_or_else(|| {
        Error::invalid(
            "since",
            "expected a time in RFC 3339, a day, or unix milliseconds",
        )
    })
}

fn told(row: &Row) -> Value {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let number = |name: &str| row.get(name).and_then(Value::as_i64);
    let dollars = |name: &str| {
        number(name)
            .and_then(|nanos| Nanos::new(nanos).ok())
            .map(Nanos::to_json_number)
    };
    json!({
        "id": text("id"),
        "request_id": text("request_id"),
        "tool": text("model"),
        "provider": text("provider"),
        "status": text("status"),
        "error": text("error"),
        "cost": dollars("cost"),
        "byok": number("list_cost").is_some(),
        "latency_ms": number("latency_ms"),
        "surface": text("surface"),
        "key_hash": text("key_hash"),
        "created_at": number("created_at").map(rfc3339),
    })
}

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn a_beginning_is_a_time_a_day_or_a_number() {
        assert_eq!(since("1700000000000").unwrap(), 1_700_000_000_000);
        assert_eq!(
            since("2026-11-21").unwrap(),
            since("2026-11-21T00:00:00Z").unwrap()
        );
        assert_eq!(
            since("yesterday").unwrap_err().param.as_deref(),
            Some("since")
        );
    }
}
