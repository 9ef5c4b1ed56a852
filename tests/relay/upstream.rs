//! Providers by script: when they answer, what, in which pieces, and how they fail.

use std::cell::Cell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::Stream;

use patchbay::error::{Error, ErrorType, Result};
use patchbay::relay::UpstreamResponse;

use crate::store::NOON;
use crate::world::{Core, Sleep};

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Open,
    Ended,
    Aborted,
}

/// What the provider saw of a call.
pub struct Call {
    clock: Rc<Cell<u64>>,
    /// When it began.
    pub at: u64,
    /// What was asked.
    pub body: Vec<u8>,
    pub fate: Cell<Fate>,
    /// When the call ended or was aborted.
    pub closed_at: Cell<u64>,
}

impl Call {
    pub fn new(world: &Core, body: Vec<u8>) -> Self {
        Self {
            clock: world.clock(),
            at: world.elapsed(),
            body,
            fate: Cell::new(Fate::Open),
            closed_at: Cell::new(0),
        }
    }

    fn close(&self, fate: Fate) {
        if self.fate.get() == Fate::Open {
            self.fate.set(fate);
            self.closed_at.set(self.clock.get() - NOON as u64);
        }
    }
}

/// Part of a body.
#[derive(Debug, Clone)]
pub enum Piece {
    Bytes(Vec<u8>),
    /// Nothing for so many milliseconds.
    Wait(u64),
    /// The connection breaks.
    Break,
    /// Nothing ever again.
    Hang,
    /// The platform panics.
    Panic,
}

/// How a provider treats one call.
#[derive(Debug, Clone)]
pub struct Script {
    pub after: u64,
    /// The response; `None`: none ever comes.
    pub status: Option<u16>,
    /// The connection fails instead.
    pub refuses: bool,
    pub content_type: &'static str,
    pub retry_after: Option<u32>,
    /// The header that names an error's kind.
    pub error_kind: Option<&'static str>,
    /// Where a page leads instead.
    pub location: &'static str,
    pub body: Vec<Piece>,
}

/// A stream with this body.
pub fn sse(body: impl IntoIterator<Item = Piece>) -> Script {
    Script {
        after: 1,
        status: Some(200),
        refuses: false,
        content_type: "text/event-stream",
        retry_after: None,
        error_kind: None,
        location: "",
        body: body.into_iter().collect(),
    }
}

/// An answer in one piece.
pub fn json(status: u16, body: &str) -> Script {
    Script {
        status: Some(status),
        content_type: "application/json",
        ..sse([Piece::Bytes(body.as_bytes().to_vec())])
    }
}

/// A connection that fails.
pub fn refuses() -> Script {
    Script {
        refuses: true,
        ..sse([])
    }
}

/// A provider that never answers.
pub fn mute() -> Script {
    Script {
        status: None,
        ..sse([])
    }
}

impl Script {
    pub fn after(self, after: u64) -> Self {
        Self { after, ..self }
    }

    pub fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    pub fn error_kind(self, kind: &'static str) -> Self {
        Self {
            error_kind: Some(kind),
            ..self
        }
    }

    pub async fn answer(self, world: Rc<Core>, call: Rc<Call>) -> Result<UpstreamResponse<Body>> {
        let mut body = Body {
            pieces: self.body.into_iter(),
            waiting: None,
            hangs: false,
            call,
            world: Rc::clone(&world),
        };
        world.timer(self.after).await;
        let Some(status) = self.status else {
            return pending().await;
        };
        if self.refuses {
            body.pieces = Vec::new().into_iter();
            body.call.close(Fate::Ended);
            return Err(Error::upstream(
                ErrorType::ProviderUnavailable,
                "The connection to the provider failed",
            ));
        }
        Ok(UpstreamResponse {
            status,
            content_type: self.content_type.to_owned(),
            retry_after: self.retry_after,
            error_kind: self.error_kind.map(str::to_owned),
            body,
        })
    }
}

/// The body of an answer; dropping it before its end aborts the call.
pub struct Body {
    pieces: std::vec::IntoIter<Piece>,
    waiting: Option<Pin<Box<Sleep>>>,
    hangs: bool,
    call: Rc<Call>,
    world: Rc<Core>,
}

impl Stream for Body {
    type Item = Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.hangs {
                return Poll::Pending;
            }
            if let Some(wait) = &mut self.waiting {
                if wait.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.waiting = None;
            }
            match self.pieces.next() {
                Some(Piece::Bytes(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(Piece::Wait(ms)) => self.waiting = Some(Box::pin(self.world.timer(ms))),
                Some(Piece::Hang) => self.hangs = true,
                Some(Piece::Panic) => panic!("a panic on purpose"),
                Some(Piece::Break) => {
                    self.call.close(Fate::Ended);
                    let error = Error::upstream(
                        ErrorType::ProviderUnavailable,
                        "The connection to the provider failed",
                    );
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.call.close(Fate::Ended);
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.call.close(Fate::Aborted);
    }
}

fn bytes(text: String) -> Piece {
    Piece::Bytes(text.into_bytes())
}

/// A chunk with this delta and finish reason of choice 0.
pub fn chunk(delta: &str, finish: Option<&str>) -> Piece {
    let finish = finish.map_or("null".to_owned(), |word| format!("\"{word}\""));
    bytes(format!(
        "data: {{\"id\":\"up-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    ))
}

/// The preamble that every stream begins with: no content.
pub fn role() -> Piece {
    chunk("{\"role\":\"assistant\",\"content\":\"\"}", None)
}

/// A chunk of text.
pub fn text(words: &str) -> Piece {
    chunk(&format!("{{\"content\":\"{words}\"}}"), None)
}

/// The chunk that ends the answer.
pub fn finish(word: &str) -> Piece {
    chunk("{}", Some(word))
}

/// The chunk that counts.
pub fn usage(prompt: u64, completion: u64) -> Piece {
    bytes(format!(
        "data: {{\"id\":\"up-1\",\"choices\":[],\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{}}}}}\n\n",
        prompt + completion
    ))
}

/// The end mark.
pub fn done() -> Piece {
    bytes("data: [DONE]\n\n".to_owned())
}

/// A comment.
pub fn comment() -> Piece {
    bytes(": still here\n\n".to_owned())
}

/// A whole answer of these words.
pub fn answer(words: &str, prompt: u64, completion: u64) -> Script {
    json(
        200,
        &format!(
            "{{\"id\":\"up-1\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{words}\"}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{}}}}}",
            prompt + completion
        ),
    )
}

/// A stream of these words, each a chunk, that ends as it should.
pub fn stream(words: &[&str], prompt: u64, completion: u64) -> Script {
    let mut pieces = vec![role()];
    pieces.extend(words.iter().map(|word| text(word)));
    pieces.extend([finish("stop"), usage(prompt, completion), done()]);
    sse(pieces)
}
