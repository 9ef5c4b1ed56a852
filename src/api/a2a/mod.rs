//! `/a2a`: agents of others ask for tools as tasks, over JSON-RPC and over HTTP and JSON.
//!
//! | file | what |
//! |---|---|
//! | `desk` | a task from its message to its end, whatever binding asked |
//! | `rest` | the binding of HTTP and JSON |
//!
//! A message is carried out once: its task's id follows from the key and the message's id. Leaving ends no task. What the protocol says is
//! [`crate::tools::a2a`].

mod desk;
mod rest;

use futures::{StreamExt, channel::mpsc::UnboundedReceiver};
use serde_json::{Value, json};

use super::{
    Ids, World,
    http::{Body, Request, Response, check_depth},
    principal,
    response_cache::event_stream,
    toolbox::{Toolbox, catalog},
};
use crate::{
    error::{Error, Source},
    tools::a2a::{self, Fault, Kind, Method, Version, card, message, task},
};
use desk::Desk;

/// Where the bindings are.
const AT: &str = "/a2a";
/// The paths of the JSON-RPC binding.
const RPC: [&str; 3] = [AT, "/api/a2a", "/api/v1/a2a"];
/// The paths of the public card: 1.0 and 0.3, and before them.
const CARDS: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];
/// For how long the public card may be kept, in seconds.
const CARD_SECONDS: u32 = 3_600;

/// What follows the head of an answer.
enum Reply {
    /// One value.
    Value(Value),
    /// Events, as they come.
    Events(UnboundedReceiver<Event>),
}

/// An event of a stream: a value in the words of the version, or why there is no more.
type Event = Result<Value, Fault>;

/// Whether a path is one of this protocol's.
pub(super) fn is_path(path: &str) -> bool {
    RPC.contains(&path) || CARDS.contains(&path) || rest::below(path).is_some()
}

/// Answers a request.
pub(super) async fn answer<W: World>(
    world: &W,
    request: Request,
    path: &str,
    ids: &Ids,
) -> Response {
    let method = request.method.clone();
    match (method.as_str(), rest::below(path)) {
        ("OPTIONS", _) => super::preflight(&["GET", "POST"]),
        ("GET" | "HEAD", None) if CARDS.contains(&path) => public_card(world, &request).await,
        ("POST", None) if RPC.contains(&path) => rpc(world, request, ids).await,
        (_, Some(below)) => rest::answer(world, request, below, ids).await,
        _ => super::wrong_method(
            path,
            if CARDS.contains(&path) {
                &["GET"]
            } else {
                &["POST"]
            },
        ),
    }
}

async fn public_card<W: World>(world: &W, request: &Request) -> Response {
    match catalog(world).await {
        Ok(catalog) => {
            let mut card = card::public(&catalog, &address(world, request));
            let named = request.header("a2a-version");
            if named.is_some() && Version::of(named.as_deref()) == Ok(Version::V1) {
                card = card::of_v1(card);
            }
            let mut response = Response::json(200, &card);
            response.header("vary", "a2a-version");
            response.header("cache-control", format!("public, max-age={CARD_SECONDS}"));
            response.header(
                "etag",
                format!("\"{}-{}\"", env!("CARGO_PKG_VERSION"), catalog.version()),
            );
            response
        }
        Err(error) => {
            let fault = refused(&error);
            Response::json(fault.http_status(), &fault.rest(Version::V1))
        }
    }
}

/// The address of the bindings, as clients reach them.
fn address<W: World>(world: &W, request: &Request) -> String {
    let public = world.var("PUBLIC_URL");
    let origin = public.as_deref().unwrap_or(&request.origin);
    format!("{}{AT}", origin.trim_end_matches('/'))
}

async fn rpc<W: World>(world: &W, mut request: Request, ids: &Ids) -> Response {
    let answer = |fault: &Fault, id: &Value, version| {
        let mut response = Response::json(fault.rpc_status(), &fault.rpc(id, version));
        challenge(&mut response, fault);
        response
    };
    let body = std::mem::replace(&mut request.body, Box::pin(async { Ok(Vec::new()) }));
    let body = match body
        .await
        .and_then(|body| check_depth(&body).map(|()| body))
    {
        Ok(body) => body,
        Err(error) => return answer(&refused(&error), &Value::Null, Version::V1),
    };
    let asked = match a2a::parse(&body) {
        Ok(asked) => asked,
        Err((id, version, fault)) => return answer(&fault, &id, version),
    };
    let header = request.header("a2a-version");
    // An old client says no version; who says one of ours may call either way.
    if let Some(header) = header.filter(|header| !header.trim().is_empty())
        && let Err(fault) = Version::of(Some(&header))
    {
        return answer(&fault, &asked.id, asked.version);
    }
    let (id, version) = (asked.id, asked.version);
    match run(world, &request, ids, asked.method, &asked.params, version).await {
        Ok(Reply::Value(value)) => Response::json(200, &a2a::result(&id, &value)),
        Ok(Reply::Events(events)) => stream(events, move |event| match event {
            Ok(value) => a2a::result(&id, &value),
            Err(fault) => fault.rpc(&id, version),
        }),
        Err(fault) => answer(&fault, &id, version),
    }
}

/// Runs a method; the same for both bindings.
async fn run<W: World>(
    world: &W,
    request: &Request,
    ids: &Ids,
    method: Method,
    params: &Value,
    version: Version,
) -> Result<Reply, Fault> {
    if method == Method::Push {
        return Err(message::no_push());
    }
    let key = principal(world, request)
        .await
        .map_err(|error| refused(&error))?;
    let mut origin = Toolbox::<W>::origin(request, &key);
    origin.request_id.clone_from(&ids.request);
    let toolbox = Toolbox::open(world, &key, origin).await;
    let toolbox = toolbox.map_err(|error| refused(&error))?;
    let desk = Desk::new(toolbox);
    let history = || message::history(params.get("historyLength"));
    let named = || {
        let id = params
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty());
        id.ok_or_else(|| Fault::param("id", "the id of a task is expected"))
    };
    Ok(match method {
        Method::Send => {
            let asked = message::read(params, version)?;
            let history = asked.history;
            let task = desk.send(asked).await?;
            Reply::Value(task::wrapped(task.told(version, history, true), version))
        }
        Method::Stream => {
            let asked = message::read(params, version)?;
            Reply::Events(desk.stream(asked, version).await?)
        }
        Method::Get => {
            let task = desk.look(named()?).await?;
            Reply::Value(task.told(version, history()?, true))
        }
        Method::Cancel => Reply::Value(desk.cancel(named()?).await?.told(version, None, true)),
        Method::Subscribe => Reply::Events(desk.subscribe(named()?, version).await?),
        Method::List => Reply::Value(desk.list(params, version).await?),
        Method::Card => {
            let card = card::extended(desk.view(), &address(world, request));
            Reply::Value(match version {
                Version::V1 => card::of_v1(card),
                Version::V03 => card,
            })
        }
        Method::Push => return Err(message::no_push()),
    })
}

/// Events as a stream of the server's.
fn stream(events: UnboundedReceiver<Event>, told: impl Fn(Event) -> Value + 'static) -> Response {
    let frames = events.map(move |event| format!("data: {}\n\n", told(event)).into_bytes());
    event_stream(Body::Stream(frames.boxed_local()))
}

/// Says how to ask, where nobody is known.
fn challenge(response: &mut Response, fault: &Fault) {
    if fault.kind == Kind::Unauthenticated {
        response.header("www-authenticate", "Bearer");
    }
}

/// An error of the gateway in the words of the protocol.
fn refused(error: &Error) -> Fault {
    let kind = match (error.status, error.source) {
        (401, _) => Kind::Unauthenticated,
        (403, _) => Kind::PermissionDenied,
        (400 | 413 | 422, Source::Client) => Kind::InvalidRequest,
        (503, _) => Kind::Unavailable,
        _ => Kind::Internal,
    };
    Fault::new(kind, &error.message)
}

/// A page of a list, and the word that leads to the next one.
fn page(tasks: &[Value], size: i64, total: i64, next: Option<String>) -> Value {
    json!({"tasks": tasks, "nextPageToken": next.unwrap_or_default(), "pageSize": size, "totalSize": total})
}
