//! The text of a pattern as a tree.

use super::{
    MAX_COUNT, MAX_DEPTH, MAX_PATTERN, PatternError,
    class::{DIGIT, NEWLINE, SPACE, Set, WORD},
};

type Result<T> = std::result::Result<T, PatternError>;

/// A place that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The beginning of the text.
    Start,
    /// Its end.
    End,
    /// The beginning of a line.
    LineStart,
    /// Its end.
    LineEnd,
    /// Between a character of a word and something else.
    Boundary,
    /// Anywhere else.
    NoBoundary,
}

/// A part of a pattern.
#[derive(Debug, Clone)]
pub enum Node {
    /// A character of a set.
    One(Set),
    /// A place.
    At(Place),
    /// One after the other.
    Sequence(Vec<Node>),
    /// The first that leads to a match.
    Either(Vec<Node>),
    /// Again and again.
    Repeat {
        /// What.
        what: Box<Node>,
        /// At least so often.
        least: u32,
        /// At most so often, if there is a bound.
        most: Option<u32>,
        /// As often as possible, rather than as seldom.
        is_greedy: bool,
    },
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    ignores_case: bool,
    by_line: bool,
    dot_is_all: bool,
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
    flags: Flags,
    may_nest: bool,
}

/// Reads a pattern.
pub fn parse(pattern: &str, may_nest: bool) -> Result<Node> {
    let text: Vec<char> = pattern.chars().take(MAX_PATTERN + 1).collect();
    if text.len() > MAX_PATTERN {
        return Err(PatternError::TooLong);
    }
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        flags: Flags::default(),
        may_nest,
    };
    let node = parser.either()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => parser.wrong("A bracket closes nothing"),
    }
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn eat_all(&mut self, word: &str) -> bool {
        let length = word.chars().count();
        let ahead = self.text.get(self.at..self.at + length);
        let found = ahead.is_some_and(|ahead| ahead.iter().copied().eq(word.chars()));
        if found {
            self.at += length;
        }
        found
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T> {
        Err(PatternError::Syntax(self.at, what))
    }

    fn either(&mut self) -> Result<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PatternError::TooDeep);
        }
        let mut branches = vec![self.sequence()?];
        while self.eat('|') {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(match (branches.pop(), branches.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                branches.extend(last);
                Node::Either(branches)
            }
        })
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut nodes = Vec::new();
        while !matches!(self.peek(), None | Some('|' | ')')) {
            if let Some(node) = self.atom()? {
                nodes.push(self.repeated(node)?);
            }
        }
        Ok(Node::Sequence(nodes))
    }

    fn set(&self, set: Set) -> Node {
        Node::One(if self.flags.ignores_case {
            set.folded()
        } else {
            set
        })
    }

    /// The next part; nothing where it only sets flags.
    fn atom(&mut self) -> Result<Option<Node>> {
        let by_line = self.flags.by_line;
        Ok(Some(match self.next() {
            Some('^') => Node::At(if by_line {
                Place::LineStart
            } else {
                Place::Start
            }),
            Some('$') => Node::At(if by_line { Place::LineEnd } else { Place::End }),
            Some('.') if self.flags.dot_is_all => Node::One(Set::default().negated()),
            Some('.') => Node::One(Set::of(&NEWLINE).negated()),
            Some('[') => {
                let set = self.brackets()?;
                self.set(set)
            }
            Some('(') => return self.group(),
            Some('\\') => match self.peek() {
                Some('b') => {
                    self.at += 1;
                    Node::At(Place::Boundary)
                }
                Some('B') => {
                    self.at += 1;
                    Node::At(Place::NoBoundary)
                }
                _ => {
                    let set = self.escape()?;
                    self.set(set)
                }
            },
            Some('*' | '+' | '?') => return self.wrong("There is nothing to repeat"),
            Some(c) => self.set(Set::one(c)),
            None => return self.wrong("The pattern ends too early"),
        }))
    }

    fn group(&mut self) -> Result<Option<Node>> {
        let flags = self.flags;
        if self.eat('?') {
            let is_lookaround = ["=", "!", "<=", "<!"].iter().any(|word| self.eat_all(word));
            if is_lookaround {
                return Err(PatternError::Lookaround);
            }
            if self.eat_all("P<") || self.eat('<') {
                loop {
                    match self.next() {
                        Some('>') => break,
                        Some(c) if c == '_' || c == '$' || c.is_alphanumeric() => {}
                        _ => return self.wrong("A group's name has letters and digits, up to >"),
                    }
                }
            } else if !self.eat(':') && self.read_flags()? {
                return Ok(None);
            }
        }
        let inner = self.either()?;
        if !self.eat(')') {
            return self.wrong("A group is not closed");
        }
        self.flags = flags;
        Ok(Some(inner))
    }

    /// `(?i)` and `(?i:`. Whether they hold from here to the end of the group around.
    fn read_flags(&mut self) -> Result<bool> {
        let mut is_on = true;
        loop {
            match self.next() {
                Some('-') => is_on = false,
                Some('i') => self.flags.ignores_case = is_on,
                Some('m') => self.flags.by_line = is_on,
                Some('s') => self.flags.dot_is_all = is_on,
                Some(')') => return Ok(true),
                Some(':') => return Ok(false),
                _ => return self.wrong("Known after (? are :, <name>, and the flags i, m, s"),
            }
        }
    }

    fn repeated(&mut self, node: Node) -> Result<Node> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.count()? {
                Some(count) => count,
                None => return Ok(node),
            },
            _ => return Ok(node),
        };
        self.at += 1;
        let is_greedy = !self.eat('?');
        if matches!(self.peek(), Some('*' | '+' | '?')) {
            return Err(PatternError::NestedQuantifiers);
        }
        if !self.may_nest && most != Some(1) && most != Some(0) {
            if varies(&node) {
                return Err(PatternError::NestedQuantifiers);
            }
            // A linear search ends such a repetition a turn earlier than a backtracking one, which would miss what JavaScript finds.
            if matches_nothing(&node) {
                return self.wrong("What is repeated can match nothing at all");
            }
        }
        Ok(Node::Repeat {
            what: Box::new(node),
            least,
            most,
            is_greedy,
        })
    }

    /// The count at this place, up to its last bracket, which stays; without one the bracket is a character.
    fn count(&mut self) -> Result<Option<(u32, Option<u32>)>> {
        let ahead = self.text.get(self.at + 1..).unwrap_or_default();
        // Two numbers of at most 9 digits and a comma.
        let Some(end) = ahead.iter().take(20).position(|c| *c == '}') else {
            return Ok(None);
        };
        let inside: String = ahead.iter().take(end).collect();
        let (least, most) = match inside.split_once(',') {
            None => (inside.as_str(), Some(inside.as_str())),
            Some((least, "")) => (least, None),
            Some((least, most)) => (least, Some(most)),
        };
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(least) || !most.is_none_or(is_number) {
            return Ok(None);
        }
        let number = |text: &str| text.parse().ok().filter(|number| *number <= MAX_COUNT);
        let (Some(least), Ok(most)) = (
            number(least),
            most.map(|most| number(most).ok_or(())).transpose(),
        ) else {
            return self.wrong("A count is at most 1000");
        };
        if most.is_some_and(|most| most < least) {
            return self.wrong("The numbers of a count are out of order");
        }
        self.at += 1 + end;
        Ok(Some((least, most)))
    }

    fn brackets(&mut self) -> Result<Set> {
        let is_negated = self.eat('^');
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        loop {
            let from = match self.next() {
                None => return self.wrong("A bracket is not closed"),
                Some(']') => break,
                Some('\\') => self.in_brackets()?,
                Some(c) => Set::one(c),
            };
            let single = match from.ranges() {
                [(one, same)] if one == same => Some(*one),
                _ => None,
            };
            let is_range =
                self.peek() == Some('-') && self.text.get(self.at + 1).is_some_and(|c| *c != ']');
            let (Some(start), true) = (single, is_range) else {
                ranges.extend(from.ranges());
                continue;
            };
            self.at += 1;
            let to = match self.next() {
                Some('\\') => self.in_brackets()?,
                Some(c) => Set::one(c),
                None => return self.wrong("A bracket is not closed"),
            };
            match to.ranges() {
                [(end, same)] if end == same && *end >= start => ranges.push((start, *end)),
                [(end, same)] if end == same => return self.wrong("A range is out of order"),
                _ => {
                    // As in JavaScript: a class is no end of a range.
                    ranges.push((start, start));
                    ranges.push((u32::from('-'), u32::from('-')));
                    ranges.extend(to.ranges());
                }
            }
        }
        let set = Set::of(&ranges);
        // Else `(?i)[^a]` would have everything.
        let set = if self.flags.ignores_case {
            set.folded()
        } else {
            set
        };
        Ok(if is_negated { set.negated() } else { set })
    }

    fn in_brackets(&mut self) -> Result<Set> {
        if self.eat('b') {
            return Ok(Set::one('\u{8}'));
        }
        self.escape()
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Result<Set> {
        let Some(c) = self.next() else {
            return self.wrong("The pattern ends in a backslash");
        };
        Ok(match c {
            'd' => Set::of(&DIGIT),
            'D' => Set::of(&DIGIT).negated(),
            'w' => Set::of(&WORD),
            'W' => Set::of(&WORD).negated(),
            's' => Set::of(&SPACE),
            'S' => Set::of(&SPACE).negated(),
            'n' => Set::one('\n'),
            'r' => Set::one('\r'),
            't' => Set::one('\t'),
            'f' => Set::one('\u{c}'),
            'v' => Set::one('\u{b}'),
            '0' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => Set::one('\0'),
            '0'..='9' | 'k' => return Err(PatternError::BackReference),
            'x' => self.code(2)?,
            'u' if self.eat('{') => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let digits = rest.iter().take(7).position(|c| *c == '}');
                let Some(digits) = digits else {
                    return self.wrong("A code point ends in }");
                };
                let set = self.code(digits)?;
                self.at += 1;
                set
            }
            'u' => self.code(4)?,
            'p' | 'P' => return self.wrong("Unicode properties are not known here"),
            c if c.is_ascii_alphanumeric() => return self.wrong("There is no such escape"),
            c => Set::one(c),
        })
    }

    fn code(&mut self, digits: usize) -> Result<Set> {
        let text = self.text.get(self.at..self.at + digits);
        let text: String = text.unwrap_or_default().iter().collect();
        let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = u32::from_str_radix(&text, 16).ok().filter(|_| is_hex);
        match code.and_then(char::from_u32) {
            Some(c) => {
                self.at += digits;
                Ok(Set::one(c))
            }
            None => self.wrong("This is no code of a character"),
        }
    }
}

/// Whether there is a match of no characters.
fn matches_nothing(node: &Node) -> bool {
    match node {
        Node::One(_) => false,
        Node::At(_) => true,
        Node::Sequence(nodes) => nodes.iter().all(matches_nothing),
        Node::Either(nodes) => nodes.iter().any(matches_nothing),
        Node::Repeat { what, least, .. } => *least == 0 || matches_nothing(what),
    }
}

/// Whether something inside is repeated a varying number of times.
fn varies(node: &Node) -> bool {
    match node {
        Node::One(_) | Node::At(_) => false,
        Node::Sequence(nodes) | Node::Either(nodes) => nodes.iter().any(varies),
        Node::Repeat {
            what, least, most, ..
        } => *most != Some(*least) || varies(what),
    }
}
