//! From the plan to the attempt that answers: one attempt after the other, or two side by side (`provider.hedge`).
//!
//! At most two run at once. The second starts when the first has been silent for the time that the job names, at the next
//! endpoint of the same model. The first content wins; the other is aborted and noted with what it may have cost.

use std::pin::pin;

use futures::future::{Either, select};

use super::{
    attempt::{Around, Attempt, Opened, target},
    fallback::{Queue, class},
    flow::unusable,
    job::Job,
    measure::Ended,
    pipe::Whole,
    ports::Platform,
    resume::Draft,
    run::Running,
    watch::Denied,
};
use crate::{
    chat::Event,
    error::{Error, Next},
};

/// How a race ended.
pub enum Raced<'a, P: Platform> {
    /// A stream is to be carried to its end.
    Stream(Attempt<'a, P>),
    /// Sound is to be carried to its end.
    Sound(Attempt<'a, P>),
    /// The events of an operation are to be carried to their end.
    Pieces(Attempt<'a, P>),
    /// The client has its whole answer.
    Answered,
    /// An answer of a loop of tools came in one piece; nobody has been told.
    Turn(Vec<Event>),
    /// Nobody answered: why the request could not be said to an endpoint, if that happened.
    Nobody(Option<Error>),
}

impl<P: Platform> Running<'_, P> {
    /// Tries the steps of the queue until one answers.
    ///
    /// # Errors
    /// When the hold is denied.
    pub(super) async fn race<'j>(
        &mut self,
        job: &'j Job,
        queue: &mut Queue,
        draft: Option<&'j Draft>,
    ) -> Result<Raced<'j, P>, Denied> {
        let around = self.around();
        let mut racing: Vec<Attempt<'j, P>> = Vec::with_capacity(1);
        let mut unsayable = None;
        let mut aside: Option<(Attempt<'j, P>, Whole<'static>)> = None;
        loop {
            if racing.is_empty() {
                let next = self.call_next(&around, job, queue, draft, None, &mut unsayable);
                match (next, aside.take()) {
                    (Some(attempt), kept) => {
                        racing.push(attempt);
                        aside = kept;
                    }
                    // Nobody did better.
                    (None, Some((attempt, answer))) => {
                        self.win(&attempt, racing);
                        return self.hand_over(job, draft, answer).await;
                    }
                    (None, None) => return Ok(Raced::Nobody(unsayable)),
                }
            }
            let hedge_at = hedge_at(job, queue, &racing);
            let due = racing.iter().map(Attempt::deadline).min();
            let by = due.unwrap_or_default().min(hedge_at).min(self.end_ms);
            let step = self.wait(by, advance(&mut racing, &around)).await?;
            let (at, opened) = match step {
                Some((at, Some(opened))) => (at, opened),
                Some((_, None)) => continue,
                None => {
                    let now = self.platform.now_ms();
                    if let Some(late) = late(&mut racing, &around, now, self.end_ms) {
                        late
                    } else {
                        let model = racing.first().map(|one| one.route().endpoint.model.clone());
                        let model = model.as_deref();
                        let next =
                            self.call_next(&around, job, queue, draft, model, &mut unsayable);
                        racing.extend(next);
                        continue;
                    }
                }
            };
            let mut attempt = racing.swap_remove(at);
            let error = match opened {
                Opened::Stream => {
                    self.win(&attempt, racing);
                    return Ok(Raced::Stream(attempt));
                }
                Opened::Sound => {
                    self.win(&attempt, racing);
                    return Ok(Raced::Sound(attempt));
                }
                Opened::Pieces => {
                    self.win(&attempt, racing);
                    return Ok(Raced::Pieces(attempt));
                }
                Opened::Read(_) | Opened::Whole(_) if job.ask.is_some() => {
                    match self.operated(job, &attempt, opened).await? {
                        Ok(answer) => {
                            self.win(&attempt, racing);
                            self.hand_over_operation(job, &answer).await?;
                            return Ok(Raced::Answered);
                        }
                        Err(error) => error,
                    }
                }
                Opened::Read(_) => Error::internal("a conversation has events of its own"),
                Opened::Whole(_) if draft.is_some_and(Draft::is_rest) => unusable(
                    "The provider answered in one piece where the rest of a stream was asked for",
                ),
                Opened::Whole(body) => match self.whole(job, &mut attempt, &body) {
                    Ok(answer) => {
                        let violation = attempt.shape().violation();
                        if let (None, Some(error), Some(_)) = (&aside, violation, queue.peek()) {
                            let answer = Whole::Translated(answer.into_events());
                            self.set_aside(&attempt, &error);
                            aside = Some((attempt, answer));
                            continue;
                        }
                        self.win(&attempt, racing);
                        return self.hand_over(job, draft, answer).await;
                    }
                    Err(error) => error,
                },
                Opened::Failed(error) => error,
            };
            self.lost(job, queue, &attempt, &error);
        }
    }

    /// Calls the next endpoint that can be asked; of this model only, where one is named.
    fn call_next<'j>(
        &mut self,
        around: &Around<P>,
        job: &'j Job,
        queue: &mut Queue,
        draft: Option<&'j Draft>,
        model: Option<&str>,
        unsayable: &mut Option<Error>,
    ) -> Option<Attempt<'j, P>> {
        if self.platform.now_ms() >= self.end_ms {
            return None;
        }
        loop {
            let next = queue.peek().and_then(|step| job.plan.attempts.get(step))?;
            if model.is_some_and(|model| model != next.route.endpoint.model) {
                return None;
            }
            let step = queue.pop()?;
            let is_last = queue.peek().is_none();
            match Attempt::start(around, job, step, is_last, draft) {
                Ok(attempt) => return Some(attempt),
                Err(error) => {
                    let is_final = error.next == Next::Final;
                    unsayable.get_or_insert(error);
                    if is_final {
                        queue.retain(|_| false);
                    }
                }
            }
        }
    }

    /// An attempt failed: what may still be tried is decided by the class of its failure.
    fn lost(&mut self, job: &Job, queue: &mut Queue, attempt: &Attempt<'_, P>, error: &Error) {
        self.attempt_ended(attempt.at, Ended::Failed(error));
        let now = self.platform.now_ms();
        self.tab().fail_try(attempt.at, error, now);
        let failed = &attempt.route().endpoint;
        queue.narrow(&job.plan.attempts, failed, class(error).before_commit);
    }

    /// An answer is not what was asked for: it is kept for the case that nobody does better.
    fn set_aside(&mut self, attempt: &Attempt<'_, P>, error: &Error) {
        self.attempt_ended(attempt.at, Ended::Answered { as_stream: false });
        let now = self.platform.now_ms();
        self.tab().set_aside(attempt.at, error, now);
    }

    /// An attempt serves; the others are aborted.
    fn win(&mut self, winner: &Attempt<'_, P>, others: Vec<Attempt<'_, P>>) {
        let now = self.platform.now_ms();
        let mut tab = self.tab();
        tab.serve(winner.at, now);
        for other in &others {
            tab.lose(other.at, now);
        }
    }

    /// Reads and checks an answer in one piece.
    fn whole<'b>(
        &mut self,
        job: &Job,
        attempt: &mut Attempt<'_, P>,
        body: &'b [u8],
    ) -> Result<Whole<'b>, Error> {
        let at = attempt.at;
        let route = attempt.route().clone();
        let now = self.platform.now_ms();
        let mut tab = self.tab();
        tab.arrived(now);
        let shape = attempt.shape();
        let read = Whole::read(job, &target(&route), body, shape);
        tab.note(at, shape.take_notes());
        let answer = match read {
            Ok(answer) => answer,
            Err(error) if error.raw.is_none() => return Err(error.with_raw(body)),
            Err(error) => return Err(error),
        };
        let Some(seen) = tab.seen_mut(at) else {
            return Ok(answer);
        };
        let mut fault = None;
        for event in answer.events() {
            seen.see(event, now);
            if let Event::Error(error) = event {
                fault.get_or_insert(error.clone());
            }
        }
        let fault = fault.or_else(|| seen.fault());
        fault.map_or(Ok(answer), Err)
    }

    /// Settles an answer in one piece and hands it to the client, unless a loop of tools may go on with it.
    async fn hand_over<'j>(
        &mut self,
        job: &Job,
        draft: Option<&Draft>,
        answer: Whole<'_>,
    ) -> Result<Raced<'j, P>, Denied> {
        self.granted().await?;
        self.serving_ended(Ended::Answered { as_stream: false });
        if draft.is_some() {
            return Ok(Raced::Turn(answer.into_events()));
        }
        let report = self.settle().await;
        let body = answer.write(job, &self.tab().meta(), &report);
        if job.request.stream {
            self.write(body).await;
        } else {
            let tokens = (report.usage.prompt, report.usage.completion);
            self.answer(body, tokens).await;
        }
        Ok(Raced::Answered)
    }
}

/// Whether a second attempt starts beside the first, and when.
fn hedge_at<P: Platform>(job: &Job, queue: &Queue, racing: &[Attempt<'_, P>]) -> u64 {
    let ([first], Some(after)) = (racing, job.wishes.hedge_after_ms) else {
        return u64::MAX;
    };
    let next = queue.peek().and_then(|step| job.plan.attempts.get(step));
    match next {
        Some(next) if next.route.endpoint.model == first.route().endpoint.model => {
            first.dispatched.saturating_add(after)
        }
        _ => u64::MAX,
    }
}

/// The attempt whose deadline has passed, and what that makes of it.
fn late<P: Platform>(
    racing: &mut [Attempt<'_, P>],
    around: &Around<P>,
    now: u64,
    end: u64,
) -> Option<(usize, Opened)> {
    let is_out_of_time = now >= end;
    racing.iter_mut().enumerate().find_map(|(at, attempt)| {
        let is_due = is_out_of_time || now >= attempt.deadline();
        let opened = is_due.then(|| attempt.late(around, is_out_of_time));
        opened.flatten().map(|opened| (at, opened))
    })
}

/// One step of whichever attempt moves first.
async fn advance<P: Platform>(
    racing: &mut [Attempt<'_, P>],
    around: &Around<P>,
) -> (usize, Option<Opened>) {
    match racing {
        [only] => (0, only.advance(around).await),
        [first, second, ..] => {
            let (first, second) = (pin!(first.advance(around)), pin!(second.advance(around)));
            match select(first, second).await {
                Either::Left((opened, _)) => (0, opened),
                Either::Right((opened, _)) => (1, opened),
            }
        }
        [] => std::future::pending().await,
    }
}
