//! The tab of a request: what was tried, what was delivered, and what it therefore costs.

use std::{
    cell::{RefCell, RefMut},
    rc::Rc,
};

use futures::{FutureExt, channel::oneshot};
use serde_json::{json, value::RawValue};

use super::{
    ports::{Bill, Platform},
    run::{Head, Job, Origin},
};
use crate::{
    catalog::Route,
    chat::{ChatRequest, Delta, Event, FinishReason, Usage, estimate},
    credits::{
        money::Nanos,
        ops,
        pricing::{Charge, OutputBounds, PriceTable},
    },
    dialects::openai_chat::client::{Meta, UsageReport},
    error::{Error, ErrorType, Source},
    usage::{self, UsageRow},
};

/// Pauses before each further try to settle after the first failed, in milliseconds.
const SETTLE_RETRIES_MS: [u64; 4] = [0, 250, 1_000, 4_000];

/// What was seen of the attempt in force.
#[derive(Debug, Default)]
struct Seen {
    usage: Option<Usage>,
    /// Bytes of text, reasoning and tool arguments delivered.
    bytes: usize,
    content: bool,
    finish: Option<(FinishReason, String)>,
    done: bool,
    upstream_id: Option<String>,
    first_content_ms: Option<u64>,
    last_ms: u64,
}

/// Whether the account still waits for the end of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The hold was refused: there is nothing to settle.
    Refused,
    Settled,
}

/// The tab of one request.
#[derive(Debug)]
pub struct Tab {
    id: String,
    started_ms: u64,
    streamed: bool,
    asked_model: String,
    prompt_estimate: u64,
    origin: Origin,
    session_id: Option<String>,
    user: Option<String>,
    route: Option<Route>,
    attempts: Vec<usage::Attempt>,
    /// Failures so far, as `metadata.previous_errors` tells them.
    failures: Vec<(String, Error)>,
    attempt_started_ms: u64,
    upstream_ms: u64,
    seen: Seen,
    error: Option<String>,
    state: State,
    /// The end was reached in order; otherwise the client left.
    concluded: bool,
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
            attempt_started_ms: job.started_ms,
            upstream_ms: 0,
            seen: Seen::default(),
            error: None,
            state: State::Open,
            concluded: false,
        }
    }

    /// What is known about the length of the answer: a request for `n` answers may write `n` times its limit.
    pub fn output_bounds(request: &ChatRequest, model_cap: Option<u64>) -> OutputBounds {
        let n = u64::from(request.n.unwrap_or(1).max(1));
        OutputBounds {
            max_tokens: request.max_tokens.map(|limit| limit.saturating_mul(n)),
            model_cap: model_cap.map(|cap| cap.saturating_mul(n)),
            typical: None,
        }
    }

    /// Another endpoint is called.
    pub fn begin_attempt(&mut self, route: &Route, now: u64) {
        self.attempts.push(usage::Attempt {
            provider: route.provider.slug.clone(),
            endpoint: route.endpoint.tag.clone(),
            model: route.endpoint.upstream_model_id.clone(),
            ..usage::Attempt::default()
        });
        self.route = Some(route.clone());
        self.attempt_started_ms = now;
        self.seen = Seen::default();
    }

    /// The response headers arrived.
    pub fn responded(&mut self, status: u16, now: u64) {
        self.upstream_ms += now.saturating_sub(self.attempt_started_ms);
        self.attempt_started_ms = now;
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.status = status;
        }
    }

    /// The attempt failed before anything left.
    pub fn attempt_failed(&mut self, error: &Error, now: u64) {
        self.upstream_ms += now.saturating_sub(self.attempt_started_ms);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.error = Some(error.to_string());
            attempt.latency_ms = signed(now.saturating_sub(self.attempt_started_ms));
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
            Event::Delta { delta, .. } => {
                seen.bytes = seen.bytes.saturating_add(delivered_bytes(delta));
                if event.is_content() {
                    seen.content = true;
                    seen.first_content_ms.get_or_insert(now);
                }
                seen.last_ms = now;
            }
            Event::Finish { reason, native, .. } => {
                seen.finish.get_or_insert_with(|| (*reason, native.clone()));
            }
            Event::Usage(usage) => seen.usage = Some(*usage),
            Event::Done => seen.done = true,
            Event::Error(_) => {}
        }
    }

    /// Whether the answer is whole: an end mark or a finish reason was seen, never merely the end of the bytes.
    pub fn is_complete(&self) -> bool {
        self.seen.finish.is_some() || (self.seen.done && self.seen.content)
    }

    /// Why an answer without content is a failure of the provider's, if it is: a limit met while thinking, or a refusal
    /// without words, is an answer.
    pub fn empty_failure(&self) -> Option<Error> {
        if self.seen.content {
            return None;
        }
        let wrote = self.seen.usage.is_some_and(|usage| usage.completion > 0);
        match &self.seen.finish {
            Some((FinishReason::Length | FinishReason::ContentFilter, _)) => None,
            Some((FinishReason::Stop | FinishReason::ToolCalls, _)) if wrote => None,
            Some((FinishReason::Error, native)) => Some(Error::upstream(
                ErrorType::ProviderUnavailable,
                format!("The provider gave up: {native}"),
            )),
            _ => Some(Error::upstream(
                ErrorType::ProviderUnavailable,
                "The provider returned an empty answer",
            )),
        }
    }

    /// The request ends with this error.
    pub fn failed(&mut self, error: &Error) {
        self.error = Some(error.to_string());
    }

    /// The hold was refused.
    pub fn refused(&mut self) {
        self.state = State::Refused;
    }

    /// Whether the hold was refused.
    pub fn is_refused(&self) -> bool {
        self.state == State::Refused
    }

    /// The account has the bill.
    pub fn close(&mut self) {
        self.state = State::Settled;
    }

    /// The request reached its end in order.
    pub fn conclude(&mut self) {
        self.concluded = true;
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

    /// Who serves.
    pub fn head(&self) -> Head {
        let served = self
            .route
            .as_ref()
            .filter(|_| self.seen.content || self.is_complete());
        Head {
            provider: served.map(|route| route.provider.name.clone()),
            model: served.map(|route| route.endpoint.model.clone()),
            attempts: self.attempts.len(),
            upstream_ms: self.upstream_ms,
        }
    }

    /// Adds to an error what the client should know of the attempts before it.
    pub fn explain(&self, mut error: Error) -> Error {
        if error.source == Source::Upstream {
            if let Some(route) = &self.route {
                let name = route.provider.name.clone();
                error.metadata.insert("provider_name".into(), name.into());
            }
            if let Some(raw) = &error.raw {
                error.metadata.insert("raw".into(), raw.clone().into());
            }
        }
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
            let waits = previous.iter().map(|(_, error)| error.retry_after);
            // Only when every provider said when to come back is the earliest of these a promise.
            let all: Option<Vec<u32>> = waits.chain([error.retry_after]).collect();
            error.retry_after = all.and_then(|waits| waits.into_iter().min());
        }
        error
    }

    /// The usage row as far as it is known.
    pub fn row_json(&self) -> Box<RawValue> {
        self.raw_row(Usage::default(), None)
    }

    /// The bill and what the client is told of it.
    pub fn bill(&self) -> (Bill, UsageReport) {
        let account = self.origin.account.clone();
        let usage = self.usage();
        let charge = self
            .route
            .as_ref()
            .filter(|_| self.is_payable(&usage))
            .and_then(|route| route.endpoint.prices.cost(&usage).ok().map(|c| (route, c)));
        let Some((route, charge)) = charge else {
            let call = ops::Void {
                id: self.id.clone(),
                key_hash: self.origin.key_hash.clone(),
                reason: self
                    .error
                    .clone()
                    .unwrap_or_else(|| "nothing was delivered".into()),
                row: self.raw_row(usage, None),
            };
            let report = UsageReport {
                usage,
                ..UsageReport::default()
            };
            return (Bill::Void { account, call }, report);
        };
        let report = report(usage, &charge, &route.endpoint.prices);
        let call = ops::Settle {
            id: self.id.clone(),
            amount: charge.total,
            row: self.raw_row(usage, Some(charge)),
        };
        (Bill::Settle { account, call }, report)
    }

    /// Nothing delivered is free, and so is an answer that the provider itself calls a failure.
    fn is_payable(&self, usage: &Usage) -> bool {
        let failed = matches!(&self.seen.finish, Some((FinishReason::Error, _)));
        let complete = self.is_complete() && !failed;
        self.seen.content || (complete && usage.completion > 0)
    }

    /// The provider's counts where it gave them to the end; otherwise what was delivered, counted by the gateway.
    fn usage(&self) -> Usage {
        let seen = &self.seen;
        let mut usage = seen.usage.unwrap_or_else(|| Usage {
            prompt: self.prompt_estimate,
            estimated: true,
            ..Usage::default()
        });
        if usage.prompt == 0 && usage.completion == 0 && !usage.estimated {
            // The provider says zero: it is taken at its word (P21).
            return usage;
        }
        let ended = self.is_complete();
        if seen.usage.is_none() || !ended {
            let delivered = estimate::text_tokens(seen.bytes);
            if delivered > usage.completion {
                usage.completion = delivered;
                usage.estimated = true;
            }
        }
        usage
    }

    fn raw_row(&self, usage: Usage, charge: Option<Charge>) -> Box<RawValue> {
        let route = self.route.as_ref();
        let seen = &self.seen;
        let since = |from: u64, to: u64| signed(to.saturating_sub(from));
        let mut attempts = self.attempts.clone();
        if let Some(last) = attempts.last_mut() {
            last.upstream_id.clone_from(&seen.upstream_id);
        }
        let row = UsageRow {
            request_id: self.origin.request_id.clone(),
            created_at: signed(self.started_ms),
            api_type: "completions".into(),
            model: self.meta().model,
            provider: route.map(|route| route.provider.name.clone()),
            endpoint: route.map(|route| route.endpoint.tag.clone()),
            streamed: self.streamed,
            cancelled: !self.concluded && route.is_some(),
            upstream_id: seen.upstream_id.clone(),
            finish_reason: seen
                .finish
                .as_ref()
                .map(|(reason, _)| reason.as_str().into()),
            native_finish_reason: seen.finish.as_ref().map(|(_, native)| native.clone()),
            usage,
            latency_ms: seen.first_content_ms.map(|at| since(self.started_ms, at)),
            generation_ms: seen.first_content_ms.map(|at| since(at, seen.last_ms)),
            error: self.error.clone(),
            origin: usage::Origin {
                http_referer: self.origin.referer.clone(),
                app_title: self.origin.title.clone(),
                user_agent: self.origin.user_agent.clone(),
                session_id: self.session_id.clone(),
                external_user: self.user.clone(),
            },
            attempts,
            charge,
        };
        // A row is plain data; if it could not be written, an empty one is still a row.
        row.into_raw().unwrap_or_default()
    }
}

fn report(usage: Usage, charge: &Charge, prices: &PriceTable) -> UsageReport {
    let prompt_only = Usage {
        completion: 0,
        reasoning: 0,
        audio_out: 0,
        image_out: 0,
        ..usage
    };
    let prompt_cost = prices
        .cost(&prompt_only)
        .map_or(Nanos::ZERO, |part| part.total.min(charge.total));
    UsageReport {
        usage,
        cost: charge.total,
        prompt_cost,
        completion_cost: charge.total.checked_sub(prompt_cost).unwrap_or_default(),
    }
}

fn delivered_bytes(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Refusal(text) => text.len(),
        Delta::Reasoning(detail) => detail.readable().map_or(0, str::len),
        Delta::ToolCallStart { name, .. } => name.len(),
        Delta::ToolCallArguments { json, .. } => json.len(),
        Delta::Image { .. } | Delta::Audio(_) | Delta::Annotation(_) | Delta::Logprobs(_) => 0,
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Keeps the promise that every exit settles: when the request's future is dropped, a task that outlives it takes the tab.
pub struct Guard<P: Platform> {
    tab: Rc<RefCell<Tab>>,
    dropped: Option<oneshot::Sender<()>>,
    platform: std::marker::PhantomData<P>,
}

impl<P: Platform> Guard<P> {
    /// Registers the task; must be called before the response is returned.
    pub fn new(platform: &P, tab: Tab) -> Self {
        let tab = Rc::new(RefCell::new(tab));
        let (dropped, wait) = oneshot::channel();
        let late = Late {
            platform: platform.clone(),
            tab: Rc::clone(&tab),
        };
        platform.spawn(wait.then(|_| late.settle()).boxed_local());
        Self {
            tab,
            dropped: Some(dropped),
            platform: std::marker::PhantomData,
        }
    }

    /// The tab. The borrow must not be held over an await.
    pub fn tab(&self) -> RefMut<'_, Tab> {
        self.tab.borrow_mut()
    }
}

impl<P: Platform> Drop for Guard<P> {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            // The receiver is gone only when the runtime has given the task up; the object's alarm does the rest then.
            let _ = dropped.send(());
        }
    }
}

struct Late<P> {
    platform: P,
    tab: Rc<RefCell<Tab>>,
}

impl<P: Platform> Late<P> {
    async fn settle(self) {
        for pause in SETTLE_RETRIES_MS {
            if self.tab.borrow().state != State::Open {
                return;
            }
            if pause > 0 {
                self.platform.sleep(pause).await;
            }
            let (bill, _) = self.tab.borrow().bill();
            if self.platform.settle(bill).await.is_ok() {
                self.tab.borrow_mut().close();
            }
        }
    }
}
