//! The wires that are not OTLP.

use base64::prelude::{BASE64_STANDARD, Engine};
use futures::executor::block_on;
use serde_json::{Value, json};

use super::*;
use crate::{
    observability::{config::tests::examples, test_world::World, trace::tests::record},
    signing::{hmac::hmac, sigv4::digest},
};

const NOW: i64 = 1_800_000_060_000;

fn send(name: &str, change: Value, records: &[&Record]) -> Outgoing {
    let kind = Kind::of(name).unwrap();
    let (_, example) = examples()
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let mut config = example.as_object().cloned().unwrap();
    config.extend(change.as_object().cloned().unwrap());
    let config = Config::read(kind, config).unwrap();
    let target = Target {
        id: "d-1",
        kind,
        config: &config,
        switches: Switches::default(),
    };
    let world = World::new();
    world.at(NOW);
    block_on(request(&world, &target, records)).unwrap()
}

fn header<'a>(sent: &'a Outgoing, name: &str) -> Option<&'a str> {
    let found = sent.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn a_webhook_is_signed_over_id_time_and_body() {
    let sent = send(
        "webhook",
        json!({"method": "PUT", "headers": {"X-Team": "t"}}),
        &[&record()],
    );
    assert_eq!((sent.method, header(&sent, "x-team")), ("PUT", Some("t")));
    let (id, time) = (
        header(&sent, "webhook-id").unwrap(),
        header(&sent, "webhook-timestamp").unwrap(),
    );
    assert_eq!(time, "1800000060");
    let mut signed = format!("{id}.{time}.").into_bytes();
    signed.extend_from_slice(&sent.body);
    let expected = format!(
        "v1,{}",
        BASE64_STANDARD.encode(hmac(b"secretsecretsecret", &signed))
    );
    assert_eq!(header(&sent, "webhook-signature"), Some(expected.as_str()));
    let again = send("webhook", json!({}), &[&record()]);
    assert_eq!(
        header(&again, "webhook-id"),
        Some(id),
        "receivers know it again"
    );
    let plain = send("webhook", json!({"secret": "plain-secret"}), &[&record()]);
    assert_ne!(header(&plain, "webhook-signature"), Some(expected.as_str()));
}

#[test]
fn a_test_of_the_connection_is_marked() {
    for (name, _) in examples() {
        let sent = send(name, json!({}), &[]);
        assert_eq!(header(&sent, "x-test-connection"), Some("true"), "{name}");
        assert_eq!(
            header(&send(name, json!({}), &[&record()]), "x-test-connection"),
            None,
            "{name}"
        );
    }
}

#[test]
fn objects_lie_by_date_and_are_addressed_as_their_store_wants() {
    for (change, url) in [
        (
            json!({}),
            "https://traces.s3.eu-west-1.amazonaws.com/openrouter-traces/2027-01-15/",
        ),
        (
            json!({"bucketName": "a.b"}),
            "https://s3.eu-west-1.amazonaws.com/a.b/openrouter-traces/2027-01-15/",
        ),
        (
            json!({"endpoint": "https://acc.r2.cloudflarestorage.com"}),
            "https://acc.r2.cloudflarestorage.com/traces/openrouter-traces/2027-01-15/",
        ),
        (
            json!({"endpoint": "https://store.example.com:9000/base", "addressing": "virtual"}),
            "https://traces.store.example.com:9000/base/openrouter-traces/2027-01-15/",
        ),
        (
            json!({"pathTemplate": "{apiKeyName}/{year}/{month}/{day}"}),
            "https://traces.s3.eu-west-1.amazonaws.com/prod/2027/01/15/",
        ),
        (
            json!({"pathTemplate": "/../a b/./{date}"}),
            "https://traces.s3.eu-west-1.amazonaws.com/a%20b/2027-01-15/",
        ),
    ] {
        let sent = send("s3", change.clone(), &[&record()]);
        assert!(sent.url.starts_with(url), "{change}: {}", sent.url);
        assert!(sent.url.ends_with(".jsonl"));
        assert_eq!(sent.method, "PUT");
        assert_eq!(
            header(&sent, "x-amz-content-sha256"),
            Some(digest(&sent.body).as_str())
        );
        let authorization = header(&sent, "authorization").unwrap();
        assert!(
            authorization.contains(
                "/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date,"
            ),
            "{authorization}"
        );
        assert_eq!(
            send("s3", change, &[&record()]).url,
            sent.url,
            "sent again, it is the same object"
        );
    }
    let two = send(
        "s3",
        json!({"sessionToken": "tok"}),
        &[&record(), &record()],
    );
    assert_eq!(header(&two, "x-amz-security-token"), Some("tok"));
    let lines: Vec<Value> = std::str::from_utf8(&two.body)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0]["resourceSpans"].is_array());
}

#[test]
fn clickhouse_gets_lines_and_a_token_that_stays() {
    let sent = send("clickhouse", json!({}), &[&record(), &record()]);
    assert!(sent.url.starts_with("https://ch.example.com:8443/?database=default&query=INSERT%20INTO%20OPENROUTER_TRACES%20%28TRACE_ID%2C"), "{}", sent.url);
    assert_eq!(
        send("clickhouse", json!({}), &[&record(), &record()]).url,
        sent.url
    );
    assert_ne!(send("clickhouse", json!({}), &[&record()]).url, sent.url);
    assert_eq!(
        (
            header(&sent, "x-clickhouse-user"),
            header(&sent, "x-clickhouse-key")
        ),
        (Some("default"), Some("pass-0123456789abcdef"))
    );
    let text = std::str::from_utf8(&sent.body).unwrap();
    assert!(text.ends_with('\n'));
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    let row = &rows[0];
    assert_eq!(
        (&row["TOTAL_COST"], &row["TIMESTAMP"]),
        (&json!("0.0012345"), &json!("2027-01-15T08:00:00.000Z"))
    );
    assert_eq!(
        (&row["PROMPT_TOKENS"], &row["STATUS"], &row["DURATION_MS"]),
        (&json!(1_234), &json!("ok"), &json!(1_000))
    );
    assert_eq!(row["INPUT"], "[{\"role\":\"user\",\"content\":\"Hello!\"}]");
    assert!(
        row.get("USER_ID").is_none(),
        "absent is the column's default"
    );
}

#[test]
fn posthog_gets_generations_with_ids_that_stay() {
    let mut record = record();
    record.trace = json!({"trace_id": "a b/c", "trace_name": "T", "generation_name": "G", "deep": {"b": {"c": {"d": {"e": 1}}}}}).as_object().cloned().unwrap();
    record.generation.row.origin.external_user = Some("u-1".into());
    let sent = send("posthog", json!({}), &[&record]);
    assert_eq!(sent.url, "https://us.i.posthog.com/batch/");
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["api_key"], "phc_0123456789abcdef");
    let event = &body["batch"][0];
    assert_eq!(
        (&event["event"], &event["timestamp"]),
        (&json!("$ai_generation"), &json!("2027-01-15T08:00:01.000Z"))
    );
    let uuid = event["uuid"].as_str().unwrap();
    assert_eq!(
        (uuid.len(), uuid.get(14..15), uuid.matches('-').count()),
        (36, Some("8"), 4)
    );
    let properties = &event["properties"];
    for (name, value) in [
        ("distinct_id", json!("u-1")),
        ("$ai_trace_id", json!("a_b_c")),
        ("$ai_session_id", json!("s-1")),
        ("$ai_span_name", json!("G")),
        ("trace_name", json!("T")),
        ("$ai_input_tokens", json!(1_234)),
        ("$ai_total_cost_usd", json!(0.001_234_5)),
        ("$ai_latency", json!(1.0)),
        ("$ai_time_to_first_token", json!(0.4)),
        ("$ai_http_status", json!(200)),
        ("$ai_is_error", json!(false)),
        ("metadata_deep", json!({"b": {"c": {"d": "[truncated]"}}})),
    ] {
        assert_eq!(properties[name], value, "{name}");
    }
    assert_eq!(properties["$ai_output_choices"][0]["role"], "assistant");
}

#[test]
fn snowflake_merges_bound_rows_under_an_id_that_stays() {
    let sent = send("snowflake", json!({"role": "LOADER"}), &[&record()]);
    assert!(
        sent.url.starts_with(
            "https://eac52885.us-east-1.snowflakecomputing.com/api/v2/statements?requestId="
        ),
        "{}",
        sent.url
    );
    assert!(sent.url.ends_with("&retry=true"));
    assert_eq!(send("snowflake", json!({}), &[&record()]).url, sent.url);
    assert_eq!(
        header(&sent, "x-snowflake-authorization-token-type"),
        Some("PROGRAMMATIC_ACCESS_TOKEN")
    );
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(
        (&body["warehouse"], &body["role"]),
        (&json!("COMPUTE_WH"), &json!("LOADER"))
    );
    let statement = body["statement"].as_str().unwrap();
    assert!(statement.starts_with(
        "MERGE INTO OPENROUTER_TRACES AS t USING (SELECT value:TRACE_ID::STRING AS TRACE_ID,"
    ));
    assert_eq!(body["bindings"]["1"]["type"], "TEXT");
    let rows: Value =
        serde_json::from_str(body["bindings"]["1"]["value"].as_str().unwrap()).unwrap();
    assert_eq!(rows[0]["INPUT"][0]["role"], "user");
}

#[test]
fn tables_have_every_column() {
    for (name, start) in [
        (
            "clickhouse",
            "CREATE TABLE IF NOT EXISTS default.OPENROUTER_TRACES (",
        ),
        (
            "snowflake",
            "CREATE TABLE IF NOT EXISTS SNOWFLAKE_LEARNING_DB.PUBLIC.OPENROUTER_TRACES (",
        ),
    ] {
        let kind = Kind::of(name).unwrap();
        let (_, example) = examples()
            .into_iter()
            .find(|(known, _)| *known == name)
            .unwrap();
        let config = Config::read(kind, example.as_object().cloned().unwrap()).unwrap();
        let sql = setup(kind, &config).unwrap();
        assert!(sql.starts_with(start), "{sql}");
        for (column, _) in crate::observability::flat::COLUMNS {
            assert!(sql.contains(&format!("    {column} ")), "{name} {column}");
        }
    }
}
