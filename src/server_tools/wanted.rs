//! What a request asks of server tools: its declarations, its plugins, `:online`, and when to stop.

use serde_json::{Map, Value};

use super::{
    datetime::DatetimeTool,
    fetch::FetchTool,
    fields::Fields,
    hosted::Declared,
    search::{EngineChoice, SearchParams},
    steps::Stop,
};
use crate::{
    catalog::WebSearch,
    chat::{ChatRequest, NativeSearch, ServerTool, ServerToolKind, ToolChoice},
    error::{Error, Result},
};

/// One search before the model is called (the plugin `web`, or `:online`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstSearch {
    /// How to search.
    pub params: SearchParams,
    /// The words that stand before the results, where the client has its own.
    pub prompt: Option<String>,
}

/// Everything that a request wants, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Search by the model.
    pub search: Option<SearchParams>,
    /// The client's own bytes ask hosts of its API for that search.
    pub is_own_search: bool,
    /// The request does without that search where nobody can run it.
    pub may_lack_search: bool,
    /// Fetch by the model.
    pub fetch: Option<FetchTool>,
    /// Date and time.
    pub datetime: Option<DatetimeTool>,
    /// Tools of the catalog.
    pub catalog: Vec<Declared>,
    /// Search before the model.
    pub first: Option<FirstSearch>,
    /// When the loop ends.
    pub stop: Stop,
}

impl Wanted {
    /// Reads a request.
    ///
    /// # Errors
    /// 400 with the path of what is wrong.
    pub fn of(chat: &ChatRequest) -> Result<Self> {
        let mut wanted = Self::default();
        for tool in &chat.server_tools {
            wanted.tool(tool)?;
        }
        let plugins = chat.extra.get("plugins").and_then(Value::as_array);
        for (at, plugin) in plugins.into_iter().flatten().enumerate() {
            if let Some(plugin) = plugin.as_object() {
                wanted.plugin(plugin, &format!("plugins[{at}]"))?;
            }
        }
        if wanted == Self::default() {
            return Ok(wanted);
        }
        let extra = |name: &str| chat.extra.get(name);
        wanted.stop = Stop::read(extra("max_tool_calls"), extra("stop_server_tools_when"))?;
        wanted.check(chat)?;
        Ok(wanted)
    }

    /// The name of a model asks for a search, at this place in the request.
    pub fn search_first(&mut self, path: &str) {
        self.first.get_or_insert_with(|| FirstSearch {
            params: SearchParams::plain(path),
            prompt: None,
        });
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.catalog.is_empty() && self.functions().next().is_none()
    }

    /// The tools that the model may call.
    pub fn functions(&self) -> impl Iterator<Item = ServerToolKind> {
        let tools = [
            self.search.as_ref().map(|_| ServerToolKind::WebSearch),
            self.fetch.as_ref().map(|_| ServerToolKind::WebFetch),
            self.datetime.as_ref().map(|_| ServerToolKind::Datetime),
        ];
        tools.into_iter().flatten()
    }

    /// Every search that is wanted.
    pub fn searches(&self) -> impl Iterator<Item = &SearchParams> {
        let first = self.first.as_ref().map(|first| &first.params);
        first.into_iter().chain(&self.search)
    }

    /// Whether the provider of the model has to search, or nobody.
    pub fn needs_native(&self) -> bool {
        self.searches()
            .any(|params| params.engine == EngineChoice::Native)
    }

    /// Whether the provider of the model may search instead of an engine.
    pub fn admits_native(&self) -> bool {
        let is_open = |params: &SearchParams| {
            matches!(params.engine, EngineChoice::Auto | EngineChoice::Native)
        };
        self.searches().next().is_some() && self.searches().all(is_open)
    }

    /// Where searches are asked for in the client's body.
    pub fn search_path(&self) -> &str {
        let first = self.searches().next();
        first.map_or("", |params| params.path.as_str())
    }

    /// Leaves the searches to the provider of the model: what to ask it for.
    pub fn take_native(&mut self) -> NativeSearch {
        let search = self.search.take();
        let first = self.first.take().map(|first| first.params);
        let is_own = std::mem::take(&mut self.is_own_search) && first.is_none();
        let params = search.or(first);
        let native = params.map_or_else(NativeSearch::default, |params| params.native());
        NativeSearch { is_own, ..native }
    }

    /// Gives up a search that the model need not run and the request can do without. Whether there was one.
    pub fn give_up_search(&mut self, chat: &ChatRequest) -> bool {
        let search = ServerToolKind::WebSearch.function();
        let is_forced = match &chat.tool_choice {
            Some(ToolChoice::Function(name)) => name == search,
            Some(ToolChoice::Required) => chat.tools.iter().all(|tool| tool.name == search),
            Some(ToolChoice::Auto | ToolChoice::None) | None => false,
        };
        let is_open = |params: &SearchParams| params.engine == EngineChoice::Auto;
        let gives_up =
            self.may_lack_search && !is_forced && self.search.as_ref().is_some_and(is_open);
        if gives_up {
            self.search = None;
        }
        gives_up
    }

    /// Whether this search can be told which pages are wanted.
    pub fn suits(&self, search: &WebSearch) -> bool {
        self.searches().all(|params| {
            let (allowed, blocked) = (params.domains.allowed(), params.domains.blocked());
            search.filters(!allowed.is_empty(), !blocked.is_empty())
        })
    }

    /// Prompt tokens that a search before the model adds.
    pub fn added_prompt(&self) -> u64 {
        self.first.as_ref().map_or(0, |first| first.params.tokens())
    }

    fn tool(&mut self, tool: &ServerTool) -> Result<()> {
        let ServerTool {
            kind,
            parameters,
            path,
            is_own,
            may_lack,
        } = tool;
        // A later declaration of the same tool replaces an earlier one, as where a preset and the request both have it.
        match kind {
            ServerToolKind::WebSearch => {
                self.search = Some(SearchParams::read(parameters, path)?);
                self.is_own_search = *is_own;
                self.may_lack_search = *may_lack;
            }
            ServerToolKind::WebFetch => self.fetch = Some(FetchTool::read(parameters, path)?),
            ServerToolKind::Datetime => {
                self.datetime = Some(DatetimeTool::read(&Fields::new(parameters, path))?);
            }
            ServerToolKind::Catalog => self.catalog.push(Declared::read(tool)?),
        }
        Ok(())
    }

    fn plugin(&mut self, plugin: &Map<String, Value>, path: &str) -> Result<()> {
        if plugin.get("enabled").and_then(Value::as_bool) == Some(false) {
            return Ok(());
        }
        match plugin.get("id").and_then(Value::as_str) {
            Some("web") => {
                let prompt = Fields::new(plugin, path).text("search_prompt")?;
                self.first = Some(FirstSearch {
                    params: SearchParams::read(plugin, path)?,
                    prompt: prompt.map(str::to_owned),
                });
            }
            Some("web-fetch") => self.fetch = Some(FetchTool::read(plugin, path)?),
            _ => {}
        }
        Ok(())
    }

    fn check(&self, chat: &ChatRequest) -> Result<()> {
        let taken =
            |kind: &ServerToolKind| chat.tools.iter().any(|tool| tool.name == kind.function());
        if let Some(kind) = self.functions().find(taken) {
            let told = format!(
                "the function {:?} has the name that models know {} by",
                kind.function(),
                kind.as_str()
            );
            return Err(Error::invalid("tools", told));
        }
        if chat.n.is_some_and(|answers| answers > 1) {
            return Err(Error::invalid(
                "n",
                "tools that the gateway runs serve one answer",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialects::openai_chat::client::parse_request;

    fn wanted(body: Value) -> Result<Wanted> {
        let mut whole = json!({"model": "a/b", "messages": [{"role": "user", "content": "x"}]});
        whole
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        Wanted::of(&parse_request(whole.to_string().as_bytes())?)
    }

    #[test]
    fn declarations_shorthand_and_plugins_ask_for_the_same_tools() {
        let all = wanted(json!({
            "tools": [
                {"type": "openrouter:web_search", "parameters": {"max_results": 3}},
                {"type": "function", "function": {"name": "mine"}},
                {"type": "openrouter:datetime"},
                {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 2, "blocked_domains": ["a.b"]},
            ],
            "plugins": [{"id": "web", "max_results": 2, "search_prompt": "Found:"}, {"id": "web-fetch", "enabled": false}],
            "max_tool_calls": 2,
        }));
        let all = all.unwrap();
        assert_eq!(all.search.as_ref().unwrap().max_results, 3);
        assert_eq!(all.fetch.as_ref().unwrap().max_uses, 2);
        assert_eq!(
            all.first.as_ref().unwrap().prompt.as_deref(),
            Some("Found:")
        );
        assert_eq!(all.functions().count(), 3);
        let short = wanted(
            json!({"tools": [{"type": "web_search_preview", "search_context_size": "low", "user_location": {"type": "approximate", "country": "DE"}}]}),
        );
        assert_eq!(short.unwrap().search.unwrap().characters, 500);
        assert!(
            wanted(
                json!({"plugins": [{"id": "web", "enabled": false}, {"id": "response-healing"}]})
            )
            .unwrap()
            .is_empty()
        );
        // What means nothing without such tools is not judged.
        assert!(wanted(json!({"max_tool_calls": "x"})).unwrap().is_empty());
    }

    #[test]
    fn online_is_the_plugin_unless_the_plugin_is_there() {
        let online = |body: Value| {
            let mut wanted =
                Wanted::of(&parse_request(body.to_string().as_bytes()).unwrap()).unwrap();
            wanted.search_first("model");
            wanted.first.unwrap().params
        };
        let plain = json!({"model": "a/b:online", "prompt": "x"});
        assert_eq!(online(plain), SearchParams::plain("model"));
        let both = json!({"model": "a/b:online", "prompt": "x", "plugins": [{"id": "web", "max_results": 1}]});
        assert_eq!(online(both).max_results, 1);
    }

    #[test]
    fn wrong_wishes_are_told_with_their_paths() {
        let search = json!({"type": "openrouter:web_search"});
        for (body, path) in [
            (
                json!({"tools": [{"type": "openrouter:fusion"}]}),
                "tools[0].type",
            ),
            (
                json!({"tools": [{"type": "openrouter:web_search", "parameters": 7}]}),
                "tools[0].parameters",
            ),
            (
                json!({"tools": [{"type": "openrouter:web_search", "parameters": {"max_results": 99}}]}),
                "tools[0].parameters.max_results",
            ),
            (
                json!({"tools": [{"type": "web_search", "engine": "x"}]}),
                "tools[0].engine",
            ),
            (
                json!({"tools": [{"type": "openrouter:datetime", "parameters": {"timezone": "a b"}}]}),
                "tools[0].parameters.timezone",
            ),
            (
                json!({"plugins": [{"id": "x"}, {"id": "web-fetch", "max_uses": 0}]}),
                "plugins[1].max_uses",
            ),
            (
                json!({"plugins": [{"id": "web", "search_prompt": 1}]}),
                "plugins[0].search_prompt",
            ),
            (
                json!({"tools": [search, {"type": "function", "function": {"name": "web_search"}}]}),
                "tools",
            ),
            (json!({"tools": [search], "n": 2}), "n"),
            (
                json!({"tools": [search], "max_tool_calls": 0}),
                "max_tool_calls",
            ),
            (
                json!({"tools": [search], "stop_server_tools_when": [{"type": "x"}]}),
                "stop_server_tools_when[0].type",
            ),
            (
                json!({"tools": [search], "tool_choice": {"type": "openrouter:fusion"}}),
                "tool_choice.type",
            ),
        ] {
            let error = wanted(body.clone()).unwrap_err();
            assert_eq!(
                (error.status, error.param.as_deref()),
                (400, Some(path)),
                "{body}"
            );
        }
    }
}
