//! Requests to the receivers of accounts' logs. Which addresses they may have is decided before (`observability::address`).

use futures::StreamExt;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::{
    js,
    upstream::{AbortOnDrop, Issuer, UpstreamBody},
    world::Edge,
};
use crate::{
    access::token::TokenPort,
    error::{Error, ErrorType, Result},
    observability::port::{Courier, MAX_ANSWER, Outgoing, Received},
    time::retry_after,
};

impl Courier for Edge {
    async fn deliver(&self, request: Outgoing) -> Result<Received> {
        let head = js::joined(&request.headers);
        let controller = js::AbortController::new();
        let (method, url) = (request.method, &request.url);
        let sent = js::put(method, url, &head, request.body, request.gzip, &controller);
        let abort = AbortOnDrop::of(controller);
        // The platform's words may hold the address.
        let failed =
            |_: JsValue| Error::upstream(ErrorType::ProviderUnavailable, "The connection failed");
        let answer: js::Answer = JsFuture::from(sent.map_err(failed)?)
            .await
            .map_err(failed)?
            .unchecked_into();
        let wait = js::answer_head(&answer, "retry-after");
        let now = i64::try_from(js::now_ms()).unwrap_or(i64::MAX);
        let mut received = Received {
            status: answer.status(),
            retry_after: retry_after(&wait, now),
            body: Vec::new(),
        };
        let mut body = UpstreamBody::in_pieces(&answer, abort).map_err(failed)?;
        while let Some(piece) = body.next().await {
            received.body.extend_from_slice(&piece?);
            if received.body.len() >= MAX_ANSWER {
                received.body.truncate(MAX_ANSWER);
                break;
            }
        }
        Ok(received)
    }

    async fn sign(&self, pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        Issuer.sign_rs256(pkcs8, message).await
    }
}
