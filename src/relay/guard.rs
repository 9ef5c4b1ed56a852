//! The promise that every exit settles: when a request's future is dropped, a task that outlives it takes the tab.
//!
//! The same task hands over the record of what was asked and answered, so that no client waits for it.

use std::{
    cell::{RefCell, RefMut},
    rc::Rc,
};

use futures::{FutureExt, channel::oneshot};

use super::{
    limits::{SETTLE_MS, SETTLE_PAUSES_MS},
    ports::Platform,
    tab::Tab,
    watch::Timer,
};

/// Holds the tab of a running request.
pub struct Guard {
    tab: Rc<RefCell<Tab>>,
    dropped: Option<oneshot::Sender<()>>,
}

impl Guard {
    /// Registers the task; must be called before the response is returned.
    pub fn new<P: Platform>(platform: &P, tab: Tab) -> Self {
        let tab = Rc::new(RefCell::new(tab));
        let (dropped, wait) = oneshot::channel();
        let task = finish(platform.clone(), Rc::clone(&tab));
        platform.spawn(wait.then(|_| task).boxed_local());
        Self {
            tab,
            dropped: Some(dropped),
        }
    }

    /// The tab, shared with those who write on it.
    pub fn share(&self) -> Rc<RefCell<Tab>> {
        Rc::clone(&self.tab)
    }

    /// The tab. The borrow must not be held over an await.
    pub fn tab(&self) -> RefMut<'_, Tab> {
        self.tab.borrow_mut()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(mut tab) = self.tab.try_borrow_mut()
        {
            tab.fail("The gateway failed".to_owned());
        }
        if let Some(dropped) = self.dropped.take() {
            // The receiver is gone only when the runtime has given the task up; the object's alarm does the rest then.
            let _ = dropped.send(());
        }
    }
}

/// What is done behind the response: the bill, where it is still open, and the record of what was asked and answered.
async fn finish<P: Platform>(platform: P, tab: Rc<RefCell<Tab>>) {
    settle_late(platform, Rc::clone(&tab)).await;
    let content = tab.borrow_mut().take_content();
    if let Some((keeper, captured)) = content {
        (keeper.0)(captured).await;
    }
}

/// Settles what is still open, in several tries.
async fn settle_late<P: Platform>(platform: P, tab: Rc<RefCell<Tab>>) {
    let mut timer = Timer::new(platform.clone());
    for pause in SETTLE_PAUSES_MS {
        if !tab.borrow().is_open() {
            return;
        }
        if pause > 0 {
            platform.sleep(pause).await;
        }
        let (bill, _) = tab.borrow().bill();
        let by = platform.now_ms() + SETTLE_MS;
        if let Some(Ok(_)) = timer.within(by, platform.settle(bill)).await {
            tab.borrow_mut().close();
        }
    }
}
