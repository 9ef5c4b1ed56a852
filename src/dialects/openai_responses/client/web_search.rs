//! Searches and pages that somebody ran inside an answer, as items of type `web_search_call`.
//!
//! What a host of Responses ran keeps its own id and its own words, so that it can go back there. Ids of all others begin with a
//! mark of the gateway's, by which the next request is known to hold what no host ran. Spec: `web_search_call` of the Responses API.

use serde_json::{Map, Value, json};

use crate::dialects::ran::{Ran, RanKind};

/// What the id of an item begins with that no host of Responses gave.
const PREFIX: &str = "ws_pb1_";

/// The id of the item at this place of the answer.
pub(super) fn id(base: &str, at: usize) -> String {
    format!("{PREFIX}{base}_{at}")
}

/// Whether an item with this id was written here.
pub(super) fn is_own(id: &str) -> bool {
    id.starts_with(PREFIX)
}

/// The item without id and status; `own`: what a host of Responses told of it.
pub(super) fn item(ran: &Ran, own: Option<&Value>) -> Value {
    let mut fields = Map::new();
    fields.insert("type".to_owned(), "web_search_call".into());
    match own.and_then(Value::as_object) {
        Some(own) => fields.extend(own.clone()),
        None => drop(fields.insert("action".to_owned(), action(ran))),
    }
    if ran.error.is_some() {
        fields.insert("status".to_owned(), "failed".into());
    }
    Value::Object(fields)
}

fn action(ran: &Ran) -> Value {
    match ran.kind {
        RanKind::Search => {
            let query = ran.query.as_deref().unwrap_or_default();
            let sources = ran.pages.iter();
            let sources: Vec<Value> = sources
                .map(|page| json!({"type": "url", "url": page.url}))
                .collect();
            json!({"type": "search", "query": query, "queries": [query], "sources": sources})
        }
        RanKind::Fetch => {
            let page = ran.pages.first().map(|page| page.url.as_str());
            json!({"type": "open_page", "url": page.or(ran.url.as_deref())})
        }
    }
}
