//! The hints that this isolate remembers, and when one is worth a write for the others.
//!
//! KV takes one write per second and key and shows it to other locations a minute later, so a hint is written when it
//! changed, and again when half of its lifetime is over: another isolate then finds it at least half of its lifetime after
//! the last success.

use std::{cell::RefCell, collections::HashMap};

use serde::{Deserialize, Serialize};

use super::{LIFETIME_MS, conversation::Key};
use crate::catalog::Endpoint;

/// A hint that did not change is written again after this time, in milliseconds.
const REFRESH_MS: u64 = LIFETIME_MS / 2;
/// Pause between two writes of one key, in milliseconds: the platform's limit.
const WRITE_PAUSE_MS: u64 = 1_000;
/// The most models remembered of one conversation.
const MAX_MODELS: usize = 4;

/// Where a conversation was served last, for one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// The model's slug.
    pub model: String,
    /// The endpoint's tag.
    pub tag: String,
    /// When, unix milliseconds.
    #[serde(rename = "at")]
    pub at_ms: u64,
}

impl Hint {
    /// Whether the hint means this endpoint.
    pub fn means(&self, endpoint: &Endpoint) -> bool {
        self.tag == endpoint.tag && self.model == endpoint.model
    }

    /// A clock may run ahead of another isolate's: a hint of the future is as good as one of now.
    fn is_alive(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms) < LIFETIME_MS
    }
}

/// What is known of one conversation.
#[derive(Debug, Default)]
struct Known {
    hints: Vec<Hint>,
    /// What KV should hold, as far as this isolate wrote or read it.
    stored: Vec<Hint>,
    wrote_ms: Option<u64>,
}

/// This isolate's hints: two generations, of which the older one is dropped when the younger one is full.
#[derive(Debug, Default)]
pub struct Hints {
    generations: RefCell<[HashMap<Key, Known>; 2]>,
}

impl Hints {
    /// The most conversations remembered.
    pub const CAPACITY: usize = 8_192;

    /// The hints of a conversation that are alive; nothing where this isolate knows none.
    pub fn get(&self, key: &Key, now_ms: u64) -> Option<Vec<Hint>> {
        let [young, old] = &mut *self.generations.borrow_mut();
        if !young.contains_key(key) && !old.contains_key(key) {
            return None;
        }
        let known = keep(young, old, key);
        known.hints.retain(|hint| hint.is_alive(now_ms));
        (!known.hints.is_empty()).then(|| known.hints.clone())
    }

    /// Takes over what KV holds and returns the hints that are alive. Text of another form is no hint.
    pub fn learn(&self, key: &Key, text: &str, now_ms: u64) -> Vec<Hint> {
        let stored: Vec<Hint> = crate::json::from_str(text).unwrap_or_default();
        let [young, old] = &mut *self.generations.borrow_mut();
        let known = keep(young, old, key);
        for hint in &stored {
            // This isolate may have served the conversation while KV was asked.
            let own = known.hints.iter().find(|own| own.model == hint.model);
            if own.is_none_or(|own| own.at_ms < hint.at_ms) {
                known.put(hint.clone());
            }
        }
        known.stored = stored;
        known.hints.retain(|hint| hint.is_alive(now_ms));
        known.hints.clone()
    }

    /// Remembers a success. The text to write to KV, if a write is due.
    pub fn note(&self, key: &Key, hint: Hint, now_ms: u64) -> Option<String> {
        let [young, old] = &mut *self.generations.borrow_mut();
        let known = keep(young, old, key);
        let stored = known
            .stored
            .iter()
            .find(|stored| stored.model == hint.model);
        let is_stored = stored.is_some_and(|stored| {
            stored.tag == hint.tag && hint.at_ms.saturating_sub(stored.at_ms) < REFRESH_MS
        });
        known.put(hint);
        known.hints.retain(|hint| hint.is_alive(now_ms));
        let wrote = known.wrote_ms;
        let is_too_soon = wrote.is_some_and(|at| now_ms.saturating_sub(at) < WRITE_PAUSE_MS);
        if is_stored || is_too_soon {
            return None;
        }
        known.wrote_ms = Some(now_ms);
        known.stored.clone_from(&known.hints);
        serde_json::to_string(&known.hints).ok()
    }

    /// How many conversations are remembered.
    pub fn len(&self) -> usize {
        self.generations.borrow().iter().map(HashMap::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A write failed: the next success tries again.
    pub fn lost(&self, key: &Key) {
        for generation in &mut *self.generations.borrow_mut() {
            if let Some(known) = generation.get_mut(key) {
                known.stored.clear();
            }
        }
    }
}

impl Known {
    /// The newest hint goes first.
    fn put(&mut self, hint: Hint) {
        self.hints.retain(|own| own.model != hint.model);
        self.hints.insert(0, hint);
        self.hints.truncate(MAX_MODELS);
    }
}

/// The entry of a key, moved into the young generation or made there.
fn keep<'a>(
    young: &'a mut HashMap<Key, Known>,
    old: &mut HashMap<Key, Known>,
    key: &Key,
) -> &'a mut Known {
    if !young.contains_key(key) && young.len() >= Hints::CAPACITY / 2 {
        *old = std::mem::take(young);
    }
    young
        .entry(*key)
        .or_insert_with(|| old.remove(key).unwrap_or_default())
}
