//! A document or server read: fetched through the guard of addresses, bounded, and made into a provider.

use std::rc::Rc;

use futures::future::LocalBoxFuture;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::slug_of;
use crate::{
    api::{World, http::check_depth, toolbox::guard},
    error::{Error, Result},
    identity::keys::hex,
    json,
    server_tools::Address,
    tools::{
        catalog::{Keyless, Remote, Source as Kind, Tool, ToolProvider},
        connector::{self, Answer, Context, Credentials, Outgoing, Problem},
        execute::SendError,
        imports::{Imported, MAX_BYTES, auth, mcp, openapi, settings::Settings, store::Source},
        mcp_client::{self, Trouble, Wire},
    },
};

/// How long fetching may take, in milliseconds.
const FETCH_MS: u64 = 20_000;
/// The most redirects.
const MAX_REDIRECTS: usize = 3;

/// Where it is read from.
pub(super) enum Way {
    /// It was sent; its address, where it has one.
    Sent(Value, Option<String>),
    /// An address.
    Url(String),
}

impl Way {
    pub(super) fn of(document: Option<Value>, url: Option<&str>) -> Result<Self> {
        match (document, url) {
            (Some(document), url) => Ok(Self::Sent(document, url.map(str::to_owned))),
            (None, Some(url)) => Ok(Self::Url(url.to_owned())),
            (None, None) => Err(Error::invalid("url", "Send a url, or a document")),
        }
    }

    /// As it was read before.
    pub(super) fn again(document: Option<Value>, source: &Source) -> Result<Self> {
        let way = Self::of(document, source.url.as_deref());
        way.map_err(|_| Error::invalid("document", "It has no url: send the document"))
    }
}

/// What is read, and with what.
pub(super) struct Reading<'a, W> {
    pub world: &'a W,
    pub kind: Kind,
    pub settings: &'a Settings,
    pub headers: &'a [(String, String)],
    /// The account's own key for an MCP server.
    pub key: Option<&'a str>,
    /// Whether a secret of the deployment may be used.
    pub is_operators: bool,
}

impl<W: World> Reading<'_, W> {
    /// The provider, and the digest of what it was made of.
    pub(super) async fn read(&self, way: Way, slug: Option<&str>) -> Result<(Imported, String)> {
        if self.kind == Kind::Mcp {
            return self.server(way, slug).await;
        }
        let (document, url) = match way {
            Way::Sent(Value::String(text), url) => (parsed(text.as_bytes(), "document")?, url),
            Way::Sent(document, url) => (document, url),
            Way::Url(url) => (parsed(&self.fetched(&url).await?, "url")?, Some(url)),
        };
        let text = document.to_string();
        if text.len() > MAX_BYTES {
            let message = format!("A document has at most {MAX_BYTES} bytes");
            return Err(Error::invalid("document", message));
        }
        let slug = match slug {
            Some(slug) => slug.to_owned(),
            None => slug_of(&document)?,
        };
        let made = openapi::read(&document, &slug, self.settings, url.as_deref());
        let made = made.map_err(|why| Error::invalid("document", why))?;
        self.admit(&made).await?;
        Ok((made, digest(&text)))
    }

    /// Whether its calls may go where it says. The guard asks again at each call.
    async fn admit(&self, made: &Imported) -> Result<()> {
        let provider = &made.provider;
        let addresses = [Some(&provider.base_url), provider.auth.token_url.as_ref()];
        for address in addresses.into_iter().flatten() {
            let admitted = guard::admits(self.world, address).await;
            admitted.map_err(|why| Error::invalid("server", format!("{address}: {why}")))?;
        }
        Ok(())
    }

    async fn fetched(&self, url: &str) -> Result<Vec<u8>> {
        let wrong = |why: String| Error::invalid("url", format!("It could not be fetched: {why}"));
        let mut address = Address::parse(url).map_err(|why| wrong(why.to_string()))?;
        let first = address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let url = address.to_string();
            let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
            // Whatever they hold is for the one that it was given for.
            if address.authority() == first.authority() && address.is_https() == first.is_https() {
                headers.extend_from_slice(self.headers);
            }
            let request = Outgoing {
                method: "GET".to_owned(),
                url,
                headers,
                max_bytes: MAX_BYTES,
                timeout_ms: FETCH_MS,
                is_guarded: true,
                ..Outgoing::default()
            };
            let answer = guard::send(self.world, request).await;
            let answer = answer.map_err(|error| wrong(why(&error).to_owned()))?;
            let location = answer.header("location").unwrap_or_default();
            match answer.status {
                200..=299 => return Ok(answer.body),
                301 | 302 | 303 | 307 | 308 if !location.is_empty() => {
                    let next = address.join(location);
                    address = next.map_err(|why| wrong(why.to_string()))?;
                }
                status => return Err(wrong(format!("it answered {status}"))),
            }
        }
        Err(wrong("it redirects too often".to_owned()))
    }

    async fn server(&self, way: Way, slug: Option<&str>) -> Result<(Imported, String)> {
        let (Way::Url(url) | Way::Sent(_, Some(url))) = way else {
            return Err(Error::invalid("url", "Send the url of the MCP server"));
        };
        let base = self.base(&url, slug.unwrap_or("mcp"))?;
        let listed = mcp_client::list(&Asking(self.world.clone()), base, None).await;
        let listing = listed.map_err(|trouble| {
            let why = match trouble {
                Trouble::Failed(failure) => failure.message,
                Trouble::TooLong => "Its list of tools is too long".to_owned(),
            };
            Error::invalid("url", format!("Its tools could not be listed: {why}"))
        })?;
        let slug = match slug {
            Some(slug) => slug.to_owned(),
            None => mcp::slug(&listing)
                .ok_or_else(|| Error::invalid("slug", "Choose a slug for its tools"))?,
        };
        let made = mcp::read(&listing, &slug, self.settings, &url);
        let made = made.map_err(|why| Error::invalid("url", why))?;
        let text = Value::from(listing.tools).to_string();
        Ok((made, digest(&text)))
    }

    /// What every request to an MCP server has: the key as its calls have it, and the headers for reading.
    fn base(&self, url: &str, slug: &str) -> Result<Outgoing> {
        let choice = self.settings.auth.clone().unwrap_or_default();
        let auth = auth::chosen(&choice).map_err(|why| Error::invalid("auth", why))?;
        let remote = Remote {
            url: url.to_owned(),
            protocol: None,
        };
        let provider = Rc::new(ToolProvider {
            slug: slug.to_owned(),
            name: "The server".to_owned(),
            source: Kind::Mcp,
            auth: auth.unwrap_or_default(),
            secret: self.settings.secret.clone().filter(|_| self.is_operators),
            // Some tell everybody what they have.
            keyless: Some(Keyless::default()),
            ..ToolProvider::default()
        });
        let tool = Tool::new(&provider, &Rc::default());
        let var = |name: &str| self.world.var(name);
        let wrong = |problem: Problem| Error::invalid("auth", problem.to_string());
        let credentials = Credentials::of(&tool, self.key, &var).map_err(wrong)?;
        let cx = Context {
            credentials: &credentials,
            token: None,
            idempotency: None,
            now_ms: self.world.now_ms(),
            var: &var,
        };
        let mut base = connector::remote(&tool, &remote, &cx).map_err(wrong)?;
        base.headers.extend_from_slice(self.headers);
        Ok(base)
    }
}

/// The world as whoever lists a server's tools sees it.
#[derive(Clone)]
struct Asking<W>(W);

impl<W: World> Wire for Asking<W> {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }

    fn send(&self, request: Outgoing) -> LocalBoxFuture<'static, Result<Answer, SendError>> {
        guard::send(&self.0, request)
    }

    fn spawn(&self, task: LocalBoxFuture<'static, ()>) {
        self.0.spawn(task);
    }
}

fn why(error: &SendError) -> &str {
    match error {
        SendError::NotSent(why) => why,
        SendError::Unknown(_) => "the connection failed",
        SendError::TimedOut => "it took too long",
        SendError::TooLarge(_) => "it is too large",
    }
}

/// A document's text as JSON.
fn parsed(text: &[u8], param: &str) -> Result<Value> {
    check_depth(text).map_err(|_| Error::invalid(param, "It is nested too deeply"))?;
    json::from_slice(text).map_err(|error| {
        let head = text.trim_ascii_start();
        let is_json = head.starts_with(b"{");
        let message = if is_json {
            format!("It is no JSON: {error}")
        } else {
            "It is no JSON: a document in YAML has to be converted first".to_owned()
        };
        Error::invalid(param, message)
    })
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}
