//! A sign-in on its way to an issuer and back (RFC 6749 §10.12, RFC 7636).
//!
//! The browser carries it in a signed cookie; nothing is stored. State, nonce and code verifier are derived from its id, so that
//! an answer fits only the browser that asked, and only this one question.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use sha2::{Digest, Sha256};

use super::{
    form::{Form, query},
    signer::{Signer, same},
};

/// How long somebody may take at the issuer, in milliseconds.
pub const LIFETIME_MS: i64 = 10 * 60 * 1_000;

/// What the browser carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    id: String,
    /// Which way of signing in.
    pub way: String,
    /// Where to go then.
    pub return_to: String,
    /// When it ends, unix milliseconds.
    expires_at: i64,
}

impl Flow {
    /// Begins.
    pub fn new(random: &[u8; 32], way: &str, return_to: &str, now: i64) -> Self {
        Self {
            id: BASE64_URL_SAFE_NO_PAD.encode(random),
            way: way.to_owned(),
            return_to: return_to.to_owned(),
            expires_at: now + LIFETIME_MS,
        }
    }

    /// The cookie's value.
    pub fn seal(&self, signer: &Signer) -> String {
        let end = self.expires_at.to_string();
        let text = query(&[
            ("id", &self.id),
            ("way", &self.way),
            ("to", &self.return_to),
            ("end", &end),
        ]);
        signer.seal("flow", &BASE64_URL_SAFE_NO_PAD.encode(text))
    }

    /// Reads the cookie, where it is ours, for this way, and in time.
    pub fn open(cookie: &str, signer: &Signer, way: &str, now: i64) -> Option<Self> {
        let text = BASE64_URL_SAFE_NO_PAD
            .decode(signer.open("flow", cookie)?)
            .ok()?;
        let form = Form::parse(std::str::from_utf8(&text).ok()?);
        let flow = Self {
            id: form.get("id")?.to_owned(),
            way: form.get("way")?.to_owned(),
            return_to: form.get("to")?.to_owned(),
            expires_at: form.get("end")?.parse().ok()?,
        };
        (flow.way == way && now < flow.expires_at).then_some(flow)
    }

    /// What comes back with the answer.
    pub fn state(&self, signer: &Signer) -> String {
        signer.mac("state", &self.id)
    }

    /// Whether an answer is that to this question.
    pub fn is_answered_by(&self, signer: &Signer, state: &str) -> bool {
        same(state, &self.state(signer))
    }

    /// What comes back in the ID token.
    pub fn nonce(&self, signer: &Signer) -> String {
        signer.mac("nonce", &self.id)
    }

    /// What proves to the issuer that who asked is who exchanges the code.
    pub fn verifier(&self, signer: &Signer) -> String {
        signer.mac("verifier", &self.id)
    }

    /// The verifier's digest, which the issuer is told first.
    pub fn challenge(&self, signer: &Signer) -> String {
        challenge(&self.verifier(signer))
    }
}

/// The S256 challenge of a code verifier (RFC 7636 §4.2).
pub fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new(&"s".repeat(32)).unwrap()
    }

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_flow_comes_back_whole_in_time_and_for_its_own_way() {
        let flow = Flow::new(
            &[7; 32],
            "oidc",
            "/auth?callback_url=https%3A%2F%2Fa&x=1",
            1_000,
        );
        let cookie = flow.seal(&signer());
        let open = |cookie: &str, way, now| Flow::open(cookie, &signer(), way, now);
        assert_eq!(open(&cookie, "oidc", 1_000).as_ref(), Some(&flow));
        assert_eq!(open(&cookie, "oidc", 1_000 + LIFETIME_MS), None);
        assert_eq!(open(&cookie, "github", 1_000), None);
        assert_eq!(open(&cookie.replacen('a', "b", 1), "oidc", 1_000), None);
        assert_eq!(open("", "oidc", 1_000), None);
    }

    #[test]
    fn an_answer_fits_only_its_own_question() {
        let flow = |byte| Flow::new(&[byte; 32], "oidc", "/", 0);
        let (one, other) = (flow(1), flow(2));
        assert!(one.is_answered_by(&signer(), &one.state(&signer())));
        assert!(!one.is_answered_by(&signer(), &other.state(&signer())));
        assert!(!one.is_answered_by(&signer(), ""));
        let derived = [
            one.state(&signer()),
            one.nonce(&signer()),
            one.verifier(&signer()),
        ];
        assert!(derived.iter().all(|text| text.len() == 43));
        assert!(derived[0] != derived[1] && derived[1] != derived[2] && derived[0] != derived[2]);
    }
}
