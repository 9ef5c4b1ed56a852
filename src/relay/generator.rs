//! A stream written as an async function: the function sends items, the stream's poll drives it.
//!
//! One item is in flight at a time, so whoever reads slowly slows the function down (back-pressure). Dropping the stream
//! drops the function where it waits, and with it every guard it holds. Everything stays within one request's task.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use futures::{Stream, future::LocalBoxFuture};

/// Where the function puts its items.
pub struct Outlet<T>(Rc<RefCell<Option<T>>>);

impl<T> Outlet<T> {
    /// Hands an item over and waits until it was taken and the next one is asked for.
    pub async fn send(&self, item: T) {
        *self.0.borrow_mut() = Some(item);
        poll_fn(|_| {
            // Taken means that the reader came back: it polls this function again only for the next item.
            if self.0.borrow().is_some() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}

/// The stream of the items that an async function sends.
pub struct Generator<T> {
    function: Option<LocalBoxFuture<'static, ()>>,
    slot: Rc<RefCell<Option<T>>>,
}

impl<T: 'static> Generator<T> {
    /// Makes the stream; nothing runs before the first poll.
    pub fn new<F: Future<Output = ()> + 'static>(function: impl FnOnce(Outlet<T>) -> F) -> Self {
        let slot = Rc::new(RefCell::new(None));
        let function = function(Outlet(Rc::clone(&slot)));
        Self {
            function: Some(Box::pin(function)),
            slot,
        }
    }
}

impl<T> Stream for Generator<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(item) = self.slot.borrow_mut().take() {
            return Poll::Ready(Some(item));
        }
        // Taken out, so that a panic in the function drops it and all it holds.
        let Some(mut function) = self.function.take() else {
            return Poll::Ready(None);
        };
        let finished = function.as_mut().poll(context).is_ready();
        if !finished {
            self.function = Some(function);
        }
        let item = self.slot.borrow_mut().take();
        match item {
            Some(item) => Poll::Ready(Some(item)),
            None if finished => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, executor::block_on};

    #[test]
    fn items_come_in_order_and_the_stream_ends() {
        let numbers = Generator::new(|out| async move {
            for number in 0..3 {
                out.send(number).await;
            }
        });
        assert_eq!(block_on(numbers.collect::<Vec<_>>()), [0, 1, 2]);
    }

    #[test]
    fn dropping_the_stream_drops_what_the_function_holds() {
        let guard = Rc::new(());
        let held = Rc::clone(&guard);
        let mut stream = Generator::new(|out| async move {
            let _held = held;
            out.send(1).await;
            std::future::pending::<()>().await;
        });
        assert_eq!(block_on(stream.next()), Some(1));
        assert_eq!(Rc::strong_count(&guard), 2);
        drop(stream);
        assert_eq!(Rc::strong_count(&guard), 1);
    }

    #[test]
    fn a_function_runs_no_further_than_its_reader() {
        let sent = Rc::new(RefCell::new(0));
        let count = Rc::clone(&sent);
        let mut stream = Generator::new(|out| async move {
            loop {
                *count.borrow_mut() += 1;
                out.send(()).await;
            }
        });
        block_on(stream.next());
        block_on(stream.next());
        assert_eq!(*sent.borrow(), 2);
    }
}
