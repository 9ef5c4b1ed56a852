//! One attempt: call the provider, wait for its first content, commit, and carry the answer to its end.

use futures::StreamExt;

use super::{
    limits::{
        AFTER_FINISH_MS, ERROR_BODY_MS, FIRST_CONTENT_MS, IDLE_MS, MAX_ANSWER_BYTES,
        MAX_ERROR_BYTES, STREAM_HEADERS_MS, TOTAL_MS, WHOLE_ANSWER_MS,
    },
    pipe::{Pipe, Whole},
    ports::{Platform, UpstreamCall, UpstreamResponse},
    run::{Job, Output, Running, read_all},
    watch::Waited,
};
use crate::{
    catalog::Route,
    chat::Event,
    dialects::{self, Inbound, Target},
    error::{Error, ErrorType, Next, Result},
};

/// A comment that keeps a silent stream open.
pub const KEEP_ALIVE: &[u8] = b": PATCHBAY PROCESSING\n\n";

/// How an attempt ended. The refusal of the hold is the `Err` of [`run`].
pub enum Attempted {
    /// The client has its answer, whole or cut short; nothing else may be tried.
    Answered,
    /// Nothing has left yet.
    Failed(Error),
}

/// Runs one attempt.
///
/// # Errors
/// The refusal of the hold.
pub async fn run<P: Platform>(
    running: &mut Running<'_, P>,
    job: &Job,
    attempt: &Route,
) -> Result<Attempted> {
    let target = Target {
        endpoint: &attempt.endpoint,
        provider: &attempt.provider,
    };
    let inbound = Inbound {
        request: &job.request,
        raw: Some(&job.raw),
    };
    let native = match dialects::request(&inbound, &target) {
        Ok(native) => native,
        Err(error) => return Ok(Attempted::Failed(error)),
    };
    let stream = job.request.stream;
    let started = running.platform.now_ms();
    let headers_by = started
        + if stream {
            STREAM_HEADERS_MS
        } else {
            WHOLE_ANSWER_MS
        };
    let call = running.platform.send(UpstreamCall {
        provider: std::rc::Rc::clone(&attempt.provider),
        request: native,
    });
    let response = match wait(running, stream, headers_by, call).await? {
        Some(Ok(response)) => response,
        Some(Err(error)) => return Ok(Attempted::Failed(error)),
        None => return Ok(Attempted::Failed(timed_out("response headers"))),
    };
    let now = running.platform.now_ms();
    running.tab().responded(response.status, now);
    if !(200..300).contains(&response.status) {
        return refused_by_upstream(running, attempt, stream, response).await;
    }
    let one_piece = !stream || response.content_type.contains("json");
    if one_piece {
        let by = started + WHOLE_ANSWER_MS;
        whole(running, job, attempt, response, by).await
    } else {
        let pipe = Pipe::new(job, &target, &running.tab().meta());
        Carry {
            running,
            pipe,
            preamble: Vec::new(),
            committed: false,
            finished: false,
            started,
            activity: now,
        }
        .run(response.body)
        .await
    }
}

/// Waits for `work` until `deadline`; keeps a stream's client informed meanwhile. `None`: the deadline passed.
async fn wait<T, P: Platform>(
    running: &mut Running<'_, P>,
    stream: bool,
    deadline: u64,
    work: impl Future<Output = T>,
) -> Result<Option<T>> {
    let mut work = std::pin::pin!(work);
    loop {
        let next = if stream {
            deadline.min(running.keep_alive_at())
        } else {
            deadline
        };
        let Running { gate, timer, .. } = running;
        match gate.beside(timer, next, work.as_mut()).await? {
            Waited::Value(value) => return Ok(Some(value)),
            Waited::Deadline if next >= deadline => return Ok(None),
            Waited::Deadline => {
                running.gate.granted().await?;
                running.write(KEEP_ALIVE.to_vec()).await;
            }
        }
    }
}

async fn refused_by_upstream<P: Platform>(
    running: &mut Running<'_, P>,
    attempt: &Route,
    stream: bool,
    response: UpstreamResponse<P::Body>,
) -> Result<Attempted> {
    let by = running.platform.now_ms() + ERROR_BODY_MS;
    let reading = read_all(response.body, MAX_ERROR_BYTES);
    let body = match wait(running, stream, by, reading).await? {
        Some(Ok(body)) => body,
        Some(Err(_)) | None => Vec::new(),
    };
    let mut error = dialects::error(attempt.provider.dialect, response.status, &body);
    error.retry_after = response.retry_after.or(error.retry_after);
    Ok(Attempted::Failed(error))
}

/// An answer in one piece: read, check, settle, hand over.
async fn whole<P: Platform>(
    running: &mut Running<'_, P>,
    job: &Job,
    attempt: &Route,
    response: UpstreamResponse<P::Body>,
    by: u64,
) -> Result<Attempted> {
    let reading = read_all(response.body, MAX_ANSWER_BYTES);
    let body = match wait(running, job.request.stream, by, reading).await? {
        Some(Ok(body)) => body,
        Some(Err(error)) => return Ok(Attempted::Failed(error)),
        None => return Ok(Attempted::Failed(timed_out("the whole answer"))),
    };
    let provider = &attempt.provider;
    let answer = match Whole::read(&body, provider.dialect, &provider.quirks) {
        Ok(answer) => answer,
        Err(error) => return Ok(Attempted::Failed(error)),
    };
    let now = running.platform.now_ms();
    let mut failure = None;
    for event in answer.events() {
        match event {
            Event::Error(error) => failure = Some(error.clone()),
            event => running.tab().see(event, now),
        }
    }
    if let Some(error) = failure.or_else(|| running.tab().empty_failure()) {
        return Ok(Attempted::Failed(error));
    }
    running.gate.granted().await?;
    let report = running.settle().await;
    let meta = running.tab().meta();
    if job.request.stream {
        running
            .write(answer.write_chunks(job, &meta, &report))
            .await;
    } else {
        let body = answer.write(job, &meta, &report);
        let head = running.tab().head();
        let tokens = (report.usage.prompt, report.usage.completion);
        let output = Output::Answer { head, body, tokens };
        running.outlet.send(output).await;
    }
    Ok(Attempted::Answered)
}

fn timed_out(what: &str) -> Error {
    Error::upstream(
        ErrorType::Timeout,
        format!("The provider took too long: timed out waiting for {what}"),
    )
}

/// What a step of a stream leads to.
enum Step {
    Go,
    /// The end mark was seen, or the body ended.
    End,
    /// The upstream failed.
    Broken(Error),
}

/// Carries one stream from the provider to the client.
struct Carry<'r, 'a, P: Platform> {
    running: &'r mut Running<'a, P>,
    pipe: Pipe,
    /// Client bytes held back until the commit (P116).
    preamble: Vec<u8>,
    committed: bool,
    /// A finish reason was seen.
    finished: bool,
    started: u64,
    /// When the last event (not comment) arrived.
    activity: u64,
}

impl<P: Platform> Carry<'_, '_, P> {
    async fn run(mut self, mut body: P::Body) -> Result<Attempted> {
        let mut events = Vec::new();
        let broken = loop {
            let deadline = self.deadline();
            let step = match wait(self.running, true, deadline, body.next()).await? {
                Some(Some(Ok(bytes))) => self.feed(&bytes, &mut events).await?,
                Some(Some(Err(error))) => Step::Broken(error),
                Some(None) => self.end_of_body(&mut events).await?,
                None if self.finished => Step::End,
                None => Step::Broken(self.overdue()),
            };
            match step {
                Step::Go => {}
                Step::End => break None,
                Step::Broken(error) => break Some(error),
            }
        };
        // Dropping the body closes the upstream before the account is asked to settle.
        drop(body);
        self.close(broken).await
    }

    fn deadline(&self) -> u64 {
        let total = self.started + TOTAL_MS;
        let wait = if self.finished {
            AFTER_FINISH_MS
        } else if self.committed {
            IDLE_MS
        } else {
            FIRST_CONTENT_MS
        };
        total.min(self.activity + wait)
    }

    fn overdue(&self) -> Error {
        timed_out(if self.committed {
            "the next piece of the stream"
        } else {
            "the first piece of the stream"
        })
    }

    async fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Step> {
        let mut out = std::mem::take(&mut self.preamble);
        let read = self.pipe.feed(bytes, &mut out, events);
        let step = self.take(out, events).await?;
        Ok(match (step, read) {
            (Step::Go, Err(error)) => Step::Broken(error),
            (step, _) => step,
        })
    }

    async fn end_of_body(&mut self, events: &mut Vec<Event>) -> Result<Step> {
        let mut out = std::mem::take(&mut self.preamble);
        let read = self.pipe.end(&mut out, events);
        let step = self.take(out, events).await?;
        Ok(match (step, read) {
            (Step::Go, Err(error)) => Step::Broken(error),
            (Step::Go, Ok(())) => Step::End,
            (step, _) => step,
        })
    }

    /// Notes the events and passes their bytes on, or holds them back before the commit.
    async fn take(&mut self, out: Vec<u8>, events: &mut Vec<Event>) -> Result<Step> {
        let mut step = Step::Go;
        if !events.is_empty() {
            self.activity = self.running.platform.now_ms();
        }
        let mut content = false;
        {
            let mut tab = self.running.tab();
            for event in events.iter() {
                match event {
                    Event::Error(error) => {
                        step = Step::Broken(error.clone());
                        break;
                    }
                    Event::Done => step = Step::End,
                    Event::Finish { .. } => self.finished = true,
                    event => content |= event.is_content(),
                }
                tab.see(event, self.activity);
            }
        }
        events.clear();
        if content && !self.committed {
            self.running.gate.granted().await?;
            self.committed = true;
        }
        if self.committed {
            self.running.write(out).await;
        } else {
            self.preamble = out;
        }
        Ok(step)
    }

    /// The stream is over: settle, and end it in a way that the client understands.
    async fn close(mut self, broken: Option<Error>) -> Result<Attempted> {
        let complete = self.running.tab().is_complete();
        let failure = match broken {
            Some(error) => Some(error),
            None if complete => None,
            None => Some(Error::upstream(
                ErrorType::ProviderUnavailable,
                "The provider's stream ended before the answer was complete",
            )),
        };
        if !self.committed {
            let empty = || self.running.tab().empty_failure();
            if let Some(error) = failure.clone().or_else(empty) {
                return Ok(Attempted::Failed(error));
            }
            self.running.gate.granted().await?;
        }
        let mut bytes = std::mem::take(&mut self.preamble);
        match failure {
            None => {
                let report = self.running.settle().await;
                self.pipe.finish(&report, &mut bytes);
            }
            Some(mut error) => {
                error.next = Next::Final;
                let error = self.running.tab().explain(error);
                self.running.tab().failed(&error);
                let report = self.running.settle().await;
                self.pipe.error(&error, &report, &mut bytes);
            }
        }
        self.running.write(bytes).await;
        Ok(Attempted::Answered)
    }
}
