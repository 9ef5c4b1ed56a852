//! The tables `destinations` and `dead_letters` of D1: their statements, and rows as records.
//!
//! Each statement of the routes names the account, so that no id of another account's reaches anything. Each statement of a run
//! names the run's lease, so that a run whose lease went to another changes nothing.

use serde_json::{Map, Value};

use super::{
    config::Config,
    kind::Kind,
    rules::Rules,
    trace::{Record, Switches},
};
use crate::{
    credits::sql::SqlValue,
    database::{Database, Row, Statement, Transactions},
    error::{Error, Result},
    identity::own_keys::seal::Binding,
    usage::d1::{SELECT_BY_IDS, SELECT_SINCE, read_generation},
};

/// The most destinations of an account.
pub const MAX_DESTINATIONS: usize = 20;
/// The most dead letters that are kept of one destination.
pub const MAX_LETTERS: i64 = 10_000;

macro_rules! columns {
    () => {
        "id, account, type, name, shown, sealed, enabled, sampling_rate, privacy_mode, api_key_hashes, filter_rules, \
         broadcast_cost, broadcast_cost_allocation, broadcast_identity, broadcast_request_context, created_at, updated_at, \
         through, batch_end, tries, next_at, delivered, rejected, last_success_at, last_error_at, last_error, failing_since, \
         notice"
    };
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM destinations WHERE account = ?1 ORDER BY created_at, id"
);
const GET: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM destinations WHERE account = ?1 AND id = ?2"
);
/// A new destination begins with what happens from now on.
const INSERT: &str = "
    INSERT INTO destinations (
        account, id, type, name, shown, sealed, master, enabled, sampling_rate, privacy_mode, wants_content, api_key_hashes,
        filter_rules, broadcast_cost, broadcast_cost_allocation, broadcast_identity, broadcast_request_context, created_at,
        through
    )
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
        (SELECT coalesce(max(seq), 0) FROM usage))";
/// What is changed is tried at once, also by a run that holds the lease: it works with what it read.
const UPDATE: &str = "
    UPDATE destinations SET
        name = ?3, shown = ?4, sealed = ?5, master = ?6, enabled = ?7, sampling_rate = ?8, privacy_mode = ?9,
        wants_content = ?10, api_key_hashes = ?11, filter_rules = ?12, broadcast_cost = ?13, broadcast_cost_allocation = ?14,
        broadcast_identity = ?15, broadcast_request_context = ?16, updated_at = ?17, tries = 0, next_at = 0,
        failing_since = NULL, notice = CASE WHEN ?7 = 1 THEN NULL ELSE notice END,
        through = CASE WHEN ?18 = 1 THEN (SELECT coalesce(max(seq), 0) FROM usage) ELSE through END,
        batch_end = CASE WHEN ?18 = 1 THEN NULL ELSE batch_end END
    WHERE account = ?1 AND id = ?2";
const DELETE: &str = "DELETE FROM destinations WHERE account = ?1 AND id = ?2";
const DELETE_LETTERS: &str = "
    DELETE FROM dead_letters WHERE account = ?1 AND destination = ?2
        AND (?3 IS NULL OR generation IN (SELECT value FROM json_each(?3))) RETURNING generation";
const LETTERS: &str = "
    SELECT generation, status, reason, tries, created_at, queued FROM dead_letters
    WHERE account = ?1 AND destination = ?2 ORDER BY created_at DESC, generation LIMIT ?3 OFFSET ?4";
const COUNT_LETTERS: &str = "
    SELECT count(*) AS letters, coalesce(sum(queued), 0) AS queued FROM dead_letters
    WHERE account = ?1 AND destination = ?2";
const QUEUE_LETTERS: &str = "
    UPDATE dead_letters SET queued = 1 WHERE account = ?1 AND destination = ?2
        AND (?3 IS NULL OR generation IN (SELECT value FROM json_each(?3))) RETURNING generation";
const DUE_NOW: &str =
    "UPDATE destinations SET tries = 0, next_at = 0 WHERE account = ?1 AND id = ?2";
/// The oldest row still to come, and how many there are, up to a thousand.
const LAG: &str = "
    SELECT count(*) AS pending, min(finished_at) AS oldest FROM (
        SELECT finished_at FROM usage WHERE account = ?1 AND seq > ?2 AND status <> 'expired' ORDER BY seq LIMIT 1000
    )";

/// Takes the destination that waits longest of those with something to do. Parameters: the lease, its end, the time.
const CLAIM: &str = concat!(
    "UPDATE destinations SET lease = ?1, lease_until = ?2, next_at = ?3 WHERE id = (
        SELECT due.id FROM destinations AS due
        WHERE due.enabled = 1 AND due.next_at <= ?3 AND due.lease_until <= ?3 AND due.id NOT IN (SELECT value FROM json_each(?4))
            AND (
                EXISTS (SELECT 1 FROM usage WHERE usage.account = due.account AND usage.seq > due.through)
                OR EXISTS (SELECT 1 FROM dead_letters AS letter WHERE letter.destination = due.id AND letter.queued = 1)
            )
        ORDER BY due.tries > 0, due.next_at LIMIT 1
    ) RETURNING ",
    columns!()
);
const QUEUED: &str = "
    SELECT generation FROM dead_letters WHERE destination = ?1 AND queued = 1 ORDER BY created_at, generation LIMIT ?2";
const PROGRESS: &str = "
    UPDATE destinations SET
        through = max(through, ?3), batch_end = ?4, tries = ?5, next_at = ?6, delivered = delivered + ?7,
        rejected = rejected + ?8, last_success_at = coalesce(?9, last_success_at),
        last_error_at = coalesce(?10, last_error_at), last_error = coalesce(?11, last_error),
        failing_since = CASE WHEN ?9 IS NOT NULL THEN NULL WHEN ?10 IS NOT NULL THEN coalesce(failing_since, ?10) ELSE failing_since END,
        enabled = CASE WHEN ?12 IS NOT NULL THEN 0 ELSE enabled END, notice = coalesce(?12, notice)
    WHERE id = ?1 AND lease = ?2";
const BURY: &str = "
    INSERT INTO dead_letters (destination, generation, account, status, reason, tries, created_at)
    SELECT ?1, value ->> '$.generation', ?3, value ->> '$.status', value ->> '$.reason', value ->> '$.tries', ?4
    FROM json_each(?5)
    WHERE EXISTS (SELECT 1 FROM destinations WHERE id = ?1 AND lease = ?2)
    ON CONFLICT DO UPDATE SET status = excluded.status, reason = excluded.reason, tries = dead_letters.tries + excluded.tries, queued = 0";
const TRIM_LETTERS: &str = "
    DELETE FROM dead_letters WHERE destination = ?1 AND generation IN (
        SELECT generation FROM dead_letters WHERE destination = ?1 ORDER BY created_at DESC, generation LIMIT -1 OFFSET ?2
    )";
const ARRIVED: &str = "
    DELETE FROM dead_letters WHERE destination = ?1 AND generation IN (SELECT value FROM json_each(?3))
        AND EXISTS (SELECT 1 FROM destinations WHERE id = ?1 AND lease = ?2)";
const RELEASE: &str =
    "UPDATE destinations SET lease = NULL, lease_until = 0 WHERE id = ?1 AND lease = ?2";
const KEY_NAMES: &str = "SELECT hash, name FROM api_keys WHERE account = ?1 AND hash IN (SELECT value FROM json_each(?2))";
/// A destination as it is kept.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// Its type.
    pub kind: &'static Kind,
    /// The owner's name for it.
    pub name: String,
    /// Its configuration, masked.
    pub shown: Map<String, Value>,
    /// Its configuration, sealed.
    pub sealed: String,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Which share of sessions goes there, in millionths.
    pub sampling_rate: i64,
    /// Whether neither input nor output goes there.
    pub privacy_mode: bool,
    /// The API keys whose generations go there; all where absent.
    pub api_key_hashes: Option<Vec<String>>,
    /// Its filter rules as they are shown.
    pub filter_rules: Option<Value>,
    /// What is told beside the generation itself.
    pub switches: Switches,
    /// When it was made, unix milliseconds.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: Option<i64>,
    /// How its deliveries go.
    pub state: State,
}

/// How deliveries go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The last usage row that was dealt with.
    pub through: i64,
    /// Where the batch ends that is to be tried again.
    pub batch_end: Option<i64>,
    /// Tries in vain since the last success.
    pub tries: i64,
    /// When the next try is due.
    pub next_at: i64,
    /// Generations that arrived.
    pub delivered: i64,
    /// Spans that the receiver says it refused.
    pub rejected: i64,
    /// When a batch last arrived.
    pub last_success_at: Option<i64>,
    /// When one last did not.
    pub last_error_at: Option<i64>,
    /// Why.
    pub last_error: Option<String>,
    /// Since when none arrives.
    pub failing_since: Option<i64>,
    /// What its owner should know.
    pub notice: Option<String>,
}

impl Destination {
    /// What its sealed configuration is bound to.
    pub fn binding(&self) -> Binding<'_> {
        Binding {
            account: &self.account,
            provider: super::SEALED_AS,
            id: &self.id,
        }
    }

    /// Its rules.
    ///
    /// # Errors
    /// When what is kept is no longer understood.
    pub fn rules(&self) -> Result<Rules> {
        match &self.filter_rules {
            Some(kept) => Rules::read(kept).map(|(rules, _)| rules),
            None => Ok(Rules::default()),
        }
    }

    /// Whether contents have to be kept for it.
    pub fn wants_content(&self) -> bool {
        let by_rule = self.rules().is_ok_and(|rules| rules.read_content());
        !self.privacy_mode || by_rule
    }

    fn from_row(row: &Row) -> Result<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| row.get(name).and_then(Value::as_i64);
        let flag = |name: &str| number(name).map(|flag| flag != 0);
        let json = |name: &str| crate::json::from_str(row.get(name)?.as_str()?).ok();
        let read = || {
            let hashes = match row.get("api_key_hashes")? {
                Value::Null => None,
                value => Some(crate::json::from_str(value.as_str()?).ok()?),
            };
            Some(Self {
                id: text("id")?,
                account: text("account")?,
                kind: Kind::of(&text("type")?)?,
                name: text("name")?,
                shown: crate::json::from_str(&text("shown")?).ok()?,
                sealed: text("sealed")?,
                enabled: flag("enabled")?,
                sampling_rate: number("sampling_rate")?,
                privacy_mode: flag("privacy_mode")?,
                api_key_hashes: hashes,
                filter_rules: json("filter_rules"),
                switches: Switches {
                    cost: flag("broadcast_cost")?,
                    cost_allocation: flag("broadcast_cost_allocation")?,
                    identity: flag("broadcast_identity")?,
                    request_context: flag("broadcast_request_context")?,
                },
                created_at: number("created_at")?,
                updated_at: number("updated_at"),
                state: State {
                    through: number("through")?,
                    batch_end: number("batch_end"),
                    tries: number("tries")?,
                    next_at: number("next_at")?,
                    delivered: number("delivered")?,
                    rejected: number("rejected")?,
                    last_success_at: number("last_success_at"),
                    last_error_at: number("last_error_at"),
                    last_error: text("last_error"),
                    failing_since: number("failing_since"),
                    notice: text("notice"),
                },
            })
        };
        read().ok_or_else(unexpected)
    }

    /// What both writing statements take, from the name on.
    fn settings(&self) -> Result<[SqlValue; 13]> {
        let json = |value: &Option<Value>| value.as_ref().map(Value::to_string);
        let hashes = self.api_key_hashes.as_ref().map(serde_json::to_string);
        let hashes = hashes
            .transpose()
            .map_err(|error| Error::internal(error.to_string()))?;
        let master = self.sealed.split('.').next().unwrap_or_default();
        Ok([
            self.name.as_str().into(),
            Value::Object(self.shown.clone())
                .to_string()
                .as_str()
                .into(),
            self.sealed.as_str().into(),
            master.into(),
            self.enabled.into(),
            self.sampling_rate.into(),
            self.privacy_mode.into(),
            self.wants_content().into(),
            hashes.as_deref().into(),
            json(&self.filter_rules).as_deref().into(),
            self.switches.cost.into(),
            self.switches.cost_allocation.into(),
            self.switches.identity.into(),
        ])
    }
}

/// An account's destinations.
///
/// # Errors
/// When D1 fails or its rows are not of the schema.
pub async fn list(database: &impl Database, account: &str) -> Result<Vec<Destination>> {
    let rows = database.query(LIST, &[account.into()]).await?;
    rows.iter().map(Destination::from_row).collect()
}

/// One destination of an account.
///
/// # Errors
/// As [`list`].
pub async fn get(database: &impl Database, account: &str, id: &str) -> Result<Option<Destination>> {
    let rows = database.query(GET, &[account.into(), id.into()]).await?;
    rows.first().map(Destination::from_row).transpose()
}

/// Keeps a new destination.
///
/// # Errors
/// When D1 fails.
pub async fn insert(database: &impl Database, new: &Destination) -> Result<()> {
    let mut params: Vec<SqlValue> = vec![
        new.account.as_str().into(),
        new.id.as_str().into(),
        new.kind.name.into(),
    ];
    params.extend(new.settings()?);
    params.push(new.switches.request_context.into());
    params.push(new.created_at.into());
    database.query(INSERT, &params).await.map(drop)
}

/// Replaces what its owner says of it. `from_now`: what happened so far does not go there.
///
/// # Errors
/// When D1 fails.
pub async fn update(database: &impl Database, changed: &Destination, from_now: bool) -> Result<()> {
    let mut params: Vec<SqlValue> =
        vec![changed.account.as_str().into(), changed.id.as_str().into()];
    params.extend(changed.settings()?);
    params.push(changed.switches.request_context.into());
    params.push(changed.updated_at.into());
    params.push(from_now.into());
    database.query(UPDATE, &params).await.map(drop)
}

/// Deletes a destination and what was put aside of it.
///
/// # Errors
/// When D1 fails.
pub async fn delete(database: &impl Transactions, account: &str, id: &str) -> Result<()> {
    let letters: Statement<'_> = (
        DELETE_LETTERS,
        vec![account.into(), id.into(), SqlValue::Null],
    );
    let row: Statement<'_> = (DELETE, vec![account.into(), id.into()]);
    database.transaction(&[letters, row]).await.map(drop)
}

/// A generation that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The generation.
    pub generation: String,
    /// The receiver's last status, 0 where there was none.
    pub status: i64,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub tries: i64,
    /// When it was put aside.
    pub created_at: i64,
    /// Whether it will be tried again.
    pub queued: bool,
}

/// What was put aside, the newest first.
///
/// # Errors
/// As [`list`].
pub async fn letters(
    database: &impl Database,
    account: &str,
    id: &str,
    limit: i64,
    offset: i64,
) -> Result<Vec<Letter>> {
    let params = [account.into(), id.into(), limit.into(), offset.into()];
    let rows = database.query(LETTERS, &params).await?;
    let read = |row: &Row| {
        let number = |name: &str| row.get(name).and_then(Value::as_i64);
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Letter {
            generation: text("generation")?,
            status: number("status")?,
            reason: text("reason")?,
            tries: number("tries")?,
            created_at: number("created_at")?,
            queued: number("queued")? != 0,
        })
    };
    rows.iter()
        .map(|row| read(row).ok_or_else(unexpected))
        .collect()
}

/// How many were put aside, and how many of them will be tried again.
///
/// # Errors
/// As [`list`].
pub async fn count_letters(
    database: &impl Database,
    account: &str,
    id: &str,
) -> Result<(i64, i64)> {
    let rows = database
        .query(COUNT_LETTERS, &[account.into(), id.into()])
        .await?;
    let number = |name: &str| rows.first()?.get(name)?.as_i64();
    number("letters")
        .zip(number("queued"))
        .ok_or_else(unexpected)
}

/// Has generations that were put aside tried again: these, or all. How many there are.
///
/// # Errors
/// When D1 fails.
pub async fn queue_letters(
    database: &impl Transactions,
    account: &str,
    id: &str,
    generations: Option<&[String]>,
) -> Result<usize> {
    let queue: Statement<'_> = (
        QUEUE_LETTERS,
        vec![account.into(), id.into(), ids(generations)],
    );
    let due: Statement<'_> = (DUE_NOW, vec![account.into(), id.into()]);
    let rows = database.transaction(&[queue, due]).await?;
    Ok(rows.first().map_or(0, Vec::len))
}

/// Drops generations that were put aside: these, or all. How many there were.
///
/// # Errors
/// When D1 fails.
pub async fn drop_letters(
    database: &impl Database,
    account: &str,
    id: &str,
    generations: Option<&[String]>,
) -> Result<usize> {
    let params = [account.into(), id.into(), ids(generations)];
    Ok(database.query(DELETE_LETTERS, &params).await?.len())
}

fn ids(generations: Option<&[String]>) -> SqlValue {
    match generations {
        Some(ids) => SqlValue::Text(Value::from(ids.to_vec()).to_string()),
        None => SqlValue::Null,
    }
}

/// What is still to come: how many rows (up to a thousand), and when the oldest of them ended.
///
/// # Errors
/// As [`list`].
pub async fn lag(
    database: &impl Database,
    destination: &Destination,
) -> Result<(i64, Option<i64>)> {
    let params = [
        destination.account.as_str().into(),
        destination.state.through.into(),
    ];
    let rows = database.query(LAG, &params).await?;
    let number = |name: &str| rows.first()?.get(name)?.as_i64();
    Ok((number("pending").ok_or_else(unexpected)?, number("oldest")))
}

/// Takes the next destination that has something to do; none of `done`.
///
/// # Errors
/// As [`list`].
pub async fn claim(
    database: &impl Database,
    lease: &str,
    until: i64,
    now: i64,
    done: &[String],
) -> Result<Option<Destination>> {
    let done = Value::from(done.to_vec()).to_string();
    let params = [lease.into(), until.into(), now.into(), done.as_str().into()];
    let rows = database.query(CLAIM, &params).await?;
    rows.first().map(Destination::from_row).transpose()
}

/// Gives a destination back.
///
/// # Errors
/// When D1 fails.
pub async fn release(database: &impl Database, id: &str, lease: &str) -> Result<()> {
    database
        .query(RELEASE, &[id.into(), lease.into()])
        .await
        .map(drop)
}

/// The next rows of an account after `after`, up to `to`: each with its place in the order.
///
/// # Errors
/// As [`list`].
pub async fn rows_since(
    database: &impl Database,
    account: &str,
    after: i64,
    to: Option<i64>,
    limit: i64,
) -> Result<Vec<Record>> {
    let params = [
        account.into(),
        after.into(),
        to.unwrap_or(i64::MAX >> 10).into(),
        limit.into(),
    ];
    let rows = database.query(SELECT_SINCE, &params).await?;
    rows.iter().map(record).collect()
}

/// The rows of letters that are to be tried again; and the letters whose rows are gone.
///
/// # Errors
/// As [`list`].
pub async fn queued(
    database: &impl Database,
    destination: &Destination,
    limit: i64,
) -> Result<(Vec<Record>, Vec<String>)> {
    let params = [destination.id.as_str().into(), limit.into()];
    let rows = database.query(QUEUED, &params).await?;
    let wanted: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(row.get("generation")?.as_str()?.to_owned()))
        .collect();
    if wanted.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let params = [destination.account.as_str().into(), ids(Some(&wanted))];
    let rows = database.query(SELECT_BY_IDS, &params).await?;
    let found: Vec<Record> = rows.iter().map(record).collect::<Result<_>>()?;
    let is_there = |id: &String| found.iter().any(|record| record.generation.id == *id);
    let gone = wanted.into_iter().filter(|id| !is_there(id)).collect();
    Ok((found, gone))
}

fn record(row: &Row) -> Result<Record> {
    let seq = row
        .get("seq")
        .and_then(Value::as_i64)
        .ok_or_else(unexpected)?;
    let text = row
        .get("generation")
        .and_then(Value::as_str)
        .ok_or_else(unexpected)?;
    let generation =
        read_generation(text).map_err(|error| Error::internal(format!("a usage row: {error}")))?;
    let trace = generation.row.origin.trace.as_deref();
    let trace = trace.and_then(|trace| crate::json::from_str(trace).ok());
    Ok(Record {
        seq,
        generation,
        key_name: String::new(),
        content: Default::default(),
        trace: trace.unwrap_or_default(),
    })
}

/// The names of keys, by their hashes.
///
/// # Errors
/// When D1 fails.
pub async fn key_names(
    database: &impl Database,
    account: &str,
    hashes: &[String],
) -> Result<Vec<(String, String)>> {
    let rows = database
        .query(KEY_NAMES, &[account.into(), ids(Some(hashes))])
        .await?;
    let text = |row: &Row, name: &str| Some(row.get(name)?.as_str()?.to_owned());
    Ok(rows
        .iter()
        .filter_map(|row| text(row, "hash").zip(text(row, "name")))
        .collect())
}

/// A generation that will not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// The generation.
    pub generation: String,
    /// The receiver's status, 0 where there was none.
    pub status: u16,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub tries: i64,
}

/// What a piece of a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last row that was dealt with.
    pub through: i64,
    /// Where the batch ends that is to be tried again.
    pub batch_end: Option<i64>,
    /// Tries in vain since the last success.
    pub tries: i64,
    /// When the next one is due.
    pub next_at: i64,
    /// Generations that arrived.
    pub delivered: i64,
    /// Spans that were refused.
    pub rejected: i64,
    /// When a batch arrived.
    pub success_at: Option<i64>,
    /// When one did not, and why.
    pub error: Option<(i64, String)>,
    /// The destination is switched off, with this notice.
    pub notice: Option<String>,
    /// What is put aside.
    pub dead: Vec<Dead>,
    /// Letters that arrived.
    pub arrived: Vec<String>,
}

/// Keeps what a piece of a run came to, if its lease still holds.
///
/// # Errors
/// When D1 fails: the same will be sent again.
pub async fn keep(
    database: &impl Transactions,
    destination: &Destination,
    lease: &str,
    progress: &Progress,
    now: i64,
) -> Result<()> {
    let id = destination.id.as_str();
    let error = progress.error.as_ref();
    let mut statements: Vec<Statement<'_>> = vec![(
        PROGRESS,
        vec![
            id.into(),
            lease.into(),
            progress.through.into(),
            progress.batch_end.into(),
            progress.tries.into(),
            progress.next_at.into(),
            progress.delivered.into(),
            progress.rejected.into(),
            progress.success_at.into(),
            error.map(|(at, _)| *at).into(),
            error.map(|(_, reason)| reason.as_str()).into(),
            progress.notice.as_deref().into(),
        ],
    )];
    if !progress.dead.is_empty() {
        let dead = progress.dead.iter().map(|dead| {
            serde_json::json!({"generation": dead.generation, "status": dead.status, "reason": dead.reason, "tries": dead.tries})
        });
        let dead = Value::Array(dead.collect()).to_string();
        let account = destination.account.as_str();
        let bury = vec![
            id.into(),
            lease.into(),
            account.into(),
            now.into(),
            dead.as_str().into(),
        ];
        statements.push((BURY, bury));
        statements.push((TRIM_LETTERS, vec![id.into(), MAX_LETTERS.into()]));
    }
    if !progress.arrived.is_empty() {
        statements.push((
            ARRIVED,
            vec![id.into(), lease.into(), ids(Some(&progress.arrived))],
        ));
    }
    database.transaction(&statements).await.map(drop)
}

/// The opened configuration.
///
/// # Errors
/// When it does not open, or is none.
pub fn open(
    destination: &Destination,
    ring: &crate::identity::own_keys::seal::Keyring,
) -> Result<Config> {
    let text = ring.open(&destination.binding(), &destination.sealed);
    let text = text.map_err(|error| {
        Error::internal(format!(
            "destination {} does not open: {error}",
            destination.id
        ))
    })?;
    Config::from_text(&text)
}

fn unexpected() -> Error {
    Error::internal("a row of destinations or dead_letters does not have the columns of the schema")
}
