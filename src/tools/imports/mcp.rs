//! What an MCP server lists as operations. Asking it, and calling its tools, is `tools::mcp_client`'s.
//!
//! Annotations are a stranger's hints: that a tool only reads is believed where its owner says so. The names of arguments are given
//! back by `request.rename`, our name → the server's.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::{Map, Value, json};

use super::{
    Imported, MAX_BYTES, MAX_OPERATIONS, MAX_ROWS_BYTES, Told, auth,
    name::{self, property},
    settings::Settings,
    shape::portable,
    text::{MAX_DESCRIPTION, MAX_TITLE, clean},
};
use crate::tools::{
    catalog::{Effect, Operation, Remote, Request, Retry, RetryKind, Source, ToolProvider},
    mcp_client,
};

/// The longest name of a tool.
const MAX_NAME: usize = 200;

/// What an MCP server said of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// Its `serverInfo`.
    pub server: Value,
    /// The revision of the protocol that it speaks.
    pub protocol: String,
    /// Its tools as it lists them, all pages.
    pub tools: Vec<Value>,
    /// There were more than were read.
    pub is_cut: bool,
}

/// A server's provider.
///
/// # Errors
/// Why nothing can be made of it: a sentence.
pub fn read(
    listing: &Listing,
    slug: &str,
    settings: &Settings,
    url: &str,
) -> Result<Imported, String> {
    let mut made = Imported::default();
    let choice = settings.auth.clone().unwrap_or_default();
    let mut taken = BTreeSet::new();
    let (mut bytes, mut rows) = (0_usize, 0_usize);
    if listing.is_cut {
        made.left_out
            .push(Told::new("", "the server lists more tools than are read"));
    }
    let mut beyond = 0_usize;
    let called_as = |tool: &&Value| tool.get("name").and_then(Value::as_str).map(str::to_owned);
    let mut tools: Vec<&Value> = listing.tools.iter().collect();
    // In whatever order the server lists them, they have the same names.
    tools.sort_by_cached_key(called_as);
    let mut before = None;
    for tool in tools {
        bytes += tool.to_string().len();
        if bytes > MAX_BYTES {
            made.left_out
                .push(Told::new("", "the server's list is too long"));
            break;
        }
        let Some(called) = tool.get("name").and_then(Value::as_str) else {
            continue;
        };
        let place = clean(called, MAX_TITLE);
        if called.is_empty() || called.len() > MAX_NAME || called.chars().any(char::is_control) {
            made.left_out
                .push(Told::new(place, "its name cannot be sent"));
            continue;
        }
        if before.replace(called) == Some(called) {
            let why = "another tool has the same name";
            made.left_out.push(Told::new(place, why));
            continue;
        }
        let name = name::operation(slug, called, &mut taken);
        if !settings.admits(&name) {
            continue;
        }
        if made.provider.operation.len() >= MAX_OPERATIONS {
            beyond += 1;
            continue;
        }
        match operation(tool, called, name, settings.trust_annotations) {
            Ok((operation, lost)) => {
                rows += serde_json::to_string(&operation).map_or(usize::MAX, |text| text.len());
                if rows > MAX_ROWS_BYTES {
                    let why = "there is no room for it: choose with include and exclude";
                    made.left_out.push(Told::new(place, why));
                    continue;
                }
                for what in lost {
                    let why = format!("its input lost {what}");
                    made.weakened.push(Told::new(place.as_str(), why));
                }
                made.provider.operation.push(Rc::new(operation));
            }
            Err(why) => made.left_out.push(Told::new(place, why)),
        }
    }
    if beyond > 0 {
        let why = format!(
            "{beyond} tools beyond the first {MAX_OPERATIONS}: choose with include and exclude"
        );
        made.left_out.push(Told::new("", why));
    }
    if made.provider.operation.is_empty() {
        return Err("The server lists no tool that can be used".to_owned());
    }
    let told = ["title", "name"]
        .iter()
        .find_map(|field| listing.server.get(*field)?.as_str());
    let mut called = clean(told.unwrap_or(slug), MAX_TITLE);
    if called.is_empty() {
        called = slug.to_owned();
    }
    made.provider = ToolProvider {
        slug: slug.to_owned(),
        name: called,
        source: Source::Mcp,
        base_url: url.to_owned(),
        remote: Some(Remote {
            url: url.to_owned(),
            protocol: (!listing.protocol.is_empty()).then(|| clean(&listing.protocol, 20)),
        }),
        auth: auth::chosen(&choice)?.unwrap_or_default(),
        operation: made.provider.operation,
        ..ToolProvider::default()
    };
    Ok(made)
}

/// A name for the source, as far as the server has one.
pub fn slug(listing: &Listing) -> Option<String> {
    name::slug(listing.server.get("name")?.as_str()?)
}

fn operation(
    tool: &Value,
    called: &str,
    name: String,
    trusts: bool,
) -> Result<(Operation, Vec<&'static str>), &'static str> {
    let text = |pointer: &str, longest| {
        let text = tool.pointer(pointer).and_then(Value::as_str);
        clean(text.unwrap_or_default(), longest)
    };
    let says = |hint: &str| tool.pointer(&format!("/annotations/{hint}")) == Some(&true.into());
    let effect = if trusts && says("readOnlyHint") {
        Effect::Read
    } else if says("destructiveHint") {
        Effect::Destructive
    } else {
        Effect::Write
    };
    let mut lost = Vec::new();
    let schema = tool.get("inputSchema").unwrap_or(&Value::Null);
    let shaped = portable(schema, schema, true, &mut lost);
    let shaped = shaped.ok_or("the schema of its input is too large")?;
    let headers = mcp_client::headers(schema)?;
    let (input, rename) = named(shaped);
    let mut title = [text("/title", 80), text("/annotations/title", 80)]
        .into_iter()
        .find(|title| !title.is_empty())
        .unwrap_or_default();
    if title.is_empty() {
        title = clean(&name.replace('_', " "), 80);
    }
    let mut description = text("/description", MAX_DESCRIPTION);
    if description.is_empty() {
        description = title.clone();
    }
    let operation = Operation {
        name,
        title,
        description,
        effect,
        retry: Retry {
            kind: match effect {
                Effect::Read => RetryKind::Safe,
                _ if trusts && says("idempotentHint") => RetryKind::Safe,
                _ => RetryKind::None,
            },
            ..Retry::default()
        },
        remote: Some(called.to_owned()),
        input: input.into(),
        request: Request {
            rename,
            headers: headers.into_iter().collect(),
            ..Request::default()
        },
        ..Operation::default()
    };
    Ok((operation, lost))
}

/// An input whose outermost names are portable, and what they are called there.
fn named(shaped: Value) -> (Value, BTreeMap<String, String>) {
    let mut rename = BTreeMap::new();
    let open = json!({"type": "object", "additionalProperties": {}});
    let Value::Object(mut input) = shaped else {
        return (open, rename);
    };
    if input.get("type") != Some(&"object".into()) {
        let is_silent = input.is_empty();
        let closed = json!({"type": "object", "properties": {}, "additionalProperties": false});
        return (if is_silent { closed } else { open }, rename);
    }
    let Some(Value::Object(properties)) = input.remove("properties") else {
        input.entry("additionalProperties").or_insert(false.into());
        return (input.into(), rename);
    };
    let mut taken = BTreeSet::new();
    let mut made = Map::new();
    let mut required = Vec::new();
    let needed = input.remove("required").unwrap_or_default();
    let needed = needed.as_array().map(Vec::as_slice).unwrap_or_default();
    for (own, schema) in properties {
        let ours = property(&own, &mut taken);
        if needed.contains(&own.as_str().into()) {
            required.push(ours.clone());
        }
        if ours != own {
            rename.insert(ours.clone(), own);
        }
        made.insert(ours, schema);
    }
    input.insert("properties".to_owned(), made.into());
    if !required.is_empty() {
        input.insert("required".to_owned(), json!(required));
    }
    (input.into(), rename)
}
