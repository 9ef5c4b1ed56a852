//! The platform as the traits that the other folders own: time, upstreams, accounts, KV, D1.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use futures::{
    FutureExt, StreamExt,
    future::{LocalBoxFuture, select, try_join_all},
};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::{Context, D1PreparedStatement, Env, ScheduleContext, console_error, console_warn};

use super::{
    fault::Faults,
    js,
    sleep::Sleep,
    upstream::{self, UpstreamBody},
    web,
};
use crate::{
    api::{Memory, World},
    catalog::{CatalogStore, Provider, Route},
    credits::{
        accounts::{Accounts, explain},
        ops::{self, Call},
        sql::SqlValue,
    },
    database::{Database, Row, Statement, Transactions},
    error::{Error, ErrorType, Next, Result, Source},
    identity::{
        Directory, KeyRecord,
        keys::{self, kv_key},
        own_keys::{self, OwnKeyCopies},
        people::oidc::Algorithm,
    },
    relay::{
        AttemptEnd, Bill, Hold, Platform, UpstreamCall, UpstreamResponse, WebResponse, limits,
    },
    server_tools::WebRequest,
    usage::statistics::{SNAPSHOT_KEY, SnapshotStore},
};

thread_local! {
    static MEMORY: Rc<Memory> = Rc::default();
}

/// How long a location may keep its own copy of a KV value, in seconds (the least the platform allows).
pub(super) const KV_CACHE_SECONDS: u64 = 30;
/// How long the copy of a key lives in KV, in seconds.
const KEY_COPY_SECONDS: u64 = 3_600;

/// How long the rest of an answer that is complete may still take, in milliseconds.
const RELEASE_MS: u64 = 1_000;

/// What keeps an event alive while its tasks run.
pub enum Tasks {
    /// A request's context.
    Request(Rc<Context>),
    /// A scheduled event's.
    Schedule(ScheduleContext),
    /// An object's alarm: what it starts lives as long as the object, and the cron ends what dies with it.
    Alarm,
}

/// One event's view of the platform. Clones share it.
#[derive(Clone)]
pub struct Edge(Rc<Inner>);

struct Inner {
    env: Env,
    tasks: Tasks,
    faults: Faults,
    detached: Rc<Cell<bool>>,
    object: RefCell<Option<(String, JsValue)>>,
}

impl Edge {
    /// The view of one event. `detached` is raised when the client's leaving must no longer end the request.
    pub fn new(env: Env, tasks: Tasks, faults: Faults, detached: Rc<Cell<bool>>) -> Self {
        Self(Rc::new(Inner {
            env,
            tasks,
            faults,
            detached,
            object: RefCell::new(None),
        }))
    }

    /// The faults that this request asked for.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    async fn rpc(&self, account: &str, op: &str, json: &str) -> Result<String> {
        let object = self.object(account)?;
        let promise = js::call(&object, op, json);
        let promise = promise.map_err(|error| account_failed(&error))?;
        let answer = JsFuture::from(promise).await;
        let answer = answer.map_err(|error| {
            // A stub is of no use after an exception.
            self.0.object.replace(None);
            account_failed(&error)
        })?;
        answer
            .as_string()
            .ok_or_else(|| account_failed(&JsValue::from_str("the answer is no text")))
    }

    /// The account's object: one stub for all calls of a request.
    fn object(&self, account: &str) -> Result<JsValue> {
        if let Some((of, object)) = &*self.0.object.borrow()
            && of == account
        {
            return Ok(object.clone());
        }
        let namespace = js_sys::Reflect::get(&self.0.env, &"ACCOUNT".into());
        let object = namespace.and_then(|namespace| js::object(&namespace, account));
        let object = object.map_err(|error| account_failed(&error))?;
        self.0
            .object
            .replace(Some((account.to_owned(), object.clone())));
        Ok(object)
    }

    async fn rpc_call<C: Call>(&self, account: &str, call: &C) -> Result<C::Reply> {
        let json = call.encode().map_err(explain)?;
        let answer = self.rpc(account, C::OP, &json).await?;
        C::decode(&answer).map_err(explain)
    }

    pub(super) fn kv(&self) -> Result<worker::kv::KvStore> {
        if self.0.faults.has("kv") {
            return Err(Error::internal("injected outage of KV"));
        }
        self.0
            .env
            .kv("KV")
            .map_err(|error| store_failed("KV", &error))
    }

    fn d1(&self) -> Result<worker::D1Database> {
        if self.0.faults.has("d1") {
            return Err(Error::internal("injected outage of D1"));
        }
        self.0
            .env
            .d1("DB")
            .map_err(|error| store_failed("D1", &error))
    }

    /// The lifetime that the deployment gives its holds.
    fn hold_lifetime_ms(&self) -> i64 {
        let named = self.binding("HOLD_LIFETIME_MS");
        let lifetime = limits::hold_lifetime_ms(named.as_deref()).unwrap_or_else(|problem| {
            console_error!("the variable HOLD_LIFETIME_MS is ignored: {problem}");
            limits::HOLD_LIFETIME_MS
        });
        i64::try_from(lifetime).unwrap_or(i64::MAX)
    }

    /// A variable or secret.
    pub(super) fn binding(&self, name: &str) -> Option<String> {
        js::text(&self.0.env, name)
    }

    /// A binding that is no text.
    pub(super) fn service(&self, name: &str) -> Option<JsValue> {
        let value = js_sys::Reflect::get(&self.0.env, &name.into()).ok()?;
        value.is_object().then_some(value)
    }

    fn has(&self, name: &str) -> bool {
        self.binding(name).is_some() || self.service(name).is_some()
    }
}

/// How long KV keeps a copy. Who changes something about a key knows it by its own hash: copies by other secrets must go by
/// themselves.
fn key_copy_seconds(key: &KeyRecord) -> u64 {
    match &key.secret {
        Some(secret) if *secret != key.hash => 60,
        _ => KEY_COPY_SECONDS,
    }
}

impl Platform for Edge {
    type Body = UpstreamBody;

    fn now_ms(&self) -> u64 {
        js::now_ms()
    }

    fn sleep(&self, ms: u64) -> LocalBoxFuture<'static, ()> {
        Sleep::new(ms).boxed_local()
    }

    fn send(
        &self,
        call: UpstreamCall,
    ) -> LocalBoxFuture<'static, Result<UpstreamResponse<UpstreamBody>>> {
        let edge = self.clone();
        async move { upstream::send(call, &edge).await }.boxed_local()
    }

    fn fetch(
        &self,
        request: WebRequest,
    ) -> LocalBoxFuture<'static, Result<WebResponse<UpstreamBody>>> {
        web::fetch(request).boxed_local()
    }

    fn utc_offset(&self, zone: &str) -> Option<i32> {
        web::utc_offset(zone)
    }

    fn hold(&self, mut hold: Hold) -> LocalBoxFuture<'static, Result<ops::HoldReply>> {
        let edge = self.clone();
        hold.call.ttl_ms = hold.call.ttl_ms.min(self.hold_lifetime_ms());
        async move {
            let reply = edge.rpc_call(&hold.account, &hold.call).await;
            if let Ok(ops::HoldReply::Refused(_)) = &reply {
                edge.memory().caution.note(&hold.account, js::now_ms());
            }
            reply
        }
        .boxed_local()
    }

    fn is_cautious(&self, account: &str) -> bool {
        self.memory().caution.is_due(account, js::now_ms())
    }

    fn settle(&self, bill: Bill) -> LocalBoxFuture<'static, Result<ops::Finished>> {
        let edge = self.clone();
        async move {
            let settled = match &bill {
                Bill::Settle { account, call } => edge.rpc_call(account, call).await,
                Bill::Void { account, call } => edge.rpc_call(account, call).await,
            };
            if let Err(error) = &settled {
                console_error!("a request could not be settled yet: {error}");
            }
            settled
        }
        .boxed_local()
    }

    fn release(&self, mut body: UpstreamBody) {
        self.spawn(
            async move {
                let rest = async { while body.next().await.is_some_and(|piece| piece.is_ok()) {} };
                let limit = Sleep::new(RELEASE_MS);
                select(std::pin::pin!(rest), limit).await;
            }
            .boxed_local(),
        );
    }

    fn attempt_begins(&self, route: &Route) {
        let memory = self.memory();
        memory.health.begin(&route.endpoint, js::now_ms());
    }

    fn attempt_ended(&self, end: &AttemptEnd<'_>) {
        self.memory().note(end, js::now_ms());
    }

    fn spawn(&self, task: LocalBoxFuture<'static, ()>) {
        match &self.0.tasks {
            Tasks::Request(context) => context.wait_until(task),
            Tasks::Schedule(context) => context.wait_until(task),
            Tasks::Alarm => wasm_bindgen_futures::spawn_local(task),
        }
    }

    fn detach(&self) {
        self.0.detached.set(true);
    }
}

impl Directory for Edge {
    async fn key_in_kv(&self, hash: &str) -> Result<Option<KeyRecord>> {
        let kv = self.kv()?;
        let text = kv
            .get(&kv_key(hash))
            .cache_ttl(KV_CACHE_SECONDS)
            .text()
            .await;
        match text.map_err(|error| store_failed("KV", &error))? {
            Some(text) => crate::json::from_str(&text)
                .map(Some)
                .map_err(|error| Error::internal(format!("a key's copy in KV: {error}"))),
            None => Ok(None),
        }
    }

    async fn key_in_d1(&self, hash: &str) -> Result<Option<KeyRecord>> {
        let rows = self.query(keys::SELECT, &[hash.into()]).await?;
        rows.first().map(KeyRecord::from_row).transpose()
    }

    async fn copy_key_to_kv(&self, key: &KeyRecord) -> Result<()> {
        let text = serde_json::to_string(key)
            .map_err(|error| Error::internal(format!("a key's record: {error}")))?;
        let put = self
            .kv()?
            .put(&kv_key(key.secret.as_ref().unwrap_or(&key.hash)), text);
        let put = put.map_err(|error| store_failed("KV", &error))?;
        let put = put.expiration_ttl(key_copy_seconds(key)).execute().await;
        put.map_err(|error| store_failed("KV", &error))
    }

    fn warn(&self, message: &str) {
        console_warn!("{message}");
    }
}

impl OwnKeyCopies for Edge {
    async fn own_keys_copy(&self, account: &str) -> Result<Option<String>> {
        let kv = self.kv()?;
        let text = kv.get(&own_keys::kv_key(account));
        let text = text.cache_ttl(KV_CACHE_SECONDS).text().await;
        text.map_err(|error| store_failed("KV", &error))
    }

    async fn copy_own_keys_to_kv(&self, account: &str, text: &str) -> Result<()> {
        let put = self.kv()?.put(&own_keys::kv_key(account), text);
        let put = put.map_err(|error| store_failed("KV", &error))?;
        let put = put.expiration_ttl(own_keys::COPY_SECONDS).execute().await;
        put.map_err(|error| store_failed("KV", &error))
    }

    fn warn(&self, message: &str) {
        console_warn!("{message}");
    }
}

impl CatalogStore for Edge {
    async fn catalog_text(&self, key: &str) -> Result<Option<String>> {
        let read = async {
            let kv = self.kv()?;
            let text = kv.get(key).cache_ttl(KV_CACHE_SECONDS).text().await;
            text.map_err(|error| store_failed("KV", &error))
        };
        match read.await {
            Ok(Some(text)) => Ok(Some(text)),
            Ok(None) => Ok(None),
            Err(error) => {
                CatalogStore::warn(self, &format!("the catalog is read from D1: {error}"));
                let (sql, params) = crate::api::select_catalog(key);
                let rows = self.query(sql, &params).await?;
                let text = rows.first().and_then(|row| row.get("json")?.as_str());
                Ok(text.map(str::to_owned))
            }
        }
    }

    fn warn(&self, message: &str) {
        console_warn!("{message}");
    }
}

impl Database for Edge {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        let failed = |error: worker::Error| store_failed("D1", &error);
        let statement = statement(&self.d1()?, sql, params)?;
        let result = statement.all().await.map_err(failed)?;
        result.results::<Row>().map_err(failed)
    }
}

impl Transactions for Edge {
    async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        let failed = |error: worker::Error| store_failed("D1", &error);
        let database = self.d1()?;
        let bound: Result<Vec<_>> = statements
            .iter()
            .map(|(sql, params)| statement(&database, sql, params))
            .collect();
        // D1 runs a batch as one transaction.
        let results = database.batch(bound?).await.map_err(failed)?;
        let rows = results.iter().map(|result| match result.error() {
            Some(error) => Err(store_failed("D1", &error)),
            None => result.results::<Row>().map_err(failed),
        });
        rows.collect()
    }
}

fn statement(
    database: &worker::D1Database,
    sql: &str,
    params: &[SqlValue],
) -> Result<D1PreparedStatement> {
    let mut bound = Vec::with_capacity(params.len());
    for param in params {
        if !param.in_range() {
            return Err(Error::internal("an integer beyond 2^53 was to be bound"));
        }
        bound.push(match param {
            #[expect(clippy::cast_precision_loss, reason = "the value is within 2^53")]
            SqlValue::Int(value) => JsValue::from_f64(*value as f64),
            SqlValue::Text(text) => JsValue::from_str(text),
            SqlValue::Null => JsValue::NULL,
        });
    }
    let statement = database.prepare(sql).bind(&bound);
    statement.map_err(|error| store_failed("D1", &error))
}

impl SnapshotStore for Edge {
    async fn snapshot(&self) -> Result<Option<String>> {
        let kv = self.kv()?;
        let text = kv.get(SNAPSHOT_KEY).cache_ttl(KV_CACHE_SECONDS).text();
        text.await.map_err(|error| store_failed("KV", &error))
    }

    async fn keep_snapshot(&self, text: &str) -> Result<()> {
        self.put_kv(&[(SNAPSHOT_KEY.to_owned(), text.to_owned())])
            .await
    }

    fn warn(&self, message: &str) {
        console_warn!("{message}");
    }
}

impl Accounts for Edge {
    async fn call<C: Call>(&self, account: &str, call: &C) -> Result<C::Reply> {
        if self.0.faults.has("object-panic") {
            self.rpc(account, "panic", "{}").await?;
        }
        self.rpc_call(account, call).await
    }
}

impl World for Edge {
    fn memory(&self) -> Rc<Memory> {
        MEMORY.with(Rc::clone)
    }

    fn random(&self) -> Result<[u8; 32]> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
        Ok(bytes)
    }

    fn var(&self, name: &str) -> Option<String> {
        self.binding(name)
    }

    fn can_reach(&self, provider: &Provider) -> bool {
        provider.is_reachable(|name| self.has(name))
    }

    fn can_call(&self, provider: &Provider) -> bool {
        provider.is_callable(|name| self.has(name))
    }

    async fn put_kv(&self, writes: &[(String, String)]) -> Result<()> {
        let kv = self.kv()?;
        let failed = |error: worker::kv::KvError| store_failed("KV", &error);
        let puts = writes.iter().map(|(key, text)| {
            let put = kv.put(key, text.as_str());
            async move { put.map_err(failed)?.execute().await.map_err(failed) }
        });
        try_join_all(puts).await?;
        Ok(())
    }

    async fn delete_kv(&self, keys: &[String]) -> Result<()> {
        let kv = self.kv()?;
        for key in keys {
            kv.delete(key)
                .await
                .map_err(|error| store_failed("KV", &error))?;
        }
        Ok(())
    }

    async fn verify(
        &self,
        algorithm: Algorithm,
        jwk: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool> {
        let unusable = |_: JsValue| Error::internal("a key of an issuer cannot be used");
        let checked = js::verify(algorithm.as_str(), jwk, message, signature).map_err(unusable)?;
        let checked = JsFuture::from(checked).await.map_err(unusable)?;
        Ok(checked.is_truthy())
    }

    fn report(&self, message: &str) {
        console_error!("{message}");
    }
}

pub(super) fn store_failed(store: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(
        Source::Gateway,
        Next::SameAgain,
        ErrorType::ProviderOverloaded,
        format!("{store} failed: {error}"),
    )
}

/// An object that cannot be reached may be reached again; one that panicked would most likely do so again.
fn account_failed(error: &JsValue) -> Error {
    console_error!("the account's object failed: {error:?}");
    if is_panic(error) {
        return Error::internal("the account's object panicked");
    }
    Error::new(
        Source::Gateway,
        Next::SameAgain,
        ErrorType::ProviderOverloaded,
        "The account cannot be reached right now: try again",
    )
}

/// Whether a panic unwound out of the object: what is thrown then keeps its name on the way here.
fn is_panic(error: &JsValue) -> bool {
    let thrown = error.dyn_ref::<js_sys::Error>();
    thrown.is_some_and(|thrown| String::from(thrown.to_string()).starts_with("PanicError"))
}
