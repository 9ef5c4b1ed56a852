//! What does a client see? The routes, and one file per family of them: parse, call, render.
//!
//! Paths are under `/api/v1`, with `/v1` as an alias. Spec: OpenRouter's API. Out of scope: the platform, which is reached
//! through [`World`].

mod a2a;
mod account;
mod admin;
mod analytics;
mod asked;
mod audit;
mod beliefs;
mod billing;
mod budgets;
mod byok;
mod caller;
mod chat;
mod content;
mod conversation;
mod count_tokens;
mod destinations;
mod discovery;
mod executions;
mod external_users;
mod generation;
mod guardrails;
pub mod http;
mod inner;
mod intents;
mod keys;
mod mcp;
mod models;
mod openapi;
mod operations;
mod people;
mod prepare;
mod presets;
mod rankings;
mod response_cache;
mod route;
mod routes;
mod settings;
mod sources;
mod toolbox;
mod tools;

pub use admin::select_catalog;
pub use billing::{keep as keep_notices, run_due as run_billing};
pub use destinations::deliver;
pub use executions::ask_about_job;
pub use people::tidy;
pub use response_cache::{AnswerStore, Answers};
pub use toolbox::carry_on;

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use caller::{any_key, principal};
use futures::FutureExt;
use http::{Body, Request, Response, request_id};
use serde_json::json;

use crate::{
    access::token::Tokens,
    catalog::{CatalogCache, CatalogStore, Modality, Operation, Provider},
    credits::accounts::Accounts,
    database::Transactions,
    dialects::Surface,
    error::{Error, ErrorType, Next, Result, Source},
    guardrails::PatternCache,
    identity::{
        Directory, KeyCache,
        own_keys::{OwnKeyCache, OwnKeyCopies},
        people::oidc::{Algorithm, Issuers},
    },
    observability::port::Courier,
    presets::{PresetCache, PresetStore},
    relay::{AttemptEnd, Platform, caution::Caution},
    routing::{
        breaker::{Breakers, Outcome},
        statistics,
        sticky::{HintStore, Hints},
    },
    tools::{
        beliefs::{cache::BeliefCache, gather::BeliefStore},
        catalog::ToolCache,
        execute::ToolWire,
        imports::cache::SourceCache,
        intent::{cache::IntentCache, memory::IntentCopies},
    },
    usage::{
        measured::Verdict,
        rankings::RankingStore,
        statistics::{Freshness, SnapshotStore, StatisticsCache},
    },
};

/// What this isolate remembers between requests.
#[derive(Default)]
pub struct Memory {
    /// Keys.
    pub keys: KeyCache,
    /// Provider keys that accounts brought.
    pub own_keys: OwnKeyCache,
    /// Access tokens of providers that want them.
    pub tokens: Rc<Tokens>,
    /// Issuers that people sign in with.
    pub issuers: Issuers,
    /// The catalog.
    pub catalog: CatalogCache,
    /// The catalog of tools.
    pub tools: ToolCache,
    /// Tools that were imported.
    pub sources: SourceCache,
    /// Hosts that resolved to public addresses alone, and when.
    pub public_hosts: RefCell<HashMap<String, u64>>,
    /// Presets.
    pub presets: PresetCache,
    /// Patterns of content filters, compiled.
    pub patterns: PatternCache,
    /// How endpoints have just done.
    pub health: Breakers,
    /// Where conversations were served last.
    pub hints: Hints,
    /// Answers to identical requests.
    pub answers: Answers,
    /// How they did in the last minutes, hours and day.
    pub statistics: StatisticsCache,
    /// What is believed of the providers of tools.
    pub beliefs: BeliefCache,
    /// How they have just done.
    pub tool_health: Breakers,
    /// What tools were asked for, in words.
    pub intents: IntentCache,
    /// Accounts that were just refused.
    pub caution: Caution,
}

impl Memory {
    /// Notes how an attempt ended.
    pub fn note(&self, end: &AttemptEnd<'_>, now_ms: u64) {
        let endpoint = &end.route.endpoint;
        let outcome = match end.measured.verdict {
            Verdict::Ok => Outcome::Ok,
            Verdict::Fault => Outcome::Fault,
            Verdict::RateLimited => Outcome::RateLimited {
                retry_after_s: end.retry_after_s,
            },
            Verdict::Unknown => Outcome::Unknown,
        };
        self.health.note(endpoint, outcome, end.began_ms, now_ms);
        self.statistics
            .note(&statistics::key(endpoint), end.measured);
    }

    /// Forgets all that was seen of endpoints.
    pub fn forget_endpoints(&self) {
        self.health.forget();
        self.statistics.forget();
    }
}

/// Everything the API needs of the world.
pub trait World:
    Platform
    + Directory
    + OwnKeyCopies
    + CatalogStore
    + Transactions
    + Accounts
    + HintStore
    + PresetStore
    + AnswerStore
    + SnapshotStore
    + RankingStore
    + BeliefStore
    + IntentCopies
    + Courier
    + ToolWire
{
    /// What this isolate remembers.
    fn memory(&self) -> Rc<Memory>;

    /// Random bytes.
    fn random(&self) -> Result<[u8; 32]>;

    /// A variable or secret of the deployment.
    fn var(&self, name: &str) -> Option<String>;

    /// Whether a provider can be called with anybody's key: the variables of its base URL are there.
    fn can_reach(&self, provider: &Provider) -> bool;

    /// Whether the deployment can call a provider: its key and the variables of its base URL are there.
    fn can_call(&self, provider: &Provider) -> bool;

    /// Writes to KV: key and text.
    fn put_kv(&self, writes: &[(String, String)]) -> impl Future<Output = Result<()>>;

    /// Deletes from KV.
    fn delete_kv(&self, keys: &[String]) -> impl Future<Output = Result<()>>;

    /// Whether a signature is that of a public key (a JWK).
    fn verify(
        &self,
        algorithm: Algorithm,
        jwk: &str,
        message: &[u8],
        signature: &[u8],
    ) -> impl Future<Output = Result<bool>>;

    /// Reports a failure to the operator's log.
    fn report(&self, message: &str);
}

/// What the clients of a path speak; a whole URL will do.
pub fn surface(path: &str) -> Surface {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let under = path.rsplit_once("/v1/").map_or("", |(_, under)| under);
    match under.split('/').next() {
        Some("messages") => Surface::Messages,
        Some("completions") => Surface::Completions,
        Some("responses") => Surface::Responses,
        _ => Surface::ChatCompletions,
    }
}

/// The operation beside conversation that a path asks for.
fn operation(segments: &[&str]) -> Option<Operation> {
    Some(match segments {
        ["embeddings"] => Operation::Embeddings,
        ["rerank"] => Operation::Rerank,
        ["images"] | ["images", "generations"] => Operation::Images,
        ["audio", "speech"] => Operation::Speech,
        ["audio", "transcriptions"] => Operation::Transcription,
        _ => return None,
    })
}

/// What names a request: every answer bears it, whatever becomes of the request.
pub struct Ids {
    generation: String,
    request: String,
    surface: Surface,
    is_page: bool,
}

impl Ids {
    /// New names; `sent` is the client's own request id, `path` is what it asks for (a whole URL will do).
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn new<W: World>(world: &W, sent: Option<String>, path: &str) -> Result<Self> {
        let generation = generation_id(world)?;
        let request = request_id(sent, &generation);
        Ok(Self {
            generation,
            request,
            surface: surface(path),
            is_page: people::is_page(path),
        })
    }

    /// An error with all that every answer has.
    pub fn error(&self, error: &Error) -> Response {
        self.label(Response::error(error, self.surface, Some(&self.generation)))
    }

    fn label(&self, mut response: Response) -> Response {
        response.header("x-generation-id", self.generation.as_str());
        response.header("x-request-id", self.request.as_str());
        // A page is for this site alone.
        if !self.is_page {
            cors(&mut response);
        }
        response
    }
}

/// Answers a request.
pub async fn handle<W: World>(world: W, request: Request, ids: &Ids) -> Response {
    match route(&world, request, ids).await {
        Ok(response) => ids.label(response),
        Err(error) => {
            if error.source == Source::Gateway {
                world.report(&format!("{}: {error}", ids.generation));
            }
            ids.error(&error)
        }
    }
}

async fn route<W: World>(world: &W, request: Request, ids: &Ids) -> Result<Response> {
    let path = request.path.trim_end_matches('/');
    // OpenAI's SDKs put a model's whole name into one segment of the path.
    let path = match path.contains("/model") {
        true => path.replace("%2F", "/"),
        false => path.to_owned(),
    };
    if path == "/health" {
        return Ok(match request.method.as_str() {
            "GET" | "HEAD" => Response::json(200, &json!({"status": "ok"})),
            "OPTIONS" => preflight(&["GET"]),
            _ => wrong_method(&path, &["GET"]),
        });
    }
    if discovery::is_place(&path) {
        return Ok(discovery::place(world, &request, &path));
    }
    if people::is_page(&path) {
        return Ok(people::page(world, request, &path).await);
    }
    if mcp::is_mcp(&path) {
        return mcp::handle(world, request, &path).await;
    }
    if a2a::is_path(&path) {
        return Ok(a2a::answer(world, request, &path, ids).await);
    }
    let under = path
        .strip_prefix("/api/v1/")
        .or_else(|| path.strip_prefix("/v1/"))
        // Where tools look for it.
        .or_else(|| {
            path.strip_prefix('/')
                .filter(|rest| *rest == "openapi.json")
        });
    let segments: Vec<&str> = under.unwrap_or_default().split('/').collect();
    let allowed = routes::methods(&segments).ok_or_else(|| not_found(&path))?;
    let method = match request.method.as_str() {
        "OPTIONS" => return Ok(preflight(allowed)),
        "HEAD" => "GET".to_owned(),
        method => method.to_owned(),
    };
    if !allowed.contains(&method.as_str()) {
        return Ok(wrong_method(&path, allowed));
    }
    if let Some(operation) = operation(&segments) {
        return operations::answer(world, request, ids, operation).await;
    }
    match (method.as_str(), segments.as_slice()) {
        (_, ["chat", "completions"] | ["completions" | "messages" | "responses"]) => {
            chat::answer(world, request, ids).await
        }
        (_, ["messages", "count_tokens"]) => count_tokens::count(world, request, ids).await,
        (_, ["presets"]) => presets::show(world, &request, None).await,
        (_, ["presets", slug]) => presets::show(world, &request, Some(slug)).await,
        (_, ["presets", slug, "versions", rest @ ..]) => {
            presets::versions(world, &request, slug, rest.first().copied()).await
        }
        (_, ["presets", slug, spoken, ..]) => {
            let surface = match *spoken {
                "messages" => Surface::Messages,
                "responses" => Surface::Responses,
                _ => Surface::ChatCompletions,
            };
            presets::keep(world, request, slug, surface).await
        }
        (_, ["route"]) => route::explain(world, request, &ids.generation).await,
        (_, ["tools", "execute"] | ["execute"]) => executions::execute(world, request, ids).await,
        (_, ["tools", "executions"]) => executions::list(world, &request).await,
        (method, ["tools", "executions", id]) => executions::one(world, &request, method, id).await,
        (method, ["tools", "guards"]) => executions::guards(world, request, method).await,
        (_, ["tools"]) => tools::list(world, &request).await,
        (_, ["tools", "categories"]) => tools::categories(world, &request).await,
        (_, ["tools", "run"]) => tools::run(world, request, ids).await,
        (method, ["tools", "sources", rest @ ..]) => {
            sources::managed(world, request, method, rest).await
        }
        (_, ["tools", provider, operation]) => {
            tools::one(world, &request, provider, operation).await
        }
        (_, ["usage"]) => tools::usage(world, &request).await,
        (_, ["agent", "manifest"]) => Ok(discovery::show(world, &request)),
        (_, ["openapi.json"]) => Ok(openapi::show()),
        (_, ["models"]) => models::list(world, &request, None).await,
        (_, ["embeddings", "models"]) => {
            models::list(world, &request, Some(Modality::Embeddings)).await
        }
        (_, ["images", "models"]) => models::images(world, &request).await,
        (_, ["images", "models", author, slug, "endpoints"]) => {
            models::image_endpoints(world, author, slug).await
        }
        (_, ["models", "user"]) => models::of_user(world, &request).await,
        (_, ["models", "count"]) => models::count(world, &request).await,
        (_, ["model", author, slug]) => models::one(world, author, slug).await,
        (_, ["models", author, slug]) => models::retrieve(world, author, slug).await,
        (_, ["models", author, slug, "endpoints"]) => {
            models::endpoints(world, &request, author, slug).await
        }
        (_, ["providers"]) => models::providers(world).await,
        (_, ["key"] | ["auth", "key"]) => account::key(world, &request).await,
        (method, ["me" | "organization" | "invitations", ..]) => {
            people::manage(world, request, method, &segments).await
        }
        (_, ["auth", "keys", rest @ ..]) => people::app_key(world, request, rest).await,
        (method, ["keys", rest @ ..]) => keys::handle(world, request, method, rest).await,
        (method, ["external-users", ..]) => external_users::handle(world, request, method).await,
        (method, ["guardrails", rest @ ..]) => {
            guardrails::handle(world, request, method, rest).await
        }
        (method, ["account", "privacy"]) => guardrails::privacy(world, request, method).await,
        (method, ["budgets", rest @ ..]) => budgets::handle(world, request, method, rest).await,
        (method, ["workspaces", id, "budgets", rest @ ..]) => {
            budgets::of_workspace(world, request, method, id, rest).await
        }
        (method, ["observability", "destinations", rest @ ..]) => {
            destinations::handle(world, request, method, rest).await
        }
        (method, ["byok", rest @ ..]) => byok::managed(world, request, method, rest).await,
        (_, ["audit"]) => audit::managed(world, &request).await,
        (_, ["credits"]) => account::credits(world, &request).await,
        (_, ["credits", "coinbase"]) => Err(billing::gone()),
        (method, ["credits", rest @ ..]) => billing::handle(world, request, method, rest).await,
        (_, ["stripe", "webhook"]) => billing::receive(world, request).await,
        (_, ["generation"]) => generation::show(world, &request).await,
        (_, ["generation", "feedback"]) => generation::feedback(world, request).await,
        (_, ["activity"]) => analytics::activity(world, &request).await,
        (_, ["analytics", "meta"]) => analytics::meta(world, &request).await,
        (_, ["analytics", "query"]) => analytics::query(world, request).await,
        (_, ["beliefs"]) => beliefs::show(world, &request).await,
        (_, ["tools", "route"]) => intents::route(world, request).await,
        (_, ["tools", "executions", id, "report"]) => beliefs::report(world, request, id).await,
        (_, ["rankings", of @ ..]) => rankings::show(world, &request, of.first().copied()).await,
        (_, ["datasets", "rankings-daily"]) => rankings::daily(world, &request).await,
        (_, ["datasets", "app-rankings"]) => rankings::apps(world, &request).await,
        (_, ["generation", "content"]) => content::show(world, &request).await,
        (method, ["account", "settings"]) => {
            settings::handle(world, request, method, settings::Named::Settings).await
        }
        (method, ["workspaces"]) => {
            settings::handle(world, request, method, settings::Named::All).await
        }
        (method, ["workspaces", id]) => {
            settings::handle(world, request, method, settings::Named::One(id)).await
        }
        (method, ["admin", rest @ ..]) => admin::handle(world, request, method, rest).await,
        _ => Err(not_found(&path)),
    }
}

/// Sees to it that the statistics are known and not much older than `max_age_ms`. Only an isolate that knows nothing waits for
/// them; elsewhere they are asked for behind the response.
async fn know_statistics<W: World>(world: &W, max_age_ms: u64) {
    let (memory, now_ms) = (world.memory(), world.now_ms());
    match memory.statistics.freshness(now_ms, max_age_ms) {
        Freshness::Fresh => {}
        Freshness::Cold => memory.statistics.refresh(world, now_ms).await,
        Freshness::Stale => {
            let task = world.clone();
            // Asked for by this request: the next need not.
            memory.statistics.asks(now_ms);
            world
                .spawn(async move { memory.statistics.refresh(&task, now_ms).await }.boxed_local());
        }
    }
}

/// `gen-<unix seconds>-<20 letters and digits>`.
fn generation_id<W: World>(world: &W) -> Result<String> {
    let seconds = world.now_ms() / 1_000;
    Ok(format!("gen-{seconds}-{}", word(&world.random()?)))
}

/// 20 letters and digits out of random bytes: 119 bits.
fn word(random: &[u8; 32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz01234567890a";
    let letter = |byte: &u8| {
        ALPHABET
            .get(usize::from(byte & 63))
            .copied()
            .unwrap_or(b'0')
    };
    random.iter().take(20).map(letter).map(char::from).collect()
}

fn not_found(path: &str) -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::NotFound,
        format!("There is nothing at {path}: the API is under /api/v1"),
    )
}

/// What is not there, or somebody else's.
fn not_on_record(what: &str, id: &str) -> Error {
    let message = format!("No {what} {id} is on record for this account (yet)");
    Error::new(Source::Client, Next::Final, ErrorType::NotFound, message)
}

fn wrong_method(path: &str, allowed: &[&str]) -> Response {
    let allowed = allowed.join(", ");
    let error = Error::new(
        Source::Client,
        Next::Final,
        ErrorType::MethodNotAllowed,
        format!("{path} takes {allowed}"),
    );
    let mut response = Response::error(&error, surface(path), None);
    response.header("allow", allowed);
    response
}

fn preflight(allowed: &[&str]) -> Response {
    let mut response = Response {
        status: 204,
        headers: Vec::new(),
        body: Body::Empty,
    };
    response.header(
        "access-control-allow-methods",
        format!("{}, OPTIONS", allowed.join(", ")),
    );
    response.header("access-control-allow-headers", "*, Authorization");
    response.header("access-control-max-age", "86400");
    response
}

/// Keys travel in a header that no browser sends by itself, so any origin may read the answers.
fn cors(response: &mut Response) {
    response.header("access-control-allow-origin", "*");
    response.header("access-control-expose-headers", "*");
}
