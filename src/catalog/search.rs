//! Searches of the web that the provider of an endpoint runs for its models: their price, how they are counted and asked for.
//!
//! Out of scope: searches with the operator's own engine (`server_tools`).

use serde::{Deserialize, Serialize};

use super::Dialect;
use crate::credits::money::Nanos;

/// What one price buys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchUnit {
    /// One search.
    #[default]
    Search,
    /// All searches of one answer.
    Answer,
    /// One answer, whether it needed a search or not.
    Request,
}

/// What a provider can be told of the domains of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainFilter {
    /// The only domains of interest.
    Allowed,
    /// Domains of no interest.
    Blocked,
}

/// How a search is asked for, where it is not as the author of the dialect has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchSpelling {
    /// Responses: the tool is called `web_search_preview`.
    Preview,
    /// Responses: blocked domains are `filters.excluded_domains`.
    Xai,
    /// Chat completions: the place lies flat in `web_search_options`, domains are `search_domain_filter`.
    Perplexity,
}

/// The search of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSearch {
    /// Nano-dollars for one of [`per`](Self::per), with as little context as the client does not ask for more.
    pub price: Nanos,
    /// The same with `search_context_size: "medium"`, where that costs more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<Nanos>,
    /// The same with `search_context_size: "high"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<Nanos>,
    /// What is counted.
    #[serde(default, skip_serializing_if = "is_search")]
    pub per: SearchUnit,
    /// Its models search whether they are asked to or not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
    /// What it can be told of domains, one of them at a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<DomainFilter>,
    /// The wire format in which a search is asked for, where it is not the endpoint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// How it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spelling: Option<SearchSpelling>,
}

fn is_search(unit: &SearchUnit) -> bool {
    *unit == SearchUnit::Search
}

impl WebSearch {
    /// The price of one unit with this `search_context_size`.
    pub fn price(&self, context_size: Option<&str>) -> Nanos {
        let dearer = match context_size {
            Some("high") => self.high,
            Some("medium") => self.medium,
            _ => None,
        };
        dearer.unwrap_or(self.price)
    }

    /// How many units an answer is charged of which the provider told so many searches; naming sources shows that it searched
    /// at all.
    pub fn units(&self, told: u64, has_sources: bool) -> u64 {
        let searches = told.max(u64::from(has_sources));
        match self.per {
            SearchUnit::Search => searches,
            SearchUnit::Answer => searches.min(1),
            SearchUnit::Request => 1,
        }
    }

    /// Whether it can be told which domains are wanted and which are not.
    pub fn filters(&self, has_allowed: bool, has_blocked: bool) -> bool {
        let knows = |filter| self.filters.contains(&filter);
        match (has_allowed, has_blocked) {
            (false, false) => true,
            (true, false) => knows(DomainFilter::Allowed),
            (false, true) => knows(DomainFilter::Blocked),
            (true, true) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(amount: i64) -> Nanos {
        Nanos::new(amount).unwrap()
    }

    #[test]
    fn what_is_counted_is_what_the_price_is_for() {
        let of = |per| WebSearch {
            per,
            ..WebSearch::default()
        };
        for (per, told, has_sources, units) in [
            (SearchUnit::Search, 3, true, 3),
            (SearchUnit::Search, 0, true, 1),
            (SearchUnit::Search, 0, false, 0),
            (SearchUnit::Answer, 3, true, 1),
            (SearchUnit::Answer, 0, true, 1),
            (SearchUnit::Answer, 0, false, 0),
            (SearchUnit::Request, 0, false, 1),
            (SearchUnit::Request, 7, true, 1),
        ] {
            assert_eq!(of(per).units(told, has_sources), units, "{per:?} {told}");
        }
    }

    #[test]
    fn more_context_may_cost_more() {
        let search = WebSearch {
            price: nanos(5),
            medium: Some(nanos(8)),
            high: Some(nanos(12)),
            ..WebSearch::default()
        };
        let prices = [None, Some("low"), Some("medium"), Some("high")];
        assert_eq!(prices.map(|size| search.price(size).get()), [5, 5, 8, 12]);
        let flat = WebSearch {
            price: nanos(5),
            ..WebSearch::default()
        };
        assert_eq!(flat.price(Some("high")).get(), 5);
    }

    #[test]
    fn a_provider_is_told_of_domains_what_it_knows() {
        let both = WebSearch {
            filters: vec![DomainFilter::Allowed, DomainFilter::Blocked],
            ..WebSearch::default()
        };
        let none = WebSearch::default();
        for (allowed, blocked, can, cannot) in [
            (false, false, true, true),
            (true, false, true, false),
            (false, true, true, false),
            (true, true, false, false),
        ] {
            assert_eq!(both.filters(allowed, blocked), can);
            assert_eq!(none.filters(allowed, blocked), cannot);
        }
    }
}
