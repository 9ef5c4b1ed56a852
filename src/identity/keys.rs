//! API keys: their form, their digest, and the record kept of each.
//!
//! A key is `sk-pb-v1-` and 64 hex digits. Only the SHA-256 of the whole text is ever stored; the text is shown once.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    credits::{
        money::Nanos,
        ops::{Limits, SwitchedOff},
        periods::Reset,
    },
    database::Row,
    error::{Error, ErrorType, Next, Result, Source},
    guardrails::{self, Policy},
};

/// What every key begins with.
pub const PREFIX: &str = "sk-pb-v1-";
/// The longest text that is looked at as a key.
pub const MAX_LENGTH: usize = 256;
/// How old a copy of a key's record may be, in milliseconds.
pub const MAX_AGE_MS: u64 = 60_000;
/// How long it is remembered that a key does not exist, in milliseconds.
pub const MAX_ABSENCE_MS: u64 = 5_000;

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// SHA-256 of the key, in hex.
    pub hash: String,
    /// The account that pays.
    pub account: String,
    /// The owner's name for it.
    pub name: String,
    /// The masked key.
    pub label: String,
    /// Whether it is switched off.
    #[serde(default)]
    pub disabled: bool,
    /// The most it may spend per period (or ever).
    #[serde(default)]
    pub limit: Option<Nanos>,
    /// The period of the limit.
    #[serde(default)]
    pub limit_reset: Option<Reset>,
    /// When it was made, unix milliseconds.
    pub created_at: i64,
    /// When it ends, unix milliseconds.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// Whether its account may have brought provider keys; where not, nothing is looked up.
    #[serde(default)]
    pub own_keys: bool,
    /// Whether its account imported tools; where not, nothing is looked up.
    #[serde(default)]
    pub own_tools: bool,
    /// It administers its account and calls no model.
    #[serde(default)]
    pub management: bool,
    /// Whose it is, where it is a person's: their id. It ends when they leave the account.
    #[serde(default)]
    pub member: Option<String>,
    /// That person is switched off, and the key with them.
    #[serde(default)]
    pub owner_off: bool,
    /// Somebody may want what its requests ask and are answered (`usage::content`); where not, nothing is recorded.
    #[serde(default)]
    pub captures: bool,
    /// SHA-256 of the secret that was sent, in hex: it names the key, unless the key was given another since.
    #[serde(default)]
    pub secret: Option<String>,
    /// The guardrails that hold for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Rc<Policy>>,
    /// The tools that its guards and its account's switch off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switched_off: Vec<SwitchedOff>,
    /// When that secret ends, where the key was given another: unix milliseconds.
    #[serde(default)]
    pub secret_ends_at: Option<i64>,
    /// What own provider keys are used for counts towards the limit too.
    #[serde(default)]
    pub include_byok: bool,
    /// Its limits of pace.
    #[serde(default)]
    pub limits: Limits,
    /// For whom outside of the account it was made.
    #[serde(default)]
    pub external_user: Option<String>,
    /// What they call it.
    #[serde(default)]
    pub external_key: Option<String>,
    /// When its settings last changed, unix milliseconds.
    #[serde(default)]
    pub updated_at: Option<i64>,
    /// When a management key was last used, within a minute; what others were is known to the ledger.
    #[serde(default)]
    pub last_used_at: Option<i64>,
}

macro_rules! select {
    ($of:literal) => {
        concat!(
            "SELECT hash, account, name, label, disabled, limit_nanos, limit_reset, created_at, expires_at, management, member, ",
            "include_byok, max_requests, max_tokens, max_concurrent, external_user, external_key, updated_at, last_used_at, ",
            "(SELECT ends_at FROM key_secrets WHERE key_secrets.hash = ?1) AS secret_ends_at, ",
            "EXISTS (SELECT 1 FROM byok_keys WHERE byok_keys.account = api_keys.account) AS own_keys, ",
            "EXISTS (SELECT 1 FROM tool_sources WHERE tool_sources.account = api_keys.account AND tool_sources.enabled = 1) AS own_tools, ",
            "EXISTS (SELECT 1 FROM users WHERE users.id = api_keys.member AND users.disabled = 1) AS owner_off, ",
            "(EXISTS (SELECT 1 FROM account_settings AS s WHERE s.account = api_keys.account AND s.io_logging = 1 AND s.io_logging_parts > 0 ",
            "AND (s.io_logging_keys IS NULL OR EXISTS (SELECT 1 FROM json_each(s.io_logging_keys) WHERE value = api_keys.hash))) ",
            "OR EXISTS (SELECT 1 FROM destinations AS d WHERE d.account = api_keys.account AND d.enabled = 1 AND d.wants_content = 1 ",
            "AND (d.api_key_hashes IS NULL OR EXISTS (SELECT 1 FROM json_each(d.api_key_hashes) WHERE value = api_keys.hash)))) AS captures, ",
            guardrails::d1::of_key!(),
            " AS guardrails, (SELECT json_group_array(json(s.rules)) FROM tool_switches AS s ",
            "WHERE s.account = api_keys.account AND s.key_hash IN ('', api_keys.hash)) AS switched_off FROM api_keys WHERE deleted = 0 ",
            "AND (member IS NULL OR EXISTS (SELECT 1 FROM members WHERE members.account = api_keys.account AND members.user = api_keys.member)) AND ",
            $of
        )
    };
}

/// Reads a key's record by the hash of any of its secrets, unless it was deleted or its owner left the account.
pub const SELECT: &str =
    select!("hash = coalesce((SELECT key FROM key_secrets WHERE key_secrets.hash = ?1), ?1)");
/// Reads the records of an account's keys but the deleted, the oldest first.
pub const SELECT_ALL: &str = select!("account = ?1 ORDER BY created_at, hash");

/// The name of a key's copy in KV.
pub fn kv_key(hash: &str) -> String {
    format!("key:{hash}")
}

impl KeyRecord {
    /// Reads a row of [`SELECT`].
    ///
    /// # Errors
    /// Where the row does not have the columns of the schema.
    pub fn from_row(row: &Row) -> Result<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| row.get(name).and_then(Value::as_i64);
        let policy = guardrails::d1::policy(row.get("guardrails"))?.map(Rc::new);
        let switched_off = row.get("switched_off").and_then(Value::as_str);
        let switched_off: Vec<Vec<SwitchedOff>> =
            crate::json::from_str(switched_off.unwrap_or("[]")).map_err(|error| {
                Error::internal(format!("what guards switch off, in D1: {error}"))
            })?;
        let record = || {
            Some(Self {
                hash: text("hash")?,
                account: text("account")?,
                name: text("name")?,
                label: text("label")?,
                disabled: number("disabled")? != 0,
                limit: number("limit_nanos").map(Nanos::new).transpose().ok()?,
                limit_reset: text("limit_reset").and_then(|word| Reset::parse(&word)),
                created_at: number("created_at")?,
                expires_at: number("expires_at"),
                own_keys: number("own_keys")? != 0,
                own_tools: number("own_tools")? != 0,
                management: number("management")? != 0,
                member: text("member"),
                owner_off: number("owner_off")? != 0,
                captures: number("captures")? != 0,
                secret: None,
                policy,
                switched_off: switched_off.into_iter().flatten().collect(),
                secret_ends_at: number("secret_ends_at"),
                include_byok: number("include_byok")? != 0,
                limits: Limits {
                    requests: number("max_requests"),
                    tokens: number("max_tokens"),
                    concurrent: number("max_concurrent"),
                },
                external_user: text("external_user"),
                external_key: text("external_key"),
                updated_at: number("updated_at"),
                last_used_at: number("last_used_at"),
            })
        };
        record().ok_or_else(|| {
            Error::internal("a key's row in D1 does not have the columns of the schema")
        })
    }

    /// Refuses a key that is switched off or whose time is over.
    ///
    /// # Errors
    /// 401 that says which.
    pub fn check(&self, now_ms: u64) -> Result<()> {
        if self.disabled {
            return Err(refused("This API key is disabled"));
        }
        if self.owner_off {
            return Err(refused("The person whose API key this is is switched off"));
        }
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(refused("This API key has expired"));
        }
        if self.secret_ends_at.is_some_and(|end| end <= now) {
            return Err(refused(
                "This API key was replaced by another: send the new one",
            ));
        }
        Ok(())
    }
}

/// 401 in these words.
pub(super) fn refused(message: &str) -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::Authentication,
        message,
    )
}

/// A new key: the only time that its text exists.
#[derive(Debug, Clone)]
pub struct MintedKey {
    /// The text for the owner.
    pub secret: String,
    /// What is stored.
    pub hash: String,
    /// What is shown.
    pub label: String,
}

impl MintedKey {
    /// Makes a key out of 32 random bytes.
    pub fn new(random: &[u8; 32]) -> Self {
        let digits = hex(random);
        let secret = format!("{PREFIX}{digits}");
        let tail = digits.get(digits.len() - 3..).unwrap_or_default();
        let head = digits.get(..3).unwrap_or_default();
        Self {
            hash: hash(&secret),
            label: format!("{PREFIX}{head}...{tail}"),
            secret,
        }
    }
}

/// SHA-256 of a key's text, in hex.
pub fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// The key in an `Authorization` header.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.trim().split_once(' ')?;
    let key = key.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer") && !key.is_empty() && key.len() <= MAX_LENGTH;
    fits.then_some(key)
}

/// The key that a request bears: in `Authorization`, or in `x-api-key` as Anthropic's clients send it. Where both are there,
/// the one that is a key of this gateway's counts.
pub fn sent<'a>(authorization: Option<&'a str>, api_key: Option<&'a str>) -> Option<&'a str> {
    let token = authorization.and_then(bearer);
    let plain = api_key
        .map(str::trim)
        .filter(|key| !key.is_empty() && key.len() <= MAX_LENGTH);
    token
        .filter(|key| plain.is_none() || is_well_formed(key))
        .or(plain)
}

/// Whether a text has the form of a key: nothing else is worth a look into the stores.
pub fn is_well_formed(secret: &str) -> bool {
    let digits = secret.strip_prefix(PREFIX).unwrap_or_default().as_bytes();
    digits.len() == 64
        && digits
            .iter()
            .all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'))
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_once_and_stored_as_its_digest() {
        let key = MintedKey::new(&[0xab; 32]);
        assert_eq!(key.secret.len(), PREFIX.len() + 64);
        assert_eq!(key.hash, hash(&key.secret));
        assert_eq!(key.label, "sk-pb-v1-aba...bab");
        assert!(!key.hash.contains(&key.secret));
        assert!(is_well_formed(&key.secret));
    }

    #[test]
    fn the_digest_is_sha_256() {
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn other_texts_do_not_have_the_form_of_a_key() {
        let key = MintedKey::new(&[7; 32]).secret;
        let upper = format!("{PREFIX}{}", "A".repeat(64));
        let longer = format!("{key}0");
        for text in [
            "",
            PREFIX,
            key.trim_start_matches('s'),
            key.trim_end_matches('7'),
            &longer,
            &upper,
        ] {
            assert!(!is_well_formed(text), "{text}");
        }
    }

    #[test]
    fn a_key_may_come_in_either_header() {
        let key = MintedKey::new(&[7; 32]).secret;
        let token = format!("Bearer {key}");
        assert_eq!(sent(Some(&token), None), Some(key.as_str()));
        assert_eq!(sent(None, Some(&key)), Some(key.as_str()));
        assert_eq!(sent(Some("Bearer other"), Some(&key)), Some(key.as_str()));
        assert_eq!(sent(Some(&token), Some("sk-ant-other")), Some(key.as_str()));
        assert_eq!(sent(Some("Bearer other"), Some("")), Some("other"));
        assert_eq!(sent(None, Some(" ")), None);
    }

    #[test]
    fn only_a_bearer_token_of_sane_length_is_a_key() {
        assert_eq!(bearer("Bearer sk-1"), Some("sk-1"));
        assert_eq!(bearer("bearer   sk-1 "), Some("sk-1"));
        assert_eq!(bearer("Basic sk-1"), None);
        assert_eq!(bearer("Bearer "), None);
        assert_eq!(
            bearer(&format!("Bearer {}", "x".repeat(MAX_LENGTH + 1))),
            None
        );
    }
}
