//! Tools of MCP servers run as all others do: held, settled, named once, confirmed; and what is not known is told.

use patchbay::tools::envelope::Status;
use patchbay::tools::execute::{Answer, SendError};
use serde_json::{Value, json};

use crate::world::{Reply, World, call, named, ok, status};

const DOLLAR: i64 = 1_000_000_000;

fn result(id: u64, result: Value) -> Reply {
    ok(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn said(id: u64, text: &str) -> Reply {
    result(id, json!({"content": [{"type": "text", "text": text}]}))
}

fn accepted() -> Reply {
    Ok(Answer {
        status: 202,
        ..Answer::default()
    })
}

/// The beginning of a session.
fn begun() -> [Reply; 2] {
    let mut greeting = result(
        1,
        json!({"protocolVersion": "2025-06-18", "capabilities": {}}),
    );
    if let Ok(answer) = &mut greeting {
        let session = ("mcp-session-id".to_owned(), "s-1".to_owned());
        answer.headers.push(session);
    }
    [greeting, accepted()]
}

fn input() -> Value {
    json!({"what": "a lamp", "how": "gently"})
}

#[test]
fn a_tool_of_a_server_is_called_charged_and_its_secret_stays_here() {
    let world = World::with(DOLLAR);
    world.replies([said(1, "done with operator-shop-key")]);
    let envelope = world.run(call("shop/put", input()));
    assert_eq!(envelope.status, Status::Succeeded, "{envelope:?}");
    assert_eq!(envelope.result.unwrap()["text"], "done with [secret]");
    assert_eq!(world.balance(), DOLLAR - 1_000_000);
    let (method, url, headers) = world.request(0);
    assert_eq!(
        (method.as_str(), url.as_str()),
        ("POST", "https://shop.test/mcp")
    );
    assert_eq!(headers["authorization"], "Bearer operator-shop-key");
    assert_eq!(headers["mcp-name"], "put-there");
    let params = &world.body(0)["params"];
    assert_eq!(
        params["arguments"],
        json!({"the what": "a lamp", "how": "gently"})
    );
    assert_eq!(
        params["_meta"]["io.patchbay/idempotencyKey"]
            .as_str()
            .unwrap()
            .len(),
        64
    );
    assert_eq!(world.attempts(), [("shop/put".to_owned(), false, None)]);
}

#[test]
fn a_write_that_is_not_answered_is_unknown_and_not_called_again() {
    let broken = || Err(SendError::Unknown("reset".into()));
    let lost: [(&str, Vec<Reply>); 5] = [
        ("shop/put", vec![Err(SendError::TimedOut)]),
        ("shop/put", vec![broken()]),
        ("shop/put", vec![status(500, json!({}))]),
        (
            "oldshop/put",
            begun()
                .into_iter()
                .chain([Err(SendError::TimedOut)])
                .collect(),
        ),
        (
            "oldshop/put",
            begun().into_iter().chain([accepted()]).collect(),
        ),
    ];
    for (tool, replies) in lost {
        let world = World::with(DOLLAR);
        let count = replies.len();
        world.replies(replies);
        let first = world.run(named(tool, input(), "k"));
        assert_eq!(first.status, Status::Unknown, "{first:?}");
        assert_eq!(first.error.unwrap().code, "outcome_unknown");
        let again = world.run(named(tool, input(), "k"));
        assert!(again.replayed && again.status == Status::Unknown);
        assert_eq!((world.sent(), world.balance()), (count, DOLLAR), "{tool}");
    }
}

#[test]
fn what_breaks_before_the_call_is_sent_was_not_done_and_runs_again() {
    let [greeting, _] = begun();
    for lost in [
        vec![Err(SendError::TimedOut)],
        vec![status(503, json!({}))],
        vec![greeting.clone(), Err(SendError::Unknown("reset".into()))],
    ] {
        let world = World::with(DOLLAR);
        world.replies(lost);
        let first = world.run(named("oldshop/put", input(), "k"));
        assert_eq!(first.status, Status::Failed, "{first:?}");
        assert_eq!(world.balance(), DOLLAR);
        world.replies(begun());
        world.replies([said(2, "done")]);
        let second = world.run(named("oldshop/put", input(), "k"));
        assert_eq!(
            (second.status, second.replayed),
            (Status::Succeeded, false),
            "{second:?}"
        );
        let session = &world.request(world.sent() - 1).2["mcp-session-id"];
        assert_eq!(session, "s-1");
        // The session ends behind the answer.
        world.replies([status(200, json!({})), status(200, json!({}))]);
        world.settle();
        assert_eq!(world.request(world.sent() - 1).0, "DELETE");
    }
}

#[test]
fn a_tool_that_says_that_it_failed_has_and_costs_nothing() {
    let world = World::with(DOLLAR);
    world.replies([result(
        1,
        json!({"isError": true, "content": [{"type": "text", "text": "no such shelf"}]}),
    )]);
    let envelope = world.run(named("shop/put", input(), "k"));
    let error = envelope.error.unwrap();
    assert_eq!(
        (envelope.status, error.code.as_str(), error.message.as_str()),
        (Status::Failed, "refused", "no such shelf")
    );
    assert!(world.run(named("shop/put", input(), "k")).replayed);
    assert_eq!((world.sent(), world.balance()), (1, DOLLAR));
}

#[test]
fn a_read_is_tried_again_and_what_destroys_is_confirmed_first() {
    let world = World::with(DOLLAR);
    world.replies([Err(SendError::TimedOut), said(1, "a lamp")]);
    let read = world.run(call("shop/look", input()));
    assert_eq!(read.status, Status::Succeeded, "{read:?}");
    assert!(
        world.body(1)["params"]["_meta"]
            .get("io.patchbay/idempotencyKey")
            .is_none()
    );
    let asked = world.run(call("shop/wreck", input()));
    assert_eq!(
        (asked.status, world.sent()),
        (Status::ConfirmationRequired, 2)
    );
}

#[test]
fn an_answer_that_is_too_long_was_done_and_a_wrong_input_is_not_sent() {
    let world = World::with(DOLLAR);
    world.replies([Err(SendError::TooLarge(200))]);
    let envelope = world.run(call("shop/put", input()));
    assert_eq!(envelope.status, Status::Succeeded);
    assert_eq!(envelope.warnings[0].code, "result_too_large");
    let wrong = world.run(call("shop/put", json!({"how": "gently"})));
    assert_eq!((wrong.status, world.sent()), (Status::Failed, 1));
}
