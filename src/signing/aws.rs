//! What an operator or an account gives for AWS: one text, so that it is kept, sealed and shown as any other provider's key.
//!
//! Either an API key of the service, sent as it is (`Authorization: Bearer`), or the JSON of access keys, which sign:
//! `{"accessKeyId", "secretAccessKey", "region"?, "sessionToken"?}`. A region in the JSON goes before the deployment's.
//! Spec: <https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html>

use std::fmt;

use serde::Deserialize;

use super::sigv4::{self, Keys, Scope, Signable};

/// A secret for AWS.
#[derive(PartialEq, Eq)]
pub enum Secret<'a> {
    /// An API key.
    ApiKey(&'a str),
    /// Access keys.
    Keys(AccessKeys),
}

/// Access keys, and where they are used.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessKeys {
    /// Names the secret.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
    /// Goes with temporary keys.
    #[serde(default)]
    pub session_token: Option<String>,
    /// The region to call.
    #[serde(default)]
    pub region: Option<String>,
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey",
            Self::Keys(_) => "Keys",
        })
    }
}

impl<'a> Secret<'a> {
    /// Reads the text.
    ///
    /// # Errors
    /// A sentence that quotes nothing of it.
    pub fn read(text: &'a str) -> Result<Self, &'static str> {
        let text = text.trim();
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !text.starts_with('{') {
            return if is_plain(text) {
                Ok(Self::ApiKey(text))
            } else {
                Err("expected an API key or the JSON of access keys")
            };
        }
        let keys: AccessKeys = crate::json::from_str(text).map_err(|_| {
            "expected the JSON of accessKeyId, secretAccessKey, region and, if need be, sessionToken"
        })?;
        if !is_plain(&keys.access_key_id) || !is_plain(&keys.secret_access_key) {
            return Err("accessKeyId and secretAccessKey are visible ASCII characters");
        }
        if !keys.session_token.as_deref().is_none_or(is_plain) {
            return Err("sessionToken is visible ASCII characters");
        }
        if !keys.region.as_deref().is_none_or(is_region) {
            return Err("region is the name of an AWS region, such as us-east-1");
        }
        Ok(Self::Keys(keys))
    }

    /// The region that it is for, where it says so.
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::ApiKey(_) => None,
            Self::Keys(keys) => keys.region.as_deref(),
        }
    }

    /// The headers that authenticate a request.
    pub fn headers(
        &self,
        request: &Signable<'_>,
        scope: Scope<'_>,
        unix_ms: i64,
    ) -> Vec<(&'static str, String)> {
        match self {
            Self::ApiKey(key) => vec![("authorization", format!("Bearer {key}"))],
            Self::Keys(keys) => {
                let keys = Keys {
                    access_key_id: &keys.access_key_id,
                    secret_access_key: &keys.secret_access_key,
                    session_token: keys.session_token.as_deref(),
                };
                sigv4::sign(request, scope, keys, unix_ms)
            }
        }
    }
}

/// Whether a text may stand where a region stands: in a host name and in a signature's scope.
pub fn is_region(text: &str) -> bool {
    (5..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.contains('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Host, path and query of a URL.
pub fn parts(url: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = url.split_once("://")?;
    let at = rest.find('/')?;
    let (host, rest) = rest.split_at_checked(at)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Some((host, path, query))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str =
        r#"{"accessKeyId":"AKIDEXAMPLE","secretAccessKey":"s3cret/+","region":"eu-west-1"}"#;

    #[test]
    fn one_text_is_an_api_key_or_access_keys() {
        let key = Secret::read(" ABSKabc+/= ").unwrap();
        assert_eq!(key, Secret::ApiKey("ABSKabc+/="));
        assert_eq!(key.region(), None);
        let keys = Secret::read(KEYS).unwrap();
        assert_eq!(keys.region(), Some("eu-west-1"));
        assert!(!format!("{keys:?}{key:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_neither_is_refused_and_not_quoted() {
        for text in [
            "",
            "two words",
            "{",
            "{}",
            r#"{"accessKeyId":"a","secretAccessKey":"SECRET b"}"#,
            r#"{"accessKeyId":"a","secretAccessKey":""}"#,
            r#"{"accessKeyId":"a","secretAccessKey":"SECRET","sessionToken":"a\nb"}"#,
            r#"{"accessKeyId":"a","secretAccessKey":"SECRET","region":"x.evil.example/#"}"#,
            r#"{"accessKeyId":"a","secretAccessKey":"SECRET","region":""}"#,
            r#"{"accessKeyId":"a","secretAccessKey":"SECRET","profile":"x"}"#,
        ] {
            let error = Secret::read(text).unwrap_err();
            assert!(!error.contains("SECRET"), "{text}: {error}");
        }
    }

    #[test]
    fn an_api_key_is_sent_and_access_keys_sign() {
        let url = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/a%3A0/converse";
        let (host, path, query) = parts(url).unwrap();
        assert_eq!(
            (host, path, query),
            (
                "bedrock-runtime.eu-west-1.amazonaws.com",
                "/model/a%3A0/converse",
                ""
            )
        );
        let request = Signable {
            method: "POST",
            host,
            path,
            query,
            headers: &[],
            body: b"{}",
        };
        let scope = Scope {
            region: "eu-west-1",
            service: "bedrock",
        };
        let bearer = Secret::ApiKey("ABSK1").headers(&request, scope, 0);
        assert_eq!(bearer, [("authorization", "Bearer ABSK1".to_owned())]);
        let signed = Secret::read(KEYS).unwrap().headers(&request, scope, 0);
        let names: Vec<_> = signed.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["x-amz-date", "authorization"]);
        assert!(
            signed[1]
                .1
                .contains("Credential=AKIDEXAMPLE/19700101/eu-west-1/bedrock/aws4_request")
        );
        assert_eq!(parts("no url"), None);
    }
}
