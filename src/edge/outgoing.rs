//! The body of a streamed response: bytes are asked for one piece at a time, and a client that leaves drops their source.
//!
//! The crate's own `from_stream` makes a promise, a task and closures for each piece. Here one task and two closures serve a
//! stream to its end. Nothing is read before the runtime asks, so a slow client slows the provider down.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use futures::stream::LocalBoxStream;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen_futures::spawn_local;

use super::js;

/// What the runtime's calls and the task share. Only the stream's own functions keep it alive: a stream that the runtime
/// forgets takes it along.
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

    /// Ends the source. The borrow ends first: dropping it runs the code of whatever it holds.
    fn drop_source(&self) {
        let source = self.chunks.borrow_mut().take();
        drop(source);
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
            let handed = match catch_unwind(polled) {
                Ok(Poll::Pending) => {
                    self.chunks.replace(Some(chunks));
                    self.waker.replace(Some(context.waker().clone()));
                    return Poll::Pending;
                }
                Ok(Poll::Ready(Some(bytes))) => {
                    self.chunks.replace(Some(chunks));
                    self.wanted.set(false);
                    js::push(outgoing, &bytes)
                }
                Ok(Poll::Ready(None)) => js::end(outgoing),
                Err(_) => {
                    worker::console_error!("a request panicked");
                    js::fail(outgoing, "a request panicked")
                }
            };
            if handed.is_err() {
                // The stream was over before: nobody reads it.
                self.drop_source();
            }
        }
    }
}

/// A stream of these bytes.
pub fn readable(chunks: LocalBoxStream<'static, Vec<u8>>) -> web_sys::ReadableStream {
    let shared = Rc::new(Shared {
        chunks: RefCell::new(Some(chunks)),
        wanted: Cell::new(false),
        waker: RefCell::new(None),
    });
    let weak = Rc::downgrade(&shared);
    let asked = Rc::clone(&shared);
    let pull = Closure::<dyn FnMut()>::own_assert_unwind_safe(move || {
        asked.wanted.set(true);
        asked.wake();
    });
    let cancel = Closure::<dyn FnMut()>::own_assert_unwind_safe(move || {
        shared.drop_source();
        shared.wake();
    });
    let outgoing = js::outgoing(&pull.into_js_value(), &cancel.into_js_value());
    let stream = js::readable(&outgoing);
    spawn_local(poll_fn(move |context| {
        let shared = weak.upgrade();
        shared.map_or(Poll::Ready(()), |shared| shared.poll(&outgoing, context))
    }));
    stream
}
