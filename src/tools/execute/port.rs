//! What an execution needs of the world. `edge` implements it on the platform; tests script it.

use std::rc::Rc;

use futures::future::LocalBoxFuture;
use serde_json::{Value, value::RawValue};

use super::ProviderWish;
use crate::{
    access::token::{TokenPort, Tokens},
    credits::{money::Nanos, ops},
    error::Result,
    tools::{
        catalog::{Class, Effect, Tool},
        connector::{Acted, Answer, Failure, Outgoing},
        envelope::Status,
    },
    usage::observed::Observed,
};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// Certainly nothing was sent: the address or a header is malformed.
    NotSent(String),
    /// The connection failed or broke: it may have been carried out.
    Unknown(String),
    /// No answer in time: it may have been carried out.
    TimedOut,
    /// It was answered with this status, and with more than was to be read.
    TooLarge(u16),
}

impl SendError {
    /// What it means for what was asked; nothing where that was carried out and its answer is too long to be read.
    pub fn failure(&self) -> Option<Failure> {
        let (class, message, acted) = match self {
            Self::NotSent(why) => (
                Class::Unavailable,
                format!("Nothing was sent: {why}"),
                Acted::No,
            ),
            Self::Unknown(why) => (
                Class::Unavailable,
                format!("No answer came: {why}"),
                Acted::Maybe,
            ),
            Self::TimedOut => (
                Class::Timeout,
                "No answer came in time".to_owned(),
                Acted::Maybe,
            ),
            Self::TooLarge(200..300) => return None,
            Self::TooLarge(_) => (
                Class::Provider,
                "The answer is too long to be read".to_owned(),
                Acted::Maybe,
            ),
        };
        Some(Failure {
            class,
            message,
            code: None,
            param: None,
            status: 0,
            retry_after: None,
            acted,
        })
    }
}

/// What is written down about an execution, beside what the ledger knows.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The execution.
    pub id: &'a str,
    /// `provider/operation`.
    pub tool: &'a str,
    /// The provider's slug.
    pub provider: &'a str,
    /// The protocol that asked.
    pub surface: &'a str,
    /// When the call arrived, unix milliseconds.
    pub began_ms: u64,
    /// How long it took so far.
    pub latency_ms: u64,
    /// How it stands.
    pub status: Status,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// What names the thing made, at the provider.
    pub upstream_id: Option<&'a str>,
    /// What is charged.
    pub charge: Nanos,
    /// The id of the account's own provider key, where one was used.
    pub own_key: Option<&'a str>,
    /// What it would have cost, where an own key was used.
    pub list_cost: Option<Nanos>,
    /// Every request of a provider, in order.
    pub attempts: &'a [Attempt],
}

/// A request of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempt {
    /// `provider/operation`.
    pub tool: String,
    /// HTTP status; 0 where there was no answer.
    pub status: u16,
    /// How long it took.
    pub latency_ms: u64,
    /// Why it failed.
    pub error: Option<String>,
    /// The class of the failure; absent for a success.
    pub class: Option<Class>,
    /// What it says of the provider.
    pub observed: Observed,
    /// The tool is an account's own: what it says is for nobody else.
    pub is_private: bool,
}

/// A choice among the tools of a capability.
#[derive(Clone, Copy)]
pub struct Choosing<'a> {
    /// The capability.
    pub capability: &'a str,
    /// Its tools that the key may call, in the order of their rows.
    pub tools: &'a [Rc<Tool>],
    /// What they do.
    pub effect: Effect,
    /// What decides where chance does: the execution's id.
    pub seed: &'a str,
    /// What the caller wants.
    pub wish: &'a ProviderWish,
}

/// What was chosen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chosen {
    /// Places in the list, the first to be tried first.
    pub order: Vec<usize>,
    /// Why, for the envelope.
    pub routing: Option<Value>,
}

/// The world around an execution. Clones share the same request.
pub trait ToolPort: Clone + 'static {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// Ends after `ms` milliseconds.
    fn sleep(&self, ms: u64) -> LocalBoxFuture<'static, ()>;

    /// Random bytes.
    ///
    /// # Errors
    /// Where there is no randomness.
    fn random(&self) -> Result<[u8; 32]>;

    /// Asks a provider, with any method; follows no redirect. What [is guarded](Outgoing::is_guarded) goes to the public web alone.
    fn send(&self, request: Outgoing) -> LocalBoxFuture<'static, Result<Answer, SendError>>;

    /// Whether an address that somebody else chose may be sent to.
    ///
    /// # Errors
    /// Why not: a sentence.
    fn admits(&self, _url: &str) -> impl Future<Output = Result<(), String>> {
        std::future::ready(Ok(()))
    }

    /// Calls the account's object. An error means that it could not be asked, or that it failed.
    fn ledger<C: ops::Call>(
        &self,
        account: &str,
        call: &C,
    ) -> impl Future<Output = Result<C::Reply>>;

    /// How long the deployment lets credits be held.
    fn longest_hold_ms(&self) -> u64 {
        u64::MAX
    }

    /// Access tokens that this isolate remembers.
    fn tokens(&self) -> Rc<Tokens>;

    /// Whoever issues them.
    fn issuer(&self) -> impl TokenPort + 'static;

    /// The order in which the tools of a capability are tried: that of their rows, where nothing is known of them.
    fn choose(&self, choosing: &Choosing<'_>) -> Chosen {
        Chosen {
            order: (0..choosing.tools.len()).collect(),
            routing: None,
        }
    }

    /// A provider has answered, or failed to.
    fn attempted(&self, _tool: &Tool, _is_own: bool, _attempt: &Attempt) {}

    /// The usage row of an execution, as the ledger takes it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn usage_row(&self, record: &Record<'_>) -> Result<Box<RawValue>>;

    /// A variable or secret of the deployment.
    fn var(&self, name: &str) -> Option<String>;

    /// Reports a failure to the operator's log.
    fn report(&self, message: &str);

    /// Runs a task that outlives the response.
    fn spawn(&self, task: LocalBoxFuture<'static, ()>);

    /// From now on the client's leaving does not end the execution: what was sent is settled and recorded.
    fn detach(&self);
}

/// How providers of tools are asked, and who issues their tokens: the platform's part of a [`ToolPort`].
pub trait ToolWire {
    /// Asks a provider, with any method; follows no redirect.
    fn exchange(&self, request: Outgoing) -> LocalBoxFuture<'static, Result<Answer, SendError>>;

    /// Whoever issues tokens.
    fn issuer(&self) -> impl TokenPort + 'static;
}
