//! What a key sees of the catalog: the tools that it may call, and with whose key they are called.
//!
//! What cannot be called is never listed. Out of scope: limits that depend on what was called before (the account's object).

use std::{fmt, rc::Rc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Effect, Pooling, Tool, ToolCatalog};
use crate::catalog::pattern::matches;

/// Whether a tool can be called, and with whose key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Offer {
    /// With the operator's key, or with none.
    Native,
    /// With the account's own key, which is there.
    CustomerByok,
    /// With an own key, which is not there.
    ByokRequired,
    /// Not on this deployment.
    Unavailable,
}

impl Offer {
    /// Whether it can be called now.
    pub fn is_callable(self) -> bool {
        matches!(self, Self::Native | Self::CustomerByok)
    }
}

/// What there is to call tools with.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Whether the deployment has a variable or secret.
    pub has: &'a dyn Fn(&str) -> bool,
    /// Whether the account brought a key for this provider.
    pub owns: &'a dyn Fn(&str) -> bool,
    /// Accounts may bring keys here.
    pub accounts_bring_keys: bool,
    /// All accounts are the operator's: no provider minds that they share a key.
    pub single_tenant: bool,
}

impl Means<'_> {
    /// Whether a tool can be called, and with whose key.
    pub fn offer(&self, tool: &Tool) -> Offer {
        let provider = &tool.provider;
        if !provider.variables(&tool.operation).all(self.has) {
            return Offer::Unavailable;
        }
        if (self.owns)(&provider.slug) {
            return Offer::CustomerByok;
        }
        let has_secret = provider.secret.as_deref().is_some_and(self.has);
        let may_share = self.single_tenant || provider.pooling == Pooling::Allowed;
        if (has_secret && may_share) || provider.is_keyless(&tool.operation.name) {
            Offer::Native
        } else if self.accounts_bring_keys || has_secret {
            Offer::ByokRequired
        } else {
            Offer::Unavailable
        }
    }
}

/// What a key may call. In lists, `*` stands for anything, and tools are named by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolPolicy {
    /// Nothing at all.
    pub killed: bool,
    /// Nothing that changes the world.
    pub read_only: bool,
    /// Only these, where there is a list.
    pub allowed_tools: Option<Vec<String>>,
    /// None of these.
    pub denied_tools: Vec<String>,
    /// Only tools of these providers, where there is a list.
    pub allowed_providers: Option<Vec<String>>,
    /// None of theirs.
    pub denied_providers: Vec<String>,
}

impl ToolPolicy {
    /// Whether it admits a tool.
    pub fn admits(&self, tool: &Tool) -> bool {
        let among = |list: &[String], name: &str| list.iter().any(|one| matches(one, name));
        let allowed = |list: &Option<Vec<String>>, name: &str| {
            list.as_deref().is_none_or(|list| among(list, name))
        };
        let slug = &tool.provider.slug;
        !self.killed
            && (!self.read_only || tool.operation.effect == Effect::Read)
            && allowed(&self.allowed_tools, &tool.id)
            && allowed(&self.allowed_providers, slug)
            && !among(&self.denied_tools, &tool.id)
            && !among(&self.denied_providers, slug)
    }
}

/// Why a tool cannot be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is none of this name; these are near.
    Unknown(Vec<String>),
    /// The key may not.
    Denied,
    /// It needs an own key for this provider.
    ByokRequired(String),
    /// The deployment has no key for it.
    Unavailable,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(near) if near.is_empty() => {
                f.write_str("There is no such tool. See GET /api/v1/tools.")
            }
            Self::Unknown(near) => {
                write!(
                    f,
                    "There is no such tool. Did you mean {}?",
                    near.join(", ")
                )
            }
            Self::Denied => f.write_str("This key may not call this tool"),
            Self::ByokRequired(provider) => write!(
                f,
                "This tool needs your own key for {provider}: add it with POST /api/v1/byok"
            ),
            Self::Unavailable => f.write_str("This deployment has no key for this tool"),
        }
    }
}

/// The catalog as one key sees it.
#[derive(Debug, Clone)]
pub struct ToolView {
    catalog: Rc<ToolCatalog>,
    tools: Vec<(Rc<Tool>, Offer)>,
    offers: Vec<(Offer, bool)>,
}

impl ToolView {
    /// What a key with this policy can call with these means.
    pub fn of(catalog: &Rc<ToolCatalog>, means: &Means<'_>, policy: &ToolPolicy) -> Self {
        let look = |tool: &Rc<Tool>| (means.offer(tool), policy.admits(tool));
        let mut offers: Vec<(Offer, bool)> = catalog.tools().iter().map(look).collect();
        offer_chains(catalog, &mut offers);
        let tools = catalog.tools().iter().zip(&offers);
        let callable = tools.filter(|(_, (offer, admitted))| offer.is_callable() && *admitted);
        Self {
            catalog: Rc::clone(catalog),
            tools: callable
                .map(|(tool, (offer, _))| (Rc::clone(tool), *offer))
                .collect(),
            offers,
        }
    }

    /// The catalog behind it.
    pub fn catalog(&self) -> &Rc<ToolCatalog> {
        &self.catalog
    }

    /// What can be called, in a fixed order.
    pub fn tools(&self) -> &[(Rc<Tool>, Offer)] {
        &self.tools
    }

    /// What can be called of a capability.
    pub fn of_capability<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Rc<Tool>> {
        let tools = self.tools.iter().map(|(tool, _)| tool);
        tools.filter(move |tool| tool.operation.capability.as_deref() == Some(name))
    }

    /// The tool of this id or wire name.
    ///
    /// # Errors
    /// Why it cannot be called.
    pub fn get(&self, name: &str) -> Result<(&Rc<Tool>, Offer), Refused> {
        let unknown = || Refused::Unknown(self.near(name));
        let place = self.catalog.place(name).ok_or_else(unknown)?;
        let tool = self.catalog.tools().get(place).ok_or_else(unknown)?;
        match self.offers.get(place).copied() {
            None | Some((_, false)) => Err(Refused::Denied),
            Some((Offer::ByokRequired, _)) => {
                Err(Refused::ByokRequired(tool.provider.name.clone()))
            }
            Some((Offer::Unavailable, _)) => Err(Refused::Unavailable),
            Some((offer, true)) => Ok((tool, offer)),
        }
    }

    /// Names like this one of what can be called.
    fn near(&self, name: &str) -> Vec<String> {
        let mut near = self.catalog.nearest(name);
        near.retain(|near| {
            let is_tool = self.tools.iter().any(|(tool, _)| tool.id == *near);
            is_tool || self.of_capability(near).next().is_some()
        });
        near
    }
}

/// A chain can be called where all its steps can that must not fail.
fn offer_chains(catalog: &ToolCatalog, offers: &mut [(Offer, bool)]) {
    let is_there = |offers: &[(Offer, bool)], name: &str| {
        let place = catalog.place(name).and_then(|place| offers.get(place));
        place.is_some_and(|(offer, admitted)| offer.is_callable() && *admitted)
    };
    for (place, tool) in catalog.tools().iter().enumerate() {
        let Some(chain) = &tool.operation.composite else {
            continue;
        };
        let steps = chain.value().get("steps").and_then(Value::as_array);
        let must = |step: &&Value| step.get("optional") != Some(&Value::Bool(true));
        let mut named = steps
            .into_iter()
            .flatten()
            .filter(must)
            .filter_map(|step| step.get("tool")?.as_str());
        let is_whole = named.all(|name| {
            is_there(offers, name)
                || catalog
                    .of_capability(name)
                    .any(|one| is_there(offers, &one.id))
        });
        if let Some((offer, _)) = offers.get_mut(place) {
            *offer = if is_whole {
                Offer::Native
            } else {
                Offer::Unavailable
            };
        }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
