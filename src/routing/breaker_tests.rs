//! The breaker, the back-off and the memory of outages.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const START: u64 = 1_800_000_000_000;

fn endpoint(tag: &str) -> Endpoint {
    serde_json::from_value(serde_json::json!({
        "model": "m/m", "provider": "p", "tag": tag, "upstream_model_id": "m", "context_length": 1000,
        "prices": {"prompt": 1, "completion": 1}, "supported_parameters": [],
        "input_modalities": ["text"], "output_modalities": ["text"],
    }))
    .unwrap()
}

/// Health after these outcomes, a second apart, and the time of the last.
fn after(outcomes: impl IntoIterator<Item = Outcome>) -> (Breakers, Endpoint, u64) {
    let (health, endpoint) = (Breakers::default(), endpoint("a"));
    let mut now = START;
    for outcome in outcomes {
        now += 1_000;
        health.note(&endpoint, outcome, now, now);
    }
    (health, endpoint, now)
}

const LIMITED: Outcome = Outcome::RateLimited {
    retry_after_s: None,
};

#[test]
fn what_opens_the_breaker() {
    use Outcome::{Fault, Ok, Unknown};
    let half: Vec<_> = [Ok, Fault].repeat(5);
    let few: Vec<_> = [Ok, Fault].repeat(4);
    let mostly_good: Vec<_> = [Ok, Ok, Fault].repeat(5);
    let cases: [(&str, Vec<Outcome>, bool); 9] = [
        ("nothing", vec![], false),
        ("two faults", vec![Fault; 2], false),
        ("three faults in a row", vec![Fault; 3], true),
        (
            "a success between them",
            vec![Fault, Fault, Ok, Fault],
            false,
        ),
        (
            "what says nothing between them",
            vec![Fault, Unknown, Fault, LIMITED, Fault],
            true,
        ),
        ("half of ten", half, true),
        ("half of eight", few, false),
        ("a third of fifteen", mostly_good, false),
        (
            "429 and wrong requests",
            [LIMITED, Unknown].repeat(50),
            false,
        ),
    ];
    for (name, outcomes, opens) in cases {
        let (health, endpoint, now) = after(outcomes);
        let standing = health.state(&endpoint, now);
        assert_eq!(
            matches!(standing, State::Open { .. }),
            opens,
            "{name}: {standing:?}"
        );
    }
}

/// An endpoint after an outage whose pause is over, and that time.
fn on_trial() -> (Breakers, Endpoint, u64) {
    let (health, endpoint, now) = after([Outcome::Fault; 3]);
    let until_ms = now + FIRST_PAUSE_MS;
    assert_eq!(health.state(&endpoint, now), State::Open { until_ms });
    (health, endpoint, until_ms)
}

#[test]
fn one_request_finds_out_whether_an_outage_is_over() {
    let (health, endpoint, at) = on_trial();
    assert_eq!(health.state(&endpoint, at), State::Probing);
    health.begin(&endpoint, at);
    // The others stay away meanwhile, but not for ever.
    let until_ms = at + PROBE_MS;
    assert_eq!(
        health.state(&endpoint, at + 1),
        State::Open { until_ms },
        "the others stay away"
    );
    assert_eq!(health.state(&endpoint, until_ms), State::Probing);
}

#[test]
fn each_good_answer_lets_one_more_request_in_until_the_recovery_is_proven() {
    let (health, endpoint, at) = on_trial();
    let mut good = 0;
    while good < PROOF_OF_RECOVERY {
        assert!(health.had_outage(&endpoint, at));
        let room = good + 1;
        for _ in 0..room {
            assert_eq!(health.state(&endpoint, at), State::Probing, "{good} good");
            health.begin(&endpoint, at);
        }
        assert_ne!(health.state(&endpoint, at), State::Probing, "{good} good");
        for _ in 0..room.min(PROOF_OF_RECOVERY - good) {
            health.note(&endpoint, Outcome::Ok, at, at + 1);
            good += 1;
        }
    }
    assert_eq!(health.state(&endpoint, at + 2), State::Good);
    assert!(!health.had_outage(&endpoint, at + 2));
    // What opened it before does not open it again at the next fault.
    health.note(&endpoint, Outcome::Fault, at + 1, at + 3);
    assert_eq!(health.state(&endpoint, at + 3), State::Good);
}

#[test]
fn a_fault_on_trial_ends_it_however_many_answers_were_good() {
    for good in 0..PROOF_OF_RECOVERY {
        let (health, endpoint, at) = on_trial();
        for _ in 0..good {
            health.note(&endpoint, Outcome::Ok, at, at);
        }
        health.note(&endpoint, Outcome::Fault, at, at);
        let until_ms = at + PAUSE_GROWTH * FIRST_PAUSE_MS;
        assert_eq!(health.state(&endpoint, at), State::Open { until_ms });
        // The proof begins anew.
        health.note(&endpoint, Outcome::Ok, until_ms, until_ms);
        assert_eq!(health.state(&endpoint, until_ms), State::Probing);
    }
}

#[test]
fn answers_that_began_before_the_outage_do_not_prove_its_end() {
    let (health, endpoint, at) = on_trial();
    for _ in 0..100 {
        health.note(&endpoint, Outcome::Ok, START, at - 1);
    }
    assert_eq!(
        health.state(&endpoint, at - 1),
        State::Open { until_ms: at }
    );
    health.begin(&endpoint, at);
    for _ in 0..100 {
        health.note(&endpoint, Outcome::Ok, START, at);
        health.note(&endpoint, Outcome::Fault, START, at);
    }
    let until_ms = at + PROBE_MS;
    assert_eq!(health.state(&endpoint, at), State::Open { until_ms });
}

#[test]
fn each_probe_that_fails_makes_the_pause_longer_up_to_its_limit() {
    let (health, endpoint, mut now) = after([Outcome::Fault; 3]);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let State::Open { until_ms } = health.state(&endpoint, now) else {
            panic!("open")
        };
        pauses.push(until_ms - now);
        // What was under way when it opened does not count as a probe.
        health.note(&endpoint, Outcome::Fault, now, now + 1);
        health.begin(&endpoint, until_ms);
        now = until_ms + 100;
        health.note(&endpoint, Outcome::Fault, until_ms, now);
    }
    assert_eq!(
        pauses,
        [
            5_000, 20_000, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000
        ]
    );
}

#[test]
fn a_probe_without_a_verdict_leaves_its_place_to_the_next() {
    for outcome in [
        Outcome::Unknown,
        Outcome::RateLimited {
            retry_after_s: Some(0),
        },
    ] {
        let (health, endpoint, now) = after([Outcome::Fault; 3]);
        let at = now + FIRST_PAUSE_MS;
        health.begin(&endpoint, at);
        health.note(&endpoint, outcome, at, at + 5);
        assert_eq!(
            health.state(&endpoint, at + 5),
            State::Probing,
            "{outcome:?}"
        );
    }
}

#[test]
fn a_429_backs_off_for_as_long_as_it_says() {
    let (health, endpoint) = (Breakers::default(), endpoint("a"));
    let limited = |seconds| Outcome::RateLimited {
        retry_after_s: Some(seconds),
    };
    health.note(&endpoint, limited(7), START, START);
    let until_ms = START + 7_000;
    assert_eq!(
        health.state(&endpoint, until_ms - 1),
        State::BackingOff { until_ms }
    );
    assert_eq!(health.state(&endpoint, until_ms), State::Good);
    // A shorter word does not take back a longer one, and nobody sends us away for hours.
    health.note(&endpoint, limited(60), START, START);
    health.note(&endpoint, limited(1), START + 10, START + 10);
    assert_eq!(
        health.state(&endpoint, START + 20),
        State::BackingOff {
            until_ms: START + 60_000
        }
    );
    health.note(&endpoint, limited(u32::MAX), START, START);
    assert_eq!(
        health.state(&endpoint, START + MAX_RETRY_AFTER_MS),
        State::Good
    );
    assert!(!health.had_outage(&endpoint, START));
}

#[test]
fn a_429_that_says_nothing_backs_off_for_longer_each_time_it_comes_again() {
    let (health, endpoint) = (Breakers::default(), endpoint("a"));
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        // Several at once are one.
        health.note(&endpoint, LIMITED, now, now);
        health.note(&endpoint, LIMITED, now, now);
        let State::BackingOff { until_ms } = health.state(&endpoint, now) else {
            panic!("backs off")
        };
        pauses.push(until_ms - now);
        now = until_ms;
    }
    assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    health.note(&endpoint, Outcome::Ok, now, now);
    health.note(&endpoint, LIMITED, now, now);
    assert_eq!(
        health.state(&endpoint, now),
        State::BackingOff {
            until_ms: now + FIRST_BACK_OFF_MS
        }
    );
}

#[test]
fn an_outage_is_more_than_one_fault_and_passes_with_the_window() {
    use Outcome::{Fault, Ok};
    for (outcomes, outage) in [
        (vec![Fault], false),
        (vec![Fault, Ok, Fault], true),
        (vec![Ok, Ok, Ok, Ok, Ok, Ok, Ok, Fault, Fault], false),
    ] {
        let (health, endpoint, now) = after(outcomes.clone());
        assert_eq!(health.had_outage(&endpoint, now), outage, "{outcomes:?}");
        assert!(!health.had_outage(&endpoint, now + WINDOW_MS));
    }
}

#[test]
fn endpoints_do_not_share_their_health_and_the_memory_is_bounded() {
    let health = Breakers::default();
    for number in 0..CAPACITY as u64 + 100 {
        health.note(
            &endpoint(&number.to_string()),
            Outcome::Fault,
            START + number,
            START + number,
        );
    }
    assert_eq!(health.records.borrow().len(), CAPACITY);
    let kept: HashSet<String> = health.records.borrow().keys().cloned().collect();
    assert!(!kept.contains("m/m|99") && kept.contains("m/m|100"));
    health.note(&endpoint("bad"), Outcome::Fault, START, START);
    assert_eq!(health.state(&endpoint("good"), START), State::Good);
}

#[test]
fn the_planner_sees_a_rest_and_then_few_requests_on_trial() {
    let (health, endpoint, now) = after([Outcome::Fault; 3]);
    let standing = |now| Health::standing(&health, &endpoint, now);
    assert_eq!(standing(now), Standing::Resting);
    let at = now + FIRST_PAUSE_MS;
    assert_eq!(standing(at), Standing::Trial);
    health.begin(&endpoint, at);
    assert_eq!(standing(at), Standing::Resting);
    health.note(&endpoint, Outcome::Ok, at, at);
    assert_eq!(standing(at), Standing::Trial);
    health.begin(&endpoint, at);
    health.begin(&endpoint, at);
    assert_eq!(standing(at), Standing::Shaky);
    for _ in 1..PROOF_OF_RECOVERY {
        health.note(&endpoint, Outcome::Ok, at, at);
    }
    assert_eq!(standing(at), Standing::Steady);
    health.note(&endpoint, LIMITED, at, at);
    assert_eq!(standing(at), Standing::Resting);
}

/// What may happen to an endpoint, and how many milliseconds later.
fn happening() -> impl Strategy<Value = (u64, Option<Outcome>)> {
    let outcome = prop_oneof![
        3 => Just(Some(Outcome::Fault)),
        2 => Just(Some(Outcome::Ok)),
        1 => Just(Some(Outcome::Unknown)),
        1 => any::<Option<u32>>().prop_map(|retry_after_s| Some(Outcome::RateLimited { retry_after_s })),
        2 => Just(None),
    ];
    (0..20_000u64, outcome)
}

proptest! {
    #[test]
    fn a_breaker_lets_a_probe_through_in_the_end_and_a_row_of_good_answers_closes_it(history in prop::collection::vec(happening(), 0..80)) {
        let (health, endpoint) = (Breakers::default(), endpoint("a"));
        let mut now = START;
        let mut failing = false;
        for (pause, what) in history {
            now += pause;
            match what {
                Some(outcome) => health.note(&endpoint, outcome, now, now),
                None => health.begin(&endpoint, now),
            }
            failing |= what == Some(Outcome::Fault);
            match health.state(&endpoint, now) {
                State::Open { until_ms } => {
                    prop_assert!(failing, "only faults open it");
                    prop_assert!(until_ms > now && until_ms <= now + MAX_PAUSE_MS);
                }
                State::BackingOff { until_ms } => {
                    prop_assert!(until_ms > now && until_ms <= now + MAX_RETRY_AFTER_MS);
                }
                State::Probing | State::Recovering => prop_assert!(failing),
                State::Good => {}
            }
            let later = now + MAX_PAUSE_MS.max(MAX_RETRY_AFTER_MS);
            prop_assert!(matches!(health.state(&endpoint, later), State::Good | State::Probing));
        }
        for _ in 0..PROOF_OF_RECOVERY {
            health.note(&endpoint, Outcome::Ok, now, now);
        }
        let closed = !matches!(health.state(&endpoint, now), State::Open { .. } | State::Probing | State::Recovering);
        prop_assert!(closed);
    }
}
