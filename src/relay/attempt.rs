//! One attempt: call the provider, wait for its first content, commit, and carry the answer to its end.

use futures::StreamExt;

use super::{
    job::Job,
    limits::{
        AFTER_FINISH_MS, ERROR_BODY_MS, FIRST_CONTENT_MS, IDLE_MS, MAX_ANSWER_BYTES,
        MAX_ERROR_BYTES, MAX_PREAMBLE_BYTES, STREAM_HEADERS_MS, WHOLE_ANSWER_MS,
    },
    pipe::{Pipe, Whole},
    ports::{Platform, UpstreamCall, UpstreamResponse},
    run::Running,
    watch::Denied,
};
use crate::{
    catalog::Dialect,
    chat::Event,
    dialects::{self, Inbound, Target},
    error::{Error, ErrorType, Result},
    routing::Step,
};

/// How an attempt ended.
pub enum Attempted {
    /// The client has its answer, whole or cut short; nothing else may be tried.
    Answered,
    /// The provider failed, and nothing has left yet.
    Failed(Error),
    /// The request cannot be said in the dialect of this endpoint, which was not called.
    Unsayable(Error),
}

/// Runs one attempt.
///
/// # Errors
/// When the hold is denied.
pub async fn run<P: Platform>(
    running: &mut Running<'_, P>,
    job: &Job,
    step: &Step,
) -> Result<Attempted, Denied> {
    let route = &step.route;
    let target = Target {
        endpoint: &route.endpoint,
        provider: &route.provider,
    };
    let inbound = Inbound {
        request: &job.request,
        raw: Some(&job.raw),
    };
    let native = match dialects::request(&inbound, &target) {
        Ok(native) => native,
        Err(error) => return Ok(Attempted::Unsayable(error)),
    };
    let stream = job.request.stream;
    let dispatched = running.platform.now_ms();
    running.tab().begin_attempt(route, dispatched);
    let call = running.platform.send(UpstreamCall {
        provider: std::rc::Rc::clone(&route.provider),
        credential: step.credential.clone(),
        request: native,
    });
    let limit = if stream {
        STREAM_HEADERS_MS
    } else {
        WHOLE_ANSWER_MS
    };
    let by = running.deadline(dispatched, limit);
    let response = match running.wait(by, call).await? {
        Some(Ok(response)) => response,
        Some(Err(error)) => return Ok(Attempted::Failed(error)),
        None => return Ok(Attempted::Failed(timed_out("its response headers"))),
    };
    let now = running.platform.now_ms();
    running.tab().responded(response.status, now);
    if !(200..300).contains(&response.status) {
        return refused(running, route.provider.dialect, response).await;
    }
    if !stream || response.content_type.contains("json") {
        let by = running.deadline(dispatched, WHOLE_ANSWER_MS);
        return whole(running, job, &target, response.body, by).await;
    }
    let pipe = Pipe::new(job, &target, &running.tab().meta());
    let carry = Carry {
        running,
        pipe,
        preamble: Vec::new(),
        responded: now,
        committed: None,
        finished: None,
    };
    carry.run(response.body).await
}

/// The provider answered with another status than success: reads why, as far as it says so in time.
async fn refused<P: Platform>(
    running: &mut Running<'_, P>,
    dialect: Dialect,
    response: UpstreamResponse<P::Body>,
) -> Result<Attempted, Denied> {
    let by = running.deadline(running.platform.now_ms(), ERROR_BODY_MS);
    let mut body = Vec::new();
    // Whatever came is worth telling, also where the rest did not.
    let _ = running
        .wait(by, read(response.body, MAX_ERROR_BYTES, &mut body))
        .await?;
    let mut error = dialects::error(dialect, response.status, &body);
    error.retry_after = response.retry_after.or(error.retry_after);
    Ok(Attempted::Failed(error))
}

/// An answer in one piece: read, check, settle, hand over.
async fn whole<P: Platform>(
    running: &mut Running<'_, P>,
    job: &Job,
    target: &Target<'_>,
    body: P::Body,
    by: u64,
) -> Result<Attempted, Denied> {
    let mut bytes = Vec::new();
    let reading = read(body, MAX_ANSWER_BYTES, &mut bytes);
    let failure = match running.wait(by, reading).await? {
        Some(Ok(true)) => None,
        Some(Ok(false)) => Some(unusable(format!(
            "The provider answered with more than {MAX_ANSWER_BYTES} bytes"
        ))),
        Some(Err(error)) => Some(error),
        None => Some(timed_out("the end of its answer")),
    };
    if let Some(error) = failure {
        return Ok(Attempted::Failed(error));
    }
    let answer = match Whole::read(target, &bytes) {
        Ok(answer) => answer,
        Err(error) if error.raw.is_none() => return Ok(Attempted::Failed(error.with_raw(&bytes))),
        Err(error) => return Ok(Attempted::Failed(error)),
    };
    let now = running.platform.now_ms();
    let fault = {
        let mut tab = running.tab();
        tab.arrived(now);
        tab.serves(now);
        let mut fault = None;
        for event in answer.events() {
            tab.see(event, now);
            if let Event::Error(error) = event {
                fault.get_or_insert(error.clone());
            }
        }
        fault.or_else(|| tab.fault())
    };
    if let Some(error) = fault {
        return Ok(Attempted::Failed(error));
    }
    running.granted().await?;
    let report = running.settle().await;
    let body = answer.write(job, &running.tab().meta(), &report);
    if job.request.stream {
        running.write(body).await;
    } else {
        let tokens = (report.usage.prompt, report.usage.completion);
        running.answer(body, tokens).await;
    }
    Ok(Attempted::Answered)
}

/// Appends a body to `bytes`, at most `limit` of it. Whether that was all.
async fn read<B>(mut body: B, limit: usize, bytes: &mut Vec<u8>) -> Result<bool>
where
    B: futures::Stream<Item = Result<Vec<u8>>> + Unpin,
{
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
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
    }
    Ok(true)
}

fn timed_out(what: &str) -> Error {
    Error::upstream(
        ErrorType::Timeout,
        format!("The provider took too long: timed out waiting for {what}"),
    )
}

fn unusable(message: impl Into<String>) -> Error {
    Error::upstream(ErrorType::ProviderUnavailable, message)
}

/// What a piece of a stream leads to.
enum Piece {
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
    /// When the response headers arrived.
    responded: u64,
    /// Since the commit: when the last event arrived. Comments are none.
    committed: Option<u64>,
    /// When every choice had its finish reason.
    finished: Option<u64>,
}

impl<P: Platform> Carry<'_, '_, P> {
    async fn run(mut self, mut body: P::Body) -> Result<Attempted, Denied> {
        let mut events = Vec::new();
        let broken = loop {
            let by = self.deadline();
            let step = match self.running.wait(by, body.next()).await? {
                Some(Some(Ok(bytes))) => self.feed(Some(&bytes), &mut events).await?,
                Some(Some(Err(error))) => Piece::Broken(error),
                Some(None) => self.feed(None, &mut events).await?,
                None if self.finished.is_some() => Piece::End,
                None if self.committed.is_some() => {
                    Piece::Broken(timed_out("the next piece of its stream"))
                }
                None => Piece::Broken(timed_out("the first piece of its stream")),
            };
            match step {
                Piece::Go => {}
                Piece::End => break None,
                Piece::Broken(error) => break Some(error),
            }
        };
        if broken.is_none() && self.running.tab().is_complete() {
            self.running.platform.release(body);
        } else {
            // Dropping the body closes the upstream before the account is asked to settle (P126).
            drop(body);
        }
        self.close(broken).await
    }

    fn deadline(&self) -> u64 {
        let (from, limit) = match (self.finished, self.committed) {
            // Heartbeats do not put it off (P122).
            (Some(finished), _) => (finished, AFTER_FINISH_MS),
            (None, Some(last)) => (last, IDLE_MS),
            (None, None) => (self.responded, FIRST_CONTENT_MS),
        };
        self.running.deadline(from, limit)
    }

    /// Reads the next bytes, or the end of the body.
    async fn feed(
        &mut self,
        bytes: Option<&[u8]>,
        events: &mut Vec<Event>,
    ) -> Result<Piece, Denied> {
        let mut out = std::mem::take(&mut self.preamble);
        let read = match bytes {
            Some(bytes) => self.pipe.feed(bytes, &mut out, events),
            None => self.pipe.end(&mut out, events),
        };
        let step = self.note(events);
        if self.committed.is_some() {
            self.running.granted().await?;
            self.running.write(out).await;
        } else {
            self.preamble = out;
        }
        Ok(match (step, read) {
            (Piece::Go, Err(error)) => Piece::Broken(error),
            (Piece::Go, Ok(())) if bytes.is_none() => Piece::End,
            (Piece::Go, Ok(())) if self.preamble.len() > MAX_PREAMBLE_BYTES => Piece::Broken(
                unusable("The provider sent a stream without content that does not end"),
            ),
            (step, _) => step,
        })
    }

    /// Notes the events on the tab; content commits the request to this attempt.
    fn note(&mut self, events: &mut Vec<Event>) -> Piece {
        if events.is_empty() {
            return Piece::Go;
        }
        let now = self.running.platform.now_ms();
        let mut tab = self.running.tab();
        let mut step = Piece::Go;
        let mut content = false;
        for event in events.drain(..) {
            tab.see(&event, now);
            content |= event.is_content();
            match event {
                Event::Error(error) => {
                    step = Piece::Broken(error);
                    break;
                }
                Event::Done => step = Piece::End,
                _ => {}
            }
        }
        if self.committed.is_none() {
            tab.arrived(now);
            if content {
                tab.serves(now);
            }
        }
        if content || self.committed.is_some() {
            self.committed = Some(now);
        }
        self.finished = tab.is_finished().then(|| self.finished.unwrap_or(now));
        step
    }

    /// The stream is over: settles, and ends it in a way that the client understands. What breaks after a complete answer
    /// is no longer of interest.
    async fn close(mut self, broken: Option<Error>) -> Result<Attempted, Denied> {
        let committed = self.committed.is_some();
        let failure = {
            let tab = self.running.tab();
            match broken {
                _ if tab.is_complete() => tab.fault().filter(|_| !committed),
                Some(error) => Some(error),
                None => Some(unusable(
                    "The provider's stream ended before the answer was complete",
                )),
            }
        };
        if !committed {
            if let Some(error) = failure {
                return Ok(Attempted::Failed(error));
            }
            self.running.granted().await?;
            let now = self.running.platform.now_ms();
            self.running.tab().serves(now);
        }
        let mut bytes = std::mem::take(&mut self.preamble);
        if let Some(error) = failure {
            let error = self.running.tab().explain(error);
            self.running.tab().fail(error.to_string());
            let report = self.running.settle().await;
            self.pipe.error(&error, &report, &mut bytes);
        } else {
            let report = self.running.settle().await;
            self.pipe.finish(&report, &mut bytes);
        }
        self.running.write(bytes).await;
        Ok(Attempted::Answered)
    }
}
