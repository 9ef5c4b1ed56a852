//! What observations do to a record.

use proptest::prelude::*;

use super::*;

fn prior() -> Beta {
    Beta::new(9.0, 1.0)
}

fn seen(good: bool, at: i64) -> Observed {
    if good {
        Observed::succeeded("a/b", "search", at, 300, 0)
    } else {
        Observed::failed("a/b", "search", at, 300, "unavailable", false)
    }
}

fn of(pattern: &[(bool, usize)]) -> Record {
    let mut record = Record::default();
    let all = pattern.iter().flat_map(|(good, times)| vec![*good; *times]);
    for (n, good) in all.enumerate() {
        record.observe(&seen(good, n as i64 * 1_000), true, prior());
    }
    record
}

fn mean(record: &Record) -> f64 {
    record.posterior(prior()).mean()
}

#[test]
fn a_belief_starts_at_the_prior_and_follows_what_is_seen() {
    assert!((mean(&Record::default()) - 0.9).abs() < 1e-9);
    assert!(mean(&of(&[(true, 50)])) > 0.97);
    let mixed: Vec<(bool, usize)> = [(true, 1), (false, 1)].repeat(40);
    assert!(
        (mean(&of(&mixed)) - 0.5).abs() < 0.1,
        "{}",
        mean(&of(&mixed))
    );
}

#[test]
fn an_outage_rests_longer_with_each_fault_and_is_forgotten_once_it_is_over() {
    let before = of(&[(true, 300)]);
    let out = of(&[(true, 300), (false, 3)]);
    let last = 302_000;
    assert_eq!(out.rests_until(), Some(last + FIRST_REST_MS));
    // What is believed of its calm days stays.
    assert!(mean(&out) > 0.97, "{}", mean(&out));
    let longer = of(&[(true, 300), (false, 4)]);
    assert_eq!(longer.rests_until(), Some(last + 1_000 + 4 * FIRST_REST_MS));
    let longest = of(&[(true, 300), (false, 40)]);
    assert_eq!(longest.rests_until(), Some(339_000 + LONGEST_REST_MS));
    let over = of(&[(true, 300), (false, 5), (true, PROOF_OF_RECOVERY as usize)]);
    assert_eq!(over.rests_until(), None);
    assert!((mean(&over) - mean(&before)).abs() < 0.005);
}

#[test]
fn an_outage_that_comes_back_as_something_else_counts_after_all() {
    let back = of(&[(true, 300), (false, 5), (true, 4), (false, 1)]);
    assert_eq!(back.rests_until(), None);
    assert!(back.counts().1 > 5.9, "{:?}", back.counts());
}

#[test]
fn faults_in_a_row_of_what_often_fails_are_no_outage() {
    let often: Vec<(bool, usize)> = [(true, 2), (false, 2)].repeat(20);
    let record = of(&[often, vec![(true, 1), (false, 3)]].concat());
    assert_eq!(record.rests_until(), None);
}

#[test]
fn a_rate_that_has_changed_is_learned_from_what_came_after() {
    let worse: Vec<(bool, usize)> = [(true, 3), (false, 2)].repeat(12);
    let record = of(&[vec![(true, 600)], worse].concat());
    let (good, bad) = record.counts();
    assert!(good + bad < 100.0, "{good} {bad}");
    assert!((mean(&record) - 0.6).abs() < 0.15, "{}", mean(&record));
}

#[test]
fn what_says_nothing_of_the_provider_changes_no_belief() {
    let mut record = of(&[(true, 20)]);
    let before = record.counts();
    for class in ["invalid", "permission", "not_found", "refused"] {
        record.observe(
            &Observed::failed("a/b", "search", 1, 9, class, false),
            true,
            prior(),
        );
    }
    record.observe(
        &Observed::failed("a/b", "search", 1, 9, "auth", true),
        true,
        prior(),
    );
    record.observe(&seen(false, 1), false, prior());
    assert_eq!(record.counts(), before);
    assert_eq!((record.totals.neither, record.totals.beyond_share), (5, 1));
    assert_eq!(record.classes.get("invalid"), Some(&1));
}

#[test]
fn time_outs_stand_in_the_latency_as_at_least_what_was_waited() {
    let mut record = Record::default();
    for n in 0..80 {
        record.observe(
            &Observed::succeeded("a/b", "search", n, 100, 0),
            true,
            prior(),
        );
    }
    for n in 0..20 {
        record.observe(
            &Observed::failed("a/b", "search", n, 30_000, "timeout", false),
            true,
            prior(),
        );
    }
    let (half, most) = (record.latency(50).unwrap(), record.latency(90).unwrap());
    assert!(!half.at_least && (half.ms - 100.0).abs() < 4.0, "{half:?}");
    assert!(
        most.at_least && (most.ms - 30_000.0).abs() < 1_000.0,
        "{most:?}"
    );
    assert_eq!(Record::default().latency(50), None);
}

#[test]
fn a_vote_takes_the_place_of_what_the_provider_said() {
    for (before, good, change) in [
        (Verdict::Ok, true, (0.0, 0.0)),
        (Verdict::Ok, false, (-1.0, 1.0)),
        (Verdict::Fault, true, (1.0, -1.0)),
        (Verdict::Fault, false, (0.0, 0.0)),
        (Verdict::Unknown, true, (1.0, 0.0)),
    ] {
        let mut record = of(&[(true, 5), (false, 1)]);
        let (was_good, was_bad) = record.counts();
        record.report(good, before, prior());
        let (is_good, is_bad) = record.counts();
        let near = |a: f64, b: f64| (a - b).abs() < 0.02;
        assert!(
            near(is_good - was_good, change.0) && near(is_bad - was_bad, change.1),
            "{before:?} {good}"
        );
    }
}

proptest! {
    #[test]
    fn any_history_keeps_sane_counts_and_survives_its_json(history in prop::collection::vec((any::<bool>(), 0..100_000_i64), 0..300)) {
        let mut record = Record::default();
        for (good, at) in history {
            record.observe(&seen(good, at), true, prior());
            let (good, bad) = record.counts();
            prop_assert!(good >= 0.0 && bad >= 0.0 && good + bad <= 1.0 / (1.0 - DECAY) + 400.0);
            prop_assert!(record.rests_until().is_none_or(|until| until <= at + LONGEST_REST_MS || until <= 100_000 + LONGEST_REST_MS));
        }
        let text = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.totals, record.totals);
        prop_assert!((read.counts().0 - record.counts().0).abs() < 1e-9);
    }
}
