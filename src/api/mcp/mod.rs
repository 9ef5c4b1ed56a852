//! `/mcp`: the Model Context Protocol over Streamable HTTP, in both eras, without memory between requests.
//!
//! | file | what |
//! |---|---|
//! | `desk` | what a key can do with tools |
//! | `gate` | origins, keys, what a client takes |
//! | `tools` | `tools/list` and `tools/call` |
//! | `run` | one call: progress, cancellation, confirmation |
//! | `tasks` | executions as tasks |
//! | `listen` | `subscriptions/listen` |
//! | `stream` | the stream of an answer, and questions on it |
//! | `play` | the fixtures of the conformance suite |
//! | `oauth` | where clients find whom to ask for a key, and how they get it |
//!
//! What the protocol says is [`crate::tools::mcp`]. Spec: <https://modelcontextprotocol.io/specification/2026-07-28/basic/transports>.

mod desk;
mod gate;
mod listen;
mod oauth;
mod play;
mod run;
mod stream;
mod tasks;
mod tools;

use std::rc::Rc;

use serde_json::{Value, json};

use super::{
    World,
    http::{Body, Request, Response, check_depth},
    preflight, wrong_method,
};
use crate::{
    error::{Error, Result},
    tools::mcp::{
        Era, MODERN,
        era::{self, Headers},
        fixtures::Fixtures,
        message::{self, Fault, INVALID_REQUEST, Message, Parsed, parse},
        select::Selection,
        session::Session,
        task, write,
    },
};
use desk::Desk;
use gate::Accepts;
use stream::Owner;

/// Where it is spoken.
const PATHS: [&str; 3] = ["/mcp", "/api/v1/mcp", "/v1/mcp"];
/// What the server says of itself to models.
const INSTRUCTIONS: &str = "Tools of many providers behind one key. Where search_tools is listed, find tools with it, read what they take with \
    get_tool_schema and call them with execute_tool. Calls may cost money; what changes the world may have to be confirmed first. A call with \
    an idempotency key happens once: repeat it with the same key after a failure.";

/// The header with the version.
const VERSION: &str = "mcp-protocol-version";
/// The header with the session of the legacy era.
const SESSION: &str = "mcp-session-id";
/// The longest name of a request, in characters.
const MAX_NAME: usize = 160;

/// Whom a request is answered by.
enum Server<W> {
    /// The tools of a key.
    Desk(Rc<Desk<W>>),
    /// The fixtures.
    Fixtures(Rc<Fixtures>),
}

/// Looks a header up by its lower-case name.
type Lookup = Rc<dyn Fn(&str) -> Option<String>>;

/// A request, and what was sent around it.
#[derive(Clone)]
struct Ask {
    era: Era,
    request: message::Request,
    /// What a client of the legacy era said when it began.
    session: Option<Session>,
    header: Lookup,
    /// Which tools the client wants to see.
    selection: Selection,
    /// How many on a page.
    page_size: Option<usize>,
    /// It reads streams.
    takes_streams: bool,
}

impl Ask {
    fn result(&self, result: Value) -> Reply {
        Reply::Json(write::result(self.era, &self.request.id, result))
    }

    /// Checks the headers that repeat arguments: the modern era's.
    fn check_arguments(&self, schema: &Value) -> std::result::Result<(), Fault> {
        match self.era {
            Era::Modern => era::check_arguments(schema, &self.request.arguments()?, &*self.header),
            Era::Legacy => Ok(()),
        }
    }
}

/// How a request is answered.
enum Reply {
    /// In one piece.
    Json(Value),
    /// On a stream.
    Stream(Response),
}

/// What came with the messages of a request.
struct Around {
    header: Lookup,
    accepts: Accepts,
    selection: Selection,
    page_size: Option<usize>,
    owner: Owner,
}

/// Whether a path speaks MCP, or tells its clients where to get a key. They are no part of the API's document: what they take and answer
/// is said elsewhere.
pub(super) fn is_mcp(path: &str) -> bool {
    PATHS.contains(&path) || oauth::is_oauth(path)
}

/// Answers such a path.
pub(super) async fn handle<W: World>(world: &W, request: Request, path: &str) -> Result<Response> {
    if oauth::is_oauth(path) {
        return oauth::page(world, request, path).await;
    }
    match request.method.as_str() {
        "POST" => answer(world, request).await,
        "OPTIONS" => Ok(preflight(&["POST"])),
        // There is no stream to listen to, and no session to end.
        _ => Ok(wrong_method(path, &["POST"])),
    }
}

async fn answer<W: World>(world: &W, request: Request) -> Result<Response> {
    gate::check_origin(world, &request)?;
    let accepts = gate::accepts(&request)?;
    let server = match gate::enter(world, &request).await {
        Ok(server) => server,
        Err(error) if error.status == 401 => {
            return Ok(oauth::unauthorized(world, &request, &error));
        }
        Err(error) => return Err(error),
    };
    let words = request.query("tools").map(str::to_owned);
    let words = words.or_else(|| request.header("x-patchbay-tools"));
    let around = Around {
        accepts,
        selection: Selection::read(words.as_deref()),
        page_size: request
            .query("page_size")
            .and_then(|size| size.parse().ok()),
        owner: match &server {
            Server::Desk(desk) => desk.owner(),
            Server::Fixtures(_) => play::owner(),
        },
        header: Rc::from(request.header),
    };
    let body = request.body.await?;
    if let Err(error) = check_depth(&body) {
        return Ok(failed(
            400,
            Fault::new(INVALID_REQUEST, error.message).render(&Value::Null),
        ));
    }
    match parse(&body) {
        Ok(Parsed::One(message)) => one(world, &server, &around, message).await,
        Ok(Parsed::Batch(messages)) => batch(world, &server, &around, messages).await,
        Err((fault, id)) => Ok(failed(fault.status, fault.render(&id))),
    }
}

fn failed(status: u16, message: Value) -> Response {
    Response::json(status, &message)
}

fn accepted() -> Response {
    Response {
        status: 202,
        headers: Vec::new(),
        body: Body::Empty,
    }
}

async fn one<W: World>(
    world: &W,
    server: &Server<W>,
    around: &Around,
    message: Message,
) -> Result<Response> {
    match message {
        Message::Request(request) => Ok(asked(world, server, around, request).await),
        Message::Notification { method, params } => {
            let version = (around.header)(VERSION);
            if era::of(version.as_deref(), &method, &params) == Era::Legacy {
                if let Err(fault) = era::check_legacy(version.as_deref()) {
                    return Ok(failed(fault.status, fault.render(&Value::Null)));
                }
                if let ("notifications/cancelled", Some(id)) =
                    (method.as_str(), params.get("requestId"))
                {
                    let session = (around.header)(SESSION);
                    stream::cancel(world, &around.owner, &request_name(session, id)).await?;
                }
            }
            Ok(accepted())
        }
        Message::Answer { id, outcome } => {
            stream::answered(world, &around.owner, &id, &outcome).await?;
            Ok(accepted())
        }
    }
}

/// A request's name among all of its key: ids are unique within a session alone.
fn request_name(session: Option<String>, id: &Value) -> String {
    let name = format!("{}:{id}", session.unwrap_or_default());
    // The end of it is what differs.
    name.chars().rev().take(MAX_NAME).collect()
}

/// A batch: 2025-03-26 alone knows it. Its answers come in one piece.
async fn batch<W: World>(
    world: &W,
    server: &Server<W>,
    around: &Around,
    messages: Vec<Message>,
) -> Result<Response> {
    let version = (around.header)(VERSION);
    if version.is_some_and(|version| version.trim() != "2025-03-26") {
        let fault = Fault::new(INVALID_REQUEST, "Batches are of 2025-03-26 alone");
        return Ok(failed(400, fault.render(&Value::Null)));
    }
    let mut answers = Vec::new();
    for message in messages {
        let Message::Request(request) = message else {
            one(world, server, around, message).await?;
            continue;
        };
        let id = request.id.clone();
        let mut ask = around.ask(Era::Legacy, request);
        ask.takes_streams = false;
        answers.push(match legacy(world, server, &ask).await {
            Ok(Reply::Json(answer)) => answer,
            Ok(Reply::Stream(_)) => Fault::params("This cannot be asked in a batch").render(&id),
            Err(fault) => fault.render(&id),
        });
    }
    if answers.is_empty() {
        return Ok(accepted());
    }
    Ok(Response::json(200, &answers))
}

impl Around {
    fn ask(&self, era: Era, request: message::Request) -> Ask {
        let session = (self.header)(SESSION).filter(|_| era == Era::Legacy);
        Ask {
            era,
            request,
            session: session.as_deref().and_then(Session::read),
            header: Rc::clone(&self.header),
            selection: self.selection.clone(),
            page_size: self.page_size,
            takes_streams: self.accepts.streams,
        }
    }

    /// The reply in a form that the client takes.
    fn rendered(&self, status: u16, reply: Reply) -> Response {
        match reply {
            Reply::Stream(response) => response,
            Reply::Json(message) if status == 200 && !self.accepts.json => {
                stream::response(move |voice| async move { voice.say(&message) })
            }
            Reply::Json(message) => Response::json(status, &message),
        }
    }
}

async fn asked<W: World>(
    world: &W,
    server: &Server<W>,
    around: &Around,
    request: message::Request,
) -> Response {
    let id = request.id.clone();
    let version = (around.header)(VERSION);
    let era = era::of(version.as_deref(), &request.method, &request.params);
    let ask = around.ask(era, request);
    let begins = era == Era::Legacy && ask.request.method == "initialize";
    if let Err(fault) = checked(&ask, version.as_deref(), begins) {
        return failed(fault.status, fault.render(&id));
    }
    let reply = match era {
        Era::Modern => modern(world, server, &ask).await,
        Era::Legacy => legacy(world, server, &ask).await,
    };
    match reply {
        Ok(reply) => {
            let mut response = around.rendered(200, reply);
            if begins && let Some(session) = begun(world, &ask) {
                response.header(SESSION, session.id());
            }
            response
        }
        // The legacy era keeps HTTP's statuses for what is no message.
        Err(fault) => {
            let status = if era == Era::Modern {
                fault.status
            } else {
                200
            };
            around.rendered(status, Reply::Json(fault.render(&id)))
        }
    }
}

/// What a request has to say of itself, before it is looked at.
fn checked(ask: &Ask, version: Option<&str>, begins: bool) -> std::result::Result<(), Fault> {
    match ask.era {
        Era::Modern => {
            let header: Headers<'_> = &*ask.header;
            era::check_modern(&ask.request, header)
        }
        Era::Legacy if begins => Ok(()),
        Era::Legacy => {
            era::check_legacy(version)?;
            if (ask.header)(SESSION).is_some() && ask.session.is_none() {
                let fault = Fault::new(INVALID_REQUEST, "There is no such session: begin anew");
                return Err(Fault {
                    status: 404,
                    ..fault
                });
            }
            Ok(())
        }
    }
}

fn begun<W: World>(world: &W, ask: &Ask) -> Option<Session> {
    let version = ask.request.text("protocolVersion").unwrap_or_default();
    let capabilities = ask.request.params.get("capabilities");
    let nonce = nonce(world).ok()?;
    Some(Session::begin(version, capabilities, &nonce))
}

async fn modern<W: World>(
    world: &W,
    server: &Server<W>,
    ask: &Ask,
) -> std::result::Result<Reply, Fault> {
    match ask.request.method.as_str() {
        "server/discover" => {
            let mut result = json!({
                "supportedVersions": [MODERN],
                "capabilities": server.capabilities(Era::Modern),
                "instructions": INSTRUCTIONS,
            });
            write::cached(Era::Modern, &mut result, 3_600_000, "public");
            Ok(ask.result(result))
        }
        "subscriptions/listen" => listen::listen(world, server, ask),
        // The handshake is gone.
        "initialize" | "ping" => Err(Fault::method(&ask.request.method)),
        _ => server.answer(world, ask).await,
    }
}

async fn legacy<W: World>(
    world: &W,
    server: &Server<W>,
    ask: &Ask,
) -> std::result::Result<Reply, Fault> {
    match ask.request.method.as_str() {
        "initialize" => {
            let Some(version) = ask.request.text("protocolVersion") else {
                return Err(Fault::params("protocolVersion is missing"));
            };
            Ok(ask.result(json!({
                "protocolVersion": Session::begin(version, None, "").version,
                "capabilities": server.capabilities(Era::Legacy),
                "serverInfo": write::server(),
                "instructions": INSTRUCTIONS,
            })))
        }
        "ping" => Ok(ask.result(json!({}))),
        _ => server.answer(world, ask).await,
    }
}

impl<W: World> Server<W> {
    fn capabilities(&self, era: Era) -> Value {
        match (self, era) {
            (Self::Fixtures(fixtures), era) => fixtures.capabilities(era),
            (Self::Desk(_), Era::Modern) => {
                json!({"tools": {"listChanged": true}, "extensions": {task::EXTENSION: {}}})
            }
            // Telling of changes would take a stream that outlives requests.
            (Self::Desk(_), Era::Legacy) => json!({"tools": {}}),
        }
    }

    async fn answer(&self, world: &W, ask: &Ask) -> std::result::Result<Reply, Fault> {
        match (self, ask.request.method.as_str()) {
            (Self::Fixtures(fixtures), _) => play::answer(world, fixtures, ask.clone()).await,
            (Self::Desk(desk), "tools/list") => tools::list(desk, ask),
            (Self::Desk(desk), "tools/call") => tools::call(desk, ask.clone()).await,
            (Self::Desk(desk), method) if tasks::METHODS.contains(&method) => {
                tasks::answer(desk, ask).await
            }
            (Self::Desk(_), method) => Err(Fault::method(method)),
        }
    }
}

/// 32 hexadecimal digits that nobody can guess.
fn nonce<W: World>(world: &W) -> Result<String> {
    let random = world.random()?;
    let digits = random.iter().take(16).map(|byte| format!("{byte:02x}"));
    Ok(digits.collect())
}

/// What failed here, as a fault. The operator hears of it.
fn broken<W: World>(world: &W, error: &Error) -> Fault {
    world.report(&format!("mcp: {error}"));
    let message = "Something failed here: try again";
    Fault {
        status: 500,
        ..Fault::new(message::INTERNAL_ERROR, message)
    }
}
