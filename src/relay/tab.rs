//! The tab of a request: what was tried, what was seen of each attempt, and what of it has left for the client.
//!
//! Out of scope: what it costs ([`super::bill`]), and who sees to it that it is settled ([`super::guard`]).

use std::rc::Rc;

use serde_json::json;

use super::job::{Head, Job, Origin};
use crate::{
    catalog::Route,
    chat::{Completion, Delta, Event, FinishReason, Usage},
    dialects::openai_chat::client::Meta,
    error::{Error, ErrorType, Source},
    routing::sticky::{Affinity, is_signed},
    usage,
};

/// What was seen of the attempt in force.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) usage: Option<Usage>,
    /// Bytes of text, reasoning and tool arguments.
    pub(super) bytes: usize,
    pub(super) content: bool,
    /// The provider signed reasoning in it.
    pub(super) signed: bool,
    /// How many of [`Self::bytes`] have left for the client; absent until content has.
    pub(super) delivered: Option<usize>,
    pub(super) finish: Option<(FinishReason, String)>,
    pub(super) upstream_id: Option<String>,
    pub(super) first_content_ms: Option<u64>,
    pub(super) last_ms: u64,
    /// One bit per choice that began, and per choice that ended.
    begun: u128,
    ended: u128,
    done: bool,
}

/// Whether the account still waits for the end of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

/// The tab of one request.
#[derive(Debug)]
pub struct Tab {
    pub(super) id: String,
    pub(super) started_ms: u64,
    pub(super) streamed: bool,
    pub(super) asked_model: String,
    pub(super) prompt_estimate: u64,
    pub(super) origin: Origin,
    pub(super) session_id: Option<String>,
    pub(super) user: Option<String>,
    pub(super) route: Option<Route>,
    pub(super) attempts: Vec<usage::Attempt>,
    pub(super) seen: Seen,
    pub(super) error: Option<String>,
    affinity: Rc<Affinity>,
    /// The request came to its end, good or bad; otherwise the client left.
    pub(super) concluded: bool,
    /// Failures of earlier attempts and their providers' names, as `metadata.previous_errors` tells them.
    failures: Vec<(String, Error)>,
    dispatched_ms: u64,
    /// Since when a provider is waited for.
    waiting_ms: u64,
    upstream_ms: u64,
    state: State,
}

impl Tab {
    /// The tab of a request that has not been dispatched.
    pub fn open(job: &Job) -> Self {
        Self {
            id: job.id.clone(),
            started_ms: job.started_ms,
            streamed: job.request.stream,
            asked_model: job.request.model.clone(),
            prompt_estimate: job.prompt_tokens,
            origin: job.origin.clone(),
            session_id: job.request.session_id.clone(),
            user: job.request.user.clone(),
            route: None,
            attempts: Vec::new(),
            failures: Vec::new(),
            dispatched_ms: job.started_ms,
            waiting_ms: job.started_ms,
            upstream_ms: 0,
            seen: Seen::default(),
            error: None,
            state: State::Open,
            concluded: false,
            affinity: Rc::clone(&job.affinity),
        }
    }

    /// An endpoint is called.
    pub fn begin_attempt(&mut self, route: &Route, now: u64) {
        self.attempts.push(usage::Attempt {
            provider: route.provider.slug.clone(),
            endpoint: route.endpoint.tag.clone(),
            model: route.endpoint.upstream_model_id.clone(),
            ..usage::Attempt::default()
        });
        self.route = Some(route.clone());
        self.dispatched_ms = now;
        self.waiting_ms = now;
        self.seen = Seen::default();
    }

    /// The response headers arrived.
    pub fn responded(&mut self, status: u16, now: u64) {
        self.arrived(now);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.status = status;
        }
    }

    /// Something of the provider's arrived: the time since the last arrival was spent waiting for it.
    pub fn arrived(&mut self, now: u64) {
        self.upstream_ms += now.saturating_sub(self.waiting_ms);
        self.waiting_ms = now;
    }

    /// The attempt is the one that serves.
    pub fn serves(&mut self, now: u64) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.latency_ms = signed(now.saturating_sub(self.dispatched_ms));
        }
    }

    /// The attempt failed before any of its content left.
    pub fn attempt_failed(&mut self, error: &Error, now: u64) {
        self.arrived(now);
        self.serves(now);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.error = Some(error.to_string());
            attempt.upstream_id = self.seen.upstream_id.take();
        }
        let name = self.route.as_ref().map(|route| route.provider.name.clone());
        self.failures
            .push((name.unwrap_or_default(), error.clone()));
        self.seen = Seen::default();
    }

    /// Notes an event of the attempt in force.
    pub fn see(&mut self, event: &Event, now: u64) {
        let seen = &mut self.seen;
        match event {
            Event::Start { id, .. } => seen.upstream_id = id.clone().or(seen.upstream_id.take()),
            Event::Delta { choice, delta } => {
                seen.begun |= bit(*choice);
                seen.bytes = seen.bytes.saturating_add(bytes_of(delta));
                if event.is_content() {
                    seen.content = true;
                    seen.first_content_ms.get_or_insert(now);
                }
                if let Delta::Reasoning(detail) = delta {
                    seen.signed |= is_signed(detail);
                }
                seen.last_ms = now;
            }
            Event::Finish {
                choice,
                reason,
                native,
                ..
            } => {
                seen.begun |= bit(*choice);
                seen.ended |= bit(*choice);
                seen.finish.get_or_insert_with(|| (*reason, native.clone()));
            }
            Event::Usage(usage) => seen.usage = Some(*usage),
            Event::Done => seen.done = true,
            Event::Error(_) => {}
        }
    }

    /// All content seen so far leaves for the client.
    pub fn deliver(&mut self) {
        if self.seen.content {
            self.seen.delivered = Some(self.seen.bytes);
        }
    }

    /// Whether every choice that began has its finish reason.
    pub fn is_finished(&self) -> bool {
        self.seen.ended != 0 && self.seen.begun & !self.seen.ended == 0
    }

    /// Whether the answer is whole: finish reasons or an end mark were seen, never merely the end of the bytes.
    pub fn is_complete(&self) -> bool {
        self.is_finished() || (self.seen.done && self.seen.content)
    }

    /// Why an answer of which nothing has left is a failure of the provider's, if it is. A limit met while thinking, a
    /// refusal without words, and silence that the provider counted as output are answers.
    pub fn fault(&self) -> Option<Error> {
        let seen = &self.seen;
        let wrote = seen.usage.is_some_and(|usage| usage.completion > 0);
        let message = match &seen.finish {
            Some((FinishReason::Error, native)) => format!("The provider gave up: {native}"),
            _ if seen.content => return None,
            Some((FinishReason::Length | FinishReason::ContentFilter, _)) => return None,
            Some((FinishReason::Stop | FinishReason::ToolCalls, _)) if wrote => return None,
            _ => "The provider returned an empty answer".to_owned(),
        };
        Some(Error::upstream(ErrorType::ProviderUnavailable, message))
    }

    /// The request ends with this error.
    pub fn fail(&mut self, error: String) {
        self.error = Some(error);
        self.concluded = true;
    }

    /// The request reached its end in order.
    pub fn conclude(&mut self) {
        self.concluded = true;
    }

    /// The account has the bill, or wants none.
    pub fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Whether the account still waits for the bill.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// What clients see of the request whoever answers.
    pub fn meta(&self) -> Meta {
        let route = self.route.as_ref();
        Meta {
            id: self.id.clone(),
            created: signed(self.started_ms / 1_000),
            model: route
                .map_or(&self.asked_model, |route| &route.endpoint.model)
                .clone(),
            provider: route
                .map(|route| route.provider.name.clone())
                .unwrap_or_default(),
        }
    }

    /// Who serves, as far as that is decided.
    pub fn head(&self) -> Head {
        let served = self
            .route
            .as_ref()
            .filter(|_| self.seen.content || self.is_complete());
        Head {
            provider: served.map(|route| route.provider.name.clone()),
            model: served.map(|route| route.endpoint.model.clone()),
            sticky: served.map(|route| self.affinity.verdict(&route.endpoint)),
            attempts: self.attempts.len(),
            upstream_ms: self.upstream_ms,
        }
    }

    /// Who served, what was used, and whether reasoning was signed, if the answer came to its end in order.
    pub fn served(&self) -> Option<(Route, Usage, bool)> {
        let seen = &self.seen;
        let failed = self.error.is_some() || matches!(seen.finish, Some((FinishReason::Error, _)));
        let route = self.route.as_ref()?;
        (self.concluded && self.is_complete() && !failed)
            .then(|| (route.clone(), seen.usage.unwrap_or_default(), seen.signed))
    }

    /// Adds to the error that ends the request what the client should know of the attempts.
    pub fn explain(&self, mut error: Error) -> Error {
        if error.source == Source::Upstream
            && let Some(route) = &self.route
        {
            let name = route.provider.name.clone();
            error.metadata.insert("provider_name".into(), name.into());
        }
        // The last of them is this error itself, unless the stream had begun to deliver.
        let previous = match self.failures.split_last() {
            Some((_, previous)) if !self.seen.content => previous,
            _ => &self.failures,
        };
        if !previous.is_empty() {
            let told = previous.iter().map(|(provider, error)| {
                json!({"provider": provider, "code": error.error_type.as_str(), "status": error.status})
            });
            error
                .metadata
                .insert("previous_errors".into(), told.collect());
            error.retry_after = retry_after(previous.iter().map(|(_, error)| error), &error);
        }
        error
    }
}

/// When it makes sense to come back: as soon as the first provider may serve again. Providers that refused for good do not
/// count, and one that may serve again without saying when leaves the pause to the client.
fn retry_after<'a>(previous: impl Iterator<Item = &'a Error>, last: &'a Error) -> Option<u32> {
    let passing = previous.chain([last]).filter(|error| error.status >= 429);
    let waits: Option<Vec<u32>> = passing.map(|error| error.retry_after).collect();
    waits.and_then(|waits| waits.into_iter().min())
}

fn bit(choice: u32) -> u128 {
    if choice < Completion::MAX_INDEX {
        1 << choice
    } else {
        0
    }
}

fn bytes_of(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Refusal(text) => text.len(),
        Delta::Reasoning(detail) => detail.readable().map_or(0, str::len),
        Delta::ToolCallStart { name, .. } => name.len(),
        Delta::ToolCallArguments { json, .. } => json.len(),
        Delta::Image { .. } | Delta::Audio(_) | Delta::Annotation(_) | Delta::Logprobs(_) => 0,
    }
}

/// Milliseconds as the usage row keeps them.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
