//! A request from its plan to its last byte.

use std::{future::Future, pin::pin};

use futures::StreamExt;

use super::{
    attempt::{Around, Attempt},
    fallback::{Queue, class},
    flow::{Flow, Piece},
    generator::{Generator, Outlet},
    guard::Guard,
    job::{Job, OnServed, Output},
    limits::{HOLD_MS, KEEP_ALIVE_MS, SETTLE_MS, TOTAL_MS},
    measure::Ended,
    ports::{Hold, Platform},
    race::Raced,
    refusal::Words,
    resume::{Draft, can_resume},
    tab::Tab,
    watch::{Denied, HoldGate, Timer, Woken, beside},
};
use crate::{
    dialects::{operations::client, report::UsageReport, surface::Writer},
    error::{Error, Result},
    routing::{Step, sticky::Served},
};

/// Starts a request. Nothing happens before the stream is polled; dropping it aborts the upstream call and settles.
pub fn run<P: Platform>(platform: P, job: Job) -> Generator<Output> {
    Generator::new(|outlet| async move { drive(platform, &job, &outlet).await })
}

async fn drive<P: Platform>(platform: P, job: &Job, outlet: &Outlet<Output>) {
    let tab = Tab::open(job);
    let hold = match tab.hold(job) {
        Ok(hold) => hold,
        Err(error) => return outlet.send(Output::Failed(Box::new(error))).await,
    };
    if !job.request.stream {
        platform.detach();
    }
    let is_cautious = platform.is_cautious(&hold.account);
    let mut running = Running::start(platform, job, outlet, tab, hold);
    if is_cautious && let Err(denied) = running.granted().await {
        return running.deny(denied).await;
    }
    match running.attempts(job).await {
        Ok(None) => {}
        Ok(Some(failure)) => running.fail(job, failure).await,
        Err(denied) => running.deny(denied).await,
    }
}

/// Everything that one request needs while it runs.
pub(super) struct Running<'a, P: Platform> {
    pub(super) platform: P,
    pub(super) job: &'a Job,
    outlet: &'a Outlet<Output>,
    gate: HoldGate,
    timer: Timer<P>,
    guard: Guard,
    /// The client gets a stream.
    stream: bool,
    /// What keeps a silent one open.
    keep_alive: &'static [u8],
    /// The stream's head has left.
    begun: bool,
    /// When the last byte left for the client, or the request arrived.
    last_write_ms: u64,
    /// When no provider is waited for any longer.
    pub(super) end_ms: u64,
    on_served: Option<OnServed>,
}

impl<P: Platform> Drop for Running<'_, P> {
    fn drop(&mut self) {
        // The guard goes next, and the job with the request.
        if !std::thread::panicking() {
            self.tab().end(self.job);
        }
    }
}

impl<'a, P: Platform> Running<'a, P> {
    fn start(platform: P, job: &'a Job, outlet: &'a Outlet<Output>, tab: Tab, hold: Hold) -> Self {
        let words = Words::of(job);
        Self {
            gate: HoldGate::new(
                platform.hold(hold),
                job.started_ms + HOLD_MS,
                move |refusal| words.explain(refusal),
            ),
            timer: Timer::new(platform.clone()),
            guard: Guard::new(&platform, tab),
            platform,
            job,
            outlet,
            stream: job.request.stream,
            keep_alive: job.surface.keep_alive(),
            begun: false,
            last_write_ms: job.started_ms,
            end_ms: job.started_ms + TOTAL_MS,
            on_served: job.on_served.clone(),
        }
    }

    /// Tries the plan. The failure to tell, if no attempt answered.
    ///
    /// An endpoint whose dialect cannot say the request is passed over; only when no endpoint was called is that the
    /// failure, and it is the client's.
    async fn attempts(&mut self, job: &Job) -> Result<Option<Error>, Denied> {
        if let Some(kit) = &job.kit {
            return self.agent(job, kit).await;
        }
        let mut queue = Queue::of(&job.plan.attempts);
        let attempt = match self.race(job, &mut queue, None).await? {
            Raced::Answered | Raced::Turn(_) => return Ok(None),
            Raced::Nobody(unsayable) => return Ok(Some(self.verdict(job, unsayable))),
            Raced::Stream(attempt) => attempt,
            Raced::Sound(attempt) => {
                self.carry_sound(job, attempt).await?;
                return Ok(None);
            }
            Raced::Pieces(attempt) => {
                self.carry_pieces(job, attempt).await?;
                return Ok(None);
            }
        };
        match self.carry(attempt, None).await? {
            Some((flow, Some(error))) => self.go_on(job, queue, flow, error).await?,
            Some((mut flow, None)) => self.end(&mut flow, None).await,
            None => {}
        }
        Ok(None)
    }

    /// The failure that speaks for all attempts.
    pub(super) fn verdict(&self, job: &Job, unsayable: Option<Error>) -> Error {
        let request = &job.request;
        let models = std::iter::once(&request.model).chain(&request.models);
        let models: Vec<&str> = models.map(String::as_str).collect();
        let verdict = self.tab().verdict(&models).or(unsayable);
        verdict.unwrap_or_else(|| Error::internal("the plan is empty"))
    }

    /// Carries a stream from its commit to its end, and says why it broke, if it did. Nobody has told the client yet. `writer`
    /// writes an answer of a loop of tools.
    pub(super) async fn carry(
        &mut self,
        attempt: Attempt<'_, P>,
        writer: Option<Writer>,
    ) -> Result<Option<(Box<Flow>, Option<Error>)>, Denied> {
        let at = attempt.at;
        let Some((mut flow, mut body)) = attempt.into_stream() else {
            return Ok(None);
        };
        self.granted().await?;
        if let Some(writer) = writer {
            flow.adopt(writer);
        }
        let mut piece = std::mem::take(&mut flow.step);
        let broken = loop {
            if flow.is_committed() {
                let bytes = std::mem::take(&mut flow.pending);
                self.write(bytes).await;
            }
            match piece {
                Piece::Go => {}
                Piece::End => break None,
                Piece::Broken(error) => break Some(error),
            }
            let by = flow.deadline().min(self.end_ms);
            let next = self.wait(by, body.next()).await?;
            let now = self.platform.now_ms();
            piece = match next {
                Some(next) => flow.read(next, &mut self.tab(), now),
                None => flow.late(now >= self.end_ms),
            };
        };
        let (failure, is_whole) = {
            let tab = self.tab();
            let seen = tab.seen(at);
            let is_whole = seen.is_some_and(|seen| seen.is_complete() && !seen.cut);
            (flow.failure(broken, &tab), is_whole)
        };
        if failure.is_none() && is_whole {
            self.platform.release(body);
        } else {
            // Dropping the body closes the upstream before the account is asked to settle (P126).
            drop(body);
        }
        let ended = match &failure {
            Some(error) => Ended::Failed(error),
            None => Ended::Answered { as_stream: true },
        };
        self.attempt_ended(at, ended);
        Ok(Some((flow, failure)))
    }

    /// A stream broke after its commit: its rest is asked for elsewhere, where the client wants that and it can be done.
    async fn go_on(
        &mut self,
        job: &Job,
        mut queue: Queue,
        mut flow: Box<Flow>,
        error: Error,
    ) -> Result<(), Denied> {
        let text = flow.text.take().filter(|_| class(&error).is_passing);
        let mut draft = text.and_then(|text| Draft::of(job, &self.tab(), &text));
        if let Some(draft) = &mut draft {
            draft.writer = flow.fork();
        }
        if let Some(draft) = &draft {
            let model = self.tab().meta().model;
            queue.retain(|at| {
                let step = job.plan.attempts.get(at);
                step.is_some_and(|Step { route, .. }| {
                    route.endpoint.model == model && can_resume(route)
                })
            });
            self.tab().break_part(&error);
            match self.race(job, &mut queue, Some(draft)).await? {
                Raced::Answered | Raced::Turn(_) => return Ok(()),
                Raced::Stream(attempt) => {
                    if let Some((mut rest, failure)) = self.carry(attempt, None).await? {
                        self.end(&mut rest, failure).await;
                    }
                    return Ok(());
                }
                // Only operations have these, and they have no drafts.
                Raced::Sound(_) | Raced::Pieces(_) | Raced::Nobody(_) => {}
            }
        }
        self.end(&mut flow, Some(error)).await;
        Ok(())
    }

    /// Settles a stream and ends it in a way that the client understands.
    async fn end(&mut self, flow: &mut Flow, failure: Option<Error>) {
        let failure = failure.map(|error| self.tab().explain(error));
        if let Some(error) = &failure {
            self.tab().fail(error.to_string());
        }
        let report = self.settle().await;
        let bytes = flow.end(failure.as_ref(), &report);
        self.write(bytes).await;
    }

    /// What an attempt needs while the request waits for it.
    pub(super) fn around(&self) -> Around<P> {
        Around {
            platform: self.platform.clone(),
            tab: self.guard.share(),
        }
    }

    /// The tab. The borrow must not be held over an await.
    pub(super) fn tab(&self) -> std::cell::RefMut<'_, Tab> {
        self.guard.tab()
    }

    /// Waits for `work` until `by`; keeps a stream's client informed meanwhile. `None`: too late.
    pub(super) async fn wait<T>(
        &mut self,
        by: u64,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, Denied> {
        let mut work = pin!(work);
        loop {
            let speak = self.last_write_ms.saturating_add(KEEP_ALIVE_MS);
            let speak = self.stream.then_some(speak);
            let Self { gate, timer, .. } = self;
            match beside(gate, timer, by, speak, work.as_mut()).await? {
                Woken::Value(value) => return Ok(Some(value)),
                Woken::Late => return Ok(None),
                Woken::Silent => self.write(self.keep_alive.to_vec()).await,
            }
        }
    }

    /// Waits until the hold is granted.
    pub(super) async fn granted(&mut self) -> Result<(), Denied> {
        let Self { gate, timer, .. } = self;
        gate.granted(timer).await
    }

    /// Sends bytes of a stream, after its head where that has not left yet. All content seen so far counts as delivered.
    pub(super) async fn write(&mut self, bytes: Vec<u8>) {
        if !self.begun {
            self.begun = true;
            let head = self.tab().head();
            self.outlet.send(Output::Begin(head)).await;
        }
        if !bytes.is_empty() {
            self.last_write_ms = self.platform.now_ms();
            self.tab().deliver();
            self.outlet.send(Output::Chunk(bytes)).await;
        }
    }

    /// Sends an answer in one piece.
    pub(super) async fn answer(&mut self, body: Vec<u8>, tokens: (u64, u64)) {
        let head = self.tab().head();
        let answer = Output::Answer { head, body, tokens };
        self.outlet.send(answer).await;
    }

    /// Settles; the guard tries again where the account does not answer now.
    pub(super) async fn settle(&mut self) -> UsageReport {
        self.tab().conclude();
        let (bill, mut report) = self.tab().bill();
        report.routing = self.tab().metadata().map(Box::new);
        let by = self.platform.now_ms() + SETTLE_MS;
        let settling = self.platform.settle(bill);
        if let Some(Ok(finished)) = self.timer.within(by, settling).await {
            self.tab().close();
            // The month's allowance for own provider keys is known to the account alone.
            report.cost = report.cost.min(finished.charged);
        }
        let served = self.tab().served();
        if let (Some(told), Some((route, usage, signed))) = (&self.on_served, served) {
            told(&Served {
                route: &route,
                usage: &usage,
                signed,
            });
        }
        report
    }

    /// Every attempt failed.
    async fn fail(&mut self, job: &Job, error: Error) {
        if !self.gate.is_asked() {
            self.tab().close_unrecorded();
            return self.tell(Output::Failed(Box::new(error))).await;
        }
        // Voiding a hold that is still on its way would leave the refusal, which is what the client should read, untold.
        if let Err(denied) = self.granted().await {
            return self.deny(denied).await;
        }
        self.tab().fail(error.to_string());
        let report = self.settle().await;
        if !self.begun {
            return self.tell(Output::Failed(Box::new(error))).await;
        }
        if job.ask.is_some() {
            return self.write(client::stream::error(&error)).await;
        }
        let mut bytes = Vec::new();
        let meta = self.tab().meta();
        let mut writer = job.recipient(&meta).writer();
        writer.error(&error, &report, &mut bytes);
        self.write(bytes).await;
    }

    /// The hold was denied. Nothing has left, and nothing will.
    async fn deny(&mut self, denied: Denied) {
        let error = match denied {
            Denied::Refused(error) => {
                self.tab().close_unrecorded();
                error
            }
            // The guard releases what may be held.
            Denied::Unknown(error) => {
                self.tab().fail(error.to_string());
                error
            }
        };
        self.tell(Output::Failed(Box::new(error))).await;
    }

    /// A request fails that the account was asked to settle already.
    pub(super) async fn tell_failure(&mut self, error: Error) {
        self.tell(Output::Failed(Box::new(error))).await;
    }

    async fn tell(&mut self, mut output: Output) {
        if let Output::Failed(error) = &mut output {
            error.routing = self.tab().metadata().map(Box::new);
        }
        self.outlet.send(output).await;
    }
}
