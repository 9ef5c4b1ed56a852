//! AWS Signature Version 4: the headers that sign a request.
//!
//! In scope: the `Authorization` header over method, path, query, headers and body. Out of scope: signatures in the query and
//! chunked bodies.
//! Spec: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::hmac::{hex, hmac};
use crate::time::rfc3339;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whom a signature is for.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The region: `us-east-1`.
    pub region: &'a str,
    /// The service's name in signatures: `bedrock`.
    pub service: &'a str,
}

/// How a service has paths signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathForm {
    /// As they are on the wire: S3.
    Once,
    /// Encoded once more: every other service.
    Twice,
}

/// Who signs.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// Names the secret.
    pub access_key_id: &'a str,
    /// The secret.
    pub secret_access_key: &'a str,
    /// Goes with temporary keys.
    pub session_token: Option<&'a str>,
}

/// What is signed, as it goes on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Signable<'a> {
    /// `POST`.
    pub method: &'a str,
    /// Host, with its port where that is not the usual one.
    pub host: &'a str,
    /// The path with its segments encoded once, without dot segments.
    pub path: &'a str,
    /// The encoded query without its question mark.
    pub query: &'a str,
    /// Further headers to sign: names in lower case, each once.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// The headers to send beside those that are signed.
pub fn sign(
    request: &Signable<'_>,
    scope: Scope<'_>,
    keys: Keys<'_>,
    unix_ms: i64,
) -> Vec<(&'static str, String)> {
    sign_as(request, scope, keys, unix_ms, PathForm::Twice)
}

/// As [`sign`], for services that have paths signed in this form.
pub fn sign_as(
    request: &Signable<'_>,
    scope: Scope<'_>,
    keys: Keys<'_>,
    unix_ms: i64,
    path: PathForm,
) -> Vec<(&'static str, String)> {
    let time = basic_time(unix_ms);
    let date = time.get(..8).unwrap_or_default();
    let mut signed: Vec<(&str, &str)> = request.headers.to_vec();
    signed.push(("host", request.host));
    signed.push(("x-amz-date", &time));
    signed.extend(
        keys.session_token
            .map(|token| ("x-amz-security-token", token)),
    );
    signed.sort_unstable();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let canonical = canonical_request(request, &signed, &names, path);
    let scope_text = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope_text}\n{digest}");
    let key = signing_key(keys.secret_access_key, date, scope);
    let signature = hex(&hmac(&key, to_sign.as_bytes()));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope_text}, SignedHeaders={names}, Signature={signature}",
        keys.access_key_id
    );
    let token = keys.session_token.map(str::to_owned);
    let mut headers = vec![("x-amz-date", time), ("authorization", authorization)];
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    headers
}

fn canonical_request(
    request: &Signable<'_>,
    signed: &[(&str, &str)],
    names: &str,
    path: PathForm,
) -> String {
    let mut text = format!("{}\n", request.method);
    match path {
        PathForm::Once => text.push_str(request.path),
        PathForm::Twice => encode(request.path, "/", &mut text),
    }
    text.push('\n');
    let mut pairs: Vec<(&str, &str)> = request
        .query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    for (at, (name, value)) in pairs.iter().enumerate() {
        if at > 0 {
            text.push('&');
        }
        // A query is encoded once: what the wire has encoded stays as it is.
        encode(name, "%", &mut text);
        text.push('=');
        encode(value, "%", &mut text);
    }
    text.push('\n');
    for (name, value) in signed {
        text.push_str(name);
        text.push(':');
        for (at, word) in value.split_ascii_whitespace().enumerate() {
            if at > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
        text.push('\n');
    }
    text.push('\n');
    text.push_str(names);
    text.push('\n');
    text.push_str(&digest(request.body));
    text
}

/// The digest of a body, as it is signed.
pub fn digest(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// Percent-encodes all but the unreserved characters and those in `kept`. A path is already encoded when it comes here, and so
/// ends up encoded twice, as the specification has it for every service but S3.
fn encode(text: &str, kept: &str, out: &mut String) {
    for byte in text.bytes() {
        let character = char::from(byte);
        let unreserved = character.is_ascii_alphanumeric() || "-._~".contains(character);
        if unreserved || kept.contains(character) {
            out.push(character);
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Encodes one segment of a path, for the wire.
pub fn path_segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len() + 8);
    encode(text, "", &mut segment);
    segment
}

/// `20150830T123600Z`.
fn basic_time(unix_ms: i64) -> String {
    let time = rfc3339(unix_ms);
    let seconds = time.split('.').next().unwrap_or_default();
    let mut basic: String = seconds.chars().filter(|c| !"-:".contains(*c)).collect();
    basic.push('Z');
    basic
}

fn signing_key(secret: &str, date: &str, scope: Scope<'_>) -> [u8; 32] {
    let first = format!("AWS4{secret}");
    let of_date = hmac(first.as_bytes(), date.as_bytes());
    let of_region = hmac(&of_date, scope.region.as_bytes());
    let of_service = hmac(&of_region, scope.service.as_bytes());
    hmac(&of_service, b"aws4_request")
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
