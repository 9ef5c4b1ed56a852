//! The world around an execution: the ledger on SQLite, providers that answer as they are told, a clock.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::LocalBoxFuture;
use patchbay::access::token::{TokenPort, Tokens};
use patchbay::credits::accounts::explain;
use patchbay::credits::ops;
use patchbay::error::{Error, Result};
use patchbay::tools::catalog::{Class, Tool};
use patchbay::tools::envelope::{Envelope, ToolError};
use patchbay::tools::execute::{
    self, Answer, Attempt, Call, Choosing, Chosen, Outgoing, OwnKey, Payer, Record, SendError,
    ToolPort,
};
use serde_json::{Value, json, value::RawValue};

use crate::rows::view;
use crate::store::{Account, NOON};

/// How long a provider takes.
const TAKES_MS: i64 = 100;

/// What a provider does with a request.
pub type Reply = Result<Answer, SendError>;

/// The world. Clones share it.
#[derive(Clone)]
pub struct World(Rc<Inner>);

struct Inner {
    account: Account,
    replies: RefCell<VecDeque<Reply>>,
    sent: RefCell<Vec<Outgoing>>,
    attempts: RefCell<Vec<(String, bool, Option<Class>)>>,
    variables: RefCell<HashMap<String, String>>,
    reports: RefCell<Vec<String>>,
    own: RefCell<Vec<OwnKey>>,
    /// So many calls of the object fail: before it has heard of them, or after.
    deaf: Cell<u32>,
    mute: Cell<u32>,
    after_send: Cell<Option<(u32, u32)>>,
    spawned: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    ids: Cell<u32>,
    preferred: RefCell<String>,
    detached: Cell<bool>,
}

pub fn ok(body: Value) -> Reply {
    status(200, body)
}

pub fn status(status: u16, body: Value) -> Reply {
    Ok(Answer {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes(),
    })
}

pub fn call(tool: &str, input: Value) -> Call {
    Call {
        tool: tool.to_owned(),
        input,
        surface: "rest",
        ..Call::default()
    }
}

pub fn named(tool: &str, input: Value, key: &str) -> Call {
    Call {
        idempotency_key: Some(key.to_owned()),
        ..call(tool, input)
    }
}

pub fn own(provider: &str, secret: &str) -> OwnKey {
    OwnKey {
        provider: provider.to_owned(),
        id: format!("own-{provider}"),
        label: "...abcd".to_owned(),
        secret: secret.to_owned(),
        is_fallback: false,
        is_required: false,
    }
}

impl World {
    /// An account with this balance, in nano-dollars, and the operator's keys.
    pub fn with(balance: i64) -> Self {
        let variables = [
            ("MAIL_KEY", "operator-mail-key"),
            ("CRAWL_KEY", "operator-crawl-key"),
            ("FIRST_KEY", "operator-first-key"),
            ("SECOND_KEY", "operator-second-key"),
            ("THIRD_KEY", "operator-third-key"),
            ("SHOP_KEY", "operator-shop-key"),
        ];
        Self(Rc::new(Inner {
            account: Account::with(balance),
            replies: RefCell::default(),
            sent: RefCell::default(),
            attempts: RefCell::default(),
            variables: RefCell::new(
                variables
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            ),
            reports: RefCell::default(),
            own: RefCell::default(),
            deaf: Cell::default(),
            mute: Cell::default(),
            after_send: Cell::default(),
            spawned: RefCell::default(),
            ids: Cell::default(),
            preferred: RefCell::default(),
            detached: Cell::default(),
        }))
    }

    pub fn account(&self) -> &Account {
        &self.0.account
    }

    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.0.replies.borrow_mut().extend(replies);
    }

    pub fn set(&self, name: &str, value: &str) {
        self.0
            .variables
            .borrow_mut()
            .insert(name.to_owned(), value.to_owned());
    }

    pub fn brings(&self, key: OwnKey) {
        self.0.own.borrow_mut().push(key);
    }

    /// The tool that comes first among those of its capability.
    pub fn prefers(&self, tool: &str) {
        *self.0.preferred.borrow_mut() = tool.to_owned();
    }

    /// So many calls of the object never reach it.
    pub fn deaf(&self, calls: u32) {
        self.0.deaf.set(calls);
    }

    /// So many answers of the object are lost.
    pub fn mute(&self, calls: u32) {
        self.0.mute.set(calls);
    }

    fn view(&self) -> patchbay::tools::catalog::ToolView {
        let own = self.0.own.borrow();
        let slugs: Vec<&str> = own.iter().map(|key| key.provider.as_str()).collect();
        view(&slugs)
    }

    fn payer(&self) -> Payer {
        Payer {
            account: "acme".to_owned(),
            key_hash: "k".to_owned(),
            ..Payer::default()
        }
    }

    /// Runs a call under a new id.
    pub fn run(&self, call: Call) -> Envelope {
        let id = self.0.ids.get() + 1;
        self.0.ids.set(id);
        let call = Call {
            id: format!("exec-{id}"),
            ..call
        };
        let own = self.0.own.borrow().clone();
        block_on(execute::run(self, &self.view(), &self.payer(), &own, call))
    }

    /// Runs a call; once its request is sent, so many calls of the object fail.
    pub fn run_then(&self, call: Call, deaf: u32, mute: u32) -> Envelope {
        self.0.after_send.set(Some((deaf, mute)));
        self.run(call)
    }

    /// Runs a call until its request is sent: then the isolate dies, and tells nobody.
    pub fn die_when_sent(&self, call: Call) {
        self.0.after_send.set(Some((u32::MAX, 0)));
        self.run(call);
        self.0.spawned.borrow_mut().clear();
        self.deaf(0);
    }

    pub fn look(&self, id: &str) -> std::result::Result<Envelope, ToolError> {
        let own = self.0.own.borrow().clone();
        block_on(execute::look(self, &self.view(), &self.payer(), &own, id))
    }

    pub fn cancel(&self, id: &str) -> std::result::Result<Envelope, ToolError> {
        let own = self.0.own.borrow().clone();
        block_on(execute::cancel(self, &self.view(), &self.payer(), &own, id))
    }

    /// What was started behind answers comes to its end.
    pub fn settle(&self) {
        let tasks = std::mem::take(&mut *self.0.spawned.borrow_mut());
        for task in tasks {
            block_on(task);
        }
    }

    pub fn sent(&self) -> usize {
        self.0.sent.borrow().len()
    }

    /// The request in this place: method, address, headers.
    pub fn request(&self, at: usize) -> (String, String, HashMap<String, String>) {
        let sent = self.0.sent.borrow();
        let request = &sent[at];
        let headers = request.headers.iter().cloned().collect();
        (request.method.clone(), request.url.clone(), headers)
    }

    /// The body of the request in this place.
    pub fn body(&self, at: usize) -> Value {
        let sent = self.0.sent.borrow();
        serde_json::from_slice(sent[at].body.as_deref().unwrap_or(b"null")).unwrap()
    }

    pub fn attempts(&self) -> Vec<(String, bool, Option<Class>)> {
        self.0.attempts.borrow().clone()
    }

    pub fn reports(&self) -> String {
        self.0.reports.borrow().join("\n")
    }

    pub fn was_detached(&self) -> bool {
        self.0.detached.get()
    }

    pub fn balance(&self) -> i64 {
        self.0.account.snapshot().balance.get()
    }

    /// What the rows in the outbox say: id, status, cost, and the row.
    pub fn rows(&self) -> Vec<(String, &'static str, i64, Value)> {
        let rows = self.0.account.peek().into_iter();
        rows.map(|row| {
            let told = serde_json::from_str(row.row.get()).unwrap();
            (row.id, row.status.as_str(), row.cost.get(), told)
        })
        .collect()
    }
}

impl ToolPort for World {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.account.now.get()).unwrap()
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<'static, ()> {
        self.0.account.later(i64::try_from(ms).unwrap());
        async {}.boxed_local()
    }

    fn random(&self) -> Result<[u8; 32]> {
        let id = self.0.ids.get();
        Ok([u8::try_from(id % 251).unwrap(); 32])
    }

    fn send(&self, request: Outgoing) -> LocalBoxFuture<'static, Reply> {
        let timeout_ms = i64::try_from(request.timeout_ms).unwrap();
        self.0.sent.borrow_mut().push(request);
        let reply = self.0.replies.borrow_mut().pop_front();
        let reply = reply.unwrap_or_else(|| panic!("a request that nobody expected"));
        let takes = if reply == Err(SendError::TimedOut) {
            timeout_ms
        } else {
            TAKES_MS
        };
        self.0.account.later(takes);
        if let Some((deaf, mute)) = self.0.after_send.take() {
            self.deaf(deaf);
            self.mute(mute);
        }
        async { reply }.boxed_local()
    }

    async fn ledger<C: ops::Call>(&self, account: &str, call: &C) -> Result<C::Reply> {
        assert_eq!(account, "acme");
        let lost = || Err(Error::internal("the object cannot be reached"));
        if self.0.deaf.get() > 0 {
            self.0.deaf.set(self.0.deaf.get() - 1);
            return lost();
        }
        let reply = self.0.account.call(call).map_err(explain);
        if self.0.mute.get() > 0 {
            self.0.mute.set(self.0.mute.get() - 1);
            return lost();
        }
        reply
    }

    fn choose(&self, choosing: &Choosing<'_>) -> Chosen {
        let preferred = self.0.preferred.borrow();
        let mut order: Vec<usize> = (0..choosing.tools.len()).collect();
        // The provider that is known to be slow, where the test names one.
        let slow = self
            .var("SLOW")
            .filter(|_| choosing.wish.max_latency_ms.is_some());
        order.retain(|at| slow.as_deref() != Some(choosing.tools[*at].provider.slug.as_str()));
        order.sort_by_key(|at| choosing.tools[*at].id != *preferred);
        Chosen {
            order,
            routing: None,
        }
    }

    fn tokens(&self) -> Rc<Tokens> {
        Rc::default()
    }

    fn issuer(&self) -> impl TokenPort + 'static {
        NoIssuer
    }

    fn attempted(&self, tool: &Tool, is_own: bool, attempt: &Attempt) {
        let mut attempts = self.0.attempts.borrow_mut();
        attempts.push((tool.id.clone(), is_own, attempt.class));
    }

    fn usage_row(&self, record: &Record<'_>) -> Result<Box<RawValue>> {
        let attempts: Vec<Value> = record
            .attempts
            .iter()
            .map(|attempt| json!({"tool": attempt.tool, "status": attempt.status, "error": attempt.error}))
            .collect();
        let row = json!({
            "api_type": "tool", "model": record.tool, "provider": record.provider, "surface": record.surface,
            "latency_ms": record.latency_ms, "error": record.error, "own_key": record.own_key,
            "list_cost": record.list_cost.map(|cost| cost.get()), "attempts": attempts,
        });
        Ok(RawValue::from_string(row.to_string()).unwrap())
    }

    fn var(&self, name: &str) -> Option<String> {
        self.0.variables.borrow().get(name).cloned()
    }

    fn report(&self, message: &str) {
        self.0.reports.borrow_mut().push(message.to_owned());
    }

    fn spawn(&self, task: LocalBoxFuture<'static, ()>) {
        self.0.spawned.borrow_mut().push(task);
    }

    fn detach(&self) {
        self.0.detached.set(true);
    }
}

struct NoIssuer;

impl TokenPort for NoIssuer {
    fn now_ms(&self) -> u64 {
        u64::try_from(NOON).unwrap()
    }

    async fn post_form(&self, _url: &str, _form: &str) -> Result<(u16, Vec<u8>)> {
        Err(Error::internal("no tool here has tokens"))
    }

    async fn sign_rs256(&self, _pkcs8: &[u8], _message: &[u8]) -> Result<Vec<u8>> {
        Err(Error::internal("no tool here has tokens"))
    }
}
