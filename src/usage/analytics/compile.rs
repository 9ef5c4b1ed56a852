//! From a checked question to one statement. Its text is made of the closed tables alone; what a client sent is a parameter.

use serde_json::Value;

use super::{
    Cell, Field, Filter, MAX_RAW_ROWS, Query, Table,
    columns::{Dimension, Format, Granularity},
};
use crate::{
    credits::sql::SqlValue,
    database::{Database, Row},
    error::{Error, Result},
    time::rfc3339,
    usage::facts::{DAY_MS, MEASURES, RAW},
};

/// What a question is put to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Roll-ups of this length that begin at these times.
    Rolled(i64, Vec<i64>),
    /// Roll-ups of end users, of days that begin at these times.
    Users(Vec<i64>),
    /// Raw rows.
    Raw,
}

impl Source {
    /// Its name in answers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rolled(length, _) if *length == DAY_MS => "days",
            Self::Rolled(..) => "hours",
            Self::Users(_) => "external_user_days",
            Self::Raw => "requests",
        }
    }
}

/// A statement with what it needs, and how its rows are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The statement.
    pub sql: String,
    /// Its parameters.
    pub params: Vec<SqlValue>,
    /// What it is put to.
    pub source: Source,
}

impl Compiled {
    /// The time that the answer is about: whole hours or days of roll-ups.
    pub fn reach(&self, query: &Query) -> (i64, i64) {
        let (length, starts) = match &self.source {
            Source::Raw => return (query.start, query.end),
            Source::Rolled(length, starts) => (*length, starts),
            Source::Users(starts) => (DAY_MS, starts),
        };
        let first = starts.first().copied().unwrap_or(query.start);
        let end = starts.last().map_or(query.end, |last| last + length);
        (first, end)
    }
}

/// The text of a statement with its parameters, numbered as they come.
#[derive(Default)]
struct Writer {
    params: Vec<SqlValue>,
}

impl Writer {
    fn param(&mut self, value: impl Into<SqlValue>) -> String {
        self.params.push(value.into());
        format!("?{}", self.params.len())
    }

    /// The facts that the question is about.
    fn facts(&mut self, query: &Query, source: &Source, account: &str) -> String {
        let list = |starts: &[i64]| Value::from(starts.to_vec()).to_string();
        match source {
            Source::Rolled(length, starts) => {
                let length = self.param(*length);
                let starts = self.param(list(starts).as_str());
                let account = self.param(account);
                format!(
                    "(SELECT start AS at, * FROM usage_rollups WHERE length = {length}
                    AND start IN (SELECT value FROM json_each({starts})) AND account = {account})"
                )
            }
            Source::Users(starts) => {
                let starts = self.param(list(starts).as_str());
                let account = self.param(account);
                format!(
                    "(SELECT start AS at, * FROM usage_users
                    WHERE start IN (SELECT value FROM json_each({starts})) AND account = {account})"
                )
            }
            Source::Raw => {
                let account = self.param(account);
                let (start, end) = (self.param(query.start), self.param(query.end));
                let sums = MEASURES.iter().filter(|name| **name != "cost");
                let sums = sums.copied().collect::<Vec<_>>().join(", ");
                format!(
                    "(SELECT at, key_hash, model, provider, endpoint, api_type, app, member, external_user, session_id,
                        status, finish_reason, native_finish_reason, service_tier, data_region, preset, surface,
                        origin, is_streamed, is_cancelled, is_byok, {sums}, cost + COALESCE((
                            SELECT SUM(change) FROM corrections
                            WHERE corrections.generation = facts.id AND corrections.account = facts.account), 0) AS cost
                    FROM ({RAW} AND account = {account} AND created_at >= {start} AND created_at < {end}) AS facts)"
                )
            }
        }
    }

    fn filter(&mut self, of: &Dimension, values: &[String], is_not: bool, unset: bool) -> String {
        let list = Value::from(values.to_vec()).to_string();
        let list = self.param(list.as_str());
        let column = of.column;
        let values = format!("(SELECT value FROM json_each({list}))");
        // Flags are numbers in the store.
        let column = if of.is_flag {
            format!("CAST({column} AS TEXT)")
        } else {
            column.to_owned()
        };
        match (is_not, unset) {
            (false, false) => format!("{column} IN {values}"),
            (false, true) => format!("({column} IN {values} OR {column} = '')"),
            (true, false) => format!("{column} NOT IN {values} AND {column} <> ''"),
            (true, true) => format!("{column} NOT IN {values}"),
        }
    }
}

impl Query {
    /// The statement; `member`: only of this member's requests.
    ///
    /// # Errors
    /// 400 where the time is too long for what can answer.
    pub fn compile(&self, account: &str, member: Option<&str>) -> Result<Compiled> {
        let source = self.source(member.is_some())?;
        let mut writer = Writer::default();
        let facts = writer.facts(self, &source, account);
        let mut conditions = vec!["true".to_owned()];
        let mut having = Vec::new();
        if let Some(member) = member {
            let member = writer.param(member);
            conditions.push(format!("member = {member}"));
        }
        for filter in &self.filters {
            match filter {
                Filter::Values {
                    of,
                    values,
                    is_not,
                    with_unset,
                } => conditions.push(writer.filter(of, values, *is_not, *with_unset)),
                Filter::Compares { of, operator, with } => {
                    let with = writer.param(*with);
                    having.push(format!("{} {} {with}", of.sql, operator.sql()));
                }
            }
        }
        let mut groups = Vec::new();
        let mut selected = Vec::new();
        if let Some(granularity) = self.granularity {
            selected.push(format!("{} AS t", granularity.sql()));
            groups.push("t".to_owned());
        }
        for (at, dimension) in self.dimensions.iter().enumerate() {
            selected.push(format!("{} AS d{at}", dimension.column));
            groups.push(format!("d{at}"));
        }
        for (at, metric) in self.metrics.iter().enumerate() {
            selected.push(format!("{} AS m{at}", metric.sql));
        }
        let mut inner = format!(
            "SELECT {} FROM {facts} WHERE {}",
            selected.join(", "),
            conditions.join(" AND ")
        );
        if !groups.is_empty() {
            inner.push_str(&format!(" GROUP BY {}", groups.join(", ")));
        }
        if !having.is_empty() {
            inner.push_str(&format!(" HAVING {}", having.join(" AND ")));
        }
        let order = self.order(&groups);
        let within = match self.group_limit.filter(|_| !self.dimensions.is_empty()) {
            None => format!("({inner})"),
            Some(most) => {
                let most = writer.param(most);
                let own: Vec<String> = (0..self.dimensions.len())
                    .map(|at| format!("d{at}"))
                    .collect();
                format!(
                    "(SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {order}) AS nth FROM ({inner}))
                    WHERE nth <= {most})",
                    own.join(", ")
                )
            }
        };
        let mut told = groups;
        // Text carries integers exactly.
        told.extend(self.metrics.iter().enumerate().map(|(at, metric)| {
            if metric.format.is_real() {
                format!("m{at} AS v{at}")
            } else {
                format!("CAST(m{at} AS TEXT) AS v{at}")
            }
        }));
        let (limit, offset) = (writer.param(self.limit + 1), writer.param(self.offset));
        let sql = format!(
            "SELECT {} FROM {within} ORDER BY {} LIMIT {limit} OFFSET {offset}",
            told.join(", "),
            order
        );
        Ok(Compiled {
            sql,
            params: writer.params,
            source,
        })
    }

    /// The same order each time: what was asked for, then everything that tells rows apart.
    fn order(&self, groups: &[String]) -> String {
        let mut order = Vec::new();
        if let Some((field, is_descending)) = self.order {
            let column = match field {
                Field::Time => "t".to_owned(),
                Field::Dimension(at) => format!("d{at}"),
                Field::Metric(at) => format!("m{at}"),
            };
            order.push(format!(
                "{column}{}",
                if is_descending { " DESC" } else { "" }
            ));
        } else if self.granularity.is_some() {
            order.push("t".to_owned());
        }
        if self.order.is_none() {
            order.push("m0 DESC".to_owned());
        }
        order.extend(groups.iter().cloned());
        order.join(", ")
    }

    /// Whether raw rows may be asked: a count with an end comes first.
    ///
    /// # Errors
    /// 400 where there are too many, or when D1 fails.
    pub async fn affordable(&self, database: &impl Database, account: &str) -> Result<()> {
        let sql = "SELECT count(*) AS n FROM (
            SELECT 1 FROM usage WHERE account = ?1 AND created_at >= ?2 AND created_at < ?3 LIMIT ?4)";
        let params: [SqlValue; 4] = [
            account.into(),
            self.start.into(),
            self.end.into(),
            (MAX_RAW_ROWS + 1).into(),
        ];
        let rows = database.query(sql, &params).await?;
        let count = rows.first().and_then(|row| row.get("n")?.as_i64());
        if count.unwrap_or(0) <= MAX_RAW_ROWS {
            return Ok(());
        }
        let message = format!(
            "This reads more than {MAX_RAW_ROWS} requests one by one: name a shorter time, or only dimensions that roll-ups have"
        );
        Err(Error::invalid("time_range", message))
    }

    /// Reads the statement's rows. Whether there are more than the limit.
    pub fn read(&self, rows: &[Row]) -> (Table, bool) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut names: Vec<&'static str> = Vec::new();
        names.extend(self.granularity.map(|_| "date"));
        names.extend(self.dimensions.iter().map(|one| one.name));
        names.extend(self.metrics.iter().map(|one| one.name));
        let table = Table {
            columns: names,
            rows: rows.iter().take(limit).map(|row| self.cells(row)).collect(),
        };
        (table, rows.len() > limit)
    }

    fn cells(&self, row: &Row) -> Vec<Cell> {
        let mut cells = Vec::new();
        if let Some(granularity) = self.granularity {
            let at = row.get("t").and_then(Value::as_i64).unwrap_or_default();
            cells.push(Cell::Text(Some(date(granularity, at))));
        }
        for (at, dimension) in self.dimensions.iter().enumerate() {
            let value = row.get(&format!("d{at}"));
            cells.push(if dimension.is_flag {
                Cell::Flag(value.and_then(Value::as_i64) == Some(1))
            } else {
                let text = value
                    .and_then(Value::as_str)
                    .filter(|text| !text.is_empty());
                Cell::Text(text.map(str::to_owned))
            });
        }
        for (at, metric) in self.metrics.iter().enumerate() {
            let value = row.get(&format!("v{at}"));
            let whole = || {
                let text = value.and_then(Value::as_str)?;
                text.parse::<i64>().ok()
            };
            cells.push(match metric.format {
                Format::Number => Cell::Number(whole().unwrap_or_default()),
                Format::Currency => Cell::Dollars(whole().unwrap_or_default()),
                Format::Percent | Format::Latency | Format::Throughput => {
                    Cell::Real(value.and_then(Value::as_f64))
                }
            });
        }
        cells
    }
}

/// A day as its date, anything shorter as its time.
fn date(granularity: Granularity, at: i64) -> String {
    let text = rfc3339(at);
    if granularity < Granularity::Day {
        return text;
    }
    text.get(..10).unwrap_or(&text).to_owned()
}
