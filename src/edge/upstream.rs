//! Calling providers: base URL, credentials, fetch, and an abort that happens by itself when nobody reads any more.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::Stream;
use js_sys::Uint8Array;
use worker::{
    AbortController, AbortSignal, ByteStream, Fetch, Headers, Method, Request, RequestInit,
    RequestRedirect,
};

use crate::{
    catalog::{AuthScheme, provider::resolve_base_url},
    error::{Error, ErrorType, Result},
    relay::{UpstreamCall, UpstreamResponse},
};

/// Aborts a fetch when dropped.
struct AbortOnDrop(Option<AbortController>);

impl AbortOnDrop {
    fn new() -> (Self, AbortSignal) {
        let controller = AbortController::default();
        let signal = controller.signal();
        (Self(Some(controller)), signal)
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(controller) = self.0.take() {
            controller.abort();
        }
    }
}

/// The bytes of a provider's answer; dropping them aborts the call.
pub struct UpstreamBody {
    bytes: ByteStream,
    _abort: AbortOnDrop,
}

impl Stream for UpstreamBody {
    type Item = Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.bytes)
            .poll_next(context)
            .map(|item| item.map(|chunk| chunk.map_err(|error| unreachable_upstream(&error))))
    }
}

/// Sends a call. `var` looks up the deployment's variables and secrets.
pub async fn send(
    call: UpstreamCall,
    var: impl Fn(&str) -> Option<String>,
) -> Result<UpstreamResponse<UpstreamBody>> {
    let request = build(&call, var)?;
    let (abort, signal) = AbortOnDrop::new();
    let sent = Fetch::Request(request).send_with_signal(&signal).await;
    let mut response = sent.map_err(|error| unreachable_upstream(&error))?;
    let headers = response.headers();
    let content_type = headers
        .get("content-type")
        .ok()
        .flatten()
        .unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default();
    let content_type = content_type.trim().to_ascii_lowercase();
    let retry_after = headers.get("retry-after").ok().flatten();
    let status = response.status_code();
    let bytes = response
        .stream()
        .map_err(|error| unreachable_upstream(&error))?;
    Ok(UpstreamResponse {
        status,
        content_type,
        retry_after: retry_after.and_then(|text| text.trim().parse().ok()),
        body: UpstreamBody {
            bytes,
            _abort: abort,
        },
    })
}

fn build(call: &UpstreamCall, var: impl Fn(&str) -> Option<String>) -> Result<Request> {
    let provider = &call.provider;
    let misconfigured = |what: String| {
        Error::upstream(
            ErrorType::ProviderUnavailable,
            format!("{} is not configured: {what}", provider.name),
        )
    };
    let base = resolve_base_url(&provider.base_url, &var)
        .map_err(|error| misconfigured(error.to_string()))?;
    let key = var(&provider.secret)
        .ok_or_else(|| misconfigured(format!("the secret {} is not set", provider.secret)))?;
    let mut url = format!("{base}{}", call.request.path);
    let headers = Headers::new();
    let set = |name: &str, value: &str| {
        headers
            .set(name, value)
            .map_err(|error| Error::internal(format!("header {name}: {error}")))
    };
    set("content-type", "application/json")?;
    set(
        "user-agent",
        concat!("patchbay/", env!("CARGO_PKG_VERSION")),
    )?;
    for (name, value) in &call.request.headers {
        set(name, value)?;
    }
    match &provider.auth {
        AuthScheme::Bearer => set("authorization", &format!("Bearer {key}"))?,
        AuthScheme::Header { name } => set(name, &key)?,
        AuthScheme::Query { name } => {
            let separator = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{separator}{name}={key}");
        }
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual)
        .with_body(Some(Uint8Array::from(call.request.body.as_slice()).into()));
    Request::new_with_init(&url, &init).map_err(|error| misconfigured(error.to_string()))
}

/// The connection failed or broke: the next provider may do better. The platform's words name no secret.
fn unreachable_upstream(error: &worker::Error) -> Error {
    Error::upstream(
        ErrorType::ProviderUnavailable,
        format!("The connection to the provider failed: {error}"),
    )
}
