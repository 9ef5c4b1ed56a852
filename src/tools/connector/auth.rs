//! With whose key a provider is called, and where in the request it goes.
//!
//! Tokens are `access::token`'s, signatures `signing`'s.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value};

use super::{
    Context, Outgoing, Problem, encode,
    template::{self, Scope},
};
use crate::{
    access::token::Grant,
    catalog::provider::resolve_base_url,
    identity::people::form::encoded,
    signing::{
        aws,
        sigv4::{Scope as SigningScope, Signable},
    },
    tools::catalog::{AuthKind, Pooling, Tool, ToolProvider},
};

/// The variable that says that all accounts are the operator's own.
const SINGLE_TENANT: &str = "TOOLS_SINGLE_TENANT";
/// Texts shorter than this are not taken for secrets when answers are cleared of them.
const SHORTEST_SECRET: usize = 8;

/// The key of a call.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    key: Option<String>,
    is_own: bool,
    is_keyless: bool,
}

impl Credentials {
    /// The account's own key, else the operator's, else how the provider is called with none.
    ///
    /// # Errors
    /// Where it is called with none only by those who have one.
    pub fn of(
        tool: &Tool,
        own: Option<&str>,
        var: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Problem> {
        let provider = &tool.provider;
        if let Some(own) = own {
            let key = Some(own.trim().to_owned());
            return Ok(Self {
                key,
                is_own: true,
                is_keyless: false,
            });
        }
        let may_share =
            provider.pooling == Pooling::Allowed || var(SINGLE_TENANT).is_some_and(|it| it == "on");
        let operators = provider.secret.as_deref().filter(|_| may_share);
        if let Some(key) = operators.and_then(var) {
            return Ok(Self {
                key: Some(key.trim().to_owned()),
                ..Self::default()
            });
        }
        if !provider.is_keyless(&tool.operation.name) {
            return Err(wrong(provider, "it has no key"));
        }
        let keyless = provider.keyless.as_ref();
        Ok(Self {
            key: keyless.and_then(|keyless| keyless.key.clone()),
            is_own: false,
            is_keyless: true,
        })
    }

    /// Whether it is the account's own key: nothing is charged then.
    pub fn is_own(&self) -> bool {
        self.is_own
    }

    /// Whether the provider is called as those are who have no key, where others do: that costs nobody anything.
    pub fn is_keyless(&self, provider: &ToolProvider) -> bool {
        self.is_keyless && provider.keyless.is_some()
    }

    /// The key, or a part of it.
    pub fn part(&self, provider: &ToolProvider, name: &str) -> Option<String> {
        let key = self.key.as_deref()?;
        if name.is_empty() {
            return Some(key.to_owned());
        }
        let names: Vec<&str> = match provider.auth.kind {
            _ if !provider.key_fields.is_empty() => {
                provider.key_fields.iter().map(String::as_str).collect()
            }
            AuthKind::OauthRefresh => vec!["client_id", "client_secret", "refresh_token"],
            AuthKind::OauthClientCredentials => vec!["client_id", "client_secret"],
            _ => return None,
        };
        let place = names.iter().position(|own| *own == name)?;
        let mut parts = key.splitn(names.len(), ':');
        parts.nth(place).map(str::to_owned)
    }

    /// What must not be in anything that is told.
    pub fn secrets(&self, provider: &ToolProvider) -> Vec<String> {
        let Some(key) = self.key.as_deref().filter(|_| !self.is_public(provider)) else {
            return Vec::new();
        };
        let mut secrets = vec![key.to_owned(), BASE64_STANDARD.encode(key), encoded(key)];
        let parts = key.split([':', '"', ',']);
        secrets.extend(parts.map(|part| part.trim().to_owned()));
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        // The longest first, so that none hides in the rest of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        secrets
    }

    fn is_public(&self, provider: &ToolProvider) -> bool {
        let public = provider.keyless.as_ref().and_then(|it| it.key.as_deref());
        public.is_some() && public == self.key.as_deref()
    }

    /// The grant that calls of this provider need a token of, if they need any.
    ///
    /// # Errors
    /// Where the key is not of the scheme's form, or a variable is missing.
    pub fn grant(
        &self,
        provider: &ToolProvider,
        var: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Grant>, Problem> {
        let auth = &provider.auth;
        if !auth.kind.has_token() {
            return Ok(None);
        }
        let url = auth.token_url.as_deref().unwrap_or_default();
        let url =
            resolve_base_url(url, var).map_err(|error| wrong(provider, &error.to_string()))?;
        let url = super::address::redirected(provider, url, var);
        let scope = auth.scope.as_deref();
        let part = |name: &str| {
            let told = || {
                wrong(
                    provider,
                    "its key has the form client_id:client_secret[:refresh_token]",
                )
            };
            self.part(provider, name).ok_or_else(told)
        };
        let (name, key) = (&provider.name, self.key.as_deref().unwrap_or_default());
        let grant = match auth.kind {
            AuthKind::OauthRefresh => Grant::refresh(
                name,
                &url,
                [
                    &part("client_id")?,
                    &part("client_secret")?,
                    &part("refresh_token")?,
                ],
                scope,
            ),
            AuthKind::OauthClientCredentials => Grant::client(
                name,
                &url,
                &part("client_id")?,
                &part("client_secret")?,
                scope,
            ),
            _ => Grant::jwt(name, &url, key, scope.unwrap_or_default())
                .map_err(|what| wrong(provider, &what))?,
        };
        Ok(Some(grant))
    }
}

/// What templates of requests may say of the key.
pub(super) fn parts<'a>(tool: &'a Tool, cx: &Context<'a>) -> impl Fn(&str) -> Option<String> + 'a {
    let (provider, credentials) = (&tool.provider, cx.credentials);
    move |name| credentials.part(provider, name)
}

/// A provider that cannot be called as it is.
pub(super) fn wrong(provider: &ToolProvider, what: &str) -> Problem {
    Problem::Misconfigured(format!("{} is not configured: {what}", provider.name))
}

/// Puts the key into the fields of a body, where it goes there.
pub(super) fn into_body(
    tool: &Tool,
    cx: &Context<'_>,
    fields: &mut Map<String, Value>,
) -> Result<(), Problem> {
    let auth = &tool.provider.auth;
    if auth.kind == AuthKind::Body {
        let name = auth.name.clone().unwrap_or_default();
        if let Some(key) = &cx.credentials.key {
            fields.insert(name, key.as_str().into());
        }
    }
    Ok(())
}

/// Puts the key where the row says, and what calls without one have.
pub(super) fn authorize(
    tool: &Tool,
    cx: &Context<'_>,
    outgoing: &mut Outgoing,
) -> Result<(), Problem> {
    let provider = &tool.provider;
    let credentials = cx.credentials;
    let key_part = parts(tool, cx);
    if let Some(keyless) = provider.keyless.as_ref().filter(|_| credentials.is_keyless) {
        for (name, value) in &keyless.headers {
            outgoing.set_header(name, value);
        }
        for (name, value) in &keyless.query {
            let pair = format!("{}={}", encoded(name), encoded(value));
            encode::append(&mut outgoing.url, &pair);
        }
    }
    let auth = &provider.auth;
    if auth.kind.has_token() {
        let token = cx
            .token
            .ok_or_else(|| wrong(provider, "there is no token"))?;
        outgoing.set_header("authorization", &format!("Bearer {token}"));
        return Ok(());
    }
    let Some(key) = credentials.key.as_deref() else {
        return Ok(());
    };
    let prefix = auth.prefix.as_deref().unwrap_or_default();
    let name = auth.name.as_deref().unwrap_or("authorization");
    match auth.kind {
        AuthKind::Bearer => outgoing.set_header("authorization", &format!("Bearer {key}")),
        AuthKind::Header => outgoing.set_header(name, &format!("{prefix}{key}")),
        AuthKind::Query => {
            let pair = format!("{}={}", encoded(name), encoded(key));
            encode::append(&mut outgoing.url, &pair);
        }
        AuthKind::Basic => {
            let scope = Scope {
                key: Some(&key_part),
                ..Scope::of(&Value::Null)
            };
            let fill = |template: &Option<String>| {
                let made = template.as_deref().map(|text| template::text(text, scope));
                made.flatten().unwrap_or_default()
            };
            let pair = match (&auth.user, &auth.password) {
                (None, None) if key.contains(':') => key.to_owned(),
                (None, None) => format!("{key}:"),
                (user, password) => format!("{}:{}", fill(user), fill(password)),
            };
            let pair = BASE64_STANDARD.encode(pair);
            outgoing.set_header("authorization", &format!("Basic {pair}"));
        }
        AuthKind::SigV4 => sign(tool, key, cx, outgoing)?,
        _ => {}
    }
    Ok(())
}

fn sign(tool: &Tool, key: &str, cx: &Context<'_>, outgoing: &mut Outgoing) -> Result<(), Problem> {
    let provider = &tool.provider;
    let told = |what: &str| wrong(provider, what);
    let secret = aws::Secret::read(key).map_err(told)?;
    let variable = provider.auth.region.as_deref().unwrap_or_default();
    let region = secret
        .region()
        .map(str::to_owned)
        .or_else(|| (cx.var)(variable));
    let region = region.filter(|region| aws::is_region(region));
    let region = region.ok_or_else(|| told("its region is not set"))?;
    let (host, path, query) =
        aws::parts(&outgoing.url).ok_or_else(|| told("its address is malformed"))?;
    let signed = ["content-type"];
    let headers: Vec<(&str, &str)> = outgoing
        .headers
        .iter()
        .filter(|(name, _)| signed.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let request = Signable {
        method: &outgoing.method,
        host,
        path,
        query,
        headers: &headers,
        body: outgoing.body.as_deref().unwrap_or_default(),
    };
    let scope = SigningScope {
        region: &region,
        service: provider.auth.service.as_deref().unwrap_or_default(),
    };
    let now_ms = i64::try_from(cx.now_ms).unwrap_or(i64::MAX);
    let made = secret.headers(&request, scope, now_ms);
    for (name, value) in made {
        outgoing.set_header(name, &value);
    }
    Ok(())
}
