//! The hold runs beside the upstream call, and nothing leaves before it is granted.

use patchbay::credits::ops::{HoldReply, KeyPut};
use patchbay::relay::limits::HOLD_MS;

use serde_json::json;

use crate::client::{COMPLETION, Client, PROMPT, in_one_piece, job, openai, play, streamed};
use crate::store::key;
use crate::upstream::{Fate, Piece, Script, answer, json, mute, refuses, sse, stream, text};
use crate::world::{Fault, RICH, World};

#[test]
fn a_hold_that_is_slower_than_the_provider_holds_everything_back() {
    for (job, script) in [
        (streamed(1), stream(&["Hi", "there"], 1, 2)),
        (in_one_piece(1), answer("Hi", 1, 2)),
    ] {
        let world = World::new(RICH, [script]);
        world.hold_faults.borrow_mut().push_back(Fault::Slow(3_000));
        let client = Client::of(&world, job);
        world.run_until(3_000);
        assert!(client.got.borrow().is_empty());
        assert_eq!(world.call(0).at, 0);
        world.run_out();
        assert!(client.times().iter().all(|at| *at == 3_000));
        assert!(client.ended.get());
    }
}

#[test]
fn the_provider_is_called_before_the_account_answers() {
    let world = World::new(RICH, [stream(&["Hi"], 1, 2)]);
    world.hold_faults.borrow_mut().push_back(Fault::Slow(3_000));
    let _client = Client::of(&world, streamed(1));
    world.settle_down();
    assert_eq!((world.calls.borrow().len(), world.elapsed()), (1, 0));
}

#[test]
fn a_refused_hold_aborts_the_provider_and_sends_nothing() {
    // While it is silent, while its answer comes in, and after it has ended.
    let cases: Vec<Script> = vec![
        mute(),
        sse([Piece::Wait(500), text("Hi"), Piece::Wait(9_000)]),
        sse([text("Hi"), Piece::Hang]),
        stream(&["Hi"], 1, 2),
        json(500, "{}"),
    ];
    for script in cases {
        for slow in [0, 1_000, HOLD_MS - 1] {
            let world = World::new(5, [script.clone(), script.clone()]);
            world.hold_faults.borrow_mut().push_back(Fault::Slow(slow));
            let client = Client::of(&world, streamed(2));
            world.run_out();
            assert_eq!(client.failure().status, 402);
            assert_eq!(client.times(), [slow]);
            let calls = world.calls.borrow();
            assert!(calls.iter().all(|call| call.fate.get() != Fate::Open));
            // Nothing was held: there is nothing to settle.
            assert!(world.bills.borrow().is_empty() && world.ends().is_empty());
        }
    }
}

#[test]
fn the_refusal_is_told_even_where_the_provider_failed_first() {
    let world = World::new(5, [refuses()]);
    world.hold_faults.borrow_mut().push_back(Fault::Slow(2_000));
    let client = Client::of(&world, in_one_piece(1));
    world.run_out();
    assert_eq!(client.failure().status, 402);
    let error = client.failure();
    assert!(!error.metadata.contains_key("previous_errors"));
}

#[test]
fn an_account_that_fails_is_no_refusal() {
    for (fault, held) in [(Fault::Fails, 0), (Fault::Lost, 1)] {
        let world = World::new(RICH, [sse([text("Hi"), Piece::Hang])]);
        world.hold_faults.borrow_mut().push_back(fault);
        // The first tries to release fail too.
        world
            .settle_faults
            .borrow_mut()
            .extend([Fault::Fails, Fault::Fails]);
        let client = Client::of(&world, streamed(1));
        world.settle_down();
        assert_eq!(world.account.snapshot().open_holds, held);
        world.run_out();
        assert_eq!(client.failure().status, 500);
        let calls = world.calls.borrow();
        assert!(calls.iter().all(|call| call.fate.get() == Fate::Aborted));
        assert_eq!(world.ends(), ["void 0"]);
        assert_eq!(world.account.snapshot().open_holds, 0);
        assert!(!world.row().cancelled);
    }
}

#[test]
fn a_disabled_key_is_refused_on_its_next_request() {
    let world = World::new(RICH, [mute()]);
    world.account.ok(&KeyPut {
        disabled: true,
        ..key("k")
    });
    let client = Client::of(&world, streamed(1));
    world.run_out();
    assert_eq!(client.failure().status, 401);
    assert_eq!(world.call(0).fate.get(), Fate::Aborted);
}

#[test]
fn a_client_that_leaves_before_the_account_has_answered_leaves_nothing_held() {
    let world = World::new(RICH, [sse([text("Hi"), Piece::Hang])]);
    world.hold_faults.borrow_mut().push_back(Fault::Slow(5_000));
    let client = Client::of(&world, streamed(1));
    world.run_until(100);
    client.leave();
    world.run_out();
    // Content had arrived but nothing had left: free. The hold, were it still on its way, comes too late.
    assert_eq!(world.ends(), ["void 0"]);
    assert!(world.row().cancelled);
    let hold = world.holds.borrow()[0].call.clone();
    assert!(matches!(world.account.ok(&hold), HoldReply::Refused(_)));
    assert_eq!(world.account.snapshot().held.get(), 0);
}

#[test]
fn the_hold_covers_the_dearest_endpoint_that_may_serve() {
    let mut job = streamed(2);
    let dear = crate::client::route("dear", "openai_chat", |_, endpoint| {
        endpoint["prices"]["completion"] = 9_000_000_000_i64.into();
    });
    job.plan.attempts.push(dear.into());
    let dearest = job.plan.attempts[2].route.endpoint.prices.clone();
    let bounds = patchbay::credits::pricing::OutputBounds {
        model_cap: Some(8_000),
        ..Default::default()
    };
    let needed = dearest.estimate_hold(job.prompt_tokens, bounds).unwrap();
    let (world, _) = play(job, [stream(&["Hi"], 1, 2)]);
    assert_eq!(world.holds.borrow()[0].call.amount, needed);
}

#[test]
fn the_hold_covers_every_answer_that_is_asked_for() {
    let asks = |n: u32| {
        let body = json!({"n": n, "max_tokens": 100});
        job(body, vec![openai("a")])
    };
    for n in [1, 3] {
        let job = asks(n);
        let prompt = job.prompt_tokens as i64 * PROMPT;
        let (world, _) = play(job, [answer("Hi", 1, 2)]);
        let held = world.holds.borrow()[0].call.amount.get();
        assert_eq!(held, prompt + i64::from(n) * 100 * COMPLETION);
    }
}

#[test]
fn an_account_that_was_just_refused_is_asked_before_any_provider() {
    for (funds, status) in [(RICH, None), (5, Some(402))] {
        for job in [streamed(1), in_one_piece(1)] {
            let script = if job.request.stream {
                stream(&["Hi"], 1, 2)
            } else {
                answer("Hi", 1, 2)
            };
            let world = World::new(funds, [script]);
            world.cautious.set(true);
            world.hold_faults.borrow_mut().push_back(Fault::Slow(3_000));
            let client = Client::of(&world, job);
            world.run_until(2_999);
            assert!(world.calls.borrow().is_empty());
            world.run_out();
            assert!(client.ended.get());
            match status {
                None => assert_eq!(world.call(0).at, 3_000),
                Some(status) => {
                    assert_eq!(client.failure().status, status);
                    assert!(world.calls.borrow().is_empty() && world.bills.borrow().is_empty());
                }
            }
        }
    }
}
