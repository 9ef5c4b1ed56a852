//! Calls of search and fetch tools that somebody ran inside an answer, read from whoever's telling: the gateway's own, Anthropic's,
//! Gemini's, that of hosts of Responses. Surfaces that have items or blocks for such calls write them from this one form.
//!
//! Out of scope: tools that only one provider has (code execution, MCP): they stay as they were told.

use serde_json::Value;

use crate::chat::{ReasoningDetail, ReasoningKind};

/// Which kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RanKind {
    /// A search of the web.
    Search,
    /// A page was read.
    Fetch,
}

/// A page that a call brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its address.
    pub url: String,
    /// Its title; empty where none was told.
    pub title: String,
    /// How old it is, in the words of whoever says so.
    pub age: Option<String>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// What it did.
    pub kind: RanKind,
    /// What was searched for.
    pub query: Option<String>,
    /// The address that was asked for.
    pub url: Option<String>,
    /// What it brought.
    pub pages: Vec<Page>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

impl Ran {
    /// Reads a call; nothing where it is of another tool.
    pub fn of(detail: &ReasoningDetail) -> Option<Self> {
        let ReasoningKind::ServerToolCall {
            tool_name,
            arguments,
            result,
        } = &detail.kind
        else {
            return None;
        };
        let name = tool_name.strip_prefix("openrouter:").unwrap_or(tool_name);
        let at = |path: &str| arguments.as_ref().and_then(|value| value.pointer(path));
        let word = |path: &str| at(path).and_then(Value::as_str).map(str::to_owned);
        let kind = match (name, word("/action/type").as_deref()) {
            ("web_search", Some("open_page" | "find_in_page")) => RanKind::Fetch,
            ("web_search" | "web_search_preview", _) => RanKind::Search,
            ("web_fetch", _) => RanKind::Fetch,
            _ => return None,
        };
        let first = |path: &str| {
            let first = at(path)?.as_array()?.first()?;
            first.as_str().map(str::to_owned)
        };
        let sources = at("/action/sources");
        Some(Self {
            kind,
            query: word("/query")
                .or_else(|| word("/action/query"))
                .or_else(|| first("/action/queries")),
            url: word("/url").or_else(|| word("/action/url")),
            pages: pages(result.as_ref()).chain(pages(sources)).collect(),
            error: result.as_ref().and_then(error),
        })
    }

    /// Whether it is a search that did what it was to do.
    pub fn is_search(&self) -> bool {
        self.kind == RanKind::Search && self.error.is_none()
    }
}

/// The pages of a result: a list of them, such a list as `results`, or one page.
fn pages(result: Option<&Value>) -> impl Iterator<Item = Page> {
    let listed = result.and_then(|result| result.get("results").unwrap_or(result).as_array());
    let one = result.filter(|_| listed.is_none());
    let all = listed.into_iter().flatten().chain(one);
    all.filter_map(|page| {
        let word = |name: &str| page.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Page {
            url: word("url")?,
            title: word("title").unwrap_or_default(),
            age: word("page_age"),
        })
    })
    .collect::<Vec<_>>()
    .into_iter()
}

fn error(result: &Value) -> Option<String> {
    let word = |name: &str| result.get(name).and_then(Value::as_str);
    word("error").or(word("error_code")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::ReasoningFormat;

    fn ran(name: &str, arguments: Value, result: Value) -> Option<Ran> {
        let given = |value: Value| Some(value).filter(|value| !value.is_null());
        Ran::of(&ReasoningDetail {
            kind: ReasoningKind::ServerToolCall {
                tool_name: name.to_owned(),
                arguments: given(arguments),
                result: given(result),
            },
            format: ReasoningFormat::Unknown,
            id: None,
            index: Some(0),
        })
    }

    #[test]
    fn everybodys_searches_are_read_alike() {
        let page = json!({"url": "https://a.example/", "title": "A"});
        for (name, arguments, result) in [
            (
                "openrouter:web_search",
                json!({"query": "q"}),
                json!({"engine": "exa", "results": [page]}),
            ),
            ("web_search", json!({"query": "q"}), json!([page])),
            (
                "web_search",
                json!({"action": {"type": "search", "query": "q", "sources": [page]}}),
                Value::Null,
            ),
            (
                "web_search",
                json!({"action": {"type": "search", "queries": ["q", "r"], "sources": [page]}}),
                Value::Null,
            ),
        ] {
            let ran = ran(name, arguments.clone(), result).unwrap();
            assert_eq!(ran.query.as_deref(), Some("q"), "{arguments}");
            assert_eq!(
                (ran.pages[0].url.as_str(), ran.pages[0].title.as_str()),
                ("https://a.example/", "A")
            );
            assert!(ran.is_search());
        }
    }

    #[test]
    fn pages_that_were_opened_and_searches_that_failed_are_no_searches() {
        let opened = ran(
            "web_search",
            json!({"action": {"type": "open_page", "url": "https://a.example/"}}),
            Value::Null,
        );
        let opened = opened.unwrap();
        assert_eq!(
            (opened.kind, opened.url.as_deref()),
            (RanKind::Fetch, Some("https://a.example/"))
        );
        let fetched = ran(
            "openrouter:web_fetch",
            json!({"url": "https://a.example/"}),
            json!({"url": "https://a.example/b", "title": "B", "characters": 3}),
        );
        let fetched = fetched.unwrap();
        assert_eq!(fetched.pages[0].url, "https://a.example/b");
        let failed = json!({"type": "web_search_tool_result_error", "error_code": "unavailable"});
        for result in [failed, json!({"error": "The search failed"})] {
            let failed = ran("web_search", json!({"query": "q"}), result).unwrap();
            assert!(!failed.is_search() && failed.pages.is_empty());
        }
        for other in ["openrouter:datetime", "code_execution", "web_searches"] {
            assert_eq!(ran(other, json!({}), Value::Null), None);
        }
    }
}
