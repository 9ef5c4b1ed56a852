//! How is a provider reached, and with whose credentials? Addresses, forms of keys, tokens: pure, without the platform.
//!
//! A provider's row says where it is (base URL, query, path style) and how it is authenticated ([`AuthScheme`]). Keys of clouds
//! say more than a secret: an account's key names the resource, project and region that it is for ([`key`]), and these take the
//! place of the deployment's variables ([`own`]). Schemes with tokens exchange the key first ([`token`]). Out of scope: whose key
//! is used (`routing`), where keys are kept (`identity`), fetch and WebCrypto (`edge`).

pub mod key;
pub mod own;
pub mod service_account;
pub mod token;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::{
    catalog::{AuthScheme, KeyFormat, Provider, provider::resolve_base_url},
    dialects::NativeRequest,
    error::{Error, ErrorType, Result},
    signing::{
        aws,
        sigv4::{Scope, Signable},
    },
};
use service_account::ServiceAccount;

/// A call, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The address. It may hold a key.
    pub url: String,
    /// Names in lower case and values, each name once.
    pub headers: Vec<(String, String)>,
}

/// A provider as one call sees it: the key that is used, and the deployment's variables.
pub struct Access<'a> {
    provider: &'a Provider,
    key: Option<String>,
    is_own: bool,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Access<'a> {
    /// How this provider is called with an account's own key, or with the operator's where there is none.
    ///
    /// # Errors
    /// When the operator has no key for it and it needs one.
    pub fn of(
        provider: &'a Provider,
        own: Option<&str>,
        variable: &'a dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let key = own
            .map(str::to_owned)
            .or_else(|| variable(&provider.secret));
        if key.is_none() && !provider.secret_optional {
            let what = format!("the secret {} is not set", provider.secret);
            return Err(misconfigured(provider, &what));
        }
        Ok(Self {
            provider,
            key,
            is_own: own.is_some(),
            variable,
        })
    }

    /// Address and headers of a call; `token` where the scheme has one, the time where it signs.
    ///
    /// # Errors
    /// When a variable of the address is missing, or the token is, or a key is malformed.
    pub fn assemble(
        &self,
        request: &NativeRequest,
        token: Option<&str>,
        now_ms: u64,
    ) -> Result<Outgoing> {
        let provider = self.provider;
        let mut url = self.resolve(&provider.base_url)?;
        url.push_str(&request.path);
        if let Some(query) = &provider.query {
            append_query(&mut url, &self.resolve(query)?);
        }
        let agent = concat!("patchbay/", env!("CARGO_PKG_VERSION")).to_owned();
        let mut headers = vec![("user-agent".to_owned(), agent)];
        if !request
            .headers
            .iter()
            .any(|(name, _)| *name == "content-type")
        {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let own = request.headers.iter();
        headers.extend(own.map(|(name, value)| ((*name).to_owned(), value.clone())));
        let mut authorize = |value: String| headers.push(("authorization".to_owned(), value));
        let key = self.key.as_deref();
        match (&provider.auth, key, token) {
            (AuthScheme::OauthClientCredentials { .. } | AuthScheme::SignedJwt { .. }, ..) => {
                let token = token.ok_or_else(|| Error::internal("a call without its token"))?;
                authorize(format!("Bearer {token}"));
            }
            (_, None, _) => {}
            (AuthScheme::Bearer, Some(key), _) => authorize(format!("Bearer {key}")),
            (AuthScheme::Basic, Some(key), _) => {
                authorize(format!("Basic {}", BASE64_STANDARD.encode(key)));
            }
            (AuthScheme::Header { name }, Some(key), _) => {
                headers.push((name.clone(), key.to_owned()));
            }
            (AuthScheme::Query { name }, Some(key), _) => {
                append_query(&mut url, &format!("{name}={key}"));
            }
            (
                AuthScheme::SigV4 {
                    service, region, ..
                },
                Some(key),
                _,
            ) => {
                let signed = self.signed(service, region, key, &url, request, now_ms)?;
                let signed = signed.into_iter();
                headers.extend(signed.map(|(name, value)| (name.to_owned(), value)));
            }
        }
        Ok(Outgoing { url, headers })
    }

    /// The headers that authenticate a call at AWS. They sign the dialect's own headers with it.
    fn signed(
        &self,
        service: &str,
        region: &str,
        key: &str,
        url: &str,
        request: &NativeRequest,
        now_ms: u64,
    ) -> Result<Vec<(&'static str, String)>> {
        let wrong = |what: &str| misconfigured(self.provider, what);
        let secret =
            aws::Secret::read(key).map_err(|why| wrong(&format!("its key is malformed: {why}")))?;
        let region = self
            .lookup(region)
            .filter(|region| aws::is_region(region))
            .ok_or_else(|| wrong(&format!("the variable {region} names no region")))?;
        let (host, path, query) = aws::parts(url).ok_or_else(|| wrong("its URL is malformed"))?;
        let headers = request.headers.iter();
        let headers: Vec<(&str, &str)> = headers
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let signable = Signable {
            method: "POST",
            host,
            path,
            query,
            headers: &headers,
            body: &request.body,
        };
        let scope = Scope {
            region: &region,
            service,
        };
        let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        Ok(secret.headers(&signable, scope, now_ms))
    }

    /// The region that a key for AWS names.
    fn own_region(&self, name: &str) -> Option<String> {
        match (&self.provider.auth, self.key.as_deref()) {
            (AuthScheme::SigV4 { region, .. }, Some(key)) if region == name => {
                let secret = aws::Secret::read(key).ok()?;
                let own = secret.region();
                own.filter(|region| self.provider.auth.reaches(region))
                    .map(str::to_owned)
            }
            _ => None,
        }
    }

    /// Puts variables into a template.
    fn resolve(&self, template: &str) -> Result<String> {
        resolve_base_url(template, |name| self.lookup(name))
            .map_err(|error| misconfigured(self.provider, &error.to_string()))
    }

    /// A variable: as the key says, as the deployment sets it, by default, or as it follows from others.
    fn lookup(&self, name: &str) -> Option<String> {
        let set = self
            .own_region(name)
            .or_else(|| (self.variable)(name))
            .or_else(|| self.provider.defaults.get(name).cloned());
        if set.is_some() || !self.provider.key_format.implies().contains(&name) {
            return set;
        }
        match (self.provider.key_format, name) {
            (KeyFormat::ServiceAccount, key::VERTEX_ENDPOINT) => self
                .lookup(key::VERTEX_LOCATION)
                .map(|at| key::vertex_host(&at)),
            (KeyFormat::ServiceAccount, key::VERTEX_PROJECT) => {
                let account = ServiceAccount::read(self.key.as_deref()?).ok()?;
                Some(account.project_id)
            }
            _ => None,
        }
    }
}

/// A provider that this deployment cannot call as it is.
fn misconfigured(provider: &Provider, what: &str) -> Error {
    let message = format!("{} is not configured: {what}", provider.name);
    Error::upstream(ErrorType::ProviderUnavailable, message)
}

fn append_query(url: &mut String, query: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str(query);
}

#[cfg(test)]
mod tests;
