//! Which tiers of service a request admits.
//!
//! An endpoint of another tier than the usual one serves only where the request asks for its tier (`service_tier`), where the
//! model's suffix does (`:nitro`, `:floor`), or where `provider.order` or `provider.only` name it by its tag.
//! Out of scope: what a tier costs, which is its endpoint's price.

use super::{
    preferences::{ProviderPreferences, SortBy},
    situation::Suffix,
};
use crate::{
    catalog::{Endpoint, ServedModel, ServiceTier},
    chat::ChatRequest,
};

/// The tiers that a request admits for one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tiers {
    /// Beside the usual tier, best first.
    admitted: &'static [ServiceTier],
    /// The admitted ones come before the usual one; else they compete with it.
    are_first: bool,
    /// The usual one is left out.
    is_exclusive: bool,
}

impl Tiers {
    pub(super) fn of(
        request: &ChatRequest,
        model: &ServedModel,
        suffix: Option<Suffix>,
        preferences: &ProviderPreferences,
    ) -> Self {
        use ServiceTier::{Flex, Priority, Ultrafast};
        match request.service_tier.as_deref() {
            Some("flex") => Self {
                admitted: &[Flex],
                are_first: true,
                is_exclusive: model
                    .routes
                    .iter()
                    .any(|route| route.endpoint.service_tier() == Some(Flex)),
            },
            Some("priority" | "fast") => Self::preferring(&[Priority]),
            Some("ultrafast") => Self::preferring(&[Ultrafast, Priority]),
            Some("default") => Self::default(),
            _ if preferences.order.is_some() => Self::default(),
            _ => Self {
                admitted: match suffix {
                    Some(Suffix::Nitro) => &[Priority],
                    Some(Suffix::Floor) => &[Flex],
                    Some(Suffix::Exacto) | None => &[],
                },
                ..Self::default()
            },
        }
    }

    fn preferring(admitted: &'static [ServiceTier]) -> Self {
        Self {
            admitted,
            are_first: true,
            is_exclusive: false,
        }
    }

    /// Whether the endpoint is of a tier beyond the usual one that is admitted.
    pub(super) fn admit(&self, endpoint: &Endpoint) -> bool {
        endpoint
            .service_tier()
            .is_some_and(|tier| self.admitted.contains(&tier))
    }

    /// Whether the endpoint is left out for its tier.
    pub(super) fn exclude(&self, endpoint: &Endpoint, preferences: &ProviderPreferences) -> bool {
        if endpoint.service_tier().is_none() {
            return self.is_exclusive;
        }
        let named = [&preferences.order, &preferences.only];
        let mut named = named.into_iter().flatten().flatten();
        !self.admit(endpoint) && !named.any(|name| endpoint.answers_to(name))
    }

    /// The endpoint's place among tiers: 0 comes first.
    pub(super) fn rank(&self, endpoint: &Endpoint) -> usize {
        let place = endpoint
            .service_tier()
            .and_then(|tier| self.admitted.iter().position(|known| *known == tier));
        match place {
            Some(place) if self.are_first => place,
            _ if self.are_first => self.admitted.len(),
            _ => 0,
        }
    }

    /// The order within the tiers that come first, where the client names none.
    pub(super) fn sort(&self) -> Option<SortBy> {
        if self.is_exclusive {
            Some(SortBy::Price)
        } else if self.are_first && self.admitted != [ServiceTier::Flex] {
            Some(SortBy::Throughput)
        } else {
            None
        }
    }
}
