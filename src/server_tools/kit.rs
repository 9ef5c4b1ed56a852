//! The tools of one request, with what the deployment has to run them: functions for the model, calls one by one, what a search
//! before the model adds to the prompt, and what all of it may come to.

use std::rc::Rc;

use futures::future::LocalBoxFuture;
use serde_json::Value;

use super::{
    call::Called,
    citation::Source,
    datetime::{self, DatetimeTool, Zones},
    engine::{Configured, ENGINES},
    fetch::{self, Fetch, FetchTool, Next},
    hosted::{Hosted, HostedFunction},
    search::{self, EngineChoice, SearchParams, Searcher},
    steps::Stop,
    wanted::{FirstSearch, Wanted},
    web::{WebAnswer, WebRequest},
};
use crate::{
    chat::{ChatRequest, Message, Part, Role, ServerToolKind, Tool, ToolCall},
    credits::money::Nanos,
    error::{Error, Result},
};

/// The variable with hosts that are not public and may be fetched all the same: `host` or `host:port`, between commas.
pub const TRUSTED_HOSTS: &str = "WEB_FETCH_TRUSTED_HOSTS";
/// Steps that a request with tools is expected to take, for its hold.
const EXPECTED_STEPS: u64 = 2;
/// Tokens of a page that is expected, for the hold.
const EXPECTED_PAGE: u64 = 4_000;
/// What stands before the results of a search that the model did not ask for.
const FOUND: &str = "A search of the web brought the following results. Use those that help to answer, and cite them as markdown links named after the domain of the page.";

/// The hosts of [`TRUSTED_HOSTS`].
pub fn trusted_hosts(var: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let trusted = var(TRUSTED_HOSTS).unwrap_or_default();
    let hosts = trusted
        .split(',')
        .map(|host| host.trim().to_ascii_lowercase());
    hosts.filter(|host| !host.is_empty()).collect()
}

/// What a deployment has.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    engines: Vec<Configured>,
    trusted: Vec<String>,
}

impl Deployment {
    /// Reads variables and secrets; `report` hears of wrong ones, which are passed over.
    pub fn of(var: &dyn Fn(&str) -> Option<String>, report: &dyn Fn(&str)) -> Self {
        let mut engines = Vec::new();
        for engine in &ENGINES {
            match Configured::of(engine, var) {
                Ok(found) => engines.extend(found),
                Err(problem) => report(&problem),
            }
        }
        Self {
            engines,
            trusted: trusted_hosts(var),
        }
    }

    /// Whether it has the key of a search engine.
    pub fn has_engines(&self) -> bool {
        !self.engines.is_empty()
    }

    fn engine(&self, params: &SearchParams) -> Result<Configured> {
        let found = match params.engine {
            EngineChoice::Auto => self.engines.first(),
            EngineChoice::Named(name) => self.engines.iter().find(|engine| engine.name() == name),
            EngineChoice::Native => None,
        };
        found.cloned().ok_or_else(|| {
            let told = match params.engine {
                EngineChoice::Auto => "web search is asked for, which this deployment does not offer: it has the key of no search engine",
                EngineChoice::Named(_) => "this deployment has no key of the search engine that is asked for",
                EngineChoice::Native => "no provider of the model searches by itself as it is asked to",
            };
            let field = if params.path == "model" { "model".to_owned() } else { format!("{}.engine", params.path) };
            Error::invalid(field, told)
        })
    }
}

/// The tools of one request.
#[derive(Debug, Clone)]
pub struct Kit {
    first: Option<(Searcher, Option<String>)>,
    search: Option<Searcher>,
    fetch: Option<FetchTool>,
    datetime: Option<DatetimeTool>,
    hosted: Option<Hosted>,
    /// When the loop ends.
    pub stop: Stop,
}

/// What was used so far.
#[derive(Debug, Clone, Default)]
pub struct Session {
    searches: u32,
    shown: u32,
    fetches: u32,
    hosted: u32,
}

/// A call that was begun.
pub enum Begun {
    /// It is at its end already.
    Done(Called),
    /// It waits for an answer.
    Waits(Run, WebRequest),
    /// The catalog's tools are run by their host. One that changes something runs alone, in its turn.
    Hosted {
        /// It, not begun.
        run: Box<dyn FnOnce() -> LocalBoxFuture<'static, Called>>,
        /// It may run beside others.
        is_read: bool,
    },
}

/// A call that waits for an answer.
#[derive(Debug)]
pub enum Run {
    /// A search.
    Search {
        /// With what.
        searcher: Box<Searcher>,
        /// For what.
        query: String,
        /// How much of it.
        max_results: u32,
    },
    /// A page.
    Fetch(Box<Fetch>),
}

impl Run {
    /// Reads an answer, or why there is none.
    pub fn answered(&mut self, answer: Result<WebAnswer, String>) -> Next {
        match self {
            Self::Search {
                searcher,
                query,
                max_results,
            } => Next::Done(searcher.read(query, *max_results, answer)),
            Self::Fetch(fetch) => fetch.answered(answer),
        }
    }
}

impl Kit {
    /// Equips a request; `None` where it wants nothing of the gateway.
    ///
    /// # Errors
    /// 400 where it wants what this deployment does not have.
    pub fn of(
        wanted: Wanted,
        deployment: &Deployment,
        hosted: Option<Hosted>,
    ) -> Result<Option<Self>> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let searcher = |params: SearchParams| Searcher::new(deployment.engine(&params)?, params);
        let first = wanted
            .first
            .map(|FirstSearch { params, prompt }| Ok::<_, Error>((searcher(params)?, prompt)));
        Ok(Some(Self {
            first: first.transpose()?,
            search: wanted.search.map(searcher).transpose()?,
            fetch: wanted.fetch.map(|tool| FetchTool {
                trusted: deployment.trusted.clone(),
                ..tool
            }),
            datetime: wanted.datetime,
            hosted,
            stop: wanted.stop,
        }))
    }

    /// The functions that the model may call.
    pub fn functions(&self) -> impl Iterator<Item = ServerToolKind> {
        ServerToolKind::ALL.into_iter().filter(|kind| match kind {
            ServerToolKind::WebSearch => self.search.is_some(),
            ServerToolKind::WebFetch => self.fetch.is_some(),
            ServerToolKind::Datetime => self.datetime.is_some(),
            // Each of them is a function of its own.
            ServerToolKind::Catalog => false,
        })
    }

    /// The names of all functions that the gateway runs.
    pub fn names(&self) -> Vec<String> {
        let own = self.functions().map(|kind| kind.function().to_owned());
        let hosted = self
            .hosted
            .iter()
            .flat_map(|hosted| hosted.functions.iter());
        own.chain(hosted.map(|one| one.tool.name.clone())).collect()
    }

    /// The tool that a function stands for.
    pub fn owns(&self, function: &str) -> Option<ServerToolKind> {
        let own = self.functions().find(|kind| kind.function() == function);
        own.or_else(|| self.hosted(function).map(|_| ServerToolKind::Catalog))
    }

    /// What the client is told that was called.
    pub fn label(&self, function: &str) -> String {
        match (self.hosted(function), self.owns(function)) {
            (Some(hosted), _) => hosted.label.clone(),
            (None, kind) => kind.map_or("", ServerToolKind::as_str).to_owned(),
        }
    }

    /// What a call of a function is expected to cost.
    pub fn price(&self, function: &str) -> Nanos {
        match (self.hosted(function), self.owns(function)) {
            (Some(hosted), _) => hosted.price,
            (None, Some(ServerToolKind::WebSearch)) => self.search_price(),
            (None, _) => Nanos::ZERO,
        }
    }

    fn hosted(&self, function: &str) -> Option<&HostedFunction> {
        self.hosted.as_ref()?.function(function)
    }

    /// Whether the model may call anything.
    pub fn has_functions(&self) -> bool {
        self.hosted.is_some() || self.functions().next().is_some()
    }

    /// The engine that searches.
    pub fn engine(&self) -> Option<&'static str> {
        let first = self.first.as_ref().map(|(searcher, _)| searcher);
        first
            .or(self.search.as_ref())
            .map(|searcher| searcher.engine.name())
    }

    /// The search before the model is called, with the words of the user who spoke last. `None` where none is wanted, or nobody
    /// has said anything.
    pub fn first(&self, request: &ChatRequest, session: &mut Session) -> Option<(Run, WebRequest)> {
        let (searcher, _) = self.first.as_ref()?;
        let message = request
            .messages
            .iter()
            .rfind(|message| message.role == Role::User)?;
        let texts = message.parts.iter().filter_map(|part| match part {
            Part::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let words = texts.collect::<Vec<_>>().join(" ");
        let query = search::query(&serde_json::json!({"query": words})).ok()?;
        let max_results = searcher.room(session.shown)?;
        session.searches += 1;
        session.shown += max_results;
        let request = searcher.request(&query, max_results);
        let searcher = Box::new(searcher.clone());
        Some((
            Run::Search {
                searcher,
                query,
                max_results,
            },
            request,
        ))
    }

    /// Puts what a search before the model brought behind the words of the user who spoke last.
    pub fn inject(&self, request: &mut ChatRequest, called: &Called) {
        let prompt = self
            .first
            .as_ref()
            .and_then(|(_, prompt)| prompt.as_deref());
        let text = match called.is_error {
            true => format!("\n\n[{}]", called.told),
            false => format!("\n\n{}\n\n{}", prompt.unwrap_or(FOUND), called.told),
        };
        let last = request
            .messages
            .iter_mut()
            .rfind(|message| message.role == Role::User);
        match last {
            Some(message) => message.parts.push(Part::text(text)),
            None => request.messages.push(Message::text(Role::User, text)),
        }
    }

    /// Begins a call that the model asked for.
    pub fn begin(
        &self,
        call: &ToolCall,
        session: &mut Session,
        now_ms: u64,
        zones: Zones<'_>,
    ) -> Begun {
        let failed = |told: String| Begun::Done(Called::failed(told));
        if let Some(hosted) = &self.hosted
            && let Some(function) = hosted.function(&call.name)
        {
            if session.hosted >= hosted.max_calls {
                return failed(used_up("calls of tools", hosted.max_calls));
            }
            session.hosted += 1;
            let (host, call) = (Rc::clone(&hosted.host), call.clone());
            return Begun::Hosted {
                run: Box::new(move || host.run(&call)),
                is_read: function.is_read,
            };
        }
        let arguments = match call.arguments.trim() {
            "" => Ok(Value::Object(serde_json::Map::new())),
            text => crate::json::from_str::<Value>(text),
        };
        let Ok(arguments) = arguments else {
            return failed(format!("The arguments of {} are not valid JSON", call.name));
        };
        let kind = self.owns(&call.name);
        match (kind, &self.search, &self.fetch, &self.datetime) {
            (Some(ServerToolKind::WebSearch), Some(searcher), _, _) => {
                begin_search(searcher, &arguments, session).unwrap_or_else(failed)
            }
            (Some(ServerToolKind::WebFetch), _, Some(tool), _) => {
                if session.fetches >= tool.max_uses {
                    return failed(used_up("pages", tool.max_uses));
                }
                session.fetches += 1;
                match Fetch::start(tool, &arguments) {
                    Ok((fetch, request)) => Begun::Waits(Run::Fetch(Box::new(fetch)), request),
                    Err(called) => Begun::Done(called),
                }
            }
            (Some(ServerToolKind::Datetime), _, _, Some(tool)) => {
                match tool.answer(&arguments, now_ms, zones) {
                    Ok(result) => Begun::Done(Called {
                        told: result.to_string(),
                        result,
                        ..Called::default()
                    }),
                    Err(told) => failed(told),
                }
            }
            _ => failed(format!("There is no tool {:?}", call.name)),
        }
    }

    /// Prompt tokens that the request is expected to need in all, where its own prompt has so many.
    pub fn expected_prompt(&self, prompt_tokens: u64) -> u64 {
        let first = self
            .first
            .as_ref()
            .map_or(0, |(searcher, _)| result_tokens(searcher));
        let prompt = prompt_tokens.saturating_add(first);
        let steps = self.expected_steps();
        let search = self.search.as_ref().map_or(0, result_tokens);
        let page = self.fetch.as_ref().map_or(0, |tool| {
            EXPECTED_PAGE.min(u64::from(tool.max_content_tokens))
        });
        let hosted = self.hosted.as_ref().map_or(0, |_| EXPECTED_PAGE);
        // Each step sends the prompt again, and the results of all steps before it.
        let results = search
            .max(page)
            .max(hosted)
            .saturating_mul(steps * (steps + 1) / 2);
        prompt.saturating_mul(1 + steps).saturating_add(results)
    }

    /// What one search costs.
    pub fn search_price(&self) -> Nanos {
        let first = self.first.as_ref().map(|(searcher, _)| searcher);
        let searcher = self.search.as_ref().or(first);
        searcher.map_or(Nanos::ZERO, |searcher| {
            searcher.engine.fee(searcher.mode, 0).search
        })
    }

    /// What its searches are expected to cost.
    pub fn expected_fees(&self) -> Nanos {
        let fee = |searcher: &Searcher, times: u64| {
            let fee = searcher
                .engine
                .fee(searcher.mode, u64::from(searcher.params.max_results));
            let times = i64::try_from(times).unwrap_or(i64::MAX);
            Nanos::new(fee.search.get().saturating_mul(times)).unwrap_or_default()
        };
        let first = self
            .first
            .as_ref()
            .map_or(Nanos::ZERO, |(searcher, _)| fee(searcher, 1));
        let uses = self
            .search
            .as_ref()
            .and_then(|searcher| searcher.params.max_uses);
        let times = self.expected_steps().min(uses.map_or(u64::MAX, u64::from));
        let search = self
            .search
            .as_ref()
            .map_or(Nanos::ZERO, |searcher| fee(searcher, times));
        first.checked_add(search).unwrap_or(search)
    }

    fn expected_steps(&self) -> u64 {
        if self.has_functions() {
            EXPECTED_STEPS
        } else {
            0
        }
    }
}

/// The function that models see of a tool.
pub fn function(kind: ServerToolKind) -> Tool {
    let (description, parameters) = match kind {
        ServerToolKind::WebSearch => search::function(),
        ServerToolKind::WebFetch => fetch::function(),
        ServerToolKind::Datetime => datetime::function(),
        // Theirs are made where their rows are known.
        ServerToolKind::Catalog => ("", Value::Null),
    };
    Tool {
        name: kind.function().to_owned(),
        description: Some(description.to_owned()),
        parameters: Some(parameters),
        strict: None,
        cache: None,
    }
}

fn result_tokens(searcher: &Searcher) -> u64 {
    searcher.params.tokens()
}

fn used_up(what: &str, most: u32) -> String {
    format!(
        "No more {what}: this conversation allows {most} in one answer. Answer with what is known"
    )
}

fn begin_search(
    searcher: &Searcher,
    arguments: &Value,
    session: &mut Session,
) -> Result<Begun, String> {
    let query = search::query(arguments)?;
    if let Some(most) = searcher
        .params
        .max_uses
        .filter(|most| session.searches >= *most)
    {
        return Err(used_up("searches", most));
    }
    let max_results = searcher.room(session.shown);
    let max_results = max_results.ok_or_else(|| used_up("results", session.shown))?;
    session.searches += 1;
    session.shown += max_results;
    let request = searcher.request(&query, max_results);
    let searcher = Box::new(searcher.clone());
    Ok(Begun::Waits(
        Run::Search {
            searcher,
            query,
            max_results,
        },
        request,
    ))
}

/// Adds the sources of a call to those of the answer.
pub fn cite(sources: &mut Vec<Source>, called: &Called) {
    for source in &called.sources {
        if !sources.iter().any(|known| known.url == source.url) {
            sources.push(source.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialects::openai_chat::client::parse_request;

    fn var(name: &str) -> Option<String> {
        let text = match name {
            "TAVILY_API_KEY" | "BRAVE_API_KEY" => "k",
            TRUSTED_HOSTS => "127.0.0.1:9, Wiki.internal ,",
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn kit(body: Value) -> Result<(ChatRequest, Option<Kit>)> {
        let mut whole = json!({"model": "a/b", "messages": [{"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": "new?"}]}]});
        whole
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        let chat = parse_request(whole.to_string().as_bytes())?;
        let deployment = Deployment::of(&var, &|problem| panic!("{problem}"));
        let kit = Kit::of(Wanted::of(&chat)?, &deployment, None)?;
        Ok((chat, kit))
    }

    fn call(name: &str, arguments: &str) -> ToolCall {
        ToolCall {
            id: "c".into(),
            name: name.into(),
            arguments: arguments.into(),
        }
    }

    fn begin(kit: &Kit, session: &mut Session, call: &ToolCall) -> Begun {
        kit.begin(call, session, 0, &|_| None)
    }

    fn failed(begun: Begun) -> String {
        match begun {
            Begun::Done(called) if called.is_error => called.told,
            _ => panic!("it was begun"),
        }
    }

    #[test]
    fn the_engine_is_the_first_that_the_deployment_has_or_the_one_that_is_named() {
        let engine = |parameters: Value| {
            let kit = kit(
                json!({"tools": [{"type": "openrouter:web_search", "parameters": parameters}]}),
            );
            kit.map(|(_, kit)| kit.unwrap().engine())
        };
        assert_eq!(engine(json!({})).unwrap(), Some("tavily"));
        assert_eq!(engine(json!({"engine": "brave"})).unwrap(), Some("brave"));
        for named in ["exa", "native"] {
            let error = engine(json!({"engine": named})).unwrap_err();
            assert_eq!(
                error.param.as_deref(),
                Some("tools[0].parameters.engine"),
                "{named}"
            );
        }
        let error = engine(json!({"mode": "deep"})).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tools[0].parameters.mode"));
        let online = parse_request(
            json!({"model": "a/b:online", "prompt": "x"})
                .to_string()
                .as_bytes(),
        )
        .unwrap();
        let mut wanted = Wanted::of(&online).unwrap();
        wanted.search_first("model");
        let error = Kit::of(wanted, &Deployment::default(), None).unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, Some("model")));
        assert!(kit(json!({})).unwrap().1.is_none());
    }

    #[test]
    fn uses_are_counted_over_the_request_and_a_refusal_is_told_to_the_model() {
        let tools = json!([
            {"type": "openrouter:web_search", "parameters": {"max_uses": 1}},
            {"type": "openrouter:web_fetch", "parameters": {"max_uses": 1}},
        ]);
        let kit = kit(json!({"tools": tools})).unwrap().1.unwrap();
        let mut session = Session::default();
        let search = call("web_search", r#"{"query":"x"}"#);
        assert!(matches!(
            begin(&kit, &mut session, &search),
            Begun::Waits(..)
        ));
        assert!(failed(begin(&kit, &mut session, &search)).contains("allows 1"));
        let page = call("web_fetch", r#"{"url":"https://a.example/"}"#);
        assert!(matches!(begin(&kit, &mut session, &page), Begun::Waits(..)));
        assert!(failed(begin(&kit, &mut session, &page)).contains("allows 1"));
        for (name, arguments) in [
            ("web_search", "{"),
            ("web_search", "{}"),
            ("web_search", ""),
            ("datetime", "{}"),
            ("other", "{}"),
        ] {
            failed(begin(&kit, &mut Session::default(), &call(name, arguments)));
        }
    }

    #[test]
    fn hosts_that_the_operator_trusts_may_be_fetched() {
        let kit = kit(json!({"plugins": [{"id": "web-fetch"}]}))
            .unwrap()
            .1
            .unwrap();
        for (url, admitted) in [
            ("http://127.0.0.1:9/x", true),
            ("http://wiki.internal/", true),
            ("http://127.0.0.1/", false),
        ] {
            let call = call("web_fetch", &json!({"url": url}).to_string());
            let begun = begin(&kit, &mut Session::default(), &call);
            assert_eq!(matches!(begun, Begun::Waits(..)), admitted, "{url}");
        }
    }

    #[test]
    fn the_plugin_searches_for_the_last_words_and_puts_the_results_behind_them() {
        let (mut chat, kit) =
            kit(json!({"plugins": [{"id": "web", "search_prompt": "Found this:"}]})).unwrap();
        let kit = kit.unwrap();
        let (mut run, request) = kit.first(&chat, &mut Session::default()).unwrap();
        let body: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
        assert_eq!(body["query"], "What is new?");
        let Next::Done(called) = run.answered(Err("it took too long".into())) else {
            panic!()
        };
        kit.inject(&mut chat, &called);
        let last = chat.messages[0].parts.last().unwrap();
        assert_eq!(
            *last,
            Part::text("\n\n[The search failed: it took too long]")
        );
        kit.inject(
            &mut chat,
            &Called {
                told: "Results".into(),
                ..Called::default()
            },
        );
        let last = chat.messages[0].parts.last().unwrap();
        assert_eq!(*last, Part::text("\n\nFound this:\n\nResults"));
        assert!(!kit.has_functions());
    }

    #[test]
    fn what_a_request_may_come_to_grows_with_its_tools() {
        let plain = kit(json!({"tools": [{"type": "openrouter:datetime"}]}))
            .unwrap()
            .1
            .unwrap();
        assert_eq!(
            (plain.expected_prompt(100), plain.expected_fees()),
            (300, Nanos::ZERO)
        );
        let plugin = kit(json!({"plugins": [{"id": "web"}]})).unwrap().1.unwrap();
        // Five results of 1,500 characters.
        assert_eq!(
            (plugin.expected_prompt(100), plugin.expected_fees().get()),
            (1_975, 8_000_000)
        );
        let search = kit(json!({"tools": [{"type": "web_search", "max_uses": 1}]}))
            .unwrap()
            .1
            .unwrap();
        assert_eq!(
            (search.expected_prompt(100), search.expected_fees().get()),
            (300 + 3 * 1_875, 8_000_000)
        );
    }
}
