//! `provider.hedge`: two attempts side by side, the first content wins, and the loser is told but not charged.

use serde_json::json;

use patchbay::catalog::Route;
use patchbay::relay::{Job, Wishes};

use crate::client::{COMPLETION, Client, Leaves, PROMPT, job, openai, play, route};
use crate::upstream::{
    Fate, Piece, Script, answer, done, finish, json as whole, role, sse, stream, text, usage,
};
use crate::world::{RICH, World};

const AFTER: u64 = 500;

fn hedged(stream: bool, routes: Vec<Route>) -> Job {
    Job {
        wishes: Wishes {
            hedge_after_ms: Some(AFTER),
            ..Wishes::default()
        },
        ..job(json!({"stream": stream}), routes)
    }
}

fn two(stream: bool) -> Job {
    hedged(stream, vec![openai("a"), openai("b")])
}

fn slow(ms: u64) -> Script {
    sse([
        role(),
        Piece::Wait(ms),
        text("Slow"),
        finish("stop"),
        usage(9, 9),
        done(),
    ])
}

#[test]
fn the_second_starts_when_the_first_is_silent_and_the_first_content_wins() {
    let (world, client) = play(two(true), [slow(2_000), stream(&["Fast"], 1, 2)]);
    assert_eq!(client.words(), "Fast");
    assert_eq!(world.call(1).at, AFTER);
    // The loser is aborted as soon as the winner has content.
    assert_eq!(world.call(0).fate.get(), Fate::Aborted);
    assert_eq!(world.call(0).closed_at.get(), AFTER + 1);
    let cost = PROMPT + 2 * COMPLETION;
    assert_eq!(world.ends(), [format!("settle {cost}")]);
    assert_eq!(world.holds.borrow().len(), 1);
    let row = world.row();
    assert_eq!(row.provider.as_deref(), Some("B"));
    assert_eq!((row.attempts.len(), row.cancelled), (2, false));
    // What the loser may have cost: its prompt, and a usual answer, because its host does not stop.
    let lost = row.attempts[0].hedge_cost.unwrap().get();
    assert!(lost > 1_000 * COMPLETION, "{lost}");
    assert_eq!(row.attempts[1].hedge_cost, None);
    assert_eq!(client.head().hedge_cost.map(|cost| cost.get()), Some(lost));
    let told = &client.chunks().pop().unwrap()["usage"]["cost_details"];
    assert!(told["hedge_cost"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_loser_that_stops_when_it_is_closed_costs_its_prompt() {
    let stops = |slug| {
        route(slug, "openai_chat", |provider, _| {
            provider["can_cancel"] = true.into()
        })
    };
    let asks = hedged(true, vec![stops("a"), stops("b")]);
    let prompt = asks.prompt_tokens as i64;
    let (world, _) = play(asks, [slow(2_000), stream(&["Fast"], 1, 2)]);
    let lost = world.row().attempts[0].hedge_cost.unwrap().get();
    assert_eq!(lost, prompt * PROMPT);
}

#[test]
fn the_first_may_win_after_the_second_has_started() {
    let (world, client) = play(two(true), [slow(800), slow(800)]);
    assert_eq!(client.words(), "Slow");
    assert_eq!(client.head().provider.as_deref(), Some("A"));
    assert_eq!(world.call(1).fate.get(), Fate::Aborted);
    assert!(world.row().attempts[1].hedge_cost.is_some());
}

#[test]
fn nothing_is_hedged_that_is_fast_enough_or_was_not_asked_for() {
    let (world, _) = play(two(true), [slow(AFTER - 2)]);
    assert_eq!(world.calls.borrow().len(), 1);
    assert_eq!(world.row().attempts[0].hedge_cost, None);
    let asks = job(json!({"stream": true}), vec![openai("a"), openai("b")]);
    let (world, _) = play(asks, [slow(5_000)]);
    assert_eq!(world.calls.borrow().len(), 1);
    // Another model is no second attempt at this one.
    let other = route("b", "openai_chat", |_, endpoint| {
        endpoint["model"] = "m/other".into()
    });
    let (world, _) = play(hedged(true, vec![openai("a"), other]), [slow(5_000)]);
    assert_eq!(world.calls.borrow().len(), 1);
}

#[test]
fn whole_answers_race_too() {
    let (world, client) = play(
        two(false),
        [answer("Slow", 9, 9).after(3_000), answer("Fast", 1, 2)],
    );
    assert_eq!(client.body()["choices"][0]["message"]["content"], "Fast");
    assert_eq!(world.call(0).fate.get(), Fate::Aborted);
    assert_eq!(
        world.ends(),
        [format!("settle {}", PROMPT + 2 * COMPLETION)]
    );
    assert_eq!(client.head().attempts, 2);
}

#[test]
fn a_failure_beside_a_running_attempt_ends_nothing() {
    for failure in [
        whole(500, "{}"),
        whole(400, "{}"),
        sse([]),
        answer("", 1, 0),
    ] {
        // The second fails while the first still waits; then the first answers.
        let (world, client) = play(two(true), [slow(2_000), failure.clone()]);
        assert_eq!(client.words(), "Slow");
        let row = world.row();
        assert!(row.attempts[1].error.is_some() && row.attempts[1].hedge_cost.is_none());
        // The first fails, the second goes on.
        let (world, client) = play(two(true), [failure.after(900), slow(2_000)]);
        assert_eq!(client.words(), "Slow");
        assert_eq!(world.row().provider.as_deref(), Some("B"));
    }
    let (world, client) = play(
        two(true),
        [whole(500, "{}").after(900), whole(500, "{}").after(900)],
    );
    assert_eq!(client.failure().status, 503);
    assert_eq!(world.ends(), ["void 0"]);
}

#[test]
fn never_more_than_two_run_at_once() {
    let asks = hedged(true, vec![openai("a"), openai("b"), openai("c")]);
    let (world, _) = play(asks, [slow(9_000), slow(9_000)]);
    assert_eq!(world.calls.borrow().len(), 2);
}

#[test]
fn a_client_that_leaves_aborts_both() {
    let world = World::new(RICH, [slow(5_000), slow(5_000)]);
    let client = Client::reading(&world, two(true), 0, Leaves::Never);
    world.run_until(AFTER + 100);
    client.leave();
    world.run_out();
    assert_eq!(world.calls.borrow().len(), 2);
    for at in [0, 1] {
        assert_eq!(world.call(at).fate.get(), Fate::Aborted);
    }
    assert_eq!(world.ends(), ["void 0"]);
    assert!(world.row().cancelled);
}

#[test]
fn the_hold_covers_the_dearest_of_them() {
    let dear = route("b", "openai_chat", |_, endpoint| {
        endpoint["prices"]["completion"] = (50 * COMPLETION * 1_000_000).into();
    });
    let (world, _) = play(hedged(true, vec![openai("a"), dear]), [slow(10)]);
    assert!(world.holds.borrow()[0].call.amount.get() > 50 * 1_000 * COMPLETION);
}
