//! Public rankings: tokens per model and per app, out of roll-ups, published to KV by the cron.
//!
//! Nobody's usage can be read from them:
//! - only what [`MIN_ACCOUNTS`] accounts or more used is ranked, in each window by itself;
//! - nothing is ranked of which one account used more than [`MAX_SHARE_PERCENT`] per cent, for its figure would be that account's;
//! - only completed UTC days count, so nobody can watch requests arrive, and windows are fixed, so none can be slid over a day;
//! - figures are rounded to three digits.
//!
//! An app takes part by sending its `HTTP-Referer`; its title is told where as many accounts send the same. Out of scope: routes (`api`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{app, facts::DAY_MS};
use crate::{
    credits::sql::SqlValue,
    database::{Database, Row},
    error::{Error, Result},
    time::rfc3339,
};

/// Accounts that must have used something before it is ranked.
pub const MIN_ACCOUNTS: i64 = 5;
/// The largest part of a figure that may be one account's, per cent.
pub const MAX_SHARE_PERCENT: i64 = 80;
/// Models and apps of one window.
const LISTED: i64 = 100;
/// Models of one day.
const LISTED_DAILY: usize = 50;
/// Days of the daily list.
const DAILY_DAYS: i64 = 30;
/// Where rankings are in KV.
pub const RANKINGS_KEY: &str = "rankings";
/// How often they are published, in milliseconds.
const EVERY_MS: i64 = 3_600_000;

macro_rules! ranked {
    ($column:literal) => {
        concat!(
            "SELECT name, SUM(tokens) AS tokens, SUM(requests) AS requests FROM (SELECT ",
            $column,
            " AS name, account, SUM(prompt_tokens + completion_tokens) AS tokens, SUM(requests) AS requests
            FROM usage_rollups WHERE length = 86400000 AND start >= ?1 AND start < ?2 AND ",
            $column,
            " <> '' GROUP BY 1, account HAVING SUM(prompt_tokens + completion_tokens) > 0)
            GROUP BY name HAVING COUNT(*) >= ?3 AND MAX(tokens) * 100 <= SUM(tokens) * ?4
            ORDER BY SUM(tokens) DESC, name LIMIT ?5"
        )
    };
}

const MODELS: &str = ranked!("model");
const APPS: &str = ranked!("app");
const DAILY: &str = "
    SELECT start, name, SUM(tokens) AS tokens FROM (
        SELECT start, model AS name, account, SUM(prompt_tokens + completion_tokens) AS tokens
        FROM usage_rollups WHERE length = 86400000 AND start >= ?1 AND start < ?2 AND model <> ''
        GROUP BY start, model, account HAVING SUM(prompt_tokens + completion_tokens) > 0)
    GROUP BY start, name HAVING COUNT(*) >= ?3 AND MAX(tokens) * 100 <= SUM(tokens) * ?4
    ORDER BY start, SUM(tokens) DESC, name";
const TITLES: &str = "
    SELECT app, title FROM app_titles WHERE app IN (SELECT value FROM json_each(?1))
    GROUP BY app, title HAVING COUNT(*) >= ?2 ORDER BY app, COUNT(*), title";

/// Where rankings are kept.
pub trait RankingStore {
    /// The published text.
    fn rankings(&self) -> impl Future<Output = Result<Option<String>>>;

    /// Replaces it.
    fn keep_rankings(&self, text: &str) -> impl Future<Output = Result<()>>;
}

/// A model or an app in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranked {
    /// From 1.
    pub rank: u32,
    /// The model's slug, or the app's host.
    pub name: String,
    /// What most of an app's accounts call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Prompt and completion tokens, rounded.
    pub tokens: i64,
    /// Requests, rounded.
    pub requests: i64,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// Its first day.
    pub start_date: String,
    /// Its last day.
    pub end_date: String,
    /// Models, most tokens first.
    pub models: Vec<Ranked>,
    /// Apps, most tokens first.
    pub apps: Vec<Ranked>,
}

/// A model on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daily {
    /// The day.
    pub date: String,
    /// The model's slug.
    pub model: String,
    /// Prompt and completion tokens, rounded.
    pub tokens: i64,
}

/// All that is published.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rankings {
    /// When, unix milliseconds.
    pub at: i64,
    /// The last completed day.
    pub day: Window,
    /// The last seven.
    pub week: Window,
    /// The last thirty.
    pub month: Window,
    /// Models of each of the last thirty days.
    pub daily: Vec<Daily>,
}

/// Publishes where that is due. Whether it was.
///
/// # Errors
/// When a store fails: the next run tries again.
pub async fn publish<S: Database + RankingStore>(store: &S, now_ms: i64) -> Result<bool> {
    let is_due = now_ms.rem_euclid(EVERY_MS) < 60_000;
    if !is_due && store.rankings().await?.is_some() {
        return Ok(false);
    }
    let rankings = rank(store, now_ms).await?;
    let text = serde_json::to_string(&rankings)
        .map_err(|error| Error::internal(format!("the rankings: {error}")))?;
    store.keep_rankings(&text).await?;
    Ok(true)
}

/// The rankings as of now.
///
/// # Errors
/// When D1 fails.
pub async fn rank(database: &impl Database, now_ms: i64) -> Result<Rankings> {
    let today = now_ms - now_ms.rem_euclid(DAY_MS);
    let rows = database.query(DAILY, &window(today, DAILY_DAYS)).await?;
    Ok(Rankings {
        at: now_ms,
        day: windowed(database, today, 1).await?,
        week: windowed(database, today, 7).await?,
        month: windowed(database, today, 30).await?,
        daily: daily(&rows),
    })
}

fn window(today: i64, days: i64) -> Vec<SqlValue> {
    let numbers = [
        today - days * DAY_MS,
        today,
        MIN_ACCOUNTS,
        MAX_SHARE_PERCENT,
    ];
    numbers.map(SqlValue::Int).to_vec()
}

async fn windowed(database: &impl Database, today: i64, days: i64) -> Result<Window> {
    let mut params = window(today, days);
    params.push(SqlValue::Int(LISTED));
    let models = database.query(MODELS, &params).await?;
    let apps = database.query(APPS, &params).await?;
    let is_public = |row: &&Row| text(row, "name").is_some_and(app::is_public);
    let apps: Vec<Row> = apps.iter().filter(is_public).cloned().collect();
    let names: Vec<&str> = apps.iter().filter_map(|row| text(row, "name")).collect();
    let names = Value::from(names).to_string();
    let params = [names.as_str().into(), SqlValue::Int(MIN_ACCOUNTS)];
    let rows = database.query(TITLES, &params).await?;
    let named = rows
        .iter()
        .filter_map(|row| Some((text(row, "app")?, text(row, "title")?)));
    // The one that most accounts send comes last.
    let titles: BTreeMap<&str, &str> = named.collect();
    Ok(Window {
        start_date: date(today - days * DAY_MS),
        end_date: date(today - DAY_MS),
        models: ranked(&models, &BTreeMap::new()),
        apps: ranked(&apps, &titles),
    })
}

fn ranked(rows: &[Row], titles: &BTreeMap<&str, &str>) -> Vec<Ranked> {
    let mut rank = 0;
    let one = |row: &Row| {
        rank += 1;
        let name = text(row, "name")?;
        Some(Ranked {
            rank,
            name: name.to_owned(),
            title: titles.get(name).map(|title| (*title).to_owned()),
            tokens: rounded(number(row, "tokens")),
            requests: rounded(number(row, "requests")),
        })
    };
    rows.iter().filter_map(one).collect()
}

fn daily(rows: &[Row]) -> Vec<Daily> {
    let mut listed: BTreeMap<i64, usize> = BTreeMap::new();
    let one = |row: &Row| {
        let start = number(row, "start");
        let count = listed.entry(start).or_default();
        *count += 1;
        (*count <= LISTED_DAILY).then_some(())?;
        Some(Daily {
            date: date(start),
            model: text(row, "name")?.to_owned(),
            tokens: rounded(number(row, "tokens")),
        })
    };
    rows.iter().filter_map(one).collect()
}

fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    row.get(column).and_then(Value::as_str)
}

fn number(row: &Row, column: &str) -> i64 {
    row.get(column).and_then(Value::as_i64).unwrap_or_default()
}

/// A day as `YYYY-MM-DD`.
fn date(at: i64) -> String {
    let text = rfc3339(at);
    text.get(..10).unwrap_or(&text).to_owned()
}

/// Three digits of a number, the rest zeros.
fn rounded(number: i64) -> i64 {
    let mut unit = 1;
    while number / unit >= 1_000 {
        unit *= 10;
    }
    (number + unit / 2) / unit * unit
}

/// A number for an app that stays the same.
pub fn app_id(name: &str) -> u32 {
    let digest = Sha256::digest(name.as_bytes());
    let (head, _) = digest.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
    u32::from_be_bytes(*head) >> 1
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures::executor::block_on;
    use serde_json::json;

    use super::*;
    use crate::usage::{d1_tests::Store, rollup};

    const NOW: i64 = 1_800_000_000_000 - 1_800_000_000_000 % DAY_MS + DAY_MS / 2;

    /// A request of an account: model, app, tokens, so many days ago.
    fn used(
        store: &Store,
        account: &str,
        model: &str,
        referer: Option<&str>,
        tokens: i64,
        ago: i64,
    ) {
        let id = format!(
            "gen-{}",
            store.run("SELECT count(*) AS n FROM usage", &[])[0]["n"]
        );
        let app = app::named(referer, Some("The App"));
        store.flush(&[json!({
            "id": id, "account": account, "key_hash": "k", "status": "settled", "cost": 1, "finished_at": 0,
            "row": {
                "created_at": NOW - ago * DAY_MS, "model": model, "app": app, "usage": {"prompt": tokens, "completion": 0},
                "origin": {"http_referer": referer, "app_title": "The App"},
            },
        })]);
    }

    fn ranked_now(store: &Store) -> Rankings {
        block_on(rollup::roll_up(store, Default::default(), NOW)).unwrap();
        block_on(rank(store, NOW)).unwrap()
    }

    fn names(list: &[Ranked]) -> Vec<&str> {
        list.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn nothing_is_ranked_below_the_threshold_of_accounts() {
        let store = Store::new();
        for n in 0..MIN_ACCOUNTS {
            let account = format!("acc{n}");
            used(
                &store,
                &account,
                "m/many",
                Some("https://many.example/x"),
                1_000,
                1,
            );
            if n > 0 {
                used(
                    &store,
                    &account,
                    "m/few",
                    Some("https://few.example"),
                    9_000,
                    1,
                );
            }
        }
        let rankings = ranked_now(&store);
        for window in [&rankings.day, &rankings.week, &rankings.month] {
            assert_eq!(names(&window.models), ["m/many"]);
            assert_eq!(names(&window.apps), ["many.example"]);
            assert_eq!(window.apps[0].title.as_deref(), Some("The App"));
            assert_eq!(
                (window.models[0].tokens, window.models[0].requests),
                (5_000, 5)
            );
        }
        assert_eq!(rankings.daily.len(), 1);
        // The one that was missing joins.
        used(
            &store,
            "acc0",
            "m/few",
            Some("https://few.example"),
            9_000,
            1,
        );
        assert_eq!(names(&ranked_now(&store).day.models), ["m/few", "m/many"]);
    }

    #[test]
    fn executions_of_tools_are_no_models() {
        let store = Store::new();
        for n in 0..MIN_ACCOUNTS {
            let account = format!("acc{n}");
            let app = Some("https://app.example");
            used(&store, &account, "m/model", app, 1_000, 1);
            // A tool counts no tokens.
            used(&store, &account, "mail/send", app, 0, 1);
        }
        assert_eq!(names(&ranked_now(&store).day.models), ["m/model"]);
    }

    #[test]
    fn nothing_is_ranked_that_is_mostly_one_accounts() {
        let store = Store::new();
        for n in 0..MIN_ACCOUNTS {
            used(&store, &format!("acc{n}"), "m/one", None, 100, 1);
        }
        used(&store, "acc0", "m/one", None, 1_500, 1);
        // 1,600 of 2,000 is just what may be.
        assert_eq!(names(&ranked_now(&store).day.models), ["m/one"]);
        used(&store, "acc0", "m/one", None, 1, 1);
        assert_eq!(names(&ranked_now(&store).day.models), [""; 0]);
    }

    #[test]
    fn windows_are_of_completed_days_and_figures_are_round() {
        let store = Store::new();
        for n in 0..MIN_ACCOUNTS {
            let account = format!("acc{n}");
            for (model, tokens, ago) in [
                ("m/today", 1, 0),
                ("m/day", 1_234_567, 1),
                ("m/week", 2, 7),
                ("m/month", 3, 30),
                ("m/old", 4, 31),
            ] {
                used(&store, &account, model, None, tokens, ago);
            }
        }
        let rankings = ranked_now(&store);
        assert_eq!(names(&rankings.day.models), ["m/day"]);
        assert_eq!(names(&rankings.week.models), ["m/day", "m/week"]);
        assert_eq!(
            names(&rankings.month.models),
            ["m/day", "m/month", "m/week"]
        );
        assert_eq!(rankings.day.models[0].tokens, 6_170_000);
        assert_eq!(rankings.day.start_date, rankings.day.end_date);
        assert_eq!(rankings.daily.len(), 3);
    }

    #[test]
    fn apps_that_nobody_else_can_reach_are_not_ranked() {
        let store = Store::new();
        for n in 0..MIN_ACCOUNTS {
            used(
                &store,
                &format!("acc{n}"),
                "m/a",
                Some("http://localhost:3000"),
                100,
                1,
            );
            used(
                &store,
                &format!("acc{n}"),
                "m/a",
                Some("https://app.example"),
                100,
                1,
            );
        }
        assert_eq!(names(&ranked_now(&store).day.apps), ["app.example"]);
    }

    struct Kept(Store, RefCell<Option<String>>);

    impl Database for Kept {
        async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
            self.0.query(sql, params).await
        }
    }

    impl RankingStore for Kept {
        async fn rankings(&self) -> Result<Option<String>> {
            Ok(self.1.borrow().clone())
        }
        async fn keep_rankings(&self, text: &str) -> Result<()> {
            *self.1.borrow_mut() = Some(text.to_owned());
            Ok(())
        }
    }

    #[test]
    fn they_are_published_each_hour_and_where_there_are_none() {
        let kept = Kept(Store::new(), RefCell::default());
        let publish = |now| block_on(super::publish(&kept, now)).unwrap();
        assert!(publish(NOW + 600_000));
        assert!(!publish(NOW + 660_000));
        assert!(publish(NOW + 3_600_000));
        let text = kept.1.borrow().clone().unwrap();
        let read: Rankings = serde_json::from_str(&text).unwrap();
        assert_eq!(read.at, NOW + 3_600_000);
    }
}
