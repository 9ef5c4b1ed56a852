//! Asking the providers of tools: any method, no redirects, so much of the body and so long. What is sent is decided before (`tools`).

use futures::{
    FutureExt, StreamExt,
    future::{Either, LocalBoxFuture, select},
};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::{
    fault::Faults,
    js,
    sleep::Sleep,
    upstream::{AbortOnDrop, Issuer, UpstreamBody},
    world::Edge,
};
use crate::{
    access::token::TokenPort,
    tools::{
        connector::{Answer, Outgoing},
        execute::{SendError, ToolWire},
    },
};

/// Nothing is sent, and it is said so.
const NOT_SENT: &str = "tool-not-sent";
/// The provider is asked, and its answer is lost.
const LOST: &str = "tool-lost";

impl ToolWire for Edge {
    fn exchange(&self, request: Outgoing) -> LocalBoxFuture<'static, Result<Answer, SendError>> {
        let faults = self.faults().clone();
        async move {
            let limit = Sleep::new(request.timeout_ms);
            let work = std::pin::pin!(exchange(request, &faults));
            match select(work, limit).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(SendError::TimedOut),
            }
        }
        .boxed_local()
    }

    fn issuer(&self) -> impl TokenPort + 'static {
        Issuer
    }
}

async fn exchange(request: Outgoing, faults: &Faults) -> Result<Answer, SendError> {
    if faults.has(NOT_SENT) {
        return Err(SendError::NotSent("injected".to_owned()));
    }
    let controller = js::AbortController::new();
    let head = js::joined(&request.headers);
    let sent = js::exchange(
        &request.method,
        &request.url,
        &head,
        request.body,
        &controller,
    );
    let abort = AbortOnDrop::of(controller);
    // The platform's words may hold the address, and with it the key.
    let sent =
        sent.map_err(|_| SendError::NotSent("its address or a header is malformed".to_owned()))?;
    let broken = || SendError::Unknown("the connection failed".to_owned());
    let answer: js::Answer = JsFuture::from(sent)
        .await
        .map_err(|_| broken())?
        .unchecked_into();
    let status = answer.status();
    let text = js::all_headers(&answer);
    let mut words = text.split('\0').map(str::to_owned);
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        headers.push((name, value));
    }
    let mut answered = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    let watch = request.watch.filter(|_| answered.is_stream());
    let mut pieces = UpstreamBody::in_pieces(&answer, abort).map_err(|_| broken())?;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| broken())?;
        answered.body.extend_from_slice(&piece);
        if watch.as_ref().is_some_and(|watch| watch.sees(&piece)) {
            break;
        }
        if answered.body.len() > request.max_bytes {
            return Err(SendError::TooLarge(status));
        }
    }
    if faults.has(LOST) {
        return Err(SendError::Unknown("injected".to_owned()));
    }
    Ok(answered)
}
