//! One attempt until it is decided: call the provider, read until its first content, its whole answer, or its failure.
//!
//! An attempt takes one step at a time and is told when it is late, so that two may run side by side (`run`). Nothing of it
//! reaches the client here. Out of scope: a stream after its first content (`run`).

use std::{borrow::Cow, cell::RefCell, rc::Rc};

use futures::{StreamExt, future::LocalBoxFuture};

use super::{
    flow::{Flow, Piece, stalled, timed_out, unusable},
    job::Job,
    limits::{ERROR_BODY_MS, MAX_ANSWER_BYTES, MAX_ERROR_BYTES, Patience, WHOLE_ANSWER_MS},
    max_cost::Allowance,
    operation::{self, Calls},
    pipe::Pipe,
    ports::{Platform, UpstreamCall, UpstreamResponse},
    resume::Draft,
    tab::Tab,
};
use crate::{
    catalog::Route,
    chat::ReasoningWish,
    dialects::{
        self, Inbound, NativeRequest, Target,
        operations::stream::{Piece as OperationPiece, Reader},
    },
    error::{Error, Result},
    operations::Answered,
    routing::Step,
    transforms::{self, Setting, Shape},
};

/// Time and tab of the request, as an attempt needs them while the request waits for it.
#[derive(Clone)]
pub struct Around<P> {
    /// The world.
    pub platform: P,
    /// The request's tab. The borrow must not be held over an await.
    pub tab: Rc<RefCell<Tab>>,
}

/// What an attempt has come to.
pub enum Opened {
    /// Nothing has left, and the provider failed.
    Failed(Error),
    /// The whole answer, still to be read.
    Whole(Vec<u8>),
    /// A stream with its first content, or one that ended in order without any.
    Stream,
    /// Sound with its first bytes.
    Sound,
    /// The first events of an operation's answer that a client may see.
    Pieces,
    /// The whole answer of an operation, which came as events.
    Read(Box<Answered>),
}

/// One call of a provider.
pub struct Attempt<'a, P: Platform> {
    /// Its place on the tab.
    pub at: usize,
    /// When it was sent.
    pub dispatched: u64,
    job: &'a Job,
    draft: Option<&'a Draft>,
    route: Route,
    allowance: Option<Allowance>,
    /// What the gateway itself does to the answer.
    shape: Box<Shape>,
    patience: Patience,
    state: State<P>,
    /// Calls to be made once the one under way is answered.
    pub(super) rest: Calls,
    /// The answers to those that were.
    pub(super) answers: Vec<Vec<u8>>,
}

enum State<P: Platform> {
    /// Waits for the response headers.
    Called(LocalBoxFuture<'static, Result<UpstreamResponse<P::Body>>>),
    /// Reads why the provider refused, as far as it says so in time.
    Refused {
        status: u16,
        retry_after: Option<u32>,
        /// What a header says of the error's kind.
        kind: Option<String>,
        body: P::Body,
        bytes: Vec<u8>,
        since: u64,
    },
    /// Reads an answer in one piece.
    Whole { body: P::Body, bytes: Vec<u8> },
    /// Reads a stream.
    Stream { body: P::Body, flow: Box<Flow> },
    /// Waits for the first bytes of a sound, or has them.
    Sound { body: P::Body, first: Vec<u8> },
    /// Waits for the first events of an operation's answer, or has them.
    Pieces {
        body: P::Body,
        reader: Box<Reader>,
        first: Vec<OperationPiece>,
    },
}

impl<'a, P: Platform> Attempt<'a, P> {
    /// Calls the endpoint of this step; `is_last`: nobody else is left to ask.
    ///
    /// # Errors
    /// When the request cannot be said in the dialect of the endpoint, which is not called.
    pub fn start(
        around: &Around<P>,
        job: &'a Job,
        step: usize,
        is_last: bool,
        draft: Option<&'a Draft>,
    ) -> Result<Self> {
        let plan = job.plan.attempts.get(step);
        let planned = plan.ok_or_else(|| Error::internal("the plan has no such step"))?;
        let (route, credential) = planned.credential.localised(&planned.route);
        let planned = Step {
            route: route.clone(),
            ..planned.clone()
        };
        if job.ask.is_some() {
            return Self::operate(around, job, &planned, credential);
        }
        let target = target(&route);
        let prompt_tokens = draft.map_or(job.prompt_tokens, |draft| draft.prompt_tokens);
        let spent = draft.map_or(Default::default(), |draft| draft.spent);
        let limit = Allowance::of(job, &route.endpoint, prompt_tokens, spent)?;
        let (allowance, max_tokens) = limit.map_or((None, None), |(a, max)| (Some(a), max));
        let (native, mut shape) = native(job, draft, &target, prompt_tokens, max_tokens)?;
        let dispatched = around.platform.now_ms();
        let at =
            around
                .tab
                .borrow_mut()
                .begin(&planned, prompt_tokens, shape.take_notes(), dispatched);
        around.platform.attempt_begins(&route);
        let call = around.platform.send(UpstreamCall {
            provider: Rc::clone(&route.provider),
            credential,
            request: native.with_options(planned.options.as_deref()),
        });
        Ok(Self {
            at,
            dispatched,
            job,
            draft,
            allowance,
            shape: Box::new(shape),
            patience: Patience::of(may_think(job, &route), is_last, prompt_tokens),
            route,
            state: State::Called(call),
            rest: Calls::default(),
            answers: Vec::new(),
        })
    }

    /// An operation's attempt, whose first call is under way.
    pub(super) fn called(
        at: usize,
        dispatched: u64,
        job: &'a Job,
        route: &Route,
        call: LocalBoxFuture<'static, Result<UpstreamResponse<P::Body>>>,
        rest: Calls,
    ) -> Self {
        Self {
            at,
            dispatched,
            job,
            draft: None,
            route: route.clone(),
            allowance: None,
            shape: Box::default(),
            patience: Patience::of(false, true, 0),
            state: State::Called(call),
            rest,
            answers: Vec::new(),
        }
    }

    /// Who is called.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Whether a stream was asked for.
    fn streams(&self) -> bool {
        // The events of an operation are few and late: it is waited for as for an answer in one piece.
        self.job.ask.is_none() && self.job.request.stream && !self.route.endpoint.answers_whole
    }

    /// What the gateway itself does to the answer.
    pub fn shape(&mut self) -> &mut Shape {
        &mut self.shape
    }

    /// When the next step is due.
    pub fn deadline(&self) -> u64 {
        let (from, limit) = match &self.state {
            State::Called(_) if self.streams() => (self.dispatched, self.patience.headers_ms),
            State::Called(_) | State::Whole { .. } | State::Sound { .. } | State::Pieces { .. } => {
                (self.dispatched, WHOLE_ANSWER_MS)
            }
            State::Refused { since, .. } => (*since, ERROR_BODY_MS),
            State::Stream { flow, .. } => return flow.deadline(),
        };
        from.saturating_add(limit)
    }

    /// Takes the next step. Dropping the future loses nothing.
    pub async fn advance(&mut self, around: &Around<P>) -> Option<Opened> {
        match &mut self.state {
            State::Called(call) => match call.await {
                Ok(response) => {
                    self.answered(response, around);
                    None
                }
                Err(error) => Some(Opened::Failed(error)),
            },
            State::Refused { body, bytes, .. } => {
                let next = body.next().await;
                match append(bytes, next, MAX_ERROR_BYTES) {
                    Ok(true) => None,
                    // Whatever came is worth telling, also where the rest did not.
                    _ => Some(self.refused()),
                }
            }
            State::Whole { body, bytes } => {
                let next = body.next().await;
                let is_end = next.is_none();
                match append(bytes, next, MAX_ANSWER_BYTES) {
                    Ok(true) => None,
                    Ok(false) if is_end => {
                        let whole = std::mem::take(bytes);
                        match self.rest.next(&around.platform) {
                            Some(call) => {
                                self.answers.push(whole);
                                self.state = State::Called(call);
                                None
                            }
                            None => Some(Opened::Whole(whole)),
                        }
                    }
                    Ok(false) => Some(Opened::Failed(unusable(format!(
                        "The provider answered with more than {MAX_ANSWER_BYTES} bytes"
                    )))),
                    Err(error) => Some(Opened::Failed(error)),
                }
            }
            State::Sound { body, first } => match body.next().await {
                Some(Ok(bytes)) => {
                    first.extend_from_slice(&bytes);
                    (!first.is_empty()).then_some(Opened::Sound)
                }
                Some(Err(error)) => Some(Opened::Failed(error)),
                None => Some(Opened::Failed(unusable("The provider sent no sound"))),
            },
            State::Pieces {
                body,
                reader,
                first,
            } => {
                let next = body.next().await;
                operation::first_pieces(self.job, &self.route, next, reader, first)
            }
            State::Stream { body, flow } => {
                let next = body.next().await;
                let now = around.platform.now_ms();
                let mut tab = around.tab.borrow_mut();
                let piece = flow.read(next, &mut tab, now);
                Self::opened(flow, piece, &tab)
            }
        }
    }

    /// The deadline has passed, or the time of the whole request.
    pub fn late(&mut self, around: &Around<P>, is_out_of_time: bool) -> Option<Opened> {
        let streams = self.streams();
        match &mut self.state {
            State::Called(_) if streams && !is_out_of_time => {
                let error = stalled("headers", self.patience.headers_ms);
                Some(Opened::Failed(error))
            }
            State::Called(_) => Some(Opened::Failed(timed_out("its response headers"))),
            State::Whole { .. } | State::Pieces { .. } => {
                Some(Opened::Failed(timed_out("the end of its answer")))
            }
            State::Sound { .. } => Some(Opened::Failed(timed_out("the first bytes of its sound"))),
            State::Refused { .. } => Some(self.refused()),
            State::Stream { flow, .. } => {
                let piece = flow.late(is_out_of_time);
                Self::opened(flow, piece, &around.tab.borrow())
            }
        }
    }

    /// The stream behind [`Opened::Stream`].
    pub fn into_stream(self) -> Option<(Box<Flow>, P::Body)> {
        match self.state {
            State::Stream { flow, body } => Some((flow, body)),
            _ => None,
        }
    }

    /// The sound behind [`Opened::Sound`], with its first bytes.
    pub(super) fn into_sound(self) -> Option<(P::Body, Vec<u8>)> {
        match self.state {
            State::Sound { body, first } => Some((body, first)),
            _ => None,
        }
    }

    /// The events behind [`Opened::Pieces`], and what reads the rest.
    pub(super) fn into_pieces(self) -> Option<(P::Body, Box<Reader>, Vec<OperationPiece>)> {
        match self.state {
            State::Pieces {
                body,
                reader,
                first,
            } => Some((body, reader, first)),
            _ => None,
        }
    }

    fn opened(flow: &mut Flow, piece: Piece, tab: &Tab) -> Option<Opened> {
        if flow.is_committed() {
            flow.step = piece;
            return Some(Opened::Stream);
        }
        let broken = match piece {
            Piece::Go => return None,
            Piece::End => None,
            Piece::Broken(error) => Some(error),
        };
        Some(match flow.failure(broken, tab) {
            Some(error) => Opened::Failed(error),
            None => {
                flow.step = Piece::End;
                Opened::Stream
            }
        })
    }

    fn answered(&mut self, response: UpstreamResponse<P::Body>, around: &Around<P>) {
        let now = around.platform.now_ms();
        let mut tab = around.tab.borrow_mut();
        tab.responded(self.at, response.status, now);
        let body = response.body;
        self.state = if !(200..300).contains(&response.status) {
            State::Refused {
                status: response.status,
                retry_after: response.retry_after,
                kind: response.error_kind,
                body,
                bytes: Vec::new(),
                since: now,
            }
        } else if operation::is_sound(self.job) && !response.content_type.contains("json") {
            State::Sound {
                body,
                first: Vec::new(),
            }
        } else if operation::is_streamed(self.job) && response.content_type == "text/event-stream" {
            State::Pieces {
                body,
                reader: Box::default(),
                first: Vec::new(),
            }
        } else if !self.streams() || response.content_type.contains("json") {
            State::Whole {
                body,
                bytes: Vec::new(),
            }
        } else {
            let flow = Box::new(self.flow(&tab, now));
            State::Stream { body, flow }
        };
    }

    fn flow(&mut self, tab: &Tab, now: u64) -> Flow {
        let target = target(&self.route);
        let meta = tab.meta_at(self.at);
        let filters = std::mem::take(&mut self.shape.filters);
        let pipe = match self.draft {
            Some(draft) => match draft.turn() {
                Some(turn) => Pipe::of_turn(&target, filters, turn.clone()),
                None => Pipe::resuming(self.job, &target, &meta, filters, draft),
            },
            None => Pipe::new(self.job, &target, &meta, filters),
        };
        let mut flow = Flow::new(self.at, pipe, self.patience, now);
        flow.check(self.shape.form.take());
        flow.allow(self.allowance.take());
        if self.job.wishes.resume && self.draft.is_none_or(Draft::is_rest) {
            flow.keep_text(self.draft.is_some());
        }
        flow
    }

    /// Why the provider refused.
    fn refused(&mut self) -> Opened {
        let State::Refused {
            status,
            retry_after,
            kind,
            bytes,
            ..
        } = &self.state
        else {
            return Opened::Failed(Error::internal("no refusal to read"));
        };
        let dialect = operation::error_dialect(self.job, &self.route);
        let mut error = dialects::error_of_kind(dialect, *status, kind.as_deref(), bytes);
        error.retry_after = retry_after.or(error.retry_after);
        Opened::Failed(error)
    }
}

/// The request as this target wants it, and what the gateway itself does to its answer.
fn native(
    job: &Job,
    draft: Option<&Draft>,
    target: &Target<'_>,
    prompt_tokens: u64,
    max_tokens: Option<u64>,
) -> Result<(NativeRequest, Shape)> {
    let asked = match draft {
        Some(draft) => draft.inbound(),
        None => Inbound {
            request: &job.request,
            surface: job.surface,
            raw: (!job.is_rewritten).then_some(job.raw.as_slice()),
        },
    };
    let (shaped, mut shape) = transforms::shape(&Setting {
        request: asked.request,
        plugins: &job.wishes.plugins,
        endpoint: target.endpoint,
        provider: target.provider,
        prompt_tokens,
        generation: &job.id,
        is_rest: draft.is_some_and(Draft::is_rest),
    })?;
    let mut request = shaped.map_or(Cow::Borrowed(asked.request), Cow::Owned);
    // The client's bytes say what it asked, not what became of it.
    let raw = asked.raw.filter(|_| matches!(request, Cow::Borrowed(_)));
    if max_tokens.is_some() {
        request.to_mut().max_tokens = max_tokens;
    }
    let inbound = Inbound {
        request: &request,
        raw,
        ..asked
    };
    let native = dialects::request(&inbound, target)?;
    shape.tell_dropped(&native.dropped);
    shape.tell_left_out(&job.left_out);
    Ok((native, shape))
}

/// The endpoint and its provider as the dialects take them.
pub fn target(route: &Route) -> Target<'_> {
    Target {
        endpoint: &route.endpoint,
        provider: &route.provider,
    }
}

/// Whether the model may think before it says anything.
fn may_think(job: &Job, route: &Route) -> bool {
    let wish = job.request.reasoning.as_ref().map(|wish| wish.wish());
    let abilities = route.endpoint.reasoning.as_ref();
    abilities.is_some_and(|can| can.mandatory || wish != Some(ReasoningWish::Off))
}

/// Appends the next bytes of a body, at most `limit` in all. Whether more may come.
fn append(bytes: &mut Vec<u8>, next: Option<Result<Vec<u8>>>, limit: usize) -> Result<bool> {
    let Some(chunk) = next.transpose()? else {
        return Ok(false);
    };
    let room = limit.saturating_sub(bytes.len());
    if let Some(fits) = chunk.get(..room).filter(|_| chunk.len() > room) {
        bytes.extend_from_slice(fits);
        return Ok(false);
    }
    if bytes.is_empty() {
        *bytes = chunk;
    } else {
        bytes.extend_from_slice(&chunk);
    }
    Ok(true)
}
