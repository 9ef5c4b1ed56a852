//! `tools/list` and `tools/call` for a key: what it may call, and nothing else, in the catalog's own order.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{
    super::intents,
    Ask, Reply,
    desk::Desk,
    run::{self, Wish},
};
use crate::tools::{
    catalog::{Effect, Refused, Tool},
    listing::Filter,
    mcp::{
        CONFIRMATION, Era, IDEMPOTENCY, confirm, describe,
        message::Fault,
        meta::{self, Asked, MetaTool},
        outcome, select, write,
    },
};

/// How long a client may keep the list, in milliseconds: isolates learn of a new catalog within as much.
const LIST_MS: u64 = 60_000;

/// Answers `tools/list`.
pub(super) fn list<W>(desk: &Desk<W>, ask: &Ask) -> Result<Reply, Fault> {
    let shown: Vec<&Rc<Tool>> = desk
        .view
        .tools()
        .iter()
        .map(|(tool, _)| tool)
        .filter(|tool| ask.selection.shows(&words(tool)))
        .collect();
    let is_meta = ask.selection.is_meta(shown.len());
    let confirms = shown
        .iter()
        .any(|tool| tool.operation.effect != Effect::Read);
    let confirm = confirms.then_some(MetaTool::Confirm);
    let mut own: Vec<MetaTool> = Vec::new();
    if is_meta {
        own.extend(MetaTool::CATALOG);
    }
    own.extend(confirm);
    let shown = if is_meta { Vec::new() } else { shown };
    let names: Vec<&str> = shown
        .iter()
        .map(|tool| tool.wire_name.as_str())
        .chain(own.iter().map(|tool| tool.name()))
        .collect();
    let size = ask.page_size.unwrap_or(select::PAGE).min(select::PAGE);
    let (start, end, next) = select::page(&names, ask.request.text("cursor"), size)?;
    let all = shown.iter().map(|tool| describe::render(tool));
    // What stands behind the tools of the catalog comes last, and is written only where it is asked for.
    let own = own.into_iter().map(MetaTool::render);
    let tools: Vec<Value> = all.chain(own).skip(start).take(end - start).collect();
    let mut result = json!({"tools": tools});
    if let (Some(next), Some(fields)) = (next, result.as_object_mut()) {
        fields.insert("nextCursor".to_owned(), next.into());
    }
    write::cached(ask.era, &mut result, LIST_MS, "private");
    Ok(ask.result(result))
}

/// What a tool answers to in a selection.
fn words(tool: &Tool) -> [&str; 5] {
    [
        tool.provider.slug.as_str(),
        tool.id.as_str(),
        tool.wire_name.as_str(),
        tool.category(),
        tool.operation.capability.as_deref().unwrap_or_default(),
    ]
}

/// Answers `tools/call`.
pub(super) async fn call<W: super::super::World>(
    desk: &Rc<Desk<W>>,
    ask: Ask,
) -> Result<Reply, Fault> {
    let Some(name) = ask.request.text("name").map(str::to_owned) else {
        return Err(Fault::params("name is missing"));
    };
    let arguments = ask.request.arguments()?;
    let (state, answer) = match ask.era {
        Era::Modern => confirm::brought(&ask.request)?,
        Era::Legacy => (None, confirm::Answer::None),
    };
    let said = |field: &str| {
        let value = ask.request.meta(field).and_then(Value::as_str);
        value.map(str::to_owned)
    };
    let mut wish = Wish {
        tool: name.clone(),
        input: arguments,
        idempotency_key: said(IDEMPOTENCY),
        confirmation: said(CONFIRMATION),
        state: state.map(str::to_owned),
        answer,
    };
    if let Some(tool) = MetaTool::named(&name) {
        match tool.read(std::mem::take(&mut wish.input)) {
            Err(why) => return Ok(ask.result(outcome::failure(&why))),
            Ok(Asked::Search {
                query,
                category,
                limit,
            }) => {
                return Ok(ask.result(outcome::told(found(desk, query, category, limit))));
            }
            Ok(Asked::Schemas(names)) => {
                return Ok(ask.result(outcome::told(schemas(desk, &names))));
            }
            Ok(Asked::Call {
                name,
                arguments,
                idempotency_key,
                confirmation,
            }) => {
                wish.tool = name;
                wish.input = arguments;
                wish.idempotency_key = idempotency_key.or(wish.idempotency_key);
                wish.confirmation = confirmation.or(wish.confirmation);
            }
        }
    }
    if intents::is_auto(&wish.tool) {
        return run::run(desk, ask, wish).await;
    }
    match desk.view.get(&wish.tool) {
        Ok((tool, _)) => ask.check_arguments(tool.operation.input.value())?,
        // A capability: its tools are as good as each other.
        Err(_) if desk.view.of_capability(&wish.tool).next().is_some() => {}
        Err(Refused::Unknown(_)) if wish.tool == name => return Err(meta::unknown(&name)),
        // What a key may not call is not in its list; who asks all the same is told why.
        Err(Refused::Denied(denied)) if wish.tool == name => {
            return Err(Fault::params(denied.to_string()));
        }
        Err(refused) => return Ok(ask.result(outcome::failure(&refused.to_string()))),
    }
    run::run(desk, ask, wish).await
}

/// What `search_tools` finds.
fn found<W>(desk: &Desk<W>, query: String, category: Option<String>, limit: usize) -> Value {
    let tools = || desk.view.tools().iter().map(|(tool, _)| tool);
    let filter = Filter {
        words: Some(query),
        category,
        ..Filter::default()
    };
    let places = filter.select(tools().map(|tool| &**tool));
    let all: Vec<&Rc<Tool>> = tools().collect();
    let best = places
        .iter()
        .take(limit)
        .filter_map(|place| all.get(*place));
    let told: Vec<Value> = best
        .map(|tool| {
            let operation = &tool.operation;
            json!({
                "name": tool.wire_name,
                "title": operation.title,
                "description": tool.description(),
                "category": tool.category(),
                "effect": operation.effect.as_str(),
            })
        })
        .collect();
    json!({"tools": told, "found": places.len()})
}

/// What `get_tool_schema` tells.
fn schemas<W>(desk: &Desk<W>, names: &[String]) -> Value {
    let told: Vec<Value> = names
        .iter()
        .map(|name| match desk.view.get(name) {
            Ok((tool, _)) => describe::render(tool),
            Err(refused) => json!({"name": name, "error": refused.to_string()}),
        })
        .collect();
    json!({"tools": told})
}
