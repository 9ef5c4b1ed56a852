//! What an account says of a destination: read against its type's fields, masked to be shown, merged on a change.
//!
//! A configuration is kept twice: whole and sealed, and masked as it is shown. A change may send masked values back: they mean
//! what was there. Where an address changes, secrets have to be sent again, so that nobody who sees a masked secret can have it
//! sent elsewhere. Out of scope: whether an address may be sent to ([`super::address`]).

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value};

use super::{
    address,
    kind::{Base, Field, Form, Holds, Kind, Sent},
};
use crate::{
    error::{Error, Result},
    server_tools::Address,
};

/// The longest text of a field.
const MAX_TEXT: usize = 1_024;
/// The longest secret.
const MAX_SECRET: usize = 8_192;
/// The most headers.
const MAX_HEADERS: usize = 32;
/// A secret at least this long shows both of its ends.
const SHOWS_ENDS: usize = 16;
/// What a shorter secret is shown as.
const HIDDEN: &str = "********";
/// Headers that belong to the sender.
const RESERVED: [&str; 11] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "x-test-connection",
];

/// A checked configuration.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Config(Map<String, Value>);

impl Config {
    /// Reads a new configuration.
    ///
    /// # Errors
    /// 400 with the path of the field; no message quotes a secret.
    pub fn read(kind: &Kind, sent: Map<String, Value>) -> Result<Self> {
        let mut fields = Map::new();
        for (name, value) in sent {
            let field = field(kind, &name)?;
            if !value.is_null() {
                fields.insert(name, checked(field, value)?);
            }
        }
        let config = Self(fields);
        config.check(kind)?;
        Ok(config)
    }

    /// What was [sealed](Self::to_text).
    ///
    /// # Errors
    /// When it is no configuration.
    pub fn from_text(text: &str) -> Result<Self> {
        crate::json::from_str(text)
            .map(Self)
            .map_err(|_| Error::internal("a destination's configuration is no JSON object"))
    }

    /// The whole of it, to be sealed.
    pub fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// This configuration with a change in it: what is absent stays, `null` goes, a masked value means what is there.
    ///
    /// # Errors
    /// As [`read`](Self::read); also where an address changes and its secrets do not come along.
    pub fn changed(&self, kind: &Kind, sent: Map<String, Value>) -> Result<Self> {
        let shown = self.shown(kind);
        let mut fields = self.0.clone();
        let mut renewed = Vec::new();
        for (name, value) in sent {
            let field = field(kind, &name)?;
            if value.is_null() {
                fields.remove(&name);
                continue;
            }
            let is_kept = is_secret(field.holds) && has_mask(&value, shown.get(&name));
            let value = self.unmasked(field, value, &shown);
            if !is_kept {
                renewed.push(field.name);
            }
            fields.insert(name, checked(field, value)?);
        }
        let config = Self(fields);
        config.check(kind)?;
        let moved = kind.fields.iter().find(|field| {
            matches!(field.holds, Holds::Address | Holds::Account)
                && self.text(kind, field.name) != config.text(kind, field.name)
        });
        if let Some(moved) = moved {
            let kept = kind.all_fields().find(|field| {
                is_secret(field.holds)
                    && config.0.contains_key(field.name)
                    && !renewed.contains(&field.name)
            });
            if let Some(kept) = kept {
                let message = format!(
                    "Where {} changes, {} has to be sent again: a masked secret goes to no new address",
                    moved.name, kept.name
                );
                return Err(Error::invalid(path(kept.name), message));
            }
        }
        Ok(config)
    }

    /// What may be shown of it: defaults filled in, secrets masked.
    pub fn shown(&self, kind: &Kind) -> Map<String, Value> {
        let mut shown = Map::new();
        for field in kind.all_fields() {
            let value = match self.0.get(field.name) {
                Some(Value::Object(headers)) => {
                    let masked = headers.iter().map(|(name, value)| {
                        (
                            name.clone(),
                            masked(value.as_str().unwrap_or_default()).into(),
                        )
                    });
                    Value::Object(masked.collect())
                }
                Some(Value::String(text)) => match field.holds {
                    Holds::PrivateKey => HIDDEN.into(),
                    holds if is_secret(holds) => masked(text).into(),
                    _ => text.as_str().into(),
                },
                Some(_) => continue,
                None => match field.default {
                    Some(default) => default.into(),
                    None => continue,
                },
            };
            shown.insert(field.name.to_owned(), value);
        }
        shown
    }

    /// A field's text, or its default.
    pub fn text(&self, kind: &Kind, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(value) => value.as_str(),
            None => kind.all_fields().find(|field| field.name == name)?.default,
        }
    }

    /// A field's text; empty where there is none.
    pub fn word(&self, kind: &Kind, name: &str) -> &str {
        self.text(kind, name).unwrap_or_default()
    }

    /// The headers that the account adds.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.0.get("headers").and_then(Value::as_object);
        headers
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    /// Every secret in it, to be cut out of what a receiver says.
    pub fn secrets(&self, kind: &Kind) -> Vec<&str> {
        let fields = kind.fields.iter().filter(|field| is_secret(field.holds));
        let fields = fields.filter_map(|field| self.0.get(field.name)?.as_str());
        fields
            .chain(self.headers().map(|(_, value)| value))
            .filter(|secret| secret.len() >= 4)
            .collect()
    }

    /// Fills the fields into a text; `None` where one is absent.
    pub fn fill(&self, kind: &Kind, template: &str) -> Option<String> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            filled.push_str(before);
            filled.push_str(self.text(kind, name)?);
            rest = after;
        }
        filled.push_str(rest);
        Some(filled)
    }

    /// A header of the type's; `None` where a field of it is absent.
    pub fn header(&self, kind: &Kind, value: Sent) -> Option<String> {
        match value {
            Sent::Text(template) => self.fill(kind, template),
            Sent::Basic(user, password) => {
                let pair = format!("{}:{}", self.text(kind, user)?, self.text(kind, password)?);
                Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
            }
            Sent::DsnKey(before, name) => {
                let (_, rest) = self.text(kind, name)?.split_once("://")?;
                let key = rest.split(['@', ':']).next()?;
                Some(format!("{before}{key}"))
            }
        }
    }

    /// Where a receiver of OTLP listens.
    pub fn base(&self, kind: &Kind, base: Base) -> Option<String> {
        match base {
            Base::Field(name) => self.text(kind, name).map(str::to_owned),
            Base::Sibling { field, from, to } => {
                let text = self.text(kind, field)?;
                let (scheme, rest) = text.split_once("://")?;
                let rest = match rest.strip_prefix(from) {
                    Some(site) => format!("{to}{site}"),
                    None => rest.to_owned(),
                };
                Some(format!("{scheme}://{rest}"))
            }
            Base::Region(name, by, regions) => match self.text(kind, name) {
                Some(text) => Some(text.to_owned()),
                None => {
                    let word = self.text(kind, by)?;
                    let found = regions.iter().find(|(region, _)| *region == word)?;
                    Some(found.1.to_owned())
                }
            },
        }
    }

    /// Every address that is sent to: the field that names it, and the address.
    pub fn addresses(&self, kind: &Kind) -> Vec<(&'static str, String)> {
        let named = kind
            .fields
            .iter()
            .filter(|field| field.holds == Holds::Address);
        let mut all: Vec<(&'static str, String)> = named
            .filter_map(|field| Some((field.name, self.text(kind, field.name)?.to_owned())))
            .collect();
        if let Form::Otlp(otlp) = &kind.form
            && let Base::Sibling { field, .. } = otlp.base
        {
            all.extend(self.base(kind, otlp.base).map(|base| (field, base)));
        }
        all
    }

    /// What no field can tell alone.
    fn check(&self, kind: &Kind) -> Result<()> {
        for field in kind.fields.iter().filter(|field| field.required) {
            if !self.0.contains_key(field.name) {
                return Err(Error::invalid(
                    path(field.name),
                    format!("{} is missing", field.name),
                ));
            }
        }
        let has = |name: &str| self.0.contains_key(name);
        match kind.name {
            "snowflake" if !(has("token") || has("user") && has("privateKey")) => {
                Err(Error::invalid(
                    path("token"),
                    "Send a programmatic access token as token, or user and privateKey",
                ))
            }
            "s3" if !has("endpoint") && !has("region") => Err(Error::invalid(
                path("region"),
                "region is missing: without an endpoint the bucket is one of AWS's",
            )),
            _ => Ok(()),
        }
    }

    /// A value as it was before it was masked.
    fn unmasked(&self, field: &Field, value: Value, shown: &Map<String, Value>) -> Value {
        match (field.holds, value) {
            (Holds::Headers, Value::Object(headers)) => {
                let kept = self.0.get(field.name).and_then(Value::as_object);
                let masks = shown.get(field.name).and_then(Value::as_object);
                let headers = headers.into_iter().map(|(name, value)| {
                    let name = name.to_ascii_lowercase();
                    let mask = masks.and_then(|masks| masks.get(&name));
                    let old = kept.and_then(|kept| kept.get(&name));
                    match old.filter(|_| mask == Some(&value)) {
                        Some(old) => (name, old.clone()),
                        None => (name, value),
                    }
                });
                Value::Object(headers.collect())
            }
            (holds, value) if is_secret(holds) && shown.get(field.name) == Some(&value) => {
                self.0.get(field.name).cloned().unwrap_or(value)
            }
            (_, value) => value,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Whether what is sent is a mask, or a header among it is.
fn has_mask(sent: &Value, shown: Option<&Value>) -> bool {
    match (sent, shown) {
        (Value::Object(sent), Some(Value::Object(shown))) => sent
            .iter()
            .any(|(name, value)| shown.get(&name.to_ascii_lowercase()) == Some(value)),
        (sent, shown) => Some(sent) == shown,
    }
}

fn is_secret(holds: Holds) -> bool {
    matches!(
        holds,
        Holds::Secret | Holds::Dsn | Holds::PrivateKey | Holds::Headers
    )
}

fn field<'a>(kind: &'a Kind, name: &str) -> Result<&'a Field> {
    let found = kind.all_fields().find(|field| field.name == name);
    found.ok_or_else(|| {
        let message = format!("A destination of type {} has no field {name}", kind.name);
        Error::invalid(path(name), message)
    })
}

fn path(name: &str) -> String {
    format!("config.{name}")
}

/// Both ends of a long secret, nothing of a short one.
fn masked(secret: &str) -> String {
    let length = secret.len();
    match (
        secret.get(..4),
        length.checked_sub(4).and_then(|at| secret.get(at..)),
    ) {
        (Some(head), Some(tail)) if length >= SHOWS_ENDS => format!("{head}...{tail}"),
        _ => HIDDEN.to_owned(),
    }
}

fn checked(field: &Field, value: Value) -> Result<Value> {
    let wrong = |what: &str| Error::invalid(path(field.name), format!("{}: {what}", field.name));
    if field.holds == Holds::Headers {
        return headers(value);
    }
    let text = value.as_str().ok_or_else(|| wrong("expected text"))?.trim();
    if text.is_empty() {
        return Err(wrong("it is empty"));
    }
    let most = if is_secret(field.holds) {
        MAX_SECRET
    } else {
        MAX_TEXT
    };
    if text.len() > most {
        return Err(wrong("it is too long"));
    }
    let is_pem = field.holds == Holds::PrivateKey;
    if !is_pem && text.chars().any(char::is_control) {
        return Err(wrong("it holds control characters"));
    }
    let is_name = |text: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
        text.len() <= 255
            && text.bytes().all(inner)
            && !text.starts_with(|c: char| c.is_ascii_digit() || c == '$')
    };
    match field.holds {
        Holds::Text if !text.is_ascii() => Err(wrong("expected ASCII characters")),
        Holds::Secret
            if !text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ') =>
        {
            Err(wrong("expected visible ASCII characters"))
        }
        Holds::Address => {
            let address = Address::parse(text).map_err(|refused| {
                Error::invalid(path(field.name), format!("{}: {refused}", field.name))
            })?;
            address::check_port(&address).map_err(wrong)?;
            let text = address.to_string();
            Ok(text.strip_suffix('/').unwrap_or(&text).into())
        }
        Holds::Dsn if !is_dsn(text) => Err(wrong("expected https://<public key>@<host>/<project>")),
        Holds::Choice(words) if !words.contains(&text) => {
            Err(wrong(&format!("expected {}", words.join(" or "))))
        }
        Holds::Identifier if !is_name(text) => Err(wrong(
            "expected letters, digits, _ and $, not beginning with a digit",
        )),
        Holds::Account if !is_account(text) => Err(wrong(
            "expected an account identifier such as myorg-account",
        )),
        Holds::PrivateKey if pem(text).is_none() => {
            Err(wrong("expected an unencrypted PKCS#8 key in PEM"))
        }
        _ => Ok(text.into()),
    }
}

/// The DER inside a PKCS#8 PEM.
pub(super) fn pem(text: &str) -> Option<Vec<u8>> {
    let body = text
        .trim()
        .strip_prefix("-----BEGIN PRIVATE KEY-----")?
        .strip_suffix("-----END PRIVATE KEY-----")?;
    // Keys are often pasted with their line ends escaped.
    let base64: String = body.replace("\\n", "").split_whitespace().collect();
    let der = BASE64_STANDARD.decode(base64).ok()?;
    (!der.is_empty()).then_some(der)
}

fn is_dsn(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else {
        return false;
    };
    let Some((key, rest)) = rest.split_once('@') else {
        return false;
    };
    let key = key.split(':').next().unwrap_or_default();
    let project = rest.trim_end_matches('/').rsplit('/').next();
    !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && rest.contains('/')
        && project
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Words of letters, digits and `_`, with one dot or hyphen between any two: it becomes part of a host's name.
fn is_account(text: &str) -> bool {
    text.len() <= 255
        && text.split(['.', '-']).all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}

fn headers(value: Value) -> Result<Value> {
    let Value::Object(sent) = value else {
        return Err(Error::invalid(
            path("headers"),
            "headers is an object of texts",
        ));
    };
    if sent.len() > MAX_HEADERS {
        let message = format!("At most {MAX_HEADERS} headers");
        return Err(Error::invalid(path("headers"), message));
    }
    let mut headers = Map::new();
    for (name, value) in sent {
        let at = format!("config.headers.{name}");
        let lower = name.to_ascii_lowercase();
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if lower.is_empty() || lower.len() > 128 || !lower.bytes().all(is_token) {
            return Err(Error::invalid(at, "It is no name of a header"));
        }
        if RESERVED.contains(&lower.as_str())
            || lower.starts_with("cf-")
            || lower.starts_with("proxy-")
        {
            return Err(Error::invalid(at, "This header is the sender's own"));
        }
        let text = value.as_str().map(str::trim).filter(|text| {
            text.len() <= MAX_SECRET
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        });
        let text = text.ok_or_else(|| {
            Error::invalid(
                at.clone(),
                "A header's value is visible ASCII characters and spaces",
            )
        })?;
        headers.insert(lower, text.into());
    }
    Ok(Value::Object(headers))
}

#[cfg(test)]
#[path = "config_tests.rs"]
pub(super) mod tests;
