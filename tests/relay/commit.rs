//! The commit point: what happens before the first content, and after it.

use serde_json::json;

use patchbay::relay::Output;

use crate::client::{COMPLETION, Client, PROMPT, in_one_piece, job, openai, play, route, streamed};
use crate::upstream::{
    Fate, Piece, Script, answer, chunk, comment, done, finish, json, refuses, role, sse, stream,
    text, usage,
};
use crate::world::{Fault, RICH, World};

fn error_chunk(code: u16) -> Piece {
    Piece::Bytes(
        format!("data: {{\"id\":\"up-1\",\"choices\":[],\"error\":{{\"code\":{code},\"message\":\"no more\"}}}}\n\n")
            .into_bytes(),
    )
}

#[test]
fn a_stream_is_passed_on_settled_and_ended() {
    let (world, client) = play(streamed(1), [stream(&["Hel", "lo"], 10, 20)]);
    assert_eq!(client.words(), "Hello");
    assert!(client.text().ends_with("data: [DONE]\n\n"));
    let cost = 10 * PROMPT + 20 * COMPLETION;
    assert_eq!(world.ends(), [format!("settle {cost}")]);
    let row = world.row();
    assert_eq!((row.usage.completion, row.cancelled), (20, false));
    assert_eq!(row.charge.unwrap().total.get(), cost);
    assert!(client.ended.get());
}

#[test]
fn an_answer_in_one_piece_is_settled_before_it_is_handed_over() {
    let world = World::new(RICH, [answer("Hello", 10, 20)]);
    world.settle_faults.borrow_mut().push_back(Fault::Slow(700));
    let client = Client::of(&world, in_one_piece(1));
    world.run_out();
    assert_eq!(client.body()["choices"][0]["message"]["content"], "Hello");
    let cost = 10 * PROMPT + 20 * COMPLETION;
    assert_eq!(world.ends(), [format!("settle {cost}")]);
    assert_eq!(client.times(), [701]);
}

#[test]
fn the_end_mark_waits_for_the_settlement() {
    let world = World::new(RICH, [stream(&["Hello"], 10, 20)]);
    world.settle_faults.borrow_mut().push_back(Fault::Slow(700));
    let client = Client::of(&world, streamed(1));
    world.run_out();
    // The head, the words with the finish reason, and 700 ms later usage and end mark.
    assert_eq!(client.times().last(), Some(&701));
    let last = client.chunks().pop().unwrap();
    assert_eq!(last["usage"]["total_tokens"], 30);
    assert_eq!(last["usage"]["cost"], 0.000_05);
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
}

#[test]
fn what_has_arrived_leaves_without_a_moments_wait() {
    // P125: the clock stands still, and yet everything that the upstream sent is with the client, word by word.
    let world = World::new(RICH, [stream(&["Hel", "lo", " you"], 10, 20)]);
    let client = Client::of(&world, streamed(1));
    world.settle_down();
    assert_eq!(client.words(), "", "the upstream itself takes a moment");
    world.run_until(2);
    assert_eq!((client.words().as_str(), world.elapsed()), ("Hello you", 1));
    assert!(client.ended.get());
    assert!(
        client.times().iter().all(|at| *at == 1),
        "{:?}",
        client.times()
    );
}

#[test]
fn what_fails_before_the_first_content_is_tried_elsewhere() {
    // P116: neither headers nor an empty role delta commit. P112: an error under status 200 is an error.
    let limited = json(429, "{\"error\":{\"message\":\"slow down\"}}");
    let empty = sse([role(), finish("stop"), usage(10, 0), done()]);
    let failures: Vec<(&str, Script)> = vec![
        ("no connection", refuses()),
        ("429", limited),
        ("500 in HTML", json(500, "<html>oops</html>")),
        ("400", json(400, "{\"error\":{\"message\":\"not here\"}}")),
        ("401", json(401, "{\"error\":{\"message\":\"key\"}}")),
        ("redirect", json(302, "")),
        ("broken body", sse([role(), Piece::Break])),
        ("cut body", sse([role()])),
        ("no body", sse([])),
        (
            "garbage",
            sse([Piece::Bytes(b"data: {nonsense\n\n".to_vec())]),
        ),
        ("error in the stream", sse([role(), error_chunk(503)])),
        ("nothing said", empty),
        ("end mark alone", sse([done()])),
        ("gave up", sse([role(), finish("error"), done()])),
        ("JSON that is no answer", json(200, "{\"hello\":1}")),
    ];
    for (name, failure) in failures {
        let (world, client) = play(streamed(2), [failure, stream(&["Hi"], 1, 2)]);
        assert_eq!(client.words(), "Hi", "{name}");
        assert_eq!(client.head().provider.as_deref(), Some("B"), "{name}");
        assert_eq!(client.head().attempts, 2, "{name}");
        // P35: one hold, and one settlement of the attempt that served.
        assert_eq!(world.holds.borrow().len(), 1, "{name}");
        let cost = PROMPT + 2 * COMPLETION;
        assert_eq!(world.ends(), [format!("settle {cost}")], "{name}");
        let row = world.row();
        assert_eq!(row.attempts.len(), 2, "{name}");
        assert!(row.attempts[0].error.is_some(), "{name}");
        assert_eq!(row.provider.as_deref(), Some("B"), "{name}");
    }
}

#[test]
fn the_same_holds_for_answers_in_one_piece() {
    let empty = answer("", 10, 0);
    let gave_up = json(
        200,
        r#"{"choices":[{"message":{"content":"Ha"},"finish_reason":"error"}],"usage":{"prompt_tokens":1,"completion_tokens":9}}"#,
    );
    let error_in_200 = json(200, r#"{"error":{"code":500,"message":"oops"}}"#);
    for failure in [
        refuses(),
        json(503, ""),
        json(200, "nonsense"),
        empty,
        gave_up,
        error_in_200,
    ] {
        let (world, client) = play(in_one_piece(2), [failure, answer("Hi", 1, 2)]);
        assert_eq!(client.body()["choices"][0]["message"]["content"], "Hi");
        let cost = PROMPT + 2 * COMPLETION;
        assert_eq!(world.ends(), [format!("settle {cost}")]);
    }
}

#[test]
fn what_fails_after_it_is_told_in_band_and_ends_the_stream() {
    // P110, P111, P45: nobody is asked again, what was delivered is paid, and the stream has an end.
    let breaks = || Piece::Bytes(b"data: {nonsense\n\n".to_vec());
    for (code, how) in [
        (502, vec![Piece::Break]),
        (502, vec![]),
        (502, vec![breaks()]),
        (429, vec![error_chunk(429), text("never")]),
    ] {
        let mut body = vec![role(), text("12345678")];
        body.extend(how);
        let (world, client) = play(streamed(2), [sse(body)]);
        assert_eq!(client.words(), "12345678");
        let last = client.chunks().pop().unwrap();
        assert_eq!(last["error"]["code"], code);
        assert_eq!(last["choices"][0]["finish_reason"], "error");
        assert!(client.text().ends_with("data: [DONE]\n\n"));
        assert_eq!(world.calls.borrow().len(), 1);
        // Two tokens of eight bytes, and the prompt, both counted by the gateway.
        let row = world.row();
        assert!(row.usage.estimated && row.error.is_some() && !row.cancelled);
        assert_eq!(row.usage.completion, 2);
        assert_eq!(last["usage"]["completion_tokens"], 2);
        let cost = row.usage.prompt as i64 * PROMPT + 2 * COMPLETION;
        assert_eq!(world.ends(), [format!("settle {cost}")]);
    }
}

#[test]
fn a_stream_cut_inside_an_event_gets_its_error_on_a_fresh_line() {
    // P115
    let half = Piece::Bytes(b"data: {\"choices\":[{\"index\":0,\"del".to_vec());
    let (_, client) = play(streamed(1), [sse([text("1234"), half, Piece::Break])]);
    assert_eq!(client.words(), "1234");
    assert!(client.chunks().pop().unwrap()["error"].is_object());
}

#[test]
fn a_complete_answer_stays_complete_whatever_breaks_behind_it() {
    // P122: no end mark, or a connection that breaks after the finish reason.
    for tail in [vec![], vec![Piece::Break], vec![comment(), Piece::Break]] {
        let mut body = vec![text("Hi"), finish("stop"), usage(1, 2)];
        body.extend(tail);
        let (world, client) = play(streamed(1), [sse(body)]);
        assert!(client.chunks().iter().all(|chunk| chunk["error"].is_null()));
        assert!(client.text().ends_with("data: [DONE]\n\n"));
        assert_eq!(
            world.ends(),
            [format!("settle {}", PROMPT + 2 * COMPLETION)]
        );
    }
}

#[test]
fn nothing_of_an_attempt_that_failed_reaches_the_bill() {
    // The first provider counted 900 tokens and gave up: the second's two are what counts (P35).
    let gave_up = sse([role(), usage(900, 900), error_chunk(500)]);
    let silent_on_usage = sse([text("1234"), finish("stop"), done()]);
    let (world, _) = play(streamed(2), [gave_up, silent_on_usage]);
    let row = world.row();
    assert_eq!((row.usage.completion, row.usage.estimated), (1, true));
    assert!(row.usage.prompt < 100);
}

#[test]
fn a_stream_may_be_answered_in_one_piece() {
    let (world, client) = play(streamed(1), [answer("Hello", 10, 20)]);
    assert_eq!(client.words(), "Hello");
    assert!(client.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(
        world.ends(),
        [format!("settle {}", 10 * PROMPT + 20 * COMPLETION)]
    );
    assert_eq!(client.head().provider.as_deref(), Some("A"));
}

#[test]
fn several_answers_end_when_the_last_of_them_ends() {
    let of = |choice: u32, rest: &str| {
        let chunk = format!("data: {{\"choices\":[{{\"index\":{choice},{rest}}}]}}\n\n");
        Piece::Bytes(chunk.into_bytes())
    };
    let says = "\"delta\":{\"content\":\"1234\"}";
    let ends = "\"delta\":{},\"finish_reason\":\"stop\"";
    let body = |tail: Piece| {
        sse([
            of(0, says),
            of(1, says),
            of(0, ends),
            Piece::Wait(30_000),
            tail,
            of(1, ends),
            done(),
        ])
    };
    let asks = || job(json!({"stream": true, "n": 2}), vec![openai("a")]);
    let (world, _) = play(asks(), [body(of(1, says))]);
    assert_eq!(world.row().usage.completion, 3);
    assert_eq!(world.row().error, None);
    // One of two answers is missing its end.
    let (world, client) = play(asks(), [body(Piece::Break)]);
    assert!(client.chunks().pop().unwrap()["error"].is_object());
    assert!(world.row().error.is_some());
}

#[test]
fn an_endpoint_that_cannot_be_asked_is_passed_over() {
    let sound = json!({"messages": [{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]});
    let anthropic = || route("claude", "anthropic_messages", |_, _| {});
    let (world, client) = play(
        job(sound.clone(), vec![anthropic(), openai("b")]),
        [answer("Hi", 1, 2)],
    );
    assert_eq!(client.body()["provider"], "B");
    // It was not called, so it is no attempt.
    assert_eq!(client.head().attempts, 1);
    assert_eq!(world.row().attempts.len(), 1);
    // Where nobody can be asked the client is told why, and the account is never bothered.
    let (world, client) = play(job(sound, vec![anthropic()]), []);
    assert_eq!(client.failure().status, 400);
    assert!(client.failure().param.is_some());
    assert!(world.holds.borrow().is_empty() && world.bills.borrow().is_empty());
}

#[test]
fn the_first_piece_of_thought_or_of_a_call_commits() {
    let call = r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}"#;
    let thought = r#"{"reasoning_content":"Hm"}"#;
    for delta in [call, thought, r#"{"refusal":"No"}"#] {
        let (world, client) = play(streamed(2), [sse([chunk(delta, None), Piece::Break])]);
        assert!(
            client.chunks().pop().unwrap()["error"].is_object(),
            "{delta}"
        );
        assert_eq!(world.call(0).fate.get(), Fate::Ended);
        assert_eq!(world.calls.borrow().len(), 1, "{delta}");
    }
}

#[test]
fn the_head_tells_where_the_time_went() {
    let slow = sse([Piece::Wait(400), text("Hi"), finish("stop"), done()]).after(100);
    let (_, client) = play(streamed(2), [refuses().after(50), slow]);
    let head = client.head();
    assert_eq!((head.attempts, head.upstream_ms), (2, 550));
    assert!(matches!(client.got.borrow()[0], (550, Output::Begin(_))));
}

#[test]
fn the_last_failure_is_told_with_those_before_it() {
    let limited = |wait| json(429, "{\"error\":{\"message\":\"slow down\"}}").retry_after(wait);
    let gave_up = json(
        200,
        r#"{"choices":[{"message":{"content":"Ha"},"finish_reason":"error"}]}"#,
    );
    let (world, client) = play(in_one_piece(3), [limited(9), gave_up.clone(), gave_up]);
    let error = client.failure();
    assert_eq!((error.status, error.retry_after), (502, None));
    assert_eq!(error.metadata["provider_name"], "C");
    assert_eq!(
        error.metadata["previous_errors"],
        json!([
            {"provider": "A", "code": "rate_limit_exceeded", "status": 429},
            {"provider": "B", "code": "provider_unavailable", "status": 502},
        ])
    );
    assert_eq!(world.ends(), ["void 0"]);
    assert_eq!(world.row().attempts.len(), 3);
}

#[test]
fn a_client_is_told_to_come_back_when_the_first_provider_may_serve_again() {
    let limited = |wait| json(429, "{}").retry_after(wait);
    let silent = || json(429, "{}");
    let bad = || json(400, "{}");
    let cases = [
        (vec![limited(9)], Some(9)),
        (vec![limited(9), limited(4), limited(7)], Some(4)),
        // One may serve again at any time.
        (vec![limited(9), silent()], None),
        (vec![limited(9), json(500, "")], None),
        // One never will.
        (vec![bad(), limited(9)], Some(9)),
        (vec![limited(9), bad()], Some(9)),
    ];
    for (scripts, expected) in cases {
        let (_, client) = play(in_one_piece(scripts.len()), scripts);
        assert_eq!(client.failure().retry_after, expected);
    }
}
