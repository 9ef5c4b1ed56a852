//! A request from its plan to its last byte.

use futures::StreamExt;

use super::{
    attempt::{self, Attempted},
    generator::{Generator, Outlet},
    limits::{HOLD_LIFETIME_MS, KEEP_ALIVE_MS, MAX_ATTEMPTS},
    ports::{Hold, Platform},
    refusal,
    tab::{Guard, Tab},
    watch::{HoldGate, Timer},
};
use crate::{
    chat::ChatRequest,
    credits::{money::Nanos, ops},
    dialects::openai_chat::client,
    error::{Error, Result},
    routing::Plan,
};

/// Who sent a request, as the usage row keeps it.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The account that pays.
    pub account: String,
    /// The key's hash.
    pub key_hash: String,
    /// The client's or the gateway's request id.
    pub request_id: String,
    /// `HTTP-Referer`.
    pub referer: Option<String>,
    /// `X-Title`.
    pub title: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
}

/// A request that may run: parsed, authenticated and planned.
pub struct Job {
    /// Generation id; also the id of the hold.
    pub id: String,
    /// When it arrived, unix milliseconds.
    pub started_ms: u64,
    /// The canonical request.
    pub request: ChatRequest,
    /// The client's own bytes.
    pub raw: Vec<u8>,
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// What to try.
    pub plan: Plan,
    /// Who asks.
    pub origin: Origin,
}

/// Who serves, known when the response may start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Display name of the provider; absent while none has answered yet.
    pub provider: Option<String>,
    /// The model that serves.
    pub model: Option<String>,
    /// Attempts made so far, the serving one included.
    pub attempts: usize,
    /// Milliseconds spent waiting for providers so far.
    pub upstream_ms: u64,
}

/// What the client is to receive, in order.
#[derive(Debug)]
pub enum Output {
    /// A stream may start; always the first output of a stream that does not fail before its first byte.
    Begin(Head),
    /// Bytes of the stream.
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

/// Starts a request. Nothing happens before the stream is polled; dropping it aborts the upstream call and settles.
pub fn run<P: Platform>(platform: P, job: Job) -> Generator<Output> {
    Generator::new(|outlet| async move { drive(platform, job, &outlet).await })
}

/// Everything that one request needs while it runs.
pub(super) struct Running<'a, P: Platform> {
    pub(super) platform: P,
    pub(super) outlet: &'a Outlet<Output>,
    pub(super) gate: HoldGate,
    pub(super) timer: Timer<P>,
    pub(super) guard: Guard<P>,
    /// The stream's head has left.
    pub(super) begun: bool,
    /// When the last byte left for the client, or the request arrived.
    pub(super) last_write_ms: u64,
}

impl<P: Platform> Running<'_, P> {
    pub(super) fn tab(&self) -> std::cell::RefMut<'_, Tab> {
        self.guard.tab()
    }

    /// Sends bytes of a stream, after its head where that has not left yet.
    pub(super) async fn write(&mut self, bytes: Vec<u8>) {
        if !self.begun {
            self.begun = true;
            let head = self.tab().head();
            self.outlet.send(Output::Begin(head)).await;
        }
        if !bytes.is_empty() {
            self.last_write_ms = self.platform.now_ms();
            self.outlet.send(Output::Chunk(bytes)).await;
        }
    }

    /// When the client has to hear something, if only a comment.
    pub(super) fn keep_alive_at(&self) -> u64 {
        self.last_write_ms.saturating_add(KEEP_ALIVE_MS)
    }

    /// Settles; the guard tries again where the account cannot be reached now.
    pub(super) async fn settle(&mut self) -> client::UsageReport {
        self.tab().conclude();
        let (bill, report) = self.tab().bill();
        let settled = self.platform.settle(bill).await;
        if settled.is_ok() {
            self.tab().close();
        }
        report
    }
}

async fn drive<P: Platform>(platform: P, job: Job, outlet: &Outlet<Output>) {
    let hold = match hold(&job) {
        Ok(hold) => hold,
        Err(error) => return outlet.send(Output::Failed(Box::new(error))).await,
    };
    if !job.request.stream {
        platform.detach();
    }
    let asked = platform.hold(hold);
    let answered = refusal::read(&job, asked);
    let mut running = Running {
        gate: HoldGate::new(answered),
        timer: Timer::new(platform.clone()),
        last_write_ms: job.started_ms,
        begun: false,
        guard: Guard::new(&platform, Tab::open(&job)),
        platform,
        outlet,
    };
    let mut failure = Error::internal("The plan was empty");
    for attempt in job.plan.attempts.iter().take(MAX_ATTEMPTS) {
        let now = running.platform.now_ms();
        running.tab().begin_attempt(attempt, now);
        let outcome = attempt::run(&mut running, &job, attempt).await;
        let now = running.platform.now_ms();
        match outcome {
            Ok(Attempted::Answered) => return,
            Ok(Attempted::Failed(error)) => {
                running.tab().attempt_failed(&error, now);
                let last = error.next == crate::error::Next::Final;
                failure = error;
                if last {
                    break;
                }
            }
            Err(refusal) => {
                running.tab().refused();
                failure = refusal;
                break;
            }
        }
    }
    fail(&mut running, failure).await;
}

/// Tells the client that the request failed: as a status before the first byte, in-band after it.
async fn fail<P: Platform>(running: &mut Running<'_, P>, failure: Error) {
    let error = running.tab().explain(failure);
    let refused = running.tab().is_refused();
    if !refused {
        // The hold may still be on its way; voiding it before it is decided would leave it to the alarm.
        let granted = running.gate.granted().await;
        if granted.is_err() {
            running.tab().refused();
        } else {
            running.tab().failed(&error);
            running.settle().await;
        }
    }
    if running.begun {
        let mut bytes = Vec::new();
        let meta = running.tab().meta();
        client::ChunkWriter::new(&meta, client::WriterOptions::default())
            .error(&error, None, &mut bytes);
        running.write(bytes).await;
    } else {
        running.outlet.send(Output::Failed(Box::new(error))).await;
    }
}

/// The hold: enough for the dearest endpoint that may serve.
fn hold(job: &Job) -> Result<Hold> {
    let mut amount = Nanos::ZERO;
    for attempt in job.plan.attempts.iter().take(MAX_ATTEMPTS) {
        let endpoint = &attempt.endpoint;
        let output = Tab::output_bounds(&job.request, endpoint.max_completion_tokens);
        let needed = endpoint.prices.estimate_hold(job.prompt_tokens, output);
        let needed = needed.map_err(|_| {
            Error::invalid(
                "max_tokens",
                "The request would cost more than any account can hold",
            )
        })?;
        amount = amount.max(needed);
    }
    Ok(Hold {
        account: job.origin.account.clone(),
        call: ops::Hold {
            id: job.id.clone(),
            key_hash: job.origin.key_hash.clone(),
            amount,
            ttl_ms: i64::try_from(HOLD_LIFETIME_MS).unwrap_or(i64::MAX),
            row: Tab::open(job).row_json(),
        },
    })
}

/// Reads a body to its end, up to `limit` bytes.
pub(super) async fn read_all<B>(mut body: B, limit: usize) -> Result<Vec<u8>>
where
    B: futures::Stream<Item = Result<Vec<u8>>> + Unpin,
{
    let mut whole: Vec<u8> = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if whole.len().saturating_add(chunk.len()) > limit {
            return Err(Error::upstream(
                crate::error::ErrorType::ProviderUnavailable,
                format!("The provider answered with more than {limit} bytes"),
            ));
        }
        if whole.is_empty() {
            whole = chunk;
        } else {
            whole.extend_from_slice(&chunk);
        }
    }
    Ok(whole)
}
