//! Date and time for the model, in a zone: an offset from UTC, or a name that the platform knows.

use serde_json::{Value, json};

use super::fields::Fields;
use crate::{error::Result, time::rfc3339};

/// The longest name of a zone.
const MAX_ZONE: usize = 64;
const WEEKDAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];

/// Knows the zones that have names: minutes that a zone is ahead of UTC right now.
pub type Zones<'a> = &'a dyn Fn(&str) -> Option<i32>;

/// The declared tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatetimeTool {
    /// The zone where the model names none.
    pub zone: Option<String>,
}

impl DatetimeTool {
    /// Reads the parameters.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let zone = fields.text("timezone")?.map(str::to_owned);
        if zone.as_deref().is_some_and(|zone| !is_name(zone)) {
            return Err(fields.wrong(
                "timezone",
                "expected a time zone such as Europe/Berlin or +02:00",
            ));
        }
        Ok(Self { zone })
    }

    /// What the model is told; or why it is not.
    pub fn answer(
        &self,
        arguments: &Value,
        now_ms: u64,
        zones: Zones<'_>,
    ) -> Result<Value, String> {
        let asked = arguments.get("timezone").and_then(Value::as_str);
        let zone = asked.or(self.zone.as_deref()).unwrap_or("UTC").trim();
        let minutes = offset(zone).or_else(|| is_name(zone).then(|| zones(zone)).flatten());
        let Some(minutes) = minutes else {
            let zone: String = zone.chars().take(MAX_ZONE).collect();
            return Err(format!(
                "The time zone {zone:?} is not known: use a name such as Europe/Berlin, or an offset such as +02:00"
            ));
        };
        Ok(told(now_ms, zone, minutes))
    }
}

/// The function that models call.
pub(super) fn function() -> (&'static str, Value) {
    (
        "Tells the current date and time.",
        json!({
            "type": "object",
            "properties": {"timezone": {
                "type": "string",
                "description": "An IANA time zone such as Europe/Berlin, or an offset such as +02:00.",
            }},
            "additionalProperties": false,
        }),
    )
}

fn told(now_ms: u64, zone: &str, minutes: i32) -> Value {
    let utc = i64::try_from(now_ms).unwrap_or_default();
    let local = utc.saturating_add(i64::from(minutes) * 60_000);
    let text = rfc3339(local);
    let (date, time) = text.split_once('T').unwrap_or_default();
    let time = time.get(..8).unwrap_or_default();
    let (sign, size) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
    let day = usize::try_from(local.div_euclid(86_400_000).rem_euclid(7)).unwrap_or_default();
    json!({
        "datetime": format!("{date}T{time}{sign}{:02}:{:02}", size / 60, size % 60),
        "date": date,
        "time": time,
        "weekday": WEEKDAYS.get(day),
        "timezone": zone,
        "unix_seconds": utc / 1_000,
    })
}

fn is_name(zone: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-:".contains(&byte);
    !zone.is_empty() && zone.len() <= MAX_ZONE && zone.bytes().all(is_letter)
}

/// Minutes of a fixed offset: `UTC`, `Z`, `+02:00`, `-0330`, `UTC+2`.
pub fn offset(zone: &str) -> Option<i32> {
    let upper = zone.to_ascii_uppercase();
    let rest = upper
        .strip_prefix("UTC")
        .or(upper.strip_prefix("GMT"))
        .unwrap_or(&upper);
    if rest.is_empty() || rest == "Z" {
        return Some(0);
    }
    let sign = match rest.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = rest.get(1..)?;
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() <= 2 => (digits, "0"),
        None => digits.split_at_checked(digits.len() - 2)?,
    };
    let read = |text: &str| {
        let is_number =
            (1..=2).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| text.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (read(hours)?, read(minutes)?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_in_their_usual_forms() {
        for (zone, minutes) in [
            ("UTC", Some(0)),
            ("z", Some(0)),
            ("GMT", Some(0)),
            ("+02:00", Some(120)),
            ("-0330", Some(-210)),
            ("UTC+5:45", Some(345)),
            ("GMT-11", Some(-660)),
            ("+15:00", None),
            ("+1:75", None),
            ("2", None),
            ("+", None),
            ("+ä", None),
            ("Europe/Berlin", None),
        ] {
            assert_eq!(offset(zone), minutes, "{zone}");
        }
    }

    #[test]
    fn the_time_is_told_in_the_zone_of_the_model_else_of_the_declaration() {
        let zones = |name: &str| (name == "Asia/Kathmandu").then_some(345);
        // 2026-11-21T23:30:00Z, a Saturday.
        let now = 1_795_303_800_000;
        let tool = DatetimeTool {
            zone: Some("Asia/Kathmandu".into()),
        };
        let answer = tool.answer(&json!({}), now, &zones).unwrap();
        assert_eq!(answer["datetime"], "2026-11-22T05:15:00+05:45");
        assert_eq!(answer["weekday"], "Sunday");
        let answer = tool
            .answer(&json!({"timezone": "-01:00"}), now, &zones)
            .unwrap();
        assert_eq!(
            (answer["datetime"].as_str(), answer["weekday"].as_str()),
            (Some("2026-11-21T22:30:00-01:00"), Some("Saturday"))
        );
        let plain = DatetimeTool::default()
            .answer(&Value::Null, now, &zones)
            .unwrap();
        assert_eq!(plain["datetime"], "2026-11-21T23:30:00+00:00");
        for zone in ["Mars/Olympus", "a b"] {
            assert!(
                tool.answer(&json!({"timezone": zone}), now, &zones)
                    .is_err(),
                "{zone}"
            );
        }
    }
}
