//! Waiting: the hold beside the upstream call, and one lazily armed timer per request.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
};

use futures::future::LocalBoxFuture;

use super::ports::Platform;
use crate::{
    credits::ops::{HoldReply, Refusal},
    error::{Error, ErrorType, Next, Result, Source},
};

/// Why nothing may leave for the client.
#[derive(Debug, Clone)]
pub enum Denied {
    /// The account refused: there is nothing to settle.
    Refused(Error),
    /// The account did not answer: it may hold credits, which have to be released.
    Unknown(Error),
}

/// The hold of a request: asked for at the start, awaited only before the first byte leaves.
pub struct HoldGate {
    call: LocalBoxFuture<'static, Result<HoldReply>>,
    explain: Box<dyn Fn(&Refusal) -> Error>,
    asked: bool,
    answer: Option<Result<(), Denied>>,
    /// When the account's silence counts as an outage.
    by: u64,
}

impl HoldGate {
    /// Wraps the call that asks for the hold. `explain` puts a refusal into words.
    pub fn new(
        call: LocalBoxFuture<'static, Result<HoldReply>>,
        by: u64,
        explain: impl Fn(&Refusal) -> Error + 'static,
    ) -> Self {
        Self {
            call,
            explain: Box::new(explain),
            asked: false,
            answer: None,
            by,
        }
    }

    /// Whether the account was asked at all.
    pub fn is_asked(&self) -> bool {
        self.asked
    }

    /// Waits until the hold is granted.
    ///
    /// # Errors
    /// When it is denied, or the account stays silent for too long.
    pub async fn granted<P: Platform>(&mut self, timer: &mut Timer<P>) -> Result<(), Denied> {
        poll_fn(|context| match self.poll(context) {
            Poll::Pending if timer.poll(context, self.by).is_ready() => {
                Poll::Ready(Err(self.give_up()))
            }
            answer => answer,
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Denied>> {
        if self.answer.is_none() {
            self.asked = true;
            self.answer = match self.call.as_mut().poll(context) {
                Poll::Ready(Ok(HoldReply::Granted { .. })) => Some(Ok(())),
                Poll::Ready(Ok(HoldReply::Refused(refusal))) => {
                    Some(Err(Denied::Refused((self.explain)(&refusal))))
                }
                Poll::Ready(Err(error)) => Some(Err(Denied::Unknown(error))),
                Poll::Pending => None,
            };
        }
        self.answer.clone().map_or(Poll::Pending, Poll::Ready)
    }

    fn give_up(&mut self) -> Denied {
        let denied = Denied::Unknown(Error::new(
            Source::Gateway,
            Next::SameAgain,
            ErrorType::ProviderOverloaded,
            "The account does not answer right now: try again",
        ));
        self.answer = Some(Err(denied.clone()));
        denied
    }
}

/// What ended a wait.
pub enum Woken<T> {
    /// The thing waited for.
    Value(T),
    /// The deadline passed first.
    Late,
    /// The client has heard nothing for long enough.
    Silent,
}

/// Waits for `work` until `by` (unix milliseconds) with the hold beside it; once the hold is granted, at most until `speak`.
///
/// # Errors
/// When the hold is denied, as soon as that is known; `work` is then dropped by the caller.
pub async fn beside<T, P: Platform>(
    gate: &mut HoldGate,
    timer: &mut Timer<P>,
    by: u64,
    speak: Option<u64>,
    mut work: std::pin::Pin<&mut impl Future<Output = T>>,
) -> Result<Woken<T>, Denied> {
    poll_fn(|context| {
        let open = match gate.poll(context) {
            Poll::Ready(Err(denied)) => return Poll::Ready(Err(denied)),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        if let Poll::Ready(value) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(Woken::Value(value)));
        }
        let (next, woken) = match speak {
            _ if !open && gate.by < by => (gate.by, None),
            Some(speak) if open && speak < by => (speak, Some(Woken::Silent)),
            _ => (by, Some(Woken::Late)),
        };
        if timer.poll(context, next).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(woken.ok_or_else(|| gate.give_up()))
    })
    .await
}

/// One timer per request. It is armed for the deadline in force when it is first needed, and armed again only when it has
/// fired or an earlier deadline comes: deadlines that move on with every chunk cost nothing per chunk.
pub struct Timer<P> {
    platform: P,
    armed: Option<(u64, LocalBoxFuture<'static, ()>)>,
}

impl<P: Platform> Timer<P> {
    /// An unarmed timer.
    pub fn new(platform: P) -> Self {
        Self {
            platform,
            armed: None,
        }
    }

    /// Waits for `work`, at most until `by`.
    pub async fn within<T>(&mut self, by: u64, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => self.poll(context, by).map(|()| None),
        })
        .await
    }

    /// Ready once `by` has passed.
    fn poll(&mut self, context: &mut Context<'_>, by: u64) -> Poll<()> {
        loop {
            match self.armed.as_mut() {
                Some((due, timer)) if *due <= by => {
                    if timer.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    self.armed = None;
                }
                _ => {
                    let wait = by.saturating_sub(self.platform.now_ms());
                    if wait == 0 {
                        return Poll::Ready(());
                    }
                    self.armed = Some((by, self.platform.sleep(wait)));
                }
            }
        }
    }
}
