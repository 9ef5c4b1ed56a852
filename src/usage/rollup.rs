//! The cron's sums: raw usage rows into roll-ups per hour, day and end user.
//!
//! Each row counts once, whatever fails in between: sums and progress (`usage.seq`, the order in which D1 took the rows) change
//! in one transaction, and each statement of it finds the same rows, because it reads the progress itself. So a run that is cut off
//! repeats nothing and loses nothing, of two at once the second goes on where the first came to, and a row that arrives late counts
//! to the hour in which its request arrived. Corrections change sums of the hour of their request, and are marked in the same transaction.
//!
//! Raw rows are forgotten after [`Retention::raw_days`]; sums per day stay. Out of scope: asking ([`super::analytics`]).

use super::facts::{DAY_MS, DIMENSIONS, HOUR_MS, MEASURES, RAW, USER_DIMENSIONS};
use crate::{
    credits::sql::SqlValue,
    database::{Row, Statement, Transactions},
    error::{Error, Result},
};

/// Raw rows added up in one transaction.
pub const BATCH: i64 = 2_000;
/// Transactions of one run: what is left waits for the next.
pub const MAX_BATCHES: usize = 25;
/// Corrections added up in one transaction, and in one run.
const CORRECTIONS: i64 = 500;
/// Rows forgotten with one statement.
const FORGET_ROWS: i64 = 1_000;
/// How long a correction waits for its row before it is given up, in milliseconds.
const PATIENCE_MS: i64 = 7 * DAY_MS;
/// Days of roll-ups per hour.
pub const HOURS_DAYS: i64 = 100;
/// Days of roll-ups of end users.
pub const USERS_DAYS: i64 = 400;
/// Days that a title of an app is remembered after it was last sent.
const TITLES_DAYS: i64 = 31;

/// The rows of one batch, as a condition on `seq`.
const SPAN: &str = "
    seq > (SELECT through FROM rollup_progress) AND seq <= (
        SELECT max(seq) FROM (
            SELECT seq FROM usage WHERE seq > (SELECT through FROM rollup_progress) ORDER BY seq LIMIT ?1
        )
    )";
const PROGRESS: &str = "
    UPDATE rollup_progress SET through = COALESCE((
        SELECT max(seq) FROM (
            SELECT seq FROM usage WHERE seq > (SELECT through FROM rollup_progress) ORDER BY seq LIMIT ?1
        )
    ), through) RETURNING through";
const SELECT_PROGRESS: &str = "SELECT through FROM rollup_progress";
const MARK: &str = "
    UPDATE corrections SET counted = 1 WHERE seq IN (SELECT due.seq FROM (
        SELECT corrections.seq FROM corrections JOIN usage ON usage.id = corrections.generation
            AND usage.account = corrections.account AND usage.status <> 'expired'
        WHERE corrections.counted = 0 ORDER BY corrections.seq LIMIT ?1
    ) AS due) RETURNING seq";
const GIVE_UP: &str = "
    UPDATE corrections SET counted = 2 WHERE counted = 0 AND at < ?1 AND NOT EXISTS (
        SELECT 1 FROM usage WHERE usage.id = corrections.generation AND usage.account = corrections.account)";
/// Only rows that everybody has read, and never the last: its number must not be given again.
const FORGET_RAW: &str = "
    DELETE FROM usage WHERE created_at < ?1 AND seq IN (SELECT seq FROM usage ORDER BY seq LIMIT ?2)
        AND seq <= (SELECT through FROM rollup_progress) AND seq <= (SELECT through FROM statistics_progress)
        AND seq < (SELECT max(seq) FROM usage)
    RETURNING 1 AS gone";
const FORGET_HOURS: &str = "
    DELETE FROM usage_rollups WHERE length = 3600000 AND start < ?1 AND start <= (
        SELECT max(start) FROM (SELECT start FROM usage_rollups WHERE length = 3600000 ORDER BY start LIMIT ?2))
    RETURNING 1 AS gone";
const FORGET_USERS: &str = "
    DELETE FROM usage_users WHERE start < ?1 AND start <= (
        SELECT max(start) FROM (SELECT start FROM usage_users ORDER BY start LIMIT ?2))
    RETURNING 1 AS gone";
const FORGET_TITLES: &str = "DELETE FROM app_titles WHERE seen_at < ?1";

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days of raw rows; `None`: for ever.
    pub raw_days: Option<i64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { raw_days: Some(90) }
    }
}

impl Retention {
    /// What `USAGE_RAW_DAYS` says: days, or 0 for ever.
    ///
    /// # Errors
    /// A sentence for the operator where it says neither; a mistake must not delete anything.
    pub fn read(days: Option<&str>) -> std::result::Result<Self, String> {
        let Some(text) = days else {
            return Ok(Self::default());
        };
        match text.trim().parse() {
            Ok(0) => Ok(Self { raw_days: None }),
            // A correction waits a week for its row.
            Ok(days @ 7..=36_500) => Ok(Self {
                raw_days: Some(days),
            }),
            _ => Err(format!(
                "USAGE_RAW_DAYS is 7 or more days, or 0 for ever, not {text}"
            )),
        }
    }
}

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RolledUp {
    /// Batches of raw rows added up.
    pub batches: usize,
    /// Corrections added up.
    pub corrections: usize,
    /// Rows forgotten.
    pub forgotten: usize,
}

/// One run of the cron.
///
/// # Errors
/// When D1 fails: the next run goes on where this one came to.
pub async fn roll_up<S: Transactions>(
    store: &S,
    retention: Retention,
    now_ms: i64,
) -> Result<RolledUp> {
    in_batches(store, retention, now_ms, BATCH).await
}

async fn in_batches<S: Transactions>(
    store: &S,
    retention: Retention,
    now_ms: i64,
    size: i64,
) -> Result<RolledUp> {
    let mut done = RolledUp::default();
    let progress = store.query(SELECT_PROGRESS, &[]).await?;
    let mut through = through(&progress)?;
    let sums = sums();
    for _ in 0..MAX_BATCHES {
        let batch = || vec![SqlValue::Int(size)];
        let mut statements: Vec<Statement<'_>> =
            sums.iter().map(|sql| (sql.as_str(), batch())).collect();
        statements.push((PROGRESS, batch()));
        let rows = store.transaction(&statements).await?;
        let reached = self::through(rows.last().map_or(&[], Vec::as_slice))?;
        if reached == through {
            break;
        }
        through = reached;
        done.batches += 1;
    }
    done.corrections = correct(store, now_ms).await?;
    done.forgotten = forget(store, retention, now_ms).await?;
    Ok(done)
}

fn through(rows: &[Row]) -> Result<i64> {
    let through = rows.first().and_then(|row| row.get("through")?.as_i64());
    through.ok_or_else(|| Error::internal("no progress of the roll-ups"))
}

/// `measure = measure + excluded.measure` for all of them.
fn added() -> String {
    let one = |name: &&str| format!("{name} = {name} + excluded.{name}");
    MEASURES.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn summed() -> String {
    let one = |name: &&str| format!("SUM({name})");
    MEASURES.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The statements that add the facts of a batch to all sums.
fn sums() -> [String; 3] {
    let facts = format!("(SELECT * FROM ({RAW} AND {SPAN}))");
    [
        rollups(&facts),
        users(&facts),
        format!(
            "INSERT INTO app_titles (app, title, account, seen_at)
            SELECT app, app_title, account, max(at) FROM {facts} WHERE app <> '' AND app_title <> ''
            GROUP BY app, app_title, account
            ON CONFLICT DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)"
        ),
    ]
}

fn rollups(facts: &str) -> String {
    let (names, measures) = (DIMENSIONS.join(", "), MEASURES.join(", "));
    format!(
        "INSERT INTO usage_rollups (length, start, account, {names}, {measures})
        SELECT length, at - at % length, account, {names}, {}
        FROM {facts}, (SELECT {HOUR_MS} AS length UNION ALL SELECT {DAY_MS})
        WHERE true GROUP BY length, at - at % length, account, {names}
        ON CONFLICT DO UPDATE SET {}",
        summed(),
        added()
    )
}

fn users(facts: &str) -> String {
    let (names, measures) = (USER_DIMENSIONS.join(", "), MEASURES.join(", "));
    format!(
        "INSERT INTO usage_users (start, account, {names}, {measures})
        SELECT at - at % {DAY_MS}, account, {names}, {}
        FROM {facts} WHERE external_user <> '' GROUP BY at - at % {DAY_MS}, account, {names}
        ON CONFLICT DO UPDATE SET {}",
        summed(),
        added()
    )
}

/// Adds corrections whose row is there to the sums, and marks them.
async fn correct<S: Transactions>(store: &S, now_ms: i64) -> Result<usize> {
    // A correction is a fact without anything but a cost.
    let measures = MEASURES.iter().map(|name| match *name {
        "cost" => "change AS cost".to_owned(),
        name => format!("0 AS {name}"),
    });
    let measures = measures.collect::<Vec<_>>().join(", ");
    let names = DIMENSIONS.join(", ");
    let facts = format!(
        "(SELECT facts.account, at, {names}, external_user, {measures} FROM (
            SELECT corrections.seq AS due, change, facts.* FROM corrections JOIN ({RAW}) AS facts
                ON facts.id = corrections.generation AND facts.account = corrections.account
            WHERE corrections.counted = 0 ORDER BY corrections.seq LIMIT ?1
        ) AS facts)"
    );
    let (rollups, users) = (rollups(&facts), users(&facts));
    let batch = || vec![SqlValue::Int(CORRECTIONS)];
    let statements: [Statement<'_>; 4] = [
        (&rollups, batch()),
        (&users, batch()),
        (MARK, batch()),
        (GIVE_UP, vec![SqlValue::Int(now_ms - PATIENCE_MS)]),
    ];
    let rows = store.transaction(&statements).await?;
    Ok(rows.get(2).map_or(0, Vec::len))
}

async fn forget<S: Transactions>(store: &S, retention: Retention, now_ms: i64) -> Result<usize> {
    let before = |days: i64| SqlValue::Int(now_ms - days * DAY_MS);
    let some = || SqlValue::Int(FORGET_ROWS);
    let mut gone = 0;
    for _ in 0..MAX_BATCHES {
        let mut statements: Vec<Statement<'_>> = vec![
            (FORGET_HOURS, vec![before(HOURS_DAYS), some()]),
            (FORGET_USERS, vec![before(USERS_DAYS), some()]),
        ];
        if let Some(days) = retention.raw_days {
            statements.push((FORGET_RAW, vec![before(days), some()]));
        }
        let rows = store.transaction(&statements).await?;
        gone += rows.iter().map(Vec::len).sum::<usize>();
        let is_full = |rows: &Vec<Row>| rows.len() as i64 >= FORGET_ROWS;
        if !rows.iter().any(is_full) {
            break;
        }
    }
    // A scan of a small table, once an hour.
    if now_ms.rem_euclid(HOUR_MS) < 60_000 {
        store.query(FORGET_TITLES, &[before(TITLES_DAYS)]).await?;
    }
    Ok(gone)
}

#[cfg(test)]
#[path = "rollup_tests.rs"]
mod tests;
