//! What a delivery needs of the world: a request sent, the time, the store, and the contents of generations.

use std::borrow::Cow;

use futures::future::{Either, select};
use serde_json::Value;

use crate::{database::Transactions, error::Result};

/// How much of a receiver's answer is read, in bytes.
pub const MAX_ANSWER: usize = 8_192;
/// How long a receiver may take, in milliseconds, where the deployment does not say.
pub const SEND_MS: u64 = 15_000;
/// The variable with another time, up to [`SEND_MS`].
const TIMEOUT: &str = "DESTINATION_TIMEOUT_MS";

/// A request to a receiver. Whoever sends it follows no redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// `POST`, `PUT` or `GET`.
    pub method: &'static str,
    /// The whole address.
    pub url: String,
    /// Headers, names in lower case.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the body is compressed on its way.
    pub gzip: bool,
}

/// A receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// HTTP status.
    pub status: u16,
    /// `retry-after` in seconds.
    pub retry_after: Option<u32>,
    /// The body, up to [`MAX_ANSWER`] bytes of it.
    pub body: Vec<u8>,
}

/// What was asked and answered, as JSON; either may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// The messages, or what else was asked.
    pub input: Option<Value>,
    /// The message, or what else was answered.
    pub output: Option<Value>,
}

/// Who carries requests to receivers.
pub trait Courier {
    /// Sends a request, following no redirect, and reads the answer up to [`MAX_ANSWER`] bytes. Dropping the future aborts it.
    fn deliver(&self, request: Outgoing) -> impl Future<Output = Result<Received>>;

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 under a PKCS#8 key.
    fn sign(&self, pkcs8: &[u8], message: &[u8]) -> impl Future<Output = Result<Vec<u8>>>;
}

/// The world around a delivery.
pub trait Port: Transactions + Clone {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// Ends after `ms` milliseconds.
    fn sleep(&self, ms: u64) -> impl Future<Output = ()>;

    /// Random bytes.
    ///
    /// # Errors
    /// When there are none.
    fn random(&self) -> Result<[u8; 32]>;

    /// A variable or secret of the deployment.
    fn var(&self, name: &str) -> Option<String>;

    /// Sends a request and reads the answer. Dropping the future aborts it.
    fn send(&self, request: Outgoing) -> impl Future<Output = Result<Received>>;

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 under a PKCS#8 key.
    fn sign_rs256(&self, pkcs8: &[u8], message: &[u8]) -> impl Future<Output = Result<Vec<u8>>>;

    /// The contents of those of these generations that have any.
    fn contents(
        &self,
        account: &str,
        generations: &[&str],
    ) -> impl Future<Output = Result<Vec<(String, Content)>>>;

    /// Reports a failure to the operator's log.
    fn report(&self, message: &str);

    /// How long a receiver may take, in milliseconds.
    fn patience_ms(&self) -> u64 {
        let named = self.var(TIMEOUT).and_then(|text| text.trim().parse().ok());
        named.unwrap_or(SEND_MS).clamp(100, SEND_MS)
    }

    /// As [`send`](Self::send), for so long only.
    fn send_within(
        &self,
        request: Outgoing,
        limit_ms: u64,
    ) -> impl Future<Output = Result<Received, Unsent>> {
        async move {
            let sent = std::pin::pin!(self.send(request));
            let limit = std::pin::pin!(self.sleep(limit_ms));
            match select(sent, limit).await {
                Either::Left((answer, _)) => answer.map_err(|_| Unsent::Broken),
                Either::Right(_) => Err(Unsent::Late),
            }
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// No connection, or it broke.
    Broken,
    /// It took too long.
    Late,
}
