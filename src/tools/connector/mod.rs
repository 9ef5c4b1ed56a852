//! The one connector: a row and an input make a request, a row and an answer make an outcome. Pure, and the same for every tool.
//!
//! [`prepare`] makes the request of an operation, [`read`] tells what its answer means: success with data in the provider's own form
//! and in the normalised one, failure with its class and whether the thing may have been done all the same, or a job that goes on
//! ([`job`]). What a vendor says of itself decides, never the HTTP status alone. Out of scope: sending, retrying, charging
//! (`tools::execute`), and the rows (`tools::catalog`).

mod address;
mod auth;
pub mod condition;
mod encode;
mod failure;
mod idempotency;
pub mod job;
mod page;
mod raw;
mod request;
mod response;
mod scrub;
pub mod template;
mod undo;
mod xml;

#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod response_tests;
#[cfg(test)]
mod template_tests;
#[cfg(test)]
pub(super) mod test_rows;

use std::{fmt, rc::Rc};

pub use auth::Credentials;
pub use failure::refusal;
pub use idempotency::form as idempotency_key;
pub use job::{JobState, cancel, poll, read_cancel, read_poll};
pub use request::{prepare, remote};
pub use response::{clear, read};
pub use scrub::scrub;
pub use undo::{UndoCall, before, beyond, normal, undo};

use crate::{credits::money::Nanos, tools::catalog::Class};
use serde_json::Value;

/// A request of a provider.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Outgoing {
    /// `GET`, `POST`, …
    pub method: String,
    /// The address. It may hold a key.
    pub url: String,
    /// Names in lower case and values. They may hold a key.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// How much of the answer's body is read; whoever sends it follows no redirect.
    pub max_bytes: usize,
    /// How long the answer may take, its body included.
    pub timeout_ms: u64,
    /// Whether the address is somebody else's choice: then it is sent to the public web alone, whatever its name resolves to.
    pub is_guarded: bool,
    /// Looks at an event stream while it comes.
    pub watch: Option<Watch>,
}

/// Takes a piece and answers whether it has seen enough.
type Sees = dyn Fn(&[u8]) -> bool;

/// Is handed the pieces of an event stream as they come, and says when no more of it is wanted.
#[derive(Clone)]
pub struct Watch(Rc<Sees>);

impl Watch {
    /// Whoever answers whether it has seen enough.
    pub fn new(sees: impl Fn(&[u8]) -> bool + 'static) -> Self {
        Self(Rc::new(sees))
    }

    /// Shows it the next piece: whether it has seen enough.
    pub fn sees(&self, piece: &[u8]) -> bool {
        (self.0)(piece)
    }
}

impl PartialEq for Watch {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Watch {}

/// A provider's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Whether it is a stream of events.
    pub fn is_stream(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default().trim();
        let kind = kind.split(';').next().unwrap_or_default().trim_end();
        kind.eq_ignore_ascii_case("text/event-stream")
    }
}

/// What a request is made with, beside the row and the input.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Whose key.
    pub credentials: &'a Credentials,
    /// The token, where the provider is called with one.
    pub token: Option<&'a str>,
    /// What the key for the provider is derived from: the same for every try of one execution, and of no other.
    pub idempotency: Option<&'a [u8; 32]>,
    /// Unix time in milliseconds.
    pub now_ms: u64,
    /// A variable or secret of the deployment.
    pub var: &'a dyn Fn(&str) -> Option<String>,
}

/// Why no request could be made. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A field of the input cannot be sent.
    Input {
        /// JSON Pointer to it.
        param: String,
        /// Why.
        message: String,
    },
    /// The deployment, or the key, is not as the provider needs it.
    Misconfigured(String),
}

impl Problem {
    fn input(field: &str, message: impl Into<String>) -> Self {
        Self::Input {
            param: format!("/{field}"),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { param, message } => write!(f, "{param}: {message}"),
            Self::Misconfigured(what) => f.write_str(what),
        }
    }
}

/// Whether a failed call may have been carried out all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// Surely not.
    No,
    /// Nobody knows.
    Maybe,
}

/// Something in a success that did not succeed.
#[derive(Debug, Clone, PartialEq)]
pub struct Missed {
    /// What.
    pub item: Option<Value>,
    /// Why.
    pub message: String,
}

/// How many items of a batch were done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Done.
    pub done: u64,
    /// Not done.
    pub failed: u64,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Success {
    /// In the provider's own form.
    pub data: Value,
    /// In the form of its kind.
    pub result: Option<Value>,
    /// What names the thing made.
    pub id: Option<String>,
    /// How many units were used.
    pub units: Option<u64>,
    /// What the provider says that it cost.
    pub stated: Option<Nanos>,
    /// The input of the next page.
    pub next: Option<Value>,
    /// What of a batch was done; absent where all of it was.
    pub share: Option<Share>,
    /// What of it was not.
    pub missed: Vec<Missed>,
}

/// What was not done, or may not have been.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What kind of failure it is.
    pub class: Class,
    /// A sentence, in the provider's words where it has some.
    pub message: String,
    /// The provider's code.
    pub code: Option<String>,
    /// The argument that it is about.
    pub param: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// Seconds to wait.
    pub retry_after: Option<u32>,
    /// Whether it may have been done all the same.
    pub acted: Acted,
}

/// What is going on.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// What to ask with.
    pub job: JobState,
    /// How long to wait before asking.
    pub after_ms: u64,
    /// How far it is.
    pub progress: Option<Value>,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was done.
    Success(Box<Success>),
    /// It was not, or may not have been.
    Failure(Box<Failure>),
    /// It goes on.
    Running(Box<Running>),
}
