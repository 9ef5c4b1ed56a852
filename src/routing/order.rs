//! The order in which eligible endpoints are tried when the client asked for none.
//!
//! Out of scope: what makes an endpoint eligible (`needs`), the orders that a client names (`provider.order`, `provider.sort`).

use super::{
    health::Standing,
    statistics::{EndpointStatistics, Statistics},
};
use crate::{catalog::Route, chat::ChatRequest};

/// An eligible endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The endpoint and its provider.
    pub route: &'a Route,
    /// What this request would cost there at list prices, nano-dollars; `i64::MAX` where that is beyond any price.
    pub cost: i64,
    /// How it stands right now.
    pub standing: Standing,
    /// What was measured of it.
    pub statistics: Option<&'a EndpointStatistics>,
}

/// What the client wants more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aim {
    /// Nothing in particular: price, speed and reliability in balance.
    #[default]
    Balance,
    /// Answers of quality, tool calls above all (`sort: "exacto"`).
    Quality,
}

/// What an order depends on beside its candidates.
#[derive(Debug, Clone, Copy)]
pub struct OrderContext<'a> {
    /// What is asked.
    pub request: &'a ChatRequest,
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// What the client wants more of.
    pub aim: Aim,
    /// No endpoint may be tried for the sake of learning about it: the client named providers or pays with its own key.
    pub no_exploration: bool,
    /// What is known of all endpoints.
    pub statistics: &'a Statistics,
    /// Decides between equals, and which endpoint is explored.
    pub seed: u64,
    /// The time, unix milliseconds.
    pub now_ms: u64,
}

/// The candidates' indices in the order in which they are tried: each exactly once, the same for the same arguments.
pub fn order(eligible: &[Candidate<'_>], _context: &OrderContext<'_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..eligible.len()).collect();
    order.sort_by_key(|at| {
        eligible.get(*at).map(|candidate| {
            let endpoint = &candidate.route.endpoint;
            (candidate.standing, candidate.cost, endpoint.tag.as_str())
        })
    });
    order
}
