//! What was asked and answered is handed over once, when the request has ended, whoever ended it.

use std::cell::RefCell;
use std::rc::Rc;

use patchbay::relay::Job;
use patchbay::usage::content::{Captured, Keeper};
use serde_json::{Value, json as value};

use crate::client::{Client, in_one_piece, streamed};
use crate::upstream::{Piece, answer, done, finish, json, refuses, role, sse, stream, text};
use crate::world::{RICH, World};

type Handed = Rc<RefCell<Vec<Captured>>>;

/// The same request, of an account that wants its content kept.
fn watched(mut job: Job) -> (Job, Handed) {
    let handed = Handed::default();
    let seen = Rc::clone(&handed);
    job.keeper = Some(Keeper(Rc::new(move |captured| {
        seen.borrow_mut().push(captured);
        Box::pin(async {})
    })));
    (job, handed)
}

fn only(handed: &Handed) -> Captured {
    let handed = handed.borrow();
    assert_eq!(handed.len(), 1);
    handed[0].clone()
}

#[test]
fn a_stream_and_an_answer_in_one_piece_are_recorded_alike() {
    for (job, script) in [
        (streamed(1), stream(&["Hel", "lo"], 5, 2)),
        (in_one_piece(1), answer("Hello", 5, 2)),
    ] {
        let (job, handed) = watched(job);
        let world = World::new(RICH, [script]);
        Client::of(&world, job);
        world.run_out();
        let content = only(&handed).content;
        let asked = value!([{"role": "user", "content": "Say it."}]);
        assert_eq!(content.input["messages"], asked);
        assert_eq!(content.output["completion"], "Hello");
        assert_eq!(content.output["finish_reason"], "stop");
        assert_eq!(content.error, None);
    }
}

#[test]
fn of_a_request_that_fell_over_the_answer_that_served_is_recorded() {
    let broken = sse([role(), Piece::Break]);
    let (job, handed) = watched(streamed(3));
    let world = World::new(RICH, [refuses(), broken, stream(&["good"], 5, 1)]);
    Client::of(&world, job);
    world.run_out();
    assert_eq!(only(&handed).content.output["completion"], "good");
}

#[test]
fn a_client_that_leaves_leaves_what_was_answered_so_far() {
    let (job, handed) = watched(streamed(1));
    let world = World::new(RICH, [sse([role(), text("so far"), Piece::Hang])]);
    let client = Client::of(&world, job);
    world.settle_down();
    world.run_until(100);
    assert!(handed.borrow().is_empty());
    client.leave();
    world.run_until(200);
    let content = only(&handed).content;
    assert_eq!(content.output["completion"], "so far");
    assert_eq!(content.output["finish_reason"], Value::Null);
    assert_eq!(content.input["messages"][0]["content"], "Say it.");
}

#[test]
fn a_failure_is_recorded_with_those_before_it() {
    let (job, handed) = watched(in_one_piece(2));
    let world = World::new(RICH, [json(500, "{}"), json(503, "{}")]);
    Client::of(&world, job);
    world.run_out();
    let error = only(&handed).content.error.unwrap();
    assert_eq!(error["previous_errors"].as_array().unwrap().len(), 2);
    assert_eq!(error["status"], 503);
    assert!(error["message"].is_string() && error["provider_name"] == "B");
}

#[test]
fn nothing_is_recorded_of_a_request_that_was_refused_or_that_nobody_wants_kept() {
    let (job, handed) = watched(streamed(1));
    let world = World::new(1, [stream(&["never"], 5, 1)]);
    let client = Client::of(&world, job);
    world.run_out();
    assert_eq!(client.failure().status, 402);
    assert!(handed.borrow().is_empty());
    let world = World::new(RICH, [sse([role(), text("x"), finish("stop"), done()])]);
    let client = Client::of(&world, streamed(1));
    world.run_out();
    assert_eq!(client.words(), "x");
}
