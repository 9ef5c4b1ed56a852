//! Questions about usage: metrics by dimensions, over time, of one account.
//!
//! A question is checked against closed tables of metrics and dimensions ([`columns`]) and becomes one statement ([`compile`])
//! whose text holds nothing of the client's: values are parameters. It is put to the smallest source that can answer: roll-ups
//! per day or hour, roll-ups of end users, or raw rows. What it may cost is bounded: by the length of its time, the number of
//! its rows, and for raw rows by a count that comes first ([`MAX_RAW_ROWS`]).
//!
//! Roll-ups answer for whole hours or days: a time that is not aligned is widened, and the answer tells which was meant.
//! Out of scope: routes (`api::analytics`), adding up ([`super::rollup`]). Spec: OpenRouter's `/analytics/query`.

pub mod columns;
mod compile;
mod table;

use serde::Deserialize;
use serde_json::Value;

use super::{
    facts::{DAY_MS, DIMENSIONS, HOUR_MS, USER_DIMENSIONS},
    rollup::HOURS_DAYS,
};
use crate::{
    error::{Error, Result},
    time::parse_rfc3339,
};
use columns::{Dimension, Granularity, Metric, Operator};
pub use compile::{Compiled, Source};
pub use table::{Cell, Table};

/// Raw rows that one question may read.
pub const MAX_RAW_ROWS: i64 = 200_000;
/// Days of raw rows that one question may span.
pub const MAX_RAW_DAYS: i64 = 31;
/// Days that a question by the minute may span.
const MAX_MINUTES_DAYS: i64 = 1;
/// Days of roll-ups per day that one question may span.
const MAX_DAYS: i64 = 3_660;
/// Days that are asked about where the client names no time.
const DEFAULT_DAYS: i64 = 30;
/// End users' roll-ups are per day: shorter times are asked of raw rows.
const LEAST_USER_DAYS: i64 = 3;
/// Rows of an answer where the client names no limit, and the most.
const DEFAULT_LIMIT: i64 = 1_000;
/// The most rows of one answer.
pub const MAX_LIMIT: i64 = 10_000;
const MAX_METRICS: usize = 20;
const MAX_DIMENSIONS: usize = 6;
const MAX_FILTERS: usize = 20;
const MAX_VALUES: usize = 100;
const MAX_TEXT: usize = 256;

/// A question as clients send it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    metrics: Vec<String>,
    #[serde(default)]
    dimensions: Vec<String>,
    #[serde(default)]
    filters: Vec<AskedFilter>,
    granularity: Option<String>,
    time_range: Option<AskedRange>,
    order_by: Option<AskedOrder>,
    limit: Option<i64>,
    offset: Option<i64>,
    group_limit: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedFilter {
    field: String,
    operator: String,
    value: Value,
    #[serde(default)]
    include_unset: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedRange {
    start: String,
    end: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedOrder {
    field: String,
    direction: String,
}

/// What rows are chosen by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    /// A dimension has one of these values, or none of them.
    Values {
        of: &'static Dimension,
        values: Vec<String>,
        is_not: bool,
        with_unset: bool,
    },
    /// A metric of the answer compares so with a number.
    Compares {
        of: &'static Metric,
        operator: Operator,
        with: i64,
    },
}

/// What an answer is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Time,
    Dimension(usize),
    Metric(usize),
}

/// A question that can be put.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub(crate) metrics: Vec<&'static Metric>,
    pub(crate) dimensions: Vec<&'static Dimension>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) granularity: Option<Granularity>,
    /// What is asked about, unix milliseconds.
    pub start: i64,
    /// Its end, not part of it.
    pub end: i64,
    pub(crate) order: Option<(Field, bool)>,
    /// Rows of the answer.
    pub limit: i64,
    /// Rows that are passed over.
    pub offset: i64,
    pub(crate) group_limit: Option<i64>,
}

fn wrong(path: impl Into<String>, message: impl Into<String>) -> Error {
    Error::invalid(path, message)
}

fn unknown(path: String, what: &str, name: &str) -> Error {
    wrong(
        path,
        format!("There is no {what} {name}: GET /analytics/meta lists them"),
    )
}

impl Asked {
    /// Checks a question.
    ///
    /// # Errors
    /// 400 with the path of what is wrong.
    pub fn check(self, now_ms: i64) -> Result<Query> {
        let metrics = named(&self.metrics, "metrics", MAX_METRICS, columns::metric)?;
        if metrics.is_empty() {
            return Err(wrong("metrics", "Name at least one metric"));
        }
        let dimensions = named(
            &self.dimensions,
            "dimensions",
            MAX_DIMENSIONS,
            columns::dimension,
        )?;
        let granularity = match &self.granularity {
            None => None,
            Some(word) => Some(
                Granularity::parse(word)
                    .ok_or_else(|| unknown("granularity".to_owned(), "granularity", word))?,
            ),
        };
        if self.filters.len() > MAX_FILTERS {
            return Err(wrong("filters", format!("At most {MAX_FILTERS} filters")));
        }
        let filters = self.filters.into_iter().enumerate();
        let filters = filters.map(|(at, filter)| filter.check(&format!("filters.{at}")));
        let filters = filters.collect::<Result<Vec<_>>>()?;
        let (start, end) = match &self.time_range {
            None => (now_ms - DEFAULT_DAYS * DAY_MS, now_ms),
            Some(range) => (
                instant("time_range.start", &range.start)?,
                instant("time_range.end", &range.end)?,
            ),
        };
        if start >= end {
            return Err(wrong("time_range", "The time ends before it begins"));
        }
        let order = self.order_by.map(|order| {
            let is_descending = match order.direction.as_str() {
                "asc" => false,
                "desc" => true,
                _ => return Err(wrong("order_by.direction", "asc or desc")),
            };
            let metric = metrics.iter().position(|one| one.name == order.field);
            let dimension = dimensions.iter().position(|one| one.is_named(&order.field));
            let is_time = matches!(order.field.as_str(), "date" | "time") && granularity.is_some();
            let field = match (metric, dimension, is_time) {
                (Some(at), ..) => Field::Metric(at),
                (_, Some(at), _) => Field::Dimension(at),
                (.., true) => Field::Time,
                _ => {
                    let message = "Order by date, or by a metric or dimension of the question";
                    return Err(wrong("order_by.field", message));
                }
            };
            Ok((field, is_descending))
        });
        Ok(Query {
            metrics,
            dimensions,
            filters,
            granularity,
            start,
            end,
            order: order.transpose()?,
            limit: bounded("limit", self.limit, DEFAULT_LIMIT, 1, MAX_LIMIT)?,
            offset: bounded("offset", self.offset, 0, 0, 1_000_000)?,
            group_limit: match self.group_limit {
                None => None,
                some => Some(bounded("group_limit", some, 1, 1, MAX_LIMIT)?),
            },
        })
    }
}

fn bounded(path: &str, asked: Option<i64>, otherwise: i64, least: i64, most: i64) -> Result<i64> {
    let value = asked.unwrap_or(otherwise);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(wrong(path, format!("{path} is {least} to {most}")))
}

fn instant(path: &str, text: &str) -> Result<i64> {
    // A day is its beginning.
    let day = format!("{text}T00:00:00Z");
    let at = parse_rfc3339(text).or_else(|| parse_rfc3339(&day));
    at.filter(|at| *at >= 0)
        .ok_or_else(|| wrong(path, "Send a UTC time such as 2027-01-31T00:00:00Z"))
}

/// The columns of these names, none twice.
fn named<T: PartialEq>(
    names: &[String],
    path: &str,
    most: usize,
    find: impl Fn(&str) -> Option<&'static T>,
) -> Result<Vec<&'static T>> {
    if names.len() > most {
        return Err(wrong(path, format!("At most {most} {path}")));
    }
    let mut found: Vec<&'static T> = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let path = format!("{path}.{at}");
        let one = find(name).ok_or_else(|| {
            let what = path.split('.').next().unwrap_or_default();
            unknown(path.clone(), what.trim_end_matches('s'), name)
        })?;
        if found.contains(&one) {
            return Err(wrong(path, format!("{name} is named twice")));
        }
        found.push(one);
    }
    Ok(found)
}

impl AskedFilter {
    fn check(self, path: &str) -> Result<Filter> {
        let operator = Operator::parse(&self.operator)
            .ok_or_else(|| unknown(format!("{path}.operator"), "operator", &self.operator))?;
        if operator.compares() {
            let of = columns::metric(&self.field).ok_or_else(|| {
                let message = format!("{} compares metrics only", self.operator);
                wrong(format!("{path}.field"), message)
            })?;
            let with = of.number(&self.value).ok_or_else(|| {
                let message = "Send a number that this metric can be compared with";
                wrong(format!("{path}.value"), message)
            })?;
            return Ok(Filter::Compares { of, operator, with });
        }
        let of = columns::dimension(&self.field)
            .ok_or_else(|| unknown(format!("{path}.field"), "dimension", &self.field))?;
        let is_list = matches!(operator, Operator::In | Operator::NotIn);
        let values = match self.value {
            Value::Array(values) if is_list => values,
            value if !is_list && !value.is_array() => vec![value],
            _ => {
                let message = "in and not_in take a list, eq and neq one value";
                return Err(wrong(format!("{path}.value"), message));
            }
        };
        if values.is_empty() || values.len() > MAX_VALUES {
            let message = format!("1 to {MAX_VALUES} values");
            return Err(wrong(format!("{path}.value"), message));
        }
        let values = values.iter().enumerate().map(|(at, value)| {
            let text = of.text(value).filter(|text| text.len() <= MAX_TEXT);
            text.ok_or_else(|| {
                let message = format!("no value of {}", of.name);
                wrong(format!("{path}.value.{at}"), message)
            })
        });
        Ok(Filter::Values {
            of,
            values: values.collect::<Result<_>>()?,
            is_not: matches!(operator, Operator::NotIn | Operator::Neq),
            with_unset: self.include_unset,
        })
    }
}

impl Query {
    /// The smallest source that can answer; `of_member`: only one member's usage is asked about.
    ///
    /// # Errors
    /// 400 where the time is too long for it.
    pub fn source(&self, of_member: bool) -> Result<Source> {
        let filtered = self.filters.iter().filter_map(|filter| match filter {
            Filter::Values { of, .. } => Some(*of),
            Filter::Compares { .. } => None,
        });
        let dimensions: Vec<&Dimension> = self.dimensions.iter().copied().chain(filtered).collect();
        let compared = self.filters.iter().filter_map(|filter| match filter {
            Filter::Compares { of, .. } => Some(*of),
            Filter::Values { .. } => None,
        });
        let mut metrics = self.metrics.iter().copied().chain(compared);
        let is_summed = metrics.all(|metric| !metric.is_raw);
        let are_within = |known: &[&str]| {
            dimensions
                .iter()
                .all(|one| known.contains(&one.column) || one.is_constant())
        };
        let granularity = self.granularity;
        let days = days(self.end - self.start);
        let by_day = granularity.is_none_or(|one| one >= Granularity::Day);
        if granularity == Some(Granularity::Minute) && days > MAX_MINUTES_DAYS {
            let message = format!("By the minute, at most {MAX_MINUTES_DAYS} day");
            return Err(wrong("time_range", message));
        }
        if is_summed && granularity != Some(Granularity::Minute) && are_within(&DIMENSIONS) {
            let by_hour = match granularity {
                Some(one) => one == Granularity::Hour,
                None => days <= MAX_RAW_DAYS,
            };
            let (length, most) = if by_hour {
                (HOUR_MS, HOURS_DAYS)
            } else {
                (DAY_MS, MAX_DAYS)
            };
            return self.rolled(length, days, most, Source::Rolled);
        }
        let is_long = days >= LEAST_USER_DAYS && by_day;
        if is_summed && is_long && !of_member && are_within(&USER_DIMENSIONS) {
            return self.rolled(DAY_MS, days, MAX_DAYS, |_, starts| Source::Users(starts));
        }
        if days > MAX_RAW_DAYS {
            let message =
                format!("What no roll-up knows can be asked about {MAX_RAW_DAYS} days at a time");
            return Err(wrong("time_range", message));
        }
        Ok(Source::Raw)
    }

    fn rolled(
        &self,
        length: i64,
        days: i64,
        most: i64,
        source: impl FnOnce(i64, Vec<i64>) -> Source,
    ) -> Result<Source> {
        if days > most {
            return Err(wrong(
                "time_range",
                format!("At most {most} days at a time"),
            ));
        }
        let first = self.start - self.start.rem_euclid(length);
        let starts = (0..).map(|n| first + n * length);
        let starts = starts.take_while(|start| *start < self.end);
        Ok(source(length, starts.collect()))
    }
}

/// Days that a time takes, the last one perhaps in part.
fn days(ms: i64) -> i64 {
    ms / DAY_MS + i64::from(ms % DAY_MS > 0)
}

#[cfg(test)]
#[path = "analytics_tests.rs"]
mod tests;
