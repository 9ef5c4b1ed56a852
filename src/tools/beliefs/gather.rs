//! The cron's work: what new usage rows of executions and new reports say, into records; everybody's records into one snapshot.
//!
//! Each row and each report counts once, whatever fails in between: records, shares and progress change in one transaction, and only where
//! the progress is still what was read. An account tells everybody at most [`SHARE_PER_HOUR`] times an hour of an operation; itself it
//! tells everything.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::{
    book::{Book, HOUR_MS, SHARE_PER_HOUR},
    record::Record,
};
use crate::{
    credits::sql::SqlValue,
    database::{Row, Transactions},
    error::{Error, Result},
    usage::{Attempt, measured::Verdict, observed::Observed},
};

/// Usage rows, and reports, read in one run: what is left waits for the next.
pub const MAX_ROWS: i64 = 500;
/// Where the snapshot is in KV.
pub const SNAPSHOT_KEY: &str = "tool-beliefs";
/// The account of everybody's records.
pub const EVERYBODY: &str = "";
/// Hours for which shares are remembered: rows may come late.
const SHARES_KEPT_HOURS: i64 = 48;
/// Days after which what an account itself saw of an operation is forgotten, if it has not called it since.
const FORGOTTEN_DAYS: i64 = 90;

const SELECT_PROGRESS: &str = "
    SELECT rows_through, reports_through, COALESCE((SELECT MAX(seq) FROM usage), 0) AS newest FROM tool_belief_progress";
const SELECT_ROWS: &str = "
    SELECT seq, account, attempts FROM usage
    WHERE seq > ?1 AND seq <= ?2 AND api_type = 'tool' ORDER BY seq LIMIT ?3";
const SELECT_REPORTS: &str = "
    SELECT seq, account, tool, category, outcome, before, created_at FROM tool_reports WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const SELECT_RECORDS: &str = "
    SELECT account, tool, record FROM tool_beliefs
    WHERE (account, tool) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
const SELECT_SHARES: &str = "
    SELECT hour, account, tool, counted FROM tool_belief_shares
    WHERE (hour, account, tool) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))";
const SELECT_OF_ACCOUNT: &str = "SELECT tool, record FROM tool_beliefs WHERE account = ?1";
const WRITE_RECORDS: &str = "
    INSERT INTO tool_beliefs (account, tool, record, updated_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, ?2 FROM json_each(?1)
    WHERE (SELECT rows_through + reports_through FROM tool_belief_progress) = ?3
    ON CONFLICT (account, tool) DO UPDATE SET record = excluded.record, updated_at = excluded.updated_at";
const WRITE_SHARES: &str = "
    INSERT INTO tool_belief_shares (hour, account, tool, counted)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1)
    WHERE (SELECT rows_through + reports_through FROM tool_belief_progress) = ?2
    ON CONFLICT (hour, account, tool) DO UPDATE SET counted = excluded.counted";
// Both only grow, so their sum tells whether either has moved.
const WRITE_PROGRESS: &str = "
    UPDATE tool_belief_progress SET rows_through = ?1, reports_through = ?2
    WHERE rows_through + reports_through = ?3 RETURNING only";
const PRUNE_SHARES: &str = "DELETE FROM tool_belief_shares WHERE hour < ?1";
const PRUNE_RECORDS: &str = "DELETE FROM tool_beliefs WHERE account <> '' AND updated_at < ?1";

/// Where the snapshot is kept for the isolates.
pub trait BeliefStore: Transactions {
    /// The snapshot's text.
    fn beliefs_text(&self) -> impl Future<Output = Result<Option<String>>>;

    /// Replaces the snapshot.
    fn keep_beliefs(&self, text: &str) -> impl Future<Output = Result<()>>;
}

/// What one run did.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Observations and reports taken in.
    pub taken: u64,
    /// What was published; `None` where nothing was new, or another run was faster.
    pub book: Option<Book>,
}

/// Records by account and operation.
type Records = BTreeMap<(String, String), Record>;
/// Counts by hour, account and operation.
type Shares = BTreeMap<(i64, String, String), u32>;

/// A row or a report.
enum News {
    Seen(Observed),
    Report {
        good: bool,
        before: Verdict,
        observed: Observed,
    },
}

impl News {
    fn observed(&self) -> &Observed {
        match self {
            Self::Seen(observed) | Self::Report { observed, .. } => observed,
        }
    }
}

/// One run of the cron.
///
/// # Errors
/// When a store fails: the next run goes on where this one came to.
pub async fn gather<S: BeliefStore>(store: &S, now_ms: i64) -> Result<Gathered> {
    let progress = store.query(SELECT_PROGRESS, &[]).await?;
    let progress = progress
        .first()
        .ok_or_else(|| Error::internal("no progress of the beliefs"))?;
    let (rows_through, reports_through) = (
        integer(progress, "rows_through"),
        integer(progress, "reports_through"),
    );
    let newest = integer(progress, "newest");
    let rows = [rows_through.into(), newest.into(), MAX_ROWS.into()];
    let rows = store.query(SELECT_ROWS, &rows).await?;
    let reports = store
        .query(SELECT_REPORTS, &[reports_through.into(), MAX_ROWS.into()])
        .await?;
    // Rows of other kinds between them need not be read again.
    let is_full = i64::try_from(rows.len()).is_ok_and(|n| n >= MAX_ROWS);
    let last_row = if is_full {
        rows.last().map_or(newest, |row| integer(row, "seq"))
    } else {
        newest.max(rows_through)
    };
    let last_report = reports
        .last()
        .map_or(reports_through, |row| integer(row, "seq"));
    if (last_row, last_report) == (rows_through, reports_through) {
        return Ok(Gathered::default());
    }
    let mut news: Vec<(String, News)> = rows
        .iter()
        .flat_map(seen_in)
        .chain(reports.iter().filter_map(reported_in))
        .collect();
    news.sort_by_key(|(_, news)| news.observed().ended_at);
    let (mut records, mut shares) = load(store, &news, now_ms).await?;
    let prior = |records: &Records, category: &str| {
        super::book::prior(
            records
                .iter()
                .filter(|((account, _), record)| account.is_empty() && record.category == category)
                .map(|(_, record)| record),
        )
    };
    for (account, news) in &news {
        let seen = news.observed();
        let belief = prior(&records, &seen.category);
        let share = shares
            .entry((hour(seen, now_ms), account.clone(), seen.tool.clone()))
            .or_default();
        let counts = take_share(share, seen.verdict);
        for (whose, counts) in [(account.as_str(), true), (EVERYBODY, counts)] {
            let record = records
                .entry((whose.to_owned(), seen.tool.clone()))
                .or_default();
            match news {
                News::Seen(observed) => record.observe(observed, counts, belief),
                News::Report { good, before, .. } if counts => {
                    record.report(*good, *before, belief)
                }
                News::Report { .. } => {}
            }
        }
    }
    let through = SqlValue::Int(rows_through + reports_through);
    let records_text: Vec<Value> = records
        .iter()
        .map(|((account, tool), record)| Ok(json!([account, tool, text(record)?])))
        .collect::<Result<_>>()?;
    let shares_text: Vec<Value> = shares
        .iter()
        .map(|((hour, account, tool), counted)| json!([hour, account, tool, counted]))
        .collect();
    let written = store
        .transaction(&[
            (
                WRITE_RECORDS,
                vec![list(records_text), now_ms.into(), through.clone()],
            ),
            (WRITE_SHARES, vec![list(shares_text), through.clone()]),
            (
                WRITE_PROGRESS,
                vec![last_row.into(), last_report.into(), through],
            ),
            (
                PRUNE_SHARES,
                vec![(now_ms.div_euclid(HOUR_MS) - SHARES_KEPT_HOURS).into()],
            ),
            (
                PRUNE_RECORDS,
                vec![(now_ms - FORGOTTEN_DAYS * 24 * HOUR_MS).into()],
            ),
        ])
        .await?;
    let is_kept = written.get(2).is_some_and(|rows| !rows.is_empty());
    if !is_kept || news.is_empty() {
        return Ok(Gathered::default());
    }
    let book = Book {
        gathered_at: u64::try_from(now_ms).unwrap_or_default(),
        records: of_account(store, EVERYBODY).await?,
    };
    store.keep_beliefs(&text(&book)?).await?;
    Ok(Gathered {
        taken: news.len() as u64,
        book: Some(book),
    })
}

/// What an account saw of each operation itself.
///
/// # Errors
/// Those of the store.
pub async fn own_records<S: Transactions>(
    store: &S,
    account: &str,
) -> Result<HashMap<String, Record>> {
    of_account(store, account).await
}

async fn of_account<S: Transactions>(store: &S, account: &str) -> Result<HashMap<String, Record>> {
    let rows = store.query(SELECT_OF_ACCOUNT, &[account.into()]).await?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((word(row, "tool")?, record(row)?)))
        .collect())
}

/// Everything of `news` that is on record, and all of everybody's in their categories (their means are the priors).
async fn load<S: Transactions>(
    store: &S,
    news: &[(String, News)],
    now_ms: i64,
) -> Result<(Records, Shares)> {
    let mut records = Records::new();
    for (tool, record) in of_account(store, EVERYBODY).await? {
        records.insert((EVERYBODY.to_owned(), tool), record);
    }
    let own: Vec<Value> = news
        .iter()
        .map(|(account, news)| json!([account, news.observed().tool]))
        .collect();
    for row in store.query(SELECT_RECORDS, &[list(own)]).await? {
        if let (Some(account), Some(tool), Some(record)) =
            (word(&row, "account"), word(&row, "tool"), record(&row))
        {
            records.insert((account, tool), record);
        }
    }
    let hours: Vec<Value> = news
        .iter()
        .map(|(account, news)| {
            json!([hour(news.observed(), now_ms), account, news.observed().tool])
        })
        .collect();
    let rows = store.query(SELECT_SHARES, &[list(hours)]).await?;
    let shares = rows.iter().filter_map(|row| {
        let counted = u32::try_from(integer(row, "counted")).unwrap_or(u32::MAX);
        Some((
            (
                integer(row, "hour"),
                word(row, "account")?,
                word(row, "tool")?,
            ),
            counted,
        ))
    });
    Ok((records, shares.collect()))
}

/// Whether an observation counts for everybody too; it uses up a part of the account's share.
pub fn take_share(share: &mut u32, verdict: Verdict) -> bool {
    if verdict == Verdict::Unknown {
        return true;
    }
    *share = share.saturating_add(1);
    *share <= SHARE_PER_HOUR
}

/// The hour of an observation. No clock is trusted beyond the cron's own.
fn hour(seen: &Observed, now_ms: i64) -> i64 {
    seen.ended_at.min(now_ms).div_euclid(HOUR_MS)
}

fn seen_in(row: &Row) -> Vec<(String, News)> {
    let account = word(row, "account").unwrap_or_default();
    let attempts = row.get("attempts").and_then(Value::as_str).unwrap_or("[]");
    let attempts: Vec<Attempt> = crate::json::from_str(attempts).unwrap_or_default();
    let observed = attempts.into_iter().filter_map(|attempt| attempt.observed);
    observed
        .map(|observed| (account.clone(), News::Seen(observed)))
        .collect()
}

fn reported_in(row: &Row) -> Option<(String, News)> {
    let before = Value::String(word(row, "before")?);
    let before = crate::json::from_value(&before).unwrap_or_default();
    let observed = Observed {
        tool: word(row, "tool")?,
        category: word(row, "category")?,
        ended_at: integer(row, "created_at"),
        // So that it uses up a part of the share.
        verdict: Verdict::Ok,
        ..Observed::default()
    };
    let good = word(row, "outcome")? == "success";
    Some((
        word(row, "account")?,
        News::Report {
            good,
            before,
            observed,
        },
    ))
}

fn record(row: &Row) -> Option<Record> {
    // Of another version of this program: lost is one record.
    crate::json::from_str(row.get("record")?.as_str()?).ok()
}

fn text(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(format!("beliefs: {error}")))
}

fn list(values: Vec<Value>) -> SqlValue {
    SqlValue::Text(Value::Array(values).to_string())
}

fn word(row: &Row, column: &str) -> Option<String> {
    Some(row.get(column)?.as_str()?.to_owned())
}

fn integer(row: &Row, column: &str) -> i64 {
    row.get(column).and_then(Value::as_i64).unwrap_or_default()
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
