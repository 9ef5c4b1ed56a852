//! The regular expressions of schemas: classes, groups, alternatives, counts, anchors. No lookaround, no back references.
//!
//! A compact engine of our own, because a general one weighs 34 kB in the compressed wasm. Alternatives are tried one after the
//! other, with a bound on the steps; beyond it, and for what it does not know, there is no answer.

/// The most characters of a pattern.
const MAX_PATTERN: usize = 2_000;
/// The most repetitions that a count may ask for.
const MAX_COUNT: u32 = 1_000;
/// The most steps of one search.
const MAX_STEPS: u32 = 100_000;
/// The deepest nesting of groups, and of choices that are still open.
const MAX_DEPTH: u32 = 500;

/// A parsed pattern.
#[derive(Debug, Clone)]
pub struct Pattern(Node);

#[derive(Debug, Clone)]
enum Node {
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    One(Set),
    Start,
    End,
    Boundary(bool),
    /// Behind this place.
    Past(usize),
    Repeat {
        what: Box<Node>,
        least: u32,
        most: u32,
    },
}

/// A set of characters.
#[derive(Debug, Clone, Default)]
struct Set {
    ranges: Vec<(char, char)>,
    is_negated: bool,
}

impl Set {
    fn contains(&self, c: char) -> bool {
        let is_in = self
            .ranges
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&c));
        is_in != self.is_negated
    }

    fn one(c: char) -> Self {
        Self {
            ranges: vec![(c, c)],
            is_negated: false,
        }
    }
}

impl Pattern {
    /// Reads a pattern; `None` where it is wrong or uses what is not known here.
    pub fn parse(pattern: &str) -> Option<Self> {
        let mut parser = Parser {
            rest: pattern.chars().collect(),
            depth: 0,
        };
        if parser.rest.len() > MAX_PATTERN {
            return None;
        }
        parser.rest.reverse();
        let node = parser.either()?;
        parser.rest.is_empty().then_some(Self(node))
    }

    /// Whether it matches somewhere in the text; `None` where that takes too long.
    pub fn matches(&self, text: &str) -> Option<bool> {
        let text: Vec<char> = text.chars().collect();
        let mut search = Search {
            text: &text,
            steps: 0,
            depth: 0,
        };
        for start in 0..=text.len() {
            if search.run(&[&self.0], start)? {
                return Some(true);
            }
        }
        Some(false)
    }
}

struct Parser {
    /// What is still to be read, backwards.
    rest: Vec<char>,
    depth: u32,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.rest.last().copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.rest.pop();
        }
        found
    }

    fn either(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut branches = vec![self.sequence()?];
        while self.eat('|') {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        match branches.len() {
            1 => branches.pop(),
            _ => Some(Node::Either(branches)),
        }
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while !matches!(self.peek(), None | Some('|' | ')')) {
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Some(Node::Sequence(nodes))
    }

    fn atom(&mut self) -> Option<Node> {
        Some(match self.rest.pop()? {
            '^' => Node::Start,
            '$' => Node::End,
            '.' => Node::One(Set {
                ranges: vec![('\n', '\n'), ('\r', '\r')],
                is_negated: true,
            }),
            '[' => Node::One(self.set()?),
            '(' => {
                if self.eat('?') {
                    self.group_kind()?;
                }
                let inner = self.either()?;
                if !self.eat(')') {
                    return None;
                }
                inner
            }
            '\\' => match self.rest.pop()? {
                'b' => Node::Boundary(true),
                'B' => Node::Boundary(false),
                c => Node::One(self.escape(c)?),
            },
            '*' | '+' | '?' => return None,
            c => Node::One(Set::one(c)),
        })
    }

    /// What may follow `(?`: a group without a number, or with a name.
    fn group_kind(&mut self) -> Option<()> {
        if self.eat(':') {
            return Some(());
        }
        self.eat('P');
        if !self.eat('<') || matches!(self.peek()?, '=' | '!') {
            return None;
        }
        while self.rest.pop()? != '>' {}
        Some(())
    }

    fn repeated(&mut self, node: Node) -> Option<Node> {
        let (least, most) = match self.peek() {
            Some('*') => (0, u32::MAX),
            Some('+') => (1, u32::MAX),
            Some('?') => (0, 1),
            Some('{') => match self.count() {
                Some(count) => count,
                // Without a count the bracket is a character.
                None => return Some(node),
            },
            _ => return Some(node),
        };
        self.rest.pop();
        // A lazy match is a match.
        self.eat('?');
        Some(Node::Repeat {
            what: Box::new(node),
            least,
            most,
        })
    }

    /// The count after this place, up to its last bracket, which stays.
    fn count(&mut self) -> Option<(u32, u32)> {
        let end = self.rest.iter().rposition(|c| *c == '}')?;
        let inside = self.rest.get(end + 1..self.rest.len() - 1)?;
        let inside: String = inside.iter().rev().collect();
        let number = |text: &str| text.parse().ok().filter(|number| *number <= MAX_COUNT);
        let counts = match inside.split_once(',') {
            None => (number(&inside)?, number(&inside)?),
            Some((least, "")) => (number(least)?, u32::MAX),
            Some((least, most)) => (number(least)?, number(most)?),
        };
        self.rest.truncate(end + 1);
        Some(counts)
    }

    fn set(&mut self) -> Option<Set> {
        let mut set = Set {
            is_negated: self.eat('^'),
            ..Set::default()
        };
        loop {
            let from = match self.rest.pop()? {
                ']' => return Some(set),
                '\\' => {
                    let c = self.rest.pop()?;
                    let escaped = if c == 'b' {
                        Set::one('\u{8}')
                    } else {
                        self.escape(c)?
                    };
                    match escaped.ranges.as_slice() {
                        [(one, same)] if one == same && !escaped.is_negated => *one,
                        _ if escaped.is_negated => {
                            set.ranges.extend(complement(&escaped.ranges));
                            continue;
                        }
                        _ => {
                            set.ranges.extend(escaped.ranges);
                            continue;
                        }
                    }
                }
                c => c,
            };
            let is_range = self.peek() == Some('-')
                && self.rest.iter().rev().nth(1).is_some_and(|c| *c != ']');
            if !is_range {
                set.ranges.push((from, from));
                continue;
            }
            self.rest.pop();
            let to = match self.rest.pop()? {
                '\\' => {
                    let c = self.rest.pop()?;
                    self.escape(c)?.ranges.first()?.0
                }
                c => c,
            };
            set.ranges.push((from, to));
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self, c: char) -> Option<Set> {
        let class = |ranges: &[(char, char)], is_negated| Set {
            ranges: ranges.to_vec(),
            is_negated,
        };
        const WORD: [(char, char); 4] = [('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')];
        const SPACE: [(char, char); 8] = [
            ('\t', '\r'),
            (' ', ' '),
            ('\u{a0}', '\u{a0}'),
            ('\u{1680}', '\u{1680}'),
            ('\u{2000}', '\u{200a}'),
            ('\u{2028}', '\u{2029}'),
            ('\u{202f}', '\u{205f}'),
            ('\u{3000}', '\u{3000}'),
        ];
        Some(match c {
            'd' | 'D' => class(&[('0', '9')], c == 'D'),
            'w' | 'W' => class(&WORD, c == 'W'),
            's' | 'S' => class(&SPACE, c == 'S'),
            'n' => Set::one('\n'),
            'r' => Set::one('\r'),
            't' => Set::one('\t'),
            'f' => Set::one('\u{c}'),
            'v' => Set::one('\u{b}'),
            'x' => Set::one(self.code(2)?),
            'u' => Set::one(self.code(4)?),
            // Back references, properties and names are not known.
            c if c.is_ascii_alphanumeric() => return None,
            c => Set::one(c),
        })
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let at = self.rest.len().checked_sub(digits)?;
        let code: String = self.rest.drain(at..).rev().collect();
        char::from_u32(u32::from_str_radix(&code, 16).ok()?)
    }
}

fn complement(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut gaps = Vec::new();
    let mut from = '\0';
    for (start, end) in sorted {
        if let Some(before) = char::from_u32((start as u32).saturating_sub(1))
            && start > from
        {
            gaps.push((from, before));
        }
        from = char::from_u32(end as u32 + 1).unwrap_or(char::MAX);
    }
    gaps.push((from, char::MAX));
    gaps
}

struct Search<'t> {
    text: &'t [char],
    steps: u32,
    depth: u32,
}

impl Search<'_> {
    /// Whether these nodes, one after the other, match from here.
    fn run(&mut self, nodes: &[&Node], at: usize) -> Option<bool> {
        let Some((first, rest)) = nodes.split_first() else {
            return Some(true);
        };
        self.steps += 1;
        if self.steps > MAX_STEPS || self.depth > MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let found = self.node(first, rest, at);
        self.depth -= 1;
        found
    }

    fn node(&mut self, node: &Node, rest: &[&Node], at: usize) -> Option<bool> {
        match node {
            Node::One(set) => match self.text.get(at) {
                Some(c) if set.contains(*c) => self.run(rest, at + 1),
                _ => Some(false),
            },
            Node::Past(place) if at <= *place => Some(false),
            Node::Start if at > 0 => Some(false),
            Node::End if at < self.text.len() => Some(false),
            Node::Start | Node::End | Node::Past(_) => self.run(rest, at),
            Node::Boundary(wanted) => {
                let is_word = |at: Option<usize>| {
                    let c = at.and_then(|at| self.text.get(at));
                    c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
                };
                let is_boundary = is_word(at.checked_sub(1)) != is_word(Some(at));
                if is_boundary == *wanted {
                    self.run(rest, at)
                } else {
                    Some(false)
                }
            }
            Node::Sequence(nodes) => {
                let all: Vec<&Node> = nodes.iter().chain(rest.iter().copied()).collect();
                self.run(&all, at)
            }
            Node::Either(branches) => {
                for branch in branches {
                    let all: Vec<&Node> = std::iter::once(branch)
                        .chain(rest.iter().copied())
                        .collect();
                    if self.run(&all, at)? {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Node::Repeat { what, least, most } => self.repeat(what, (*least, *most), rest, at),
        }
    }

    fn repeat(
        &mut self,
        what: &Node,
        (least, most): (u32, u32),
        rest: &[&Node],
        at: usize,
    ) -> Option<bool> {
        if let Node::One(set) = what {
            return self.run_of(set, (least, most), rest, at);
        }
        if most > 0 {
            let again = Node::Repeat {
                what: Box::new(what.clone()),
                least: least.saturating_sub(1),
                most: if most == u32::MAX { most } else { most - 1 },
            };
            // What matched nothing would match nothing again.
            let past = Node::Past(at);
            let fence = [what, &past, &again];
            let all: Vec<&Node> = fence.into_iter().chain(rest.iter().copied()).collect();
            if self.run(&all, at)? {
                return Some(true);
            }
        }
        if least == 0 || is_empty(what) {
            return self.run(rest, at);
        }
        Some(false)
    }

    /// A run of characters of one set: the longest first.
    fn run_of(
        &mut self,
        set: &Set,
        (least, most): (u32, u32),
        rest: &[&Node],
        at: usize,
    ) -> Option<bool> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let least = usize::try_from(least).unwrap_or(usize::MAX);
        let ahead = self.text.get(at..).unwrap_or_default();
        let longest = ahead
            .iter()
            .take(most)
            .take_while(|c| set.contains(**c))
            .count();
        for length in (least..=longest).rev() {
            if self.run(rest, at + length)? {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// Whether a node can match nothing, so that it may be repeated any number of times.
fn is_empty(node: &Node) -> bool {
    match node {
        Node::One(_) => false,
        Node::Start | Node::End | Node::Boundary(_) | Node::Past(_) => true,
        Node::Sequence(nodes) => nodes.iter().all(is_empty),
        Node::Either(branches) => branches.iter().any(is_empty),
        Node::Repeat { what, least, .. } => *least == 0 || is_empty(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_those_of_ecmascript() {
        for (pattern, yes, no) in [
            ("b+", vec!["abbc"], vec!["ac"]),
            ("^b", vec!["bc"], vec!["abc"]),
            ("^(ab|cd){2}$", vec!["abcd", "cdcd"], vec!["ab", "ababab"]),
            (
                "^[A-Z][^0-9\\s]*$",
                vec!["Abc", "A"],
                vec!["A1", "a", "A b"],
            ),
            (
                "^\\d{4}-\\d{2}-\\d{2}$",
                vec!["2026-11-21"],
                vec!["2026-1-21"],
            ),
            (
                "^#?([a-f0-9]{6}|[a-f0-9]{3})$",
                vec!["#a1b2c3", "abc"],
                vec!["#abcd"],
            ),
            (
                "^[\\w.+-]+@[\\w-]+\\.[a-z]{2,}$",
                vec!["a.b+c@d-e.org"],
                vec!["a@b", "a b@c.de"],
            ),
            ("^(?:a|b)?c*?d$", vec!["d", "acccd"], vec!["abd"]),
            ("\\bcat\\b", vec!["a cat sat"], vec!["concat"]),
            ("^(?<year>\\d+)\\/x$", vec!["12/x"], vec!["12x"]),
            ("^[\\]\\-a]+$", vec!["]-a"], vec!["b"]),
            ("^a{2,3}$", vec!["aa", "aaa"], vec!["a", "aaaa"]),
            ("a{x", vec!["a{x"], vec!["ax"]),
            ("^[^\\W\\d]+$", vec!["ab_"], vec!["a1", "a-"]),
            ("^.$", vec!["ü", "😀"], vec!["\n", "ab"]),
            ("^\\u0041\\x42$", vec!["AB"], vec!["ab"]),
            ("^(a*)*$", vec!["aaa"], vec![]),
            ("^$|^x$", vec!["", "x"], vec!["y"]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap_or_else(|| panic!("{pattern}"));
            for text in yes {
                assert_eq!(parsed.matches(text), Some(true), "{pattern} {text:?}");
            }
            for text in no {
                assert_ne!(parsed.matches(text), Some(true), "{pattern} {text:?}");
            }
        }
    }

    #[test]
    fn what_it_does_not_know_it_does_not_judge() {
        for pattern in [
            "(?=a)", "(?!a)b", "(?<=a)b", "(a)\\1", "\\p{L}", "(", "a)", "[a", "*",
        ] {
            assert!(Pattern::parse(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_explodes_gets_no_answer() {
        let pattern = Pattern::parse("^((a|aa)+)+$").unwrap();
        assert_eq!(pattern.matches(&format!("{}b", "a".repeat(60))), None);
    }
}
