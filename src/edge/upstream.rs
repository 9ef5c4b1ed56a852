//! Calling providers: base URL, credentials, fetch, and an abort that happens by itself when nobody reads any more.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use futures::Stream;
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use wasm_bindgen_futures::JsFuture;

use super::js;
use crate::{
    catalog::{AuthScheme, provider::resolve_base_url},
    error::{Error, ErrorType, Result},
    relay::{UpstreamCall, UpstreamResponse},
    routing::Credential,
    time::retry_after,
};

/// An answer in one piece that says it is no longer than this is read in one go: each read enters the isolate.
const ONE_GO_BYTES: usize = 4 * 1024 * 1024;

/// Aborts a fetch when dropped.
struct AbortOnDrop(Option<js::AbortController>);

impl AbortOnDrop {
    /// There is nothing left to abort.
    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(controller) = self.0.take() {
            controller.abort();
        }
    }
}

/// Where the bytes of an answer come from.
enum Source {
    /// All at once.
    Whole(js::Answer),
    /// As they arrive.
    Chunks(Reader),
    /// There are no more.
    Ended,
}

/// What a read was answered with.
type Arrived = std::result::Result<Option<Vec<u8>>, JsValue>;

/// Where the answer to a read waits, and who waits for it.
#[derive(Default)]
struct Arrival {
    item: Option<Arrived>,
    waker: Option<Waker>,
}

/// A body read piece by piece. One closure serves it to its end: a promise of its own for each piece would cost two.
struct Reader {
    incoming: js::Incoming,
    arrival: Rc<RefCell<Arrival>>,
    reading: bool,
    _arrived: Closure<dyn FnMut(Option<Vec<u8>>, JsValue)>,
}

impl Reader {
    /// The reader of an answer's body, where it has one.
    fn of(answer: &js::Answer) -> std::result::Result<Option<Self>, JsValue> {
        let arrival = Rc::<RefCell<Arrival>>::default();
        let slot = Rc::clone(&arrival);
        let arrived =
            Closure::own_assert_unwind_safe(move |bytes: Option<Vec<u8>>, error: JsValue| {
                let failed = bytes.is_none() && !error.is_undefined();
                let waker = {
                    let mut slot = slot.borrow_mut();
                    slot.item = Some(if failed { Err(error) } else { Ok(bytes) });
                    slot.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            });
        let incoming = js::incoming(answer, &arrived)?;
        Ok(incoming.map(|incoming| Self {
            incoming,
            arrival,
            reading: false,
            _arrived: arrived,
        }))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Arrived> {
        let mut arrival = self.arrival.borrow_mut();
        if let Some(item) = arrival.item.take() {
            self.reading = false;
            return Poll::Ready(item);
        }
        arrival.waker = Some(context.waker().clone());
        drop(arrival);
        if !std::mem::replace(&mut self.reading, true) {
            js::read(&self.incoming);
        }
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        js::forget(&self.incoming);
    }
}

/// The bytes of a provider's answer; dropping them before their end aborts the call.
pub struct UpstreamBody {
    source: Source,
    pending: Option<JsFuture>,
    abort: AbortOnDrop,
}

impl UpstreamBody {
    /// Reads a body in one piece.
    fn poll_whole(&mut self, context: &mut Context<'_>) -> Poll<Arrived> {
        let mut reading = match (self.pending.take(), &self.source) {
            (Some(reading), _) => reading,
            (None, Source::Whole(answer)) => match js::whole(answer) {
                Ok(promise) => JsFuture::from(promise),
                Err(error) => return Poll::Ready(Err(error)),
            },
            (None, _) => return Poll::Ready(Ok(None)),
        };
        let Poll::Ready(read) = Pin::new(&mut reading).poll(context) else {
            self.pending = Some(reading);
            return Poll::Pending;
        };
        let bytes = read.map(|read| Uint8Array::new(&read).to_vec());
        Poll::Ready(bytes.map(|bytes| Some(bytes).filter(|bytes| !bytes.is_empty())))
    }
}

impl Stream for UpstreamBody {
    type Item = Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let read = match &mut self.source {
            Source::Chunks(reader) => reader.poll(context),
            Source::Whole(_) => self.poll_whole(context),
            Source::Ended => return Poll::Ready(None),
        };
        let Poll::Ready(read) = read else {
            return Poll::Pending;
        };
        if !matches!((&self.source, &read), (Source::Chunks(_), Ok(Some(_)))) {
            self.source = Source::Ended;
            self.abort.disarm();
        }
        Poll::Ready(read.map_err(unreachable_upstream).transpose())
    }
}

/// Sends a call. `var` looks up the deployment's variables and secrets.
pub async fn send(
    call: UpstreamCall,
    var: impl Fn(&str) -> Option<String>,
) -> Result<UpstreamResponse<UpstreamBody>> {
    let (url, head) = build(&call, var)?;
    let controller = js::AbortController::new();
    let sent = js::send(&url, &head, &call.request.body, &controller);
    let abort = AbortOnDrop(Some(controller));
    // What is thrown at once names the URL or a header, and with it the key.
    let sent = sent.map_err(|_| {
        Error::upstream(
            ErrorType::ProviderUnavailable,
            format!(
                "{} is not configured: its URL or key is malformed",
                call.provider.name
            ),
        )
    })?;
    drop(call);
    let sent = JsFuture::from(sent).await;
    let answer: js::Answer = sent.map_err(unreachable_upstream)?.unchecked_into();
    let names = "content-type\0retry-after\0content-length\0content-encoding";
    let head = js::answer_head(&answer, names);
    let mut head = head.split('\0');
    let mut next = || head.next().unwrap_or_default();
    let content_type = next().split(';').next().unwrap_or_default();
    let content_type = content_type.trim().to_ascii_lowercase();
    let now = i64::try_from(js::now_ms()).unwrap_or(i64::MAX);
    let retry_after = retry_after(next(), now);
    let length: Option<usize> = next().parse().ok();
    let short = length.is_some_and(|length| length <= ONE_GO_BYTES) && next().is_empty();
    let status = answer.status();
    let source = if short && content_type.contains("json") {
        Source::Whole(answer)
    } else {
        Reader::of(&answer)
            .map_err(unreachable_upstream)?
            .map_or(Source::Ended, Source::Chunks)
    };
    Ok(UpstreamResponse {
        status,
        content_type,
        retry_after,
        body: UpstreamBody {
            source,
            pending: None,
            abort,
        },
    })
}

/// The URL, and the headers as [`js::send`] takes them.
fn build(call: &UpstreamCall, var: impl Fn(&str) -> Option<String>) -> Result<(String, String)> {
    let provider = &call.provider;
    let misconfigured = |what: String| {
        Error::upstream(
            ErrorType::ProviderUnavailable,
            format!("{} is not configured: {what}", provider.name),
        )
    };
    let base = resolve_base_url(&provider.base_url, &var)
        .map_err(|error| misconfigured(error.to_string()))?;
    let key = match &call.credential {
        Credential::Operator => var(&provider.secret)
            .ok_or_else(|| misconfigured(format!("the secret {} is not set", provider.secret)))?,
        Credential::Own(own) => own.secret.clone(),
    };
    let mut url = format!("{base}{}", call.request.path);
    let mut head = String::from(concat!("user-agent\0patchbay/", env!("CARGO_PKG_VERSION")));
    let mut add = |name: &str, value: &str| {
        for part in ["\0", name, "\0", value] {
            head.push_str(part);
        }
    };
    // A list of pairs would join two headers of one name into one value.
    let headers = &call.request.headers;
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        add("content-type", "application/json");
    }
    for (name, value) in headers {
        add(name, value);
    }
    match &provider.auth {
        AuthScheme::Bearer => add("authorization", &format!("Bearer {key}")),
        AuthScheme::Header { name } => add(name, &key),
        AuthScheme::Query { name } => {
            let separator = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{separator}{name}={key}");
        }
    }
    Ok((url, head))
}

/// The connection failed or broke: the next provider may do better. The platform's words name no secret.
fn unreachable_upstream(error: JsValue) -> Error {
    let error = worker::Error::from(error);
    Error::upstream(
        ErrorType::ProviderUnavailable,
        format!("The connection to the provider failed: {error}"),
    )
}
