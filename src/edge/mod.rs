//! How do we touch the platform? Everything that names the `worker` crate, JavaScript or wasm-bindgen.
//!
//! Out of scope: any decision. This folder only carries bytes, bindings and time to the modules that decide.

mod account;
mod courier;
mod fault;
mod js;
mod outgoing;
mod schedule;
mod sleep;
mod stores;
mod tools;
mod upstream;
mod web;
mod world;

use std::{cell::Cell, panic::AssertUnwindSafe, rc::Rc};

use futures::{
    FutureExt, StreamExt,
    channel::oneshot,
    future::{Either, LocalBoxFuture, select},
};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Request, Response};
use worker::{Context, Env, Result, Url, console_error};

use crate::{
    api::{
        self, Ids, World,
        http::{self, Body, MAX_BODY_BYTES, too_large},
    },
    dialects::Surface,
    error::{Error, ErrorType, Next, Source},
};
use fault::Faults;
use world::{Edge, Tasks};

pub use schedule::scheduled;

/// Answers one request.
///
/// The work runs inside `wait_until`, raced against the client's abort signal: a request whose client left is dropped with
/// all it holds, which the runtime by itself would leak for ever. A request that detached itself runs on to its end.
pub async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    let context = Rc::new(context);
    let signal = request.signal();
    let detached = Rc::new(Cell::new(false));
    let head = Head::of(&request);
    let faults = Faults::of(&env, head.header(fault::HEADER));
    let tasks = Tasks::Request(Rc::clone(&context));
    let edge = Edge::new(env, tasks, faults, Rc::clone(&detached));
    let sent = head.header("x-request-id").map(str::to_owned);
    let ids = match Ids::new(&edge, sent, &head.url) {
        Ok(ids) => Rc::new(ids),
        Err(error) => {
            let surface = api::surface(&head.url);
            return render(http::Response::error(&error, surface, None));
        }
    };
    let work = AssertUnwindSafe(answer(edge, request, head, Rc::clone(&ids))).catch_unwind();

    let (left, client_left) = oneshot::channel::<()>();
    let mut left = Some(left);
    let callback = Closure::<dyn FnMut()>::own_assert_unwind_safe(move || {
        if let Some(left) = left.take() {
            // The receiver is gone when the answer was ready first.
            let _ = left.send(());
        }
    });
    js::on_abort(&signal, callback.as_ref());
    let (done, answered) = oneshot::channel();
    context.wait_until(async move {
        let outcome = match select(Box::pin(work), client_left).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right((_, work)) if detached.get() => work.await,
            Either::Right(_) => Ok(render(ids.error(&client_closed()))),
        };
        // A listener left behind would call a dropped closure.
        js::off_abort(&signal, callback.as_ref());
        drop(callback);
        let response = outcome.unwrap_or_else(|_| {
            console_error!("a request panicked");
            render(ids.error(&Error::internal("a request panicked")))
        });
        // The runtime stops waiting for an answer when the client has left.
        let _ = done.send(response);
    });
    match answered.await {
        Ok(response) => response,
        Err(_) => render(http::Response::error(
            &Error::internal("a request was dropped"),
            Surface::default(),
            None,
        )),
    }
}

/// What stands before a request's body, fetched from the platform in one call.
struct Head {
    method: String,
    url: String,
    /// Names in lower case, as the platform has them.
    headers: Vec<(String, String)>,
}

impl Head {
    fn of(request: &Request) -> Self {
        let text = js::request_head(request);
        let mut words = text.split('\0').map(str::to_owned);
        let mut word = || words.next();
        let (method, url) = (word().unwrap_or_default(), word().unwrap_or_default());
        let mut headers = Vec::new();
        while let (Some(name), Some(value)) = (word(), word()) {
            headers.push((name, value));
        }
        Self {
            method,
            url,
            headers,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Scheme, host and port of the URL.
    fn origin(&self) -> &str {
        let scheme = self.url.find("://").map_or(0, |at| at + 3);
        let host = self.url.get(scheme..).unwrap_or_default();
        let end = host.find('/').unwrap_or(host.len());
        self.url.get(..scheme + end).unwrap_or_default()
    }

    /// Path and query of the URL, which the platform has brought into its normal form.
    fn target(&self) -> (&str, &str) {
        let after_scheme = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let target = after_scheme.find('/').and_then(|at| after_scheme.get(at..));
        target
            .unwrap_or("/")
            .split_once('?')
            .unwrap_or((target.unwrap_or("/"), ""))
    }
}

async fn answer(edge: Edge, request: Request, head: Head, ids: Rc<Ids>) -> Result<Response> {
    if edge.faults().has("panic") {
        fault::panic_now("in a request");
    }
    if edge.faults().has("forget-endpoints") {
        edge.memory().forget_endpoints();
    }
    let (path, query) = head.target();
    let query = if query.is_empty() {
        Vec::new()
    } else {
        Url::parse(&head.url)?.query_pairs().into_owned().collect()
    };
    let incoming = http::Request {
        method: head.method.clone(),
        origin: head.origin().to_owned(),
        path: path.to_owned(),
        query,
        body: body(
            request,
            head.header("content-length").and_then(|it| it.parse().ok()),
        ),
        header: Box::new(move |name| head.header(name).map(str::to_owned)),
    };
    render(api::handle(edge, incoming, &ids).await)
}

/// Reads the body when it is asked for, and no further than the limit.
fn body(
    request: Request,
    length: Option<usize>,
) -> LocalBoxFuture<'static, crate::error::Result<Vec<u8>>> {
    async move {
        let unreadable = |error: worker::Error| {
            Error::invalid("body", format!("The body could not be read: {error}"))
        };
        if length.is_some_and(|length| length > MAX_BODY_BYTES) {
            return Err(too_large());
        }
        if length.is_some() {
            let buffer = request.array_buffer().map(JsFuture::from);
            let read = async { buffer?.await.map(|read| Uint8Array::new(&read).to_vec()) };
            return read.await.map_err(|error| unreadable(error.into()));
        }
        let mut request = worker::Request::from(request);
        let mut stream = request.stream().map_err(unreadable)?;
        let mut whole = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(unreadable)?;
            if whole.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(too_large());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }
    .boxed_local()
}

fn render(response: http::Response) -> Result<Response> {
    let head = js::joined(&response.headers);
    Ok(match response.body {
        Body::Empty => js::respond(response.status, &head, None),
        Body::Bytes(bytes) => js::respond_with(response.status, &head, &bytes),
        Body::Shared(text) => js::respond_with(response.status, &head, text.as_bytes()),
        Body::Stream(chunks) => {
            js::respond(response.status, &head, Some(outgoing::readable(chunks)))
        }
    }?)
}

fn client_closed() -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::ClientClosed,
        "The client closed the request",
    )
}
