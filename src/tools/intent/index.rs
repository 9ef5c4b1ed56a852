//! How well each tool fits a request: two lexical scores over what tools say of themselves and what they were asked for before. Pure.
//!
//! - **Words**: BM25 (Robertson and Zaragoza, 2009) over names, descriptions, example intents and remembered intents. A word of the request
//!   counts for a tool by itself or by a kind of thing that it may mean (`thesaurus`), whichever says more, never by both; words of asking
//!   count less.
//! - **Centre**: the cosine between the request and the mean of a tool's intents, over words and pairs of words (Rocchio, 1971), with
//!   dampened counts. It tells little while nothing is remembered, and most when much is.
//!
//! Each is taken relative to the best tool's; their sum ranks. The constants were chosen on what of public data is not held out
//! (`npm run simulate:tools`) and on the gateway's own example intents, each left out in turn: only what helps both is kept. Out of scope:
//! whether the best one is good enough (`confidence`).

use std::collections::{HashMap, HashSet};

use super::{
    text::{Features, hash, stem, words},
    thesaurus::Kinds,
};

/// BM25: how soon a word has said all it can.
const SATURATION: f32 = 1.5;
/// BM25: how much a long text counts against a tool.
const LENGTH: f32 = 0.75;
/// The power of a word's rarity in BM25.
const RARITY: f32 = 1.2;
/// What a word of asking counts in a request.
const ASKING: f32 = 0.4;
/// What a kind of thing counts in a request, where the word itself says less …
const KIND_ASKED: f32 = 0.8;
/// … and in a text.
const KIND_TOLD: f32 = 0.5;
/// How many intents a tool's own text is worth in its centre.
const TEXT_IN_CENTRE: f32 = 2.0;
/// The power of a feature's mean in a centre.
const DAMPING: f32 = 0.6;
/// The power of a feature's rarity in a centre.
const RARITY_IN_CENTRE: f32 = 0.8;
/// What the centre's score counts beside the words' where much is remembered …
pub const CENTRE: f32 = 2.5;
/// … and how many intents a tool must have on average for half of that.
const CENTRE_HALF: f32 = 3.0;

/// What the beginning or the end of a word in a name counts.
const PART: f32 = 0.3;
/// Letters of such a part, and what a word has beside it, at the least.
const PART_LETTERS: (usize, usize) = (4, 3);

/// Beginnings and ends of the words in a name: names are run together, such as `talkfootball`.
fn parts(name: &str) -> Vec<u32> {
    let mut parts = Vec::new();
    for word in words(name).iter().filter(|word| word.is_ascii()) {
        for length in PART_LETTERS.0..=word.len().saturating_sub(PART_LETTERS.1) {
            let ends = [word.get(..length), word.get(word.len() - length..)];
            parts.extend(ends.into_iter().flatten().map(|part| hash(&[&stem(part)])));
        }
    }
    parts
}

/// A text of a tool and what its words count.
pub struct Field<'a> {
    /// The text.
    pub text: &'a str,
    /// What one of its words counts.
    pub weight: f32,
}

/// What a tool says of itself, read.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Feature → how often, weighted.
    words: HashMap<u32, f32>,
    /// Words of the name.
    name: Vec<u32>,
    /// Words of everything else.
    about: Vec<u32>,
}

impl Card {
    /// Reads a tool's texts; the first field is its name.
    pub fn read<'a>(fields: impl IntoIterator<Item = Field<'a>>, kinds: &Kinds) -> Self {
        let mut card = Self::default();
        for (place, field) in fields.into_iter().enumerate() {
            let features = Features::of(field.text);
            for word in &features.words {
                *card.words.entry(*word).or_default() += field.weight;
                for kind in kinds.of(*word) {
                    *card.words.entry(*kind).or_default() += field.weight * KIND_TOLD;
                }
            }
            if place == 0 {
                for part in parts(field.text) {
                    card.words.entry(part).or_insert(PART);
                }
            }
            let list = if place == 0 {
                &mut card.name
            } else {
                &mut card.about
            };
            list.extend(features.words);
        }
        for list in [&mut card.name, &mut card.about] {
            list.sort_unstable();
            list.dedup();
        }
        card
    }
}

impl Card {
    /// Whether a stem stands in it.
    pub fn has(&self, stem: u32) -> bool {
        self.words.contains_key(&stem)
    }
}

/// The features that a centre is made of: words and pairs, in order.
pub fn remembered(features: &Features) -> Vec<u32> {
    let mut all: Vec<u32> = features
        .words
        .iter()
        .chain(&features.pairs)
        .copied()
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What one feature says of one tool.
#[derive(Debug, Clone, Copy, Default)]
struct Says {
    tool: u32,
    /// In words: weighted count, then BM25's share of it.
    words: f32,
    /// In the centre: mean, then the coordinate.
    centre: f32,
}

#[derive(Debug, Clone, Default)]
struct Posting {
    rarity: f32,
    rarity_in_centre: f32,
    says: Vec<Says>,
}

/// An index over tools.
#[derive(Debug, Clone, Default)]
pub struct Index {
    size: usize,
    key: u64,
    postings: HashMap<u32, Posting>,
    /// Of each tool: words of its name and of the rest.
    names: Vec<(Vec<u32>, Vec<u32>)>,
    unseen: (f32, f32),
    /// What the centre's score counts.
    centre: f32,
}

/// How a tool fits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Fit {
    /// The tool's place.
    pub tool: usize,
    /// What ranks it: relative to the best one's.
    pub score: f32,
    /// BM25.
    pub words: f32,
    /// Cosine with its centre.
    pub centre: f32,
}

/// The fits of a request, the best one first, and what the request weighs.
#[derive(Debug, Clone, Default)]
pub struct Fits {
    /// Tools that share anything with it.
    pub fits: Vec<Fit>,
    /// The most that BM25 could come to with one mention of each word.
    pub mass: f32,
}

/// Features under an account's key.
pub fn keyed(feature: u32, key: u64) -> u32 {
    if key == 0 {
        return feature;
    }
    let mut mixed = u64::from(feature) ^ key;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [a, b, c, d, ..] = (mixed ^ (mixed >> 31)).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl Index {
    /// An index over these cards. `memory` has the keyed features of remembered intents with the place of their tool.
    pub fn new<'a>(
        cards: &[&Card],
        memory: impl IntoIterator<Item = (usize, &'a [u32])>,
        key: u64,
    ) -> Self {
        let mut draft = Draft::default();
        let mut lengths = vec![0.0; cards.len()];
        let mut intents = vec![TEXT_IN_CENTRE; cards.len()];
        for (tool, card) in cards.iter().enumerate() {
            let norm = card
                .words
                .values()
                .map(|count| count.min(1.0).powi(2))
                .sum::<f32>()
                .sqrt()
                .max(1e-6);
            for (word, count) in &card.words {
                let centre = TEXT_IN_CENTRE * count.min(1.0) / norm;
                draft.add(keyed(*word, key), tool, *count, centre);
            }
            if let Some(length) = lengths.get_mut(tool) {
                *length += card.words.values().sum::<f32>();
            }
        }
        let mut all = 0.0;
        for (tool, features) in memory {
            let (Some(length), Some(count)) = (lengths.get_mut(tool), intents.get_mut(tool)) else {
                continue;
            };
            *count += 1.0;
            all += 1.0;
            // Which of them are pairs cannot be told any more: a pair is about as frequent as a word.
            let each = 1.0 / to_f32(features.len()).sqrt().max(1.0);
            *length += to_f32(features.len()) / 2.0;
            for feature in features {
                draft.add(*feature, tool, 1.0, each);
                *draft.told.entry(*feature).or_default() += 1.0;
            }
        }
        draft.finish(cards, &lengths, &intents, all, key)
    }

    /// What its centres count beside words: from 0 where nothing is remembered towards [`CENTRE`].
    pub fn centre(&self) -> f32 {
        self.centre
    }

    /// How many tools it has.
    pub fn len(&self) -> usize {
        self.size
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The fits of a request among the tools that are admitted.
    pub fn fits(&self, asked: &Features, kinds: &Kinds, admits: &dyn Fn(usize) -> bool) -> Fits {
        let mut words = vec![0.0_f32; self.size];
        let mut centre = vec![0.0_f32; self.size];
        let query = Query::of(asked, kinds);
        let (mut mass, mut norm) = (0.0, 0.0_f32);
        let mut gains = Gains::of(self.size);
        for word in &query.words {
            let posting = self.posting(word.stem);
            mass += word.weight * posting.map_or(self.unseen.0, |posting| posting.rarity);
            gains.take(posting, word.weight);
            for kind in word.kinds {
                gains.take(self.posting(*kind), word.weight * KIND_ASKED);
            }
            gains.pay(&mut words);
        }
        for feature in &query.centre {
            let posting = self.posting(*feature);
            let coordinate = posting.map_or(self.unseen.1, |posting| posting.rarity_in_centre);
            norm += coordinate * coordinate;
            for says in posting.iter().flat_map(|posting| &posting.says) {
                add(&mut centre, says.tool, coordinate * says.centre);
            }
        }
        let norm = norm.sqrt().max(1e-6);
        for tool in (0..self.size).filter(|tool| !admits(*tool)) {
            for list in [&mut words, &mut centre] {
                if let Some(score) = list.get_mut(tool) {
                    *score = 0.0;
                }
            }
        }
        let best = |list: &[f32]| list.iter().copied().fold(1e-6_f32, f32::max);
        let (most_words, most_centre) = (best(&words), best(&centre));
        let fits = words
            .iter()
            .zip(&centre)
            .enumerate()
            .map(|(tool, (words, centre))| Fit {
                tool,
                score: (words / most_words + self.centre * centre / most_centre)
                    / (1.0 + self.centre),
                words: *words,
                centre: centre / norm,
            });
        let mut fits: Vec<Fit> = fits.filter(|fit| fit.score > 0.0).collect();
        fits.sort_by(|a, b| b.score.total_cmp(&a.score));
        Fits { fits, mass }
    }

    fn posting(&self, feature: u32) -> Option<&Posting> {
        self.postings.get(&keyed(feature, self.key))
    }

    /// How much of a tool's name, and of the rest of what it says, is in a request: weighted by rarity, from 0 to 1.
    pub fn covered(&self, tool: usize, asked: &Features, kinds: &Kinds) -> (f32, f32) {
        let query = Query::of(asked, kinds).words;
        let of_word: HashMap<u32, f32> =
            query.iter().map(|word| (word.stem, word.weight)).collect();
        let of_kinds: HashSet<u32> = query.iter().flat_map(|word| word.kinds).copied().collect();
        let Some((name, about)) = self.names.get(tool) else {
            return (0.0, 0.0);
        };
        let share = |words: &[u32]| {
            let (mut all, mut found) = (0.0, 0.0);
            for word in words {
                let rarity = self.posting(*word).map_or(0.0, |posting| posting.rarity);
                let akin = kinds.of(*word).iter().any(|kind| of_kinds.contains(kind));
                let counts =
                    of_word
                        .get(word)
                        .copied()
                        .unwrap_or(0.0)
                        .max(if akin { 0.5 } else { 0.0 });
                all += rarity;
                found += rarity * counts;
            }
            if all > 0.0 { found / all } else { 0.0 }
        };
        (share(name), share(about))
    }
}

fn add(scores: &mut [f32], tool: u32, amount: f32) {
    if let Some(score) = usize::try_from(tool)
        .ok()
        .and_then(|tool| scores.get_mut(tool))
    {
        *score += amount;
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^24")]
fn to_f32(count: usize) -> f32 {
    count as f32
}

/// What one word of a request is worth to each tool: the most of what it and its kinds say.
struct Gains {
    best: Vec<f32>,
    touched: Vec<u32>,
}

impl Gains {
    fn of(tools: usize) -> Self {
        Self {
            best: vec![0.0; tools],
            touched: Vec::new(),
        }
    }

    fn take(&mut self, posting: Option<&Posting>, weight: f32) {
        for says in posting.iter().flat_map(|posting| &posting.says) {
            let place = usize::try_from(says.tool).ok();
            if let Some(best) = place.and_then(|place| self.best.get_mut(place)) {
                if *best <= 0.0 {
                    self.touched.push(says.tool);
                }
                *best = best.max(weight * says.words);
            }
        }
    }

    /// Adds them to the scores and begins anew.
    fn pay(&mut self, scores: &mut [f32]) {
        for tool in self.touched.drain(..) {
            let place = usize::try_from(tool).ok();
            if let Some(best) = place.and_then(|place| self.best.get_mut(place)) {
                add(scores, tool, std::mem::take(best));
            }
        }
    }
}

/// A word of a request.
struct Word<'a> {
    stem: u32,
    weight: f32,
    /// What it may mean; nothing where it only asks.
    kinds: &'a [u32],
}

/// A request as weights of features.
struct Query<'a> {
    words: Vec<Word<'a>>,
    /// Words and pairs.
    centre: Vec<u32>,
}

impl<'a> Query<'a> {
    fn of(asked: &Features, kinds: &'a Kinds) -> Self {
        let mut words: HashMap<u32, bool> = HashMap::new();
        for (word, is_asking) in asked.words.iter().zip(&asked.asking) {
            *words.entry(*word).or_insert(true) &= is_asking;
        }
        let word = |(stem, is_asking)| Word {
            stem,
            weight: if is_asking { ASKING } else { 1.0 },
            kinds: if is_asking { &[] } else { kinds.of(stem) },
        };
        // In one order everywhere: sums of floats depend on it.
        let mut words: Vec<Word<'_>> = words.into_iter().map(word).collect();
        words.sort_unstable_by_key(|word| word.stem);
        Self {
            words,
            centre: remembered(asked),
        }
    }
}

/// An index that is being made.
#[derive(Default)]
struct Draft {
    postings: HashMap<u32, Vec<Says>>,
    /// In how many remembered intents a feature is.
    told: HashMap<u32, f32>,
}

impl Draft {
    fn add(&mut self, feature: u32, tool: usize, words: f32, centre: f32) {
        let Ok(tool) = u32::try_from(tool) else {
            return;
        };
        let says = self.postings.entry(feature).or_default();
        // The texts come in the order of the tools; memory may come in any.
        let place = match says.last() {
            Some(last) if last.tool == tool => says.len() - 1,
            _ => says
                .iter()
                .position(|one| one.tool == tool)
                .unwrap_or(says.len()),
        };
        if place == says.len() {
            says.push(Says {
                tool,
                ..Says::default()
            });
        }
        if let Some(one) = says.get_mut(place) {
            one.words += words;
            one.centre += centre;
        }
    }

    fn finish(
        self,
        cards: &[&Card],
        lengths: &[f32],
        intents: &[f32],
        all: f32,
        key: u64,
    ) -> Index {
        let size = to_f32(cards.len());
        let mean = (lengths.iter().sum::<f32>() / size.max(1.0)).max(1e-6);
        let texts = size + all;
        let mut norms = vec![0.0_f32; cards.len()];
        let rarity = |of: f32, among: f32| (1.0 + (among - of + 0.5) / (of + 0.5)).ln();
        let mut features: Vec<(u32, Vec<Says>)> = self.postings.into_iter().collect();
        // In one order everywhere: sums of floats depend on it.
        features.sort_unstable_by_key(|(feature, _)| *feature);
        let mut postings: HashMap<u32, Posting> = HashMap::with_capacity(features.len());
        for (feature, mut says) in features {
            let told = self.told.get(&feature).copied().unwrap_or(0.0);
            let by_tools = to_f32(says.len());
            let posting_rarity = rarity(by_tools, size).powf(RARITY);
            let in_centre = rarity(
                (told + 1.0).max(if all > 0.0 { 0.0 } else { by_tools }),
                texts,
            )
            .powf(RARITY_IN_CENTRE);
            for one in &mut says {
                let place = usize::try_from(one.tool).unwrap_or(usize::MAX);
                let length = lengths.get(place).copied().unwrap_or(mean) / mean;
                let intents = intents.get(place).copied().unwrap_or(1.0);
                let count = one.words;
                one.words = posting_rarity * count * (SATURATION + 1.0)
                    / (count + SATURATION * (1.0 - LENGTH + LENGTH * length));
                one.centre = (one.centre / intents).powf(DAMPING) * in_centre;
                if let Some(norm) = norms.get_mut(place) {
                    *norm += one.centre * one.centre;
                }
            }
            postings.insert(
                feature,
                Posting {
                    rarity: posting_rarity,
                    rarity_in_centre: in_centre,
                    says,
                },
            );
        }
        for posting in postings.values_mut() {
            for one in &mut posting.says {
                let norm = usize::try_from(one.tool)
                    .ok()
                    .and_then(|place| norms.get(place));
                one.centre /= norm.copied().unwrap_or(1.0).sqrt().max(1e-6);
            }
        }
        Index {
            size: cards.len(),
            key,
            postings,
            names: cards
                .iter()
                .map(|card| (card.name.clone(), card.about.clone()))
                .collect(),
            centre: CENTRE * all / (all + CENTRE_HALF * size).max(1e-6),
            unseen: (
                rarity(0.0, size).powf(RARITY),
                rarity(0.0, texts).powf(RARITY_IN_CENTRE),
            ),
        }
    }
}
