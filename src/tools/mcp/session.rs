//! The session id of the legacy era: what the client said in `initialize`, so that nobody has to remember it.
//!
//! It proves nothing and opens nothing: a client that makes one up deceives itself alone. So `DELETE` has nothing to end (405).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::LEGACY;

/// The longest id that is looked at.
const MAX_LENGTH: usize = 512;

/// What a client of the legacy era said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What makes it unlike all others.
    #[serde(rename = "n")]
    nonce: String,
    /// The version that was agreed on.
    #[serde(rename = "v")]
    pub version: String,
    /// Its people can be asked to fill in a form.
    #[serde(rename = "e")]
    pub asks: bool,
}

impl Session {
    /// The session that `initialize` begins: the version that was asked for where it is spoken, else the newest.
    pub fn begin(version: &str, capabilities: Option<&Value>, nonce: &str) -> Self {
        let [newest, ..] = LEGACY;
        let known = LEGACY.iter().find(|known| **known == version);
        Self {
            nonce: nonce.to_owned(),
            version: (*known.unwrap_or(&newest)).to_owned(),
            asks: can_ask(capabilities),
        }
    }

    /// The id.
    pub fn id(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    /// The session of an id.
    pub fn read(id: &str) -> Option<Self> {
        let id = Some(id).filter(|id| id.len() <= MAX_LENGTH)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(id).ok()?;
        let session: Self = crate::json::from_slice(&bytes).ok()?;
        LEGACY
            .contains(&session.version.as_str())
            .then_some(session)
    }
}

/// Whether a client's people can be asked to fill in a form.
pub fn can_ask(capabilities: Option<&Value>) -> bool {
    let elicitation = capabilities.and_then(|all| all.get("elicitation"));
    // An empty object means forms: URLs came later, and are declared.
    elicitation
        .and_then(Value::as_object)
        .is_some_and(|modes| modes.is_empty() || modes.contains_key("form"))
}
