//! Operations beside conversation, on the same way: one hold, attempts with fallback, one settlement.
//!
//! An answer in one piece may take several calls of one provider (`dialects::operations::requests`), made one after the other: the
//! attempt is as good as the last of them. Sound is handed on as it comes; its first bytes commit the request as a stream's first content
//! does. A sound that breaks off is charged as delivered, as far as its length can be told, and the row says that it broke; a client that
//! leaves pays all of it, as its provider wants it paid. A client that wants events gets the provider's as they come, else the whole answer as events.
//! Out of scope: what is asked and answered (`operations`), how it is spelt (`dialects::operations`).

use std::{collections::VecDeque, rc::Rc};

use futures::{StreamExt, future::LocalBoxFuture};
use serde_json::{Map, Value};

use super::{
    attempt::{Around, Attempt, Opened, target},
    flow::{stalled, timed_out},
    images,
    job::Job,
    limits::IDLE_MS,
    measure::Ended,
    ports::{Platform, UpstreamCall, UpstreamResponse},
    run::Running,
    watch::Denied,
};
use crate::{
    catalog::{Dialect, Provider, Route},
    dialects::{
        NativeRequest,
        operations::{
            self, client,
            stream::{Piece, Reader},
        },
    },
    error::{Error, ErrorType, Next, Result, Source},
    operations::{Answer, Answered, Ask, images::Image},
    routing::{Credential, Step},
};

/// So many of a sound's first bytes are looked at.
const SOUND_HEAD: usize = 4_096;

/// Whom to call, with whose key, and the client's own fields for it.
type To = (Rc<Provider>, Credential, Option<Rc<Map<String, Value>>>);

/// Calls of one provider that are still to be made.
#[derive(Default)]
pub(super) struct Calls {
    to: Option<To>,
    requests: VecDeque<NativeRequest>,
}

impl Calls {
    /// Makes the next one.
    pub(super) fn next<P: Platform>(
        &mut self,
        platform: &P,
    ) -> Option<LocalBoxFuture<'static, Result<UpstreamResponse<P::Body>>>> {
        let (provider, credential, options) = self.to.as_ref()?;
        let request = self.requests.pop_front()?;
        // A form cannot take further fields of somebody else's.
        let is_json = request
            .headers
            .iter()
            .all(|(name, _)| *name != "content-type");
        let options = options.as_deref().filter(|_| is_json);
        Some(platform.send(UpstreamCall {
            provider: Rc::clone(provider),
            credential: credential.clone(),
            request: request.with_options(options),
        }))
    }
}

/// Whether the answer is sound rather than JSON.
pub(super) fn is_sound(job: &Job) -> bool {
    matches!(job.ask.as_deref(), Some(Ask::Speech(_)))
}

/// Whether the client reads events.
pub(super) fn is_streamed(job: &Job) -> bool {
    job.ask.as_deref().is_some_and(Ask::streams)
}

/// Reads the first events of an answer, until there is one that a client may see, or the answer is whole.
pub(super) fn first_pieces(
    job: &Job,
    route: &Route,
    next: Option<Result<Vec<u8>>>,
    reader: &mut Reader,
    first: &mut Vec<Piece>,
) -> Option<Opened> {
    let is_end = next.is_none();
    let read = match next {
        Some(Ok(bytes)) => reader.feed(&bytes),
        Some(Err(error)) => Err(error),
        None => Ok(Vec::new()),
    };
    match read {
        Ok(pieces) if !pieces.is_empty() => {
            *first = pieces;
            Some(Opened::Pieces)
        }
        Ok(_) if is_end || reader.is_done() => {
            let ask = job.ask.as_deref()?;
            let read = operations::streamed(ask, &target(route), std::mem::take(reader));
            Some(read.map_or_else(Opened::Failed, |read| Opened::Read(Box::new(read))))
        }
        Ok(_) => None,
        Err(error) => Some(Opened::Failed(error)),
    }
}

/// The dialect of the provider's errors.
pub(super) fn error_dialect(job: &Job, route: &Route) -> Dialect {
    match &job.ask {
        Some(ask) => operations::error_dialect(ask, &target(route)),
        None => route.dialect(),
    }
}

/// The provider under the base URL of the operation.
fn provider_of(ask: &Ask, route: &Route) -> Rc<Provider> {
    let wire = route.provider.wire(ask.operation());
    match wire.and_then(|wire| wire.base_url.clone()) {
        None => Rc::clone(&route.provider),
        Some(base_url) => Rc::new(Provider {
            base_url,
            ..(*route.provider).clone()
        }),
    }
}

impl<'a, P: Platform> Attempt<'a, P> {
    /// Calls the endpoint of this step for an operation.
    pub(super) fn operate(
        around: &Around<P>,
        job: &'a Job,
        planned: &Step,
        credential: Credential,
    ) -> Result<Self> {
        let route = &planned.route;
        let ask = job.ask.as_deref();
        let ask = ask.ok_or_else(|| Error::internal("the job asks for no operation"))?;
        affordable(job, ask, route)?;
        let mut rest = Calls {
            to: Some((provider_of(ask, route), credential, planned.options.clone())),
            requests: operations::requests(ask, &target(route))?.into(),
        };
        let dispatched = around.platform.now_ms();
        let prompt_tokens = job.prompt_tokens;
        let at = around
            .tab
            .borrow_mut()
            .begin(planned, prompt_tokens, Vec::new(), dispatched);
        around.platform.attempt_begins(route);
        let call = rest.next(&around.platform);
        let call = call.ok_or_else(|| Error::internal("an operation without a call"))?;
        Ok(Self::called(at, dispatched, job, route, call, rest))
    }
}

/// `max_cost` leaves out endpoints where the request will probably cost more.
fn affordable(job: &Job, ask: &Ask, route: &Route) -> Result<()> {
    let Some(cap) = job.wishes.max_cost else {
        return Ok(());
    };
    let cost = route.endpoint.prices.cost(&ask.expected());
    if cost.is_ok_and(|charge| charge.total <= cap) {
        return Ok(());
    }
    let message = format!("This request costs more than max_cost of ${cap} at every endpoint");
    let next = Next::NextAttempt;
    let error = Error::new(Source::Client, next, ErrorType::PaymentRequired, message);
    Err(error.with("limit_source", "max_cost"))
}

impl<P: Platform> Running<'_, P> {
    /// Reads and checks an operation's answer. Images that a provider only told the addresses of are fetched, unless the client wants
    /// addresses.
    pub(super) async fn operated(
        &mut self,
        job: &Job,
        attempt: &Attempt<'_, P>,
        opened: Opened,
    ) -> Result<Result<Answered>, Denied> {
        let now = self.platform.now_ms();
        self.tab().arrived(now);
        let Some(ask) = job.ask.as_deref() else {
            return Ok(Err(Error::internal("the job asks for no operation")));
        };
        let read = match opened {
            Opened::Read(answered) => Ok(*answered),
            Opened::Whole(last) => {
                let mut bodies = attempt.answers.clone();
                bodies.push(last);
                operations::answer(ask, &target(attempt.route()), &bodies)
            }
            _ => Err(Error::internal("an operation's answer is not whole")),
        };
        let mut answered = match read {
            Ok(answered) => answered,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(images) = absent(ask, &mut answered) {
            let hosts = Rc::clone(&job.trusted_hosts);
            let fetching = images::bring(self.platform.clone(), hosts, images);
            let brought = self.wait(self.end_ms, fetching).await?;
            match brought.unwrap_or_else(|| Err(timed_out("the images"))) {
                Ok(images) => answered.answer = Answer::Images(images),
                Err(error) => return Ok(Err(error)),
            }
            operations::recount(ask, &mut answered);
        }
        let now = self.platform.now_ms();
        if let Some(seen) = self.tab().seen_mut(attempt.at) {
            seen.operated(answered.usage, true, now);
            seen.upstream_id.clone_from(&answered.upstream_id);
            if let Some(recorder) = &mut seen.recorder {
                recorder.answered(&answered.answer);
            }
        }
        Ok(Ok(answered))
    }

    /// Settles an operation's answer and hands it to the client.
    pub(super) async fn hand_over_operation(
        &mut self,
        job: &Job,
        answered: &Answered,
    ) -> Result<(), Denied> {
        self.granted().await?;
        self.serving_ended(Ended::Answered { as_stream: false });
        let report = self.settle().await;
        let meta = self.tab().meta();
        let Some(ask) = job.ask.as_deref() else {
            return Ok(());
        };
        if let Answer::Sound(sound) = &answered.answer {
            self.write(sound.clone()).await;
        } else if job.request.stream {
            let events = client::stream::end(ask, answered, &meta, &report, false);
            self.write(events).await;
        } else {
            let tokens = (report.usage.prompt, report.usage.completion);
            let written = client::write(ask, answered, &meta, &report);
            self.answer(written, tokens).await;
        }
        Ok(())
    }

    /// Carries the events of an operation from the first ones to the end of the answer, which is settled before it leaves.
    ///
    /// Text that was delivered is paid, and the sound that was heard for it. Unfinished images are nothing that anybody pays for.
    pub(super) async fn carry_pieces(
        &mut self,
        job: &Job,
        attempt: Attempt<'_, P>,
    ) -> Result<(), Denied> {
        let at = attempt.at;
        let route = attempt.route().clone();
        let (Some((mut body, mut reader, mut pieces)), Some(ask)) =
            (attempt.into_pieces(), job.ask.as_deref())
        else {
            return Ok(());
        };
        self.granted().await?;
        let meta = self.tab().meta_at(at);
        let failure = loop {
            let now = self.platform.now_ms();
            if let (Ask::Transcription(ask), Some(seen)) = (ask, self.tab().seen_mut(at)) {
                seen.operated(ask.used(reader.text()), false, now);
            }
            let events = client::stream::pieces(ask, &pieces, &meta);
            self.write(events).await;
            if reader.is_done() {
                break None;
            }
            let by = now.saturating_add(IDLE_MS).min(self.end_ms);
            let next = match self.wait(by, body.next()).await? {
                Some(Some(Ok(next))) => next,
                Some(Some(Err(error))) => break Some(error),
                Some(None) => break None,
                None => break Some(stalled("between_events", IDLE_MS)),
            };
            pieces = match reader.feed(&next) {
                Ok(pieces) => pieces,
                Err(error) => break Some(error),
            };
        };
        if let (Some(_), Some(seen)) = (&failure, self.tab().seen_mut(at))
            && let Some(recorder) = &mut seen.recorder
        {
            recorder.transcribed(reader.text());
        }
        let read = match failure {
            Some(error) => Err(error),
            None => operations::streamed(ask, &target(&route), *reader),
        };
        match read {
            Ok(answered) => {
                self.platform.release(body);
                let now = self.platform.now_ms();
                if let Some(seen) = self.tab().seen_mut(at) {
                    seen.operated(answered.usage, true, now);
                    seen.upstream_id.clone_from(&answered.upstream_id);
                    if let Some(recorder) = &mut seen.recorder {
                        recorder.answered(&answered.answer);
                    }
                }
                self.attempt_ended(at, Ended::Answered { as_stream: true });
                let report = self.settle().await;
                let events = client::stream::end(ask, &answered, &meta, &report, true);
                self.write(events).await;
            }
            Err(error) => {
                drop(body);
                self.broke(at, &error);
                let error = self.tab().explain(error);
                self.settle().await;
                self.write(client::stream::error(&error)).await;
            }
        }
        Ok(())
    }

    /// An answer broke after some of it had left.
    fn broke(&mut self, at: usize, error: &Error) {
        self.attempt_ended(at, Ended::Failed(error));
        let mut tab = self.tab();
        tab.break_part(error);
        let told = tab.explain(error.clone());
        tab.fail(told.to_string());
    }

    /// Carries sound from its first bytes to its end.
    pub(super) async fn carry_sound(
        &mut self,
        job: &Job,
        attempt: Attempt<'_, P>,
    ) -> Result<(), Denied> {
        let at = attempt.at;
        let (Some((mut body, mut bytes)), Some(Ask::Speech(ask))) =
            (attempt.into_sound(), job.ask.as_deref())
        else {
            return Ok(());
        };
        self.granted().await?;
        // The head of a compressed sound tells how much of it is a second.
        let head = bytes.get(..SOUND_HEAD).unwrap_or(&bytes).to_vec();
        let mut length = 0u64;
        let failure = loop {
            length = length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let now = self.platform.now_ms();
            if let Some(seen) = self.tab().seen_mut(at) {
                seen.operated(ask.used(length), false, now);
                if let Some(recorder) = &mut seen.recorder {
                    recorder.heard(length);
                }
            }
            self.write(bytes).await;
            let by = now.saturating_add(IDLE_MS).min(self.end_ms);
            bytes = match self.wait(by, body.next()).await? {
                Some(Some(Ok(next))) => next,
                Some(Some(Err(error))) => break Some(error),
                Some(None) => break None,
                None => break Some(stalled("between_events", IDLE_MS)),
            };
        };
        match failure {
            None => {
                self.platform.release(body);
                let now = self.platform.now_ms();
                if let Some(seen) = self.tab().seen_mut(at) {
                    seen.operated(ask.used(length), true, now);
                }
                self.attempt_ended(at, Ended::Answered { as_stream: true });
            }
            Some(error) => {
                drop(body);
                let now = self.platform.now_ms();
                if let Some(seen) = self.tab().seen_mut(at) {
                    seen.operated(ask.delivered(&head, length), false, now);
                }
                self.broke(at, &error);
            }
        }
        self.settle().await;
        Ok(())
    }
}

/// The images of an answer, where some are addresses only and the client wants none.
fn absent(ask: &Ask, answered: &mut Answered) -> Option<Vec<Image>> {
    let (Ask::Images(ask), Answer::Images(images)) = (ask, &mut answered.answer) else {
        return None;
    };
    let is_absent = |image: &Image| matches!(image, Image::Address(_));
    let wants_them = !ask.as_url && images.iter().any(is_absent);
    wants_them.then(|| std::mem::take(images))
}
