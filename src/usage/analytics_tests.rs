//! Questions over a real SQLite: what is refused, what is answered, and that both sources say the same.

use futures::executor::block_on;
use serde_json::{Value, json};

use super::*;
use crate::usage::{d1_tests::Store, rollup};

const START: i64 = 1_800_000_000_000 - 1_800_000_000_000 % DAY_MS;
const NOW: i64 = START + 20 * DAY_MS;

fn check(question: Value) -> Result<Query> {
    let asked: Asked = serde_json::from_value(question).unwrap();
    asked.check(NOW)
}

fn row(n: i64, account: &str) -> Value {
    let model = ["m/a", "m/b", "m/'c"][(n % 3) as usize];
    json!({
        "id": format!("gen-{account}-{n}"), "account": account, "key_hash": format!("key{}", n % 2),
        "status": if n % 7 == 0 { "voided" } else { "settled" }, "cost": n * 1_000, "finished_at": 0,
        "row": {
            "created_at": START + n * 7 * HOUR_MS, "model": model, "provider": "P", "endpoint": "p", "api_type": "completions",
            "streamed": n % 2, "finish_reason": if n % 5 == 0 { Value::Null } else { "stop".into() },
            "member": if n % 4 == 0 { Value::from("user_1") } else { Value::Null },
            "usage": {"prompt": n, "completion": 2 * n, "cache_read": n / 2}, "latency_ms": n, "generation_ms": 10 * n,
            "origin": {"external_user": if n % 3 == 0 { Value::Null } else { Value::from(format!("u{}", n % 3)) }, "session_id": format!("s{}", n % 5)},
        },
    })
}

fn store() -> Store {
    let store = Store::new();
    let rows: Vec<Value> = (0..60)
        .flat_map(|n| [row(n, "acc"), row(n, "other")])
        .collect();
    store.flush(&rows);
    let correction = [
        "acc".into(),
        "gen-acc-8".into(),
        "r".into(),
        (-3_000i64).into(),
        NOW.into(),
    ];
    store.run(crate::usage::d1::SAVE_CORRECTION, &correction);
    block_on(rollup::roll_up(
        &store,
        rollup::Retention { raw_days: None },
        NOW,
    ))
    .unwrap();
    store
}

fn answer_of(store: &Store, question: Value, member: Option<&str>) -> (Value, &'static str) {
    let query = check(question).unwrap();
    let compiled = query.compile("acc", member).unwrap();
    let rows = store.run(&compiled.sql, &compiled.params);
    let (table, _) = query.read(&rows);
    (
        serde_json::from_str(&table.json()).unwrap(),
        compiled.source.name(),
    )
}

fn range(days: i64) -> Value {
    json!({"start": crate::time::rfc3339(START), "end": crate::time::rfc3339(START + days * DAY_MS)})
}

#[test]
fn a_wrong_question_is_refused_with_the_path_of_what_is_wrong() {
    let long = "x".repeat(300);
    for (question, path) in [
        (json!({"metrics": []}), "metrics"),
        (json!({"metrics": ["cost; DROP TABLE usage"]}), "metrics.0"),
        (json!({"metrics": ["requests", "requests"]}), "metrics.1"),
        (
            json!({"metrics": ["requests"], "dimensions": ["model", "account"]}),
            "dimensions.1",
        ),
        (
            json!({"metrics": ["requests"], "granularity": "year"}),
            "granularity",
        ),
        (json!({"metrics": ["requests"], "limit": 0}), "limit"),
        (json!({"metrics": ["requests"], "limit": 10_001}), "limit"),
        (json!({"metrics": ["requests"], "offset": -1}), "offset"),
        (
            json!({"metrics": ["requests"], "time_range": {"start": "2027-02-01", "end": "2027-01-01"}}),
            "time_range",
        ),
        (
            json!({"metrics": ["requests"], "time_range": {"start": "soon", "end": "2027-01-01"}}),
            "time_range.start",
        ),
        (
            json!({"metrics": ["requests"], "order_by": {"field": "model", "direction": "asc"}}),
            "order_by.field",
        ),
        (
            json!({"metrics": ["requests"], "order_by": {"field": "requests", "direction": "up"}}),
            "order_by.direction",
        ),
        (
            json!({"metrics": ["requests"], "filters": [{"field": "model", "operator": "like", "value": "x"}]}),
            "filters.0.operator",
        ),
        (
            json!({"metrics": ["requests"], "filters": [{"field": "model", "operator": "gt", "value": 1}]}),
            "filters.0.field",
        ),
        (
            json!({"metrics": ["requests"], "filters": [{"field": "model", "operator": "in", "value": "x"}]}),
            "filters.0.value",
        ),
        (
            json!({"metrics": ["requests"], "filters": [{"field": "model", "operator": "eq", "value": ["x"]}]}),
            "filters.0.value",
        ),
        (
            json!({"metrics": ["requests"], "filters": [{"field": "model", "operator": "in", "value": ["x", 1]}]}),
            "filters.0.value.1",
        ),
        (
            json!({"metrics": ["requests"], "filters": [{"field": "model", "operator": "eq", "value": long}]}),
            "filters.0.value.0",
        ),
        (
            json!({"metrics": ["requests"], "filters": [{"field": "usage", "operator": "gt", "value": "0.0000000001"}]}),
            "filters.0.value",
        ),
    ] {
        let error = check(question.clone()).unwrap_err();
        assert_eq!(
            (error.status, error.param.as_deref()),
            (400, Some(path)),
            "{question}"
        );
    }
    for (question, path) in [
        (
            json!({"metrics": ["requests"], "granularity": "minute", "time_range": range(2)}),
            "time_range",
        ),
        (
            json!({"metrics": ["requests"], "dimensions": ["status"], "time_range": range(32)}),
            "time_range",
        ),
        (
            json!({"metrics": ["requests"], "granularity": "hour", "time_range": range(101)}),
            "time_range",
        ),
        (
            json!({"metrics": ["requests"], "granularity": "day", "time_range": range(3_661)}),
            "time_range",
        ),
    ] {
        let error = check(question.clone())
            .unwrap()
            .compile("acc", None)
            .unwrap_err();
        assert_eq!(error.param.as_deref(), Some(path), "{question}");
    }
}

#[test]
fn the_smallest_source_that_can_answer_is_asked_and_all_say_the_same() {
    let store = store();
    let metrics = json!([
        "requests",
        "failed_requests",
        "usage",
        "tokens_total",
        "cached_tokens",
        "latency",
        "throughput",
        "error_rate"
    ]);
    for (dimensions, more, source) in [
        (json!(["model"]), json!({}), "hours"),
        (
            json!(["model", "api_key_id"]),
            json!({"granularity": "day"}),
            "days",
        ),
        (json!([]), json!({"granularity": "week"}), "days"),
        (
            json!(["workspace"]),
            json!({"granularity": "hour"}),
            "hours",
        ),
        (
            json!(["external_user"]),
            json!({"granularity": "day", "filters": [{"field": "external_user", "operator": "neq", "value": "none"}]}),
            "external_user_days",
        ),
    ] {
        let mut question =
            json!({"metrics": metrics, "dimensions": dimensions, "time_range": range(18)});
        question
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (sums, from) = answer_of(&store, question.clone(), None);
        assert_eq!(from, source, "{question}");
        // A filter that all rows pass, of a dimension that roll-ups do not have.
        let pass = json!({"field": "status", "operator": "neq", "value": "expired"});
        let object = question.as_object_mut().unwrap();
        let filters = object.entry("filters").or_insert(json!([]));
        filters.as_array_mut().unwrap().push(pass);
        let (raw, from) = answer_of(&store, question.clone(), None);
        assert_eq!(from, "requests");
        assert!(!raw.as_array().unwrap().is_empty());
        assert_eq!(sums, raw, "{question}");
    }
}

#[test]
fn figures_are_of_the_account_alone_with_its_corrections() {
    let store = store();
    let (rows, _) = answer_of(
        &store,
        json!({"metrics": ["requests", "usage", "tokens_prompt"], "time_range": range(18)}),
        None,
    );
    let sum: i64 = (0..60).sum();
    let usage = (sum * 1_000 - 3_000) as f64 / 1e9;
    assert_eq!(
        rows,
        json!([{"requests": 60, "usage": usage, "tokens_prompt": sum}])
    );
    // A member sees their own.
    let (rows, _) = answer_of(
        &store,
        json!({"metrics": ["requests"], "time_range": range(18)}),
        Some("user_1"),
    );
    assert_eq!(rows, json!([{"requests": 15}]));
    let (rows, _) = answer_of(
        &store,
        json!({"metrics": ["requests"], "dimensions": ["external_user"], "time_range": range(18)}),
        Some("user_1"),
    );
    assert_eq!(
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["requests"].as_i64().unwrap())
            .sum::<i64>(),
        15
    );
}

#[test]
fn filters_choose_rows_and_unset_values_are_asked_for() {
    let store = store();
    let requests = |filter: Value| {
        let question =
            json!({"metrics": ["requests"], "filters": [filter], "time_range": range(18)});
        let (rows, _) = answer_of(&store, question, None);
        rows[0]["requests"].as_i64().unwrap_or(0)
    };
    for (filter, expected) in [
        (
            json!({"field": "model", "operator": "eq", "value": "m/a"}),
            20,
        ),
        (
            json!({"field": "model", "operator": "neq", "value": "m/a"}),
            40,
        ),
        (
            json!({"field": "model", "operator": "in", "value": ["m/a", "m/'c"]}),
            40,
        ),
        (
            json!({"field": "model", "operator": "eq", "value": "' OR 1=1 --"}),
            0,
        ),
        (
            json!({"field": "finish_reason", "operator": "in", "value": ["stop"]}),
            48,
        ),
        (
            json!({"field": "finish_reason", "operator": "in", "value": ["stop"], "include_unset": true}),
            60,
        ),
        (
            json!({"field": "finish_reason", "operator": "not_in", "value": ["stop"]}),
            0,
        ),
        (
            json!({"field": "finish_reason", "operator": "not_in", "value": ["stop"], "include_unset": true}),
            12,
        ),
        (
            json!({"field": "streamed", "operator": "eq", "value": true}),
            30,
        ),
        (
            json!({"field": "session", "operator": "eq", "value": "s1"}),
            12,
        ),
        (
            json!({"field": "member", "operator": "eq", "value": "user_1"}),
            15,
        ),
    ] {
        assert_eq!(requests(filter.clone()), expected, "{filter}");
    }
    let question = json!({"metrics": ["usage"], "dimensions": ["model"], "time_range": range(18),
        "filters": [{"field": "usage", "operator": "gte", "value": "0.00059"}]});
    let (rows, _) = answer_of(&store, question, None);
    assert_eq!(rows.as_array().unwrap().len(), 2);
}

#[test]
fn order_limits_and_pages_are_as_asked() {
    let store = store();
    let names = |more: Value| {
        let mut question = json!({"metrics": ["requests", "usage"], "dimensions": ["model"], "time_range": range(18)});
        question
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let query = check(question).unwrap();
        let compiled = query.compile("acc", None).unwrap();
        let (table, more) = query.read(&store.run(&compiled.sql, &compiled.params));
        let rows: Value = serde_json::from_str(&table.json()).unwrap();
        let names = rows.as_array().unwrap().iter();
        (
            names
                .map(|row| row["model"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>(),
            more,
        )
    };
    let by = |field: &str, direction: &str| json!({"order_by": {"field": field, "direction": direction}});
    assert_eq!(
        names(by("model", "desc")),
        (vec!["m/b".into(), "m/a".into(), "m/'c".into()], false)
    );
    assert_eq!(names(by("usage", "desc")).0[0], "m/'c");
    assert_eq!(names(by("usage", "asc")).0[2], "m/'c");
    let page = |offset| {
        let mut more = by("usage", "asc");
        more.as_object_mut().unwrap().extend(
            json!({"limit": 2, "offset": offset})
                .as_object()
                .unwrap()
                .clone(),
        );
        names(more)
    };
    let (first, more) = page(0);
    assert_eq!((first.len(), more), (2, true));
    assert_eq!(page(2), (vec!["m/'c".to_owned()], false));
    // At most so many pieces of time for each model.
    let (limited, _) = names(json!({"granularity": "day", "group_limit": 2}));
    assert_eq!(limited.len(), 6);
}

#[test]
fn weeks_begin_on_monday_and_months_on_their_first() {
    let store = store();
    let dates = |granularity: &str| {
        let question =
            json!({"metrics": ["requests"], "granularity": granularity, "time_range": range(18)});
        let (rows, _) = answer_of(&store, question, None);
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["date"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // The 15th of January 2027 is a Friday.
    assert_eq!(
        dates("week"),
        ["2027-01-11", "2027-01-18", "2027-01-25", "2027-02-01"]
    );
    assert_eq!(dates("month"), ["2027-01-01", "2027-02-01"]);
    assert_eq!(dates("day")[0], "2027-01-15");
    assert_eq!(dates("hour")[1], "2027-01-15T07:00:00.000Z");
}

#[test]
fn sums_are_found_by_their_key_and_raw_rows_by_account_and_time() {
    let store = store();
    for (question, words) in [
        (
            json!({"metrics": ["requests"], "granularity": "day"}),
            "SEARCH usage_rollups USING PRIMARY KEY (length=? AND start=? AND account=?)",
        ),
        (
            json!({"metrics": ["requests"], "dimensions": ["status"]}),
            "SEARCH usage USING INDEX usage_by_account (account=? AND created_at>? AND created_at<?)",
        ),
        (
            json!({"metrics": ["requests"], "dimensions": ["external_user"]}),
            "SEARCH usage_users USING PRIMARY KEY (start=? AND account=?)",
        ),
    ] {
        let compiled = check(question).unwrap().compile("acc", None).unwrap();
        let plan = store.run(
            &format!("EXPLAIN QUERY PLAN {}", compiled.sql),
            &compiled.params,
        );
        let plan: Vec<&str> = plan
            .iter()
            .map(|row| row["detail"].as_str().unwrap())
            .collect();
        assert!(plan.iter().any(|step| step.contains(words)), "{plan:?}");
    }
}

#[test]
fn more_raw_rows_than_a_question_may_read_are_refused() {
    let store = store();
    let query = check(json!({"metrics": ["sessions"]})).unwrap();
    assert!(block_on(query.affordable(&store, "acc")).is_ok());
    store.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 200001)
        INSERT INTO usage (id, account, key_hash, status, cost, finished_at, request_id, created_at, api_type, model, streamed,
            cancelled, prompt_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, completion_tokens,
            reasoning_tokens, audio_in_tokens, audio_out_tokens, image_out_tokens, estimated)
        SELECT 'x' || i, 'acc', 'k', 'settled', 0, 0, '', ?1, '', 'm', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM n", &[START.into()]);
    let error = block_on(query.affordable(&store, "acc")).unwrap_err();
    assert_eq!(
        (error.status, error.param.as_deref()),
        (400, Some("time_range"))
    );
}
