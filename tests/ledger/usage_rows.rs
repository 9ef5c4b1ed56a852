//! Usage rows in D1: written once, read back whole.

use patchbay::chat::Usage;
use patchbay::credits::money::MAX_NANOS;
use patchbay::credits::ops::{OutboxRow, Outcome, Settle};
use patchbay::credits::pricing::{Price, PriceTable};
use patchbay::usage::d1::{SAVE_CORRECTION, SELECT_GENERATION, read_generation};
use patchbay::usage::{Attempt, Generation, MediaCounts, Origin, UsageRow};
use rusqlite::OptionalExtension;

use crate::store::{Account, D1, NOON, nanos, settle};

/// A row with every field in use.
fn full_row() -> UsageRow {
    let text = |text: &str| Some(text.to_owned());
    let usage = Usage {
        prompt: 1,
        cache_read: 2,
        cache_write_5m: 3,
        cache_write_1h: 4,
        completion: 5,
        reasoning: 6,
        audio_in: 7,
        audio_out: 8,
        image_out: 9,
        upstream_cost: Some(MAX_NANOS),
        estimated: true,
        ..Usage::default()
    };
    let table = PriceTable {
        completion: Price::new(3_000_000).unwrap(),
        ..PriceTable::default()
    };
    UsageRow {
        request_id: "req \"quoted\" ü".to_owned(),
        created_at: NOON,
        api_type: "completions".to_owned(),
        model: "acme/model".to_owned(),
        provider: text("acme"),
        endpoint: text("acme/fast"),
        streamed: true,
        cancelled: true,
        upstream_id: text("msg_1"),
        finish_reason: text("stop"),
        native_finish_reason: text("end_turn"),
        usage,
        latency_ms: Some(12),
        generation_ms: Some(34),
        error: text("cut off"),
        origin: Origin {
            http_referer: text("https://example.com"),
            app_title: text("App"),
            user_agent: text("curl"),
            session_id: text("s"),
            external_user: text("u"),
            trace: Some("{\"trace_name\":\"T\"}".into()),
        },
        attempts: vec![
            Attempt {
                provider: "b".to_owned(),
                status: 503,
                error: text("overloaded"),
                ..Attempt::default()
            },
            Attempt {
                provider: "acme".to_owned(),
                status: 200,
                upstream_id: text("msg_1"),
                ..Attempt::default()
            },
        ],
        response_cache_source_id: text("gen-0"),
        own_key: text("key-1"),
        list_cost: Some(nanos(MAX_NANOS)),
        charge: Some(
            table
                .cost(&Usage {
                    completion: 5,
                    ..Usage::default()
                })
                .unwrap(),
        ),
        member: Some("user_1".to_owned()),
        app: Some("app.example".to_owned()),
        preset: Some("preset".to_owned()),
        router: Some("auto".to_owned()),
        service_tier: Some("priority".to_owned()),
        data_region: Some("europe".to_owned()),
        surface: Some("messages".to_owned()),
        media: MediaCounts {
            prompt: 2,
            audio_prompt: 1,
            completion: 3,
        },
        web_search_engine: Some("exa".to_owned()),
        guardrails: serde_json::json!({"g_1": {"flag": 2, "redact": 1}}),
    }
}

fn find(d1: &D1, id: &str, account: &str) -> Option<Generation> {
    let json: Option<String> =
        d1.0.query_row(SELECT_GENERATION, [id, account], |row| {
            row.get("generation")
        })
        .optional()
        .unwrap();
    json.map(|json| read_generation(&json).unwrap())
}

fn outbox_row(id: &str, account: &str, status: Outcome, cost: i64) -> OutboxRow {
    OutboxRow {
        seq: 1,
        id: id.to_owned(),
        account: account.to_owned(),
        key_hash: "k".to_owned(),
        status,
        cost: nanos(cost),
        finished_at: NOON,
        row: UsageRow::default().into_raw().unwrap(),
    }
}

#[test]
fn every_field_of_a_row_comes_back_as_it_was_written() {
    for row in [full_row(), UsageRow::default()] {
        let account = Account::with(1_000_000);
        account.hold("gen-1", 500);
        account.ok(&Settle {
            row: row.clone().into_raw().unwrap(),
            ..settle("gen-1", 15)
        });
        let d1 = D1::new();
        assert_eq!(d1.flush(&account.peek()), 1);
        let expected = Generation {
            id: "gen-1".to_owned(),
            account: "acme".to_owned(),
            key_hash: "k".to_owned(),
            status: Outcome::Settled,
            cost: nanos(15),
            finished_at: NOON,
            row,
            corrections: Vec::new(),
        };
        assert_eq!(find(&d1, "gen-1", "acme"), Some(expected));
    }
}

#[test]
fn an_account_cannot_read_or_overwrite_another_s_rows() {
    let d1 = D1::new();
    d1.flush(&[outbox_row("gen-1", "acme", Outcome::Expired, 0)]);
    assert_eq!(find(&d1, "gen-1", "evil"), None);
    assert_eq!(
        d1.flush(&[outbox_row("gen-1", "evil", Outcome::Settled, 5)]),
        0
    );
    assert_eq!(find(&d1, "gen-1", "acme").unwrap().status, Outcome::Expired);
}

#[test]
fn the_first_row_of_an_id_stays_unless_it_expired() {
    let d1 = D1::new();
    let write = |status, cost| d1.flush(&[outbox_row("gen-1", "acme", status, cost)]);
    assert_eq!(write(Outcome::Expired, 0), 1);
    assert_eq!(write(Outcome::Expired, 0), 0);
    assert_eq!(write(Outcome::Settled, 5), 1);
    assert_eq!(write(Outcome::Settled, 6), 0);
    assert_eq!(write(Outcome::Expired, 0), 0);
    assert_eq!(write(Outcome::Voided, 0), 0);
    assert_eq!(d1.rows(), [("gen-1".to_owned(), "settled".to_owned(), 5)]);
}

#[test]
fn a_full_batch_is_one_statement_with_one_parameter() {
    let d1 = D1::new();
    let rows: Vec<OutboxRow> = (0..500)
        .map(|n| outbox_row(&format!("gen-{n}"), "acme", Outcome::Settled, n))
        .collect();
    assert_eq!(d1.flush(&rows), 500);
    assert_eq!(d1.flush(&rows), 0);
}

// P38: a wrong price is mended in the ledger and in what D1 tells of the generation, and the row itself stays what it was.
#[test]
fn a_generation_tells_its_corrections_in_their_order_and_each_once() {
    let d1 = D1::new();
    d1.flush(&[
        outbox_row("gen-1", "acme", Outcome::Settled, 500),
        outbox_row("gen-1b", "acme", Outcome::Settled, 500),
    ]);
    let say = |account: &str, reason: &str, change: i64| {
        let at = NOON + change.abs();
        d1.0.execute(SAVE_CORRECTION, (account, "gen-1", reason, change, at))
            .unwrap();
    };
    say("acme", "wrong input price", -120);
    say("acme", "wrong input price", -120);
    say("acme", "and the discount", 30);
    say("evil", "not theirs", -500);
    let found = find(&d1, "gen-1", "acme").unwrap();
    let told: Vec<_> = found
        .corrections
        .iter()
        .map(|each| (each.reason.as_str(), each.change.get(), each.at))
        .collect();
    assert_eq!(
        told,
        [
            ("wrong input price", -120, NOON + 120),
            ("and the discount", 30, NOON + 30)
        ]
    );
    assert_eq!(found.cost, nanos(500));
    assert_eq!(find(&d1, "gen-1b", "acme").unwrap().corrections, []);
}
