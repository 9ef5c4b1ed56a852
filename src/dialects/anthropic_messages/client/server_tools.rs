//! Searches and pages that the gateway or another provider ran, as the blocks of Anthropic's own server tools.
//!
//! Clients show these blocks and send them back. What Anthropic seals in them (`encrypted_content`) only Anthropic can open, so
//! the ids of calls that it did not run say so, and such a conversation is written anew for it, without them.
//! Spec: `server_tool_use`, `web_search_tool_result` and `web_fetch_tool_result` of the Messages API.

use serde_json::{Value, json};

use crate::dialects::ran::{Page, Ran, RanKind};

/// What the id of a call begins with that Anthropic did not run.
const PREFIX: &str = "srvtoolu_pb1";
/// In the place of what Anthropic seals.
const UNSEALED: &str = "pb1.";

/// The id of the n-th call of an answer, which whoever ran it calls `own`.
pub(super) fn id(number: u32, own: Option<&str>) -> String {
    let own = own.unwrap_or_default().chars();
    let own: String = own.filter(char::is_ascii_alphanumeric).take(32).collect();
    format!("{PREFIX}{number:04}{own}")
}

/// Whether a call with this id was written here.
pub(super) fn is_own(id: &str) -> bool {
    id.starts_with(PREFIX)
}

/// The tool's name.
pub(super) fn name(ran: &Ran) -> &'static str {
    match ran.kind {
        RanKind::Search => "web_search",
        RanKind::Fetch => "web_fetch",
    }
}

/// The arguments of the call, as JSON text.
pub(super) fn input(ran: &Ran) -> String {
    let input = match ran.kind {
        RanKind::Search => json!({"query": ran.query.as_deref().unwrap_or_default()}),
        RanKind::Fetch => json!({"url": ran.url.as_deref().unwrap_or_default()}),
    };
    input.to_string()
}

/// The block with what came of the call of this id.
pub(super) fn result(ran: &Ran, id: &str) -> Value {
    let name = name(ran);
    let failed =
        |code: &str| json!({"type": format!("{name}_tool_result_error"), "error_code": code});
    let content = match (&ran.error, ran.kind) {
        (Some(_), RanKind::Search) => failed("unavailable"),
        (Some(_), RanKind::Fetch) => failed("url_not_accessible"),
        (None, RanKind::Search) => ran.pages.iter().map(found).collect(),
        (None, RanKind::Fetch) => fetched(ran),
    };
    json!({"type": format!("{name}_tool_result"), "tool_use_id": id, "content": content})
}

fn found(page: &Page) -> Value {
    json!({
        "type": "web_search_result", "url": page.url, "title": page.title,
        "encrypted_content": UNSEALED, "page_age": page.age,
    })
}

/// The page that was read. Its words were told to the model alone.
fn fetched(ran: &Ran) -> Value {
    let page = ran.pages.first();
    let url = page.map(|page| page.url.as_str()).or(ran.url.as_deref());
    let title = page.map(|page| page.title.as_str()).unwrap_or_default();
    let source = json!({"type": "text", "media_type": "text/plain", "data": ""});
    json!({
        "type": "web_fetch_result", "url": url.unwrap_or_default(), "retrieved_at": null,
        "content": {"type": "document", "source": source, "title": title, "citations": null},
    })
}
