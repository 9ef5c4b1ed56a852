//! Twelve providers of one model, and how each of them really is at any minute.
//!
//! Prices step every few minutes and are known at once, as the catalog is. Speed and room wander minute by minute. Incidents come at
//! random: an outage that says so, one that hangs, a brownout, streams that break, slowness, and room that is gone. Nothing here depends on
//! what a policy does; only the load does (`attempts`).

use std::{f64::consts::TAU, rc::Rc};

use patchbay::{
    catalog::{ModelEntry, ServedModel},
    routing::order::chance::SplitMix64,
};
use serde_json::json;

/// Minutes between two steps of the prices.
const PRICE_STEP: usize = 15;
/// Dollars per million tokens at a price factor of 1: prompt and completion.
const PRICES: (f64, f64) = (1.0, 4.0);

/// A provider as it was made. Cheap ones are less reliable, dear ones faster.
pub struct Made {
    pub name: &'static str,
    /// Of [`PRICES`].
    price: f64,
    /// What a cached token costs, of a fresh one; `None`: it has no cache.
    cache_read: Option<f64>,
    /// Median time to first token, seconds.
    first_token: f64,
    /// Tokens per second from then on.
    speed: f64,
    /// Requests per second that it takes from us on an average day.
    room: f64,
    /// Of attempts: those that fail at once, and streams that break.
    fails: f64,
    breaks: f64,
    /// Of answers with tool calls: malformed ones.
    tool_errors: f64,
    /// Incidents per hour.
    incidents: f64,
    /// It says when to come back, in seconds.
    pub retry_after: Option<u32>,
}

#[expect(clippy::too_many_arguments, reason = "one row of a table")]
const fn made(
    name: &'static str,
    price: f64,
    cache_read: Option<f64>,
    (first_token, speed): (f64, f64),
    room: f64,
    (fails, breaks, tool_errors): (f64, f64, f64),
    incidents: f64,
    retry_after: Option<u32>,
) -> Made {
    Made {
        name,
        price,
        cache_read,
        first_token,
        speed,
        room,
        fails,
        breaks,
        tool_errors,
        incidents,
        retry_after,
    }
}

/// The providers.
#[rustfmt::skip]
pub const MADE: [Made; 12] = [
    made("bargain",  0.62, None,       (0.90,  40.0),  4.0, (0.0200, 0.0060, 0.050), 1.5, None),
    made("thrift",   0.75, None,       (0.80,  55.0),  5.0, (0.0080, 0.0020, 0.020), 0.8, Some(2)),
    made("harbour",  0.80, Some(0.50), (0.70,  60.0),  6.0, (0.0050, 0.0010, 0.010), 0.6, None),
    made("meadow",   0.88, Some(0.25), (0.55,  75.0),  7.0, (0.0030, 0.0005, 0.008), 0.5, Some(1)),
    made("quarry",   0.92, Some(0.10), (0.60,  70.0),  6.0, (0.0040, 0.0008, 0.030), 0.6, None),
    made("origin",   1.00, Some(0.10), (0.45,  90.0), 20.0, (0.0010, 0.0002, 0.004), 0.2, Some(3)),
    made("lantern",  1.00, Some(0.25), (0.40, 100.0), 10.0, (0.0020, 0.0004, 0.006), 0.4, None),
    made("summit",   1.10, Some(0.10), (0.40, 110.0),  9.0, (0.0020, 0.0003, 0.005), 0.3, None),
    made("rapids",   1.25, Some(0.25), (0.30, 160.0),  8.0, (0.0020, 0.0003, 0.006), 0.3, Some(5)),
    made("wafer",    1.60, None,       (0.20, 400.0),  5.0, (0.0040, 0.0006, 0.015), 0.5, None),
    made("cloud",    1.40, Some(0.10), (0.50,  85.0), 30.0, (0.0005, 0.0001, 0.003), 0.1, None),
    made("boutique", 2.50, Some(0.50), (0.60,  60.0),  3.0, (0.0010, 0.0002, 0.004), 0.2, None),
];

/// What can go wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Every attempt fails at once.
    Outage,
    /// Every attempt hangs until it is given up.
    Hang,
    /// Three attempts of ten fail.
    Brownout,
    /// Of a hundred streams eight break.
    Breaks,
    /// Six times the wait, a quarter of the speed.
    Slow,
    /// A fifth of the room is left.
    Crowded,
}

/// Trouble from one second to another.
#[derive(Debug, Clone, Copy)]
pub struct Incident {
    pub provider: usize,
    pub from: f64,
    pub to: f64,
    pub what: Trouble,
}

/// How a provider is at one moment, load aside.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    pub first_token: f64,
    pub speed: f64,
    pub room: f64,
    /// Of attempts: fail at once, hang, break after their first content.
    pub fails: f64,
    pub hangs: f64,
    pub breaks: f64,
    pub tool_errors: f64,
}

/// All providers over time.
pub struct Providers {
    /// By price step.
    catalogs: Vec<Rc<ServedModel>>,
    /// By provider and minute: what first token, speed and room are multiplied with.
    weather: Vec<Vec<[f64; 3]>>,
    pub incidents: Vec<Incident>,
}

/// A number from a normal distribution (Box, Muller).
pub fn normal(chance: &mut SplitMix64) -> f64 {
    let radius = (-2.0 * chance.next_fraction().ln()).sqrt();
    radius * (TAU * chance.next_fraction()).cos()
}

impl Providers {
    /// A world of so many minutes. In a calm one prices stand still, nothing wanders and no incident comes.
    pub fn new(seed: u64, minutes: usize, calm: bool) -> Self {
        let mut chance = SplitMix64::for_name(seed, &["providers"]);
        let moves = if calm { 0.0 } else { 1.0 };
        let mut factors = [1.0f64; MADE.len()];
        let catalogs = (0..=minutes / PRICE_STEP)
            .map(|_| {
                for factor in &mut factors {
                    *factor =
                        (*factor * (moves * 0.06 * normal(&mut chance)).exp()).clamp(0.7, 1.4);
                }
                Rc::new(ServedModel::from(catalog(&factors)))
            })
            .collect();
        let weather = MADE
            .iter()
            .map(|_| {
                let mut now = [0.0f64; 3];
                let mut step = || {
                    for (value, size) in now.iter_mut().zip([0.25, 0.15, 0.25]) {
                        *value = 0.95 * *value + moves * size * 0.31 * normal(&mut chance);
                    }
                    now.map(f64::exp)
                };
                (0..=minutes).map(|_| step()).collect()
            })
            .collect();
        let mut incidents = Vec::new();
        let troubled = MADE.iter().enumerate().filter(|_| !calm);
        for (provider, made) in troubled {
            let mut at = 0.0;
            loop {
                at += 3_600.0 / made.incidents * chance.next_wait();
                if at >= minutes as f64 * 60.0 {
                    break;
                }
                let kinds = [
                    Trouble::Outage,
                    Trouble::Hang,
                    Trouble::Brownout,
                    Trouble::Breaks,
                    Trouble::Slow,
                    Trouble::Crowded,
                ];
                let what = kinds[(chance.next_u64() % kinds.len() as u64) as usize];
                let to = at + 60.0 + 240.0 * chance.next_wait();
                incidents.push(Incident {
                    provider,
                    from: at,
                    to,
                    what,
                });
            }
        }
        Self {
            catalogs,
            weather,
            incidents,
        }
    }

    /// The catalog in force; its routes are in the order of [`MADE`].
    pub fn catalog(&self, at: f64) -> &Rc<ServedModel> {
        let step = (at / 60.0) as usize / PRICE_STEP;
        &self.catalogs[step.min(self.catalogs.len() - 1)]
    }

    /// How a provider is now.
    pub fn truth(&self, provider: usize, at: f64) -> Truth {
        let made = &MADE[provider];
        let weather = &self.weather[provider];
        let [wait, speed, room] = weather[((at / 60.0) as usize).min(weather.len() - 1)];
        let mut truth = Truth {
            first_token: made.first_token * wait,
            speed: made.speed * speed,
            room: made.room * room,
            fails: made.fails,
            hangs: 0.0,
            breaks: made.breaks,
            tool_errors: made.tool_errors,
        };
        let now = |each: &&Incident| each.provider == provider && each.from <= at && at < each.to;
        for incident in self.incidents.iter().filter(now) {
            match incident.what {
                Trouble::Outage => truth.fails = 1.0,
                Trouble::Hang => truth.hangs = 1.0,
                Trouble::Brownout => truth.fails = 0.3,
                Trouble::Breaks => truth.breaks = 0.08,
                Trouble::Slow => {
                    truth.first_token *= 6.0;
                    truth.speed /= 4.0;
                }
                Trouble::Crowded => truth.room /= 5.0,
            }
        }
        truth
    }
}

fn catalog(factors: &[f64; MADE.len()]) -> ModelEntry {
    let nanos = |dollars: f64| (dollars * 1e9).round() as i64;
    let providers: Vec<_> = MADE
        .iter()
        .map(|made| {
            json!({
                "slug": made.name, "name": made.name, "dialect": "openai_chat", "base_url": "https://example.invalid",
                "auth": {"kind": "bearer"}, "secret": made.name, "data_policy": {"training": false},
            })
        })
        .collect();
    let endpoints: Vec<_> = MADE
        .iter()
        .zip(factors)
        .map(|(made, factor)| {
            let price = made.price * factor;
            let mut prices = json!({"prompt": nanos(PRICES.0 * price), "completion": nanos(PRICES.1 * price)});
            if let Some(part) = made.cache_read {
                prices["cache_read"] = nanos(PRICES.0 * price * part).into();
            }
            json!({
                "model": "sim/model", "provider": made.name, "tag": made.name, "upstream_model_id": "m",
                "context_length": 200_000, "prices": prices, "supported_parameters": ["tools"],
                "supports_implicit_caching": made.cache_read.is_some(),
                "input_modalities": ["text"], "output_modalities": ["text"],
            })
        })
        .collect();
    serde_json::from_value(json!({
        "model": {
            "slug": "sim/model", "canonical_slug": "sim/model", "name": "M", "description": "", "created": 0,
            "context_length": 200_000, "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
        },
        "endpoints": endpoints, "providers": providers,
    }))
    .unwrap()
}
