//! A Google service account: its JSON, and the JWT that is exchanged for a token.
//!
//! Spec: RFC 7523 (JWT bearer grant), Google's "Using OAuth 2.0 for server-to-server applications". Out of scope: the signature
//! itself, which is the platform's.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;
use serde_json::json;

/// How long a JWT may be exchanged, in seconds: the most that Google takes.
const LIFETIME_S: u64 = 3_600;

/// A service account, as its key file says.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct ServiceAccount {
    /// The project that it belongs to.
    pub project_id: String,
    /// Who it is.
    pub client_email: String,
    /// Its key, PKCS#8 in PEM.
    pub private_key: String,
    /// Which of its keys this is.
    #[serde(default)]
    pub private_key_id: Option<String>,
    /// Where models are called, if its owner added it.
    #[serde(default)]
    pub region: Option<String>,
}

impl ServiceAccount {
    /// Reads the JSON.
    ///
    /// # Errors
    /// What is wrong, in words that quote nothing of it.
    pub fn read(text: &str) -> Result<Self, String> {
        crate::json::from_str(text).map_err(|_| {
            "expected the JSON of a service account, with project_id, client_email and private_key".to_owned()
        })
    }

    /// The private key as DER.
    ///
    /// # Errors
    /// When it is not PKCS#8 in PEM.
    pub fn pkcs8(&self) -> Result<Vec<u8>, String> {
        let pem = self.private_key.trim();
        let body = pem
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"));
        let base64: String = body.unwrap_or_default().split_whitespace().collect();
        let der = BASE64_STANDARD.decode(base64).unwrap_or_default();
        if der.is_empty() {
            return Err("private_key is no PKCS#8 key in PEM".to_owned());
        }
        Ok(der)
    }

    /// What is signed: header and claims.
    pub fn signing_input(&self, audience: &str, scope: &str, now_s: u64) -> String {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let (Some(id), Some(header)) = (&self.private_key_id, header.as_object_mut()) {
            header.insert("kid".to_owned(), id.as_str().into());
        }
        let claims = json!({
            "iss": self.client_email,
            "scope": scope,
            "aud": audience,
            "iat": now_s,
            "exp": now_s + LIFETIME_S,
        });
        let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", part(header), part(claims))
    }
}

/// The JWT: what was signed, and the signature.
pub fn assertion(signing_input: &str, signature: &[u8]) -> String {
    format!(
        "{signing_input}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(signature)
    )
}
