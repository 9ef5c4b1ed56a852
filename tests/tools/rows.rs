//! Tools as rows: what the catalog's own program would have made of them.

use std::rc::Rc;

use patchbay::tools::catalog::{
    Capability, Means, ToolCatalog, ToolPolicy, ToolProvider, ToolView,
};
use serde_json::{Value, json};

fn text_schema(fields: &[&str], required: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> = fields
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "string"})))
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn search(slug: &str, price: i64, pooling: &str) -> Value {
    json!({
        "slug": slug, "name": slug.to_uppercase(), "category": "search", "base_url": format!("https://{slug}.test"),
        "secret": format!("{}_KEY", slug.to_uppercase()), "auth": {"kind": "bearer"}, "pooling": pooling,
        "timeout_ms": 10_000, "attribution": "By all of us",
        "operation": [{
            "name": "search", "title": "Search the web", "description": "Finds pages.", "capability": "web_search",
            "normal": {"q": "{/query}"}, "effect": "read", "retry": {"kind": "safe"}, "price": {"call": price},
            "input": text_schema(&["q"], &["q"]),
            "request": {"method": "GET", "path": "/search"},
            "response": {"kind": "search_results", "result": {"items": {"$each": "/results", "title": "{/title}"}}, "empty": ["/results"]},
        }],
    })
}

fn mail() -> Value {
    let send = |name: &str, retry: Value| {
        json!({
            "name": name, "title": "Send an e-mail", "description": "Sends.", "effect": "write", "retry": retry, "capability": "send_email",
            "recipients": ["/to"], "price": {"call": 1_000_000},
            "input": {
                "type": "object", "additionalProperties": false, "required": ["to"],
                "properties": {"to": {"type": "array", "items": {"type": "string"}}, "text": {"type": "string"}},
            },
            "undo": {"operation": "cancel", "input": {"id": "{/data/id}"}, "class": "partial", "note": "It may have been read."},
            "request": {"method": "POST", "path": format!("/{name}")},
            "response": {"kind": "message_sent", "id": "/id", "result": {"id": "{/id}"}},
        })
    };
    json!({
        "slug": "mail", "name": "Mail", "category": "email", "base_url": "https://mail.test", "secret": "MAIL_KEY",
        "auth": {"kind": "bearer"}, "timeout_ms": 10_000,
        "operation": [
            send("send", json!({"kind": "none"})),
            send("send_keyed", json!({"kind": "key", "header": "idempotency-key"})),
            {
                "name": "cancel", "title": "Cancel an e-mail", "description": "Cancels.", "effect": "destructive", "retry": {"kind": "none"},
                "input": text_schema(&["id"], &["id"]),
                "request": {"method": "DELETE", "path": "/mails/{id}"},
            },
            {
                "name": "batch", "title": "Send many", "description": "Sends.", "effect": "write", "retry": {"kind": "none"},
                "price": {"unit": 1_000_000, "count": "input:/ids"},
                "input": {"type": "object", "properties": {"ids": {"type": "array", "items": {"type": "string"}}}, "required": ["ids"]},
                "request": {"method": "POST", "path": "/batch"},
                "response": {"partial": {"failed": "/failed", "ok": "/sent", "item": "/id", "message": "/why"}},
            },
            {
                "name": "rename", "title": "Rename a list", "description": "Renames.", "effect": "write", "retry": {"kind": "none"},
                "input": text_schema(&["id", "name"], &["id", "name"]),
                "before": {"operation": "show", "input": {"id": "{/input/id}"}},
                "undo": {"operation": "rename", "input": {"id": "{/input/id}", "name": "{/before/name}"}, "class": "clean"},
                "request": {"method": "PATCH", "path": "/lists/{id}"},
            },
            {
                "name": "show", "title": "Show a list", "description": "Shows.", "effect": "read", "retry": {"kind": "safe"},
                "input": text_schema(&["id"], &["id"]),
                "request": {"method": "GET", "path": "/lists/{id}"},
            },
            {
                "name": "pay", "title": "Pay somebody", "description": "Pays.", "effect": "money", "retry": {"kind": "key", "header": "idempotency-key"},
                "price": {"call": 2_000_000},
                "input": {"type": "object", "properties": {"to": {"type": "string"}, "cents": {"type": "integer"}}, "required": ["to", "cents"]},
                "request": {"method": "POST", "path": "/pay"},
            },
        ],
    })
}

fn crawl() -> Value {
    json!({
        "slug": "crawl", "name": "Crawl", "category": "scraping", "base_url": "https://crawl.test", "secret": "CRAWL_KEY",
        "auth": {"kind": "header", "name": "x-key"}, "timeout_ms": 10_000,
        "operation": [{
            "name": "site", "title": "Read a site", "description": "Reads.", "effect": "read", "costs_money": true, "retry": {"kind": "safe"},
            "price": {"unit": 1_000_000, "count": "/pages", "hold": 50_000_000},
            "input": text_schema(&["url"], &["url"]),
            "request": {"method": "POST", "path": "/crawls"},
            "response": {"job": {
                "id": "/id", "status": "/status", "done": ["done"], "failed": ["failed"], "error": ["/error"], "progress": "/progress",
                "every_ms": 2_000, "max_ms": 5_000,
                "poll": {"method": "GET", "path": "/crawls/{id}"}, "cancel": {"method": "DELETE", "path": "/crawls/{id}"},
            }},
        }],
    })
}

/// The tools of an MCP server that spoke this revision.
fn remote(slug: &str, protocol: &str) -> Value {
    let tool = |name: &str, effect: &str, retry: &str| {
        json!({
            "name": name, "title": name, "description": "Does it there.", "effect": effect, "retry": {"kind": retry}, "remote": format!("{name}-there"),
            "price": {"call": 1_000_000}, "input": text_schema(&["what", "how"], &["what"]), "request": {"rename": {"what": "the what"}},
        })
    };
    json!({
        "slug": slug, "name": slug.to_uppercase(), "category": "imported", "source": "mcp", "base_url": format!("https://{slug}.test/mcp"),
        "remote": {"url": format!("https://{slug}.test/mcp"), "protocol": protocol},
        "secret": "SHOP_KEY", "auth": {"kind": "bearer"}, "timeout_ms": 10_000,
        "operation": [tool("look", "read", "safe"), tool("put", "write", "none"), tool("wreck", "destructive", "none")],
    })
}

/// Tools of seven providers, as a key sees them that has these own keys.
pub fn view(own: &[&str]) -> ToolView {
    let rows = [
        mail(),
        crawl(),
        search("first", 5_000_000, "allowed"),
        search("second", 8_000_000, "allowed"),
        search("third", 1_000_000, "forbidden"),
        remote("shop", "2026-07-28"),
        remote("oldshop", "2025-06-18"),
    ];
    let read = |row: Value| -> Rc<ToolProvider> {
        serde_json::from_str(&row.to_string()).unwrap_or_else(|error| panic!("{error}: {row}"))
    };
    let capability = |name: &str, input: Value| -> Rc<Capability> {
        let row = json!({"name": name, "title": name, "description": "Does it.", "kind": "generic", "input": input});
        Rc::new(serde_json::from_str(&row.to_string()).unwrap())
    };
    let capabilities = vec![
        capability("web_search", text_schema(&["query"], &["query"])),
        capability("send_email", json!({"type": "object", "required": ["to"]})),
    ];
    let catalog = ToolCatalog::new("v1", rows.into_iter().map(read).collect(), capabilities);
    let means = Means {
        has: &|name| name.ends_with("_KEY"),
        owns: &|slug| own.contains(&slug),
        accounts_bring_keys: true,
        single_tenant: false,
    };
    ToolView::of(&Rc::new(catalog), &means, &ToolPolicy::default())
}
