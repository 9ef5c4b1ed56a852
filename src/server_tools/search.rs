//! Web search: what a request says of it, one search with an engine, and the results as the model reads them.

use serde_json::{Map, Value, json};

use super::{
    address::Address,
    call::{Called, Spent},
    citation::Source,
    domain::Domains,
    engine::{Configured, Engine, Found, Search},
    fields::Fields,
    web::{WebAnswer, WebRequest},
};
use crate::{
    chat::{NativeSearch, estimate::BYTES_PER_TOKEN},
    error::Result,
};

/// Results of a search where the request does not say.
pub const DEFAULT_RESULTS: u32 = 5;
/// The most results of a search.
pub const MAX_RESULTS: u32 = 25;
/// The most bytes of results that a model is shown of one search.
pub const MAX_SHOWN: usize = 100_000;
/// The most characters of a query.
pub const MAX_QUERY: usize = 2_000;

/// Who searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// The provider of the model where it can, else the operator's engine.
    #[default]
    Auto,
    /// The provider of the model.
    Native,
    /// This engine.
    Named(&'static str),
}

/// What a request says of its searches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchParams {
    /// Who searches.
    pub engine: EngineChoice,
    /// How, in the engine's own word.
    pub mode: Option<String>,
    /// Results of one search.
    pub max_results: u32,
    /// Searches of one request.
    pub max_uses: Option<u32>,
    /// Results of one request.
    pub max_total_results: Option<u32>,
    /// Characters of each result.
    pub characters: u32,
    /// The client's word for the length of results.
    pub context_size: Option<String>,
    /// Which pages may be shown.
    pub domains: Domains,
    /// Where the user is, roughly: what the client sent.
    pub location: Option<Map<String, Value>>,
    /// Where these parameters stand in the client's body.
    pub path: String,
}

impl SearchParams {
    /// What a request means that says nothing more.
    pub fn plain(path: &str) -> Self {
        Self {
            engine: EngineChoice::Auto,
            mode: None,
            max_results: DEFAULT_RESULTS,
            max_uses: None,
            max_total_results: None,
            characters: MEDIUM,
            context_size: None,
            domains: Domains::default(),
            location: None,
            path: path.to_owned(),
        }
    }

    /// Reads the parameters of the tool or of the plugin.
    pub(super) fn read(map: &Map<String, Value>, path: &str) -> Result<Self> {
        let fields = Fields::new(map, path);
        fields.refuse("x_search", "searching X is not offered by this gateway")?;
        let context_size = fields.text("search_context_size")?;
        let characters = match context_size {
            Some("low") => LOW,
            None | Some("medium") => MEDIUM,
            Some("high") => HIGH,
            Some(_) => {
                return Err(fields.wrong("search_context_size", "expected low, medium or high"));
            }
        };
        Ok(Self {
            engine: engine(&fields)?,
            mode: fields.text("mode")?.map(str::to_owned),
            max_results: fields
                .number("max_results", 1..=MAX_RESULTS)?
                .unwrap_or(DEFAULT_RESULTS),
            max_uses: fields.number("max_uses", 1..=u32::MAX)?,
            max_total_results: fields.number("max_total_results", 1..=u32::MAX)?,
            characters: fields
                .number("max_characters", 1..=100_000)?
                .unwrap_or(characters),
            context_size: context_size.map(str::to_owned),
            domains: Domains::read(&fields)?,
            location: fields.object("user_location")?.cloned(),
            path: path.to_owned(),
        })
    }

    /// Tokens of the results of one search.
    pub(super) fn tokens(&self) -> u64 {
        let characters = u64::from(self.max_results) * u64::from(self.characters);
        let shown = u64::try_from(MAX_SHOWN).unwrap_or(u64::MAX);
        characters.min(shown) / u64::try_from(BYTES_PER_TOKEN).unwrap_or(1)
    }

    /// The same wish for the provider of a model.
    pub(super) fn native(&self) -> NativeSearch {
        let names = |hosts: Vec<&str>| hosts.into_iter().map(str::to_owned).collect();
        NativeSearch {
            context_size: self.context_size.clone(),
            max_uses: self.max_uses,
            allowed_domains: names(self.domains.allowed()),
            blocked_domains: names(self.domains.blocked()),
            location: self.location.clone(),
            is_own: false,
        }
    }

    /// The two letters of the user's country.
    fn country(&self) -> Option<String> {
        let country = self.location.as_ref()?.get("country")?.as_str()?;
        let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_code.then(|| country.to_ascii_uppercase())
    }
}

/// Characters of each result, by `search_context_size`.
const LOW: u32 = 500;
const MEDIUM: u32 = 1_500;
const HIGH: u32 = 4_000;

fn engine(fields: &Fields<'_>) -> Result<EngineChoice> {
    Ok(match fields.text("engine")? {
        None | Some("auto") => EngineChoice::Auto,
        Some("native") => EngineChoice::Native,
        Some(name) => match Engine::named(name) {
            Some(engine) => EngineChoice::Named(engine.name),
            None => {
                let known: Vec<&str> = super::engine::ENGINES
                    .iter()
                    .map(|engine| engine.name)
                    .collect();
                let told = format!("expected auto, native, {}", known.join(", "));
                return Err(fields.wrong("engine", told));
            }
        },
    })
}

/// Searches with an engine, as a request wants them.
#[derive(Debug, Clone)]
pub struct Searcher {
    pub(super) engine: Configured,
    pub(super) params: SearchParams,
    pub(super) mode: &'static str,
    country: Option<String>,
}

impl Searcher {
    /// Searches with this engine.
    ///
    /// # Errors
    /// When the engine does not know the mode that is asked for.
    pub(super) fn new(engine: Configured, params: SearchParams) -> Result<Self> {
        let mode = engine
            .mode(params.mode.as_deref())
            .map_err(|told| crate::error::Error::invalid(format!("{}.mode", params.path), told))?;
        Ok(Self {
            country: params.country(),
            engine,
            params,
            mode,
        })
    }

    /// How many results a search may bring where so many were shown already; `None`: none any more.
    pub(super) fn room(&self, shown: u32) -> Option<u32> {
        let left = self
            .params
            .max_total_results
            .map_or(u32::MAX, |most| most.saturating_sub(shown));
        let room = self
            .params
            .max_results
            .min(self.engine.max_results())
            .min(left);
        (room > 0).then_some(room)
    }

    fn search<'a>(&'a self, query: &'a str, max_results: u32) -> Search<'a> {
        Search {
            query,
            max_results,
            characters: self.params.characters,
            mode: self.mode,
            domains: &self.params.domains,
            country: self.country.as_deref(),
        }
    }

    /// The request of a search.
    pub(super) fn request(&self, query: &str, max_results: u32) -> WebRequest {
        self.engine.request(&self.search(query, max_results))
    }

    /// What came of it.
    pub(super) fn read(
        &self,
        query: &str,
        max_results: u32,
        answer: Result<WebAnswer, String>,
    ) -> Called {
        let search = self.search(query, max_results);
        let found = answer.and_then(|answer| self.engine.results(&answer, &search));
        let mut found = match found {
            Ok(found) => found,
            Err(told) => return Called::failed(format!("The search failed: {told}")),
        };
        let count = found
            .len()
            .min(usize::try_from(max_results).unwrap_or(usize::MAX));
        found.retain(|one| {
            let address = Address::parse(&one.source.url);
            address.is_ok_and(|address| self.params.domains.admit(&address))
        });
        found.truncate(count);
        let text = shown(query, &found);
        let listed: Vec<Value> = found
            .iter()
            .map(|one| json!({"title": one.source.title, "url": one.source.url}))
            .collect();
        let results = u64::try_from(count).unwrap_or(u64::MAX);
        Called {
            told: text,
            is_error: false,
            sources: found.into_iter().map(|one| one.source).collect(),
            result: json!({"engine": self.engine.name(), "results": listed}),
            spent: Some(Spent::Search(self.engine.fee(self.mode, results))),
            ..Called::default()
        }
    }
}

/// The function that models call.
pub(super) fn function() -> (&'static str, Value) {
    (
        "Searches the web and returns titles, addresses and excerpts of pages. Use it for recent or uncertain facts. In the answer, cite the pages used as markdown links to their addresses.",
        json!({
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What to search for."}},
            "required": ["query"],
            "additionalProperties": false,
        }),
    )
}

/// The query of a call.
pub(super) fn query(arguments: &Value) -> Result<String, String> {
    let query = arguments
        .get("query")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let query: String = query.trim().chars().take(MAX_QUERY).collect();
    if query.is_empty() {
        return Err("web_search needs the argument query: a string that is not empty".to_owned());
    }
    Ok(query)
}

/// Results as a model reads them.
fn shown(query: &str, found: &[Found]) -> String {
    if found.is_empty() {
        return format!("No results for {query:?}.");
    }
    let mut text = format!("Results for {query:?}:\n");
    for (number, Found { source, date }) in (1..).zip(found) {
        let Source {
            url,
            title,
            excerpt,
        } = source;
        let date = date.as_ref().map(|date| format!("Date: {date}\n"));
        let one = format!(
            "\n[{number}] {title}\n{url}\n{}{excerpt}\n",
            date.unwrap_or_default()
        );
        let room = MAX_SHOWN.saturating_sub(text.len());
        let end = one.floor_char_boundary(room);
        text.push_str(one.get(..end).unwrap_or_default());
        if end < one.len() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searcher(params: Value) -> Searcher {
        let params =
            SearchParams::read(params.as_object().unwrap(), "tools[0].parameters").unwrap();
        let engine = Configured::of(Engine::named("tavily").unwrap(), &|name| {
            (name == "TAVILY_API_KEY").then(|| "k".to_owned())
        });
        Searcher::new(engine.unwrap().unwrap(), params).unwrap()
    }

    fn answer(results: Value) -> Result<WebAnswer, String> {
        let body = json!({"results": results}).to_string().into_bytes();
        Ok(WebAnswer {
            status: 200,
            body,
            ..WebAnswer::default()
        })
    }

    #[test]
    fn parameters_are_checked_with_their_paths() {
        for (params, field) in [
            (json!({"engine": "bing"}), "engine"),
            (json!({"engine": 7}), "engine"),
            (json!({"max_results": 0}), "max_results"),
            (json!({"max_results": 26}), "max_results"),
            (json!({"max_results": "5"}), "max_results"),
            (json!({"max_uses": 0}), "max_uses"),
            (json!({"max_characters": 100_001}), "max_characters"),
            (
                json!({"search_context_size": "huge"}),
                "search_context_size",
            ),
            (json!({"user_location": "Berlin"}), "user_location"),
            (json!({"x_search": {}}), "x_search"),
        ] {
            let error =
                SearchParams::read(params.as_object().unwrap(), "tools[0].parameters").unwrap_err();
            assert_eq!(
                error.param,
                Some(format!("tools[0].parameters.{field}")),
                "{params}"
            );
        }
        let nothing = json!({"max_results": null, "unknown": 1});
        let read = SearchParams::read(nothing.as_object().unwrap(), "p").unwrap();
        assert_eq!(read, SearchParams::plain("p"));
    }

    #[test]
    fn only_admitted_pages_are_shown_and_only_so_many() {
        let searcher = searcher(
            json!({"max_results": 2, "blocked_domains": ["b.example"], "user_location": {"country": "de"}}),
        );
        assert_eq!(searcher.country.as_deref(), Some("DE"));
        let page = |url: &str| json!({"url": url, "title": "T", "content": "words", "published_date": "2026"});
        let results = json!([
            page("https://b.example/"),
            page("https://a.example/"),
            page("https://c.example/"),
            page("https://d.example/")
        ]);
        let called = searcher.read("q", 2, answer(results));
        assert_eq!(
            called.told,
            "Results for \"q\":\n\n[1] T\nhttps://a.example/\nDate: 2026\nwords\n\n[2] T\nhttps://c.example/\nDate: 2026\nwords\n"
        );
        assert_eq!(called.sources.len(), 2);
        assert_eq!(called.result["results"][1]["url"], "https://c.example/");
        assert!(matches!(called.spent, Some(Spent::Search(fee)) if fee.search.get() == 8_000_000));
    }

    #[test]
    fn a_failed_search_is_told_and_costs_nothing() {
        let called = searcher(json!({})).read("q", 5, Err("it took too long".to_owned()));
        assert_eq!(
            (called.told.as_str(), called.is_error, called.spent),
            ("The search failed: it took too long", true, None)
        );
        let nothing = searcher(json!({})).read("q", 5, answer(json!([])));
        assert_eq!(
            (nothing.told.as_str(), nothing.is_error),
            ("No results for \"q\".", false)
        );
    }

    #[test]
    fn what_a_model_is_shown_is_bounded() {
        let searcher = searcher(json!({"max_results": 20, "max_characters": 100_000}));
        let page =
            json!({"url": "https://a.example/", "title": "T", "content": "ü".repeat(40_000)});
        let called = searcher.read("q", 20, answer(json!(vec![page; 20])));
        assert!(called.told.len() <= MAX_SHOWN);
    }

    #[test]
    fn results_are_rationed_over_the_request() {
        let searcher = searcher(json!({"max_results": 4, "max_total_results": 6}));
        assert_eq!(
            [0, 4, 6, 9].map(|shown| searcher.room(shown)),
            [Some(4), Some(2), None, None]
        );
    }
}
