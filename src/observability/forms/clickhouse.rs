//! ClickHouse over its HTTP interface: `INSERT … FORMAT JSONEachRow`, one generation to a line.
//!
//! `insert_deduplication_token` names the batch, so that replicated tables (all of ClickHouse Cloud's) take a batch that is sent
//! again only once; the table below also replaces rows of the same key when parts merge. Spec:
//! <https://clickhouse.com/docs/interfaces/http>, <https://clickhouse.com/docs/operations/settings/settings#insert_deduplication_token>.

use serde_json::{Map, Value};

use super::{Target, batch_id, lines};
use crate::{
    identity::keys::hex,
    observability::{
        config::Config,
        flat::{COLUMNS, Column, row},
        kind::Kind,
        port::Outgoing,
        trace::Record,
    },
    signing::sigv4::path_segment,
};

pub(super) fn request(target: &Target<'_>, records: &[&Record]) -> Outgoing {
    let (kind, config) = (target.kind, target.config);
    let columns: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let table = config.word(kind, "table");
    let (query, token, body) = if records.is_empty() {
        // An insert without rows is an error; the table's existence is what a test can show.
        (format!("SELECT 1 FROM {table} LIMIT 0"), None, Vec::new())
    } else {
        let query = format!(
            "INSERT INTO {table} ({}) FORMAT JSONEachRow",
            columns.join(", ")
        );
        let rows = records.iter().map(|record| line(record, target));
        (query, Some(hex(&batch_id(target, records))), lines(rows))
    };
    let mut pairs = vec![
        ("database", config.word(kind, "database").to_owned()),
        ("query", query),
    ];
    if let Some(token) = token {
        pairs.push(("insert_deduplication_token", token));
        pairs.push(("date_time_input_format", "best_effort".to_owned()));
        pairs.push(("wait_end_of_query", "1".to_owned()));
    }
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", path_segment(value)))
        .collect();
    Outgoing {
        method: "POST",
        url: format!("{}/?{}", config.word(kind, "host"), pairs.join("&")),
        headers: vec![
            ("content-type".into(), "application/x-ndjson".into()),
            (
                "x-clickhouse-user".into(),
                config.word(kind, "username").into(),
            ),
            (
                "x-clickhouse-key".into(),
                config.word(kind, "password").into(),
            ),
        ],
        body,
        gzip: false,
    }
}

/// One row: JSON columns are texts, as `JSONExtract` reads them.
fn line(record: &Record, target: &Target<'_>) -> Value {
    let values = row(record, target.switches);
    let pairs = COLUMNS
        .iter()
        .zip(values)
        .filter_map(|((name, holds), value)| {
            let value = match (holds, value?) {
                (Column::Json, value) => value.to_string().into(),
                (_, value) => value,
            };
            Some(((*name).to_owned(), value))
        });
    Value::Object(pairs.collect::<Map<_, _>>())
}

pub(super) fn setup(kind: &Kind, config: &Config) -> String {
    let columns = COLUMNS.iter().map(|(name, holds)| {
        let of = match holds {
            Column::Text | Column::Json => "String",
            Column::Time => "DateTime64(3)",
            Column::Count => "UInt64",
            Column::Dollars => "Decimal(18, 9)",
        };
        format!("    {name} {of}")
    });
    format!(
        "CREATE TABLE IF NOT EXISTS {}.{} (\n{}\n) ENGINE = ReplacingMergeTree\nPARTITION BY toYYYYMM(TIMESTAMP)\nORDER BY (TIMESTAMP, SPAN_ID)",
        config.word(kind, "database"),
        config.word(kind, "table"),
        columns.collect::<Vec<_>>().join(",\n")
    )
}
