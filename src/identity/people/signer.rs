//! What the deployment signs: HMAC-SHA-256 under `SESSION_SECRET`, with the purpose inside, so that what was signed for one
//! thing proves nothing about another.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use crate::signing::hmac::{self, hmac};

/// The shortest secret that a deployment may have.
pub const MIN_SECRET: usize = 32;

/// Signs, and checks what it signed.
#[derive(Clone)]
pub struct Signer(Vec<u8>);

impl Signer {
    /// A signer, where the secret is long enough.
    pub fn new(secret: &str) -> Option<Self> {
        let secret = secret.trim().as_bytes();
        (secret.len() >= MIN_SECRET).then(|| Self(secret.to_vec()))
    }

    /// The signature over a text for a purpose: 43 letters, digits, `-` and `_`.
    pub fn mac(&self, purpose: &str, text: &str) -> String {
        let message = [purpose.as_bytes(), b"\0", text.as_bytes()].concat();
        BASE64_URL_SAFE_NO_PAD.encode(hmac(&self.0, &message))
    }

    /// The text with its signature.
    pub fn seal(&self, purpose: &str, text: &str) -> String {
        format!("{text}.{}", self.mac(purpose, text))
    }

    /// The text, where the signature is right.
    pub fn open<'a>(&self, purpose: &str, sealed: &'a str) -> Option<&'a str> {
        let (text, mac) = sealed.rsplit_once('.')?;
        same(mac, &self.mac(purpose, text)).then_some(text)
    }
}

/// Whether two texts are the same; how long this takes tells nothing about where they differ.
pub fn same(one: &str, other: &str) -> bool {
    hmac::same(one.as_bytes(), other.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_for_this_purpose_under_this_secret_opens() {
        let signer = Signer::new(&"k".repeat(MIN_SECRET)).unwrap();
        let sealed = signer.seal("session", "id");
        assert_eq!(signer.open("session", &sealed), Some("id"));
        let other = Signer::new(&"K".repeat(MIN_SECRET)).unwrap();
        assert_eq!(other.open("session", &sealed), None);
        assert_eq!(signer.open("flow", &sealed), None);
        let mut forged = sealed.clone();
        forged.pop();
        for text in [
            "",
            ".",
            "id",
            "id.",
            &forged,
            &sealed.replace("id", "ID"),
            &format!("{sealed}A"),
        ] {
            assert_eq!(signer.open("session", text), None, "{text}");
        }
        // The purpose and the text cannot run into each other.
        assert_ne!(signer.mac("a", "bc"), signer.mac("ab", "c"));
    }

    #[test]
    fn a_short_secret_signs_nothing() {
        assert!(Signer::new(&"k".repeat(MIN_SECRET - 1)).is_none());
    }
}
