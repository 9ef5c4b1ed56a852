//! Regular expressions without backtracking: every search takes time linear in the text for a given pattern.
//!
//! Syntax is JavaScript's, less what no linear engine has (lookaround, back references) and Unicode properties. A pattern becomes a
//! nondeterministic automaton (`program`). Whether a text matches is asked of its deterministic twin, which is built while it is
//! used (`dfa`); only around a match the automaton itself says where it begins and ends (`pike`), with the priorities that
//! JavaScript has. Both count their steps against a [`Budget`], so that no search takes longer than its caller allows.
//! Out of scope: captures.

mod class;
mod dfa;
mod parse;
mod pike;
mod program;

use std::{cell::RefCell, ops::Range};

use dfa::Dfa;
use program::Program;

/// The longest pattern, in characters.
pub const MAX_PATTERN: usize = 100_000;
/// The most states of a compiled pattern.
pub const MAX_STATES: usize = 131_072;
/// The deepest nesting of groups.
pub const MAX_DEPTH: usize = 64;
/// The most repetitions that a count may ask for.
pub const MAX_COUNT: u32 = 1_000;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternError {
    /// It has more than [`MAX_PATTERN`] characters.
    TooLong,
    /// It compiles to more than [`MAX_STATES`] states.
    TooLarge,
    /// Groups are nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// `(?=`, `(?!`, `(?<=`, `(?<!`.
    Lookaround,
    /// `\1`, `\k<name>`.
    BackReference,
    /// A repetition of something whose own length varies by a repetition.
    NestedQuantifiers,
    /// Anything else, at this character.
    Syntax(usize, &'static str),
}

impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(f, "A pattern has at most {MAX_PATTERN} characters"),
            Self::TooLarge => write!(
                f,
                "The pattern is too large: counts and alternatives make more than {MAX_STATES} states of it"
            ),
            Self::TooDeep => write!(f, "Groups are nested at most {MAX_DEPTH} deep"),
            Self::Lookaround => f.write_str("A pattern has no lookahead and no lookbehind"),
            Self::BackReference => f.write_str("A pattern has no back references"),
            Self::NestedQuantifiers => {
                f.write_str("A pattern has no nested quantifiers, such as (a+)+")
            }
            Self::Syntax(at, what) => write!(f, "{what}, at character {at}"),
        }
    }
}

/// The steps that are left to searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(u64);

impl Budget {
    /// So many steps. One is the visit of one state; a character of a text that the deterministic automaton knows already is an
    /// eighth of it.
    pub fn new(steps: u64) -> Self {
        Self(steps)
    }

    /// What is left.
    pub fn left(self) -> u64 {
        self.0
    }

    fn take(&mut self, steps: usize) -> Result<(), Exhausted> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.0 = self.0.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }
}

/// A search took more steps than its caller allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// A compiled pattern.
#[derive(Debug)]
pub struct Regex {
    program: Program,
    dfa: RefCell<Dfa>,
}

impl Regex {
    /// Compiles a pattern of somebody else's.
    ///
    /// # Errors
    /// Where it is wrong, too large, or uses what is not known here.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Self::compile(pattern, false)
    }

    /// Compiles a pattern of the gateway's own, in which quantifiers may be nested.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn trusted(pattern: &str) -> Result<Self, PatternError> {
        Self::compile(pattern, true)
    }

    fn compile(pattern: &str, may_nest: bool) -> Result<Self, PatternError> {
        let node = parse::parse(pattern, may_nest)?;
        let program = Program::of(&node)?;
        let dfa = RefCell::new(Dfa::of(&program));
        Ok(Self { program, dfa })
    }

    /// How many states it has.
    pub fn states(&self) -> usize {
        self.program.len()
    }

    /// Whether it matches somewhere, be it nothing that it matches.
    ///
    /// # Errors
    /// Where the budget does not suffice.
    pub fn is_match(&self, text: &str, budget: &mut Budget) -> Result<bool, Exhausted> {
        let mut dfa = self.dfa.borrow_mut();
        let found = dfa.search(&self.program, text, 0, budget)?;
        Ok(found.is_some())
    }

    /// The leftmost match that begins at `from` or later, and is not empty. `from` is a boundary of characters.
    ///
    /// # Errors
    /// Where the budget does not suffice.
    pub fn find(
        &self,
        text: &str,
        from: usize,
        budget: &mut Budget,
    ) -> Result<Option<Range<usize>>, Exhausted> {
        let mut from = from;
        loop {
            let idle = self
                .dfa
                .borrow_mut()
                .search(&self.program, text, from, budget)?;
            let Some(idle) = idle else {
                return Ok(None);
            };
            match pike::find(&self.program, text, idle, budget)? {
                Some(found) if found.is_empty() => {
                    let next = text.get(found.end..).and_then(|rest| rest.chars().next());
                    match next {
                        Some(next) => from = found.end + next.len_utf8(),
                        None => return Ok(None),
                    }
                }
                found => return Ok(found),
            }
        }
    }

    /// Every match that is not empty, from left to right.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_all(
        &self,
        text: &str,
        budget: &mut Budget,
    ) -> Result<Vec<Range<usize>>, Exhausted> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(range) = self.find(text, from, budget)? {
            from = range.end;
            found.push(range);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
