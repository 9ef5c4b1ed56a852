//! What happens when a provider is asked: its load, its 429s, its prompt caches, its dice.
//!
//! The dice of a request at a provider are the same for every policy.

use std::collections::HashMap;

use patchbay::{chat::Usage, credits::pricing::PriceTable, routing::order::chance::SplitMix64};

use crate::{
    load::Ask,
    providers::{MADE, Providers, Truth, normal},
};

/// Seconds after which an attempt that hangs is given up.
pub const HANG: f64 = 10.0;
/// Seconds that a refusal takes.
const REFUSAL: f64 = 0.2;
/// Seconds over which a provider counts our requests.
const MEMORY: f64 = 10.0;
/// How long a prompt stays in a cache, seconds.
const CACHE_STAYS: f64 = 300.0;
/// How often a cached prompt is found: a provider has more than one machine.
pub const CACHE_FINDS: f64 = 0.95;
/// The shortest prompt that is cached.
const LEAST_CACHED: u64 = 1_024;

/// How an attempt ended, seconds from its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    Limited {
        after: f64,
    },
    Failed {
        after: f64,
    },
    /// The first content was delivered, then the stream broke.
    Broke {
        first: f64,
        after: f64,
    },
    Done {
        first: f64,
        after: f64,
    },
}

/// An attempt and what it used.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    pub end: End,
    pub usage: Usage,
    /// Nano-dollars.
    pub cost: i64,
    pub tools_valid: Option<bool>,
}

/// Load and caches, as one policy has made them.
pub struct World<'a> {
    pub providers: &'a Providers,
    seed: u64,
    /// By provider: requests within [`MEMORY`], and when that was.
    load: [(f64, f64); MADE.len()],
    /// By conversation and provider: tokens of its prompt that are cached, and since when.
    caches: HashMap<(usize, usize), (u64, f64)>,
}

impl<'a> World<'a> {
    pub fn new(providers: &'a Providers, seed: u64) -> Self {
        Self {
            providers,
            seed,
            load: [(0.0, 0.0); MADE.len()],
            caches: HashMap::new(),
        }
    }

    /// Requests per second over the room there is.
    pub fn crowding(&self, provider: usize, room: f64, at: f64) -> f64 {
        let (count, since) = self.load[provider];
        count * (-(at - since).max(0.0) / MEMORY).exp() / MEMORY / room
    }

    /// The prompt tokens that the provider's cache holds of this request.
    pub fn cached(&self, ask: &Ask, provider: usize, at: f64) -> u64 {
        match self.caches.get(&(ask.conversation, provider)) {
            Some((tokens, since)) if at - since < CACHE_STAYS => {
                let tokens = (*tokens).min(ask.prompt) / 128 * 128;
                if tokens >= LEAST_CACHED { tokens } else { 0 }
            }
            _ => 0,
        }
    }

    /// The wait for the first token and the speed under this load.
    pub fn pace(truth: &Truth, crowding: f64) -> (f64, f64) {
        (
            truth.first_token * (1.0 + crowding * crowding),
            truth.speed / (1.0 + 0.3 * crowding),
        )
    }

    /// Asks a provider.
    pub fn attempt(&mut self, ask: &Ask, provider: usize, at: f64) -> Attempt {
        let name = MADE[provider].name;
        let mut dice = SplitMix64::for_name(self.seed ^ ask.id.wrapping_mul(0x9e37), &[name]);
        let truth = self.providers.truth(provider, at);
        let crowding = self.crowding(provider, truth.room, at);
        let [limited, failed, broke, found, tool] = [(); 5].map(|()| dice.next_fraction());
        let nothing = |end| Attempt {
            end,
            usage: Usage::default(),
            cost: 0,
            tools_valid: None,
        };
        if limited <= refused(crowding) {
            return nothing(End::Limited { after: REFUSAL });
        }
        let (count, since) = &mut self.load[provider];
        *count = *count * (-(at - *since).max(0.0) / MEMORY).exp() + 1.0;
        *since = since.max(at);
        if failed <= truth.hangs {
            return nothing(End::Failed { after: HANG });
        }
        if failed <= truth.hangs + truth.fails {
            return nothing(End::Failed {
                after: REFUSAL + 0.3 * dice.next_fraction(),
            });
        }
        let (wait, speed) = Self::pace(&truth, crowding);
        let cache_read = if found <= CACHE_FINDS {
            self.cached(ask, provider, at)
        } else {
            0
        };
        let first = wait * (0.35 * normal(&mut dice)).exp();
        let writing = ask.output as f64 / (speed * (0.15 * normal(&mut dice)).exp());
        let prices = &self.providers.catalog(at).routes[provider].endpoint.prices;
        if prices.cache_read.is_some() {
            self.caches.insert(
                (ask.conversation, provider),
                (ask.prompt + ask.output, at + first),
            );
        }
        let breaks = broke <= truth.breaks;
        let usage = Usage {
            prompt: ask.prompt,
            cache_read,
            completion: if breaks { ask.output / 2 } else { ask.output },
            ..Usage::default()
        };
        let after = first + if breaks { writing / 2.0 } else { writing };
        Attempt {
            end: if breaks {
                End::Broke { first, after }
            } else {
                End::Done { first, after }
            },
            usage,
            cost: charge(prices, &usage),
            tools_valid: ask.with_tools.then_some(tool > truth.tool_errors),
        }
    }
}

/// The share of requests answered with 429.
pub fn refused(crowding: f64) -> f64 {
    ((crowding - 0.85) / 0.3).clamp(0.0, 1.0)
}

/// Nano-dollars.
pub fn charge(prices: &PriceTable, usage: &Usage) -> i64 {
    prices.cost(usage).unwrap().total.get()
}
