//! Sums against raw rows, whatever the batches, the order, and what fails in between.

use std::collections::BTreeMap;

use futures::executor::block_on;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::usage::d1_tests::Store;

const START: i64 = 1_800_000_000_000 - 1_800_000_000_000 % DAY_MS;
/// Long after everything.
const LATER: i64 = START + 10 * DAY_MS;

fn kept() -> Retention {
    Retention { raw_days: None }
}

/// A request, as the test knows it.
#[derive(Debug, Clone)]
struct Request {
    account: u8,
    key: u8,
    model: u8,
    user: Option<u8>,
    at: i64,
    status: &'static str,
    /// It was on record as expired before it was settled.
    was_expired: bool,
    cost: i64,
    prompt: i64,
    completion: i64,
    latency: Option<i64>,
    corrections: Vec<i64>,
}

fn request() -> impl Strategy<Value = Request> {
    (
        (0u8..2, 0u8..2, 0u8..3, prop::option::of(0u8..2)),
        0i64..3 * DAY_MS,
        prop_oneof![8 => Just("settled"), 2 => Just("voided"), 1 => Just("expired")],
        prop::bool::weighted(0.2),
        (0i64..1_000_000, 0i64..1_000, 0i64..1_000),
        prop::option::of(0i64..5_000),
        prop::collection::vec(-1_000i64..1_000, 0..3),
    )
        .prop_map(
            |(
                (account, key, model, user),
                at,
                status,
                was_expired,
                (cost, prompt, completion),
                latency,
                corrections,
            )| Request {
                account,
                key,
                model,
                user,
                at: START + at,
                status,
                was_expired,
                cost,
                prompt,
                completion,
                latency,
                corrections: if status == "settled" {
                    corrections
                } else {
                    Vec::new()
                },
            },
        )
}

impl Request {
    fn row(&self, id: usize, status: &str) -> serde_json::Value {
        json!({
            "id": format!("gen-{id}"), "account": format!("acc{}", self.account), "key_hash": format!("key{}", self.key),
            "status": status, "cost": if status == "expired" { 0 } else { self.cost }, "finished_at": self.at,
            "row": {
                "created_at": self.at, "model": format!("m/{}", self.model), "provider": "P", "endpoint": "p",
                "api_type": "completions", "usage": {"prompt": self.prompt, "completion": self.completion},
                "latency_ms": self.latency, "origin": {"external_user": self.user.map(|user| format!("user{user}"))},
            },
        })
    }
}

/// What happens between flushes.
#[derive(Debug, Clone)]
enum Step {
    /// An account's object sends this request's row; the first time perhaps as expired.
    Flush(usize),
    /// A correction arrives, perhaps before its row.
    Correct(usize, usize),
    /// The cron runs with batches of this size, and D1 fails after so many calls.
    Run(i64, Option<u32>),
}

fn story() -> impl Strategy<Value = (Vec<Request>, Vec<Step>)> {
    prop::collection::vec(request(), 1..25).prop_flat_map(|requests| {
        let mut steps: Vec<Step> = Vec::new();
        for (at, request) in requests.iter().enumerate() {
            steps.push(Step::Flush(at));
            if request.was_expired {
                steps.push(Step::Flush(at));
            }
            steps.extend((0..request.corrections.len()).map(|nth| Step::Correct(at, nth)));
        }
        let run =
            (1i64..6, prop::option::of(0u32..14)).prop_map(|(size, left)| Step::Run(size, left));
        let runs = prop::collection::vec(run, 0..12);
        let all = runs.prop_map(move |runs| [steps.clone(), runs].concat());
        (Just(requests), all.prop_shuffle())
    })
}

type Key = (i64, i64, String, String, String);

/// Requests, cost, prompt, completion, latency, and how many have one.
type Sums = [i64; 6];

fn add(into: &mut BTreeMap<Key, Sums>, key: Key, sums: Sums) {
    let own = into.entry(key).or_default();
    own.iter_mut()
        .zip(sums)
        .for_each(|(own, more)| *own += more);
}

/// What the sums must be, from the requests themselves.
fn expected(requests: &[Request], seen: &[u8]) -> (BTreeMap<Key, Sums>, BTreeMap<Key, Sums>) {
    let (mut spans, mut users) = (BTreeMap::new(), BTreeMap::new());
    for (request, times) in requests.iter().zip(seen) {
        let is_known = request.status != "expired" && (!request.was_expired || *times == 2);
        if !is_known {
            continue;
        }
        let corrected: i64 = request.corrections.iter().sum();
        let sums = [
            1,
            request.cost + corrected,
            request.prompt,
            request.completion,
            request.latency.unwrap_or(0),
            i64::from(request.latency.is_some()),
        ];
        let account = format!("acc{}", request.account);
        let model = format!("m/{}", request.model);
        for length in [HOUR_MS, DAY_MS] {
            let start = request.at - request.at % length;
            let key = format!("key{}", request.key);
            add(
                &mut spans,
                (length, start, account.clone(), key, model.clone()),
                sums,
            );
        }
        if let Some(user) = request.user {
            let start = request.at - request.at % DAY_MS;
            add(
                &mut users,
                (DAY_MS, start, account, format!("user{user}"), model),
                sums,
            );
        }
    }
    (spans, users)
}

fn stored(store: &Store, sql: &str) -> BTreeMap<Key, Sums> {
    let mut found = BTreeMap::new();
    for row in store.run(sql, &[]) {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let number = |name: &str| row[name].as_i64().unwrap();
        let key = (
            number("length"),
            number("start"),
            text("account"),
            text("whose"),
            text("model"),
        );
        let sums = [
            "requests",
            "cost",
            "prompt_tokens",
            "completion_tokens",
            "latency_ms",
            "latency_count",
        ];
        add(&mut found, key, sums.map(number));
    }
    found
}

const SPANS: &str = "SELECT *, key_hash AS whose FROM usage_rollups";
const USERS: &str = "SELECT *, 86400000 AS length, external_user AS whose FROM usage_users";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sums_are_what_raw_rows_come_to_whatever_the_batches_failures_and_order((requests, steps) in story()) {
        let store = Store::new();
        let mut seen = vec![0u8; requests.len()];
        for step in steps {
            match step {
                Step::Flush(at) => {
                    let request = &requests[at];
                    seen[at] += 1;
                    let status = if request.was_expired && seen[at] == 1 { "expired" } else { request.status };
                    store.flush(&[request.row(at, status)]);
                }
                Step::Correct(at, nth) => {
                    let request = &requests[at];
                    let params = [
                        SqlValue::Text(format!("acc{}", request.account)),
                        SqlValue::Text(format!("gen-{at}")),
                        SqlValue::Text(format!("reason {nth}")),
                        SqlValue::Int(request.corrections[nth]),
                        SqlValue::Int(LATER),
                    ];
                    store.run(crate::usage::d1::SAVE_CORRECTION, &params);
                }
                Step::Run(size, left) => {
                    store.left.set(left);
                    let ran = block_on(in_batches(&store, kept(), LATER, size));
                    prop_assert!(ran.is_ok() || left.is_some());
                    store.left.set(None);
                }
            }
        }
        block_on(roll_up(&store, kept(), LATER)).unwrap();
        let (spans, users) = expected(&requests, &seen);
        prop_assert_eq!(stored(&store, SPANS), spans);
        prop_assert_eq!(stored(&store, USERS), users);
        // Nothing is left to do, and doing it again changes nothing.
        let again = block_on(roll_up(&store, kept(), LATER)).unwrap();
        prop_assert_eq!(again, RolledUp::default());
    }
}

fn simple(n: usize, at: i64) -> serde_json::Value {
    json!({
        "id": format!("gen-{n}"), "account": "acc", "key_hash": "k", "status": "settled", "cost": 1, "finished_at": at,
        "row": {"created_at": at, "model": "m/m", "usage": {"prompt": 1, "completion": 1}},
    })
}

fn count(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {table}");
    store.run(&sql, &[])[0]["n"].as_i64().unwrap()
}

#[test]
fn raw_rows_are_forgotten_once_everybody_has_read_them_and_sums_stay() {
    let store = Store::new();
    let rows: Vec<_> = (0..2_500).map(|n| simple(n, START + n as i64)).collect();
    store.flush(&rows);
    let month = Retention { raw_days: Some(32) };
    let late = START + 40 * DAY_MS;
    // The statistics of endpoints have not read them yet.
    block_on(roll_up(&store, month, late)).unwrap();
    assert_eq!(count(&store, "usage"), 2_500);
    store.run("UPDATE statistics_progress SET through = 2500", &[]);
    block_on(roll_up(&store, month, START + 31 * DAY_MS)).unwrap();
    assert_eq!(count(&store, "usage"), 2_500);
    block_on(roll_up(&store, month, late)).unwrap();
    // The last one keeps its number from being given again.
    assert_eq!(count(&store, "usage"), 1);
    let sum = "SELECT SUM(requests) AS n FROM usage_rollups WHERE length = 86400000";
    assert_eq!(store.run(sum, &[])[0]["n"], 2_500);
    store.flush(&[simple(9_999, late)]);
    block_on(roll_up(&store, month, late)).unwrap();
    assert_eq!(store.run(sum, &[])[0]["n"], 2_501);
}

#[test]
fn roll_ups_of_hours_and_end_users_end_and_those_of_days_stay() {
    let store = Store::new();
    let mut row = simple(1, START);
    row["row"]["origin"] = json!({"external_user": "u"});
    store.flush(&[row]);
    let left = |now| {
        block_on(roll_up(&store, kept(), now)).unwrap();
        (count(&store, "usage_rollups"), count(&store, "usage_users"))
    };
    assert_eq!(left(START + HOURS_DAYS * DAY_MS), (2, 1));
    assert_eq!(left(START + (HOURS_DAYS + 1) * DAY_MS), (1, 1));
    assert_eq!(left(START + (USERS_DAYS + 1) * DAY_MS), (1, 0));
}

#[test]
fn a_correction_whose_row_is_gone_is_given_up_in_the_end() {
    let store = Store::new();
    let correction = [
        SqlValue::from("acc"),
        "gen-1".into(),
        "why".into(),
        SqlValue::Int(5),
        SqlValue::Int(START),
    ];
    store.run(crate::usage::d1::SAVE_CORRECTION, &correction);
    let counted = |now| {
        block_on(roll_up(&store, kept(), now)).unwrap();
        store.run("SELECT counted FROM corrections", &[])[0]["counted"]
            .as_i64()
            .unwrap()
    };
    assert_eq!(counted(START + PATIENCE_MS), 0);
    assert_eq!(counted(START + PATIENCE_MS + 1), 2);
}

#[test]
fn a_mistaken_retention_forgets_nothing() {
    for (text, days) in [
        (None, Some(90)),
        (Some("0"), None),
        (Some(" 7 "), Some(7)),
        (Some("400"), Some(400)),
    ] {
        assert_eq!(Retention::read(text), Ok(Retention { raw_days: days }));
    }
    for text in ["", "6", "-1", "1.5", "ninety", "99999999"] {
        assert!(Retention::read(Some(text)).is_err(), "{text}");
    }
}
