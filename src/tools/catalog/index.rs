//! All tools there are, by id, by wire name and by capability, in a fixed order.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use super::{Json, Operation, ToolProvider, row};
use crate::catalog::names;

/// What stands between provider and operation in a wire name.
pub const WIRE: &str = "__";
/// The longest wire name: clients put the name of their server before it.
pub const MAX_WIRE_NAME: usize = 60;

row! {
    /// A class of interchangeable operations.
    Capability {
        /// Its name.
        name: String,
        /// What it does, in a few words.
        title: String,
        /// What it does.
        description: String,
        /// Schema of the normalised input.
        input: Json,
        /// Kind of the normalised result.
        kind: String,
        /// What users ask for when they want it.
        intents: Vec<String>,
    }
}

/// An operation with its provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// `provider/operation`.
    pub id: String,
    /// `provider__operation`: what language models call it.
    pub wire_name: String,
    /// The provider.
    pub provider: Rc<ToolProvider>,
    /// The operation.
    pub operation: Rc<Operation>,
}

impl Tool {
    /// An operation of a provider.
    pub fn new(provider: &Rc<ToolProvider>, operation: &Rc<Operation>) -> Self {
        let (slug, name) = (&provider.slug, &operation.name);
        Self {
            id: format!("{slug}/{name}"),
            wire_name: format!("{slug}{WIRE}{name}"),
            provider: Rc::clone(provider),
            operation: Rc::clone(operation),
        }
    }

    /// What it is for.
    pub fn category(&self) -> &str {
        let own = self.operation.category.as_deref();
        own.unwrap_or(&self.provider.category)
    }

    /// What it does, with what a caller must know.
    pub fn description(&self) -> String {
        let (told, note) = (&self.operation.description, &self.operation.note);
        match note {
            Some(note) => format!("{told} {note}"),
            None => told.clone(),
        }
    }
}

/// The catalog of tools.
#[derive(Debug, Clone, Default)]
pub struct ToolCatalog {
    version: String,
    providers: Vec<Rc<ToolProvider>>,
    tools: Vec<Rc<Tool>>,
    places: HashMap<String, usize>,
    capabilities: BTreeMap<String, Rc<Capability>>,
}

impl ToolCatalog {
    /// A catalog of these rows: providers in the order of their slugs, operations in the order of their rows. Of two tools with
    /// one name the first one counts.
    pub fn new(
        version: impl Into<String>,
        mut providers: Vec<Rc<ToolProvider>>,
        capabilities: Vec<Rc<Capability>>,
    ) -> Self {
        providers.sort_by(|a, b| a.slug.cmp(&b.slug));
        let mut tools = Vec::new();
        let mut places = HashMap::new();
        for provider in &providers {
            for operation in &provider.operation {
                let tool = Tool::new(provider, operation);
                if places.contains_key(&tool.id) {
                    continue;
                }
                places.insert(tool.id.clone(), tools.len());
                places.insert(tool.wire_name.clone(), tools.len());
                tools.push(Rc::new(tool));
            }
        }
        let named = |capability: Rc<Capability>| (capability.name.clone(), capability);
        Self {
            version: version.into(),
            providers,
            tools,
            places,
            capabilities: capabilities.into_iter().map(named).collect(),
        }
    }

    /// The same catalog and more: what an account brought, which `stamp` names. What is here already is not replaced.
    #[must_use]
    pub fn with(&self, stamp: &str, more: &[Rc<ToolProvider>]) -> Self {
        let is_new = |one: &&Rc<ToolProvider>| self.provider(&one.slug).is_none();
        let more = more.iter().filter(is_new);
        let providers = self.providers.iter().chain(more).map(Rc::clone).collect();
        let capabilities = self.capabilities.values().map(Rc::clone).collect();
        Self::new(format!("{}+{stamp}", self.version), providers, capabilities)
    }

    /// The version that was published.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The providers, by slug.
    pub fn providers(&self) -> &[Rc<ToolProvider>] {
        &self.providers
    }

    /// A provider.
    pub fn provider(&self, slug: &str) -> Option<&Rc<ToolProvider>> {
        self.providers.iter().find(|one| one.slug == slug)
    }

    /// All tools, in order.
    pub fn tools(&self) -> &[Rc<Tool>] {
        &self.tools
    }

    /// The tool of this id or wire name.
    pub fn get(&self, name: &str) -> Option<&Rc<Tool>> {
        self.tools.get(self.place(name)?)
    }

    /// Its place among all.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// An operation of the same provider.
    pub fn sibling(&self, of: &Tool, operation: &str) -> Option<&Rc<Tool>> {
        self.get(&format!("{}/{operation}", of.provider.slug))
    }

    /// The capabilities, by name.
    pub fn capabilities(&self) -> impl Iterator<Item = &Rc<Capability>> {
        self.capabilities.values()
    }

    /// A capability.
    pub fn capability(&self, name: &str) -> Option<&Rc<Capability>> {
        self.capabilities.get(name)
    }

    /// The tools of a capability, in order.
    pub fn of_capability<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Rc<Tool>> {
        let is_of = move |tool: &&Rc<Tool>| tool.operation.capability.as_deref() == Some(name);
        self.tools.iter().filter(is_of)
    }

    /// The ids and capabilities nearest to an unknown name.
    pub fn nearest(&self, name: &str) -> Vec<String> {
        let ids = self.tools.iter().map(|tool| &tool.id);
        let known: Vec<&String> = ids.chain(self.capabilities.keys()).collect();
        names::nearest(&name.replacen(WIRE, "/", 1), &known)
    }
}
