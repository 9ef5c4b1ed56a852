//! What requests say of imported sources.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    json,
    server_tools::Address,
    tools::{
        catalog::{AuthKind, Source as Kind},
        imports::{
            auth::is_header,
            settings::{AuthChoice, Settings},
        },
    },
};

/// The most headers for fetching.
const MAX_HEADERS: usize = 10;
/// The longest value of one, and the longest key.
const MAX_VALUE: usize = 4_096;
/// Settings that the reading of a document depends on.
const READ_BY: [&str; 4] = ["server", "server_variables", "auth", "trust_annotations"];

/// Whether what was read last is accepted: `true`, or its digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Accept {
    /// Whatever it is.
    Any(bool),
    /// If it is this.
    Digest(String),
}

impl Accept {
    pub(super) fn is_meant(&self) -> bool {
        *self != Self::Any(false)
    }

    pub(super) fn digest(&self) -> Option<&String> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Any(_) => None,
        }
    }
}

/// A new source.
pub(super) struct New {
    pub kind: Kind,
    pub slug: Option<String>,
    pub url: Option<String>,
    pub document: Option<Value>,
    pub headers: Vec<(String, String)>,
    pub key: Option<String>,
    pub dry_run: bool,
    pub settings: Settings,
}

/// A change of one.
pub(super) struct Change {
    pub url: Option<String>,
    pub document: Option<Value>,
    pub headers: Option<Vec<(String, String)>>,
    pub enabled: Option<bool>,
    pub accept: Option<Accept>,
    pub settings: Option<Settings>,
    /// It is read again, because it is read otherwise.
    pub rereads: bool,
}

/// Another reading.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Reread {
    /// The document, where it is read from no address.
    pub document: Option<Value>,
    /// Accepts what is read.
    pub accept: Option<Accept>,
}

/// A key as a bearer token.
pub(super) fn bearer() -> AuthChoice {
    AuthChoice {
        kind: Some(AuthKind::Bearer),
        ..AuthChoice::default()
    }
}

impl New {
    pub(super) fn read(mut body: Map<String, Value>) -> Result<Self> {
        let kind = match take::<Option<String>>(&mut body, "kind")?.as_deref() {
            None | Some("openapi") => Kind::Openapi,
            Some("mcp") => Kind::Mcp,
            Some(_) => return Err(Error::invalid("kind", "kind is openapi or mcp")),
        };
        let new = Self {
            kind,
            slug: take(&mut body, "slug")?,
            url: url(&mut body)?,
            document: take(&mut body, "document")?,
            headers: headers(&mut body)?.unwrap_or_default(),
            key: key(&mut body)?,
            dry_run: take::<Option<bool>>(&mut body, "dry_run")?.unwrap_or_default(),
            settings: settings(body)?,
        };
        if kind == Kind::Mcp && new.document.is_some() {
            let message = "An MCP server is read from its url";
            return Err(Error::invalid("document", message));
        }
        Ok(new)
    }
}

impl Change {
    /// Settings that are absent stay, and `null` clears.
    pub(super) fn read(mut body: Map<String, Value>, now: &Settings) -> Result<Self> {
        let change = Self {
            url: url(&mut body)?,
            document: take(&mut body, "document")?,
            headers: headers(&mut body)?,
            enabled: take(&mut body, "enabled")?,
            accept: take(&mut body, "accept")?,
            settings: None,
            rereads: READ_BY.iter().any(|name| body.contains_key(*name)),
        };
        if body.is_empty() {
            return Ok(change);
        }
        let mut merged = match serde_json::to_value(now) {
            Ok(Value::Object(merged)) => merged,
            _ => Map::new(),
        };
        merged.extend(body);
        Ok(Self {
            settings: Some(settings(merged)?),
            ..change
        })
    }
}

fn take<T: serde::de::DeserializeOwned>(body: &mut Map<String, Value>, name: &str) -> Result<T> {
    let value = body.remove(name).unwrap_or_default();
    json::from_value(&value).map_err(|error| Error::invalid(name, error.to_string()))
}

fn settings(mut body: Map<String, Value>) -> Result<Settings> {
    body.retain(|_, value| !value.is_null());
    // By its field where that can be told.
    if let Some((name, value)) = body.iter().find(|(name, value)| {
        let one = Map::from_iter([((*name).clone(), (*value).clone())]);
        json::from_value::<Settings>(&one.into()).is_err()
    }) {
        let one = Map::from_iter([(name.clone(), value.clone())]);
        let error = json::from_value::<Settings>(&one.into()).err();
        let why = error.map_or(String::new(), |error| error.to_string());
        return Err(Error::invalid(name.clone(), why));
    }
    json::from_value(&body.into()).map_err(|error| Error::invalid("body", error.to_string()))
}

fn url(body: &mut Map<String, Value>) -> Result<Option<String>> {
    let url: Option<String> = take(body, "url")?;
    let read = url.map(|url| Address::parse(&url).map(|address| address.to_string()));
    read.transpose()
        .map_err(|refused| Error::invalid("url", refused.to_string()))
}

fn key(body: &mut Map<String, Value>) -> Result<Option<String>> {
    let key: Option<String> = take(body, "key")?;
    let key = key.map(|key| key.trim().to_owned());
    let is_fit = |key: &String| {
        (1..=MAX_VALUE).contains(&key.len())
            && key
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    if key.as_ref().is_some_and(|key| !is_fit(key)) {
        return Err(Error::invalid(
            "key",
            "The key is empty, or holds other than visible ASCII characters",
        ));
    }
    Ok(key)
}

fn headers(body: &mut Map<String, Value>) -> Result<Option<Vec<(String, String)>>> {
    let sent: Option<Map<String, Value>> = take(body, "headers")?;
    let Some(sent) = sent else {
        return Ok(None);
    };
    if sent.len() > MAX_HEADERS {
        let message = format!("At most {MAX_HEADERS} headers are kept");
        return Err(Error::invalid("headers", message));
    }
    let is_fit = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let read = |(name, value): (String, Value)| match value {
        Value::String(text)
            if is_header(&name) && text.len() <= MAX_VALUE && text.bytes().all(is_fit) =>
        {
            Ok((name.to_ascii_lowercase(), text))
        }
        _ => Err(Error::invalid(
            format!("headers.{name}"),
            "This header cannot be sent",
        )),
    };
    sent.into_iter().map(read).collect::<Result<_>>().map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (value, param) in [
            (json!({"kind": "soap"}), "kind"),
            (json!({"url": "file:///etc/passwd"}), "url"),
            (json!({"url": "https://u:p@a.example/"}), "url"),
            (json!({"headers": {"host": "x"}}), "headers.host"),
            (json!({"headers": {"x-a": "b\nc"}}), "headers.x-a"),
            (json!({"headers": {"x-a": 1}}), "headers.x-a"),
            (json!({"key": " "}), "key"),
            (json!({"include": "a"}), "include"),
            (
                json!({"operations": {"a": {"effect": "harmless"}}}),
                "operations",
            ),
            (json!({"nonsense": 1}), "nonsense"),
            (json!({"kind": "mcp", "document": {}}), "document"),
        ] {
            let error = New::read(body(value.clone())).err().unwrap();
            assert_eq!(error.param.as_deref(), Some(param), "{value}");
        }
    }

    #[test]
    fn what_is_absent_stays_and_null_clears() {
        let now = Settings {
            name: Some("Mine".into()),
            exclude: vec!["a".into()],
            ..Settings::default()
        };
        let change = |value: Value| Change::read(body(value), &now).unwrap();
        assert_eq!(change(json!({"enabled": false})).settings, None);
        let settings = change(json!({"name": null, "include": ["b*"]})).settings;
        let settings = settings.unwrap();
        assert_eq!(
            (settings.name, settings.exclude),
            (None, vec!["a".to_owned()])
        );
        assert_eq!(settings.include, Some(vec!["b*".to_owned()]));
        assert!(change(json!({"server": "https://b.example"})).rereads);
        assert!(!change(json!({"include": ["b*"]})).rereads);
        let digest = change(json!({"accept": "abc"})).accept.unwrap();
        assert_eq!(digest.digest().map(String::as_str), Some("abc"));
        assert!(!change(json!({"accept": false})).accept.unwrap().is_meant());
    }
}
