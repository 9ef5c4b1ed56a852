//! Calling providers: fetch, tokens, bindings, and an abort that happens by itself when nobody reads any more.

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

use super::{js, world::Edge};
use crate::{
    access::{Access, Outgoing, token::TokenPort},
    api::World,
    dialects::{ERROR_KIND_HEADER, workers_ai},
    error::{Error, ErrorType, Result},
    relay::{UpstreamCall, UpstreamResponse},
    time::retry_after,
};

/// An answer in one piece that says it is no longer than this is read in one go: each read enters the isolate.
const ONE_GO_BYTES: usize = 4 * 1024 * 1024;

/// Aborts a fetch when dropped.
pub(super) struct AbortOnDrop(Option<js::AbortController>);

impl AbortOnDrop {
    /// Aborts what this controller controls.
    pub(super) fn of(controller: js::AbortController) -> Self {
        Self(Some(controller))
    }

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
    /// Puts what a binding says into the words of its dialect.
    words: Option<workers_ai::Answer>,
    abort: AbortOnDrop,
}

impl UpstreamBody {
    /// The body of an answer, piece by piece.
    pub(super) fn in_pieces(
        answer: &js::Answer,
        abort: AbortOnDrop,
    ) -> std::result::Result<Self, JsValue> {
        Ok(Self {
            source: Reader::of(answer)?.map_or(Source::Ended, Source::Chunks),
            pending: None,
            words: None,
            abort,
        })
    }

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
        let is_whole = matches!(self.source, Source::Whole(_));
        if !matches!((&self.source, &read), (Source::Chunks(_), Ok(Some(_)))) {
            self.source = Source::Ended;
            self.abort.disarm();
        }
        let read = read.map_err(unreachable_upstream)?;
        let Some(words) = &mut self.words else {
            return Poll::Ready(read.map(Ok));
        };
        let mut told = match &read {
            Some(bytes) => words.feed(bytes)?,
            None => Vec::new(),
        };
        let is_end = read.is_none() || is_whole;
        if is_end {
            told.extend(words.finish()?);
            self.words = None;
        }
        match (told.is_empty(), is_end) {
            (false, _) => Poll::Ready(Some(Ok(told))),
            (true, true) => Poll::Ready(None),
            (true, false) => self.poll_next(context),
        }
    }
}

/// Sends a call: through the provider's binding where the operator pays and the deployment has it, else over HTTP.
pub async fn send(call: UpstreamCall, edge: &Edge) -> Result<UpstreamResponse<UpstreamBody>> {
    let variable = |name: &str| edge.binding(name);
    let provider = &call.provider;
    let own = call.credential.own();
    let bound = provider.binding.as_deref().filter(|_| own.is_none());
    if let Some(binding) = bound.and_then(|name| edge.service(name)) {
        return run(&call, &binding).await;
    }
    let access = Access::of(provider, own.map(|key| key.secret.as_str()), &variable)?;
    let Some(grant) = access.grant()? else {
        let outgoing = access.assemble(&call.request, None, js::now_ms())?;
        return post(outgoing, &call).await;
    };
    let memory = edge.memory();
    let with_token = async |token: &str| {
        let outgoing = access.assemble(&call.request, Some(token), js::now_ms())?;
        post(outgoing, &call).await
    };
    let tokens = &memory.tokens;
    tokens
        .call(&Issuer, &grant, with_token, |answer| answer.status)
        .await
}

/// Runs a model at a binding: the model's id stands in the call, the rest of it is the body.
async fn run(call: &UpstreamCall, binding: &JsValue) -> Result<UpstreamResponse<UpstreamBody>> {
    let controller = js::AbortController::new();
    let body = std::str::from_utf8(&call.request.body);
    let body = body.map_err(|error| Error::internal(error.to_string()))?;
    let sent = js::run(binding, body, &controller);
    let abort = AbortOnDrop(Some(controller));
    let mut answer = answered(sent.map_err(unreachable_upstream)?, abort).await?;
    answer.body.words = Some(workers_ai::Answer::new(&answer.content_type));
    Ok(answer)
}

async fn post(outgoing: Outgoing, call: &UpstreamCall) -> Result<UpstreamResponse<UpstreamBody>> {
    let controller = js::AbortController::new();
    let head = js::joined(&outgoing.headers);
    let sent = js::send(&outgoing.url, &head, &call.request.body, &controller);
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
    answered(sent, abort).await
}

/// Waits for the head of an answer.
async fn answered(
    sent: js_sys::Promise,
    abort: AbortOnDrop,
) -> Result<UpstreamResponse<UpstreamBody>> {
    let sent = JsFuture::from(sent).await;
    let answer: js::Answer = sent.map_err(unreachable_upstream)?.unchecked_into();
    let names =
        format!("content-type\0retry-after\0{ERROR_KIND_HEADER}\0content-length\0content-encoding");
    let head = js::answer_head(&answer, &names);
    let mut head = head.split('\0');
    let mut next = || head.next().unwrap_or_default();
    let content_type = next().split(';').next().unwrap_or_default();
    let content_type = content_type.trim().to_ascii_lowercase();
    let now = i64::try_from(js::now_ms()).unwrap_or(i64::MAX);
    let retry_after = retry_after(next(), now);
    let error_kind = Some(next()).filter(|kind| !kind.is_empty());
    let error_kind = error_kind.map(str::to_owned);
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
        error_kind,
        body: UpstreamBody {
            source,
            pending: None,
            words: None,
            abort,
        },
    })
}

/// Issuers of tokens, over HTTP and WebCrypto.
pub(super) struct Issuer;

impl TokenPort for Issuer {
    fn now_ms(&self) -> u64 {
        js::now_ms()
    }

    async fn post_form(&self, url: &str, form: &str) -> Result<(u16, Vec<u8>)> {
        let controller = js::AbortController::new();
        let head = "content-type\0application/x-www-form-urlencoded";
        let sent = js::send(url, head, form.as_bytes(), &controller);
        let mut abort = AbortOnDrop(Some(controller));
        let sent = JsFuture::from(sent.map_err(unreachable_upstream)?).await;
        let answer: js::Answer = sent.map_err(unreachable_upstream)?.unchecked_into();
        let body = js::whole(&answer).map_err(unreachable_upstream)?;
        let body = JsFuture::from(body).await.map_err(unreachable_upstream)?;
        abort.disarm();
        Ok((answer.status(), Uint8Array::new(&body).to_vec()))
    }

    async fn sign_rs256(&self, pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        let unusable = |_: JsValue| {
            let message = "The private key of a service account cannot be used";
            Error::upstream(ErrorType::ProviderUnavailable, message)
        };
        let signed = js::sign_rs256(pkcs8, message).map_err(unusable)?;
        let signature = JsFuture::from(signed).await.map_err(unusable)?;
        Ok(Uint8Array::new(&signature).to_vec())
    }
}

/// The connection failed or broke: the next provider may do better. The platform's words name no secret.
fn unreachable_upstream(error: JsValue) -> Error {
    let error = worker::Error::from(error);
    Error::upstream(
        ErrorType::ProviderUnavailable,
        format!("The connection to the provider failed: {error}"),
    )
}
