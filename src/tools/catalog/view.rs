//! What a key sees of the catalog: the tools that it may call, and with whose key they are called.
//!
//! What cannot be called is never listed. Out of scope: limits that depend on what was called before (the account's object).

use std::{fmt, rc::Rc};

use serde::Serialize;
use serde_json::Value;

use super::{
    Pooling, Tool, ToolCatalog,
    policy::{By, Denied, ToolPolicy},
};

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

/// Why a tool cannot be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is none of this name; these are near.
    Unknown(Vec<String>),
    /// The key may not.
    Denied(Denied),
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
            Self::Denied(denied) => denied.fmt(f),
            Self::ByokRequired(provider) => write!(
                f,
                "This tool needs your own key for {provider}: add it with POST /api/v1/byok"
            ),
            Self::Unavailable => f.write_str("This deployment has no key for this tool"),
        }
    }
}

/// How a tool stands for a key.
#[derive(Debug, Clone)]
struct Standing {
    offer: Offer,
    /// Who keeps it from the key, and the place of the tool that is meant: its own, or that of a step.
    stopped: Option<(Rc<By>, usize)>,
}

impl Standing {
    fn is_callable(&self) -> bool {
        self.offer.is_callable() && self.stopped.is_none()
    }
}

/// The catalog as one key sees it.
#[derive(Debug, Clone)]
pub struct ToolView {
    catalog: Rc<ToolCatalog>,
    tools: Vec<(Rc<Tool>, Offer)>,
    standings: Vec<Standing>,
}

impl ToolView {
    /// What a key with this policy can call with these means.
    pub fn of(catalog: &Rc<ToolCatalog>, means: &Means<'_>, policy: &ToolPolicy) -> Self {
        let look = |(place, tool): (usize, &Rc<Tool>)| Standing {
            offer: means.offer(tool),
            stopped: policy.stops(tool).map(|by| (Rc::clone(by), place)),
        };
        let mut standings: Vec<Standing> = catalog.tools().iter().enumerate().map(look).collect();
        offer_chains(catalog, &mut standings);
        let tools = catalog.tools().iter().zip(&standings);
        let callable = tools.filter(|(_, standing)| standing.is_callable());
        Self {
            catalog: Rc::clone(catalog),
            tools: callable
                .map(|(tool, standing)| (Rc::clone(tool), standing.offer))
                .collect(),
            standings,
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
    /// Why it cannot be called. Of a capability, why nobody can be called for it.
    pub fn get(&self, name: &str) -> Result<(&Rc<Tool>, Offer), Refused> {
        let Some(place) = self.catalog.place(name) else {
            let nobody = self.nobody_for(name);
            return Err(nobody.unwrap_or_else(|| Refused::Unknown(self.near(name))));
        };
        match (self.catalog.tools().get(place), self.standings.get(place)) {
            (Some(tool), Some(standing)) => match self.refusal(tool, standing) {
                None => Ok((tool, standing.offer)),
                Some(refused) => Err(refused),
            },
            _ => Err(Refused::Unknown(self.near(name))),
        }
    }

    fn refusal(&self, tool: &Tool, standing: &Standing) -> Option<Refused> {
        if let Some((by, place)) = &standing.stopped {
            let meant = self.catalog.tools().get(*place).map(|meant| &meant.id);
            let is_step = meant.is_some_and(|meant| *meant != tool.id);
            return Some(Refused::Denied(Denied {
                by: Rc::clone(by),
                tool: meant.unwrap_or(&tool.id).clone(),
                chain: is_step.then(|| tool.id.clone()),
            }));
        }
        match standing.offer {
            Offer::ByokRequired => Some(Refused::ByokRequired(tool.provider.name.clone())),
            Offer::Unavailable => Some(Refused::Unavailable),
            Offer::Native | Offer::CustomerByok => None,
        }
    }

    /// Why nothing of a capability can be called, where that is so: what the key may not do before what it cannot.
    fn nobody_for(&self, capability: &str) -> Option<Refused> {
        if self.of_capability(capability).next().is_some() {
            return None;
        }
        let all = self.catalog.of_capability(capability);
        let refusals = all.filter_map(|tool| self.get(&tool.id).err());
        refusals.min_by_key(|refused| match refused {
            Refused::Denied(_) => 0,
            Refused::ByokRequired(_) => 1,
            Refused::Unknown(_) | Refused::Unavailable => 2,
        })
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
fn offer_chains(catalog: &ToolCatalog, standings: &mut [Standing]) {
    for (place, tool) in catalog.tools().iter().enumerate() {
        let Some(chain) = &tool.operation.composite else {
            continue;
        };
        let steps = chain.value().get("steps").and_then(Value::as_array);
        let must = |step: &&Value| step.get("optional") != Some(&Value::Bool(true));
        let steps = steps.into_iter().flatten().filter(must);
        let (mut offer, mut stopped) = (Offer::Native, None);
        for name in steps.filter_map(|step| step.get("tool")?.as_str()) {
            let of_class = catalog.of_capability(name).map(|one| one.id.as_str());
            let places = std::iter::once(name).chain(of_class);
            let found: Vec<&Standing> = places
                .filter_map(|name| standings.get(catalog.place(name)?))
                .collect();
            if !found.iter().any(|one| one.is_callable()) {
                offer = Offer::Unavailable;
                stopped = stopped.or_else(|| found.iter().find_map(|one| one.stopped.clone()));
            }
        }
        if let Some(standing) = standings.get_mut(place) {
            standing.offer = offer;
            standing.stopped = standing.stopped.take().or(stopped);
        }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
