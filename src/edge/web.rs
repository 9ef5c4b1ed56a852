//! Asking search engines and web servers for the tools that the gateway runs. Which addresses may be asked is decided before
//! (`server_tools`).

use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::{
    js,
    upstream::{AbortOnDrop, UpstreamBody},
};
use crate::{
    error::{Error, ErrorType, Result},
    relay::WebResponse,
    server_tools::WebRequest,
};

/// Sends a request; follows no redirect.
pub async fn fetch(request: WebRequest) -> Result<WebResponse<UpstreamBody>> {
    let head = js::joined(&request.headers);
    let controller = js::AbortController::new();
    let sent = match &request.body {
        Some(body) => js::send(&request.url, &head, body, &controller),
        None => js::get(&request.url, &head, &controller),
    };
    let abort = AbortOnDrop::of(controller);
    // The platform's words may hold the address.
    let failed = |_| Error::upstream(ErrorType::ProviderUnavailable, "The connection failed");
    let answer: js::Answer = JsFuture::from(sent.map_err(failed)?)
        .await
        .map_err(failed)?
        .unchecked_into();
    let head = js::answer_head(&answer, "content-type\0location");
    let (content_type, location) = head.split_once('\0').unwrap_or((&head, ""));
    Ok(WebResponse {
        status: answer.status(),
        content_type: content_type.to_owned(),
        location: location.to_owned(),
        body: UpstreamBody::in_pieces(&answer, abort).map_err(failed)?,
    })
}

/// Minutes that a time zone is ahead of UTC right now.
pub fn utc_offset(zone: &str) -> Option<i32> {
    crate::server_tools::datetime::offset(&js::zone_offset(zone)?)
}
