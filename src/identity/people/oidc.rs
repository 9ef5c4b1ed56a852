//! OpenID Connect: what an issuer is asked, and what its answers prove.
//!
//! The authorization code flow with PKCE. Everything that an ID token says is checked before any of it is believed: signature
//! (RS256, ES256), issuer, audience, time, nonce. Pure: requests come out, answers go in; the signature itself is checked by the
//! platform. Spec: OpenID Connect Core 1.0 and Discovery 1.0, RFC 7517 (keys), RFC 9207 (issuer of an answer).

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    cookie::is_loopback,
    form::{encoded, query, with_query},
    users::Identity,
};

/// How far the clocks of issuers may be off, in seconds.
const SKEW_S: i64 = 60;
/// The weakest RSA key that is believed, in bytes of its modulus.
const MIN_RSA_BYTES: usize = 256;

/// An issuer that the deployment trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its word in paths.
    pub slug: String,
    /// Its name on the button.
    pub name: String,
    /// Its address, as it says itself.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// The proof of it; a public client has none.
    pub client_secret: Option<String>,
    /// What is asked for.
    pub scopes: String,
}

impl Config {
    /// Reads the variables that begin with `prefix`, such as `OIDC_ISSUER`.
    pub fn read(prefix: &str, var: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let get = |name: &str| var(&format!("{prefix}_{name}"));
        let issuer = get("ISSUER")?;
        let host = issuer
            .split_once("://")
            .map_or(issuer.as_str(), |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default().to_owned();
        Some(Self {
            slug: prefix.to_ascii_lowercase().replace('_', "-"),
            name: get("NAME").unwrap_or(host),
            issuer,
            client_id: get("CLIENT_ID")?,
            client_secret: get("CLIENT_SECRET"),
            scopes: get("SCOPES").unwrap_or_else(|| "openid email profile".to_owned()),
        })
    }

    /// Where its description is.
    pub fn discovery_url(&self) -> String {
        format!(
            "{}/.well-known/openid-configuration",
            self.issuer.trim_end_matches('/')
        )
    }
}

/// How an issuer describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where it tells more of a person.
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Discovery {
    /// Reads the description.
    ///
    /// # Errors
    /// Where it is not that of the issuer, or names addresses without TLS.
    pub fn read(config: &Config, body: &[u8]) -> Result<Self, String> {
        let found: Self = crate::json::from_slice(body)
            .map_err(|error| format!("its description cannot be read: {error}"))?;
        if found.issuer != config.issuer {
            return Err(format!(
                "it calls itself {} and not {}",
                found.issuer, config.issuer
            ));
        }
        let endpoints = [
            &found.authorization_endpoint,
            &found.token_endpoint,
            &found.jwks_uri,
        ];
        let unsafe_one = endpoints
            .into_iter()
            .chain(&found.userinfo_endpoint)
            .find(|url| !is_safe(url));
        match unsafe_one {
            Some(url) => Err(format!("{url} is not https")),
            None => Ok(found),
        }
    }

    /// Where the browser goes.
    pub fn authorize_url(&self, config: &Config, redirect: &str, asked: &Asked<'_>) -> String {
        with_query(
            &self.authorization_endpoint,
            &[
                ("response_type", "code"),
                ("client_id", &config.client_id),
                ("redirect_uri", redirect),
                ("scope", &config.scopes),
                ("state", asked.state),
                ("nonce", asked.nonce),
                ("code_challenge", asked.challenge),
                ("code_challenge_method", "S256"),
            ],
        )
    }

    /// Whether an answer with this `iss` can be this issuer's (RFC 9207).
    pub fn is_answer_of(&self, iss: Option<&str>) -> bool {
        match iss {
            Some(iss) => iss == self.issuer,
            None => !self.authorization_response_iss_parameter_supported,
        }
    }

    /// The exchange of a code: address, `Authorization`, form.
    pub fn exchange(
        &self,
        config: &Config,
        redirect: &str,
        code: &str,
        verifier: &str,
    ) -> Exchange {
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        let methods = self.token_endpoint_auth_methods_supported.as_deref();
        // Unless the issuer says otherwise it takes the header (Discovery §3).
        let takes_basic =
            methods.is_none_or(|all| all.iter().any(|method| method == "client_secret_basic"));
        let mut authorization = None;
        match &config.client_secret {
            Some(secret) if takes_basic => {
                // Each part is encoded as in a form first (RFC 6749 §2.3.1).
                let both = format!("{}:{}", encoded(&config.client_id), encoded(secret));
                authorization = Some(format!("Basic {}", BASE64_STANDARD.encode(both)));
            }
            Some(secret) => pairs.extend([
                ("client_id", config.client_id.as_str()),
                ("client_secret", secret),
            ]),
            None => pairs.push(("client_id", &config.client_id)),
        }
        Exchange {
            url: self.token_endpoint.clone(),
            authorization,
            form: query(&pairs),
        }
    }
}

/// What is asked of an issuer besides who somebody is.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Comes back with the answer.
    pub state: &'a str,
    /// Comes back in the ID token.
    pub nonce: &'a str,
    /// The digest of the code verifier.
    pub challenge: &'a str,
}

/// A request for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Where it goes.
    pub url: String,
    /// The header of this name.
    pub authorization: Option<String>,
    /// The body.
    pub form: String,
}

/// Without TLS only an issuer on this machine is believed.
fn is_safe(url: &str) -> bool {
    let host = |rest: &str| is_loopback(rest.split(['/', '?']).next().unwrap_or_default());
    url.starts_with("https://") || url.strip_prefix("http://").is_some_and(host)
}

/// What comes of a code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tokens {
    /// Who it is.
    pub id_token: String,
    /// For the address that tells more.
    #[serde(default)]
    pub access_token: Option<String>,
}

/// The algorithms that are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The word in a token's head.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// A token taken apart; nothing of it is believed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct IdToken {
    /// How it is signed.
    pub algorithm: Algorithm,
    key_id: Option<String>,
    claims: Map<String, Value>,
    /// What is signed.
    pub signed: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl IdToken {
    /// Takes a token apart (RFC 7519, compact form).
    ///
    /// # Errors
    /// Where it is none, or signed otherwise.
    pub fn read(text: &str) -> Result<Self, String> {
        let none = || "the ID token is malformed".to_owned();
        let (signed, signature) = text.rsplit_once('.').ok_or_else(none)?;
        let (head, claims) = signed.split_once('.').ok_or_else(none)?;
        let bytes = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| none());
        let object = |part: &str| -> Result<Map<String, Value>, String> {
            crate::json::from_slice(&bytes(part)?).map_err(|_| none())
        };
        let head = object(head)?;
        let word = |name: &str| head.get(name).and_then(Value::as_str);
        let algorithm = match word("alg") {
            Some("RS256") => Algorithm::Rs256,
            Some("ES256") => Algorithm::Es256,
            other => {
                return Err(format!(
                    "the ID token is signed with {}, not RS256 or ES256",
                    other.unwrap_or("nothing")
                ));
            }
        };
        if head.contains_key("crit") {
            return Err("the ID token has a critical header".to_owned());
        }
        Ok(Self {
            algorithm,
            key_id: word("kid").map(str::to_owned),
            claims: object(claims)?,
            signed: signed.as_bytes().to_vec(),
            signature: bytes(signature)?,
        })
    }

    /// The issuer's key that signed it, as a JWK with nothing but the key; `None` where the issuer has no such key (yet).
    pub fn key(&self, keys: &Jwks) -> Option<String> {
        let mut fitting = keys
            .keys
            .iter()
            .filter_map(|key| Some((key, self.public(key)?)));
        let found = match &self.key_id {
            Some(id) => fitting.find(|(key, _)| key.get("kid").and_then(Value::as_str) == Some(id)),
            // Without a name there has to be one that it can be.
            None => fitting.next().filter(|_| fitting.next().is_none()),
        };
        found.map(|(_, public)| public)
    }

    /// The parts of a key that fits the algorithm.
    fn public(&self, key: &Value) -> Option<String> {
        let word = |name: &str| key.get(name).and_then(Value::as_str);
        let fits = word("use").is_none_or(|to| to == "sig")
            && word("alg").is_none_or(|alg| alg == self.algorithm.as_str());
        if !fits {
            return None;
        }
        let public = match (self.algorithm, word("kty")?) {
            (Algorithm::Rs256, "RSA") => {
                let modulus = BASE64_URL_SAFE_NO_PAD.decode(word("n")?).ok()?;
                if modulus.len() < MIN_RSA_BYTES {
                    return None;
                }
                json!({"kty": "RSA", "n": word("n")?, "e": word("e")?})
            }
            (Algorithm::Es256, "EC") if word("crv")? == "P-256" => {
                json!({"kty": "EC", "crv": "P-256", "x": word("x")?, "y": word("y")?})
            }
            _ => return None,
        };
        Some(public.to_string())
    }

    /// What the token says, once its signature has been checked.
    ///
    /// # Errors
    /// Which of its claims is not as it has to be.
    pub fn believe(self, config: &Config, nonce: &str, now_ms: i64) -> Result<Claims, String> {
        let now = now_ms / 1_000;
        let claim = |name: &str| self.claims.get(name);
        let word = |name: &str| claim(name).and_then(Value::as_str);
        let time = |name: &str| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "seconds since 1970 are far below 2^53; a fraction of one does not matter"
            )]
            let whole = |seconds: f64| seconds as i64;
            claim(name).and_then(|value| value.as_i64().or_else(|| value.as_f64().map(whole)))
        };
        if word("iss") != Some(&config.issuer) {
            return Err("the ID token is of another issuer".to_owned());
        }
        let audiences: Vec<&str> = match claim("aud") {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ => Vec::new(),
        };
        let party = word("azp");
        let is_for_us = audiences.contains(&config.client_id.as_str())
            && party.is_none_or(|party| party == config.client_id)
            && (audiences.len() == 1 || party.is_some());
        if !is_for_us {
            return Err("the ID token is for another client".to_owned());
        }
        if time("exp").is_none_or(|end| end <= now - SKEW_S) {
            return Err("the ID token has expired".to_owned());
        }
        if ["iat", "nbf"]
            .into_iter()
            .filter_map(time)
            .any(|from| from > now + SKEW_S)
        {
            return Err("the ID token is not valid yet".to_owned());
        }
        if word("nonce") != Some(nonce) {
            return Err("the ID token answers another question".to_owned());
        }
        let subject = word("sub").filter(|sub| !sub.is_empty() && sub.len() <= 255);
        let subject = subject
            .ok_or_else(|| "the ID token names nobody".to_owned())?
            .to_owned();
        Ok(Claims {
            subject,
            more: self.claims,
        })
    }
}

/// An issuer's keys.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Jwks {
    keys: Vec<Value>,
}

/// What is believed of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    subject: String,
    more: Map<String, Value>,
}

impl Claims {
    /// Whether an e-mail address is missing.
    pub fn lacks_email(&self) -> bool {
        !self.more.contains_key("email")
    }

    /// Adds what the issuer tells elsewhere, if it speaks of the same person.
    pub fn add(&mut self, userinfo: Map<String, Value>) {
        if userinfo.get("sub").and_then(Value::as_str) != Some(&self.subject) {
            return;
        }
        for name in ["email", "email_verified", "name", "preferred_username"] {
            if let Some(value) = userinfo.get(name) {
                self.more.insert(name.to_owned(), value.clone());
            }
        }
    }

    /// The person. An address that the issuer has not verified is none.
    pub fn identity(&self, config: &Config) -> Identity {
        let word = |name: &str| self.more.get(name).and_then(Value::as_str);
        // Some issuers write the flag as a text.
        let is_verified = match self.more.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(word)) => word == "true",
            _ => false,
        };
        Identity {
            issuer: config.issuer.clone(),
            subject: self.subject.clone(),
            email: word("email").filter(|_| is_verified).map(str::to_owned),
            name: word("name")
                .or_else(|| word("preferred_username"))
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// When an issuer was asked, and what it said.
type Seen = (u64, Rc<Discovery>, Rc<Jwks>);

/// What an isolate remembers of issuers: how each describes itself, and its keys.
#[derive(Debug, Default)]
pub struct Issuers {
    seen: RefCell<HashMap<String, Seen>>,
}

impl Issuers {
    /// How long, in milliseconds.
    const MAX_AGE_MS: u64 = 60 * 60 * 1_000;

    /// What is known of an issuer, if it is fresh.
    pub fn get(&self, issuer: &str, now_ms: u64) -> Option<(Rc<Discovery>, Rc<Jwks>)> {
        let seen = self.seen.borrow();
        let (at, discovery, keys) = seen.get(issuer)?;
        let is_fresh = now_ms.saturating_sub(*at) < Self::MAX_AGE_MS;
        is_fresh.then(|| (Rc::clone(discovery), Rc::clone(keys)))
    }

    /// Remembers it. Few issuers are configured, so nothing is ever pushed out.
    pub fn put(&self, issuer: &str, discovery: &Rc<Discovery>, keys: &Rc<Jwks>, now_ms: u64) {
        let entry = (now_ms, Rc::clone(discovery), Rc::clone(keys));
        self.seen.borrow_mut().insert(issuer.to_owned(), entry);
    }
}

#[cfg(test)]
#[path = "oidc_tests.rs"]
mod tests;
