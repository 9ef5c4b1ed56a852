//! Operations beside conversation on the relay's way: several calls of one attempt, fallback, sound, holds.

use std::rc::Rc;

use patchbay::catalog::Route;
use patchbay::operations::{
    Ask,
    embeddings::{Embeddings, Input},
    speech::Speech,
};
use patchbay::relay::Job;
use patchbay::relay::limits::IDLE_MS;
use serde_json::{Value, json as value};

use crate::client::{Client, PROMPT, job, route};
use crate::upstream::{Fate, Piece, Script, json, mute, sse};
use crate::world::{Fault, RICH, World};

/// Nano-dollars of a character at the endpoints of these tests.
const CHARACTER: i64 = 15_000;

fn place(slug: &str, operation: &str, output: &str) -> Route {
    route(slug, "openai_chat", |provider, endpoint| {
        provider["operations"] = value!({"embeddings": {"dialect": "openai", "max_inputs": 2}});
        endpoint["operation"] = operation.into();
        endpoint["output_modalities"] = value!([output]);
        endpoint["prices"] = value!({
            "prompt": if operation == "speech" { 0 } else { PROMPT * 1_000_000 }, "completion": 0,
            "units": {"characters": CHARACTER * 1_000_000},
        });
    })
}

fn asking(ask: Ask, routes: Vec<Route>) -> Job {
    let expected = ask.expected();
    Job {
        prompt_tokens: expected.prompt,
        ask: Some(Rc::new(ask)),
        raw: Vec::new(),
        ..job(value!({}), routes)
    }
}

fn embed(texts: &[&str], slugs: &[&str]) -> Job {
    let inputs = texts.iter().map(|text| Input::Text((*text).into()));
    let ask = Ask::Embeddings(Embeddings {
        inputs: inputs.collect(),
        ..Embeddings::default()
    });
    let routes = slugs
        .iter()
        .map(|slug| place(slug, "embeddings", "embeddings"));
    asking(ask, routes.collect())
}

fn speak(text: &str, slugs: &[&str]) -> Job {
    let ask = Ask::Speech(Speech {
        text: text.into(),
        ..Speech::default()
    });
    let routes = slugs.iter().map(|slug| place(slug, "speech", "speech"));
    asking(ask, routes.collect())
}

fn vectors(numbers: &[f64], tokens: u64) -> Script {
    let data: Vec<Value> = numbers
        .iter()
        .map(|one| value!({"embedding": [one]}))
        .collect();
    json(
        200,
        &value!({"data": data, "usage": {"prompt_tokens": tokens}}).to_string(),
    )
}

fn sound(pieces: impl IntoIterator<Item = Piece>) -> Script {
    Script {
        content_type: "audio/pcm",
        ..sse(pieces)
    }
}

fn bytes(length: usize) -> Piece {
    Piece::Bytes(vec![1; length])
}

#[test]
fn the_calls_of_one_attempt_are_one_answer_and_one_bill() {
    let world = World::new(RICH, [vectors(&[1.0, 2.0], 7), vectors(&[3.0], 4)]);
    let client = Client::of(&world, embed(&["a", "b", "c"], &["one"]));
    world.run_out();
    let body = client.body();
    let found: Vec<&Value> = body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["embedding"][0])
        .collect();
    assert_eq!(found, [&value!(1.0), &value!(2.0), &value!(3.0)]);
    assert_eq!(world.ends(), [format!("settle {}", 11 * PROMPT)]);
    let row = world.row();
    assert_eq!(
        (row.api_type.as_str(), row.usage.prompt, row.usage.estimated),
        ("embeddings", 11, false)
    );
    assert_eq!(row.attempts.len(), 1, "several calls are one attempt");
}

#[test]
fn a_call_that_fails_takes_the_whole_attempt_to_the_next_endpoint() {
    let scripts = [
        vectors(&[1.0, 2.0], 7),
        json(503, "{}"),
        vectors(&[5.0, 6.0], 2),
        vectors(&[7.0], 1),
    ];
    let world = World::new(RICH, scripts);
    let client = Client::of(&world, embed(&["a", "b", "c"], &["one", "two"]));
    world.run_out();
    assert_eq!(client.body()["data"][0]["embedding"], value!([5.0]));
    assert_eq!(world.ends(), [format!("settle {}", 3 * PROMPT)]);
    assert_eq!(client.head().provider.as_deref(), Some("TWO"));
}

#[test]
fn fewer_vectors_than_inputs_are_a_failure_of_the_providers_and_free() {
    let world = World::new(RICH, [vectors(&[1.0], 1), vectors(&[], 0)]);
    let client = Client::of(&world, embed(&["a", "b"], &["one", "two"]));
    world.run_out();
    assert_eq!(client.failure().status, 503, "several broke");
    assert_eq!(world.charged(), 0);
    assert!(
        world.ends().iter().all(|end| end.starts_with("void")),
        "{:?}",
        world.ends()
    );
}

#[test]
fn nothing_leaves_before_the_hold_is_granted() {
    for (job, script) in [
        (embed(&["a"], &["one"]), vectors(&[1.0], 1)),
        (speak("Hello", &["one"]), sound([bytes(480)])),
    ] {
        let world = World::new(RICH, [script]);
        world.hold_faults.borrow_mut().push_back(Fault::Slow(3_000));
        let client = Client::of(&world, job);
        world.run_until(3_000);
        assert!(client.got.borrow().is_empty());
        world.run_out();
        assert!(client.times().iter().all(|at| *at == 3_000));
        assert!(client.ended.get());
    }
}

#[test]
fn a_refused_hold_aborts_the_provider_and_says_what_it_may_cost() {
    for (job, script) in [
        (embed(&["a"], &["one"]), mute()),
        (speak("Hello", &["one"]), sound([bytes(480), Piece::Hang])),
    ] {
        let world = World::new(5, [script]);
        let client = Client::of(&world, job);
        world.run_out();
        let refused = client.failure();
        assert_eq!(refused.status, 402);
        assert!(
            refused.message.contains("may cost $"),
            "{}",
            refused.message
        );
        assert_eq!(world.charged(), 0);
        assert!(world.ends().is_empty());
    }
}

#[test]
fn sound_is_handed_on_as_it_comes_and_settled_before_its_end() {
    let pieces = [bytes(480), Piece::Wait(2_000), bytes(960)];
    let world = World::new(RICH, [sound(pieces)]);
    let client = Client::of(&world, speak("Hello", &["one"]));
    world.run_until(1_000);
    assert_eq!(client.text().len(), 480, "the first bytes wait for nothing");
    world.run_out();
    assert_eq!(client.text().len(), 1_440);
    assert!(client.ended.get());
    assert_eq!(world.ends(), [format!("settle {}", 5 * CHARACTER)]);
    let row = world.row();
    assert_eq!((row.api_type.as_str(), row.error), ("speech", None));
    assert_eq!(world.call(0).fate.get(), Fate::Ended);
}

#[test]
fn a_provider_without_a_sound_gives_way_to_the_next() {
    let page = json(200, r#"{"error":{"message":"no voice"}}"#);
    for script in [sound([]), page, json(500, "{}")] {
        let world = World::new(RICH, [script, sound([bytes(480)])]);
        let client = Client::of(&world, speak("Hello", &["one", "two"]));
        world.run_out();
        assert_eq!(client.text().len(), 480);
        assert_eq!(client.head().provider.as_deref(), Some("TWO"));
        assert_eq!(world.charged(), 5 * CHARACTER);
    }
}

#[test]
fn a_sound_that_breaks_off_or_falls_silent_is_charged_and_on_record() {
    for (end, within) in [(Piece::Break, 1_000), (Piece::Hang, IDLE_MS + 1_000)] {
        let world = World::new(RICH, [sound([bytes(480), end])]);
        let client = Client::of(&world, speak("Hello", &["one"]));
        world.run_until(within);
        assert!(client.ended.get());
        assert_eq!(world.charged(), 5 * CHARACTER);
        assert!(world.row().error.is_some());
    }
}

#[test]
fn a_client_that_leaves_a_sound_pays_for_it_and_the_provider_is_aborted() {
    let world = World::new(RICH, [sound([bytes(480), Piece::Hang])]);
    let client = Client::of(&world, speak("Hello", &["one"]));
    world.run_until(100);
    client.leave();
    world.run_until(101);
    assert_eq!(world.call(0).fate.get(), Fate::Aborted);
    assert!(world.row().cancelled);
    assert_eq!(world.ends(), [format!("settle {}", 5 * CHARACTER)]);
}
