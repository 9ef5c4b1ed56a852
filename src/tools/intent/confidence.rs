//! Whether anything suits a request, and whether the best one is the right one: two probabilities. Below a threshold nobody should act. Pure.
//!
//! Two logistic models over what can be seen of the best fit. Their weights were fitted on the tuning parts of MetaTool (cold, warm, and with
//! the right tool taken away) and BFCL, and stand still since; `npm run simulate:tools` tells what they are worth on parts they never saw.

use super::{
    index::{CENTRE, Fits, Index},
    text::Features,
    thesaurus::Kinds,
};

/// Where the best one is less likely right than wrong, nothing is chosen.
pub const LEAST_CONFIDENCE: f64 = 0.5;
/// Where it is less likely that anything suits, nothing is chosen.
pub const LEAST_RELEVANCE: f64 = 0.3;

/// How many things are seen of a best fit.
pub const SIGNALS: usize = 8;

/// 1, share of the request found, BM25 (logarithm), name found, description found, lead over the second, cosine with what is remembered, and
/// how much is remembered at all.
pub type Signals = [f64; SIGNALS];

/// Whether anything suits.
const SUITS: Signals = [-2.265, 0.08, 0.795, 0.847, 1.506, -0.006, 16.025, -2.775];
/// Whether the best one is right, where something suits.
const RIGHT: Signals = [-3.489, 0.705, 0.563, 0.194, 2.436, 4.723, -0.305, 0.025];

/// What can be seen of the best fit; nothing where nothing fits.
pub fn signals(fits: &Fits, index: &Index, asked: &Features, kinds: &Kinds) -> Option<Signals> {
    let best = fits.fits.first()?;
    let second = fits.fits.get(1).map_or(0.0, |second| second.score);
    let (name, about) = index.covered(best.tool, asked, kinds);
    let warm = index.centre() / CENTRE;
    Some([
        1.0,
        f64::from(best.words / fits.mass.max(1e-6)),
        f64::from(best.words.ln_1p()),
        f64::from(name),
        f64::from(about),
        f64::from(1.0 - second / best.score.max(1e-6)),
        f64::from(best.centre * warm),
        f64::from(warm),
    ])
}

/// The probability that anything suits.
pub fn relevance(signals: &Signals) -> f64 {
    logistic(signals, &SUITS)
}

/// The probability that the best fit is right.
pub fn confidence(signals: &Signals) -> f64 {
    logistic(signals, &RIGHT)
}

fn logistic(signals: &Signals, weights: &Signals) -> f64 {
    let sum: f64 = signals
        .iter()
        .zip(weights)
        .map(|(signal, weight)| signal * weight)
        .sum();
    1.0 / (1.0 + (-sum).exp())
}
