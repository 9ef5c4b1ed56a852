//! The fixtures of the official conformance suite, played. Only a deployment that allows faults and brings a script has them, and
//! there only requests without a key see them.

use std::{cell::Cell, rc::Rc};

use serde_json::{Value, json};

use super::{
    super::World,
    Ask, Reply,
    stream::{self, Owner, Voice},
};
use crate::{
    error::Result,
    identity::people::signer::Signer,
    tools::mcp::{
        Era,
        fixtures::{Fixtures, Move, Play, Seal},
        message::Fault,
        write,
    },
};

/// The variable with the script.
pub(super) const VARIABLE: &str = "MCP_FIXTURES";
/// What a state of the fixtures is signed for.
const PURPOSE: &str = "mcp-fixture";

thread_local! {
    /// How often lists of the fixtures changed: tools, prompts.
    static CHANGES: [Cell<u64>; 2] = const { [Cell::new(0), Cell::new(0)] };
}

impl Seal for Signer {
    fn seal(&self, text: &str) -> String {
        Self::seal(self, PURPOSE, text)
    }

    fn open(&self, sealed: &str) -> Option<String> {
        Self::open(self, PURPOSE, sealed).map(str::to_owned)
    }
}

/// The fixtures of this deployment.
pub(super) fn fixtures<W: World>(world: &W) -> Option<Rc<Fixtures>> {
    if world.var("FAULT_INJECTION").as_deref() != Some("on") {
        return None;
    }
    Fixtures::read(&world.var(VARIABLE)?).map(Rc::new)
}

/// Whose requests these are.
pub(super) fn owner() -> Owner {
    Owner {
        account: "mcp-fixtures".to_owned(),
        key: "none".to_owned(),
    }
}

/// How often the lists changed.
pub(super) fn changes() -> (u64, u64) {
    CHANGES.with(|[tools, prompts]| (tools.get(), prompts.get()))
}

/// Answers a request that is not the same for all servers.
pub(super) async fn answer<W: World>(
    world: &W,
    fixtures: &Fixtures,
    ask: Ask,
) -> Result<Reply, Fault> {
    let era = ask.era;
    let result = match ask.request.method.as_str() {
        "tools/list" => fixtures.list("tools", "tools", era),
        "prompts/list" => fixtures.list("prompts", "prompts", era),
        "resources/list" => fixtures.list("resources", "resources", era),
        "resources/templates/list" => fixtures.list("templates", "resourceTemplates", era),
        "resources/read" => fixtures.contents(era, ask.request.text("uri").unwrap_or_default())?,
        "completion/complete" => {
            json!({"completion": {"values": [], "total": 0, "hasMore": false}})
        }
        "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel"
            if era == Era::Legacy =>
        {
            json!({})
        }
        "tools/call" => {
            if let Some(schema) = fixtures.schema(ask.request.text("name").unwrap_or_default(), era)
            {
                ask.check_arguments(schema)?;
            }
            return play(world, fixtures, "tools", ask).await;
        }
        "prompts/get" => return play(world, fixtures, "prompts", ask).await,
        method => return Err(Fault::method(method)),
    };
    Ok(ask.result(result))
}

async fn play<W: World>(
    world: &W,
    fixtures: &Fixtures,
    kind: &str,
    ask: Ask,
) -> Result<Reply, Fault> {
    let secret = world.var("SESSION_SECRET");
    let signer = secret.as_deref().and_then(Signer::new);
    let signer = signer.ok_or_else(|| Fault::params("the fixtures want SESSION_SECRET"))?;
    let mut play = fixtures.play(kind, ask.era, &ask.request, &signer)?;
    // What needs no stream is answered in one piece, and what fails at once with its own status.
    let first = match play.next(&signer)? {
        Move::End(result) => return Ok(ask.result(result)),
        first => first,
    };
    let world = world.clone();
    Ok(Reply::Stream(stream::response(move |voice| async move {
        let outcome = perform(&world, &voice, &mut play, first, &signer).await;
        voice.say(&match outcome {
            Ok(result) => write::result(ask.era, &ask.request.id, result),
            Err(fault) => fault.render(&ask.request.id),
        });
    })))
}

async fn perform<W: World>(
    world: &W,
    voice: &Voice,
    play: &mut Play,
    first: Move,
    signer: &Signer,
) -> Result<Value, Fault> {
    let mut step = first;
    loop {
        match step {
            Move::Say(message) => voice.say(&message),
            Move::Wait(ms) => world.sleep(ms).await,
            Move::Change(kind) => CHANGES.with(|[tools, prompts]| {
                let changed = if kind == "tools" { tools } else { prompts };
                changed.set(changed.get() + 1);
            }),
            Move::Ask(name, request) => {
                let field = |name: &str| request.get(name).cloned().unwrap_or_default();
                let (method, params) = (field("method"), field("params"));
                let method = method.as_str().unwrap_or_default();
                let answer = stream::ask(world, &owner(), voice, method, &params).await;
                let answer = answer.ok().flatten().unwrap_or_default();
                play.answered(&name, answer.get("result").cloned().unwrap_or(answer));
            }
            Move::End(result) => return Ok(result),
        }
        step = play.next(signer)?;
    }
}
