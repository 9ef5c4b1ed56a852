//! What an account used: `/activity` by day and endpoint, `/analytics` by whatever is asked, both as JSON or CSV.
//!
//! Administrators see the account, members what their own keys did. Spec: OpenRouter's `/activity`, `/analytics/query` and
//! `/analytics/meta`. Out of scope: how a question is answered (`usage::analytics`).

use serde_json::{Value, json, value::RawValue};

use super::{
    World,
    admin::missing,
    caller::manager,
    http::{Body, Request, Response},
};
use crate::{
    credits::sql::SqlValue,
    database::Row,
    error::{Error, Result},
    identity::{Actor, Role},
    time::{parse_rfc3339, rfc3339},
    usage::{
        analytics::{
            Asked, Cell, MAX_LIMIT, Source, Table,
            columns::{DIMENSIONS, Granularity, METRICS, Operator},
        },
        facts::{DAY_MS, DIMENSIONS as SUMMED, USER_DIMENSIONS},
    },
};

/// Completed days that `/activity` knows.
const ACTIVITY_DAYS: i64 = 30;
const ACTIVITY: &str = "
    SELECT start, model, endpoint, provider, CAST(SUM(cost) AS TEXT) AS cost, CAST(SUM(byok_inference) AS TEXT) AS byok,
        SUM(requests) AS requests, SUM(prompt_tokens) AS prompt, SUM(completion_tokens) AS completion,
        SUM(reasoning_tokens) AS reasoning, SUM(cached_tokens) AS cached
    FROM usage_rollups
    WHERE length = 86400000 AND start IN (SELECT value FROM json_each(?1)) AND account = ?2 AND endpoint <> ''
        AND (?3 IS NULL OR key_hash = ?3) AND (?4 IS NULL OR member = ?4)
    GROUP BY start, model, endpoint, provider ORDER BY start DESC, model, endpoint, provider LIMIT ?5";

/// Whose usage may be seen: the account's, or one member's of it.
async fn viewer<W: World>(world: &W, request: &Request) -> Result<(String, Option<String>)> {
    let manager = manager(world, request, Role::Member).await?;
    let own = match manager.actor {
        Actor::Person(id) if manager.role == Role::Member => Some(id),
        Actor::Person(_) | Actor::Operator | Actor::Key(_) => None,
    };
    Ok((manager.account, own))
}

fn now<W: World>(world: &W) -> i64 {
    i64::try_from(world.now_ms()).unwrap_or(i64::MAX)
}

/// Whether the client wants CSV: it says so in the query, or accepts it before anything else.
fn wants_csv(request: &Request) -> Result<bool> {
    match request.query("format") {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(_) => Err(Error::invalid("format", "format is json or csv")),
        None => {
            let accept = request.header("accept").unwrap_or_default();
            let first = accept.split([',', ';']).next().unwrap_or_default();
            Ok(first.trim().eq_ignore_ascii_case("text/csv"))
        }
    }
}

fn csv(table: &Table, name: &str) -> Response {
    let mut response = Response {
        status: 200,
        headers: Vec::new(),
        body: Body::Bytes(table.csv().into_bytes()),
    };
    response.header("content-type", "text/csv; charset=utf-8");
    response.header(
        "content-disposition",
        format!("attachment; filename=\"{name}.csv\""),
    );
    response
}

fn raw(json: String) -> Result<Box<RawValue>> {
    RawValue::from_string(json).map_err(|error| Error::internal(format!("rows: {error}")))
}

/// `GET /activity`: usage of the last 30 completed days, by day and endpoint.
pub(super) async fn activity<W: World>(world: &W, request: &Request) -> Result<Response> {
    let (account, own) = viewer(world, request).await?;
    let as_csv = wants_csv(request)?;
    let today = now(world) - now(world).rem_euclid(DAY_MS);
    let mut days: Vec<i64> = (1..=ACTIVITY_DAYS).map(|n| today - n * DAY_MS).collect();
    if let Some(date) = request.query("date") {
        let day = parse_rfc3339(&format!("{date}T00:00:00Z"));
        let day = day.filter(|day| days.contains(day)).ok_or_else(|| {
            let message =
                format!("One of the last {ACTIVITY_DAYS} completed UTC days, as YYYY-MM-DD");
            Error::invalid("date", message)
        })?;
        days = vec![day];
    }
    let by_workspace = match request.query("group_by") {
        None => false,
        Some("workspace") => true,
        Some(_) => return Err(Error::invalid("group_by", "group_by is workspace")),
    };
    if let Some(id) = request.query("workspace_id").filter(|id| *id != "default") {
        return Err(missing("workspace", id));
    }
    // A member who asks for somebody else sees nothing of them.
    let named = request.query("user_id").map(str::to_owned);
    if let (Some(own), Some(named)) = (&own, &named)
        && own != named
    {
        return Err(missing("member", named));
    }
    let params: [SqlValue; 5] = [
        Value::from(days).to_string().as_str().into(),
        account.as_str().into(),
        request.query("api_key_hash").into(),
        own.or(named).as_deref().into(),
        MAX_LIMIT.into(),
    ];
    let rows = world.query(ACTIVITY, &params).await?;
    let table = Table {
        columns: [
            "date",
            "model",
            "model_permaslug",
            "endpoint_id",
            "provider_name",
            "usage",
            "byok_usage_inference",
            "requests",
            "prompt_tokens",
            "completion_tokens",
            "reasoning_tokens",
            "cached_tokens",
        ]
        .into_iter()
        .chain(by_workspace.then_some("workspace_id"))
        .collect(),
        rows: rows.iter().map(|row| active(row, by_workspace)).collect(),
    };
    if as_csv {
        return Ok(csv(&table, "activity"));
    }
    Ok(Response::json(
        200,
        &super::account::json_data(&raw(table.json())?),
    ))
}

fn active(row: &Row, by_workspace: bool) -> Vec<Cell> {
    let text = |name: &str| {
        let text = row.get(name).and_then(Value::as_str);
        Cell::Text(text.map(str::to_owned))
    };
    let number = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or_default();
    let dollars = |name: &str| {
        let nanos = row.get(name).and_then(Value::as_str);
        Cell::Dollars(nanos.and_then(|text| text.parse().ok()).unwrap_or_default())
    };
    let date = rfc3339(number("start"));
    let mut cells = vec![
        Cell::Text(date.get(..10).map(str::to_owned)),
        text("model"),
        text("model"),
        text("endpoint"),
        text("provider"),
        dollars("cost"),
        dollars("byok"),
        Cell::Number(number("requests")),
        Cell::Number(number("prompt")),
        Cell::Number(number("completion")),
        Cell::Number(number("reasoning")),
        Cell::Number(number("cached")),
    ];
    if by_workspace {
        cells.push(Cell::Text(Some("default".to_owned())));
    }
    cells
}

/// `POST /analytics/query`.
pub(super) async fn query<W: World>(world: &W, request: Request) -> Result<Response> {
    let (account, own) = viewer(world, &request).await?;
    let as_csv = wants_csv(&request)?;
    let asked: Asked = request.json().await?;
    let began = world.now_ms();
    let query = asked.check(now(world))?;
    let compiled = query.compile(&account, own.as_deref())?;
    if compiled.source == Source::Raw {
        query.affordable(world, &account).await?;
    }
    let rows = world.query(&compiled.sql, &compiled.params).await?;
    let (table, is_truncated) = query.read(&rows);
    let next = query.offset + query.limit;
    if as_csv {
        let mut response = csv(&table, "analytics");
        if is_truncated {
            response.header("x-next-offset", next.to_string());
        }
        return Ok(response);
    }
    let (start, end) = compiled.reach(&query);
    let mut warnings = Vec::new();
    if (start, end) != (query.start, query.end) {
        warnings.push("The time was widened to whole hours or days, for which sums are kept");
    }
    let metadata = json!({
        "query_time_ms": world.now_ms().saturating_sub(began), "row_count": table.rows.len(),
        "truncated": is_truncated, "next_offset": is_truncated.then_some(next), "source": compiled.source.name(),
        "time_range": {"start": rfc3339(start), "end": rfc3339(end)},
    });
    #[derive(serde::Serialize)]
    struct Answer {
        data: Box<RawValue>,
        metadata: Value,
        warnings: Vec<&'static str>,
    }
    let answer = Answer {
        data: raw(table.json())?,
        metadata,
        warnings,
    };
    Ok(Response::json(200, &super::account::json_data(&answer)))
}

/// `GET /analytics/meta`.
pub(super) async fn meta<W: World>(world: &W, request: &Request) -> Result<Response> {
    viewer(world, request).await?;
    let metrics = METRICS.iter().map(|one| {
        json!({
            "name": one.name, "display_label": one.label, "display_format": one.format.as_str(),
            "is_rate": one.format.is_real(), "is_from_requests": one.is_raw,
        })
    });
    let dimensions = DIMENSIONS.iter().map(|one| {
        let is_summed = SUMMED.contains(&one.column) || USER_DIMENSIONS.contains(&one.column);
        json!({
            "name": one.name, "display_label": one.label,
            "is_from_requests": !is_summed && !one.is_constant(),
        })
    });
    let words = |words: Vec<&str>| {
        let named = words
            .iter()
            .map(|word| json!({"name": word, "display_label": word}));
        named.collect::<Vec<Value>>()
    };
    let meta = json!({
        "metrics": metrics.collect::<Vec<Value>>(),
        "dimensions": dimensions.collect::<Vec<Value>>(),
        "operators": words(Operator::ALL.map(Operator::as_str).to_vec()),
        "granularities": words(Granularity::ALL.map(Granularity::as_str).to_vec()),
    });
    Ok(Response::json(200, &super::account::json_data(&meta)))
}
