//! Recording both sides, and keeping records in a real SQLite.

use futures::executor::block_on;
use serde_json::json;

use super::*;
use crate::{
    chat::{Delta, Event, FinishReason, ReasoningDetail, ReasoningFormat},
    dialects::openai_chat::client::parse_request,
    identity::own_keys::seal::Keyring,
    usage::d1_tests::Store,
};

fn asked(messages: Value) -> Side {
    let body = json!({"model": "m", "messages": messages});
    of_chat(&parse_request(body.to_string().as_bytes()).unwrap())
}

fn answered(events: &[Event]) -> Side {
    let mut recorder = Recorder::default();
    events.iter().for_each(|event| recorder.see(event));
    tell([&recorder].into_iter())
}

#[test]
fn a_conversation_is_told_with_its_media_by_type_and_size() {
    let side = asked(json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAABBBBCCCC"}},
            {"type": "image_url", "image_url": {"url": "https://pics.example/a.png?signature=secret"}},
        ]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
    ]));
    assert!(!side.is_cut);
    assert_eq!(
        side.json["messages"],
        json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"media_type": "image/png", "bytes": 9, "type": "image"},
                {"url": "https://pics.example/a.png", "type": "image"},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        ])
    );
}

#[test]
fn of_a_long_conversation_instructions_and_the_newest_messages_are_kept() {
    let long = "é".repeat(MAX_INPUT / 4);
    let side = asked(json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "the first"},
        {"role": "assistant", "content": long},
        {"role": "user", "content": long},
        {"role": "assistant", "content": "the answer"},
        {"role": "user", "content": "the last"},
    ]));
    assert!(side.is_cut);
    let messages = side.json["messages"].as_array().unwrap();
    assert_eq!(messages[0]["content"], "Be brief.");
    assert_eq!(messages.last().unwrap()["content"], "the last");
    assert_eq!(side.json["omitted_messages"], 1);
    assert!(side.json.to_string().len() < MAX_INPUT + 4_096);
}

#[test]
fn a_stream_is_told_as_its_answer() {
    let reasoning = ReasoningDetail::text(ReasoningFormat::AnthropicClaude, 0, "Hm. ");
    let side = answered(&[
        Event::delta(0, Delta::Reasoning(reasoning)),
        Event::text("Hel"),
        Event::text("lo"),
        Event::delta(
            0,
            Delta::ToolCallStart {
                index: 0,
                id: "c".into(),
                name: "look".into(),
            },
        ),
        Event::delta(
            0,
            Delta::ToolCallArguments {
                index: 0,
                json: "{\"a\":".into(),
            },
        ),
        Event::delta(
            0,
            Delta::ToolCallArguments {
                index: 0,
                json: "1}".into(),
            },
        ),
        Event::delta(
            0,
            Delta::Image {
                url: "data:image/webp;base64,AAAA".into(),
            },
        ),
        Event::delta(
            0,
            Delta::Audio(json!({"id": "a", "data": "AAAAAAAA", "transcript": "Hi"})),
        ),
        Event::delta(
            0,
            Delta::Audio(json!({"data": "AAAA", "transcript": " you"})),
        ),
        Event::Finish {
            choice: 0,
            reason: FinishReason::ToolCalls,
            native: "tool_use".into(),
            stop_sequence: None,
        },
        Event::Done,
    ]);
    assert!(!side.is_cut);
    assert_eq!(
        side.json,
        json!({
            "completion": "Hello", "reasoning": "Hm. ",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{\"a\":1}"}}],
            "media": [
                {"media_type": "image/webp", "bytes": 3, "type": "image"},
                {"type": "audio", "bytes": 9, "transcript": "Hi you"},
            ],
            "finish_reason": "tool_calls",
        })
    );
}

#[test]
fn parts_of_an_answer_are_one_answer_and_several_answers_are_all_there() {
    let mut first = Recorder::default();
    first.see(&Event::text("One, "));
    let mut second = Recorder::default();
    second.see(&Event::text("two."));
    second.see(&Event::delta(1, Delta::Text("Other.".into())));
    let side = tell([&first, &second].into_iter());
    assert_eq!(side.json["completion"], "One, two.");
    assert_eq!(side.json["choices"][1]["completion"], "Other.");
    assert_eq!(tell([].into_iter()).json["completion"], Value::Null);
}

#[test]
fn an_answer_without_end_is_cut_and_says_so() {
    let mut recorder = Recorder::default();
    let piece = Event::text("0123456789abcdef".repeat(64));
    for _ in 0..=MAX_OUTPUT / 1_024 {
        recorder.see(&piece);
    }
    recorder.see(&Event::delta(0, Delta::Annotation(json!({"type": "x"}))));
    let side = tell([&recorder].into_iter());
    assert!(side.is_cut);
    assert_eq!(side.json["completion"].as_str().unwrap().len(), MAX_OUTPUT);
    assert_eq!(side.json.get("annotations"), None);
}

#[test]
fn sampling_takes_whole_sessions_and_its_share_of_them() {
    let taken = |parts, n: u32| {
        let session = format!("session {n}");
        let one = is_sampled(parts, Some(&session), "gen-1");
        assert_eq!(one, is_sampled(parts, Some(&session), "gen-2"));
        one
    };
    for (parts, least, most) in [(0, 0, 0), (WHOLE, 2_000, 2_000), (WHOLE / 4, 420, 580)] {
        let count = (0..2_000).filter(|n| taken(parts, *n)).count();
        assert!((least..=most).contains(&count), "{parts}: {count}");
    }
    assert_ne!(
        (0..64)
            .map(|n| is_sampled(WHOLE / 2, None, &format!("gen-{n}")))
            .collect::<Vec<_>>(),
        vec![is_sampled(WHOLE / 2, None, "gen-0"); 64]
    );
}

const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const DAY: i64 = 86_400_000;

fn ring() -> Keyring {
    Keyring::read(MASTER, None).unwrap()
}

fn captured(id: &str) -> Captured {
    Captured {
        id: id.into(),
        session: None,
        content: Content {
            input: json!({"messages": [{"role": "user", "content": "a secret"}]}),
            output: json!({"completion": "kept"}),
            ..Content::default()
        },
    }
}

fn wish(store: &Store, account: &str, settings: &Settings) {
    block_on(d1::save_settings(store, account, settings, 0)).unwrap();
}

fn keep(store: &Store, account: &str, key: &str, id: &str, now: i64) {
    block_on(d1::keep(
        store,
        &ring(),
        &[7; 32],
        (account, key),
        &captured(id),
        now,
    ))
    .unwrap();
}

fn read(store: &Store, account: &str, id: &str, now: i64) -> Option<d1::Kept> {
    block_on(d1::read(store, &ring(), account, id, now)).unwrap()
}

#[test]
fn only_what_the_account_wants_is_kept_and_never_in_the_clear() {
    let store = Store::new();
    store.account("acc");
    keep(&store, "acc", "k", "gen-0", 0);
    assert_eq!(read(&store, "acc", "gen-0", 0), None);
    let on = Settings {
        is_on: true,
        keys: Some(vec!["k".into()]),
        ..Settings::default()
    };
    wish(&store, "acc", &on);
    keep(&store, "acc", "other", "gen-1", 0);
    keep(&store, "acc", "k", "gen-2", 0);
    assert_eq!(read(&store, "acc", "gen-1", 0), None);
    let kept = read(&store, "acc", "gen-2", 0).unwrap();
    assert_eq!(
        (kept.content, kept.key_hash.as_str()),
        (captured("gen-2").content, "k")
    );
    let rows = store.run("SELECT sealed FROM contents", &[]);
    assert_eq!(rows.len(), 1);
    assert!(!rows[0]["sealed"].as_str().unwrap().contains("secret"));
    // Of another account it is not there, and a row that was moved there does not open.
    assert_eq!(read(&store, "other", "gen-2", 0), None);
    store.run("UPDATE contents SET account = 'other'", &[]);
    assert!(block_on(d1::read(&store, &ring(), "other", "gen-2", 0)).is_err());
}

#[test]
fn records_end_with_their_days_also_when_these_are_shortened() {
    let store = Store::new();
    store.account("acc");
    let mut on = Settings {
        is_on: true,
        ..Settings::default()
    };
    wish(&store, "acc", &on);
    for n in 0..600 {
        keep(&store, "acc", "k", &format!("gen-{n}"), n * DAY);
    }
    let left = |now| {
        block_on(d1::purge(&store, now)).unwrap();
        store.run("SELECT count(*) AS n FROM contents", &[])[0]["n"]
            .as_i64()
            .unwrap()
    };
    assert!(read(&store, "acc", "gen-0", DEFAULT_DAYS * DAY - 1).is_some());
    assert!(read(&store, "acc", "gen-0", DEFAULT_DAYS * DAY).is_none());
    assert_eq!(left(DEFAULT_DAYS * DAY - 1), 600);
    assert_eq!(left((DEFAULT_DAYS + 9) * DAY), 590);
    on.days = 1;
    wish(&store, "acc", &on);
    // More than one statement takes.
    assert_eq!(left(599 * DAY), 1);
    on.days = 90;
    wish(&store, "acc", &on);
    assert_eq!(left(601 * DAY), 0);
}

#[test]
fn an_answer_out_of_the_response_cache_is_the_one_that_filled_it() {
    let store = Store::new();
    store.account("acc");
    let on = Settings {
        is_on: true,
        ..Settings::default()
    };
    wish(&store, "acc", &on);
    keep(&store, "acc", "k", "gen-1", 0);
    let row = |account: &str, id: &str| {
        json!({"id": id, "account": account, "key_hash": "k", "status": "settled", "cost": 0, "finished_at": 0,
            "row": {"response_cache_source_id": "gen-1"}})
    };
    store.flush(&[row("acc", "gen-2"), row("other", "gen-3")]);
    assert_eq!(read(&store, "acc", "gen-2", 0).unwrap().generation, "gen-1");
    assert_eq!(read(&store, "acc", "gen-3", 0), None);
    assert_eq!(read(&store, "other", "gen-3", 0), None);
}

#[test]
fn text_that_grows_when_it_is_written_still_fits_the_store() {
    let store = Store::new();
    store.account("acc");
    let on = Settings {
        is_on: true,
        ..Settings::default()
    };
    wish(&store, "acc", &on);
    let mut big = captured("gen-1");
    big.content.input =
        json!({"messages": [{"role": "user", "content": "\u{1}".repeat(MAX_INPUT)}]});
    block_on(d1::keep(&store, &ring(), &[7; 32], ("acc", "k"), &big, 0)).unwrap();
    let kept = read(&store, "acc", "gen-1", 0).unwrap().content;
    assert!(kept.input_truncated && kept.input.is_null());
    assert_eq!(kept.output["completion"], "kept");
}
