//! What goes into the relay and what comes out.

use std::rc::Rc;

use serde_json::Value;

use crate::{
    chat::ChatRequest,
    credits::{money::Nanos, share::Share},
    dialects::{Surface, report::Meta, surface::Recipient},
    error::Error,
    guardrails::Filters,
    operations::Ask,
    routing::{
        Plan,
        sticky::{Affinity, Served},
    },
    server_tools::Kit,
    transforms::Plugins,
    usage::content::Keeper,
};

/// Called once, after the settlement and before the last byte leaves, when an answer came to its end in order.
pub type OnServed = Rc<dyn Fn(&Served<'_>)>;

/// Who sent a request, as the usage row keeps it.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The account that pays.
    pub account: String,
    /// The key's hash.
    pub key_hash: String,
    /// SHA-256 of the secret that was sent, in hex.
    pub secret: Option<String>,
    /// Whose key it is.
    pub member: Option<String>,
    /// The client's or the gateway's request id.
    pub request_id: String,
    /// `HTTP-Referer`.
    pub referer: Option<String>,
    /// `X-Title`.
    pub title: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// The end user that the key is for, where the request names none.
    pub end_user: Option<String>,
    /// The id of the preset that it names.
    pub preset: Option<String>,
    /// The router that it names.
    pub router: Option<String>,
    /// What guardrails did to it, as the record keeps it.
    pub guardrails: Value,
}

/// A request that may run: parsed, authenticated and planned.
pub struct Job {
    /// Generation id; also the id of the hold.
    pub id: String,
    /// When it arrived, unix milliseconds.
    pub started_ms: u64,
    /// What the client speaks.
    pub surface: Surface,
    /// The canonical request.
    pub request: ChatRequest,
    /// The client's own bytes; empty where an operation was read out of them.
    pub raw: Vec<u8>,
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// What to try.
    pub plan: Plan,
    /// Who asks.
    pub origin: Origin,
    /// What the conversation's past means for it.
    pub affinity: Rc<Affinity>,
    /// Who wants to know of a good answer.
    pub on_served: Option<OnServed>,
    /// What the operator takes of the list price where the account's own provider key serves.
    pub own_key_fee: Share,
    /// What the client asked of the relay itself.
    pub wishes: Wishes,
    /// The tools that the gateway runs for it; their functions are among the request's tools.
    pub kit: Option<Rc<Kit>>,
    /// What is asked for, where it is no conversation: the request then has no messages.
    pub ask: Option<Rc<Ask>>,
    /// The client's own bytes do not say what is asked any more.
    pub is_rewritten: bool,
    /// Tools that it offers and does without, as nobody here runs them.
    pub left_out: Vec<&'static str>,
    /// Content filters for what tools bring in.
    pub filters: Option<Rc<Filters>>,
    /// Hosts that are not public and may be fetched all the same: `host` or `host:port`.
    pub trusted_hosts: Rc<[String]>,
    /// Who keeps what is asked and answered, where somebody wants that.
    pub keeper: Option<Keeper>,
}

impl Job {
    /// Whom the answer is written for.
    pub fn recipient<'a>(&'a self, meta: &'a Meta) -> Recipient<'a> {
        Recipient {
            surface: self.surface,
            request: &self.request,
            raw: &self.raw,
            meta,
        }
    }
}

/// What a client may ask of the way its request is run. Nothing of it goes upstream as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// `max_cost`: the most that the request may be charged.
    pub max_cost: Option<Nanos>,
    /// `provider.hedge`: a second endpoint is called after so many milliseconds without content.
    pub hedge_after_ms: Option<u64>,
    /// What the client asked the gateway itself to do to the request and its answer.
    pub plugins: Plugins,
    /// `provider.continue`: a stream that breaks goes on at the next endpoint.
    pub resume: bool,
}

/// Who serves, known when the response may start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Display name of the provider; absent while none has answered yet.
    pub provider: Option<String>,
    /// The model that serves.
    pub model: Option<String>,
    /// Whether the conversation stuck to its endpoint ([`Affinity::verdict`]).
    pub sticky: Option<&'static str>,
    /// Attempts made so far, the serving one included.
    pub attempts: usize,
    /// Milliseconds spent waiting for providers so far.
    pub upstream_ms: u64,
    /// What the gateway itself did so far, by name.
    pub pipeline: Vec<&'static str>,
    /// What an aborted attempt (`provider.hedge`) may have cost the operator.
    pub hedge_cost: Option<Nanos>,
}

/// What the client is to receive, in order.
#[derive(Debug)]
pub enum Output {
    /// A stream may start; always the first output of a stream that does not fail before its first byte.
    Begin(Head),
    /// Bytes of the stream: whole events.
    Chunk(Vec<u8>),
    /// The whole answer.
    Answer {
        /// Who served.
        head: Head,
        /// The body.
        body: Vec<u8>,
        /// Prompt and completion tokens.
        tokens: (u64, u64),
    },
    /// The request failed before its first byte.
    Failed(Box<Error>),
}
