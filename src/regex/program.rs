//! A pattern as a nondeterministic automaton: states that read a character, look at a place, or lead to two others.

use super::{
    MAX_STATES, PatternError,
    class::{Classes, NEWLINE, Set, WORD},
    parse::{Node, Place},
};

/// A state. States that follow are named by their index.
#[derive(Debug, Clone, Copy)]
pub enum State {
    /// Reads a character of this set.
    One(u32, u32),
    /// Goes on at such a place.
    At(Place, u32),
    /// Goes on at both, at the first rather than at the second.
    Split(u32, u32),
    /// The end of a match.
    Match,
}

/// A compiled pattern.
#[derive(Debug)]
pub struct Program {
    states: Vec<State>,
    /// The sets that states read, as ranges of classes.
    sets: Vec<Vec<(u16, u16)>>,
    pub(super) classes: Classes,
    pub(super) start: u32,
    /// Some state asks for [`Place::Boundary`].
    pub(super) asks_words: bool,
    /// Some state asks for the beginning or end of a line or of the text.
    pub(super) asks_lines: bool,
}

/// What stands around a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Beside {
    /// Nothing: the text begins or ends.
    Edge,
    /// The end of a line.
    Newline,
    /// A character of a word.
    Word,
    /// Anything else.
    Other,
}

impl Beside {
    /// What this character is.
    pub fn of(c: Option<char>) -> Self {
        match c {
            None => Self::Edge,
            Some('\n' | '\r' | '\u{2028}' | '\u{2029}') => Self::Newline,
            Some(c) if c == '_' || c.is_ascii_alphanumeric() => Self::Word,
            Some(_) => Self::Other,
        }
    }
}

impl Place {
    /// Whether it is here.
    pub fn is_between(self, before: Beside, after: Beside) -> bool {
        let is_edge =
            |beside, of_line| beside == Beside::Edge || (of_line && beside == Beside::Newline);
        match self {
            Self::Start => is_edge(before, false),
            Self::End => is_edge(after, false),
            Self::LineStart => is_edge(before, true),
            Self::LineEnd => is_edge(after, true),
            Self::Boundary => (before == Beside::Word) != (after == Beside::Word),
            Self::NoBoundary => (before == Beside::Word) == (after == Beside::Word),
        }
    }
}

impl Program {
    /// Compiles a pattern.
    pub fn of(node: &Node) -> Result<Self, PatternError> {
        let mut builder = Builder::default();
        let end = builder.push(State::Match)?;
        let start = builder.node(node, end)?;
        let (mut asks_words, mut asks_lines) = (false, false);
        for state in &builder.states {
            match state {
                State::At(Place::Boundary | Place::NoBoundary, _) => asks_words = true,
                State::At(..) => asks_lines = true,
                _ => {}
            }
        }
        let around = [Set::of(&WORD), Set::of(&NEWLINE)];
        let around = around
            .iter()
            .zip([asks_words, asks_lines])
            .filter_map(|(set, asked)| asked.then_some(set));
        let classes =
            Classes::of(builder.sets.iter().chain(around)).ok_or(PatternError::TooLarge)?;
        Ok(Self {
            sets: builder.sets.iter().map(|set| classes.ranges(set)).collect(),
            states: builder.states,
            classes,
            start,
            asks_words,
            asks_lines,
        })
    }

    /// How many states it has.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// A state.
    pub fn state(&self, at: u32) -> State {
        let state = self.states.get(at as usize);
        state.copied().unwrap_or(State::Match)
    }

    /// Whether a set has a class.
    pub fn reads(&self, set: u32, class: u16) -> bool {
        let ranges = self.sets.get(set as usize).map_or(&[][..], Vec::as_slice);
        let at = ranges.partition_point(|(_, end)| *end < class);
        ranges.get(at).is_some_and(|(start, _)| *start <= class)
    }
}

#[derive(Default)]
struct Builder {
    states: Vec<State>,
    sets: Vec<Set>,
    known: std::collections::HashMap<Vec<(u32, u32)>, u32>,
}

impl Builder {
    fn push(&mut self, state: State) -> Result<u32, PatternError> {
        if self.states.len() >= MAX_STATES {
            return Err(PatternError::TooLarge);
        }
        self.states.push(state);
        u32::try_from(self.states.len() - 1).map_err(|_| PatternError::TooLarge)
    }

    fn set(&mut self, set: &Set) -> u32 {
        let fresh = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        let known = self.known.entry(set.ranges().to_vec()).or_insert(fresh);
        if *known == fresh {
            self.sets.push(set.clone());
        }
        *known
    }

    /// The states of a node that lead on to `next`: their first.
    fn node(&mut self, node: &Node, next: u32) -> Result<u32, PatternError> {
        match node {
            Node::One(set) => {
                let set = self.set(set);
                self.push(State::One(set, next))
            }
            Node::At(place) => self.push(State::At(*place, next)),
            Node::Sequence(nodes) => {
                let mut first = next;
                for node in nodes.iter().rev() {
                    first = self.node(node, first)?;
                }
                Ok(first)
            }
            Node::Either(nodes) => {
                let mut rest = None;
                for node in nodes.iter().rev() {
                    let branch = self.node(node, next)?;
                    rest = Some(match rest {
                        None => branch,
                        Some(rest) => self.push(State::Split(branch, rest))?,
                    });
                }
                Ok(rest.unwrap_or(next))
            }
            Node::Repeat {
                what,
                least,
                most,
                is_greedy,
            } => self.repeat(what, (*least, *most), *is_greedy, next),
        }
    }

    fn repeat(
        &mut self,
        what: &Node,
        (least, most): (u32, Option<u32>),
        is_greedy: bool,
        next: u32,
    ) -> Result<u32, PatternError> {
        let fork = |inside, past| match is_greedy {
            true => State::Split(inside, past),
            false => State::Split(past, inside),
        };
        let mut first = next;
        let mut left = least;
        match most {
            Some(most) => {
                for _ in least..most {
                    let inside = self.node(what, first)?;
                    first = self.push(fork(inside, next))?;
                }
            }
            None => {
                let again = self.push(State::Split(next, next))?;
                let inside = self.node(what, again)?;
                if let Some(state) = self.states.get_mut(again as usize) {
                    *state = fork(inside, next);
                }
                // The last of those that must be is the one that may be again.
                first = if least > 0 { inside } else { again };
                left = least.saturating_sub(1);
            }
        }
        for _ in 0..left {
            let before = self.states.len();
            first = self.node(what, first)?;
            // Nothing, however often.
            if self.states.len() == before {
                break;
            }
        }
        Ok(first)
    }
}
