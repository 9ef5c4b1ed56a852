//! Sources of an answer, and the annotations that tell them. Spec: `url_citation` of OpenAI and OpenRouter.

use serde_json::{Value, json};

/// A page that the model was shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// Its address.
    pub url: String,
    /// Its title.
    pub title: String,
    /// What the model was shown of it.
    pub excerpt: String,
}

/// The most bytes of an excerpt in an annotation.
const MAX_EXCERPT: usize = 600;
/// The most annotations of one answer.
const MAX_ANNOTATIONS: usize = 100;

/// The annotations of an answer: each source once, in order; where the text links to it, with the place of the link. Places count
/// characters.
pub fn annotations(sources: &[Source], text: &str) -> Vec<Value> {
    let mut seen: Vec<&str> = Vec::new();
    let mut told = Vec::new();
    for source in sources {
        if seen.contains(&source.url.as_str()) || told.len() >= MAX_ANNOTATIONS {
            continue;
        }
        seen.push(&source.url);
        let (start, end) = place(text, &source.url).unwrap_or_default();
        let cut = source.excerpt.floor_char_boundary(MAX_EXCERPT);
        told.push(json!({"type": "url_citation", "url_citation": {
            "url": source.url,
            "title": source.title,
            "content": source.excerpt.get(..cut),
            "start_index": start,
            "end_index": end,
        }}));
    }
    told
}

/// Where the text links to an address: the whole of `[words](address)`, or the bare address.
fn place(text: &str, url: &str) -> Option<(usize, usize)> {
    let bare = url.strip_suffix('/').filter(|bare| !bare.ends_with('/'));
    let (at, length) = [Some(url), bare].into_iter().flatten().find_map(|url| {
        let at = text.match_indices(url).find(|(at, _)| {
            let next = text
                .get(at + url.len()..)
                .and_then(|rest| rest.chars().next());
            // A longer address is another one.
            !next.is_some_and(|c| c.is_ascii_alphanumeric() || "-_~%=&/?".contains(c) && c != '/')
        });
        at.map(|(at, _)| (at, url.len()))
    })?;
    let before = text.get(..at).unwrap_or_default();
    let behind = text.get(at + length..).unwrap_or_default();
    let link = before
        .strip_suffix("](")
        .and_then(|before| before.rfind('['));
    let close = behind.strip_prefix('/').unwrap_or(behind);
    let (start, end) = match link {
        Some(start) if close.starts_with(')') => (start, text.len() - close.len() + 1),
        _ => (at, at + length),
    };
    let count = |end: usize| text.get(..end).map_or(0, |text| text.chars().count());
    Some((count(start), count(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(url: &str) -> Source {
        Source {
            url: url.into(),
            title: "T".into(),
            excerpt: "x".repeat(1_000),
        }
    }

    #[test]
    fn a_source_is_told_with_the_place_of_its_link() {
        let text = "Ä see [the page](https://a.example/x) and https://b.example. Not https://c.example/longer.";
        let sources = [
            "https://a.example/x",
            "https://b.example/",
            "https://c.example/long",
            "https://d.example",
            "https://a.example/x",
        ];
        let sources: Vec<Source> = sources.into_iter().map(source).collect();
        let told = annotations(&sources, text);
        let places: Vec<(&str, u64, u64)> = told
            .iter()
            .map(|one| {
                let one = &one["url_citation"];
                (
                    one["url"].as_str().unwrap(),
                    one["start_index"].as_u64().unwrap(),
                    one["end_index"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            places,
            [
                ("https://a.example/x", 6, 37),
                ("https://b.example/", 42, 59),
                ("https://c.example/long", 0, 0),
                ("https://d.example", 0, 0),
            ]
        );
        assert_eq!(
            told[0]["url_citation"]["content"].as_str().unwrap().len(),
            MAX_EXCERPT
        );
    }
}
