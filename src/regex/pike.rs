//! Where a match begins and ends: all ways at once, in the order of their priority.
//!
//! A way is a state and where it began. Of two ways in one state the one of lower priority is dropped, so a character is as much
//! work as there are states.

use std::ops::Range;

use super::{
    Budget, Exhausted,
    program::{Beside, Program, State},
};

/// The leftmost match at `from` or later: of those that begin there, the one that a backtracking search would find first.
pub fn find(
    program: &Program,
    text: &str,
    from: usize,
    budget: &mut Budget,
) -> Result<Option<Range<usize>>, Exhausted> {
    let mut ways = Ways::of(program);
    let mut found: Option<Range<usize>> = None;
    let before = text.get(..from).and_then(|text| text.chars().next_back());
    let mut before = Beside::of(before);
    let mut at = from;
    let rest = text.get(from..).unwrap_or_default();
    let mut chars = rest.chars();
    loop {
        let c = chars.next();
        let after = Beside::of(c);
        let class = c.map(|c| program.classes.get(c));
        ways.open(program, (before, after), budget, at, found.is_none())?;
        let mut next = Vec::with_capacity(ways.ready.len());
        for (state, start) in ways.ready.drain(..) {
            match program.state(state) {
                State::Match => {
                    found = Some(start..at);
                    // All that follows is of lower priority.
                    break;
                }
                State::One(set, to) => {
                    if class.is_some_and(|class| program.reads(set, class)) {
                        next.push((to, start));
                    }
                }
                State::At(..) | State::Split(..) => {}
            }
        }
        ways.pending = next;
        let Some(c) = c else {
            return Ok(found);
        };
        if ways.pending.is_empty() && found.is_some() {
            return Ok(found);
        }
        before = after;
        at += c.len_utf8();
    }
}

struct Ways {
    /// Behind the last character, best first.
    pending: Vec<(u32, usize)>,
    /// States that read or end, best first.
    ready: Vec<(u32, usize)>,
    seen: Vec<u32>,
    round: u32,
    stack: Vec<u32>,
}

impl Ways {
    fn of(program: &Program) -> Self {
        Self {
            pending: Vec::new(),
            ready: Vec::new(),
            seen: vec![0; program.len()],
            round: 0,
            stack: Vec::new(),
        }
    }

    /// Follows the pending ways, and a new one where wanted, through all states that read nothing.
    fn open(
        &mut self,
        program: &Program,
        (before, after): (Beside, Beside),
        budget: &mut Budget,
        at: usize,
        begins: bool,
    ) -> Result<(), Exhausted> {
        self.round += 1;
        self.ready.clear();
        let fresh = begins.then_some((program.start, at));
        for (state, start) in std::mem::take(&mut self.pending).into_iter().chain(fresh) {
            self.stack.clear();
            self.stack.push(state);
            while let Some(state) = self.stack.pop() {
                budget.take(1)?;
                match self.seen.get_mut(state as usize) {
                    Some(seen) if *seen != self.round => *seen = self.round,
                    _ => continue,
                }
                match program.state(state) {
                    State::Split(one, other) => self.stack.extend([other, one]),
                    State::At(place, next) if place.is_between(before, after) => {
                        self.stack.push(next);
                    }
                    State::At(..) => {}
                    State::One(..) | State::Match => self.ready.push((state, start)),
                }
            }
        }
        Ok(())
    }
}
