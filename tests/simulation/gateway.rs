//! The gateway: its planner, breakers, statistics and hints, four isolates of it, with the delays of the platform between them.
//!
//! Real are `routing::plan` with all it reads, `routing::breaker`, `routing::sticky` and `usage::statistics`. Imitated is what carries values
//! from one place to another: rows reach D1 when an attempt ends, a cron gathers them each minute, its snapshot is seen through KV half a
//! minute later, and so are hints by other isolates. Half of the conversations name their session.

use std::{collections::HashMap, rc::Rc};

use patchbay::{
    catalog::ServedModel,
    chat::{ChatRequest, Message, Role, Tool},
    routing::{
        self, Asked, ProviderPreferences, Situation,
        breaker::{Breakers, Outcome},
        statistics::{Statistics, key},
        sticky::{Affinity, Hints, Served},
    },
    usage::{
        measured::{Measured, Verdict},
        statistics::{Freshness, MAX_AGE_MS, Spans, StatisticsCache},
    },
};

use crate::{
    attempts::{Attempt, End, World},
    load::Ask,
    policies::Policy,
    providers::MADE,
};

/// Isolates among which the requests are spread.
pub const ISOLATES: usize = 4;
/// When the simulation begins, unix milliseconds.
const EPOCH: u64 = 1_800_000_000_000;
/// How long KV takes to show a value elsewhere, milliseconds.
const KV_LAG: u64 = 30_000;

/// One isolate's memory.
#[derive(Default)]
struct Isolate {
    breakers: Breakers,
    statistics: StatisticsCache,
    hints: Hints,
}

/// The gateway.
pub struct Gateway {
    seed: u64,
    isolates: Vec<Isolate>,
    spans: Spans,
    /// Snapshots, and when they can be seen.
    snapshots: Vec<(u64, Statistics)>,
    gathered: u64,
    /// Hints in KV by their key, and when they can be seen.
    stored: HashMap<String, Vec<(u64, String)>>,
    /// What conversations that are under way stick by.
    affinities: HashMap<u64, Affinity>,
    turns: HashMap<usize, usize>,
}

fn ms(at: f64) -> u64 {
    EPOCH + (at * 1_000.0) as u64
}

impl Gateway {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            isolates: (0..ISOLATES).map(|_| Isolate::default()).collect(),
            spans: Spans::default(),
            snapshots: Vec::new(),
            gathered: EPOCH,
            stored: HashMap::new(),
            affinities: HashMap::new(),
            turns: HashMap::new(),
        }
    }

    /// The cron, and an isolate's look at what it left.
    fn catch_up(&mut self, isolate: usize, now: u64) {
        while now >= self.gathered + 60_000 {
            self.gathered += 60_000;
            let statistics = self.spans.statistics(self.gathered as i64);
            self.snapshots.push((self.gathered + KV_LAG, statistics));
        }
        let statistics = &self.isolates[isolate].statistics;
        if statistics.freshness(now, MAX_AGE_MS) != Freshness::Fresh {
            let seen = self
                .snapshots
                .iter()
                .rev()
                .find(|(visible, _)| *visible <= now);
            statistics.adopt(seen.map(|(_, s)| s.clone()).unwrap_or_default(), now);
        }
    }

    /// What the conversation's past speaks for, as `api::conversation` finds it.
    fn recall(&self, ask: &Ask, request: &ChatRequest, model: &ServedModel, now: u64) -> Affinity {
        let preferences = ProviderPreferences::default();
        let mut affinity = Affinity::of(
            "account",
            request,
            ask.prompt,
            &preferences,
            &[model],
            |_| true,
        );
        let Some(key) = affinity.key().copied() else {
            return affinity;
        };
        let hints = &self.isolates[ask.isolate].hints;
        let mut known = hints.get(&key, now);
        if known.is_none() && affinity.is_worth_reading() {
            let written = self.stored.get(&key.text()).into_iter().flatten().rev();
            let seen = written.clone().find(|(visible, _)| *visible <= now);
            known = seen.map(|(_, text)| hints.learn(&key, text, now));
        }
        affinity.adopt(known.unwrap_or_default(), &[model]);
        affinity
    }

    /// What a good answer leaves, as `api::conversation` does.
    fn remember(
        &mut self,
        world: &World<'_>,
        ask: &Ask,
        provider: usize,
        now: u64,
        attempt: &Attempt,
    ) {
        let Some(affinity) = self.affinities.remove(&ask.id) else {
            return;
        };
        let served = Served {
            route: &world.providers.catalog(ask.at).routes[provider],
            usage: &attempt.usage,
            signed: false,
        };
        if let (Some(key), Some(hint)) = (affinity.key(), affinity.hint(&served, now))
            && let Some(text) = self.isolates[ask.isolate].hints.note(key, hint, now)
        {
            self.stored
                .entry(key.text())
                .or_default()
                .push((now + KV_LAG, text));
        }
    }

    /// The request as the planner reads it.
    fn request(&mut self, ask: &Ask) -> ChatRequest {
        let tool = Tool {
            name: "t".into(),
            description: None,
            parameters: None,
            strict: None,
            cache: None,
        };
        let turn = self.turns.entry(ask.conversation).or_default();
        *turn += 1;
        let name = format!("conversation {}", ask.conversation);
        let said = (0..*turn).map(|_| Message::text(Role::User, name.clone()));
        ChatRequest {
            tools: if ask.with_tools {
                vec![tool]
            } else {
                Vec::new()
            },
            messages: said.take(2).collect(),
            session_id: ask.conversation.is_multiple_of(2).then_some(name.clone()),
            ..ChatRequest::default()
        }
    }
}

impl Policy for Gateway {
    fn order(&mut self, world: &World<'_>, ask: &Ask) -> Vec<usize> {
        let now = ms(ask.at);
        self.catch_up(ask.isolate, now);
        let model = Rc::clone(world.providers.catalog(ask.at));
        let request = self.request(ask);
        let affinity = self.recall(ask, &request, &model, now);
        let isolate = &self.isolates[ask.isolate];
        let situation = Situation {
            now_ms: now,
            seed: self.seed ^ ask.id.wrapping_mul(0x9e37_79b9),
            prompt_tokens: ask.prompt,
            statistics: &isolate.statistics.current(),
            health: &isolate.breakers,
            affinity: &affinity,
            ..Situation::default()
        };
        let models: [Asked; 1] = [model.into()];
        let plan = routing::plan(&request, &models, &situation).unwrap();
        let place = |tag: &str| MADE.iter().position(|made| made.name == tag).unwrap();
        let order = plan
            .attempts
            .iter()
            .map(|step| place(&step.route.endpoint.tag))
            .collect();
        self.affinities.insert(ask.id, affinity);
        order
    }

    fn begins(&mut self, world: &World<'_>, ask: &Ask, provider: usize, at: f64) {
        let endpoint = &world.providers.catalog(at).routes[provider].endpoint;
        self.isolates[ask.isolate].breakers.begin(endpoint, ms(at));
    }

    fn ended(&mut self, world: &World<'_>, ask: &Ask, provider: usize, at: f64, attempt: &Attempt) {
        let now = ms(at);
        let isolate = &self.isolates[ask.isolate];
        let endpoint = &*world.providers.catalog(at).routes[provider].endpoint;
        let (verdict, outcome) = match attempt.end {
            End::Limited { .. } => (
                Verdict::RateLimited,
                Outcome::RateLimited {
                    retry_after_s: MADE[provider].retry_after,
                },
            ),
            End::Failed { .. } | End::Broke { .. } => (Verdict::Fault, Outcome::Fault),
            End::Done { .. } => (Verdict::Ok, Outcome::Ok),
        };
        let (End::Limited { after }
        | End::Failed { after }
        | End::Broke { after, .. }
        | End::Done { after, .. }) = attempt.end;
        let began = ms(at - after);
        isolate.breakers.note(endpoint, outcome, began, now);
        let mut measured = Measured {
            ended_at: now as i64,
            verdict,
            ..Measured::default()
        };
        if let End::Done { first, after } = attempt.end {
            measured.first_token_ms = Some((first * 1_000.0) as u64);
            measured.duration_ms = Some((after * 1_000.0) as u64);
            measured.prompt = attempt.usage.prompt;
            measured.cache_read = attempt.usage.cache_read;
            measured.completion = attempt.usage.completion;
            measured.cost = attempt.cost;
            measured.tools_valid = attempt.tools_valid;
            self.remember(world, ask, provider, now, attempt);
        }
        let isolate = &self.isolates[ask.isolate];
        isolate.statistics.note(&key(endpoint), &measured);
        self.spans.add(&key(endpoint), &measured, now as i64);
    }
}
