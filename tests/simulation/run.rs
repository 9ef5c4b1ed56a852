//! One policy over one stretch of requests, and what came of it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use patchbay::routing::MAX_ATTEMPTS;

use crate::{
    attempts::{Attempt, CACHE_FINDS, End, World},
    load::Ask,
    policies::{Policy, second},
    providers::{MADE, Providers},
};

/// One request's fate.
#[derive(Debug, Clone, Copy)]
pub struct Fate {
    pub at: f64,
    /// The conversation begins: no cache holds it anywhere.
    pub begins: bool,
    /// Who was asked first.
    pub asked: usize,
    pub served: Option<usize>,
    pub attempts: usize,
    /// Seconds to the first content.
    pub first: Option<f64>,
}

/// Figures of one run.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The share that was answered to its end.
    pub success: f64,
    /// Dollars per thousand requests.
    pub cost: f64,
    /// The same with the worth of the time that clients waited.
    pub cost_with_time: f64,
    /// Seconds to the first content.
    pub first_p50: f64,
    pub first_p95: f64,
    /// The share of prompt tokens read from a cache, and what it were had every request gone where the one before it went.
    pub hits: f64,
    pub hits_if_sticky: f64,
    /// Of what that is less: the share that was lost because another provider was asked first than the one before; in another isolate than
    /// the one before, and in the same.
    pub lost_abroad: f64,
    pub lost_at_home: f64,
    /// Attempts per request.
    pub attempts: f64,
    /// The share of answers with tool calls that are malformed.
    pub tool_errors: f64,
    pub fates: Vec<Fate>,
}

/// Plays all requests and counts those from `warm` seconds on. What a policy hears of an attempt it hears when the attempt ends.
pub fn play(
    providers: &Providers,
    seed: u64,
    asks: &[Ask],
    warm: f64,
    policy: &mut dyn Policy,
) -> Figures {
    let mut world = World::new(providers, seed);
    let mut told: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut ended: Vec<(Ask, usize, Attempt)> = Vec::new();
    let mut last: HashMap<usize, (usize, usize)> = HashMap::new();
    let mut sum = Sum::default();
    for ask in asks {
        if ask.at < warm {
            sum = Sum::default();
        }
        let now = (ask.at * 1e6) as u64;
        while let Some(Reverse((at, index))) =
            told.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            told.pop();
            let (ask, provider, attempt) = ended[index];
            policy.ended(&world, &ask, provider, at as f64 / 1e6, &attempt);
        }
        let order = policy.order(&world, ask);
        if let Some((previous, isolate)) = last.get(&ask.conversation) {
            let could_hit = CACHE_FINDS * world.cached(ask, *previous, ask.at) as f64;
            sum.could_hit += could_hit;
            if order[0] != *previous && *isolate == ask.isolate {
                sum.lost_at_home += could_hit;
            } else if order[0] != *previous {
                sum.lost_abroad += could_hit;
            }
        }
        let mut at = ask.at;
        let mut fate = Fate {
            at,
            begins: !last.contains_key(&ask.conversation),
            asked: order[0],
            served: None,
            attempts: 0,
            first: None,
        };
        for provider in order.into_iter().take(MAX_ATTEMPTS) {
            policy.begins(&world, ask, provider, at);
            let attempt = world.attempt(ask, provider, at);
            fate.attempts += 1;
            let (End::Limited { after }
            | End::Failed { after }
            | End::Broke { after, .. }
            | End::Done { after, .. }) = attempt.end;
            told.push(Reverse((((at + after) * 1e6) as u64, ended.len())));
            ended.push((*ask, provider, attempt));
            sum.cost += attempt.cost as f64;
            if let End::Broke { first, .. } | End::Done { first, .. } = attempt.end {
                fate.first = Some(at + first - ask.at);
                sum.prompt += attempt.usage.prompt as f64;
                sum.hit += attempt.usage.cache_read as f64;
                last.insert(ask.conversation, (provider, ask.isolate));
            }
            at += after;
            if let End::Done { .. } = attempt.end {
                fate.served = Some(provider);
                sum.tool_answers += f64::from(u8::from(attempt.tools_valid.is_some()));
                sum.tool_errors += f64::from(u8::from(attempt.tools_valid == Some(false)));
            }
            if fate.first.is_some() {
                break;
            }
        }
        sum.time += (at - ask.at) * second(&world, ask.at);
        sum.fates.push(fate);
    }
    sum.figures()
}

#[derive(Default)]
struct Sum {
    cost: f64,
    time: f64,
    prompt: f64,
    hit: f64,
    could_hit: f64,
    lost_abroad: f64,
    lost_at_home: f64,
    tool_answers: f64,
    tool_errors: f64,
    fates: Vec<Fate>,
}

impl Sum {
    fn figures(self) -> Figures {
        let count = self.fates.len() as f64;
        let mut firsts: Vec<f64> = self.fates.iter().filter_map(|fate| fate.first).collect();
        firsts.sort_by(f64::total_cmp);
        let percentile = |part: f64| firsts[((firsts.len() - 1) as f64 * part) as usize];
        // Nano-dollars per request to dollars per thousand requests.
        let dollars = |nanos: f64| nanos / count / 1e6;
        Figures {
            success: self
                .fates
                .iter()
                .filter(|fate| fate.served.is_some())
                .count() as f64
                / count,
            cost: dollars(self.cost),
            cost_with_time: dollars(self.cost + self.time),
            first_p50: percentile(0.5),
            first_p95: percentile(0.95),
            hits: self.hit / self.prompt,
            hits_if_sticky: self.could_hit / self.prompt,
            lost_abroad: self.lost_abroad / self.prompt,
            lost_at_home: self.lost_at_home / self.prompt,
            attempts: self.fates.iter().map(|fate| fate.attempts).sum::<usize>() as f64 / count,
            tool_errors: self.tool_errors / self.tool_answers,
            fates: self.fates,
        }
    }
}

impl Figures {
    /// The share of requests that asked each provider first, from one second to another.
    pub fn shares(&self, from: f64, to: f64) -> [f64; MADE.len()] {
        self.shares_of(from, to, |_| true)
    }

    /// The same of conversations that begin, which nothing keeps where it was.
    pub fn shares_of_new(&self, from: f64, to: f64) -> [f64; MADE.len()] {
        self.shares_of(from, to, |fate| fate.begins)
    }

    fn shares_of(&self, from: f64, to: f64, of: fn(&Fate) -> bool) -> [f64; MADE.len()] {
        let mut shares = [0.0; MADE.len()];
        let asked = || {
            let within = |fate: &&Fate| fate.at >= from && fate.at < to && of(fate);
            self.fates.iter().filter(within)
        };
        let count = asked().count() as f64;
        for fate in asked() {
            shares[fate.asked] += 1.0 / count;
        }
        shares
    }
}
