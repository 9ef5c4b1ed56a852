//! The orders that a client names (`provider.sort` and the suffixes that mean it), and its soft cutoffs.
//!
//! Both read the five-minute window; an order falls back to the longer ones where that is empty. What was not measured sorts
//! last and fails no cutoff. Out of scope: the order of those who name none (`order`).

use super::{
    health::Standing,
    order::Candidate,
    preferences::{Cutoffs, ProviderPreferences, SortBy},
    statistics::{EndpointStatistics, Percentiles, Window},
};

/// The candidates' indices, cheapest, fastest or soonest first. Endpoints at rest come last; equals are ordered by cost, then
/// by tag.
pub(super) fn sorted(eligible: &[Candidate<'_>], by: SortBy) -> Vec<usize> {
    let mut keyed: Vec<(bool, f64, i64, &str, &str, usize)> = eligible
        .iter()
        .enumerate()
        .map(|(at, candidate)| {
            let endpoint = &candidate.route.endpoint;
            let resting = candidate.standing == Standing::Resting;
            let figure = figure(candidate, by);
            (
                resting,
                figure,
                candidate.cost,
                endpoint.tag.as_str(),
                endpoint.model.as_str(),
                at,
            )
        })
        .collect();
    keyed.sort_by(|a, b| {
        let figures = a.1.total_cmp(&b.1);
        let rest = (a.2, a.3, a.4, a.5).cmp(&(b.2, b.3, b.4, b.5));
        a.0.cmp(&b.0).then(figures).then(rest)
    });
    keyed.into_iter().map(|item| item.5).collect()
}

/// What is sorted by, least first.
fn figure(candidate: &Candidate<'_>, by: SortBy) -> f64 {
    let median = |of: fn(&Window) -> Option<Percentiles>| {
        let measured = candidate.statistics.and_then(|seen| latest(seen, of));
        measured.map(|figures| f64::from(figures.p50))
    };
    match by {
        SortBy::Price | SortBy::Exacto => 0.0,
        SortBy::Throughput => median(|w| w.tokens_per_second).map_or(f64::INFINITY, |speed| -speed),
        SortBy::Latency => median(|w| w.first_token_ms).unwrap_or(f64::INFINITY),
    }
}

/// The figures of the shortest window that has them.
pub(super) fn latest(
    seen: &EndpointStatistics,
    of: fn(&Window) -> Option<Percentiles>,
) -> Option<Percentiles> {
    let windows = [&seen.five_minutes, &seen.half_hour, &seen.day];
    windows.into_iter().find_map(of)
}

/// Which of the client's cutoffs the endpoint misses; `None` where it misses none.
pub(super) fn missed(
    seen: Option<&EndpointStatistics>,
    preferences: &ProviderPreferences,
) -> Option<&'static str> {
    let window = &seen?.five_minutes;
    let is_missed =
        |wanted: &Option<Cutoffs>, measured: Option<Percentiles>, too: fn(f64, f64) -> bool| {
            let (Some(wanted), Some(measured)) = (wanted, measured) else {
                return false;
            };
            [
                (wanted.p50, measured.p50),
                (wanted.p75, measured.p75),
                (wanted.p90, measured.p90),
                (wanted.p99, measured.p99),
            ]
            .into_iter()
            .any(|(cutoff, figure)| cutoff.is_some_and(|cutoff| too(f64::from(figure), cutoff)))
        };
    let slow = &preferences.preferred_min_throughput;
    let late = &preferences.preferred_max_latency;
    if is_missed(slow, window.tokens_per_second, |speed, least| speed < least) {
        Some("preferred_min_throughput")
    } else if is_missed(late, window.first_token_ms, |ms, most| ms > most * 1_000.0) {
        Some("preferred_max_latency")
    } else {
        None
    }
}
