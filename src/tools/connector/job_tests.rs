//! Jobs from their start to their end.

use serde_json::{Value, json};
use std::rc::Rc;

use super::{
    Acted, Context, Credentials, JobState, Outcome, Running, cancel, poll, read_cancel, read_poll,
    test_rows::{KEY, answer, outcome, tool, vars},
};
use crate::tools::catalog::{Class, Tool};

fn crawl(more: Value) -> Rc<Tool> {
    let mut job = json!({
        "id": "/id", "status": "/status", "done": ["completed"], "failed": ["failed"], "error": ["/error"],
        "progress": "/completed", "every_ms": 500, "poll": {"path": "/crawl/{site}/{id}"},
        "cancel": {"method": "DELETE", "path": "/crawl/{id}"},
    });
    for (name, value) in more.as_object().unwrap() {
        job[name] = value.clone();
    }
    tool(
        json!({}),
        json!({"response": {"kind": "documents", "result": {"n": {"$count": "/data"}}, "job": job}}),
    )
}

fn running(outcome: Outcome) -> Running {
    match outcome {
        Outcome::Running(running) => *running,
        other => panic!("does not run: {other:?}"),
    }
}

fn asked(tool: &Tool, state: &JobState) -> (String, String) {
    let var = vars(&[]);
    let credentials = Credentials::of(tool, Some(KEY), &var).unwrap();
    let cx = Context {
        credentials: &credentials,
        token: None,
        idempotency: None,
        now_ms: 0,
        var: &var,
    };
    let asked = poll(tool, state, &cx).unwrap();
    assert!(
        asked
            .headers
            .iter()
            .any(|(name, _)| name == "authorization")
    );
    let ended = cancel(tool, state, &cx).unwrap();
    if let Some(ended) = ended {
        assert_eq!(
            (ended.method.as_str(), ended.url.as_str()),
            ("DELETE", "https://api.acme.example/v1/crawl/j%2F1")
        );
    }
    (asked.method, asked.url)
}

fn told(tool: &Tool, state: &JobState, status: u16, body: &str) -> Outcome {
    read_poll(
        tool,
        state,
        &json!({"site": "s"}),
        &answer(status, &[], body),
        &[KEY.to_owned()],
        0,
    )
}

#[test]
fn a_job_is_asked_about_until_it_is_done() {
    let crawl = crawl(json!({}));
    let input = json!({"site": "s", "secret": "not kept"});
    let begun = running(outcome(
        &crawl,
        &input,
        &answer(
            200,
            &[],
            r#"{"id":"j/1","status":"scraping","completed":0}"#,
        ),
    ));
    assert_eq!(
        (begun.after_ms, begun.progress.as_ref()),
        (500, Some(&json!(0)))
    );
    // What is kept survives being written down.
    let kept = serde_json::to_string(&begun.job).unwrap();
    assert!(!kept.contains("not kept"), "{kept}");
    let state: JobState = serde_json::from_str(&kept).unwrap();
    assert_eq!(
        asked(&crawl, &state),
        (
            "GET".to_owned(),
            "https://api.acme.example/v1/crawl/s/j%2F1".to_owned()
        )
    );
    let on = running(told(
        &crawl,
        &state,
        200,
        r#"{"status":"scraping","completed":3}"#,
    ));
    assert_eq!(on.progress, Some(json!(3)));
    let Outcome::Success(done) = told(
        &crawl,
        &on.job,
        200,
        r#"{"status":"completed","data":[1,2]}"#,
    ) else {
        panic!("not done");
    };
    assert_eq!(done.result, Some(json!({"kind": "documents", "n": 2})));
}

#[test]
fn a_start_may_be_its_own_end() {
    let crawl = crawl(json!({}));
    let at_once = outcome(
        &crawl,
        &json!({}),
        &answer(200, &[], r#"{"id":"j","status":"completed","data":[1]}"#),
    );
    assert!(matches!(at_once, Outcome::Success(_)));
    let Outcome::Failure(failed) = outcome(
        &crawl,
        &json!({}),
        &answer(200, &[], r#"{"id":"j","status":"failed","error":"no"}"#),
    ) else {
        panic!("no failure");
    };
    assert_eq!((failed.message.as_str(), failed.acted), ("no", Acted::No));
    let Outcome::Failure(nameless) = outcome(
        &crawl,
        &json!({}),
        &answer(200, &[], r#"{"status":"scraping"}"#),
    ) else {
        panic!("no failure");
    };
    assert_eq!(nameless.acted, Acted::Maybe);
}

#[test]
fn a_result_may_be_elsewhere_than_the_status() {
    let queue = crawl(json!({"fetch": {"path": "/result/{id}"}, "pending": [202]}));
    let state = JobState {
        id: "j/1".into(),
        is_done: false,
        fields: json!({"site": "s"}).as_object().unwrap().clone(),
        failures: 2,
    };
    let on = running(told(&queue, &state, 202, ""));
    assert_eq!(on.job.failures, 0);
    let done = running(told(&queue, &on.job, 200, r#"{"status":"completed"}"#));
    assert_eq!((done.after_ms, done.job.is_done), (0, true));
    assert_eq!(
        asked(&queue, &done.job).1,
        "https://api.acme.example/v1/result/j%2F1"
    );
    assert!(matches!(
        told(&queue, &done.job, 200, r#"{"data":[]}"#),
        Outcome::Success(_)
    ));
}

#[test]
fn a_question_without_an_answer_is_asked_again_a_few_times() {
    let crawl = crawl(json!({}));
    let mut state = JobState {
        id: "j/1".into(),
        is_done: false,
        fields: json!({"site": "s"}).as_object().unwrap().clone(),
        failures: 0,
    };
    for _ in 0..5 {
        let limited = answer(429, &[("retry-after", "2")], "{}");
        let again = running(read_poll(&crawl, &state, &json!({}), &limited, &[], 0));
        assert_eq!(again.after_ms, 2_000);
        state = again.job;
    }
    let Outcome::Failure(given_up) = told(&crawl, &state, 500, "{}") else {
        panic!("asks for ever");
    };
    assert_eq!(given_up.acted, Acted::Maybe);
    state.failures = 0;
    let Outcome::Failure(gone) = told(&crawl, &state, 404, "{}") else {
        panic!("asks for what is not there");
    };
    assert_eq!((gone.class, gone.acted), (Class::NotFound, Acted::Maybe));
}

#[test]
fn who_cannot_cancel_says_so() {
    let crawl = crawl(json!({}));
    assert_eq!(
        read_cancel(&crawl, &answer(200, &[], r#"{"success":true}"#), &[], 0),
        Ok(())
    );
    let refused = read_cancel(
        &crawl,
        &answer(409, &[], format!(r#"{{"error":"done {KEY}"}}"#)),
        &[KEY.to_owned()],
        0,
    );
    assert_eq!(refused.unwrap_err().message, "done [secret]");
}
