//! Citations → annotations, in the shape of chat completions' `annotations[]`: one for each source of a span.

use serde_json::{Map, Value, json};

use super::wire::{Citation, Source};

/// The annotations of one citation; `offset` is where the block that it points into begins in the answer's text.
pub(super) fn annotations(citation: Citation, offset: u64) -> impl Iterator<Item = Value> {
    let place = citation.start.zip(citation.end);
    let place =
        place.map(|(start, end)| (start.saturating_add(offset), end.saturating_add(offset)));
    citation
        .sources
        .into_iter()
        .map(move |source| annotation(&source, place))
}

/// A source with an address is a page; another one has its title and the id that the request gave it.
fn annotation(source: &Source, place: Option<(u64, u64)>) -> Value {
    let data = source.document.as_ref().or(source.tool_output.as_ref());
    let text = |key: &str| data?.get(key)?.as_str().filter(|text| !text.is_empty());
    let mut out = Map::new();
    let kind = if let Some(url) = text("url") {
        out.insert("url".into(), json!(url));
        out.insert("title".into(), json!(text("title").unwrap_or(url)));
        "url_citation"
    } else {
        if let Some(title) = text("title") {
            out.insert("filename".into(), json!(title));
        }
        if let Some(id) = &source.id {
            out.insert("file_id".into(), json!(id));
        }
        "file_citation"
    };
    if let Some((start, end)) = place {
        out.insert("start_index".into(), json!(start));
        out.insert("end_index".into(), json!(end));
    }
    json!({"type": kind, kind: out})
}
