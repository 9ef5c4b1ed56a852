//! The world of tests: a real SQLite with the product's migrations, a clock, a resolver, and receivers that answer as told.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use futures::executor::block_on;
use serde_json::{Value, json};

use super::{
    config::Config,
    deliver::{Delivered, run},
    kind::Kind,
    port::{Content, Outgoing, Port, Received},
    sample,
    store::{self, Destination, State},
    trace::Switches,
};
use crate::{
    credits::sql::SqlValue,
    database::{Database, Row, Statement, Transactions, sqlite::Sqlite},
    error::{Error, Result},
    identity::own_keys::seal::Keyring,
};

pub const NOW: i64 = 1_800_000_000_000;
pub const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What a receiver does with a request.
#[derive(Debug, Clone)]
pub enum Does {
    /// It answers: status, `retry-after`, body.
    Answers(u16, Option<u32>, &'static str),
    /// It does not answer.
    Hangs,
    /// The connection breaks.
    Breaks,
    /// It refuses (400) what holds this text.
    Chokes(&'static str),
}

/// The world of a test.
#[derive(Clone)]
pub struct World(pub Rc<Inner>);

pub struct Inner {
    pub d1: Sqlite,
    pub now: Cell<i64>,
    pub vars: RefCell<HashMap<String, String>>,
    /// By a part of the address; the last one stays.
    pub receivers: RefCell<Vec<(&'static str, VecDeque<Does>)>>,
    pub sent: RefCell<Vec<Outgoing>>,
    pub contents: RefCell<HashMap<String, Content>>,
    pub rows: Cell<i64>,
    pub random: Cell<u8>,
    /// Transactions until one fails.
    pub left: Cell<Option<u32>>,
}

impl World {
    pub fn new() -> Self {
        let d1 = Sqlite::new();
        d1.account("acc");
        d1.account("other");
        let world = Self(Rc::new(Inner {
            d1,
            now: Cell::new(NOW),
            vars: RefCell::default(),
            receivers: RefCell::default(),
            sent: RefCell::default(),
            contents: RefCell::default(),
            rows: Cell::new(0),
            random: Cell::new(0),
            left: Cell::new(None),
        }));
        world.set("BYOK_MASTER_KEY", MASTER);
        world
    }

    pub fn at(&self, now: i64) {
        self.0.now.set(now);
    }

    pub fn set(&self, name: &str, value: &str) {
        self.0
            .vars
            .borrow_mut()
            .insert(name.to_owned(), value.to_owned());
    }

    pub fn later(&self, ms: i64) {
        self.0.now.set(self.0.now.get() + ms);
    }

    pub fn receiver(&self, host: &'static str, does: &[Does]) {
        let mut receivers = self.0.receivers.borrow_mut();
        receivers.retain(|(known, _)| *known != host);
        receivers.push((host, does.iter().cloned().collect()));
    }

    /// A destination at `https://<host>.public.example.com`.
    pub fn destination(&self, host: &str, change: impl FnOnce(&mut Destination)) -> String {
        let kind = Kind::of("otel-collector").unwrap();
        let config = json!({"endpoint": format!("https://{host}.public.example.com/v1/traces"), "headers": {"authorization": "Bearer secret-of-the-account"}});
        let config = Config::read(kind, config.as_object().cloned().unwrap()).unwrap();
        let mut new = Destination {
            id: format!("d-{host}"),
            account: "acc".into(),
            kind,
            name: host.to_owned(),
            shown: config.shown(kind),
            sealed: String::new(),
            enabled: true,
            sampling_rate: sample::ALL,
            privacy_mode: false,
            api_key_hashes: None,
            filter_rules: None,
            switches: Switches::default(),
            created_at: NOW,
            updated_at: None,
            state: State::default(),
        };
        change(&mut new);
        let ring = Keyring::read(MASTER, None).unwrap();
        new.sealed = ring
            .seal(&[7; 32], &new.binding(), &config.to_text())
            .unwrap();
        block_on(store::insert(self, &new)).unwrap();
        new.id
    }

    /// Usage rows as an account's object writes them.
    pub fn flush(&self, account: &str, rows: Vec<(String, &str, Value)>) {
        let rows = rows.into_iter().map(|(id, status, mut row)| {
            let map = row.as_object_mut().unwrap();
            map.entry("created_at").or_insert(json!(NOW));
            json!({"id": id, "account": account, "key_hash": map.remove("key_hash").unwrap_or(json!("k")), "status": status, "cost": 1_000, "finished_at": NOW - 5_000, "row": row})
        });
        let rows: Vec<Value> = rows.collect();
        self.0.d1.flush(&rows);
    }

    /// So many plain requests of the account.
    pub fn requests(&self, many: usize) -> Vec<String> {
        let ids: Vec<String> = (0..many)
            .map(|_| {
                self.0.rows.set(self.0.rows.get() + 1);
                format!("gen-{:04}", self.0.rows.get())
            })
            .collect();
        self.flush(
            "acc",
            ids.iter()
                .map(|id| (id.clone(), "settled", json!({"model": "test/openai"})))
                .collect(),
        );
        ids
    }

    pub fn deliver(&self) -> Delivered {
        block_on(run(self)).unwrap()
    }

    /// The generations in each request to a host, in order.
    pub fn batches(&self, host: &str) -> Vec<Vec<String>> {
        let sent = self.0.sent.borrow();
        let here = sent.iter().filter(|request| request.url.contains(host));
        here.map(|request| generations(&request.body)).collect()
    }

    pub fn state(&self, id: &str) -> State {
        block_on(store::get(self, "acc", id))
            .unwrap()
            .unwrap()
            .state
    }

    pub fn letters(&self, id: &str) -> Vec<store::Letter> {
        block_on(store::letters(self, "acc", id, 1_000, 0)).unwrap()
    }

    pub fn run(&self, sql: &str, params: &[SqlValue]) -> Vec<Row> {
        self.0.d1.run(sql, params)
    }
}

impl Database for World {
    async fn query(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<Row>> {
        Ok(self.run(sql, params))
    }
}

impl Transactions for World {
    async fn transaction(&self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>> {
        match self.0.left.get() {
            Some(0) => return Err(Error::internal("an outage")),
            left => self.0.left.set(left.map(|left| left - 1)),
        }
        Ok(statements
            .iter()
            .map(|(sql, params)| self.run(sql, params))
            .collect())
    }
}

impl Port for World {
    fn now_ms(&self) -> u64 {
        self.0.now.get().unsigned_abs()
    }

    /// Those that sleep at the same time wake at the same time.
    async fn sleep(&self, ms: u64) {
        let end = self.0.now.get() + i64::try_from(ms).unwrap();
        let mut has_slept = false;
        futures::future::poll_fn(|context| {
            if std::mem::replace(&mut has_slept, true) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        self.at(self.0.now.get().max(end));
    }

    fn random(&self) -> Result<[u8; 32]> {
        self.0.random.set(self.0.random.get().wrapping_add(1));
        Ok([self.0.random.get(); 32])
    }

    fn var(&self, name: &str) -> Option<String> {
        self.0.vars.borrow().get(name).cloned()
    }

    async fn send(&self, request: Outgoing) -> Result<Received> {
        if let Some(query) = request
            .url
            .strip_prefix("https://cloudflare-dns.com/dns-query?")
        {
            return resolved(query);
        }
        let does = {
            let mut receivers = self.0.receivers.borrow_mut();
            let queue = receivers
                .iter_mut()
                .find(|(host, _)| request.url.contains(host));
            queue.and_then(|(_, queue)| {
                if queue.len() > 1 {
                    queue.pop_front()
                } else {
                    queue.front().cloned()
                }
            })
        };
        let text = String::from_utf8_lossy(&request.body).into_owned();
        self.0.sent.borrow_mut().push(request);
        let answer = |status: u16, retry_after: Option<u32>, body: &str| Received {
            status,
            retry_after,
            body: body.as_bytes().to_vec(),
        };
        match does {
            None => Ok(answer(200, None, "{}")),
            Some(Does::Answers(status, after, body)) => Ok(answer(status, after, body)),
            Some(Does::Hangs) => futures::future::pending().await,
            Some(Does::Breaks) => Err(Error::internal("broken")),
            Some(Does::Chokes(word)) if text.contains(word) => Ok(answer(400, None, "no")),
            Some(Does::Chokes(_)) => Ok(answer(200, None, "{}")),
        }
    }

    async fn sign_rs256(&self, _: &[u8], _: &[u8]) -> Result<Vec<u8>> {
        Ok(vec![1, 2, 3])
    }

    async fn contents(
        &self,
        account: &str,
        generations: &[&str],
    ) -> Result<Vec<(String, Content)>> {
        assert_eq!(account, "acc");
        let contents = self.0.contents.borrow();
        let found = generations
            .iter()
            .filter_map(|id| Some(((*id).to_owned(), contents.get(*id)?.clone())));
        Ok(found.collect())
    }

    fn report(&self, message: &str) {
        panic!("{message}");
    }
}

/// A resolver of a few names.
fn resolved(query: &str) -> Result<Received> {
    let (name, kind) = query
        .strip_prefix("name=")
        .unwrap()
        .split_once("&type=")
        .unwrap();
    let (a, aaaa): (&[&str], &[&str]) = match name.split('.').next().unwrap() {
        "private" => (&["10.0.0.1"], &[]),
        "mixed" => (&["8.8.8.8", "127.0.0.1"], &[]),
        "private6" => (&["8.8.8.8"], &["fd00::1"]),
        "absent" => {
            return Ok(Received {
                status: 200,
                body: br#"{"Status":3}"#.to_vec(),
                ..Received::default()
            });
        }
        "broken" => return Err(Error::internal("broken")),
        _ => (&["8.8.8.8"], &["2606:4700::1"]),
    };
    let numbers = if kind == "A" { a } else { aaaa };
    let code = if kind == "A" { 1 } else { 28 };
    let mut answers: Vec<Value> = numbers
        .iter()
        .map(|number| json!({"name": name, "type": code, "data": number}))
        .collect();
    answers.insert(
        0,
        json!({"name": name, "type": 5, "data": "alias.example.com."}),
    );
    let body = json!({"Status": 0, "Answer": answers});
    Ok(Received {
        status: 200,
        body: body.to_string().into_bytes(),
        ..Received::default()
    })
}

/// The generations in a request of OTLP JSON.
fn generations(body: &[u8]) -> Vec<String> {
    let body: Value = crate::json::from_slice(body).unwrap();
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let id = |span: &Value| {
        let pairs = span["attributes"].as_array().unwrap();
        let pair = pairs
            .iter()
            .find(|pair| pair["key"] == "gen_ai.response.id")?;
        Some(pair["value"]["stringValue"].as_str()?.to_owned())
    };
    spans
        .iter()
        .filter(|span| span["kind"] == 3)
        .filter_map(id)
        .collect()
}
