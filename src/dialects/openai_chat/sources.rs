//! Sources that hosts list in fields of their own, as annotations of the kind that clients know.
//!
//! Perplexity lists what it found beside the choices (`search_results`, before that `citations`), xAI bare addresses
//! (`citations`), Groq what its tools found inside the message (`executed_tools`).

use serde_json::{Value, json};

use crate::{chat::Delta, dialects::splice::Fields};

/// The sources beside the choices.
pub(super) fn beside(fields: &Fields<'_>) -> Vec<Delta> {
    let list = |key: &str| -> Vec<Value> {
        let json = fields.get(key).unwrap_or("[]");
        crate::json::from_str(json).unwrap_or_default()
    };
    let found: Vec<Delta> = list("search_results")
        .iter()
        .filter_map(annotation)
        .collect();
    if !found.is_empty() {
        return found;
    }
    list("citations").iter().filter_map(annotation).collect()
}

/// What the host's own tools found.
pub(super) fn of_tools(tools: &[Value]) -> impl Iterator<Item = Delta> {
    let results = |tool: &Value| tool.pointer("/search_results/results")?.as_array().cloned();
    let results = tools.iter().filter_map(results).flatten();
    results.filter_map(|result| annotation(&result))
}

/// A result with its title, or an address alone.
fn annotation(result: &Value) -> Option<Delta> {
    let url = result.as_str().or_else(|| result.get("url")?.as_str())?;
    let title = result.get("title").and_then(Value::as_str);
    Some(Delta::Annotation(json!({
        "type": "url_citation",
        "url_citation": {"url": url, "title": title.unwrap_or(url)},
    })))
}
