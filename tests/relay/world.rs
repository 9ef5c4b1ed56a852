//! The platform of the tests: a clock that stands until it is moved, the account's ledger, and faults on demand.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::LocalBoxFuture;
use futures::task::LocalSpawnExt;

use patchbay::catalog::Route;
use patchbay::credits::ops::{Finished, HoldReply};
use patchbay::error::{Error, Result};
use patchbay::relay::{
    AttemptEnd, Bill, Hold, Platform, UpstreamCall, UpstreamResponse, WebResponse,
};
use patchbay::server_tools::WebRequest;
use patchbay::usage::UsageRow;

use crate::store::{Account, NOON};
use crate::upstream::{Body, Call, Script};

/// How the account takes the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// As it should, after so many milliseconds.
    Slow(u64),
    /// It never answers and does nothing.
    Silent,
    /// It fails and does nothing.
    Fails,
    /// It does what it was asked; the answer is lost.
    Lost,
}

/// The world of one request. Dropping it drops every task, also those that wait for ever.
pub struct World {
    core: Rc<Core>,
    pool: RefCell<LocalPool>,
}

impl std::ops::Deref for World {
    type Target = Rc<Core>;

    fn deref(&self) -> &Rc<Core> {
        &self.core
    }
}

/// What the tasks share.
pub struct Core {
    now: Rc<Cell<u64>>,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    timers_made: Cell<u64>,
    spawner: LocalSpawner,
    pub account: Account,
    pub scripts: RefCell<VecDeque<Script>>,
    pub calls: RefCell<Vec<Rc<Call>>>,
    /// How search engines and web servers answer.
    pub pages: RefCell<VecDeque<Script>>,
    /// What they were asked.
    pub asked: RefCell<Vec<WebRequest>>,
    pub hold_faults: RefCell<VecDeque<Fault>>,
    /// The account was refused a moment ago.
    pub cautious: Cell<bool>,
    pub settle_faults: RefCell<VecDeque<Fault>>,
    pub holds: RefCell<Vec<Hold>>,
    /// Every try to settle, with its time.
    pub bills: RefCell<Vec<(u64, Bill)>>,
    /// Some call had its effect on the account.
    pub reached: Cell<bool>,
    pub detached: Cell<bool>,
    /// What the isolate's memory was told of attempts.
    pub noted: RefCell<Vec<String>>,
    /// Panic when the clock has been read so many times.
    pub panic_after: Cell<Option<u32>>,
}

/// Dollars are nano-dollars here: an account rich enough for every test.
pub const RICH: i64 = 1_000_000_000_000;

impl World {
    pub fn new(balance: i64, scripts: impl IntoIterator<Item = Script>) -> Self {
        let pool = LocalPool::new();
        let core = Rc::new(Core {
            now: Rc::new(Cell::new(NOON as u64)),
            timers: RefCell::default(),
            timers_made: Cell::default(),
            spawner: pool.spawner(),
            account: Account::with(balance),
            scripts: RefCell::new(scripts.into_iter().collect()),
            calls: RefCell::default(),
            pages: RefCell::default(),
            asked: RefCell::default(),
            hold_faults: RefCell::default(),
            cautious: Cell::default(),
            settle_faults: RefCell::default(),
            holds: RefCell::default(),
            bills: RefCell::default(),
            reached: Cell::new(false),
            detached: Cell::new(false),
            noted: RefCell::default(),
            panic_after: Cell::new(None),
        });
        Self {
            core,
            pool: RefCell::new(pool),
        }
    }

    /// Runs everything that can run without time passing.
    pub fn settle_down(&self) {
        self.pool.borrow_mut().run_until_stalled();
    }

    /// Runs, then moves the clock to the next timer. False when nobody waits for time any more.
    pub fn step(&self) -> bool {
        self.settle_down();
        let Some(due) = self.timers.borrow().keys().next().map(|(due, _)| *due) else {
            return false;
        };
        self.now.set(self.now.get().max(due));
        let mut timers = self.timers.borrow_mut();
        let later = timers.split_off(&(self.now.get(), u64::MAX));
        for waker in std::mem::replace(&mut *timers, later).into_values() {
            waker.wake();
        }
        true
    }

    /// Runs until nothing moves any more.
    pub fn run_out(&self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Runs while time stays below `ms` since the beginning.
    pub fn run_until(&self, ms: u64) {
        self.settle_down();
        while self.next_timer().is_some_and(|due| due < ms) {
            self.step();
            self.settle_down();
        }
    }

    fn next_timer(&self) -> Option<u64> {
        let timers = self.timers.borrow();
        timers.keys().next().map(|(due, _)| *due - NOON as u64)
    }
}

impl Core {
    /// Milliseconds since the test began.
    pub fn elapsed(&self) -> u64 {
        self.now.get() - NOON as u64
    }

    /// A clock to read the elapsed time from.
    pub fn clock(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.now)
    }

    pub fn spawn_task(&self, task: impl Future<Output = ()> + 'static) {
        self.spawner.spawn_local(task).unwrap();
    }

    pub fn timer(self: &Rc<Self>, ms: u64) -> Sleep {
        let number = self.timers_made.get();
        self.timers_made.set(number + 1);
        Sleep {
            world: Rc::clone(self),
            key: (self.now.get() + ms, number),
        }
    }

    /// The entries that ended the request: kind and amount.
    pub fn ends(&self) -> Vec<String> {
        self.account
            .store
            .texts("SELECT kind || ' ' || -amount FROM entries WHERE kind <> 'grant' ORDER BY seq")
    }

    /// The usage rows that wait for D1.
    pub fn rows(&self) -> Vec<UsageRow> {
        let rows = self.account.peek();
        let read =
            |row: &patchbay::credits::ops::OutboxRow| serde_json::from_str(row.row.get()).unwrap();
        rows.iter().map(read).collect()
    }

    /// The one usage row.
    pub fn row(&self) -> UsageRow {
        let mut rows = self.rows();
        assert_eq!(rows.len(), 1, "exactly one usage row");
        rows.remove(0)
    }

    /// What the request has cost so far.
    pub fn charged(&self) -> i64 {
        self.account.snapshot().charged.get()
    }

    pub fn call(&self, at: usize) -> Rc<Call> {
        Rc::clone(&self.calls.borrow()[at])
    }

    /// Calls the account with the fault in force.
    async fn ask<T>(
        self: Rc<Self>,
        fault: Option<Fault>,
        call: impl FnOnce(&Account) -> T,
    ) -> Result<T> {
        let failed = || Error::internal("the account is out");
        match fault {
            Some(Fault::Slow(ms)) => self.timer(ms).await,
            Some(Fault::Silent) => pending().await,
            Some(Fault::Fails) => return Err(failed()),
            Some(Fault::Lost) | None => {
                // Nothing over a network is ready at once.
                let mut polled = false;
                poll_fn(|context| {
                    if std::mem::replace(&mut polled, true) {
                        return Poll::Ready(());
                    }
                    context.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
            }
        }
        self.account.now.set(self.now.get() as i64);
        self.reached.set(true);
        let answer = call(&self.account);
        if fault == Some(Fault::Lost) {
            return Err(failed());
        }
        Ok(answer)
    }
}

/// A timer of the world's clock.
pub struct Sleep {
    world: Rc<Core>,
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.world.now.get() >= self.key.0 {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        self.world.timers.borrow_mut().insert(self.key, waker);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.world.timers.borrow_mut().remove(&self.key);
    }
}

/// The platform as the relay sees it.
#[derive(Clone)]
pub struct Edge(pub Rc<Core>);

impl Platform for Edge {
    type Body = Body;

    fn now_ms(&self) -> u64 {
        if let Some(left) = self.0.panic_after.get() {
            self.0.panic_after.set(left.checked_sub(1));
            assert!(left > 0, "a panic on purpose");
        }
        self.0.now.get()
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<'static, ()> {
        self.0.timer(ms).boxed_local()
    }

    fn send(&self, call: UpstreamCall) -> LocalBoxFuture<'static, Result<UpstreamResponse<Body>>> {
        let world = Rc::clone(&self.0);
        async move {
            let script = world.scripts.borrow_mut().pop_front();
            let script = script.unwrap_or_else(|| panic!("no script for {}", call.provider.slug));
            let log = Rc::new(Call::new(&world, call.request.body));
            world.calls.borrow_mut().push(Rc::clone(&log));
            script.answer(world, log).await
        }
        .boxed_local()
    }

    fn fetch(&self, request: WebRequest) -> LocalBoxFuture<'static, Result<WebResponse<Body>>> {
        let world = Rc::clone(&self.0);
        async move {
            let script = world.pages.borrow_mut().pop_front();
            let script = script.unwrap_or_else(|| panic!("no page for {}", request.url));
            let (status, location) = (script.status.unwrap_or(504), script.location);
            let content_type = script.content_type.to_owned();
            world.asked.borrow_mut().push(request.clone());
            let log = Rc::new(Call::new(&world, request.body.unwrap_or_default()));
            let answer = script.answer(world, log).await?;
            Ok(WebResponse {
                status,
                content_type,
                location: location.to_owned(),
                body: answer.body,
            })
        }
        .boxed_local()
    }

    fn utc_offset(&self, zone: &str) -> Option<i32> {
        (zone == "Europe/Berlin").then_some(60)
    }

    fn hold(&self, hold: Hold) -> LocalBoxFuture<'static, Result<HoldReply>> {
        let world = Rc::clone(&self.0);
        async move {
            world.holds.borrow_mut().push(hold.clone());
            let fault = world.hold_faults.borrow_mut().pop_front();
            world.ask(fault, |account| account.ok(&hold.call)).await
        }
        .boxed_local()
    }

    fn is_cautious(&self, _account: &str) -> bool {
        self.0.cautious.get()
    }

    fn settle(&self, bill: Bill) -> LocalBoxFuture<'static, Result<Finished>> {
        let world = Rc::clone(&self.0);
        async move {
            let now = world.elapsed();
            world.bills.borrow_mut().push((now, bill.clone()));
            let fault = world.settle_faults.borrow_mut().pop_front();
            let answer = world.ask(fault, |account| match &bill {
                Bill::Settle { call, .. } => account.call(call),
                Bill::Void { call, .. } => account.call(call),
            });
            answer
                .await?
                .map_err(|error| Error::internal(error.to_string()))
        }
        .boxed_local()
    }

    fn attempt_begins(&self, route: &Route) {
        let begun = format!("{} begins", route.endpoint.tag);
        self.0.noted.borrow_mut().push(begun);
    }

    fn attempt_ended(&self, end: &AttemptEnd<'_>) {
        let tag = &end.route.endpoint.tag;
        let ended = format!(
            "{tag} ends: {:?} {:?}",
            end.measured.verdict, end.retry_after_s
        );
        self.0.noted.borrow_mut().push(ended);
    }

    fn spawn(&self, task: LocalBoxFuture<'static, ()>) {
        self.0.spawn_task(task);
    }

    fn detach(&self) {
        self.0.detached.set(true);
    }
}
