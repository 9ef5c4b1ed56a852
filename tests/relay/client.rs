//! One request and the client that reads its answer: to the end, slowly, or until it leaves.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use futures::Stream;
use serde_json::{Value, json};

use patchbay::catalog::Route;
use patchbay::chat::estimate;
use patchbay::credits::share::Share;
use patchbay::dialects::openai_chat::client::parse_request;
use patchbay::error::Error;
use patchbay::relay::generator::Generator;
use patchbay::relay::{Head, Job, Origin, Output, Wishes, run};
use patchbay::routing::{Plan, Step};

use crate::store::NOON;
use crate::world::{Core, Edge, World};

/// Nano-dollars per prompt token at the endpoints of these tests.
pub const PROMPT: i64 = 1_000;
/// Nano-dollars per completion token.
pub const COMPLETION: i64 = 2_000;
/// The generation id of the one request.
pub const ID: &str = "gen-1";

/// An endpoint of a provider of this dialect; `change` edits provider and endpoint rows.
pub fn route(slug: &str, dialect: &str, change: impl FnOnce(&mut Value, &mut Value)) -> Route {
    let mut provider = json!({
        "slug": slug, "name": slug.to_uppercase(), "dialect": dialect,
        "base_url": "https://example.invalid", "auth": {"kind": "bearer"}, "secret": slug,
    });
    let mut endpoint = json!({
        "model": "m/m", "provider": slug, "tag": slug, "upstream_model_id": "m",
        "context_length": 100_000, "max_completion_tokens": 8_000,
        "prices": {"prompt": PROMPT * 1_000_000, "completion": COMPLETION * 1_000_000},
        "supported_parameters": ["temperature", "max_tokens"],
        "input_modalities": ["text"], "output_modalities": ["text"],
    });
    change(&mut provider, &mut endpoint);
    Route {
        endpoint: Rc::new(serde_json::from_value(endpoint).unwrap()),
        provider: Rc::new(serde_json::from_value(provider).unwrap()),
    }
}

/// A chat-completions endpoint.
pub fn openai(slug: &str) -> Route {
    route(slug, "openai_chat", |_, _| {})
}

/// A request over these endpoints; `body` adds to `{"model", "messages"}`.
pub fn job(body: Value, attempts: Vec<Route>) -> Job {
    let mut whole = json!({"model": "m/m", "messages": [{"role": "user", "content": "Say it."}]});
    whole
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    let raw = serde_json::to_vec(&whole).unwrap();
    let request = parse_request(&raw).unwrap();
    Job {
        id: ID.to_owned(),
        started_ms: NOON as u64,
        prompt_tokens: estimate::prompt_tokens(&request, "Other"),
        surface: Default::default(),
        request,
        raw,
        plan: Plan {
            attempts: attempts.into_iter().map(Step::from).collect(),
            ..Plan::default()
        },
        own_key_fee: Share::NONE,
        origin: Origin {
            account: "acme".to_owned(),
            key_hash: "k".to_owned(),
            request_id: "req-1".to_owned(),
            ..Origin::default()
        },
        affinity: Rc::default(),
        on_served: None,
        wishes: Wishes::default(),
        kit: None,
        ask: None,
        is_rewritten: false,
        left_out: Vec::new(),
        filters: None,
        trusted_hosts: Rc::default(),
        keeper: None,
    }
}

/// A streamed request over so many chat-completions endpoints named `a`, `b` …
pub fn streamed(endpoints: usize) -> Job {
    job(json!({"stream": true}), some(endpoints))
}

/// A request for an answer in one piece.
pub fn in_one_piece(endpoints: usize) -> Job {
    job(json!({}), some(endpoints))
}

fn some(endpoints: usize) -> Vec<Route> {
    let names = ('a'..='z').take(endpoints);
    names.map(|name| openai(&name.to_string())).collect()
}

/// When the client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    Never,
    /// Right after it has received so many outputs.
    AfterOutputs(usize),
    /// When it waits for the n-th time (from 0).
    AtWait(usize),
}

/// The client of one request.
pub struct Client {
    world: Rc<Core>,
    request: RefCell<Option<Generator<Output>>>,
    /// What arrived, and when.
    pub got: RefCell<Vec<(u64, Output)>>,
    waits: Cell<usize>,
    pub ended: Cell<bool>,
    pub panicked: Cell<bool>,
}

impl Client {
    /// Sends a request and reads.
    pub fn of(world: &World, job: Job) -> Rc<Self> {
        Self::reading(world, job, 0, Leaves::Never)
    }

    /// Sends a request and reads with a pause of so many milliseconds after each output.
    pub fn reading(world: &World, job: Job, pause: u64, leaves: Leaves) -> Rc<Self> {
        let client = Rc::new(Self {
            world: Rc::clone(world),
            request: RefCell::new(Some(run(Edge(Rc::clone(world)), job))),
            got: RefCell::default(),
            waits: Cell::default(),
            ended: Cell::default(),
            panicked: Cell::default(),
        });
        let reader = Rc::clone(&client);
        world.spawn_task(async move {
            loop {
                if leaves == Leaves::AfterOutputs(reader.got.borrow().len()) {
                    return reader.leave();
                }
                let Some(output) = reader.next(leaves).await else {
                    return;
                };
                let now = reader.world.elapsed();
                reader.got.borrow_mut().push((now, output));
                if pause > 0 {
                    reader.world.timer(pause).await;
                }
            }
        });
        client
    }

    async fn next(&self, leaves: Leaves) -> Option<Output> {
        poll_fn(|context| {
            let mut request = self.request.borrow_mut();
            let Some(stream) = request.as_mut() else {
                return Poll::Ready(None);
            };
            let stream = std::pin::Pin::new(stream);
            let polled = catch_unwind(AssertUnwindSafe(|| stream.poll_next(context)));
            let Ok(polled) = polled else {
                self.panicked.set(true);
                *request = None;
                return Poll::Ready(None);
            };
            if polled.is_pending() {
                if leaves == Leaves::AtWait(self.waits.get()) {
                    *request = None;
                    return Poll::Ready(None);
                }
                self.waits.set(self.waits.get() + 1);
            }
            if matches!(polled, Poll::Ready(None)) {
                self.ended.set(true);
                *request = None;
            }
            polled
        })
        .await
    }

    /// Closes the connection now.
    pub fn leave(&self) {
        *self.request.borrow_mut() = None;
    }

    /// Everything that arrived of a stream, as text.
    pub fn text(&self) -> String {
        let got = self.got.borrow();
        let chunks = got.iter().filter_map(|(_, output)| match output {
            Output::Chunk(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        String::from_utf8(chunks.collect::<Vec<_>>().concat()).unwrap()
    }

    /// The chunks of a stream as JSON, comments and end mark left out.
    pub fn chunks(&self) -> Vec<Value> {
        let text = self.text();
        let events = text.split("\n\n").filter_map(|e| e.strip_prefix("data: "));
        let chunks = events.filter(|data| *data != "[DONE]");
        chunks
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// The words of a stream.
    pub fn words(&self) -> String {
        let content = |chunk: &Value| {
            let delta = &chunk["choices"][0]["delta"];
            delta["content"].as_str().unwrap_or_default().to_owned()
        };
        self.chunks().iter().map(content).collect()
    }

    /// When outputs arrived.
    pub fn times(&self) -> Vec<u64> {
        self.got.borrow().iter().map(|(at, _)| *at).collect()
    }

    pub fn head(&self) -> Head {
        let got = self.got.borrow();
        match got.first() {
            Some((_, Output::Begin(head) | Output::Answer { head, .. })) => head.clone(),
            other => panic!("no head: {other:?}"),
        }
    }

    /// The error that the request failed with before its first byte.
    pub fn failure(&self) -> Error {
        let got = self.got.borrow();
        match got.as_slice() {
            [(_, Output::Failed(error))] => (**error).clone(),
            other => panic!("not a failure alone: {other:?}"),
        }
    }

    /// The answer in one piece.
    pub fn body(&self) -> Value {
        let got = self.got.borrow();
        match got.as_slice() {
            [(_, Output::Answer { body, .. })] => serde_json::from_slice(body).unwrap(),
            other => panic!("not an answer alone: {other:?}"),
        }
    }
}

/// Runs one request to its end in a world of these scripts.
pub fn play(
    job: Job,
    scripts: impl IntoIterator<Item = crate::upstream::Script>,
) -> (World, Rc<Client>) {
    let world = World::new(crate::world::RICH, scripts);
    let client = Client::of(&world, job);
    world.run_out();
    (world, client)
}
