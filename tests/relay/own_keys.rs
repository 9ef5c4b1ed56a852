//! Requests with the account's own provider keys: what is held, charged and told of them.

use std::rc::Rc;

use serde_json::json;

use patchbay::credits::{money::Nanos, share::Share};
use patchbay::relay::Job;
use patchbay::routing::{Credential, OwnKey};

use crate::client::{COMPLETION, Client, PROMPT, in_one_piece, play, streamed};
use crate::upstream::{answer, json as refusal, refuses, stream};
use crate::world::{RICH, World};

const SECRET: &str = "own-secret-9876";

fn own() -> Credential {
    Credential::Own(Rc::new(OwnKey {
        id: "key-1".into(),
        label: "...9876".into(),
        secret: SECRET.into(),
        form: Default::default(),
    }))
}

/// The same request with the account's key for its first attempts.
fn with_own(mut job: Job, attempts: usize, fee: &str) -> Job {
    for step in job.plan.attempts.iter_mut().take(attempts) {
        step.credential = own();
    }
    job.own_key_fee = Share::from_percent(fee).unwrap();
    job
}

// P48
#[test]
fn an_own_key_costs_the_operators_share_alone_and_the_list_price_is_on_record() {
    let list = 10 * PROMPT + 7 * COMPLETION;
    for (fee, cost) in [("0", 0), ("5", list / 20), ("0.001", 1), ("100", list)] {
        for (job, script) in [
            (streamed(1), stream(&["Hi"], 10, 7)),
            (in_one_piece(1), answer("Hi", 10, 7)),
        ] {
            let is_stream = job.request.stream;
            let (world, client) = play(with_own(job, 1, fee), [script]);
            assert_eq!(world.ends(), [format!("settle {cost}")], "{fee}");
            let row = world.row();
            assert_eq!(row.own_key.as_deref(), Some("key-1"));
            assert_eq!(row.list_cost.map(Nanos::get), Some(list));
            assert_eq!(row.attempts[0].own_key.as_deref(), Some("key-1"));
            let charge = row.charge.unwrap();
            assert!(charge.explains_itself() && charge.total.get() == cost);
            let told = if is_stream {
                client.chunks().last().unwrap()["usage"].clone()
            } else {
                client.body()["usage"].clone()
            };
            assert_eq!(told["is_byok"], true);
            let dollars = |nanos: i64| Nanos::new(nanos).unwrap().to_string().parse().unwrap();
            let number = |value: &serde_json::Value| -> f64 { value.as_f64().unwrap() };
            let (paid, listed): (f64, f64) = (dollars(cost), dollars(list));
            let details = &told["cost_details"];
            assert_eq!(number(&told["cost"]), paid);
            assert_eq!(number(&details["upstream_inference_cost"]), listed);
            let parts = number(&details["upstream_inference_prompt_cost"])
                + number(&details["upstream_inference_completions_cost"]);
            assert!((parts - listed).abs() < 1e-12);
        }
    }
}

#[test]
fn a_hold_covers_the_share_or_the_operators_key_that_may_follow() {
    let held = |job: Job| {
        let world = World::new(RICH, [answer("Hi", 1, 2), answer("Hi", 1, 2)]);
        let _client = Client::of(&world, job);
        world.run_out();
        let hold = world.holds.borrow()[0].call.amount;
        hold.get()
    };
    let whole = held(in_one_piece(2));
    assert_eq!(held(with_own(in_one_piece(2), 2, "0")), 0);
    assert_eq!(held(with_own(in_one_piece(2), 2, "5")), (whole + 19) / 20);
    assert_eq!(held(with_own(in_one_piece(2), 1, "0")), whole);
}

#[test]
fn the_operators_key_that_steps_in_is_charged_in_full_and_is_no_own_key() {
    let refused = refusal(401, &json!({"error": {"message": SECRET}}).to_string());
    let (world, client) = play(
        with_own(in_one_piece(2), 1, "5"),
        [refused, answer("Hi", 10, 7)],
    );
    assert_eq!(world.charged(), 10 * PROMPT + 7 * COMPLETION);
    let row = world.row();
    assert_eq!((row.own_key.clone(), row.list_cost), (None, None));
    assert_eq!(row.attempts[0].own_key.as_deref(), Some("key-1"));
    assert_eq!(row.attempts[1].own_key, None);
    let why = row.attempts[0].error.as_deref().unwrap();
    assert!(
        why.contains("refused your own key ...9876 (status 401)"),
        "{why}"
    );
    assert!(!serde_json::to_string(&row).unwrap().contains(SECRET));
    assert_eq!(client.body()["usage"]["is_byok"], false);
}

#[test]
fn a_refused_own_key_is_told_when_nothing_else_is_left_by_its_label() {
    for status in [401, 403] {
        let body = json!({"error": {"message": format!("Bad key {SECRET}"), "code": SECRET}});
        let refused = refusal(status, &body.to_string());
        let (world, client) = play(with_own(streamed(1), 1, "5"), [refused]);
        let error = client.failure();
        assert!(
            error.message.contains("your own key ...9876"),
            "{}",
            error.message
        );
        assert_eq!(error.metadata["is_byok"], true);
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
        assert_eq!(world.ends(), ["void 0"]);
        let row = serde_json::to_string(&world.row()).unwrap();
        assert!(!row.contains(SECRET) && row.contains("...9876"), "{row}");
    }
    // Another failure comes last: it is told, and the own key is in the history.
    let refused = refusal(401, "{}");
    let (_, client) = play(with_own(in_one_piece(2), 1, "0"), [refused, refuses()]);
    let error = client.failure();
    assert!(!error.message.contains("own key"), "{}", error.message);
    assert_eq!(error.metadata["previous_errors"][0]["is_byok"], true);
    assert!(error.metadata.get("is_byok").is_none());
}

#[test]
fn an_own_key_in_a_providers_error_is_cut_whatever_the_status() {
    let body = json!({"error": {"message": format!("API key not valid: {SECRET}")}});
    let (world, client) = play(
        with_own(in_one_piece(1), 1, "0"),
        [refusal(400, &body.to_string())],
    );
    let error = client.failure();
    assert!(
        error.message.contains("not valid: ...9876"),
        "{}",
        error.message
    );
    assert!(!format!("{error:?} {:?}", world.row()).contains(SECRET));
}
