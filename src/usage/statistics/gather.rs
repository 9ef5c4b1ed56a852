//! The cron's work: attempts of new usage rows into spans, spans into one snapshot for every isolate.
//!
//! Each row counts once, whatever fails in between: spans and progress change in one transaction, and only where the progress
//! is still what was read. A run that is cut off repeats nothing and loses nothing; of two at once one does nothing. Rows that
//! arrive late are found by their place in the table, not by their time, and count to the minute in which their attempts ended.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{
    spans::{self, Endpoints, HOUR_MS, LATE_MS, MINUTE_MS, SpanKey, Spans},
    tally::Tally,
};
use crate::{
    credits::sql::SqlValue,
    database::{Row, Transactions},
    error::{Error, Result},
    routing::statistics::Statistics,
    usage::measured::Measured,
};

/// Usage rows read with one statement.
pub const MAX_ROWS: i64 = 1_000;
/// Reads of [`MAX_ROWS`] in one run: what is left waits for the next.
pub const MAX_BATCHES: usize = 20;
/// Where the snapshot is in KV.
pub const SNAPSHOT_KEY: &str = "statistics";
/// The most JSON that one parameter is filled with, half of what D1 takes.
const MAX_PARAM_BYTES: usize = 1_000_000;
/// Rows of one span: an hour of two thousand busy endpoints stays below what D1 takes in one value.
const PARTS: u64 = 4;

const SELECT_PROGRESS: &str = "SELECT through FROM statistics_progress";
const SELECT_SPANS: &str =
    "SELECT length, start, endpoints FROM endpoint_spans WHERE length = ?1 AND start >= ?2";
const SELECT_SOME_SPANS: &str = "
    SELECT length, start, endpoints FROM endpoint_spans
    WHERE length = ?1 AND start IN (SELECT value FROM json_each(?2))";
const SELECT_ROWS: &str = "SELECT seq, attempts FROM usage WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const WRITE_SPANS: &str = "
    INSERT INTO endpoint_spans (length, start, part, endpoints)
    SELECT value ->> '$.length', value ->> '$.start', value ->> '$.part', value -> '$.endpoints' FROM json_each(?1)
    WHERE (SELECT through FROM statistics_progress) = ?2
    ON CONFLICT (length, start, part) DO UPDATE SET endpoints = excluded.endpoints";
const WRITE_PROGRESS: &str =
    "UPDATE statistics_progress SET through = ?1 WHERE through = ?2 RETURNING through";
const PRUNE: &str = "DELETE FROM endpoint_spans WHERE length = ?1 AND start < ?2";

/// Where the snapshot is kept for the isolates.
pub trait SnapshotStore {
    /// The snapshot's text, as old as a minute at the most.
    fn snapshot(&self) -> impl Future<Output = Result<Option<String>>>;

    /// Replaces the snapshot.
    fn keep_snapshot(&self, text: &str) -> impl Future<Output = Result<()>>;

    /// Reports what can be survived.
    fn warn(&self, message: &str);
}

/// What one run did.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Usage rows read.
    pub rows: u64,
    /// Attempts counted.
    pub attempts: u64,
    /// What was published; `None` where nothing has happened for long, or another run was faster.
    pub statistics: Option<Statistics>,
}

/// An attempt as a usage row keeps it.
#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    route: String,
    measured: Option<Measured>,
}

/// One run of the cron.
///
/// # Errors
/// When a store fails: the next run goes on where this one came to.
pub async fn gather<S: Transactions + SnapshotStore>(store: &S, now_ms: i64) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    let mut run = Run::begin(store, now_ms).await?;
    for _ in 0..MAX_BATCHES {
        let rows = run.read().await?;
        gathered.rows += rows.len() as u64;
        let full = rows.len() as i64 >= MAX_ROWS;
        if rows.is_empty() {
            break;
        }
        match run.count(rows).await? {
            Some(attempts) => gathered.attempts += attempts,
            None => return Ok(gathered),
        }
        if !full {
            break;
        }
    }
    run.prune().await?;
    // An idle deployment publishes once an hour, for the sake of its last day.
    let on_the_hour = now_ms.rem_euclid(HOUR_MS) < MINUTE_MS;
    if gathered.rows == 0 && run.spans.is_quiet(now_ms) && !on_the_hour {
        return Ok(gathered);
    }
    let statistics = run.spans.statistics(now_ms);
    let text = serde_json::to_string(&statistics)
        .map_err(|error| Error::internal(format!("the snapshot: {error}")))?;
    store.keep_snapshot(&text).await?;
    gathered.statistics = Some(statistics);
    Ok(gathered)
}

struct Run<'a, S> {
    store: &'a S,
    now_ms: i64,
    through: i64,
    spans: Spans,
    /// Minutes before the last 30 that were asked for.
    loaded: BTreeSet<i64>,
}

impl<'a, S: Transactions + SnapshotStore> Run<'a, S> {
    async fn begin(store: &'a S, now_ms: i64) -> Result<Self> {
        let progress = store.query(SELECT_PROGRESS, &[]).await?;
        let through = progress.first().and_then(|row| integer(row, "through"));
        let mut run = Self {
            store,
            now_ms,
            through: through.ok_or_else(|| Error::internal("no progress of the statistics"))?,
            spans: Spans::default(),
            loaded: BTreeSet::new(),
        };
        for (length, first) in [
            (MINUTE_MS, spans::first_minute(now_ms)),
            (HOUR_MS, spans::first_hour(now_ms)),
        ] {
            let params = [SqlValue::Int(length), SqlValue::Int(first)];
            run.load(&store.query(SELECT_SPANS, &params).await?);
        }
        Ok(run)
    }

    fn load(&mut self, rows: &[Row]) {
        for row in rows {
            let key = integer(row, "length").zip(integer(row, "start"));
            let text = row.get("endpoints").and_then(Value::as_str);
            let Some((key, text)) = key.zip(text) else {
                continue;
            };
            match crate::json::from_str::<Endpoints>(text) {
                Ok(endpoints) => self.spans.load(key, endpoints),
                // Of another version of this program: lost is one span of figures.
                Err(error) => self
                    .store
                    .warn(&format!("span {key:?} begins anew: {error}")),
            }
        }
    }

    async fn read(&self) -> Result<Vec<Row>> {
        let params = [SqlValue::Int(self.through), SqlValue::Int(MAX_ROWS)];
        self.store.query(SELECT_ROWS, &params).await
    }

    /// Adds the attempts of these rows to their spans and keeps them. How many, or `None` where another run was faster.
    async fn count(&mut self, rows: Vec<Row>) -> Result<Option<u64>> {
        let last = rows.last().and_then(|row| integer(row, "seq"));
        let last = last.ok_or_else(|| Error::internal("a usage row without its number"))?;
        let mut attempts = Vec::new();
        for row in &rows {
            let kept = row.get("attempts").and_then(Value::as_str).unwrap_or("[]");
            for attempt in crate::json::from_str::<Vec<Kept>>(kept).unwrap_or_default() {
                if let Some(measured) = attempt.measured
                    && let Some(at) = spans::counted_at(&measured, self.now_ms)
                {
                    attempts.push((attempt.route, measured, at));
                }
            }
        }
        self.load_late(attempts.iter().map(|(.., at)| spans::minute(*at)))
            .await?;
        // Rows of many accounts, each with its own order.
        attempts.sort_by_key(|(.., at)| *at);
        for (route, measured, at) in &attempts {
            self.spans.add(route, measured, *at);
        }
        let kept = self.keep(last).await?;
        Ok(kept.then_some(attempts.len() as u64))
    }

    /// Loads those of these minutes that are older than what every run loads.
    async fn load_late(&mut self, minutes: impl Iterator<Item = i64>) -> Result<()> {
        let first = spans::first_minute(self.now_ms);
        let late: BTreeSet<i64> = minutes
            .filter(|minute| *minute < first && !self.loaded.contains(minute))
            .collect();
        if late.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = late.iter().map(i64::to_string).collect();
        let params = [
            SqlValue::Int(MINUTE_MS),
            SqlValue::Text(format!("[{}]", list.join(","))),
        ];
        let rows = self.store.query(SELECT_SOME_SPANS, &params).await?;
        self.load(&rows);
        self.loaded.extend(late);
        Ok(())
    }

    /// Keeps what has changed and moves on to `last`. Whether that was done.
    async fn keep(&mut self, last: i64) -> Result<bool> {
        let through = SqlValue::Int(self.through);
        let mut statements = Vec::new();
        for param in params(self.spans.take_changed())? {
            statements.push((WRITE_SPANS, vec![SqlValue::Text(param), through.clone()]));
        }
        statements.push((WRITE_PROGRESS, vec![SqlValue::Int(last), through]));
        let written = self.store.transaction(&statements).await?;
        self.through = last;
        Ok(written.last().is_some_and(|rows| !rows.is_empty()))
    }

    /// Forgets what no window reaches and no late row may change any more.
    async fn prune(&self) -> Result<()> {
        let oldest = spans::minute(self.now_ms - LATE_MS);
        let hour = spans::first_hour(self.now_ms);
        let statement =
            |length, before| (PRUNE, vec![SqlValue::Int(length), SqlValue::Int(before)]);
        let statements = [statement(MINUTE_MS, oldest), statement(HOUR_MS, hour)];
        self.store.transaction(&statements).await?;
        Ok(())
    }
}

/// Spans as parameters of [`WRITE_SPANS`], none larger than it should be.
fn params(changed: Vec<(SpanKey, &Endpoints)>) -> Result<Vec<String>> {
    let mut params: Vec<String> = Vec::new();
    let parts = changed.into_iter().flat_map(|(key, endpoints)| {
        let mut parts: BTreeMap<u64, BTreeMap<&str, &Tally>> = BTreeMap::new();
        for (name, tally) in endpoints {
            parts.entry(part(name)).or_default().insert(name, tally);
        }
        parts
            .into_iter()
            .map(move |(part, endpoints)| (key, part, endpoints))
    });
    for ((length, start), part, endpoints) in parts {
        let endpoints = serde_json::to_string(&endpoints)
            .map_err(|error| Error::internal(format!("a span: {error}")))?;
        let row = format!(
            r#"{{"length":{length},"start":{start},"part":{part},"endpoints":{endpoints}}}"#
        );
        match params.last_mut() {
            Some(param) if param.len() + row.len() < MAX_PARAM_BYTES => {
                param.push(',');
                param.push_str(&row);
            }
            _ => params.push(format!("[{row}")),
        }
    }
    for param in &mut params {
        param.push(']');
    }
    Ok(params)
}

/// The part of a span that an endpoint is in.
fn part(name: &str) -> u64 {
    name.bytes().map(u64::from).sum::<u64>() % PARTS
}

fn integer(row: &Row, column: &str) -> Option<i64> {
    row.get(column).and_then(Value::as_i64)
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
