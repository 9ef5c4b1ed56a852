//! Who is asked, and in which order: the gateway's own planner and four others to compare it with.

use patchbay::{
    chat::Usage,
    credits::pricing::UNITS_PER_PRICE,
    routing::order::{chance::SplitMix64, constants},
};

use crate::{
    attempts::{Attempt, HANG, World, charge, refused},
    load::Ask,
    providers::MADE,
};

/// Chooses providers and hears what came of it, later.
pub trait Policy {
    /// Providers in the order in which they are tried.
    fn order(&mut self, world: &World<'_>, ask: &Ask) -> Vec<usize>;

    /// An attempt begins.
    fn begins(&mut self, _world: &World<'_>, _ask: &Ask, _provider: usize, _at: f64) {}

    /// An attempt has ended.
    fn ended(
        &mut self,
        _world: &World<'_>,
        _ask: &Ask,
        _provider: usize,
        _at: f64,
        _attempt: &Attempt,
    ) {
    }
}

/// One after the other.
#[derive(Default)]
pub struct RoundRobin(usize);

impl Policy for RoundRobin {
    fn order(&mut self, _: &World<'_>, _: &Ask) -> Vec<usize> {
        self.0 += 1;
        (0..MADE.len()).map(|n| (self.0 + n) % MADE.len()).collect()
    }
}

/// What the request costs at list prices, nano-dollars.
fn list_cost(world: &World<'_>, ask: &Ask, provider: usize, at: f64) -> i64 {
    let usage = Usage {
        prompt: ask.prompt,
        completion: ask.output,
        ..Usage::default()
    };
    charge(
        &world.providers.catalog(at).routes[provider].endpoint.prices,
        &usage,
    )
}

fn sorted_by(key: impl Fn(usize) -> f64) -> Vec<usize> {
    let mut keyed: Vec<(f64, usize)> = (0..MADE.len())
        .map(|provider| (key(provider), provider))
        .collect();
    keyed.sort_by(|a, b| f64::total_cmp(&a.0, &b.0));
    keyed.into_iter().map(|(_, provider)| provider).collect()
}

/// The lowest list price.
pub struct Cheapest;

impl Policy for Cheapest {
    fn order(&mut self, world: &World<'_>, ask: &Ask) -> Vec<usize> {
        sorted_by(|provider| list_cost(world, ask, provider, ask.at) as f64)
    }
}

/// Drawn with weight 1/price².
pub struct InverseSquare;

impl Policy for InverseSquare {
    fn order(&mut self, world: &World<'_>, ask: &Ask) -> Vec<usize> {
        let mut chance = SplitMix64::for_name(ask.id, &["inverse square"]);
        let waits = [(); MADE.len()].map(|()| chance.next_wait());
        sorted_by(|provider| {
            waits[provider] * (list_cost(world, ask, provider, ask.at) as f64).powi(2)
        })
    }
}

/// Knows how every provider is at this moment, its load and its caches, and what a second is worth; not what the dice will say.
pub struct Oracle;

/// The probability that a conversation goes on, for the worth of a cache that is warm.
const GOES_ON: f64 = 0.7;

/// What a 429 adds for those who see every cache, in multiples of the cost. The gateway's own figure counts the caches it loses too.
const LIMITED: f64 = 0.5;

impl Policy for Oracle {
    fn order(&mut self, world: &World<'_>, ask: &Ask) -> Vec<usize> {
        let at = ask.at;
        sorted_by(|provider| {
            let truth = world.providers.truth(provider, at);
            let crowding = world.crowding(provider, truth.room, at);
            let (first_token, speed) = World::pace(&truth, crowding);
            let prices = &world.providers.catalog(at).routes[provider].endpoint.prices;
            let cost = |cache_read| {
                let usage = Usage {
                    prompt: ask.prompt,
                    cache_read,
                    completion: ask.output,
                    ..Usage::default()
                };
                charge(prices, &usage) as f64
            };
            let now = cost(world.cached(ask, provider, at));
            let money = (now + GOES_ON * cost(ask.prompt)) / (1.0 + GOES_ON);
            let limited = refused(crowding);
            let seconds = first_token
                + ask.output as f64 / speed
                + constants::RATE_LIMIT_SECONDS * limited
                + HANG * truth.hangs;
            let trouble = constants::FAILURE_PENALTY * (truth.fails + truth.hangs + truth.breaks)
                + LIMITED * limited
                + if ask.with_tools {
                    constants::TOOL_ERROR_PENALTY * truth.tool_errors
                } else {
                    0.0
                };
            (money + second(world, at) * seconds) * (1.0 + trouble)
                + if limited >= 1.0 { 1e12 } else { 0.0 }
        })
    }
}

/// What a second is worth, nano-dollars.
pub fn second(world: &World<'_>, at: f64) -> f64 {
    let routes = &world.providers.catalog(at).routes;
    let mut prices: Vec<i64> = routes
        .iter()
        .map(|r| r.endpoint.prices.completion.get())
        .collect();
    prices.sort_unstable();
    constants::SECOND_IN_TOKENS * prices[prices.len() / 2] as f64 / UNITS_PER_PRICE as f64
}
