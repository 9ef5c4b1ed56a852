//! A request from its plan to its last byte.

use std::{future::Future, pin::pin};

use super::{
    attempt::{self, Attempted},
    generator::{Generator, Outlet},
    guard::Guard,
    job::{Job, OnServed, Output},
    limits::{HOLD_MS, KEEP_ALIVE_MS, SETTLE_MS, TOTAL_MS},
    pipe,
    ports::{Hold, Platform},
    refusal::Words,
    tab::Tab,
    watch::{Denied, HoldGate, Timer, Woken, beside},
};
use crate::{
    dialects::openai_chat::client,
    error::{Error, Next, Result},
    routing::sticky::Served,
};

/// A comment that keeps a silent stream open.
pub const KEEP_ALIVE: &[u8] = b": PATCHBAY PROCESSING\n\n";

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
    let mut running = Running::start(platform, job, outlet, tab, hold);
    match running.attempts(job).await {
        Ok(None) => {}
        Ok(Some(failure)) => running.fail(job, failure).await,
        Err(denied) => running.deny(denied).await,
    }
}

/// Everything that one request needs while it runs.
pub(super) struct Running<'a, P: Platform> {
    pub(super) platform: P,
    outlet: &'a Outlet<Output>,
    gate: HoldGate,
    timer: Timer<P>,
    guard: Guard,
    /// The client gets a stream.
    stream: bool,
    /// The stream's head has left.
    begun: bool,
    /// When the last byte left for the client, or the request arrived.
    last_write_ms: u64,
    /// When no provider is waited for any longer.
    end_ms: u64,
    on_served: Option<OnServed>,
}

impl<'a, P: Platform> Running<'a, P> {
    fn start(platform: P, job: &Job, outlet: &'a Outlet<Output>, tab: Tab, hold: Hold) -> Self {
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
            outlet,
            stream: job.request.stream,
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
        let mut failure = None;
        for step in &job.plan.attempts {
            let error = match attempt::run(self, job, step).await? {
                Attempted::Answered => return Ok(None),
                Attempted::Unsayable(error) if error.next == Next::Final => return Ok(Some(error)),
                Attempted::Unsayable(error) => {
                    failure.get_or_insert(error);
                    continue;
                }
                Attempted::Failed(error) => error,
            };
            let now = self.platform.now_ms();
            self.tab().attempt_failed(&error, now);
            let is_last = error.next == Next::Final || now >= self.end_ms;
            failure = Some(error);
            if is_last {
                break;
            }
        }
        Ok(failure.or_else(|| Some(Error::internal("the plan is empty"))))
    }

    /// The tab. The borrow must not be held over an await.
    pub(super) fn tab(&self) -> std::cell::RefMut<'_, Tab> {
        self.guard.tab()
    }

    /// `limit` milliseconds after `from`, but never beyond the request's own end.
    pub(super) fn deadline(&self, from: u64, limit: u64) -> u64 {
        from.saturating_add(limit).min(self.end_ms)
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
                Woken::Silent => self.write(KEEP_ALIVE.to_vec()).await,
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
    pub(super) async fn settle(&mut self) -> client::UsageReport {
        self.tab().conclude();
        let (bill, report) = self.tab().bill();
        let by = self.platform.now_ms() + SETTLE_MS;
        let settling = self.platform.settle(bill);
        if let Some(Ok(())) = self.timer.within(by, settling).await {
            self.tab().close();
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
    async fn fail(&mut self, job: &Job, failure: Error) {
        if !self.gate.is_asked() {
            self.tab().close();
            return self.tell(Output::Failed(Box::new(failure))).await;
        }
        // Voiding a hold that is still on its way would leave the refusal, which is what the client should read, untold.
        if let Err(denied) = self.granted().await {
            return self.deny(denied).await;
        }
        let error = self.tab().explain(failure);
        self.tab().fail(error.to_string());
        let report = self.settle().await;
        if !self.begun {
            return self.tell(Output::Failed(Box::new(error))).await;
        }
        let mut bytes = Vec::new();
        let meta = self.tab().meta();
        let mut writer = client::ChunkWriter::new(&meta, pipe::options(job));
        writer.error(&error, Some(&report), &mut bytes);
        self.write(bytes).await;
    }

    /// The hold was denied. Nothing has left, and nothing will.
    async fn deny(&mut self, denied: Denied) {
        let error = match denied {
            Denied::Refused(error) => {
                self.tab().close();
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

    async fn tell(&mut self, output: Output) {
        self.outlet.send(output).await;
    }
}
