//! `subscriptions/listen`: a stream that tells when lists change.
//!
//! Nobody remembers who listens. Each stream looks for itself from time to time whether its key still sees the same tools; isolates
//! learn of a new catalog within a minute anyway.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::{super::World, Ask, Reply, Server, play, stream};
use crate::tools::mcp::{
    SUBSCRIPTION,
    message::{Fault, INVALID_REQUEST},
    write,
};

/// How often a stream looks, in milliseconds.
const LOOK_MS: u64 = 15_000;
/// How often one of fixtures does.
const LOOK_AT_FIXTURES_MS: u64 = 40;
/// How long a stream lasts, in milliseconds: the client opens another.
const LASTS_MS: u64 = 1_800_000;

/// What can change, and what tells of it.
const KINDS: [(&str, &str); 2] = [
    ("toolsListChanged", "notifications/tools/list_changed"),
    ("promptsListChanged", "notifications/prompts/list_changed"),
];

/// Answers `subscriptions/listen`.
pub(super) fn listen<W: World>(world: &W, server: &Server<W>, ask: &Ask) -> Result<Reply, Fault> {
    if !ask.takes_streams {
        let fault = Fault::new(
            INVALID_REQUEST,
            "The answer is a stream: accept text/event-stream",
        );
        return Err(Fault {
            status: 406,
            ..fault
        });
    }
    let Some(Value::Object(wanted)) = ask.request.params.get("notifications") else {
        return Err(Fault::params("notifications has to be an object"));
    };
    let kinds = if matches!(server, Server::Fixtures(_)) {
        2
    } else {
        1
    };
    let honoured: Vec<(&str, &str)> = KINDS
        .into_iter()
        .take(kinds)
        .filter(|(name, _)| wanted.get(*name) == Some(&Value::Bool(true)))
        .collect();
    let (world, id) = (world.clone(), ask.request.id.clone());
    let (pause, desk) = match server {
        Server::Desk(desk) => (LOOK_MS, Some(Rc::clone(desk))),
        Server::Fixtures(_) => (LOOK_AT_FIXTURES_MS, None),
    };
    let era = ask.era;
    Ok(Reply::Stream(stream::response(move |voice| async move {
        let tell = |method: &str, more: Map<String, Value>| {
            let mut params = json!({"_meta": {SUBSCRIPTION: id}});
            if let Some(fields) = params.as_object_mut() {
                fields.extend(more);
            }
            voice.say(&write::notification(method, params));
        };
        let names = honoured
            .iter()
            .map(|(name, _)| ((*name).to_owned(), true.into()));
        let told = Value::Object(names.collect());
        let acknowledged = Map::from_iter([("notifications".to_owned(), told)]);
        tell("notifications/subscriptions/acknowledged", acknowledged);
        let look = async || match &desk {
            Some(desk) => [desk.fingerprint().await, None],
            None => {
                let (tools, prompts) = play::changes();
                [Some(tools.to_string()), Some(prompts.to_string())]
            }
        };
        let mut seen = look().await;
        let end = world.now_ms().saturating_add(LASTS_MS);
        let mut quiet_since = world.now_ms();
        while world.now_ms() < end {
            world.sleep(pause).await;
            let now = look().await;
            for ((name, method), (old, new)) in KINDS.iter().zip(seen.iter().zip(&now)) {
                if old.is_some()
                    && new.is_some()
                    && old != new
                    && honoured.iter().any(|(honoured, _)| honoured == name)
                {
                    tell(method, Map::new());
                }
            }
            for (old, new) in seen.iter_mut().zip(now) {
                *old = new.or(old.take());
            }
            if world.now_ms().saturating_sub(quiet_since) >= LOOK_MS {
                quiet_since = world.now_ms();
                voice.keep_alive();
            }
        }
        let closing = json!({"_meta": {SUBSCRIPTION: id}});
        voice.say(&write::result(era, &id, closing));
    })))
}
