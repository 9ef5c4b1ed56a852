//! Operations beside conversation on the relay's way: several calls of one attempt, fallback, sound, holds.

use std::rc::Rc;

use patchbay::catalog::Route;
use patchbay::operations::{
    Ask,
    embeddings::{Embeddings, Input},
    images::Images,
    speech::{Format, Speech},
    transcription::{Sound, Transcription},
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
fn a_sound_that_breaks_off_or_falls_silent_is_charged_as_far_as_it_came_and_on_record() {
    // Ten of sixty seconds were spoken: 150 of 900 characters.
    let text = "x".repeat(900);
    for (end, within) in [(Piece::Break, 1_000), (Piece::Hang, IDLE_MS + 1_000)] {
        let world = World::new(RICH, [sound([bytes(480_000), end])]);
        let client = Client::of(&world, speak(&text, &["one"]));
        world.run_until(within);
        assert!(client.ended.get());
        assert_eq!(world.charged(), 150 * CHARACTER);
        let row = world.row();
        assert!(row.error.is_some() && row.usage.estimated);
    }
}

#[test]
fn a_broken_sound_whose_length_cannot_be_told_is_charged_whole() {
    let mut job = speak("Hello", &["one"]);
    job.ask = Some(Rc::new(Ask::Speech(Speech {
        text: "Hello".into(),
        format: Format::Opus,
        ..Speech::default()
    })));
    let world = World::new(RICH, [sound([bytes(480), Piece::Break])]);
    let client = Client::of(&world, job);
    world.run_out();
    assert!(client.ended.get());
    assert_eq!(world.charged(), 5 * CHARACTER);
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

/// A PNG as far as its head.
const PNG: &str = "iVBORw0KGgo=";
/// Nano-dollars of an image, and of an hour of sound, at the endpoints of these tests.
const IMAGE: i64 = 20_000_000;
const HOUR: i64 = 360_000_000;

fn paint(stream: bool, as_url: bool, slugs: &[&str]) -> Job {
    let ask = Ask::Images(Images {
        prompt: "a fox".into(),
        n: 1,
        stream,
        as_url,
        ..Images::default()
    });
    streaming(ask, slugs, "images", "image")
}

fn listen(stream: bool, slugs: &[&str]) -> Job {
    let ask = Ask::Transcription(Transcription {
        sound: Sound::Bytes {
            data: vec![1; 4_000],
            filename: "a.mp3".into(),
        },
        language: None,
        temperature: None,
        verbose: false,
        granularities: Vec::new(),
        diarize: false,
        keyterms: Vec::new(),
        stream,
    });
    streaming(ask, slugs, "transcription", "transcription")
}

fn streaming(ask: Ask, slugs: &[&str], operation: &str, output: &str) -> Job {
    let places = slugs.iter().map(|slug| {
        route(slug, "openai_chat", |provider, endpoint| {
            provider["operations"] = value!({
                "images": {"dialect": "openai", "quirks": ["always_base64", "streamed_images"]},
                "transcription": {"dialect": "openai", "quirks": ["streamed_transcripts"]},
            });
            endpoint["operation"] = operation.into();
            endpoint["output_modalities"] = value!([output]);
            endpoint["prices"] = value!({
                "prompt": 0, "completion": 0,
                "units": {"images": [{"price": IMAGE}], "audio_in_hour": HOUR},
            });
        })
    });
    let stream = ask.streams();
    let mut job = asking(ask, places.collect());
    job.request.stream = stream;
    job
}

fn events(events: &[Value]) -> Vec<Piece> {
    let line = |event: &Value| Piece::Bytes(format!("data: {event}\n\n").into_bytes());
    events.iter().map(line).collect()
}

/// The types of the events that the client read, and the last one's JSON.
fn told(client: &Client) -> (Vec<String>, Value) {
    let text = client.text();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let (mut kinds, mut last) = (Vec::new(), Value::Null);
    for line in lines {
        match serde_json::from_str::<Value>(line) {
            Ok(event) => {
                kinds.push(event["type"].as_str().unwrap_or_default().to_owned());
                last = event;
            }
            Err(_) => kinds.push(line.to_owned()),
        }
    }
    (kinds, last)
}

#[test]
fn unfinished_images_are_handed_on_and_the_finished_one_is_settled_before_it_leaves() {
    let partial = value!({"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": PNG});
    let done = value!({"type": "image_generation.completed", "b64_json": PNG, "usage": {"input_tokens": 3, "output_tokens": 9}});
    let mut pieces = events(&[partial]);
    pieces.push(Piece::Wait(2_000));
    pieces.extend(events(&[done]));
    // The provider need not close the connection.
    pieces.push(Piece::Hang);
    let world = World::new(RICH, [sse(pieces)]);
    let client = Client::of(&world, paint(true, false, &["one"]));
    world.run_until(1_000);
    assert_eq!(told(&client).0, ["image_generation.partial_image"]);
    world.run_until(3_000);
    let (kinds, last) = told(&client);
    assert_eq!(
        kinds,
        [
            "image_generation.partial_image",
            "image_generation.completed",
            "[DONE]"
        ]
    );
    assert_eq!(
        (&last["b64_json"], &last["usage"]["output_tokens"]),
        (&value!(PNG), &value!(9))
    );
    assert!(client.ended.get());
    assert_eq!(world.ends(), [format!("settle {IMAGE}")]);
    assert!(world.row().streamed);
}

#[test]
fn an_image_that_never_is_finished_is_not_paid_and_the_client_is_told() {
    let partial = value!({"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": PNG});
    let error = value!({"type": "error", "error": {"message": "out of paint"}});
    for end in [Piece::Break, events(&[error]).remove(0)] {
        let mut pieces = events(std::slice::from_ref(&partial));
        pieces.push(end);
        let world = World::new(RICH, [sse(pieces)]);
        let client = Client::of(&world, paint(true, false, &["one"]));
        world.run_out();
        let (kinds, _) = told(&client);
        assert_eq!(kinds, ["image_generation.partial_image", "error", "[DONE]"]);
        assert_eq!(world.charged(), 0);
        assert!(world.row().error.is_some());
    }
}

#[test]
fn a_stream_that_fails_before_its_first_event_goes_to_the_next_endpoint() {
    let done = value!({"type": "image_generation.completed", "b64_json": PNG});
    let error = value!({"type": "error", "error": {"message": "out of paint"}});
    for first in [sse([]), sse(events(&[error])), json(503, "{}")] {
        let world = World::new(RICH, [first, sse(events(std::slice::from_ref(&done)))]);
        let client = Client::of(&world, paint(true, false, &["one", "two"]));
        world.run_out();
        assert_eq!(told(&client).0, ["image_generation.completed", "[DONE]"]);
        assert_eq!(client.head().provider.as_deref(), Some("TWO"));
        assert_eq!(world.charged(), IMAGE);
    }
}

#[test]
fn a_whole_answer_is_events_for_a_client_that_wants_a_stream() {
    let image = value!({"data": [{"b64_json": PNG}]}).to_string();
    let world = World::new(RICH, [json(200, &image)]);
    let client = Client::of(&world, paint(true, false, &["one"]));
    world.run_out();
    assert_eq!(told(&client).0, ["image_generation.completed", "[DONE]"]);
    assert_eq!(world.ends(), [format!("settle {IMAGE}")]);
    let text = value!({"text": "Good day", "usage": {"seconds": 10}}).to_string();
    let world = World::new(RICH, [json(200, &text)]);
    let client = Client::of(&world, listen(true, &["one"]));
    world.run_out();
    let (kinds, last) = told(&client);
    assert_eq!(
        kinds,
        ["transcript.text.delta", "transcript.text.done", "[DONE]"]
    );
    assert_eq!(last["text"], "Good day");
    assert_eq!(world.ends(), [format!("settle {}", HOUR / 360)]);
}

#[test]
fn a_transcript_is_read_along_and_paid_also_where_it_breaks() {
    let delta = |text: &str| value!({"type": "transcript.text.delta", "delta": text});
    let done =
        value!({"type": "transcript.text.done", "text": "Good day", "usage": {"seconds": 10}});
    let whole = events(&[delta("Good "), delta("day"), done]);
    let world = World::new(RICH, [sse(whole)]);
    let client = Client::of(&world, listen(true, &["one"]));
    world.run_out();
    let (kinds, last) = told(&client);
    assert_eq!(
        kinds[..2],
        ["transcript.text.delta", "transcript.text.delta"]
    );
    assert_eq!(kinds[2..], ["transcript.text.done", "[DONE]"]);
    assert_eq!(last["usage"]["seconds"], 10);
    assert_eq!(world.ends(), [format!("settle {}", HOUR / 360)]);

    let mut broken = events(&[delta("Good ")]);
    broken.push(Piece::Break);
    let world = World::new(RICH, [sse(broken)]);
    let client = Client::of(&world, listen(true, &["one"]));
    world.run_out();
    assert_eq!(
        told(&client).0,
        ["transcript.text.delta", "error", "[DONE]"]
    );
    // 4,000 bytes are a second.
    assert_eq!(world.charged(), HOUR / 3_600);
    assert!(world.row().usage.estimated);
}

#[test]
fn an_image_at_an_address_is_fetched_unless_the_client_wants_the_address() {
    let answer = value!({"data": [{"url": "https://images.example/x.png"}]}).to_string();
    let png = Script {
        content_type: "image/png",
        ..sse([Piece::Bytes(b"\x89PNG\r\n\x1a\n".to_vec())])
    };
    let world = World::new(RICH, [json(200, &answer)]);
    world.pages.borrow_mut().push_back(png);
    let client = Client::of(&world, paint(false, false, &["one"]));
    world.run_out();
    assert_eq!(
        client.body()["data"],
        value!([{"b64_json": PNG, "media_type": "image/png"}])
    );
    assert_eq!(world.asked.borrow()[0].url, "https://images.example/x.png");
    assert_eq!(world.charged(), IMAGE);

    let world = World::new(RICH, [json(200, &answer)]);
    let client = Client::of(&world, paint(false, true, &["one"]));
    world.run_out();
    assert_eq!(
        client.body()["data"],
        value!([{"url": "https://images.example/x.png"}])
    );
    assert!(world.asked.borrow().is_empty());
}

#[test]
fn an_image_that_cannot_be_fetched_is_the_providers_failure_and_free() {
    let at = |url: &str| json(200, &value!({"data": [{"url": url}]}).to_string());
    let page = Script {
        content_type: "text/html",
        ..sse([Piece::Bytes(b"<html>".to_vec())])
    };
    for (url, page) in [
        ("http://169.254.169.254/x.png", None),
        ("https://images.example/x.png", Some(page)),
        ("https://images.example/x.png", Some(json(404, "{}"))),
    ] {
        let good = json(200, &value!({"data": [{"b64_json": PNG}]}).to_string());
        let world = World::new(RICH, [at(url), good]);
        world.pages.borrow_mut().extend(page);
        let client = Client::of(&world, paint(false, false, &["one", "two"]));
        world.run_out();
        assert_eq!(client.head().provider.as_deref(), Some("TWO"), "{url}");
        assert_eq!(world.charged(), IMAGE);
    }
}
