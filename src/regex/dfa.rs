//! The deterministic twin of a program, built while it is used: does anything match, and where was the last place before the end
//! of the first match at which nothing had begun yet?
//!
//! A state is the set of the program's states behind the last character, and what that character was where the pattern asks
//! for it. What was built is thrown away when it grows beyond its bounds, so memory is bounded as well.

use std::collections::HashMap;

use super::{
    Budget, Exhausted,
    program::{Beside, Program, State},
};

/// The most transitions that are kept.
const MAX_TRANSITIONS: usize = 128 * 1024;
/// The most members of sets that are kept.
const MAX_MEMBERS: usize = 256 * 1024;
/// A transition that is not known yet.
const UNKNOWN: u32 = u32::MAX;
/// The transition that ends in a match.
const MATCHED: u32 = u32::MAX - 1;
/// Of how many characters that were looked up each is worth a step.
const PER_STEP: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    before: Beside,
    members: Box<[u32]>,
}

/// The automaton as far as it is known.
#[derive(Debug)]
pub struct Dfa {
    known: HashMap<Key, u32>,
    states: Vec<Key>,
    /// By state and class; the last class is the end of the text.
    next: Vec<u32>,
    width: usize,
    members: usize,
    /// What a closure has seen: by state, in which round.
    seen: Vec<u32>,
    round: u32,
    stack: Vec<u32>,
}

impl Dfa {
    /// Knows nothing yet.
    pub fn of(program: &Program) -> Self {
        Self {
            known: HashMap::new(),
            states: Vec::new(),
            next: Vec::new(),
            width: program.classes.len() + 1,
            members: 0,
            seen: Vec::new(),
            round: 0,
            stack: Vec::new(),
        }
    }

    /// Where to begin for the first match at `from` or later, if there is one: nothing that matches begins before.
    pub fn search(
        &mut self,
        program: &Program,
        text: &str,
        from: usize,
        budget: &mut Budget,
    ) -> Result<Option<usize>, Exhausted> {
        let rest = text.get(from..).unwrap_or_default();
        let before = text.get(..from).and_then(|text| text.chars().next_back());
        let mut state = self.idle(program, Beside::of(before));
        let (mut idle, mut at) = (from, from);
        for (read, c) in rest.chars().enumerate() {
            if read % PER_STEP == 0 {
                budget.take(1)?;
            }
            if self.is_idle(state) {
                idle = at;
            }
            let class = program.classes.get(c);
            let mut next = self.get(state, class);
            if next == UNKNOWN {
                next = self.step(program, state, Some((c, class)), budget)?;
            }
            if next == MATCHED {
                return Ok(Some(idle));
            }
            state = next;
            at += c.len_utf8();
        }
        if self.is_idle(state) {
            idle = at;
        }
        let next = self.step(program, state, None, budget)?;
        Ok((next == MATCHED).then_some(idle))
    }

    fn is_idle(&self, state: u32) -> bool {
        let key = self.states.get(state as usize);
        key.is_some_and(|key| key.members.is_empty())
    }

    fn get(&self, state: u32, class: u16) -> u32 {
        let at = state as usize * self.width + usize::from(class);
        self.next.get(at).copied().unwrap_or(UNKNOWN)
    }

    /// The state in which nothing has begun.
    fn idle(&mut self, program: &Program, before: Beside) -> u32 {
        self.intern(Key {
            before: seen_by(program, before),
            members: Box::default(),
        })
    }

    fn intern(&mut self, key: Key) -> u32 {
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let index = u32::try_from(self.states.len()).unwrap_or(0);
        self.members += key.members.len();
        self.next
            .resize((self.states.len() + 1) * self.width, UNKNOWN);
        self.states.push(key.clone());
        self.known.insert(key, index);
        index
    }

    /// The transition of a state. What is full is emptied first, so that the state may have another name afterwards.
    fn step(
        &mut self,
        program: &Program,
        state: u32,
        read: Option<(char, u16)>,
        budget: &mut Budget,
    ) -> Result<u32, Exhausted> {
        let Some(key) = self.states.get(state as usize).cloned() else {
            return Ok(UNKNOWN);
        };
        let mut state = state;
        if self.next.len() + self.width > MAX_TRANSITIONS.max(self.width * 2)
            || self.members > MAX_MEMBERS
        {
            self.known.clear();
            self.states.clear();
            self.next.clear();
            self.members = 0;
            state = self.intern(key.clone());
        }
        let after = Beside::of(read.map(|(c, _)| c));
        let class = read.map(|(_, class)| class);
        let Some(members) = self.closure(program, &key, after, class, budget)? else {
            self.learn(state, class, MATCHED);
            return Ok(MATCHED);
        };
        let before = seen_by(program, after);
        let next = self.intern(Key { before, members });
        self.learn(state, class, next);
        Ok(next)
    }

    fn learn(&mut self, state: u32, class: Option<u16>, next: u32) {
        let class = class.map_or(self.width - 1, usize::from);
        let at = state as usize * self.width + class;
        if let Some(place) = self.next.get_mut(at) {
            *place = next;
        }
    }

    /// The states behind a character of this class; `None` where one of those before it is the end of a match.
    fn closure(
        &mut self,
        program: &Program,
        key: &Key,
        after: Beside,
        class: Option<u16>,
        budget: &mut Budget,
    ) -> Result<Option<Box<[u32]>>, Exhausted> {
        self.seen.resize(program.len(), 0);
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.seen.fill(0);
            self.round = 1;
        }
        self.stack.clear();
        self.stack.extend(&key.members);
        // A match may begin anywhere.
        self.stack.push(program.start);
        let mut members = Vec::new();
        while let Some(at) = self.stack.pop() {
            budget.take(1)?;
            match self.seen.get_mut(at as usize) {
                Some(seen) if *seen != self.round => *seen = self.round,
                _ => continue,
            }
            match program.state(at) {
                State::Match => return Ok(None),
                State::One(set, next) => {
                    if class.is_some_and(|class| program.reads(set, class)) {
                        members.push(next);
                    }
                }
                State::At(place, next) => {
                    if place.is_between(key.before, after) {
                        self.stack.push(next);
                    }
                }
                State::Split(one, other) => self.stack.extend([one, other]),
            }
        }
        members.sort_unstable();
        members.dedup();
        Ok(Some(members.into()))
    }
}

/// What a pattern sees of a character: nothing that it does not ask for.
fn seen_by(program: &Program, beside: Beside) -> Beside {
    match beside {
        Beside::Word if !program.asks_words => Beside::Other,
        Beside::Edge | Beside::Newline if !program.asks_lines => Beside::Other,
        beside => beside,
    }
}
