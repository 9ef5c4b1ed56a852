//! Search engines as data: where they are, how they are asked, where their answer keeps its results, what a search costs.
//!
//! A deployment offers the engines whose secret it holds. Specs: the engines' own API references.

use serde_json::{Map, Value, json};

use super::{
    citation::Source,
    domain::Domains,
    html,
    web::{WebAnswer, WebRequest},
};
use crate::credits::money::{MAX_NANOS, Nanos};

/// The most bytes of an engine's answer.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Where an engine expects its key.
#[derive(Debug, Clone, Copy)]
enum Auth {
    /// `Authorization: Bearer`.
    Bearer,
    /// The bare key in a header of this name.
    Header(&'static str),
}

/// A search, as every engine takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) query: &'a str,
    pub(super) max_results: u32,
    /// Characters of each result.
    pub(super) characters: u32,
    pub(super) mode: &'a str,
    pub(super) domains: &'a Domains,
    /// ISO 3166-1, two letters, upper case.
    pub(super) country: Option<&'a str>,
}

/// An engine.
pub struct Engine {
    /// Its name in requests.
    pub name: &'static str,
    /// The secret that holds its key; the name before `_API_KEY` begins the names of its variables.
    pub secret: &'static str,
    /// The variable that replaces its base URL.
    base_variable: &'static str,
    base_url: &'static str,
    /// The variable that replaces the price of a search: whole nano-dollars.
    price_variable: &'static str,
    auth: Auth,
    /// What can be asked for as `mode`, with the default price of a search in nano-dollars; the first one is the default.
    modes: &'static [(&'static str, i64)],
    /// The most results of one search.
    max_results: u32,
    /// Results that the price of a search includes, and the default price of each one more.
    beyond: Option<(u32, i64)>,
    /// The most characters of a query.
    max_query: usize,
    path: &'static str,
    /// Fields of the request: of its body, or of its query string where the engine is asked with GET.
    fields: fn(&Search<'_>) -> Value,
    is_get: bool,
    /// Where the list of results is.
    results: &'static str,
    url: &'static str,
    /// Where a result's text may be: strings, or lists of strings.
    texts: &'static [&'static str],
    date: &'static str,
}

/// Every engine, in the order in which `auto` prefers them.
pub static ENGINES: [Engine; 7] = [
    Engine {
        name: "exa",
        secret: "EXA_API_KEY",
        base_variable: "EXA_BASE_URL",
        base_url: "https://api.exa.ai",
        price_variable: "EXA_SEARCH_PRICE",
        auth: Auth::Header("x-api-key"),
        modes: &[
            ("auto", 7_000_000),
            ("instant", 7_000_000),
            ("fast", 7_000_000),
            ("deep-lite", 12_000_000),
            ("deep", 12_000_000),
            ("deep-reasoning", 15_000_000),
        ],
        max_results: 25,
        beyond: Some((10, 1_000_000)),
        max_query: 2_000,
        path: "/search",
        fields: exa,
        is_get: false,
        results: "/results",
        url: "url",
        texts: &["text"],
        date: "publishedDate",
    },
    Engine {
        name: "tavily",
        secret: "TAVILY_API_KEY",
        base_variable: "TAVILY_BASE_URL",
        base_url: "https://api.tavily.com",
        price_variable: "TAVILY_SEARCH_PRICE",
        auth: Auth::Bearer,
        modes: &[("basic", 8_000_000), ("advanced", 16_000_000)],
        max_results: 20,
        beyond: None,
        max_query: 400,
        path: "/search",
        fields: tavily,
        is_get: false,
        results: "/results",
        url: "url",
        texts: &["content"],
        date: "published_date",
    },
    Engine {
        name: "brave",
        secret: "BRAVE_API_KEY",
        base_variable: "BRAVE_BASE_URL",
        base_url: "https://api.search.brave.com/res/v1",
        price_variable: "BRAVE_SEARCH_PRICE",
        auth: Auth::Header("x-subscription-token"),
        modes: &[("web", 5_000_000)],
        max_results: 20,
        beyond: None,
        max_query: 400,
        path: "/web/search",
        fields: brave,
        is_get: true,
        results: "/web/results",
        url: "url",
        texts: &["description", "extra_snippets"],
        date: "page_age",
    },
    Engine {
        name: "parallel",
        secret: "PARALLEL_API_KEY",
        base_variable: "PARALLEL_BASE_URL",
        base_url: "https://api.parallel.ai",
        price_variable: "PARALLEL_SEARCH_PRICE",
        auth: Auth::Header("x-api-key"),
        modes: &[
            ("basic", 5_000_000),
            ("advanced", 5_000_000),
            ("fast", 1_000_000),
            ("turbo", 1_000_000),
        ],
        max_results: 25,
        beyond: Some((10, 1_000_000)),
        max_query: 200,
        path: "/v1/search",
        fields: parallel,
        is_get: false,
        results: "/results",
        url: "url",
        texts: &["excerpts"],
        date: "publish_date",
    },
    Engine {
        name: "perplexity",
        // Not the secret of the provider of models: who has that key may not want to search with it.
        secret: "PERPLEXITY_SEARCH_API_KEY",
        base_variable: "PERPLEXITY_SEARCH_BASE_URL",
        base_url: "https://api.perplexity.ai",
        price_variable: "PERPLEXITY_SEARCH_PRICE",
        auth: Auth::Bearer,
        modes: &[("search", 5_000_000)],
        max_results: 20,
        beyond: None,
        max_query: 2_000,
        path: "/search",
        fields: perplexity,
        is_get: false,
        results: "/results",
        url: "url",
        texts: &["snippet"],
        date: "date",
    },
    Engine {
        name: "firecrawl",
        secret: "FIRECRAWL_API_KEY",
        base_variable: "FIRECRAWL_BASE_URL",
        base_url: "https://api.firecrawl.dev",
        price_variable: "FIRECRAWL_SEARCH_PRICE",
        auth: Auth::Bearer,
        modes: &[("search", 10_000_000)],
        max_results: 25,
        beyond: None,
        max_query: 500,
        path: "/v2/search",
        fields: firecrawl,
        is_get: false,
        results: "/data/web",
        url: "url",
        texts: &["markdown", "description"],
        date: "date",
    },
    Engine {
        name: "serper",
        secret: "SERPER_API_KEY",
        base_variable: "SERPER_BASE_URL",
        base_url: "https://google.serper.dev",
        price_variable: "SERPER_SEARCH_PRICE",
        auth: Auth::Header("x-api-key"),
        modes: &[("search", 1_000_000)],
        max_results: 25,
        beyond: None,
        max_query: 2_000,
        path: "/search",
        fields: serper,
        is_get: false,
        results: "/organic",
        url: "link",
        texts: &["snippet"],
        date: "date",
    },
];

fn exa(search: &Search<'_>) -> Value {
    json!({
        "query": search.query,
        "type": search.mode,
        "numResults": search.max_results,
        "contents": {"text": {"maxCharacters": search.characters}},
        "includeDomains": list(search.domains.allowed()),
        "excludeDomains": list(search.domains.blocked()),
        "userLocation": search.country,
    })
}

fn tavily(search: &Search<'_>) -> Value {
    json!({
        "query": search.query,
        "search_depth": search.mode,
        "max_results": search.max_results,
        "include_domains": list(search.domains.allowed()),
        "exclude_domains": list(search.domains.blocked()),
    })
}

fn brave(search: &Search<'_>) -> Value {
    json!({"q": search.query, "count": search.max_results, "country": search.country, "text_decorations": false})
}

fn parallel(search: &Search<'_>) -> Value {
    json!({
        "objective": search.query,
        "search_queries": [search.query],
        "mode": search.mode,
        "advanced_settings": {
            "max_results": search.max_results,
            "excerpt_settings": {"max_chars_per_result": search.characters},
            "source_policy": {
                "include_domains": search.domains.allowed(),
                "exclude_domains": search.domains.blocked(),
            },
        },
    })
}

fn perplexity(search: &Search<'_>) -> Value {
    let (allowed, blocked) = (search.domains.allowed(), search.domains.blocked());
    // One list holds either kind; the other one is filtered here.
    let filter: Vec<String> = match allowed.is_empty() {
        true => blocked.iter().map(|host| format!("-{host}")).collect(),
        false => allowed.into_iter().map(str::to_owned).collect(),
    };
    json!({
        "query": search.query,
        "max_results": search.max_results,
        "max_tokens_per_page": search.characters / 4,
        "search_domain_filter": (!filter.is_empty()).then_some(filter),
        "country": search.country,
    })
}

fn firecrawl(search: &Search<'_>) -> Value {
    let (allowed, blocked) = (search.domains.allowed(), search.domains.blocked());
    // Only one of them may be sent.
    let blocked = if allowed.is_empty() {
        blocked
    } else {
        Vec::new()
    };
    json!({
        "query": search.query,
        "limit": search.max_results,
        "includeDomains": list(allowed),
        "excludeDomains": list(blocked),
        "country": search.country,
    })
}

fn serper(search: &Search<'_>) -> Value {
    let country = search.country.map(str::to_ascii_lowercase);
    json!({"q": search.query, "num": search.max_results, "gl": country})
}

/// A list, or nothing where it is empty.
fn list(names: Vec<&str>) -> Option<Vec<&str>> {
    Some(names).filter(|names| !names.is_empty())
}

impl Engine {
    /// The engine of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ENGINES.iter().find(|engine| engine.name == name)
    }
}

/// An engine that a deployment can ask.
#[derive(Clone)]
pub struct Configured {
    engine: &'static Engine,
    key: String,
    base_url: String,
    /// The operator's own price of a search.
    price: Option<Nanos>,
}

// The key stays out of whatever is printed.
impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.engine.name)
    }
}

/// What a search costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchFee {
    /// The search itself.
    pub search: Nanos,
    /// Results that its price includes.
    pub included: u64,
    /// Results beyond those that its price includes, and the price of each.
    pub further: Option<(u64, Nanos)>,
}

impl Configured {
    /// The engine, if the deployment holds its secret. `var` looks up variables and secrets.
    ///
    /// # Errors
    /// With what is wrong with the variable that names its price.
    pub fn of(
        engine: &'static Engine,
        var: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let Some(key) = var(engine.secret) else {
            return Ok(None);
        };
        let price = match var(engine.price_variable) {
            None => None,
            Some(text) => {
                let nanos = text.trim().parse::<i64>().ok();
                let nanos = nanos.filter(|nanos| (0..=MAX_NANOS).contains(nanos));
                let price = nanos.and_then(|nanos| Nanos::new(nanos).ok());
                let told = || {
                    format!(
                        "{} is no price in nano-dollars: {text:?}",
                        engine.price_variable
                    )
                };
                Some(price.ok_or_else(told)?)
            }
        };
        let base_url = var(engine.base_variable).unwrap_or_else(|| engine.base_url.to_owned());
        Ok(Some(Self {
            engine,
            key,
            base_url: base_url.trim_end_matches('/').to_owned(),
            price,
        }))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.engine.name
    }

    /// The most results of one search.
    pub(super) fn max_results(&self) -> u32 {
        self.engine.max_results
    }

    /// The mode of this name, or the default one.
    pub(super) fn mode(&self, name: Option<&str>) -> Result<&'static str, String> {
        let modes = self.engine.modes;
        let found = match name {
            Some(name) => modes.iter().find(|(mode, _)| *mode == name),
            None => modes.first(),
        };
        found.map(|(mode, _)| *mode).ok_or_else(|| {
            let known: Vec<&str> = modes.iter().map(|(mode, _)| *mode).collect();
            format!("the engine {} knows {}", self.engine.name, known.join(", "))
        })
    }

    /// What a search in this mode with so many results costs.
    pub fn fee(&self, mode: &str, results: u64) -> SearchFee {
        let nanos = |nanos: i64| Nanos::new(nanos).unwrap_or_default();
        let default = self.engine.modes.iter().find(|(name, _)| *name == mode);
        let search = self
            .price
            .unwrap_or_else(|| nanos(default.map_or(0, |(_, price)| *price)));
        // Who names a price names all of it.
        let beyond = self.engine.beyond.filter(|_| self.price.is_none());
        let (included, price) = beyond.unwrap_or((u32::MAX, 0));
        let further = results.saturating_sub(u64::from(included));
        SearchFee {
            search,
            included: results - further,
            further: (further > 0).then(|| (further, nanos(price))),
        }
    }

    /// The request that asks it.
    pub(super) fn request(&self, search: &Search<'_>) -> WebRequest {
        let end = search.query.char_indices().nth(self.engine.max_query);
        let query = end.map_or(search.query, |(end, _)| {
            search.query.get(..end).unwrap_or_default()
        });
        let fields = (self.engine.fields)(&Search { query, ..*search });
        let fields: Map<String, Value> = match fields {
            Value::Object(fields) => fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
            _ => Map::new(),
        };
        let mut url = format!("{}{}", self.base_url, self.engine.path);
        let mut headers = vec![("accept", "application/json".to_owned())];
        headers.push(match self.engine.auth {
            Auth::Bearer => ("authorization", format!("Bearer {}", self.key)),
            Auth::Header(name) => (name, self.key.clone()),
        });
        let mut body = None;
        if self.engine.is_get {
            for (at, (name, value)) in fields.iter().enumerate() {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), percent_encoded);
                url.push_str(if at == 0 { "?" } else { "&" });
                url.push_str(&format!("{name}={text}"));
            }
        } else {
            headers.push(("content-type", "application/json".to_owned()));
            body = Some(Value::Object(fields).to_string().into_bytes());
        }
        WebRequest {
            url,
            headers,
            body,
            max_bytes: MAX_ANSWER,
        }
    }

    /// The results in its answer, the best first; or why there are none.
    pub(super) fn results(
        &self,
        answer: &WebAnswer,
        search: &Search<'_>,
    ) -> Result<Vec<Found>, String> {
        let name = self.engine.name;
        if !(200..300).contains(&answer.status) {
            // Its own words may quote the key.
            return Err(format!(
                "The search engine {name} answered with status {}",
                answer.status
            ));
        }
        let unreadable = || format!("The answer of the search engine {name} cannot be read");
        let body: Value = crate::json::from_slice(&answer.body).map_err(|_| unreadable())?;
        let Some(results) = body.pointer(self.engine.results) else {
            // Engines leave the list out where they found nothing.
            return match body.is_object() {
                true => Ok(Vec::new()),
                false => Err(unreadable()),
            };
        };
        let results = results.as_array().ok_or_else(unreadable)?;
        let limit = usize::try_from(search.characters).unwrap_or(usize::MAX);
        Ok(results
            .iter()
            .filter_map(|result| self.found(result, limit))
            .collect())
    }

    fn found(&self, result: &Value, limit: usize) -> Option<Found> {
        let text = |name: &str| result.get(name).and_then(Value::as_str);
        let url = text(self.engine.url).filter(|url| url.starts_with("http"))?;
        let mut excerpt = String::new();
        for value in self.engine.texts.iter().filter_map(|name| result.get(name)) {
            let list = value.as_array().map(Vec::as_slice);
            for text in list
                .unwrap_or(std::slice::from_ref(value))
                .iter()
                .filter_map(Value::as_str)
            {
                let text = if text.contains(['<', '&']) {
                    html::read(text, limit).text
                } else {
                    text.trim().to_owned()
                };
                if !excerpt.is_empty() && !text.is_empty() {
                    excerpt.push('\n');
                }
                excerpt.push_str(&text);
            }
        }
        if let Some((end, _)) = excerpt.char_indices().nth(limit) {
            excerpt.truncate(end);
            excerpt.push('…');
        }
        let title = html::words(&html::decoded(text("title").unwrap_or_default()));
        Some(Found {
            source: Source {
                title: if title.is_empty() {
                    url.to_owned()
                } else {
                    title
                },
                url: url.to_owned(),
                excerpt,
            },
            date: text(self.engine.date).map(|date| date.chars().take(32).collect()),
        })
    }
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) date: Option<String>,
}

fn percent_encoded(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_tools::{address::Address, fields::Fields};

    fn configured(name: &str) -> Configured {
        let engine = Engine::named(name).unwrap();
        let var = |variable: &str| (variable == engine.secret).then(|| "secret-key".to_owned());
        Configured::of(engine, &var).unwrap().unwrap()
    }

    fn search<'a>(engine: &Configured, domains: &'a Domains, query: &'a str) -> Search<'a> {
        Search {
            query,
            max_results: 3,
            characters: 10,
            mode: engine.mode(None).unwrap(),
            domains,
            country: Some("DE"),
        }
    }

    #[test]
    fn each_engine_is_asked_in_its_own_form() {
        let lists = json!({"allowed_domains": ["a.example"], "blocked_domains": ["b.a.example"]});
        let domains = Domains::read(&Fields::new(lists.as_object().unwrap(), "x")).unwrap();
        for (name, header, expected) in [
            (
                "exa",
                "x-api-key",
                json!({"query": "ä b", "type": "auto", "numResults": 3, "contents": {"text": {"maxCharacters": 10}}, "includeDomains": ["a.example"], "excludeDomains": ["b.a.example"], "userLocation": "DE"}),
            ),
            (
                "tavily",
                "authorization",
                json!({"query": "ä b", "search_depth": "basic", "max_results": 3, "include_domains": ["a.example"], "exclude_domains": ["b.a.example"]}),
            ),
            (
                "parallel",
                "x-api-key",
                json!({"objective": "ä b", "search_queries": ["ä b"], "mode": "basic", "advanced_settings": {"max_results": 3, "excerpt_settings": {"max_chars_per_result": 10}, "source_policy": {"include_domains": ["a.example"], "exclude_domains": ["b.a.example"]}}}),
            ),
            (
                "perplexity",
                "authorization",
                json!({"query": "ä b", "max_results": 3, "max_tokens_per_page": 2, "search_domain_filter": ["a.example"], "country": "DE"}),
            ),
            (
                "firecrawl",
                "authorization",
                json!({"query": "ä b", "limit": 3, "includeDomains": ["a.example"], "country": "DE"}),
            ),
            (
                "serper",
                "x-api-key",
                json!({"q": "ä b", "num": 3, "gl": "de"}),
            ),
        ] {
            let engine = configured(name);
            let request = engine.request(&search(&engine, &domains, "ä b"));
            let body: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
            assert_eq!(body, expected, "{name}");
            assert!(
                request
                    .headers
                    .iter()
                    .any(|(key, value)| *key == header && value.ends_with("secret-key")),
                "{name}"
            );
            assert!(request.url.starts_with(engine.engine.base_url), "{name}");
            assert!(Address::parse(&request.url).unwrap().is_public(), "{name}");
        }
        let brave = configured("brave");
        let request = brave.request(&search(&brave, &domains, "ä b&c"));
        assert_eq!(request.body, None);
        assert_eq!(
            request.url,
            "https://api.search.brave.com/res/v1/web/search?q=%C3%A4%20b%26c&count=3&country=DE&text_decorations=false"
        );
        let long = "ü".repeat(500);
        let request = brave.request(&search(&brave, &domains, &long));
        assert_eq!(request.url.matches("%C3%BC").count(), 400);
    }

    #[test]
    fn each_engines_answer_becomes_the_same_results() {
        let domains = Domains::default();
        let found = |text: &str| Found {
            source: Source {
                url: "https://a.example/".into(),
                title: "A & B".into(),
                excerpt: text.into(),
            },
            date: Some("2026-11-01".into()),
        };
        for (name, answer, text) in [
            (
                "exa",
                json!({"results": [{"url": "https://a.example/", "title": "A &amp; B", "publishedDate": "2026-11-01", "text": "0123456789abc"}]}),
                "0123456789…",
            ),
            (
                "tavily",
                json!({"results": [{"url": "https://a.example/", "title": "A & B", "published_date": "2026-11-01", "content": " words "}, {"url": "ftp://b"}, {"title": "no url"}]}),
                "words",
            ),
            (
                "brave",
                json!({"web": {"results": [{"url": "https://a.example/", "title": "A & B", "page_age": "2026-11-01", "description": "<strong>x</strong> y", "extra_snippets": ["z"]}]}}),
                "x y\nz",
            ),
            (
                "parallel",
                json!({"results": [{"url": "https://a.example/", "title": "A & B", "publish_date": "2026-11-01", "excerpts": ["a", "b"]}]}),
                "a\nb",
            ),
            (
                "perplexity",
                json!({"results": [{"url": "https://a.example/", "title": "A & B", "date": "2026-11-01", "snippet": "s"}]}),
                "s",
            ),
            (
                "firecrawl",
                json!({"success": true, "data": {"web": [{"url": "https://a.example/", "title": "A & B", "date": "2026-11-01", "description": "d"}]}}),
                "d",
            ),
            (
                "serper",
                json!({"organic": [{"link": "https://a.example/", "title": "A & B", "date": "2026-11-01", "snippet": "s"}]}),
                "s",
            ),
        ] {
            let engine = configured(name);
            let answer = WebAnswer {
                status: 200,
                body: answer.to_string().into_bytes(),
                ..WebAnswer::default()
            };
            let results = engine
                .results(&answer, &search(&engine, &domains, "q"))
                .unwrap();
            assert_eq!(results, [found(text)], "{name}");
        }
    }

    #[test]
    fn a_failing_engine_is_told_without_its_own_words() {
        let (engine, domains) = (configured("exa"), Domains::default());
        let answer = |status, body: &[u8]| WebAnswer {
            status,
            body: body.to_vec(),
            ..WebAnswer::default()
        };
        let read = |answer: &WebAnswer| engine.results(answer, &search(&engine, &domains, "q"));
        let refused = read(&answer(401, b"{\"error\":\"bad key secret-key\"}")).unwrap_err();
        assert_eq!(refused, "The search engine exa answered with status 401");
        for broken in [&b"<html>"[..], b"{\"results\":7}", b"[]", b""] {
            assert!(read(&answer(200, broken)).is_err());
        }
        assert_eq!(read(&answer(200, b"{}")), Ok(Vec::new()));
        assert!(!format!("{engine:?}").contains("secret-key"));
    }

    #[test]
    fn a_search_has_the_price_of_its_mode_or_the_operators() {
        let exa = configured("exa");
        let nanos = |nanos| Nanos::new(nanos).unwrap();
        assert_eq!(
            exa.fee("auto", 10),
            SearchFee {
                search: nanos(7_000_000),
                included: 10,
                further: None
            }
        );
        assert_eq!(
            exa.fee("deep", 13),
            SearchFee {
                search: nanos(12_000_000),
                included: 10,
                further: Some((3, nanos(1_000_000)))
            }
        );
        assert!(exa.mode(Some("turbo")).unwrap_err().contains("deep-lite"));
        let with = |price: &'static str| {
            move |variable: &str| match variable {
                "EXA_API_KEY" => Some("k".to_owned()),
                "EXA_SEARCH_PRICE" => Some(price.to_owned()),
                "EXA_BASE_URL" => Some("http://127.0.0.1:9/exa/".to_owned()),
                _ => None,
            }
        };
        let engine = Engine::named("exa").unwrap();
        let own = Configured::of(engine, &with("123")).unwrap().unwrap();
        assert_eq!(
            own.fee("deep", 25),
            SearchFee {
                search: nanos(123),
                included: 25,
                further: None
            }
        );
        let domains = Domains::default();
        assert_eq!(
            own.request(&search(&own, &domains, "q")).url,
            "http://127.0.0.1:9/exa/search"
        );
        for wrong in ["", "-1", "0.007", "x", "9007199254740992"] {
            assert!(Configured::of(engine, &with(wrong)).is_err(), "{wrong}");
        }
        assert!(Configured::of(engine, &|_| None).unwrap().is_none());
    }
}
