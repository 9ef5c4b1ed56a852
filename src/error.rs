//! The one error of a request: where it came from, what may be tried next, and what the client is told.
//!
//! In scope: the error value and the typed vocabulary `error_type` with its HTTP statuses (OpenRouter's error model).
//! Out of scope: envelopes. Each client surface renders this value in its own form (`dialects/*/error`).

use serde::Serialize;
use serde_json::{Map, Value};

/// Who caused the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The request is at fault: repeating it unchanged fails again everywhere.
    Client,
    /// Patchbay itself failed or refused (credits, limits, internal errors).
    Gateway,
    /// The provider failed or refused.
    Upstream,
}

/// What the relay may do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same endpoint may be asked again after a pause.
    SameAgain,
    /// The next endpoint of the plan may succeed.
    NextAttempt,
    /// Nothing in the plan can help.
    Final,
}

macro_rules! error_types {
    ($($variant:ident $wire:literal $status:literal),+ $(,)?) => {
        /// The typed error code told to clients as `error_type`; each has one HTTP status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorType {
            $(#[doc = concat!("`", $wire, "`, HTTP ", stringify!($status), ".")] $variant,)+
        }

        impl ErrorType {
            /// Every type, for tables and tests.
            pub const ALL: &'static [ErrorType] = &[$(ErrorType::$variant),+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorType::$variant => $wire),+ }
            }

            /// The HTTP status that goes with the type.
            pub fn status(self) -> u16 {
                match self { $(ErrorType::$variant => $status),+ }
            }
        }
    };
}

error_types! {
    ContextLengthExceeded "context_length_exceeded" 400,
    MaxTokensExceeded "max_tokens_exceeded" 400,
    InvalidRequest "invalid_request" 400,
    InvalidPrompt "invalid_prompt" 400,
    ContentPolicyViolation "content_policy_violation" 400,
    Refusal "refusal" 400,
    InvalidImage "invalid_image" 400,
    Authentication "authentication" 401,
    PaymentRequired "payment_required" 402,
    PermissionDenied "permission_denied" 403,
    NotFound "not_found" 404,
    MethodNotAllowed "method_not_allowed" 405,
    RequestTimeout "request_timeout" 408,
    Conflict "conflict" 409,
    PayloadTooLarge "payload_too_large" 413,
    Unprocessable "unprocessable" 422,
    RateLimitExceeded "rate_limit_exceeded" 429,
    ClientClosed "client_closed" 499,
    Server "server" 500,
    ProviderUnavailable "provider_unavailable" 502,
    ProviderOverloaded "provider_overloaded" 503,
    Timeout "timeout" 504,
    ProviderStalled "provider_stalled" 504,
}

/// A failed request or attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// Who caused it.
    pub source: Source,
    /// What the relay may do next.
    pub next: Next,
    /// The typed code.
    pub error_type: ErrorType,
    /// The HTTP status told to the client; usually `error_type.status()`, but an upstream's own status is kept (529, 424 …).
    pub status: u16,
    /// One sentence for the person who reads it. Never holds a secret.
    pub message: String,
    /// Path of the offending field, such as `messages[2].content[0].image_url.url`.
    pub param: Option<String>,
    /// The upstream's own error code or type.
    pub provider_code: Option<String>,
    /// The upstream's error body as text, cut to [`Error::RAW_LIMIT`] bytes.
    pub raw: Option<String>,
    /// Seconds after which a retry makes sense.
    pub retry_after: Option<u32>,
    /// Further keys for the envelope's `metadata`.
    pub metadata: Map<String, Value>,
    /// Why no endpoint could serve, and what may be tried again: the envelope's `availability`.
    pub availability: Option<Box<Value>>,
    /// How the request was routed, for a client that wants to be told: a sibling of the envelope's `error`.
    pub routing: Option<Box<Value>>,
}

impl Error {
    /// How much of an upstream's error body is kept, in bytes.
    pub const RAW_LIMIT: usize = 4096;

    /// An error of the given source and type with the type's own status.
    pub fn new(
        source: Source,
        next: Next,
        error_type: ErrorType,
        message: impl Into<String>,
    ) -> Self {
        Self {
            source,
            next,
            error_type,
            status: error_type.status(),
            message: message.into(),
            param: None,
            provider_code: None,
            raw: None,
            retry_after: None,
            metadata: Map::new(),
            availability: None,
            routing: None,
        }
    }

    /// The request is malformed at `param` (a path such as `tools[0].function.name`).
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::new(
            Source::Client,
            Next::Final,
            ErrorType::InvalidRequest,
            message,
        );
        error.param = Some(param.into());
        error
    }

    /// An upstream failure that another endpoint may not have.
    pub fn upstream(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self::new(Source::Upstream, Next::NextAttempt, error_type, message)
    }

    /// A failure of the gateway itself. The detail goes to the log, the client gets a general sentence.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Source::Gateway, Next::Final, ErrorType::Server, message)
    }

    /// Classifies an upstream's HTTP status. `message` is the upstream's own sentence, `code` its own code or type.
    ///
    /// 400 and 422 are also worth the next endpoint: hosts of one model differ in what they accept. 401, 402, 403, 404, 405
    /// and 410 mean that *our* credentials, balance or route at this provider are wrong, which is no fault of the client's.
    pub fn from_upstream_status(
        status: u16,
        message: impl Into<String>,
        code: Option<String>,
    ) -> Self {
        let (error_type, told) = match status {
            400 => (ErrorType::InvalidRequest, 400),
            413 => (ErrorType::PayloadTooLarge, 413),
            422 => (ErrorType::Unprocessable, 422),
            429 => (ErrorType::RateLimitExceeded, 429),
            408 | 504 | 524 => (ErrorType::Timeout, 504),
            503 | 529 => (ErrorType::ProviderOverloaded, status),
            _ => (ErrorType::ProviderUnavailable, 502),
        };
        let mut error = Self::upstream(error_type, message);
        error.status = told;
        error.provider_code = code;
        error
    }

    /// Adds the upstream's body, cut to [`Error::RAW_LIMIT`] bytes at a character boundary.
    #[must_use]
    pub fn with_raw(mut self, body: &[u8]) -> Self {
        let cut = body.get(..Self::RAW_LIMIT).unwrap_or(body);
        self.raw = Some(String::from_utf8_lossy(cut).into_owned());
        self
    }

    /// Adds a key to the envelope's `metadata`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.error_type.as_str())
    }
}

impl std::error::Error for Error {}

/// The result of anything that can fail a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;
