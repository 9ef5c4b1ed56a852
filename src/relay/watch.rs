//! Waiting with deadlines: the hold beside the upstream call, and one lazily armed timer per request.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
};

use futures::future::LocalBoxFuture;

use super::ports::Platform;
use crate::error::Result;

/// What ended a wait.
pub enum Waited<T> {
    /// The thing waited for.
    Value(T),
    /// The deadline passed first.
    Deadline,
}

/// The hold of a request: asked for at the start, awaited only before the first byte leaves.
pub struct HoldGate {
    pending: Option<LocalBoxFuture<'static, Result<()>>>,
}

impl HoldGate {
    /// Wraps the call that asks for the hold.
    pub fn new(call: LocalBoxFuture<'static, Result<()>>) -> Self {
        Self {
            pending: Some(call),
        }
    }

    /// Waits until the hold is granted.
    ///
    /// # Errors
    /// The refusal.
    pub async fn granted(&mut self) -> Result<()> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(pending) = self.pending.as_mut() else {
            return Poll::Ready(Ok(()));
        };
        let answer = pending.as_mut().poll(context);
        if answer.is_ready() {
            self.pending = None;
        }
        answer
    }

    /// Runs `work` and the hold side by side until `work` ends or `deadline` (unix milliseconds) passes.
    ///
    /// # Errors
    /// The refusal of the hold, as soon as it comes; `work` is then dropped.
    pub async fn beside<T, P: Platform>(
        &mut self,
        timer: &mut Timer<P>,
        deadline: u64,
        work: impl Future<Output = T>,
    ) -> Result<Waited<T>> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if self.pending.is_some()
                && let Poll::Ready(Err(refusal)) = self.poll(context)
            {
                return Poll::Ready(Err(refusal));
            }
            if let Poll::Ready(value) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(Waited::Value(value)));
            }
            if timer.passed(context, deadline) {
                return Poll::Ready(Ok(Waited::Deadline));
            }
            Poll::Pending
        })
        .await
    }
}

/// One timer per request. It is armed for the deadline in force when it is first needed, and armed again only when it has
/// fired: deadlines that move with every chunk cost nothing per chunk.
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

    fn passed(&mut self, context: &mut Context<'_>, deadline: u64) -> bool {
        loop {
            match self.armed.as_mut() {
                Some((due, timer)) if *due <= deadline => {
                    if timer.as_mut().poll(context).is_pending() {
                        return false;
                    }
                    self.armed = None;
                    if self.platform.now_ms() >= deadline {
                        return true;
                    }
                }
                _ => {
                    let wait = deadline.saturating_sub(self.platform.now_ms());
                    if wait == 0 {
                        return true;
                    }
                    self.armed = Some((deadline, self.platform.sleep(wait)));
                }
            }
        }
    }
}
