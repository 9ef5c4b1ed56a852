//! Do the books agree? Walking over an account's books, and what was found.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{World, audit, json_data, missing};
use crate::{
    api::http::{Request, Response},
    books::{FINDINGS, WALKS, rows_since, step},
    credits::money::{MAX_NANOS, Nanos},
    database::Row,
    error::{Error, Result},
    identity::Actor,
    time::rfc3339,
};

/// Pages read by one call: entries and rows of a usual account in one go, and no call takes long.
const PAGES_PER_CALL: usize = 20;
/// The most findings, or walks, in one answer.
const MAX_LISTED: i64 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Go {
    /// Whose books.
    account: String,
    /// From the beginning, also where a walk is under way.
    #[serde(default)]
    restart: bool,
}

/// `POST /admin/reconcile`: reads on in an account's books. Call again until it is done.
pub async fn go<W: World>(world: &W, actor: &Actor, go: Go) -> Result<Response> {
    let id = go.account.as_str();
    let known = world
        .query("SELECT 1 FROM accounts WHERE id = ?1", &[id.into()])
        .await?;
    if known.is_empty() {
        return Err(missing("account", id));
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let since = rows_since(world.var("USAGE_RAW_DAYS").as_deref(), now);
    let reach = (PAGES_PER_CALL, since);
    let progress = step(world, id, reach, go.restart, now).await?;
    if progress.done {
        let counts = format!(
            "{} entries, {} differences",
            progress.entries, progress.differences
        );
        audit(world, actor, "reconcile", Some(id), id, &counts).await?;
    }
    Ok(Response::json(200, &json_data(&progress)))
}

/// `GET /admin/reconcile?account=&after=`: what the walks came to.
pub async fn walks<W: World>(world: &W, request: &Request) -> Result<Response> {
    let account = request.query("account");
    let after = request.query("after").unwrap_or_default();
    let params = [account.into(), after.into(), MAX_LISTED.into()];
    let rows = world.query(WALKS, &params).await?;
    let data: Vec<Value> = rows
        .into_iter()
        .map(|mut row| {
            dated(&mut row, &["started_at", "finished_at"]);
            let under_way = row.get("under_way").and_then(Value::as_i64) == Some(1);
            row.insert("under_way".into(), under_way.into());
            let result = row.get("result").and_then(Value::as_str);
            let result = result.and_then(|text| crate::json::from_str::<Value>(text).ok());
            row.insert("result".into(), result.unwrap_or_default());
            Value::Object(row)
        })
        .collect();
    Ok(Response::json(200, &json!({"data": data})))
}

/// `GET /admin/reconcile/findings?account=&state=open|all&before=&limit=`: the newest first.
pub async fn findings<W: World>(world: &W, request: &Request) -> Result<Response> {
    let account = request.query("account");
    let open = match request.query("state") {
        None | Some("open") => true,
        Some("all") => false,
        Some(_) => return Err(Error::invalid("state", "Send open or all")),
    };
    let params = [
        account.into(),
        open.into(),
        number(request, "before")?.unwrap_or(MAX_NANOS).into(),
        number(request, "limit")?
            .unwrap_or(MAX_LISTED)
            .min(MAX_LISTED)
            .into(),
    ];
    let rows = world.query(FINDINGS, &params).await?;
    let data: Vec<Value> = rows
        .into_iter()
        .map(|mut row| {
            dated(&mut row, &["first_seen_at", "last_seen_at", "closed_at"]);
            let difference = row.get("difference").and_then(Value::as_i64);
            let difference = difference.and_then(|nanos| Nanos::new(nanos).ok());
            let difference = difference.map(|amount| amount.to_string());
            row.insert("difference".into(), difference.into());
            Value::Object(row)
        })
        .collect();
    Ok(Response::json(200, &json!({"data": data})))
}

/// Times of a row as clients read them.
pub fn dated(row: &mut Row, names: &[&str]) {
    for name in names {
        if let Some(at) = row.get(*name).and_then(Value::as_i64) {
            row.insert((*name).to_owned(), rfc3339(at).into());
        }
    }
}

/// A whole number above zero in the query.
pub fn number(request: &Request, name: &str) -> Result<Option<i64>> {
    request
        .query(name)
        .map(|text| {
            let number = text.parse().ok();
            number
                .filter(|n| (1..=MAX_NANOS).contains(n))
                .ok_or_else(|| Error::invalid(name, "Send a whole number above zero"))
        })
        .transpose()
}
