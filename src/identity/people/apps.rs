//! Codes that apps exchange for a key (OAuth with PKCE, RFC 7636, in OpenRouter's words).
//!
//! A code is for one exchange within ten minutes, and only with the verifier of its challenge. One that comes again was read by
//! somebody else: the key that it made ends.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    credits::{money::Nanos, periods::Reset},
    database::{Database, Row},
    error::{Error, ErrorType, Result},
};

use super::{broken, cookie::is_loopback, digest, flow::challenge, refused, signer::same};

/// How long a code may be exchanged, in milliseconds.
pub const LIFETIME_MS: i64 = 10 * 60 * 1_000;

/// How a challenge comes of its verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Method {
    /// By SHA-256.
    S256,
    /// It is the verifier.
    #[serde(rename = "plain")]
    Plain,
}

impl Method {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S256 => "S256",
            Self::Plain => "plain",
        }
    }

    /// The method of a word.
    ///
    /// # Errors
    /// 400 with the field.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "S256" => Ok(Self::S256),
            "plain" => Ok(Self::Plain),
            _ => Err(Error::invalid(
                "code_challenge_method",
                "code_challenge_method is S256 or plain",
            )),
        }
    }
}

/// What an app asks for, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Where the code goes; on the screen where it goes nowhere.
    pub callback: Option<Callback>,
    /// The challenge, and how it was made.
    pub challenge: Option<(String, Method)>,
}

impl Asked {
    /// Checks what was sent.
    ///
    /// # Errors
    /// 400 with the field.
    pub fn read(
        callback: Option<&str>,
        challenge: Option<&str>,
        method: Option<&str>,
    ) -> Result<Self> {
        let callback = callback.map(Callback::parse).transpose()?;
        // A challenge without a method is its own verifier (RFC 7636 §4.3).
        let method = method.map(Method::parse).transpose()?;
        let challenge = match challenge {
            Some(text) if is_verifier(text) => {
                Some((text.to_owned(), method.unwrap_or(Method::Plain)))
            }
            Some(_) => {
                let message = "A code challenge has 43 to 128 letters, digits, -, ., _ or ~";
                return Err(Error::invalid("code_challenge", message));
            }
            None if method.is_some() => {
                return Err(Error::invalid(
                    "code_challenge",
                    "The code challenge is missing",
                ));
            }
            None if callback.is_none() => {
                let message = "Without a callback_url a code_challenge is needed";
                return Err(Error::invalid("code_challenge", message));
            }
            None => None,
        };
        Ok(Self {
            callback,
            challenge,
        })
    }
}

fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Where a code goes: an https address, or http on the person's own machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The whole address.
    pub url: String,
    /// Scheme, host and port.
    pub origin: String,
}

impl Callback {
    /// Checks an address.
    ///
    /// # Errors
    /// 400 that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |message: &str| Error::invalid("callback_url", message);
        let is_odd = |c: char| {
            c.is_control() || c.is_whitespace() || !c.is_ascii() || "\\\"<>^`{|}".contains(c)
        };
        if text.len() > 2_048 || text.contains(is_odd) {
            return Err(invalid("callback_url is no address"));
        }
        if text.contains('#') {
            return Err(invalid("callback_url takes no fragment"));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| invalid("callback_url is no address"))?;
        let authority = rest
            .split(['/', '?'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let is_https = scheme.eq_ignore_ascii_case("https");
        let is_local = scheme.eq_ignore_ascii_case("http") && is_loopback(&authority);
        if !is_https && !is_local {
            return Err(invalid("callback_url is https, or http at localhost"));
        }
        if authority.contains('@') || !is_authority(&authority) {
            return Err(invalid(
                "callback_url has a host, without a name or password",
            ));
        }
        let scheme = scheme.to_ascii_lowercase();
        let path = rest.get(authority.len()..).unwrap_or_default();
        Ok(Self {
            url: format!("{scheme}://{authority}{path}"),
            origin: format!("{scheme}://{authority}"),
        })
    }

    /// The host that people are shown.
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, host)| host)
    }
}

/// A name or address, perhaps with a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, port)) if inner.parse::<std::net::Ipv6Addr>().is_ok() => {
            ("v6", port.strip_prefix(':').unwrap_or(port))
        }
        Some(_) => return false,
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let has_labels = host
        .trim_end_matches('.')
        .split('.')
        .all(|label| !label.is_empty());
    has_labels
        && host.bytes().all(is_name)
        && (port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// A code, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Whose credits the key spends.
    pub account: String,
    /// Whose the key will be.
    pub user: Option<String>,
    /// The key that asked for the code, where no person did.
    pub by_key: Option<String>,
    /// The app's origin.
    pub app: Option<String>,
    /// The challenge, and how it was made.
    pub challenge: Option<(String, Method)>,
    /// The key's name.
    pub key_name: String,
    /// Its limit.
    pub limit: Option<Nanos>,
    /// The period of the limit.
    pub limit_reset: Option<Reset>,
    /// When the key ends.
    pub key_expires_at: Option<i64>,
    /// When the code was made, unix milliseconds.
    pub created_at: i64,
    used_at: Option<i64>,
    key_hash: Option<String>,
    expires_at: i64,
}

/// What becomes of a code that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// It makes a key.
    Granted(Box<Code>),
    /// It made a key before, which ends now: account and hash.
    Replayed(String, String),
}

impl Code {
    /// A code that nobody has sent yet.
    pub fn new(
        account: &str,
        user: Option<&str>,
        asked: &Asked,
        key_name: String,
        now: i64,
    ) -> Self {
        Self {
            account: account.to_owned(),
            user: user.map(str::to_owned),
            by_key: None,
            app: asked
                .callback
                .as_ref()
                .map(|callback| callback.origin.clone()),
            challenge: asked.challenge.clone(),
            key_name,
            limit: None,
            limit_reset: None,
            key_expires_at: None,
            created_at: now,
            used_at: None,
            key_hash: None,
            expires_at: now + LIFETIME_MS,
        }
    }

    fn from_row(row: &Row) -> Result<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| row.get(name).and_then(Value::as_i64);
        let code = || {
            let method = text("challenge_method").and_then(|word| Method::parse(&word).ok());
            Some(Self {
                account: text("account")?,
                user: text("user"),
                by_key: text("by_key"),
                app: text("app"),
                challenge: text("challenge").zip(method),
                key_name: text("key_name")?,
                limit: number("limit_nanos").map(Nanos::new).transpose().ok()?,
                limit_reset: text("limit_reset").and_then(|word| Reset::parse(&word)),
                key_expires_at: number("key_expires_at"),
                created_at: number("created_at")?,
                used_at: number("used_at"),
                key_hash: text("key_hash"),
                expires_at: number("expires_at")?,
            })
        };
        code().ok_or_else(|| broken("app_codes"))
    }

    /// Whether this verifier is that of the challenge, by this method if one is named.
    fn is_proven_by(&self, verifier: Option<&str>, method: Option<Method>) -> bool {
        match (&self.challenge, verifier) {
            (None, _) => true,
            (Some((wanted, own)), Some(verifier)) if method.is_none_or(|method| method == *own) => {
                is_verifier(verifier)
                    && match own {
                        Method::S256 => same(wanted, &challenge(verifier)),
                        Method::Plain => same(wanted, verifier),
                    }
            }
            (Some(_), _) => false,
        }
    }
}

/// A code that is not there, over, or sent with the wrong verifier: one answer for all.
fn no_code() -> Error {
    refused(
        ErrorType::PermissionDenied,
        "The code or its verifier is not valid (any more)",
    )
}

/// Keeps a code; `only` refuses (false) a challenge of which the account has a code already.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn insert(database: &impl Database, code: &Code, hash: &str, only: bool) -> Result<bool> {
    let sql = "INSERT INTO app_codes (hash, account, user, app, challenge, challenge_method, key_name, limit_nanos, limit_reset, key_expires_at, created_at, expires_at, by_key) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 WHERE ?14 = 0 OR NOT EXISTS (SELECT 1 FROM app_codes WHERE account = ?2 AND challenge = ?5) RETURNING hash";
    let (challenge, method) = code.challenge.clone().unzip();
    let params = [
        hash.into(),
        code.account.as_str().into(),
        code.user.as_deref().into(),
        code.app.as_deref().into(),
        challenge.as_deref().into(),
        method.map(Method::as_str).into(),
        code.key_name.as_str().into(),
        code.limit.into(),
        code.limit_reset.map(Reset::as_str).into(),
        code.key_expires_at.into(),
        code.created_at.into(),
        code.expires_at.into(),
        code.by_key.as_deref().into(),
        only.into(),
    ];
    Ok(!database.query(sql, &params).await?.is_empty())
}

/// Exchanges a code: from here on it is used, for the key of this hash.
///
/// # Errors
/// 403 where there is no such code, its time is over, or the verifier is another's.
pub async fn exchange(
    database: &impl Database,
    sent: &str,
    verifier: Option<&str>,
    method: Option<Method>,
    key_hash: &str,
    now: i64,
) -> Result<Exchange> {
    let hash = digest(sent).ok_or_else(no_code)?;
    let find = "SELECT * FROM app_codes WHERE hash = ?1";
    let read = async || -> Result<Option<Code>> {
        let rows = database.query(find, &[hash.as_str().into()]).await?;
        rows.first().map(Code::from_row).transpose()
    };
    let code = read().await?.ok_or_else(no_code)?;
    // First of all: who cannot prove to be the app ends nobody's key.
    if !code.is_proven_by(verifier, method) {
        return Err(no_code());
    }
    let claim = "UPDATE app_codes SET used_at = ?2, key_hash = ?3 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 RETURNING hash";
    let params = [hash.as_str().into(), now.into(), key_hash.into()];
    if !database.query(claim, &params).await?.is_empty() {
        return Ok(Exchange::Granted(Box::new(code)));
    }
    let revoke = "UPDATE app_codes SET revoked_at = ?2 WHERE hash = ?1 AND used_at IS NOT NULL RETURNING account, key_hash";
    let rows = database
        .query(revoke, &[hash.as_str().into(), now.into()])
        .await?;
    let text = |name: &str| {
        rows.first()
            .and_then(|row| row.get(name)?.as_str().map(str::to_owned))
    };
    match text("account").zip(text("key_hash")) {
        Some((account, key)) => Ok(Exchange::Replayed(account, key)),
        None => Err(no_code()),
    }
}

/// Whether a code came again while its key was being made.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn is_revoked(database: &impl Database, sent: &str) -> Result<bool> {
    let sql = "SELECT 1 AS found FROM app_codes WHERE hash = ?1 AND revoked_at IS NOT NULL";
    let hash = digest(sent).unwrap_or_default();
    Ok(!database
        .query(sql, &[hash.as_str().into()])
        .await?
        .is_empty())
}

/// What a code that came again is answered, as any other that is not valid.
pub fn replayed() -> Error {
    no_code()
}

/// A number for an app, always the same for one origin.
pub fn app_id(origin: Option<&str>) -> u64 {
    let digest = crate::identity::keys::hash(origin.unwrap_or_default());
    // 52 bits: whole in JavaScript.
    u64::from_str_radix(digest.get(..13).unwrap_or_default(), 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn a_callback_is_https_or_this_machine() {
        for (text, origin) in [
            ("https://app.example/cb?x=1", "https://app.example"),
            ("HTTPS://App.Example:8443/Cb", "https://app.example:8443"),
            ("https://app.example", "https://app.example"),
            ("https://app.example?x", "https://app.example"),
            ("http://localhost:51763/cb", "http://localhost:51763"),
            ("http://127.0.0.1:1/", "http://127.0.0.1:1"),
            ("http://[::1]:3000/", "http://[::1]:3000"),
            ("https://[2001:db8::1]/", "https://[2001:db8::1]"),
        ] {
            assert_eq!(Callback::parse(text).unwrap().origin, origin, "{text}");
        }
        let long = format!("https://a.example/{}", "x".repeat(2_048));
        for text in [
            "",
            "app.example",
            "//app.example",
            "http://app.example/",
            "http://127.0.0.1.evil.example/",
            "http://localhost@evil.example/",
            "https://user:pw@app.example/",
            "https://localhost:3000@evil.example",
            "javascript://localhost/%0aalert(1)",
            "ftp://localhost/",
            "data:text/html,x",
            "https://",
            "https:///path",
            "https://a..b/",
            "https://a.example:x/",
            "https://a.example:0/",
            "https://a.example:99999/",
            "https://a.example/#x",
            "https://a.example/\r\nset-cookie: x",
            "https://a.example\\@evil.example",
            "https://a.example/ b",
            "https://[::1/",
            "https://[zz]/",
            "custom://callback",
            &long,
        ] {
            let error = Callback::parse(text).unwrap_err();
            assert_eq!(
                (error.status, error.param.as_deref()),
                (400, Some("callback_url")),
                "{text}"
            );
        }
        let path = Callback::parse("HTTPS://App.Example/Cb?X=Y").unwrap();
        assert_eq!(
            (path.url.as_str(), path.host()),
            ("https://app.example/Cb?X=Y", "app.example")
        );
    }

    #[test]
    fn what_is_asked_for_needs_a_challenge_where_nothing_is_called_back() {
        let read = |callback, challenge, method| {
            Asked::read(callback, challenge, method)
                .map_err(|error| error.param.unwrap_or_default())
        };
        let https = Some("https://app.example/");
        assert_eq!(read(https, None, None).unwrap().challenge, None);
        assert_eq!(
            read(https, Some(CHALLENGE), Some("S256"))
                .unwrap()
                .challenge,
            Some((CHALLENGE.into(), Method::S256))
        );
        assert_eq!(
            read(None, Some(CHALLENGE), None).unwrap().challenge,
            Some((CHALLENGE.into(), Method::Plain))
        );
        for (challenge, method, param) in [
            (None, None, "code_challenge"),
            (None, Some("S256"), "code_challenge"),
            (Some("short"), Some("S256"), "code_challenge"),
            (Some(CHALLENGE), Some("s256"), "code_challenge_method"),
            (Some(CHALLENGE), Some("MD5"), "code_challenge_method"),
        ] {
            assert_eq!(read(None, challenge, method).unwrap_err(), param);
        }
    }

    #[test]
    fn only_the_verifier_of_the_challenge_proves_the_app() {
        let code = |challenge: Option<(&str, Method)>| {
            let asked = Asked {
                callback: None,
                challenge: challenge.map(|(text, method)| (text.to_owned(), method)),
            };
            Code::new("acc", None, &asked, "app".into(), 0)
        };
        let hashed = code(Some((CHALLENGE, Method::S256)));
        assert!(hashed.is_proven_by(Some(VERIFIER), None));
        assert!(hashed.is_proven_by(Some(VERIFIER), Some(Method::S256)));
        for (verifier, method) in [
            (None, None),
            (Some(CHALLENGE), None),
            (Some(VERIFIER), Some(Method::Plain)),
            (Some(""), None),
        ] {
            assert!(
                !hashed.is_proven_by(verifier, method),
                "{verifier:?} {method:?}"
            );
        }
        let plain = code(Some((VERIFIER, Method::Plain)));
        assert!(plain.is_proven_by(Some(VERIFIER), Some(Method::Plain)));
        assert!(!plain.is_proven_by(Some(CHALLENGE), None));
        assert!(code(None).is_proven_by(None, None));
    }

    #[test]
    fn an_app_has_one_number() {
        let id = app_id(Some("https://app.example"));
        assert_eq!(id, app_id(Some("https://app.example")));
        assert_ne!(id, app_id(Some("https://app.example:8443")));
        assert!(id < 1 << 52);
    }
}
