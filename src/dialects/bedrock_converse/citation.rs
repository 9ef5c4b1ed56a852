//! Citations in the shape of chat completions' `annotations[]`.

use serde_json::{Map, Value, json};

use super::wire::Citation;

/// Where a source is: the member of `location`, and what its numbers are called.
const PLACES: [(&str, &str, &str); 4] = [
    ("documentChar", "start_char_index", "end_char_index"),
    ("documentPage", "start_page_number", "end_page_number"),
    ("documentChunk", "start_block_index", "end_block_index"),
    (
        "searchResultLocation",
        "start_block_index",
        "end_block_index",
    ),
];

/// A citation of the text between two positions.
pub(super) fn annotation(citation: Citation, from: usize, to: usize) -> Value {
    let location = citation.location.unwrap_or_default();
    let url = location.pointer("/web/url").cloned();
    let url = url.or_else(|| citation.source.map(Value::from));
    let mut out = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            out.insert(name.to_owned(), value);
        }
    };
    let title = citation.title.map(Value::from);
    let kind = if url.is_some() {
        put("url", url);
        put("title", title);
        "url_citation"
    } else {
        put("filename", title);
        for (member, start, end) in PLACES {
            if let Some(place) = location.get(member) {
                put("document_index", place.get("documentIndex").cloned());
                put(start, place.get("start").cloned());
                put(end, place.get("end").cloned());
            }
        }
        "file_citation"
    };
    let cited: String = citation
        .source_content
        .into_iter()
        .filter_map(|part| part.text)
        .collect();
    put(
        "content",
        Some(cited).filter(|text| !text.is_empty()).map(Value::from),
    );
    put("start_index", Some(from.into()));
    put("end_index", Some(to.into()));
    json!({ "type": kind, kind: out })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_pages_of_the_web_are_told_apart() {
        let read = |text: Value| annotation(serde_json::from_value(text).unwrap(), 3, 9);
        assert_eq!(
            read(
                json!({"title": "policy", "sourceContent": [{"text": "a"}, {"text": "b"}],
                "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}})
            ),
            json!({"type": "file_citation", "file_citation": {"filename": "policy", "document_index": 0,
                "start_page_number": 1, "end_page_number": 2, "content": "ab", "start_index": 3, "end_index": 9}})
        );
        assert_eq!(
            read(
                json!({"location": {"web": {"url": "https://a.example/", "domain": "a.example"}}})
            ),
            json!({"type": "url_citation", "url_citation": {"url": "https://a.example/", "start_index": 3, "end_index": 9}})
        );
    }
}
