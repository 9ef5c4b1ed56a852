//! The stream of an answer: what is said on it, and questions that are answered by other requests.
//!
//! The work lives in the body: a client that leaves drops both. A question of the legacy era is a request on this stream, and its
//! answer comes as a message of its own, perhaps to another isolate: it waits in the account's object as a note, which is asked for
//! at growing intervals.

use std::borrow::Cow;

use futures::{FutureExt, StreamExt, channel::mpsc, future::ready, stream};
use serde_json::{Value, json};

use super::super::{
    World,
    http::{Body, Response},
};
use crate::{
    credits::ops::{NotePut, NoteTake},
    error::Result,
    tools::mcp::write,
};

/// How long an answer waits to be taken, in milliseconds.
const NOTE_MS: i64 = 600_000;
/// The first pause before it is looked for, in milliseconds.
const FIRST_PAUSE_MS: u64 = 50;
/// The longest.
const LONGEST_PAUSE_MS: u64 = 2_000;
/// How long a person may take to answer, in milliseconds.
const PATIENCE_MS: u64 = 300_000;
/// What the ids of our own requests begin with.
const OURS: &str = "pb-";

/// Says things on a stream.
#[derive(Clone)]
pub(super) struct Voice(mpsc::UnboundedSender<Vec<u8>>);

impl Voice {
    /// Sends a message.
    pub(super) fn say(&self, message: &Value) {
        // Nobody listens any more: the work is about to be dropped.
        let _ = self.0.unbounded_send(write::event(message));
    }

    /// Keeps the stream open.
    pub(super) fn keep_alive(&self) {
        let _ = self.0.unbounded_send(write::KEEP_ALIVE.to_vec());
    }
}

/// The response whose body is what this work says.
pub(super) fn response<F>(work: impl FnOnce(Voice) -> F) -> Response
where
    F: Future<Output = ()> + 'static,
{
    let (sender, said) = mpsc::unbounded();
    let work = work(Voice(sender)).boxed_local().into_stream();
    let work = work.filter_map(|()| ready(None));
    let header = |name: &'static str, value: &str| (Cow::Borrowed(name), value.to_owned());
    Response {
        status: 200,
        headers: vec![
            header("content-type", "text/event-stream"),
            header("cache-control", "no-cache"),
            header("x-accel-buffering", "no"),
        ],
        body: Body::Stream(stream::select(said, work).boxed_local()),
    }
}

/// Whose stream it is.
#[derive(Clone)]
pub(super) struct Owner {
    /// The account, in whose object answers wait.
    pub account: String,
    /// The key: no other key answers for it.
    pub key: String,
}

impl Owner {
    fn note(&self, what: &str, id: &str) -> String {
        let key = self.key.get(..16).unwrap_or(&self.key);
        format!("mcp:{key}:{what}:{id}")
    }
}

/// Asks the client by a request on the stream, and waits for the answer: `{"result": …}` or `{"error": …}`; none came in time.
pub(super) async fn ask<W: World>(
    world: &W,
    owner: &Owner,
    voice: &Voice,
    method: &str,
    params: &Value,
) -> Result<Option<Value>> {
    let id = format!("{OURS}{}", super::nonce(world)?);
    voice.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    let end = world.now_ms().saturating_add(PATIENCE_MS);
    let mut pause = FIRST_PAUSE_MS;
    let name = owner.note("answer", &id);
    while world.now_ms() < end {
        world.sleep(pause).await;
        let take = NoteTake { name: name.clone() };
        if let Some(text) = world.call(&owner.account, &take).await? {
            return Ok(crate::json::from_str(&text).ok());
        }
        pause = (pause * 2).min(LONGEST_PAUSE_MS);
        if pause == LONGEST_PAUSE_MS {
            voice.keep_alive();
        }
    }
    Ok(None)
}

/// Leaves the answer to one of our requests where it is waited for. What answers nothing of ours is forgotten.
pub(super) async fn answered<W: World>(
    world: &W,
    owner: &Owner,
    id: &Value,
    outcome: &Value,
) -> Result<()> {
    let is_ours = |id: &&str| id.starts_with(OURS) && id.len() <= 64;
    let Some(id) = id.as_str().filter(is_ours) else {
        return Ok(());
    };
    leave(world, owner, "answer", id, outcome.to_string()).await
}

/// Leaves word that a request of the legacy era was cancelled.
pub(super) async fn cancel<W: World>(world: &W, owner: &Owner, request: &str) -> Result<()> {
    leave(world, owner, "cancel", request, String::new()).await
}

/// Whether a request was cancelled.
pub(super) async fn is_cancelled<W: World>(
    world: &W,
    owner: &Owner,
    request: &str,
) -> Result<bool> {
    let take = NoteTake {
        name: owner.note("cancel", request),
    };
    Ok(world.call(&owner.account, &take).await?.is_some())
}

async fn leave<W: World>(
    world: &W,
    owner: &Owner,
    what: &str,
    id: &str,
    text: String,
) -> Result<()> {
    let put = NotePut {
        name: owner.note(what, id),
        text,
        ttl_ms: NOTE_MS,
    };
    world.call(&owner.account, &put).await
}
