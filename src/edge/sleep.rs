//! A timer whose latest poll is the one that is woken.
//!
//! The timer of the `worker` crate wakes whoever polled it first. A request's future moves from the task that answers to the
//! one that streams: a timer armed in the first would wake nobody in the second.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures::task::AtomicWaker;
use worker::Delay;

/// Ends after some time; dropping it clears the timer.
pub struct Sleep {
    delay: Delay,
    latest: Arc<Latest>,
    waker: Waker,
}

/// Passes a wake on to whoever polled last.
#[derive(Default)]
struct Latest(AtomicWaker);

impl Wake for Latest {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

impl Sleep {
    /// A timer of so many milliseconds, from its first poll.
    pub fn new(ms: u64) -> Self {
        let latest = Arc::<Latest>::default();
        Self {
            delay: Delay::from(Duration::from_millis(ms)),
            waker: Waker::from(Arc::clone(&latest)),
            latest,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.latest.0.register(context.waker());
        let Self { delay, waker, .. } = &mut *self;
        Pin::new(delay).poll(&mut Context::from_waker(waker))
    }
}
