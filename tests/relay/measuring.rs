//! What attempts tell of their endpoints: the usage row's figures, and the isolate's memory.

use serde_json::{Value, json as value};

use patchbay::routing::{Credential, OwnKey, Plan, Step};
use patchbay::usage::Attempt;
use patchbay::usage::measured::Verdict;

use crate::client::{
    COMPLETION, Client, Leaves, PROMPT, in_one_piece, job, openai, play, streamed,
};
use crate::upstream::{
    Piece, Script, answer, chunk, done, finish, json, refuses, role, sse, stream, text, usage,
};
use crate::world::{RICH, World};

/// The verdicts over the attempts of the one row.
fn verdicts(world: &World) -> Vec<Option<Verdict>> {
    let row = world.row();
    let verdict = |attempt: &Attempt| attempt.measured.as_ref().map(|it| it.verdict);
    row.attempts.iter().map(verdict).collect()
}

#[test]
fn an_answer_is_measured_and_told_at_once() {
    let (world, _) = play(streamed(1), [stream(&["Hel", "lo"], 10, 20)]);
    assert_eq!(*world.noted.borrow(), ["a begins", "a ends: Ok None"]);
    let row = world.row();
    assert_eq!(row.attempts[0].route, "m/m|a");
    let measured = row.attempts[0].measured.as_ref().unwrap();
    assert_eq!((measured.prompt, measured.completion), (10, 20));
    assert_eq!(measured.cost, row.charge.unwrap().total.get());
    assert_eq!(measured.cost, 10 * PROMPT + 20 * COMPLETION);
    assert_eq!(measured.first_token_ms, Some(1));
    assert!(measured.duration_ms >= measured.first_token_ms);
    assert_eq!(measured.tools_valid, None);
}

#[test]
fn an_answer_in_one_piece_has_no_first_token() {
    let (world, _) = play(in_one_piece(1), [answer("Hello", 10, 20).after(500)]);
    let row = world.row();
    let measured = row.attempts[0].measured.as_ref().unwrap();
    assert_eq!(
        (measured.first_token_ms, measured.duration_ms),
        (None, Some(500))
    );
}

#[test]
fn each_attempt_has_its_own_verdict() {
    let cases: [(&str, Script, Verdict); 9] = [
        ("server error", json(500, "{}"), Verdict::Fault),
        ("no connection", refuses(), Verdict::Fault),
        ("our key is wrong", json(401, "{}"), Verdict::Fault),
        (
            "limit",
            json(429, "{}").retry_after(9),
            Verdict::RateLimited,
        ),
        ("wrong request", json(400, "{}"), Verdict::Unknown),
        ("forbidden", json(403, "{}"), Verdict::Unknown),
        (
            "empty",
            sse([role(), finish("stop"), done()]),
            Verdict::Fault,
        ),
        ("broken", sse([role(), Piece::Break]), Verdict::Fault),
        ("garbage", json(200, "nothing"), Verdict::Fault),
    ];
    for (name, first, verdict) in cases {
        let (world, _) = play(streamed(2), [first, stream(&["Hello"], 1, 2)]);
        assert_eq!(
            verdicts(&world),
            [Some(verdict), Some(Verdict::Ok)],
            "{name}"
        );
        let wait = (verdict == Verdict::RateLimited).then_some(9u32);
        let told = [
            "a begins".to_owned(),
            format!("a ends: {verdict:?} {wait:?}"),
            "b begins".to_owned(),
            "b ends: Ok None".to_owned(),
        ];
        assert_eq!(*world.noted.borrow(), told, "{name}");
    }
}

#[test]
fn a_stream_that_breaks_after_its_commit_is_a_fault_told_once() {
    for pieces in [
        vec![role(), text("Hel"), Piece::Break],
        vec![role(), text("Hel")],
        vec![role(), text("Hel"), finish("error"), done()],
    ] {
        let (world, _) = play(streamed(1), [sse(pieces)]);
        assert_eq!(verdicts(&world), [Some(Verdict::Fault)]);
        assert_eq!(*world.noted.borrow(), ["a begins", "a ends: Fault None"]);
    }
}

#[test]
fn when_all_fail_each_is_told_once() {
    let (world, _) = play(in_one_piece(2), [json(503, "{}"), json(429, "{}")]);
    let told = [
        "a begins",
        "a ends: Fault None",
        "b begins",
        "b ends: RateLimited None",
    ];
    assert_eq!(*world.noted.borrow(), told);
    assert_eq!(
        verdicts(&world),
        [Some(Verdict::Fault), Some(Verdict::RateLimited)]
    );
}

#[test]
fn a_client_that_leaves_says_nothing_of_the_endpoint() {
    let world = World::new(RICH, [sse([role(), text("Hel"), Piece::Hang])]);
    let client = Client::reading(&world, streamed(1), 0, Leaves::AfterOutputs(2));
    world.run_out();
    assert!(!client.ended.get());
    assert_eq!(verdicts(&world), [None]);
    assert_eq!(*world.noted.borrow(), ["a begins"]);
}

#[test]
fn what_becomes_of_an_accounts_own_key_is_not_held_against_the_endpoint() {
    let mut own = streamed(2);
    let key = OwnKey {
        id: "k1".into(),
        label: "…s".into(),
        secret: "s".into(),
        form: Default::default(),
    };
    own.plan = Plan {
        attempts: own
            .plan
            .attempts
            .into_iter()
            .map(|step| Step {
                credential: Credential::Own(std::rc::Rc::new(OwnKey {
                    id: key.id.clone(),
                    label: key.label.clone(),
                    secret: key.secret.clone(),
                    form: Default::default(),
                })),
                ..step
            })
            .collect(),
        ..own.plan
    };
    let (world, _) = play(own, [json(429, "{}").retry_after(9), json(500, "{}")]);
    assert_eq!(
        verdicts(&world),
        [Some(Verdict::Unknown), Some(Verdict::Fault)]
    );
    assert_eq!(world.row().attempts[0].own_key.as_deref(), Some("k1"));
}

#[test]
fn tool_calls_are_judged_where_the_answer_is_whole() {
    let tools = value!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    let call = |name: &str, arguments: &str| {
        let call = value!({"tool_calls": [
            {"index": 0, "id": "c", "type": "function", "function": {"name": name, "arguments": arguments}},
        ]});
        chunk(&call.to_string(), None)
    };
    let play_with = |tools: &Value, call: Piece, end: &str| {
        let job = job(value!({"stream": true, "tools": tools}), vec![openai("a")]);
        let (world, _) = play(job, [sse([role(), call, finish(end), usage(1, 2), done()])]);
        let row = world.row();
        row.attempts[0].measured.as_ref().unwrap().tools_valid
    };
    for (name, arguments, end, valid) in [
        ("look", "{\"at\":1}", "tool_calls", Some(true)),
        ("look", "{\"at\":", "tool_calls", Some(false)),
        ("jump", "{}", "tool_calls", Some(false)),
        ("look", "{\"at\":", "length", None),
    ] {
        let judged = play_with(&tools, call(name, arguments), end);
        assert_eq!(judged, valid, "{name} {arguments} {end}");
    }
    assert_eq!(play_with(&tools, text("Hello"), "stop"), None);
}
