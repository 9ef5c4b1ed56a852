//! What a tool wants from the web, and what it got: plain values, so that nothing here does I/O.

/// A request: POST where it has a body, else GET. Whoever sends it follows no redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRequest {
    /// The whole address.
    pub url: String,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// How much of the answer's body is read; the rest is left out.
    pub max_bytes: usize,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebAnswer {
    /// HTTP status.
    pub status: u16,
    /// `content-type`, as sent.
    pub content_type: String,
    /// `location`, as sent; empty where there is none.
    pub location: String,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
}

/// How long one request to an engine or a page may take, in milliseconds.
pub const REQUEST_MS: u64 = 20_000;
