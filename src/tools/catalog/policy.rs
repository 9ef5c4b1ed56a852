//! What keeps tools from a key, and in whose name: guardrails, switches of guards, the operator.
//!
//! Each ban is checked by itself: lists that allow intersect, everything else adds up, and the one that stops a tool can be named.
//! Out of scope: where bans come from (`api::toolbox`), limits that depend on what was called before (the account's object).

use std::{fmt, rc::Rc};

use serde_json::Value;

use super::{Effect, Tool};
use crate::catalog::pattern::matches;

/// One reason why a key may not call tools.
#[derive(Debug, Clone)]
pub struct Ban {
    /// Only these may be called, where there is a list.
    pub only: Option<Vec<String>>,
    /// None of these may.
    pub never: Vec<String>,
    /// It is about tools with one of these effects, where there is a list.
    pub effects: Option<Vec<Effect>>,
    /// In whose name.
    pub by: Rc<By>,
}

/// Who stops a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct By {
    /// The code of the refusal.
    pub code: &'static str,
    /// What is said of the tool.
    pub says: String,
    /// The same for programs.
    pub details: Value,
}

/// A tool that is kept from a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// By whom.
    pub by: Rc<By>,
    /// The tool that is stopped.
    pub tool: String,
    /// The chain that cannot do without it.
    pub chain: Option<String>,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(chain) = &self.chain {
            write!(f, "{chain} cannot do without {}: ", self.tool)?;
        }
        write!(f, "{} {}", self.tool, self.by.says)
    }
}

/// All that keeps tools from a key.
#[derive(Debug, Clone, Default)]
pub struct ToolPolicy(pub Vec<Ban>);

impl ToolPolicy {
    /// Who stops a tool, if anybody does.
    pub fn stops(&self, tool: &Tool) -> Option<&Rc<By>> {
        let stopping = self.0.iter().find(|ban| ban.stops(tool));
        stopping.map(|ban| &ban.by)
    }
}

impl Ban {
    fn stops(&self, tool: &Tool) -> bool {
        let among = |list: &[String]| list.iter().any(|name| means(name, tool));
        let effect = tool.operation.effect;
        let is_about = |effects: &Vec<Effect>| effects.contains(&effect);
        self.effects.as_ref().is_none_or(is_about)
            && (among(&self.never) || self.only.as_deref().is_some_and(|list| !among(list)))
    }
}

/// Whether an entry of a list means a tool: its id, its provider, category or capability. `*` stands for anything.
pub fn means(name: &str, tool: &Tool) -> bool {
    if name.contains('/') {
        return matches(name, &tool.id);
    }
    let capability = tool.operation.capability.as_deref();
    name == tool.wire_name
        || matches(name, &tool.provider.slug)
        || matches(name, tool.category())
        || capability.is_some_and(|capability| matches(name, capability))
}
