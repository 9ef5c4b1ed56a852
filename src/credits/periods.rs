//! UTC days, weeks (from Monday) and months: when a spending limit starts again.

use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;

/// How often a limit starts again.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// At 00:00 UTC.
    Daily,
    /// At 00:00 UTC on Monday.
    Weekly,
    /// At 00:00 UTC on the first.
    Monthly,
}

impl Reset {
    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// The reset of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Daily, Self::Weekly, Self::Monthly]
            .into_iter()
            .find(|reset| reset.as_str() == word)
    }

    /// The start of the period that `now_ms` falls in, in unix milliseconds.
    pub fn start(self, now_ms: i64) -> i64 {
        let day = now_ms.div_euclid(DAY_MS);
        let start = match self {
            Self::Daily => day,
            // 1970-01-01 was a Thursday, three days after a Monday.
            Self::Weekly => day - (day + 3).rem_euclid(7),
            Self::Monthly => day - (day_of_month(day) - 1),
        };
        start * DAY_MS
    }

    /// The start of the next period.
    pub fn next(self, now_ms: i64) -> i64 {
        let start = self.start(now_ms);
        match self {
            Self::Daily => start + DAY_MS,
            Self::Weekly => start + 7 * DAY_MS,
            // No month has more than 31 days, and none fewer than 28: this lands in the next one.
            Self::Monthly => self.start(start + 31 * DAY_MS),
        }
    }
}

/// Day of the month (from 1) of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Years are taken to start in March, so that the leap day is the last: then month lengths follow (153 m + 2) / 5.
fn day_of_month(day: i64) -> i64 {
    let shifted = day + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    day_of_year - (153 * month + 2) / 5 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29 (a Thursday) 12:34:56 UTC.
    const LEAP_DAY: i64 = 1_709_210_096_000;
    const MIDNIGHT: i64 = 1_709_164_800_000;

    #[test]
    fn periods_start_at_utc_midnight_on_monday_and_on_the_first() {
        assert_eq!(Reset::Daily.start(LEAP_DAY), MIDNIGHT);
        assert_eq!(Reset::Weekly.start(LEAP_DAY), MIDNIGHT - 3 * DAY_MS);
        assert_eq!(Reset::Monthly.start(LEAP_DAY), MIDNIGHT - 28 * DAY_MS);
        assert_eq!(Reset::Daily.next(LEAP_DAY), MIDNIGHT + DAY_MS);
        assert_eq!(Reset::Weekly.next(LEAP_DAY), MIDNIGHT + 4 * DAY_MS);
        assert_eq!(Reset::Monthly.next(LEAP_DAY), MIDNIGHT + DAY_MS);
    }

    #[test]
    fn months_have_their_lengths_for_a_century() {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut start = 0;
        for year in 1970..2100 {
            for (month, length) in lengths.iter().enumerate() {
                let leap = month == 1 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                let next = start + (length + i64::from(leap)) * DAY_MS;
                assert_eq!(Reset::Monthly.start(start), start, "{year}-{}", month + 1);
                assert_eq!(
                    Reset::Monthly.start(next - 1),
                    start,
                    "{year}-{}",
                    month + 1
                );
                assert_eq!(Reset::Monthly.next(start), next, "{year}-{}", month + 1);
                start = next;
            }
        }
    }
}
