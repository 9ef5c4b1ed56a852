//! The tab of a request: what was tried, what was seen of each attempt, and what of it has left for the client.
//!
//! Attempts may run side by side, and several may deliver one after the other, so whatever is seen is noted with its attempt.
//! Out of scope: what it costs ([`super::bill`]), and who sees to it that it is settled ([`super::guard`]).

use std::{borrow::Cow, rc::Rc};

use serde_json::{Value, json};

use super::{
    fallback::{self, Failure},
    job::{Head, Job, Origin},
    measure::Calls,
    own_key,
    tools::Used,
};
use crate::{
    catalog::{Operation, Route},
    chat::{Completion, Delta, Event, FinishReason, NativeSearch, ReasoningDetail, Usage},
    credits::{money::Nanos, pricing::PriceTable, share::Share},
    dialects::{ran::Ran, report::Meta},
    error::{Error, ErrorType, Source},
    routing::{
        Credential, Step,
        explain::{self, Told},
        statistics,
        sticky::{Affinity, is_signed},
    },
    server_tools::Called,
    transforms::Note,
    usage::{
        self,
        content::{self, Captured, Content, Keeper, Recorder},
    },
};

/// What was seen of one attempt.
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
    pub(super) calls: Calls,
    pub(super) upstream_id: Option<String>,
    /// The tier of service, as the provider told it last.
    pub(super) tier: Option<String>,
    pub(super) first_content_ms: Option<u64>,
    pub(super) last_ms: u64,
    /// One bit per choice that began, and per choice that ended.
    begun: u128,
    ended: u128,
    done: bool,
    /// The gateway ended the answer, not the provider.
    pub(super) cut: bool,
    /// Searches that the provider ran.
    pub(super) searches: u64,
    /// It named sources.
    pub(super) cites: bool,
    /// The calls of tools that it ended with were run by the gateway.
    pub(super) led_on: bool,
    /// Images of the answer.
    pub(super) images: u32,
    /// What was answered, where somebody wants that kept.
    pub(super) recorder: Option<Box<Recorder>>,
}

impl Seen {
    /// Notes an event.
    pub(super) fn see(&mut self, event: &Event, now: u64) {
        self.calls.see(event);
        if let Some(recorder) = &mut self.recorder {
            recorder.see(event);
        }
        if let Event::Delta {
            delta: Delta::Image { .. },
            ..
        } = event
        {
            self.images += 1;
        }
        match event {
            Event::Start {
                id, service_tier, ..
            } => {
                self.upstream_id = id.clone().or(self.upstream_id.take());
                self.tier = service_tier.clone().or(self.tier.take());
            }
            Event::Delta { choice, delta } => {
                self.begun |= bit(*choice);
                self.bytes = self.bytes.saturating_add(bytes_of(delta));
                if event.is_content() {
                    self.content = true;
                    self.first_content_ms.get_or_insert(now);
                }
                if let Delta::Reasoning(detail) = delta {
                    self.signed |= is_signed(detail);
                    self.searches += u64::from(is_search(detail));
                }
                self.cites |= matches!(delta, Delta::Annotation(_));
                self.last_ms = now;
            }
            Event::Finish {
                choice,
                reason,
                native,
                ..
            } => {
                self.begun |= bit(*choice);
                self.ended |= bit(*choice);
                self.finish.get_or_insert_with(|| (*reason, native.clone()));
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Done => self.done = true,
            Event::Error(_) => {}
        }
    }

    /// Notes what an operation's answer used so far; `is_whole`: it is at its end.
    pub(super) fn operated(&mut self, usage: Usage, is_whole: bool, now: u64) {
        self.usage = Some(usage);
        self.content = true;
        self.done = is_whole;
        self.first_content_ms.get_or_insert(now);
        self.last_ms = now;
    }

    /// The gateway ends every choice that has not ended; the events that say so.
    pub(super) fn cut_short(&mut self, reason: FinishReason, native: &str) -> Vec<Event> {
        self.cut = true;
        let open = self.begun & !self.ended;
        self.ended = self.begun;
        self.finish = Some((reason, native.to_owned()));
        let choices = (0..Completion::MAX_INDEX).filter(|choice| open & bit(*choice) != 0);
        let ends = choices.map(|choice| Event::Finish {
            choice,
            reason,
            native: native.to_owned(),
            stop_sequence: None,
        });
        ends.collect()
    }

    /// Whether every choice that began has its finish reason.
    pub(super) fn is_finished(&self) -> bool {
        self.ended != 0 && self.begun & !self.ended == 0
    }

    /// Whether the answer is whole: finish reasons or an end mark were seen, never merely the end of the bytes.
    pub(super) fn is_complete(&self) -> bool {
        self.is_finished() || (self.done && self.content)
    }

    /// Whether every choice ended by itself.
    pub(super) fn ended_well(&self) -> bool {
        self.is_finished() && !matches!(self.finish, Some((FinishReason::Error, _)))
    }

    /// Why an answer of which nothing has left is a failure of the provider's, if it is. A limit met while thinking, a
    /// refusal without words, and silence that the provider counted as output are answers.
    pub(super) fn fault(&self) -> Option<Error> {
        let wrote = self.usage.is_some_and(|usage| usage.completion > 0);
        let message = match &self.finish {
            Some((FinishReason::Error, native)) => format!("The provider gave up: {native}"),
            _ if self.content => return None,
            Some((FinishReason::Length | FinishReason::ContentFilter, _)) => return None,
            Some((FinishReason::Stop | FinishReason::ToolCalls, _)) if wrote => return None,
            _ => "The provider returned an empty answer".to_owned(),
        };
        Some(Error::upstream(ErrorType::ProviderUnavailable, message))
    }
}

/// One call of a provider.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) route: Route,
    pub(super) credential: Credential,
    pub(super) record: usage::Attempt,
    pub(super) seen: Seen,
    /// What the gateway itself did to its request and its answer.
    notes: Vec<Note>,
    /// Estimated tokens of its prompt.
    pub(super) prompt_tokens: u64,
    pub(super) dispatched_ms: u64,
}

impl Try {
    /// The prices of what was used, at the tier that the provider says it served.
    pub(super) fn prices(&self, usage: &Usage) -> &PriceTable {
        let endpoint = &self.route.endpoint;
        endpoint.prices_as_served(self.seen.tier.as_deref(), usage)
    }
}

impl Try {
    /// Says of a failure of this call that it was the account's own key's, if it was.
    fn explain_key(&self, error: &mut Error) {
        let provider = &self.route.provider.name;
        own_key::explain(error, &self.credential, provider, self.record.status);
    }
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
    /// What is asked for.
    pub(super) operation: Operation,
    /// What it will probably use, where it is no conversation.
    pub(super) expected: Option<Usage>,
    /// The most that may be charged.
    pub(super) max_cost: Option<Nanos>,
    pub(super) own_key_fee: Share,
    pub(super) origin: Origin,
    pub(super) session_id: Option<String>,
    pub(super) user: Option<String>,
    pub(super) trace: Option<String>,
    /// Every call, in the order of dispatch.
    pub(super) tries: Vec<Try>,
    /// The calls whose answers the client got, in that order.
    pub(super) parts: Vec<usize>,
    /// The search that the provider was asked for.
    pub(super) native: Option<NativeSearch>,
    /// What the gateway's tools used up, where the request has any.
    pub(super) used: Option<Used>,
    pub(super) error: Option<String>,
    affinity: Rc<Affinity>,
    told: Option<Rc<Told>>,
    /// The request came to its end, good or bad; otherwise the client left.
    pub(super) concluded: bool,
    failures: Vec<Failure>,
    /// Since when a provider is waited for.
    waiting_ms: u64,
    upstream_ms: u64,
    state: State,
    /// The format that the client speaks.
    pub(super) surface: &'static str,
    /// How much of what is asked is no text.
    pub(super) media: usage::MediaCounts,
    /// The engine that the gateway's own searches ask.
    pub(super) engine: Option<&'static str>,
    /// Who keeps what is asked and answered.
    keeper: Option<Keeper>,
    /// What is asked, once the request has ended.
    asked: content::Side,
}

impl Tab {
    /// The tab of a request that has not been dispatched.
    pub fn open(job: &Job) -> Self {
        Self {
            id: job.id.clone(),
            started_ms: job.started_ms,
            streamed: job.request.stream,
            asked_model: job.request.model.clone(),
            operation: job
                .ask
                .as_ref()
                .map_or(Operation::Chat, |ask| ask.operation()),
            expected: job.ask.as_ref().map(|ask| ask.expected()),
            max_cost: job.wishes.max_cost,
            own_key_fee: job.own_key_fee,
            origin: job.origin.clone(),
            session_id: job.request.session_id.clone(),
            user: job.request.user.clone().or(job.origin.end_user.clone()),
            trace: job.request.trace(),
            tries: Vec::new(),
            parts: Vec::new(),
            failures: Vec::new(),
            waiting_ms: job.started_ms,
            upstream_ms: 0,
            native: NativeSearch::of(&job.request).map(Cow::into_owned),
            used: job.kit.as_ref().map(|_| Used::default()),
            error: None,
            state: State::Open,
            concluded: false,
            affinity: Rc::clone(&job.affinity),
            told: job.plan.told.clone(),
            surface: job.surface.as_str(),
            media: match &job.ask {
                Some(ask) => content::media_of_operation(ask),
                None => content::media_of_chat(&job.request),
            },
            engine: job.kit.as_ref().and_then(|kit| kit.engine()),
            keeper: job.keeper.clone(),
            asked: content::Side::default(),
        }
    }

    /// An endpoint is called; its place on the tab.
    pub fn begin(&mut self, step: &Step, prompt_tokens: u64, notes: Vec<Note>, now: u64) -> usize {
        let Step {
            route, credential, ..
        } = step;
        if self.tries.is_empty() {
            self.waiting_ms = now;
        }
        self.tries.push(Try {
            route: route.clone(),
            credential: credential.clone(),
            record: usage::Attempt {
                provider: route.provider.slug.clone(),
                endpoint: route.endpoint.tag.clone(),
                model: route.endpoint.upstream_model_id.clone(),
                route: statistics::key(&route.endpoint),
                own_key: credential.own().map(|key| key.id.clone()),
                ..usage::Attempt::default()
            },
            seen: Seen {
                recorder: self.keeper.as_ref().map(|_| Box::default()),
                ..Seen::default()
            },
            notes,
            prompt_tokens,
            dispatched_ms: now,
        });
        self.tries.len() - 1
    }

    /// The response headers of a call arrived.
    pub fn responded(&mut self, at: usize, status: u16, now: u64) {
        self.arrived(now);
        if let Some(one) = self.tries.get_mut(at) {
            one.record.status = status;
        }
    }

    /// Something of a provider's arrived: the time since the last arrival was spent waiting for it.
    pub fn arrived(&mut self, now: u64) {
        self.upstream_ms += now.saturating_sub(self.waiting_ms);
        self.waiting_ms = now;
    }

    /// The call is the one that serves from now on.
    pub fn serve(&mut self, at: usize, now: u64) {
        self.decide(at, now);
        self.parts.push(at);
    }

    /// What became of a call is decided.
    fn decide(&mut self, at: usize, now: u64) -> Option<&mut Try> {
        let one = self.tries.get_mut(at)?;
        one.record.latency_ms = signed(now.saturating_sub(one.dispatched_ms));
        Some(one)
    }

    /// The call failed before any of its content left.
    pub fn fail_try(&mut self, at: usize, error: &Error, now: u64) {
        self.arrived(now);
        let Some(one) = self.decide(at, now) else {
            return;
        };
        let mut error = error.clone();
        one.explain_key(&mut error);
        one.record.error = Some(error.to_string());
        one.record.upstream_id = one.seen.upstream_id.take();
        one.seen = Seen::default();
        let failure = Failure {
            provider: one.route.provider.name.clone(),
            slug: one.route.provider.slug.clone(),
            model: one.route.endpoint.model.clone(),
            error,
        };
        self.failures.push(failure);
    }

    /// The serving call broke after some of its content had left.
    pub fn break_part(&mut self, error: &Error) {
        let serving = self.parts.last().copied();
        if let Some(one) = serving.and_then(|at| self.tries.get_mut(at)) {
            let mut error = error.clone();
            one.explain_key(&mut error);
            one.record.error = Some(error.to_string());
        }
    }

    /// The call lost the race for the first content and is aborted.
    pub fn lose(&mut self, at: usize, now: u64) {
        let cost = self.upstream_estimate(at);
        if let Some(one) = self.decide(at, now) {
            one.record.error = Some("Aborted: another endpoint answered first".to_owned());
            one.record.hedge_cost = Some(cost);
        }
    }

    /// The gateway itself did something to a call.
    pub(super) fn note(&mut self, at: usize, notes: Vec<Note>) {
        if let Some(one) = self.tries.get_mut(at) {
            one.notes.extend(notes);
        }
    }

    /// The gateway itself did something for the part that serves.
    pub(super) fn note_last(&mut self, notes: Vec<Note>) {
        if let Some(at) = self.parts.last().copied() {
            self.note(at, notes);
        }
    }

    /// What the gateway itself did to the call that serves.
    fn notes(&self) -> &[Note] {
        let serving = self.parts.last().and_then(|at| self.tries.get(*at));
        serving.map_or(&[], |one| one.notes.as_slice())
    }

    /// The answer is not what was asked for, and somebody else is asked first. It is kept.
    pub fn set_aside(&mut self, at: usize, error: &Error, now: u64) {
        self.arrived(now);
        if let Some(one) = self.decide(at, now) {
            one.record.error = Some(error.to_string());
        }
    }

    /// What was seen of a call.
    pub(super) fn seen(&self, at: usize) -> Option<&Seen> {
        self.tries.get(at).map(|one| &one.seen)
    }

    /// What was seen of a call, to add to it.
    pub(super) fn seen_mut(&mut self, at: usize) -> Option<&mut Seen> {
        self.tries.get_mut(at).map(|one| &mut one.seen)
    }

    /// All content that the serving call has sent so far leaves for the client.
    pub fn deliver(&mut self) {
        let serving = self.parts.last().and_then(|at| self.tries.get_mut(*at));
        if let Some(Try { seen, .. }) = serving
            && seen.content
        {
            seen.delivered = Some(seen.bytes);
        }
    }

    /// The gateway runs the calls that the serving part asked for.
    pub fn lead_on(&mut self, calls: usize) {
        if let Some(used) = &mut self.used {
            used.requested += u64::try_from(calls).unwrap_or_default();
        }
        let serving = self.parts.last().and_then(|at| self.tries.get_mut(*at));
        if let Some(one) = serving {
            one.seen.led_on = true;
        }
        self.concluded = false;
    }

    /// A search was run before the first part.
    pub fn ran_first(&mut self, called: &Called) {
        if let Some(used) = &mut self.used {
            used.requested += 1;
        }
        self.ran(called);
    }

    /// The gateway ends the message after the last part.
    pub fn cut_last(&mut self, reason: FinishReason, native: &str) {
        let serving = self.parts.last().and_then(|at| self.tries.get_mut(*at));
        if let Some(one) = serving {
            one.seen.finish = Some((reason, native.to_owned()));
        }
    }

    /// What executions of the catalog's tools cost so far.
    pub fn executions(&self) -> Nanos {
        self.used
            .as_ref()
            .map_or(Nanos::ZERO, |used| used.executions)
    }

    /// A tool of the gateway's was run.
    pub fn ran(&mut self, called: &Called) {
        if let Some(used) = &mut self.used {
            used.add(called);
        }
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

    /// No usage row tells of the request: nothing of it is kept.
    pub fn close_unrecorded(&mut self) {
        self.keeper = None;
        self.close();
    }

    /// The request is over: what it asked is kept, where somebody wants that.
    pub fn end(&mut self, job: &Job) {
        if self.keeper.is_some() {
            self.asked = match &job.ask {
                Some(ask) => content::of_operation(ask),
                None => content::of_chat(&job.request),
            };
        }
    }

    /// What was asked and answered, with who keeps it; once.
    pub fn take_content(&mut self) -> Option<(Keeper, Captured)> {
        let keeper = self.keeper.take()?;
        let asked = std::mem::take(&mut self.asked);
        let parts = self.parts.iter().filter_map(|at| self.tries.get(*at));
        let answered = content::tell(parts.filter_map(|one| one.seen.recorder.as_deref()));
        let captured = Captured {
            id: self.id.clone(),
            session: self.session_id.clone(),
            content: Content {
                input: asked.json,
                output: answered.json,
                error: self
                    .error
                    .as_deref()
                    .map(|message| self.told_error(message)),
                input_truncated: asked.is_cut,
                output_truncated: answered.is_cut,
            },
        };
        Some((keeper, captured))
    }

    /// The error that the request ended with, as records tell it.
    fn told_error(&self, message: &str) -> Value {
        let current = self.current();
        let previous = self.failures.iter().map(|failure| {
            json!({
                "message": failure.error.to_string(), "status": failure.error.status,
                "provider_name": failure.provider,
            })
        });
        json!({
            "message": message,
            "status": current.map(|one| one.record.status),
            "provider_name": current.map(|one| &one.route.provider.name),
            "previous_errors": previous.collect::<Vec<Value>>(),
        })
    }

    /// Whether the account still waits for the bill.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The call that the request is about: the one that serves, else the last one made.
    pub(super) fn current(&self) -> Option<&Try> {
        let serving = self.parts.last().and_then(|at| self.tries.get(*at));
        serving.or(self.tries.last())
    }

    /// What clients see of the request whoever answers.
    pub fn meta(&self) -> Meta {
        self.meta_of(self.current())
    }

    /// What clients see of the answer of one call.
    pub fn meta_at(&self, at: usize) -> Meta {
        self.meta_of(self.tries.get(at))
    }

    fn meta_of(&self, one: Option<&Try>) -> Meta {
        let route = one.map(|one| &one.route);
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
        let serving = self.parts.last().and_then(|at| self.tries.get(*at));
        let served = serving.map(|one| &one.route);
        Head {
            provider: served.map(|route| route.provider.name.clone()),
            model: served.map(|route| route.endpoint.model.clone()),
            sticky: served.map(|route| self.affinity.verdict(&route.endpoint)),
            attempts: self.tries.len(),
            upstream_ms: self.upstream_ms,
            hedge_cost: self.hedge_cost(),
            pipeline: self.notes().iter().map(|note| note.name).collect(),
        }
    }

    /// Who served, what was used, and whether reasoning was signed, if the answer came to its end in order.
    pub fn served(&self) -> Option<(Route, Usage, bool)> {
        let Try { route, seen, .. } = self.current()?;
        let failed = self.error.is_some() || matches!(seen.finish, Some((FinishReason::Error, _)));
        (self.concluded && seen.is_complete() && !failed)
            .then(|| (route.clone(), seen.usage.unwrap_or_default(), seen.signed))
    }

    /// What the client wants to be told of the routing, if it does: at the end of the request.
    pub fn metadata(&self) -> Option<Value> {
        let pipeline: Vec<Value> = self.notes().iter().map(Note::tell).collect();
        let Some(told) = &self.told else {
            // What is not as it was asked for is no secret from anybody.
            let warns = self.notes().iter().any(|note| note.is_warning);
            return warns.then(|| json!({"pipeline": pipeline}));
        };
        let served = self.parts.last().copied();
        let tell = |(at, one)| {
            let Try { route, record, .. }: &Try = one;
            explain::Try {
                provider: &route.provider.name,
                model: &route.endpoint.model,
                tag: &route.endpoint.tag,
                status: record.status,
                is_served: served == Some(at),
            }
        };
        let tries: Vec<explain::Try<'_>> = self.tries.iter().enumerate().map(tell).collect();
        let time = |one: &Try| one.seen.last_ms.checked_sub(one.dispatched_ms);
        let generation_ms = served.and_then(|at| self.tries.get(at)).and_then(time);
        let mut metadata = told.metadata(&tries, generation_ms);
        if let Some(object) = metadata.as_object_mut()
            && !pipeline.is_empty()
        {
            let pipeline = told.before().iter().cloned().chain(pipeline);
            object.insert("pipeline".to_owned(), pipeline.collect());
        }
        Some(metadata)
    }

    /// The error that ends a request of which every attempt failed.
    pub fn verdict(&self, requested: &[&str]) -> Option<Error> {
        fallback::verdict(&self.failures, requested)
    }

    /// Adds to the error that broke the serving stream what the client should know of the attempts.
    pub fn explain(&self, mut error: Error) -> Error {
        if error.source == Source::Upstream
            && let Some(current) = self.current()
        {
            error = error.with("provider_name", current.route.provider.name.as_str());
            current.explain_key(&mut error);
        }
        if !self.failures.is_empty() {
            let errors = self.failures.iter().map(|one| &one.error).chain([&error]);
            error.retry_after = fallback::retry_after(errors);
        }
        fallback::with_previous(error, &self.failures)
    }
}

/// Whether a block tells of a search that the provider ran.
fn is_search(detail: &ReasoningDetail) -> bool {
    Ran::of(detail).is_some_and(|ran| ran.is_search())
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
