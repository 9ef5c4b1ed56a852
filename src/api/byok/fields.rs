//! The bodies that create and change a provider key, read field by field: an error names the field.

use serde_json::{Map, Value};

use crate::{
    access::key::KeyForm,
    catalog::{AuthScheme, Provider},
    error::{Error, Result},
};

/// The longest secret.
const MAX_SECRET: usize = 4_096;
/// The longest credentials in JSON.
const MAX_JSON: usize = 32_768;
/// The longest name, in bytes.
const MAX_NAME: usize = 128;
/// The most entries of a filter.
const MAX_FILTER: usize = 100;

/// What a body says. An absent field is `None`; a filter or a name that is `null` is `Some(None)`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The secret.
    pub key: Option<String>,
    /// The owner's name for it.
    pub name: Option<Option<String>>,
    /// Switched off.
    pub disabled: Option<bool>,
    /// After the operator's key.
    pub is_fallback: Option<bool>,
    /// Never the operator's key.
    pub is_required: Option<bool>,
    /// For these models only.
    pub allowed_models: Option<Option<Vec<String>>>,
    /// For these API keys only.
    pub allowed_api_key_hashes: Option<Option<Vec<String>>>,
    /// Its place among the account's keys.
    pub sort_order: Option<i64>,
}

/// The provider's name and the rest of a body that creates.
///
/// # Errors
/// 400 with the field.
pub fn read_new(mut body: Map<String, Value>) -> Result<(String, Change)> {
    let provider = match body.remove("provider") {
        Some(Value::String(name)) => name,
        Some(_) => return Err(Error::invalid("provider", "provider is a string")),
        None => return Err(Error::invalid("provider", "provider is missing")),
    };
    let change = read_change(body)?;
    if change.key.is_none() {
        return Err(Error::invalid("key", "key is missing"));
    }
    Ok((provider, change))
}

/// A body that changes.
///
/// # Errors
/// 400 with the field.
pub fn read_change(body: Map<String, Value>) -> Result<Change> {
    let mut change = Change::default();
    for (field, value) in body {
        let name = field.as_str();
        match name {
            "key" => change.key = Some(secret(&value)?),
            "name" => change.name = Some(label(&value)?),
            "disabled" => change.disabled = Some(flag(name, &value)?),
            "is_fallback" => change.is_fallback = Some(flag(name, &value)?),
            "is_required" => change.is_required = Some(flag(name, &value)?),
            "allowed_models" => change.allowed_models = Some(words(name, &value)?),
            "allowed_api_key_hashes" => {
                change.allowed_api_key_hashes = Some(hashes(name, &value)?);
            }
            "sort_order" => {
                let order = value.as_i64().filter(|order| (0..1 << 31).contains(order));
                let wrong = || Error::invalid(name, "sort_order is a whole number from 0");
                change.sort_order = Some(order.ok_or_else(wrong)?);
            }
            "is_byok_only" | "allowed_user_ids" | "declared_region" | "declared_zdr"
            | "workspace_id" => {
                if !matches!(value, Value::Null | Value::Bool(false)) {
                    let message = format!("This gateway does not know {name} yet: send null");
                    return Err(Error::invalid(name, message));
                }
            }
            "provider" => {
                let message = "The provider of a key cannot be changed: create another";
                return Err(Error::invalid(name, message));
            }
            _ => return Err(Error::invalid(name, format!("There is no field {name}"))),
        }
    }
    Ok(change)
}

/// Whether a secret can be sent where the provider expects it.
///
/// # Errors
/// 400 at `key`. The message quotes nothing of it.
pub fn check_secret(secret: &str, provider: &Provider) -> Result<()> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let wrong = |message: &str| Err(Error::invalid("key", message));
    if let Err(message) = KeyForm::read(secret, provider.key_format) {
        return wrong(&message);
    }
    match &provider.auth {
        AuthScheme::Query { .. } if !secret.bytes().all(safe) => {
            wrong("The key of this provider has letters, digits, and - . _ ~ only")
        }
        AuthScheme::Basic if !secret.contains(':') => {
            wrong("The key of this provider is a user's name and password, with a colon between")
        }
        AuthScheme::OauthClientCredentials { .. } if !secret.contains(':') => {
            wrong("The key of this provider is a client's id and secret, with a colon between")
        }
        _ => Ok(()),
    }
}

/// A secret goes into a header: visible ASCII, nothing else.
fn secret(value: &Value) -> Result<String> {
    let text = value
        .as_str()
        .ok_or_else(|| Error::invalid("key", "key is a string"))?
        .trim();
    let is_json = text.starts_with(['{', '[']);
    let most = if is_json { MAX_JSON } else { MAX_SECRET };
    if text.is_empty() || text.len() > most {
        let message = format!("A key has 1 to {most} characters");
        return Err(Error::invalid("key", message));
    }
    if !is_json && !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = "A key has visible ASCII characters only, and no spaces";
        return Err(Error::invalid("key", message));
    }
    Ok(text.to_owned())
}

fn label(value: &Value) -> Result<Option<String>> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim(),
        _ => return Err(Error::invalid("name", "name is a string or null")),
    };
    if text.is_empty() || text.len() > MAX_NAME {
        let message = format!("A name has 1 to {MAX_NAME} bytes");
        return Err(Error::invalid("name", message));
    }
    Ok(Some(text.to_owned()))
}

fn flag(field: &str, value: &Value) -> Result<bool> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(flag) => Ok(*flag),
        _ => Err(Error::invalid(field, format!("{field} is true or false"))),
    }
}

/// A filter: `null` for none, else 1 to 100 strings, each once.
fn words(field: &str, value: &Value) -> Result<Option<Vec<String>>> {
    let items = match value {
        Value::Null => return Ok(None),
        Value::Array(items) => items,
        _ => {
            let message = format!("{field} is a list of strings or null");
            return Err(Error::invalid(field, message));
        }
    };
    if items.is_empty() || items.len() > MAX_FILTER {
        let message = format!("{field} has 1 to {MAX_FILTER} entries; null lifts the filter");
        return Err(Error::invalid(field, message));
    }
    let mut words: Vec<String> = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let word = item
            .as_str()
            .filter(|word| !word.is_empty())
            .ok_or_else(|| Error::invalid(format!("{field}[{at}]"), "Each entry is a string"))?;
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    Ok(Some(words))
}

fn hashes(field: &str, value: &Value) -> Result<Option<Vec<String>>> {
    let hashes = words(field, value)?;
    let is_hash = |text: &String| {
        text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match hashes.iter().flatten().position(|text| !is_hash(text)) {
        Some(at) => Err(Error::invalid(
            format!("{field}[{at}]"),
            "The hash of an API key is 64 hex digits in lower case",
        )),
        None => Ok(hashes),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path_and_no_secret_is_quoted() {
        let hash = "a".repeat(64);
        for (value, param) in [
            (json!({"key": "sk-1"}), "provider"),
            (json!({"provider": 5, "key": "sk-1"}), "provider"),
            (json!({"provider": "openai"}), "key"),
            (json!({"provider": "openai", "key": 5}), "key"),
            (json!({"provider": "openai", "key": "  "}), "key"),
            (
                json!({"provider": "openai", "key": "SECRET\r\nx: y"}),
                "key",
            ),
            (json!({"provider": "openai", "key": "SECRET\u{0}x"}), "key"),
            (json!({"provider": "openai", "key": "SECRETé"}), "key"),
            (
                json!({"provider": "openai", "key": "S".repeat(5_000)}),
                "key",
            ),
            (
                json!({"provider": "openai", "key": "k", "name": ""}),
                "name",
            ),
            (
                json!({"provider": "openai", "key": "k", "disabled": "no"}),
                "disabled",
            ),
            (
                json!({"provider": "openai", "key": "k", "sort_order": -1}),
                "sort_order",
            ),
            (
                json!({"provider": "openai", "key": "k", "allowed_models": []}),
                "allowed_models",
            ),
            (
                json!({"provider": "openai", "key": "k", "allowed_models": ["a", 1]}),
                "allowed_models[1]",
            ),
            (
                json!({"provider": "openai", "key": "k", "allowed_api_key_hashes": []}),
                "allowed_api_key_hashes",
            ),
            (
                json!({"provider": "openai", "key": "k", "allowed_api_key_hashes": [hash, "b"]}),
                "allowed_api_key_hashes[1]",
            ),
            (
                json!({"provider": "openai", "key": "k", "allowed_user_ids": ["u"]}),
                "allowed_user_ids",
            ),
            (
                json!({"provider": "openai", "key": "k", "declared_zdr": true}),
                "declared_zdr",
            ),
            (
                json!({"provider": "openai", "key": "k", "keyy": true}),
                "keyy",
            ),
        ] {
            let error = read_new(body(value.clone())).unwrap_err();
            assert_eq!(
                (error.status, error.param.as_deref()),
                (400, Some(param)),
                "{value}"
            );
            assert!(!error.message.contains("SECRET"), "{}", error.message);
        }
        let error = read_change(body(json!({"provider": "x"}))).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("provider"));
    }

    #[test]
    fn what_is_absent_stays_and_null_clears() {
        assert_eq!(read_change(Map::new()).unwrap(), Change::default());
        let change =
            json!({"name": null, "disabled": null, "allowed_models": null, "workspace_id": null});
        let expected = Change {
            name: Some(None),
            disabled: Some(false),
            allowed_models: Some(None),
            ..Change::default()
        };
        assert_eq!(read_change(body(change)).unwrap(), expected);
        let (provider, change) = read_new(body(json!({
            "provider": "openai", "key": " sk-1 ", "is_required": true, "allowed_models": ["a/b", "a/b"],
        })))
        .unwrap();
        assert_eq!(
            (provider.as_str(), change.key.as_deref()),
            ("openai", Some("sk-1"))
        );
        assert_eq!(change.allowed_models, Some(Some(vec!["a/b".to_owned()])));
    }

    #[test]
    fn a_key_has_the_form_that_its_provider_takes() {
        let provider = |auth: &str, key_format: &str| -> Provider {
            let auth = json!({"kind": auth, "name": "key", "token_url": "https://a.example", "scope": "s", "client_id": "ID"});
            let known = match auth["kind"].as_str() {
                Some("query") => vec!["kind", "name"],
                Some("signed_jwt") => vec!["kind", "token_url", "scope"],
                Some("oauth_client_credentials") => vec!["kind", "token_url", "client_id"],
                _ => vec!["kind"],
            };
            let auth: Map<String, Value> = known
                .into_iter()
                .map(|name| (name.to_owned(), auth[name].clone()))
                .collect();
            serde_json::from_value(json!({
                "slug": "p", "name": "P", "dialect": "openai_chat", "base_url": "https://a.example",
                "auth": auth, "secret": "KEY", "key_format": key_format,
            }))
            .unwrap()
        };
        let azure = r#"[{"api_key": "k", "resource_name": "mine", "resource_type": "openai"}]"#;
        for (secret, auth, format, is_fine) in [
            ("a/b+c=", "bearer", "plain", true),
            ("AIza-x_1", "query", "plain", true),
            ("a&b=c", "query", "plain", false),
            ("{\"accessKeyId\":1}", "bearer", "plain", false),
            ("user:password", "basic", "plain", true),
            ("user", "basic", "plain", false),
            ("id:secret", "oauth_client_credentials", "plain", true),
            ("secret", "oauth_client_credentials", "plain", false),
            (azure, "bearer", "azure", true),
            ("sk-plain", "bearer", "azure", false),
            ("{}", "signed_jwt", "service_account", false),
        ] {
            let checked = check_secret(secret, &provider(auth, format));
            let param = checked.err().map(|error| error.param);
            let expected = (!is_fine).then(|| Some("key".to_owned()));
            assert_eq!(param, expected, "{secret} {auth} {format}");
        }
    }
}
