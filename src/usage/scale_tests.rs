//! What rows weigh: the figures of `docs/scale.md`, measured in a real SQLite with the product's migrations.
//!
//! `cargo test --lib usage::scale -- --nocapture` prints them.

use futures::executor::block_on;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    Attempt, MediaCounts, Origin, UsageRow,
    content::{self, Captured, Content, Settings},
    d1_tests::Store,
    measured::{Measured, Verdict},
    rollup,
};
use crate::{chat::Usage, credits::pricing::PriceTable, identity::own_keys::seal::Keyring};

const START: i64 = 1_800_000_000_000;
/// Requests that are measured: a day of ten million a month would be 333,000.
const REQUESTS: usize = 20_000;
/// The keys, models and apps of a busy account.
const KEYS: usize = 20;
const MODELS: usize = 12;

/// A usual request: one attempt, a prompt partly out of the cache, an app that names itself.
fn usual(n: usize) -> Value {
    let prices: PriceTable = serde_json::from_value(json!({
        "prompt": 2_500_000_000i64, "completion": 10_000_000_000i64, "cache_read": 250_000_000,
    }))
    .unwrap();
    let usage = Usage {
        prompt: 3_000 + (n % 2_000) as u64,
        cache_read: 1_500,
        completion: 300 + (n % 500) as u64,
        reasoning: 64,
        ..Usage::default()
    };
    let model = format!("author/some-model-{}", n % MODELS);
    let id = |prefix: &str| format!("{prefix}{:020x}", (n as u128) * 0x9e37_79b9_7f4a_7c15);
    let charge = prices.cost(&usage).unwrap();
    let cost = charge.total;
    let attempt = Attempt {
        provider: "provider".into(),
        endpoint: "provider".into(),
        model: format!("some-model-{}-2026-08", n % MODELS),
        status: 200,
        latency_ms: 812,
        upstream_id: Some(id("chatcmpl-")),
        service_tier: Some("default".into()),
        route: format!("{model}|provider"),
        measured: Some(Measured {
            ended_at: START + n as i64,
            verdict: Verdict::Ok,
            first_token_ms: Some(640),
            duration_ms: Some(4_210),
            prompt: usage.prompt,
            cache_read: usage.cache_read,
            completion: usage.completion,
            cost: cost.get(),
            tools_valid: None,
        }),
        ..Attempt::default()
    };
    let row = UsageRow {
        request_id: id("gen-1800000000-"),
        created_at: START + (n as i64) * 4_320,
        api_type: "completions".into(),
        model,
        provider: Some("Provider".into()),
        endpoint: Some("provider".into()),
        streamed: true,
        upstream_id: Some(id("chatcmpl-")),
        finish_reason: Some("stop".into()),
        native_finish_reason: Some("stop".into()),
        usage,
        latency_ms: Some(655),
        generation_ms: Some(3_555),
        origin: Origin {
            http_referer: Some("https://app.example/".into()),
            app_title: Some("Some App".into()),
            user_agent: Some("OpenAI/Python 2.8.1".into()),
            session_id: Some(id("session-")),
            external_user: Some(format!("user-{}", n % 500)),
            trace: None,
        },
        attempts: vec![attempt],
        charge: Some(charge),
        app: Some("app.example".into()),
        surface: Some("chat.completions".into()),
        service_tier: Some("default".into()),
        media: MediaCounts::default(),
        ..UsageRow::default()
    };
    json!({
        "id": id("gen-1800000000-"), "account": "acc_0123456789abcdefghij",
        "key_hash": format!("{:064x}", ((n % KEYS) as u128).wrapping_mul(0x1357_9bdf_0246_8ace_1357_9bdf_0246_8ace)),
        "status": "settled", "cost": cost.get(), "finished_at": START + n as i64,
        "row": serde_json::from_str::<Value>(row.into_raw().unwrap().get()).unwrap(),
    })
}

/// Bytes of a table or index in whole pages.
fn bytes(store: &Store, name: &str) -> i64 {
    let sql = "SELECT SUM(pgsize) AS n FROM dbstat WHERE name = ?1";
    store.run(sql, &[name.into()])[0]["n"].as_i64().unwrap_or(0)
}

fn count(store: &Store, what: &str) -> i64 {
    store.run(&format!("SELECT count(*) AS n FROM {what}"), &[])[0]["n"]
        .as_i64()
        .unwrap()
}

/// The figures by name.
fn measured() -> Vec<(&'static str, i64)> {
    let store = Store::on(Connection::open_in_memory().unwrap());
    let rows: Vec<Value> = (0..REQUESTS).map(usual).collect();
    let outbox = rows
        .iter()
        .map(|row| row.to_string().len() as i64)
        .sum::<i64>();
    rows.chunks(500).for_each(|rows| store.flush(rows));
    block_on(rollup::roll_up(
        &store,
        rollup::Retention { raw_days: None },
        START,
    ))
    .unwrap();
    let n = REQUESTS as i64;
    let indexes = bytes(&store, "usage_by_account") + bytes(&store, "sqlite_autoindex_usage_1");
    let text = |column: &str| {
        let sql = format!("SELECT SUM(length({column})) AS n FROM usage");
        store.run(&sql, &[])[0]["n"].as_i64().unwrap() / n
    };
    let hours = count(&store, "usage_rollups WHERE length = 3600000");
    let days = count(&store, "usage_rollups WHERE length = 86400000");
    store.account("acc");
    let settings = Settings {
        is_on: true,
        ..Settings::default()
    };
    block_on(content::d1::save_settings(&store, "acc", &settings, 0)).unwrap();
    let ring = Keyring::read("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", None).unwrap();
    for n in 0..200 {
        let captured = Captured {
            id: format!("gen-1800000000-{n:020}"),
            session: None,
            content: Content {
                input: json!({"messages": [{"role": "user", "content": "word ".repeat(3_000)}]}),
                output: json!({"completion": "word ".repeat(300)}),
                ..Content::default()
            },
        };
        block_on(content::d1::keep(
            &store,
            &ring,
            &[7; 32],
            ("acc", "k"),
            &captured,
            0,
        ))
        .unwrap();
    }
    let contents = ["contents", "contents_by_end", "sqlite_autoindex_contents_1"];
    let contents: i64 = contents.iter().map(|name| bytes(&store, name)).sum();
    vec![
        ("outbox row", outbox / n),
        ("usage row", bytes(&store, "usage") / n),
        ("usage row, indexes", indexes / n),
        ("of it, attempts", text("attempts")),
        ("of it, charge", text("charge")),
        (
            "roll-up row",
            bytes(&store, "usage_rollups") / (hours + days),
        ),
        (
            "roll-up rows of a busy hour",
            hours * 3_600_000 / (n * 4_320),
        ),
        (
            "end user row",
            bytes(&store, "usage_users") / count(&store, "usage_users"),
        ),
        ("content row", contents / 200),
    ]
}

#[test]
fn the_figures_of_the_document_are_what_rows_weigh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scale.md");
    let document = std::fs::read_to_string(path).unwrap();
    for (name, figure) in measured() {
        println!("{name}: {figure}");
        let line = document
            .lines()
            .find(|line| line.starts_with(&format!("| {name} |")));
        let told = line.unwrap_or_else(|| panic!("{name} is not in docs/scale.md"));
        let told: i64 = told
            .split('|')
            .nth(2)
            .unwrap()
            .trim()
            .replace(',', "")
            .parse()
            .unwrap();
        assert!(
            (told - figure).abs() * 10 <= figure,
            "{name}: {figure}, told {told}"
        );
    }
}
