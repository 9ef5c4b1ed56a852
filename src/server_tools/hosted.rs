//! Tools of the gateway's catalog within a request: what the client declared, and the functions that the loop runs for it.
//!
//! Out of scope: which tools there are and how they are run: whoever equips the request hands in functions and a [`Host`].

use std::{fmt, rc::Rc};

use futures::future::LocalBoxFuture;

use super::{call::Called, fields::Fields};
use crate::{
    chat::{ServerTool, Tool, ToolCall},
    credits::money::Nanos,
    error::Result,
};

/// Calls that one request may make where it does not say.
const MAX_CALLS: u32 = 50;

/// What one declaration asks for: a tool by its name, or those that fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declared {
    /// Where it stands in the client's body.
    pub path: String,
    /// Tools by name.
    pub names: Vec<String>,
    /// Only tools of this category.
    pub category: Option<String>,
    /// Only tools of this provider.
    pub provider: Option<String>,
    /// Only tools of this capability.
    pub capability: Option<String>,
    /// Only tools of this effect.
    pub effect: Option<String>,
    /// Search, schema and run instead of the tools themselves; where nothing is said, with many tools.
    pub meta: Option<bool>,
    /// What is to be confirmed at the least: `never`, `destructive`, `writes` or `always`.
    pub confirm: Option<String>,
    /// The most calls of one request.
    pub max_calls: Option<u32>,
}

impl Declared {
    /// Reads a declaration.
    ///
    /// # Errors
    /// 400 with the path of what is wrong.
    pub fn read(tool: &ServerTool) -> Result<Self> {
        let fields = Fields::new(&tool.parameters, &tool.path);
        let owned = |name| Ok::<_, crate::error::Error>(fields.text(name)?.map(str::to_owned));
        let mut names: Vec<String> = fields
            .list(&["names", "tools"])?
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.extend(owned("name")?);
        let meta = match tool.parameters.get("meta") {
            None | Some(serde_json::Value::Null) => None,
            Some(value) => Some(
                value
                    .as_bool()
                    .ok_or_else(|| fields.wrong("meta", "expected true or false"))?,
            ),
        };
        Ok(Self {
            path: tool.path.clone(),
            names,
            category: owned("category")?,
            provider: owned("provider")?,
            capability: owned("capability")?,
            effect: owned("effect")?,
            meta,
            confirm: owned("confirm")?,
            max_calls: fields.number("max_calls", 1..=1_000)?,
        })
    }
}

/// One function of the catalog's.
#[derive(Debug, Clone)]
pub struct HostedFunction {
    /// What the model sees.
    pub tool: Tool,
    /// What the client is told that was called: `patchbay:provider/operation`.
    pub label: String,
    /// Running it changes nothing, so it may run beside others.
    pub is_read: bool,
    /// The most that a call is expected to cost.
    pub price: Nanos,
}

/// Runs calls of the catalog's tools. A call ends, and is paid, whoever drops the future.
pub trait Host {
    /// Runs a call.
    fn run(&self, call: &ToolCall) -> LocalBoxFuture<'static, Called>;
}

/// The catalog's tools of one request.
#[derive(Clone)]
pub struct Hosted {
    /// What the model may call.
    pub functions: Rc<[HostedFunction]>,
    /// Who runs it.
    pub host: Rc<dyn Host>,
    /// The most calls.
    pub max_calls: u32,
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted")
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}

impl Hosted {
    /// Tools of declarations that were read, run by this host.
    pub fn new(functions: Vec<HostedFunction>, host: Rc<dyn Host>, declared: &[Declared]) -> Self {
        let wished = declared.iter().filter_map(|one| one.max_calls).min();
        Self {
            functions: functions.into(),
            host,
            max_calls: wished.unwrap_or(MAX_CALLS),
        }
    }

    /// The function of a name.
    pub fn function(&self, name: &str) -> Option<&HostedFunction> {
        self.functions.iter().find(|one| one.tool.name == name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(fields: Value) -> Result<Declared> {
        let fields = fields.as_object().unwrap().clone();
        Declared::read(&ServerTool::named(None, fields, "tools[0]".into()).unwrap())
    }

    #[test]
    fn a_tool_is_named_or_described_beside_the_type_or_under_parameters() {
        let one = Declared {
            path: "tools[0]".into(),
            names: vec!["tavily/search".into()],
            ..Declared::default()
        };
        assert_eq!(read(json!({"name": "tavily/search"})).unwrap(), one);
        assert_eq!(
            read(json!({"parameters": {"name": "tavily/search"}})).unwrap(),
            one
        );
        let many = read(json!({"category": "search", "effect": "read", "meta": true, "max_calls": 3, "confirm": "writes"})).unwrap();
        assert_eq!(
            (
                many.category.as_deref(),
                many.effect.as_deref(),
                many.meta,
                many.max_calls
            ),
            (Some("search"), Some("read"), Some(true), Some(3))
        );
        assert_eq!(many.confirm.as_deref(), Some("writes"));
        for (wrong, param) in [
            (json!({"name": 7}), "tools[0].name"),
            (json!({"names": "x"}), "tools[0].names"),
            (json!({"meta": "yes"}), "tools[0].meta"),
            (json!({"max_calls": 0}), "tools[0].max_calls"),
        ] {
            assert_eq!(
                read(wrong.clone()).unwrap_err().param.as_deref(),
                Some(param),
                "{wrong}"
            );
        }
    }
}
