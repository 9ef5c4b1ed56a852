//! Asking issuers who somebody is: OpenID Connect and GitHub.
//!
//! What is asked and believed is decided in `identity::people`; here it is sent. The operator chose the issuers, so their
//! addresses are not held to be hostile; no redirect is followed, and each answer has a limit of size and time.

use std::rc::Rc;

use futures::{
    StreamExt,
    future::{Either, select},
};
use serde_json::Value;

use crate::{
    api::World,
    error::{Error, ErrorType, Next, Result, Source},
    identity::people::{
        flow::Flow,
        github,
        oidc::{self, Claims, Discovery, IdToken, Jwks, Tokens},
        signer::Signer,
        users::Identity,
    },
    relay::WebResponse,
    server_tools::WebRequest,
};

/// How long one answer may take, in milliseconds.
const LIMIT_MS: u64 = 10_000;
/// The most of an answer that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// A way of signing in.
pub(super) enum Way {
    /// OpenID Connect.
    Oidc(oidc::Config),
    /// GitHub.
    GitHub(github::Config),
}

impl Way {
    /// The ways that the deployment has.
    pub fn all<W: World>(world: &W) -> Vec<Self> {
        let var = |name: &str| world.var(name);
        let oidc = ["OIDC", "OIDC_2", "OIDC_3", "OIDC_4"].iter();
        let mut ways: Vec<Self> = oidc
            .filter_map(|prefix| oidc::Config::read(prefix, var))
            .map(Self::Oidc)
            .collect();
        ways.extend(github::Config::read(var).map(Self::GitHub));
        ways
    }

    /// Its word in paths.
    pub fn slug(&self) -> &str {
        match self {
            Self::Oidc(config) => &config.slug,
            Self::GitHub(_) => github::Config::SLUG,
        }
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        match self {
            Self::Oidc(config) => &config.name,
            Self::GitHub(_) => "GitHub",
        }
    }

    /// Where the browser goes.
    pub async fn leave_for<W: World>(
        &self,
        world: &W,
        flow: &Flow,
        signer: &Signer,
        redirect: &str,
    ) -> Result<String> {
        let (state, challenge) = (flow.state(signer), flow.challenge(signer));
        match self {
            Self::GitHub(config) => Ok(config.authorize_url(redirect, &state, &challenge)),
            Self::Oidc(config) => {
                let asked = oidc::Asked {
                    state: &state,
                    nonce: &flow.nonce(signer),
                    challenge: &challenge,
                };
                let (discovery, _) = known(world, config, false)
                    .await
                    .map_err(|trouble| self.trouble(world, &trouble))?;
                Ok(discovery.authorize_url(config, redirect, &asked))
            }
        }
    }

    /// Who came back with this code.
    pub async fn identity<W: World>(&self, world: &W, answer: &Answer<'_>) -> Result<Identity> {
        let found = match self {
            Self::Oidc(config) => by_oidc(world, config, answer).await,
            Self::GitHub(config) => by_github(world, config, answer).await,
        };
        found.map_err(|trouble| self.trouble(world, &trouble))
    }

    fn trouble<W: World>(&self, world: &W, trouble: &str) -> Error {
        world.report(&format!("signing in with {}: {trouble}", self.name()));
        Error::new(
            Source::Upstream,
            Next::Final,
            ErrorType::ProviderUnavailable,
            format!(
                "{} could not confirm who you are. Try again; if it stays so, tell the operator.",
                self.name()
            ),
        )
    }
}

/// What an issuer sent back, with what was asked.
pub(super) struct Answer<'a> {
    /// The code.
    pub code: &'a str,
    /// Who says it is.
    pub issuer: Option<&'a str>,
    /// Where it was sent.
    pub redirect: &'a str,
    /// What proves that we asked.
    pub verifier: &'a str,
    /// What the ID token has to say.
    pub nonce: &'a str,
}

type Trouble = String;

/// How an issuer describes itself, and its keys: from memory, or `anew`.
async fn known<W: World>(
    world: &W,
    config: &oidc::Config,
    anew: bool,
) -> Result<(Rc<Discovery>, Rc<Jwks>), Trouble> {
    let memory = world.memory();
    if let Some(known) = memory
        .issuers
        .get(&config.issuer, world.now_ms())
        .filter(|_| !anew)
    {
        return Ok(known);
    }
    let body = expected(ask(world, config.discovery_url(), None, None).await?)?;
    let discovery = Discovery::read(config, &body)?;
    let body = expected(ask(world, discovery.jwks_uri.clone(), None, None).await?)?;
    let keys: Jwks = crate::json::from_slice(&body)
        .map_err(|error| format!("its keys cannot be read: {error}"))?;
    let (discovery, keys) = (Rc::new(discovery), Rc::new(keys));
    memory
        .issuers
        .put(&config.issuer, &discovery, &keys, world.now_ms());
    Ok((discovery, keys))
}

async fn by_oidc<W: World>(
    world: &W,
    config: &oidc::Config,
    answer: &Answer<'_>,
) -> Result<Identity, Trouble> {
    let (discovery, keys) = known(world, config, false).await?;
    if !discovery.is_answer_of(answer.issuer) {
        return Err("the answer came from another issuer".to_owned());
    }
    let exchange = discovery.exchange(config, answer.redirect, answer.code, answer.verifier);
    let sent = ask(
        world,
        exchange.url,
        exchange.authorization,
        Some(exchange.form),
    )
    .await?;
    let tokens: Tokens = crate::json::from_slice(&expected(sent)?)
        .map_err(|error| format!("its tokens cannot be read: {error}"))?;
    let mut claims = believed(world, config, &tokens.id_token, keys, answer.nonce).await?;
    if claims.lacks_email()
        && let Some((url, token)) = discovery.userinfo_endpoint.clone().zip(tokens.access_token)
    {
        let body = expected(ask(world, url, Some(format!("Bearer {token}")), None).await?)?;
        if let Ok(Value::Object(more)) = crate::json::from_slice(&body) {
            claims.add(more);
        }
    }
    Ok(claims.identity(config))
}

/// What an ID token says, checked whole. A key that is not known may be new: the issuer is asked once more.
async fn believed<W: World>(
    world: &W,
    config: &oidc::Config,
    token: &str,
    keys: Rc<Jwks>,
    nonce: &str,
) -> Result<Claims, Trouble> {
    let token = IdToken::read(token)?;
    let key = match token.key(&keys) {
        Some(key) => key,
        None => {
            let (_, keys) = known(world, config, true).await?;
            token
                .key(&keys)
                .ok_or("the ID token is signed with a key that the issuer does not have")?
        }
    };
    let verified = world
        .verify(token.algorithm, &key, &token.signed, &token.signature)
        .await;
    if !verified.map_err(|error| error.message)? {
        return Err("the signature of the ID token is wrong".to_owned());
    }
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    token.believe(config, nonce, now)
}

async fn by_github<W: World>(
    world: &W,
    config: &github::Config,
    answer: &Answer<'_>,
) -> Result<Identity, Trouble> {
    let (url, form) = config.exchange(answer.redirect, answer.code, answer.verifier);
    let token = github::access_token(&expected(ask(world, url, None, Some(form)).await?)?)?;
    let bearer = || Some(format!("Bearer {token}"));
    let user = expected(ask(world, config.user_url(), bearer(), None).await?)?;
    let (status, emails) = ask(world, config.emails_url(), bearer(), None).await?;
    // Who did not allow the addresses has none here.
    let emails = if status == 200 { emails } else { Vec::new() };
    config.identity(&user, &emails)
}

fn expected((status, body): (u16, Vec<u8>)) -> Result<Vec<u8>, Trouble> {
    if status == 200 {
        return Ok(body);
    }
    // The words of OAuth (RFC 6749 §5.2) name no secret.
    let answer: Value = crate::json::from_slice(&body).unwrap_or_default();
    let word = answer
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or("no error code");
    Err(format!(
        "it answered with status {status}, {}",
        word.chars().take(100).collect::<String>()
    ))
}

async fn ask<W: World>(
    world: &W,
    url: String,
    authorization: Option<String>,
    form: Option<String>,
) -> Result<(u16, Vec<u8>), Trouble> {
    let agent = concat!("patchbay/", env!("CARGO_PKG_VERSION"));
    let mut headers = vec![
        ("accept", "application/json".to_owned()),
        ("user-agent", agent.to_owned()),
    ];
    headers.extend(authorization.map(|value| ("authorization", value)));
    if form.is_some() {
        headers.push((
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        ));
    }
    let request = WebRequest {
        url,
        headers,
        body: form.map(String::into_bytes),
        max_bytes: MAX_BYTES,
    };
    let answered = async {
        let WebResponse {
            status, mut body, ..
        } = world.fetch(request).await?;
        let mut whole = Vec::new();
        while let Some(piece) = body.next().await {
            whole.extend_from_slice(&piece?);
            if whole.len() > MAX_BYTES {
                return Err(Error::internal("the answer is too long"));
            }
        }
        Ok((status, whole))
    };
    match select(std::pin::pin!(answered), world.sleep(LIMIT_MS)).await {
        Either::Left((answer, _)) => answer.map_err(|error| error.message),
        Either::Right(_) => Err("it did not answer in time".to_owned()),
    }
}
