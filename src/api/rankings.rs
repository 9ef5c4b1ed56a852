//! Public rankings: `/rankings`, `/rankings/models`, `/rankings/apps`, and the reference's `/datasets/rankings-daily` and
//! `/datasets/app-rankings`, which take a key.
//!
//! All are read out of what the cron published (`usage::rankings`); windows other than those are refused, because sliding
//! ones would tell accounts apart. Out of scope: who may be ranked.

use serde_json::{Value, json};

use super::{
    World, any_key,
    http::{Request, Response},
};
use crate::{
    error::{Error, Result},
    time::rfc3339,
    usage::rankings::{Ranked, Rankings, Window, app_id},
};

/// The most apps of one page.
const MAX_LIMIT: usize = 100;

async fn published<W: World>(world: &W) -> Result<Rankings> {
    match world.rankings().await? {
        None => Ok(Rankings::default()),
        Some(text) => crate::json::from_str(&text)
            .map_err(|error| Error::internal(format!("the rankings in KV: {error}"))),
    }
}

/// `GET /rankings…?period=day|week|month`; `of` is what follows.
pub(super) async fn show<W: World>(
    world: &W,
    request: &Request,
    of: Option<&str>,
) -> Result<Response> {
    let rankings = published(world).await?;
    let (period, window) = match request.query("period") {
        Some("day") => ("day", &rankings.day),
        None | Some("week") => ("week", &rankings.week),
        Some("month") => ("month", &rankings.month),
        Some(_) => return Err(Error::invalid("period", "period is day, week or month")),
    };
    let models = || window.models.iter().map(model).collect::<Vec<Value>>();
    let apps = || window.apps.iter().map(app).collect::<Vec<Value>>();
    let data = match of {
        Some("models") => Value::Array(models()),
        Some(_) => Value::Array(apps()),
        None => json!({"models": models(), "apps": apps()}),
    };
    let mut meta = meta(&rankings, window);
    if let Some(meta) = meta.as_object_mut() {
        meta.insert("period".to_owned(), period.into());
    }
    let mut response = Response::json(200, &json!({"data": data, "meta": meta}));
    response.header("cache-control", "public, max-age=300");
    Ok(response)
}

fn meta(rankings: &Rankings, window: &Window) -> Value {
    json!({
        "as_of": (rankings.at > 0).then(|| rfc3339(rankings.at)),
        "start_date": window.start_date, "end_date": window.end_date,
    })
}

fn model(one: &Ranked) -> Value {
    json!({
        "rank": one.rank, "model": one.name, "model_permaslug": one.name,
        "total_tokens": one.tokens.to_string(), "total_requests": one.requests,
    })
}

fn app(one: &Ranked) -> Value {
    json!({
        "rank": one.rank, "app_id": app_id(&one.name), "app": one.name,
        "app_name": one.title.as_deref().unwrap_or(&one.name),
        "total_tokens": one.tokens.to_string(), "total_requests": one.requests,
    })
}

/// `GET /datasets/rankings-daily`: models of each day.
pub(super) async fn daily<W: World>(world: &W, request: &Request) -> Result<Response> {
    any_key(world, request).await?;
    let rankings = published(world).await?;
    let within = |name: &str| -> Result<Option<String>> {
        let Some(text) = request.query(name) else {
            return Ok(None);
        };
        match crate::time::parse_rfc3339(&format!("{text}T00:00:00Z")) {
            Some(_) => Ok(Some(text.to_owned())),
            None => Err(Error::invalid(name, "Send a day as YYYY-MM-DD")),
        }
    };
    let (first, last) = (within("start_date")?, within("end_date")?);
    // Dates of this form are ordered as texts.
    let rows = rankings.daily.iter().filter(|row| {
        first.as_ref().is_none_or(|first| row.date >= *first)
            && last.as_ref().is_none_or(|last| row.date <= *last)
    });
    let rows = rows.map(|row| {
        json!({"date": row.date, "model_permaslug": row.model, "total_tokens": row.tokens.to_string()})
    });
    let data: Vec<Value> = rows.collect();
    let meta = meta(&rankings, &rankings.month);
    Ok(Response::json(200, &json!({"data": data, "meta": meta})))
}

/// `GET /datasets/app-rankings`: apps of the last thirty days.
pub(super) async fn apps<W: World>(world: &W, request: &Request) -> Result<Response> {
    any_key(world, request).await?;
    let rankings = published(world).await?;
    let window = &rankings.month;
    for (name, only) in [
        ("start_date", &window.start_date),
        ("end_date", &window.end_date),
    ] {
        // Before the first ranking there is no window, and no date is one.
        if request
            .query(name)
            .is_some_and(|asked| asked.is_empty() || asked != only)
        {
            let message =
                format!("Apps are ranked over the last 30 completed days: {name} is {only}");
            return Err(Error::invalid(name, message));
        }
    }
    if request.query("sort").is_some_and(|sort| sort != "popular") {
        return Err(Error::invalid("sort", "sort is popular"));
    }
    let number = |name: &str, otherwise: usize, least: usize| match request.query(name) {
        None => Ok(otherwise),
        Some(text) => {
            let number = text.parse().ok();
            let number = number.filter(|n| (least..=MAX_LIMIT).contains(n));
            number.ok_or_else(|| Error::invalid(name, format!("{name} is {least} to {MAX_LIMIT}")))
        }
    };
    let (limit, offset) = (number("limit", 50, 1)?, number("offset", 0, 0)?);
    let rows = window.apps.iter().skip(offset).take(limit).map(app);
    let data: Vec<Value> = rows.collect();
    let meta = meta(&rankings, window);
    Ok(Response::json(200, &json!({"data": data, "meta": meta})))
}
