//! Orders of candidates.

use std::rc::Rc;

use super::*;
use crate::{tools::beliefs::record::Record, usage::observed::Observed};

const NOW: u64 = 1_800_000_000_000;

/// Successes, faults and latency of each operation.
fn view(of: &[(&str, usize, usize, u64)]) -> View {
    let mut view = View::default();
    for (tool, good, bad, latency) in of {
        let record: &mut Record = Rc::make_mut(&mut view.shared)
            .records
            .entry((*tool).to_owned())
            .or_default();
        let every = if *bad == 0 {
            usize::MAX
        } else {
            (good + bad) / bad
        };
        for n in 1..=(good + bad) {
            let observed = if n % every == 0 {
                Observed::failed(tool, "search", 0, *latency, "unavailable", false)
            } else {
                Observed::succeeded(tool, "search", 0, *latency, 0)
            };
            record.observe(&observed, true, Beta::new(9.0, 1.0));
        }
    }
    view
}

fn candidate(tool: &str) -> Candidate<'_> {
    Candidate {
        tool,
        provider: tool.split_once('/').unwrap().0,
        category: "search",
        price: Nanos::ZERO,
        standing: Standing::Steady,
    }
}

fn occasion(seed: &str, effect: Effect) -> Occasion<'_> {
    Occasion {
        seed,
        effect,
        now_ms: NOW,
    }
}

fn first(
    candidates: &[Candidate<'_>],
    view: &View,
    effect: Effect,
    wish: &Wish<'_>,
    seed: &str,
) -> String {
    order(candidates, view, occasion(seed, effect), wish).order[0]
        .tool
        .clone()
}

/// How often each of two comes first in 300 reads.
fn share(candidates: &[Candidate<'_>], view: &View, tool: &str) -> usize {
    let seeds = (0..300).map(|n| format!("exec-{n}"));
    seeds
        .filter(|seed| first(candidates, view, Effect::Read, &Wish::default(), seed) == tool)
        .count()
}

#[test]
fn the_same_execution_draws_the_same_order_and_writes_never_draw() {
    let view = view(&[("a/s", 8, 1, 300), ("b/s", 3, 0, 300)]);
    let candidates = [candidate("a/s"), candidate("b/s")];
    for n in 0..50 {
        let seed = format!("exec-{n}");
        let again = first(&candidates, &view, Effect::Read, &Wish::default(), &seed);
        assert_eq!(
            first(&candidates, &view, Effect::Read, &Wish::default(), &seed),
            again
        );
        // Nor does the order of the rows matter.
        let turned = [candidate("b/s"), candidate("a/s")];
        assert_eq!(
            first(&turned, &view, Effect::Read, &Wish::default(), &seed),
            again
        );
    }
    let writes: std::collections::BTreeSet<String> = (0..50)
        .map(|n| {
            first(
                &candidates,
                &view,
                Effect::Write,
                &Wish::default(),
                &n.to_string(),
            )
        })
        .collect();
    assert_eq!(writes.len(), 1);
}

#[test]
fn reads_try_what_is_little_known_and_writes_go_where_least_can_go_wrong() {
    // b may be better than a, but little is known of it.
    let view = view(&[("a/s", 460, 40, 300), ("b/s", 4, 0, 300)]);
    let candidates = [candidate("a/s"), candidate("b/s")];
    let tried = share(&candidates, &view, "b/s");
    assert!((60..300).contains(&tried), "{tried}");
    assert_eq!(
        first(&candidates, &view, Effect::Write, &Wish::default(), "x"),
        "a/s"
    );
}

#[test]
fn a_fast_provider_that_fails_does_not_win() {
    let view = view(&[("good/s", 300, 3, 900), ("fast/s", 150, 150, 50)]);
    let candidates = [candidate("good/s"), candidate("fast/s")];
    assert_eq!(share(&candidates, &view, "good/s"), 300);
}

#[test]
fn among_equally_good_ones_the_faster_and_the_cheaper_are_asked() {
    let fast = view(&[("slow/s", 300, 3, 9_000), ("fast/s", 300, 3, 300)]);
    assert!(share(&[candidate("slow/s"), candidate("fast/s")], &fast, "fast/s") > 290);
    let equal = view(&[("dear/s", 300, 3, 300), ("cheap/s", 300, 3, 300)]);
    let dear = Candidate {
        price: Nanos::new(20_000_000).unwrap(),
        ..candidate("dear/s")
    };
    assert!(share(&[dear, candidate("cheap/s")], &equal, "cheap/s") > 290);
}

#[test]
fn the_callers_wishes_come_before_beliefs() {
    let view = view(&[("a/s", 300, 3, 300), ("b/s", 100, 50, 9_000)]);
    let dear = Candidate {
        price: Nanos::new(9).unwrap(),
        ..candidate("a/s")
    };
    let candidates = [dear, candidate("b/s")];
    let prefer = ["b".to_owned()];
    let wish = Wish {
        prefer: &prefer,
        ..Wish::default()
    };
    assert_eq!(first(&candidates, &view, Effect::Read, &wish, "x"), "b/s");
    let cheap = Wish {
        max_price: Nanos::new(8).ok(),
        ..Wish::default()
    };
    let choice = order(&candidates, &view, occasion("x", Effect::Read), &cheap);
    assert_eq!(choice.left_out, [("a/s".to_owned(), "max_price")]);
    assert_eq!(choice.order.len(), 1);
    let told = choice.explain();
    assert_eq!(told["rule"], "thompson_sampling");
    assert_eq!(told["candidates"][0]["tool"], "b/s");
    // What is known to be slower than wished is left out, however good.
    let quick = Wish {
        max_latency_ms: Some(200),
        ..Wish::default()
    };
    let candidates = [candidate("a/s"), candidate("unseen/s")];
    let choice = order(&candidates, &view, occasion("x", Effect::Read), &quick);
    assert_eq!(choice.left_out, [("a/s".to_owned(), "max_latency_ms")]);
    assert_eq!(choice.order[0].tool, "unseen/s");
}

#[test]
fn what_rests_comes_last_and_nobodys_mail_is_a_probe() {
    let mut view = view(&[("a/s", 300, 0, 300), ("b/s", 100, 10, 300)]);
    let resting = Candidate {
        standing: Standing::Resting,
        ..candidate("a/s")
    };
    let trial = Candidate {
        standing: Standing::Trial,
        ..candidate("a/s")
    };
    let other = candidate("b/s");
    assert_eq!(
        first(
            &[resting, other],
            &view,
            Effect::Read,
            &Wish::default(),
            "x"
        ),
        "b/s"
    );
    assert_eq!(
        first(&[trial, other], &view, Effect::Read, &Wish::default(), "x"),
        "a/s"
    );
    assert_eq!(
        first(&[trial, other], &view, Effect::Write, &Wish::default(), "x"),
        "b/s"
    );
    // An outage that other isolates saw.
    let record = Rc::make_mut(&mut view.shared)
        .records
        .get_mut("a/s")
        .unwrap();
    for n in 0..4 {
        let at = i64::try_from(NOW).unwrap() - 4 + n;
        record.observe(
            &Observed::failed("a/s", "search", at, 300, "unavailable", false),
            true,
            Beta::new(9.0, 1.0),
        );
    }
    let choice = order(
        &[candidate("a/s"), other],
        &view,
        occasion("x", Effect::Read),
        &Wish::default(),
    );
    assert_eq!(
        (choice.order[1].tool.as_str(), choice.order[1].because),
        ("a/s", Some("outage"))
    );
}

#[test]
fn an_account_goes_by_what_it_saw_itself_more_and_more() {
    let mut view = view(&[("a/s", 800, 8, 300), ("b/s", 700, 70, 300)]);
    let own = Rc::make_mut(&mut view.own);
    let record = own.entry("a/s".to_owned()).or_default();
    // For this account a fails a third of the time; for nobody else.
    for n in 0..150 {
        let observed = if n % 3 == 0 {
            Observed::failed("a/s", "search", n, 300, "unavailable", false)
        } else {
            Observed::succeeded("a/s", "search", n, 300, 0)
        };
        record.observe(&observed, true, Beta::new(9.0, 1.0));
    }
    assert_eq!(
        first(
            &[candidate("a/s"), candidate("b/s")],
            &view,
            Effect::Write,
            &Wish::default(),
            "x"
        ),
        "b/s"
    );
    let others = View {
        own: Rc::default(),
        ..view
    };
    assert_eq!(
        first(
            &[candidate("a/s"), candidate("b/s")],
            &others,
            Effect::Write,
            &Wish::default(),
            "x"
        ),
        "a/s"
    );
}

/// What an account saw itself of an operation.
fn saw(view: &mut View, tool: &str, times: i64, since: i64, is_good: &dyn Fn(i64) -> bool) {
    let prior = view.shared.prior("search");
    let own = Rc::make_mut(&mut view.own);
    let record = own.entry(tool.to_owned()).or_default();
    for n in 0..times {
        let observed = if is_good(n) {
            Observed::succeeded(tool, "search", since + n, 300, 0)
        } else {
            Observed::failed(tool, "search", since + n, 300, "unavailable", false)
        };
        record.observe(&observed, true, prior);
    }
}

#[test]
fn an_outage_that_only_the_account_sees_counts_for_it_however_much_others_know() {
    let mut view = view(&[("a/s", 5_000, 10, 300), ("b/s", 300, 30, 300)]);
    let now = i64::try_from(NOW).unwrap();
    saw(&mut view, "a/s", 40, now - 1_000, &|n| n < 36);
    let candidates = [candidate("a/s"), candidate("b/s")];
    let choice = order(
        &candidates,
        &view,
        occasion("x", Effect::Read),
        &Wish::default(),
    );
    assert_eq!(
        (choice.order[1].tool.as_str(), choice.order[1].because),
        ("a/s", Some("outage"))
    );
}

#[test]
fn after_a_change_that_the_account_saw_what_others_knew_before_does_not_come_back() {
    let mut view = view(&[("a/s", 300, 3, 300)]);
    saw(&mut view, "a/s", 400, 0, &|_| true);
    let before = view.success("a/s", "search").mean();
    // From then on it fails half the time.
    saw(&mut view, "a/s", 30, 400, &|n| n % 2 == 0);
    let after = view.success("a/s", "search").mean();
    assert!(before > 0.98 && after < 0.8, "{before} {after}");
}
