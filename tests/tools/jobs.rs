//! Jobs: what is started in a call and goes on after it.

use patchbay::tools::envelope::Status;
use patchbay::tools::execute::SendError;
use serde_json::json;

use crate::store::{DAY, MINUTE};
use crate::world::{World, call, named, ok, status};

const DOLLAR: i64 = 1_000_000_000;

fn crawl() -> patchbay::tools::execute::Call {
    named("crawl/site", json!({"url": "https://example.org"}), "k")
}

fn runs() -> crate::world::Reply {
    ok(json!({"id": "c-1", "status": "working", "progress": 3}))
}

fn done() -> crate::world::Reply {
    ok(json!({"id": "c-1", "status": "done", "pages": [1, 2, 3]}))
}

#[test]
fn a_job_that_ends_within_the_call_is_answered_whole() {
    let world = World::with(DOLLAR);
    world.replies([runs(), runs(), done()]);
    let envelope = world.run(crawl());
    assert_eq!(
        (envelope.status, envelope.usage.cost.get()),
        (Status::Succeeded, 3_000_000)
    );
    assert_eq!(envelope.usage.units, Some(3));
    assert_eq!(world.request(1).1, "https://crawl.test/crawls/c-1");
}

#[test]
fn a_job_that_goes_on_is_asked_about_later_and_charged_at_its_end() {
    let world = World::with(DOLLAR);
    world.replies([runs(), runs(), runs()]);
    let running = world.run(crawl());
    assert_eq!(
        (running.status, running.http_status()),
        (Status::Running, 202)
    );
    assert_eq!(running.data.unwrap()["execution"], running.id.as_str());
    assert_eq!(
        world.account().available(),
        DOLLAR - 50_000_000,
        "the most is held"
    );
    assert_eq!(
        world.run(crawl()).status,
        Status::Running,
        "the same key starts no other"
    );
    world.account().later(10 * MINUTE);
    world.replies([runs(), Err(SendError::TimedOut), done()]);
    for _ in 0..2 {
        assert_eq!(world.look(&running.id).unwrap().status, Status::Running);
    }
    let ended = world.look(&running.id).unwrap();
    assert_eq!(
        (ended.status, ended.usage.cost.get()),
        (Status::Succeeded, 3_000_000)
    );
    assert_eq!(world.balance(), DOLLAR - 3_000_000);
    let sent = world.sent();
    assert_eq!(world.look(&running.id).unwrap().data, ended.data);
    assert!(world.run(crawl()).replayed);
    assert_eq!((world.sent(), world.balance()), (sent, DOLLAR - 3_000_000));
}

#[test]
fn a_job_that_nobody_asked_about_for_hours_is_charged_when_somebody_does() {
    let world = World::with(DOLLAR);
    world.replies([runs(), runs(), runs(), done()]);
    let running = world.run(crawl());
    world.account().later(5 * 60 * MINUTE);
    world.account().ok(&patchbay::credits::ops::Expire {});
    assert_eq!(world.account().available(), DOLLAR);
    assert_eq!(world.look(&running.id).unwrap().status, Status::Succeeded);
    assert_eq!(world.balance(), DOLLAR - 3_000_000);
}

#[test]
fn a_job_that_fails_costs_nothing_and_one_that_is_stopped_neither() {
    let world = World::with(DOLLAR);
    world.replies([
        runs(),
        ok(json!({"id": "c-1", "status": "failed", "error": "robots.txt"})),
    ]);
    let failed = world.run(crawl());
    assert_eq!(failed.status, Status::Failed, "{failed:?}");
    assert!(failed.error.unwrap().message.contains("robots.txt"));
    assert_eq!(world.account().available(), DOLLAR);

    let world = World::with(DOLLAR);
    world.replies([runs(), runs(), runs(), ok(json!({}))]);
    let running = world.run(crawl());
    let stopped = world.cancel(&running.id).unwrap();
    assert_eq!(stopped.status, Status::Cancelled);
    let asked = world.sent() - 1;
    assert_eq!(world.request(asked).0, "DELETE");
    assert_eq!(
        (world.balance(), world.account().available()),
        (DOLLAR, DOLLAR)
    );
    assert_eq!(
        world.cancel(&running.id).unwrap_err().code,
        "not_cancellable"
    );
}

#[test]
fn what_is_over_or_cannot_be_stopped_is_not_stopped_and_what_is_not_there_is_not_found() {
    let world = World::with(DOLLAR);
    world.replies([ok(json!({"results": []}))]);
    let done = world.run(call("first/search", json!({"q": "x"})));
    assert_eq!(world.cancel(&done.id).unwrap_err().code, "not_cancellable");
    assert_eq!(
        world.look("exec-nobody").unwrap_err().code,
        "execution_not_found"
    );
    world.replies([runs(), runs(), runs(), status(404, json!({}))]);
    let running = world.run(crawl());
    assert_eq!(
        world.cancel(&running.id).unwrap().status,
        Status::Running,
        "the provider did not stop it"
    );
    world.account().later(2 * DAY);
    world.account().ok(&patchbay::credits::ops::ToolPrune {});
    assert_eq!(
        world.look(&done.id).unwrap_err().code,
        "execution_not_found"
    );
}
