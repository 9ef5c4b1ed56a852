//! The body of a streamed response: bytes are asked for one piece at a time, and a client that leaves drops their source.
//!
//! The crate's own `from_stream` makes a promise, a task and closures for each piece. Here one task and two closures serve a
//! stream to its end. Nothing is read before the runtime asks, so a slow client slows the provider down.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    panic::AssertUnwindSafe,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use futures::{Stream, stream::LocalBoxStream};
use wasm_bindgen::{JsCast, prelude::Closure};
use wasm_bindgen_futures::spawn_local;

use super::js;

/// What the runtime's calls and the task share.
struct Shared {
    /// Absent once the client has left, or the end was reached.
    chunks: RefCell<Option<LocalBoxStream<'static, Vec<u8>>>>,
    wanted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Shared {
    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Hands pieces over for as long as they are wanted; ready when there is nothing more to do.
    fn poll(&self, outgoing: &js::Outgoing, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.wanted.get() && self.chunks.borrow().is_some() {
                self.waker.replace(Some(context.waker().clone()));
                return Poll::Pending;
            }
            // Taken out, so that a panic drops it and all it holds.
            let Some(mut chunks) = self.chunks.borrow_mut().take() else {
                return Poll::Ready(());
            };
            let polled = AssertUnwindSafe(|| chunks.as_mut().poll_next(context));
            match std::panic::catch_unwind(polled) {
                Ok(Poll::Pending) => {
                    self.chunks.replace(Some(chunks));
                    self.waker.replace(Some(context.waker().clone()));
                    return Poll::Pending;
                }
                Ok(Poll::Ready(Some(bytes))) => {
                    self.chunks.replace(Some(chunks));
                    self.wanted.set(false);
                    outgoing.push(&bytes);
                }
                Ok(Poll::Ready(None)) => outgoing.end(),
                Err(_) => outgoing.fail("a request panicked"),
            }
        }
    }
}

/// A `ReadableStream` of these bytes.
pub fn readable(chunks: LocalBoxStream<'static, Vec<u8>>) -> web_sys::ReadableStream {
    let shared = Rc::new(Shared {
        chunks: RefCell::new(Some(chunks)),
        wanted: Cell::new(false),
        waker: RefCell::new(None),
    });
    let asked = Rc::clone(&shared);
    let pull = Closure::<dyn FnMut()>::own_assert_unwind_safe(move || {
        asked.wanted.set(true);
        asked.wake();
    });
    let left = Rc::clone(&shared);
    let cancel = Closure::<dyn FnMut()>::own_assert_unwind_safe(move || {
        // The borrow ends before the source is dropped: that runs the code of whatever it holds.
        let source = left.chunks.borrow_mut().take();
        drop(source);
        left.wake();
    });
    let outgoing = js::Outgoing::new(pull.as_ref(), cancel.as_ref());
    let stream = outgoing.stream();
    spawn_local(async move {
        poll_fn(|context| shared.poll(&outgoing, context)).await;
        // The stream is over: it calls neither any more.
        drop((pull, cancel));
    });
    stream.unchecked_into()
}
