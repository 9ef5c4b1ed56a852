//! Unix milliseconds in and out of RFC 3339 text (UTC), and out of the dates of HTTP (RFC 9110 §5.6.7). Out of scope: reading
//! the clock (`edge`).

/// `2026-11-20T23:59:59.123Z`.
pub fn rfc3339(unix_ms: i64) -> String {
    let days = unix_ms.div_euclid(86_400_000);
    let ms = unix_ms.rem_euclid(86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        ms % 1_000
    )
}

/// Reads `2026-11-20T23:59:59Z`, with or without fractions of a second. Only UTC.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let sane = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second)
        && (1970..=9999).contains(&year);
    sane.then(|| {
        days(year, month, day) * 86_400_000
            + hour * 3_600_000
            + minute * 60_000
            + second * 1_000
            + millis
    })
}

/// The longest wait that is believed of a `Retry-After`, in seconds: a day.
pub const MAX_RETRY_AFTER_S: u32 = 86_400;

/// Reads `Retry-After` (RFC 9110 §10.2.3): whole seconds, or a date, of which the rest of the wait is told, rounded up. A date
/// that has passed is no wait.
pub fn retry_after(value: &str, now_ms: i64) -> Option<u32> {
    let value = value.trim();
    let seconds = if !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit()) {
        value.parse().unwrap_or(MAX_RETRY_AFTER_S)
    } else {
        let wait = parse_http_date(value)?.saturating_sub(now_ms).max(0);
        u32::try_from(wait.saturating_add(999) / 1_000).unwrap_or(MAX_RETRY_AFTER_S)
    };
    Some(seconds.min(MAX_RETRY_AFTER_S))
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, the one form of a date that HTTP still allows to send.
pub fn parse_http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (weekday, date) = text.split_once(", ")?;
    let mut parts = date.splitn(5, ' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (clock, zone) = (parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let has_form = weekday.len() == 3 && day.len() == 2 && year.len() == 4 && clock.len() == 8;
    if !has_form || zone != "GMT" {
        return None;
    }
    parse_rfc3339(&format!("{year}-{month:02}-{day}T{clock}Z"))
}

/// Date of a day count since 1970-01-01, in the proleptic Gregorian calendar (years begin in March while counting).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_round_trip() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_219_199_123, "2026-11-20T23:59:59.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(parse_rfc3339(text), Some(ms));
        }
        assert_eq!(
            parse_rfc3339("2026-11-20T23:59:59Z"),
            Some(1_795_219_199_000)
        );
        for bad in [
            "2026-13-01T00:00:00Z",
            "2026-11-20",
            "2026-11-20T00:00:00+01:00",
            "x",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        let now = 1_795_219_199_123;
        assert_eq!(
            parse_http_date("Fri, 20 Nov 2026 23:59:59 GMT"),
            Some(now - 123)
        );
        assert_eq!(
            parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777_000)
        );
        for (value, expected) in [
            ("0", Some(0)),
            (" 17 ", Some(17)),
            ("99999999999999999999", Some(MAX_RETRY_AFTER_S)),
            ("Sat, 21 Nov 2026 00:00:09 GMT", Some(10)),
            ("Fri, 20 Nov 2026 23:59:59 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sat, 21 Nov 2099 00:00:09 GMT", Some(MAX_RETRY_AFTER_S)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Sat, 21 Nov 2026 00:00:09 CET", None),
            ("Sat, 21 Nov 2026 24:00:09 GMT", None),
            ("Sat, 21 Nix 2026 00:00:09 GMT", None),
            ("Sat, 1 Nov 2026 00:00:09 GMT", None),
            ("Sat, 21 Nov 2026 00:00:09", None),
            ("2026-11-21T00:00:09Z", None),
        ] {
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }
}
