//! A tool that the gateway runs itself, inside the request, as a client declared it.
//!
//! Every client surface has words of its own for these tools and lifts them into this one form; `server_tools` reads the
//! parameters and runs the tools. Spec: OpenRouter's server tools.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::request::ChatRequest;
use crate::error::{Error, Result};

/// Which tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerToolKind {
    /// Searches the web.
    WebSearch,
    /// Reads one page of the web.
    WebFetch,
    /// Tells date and time.
    Datetime,
    /// Tools of the gateway's catalog: one, or all that fit.
    Catalog,
}

impl ServerToolKind {
    /// Every tool that is one function of its own.
    pub const ALL: [Self; 3] = [Self::WebSearch, Self::WebFetch, Self::Datetime];

    /// The tool of a `type` in a list of tools: `openrouter:web_search`, `web_search`, and the dated words that OpenAI and
    /// Anthropic use (`web_search_preview`, `web_fetch_20250910`).
    pub fn parse(word: &str) -> Option<Self> {
        let is = |name: &str| {
            let rest = word.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        match word.strip_prefix("openrouter:") {
            Some(name) => Self::ALL.into_iter().find(|kind| kind.function() == name),
            None if matches!(word, "patchbay:tool" | "patchbay:tools") => Some(Self::Catalog),
            None if is("web_search") => Some(Self::WebSearch),
            None if is("web_fetch") => Some(Self::WebFetch),
            None => None,
        }
    }

    /// The function that models see.
    pub fn function(self) -> &'static str {
        match self {
            Self::WebSearch => "web_search",
            Self::WebFetch => "web_fetch",
            Self::Datetime => "datetime",
            Self::Catalog => "execute_tool",
        }
    }

    /// The canonical `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebSearch => "openrouter:web_search",
            Self::WebFetch => "openrouter:web_fetch",
            Self::Datetime => "openrouter:datetime",
            Self::Catalog => "patchbay:tool",
        }
    }
}

/// One declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerTool {
    /// Which tool.
    pub kind: ServerToolKind,
    /// Its parameters, as sent.
    pub parameters: Map<String, Value>,
    /// Where the parameters stand in the client's body: `tools[1].parameters`.
    pub path: String,
    /// It is spelt as the author of the client's API does, so the client's bytes may go on to a host of that API.
    pub is_own: bool,
    /// It is offered out of habit: the request does without it where nobody can run it.
    pub may_lack: bool,
}

impl ServerTool {
    /// A declaration out of the fields beside its type. The parameters stand in an object of their own (`parameters`), or are
    /// those fields themselves, as other APIs have them.
    ///
    /// # Errors
    /// 400 where `parameters` is no object; `path` is that of the tool.
    pub fn of(kind: ServerToolKind, mut fields: Map<String, Value>, path: String) -> Result<Self> {
        match fields.remove("parameters") {
            None | Some(Value::Null) => Ok(Self {
                kind,
                parameters: fields,
                path,
                is_own: false,
                may_lack: false,
            }),
            // A tool of the catalog has its name beside them.
            Some(Value::Object(parameters)) if kind == ServerToolKind::Catalog => {
                fields.extend(parameters);
                Ok(Self {
                    kind,
                    parameters: fields,
                    path,
                    is_own: false,
                    may_lack: false,
                })
            }
            Some(Value::Object(parameters)) => Ok(Self {
                kind,
                parameters,
                path: format!("{path}.parameters"),
                is_own: false,
                may_lack: false,
            }),
            Some(_) => Err(Error::invalid(
                format!("{path}.parameters"),
                "expected an object",
            )),
        }
    }
}

impl ServerTool {
    /// A declaration of tools of the catalog, where the surface reads `name` by itself.
    ///
    /// # Errors
    /// As [`ServerTool::of`].
    pub fn named(
        name: Option<String>,
        mut fields: Map<String, Value>,
        path: String,
    ) -> Result<Self> {
        if let Some(name) = name {
            fields.insert("name".to_owned(), name.into());
        }
        Self::of(ServerToolKind::Catalog, fields, path)
    }

    /// Says that the declaration is the API's own where its fields are among these.
    #[must_use]
    pub fn own_with(self, fields: &[&str]) -> Self {
        let is_known = |(key, _): (&String, &Value)| fields.contains(&key.as_str());
        Self {
            is_own: !self.path.ends_with(".parameters") && self.parameters.iter().all(is_known),
            ..self
        }
    }
}

/// A search that the provider of the model is asked to run itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NativeSearch {
    /// `low`, `medium` or `high`.
    pub context_size: Option<String>,
    /// Searches of one answer.
    pub max_uses: Option<u32>,
    /// The only domains of interest.
    pub allowed_domains: Vec<String>,
    /// Domains of no interest.
    pub blocked_domains: Vec<String>,
    /// Where the user is: `type`, `city`, `region`, `country`, `timezone`.
    pub location: Option<Map<String, Value>>,
    /// The client's own bytes ask for the same, at hosts that speak as it does.
    pub is_own: bool,
}

impl NativeSearch {
    /// What a request asks of its provider: the gateway's own wish, else the client's `web_search_options`.
    pub fn of(request: &ChatRequest) -> Option<Cow<'_, Self>> {
        if let Some(native) = &request.native_search {
            return Some(Cow::Borrowed(native));
        }
        let options = request.web_search_options.as_ref()?;
        let size = options.get("search_context_size").and_then(Value::as_str);
        let location = options.get("user_location");
        // OpenAI has the place one level deeper here than elsewhere.
        let place = location
            .and_then(|location| location.get("approximate"))
            .or(location);
        Some(Cow::Owned(Self {
            context_size: size.map(str::to_owned),
            location: place.and_then(Value::as_object).cloned(),
            ..Self::default()
        }))
    }

    /// The place, in the form in which most APIs take it.
    pub fn user_location(&self) -> Option<Map<String, Value>> {
        let mut location = self.location.clone()?;
        location.insert("type".to_owned(), "approximate".into());
        Some(location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_every_surface_mean_the_same_tools() {
        for (word, kind) in [
            ("openrouter:web_search", Some(ServerToolKind::WebSearch)),
            ("web_search", Some(ServerToolKind::WebSearch)),
            ("web_search_preview", Some(ServerToolKind::WebSearch)),
            ("web_search_2025_08_26", Some(ServerToolKind::WebSearch)),
            ("web_search_20250305", Some(ServerToolKind::WebSearch)),
            ("web_fetch_20250910", Some(ServerToolKind::WebFetch)),
            ("openrouter:datetime", Some(ServerToolKind::Datetime)),
            ("web_searches", None),
            ("datetime", None),
            ("openrouter:web_search_preview", None),
            ("openrouter:fusion", None),
            ("patchbay:tool", Some(ServerToolKind::Catalog)),
            ("patchbay:tools", Some(ServerToolKind::Catalog)),
            ("patchbay:other", None),
            ("function", None),
        ] {
            assert_eq!(ServerToolKind::parse(word), kind, "{word}");
        }
    }

    #[test]
    fn the_options_of_chat_completions_ask_for_the_same_search() {
        let options = serde_json::json!({
            "search_context_size": "low",
            "user_location": {"type": "approximate", "approximate": {"country": "DE"}},
        });
        let request = ChatRequest {
            web_search_options: Some(options),
            ..ChatRequest::default()
        };
        let search = NativeSearch::of(&request).unwrap();
        assert_eq!(search.context_size.as_deref(), Some("low"));
        let location = serde_json::json!({"country": "DE", "type": "approximate"});
        assert_eq!(search.user_location().map(Value::Object), Some(location));
        assert_eq!(NativeSearch::of(&ChatRequest::default()), None);
    }
}
