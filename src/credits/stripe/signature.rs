//! The header `t=<unix seconds>,v1=<hex>,…`: HMAC-SHA256 over `<t>.<body>` under a shared secret.
//!
//! Several `v1` stand side by side while a secret is changed, and several secrets may be in force here. Other schemes (`v0`) are
//! ignored, so that nothing weaker is accepted. Spec: <https://docs.stripe.com/webhooks/signature>

use std::fmt;

use crate::signing::hmac::{hex, hmac, same};

/// How old a signature may be, in seconds: what was recorded cannot be sent again later.
pub const TOLERANCE_S: i64 = 300;
/// The most signatures that are looked at.
const MAX_SIGNATURES: usize = 8;

/// Why a body is not taken for what it says to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The header is missing or malformed.
    Malformed,
    /// No signature fits.
    Mismatch,
    /// It was signed too long ago, or in the future.
    Time,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the signature's header is missing or malformed",
            Self::Mismatch => "no signature fits the body",
            Self::Time => "it was signed more than five minutes away from now",
        })
    }
}

/// The header for a body.
pub fn sign(secret: &str, now_s: i64, body: &[u8]) -> String {
    format!("t={now_s},v1={}", code(secret, &now_s.to_string(), body))
}

/// Checks a body against its header under any of the secrets (commas between them).
///
/// # Errors
/// Why it is refused. The time is looked at only once a signature fits.
pub fn verify(header: &str, body: &[u8], secrets: &str, now_s: i64) -> Result<(), Refused> {
    let mut time = None;
    let mut codes = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => time = time.or(Some(value)),
            Some(("v1", value)) if codes.len() < MAX_SIGNATURES => codes.push(value),
            _ => {}
        }
    }
    let time = time.ok_or(Refused::Malformed)?;
    let at: i64 = time.parse().map_err(|_| Refused::Malformed)?;
    if codes.is_empty() {
        return Err(Refused::Malformed);
    }
    let secrets = secrets.split(',').map(str::trim);
    let mut fits = false;
    for secret in secrets.filter(|secret| !secret.is_empty()) {
        // The text of the time is signed, not its number.
        let expected = code(secret, time, body);
        for given in &codes {
            fits |= same(given.as_bytes(), expected.as_bytes());
        }
    }
    if !fits {
        return Err(Refused::Mismatch);
    }
    if now_s.abs_diff(at) > TOLERANCE_S.unsigned_abs() {
        return Err(Refused::Time);
    }
    Ok(())
}

fn code(secret: &str, time: &str, body: &[u8]) -> String {
    let mut message = Vec::with_capacity(time.len() + 1 + body.len());
    message.extend_from_slice(time.as_bytes());
    message.push(b'.');
    message.extend_from_slice(body);
    hex(&hmac(secret.as_bytes(), &message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const NOW: i64 = 1_784_116_800;

    #[test]
    fn a_body_is_taken_under_any_secret_in_force_and_any_of_its_signatures() {
        let own = sign("whsec_new", NOW, BODY);
        assert_eq!(verify(&own, BODY, "whsec_new", NOW), Ok(()));
        assert_eq!(
            verify(&own, BODY, "whsec_old, whsec_new", NOW + 300),
            Ok(())
        );
        let both = format!("{own},v1={}", "0".repeat(64));
        assert_eq!(verify(&both, BODY, "whsec_new", NOW - 300), Ok(()));
    }

    #[test]
    fn what_is_forged_altered_old_or_odd_is_refused() {
        let own = sign("whsec_a", NOW, BODY);
        let code = own.split_once("v1=").unwrap().1;
        let later = format!("t={},v1={code}", NOW + 1);
        let cases = [
            ("", BODY, "whsec_a", NOW, Refused::Malformed),
            ("t=x,v1=00", BODY, "whsec_a", NOW, Refused::Malformed),
            (
                &format!("v1={code}"),
                BODY,
                "whsec_a",
                NOW,
                Refused::Malformed,
            ),
            (
                &format!("t={NOW},v0={code}"),
                BODY,
                "whsec_a",
                NOW,
                Refused::Malformed,
            ),
            (
                &own,
                b"{\"id\":\"evt_2\"}",
                "whsec_a",
                NOW,
                Refused::Mismatch,
            ),
            (&own, BODY, "whsec_b", NOW, Refused::Mismatch),
            (&own, BODY, "", NOW, Refused::Mismatch),
            (&later, BODY, "whsec_a", NOW, Refused::Mismatch),
            (&own, BODY, "whsec_a", NOW + 301, Refused::Time),
            (&own, BODY, "whsec_a", NOW - 301, Refused::Time),
        ];
        for (header, body, secrets, now, why) in cases {
            assert_eq!(verify(header, body, secrets, now), Err(why), "{header}");
        }
        assert_eq!(
            verify(&own.replace("v1=", "v1=0"), BODY, "whsec_a", NOW),
            Err(Refused::Mismatch)
        );
    }
}
