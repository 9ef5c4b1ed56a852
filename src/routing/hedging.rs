//! After how long a silent endpoint is no longer waited for alone (`provider.hedge`).
//!
//! A stream is hedged when its first content is later than nineteen in twenty of the model's at this endpoint; an answer in one piece when it takes
//! longer than that plus twice the time that a usual answer takes to write. Out of scope: running two attempts (`relay`).

use super::{preferences::Hedge, statistics::EndpointStatistics};

/// A stream's wait where nothing is known of the endpoint, in milliseconds.
pub const UNKNOWN_STREAM_MS: u64 = 3_000;
/// The wait for an answer in one piece where nothing is known of the endpoint, in milliseconds.
pub const UNKNOWN_WHOLE_MS: u64 = 20_000;
/// The least wait: below it every request would be sent twice, in milliseconds.
pub const LEAST_MS: u64 = 100;
/// The longest wait, in milliseconds.
pub const MOST_MS: u64 = 60_000;

/// The wait before a second endpoint is called, in milliseconds; the newest window with data counts.
pub fn after_ms(hedge: Hedge, stream: bool, first: Option<&EndpointStatistics>) -> u64 {
    let usual = || {
        let first = first?;
        let windows = [&first.five_minutes, &first.half_hour, &first.day];
        let known = |window: &&crate::routing::statistics::Window| window.first_token_ms.is_some();
        let window = windows.into_iter().find(known)?;
        let begins = f64::from(window.first_token_ms?.p95);
        if stream {
            return Some(begins);
        }
        let speed = f64::from(window.tokens_per_second?.p50);
        let answers = window
            .attempts
            .checked_sub(window.failed)
            .filter(|n| *n > 0)?;
        let usual_length = window.completion_tokens.checked_div(answers)?;
        let usual_length = f64::from(u32::try_from(usual_length).unwrap_or(u32::MAX));
        (speed > 0.0).then(|| begins + 2_000.0 * usual_length / speed)
    };
    let ms = match hedge {
        Hedge::After(ms) => ms,
        Hedge::Usual => usual().map_or(
            if stream {
                UNKNOWN_STREAM_MS
            } else {
                UNKNOWN_WHOLE_MS
            },
            whole,
        ),
    };
    ms.clamp(LEAST_MS, MOST_MS)
}

/// Whole milliseconds of a measured time.
fn whole(ms: f64) -> u64 {
    std::time::Duration::try_from_secs_f64(ms / 1_000.0)
        .ok()
        .and_then(|time| u64::try_from(time.as_millis()).ok())
        .unwrap_or(MOST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::statistics::{Percentiles, Window};

    fn known(p95: f32, speed: f32, tokens: u64) -> EndpointStatistics {
        let points = |value| Percentiles {
            p50: value,
            p95: value,
            ..Percentiles::default()
        };
        EndpointStatistics {
            half_hour: Window {
                attempts: 12,
                failed: 2,
                completion_tokens: 10 * tokens,
                first_token_ms: Some(points(p95)),
                tokens_per_second: Some(points(speed)),
                ..Window::default()
            },
            ..EndpointStatistics::default()
        }
    }

    #[test]
    fn the_wait_follows_the_endpoint() {
        let usual = Hedge::Usual;
        let statistics = known(800.0, 100.0, 500);
        assert_eq!(after_ms(usual, true, Some(&statistics)), 800);
        // 500 tokens take 5 seconds, twice that on top of the first token.
        assert_eq!(after_ms(usual, false, Some(&statistics)), 10_800);
        assert_eq!(after_ms(usual, true, None), UNKNOWN_STREAM_MS);
        assert_eq!(
            after_ms(usual, false, Some(&known(800.0, 0.0, 500))),
            UNKNOWN_WHOLE_MS
        );
        assert_eq!(after_ms(usual, true, Some(&known(3.0, 1.0, 1))), LEAST_MS);
        assert_eq!(
            after_ms(usual, true, Some(&known(f32::MAX, 1.0, 1))),
            MOST_MS
        );
        assert_eq!(after_ms(Hedge::After(0), true, Some(&statistics)), LEAST_MS);
        assert_eq!(after_ms(Hedge::After(700), false, Some(&statistics)), 700);
    }
}
