//! What executions cost, and that it is charged whatever fails on the way.

use patchbay::tools::envelope::Status;
use serde_json::json;

use crate::world::{World, call, named, ok, own, status};

const DOLLAR: i64 = 1_000_000_000;

#[test]
fn the_margin_goes_on_the_operators_keys_and_not_on_own_ones() {
    let world = World::with(DOLLAR);
    world.set("TOOLS_MARGIN", "20");
    world.replies([ok(json!({"results": []}))]);
    assert_eq!(
        world
            .run(call("first/search", json!({"q": "x"})))
            .usage
            .cost
            .get(),
        6_000_000
    );
    world.brings(own("first", "my-own-secret-key"));
    world.replies([ok(json!({"results": []}))]);
    assert_eq!(
        world
            .run(call("first/search", json!({"q": "x"})))
            .usage
            .cost
            .get(),
        0
    );
    world.set("TOOLS_MARGIN", "plenty");
    world.replies([ok(json!({"results": []}))]);
    world.run(call("second/search", json!({"q": "x"})));
    assert!(
        world.reports().contains("TOOLS_MARGIN"),
        "{}",
        world.reports()
    );
}

#[test]
fn only_what_succeeded_of_a_batch_is_charged() {
    let batch = || call("mail/batch", json!({"ids": ["a", "b", "c"]}));
    for (body, cost, warnings) in [
        (json!({"sent": ["a", "b", "c"], "failed": []}), 3_000_000, 0),
        (
            json!({"sent": ["a"], "failed": [{"id": "b", "why": "no"}, {"id": "c", "why": "no"}]}),
            1_000_000,
            2,
        ),
        (
            json!({"sent": [], "failed": [{"id": "a", "why": "no"}]}),
            0,
            1,
        ),
    ] {
        let world = World::with(DOLLAR);
        world.replies([ok(body)]);
        let envelope = world.run(batch());
        assert_eq!(
            (envelope.status, envelope.usage.cost.get()),
            (Status::Succeeded, cost)
        );
        assert_eq!(envelope.warnings.len(), warnings);
        assert_eq!(world.balance(), DOLLAR - cost);
    }
}

#[test]
fn nobody_is_charged_more_than_was_held_whatever_a_provider_counts() {
    let world = World::with(DOLLAR);
    world.set("TOOLS_MARGIN", "10");
    for (pages, cost) in [(20, 22_000_000), (900, 55_000_000)] {
        world.replies([ok(json!({"id": "c-1", "status": "done", "pages": pages}))]);
        let envelope = world.run(call("crawl/site", json!({"url": "https://example.org/"})));
        assert_eq!(
            (envelope.status, envelope.usage.cost.get()),
            (Status::Succeeded, cost)
        );
        assert_eq!(envelope.usage.units, Some(pages));
    }
    assert_eq!(world.balance(), DOLLAR - 77_000_000);
    assert!(
        world.reports().contains("crawl/site came to $0.99"),
        "{}",
        world.reports()
    );
}

#[test]
fn who_cannot_pay_sends_nothing() {
    let world = World::with(1_000);
    let refused = world.run(call("first/search", json!({"q": "x"})));
    assert_eq!(
        (refused.http_status(), refused.error.unwrap().code.as_str()),
        (402, "insufficient_balance")
    );
    assert_eq!(world.sent(), 0);
}

#[test]
fn an_end_that_the_object_does_not_hear_at_once_is_charged_all_the_same() {
    for (deaf, mute) in [(1, 0), (0, 1), (2, 2)] {
        let world = World::with(DOLLAR);
        // The beginning is heard, and nothing after it for a while.
        let listening = world.clone();
        world.replies([ok(json!({"id": "m-1"}))]);
        let envelope = listening.run_then(
            named("mail/send", json!({"to": ["a@b.c"]}), "k"),
            deaf,
            mute,
        );
        assert_eq!(
            (envelope.status, envelope.usage.cost.get()),
            (Status::Succeeded, 1_000_000)
        );
        world.settle();
        assert_eq!(world.balance(), DOLLAR - 1_000_000, "{deaf} {mute}");
        assert_eq!(world.rows().len(), 1);
    }
}

#[test]
fn a_beginning_whose_answer_is_lost_is_asked_for_again_and_held_once() {
    for (deaf, mute) in [(1, 0), (0, 1)] {
        let world = World::with(DOLLAR);
        world.deaf(deaf);
        world.mute(mute);
        world.replies([ok(json!({"id": "m-1"}))]);
        let envelope = world.run(call("mail/send", json!({"to": ["a@b.c"]})));
        assert_eq!(envelope.status, Status::Succeeded);
        assert_eq!(
            (world.balance(), world.account().available()),
            (DOLLAR - 1_000_000, DOLLAR - 1_000_000)
        );
    }
    let world = World::with(DOLLAR);
    world.deaf(2);
    let refused = world.run(call("mail/send", json!({"to": ["a@b.c"]})));
    assert_eq!((refused.http_status(), world.sent()), (503, 0));
}

#[test]
fn a_failed_read_costs_nothing_whoever_failed() {
    let world = World::with(DOLLAR);
    world.replies([
        status(500, json!({})),
        status(500, json!({})),
        status(500, json!({})),
    ]);
    let envelope = world.run(call("web_search", json!({"query": "x"})));
    assert_eq!(envelope.status, Status::Failed);
    assert_eq!(
        (world.balance(), world.account().available()),
        (DOLLAR, DOLLAR)
    );
}
