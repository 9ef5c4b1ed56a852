//! Whose key calls an endpoint, and when: the keys that an account brought, and the operator's.
//!
//! The rule. A key *matches* at an endpoint when it is for the endpoint's provider, the model and the API key of the request.
//! - Each name of `provider.order` is a place of its own; what it does not name comes after, as one place. Without `order` there is
//!   one place. So `order` ranks own keys and the operator's alike.
//! - In a place come first the matching keys that are no fallback, then the operator's key, then the matching fallback keys. Among
//!   the first and among the last the order of endpoints decides, then the account's order of keys.
//! - The operator's key is never used for a provider of which the account requires a key, whatever models that key is for.
//! - `allow_fallbacks: false` without `order` keeps one endpoint with one kind of key: the account's or the operator's.
//!
//! Filters come first: an own key opens no endpoint that a data policy or another filter excludes.
//! Out of scope: where keys are kept and which API keys they are for (`identity::own_keys`), the order of endpoints (`order`).

use std::rc::Rc;

use super::{
    credential::{Credential, OwnKey},
    plan::{Exclusion, Step},
};
use crate::catalog::{Provider, Route};

/// A provider key that the account brought, for a request that may use it.
#[derive(Debug, Clone)]
pub struct OwnCandidate {
    /// The slug of the provider, or of its group.
    pub provider: String,
    /// The key.
    pub key: Rc<OwnKey>,
    /// Used only after the operator's key.
    pub is_fallback: bool,
    /// The operator's key for this provider is never used.
    pub is_required: bool,
    /// Slugs of the models it may be used for; `None` for all.
    pub models: Option<Vec<String>>,
}

impl OwnCandidate {
    /// Whether it may be used for this model of its provider's.
    pub fn serves(&self, model: &str, provider: &Provider) -> bool {
        let models = self.models.as_ref();
        models.is_none_or(|models| models.iter().any(|slug| slug == model))
            && self.key.form.serves(provider, model)
    }
}

/// Whose key comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The account's, before the operator's.
    Prioritized,
    /// The operator's.
    Shared,
    /// The account's, after the operator's.
    Fallback,
}

/// The keys with which an endpoint may be called.
#[derive(Debug, Clone, Default)]
pub struct Access<'a> {
    own: Vec<&'a OwnCandidate>,
    is_shared: bool,
}

impl<'a> Access<'a> {
    /// How endpoints of a model at a provider may be called. `has_operators` tells whether the operator has a key.
    ///
    /// # Errors
    /// Why they may not.
    pub fn of(
        own: &'a [OwnCandidate],
        model: &str,
        provider: &Provider,
        has_operators: impl FnOnce() -> bool,
    ) -> Result<Self, Exclusion> {
        let brought = own.iter().filter(|key| key.provider == provider.family());
        let is_required = brought.clone().any(|key| key.is_required);
        let access = Self {
            is_shared: !is_required && has_operators(),
            own: brought.filter(|key| key.serves(model, provider)).collect(),
        };
        match (&*access.own, access.is_shared, is_required) {
            ([], false, true) => Err(Exclusion::OwnKeyRequired),
            ([], false, false) => Err(Exclusion::NoCredentials),
            _ => Ok(access),
        }
    }

    /// Whether the account's own key would come first.
    pub fn pays_itself(&self) -> bool {
        self.own.iter().any(|key| !key.is_fallback)
    }

    /// Each key, the account's in its order.
    pub fn keys(&self) -> impl Iterator<Item = (Class, Credential)> {
        let own = self.own.iter().map(|key| {
            let class = if key.is_fallback {
                Class::Fallback
            } else {
                Class::Prioritized
            };
            (class, Credential::Own(Rc::clone(&key.key)))
        });
        let shared = self.is_shared.then_some(Credential::Operator);
        own.chain(shared.map(|operators| (Class::Shared, operators)))
    }
}

/// Whether two attempts call the same endpoint with the same kind of key.
pub fn is_alike(one: &Step, other: &Step) -> bool {
    let same = |a: &Route, b: &Route| Rc::ptr_eq(&a.endpoint, &b.endpoint);
    same(&one.route, &other.route) && one.credential.is_own() == other.credential.is_own()
}

#[cfg(test)]
#[path = "own_tests.rs"]
mod tests;
