//! From a request in words to a tool: which class of operations fits, how sure that is, and what else would have fitted. Pure.
//!
//! What is ranked are **deeds**: a capability stands for all operations that do the same, an operation without one for itself. Fit alone
//! decides between deeds; which provider does it is a matter of belief (`beliefs::choice`), so that a fast, reliable, wrong tool
//! never wins. Out of scope: the input (`fill`).

use std::{collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};

use super::{
    confidence::{LEAST_CONFIDENCE, LEAST_RELEVANCE, confidence, relevance, signals},
    index::{Card, Field, Fits, Index},
    meaning::{LEAST_LEAD, Meaning},
    memory::Intents,
    text::{Features, hash, says_nothing, stem, words},
    thesaurus::Kinds,
};
use crate::tools::{
    beliefs::choice::rounded,
    catalog::{Effect, Tool, ToolCatalog, ToolView},
};

/// Deeds that an answer tells of.
pub const TOLD: usize = 5;
/// Words that a deed and the request share, as an answer tells them.
const MATCHED: usize = 6;
/// What the words of a name count, against those of a description.
const NAME: f32 = 2.0;
/// What the words of an example intent count: many of them are about what is worked on.
const EXAMPLE: f32 = 0.4;
/// What the names of arguments count.
const ARGUMENTS: f32 = 0.5;

/// A class of operations that do the same.
#[derive(Debug, Clone)]
pub struct Deed {
    /// A capability, or `provider/operation`: what an execution takes as its tool.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// Whether it is a capability.
    pub is_capability: bool,
    /// The worst that one of its operations does to the world.
    pub effect: Effect,
    /// Its operations.
    pub members: Vec<Rc<Tool>>,
}

/// All deeds of a catalog, read.
pub struct Router {
    /// Which catalog it was made of.
    stamp: u64,
    kinds: Kinds,
    deeds: Vec<Deed>,
    cards: Vec<Card>,
    index: Rc<Index>,
}

/// A deed that fits.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The deed.
    pub deed: Deed,
    /// How well it fits beside the best one, which has at most 1.
    pub score: f64,
    /// What it shares with the request.
    pub matched: Vec<String>,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Routed {
    /// The best ones, the best one first.
    pub candidates: Vec<Candidate>,
    /// The probability that the best one is right, where anything is.
    pub confidence: f64,
    /// The probability that anything suits.
    pub relevance: f64,
    /// Providers that the request names.
    pub named: Vec<String>,
    /// How many intents of the account were known.
    pub remembered: usize,
    /// What a model of embeddings says, where one was asked.
    pub meaning: Option<Meaning>,
}

/// What a catalog is recognised by.
pub fn stamp(catalog: &ToolCatalog) -> u64 {
    let names = catalog.tools().iter().map(|tool| tool.id.as_str());
    let all: u64 = names
        .map(|name| u64::from(hash(&[name])))
        .fold(0, |sum, one| sum.rotate_left(5) ^ one);
    all ^ (u64::from(hash(&[catalog.version()])) << 32)
}

impl Router {
    /// Reads a catalog.
    pub fn of(catalog: &ToolCatalog) -> Self {
        let kinds = Kinds::read();
        let mut by_capability: BTreeMap<&str, Vec<Rc<Tool>>> = BTreeMap::new();
        let mut alone = Vec::new();
        for tool in catalog.tools() {
            let capability = tool.operation.capability.as_deref();
            match capability.filter(|name| catalog.capability(name).is_some()) {
                Some(name) => by_capability.entry(name).or_default().push(Rc::clone(tool)),
                None => alone.push(Rc::clone(tool)),
            }
        }
        let (mut deeds, mut cards) = (Vec::new(), Vec::new());
        for (name, members) in by_capability {
            let Some(capability) = catalog.capability(name) else {
                continue;
            };
            let mut fields = vec![
                field(name, NAME),
                field(&capability.title, NAME),
                field(&capability.description, 1.0),
            ];
            let intents = capability
                .intents
                .iter()
                .chain(members.iter().flat_map(|tool| &tool.operation.intents));
            fields.extend(intents.map(|intent| field(intent, EXAMPLE)));
            fields.extend(members.first().map(|tool| field(tool.category(), 1.0)));
            cards.push(Card::read(fields, &kinds));
            deeds.push(Deed {
                name: name.to_owned(),
                title: capability.title.clone(),
                is_capability: true,
                effect: members
                    .iter()
                    .map(|tool| tool.operation.effect)
                    .max()
                    .unwrap_or_default(),
                members,
            });
        }
        for tool in alone {
            cards.push(card(&tool, &kinds));
            deeds.push(Deed {
                name: tool.id.clone(),
                title: tool.operation.title.clone(),
                is_capability: false,
                effect: tool.operation.effect,
                members: vec![tool],
            });
        }
        let index = Rc::new(Index::new(&cards.iter().collect::<Vec<_>>(), [], 0));
        Self {
            stamp: stamp(catalog),
            kinds,
            deeds,
            cards,
            index,
        }
    }

    /// Which catalog it was made of.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The index with what an account remembers; without a memory it is the same for all.
    pub fn index(&self, intents: &Intents, key: u64) -> Rc<Index> {
        if intents.is_empty() {
            return Rc::clone(&self.index);
        }
        let place = |name: &str| self.deeds.iter().position(|deed| deed.name == name);
        let known = intents
            .iter()
            .filter_map(|(tool, features)| Some((place(tool)?, features.as_slice())));
        let known: Vec<(usize, &[u32])> = known.collect();
        Rc::new(Index::new(
            &self.cards.iter().collect::<Vec<_>>(),
            known,
            key,
        ))
    }

    /// Finds what a request wants among what a key may call; `among` narrows that further.
    pub fn route(
        &self,
        intent: &str,
        index: &Index,
        remembered: usize,
        view: &ToolView,
        among: &dyn Fn(&Tool) -> bool,
    ) -> Routed {
        let asked = Features::of(intent);
        let usable = |tool: &Rc<Tool>| among(tool) && view.get(&tool.id).is_ok();
        let admits = |place: usize| {
            self.deeds
                .get(place)
                .is_some_and(|deed| deed.members.iter().any(usable))
        };
        let fits = index.fits(&asked, &self.kinds, &admits);
        let seen = signals(&fits, index, &asked, &self.kinds);
        Routed {
            candidates: self.candidates(&fits, intent, &usable),
            confidence: seen.as_ref().map_or(0.0, confidence),
            relevance: seen.as_ref().map_or(0.0, relevance),
            named: self.named(intent, &fits),
            remembered,
            meaning: None,
        }
    }

    fn candidates(
        &self,
        fits: &Fits,
        intent: &str,
        usable: &dyn Fn(&Rc<Tool>) -> bool,
    ) -> Vec<Candidate> {
        let best = fits.fits.iter().take(TOLD);
        let found = best.filter_map(|fit| {
            let (deed, card) = (self.deeds.get(fit.tool)?, self.cards.get(fit.tool)?);
            let members = deed
                .members
                .iter()
                .filter(|tool| usable(tool))
                .map(Rc::clone)
                .collect();
            Some(Candidate {
                deed: Deed {
                    members,
                    ..deed.clone()
                },
                score: f64::from(fit.score),
                matched: matched(intent, card),
            })
        });
        found.collect()
    }

    /// The providers of the best deed that the request calls by their names.
    fn named(&self, intent: &str, fits: &Fits) -> Vec<String> {
        let said: Vec<String> = words(intent);
        let best = fits.fits.first().and_then(|fit| self.deeds.get(fit.tool));
        let providers = best
            .into_iter()
            .flat_map(|deed| &deed.members)
            .map(|tool| &tool.provider);
        let named = providers.filter(|provider| {
            let is_said = |name: &str| {
                let name = words(name);
                !name.is_empty() && said.windows(name.len()).any(|some| some == name)
            };
            is_said(&provider.name) || is_said(&provider.slug)
        });
        let mut slugs: Vec<String> = named.map(|provider| provider.slug.clone()).collect();
        slugs.dedup();
        slugs
    }
}

fn field(text: &str, weight: f32) -> Field<'_> {
    Field { text, weight }
}

fn card(tool: &Tool, kinds: &Kinds) -> Card {
    let operation = &tool.operation;
    let name = format!("{} {}", tool.provider.name, operation.name);
    let description = tool.description();
    let schema = operation.input.value();
    let arguments: Vec<&str> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    let arguments = arguments.join(" ");
    let mut fields = vec![
        field(&name, NAME),
        field(&operation.title, NAME),
        field(&description, 1.0),
        field(tool.category(), 1.0),
    ];
    fields.push(field(&arguments, ARGUMENTS));
    let examples = operation.intents.iter();
    fields.extend(examples.map(|intent| field(intent, EXAMPLE)));
    Card::read(fields, kinds)
}

/// Words of the request that a card has.
fn matched(intent: &str, card: &Card) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in words(intent) {
        if found.len() < MATCHED
            && !found.contains(&word)
            && !says_nothing(&word)
            && card.has(hash(&[&stem(&word)]))
        {
            found.push(word);
        }
    }
    found
}

impl Routed {
    /// The deed to do, where it is sure enough.
    pub fn chosen(&self) -> Option<&Candidate> {
        let is_sure = self.confidence >= LEAST_CONFIDENCE || self.is_by_meaning();
        let is_sure = is_sure && self.relevance >= LEAST_RELEVANCE;
        self.candidates.first().filter(|_| is_sure)
    }

    /// Whether something suits, but words leave open what.
    pub fn is_open(&self) -> bool {
        let is_unsure = self.confidence < LEAST_CONFIDENCE;
        is_unsure && self.relevance >= LEAST_RELEVANCE && self.candidates.len() > 1
    }

    /// Takes over what a model of embeddings says of the candidates: the nearest is the best one, where it is clearly the nearest.
    pub fn settle(&mut self, mut meaning: Meaning) {
        if let Some(place) = meaning.nearest()
            && place < self.candidates.len()
        {
            let best = self.candidates.remove(place);
            let near = meaning.near.remove(place);
            let is_of_best = |slug: &String| {
                let mut members = best.deed.members.iter();
                members.any(|tool| tool.provider.slug == *slug)
            };
            self.named.retain(is_of_best);
            self.candidates.insert(0, best);
            meaning.near.insert(0, near);
        }
        self.meaning = Some(meaning);
    }

    fn is_by_meaning(&self) -> bool {
        let meaning = self.meaning.as_ref();
        meaning.is_some_and(|meaning| meaning.nearest().is_some())
    }

    /// Why this one, or why none.
    pub fn reason(&self) -> String {
        let Some(best) = self.candidates.first() else {
            return "Nothing that this key may call shares a word with the request".to_owned();
        };
        let shared = if best.matched.is_empty() {
            "what it was asked for before".to_owned()
        } else {
            best.matched.join(", ")
        };
        if self.relevance < LEAST_RELEVANCE {
            return format!(
                "Nothing seems to suit: the nearest is {} ({shared})",
                best.deed.name
            );
        }
        if self.is_by_meaning() {
            return format!("{} is the nearest in meaning", best.deed.name);
        }
        if self.confidence < LEAST_CONFIDENCE {
            let second = self
                .candidates
                .get(1)
                .map_or("another", |second| &second.deed.name);
            return format!(
                "It is unclear whether {} ({shared}) or {second} is meant",
                best.deed.name
            );
        }
        format!("{} fits best: {shared}", best.deed.name)
    }

    /// All of it, as clients are told it.
    pub fn explain(&self) -> Value {
        let meaning = self.meaning.as_ref().map(|meaning| {
            json!({
                "model": meaning.model,
                "near": meaning.near.iter().copied().map(rounded).collect::<Vec<_>>(),
                "lead": rounded(meaning.lead),
                "least_lead": LEAST_LEAD,
                "decides": meaning.nearest().is_some(),
                "generation": meaning.generation,
                "cost": meaning.cost,
                "problem": meaning.problem,
            })
        });
        let candidate = |one: &Candidate| {
            json!({
                "tool": one.deed.name,
                "title": one.deed.title,
                "kind": if one.deed.is_capability { "capability" } else { "operation" },
                "effect": one.deed.effect.as_str(),
                "score": rounded(one.score),
                "matched": one.matched,
                "providers": one.deed.members.iter().map(|tool| tool.provider.slug.as_str()).collect::<Vec<_>>(),
            })
        };
        let chosen = self.chosen();
        json!({
            "tool": chosen.map(|chosen| &chosen.deed.name),
            "abstained": chosen.is_none(),
            "reason": self.reason(),
            "confidence": rounded(self.confidence),
            "relevance": rounded(self.relevance),
            "thresholds": {"confidence": LEAST_CONFIDENCE, "relevance": LEAST_RELEVANCE},
            "remembered_intents": self.remembered,
            "named_providers": self.named,
            "meaning": meaning,
            "candidates": self.candidates.iter().map(candidate).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
