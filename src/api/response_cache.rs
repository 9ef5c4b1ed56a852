//! The response cache: a client that asks for it gets the answer to an identical request again, at no cost.
//!
//! In scope: conversations of every surface and embeddings; the headers and what a preset says, who may have which entry, simultaneous
//! misses. Out of scope: providers' prompt caches (`routing::sticky`). Spec: OpenRouter's `X-OpenRouter-Cache…` headers. Three rules are ours: the order of properties in a
//! body does not matter, labels ([`key::LABELS`]) do not either, and simultaneous misses within an isolate are one request.
//!
//! - An entry belongs to one API key. A hit asks the account like any request, so a disabled key is refused at once; the
//!   hold is over nothing, and the settlement writes the usage row.
//! - Only answers that came to their end in order are kept, for [`MAX_BYTES`] at most.
//! - No request ever waits for another's future: whoever misses while an equal request is under way looks into the isolate's
//!   memory again after short sleeps of its own, and goes its own way when the other one failed or takes too long.

mod key;
mod memory;
mod replay;

use std::{cell::RefCell, future::Future, rc::Rc};

use futures::future::{Either, select};

use super::{
    World,
    http::{Body, Request, Response},
    prepare::Prepared,
};
use crate::{
    catalog::Operation,
    credits::{money::Nanos, ops},
    dialects::Surface,
    error::{Error, ErrorType, Next, Result, Source},
    identity::KeyRecord,
    presets::Preset,
    relay::{self, Origin, limits},
    routing::sticky::Served,
    usage::{self, UsageRow},
};

pub use memory::Answers;
use memory::{Found, Lease};
use replay::Entry;

/// Lifetime of an entry where the client names none, in seconds.
pub const DEFAULT_TTL_S: u64 = 300;
/// The longest lifetime of an entry, in seconds.
pub const MAX_TTL_S: u64 = 86_400;
/// The longest answer that is kept, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// How long an equal request that is under way is waited for, in milliseconds since its own beginning.
pub const WAIT_MS: u64 = 15_000;
/// The longest wait for an entry out of KV, in milliseconds.
const READ_LIMIT_MS: u64 = 1_000;
/// Sleeps between two looks for the answer of an equal request, in milliseconds; the last one repeats.
const SLEEPS_MS: [u64; 5] = [10, 20, 40, 80, 160];
/// Pause between two writes of one key in KV, in milliseconds: the platform's limit, and some more.
const WRITE_PAUSE_MS: u64 = 1_100;

/// Where all isolates keep answers.
pub trait AnswerStore {
    /// The text under a key.
    fn answer(&self, key: &str) -> impl Future<Output = Result<Option<String>>>;

    /// Writes a text that vanishes after so many seconds, or a little later.
    fn put_answer(
        &self,
        key: &str,
        text: &str,
        lifetime_s: u64,
    ) -> impl Future<Output = Result<()>>;
}

/// What is answered, and in whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A conversation.
    Talk(Surface),
    /// Vectors.
    Embeddings,
}

impl Form {
    /// Its name in keys.
    fn as_str(self) -> &'static str {
        match self {
            Self::Talk(surface) => surface.as_str(),
            Self::Embeddings => "embeddings",
        }
    }

    /// The word of usage rows.
    fn api_type(self) -> &'static str {
        match self {
            Self::Talk(_) => "completions",
            Self::Embeddings => Operation::Embeddings.api_type(),
        }
    }
}

/// What the client's headers say of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// On or off, where they say so.
    asked: Option<bool>,
    /// Lifetime of a new entry, in seconds.
    ttl_s: Option<u64>,
    /// Do not use what is kept.
    clear: bool,
    /// What other headers make of the same body.
    variant: String,
}

/// What is asked of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Lifetime of a new entry, in seconds.
    ttl_s: u64,
    /// Do not use what is kept.
    clear: bool,
    /// What headers and preset make of the same body.
    variant: String,
}

/// Headers that change what a body means.
const VARY: [&str; 3] = ["x-provider", "anthropic-beta", "x-anthropic-beta"];

impl Headers {
    /// Reads them.
    pub fn of(request: &Request) -> Self {
        let flag = |name: &str| {
            let value = request.header(name)?;
            value.trim().to_ascii_lowercase().parse::<bool>().ok()
        };
        Self {
            asked: flag("x-openrouter-cache"),
            ttl_s: ttl(request.header("x-openrouter-cache-ttl").as_deref()),
            clear: flag("x-openrouter-cache-clear") == Some(true),
            variant: VARY
                .map(|name| request.header(name).unwrap_or_default())
                .join("\0"),
        }
    }

    /// Whether the cache may be on: it is not where the headers say nothing, unless a preset does.
    pub fn ask(&self) -> bool {
        self.asked == Some(true)
    }

    /// What they and the preset ask for; nothing where the cache is off. A preset that forbids it wins over the headers, and they win
    /// over one that wants it.
    pub fn wish(self, preset: Option<&Preset>) -> Option<Wish> {
        let by_preset = preset.and_then(Preset::cache_enabled);
        let is_on = by_preset != Some(false) && self.asked.or(by_preset) == Some(true);
        let mut variant = self.variant;
        if let Some(Preset { id, version, .. }) = preset {
            variant.push_str(&format!("\0{id} {version}"));
        }
        let ttl_s = self.ttl_s.or(preset.and_then(Preset::cache_ttl_s));
        is_on.then(|| Wish {
            ttl_s: ttl_s.map_or(DEFAULT_TTL_S, |ttl| ttl.clamp(1, MAX_TTL_S)),
            clear: self.clear,
            variant,
        })
    }
}

/// A lifetime as its leading integer, within bounds; what begins with none is as good as absent.
fn ttl(text: Option<&str>) -> Option<u64> {
    let text = text.unwrap_or_default().trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    match text.get(..end) {
        Some("") | None => None,
        Some(digits) => Some(digits.parse().unwrap_or(MAX_TTL_S).clamp(1, MAX_TTL_S)),
    }
}

/// A request that asks for the cache.
pub struct Asked<'a> {
    /// What it asks of the cache.
    pub wish: Wish,
    /// What is answered.
    pub form: Form,
    /// Its generation id.
    pub id: &'a str,
    /// Its key.
    pub key: &'a KeyRecord,
    /// Who sent it.
    pub origin: &'a Origin,
    /// What it asks.
    pub request: &'a Prepared,
}

/// What became of the look into the cache.
pub enum Lookup {
    /// The cache is not for this request.
    Off,
    /// The answer.
    Hit(Response),
    /// Somebody has to answer; a good answer fills the cache.
    Miss(Filling),
}

/// Looks for the answer to a request.
///
/// # Errors
/// Where there is one and the account refuses the key.
pub async fn look_up<W: World>(world: &W, asked: Asked<'_>) -> Result<Lookup> {
    let policy = asked.request.policy.as_deref();
    let mut models = asked.request.models.iter();
    let keeps_nothing = policy
        .is_some_and(|policy| models.any(|asked| policy.enforces_zdr(&asked.model.model.slug)));
    // What tools did is done again by whoever asks again.
    let has_effects = asked.request.hosted.is_some();
    if asked.request.preferences.zdr == Some(true) || keeps_nothing || has_effects {
        return Ok(Lookup::Off);
    }
    let whose = key::Whose {
        key_hash: &asked.key.hash,
        form: asked.form.as_str(),
        stream: asked.request.chat.stream,
        variant: &asked.wish.variant,
    };
    let Some(key) = key::Key::of(&whose, &asked.request.raw) else {
        return Ok(Lookup::Off);
    };
    let memory = world.memory();
    if asked.wish.clear {
        memory.answers.forget(&key);
        let names = [key.text()];
        let deleting = std::pin::pin!(world.delete_kv(&names));
        if let Either::Left((Err(error), _)) = select(deleting, world.sleep(READ_LIMIT_MS)).await {
            world.report(&format!("a cached answer could not be dropped: {error}"));
        }
    }
    let mut sleeps = SLEEPS_MS.into_iter();
    let mut pause = 0;
    let lease = loop {
        let found = match asked.wish.clear {
            true => Found::Nothing,
            false => memory.answers.find(&key, world.now_ms()),
        };
        match found {
            Found::Entry(entry) => return hit(world, &asked, &entry).await.map(Lookup::Hit),
            Found::UnderWay => {
                pause = sleeps.next().unwrap_or(pause);
                world.sleep(pause).await;
            }
            Found::Nothing => break Lease::new(&memory, key, world.now_ms()),
        }
    };
    if !asked.wish.clear
        && let Some(entry) = read(world, &key).await
    {
        let entry = Rc::new(entry);
        memory.answers.keep(key, Rc::clone(&entry), world.now_ms());
        drop(lease);
        return hit(world, &asked, &entry).await.map(Lookup::Hit);
    }
    Ok(Lookup::Miss(Filling {
        id: asked.id.to_owned(),
        started_ms: world.now_ms(),
        form: asked.form,
        stream: asked.request.chat.stream,
        wish: asked.wish,
        served: Rc::default(),
        body: Some(Vec::new()),
        lease,
    }))
}

/// An entry out of KV that is still good.
async fn read<W: World>(world: &W, key: &key::Key) -> Option<Entry> {
    let name = key.text();
    let reading = std::pin::pin!(world.answer(&name));
    let text = match select(reading, world.sleep(READ_LIMIT_MS)).await {
        Either::Left((Ok(text), _)) => text?,
        Either::Left((Err(error), _)) => {
            world.report(&format!("a cached answer could not be read: {error}"));
            return None;
        }
        Either::Right(_) => return None,
    };
    Entry::parse(&text).filter(|entry| entry.is_alive(world.now_ms()))
}

/// Gives the answer again, under the account's eyes.
async fn hit<W: World>(world: &W, asked: &Asked<'_>, entry: &Entry) -> Result<Response> {
    let now = world.now_ms();
    let row = row(asked, entry, now).into_raw();
    let row = row.map_err(|error| Error::internal(error.to_string()))?;
    let account = asked.key.account.as_str();
    let hold = ops::Hold {
        id: asked.id.to_owned(),
        key_hash: asked.key.hash.clone(),
        amount: Nanos::ZERO,
        ttl_ms: signed(limits::HOLD_LIFETIME_MS),
        row: row.clone(),
        secret: asked.key.secret.clone(),
        member: asked.key.member.clone(),
        ..ops::Hold::default()
    };
    match within(world, limits::HOLD_MS, world.call(account, &hold)).await? {
        ops::HoldReply::Granted { .. } => {}
        ops::HoldReply::Refused(refusal) => return Err(relay::explain_refusal(&refusal)),
    }
    let settle = ops::Settle {
        id: asked.id.to_owned(),
        row,
        ..ops::Settle::default()
    };
    if let Err(error) = within(world, limits::SETTLE_MS, world.call(account, &settle)).await {
        // The hold releases itself, and its own row says the same.
        world.report(&format!(
            "{}: a hit could not be settled: {error}",
            asked.id
        ));
    }
    let created = asked.request.started_ms / 1_000;
    let mut response = if asked.request.chat.stream {
        event_stream(Body::Bytes(entry.stream(asked.id, created)))
    } else {
        Response::json_bytes(200, entry.whole(asked.id, created))
    };
    response.header("x-patchbay-provider", entry.provider.clone());
    response.header("x-patchbay-model", entry.model.clone());
    response.header("x-patchbay-attempts", "0");
    response.header("x-openrouter-cache-status", "HIT");
    response.header("x-openrouter-cache-age", entry.age_s(now).to_string());
    response.header("x-openrouter-cache-ttl", entry.ttl_s(now).to_string());
    response.header("x-openrouter-cache-source-id", entry.source.clone());
    Ok(response)
}

/// A response that is a stream of events.
pub fn event_stream(body: Body) -> Response {
    Response {
        status: 200,
        headers: vec![
            ("content-type".into(), "text/event-stream".into()),
            ("cache-control".into(), "no-cache".into()),
        ],
        body,
    }
}

/// The usage row of a hit: nothing was used.
fn row(asked: &Asked<'_>, entry: &Entry, now: u64) -> UsageRow {
    let origin = asked.origin;
    UsageRow {
        request_id: origin.request_id.clone(),
        created_at: signed(asked.request.started_ms),
        api_type: asked.form.api_type().into(),
        model: entry.model.clone(),
        provider: Some(entry.provider.clone()),
        endpoint: Some(entry.endpoint.clone()),
        streamed: asked.request.chat.stream,
        finish_reason: entry.finish.clone(),
        native_finish_reason: entry.native_finish.clone(),
        latency_ms: Some(signed(now.saturating_sub(asked.request.started_ms))),
        generation_ms: Some(0),
        response_cache_source_id: Some(entry.source.clone()),
        origin: usage::Origin {
            http_referer: origin.referer.clone(),
            app_title: origin.title.clone(),
            user_agent: origin.user_agent.clone(),
            session_id: asked.request.chat.session_id.clone(),
            external_user: asked.request.chat.user.clone().or(origin.end_user.clone()),
            trace: asked.request.chat.trace(),
        },
        member: origin.member.clone(),
        app: usage::app::named(origin.referer.as_deref(), origin.title.as_deref()),
        preset: origin.preset.clone(),
        router: origin.router.clone(),
        guardrails: origin.guardrails.clone(),
        surface: match asked.form {
            Form::Talk(surface) => Some(surface.as_str().to_owned()),
            Form::Embeddings => None,
        },
        ..UsageRow::default()
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Waits for a call of the account, but not for ever.
async fn within<W: World, T>(
    world: &W,
    limit_ms: u64,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    match select(std::pin::pin!(call), world.sleep(limit_ms)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Error::new(
            Source::Gateway,
            Next::SameAgain,
            ErrorType::ProviderOverloaded,
            "The account does not answer right now: try again",
        )),
    }
}

/// Who served, as [`Filling::witness`] saw it.
type Seen = Rc<RefCell<Option<Facts>>>;

struct Facts {
    model: String,
    provider: String,
    endpoint: String,
}

/// A miss that is being answered. Dropped before [`Filling::take`] has seen a good answer to its end, it leaves the cache
/// to the next request.
pub struct Filling {
    wish: Wish,
    id: String,
    started_ms: u64,
    form: Form,
    stream: bool,
    served: Seen,
    /// What went to the client so far; nothing once it is too much.
    body: Option<Vec<u8>>,
    lease: Lease,
}

impl Filling {
    /// Told of a good answer, before its last byte leaves.
    pub fn witness(&self) -> impl Fn(&Served<'_>) + 'static {
        let seen = Rc::clone(&self.served);
        move |served: &Served<'_>| {
            let (endpoint, provider) = (&served.route.endpoint, &served.route.provider);
            *seen.borrow_mut() = Some(Facts {
                model: endpoint.model.clone(),
                provider: provider.name.clone(),
                endpoint: endpoint.tag.clone(),
            });
        }
    }

    /// Says on the response that the cache was asked.
    pub fn describe(&self, response: &mut Response) {
        response.header("x-openrouter-cache-status", "MISS");
        response.header("x-openrouter-cache-ttl", self.wish.ttl_s.to_string());
    }

    /// Takes note of bytes for the client. With the last ones of a good answer the cache is filled: memory at once, KV
    /// behind the response.
    pub fn take<W: World>(&mut self, world: &W, bytes: &[u8]) {
        let Some(body) = &mut self.body else { return };
        if body.len() + bytes.len() > MAX_BYTES {
            self.body = None;
            return;
        }
        body.extend_from_slice(bytes);
        let Some(facts) = self.served.borrow_mut().take() else {
            return;
        };
        let Some(text) = self
            .body
            .take()
            .and_then(|body| String::from_utf8(body).ok())
        else {
            return;
        };
        let now = world.now_ms();
        let ttl_s = self.wish.ttl_s;
        let entry = Entry::new(
            &self.id,
            (now, ttl_s),
            (self.form, self.stream),
            facts,
            text,
        );
        let key = *self.lease.key();
        let written = entry.text();
        world.memory().answers.keep(key, Rc::new(entry), now);
        self.lease.fulfil();
        // Dropping the old entry was a write too.
        let dropped = self.started_ms.saturating_add(WRITE_PAUSE_MS);
        let pause_ms = dropped.checked_sub(now).filter(|_| self.wish.clear);
        let behind = world.clone();
        world.spawn(Box::pin(async move {
            if let Some(pause) = pause_ms {
                behind.sleep(pause).await;
            }
            let name = key.text();
            let put = behind.put_answer(&name, &written, ttl_s);
            if let Err(error) = put.await {
                behind.report(&format!("an answer could not be cached: {error}"));
            }
        }));
    }
}

#[cfg(test)]
mod tests;
