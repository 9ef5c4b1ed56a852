//! What the relay needs of the world: time, upstreams, the account, and work that outlives the response.
//!
//! `edge` implements this on the platform; tests implement it with a clock that they move and upstreams that they script.

use std::rc::Rc;

use futures::{Stream, future::LocalBoxFuture};

use crate::{
    catalog::{Provider, Route},
    credits::ops,
    dialects::NativeRequest,
    error::Result,
    routing::Credential,
    server_tools::WebRequest,
    usage::measured::Measured,
};

/// A call of a provider. The implementation resolves the base URL, adds the key and follows no redirects.
#[derive(Debug, Clone)]
pub struct UpstreamCall {
    /// Whom to call, and how to authenticate.
    pub provider: Rc<Provider>,
    /// Whose key to send.
    pub credential: Credential,
    /// What to send.
    pub request: NativeRequest,
}

/// The head of a provider's answer, with its body still to read.
pub struct UpstreamResponse<B> {
    /// HTTP status.
    pub status: u16,
    /// `content-type`, lower case, without parameters.
    pub content_type: String,
    /// `retry-after` in seconds, where it is a number or a date.
    pub retry_after: Option<u32>,
    /// [`dialects::ERROR_KIND_HEADER`](crate::dialects::ERROR_KIND_HEADER), as sent.
    pub error_kind: Option<String>,
    /// The body; dropping it aborts the call.
    pub body: B,
}

/// The head of a web server's answer, with its body still to read.
pub struct WebResponse<B> {
    /// HTTP status.
    pub status: u16,
    /// `content-type`, as sent.
    pub content_type: String,
    /// `location`, as sent; empty where there is none.
    pub location: String,
    /// The body; dropping it aborts the request.
    pub body: B,
}

/// A request for credits at the account's object.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Whose credits.
    pub account: String,
    /// The call.
    pub call: ops::Hold,
}

/// The end of a request at the account's object. Repeating a bill changes nothing.
#[derive(Debug, Clone)]
pub enum Bill {
    /// Charge.
    Settle {
        /// Whose credits.
        account: String,
        /// The call.
        call: ops::Settle,
    },
    /// Release the hold without a charge.
    Void {
        /// Whose credits.
        account: String,
        /// The call.
        call: ops::Void,
    },
}

/// The end of a call of a provider.
#[derive(Debug, Clone, Copy)]
pub struct AttemptEnd<'a> {
    /// Who was called.
    pub route: &'a Route,
    /// How it went.
    pub measured: &'a Measured,
    /// When it was sent, unix milliseconds.
    pub began_ms: u64,
    /// The provider's `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
}

/// The world around a relayed request. Clones share the same request.
pub trait Platform: Clone + 'static {
    /// The bytes of an upstream's body as they arrive.
    type Body: Stream<Item = Result<Vec<u8>>> + Unpin + 'static;

    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// Ends after `ms` milliseconds.
    fn sleep(&self, ms: u64) -> LocalBoxFuture<'static, ()>;

    /// Calls a provider. Dropping the future or the body aborts the call.
    fn send(
        &self,
        call: UpstreamCall,
    ) -> LocalBoxFuture<'static, Result<UpstreamResponse<Self::Body>>>;

    /// Asks a search engine, or for a page of the web. Follows no redirect. Dropping the future or the body aborts the request.
    fn fetch(
        &self,
        request: WebRequest,
    ) -> LocalBoxFuture<'static, Result<WebResponse<Self::Body>>>;

    /// Minutes that the time zone of this name is ahead of UTC right now; nothing where there is no such zone.
    fn utc_offset(&self, zone: &str) -> Option<i32>;

    /// The answer in this body is complete: what is left of it, if only its end, may be read so that the connection serves
    /// the next call. Dropping the body instead aborts the call, and closes the connection with it.
    fn release(&self, body: Self::Body) {
        drop(body);
    }

    /// Holds credits. An error means that the account could not be asked.
    fn hold(&self, hold: Hold) -> LocalBoxFuture<'static, Result<ops::HoldReply>>;

    /// Whether the account was refused a moment ago: then no provider is called before its hold is granted.
    fn is_cautious(&self, _account: &str) -> bool {
        false
    }

    /// Settles or voids the hold of a request, counts its usage and keeps its usage row, and answers what was charged. Repeating a bill
    /// changes nothing.
    fn settle(&self, bill: Bill) -> LocalBoxFuture<'static, Result<ops::Finished>>;

    /// A provider is about to be called.
    fn attempt_begins(&self, route: &Route);

    /// A call of a provider ended. A call that the client's leaving cut off does not.
    fn attempt_ended(&self, end: &AttemptEnd<'_>);

    /// Runs a task that outlives the response and the client's connection.
    fn spawn(&self, task: LocalBoxFuture<'static, ()>);

    /// From now on the client's leaving does not end the request: a whole answer that the provider bills in full is read and
    /// charged in full (P28).
    fn detach(&self);
}
