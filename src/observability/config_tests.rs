//! Configurations: what is refused and where, what is shown, what a change keeps.

use serde_json::json;

use super::*;

fn kind(name: &str) -> &'static Kind {
    Kind::of(name).unwrap()
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn read(name: &str, value: Value) -> Result<Config> {
    Config::read(kind(name), map(value))
}

/// A configuration of each type with all that it needs.
pub fn examples() -> Vec<(&'static str, Value)> {
    vec![
        (
            "otel-collector",
            json!({"endpoint": "https://otel.example.com:4318/v1/traces"}),
        ),
        (
            "langfuse",
            json!({"secretKey": "sk-lf-0123456789abcdef", "publicKey": "pk-lf-0123456789abcdef"}),
        ),
        (
            "arize",
            json!({"apiKey": "arize-0123456789abcdef", "spaceKey": "space-0123456789abcdef", "modelId": "prod"}),
        ),
        (
            "braintrust",
            json!({"apiKey": "sk-bt-0123456789abcdef", "projectId": "p-1"}),
        ),
        (
            "datadog",
            json!({"apiKey": "dd-0123456789abcdef", "mlApp": "shop"}),
        ),
        ("langsmith", json!({"apiKey": "lsv2_pt_0123456789abcdef"})),
        (
            "newrelic",
            json!({"licenseKey": "nr-0123456789abcdef", "region": "eu"}),
        ),
        (
            "sentry",
            json!({"otlpEndpoint": "https://o1.ingest.sentry.io/api/2/integration/otlp/v1/traces", "dsn": "https://abc123@o1.ingest.sentry.io/2"}),
        ),
        (
            "grafana",
            json!({"apiKey": "glc_0123456789abcdef", "instanceId": "123456"}),
        ),
        (
            "weave",
            json!({"apiKey": "wb-0123456789abcdef", "entity": "team", "project": "shop"}),
        ),
        (
            "opik",
            json!({"apiKey": "opik_0123456789abcdef", "workspace": "w", "projectName": "p"}),
        ),
        ("ramp", json!({"apiKey": "ramp-0123456789abcdef"})),
        (
            "webhook",
            json!({"url": "https://hooks.example.com/traces", "secret": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"}),
        ),
        (
            "s3",
            json!({"bucketName": "traces", "region": "eu-west-1", "accessKeyId": "AKIA1", "secretAccessKey": "secret-0123456789abcdef"}),
        ),
        (
            "clickhouse",
            json!({"host": "https://ch.example.com:8443", "database": "default", "username": "default", "password": "pass-0123456789abcdef"}),
        ),
        ("posthog", json!({"apiKey": "phc_0123456789abcdef"})),
        (
            "snowflake",
            json!({"account": "eac52885.us-east-1", "token": "pat-0123456789abcdef"}),
        ),
    ]
}

#[test]
fn every_type_reads_its_example_and_shows_no_secret() {
    let examples = examples();
    assert_eq!(examples.len(), super::super::kind::KINDS.len());
    for (name, example) in examples {
        let kind = kind(name);
        let config = Config::read(kind, map(example)).unwrap();
        assert_eq!(
            Config::from_text(&config.to_text()).unwrap(),
            config,
            "{name}"
        );
        let shown = Value::Object(config.shown(kind)).to_string();
        for secret in config.secrets(kind) {
            assert!(!shown.contains(secret), "{name} shows {secret}");
            assert!(
                !format!("{config:?}").contains(secret),
                "{name} prints {secret}"
            );
        }
        assert!(
            !config.secrets(kind).is_empty() || matches!(name, "otel-collector"),
            "{name}"
        );
    }
}

#[test]
fn each_required_field_is_missed_by_its_path() {
    for (name, example) in examples() {
        for field in kind(name).fields.iter().filter(|field| field.required) {
            let mut without = map(example.clone());
            without.remove(field.name);
            let error = Config::read(kind(name), without).unwrap_err();
            assert_eq!(error.status, 400);
            assert_eq!(
                error.param,
                Some(format!("config.{}", field.name)),
                "{name}"
            );
        }
    }
}

#[test]
fn a_wrong_field_is_named_and_its_value_is_not_quoted() {
    let webhook = |name: &str, value: Value| {
        let mut config = map(json!({"url": "https://hooks.example.com/"}));
        config.insert(name.to_owned(), value);
        ("webhook", Value::Object(config))
    };
    let clickhouse = |table: &str| {
        (
            "clickhouse",
            json!({"host": "https://c.example.com", "database": "d", "username": "u", "password": "SECRET", "table": table}),
        )
    };
    for ((name, value), param) in [
        (webhook("colour", json!("SECRET")), "config.colour"),
        (webhook("url", json!(5)), "config.url"),
        (webhook("url", json!("")), "config.url"),
        (
            webhook("url", json!("ftp://hooks.example.com/")),
            "config.url",
        ),
        (
            webhook("url", json!("https://u:SECRET@hooks.example.com/")),
            "config.url",
        ),
        (
            webhook("url", json!("https://hooks.example.com:22/")),
            "config.url",
        ),
        (
            webhook("url", json!("https://hooks.example.com:6379/")),
            "config.url",
        ),
        (
            webhook(
                "url",
                json!(format!("https://hooks.example.com/{}", "x".repeat(2_000))),
            ),
            "config.url",
        ),
        (webhook("method", json!("DELETE")), "config.method"),
        (webhook("secret", json!("SECRET\r\nx: y")), "config.secret"),
        (webhook("headers", json!("SECRET")), "config.headers"),
        (
            webhook("headers", json!({"a b": "SECRET"})),
            "config.headers.a b",
        ),
        (
            webhook("headers", json!({"Host": "SECRET"})),
            "config.headers.Host",
        ),
        (
            webhook("headers", json!({"x": "SECRET\nb"})),
            "config.headers.x",
        ),
        (webhook("headers", json!({"x": 5})), "config.headers.x"),
        (clickhouse("a; DROP TABLE b"), "config.table"),
        (clickhouse("1a"), "config.table"),
        (
            (
                "snowflake",
                json!({"account": "evil.example.com/", "token": "SECRET"}),
            ),
            "config.account",
        ),
        (("snowflake", json!({"account": "a"})), "config.token"),
        (
            (
                "snowflake",
                json!({"account": "a", "user": "u", "privateKey": "SECRET"}),
            ),
            "config.privateKey",
        ),
        (
            (
                "sentry",
                json!({"otlpEndpoint": "https://a.example.com", "dsn": "https://SECRET/2"}),
            ),
            "config.dsn",
        ),
        (
            (
                "s3",
                json!({"bucketName": "b", "accessKeyId": "a", "secretAccessKey": "SECRET"}),
            ),
            "config.region",
        ),
    ] {
        let error = read(name, value.clone()).unwrap_err();
        assert_eq!(
            (error.status, error.param.as_deref()),
            (400, Some(param)),
            "{value}"
        );
        assert!(!error.message.contains("SECRET"), "{}", error.message);
    }
}

#[test]
fn a_change_keeps_what_it_does_not_name_and_takes_masks_for_what_they_hide() {
    let kind = kind("langfuse");
    let old = read(
        "langfuse",
        json!({
            "secretKey": "sk-lf-0123456789abcdef", "publicKey": "pk-lf-0123456789abcdef",
            "headers": {"X-Team": "team-0123456789abcdef", "X-Short": "abc"},
        }),
    )
    .unwrap();
    let shown = old.shown(kind);
    assert_eq!(shown["secretKey"], "sk-l...cdef");
    assert_eq!(
        shown["headers"],
        json!({"x-team": "team...cdef", "x-short": "********"})
    );
    assert_eq!(shown["baseUrl"], "https://us.cloud.langfuse.com");
    // All that is shown, sent back.
    assert_eq!(
        old.changed(kind, shown).unwrap().to_text_sorted(),
        old.with_default(kind, "baseUrl").to_text_sorted()
    );
    assert_eq!(old.changed(kind, Map::new()).unwrap(), old);
    let new = old.changed(kind, map(json!({"publicKey": "pk-lf-new", "headers": {"x-team": "team...cdef", "x-new": "n"}}))).unwrap();
    assert_eq!(new.text(kind, "publicKey"), Some("pk-lf-new"));
    assert_eq!(new.text(kind, "secretKey"), Some("sk-lf-0123456789abcdef"));
    let headers: Vec<_> = new.headers().collect();
    assert_eq!(
        headers,
        [("x-team", "team-0123456789abcdef"), ("x-new", "n")]
    );
    assert_eq!(
        old.changed(kind, map(json!({"headers": null})))
            .unwrap()
            .headers()
            .count(),
        0
    );
    let error = old
        .changed(kind, map(json!({"secretKey": null})))
        .unwrap_err();
    assert_eq!(error.param.as_deref(), Some("config.secretKey"));
}

#[test]
fn a_masked_secret_goes_to_no_new_address() {
    let kind = kind("langfuse");
    let old = read(
        "langfuse",
        json!({"secretKey": "sk-lf-0123456789abcdef", "publicKey": "pk-lf-0123456789abcdef"}),
    )
    .unwrap();
    let elsewhere = json!("https://evil.example.com");
    for change in [
        json!({"baseUrl": elsewhere}),
        json!({"baseUrl": elsewhere, "secretKey": "sk-l...cdef", "publicKey": "pk-lf-mine"}),
        json!({"baseUrl": elsewhere, "secretKey": "sk-lf-mine"}),
    ] {
        let error = old.changed(kind, map(change.clone())).unwrap_err();
        assert_eq!(error.status, 400, "{change}");
    }
    let snowflake = read(
        "snowflake",
        json!({"account": "mine", "token": "pat-0123456789abcdef"}),
    )
    .unwrap();
    let moved = map(json!({"account": "evil"}));
    assert!(
        snowflake
            .changed(super::super::kind::Kind::of("snowflake").unwrap(), moved)
            .is_err()
    );
    // The same secrets, but sent by somebody who has them.
    for secret in ["sk-lf-mine", "sk-lf-0123456789abcdef"] {
        let all = json!({"baseUrl": elsewhere, "secretKey": secret, "publicKey": "pk-lf-mine"});
        assert!(old.changed(kind, map(all)).is_ok());
    }
}

#[test]
fn where_receivers_listen_follows_from_the_fields() {
    for (name, change, expected) in [
        ("newrelic", json!({}), "https://otlp.eu01.nr-data.net"),
        (
            "newrelic",
            json!({"region": "us"}),
            "https://otlp.nr-data.net",
        ),
        (
            "newrelic",
            json!({"baseUrl": "https://gov-otlp.nr-data.net"}),
            "https://gov-otlp.nr-data.net",
        ),
        ("datadog", json!({}), "https://otlp.us5.datadoghq.com"),
        (
            "datadog",
            json!({"url": "https://api.datadoghq.eu"}),
            "https://otlp.datadoghq.eu",
        ),
        (
            "datadog",
            json!({"url": "https://proxy.example.com/dd"}),
            "https://proxy.example.com/dd",
        ),
    ] {
        let (_, example) = examples()
            .into_iter()
            .find(|(known, _)| *known == name)
            .unwrap();
        let mut sent = map(example);
        sent.extend(map(change));
        let config = Config::read(kind(name), sent).unwrap();
        let super::super::kind::Form::Otlp(otlp) = kind(name).form else {
            panic!("{name} is OTLP")
        };
        assert_eq!(
            config.base(kind(name), otlp.base).as_deref(),
            Some(expected)
        );
    }
}

impl Config {
    fn to_text_sorted(&self) -> std::collections::BTreeMap<String, Value> {
        self.0.clone().into_iter().collect()
    }

    fn with_default(&self, kind: &Kind, name: &str) -> Self {
        let mut with = self.clone();
        with.0.insert(name.to_owned(), self.word(kind, name).into());
        with
    }
}
