//! What a receiver's answer means, and when the next try is due.
//!
//! Spec: OTLP/HTTP, "Failures" (<https://opentelemetry.io/docs/specs/otlp/#failures-1>) for what may be sent again; the same
//! holds for the other wires. Retries wait exponentially longer, with jitter, or as long as `Retry-After` says.

use serde_json::Value;

use super::port::{Received, Unsent};

/// After so many tries in vain a batch is put aside.
pub const MAX_TRIES: i64 = 10;
/// The first wait, in milliseconds; each further one is twice as long.
const FIRST_WAIT_MS: i64 = 30_000;
/// The longest wait.
const MAX_WAIT_MS: i64 = 3_600_000;
/// The longest wait that a receiver may ask for, in seconds.
const MAX_ASKED_S: u32 = 21_600;
/// The longest reason that is kept, in bytes.
const MAX_REASON: usize = 500;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived. The receiver may have taken some of it only, and said so.
    Taken {
        /// How many spans it refused.
        rejected: u64,
        /// What it said to that.
        note: Option<String>,
    },
    /// It may arrive later.
    Later {
        /// Status, 0 where none came.
        status: u16,
        /// Why, for people.
        reason: String,
        /// When the receiver wants to be asked again, in seconds.
        after_s: Option<u32>,
    },
    /// It will not arrive.
    Never {
        /// Status, 0 where it was not even sent.
        status: u16,
        /// Why, for people.
        reason: String,
        /// Whether something in the batch is at fault, so that the rest may arrive without it.
        is_contents: bool,
    },
}

/// Reads an answer; `secrets` are cut out of what is quoted.
pub fn verdict(answer: Result<Received, Unsent>, secrets: &[&str]) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(unsent) => {
            let reason = match unsent {
                Unsent::Broken => "The connection failed",
                Unsent::Late => "The receiver did not answer in time",
            };
            return Verdict::Later {
                status: 0,
                reason: reason.to_owned(),
                after_s: None,
            };
        }
    };
    let (status, reason) = (answer.status, reason(&answer, secrets));
    match status {
        // A statement of Snowflake's that is still running: asked again under its id, it is not run again.
        202 if is_running(&answer.body) => Verdict::Later {
            status,
            reason,
            after_s: None,
        },
        200..=299 => {
            let (rejected, note) = partial(&answer.body);
            Verdict::Taken {
                rejected,
                note: note.map(|note| scrubbed(&note, secrets)),
            }
        }
        300..=399 => Verdict::Never {
            status,
            reason: format!("The receiver redirects, which is not followed (status {status})"),
            is_contents: false,
        },
        408 | 425 | 429 | 500..=599 => Verdict::Later {
            status,
            reason,
            after_s: answer.retry_after.map(|seconds| seconds.min(MAX_ASKED_S)),
        },
        _ => Verdict::Never {
            status,
            reason,
            is_contents: matches!(status, 400 | 413 | 422),
        },
    }
}

/// When the next try is due after so many, given random bytes.
pub fn wait_ms(tries: i64, after_s: Option<u32>, random: &[u8; 32]) -> i64 {
    if let Some(seconds) = after_s {
        return i64::from(seconds) * 1_000;
    }
    let doublings = u32::try_from(tries.clamp(1, 20) - 1).unwrap_or(0);
    let wait = (FIRST_WAIT_MS << doublings).min(MAX_WAIT_MS);
    // Between four and six fifths.
    let share = random.first().copied().map_or(0, i64::from);
    wait * 4 / 5 + wait * 2 / 5 * share / 255
}

/// The words of a receiver, bounded, without control characters and without secrets.
fn reason(answer: &Received, secrets: &[&str]) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let words = scrubbed(text.trim(), secrets);
    if words.is_empty() {
        format!("Status {}", answer.status)
    } else {
        format!("Status {}: {words}", answer.status)
    }
}

/// A text that may be kept and shown.
pub fn scrubbed(text: &str, secrets: &[&str]) -> String {
    let mut text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    for secret in secrets {
        text = text.replace(secret, "[secret]");
    }
    text.truncate(text.floor_char_boundary(MAX_REASON));
    text
}

fn is_running(body: &[u8]) -> bool {
    let body = crate::json::from_slice::<Value>(body).unwrap_or_default();
    body.get("statementHandle").is_some()
}

/// The partial success of an `ExportTraceServiceResponse`.
fn partial(body: &[u8]) -> (u64, Option<String>) {
    let body = crate::json::from_slice::<Value>(body).unwrap_or_default();
    let partial = body.get("partialSuccess");
    let rejected = partial.and_then(|partial| partial.get("rejectedSpans"));
    let rejected = rejected.and_then(|count| match count {
        Value::String(text) => text.parse().ok(),
        count => count.as_u64(),
    });
    let note = partial.and_then(|partial| partial.get("errorMessage")?.as_str());
    let note = note.filter(|note| !note.is_empty()).map(str::to_owned);
    (rejected.unwrap_or_default(), note)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<u32>, body: &str) -> Result<Received, Unsent> {
        Ok(Received {
            status,
            retry_after,
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn what_may_be_sent_again_and_what_may_not() {
        let kind = |verdict: Verdict| match verdict {
            Verdict::Taken { .. } => "taken",
            Verdict::Later { .. } => "later",
            Verdict::Never {
                is_contents: true, ..
            } => "contents",
            Verdict::Never { .. } => "never",
        };
        for (statuses, expected) in [
            (vec![200, 201, 202, 204], "taken"),
            (vec![408, 425, 429, 500, 502, 503, 504, 529], "later"),
            (vec![400, 413, 422], "contents"),
            (
                vec![301, 302, 307, 308, 401, 403, 404, 405, 410, 418],
                "never",
            ),
        ] {
            for status in statuses {
                assert_eq!(
                    kind(verdict(answer(status, None, ""), &[])),
                    expected,
                    "{status}"
                );
            }
        }
        for unsent in [Unsent::Broken, Unsent::Late] {
            assert_eq!(kind(verdict(Err(unsent), &[])), "later");
        }
        let running = r#"{"code":"333334","statementHandle":"h"}"#;
        assert_eq!(kind(verdict(answer(202, None, running), &[])), "later");
    }

    #[test]
    fn a_receivers_words_are_kept_short_and_without_secrets() {
        let body = format!("bad key sk-secret-1\r\n{}", "é".repeat(1_000));
        let Verdict::Never { reason, .. } = verdict(answer(401, None, &body), &["sk-secret-1"])
        else {
            panic!("401 is final")
        };
        assert!(
            reason.starts_with("Status 401: bad key [secret]  é"),
            "{reason}"
        );
        assert!(reason.len() <= MAX_REASON + 16 && !reason.contains('\n'));
    }

    #[test]
    fn a_partial_success_is_told() {
        let body = r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#;
        let expected = Verdict::Taken {
            rejected: 2,
            note: Some("too old".into()),
        };
        assert_eq!(verdict(answer(200, None, body), &[]), expected);
    }

    #[test]
    fn waits_double_up_to_an_hour_or_last_as_long_as_the_receiver_says() {
        let random = |byte: u8| [byte; 32];
        for (tries, least, most) in [
            (1, 24_000, 36_000),
            (2, 48_000, 72_000),
            (5, 384_000, 576_000),
            (8, 2_880_000, 4_320_000),
            (60, 2_880_000, 4_320_000),
        ] {
            assert_eq!(wait_ms(tries, None, &random(0)), least);
            assert_eq!(wait_ms(tries, None, &random(255)), most);
        }
        assert_eq!(wait_ms(3, Some(7), &random(9)), 7_000);
        let Verdict::Later { after_s, .. } = verdict(answer(429, Some(86_400), ""), &[]) else {
            panic!("429 is not final")
        };
        assert_eq!(after_s, Some(MAX_ASKED_S));
    }
}
