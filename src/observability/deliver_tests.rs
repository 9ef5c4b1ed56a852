//! Runs of the cron: what goes where, when, how often, and what becomes of the rest.

use std::collections::BTreeSet;

use futures::executor::block_on;
use serde_json::json;

use super::*;
use crate::observability::{
    kind::Kind,
    port::{Content, Unsent},
    test_world::{Does, MASTER, NOW, World},
};

#[test]
fn what_happened_since_goes_there_once_and_in_order() {
    let world = World::new();
    let before = world.requests(3);
    let id = world.destination("a", |_| ());
    assert_eq!(
        world.deliver(),
        Delivered::default(),
        "what happened before it was made is not for it"
    );
    let ids = world.requests(250);
    assert_eq!(world.deliver().generations, 250);
    let batches = world.batches("a.public");
    assert_eq!(batches.concat(), ids);
    assert!(batches.len() == 3 && !batches.concat().contains(&before[0]));
    assert_eq!(world.deliver(), Delivered::default());
    let state = world.state(&id);
    assert_eq!(
        (state.delivered, state.tries, state.last_success_at),
        (250, 0, Some(NOW))
    );
    assert_eq!(
        block_on(store::lag(
            &world,
            &block_on(store::get(&world, "acc", &id)).unwrap().unwrap()
        ))
        .unwrap(),
        (0, None)
    );
    let headers = &world.0.sent.borrow()[0].headers;
    assert!(headers.iter().any(|(name, value)| name == "authorization" && value == "Bearer secret-of-the-account"));
}

#[test]
fn a_failed_batch_waits_and_goes_again_as_it_was() {
    let world = World::new();
    let id = world.destination("a", |_| ());
    world.receiver(
        "a.public",
        &[
            Does::Answers(503, None, "busy"),
            Does::Breaks,
            Does::Answers(429, Some(100), ""),
            Does::Answers(200, None, ""),
        ],
    );
    let first = world.requests(2);
    world.deliver();
    let state = world.state(&id);
    assert_eq!(
        (state.tries, state.last_error.as_deref()),
        (1, Some("Status 503: busy"))
    );
    assert!(state.next_at >= NOW + 24_000 && state.next_at <= NOW + 36_000);
    let second = world.requests(2);
    assert_eq!(world.deliver().served, 0, "it is not due yet");
    world.later(36_000);
    world.deliver();
    assert_eq!(world.state(&id).tries, 2);
    world.later(72_000);
    world.deliver();
    let asked = world.state(&id);
    assert_eq!(
        asked.next_at - world.0.now.get(),
        100_000,
        "Retry-After is honoured"
    );
    world.later(99_999);
    assert_eq!(world.deliver().served, 0);
    world.later(1);
    world.deliver();
    assert_eq!(
        world.batches("a.public"),
        [first.clone(), first.clone(), first.clone(), first, second]
    );
    let state = world.state(&id);
    assert_eq!(
        (state.delivered, state.tries, state.failing_since),
        (4, 0, None)
    );
    assert!(world.letters(&id).is_empty());
}

#[test]
fn a_receiver_that_hangs_delays_no_other() {
    let world = World::new();
    for host in ["h1", "h2", "h3", "h4", "h5", "h6", "h7"] {
        world.destination(host, |_| ());
        world.receiver(host, &[Does::Hangs]);
    }
    let good = world.destination("good", |_| ());
    let ids = world.requests(2);
    world.deliver();
    assert_eq!(world.batches("good.public"), [ids]);
    assert_eq!(
        world.state("d-h1").last_error.as_deref(),
        Some("The receiver did not answer in time")
    );
    // The next minute begins with those that work.
    world.later(40_000);
    let ids = world.requests(1);
    let from = world.0.sent.borrow().len();
    world.deliver();
    assert!(world.0.sent.borrow()[from].url.contains("good"));
    assert_eq!(world.batches("good.public")[1], ids);
    assert_eq!(world.state(&good).delivered, 3);
}

#[test]
fn one_generation_at_fault_does_not_keep_the_others_away() {
    let world = World::new();
    let id = world.destination("a", |_| ());
    world.receiver("a.public", &[Does::Chokes("gen-0037")]);
    let mut ids = world.requests(100);
    world.deliver();
    let letters = world.letters(&id);
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (
            letters[0].generation.as_str(),
            letters[0].status,
            letters[0].reason.as_str()
        ),
        ("gen-0037", 400, "Status 400: no")
    );
    ids.retain(|id| id != "gen-0037");
    assert_eq!(world.state(&id).delivered, 99);
    let arrived: Vec<String> = world
        .batches("a.public")
        .into_iter()
        .filter(|batch| !batch.contains(&"gen-0037".to_owned()))
        .flatten()
        .collect();
    assert_eq!(arrived, ids);
}

#[test]
fn what_the_receiver_refuses_for_good_is_put_aside_at_once() {
    for status in [401, 403, 404, 302] {
        let world = World::new();
        let id = world.destination("a", |_| ());
        world.receiver(
            "a.public",
            &[Does::Answers(
                status,
                None,
                "key Bearer secret-of-the-account is bad",
            )],
        );
        let ids = world.requests(5);
        world.deliver();
        assert_eq!(
            world.batches("a.public").len(),
            1,
            "it is not asked again for each"
        );
        let letters = world.letters(&id);
        assert_eq!(
            letters
                .iter()
                .map(|letter| letter.generation.clone())
                .collect::<BTreeSet<_>>(),
            ids.into_iter().collect()
        );
        assert!(
            letters
                .iter()
                .all(|letter| letter.status == i64::from(status)
                    && !letter.reason.contains("secret-of")),
            "{letters:?}"
        );
        assert_eq!(world.deliver().served, 0);
    }
}

#[test]
fn after_many_tries_a_batch_is_put_aside_and_the_next_has_its_turn() {
    let world = World::new();
    let id = world.destination("a", |_| ());
    world.receiver("a.public", &[Does::Answers(500, None, "")]);
    let first = world.requests(1);
    for _ in 0..MAX_TRIES {
        world.deliver();
        world.later(2 * 3_600_000);
    }
    let letters = world.letters(&id);
    assert_eq!(letters[0].generation, first[0]);
    assert_eq!(
        (letters[0].tries, letters[0].reason.as_str()),
        (10, "Status 500 (after 10 tries)")
    );
    world.receiver("a.public", &[Does::Answers(200, None, "")]);
    let second = world.requests(1);
    world.deliver();
    assert_eq!(world.batches("a.public").last(), Some(&second));
    // The one put aside goes when its owner says so.
    assert_eq!(
        block_on(store::queue_letters(&world, "other", &id, None)).unwrap(),
        0,
        "not another account"
    );
    assert_eq!(
        block_on(store::queue_letters(&world, "acc", &id, Some(&first))).unwrap(),
        1
    );
    world.deliver();
    assert_eq!(world.batches("a.public").last(), Some(&first));
    assert!(world.letters(&id).is_empty());
}

#[test]
fn a_letter_that_fails_again_stays_and_one_without_a_record_says_so() {
    let world = World::new();
    let id = world.destination("a", |_| ());
    world.receiver("a.public", &[Does::Answers(403, None, "")]);
    world.requests(2);
    world.deliver();
    block_on(store::queue_letters(&world, "acc", &id, None)).unwrap();
    world.run("DELETE FROM usage WHERE id = 'gen-0002'", &[]);
    world.later(1);
    world.deliver();
    let mut letters = world.letters(&id);
    letters.sort_by(|a, b| a.generation.cmp(&b.generation));
    assert_eq!((letters[0].tries, letters[0].queued), (2, false));
    assert_eq!(
        letters[1].reason,
        "The generation's record is no longer kept"
    );
    assert_eq!(world.deliver().served, 0);
}

#[test]
fn a_destination_that_fails_for_a_day_is_switched_off_with_a_notice() {
    let world = World::new();
    let id = world.destination("a", |_| ());
    world.receiver("a.public", &[Does::Answers(401, None, "bad key")]);
    for _ in 0..26 {
        world.requests(1);
        world.deliver();
        world.later(3_600_000);
    }
    let kept = block_on(store::get(&world, "acc", &id)).unwrap().unwrap();
    assert!(!kept.enabled);
    let notice = kept.state.notice.unwrap();
    assert!(notice.starts_with("Switched off at 2027-01-16T08:00:00.000Z: nothing has arrived since 2027-01-15T08:00:00.000Z"), "{notice}");
    assert_eq!(world.batches("a.public").len(), 25);
}

#[test]
fn only_what_a_destination_wants_goes_there() {
    let world = World::new();
    world.destination("keys", |new| new.api_key_hashes = Some(vec!["k2".into()]));
    world.destination("half", |new| new.sampling_rate = 500_000);
    world.destination("rules", |new| new.filter_rules = Some(json!({"groups": [{"rules": [{"field": "model", "operator": "equals", "value": "b"}]}]})));
    let rows = (0..400).map(|n| {
        let row = json!({"model": if n % 4 == 0 { "b" } else { "a" }, "key_hash": if n % 2 == 0 { "k1" } else { "k2" }, "origin": {"session_id": format!("s-{}", n / 10)}});
        (format!("g-{n:03}"), "settled", row)
    });
    world.flush("acc", rows.collect());
    world.flush(
        "other",
        vec![(
            "foreign".into(),
            "settled",
            json!({"model": "b", "key_hash": "k2"}),
        )],
    );
    world.flush(
        "acc",
        vec![(
            "late".into(),
            "expired",
            json!({"model": "b", "key_hash": "k2"}),
        )],
    );
    world.deliver();
    assert_eq!(world.batches("keys.public").concat().len(), 200);
    assert_eq!(world.batches("rules.public").concat().len(), 100);
    let half = world.batches("half.public").concat();
    let sessions: BTreeSet<String> = half
        .iter()
        .map(|id| id.get(2..4).unwrap().to_owned())
        .collect();
    assert_eq!(half.len(), 10 * sessions.len(), "sessions are whole");
    assert!((8..=32).contains(&sessions.len()), "{}", sessions.len());
    // A settlement that comes late moves its row to the end.
    world.flush(
        "acc",
        vec![(
            "late".into(),
            "settled",
            json!({"model": "b", "key_hash": "k2"}),
        )],
    );
    world.deliver();
    assert_eq!(world.batches("rules.public").last().unwrap(), &["late"]);
}

#[test]
fn privacy_keeps_contents_here_and_rules_may_still_look() {
    let world = World::new();
    let rules = json!({"groups": [{"rules": [{"field": "input", "operator": "contains", "value": "weather"}]}]});
    world.destination("open", |_| ());
    world.destination("closed", |new| {
        new.privacy_mode = true;
        new.filter_rules = Some(rules);
    });
    let ids = world.requests(2);
    let content = |text: &str| Content {
        input: Some(json!([{"role": "user", "content": text}])),
        output: Some(json!({"role": "assistant", "content": "Sunny."})),
    };
    world
        .0
        .contents
        .borrow_mut()
        .insert(ids[0].clone(), content("weather?"));
    world
        .0
        .contents
        .borrow_mut()
        .insert(ids[1].clone(), content("news?"));
    world.deliver();
    let bodies = |host: &str| -> String {
        let sent = world.0.sent.borrow();
        sent.iter()
            .filter(|request| request.url.contains(host))
            .map(|request| String::from_utf8(request.body.clone()).unwrap())
            .collect()
    };
    assert!(bodies("open.public").contains("weather?") && bodies("open.public").contains("Sunny."));
    assert_eq!(world.batches("closed.public"), [[ids[0].clone()]]);
    assert!(
        !bodies("closed.public").contains("weather") && !bodies("closed.public").contains("Sunny.")
    );
}

#[test]
fn a_destination_belongs_to_one_run_at_a_time() {
    let world = World::new();
    let id = world.destination("a", |_| ());
    world.requests(1);
    let other = block_on(store::claim(&world, "lease-1", NOW + LEASE_MS, NOW, &[]))
        .unwrap()
        .unwrap();
    assert_eq!(world.deliver().served, 0);
    assert!(world.batches("a.public").is_empty());
    // The other run never came back.
    world.later(LEASE_MS);
    assert_eq!(world.deliver().generations, 1);
    // Were it to come back now, it would change nothing.
    let progress = Progress {
        through: 0,
        dead: vec![Dead {
            generation: "x".into(),
            status: 1,
            reason: "r".into(),
            tries: 1,
        }],
        ..Progress::default()
    };
    block_on(store::keep(&world, &other, "lease-1", &progress, NOW)).unwrap();
    assert!(world.letters(&id).is_empty());
    assert_eq!(world.state(&id).delivered, 1);
}

#[test]
fn what_was_sent_but_not_noted_goes_again_under_the_same_ids() {
    let world = World::new();
    world.destination("a", |_| ());
    world.requests(3);
    world.0.left.set(Some(0));
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.deliver()));
    assert!(ran.is_err(), "the failure is reported");
    world.0.left.set(None);
    world.later(LEASE_MS);
    assert_eq!(world.deliver().generations, 3);
    let sent = world.0.sent.borrow();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].body, sent[1].body);
}

#[test]
fn contents_are_waited_for_but_only_where_they_are_told() {
    let world = World::new();
    world.destination("open", |_| ());
    world.destination("closed", |new| new.privacy_mode = true);
    let ids = world.requests(2);
    world.run(
        "UPDATE usage SET finished_at = ?2 WHERE id = ?1",
        &[ids[1].as_str().into(), NOW.into()],
    );
    world.deliver();
    assert_eq!(world.batches("closed.public").concat(), ids);
    assert_eq!(world.batches("open.public"), [[ids[0].clone()]]);
    world.later(CONTENT_MS);
    world.deliver();
    assert_eq!(world.batches("open.public")[1], [ids[1].clone()]);
}

#[test]
fn what_is_too_large_goes_in_parts() {
    let world = World::new();
    let id = world.destination("a", |_| ());
    let ids = world.requests(6);
    for (at, id) in ids.iter().enumerate() {
        let size = if at == 2 { 5_000_000 } else { 600_000 };
        let content = Content {
            input: Some("x".repeat(size).into()),
            output: None,
        };
        world.0.contents.borrow_mut().insert(id.clone(), content);
    }
    world.deliver();
    let limit = Kind::of("otel-collector").unwrap().max_bytes;
    assert!(
        world
            .0
            .sent
            .borrow()
            .iter()
            .all(|request| request.body.len() <= limit)
    );
    assert_eq!(
        world.batches("a.public").concat(),
        [&ids[..2], &ids[3..]].concat()
    );
    assert_eq!(
        world.letters(&id)[0].reason,
        "It is larger than the receiver takes in one request"
    );
}

#[test]
fn an_address_that_turned_private_is_not_sent_to() {
    let world = World::new();
    let id = world.destination("a", |_| ());
    world.run(
        "UPDATE destinations SET id = id WHERE id = ?1",
        &[id.as_str().into()],
    );
    let kind = Kind::of("otel-collector").unwrap();
    let mut moved = block_on(store::get(&world, "acc", &id)).unwrap().unwrap();
    let config = Config::read(
        kind,
        json!({"endpoint": "https://private.example.com/"})
            .as_object()
            .cloned()
            .unwrap(),
    )
    .unwrap();
    let ring = Keyring::read(MASTER, None).unwrap();
    moved.sealed = ring
        .seal(&[9; 32], &moved.binding(), &config.to_text())
        .unwrap();
    block_on(store::update(&world, &moved, false)).unwrap();
    world.requests(1);
    world.deliver();
    assert!(world.0.sent.borrow().is_empty());
    assert_eq!(
        world.letters(&id)[0].reason,
        "private.example.com resolves to an address that is not public"
    );
}

#[test]
fn a_test_tells_the_receivers_words() {
    let world = World::new();
    let id = world.destination("a", |_| ());
    let destination = block_on(store::get(&world, "acc", &id)).unwrap().unwrap();
    let config = store::open(&destination, &Keyring::read(MASTER, None).unwrap()).unwrap();
    for (does, ok, status, message) in [
        (Does::Answers(200, None, "fine"), true, 200, "fine"),
        (Does::Answers(400, None, "empty"), true, 400, "empty"),
        (
            Does::Answers(401, None, "not Bearer secret-of-the-account"),
            false,
            401,
            "Status 401: not [secret]",
        ),
        (
            Does::Answers(302, None, ""),
            false,
            302,
            "The receiver redirects, which is not followed (status 302)",
        ),
        (Does::Hangs, false, 0, "The receiver did not answer in time"),
        (Does::Breaks, false, 0, "The connection failed"),
    ] {
        world.receiver("a.public", &[does]);
        let tested = block_on(test(&world, &destination, &config)).unwrap();
        assert_eq!(
            (tested.ok, tested.status, tested.message.as_str()),
            (ok, status, message)
        );
    }
    assert_eq!(world.0.sent.borrow()[0].body, br#"{"resourceSpans":[]}"#);
}

#[test]
fn the_origin_of_an_address() {
    for (url, expected) in [
        ("https://a.example/b?c", "https://a.example"),
        ("https://a.example:1?c", "https://a.example:1"),
        ("https://a.example", "https://a.example"),
    ] {
        assert_eq!(origin(url), expected);
    }
    assert_ne!(Unsent::Late, Unsent::Broken);
}
