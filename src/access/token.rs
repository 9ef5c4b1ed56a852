//! Tokens: what is asked for one, how long it lasts, and what an isolate remembers.
//!
//! A token is remembered under a digest of all that it was asked with. Shortly before its end one request asks for the next
//! one, while the others go on with the old one; no request waits for another's. A provider that refuses a remembered token (401)
//! is called once more with a new one. Spec: RFC 6749 §4.4 and §5, RFC 7523.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Access, misconfigured,
    service_account::{ServiceAccount, assertion},
};
use crate::{
    catalog::AuthScheme,
    error::{Error, ErrorType, Result},
};

/// A token is not used in the last minute of its life, or tenth of a short one.
const MARGIN_MS: u64 = 60_000;
/// So long before its end a new one is asked for, or a fifth of a short life.
const RENEWAL_MS: u64 = 300_000;
/// For so long a request that renews keeps others from doing so too.
const CLAIM_MS: u64 = 15_000;
/// The life of a token whose issuer tells none, in seconds.
const UNTOLD_LIFETIME_S: u64 = 300;
/// The most tokens that are remembered; a full memory starts over.
const CAPACITY: usize = 1_024;

/// What tokens are issued for.
enum Proof {
    /// A client's own name and secret.
    Client {
        id: String,
        secret: String,
        scope: Option<String>,
    },
    /// What its owner agreed to once.
    Refresh {
        id: String,
        secret: String,
        token: String,
        scope: Option<String>,
    },
    /// A JWT.
    Jwt {
        account: Box<ServiceAccount>,
        scope: String,
    },
}

/// A way to a token.
pub struct Grant {
    provider: String,
    /// Where the token is asked for.
    pub url: String,
    proof: Proof,
    memory_key: [u8; 32],
}

/// What asking for a token needs of the world.
pub trait TokenPort {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// Posts a form: status and body of the answer.
    fn post_form(&self, url: &str, form: &str) -> impl Future<Output = Result<(u16, Vec<u8>)>>;

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 under a PKCS#8 key.
    fn sign_rs256(&self, pkcs8: &[u8], message: &[u8]) -> impl Future<Output = Result<Vec<u8>>>;
}

impl Access<'_> {
    /// The grant that this call needs a token of, if it needs any.
    ///
    /// # Errors
    /// When a variable is missing, or the key is not of the scheme's form.
    pub fn grant(&self) -> Result<Option<Grant>> {
        let provider = self.provider;
        let Some(token_url) = provider.auth.token_url() else {
            return Ok(None);
        };
        let wrong = |what: &str| misconfigured(provider, what);
        let url = self.resolve(token_url)?;
        let key = self.key.as_deref().ok_or_else(|| wrong("it has no key"))?;
        let grant = match &provider.auth {
            AuthScheme::OauthClientCredentials {
                scope, client_id, ..
            } => {
                let (id, secret) = if self.is_own {
                    key.split_once(':')
                        .map(|(id, secret)| (id.to_owned(), secret))
                        .ok_or_else(|| {
                            wrong("a key is a client's id and secret, with a colon between")
                        })?
                } else {
                    (self.resolve(&format!("${{{client_id}}}"))?, key)
                };
                Grant::client(&provider.name, &url, &id, secret, scope.as_deref())
            }
            AuthScheme::SignedJwt { scope, .. } => {
                Grant::jwt(&provider.name, &url, key, scope).map_err(|what| wrong(&what))?
            }
            _ => return Ok(None),
        };
        Ok(Some(grant))
    }
}

impl Grant {
    /// A grant that is remembered under all that it is asked with.
    fn new(provider: &str, url: &str, proof: Proof, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in [url].iter().chain(parts) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        Self {
            provider: provider.to_owned(),
            url: url.to_owned(),
            proof,
            memory_key: hash.finalize().into(),
        }
    }

    /// For a client's id and secret.
    pub fn client(provider: &str, url: &str, id: &str, secret: &str, scope: Option<&str>) -> Self {
        let proof = Proof::Client {
            id: id.to_owned(),
            secret: secret.to_owned(),
            scope: scope.map(str::to_owned),
        };
        let parts = ["client", id, secret, scope.unwrap_or_default()];
        Self::new(provider, url, proof, &parts)
    }

    /// For a refresh token, with the client's id and secret before it (RFC 6749 §6). It has to stay good: an issuer that gives another one with
    /// each access token is refused at the first use, because isolates that renew side by side would spend each other's.
    pub fn refresh(
        provider: &str,
        url: &str,
        [id, secret, token]: [&str; 3],
        scope: Option<&str>,
    ) -> Self {
        let proof = Proof::Refresh {
            id: id.to_owned(),
            secret: secret.to_owned(),
            token: token.to_owned(),
            scope: scope.map(str::to_owned),
        };
        let parts = ["refresh", id, secret, token, scope.unwrap_or_default()];
        Self::new(provider, url, proof, &parts)
    }

    /// For a JWT that a Google service account signs.
    ///
    /// # Errors
    /// Where the key is none.
    pub fn jwt(provider: &str, url: &str, key: &str, scope: &str) -> Result<Self, String> {
        let proof = Proof::Jwt {
            account: Box::new(ServiceAccount::read(key)?),
            scope: scope.to_owned(),
        };
        Ok(Self::new(provider, url, proof, &["jwt", scope, key]))
    }

    /// Asks for a token.
    async fn ask<P: TokenPort>(&self, port: &P) -> Result<Token> {
        let form = match &self.proof {
            Proof::Client { id, secret, scope } => {
                let mut fields = vec![
                    ("grant_type", "client_credentials"),
                    ("client_id", id),
                    ("client_secret", secret),
                ];
                fields.extend(scope.as_deref().map(|scope| ("scope", scope)));
                form(&fields)
            }
            Proof::Refresh {
                id,
                secret,
                token,
                scope,
            } => {
                let mut fields = vec![
                    ("grant_type", "refresh_token"),
                    ("client_id", id),
                    ("client_secret", secret),
                    ("refresh_token", token),
                ];
                fields.extend(scope.as_deref().map(|scope| ("scope", scope)));
                form(&fields)
            }
            Proof::Jwt { account, scope } => {
                let input = account.signing_input(&self.url, scope, port.now_ms() / 1_000);
                let key = account.pkcs8().map_err(|what| self.failed(&what))?;
                let signature = port.sign_rs256(&key, input.as_bytes()).await?;
                form(&[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", &assertion(&input, &signature)),
                ])
            }
        };
        let (status, body) = port.post_form(&self.url, &form).await?;
        self.read(status, &body, port.now_ms())
    }

    /// Reads the issuer's answer.
    fn read(&self, status: u16, body: &[u8], now_ms: u64) -> Result<Token> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            expires_in: Option<Value>,
            refresh_token: Option<String>,
        }
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        if status != 200 {
            let plain = |word: &String| {
                word.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            let word = crate::json::from_slice(body).map(|refusal: Refusal| refusal.error);
            let word = word.ok().filter(plain).map(|word| format!(" ({word})"));
            let word = word.unwrap_or_default();
            return Err(self.failed(&format!(
                "its token endpoint answered with status {status}{word}"
            )));
        }
        let answer: Answer = crate::json::from_slice(body)
            .map_err(|_| self.failed("the answer of its token endpoint holds no token"))?;
        if answer.access_token.is_empty()
            || !answer
                .access_token
                .bytes()
                .all(|byte| byte.is_ascii_graphic())
        {
            return Err(self.failed("the answer of its token endpoint holds no token"));
        }
        let given = match &self.proof {
            Proof::Refresh { token, .. } => Some(token),
            Proof::Client { .. } | Proof::Jwt { .. } => None,
        };
        if given
            .zip(answer.refresh_token.as_ref())
            .is_some_and(|(given, next)| given != next)
        {
            let what = "it gives a new refresh token with each access token, and such are not kept: take credentials that stay good";
            return Err(self.failed(what));
        }
        // Some issuers write the number as a string.
        let told = answer
            .expires_in
            .as_ref()
            .and_then(|life| life.as_u64().or_else(|| life.as_str()?.parse().ok()));
        let life_ms = told.unwrap_or(UNTOLD_LIFETIME_S).min(86_400 * 365) * 1_000;
        Ok(Token {
            value: answer.access_token.into(),
            renew_ms: now_ms + life_ms - RENEWAL_MS.min(life_ms / 5),
            end_ms: now_ms + life_ms - MARGIN_MS.min(life_ms / 10),
        })
    }

    fn failed(&self, what: &str) -> Error {
        let message = format!("{} gave no access token: {what}", self.provider);
        Error::upstream(ErrorType::ProviderUnavailable, message)
    }
}

#[derive(Clone)]
struct Token {
    value: Rc<str>,
    renew_ms: u64,
    end_ms: u64,
}

/// The tokens that an isolate remembers.
#[derive(Default)]
pub struct Tokens(RefCell<HashMap<[u8; 32], Token>>);

impl Tokens {
    /// A token that need not be renewed, or that another request is renewing.
    fn fresh(&self, grant: &Grant, now_ms: u64) -> Option<Rc<str>> {
        let mut known = self.0.borrow_mut();
        let token = known.get_mut(&grant.memory_key)?;
        if now_ms >= token.end_ms {
            return None;
        }
        if now_ms >= token.renew_ms {
            token.renew_ms = now_ms + CLAIM_MS;
            return None;
        }
        Some(Rc::clone(&token.value))
    }

    /// A token that has not come to its end.
    fn usable(&self, grant: &Grant, now_ms: u64) -> Option<Rc<str>> {
        let known = self.0.borrow();
        let token = known
            .get(&grant.memory_key)
            .filter(|token| now_ms < token.end_ms);
        token.map(|token| Rc::clone(&token.value))
    }

    fn keep(&self, grant: &Grant, token: Token) {
        let mut known = self.0.borrow_mut();
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(grant.memory_key, token);
    }

    /// Forgets a token, unless another has taken its place.
    fn forget(&self, grant: &Grant, value: &str) {
        let mut known = self.0.borrow_mut();
        if known
            .get(&grant.memory_key)
            .is_some_and(|token| &*token.value == value)
        {
            known.remove(&grant.memory_key);
        }
    }

    async fn renewed<P: TokenPort>(&self, port: &P, grant: &Grant) -> Result<Rc<str>> {
        match grant.ask(port).await {
            Ok(token) => {
                let value = Rc::clone(&token.value);
                self.keep(grant, token);
                Ok(value)
            }
            Err(error) => self.usable(grant, port.now_ms()).ok_or(error),
        }
    }

    /// Calls with a token; once more with a new one where a remembered one is refused.
    ///
    /// # Errors
    /// When no token can be had, or the call fails.
    pub async fn call<P: TokenPort, T>(
        &self,
        port: &P,
        grant: &Grant,
        send: impl AsyncFn(&str) -> Result<T>,
        status: impl Fn(&T) -> u16,
    ) -> Result<T> {
        if let Some(token) = self.fresh(grant, port.now_ms()) {
            let answer = send(&token).await?;
            if status(&answer) != 401 {
                return Ok(answer);
            }
            self.forget(grant, &token);
        }
        let token = self.renewed(port, grant).await?;
        send(&token).await
    }
}

/// `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
