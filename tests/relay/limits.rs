//! Every time and size limit, to the millisecond and to the byte.

use patchbay::dialects::Surface;
use patchbay::error::ErrorType;
use patchbay::relay::limits::{
    AFTER_FINISH_MS, ERROR_BODY_MS, FIRST_CONTENT_MS, HOLD_LIFETIME_MS, HOLD_MS, IDLE_MS,
    KEEP_ALIVE_MS, MAX_ANSWER_BYTES, MAX_ERROR_BYTES, MAX_PREAMBLE_BYTES, Patience, SETTLE_MS,
    SETTLE_PAUSES_MS, STALLED_CONTENT_MS, STALLED_HEADERS_MS, STREAM_HEADERS_MS, TOTAL_MS,
    WHOLE_ANSWER_MS,
};
use patchbay::relay::{Job, Output};
use serde_json::json;

use crate::client::{COMPLETION, Client, PROMPT, in_one_piece, job, play, route, streamed};
use crate::upstream::{
    Fate, Piece, Script, answer, chunk, comment, done, finish, json as whole, mute, role, sse,
    stream, text, usage,
};
use crate::world::{Fault, RICH, World};

/// The second attempt begins when the first is given up, and the first is aborted by then.
fn given_up_at(job: Job, first: Script) -> u64 {
    let second = if job.request.stream {
        stream(&["Hi"], 1, 2)
    } else {
        answer("Hi", 1, 2)
    };
    let (world, client) = play(job, [first, second]);
    assert!(client.ended.get());
    assert_eq!(world.call(0).fate.get(), Fate::Aborted);
    assert_eq!(world.call(0).closed_at.get(), world.call(1).at);
    assert_eq!(
        world.ends(),
        [format!("settle {}", PROMPT + 2 * COMPLETION)]
    );
    world.call(1).at
}

/// A body that repeats these pieces with pauses of `ms` until long after every limit.
fn repeat(pieces: &[Piece], ms: u64) -> Vec<Piece> {
    let times = usize::try_from(2 * TOTAL_MS / ms).unwrap();
    let once = || pieces.iter().cloned().chain([Piece::Wait(ms)]);
    (0..times).flat_map(|_| once()).collect()
}

/// A streamed request over two endpoints whose model thinks; `body` adds to it.
fn thinking(body: serde_json::Value) -> Job {
    let thinks = |name| {
        route(name, "openai_chat", |_, endpoint| {
            endpoint["reasoning"] = json!({"toggle": true});
        })
    };
    let mut whole = json!({"stream": true});
    let more = body.as_object().unwrap().clone();
    whole.as_object_mut().unwrap().extend(more);
    job(whole, vec![thinks("a"), thinks("b")])
}

#[test]
fn response_headers_of_a_stream() {
    // Silence is given up sooner where somebody else can be asked and nothing is thought over.
    assert_eq!(given_up_at(streamed(2), mute()), STALLED_HEADERS_MS);
    assert_eq!(given_up_at(thinking(json!({})), mute()), STREAM_HEADERS_MS);
    let off = json!({"reasoning": {"enabled": false}});
    assert_eq!(given_up_at(thinking(off), mute()), STALLED_HEADERS_MS);
    let (_, client) = play(
        streamed(1),
        [stream(&["Hi"], 1, 2).after(STREAM_HEADERS_MS - 1)],
    );
    assert_eq!(client.words(), "Hi");
}

#[test]
fn first_content_of_a_stream() {
    // P124: the timer goes on after the headers. Neither comments nor empty deltas put it off.
    for body in [
        vec![Piece::Hang],
        repeat(&[comment()], 7_000),
        repeat(&[role()], 7_000),
    ] {
        let asks = || streamed(2);
        assert_eq!(
            given_up_at(asks(), sse(body.clone())),
            1 + STALLED_CONTENT_MS
        );
        assert_eq!(
            given_up_at(thinking(json!({})), sse(body.clone())),
            1 + FIRST_CONTENT_MS
        );
        // Nobody else is left to ask.
        let (world, client) = play(streamed(1), [sse(body)]);
        assert_eq!(world.elapsed(), 1 + FIRST_CONTENT_MS);
        let error = client.chunks().pop().unwrap()["error"].clone();
        assert_eq!(
            (error["code"].as_u64(), error["type"].as_str()),
            (Some(504), Some("provider_stalled"))
        );
        assert_eq!(error["metadata"]["stalled_phase"], "first_content");
        assert_eq!(error["metadata"]["silent_ms"], FIRST_CONTENT_MS);
    }
    let late = sse([
        role(),
        Piece::Wait(FIRST_CONTENT_MS - 1),
        text("Hi"),
        finish("stop"),
        done(),
    ]);
    assert_eq!(play(streamed(1), [late]).1.words(), "Hi");
}

#[test]
fn silence_within_a_stream() {
    for silence in [vec![Piece::Hang], repeat(&[comment()], 7_000)] {
        let mut body = vec![text("1234"), Piece::Wait(IDLE_MS - 1), text("5678")];
        body.extend(silence);
        let (world, client) = play(streamed(1), [sse(body)]);
        assert_eq!(client.words(), "12345678");
        let last = client.chunks().pop().unwrap();
        assert_eq!(last["error"]["code"], 504);
        assert_eq!(last["error"]["type"], "provider_stalled");
        assert_eq!(last["error"]["metadata"]["stalled_phase"], "between_events");
        assert_eq!(world.elapsed(), IDLE_MS + IDLE_MS);
        assert_eq!(world.call(0).fate.get(), Fate::Aborted);
        assert_eq!(world.row().usage.completion, 2);
    }
}

#[test]
fn what_follows_the_finish_reason() {
    // P122: heartbeats, and text that should not be there, do not keep a finished stream open.
    for tail in [
        vec![Piece::Hang],
        repeat(&[comment()], 1_000),
        repeat(&[text("x")], 1_000),
    ] {
        let mut body = vec![text("Hi"), finish("stop")];
        body.extend(tail);
        let (world, client) = play(streamed(1), [sse(body)]);
        assert_eq!(world.elapsed(), 1 + AFTER_FINISH_MS);
        assert_eq!(world.call(0).fate.get(), Fate::Aborted);
        assert!(client.chunks().iter().all(|chunk| chunk["error"].is_null()));
        assert!(client.text().ends_with("data: [DONE]\n\n"));
    }
    let late = sse([
        text("Hi"),
        finish("stop"),
        Piece::Wait(AFTER_FINISH_MS - 1),
        usage(10, 20),
        Piece::Hang,
    ]);
    let (world, _) = play(streamed(1), [late]);
    assert_eq!(world.row().usage.completion, 20);
}

#[test]
fn an_answer_in_one_piece() {
    assert_eq!(given_up_at(in_one_piece(2), mute()), WHOLE_ANSWER_MS);
    // P124: from dispatch to the last byte, not to the headers; also where a stream was asked for.
    let hangs = || Script {
        content_type: "application/json",
        ..sse([Piece::Bytes(b"{".to_vec()), Piece::Hang]).after(20_000)
    };
    assert_eq!(given_up_at(in_one_piece(2), hangs()), WHOLE_ANSWER_MS);
    assert_eq!(given_up_at(streamed(2), hangs()), WHOLE_ANSWER_MS);
    let (_, client) = play(
        in_one_piece(1),
        [answer("Hi", 1, 2).after(WHOLE_ANSWER_MS - 1)],
    );
    assert_eq!(client.body()["choices"][0]["message"]["content"], "Hi");
}

#[test]
fn the_body_of_an_error() {
    let mut hangs = whole(500, "{\"error\":{\"message\":\"oops\"}}");
    hangs.body.push(Piece::Hang);
    assert_eq!(given_up_at(streamed(2), hangs.clone()), 1 + ERROR_BODY_MS);
    // What came in time is told.
    let (_, client) = play(streamed(1), [hangs]);
    assert_eq!(client.failure().message, "oops");

    let mut long = whole(500, &"x".repeat(MAX_ERROR_BYTES));
    long.body.push(Piece::Hang);
    assert_eq!(given_up_at(streamed(2), long.clone()), 1 + ERROR_BODY_MS);
    long.body.insert(1, Piece::Bytes(b"y".to_vec()));
    assert_eq!(given_up_at(streamed(2), long), 1);
}

#[test]
fn a_request_as_a_whole() {
    let endless = sse(repeat(&[text("12")], 50_000));
    let (world, client) = play(streamed(2), [endless]);
    assert_eq!(world.elapsed(), TOTAL_MS);
    assert_eq!(world.call(0).fate.get(), Fate::Aborted);
    assert_eq!(client.chunks().pop().unwrap()["error"]["code"], 504);

    // Attempts do not add up beyond it, and none begins after it.
    let stuck = || sse([Piece::Hang]).after(STREAM_HEADERS_MS - 1);
    let thinks = |name: &str| {
        route(name, "openai_chat", |_, endpoint| {
            endpoint["reasoning"] = json!({"mandatory": true})
        })
    };
    let routes = ["a", "b", "c", "d", "e", "f", "g", "h"].map(thinks);
    let asks = job(json!({"stream": true}), routes.to_vec());
    let (world, client) = play(asks, (0..8).map(|_| stuck()));
    assert_eq!(world.elapsed(), TOTAL_MS);
    assert!(world.calls.borrow().len() < 8);
    assert_eq!(client.chunks().pop().unwrap()["error"]["code"], 503);
    assert_eq!(world.ends(), ["void 0"]);

    let (world, _) = play(in_one_piece(8), (0..8).map(|_| mute()));
    assert_eq!(world.elapsed(), TOTAL_MS);
}

#[test]
fn the_hold_outlives_every_request() {
    let (world, _) = play(streamed(1), [stream(&["Hi"], 1, 2)]);
    let hold = &world.holds.borrow()[0];
    assert_eq!(hold.call.ttl_ms, HOLD_LIFETIME_MS as i64);
    let last_try = SETTLE_MS + SETTLE_PAUSES_MS.iter().map(|p| p + SETTLE_MS).sum::<u64>();
    assert!(HOLD_LIFETIME_MS > TOTAL_MS + last_try);
}

#[test]
fn the_account_decides_in_time_or_the_request_fails() {
    for silent in [Fault::Silent, Fault::Slow(HOLD_MS + 1)] {
        let world = World::new(RICH, [stream(&["Hi"], 1, 2)]);
        world.hold_faults.borrow_mut().push_back(silent);
        let client = Client::of(&world, streamed(1));
        world.run_out();
        assert_eq!(client.times(), [HOLD_MS]);
        assert_eq!(client.failure().status, 503);
        assert_eq!(world.call(0).fate.get(), Fate::Aborted);
        // Nobody knows whether credits are held: they are released.
        assert_eq!(world.ends(), ["void 0"]);
    }
    let world = World::new(RICH, [mute()]);
    world.hold_faults.borrow_mut().push_back(Fault::Silent);
    let client = Client::of(&world, streamed(1));
    world.run_out();
    assert_eq!(
        (client.times(), client.failure().status),
        (vec![HOLD_MS], 503)
    );
}

#[test]
fn a_settlement_that_hangs_does_not_hold_the_answer_back_for_long() {
    for job in [streamed(1), in_one_piece(1)] {
        let script = if job.request.stream {
            stream(&["Hi"], 1, 2)
        } else {
            answer("Hi", 1, 2)
        };
        let world = World::new(RICH, [script]);
        world.settle_faults.borrow_mut().extend([
            Fault::Silent,
            Fault::Silent,
            Fault::Fails,
            Fault::Lost,
        ]);
        let client = Client::of(&world, job);
        world.run_out();
        assert_eq!(client.times().last(), Some(&(1 + SETTLE_MS)));
        // The guard goes on: at once, and after each pause.
        let first = 1;
        let second = first + SETTLE_MS + SETTLE_PAUSES_MS[0];
        let third = second + SETTLE_MS + SETTLE_PAUSES_MS[1];
        let fourth = third + SETTLE_PAUSES_MS[2];
        let fifth = fourth + SETTLE_PAUSES_MS[3];
        let tries: Vec<u64> = world.bills.borrow().iter().map(|(at, _)| *at).collect();
        assert_eq!(tries, [first, second, third, fourth, fifth]);
        // The lost answer was a settlement; its repetition changed nothing.
        assert_eq!(
            world.ends(),
            [format!("settle {}", PROMPT + 2 * COMPLETION)]
        );
        assert!(!world.row().cancelled);
    }
    // The runtime gives 30 seconds after the client has left.
    let late: u64 = SETTLE_PAUSES_MS.iter().map(|pause| pause + SETTLE_MS).sum();
    assert!(late < 30_000);
}

#[test]
fn a_silent_stream_is_kept_alive_before_and_after_the_commit() {
    let wait = 2 * KEEP_ALIVE_MS + 5;
    let slow = sse([
        Piece::Wait(wait),
        text("Hi"),
        Piece::Wait(wait),
        finish("stop"),
        done(),
    ]);
    let (_, client) = play(streamed(1), [slow]);
    let committed = 1 + wait;
    assert_eq!(
        client.times(),
        [
            KEEP_ALIVE_MS, // the head, which cannot tell the provider yet
            KEEP_ALIVE_MS,
            2 * KEEP_ALIVE_MS,
            committed,
            committed + KEEP_ALIVE_MS,
            committed + 2 * KEEP_ALIVE_MS,
            committed + wait,
            committed + wait,
        ]
    );
    assert_eq!(client.head().provider, None);
    let comments = client.text().matches(": PATCHBAY PROCESSING\n\n").count();
    assert_eq!(comments, 4);
    let keep_alive = Surface::ChatCompletions.keep_alive();
    assert!(client.text().as_bytes().starts_with(keep_alive));
    assert_eq!(client.words(), "Hi");
}

#[test]
fn a_failure_after_the_first_comment_is_told_in_band() {
    let (world, client) = play(
        streamed(2),
        [mute(), whole(429, "{}").after(500).retry_after(7)],
    );
    let got = client.got.borrow();
    assert!(matches!(got[0], (KEEP_ALIVE_MS, Output::Begin(_))));
    drop(got);
    let last = client.chunks().pop().unwrap();
    assert_eq!(last["error"]["code"], 429);
    assert_eq!(
        last["error"]["metadata"]["previous_errors"][0]["code"],
        "provider_stalled"
    );
    assert_eq!(last["usage"]["cost"], 0);
    assert!(client.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(world.ends(), ["void 0"]);
    assert_eq!(world.elapsed(), STALLED_HEADERS_MS + 500);
}

#[test]
fn the_size_of_an_answer_in_one_piece() {
    let of = |size: usize| {
        let whole = answer("Hi", 1, 2);
        let Piece::Bytes(mut bytes) = whole.body[0].clone() else {
            panic!("bytes");
        };
        bytes.resize(size, b' ');
        let chunks = bytes.chunks(1 << 20).map(|c| Piece::Bytes(c.to_vec()));
        Script {
            body: chunks.chain([Piece::Wait(60)]).collect(),
            ..whole
        }
    };
    let (_, client) = play(in_one_piece(1), [of(MAX_ANSWER_BYTES)]);
    assert_eq!(client.body()["choices"][0]["message"]["content"], "Hi");
    let (world, client) = play(in_one_piece(1), [of(MAX_ANSWER_BYTES + 1)]);
    assert_eq!(client.failure().error_type, ErrorType::ProviderUnavailable);
    assert_eq!(world.call(0).fate.get(), Fate::Aborted);
    assert_eq!(world.ends(), ["void 0"]);
}

#[test]
fn the_size_of_what_is_held_back_before_the_first_content() {
    let padded = |size: usize| {
        let pad = format!("{{\"role\":\"assistant\",\"x\":\"{}\"}}", "x".repeat(size));
        chunk(&pad, None)
    };
    let endless = vec![padded(MAX_PREAMBLE_BYTES / 4); 4];
    assert_eq!(given_up_at(streamed(2), sse(endless)), 1);
    let mut much = vec![padded(MAX_PREAMBLE_BYTES / 4); 3];
    much.extend([text("Hi"), finish("stop"), done()]);
    assert_eq!(play(streamed(1), [sse(much)]).1.words(), "Hi");
}

#[test]
fn a_long_prompt_is_given_time_to_be_read() {
    let of = |tokens| Patience::of(false, false, tokens);
    assert_eq!(of(999).headers_ms, STALLED_HEADERS_MS);
    assert_eq!(of(100_000).headers_ms, STALLED_HEADERS_MS + 20_000);
    assert_eq!(of(1_000_000).content_ms, STALLED_CONTENT_MS + 200_000);
    let most = of(u64::MAX);
    assert_eq!(
        (most.headers_ms, most.content_ms),
        (STREAM_HEADERS_MS, FIRST_CONTENT_MS)
    );
}
