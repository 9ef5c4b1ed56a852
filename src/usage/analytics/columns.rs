//! The closed tables: every metric, dimension, operator and granularity that a question may name, with its SQL.

use serde_json::Value;

use Format::{Currency, Latency, Number, Percent, Throughput};

use crate::credits::money::Nanos;

/// How a metric is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A whole number.
    Number,
    /// Nano-dollars, told as dollars.
    Currency,
    /// A part of one.
    Percent,
    /// Milliseconds.
    Latency,
    /// So many a second.
    Throughput,
}

impl Format {
    /// The word of `/analytics/meta`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Currency => "currency",
            Self::Percent => "percent",
            Self::Latency => "latency",
            Self::Throughput => "throughput",
        }
    }

    /// Whether values are fractions.
    pub fn is_real(self) -> bool {
        matches!(self, Self::Percent | Self::Latency | Self::Throughput)
    }
}

/// What is measured.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// How it is read.
    pub format: Format,
    /// Over the columns of [`crate::usage::facts`].
    pub sql: &'static str,
    /// Only raw rows know it.
    pub is_raw: bool,
}

impl Metric {
    /// A number that the metric can be compared with, in its own unit.
    pub fn number(&self, value: &Value) -> Option<i64> {
        match self.format {
            Format::Number => value.as_i64(),
            Format::Currency => {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => return None,
                };
                Nanos::from_dollars(&text).ok().map(Nanos::get)
            }
            Format::Percent | Format::Latency | Format::Throughput => None,
        }
    }
}

impl Metric {
    const fn of(
        name: &'static str,
        label: &'static str,
        format: Format,
        sql: &'static str,
    ) -> Self {
        Self {
            name,
            label,
            format,
            sql,
            is_raw: false,
        }
    }

    const fn of_raw_rows(self) -> Self {
        Self {
            is_raw: true,
            ..self
        }
    }
}

/// Every metric.
pub static METRICS: &[Metric] = &[
    Metric::of("requests", "Requests", Number, "COALESCE(SUM(requests), 0)"),
    Metric::of(
        "failed_requests",
        "Failed requests",
        Number,
        "COALESCE(SUM(failed_requests), 0)",
    ),
    Metric::of(
        "cancelled_requests",
        "Cancelled requests",
        Number,
        "COALESCE(SUM(cancelled_requests), 0)",
    ),
    Metric::of(
        "streamed_requests",
        "Streamed requests",
        Number,
        "COALESCE(SUM(streamed_requests), 0)",
    ),
    Metric::of(
        "cached_requests",
        "Answers out of the response cache",
        Number,
        "COALESCE(SUM(cached_requests), 0)",
    ),
    Metric::of(
        "byok_requests",
        "Requests with own provider keys",
        Number,
        "COALESCE(SUM(byok_requests), 0)",
    ),
    Metric::of("usage", "Credits used", Currency, "COALESCE(SUM(cost), 0)"),
    Metric::of(
        "byok_usage_inference",
        "List price of requests with own provider keys",
        Currency,
        "COALESCE(SUM(byok_inference), 0)",
    ),
    Metric::of(
        "cost_per_request",
        "Credits per request",
        Currency,
        "COALESCE(SUM(cost) / NULLIF(SUM(requests), 0), 0)",
    ),
    Metric::of(
        "tokens_prompt",
        "Prompt tokens",
        Number,
        "COALESCE(SUM(prompt_tokens), 0)",
    ),
    Metric::of(
        "tokens_completion",
        "Completion tokens",
        Number,
        "COALESCE(SUM(completion_tokens), 0)",
    ),
    Metric::of(
        "tokens_total",
        "Tokens",
        Number,
        "COALESCE(SUM(prompt_tokens + completion_tokens), 0)",
    ),
    Metric::of(
        "reasoning_tokens",
        "Reasoning tokens",
        Number,
        "COALESCE(SUM(reasoning_tokens), 0)",
    ),
    Metric::of(
        "cached_tokens",
        "Prompt tokens read from caches",
        Number,
        "COALESCE(SUM(cached_tokens), 0)",
    ),
    Metric::of(
        "cache_write_tokens",
        "Prompt tokens written to caches",
        Number,
        "COALESCE(SUM(cache_write_tokens), 0)",
    ),
    Metric::of(
        "cache_hit_rate",
        "Prompt tokens out of caches",
        Percent,
        "SUM(cached_tokens) * 1.0 / NULLIF(SUM(prompt_tokens), 0)",
    ),
    Metric::of(
        "error_rate",
        "Failed requests of all",
        Percent,
        "SUM(failed_requests) * 1.0 / NULLIF(SUM(requests), 0)",
    ),
    Metric::of(
        "latency",
        "Time to the first content",
        Latency,
        "SUM(latency_ms) * 1.0 / NULLIF(SUM(latency_count), 0)",
    ),
    Metric::of(
        "throughput",
        "Completion tokens per second",
        Throughput,
        "SUM(generation_tokens) * 1000.0 / NULLIF(SUM(generation_ms), 0)",
    ),
    Metric::of(
        "sessions",
        "Sessions",
        Number,
        "COUNT(DISTINCT NULLIF(session_id, ''))",
    )
    .of_raw_rows(),
    Metric::of(
        "external_users",
        "End users",
        Number,
        "COUNT(DISTINCT NULLIF(external_user, ''))",
    )
    .of_raw_rows(),
];

/// What usage is told apart by.
#[derive(Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Its name on the wire.
    pub name: &'static str,
    /// Other names that are understood.
    aliases: &'static [&'static str],
    /// Its name for people.
    pub label: &'static str,
    /// The column of [`crate::usage::facts`].
    pub column: &'static str,
    /// It is 0 or 1, told as a boolean.
    pub is_flag: bool,
}

impl Dimension {
    /// Whether it goes by this name.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Whether all usage of an account has the same value.
    pub fn is_constant(&self) -> bool {
        self.column.starts_with('\'')
    }

    /// A value of it as the store has it.
    pub fn text(&self, value: &Value) -> Option<String> {
        match value {
            Value::Bool(flag) if self.is_flag => Some(i64::from(*flag).to_string()),
            Value::String(text) if self.is_flag => match text.as_str() {
                "true" | "1" => Some("1".to_owned()),
                "false" | "0" => Some("0".to_owned()),
                _ => None,
            },
            Value::String(text) if !self.is_flag => Some(text.clone()),
            _ => None,
        }
    }
}

impl Dimension {
    const fn of(name: &'static str, label: &'static str, column: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            label,
            column,
            is_flag: false,
        }
    }

    const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn flag(self) -> Self {
        Self {
            is_flag: true,
            ..self
        }
    }
}

/// Every dimension.
pub static DIMENSIONS: &[Dimension] = &[
    Dimension::of("api_key_id", "API key", "key_hash").or(&["api_key", "key"]),
    Dimension::of("user", "Member", "member").or(&["member"]),
    Dimension::of("model", "Model", "model"),
    Dimension::of("provider", "Provider", "provider").or(&["provider_name"]),
    Dimension::of("endpoint", "Endpoint", "endpoint").or(&["endpoint_id"]),
    Dimension::of("app", "App", "app"),
    Dimension::of("api_type", "Kind of request", "api_type"),
    Dimension::of("workspace", "Workspace", "'default'"),
    Dimension::of("external_user", "End user", "external_user"),
    Dimension::of("session", "Session", "session_id").or(&["session_id"]),
    Dimension::of("status", "Status", "status"),
    Dimension::of("finish_reason", "Finish reason", "finish_reason"),
    Dimension::of(
        "native_finish_reason",
        "Finish reason of the provider",
        "native_finish_reason",
    ),
    Dimension::of("service_tier", "Service tier", "service_tier"),
    Dimension::of("data_region", "Data region", "data_region"),
    Dimension::of("preset", "Preset", "preset").or(&["preset_id"]),
    Dimension::of("surface", "Format of the API", "surface"),
    Dimension::of("origin", "HTTP-Referer", "origin").or(&["http_referer"]),
    Dimension::of("streamed", "Streamed", "is_streamed").flag(),
    Dimension::of("cancelled", "Cancelled", "is_cancelled").flag(),
    Dimension::of("is_byok", "Own provider key", "is_byok").flag(),
];

/// The metric of a name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|one| one.name == name)
}

/// The dimension of a name.
pub fn dimension(name: &str) -> Option<&'static Dimension> {
    DIMENSIONS.iter().find(|one| one.is_named(name))
}

/// How a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Is.
    Eq,
    /// Is not.
    Neq,
    /// Is one of.
    In,
    /// Is none of.
    NotIn,
    /// Is more than.
    Gt,
    /// Is at least.
    Gte,
    /// Is less than.
    Lt,
    /// Is at most.
    Lte,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 8] = [
        Self::Eq,
        Self::Neq,
        Self::In,
        Self::NotIn,
        Self::Gt,
        Self::Gte,
        Self::Lt,
        Self::Lte,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::In => "in",
            Self::NotIn => "not_in",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
        }
    }

    /// The operator of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Whether it compares numbers.
    pub fn compares(self) -> bool {
        matches!(self, Self::Gt | Self::Gte | Self::Lt | Self::Lte)
    }

    /// Its SQL, where it compares numbers.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Gt => ">",
            Self::Gte => ">=",
            Self::Lt => "<",
            Self::Lte => "<=",
            Self::Eq | Self::In => "=",
            Self::Neq | Self::NotIn => "<>",
        }
    }
}

/// Pieces of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granularity {
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days, UTC.
    Day,
    /// Weeks from Monday, UTC.
    Week,
    /// Months, UTC.
    Month,
}

impl Granularity {
    /// Every granularity.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The granularity of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// The beginning of the piece that `at` is in, unix milliseconds. The first day of 1970 was a Thursday.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Minute => "at - at % 60000",
            Self::Hour => "at - at % 3600000",
            Self::Day => "at - at % 86400000",
            Self::Week => "(at / 86400000 - (at / 86400000 + 3) % 7) * 86400000",
            Self::Month => "unixepoch(at / 1000, 'unixepoch', 'start of month') * 1000",
        }
    }
}
