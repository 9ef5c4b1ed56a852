//! The requests of many conversations: who asks what, and when.
//!
//! Four of ten conversations are one request; the others go on for six more on average, each prompt holding all that was said before. Three of
//! ten have tools. Traffic rises and falls by a third over the hours.

use patchbay::routing::order::chance::SplitMix64;

use crate::providers::normal;

/// Requests per second on average.
pub const RATE: f64 = 9.3;

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    pub id: u64,
    /// Seconds from the start.
    pub at: f64,
    pub conversation: usize,
    pub with_tools: bool,
    pub prompt: u64,
    pub output: u64,
    /// Which isolate it comes to.
    pub isolate: usize,
}

/// So many requests in the order of their times.
pub fn asks(seed: u64, count: usize, isolates: usize) -> Vec<Ask> {
    let mut chance = SplitMix64::for_name(seed, &["load"]);
    let seconds = count as f64 / RATE;
    let mut asks: Vec<Ask> = Vec::with_capacity(count);
    let mut conversation = 0;
    while asks.len() < count {
        let with_tools = chance.next_fraction() < 0.3;
        // Conversations begin evenly over the whole time; those that would go on beyond it are cut.
        let wave = |at: f64| 1.0 + 0.33 * (at / 3_600.0 * 3.0).sin();
        let mut at = loop {
            let at = seconds * chance.next_fraction();
            if chance.next_fraction() * 1.33 <= wave(at) {
                break at;
            }
        };
        let goes_on = if chance.next_fraction() < 0.4 {
            0.0
        } else {
            6.0 / 7.0
        };
        let mut prompt =
            600.0 * (0.9 * normal(&mut chance)).exp() + if with_tools { 3_000.0 } else { 400.0 };
        let home = (chance.next_u64() % isolates as u64) as usize;
        loop {
            let output = (250.0 * (0.8 * normal(&mut chance)).exp()).clamp(10.0, 4_000.0);
            let elsewhere = chance.next_fraction() < 0.2;
            let other = (chance.next_u64() % isolates as u64) as usize;
            asks.push(Ask {
                id: 0,
                at,
                conversation,
                with_tools,
                prompt: prompt as u64,
                output: output as u64,
                isolate: if elsewhere { other } else { home },
            });
            // Agents go on at once, people think first.
            let pause = if with_tools { 3.0 } else { 30.0 };
            at += output / 60.0 + pause * (0.8 * normal(&mut chance)).exp();
            prompt += output + 150.0 * (0.7 * normal(&mut chance)).exp();
            if at >= seconds || prompt > 100_000.0 || chance.next_fraction() > goes_on {
                break;
            }
        }
        conversation += 1;
    }
    asks.sort_by(|a, b| f64::total_cmp(&a.at, &b.at));
    for (id, ask) in (0..).zip(&mut asks) {
        ask.id = id;
    }
    asks
}
