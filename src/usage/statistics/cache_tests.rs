//! An isolate's own view beside the snapshot.

use futures::executor::block_on;

use super::*;
use crate::error::{Error, Result};

const NOW: u64 = 1_800_000_000_000;

struct Kv(Result<Option<String>>);

impl SnapshotStore for Kv {
    async fn snapshot(&self) -> Result<Option<String>> {
        self.0.clone()
    }

    async fn keep_snapshot(&self, _text: &str) -> Result<()> {
        Err(Error::internal("an isolate only reads"))
    }

    fn warn(&self, _message: &str) {}
}

fn kv(snapshot: &Statistics) -> Kv {
    Kv(Ok(Some(serde_json::to_string(snapshot).unwrap())))
}

/// A snapshot in which `m|a` has so many attempts in every window.
fn snapshot(gathered_at: u64, attempts: u64) -> Statistics {
    let window = Window {
        attempts,
        first_token_ms: Some(crate::routing::statistics::Percentiles {
            p50: 500.0,
            ..Default::default()
        }),
        ..Window::default()
    };
    let figures = EndpointStatistics {
        five_minutes: window.clone(),
        half_hour: window.clone(),
        day: window,
    };
    Statistics {
        gathered_at,
        endpoints: [("m|a".to_owned(), figures)].into(),
    }
}

fn attempt(verdict: Verdict, at: u64) -> Measured {
    Measured {
        ended_at: at as i64,
        verdict,
        first_token_ms: Some(10),
        ..Measured::default()
    }
}

/// Attempts at `m|a` in the three windows.
fn attempts(cache: &StatisticsCache) -> [u64; 3] {
    let figures = cache
        .current()
        .endpoints
        .get("m|a")
        .cloned()
        .unwrap_or_default();
    [figures.five_minutes, figures.half_hour, figures.day].map(|window| window.attempts)
}

#[test]
fn an_isolate_works_without_any_snapshot() {
    for store in [
        Kv(Ok(None)),
        Kv(Err(Error::internal("out"))),
        Kv(Ok(Some("{".into()))),
    ] {
        let cache = StatisticsCache::default();
        assert_eq!(cache.freshness(NOW, MAX_AGE_MS), Freshness::Cold);
        block_on(cache.refresh(&store, NOW));
        assert_eq!(
            cache.freshness(NOW + MAX_AGE_MS - 1, MAX_AGE_MS),
            Freshness::Fresh
        );
        assert_eq!(
            cache.freshness(NOW + MAX_AGE_MS, MAX_AGE_MS),
            Freshness::Stale
        );
        assert!(cache.current().endpoints.is_empty());
        cache.note("m|a", &attempt(Verdict::Ok, NOW));
        cache.note("m|a", &attempt(Verdict::Unknown, NOW));
        assert_eq!(attempts(&cache), [1, 1, 1]);
    }
}

#[test]
fn what_the_isolate_saw_itself_counts_until_it_is_in_the_snapshot() {
    let cache = StatisticsCache::default();
    block_on(cache.refresh(&kv(&snapshot(NOW, 100)), NOW));
    cache.note("m|a", &attempt(Verdict::Fault, NOW + 10));
    cache.note("m|a", &attempt(Verdict::Ok, NOW + 40_000));
    assert_eq!(attempts(&cache), [102; 3]);
    assert_eq!(cache.current().endpoints["m|a"].five_minutes.failed, 1);
    // The same snapshot again, and one that is older, change nothing.
    block_on(cache.refresh(&kv(&snapshot(NOW, 100)), NOW + 50_000));
    block_on(cache.refresh(&kv(&snapshot(NOW - 60_000, 7)), NOW + 50_000));
    block_on(cache.refresh(&Kv(Err(Error::internal("out"))), NOW + 50_000));
    assert_eq!(attempts(&cache), [102; 3]);
    block_on(cache.refresh(&kv(&snapshot(NOW + 30_000, 110)), NOW + 60_000));
    assert_eq!(attempts(&cache), [111; 3]);
}

#[test]
fn a_fault_after_a_snapshot_that_ends_in_an_outage_belongs_to_it() {
    let told = |outage_failed, good_since_outage| {
        let mut before = snapshot(NOW, 100);
        let window = &mut before.endpoints.get_mut("m|a").unwrap().five_minutes;
        (window.failed, window.outage_failed) = (10, outage_failed);
        window.good_since_outage = good_since_outage;
        let cache = StatisticsCache::default();
        block_on(cache.refresh(&kv(&before), NOW));
        cache.note("m|a", &attempt(Verdict::Fault, NOW + 10));
        cache.note("m|a", &attempt(Verdict::Ok, NOW + 40_000));
        let window = cache.current().endpoints["m|a"].five_minutes.clone();
        (window.outage_failed, window.good_since_outage)
    };
    assert_eq!(told(8, 0), (9, 1));
    // It was over, or there was none: a stray fault.
    assert_eq!(told(8, 5), (8, 6));
    assert_eq!(told(0, 90), (0, 91));
}

#[test]
fn the_snapshots_percentiles_stand_until_the_isolate_has_seen_as_much() {
    let cache = StatisticsCache::default();
    block_on(cache.refresh(&kv(&snapshot(NOW, 3)), NOW));
    let p50 = |cache: &StatisticsCache| {
        let figures = &cache.current().endpoints["m|a"];
        figures.five_minutes.first_token_ms.unwrap().p50
    };
    for (seen, expected) in [(1, 500.0), (2, 500.0), (3, 10.0)] {
        cache.note("m|a", &attempt(Verdict::Ok, NOW + seen));
        assert_eq!(p50(&cache), expected, "after {seen}");
    }
}

#[test]
fn an_old_snapshot_loses_its_short_windows() {
    let minute = 60_000;
    for (age, expected) in [
        (4 * minute, [9, 9, 9]),
        (5 * minute, [0, 9, 9]),
        (30 * minute, [0, 0, 9]),
        (24 * 60 * minute, [0, 0, 0]),
    ] {
        let cache = StatisticsCache::default();
        block_on(cache.refresh(&kv(&snapshot(NOW, 9)), NOW + age));
        assert_eq!(attempts(&cache), expected, "{age} ms old");
    }
}

#[test]
fn an_isolate_forgets_its_own_attempts_where_no_snapshot_comes() {
    let cache = StatisticsCache::default();
    for n in 0..OWN_CAPACITY as u64 + 100 {
        cache.note("m|a", &attempt(Verdict::Ok, NOW + n));
    }
    assert_eq!(cache.0.borrow().own.len(), OWN_CAPACITY);
    block_on(cache.refresh(&Kv(Ok(None)), NOW + OWN_AGE_MS / 2));
    assert_eq!(attempts(&cache), [OWN_CAPACITY as u64; 3]);
    block_on(cache.refresh(&Kv(Ok(None)), NOW + 2 * OWN_AGE_MS));
    assert_eq!(attempts(&cache), [0; 3]);
}

#[test]
fn a_plan_that_is_being_made_keeps_what_it_reads() {
    let cache = StatisticsCache::default();
    block_on(cache.refresh(&kv(&snapshot(NOW, 5)), NOW));
    let held = cache.current();
    cache.note("m|a", &attempt(Verdict::Ok, NOW + 1));
    assert_eq!(held.endpoints["m|a"].day.attempts, 5);
    assert_eq!(attempts(&cache), [6; 3]);
}
