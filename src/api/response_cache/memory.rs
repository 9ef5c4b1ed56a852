//! The answers that this isolate remembers, and the requests under way that will be answers.
//!
//! Memory covers what KV cannot do: it shows a new entry at once, where KV may deny one for a minute. It forgets after a
//! minute, so that what another isolate replaced or dropped is not given for long.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use super::{WAIT_MS, key::Key, replay::Entry};
use crate::api::Memory;

/// How long an entry is given without asking KV again, in milliseconds.
const KEEP_MS: u64 = 60_000;
/// The most bytes of answers remembered.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most answers remembered.
const MAX_ENTRIES: usize = 256;
/// The most requests under way that others wait for.
const MAX_UNDER_WAY: usize = 1_024;

/// What a look into memory finds.
pub(super) enum Found {
    /// The answer.
    Entry(Rc<Entry>),
    /// An equal request that began not long ago.
    UnderWay,
    /// Neither.
    Nothing,
}

/// This isolate's answers.
#[derive(Debug, Default)]
pub struct Answers {
    /// The oldest first.
    kept: RefCell<VecDeque<(Key, u64, Rc<Entry>)>>,
    /// Since when, and the number of the lease.
    under_way: RefCell<HashMap<Key, (u64, u64)>>,
    leases: std::cell::Cell<u64>,
}

impl Answers {
    /// Looks for an answer, or for somebody who is about to have one.
    pub(super) fn find(&self, key: &Key, now_ms: u64) -> Found {
        let kept = self.kept.borrow();
        let entry = kept.iter().rev().find(|(own, _, _)| own == key);
        if let Some((_, since, entry)) = entry
            && now_ms.saturating_sub(*since) < KEEP_MS
            && entry.is_alive(now_ms)
        {
            return Found::Entry(Rc::clone(entry));
        }
        match self.under_way.borrow().get(key) {
            Some((since, _)) if now_ms.saturating_sub(*since) < WAIT_MS => Found::UnderWay,
            _ => Found::Nothing,
        }
    }

    /// Remembers an answer; the oldest ones make room.
    pub(super) fn keep(&self, key: Key, entry: Rc<Entry>, now_ms: u64) {
        let mut kept = self.kept.borrow_mut();
        kept.retain(|(own, _, _)| *own != key);
        kept.push_back((key, now_ms, entry));
        let mut bytes: usize = kept.iter().map(|(_, _, entry)| entry.size()).sum();
        while bytes > MAX_BYTES || kept.len() > MAX_ENTRIES {
            let Some((_, _, oldest)) = kept.pop_front() else {
                break;
            };
            bytes -= oldest.size();
        }
    }

    /// Forgets an answer.
    pub(super) fn forget(&self, key: &Key) {
        self.kept.borrow_mut().retain(|(own, _, _)| own != key);
    }

    /// How many answers are remembered.
    pub fn len(&self) -> usize {
        self.kept.borrow().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The word of a request that it is about to have the answer. Dropping it takes the word back.
pub(super) struct Lease {
    memory: Rc<Memory>,
    key: Key,
    number: u64,
}

impl Lease {
    /// Gives the word.
    pub(super) fn new(memory: &Rc<Memory>, key: Key, now_ms: u64) -> Self {
        let answers = &memory.answers;
        let number = answers.leases.get() + 1;
        answers.leases.set(number);
        let mut under_way = answers.under_way.borrow_mut();
        if under_way.len() >= MAX_UNDER_WAY {
            // The runtime may give a request up without dropping it.
            under_way.retain(|_, (since, _)| now_ms.saturating_sub(*since) < WAIT_MS);
        }
        if under_way.len() < MAX_UNDER_WAY {
            under_way.insert(key, (now_ms, number));
        }
        Self {
            memory: Rc::clone(memory),
            key,
            number,
        }
    }

    /// Whose answer it is.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The answer is there, or there will be none.
    pub(super) fn fulfil(&self) {
        let mut under_way = self.memory.answers.under_way.borrow_mut();
        if under_way
            .get(&self.key)
            .is_some_and(|(_, number)| *number == self.number)
        {
            under_way.remove(&self.key);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.fulfil();
    }
}
